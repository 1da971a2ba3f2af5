// SPDX-License-Identifier: GPL-2.0
/* VIRTIO 1.2, "Split Virtqueues". */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "virtq.h"

/*
 * Both rings, in units of 16 bits.  Each ends with one more word, for
 * VIRTIO_RING_F_EVENT_IDX: the driver's wish behind the available ring, the
 * device's behind the used ring.
 */
enum {
	RING_FLAGS = 0,
	RING_INDEX = 1,
	RING_ENTRIES = 2,
	USED_ENTRY = sizeof(struct vring_used_elem) / sizeof(u16),
};

static u16 load16(const u16 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store16(u16 *p, u16 value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/**
 * virtq_reset() - as after the device's reset.
 * @q: queue.
 */
void virtq_reset(struct virtq *q)
{
	memset(q, 0, sizeof(*q));
	q->size = VIRTQ_MAX;
}

/**
 * virtq_start() - begin to use the rings that the driver told.
 * @q: with size and addresses set.
 * @mem: guest memory.
 *
 * Return: 0, or -EINVAL when a ring is misaligned or not in memory.
 */
int virtq_start(struct virtq *q, const struct memory *mem)
{
	unsigned int n = q->size;
	u64 avail_size = (RING_ENTRIES + n + 1) * sizeof(u16);
	u64 used_size = (RING_ENTRIES + n * USED_ENTRY + 1) * sizeof(u16);

	if (!n || n > VIRTQ_MAX || (n & (n - 1)))
		return -EINVAL;
	if (q->desc_gpa % VRING_DESC_ALIGN_SIZE || q->avail_gpa % VRING_AVAIL_ALIGN_SIZE ||
	    q->used_gpa % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	q->desc = guest_ptr(mem, q->desc_gpa, n * sizeof(struct vring_desc));
	q->avail = guest_ptr(mem, q->avail_gpa, avail_size);
	q->used = guest_ptr(mem, q->used_gpa, used_size);
	if (!q->desc || !q->avail || !q->used)
		return -EINVAL;
	q->next_avail = q->next_used = 0;
	q->ready = true;
	return 0;
}

/* Add one descriptor's buffer; those to write may not precede those to read. */
static int chain_add(struct virtq_chain *chain, const struct memory *mem,
		     const struct vring_desc *d)
{
	unsigned int n = chain->out + chain->in;
	void *p = guest_ptr(mem, d->addr, d->len);

	if (!p || n == VIRTQ_MAX)
		return -EINVAL;
	if (d->flags & VRING_DESC_F_WRITE) {
		chain->in++;
	} else {
		if (chain->in)
			return -EINVAL;
		chain->out++;
	}
	chain->iov[n] = (struct iovec){ p, d->len };
	return 0;
}

static int chain_walk(const struct virtq *q, const struct memory *mem,
		      struct virtq_chain *chain)
{
	const u8 *table = q->desc;
	unsigned int entries = q->size, i = chain->head;
	bool indirect = false;

	for (;;) {
		struct vring_desc d;

		if (i >= entries)
			return -EINVAL;
		memcpy(&d, table + i * sizeof(d), sizeof(d));
		if (d.flags & VRING_DESC_F_INDIRECT) {
			/* By a flag: the guest may tell the queue's own table again. */
			if (!q->indirect || indirect || !d.len ||
			    d.len % sizeof(d) || (d.flags & VRING_DESC_F_NEXT))
				return -EINVAL;
			indirect = true;
			table = guest_ptr(mem, d.addr, d.len);
			if (!table)
				return -EINVAL;
			entries = d.len / sizeof(d);
			i = 0;
			continue;
		}
		/* A chain that runs in a circle ends here: it fills up. */
		if (chain_add(chain, mem, &d) < 0)
			return -EINVAL;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

/* How many chains wait; more than the ring holds means that it is broken. */
static u16 virtq_waiting(const struct virtq *q)
{
	return load16(&q->avail[RING_INDEX]) - q->next_avail;
}

/*
 * Say that the next kick is wanted, then look once more: a chain that came
 * before the driver could read this has sent none.
 */
static u16 virtq_want_kick(struct virtq *q)
{
	if (q->event_idx) {
		store16(&q->used[RING_ENTRIES + q->size * USED_ENTRY], q->next_avail);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return virtq_waiting(q);
}

/**
 * virtq_pop() - take the next chain of descriptors.
 * @q: queue.
 * @mem: guest memory.
 * @chain: to be filled; its buffers lie in guest memory.
 *
 * Return: 1; 0 when none waits; -EINVAL when the driver broke the rules, after
 * which the device has to be reset.
 */
int virtq_pop(struct virtq *q, const struct memory *mem, struct virtq_chain *chain)
{
	u16 waiting;

	if (!q->ready)
		return 0;
	waiting = virtq_waiting(q);
	if (!waiting)
		waiting = virtq_want_kick(q);
	if (!waiting)
		return 0;
	if (waiting > q->size)
		return -EINVAL;
	chain->head = load16(&q->avail[RING_ENTRIES + q->next_avail % q->size]);
	chain->out = chain->in = 0;
	q->next_avail++;
	/* It may take long, and what comes meanwhile is for another thread. */
	chain->more = waiting > 1 || virtq_want_kick(q);
	if (chain_walk(q, mem, chain) < 0)
		return -EINVAL;
	return 1;
}

/**
 * virtq_push() - give a chain back.
 * @q: queue.
 * @head: the chain's.
 * @written: bytes that the device wrote into it.
 *
 * Return: whether the driver wants an interrupt for it.
 */
bool virtq_push(struct virtq *q, u16 head, u32 written)
{
	struct vring_used_elem e = { .id = head, .len = written };
	u16 used_event;

	if (!q->ready)
		return false;
	memcpy(&q->used[RING_ENTRIES + q->next_used % q->size * USED_ENTRY], &e, sizeof(e));
	store16(&q->used[RING_INDEX], ++q->next_used);
	/* The new index has to be seen before the driver's wish is read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(load16(&q->avail[RING_FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	used_event = load16(&q->avail[RING_ENTRIES + q->size]);
	return vring_need_event(used_event, q->next_used, q->next_used - 1);
}
