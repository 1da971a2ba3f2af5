/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A few threads for work that blocks.  They are started as work comes, so a
 * guest without disk traffic pays for none.
 */
#ifndef VITRO_POOL_H
#define VITRO_POOL_H

#include <pthread.h>

#include "util.h"

#define POOL_THREADS 4

struct pool_work {
	void (*run)(struct pool_work *work);
	struct pool_work *next;		/* pool.lock */
	bool queued;			/* pool.lock */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct pool_work *first, **last;	/* lock; work that waits */
	unsigned int waiting;			/* lock; how much */
	unsigned int threads, idle;		/* lock */
};

void pool_init(struct pool *pool);
void pool_submit(struct pool *pool, struct pool_work *work);
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif /* VITRO_POOL_H */
