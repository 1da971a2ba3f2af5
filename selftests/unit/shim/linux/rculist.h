/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/rculist.h>. */
#ifndef SHIM_RCULIST_H
#define SHIM_RCULIST_H

#include <linux/list.h>
#include <linux/rcupdate.h>

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

#define INIT_HLIST_HEAD(head)	((head)->first = NULL)

static inline void hlist_add_head_rcu(struct hlist_node *node, struct hlist_head *head)
{
	node->next = head->first;
	node->pprev = &head->first;
	if (node->next)
		node->next->pprev = &node->next;
	head->first = node;
}

static inline void hlist_del_rcu(struct hlist_node *node)
{
	*node->pprev = node->next;
	if (node->next)
		node->next->pprev = node->pprev;
}

#define hlist_entry_or_null(ptr, type, member)	\
	({ typeof(ptr) _ptr = (ptr); _ptr ? container_of(_ptr, type, member) : NULL; })

#define hlist_for_each_entry_rcu(pos, head, member, ...)				\
	for (pos = hlist_entry_or_null((head)->first, typeof(*pos), member); pos;	\
	     pos = hlist_entry_or_null(pos->member.next, typeof(*pos), member))

#endif
