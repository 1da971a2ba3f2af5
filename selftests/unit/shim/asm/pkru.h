/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/pkru.h>. */
#ifndef SHIM_PKRU_H
#define SHIM_PKRU_H

#define PKRU_AD_BIT		0x1u
#define PKRU_WD_BIT		0x2u
#define PKRU_BITS_PER_PKEY	2

#endif
