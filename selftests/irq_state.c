// SPDX-License-Identifier: GPL-2.0
/* The interrupt controllers' state taken out, put back, and carried to another VM. */
#include "test.h"

enum { PIC_BASE = 0x20, VECTOR = 0x51, BIT_X2APIC = 1 << 21, PIT_CH0 = 0x40, PIT_MODE = 0x43 };

FIXTURE(state) {
	struct vm vm, other_vm;
	struct vcpu *vcpu, *other;
};

FIXTURE_SETUP(state)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP | VM_PIT);
	self->other = vm_create_one(&self->other_vm, VM_IRQCHIP | VM_PIT);
	guest_handlers[VECTOR] = guest_eoi_xapic;
	guest_handlers[PIC_BASE + 4] = guest_eoi_pic;
}

FIXTURE_TEARDOWN(state)
{
	vm_destroy(&self->other_vm);
	vm_destroy(&self->vm);
}

static struct kvm_lapic_state get_lapic(struct vcpu *vcpu)
{
	struct kvm_lapic_state state;

	kvm_do(vcpu->fd, KVM_GET_LAPIC, &state);
	return state;
}

static void set_lapic(struct vcpu *vcpu, struct kvm_lapic_state *state)
{
	kvm_do(vcpu->fd, KVM_SET_LAPIC, state);
}

static struct kvm_irqchip get_chip(struct vm *vm, u32 id)
{
	struct kvm_irqchip chip = { .chip_id = id };

	kvm_do(vm->fd, KVM_GET_IRQCHIP, &chip);
	return chip;
}

/* ---- local APIC ---- */

static u64 set_up_lapic(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_TASKPRI, 0x40);
	xapic_write(APIC_LDR, 0x21000000);
	xapic_write(APIC_LVT1, APIC_DM_NMI | APIC_LVT_MASKED);
	xapic_write(APIC_TDCR, APIC_TDR_DIV_16);
	return 0;
}

TEST_F(state, lapic_registers_are_seen_from_outside)
{
	struct kvm_lapic_state state;

	vcpu_call(self->vcpu, set_up_lapic, 0);
	state = get_lapic(self->vcpu);
	EXPECT_EQ(0x40, xapic_state_reg(&state, APIC_TASKPRI));
	EXPECT_EQ(0x21000000, xapic_state_reg(&state, APIC_LDR));
	EXPECT_EQ(APIC_DM_NMI | APIC_LVT_MASKED, xapic_state_reg(&state, APIC_LVT1));
	EXPECT_EQ(APIC_TDR_DIV_16, xapic_state_reg(&state, APIC_TDCR));
	EXPECT_EQ(APIC_SPIV_ENABLED | 0xff, xapic_state_reg(&state, APIC_SPIV));
}

TEST_F(state, lapic_state_set_is_the_state_got)
{
	struct kvm_lapic_state state, back;

	vcpu_call(self->vcpu, set_up_lapic, 0);
	state = get_lapic(self->vcpu);
	set_lapic(self->other, &state);
	back = get_lapic(self->other);
	EXPECT_EQ(0, memcmp(&state, &back, sizeof(state)));
}

static u64 pending_vector(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_ICR, APIC_DEST_SELF | VECTOR);
	guest_sync(1);
	return 0;
}

static u64 open_window(u64 arg)
{
	irq_window();
	return this_cpu()->irqs[VECTOR];
}

TEST_F(state, an_interrupt_pending_in_one_vm_is_delivered_in_another)
{
	struct kvm_lapic_state state;

	vcpu_start(self->vcpu, pending_vector, 0);
	vcpu_sync(self->vcpu);
	state = get_lapic(self->vcpu);
	EXPECT_EQ(1u << (VECTOR & 31), xapic_state_reg(&state, APIC_IRR + (VECTOR >> 5) * 16));
	set_lapic(self->other, &state);
	EXPECT_EQ(1, vcpu_call(self->other, open_window, 0));
}

static u64 start_timer(u64 mode)
{
	xapic_enable();
	xapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	xapic_write(APIC_LVTT, mode | VECTOR);
	xapic_write(APIC_TMICT, 3000000);
	return 0;
}

static u64 wait_for_timer(u64 count)
{
	wait_for_vector(VECTOR, count);
	return 1;
}

TEST_F(state, a_one_shot_timer_goes_on_in_another_vm)
{
	struct kvm_lapic_state state;

	vcpu_call(self->vcpu, start_timer, APIC_LVT_ONESHOT);
	state = get_lapic(self->vcpu);
	set_lapic(self->other, &state);
	EXPECT_EQ(1, vcpu_call(self->other, wait_for_timer, 1));
}

TEST_F(state, a_periodic_timer_goes_on_in_another_vm)
{
	struct kvm_lapic_state state;

	vcpu_call(self->vcpu, start_timer, APIC_LVT_PERIODIC);
	state = get_lapic(self->vcpu);
	set_lapic(self->other, &state);
	EXPECT_EQ(1, vcpu_call(self->other, wait_for_timer, 3));
}

static u64 enable_x2apic(u64 arg)
{
	x2apic_enable();
	x2apic_write(APIC_TASKPRI, 0x50);
	return x2apic_read(APIC_ID);
}

/* api.rst, KVM_GET_LAPIC: the id's place depends on KVM_CAP_X2APIC_API; by default bits 31-24. */
TEST_F(state, x2apic_state_round_trip)
{
	struct kvm_lapic_state state, back;

	NEED(kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & BIT_X2APIC, "no x2APIC");
	vcpu_call(self->vcpu, enable_x2apic, 0);
	state = get_lapic(self->vcpu);
	EXPECT_EQ(0x50, xapic_state_reg(&state, APIC_TASKPRI));
	EXPECT_EQ(1, xapic_state_reg(&state, APIC_LDR));
	ASSERT_EQ(1, vcpu_set_msr(self->other, MSR_APIC_BASE, vcpu_msr(self->vcpu, MSR_APIC_BASE)));
	set_lapic(self->other, &state);
	back = get_lapic(self->other);
	EXPECT_EQ(0, memcmp(&state, &back, sizeof(state)));
	EXPECT_EQ(0, vcpu_call(self->other, enable_x2apic, 0));
}

TEST_F(state, lapic_ioctls_without_irqchip_are_einval)
{
	struct kvm_lapic_state state;
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_PLAIN);

	EXPECT_EQ(EINVAL, errno_of(ioctl(vcpu->fd, KVM_GET_LAPIC, &state)));
	EXPECT_EQ(EINVAL, errno_of(ioctl(vcpu->fd, KVM_SET_LAPIC, &state)));
}

/* ---- 8259 and I/O APIC ---- */

static u64 set_up_pic(u64 arg)
{
	guest_pic_init(PIC_BASE, 1 << 4 | 1 << 12);
	outb(0x4d1, 1 << 4);		/* line 12 level triggered */
	return 0;
}

TEST_F(state, pic_registers_are_seen_from_outside)
{
	struct kvm_irqchip master, slave;

	vcpu_call(self->vcpu, set_up_pic, 0);
	vm_irq_line(&self->vm, 4, 1);
	master = get_chip(&self->vm, KVM_IRQCHIP_PIC_MASTER);
	slave = get_chip(&self->vm, KVM_IRQCHIP_PIC_SLAVE);
	EXPECT_EQ(PIC_BASE, master.chip.pic.irq_base);
	EXPECT_EQ(PIC_BASE + 8, slave.chip.pic.irq_base);
	EXPECT_EQ(0xff & ~(1 << 4 | 1 << 2), master.chip.pic.imr);
	EXPECT_EQ(1 << 4, master.chip.pic.irr & 1 << 4);
	EXPECT_EQ(1 << 4, slave.chip.pic.elcr);
}

TEST_F(state, pic_state_set_is_the_state_got)
{
	vcpu_call(self->vcpu, set_up_pic, 0);
	for (u32 id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_PIC_SLAVE; id++) {
		struct kvm_irqchip chip = get_chip(&self->vm, id), back;

		kvm_do(self->other_vm.fd, KVM_SET_IRQCHIP, &chip);
		back = get_chip(&self->other_vm, id);
		EXPECT_EQ(0, memcmp(&chip.chip.pic, &back.chip.pic, sizeof(chip.chip.pic)));
	}
}

static u64 open_for_pic(u64 arg)
{
	irq_window();
	return this_cpu()->irqs[PIC_BASE + 4];
}

TEST_F(state, a_pic_interrupt_pending_in_one_vm_is_delivered_in_another)
{
	struct kvm_irqchip master, slave;

	vcpu_call(self->vcpu, set_up_pic, 0);
	vm_irq_pulse(&self->vm, 4);
	master = get_chip(&self->vm, KVM_IRQCHIP_PIC_MASTER);
	slave = get_chip(&self->vm, KVM_IRQCHIP_PIC_SLAVE);
	kvm_do(self->other_vm.fd, KVM_SET_IRQCHIP, &slave);
	kvm_do(self->other_vm.fd, KVM_SET_IRQCHIP, &master);
	EXPECT_EQ(1, vcpu_call(self->other, open_for_pic, 0));
}

#define IOAPIC_ENTRY (VECTOR | 1ULL << 15 | 1ULL << 56)

#define IOAPIC_ID 0

static u64 set_up_ioapic(u64 arg)
{
	ioapic_write(IOAPIC_ID, 0x05000000);
	ioapic_route(17, IOAPIC_ENTRY);
	return 0;
}

static u64 ioapic_id(u64 arg)
{
	return ioapic_read(IOAPIC_ID);
}

TEST_F(state, ioapic_state_round_trip)
{
	struct kvm_irqchip chip, back;

	vcpu_call(self->vcpu, set_up_ioapic, 0);
	chip = get_chip(&self->vm, KVM_IRQCHIP_IOAPIC);
	EXPECT_EQ(IOAPIC_BASE_ADDR, chip.chip.ioapic.base_address);
	EXPECT_EQ(5, chip.chip.ioapic.id);
	EXPECT_EQ(IOAPIC_ENTRY, chip.chip.ioapic.redirtbl[17].bits);
	kvm_do(self->other_vm.fd, KVM_SET_IRQCHIP, &chip);
	back = get_chip(&self->other_vm, KVM_IRQCHIP_IOAPIC);
	EXPECT_EQ(0, memcmp(&chip.chip.ioapic, &back.chip.ioapic, sizeof(chip.chip.ioapic)));
	EXPECT_EQ(0x05000000, vcpu_call(self->other, ioapic_id, 0));
}

static u64 enable_apic(u64 arg)
{
	xapic_enable();
	return 0;
}

TEST_F(state, an_ioapic_pin_pending_in_the_state_is_delivered)
{
	struct kvm_irqchip chip = get_chip(&self->vm, KVM_IRQCHIP_IOAPIC);

	vcpu_call(self->vcpu, enable_apic, 0);
	chip.chip.ioapic.redirtbl[5].bits = VECTOR;
	chip.chip.ioapic.irr = 1 << 5;
	kvm_do(self->vm.fd, KVM_SET_IRQCHIP, &chip);
	EXPECT_EQ(1, vcpu_call(self->vcpu, open_window, 0));
}

TEST_F(state, an_unknown_chip_is_einval)
{
	struct kvm_irqchip chip = { .chip_id = 3 };

	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip)));
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip)));
}

TEST_F(state, irqchip_ioctls_without_irqchip_are_enxio)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct vm vm;

	vm_create(&vm, VM_PLAIN);
	EXPECT_EQ(ENXIO, errno_of(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip)));
	EXPECT_EQ(ENXIO, errno_of(ioctl(vm.fd, KVM_SET_IRQCHIP, &chip)));
}

/* ---- 8254 ---- */

static u64 set_up_pit(u64 count)
{
	outb(PIT_MODE, 0x34);		/* channel 0, both bytes, mode 2 */
	outb(PIT_CH0, count & 0xff);
	outb(PIT_CH0, count >> 8);
	return 0;
}

TEST_F(state, pit_state_round_trip)
{
	struct kvm_pit_state2 state, back;

	NEED_CAP(KVM_CAP_PIT_STATE2);
	vcpu_call(self->vcpu, set_up_pit, 0x8765);
	kvm_do(self->vm.fd, KVM_GET_PIT2, &state);
	EXPECT_EQ(0x8765, state.channels[0].count);
	EXPECT_EQ(2, state.channels[0].mode);
	EXPECT_EQ(3, state.channels[0].rw_mode);
	kvm_do(self->other_vm.fd, KVM_SET_PIT2, &state);
	kvm_do(self->other_vm.fd, KVM_GET_PIT2, &back);
	EXPECT_EQ(0x8765, back.channels[0].count);
	EXPECT_EQ(2, back.channels[0].mode);
	EXPECT_EQ(state.flags, back.flags);
}

static u64 wait_for_tick(u64 arg)
{
	guest_pic_init(PIC_BASE, 1 << 0);
	wait_for_vector(PIC_BASE, 2);
	return 1;
}

TEST_F(state, a_pit_set_from_outside_ticks)
{
	struct kvm_pit_state2 state;

	NEED_CAP(KVM_CAP_PIT_STATE2);
	guest_handlers[PIC_BASE] = guest_eoi_pic;
	vcpu_call(self->vcpu, set_up_pit, 4000);
	kvm_do(self->vm.fd, KVM_GET_PIT2, &state);
	kvm_do(self->other_vm.fd, KVM_SET_PIT2, &state);
	usleep(20000);		/* the first ticks come before the guest has set up its PIC, and are lost */
	EXPECT_EQ(1, vcpu_call(self->other, wait_for_tick, 0));
}

TEST_F(state, pit_before_irqchip_is_enoent)
{
	struct kvm_pit_config config = { 0 };
	struct vm vm;

	NEED(!kvm_is_stock(), "stock KVM 6.1 takes it, later ones do not");
	vm_create(&vm, VM_PLAIN);
	EXPECT_EQ(ENOENT, errno_of(ioctl(vm.fd, KVM_CREATE_PIT2, &config)));
}

TEST_F(state, a_second_pit_is_eexist)
{
	struct kvm_pit_config config = { 0 };

	EXPECT_EQ(EEXIST, errno_of(ioctl(self->vm.fd, KVM_CREATE_PIT2, &config)));
}

TEST_F(state, pit_state_without_pit_is_enxio)
{
	struct kvm_pit_state2 state;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_EQ(ENXIO, errno_of(ioctl(vm.fd, KVM_GET_PIT2, &state)));
	EXPECT_EQ(ENXIO, errno_of(ioctl(vm.fd, KVM_SET_PIT2, &state)));
}

/* ---- creation ---- */

TEST_F(state, a_second_irqchip_is_eexist)
{
	EXPECT_EQ(EEXIST, errno_of(ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0)));
}

TEST_F(state, an_irqchip_after_the_first_vcpu_is_einval)
{
	struct vm vm;

	vm_create_one(&vm, VM_PLAIN);
	EXPECT_EQ(EINVAL, errno_of(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0)));
}

TEST_HARNESS_MAIN
