/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/compiler.h>. */
#ifndef SHIM_COMPILER_H
#define SHIM_COMPILER_H

#ifndef likely
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#endif
#ifndef __always_inline
#define __always_inline	inline __attribute__((__always_inline__))
#endif
#ifndef noinline
#define noinline	__attribute__((__noinline__))
#endif

#endif
