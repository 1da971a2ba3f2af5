/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/mm.h>. */
#ifndef SHIM_MM_H
#define SHIM_MM_H

#include <linux/list.h>

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define offset_in_page(addr)	((unsigned long)(addr) & (PAGE_SIZE - 1))

struct page {
	struct list_head lru;
};

/* As with <linux/gfp.h>: the test has them. */
struct page *virt_to_page(const void *address);
void *page_address(const struct page *page);

#endif
