/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/build_bug.h>. */
#ifndef SHIM_BUILD_BUG
#define SHIM_BUILD_BUG

#define BUILD_BUG_ON(condition)	_Static_assert(!(condition), #condition)

#endif
