/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/kernel.h>. */
#ifndef SHIM_KERNEL
#define SHIM_KERNEL

#include <linux/bits.h>
#include <linux/minmax.h>

#endif
