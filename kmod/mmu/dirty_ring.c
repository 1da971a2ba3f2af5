// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty ring: instead of a bitmap of the pages written, a list of them.
 *
 *   entry's flags	who sets them		means
 *   0			reset (here)		free
 *   DIRTY		push (here)		written, not yet collected
 *   DIRTY | RESET,	user space		collected: free after a reset
 *   or RESET
 *
 * Entries are in user space's hands; where to push and to reset next is not.
 * api.rst "KVM_CAP_DIRTY_LOG_RING/KVM_CAP_DIRTY_LOG_RING_ACQ_REL".
 */
#include <linux/log2.h>
#include <linux/vmalloc.h>
#include "dirty_ring.h"
#include "memslot.h"

/* Left when the vCPU must not enter: for what one exit and its way to user space write. */
#define DIRTY_RING_RESERVE	64

int dirty_ring_enable(struct vm *vm, u64 bytes)
{
	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE)
		return -EINVAL;
	if (bytes > DIRTY_RING_MAX_BYTES)
		return -E2BIG;
	if (vm->dirty_ring_entries || vm->nr_vcpus)
		return -EINVAL;
	guard(mutex)(&vm->slots_lock);
	vm->dirty_ring_entries = bytes / sizeof(struct kvm_dirty_gfn);
	return 0;
}

int dirty_ring_create(struct vcpu *vcpu)
{
	u32 entries = vcpu->vm->dirty_ring_entries;

	if (!entries)
		return 0;
	vcpu->ring.entry = __vmalloc(entries * sizeof(*vcpu->ring.entry),
				     GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return vcpu->ring.entry ? 0 : -ENOMEM;
}

struct page *dirty_ring_page(struct vcpu *vcpu, unsigned long pgoff)
{
	unsigned long offset = (pgoff - KVM_DIRTY_LOG_PAGE_OFFSET) << PAGE_SHIFT;

	if (pgoff < KVM_DIRTY_LOG_PAGE_OFFSET ||
	    offset >= vcpu->vm->dirty_ring_entries * sizeof(struct kvm_dirty_gfn))
		return NULL;
	return vmalloc_to_page((void *)vcpu->ring.entry + offset);
}

static struct kvm_dirty_gfn *dirty_ring_entry(struct vcpu *vcpu, u32 nr)
{
	return &vcpu->ring.entry[nr & (vcpu->vm->dirty_ring_entries - 1)];
}

/* Is it the newest entry, and not collected yet? */
static bool dirty_ring_has(struct vcpu *vcpu, u32 id, u64 offset)
{
	const struct kvm_dirty_gfn *entry = dirty_ring_entry(vcpu, vcpu->ring.pushed - 1);

	smp_mb();	/* what was written to the page comes before this look */
	return READ_ONCE(entry->flags) == KVM_DIRTY_GFN_F_DIRTY &&
	       READ_ONCE(entry->slot) == id && READ_ONCE(entry->offset) == offset;
}

static u32 dirty_ring_room(struct vcpu *vcpu)
{
	/* Pairs with dirty_ring_reset(). */
	u32 used = vcpu->ring.pushed - smp_load_acquire(&vcpu->ring.reset);

	return vcpu->vm->dirty_ring_entries - used;
}

void dirty_ring_push(struct vcpu *vcpu, const struct memslot *slot, gfn_t gfn)
{
	struct kvm_dirty_gfn *entry;

	guard(preempt)();	/* being switched out writes to guest memory, too */
	if (dirty_ring_has(vcpu, slot->id, gfn - slot->gfn))
		return;		/* string instructions write to a page thousands of times */
	if (dirty_ring_room(vcpu)) {
		entry = dirty_ring_entry(vcpu, vcpu->ring.pushed);
		WRITE_ONCE(entry->slot, slot->id);
		WRITE_ONCE(entry->offset, gfn - slot->gfn);
		/* The rest of it first: pairs with user space's acquire. */
		smp_store_release(&entry->flags, KVM_DIRTY_GFN_F_DIRTY);
		WRITE_ONCE(vcpu->ring.pushed, vcpu->ring.pushed + 1);
	} else {
		/* Only by ioctls on and on that write for the guest, and no reset between them. */
		pr_warn_ratelimited("kvm: vCPU %u: dirty ring is full, a page is lost\n", vcpu->id);
	}
	if (dirty_ring_room(vcpu) <= DIRTY_RING_RESERVE)
		vcpu_request(vcpu, REQ_DIRTY_RING);
}

bool dirty_ring_full(struct vcpu *vcpu)
{
	if (dirty_ring_room(vcpu) > DIRTY_RING_RESERVE)
		return false;
	vcpu_request(vcpu, REQ_DIRTY_RING);	/* until there is room */
	return true;
}

/* Log a page again; user space may have written nonsense. True: flush. slots_lock held. */
static bool dirty_ring_protect(struct vm *vm, u32 id, u64 offset)
{
	const struct memslot *slot = xa_load(&vm->slots_by_id, id);
	bool flush;

	if (!slot || offset >= slot->npages)
		return false;
	spin_lock(&vm->tdp_lock);
	flush = tdp_write_protect(&memslot_space(vm, slot)->tdp, slot->gfn + offset,
				  slot->gfn + offset + 1);
	spin_unlock(&vm->tdp_lock);
	return flush;
}

/* slots_lock held. */
static int dirty_ring_reset(struct vcpu *vcpu, bool *flush)
{
	struct dirty_ring *ring = &vcpu->ring;
	int count;

	for (count = 0; ring->reset != READ_ONCE(ring->pushed); count++) {
		struct kvm_dirty_gfn *entry = dirty_ring_entry(vcpu, ring->reset);

		/* User space has read it: pairs with its release. */
		if (!(smp_load_acquire(&entry->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		*flush |= dirty_ring_protect(vcpu->vm, READ_ONCE(entry->slot),
					     READ_ONCE(entry->offset));
		WRITE_ONCE(entry->flags, 0);
		/* All done with the entry: pairs with dirty_ring_room(). */
		smp_store_release(&ring->reset, ring->reset + 1);
		cond_resched();
	}
	return count;
}

int dirty_ring_reset_all(struct vm *vm)
{
	struct vcpu *vcpu;
	bool flush = false;
	int i, count = 0;

	if (!vm->dirty_ring_entries)
		return -EINVAL;
	guard(mutex)(&vm->slots_lock);
	vm_for_each_vcpu(i, vcpu, vm)
		count += dirty_ring_reset(vcpu, &flush);
	if (flush)
		vcpu_request_all(vm, REQ_TLB_FLUSH);
	return count;
}
