// SPDX-License-Identifier: GPL-2.0
/*
 * irq/pit.c against the data sheet: 8254 "Programmable Interval Timer", in a
 * PC, whose clock is 1193182 Hz.
 */
#include <asm/apicdef.h>
#include <linux/timex.h>
#include "irq_world.h"
#include "irq/chips.h"
#include "kselftest_harness.h"

enum { CH0 = 0x40, CH1 = 0x41, CH2 = 0x42, CONTROL = 0x43, PORT61 = 0x61 };
/* control word: channel, access, mode */
#define CW(channel, access, mode)	((channel) << 6 | (access) << 4 | (mode) << 1)
enum { LATCH, LSB, MSB, WORD };
enum { BCD = 1 };
#define READ_BACK(count, status, channels) \
	(0xc0 | ((count) ? 0 : 0x20) | ((status) ? 0 : 0x10) | (channels) << 1)
enum { GATE2 = 1, SPEAKER = 2, REFRESH = 0x10, OUT2 = 0x20 };

/* nanoseconds of so many PIT clocks, rounded up */
static u64 clocks(u64 n)
{
	return (n * NSEC_PER_SEC + PIT_TICK_RATE - 1) / PIT_TICK_RATE;
}

FIXTURE(pit) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(pit)
{
	self->vm = world_vm(IRQCHIP_KERNEL, 1);
	self->vcpu = self->vm->vcpus[0];
	ASSERT_EQ(0, pit_create(self->vm, KVM_PIT_SPEAKER_DUMMY));
	/* PIC at 0x30, IRQ 0 alone */
	outb(self->vm, 0x20, 0x11);
	outb(self->vm, 0x21, 0x30);
	outb(self->vm, 0x21, 4);
	outb(self->vm, 0x21, 1);
	outb(self->vm, 0x21, 0xfe);
}

FIXTURE_TEARDOWN(pit)
{
	world_free(self->vm);
}

static void load(struct vm *vm, unsigned int channel, unsigned int mode, u16 count)
{
	outb(vm, CONTROL, CW(channel, WORD, mode));
	outb(vm, CH0 + channel, count);
	outb(vm, CH0 + channel, count >> 8);
}

static u16 count(struct vm *vm, unsigned int channel)
{
	u16 low;

	outb(vm, CONTROL, CW(channel, LATCH, 0));
	low = inb(vm, CH0 + channel);
	return low | inb(vm, CH0 + channel) << 8;
}

static u8 status(struct vm *vm, unsigned int channel)
{
	outb(vm, CONTROL, READ_BACK(false, true, 1 << channel));
	return inb(vm, CH0 + channel);
}

static bool out2(struct vm *vm)
{
	return inb(vm, PORT61) & OUT2;
}

/* Take IRQ 0 if it is there, and end it. */
static bool serve(struct vm *vm)
{
	if (!pic_pending(vm))
		return false;
	assert(pic_ack(vm) == 0x30);
	outb(vm, 0x20, 0x20);
	return true;
}

static unsigned int serve_all(struct vm *vm)
{
	unsigned int n = 0;

	while (serve(vm))
		n++;
	return n;
}

/* ---- counting ---- */

TEST_F(pit, a_count_falls_with_the_clock)
{
	load(self->vm, 2, 0, 1000);
	outb(self->vm, PORT61, GATE2);
	EXPECT_EQ(1000, count(self->vm, 2));
	world_advance(clocks(1));
	EXPECT_EQ(999, count(self->vm, 2));
	world_advance(clocks(399));
	EXPECT_EQ(600, count(self->vm, 2));
}

TEST_F(pit, mode_0_raises_out_at_zero_and_counts_on)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 0, 1000);
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(999));
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_TRUE(out2(self->vm));
	EXPECT_EQ(0, count(self->vm, 2));
	world_advance(clocks(1));
	EXPECT_EQ(0xffff, count(self->vm, 2));
	EXPECT_TRUE(out2(self->vm));
	/* "writing a new count restarts it" */
	outb(self->vm, CH2, 10);
	outb(self->vm, CH2, 0);
	EXPECT_FALSE(out2(self->vm));
}

TEST_F(pit, mode_0_stands_still_while_the_gate_is_low)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 0, 1000);
	world_advance(clocks(100));
	outb(self->vm, PORT61, 0);
	world_advance(clocks(5000));
	EXPECT_EQ(900, count(self->vm, 2));
	EXPECT_FALSE(out2(self->vm));
	outb(self->vm, PORT61, GATE2);
	world_advance(clocks(900));
	EXPECT_TRUE(out2(self->vm));
}

TEST_F(pit, mode_1_waits_for_a_rising_gate)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 1, 1000);
	EXPECT_TRUE(out2(self->vm));
	outb(self->vm, PORT61, 0);
	outb(self->vm, PORT61, GATE2);
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(999));
	EXPECT_FALSE(out2(self->vm));
	/* retriggerable, and a low gate does not stop it */
	outb(self->vm, PORT61, 0);
	outb(self->vm, PORT61, GATE2);
	outb(self->vm, PORT61, 0);
	world_advance(clocks(999));
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_TRUE(out2(self->vm));
}

TEST_F(pit, mode_2_is_low_in_the_last_clock_of_each_period)
{
	unsigned int i, low = 0;

	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 2, 10);
	EXPECT_EQ(10, count(self->vm, 2));
	for (i = 0; i < 30; i++) {
		if (!out2(self->vm)) {
			low++;
			EXPECT_EQ(1, count(self->vm, 2));
		}
		world_advance(clocks(i + 1) - clocks(i));
	}
	EXPECT_EQ(3, low);
}

TEST_F(pit, mode_2_starts_over_when_the_gate_rises)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 2, 1000);
	world_advance(clocks(999));
	EXPECT_FALSE(out2(self->vm));
	outb(self->vm, PORT61, 0);
	EXPECT_TRUE(out2(self->vm));
	world_advance(clocks(77));
	outb(self->vm, PORT61, GATE2);
	EXPECT_EQ(1000, count(self->vm, 2));
}

TEST_F(pit, mode_3_is_a_square_wave_counted_in_twos)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 3, 1000);
	EXPECT_TRUE(out2(self->vm));
	world_advance(clocks(100));
	EXPECT_EQ(800, count(self->vm, 2));
	world_advance(clocks(399));
	EXPECT_TRUE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_FALSE(out2(self->vm));
	EXPECT_EQ(1000, count(self->vm, 2));
	world_advance(clocks(500));
	EXPECT_TRUE(out2(self->vm));
}

TEST_F(pit, mode_3_with_an_odd_count_is_high_one_clock_longer)
{
	unsigned int i, high = 0;

	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 3, 7);
	for (i = 0; i < 7; i++) {
		high += out2(self->vm);
		world_advance(clocks(i + 1) - clocks(i));
	}
	EXPECT_EQ(4, high);
}

TEST_F(pit, mode_4_strobes_low_for_one_clock)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 4, 100);
	EXPECT_TRUE(out2(self->vm));
	world_advance(clocks(99));
	EXPECT_TRUE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_TRUE(out2(self->vm));
}

TEST_F(pit, mode_5_strobes_after_a_trigger)
{
	load(self->vm, 2, 5, 100);
	world_advance(clocks(100));
	EXPECT_TRUE(out2(self->vm));
	outb(self->vm, PORT61, GATE2);
	world_advance(clocks(100));
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_TRUE(out2(self->vm));
}

TEST_F(pit, a_count_of_0_is_the_largest)
{
	outb(self->vm, PORT61, GATE2);
	load(self->vm, 2, 0, 0);
	EXPECT_EQ(0, count(self->vm, 2));
	world_advance(clocks(0xffff));
	EXPECT_EQ(1, count(self->vm, 2));
	EXPECT_FALSE(out2(self->vm));
	world_advance(clocks(1));
	EXPECT_TRUE(out2(self->vm));
}

TEST_F(pit, the_bcd_bit_is_kept_and_counts_are_binary)
{
	outb(self->vm, PORT61, GATE2);
	outb(self->vm, CONTROL, CW(2, WORD, 0) | BCD);
	outb(self->vm, CH2, 0x00);
	outb(self->vm, CH2, 0x20);
	EXPECT_EQ(WORD << 4 | BCD, status(self->vm, 2));
	world_advance(clocks(1));
	EXPECT_EQ(0x1fff, count(self->vm, 2));
}

/* ---- reading and writing ---- */

TEST_F(pit, a_byte_may_be_all_that_is_written_or_read)
{
	outb(self->vm, PORT61, GATE2);
	outb(self->vm, CONTROL, CW(2, LSB, 0));
	outb(self->vm, CH2, 0x34);
	EXPECT_EQ(0x34, inb(self->vm, CH2));
	EXPECT_EQ(0x34, inb(self->vm, CH2));
	outb(self->vm, CONTROL, CW(2, MSB, 0));
	outb(self->vm, CH2, 0x12);
	EXPECT_EQ(0x12, inb(self->vm, CH2));
	EXPECT_EQ(0x12, inb(self->vm, CH2));
	world_advance(clocks(1));
	EXPECT_EQ(0x11, inb(self->vm, CH2));
}

TEST_F(pit, a_word_is_read_low_byte_first)
{
	load(self->vm, 1, 0, 0x1234);
	EXPECT_EQ(0x34, inb(self->vm, CH1));
	EXPECT_EQ(0x12, inb(self->vm, CH1));
	EXPECT_EQ(0x34, inb(self->vm, CH1));
}

TEST_F(pit, a_latched_count_stands_until_it_is_read)
{
	load(self->vm, 1, 0, 0x1234);
	outb(self->vm, CONTROL, CW(1, LATCH, 0));
	world_advance(clocks(0x100));
	outb(self->vm, CONTROL, CW(1, LATCH, 0));	/* the first one counts */
	EXPECT_EQ(0x34, inb(self->vm, CH1));
	EXPECT_EQ(0x12, inb(self->vm, CH1));
	EXPECT_EQ(0x34, inb(self->vm, CH1));
	EXPECT_EQ(0x11, inb(self->vm, CH1));
}

TEST_F(pit, read_back_latches_status_and_count_of_several)
{
	load(self->vm, 1, 2, 0x2000);
	load(self->vm, 2, 3, 0x1000);
	outb(self->vm, CONTROL, READ_BACK(true, true, 1 << 1 | 1 << 2));
	world_advance(clocks(16));
	/* status comes before the count */
	EXPECT_EQ(0x80 | WORD << 4 | 2 << 1, inb(self->vm, CH1));
	EXPECT_EQ(0x00, inb(self->vm, CH1));
	EXPECT_EQ(0x20, inb(self->vm, CH1));
	EXPECT_EQ(0x80 | WORD << 4 | 3 << 1, inb(self->vm, CH2));
	EXPECT_EQ(0x00, inb(self->vm, CH2));
	EXPECT_EQ(0x10, inb(self->vm, CH2));
	EXPECT_EQ(0xf0, inb(self->vm, CH1));
}

TEST_F(pit, status_tells_a_null_count_until_one_is_loaded)
{
	outb(self->vm, CONTROL, CW(1, WORD, 0));
	EXPECT_EQ(0x40 | WORD << 4, status(self->vm, 1));
	outb(self->vm, CH1, 100);
	EXPECT_EQ(0x40 | WORD << 4, status(self->vm, 1));
	outb(self->vm, CH1, 0);
	EXPECT_EQ(WORD << 4, status(self->vm, 1));
	world_advance(clocks(100));
	EXPECT_EQ(0x80 | WORD << 4, status(self->vm, 1));
	/* modes 6 and 7 are 2 and 3; BCD is told */
	outb(self->vm, CONTROL, CW(1, LSB, 7) | BCD);
	EXPECT_EQ(0xc0 | LSB << 4 | 3 << 1 | 1, status(self->vm, 1));
}

TEST_F(pit, the_control_port_reads_as_nothing)
{
	EXPECT_EQ(0, inb(self->vm, CONTROL));
}

/* ---- port 0x61 ---- */

TEST_F(pit, port_61_keeps_gate_and_speaker_and_toggles_refresh)
{
	u8 first;

	outb(self->vm, PORT61, 0xff);
	EXPECT_EQ(GATE2 | SPEAKER, inb(self->vm, PORT61) & (GATE2 | SPEAKER));
	EXPECT_EQ(0, inb(self->vm, PORT61) & 0xc0);
	outb(self->vm, PORT61, SPEAKER);
	EXPECT_EQ(SPEAKER, inb(self->vm, PORT61) & (GATE2 | SPEAKER));
	first = inb(self->vm, PORT61) & REFRESH;
	world_advance(1 << 14);
	EXPECT_NE(first, inb(self->vm, PORT61) & REFRESH);
	world_advance(1 << 14);
	EXPECT_EQ(first, inb(self->vm, PORT61) & REFRESH);
}

TEST(without_the_speaker_flag_port_61_is_user_spaces)
{
	struct vm *vm = world_vm(IRQCHIP_KERNEL, 1);

	ASSERT_EQ(0, pit_create(vm, 0));
	EXPECT_FALSE(pit_port_hit(vm, PORT61));
	EXPECT_TRUE(pit_port_hit(vm, CONTROL));
	EXPECT_FALSE(pit_port_hit(vm, CONTROL + 1));
	EXPECT_FALSE(pit_port_hit(vm, CH0 - 1));
	world_free(vm);
}

/* ---- IRQ 0 ---- */

TEST_F(pit, mode_2_ticks_without_drift)
{
	unsigned int i, ticks = 0;

	world_latency = 1234;		/* interrupts of the host come late */
	load(self->vm, 0, 2, 11932);	/* 100 Hz but for 0.001 % */
	for (i = 0; i < 10000; i++) {
		world_advance(NSEC_PER_MSEC);
		ticks += serve_all(self->vm);
	}
	EXPECT_EQ(10 * PIT_TICK_RATE / 11932, ticks);
}

TEST_F(pit, mode_0_ticks_once)
{
	load(self->vm, 0, 0, 1000);
	world_advance(clocks(999));
	EXPECT_FALSE(serve(self->vm));
	world_advance(clocks(1));
	EXPECT_TRUE(serve(self->vm));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(serve(self->vm));
}

TEST_F(pit, modes_that_need_a_trigger_never_tick_on_channel_0)
{
	load(self->vm, 0, 1, 1000);
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(serve(self->vm));
	load(self->vm, 0, 5, 1000);
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(serve(self->vm));
}

TEST_F(pit, a_control_word_stops_the_ticks)
{
	load(self->vm, 0, 2, 1000);
	world_advance(clocks(1000));
	EXPECT_TRUE(serve(self->vm));
	outb(self->vm, CONTROL, CW(0, WORD, 0));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(serve(self->vm));
}

TEST_F(pit, missed_ticks_are_handed_in_after_the_eoi)
{
	load(self->vm, 0, 2, 11932);
	world_advance(clocks(11932) * 5);
	EXPECT_EQ(5, serve_all(self->vm));
	EXPECT_FALSE(serve(self->vm));
}

TEST_F(pit, missed_ticks_are_dropped_without_reinjection)
{
	ASSERT_EQ(0, pit_reinject(self->vm, false));
	load(self->vm, 0, 2, 11932);
	world_advance(clocks(11932) * 5);
	EXPECT_EQ(1, serve_all(self->vm));
	world_advance(clocks(11932));
	EXPECT_EQ(1, serve_all(self->vm));
}

TEST_F(pit, missed_ticks_come_after_the_eoi_of_a_local_apic_too)
{
	unsigned int n = 0;

	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
	outb(self->vm, 0x21, 0xff);
	ioapic_put(self->vm, 0x11, 0);
	ioapic_put(self->vm, 0x10, 0x40);
	load(self->vm, 0, 2, 11932);
	world_advance(clocks(11932) * 5);
	while (irq_ack(self->vcpu) == 0x40) {
		apic_write(self->vcpu, APIC_EOI, 0);
		n++;
	}
	EXPECT_EQ(5, n);
}

TEST_F(pit, ticks_that_are_masked_everywhere_do_not_pile_up)
{
	outb(self->vm, 0x21, 0xff);
	load(self->vm, 0, 2, 11932);
	world_advance(clocks(11932) * 5);
	outb(self->vm, 0x21, 0xfe);
	EXPECT_GE(1, serve_all(self->vm));
	world_advance(clocks(11932));
	EXPECT_EQ(1, serve_all(self->vm));
}

TEST_F(pit, rewiring_irq_0_does_not_wait_for_an_eoi_that_never_comes)
{
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
	outb(self->vm, 0x21, 0xff);
	ioapic_put(self->vm, 0x10, 0x40);
	load(self->vm, 0, 2, 11932);
	world_advance(clocks(11932));
	EXPECT_EQ(0x40, irq_ack(self->vcpu));
	ioapic_put(self->vm, 0x10, 0x50);	/* 0x40 is in service; its EOI is nobody's now */
	apic_write(self->vcpu, APIC_EOI, 0);
	world_advance(clocks(11932));
	EXPECT_EQ(0x50, irq_ack(self->vcpu));
}

TEST_F(pit, a_period_too_short_to_live_on_is_stretched)
{
	unsigned int i, ticks = 0;

	load(self->vm, 0, 2, 2);	/* 1.7 us */
	for (i = 0; i < 1000; i++) {
		world_advance(100 * NSEC_PER_USEC);
		ticks += serve_all(self->vm);
	}
	EXPECT_EQ(500, ticks);		/* 200 us each */
}

/* ---- state and creation ---- */

TEST_F(pit, a_restored_timer_ticks_and_reads_as_the_saved_one)
{
	struct vm *other = world_vm(IRQCHIP_KERNEL, 1);
	struct kvm_pit_state2 state, again;
	struct kvm_irqchip pic = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	ASSERT_EQ(0, pit_create(other, KVM_PIT_SPEAKER_DUMMY));
	load(self->vm, 0, 2, 11932);
	load(self->vm, 2, 3, 1000);
	outb(self->vm, PORT61, GATE2 | SPEAKER);
	outb(self->vm, CONTROL, CW(1, WORD, 0));
	outb(self->vm, CH1, 0x34);		/* half a count */
	ASSERT_EQ(0, pit_get_state(self->vm, &state));
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &pic));
	EXPECT_EQ(KVM_PIT_FLAGS_SPEAKER_DATA_ON, state.flags);
	EXPECT_EQ(11932, state.channels[0].count);
	EXPECT_EQ(2, state.channels[0].mode);

	world_advance(NSEC_PER_SEC);
	ASSERT_EQ(0, irq_ioctl_set_irqchip(other, &pic));
	ASSERT_EQ(0, pit_set_state(other, &state));
	ASSERT_EQ(0, pit_get_state(other, &again));
	EXPECT_EQ(state.channels[2].count, again.channels[2].count);
	EXPECT_EQ(GATE2 | SPEAKER | OUT2, inb(other, PORT61) & ~REFRESH);
	outb(other, CH1, 0x12);
	EXPECT_EQ(0x1234, count(other, 1));
	world_advance(clocks(11932));
	EXPECT_EQ(1, serve_all(other));
	world_free(other);
}

TEST_F(pit, with_an_hpet_in_its_place_it_gives_no_irq_0)
{
	struct kvm_pit_state2 state;

	load(self->vm, 0, 2, 11932);
	ASSERT_EQ(0, pit_get_state(self->vm, &state));
	state.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
	ASSERT_EQ(0, pit_set_state(self->vm, &state));
	world_advance(NSEC_PER_SEC);
	EXPECT_FALSE(serve(self->vm));
	state.flags &= ~KVM_PIT_FLAGS_HPET_LEGACY;
	ASSERT_EQ(0, pit_set_state(self->vm, &state));
	world_advance(clocks(11932));
	EXPECT_TRUE(serve(self->vm));
}

TEST_F(pit, state_that_cannot_be_is_refused_or_survived)
{
	struct kvm_pit_state2 state;
	unsigned int port;

	memset(&state, 0xff, sizeof(state));
	EXPECT_EQ(-EINVAL, pit_set_state(self->vm, &state));
	state.flags = 0;
	ASSERT_EQ(0, pit_set_state(self->vm, &state));
	for (port = CH0; port <= CONTROL; port++) {
		inb(self->vm, port);
		inb(self->vm, port);
		outb(self->vm, port, 0xff);
	}
	world_advance(NSEC_PER_SEC);
	load(self->vm, 0, 2, 11932);
	world_advance(clocks(11932));
	EXPECT_TRUE(serve(self->vm));
	ASSERT_EQ(0, pit_get_state(self->vm, &state));
	EXPECT_EQ(0, state.reserved[0]);
}

TEST_F(pit, creation_checks_order_and_flags)
{
	struct vm *bare = world_vm(IRQCHIP_NONE, 0), *split = world_vm(IRQCHIP_SPLIT, 0);
	struct kvm_pit_state2 state;

	EXPECT_EQ(-EEXIST, pit_create(self->vm, 0));
	EXPECT_EQ(-EINVAL, pit_create(bare, ~0u));
	EXPECT_EQ(-ENOENT, pit_create(bare, 0));
	EXPECT_EQ(-ENOENT, pit_create(split, 0));
	EXPECT_EQ(-ENXIO, pit_get_state(bare, &state));
	EXPECT_EQ(-ENXIO, pit_set_state(bare, &state));
	EXPECT_EQ(-ENXIO, pit_reinject(bare, true));
	world_free(bare);
	world_free(split);
}

TEST_HARNESS_MAIN
