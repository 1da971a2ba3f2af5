// SPDX-License-Identifier: GPL-2.0
/* irq/pic.c against the data sheet: 8259A "Programmable Interrupt Controller". */
#include <asm/apicdef.h>
#include "irq_world.h"
#include "irq/chips.h"
#include "kselftest_harness.h"

enum { MASTER = 0x20, SLAVE = 0xa0, ELCR = 0x4d0 };
enum { BASE_MASTER = 0x30, BASE_SLAVE = 0x38 };
enum { EOI = 0x20, SPECIFIC_EOI = 0x60, ROTATE_EOI = 0xa0, ROTATE_SPECIFIC = 0xe0,
	SET_PRIORITY = 0xc0, ROTATE_AUTO_ON = 0x80, ROTATE_AUTO_OFF = 0x00 };
enum { READ_IRR = 0x0a, READ_ISR = 0x0b, SPECIAL_MASK_ON = 0x68, SPECIAL_MASK_OFF = 0x48 };
enum { ICW4_8086 = 1, ICW4_AUTO_EOI = 2, ICW4_SFNM = 0x10 };

FIXTURE(pic) {
	struct vm *vm;
	struct vcpu *vcpu;
};

static void init_chip(struct vm *vm, u16 port, u8 base, u8 icw4)
{
	outb(vm, port, 0x11);
	outb(vm, port + 1, base);
	outb(vm, port + 1, port == MASTER ? 4 : 2);
	outb(vm, port + 1, icw4);
}

FIXTURE_SETUP(pic)
{
	self->vm = world_vm(IRQCHIP_KERNEL, 1);
	self->vcpu = self->vm->vcpus[0];
	init_chip(self->vm, MASTER, BASE_MASTER, ICW4_8086);
	init_chip(self->vm, SLAVE, BASE_SLAVE, ICW4_8086);
}

FIXTURE_TEARDOWN(pic)
{
	world_free(self->vm);
}

static int line_up(struct vm *vm, unsigned int pin)
{
	return pic_set_irq(vm, pin, IRQ_SOURCE_USER, true);
}

static int line_down(struct vm *vm, unsigned int pin)
{
	return pic_set_irq(vm, pin, IRQ_SOURCE_USER, false);
}

static int pulse(struct vm *vm, unsigned int pin)
{
	int ret = line_up(vm, pin);

	line_down(vm, pin);
	return ret;
}

static u8 irr(struct vm *vm, u16 port)
{
	outb(vm, port, READ_IRR);
	return inb(vm, port);
}

static u8 isr(struct vm *vm, u16 port)
{
	outb(vm, port, READ_ISR);
	return inb(vm, port);
}

TEST_F(pic, an_edge_is_latched_until_inta)
{
	EXPECT_FALSE(pic_pending(self->vm));
	EXPECT_EQ(1, pulse(self->vm, 4));
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(1 << 4, irr(self->vm, MASTER));
	EXPECT_EQ(BASE_MASTER + 4, pic_ack(self->vm));
	EXPECT_EQ(0, irr(self->vm, MASTER));
	EXPECT_EQ(1 << 4, isr(self->vm, MASTER));
	EXPECT_FALSE(pic_pending(self->vm));
}

TEST_F(pic, a_second_edge_before_inta_is_coalesced)
{
	EXPECT_EQ(1, pulse(self->vm, 4));
	EXPECT_EQ(0, pulse(self->vm, 4));
	pic_ack(self->vm);
	EXPECT_EQ(1, pulse(self->vm, 4));
}

TEST_F(pic, a_line_that_stays_high_gives_one_edge)
{
	EXPECT_EQ(1, line_up(self->vm, 4));
	pic_ack(self->vm);
	outb(self->vm, MASTER, EOI);
	EXPECT_FALSE(pic_pending(self->vm));
	EXPECT_EQ(0, line_up(self->vm, 4));
	EXPECT_FALSE(pic_pending(self->vm));
	line_down(self->vm, 4);
	EXPECT_EQ(1, line_up(self->vm, 4));
	EXPECT_TRUE(pic_pending(self->vm));
}

TEST_F(pic, the_lower_number_goes_first)
{
	pulse(self->vm, 6);
	pulse(self->vm, 1);
	EXPECT_EQ(BASE_MASTER + 1, pic_ack(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 6, pic_ack(self->vm));
}

TEST_F(pic, service_is_nested)
{
	pulse(self->vm, 4);
	pic_ack(self->vm);
	pulse(self->vm, 5);
	EXPECT_FALSE(pic_pending(self->vm));
	pulse(self->vm, 3);
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(BASE_MASTER + 3, pic_ack(self->vm));
	EXPECT_EQ(1 << 3 | 1 << 4, isr(self->vm, MASTER));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(1 << 4, isr(self->vm, MASTER));
	EXPECT_FALSE(pic_pending(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 5, pic_ack(self->vm));
}

TEST_F(pic, a_specific_eoi_ends_what_it_names)
{
	pulse(self->vm, 4);
	pic_ack(self->vm);
	pulse(self->vm, 3);
	pic_ack(self->vm);
	outb(self->vm, MASTER, SPECIFIC_EOI | 4);
	EXPECT_EQ(1 << 3, isr(self->vm, MASTER));
}

TEST_F(pic, rotation_on_eoi_makes_the_served_one_last)
{
	pulse(self->vm, 4);
	pic_ack(self->vm);
	outb(self->vm, MASTER, ROTATE_EOI);
	EXPECT_EQ(0, isr(self->vm, MASTER));
	pulse(self->vm, 4);
	pulse(self->vm, 0);
	pulse(self->vm, 5);
	EXPECT_EQ(BASE_MASTER + 5, pic_ack(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 0, pic_ack(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 4, pic_ack(self->vm));
}

TEST_F(pic, rotation_can_name_the_one_that_becomes_last)
{
	pulse(self->vm, 6);
	pic_ack(self->vm);
	outb(self->vm, MASTER, ROTATE_SPECIFIC | 6);
	EXPECT_EQ(0, isr(self->vm, MASTER));
	pulse(self->vm, 6);
	pulse(self->vm, 7);
	EXPECT_EQ(BASE_MASTER + 7, pic_ack(self->vm));
}

TEST_F(pic, priorities_can_be_set)
{
	outb(self->vm, MASTER, SET_PRIORITY | 3);	/* 3 is last, 4 is first */
	pulse(self->vm, 3);
	pulse(self->vm, 0);
	pulse(self->vm, 4);
	EXPECT_EQ(BASE_MASTER + 4, pic_ack(self->vm));
	pulse(self->vm, 7);
	EXPECT_FALSE(pic_pending(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 7, pic_ack(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 0, pic_ack(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 3, pic_ack(self->vm));
}

TEST_F(pic, a_masked_request_waits_for_its_mask)
{
	outb(self->vm, MASTER + 1, 1 << 4);
	EXPECT_EQ(1 << 4, inb(self->vm, MASTER + 1));
	EXPECT_EQ(-1, pulse(self->vm, 4));
	EXPECT_FALSE(pic_pending(self->vm));
	EXPECT_EQ(1 << 4, irr(self->vm, MASTER));
	outb(self->vm, MASTER + 1, 0);
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(BASE_MASTER + 4, pic_ack(self->vm));
}

TEST_F(pic, the_slave_comes_through_ir2)
{
	pulse(self->vm, 12);
	EXPECT_EQ(1 << 2, irr(self->vm, MASTER));
	pulse(self->vm, 3);
	EXPECT_EQ(BASE_SLAVE + 4, pic_ack(self->vm));
	EXPECT_EQ(1 << 2, isr(self->vm, MASTER));
	EXPECT_EQ(1 << 4, isr(self->vm, SLAVE));
	/* both have to be told */
	outb(self->vm, SLAVE, EOI);
	EXPECT_FALSE(pic_pending(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 3, pic_ack(self->vm));
}

TEST_F(pic, a_second_slave_request_follows_the_first)
{
	pulse(self->vm, 12);
	pulse(self->vm, 14);
	EXPECT_EQ(BASE_SLAVE + 4, pic_ack(self->vm));
	outb(self->vm, SLAVE, EOI);
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(BASE_SLAVE + 6, pic_ack(self->vm));
}

TEST_F(pic, inta_without_a_request_gives_ir7_and_no_service)
{
	outb(self->vm, ELCR, 1 << 5);
	line_up(self->vm, 5);
	EXPECT_TRUE(pic_pending(self->vm));
	line_down(self->vm, 5);
	EXPECT_FALSE(pic_pending(self->vm));
	EXPECT_EQ(BASE_MASTER + 7, pic_ack(self->vm));
	EXPECT_EQ(0, isr(self->vm, MASTER));
}

TEST_F(pic, a_slaves_request_that_goes_takes_the_masters_with_it)
{
	outb(self->vm, ELCR + 1, 1 << 3);
	line_up(self->vm, 11);
	EXPECT_TRUE(pic_pending(self->vm));
	line_down(self->vm, 11);
	EXPECT_FALSE(pic_pending(self->vm));
	EXPECT_EQ(BASE_MASTER + 7, pic_ack(self->vm));
	EXPECT_EQ(0, isr(self->vm, MASTER));
	EXPECT_EQ(0, isr(self->vm, SLAVE));
}

TEST_F(pic, a_level_requests_as_long_as_it_is_high)
{
	outb(self->vm, ELCR, 1 << 5);
	EXPECT_EQ(1, line_up(self->vm, 5));
	EXPECT_EQ(BASE_MASTER + 5, pic_ack(self->vm));
	EXPECT_EQ(1 << 5, irr(self->vm, MASTER));
	EXPECT_FALSE(pic_pending(self->vm));
	outb(self->vm, MASTER, EOI);
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(BASE_MASTER + 5, pic_ack(self->vm));
	line_down(self->vm, 5);
	outb(self->vm, MASTER, EOI);
	EXPECT_FALSE(pic_pending(self->vm));
}

TEST_F(pic, an_edge_from_before_is_no_request_of_a_level)
{
	line_up(self->vm, 5);
	pulse(self->vm, 6);
	outb(self->vm, ELCR, 1 << 5 | 1 << 6);
	EXPECT_EQ(1 << 5, irr(self->vm, MASTER));
	line_down(self->vm, 5);
	EXPECT_FALSE(pic_pending(self->vm));
}

TEST_F(pic, elcr_leaves_the_timer_keyboard_cascade_rtc_and_fpu_on_edges)
{
	outb(self->vm, ELCR, 0xff);
	outb(self->vm, ELCR + 1, 0xff);
	EXPECT_EQ(0xf8, inb(self->vm, ELCR));
	EXPECT_EQ(0xde, inb(self->vm, ELCR + 1));
}

TEST_F(pic, auto_eoi_leaves_nothing_in_service)
{
	init_chip(self->vm, MASTER, BASE_MASTER, ICW4_8086 | ICW4_AUTO_EOI);
	pulse(self->vm, 1);
	pulse(self->vm, 4);
	EXPECT_EQ(BASE_MASTER + 1, pic_ack(self->vm));
	EXPECT_EQ(0, isr(self->vm, MASTER));
	EXPECT_EQ(BASE_MASTER + 4, pic_ack(self->vm));
}

TEST_F(pic, auto_eoi_rotates_if_told)
{
	init_chip(self->vm, MASTER, BASE_MASTER, ICW4_8086 | ICW4_AUTO_EOI);
	outb(self->vm, MASTER, ROTATE_AUTO_ON);
	pulse(self->vm, 3);
	pic_ack(self->vm);
	pulse(self->vm, 3);
	pulse(self->vm, 6);
	EXPECT_EQ(BASE_MASTER + 6, pic_ack(self->vm));
	EXPECT_EQ(BASE_MASTER + 3, pic_ack(self->vm));
	pulse(self->vm, 6);
	EXPECT_EQ(BASE_MASTER + 6, pic_ack(self->vm));
	outb(self->vm, MASTER, ROTATE_AUTO_OFF);
	pulse(self->vm, 0);
	EXPECT_EQ(BASE_MASTER + 0, pic_ack(self->vm));	/* 7, 0, 1: rotated by the ack of 6 */
	pulse(self->vm, 7);
	EXPECT_EQ(BASE_MASTER + 7, pic_ack(self->vm));	/* and not by that of 0 */
}

TEST_F(pic, special_mask_mode_lets_lower_ones_in)
{
	pulse(self->vm, 3);
	pic_ack(self->vm);
	pulse(self->vm, 6);
	EXPECT_FALSE(pic_pending(self->vm));
	outb(self->vm, MASTER + 1, 1 << 3);
	outb(self->vm, MASTER, SPECIAL_MASK_ON);
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(BASE_MASTER + 6, pic_ack(self->vm));
	/* "a non-specific EOI will not clear an IS bit that is masked" */
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(1 << 3, isr(self->vm, MASTER));
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(1 << 3, isr(self->vm, MASTER));
	outb(self->vm, MASTER, SPECIAL_MASK_OFF);
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(0, isr(self->vm, MASTER));
}

TEST_F(pic, special_fully_nested_mode_lets_the_slave_nest)
{
	pulse(self->vm, 12);
	pic_ack(self->vm);
	pulse(self->vm, 9);
	EXPECT_FALSE(pic_pending(self->vm));

	init_chip(self->vm, MASTER, BASE_MASTER, ICW4_8086 | ICW4_SFNM);
	init_chip(self->vm, SLAVE, BASE_SLAVE, ICW4_8086);
	pulse(self->vm, 12);
	EXPECT_EQ(BASE_SLAVE + 4, pic_ack(self->vm));
	pulse(self->vm, 9);
	EXPECT_TRUE(pic_pending(self->vm));
	EXPECT_EQ(BASE_SLAVE + 1, pic_ack(self->vm));
	EXPECT_EQ(1 << 4 | 1 << 1, isr(self->vm, SLAVE));
}

TEST_F(pic, icw1_starts_over)
{
	outb(self->vm, MASTER + 1, 0xf0);
	pulse(self->vm, 1);
	pic_ack(self->vm);
	pulse(self->vm, 3);
	outb(self->vm, MASTER, SET_PRIORITY | 3);
	outb(self->vm, MASTER, 0x11);
	outb(self->vm, MASTER + 1, 0x57);	/* the low three bits are not its */
	outb(self->vm, MASTER + 1, 4);
	outb(self->vm, MASTER + 1, ICW4_8086);
	EXPECT_EQ(0, inb(self->vm, MASTER + 1));
	EXPECT_EQ(0, isr(self->vm, MASTER));
	EXPECT_EQ(0, irr(self->vm, MASTER));
	pulse(self->vm, 4);
	pulse(self->vm, 0);
	EXPECT_EQ(0x50, pic_ack(self->vm));
}

TEST_F(pic, icw4_is_taken_only_when_icw1_announced_it)
{
	outb(self->vm, MASTER, 0x10);
	outb(self->vm, MASTER + 1, BASE_MASTER);
	outb(self->vm, MASTER + 1, 4);
	outb(self->vm, MASTER + 1, 0xaa);	/* OCW1 already */
	EXPECT_EQ(0xaa, inb(self->vm, MASTER + 1));
}

TEST_F(pic, a_line_is_the_or_of_its_sources)
{
	outb(self->vm, ELCR, 1 << 5);
	pic_set_irq(self->vm, 5, IRQ_SOURCE_USER, true);
	pic_set_irq(self->vm, 5, IRQ_SOURCE_RESAMPLE, true);
	pic_set_irq(self->vm, 5, IRQ_SOURCE_USER, false);
	EXPECT_TRUE(pic_pending(self->vm));
	pic_set_irq(self->vm, 5, IRQ_SOURCE_RESAMPLE, false);
	EXPECT_FALSE(pic_pending(self->vm));
}

TEST_F(pic, an_eoi_is_told_to_who_listens_and_lowers_the_line)
{
	world_resampled_gsi = 11;
	outb(self->vm, ELCR + 1, 1 << 3);
	irq_set_gsi(self->vm, 11, IRQ_SOURCE_RESAMPLE, true);
	EXPECT_EQ(BASE_SLAVE + 3, pic_ack(self->vm));
	EXPECT_EQ(0, world_resample_acks);
	outb(self->vm, SLAVE, EOI);
	EXPECT_EQ(1, world_resample_acks);
	outb(self->vm, MASTER, EOI);
	EXPECT_EQ(0, irr(self->vm, SLAVE));
	EXPECT_FALSE(pic_pending(self->vm));
}

/* ---- INTR and the processor ---- */

TEST_F(pic, intr_reaches_the_bsp_through_lint0_as_after_reset)
{
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	pulse(self->vm, 4);
	EXPECT_EQ(1, self->vcpu->kicks);
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
	EXPECT_LE(0, irq_pending(self->vcpu));
	EXPECT_EQ(BASE_MASTER + 4, irq_ack(self->vcpu));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	EXPECT_EQ(-1, irq_ack(self->vcpu));
}

TEST_F(pic, intr_does_not_pass_a_masked_lint0)
{
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED | APIC_DM_EXTINT);
	pulse(self->vm, 4);
	EXPECT_EQ(0, self->vcpu->kicks);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	apic_write(self->vcpu, APIC_LVT0, APIC_DM_EXTINT);
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
	EXPECT_EQ(BASE_MASTER + 4, irq_ack(self->vcpu));
}

TEST_F(pic, intr_is_the_processors_pin_when_the_apic_is_off)
{
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
	ASSERT_EQ(0, lapic_set_base(self->vcpu, self->vcpu->apic_base & ~XAPIC_ENABLE, false));
	pulse(self->vm, 4);
	EXPECT_EQ(BASE_MASTER + 4, irq_ack(self->vcpu));
}

TEST_F(pic, intr_that_waits_is_looked_for_when_the_apic_goes_off)
{
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
	pulse(self->vm, 4);
	vcpu_take_request(self->vcpu, REQ_EVENT);
	ASSERT_EQ(0, lapic_set_base(self->vcpu, self->vcpu->apic_base & ~XAPIC_ENABLE, false));
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
}

TEST_F(pic, intr_can_be_a_fixed_vector_or_an_nmi)
{
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_DM_FIXED | 0x61);
	pulse(self->vm, 4);
	EXPECT_EQ(0x61, irq_pending(self->vcpu));
	EXPECT_EQ(0x61, irq_ack(self->vcpu));
	pic_ack(self->vm);
	outb(self->vm, MASTER, EOI);
	apic_write(self->vcpu, APIC_LVT0, APIC_DM_NMI);
	pulse(self->vm, 4);
	EXPECT_EQ(1, self->vcpu->nmis);
}

TEST_F(pic, a_pic_interrupt_passes_whatever_the_tpr_says)
{
	lapic_set_cr8(self->vcpu, 15);
	pulse(self->vm, 4);
	EXPECT_EQ(BASE_MASTER + 4, irq_ack(self->vcpu));
}

/* ---- state ---- */

TEST_F(pic, a_restored_pair_goes_on_where_the_saved_one_stood)
{
	struct kvm_irqchip master = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	struct kvm_irqchip slave = { .chip_id = KVM_IRQCHIP_PIC_SLAVE };
	struct vm *other = world_vm(IRQCHIP_KERNEL, 1);

	outb(self->vm, ELCR, 1 << 5);
	line_up(self->vm, 5);
	pulse(self->vm, 1);
	pulse(self->vm, 12);
	EXPECT_EQ(BASE_MASTER + 1, pic_ack(self->vm));
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &master));
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &slave));
	ASSERT_EQ(0, irq_ioctl_set_irqchip(other, &slave));
	ASSERT_EQ(0, irq_ioctl_set_irqchip(other, &master));

	EXPECT_FALSE(pic_pending(other));
	outb(other, MASTER, EOI);
	EXPECT_EQ(BASE_SLAVE + 4, pic_ack(other));
	outb(other, SLAVE, EOI);
	outb(other, MASTER, EOI);
	EXPECT_EQ(BASE_MASTER + 5, pic_ack(other));
	line_down(other, 5);
	outb(other, MASTER, EOI);
	EXPECT_FALSE(pic_pending(other));
	world_free(other);
}

TEST_F(pic, user_space_cannot_restore_what_the_chip_cannot_hold)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	memset(&chip.chip.pic, 0xff, sizeof(chip.chip.pic));
	ASSERT_EQ(0, irq_ioctl_set_irqchip(self->vm, &chip));
	ASSERT_EQ(0, irq_ioctl_get_irqchip(self->vm, &chip));
	EXPECT_EQ(0xf8, chip.chip.pic.irq_base);
	EXPECT_EQ(0xf8, chip.chip.pic.elcr);
	EXPECT_GT(8, chip.chip.pic.priority_add);
	EXPECT_GT(4, chip.chip.pic.init_state);
}

TEST(irqchip_ioctls_name_what_is_wrong)
{
	struct vm *none = world_vm(IRQCHIP_NONE, 0), *vm = world_vm(IRQCHIP_KERNEL, 0);
	struct vm *split = world_vm(IRQCHIP_SPLIT, 0), *late = world_vm(IRQCHIP_NONE, 1);
	struct kvm_irqchip chip = { .chip_id = KVM_NR_IRQCHIPS };

	EXPECT_EQ(-ENXIO, irq_ioctl_get_irqchip(none, &chip));
	EXPECT_EQ(-ENXIO, irq_ioctl_set_irqchip(split, &chip));
	EXPECT_EQ(-EINVAL, irq_ioctl_get_irqchip(vm, &chip));
	EXPECT_EQ(-EINVAL, irq_ioctl_set_irqchip(vm, &chip));
	EXPECT_EQ(-EEXIST, irq_create_irqchip(vm));
	EXPECT_EQ(-EEXIST, irq_create_irqchip(split));
	EXPECT_EQ(-EEXIST, irq_create_split(vm, 24));
	EXPECT_EQ(-EINVAL, irq_create_irqchip(late));
	EXPECT_EQ(-EEXIST, irq_create_split(late, 24));
	EXPECT_EQ(-EINVAL, irq_create_split(none, IRQ_MAX_ROUTES + 1));
	world_free(none);
	world_free(vm);
	world_free(split);
	world_free(late);
}

TEST_HARNESS_MAIN
