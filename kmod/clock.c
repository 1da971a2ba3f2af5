// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's TSC.
 *
 *	guest TSC = host TSC * ratio + vcpu->tsc_offset
 *
 * The hardware does that sum; this file chooses the offset.  Guests expect all
 * CPUs to read the same, but user space sets one vCPU after the other.  So a
 * VM has a line in the plane of host TSC and guest TSC, given by one point
 * (tsc_anchor_host, tsc_anchor_value) and the frequency, and a vCPU that user
 * space sets is put on it when that is what must be meant:
 *
 *	frequency as at the last write?		no	new line through the value written
 *	value 0 (a vCPU is switched on)		yes	on the line
 *	within a second of what a counter that had the last value written
 *	would read now				yes	on the line
 *	else					no	new line through the value written
 *
 * The second is measured from the last write, not from the line, so that a
 * slow user space may restore many vCPUs to the same saved value.
 *
 * A guest's own WRMSR moves its vCPU alone, and IA32_TSC_ADJUST by as much:
 * SDM 3B "IA32_TSC_ADJUST Register Support".
 *
 * NOTDONE: making up for host TSCs that are not in step, or change their
 * frequency: a vCPU that moves between such CPUs sees its TSC jump. Guests
 * have kvmclock there, which follows.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/printk.h>
#include <linux/timekeeping.h>
#include "backend.h"
#include "clock.h"

enum {
	TSC_TOLERANCE_PPM	= 250,	/* a frequency so near is the host's own */
	PPM			= 1000000,
};

u64 clock_tsc_lost __read_mostly;
static u64 suspend_tsc;

/* Host TSC as if it had never been reset. */
static u64 host_tsc(void)
{
	return rdtsc_ordered() + clock_tsc_lost;
}

static u64 clock_default_ratio(void)
{
	return 1ULL << backend_ops->tsc_ratio_frac_bits;
}

static u64 clock_scale(const struct vcpu *vcpu, u64 tsc)
{
	if (vcpu->tsc_scaling_ratio == clock_default_ratio())
		return tsc;
	return mul_u64_u64_shr(tsc, vcpu->tsc_scaling_ratio, backend_ops->tsc_ratio_frac_bits);
}

/**
 * clock_guest_tsc_at() - what the guest's TSC read at some moment
 * @vcpu: any
 * @host_tsc: what the host's read
 */
u64 clock_guest_tsc_at(struct vcpu *vcpu, u64 host_tsc)
{
	return clock_scale(vcpu, host_tsc) + vcpu->tsc_offset;
}

/**
 * clock_guest_tsc() - what the guest's TSC reads now
 * @vcpu: any
 */
u64 clock_guest_tsc(struct vcpu *vcpu)
{
	return clock_guest_tsc_at(vcpu, rdtsc());
}

/**
 * clock_guest_hz() - how fast the guest's TSC counts
 * @vcpu: any
 *
 * Not always what user space asked for: the host's frequency will do for one
 * that is near it.
 */
u64 clock_guest_hz(struct vcpu *vcpu)
{
	return clock_scale(vcpu, vcpu->vm->host_khz * 1000ULL);
}

/* Do all vCPUs read the same as this one? */
static bool all_in_step(const struct vcpu *with)
{
	const struct vcpu *vcpu;
	int i;

	vm_for_each_vcpu(i, vcpu, with->vm)
		if (vcpu->tsc_offset != with->tsc_offset ||
		    vcpu->tsc_scaling_ratio != with->tsc_scaling_ratio)
			return false;
	return true;
}

/* vm->clock_lock held. Kvmclock pages tell whether vCPUs are in step: if that changes, all change. */
static void set_offset(struct vcpu *vcpu, u64 offset)
{
	struct vm *vm = vcpu->vm;
	bool in_step;

	vcpu->tsc_offset = offset;
	backend(set_tsc_offset)(vcpu);
	in_step = all_in_step(vcpu);
	if (in_step != vm->tsc_in_step) {
		vm->tsc_in_step = in_step;
		clock_request_all(vm);
	} else if (vcpu->kvmclock_msr & KVM_MSR_ENABLED) {
		vcpu_request(vcpu, REQ_CLOCK_UPDATE);
	}
}

/* Put a vCPU on its VM's line. vm->clock_lock held. */
static void set_offset_by_line(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vcpu->tsc_lost = clock_tsc_lost;
	set_offset(vcpu, vm->tsc_anchor_value - clock_scale(vcpu, vm->tsc_anchor_host) +
			 clock_scale(vcpu, clock_tsc_lost));
}

/* ---- writes ---- */

/* The rule on top of this file; *@expected: what the counter last written would read now. */
static bool joins_line(const struct vm *vm, u32 khz, u64 val, u64 now_ns, u64 *expected)
{
	s64 second = (s64)khz * MSEC_PER_SEC;
	u32 ns;
	/* In two steps: a division whose quotient is beyond 64 bits is #DE, of the host. */
	u64 ms = div_u64_rem(now_ns - vm->tsc_sync_ns, NSEC_PER_MSEC, &ns);
	s64 error;

	*expected = vm->tsc_sync_value + ms * khz + (u64)ns * khz / NSEC_PER_MSEC;
	error = val - *expected;
	return vm->tsc_sync_khz == khz && (!val || (error < second && error > -second));
}

/**
 * clock_set_tsc() - user space writes IA32_TSC: vCPUs are kept in step
 * @vcpu: under its mutex
 * @val: what it shall read now
 *
 * IA32_TSC_ADJUST stays as it is.
 */
void clock_set_tsc(struct vcpu *vcpu, u64 val)
{
	struct vm *vm = vcpu->vm;
	u64 now_ns, expected;
	bool joins;

	raw_spin_lock(&vm->clock_lock);
	now_ns = ktime_get_raw_ns();
	joins = joins_line(vm, vcpu->tsc_khz, val, now_ns, &expected);
	/* Where host TSCs differ, a line drawn on another CPU means nothing here. */
	if (!joins || check_tsc_unstable()) {
		vm->tsc_anchor_host = host_tsc();
		vm->tsc_anchor_value = joins ? expected : val;
	}
	vm->tsc_sync_value = joins && !val ? expected : val;
	vm->tsc_sync_ns = now_ns;
	vm->tsc_sync_khz = vcpu->tsc_khz;
	set_offset_by_line(vcpu);
	raw_spin_unlock(&vm->clock_lock);
}

/**
 * clock_move_tsc() - the guest writes IA32_TSC or IA32_TSC_ADJUST
 * @vcpu: under its mutex
 * @delta: goes on top of both
 */
void clock_move_tsc(struct vcpu *vcpu, u64 delta)
{
	raw_spin_lock(&vcpu->vm->clock_lock);
	vcpu->tsc_adjust += delta;
	set_offset(vcpu, vcpu->tsc_offset + delta);
	raw_spin_unlock(&vcpu->vm->clock_lock);
}

/* ---- frequency ---- */

/**
 * clock_khz_ratio() - how the host's TSC becomes one of another frequency
 * @vm: whose host's
 * @khz: wanted
 *
 * Return: a ratio for the CPU; 0 where it has no scaling, or not so much.
 */
u64 clock_khz_ratio(const struct vm *vm, u32 khz)
{
	u64 ratio = clock_default_ratio();
	u64 difference = khz > vm->host_khz ? khz - vm->host_khz : vm->host_khz - khz;

	if (difference * PPM <= (u64)vm->host_khz * TSC_TOLERANCE_PPM)
		return ratio;
	ratio = mul_u64_u32_div(ratio, khz, vm->host_khz);
	return ratio < backend_ops->max_tsc_ratio ? ratio : 0;
}

/**
 * clock_set_tsc_khz() - KVM_SET_TSC_KHZ of a vCPU
 * @vcpu: under its mutex
 * @khz: 0: as its VM's
 *
 * The TSC goes on from where the VM's line begins, at the new frequency: vCPUs
 * that are set to the same are in step.
 *
 * Return: 0, or -EINVAL where the CPU has no scaling, or not so much.
 */
int clock_set_tsc_khz(struct vcpu *vcpu, u32 khz)
{
	struct vm *vm = vcpu->vm;
	u64 ratio;

	khz = khz ?: vm->guest_khz;
	ratio = clock_khz_ratio(vm, khz);
	if (!ratio)
		return -EINVAL;
	vcpu->tsc_khz = khz;
	if (ratio == vcpu->tsc_scaling_ratio)
		return 0;
	raw_spin_lock(&vm->clock_lock);
	vcpu->tsc_scaling_ratio = ratio;
	set_offset_by_line(vcpu);
	raw_spin_unlock(&vm->clock_lock);
	return 0;
}

/* ---- KVM_VCPU_TSC_OFFSET ---- */

/**
 * clock_set_tsc_offset() - user space puts a vCPU on a line of its own
 * @vcpu: under its mutex
 * @offset: guest TSC - scaled host TSC
 *
 * vCPUs that are given the same offset are in step; it is the VM's line now.
 */
void clock_set_tsc_offset(struct vcpu *vcpu, u64 offset)
{
	struct vm *vm = vcpu->vm;

	raw_spin_lock(&vm->clock_lock);
	vm->tsc_anchor_host = host_tsc();
	vm->tsc_anchor_value = clock_scale(vcpu, vm->tsc_anchor_host - clock_tsc_lost) + offset;
	vm->tsc_sync_value = vm->tsc_anchor_value;
	vm->tsc_sync_ns = ktime_get_raw_ns();
	vm->tsc_sync_khz = vcpu->tsc_khz;
	vcpu->tsc_lost = clock_tsc_lost;
	set_offset(vcpu, offset);
	raw_spin_unlock(&vm->clock_lock);
}

/* ---- lifetime ---- */

/**
 * clock_vm_init() - a new VM
 * @vm: not visible to others
 *
 * Its kvmclock counts from here.
 */
void clock_vm_init(struct vm *vm)
{
	raw_spin_lock_init(&vm->clock_lock);
	vm->host_khz = vm->guest_khz = tsc_khz;
	vm->tsc_in_step = true;
	clock_set_ns(vm, 0);
}

/**
 * clock_vcpu_init() - a new vCPU: its TSC begins at 0, or in step with the others
 * @vcpu: not visible to others; the backend's part is ready
 */
void clock_vcpu_init(struct vcpu *vcpu)
{
	vcpu->tsc_khz = vcpu->vm->guest_khz;
	vcpu->tsc_scaling_ratio = clock_khz_ratio(vcpu->vm, vcpu->tsc_khz);
	clock_set_tsc(vcpu, 0);
}

/**
 * clock_module_init() - is there a TSC to give to guests?
 *
 * Return: 0 or -ENODEV, with one line in the log.
 */
int __init clock_module_init(void)
{
	if (tsc_khz)
		return 0;
	pr_err("kvm: the host does not know the frequency of its TSC\n");
	return -ENODEV;
}

/* ---- sleep of the whole machine ---- */

/**
 * clock_suspend() - the machine goes to sleep
 *
 * On the last CPU, interrupts off.
 */
void clock_suspend(void)
{
	suspend_tsc = rdtsc();
}

/**
 * clock_resume() - it is back; some machines start their TSCs at 0
 *
 * On the first CPU, interrupts off.  Threads were frozen outside of KVM_RUN:
 * clock_ioctl_begin() brings their vCPUs up to date.
 */
void clock_resume(void)
{
	u64 now = rdtsc();

	if (now < suspend_tsc)
		clock_tsc_lost += suspend_tsc - now;
}

/**
 * clock_make_up_for_lost() - the guest's TSC goes on where it was
 * @vcpu: under its mutex
 */
void clock_make_up_for_lost(struct vcpu *vcpu)
{
	u64 lost = clock_tsc_lost - vcpu->tsc_lost;

	raw_spin_lock(&vcpu->vm->clock_lock);
	vcpu->tsc_lost = clock_tsc_lost;
	set_offset(vcpu, vcpu->tsc_offset + clock_scale(vcpu, lost));
	raw_spin_unlock(&vcpu->vm->clock_lock);
}
