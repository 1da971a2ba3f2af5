// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "pool.h"

/* Enough for every thread's deepest call, a tenth of what libc would take. */
#define THREAD_STACK (128 * KIB)

/**
 * thread_start() - a thread with a small stack.
 * @thread: its handle.
 * @run: what it does.
 * @arg: argument of @run.
 *
 * Return: 0 or an error number, as pthread_create().
 */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	ret = pthread_create(thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return ret;
}

static void *pool_thread(void *arg)
{
	struct pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct pool_work *work = pool->first;

		if (!work) {
			pool->idle++;
			pthread_cond_wait(&pool->wake, &pool->lock);
			pool->idle--;
			continue;
		}
		pool->first = work->next;
		if (!pool->first)
			pool->last = &pool->first;
		work->queued = false;
		pool->waiting--;
		pthread_mutex_unlock(&pool->lock);
		work->run(work);
		pthread_mutex_lock(&pool->lock);
	}
	return NULL;
}

/**
 * pool_init() - a pool without threads and work.
 * @pool: to be filled.
 */
void pool_init(struct pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->last = &pool->first;
}

/**
 * pool_submit() - have some thread call work->run() soon.
 * @pool: pool.
 * @work: nothing happens if it waits already; it may be submitted again as
 *        soon as it runs, and then a second thread runs it too.
 */
void pool_submit(struct pool *pool, struct pool_work *work)
{
	pthread_mutex_lock(&pool->lock);
	if (!work->queued) {
		pthread_t thread;

		work->queued = true;
		work->next = NULL;
		*pool->last = work;
		pool->last = &work->next;
		/* One that is idle may have been called already, for the work before. */
		if (++pool->waiting <= pool->idle)
			pthread_cond_signal(&pool->wake);
		else if (pool->threads < POOL_THREADS &&
			 thread_start(&thread, pool_thread, pool) == 0)
			pool->threads++;
		if (!pool->threads)
			die("cannot start a thread for disk I/O");
	}
	pthread_mutex_unlock(&pool->lock);
}
