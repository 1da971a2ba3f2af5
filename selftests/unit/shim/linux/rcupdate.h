/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/rcupdate.h>: with one thread a grace period is over at once. */
#ifndef SHIM_RCUPDATE_H
#define SHIM_RCUPDATE_H

#include <linux/slab.h>

#define __rcu

struct rcu_head { void *unused; };

#define rcu_read_lock()			((void)0)
#define rcu_read_unlock()		((void)0)
#define rcu_access_pointer(p)		(p)
#define rcu_dereference(p)		(p)
#define rcu_dereference_protected(p, c)	((void)(c), (p))
#define rcu_replace_pointer(p, new, c)	({ typeof(p) _old = (p); (void)(c); (p) = (new); _old; })
#define rcu_assign_pointer(p, v)	((p) = (v))
#define RCU_INIT_POINTER(p, v)		((p) = (v))
#define kfree_rcu(ptr, head)		kfree(ptr)
#define kvfree_rcu(ptr, head)		kvfree(ptr)
#define call_rcu(head, function)	(function)(head)

#endif
