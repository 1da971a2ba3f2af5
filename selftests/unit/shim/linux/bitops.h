/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/bitops.h>. */
#ifndef SHIM_BITOPS_H
#define SHIM_BITOPS_H

#define __ffs64(word)	((unsigned int)__builtin_ctzll(word))

#endif
