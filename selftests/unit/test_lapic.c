// SPDX-License-Identifier: GPL-2.0
/*
 * irq/lapic*.c and irq/apic_dest.c against the manual: SDM 3A "Advanced
 * Programmable Interrupt Controller (APIC)".
 */
#include <stdlib.h>
#include <linux/kvm_para.h>
#include <asm/apicdef.h>
#include <asm/msr-index.h>
#include "irq_world.h"
#include "kselftest_harness.h"

enum { NR_VCPUS = 4 };
#define ENABLED(vector)	(APIC_SPIV_APIC_ENABLED | (vector))
#define X2(reg)		(APIC_BASE_MSR + (reg) / 16)

FIXTURE(apic) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(apic)
{
	int i;

	self->vm = world_vm(IRQCHIP_KERNEL, NR_VCPUS);
	self->vcpu = self->vm->vcpus[0];
	for (i = 0; i < NR_VCPUS; i++)
		apic_enable(self->vm->vcpus[i]);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
}

FIXTURE_TEARDOWN(apic)
{
	world_free(self->vm);
}

static void x2apic(struct vcpu *vcpu)
{
	assert(!lapic_set_base(vcpu, vcpu->apic_base | X2APIC_ENABLE, false));
}

static int rd(struct vcpu *vcpu, unsigned int reg, u64 *val)
{
	return lapic_msr_read(vcpu, X2(reg), val);
}

static int wr(struct vcpu *vcpu, unsigned int reg, u64 val)
{
	return lapic_msr_write(vcpu, X2(reg), val);
}

static void ipi(struct vcpu *vcpu, u8 dest, u32 icr)
{
	apic_write(vcpu, APIC_ICR2, (u32)dest << 24);
	apic_write(vcpu, APIC_ICR, icr);
}

/* Which vCPUs have a vector in their IRR; and take it out again. */
static unsigned int who_has(struct vm *vm, u8 vector)
{
	unsigned int who = 0;
	int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		while (irq_pending(vm->vcpus[i]) == vector) {
			who |= 1u << i;
			irq_ack(vm->vcpus[i]);
			if (vm->vcpus[i]->apic_base & X2APIC_ENABLE)
				assert(!wr(vm->vcpus[i], APIC_EOI, 0));
			else
				apic_write(vm->vcpus[i], APIC_EOI, 0);
		}
	}
	return who;
}

static u32 esr(struct vcpu *vcpu)
{
	apic_write(vcpu, APIC_ESR, 0);
	return apic_read(vcpu, APIC_ESR);
}

/* ---- registers ---- */

TEST(power_up_state)
{
	struct vm *vm = world_vm(IRQCHIP_KERNEL, 3);
	struct vcpu *vcpu = vm->vcpus[2];
	unsigned int reg;

	EXPECT_EQ(0xfee00000 | XAPIC_ENABLE, vcpu->apic_base);
	EXPECT_EQ(0xfee00000 | XAPIC_ENABLE | MSR_IA32_APICBASE_BSP, vm->vcpus[0]->apic_base);
	EXPECT_EQ(2 << 24, apic_read(vcpu, APIC_ID));
	EXPECT_EQ(0x50014, apic_read(vcpu, APIC_LVR));
	EXPECT_EQ(0xff, apic_read(vcpu, APIC_SPIV));
	EXPECT_EQ(~0u, apic_read(vcpu, APIC_DFR));
	EXPECT_EQ(0, apic_read(vcpu, APIC_LDR));
	EXPECT_EQ(0, apic_read(vcpu, APIC_TASKPRI));
	EXPECT_EQ(0, apic_read(vcpu, APIC_PROCPRI));
	EXPECT_EQ(0, apic_read(vcpu, APIC_TMICT));
	EXPECT_EQ(0, apic_read(vcpu, APIC_TDCR));
	for (reg = APIC_LVTT; reg <= APIC_LVTERR; reg += 16)
		EXPECT_EQ(APIC_LVT_MASKED, apic_read(vcpu, reg));
	for (reg = APIC_ISR; reg < APIC_ESR; reg += 16)
		EXPECT_EQ(0, apic_read(vcpu, reg));
	/* the BSP's LINT0 is as firmware leaves it, unless user space is firmware */
	EXPECT_EQ(APIC_DM_EXTINT, apic_read(vm->vcpus[0], APIC_LVT0));
	vm->disabled_quirks = KVM_X86_QUIRK_LINT0_REENABLED;
	lapic_reset(vm->vcpus[0], false);
	EXPECT_EQ(APIC_LVT_MASKED, apic_read(vm->vcpus[0], APIC_LVT0));
	world_free(vm);
}

TEST_F(apic, registers_keep_what_they_have_bits_for)
{
	static const struct { unsigned int reg; u32 kept; } regs[] = {
		{ APIC_ID, 0xff000000 }, { APIC_TASKPRI, 0xff }, { APIC_LDR, 0xff000000 },
		{ APIC_DFR, 0xffffffff }, { APIC_SPIV, 0x3ff }, { APIC_ICR2, 0xff000000 },
		{ APIC_LVTT, 0x700ff }, { APIC_LVTTHMR, 0x107ff }, { APIC_LVTPC, 0x107ff },
		{ APIC_LVT0, 0x1a7ff }, { APIC_LVT1, 0x1a7ff }, { APIC_LVTERR, 0x100ff },
		{ APIC_TDCR, 0xb }, { APIC_LVR, 0x50014 }, { APIC_TMCCT, 0 }, { APIC_ARBPRI, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		apic_write(self->vcpu, regs[i].reg, ~0u);
		EXPECT_EQ(regs[i].kept, apic_read(self->vcpu, regs[i].reg))
			TH_LOG("register %#x", regs[i].reg);
	}
	apic_write(self->vcpu, APIC_DFR, 0);
	EXPECT_EQ(0x0fffffff, apic_read(self->vcpu, APIC_DFR));
	EXPECT_EQ(0, esr(self->vcpu));
}

TEST_F(apic, tsc_deadline_mode_is_there_only_if_cpuid_says_so)
{
	self->vcpu->guest_caps &= ~BIT(CAP_TSC_DEADLINE);
	apic_write(self->vcpu, APIC_LVTT, ~0u);
	EXPECT_EQ(0x300ff, apic_read(self->vcpu, APIC_LVTT));
}

TEST(directed_eoi_is_offered_only_where_an_io_apic_has_an_eoi_register)
{
	struct vm *vm = world_vm(IRQCHIP_SPLIT, 1);
	struct vcpu *vcpu = vm->vcpus[0];
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x71 | APIC_INT_LEVELTRIG };

	EXPECT_EQ(0x50014 | APIC_LVR_DIRECTED_EOI, apic_read(vcpu, APIC_LVR));
	apic_write(vcpu, APIC_SPIV, ENABLED(0xff) | APIC_SPIV_DIRECTED_EOI);
	irq_send_msi(vm, &msi);
	EXPECT_EQ(0x71, irq_ack(vcpu));
	apic_write(vcpu, APIC_EOI, 0);
	EXPECT_FALSE(vcpu_take_request(vcpu, REQ_EOI_EXIT));
	world_free(vm);
}

TEST_F(apic, software_disabling_masks_the_lvt_and_refuses_fixed_interrupts)
{
	unsigned int reg;

	apic_write(self->vcpu, APIC_LVT1, APIC_DM_NMI);
	EXPECT_EQ(1, apic_interrupt(self->vcpu, 0x40));
	apic_write(self->vcpu, APIC_SPIV, 0xff);
	for (reg = APIC_LVTT; reg <= APIC_LVTERR; reg += 16)
		EXPECT_TRUE(apic_read(self->vcpu, reg) & APIC_LVT_MASKED);
	apic_write(self->vcpu, APIC_LVT1, APIC_DM_NMI);
	EXPECT_EQ(APIC_DM_NMI | APIC_LVT_MASKED, apic_read(self->vcpu, APIC_LVT1));
	EXPECT_EQ(-1, apic_interrupt(self->vcpu, 0x41));
	/* "pending interrupts in the IRR and ISR are held and require ... handling" */
	EXPECT_EQ(0x40, irq_ack(self->vcpu));
	apic_enable(self->vcpu);
	EXPECT_TRUE(apic_read(self->vcpu, APIC_LVT1) & APIC_LVT_MASKED);
	EXPECT_EQ(1, apic_interrupt(self->vcpu, 0x41));
}

TEST_F(apic, odd_accesses_are_survived)
{
	gpa_t page = 0xfee00000;
	u64 val = ~0ULL;

	/* shorter, longer and unaligned writes do nothing */
	lapic_mmio_write(self->vcpu, page + APIC_TASKPRI, &val, 1);
	lapic_mmio_write(self->vcpu, page + APIC_TASKPRI, &val, 2);
	lapic_mmio_write(self->vcpu, page + APIC_TASKPRI, &val, 8);
	lapic_mmio_write(self->vcpu, page + APIC_TASKPRI + 1, &val, 4);
	lapic_mmio_write(self->vcpu, page + APIC_TASKPRI + 4, &val, 4);
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TASKPRI));
	/* reads see the bytes of the register, and zeroes */
	lapic_mmio_read(self->vcpu, page + APIC_LVR + 1, &val, 1);
	EXPECT_EQ(0, val & 0xff);
	lapic_mmio_read(self->vcpu, page + APIC_LVR, &val, 2);
	EXPECT_EQ(0x14, val & 0xffff);
	lapic_mmio_read(self->vcpu, page + APIC_LVR + 2, &val, 4);
	EXPECT_EQ(0x5, val & 0xffffffff);
	lapic_mmio_read(self->vcpu, page + APIC_LVR, &val, 8);
	EXPECT_EQ(0x50014, val);
	lapic_mmio_read(self->vcpu, page + APIC_LVR + 12, &val, 8);
	EXPECT_EQ(0, val);
	lapic_mmio_read(self->vcpu, page + 0xff8, &val, 8);
	EXPECT_EQ(0, val);
}

TEST_F(apic, an_access_to_no_register_is_an_error)
{
	apic_write(self->vcpu, APIC_LVTERR, 0x3e);
	EXPECT_EQ(0, apic_read(self->vcpu, 0x40));
	EXPECT_EQ(0x3e, irq_ack(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	/* the ESR shows it once it has been written, and then again new ones */
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_ESR));
	apic_write(self->vcpu, 0x40, 1);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	EXPECT_EQ(APIC_ESR_ILLREGA, esr(self->vcpu));
	EXPECT_EQ(APIC_ESR_ILLREGA, apic_read(self->vcpu, APIC_ESR));
	EXPECT_EQ(0, esr(self->vcpu));
	apic_write(self->vcpu, APIC_SELF_IPI, 0x40);
	EXPECT_EQ(0x3e, irq_pending(self->vcpu));
	EXPECT_EQ(APIC_ESR_ILLREGA, esr(self->vcpu));
	/* write-only and read-only ones are registers */
	apic_read(self->vcpu, APIC_EOI);
	apic_write(self->vcpu, APIC_PROCPRI, 0xff);
	EXPECT_EQ(0, esr(self->vcpu));
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_PROCPRI));
}

TEST_F(apic, vectors_below_16_are_errors)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x0f };

	EXPECT_EQ(0, irq_send_msi(self->vm, &msi));
	EXPECT_EQ(APIC_ESR_RECVILL, esr(self->vcpu));
	ipi(self->vcpu, 1, 0x0f);
	EXPECT_EQ(APIC_ESR_SENDILL, esr(self->vcpu));
	EXPECT_EQ(0, esr(self->vm->vcpus[1]));
	/* an error whose own vector is illegal ends there */
	apic_write(self->vcpu, APIC_LVTERR, 0x01);
	ipi(self->vcpu, 1, 0x0f);
	EXPECT_EQ(APIC_ESR_SENDILL | APIC_ESR_RECVILL, esr(self->vcpu));
}

/* ---- priorities ---- */

TEST_F(apic, the_highest_vector_goes_first)
{
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	apic_interrupt(self->vcpu, 0x31);
	apic_interrupt(self->vcpu, 0xfe);
	apic_interrupt(self->vcpu, 0x7f);
	apic_interrupt(self->vcpu, 0x80);
	EXPECT_EQ(0xfe, irq_ack(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x80, irq_ack(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x7f, irq_ack(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x31, irq_ack(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(-1, irq_ack(self->vcpu));
}

TEST_F(apic, one_vector_waits_and_is_in_service_at_once)
{
	EXPECT_EQ(1, apic_interrupt(self->vcpu, 0x51));
	EXPECT_EQ(0, apic_interrupt(self->vcpu, 0x51));
	EXPECT_EQ(0x51, irq_ack(self->vcpu));
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_IRR, 0x51));
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
	EXPECT_EQ(1, apic_interrupt(self->vcpu, 0x51));
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_IRR, 0x51));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x51, irq_pending(self->vcpu));
}

TEST_F(apic, a_class_in_service_holds_its_own_back_and_lets_higher_ones_in)
{
	apic_interrupt(self->vcpu, 0x51);
	EXPECT_EQ(0x51, irq_ack(self->vcpu));
	EXPECT_EQ(0x50, apic_read(self->vcpu, APIC_PROCPRI));
	apic_interrupt(self->vcpu, 0x5f);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	apic_interrupt(self->vcpu, 0x60);
	EXPECT_EQ(0x60, irq_ack(self->vcpu));
	EXPECT_EQ(0x60, apic_read(self->vcpu, APIC_PROCPRI));
	/* an EOI ends the highest */
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_ISR, 0x60));
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_ISR, 0x51));
	EXPECT_EQ(0x50, apic_read(self->vcpu, APIC_PROCPRI));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_PROCPRI));
	EXPECT_EQ(0x5f, irq_ack(self->vcpu));
}

TEST_F(apic, the_tpr_holds_back_its_class_and_those_below)
{
	apic_write(self->vcpu, APIC_TASKPRI, 0x53);
	EXPECT_EQ(0x53, apic_read(self->vcpu, APIC_PROCPRI));
	apic_interrupt(self->vcpu, 0x5f);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	EXPECT_TRUE(lapic_blocked_by_tpr(self->vcpu));
	apic_interrupt(self->vcpu, 0x60);
	EXPECT_EQ(0x60, irq_pending(self->vcpu));
	EXPECT_FALSE(lapic_blocked_by_tpr(self->vcpu));
	irq_ack(self->vcpu);
	EXPECT_EQ(0x60, apic_read(self->vcpu, APIC_PROCPRI));
	/* in service above it: a lower TPR would not help 0x5f */
	EXPECT_FALSE(lapic_blocked_by_tpr(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	vcpu_take_request(self->vcpu, REQ_EVENT);
	apic_write(self->vcpu, APIC_TASKPRI, 0x4f);
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
	EXPECT_EQ(0x5f, irq_ack(self->vcpu));
}

TEST_F(apic, the_ppr_is_the_tpr_unless_service_is_higher)
{
	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	apic_write(self->vcpu, APIC_TASKPRI, 0x57);
	EXPECT_EQ(0x57, apic_read(self->vcpu, APIC_PROCPRI));
	apic_write(self->vcpu, APIC_TASKPRI, 0x4f);
	EXPECT_EQ(0x50, apic_read(self->vcpu, APIC_PROCPRI));
}

TEST_F(apic, cr8_is_the_class_of_the_tpr)
{
	lapic_set_cr8(self->vcpu, 5);
	EXPECT_EQ(0x50, apic_read(self->vcpu, APIC_TASKPRI));
	apic_write(self->vcpu, APIC_TASKPRI, 0xa7);
	EXPECT_EQ(0xa, lapic_get_cr8(self->vcpu));
	apic_interrupt(self->vcpu, 0xaf);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	lapic_set_cr8(self->vcpu, 9);
	EXPECT_EQ(0xaf, irq_pending(self->vcpu));
}

TEST_F(apic, an_eoi_looks_for_what_waits_behind_it)
{
	apic_interrupt(self->vcpu, 0x51);
	irq_ack(self->vcpu);
	vcpu_take_request(self->vcpu, REQ_EVENT);
	apic_interrupt(self->vcpu, 0x41);
	vcpu_take_request(self->vcpu, REQ_EVENT);
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
	irq_ack(self->vcpu);
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_FALSE(vcpu_take_request(self->vcpu, REQ_EVENT));
	/* and with nothing in service it does nothing */
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(apic, the_tmr_tells_how_the_last_one_was_triggered)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x51 | APIC_INT_LEVELTRIG };

	irq_send_msi(self->vm, &msi);
	EXPECT_TRUE(apic_bit(self->vcpu, APIC_TMR, 0x51));
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_TMR, 0x50));
	irq_ack(self->vcpu);
	apic_write(self->vcpu, APIC_EOI, 0);
	apic_interrupt(self->vcpu, 0x51);
	EXPECT_FALSE(apic_bit(self->vcpu, APIC_TMR, 0x51));
}

TEST_F(apic, any_order_of_interrupts_is_taken_by_priority)
{
	bool waits[256], served[256];
	int round, i, vector, want, in_service;

	memset(waits, 0, sizeof(waits));
	memset(served, 0, sizeof(served));
	srand(1);
	for (round = 0; round < 100000; round++) {
		in_service = -1;
		for (i = 16; i < 256; i++)
			in_service = served[i] ? i : in_service;
		switch (rand() % 3) {
		case 0:
			vector = 16 + rand() % 240;
			ASSERT_EQ(!waits[vector], apic_interrupt(self->vcpu, vector));
			waits[vector] = true;
			break;
		case 1:
			want = -1;
			for (i = 16; i < 256; i++)
				want = waits[i] && i >> 4 > in_service >> 4 ? i : want;
			ASSERT_EQ(want, irq_ack(self->vcpu));
			if (want >= 0) {
				waits[want] = false;
				served[want] = true;
			}
			break;
		case 2:
			apic_write(self->vcpu, APIC_EOI, 0);
			if (in_service >= 0)
				served[in_service] = false;
			break;
		}
	}
}

/* ---- interprocessor interrupts ---- */

TEST_F(apic, a_self_ipi_needs_no_kick)
{
	self->vcpu->kicks = 0;
	apic_write(self->vcpu, APIC_ICR, APIC_DEST_SELF | 0x41);
	EXPECT_EQ(0, self->vcpu->kicks);
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
	EXPECT_EQ(1 << 0, who_has(self->vm, 0x41));
	EXPECT_EQ(APIC_DEST_SELF | 0x41, apic_read(self->vcpu, APIC_ICR));
}

TEST_F(apic, an_ipi_kicks_its_target)
{
	ipi(self->vcpu, 2, 0x41);
	EXPECT_EQ(1, self->vm->vcpus[2]->kicks);
	EXPECT_TRUE(vcpu_take_request(self->vm->vcpus[2], REQ_EVENT));
	EXPECT_EQ(1 << 2, who_has(self->vm, 0x41));
	ipi(self->vcpu, 9, 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	/* to itself by its id */
	ipi(self->vcpu, 0, 0x41);
	EXPECT_EQ(1 << 0, who_has(self->vm, 0x41));
	EXPECT_EQ(0, self->vcpu->kicks);
}

TEST_F(apic, shorthands)
{
	apic_write(self->vcpu, APIC_ICR, APIC_DEST_ALLINC | 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
	apic_write(self->vm->vcpus[1], APIC_ICR, APIC_DEST_ALLBUT | 0x41);
	EXPECT_EQ(0xd, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xff, 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xff, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
}

TEST_F(apic, a_fixed_ipi_is_an_edge_whatever_the_icr_says)
{
	ipi(self->vcpu, 1, APIC_INT_LEVELTRIG | 0x41);
	EXPECT_FALSE(apic_bit(self->vm->vcpus[1], APIC_TMR, 0x41));
	EXPECT_EQ(1 << 1, who_has(self->vm, 0x41));
}

TEST_F(apic, delivery_status_is_always_idle)
{
	ipi(self->vcpu, 1, APIC_ICR_BUSY | 0x41);
	EXPECT_EQ(0x41, apic_read(self->vcpu, APIC_ICR));
	EXPECT_EQ(1 << 24, apic_read(self->vcpu, APIC_ICR2));
}

TEST_F(apic, flat_logical_destinations)
{
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		apic_write(self->vm->vcpus[i], APIC_LDR, 1u << (24 + 2 * i));
	ipi(self->vcpu, 0x14, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 1 | 1 << 2, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xaa, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
}

TEST_F(apic, cluster_logical_destinations)
{
	int i;

	/* two clusters of two */
	for (i = 0; i < NR_VCPUS; i++) {
		apic_write(self->vm->vcpus[i], APIC_DFR, 0);
		apic_write(self->vm->vcpus[i], APIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	ipi(self->vcpu, 0x03, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0x3, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x12, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 3, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x1f, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xc, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x2f, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xff, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
}

TEST_F(apic, a_logical_id_of_several_bits_or_shared_ones_works)
{
	apic_write(self->vm->vcpus[1], APIC_LDR, 0x06000000);
	apic_write(self->vm->vcpus[2], APIC_LDR, 0x04000000);
	ipi(self->vcpu, 0x02, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 1, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x04, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 1 | 1 << 2, who_has(self->vm, 0x41));
}

TEST_F(apic, an_id_that_was_changed_or_is_shared_works)
{
	apic_write(self->vm->vcpus[1], APIC_ID, 0x21 << 24);
	ipi(self->vcpu, 1, 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x21, 0x41);
	EXPECT_EQ(1 << 1, who_has(self->vm, 0x41));
	EXPECT_EQ(self->vm->vcpus[1], lapic_vcpu_by_apic_id(self->vm, 0x21));
	EXPECT_EQ(NULL, lapic_vcpu_by_apic_id(self->vm, 1));
	apic_write(self->vm->vcpus[1], APIC_ID, 2 << 24);
	ipi(self->vcpu, 2, 0x41);
	EXPECT_EQ(1 << 1 | 1 << 2, who_has(self->vm, 0x41));
}

TEST_F(apic, lowest_priority_takes_one_and_spreads_by_vector)
{
	unsigned int vector, who, all = 0;

	for (vector = 0x40; vector < 0x48; vector++) {
		ipi(self->vcpu, 0xff, APIC_DM_LOWEST | vector);
		who = who_has(self->vm, vector);
		EXPECT_EQ(1, __builtin_popcount(who));
		ipi(self->vcpu, 0xff, APIC_DM_LOWEST | vector);
		EXPECT_EQ(who, who_has(self->vm, vector));
		all |= who;
	}
	EXPECT_EQ(0xf, all);
	/* who is disabled is passed over */
	apic_write(self->vm->vcpus[0], APIC_SPIV, 0xff);
	apic_write(self->vm->vcpus[2], APIC_SPIV, 0xff);
	all = 0;
	for (vector = 0x40; vector < 0x48; vector++) {
		ipi(self->vm->vcpus[1], 0xff, APIC_DM_LOWEST | vector);
		all |= who_has(self->vm, vector);
	}
	EXPECT_EQ(1 << 1 | 1 << 3, all);
}

TEST_F(apic, nmi_and_smi_need_no_enabled_apic_and_no_vector)
{
	apic_write(self->vm->vcpus[1], APIC_SPIV, 0xff);
	apic_write(self->vm->vcpus[1], APIC_LDR, 0x02000000);
	ipi(self->vcpu, 1, APIC_DM_NMI);
	EXPECT_EQ(1, self->vm->vcpus[1]->nmis);
	EXPECT_EQ(1, self->vm->vcpus[1]->kicks);
	ipi(self->vcpu, 2, APIC_DM_NMI | APIC_DEST_LOGICAL);
	EXPECT_EQ(2, self->vm->vcpus[1]->nmis);
	ipi(self->vcpu, 1, APIC_DM_SMI);
	EXPECT_TRUE(vcpu_take_request(self->vm->vcpus[1], REQ_SMI));
	EXPECT_EQ(0, esr(self->vcpu));
}

TEST_F(apic, a_disabled_apic_hears_nothing)
{
	struct vcpu *off = self->vm->vcpus[1];

	ASSERT_EQ(0, lapic_set_base(off, off->apic_base & ~XAPIC_ENABLE, false));
	apic_write(self->vcpu, APIC_ICR, APIC_DEST_ALLBUT | APIC_DM_NMI);
	EXPECT_EQ(0, off->nmis);
	EXPECT_EQ(1, self->vm->vcpus[2]->nmis);
	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_FALSE(vcpu_take_request(off, REQ_APIC_STATE));
}

/* ---- INIT and SIPI ---- */

TEST_F(apic, init_and_sipi_start_an_application_processor)
{
	struct vcpu *ap = self->vm->vcpus[1];

	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_LEVELTRIG | APIC_INT_ASSERT);
	EXPECT_EQ(1, ap->kicks);
	ASSERT_TRUE(vcpu_take_request(ap, REQ_APIC_STATE));
	lapic_accept_init_sipi(ap);
	EXPECT_EQ(1, ap->resets);
	EXPECT_EQ(KVM_MP_STATE_INIT_RECEIVED, ap->mp_state);
	/* "INIT level de-assert" does nothing */
	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_LEVELTRIG);
	EXPECT_FALSE(vcpu_take_request(ap, REQ_APIC_STATE));
	ipi(self->vcpu, 1, APIC_DM_STARTUP | 0x9a);
	ASSERT_TRUE(vcpu_take_request(ap, REQ_APIC_STATE));
	lapic_accept_init_sipi(ap);
	EXPECT_EQ(0x9a, ap->started_at);
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, ap->mp_state);
}

TEST_F(apic, init_and_sipi_may_arrive_together)
{
	struct vcpu *ap = self->vm->vcpus[1];

	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_ASSERT);
	ipi(self->vcpu, 1, APIC_DM_STARTUP | 0x08);
	lapic_accept_init_sipi(ap);
	EXPECT_EQ(1, ap->resets);
	EXPECT_EQ(0x08, ap->started_at);
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, ap->mp_state);
}

TEST_F(apic, a_sipi_without_init_is_lost)
{
	struct vcpu *ap = self->vm->vcpus[1];

	ap->mp_state = KVM_MP_STATE_RUNNABLE;
	ipi(self->vcpu, 1, APIC_DM_STARTUP | 0x08);
	lapic_accept_init_sipi(ap);
	EXPECT_EQ(-1, ap->started_at);
	/* and does not wait for a later INIT */
	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_ASSERT);
	lapic_accept_init_sipi(ap);
	EXPECT_EQ(KVM_MP_STATE_INIT_RECEIVED, ap->mp_state);
	EXPECT_EQ(-1, ap->started_at);
}

TEST_F(apic, an_init_forgets_a_sipi_from_before)
{
	struct vcpu *ap = self->vm->vcpus[1];

	ipi(self->vcpu, 1, APIC_DM_STARTUP | 0x08);
	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_ASSERT);
	lapic_accept_init_sipi(ap);
	EXPECT_EQ(-1, ap->started_at);
	EXPECT_EQ(KVM_MP_STATE_INIT_RECEIVED, ap->mp_state);
}

TEST_F(apic, an_init_leaves_the_bsp_runnable)
{
	ipi(self->vm->vcpus[1], 0, APIC_DM_INIT | APIC_INT_ASSERT);
	lapic_accept_init_sipi(self->vcpu);
	EXPECT_EQ(1, self->vcpu->resets);
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, self->vcpu->mp_state);
}

TEST_F(apic, an_init_keeps_id_base_and_mode)
{
	struct vcpu *ap = self->vm->vcpus[1];
	u64 val;

	apic_write(ap, APIC_ID, 0x21 << 24);
	apic_write(ap, APIC_TASKPRI, 0x50);
	apic_interrupt(ap, 0x61);
	lapic_reset(ap, true);
	EXPECT_EQ(0x21 << 24, apic_read(ap, APIC_ID));
	EXPECT_EQ(0, apic_read(ap, APIC_TASKPRI));
	EXPECT_EQ(0xff, apic_read(ap, APIC_SPIV));
	EXPECT_EQ(-1, irq_pending(ap));
	x2apic(ap);
	lapic_reset(ap, true);
	EXPECT_TRUE(ap->apic_base & X2APIC_ENABLE);
	ASSERT_EQ(0, rd(ap, APIC_LDR, &val));
	EXPECT_EQ(1 << 1, val);
	lapic_reset(ap, false);
	EXPECT_EQ(1 << 24, apic_read(ap, APIC_ID));
}

/* ---- x2APIC ---- */

TEST_F(apic, mode_transitions)
{
	struct vcpu *vcpu = self->vcpu;
	u64 off = 0xfee00000 | MSR_IA32_APICBASE_BSP, on = off | XAPIC_ENABLE;
	u64 x2 = on | X2APIC_ENABLE;

	EXPECT_EQ(1, lapic_set_base(vcpu, off | X2APIC_ENABLE, false));	/* invalid */
	EXPECT_EQ(1, lapic_set_base(vcpu, off | X2APIC_ENABLE, true));
	EXPECT_EQ(0, lapic_set_base(vcpu, off, false));
	EXPECT_EQ(1, lapic_set_base(vcpu, x2, false));			/* not at once */
	EXPECT_EQ(0, lapic_set_base(vcpu, on, false));
	EXPECT_EQ(0, lapic_set_base(vcpu, x2, false));
	EXPECT_EQ(0, lapic_set_base(vcpu, x2, false));
	EXPECT_EQ(1, lapic_set_base(vcpu, on, false));			/* not back */
	EXPECT_EQ(x2, vcpu->apic_base);
	EXPECT_EQ(0, lapic_set_base(vcpu, off, false));
	/* user space restores whatever it saved */
	EXPECT_EQ(0, lapic_set_base(vcpu, x2, true));
	EXPECT_EQ(0, lapic_set_base(vcpu, on, true));
}

TEST_F(apic, the_base_has_reserved_bits)
{
	u64 base = self->vcpu->apic_base;

	EXPECT_EQ(1, lapic_set_base(self->vcpu, base | 1, true));
	EXPECT_EQ(1, lapic_set_base(self->vcpu, base | 1 << 7, true));
	EXPECT_EQ(1, lapic_set_base(self->vcpu, base | 1 << 9, true));
	EXPECT_EQ(1, lapic_set_base(self->vcpu, base | 1ULL << 40, true));
	EXPECT_EQ(0, lapic_set_base(self->vcpu, base | 1ULL << 39, true));
	self->vcpu->guest_caps &= ~BIT(CAP_X2APIC);
	EXPECT_EQ(1, lapic_set_base(self->vcpu, base | X2APIC_ENABLE, true));
}

TEST_F(apic, the_page_can_be_moved)
{
	ASSERT_EQ(0, lapic_set_base(self->vcpu, 0xd0000000 | XAPIC_ENABLE, false));
	EXPECT_FALSE(lapic_mmio_hit(self->vcpu, 0xfee00000));
	EXPECT_TRUE(lapic_mmio_hit(self->vcpu, 0xd0000fff));
	EXPECT_FALSE(lapic_mmio_hit(self->vcpu, 0xd0001000));
	EXPECT_EQ(ENABLED(0xff), apic_read(self->vcpu, APIC_SPIV));
}

TEST_F(apic, outside_xapic_mode_the_page_is_a_hole_or_not_there)
{
	u32 val = 0;

	x2apic(self->vcpu);
	EXPECT_TRUE(lapic_mmio_hit(self->vcpu, 0xfee00080));
	EXPECT_EQ(~0u, apic_read(self->vcpu, APIC_TASKPRI));
	apic_write(self->vcpu, APIC_TASKPRI, 0x50);
	EXPECT_EQ(0, lapic_get_cr8(self->vcpu));
	lapic_mmio_read(self->vcpu, 0xfee00080, &val, 1);
	EXPECT_EQ(0xff, val);
	self->vm->disabled_quirks = KVM_X86_QUIRK_LAPIC_MMIO_HOLE;
	EXPECT_FALSE(lapic_mmio_hit(self->vcpu, 0xfee00080));
	EXPECT_TRUE(lapic_mmio_hit(self->vm->vcpus[1], 0xfee00080));
}

TEST_F(apic, disabling_loses_all_state)
{
	u64 base = self->vcpu->apic_base;

	apic_write(self->vcpu, APIC_TASKPRI, 0x50);
	apic_write(self->vcpu, APIC_ID, 0x21 << 24);
	ASSERT_EQ(0, lapic_set_base(self->vcpu, base & ~XAPIC_ENABLE, false));
	ASSERT_EQ(0, lapic_set_base(self->vcpu, base, false));
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_TASKPRI));
	EXPECT_EQ(0xff, apic_read(self->vcpu, APIC_SPIV));
	EXPECT_EQ(0, apic_read(self->vcpu, APIC_ID));
}

TEST_F(apic, msrs_are_there_in_x2apic_mode_only)
{
	u64 val;

	EXPECT_EQ(1, rd(self->vcpu, APIC_LVR, &val));
	EXPECT_EQ(1, wr(self->vcpu, APIC_TASKPRI, 0));
	x2apic(self->vcpu);
	EXPECT_EQ(0, rd(self->vcpu, APIC_LVR, &val));
	EXPECT_EQ(0x50014, val);
	EXPECT_EQ(0, wr(self->vcpu, APIC_TASKPRI, 0x35));
	EXPECT_EQ(0, rd(self->vcpu, APIC_TASKPRI, &val));
	EXPECT_EQ(0x35, val);
}

TEST_F(apic, msrs_fault_as_the_manual_lists_them)
{
	/* SDM 3A Table "Local APIC Register Address Map Supported by x2APIC" */
	static const u32 readable[] = { 0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x828, 0x830,
		0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x839, 0x83e };
	static const u32 writable[] = { 0x808, 0x80b, 0x80f, 0x828, 0x830,
		0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e };
	unsigned int msr, i;
	bool can_read, can_write;
	u64 val;

	x2apic(self->vcpu);
	for (msr = 0x800; msr <= 0x8ff; msr++) {
		can_read = msr >= 0x810 && msr <= 0x827;
		can_write = false;
		for (i = 0; i < ARRAY_SIZE(readable); i++)
			can_read |= msr == readable[i];
		for (i = 0; i < ARRAY_SIZE(writable); i++)
			can_write |= msr == writable[i];
		EXPECT_EQ(!can_read, lapic_msr_read(self->vcpu, msr, &val))
			TH_LOG("rdmsr %#x", msr);
		if (msr == 0x83f)	/* 0 is an illegal vector, but a legal value */
			can_write = true;
		EXPECT_EQ(!can_write, lapic_msr_write(self->vcpu, msr, 0))
			TH_LOG("wrmsr %#x", msr);
	}
}

TEST_F(apic, msrs_fault_on_reserved_bits)
{
	static const struct { unsigned int reg; u64 legal; } regs[] = {
		{ APIC_TASKPRI, 0xff }, { APIC_EOI, 0 }, { APIC_SPIV, 0x3ff }, { APIC_ESR, 0 },
		{ APIC_ICR, 0xffffffff000cdfff }, { APIC_LVTT, 0x75 << 12 | 0xff },
		{ APIC_LVTTHMR, 0x157ff }, { APIC_LVTPC, 0x157ff }, { APIC_LVT0, 0x1f7ff },
		{ APIC_LVT1, 0x1f7ff }, { APIC_LVTERR, 0x150ff }, { APIC_TMICT, 0xffffffff },
		{ APIC_TDCR, 0xb }, { APIC_SELF_IPI, 0xff },
	};
	unsigned int i, bit;

	x2apic(self->vcpu);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		for (bit = 0; bit < 64; bit++)
			EXPECT_EQ(!(regs[i].legal >> bit & 1),
				  wr(self->vcpu, regs[i].reg, 1ULL << bit))
				TH_LOG("register %#x bit %u", regs[i].reg, bit);
}

TEST_F(apic, x2apic_ids_and_logical_ids_follow_from_the_vcpu_id)
{
	struct vcpu *vcpu = world_add_vcpu(self->vm, 0x123);
	u64 val;

	apic_write(vcpu, APIC_ID, 0x55 << 24);
	x2apic(vcpu);
	ASSERT_EQ(0, rd(vcpu, APIC_ID, &val));
	EXPECT_EQ(0x123, val);
	ASSERT_EQ(0, rd(vcpu, APIC_LDR, &val));
	EXPECT_EQ(0x12 << 16 | 1 << 3, val);
}

TEST_F(apic, x2apic_icr_is_one_register_of_64_bits)
{
	u64 val;
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		x2apic(self->vm->vcpus[i]);
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 2ULL << 32 | 0x41));
	ASSERT_EQ(0, rd(self->vcpu, APIC_ICR, &val));
	EXPECT_EQ(2ULL << 32 | 0x41, val);
	EXPECT_EQ(1 << 2, who_has(self->vm, 0x41));
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0x0000000aULL << 32 | APIC_DEST_LOGICAL | 0x42));
	EXPECT_EQ(1 << 1 | 1 << 3, who_has(self->vm, 0x42));
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0x0001000aULL << 32 | APIC_DEST_LOGICAL | 0x42));
	EXPECT_EQ(0, who_has(self->vm, 0x42));
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0xffffffffULL << 32 | 0x43));
	EXPECT_EQ(0xf, who_has(self->vm, 0x43));
	/* 255 is an id like others */
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0xffULL << 32 | 0x44));
	EXPECT_EQ(0, who_has(self->vm, 0x44));
	ASSERT_EQ(0, wr(self->vcpu, APIC_SELF_IPI, 0x45));
	EXPECT_EQ(1 << 0, who_has(self->vm, 0x45));
}

TEST_F(apic, x2apic_clusters_of_16)
{
	struct vm *vm = self->vm;
	int i;

	for (i = NR_VCPUS; i < 20; i++)
		world_add_vcpu(vm, i);
	for (i = 0; i < 20; i++) {
		x2apic(vm->vcpus[i]);
		wr(vm->vcpus[i], APIC_SPIV, ENABLED(0xff));
	}
	wr(self->vcpu, APIC_ICR, 0x00018001ULL << 32 | APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 16, who_has(vm, 0x41));
	wr(self->vcpu, APIC_ICR, 0x00008001ULL << 32 | APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 15 | 1 << 0, who_has(vm, 0x41));
	wr(self->vcpu, APIC_ICR, 0x0001ffffULL << 32 | APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xf << 16, who_has(vm, 0x41));
}

TEST_F(apic, an_id_beyond_eight_bits_can_be_started_from_x2apic)
{
	struct vcpu *far = world_add_vcpu(self->vm, 0x102);

	x2apic(self->vcpu);
	wr(self->vcpu, APIC_ICR, 0x102ULL << 32 | APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_TRUE(vcpu_take_request(far, REQ_APIC_STATE));
	EXPECT_FALSE(vcpu_take_request(self->vm->vcpus[2], REQ_APIC_STATE));
	wr(self->vcpu, APIC_ICR, 2ULL << 32 | APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_FALSE(vcpu_take_request(far, REQ_APIC_STATE));
	EXPECT_TRUE(vcpu_take_request(self->vm->vcpus[2], REQ_APIC_STATE));
}

/* Put a vCPU into some configuration that software could choose, sensible or not. */
static void configure_at_random(struct vcpu *vcpu)
{
	u64 base = vcpu->apic_base & ~(XAPIC_ENABLE | X2APIC_ENABLE);
	static const u64 modes[] = { 0, XAPIC_ENABLE, XAPIC_ENABLE, XAPIC_ENABLE | X2APIC_ENABLE };

	if (!(rand() % 4))
		assert(!lapic_set_base(vcpu, base | modes[rand() % 4], true));
	if (vcpu->apic_base & X2APIC_ENABLE) {
		wr(vcpu, APIC_SPIV, rand() % 8 ? ENABLED(0xff) : 0xff);
		return;
	}
	if (!(vcpu->apic_base & XAPIC_ENABLE))
		return;
	apic_write(vcpu, APIC_SPIV, rand() % 8 ? ENABLED(0xff) : 0xff);
	if (!(rand() % 4))
		apic_write(vcpu, APIC_DFR, rand() % 4 ? ~0u : 0);
	if (!(rand() % 2))
		apic_write(vcpu, APIC_LDR, rand() % 2 ? 1u << (24 + rand() % 8) :
							(u32)rand() << 24);
	if (!(rand() % 16))
		apic_write(vcpu, APIC_ID, (u32)rand() % 32 << 24);
}

static void clear_irr(struct vcpu *vcpu)
{
	struct kvm_lapic_state state;

	assert(!lapic_get_state(vcpu, &state));
	memset(state.regs + APIC_IRR, 0, APIC_ESR - APIC_IRR);
	assert(!lapic_set_state(vcpu, &state));
}

static unsigned int who_is_kicked(struct vm *vm, const struct apic_msg *msg)
{
	unsigned int who = 0;
	int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		vm->vcpus[i]->kicks = 0;
	lapic_deliver(vm, NULL, msg);
	for (i = 0; i < vm->nr_vcpus; i++)
		who |= !!vm->vcpus[i]->kicks << i;
	return who;
}

/* SDM 3A "Determining IPI Destination", said once more, from the registers alone. */
static bool is_meant(struct vcpu *vcpu, const struct apic_msg *msg)
{
	struct kvm_lapic_state state;
	const u32 *regs = (u32 *)state.regs;
	bool x2 = vcpu->apic_base & X2APIC_ENABLE;
	u32 id, ldr, dest = msg->dest;

	assert(!lapic_get_state(vcpu, &state));
	id = x2 || vcpu->id > 0xfe ? vcpu->id : regs[APIC_ID / 4] >> 24;
	ldr = regs[APIC_LDR / 4];
	if (!(vcpu->apic_base & XAPIC_ENABLE))
		return false;
	if (msg->delivery == APIC_DM_FIXED && !(regs[APIC_SPIV / 4] & APIC_SPIV_APIC_ENABLED))
		return false;
	if (!msg->logical)
		return dest == id || (!x2 && dest == 0xff);
	if (x2)
		return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
	if (dest > 0xff)
		return false;
	if (dest == 0xff)
		return true;
	if (regs[APIC_DFR / 4] == ~0u)
		return ldr >> 24 & dest;
	return ldr >> 28 == dest >> 4 && ldr >> 24 & dest & 0xf;
}

TEST_F(apic, in_any_configuration_a_message_reaches_those_it_means)
{
	struct vm *vm = self->vm;
	struct apic_msg msg;
	unsigned int round, i, want, found = 0;

	world_add_vcpu(vm, 0x11);
	world_add_vcpu(vm, 0x102);
	world_add_vcpu(vm, 0x09);	/* not in order */
	srand(2);
	for (round = 0; round < 20000; round++) {
		/* long stretches in which all are in the same mode, too */
		if (round % 512 < 32)
			configure_at_random(vm->vcpus[rand() % vm->nr_vcpus]);
		if (round == 10000)	/* back to ids that nobody has moved */
			for (i = 0; i < vm->nr_vcpus; i++)
				lapic_reset(vm->vcpus[i], false);
		vm->apic_ids_moved &= round != 10000;
		msg = (struct apic_msg) {
			.dest = (u32[]){ rand() % 8, rand() % 32, rand() % 256, 0x100 + rand() % 4,
					 (u32)rand() % 32 << 16 | rand() % 64, 0xff }[rand() % 6],
			.delivery = rand() % 2 ? APIC_DM_FIXED : APIC_DM_NMI,
			.logical = rand() % 2,
			.vector = 0x41,
		};
		for (want = i = 0; i < vm->nr_vcpus; i++)
			want |= is_meant(vm->vcpus[i], &msg) << i;
		ASSERT_EQ(want, who_is_kicked(vm, &msg))
			TH_LOG("round %u: dest %#x logical %d delivery %#x", round, msg.dest,
			       msg.logical, msg.delivery);
		for (i = 0; i < vm->nr_vcpus; i++)
			clear_irr(vm->vcpus[i]);
		found += !!want;
	}
	EXPECT_LT(4000, found);
}

/* Documentation/virt/kvm/x86/hypercalls.rst "KVM_HC_SEND_IPI" */
TEST_F(apic, the_ipi_hypercall)
{
	struct vcpu *far = world_add_vcpu(self->vm, 0x52);

	apic_enable(far);
	EXPECT_EQ(2, lapic_send_ipis(self->vm, 0x5, 0, 1, 0x41));
	EXPECT_EQ(1 << 1 | 1 << 3, who_has(self->vm, 0x41));
	EXPECT_EQ(1, lapic_send_ipis(self->vm, 1ULL << 63, 1ULL << 16, 2, 0x41));
	EXPECT_EQ(1 << 4, who_has(self->vm, 0x41));
	EXPECT_EQ(1, lapic_send_ipis(self->vm, 1, 0, 2, APIC_DM_NMI));
	EXPECT_EQ(1, self->vm->vcpus[2]->nmis);
	EXPECT_EQ(0, lapic_send_ipis(self->vm, ~0ULL, ~0ULL, 0x60, 0x41));
	EXPECT_EQ(0, lapic_send_ipis(self->vm, 2, 0, ~0u, 0x41));
	EXPECT_EQ(-KVM_EINVAL, lapic_send_ipis(self->vm, 1, 0, 0, APIC_DEST_LOGICAL | 0x41));
	EXPECT_EQ(-KVM_EINVAL, lapic_send_ipis(self->vm, 1, 0, 0, APIC_DEST_SELF | 0x41));
	EXPECT_EQ(-KVM_EINVAL, lapic_send_ipis(self->vm, 1, 0, 0, APIC_DEST_ALLBUT | 0x41));
}

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
	assert(!lapic_msr_write(vcpu, MSR_IA32_TSC_DEADLINE, tsc));
}

static u64 armed_for(struct vcpu *vcpu)
{
	u64 tsc = 1;

	assert(!lapic_msr_read(vcpu, MSR_IA32_TSC_DEADLINE, &tsc));
	return tsc;
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
	EXPECT_EQ(0xffff0000, apic_read(self->vcpu, APIC_IRR));
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

TEST(without_a_local_apic_the_msrs_fault_and_the_base_still_moves)
{
	struct vm *vm = world_vm(IRQCHIP_NONE, 1);
	struct vcpu *vcpu = vm->vcpus[0];
	u64 val;

	EXPECT_FALSE(lapic_mmio_hit(vcpu, 0xfee00000));
	EXPECT_EQ(1, lapic_msr_read(vcpu, 0x803, &val));
	EXPECT_EQ(1, lapic_msr_write(vcpu, 0x808, 0));
	EXPECT_EQ(0, lapic_msr_read(vcpu, MSR_IA32_TSC_DEADLINE, &val));
	EXPECT_EQ(0, val);
	EXPECT_EQ(0, lapic_msr_write(vcpu, MSR_IA32_TSC_DEADLINE, 5));
	EXPECT_EQ(0, lapic_msr_write(vcpu, MSR_IA32_APICBASE, 0xd0000000 | XAPIC_ENABLE));
	EXPECT_EQ(0, lapic_msr_read(vcpu, MSR_IA32_APICBASE, &val));
	EXPECT_EQ(0xd0000000 | XAPIC_ENABLE, val);
	EXPECT_EQ(-1, irq_pending(vcpu));
	EXPECT_EQ(-1, irq_ack(vcpu));
	world_free(vm);
}

TEST_HARNESS_MAIN
