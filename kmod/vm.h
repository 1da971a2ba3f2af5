/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual machine: its memory, its vCPUs, its interrupt controllers.
 *
 * Lifetime: one reference for the VM fd, one for each vCPU fd.  The last one
 * out tears the VM down.  Everything a VM holds is charged to it here.
 *
 * Locks, outermost first:
 *   vm->lock	[V]  the shape of the VM: vCPUs, irqchip, routes, enabled capabilities
 *   vcpu->mutex	     one ioctl at a time on a vCPU (KVM_RUN holds it)
 *   vm->slots_lock [S]  who may change memory slots; readers use memslot_srcu
 *   vm->tdp_lock [T]  second-level page tables and the invalidation count
 *   pic, ioapic, pit locks (spinlocks, interrupts off): see irq/
 */
#ifndef VITRO_VM_H
#define VITRO_VM_H

#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>
#include "mmu/tdp.h"
#include "stats.h"

#define VM_MAX_VCPUS	255
#define VM_MAX_VCPU_ID	1024	/* ids (= initial APIC ids) are below this */

struct vcpu;

enum irqchip_mode {
	IRQCHIP_NONE,		/* user space has the APICs, KVM_INTERRUPT injects */
	IRQCHIP_SPLIT,		/* local APICs here, PIC and I/O APIC in user space */
	IRQCHIP_KERNEL,		/* all here */
};

/* What a vCPU takes for its physical memory: SMM has its own. KVM_CAP_MULTI_ADDRESS_SPACE. */
struct memspace {
	struct memslots __rcu *slots;		/* [S], read under memslot_srcu */
	struct memslots	*spare;			/* [S] the set before, for the next one; or NULL */
	struct tdp	tdp;			/* [T] */
};

#define VM_SPACES	2

struct vm {
	struct mutex	lock;
	refcount_t	refs;

	/* memory */
	struct mm_struct *mm;
	struct mmu_notifier mmu_notifier;
	struct mutex	slots_lock;
	struct xarray	slots_by_id;		/* [S] */
	spinlock_t	tdp_lock;		/* interrupts stay on: holders wait for CPUs to flush */
	struct memspace	spaces[VM_SPACES];
	u32		max_tables;		/* KVM_SET_NR_MMU_PAGES, of each space; 0: no limit */
	long		inval_in_progress;	/* [T] the mmu notifier against faults: see mmu/fault.c */
	hva_t		inval_start, inval_end;	/* [T] */

	/* vCPUs: slots [0, nr_vcpus) are published in order and stay until the VM ends */
	int		nr_vcpus;		/* read with smp_load_acquire() */
	struct vcpu	*vcpus[VM_MAX_VCPUS];
	u32		boot_vcpu_id;

	/* interrupts */
	enum irqchip_mode irqchip;		/* [V], set once before the first vCPU */
	struct pic	*pic;
	struct ioapic	*ioapic;
	struct pit	*pit;			/* [V] */
	struct irq_routes __rcu *routes;	/* [V], read under RCU */
	bool		apic_ids_moved;		/* a guest has given an APIC an id that is not its vCPU's */
	struct mutex	eventfd_lock;		/* irqfds */
	struct list_head irqfds;		/* eventfd_lock */
	struct hlist_head resamplers;		/* irqfds of level lines; eventfd_lock, read under RCU */
	unsigned int	nr_ioeventfds;		/* ioeventfd_lock, in irq/eventfd.c */

	/* coalesced.c */
	struct list_head coalesced_zones;	/* [V], read under RCU */
	spinlock_t	coalesced_lock;		/* who writes to the ring */
	void		*coalesced_ring;	/* shared with user space; vcpu_shared_page() makes it */

	/* time: clock.c; all under clock_lock but for the first two */
	u32		host_khz;		/* of the host's TSC, as known when the VM was made */
	u32		guest_khz;		/* of new vCPUs */
	raw_spinlock_t	clock_lock;
	s64		clock_offset;		/* ns: kvmclock = host's raw boot time + offset */
	u64		clock_tsc, clock_ns;	/* a moment: host TSC (suspends made up for), kvmclock */
	u64		clock_lost;		/* clock_tsc_lost at that moment */
	bool		clock_paired;		/* exact, and host TSCs agree: good for all vCPUs, for long */
	bool		tsc_in_step;		/* all vCPUs read the same TSC */
	u64		tsc_sync_value, tsc_sync_ns; /* last TSC written by user space, and when */
	u32		tsc_sync_khz;		/* 0: none yet */
	u64		tsc_anchor_host, tsc_anchor_value; /* the line on which vCPUs in step lie */

	/* what KVM_ENABLE_CAP turned on */
	u32		disabled_quirks;	/* KVM_X86_QUIRK_* */
	u32		dirty_ring_entries;	/* a vCPU; 0: slots that log have bitmaps; set once before the first vCPU */
	u32		manual_dirty_log;	/* KVM_DIRTY_LOG_MANUAL_* and KVM_DIRTY_LOG_INITIALLY_SET */
	u32		x2apic_api;		/* KVM_X2APIC_API_* */
	u32		user_msrs;		/* KVM_MSR_EXIT_REASON_*: accesses that user space answers */
	u32		user_hypercalls;	/* bits KVM_HC_* */
	u32		disabled_exits;		/* KVM_X86_DISABLE_EXITS_* */
	u32		max_vcpu_id;		/* ids are below it; 0: VM_MAX_VCPU_ID */
	u32		exception_payload;	/* this and the next three: 0 or 1 */
	u32		triple_fault_event;
	u32		user_emulates;		/* what we cannot: never #UD for it */
	u32		hide_platform_info;	/* MSR_PLATFORM_INFO is #GP */
	struct msr_filter __rcu *msr_filter;	/* [V], read under RCU */

	struct vm_stats	stats;
};

static inline int vm_nr_vcpus(struct vm *vm)
{
	/* Who sees the count sees the vCPUs: pairs with vcpu_publish(). */
	return smp_load_acquire(&vm->nr_vcpus);
}

#define vm_for_each_vcpu(i, vcpu, vm) \
	for ((i) = 0; (i) < vm_nr_vcpus(vm) && ((vcpu) = (vm)->vcpus[i]); (i)++)

int vm_module_init(void);
void vm_module_exit(void);
int vm_dev_ioctl_create(unsigned long type);
void vm_free(struct vm *vm);
void vm_get(struct vm *vm);
void vm_put(struct vm *vm);
int vm_release(struct inode *inode, struct file *file);
struct vcpu *vm_vcpu_by_id(struct vm *vm, u32 id);
/* capability.c */
int vm_check_extension(struct vm *vm, long cap);
int vm_enable_cap(struct vm *vm, const struct kvm_enable_cap *cap);

#endif /* VITRO_VM_H */
