// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID as one vCPU shows it.
 *
 * User space sets a list of leaves; the guest asks for one at a time, and
 * often.  Leaves stay in the order of user space (KVM_GET_CPUID2 gives them
 * back so) and are chained in small buckets: basic leaves 0 to 31 and extended
 * leaves 0x80000000 to 0x8000001f each have one of their own.  Bits that
 * mirror other state are written into their leaf when that state changes, so
 * that the instruction itself is a search and four moves.
 *
 * Leaves are called by their numbers, as in SDM 2A "CPUID" and APM 3 "CPUID
 * Instruction".
 *
 * NOTDONE: KVM_SET_CPUID, whose entries know no subleaves.
 */
#include <linux/build_bug.h>
#include <asm/msr-index.h>
#include "backend.h"
#include "cpuid.h"
#include "fpu.h"

enum {
	CPUID_MAX_ENTRIES	= 256,		/* of KVM_SET_CPUID2; as stock KVM */
	CPUID_BUCKETS		= 64,

	CPUID_DEFAULT_MAXPHYADDR = 36,		/* SDM 3A "Physical-Address Extension" without leaf 80000008H */
};

/* Feature words that guests are asked about. Words that Linux invented have no place here. */
const struct cpuid_word cpuid_words[] = {
	/* function	index	register	word */
	{ 1,		0,	CPUID_EDX,	CPUID_1_EDX },
	{ 1,		0,	CPUID_ECX,	CPUID_1_ECX },
	{ 7,		0,	CPUID_EBX,	CPUID_7_0_EBX },
	{ 7,		0,	CPUID_ECX,	CPUID_7_ECX },
	{ 7,		0,	CPUID_EDX,	CPUID_7_EDX },
	{ 7,		1,	CPUID_EAX,	CPUID_7_1_EAX },
	{ 0xd,		1,	CPUID_EAX,	CPUID_D_1_EAX },
	{ 0x80000001,	0,	CPUID_EDX,	CPUID_8000_0001_EDX },
	{ 0x80000001,	0,	CPUID_ECX,	CPUID_8000_0001_ECX },
	{ 0x80000008,	0,	CPUID_EBX,	CPUID_8000_0008_EBX },
	{ 0x80000021,	0,	CPUID_EAX,	CPUID_8000_0021_EAX },
};
const unsigned int cpuid_nr_words = ARRAY_SIZE(cpuid_words);

struct cpuid_table {
	u32	nent;
	u16	bucket[CPUID_BUCKETS];	/* number of the first leaf + 1; 0: empty */
	u16	*next;			/* likewise of the next in a leaf's bucket; behind the leaves */

	/* leaves that cpuid_refresh() changes, or NULL */
	struct kvm_cpuid_entry2 *features, *ext_features, *xstate, *xstate_compact;
	struct kvm_cpuid_entry2 level;	/* of the topology leaves, one that is not there */
	struct kvm_cpuid_entry2 leaf[];
};

static unsigned int cpuid_bucket(u32 function)
{
	return (function & (CPUID_BUCKETS / 2 - 1)) | (function >> 31) * (CPUID_BUCKETS / 2);
}

/* The first that fits: where a leaf has no subleaves, or user space marked none, any @index fits. */
static __always_inline struct kvm_cpuid_entry2 *cpuid_find_fast(struct cpuid_table *table,
							  u32 function, u32 index)
{
	unsigned int i = table->bucket[cpuid_bucket(function)];

	while (i) {
		struct kvm_cpuid_entry2 *leaf = &table->leaf[i - 1];

		if (leaf->function == function &&
		    (leaf->index == index || !(leaf->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return leaf;
		i = table->next[i - 1];
	}
	return NULL;
}

static noinline struct kvm_cpuid_entry2 *cpuid_find(struct cpuid_table *table, u32 function, u32 index)
{
	return cpuid_find_fast(table, function, index);
}

/*
 * A leaf that is not there reads as zeros on AMD.  Others answer a leaf above
 * the maximum of its class, or of a class that is not there, with the data of
 * the highest basic leaf.  SDM 2A "CPUID", "INPUT EAX = ... Returns".
 */
static struct kvm_cpuid_entry2 *cpuid_find_max_basic(struct vcpu *vcpu, u32 *function, u32 index)
{
	const struct kvm_cpuid_entry2 *basic = cpuid_find(vcpu->cpuid, 0, 0);
	const struct kvm_cpuid_entry2 *class;
	u32 base = *function & 0x80000000;	/* basic, extended */

	if (!basic || vcpu_has(vcpu, CAP_AMD_COMPATIBLE))
		return NULL;
	if (*function >> 28 == KVM_CPUID_SIGNATURE >> 28)
		base = *function & ~U8_MAX;	/* each interface of a hypervisor has 256 leaves */
	else if (*function >= 0xc0000000)
		base = 0xc0000000;		/* Centaur */
	class = cpuid_find(vcpu->cpuid, base, 0);
	if (class && *function <= class->eax)
		return NULL;
	*function = basic->eax;
	return cpuid_find(vcpu->cpuid, *function, index);
}

static noinline const struct kvm_cpuid_entry2 *
cpuid_lookup_absent(struct vcpu *vcpu, u32 function, u32 index, enum cpuid_found *found)
{
	static const struct kvm_cpuid_entry2 zeros;
	struct cpuid_table *table = vcpu->cpuid;
	const struct kvm_cpuid_entry2 *leaf;

	*found = CPUID_ABSENT;
	if (!table)
		return &zeros;
	leaf = cpuid_find_max_basic(vcpu, &function, index);
	if (leaf) {
		*found = CPUID_MAX_BASIC;
		return leaf;
	}
	/* Any level of the topology leaves, also an invalid one, tells the level and the x2APIC id. */
	if (function == 0xb || function == 0x1f)
		leaf = cpuid_find(table, function, 1);
	if (!leaf)
		return &zeros;
	table->level.ecx = index & U8_MAX;
	table->level.edx = leaf->edx;
	return &table->level;
}

/**
 * cpuid_lookup() - what CPUID gives the guest now
 * @vcpu: under its mutex
 * @function: EAX
 * @index: ECX
 * @found: how the leaf was found, for tracing
 *
 * Leaves out of range follow the guest's vendor; bits that mirror CR4, XCR0
 * or APIC state are as they are at this moment.
 *
 * Return: what the registers become; good until the next call.
 */
const struct kvm_cpuid_entry2 *cpuid_lookup(struct vcpu *vcpu, u32 function, u32 index,
					    enum cpuid_found *found)
{
	const struct kvm_cpuid_entry2 *leaf = NULL;

	if (likely(vcpu->cpuid))
		leaf = cpuid_find_fast(vcpu->cpuid, function, index);
	if (unlikely(!leaf))
		return cpuid_lookup_absent(vcpu, function, index, found);
	*found = CPUID_EXACT;
	return leaf;
}

/* ---- what follows from a new table ---- */

#define SAME(name) { CAP_##name, X86_FEATURE_##name }

/* More than one feature may give a cap. */
static const struct { u8 cap; u16 feature; } cpuid_caps[] = {
	SAME(NX), SAME(LM), SAME(GBPAGES), SAME(FXSR_OPT), SAME(PAT), SAME(XSAVES),
	SAME(X2APIC), SAME(TSC_ADJUST), SAME(RDTSCP), SAME(INVPCID), SAME(OSVW),
	SAME(SPEC_CTRL), SAME(VIRT_SSBD), SAME(FLUSH_L1D),
	{ CAP_TSC_DEADLINE, X86_FEATURE_TSC_DEADLINE_TIMER },
	{ CAP_TSC_AUX, X86_FEATURE_RDTSCP },		{ CAP_TSC_AUX, X86_FEATURE_RDPID },
	{ CAP_PRED_CMD, X86_FEATURE_SPEC_CTRL },	{ CAP_PRED_CMD, X86_FEATURE_AMD_IBPB },
	{ CAP_SPEC_CTRL, X86_FEATURE_INTEL_STIBP },	{ CAP_SPEC_CTRL, X86_FEATURE_AMD_STIBP },
	{ CAP_SPEC_CTRL, X86_FEATURE_SPEC_CTRL_SSBD },	{ CAP_SPEC_CTRL, X86_FEATURE_AMD_SSBD },
	{ CAP_SPEC_CTRL, X86_FEATURE_AMD_IBRS },
};

/* CR4 bits that exist only with a feature; the others named below always do. */
static const struct { u32 cr4; u16 feature; } cpuid_cr4[] = {
	{ X86_CR4_OSXSAVE, X86_FEATURE_XSAVE },		{ X86_CR4_FSGSBASE, X86_FEATURE_FSGSBASE },
	{ X86_CR4_SMEP, X86_FEATURE_SMEP },		{ X86_CR4_SMAP, X86_FEATURE_SMAP },
	{ X86_CR4_PCIDE, X86_FEATURE_PCID },		{ X86_CR4_PKE, X86_FEATURE_PKU },
	{ X86_CR4_UMIP, X86_FEATURE_UMIP },		{ X86_CR4_LA57, X86_FEATURE_LA57 },
};

#define CPUID_CR4_ALWAYS	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE |	\
				 X86_CR4_PSE | X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE |	\
				 X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)

/* Does the table say so? A vCPU without one shows what the host has. */
static bool cpuid_has(struct cpuid_table *table, unsigned int feature)
{
	struct kvm_cpuid_entry2 *leaf;
	unsigned int i;

	if (!table)
		return cpuid_host_supports(feature);
	for (i = 0; i < cpuid_nr_words; i++) {
		const struct cpuid_word *word = &cpuid_words[i];

		if (word->word != feature / 32)
			continue;
		leaf = cpuid_find(table, word->function, word->index);
		return leaf && *cpuid_reg(leaf, word->reg) & (1U << (feature % 32));
	}
	return false;
}

/* EBX, ECX and EDX hold the first, the last and the middle letters of the vendor's name. */
static bool cpuid_vendor_is_amd(struct cpuid_table *table)
{
	const struct kvm_cpuid_entry2 *leaf = cpuid_find(table, 0, 0);

	return leaf && (!memcmp(&leaf->ebx, "AuthcAMDenti", 3 * sizeof(u32)) ||
			!memcmp(&leaf->ebx, "HygouinenGen", 3 * sizeof(u32)));
}

/* The features leaf of KVM's own interface: 0x40000001, or above another interface's 256 leaves. */
static struct kvm_cpuid_entry2 *cpuid_find_kvm(struct cpuid_table *table)
{
	enum { LAST_BASE = 0x40010000, STEP = 0x100 };
	u32 base;

	for (base = KVM_CPUID_SIGNATURE; base < LAST_BASE; base += STEP) {
		const struct kvm_cpuid_entry2 *leaf = cpuid_find(table, base, 0);

		if (leaf && !memcmp(&leaf->ebx, KVM_SIGNATURE, 3 * sizeof(u32)))
			return cpuid_find(table, base | KVM_CPUID_FEATURES, 0);
	}
	return NULL;
}

static void cpuid_gather_caps(struct vcpu *vcpu)
{
	static_assert(CAP_NEVER < CAP_KVM_FIRST);
	struct cpuid_table *table = vcpu->cpuid;
	const struct kvm_cpuid_entry2 *kvm = cpuid_find_kvm(table);
	u64 caps = 1ULL << CAP_ALWAYS;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpuid_caps); i++)
		if (cpuid_has(table, cpuid_caps[i].feature))
			caps |= 1ULL << cpuid_caps[i].cap;
	if (kvm)
		caps |= (u64)kvm->eax << CAP_KVM_FIRST;
	if (cpuid_vendor_is_amd(table))
		caps |= 1ULL << CAP_AMD_COMPATIBLE;
	vcpu->guest_caps = caps;
}

static u8 cpuid_maxphyaddr(struct cpuid_table *table)
{
	const struct kvm_cpuid_entry2 *max = cpuid_find(table, 0x80000000, 0);
	const struct kvm_cpuid_entry2 *leaf = cpuid_find(table, 0x80000008, 0);

	if (!max || max->eax < 0x80000008 || !leaf)
		return CPUID_DEFAULT_MAXPHYADDR;
	return leaf->eax & 0xff;
}

static void cpuid_gather_cr4(struct vcpu *vcpu)
{
	u64 cr4 = CPUID_CR4_ALWAYS;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpuid_cr4); i++)
		if (cpuid_host_supports(cpuid_cr4[i].feature) &&
		    cpuid_has(vcpu->cpuid, cpuid_cr4[i].feature))
			cr4 |= cpuid_cr4[i].cr4;
	vcpu->cr4_reserved = ~cr4;
}

/* All that the rest of the module takes from CPUID. */
static void cpuid_apply(struct vcpu *vcpu)
{
	struct cpuid_table *table = vcpu->cpuid;
	const struct kvm_cpuid_entry2 *xstate = table->xstate;

	cpuid_gather_caps(vcpu);
	cpuid_gather_cr4(vcpu);
	vcpu->maxphyaddr = cpuid_maxphyaddr(table);
	vcpu->guest_supported_xcr0 = 0;
	if (xstate)
		vcpu->guest_supported_xcr0 = fpu_supported_xcr0 &
			(xstate->eax | (u64)xstate->edx << 32);
	vcpu_update_walk(vcpu);
	backend(cpuid_changed)(vcpu);
}

/**
 * cpuid_vcpu_init() - a new vCPU, of which user space has told nothing yet
 * @vcpu: not visible to others
 *
 * CPUID reads as zeros, but no check elsewhere fails for want of a CPUID bit:
 * small monitors never call KVM_SET_CPUID2.
 */
void cpuid_vcpu_init(struct vcpu *vcpu)
{
	vcpu->guest_caps = ~(1ULL << CAP_NEVER);
	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_HYGON)
		vcpu->guest_caps &= ~(1ULL << CAP_AMD_COMPATIBLE);
	vcpu->maxphyaddr = CPUID_DEFAULT_MAXPHYADDR;
	vcpu->guest_supported_xcr0 = fpu_supported_xcr0;
	cpuid_gather_cr4(vcpu);
}

/* ---- bits that mirror other state ---- */

static void cpuid_assign(struct kvm_cpuid_entry2 *leaf, unsigned int reg, unsigned int feature,
			 bool on)
{
	u32 bit = 1U << (feature % 32);

	if (leaf && on)
		*cpuid_reg(leaf, reg) |= bit;
	else if (leaf)
		*cpuid_reg(leaf, reg) &= ~bit;
}

static void cpuid_refresh_table(struct vcpu *vcpu, struct cpuid_table *table)
{
	cpuid_assign(table->features, CPUID_EDX, X86_FEATURE_APIC,
		     vcpu->apic_base & MSR_IA32_APICBASE_ENABLE);
	if (cpuid_host_supports(X86_FEATURE_XSAVE))
		cpuid_assign(table->features, CPUID_ECX, X86_FEATURE_OSXSAVE,
			     vcpu->cr4 & X86_CR4_OSXSAVE);
	if (vcpu->vm->disabled_quirks & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)
		cpuid_assign(table->features, CPUID_ECX, X86_FEATURE_MWAIT,
			     vcpu->misc_enable & MSR_IA32_MISC_ENABLE_MWAIT);
	if (cpuid_host_supports(X86_FEATURE_PKU))
		cpuid_assign(table->ext_features, CPUID_ECX, X86_FEATURE_OSPKE,
			     vcpu->cr4 & X86_CR4_PKE);
	if (table->xstate)
		table->xstate->ebx = cpuid_xstate_size(vcpu->xcr0, false);
	if (table->xstate_compact)
		table->xstate_compact->ebx = cpuid_xstate_size(vcpu->xcr0 | vcpu->xss, true);
}

/**
 * cpuid_refresh() - write the bits that mirror other state anew
 * @vcpu: under its mutex
 *
 * To be called when CR4.OSXSAVE, CR4.PKE, XCR0, IA32_XSS, IA32_MISC_ENABLE or
 * the enable bit of IA32_APIC_BASE changed.
 */
void cpuid_refresh(struct vcpu *vcpu)
{
	if (vcpu->cpuid)
		cpuid_refresh_table(vcpu, vcpu->cpuid);
}

/* A HLT that makes no exit is the CPU's own: on VT-x no KVM_HC_KICK_CPU would end it. */
static void cpuid_hide_unhalt(const struct vcpu *vcpu, struct cpuid_table *table)
{
	struct kvm_cpuid_entry2 *kvm = cpuid_find_kvm(table);

	if (kvm && vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT)
		kvm->eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
}

/* ---- tables from and to user space ---- */

/* Chain the leaves, and note those that change. */
static void cpuid_index(struct cpuid_table *table)
{
	int i;

	/* From the end, so that each chain is in user space's order. */
	for (i = table->nent - 1; i >= 0; i--) {
		struct kvm_cpuid_entry2 *leaf = &table->leaf[i];
		u16 *bucket = &table->bucket[cpuid_bucket(leaf->function)];

		memset(leaf->padding, 0, sizeof(leaf->padding));
		table->next[i] = *bucket;
		*bucket = i + 1;
	}
	table->features = cpuid_find(table, 1, 0);
	table->ext_features = cpuid_find(table, 7, 0);
	table->xstate = cpuid_find(table, 0xd, 0);
	table->xstate_compact = cpuid_find(table, 0xd, 1);
	if (table->xstate_compact == table->xstate ||
	    !(cpuid_has(table, X86_FEATURE_XSAVEC) || cpuid_has(table, X86_FEATURE_XSAVES)))
		table->xstate_compact = NULL;
}

/* Linear addresses of another width than 48 or 57 bits are not known here, nor to any CPU. */
static bool cpuid_valid(struct cpuid_table *table)
{
	const struct kvm_cpuid_entry2 *leaf = cpuid_find(table, 0x80000008, 0);
	u8 virt = leaf ? leaf->eax >> 8 : 0;

	return !virt || virt == 48 || virt == 57;
}

/**
 * cpuid_ioctl_set2() - KVM_SET_CPUID2
 * @vcpu: under its mutex
 * @user: number of entries, entries
 *
 * Return: 0; -E2BIG above 256 entries; -EINVAL for a width of linear addresses
 * that does not exist, or a change after the vCPU has run; -EFAULT, -ENOMEM.
 */
int cpuid_ioctl_set2(struct vcpu *vcpu, struct kvm_cpuid2 __user *user)
{
	struct cpuid_table *table __free(kfree) = NULL;
	const struct cpuid_table *old = vcpu->cpuid;
	u32 nent;

	if (get_user(nent, &user->nent))
		return -EFAULT;
	if (nent > CPUID_MAX_ENTRIES)
		return -E2BIG;
	table = kzalloc(struct_size(table, leaf, nent) + nent * sizeof(*table->next),
			GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	table->nent = nent;
	table->next = (u16 *)&table->leaf[nent];
	if (copy_from_user(table->leaf, user->entries, nent * sizeof(table->leaf[0])))
		return -EFAULT;
	cpuid_index(table);
	cpuid_refresh_table(vcpu, table);
	cpuid_hide_unhalt(vcpu, table);
	/* Once a vCPU has run, its CPU model stays: only the same again is accepted. */
	if (vcpu->cpu >= 0)
		return old && old->nent == nent &&
		       !memcmp(old->leaf, table->leaf, nent * sizeof(old->leaf[0])) ? 0 : -EINVAL;
	if (!cpuid_valid(table))
		return -EINVAL;
	swap(vcpu->cpuid, table);
	cpuid_apply(vcpu);
	return 0;
}

/**
 * cpuid_ioctl_get2() - KVM_GET_CPUID2
 * @vcpu: under its mutex
 * @user: in: room for so many entries; out: how many there are, and they
 *
 * Return: 0; -E2BIG when the room is too small (the number needed is told);
 * -EFAULT.
 */
int cpuid_ioctl_get2(struct vcpu *vcpu, struct kvm_cpuid2 __user *user)
{
	u32 room, nent = vcpu->cpuid ? vcpu->cpuid->nent : 0;

	if (get_user(room, &user->nent) || put_user(nent, &user->nent))
		return -EFAULT;
	if (room < nent)
		return -E2BIG;
	if (nent && copy_to_user(user->entries, vcpu->cpuid->leaf, nent * sizeof(user->entries[0])))
		return -EFAULT;
	return 0;
}
