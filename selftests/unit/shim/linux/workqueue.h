/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/workqueue.h>; the test runs what is queued. */
#ifndef SHIM_WORKQUEUE_H
#define SHIM_WORKQUEUE_H

#include <stdbool.h>

struct work_struct {
	void (*function)(struct work_struct *work);
};

struct workqueue_struct;

#define INIT_WORK(work, func)	((work)->function = (func))

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max_active);
void destroy_workqueue(struct workqueue_struct *queue);
bool queue_work(struct workqueue_struct *queue, struct work_struct *work);

#endif
