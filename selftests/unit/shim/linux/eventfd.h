/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/eventfd.h>; the test has the eventfds. */
#ifndef SHIM_EVENTFD_H
#define SHIM_EVENTFD_H

#include <linux/err.h>
#include <linux/file.h>
#include <linux/types.h>
#include <linux/wait.h>

struct eventfd_ctx;

struct file *eventfd_fget(int fd);
struct eventfd_ctx *eventfd_ctx_fdget(int fd);
struct eventfd_ctx *eventfd_ctx_fileget(struct file *file);
void eventfd_ctx_put(struct eventfd_ctx *ctx);
void eventfd_ctx_do_read(struct eventfd_ctx *ctx, unsigned long *count);
int eventfd_ctx_remove_wait_queue(struct eventfd_ctx *ctx, wait_queue_entry_t *wait,
				  unsigned long *count);
void compat_eventfd_signal(struct eventfd_ctx *ctx);

#endif
