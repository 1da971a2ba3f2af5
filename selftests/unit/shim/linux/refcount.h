/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/refcount.h>. */
#ifndef SHIM_REFCOUNT
#define SHIM_REFCOUNT

#include <stdbool.h>

typedef struct { int refs; } refcount_t;

static inline bool refcount_inc_not_zero(refcount_t *ref)
{
	return ref->refs && ref->refs++;
}

#endif
