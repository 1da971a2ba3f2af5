// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_GUEST_DEBUG as gdb uses it: steps, breakpoints, and what the guest may see of them. */
#include "test.h"

enum { IRQ = 0x90, MASK_TF = X86_EFLAGS_TF };

FIXTURE(debug) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(debug)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
}

FIXTURE_TEARDOWN(debug)
{
	vm_destroy(&self->vm);
}

/* Bochs's AMD-V leaves DR6 as it is when #DB is intercepted. */
#define DR6_TOLD(bits) (kvm_cpu_is_bochs_amd() ? 0 : (bits))

static struct kvm_debug_exit_arch *seen(struct vcpu *vcpu)
{
	return &vcpu->run->debug.arch;
}

static void set_debug(struct vcpu *vcpu, u32 control)
{
	struct kvm_guest_debug debug = { .control = control ? KVM_GUESTDBG_ENABLE | control : 0 };

	kvm_do(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

static void set_breakpoint(struct vcpu *vcpu, u64 address, u64 dr7)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		.arch.debugreg = { [1] = address, [7] = DR7_FIXED | dr7 },
	};

	kvm_do(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

static void start_and_sync(struct vcpu *vcpu, guest_fn fn, u64 arg)
{
	vcpu_start(vcpu, fn, arg);
	vcpu_sync(vcpu);
	vcpu->run->immediate_exit = 1;		/* the OUT is done with */
	if (errno_of(ioctl(vcpu->fd, KVM_RUN, 0)) != EINTR)
		vm_die("immediate_exit did not exit");
	vcpu->run->immediate_exit = 0;
}

/* Stepping begins while user space answers the guest's first access to a device. Returns the exit. */
static u32 step_from_access(struct vcpu *vcpu, guest_fn fn)
{
	u32 reason;

	start_and_sync(vcpu, fn, 0);
	reason = vcpu_enter(vcpu);
	set_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
	return reason;
}

/* The guest is at guest_sync(): what it does next is the first thing to be stepped. */
static void sync_and_step(struct vcpu *vcpu, guest_fn fn, u64 arg, u32 control)
{
	start_and_sync(vcpu, fn, arg);
	set_debug(vcpu, control | KVM_GUESTDBG_SINGLESTEP);
}

/* Steps until @pc; how many it took, 0 if the guest did something else first. */
static u32 steps_to(struct vcpu *vcpu, u8 *pc)
{
	for (u32 i = 1; i < 1000; i++) {
		if (vcpu_enter(vcpu) != KVM_EXIT_DEBUG)
			return 0;
		if (seen(vcpu)->pc == (u64)pc)
			return i;
	}
	return 0;
}

/* ---- single steps ---- */

/* Bochs's AMD-V ends at an exit under RFLAGS.TF: there, steps go over what makes none. */
static void stop(u32 stage)
{
	guest_settle();
	guest_sync(stage);
}

#define STEP_STI(name, exit_1, exit_2)					\
extern u8 name##_begin[], name##_end[];					\
									\
static u64 name(u64 arg)						\
{									\
	xapic_enable();							\
	xapic_icr(0, APIC_DEST_SELF | APIC_INT_ASSERT | IRQ);		\
	stop(0);							\
	asm volatile("nop\n" #name "_begin: sti\n\txor %%eax, %%eax\n\t" exit_1 "\n\t" \
		     "mov $0x1a0, %%ecx\n\t" exit_2 "\n\tcli\n" #name "_end:"	\
		     : : : "rax", "rbx", "rcx", "rdx");			\
	guest_sync(this_cpu()->irqs[IRQ]);				\
	irq_window();							\
	return this_cpu()->irqs[IRQ];					\
}

STEP_STI(step_sti, "cpuid", "rdmsr")
STEP_STI(step_sti_without_exits, "nop", "nop")

static guest_fn sti_guest(u8 **begin, u8 **end)
{
	bool plain = kvm_cpu_is_bochs_amd();

	*begin = plain ? step_sti_without_exits_begin : step_sti_begin;
	*end = plain ? step_sti_without_exits_end : step_sti_end;
	return plain ? step_sti_without_exits : step_sti;
}

TEST_F(debug, blocked_interrupts_wait_until_debugging_ends)
{
	u8 *begin, *end;
	guest_fn guest = sti_guest(&begin, &end);

	guest_handlers[IRQ] = guest_eoi_xapic;
	sync_and_step(self->vcpu, guest, 0, KVM_GUESTDBG_BLOCKIRQ);
	EXPECT_NE(0, steps_to(self->vcpu, begin));
	EXPECT_EQ(kvm_cpu_is_tcg() ? 5 : 6, steps_to(self->vcpu, end));	/* TCG: STI delays #DB */
	EXPECT_EQ(DR6_FIXED | DR6_TOLD(DR6_BS), seen(self->vcpu)->dr6);
	EXPECT_EQ(DB_VECTOR, seen(self->vcpu)->exception);
	set_debug(self->vcpu, 0);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

static u64 frame_flags;

static void keep_flags(struct guest_frame *frame)
{
	frame_flags = frame->rflags;
	if (!guest_on_bochs_amd)
		guest_eoi_xapic(frame);
}

TEST_F(debug, a_stepped_interrupt_finds_no_trap_flag_on_its_stack)
{
	u8 *begin, *end;
	guest_fn guest = sti_guest(&begin, &end);

	NEED(!kvm_is_stock(), "stock KVM shows it");
	guest_handlers[IRQ] = keep_flags;
	sync_and_step(self->vcpu, guest, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, end));
	set_debug(self->vcpu, 0);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, frame_flags & MASK_TF);
}

extern u8 pushf_end[];

static u64 step_pushf(u64 arg)
{
	u64 flags;

	stop(0);
	asm volatile("pushfq\n\tpop %0\npushf_end:" : "=r"(flags));
	return flags;
}

TEST_F(debug, pushf_shows_no_trap_flag_of_the_debugger)
{
	NEED(!kvm_is_stock(), "stock KVM shows it");
	sync_and_step(self->vcpu, step_pushf, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, pushf_end));
	EXPECT_EQ(0, vcpu_regs(self->vcpu).rflags & MASK_TF);
	set_debug(self->vcpu, 0);
	/* Without DR6 nothing tells that it was a step. */
	EXPECT_EQ(kvm_cpu_is_bochs_amd() ? MASK_TF : 0, vcpu_finish(self->vcpu) & MASK_TF);
}

extern u8 popf_end[], popf_then[];

static u64 step_popf(u64 arg)
{
	stop(0);
	asm volatile("push $2\n\tpopfq\npopf_end: nop\npopf_then:" : : : "cc");
	return 7;
}

TEST_F(debug, a_popf_that_clears_tf_does_not_end_stepping)
{
	NEED(!kvm_is_stock(), "stock KVM loses the step");
	sync_and_step(self->vcpu, step_popf, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, popf_end));
	EXPECT_EQ(1, steps_to(self->vcpu, popf_then));
	set_debug(self->vcpu, 0);
	EXPECT_EQ(7, vcpu_finish(self->vcpu));
}

TEST_F(debug, what_the_guest_has_in_dr6_is_not_the_debuggers)
{
	struct kvm_debugregs regs;

	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	regs.dr6 = DR6_FIXED | DR6_BD;
	kvm_do(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs);
	sync_and_step(self->vcpu, step_popf, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, popf_end));
	EXPECT_EQ(DR6_FIXED | DR6_TOLD(DR6_BS), seen(self->vcpu)->dr6);
	set_debug(self->vcpu, 0);
	EXPECT_EQ(7, vcpu_finish(self->vcpu));
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	EXPECT_EQ(DR6_FIXED | DR6_BD, regs.dr6);
}

extern u8 mov_ss_end[];

static u64 step_mov_ss(u64 arg)
{
	stop(0);
	asm volatile("mov %%ss, %%eax\n\tmov %%eax, %%ss\n\tnop\nmov_ss_end:" : : : "rax");
	return 8;
}

TEST_F(debug, stepping_passes_mov_ss)
{
	sync_and_step(self->vcpu, step_mov_ss, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, mov_ss_end));
	set_debug(self->vcpu, 0);
	EXPECT_EQ(8, vcpu_finish(self->vcpu));
}

extern u8 hlt_end[];

static u64 step_hlt(u64 arg)
{
	xapic_enable();
	guest_sync(0);
	asm volatile("sti\n\thlt\nhlt_end: cli");
	return this_cpu()->irqs[IRQ];
}

TEST_F(debug, a_stepped_hlt_stops_behind_it_and_still_waits)
{
	NEED(!kvm_cpu_is_bochs_amd(), "Bochs's AMD-V does not survive an exit under RFLAGS.TF");
	guest_handlers[IRQ] = guest_eoi_xapic;
	sync_and_step(self->vcpu, step_hlt, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, hlt_end));
	set_debug(self->vcpu, 0);
	EXPECT_EQ(KVM_MP_STATE_HALTED, vcpu_mp_state(self->vcpu));
	EXPECT_EQ(1, vm_signal_msi(&self->vm, 0, IRQ));
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
}

extern u8 events_end[];

static u64 step_events(u64 arg)
{
	u32 vector;

	stop(0);
	asm volatile("int $0x91\n\tint3\n\tnop" : : : "memory");
	vector = guest_try("ud2");
	asm volatile("events_end: nop");
	return this_cpu()->irqs[0x91] << 16 | this_cpu()->irqs[BP_VECTOR] << 8 | vector;
}

static void count_only(struct guest_frame *frame)
{
}

TEST_F(debug, stepping_passes_software_interrupts_and_exceptions)
{
	NEED(!kvm_is_stock(), "stock KVM loses the step");
	guest_handlers[BP_VECTOR] = count_only;
	sync_and_step(self->vcpu, step_events, 0, 0);
	if (kvm_cpu_is_bochs_amd()) {
		/* No interrupt ends its guest in time to step the handler, from where TF comes back. */
		while (vcpu_enter(self->vcpu) == KVM_EXIT_DEBUG)
			;
		EXPECT_EQ(KVM_EXIT_IO, self->vcpu->run->exit_reason);
		EXPECT_EQ(0x10100 | UD_VECTOR, self->vcpu->guest->result);
		return;
	}
	EXPECT_NE(0, steps_to(self->vcpu, events_end));
	set_debug(self->vcpu, 0);
	EXPECT_EQ(0x10100 | UD_VECTOR, vcpu_finish(self->vcpu));
}

extern u8 syscall_end[];

/* The SYSCALL ends its page. */
static u64 step_syscall(u64 arg)
{
	u64 r11;

	wrmsr(MSR_LSTAR, (u64)syscall_end);
	wrmsr(MSR_STAR, (u64)SEL_CODE64 << 32);
	wrmsr(MSR_SFMASK, 0);
	stop(0);
	asm volatile("jmp 1f\n\t.balign 4096\n\t.skip 4094\n1:\tsyscall\nsyscall_end: nop"
		     : : : "rcx", "r11");
	asm volatile("mov %%r11, %0" : "=r"(r11));
	return r11;
}

TEST_F(debug, stepping_stops_behind_a_syscall)
{
	sync_and_step(self->vcpu, step_syscall, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, syscall_end));
	if (!kvm_is_stock()) {
		EXPECT_EQ(kvm_cpu_is_bochs_amd() ? MASK_TF : 0,	/* as with PUSHF */
			  vcpu_regs(self->vcpu).r11 & MASK_TF);
	}
	set_debug(self->vcpu, 0);
	vcpu_finish(self->vcpu);
}

extern u8 mmio_begin[], mmio_end[];

static u64 step_mmio(u64 arg)
{
	u32 val;

	guest_sync(0);
	asm volatile("nop\nmmio_begin: movl (%1), %0\nmmio_end: nop" : "=r"(val) : "r"(VM_MMIO));
	return val;
}

extern u8 two_loads_end[];

static u64 step_two_loads(u64 arg)
{
	guest_sync(0);
	read32(VM_MMIO);
	read32(VM_MMIO + 4);
	asm volatile("two_loads_end:");
	return read_flags();
}

TEST_F(debug, an_emulated_load_is_one_step)
{
	if (kvm_cpu_is_bochs_amd()) {	/* there stepping begins with the exit */
		ASSERT_EQ(KVM_EXIT_MMIO, step_from_access(self->vcpu, step_mmio));
	} else {
		sync_and_step(self->vcpu, step_mmio, 0, 0);
		EXPECT_NE(0, steps_to(self->vcpu, mmio_begin));
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	}
	memcpy(self->vcpu->run->mmio.data, "\x11\x22\x33\x44", 4);
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)mmio_end, seen(self->vcpu)->pc);
	set_debug(self->vcpu, 0);
	EXPECT_EQ(0x44332211, vcpu_finish(self->vcpu));
}

TEST_F(debug, stepping_that_begins_while_user_space_answers_stops_behind_the_load)
{
	ASSERT_EQ(KVM_EXIT_MMIO, step_from_access(self->vcpu, step_mmio));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)mmio_end, seen(self->vcpu)->pc);
	set_debug(self->vcpu, 0);
	vcpu_finish(self->vcpu);
}

TEST_F(debug, stepping_that_ends_while_user_space_answers_leaves_no_trap_flag)
{
	if (kvm_cpu_is_bochs_amd()) {
		ASSERT_EQ(KVM_EXIT_MMIO, step_from_access(self->vcpu, step_two_loads));
	} else {
		sync_and_step(self->vcpu, step_two_loads, 0, 0);
		EXPECT_EQ(0, steps_to(self->vcpu, two_loads_end));
		ASSERT_EQ(KVM_EXIT_MMIO, self->vcpu->run->exit_reason);
	}
	set_debug(self->vcpu, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(0, vcpu_finish(self->vcpu) & MASK_TF);
}

extern u8 rep_begin[], rep_end[];

static u64 step_rep(u64 arg)
{
	static const char text[] = "ab";
	u64 count = 2;
	const char *at = text;

	guest_sync(0);
	asm volatile("nop\nrep_begin: rep outsb\nrep_end: nop"
		     : "+c"(count), "+S"(at) : "d"(0x1234) : "memory");
	return at - text;
}

extern u8 rep_movs[], rep_movs_end[];

static u64 step_rep_movs(u64 arg)
{
	static u8 to[2];
	u64 count = 2, from = VM_MMIO;
	u8 *at = to;

	guest_sync(0);
	asm volatile("rep_movs: rep movsb\nrep_movs_end: nop"
		     : "+c"(count), "+D"(at), "+S"(from) : : "memory");
	return to[0] << 8 | to[1];
}

/* Bochs's AMD-V: stepping begins with an exit, and ends before the next entry. */
static bool two_iterations_between_entries(struct vcpu *vcpu)
{
	u8 *stops[] = { rep_movs, rep_movs_end };

	start_and_sync(vcpu, step_rep_movs, 0);
	for (u32 i = 0; i < ARRAY_SIZE(stops); i++) {
		if (vcpu_enter(vcpu) != KVM_EXIT_MMIO)
			return false;
		vcpu->run->mmio.data[0] = 1 + i;
		set_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
		if (vcpu_enter(vcpu) != KVM_EXIT_DEBUG || seen(vcpu)->pc != (u64)stops[i])
			return false;
		set_debug(vcpu, 0);
	}
	return vcpu_finish(vcpu) == (1 << 8 | 2);
}

TEST_F(debug, each_iteration_of_a_rep_is_a_step)
{
	NEED(!kvm_is_stock(), "stock KVM steps over all of it");
	if (kvm_cpu_is_bochs_amd()) {
		EXPECT_TRUE(two_iterations_between_entries(self->vcpu));
		return;
	}
	sync_and_step(self->vcpu, step_rep, 0, 0);
	EXPECT_NE(0, steps_to(self->vcpu, rep_begin));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_enter(self->vcpu));
	EXPECT_EQ('a', *(u8 *)vcpu_pio_data(self->vcpu));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)rep_begin, seen(self->vcpu)->pc);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_enter(self->vcpu));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)rep_end, seen(self->vcpu)->pc);
	set_debug(self->vcpu, 0);
	EXPECT_EQ(2, vcpu_finish(self->vcpu));
}

/* ---- breakpoints ---- */

TEST_F(debug, the_valid_bits_are_told)
{
	u32 valid = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
		    KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
		    KVM_GUESTDBG_BLOCKIRQ;

	EXPECT_EQ(valid, kvm_cap(KVM_CAP_SET_GUEST_DEBUG2));
}

static u64 bp_rip;

static void keep_rip(struct guest_frame *frame)
{
	bp_rip = frame->rip;
}

extern u8 not_mine[];

static u64 int3_not_mine(u64 arg)
{
	guest_sync(0);
	asm volatile("nop\nnot_mine: int3\n\tnop" : : : "memory");
	return bp_rip;
}

/* QEMU and a breakpoint of the guest's own: at the INT3, but not past it. */
TEST_F(debug, an_injected_bp_returns_behind_its_int3)
{
	struct kvm_regs regs;

	guest_handlers[BP_VECTOR] = keep_rip;
	sync_and_step(self->vcpu, int3_not_mine, 0, 0);
	regs = vcpu_regs(self->vcpu);
	regs.rip = (u64)not_mine;
	vcpu_set_regs(self->vcpu, &regs);
	set_debug(self->vcpu, KVM_GUESTDBG_INJECT_BP);
	EXPECT_EQ((u64)not_mine + 1, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, self->vcpu->guest->irqs[BP_VECTOR]);
}

static volatile u64 watched;
extern u8 written[];

static u64 write_watched(u64 arg)
{
	write_dr0(0x1000);
	write_dr7(DR7_FIXED);
	guest_check_eq(0x1000, read_dr0());
	asm volatile("movq $3, %0\nwritten: nop" : "=m"(watched));
	guest_check_eq(DR7_FIXED, read_dr7());
	return read_dr0();
}

TEST_F(debug, a_watchpoint_stops_behind_the_write_and_leaves_the_guests_registers_alone)
{
	set_breakpoint(self->vcpu, (u64)&watched, 2 << 2 | 9 << 20);	/* G1, write, 8 bytes */
	vcpu_start(self->vcpu, write_watched, 0);
	if (!kvm_cpu_is_tcg()) {	/* TCG does not arm the breakpoints that VMRUN loads */
		ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
		EXPECT_EQ((u64)written, seen(self->vcpu)->pc);
		EXPECT_EQ(DR6_FIXED | DR6_TOLD(2), seen(self->vcpu)->dr6);
		EXPECT_EQ(DR7_FIXED | 2 << 2 | 9 << 20, seen(self->vcpu)->dr7);
		set_debug(self->vcpu, 0);
	}
	EXPECT_EQ(0x1000, vcpu_finish(self->vcpu));
}

extern u8 touch_dr[];

static u64 general_detect(u64 arg)
{
	u64 val;

	asm volatile("touch_dr: mov %%dr2, %0" : "=r"(val));
	return val + 5;
}

TEST_F(debug, the_debuggers_general_detect_stops_before_a_debug_register)
{
	NEED(!kvm_is_stock() || !kvm_cpu_is_tcg(), "stock KVM leaves it to the CPU, and TCG has no DR7.GD");
	set_breakpoint(self->vcpu, 0, 1 << 13);
	vcpu_start(self->vcpu, general_detect, 0);
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)touch_dr, seen(self->vcpu)->pc);
	EXPECT_EQ(DR6_FIXED | DR6_TOLD(DR6_BD), seen(self->vcpu)->dr6);
	set_debug(self->vcpu, 0);
	EXPECT_EQ(5, vcpu_finish(self->vcpu));
}

TEST_HARNESS_MAIN
