/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/mmu_notifier.h>. */
#ifndef SHIM_MMU_NOTIFIER
#define SHIM_MMU_NOTIFIER

/* The real one brings these. */
struct file;
struct inode;

struct mmu_notifier { void *ops; };

#endif
