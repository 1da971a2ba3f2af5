// SPDX-License-Identifier: GPL-2.0
/*
 * What a monitor takes upon itself: interrupt controllers, MSRs, hypercalls,
 * exits it does without, registers in kvm_run, and what it may count.
 */
#include "test.h"

FIXTURE(monitor) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(monitor)
{
	self->vcpu = vm_create_one(&self->vm, VM_PLAIN);
}

FIXTURE_TEARDOWN(monitor)
{
	vm_destroy(&self->vm);
}

static int enable(struct vm *vm, u32 cap, u64 arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = arg };

	return errno_of(ioctl(vm->fd, KVM_ENABLE_CAP, &enable));
}

/* A VM that was told of @cap before its vCPU came. */
static struct vcpu *create_with(struct vm *vm, unsigned int flags, u32 cap, u64 arg)
{
	vm_destroy(vm);
	vm_create(vm, flags);
	if (enable(vm, cap, arg))
		vm_die("capability %u cannot be enabled: %m", cap);
	return vm_add_vcpu(vm, 0);
}

/* ---- an interrupt controller in user space ---- */

enum { VECTOR = 0x61, LEVEL_VECTOR = 0x71 };

/* Interrupts are off, on without an exit for a long while, then off again. */
static u64 opens_up_in_silence(u64 rounds)
{
	guest_sync(1);
	irq_enable();
	for (u64 i = 0; i < rounds && !this_cpu()->irqs[VECTOR]; i++)
		cpu_relax();
	irq_disable();
	return this_cpu()->irqs[VECTOR];
}

/* Only an exit in the middle of the loop can tell user space of the window. */
static u64 inject_through_window(struct vcpu *vcpu)
{
	struct kvm_interrupt irq = { .irq = VECTOR };

	vcpu_start(vcpu, opens_up_in_silence, 1ULL << 24);
	vcpu_sync(vcpu);
	die_unless(!vcpu->run->ready_for_interrupt_injection);
	vcpu->run->request_interrupt_window = 1;
	if (vcpu_enter(vcpu) != KVM_EXIT_IRQ_WINDOW_OPEN)
		vm_die("exit %s", exit_name(vcpu->run->exit_reason));
	die_unless(vcpu->run->ready_for_interrupt_injection && vcpu->run->if_flag);
	vcpu->run->request_interrupt_window = 0;
	kvm_do(vcpu->fd, KVM_INTERRUPT, &irq);
	return vcpu_finish(vcpu);
}

TEST_F(monitor, an_interrupt_window_opens_without_another_exit)
{
	EXPECT_EQ(1, inject_through_window(self->vcpu));
}

TEST_F(monitor, with_a_split_irqchip_a_pic_of_user_space_gets_its_window)
{
	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	self->vcpu = create_with(&self->vm, VM_PLAIN, KVM_CAP_SPLIT_IRQCHIP, 24);
	EXPECT_EQ(1, inject_through_window(self->vcpu));
}

TEST_F(monitor, a_split_irqchip_has_no_chips_but_local_apics)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_lapic_state lapic;
	struct kvm_pit_config pit = {};

	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	self->vcpu = create_with(&self->vm, VM_PLAIN, KVM_CAP_SPLIT_IRQCHIP, 24);
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &lapic));
	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip)));
	/* api.rst asks for KVM_CREATE_IRQCHIP first; stock KVM makes a PIT without a PIC. */
	if (!kvm_is_stock())
		EXPECT_EQ(ENOENT, errno_of(ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit)));
	EXPECT_EQ(EEXIST, errno_of(ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0)));
	EXPECT_EQ(EEXIST, enable(&self->vm, KVM_CAP_SPLIT_IRQCHIP, 24));
}

TEST_F(monitor, a_split_irqchip_comes_before_vcpus_and_has_so_many_pins)
{
	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	EXPECT_EQ(EEXIST, enable(&self->vm, KVM_CAP_SPLIT_IRQCHIP, 24));
	vm_destroy(&self->vm);
	vm_create(&self->vm, VM_PLAIN);
	EXPECT_EQ(EINVAL, enable(&self->vm, KVM_CAP_SPLIT_IRQCHIP, 5000));
	EXPECT_EQ(0, enable(&self->vm, KVM_CAP_SPLIT_IRQCHIP, 24));
}

static u64 take_a_level_interrupt(u64 unused)
{
	xapic_enable();
	guest_sync(1);
	irq_window();
	return this_cpu()->irqs[LEVEL_VECTOR];
}

/* A route of an I/O APIC's pin, as a monitor makes it: the EOI must come back to it. */
TEST_F(monitor, user_space_hears_the_eoi_of_a_level_triggered_interrupt)
{
	struct kvm_irq_routing_entry route = {
		.gsi = 5, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = APIC_BASE_ADDR, .data = LEVEL_VECTOR | 1 << 15 },
	};

	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	self->vcpu = create_with(&self->vm, VM_PLAIN, KVM_CAP_SPLIT_IRQCHIP, 24);
	guest_handlers[LEVEL_VECTOR] = guest_eoi_xapic;
	ASSERT_EQ(0, vm_set_routes(&self->vm, &route, 1, 0));
	vcpu_start(self->vcpu, take_a_level_interrupt, 0);
	vcpu_sync(self->vcpu);
	vm_irq_line(&self->vm, 5, 1);
	ASSERT_EQ(KVM_EXIT_IOAPIC_EOI, vcpu_enter(self->vcpu));
	EXPECT_EQ(LEVEL_VECTOR, self->vcpu->run->eoi.vector);
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

/* ---- MSRs ---- */

static u64 read_nobodys(u64 unused)
{
	u64 val;

	return rdmsr_try(MSR_NOBODY_HAS, &val) == NO_VECTOR ? val : ~0ULL;
}

static u64 write_nobodys(u64 val)
{
	return wrmsr_try(MSR_NOBODY_HAS, val);
}

TEST_F(monitor, user_space_answers_for_an_unknown_msr)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_X86_USER_SPACE_MSR);
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN));
	vcpu_start(self->vcpu, read_nobodys, 0);
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, vcpu_enter(self->vcpu));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_UNKNOWN, run->msr.reason);
	EXPECT_EQ(MSR_NOBODY_HAS, run->msr.index);
	run->msr.data = 0x123456789abcdef0;
	EXPECT_EQ(0x123456789abcdef0, vcpu_finish(self->vcpu));
}

TEST_F(monitor, user_space_sees_what_is_written_and_may_refuse_it)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_X86_USER_SPACE_MSR);
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN));
	vcpu_start(self->vcpu, write_nobodys, 0xfedcba9876543210);
	ASSERT_EQ(KVM_EXIT_X86_WRMSR, vcpu_enter(self->vcpu));
	EXPECT_EQ(0xfedcba9876543210, run->msr.data);
	run->msr.error = 1;
	EXPECT_EQ(GP_VECTOR, vcpu_finish(self->vcpu));
}

TEST_F(monitor, without_being_asked_for_an_unknown_msr_is_gp)
{
	EXPECT_EQ(~0ULL, vcpu_call(self->vcpu, read_nobodys, 0));
}

static int set_filter(struct vm *vm, u32 flags, u32 access, u32 base, u32 nr, void *bitmap)
{
	struct kvm_msr_filter filter = {
		.flags = flags,
		.ranges[0] = { .flags = access, .base = base, .nmsrs = nr, .bitmap = bitmap },
	};

	return errno_of(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter));
}

/* One that the CPU would otherwise let pass, at each of the stages. */
static u64 read_passed_msr(u64 stages)
{
	u64 val, faults = 0;

	for (u64 i = 0; i < stages; i++) {
		guest_sync(i + 1);
		faults += rdmsr_try(MSR_KERNEL_GS_BASE, &val) == GP_VECTOR;
	}
	return faults;
}

TEST_F(monitor, a_filter_takes_an_msr_from_a_running_guest_and_gives_it_back)
{
	u8 none[8] = {};

	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	vcpu_start(self->vcpu, read_passed_msr, 3);
	vcpu_sync(self->vcpu);
	vcpu_sync(self->vcpu);
	ASSERT_EQ(0, set_filter(&self->vm, 0, KVM_MSR_FILTER_READ, MSR_KERNEL_GS_BASE, 1, none));
	vcpu_sync(self->vcpu);
	ASSERT_EQ(0, set_filter(&self->vm, 0, 0, 0, 0, NULL));
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

static u64 write_then_read_sysenter(u64 val)
{
	u64 got;

	if (wrmsr_try(MSR_SYSENTER_EIP, val) != GP_VECTOR)
		return 1;
	return rdmsr_try(MSR_SYSENTER_EIP, &got) == NO_VECTOR ? 0 : 2;
}

TEST_F(monitor, a_filter_tells_reads_from_writes)
{
	u8 none[8] = {};

	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	ASSERT_EQ(0, set_filter(&self->vm, 0, KVM_MSR_FILTER_WRITE, MSR_SYSENTER_EIP, 1, none));
	EXPECT_EQ(0, vcpu_call(self->vcpu, write_then_read_sysenter, 0x1000));
}

static u64 write_sysenter(u64 val)
{
	return wrmsr_try(MSR_SYSENTER_EIP, val);
}

/* What the CPU would refuse, were it asked; an entry with it would fail. */
TEST_F(monitor, under_a_filter_an_address_must_be_canonical_still)
{
	u8 none[8] = {};

	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	ASSERT_EQ(0, set_filter(&self->vm, 0, KVM_MSR_FILTER_READ, MSR_KERNEL_GS_BASE, 1, none));
	/* Stock KVM makes it canonical, AMD's CPUs take 32 bits of it. */
	EXPECT_EQ(kvm_is_stock() || kvm_cpu_is_amd() ? NO_VECTOR : GP_VECTOR,
		  vcpu_call(self->vcpu, write_sysenter, 1ULL << 63));
}

/* PAT is allowed by its bit, TSC_ADJUST is in no range. */
static u64 read_allowed_and_denied(u64 unused)
{
	u64 val;

	return (rdmsr_try(MSR_PAT, &val) == NO_VECTOR) |
	       (rdmsr_try(MSR_SYSENTER_CS, &val) == GP_VECTOR) << 1;
}

TEST_F(monitor, what_no_range_names_is_denied_by_default_if_asked_so)
{
	u8 one[8] = { 1 };

	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	ASSERT_EQ(0, set_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, KVM_MSR_FILTER_READ,
				MSR_PAT, 1, one));
	EXPECT_EQ(3, vcpu_call(self->vcpu, read_allowed_and_denied, 0));
}

TEST_F(monitor, a_denied_msr_can_be_user_spaces)
{
	u8 none[8] = {};

	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER));
	vcpu_start(self->vcpu, read_passed_msr, 1);
	vcpu_sync(self->vcpu);
	ASSERT_EQ(0, set_filter(&self->vm, 0, KVM_MSR_FILTER_READ, MSR_KERNEL_GS_BASE, 1, none));
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, vcpu_enter(self->vcpu));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_FILTER, self->vcpu->run->msr.reason);
	EXPECT_EQ(0, vcpu_finish(self->vcpu));
}

TEST_F(monitor, a_filter_that_makes_no_sense_is_refused)
{
	u8 bits[8] = {};
	u32 too_many = KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8 + 1;

	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	EXPECT_EQ(EINVAL, set_filter(&self->vm, 2, 1, MSR_PAT, 1, bits));
	EXPECT_EQ(EINVAL, set_filter(&self->vm, 0, 4, MSR_PAT, 1, bits));
	EXPECT_EQ(EINVAL, set_filter(&self->vm, 0, 1, MSR_PAT, too_many, bits));
	EXPECT_EQ(EINVAL, set_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, 0, 0, 0, NULL));
	EXPECT_EQ(EFAULT, set_filter(&self->vm, 0, 1, MSR_PAT, 1, (void *)8));
	EXPECT_EQ(EINVAL, enable(&self->vm, KVM_CAP_X86_USER_SPACE_MSR, 1 << 20));
}

enum { MSR_PLATFORM_INFO = 0xce };

static u64 read_platform_info(u64 unused)
{
	u64 val;

	return rdmsr_try(MSR_PLATFORM_INFO, &val);
}

TEST_F(monitor, the_guests_platform_info_can_be_hidden)
{
	NEED_CAP(KVM_CAP_MSR_PLATFORM_INFO);
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, read_platform_info, 0));
	EXPECT_EQ(0, enable(&self->vm, KVM_CAP_MSR_PLATFORM_INFO, 0));
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, read_platform_info, 0));
}

/* ---- hypercalls ---- */

u64 hypercall_vmmcall(u64 nr, u64 a0, u64 a1);
u64 hypercall_vmcall(u64 nr, u64 a0, u64 a1);
static bool intel, foreign;

static u64 map_gpa_range(u64 gpa)
{
	return intel != foreign ? hypercall_vmcall(KVM_HC_MAP_GPA_RANGE, gpa, 2) :
				  hypercall_vmmcall(KVM_HC_MAP_GPA_RANGE, gpa, 2);
}

TEST_F(monitor, a_guest_tells_user_space_what_it_shares)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_EXIT_HYPERCALL);
	intel = !kvm_cpu_is_amd();
	foreign = false;
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE));
	vcpu_start(self->vcpu, map_gpa_range, 0x5000);
	ASSERT_EQ(KVM_EXIT_HYPERCALL, vcpu_enter(self->vcpu));
	EXPECT_EQ(KVM_HC_MAP_GPA_RANGE, run->hypercall.nr);
	EXPECT_EQ(0x5000, run->hypercall.args[0]);
	EXPECT_EQ(2, run->hypercall.args[1]);
	EXPECT_EQ(1, run->hypercall.longmode);
	run->hypercall.ret = 77;
	EXPECT_EQ(77, vcpu_finish(self->vcpu));
}

/* The guest's instruction is made the right one, too. */
TEST_F(monitor, by_the_other_vendors_instruction_too)
{
	const u8 *code = intel ? (u8 *)hypercall_vmmcall : (u8 *)hypercall_vmcall;

	NEED_CAP(KVM_CAP_EXIT_HYPERCALL);
	intel = !kvm_cpu_is_amd();
	foreign = true;
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE));
	vcpu_start(self->vcpu, map_gpa_range, 0x5000);
	ASSERT_EQ(KVM_EXIT_HYPERCALL, vcpu_enter(self->vcpu));
	self->vcpu->run->hypercall.ret = 78;
	EXPECT_EQ(78, vcpu_finish(self->vcpu));
	EXPECT_NE(NULL, memmem(code, 32, intel ? "\x0f\x01\xc1" : "\x0f\x01\xd9", 3));
}

TEST_F(monitor, a_range_that_is_none_never_reaches_user_space)
{
	NEED_CAP(KVM_CAP_EXIT_HYPERCALL);
	intel = !kvm_cpu_is_amd();
	foreign = false;
	EXPECT_EQ(-KVM_ENOSYS, vcpu_call(self->vcpu, map_gpa_range, 0x5000));
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE));
	EXPECT_EQ(-KVM_EINVAL, vcpu_call(self->vcpu, map_gpa_range, 0x5001));
	EXPECT_EQ(EINVAL, enable(&self->vm, KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_KICK_CPU));
}

static u64 foreign_hypercall(u64 unused)
{
	return intel ? guest_try("vmmcall", : "a"(KVM_HC_KICK_CPU)) :
		       guest_try("vmcall", : "a"(KVM_HC_KICK_CPU));
}

TEST_F(monitor, the_other_vendors_hypercall_is_ud_if_user_space_wants_it_so)
{
	NEED(kvm_cap(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN, "no such quirk");
	intel = !kvm_cpu_is_amd();
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_FIX_HYPERCALL_INSN));
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, foreign_hypercall, 0));
}

/* ---- MONITOR and MWAIT ---- */

static u64 monitor_insn(u64 address)
{
	return guest_try("monitor", : "a"(address), "c"(0), "d"(0));
}

static u64 cpuid_mwait(u64 unused)
{
	return cpuid(1, 0).ecx >> 3 & 1;
}

TEST_F(monitor, monitor_is_a_nop_or_ud_and_cpuid_follows_misc_enable)
{
	enum { MISC_ENABLE_MWAIT = 1 << 18 };
	u64 misc = vcpu_msr(self->vcpu, MSR_MISC_ENABLE), here = (u64)monitor_insn;
	u32 quirks = KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS;

	NEED((kvm_cap(KVM_CAP_DISABLE_QUIRKS2) & quirks) == quirks, "no such quirks");
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, monitor_insn, here));
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_DISABLE_QUIRKS2, quirks));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_MISC_ENABLE, misc | MISC_ENABLE_MWAIT));
	EXPECT_EQ(1, vcpu_call(self->vcpu, cpuid_mwait, 0));
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, monitor_insn, here));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_MISC_ENABLE, misc & ~(u64)MISC_ENABLE_MWAIT));
	EXPECT_EQ(0, vcpu_call(self->vcpu, cpuid_mwait, 0));
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, monitor_insn, here));
}

/* ---- exits that a monitor does without ---- */

static u64 halt_until_tick(u64 unused)
{
	xapic_enable();
	xapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	xapic_write(APIC_LVTT, APIC_LVT_ONESHOT | VECTOR);
	xapic_write(APIC_TMICT, 1000000);
	/* A host's interrupt may end a HLT too: Bochs forgets it over an exit, AMD-V may. */
	for (u32 i = 0; i < 100000 && !this_cpu()->irqs[VECTOR]; i++)
		wait_for_irq();
	return this_cpu()->irqs[VECTOR];
}

TEST_F(monitor, a_guest_that_halts_without_an_exit_still_gets_its_interrupts)
{
	u32 exits;

	NEED_CAP(KVM_CAP_X86_DISABLE_EXITS);
	exits = kvm_cap(KVM_CAP_X86_DISABLE_EXITS) &
		(KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE);
	self->vcpu = create_with(&self->vm, VM_IRQCHIP, KVM_CAP_X86_DISABLE_EXITS, exits);
	guest_handlers[VECTOR] = guest_eoi_xapic;
	EXPECT_EQ(1, vcpu_call(self->vcpu, halt_until_tick, 0));
}

static u64 pv_features(u64 unused)
{
	return cpuid(KVM_CPUID_FEATURES, 0).eax;
}

/* On VT-x nothing but an event ends such a HLT: a guest must not count on KVM_HC_KICK_CPU. */
TEST_F(monitor, no_kick_is_offered_to_a_guest_that_halts_without_an_exit)
{
	NEED_CAP(KVM_CAP_X86_DISABLE_EXITS);
	self->vcpu = create_with(&self->vm, VM_IRQCHIP, KVM_CAP_X86_DISABLE_EXITS,
				 KVM_X86_DISABLE_EXITS_HLT);
	EXPECT_EQ(0, vcpu_call(self->vcpu, pv_features, 0) >> KVM_FEATURE_PV_UNHALT & 1);
}

TEST_F(monitor, exits_that_cannot_be_disabled_are_einval)
{
	vm_destroy(&self->vm);
	vm_create(&self->vm, VM_PLAIN);
	NEED_CAP(KVM_CAP_X86_DISABLE_EXITS);
	EXPECT_EQ(EINVAL, enable(&self->vm, KVM_CAP_X86_DISABLE_EXITS, 1 << 16));
}

/* x87 state to memory that is not there: no executor knows it. */
static u64 x87_to_device(u64 gva)
{
	asm volatile("fnstenv (%0)" : : "r"(gva) : "memory");
	return 0;
}

static u64 user_x87_to_device(u64 gva)
{
	return guest_user(x87_to_device, gva, 0);
}

TEST_F(monitor, an_instruction_we_cannot_execute_is_user_spaces_at_cpl_3_too)
{
	NEED_CAP(KVM_CAP_EXIT_ON_EMULATION_FAILURE);
	ASSERT_EQ(EINVAL, enable(&self->vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 2));
	ASSERT_EQ(0, enable(&self->vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1));
	vcpu_start(self->vcpu, user_x87_to_device, VM_MMIO);
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_enter(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, self->vcpu->run->internal.suberror);
}

/* ---- ids ---- */

TEST_F(monitor, vcpu_ids_can_be_limited_once)
{
	NEED(kvm_cap(KVM_CAP_MAX_VCPU_ID) > 0, "no limit is known");
	vm_destroy(&self->vm);
	vm_create(&self->vm, VM_PLAIN);
	EXPECT_EQ(EINVAL, enable(&self->vm, KVM_CAP_MAX_VCPU_ID, kvm_cap(KVM_CAP_MAX_VCPU_ID) + 1));
	EXPECT_EQ(0, enable(&self->vm, KVM_CAP_MAX_VCPU_ID, 4));
	EXPECT_EQ(0, enable(&self->vm, KVM_CAP_MAX_VCPU_ID, 4));
	EXPECT_EQ(EINVAL, enable(&self->vm, KVM_CAP_MAX_VCPU_ID, 5));
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.fd, KVM_CREATE_VCPU, 4)));
	EXPECT_LE(0, ioctl(self->vm.fd, KVM_CREATE_VCPU, 3));
}

/* ---- registers in kvm_run ---- */

static u64 sync_twice(u64 arg)
{
	guest_sync(1);
	return arg;
}

TEST_F(monitor, registers_come_and_go_with_kvm_run)
{
	struct kvm_run *run = self->vcpu->run;
	struct kvm_regs regs;

	NEED_CAP(KVM_CAP_SYNC_REGS);
	run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	vcpu_start(self->vcpu, sync_twice, 0);
	vcpu_sync(self->vcpu);
	regs = vcpu_regs(self->vcpu);
	EXPECT_EQ(0, memcmp(&regs, &run->s.regs.regs, sizeof(regs)));
	EXPECT_EQ(vcpu_sregs(self->vcpu).cr3, run->s.regs.sregs.cr3);

	run->s.regs.regs.r15 = 0x15;
	run->s.regs.sregs.cr2 = 0x2000;
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	run->immediate_exit = 1;
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	EXPECT_EQ(0, run->kvm_dirty_regs);
	EXPECT_EQ(0x15, vcpu_regs(self->vcpu).r15);
	EXPECT_EQ(0x2000, vcpu_sregs(self->vcpu).cr2);
}

TEST_F(monitor, sets_of_registers_that_there_are_not_are_einval)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_SYNC_REGS);
	vcpu_start(self->vcpu, sync_twice, 0);
	run->kvm_valid_regs = KVM_SYNC_X86_VALID_FIELDS + 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	run->kvm_valid_regs = 0;
	run->kvm_dirty_regs = KVM_SYNC_X86_VALID_FIELDS + 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	run->kvm_dirty_regs = 0;
	vcpu_drain(self->vcpu);
}

TEST_F(monitor, values_that_the_ioctl_refuses_are_refused_here)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_SYNC_REGS);
	vcpu_start(self->vcpu, sync_twice, 0);
	run->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	vcpu_sync(self->vcpu);
	run->s.regs.sregs.cr0 &= ~(u64)X86_CR0_PE;	/* PG stays: no CPU takes that */
	run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
}

/* ---- attributes ---- */

static u64 guest_tsc(u64 unused)
{
	return rdtsc();
}

TEST_F(monitor, the_tscs_offset_is_an_attribute)
{
	u64 offset = 0, tsc, after;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (u64)&offset,
	};

	NEED_CAP(KVM_CAP_VCPU_ATTRIBUTES);
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr));
	tsc = vcpu_call(self->vcpu, guest_tsc, 0);
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &attr));
	offset += 1ULL << 50;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &attr));
	after = vcpu_call(self->vcpu, guest_tsc, 0);
	EXPECT_GT(after - tsc, 1ULL << 50);
	EXPECT_LT(after - tsc, (1ULL << 50) + (1ULL << 46));
	offset = 0;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &attr));
	EXPECT_NE(0, offset);
}

TEST_F(monitor, no_other_attribute_is_there)
{
	u64 val;
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = 1, .addr = (u64)&val };

	NEED_CAP(KVM_CAP_VCPU_ATTRIBUTES);
	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr)));
	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &attr)));
	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &attr)));
	attr = (struct kvm_device_attr){ .group = KVM_VCPU_TSC_CTRL, .addr = 8 };
	EXPECT_EQ(EFAULT, errno_of(ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &attr)));
	EXPECT_EQ(EFAULT, errno_of(ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &attr)));
}

TEST_F(monitor, the_system_tells_which_xsave_state_guests_may_have)
{
	u64 xcr0 = 0;
	struct kvm_device_attr attr = { .attr = KVM_X86_XCOMP_GUEST_SUPP, .addr = (u64)&xcr0 };

	NEED_CAP(KVM_CAP_SYS_ATTRIBUTES);
	EXPECT_EQ(0, ioctl(self->vm.dev, KVM_HAS_DEVICE_ATTR, &attr));
	EXPECT_EQ(0, ioctl(self->vm.dev, KVM_GET_DEVICE_ATTR, &attr));
	EXPECT_EQ(3, xcr0 & 3);
	attr.attr = 5;
	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vm.dev, KVM_GET_DEVICE_ATTR, &attr)));
}

/* ---- statistics ---- */

static u64 read_stat(int fd, const char *name)
{
	struct kvm_stats_header header;
	struct { struct kvm_stats_desc desc; char name[48]; } desc;
	u64 val;

	die_unless(pread(fd, &header, sizeof(header), 0) == sizeof(header));
	die_unless(header.name_size == sizeof(desc.name));
	for (u32 i = 0; i < header.num_desc; i++) {
		die_unless(pread(fd, &desc, sizeof(desc), header.desc_offset + i * sizeof(desc)) ==
			   sizeof(desc));
		if (strcmp(desc.name, name))
			continue;
		die_unless(pread(fd, &val, sizeof(val), header.data_offset + desc.desc.offset) ==
			   sizeof(val));
		return val;
	}
	vm_die("no statistic is named %s", name);
}

TEST_F(monitor, exits_are_counted)
{
	int fd = ioctl(self->vcpu->fd, KVM_GET_STATS_FD, 0);
	u64 before;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	ASSERT_LE(0, fd);
	before = read_stat(fd, "exits");
	vcpu_start(self->vcpu, sync_twice, 0);
	vcpu_drain(self->vcpu);
	EXPECT_GE(read_stat(fd, "exits"), before + 2);
	/* It keeps the VM, and is still good when the VM's own fds are gone. */
	vm_destroy(&self->vm);
	EXPECT_GE(read_stat(fd, "exits"), before + 2);
	close(fd);
	vm_create(&self->vm, VM_PLAIN);
}

/* The kernel's word on the erratum of Documentation/admin-guide/hw-vuln/multihit.rst. */
static bool cpu_has_multihit_erratum(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/vulnerabilities/itlb_multihit", "r");
	char word[32] = "";

	die_unless(f && fgets(word, sizeof(word), f));
	fclose(f);
	return strncmp(word, "Not affected", 12);
}

static u64 call_each_page(u64 count)
{
	for (u64 i = 0; i < count; i++)
		((void (*)(void))(VM_RAM + i * PAGE_SIZE))();
	return 0;
}

/* Where a fetch from a large page could stop the host, each page of code faults by itself. */
TEST_F(monitor, code_in_a_huge_page_is_mapped_in_small_ones_where_the_cpu_needs_it)
{
	enum { SIZE = 2 * MiB, COUNT = 100 };
	u8 *area = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *ram = (u8 *)(((u64)area + SIZE - 1) & -(u64)SIZE);
	int fd = ioctl(self->vcpu->fd, KVM_GET_STATS_FD, 0);
	u64 faults;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, madvise(ram, SIZE, MADV_HUGEPAGE));
	memset(ram, 0xc3, SIZE);		/* RET */
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	vcpu_call(self->vcpu, call_each_page, 0);
	faults = read_stat(fd, "pf_taken");
	vcpu_call(self->vcpu, call_each_page, COUNT);
	faults = read_stat(fd, "pf_taken") - faults;
	if (cpu_has_multihit_erratum()) {
		EXPECT_GE(faults, COUNT);
	} else {
		EXPECT_LT(faults, COUNT);
	}
	close(fd);
}

TEST_HARNESS_MAIN
