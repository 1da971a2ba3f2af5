/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/pgtable_types.h>. */
#ifndef SHIM_PGTABLE_TYPES_H
#define SHIM_PGTABLE_TYPES_H

#include <linux/mm.h>

#define _PAGE_PRESENT	(1UL << 0)
#define _PAGE_RW	(1UL << 1)
#define _PAGE_USER	(1UL << 2)
#define _PAGE_ACCESSED	(1UL << 5)
#define _PAGE_DIRTY	(1UL << 6)
#define _PAGE_PSE	(1UL << 7)
#define _PAGE_NX	(1UL << 63)
#define _PAGE_BIT_PKEY_BIT0	59

#endif
