/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/poll.h>. */
#ifndef SHIM_POLL_H
#define SHIM_POLL_H

#include <linux/file.h>
#include <linux/wait.h>

typedef unsigned int __poll_t;

#ifndef EPOLLIN
#define EPOLLIN		0x001
#define EPOLLHUP	0x010
#endif

struct poll_table_struct;
typedef void (*poll_queue_proc)(struct file *file, wait_queue_head_t *queue,
				struct poll_table_struct *table);
typedef struct poll_table_struct {
	poll_queue_proc proc;
} poll_table;

#define init_poll_funcptr(table, function)	((table)->proc = (function))
#define key_to_poll(key)			((__poll_t)(unsigned long)(key))

__poll_t vfs_poll(struct file *file, poll_table *table);

#endif
