// SPDX-License-Identifier: GPL-2.0
/*
 * Machine-check registers.  SDM 3B "Machine-Check Architecture".
 *
 * Each bank has four: CTL, STATUS, ADDR, MISC.  Hardly any guest ever stores
 * something else than what they hold after reset (CTL all ones, the rest 0),
 * so there is memory for them only once one does.
 *
 * NOTDONE: KVM_X86_SETUP_MCE and KVM_X86_SET_MCE; the banks are there, but
 * nothing reports an error.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <asm/mce.h>
#include <asm/msr-index.h>
#include "cpuid.h"
#include "msr.h"

enum {
	MCE_BANK_REGS	= 4,	/* CTL, STATUS, ADDR, MISC, in the order of their numbers */
	MCE_CTL		= 0,
	MCE_STATUS	= 1,

	/* APM 2 "Machine-Check MSRs": HWCR bit that lets software write MCi_STATUS */
	HWCR_MC_STATUS_WR_EN = 1 << 18,

	/* Old Linux clears one bit of bank 4 (a GART erratum), UnixWare bit 0. */
	MCE_CTL_MAY_CLEAR = 1 << 10 | 1 << 0,
};

static u64 mce_reset_value(unsigned int reg)
{
	return reg % MCE_BANK_REGS == MCE_CTL ? ~0ULL : 0;
}

static unsigned int mce_nr_regs(const struct vcpu *vcpu)
{
	return (vcpu->mcg_cap & MCG_BANKCNT_MASK) * MCE_BANK_REGS;
}

/* Number of the register among those of all banks, or -1. */
static int mce_bank_reg(const struct vcpu *vcpu, u32 index)
{
	u32 reg = index - MSR_IA32_MC0_CTL, nr = mce_nr_regs(vcpu);

	return reg < nr ? array_index_nospec(reg, nr) : -1;
}

/**
 * mce_read() - read a machine-check MSR
 * @vcpu: under its mutex
 * @index: MSR number
 * @val: filled
 * @host: user space reads
 *
 * Return: enum msr_result; MSR_UNKNOWN if it is none.
 */
int mce_read(const struct vcpu *vcpu, u32 index, u64 *val, bool host)
{
	int reg = mce_bank_reg(vcpu, index);

	switch (index) {
	case MSR_IA32_MCG_CAP:
		*val = vcpu->mcg_cap;
		return MSR_OK;
	case MSR_IA32_MCG_STATUS:
		*val = vcpu->mcg_status;
		return MSR_OK;
	case MSR_IA32_MCG_CTL:
		*val = vcpu->mcg_ctl;
		return vcpu->mcg_cap & MCG_CTL_P || host ? MSR_OK : MSR_GP;
	}
	if (reg < 0)
		return MSR_UNKNOWN;
	*val = vcpu->mce_banks ? vcpu->mce_banks[reg] : mce_reset_value(reg);
	return MSR_OK;
}

static bool mce_bank_value_valid(const struct vcpu *vcpu, unsigned int reg, u64 val, bool host)
{
	switch (reg % MCE_BANK_REGS) {
	case MCE_CTL:	/* all on or all off; other values are undefined */
		return !val || !~(val | MCE_CTL_MAY_CLEAR);
	case MCE_STATUS:
		return !val || host || vcpu->hwcr & HWCR_MC_STATUS_WR_EN;
	default:
		return true;
	}
}

static int mce_write_bank(struct vcpu *vcpu, unsigned int reg, u64 val, bool host)
{
	unsigned int i, nr = mce_nr_regs(vcpu);

	if (!mce_bank_value_valid(vcpu, reg, val, host))
		return MSR_GP;
	if (!vcpu->mce_banks) {
		if (val == mce_reset_value(reg))
			return MSR_OK;
		vcpu->mce_banks = kmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
		if (!vcpu->mce_banks)
			return MSR_GP;
		for (i = 0; i < nr; i++)
			vcpu->mce_banks[i] = mce_reset_value(i);
	}
	vcpu->mce_banks[reg] = val;
	return MSR_OK;
}

/**
 * mce_write() - write a machine-check MSR
 * @vcpu: under its mutex; may sleep
 * @index: MSR number
 * @val: new value
 * @host: user space writes
 *
 * Return: enum msr_result; MSR_UNKNOWN if it is none.
 */
int mce_write(struct vcpu *vcpu, u32 index, u64 val, bool host)
{
	int reg = mce_bank_reg(vcpu, index);

	switch (index) {
	case MSR_IA32_MCG_CAP:
		return MSR_GP;
	case MSR_IA32_MCG_STATUS:
		vcpu->mcg_status = val;
		return MSR_OK;
	case MSR_IA32_MCG_CTL:
		if (!(vcpu->mcg_cap & MCG_CTL_P))
			return host && !val ? MSR_OK : MSR_GP;
		if (val && ~val)
			return MSR_GP;
		vcpu->mcg_ctl = val;
		return MSR_OK;
	}
	return reg < 0 ? MSR_UNKNOWN : mce_write_bank(vcpu, reg, val, host);
}
