/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/sched.h>; the test is the one thread. */
#ifndef SHIM_SCHED
#define SHIM_SCHED

struct task_struct {
	struct { unsigned long long run_delay; } sched_info;
};

extern struct task_struct *current;

#endif
