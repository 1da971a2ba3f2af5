// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

/**
 * event_create() - an eventfd, non-blocking.
 *
 * Return: the descriptor.
 */
int event_create(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		die("eventfd: %s", strerror(errno));
	return fd;
}

/**
 * event_signal() - wake whoever waits for an eventfd.
 * @fd: eventfd.
 */
void event_signal(int fd)
{
	u64 one = 1;

	/* It can fail only when the count is at its end: then it is signalled. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/**
 * event_drain() - take an eventfd's (or timerfd's) count back to zero.
 * @fd: descriptor, non-blocking.
 */
void event_drain(int fd)
{
	u64 count;

	/* Nothing to read means that somebody else was faster. */
	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

/**
 * loop_init() - a loop that watches nothing.
 * @loop: to be filled.
 */
void loop_init(struct loop *loop)
{
	struct epoll_event wake = { .events = EPOLLIN, .data.ptr = NULL };

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		die("epoll: %s", strerror(errno));
	loop->wake = event_create();
	epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &wake);
}

/**
 * loop_add() - watch a descriptor.
 * @loop: loop.
 * @watch: lives as long as the loop.
 * @events: EPOLL* bits.
 *
 * Return: 0, or -EPERM for a file that cannot be waited for, as it is always
 * ready.
 */
int loop_add(struct loop *loop, struct loop_watch *watch, u32 events)
{
	struct epoll_event e = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &e) == 0)
		return 0;
	if (errno != EPERM)
		die("epoll: %s", strerror(errno));
	return -EPERM;
}

/**
 * loop_change() - watch a descriptor for other events; from any thread.
 * @loop: loop.
 * @watch: what loop_add() took.
 * @events: EPOLL* bits.
 */
void loop_change(struct loop *loop, struct loop_watch *watch, u32 events)
{
	struct epoll_event e = { .events = events, .data.ptr = watch };

	epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &e);
}

/**
 * loop_run() - call the watches' functions until loop_stop().
 * @loop: loop.
 */
void loop_run(struct loop *loop)
{
	for (;;) {
		struct loop_watch *watch;
		struct epoll_event e;

		/* One at a time: what is taken (EPOLLONESHOT) does not come again. */
		if (epoll_wait(loop->epoll, &e, 1, -1) != 1)
			continue;
		watch = e.data.ptr;
		if (!watch)
			break;
		watch->ready(watch, e.events);
	}
	event_drain(loop->wake);
}

/**
 * loop_stop() - end loop_run(), the present or the next; from any thread.
 * @loop: loop.
 */
void loop_stop(struct loop *loop)
{
	event_signal(loop->wake);
}
