// SPDX-License-Identifier: GPL-2.0
/* NMIs, the interrupt window, KVM_INTERRUPT, and the shadow of STI. */
#include "test.h"

FIXTURE(events) {
	struct vm vm, apic_vm;
	struct vcpu *vcpu;		/* without a local APIC */
	struct vcpu *apic_vcpu;		/* with one */
};

FIXTURE_SETUP(events)
{
	self->vcpu = vm_create_one(&self->vm, 0);
	self->apic_vcpu = vm_create_one(&self->apic_vm, VM_IRQCHIP);
}

FIXTURE_TEARDOWN(events)
{
	vm_destroy(&self->apic_vm);
	vm_destroy(&self->vm);
}

/* ---- NMI ---- */

static struct {
	volatile u32 count, depth, deepest;
	volatile u64 rip;
} nmi;

static void count_nmi(struct guest_frame *frame)
{
	nmi.count++;
	nmi.rip = frame->rip;
}

/* Reports to the test from inside, so that more NMIs can be sent while it runs. */
static void slow_nmi(struct guest_frame *frame)
{
	nmi.count++;
	if (++nmi.depth > nmi.deepest)
		nmi.deepest = nmi.depth;
	guest_sync(100 + nmi.count);
	cpuid(0, 0);
	nmi.depth--;
}

static u64 sync_and_return(u64 arg)
{
	guest_sync(1);
	cpuid(0, 0);
	cpuid(0, 0);
	return nmi.count;
}

static void send_nmi(struct vcpu *vcpu)
{
	kvm_do(vcpu->fd, KVM_NMI, 0);
}

TEST_F(events, nmi_is_delivered_with_interrupts_off)
{
	guest_handlers[NMI_VECTOR] = count_nmi;
	vcpu_start(self->vcpu, sync_and_return, 0);
	vcpu_sync(self->vcpu);
	send_nmi(self->vcpu);
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

TEST_F(events, nmi_waits_for_the_iret_of_the_one_before)
{
	guest_handlers[NMI_VECTOR] = slow_nmi;
	vcpu_start(self->vcpu, sync_and_return, 0);
	vcpu_sync(self->vcpu);
	send_nmi(self->vcpu);
	ASSERT_EQ(101, vcpu_sync(self->vcpu));
	send_nmi(self->vcpu);
	ASSERT_EQ(102, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, nmi.deepest);
}

/* APM 2 "Non-Maskable Interrupt": one may be pending behind the one in service. */
TEST_F(events, nmis_sent_while_one_is_in_service_collapse_to_one)
{
	guest_handlers[NMI_VECTOR] = slow_nmi;
	vcpu_start(self->vcpu, sync_and_return, 0);
	vcpu_sync(self->vcpu);
	send_nmi(self->vcpu);
	ASSERT_EQ(101, vcpu_sync(self->vcpu));
	for (int i = 0; i < 4; i++)
		send_nmi(self->vcpu);
	ASSERT_EQ(102, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_finish(self->vcpu));
}

TEST_F(events, nmis_sent_before_an_entry_are_two_at_most)
{
	guest_handlers[NMI_VECTOR] = count_nmi;
	vcpu_start(self->vcpu, sync_and_return, 0);
	vcpu_sync(self->vcpu);
	for (int i = 0; i < 5; i++)
		send_nmi(self->vcpu);
	vcpu_finish(self->vcpu);
	EXPECT_GE(nmi.count, 1);
	EXPECT_LE(nmi.count, 2);
}

TEST_F(events, nmi_blocking_is_seen_and_set_from_outside)
{
	struct kvm_vcpu_events events;

	guest_handlers[NMI_VECTOR] = slow_nmi;
	vcpu_start(self->vcpu, sync_and_return, 0);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, vcpu_events(self->vcpu).nmi.masked);
	send_nmi(self->vcpu);
	ASSERT_EQ(101, vcpu_sync(self->vcpu));
	events = vcpu_events(self->vcpu);
	EXPECT_EQ(1, events.nmi.masked);
	events.nmi.masked = 0;
	vcpu_set_events(self->vcpu, &events);
	send_nmi(self->vcpu);
	ASSERT_EQ(102, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, nmi.deepest);
	/* To the last IRET: Bochs holds NMIs off in the next guest, too, until there is one. */
	vcpu_finish(self->vcpu);
}

TEST_F(events, nmi_set_pending_by_vcpu_events_is_delivered)
{
	struct kvm_vcpu_events events;

	guest_handlers[NMI_VECTOR] = count_nmi;
	vcpu_start(self->vcpu, sync_and_return, 0);
	vcpu_sync(self->vcpu);
	events = vcpu_events(self->vcpu);
	events.nmi.pending = 1;
	events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
	vcpu_set_events(self->vcpu, &events);
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

static void send_msi(struct vm *vm, u32 data)
{
	struct kvm_msi msi = { .address_lo = APIC_BASE_ADDR, .data = data };

	kvm_do(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static volatile bool woken;

static u64 halt_and_return(u64 arg)
{
	xapic_enable();
	guest_sync(1);
	halt();
	woken = true;
	return 1;
}

TEST_F(events, nmi_wakes_a_halted_vcpu)
{
	guest_handlers[NMI_VECTOR] = count_nmi;
	vcpu_start(self->apic_vcpu, halt_and_return, 0);
	vcpu_sync(self->apic_vcpu);
	vcpu_spawn_entered(self->apic_vcpu);
	/* One that comes before the HLT wakes nobody: so more than one. */
	for (int i = 0; i < 200 && !woken; i++) {
		usleep(10000);
		send_msi(&self->apic_vm, APIC_DM_NMI);
	}
	EXPECT_EQ(1, vcpu_join(self->apic_vcpu));
}

enum { WAKER = 0x41 };

static void halting_nmi(struct guest_frame *frame)
{
	if (++nmi.count > 1)
		return;
	guest_sync(101);
	wait_for_irq();
}

static u64 nmi_with_apic(u64 arg)
{
	xapic_enable();
	return sync_and_return(0);
}

/* SDM 2A "HLT": "an enabled interrupt (including NMI and SMI)" ends it. */
TEST_F(events, a_masked_nmi_wakes_no_halted_vcpu)
{
	guest_handlers[NMI_VECTOR] = halting_nmi;
	guest_handlers[WAKER] = guest_eoi_xapic;
	vcpu_start(self->apic_vcpu, nmi_with_apic, 0);
	vcpu_sync(self->apic_vcpu);
	send_nmi(self->apic_vcpu);
	ASSERT_EQ(101, vcpu_sync(self->apic_vcpu));
	send_nmi(self->apic_vcpu);
	/* Again, if a busy machine has not let it come to its HLT. */
	for (int i = 0; i < 20 && vcpu_mp_state(self->apic_vcpu) != KVM_MP_STATE_HALTED; i++)
		ASSERT_EQ(EINTR, vcpu_enter_interrupted(self->apic_vcpu, 100000));
	EXPECT_EQ(1, nmi.count);
	/* An interrupt ends it, and its IRET lets the NMI in. */
	send_msi(&self->apic_vm, WAKER);
	EXPECT_EQ(2, vcpu_finish(self->apic_vcpu));
}

static volatile bool spinning;

static u64 spin_until_nmi(u64 arg)
{
	xapic_enable();
	spinning = true;
	while (!nmi.count)
		cpu_relax();	/* exits: Bochs holds host interrupts off while IF is clear */
	return nmi.count;
}

TEST_F(events, nmi_reaches_a_vcpu_that_runs)
{
	guest_handlers[NMI_VECTOR] = count_nmi;
	vcpu_spawn(self->apic_vcpu, spin_until_nmi, 0);
	ASSERT_TRUE(wait_until(spinning));
	send_msi(&self->apic_vm, APIC_DM_NMI);
	EXPECT_EQ(1, vcpu_join(self->apic_vcpu));
}

static u64 nmi_on_new_stacks(u64 pages)
{
	u64 rsp = VM_RAM + PAGE_SIZE * pages;

	for (u64 i = 0; i < pages; i++, rsp -= PAGE_SIZE) {
		asm volatile("mov %%rsp, %%r12\n\tmov %0, %%rsp\n\t"
			     "mov $0x708, %%edx\n\tout %%eax, %%dx\n\tnop\n\t"
			     "mov %%r12, %%rsp"
			     : : "r"(rsp), "a"(1) : "r12", "rdx", "memory");
	}
	return nmi.count;
}

TEST_F(events, nmi_survives_a_nested_page_fault_on_its_stack)
{
	guest_handlers[NMI_VECTOR] = count_nmi;
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 16 * PAGE_SIZE, 0);
	vcpu_start(self->vcpu, nmi_on_new_stacks, 16);
	for (int i = 0; i < 16; i++) {
		vcpu_sync(self->vcpu);
		send_nmi(self->vcpu);
	}
	EXPECT_EQ(16, vcpu_finish(self->vcpu));
}

/* ---- interrupt window and KVM_INTERRUPT, no local APIC in the kernel ---- */

enum { VECTOR = 0x45 };

static struct {
	volatile u32 count;
	volatile u64 rip;
} irq;

static void count_irq(struct guest_frame *frame)
{
	irq.count++;
	irq.rip = frame->rip;
}

static int interrupt(struct vcpu *vcpu, u32 vector)
{
	struct kvm_interrupt arg = { vector };

	return ioctl(vcpu->fd, KVM_INTERRUPT, &arg);
}

static u64 closed_then_open(u64 arg)
{
	guest_sync(1);
	for (int i = 0; i < 100; i++)
		cpuid(0, 0);
	irq_enable();
	for (int i = 0; i < 100; i++)
		cpuid(0, 0);
	guest_sync(2);
	return irq.count;
}

TEST_F(events, window_opens_when_the_guest_enables_interrupts)
{
	struct kvm_run *run = self->vcpu->run;

	vcpu_start(self->vcpu, closed_then_open, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, run->ready_for_interrupt_injection);
	run->request_interrupt_window = 1;
	ASSERT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_enter(self->vcpu));
	EXPECT_EQ(1, run->ready_for_interrupt_injection);
	EXPECT_EQ(1, run->if_flag);
	run->request_interrupt_window = 0;
	ASSERT_EQ(2, vcpu_sync(self->vcpu));
}

TEST_F(events, interrupt_given_in_the_window_is_delivered)
{
	struct kvm_run *run = self->vcpu->run;

	guest_handlers[VECTOR] = count_irq;
	vcpu_start(self->vcpu, closed_then_open, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	run->request_interrupt_window = 1;
	ASSERT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_enter(self->vcpu));
	ASSERT_EQ(0, interrupt(self->vcpu, VECTOR));
	run->request_interrupt_window = 0;
	ASSERT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

TEST_F(events, no_window_exit_comes_unasked)
{
	vcpu_start(self->vcpu, closed_then_open, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
}

TEST_F(events, second_interrupt_before_an_entry_is_eexist)
{
	NEED(!kvm_is_stock(), "stock KVM, against api.rst, takes the second in place of the first");
	ASSERT_EQ(0, interrupt(self->vcpu, VECTOR));
	EXPECT_EQ(EEXIST, errno_of(interrupt(self->vcpu, VECTOR)));
}

static u64 irqs_taken(u64 unused)
{
	cpuid(0, 0);
	return irq.count;
}

static void on_signal(int sig)
{
}

/* The signal calls off an entry that has the interrupt; it stays user space's to take back. */
TEST_F(events, an_interrupt_taken_back_after_a_signal_is_not_delivered)
{
	struct {
		struct kvm_signal_mask head;
		u8 bits[8];
	} mask = { .head.len = 8 };
	struct kvm_vcpu_events events;
	sigset_t blocked;

	guest_handlers[VECTOR] = count_irq;
	signal(SIGUSR1, on_signal);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask)) TH_LOG("%m");
	vcpu_start(self->vcpu, irqs_taken, 0);
	ASSERT_EQ(0, interrupt(self->vcpu, VECTOR)) TH_LOG("%m");
	raise(SIGUSR1);
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);

	events = vcpu_events(self->vcpu);
	EXPECT_EQ(1, events.interrupt.injected);
	events.interrupt.injected = 0;
	vcpu_set_events(self->vcpu, &events);
	EXPECT_EQ(0, vcpu_finish(self->vcpu));
}

static volatile u64 irq_flags;

static void keep_flags(struct guest_frame *frame)
{
	irq.count++;
	irq_flags = frame->rflags;
}

static u64 nmis_taken(u64 unused)
{
	cpuid(0, 0);
	return nmi.count;
}

/* The NMI waits for the interrupt to go in, which nothing on the guest's stack may tell. */
TEST_F(events, an_nmi_behind_an_interrupt_leaves_no_trap_flag_on_its_stack)
{
	struct kvm_regs regs;

	guest_handlers[VECTOR] = keep_flags;
	guest_handlers[NMI_VECTOR] = count_nmi;
	vcpu_start(self->vcpu, nmis_taken, 0);
	regs = vcpu_regs(self->vcpu);
	regs.rflags |= X86_EFLAGS_IF;
	vcpu_set_regs(self->vcpu, &regs);
	ASSERT_EQ(0, interrupt(self->vcpu, VECTOR)) TH_LOG("%m");
	send_nmi(self->vcpu);
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, irq.count);
	EXPECT_EQ(0, irq_flags & X86_EFLAGS_TF);
}

TEST_F(events, interrupt_vector_above_255_is_einval)
{
	EXPECT_EQ(EINVAL, errno_of(interrupt(self->vcpu, 256)));
}

TEST_F(events, interrupt_ioctl_with_a_local_apic_in_the_kernel_is_enxio)
{
	EXPECT_EQ(ENXIO, errno_of(interrupt(self->apic_vcpu, VECTOR)));
}

static u64 open_and_sync(u64 arg)
{
	irq_enable();
	guest_sync(1);
	halt();
	return irq.count;
}

TEST_F(events, interrupt_after_hlt_is_delivered)
{
	guest_handlers[VECTOR] = count_irq;
	vcpu_start(self->vcpu, open_and_sync, 0);
	vcpu_sync(self->vcpu);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_enter(self->vcpu));
	ASSERT_EQ(0, interrupt(self->vcpu, VECTOR));
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

static u64 irq_on_new_stacks(u64 pages)
{
	u64 rsp = VM_RAM + PAGE_SIZE * pages;

	for (u64 i = 0; i < pages; i++, rsp -= PAGE_SIZE) {
		asm volatile("mov %%rsp, %%r12\n\tmov %0, %%rsp\n\tsti\n\tnop\n\t"
			     "mov $0x708, %%edx\n\tout %%eax, %%dx\n\tnop\n\tcli\n\t"
			     "mov %%r12, %%rsp"
			     : : "r"(rsp), "a"(1) : "r12", "rdx", "memory");
	}
	return irq.count;
}

TEST_F(events, interrupt_survives_a_nested_page_fault_on_its_stack)
{
	guest_handlers[VECTOR] = count_irq;
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 16 * PAGE_SIZE, 0);
	vcpu_start(self->vcpu, irq_on_new_stacks, 16);
	for (int i = 0; i < 16; i++) {
		vcpu_sync(self->vcpu);
		ASSERT_EQ(0, interrupt(self->vcpu, VECTOR));
	}
	EXPECT_EQ(16, vcpu_finish(self->vcpu));
}

/* ---- the shadow of STI ---- */

extern u8 after_shadow[], in_shadow[];

static u64 sti_shadow(u64 arg)
{
	xapic_enable();
	guest_sync(1);
	asm volatile("sti\nin_shadow: nop\nafter_shadow: nop\n\tnop\n\tcli");
	return irq.rip;
}

static void note_rip_and_eoi(struct guest_frame *frame)
{
	irq.count++;
	irq.rip = frame->rip;
	xapic_write(APIC_EOI, 0);
}

/*
 * Where an interrupt comes that pends when @fn does STI.  QEMU's TCG forgets the shadow
 * at VMRUN: now and then a host interrupt makes an exit right behind STI, and the guest's
 * comes too early.  There one of several tries must do.
 */
static u64 interrupted_at(FIXTURE_DATA(events) *self, guest_fn fn, u8 *expected)
{
	int tries = kvm_cpu_is_tcg() ? 5 : 1;
	u64 rip;

	do {
		irq.count = 0;
		vcpu_start(self->apic_vcpu, fn, 0);
		vcpu_sync(self->apic_vcpu);
		send_msi(&self->apic_vm, VECTOR);
		rip = vcpu_finish(self->apic_vcpu);
	} while (rip != (u64)expected && --tries);
	return rip;
}

TEST_F(events, no_interrupt_comes_between_sti_and_the_next_instruction)
{
	guest_handlers[VECTOR] = note_rip_and_eoi;
	EXPECT_EQ((u64)after_shadow, interrupted_at(self, sti_shadow, after_shadow));
	EXPECT_EQ(1, irq.count);
}

extern u8 hlt_in_shadow[], behind_hlt[];

static u64 sti_hlt(u64 arg)
{
	xapic_enable();
	guest_sync(1);
	asm volatile("sti\nhlt_in_shadow: hlt\nbehind_hlt: cli");
	return irq.rip;
}

/* One that comes before the HLT is the only one that could end it. */
static void end_hlt(struct guest_frame *frame)
{
	note_rip_and_eoi(frame);
	frame->rip = (u64)behind_hlt;
}

TEST_F(events, sti_hlt_does_not_sleep_through_a_pending_interrupt)
{
	guest_handlers[VECTOR] = end_hlt;
	EXPECT_EQ((u64)behind_hlt, interrupted_at(self, sti_hlt, behind_hlt));
	EXPECT_EQ(1, irq.count);
}

TEST_F(events, the_shadow_is_seen_and_set_by_vcpu_events)
{
	struct kvm_vcpu_events events = vcpu_events(self->vcpu);

	EXPECT_EQ(0, events.interrupt.shadow);
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	events.flags |= KVM_VCPUEVENT_VALID_SHADOW;
	vcpu_set_events(self->vcpu, &events);
	EXPECT_NE(0, vcpu_events(self->vcpu).interrupt.shadow);
}

/* As it is when a host interrupt, or a kick, makes an exit right behind STI. */
extern u8 at_hlt[], after_halt[];

static u64 halt_in_shadow(u64 arg)
{
	xapic_enable();
	guest_sync(1);
	asm volatile("at_hlt: hlt\nafter_halt: cli");
	return irq.rip;
}

/* Before the HLT it would be the only one to end it. */
static void leave_halt(struct guest_frame *frame)
{
	note_rip_and_eoi(frame);
	frame->rip = (u64)after_halt;
}

TEST_F(events, a_shadow_set_from_outside_holds_back_an_interrupt)
{
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	guest_handlers[VECTOR] = leave_halt;
	vcpu_start(self->apic_vcpu, halt_in_shadow, 0);
	vcpu_sync(self->apic_vcpu);
	self->apic_vcpu->run->immediate_exit = 1;
	ASSERT_EQ(EINTR, errno_of(ioctl(self->apic_vcpu->fd, KVM_RUN, 0)));
	self->apic_vcpu->run->immediate_exit = 0;
	regs = vcpu_regs(self->apic_vcpu);
	regs.rip = (u64)at_hlt;
	regs.rflags |= X86_EFLAGS_IF;
	vcpu_set_regs(self->apic_vcpu, &regs);
	events = vcpu_events(self->apic_vcpu);
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	events.flags |= KVM_VCPUEVENT_VALID_SHADOW;
	vcpu_set_events(self->apic_vcpu, &events);
	send_msi(&self->apic_vm, VECTOR);
	/* QEMU's TCG forgets the shadow at VMRUN. */
	EXPECT_EQ((u64)(kvm_cpu_is_tcg() ? at_hlt : after_halt), vcpu_finish(self->apic_vcpu));
	EXPECT_EQ(1, irq.count);
}

/* An instruction that exits takes the shadow with it: the interrupt comes right behind. */
extern u8 after_exiting[];

static u64 shadow_over_exit(u64 arg)
{
	u32 eax = 0, ecx = 0;

	xapic_enable();
	guest_sync(1);
	asm volatile("sti\n\tcpuid\nafter_exiting: nop\n\tcli"
		     : "+a"(eax), "+c"(ecx) : : "rbx", "rdx", "memory");
	return irq.rip;
}

TEST_F(events, the_shadow_ends_with_an_instruction_that_exits)
{
	guest_handlers[VECTOR] = note_rip_and_eoi;
	EXPECT_EQ((u64)after_exiting, interrupted_at(self, shadow_over_exit, after_exiting));
}

TEST_HARNESS_MAIN
