// SPDX-License-Identifier: GPL-2.0
/*
 * Memory slots, and the log of pages that the guest wrote.
 *
 * What a change of slots owes to whom:
 *
 *   change          readers of the old set          second-level tables
 *   create          may finish with it; if it is    nothing is mapped there
 *                   replaced, it is freed after
 *                   them
 *   delete, move    waited for: they touch hvas     the old range is unmapped
 *                   that user space may reuse
 *   logging begins  waited for: they write and      lose the write right, or, where all
 *                   do not log                      bits are set, when a bit is cleared
 *   logging ends    waited for: the bitmap goes     the range is unmapped: its 4K
 *                                                   leaves may come back larger
 */
#include <linux/bitmap.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include "backend.h"
#include "memslot.h"

#define MEMSLOT_MAX_PAGES	((1ULL << 31) - 1)	/* a slot; bit numbers of its log are ints */

DEFINE_SRCU(memslot_srcu);

static struct memslots no_slots;

/* ---- finding ---- */

/* How many slots begin at or below @gfn. */
static unsigned int memslot_rank(const struct memslots *slots, gfn_t gfn)
{
	unsigned int low = 0, high = memslots_nr(slots);

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

const struct memslot *memslot_find(const struct memspace *space, gfn_t gfn)
{
	unsigned int index;

	return memslot_search(memslot_all(space), gfn, &index);
}

const struct memslot *memslot_find_near(struct vcpu *vcpu, gfn_t gfn)
{
	const struct memslot *slot;

	return memslot_last_found(vcpu, gfn, &slot) ? slot :
	       memslot_search(memslot_all(vcpu->space), gfn, &vcpu->slot_hint);
}

void memslot_choose_space(struct vcpu *vcpu, unsigned int as)
{
	if (vcpu->space == &vcpu->vm->spaces[as])
		return;
	vcpu->space = &vcpu->vm->spaces[as];
	vcpu_request(vcpu, REQ_TLB_FLUSH);
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
static struct memslots *memslot_make_set(struct memspace *space, const struct memslots *slots,
					 const struct memslot *old, struct memslot *new)
{
	unsigned int i, room = roundup_pow_of_two(slots->nr + 1);
	struct memslots *set = space->spare;

	space->spare = NULL;
	if (!set || set->room <= slots->nr) {
		kvfree(set);
		set = kvmalloc(struct_size(set, slot, room), GFP_KERNEL_ACCOUNT);
		if (!set)
			return NULL;
		set->room = room;
	}
	set->nr = slots->nr;
	memcpy(set->slot, slots->slot, slots->nr * sizeof(new));
	if (old) {
		i = memslot_rank(set, old->gfn);
		memmove(&set->slot[i - 1], &set->slot[i], (set->nr-- - i) * sizeof(new));
	}
	if (new) {
		i = memslot_rank(set, new->gfn);
		memmove(&set->slot[i + 1], &set->slot[i], (set->nr++ - i) * sizeof(new));
		set->slot[i] = new;
	}
	return set;
}

/* Add a slot above all others, if there is room: so a VM of thousands is made without copying. */
static bool memslot_append(struct memslots *slots, struct memslot *new)
{
	if (slots->nr == slots->room || memslot_rank(slots, new->gfn) < slots->nr)
		return false;
	slots->slot[slots->nr] = new;
	smp_store_release(&slots->nr, slots->nr + 1);	/* pairs with memslots_nr() */
	return true;
}

/* Nobody uses the old set any more when this returns. */
static void memslot_wait_for_readers(struct vm *vm)
{
	struct vcpu *vcpu;
	int i;

	vcpu_request_all(vm, REQ_MEMSLOTS);
	vm_for_each_vcpu(i, vcpu, vm)
		wait_var_event(&vcpu->reads_slots, !READ_ONCE(vcpu->reads_slots) ||
						   !test_bit(REQ_MEMSLOTS, &vcpu->requests));
	synchronize_srcu_expedited(&memslot_srcu);
}

/**
 * memslot_replace() - put one slot in place of another, and pay what that owes
 * @vm: slots_lock held
 * @space: where
 * @old: what goes, or NULL; freed
 * @new: what comes, in slots_by_id already, or NULL; has @old's bitmap if both keep a log
 *
 * Return: 0, or -ENOMEM with nothing changed.
 */
static int memslot_replace(struct vm *vm, struct memspace *space, struct memslot *old,
			   struct memslot *new)
{
	struct memslots *slots = rcu_dereference_protected(space->slots, true), *set;

	if (!old && memslot_append(slots, new))
		return 0;
	set = memslot_make_set(space, slots, old, new);
	if (!set)
		return -ENOMEM;
	scoped_guard(spinlock, &vm->tdp_lock)
		rcu_assign_pointer(space->slots, set);

	smp_mb();	/* a vCPU that is published later sees the new set */
	if (!old && !READ_ONCE(vm->nr_vcpus)) {
		/* A VM in the making has no reader but the notifier: no need to wait. */
		if (slots != &no_slots)
			call_srcu(&memslot_srcu, &slots->rcu, memslot_free_set);
		return 0;
	}
	/* A callback left behind here would make the next one wait for a slow grace period. */
	memslot_wait_for_readers(vm);
	space->spare = slots != &no_slots ? slots : NULL;
	if (!old)
		return 0;
	if (!new || new->gfn != old->gfn || !(new->flags & KVM_MEM_LOG_DIRTY_PAGES))
		fault_unmap(vm, old, old->gfn, old->gfn + old->npages, true);
	else if (vm->dirty_ring_entries || !(vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET))
		fault_write_protect(vm, new);
	if (!new)
		xa_erase(&vm->slots_by_id, old->id);
	memslot_free(old, new);
	return 0;
}

/* Bits that are set from the beginning need no faults to set them. */
static unsigned long *memslot_new_log(struct vm *vm, u64 npages)
{
	unsigned long *log = kvcalloc(BITS_TO_LONGS(npages), sizeof(long), GFP_KERNEL_ACCOUNT);

	if (log && vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET)
		bitmap_set(log, 0, npages);
	return log;
}

static struct memslot *memslot_new(struct vm *vm, const struct kvm_userspace_memory_region *mem,
				   const struct memslot *old)
{
	struct memslot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return NULL;
	slot->gfn = mem->guest_phys_addr >> PAGE_SHIFT;
	slot->npages = mem->memory_size >> PAGE_SHIFT;
	slot->hva = mem->userspace_addr;
	slot->gpa_to_hva = mem->userspace_addr - mem->guest_phys_addr;
	slot->flags = mem->flags;
	slot->id = mem->slot;
	if (!(mem->flags & KVM_MEM_LOG_DIRTY_PAGES) || vm->dirty_ring_entries)
		return slot;
	slot->dirty = old && old->dirty ? old->dirty : memslot_new_log(vm, slot->npages);
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

/* The upper half of an id is the address space. */
static bool memslot_id_valid(u32 id)
{
	return id >> 16 < VM_SPACES && (u16)id < MEMSLOT_MAX_USER;
}

/* What can be said of a region without looking at the others. */
static bool memslot_region_valid(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	u64 gpa = mem->guest_phys_addr, size = mem->memory_size;
	unsigned int gpa_bits = min_t(unsigned int, boot_cpu_data.x86_phys_bits,
				      tdp_level_shift(vm->spaces->tdp.format->levels + 1));

	if (mem->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return false;
	if (!memslot_id_valid(mem->slot))
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

/* A space gets its tables with its first slot. vCPUs that see it already have an empty page for them. */
static int memslot_make_tables(struct vm *vm, struct memspace *space)
{
	struct tdp tdp;

	if (space->tdp.root)
		return 0;
	if (tdp_init(&tdp, backend_ops->tdp_format))
		return -ENOMEM;
	scoped_guard(spinlock, &vm->tdp_lock)
		space->tdp = tdp;
	vcpu_request_all(vm, REQ_TLB_FLUSH);	/* takes up the new root */
	return 0;
}

/* slots_lock held. */
static int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	struct memslot *old = xa_load(&vm->slots_by_id, mem->slot), *new;
	struct memspace *space = &vm->spaces[mem->slot >> 16];
	gfn_t gfn = mem->guest_phys_addr >> PAGE_SHIFT;
	u64 npages = mem->memory_size >> PAGE_SHIFT;
	int r;

	if (!npages)
		return old ? memslot_replace(vm, space, old, NULL) : -EINVAL;
	if (old && (old->hva != mem->userspace_addr || old->npages != npages ||
		    (old->flags ^ mem->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (old && old->gfn == gfn && old->flags == mem->flags)
		return 0;
	if (memslot_overlaps(rcu_dereference_protected(space->slots, true), old, gfn, npages))
		return -EEXIST;

	if (memslot_make_tables(vm, space))
		return -ENOMEM;
	new = memslot_new(vm, mem, old);
	if (!new)
		return -ENOMEM;
	r = xa_err(xa_store(&vm->slots_by_id, new->id, new, GFP_KERNEL_ACCOUNT));
	if (!r)
		r = memslot_replace(vm, space, old, new);
	if (!r)
		return 0;
	/* What was there needs no memory to be put back. */
	xa_store(&vm->slots_by_id, new->id, old, GFP_KERNEL_ACCOUNT);
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

/* Let the log lose those of its bits that are in @words, which then has only these. True: flush. */
static bool dirty_log_take(struct vm *vm, const struct memslot *slot, unsigned long first,
			   unsigned long *words, unsigned long nr)
{
	const gfn_t base = slot->gfn + first * BITS_PER_LONG;
	struct tdp *tdp = &memslot_space(vm, slot)->tdp;
	unsigned int i, start, end;
	bool flush = false;

	spin_lock(&vm->tdp_lock);
	for (i = 0; i < nr; i++) {
		words[i] &= READ_ONCE(slot->dirty[first + i]);
		if (words[i])
			words[i] &= atomic_long_fetch_andnot(words[i],
						(atomic_long_t *)&slot->dirty[first + i]);
	}
	for_each_set_bitrange(start, end, words, nr * BITS_PER_LONG)
		flush |= tdp_write_protect(tdp, base + start, base + end);
	spin_unlock(&vm->tdp_lock);
	return flush;
}

/*
 * Bits leave the log together with the write right of their pages: the next
 * write sets them again.  Both under vm->tdp_lock, as a fault gives right and bit.
 *
 * All bits go and are copied @to user space, or those that are set in @from.
 *
 * One flush is enough, at the end: until then a vCPU may write on through its
 * TLB to a page whose bit was taken, but user space cannot copy that page
 * before the ioctl returns.
 */
static int dirty_log_move(struct vm *vm, const struct memslot *slot, unsigned long first,
			  unsigned long total, unsigned long __user *to,
			  const unsigned long __user *from)
{
	unsigned long words[DIRTY_WORDS], done, nr;
	bool flush = false;
	int r = 0;

	for (done = 0; done < total && !r; done += nr) {
		nr = min_t(unsigned long, DIRTY_WORDS, total - done);
		memset(words, 0xff, sizeof(words));
		if (from && copy_from_user(words, from + done, nr * sizeof(long))) {
			r = -EFAULT;
			break;
		}
		flush |= dirty_log_take(vm, slot, first + done, words, nr);
		if (to && copy_to_user(to + done, words, nr * sizeof(long)))
			r = -EFAULT;
		cond_resched();
	}
	if (flush)
		vcpu_request_all(vm, REQ_TLB_FLUSH);
	return r;
}

/* A slot whose log is asked for, from some page on; or an errno as below. slots_lock held. */
static const struct memslot *memslot_with_log(struct vm *vm, u32 id, u64 first_page)
{
	const struct memslot *slot = xa_load(&vm->slots_by_id, id);

	if (vm->dirty_ring_entries)
		return ERR_PTR(-ENXIO);
	if (!memslot_id_valid(id) || first_page % BITS_PER_LONG)
		return ERR_PTR(-EINVAL);
	return slot && slot->dirty ? slot : ERR_PTR(-ENOENT);
}

/**
 * memslot_ioctl_get_dirty_log() - KVM_GET_DIRTY_LOG
 * @vm: in a thread of its process
 * @log: copied from user space
 *
 * The log begins anew, unless user space says itself what it wants cleared.
 *
 * Return: 0; -ENXIO where the VM has dirty rings, -EINVAL for an id that cannot be, -ENOENT for a slot that is not
 * there or keeps no log, -EFAULT when the bitmap cannot be written (bits taken
 * until then are lost).
 */
int memslot_ioctl_get_dirty_log(struct vm *vm, const struct kvm_dirty_log *log)
{
	const struct memslot *slot;
	unsigned long words;

	guard(mutex)(&vm->slots_lock);
	slot = memslot_with_log(vm, log->slot, 0);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	words = BITS_TO_LONGS(slot->npages);
	if (vm->manual_dirty_log)
		return copy_to_user(log->dirty_bitmap, slot->dirty, words * sizeof(long)) ?
		       -EFAULT : 0;
	return dirty_log_move(vm, slot, 0, words, log->dirty_bitmap, NULL);
}

/**
 * memslot_ioctl_clear_dirty_log() - KVM_CLEAR_DIRTY_LOG
 * @vm: in a thread of its process
 * @log: copied from user space
 *
 * Return: 0; -ENXIO where the VM has dirty rings, -EINVAL for an id or a range that cannot be (it begins at a
 * multiple of 64 pages, and ends at one or with the slot), -ENOENT as
 * KVM_GET_DIRTY_LOG, -EFAULT when the bitmap cannot be read.
 */
int memslot_ioctl_clear_dirty_log(struct vm *vm, const struct kvm_clear_dirty_log *log)
{
	unsigned long words = BITS_TO_LONGS(log->num_pages);
	const struct memslot *slot;
	u64 rest;

	guard(mutex)(&vm->slots_lock);
	slot = memslot_with_log(vm, log->slot, log->first_page);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	rest = slot->npages - log->first_page;
	if (log->first_page > slot->npages || log->num_pages > rest ||
	    (log->num_pages < rest && log->num_pages % BITS_PER_LONG))
		return -EINVAL;
	/* All of it or nothing. */
	if (fault_in_readable(log->dirty_bitmap, words * sizeof(long)))
		return -EFAULT;
	return dirty_log_move(vm, slot, log->first_page / BITS_PER_LONG, words, NULL,
			      log->dirty_bitmap);
}

/**
 * memslot_set_manual_log() - KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2
 * @vm: vm->lock held
 * @flags: KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE and KVM_DIRTY_LOG_INITIALLY_SET, or 0
 *
 * Return: 0, or -EINVAL: unknown flags, or the second without the first.
 */
int memslot_set_manual_log(struct vm *vm, u64 flags)
{
	if (flags & ~(u64)MEMSLOT_MANUAL_LOG || flags == KVM_DIRTY_LOG_INITIALLY_SET)
		return -EINVAL;
	guard(mutex)(&vm->slots_lock);
	vm->manual_dirty_log = flags;
	return 0;
}

/**
 * memslot_set_max_tables() - KVM_SET_NR_MMU_PAGES
 * @vm: any
 * @nr: how many tables each address space may have; from the next fault on
 *
 * Return: 0, or -EINVAL where that is too few to make progress.
 */
int memslot_set_max_tables(struct vm *vm, unsigned long nr)
{
	enum { FEWEST = 64 };	/* as stock KVM has it; an access needs one of each level */

	if (nr < FEWEST || nr > INT_MAX)
		return -EINVAL;
	WRITE_ONCE(vm->max_tables, nr);
	return 0;
}

/* ---- a VM's memory begins and ends ---- */

int memslot_init_vm(struct vm *vm)
{
	struct memspace *space;
	int r;

	mutex_init(&vm->slots_lock);
	spin_lock_init(&vm->tdp_lock);
	xa_init(&vm->slots_by_id);
	for (space = vm->spaces; space < vm->spaces + VM_SPACES; space++) {
		RCU_INIT_POINTER(space->slots, &no_slots);
		space->tdp.format = backend_ops->tdp_format;
		space->tdp.root_hpa = page_to_phys(ZERO_PAGE(0));	/* see memslot_make_tables() */
	}
	r = tdp_init(&vm->spaces[0].tdp, backend_ops->tdp_format);
	if (r)
		return r;
	vm->mmu_notifier.ops = &fault_notifier_ops;
	r = mmu_notifier_register(&vm->mmu_notifier, vm->mm);
	if (r)
		fault_unmap_vm(vm);
	return r;
}

void memslot_free_vm(struct mmu_notifier *notifier)
{
	struct vm *vm = container_of(notifier, struct vm, mmu_notifier);
	struct memslots *slots;
	unsigned int i, at;

	xa_destroy(&vm->slots_by_id);
	for (i = 0; i < VM_SPACES; i++) {
		slots = rcu_dereference_protected(vm->spaces[i].slots, true);
		for (at = 0; at < slots->nr; at++)
			memslot_free(slots->slot[at], NULL);
		if (slots != &no_slots)
			kvfree(slots);
		kvfree(vm->spaces[i].spare);
	}
	vm_free(vm);
}
