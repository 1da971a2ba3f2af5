// SPDX-License-Identifier: GPL-2.0
/* The threads for work that blocks: no work waits for another as long as there may be more. */
#include <unistd.h>

#include "kselftest_harness.h"

#include "pool.h"

static unsigned int runs;

static void counts(struct pool_work *work)
{
	__atomic_add_fetch(&runs, 1, __ATOMIC_RELEASE);
}

/* Blocks until the other work is done. */
static void waits(struct pool_work *work)
{
	while (!__atomic_load_n(&runs, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static bool has_idle_thread(struct pool *pool)
{
	bool idle;

	pthread_mutex_lock(&pool->lock);
	idle = pool->idle;
	pthread_mutex_unlock(&pool->lock);
	return idle;
}

/* A pool has no end, so none of them may be on a test's stack. */
static struct {
	struct pool pool;
	struct pool_work first, slow, quick;
} round[50];

TEST(work_is_done_by_a_thread)
{
	round[0].first.run = counts;
	pool_init(&round[0].pool);
	pool_submit(&round[0].pool, &round[0].first);
	while (!has_idle_thread(&round[0].pool))
		usleep(1000);
	ASSERT_EQ(1, runs);
}

/* Two disks are kicked together, and the first one's host is slow. */
TEST(work_does_not_wait_for_work_that_blocks)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(round); i++) {
		struct pool *pool = &round[i].pool;

		round[i].first.run = round[i].quick.run = counts;
		round[i].slow.run = waits;
		pool_init(pool);
		pool_submit(pool, &round[i].first);
		while (!has_idle_thread(pool))
			usleep(1000);
		runs = 0;
		pool_submit(pool, &round[i].slow);
		pool_submit(pool, &round[i].quick);
		waits(NULL);
	}
}

TEST_HARNESS_MAIN
