/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/rcuwait.h>. */
#ifndef SHIM_RCUWAIT
#define SHIM_RCUWAIT

struct rcuwait { void *task; };

#endif
