// SPDX-License-Identifier: GPL-2.0
/*
 * Memory slots, and the log of pages that the guest wrote.
 *
 * What a change of slots owes to whom:
 *
 *   change          readers of the old set          second-level tables
 *   create          may finish with it, but the     nothing is mapped there
 *                   set itself is freed after them
 *   delete, move    waited for: they touch hvas     the old range is unmapped
 *                   that user space may reuse
 *   logging begins  waited for: they write and      lose the write right
 *                   do not log
 *   logging ends    waited for: the bitmap goes     the range is unmapped: its 4K
 *                                                   leaves may come back larger
 */
#include <linux/bitmap.h>
#include <linux/overflow.h>
#include "backend.h"
#include "memslot.h"

#define MEMSLOT_MAX_PAGES	((1ULL << 31) - 1)	/* a slot; bit numbers of its log are ints */

DEFINE_SRCU(memslot_srcu);

static struct memslots no_slots;

/* ---- finding ---- */

/* How many slots begin at or below @gfn. */
static unsigned int memslot_rank(const struct memslots *slots, gfn_t gfn)
{
	unsigned int low = 0, high = slots->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (slots->slot[mid]->gfn <= gfn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The slot that has @gfn, or NULL; *@index is where it stands, if there is one. */
static const struct memslot *memslot_search(const struct memslots *slots, gfn_t gfn,
					    unsigned int *index)
{
	unsigned int rank = memslot_rank(slots, gfn);

	if (!rank || !memslot_has(slots->slot[rank - 1], gfn))
		return NULL;
	*index = rank - 1;
	return slots->slot[rank - 1];
}

const struct memslot *memslot_find(struct vm *vm, gfn_t gfn)
{
	unsigned int index;

	return memslot_search(memslot_all(vm), gfn, &index);
}

const struct memslot *memslot_find_near(struct vcpu *vcpu, gfn_t gfn)
{
	return memslot_last_found(vcpu, gfn) ?:
	       memslot_search(memslot_all(vcpu->vm), gfn, &vcpu->slot_hint);
}

static struct memslot *memslot_by_id(const struct memslots *slots, u32 id)
{
	unsigned int i;

	for (i = 0; i < slots->nr; i++)
		if (slots->slot[i]->id == id)
			return slots->slot[i];
	return NULL;
}

/* ---- changing ---- */

/* @heir, if there is one, may have the bitmap. */
static void memslot_free(struct memslot *slot, const struct memslot *heir)
{
	if (!heir || heir->dirty != slot->dirty)
		kvfree(slot->dirty);
	kfree(slot);
}

static void memslot_free_set(struct rcu_head *rcu)
{
	kvfree(container_of(rcu, struct memslots, rcu));
}

/* A set with @new, if any, in place of @old, if any. */
static struct memslots *memslot_make_set(const struct memslots *slots, const struct memslot *old,
					 struct memslot *new)
{
	struct memslots *set;
	unsigned int i;

	set = kvmalloc(struct_size(set, slot, slots->nr + 1), GFP_KERNEL_ACCOUNT);
	if (!set)
		return NULL;
	set->nr = 0;
	for (i = 0; i < slots->nr; i++)
		if (slots->slot[i] != old)
			set->slot[set->nr++] = slots->slot[i];
	if (new) {
		for (i = set->nr++; i && set->slot[i - 1]->gfn > new->gfn; i--)
			set->slot[i] = set->slot[i - 1];
		set->slot[i] = new;
	}
	return set;
}

static bool memslot_vcpu_passed(struct vcpu *vcpu)
{
	return !READ_ONCE(vcpu->reads_slots) || !test_bit(REQ_MEMSLOTS, &vcpu->requests);
}

/* Nobody uses the old set any more when this returns. */
static void memslot_wait_for_readers(struct vm *vm)
{
	struct vcpu *vcpu;
	int i;

	vcpu_request_all(vm, REQ_MEMSLOTS);
	vm_for_each_vcpu(i, vcpu, vm)
		wait_var_event(&vcpu->reads_slots, memslot_vcpu_passed(vcpu));
	synchronize_srcu_expedited(&memslot_srcu);
}

/**
 * memslot_replace() - put one slot in place of another, and pay what that owes
 * @vm: slots_lock held
 * @old: what goes, or NULL; freed
 * @new: what comes, or NULL; has @old's bitmap if both keep a log
 *
 * Return: 0, or -ENOMEM with nothing changed.
 */
static int memslot_replace(struct vm *vm, struct memslot *old, struct memslot *new)
{
	struct memslots *slots = rcu_dereference_protected(vm->slots, true), *set;

	set = memslot_make_set(slots, old, new);
	if (!set)
		return -ENOMEM;
	spin_lock(&vm->tdp.lock);
	rcu_assign_pointer(vm->slots, set);
	spin_unlock(&vm->tdp.lock);

	/* A VM in the making has no reader but the notifier: no need to wait. */
	smp_mb();	/* a vCPU that is published later sees the new set */
	if (old || READ_ONCE(vm->nr_vcpus))
		memslot_wait_for_readers(vm);
	if (slots != &no_slots)
		call_srcu(&memslot_srcu, &slots->rcu, memslot_free_set);
	if (!old)
		return 0;
	if (!new || new->gfn != old->gfn || !new->dirty)
		fault_unmap(vm, old->gfn, old->gfn + old->npages, true);
	else
		fault_write_protect(vm, new->gfn, new->gfn + new->npages);
	memslot_free(old, new);
	return 0;
}

static struct memslot *memslot_new(const struct kvm_userspace_memory_region *mem,
				   const struct memslot *old)
{
	struct memslot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return NULL;
	slot->gfn = mem->guest_phys_addr >> PAGE_SHIFT;
	slot->npages = mem->memory_size >> PAGE_SHIFT;
	slot->hva = mem->userspace_addr;
	slot->flags = mem->flags;
	slot->id = mem->slot;
	if (!(mem->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return slot;
	slot->dirty = old && old->dirty ? old->dirty :
		      kvcalloc(BITS_TO_LONGS(slot->npages), sizeof(long), GFP_KERNEL_ACCOUNT);
	if (slot->dirty)
		return slot;
	kfree(slot);
	return NULL;
}

/* Slots do not overlap each other: only the last one that begins below the end can reach in. */
static bool memslot_overlaps(const struct memslots *slots, const struct memslot *except,
			     gfn_t gfn, u64 npages)
{
	unsigned int rank = memslot_rank(slots, gfn + npages - 1);

	if (rank && slots->slot[rank - 1] == except)
		rank--;
	return rank && slots->slot[rank - 1]->gfn + slots->slot[rank - 1]->npages > gfn;
}

/* What can be said of a region without looking at the others. */
static bool memslot_region_valid(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	u64 gpa = mem->guest_phys_addr, size = mem->memory_size;
	unsigned int gpa_bits = min_t(unsigned int, boot_cpu_data.x86_phys_bits,
				      tdp_level_shift(vm->tdp.format->levels + 1));

	if (mem->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return false;
	/* The upper half of the id is an address space: there is but one. */
	if (mem->slot >= MEMSLOT_MAX_USER)
		return false;
	if (!PAGE_ALIGNED(gpa | size | mem->userspace_addr))
		return false;
	if (size >> PAGE_SHIFT > MEMSLOT_MAX_PAGES)
		return false;
	/* Checked here once: guest memory is then accessed without. */
	if (mem->userspace_addr != untagged_addr(mem->userspace_addr) ||
	    !access_ok((void __user *)mem->userspace_addr, size))
		return false;
	return gpa + size >= gpa && (!size || (gpa + size - 1) >> gpa_bits == 0);
}

/* slots_lock held. */
static int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	const struct memslots *slots = memslot_all(vm);
	struct memslot *old = memslot_by_id(slots, mem->slot), *new;
	gfn_t gfn = mem->guest_phys_addr >> PAGE_SHIFT;
	u64 npages = mem->memory_size >> PAGE_SHIFT;
	int r;

	if (!npages)
		return old ? memslot_replace(vm, old, NULL) : -EINVAL;
	if (old) {
		if (old->hva != mem->userspace_addr || old->npages != npages ||
		    (old->flags ^ mem->flags) & KVM_MEM_READONLY)
			return -EINVAL;
		if (old->gfn == gfn && old->flags == mem->flags)
			return 0;
	}
	if (memslot_overlaps(slots, old, gfn, npages))
		return -EEXIST;

	new = memslot_new(mem, old);
	if (!new)
		return -ENOMEM;
	r = memslot_replace(vm, old, new);
	if (r)
		memslot_free(new, old);
	return r;
}

/**
 * memslot_ioctl_set() - KVM_SET_USER_MEMORY_REGION
 * @vm: in a thread of its process
 * @mem: copied from user space; size 0 deletes the slot
 *
 * Return: 0; -EINVAL for what api.rst forbids, -EEXIST where it overlaps
 * another slot, -ENOMEM.
 */
int memslot_ioctl_set(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	if (!memslot_region_valid(vm, mem))
		return -EINVAL;
	guard(mutex)(&vm->slots_lock);
	return memslot_set(vm, mem);
}

/* ---- the dirty log ---- */

#define DIRTY_WORDS	64	/* handled at a time: bits for 4096 pages */

/*
 * Bits leave the log together with the write right of their pages: the next
 * write sets them again.  Both under tdp->lock, as a fault gives right and bit.
 *
 * One flush is enough, at the end: until then a vCPU may write on through its
 * TLB to a page whose bit was taken, but user space cannot copy that page
 * before the ioctl returns.
 */
static int dirty_log_copy(struct vm *vm, const struct memslot *slot, unsigned long __user *to)
{
	unsigned long words[DIRTY_WORDS], first, nr, total = BITS_TO_LONGS(slot->npages);
	unsigned int i, start, end;
	bool flush = false;
	int r = 0;

	for (first = 0; first < total && !r; first += nr) {
		const gfn_t base = slot->gfn + first * BITS_PER_LONG;
		unsigned long *log = slot->dirty + first;

		nr = min_t(unsigned long, DIRTY_WORDS, total - first);
		spin_lock(&vm->tdp.lock);
		for (i = 0; i < nr; i++)
			words[i] = READ_ONCE(log[i]) ? xchg(&log[i], 0) : 0;
		for_each_set_bitrange(start, end, words, nr * BITS_PER_LONG)
			flush |= tdp_write_protect(&vm->tdp, base + start, base + end);
		spin_unlock(&vm->tdp.lock);
		if (copy_to_user(to + first, words, nr * sizeof(long)))
			r = -EFAULT;
		cond_resched();
	}
	if (flush)
		vcpu_request_all(vm, REQ_TLB_FLUSH);
	return r;
}

/**
 * memslot_ioctl_get_dirty_log() - KVM_GET_DIRTY_LOG
 * @vm: in a thread of its process
 * @log: copied from user space
 *
 * Return: 0; -EINVAL for an id that cannot be, -ENOENT for a slot that is not
 * there or keeps no log, -EFAULT when the bitmap cannot be written (bits taken
 * until then are lost).
 */
int memslot_ioctl_get_dirty_log(struct vm *vm, const struct kvm_dirty_log *log)
{
	const struct memslot *slot;

	if (log->slot >= MEMSLOT_MAX_USER)
		return -EINVAL;
	guard(mutex)(&vm->slots_lock);
	slot = memslot_by_id(memslot_all(vm), log->slot);
	return slot && slot->dirty ? dirty_log_copy(vm, slot, log->dirty_bitmap) : -ENOENT;
}

/* ---- a VM's memory begins and ends ---- */

int memslot_init_vm(struct vm *vm)
{
	int r;

	mutex_init(&vm->slots_lock);
	RCU_INIT_POINTER(vm->slots, &no_slots);
	r = tdp_init(&vm->tdp, backend_ops->tdp_format);
	if (r)
		return r;
	vm->mmu_notifier.ops = &fault_notifier_ops;
	r = mmu_notifier_register(&vm->mmu_notifier, vm->mm);
	if (r)
		tdp_destroy(&vm->tdp);
	return r;
}

void memslot_unmap_vm(struct vm *vm)
{
	const struct memslots *slots = rcu_dereference_protected(vm->slots, true);
	unsigned int i;

	/* By slots first, for these calls let others run in between. */
	for (i = 0; i < slots->nr; i++)
		fault_unmap(vm, slots->slot[i]->gfn, slots->slot[i]->gfn + slots->slot[i]->npages,
			    true);
	tdp_destroy(&vm->tdp);
}

void memslot_destroy_vm(struct vm *vm)
{
	memslot_unmap_vm(vm);
	mmu_notifier_put(&vm->mmu_notifier);
}

void memslot_free_vm(struct vm *vm)
{
	struct memslots *slots = rcu_dereference_protected(vm->slots, true);
	unsigned int i;

	for (i = 0; i < slots->nr; i++)
		memslot_free(slots->slot[i], NULL);
	if (slots != &no_slots)
		kvfree(slots);
	kfree(vm);
}

void memslot_module_exit(void)
{
	mmu_notifier_synchronize();
	srcu_barrier(&memslot_srcu);
}
