// SPDX-License-Identifier: GPL-2.0
/* Interrupts from lines and messages: the 8259s, the I/O APIC, MSI, GSI routes, the 8254. */
#include "test.h"

enum {
	PIC_BASE = 0x20,		/* vector of the PIC's line 0 */
	ELCR1 = 0x4d0,
	PIT_CH0 = 0x40, PIT_CH2 = 0x42, PIT_MODE = 0x43, SPEAKER = 0x61,
	VECTOR = 0x51, OTHER_VECTOR = 0x62,
};

/* 82093AA "I/O Redirection Table Registers". */
#define IOAPIC_LOGICAL		(1ULL << 11)
#define IOAPIC_REMOTE_IRR	(1ULL << 14)
#define IOAPIC_LEVEL		(1ULL << 15)
#define IOAPIC_MASKED		(1ULL << 16)
#define IOAPIC_DEST(id)		((u64)(id) << 56)

FIXTURE(lines) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(lines)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
	for (int i = 0; i < 16; i++)
		guest_handlers[PIC_BASE + i] = guest_eoi_pic;
	guest_handlers[VECTOR] = guest_eoi_xapic;
	guest_handlers[OTHER_VECTOR] = guest_eoi_xapic;
}

FIXTURE_TEARDOWN(lines)
{
	vm_destroy(&self->vm);
}

static u32 taken(struct vcpu *vcpu, u8 vector)
{
	return vcpu->guest->irqs[vector];
}

/* ---- 8259 ---- */

/* Sync, so that the test can raise lines; then let in what comes; again, twice. */
static u64 pic_guest(u64 unmasked)
{
	guest_pic_init(PIC_BASE, unmasked);
	for (u32 i = 1; i <= 3; i++) {
		guest_sync(i);
		irq_window();
	}
	return 0;
}

TEST_F(lines, a_line_of_the_first_pic)
{
	vcpu_start(self->vcpu, pic_guest, 1 << 4);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 4);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, PIC_BASE + 4));
}

TEST_F(lines, a_line_of_the_second_pic)
{
	vcpu_start(self->vcpu, pic_guest, 1 << 12);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 12);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, PIC_BASE + 12));
}

TEST_F(lines, an_edge_triggered_line_counts_once_for_each_rise)
{
	vcpu_start(self->vcpu, pic_guest, 1 << 4);
	vcpu_sync(self->vcpu);
	vm_irq_line(&self->vm, 4, 1);
	vcpu_sync(self->vcpu);
	vm_irq_line(&self->vm, 4, 1);		/* is high already */
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, PIC_BASE + 4));
	vm_irq_line(&self->vm, 4, 0);
	vm_irq_line(&self->vm, 4, 1);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(2, taken(self->vcpu, PIC_BASE + 4));
}

TEST_F(lines, a_masked_line_of_the_pic_is_silent)
{
	vcpu_start(self->vcpu, pic_guest, 1 << 3);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 4);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, taken(self->vcpu, PIC_BASE + 4));
}

static u8 order[8];
static u32 nr_taken;

static void note_order(struct guest_frame *frame)
{
	order[nr_taken++ % 8] = frame->vector;
	guest_eoi_pic(frame);
}

TEST_F(lines, the_pic_takes_the_lower_line_first)
{
	guest_handlers[PIC_BASE + 3] = note_order;
	guest_handlers[PIC_BASE + 4] = note_order;
	guest_handlers[PIC_BASE + 12] = note_order;
	vcpu_start(self->vcpu, pic_guest, 1 << 12 | 1 << 4 | 1 << 3);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 4);
	vm_irq_pulse(&self->vm, 12);		/* comes by line 2 */
	vm_irq_pulse(&self->vm, 3);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(3, nr_taken);
	EXPECT_EQ(PIC_BASE + 12, order[0]);
	EXPECT_EQ(PIC_BASE + 3, order[1]);
	EXPECT_EQ(PIC_BASE + 4, order[2]);
}

static void no_eoi(struct guest_frame *frame)
{
}

TEST_F(lines, without_eoi_no_lower_priority_comes_from_the_pic)
{
	guest_handlers[PIC_BASE + 3] = no_eoi;
	vcpu_start(self->vcpu, pic_guest, 1 << 4 | 1 << 3);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 3);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 4);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, PIC_BASE + 3));
	EXPECT_EQ(0, taken(self->vcpu, PIC_BASE + 4));
}

static u64 pic_level_guest(u64 line)
{
	outb(ELCR1, 1 << line);
	return pic_guest(1 << line);
}

static u32 times_until_low;

static void eoi_and_ask_to_lower(struct guest_frame *frame)
{
	if (++times_until_low == 3)
		guest_sync(99);
	guest_eoi_pic(frame);
}

TEST_F(lines, a_level_triggered_line_of_the_pic_comes_until_it_is_low)
{
	guest_handlers[PIC_BASE + 5] = eoi_and_ask_to_lower;
	vcpu_start(self->vcpu, pic_level_guest, 5);
	vcpu_sync(self->vcpu);
	vm_irq_line(&self->vm, 5, 1);
	while (vcpu_sync(self->vcpu) != 99)
		;
	vm_irq_line(&self->vm, 5, 0);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(3, taken(self->vcpu, PIC_BASE + 5));
}

static u64 wait_for_pic(u64 line)
{
	guest_pic_init(PIC_BASE, 1 << line);
	guest_sync(1);
	wait_for_vector(PIC_BASE + line, 1);
	return 0;
}

TEST_F(lines, a_line_wakes_a_halted_vcpu)
{
	vcpu_start(self->vcpu, wait_for_pic, 4);
	vcpu_sync(self->vcpu);
	vcpu_spawn_entered(self->vcpu);
	usleep(30000);
	vm_irq_pulse(&self->vm, 4);
	vcpu_join(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, PIC_BASE + 4));
}

/* SDM 3A "Enabling or Disabling the Local APIC": then INTR is the processor's own pin. */
static u64 apic_off_with_intr_high(u64 arg)
{
	guest_pic_init(PIC_BASE, 1 << 4);
	xapic_enable();
	xapic_write(APIC_LVT0, APIC_LVT_MASKED);
	guest_sync(1);
	asm volatile("sti");
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_BASE_ENABLE);
	for (u32 i = 0; i < 100; i++)
		cpuid(0, 0);
	return 0;
}

TEST_F(lines, a_line_that_waits_comes_when_the_local_apic_is_turned_off)
{
	vcpu_start(self->vcpu, apic_off_with_intr_high, 0);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 4);
	vcpu_finish(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, PIC_BASE + 4));
}

/* ---- I/O APIC ---- */

static u64 entry_of_pin;

static u64 ioapic_guest(u64 pin)
{
	guest_pic_init(PIC_BASE, 0);
	xapic_enable();
	ioapic_route(pin, entry_of_pin);
	for (u32 i = 1; i <= 3; i++) {
		guest_sync(i);
		irq_window();
	}
	return 0;
}

static void start_ioapic(struct vcpu *vcpu, u8 pin, u64 entry)
{
	entry_of_pin = entry;
	vcpu_start(vcpu, ioapic_guest, pin);
	vcpu_sync(vcpu);
}

TEST_F(lines, an_edge_triggered_pin_of_the_io_apic)
{
	start_ioapic(self->vcpu, 5, VECTOR);
	vm_irq_line(&self->vm, 5, 1);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
	vm_irq_line(&self->vm, 5, 1);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
	vm_irq_line(&self->vm, 5, 0);
	vm_irq_line(&self->vm, 5, 1);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(2, taken(self->vcpu, VECTOR));
}

TEST_F(lines, a_pin_beyond_the_isa_lines)
{
	start_ioapic(self->vcpu, 23, VECTOR);
	vm_irq_pulse(&self->vm, 23);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, the_default_route_of_gsi_0_is_pin_0)
{
	start_ioapic(self->vcpu, 0, VECTOR);
	vm_irq_pulse(&self->vm, 0);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, a_masked_pin_is_silent)
{
	start_ioapic(self->vcpu, 5, IOAPIC_MASKED | VECTOR);
	vm_irq_pulse(&self->vm, 5);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, taken(self->vcpu, VECTOR));
}

TEST_F(lines, a_pin_with_nmi_delivery)
{
	guest_handlers[NMI_VECTOR] = no_eoi;
	start_ioapic(self->vcpu, 5, APIC_DM_NMI);
	vm_irq_pulse(&self->vm, 5);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, NMI_VECTOR));
}

TEST_F(lines, a_pin_with_an_absent_destination_is_silent)
{
	start_ioapic(self->vcpu, 5, IOAPIC_DEST(7) | VECTOR);
	vm_irq_pulse(&self->vm, 5);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, taken(self->vcpu, VECTOR));
}

static u64 logical_guest(u64 pin)
{
	xapic_write(APIC_DFR, ~0);
	xapic_write(APIC_LDR, 4u << 24);
	return ioapic_guest(pin);
}

TEST_F(lines, a_pin_with_a_logical_destination)
{
	entry_of_pin = IOAPIC_DEST(0xc) | IOAPIC_LOGICAL | VECTOR;
	vcpu_start(self->vcpu, logical_guest, 5);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 5);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, a_pin_with_lowest_priority_delivery)
{
	entry_of_pin = IOAPIC_DEST(0x4) | IOAPIC_LOGICAL | APIC_DM_LOWEST | VECTOR;
	vcpu_start(self->vcpu, logical_guest, 5);
	vcpu_sync(self->vcpu);
	vm_irq_pulse(&self->vm, 5);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

static u64 irr_in_handler;

static void lower_at_third(struct guest_frame *frame)
{
	irr_in_handler = ioapic_read(IOAPIC_REDIR_BASE + 2 * 9) & IOAPIC_REMOTE_IRR;
	if (++times_until_low == 3)
		guest_sync(99);
	guest_eoi_xapic(frame);
}

TEST_F(lines, a_level_triggered_pin_comes_after_each_eoi_until_it_is_low)
{
	guest_handlers[VECTOR] = lower_at_third;
	start_ioapic(self->vcpu, 9, IOAPIC_LEVEL | VECTOR);
	vm_irq_line(&self->vm, 9, 1);
	while (vcpu_sync(self->vcpu) != 99)
		;
	vm_irq_line(&self->vm, 9, 0);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(3, taken(self->vcpu, VECTOR));
}

TEST_F(lines, remote_irr_is_set_until_the_eoi)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	guest_handlers[VECTOR] = lower_at_third;
	times_until_low = 2;
	start_ioapic(self->vcpu, 9, IOAPIC_LEVEL | VECTOR);
	vm_irq_line(&self->vm, 9, 1);
	ASSERT_EQ(99, vcpu_sync(self->vcpu));
	EXPECT_EQ(IOAPIC_REMOTE_IRR, irr_in_handler);
	vm_irq_line(&self->vm, 9, 0);
	vcpu_drain(self->vcpu);
	kvm_do(self->vm.fd, KVM_GET_IRQCHIP, &chip);
	EXPECT_FALSE(chip.chip.ioapic.redirtbl[9].bits & IOAPIC_REMOTE_IRR);
}

static u64 unmask_later(u64 pin)
{
	guest_pic_init(PIC_BASE, 0);
	xapic_enable();
	ioapic_route(pin, IOAPIC_LEVEL | IOAPIC_MASKED | VECTOR);
	guest_sync(1);
	irq_window();
	guest_check_eq(0, this_cpu()->irqs[VECTOR]);
	ioapic_route(pin, IOAPIC_LEVEL | VECTOR);
	irq_window();
	return 0;
}

TEST_F(lines, unmasking_a_pin_that_is_high_lets_the_interrupt_in)
{
	guest_handlers[VECTOR] = lower_at_third;
	times_until_low = 2;
	vcpu_start(self->vcpu, unmask_later, 9);
	vcpu_sync(self->vcpu);
	vm_irq_line(&self->vm, 9, 1);
	ASSERT_EQ(99, vcpu_sync(self->vcpu));
	vm_irq_line(&self->vm, 9, 0);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

static u64 ioapic_registers(u64 arg)
{
	ioapic_route(20, IOAPIC_DEST(0x12) | IOAPIC_MASKED | IOAPIC_LEVEL | 0x77);
	guest_check_eq(0x12000000, ioapic_read(IOAPIC_REDIR_BASE + 2 * 20 + 1));
	guest_check_eq(IOAPIC_MASKED | IOAPIC_LEVEL | 0x77, ioapic_read(IOAPIC_REDIR_BASE + 2 * 20));
	/* Version: at least 0x11, and the last entry's number in bits 16 to 23. */
	guest_check_eq(23, ioapic_read(1) >> 16 & 0xff);
	guest_check(((ioapic_read(1) & 0xff) >= 0x11));
	return 1;
}

TEST_F(lines, the_io_apics_registers_keep_what_is_written)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, ioapic_registers, 0));
}

/* ---- MSI ---- */

static u64 msi_guest(u64 arg)
{
	xapic_enable();
	for (u32 i = 1; i <= 3; i++) {
		guest_sync(i);
		irq_window();
	}
	return 0;
}

TEST_F(lines, an_msi_is_delivered_once)
{
	vcpu_start(self->vcpu, msi_guest, 0);
	vcpu_sync(self->vcpu);
	EXPECT_GT(vm_signal_msi(&self->vm, 0, VECTOR), 0);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, an_msi_that_is_pending_already_comes_once)
{
	vcpu_start(self->vcpu, msi_guest, 0);
	vcpu_sync(self->vcpu);
	vm_signal_msi(&self->vm, 0, VECTOR);
	EXPECT_GE(vm_signal_msi(&self->vm, 0, VECTOR), 0);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, msis_of_two_vectors_come_both)
{
	vcpu_start(self->vcpu, msi_guest, 0);
	vcpu_sync(self->vcpu);
	vm_signal_msi(&self->vm, 0, VECTOR);
	vm_signal_msi(&self->vm, 0, OTHER_VECTOR);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
	EXPECT_EQ(1, taken(self->vcpu, OTHER_VECTOR));
}

TEST_F(lines, an_msi_goes_to_its_destination_alone)
{
	struct vcpu *second = vm_add_vcpu(&self->vm, 1);

	vcpu_start(self->vcpu, msi_guest, 0);
	vcpu_sync(self->vcpu);
	vcpu_start(second, msi_guest, 0);
	vcpu_sync(second);
	EXPECT_GT(vm_signal_msi(&self->vm, 1, VECTOR), 0);
	vcpu_drain(second);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(0, taken(self->vcpu, VECTOR));
	EXPECT_EQ(1, taken(second, VECTOR));
}

TEST_F(lines, an_msi_without_irqchip_is_refused)
{
	struct vm vm;

	vm_create(&vm, VM_PLAIN);
	EXPECT_EQ(EINVAL, errno_of(vm_signal_msi(&vm, 0, VECTOR)));
}

TEST_F(lines, an_irq_line_without_irqchip_is_enxio)
{
	struct kvm_irq_level level = { .irq = 4, .level = 1 };
	struct vm vm;

	vm_create(&vm, VM_PLAIN);
	EXPECT_EQ(ENXIO, errno_of(ioctl(vm.fd, KVM_IRQ_LINE, &level)));
}

/* <linux/kvm.h>, struct kvm_irq_level: below 0 masked or ignored, above 0 delivered. */
static s32 line_status(struct vm *vm, u32 gsi)
{
	struct kvm_irq_level level = { .irq = gsi, .level = 1 };

	kvm_do(vm->fd, KVM_IRQ_LINE_STATUS, &level);
	return level.status;
}

TEST_F(lines, irq_line_status_tells_what_became_of_the_interrupt)
{
	NEED_CAP(KVM_CAP_IRQ_INJECT_STATUS);
	start_ioapic(self->vcpu, 5, VECTOR);
	EXPECT_GT(line_status(&self->vm, 5), 0);
	EXPECT_LT(line_status(&self->vm, 6), 0);	/* masked */
}

/* ---- routes ---- */

static struct kvm_irq_routing_entry pin_route(u32 gsi, u32 chip, u32 pin)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static struct kvm_irq_routing_entry msi_route(u32 gsi, u8 vector)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = APIC_BASE_ADDR, .data = vector },
	};
}

TEST_F(lines, a_gsi_can_be_routed_to_an_msi)
{
	struct kvm_irq_routing_entry route = msi_route(77, VECTOR);

	ASSERT_EQ(0, vm_set_routes(&self->vm, &route, 1, 0)) TH_LOG("%m");
	vcpu_start(self->vcpu, msi_guest, 0);
	vcpu_sync(self->vcpu);
	vm_irq_line(&self->vm, 77, 1);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, a_gsi_can_be_routed_to_another_pin)
{
	struct kvm_irq_routing_entry route = pin_route(50, KVM_IRQCHIP_IOAPIC, 7);

	ASSERT_EQ(0, vm_set_routes(&self->vm, &route, 1, 0)) TH_LOG("%m");
	start_ioapic(self->vcpu, 7, VECTOR);
	vm_irq_pulse(&self->vm, 50);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, new_routes_replace_the_default_ones)
{
	struct kvm_irq_routing_entry route = msi_route(77, VECTOR);

	ASSERT_EQ(0, vm_set_routes(&self->vm, &route, 1, 0));
	start_ioapic(self->vcpu, 5, OTHER_VECTOR);
	vm_irq_pulse(&self->vm, 5);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(0, taken(self->vcpu, OTHER_VECTOR));
}

TEST_F(lines, a_gsi_may_go_to_pic_and_io_apic_at_once)
{
	struct kvm_irq_routing_entry routes[] = {
		pin_route(5, KVM_IRQCHIP_PIC_MASTER, 5), pin_route(5, KVM_IRQCHIP_IOAPIC, 5),
	};

	ASSERT_EQ(0, vm_set_routes(&self->vm, routes, 2, 0)) TH_LOG("%m");
	start_ioapic(self->vcpu, 5, VECTOR);
	vm_irq_pulse(&self->vm, 5);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu, VECTOR));
}

TEST_F(lines, bad_routes_are_refused)
{
	struct kvm_irq_routing_entry good = msi_route(77, VECTOR), bad, twice[2];

	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &good, 1, 1)));
	bad = good;
	bad.type = 77;
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &bad, 1, 0)));
	bad = good;
	bad.flags = 1 << 5;
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &bad, 1, 0)));
	bad = good;
	bad.gsi = 1 << 20;
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &bad, 1, 0)));
	bad = pin_route(4, KVM_IRQCHIP_IOAPIC, 24);
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &bad, 1, 0)));
	bad = pin_route(4, KVM_IRQCHIP_PIC_MASTER, 8);
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &bad, 1, 0)));
	bad = pin_route(4, 3, 0);
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, &bad, 1, 0)));
	/* Two MSIs, or two pins of one chip, under one number. */
	twice[0] = twice[1] = good;
	EXPECT_EQ(EINVAL, errno_of(vm_set_routes(&self->vm, twice, 2, 0)));
}

TEST_F(lines, more_routes_than_offered_are_refused)
{
	struct kvm_irq_routing many = { .nr = kvm_cap(KVM_CAP_IRQ_ROUTING) + 1 };

	EXPECT_GE(kvm_cap(KVM_CAP_IRQ_ROUTING), 64);
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &many)));
}

/* ---- 8254 ---- */

/* 8254 "Control Word Format": channel, both bytes, mode; the clock is 1,193,182 Hz. */
static void pit_start(u8 channel, u8 mode, u16 count)
{
	outb(PIT_MODE, channel << 6 | 3 << 4 | mode << 1);
	outb(PIT_CH0 + channel, count & 0xff);
	outb(PIT_CH0 + channel, count >> 8);
}

static u16 pit_read(u8 channel)
{
	u8 low;

	outb(PIT_MODE, channel << 6);		/* latch */
	low = inb(PIT_CH0 + channel);
	return inb(PIT_CH0 + channel) << 8 | low;
}

static u64 pit_ticks(u64 count)
{
	guest_pic_init(PIC_BASE, 1 << 0);
	pit_start(0, 2, 2386);			/* 500 a second */
	wait_for_vector(PIC_BASE, count);
	return this_cpu()->irqs[PIC_BASE];
}

static struct vcpu *vm_with_pit(struct vm *vm)
{
	return vm_create_one(vm, VM_IRQCHIP | VM_PIT);
}

TEST_F(lines, the_pit_ticks_by_line_0)
{
	struct vm vm;

	NEED_CAP(KVM_CAP_PIT2);
	/* More than it waited for, if a busy host lets the guest wait. */
	EXPECT_LE(20, vcpu_call(vm_with_pit(&vm), pit_ticks, 20));
}

/*
 * The 8254 counts the host's time, also while the host does something else: what
 * must be seen before the count ends, 55 ms at most, may need another attempt.
 */
#define PIT_ATTEMPTS	20

static bool count_falls(void)
{
	u16 first, later;
	u64 until;

	pit_start(2, 0, 0xffff);
	first = pit_read(2);
	until = rdtsc() + 2000000;
	while (rdtsc() < until)
		cpu_relax();
	later = pit_read(2);
	return first > later;
}

static u64 pit_counts_down(u64 arg)
{
	outb(SPEAKER, 1);			/* gate of channel 2 */
	for (int i = 0; i < PIT_ATTEMPTS; i++)
		if (count_falls())
			return 1;
	return 0;
}

TEST_F(lines, a_channel_of_the_pit_counts_down)
{
	struct vm vm;

	NEED_CAP(KVM_CAP_PIT2);
	EXPECT_EQ(1, vcpu_call(vm_with_pit(&vm), pit_counts_down, 0));
}

static bool output_of_channel_2(void)
{
	return inb(SPEAKER) & 0x20;
}

/* How Linux calibrates its TSC: channel 2 in mode 0, output in bit 5 of port 0x61. */
static u64 pit_output_rises(u64 arg)
{
	int attempts = 0;

	outb(SPEAKER, (inb(SPEAKER) & ~2) | 1);
	do
		pit_start(2, 0, 0xffff);
	while (output_of_channel_2() && ++attempts < PIT_ATTEMPTS);
	guest_check(attempts < PIT_ATTEMPTS);
	while (!output_of_channel_2())
		cpu_relax();
	return 1;
}

TEST_F(lines, the_output_of_channel_2_rises_at_terminal_count)
{
	struct vm vm;

	NEED_CAP(KVM_CAP_PIT2);
	EXPECT_EQ(1, vcpu_call(vm_with_pit(&vm), pit_output_rises, 0));
}

TEST_HARNESS_MAIN
