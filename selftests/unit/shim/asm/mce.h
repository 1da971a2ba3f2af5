/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/mce.h>. */
#ifndef SHIM_ASM_MCE
#define SHIM_ASM_MCE

#define MCG_BANKCNT_MASK	0xff
#define MCG_CTL_P		(1ULL << 8)
#define MCG_EXT_CNT_MASK	0xff0000
#define MCG_SER_P		(1ULL << 24)
#define MCG_STATUS_MCIP		(1ULL << 2)
#define MCI_STATUS_VAL		(1ULL << 63)
#define MCI_STATUS_OVER		(1ULL << 62)
#define MCI_STATUS_UC		(1ULL << 61)

#endif
