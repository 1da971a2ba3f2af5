/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory: which gfn is which hva (memslot.c), how it gets into the
 * second-level tables and out again (fault.c), and how the kernel itself reads
 * and writes it (guest_mem.c).
 *
 * A VM has two address spaces, for what a CPU in system-management mode sees is
 * another memory: struct memspace.  The second has no tables before it has a
 * slot.
 *
 * The set of slots of a space is replaced as a whole.  Three kinds of readers:
 *
 *   vCPU ioctls	are between memslot_read_lock() and memslot_read_unlock()
 *   the mmu notifier	holds memslot_srcu, for a short time: all VMs wait for it, so nothing
 *			in there may depend on a process, as a copy to or from one does
 *   slot ioctls	hold vm->slots_lock
 *
 * KVM_RUN stays inside while the guest runs, so that an exit costs nothing.
 * Who changes the slots sets REQ_MEMSLOTS: a vCPU takes that request where it
 * has no slot in hand, and only there, so a request that is gone means a
 * reader that is gone.  Helpers below expect one of the first two.
 *
 * It is published under vm->tdp_lock, so whoever holds that and finds the set he
 * worked with still in place maps nothing that the new one does not have.
 */
#ifndef MMU_MEMSLOT_H
#define MMU_MEMSLOT_H

#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/srcu.h>
#include <linux/wait_bit.h>
#include "dirty_ring.h"

/* What KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 can turn on. */
#define MEMSLOT_MANUAL_LOG	(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)
#define MEMSLOT_MAX_USER	32764	/* KVM_CAP_NR_MEMSLOTS: ids are below */

/* Never changes while it is in a set, but for the bits in @dirty. */
struct memslot {
	gfn_t		gfn;
	u64		npages;
	hva_t		hva;
	u64		gpa_to_hva;	/* hva less gpa, modulo 2^64: one addition for each table that is walked */
	u32		flags;		/* KVM_MEM_* */
	u32		id;		/* KVM's: the address space in the upper half */
	unsigned long	*dirty;		/* KVM_MEM_LOG_DIRTY_PAGES: one bit a page, atomic; not used with rings */
};

/*
 * Sorted by gfn; slots that a change left alone are in the old set and in the new
 * one.  Only what a slot above all others adds is added in place.
 */
struct memslots {
	struct rcu_head	rcu;
	unsigned int	nr;		/* read with memslots_nr() */
	unsigned int	room;
	struct memslot	*slot[];
};

extern struct srcu_struct memslot_srcu;

/* Who sees the number sees the slots. */
static inline unsigned int memslots_nr(const struct memslots *slots)
{
	return smp_load_acquire(&slots->nr);	/* pairs with memslot_append() */
}

static inline bool memslot_has(const struct memslot *slot, gfn_t gfn)
{
	return gfn - slot->gfn < slot->npages;
}

/* Where the process sees @gfn of @slot; the guest chose it, so no guess of the CPU may leave the slot. */
static inline hva_t memslot_hva(const struct memslot *slot, gfn_t gfn)
{
	return slot->hva + (array_index_nospec(gfn - slot->gfn, slot->npages) << PAGE_SHIFT);
}

static inline struct memspace *memslot_space(struct vm *vm, const struct memslot *slot)
{
	return &vm->spaces[slot->id >> 16];
}

/* @vcpu's thread has written, or is about to: by the guest or for it. */
static inline void memslot_mark_dirty(struct vcpu *vcpu, const struct memslot *slot, gfn_t gfn)
{
	if (likely(!(slot->flags & KVM_MEM_LOG_DIRTY_PAGES)))
		return;
	if (vcpu->ring.entry)
		dirty_ring_push(vcpu, slot, gfn);
	else
		set_bit(gfn - slot->gfn, slot->dirty);	/* a look first could overtake what was written */
}

/* ---- memslot.c ---- */

/* An ioctl begins to use slots, and ends; not while its vCPU sleeps. memslot_srcu is lockdep's name for it. */
static inline void memslot_read_lock(struct vcpu *vcpu)
{
	rcu_lock_acquire(&memslot_srcu.dep_map);
	smp_store_mb(vcpu->reads_slots, true);	/* then look at vm->slots */
}

/* REQ_MEMSLOTS was taken: tell who waits. */
static inline void memslot_read_pass(struct vcpu *vcpu)
{
	wake_up_var(&vcpu->reads_slots);
}

static inline void memslot_read_unlock(struct vcpu *vcpu)
{
	smp_store_mb(vcpu->reads_slots, false);	/* then look at requests */
	rcu_lock_release(&memslot_srcu.dep_map);
	if (unlikely(vcpu_take_request(vcpu, REQ_MEMSLOTS)))
		memslot_read_pass(vcpu);
}

static inline const struct memslots *memslot_all(const struct memspace *space)
{
	return srcu_dereference(space->slots, &memslot_srcu);
}

/* The slot that has @gfn, or NULL. */
const struct memslot *memslot_find(const struct memspace *space, gfn_t gfn);
/* The same in a vCPU's own space for its own thread, which remembers it. */
const struct memslot *memslot_find_near(struct vcpu *vcpu, gfn_t gfn);

/* Has the slot that memslot_find_near() last found @gfn? */
static inline bool memslot_last_found(struct vcpu *vcpu, gfn_t gfn, const struct memslot **slot)
{
	const struct memslots *slots = memslot_all(vcpu->space);
	unsigned int i = vcpu->slot_hint;

	if (unlikely(i >= memslots_nr(slots)))
		return false;
	*slot = slots->slot[i];
	return memslot_has(*slot, gfn);
}

/**
 * memslot_choose_space() - from now on the vCPU sees another address space
 * @vcpu: under its mutex
 * @as: 0, or 1 for system-management mode; may be the one it sees already
 *
 * Its translations are flushed before its next entry.
 */
void memslot_choose_space(struct vcpu *vcpu, unsigned int as);

int memslot_ioctl_set(struct vm *vm, const struct kvm_userspace_memory_region *mem);
int memslot_ioctl_get_dirty_log(struct vm *vm, const struct kvm_dirty_log *log);
int memslot_ioctl_clear_dirty_log(struct vm *vm, const struct kvm_clear_dirty_log *log);
int memslot_set_manual_log(struct vm *vm, u64 flags);
int memslot_set_max_tables(struct vm *vm, unsigned long nr);

/**
 * memslot_init_vm() - memory of a new VM: no slots, empty tables, an mmu notifier
 * @vm: zeroed; vm->mm set
 *
 * Return: 0 or a negative errno, then nothing is left to undo.
 */
int memslot_init_vm(struct vm *vm);

/* For fault.c: the last callback of a VM's mmu notifier is over, and with it all readers and the VM. */
void memslot_free_vm(struct mmu_notifier *notifier);

/* ---- fault.c ---- */

/* Take [start, end) of @slot out of the tables, and wait until no vCPU uses it. Sleeps if @may_sleep. */
void fault_unmap(struct vm *vm, const struct memslot *slot, gfn_t start, gfn_t end, bool may_sleep);
/* Take the write right of all of it, likewise: the next write to each page is seen. Sleeps. */
void fault_write_protect(struct vm *vm, const struct memslot *slot);

/**
 * fault_unmap_vm() - nothing runs the VM any more: give all pages back
 * @vm: its vCPUs are still there
 *
 * Before vCPUs are freed: the mmu notifier may speak to them until then.
 */
void fault_unmap_vm(struct vm *vm);

extern const struct mmu_notifier_ops fault_notifier_ops;

enum tdp_fault_result {
	TDP_FIXED,		/* mapped, or try again: re-enter */
	TDP_MMIO,		/* no slot, or a write to a read-only one: emulate */
	/* negative: errno, e.g. -EFAULT when the hva has no memory */
};

/**
 * tdp_fault() - make a guest physical address usable
 * @vcpu: who faulted; in its own thread
 * @gpa: where
 * @write: a write
 * @fetch: an instruction fetch
 *
 * Sleeps.  Return: enum tdp_fault_result, TDP_FIXED also where memory is broken
 * and SIGBUS on its way; -EFAULT when the process has no memory there, -ENOMEM,
 * -EINTR when a fatal signal came.
 */
int tdp_fault(struct vcpu *vcpu, gpa_t gpa, bool write, bool fetch);

/*
 * ---- guest_mem.c: in the vCPU's thread, under its mutex; may sleep (fault pages in) ----
 *
 * What a vCPU reads and writes is in the address space it sees.  Paravirtual
 * pages belong to the operating system: they are in the first, also while the
 * vCPU is in system-management mode, whose memory must not be reached by them.
 */
#define guest_read(vcpu, ...)		memspace_read(vcpu, (vcpu)->space, __VA_ARGS__)
#define guest_write(vcpu, ...)		memspace_write(vcpu, (vcpu)->space, __VA_ARGS__)
#define guest_cmpxchg(vcpu, ...)	memspace_cmpxchg(vcpu, (vcpu)->space, __VA_ARGS__)
#define pv_read(vcpu, ...)		memspace_read(vcpu, (vcpu)->vm->spaces, __VA_ARGS__)
#define pv_write(vcpu, ...)		memspace_write(vcpu, (vcpu)->vm->spaces, __VA_ARGS__)
#define pv_cmpxchg(vcpu, ...)		memspace_cmpxchg(vcpu, (vcpu)->vm->spaces, __VA_ARGS__)

/**
 * memspace_read() - copy from guest physical memory
 * @vcpu: for whom
 * @space: of its VM
 * @gpa: from where; may cross pages and slots
 * @data: to where
 * @len: in bytes
 *
 * Return: 0, or -EFAULT where there is no slot or no memory behind it; then
 * @data may be filled in part.
 */
int memspace_read(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, void *data,
		  unsigned long len);

/**
 * memspace_write() - copy to guest physical memory, and log it
 * @vcpu: for whom
 * @space: of its VM
 * @gpa: to where; may cross pages and slots
 * @data: from where
 * @len: in bytes
 *
 * Return: 0, -EFAULT as memspace_read(), or -EROFS for a read-only slot.
 */
int memspace_write(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, const void *data,
		   unsigned long len);

/**
 * memspace_cmpxchg() - compare and exchange guest physical memory
 * @vcpu: for whom
 * @space: of its VM
 * @gpa: where
 * @old: what is expected; on a mismatch, gets what is there
 * @new: what to put there
 * @len: 1, 2, 4 or 8
 *
 * Atomic unless it crosses a cache line: the host may not split a lock.
 *
 * Return: 0 done, 1 it differs, -EIO where there is no slot (MMIO), -EROFS for
 * a read-only one, -EFAULT where the slot has no memory behind it.
 */
int memspace_cmpxchg(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, void *old,
		     const void *new, unsigned int len);

#endif /* MMU_MEMSLOT_H */
