// SPDX-License-Identifier: GPL-2.0
/*
 * MSR accesses of the guest that user space forbids (KVM_X86_SET_MSR_FILTER)
 * or answers itself (KVM_CAP_X86_USER_SPACE_MSR).
 *
 * A filter is replaced as a whole and read under RCU.  While a VM has one, no
 * MSR is passed to its guests without an exit: see the vendors'
 * update_intercepts.
 */
#include <linux/mm.h>
#include <asm/apicdef.h>
#include "backend.h"
#include "exit.h"
#include "msr.h"

/* ---- the filter ---- */

struct msr_filter {
	struct rcu_head		rcu;
	struct kvm_msr_filter	user;	/* as user space gave it; its bitmaps are those below */
	unsigned long		bits[];	/* of all ranges; 1: allowed */
};

/**
 * msr_filtered() - does user space forbid an access?
 * @vcpu: whose VM has a filter
 * @index: the MSR's number
 * @access: KVM_MSR_FILTER_READ or KVM_MSR_FILTER_WRITE
 */
bool msr_filtered(struct vcpu *vcpu, u32 index, u32 access)
{
	const struct msr_filter *filter;
	bool allow = true;
	unsigned int i;

	/* Registers of the x2APIC have a meaning for the kernel's local APIC: they stay. */
	if (index - APIC_BASE_MSR <= 0xff)
		return false;
	rcu_read_lock();
	filter = rcu_dereference(vcpu->vm->msr_filter);
	if (filter) {
		allow = !(filter->user.flags & KVM_MSR_FILTER_DEFAULT_DENY);
		for (i = 0; i < ARRAY_SIZE(filter->user.ranges); i++) {
			const struct kvm_msr_filter_range *range = &filter->user.ranges[i];

			if (index - range->base >= range->nmsrs || !(range->flags & access))
				continue;
			allow = test_bit(index - range->base, (unsigned long *)range->bitmap);
			break;
		}
	}
	rcu_read_unlock();
	return !allow;
}

/* Room for all bitmaps, in longs; or -EINVAL. */
static long filter_check(const struct kvm_msr_filter *from)
{
	long longs = 0;
	unsigned int i;

	if (from->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(from->ranges); i++) {
		const struct kvm_msr_filter_range *range = &from->ranges[i];

		if (!range->nmsrs)
			continue;
		if (!range->flags || range->flags & ~(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE) ||
		    range->nmsrs > BITS_PER_BYTE * KVM_MSR_FILTER_MAX_BITMAP_SIZE)
			return -EINVAL;
		longs += BITS_TO_LONGS(range->nmsrs);
	}
	/* To forbid all, name a range whose bits are all 0. */
	return longs || !(from->flags & KVM_MSR_FILTER_DEFAULT_DENY) ? longs : -EINVAL;
}

static int filter_fill(struct msr_filter *filter, const struct kvm_msr_filter *from)
{
	unsigned long *bits = filter->bits;
	unsigned int i;

	filter->user = *from;
	for (i = 0; i < ARRAY_SIZE(from->ranges); i++) {
		struct kvm_msr_filter_range *range = &filter->user.ranges[i];
		unsigned long longs = BITS_TO_LONGS(range->nmsrs);

		if (copy_from_user(bits, (void __user *)range->bitmap, longs * sizeof(long)))
			return -EFAULT;
		range->bitmap = (u8 *)bits;
		bits += longs;
	}
	return 0;
}

/**
 * msr_ioctl_set_filter() - KVM_X86_SET_MSR_FILTER
 * @vm: vm->lock held
 * @from: copied from user space, but for its bitmaps
 *
 * An access that begins after it obeys it.  A filter that allows all is none.
 *
 * Return: 0; -EINVAL for flags, a bitmap's size, or nothing named and all
 * denied; -EFAULT; -ENOMEM.
 */
int msr_ioctl_set_filter(struct vm *vm, const struct kvm_msr_filter *from)
{
	struct msr_filter *filter = NULL, *old;
	long longs = filter_check(from);
	int r;

	if (longs < 0)
		return longs;
	if (longs) {
		filter = kvzalloc(struct_size(filter, bits, longs), GFP_KERNEL_ACCOUNT);
		r = filter ? filter_fill(filter, from) : -ENOMEM;
		if (r) {
			kvfree(filter);
			return r;
		}
	}
	old = rcu_replace_pointer(vm->msr_filter, filter, lockdep_is_held(&vm->lock));
	if (old)
		kvfree_rcu(old, rcu);
	vcpu_request_all(vm, REQ_INTERCEPTS);
	return 0;
}

/* ---- user space in place of #GP ---- */

static int complete_msr(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	u64 data = READ_ONCE(run->msr.data);

	if (run->msr.error)
		return exit_gp(vcpu);
	if (!vcpu->io.write) {
		vcpu->regs[EMU_RAX] = (u32)data;
		vcpu->regs[EMU_RDX] = data >> 32;
	}
	return backend(advance)(vcpu);
}

/**
 * msr_refused() - RDMSR or WRMSR cannot be done
 * @vcpu: under its mutex, RIP at the instruction
 * @index: the MSR's number
 * @write: WRMSR
 * @val: to be written
 * @reason: enum msr_result, not MSR_OK
 *
 * Return: EXIT_USER where user space asked for it; EXIT_RESUME with #GP queued.
 */
int msr_refused(struct vcpu *vcpu, u32 index, bool write, u64 val, int reason)
{
	struct kvm_run *run = vcpu->run;

	if (!(vcpu->vm->user_msrs & reason))
		return exit_gp(vcpu);
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = index;
	run->msr.data = write ? val : 0;
	vcpu->io.write = write;
	return vcpu_await_user(vcpu, complete_msr);
}
