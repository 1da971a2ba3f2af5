/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/nospec.h>. */
#ifndef SHIM_NOSPEC
#define SHIM_NOSPEC

#define array_index_nospec(index, size)	(index)

#endif
