/* SPDX-License-Identifier: GPL-2.0 */
/* The dirty ring: written pages by their names, one ring a vCPU, shared with user space. */
#ifndef MMU_DIRTY_RING_H
#define MMU_DIRTY_RING_H

#include "../vcpu.h"

struct memslot;
struct page;

#define DIRTY_RING_MAX_BYTES	(65536 * sizeof(struct kvm_dirty_gfn))

/**
 * dirty_ring_enable() - KVM_CAP_DIRTY_LOG_RING
 * @vm: vm->lock held
 * @bytes: of each vCPU's ring; a power of two, a page or more
 *
 * Slots that log keep no bitmap from now on.
 *
 * Return: 0, -E2BIG, or -EINVAL: not such a size, there is a vCPU, or a ring.
 */
int dirty_ring_enable(struct vm *vm, u64 bytes);

/* A vCPU's ring, if its VM has them: 0 or -ENOMEM. kvfree() takes it back. */
int dirty_ring_create(struct vcpu *vcpu);

/* A page of the ring, by its place in the mapping of the vCPU fd, or NULL; the VM's life long. */
struct page *dirty_ring_page(struct vcpu *vcpu, unsigned long pgoff);

/**
 * dirty_ring_push() - a page of a slot that logs has been, or is about to be, written
 * @vcpu: for whom; its own thread, any context but hard interrupts
 * @slot: logs
 * @gfn: in it
 */
void dirty_ring_push(struct vcpu *vcpu, const struct memslot *slot, gfn_t gfn);

/* REQ_DIRTY_RING: must user space collect before the vCPU goes on? */
bool dirty_ring_full(struct vcpu *vcpu);

/**
 * dirty_ring_reset_all() - KVM_RESET_DIRTY_RINGS
 * @vm: in a thread of its process
 *
 * What user space has collected of the rings is free again, and the pages are
 * logged again.
 *
 * Return: how many entries, or -EINVAL if the VM has no rings.
 */
int dirty_ring_reset_all(struct vm *vm);

#endif /* MMU_DIRTY_RING_H */
