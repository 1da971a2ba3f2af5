// SPDX-License-Identifier: GPL-2.0
/*
 * irq/lapic_timer.c against the manual, SDM 3A "APIC Timer"; saving and
 * restoring an APIC with its timer; and ending an interrupt without an exit.
 */
#include <linux/kvm_para.h>
#include <asm/msr-index.h>
#include "test_lapic.h"

/* ---- timer; the bus is 1 GHz: one tick a nanosecond through divider 1 ---- */

#define DIVIDE_BY_1	0xb
#define TIMER		0xef

static void timer(struct vcpu *vcpu, u32 lvtt, u32 divide, u32 count)
{
	apic_write(vcpu, APIC_LVTT, lvtt | TIMER);
	apic_write(vcpu, APIC_TDCR, divide);
	apic_write(vcpu, APIC_TMICT, count);
}

static bool fired(struct vcpu *vcpu)
{
	if (irq_ack(vcpu) != TIMER)
		return false;
	apic_write(vcpu, APIC_EOI, 0);
	return true;
}

TEST_F(apic, a_one_shot_fires_once_and_shows_its_count)
{
	timer(self->vcpu, APIC_LVT_TIMER_ONESHOT, DIVIDE_BY_1, 1000000);
	EXPECT_EQ(1000000, apic_read(self->vcpu, APIC_TMCCT));
	world_advance(400000);
	EXPECT_EQ(600000, apic_read(self->vcpu, APIC_TMCCT));
	world_advance(599999);
	EXPECT_FALSE(fired(self->vcpu));
	self->vcpu->kicks = 0;
	world_advance(1);
	EXPECT_EQ(1, self->vcpu->kicks);
	EXPECT_TRUE(fired(self->vcpu));
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TMCCT));
	EXPECT_EQ(1000000, apic_read(self->vcpu, APIC_TMICT));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, the_divider_has_eight_settings)
{
	static const struct { u32 tdcr, divisor; } dividers[] = {
		{ 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 }, { 0x3, 16 },
		{ 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dividers); i++) {
		timer(self->vcpu, APIC_LVT_TIMER_ONESHOT, dividers[i].tdcr, 1000);
		world_advance(1000 * dividers[i].divisor - 1);
		EXPECT_FALSE(fired(self->vcpu));
		EXPECT_EQ(1, apic_read(self->vcpu, APIC_TMCCT));
		world_advance(1);
		EXPECT_TRUE(fired(self->vcpu));
	}
}

TEST_F(apic, a_new_divider_changes_the_speed_of_a_running_count)
{
	timer(self->vcpu, APIC_LVT_TIMER_ONESHOT, DIVIDE_BY_1, 1000000);
	world_advance(500000);
	apic_write(self->vcpu, APIC_TDCR, 0x1);
	EXPECT_EQ(500000, apic_read(self->vcpu, APIC_TMCCT));
	world_advance(4 * 500000 - 1);
	EXPECT_FALSE(fired(self->vcpu));
	world_advance(1);
	EXPECT_TRUE(fired(self->vcpu));
}

TEST_F(apic, a_periodic_timer_does_not_drift)
{
	unsigned int i, n = 0;

	world_latency = 1234;		/* interrupts of the host come late */
	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC, DIVIDE_BY_1, 1000000);
	for (i = 0; i < 1000; i++) {
		world_advance(333333);
		n += fired(self->vcpu);
	}
	EXPECT_EQ(333, n);
	EXPECT_EQ(1000000 - 333333000 % 1000000, apic_read(self->vcpu, APIC_TMCCT));
}

TEST_F(apic, a_count_of_0_stops_the_timer)
{
	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC, DIVIDE_BY_1, 1000000);
	apic_write(self->vcpu, APIC_TMICT, 0);
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TMCCT));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, a_masked_timer_counts_silently)
{
	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC | APIC_LVT_MASKED, DIVIDE_BY_1, 1000000);
	world_advance(2500000);
	EXPECT_FALSE(fired(self->vcpu));
	EXPECT_EQ(500000, apic_read(self->vcpu, APIC_TMCCT));
	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | TIMER);
	world_advance(500000);
	EXPECT_TRUE(fired(self->vcpu));
}

TEST_F(apic, ticks_that_nobody_takes_merge)
{
	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC, DIVIDE_BY_1, 1000000);
	world_advance(10 * NSEC_PER_MSEC);
	EXPECT_TRUE(fired(self->vcpu));
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, a_period_too_short_to_live_on_is_stretched)
{
	unsigned int i, n = 0;

	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC, DIVIDE_BY_1, 1);
	EXPECT_GE(1, apic_read(self->vcpu, APIC_TMCCT));
	for (i = 0; i < 1000; i++) {
		world_advance(100 * NSEC_PER_USEC);
		n += fired(self->vcpu);
	}
	EXPECT_EQ(500, n);
}

TEST_F(apic, a_timer_can_become_periodic_while_it_counts)
{
	timer(self->vcpu, APIC_LVT_TIMER_ONESHOT, DIVIDE_BY_1, 1000000);
	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | TIMER);
	world_advance(1000000);
	EXPECT_TRUE(fired(self->vcpu));
	world_advance(1000000);
	EXPECT_TRUE(fired(self->vcpu));
}

static void deadline(struct vcpu *vcpu, u64 tsc)
{
	lapic_set_tscdeadline(vcpu, tsc);
}

static u64 armed_for(struct vcpu *vcpu)
{
	return lapic_get_tscdeadline(vcpu);
}

TEST_F(apic, a_tsc_deadline_fires_at_that_tsc)
{
	u64 tsc = clock_guest_tsc(self->vcpu) + 2000000;	/* a millisecond */

	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | TIMER);
	deadline(self->vcpu, tsc);
	EXPECT_EQ(tsc, armed_for(self->vcpu));
	world_advance(999999);
	EXPECT_FALSE(fired(self->vcpu));
	world_advance(1);
	EXPECT_TRUE(fired(self->vcpu));
	EXPECT_EQ(0, armed_for(self->vcpu));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, a_tsc_deadline_in_the_past_fires_at_once)
{
	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | TIMER);
	deadline(self->vcpu, 1);
	EXPECT_TRUE(fired(self->vcpu));
	EXPECT_EQ(0, armed_for(self->vcpu));
}

TEST_F(apic, a_tsc_deadline_can_be_moved_and_taken_back)
{
	u64 tsc = clock_guest_tsc(self->vcpu);

	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | TIMER);
	deadline(self->vcpu, tsc + 2000000);
	deadline(self->vcpu, tsc + 4000000);
	world_advance(1000000);
	EXPECT_FALSE(fired(self->vcpu));
	world_advance(1000000);
	EXPECT_TRUE(fired(self->vcpu));
	deadline(self->vcpu, tsc + 8000000);
	deadline(self->vcpu, 0);
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, a_tsc_deadline_at_the_end_of_time_is_survived)
{
	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | TIMER);
	deadline(self->vcpu, ~0ULL);
	self->vcpu->tsc_khz = 1;
	deadline(self->vcpu, ~0ULL);
	EXPECT_EQ(~0ULL, armed_for(self->vcpu));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, the_modes_keep_their_registers_apart)
{
	u64 tsc = clock_guest_tsc(self->vcpu) + 2000000;

	/* not in deadline mode: the MSR is dead */
	timer(self->vcpu, APIC_LVT_TIMER_ONESHOT, DIVIDE_BY_1, 5000000);
	deadline(self->vcpu, tsc);
	EXPECT_EQ(0, armed_for(self->vcpu));
	/* going there disarms */
	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | TIMER);
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TMICT));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
	/* in it, the initial count is dead */
	apic_write(self->vcpu, APIC_TMICT, 1000);
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TMICT));
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TMCCT));
	/* leaving it disarms */
	deadline(self->vcpu, clock_guest_tsc(self->vcpu) + 2000000);
	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_ONESHOT | TIMER);
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, a_reset_stops_the_timer)
{
	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC, DIVIDE_BY_1, 1000000);
	lapic_reset(self->vcpu, true);
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVTT, TIMER);
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(fired(self->vcpu));
}

TEST_F(apic, lvt_entries_deliver_by_their_mode)
{
	apic_write(self->vcpu, APIC_LVTPC, APIC_DM_NMI);
	EXPECT_EQ(1, lapic_local_deliver(self->vcpu, APIC_LVTPC));
	EXPECT_EQ(1, self->vcpu->nmis);
	/* the performance counters' entry masks itself */
	EXPECT_EQ(APIC_DM_NMI | APIC_LVT_MASKED, apic_read(self->vcpu, APIC_LVTPC));
	EXPECT_EQ(-1, lapic_local_deliver(self->vcpu, APIC_LVTPC));
	apic_write(self->vcpu, APIC_LVT1, APIC_DM_FIXED | APIC_LVT_LEVEL_TRIGGER | 0x47);
	EXPECT_EQ(1, lapic_local_deliver(self->vcpu, APIC_LVT1));
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_TMR, 0x47));
	EXPECT_EQ(0x47, irq_pending(self->vcpu));
}

/* ---- state ---- */

TEST_F(apic, a_restored_apic_goes_on_where_the_saved_one_stood)
{
	struct vm *other = world_vm(IRQCHIP_KERNEL, 1);
	struct vcpu *vcpu = other->vcpus[0];
	struct kvm_lapic_state state, again;

	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	apic_interrupt(self->vcpu, 0x41);
	apic_interrupt(self->vcpu, 0x71);
	apic_write(self->vcpu, APIC_TASKPRI, 0x80);
	timer(self->vcpu, APIC_LVT_TIMER_PERIODIC, DIVIDE_BY_1, 1000000);
	world_advance(250000);
	ASSERT_EQ(0, lapic_get_state(self->vcpu, &state));
	world_advance(NSEC_PER_SEC);
	ASSERT_EQ(0, lapic_set_state(vcpu, &state));
	ASSERT_EQ(0, lapic_get_state(vcpu, &again));
	EXPECT_EQ(0, memcmp(&state, &again, sizeof(state)));

	EXPECT_TRUE(vcpu_take_request(vcpu, REQ_EVENT));
	EXPECT_EQ(-1, irq_pending(vcpu));
	apic_write(vcpu, APIC_TASKPRI, 0);
	EXPECT_EQ(0x71, irq_ack(vcpu));
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_EQ(-1, irq_pending(vcpu));
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x41, irq_ack(vcpu));
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_EQ(750000, apic_read(vcpu, APIC_TMCCT));
	world_advance(750000);
	EXPECT_TRUE(fired(vcpu));
	world_advance(1000000);
	EXPECT_TRUE(fired(vcpu));
	world_free(other);
}

TEST_F(apic, a_restored_one_shot_is_never_lost)
{
	struct kvm_lapic_state state;

	timer(self->vcpu, APIC_LVT_TIMER_ONESHOT, DIVIDE_BY_1, 1000000);
	world_advance(250000);
	ASSERT_EQ(0, lapic_get_state(self->vcpu, &state));
	ASSERT_EQ(0, lapic_set_state(self->vcpu, &state));
	world_advance(749999);
	EXPECT_FALSE(fired(self->vcpu));
	world_advance(1);
	EXPECT_TRUE(fired(self->vcpu));
	/* QEMU does not restore the current count */
	*(u32 *)(state.regs + APIC_TMCCT) = 0;
	ASSERT_EQ(0, lapic_set_state(self->vcpu, &state));
	world_advance(1);
	EXPECT_TRUE(fired(self->vcpu));
}

TEST_F(apic, a_deadline_survives_a_restore_of_the_registers)
{
	struct kvm_lapic_state state;

	apic_write(self->vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | TIMER);
	deadline(self->vcpu, clock_guest_tsc(self->vcpu) + 2000000);
	ASSERT_EQ(0, lapic_get_state(self->vcpu, &state));
	ASSERT_EQ(0, lapic_set_state(self->vcpu, &state));
	world_advance(999999);
	EXPECT_FALSE(fired(self->vcpu));
	world_advance(1);
	EXPECT_TRUE(fired(self->vcpu));
}

TEST_F(apic, x2apic_ids_in_the_state_have_8_bits_or_32)
{
	struct vcpu *vcpu = self->vm->vcpus[3];
	struct kvm_lapic_state state;
	u32 *id = (u32 *)(state.regs + APIC_ID);
	u64 val;

	x2apic(vcpu);
	ASSERT_EQ(0, lapic_get_state(vcpu, &state));
	EXPECT_EQ(3 << 24, *id);
	ASSERT_EQ(0, lapic_set_state(vcpu, &state));
	ASSERT_EQ(0, rd(vcpu, APIC_ID, &val));
	EXPECT_EQ(3, val);

	self->vm->x2apic_api = KVM_X2APIC_API_USE_32BIT_IDS;
	EXPECT_EQ(-EINVAL, lapic_set_state(vcpu, &state));
	ASSERT_EQ(0, lapic_get_state(vcpu, &state));
	EXPECT_EQ(3, *id);
	*(u32 *)(state.regs + APIC_LDR) = 0x55;
	ASSERT_EQ(0, lapic_set_state(vcpu, &state));
	ASSERT_EQ(0, rd(vcpu, APIC_LDR, &val));
	EXPECT_EQ(1 << 3, val);
}

TEST_F(apic, state_that_cannot_be_is_survived)
{
	struct kvm_lapic_state state;
	int i;

	memset(&state, 0xff, sizeof(state));
	ASSERT_EQ(0, lapic_set_state(self->vcpu, &state));
	/* Vectors 0 to 15 stay, as with stock KVM, and are never taken. */
	EXPECT_EQ(0xffffffff, apic_read(self->vcpu, APIC_IRR));
	EXPECT_EQ(0x3ff, apic_read(self->vcpu, APIC_SPIV));
	world_advance(NSEC_PER_SEC);
	for (i = 0; i < 256; i++) {
		irq_ack(self->vcpu);
		apic_write(self->vcpu, APIC_EOI, 0);
	}
	apic_write(self->vcpu, APIC_TASKPRI, 0);
	for (i = 0; i < 256; i++) {
		irq_ack(self->vcpu);
		apic_write(self->vcpu, APIC_EOI, 0);
	}
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_PROCPRI));
}

/* ---- paravirtual EOI: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN ---- */

enum { WORD = 0x100 };

TEST_F(apic, pv_eoi_wants_an_aligned_word)
{
	EXPECT_EQ(1, lapic_set_pv_eoi(self->vcpu, WORD | 2 | KVM_MSR_ENABLED));
	EXPECT_EQ(0, lapic_set_pv_eoi(self->vcpu, WORD | KVM_MSR_ENABLED));
	EXPECT_EQ(WORD | KVM_MSR_ENABLED, self->vcpu->pv_eoi_msr);
	EXPECT_EQ(0, lapic_set_pv_eoi(self->vcpu, 0));
}

TEST_F(apic, pv_eoi_lets_the_guest_end_an_interrupt_by_a_store)
{
	lapic_set_pv_eoi(self->vcpu, WORD | KVM_MSR_ENABLED);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(0, world_memory[WORD]);
	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(1, world_memory[WORD]);
	/* an exit in between changes nothing */
	lapic_pv_eoi_after_exit(self->vcpu);
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(1, world_memory[WORD]);
	world_memory[WORD] = 0;
	lapic_pv_eoi_after_exit(self->vcpu);
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_ISR, 0x51));
	/* only that one */
	lapic_pv_eoi_after_exit(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(0, world_memory[WORD]);
}

TEST_F(apic, pv_eoi_is_not_for_what_others_wait_for)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x51 | APIC_INT_LEVELTRIG };

	lapic_set_pv_eoi(self->vcpu, WORD | KVM_MSR_ENABLED);
	/* the I/O APIC waits for the EOI of a level */
	irq_send_msi(self->vm, &msi);
	irq_ack(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(0, world_memory[WORD]);
	apic_write(self->vcpu, APIC_EOI, 0);
	/* and another interrupt for that of an edge */
	apic_interrupt(self->vcpu, 0x61);
	irq_ack(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(1, world_memory[WORD]);
	apic_interrupt(self->vcpu, 0x62);
	lapic_pv_eoi_after_exit(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(0, world_memory[WORD]);
}

TEST_F(apic, pv_eoi_and_a_real_eoi_do_not_count_twice)
{
	lapic_set_pv_eoi(self->vcpu, WORD | KVM_MSR_ENABLED);
	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	apic_interrupt(self->vcpu, 0x61);
	irq_ack(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(1, world_memory[WORD]);
	/* the guest ignores the bit */
	lapic_pv_eoi_after_exit(self->vcpu);
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_ISR, 0x61));
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
	lapic_pv_eoi_before_entry(self->vcpu);
	lapic_pv_eoi_after_exit(self->vcpu);
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
}

TEST_F(apic, pv_eoi_is_taken_back_before_user_space_sees_it)
{
	lapic_set_pv_eoi(self->vcpu, WORD | KVM_MSR_ENABLED);
	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	lapic_pv_eoi_after_exit(self->vcpu);
	lapic_pv_eoi_leave(self->vcpu);
	EXPECT_EQ(0, world_memory[WORD]);
	lapic_pv_eoi_after_exit(self->vcpu);
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(1, world_memory[WORD]);
	/* as when the guest turns it off */
	lapic_set_pv_eoi(self->vcpu, 0);
	EXPECT_EQ(0, world_memory[WORD]);
	lapic_pv_eoi_before_entry(self->vcpu);
	EXPECT_EQ(0, world_memory[WORD]);
}

TEST_F(apic, pv_eoi_without_memory_behind_it_does_nothing)
{
	lapic_set_pv_eoi(self->vcpu, 2 * WORLD_MEMORY | KVM_MSR_ENABLED);
	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	lapic_pv_eoi_before_entry(self->vcpu);
	lapic_pv_eoi_after_exit(self->vcpu);
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
}

TEST_HARNESS_MAIN
