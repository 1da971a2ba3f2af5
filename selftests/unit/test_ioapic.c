// SPDX-License-Identifier: GPL-2.0
/*
 * irq/ioapic.c against the data sheet: 82093AA "I/O Advanced Programmable
 * Interrupt Controller (IOAPIC)"; and what routes to it, irq/route.c.
 */
#include <asm/apicdef.h>
#include "irq_world.h"
#include "irq/chips.h"
#include "kselftest_harness.h"

enum { REG_ID, REG_VERSION, REG_ARB };
#define LOW(pin)	(0x10 + 2 * (pin))
#define HIGH(pin)	(0x11 + 2 * (pin))
enum { LEVEL = 1 << 15, REMOTE_IRR = 1 << 14, ACTIVE_LOW = 1 << 13, PENDING = 1 << 12,
	LOGICAL = 1 << 11, MASKED = 1 << 16 };
enum { NR_VCPUS = 3 };

FIXTURE(ioapic) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(ioapic)
{
	int i;

	self->vm = world_vm(IRQCHIP_KERNEL, NR_VCPUS);
	self->vcpu = self->vm->vcpus[0];
	for (i = 0; i < NR_VCPUS; i++)
		apic_enable(self->vm->vcpus[i]);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
	outb(self->vm, 0x21, 0xff);
	outb(self->vm, 0xa1, 0xff);
}

FIXTURE_TEARDOWN(ioapic)
{
	world_free(self->vm);
}

static int up(struct vm *vm, unsigned int pin)
{
	return ioapic_set_irq(vm, pin, IRQ_SOURCE_USER, true);
}

static int down(struct vm *vm, unsigned int pin)
{
	return ioapic_set_irq(vm, pin, IRQ_SOURCE_USER, false);
}

static void program(struct vm *vm, unsigned int pin, u32 dest, u32 low)
{
	ioapic_put(vm, HIGH(pin), dest << 24);
	ioapic_put(vm, LOW(pin), low);
}

/* Take the interrupt and end it. */
static int serve(struct vcpu *vcpu)
{
	int vector = irq_ack(vcpu);

	apic_write(vcpu, APIC_EOI, 0);
	return vector;
}

TEST_F(ioapic, identity)
{
	EXPECT_EQ(0x00170011, ioapic_get(self->vm, REG_VERSION));
	ioapic_put(self->vm, REG_VERSION, ~0u);
	EXPECT_EQ(0x00170011, ioapic_get(self->vm, REG_VERSION));
	EXPECT_EQ(0, ioapic_get(self->vm, REG_ID));
	ioapic_put(self->vm, REG_ID, ~0u);
	EXPECT_EQ(0x0f000000, ioapic_get(self->vm, REG_ID));
	EXPECT_EQ(0x0f000000, ioapic_get(self->vm, REG_ARB));
	EXPECT_EQ(0, ioapic_get(self->vm, 0x0f));
	EXPECT_EQ(0, ioapic_get(self->vm, 0x40));
}

TEST_F(ioapic, all_pins_are_masked_after_reset)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		EXPECT_EQ(MASKED, ioapic_get(self->vm, LOW(pin)));
		EXPECT_EQ(0, ioapic_get(self->vm, HIGH(pin)));
	}
}

TEST_F(ioapic, an_entry_keeps_its_read_only_and_reserved_bits)
{
	program(self->vm, 23, 0xff, ~0u);
	EXPECT_EQ(0x1ffff & ~(REMOTE_IRR | PENDING), ioapic_get(self->vm, LOW(23)));
	ioapic_put(self->vm, HIGH(23), ~0u);
	EXPECT_EQ(0xff000000, ioapic_get(self->vm, HIGH(23)));
}

TEST_F(ioapic, accesses_that_are_no_register_are_survived)
{
	u32 val = ~0u;
	u64 wide;

	ioapic_mmio_write(self->vm, IOAPIC_DEFAULT_BASE + 4, &val, 4);
	ioapic_mmio_write(self->vm, IOAPIC_DEFAULT_BASE + 0x40, &val, 4);
	ioapic_mmio_read(self->vm, IOAPIC_DEFAULT_BASE + 0x14, &val, 4);
	EXPECT_EQ(0, val);
	/* the window takes nothing shorter than a register */
	ioapic_put(self->vm, REG_ID, 0x05000000);
	val = 0;
	ioapic_mmio_write(self->vm, IOAPIC_DEFAULT_BASE + 0x10, &val, 1);
	EXPECT_EQ(0x05000000, ioapic_get(self->vm, REG_ID));
	/* shorter and longer reads */
	val = REG_VERSION;
	ioapic_mmio_write(self->vm, IOAPIC_DEFAULT_BASE, &val, 1);
	ioapic_mmio_read(self->vm, IOAPIC_DEFAULT_BASE + 0x10, &wide, 8);
	EXPECT_EQ(0x00170011, wide);
	val = ~0u;
	ioapic_mmio_read(self->vm, IOAPIC_DEFAULT_BASE + 0x10, &val, 1);
	EXPECT_EQ(0xffffff11, val);
	EXPECT_TRUE(ioapic_mmio_hit(self->vm, IOAPIC_DEFAULT_BASE + 0xff));
	EXPECT_FALSE(ioapic_mmio_hit(self->vm, IOAPIC_DEFAULT_BASE + 0x100));
	EXPECT_FALSE(ioapic_mmio_hit(self->vm, IOAPIC_DEFAULT_BASE - 1));
}

TEST_F(ioapic, an_edge_is_sent_once)
{
	program(self->vm, 5, 0, 0x51);
	EXPECT_EQ(1, up(self->vm, 5));
	EXPECT_EQ(0, up(self->vm, 5));
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_TMR, 0x51));
	EXPECT_EQ(0x51, serve(self->vcpu));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	down(self->vm, 5);
	EXPECT_EQ(1, up(self->vm, 5));
	EXPECT_EQ(0x51, serve(self->vcpu));
	EXPECT_EQ(0x51, ioapic_get(self->vm, LOW(5)));
}

TEST_F(ioapic, an_edge_that_waits_in_the_irr_is_coalesced)
{
	program(self->vm, 5, 0, 0x51);
	EXPECT_EQ(1, up(self->vm, 5));
	down(self->vm, 5);
	EXPECT_EQ(0, up(self->vm, 5));
}

TEST_F(ioapic, an_edge_on_a_masked_pin_is_lost)
{
	program(self->vm, 5, 0, 0x51 | MASKED);
	EXPECT_EQ(-1, up(self->vm, 5));
	ioapic_put(self->vm, LOW(5), 0x51);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(ioapic, a_level_sets_remote_irr_until_eoi)
{
	program(self->vm, 9, 0, 0x61 | LEVEL);
	EXPECT_EQ(1, up(self->vm, 9));
	EXPECT_EQ(0x61 | LEVEL | REMOTE_IRR, ioapic_get(self->vm, LOW(9)));
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_TMR, 0x61));
	EXPECT_EQ(0, up(self->vm, 9));
	down(self->vm, 9);
	EXPECT_EQ(0x61 | LEVEL | REMOTE_IRR, ioapic_get(self->vm, LOW(9)));
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(0x61 | LEVEL, ioapic_get(self->vm, LOW(9)));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(ioapic, a_level_still_high_at_eoi_is_sent_again)
{
	program(self->vm, 9, 0, 0x61 | LEVEL);
	up(self->vm, 9);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(0x61 | LEVEL | REMOTE_IRR, ioapic_get(self->vm, LOW(9)));
	EXPECT_EQ(0x61, irq_pending(self->vcpu));
}

TEST_F(ioapic, a_level_on_a_masked_pin_is_sent_when_unmasked)
{
	program(self->vm, 9, 0, 0x61 | LEVEL | MASKED);
	EXPECT_EQ(-1, up(self->vm, 9));
	ioapic_put(self->vm, LOW(9), 0x61 | LEVEL);
	EXPECT_EQ(0x61, serve(self->vcpu));
	/* and not if the line has fallen by then */
	down(self->vm, 9);
	EXPECT_EQ(0x61, serve(self->vcpu));
	ioapic_put(self->vm, LOW(9), 0x61 | LEVEL | MASKED);
	up(self->vm, 9);
	down(self->vm, 9);
	ioapic_put(self->vm, LOW(9), 0x61 | LEVEL);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(ioapic, masking_in_service_keeps_the_eoi_but_not_the_next)
{
	program(self->vm, 9, 0, 0x61 | LEVEL);
	up(self->vm, 9);
	ioapic_put(self->vm, LOW(9), 0x61 | LEVEL | MASKED);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(0x61 | LEVEL | MASKED, ioapic_get(self->vm, LOW(9)));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(ioapic, going_to_edge_clears_remote_irr)
{
	program(self->vm, 9, 0, 0x61 | LEVEL);
	up(self->vm, 9);
	irq_ack(self->vcpu);
	/* how Linux ends an interrupt at a version 0x11 I/O APIC */
	ioapic_put(self->vm, LOW(9), 0x61 | MASKED);
	EXPECT_EQ(0x61 | MASKED, ioapic_get(self->vm, LOW(9)));
	ioapic_put(self->vm, LOW(9), 0x61 | LEVEL);
	EXPECT_EQ(0x61 | LEVEL | REMOTE_IRR, ioapic_get(self->vm, LOW(9)));
}

TEST_F(ioapic, an_eoi_goes_to_all_pins_of_the_vector)
{
	program(self->vm, 9, 0, 0x61 | LEVEL);
	program(self->vm, 10, 0, 0x61 | LEVEL);
	program(self->vm, 11, 0, 0x52 | LEVEL);
	up(self->vm, 9);
	up(self->vm, 10);
	up(self->vm, 11);
	down(self->vm, 9);
	down(self->vm, 10);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(0x61 | LEVEL, ioapic_get(self->vm, LOW(9)));
	EXPECT_EQ(0x61 | LEVEL, ioapic_get(self->vm, LOW(10)));
	EXPECT_EQ(0x52 | LEVEL | REMOTE_IRR, ioapic_get(self->vm, LOW(11)));
}

TEST_F(ioapic, a_level_that_nobody_takes_has_no_remote_irr)
{
	program(self->vm, 9, 7, 0x61 | LEVEL);
	EXPECT_EQ(-1, up(self->vm, 9));
	EXPECT_EQ(0x61 | LEVEL, ioapic_get(self->vm, LOW(9)));
	/* Rewriting the entry finds the line high. */
	program(self->vm, 9, 1, 0x61 | LEVEL);
	EXPECT_EQ(0x61, irq_pending(self->vm->vcpus[1]));
}

TEST_F(ioapic, a_line_is_the_or_of_its_sources)
{
	program(self->vm, 9, 0, 0x61 | LEVEL);
	ioapic_set_irq(self->vm, 9, IRQ_SOURCE_USER, true);
	ioapic_set_irq(self->vm, 9, IRQ_SOURCE_RESAMPLE, true);
	ioapic_set_irq(self->vm, 9, IRQ_SOURCE_USER, false);
	serve(self->vcpu);
	EXPECT_EQ(0x61, irq_pending(self->vcpu));
	ioapic_set_irq(self->vm, 9, IRQ_SOURCE_RESAMPLE, false);
	serve(self->vcpu);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	/* an edge of one source while another holds the line up is none */
	program(self->vm, 5, 0, 0x51);
	ioapic_set_irq(self->vm, 5, IRQ_SOURCE_USER, true);
	serve(self->vcpu);
	EXPECT_EQ(0, ioapic_set_irq(self->vm, 5, IRQ_SOURCE_IRQFD, true));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(ioapic, delivery_modes)
{
	struct vcpu *other = self->vm->vcpus[1];

	program(self->vm, 1, 1, APIC_DM_NMI);
	EXPECT_EQ(1, up(self->vm, 1));
	EXPECT_EQ(1, other->nmis);
	program(self->vm, 2, 1, APIC_DM_SMI);
	EXPECT_EQ(1, up(self->vm, 2));
	EXPECT_TRUE(vcpu_take_request(other, REQ_SMI));
	program(self->vm, 3, 1, APIC_DM_INIT);
	EXPECT_EQ(1, up(self->vm, 3));
	EXPECT_TRUE(vcpu_take_request(other, REQ_APIC_STATE));
	/* an NMI has no EOI, and so no remote IRR */
	program(self->vm, 4, 1, APIC_DM_NMI | LEVEL);
	up(self->vm, 4);
	EXPECT_EQ(APIC_DM_NMI | LEVEL, ioapic_get(self->vm, LOW(4)));
}

TEST_F(ioapic, extint_fetches_a_vector_from_the_pic)
{
	struct vcpu *other = self->vm->vcpus[1];

	outb(self->vm, 0x20, 0x11);
	outb(self->vm, 0x21, 0x30);
	outb(self->vm, 0x21, 4);
	outb(self->vm, 0x21, 1);
	program(self->vm, 0, 1, APIC_DM_EXTINT);
	pic_set_irq(self->vm, 4, IRQ_SOURCE_USER, true);
	EXPECT_EQ(-1, irq_pending(other));
	EXPECT_EQ(1, up(self->vm, 0));
	EXPECT_EQ(0x34, irq_ack(other));
	EXPECT_EQ(-1, irq_pending(other));
}

TEST_F(ioapic, logical_destinations)
{
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		apic_write(self->vm->vcpus[i], APIC_LDR, 1u << (24 + i));
	program(self->vm, 5, 1 << 0 | 1 << 2, 0x51 | LOGICAL);
	EXPECT_EQ(2, up(self->vm, 5));
	EXPECT_EQ(0x51, irq_pending(self->vm->vcpus[0]));
	EXPECT_EQ(-1, irq_pending(self->vm->vcpus[1]));
	EXPECT_EQ(0x51, irq_pending(self->vm->vcpus[2]));
}

TEST_F(ioapic, lowest_priority_goes_to_one)
{
	int i, took = 0;

	for (i = 0; i < NR_VCPUS; i++)
		apic_write(self->vm->vcpus[i], APIC_LDR, 1u << (24 + i));
	program(self->vm, 5, 0x7, 0x51 | LOGICAL | APIC_DM_LOWEST);
	EXPECT_EQ(1, up(self->vm, 5));
	for (i = 0; i < NR_VCPUS; i++)
		took += irq_pending(self->vm->vcpus[i]) == 0x51;
	EXPECT_EQ(1, took);
}

TEST_F(ioapic, destination_0xff_is_everybody)
{
	program(self->vm, 5, 0xff, 0x51);
	EXPECT_EQ(NR_VCPUS, up(self->vm, 5));
}

TEST_F(ioapic, destination_0xff_reaches_x2apics_unless_that_is_turned_off)
{
	struct vcpu *other = self->vm->vcpus[1];

	ASSERT_EQ(0, lapic_set_base(other, other->apic_base | X2APIC_ENABLE, false));
	program(self->vm, 5, 0xff, 0x51);
	EXPECT_EQ(NR_VCPUS, up(self->vm, 5));
	self->vm->x2apic_api = KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	program(self->vm, 6, 0xff, 0x52);
	EXPECT_EQ(NR_VCPUS - 1, up(self->vm, 6));
	EXPECT_EQ(0x51, irq_pending(other));
}

TEST_F(ioapic, an_acknowledged_line_is_lowered_before_it_is_looked_at_again)
{
	world_resampled_gsi = 9;
	program(self->vm, 9, 0, 0x61 | LEVEL);
	EXPECT_EQ(1, irq_set_gsi(self->vm, 9, IRQ_SOURCE_RESAMPLE, true));
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(1, world_resample_acks);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	EXPECT_EQ(0x61 | LEVEL, ioapic_get(self->vm, LOW(9)));
}

TEST_F(ioapic, who_listens_hears_the_eoi_of_an_edge_too)
{
	world_resampled_gsi = 9;
	program(self->vm, 9, 0, 0x61);
	EXPECT_TRUE(ioapic_wants_eoi(self->vm, 0x61));
	EXPECT_FALSE(ioapic_wants_eoi(self->vm, 0x62));
	irq_set_gsi(self->vm, 9, IRQ_SOURCE_RESAMPLE, true);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(1, world_resample_acks);
	program(self->vm, 9, 0, 0x71);
	EXPECT_FALSE(ioapic_wants_eoi(self->vm, 0x61));
	EXPECT_TRUE(ioapic_wants_eoi(self->vm, 0x71));
}

TEST_F(ioapic, the_eoi_of_another_interrupt_with_that_vector_is_not_the_pins)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x61 | LEVEL };

	world_resampled_gsi = 9;
	program(self->vm, 9, 0, 0x61 | LEVEL | MASKED);
	irq_set_gsi(self->vm, 9, IRQ_SOURCE_RESAMPLE, true);
	irq_send_msi(self->vm, &msi);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(0, world_resample_acks);
}

TEST_F(ioapic, a_restored_chip_goes_on_where_the_saved_one_stood)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct vm *other = world_vm(IRQCHIP_KERNEL, 1);
	struct vcpu *vcpu = other->vcpus[0];
	struct kvm_lapic_state lapic;

	ioapic_put(self->vm, REG_ID, 0x03000000);
	program(self->vm, 9, 0, 0x61 | LEVEL);
	program(self->vm, 10, 0, 0x62 | LEVEL | MASKED);
	program(self->vm, 5, 0, 0x51);
	up(self->vm, 9);
	up(self->vm, 10);
	up(self->vm, 5);
	irq_ack(self->vcpu);
	ioapic_get(self->vm, LOW(9));

	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &chip));
	EXPECT_EQ(1 << 9 | 1 << 10, chip.chip.ioapic.irr);
	EXPECT_EQ(3, chip.chip.ioapic.id);
	ASSERT_EQ(0, lapic_get_state(self->vcpu, &lapic));
	ASSERT_EQ(0, lapic_set_state(vcpu, &lapic));
	ASSERT_EQ(0, irq_ioctl_set_irqchip(other, &chip));

	EXPECT_EQ(0x03000000, ioapic_get(other, REG_ID));
	EXPECT_EQ(0x61 | LEVEL | REMOTE_IRR, ioapic_get(other, LOW(9)));
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x61, irq_ack(vcpu));		/* the line is high still */
	down(other, 9);
	apic_write(vcpu, APIC_EOI, 0);
	ioapic_put(other, LOW(10), 0x62 | LEVEL);
	EXPECT_EQ(0x62, irq_ack(vcpu));
	down(other, 10);
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x51, irq_ack(vcpu));
	EXPECT_EQ(1, up(other, 5));
	world_free(other);
}

TEST_F(ioapic, a_restored_level_that_was_not_sent_yet_is_sent)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	program(self->vm, 9, 0, 0x61 | LEVEL);
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &chip));
	chip.chip.ioapic.irr = 1 << 9;
	ASSERT_EQ(0, irq_ioctl_set_irqchip(self->vm, &chip));
	EXPECT_EQ(0x61, serve(self->vcpu));
	/* and the line stays user space's to lower */
	ioapic_set_irq(self->vm, 9, IRQ_SOURCE_RESAMPLE, true);
	ioapic_set_irq(self->vm, 9, IRQ_SOURCE_RESAMPLE, false);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(0x61, irq_pending(self->vcpu));
	down(self->vm, 9);
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(ioapic, a_restored_edge_that_was_not_sent_yet_is_sent_once)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	program(self->vm, 5, 0, 0x51);
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &chip));
	chip.chip.ioapic.irr = 1 << 5;
	ASSERT_EQ(0, irq_ioctl_set_irqchip(self->vm, &chip));
	EXPECT_EQ(0x51, serve(self->vcpu));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &chip));
	EXPECT_EQ(0, chip.chip.ioapic.irr);
}

/* ---- routes ---- */

static struct kvm_irq_routing_entry to_chip(u32 gsi, u32 chip, u32 pin)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static struct kvm_irq_routing_entry to_msi(u32 gsi, u32 lo, u32 hi, u32 data)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = lo, .address_hi = hi, .data = data },
	};
}

TEST_F(ioapic, by_default_a_gsi_is_the_pin_of_its_number)
{
	unsigned int gsi;

	outb(self->vm, 0x21, 0);
	for (gsi = 0; gsi < IOAPIC_PINS; gsi++) {
		program(self->vm, gsi, 0, 0x40 + gsi);
		EXPECT_LE(1, irq_set_gsi(self->vm, gsi, IRQ_SOURCE_USER, true));
		EXPECT_TRUE(apic_bit(self->vcpu, APIC_IRR, 0x40 + gsi));
	}
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(-1, irq_set_gsi(self->vm, IOAPIC_PINS, IRQ_SOURCE_USER, true));
}

TEST_F(ioapic, a_gsi_masked_here_may_be_delivered_there)
{
	program(self->vm, 4, 0, 0x44);
	EXPECT_EQ(1, irq_set_gsi(self->vm, 4, IRQ_SOURCE_USER, true));
	program(self->vm, 3, 0, 0x43 | MASKED);
	EXPECT_EQ(-1, irq_set_gsi(self->vm, 3, IRQ_SOURCE_USER, true));
}

TEST_F(ioapic, routes_replace_the_default)
{
	struct kvm_irq_routing_entry entries[] = {
		to_msi(30, 0xfee01000, 0, 0x91),
		to_chip(0, KVM_IRQCHIP_IOAPIC, 2),
		to_chip(8, KVM_IRQCHIP_PIC_SLAVE, 0),
		to_chip(8, KVM_IRQCHIP_IOAPIC, 8),
		to_chip(0, KVM_IRQCHIP_PIC_MASTER, 0),
	};

	ASSERT_EQ(0, route_set(self->vm, entries, ARRAY_SIZE(entries)));
	program(self->vm, 2, 0, 0x32);
	program(self->vm, 8, 2, 0x38);
	EXPECT_EQ(1, irq_set_gsi(self->vm, 0, IRQ_SOURCE_USER, true));
	EXPECT_EQ(0x32, serve(self->vcpu));
	outb(self->vm, 0xa1, 0);
	EXPECT_EQ(2, irq_set_gsi(self->vm, 8, IRQ_SOURCE_USER, true));
	EXPECT_EQ(0x38, serve(self->vm->vcpus[2]));
	EXPECT_EQ(1, irq_set_gsi(self->vm, 30, IRQ_SOURCE_USER, true));
	EXPECT_EQ(0x91, serve(self->vm->vcpus[1]));
	EXPECT_EQ(-1, irq_set_gsi(self->vm, 30, IRQ_SOURCE_USER, false));
	EXPECT_EQ(-1, irq_set_gsi(self->vm, 4, IRQ_SOURCE_USER, true));
	EXPECT_EQ(-1, irq_set_gsi(self->vm, 31, IRQ_SOURCE_USER, true));
	/* and can all be taken away */
	ASSERT_EQ(0, route_set(self->vm, NULL, 0));
	EXPECT_EQ(-1, irq_set_gsi(self->vm, 0, IRQ_SOURCE_USER, true));
}

TEST_F(ioapic, an_acknowledgement_finds_the_gsi_by_the_routes)
{
	struct kvm_irq_routing_entry entry = to_chip(20, KVM_IRQCHIP_IOAPIC, 9);

	ASSERT_EQ(0, route_set(self->vm, &entry, 1));
	world_resampled_gsi = 20;
	program(self->vm, 9, 0, 0x61 | LEVEL);
	EXPECT_EQ(1, irq_set_gsi(self->vm, 20, IRQ_SOURCE_RESAMPLE, true));
	EXPECT_EQ(0x61, serve(self->vcpu));
	EXPECT_EQ(1, world_resample_acks);
}

TEST_F(ioapic, routes_that_cannot_be_are_refused_and_change_nothing)
{
	struct kvm_irq_routing_entry bad[][2] = {
		{ to_chip(0, KVM_NR_IRQCHIPS, 0) },
		{ to_chip(0, KVM_IRQCHIP_IOAPIC, IOAPIC_PINS) },
		{ to_chip(0, KVM_IRQCHIP_PIC_MASTER, 8) },
		{ to_chip(0, KVM_IRQCHIP_PIC_SLAVE, 8) },
		{ to_chip(IRQ_MAX_ROUTES, KVM_IRQCHIP_IOAPIC, 0) },
		{ { .gsi = 0, .type = 99 } },
		{ { .gsi = 0, .type = KVM_IRQ_ROUTING_MSI, .flags = KVM_MSI_VALID_DEVID } },
	};
	struct kvm_irq_routing_entry twice[] = {
		to_chip(1, KVM_IRQCHIP_IOAPIC, 1), to_chip(1, KVM_IRQCHIP_IOAPIC, 2),
	};
	struct kvm_irq_routing_entry mixed[] = {
		to_chip(1, KVM_IRQCHIP_IOAPIC, 1), to_msi(1, 0xfee00000, 0, 0x40),
	};
	struct kvm_irq_routing_entry msi = to_msi(1, 0xfee00000, 0, 0x40);
	struct vm *none = world_vm(IRQCHIP_NONE, 0), *split = world_vm(IRQCHIP_SPLIT, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, route_set(self->vm, bad[i], 1));
	EXPECT_EQ(-EINVAL, route_set(self->vm, twice, 2));
	EXPECT_EQ(-EINVAL, route_set(self->vm, mixed, 2));
	EXPECT_EQ(-EINVAL, route_set(self->vm, NULL, IRQ_MAX_ROUTES + 1));
	EXPECT_EQ(-EINVAL, route_set(none, &msi, 1));
	EXPECT_EQ(-EINVAL, route_set(split, twice, 1));
	EXPECT_EQ(0, route_set(split, &msi, 1));
	program(self->vm, 9, 0, 0x61);
	EXPECT_EQ(1, irq_set_gsi(self->vm, 9, IRQ_SOURCE_USER, true));
	world_free(none);
	world_free(split);
}

TEST_F(ioapic, an_msi_says_where_and_how)
{
	struct kvm_msi msi = { .address_lo = 0xfee02000, .data = 0x71 };

	EXPECT_EQ(1, irq_send_msi(self->vm, &msi));
	EXPECT_EQ(0x71, serve(self->vm->vcpus[2]));
	msi.data = 0x71 | APIC_DM_NMI;
	EXPECT_EQ(1, irq_send_msi(self->vm, &msi));
	EXPECT_EQ(1, self->vm->vcpus[2]->nmis);
	msi.address_lo = 0xfee09000;
	EXPECT_EQ(0, irq_send_msi(self->vm, &msi));
	msi.flags = KVM_MSI_VALID_DEVID;
	EXPECT_EQ(-EINVAL, irq_send_msi(self->vm, &msi));
}

TEST_F(ioapic, an_msi_to_a_disabled_apic_is_blocked)
{
	struct kvm_msi msi = { .address_lo = 0xfee02000, .data = 0x71 };

	apic_write(self->vm->vcpus[2], APIC_SPIV, 0xff);
	EXPECT_EQ(0, irq_send_msi(self->vm, &msi));
}

TEST_F(ioapic, an_msi_has_a_wide_destination_only_if_user_space_said_so)
{
	struct kvm_msi msi = { .address_lo = 0xfee02000, .address_hi = 0x100, .data = 0x71 };
	struct vcpu *far = world_add_vcpu(self->vm, 0x102);

	ASSERT_EQ(0, lapic_set_base(far, far->apic_base | X2APIC_ENABLE, false));
	ASSERT_EQ(0, lapic_msr_write(far, APIC_BASE_MSR + 0xf, APIC_SPIV_APIC_ENABLED | 0xff));
	EXPECT_EQ(1, irq_send_msi(self->vm, &msi));
	EXPECT_EQ(0x71, serve(self->vm->vcpus[2]));
	self->vm->x2apic_api = KVM_X2APIC_API_USE_32BIT_IDS;
	EXPECT_EQ(1, irq_send_msi(self->vm, &msi));
	EXPECT_EQ(0x71, irq_pending(far));
	EXPECT_EQ(0x71, irq_ack(far));
	EXPECT_EQ(0, lapic_msr_write(far, APIC_BASE_MSR + (APIC_EOI >> 4), 0));
	/* everybody, by 32 bits */
	msi.address_lo = 0xfeeff000;
	msi.address_hi = 0xffffff00;
	self->vm->x2apic_api |= KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	EXPECT_LE(1, irq_send_msi(self->vm, &msi));
	EXPECT_EQ(0x71, irq_pending(far));
	msi.address_hi = 0x101;
	EXPECT_EQ(-EINVAL, irq_send_msi(self->vm, &msi));
}

TEST_F(ioapic, a_redirection_hint_picks_one_of_many)
{
	struct kvm_msi msi = { .address_lo = 0xfee07000 | 1 << 2 | 1 << 3, .data = 0x71 };
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		apic_write(self->vm->vcpus[i], APIC_LDR, 1u << (24 + i));
	EXPECT_EQ(1, irq_send_msi(self->vm, &msi));
	msi.address_lo &= ~(1 << 3);
	msi.data = 0x72;
	EXPECT_EQ(NR_VCPUS, irq_send_msi(self->vm, &msi));
}

TEST(split_irqchip_tells_user_space_the_eoi_of_a_level)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x71 | LEVEL };
	struct vm *vm = world_vm(IRQCHIP_SPLIT, 1);
	struct vcpu *vcpu = vm->vcpus[0];

	apic_enable(vcpu);
	EXPECT_EQ(-1, irq_set_gsi(vm, 4, IRQ_SOURCE_USER, true));
	EXPECT_EQ(1, irq_send_msi(vm, &msi));
	EXPECT_EQ(0x71, irq_ack(vcpu));
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_TRUE(vcpu_take_request(vcpu, REQ_EOI_EXIT));
	EXPECT_EQ(0x71, vcpu->eoi_exit_vector);
	msi.data = 0x72;
	irq_send_msi(vm, &msi);
	irq_ack(vcpu);
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_FALSE(vcpu_take_request(vcpu, REQ_EOI_EXIT));
	world_free(vm);
}

TEST(split_irqchip_takes_an_extint_of_user_space)
{
	struct vm *vm = world_vm(IRQCHIP_SPLIT, 1);
	struct vcpu *vcpu = vm->vcpus[0];

	EXPECT_TRUE(irq_wants_user_extint(vcpu));
	EXPECT_EQ(0, irq_set_user_extint(vcpu, 0x20));
	EXPECT_EQ(-EEXIST, irq_set_user_extint(vcpu, 0x21));
	EXPECT_FALSE(irq_wants_user_extint(vcpu));
	EXPECT_EQ(0x20, irq_ack(vcpu));
	EXPECT_EQ(-1, irq_pending(vcpu));
	apic_enable(vcpu);
	apic_write(vcpu, APIC_LVT0, APIC_LVT_MASKED);
	EXPECT_FALSE(irq_wants_user_extint(vcpu));
	world_free(vm);
}

TEST_HARNESS_MAIN
