/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/pvclock.h>. */
#ifndef SHIM_ASM_PVCLOCK
#define SHIM_ASM_PVCLOCK

#include <asm/pvclock-abi.h>

static inline unsigned long long pvclock_scale_delta(unsigned long long delta, unsigned int mul,
						     int shift)
{
	delta = shift < 0 ? delta >> -shift : delta << shift;
	return (unsigned __int128)delta * mul >> 32;
}

#endif
