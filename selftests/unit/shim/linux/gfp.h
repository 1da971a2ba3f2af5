/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/gfp.h>. */
#ifndef SHIM_GFP_H
#define SHIM_GFP_H

#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0
#define __GFP_ZERO		0

/* The test that links code which allocates pages has the pages. */
unsigned long get_zeroed_page(int gfp);
struct page *alloc_page(int gfp);	/* zeroed, too */
void free_page(unsigned long address);

#endif
