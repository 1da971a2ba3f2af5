/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/spinlock.h>: tests have one thread; taking a lock twice, or giving it twice, traps. */
#ifndef SHIM_SPINLOCK_H
#define SHIM_SPINLOCK_H

typedef struct { int held; } spinlock_t;
typedef spinlock_t raw_spinlock_t;

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = 0;
}

static inline void spin_lock(spinlock_t *lock)
{
	if (lock->held++)
		__builtin_trap();
}

static inline void spin_unlock(spinlock_t *lock)
{
	if (--lock->held)
		__builtin_trap();
}

#define spin_lock_irq(lock)			spin_lock(lock)
#define spin_unlock_irq(lock)			spin_unlock(lock)
#define spin_lock_irqsave(lock, flags)		((flags) = 0, spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags)	((void)(flags), spin_unlock(lock))
#define raw_spin_lock_init(lock)		spin_lock_init(lock)
#define raw_spin_lock(lock)			spin_lock(lock)
#define raw_spin_unlock(lock)			spin_unlock(lock)
#define raw_spin_lock_irq(lock)			spin_lock(lock)
#define raw_spin_unlock_irq(lock)		spin_unlock(lock)
#define raw_spin_lock_irqsave(lock, flags)	((flags) = 0, spin_lock(lock))
#define raw_spin_unlock_irqrestore(lock, flags)	((void)(flags), spin_unlock(lock))

/* guard(mutex)(&lock): until the end of the block; scoped_guard(mutex, &lock): of a statement */
#define guard(type)			guard_##type
#define scoped_guard(type, it)		for (guard_##type(it), *done = NULL; !done; done = (void *)1)

/* For sparse. */
#ifndef __releases
#define __releases(lock)
#endif

#endif
