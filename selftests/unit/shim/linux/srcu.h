/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/srcu.h>. */
#ifndef SHIM_SRCU
#define SHIM_SRCU

struct srcu_struct { int readers; };

#endif
