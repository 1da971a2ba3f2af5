/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/wait.h>. */
#ifndef SHIM_WAIT_H
#define SHIM_WAIT_H

typedef struct wait_queue_entry wait_queue_entry_t;
typedef int (*wait_queue_func_t)(wait_queue_entry_t *entry, unsigned int mode, int sync, void *key);

struct wait_queue_entry {
	wait_queue_func_t func;
};

typedef struct { wait_queue_entry_t *entry; } wait_queue_head_t;	/* room for one */

#define init_waitqueue_func_entry(wait, function)	((wait)->func = (function))
#define add_wait_queue_priority(head, wait)		((head)->entry = (wait))

#endif
