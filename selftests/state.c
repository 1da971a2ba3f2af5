// SPDX-License-Identifier: GPL-2.0
/* Registers, events and CPUID by ioctl: what is set is what is got, and nonsense is refused. */
#include "test.h"

FIXTURE(state) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(state)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
}

FIXTURE_TEARDOWN(state)
{
	vm_destroy(&self->vm);
}

static u64 nothing(u64 arg)
{
	return arg;
}

/* ---- KVM_GET_REGS, KVM_SET_REGS ---- */

TEST_F(state, general_registers_round_trip)
{
	struct kvm_regs regs, back;
	u64 *values = (u64 *)&regs;

	for (u32 i = 0; i < 16; i++)
		values[i] = 0x1111111111111111ULL * i + i;
	regs.rip = 0xffffffff81000000;
	regs.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_ZF | X86_EFLAGS_IOPL;
	vcpu_set_regs(self->vcpu, &regs);
	back = vcpu_regs(self->vcpu);
	EXPECT_EQ(0, memcmp(&regs, &back, sizeof(regs)));
}

static u64 sum_of_all_registers(u64 arg)
{
	u64 sum;

	asm volatile("mov %%rbx, %0; add %%rbp, %0; add %%r8, %0; add %%r9, %0; add %%r10, %0;"
		     "add %%r11, %0; add %%r12, %0; add %%r13, %0; add %%r14, %0; add %%r15, %0"
		     : "=&a"(sum));
	return sum;
}

TEST_F(state, the_guest_sees_the_registers_that_were_set)
{
	struct kvm_regs regs;

	vcpu_start(self->vcpu, sum_of_all_registers, 0);
	regs = vcpu_regs(self->vcpu);
	regs.rbx = 1 << 0, regs.rbp = 1 << 1, regs.r8 = 1 << 2, regs.r9 = 1 << 3;
	regs.r10 = 1 << 4, regs.r11 = 1 << 5, regs.r12 = 1 << 6, regs.r13 = 1 << 7;
	regs.r14 = 1 << 8, regs.r15 = 1 << 9;
	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_EQ(0x3ff, vcpu_finish(self->vcpu));
}

TEST_F(state, rflags_bit_1_is_always_set)
{
	struct kvm_regs regs = { .rflags = 0 };

	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_EQ(X86_EFLAGS_FIXED, vcpu_regs(self->vcpu).rflags);
}

/* ---- KVM_GET_SREGS, KVM_SET_SREGS ---- */

TEST_F(state, system_registers_round_trip)
{
	struct kvm_sregs sregs = vcpu_sregs(self->vcpu), back;

	sregs.fs.base = 0x7f0012340000;
	sregs.gs.base = 0xffff888000000000;
	sregs.fs.selector = 0x33;
	sregs.ldt = (struct kvm_segment) { .selector = 0x48, .base = 0x5000, .limit = 0x77,
					   .type = 2, .present = 1 };
	sregs.tr.base = 0x123000;
	sregs.gdt = (struct kvm_dtable) { .base = 0xffff800000001000, .limit = 0x7f };
	sregs.idt = (struct kvm_dtable) { .base = 0xffff800000002000, .limit = 0xfff };
	sregs.cr2 = 0xdeadbeef000;
	sregs.cr3 = 0x345000;
	sregs.cr8 = 5;
	sregs.cr4 |= X86_CR4_PGE;
	vcpu_set_sregs(self->vcpu, &sregs);
	back = vcpu_sregs(self->vcpu);
	EXPECT_EQ(0, memcmp(&sregs, &back, sizeof(sregs)));
}

TEST_F(state, an_unusable_segment_stays_so)
{
	struct kvm_sregs sregs = vcpu_sregs(self->vcpu);

	sregs.es = (struct kvm_segment) { .unusable = 1 };
	vcpu_set_sregs(self->vcpu, &sregs);
	EXPECT_EQ(1, vcpu_sregs(self->vcpu).es.unusable);
	EXPECT_EQ(0, vcpu_sregs(self->vcpu).es.present);
}

static u64 spin(u64 arg)
{
	guest_sync(1);
	irq_enable();
	for (;;)
		cpu_relax();
	return 0;
}

static void take_and_sync(struct guest_frame *frame)
{
	guest_sync(100 + (frame->vector & 0xff));
}

TEST_F(state, an_interrupt_in_the_bitmap_is_delivered)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_PLAIN);

	guest_handlers[0x41] = take_and_sync;
	vcpu_start(vcpu, spin, 0);
	vcpu_sync(vcpu);
	/* What was accepted was accepted with IF set: VT-x takes no other state. */
	regs = vcpu_regs(vcpu);
	regs.rflags |= X86_EFLAGS_IF;
	vcpu_set_regs(vcpu, &regs);
	sregs = vcpu_sregs(vcpu);
	sregs.interrupt_bitmap[1] = 1ULL << 1;		/* vector 0x41 */
	vcpu_set_sregs(vcpu, &sregs);
	EXPECT_EQ(1ULL << 1, vcpu_sregs(vcpu).interrupt_bitmap[1]);
	EXPECT_EQ(100 + 0x41, vcpu_sync(vcpu));
}

#define REFUSES(change) do {						\
	struct kvm_sregs sregs = vcpu_sregs(self->vcpu);		\
									\
	change;								\
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs))) \
		TH_LOG("%s", #change);					\
} while (0)

TEST_F(state, invalid_control_registers_are_refused)
{
	REFUSES(sregs.cr4 |= 1ULL << 31);
	REFUSES(sregs.cr4 |= 1ULL << 40);
	REFUSES(sregs.cr4 &= ~X86_CR4_PAE);		/* under long mode */
	REFUSES(sregs.efer &= ~EFER_LMA);
	REFUSES(sregs.cr0 &= ~X86_CR0_PG);		/* with LMA left */
	REFUSES(sregs.apic_base |= 1ULL << 63);
	REFUSES(sregs.apic_base |= 1 << 4);
	REFUSES(sregs.cr3 |= 1ULL << 63);
}

TEST_F(state, refused_system_registers_change_nothing)
{
	struct kvm_sregs before = vcpu_sregs(self->vcpu), sregs = before, after;

	sregs.fs.base = 0x1234000;
	sregs.cr4 |= 1ULL << 31;
	ASSERT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs)));
	after = vcpu_sregs(self->vcpu);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	/* Stock KVM takes such a CR8 for none. */
	if (!kvm_is_stock()) {
		sregs = before;
		sregs.apic_base &= ~(u64)APIC_BASE_ENABLE;
		sregs.cr8 = 0x10;
		ASSERT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs)));
		after = vcpu_sregs(self->vcpu);
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	}
	EXPECT_EQ(3, vcpu_call(self->vcpu, nothing, 3));
}

/* ---- debug registers ---- */

TEST_F(state, debug_registers_round_trip)
{
	struct kvm_debugregs regs, back;

	NEED_CAP(KVM_CAP_DEBUGREGS);
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	EXPECT_EQ(0x400, regs.dr7);
	for (u32 i = 0; i < 4; i++)
		regs.db[i] = 0x1000 * (i + 1);
	regs.dr7 = 0x400 | 0x55;
	kvm_do(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs);
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &back);
	EXPECT_EQ(0, memcmp(&regs, &back, sizeof(regs)));
}

static u64 sum_of_debug_registers(u64 arg)
{
	return read_dr0() + read_dr1() + read_dr2() + read_dr3();
}

TEST_F(state, the_guest_sees_the_debug_registers_that_were_set)
{
	struct kvm_debugregs regs;

	NEED_CAP(KVM_CAP_DEBUGREGS);
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	for (u32 i = 0; i < 4; i++)
		regs.db[i] = 1 << (4 * i);
	kvm_do(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs);
	EXPECT_EQ(0x1111, vcpu_call(self->vcpu, sum_of_debug_registers, 0));
}

static u64 set_debug_registers(u64 arg)
{
	write_dr0(0xaa000);
	write_dr3(0xdd000);
	return 0;
}

TEST_F(state, debug_registers_that_the_guest_wrote_are_seen)
{
	struct kvm_debugregs regs;

	NEED_CAP(KVM_CAP_DEBUGREGS);
	vcpu_call(self->vcpu, set_debug_registers, 0);
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	EXPECT_EQ(0xaa000, regs.db[0]);
	EXPECT_EQ(0xdd000, regs.db[3]);
}

TEST_F(state, upper_bits_of_debug_registers_are_refused)
{
	struct kvm_debugregs regs;

	NEED_CAP(KVM_CAP_DEBUGREGS);
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	regs.dr7 |= 1ULL << 32;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs)));
	regs.dr7 &= 0xffffffff;
	regs.dr6 |= 1ULL << 32;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs)));
	regs.dr6 &= 0xffffffff;
	regs.flags = 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs)));
}

/* ---- KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS ---- */

TEST_F(state, events_round_trip)
{
	struct kvm_vcpu_events events = vcpu_events(self->vcpu), back;

	events.exception.injected = 1;
	events.exception.nr = GP_VECTOR;
	events.exception.has_error_code = 1;
	events.exception.error_code = 0x48;
	events.nmi.masked = 1;
	events.nmi.pending = 1;
	events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
	vcpu_set_events(self->vcpu, &events);
	back = vcpu_events(self->vcpu);
	EXPECT_EQ(1, back.exception.injected);
	EXPECT_EQ(GP_VECTOR, back.exception.nr);
	EXPECT_EQ(0x48, back.exception.error_code);
	EXPECT_EQ(1, back.nmi.masked);
	EXPECT_EQ(1, back.nmi.pending);
}

TEST_F(state, invalid_events_are_refused)
{
	struct kvm_vcpu_events events = vcpu_events(self->vcpu);

	events.exception.injected = 1;
	events.exception.nr = 32;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events)));
	events.exception.nr = NMI_VECTOR;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events)));
	events.exception.injected = 0;
	events.flags = 1u << 30;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events)));
}

/* ---- KVM_GET_MP_STATE, KVM_SET_MP_STATE ---- */

TEST_F(state, mp_state_round_trip)
{
	static const u32 states[] = {
		KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED,
		KVM_MP_STATE_RUNNABLE,
	};

	NEED_CAP(KVM_CAP_MP_STATE);
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, vcpu_mp_state(self->vcpu));
	for (u32 i = 0; i < ARRAY_SIZE(states); i++) {
		vcpu_set_mp_state(self->vcpu, states[i]);
		EXPECT_EQ(states[i], vcpu_mp_state(self->vcpu));
	}
}

TEST_F(state, an_unknown_mp_state_is_einval)
{
	struct kvm_mp_state state = { 77 };

	NEED_CAP(KVM_CAP_MP_STATE);
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state)));
}

TEST_F(state, states_of_the_local_apic_are_einval_without_one)
{
	struct kvm_mp_state state = { KVM_MP_STATE_HALTED };
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_PLAIN);

	NEED_CAP(KVM_CAP_MP_STATE);
	EXPECT_EQ(EINVAL, errno_of(ioctl(vcpu->fd, KVM_SET_MP_STATE, &state)));
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	EXPECT_EQ(0, errno_of(ioctl(vcpu->fd, KVM_SET_MP_STATE, &state)));
}

TEST_F(state, a_halted_vcpu_wakes_by_an_interrupt)
{
	NEED_CAP(KVM_CAP_MP_STATE);
	vcpu_start(self->vcpu, nothing, 9);
	vcpu_set_mp_state(self->vcpu, KVM_MP_STATE_HALTED);
	kvm_do(self->vcpu->fd, KVM_NMI, 0);
	guest_handlers[NMI_VECTOR] = take_and_sync;
	EXPECT_EQ(100 + NMI_VECTOR, vcpu_sync(self->vcpu));
	EXPECT_EQ(9, vcpu_finish(self->vcpu));
}

/* ---- all together: a guest goes on in another VM ---- */

static u64 step_by_step(u64 arg)
{
	u64 sum = arg;

	wrmsr(MSR_STAR, 0x1122334455667788);
	for (u32 i = 0; i < 10; i++) {
		guest_sync(i);
		sum += i;
	}
	return sum + (rdmsr(MSR_STAR) == 0x1122334455667788);
}

static void copy_state(struct vcpu *from, struct vcpu *to)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs = vcpu_sregs(from);
	struct kvm_vcpu_events events;

	/* What the last exit left to do is done first: api.rst, KVM_RUN. */
	from->run->immediate_exit = 1;
	die_unless(errno_of(ioctl(from->fd, KVM_RUN, 0)) == EINTR);
	from->run->immediate_exit = 0;
	regs = vcpu_regs(from);
	events = vcpu_events(from);
	vcpu_set_sregs(to, &sregs);
	vcpu_set_regs(to, &regs);
	vcpu_set_events(to, &events);
	vcpu_set_msr(to, MSR_STAR, vcpu_msr(from, MSR_STAR));
}

TEST_F(state, a_guest_stopped_in_one_vm_goes_on_in_another)
{
	struct vm vm;
	struct vcpu *other = vm_create_one(&vm, VM_IRQCHIP);

	vcpu_start(self->vcpu, step_by_step, 100);
	for (u32 i = 0; i < 5; i++) {
		ASSERT_EQ(i, vcpu_sync(self->vcpu));
	}
	copy_state(self->vcpu, other);
	for (u32 i = 5; i < 10; i++) {
		ASSERT_EQ(i, vcpu_sync(other));
	}
	EXPECT_EQ(100 + 45 + 1, vcpu_finish(other));
}

/* ---- KVM_SET_CPUID2 ---- */

TEST_F(state, too_many_cpuid_entries_are_e2big)
{
	static struct kvm_cpuid2 table = { .nent = 257 };

	EXPECT_EQ(E2BIG, errno_of(ioctl(self->vcpu->fd, KVM_SET_CPUID2, &table)));
}

TEST_F(state, supported_cpuid_with_too_little_room_is_e2big)
{
	struct kvm_cpuid2 table = { .nent = 0 };

	EXPECT_EQ(E2BIG, errno_of(ioctl(self->vm.dev, KVM_GET_SUPPORTED_CPUID, &table)));
	table.nent = 1;
	EXPECT_EQ(E2BIG, errno_of(ioctl(self->vm.dev, KVM_GET_SUPPORTED_CPUID, &table)));
}

TEST_F(state, cpuid_can_be_set_again_before_the_first_run)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();
	struct vcpu *vcpu = vm_add_reset_vcpu(&self->vm, 1);

	vcpu_set_cpuid(vcpu, cpuid);
	cpuid->nent--;
	vcpu_set_cpuid(vcpu, cpuid);
}

/* Linux since 5.16 takes the same table again, but no other, once a vCPU has run. */
TEST_F(state, cpuid_cannot_change_after_the_first_run)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

	vcpu_call(self->vcpu, nothing, 0);
	kvm_cpuid_find(cpuid, 1, 0)->ecx ^= 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_CPUID2, cpuid)));
}

/* ---- KVM_TRANSLATE ---- */

TEST_F(state, translate_walks_the_guests_page_tables)
{
	struct kvm_translation t = { .linear_address = VM_UNMAPPED + 0x123 };

	vm_map(VM_UNMAPPED, 0x5000, X86_PTE_P | X86_PTE_W);
	if (errno_of(ioctl(self->vcpu->fd, KVM_TRANSLATE, &t)) == ENOTTY)
		SKIP(return, "KVM_TRANSLATE is not there");
	EXPECT_EQ(1, t.valid);
	EXPECT_EQ(0x5123, t.physical_address);
	t.linear_address = VM_UNMAPPED + PAGE_SIZE;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_TRANSLATE, &t));
	EXPECT_EQ(0, t.valid);
}

TEST_HARNESS_MAIN
