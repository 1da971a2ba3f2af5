/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/timex.h>. */
#ifndef SHIM_TIMEX_H
#define SHIM_TIMEX_H

#define PIT_TICK_RATE	1193182ul

#endif
