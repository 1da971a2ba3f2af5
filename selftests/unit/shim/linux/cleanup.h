/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/cleanup.h>. */
#ifndef SHIM_CLEANUP_H
#define SHIM_CLEANUP_H

/* T *p __free(kfree): until the end of the block */
#define __free(name)	__attribute__((cleanup(__free_##name)))

#endif
