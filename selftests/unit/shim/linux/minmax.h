/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/minmax.h> and <linux/math.h>. */
#ifndef SHIM_MINMAX_H
#define SHIM_MINMAX_H

#ifndef min
#define min(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a > _b ? _a : _b; })
#endif
#ifndef round_down
#define round_down(x, y)	((x) & ~((typeof(x))(y) - 1))
#define round_up(x, y)		((((x) - 1) | ((typeof(x))(y) - 1)) + 1)
#endif

#endif
