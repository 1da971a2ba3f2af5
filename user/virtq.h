/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A split virtqueue, seen from the device.  It lies in guest memory, where
 * the guest may write anything at any moment: every value is read once and
 * checked before use.
 */
#ifndef VITRO_VIRTQ_H
#define VITRO_VIRTQ_H

#include <sys/uio.h>

#include "memory.h"

#define VIRTQ_MAX 256		/* entries of a ring, and descriptors of a chain */

struct virtq {
	/* what the driver tells, while the queue is not ready */
	u16 size;
	gpa_t desc_gpa, avail_gpa, used_gpa;
	/* resolved by virtq_start() */
	bool ready;
	bool event_idx;		/* VIRTIO_RING_F_EVENT_IDX was agreed on */
	bool indirect;		/* VIRTIO_RING_F_INDIRECT_DESC, too */
	const u8 *desc;
	u16 *avail;
	u16 *used;
	u16 next_avail;		/* the entry that is popped next */
	u16 next_used;
};

/* A chain of descriptors: what the device reads, then what it writes. */
struct virtq_chain {
	u16 head;
	bool more;		/* another one waits behind it */
	unsigned int out, in;	/* buffers of each kind; out come first */
	struct iovec iov[VIRTQ_MAX];
};

void virtq_reset(struct virtq *q);
int virtq_start(struct virtq *q, const struct memory *mem);
int virtq_pop(struct virtq *q, const struct memory *mem, struct virtq_chain *chain);
bool virtq_push(struct virtq *q, u16 head, u32 written);

#endif /* VITRO_VIRTQ_H */
