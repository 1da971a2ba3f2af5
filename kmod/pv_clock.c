// SPDX-License-Identifier: GPL-2.0
/*
 * Time in pages that guest and host share: kvmclock, wall clock, stolen time.
 * Documentation/virt/kvm/x86/msr.rst.
 *
 * A kvmclock page tells its vCPU a moment (TSC, ns) and the TSC's frequency.
 * If two vCPUs were given different moments, however exact, one could see time
 * that the other has not reached yet.  So a VM takes one moment, tells it to
 * all vCPUs, and keeps it:
 *
 *	host clocksource is the TSC		one moment for the VM (clock_paired)
 *	and all vCPUs read the same TSC		PVCLOCK_TSC_STABLE_BIT on top
 *	host TSCs not reliable			a moment each time a page is written,
 *						which is after each move to another CPU
 *
 * The moment is taken anew after KVM_SET_CLOCK, after a suspend that reset the
 * TSC, and when the host changes its mind about its TSC; then never so that
 * kvmclock would run back.
 *
 * Ns are of the host's CLOCK_MONOTONIC_RAW with its sleep added: NTP must not
 * steer what guests steer themselves.
 *
 * NOTDONE: KVM_HC_CLOCK_PAIRING.
 */
#include <linux/irqflags.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <asm/pvclock.h>
#include <uapi/linux/kvm_para.h>
#include "backend.h"
#include "clock.h"
#include "mmu/memslot.h"

struct moment {
	u64	tsc;		/* host's, suspends made up for */
	s64	ns, realtime;	/* what the host's clocks read then */
	bool	exact;		/* the host's clocks run on that TSC */
};

static struct moment moment_now(void)
{
	struct system_time_snapshot snap;
	struct moment m;
	unsigned long flags;
	u64 before, span;

	local_irq_save(flags);
	before = rdtsc_ordered();
	ktime_get_snapshot(&snap);
	span = rdtsc_ordered() - before;
	local_irq_restore(flags);

	m.ns = ktime_to_ns(snap.raw) + ktime_to_ns(ktime_mono_to_any(0, TK_OFFS_BOOT));
	m.realtime = ktime_to_ns(snap.real);
	/* A count between the two readings: the clocksource is the TSC itself. */
	m.exact = snap.cycles - before <= span && !check_tsc_unstable();
	m.tsc = (m.exact ? snap.cycles : before) + clock_tsc_lost;
	return m;
}

/*
 * ns = (cycles << tsc_shift) * tsc_to_system_mul >> 32; a negative shift is to
 * the right.  The factor is a fraction: the ratio of 1 ns to a cycle is brought
 * below 1, and above 1/2, by the shift.
 */
static struct pvclock_vcpu_time_info tsc_to_ns(u64 hz)
{
	u64 second = NSEC_PER_SEC;
	int shift = 0;

	for (; hz > U32_MAX; shift--)
		hz >>= 1;
	for (; second >= hz; shift++)
		hz <<= 1;
	for (; second * 2 < hz; shift--)
		second <<= 1;
	return (struct pvclock_vcpu_time_info){
		.tsc_to_system_mul = div64_u64(second << 32, hz), .tsc_shift = shift,
	};
}

/* ---- kvmclock of a VM; vm->clock_lock held ---- */

static bool moment_is_good(const struct vm *vm)
{
	return vm->clock_paired && vm->clock_lost == clock_tsc_lost;
}

/* As pages with the VM's moment tell it, by the TSC. */
static u64 clock_ns_by_tsc(const struct vm *vm, u64 tsc)
{
	struct pvclock_vcpu_time_info info = tsc_to_ns(vm->host_khz * 1000ULL);
	u64 cycles = tsc - vm->clock_tsc;

	if ((s64)cycles < 0)
		return vm->clock_ns;
	return vm->clock_ns +
	       pvclock_scale_delta(cycles, info.tsc_to_system_mul, info.tsc_shift);
}

/* Kvmclock at @m: where pages do not last, by the host's clocks. */
static u64 clock_ns_at(const struct vm *vm, const struct moment *m)
{
	return moment_is_good(vm) ? clock_ns_by_tsc(vm, m->tsc) : m->ns + vm->clock_offset;
}

static void set_moment(struct vm *vm, const struct moment *m, u64 ns)
{
	vm->clock_tsc = m->tsc;
	vm->clock_ns = ns;
	vm->clock_lost = clock_tsc_lost;
	vm->clock_offset = ns - m->ns;
	WRITE_ONCE(vm->clock_paired, m->exact);
}

/* Pages may have run ahead of the host's clocks: do not take that back. */
static void renew_moment(struct vm *vm)
{
	struct moment m = moment_now();
	u64 ns = m.ns + vm->clock_offset;

	/* An old moment of an unreliable TSC says nothing about this CPU's. */
	if (vm->clock_paired || !check_tsc_unstable())
		ns = max(ns, clock_ns_by_tsc(vm, m.tsc));
	set_moment(vm, &m, ns);
}

/**
 * clock_request_all() - have the kvmclock pages of all vCPUs written anew
 * @vm: any; any context
 */
void clock_request_all(struct vm *vm)
{
	struct vcpu *vcpu;
	int i;

	vm_for_each_vcpu(i, vcpu, vm) {
		vcpu_request(vcpu, REQ_CLOCK_UPDATE);
		vcpu_kick(vcpu);
	}
}

/**
 * clock_set_ns() - let kvmclock read a value now
 * @vm: any
 * @ns: the value
 */
void clock_set_ns(struct vm *vm, u64 ns)
{
	struct moment m = moment_now();

	raw_spin_lock(&vm->clock_lock);
	set_moment(vm, &m, ns);
	raw_spin_unlock(&vm->clock_lock);
	clock_request_all(vm);
}

/**
 * clock_ioctl_get() - KVM_GET_CLOCK
 * @vm: any
 * @data: filled; the host's clocks at that very moment only where they run on the TSC
 *
 * Return: 0.
 */
int clock_ioctl_get(struct vm *vm, struct kvm_clock_data *data)
{
	struct moment m;

	memset(data, 0, sizeof(*data));
	raw_spin_lock(&vm->clock_lock);
	m = moment_now();
	data->clock = clock_ns_at(vm, &m);
	if (moment_is_good(vm) && vm->tsc_in_step) {
		data->flags = CLOCK_FLAGS;
		data->realtime = m.realtime;
		data->host_tsc = m.tsc - clock_tsc_lost;
	}
	raw_spin_unlock(&vm->clock_lock);
	return 0;
}

/**
 * clock_ioctl_set() - KVM_SET_CLOCK
 * @vm: any
 * @data: what it shall read now, or did at @data->realtime; a time yet to come is now
 *
 * Return: 0, or -EINVAL for unknown flags.
 */
int clock_ioctl_set(struct vm *vm, const struct kvm_clock_data *data)
{
	s64 since = 0;

	if (data->flags & ~CLOCK_FLAGS)
		return -EINVAL;
	if (data->flags & KVM_CLOCK_REALTIME)
		since = moment_now().realtime - data->realtime;
	clock_set_ns(vm, data->clock + max_t(s64, since, 0));
	return 0;
}

/* ---- kvmclock of a vCPU ---- */

/*
 * Write @len bytes at @gpa under a version at @version_gpa: the guest reads the
 * version before and after, and reads again if it is odd or has changed.
 */
static void write_versioned(struct vcpu *vcpu, gpa_t version_gpa, u32 *version,
			    gpa_t gpa, const void *data, unsigned long len)
{
	*version = (*version + 1) | 1;
	if (pv_write(vcpu, version_gpa, version, sizeof(*version)))
		return;
	smp_wmb();	/* odd version, then the data */
	pv_write(vcpu, gpa, data, len);
	smp_wmb();	/* the data, then an even version */
	++*version;
	pv_write(vcpu, version_gpa, version, sizeof(*version));
}

/* The guest clears PVCLOCK_GUEST_STOPPED itself. */
static void write_time_info(struct vcpu *vcpu, struct pvclock_vcpu_time_info *info)
{
	gpa_t gpa = vcpu->kvmclock_msr & ~(gpa_t)KVM_MSR_ENABLED;
	struct pvclock_vcpu_time_info old;

	if (pv_read(vcpu, gpa, &old, sizeof(old)))
		return;
	if (vcpu->guest_stopped)
		old.flags |= PVCLOCK_GUEST_STOPPED;
	vcpu->guest_stopped = false;
	info->flags |= old.flags & PVCLOCK_GUEST_STOPPED;
	info->version = old.version;
	write_versioned(vcpu, gpa, &info->version, gpa, info, sizeof(*info));
}

/**
 * clock_update_guest() - REQ_CLOCK_UPDATE: write the kvmclock page
 * @vcpu: under its mutex; memslot_srcu held; may sleep
 */
void clock_update_guest(struct vcpu *vcpu)
{
	struct pvclock_vcpu_time_info info = tsc_to_ns(clock_guest_hz(vcpu));
	struct vm *vm = vcpu->vm;
	bool changed = false;

	if (!(vcpu->kvmclock_msr & KVM_MSR_ENABLED))
		return;
	raw_spin_lock(&vm->clock_lock);
	if (!moment_is_good(vm) || check_tsc_unstable()) {
		changed = vm->clock_paired;
		renew_moment(vm);
		changed |= vm->clock_paired;
	}
	info.tsc_timestamp = clock_guest_tsc_at(vcpu, vm->clock_tsc - clock_tsc_lost);
	info.system_time = vm->clock_ns;
	/* A guest that came by the old MSR does not know the flags. */
	if (vm->clock_paired && vm->tsc_in_step && vcpu->kvmclock_new)
		info.flags = PVCLOCK_TSC_STABLE_BIT;
	raw_spin_unlock(&vm->clock_lock);

	if (changed)
		clock_request_all(vm);
	write_time_info(vcpu, &info);
}

/**
 * clock_ioctl_kvmclock_ctrl() - KVM_KVMCLOCK_CTRL: the guest was stopped
 * @vcpu: under its mutex
 *
 * Return: 0, or -EINVAL where the guest has no kvmclock page.
 */
int clock_ioctl_kvmclock_ctrl(struct vcpu *vcpu)
{
	if (!(vcpu->kvmclock_msr & KVM_MSR_ENABLED))
		return -EINVAL;
	vcpu->guest_stopped = true;
	vcpu_request(vcpu, REQ_CLOCK_UPDATE);
	return 0;
}

/* ---- wall clock ---- */

/**
 * clock_write_wall() - tell what the real time was when kvmclock read 0
 * @vcpu: under its mutex; memslot_srcu held; may sleep
 * @gpa: where to; 0: nowhere
 *
 * Written once, when the guest asks by MSR_KVM_WALL_CLOCK or its _NEW.
 */
void clock_write_wall(struct vcpu *vcpu, gpa_t gpa)
{
	struct pvclock_wall_clock wall;
	struct vm *vm = vcpu->vm;
	struct moment m;
	u64 ns;

	if (!gpa || pv_read(vcpu, gpa, &wall, sizeof(wall)))
		return;
	raw_spin_lock(&vm->clock_lock);
	m = moment_now();
	ns = m.realtime - clock_ns_at(vm, &m);
	raw_spin_unlock(&vm->clock_lock);

	wall.sec = div_u64_rem(ns, NSEC_PER_SEC, &wall.nsec);
	write_versioned(vcpu, gpa, &wall.version, gpa, &wall, sizeof(wall));
}

/* ---- stolen time ---- */

#define steal_gpa(vcpu, field)	\
	(((vcpu)->steal_msr & KVM_STEAL_VALID_BITS) + offsetof(struct kvm_steal_time, field))

/**
 * clock_mark_preempted() - tell the guest that the vCPU does not run
 * @vcpu: as for clock_run_end()
 */
void clock_mark_preempted(struct vcpu *vcpu)
{
	static const u8 preempted = KVM_VCPU_PREEMPTED;

	if (pv_write(vcpu, steal_gpa(vcpu, preempted), &preempted, sizeof(preempted)))
		return;
	vcpu->steal_preempted = true;
	vcpu_request(vcpu, REQ_STEAL_UPDATE);
}

/* Running again. Another vCPU may have left a flush to do instead of sending an IPI. */
static int clear_preempted(struct vcpu *vcpu)
{
	static const u8 running;
	u8 was = vcpu->steal_preempted ? KVM_VCPU_PREEMPTED : 0;
	int r;

	do
		r = pv_cmpxchg(vcpu, steal_gpa(vcpu, preempted), &was, &running, sizeof(was));
	while (r > 0);
	vcpu->steal_preempted = false;
	if (!r && was & KVM_VCPU_FLUSH_TLB)
		backend(flush_tlb)(vcpu, false);
	return r;
}

/**
 * clock_update_steal() - REQ_STEAL_UPDATE: the vCPU runs again
 * @vcpu: under its mutex, on the thread that runs it; memslot_srcu held; may sleep
 *
 * Stolen is the time in which the thread was ready but waited for a CPU.
 */
void clock_update_steal(struct vcpu *vcpu)
{
	u64 delay = current->sched_info.run_delay;
	struct kvm_steal_time st;

	if (!(vcpu->steal_msr & KVM_MSR_ENABLED) || clear_preempted(vcpu) ||
	    pv_read(vcpu, steal_gpa(vcpu, steal), &st, offsetofend(typeof(st), version)))
		return;
	/* Another thread may run the vCPU now, and have waited less in all. */
	if (delay > vcpu->steal_last)
		st.steal += delay - vcpu->steal_last;
	vcpu->steal_last = delay;
	write_versioned(vcpu, steal_gpa(vcpu, version), &st.version,
			steal_gpa(vcpu, steal), &st.steal, sizeof(st.steal));
}

/**
 * clock_set_steal() - WRMSR of MSR_KVM_STEAL_TIME
 * @vcpu: under its mutex, on the thread that runs it
 * @val: guest physical address, and KVM_MSR_ENABLED
 */
void clock_set_steal(struct vcpu *vcpu, u64 val)
{
	vcpu->steal_msr = val;
	vcpu->steal_preempted = false;
	vcpu->steal_last = current->sched_info.run_delay;
	if (val & KVM_MSR_ENABLED)
		vcpu_request(vcpu, REQ_STEAL_UPDATE);
}
