/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/mutex.h>: as in spinlock.h. */
#ifndef SHIM_MUTEX_H
#define SHIM_MUTEX_H

#include <linux/spinlock.h>

struct mutex { spinlock_t lock; };

#define DEFINE_MUTEX(name)	struct mutex name

#define mutex_init(mutex)	spin_lock_init(&(mutex)->lock)
#define mutex_lock(mutex)	spin_lock(&(mutex)->lock)
#define mutex_unlock(mutex)	spin_unlock(&(mutex)->lock)
#define guard_mutex(it)		struct mutex *guarded __attribute__((cleanup(mutex_unguard))) = \
					mutex_guard(it)
#define lockdep_is_held(mutex)	((mutex)->lock.held)

static inline struct mutex *mutex_guard(struct mutex *mutex)
{
	mutex_lock(mutex);
	return mutex;
}

static inline void mutex_unguard(struct mutex **mutex)
{
	mutex_unlock(*mutex);
}

#endif
