// SPDX-License-Identifier: GPL-2.0
/*
 * Memory-type range registers and the page attribute table.
 * SDM 3A "Memory Type Range Registers (MTRRs)"; APM 2 "Memory-Type Range Registers".
 *
 * They are kept, checked and read back.  The type of a guest's memory comes
 * from its PAT, which the CPU combines with the second-level entry: RAM is
 * write-back whatever the MTRRs say, device memory uncached.
 */
#include <asm/msr-index.h>
#include <asm/mtrr.h>
#include "msr.h"

enum {
	/* IA32_MTRRCAP: fixed ranges and write combining; the number is in the low byte */
	MTRRCAP_FIX		= 1 << 8,
	MTRRCAP_WC		= 1 << 10,

	/* IA32_MTRR_DEF_TYPE */
	MTRR_DEF_FIXED_ENABLE	= 1 << 10,
	MTRR_DEF_ENABLE		= 1 << 11,

	MTRR_MASK_VALID		= 1 << 11,	/* IA32_MTRR_PHYSMASKn */
	MTRR_TYPE_MASK		= 0xff,		/* IA32_MTRR_DEF_TYPE, IA32_MTRR_PHYSBASEn */

	MTRR_TYPES		= BIT(MTRR_TYPE_UNCACHABLE) | BIT(MTRR_TYPE_WRCOMB) |
				  BIT(MTRR_TYPE_WRTHROUGH) | BIT(MTRR_TYPE_WRPROT) |
				  BIT(MTRR_TYPE_WRBACK),
	PAT_UC_MINUS		= 7,
};

/* Is each byte of @val one of @types? No byte that is left is 0: uncached. */
static bool types_valid(u64 val, unsigned int types)
{
	for (; val; val >>= 8)
		if ((u8)val > PAT_UC_MINUS || !(types & BIT((u8)val)))
			return false;
	return true;
}

/**
 * mtrr_pat_valid() - may IA32_PAT have this value?
 * @pat: eight types, a byte each
 */
bool mtrr_pat_valid(u64 pat)
{
	return types_valid(pat, MTRR_TYPES | BIT(PAT_UC_MINUS));
}

/* The register's place in @vcpu, NULL if there is none of that number. */
static u64 *mtrr_reg(struct vcpu *vcpu, u32 index)
{
	static_assert(ARRAY_SIZE(vcpu->mtrr_var) == 2 * MTRR_NR_VARIABLE);

	switch (index) {
	case MTRRphysBase_MSR(0) ... MTRRphysMask_MSR(MTRR_NR_VARIABLE - 1):
		return &vcpu->mtrr_var[index - MTRRphysBase_MSR(0)];
	case MSR_MTRRfix64K_00000: return &vcpu->mtrr_fixed[0];
	case MSR_MTRRfix16K_80000 ... MSR_MTRRfix16K_A0000:
		return &vcpu->mtrr_fixed[1 + index - MSR_MTRRfix16K_80000];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &vcpu->mtrr_fixed[3 + index - MSR_MTRRfix4K_C0000];
	case MSR_MTRRdefType: return &vcpu->mtrr_def_type;
	default: return NULL;
	}
}

/**
 * mtrr_read() - read an MTRR
 * @vcpu: under its mutex
 * @index: MSR number
 * @val: filled
 *
 * Return: enum msr_result; MSR_UNKNOWN if it is none.
 */
int mtrr_read(struct vcpu *vcpu, u32 index, u64 *val)
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
	u64 address = GENMASK_ULL(vcpu->maxphyaddr - 1, PAGE_SHIFT);
	u64 types = ~0ULL, others = 0;	/* bits that are types, and other writable ones */
	u64 *reg = mtrr_reg(vcpu, index);

	if (!reg)
		return index == MSR_MTRRcap ? MSR_GP : MSR_UNKNOWN;
	if (index == MSR_MTRRdefType) {
		types = MTRR_TYPE_MASK;
		others = MTRR_DEF_FIXED_ENABLE | MTRR_DEF_ENABLE;
	} else if (index < MTRRphysBase_MSR(MTRR_NR_VARIABLE)) {
		types = index & 1 ? 0 : MTRR_TYPE_MASK;
		others = index & 1 ? address | MTRR_MASK_VALID : address;
	}
	if (val & ~(types | others) || !types_valid(val & types, MTRR_TYPES))
		return MSR_GP;
	*reg = val;
	return MSR_OK;
}
