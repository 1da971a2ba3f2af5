// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers.
 *
 * One comes from the first of these that knows it:
 *
 *	1. the switch in msr_read() and msr_write(): clocks, local APIC, MTRRs,
 *	   machine check, commands
 *	2. msr_regs[]: registers that are a field of struct vcpu, and who may
 *	   touch which bits; write_reg() has what follows from a write
 *	3. the vendor's structure: backend(get_msr), backend(set_msr)
 *	4. msr_fixed[]: what old systems touch without asking CPUID first
 *
 * NOTDONE: CPUID faulting, a PMU, branch records;
 * IA32_ARCH_CAPABILITIES, which only Intel's CPUs have.
 */
#include <linux/bug.h>
#include <asm/apic.h>
#include <asm/mtrr.h>
#include <asm/page.h>
#include "backend.h"
#include "clock.h"
#include "cpuid.h"
#include "irq/irq.h"
#include "msr.h"

enum {
	MSR_IO_MAX	= 256,		/* entries of one KVM_GET_MSRS or KVM_SET_MSRS, less one */

	/* IA32_MISC_ENABLE bits that only the CPU sets */
	MISC_ENABLE_PMU_BITS = MSR_IA32_MISC_ENABLE_BTS_UNAVAIL |
			       MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL,

	/* HWCR, APM 2 "Hardware Configuration Register (HWCR)" */
	HWCR_TLB_CACHE_DIS	= 1 << 3,
	HWCR_FF_DIS		= 1 << 6,	/* flush filter */
	HWCR_IGNNE_EM		= 1 << 8,
	HWCR_TSC_FREQ_SEL	= 1 << 24,	/* the TSC counts at P0's frequency: read-only */
	HWCR_WRITE_IGNORED	= HWCR_TLB_CACHE_DIS | HWCR_FF_DIS | HWCR_IGNNE_EM |
				  HWCR_TSC_FREQ_SEL,

	UCODE_REV_AMD		= 0x01000065,	/* of no CPU; new enough for all work-arounds */
};

#define UCODE_REV_INTEL		(1ULL << 32)	/* the revision is the upper half */
#define PAT_AFTER_RESET		0x0007040600070406ULL /* SDM 3A "Programming the PAT" */

/* ---- registers that are a field of struct vcpu ---- */

struct msr_reg {
	u32	index;
	u16	offset;		/* in struct vcpu */
	u8	cap;		/* enum vcpu_cap that the guest must have; user space need not */
	u64	writable;
};

#define REG(index, field, cap, writable) { index, offsetof(struct vcpu, field), cap, writable }

static const struct msr_reg msr_regs[] = {
	REG(MSR_IA32_TSC_ADJUST,	tsc_adjust,		CAP_TSC_ADJUST,		~0ULL),
	REG(MSR_IA32_APICBASE,		apic_base,		CAP_ALWAYS,		~0ULL),
	REG(MSR_EFER,			efer,			CAP_ALWAYS,		~0ULL),
	REG(MSR_IA32_CR_PAT,		pat,			CAP_PAT,		~0ULL),
	REG(MSR_IA32_MISC_ENABLE,	misc_enable,		CAP_ALWAYS,		~0ULL),
	REG(MSR_TSC_AUX,		tsc_aux,		CAP_TSC_AUX,		U32_MAX),
	REG(MSR_IA32_XSS,		xss,			CAP_XSAVES,		0),
	REG(MSR_AMD64_VIRT_SPEC_CTRL,	virt_spec_ctrl,		CAP_VIRT_SSBD,		SPEC_CTRL_SSBD),
	REG(MSR_IA32_UCODE_REV,		microcode_version,	CAP_ALWAYS,		~0ULL),
	REG(MSR_IA32_MCG_STATUS,	mcg_status,		CAP_ALWAYS,		~0ULL),
	REG(MSR_PLATFORM_INFO,		platform_info,		CAP_ALWAYS,		~0ULL),
	REG(MSR_IA32_POWER_CTL,		power_ctl,		CAP_ALWAYS,		~0ULL),
	REG(MSR_K7_HWCR,		hwcr,			CAP_ALWAYS,		~0ULL),
	REG(MSR_AMD64_OSVW_ID_LENGTH,	osvw_length,		CAP_OSVW,		~0ULL),
	REG(MSR_AMD64_OSVW_STATUS,	osvw_status,		CAP_OSVW,		~0ULL),
	REG(MSR_IA32_SMBASE,		smbase,			CAP_NEVER,		U32_MAX),
	REG(MSR_SMI_COUNT,		smi_count,		CAP_ALWAYS,		~0ULL),
	REG(MSR_KVM_WALL_CLOCK,		wall_clock_msr,		CAP_KVM(CLOCKSOURCE),	~0ULL),
	REG(MSR_KVM_WALL_CLOCK_NEW,	wall_clock_msr,		CAP_KVM(CLOCKSOURCE2),	~0ULL),
	REG(MSR_KVM_SYSTEM_TIME,	kvmclock_msr,		CAP_KVM(CLOCKSOURCE),	~0ULL),
	REG(MSR_KVM_SYSTEM_TIME_NEW,	kvmclock_msr,		CAP_KVM(CLOCKSOURCE2),	~0ULL),
	REG(MSR_KVM_STEAL_TIME,		steal_msr,		CAP_KVM(STEAL_TIME),
	    KVM_STEAL_VALID_BITS | KVM_MSR_ENABLED),
	REG(MSR_KVM_PV_EOI_EN,		pv_eoi_msr,		CAP_KVM(PV_EOI),		~0ULL),
	REG(MSR_KVM_POLL_CONTROL,	poll_control_msr,	CAP_KVM(POLL_CONTROL),	1),
};

static const struct msr_reg *msr_find_reg(u32 index)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msr_regs); i++)
		if (msr_regs[i].index == index)
			return &msr_regs[i];
	return NULL;
}

static u64 *msr_field(struct vcpu *vcpu, const struct msr_reg *reg)
{
	return (void *)vcpu + reg->offset;
}

/**
 * msr_efer_valid_bits() - what may be set in EFER
 * @vcpu: by its CPUID
 *
 * Return: a mask.
 */
u64 msr_efer_valid_bits(const struct vcpu *vcpu)
{
	u64 bits = EFER_SCE;

	if (vcpu_has(vcpu, CAP_LM))
		bits |= EFER_LME | EFER_LMA;
	if (vcpu_has(vcpu, CAP_NX))
		bits |= EFER_NX;
	if (vcpu_has(vcpu, CAP_FXSR_OPT) && cpuid_host_supports(X86_FEATURE_FXSR_OPT))
		bits |= EFER_FFXSR;
	return bits;
}

/* APM 2 "Extended Feature Enable Register (EFER)": LMA is read-only, LME fixed while paging. */
static int set_efer(struct vcpu *vcpu, u64 val, bool host)
{
	if (val & ~msr_efer_valid_bits(vcpu))
		return MSR_GP;
	if (!host && vcpu->cr0 & X86_CR0_PG && (val ^ vcpu->efer) & EFER_LME)
		return MSR_GP;
	backend(set_efer)(vcpu, (val & ~(u64)EFER_LMA) | (vcpu->efer & EFER_LMA));
	vcpu_update_walk(vcpu);
	return MSR_OK;
}

/* Some values are not right either, some have consequences. */
static int write_reg(struct vcpu *vcpu, const struct msr_reg *reg, u64 val, bool host)
{
	if (val & ~reg->writable || !(host || vcpu_has(vcpu, reg->cap)))
		return MSR_GP;
	switch (reg->index) {
	case MSR_IA32_TSC_ADJUST:
		if (host)	/* the TSC stays as it is */
			break;
		clock_move_tsc(vcpu, val - vcpu->tsc_adjust);
		return MSR_OK;
	case MSR_IA32_APICBASE: return lapic_set_base(vcpu, val, host);
	case MSR_EFER: return set_efer(vcpu, val, host);
	case MSR_IA32_CR_PAT:
		if (!mtrr_pat_valid(val))
			return MSR_GP;
		vcpu->pat = val;
		backend(set_msr)(vcpu, reg->index, val);
		return MSR_OK;
	case MSR_IA32_MISC_ENABLE:
		if (host)
			break;
		if ((val ^ vcpu->misc_enable) & MISC_ENABLE_PMU_BITS)
			return MSR_GP;
		val &= ~(u64)MSR_IA32_MISC_ENABLE_EMON;		/* read-only */
		val |= vcpu->misc_enable & MSR_IA32_MISC_ENABLE_EMON;
		break;
	case MSR_IA32_UCODE_REV:	/* guests write it before they ask CPUID to fill it */
		if (!host)
			return MSR_OK;
		break;
	case MSR_PLATFORM_INFO:
	case MSR_SMI_COUNT:
		if (!host)
			return MSR_GP;
		break;
	case MSR_K7_HWCR:
		if (val & ~(u64)(HWCR_WRITE_IGNORED | HWCR_MC_STATUS_WR_EN))
			return MSR_GP;
		val = HWCR_TSC_FREQ_SEL | (val & HWCR_MC_STATUS_WR_EN);
		break;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		vcpu->wall_clock_msr = val;
		clock_write_wall(vcpu, val);
		return MSR_OK;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		vcpu->kvmclock_msr = val;
		/* QEMU restores what the guest wrote to the new one by the old one. */
		vcpu->kvmclock_new = host || reg->index == MSR_KVM_SYSTEM_TIME_NEW;
		vcpu_request(vcpu, REQ_CLOCK_UPDATE);
		break;
	case MSR_KVM_STEAL_TIME:
		clock_set_steal(vcpu, val);
		return MSR_OK;
	case MSR_KVM_PV_EOI_EN: return lapic_set_pv_eoi(vcpu, val);
	}
	*msr_field(vcpu, reg) = val;
	if (reg->index == MSR_IA32_MISC_ENABLE)
		cpuid_refresh(vcpu);
	return MSR_OK;
}

/* ---- registers with one value ---- */

/*
 * Guests that know their CPU by family and model take these for granted, or
 * read them to work around errata that only their silicon has.
 */
struct msr_fixed {
	u32	index;
	u8	count;		/* so many in a row */
	bool	drop;		/* writes do nothing; else one that changes it is #GP */
	u64	value;
};

static const struct msr_fixed msr_fixed[] = {
	/* Intel */
	{ MSR_IA32_PLATFORM_ID,		1, false, 0 },
	{ MSR_IA32_EBL_CR_POWERON,	1, false, 0 },
	{ MSR_EBC_FREQUENCY_ID,		1, false, 1 << 24 },	/* core to bus ratio 1: divided by */
	{ MSR_FSB_FREQ,			1, false, 3 },		/* 166 MHz */
	{ MSR_MISC_FEATURES_ENABLES,	1, false, 0 },
	{ MSR_IA32_UCODE_WRITE,		1, true, 0 },
	{ MSR_P6_PERFCTR0,		2, true, 0 },
	{ MSR_P6_EVNTSEL0,		2, true, 0 },
	/* AMD; NOTDONE: the PMU. Counters that do not count are how perf finds none. */
	{ MSR_K7_EVNTSEL0,		8, true, 0 },	/* and MSR_K7_PERFCTR0 */
	{ MSR_AMD64_SYSCFG,		1, false, 0 },
	{ MSR_AMD64_NB_CFG,		1, true, 0 },
	{ MSR_AMD64_PATCH_LOADER,	1, true, 0 },
	{ MSR_K8_INT_PENDING_MSG,	1, false, 0 },
	{ MSR_FAM10H_MMIO_CONF_BASE,	1, false, 0 },
	{ MSR_K8_TSEG_ADDR,		2, false, 0 },	/* and its mask */
	{ MSR_AMD64_BU_CFG2,		1, true, 0 },
	{ MSR_AMD64_DC_CFG,		2, true, 0 },	/* and MSR_AMD64_TW_CFG */
	{ MSR_F15H_EX_CFG,		1, true, 0 },
};

static int access_fixed(u32 index, u64 *val, bool write)
{
	const struct msr_fixed *fixed;

	for (fixed = msr_fixed; fixed < msr_fixed + ARRAY_SIZE(msr_fixed); fixed++) {
		if (index - fixed->index >= fixed->count)
			continue;
		if (write && !fixed->drop && *val != fixed->value)
			return MSR_GP;
		*val = fixed->value;
		return MSR_OK;
	}
	return MSR_UNKNOWN;
}

/* ---- speculation, features ---- */

static u64 spec_ctrl_valid __ro_after_init;

static u64 de_cfg(void)
{
	return boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ? MSR_AMD64_DE_CFG_LFENCE_SERIALIZE : 0;
}

/* A barrier that the guest asks for, on the CPU it is on. */
static int write_command(u32 index, u64 val, u64 command, unsigned int feature, bool allowed)
{
	if (!allowed || !boot_cpu_has(feature) || val & ~command)
		return MSR_GP;
	if (val)
		wrmsrl(index, val);
	return MSR_OK;
}

/* ---- read and write ---- */

static bool has_spec_ctrl(const struct vcpu *vcpu, bool host)
{
	return spec_ctrl_valid && (host || vcpu_has(vcpu, CAP_SPEC_CTRL));
}

/**
 * msr_read() - read an MSR
 * @vcpu: under its mutex
 * @index: its number
 * @val: filled if MSR_OK
 * @host: user space asks: CPUID does not matter
 *
 * Return: enum msr_result.
 */
int msr_read(struct vcpu *vcpu, u32 index, u64 *val, bool host)
{
	const struct msr_reg *reg;
	int r;

	switch (index) {
	case MSR_IA32_TSC:
		*val = clock_guest_tsc(vcpu);
		return MSR_OK;
	case MSR_IA32_TSC_DEADLINE:
		*val = lapic_get_tscdeadline(vcpu);
		return MSR_OK;
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff: return lapic_msr_read(vcpu, index, val);
	case MSR_MTRRcap:
	case MTRRphysBase_MSR(0) ... MSR_MTRRfix4K_F8000:
	case MSR_MTRRdefType: return mtrr_read(vcpu, index, val);
	case MSR_IA32_MCG_CAP:
	case MSR_IA32_MCG_CTL:
	case MSR_IA32_MC0_CTL ... MSR_IA32_MCx_CTL(MCE_MAX_BANKS) - 1:
		return mce_read(vcpu, index, val, host);
	case MSR_IA32_SPEC_CTRL:
		if (!has_spec_ctrl(vcpu, host))
			return MSR_GP;
		break;		/* it is the vendor's */
	case MSR_AMD64_DE_CFG:
		*val = de_cfg();
		return MSR_OK;
	}
	reg = msr_find_reg(index);
	if (reg) {
		if (!host && index == MSR_PLATFORM_INFO && vcpu->vm->hide_platform_info)
			return MSR_GP;
		*val = *msr_field(vcpu, reg);
		return host || vcpu_has(vcpu, reg->cap) ? MSR_OK : MSR_GP;
	}
	r = backend(get_msr)(vcpu, index, val);
	return r == MSR_UNKNOWN ? access_fixed(index, val, false) : r;
}

/**
 * msr_write() - write an MSR
 * @vcpu: under its mutex; memslot_srcu held; may sleep
 * @index: its number
 * @val: new value
 * @host: user space asks: CPUID does not matter, and read-only ones can be set
 *
 * Return: enum msr_result.
 */
int msr_write(struct vcpu *vcpu, u32 index, u64 val, bool host)
{
	const struct msr_reg *reg;
	int r;

	switch (index) {
	case MSR_IA32_TSC:
		if (host)
			clock_set_tsc(vcpu, val);
		else
			clock_move_tsc(vcpu, val - clock_guest_tsc(vcpu));
		return MSR_OK;
	case MSR_IA32_TSC_DEADLINE:
		lapic_set_tscdeadline(vcpu, val);
		return MSR_OK;
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff: return lapic_msr_write(vcpu, index, val);
	case MSR_MTRRcap:
	case MTRRphysBase_MSR(0) ... MSR_MTRRfix4K_F8000:
	case MSR_MTRRdefType: return mtrr_write(vcpu, index, val);
	case MSR_IA32_MCG_CAP:
	case MSR_IA32_MCG_CTL:
	case MSR_IA32_MC0_CTL ... MSR_IA32_MCx_CTL(MCE_MAX_BANKS) - 1:
		return mce_write(vcpu, index, val, host);
	case MSR_IA32_SPEC_CTRL:
		if (!has_spec_ctrl(vcpu, host) || val & ~spec_ctrl_valid)
			return MSR_GP;
		break;		/* it is the vendor's */
	case MSR_IA32_PRED_CMD:
		return write_command(index, val, PRED_CMD_IBPB, X86_FEATURE_IBPB,
				     host || vcpu_has(vcpu, CAP_PRED_CMD));
	case MSR_IA32_FLUSH_CMD:
		return write_command(index, val, L1D_FLUSH, X86_FEATURE_FLUSH_L1D,
				     host || vcpu_has(vcpu, CAP_FLUSH_L1D));
	case MSR_AMD64_DE_CFG: return val == de_cfg() ? MSR_OK : MSR_GP;
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		if (vcpu_has(vcpu, CAP_AMD_COMPATIBLE))
			break;	/* 32 bits of them count there */
		fallthrough;
	case MSR_FS_BASE:	/* SDM 4 "Model-Specific Registers (MSRs)": addresses */
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_LSTAR:
	case MSR_CSTAR:
		if (!__is_canonical_address(val, vcpu->cr4 & X86_CR4_LA57 ? 57 : 48))
			return MSR_GP;
		break;
	}
	reg = msr_find_reg(index);
	if (reg)
		return write_reg(vcpu, reg, val, host);
	r = backend(set_msr)(vcpu, index, val);
	return r == MSR_UNKNOWN ? access_fixed(index, &val, true) : r;
}

/**
 * msr_vcpu_init() - a new vCPU: what is not 0 after RESET
 * @vcpu: not visible to others; vcpu_reset() follows
 *
 * SDM 3A "Processor State After Reset".  The TSC has been set by
 * clock_vcpu_init(), IA32_APIC_BASE is the local APIC's.  An INIT leaves MSRs
 * as they are, but for EFER and those by which we write to memory: see vcpu_reset().
 */
void msr_vcpu_init(struct vcpu *vcpu)
{
	vcpu->pat = PAT_AFTER_RESET;
	backend(set_msr)(vcpu, MSR_IA32_CR_PAT, vcpu->pat);
	vcpu->misc_enable = MISC_ENABLE_PMU_BITS;
	vcpu->hwcr = HWCR_TSC_FREQ_SEL;
	vcpu->microcode_version = boot_cpu_data.x86_vendor == X86_VENDOR_INTEL ?
				  UCODE_REV_INTEL : UCODE_REV_AMD;
	vcpu->mcg_cap = MCE_MAX_BANKS;
	vcpu->poll_control_msr = 1;
}

/* ---- ioctls ---- */

/* MSRs that tell user space about the host, before there is a vCPU. */
static int read_feature(u32 index, u64 *val)
{
	switch (index) {
	case MSR_IA32_UCODE_REV: return rdmsrl_safe(index, val) ? MSR_GP : MSR_OK;
	case MSR_AMD64_DE_CFG:
		*val = de_cfg();
		return MSR_OK;
	default: return MSR_UNKNOWN;
	}
}

static int msr_io_one(struct vcpu *vcpu, struct kvm_msr_entry *entry, bool write)
{
	u64 val = entry->data;
	int r = !vcpu ? read_feature(entry->index, &val) :
		write ? msr_write(vcpu, entry->index, val, true) :
			msr_read(vcpu, entry->index, &val, true);

	if (!r)
		entry->data = val;
	return r;
}

/**
 * msr_ioctl() - KVM_GET_MSRS, KVM_SET_MSRS: one by one, up to the first that fails
 * @vcpu: under its mutex; memslot_srcu held; NULL for KVM_GET_MSRS of /dev/kvm
 * @user: number of entries, entries
 * @write: KVM_SET_MSRS
 *
 * Return: how many were read or written before one could not be; -E2BIG from
 * 256 entries on; -EFAULT, -ENOMEM.
 */
long msr_ioctl(struct vcpu *vcpu, struct kvm_msrs __user *user, bool write)
{
	struct kvm_msr_entry *entries __free(kfree) = NULL;
	u32 i, nr;

	if (get_user(nr, &user->nmsrs))
		return -EFAULT;
	if (nr >= MSR_IO_MAX)
		return -E2BIG;
	entries = memdup_user(user->entries, nr * sizeof(*entries));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	for (i = 0; i < nr && !msr_io_one(vcpu, &entries[i], write); i++)
		;
	if (!write && copy_to_user(user->entries, entries, nr * sizeof(*entries)))
		return -EFAULT;
	return i;
}

/* ---- which there are ---- */

/* What user space saves and restores: most of msr_regs[], and these; some of them both backends keep. */
static const u32 msr_to_save[] __initconst = {
	MSR_IA32_TSC, MSR_IA32_TSC_DEADLINE, MSR_IA32_MCG_CTL,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_IA32_DEBUGCTLMSR,
};

static const u32 msr_features[] = { MSR_IA32_UCODE_REV, MSR_AMD64_DE_CFG };

static u32 msr_list[64] __ro_after_init;
static u32 msr_list_nr __ro_after_init;

static void __init list_msr(u32 index)
{
	if (!WARN_ON_ONCE(msr_list_nr == ARRAY_SIZE(msr_list)))
		msr_list[msr_list_nr++] = index;
}

/**
 * msr_module_init() - which MSRs there are on this host
 *
 * After cpuid_module_init().
 */
void __init msr_module_init(void)
{
	unsigned int i;

	if (cpuid_host_supports(X86_FEATURE_AMD_IBRS))
		spec_ctrl_valid |= SPEC_CTRL_IBRS;
	if (cpuid_host_supports(X86_FEATURE_AMD_STIBP))
		spec_ctrl_valid |= SPEC_CTRL_STIBP;
	if (cpuid_host_supports(X86_FEATURE_AMD_SSBD))
		spec_ctrl_valid |= SPEC_CTRL_SSBD;

	for (i = 0; i < ARRAY_SIZE(msr_to_save); i++)
		list_msr(msr_to_save[i]);
	for (i = 0; i < ARRAY_SIZE(msr_regs); i++)
		if (msr_regs[i].index != MSR_EFER && msr_regs[i].index != MSR_IA32_APICBASE)
			list_msr(msr_regs[i].index);	/* those two go with KVM_GET_SREGS */
	if (boot_cpu_has(X86_FEATURE_SVM))
		list_msr(MSR_VM_HSAVE_PA);
	if (spec_ctrl_valid)
		list_msr(MSR_IA32_SPEC_CTRL);
}

/**
 * msr_ioctl_list() - KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST
 * @user: in: room for so many; out: how many there are, and they
 * @features: those that /dev/kvm tells; else those that user space can read
 *	and write on every vCPU
 *
 * Return: 0; -E2BIG when there is not room for all; -EFAULT.
 */
long msr_ioctl_list(struct kvm_msr_list __user *user, bool features)
{
	const u32 *list = features ? msr_features : msr_list;
	u32 room, nr = features ? ARRAY_SIZE(msr_features) : msr_list_nr;

	if (get_user(room, &user->nmsrs) || put_user(nr, &user->nmsrs))
		return -EFAULT;
	if (room < nr)
		return -E2BIG;
	return copy_to_user(user->indices, list, nr * sizeof(*list)) ? -EFAULT : 0;
}
