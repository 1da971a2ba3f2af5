/* SPDX-License-Identifier: GPL-2.0 */
/* What this CPU's VMX can do, as plain numbers: check.c also builds in user space. */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include "../types.h"

/*
 * SDM 3D "VMX Capability Reporting Facility".  Of each pair of controls the
 * low half are the bits that must be 1 (allowed-0 settings), the high half
 * those that may be 1 (allowed-1 settings).
 */
struct vmx_caps {
	u64	basic;				/* IA32_VMX_BASIC */
	u64	pin, proc, exit, entry;		/* the TRUE ones where the CPU has them */
	u64	proc2;
	u64	misc;				/* IA32_VMX_MISC */
	u64	cr0_fixed0, cr0_fixed1;		/* must be 1, may be 1 */
	u64	cr4_fixed0, cr4_fixed1;
	u64	ept_vpid;			/* IA32_VMX_EPT_VPID_CAP */
	u8	maxphyaddr;			/* physical address bits */
};

extern struct vmx_caps vmx_caps;		/* vmx.c */

#endif /* VMX_CAPS_H */
