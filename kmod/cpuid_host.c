// SPDX-License-Identifier: GPL-2.0
/*
 * What this CPU and this module can give to a guest: worked out once, when the
 * module loads.
 *
 * A feature is offered if it stands in one of the lists below, the host uses
 * it (boot_cpu_data: what the kernel turned off is off for guests too) and the
 * CPU reports it.  What the module makes in software comes on top.
 *
 * NOTDONE: nested virtualization, a virtual PMU, SGX, SEV, Hyper-V's leaves,
 * and AMX (its state needs XFD, whose #NM would have to be shared with the host).
 */
#include <asm/fpu/xstate.h>
#include "cpuid.h"
#include "fpu.h"

/* Leaf 0x80000021 EAX: bits that younger kernels name. APM 3 "Extended Feature Identification 2". */
enum {
	FEATURE_NO_NESTED_DATA_BP	= CPUID_8000_0021_EAX * 32 + 0,
	FEATURE_LFENCE_SERIALIZING	= CPUID_8000_0021_EAX * 32 + 2,
	FEATURE_VERW_CLEAR		= CPUID_8000_0021_EAX * 32 + 5,
	FEATURE_NULL_SEL_CLEARS_BASE	= CPUID_8000_0021_EAX * 32 + 6,
	FEATURE_NO_SMM_CTL_MSR		= CPUID_8000_0021_EAX * 32 + 9,
	FEATURE_SRSO_NO			= CPUID_8000_0021_EAX * 32 + 29,
};

#define F(name) X86_FEATURE_##name

/* As the CPU has them. */
static const u16 offered[] __initconst = {
	/* 1 EDX; 0x80000001 EDX repeats some of them */
	F(FPU), F(VME), F(DE), F(PSE), F(TSC), F(MSR), F(PAE), F(MCE), F(CX8), F(APIC), F(SEP),
	F(MTRR), F(PGE), F(MCA), F(CMOV), F(PAT), F(PSE36), F(CLFLUSH), F(MMX), F(FXSR), F(XMM),
	F(XMM2), F(SELFSNOOP),
	/* 1 ECX: no MONITOR (a guest would hold the CPU), VMX, EST, PDCM (the PMU's) */
	F(XMM3), F(PCLMULQDQ), F(SSSE3), F(FMA), F(CX16), F(PCID), F(XMM4_1), F(XMM4_2), F(MOVBE),
	F(POPCNT), F(AES), F(XSAVE), F(AVX), F(F16C), F(RDRAND),
	/* 7.0 EBX: no SGX, MPX, RDT, Processor Trace */
	F(FSGSBASE), F(BMI1), F(HLE), F(AVX2), F(FDP_EXCPTN_ONLY), F(SMEP), F(BMI2), F(ERMS),
	F(INVPCID), F(RTM), F(ZERO_FCS_FDS), F(AVX512F), F(AVX512DQ), F(RDSEED), F(ADX), F(SMAP),
	F(AVX512IFMA), F(CLFLUSHOPT), F(CLWB), F(AVX512PF), F(AVX512ER), F(AVX512CD), F(SHA_NI),
	F(AVX512BW), F(AVX512VL),
	/* 7.0 ECX: no WAITPKG, bus lock detection, ENQCMD */
	F(AVX512VBMI), F(UMIP), F(AVX512_VBMI2), F(GFNI), F(VAES), F(VPCLMULQDQ),
	F(AVX512_VNNI), F(AVX512_BITALG), F(AVX512_VPOPCNTDQ), F(LA57), F(RDPID), F(CLDEMOTE),
	F(MOVDIRI), F(MOVDIR64B),
	/* 7.0 EDX: no AMX, CET, architectural LBRs */
	F(AVX512_4VNNIW), F(AVX512_4FMAPS), F(FSRM), F(AVX512_VP2INTERSECT), F(MD_CLEAR),
	F(SERIALIZE), F(TSXLDTRK), F(AVX512_FP16), F(SPEC_CTRL), F(INTEL_STIBP), F(FLUSH_L1D),
	F(SPEC_CTRL_SSBD),
	/* 7.1 EAX */
	F(AVX_VNNI), F(AVX512_BF16),
	/* 0xd.1 EAX: no XFD */
	F(XSAVEOPT), F(XSAVEC), F(XGETBV1), F(XSAVES),
	/* 0x80000001 EDX */
	F(SYSCALL), F(NX), F(MMXEXT), F(FXSR_OPT), F(GBPAGES), F(RDTSCP), F(LM), F(3DNOWEXT), F(3DNOW),
	/* 0x80000001 ECX: no SVM, IBS, SKINIT, performance counters, MWAITX */
	F(LAHF_LM), F(CMP_LEGACY), F(CR8_LEGACY), F(ABM), F(SSE4A), F(MISALIGNSSE),
	F(3DNOWPREFETCH), F(OSVW), F(XOP), F(FMA4), F(TBM), F(TOPOEXT),
	/* 0x80000008 EBX: no RDPRU, IRPERF */
	F(CLZERO), F(XSAVEERPTR), F(WBNOINVD), F(AMD_IBPB), F(AMD_IBRS), F(AMD_SSBD), F(VIRT_SSBD),
	F(AMD_SSB_NO), F(AMD_STIBP), F(AMD_STIBP_ALWAYS_ON),
	/* 0x80000021 EAX: no automatic IBRS (an EFER bit) */
	FEATURE_NO_NESTED_DATA_BP, FEATURE_LFENCE_SERIALIZING, FEATURE_VERW_CLEAR,
	FEATURE_NULL_SEL_CLEARS_BASE, FEATURE_SRSO_NO,
};

enum {
	CPUID_MAX_BASIC_LEAF	= 0x1f,
	CPUID_MAX_EXT_LEAF	= 0x80000021,
	CPUID_AMD_CACHE_LEAF	= 0x8000001d,
	CPUID_MAX_OFFERED	= 100,		/* several monitors have room for no more */

	CACHE_TYPE_MASK		= 0x1f,		/* EAX of the cache leaves; 0: no more caches */
	CACHE_MAX_INDEX		= 8,
	CLFLUSH_SIZE		= 0xff00,
	L2_AND_L3		= ~(3 << 16),	/* without reserved bits */
	INVARIANT_TSC		= 1 << 8,
	ADDRESS_WIDTHS		= 0xffff,	/* physical, linear */
	FP_WIDTHS		= 7,
	/* 0x80000001 EDX: on AMD the same as 1 EDX */
	AMD_REPEATED		= GENMASK(9, 0) | GENMASK(17, 12) | GENMASK(24, 23),

	/* leaf 0xd, SDM 1 "Enumeration of CPU Support for XSAVE Instructions" */
	XSTATE_SUPERVISOR	= 1 << 0,	/* ECX of a component */
	XSTATE_ALIGNED		= 1 << 1,
};

#define ALL U32_MAX

/*
 * The leaves of a guest and what of the host's data it may see.  Topology and
 * APIC ids are user space's to tell; feature words and the leaves of
 * special_entry() come on top.
 */
static const struct { u32 function; bool indexed; u32 keep[4]; } leaves[] __initconst = {
	/* function	subleaves	EAX	EBX	ECX	EDX */
	{ 0,		false,		{ ALL, ALL, ALL, ALL } },		/* maximum, vendor */
	{ 1,		false,		{ ALL, CLFLUSH_SIZE } },		/* model */
	{ 2,		false,		{ ALL, ALL, ALL, ALL } },		/* caches, Intel */
	{ 4,		true,		{ ALL, ALL, ALL, ALL } },		/* caches, Intel */
	{ 6,		false,		},					/* power */
	{ 7,		true,		{ ALL } },				/* maximum */
	{ 0xb,		true,		},					/* topology */
	{ 0xd,		true,		{ ALL, ALL, ALL } },			/* XSAVE */
	{ 0x1f,		true,		},					/* topology */
	{ KVM_CPUID_SIGNATURE,	false,	},
	{ KVM_CPUID_FEATURES,	false,	},
	{ 0x80000000,	false,		{ ALL, ALL, ALL, ALL } },		/* maximum, vendor */
	{ 0x80000001,	false,		{ ALL } },				/* model */
	{ 0x80000002,	false,		{ ALL, ALL, ALL, ALL } },		/* name */
	{ 0x80000003,	false,		{ ALL, ALL, ALL, ALL } },
	{ 0x80000004,	false,		{ ALL, ALL, ALL, ALL } },
	{ 0x80000005,	false,		{ ALL, ALL, ALL, ALL } },		/* L1, AMD */
	{ 0x80000006,	false,		{ ALL, ALL, ALL, L2_AND_L3 } },
	{ 0x80000007,	false,		{ 0, 0, 0, INVARIANT_TSC } },
	{ 0x80000008,	false,		{ ADDRESS_WIDTHS } },	/* of the CPU: nested paging */
	{ 0x80000019,	false,		{ ALL, ALL } },				/* 1G TLB, AMD */
	{ 0x8000001a,	false,		{ FP_WIDTHS } },
	{ CPUID_AMD_CACHE_LEAF,	true,	{ ALL, ALL, ALL, ALL } },
	{ 0x8000001e,	false,		},					/* topology */
	{ CPUID_MAX_EXT_LEAF,	false,	},
};

static u32 supported[NCAPINTS] __ro_after_init;

static struct kvm_cpuid_entry2 offered_entry[CPUID_MAX_OFFERED] __ro_after_init;
static unsigned int offered_nent __ro_after_init;

/* Components, as leaf 0xd tells of them in EAX, EBX and ECX. */
static struct { u32 size, offset, flags; } xstate[XFEATURE_MAX] __ro_after_init;

/**
 * cpuid_host_supports() - may a guest have this feature?
 * @feature: number from <asm/cpufeatures.h>, of a word in cpuid_words[]
 */
bool cpuid_host_supports(unsigned int feature)
{
	return supported[feature / 32] & (1U << (feature % 32));
}

/**
 * cpuid_xstate_size() - bytes of an XSAVE area
 * @components: bits of XCR0 and IA32_XSS
 * @compacted: as XSAVEC lays it out
 *
 * SDM 1 "Managing State Using the XSAVE Feature Set".
 */
u32 cpuid_xstate_size(u64 components, bool compacted)
{
	u32 size = FXSAVE_SIZE + XSAVE_HDR_SIZE;
	unsigned int i;

	for (i = FIRST_EXTENDED_XFEATURE; i < XFEATURE_MAX && components >> i; i++) {
		u32 offset = xstate[i].offset;

		if (!(components & (1ULL << i)))
			continue;
		if (compacted)
			offset = xstate[i].flags & XSTATE_ALIGNED ? ALIGN(size, XSAVE_ALIGNMENT) : size;
		size = max(size, offset + xstate[i].size);
	}
	return size;
}

/* ---- feature words ---- */

/* A leaf that the CPU does not have stays zero. */
static void __init cpuid_read(struct kvm_cpuid_entry2 *e)
{
	u32 max = cpuid_eax(e->function & 0x80000000);

	if (e->function <= max && (e->function != 7 || e->index <= cpuid_eax(7)))
		cpuid_count(e->function, e->index, &e->eax, &e->ebx, &e->ecx, &e->edx);
}

static void __init offer(unsigned int feature)
{
	supported[feature / 32] |= 1U << (feature % 32);
}

/*
 * What a guest gets by the bit on the right where the host has the one on the
 * left, whether or not the CPU reports it to guests: what needs no help from
 * the CPU, what is true of it without a bit that says so, and speculation
 * controls, which have a bit of their own in Intel's and in AMD's leaves.
 */
static const struct { u16 host, offered; } made[] __initconst = {
	{ F(ALWAYS), F(X2APIC) },		{ F(ALWAYS), F(HYPERVISOR) },
	{ F(ALWAYS), F(TSC_ADJUST) },		{ F(ALWAYS), FEATURE_NO_SMM_CTL_MSR },
	{ F(LFENCE_RDTSC), FEATURE_LFENCE_SERIALIZING },
	{ F(OSPKE), F(PKU) },			/* PKRU is switched only where CR4.PKE is set */
	{ F(IBPB), F(AMD_IBPB) },		{ F(IBRS), F(AMD_IBRS) },
	{ F(STIBP), F(AMD_STIBP) },		{ F(STIBP), F(INTEL_STIBP) },
	{ F(SPEC_CTRL_SSBD), F(AMD_SSBD) },	{ F(AMD_SSBD), F(SPEC_CTRL_SSBD) },
};

static void __init offer_made(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(made); i++)
		if (boot_cpu_has(made[i].host))
			offer(made[i].offered);
	if (boot_cpu_has(X86_FEATURE_IBPB) && boot_cpu_has(X86_FEATURE_IBRS))
		offer(X86_FEATURE_SPEC_CTRL);
	/* The host's per-family MSR, by an MSR for guests. */
	if (boot_cpu_has(X86_FEATURE_LS_CFG_SSBD) && !cpuid_host_supports(X86_FEATURE_AMD_SSBD))
		offer(X86_FEATURE_VIRT_SSBD);
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		offer(X86_FEATURE_AMD_SSB_NO);
	if (!boot_cpu_has_bug(X86_BUG_NULL_SEG))
		offer(FEATURE_NULL_SEL_CLEARS_BASE);
}

static void __init init_words(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offered); i++)
		offer(offered[i]);
	supported[CPUID_8000_0001_EDX] |= supported[CPUID_1_EDX] & AMD_REPEATED;

	for (i = 0; i < cpuid_nr_words; i++) {
		const struct cpuid_word *word = &cpuid_words[i];
		struct kvm_cpuid_entry2 e = { .function = word->function, .index = word->index };

		cpuid_read(&e);
		supported[word->word] &= boot_cpu_data.x86_capability[word->word] &
					 *cpuid_reg(&e, word->reg);
	}
	if (!fpu_supported_xcr0)
		supported[X86_FEATURE_XSAVE / 32] &= ~(1U << (X86_FEATURE_XSAVE % 32));
	offer_made();
}

/* ---- the list for KVM_GET_SUPPORTED_CPUID ---- */

enum {
	KVM_FEATURES = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
		       BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) |
		       BIT(KVM_FEATURE_STEAL_TIME) | BIT(KVM_FEATURE_PV_EOI) |
		       BIT(KVM_FEATURE_PV_UNHALT) | BIT(KVM_FEATURE_PV_TLB_FLUSH) |
		       BIT(KVM_FEATURE_PV_SEND_IPI) | BIT(KVM_FEATURE_POLL_CONTROL) |
		       BIT(KVM_FEATURE_PV_SCHED_YIELD),
};

static void __init xstate_entry(struct kvm_cpuid_entry2 *e)
{
	u64 xcr0 = fpu_supported_xcr0;

	if (e->index == 0) {
		e->eax = xcr0;
		e->edx = xcr0 >> 32;
		e->ebx = e->ecx = cpuid_xstate_size(xcr0, false);
	} else if (e->index == 1) {
		e->ebx = e->ecx = 0;	/* IA32_XSS: no supervisor states */
		if (cpuid_host_supports(X86_FEATURE_XSAVEC) || cpuid_host_supports(X86_FEATURE_XSAVES))
			e->ebx = cpuid_xstate_size(xcr0, true);
	} else {
		e->ecx &= XSTATE_SUPERVISOR | XSTATE_ALIGNED;
	}
}

static void __init special_entry(struct kvm_cpuid_entry2 *e)
{
	u32 signature[3];

	switch (e->function) {
	case 0:
		e->eax = min_t(u32, e->eax, CPUID_MAX_BASIC_LEAF);
		break;
	case 6:
		e->eax = 1 << (X86_FEATURE_ARAT % 32);
		break;
	case 7:
		e->eax = e->index ? 0 : min_t(u32, e->eax, 1);
		break;
	case 0xd:
		xstate_entry(e);
		break;
	case KVM_CPUID_SIGNATURE:
		memcpy(signature, KVM_SIGNATURE, sizeof(signature));
		e->eax = KVM_CPUID_FEATURES;
		e->ebx = signature[0];
		e->ecx = signature[1];
		e->edx = signature[2];
		break;
	case KVM_CPUID_FEATURES:
		e->eax = KVM_FEATURES;
		break;
	case 0x80000000:
		/*
		 * The last leaf is made here, also where the CPU has none; but
		 * QEMU reads the caches' leaf from the CPU if that is below it.
		 */
		e->eax = e->eax < CPUID_AMD_CACHE_LEAF ? e->eax : CPUID_MAX_EXT_LEAF;
		break;
	case 0x80000007:
		e->edx &= boot_cpu_data.x86_power;
		break;
	}
}

/* @leaf: number in leaves[]. Returns EAX. */
static u32 __init add_entry(unsigned int leaf, u32 index)
{
	struct kvm_cpuid_entry2 *e = &offered_entry[offered_nent];
	const struct cpuid_word *word;
	unsigned int reg;

	if (WARN_ON_ONCE(offered_nent == CPUID_MAX_OFFERED))
		return 0;
	offered_nent++;
	e->function = leaves[leaf].function;
	e->index = index;
	e->flags = leaves[leaf].indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
	cpuid_read(e);
	for (reg = CPUID_EAX; reg <= CPUID_EDX; reg++)
		*cpuid_reg(e, reg) &= leaves[leaf].keep[reg];
	special_entry(e);
	for (word = cpuid_words; word < cpuid_words + cpuid_nr_words; word++)
		if (word->function == e->function && word->index == e->index)
			*cpuid_reg(e, word->reg) = supported[word->word];
	return e->eax;
}

static void __init add_leaf(unsigned int leaf)
{
	u32 eax = add_entry(leaf, 0);
	unsigned int i;

	switch (leaves[leaf].function) {
	case 4: case CPUID_AMD_CACHE_LEAF:
		for (i = 1; i < CACHE_MAX_INDEX && eax & CACHE_TYPE_MASK; i++)
			eax = add_entry(leaf, i);
		break;
	case 7:
		if (eax)
			add_entry(leaf, 1);
		break;
	case 0xd:
		add_entry(leaf, 1);
		for (i = FIRST_EXTENDED_XFEATURE; i < XFEATURE_MAX; i++)
			if (fpu_supported_xcr0 & (1ULL << i))
				add_entry(leaf, i);
		break;
	}
}

static void __init init_xstate(void)
{
	unsigned int i;
	u32 edx;

	for (i = FIRST_EXTENDED_XFEATURE; fpu_supported_xcr0 && i < XFEATURE_MAX; i++)
		cpuid_count(0xd, i, &xstate[i].size, &xstate[i].offset, &xstate[i].flags, &edx);
}

/**
 * cpuid_module_init() - work out what this host and module support
 *
 * After the backend is set up and fpu_module_init() has run.
 */
void __init cpuid_module_init(void)
{
	u32 max = 0;	/* of the class at hand, whose first leaf tells it */
	unsigned int i;

	init_xstate();
	init_words();
	for (i = 0; i < ARRAY_SIZE(leaves); i++) {
		u32 function = leaves[i].function;
		bool first = !(function & U8_MAX);

		if (first || function <= max)
			add_leaf(i);
		if (first)
			max = offered_entry[offered_nent - 1].eax;
	}
}

/**
 * cpuid_ioctl_supported() - KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID
 * @user: in: room for so many entries; out: their number, and they
 * @emulated: features that exist by emulation of their instructions alone: none
 *
 * Return: 0; -E2BIG when there is no room for all: QEMU then doubles it;
 * -EFAULT.
 */
int cpuid_ioctl_supported(struct kvm_cpuid2 __user *user, bool emulated)
{
	u32 room, nent = emulated ? 0 : offered_nent;

	if (get_user(room, &user->nent))
		return -EFAULT;
	if (!room || room < nent)
		return -E2BIG;
	if (put_user(nent, &user->nent) ||
	    copy_to_user(user->entries, offered_entry, nent * sizeof(offered_entry[0])))
		return -EFAULT;
	return 0;
}
