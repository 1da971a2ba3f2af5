// SPDX-License-Identifier: GPL-2.0
/* Time: the TSC, its offset, and the kvmclock page by its old and its new MSR. */
#include "test.h"
#include <time.h>

FIXTURE(clock) {
	struct vm vm;
	struct vcpu *vcpus[2];
};

FIXTURE_SETUP(clock)
{
	vm_create(&self->vm, VM_IRQCHIP);
	self->vcpus[0] = vm_add_vcpu(&self->vm, 0);
	self->vcpus[1] = vm_add_vcpu(&self->vm, 1);
}

FIXTURE_TEARDOWN(clock)
{
	vm_destroy(&self->vm);
}

enum { BIT_TSC_STABLE = 1 << 0 };	/* pvclock_vcpu_time_info.flags: msr.rst */

/* The layout that msr.rst gives under MSR_KVM_SYSTEM_TIME_NEW. */
struct clock_page {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	int8_t tsc_shift;
	u8 flags;
	u8 pad[2];
} __attribute__((packed, aligned(64)));

_Static_assert(sizeof(struct clock_page) == 64, "32 bytes, alone in their cache line");

static volatile struct clock_page clocks[2];

/* Nanoseconds, as msr.rst tells to read them. */
static u64 read_clock(volatile struct clock_page *c)
{
	u32 version;
	u64 ns;

	do {
		version = c->version & ~1;
		asm volatile("lfence" : : : "memory");
		ns = rdtsc() - c->tsc_timestamp;
		if (c->tsc_shift >= 0)
			ns <<= c->tsc_shift;
		else
			ns >>= -c->tsc_shift;
		ns = (u64)((unsigned __int128)ns * c->tsc_to_system_mul >> 32) + c->system_time;
		asm volatile("lfence" : : : "memory");
	} while (version != c->version);
	return ns;
}

static u64 set_and_read(u64 msr)
{
	volatile struct clock_page *c = &clocks[this_cpu()->id];

	wrmsr(msr, (u64)c | KVM_MSR_ENABLED);
	guest_check_eq(0, c->version & 1);
	guest_check(c->version != 0);
	return read_clock(c);
}

static bool host_trusts_tsc(void)
{
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
	char name[16] = "";

	if (f && !fgets(name, sizeof(name), f))
		name[0] = 0;
	if (f)
		fclose(f);
	return !strcmp(name, "tsc\n");
}

/*
 * How far behind another vCPU's a reading may be.  Where the host does not trust its TSC,
 * no two vCPUs can have theirs quite in step, but they have the same time of day.
 */
static u64 slack;

static u64 slack_of(u64 per_second)
{
	return host_trusts_tsc() ? 0 : per_second / 50;
}

static u64 host_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

TEST_F(clock, the_new_msr_gives_a_clock_page)
{
	u64 ns = vcpu_call(self->vcpus[0], set_and_read, MSR_KVM_SYSTEM_TIME_NEW);

	/* Counts from the VM's creation, a moment ago. */
	EXPECT_LT(ns, 20000000000ULL);
}

TEST_F(clock, the_old_msr_gives_a_clock_page)
{
	EXPECT_LT(vcpu_call(self->vcpus[0], set_and_read, MSR_KVM_SYSTEM_TIME), 20000000000ULL);
}

static u64 two_readings(u64 arg)
{
	u64 first;

	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)&clocks[0] | KVM_MSR_ENABLED);
	first = read_clock(&clocks[0]);
	guest_sync(1);
	return read_clock(&clocks[0]) - first;
}

TEST_F(clock, the_clock_goes_as_the_hosts_does)
{
	u64 before, after, passed;

	vcpu_start(self->vcpus[0], two_readings, 0);
	before = host_ns(CLOCK_MONOTONIC);
	vcpu_sync(self->vcpus[0]);
	usleep(200000);
	passed = vcpu_finish(self->vcpus[0]);
	after = host_ns(CLOCK_MONOTONIC);
	EXPECT_GE(passed, 195000000);
	EXPECT_LE(passed, after - before);
}

static u64 disable_clock(u64 arg)
{
	u32 version;

	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)&clocks[0] | KVM_MSR_ENABLED);
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0);
	version = clocks[0].version;
	for (int i = 0; i < 20; i++)
		guest_sync(i);
	return clocks[0].version - version;
}

TEST_F(clock, a_disabled_clock_page_is_left_alone)
{
	vcpu_start(self->vcpus[0], disable_clock, 0);
	for (int i = 0; i < 20; i++)
		vcpu_sync(self->vcpus[0]);
	EXPECT_EQ(0, vcpu_finish(self->vcpus[0]));
}

static u64 wall_clock(u64 msr)
{
	static volatile struct { u32 version, sec, nsec; } wall __attribute__((aligned(16)));

	wrmsr(msr, (u64)&wall);
	guest_check_eq(0, wall.version & 1);
	return wall.sec;
}

/* Wall clock at the VM's start: with the system time since then it is now. */
TEST_F(clock, the_wall_clock_is_that_of_the_vms_start)
{
	u64 now = host_ns(CLOCK_REALTIME) / 1000000000;
	u64 new = vcpu_call(self->vcpus[0], wall_clock, MSR_KVM_WALL_CLOCK_NEW);
	u64 old = vcpu_call(self->vcpus[0], wall_clock, MSR_KVM_WALL_CLOCK);

	EXPECT_GE(new, now - 20);
	EXPECT_LE(new, now + 1);
	EXPECT_GE(old, now - 20);
	EXPECT_LE(old, now + 1);
}

/* ---- two vCPUs, one clock ---- */

static volatile u64 latest;

/* Each takes what the other read last; its own reading must not be earlier. */
static u64 compare_clocks(u64 rounds)
{
	volatile struct clock_page *c = &clocks[this_cpu()->id];
	u64 backwards = 0;

	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)c | KVM_MSR_ENABLED);
	for (u64 i = 0; i < rounds; i++) {
		u64 seen = latest, now;

		asm volatile("lfence" : : : "memory");
		now = read_clock(c);
		backwards += now + slack < seen;
		if (now > latest)
			latest = now;
		if (!(i & 1023))
			cpuid(0, 0);
	}
	return backwards;
}

TEST_F(clock, the_clock_never_goes_back_between_two_vcpus)
{
	slack = slack_of(1000000000);
	for (int i = 0; i < 2; i++)
		vcpu_spawn(self->vcpus[i], compare_clocks, 30000);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, vcpu_join(self->vcpus[i]));
}

static u64 clock_flags(u64 arg)
{
	set_and_read(MSR_KVM_SYSTEM_TIME_NEW);
	return clocks[0].flags;
}

TEST_F(clock, the_clock_is_marked_as_stable_where_the_host_trusts_its_tsc)
{
	EXPECT_EQ(host_trusts_tsc() ? BIT_TSC_STABLE : 0,
		  vcpu_call(self->vcpus[0], clock_flags, 0) & BIT_TSC_STABLE);
}

static u64 flags_after_restore(u64 arg)
{
	set_and_read(MSR_KVM_SYSTEM_TIME_NEW);
	guest_sync(1);
	return clocks[0].flags;
}

/* As QEMU does after a migration: it knows the old MSR alone. */
TEST_F(clock, a_clock_that_user_space_restores_is_as_stable_as_before)
{
	struct vcpu *vcpu = self->vcpus[0];
	u64 page;

	vcpu_start(vcpu, flags_after_restore, 0);
	vcpu_sync(vcpu);
	page = vcpu_msr(vcpu, MSR_KVM_SYSTEM_TIME);
	EXPECT_EQ((u64)&clocks[0] | KVM_MSR_ENABLED, page);
	ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_KVM_SYSTEM_TIME, page));
	EXPECT_EQ(host_trusts_tsc() ? BIT_TSC_STABLE : 0, vcpu_finish(vcpu) & BIT_TSC_STABLE);
}

static u64 compare_tscs(u64 rounds)
{
	u64 backwards = 0;

	for (u64 i = 0; i < rounds; i++) {
		u64 seen = latest, now;

		asm volatile("lfence" : : : "memory");
		now = rdtsc();
		backwards += now + slack < seen;
		if (now > latest)
			latest = now;
	}
	return backwards;
}

TEST_F(clock, the_tscs_of_two_vcpus_are_in_step)
{
	slack = slack_of(ioctl(self->vcpus[0]->fd, KVM_GET_TSC_KHZ, 0) * 1000);
	for (int i = 0; i < 2; i++)
		vcpu_spawn(self->vcpus[i], compare_tscs, 50000);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, vcpu_join(self->vcpus[i]));
}

/* ---- the TSC from outside ---- */

static u64 tsc(u64 arg)
{
	return rdtsc();
}

TEST_F(clock, a_new_vcpus_tsc_begins_near_0)
{
	u64 khz = ioctl(self->vcpus[0]->fd, KVM_GET_TSC_KHZ, 0);

	/* Less than ten seconds old. */
	EXPECT_LT(vcpu_call(self->vcpus[0], tsc, 0), khz * 10000);
}

TEST_F(clock, the_tsc_set_from_outside_is_where_the_guest_goes_on)
{
	u64 start = 1ULL << 52, now;

	ASSERT_EQ(1, vcpu_set_msr(self->vcpus[0], MSR_TSC, start));
	now = vcpu_call(self->vcpus[0], tsc, 0);
	EXPECT_GE(now, start);
	EXPECT_LT(now, start + (1ULL << 36));
	EXPECT_GE(vcpu_msr(self->vcpus[0], MSR_TSC), now);
}

TEST_F(clock, tscs_set_alike_from_outside_stay_in_step)
{
	u64 start = 1ULL << 50;

	slack = slack_of(ioctl(self->vcpus[0]->fd, KVM_GET_TSC_KHZ, 0) * 1000);
	/* As QEMU does after a migration: one vCPU after the other, the same value. */
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(1, vcpu_set_msr(self->vcpus[i], MSR_TSC, start));
	}
	for (int i = 0; i < 2; i++)
		vcpu_spawn(self->vcpus[i], compare_tscs, 20000);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, vcpu_join(self->vcpus[i]));
}

TEST_F(clock, tsc_khz_is_told)
{
	NEED_CAP(KVM_CAP_GET_TSC_KHZ);
	EXPECT_GT(ioctl(self->vcpus[0]->fd, KVM_GET_TSC_KHZ, 0), 50000);
}

TEST_F(clock, the_same_tsc_khz_can_be_set)
{
	long khz = ioctl(self->vcpus[0]->fd, KVM_GET_TSC_KHZ, 0);

	NEED_CAP(KVM_CAP_GET_TSC_KHZ);
	EXPECT_EQ(0, errno_of(ioctl(self->vcpus[0]->fd, KVM_SET_TSC_KHZ, khz)));
}

static u64 tsc_passed(u64 arg)
{
	u64 first = rdtsc();

	guest_sync(1);
	return rdtsc() - first;
}

TEST_F(clock, the_tsc_goes_at_the_rate_that_is_told)
{
	u64 khz = ioctl(self->vcpus[0]->fd, KVM_GET_TSC_KHZ, 0), before, after, passed;

	NEED_CAP(KVM_CAP_GET_TSC_KHZ);
	vcpu_start(self->vcpus[0], tsc_passed, 0);
	before = host_ns(CLOCK_MONOTONIC);
	vcpu_sync(self->vcpus[0]);
	usleep(200000);
	passed = vcpu_finish(self->vcpus[0]) * 1000000 / khz;
	after = host_ns(CLOCK_MONOTONIC);
	EXPECT_GE(passed, 195000000);
	EXPECT_LE(passed, (after - before) * 11 / 10);
}

/* ---- KVM_GET_CLOCK, KVM_SET_CLOCK ---- */

TEST_F(clock, the_vms_clock_is_the_guests)
{
	struct kvm_clock_data data;
	u64 ns;

	NEED_CAP(KVM_CAP_ADJUST_CLOCK);
	ns = vcpu_call(self->vcpus[0], set_and_read, MSR_KVM_SYSTEM_TIME_NEW);
	kvm_do(self->vm.fd, KVM_GET_CLOCK, &data);
	EXPECT_GE(data.clock, ns);
	EXPECT_LT(data.clock, ns + 5000000000ULL);
}

TEST_F(clock, the_vms_clock_can_be_set)
{
	struct kvm_clock_data data = { .clock = 3600ULL * 1000000000 };
	u64 ns;

	NEED_CAP(KVM_CAP_ADJUST_CLOCK);
	kvm_do(self->vm.fd, KVM_SET_CLOCK, &data);
	ns = vcpu_call(self->vcpus[0], set_and_read, MSR_KVM_SYSTEM_TIME_NEW);
	EXPECT_GE(ns, 3600ULL * 1000000000);
	EXPECT_LT(ns, 3620ULL * 1000000000);
}

TEST_F(clock, unknown_clock_flags_are_einval)
{
	struct kvm_clock_data data = { .flags = 1 << 20 };

	NEED_CAP(KVM_CAP_ADJUST_CLOCK);
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.fd, KVM_SET_CLOCK, &data)));
}

/* api.rst, KVM_SET_CLOCK: since that time of day the clock has gone on, and it never goes back. */
TEST_F(clock, the_vms_clock_is_set_for_a_time_of_day)
{
	static const s64 second = 1000000000;
	struct kvm_clock_data then = { .clock = 3600 * second, .flags = KVM_CLOCK_REALTIME };
	struct kvm_clock_data now;
	s64 ago;

	if (!(ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_ADJUST_CLOCK) & KVM_CLOCK_REALTIME))
		SKIP(return, "no KVM_CLOCK_REALTIME");
	for (ago = -100; ago <= 100; ago += 200) {
		then.realtime = host_ns(CLOCK_REALTIME) - ago * second;
		kvm_do(self->vm.fd, KVM_SET_CLOCK, &then);
		kvm_do(self->vm.fd, KVM_GET_CLOCK, &now);
		EXPECT_GE(now.clock, (3600 + (ago > 0 ? ago : 0)) * second);
		EXPECT_LT(now.clock, (3620 + (ago > 0 ? ago : 0)) * second);
	}
}

/* The host's two clocks are told for one moment, or not at all. */
TEST_F(clock, the_vms_clock_comes_with_the_hosts_clocks)
{
	u64 both = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	u64 before = host_ns(CLOCK_REALTIME), tsc = rdtsc();
	struct kvm_clock_data data;

	NEED_CAP(KVM_CAP_ADJUST_CLOCK);
	kvm_do(self->vm.fd, KVM_GET_CLOCK, &data);
	if (!host_trusts_tsc()) {
		EXPECT_EQ(0, data.flags);
		EXPECT_EQ(0, data.realtime | data.host_tsc);
		return;
	}
	EXPECT_EQ(both | KVM_CLOCK_TSC_STABLE, data.flags);
	EXPECT_GE(data.realtime, before);
	EXPECT_LE(data.realtime, host_ns(CLOCK_REALTIME));
	EXPECT_GE(data.host_tsc, tsc);
	EXPECT_LE(data.host_tsc, rdtsc());
}

static u64 clock_over_set(u64 arg)
{
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)&clocks[0] | KVM_MSR_ENABLED);
	guest_sync(1);
	return read_clock(&clocks[0]);
}

TEST_F(clock, a_new_clock_reaches_a_guest_that_has_its_page_already)
{
	struct kvm_clock_data data = { .clock = 7200ULL * 1000000000 };

	NEED_CAP(KVM_CAP_ADJUST_CLOCK);
	vcpu_start(self->vcpus[0], clock_over_set, 0);
	vcpu_sync(self->vcpus[0]);
	kvm_do(self->vm.fd, KVM_SET_CLOCK, &data);
	EXPECT_GE(vcpu_finish(self->vcpus[0]), 7200ULL * 1000000000);
}

/* api.rst, KVM_KVMCLOCK_CTRL: the guest learns that it was stopped; needs a page. */
TEST_F(clock, kvmclock_ctrl_without_a_page_is_einval)
{
	NEED_CAP(KVM_CAP_KVMCLOCK_CTRL);
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpus[0]->fd, KVM_KVMCLOCK_CTRL, 0)));
}

enum { BIT_STOPPED = 1 << 1 };

static u64 flags_over_sync(u64 arg)
{
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)&clocks[0] | KVM_MSR_ENABLED);
	guest_sync(1);
	return clocks[0].flags & BIT_STOPPED;
}

TEST_F(clock, kvmclock_ctrl_sets_the_stopped_flag)
{
	NEED_CAP(KVM_CAP_KVMCLOCK_CTRL);
	vcpu_start(self->vcpus[0], flags_over_sync, 0);
	vcpu_sync(self->vcpus[0]);
	kvm_do(self->vcpus[0]->fd, KVM_KVMCLOCK_CTRL, 0);
	EXPECT_EQ(BIT_STOPPED, vcpu_finish(self->vcpus[0]));
}

TEST_HARNESS_MAIN
