/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/msr-index.h>. */
#ifndef SHIM_MSR_INDEX_H
#define SHIM_MSR_INDEX_H

#define EFER_LME	(1 << 8)
#define EFER_LMA	(1 << 10)
#define EFER_NX		(1 << 11)

#define MSR_IA32_APICBASE		0x1b
#define MSR_IA32_APICBASE_BSP		(1 << 8)
#define MSR_IA32_TSC_DEADLINE		0x6e0

#endif
