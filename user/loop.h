/* SPDX-License-Identifier: GPL-2.0 */
/* The I/O thread: one epoll loop for everything that is not a vCPU or a disk. */
#ifndef VITRO_LOOP_H
#define VITRO_LOOP_H

#include <sys/epoll.h>

#include "util.h"

struct loop_watch {
	int fd;
	void (*ready)(struct loop_watch *watch, u32 events);
};

struct loop {
	int epoll;
	int wake;		/* eventfd that ends loop_run() */
};

void loop_init(struct loop *loop);
int loop_add(struct loop *loop, struct loop_watch *watch, u32 events);
void loop_change(struct loop *loop, struct loop_watch *watch, u32 events);
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

void event_signal(int fd);
void event_drain(int fd);
int event_create(void);

#endif /* VITRO_LOOP_H */
