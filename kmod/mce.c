// SPDX-License-Identifier: GPL-2.0
/*
 * Machine-check registers.  SDM 3B "Machine-Check Architecture".
 *
 * Each bank has four: CTL, STATUS, ADDR, MISC.  Hardly any guest ever stores
 * something else than what they hold after reset (CTL all ones, the rest 0),
 * so there is memory for them only once one does.  Errors are user space's to
 * report: KVM_X86_SET_MCE.
 *
 * NOTDONE: corrected-error interrupts (CMCI).
 */
#include <linux/nospec.h>
#include <asm/msr-index.h>
#include "cpuid.h"
#include "msr.h"

enum {
	MCE_BANK_REGS	= 4,	/* CTL, STATUS, ADDR, MISC, in the order of their numbers */
	MCE_CTL = 0, MCE_STATUS = 1, MCE_ADDR = 2, MCE_MISC = 3,

	/* Old Linux clears one bit of bank 4 (a GART erratum), UnixWare bit 0. */
	MCE_CTL_MAY_CLEAR = 1 << 10 | 1 << 0,
};

static u64 mce_reset_value(unsigned int reg)
{
	return reg % MCE_BANK_REGS == MCE_CTL ? ~0ULL : 0;
}

/* Number of the register among those of all banks, or -1. */
static int mce_bank_reg(const struct vcpu *vcpu, u32 index)
{
	u32 nr = (vcpu->mcg_cap & MCG_BANKCNT_MASK) * MCE_BANK_REGS;
	u32 reg = index - MSR_IA32_MC0_CTL;

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
	case MSR_IA32_MCG_CTL:
		*val = vcpu->mcg_ctl;
		return vcpu->mcg_cap & MCG_CTL_P || host ? MSR_OK : MSR_GP;
	}
	if (reg < 0)
		return MSR_UNKNOWN;
	*val = vcpu->mce_banks ? vcpu->mce_banks[reg] : mce_reset_value(reg);
	return MSR_OK;
}

/* There may be more banks than the guest has now: user space may change its mind. */
static int mce_alloc_banks(struct vcpu *vcpu)
{
	unsigned int i, nr = MCE_MAX_BANKS * MCE_BANK_REGS;

	if (vcpu->mce_banks)
		return 0;
	vcpu->mce_banks = kmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!vcpu->mce_banks)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		vcpu->mce_banks[i] = mce_reset_value(i);
	return 0;
}

static int mce_write_bank(struct vcpu *vcpu, unsigned int reg, u64 val, bool host)
{
	/* All on or all off; other values are undefined. */
	if (reg % MCE_BANK_REGS == MCE_CTL && val && ~(val | MCE_CTL_MAY_CLEAR))
		return MSR_GP;
	if (reg % MCE_BANK_REGS == MCE_STATUS && val && !host &&
	    !(vcpu->hwcr & HWCR_MC_STATUS_WR_EN))
		return MSR_GP;
	if (!vcpu->mce_banks && val == mce_reset_value(reg))
		return MSR_OK;
	if (mce_alloc_banks(vcpu))
		return MSR_GP;
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
	case MSR_IA32_MCG_CAP: return MSR_GP;
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

/**
 * mce_ioctl_setup() - KVM_X86_SETUP_MCE
 * @vcpu: under its mutex
 * @mcg_cap: IA32_MCG_CAP the guest is to see
 *
 * Return: 0, or -EINVAL for no bank, too many, or what is not supported.
 */
int mce_ioctl_setup(struct vcpu *vcpu, const u64 *mcg_cap)
{
	unsigned int banks = *mcg_cap & MCG_BANKCNT_MASK;

	if (!banks || banks > MCE_MAX_BANKS)
		return -EINVAL;
	if (*mcg_cap & ~(MCE_CAP_SUPPORTED | MCG_BANKCNT_MASK | MCG_EXT_CNT_MASK))
		return -EINVAL;
	vcpu->mcg_cap = *mcg_cap;
	vcpu->mcg_ctl = *mcg_cap & MCG_CTL_P ? ~0ULL : 0;
	kfree(vcpu->mce_banks);
	vcpu->mce_banks = NULL;
	return 0;
}

/**
 * mce_ioctl_set() - KVM_X86_SET_MCE: report an error to the guest
 * @vcpu: under its mutex
 * @mce: bank and what it holds
 *
 * An uncorrected error raises #MC, or shuts the CPU down where it serves one
 * already or has CR4.MCE clear; a corrected one only stays in its bank, and
 * never replaces an uncorrected one.
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int mce_ioctl_set(struct vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	unsigned int banks = vcpu->mcg_cap & MCG_BANKCNT_MASK;
	u64 *bank, lost;

	if (mce->bank >= banks || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	if (mce_alloc_banks(vcpu))
		return -ENOMEM;
	bank = vcpu->mce_banks + array_index_nospec(mce->bank, banks) * MCE_BANK_REGS;

	if (mce->status & MCI_STATUS_UC) {
		/* SDM 3B "IA32_MCG_CTL MSR", "IA32_MCi_CTL MSRs": does the guest listen? */
		if ((vcpu->mcg_cap & MCG_CTL_P && ~vcpu->mcg_ctl) || ~bank[MCE_CTL])
			return 0;
		if (vcpu->mcg_status & MCG_STATUS_MCIP || !(vcpu->cr4 & X86_CR4_MCE)) {
			vcpu_request(vcpu, REQ_TRIPLE_FAULT);
			return 0;
		}
		vcpu->mcg_status = mce->mcg_status;
		vcpu_queue_exception(vcpu, MC_VECTOR);
	} else if (bank[MCE_STATUS] & MCI_STATUS_VAL && bank[MCE_STATUS] & MCI_STATUS_UC) {
		bank[MCE_STATUS] |= MCI_STATUS_OVER;
		return 0;
	}
	lost = bank[MCE_STATUS] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0;
	bank[MCE_STATUS] = mce->status | lost;
	bank[MCE_ADDR] = mce->addr;
	bank[MCE_MISC] = mce->misc;
	return 0;
}
