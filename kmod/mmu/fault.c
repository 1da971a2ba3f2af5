// SPDX-License-Identifier: GPL-2.0
/*
 * The process's memory becomes the guest's, and is taken back.
 *
 * No page is pinned.  What keeps a page from being freed while the guest can
 * reach it is the mmu notifier: before the process's page table lets go of a
 * page, invalidate_range_start() takes it out of the second-level tables too
 * and waits until no vCPU has it in its TLB.
 *
 * A fault reads the process's page table as it is, without a lock on it, and
 * maps what it finds.  That is safe because it does both under tdp_lock and
 * only while no invalidation of that address is under way:
 *
 *   invalidation, seen from inside tdp_lock      the fault
 *   has not begun                                maps; start() will find the leaf
 *   start() was here, end() was not              may see the old page: tries again
 *   end() was here                               sees the new page table
 */
#include <linux/cpu.h>
#include <linux/ioport.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include "memslot.h"

/* ---- out of the tables ---- */

/*
 * Zap [start, end), or, without @freed, write-protect it.  The lock is dropped
 * after each gigabyte; no table above covers less.  The flush is done under it:
 * the next one to hold it finds the entry absent, and trusts that no TLB has it.
 */
static void fault_take(struct vm *vm, struct tdp *tdp, gfn_t start, gfn_t end,
		       struct list_head *freed, bool may_sleep)
{
	const u64 step = tdp_level_pages(TDP_1G);
	gfn_t stop;

	for (; start < end; start = stop) {
		stop = min(end, round_down(start, step) + step);
		spin_lock(&vm->tdp_lock);
		if (freed ? tdp_zap(tdp, start, stop, freed) :
			    tdp_write_protect(tdp, start, stop))
			vcpu_request_all(vm, REQ_TLB_FLUSH);
		spin_unlock(&vm->tdp_lock);
		if (may_sleep)
			cond_resched();
	}
}

void fault_unmap(struct vm *vm, const struct memslot *slot, gfn_t start, gfn_t end, bool may_sleep)
{
	LIST_HEAD(freed);

	fault_take(vm, &memslot_space(vm, slot)->tdp, start, end, &freed, may_sleep);
	tdp_free_tables(&freed);
}

void fault_write_protect(struct vm *vm, const struct memslot *slot)
{
	fault_take(vm, &memslot_space(vm, slot)->tdp, slot->gfn, slot->gfn + slot->npages, NULL, true);
}

/* The page that the kernel may free or swap, or NULL: a device's memory, or reserved. */
static struct page *fault_page(hfn_t pfn)
{
	struct page *page = pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;

	return page && !PageReserved(page) ? page : NULL;
}

/* The page is still the process's: whoever takes it away waits for us. */
void tdp_leaf_gone(hfn_t pfn, unsigned int level, bool accessed, bool dirty)
{
	struct page *page = fault_page(pfn);

	if (page && dirty)
		SetPageDirty(page);
	if (page && accessed)
		mark_page_accessed(page);
}

/* ---- the mmu notifier ---- */

static struct vm *fault_vm(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct vm, mmu_notifier);
}

enum fault_action { FAULT_UNMAP, FAULT_UNMAP_ATOMIC, FAULT_AGE, FAULT_TEST_AGE };

/* Do it to all frames of @slot that lie in [start, end) of the process. True: some are young. */
static bool fault_for_hvas_of(struct vm *vm, const struct memslot *slot, hva_t start, hva_t end,
			      enum fault_action action)
{
	hva_t from = max(start, slot->hva);
	hva_t to = min(end, slot->hva + (slot->npages << PAGE_SHIFT));
	gfn_t first = slot->gfn + ((from - slot->hva) >> PAGE_SHIFT);
	gfn_t last = slot->gfn + PFN_UP(to - slot->hva);
	bool young;

	if (from >= to)
		return false;
	if (action <= FAULT_UNMAP_ATOMIC) {
		fault_unmap(vm, slot, first, last, action == FAULT_UNMAP);
		return false;
	}
	spin_lock(&vm->tdp_lock);
	young = tdp_age(&memslot_space(vm, slot)->tdp, first, last, action == FAULT_AGE);
	spin_unlock(&vm->tdp_lock);
	return young;
}

/* The same for all that the guest sees.  NOTDONE: an index by hva; each call looks at all slots. */
static bool fault_for_hvas(struct vm *vm, hva_t start, hva_t end, enum fault_action action)
{
	int srcu = srcu_read_lock(&memslot_srcu);
	unsigned int i, at, nr;
	bool young = false;

	for (i = 0; i < VM_SPACES; i++) {
		const struct memslots *slots = memslot_all(&vm->spaces[i]);

		nr = memslots_nr(slots);
		for (at = 0; at < nr; at++)
			young |= fault_for_hvas_of(vm, slots->slot[at], start, end, action);
	}
	srcu_read_unlock(&memslot_srcu, srcu);
	return young;
}

/*
 * Waiting for vCPUs to leave the guest takes no memory and no sleep, so this
 * is also right where the caller must not block (the OOM reaper).
 */
static int fault_invalidate_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	struct vm *vm = fault_vm(notifier);

	spin_lock(&vm->tdp_lock);
	if (!vm->inval_in_progress++) {
		vm->inval_start = ~0UL;
		vm->inval_end = 0;
	}
	vm->inval_start = min(vm->inval_start, range->start);
	vm->inval_end = max(vm->inval_end, range->end);
	spin_unlock(&vm->tdp_lock);

	fault_for_hvas(vm, range->start, range->end,
		       mmu_notifier_range_blockable(range) ? FAULT_UNMAP : FAULT_UNMAP_ATOMIC);
	return 0;
}

static void fault_invalidate_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct vm *vm = fault_vm(notifier);

	spin_lock(&vm->tdp_lock);
	vm->inval_in_progress--;
	WARN_ON_ONCE(vm->inval_in_progress < 0);
	spin_unlock(&vm->tdp_lock);
}

/* Nor does x86 itself flush here: a page that is taken for old too early only costs a fault. */
static int fault_clear_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			     unsigned long start, unsigned long end)
{
	return fault_for_hvas(fault_vm(notifier), start, end, FAULT_AGE);
}

static int fault_test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			    unsigned long address)
{
	return fault_for_hvas(fault_vm(notifier), address, address + 1, FAULT_TEST_AGE);
}

/* The process ends; no thread of it runs a vCPU, and none will. */
static void fault_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	fault_for_hvas(fault_vm(notifier), 0, ~0UL, FAULT_UNMAP);
}

const struct mmu_notifier_ops fault_notifier_ops = {
	.invalidate_range_start	= fault_invalidate_start,
	.invalidate_range_end	= fault_invalidate_end,
	.clear_flush_young	= fault_clear_young,
	.clear_young		= fault_clear_young,
	.test_young		= fault_test_young,
	.release		= fault_release,
	.free_notifier		= memslot_free_vm,
};

void fault_unmap_vm(struct vm *vm)
{
	LIST_HEAD(freed);
	int i;

	/* By slots first, for this lets others run in between. */
	fault_for_hvas(vm, 0, ~0UL, FAULT_UNMAP);
	spin_lock(&vm->tdp_lock);
	for (i = 0; i < VM_SPACES; i++)
		tdp_destroy(&vm->spaces[i].tdp, &freed);
	spin_unlock(&vm->tdp_lock);
	tdp_free_tables(&freed);
}

/* ---- into the tables ---- */

/* What the process's page table says of an address. */
struct host_leaf {
	hfn_t		pfn;		/* of the page itself, also inside a large leaf */
	unsigned int	level;
	bool		readable, writable;
};

/*
 * Look @hva up as the CPU would: entries look alike on all levels.  Interrupts
 * are off: tables are only freed after every CPU that may walk them has answered
 * an interrupt or passed an RCU grace period.
 */
static struct host_leaf host_walk(struct mm_struct *mm, hva_t hva)
{
	unsigned int level = pgtable_l5_enabled() ? 5 : 4;
	const pte_t *table = (const pte_t *)mm->pgd;
	u64 pages;
	pte_t entry;

	for (;; level--) {
		entry = READ_ONCE(table[(hva >> tdp_level_shift(level)) % PTRS_PER_PTE]);
		if (!(pte_flags(entry) & _PAGE_PRESENT))
			return (struct host_leaf) {};
		if (level == TDP_4K || pte_flags(entry) & _PAGE_PSE)
			break;
		table = __va(pte_val(entry) & PTE_PFN_MASK);
	}
	pages = tdp_level_pages(level);
	return (struct host_leaf) {
		/* The lowest address bit of a large leaf is its PAT bit. */
		.pfn = round_down(pte_pfn(entry), pages) + (hva >> PAGE_SHIFT) % pages,
		.level = level,
		.readable = pte_access_permitted(entry, false),
		.writable = pte_access_permitted(entry, true),
	};
}

struct fault {
	struct vcpu	*vcpu;
	const struct memslots *slots;	/* those that were asked */
	const struct memslot *slot;
	gfn_t		gfn;
	hva_t		hva;
	bool		write, fetch;
};

/*
 * Some CPUs stop the whole machine where a guest executes from a large leaf and changes its own page
 * sizes meanwhile.  There, large leaves are not executable, and what is executed is split.
 * Documentation/admin-guide/hw-vuln/multihit.rst
 */
static bool fault_splits_code(void)
{
	return boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
}

/* The largest leaf that host, CPU, slot and alignment allow. */
static unsigned int fault_level(const struct fault *fault, unsigned int level)
{
	const struct memslot *slot = fault->slot;
	u64 skew = slot->gfn ^ (slot->hva >> PAGE_SHIFT);

	level = min(level, fault->vcpu->space->tdp.format->max_level);
	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES || (fault->fetch && fault_splits_code()))
		level = TDP_4K;
	for (; level > TDP_4K; level--) {
		u64 pages = tdp_level_pages(level);
		gfn_t base = round_down(fault->gfn, pages);

		if (!(skew & (pages - 1)) && base >= slot->gfn &&
		    base + pages <= slot->gfn + slot->npages)
			break;
	}
	return level;
}

/*
 * A page that the process may write is given to the guest writable at once,
 * also on a read, unless somebody waits for the first write to it.
 */
static int fault_prot(const struct fault *fault, const struct host_leaf *leaf, unsigned int level)
{
	u32 flags = fault->slot->flags;
	int prot = TDP_READ;

	if (level == TDP_4K || !fault_splits_code())
		prot |= TDP_EXEC;
	if (leaf->writable && !(flags & KVM_MEM_READONLY) &&
	    (fault->write || !(flags & KVM_MEM_LOG_DIRTY_PAGES)))
		prot |= TDP_WRITE;
	if (!fault_page(leaf->pfn) && !page_is_ram(leaf->pfn))
		prot |= TDP_DEVICE;
	return prot;
}

/*
 * vm->tdp_lock held.  Return: 0; how many pages for tables it lacks; -EAGAIN,
 * memory is changing hands; -EFAULT, the process itself would fault.
 */
static int fault_map(const struct fault *fault, struct list_head *freed)
{
	struct tdp *tdp = &fault->vcpu->space->tdp;
	struct vm *vm = fault->vcpu->vm;
	struct host_leaf leaf;
	bool flush = false;
	unsigned int level;
	int lacks;

	if (rcu_access_pointer(fault->vcpu->space->slots) != fault->slots)
		return -EAGAIN;
	if (vm->inval_in_progress && fault->hva >= vm->inval_start &&
	    fault->hva < vm->inval_end)
		return -EAGAIN;

	local_irq_disable();
	leaf = host_walk(vm->mm, fault->hva);
	local_irq_enable();
	if (fault->write ? !leaf.writable : !leaf.readable)
		return -EFAULT;

	level = fault_level(fault, leaf.level);
	lacks = tdp_map(tdp, &fault->vcpu->tdp_cache, fault->gfn, leaf.pfn, level,
			fault_prot(fault, &leaf, level), freed, &flush);
	/* No more tables than user space allows: all begin anew. */
	if (unlikely(lacks && vm->max_tables && tdp->nr_tables + lacks > vm->max_tables))
		flush |= tdp_zap(tdp, 0, ~0ULL, freed);
	if (flush)
		vcpu_request_all(vm, REQ_TLB_FLUSH);
	if (!lacks && fault->write)
		memslot_mark_dirty(fault->vcpu, fault->slot, fault->gfn);
	return lacks;
}

/* Memory without struct page, such as a device's that a driver maps. */
static int fault_in_special(hva_t hva, bool write)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool unlocked = false;
	int r = -EFAULT;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, hva);
	if (vma && vma->vm_flags & (VM_IO | VM_PFNMAP))
		r = fixup_user_fault(mm, hva, write ? FAULT_FLAG_WRITE : 0, &unlocked);
	mmap_read_unlock(mm);
	return r;
}

/* Do to the process what its own access would do. 0 or a negative errno; sleeps. */
static int fault_in(hva_t hva, bool write)
{
	long r = get_user_pages_unlocked(hva, 1, NULL, FOLL_HWPOISON | (write ? FOLL_WRITE : 0));

	if (likely(r == 1))
		return 0;
	if (r == -EHWPOISON) {
		/* The signal ends KVM_RUN, as any does: monitors know this, and no error. */
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)hva, PAGE_SHIFT, current);
		return 0;
	}
	return r == -EFAULT ? fault_in_special(hva, write) : r;
}

int tdp_fault(struct vcpu *vcpu, gpa_t gpa, bool write, bool fetch)
{
	struct fault fault = {
		.vcpu = vcpu, .gfn = gpa >> PAGE_SHIFT, .write = write, .fetch = fetch,
		.slots = memslot_all(vcpu->space),
	};
	bool faulted_in = false;
	LIST_HEAD(freed);
	int r;

	fault.slot = memslot_find_near(vcpu, fault.gfn);
	if (!fault.slot || (write && fault.slot->flags & KVM_MEM_READONLY))
		return TDP_MMIO;
	fault.hva = memslot_hva(fault.slot, fault.gfn);

	for (;;) {
		spin_lock(&vcpu->vm->tdp_lock);
		r = fault_map(&fault, &freed);
		spin_unlock(&vcpu->vm->tdp_lock);
		if (unlikely(!list_empty(&freed)))
			tdp_free_tables(&freed);
		if (r > 0)
			r = tdp_cache_fill(&vcpu->tdp_cache, r);
		else if (r == -EFAULT && !faulted_in) {
			r = fault_in(fault.hva, write);
			faulted_in = true;
		} else {
			/* Mapped; or it was taken away again: the guest's next try may find it. */
			return TDP_FIXED;
		}
		if (r)
			return r;
	}
}
