/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/hashtable.h>: the writers' and the readers' walk are one. */
#ifndef SHIM_HASHTABLE_H
#define SHIM_HASHTABLE_H

#include <linux/rculist.h>

#define DEFINE_HASHTABLE(name, bits)	struct hlist_head name[1 << (bits)]
#define HASH_SIZE(name)			(sizeof(name) / sizeof((name)[0]))
#define hash_bucket(name, key)		(&(name)[(key) % HASH_SIZE(name)])

#define hash_add_rcu(name, node, key)	hlist_add_head_rcu(node, hash_bucket(name, key))
#define hash_del_rcu(node)		hlist_del_rcu(node)

#define hash_for_each_possible(name, obj, member, key) \
	hlist_for_each_entry_rcu(obj, hash_bucket(name, key), member)
#define hash_for_each_possible_rcu	hash_for_each_possible

#define hash_for_each_safe(name, bucket, next_node, obj, member)			\
	for (bucket = 0; bucket < HASH_SIZE(name); bucket++)				\
		for (obj = hlist_entry_or_null(name[bucket].first, typeof(*obj), member); \
		     obj && ({ next_node = obj->member.next; 1; });			\
		     obj = hlist_entry_or_null(next_node, typeof(*obj), member))

#endif
