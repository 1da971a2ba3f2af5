// SPDX-License-Identifier: GPL-2.0
/*
 * Wrong indices, sizes, orders and flags get the errno of api.rst, and random
 * state harms nobody but its own VM.  (Bad pointers: api.c.  Slots, routes,
 * eventfds, clocks and registers: at the tests of each.)
 */
#include "test.h"
#include <sys/time.h>

FIXTURE(bad) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(bad)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
}

FIXTURE_TEARDOWN(bad)
{
	vm_destroy(&self->vm);
}

#define EXPECT_ERRNO(error, call) EXPECT_EQ(error, errno_of(call))

/* ---- creation ---- */

TEST_F(bad, a_vcpu_id_in_use_is_eexist)
{
	EXPECT_ERRNO(EEXIST, ioctl(self->vm.fd, KVM_CREATE_VCPU, 0));
}

TEST_F(bad, a_vcpu_id_beyond_the_limit_is_einval)
{
	int max = kvm_cap(KVM_CAP_MAX_VCPU_ID);

	/* api.rst: where the capability is 0, KVM_CAP_MAX_VCPUS is the limit. */
	EXPECT_ERRNO(EINVAL, ioctl(self->vm.fd, KVM_CREATE_VCPU, max ?: kvm_cap(KVM_CAP_MAX_VCPUS)));
	EXPECT_ERRNO(EINVAL, ioctl(self->vm.fd, KVM_CREATE_VCPU, -1L));
}

TEST_F(bad, a_tss_address_that_does_not_fit_below_4_gib_is_einval)
{
	EXPECT_ERRNO(EINVAL, ioctl(self->vm.fd, KVM_SET_TSS_ADDR, 0xfffff000UL));
	EXPECT_ERRNO(0, ioctl(self->vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000UL));
}

TEST_F(bad, an_identity_map_address_after_the_first_vcpu_is_einval)
{
	u64 addr = 0xfffbc000;

	NEED_CAP(KVM_CAP_SET_IDENTITY_MAP_ADDR);
	EXPECT_ERRNO(EINVAL, ioctl(self->vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &addr));
}

TEST_F(bad, a_boot_cpu_after_the_first_vcpu_is_ebusy)
{
	NEED_CAP(KVM_CAP_SET_BOOT_CPU_ID);
	EXPECT_ERRNO(EBUSY, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 0));
}

TEST_F(bad, a_boot_cpu_chosen_before_is_the_one_that_runs)
{
	struct vm vm;
	struct vcpu *first, *second;

	NEED_CAP(KVM_CAP_SET_BOOT_CPU_ID);
	vm_create(&vm, VM_IRQCHIP);
	EXPECT_ERRNO(0, ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 1));
	first = vm_add_reset_vcpu(&vm, 0);
	second = vm_add_reset_vcpu(&vm, 1);
	EXPECT_EQ(KVM_MP_STATE_UNINITIALIZED, vcpu_mp_state(first));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, vcpu_mp_state(second));
}

/* ---- lists whose length user space gives ---- */

TEST_F(bad, too_many_msrs_are_e2big)
{
	static struct kvm_msrs msrs = { .nmsrs = 100000 };

	EXPECT_ERRNO(E2BIG, ioctl(self->vcpu->fd, KVM_GET_MSRS, &msrs));
	EXPECT_ERRNO(E2BIG, ioctl(self->vcpu->fd, KVM_SET_MSRS, &msrs));
}

TEST_F(bad, no_msrs_are_none)
{
	struct kvm_msrs msrs = { .nmsrs = 0 };

	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_MSRS, &msrs));
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MSRS, &msrs));
}

/* The head is readable, the entries are not. */
TEST_F(bad, entries_behind_a_good_head_are_efault)
{
	u8 *edge = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_msrs *msrs = (void *)(edge + PAGE_SIZE - sizeof(*msrs));
	struct kvm_cpuid2 *cpuid = (void *)(edge + PAGE_SIZE - sizeof(*cpuid));
	struct kvm_irq_routing *routes = (void *)(edge + PAGE_SIZE - sizeof(*routes));

	munmap(edge + PAGE_SIZE, PAGE_SIZE);
	msrs->nmsrs = 2;
	EXPECT_ERRNO(EFAULT, ioctl(self->vcpu->fd, KVM_GET_MSRS, msrs));
	EXPECT_ERRNO(EFAULT, ioctl(self->vcpu->fd, KVM_SET_MSRS, msrs));
	cpuid->nent = 2;
	EXPECT_ERRNO(EFAULT, ioctl(self->vcpu->fd, KVM_SET_CPUID2, cpuid));
	cpuid->nent = 100;
	EXPECT_ERRNO(EFAULT, ioctl(self->vm.dev, KVM_GET_SUPPORTED_CPUID, cpuid));
	routes->nr = 2;
	routes->flags = 0;
	EXPECT_ERRNO(EFAULT, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, routes));
}

TEST_F(bad, get_cpuid2_with_too_little_room_is_e2big)
{
	struct kvm_cpuid2 cpuid = { .nent = 1 };

	NEED_CAP(KVM_CAP_EXT_CPUID);
	EXPECT_ERRNO(E2BIG, ioctl(self->vcpu->fd, KVM_GET_CPUID2, &cpuid));
}

TEST_F(bad, a_signal_mask_of_another_size_is_einval)
{
	struct {
		struct kvm_signal_mask head;
		u8 bits[16];
	} mask = { .head.len = 16 };

	EXPECT_ERRNO(EINVAL, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	mask.head.len = 0;
	EXPECT_ERRNO(EINVAL, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
}

TEST_F(bad, no_signal_mask_takes_the_old_one_away)
{
	EXPECT_ERRNO(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, NULL));
}

/* ---- what needs an interrupt controller ---- */

TEST_F(bad, routes_without_irqchip_are_einval)
{
	struct kvm_irq_routing routes = { 0 };
	struct vm vm;

	vm_create(&vm, VM_PLAIN);
	EXPECT_ERRNO(EINVAL, ioctl(vm.fd, KVM_SET_GSI_ROUTING, &routes));
}

TEST_F(bad, an_irqfd_without_irqchip_is_refused)
{
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 4 };
	struct vm vm;

	vm_create(&vm, VM_PLAIN);
	EXPECT_ERRNO(EINVAL, ioctl(vm.fd, KVM_IRQFD, &irqfd));
}

TEST_F(bad, reinjection_without_pit_is_enxio)
{
	struct kvm_reinject_control control = { .pit_reinject = 1 };

	NEED_CAP(KVM_CAP_REINJECT_CONTROL);
	EXPECT_ERRNO(ENXIO, ioctl(self->vm.fd, KVM_REINJECT_CONTROL, &control));
}

TEST_F(bad, an_msi_with_unknown_flags_is_einval)
{
	struct kvm_msi msi = { .address_lo = APIC_BASE_ADDR, .data = 0x51, .flags = 1u << 31 };

	EXPECT_ERRNO(EINVAL, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &msi));
}

TEST(an_msi_before_the_first_vcpu_reaches_nobody)
{
	struct kvm_msi msi = { .address_lo = APIC_BASE_ADDR | 5 << 12, .data = 0x51 };
	struct vm vm;

	NEED_CAP(KVM_CAP_SIGNAL_MSI);
	vm_create(&vm, VM_IRQCHIP);
	EXPECT_EQ(0, ioctl(vm.fd, KVM_SIGNAL_MSI, &msi));
}

TEST_F(bad, a_gsi_that_nobody_routed_does_no_harm)
{
	struct kvm_irq_level level = { .irq = 0x7fffffff, .level = 1 };

	ioctl(self->vm.fd, KVM_IRQ_LINE, &level);
	level.irq = 4000;
	ioctl(self->vm.fd, KVM_IRQ_LINE, &level);
	level.irq = 4;
	EXPECT_ERRNO(0, ioctl(self->vm.fd, KVM_IRQ_LINE, &level));
}

/* ---- running what cannot run ---- */

TEST_F(bad, running_without_memory_ends_with_a_reason)
{
	struct vm vm;
	struct vcpu *vcpu;
	int ret;

	vm_create_bare(&vm);
	vcpu = vm_add_reset_vcpu(&vm, 0);
	/* The reset vector is not there: an MMIO exit or an internal error, never success. */
	ret = ioctl(vcpu->fd, KVM_RUN, 0);
	EXPECT_TRUE(ret < 0 || vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR ||
		    vcpu->run->exit_reason == KVM_EXIT_MMIO ||
		    vcpu->run->exit_reason == KVM_EXIT_SHUTDOWN)
		TH_LOG("exit %s", exit_name(vcpu->run->exit_reason));
}

static u64 spin(u64 arg)
{
	for (;;)
		cpu_relax();
	return 0;
}

TEST_F(bad, a_processor_that_waits_for_sipi_can_be_interrupted)
{
	struct vcpu *ap = vm_add_reset_vcpu(&self->vm, 1);

	EXPECT_EQ(EINTR, vcpu_enter_interrupted(ap, 50000));
	EXPECT_EQ(KVM_MP_STATE_UNINITIALIZED, vcpu_mp_state(ap));
}

/* ---- random state ---- */

static u64 seed;

static u64 next_random(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return seed >> 33 ^ seed << 31;
}

/* Mostly what was there, with some bytes changed: noise alone is refused too soon. */
static void disturb(void *state, size_t size)
{
	u8 *bytes = state;

	for (u32 n = next_random() % 8 + 1; n; n--)
		bytes[next_random() % size] = next_random();
}

#define DISTURB(fd, get, set, type) do {				\
	type state_;							\
									\
	memset(&state_, 0, sizeof(state_));				\
	if (!ioctl(fd, get, &state_)) {					\
		disturb(&state_, sizeof(state_));			\
		ioctl(fd, set, &state_);				\
	}								\
} while (0)

static void disturb_vcpu(struct vcpu *vcpu)
{
	switch (next_random() % 9) {
	case 0:
		DISTURB(vcpu->fd, KVM_GET_REGS, KVM_SET_REGS, struct kvm_regs);
		break;
	case 1:
	case 2:
		DISTURB(vcpu->fd, KVM_GET_SREGS, KVM_SET_SREGS, struct kvm_sregs);
		break;
	case 3:
		DISTURB(vcpu->fd, KVM_GET_FPU, KVM_SET_FPU, struct kvm_fpu);
		break;
	case 4:
		DISTURB(vcpu->fd, KVM_GET_LAPIC, KVM_SET_LAPIC, struct kvm_lapic_state);
		break;
	case 5:
		DISTURB(vcpu->fd, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, struct kvm_vcpu_events);
		break;
	case 6:
		DISTURB(vcpu->fd, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, struct kvm_debugregs);
		break;
	case 7:
		DISTURB(vcpu->fd, KVM_GET_XSAVE, KVM_SET_XSAVE, struct kvm_xsave);
		break;
	case 8:
		DISTURB(vcpu->fd, KVM_GET_XCRS, KVM_SET_XCRS, struct kvm_xcrs);
		break;
	}
}

static void disturb_vm(struct vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = next_random() % 3 };

	if (!ioctl(vm->fd, KVM_GET_IRQCHIP, &chip)) {
		disturb(&chip.chip, 64);
		ioctl(vm->fd, KVM_SET_IRQCHIP, &chip);
	}
	DISTURB(vm->fd, KVM_GET_PIT2, KVM_SET_PIT2, struct kvm_pit_state2);
	DISTURB(vm->fd, KVM_GET_CLOCK, KVM_SET_CLOCK, struct kvm_clock_data);
}

static void run_shortly(struct vcpu *vcpu)
{
	/* Again and again, for a signal that comes before KVM_RUN ends nothing. */
	struct itimerval timer = { { 0, 2000 }, { 0, 2000 } }, off = { 0 };

	setitimer(ITIMER_REAL, &timer, NULL);
	for (int i = 0; i < 5; i++)
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
			break;
	setitimer(ITIMER_REAL, &off, NULL);
}

static void nothing(int sig)
{
}

static void run_disturbed(u64 first_seed, int rounds)
{
	struct sigaction action = { .sa_handler = nothing };

	for (int i = 0; i < rounds; i++) {
		struct vm vm;
		struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP | VM_PIT);

		sigaction(SIGALRM, &action, NULL);
		seed = first_seed + i;
		vcpu_start(vcpu, spin, 0);
		for (u32 n = next_random() % 4 + 1; n; n--)
			disturb_vcpu(vcpu);
		if (!(next_random() & 3))
			disturb_vm(&vm);
		run_shortly(vcpu);
		vm_destroy(&vm);
	}
}

/* All that is judged here is that the host lives; its log is looked at by scripts/lab. */
TEST_F(bad, a_vcpu_in_a_disturbed_state_harms_nobody)
{
	run_disturbed(1000, 40);
	EXPECT_EQ(12, ioctl(self->vm.dev, KVM_GET_API_VERSION, 0));
}

/* ---- another thread writes to kvm_run while the guest runs ---- */

static volatile bool stop;

static void *scribble(void *vcpu)
{
	volatile u8 *run = (u8 *)((struct vcpu *)vcpu)->run;
	size_t size = ((struct vcpu *)vcpu)->run_size;
	u64 random = 7;

	while (!stop) {
		random = random * 6364136223846793005 + 1442695040888963407;
		/* Not the first bytes: immediate_exit would end each run at once. */
		run[32 + (random >> 40) % (size - 32)] = random >> 20;
	}
	return NULL;
}

static u64 busy_guest(u64 rounds)
{
	for (u64 i = 0; i < rounds; i++) {
		u64 rcx = 100, rsi = (u64)guest_cpus;

		outb(0x1234, i);
		inl(0x1238);
		write64(VM_MMIO, i);
		read64(VM_MMIO + PAGE_SIZE - 4);
		asm volatile("rep outsb" : "+c"(rcx), "+S"(rsi) : "d"(0x1234) : "memory");
	}
	return 0;
}

TEST_F(bad, a_thread_that_scribbles_on_kvm_run_harms_nobody)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_PLAIN);
	pthread_t thread;

	vcpu_start(vcpu, busy_guest, 1 << 30);
	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, vcpu));
	for (int i = 0; i < 3000; i++)
		ioctl(vcpu->fd, KVM_RUN, 0);
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(12, ioctl(self->vm.dev, KVM_GET_API_VERSION, 0));
}

TEST_HARNESS_MAIN
