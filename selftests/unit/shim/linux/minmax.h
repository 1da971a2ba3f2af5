/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/minmax.h> and <linux/math.h>. */
#ifndef SHIM_MINMAX_H
#define SHIM_MINMAX_H

#ifndef min
#define min(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a > _b ? _a : _b; })
#endif
#ifndef min_t
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp_t(type, val, low, high) min_t(type, max_t(type, val, low), high)
#endif
#ifndef round_down
#define round_down(x, y)	((x) & ~((typeof(x))(y) - 1))
#define round_up(x, y)		((((x) - 1) | ((typeof(x))(y) - 1)) + 1)
#endif

#endif
