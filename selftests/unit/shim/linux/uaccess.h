/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/uaccess.h>; user space is here. */
#ifndef SHIM_UACCESS
#define SHIM_UACCESS

#include <stdlib.h>
#include <string.h>

#define get_user(x, ptr)		((x) = *(ptr), 0)
#define put_user(x, ptr)		(*(ptr) = (x), 0)
#define copy_from_user(to, from, n)	(memcpy(to, from, n), 0)
#define copy_to_user(to, from, n)	(memcpy(to, from, n), 0)

static inline void *memdup_user(const void *from, unsigned long n)
{
	return memcpy(malloc(n), from, n);
}

#endif
