/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/refcount.h>. */
#ifndef SHIM_REFCOUNT
#define SHIM_REFCOUNT

typedef struct { int refs; } refcount_t;

#endif
