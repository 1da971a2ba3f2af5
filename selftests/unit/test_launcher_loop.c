// SPDX-License-Identifier: GPL-2.0
/* The I/O thread's loop, over the machine's resets: it ends and runs again. */
#include <unistd.h>

#include "kselftest_harness.h"

#include "loop.h"

FIXTURE(loop) {
	struct loop loop;
	struct loop_watch once, end;
	unsigned int calls;
};

static FIXTURE_DATA(loop) *current;

static void called(struct loop_watch *watch, u32 events)
{
	event_drain(watch->fd);
	current->calls++;
}

static void ends(struct loop_watch *watch, u32 events)
{
	event_drain(watch->fd);
	loop_stop(&current->loop);
}

FIXTURE_SETUP(loop)
{
	current = self;
	loop_init(&self->loop);
	self->once = (struct loop_watch){ event_create(), called };
	self->end = (struct loop_watch){ event_create(), ends };
	ASSERT_EQ(0, loop_add(&self->loop, &self->once, EPOLLIN | EPOLLONESHOT));
	ASSERT_EQ(0, loop_add(&self->loop, &self->end, EPOLLIN));
}

FIXTURE_TEARDOWN(loop)
{
	close(self->once.fd);
	close(self->end.fd);
	close(self->loop.wake);
	close(self->loop.epoll);
}

TEST_F(loop, it_calls_a_watch_and_ends_when_told)
{
	event_signal(self->once.fd);
	event_signal(self->end.fd);
	loop_run(&self->loop);
	ASSERT_EQ(1, self->calls);
}

TEST_F(loop, told_before_it_runs_it_ends_at_once)
{
	loop_stop(&self->loop);
	loop_run(&self->loop);
	ASSERT_EQ(0, self->calls);
}

/* A key or the room for output that comes together with the guest's reset. */
TEST_F(loop, what_comes_with_its_end_is_there_when_it_runs_again)
{
	loop_stop(&self->loop);
	event_signal(self->once.fd);
	loop_run(&self->loop);
	event_signal(self->end.fd);
	loop_run(&self->loop);
	ASSERT_EQ(1, self->calls);
}

TEST_HARNESS_MAIN
