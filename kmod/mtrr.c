// SPDX-License-Identifier: GPL-2.0
/*
 * Memory-type range registers and the page attribute table.
 * SDM 3A "Memory Type Range Registers (MTRRs)"; APM 2 "Memory-Type Range Registers".
 *
 * They are kept, checked and read back.  The type of a guest's memory comes
 * from its PAT, which the CPU combines with the second-level entry: RAM is
 * write-back whatever the MTRRs say, device memory uncached.
 */
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include <asm/mtrr.h>
#include "msr.h"

enum {
	/* IA32_MTRRCAP: fixed ranges and write combining; the number is in the low byte */
	MTRRCAP_FIX		= 1 << 8,
	MTRRCAP_WC		= 1 << 10,

	/* IA32_MTRR_DEF_TYPE */
	MTRR_DEF_TYPE_MASK	= 0xff,
	MTRR_DEF_FIXED_ENABLE	= 1 << 10,
	MTRR_DEF_ENABLE		= 1 << 11,

	/* IA32_MTRR_PHYSBASEn, IA32_MTRR_PHYSMASKn: below the address */
	MTRR_BASE_TYPE_MASK	= 0xff,
	MTRR_MASK_VALID		= 1 << 11,

	PAT_UC_MINUS		= 7,
};

static bool mtrr_type_valid(u8 type)
{
	return type == MTRR_TYPE_UNCACHABLE || type == MTRR_TYPE_WRCOMB ||
	       type == MTRR_TYPE_WRTHROUGH || type == MTRR_TYPE_WRPROT ||
	       type == MTRR_TYPE_WRBACK;
}

/**
 * mtrr_pat_valid() - may IA32_PAT have this value?
 * @pat: eight types, a byte each
 */
bool mtrr_pat_valid(u64 pat)
{
	unsigned int i;

	for (i = 0; i < sizeof(pat); i++, pat >>= 8)
		if (!mtrr_type_valid(pat) && (u8)pat != PAT_UC_MINUS)
			return false;
	return true;
}

static bool mtrr_fixed_valid(u64 val)
{
	unsigned int i;

	for (i = 0; i < sizeof(val); i++, val >>= 8)
		if (!mtrr_type_valid(val))
			return false;
	return true;
}

static bool mtrr_variable_valid(const struct vcpu *vcpu, u32 index, u64 val)
{
	u64 address = GENMASK_ULL(vcpu->maxphyaddr - 1, PAGE_SHIFT);

	if (index & 1)
		return !(val & ~(address | MTRR_MASK_VALID));
	return !(val & ~(address | MTRR_BASE_TYPE_MASK)) && mtrr_type_valid(val);
}

/* Where a fixed-range register is kept: 1 of 64K pieces, 2 of 16K, 8 of 4K; -1: it is none. */
static int mtrr_fixed_slot(u32 index)
{
	switch (index) {
	case MSR_MTRRfix64K_00000:
		return 0;
	case MSR_MTRRfix16K_80000 ... MSR_MTRRfix16K_A0000:
		return 1 + index - MSR_MTRRfix16K_80000;
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return 3 + index - MSR_MTRRfix4K_C0000;
	default:
		return -1;
	}
}

/* The register's place in @vcpu, NULL if there is none of that number. */
static const u64 *mtrr_reg(const struct vcpu *vcpu, u32 index)
{
	int slot = mtrr_fixed_slot(index);

	static_assert(ARRAY_SIZE(vcpu->mtrr_var) == 2 * MTRR_NR_VARIABLE);
	if (slot >= 0)
		return &vcpu->mtrr_fixed[slot];
	if (index == MSR_MTRRdefType)
		return &vcpu->mtrr_def_type;
	if (index >= MTRRphysBase_MSR(0) && index < MTRRphysBase_MSR(MTRR_NR_VARIABLE))
		return &vcpu->mtrr_var[index - MTRRphysBase_MSR(0)];
	return NULL;
}

/**
 * mtrr_read() - read an MTRR
 * @vcpu: under its mutex
 * @index: MSR number
 * @val: filled
 *
 * Return: enum msr_result; MSR_UNKNOWN if it is none.
 */
int mtrr_read(const struct vcpu *vcpu, u32 index, u64 *val)
{
	const u64 *reg = mtrr_reg(vcpu, index);

	if (index == MSR_MTRRcap)
		*val = MTRR_NR_VARIABLE | MTRRCAP_FIX | MTRRCAP_WC;
	else if (reg)
		*val = *reg;
	else
		return MSR_UNKNOWN;
	return MSR_OK;
}

/**
 * mtrr_write() - write an MTRR
 * @vcpu: under its mutex
 * @index: MSR number
 * @val: new value
 *
 * Return: enum msr_result; MSR_GP for a reserved bit or type, MSR_UNKNOWN if it is none.
 */
int mtrr_write(struct vcpu *vcpu, u32 index, u64 val)
{
	u64 *reg = (u64 *)mtrr_reg(vcpu, index);
	bool valid;

	if (!reg)
		return index == MSR_MTRRcap ? MSR_GP : MSR_UNKNOWN;
	if (index == MSR_MTRRdefType)
		valid = mtrr_type_valid(val) &&
			!(val & ~(u64)(MTRR_DEF_TYPE_MASK | MTRR_DEF_FIXED_ENABLE | MTRR_DEF_ENABLE));
	else if (mtrr_fixed_slot(index) >= 0)
		valid = mtrr_fixed_valid(val);
	else
		valid = mtrr_variable_valid(vcpu, index, val);
	if (!valid)
		return MSR_GP;
	*reg = val;
	return MSR_OK;
}
