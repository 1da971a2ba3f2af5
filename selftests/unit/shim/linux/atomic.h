/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stands in for <linux/atomic.h>.  A test that wants to see stores (and to act
 * as another CPU right before one) defines the two hooks on the command line.
 */
#ifndef SHIM_ATOMIC_H
#define SHIM_ATOMIC_H

#ifndef unit_before_store
#define unit_before_store(ptr)			((void)(ptr))
#define unit_after_store(ptr, old, new)		((void)(old))
#endif

#define READ_ONCE(x)		(*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val)	((void)xchg(&(x), val))
/* One thread: nothing to order. */
#define smp_store_release(ptr, val)	((void)xchg(ptr, val))

#define smp_load_acquire(ptr)		READ_ONCE(*(ptr))
#define smp_mb__before_atomic()		((void)0)
#define smp_mb__after_atomic()		((void)0)

#define xchg(ptr, val) ({						\
	typeof(ptr) _ptr = (ptr);					\
	typeof(*_ptr) _val = (val), _old;				\
	unit_before_store(_ptr);					\
	_old = __atomic_exchange_n(_ptr, _val, __ATOMIC_SEQ_CST);	\
	unit_after_store(_ptr, _old, _val);				\
	_old; })

#define try_cmpxchg(ptr, oldp, val) ({					\
	typeof(ptr) _ptr = (ptr);					\
	typeof(oldp) _oldp = (oldp);					\
	typeof(*_ptr) _val = (val);					\
	unit_before_store(_ptr);					\
	_Bool _done = __atomic_compare_exchange_n(_ptr, _oldp, _val, 0,	\
				__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	if (_done)							\
		unit_after_store(_ptr, *_oldp, _val);			\
	_done; })

#endif
