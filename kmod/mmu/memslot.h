/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory slots: which gfn is which hva, and everything that touches guest
 * memory from the kernel.
 *
 * The set of slots is replaced as a whole and read under memslot_srcu, which
 * KVM_RUN's loop holds between entries; helpers below expect it held, unless
 * they say so.
 */
#ifndef MMU_MEMSLOT_H
#define MMU_MEMSLOT_H

#include <linux/kvm.h>
#include <linux/srcu.h>
#include "../types.h"

struct vm;
struct vcpu;

struct memslot {
	gfn_t		gfn;
	u64		npages;
	hva_t		hva;
	u32		flags;		/* KVM_MEM_* */
	u16		id;
	unsigned long	*dirty;		/* KVM_MEM_LOG_DIRTY_PAGES: one bit a page */
};

extern struct srcu_struct memslot_srcu;

int memslot_init_vm(struct vm *vm);		/* no slots; registers the mmu notifier */
void memslot_destroy_vm(struct vm *vm);		/* frees what guests mapped; see vm_put() */

int memslot_ioctl_set(struct vm *vm, const struct kvm_userspace_memory_region *mem);
int memslot_ioctl_get_dirty_log(struct vm *vm, const struct kvm_dirty_log *log);

const struct memslot *memslot_find(struct vm *vm, gfn_t gfn);

/* Guest physical memory; may sleep (fault pages in); 0 or -EFAULT; may cross pages and slots. */
int guest_read(struct vm *vm, gpa_t gpa, void *data, unsigned long len);
int guest_write(struct vm *vm, gpa_t gpa, const void *data, unsigned long len);
/* As guest_read()/guest_write() within one page. */
/* Old -> new if it equals *old; 0 done, 1 differs (*old updated), -EFAULT, -EIO no RAM there (MMIO). len 1 to 16. */
int guest_cmpxchg(struct vm *vm, gpa_t gpa, void *old, const void *new, unsigned int len);
void guest_mark_dirty(struct vm *vm, gfn_t gfn);

enum tdp_fault_result {
	TDP_FIXED,		/* mapped, or somebody else had: re-enter */
	TDP_MMIO,		/* no slot, or a write to a read-only one: emulate */
	/* negative: errno, e.g. -EFAULT when the hva has no memory */
};

/**
 * tdp_fault() - make a guest physical address usable
 * @vcpu: who faulted
 * @gpa: where
 * @write: a write
 * @fetch: an instruction fetch
 *
 * Sleeps.  Return: enum tdp_fault_result or a negative errno.
 */
int tdp_fault(struct vcpu *vcpu, gpa_t gpa, bool write, bool fetch);

#endif /* MMU_MEMSLOT_H */
