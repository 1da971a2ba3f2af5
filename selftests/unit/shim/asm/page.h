/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/page.h>. */
#ifndef SHIM_ASM_PAGE
#define SHIM_ASM_PAGE

#define __is_canonical_address(address, bits) \
	((long long)((address) << (64 - (bits))) >> (64 - (bits)) == (long long)(address))

#endif
