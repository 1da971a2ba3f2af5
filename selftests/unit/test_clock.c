// SPDX-License-Identifier: GPL-2.0
/* clock.c and pv_clock.c: vCPUs in step, kvmclock that never runs back, stolen time. */
#include <linux/kvm.h>
#include <linux/sched.h>
#include <asm/kvm_para.h>
#include <asm/pvclock.h>
#include "clock.h"
#include "kselftest_harness.h"
#include "msr.h"

#define SECOND	1000000000ULL
#define HZ	2000000000ULL		/* of the world's TSC */

/* vCPU @i's pages in guest memory */
#define CLOCK_GPA(i)	((i) * 1024ULL)
#define STEAL_GPA(i)	((i) * 1024ULL + 512)
#define WALL_GPA	7168ULL

static struct vcpu *with_kvmclock(struct vcpu *vcpu)
{
	msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA(vcpu->id) | KVM_MSR_ENABLED, true);
	return vcpu;
}

/* Kvmclock as KVM_GET_CLOCK tells it. */
static u64 host_ns(struct vm *vm)
{
	struct kvm_clock_data data;

	clock_ioctl_get(vm, &data);
	return data.clock;
}

/* What the vCPU's thread does before it enters the guest. */
static void enter(struct vcpu *vcpu)
{
	clock_ioctl_begin(vcpu);
	while (vcpu->requests) {
		if (vcpu_take_request(vcpu, REQ_CLOCK_UPDATE))
			clock_update_guest(vcpu);
		if (vcpu_take_request(vcpu, REQ_STEAL_UPDATE))
			clock_update_steal(vcpu);
	}
}

static struct pvclock_vcpu_time_info *page(struct vcpu *vcpu)
{
	return (void *)(world.memory + CLOCK_GPA(vcpu->id));
}

/* Kvmclock as the guest works it out, by the formula in msr.rst. */
static u64 guest_ns(struct vcpu *vcpu)
{
	const struct pvclock_vcpu_time_info *info = page(vcpu);
	u64 time = world_guest_tsc(vcpu) - info->tsc_timestamp;

	time = info->tsc_shift >= 0 ? time << info->tsc_shift : time >> -info->tsc_shift;
	return ((unsigned __int128)time * info->tsc_to_system_mul >> 32) + info->system_time;
}

static struct kvm_steal_time *steal(struct vcpu *vcpu)
{
	return (void *)(world.memory + STEAL_GPA(vcpu->id));
}

/* ---- TSC ---- */

TEST(first_vcpu_begins_at_zero)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_LT(world_guest_tsc(vcpu), 100);
}

TEST(vcpu_made_later_is_in_step)
{
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second;

	world.ns += 100 * SECOND;
	second = world_vcpu(vm);
	EXPECT_EQ(world_guest_tsc(first), world_guest_tsc(second));
	EXPECT_TRUE(vm->tsc_in_step);
}

TEST(value_near_what_is_expected_joins)
{
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second = world_vcpu(vm);
	s64 error;

	for (error = -(s64)HZ + 10; error < (s64)HZ; error += HZ / 4) {
		clock_set_tsc(first, 1000 * HZ);
		world.ns += 10 * SECOND;
		clock_set_tsc(second, 1010 * HZ + error);
		ASSERT_EQ(world_guest_tsc(first), world_guest_tsc(second));
	}
}

TEST(value_a_second_off_begins_a_new_line)
{
	static const s64 errors[] = { -(s64)HZ - 1000, HZ + 1000, -50 * (s64)HZ, 50 * HZ };
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second = world_vcpu(vm);
	unsigned int i;
	u64 val;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		clock_set_tsc(first, 1000 * HZ);
		val = 1000 * HZ + errors[i];
		clock_set_tsc(second, val);
		ASSERT_LT(world_guest_tsc(second) - val, 100);
		ASSERT_NE(world_guest_tsc(first), world_guest_tsc(second));
		ASSERT_FALSE(vm->tsc_in_step);
		/* The first follows, and they are in step again. */
		clock_set_tsc(first, val);
		ASSERT_EQ(world_guest_tsc(first), world_guest_tsc(second));
		ASSERT_TRUE(vm->tsc_in_step);
	}
}

TEST(slow_restore_of_one_saved_value_keeps_step)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu[WORLD_VCPUS];
	int i;

	for (i = 0; i < WORLD_VCPUS; i++)
		vcpu[i] = world_vcpu(vm);
	for (i = 0; i < WORLD_VCPUS; i++) {
		clock_set_tsc(vcpu[i], 5000 * HZ);
		world.ns += SECOND * 9 / 10;
	}
	for (i = 1; i < WORLD_VCPUS; i++)
		EXPECT_EQ(world_guest_tsc(vcpu[0]), world_guest_tsc(vcpu[i]));
}

TEST(vcpu_switched_on_late_does_not_hide_what_is_expected)
{
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second;

	world.ns += 100 * SECOND;
	second = world_vcpu(vm);
	clock_set_tsc(second, 100 * HZ);
	EXPECT_EQ(world_guest_tsc(first), world_guest_tsc(second));
}

TEST(unstable_host_tsc_joins_by_time)
{
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second = world_vcpu(vm);

	world.tsc_unstable = true;
	clock_set_tsc(first, 1000 * HZ);
	world.ns += 3 * SECOND;
	world.tsc_error = 77 * HZ;	/* on another CPU */
	clock_set_tsc(second, 1003 * HZ + HZ / 2);
	EXPECT_LT(world_guest_tsc(second) - 1003 * HZ, 1000);
}

TEST(guest_write_moves_adjust_by_as_much)
{
	struct vcpu *vcpu = world_vcpu(world_vm());
	u64 before = world_guest_tsc(vcpu);

	msr_write(vcpu, MSR_IA32_TSC, 9000, false);
	EXPECT_EQ(9000, world_guest_tsc(vcpu));
	EXPECT_EQ(9000 - before, vcpu->tsc_adjust);
}

TEST(guest_write_of_adjust_moves_tsc)
{
	struct vcpu *vcpu = world_vcpu(world_vm());
	u64 before = world_guest_tsc(vcpu);

	msr_write(vcpu, MSR_IA32_TSC_ADJUST, 5000, false);
	EXPECT_EQ(before + 5000, world_guest_tsc(vcpu));
	msr_write(vcpu, MSR_IA32_TSC_ADJUST, 0, false);
	EXPECT_EQ(before, world_guest_tsc(vcpu));
}

TEST(host_writes_leave_the_other_register_alone)
{
	struct vcpu *vcpu = world_vcpu(world_vm());
	u64 before = world_guest_tsc(vcpu);

	msr_write(vcpu, MSR_IA32_TSC_ADJUST, 5000, true);
	EXPECT_EQ(before, world_guest_tsc(vcpu));
	clock_set_tsc(vcpu, 100 * HZ);
	EXPECT_EQ(5000, vcpu->tsc_adjust);
}

TEST(frequency_near_the_hosts_needs_no_scaling)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(0, clock_set_tsc_khz(vcpu, 2000400));
	EXPECT_EQ(2000400, vcpu->tsc_khz);
	EXPECT_EQ(1ULL << 32, vcpu->tsc_scaling_ratio);
	EXPECT_EQ(HZ, clock_guest_hz(vcpu));
	EXPECT_EQ(0, clock_set_tsc_khz(vcpu, 0));
	EXPECT_EQ(2000000, vcpu->tsc_khz);
}

TEST(frequency_that_needs_scaling_is_refused_without)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(-EINVAL, clock_set_tsc_khz(vcpu, 2000600));
	EXPECT_EQ(-EINVAL, clock_set_tsc_khz(vcpu, 1000000));
	EXPECT_EQ(2000000, vcpu->tsc_khz);
}

TEST(scaled_vcpus_count_at_their_frequency_in_step)
{
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second = world_vcpu(vm);
	u64 before;

	world_has_tsc_scaling(true);
	ASSERT_EQ(0, clock_set_tsc_khz(first, 3000000));
	EXPECT_FALSE(vm->tsc_in_step);
	world.ns += SECOND;
	ASSERT_EQ(0, clock_set_tsc_khz(second, 3000000));
	EXPECT_TRUE(vm->tsc_in_step);
	EXPECT_EQ(world_guest_tsc(first), world_guest_tsc(second));
	before = world_guest_tsc(first);
	world.ns += SECOND;
	EXPECT_EQ(3000000000, world_guest_tsc(first) - before);
	/* 256 times the host's frequency is more than the ratio has room for. */
	EXPECT_EQ(-EINVAL, clock_set_tsc_khz(first, 512000000));
}

/* Of one as fast, 50 days are more cycles than 64 bits hold; a first vCPU counts from the host's boot. */
TEST(cycles_of_a_long_time_wrap_around)
{
	struct vm *vm = world_vm();
	struct vcpu *first, *second;

	world_has_tsc_scaling(true);
	vm->guest_khz = 511000000;
	world.ns = 1000 * 86400 * SECOND;
	first = world_vcpu(vm);
	EXPECT_LT(world_guest_tsc(first), 1000);
	world.ns += 1000 * 86400 * SECOND;
	second = world_vcpu(vm);
	EXPECT_EQ(world_guest_tsc(first), world_guest_tsc(second));
	clock_set_tsc(first, 5000);
	clock_set_tsc(second, 5000);
	EXPECT_TRUE(vm->tsc_in_step);
}

/* A suspend of @ns; the TSC begins again at 0. */
static void suspend(u64 ns)
{
	clock_suspend();
	world.ns += ns;
	world.slept_ns += ns;
	world.tsc_start_ns = world.ns;
	clock_resume();
}

TEST(tsc_goes_on_after_a_suspend_that_reset_it)
{
	struct vm *vm = world_vm();
	struct vcpu *first = world_vcpu(vm), *second = world_vcpu(vm);
	u64 before;

	world.ns += 100 * SECOND;
	before = world_guest_tsc(first);
	suspend(1000 * SECOND);
	enter(first);
	enter(second);
	EXPECT_LT(world_guest_tsc(first) - before, 1000);
	EXPECT_EQ(world_guest_tsc(first), world_guest_tsc(second));
	EXPECT_TRUE(vm->tsc_in_step);
	/* Also those who join later, and what is written then. */
	world.ns += SECOND;
	EXPECT_EQ(world_guest_tsc(first), world_guest_tsc(world_vcpu(vm)));
	clock_set_tsc(first, 7777 * HZ);
	EXPECT_LT(world_guest_tsc(first) - 7777 * HZ, 1000);
}

/* ---- kvmclock ---- */

TEST(kvmclock_counts_from_the_vms_beginning)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu = with_kvmclock(world_vcpu(vm));
	u64 ns;

	world.ns += 5 * SECOND;
	enter(vcpu);
	ns = guest_ns(vcpu);
	EXPECT_LT(ns - 5 * SECOND, 100);
	EXPECT_LT(host_ns(vm) - ns, 10);
}

TEST(kvmclock_keeps_the_hosts_time_at_any_frequency)
{
	static const u64 khz[] = { 100000, 999999, 1000000, 1000001, 1999999, 2400000, 3800000,
				   4294967, 4294968, 5000000, 9000000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		struct vm *vm = world_vm();
		struct vcpu *vcpu;
		s64 error;

		world.tsc_hz = khz[i] * 1000;
		vm->host_khz = vm->guest_khz = khz[i];
		vcpu = with_kvmclock(world_vcpu(vm));
		enter(vcpu);
		ASSERT_EQ(0, page(vcpu)->version % 2);
		world.ns += 86400 * SECOND;
		error = guest_ns(vcpu) - host_ns(vm);
		/* 2^-31 of a day, and a few ns that reading takes. */
		ASSERT_LT(error < 0 ? -error : error, 86400 * SECOND >> 31);
	}
}

TEST(vcpus_in_step_are_told_one_moment_and_so)
{
	struct vm *vm = world_vm();
	struct vcpu *first = with_kvmclock(world_vcpu(vm)), *second;

	enter(first);
	world.ns += SECOND;
	second = with_kvmclock(world_vcpu(vm));
	enter(second);
	EXPECT_EQ(PVCLOCK_TSC_STABLE_BIT, page(first)->flags);
	EXPECT_EQ(PVCLOCK_TSC_STABLE_BIT, page(second)->flags);
	EXPECT_EQ(page(first)->tsc_timestamp, page(second)->tsc_timestamp);
	EXPECT_EQ(page(first)->system_time, page(second)->system_time);
}

TEST(vcpu_out_of_step_takes_the_stable_bit_from_all)
{
	struct vm *vm = world_vm();
	struct vcpu *first = with_kvmclock(world_vcpu(vm)), *second = with_kvmclock(world_vcpu(vm));

	enter(first);
	enter(second);
	msr_write(second, MSR_IA32_TSC_ADJUST, 12345, false);
	enter(first);
	enter(second);
	EXPECT_EQ(0, page(first)->flags);
	EXPECT_EQ(0, page(second)->flags);
	EXPECT_EQ(guest_ns(first), guest_ns(second));

	msr_write(second, MSR_IA32_TSC_ADJUST, 0, false);
	enter(first);
	enter(second);
	EXPECT_EQ(PVCLOCK_TSC_STABLE_BIT, page(first)->flags);
	EXPECT_EQ(PVCLOCK_TSC_STABLE_BIT, page(second)->flags);
}

TEST(old_msr_has_no_flags)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	msr_write(vcpu, MSR_KVM_SYSTEM_TIME, CLOCK_GPA(0) | KVM_MSR_ENABLED, false);
	enter(vcpu);
	EXPECT_NE(0, page(vcpu)->tsc_to_system_mul);
	EXPECT_EQ(0, page(vcpu)->flags);
}

TEST(restored_by_the_old_msr_it_has_its_flags)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	msr_write(vcpu, MSR_KVM_SYSTEM_TIME, CLOCK_GPA(0) | KVM_MSR_ENABLED, true);
	enter(vcpu);
	EXPECT_EQ(PVCLOCK_TSC_STABLE_BIT, page(vcpu)->flags);
}

TEST(page_is_left_alone_when_disabled)
{
	struct vcpu *vcpu = with_kvmclock(world_vcpu(world_vm()));
	u32 version;

	enter(vcpu);
	version = page(vcpu)->version;
	msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_GPA(0), true);
	enter(vcpu);
	EXPECT_EQ(version, page(vcpu)->version);
}

static bool torn;

/* While the time is written, the version must be odd. */
static void watch_version(gpa_t gpa, const void *data, unsigned long len)
{
	const struct pvclock_vcpu_time_info *info = (void *)world.memory;

	if (len > sizeof(info->version) && info->version % 2 == 0)
		torn = true;
}

TEST(version_is_odd_while_the_page_is_written)
{
	struct vcpu *vcpu = world_vcpu(world_vm());
	unsigned int i;

	torn = false;
	for (i = 0; i < 4; i++) {
		page(vcpu)->version = i;	/* as the guest left it */
		world.before_write = watch_version;
		with_kvmclock(vcpu);
		enter(vcpu);
		EXPECT_FALSE(torn);
		EXPECT_EQ(0, page(vcpu)->version % 2);
		EXPECT_GT(page(vcpu)->version, i);
	}
}

TEST(guest_that_was_stopped_is_told_once)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(-EINVAL, clock_ioctl_kvmclock_ctrl(vcpu));
	with_kvmclock(vcpu);
	enter(vcpu);
	EXPECT_EQ(0, clock_ioctl_kvmclock_ctrl(vcpu));
	enter(vcpu);
	EXPECT_TRUE(page(vcpu)->flags & PVCLOCK_GUEST_STOPPED);
	/* It stays until the guest has seen it. */
	vcpu_request(vcpu, REQ_CLOCK_UPDATE);
	enter(vcpu);
	EXPECT_TRUE(page(vcpu)->flags & PVCLOCK_GUEST_STOPPED);
	page(vcpu)->flags &= ~PVCLOCK_GUEST_STOPPED;
	vcpu_request(vcpu, REQ_CLOCK_UPDATE);
	enter(vcpu);
	EXPECT_FALSE(page(vcpu)->flags & PVCLOCK_GUEST_STOPPED);
}

TEST(other_clocksource_means_no_stable_bit)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu;

	world.other_clocksource = true;
	clock_set_ns(vm, 0);
	vcpu = with_kvmclock(world_vcpu(vm));
	enter(vcpu);
	EXPECT_EQ(0, page(vcpu)->flags);
	world.ns += SECOND;
	EXPECT_LT(guest_ns(vcpu) - SECOND, 1000);
}

TEST(unstable_tsc_has_the_page_written_after_each_move)
{
	struct vcpu *vcpu = with_kvmclock(world_vcpu(world_vm()));
	u64 before;

	enter(vcpu);
	clock_moved(vcpu);
	EXPECT_EQ(0, vcpu->requests);

	world.tsc_unstable = true;
	world.ns += SECOND;
	before = guest_ns(vcpu);
	world.tsc_error = -5 * (s64)HZ;
	clock_moved(vcpu);
	EXPECT_NE(0, vcpu->requests);
	enter(vcpu);
	EXPECT_LT(guest_ns(vcpu) - before, 1000);
	EXPECT_EQ(0, page(vcpu)->flags);
}

TEST(tsc_found_unstable_is_told_to_all_vcpus)
{
	struct vm *vm = world_vm();
	struct vcpu *first = with_kvmclock(world_vcpu(vm)), *second = with_kvmclock(world_vcpu(vm));

	enter(first);
	enter(second);
	world.tsc_unstable = true;
	clock_moved(first);
	enter(first);
	enter(second);
	EXPECT_EQ(0, page(first)->flags);
	EXPECT_EQ(0, page(second)->flags);
}

/*
 * Suspends, another clocksource, guests that move their TSC, a TSC that is
 * slower than the kernel believes: time goes forward on each vCPU, and where
 * the page says that it is stable, it is not behind what another has seen.
 */
TEST(kvmclock_never_runs_back)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu[WORLD_VCPUS];
	u64 last[WORLD_VCPUS] = {}, newest = 0, now;
	unsigned int i, n, seed = 1;

	vm->host_khz = vm->guest_khz = 1900000;
	for (i = 0; i < WORLD_VCPUS; i++)
		vcpu[i] = with_kvmclock(world_vcpu(vm));
	for (n = 0; n < 100000; n++) {
		switch (rand_r(&seed) % 256) {
		case 0:
			suspend(rand_r(&seed) % 1000);
			for (i = 0; i < WORLD_VCPUS; i++)
				enter(vcpu[i]);
			break;
		case 1:
			world.other_clocksource = !world.other_clocksource;
			clock_set_ns(vm, host_ns(vm) + 100);
			for (i = 0; i < WORLD_VCPUS; i++)
				enter(vcpu[i]);
			break;
		case 2:
			msr_write(vcpu[rand_r(&seed) % WORLD_VCPUS], MSR_IA32_TSC, rand_r(&seed), false);
			break;
		case 3:
			world.ns += rand_r(&seed) % SECOND;
			break;
		}
		world.ns += rand_r(&seed) % 100;
		i = rand_r(&seed) % WORLD_VCPUS;
		clock_moved(vcpu[i]);
		enter(vcpu[i]);
		now = guest_ns(vcpu[i]);
		ASSERT_GE(now, last[i]);
		if (page(vcpu[i])->flags & PVCLOCK_TSC_STABLE_BIT)
			ASSERT_GE(now, newest);
		last[i] = now;
		newest = now > newest ? now : newest;
	}
}

TEST(stable_kvmclock_is_one_for_all_vcpus)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu[WORLD_VCPUS];
	u64 last = 0, now;
	unsigned int i, n, seed = 2;

	for (i = 0; i < WORLD_VCPUS; i++)
		vcpu[i] = with_kvmclock(world_vcpu(vm));
	for (n = 0; n < 10000; n++) {
		world.ns += rand_r(&seed) % 50;
		i = rand_r(&seed) % WORLD_VCPUS;
		if (rand_r(&seed) % 8 == 0)
			vcpu_request(vcpu[i], REQ_CLOCK_UPDATE);
		enter(vcpu[i]);
		now = guest_ns(vcpu[i]);
		ASSERT_GE(now, last);
		last = now;
	}
}

/* ---- KVM_GET_CLOCK, KVM_SET_CLOCK ---- */

TEST(get_clock_is_what_vcpus_see)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu = with_kvmclock(world_vcpu(vm));
	struct kvm_clock_data data;
	u64 ns;

	enter(vcpu);
	world.ns += 3600 * SECOND;
	EXPECT_EQ(0, clock_ioctl_get(vm, &data));
	ns = guest_ns(vcpu);
	EXPECT_LE(data.clock, ns);
	EXPECT_LT(ns - data.clock, 10);
	EXPECT_EQ(CLOCK_FLAGS, data.flags);
	EXPECT_LT(WORLD_REAL_NS + world.ns - data.realtime, 1000);
	EXPECT_LT(rdtsc() - data.host_tsc, 10000);
}

TEST(set_clock_goes_on_from_a_time_of_day)
{
	struct vm *vm = world_vm();
	struct kvm_clock_data now, then = { .clock = 50 * SECOND, .flags = KVM_CLOCK_REALTIME };

	then.realtime = WORLD_REAL_NS + world.ns - 7 * SECOND;
	EXPECT_EQ(0, clock_ioctl_set(vm, &then));
	EXPECT_EQ(0, clock_ioctl_get(vm, &now));
	EXPECT_LT(now.clock - 57 * SECOND, 1000);
	/* a time yet to come is now */
	then.realtime = WORLD_REAL_NS + world.ns + 7 * SECOND;
	EXPECT_EQ(0, clock_ioctl_set(vm, &then));
	EXPECT_EQ(0, clock_ioctl_get(vm, &now));
	EXPECT_LT(now.clock - 50 * SECOND, 1000);
}

TEST(set_clock_is_seen_by_all_vcpus)
{
	struct vm *vm = world_vm();
	struct vcpu *first = with_kvmclock(world_vcpu(vm)), *second = with_kvmclock(world_vcpu(vm));
	struct kvm_clock_data data = { .clock = 12345 * SECOND };

	enter(first);
	enter(second);
	EXPECT_EQ(0, clock_ioctl_set(vm, &data));
	enter(first);
	enter(second);
	EXPECT_LT(guest_ns(first) - data.clock, 100);
	EXPECT_EQ(guest_ns(first), guest_ns(second));
	/* and can be set back */
	data.clock = 0;
	EXPECT_EQ(0, clock_ioctl_set(vm, &data));
	enter(first);
	EXPECT_LT(guest_ns(first), 100);
}

TEST(set_clock_refuses_unknown_flags)
{
	struct kvm_clock_data data = { .flags = 1 };

	EXPECT_EQ(-EINVAL, clock_ioctl_set(world_vm(), &data));
	data.flags = CLOCK_FLAGS | 1 << 20;
	EXPECT_EQ(-EINVAL, clock_ioctl_set(world_vm(), &data));
}

TEST(clock_in_suspend_counts_sleep)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu = with_kvmclock(world_vcpu(vm));

	enter(vcpu);
	suspend(500 * SECOND);
	enter(vcpu);
	EXPECT_LT(guest_ns(vcpu) - 500 * SECOND, 1000);
}

TEST(wall_clock_is_real_time_less_kvmclock)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu = world_vcpu(vm);
	const struct pvclock_wall_clock *wall = (void *)(world.memory + WALL_GPA);
	u64 real;

	world.ns += 1234 * SECOND + 567;
	msr_write(vcpu, MSR_KVM_WALL_CLOCK_NEW, WALL_GPA, true);
	real = wall->sec * SECOND + wall->nsec + host_ns(vm);
	EXPECT_LT(world.ns + WORLD_REAL_NS - real + 10, 20);
	EXPECT_EQ(0, wall->version % 2);
	EXPECT_NE(0, wall->version);
}

/* ---- stolen time ---- */

static struct vcpu *with_steal(struct vcpu *vcpu)
{
	msr_write(vcpu, MSR_KVM_STEAL_TIME, STEAL_GPA(vcpu->id) | KVM_MSR_ENABLED, true);
	return vcpu;
}

TEST(time_waited_for_a_cpu_is_stolen)
{
	struct vcpu *vcpu = with_steal(world_vcpu(world_vm()));

	enter(vcpu);
	EXPECT_EQ(0, steal(vcpu)->steal);
	current->sched_info.run_delay += 700;
	clock_run_end(vcpu);
	EXPECT_EQ(KVM_VCPU_PREEMPTED, steal(vcpu)->preempted);
	enter(vcpu);
	EXPECT_EQ(700, steal(vcpu)->steal);
	EXPECT_EQ(0, steal(vcpu)->preempted);
	EXPECT_EQ(0, steal(vcpu)->version % 2);
	/* another thread, which has waited less in its life */
	current->sched_info.run_delay = 3;
	clock_run_end(vcpu);
	enter(vcpu);
	EXPECT_EQ(700, steal(vcpu)->steal);
}

TEST(flush_left_in_the_page_is_done_before_entry)
{
	struct vcpu *vcpu = with_steal(world_vcpu(world_vm()));

	enter(vcpu);
	clock_run_end(vcpu);
	EXPECT_EQ(0, world.nr_flushes);
	steal(vcpu)->preempted |= KVM_VCPU_FLUSH_TLB;
	enter(vcpu);
	EXPECT_EQ(1, world.nr_flushes);
	EXPECT_EQ(0, steal(vcpu)->preempted);
}

TEST(steal_msr_with_reserved_bits_is_refused)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(1, msr_write(vcpu, MSR_KVM_STEAL_TIME, STEAL_GPA(0) | 2, true));
	EXPECT_EQ(0, vcpu->steal_msr);
}

TEST(steal_page_outside_memory_is_ignored)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(0, msr_write(vcpu, MSR_KVM_STEAL_TIME, (1ULL << 40) | KVM_MSR_ENABLED, true));
	enter(vcpu);
	clock_run_end(vcpu);
	EXPECT_EQ(0, vcpu->requests);
}

TEST_HARNESS_MAIN
