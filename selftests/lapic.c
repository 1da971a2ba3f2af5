// SPDX-License-Identifier: GPL-2.0
/* The local APIC of one vCPU: registers, priorities, timer, x2APIC. */
#include "test.h"

enum { LOW = 0x41, HIGH = 0x71, TIMER = 0x61, BIT_X2APIC = 1 << 21, BIT_DEADLINE = 1 << 24 };

FIXTURE(lapic) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(lapic)
{
	vm_create(&self->vm, VM_IRQCHIP);
	self->vcpu = vm_add_reset_vcpu(&self->vm, 0);
	if (kvm_cap(KVM_CAP_TSC_DEADLINE_TIMER) > 0) {
		struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

		/* api.rst, KVM_GET_SUPPORTED_CPUID: user space adds the bit itself. */
		kvm_cpuid_find(cpuid, 1, 0)->ecx |= BIT_DEADLINE;
		vcpu_set_cpuid(self->vcpu, cpuid);
	}
	vcpu_long_mode(self->vcpu);
	guest_handlers[LOW] = guest_handlers[HIGH] = guest_handlers[TIMER] = guest_eoi_xapic;
}

FIXTURE_TEARDOWN(lapic)
{
	vm_destroy(&self->vm);
}

#define EXPECT_GUEST(expected, fn) EXPECT_EQ(expected, vcpu_call(self->vcpu, fn, 0))

static void self_ipi(u8 vector)
{
	xapic_write(APIC_ICR, APIC_DEST_SELF | vector);
}

/* ---- registers: SDM 3A "Local APIC Register Address Map" ---- */

static u64 registers(u64 arg)
{
	u32 version = xapic_read(APIC_LVR);

	guest_check_eq(0, xapic_read(APIC_ID) >> 24);
	guest_check((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
	guest_check((version >> 16 & 0xff) >= 3);
	xapic_write(APIC_LDR, 0x5a000000);
	guest_check_eq(0x5a000000, xapic_read(APIC_LDR));
	xapic_write(APIC_DFR, 0x0fffffff);
	guest_check_eq(0x0fffffff, xapic_read(APIC_DFR));
	xapic_write(APIC_TASKPRI, 0x30);
	guest_check_eq(0x30, xapic_read(APIC_TASKPRI));
	guest_check_eq(0x30, xapic_read(APIC_PROCPRI));
	xapic_write(APIC_TASKPRI, 0);
	xapic_enable();
	xapic_write(APIC_LVT1, APIC_DM_NMI);
	guest_check_eq(APIC_DM_NMI, xapic_read(APIC_LVT1));
	return 1;
}

TEST_F(lapic, registers_keep_what_is_written)
{
	EXPECT_GUEST(1, registers);
}

static u64 tpr_subclass(u64 arg)
{
	xapic_write(APIC_TASKPRI, 0x37);
	return xapic_read(APIC_TASKPRI);
}

TEST_F(lapic, the_task_priority_keeps_its_subclass)
{
	NEED(!kvm_is_stock(), "stock KVM on AMD keeps what fits in CR8");
	EXPECT_GUEST(0x37, tpr_subclass);
}

static u64 state_after_reset(u64 arg)
{
	guest_check_eq(0xff, xapic_read(APIC_SPIV));
	guest_check_eq(0xffffffff, xapic_read(APIC_DFR));
	guest_check_eq(APIC_LVT_MASKED, xapic_read(APIC_LVTT));
	guest_check_eq(APIC_LVT_MASKED, xapic_read(APIC_LVT1));
	guest_check_eq(0, xapic_read(APIC_TASKPRI) | xapic_read(APIC_LDR) | xapic_read(APIC_TMICT));
	return 1;
}

TEST_F(lapic, reset_leaves_it_as_the_manual_says)
{
	EXPECT_GUEST(1, state_after_reset);
}

/* SDM 3A "Local APIC State After It Has Been Software Disabled": the mask bits are set. */
static u64 software_disable(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_LVTT, TIMER);
	guest_check_eq(TIMER, xapic_read(APIC_LVTT));
	xapic_write(APIC_SPIV, 0xff);
	guest_check_eq(TIMER | APIC_LVT_MASKED, xapic_read(APIC_LVTT));
	xapic_write(APIC_LVTT, TIMER);
	guest_check_eq(TIMER | APIC_LVT_MASKED, xapic_read(APIC_LVTT));
	return 1;
}

TEST_F(lapic, software_disabling_masks_the_lvt)
{
	EXPECT_GUEST(1, software_disable);
}

static u64 disabled_takes_no_ipi(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_SPIV, 0xff);
	self_ipi(LOW);
	irq_window();
	return this_cpu()->irqs[LOW];
}

TEST_F(lapic, a_disabled_apic_takes_no_fixed_interrupt)
{
	EXPECT_GUEST(0, disabled_takes_no_ipi);
}

/* ---- delivery and priority ---- */

static u64 take_self_ipi(u64 arg)
{
	xapic_enable();
	self_ipi(LOW);
	guest_check_eq(1u << (LOW & 31), xapic_read(APIC_IRR + (LOW >> 5) * 16));
	irq_window();
	guest_check_eq(0, xapic_read(APIC_IRR + (LOW >> 5) * 16));
	guest_check_eq(0, xapic_read(APIC_ISR + (LOW >> 5) * 16));
	return this_cpu()->irqs[LOW];
}

TEST_F(lapic, a_self_ipi_goes_through_irr)
{
	EXPECT_GUEST(1, take_self_ipi);
}

static u64 odd_icr(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_ICR2, 0xa5000000);
	xapic_write(APIC_ICR, 0xa5a1b0a5);
	return xapic_read(APIC_ICR);
}

/* What is reserved in the ICR reads as written, delivery status as idle; nobody has that id. */
TEST_F(lapic, the_icr_keeps_reserved_bits)
{
	EXPECT_GUEST(0xa5a1a0a5, odd_icr);
}

static u64 low_irr(u64 arg)
{
	xapic_enable();
	irq_window();
	return xapic_read(APIC_IRR);
}

/* Their class is 0, which beats no processor priority: KVM_SET_LAPIC keeps them, and that is all. */
TEST_F(lapic, vectors_below_16_wait_in_the_irr_for_ever)
{
	struct kvm_lapic_state state;

	kvm_do(self->vcpu->fd, KVM_GET_LAPIC, &state);
	*(u32 *)(state.regs + APIC_IRR) = 0xa5a5;
	kvm_do(self->vcpu->fd, KVM_SET_LAPIC, &state);
	EXPECT_GUEST(0xa5a5, low_irr);
}

static u64 isr_seen, ppr_seen, tmr_seen;

static void look_inside(struct guest_frame *frame)
{
	isr_seen = xapic_read(APIC_ISR + (LOW >> 5) * 16);
	tmr_seen = xapic_read(APIC_TMR + (LOW >> 5) * 16);
	ppr_seen = xapic_read(APIC_PROCPRI);
	xapic_write(APIC_EOI, 0);
}

TEST_F(lapic, the_vector_in_service_is_in_isr_and_ppr)
{
	guest_handlers[LOW] = look_inside;
	EXPECT_GUEST(1, take_self_ipi);
	EXPECT_EQ(1u << (LOW & 31), isr_seen);
	EXPECT_EQ(0, tmr_seen);
	EXPECT_EQ(LOW & 0xf0, ppr_seen & 0xf0);
}

static u8 order[4];
static u32 taken;

static void note_order(struct guest_frame *frame)
{
	order[taken++ & 3] = frame->vector;
	xapic_write(APIC_EOI, 0);
}

static u64 two_at_once(u64 arg)
{
	xapic_enable();
	self_ipi(LOW);
	self_ipi(HIGH);
	irq_window();
	return taken;
}

TEST_F(lapic, the_higher_vector_comes_first)
{
	guest_handlers[LOW] = guest_handlers[HIGH] = note_order;
	EXPECT_GUEST(2, two_at_once);
	EXPECT_EQ(HIGH, order[0]);
	EXPECT_EQ(LOW, order[1]);
}

static void let_others_in(struct guest_frame *frame)
{
	self_ipi(frame->vector == LOW ? HIGH : LOW);
	irq_window();
	order[taken++ & 3] = frame->vector;
	guest_handlers[frame->vector == LOW ? HIGH : LOW] = note_order;
	xapic_write(APIC_EOI, 0);
}

static u64 start_with(u64 vector)
{
	xapic_enable();
	self_ipi(vector);
	irq_window();
	irq_window();
	return taken;
}

TEST_F(lapic, a_higher_vector_interrupts_a_lower_handler)
{
	guest_handlers[LOW] = let_others_in;
	guest_handlers[HIGH] = note_order;
	EXPECT_EQ(2, vcpu_call(self->vcpu, start_with, LOW));
	EXPECT_EQ(HIGH, order[0]);
	EXPECT_EQ(LOW, order[1]);
}

TEST_F(lapic, a_lower_vector_waits_for_the_eoi)
{
	guest_handlers[HIGH] = let_others_in;
	guest_handlers[LOW] = note_order;
	EXPECT_EQ(2, vcpu_call(self->vcpu, start_with, HIGH));
	EXPECT_EQ(HIGH, order[0]);
	EXPECT_EQ(LOW, order[1]);
}

static u64 tpr_masks(u64 by_cr8)
{
	xapic_enable();
	if (by_cr8)
		write_cr8(LOW >> 4);
	else
		xapic_write(APIC_TASKPRI, LOW & 0xf0);
	self_ipi(LOW);
	irq_enable();
	guest_check_eq(0, this_cpu()->irqs[LOW]);
	self_ipi(HIGH);
	guest_check_eq(1, this_cpu()->irqs[HIGH]);
	if (by_cr8)
		write_cr8((LOW >> 4) - 1);
	else
		xapic_write(APIC_TASKPRI, (LOW & 0xf0) - 0x10);
	asm volatile("nop");
	irq_disable();
	return this_cpu()->irqs[LOW];
}

TEST_F(lapic, the_task_priority_holds_back_its_class_and_those_below)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, tpr_masks, false));
}

TEST_F(lapic, cr8_holds_back_and_lets_in_like_the_tpr)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, tpr_masks, true));
}

static u64 stray_eoi(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_EOI, 0);
	self_ipi(LOW);
	irq_window();
	return this_cpu()->irqs[LOW];
}

TEST_F(lapic, an_eoi_with_nothing_in_service_does_nothing)
{
	EXPECT_GUEST(1, stray_eoi);
}

static u64 wide_access(u64 arg)
{
	/* SDM 3A "Access to xAPIC registers": 32 bits; others are undefined, but no harm. */
	xapic_enable();
	read8(APIC_BASE_ADDR + APIC_ID + 3);
	read64(APIC_BASE_ADDR + APIC_LVR);
	write8(APIC_BASE_ADDR + APIC_TASKPRI, 0);
	read32(APIC_BASE_ADDR + 0xffc);
	read32(APIC_BASE_ADDR + 0x0);
	return 1;
}

TEST_F(lapic, odd_accesses_do_no_harm)
{
	EXPECT_GUEST(1, wide_access);
}

/* ---- timer ---- */

static void timer_start(u32 mode, u32 count)
{
	xapic_enable();
	xapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	xapic_write(APIC_LVTT, mode | TIMER);
	xapic_write(APIC_TMICT, count);
}

static void spin(u64 cycles)
{
	u64 until = rdtsc() + cycles;

	while (rdtsc() < until)
		cpu_relax();
}

/* The timer runs at 1 GHz in KVM; that many counts are about a millisecond. */
enum { MILLISECOND = 1000000 };

static u64 one_shot(u64 arg)
{
	timer_start(APIC_LVT_ONESHOT, MILLISECOND);
	wait_for_vector(TIMER, 1);
	guest_check_eq(0, xapic_read(APIC_TMCCT));
	irq_enable();
	spin(5 * 4 * MILLISECOND);
	irq_disable();
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, a_one_shot_timer_fires_once)
{
	EXPECT_GUEST(1, one_shot);
}

static u64 periodic(u64 arg)
{
	timer_start(APIC_LVT_PERIODIC, MILLISECOND);
	wait_for_vector(TIMER, 10);
	xapic_write(APIC_TMICT, 0);
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, a_periodic_timer_fires_again_and_again)
{
	EXPECT_GE(vcpu_call(self->vcpu, periodic, 0), 10);
}

static u64 counts_down(u64 arg)
{
	u32 first, later;

	timer_start(APIC_LVT_ONESHOT, 0x7fffffff);
	first = xapic_read(APIC_TMCCT);
	spin(MILLISECOND);
	later = xapic_read(APIC_TMCCT);
	guest_check(first > later);
	guest_check_eq(0x7fffffff, xapic_read(APIC_TMICT));
	xapic_write(APIC_TMICT, 0);
	return xapic_read(APIC_TMCCT);
}

TEST_F(lapic, the_current_count_goes_down_and_is_0_when_stopped)
{
	EXPECT_GUEST(0, counts_down);
}

static u64 stopped(u64 arg)
{
	/* So late that a busy machine comes before it to the next line. */
	timer_start(APIC_LVT_ONESHOT, 100 * MILLISECOND);
	xapic_write(APIC_TMICT, 0);
	irq_enable();
	spin(4 * 110 * MILLISECOND);
	irq_disable();
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, initial_count_0_stops_the_timer)
{
	EXPECT_GUEST(0, stopped);
}

static u64 masked(u64 arg)
{
	timer_start(APIC_LVT_MASKED | APIC_LVT_ONESHOT, MILLISECOND);
	irq_enable();
	spin(4 * 4 * MILLISECOND);
	irq_disable();
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, a_masked_timer_does_not_fire)
{
	EXPECT_GUEST(0, masked);
}

/* Counts in 100,000 cycles, however long a busy machine makes it spin. */
static u64 ticks_at(u64 divide_config)
{
	u64 begin, passed;
	u32 first, ticks;

	timer_start(APIC_LVT_MASKED, 0xffffffff);
	xapic_write(APIC_TDCR, divide_config);
	begin = rdtsc();
	first = xapic_read(APIC_TMCCT);
	spin(10 * MILLISECOND);
	ticks = first - xapic_read(APIC_TMCCT);
	passed = rdtsc() - begin;
	return ticks * 100000ULL / passed;
}

TEST_F(lapic, the_divide_configuration_divides)
{
	u64 by_1 = vcpu_call(self->vcpu, ticks_at, APIC_TDR_DIV_1);
	u64 by_16 = vcpu_call(self->vcpu, ticks_at, APIC_TDR_DIV_16);

	/* Time passes unevenly in a test VM; a factor of 16 shows all the same. */
	EXPECT_GT(by_1, by_16 * 4);
	EXPECT_GT(by_16, 0);
}

/* ---- TSC deadline: SDM 3A "TSC-Deadline Mode" ---- */

static u64 deadline(u64 ahead)
{
	u64 due;

	xapic_enable();
	xapic_write(APIC_LVTT, APIC_LVT_TSCDEADLINE | TIMER);
	due = rdtsc() + ahead;
	wrmsr(MSR_TSC_DEADLINE, due);
	wait_for_vector(TIMER, 1);
	guest_check(rdtsc() >= due);
	guest_check_eq(0, rdmsr(MSR_TSC_DEADLINE));
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, a_tsc_deadline_fires_when_it_is_due)
{
	NEED_CAP(KVM_CAP_TSC_DEADLINE_TIMER);
	EXPECT_EQ(1, vcpu_call(self->vcpu, deadline, 4 * MILLISECOND));
}

TEST_F(lapic, a_tsc_deadline_in_the_past_fires_at_once)
{
	NEED_CAP(KVM_CAP_TSC_DEADLINE_TIMER);
	EXPECT_EQ(1, vcpu_call(self->vcpu, deadline, -1000LL));
}

static u64 deadline_disarmed(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_LVTT, APIC_LVT_TSCDEADLINE | TIMER);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 200 * MILLISECOND);
	guest_check(rdmsr(MSR_TSC_DEADLINE) != 0);
	wrmsr(MSR_TSC_DEADLINE, 0);
	irq_enable();
	spin(250 * MILLISECOND);
	irq_disable();
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, deadline_0_disarms)
{
	NEED_CAP(KVM_CAP_TSC_DEADLINE_TIMER);
	EXPECT_GUEST(0, deadline_disarmed);
}

static u64 deadline_in_other_mode(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_LVTT, APIC_LVT_ONESHOT | TIMER);
	wrmsr(MSR_TSC_DEADLINE, 1);
	irq_window();
	guest_check_eq(0, this_cpu()->irqs[TIMER]);
	return rdmsr(MSR_TSC_DEADLINE);
}

TEST_F(lapic, the_deadline_msr_is_0_and_ignored_in_other_modes)
{
	NEED_CAP(KVM_CAP_TSC_DEADLINE_TIMER);
	EXPECT_GUEST(0, deadline_in_other_mode);
}

static u64 mode_switch_disarms(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_LVTT, APIC_LVT_TSCDEADLINE | TIMER);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 200 * MILLISECOND);
	xapic_write(APIC_LVTT, APIC_LVT_ONESHOT | TIMER);
	irq_enable();
	spin(250 * MILLISECOND);
	irq_disable();
	return this_cpu()->irqs[TIMER];
}

TEST_F(lapic, leaving_deadline_mode_disarms)
{
	NEED_CAP(KVM_CAP_TSC_DEADLINE_TIMER);
	EXPECT_GUEST(0, mode_switch_disarms);
}

/* ---- x2APIC: SDM 3A "Extended XAPIC (x2APIC)" ---- */

static bool has_x2apic(void)
{
	return kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & BIT_X2APIC;
}

#define NEED_X2APIC NEED(has_x2apic(), "no x2APIC")

static u64 x2apic_registers(u64 arg)
{
	x2apic_enable();
	guest_check_eq(0, x2apic_read(APIC_ID));
	guest_check_eq(1, x2apic_read(APIC_LDR));	/* cluster 0, bit 0 */
	x2apic_write(APIC_TASKPRI, 0x20);
	guest_check_eq(0x20, x2apic_read(APIC_TASKPRI));
	guest_check_eq(2, read_cr8());
	x2apic_write(APIC_TASKPRI, 0);
	x2apic_write(APIC_LVT1, APIC_DM_NMI | APIC_LVT_MASKED);
	guest_check_eq(APIC_DM_NMI | APIC_LVT_MASKED, x2apic_read(APIC_LVT1));
	return 1;
}

TEST_F(lapic, x2apic_registers_are_msrs)
{
	NEED_X2APIC;
	EXPECT_GUEST(1, x2apic_registers);
}

static u64 x2apic_self_ipi(u64 arg)
{
	guest_handlers[LOW] = guest_eoi_x2apic;
	x2apic_enable();
	x2apic_write(APIC_SELF_IPI, LOW);
	irq_window();
	x2apic_write(APIC_ICR, APIC_DEST_SELF | LOW);
	irq_window();
	return this_cpu()->irqs[LOW];
}

TEST_F(lapic, x2apic_self_ipi_by_both_registers)
{
	NEED_X2APIC;
	EXPECT_GUEST(2, x2apic_self_ipi);
}

static u64 x2apic_faults(u64 arg)
{
	u64 val;

	x2apic_enable();
	guest_check_eq(GP_VECTOR, rdmsr_try(MSR_X2APIC + (APIC_DFR >> 4), &val));
	guest_check_eq(GP_VECTOR, rdmsr_try(MSR_X2APIC + (APIC_ICR2 >> 4), &val));
	guest_check_eq(GP_VECTOR, rdmsr_try(MSR_X2APIC + 0x3a, &val));
	guest_check_eq(GP_VECTOR, wrmsr_try(MSR_X2APIC + (APIC_ID >> 4), 5));
	guest_check_eq(GP_VECTOR, wrmsr_try(MSR_X2APIC + (APIC_LVR >> 4), 5));
	guest_check_eq(GP_VECTOR, wrmsr_try(MSR_X2APIC + (APIC_TASKPRI >> 4), 1ULL << 32));
	return 1;
}

TEST_F(lapic, x2apic_accesses_that_are_reserved_raise_gp)
{
	NEED_X2APIC;
	EXPECT_GUEST(1, x2apic_faults);
}

static u64 x2apic_eoi_value(u64 val)
{
	x2apic_enable();
	return wrmsr_try(MSR_X2APIC + (APIC_EOI >> 4), val);
}

TEST_F(lapic, x2apic_eoi_of_another_value_than_0_raises_gp)
{
	NEED_X2APIC;
	NEED(!kvm_is_stock(), "stock KVM 6.1 does not look at the value");
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, x2apic_eoi_value, 0));
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, x2apic_eoi_value, 1));
}

/* Registers that can only be written. */
static u64 x2apic_write_only(u64 arg)
{
	u64 val;

	x2apic_enable();
	guest_check_eq(GP_VECTOR, rdmsr_try(MSR_X2APIC + (APIC_EOI >> 4), &val));
	guest_check_eq(GP_VECTOR, rdmsr_try(MSR_X2APIC + (APIC_SELF_IPI >> 4), &val));
	return 1;
}

TEST_F(lapic, reading_a_write_only_x2apic_register_raises_gp)
{
	NEED_X2APIC;
	EXPECT_GUEST(1, x2apic_write_only);
}

static u64 x2apic_msrs_in_xapic_mode(u64 arg)
{
	u64 val;

	return rdmsr_try(MSR_X2APIC + (APIC_ID >> 4), &val);
}

TEST_F(lapic, x2apic_msrs_raise_gp_in_xapic_mode)
{
	EXPECT_GUEST(GP_VECTOR, x2apic_msrs_in_xapic_mode);
}

/* SDM 3A "x2APIC State Transitions". */
static u64 transitions(u64 arg)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u64 off = base & ~(u64)APIC_BASE_ENABLE, x2 = base | APIC_BASE_X2APIC;

	guest_check_eq(GP_VECTOR, wrmsr_try(MSR_APIC_BASE, off | APIC_BASE_X2APIC));
	guest_check_eq(NO_VECTOR, wrmsr_try(MSR_APIC_BASE, off));
	guest_check_eq(GP_VECTOR, wrmsr_try(MSR_APIC_BASE, x2));
	guest_check_eq(NO_VECTOR, wrmsr_try(MSR_APIC_BASE, base));
	guest_check_eq(NO_VECTOR, wrmsr_try(MSR_APIC_BASE, x2));
	guest_check_eq(GP_VECTOR, wrmsr_try(MSR_APIC_BASE, base));
	guest_check_eq(NO_VECTOR, wrmsr_try(MSR_APIC_BASE, off));
	guest_check_eq(NO_VECTOR, wrmsr_try(MSR_APIC_BASE, base));
	return rdmsr(MSR_APIC_BASE) == base;
}

TEST_F(lapic, only_legal_mode_transitions_are_taken)
{
	NEED_X2APIC;
	EXPECT_GUEST(1, transitions);
}

static u64 x2apic_without_cpuid(u64 arg)
{
	return wrmsr_try(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
}

TEST_F(lapic, x2apic_mode_raises_gp_where_cpuid_has_none)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

	kvm_cpuid_find(cpuid, 1, 0)->ecx &= ~BIT_X2APIC;
	vcpu_set_cpuid(self->vcpu, cpuid);
	EXPECT_GUEST(GP_VECTOR, x2apic_without_cpuid);
}

static u64 x2apic_timer(u64 arg)
{
	guest_handlers[TIMER] = guest_eoi_x2apic;
	x2apic_enable();
	x2apic_write(APIC_TDCR, APIC_TDR_DIV_1);
	x2apic_write(APIC_LVTT, TIMER);
	x2apic_write(APIC_TMICT, MILLISECOND);
	wait_for_vector(TIMER, 1);
	return 1;
}

TEST_F(lapic, the_timer_works_in_x2apic_mode)
{
	NEED_X2APIC;
	EXPECT_GUEST(1, x2apic_timer);
}

/* ---- halted in the kernel ---- */

static u64 halt_for_ever(u64 arg)
{
	halt();
	return 0;
}

TEST_F(lapic, a_halted_vcpu_waits_in_the_kernel_and_says_so)
{
	NEED_CAP(KVM_CAP_MP_STATE);
	vcpu_start(self->vcpu, halt_for_ever, 0);
	/* Again, if a busy machine has not let it come to its HLT. */
	for (int i = 0; i < 20 && vcpu_mp_state(self->vcpu) != KVM_MP_STATE_HALTED; i++) {
		ASSERT_EQ(EINTR, vcpu_enter_interrupted(self->vcpu, 100000));
	}
	EXPECT_EQ(KVM_MP_STATE_HALTED, vcpu_mp_state(self->vcpu));
}

TEST_HARNESS_MAIN
