/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/preempt.h>. */
#ifndef SHIM_PREEMPT
#define SHIM_PREEMPT

struct preempt_notifier {
	int unused;
};

#endif /* SHIM_PREEMPT */
