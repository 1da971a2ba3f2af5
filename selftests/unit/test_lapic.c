// SPDX-License-Identifier: GPL-2.0
/*
 * irq/lapic.c and irq/lapic_irq.c against the manual: SDM 3A "Advanced
 * Programmable Interrupt Controller (APIC)": registers, priorities, modes.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <asm/msr-index.h>
#include "test_lapic.h"

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

/* Two senders of one vector, each a level: whoever comes first, a level it is. */
static struct { struct vm *vm; atomic_uint round, done; } race;
enum { RACES = 20000 };

static void wait_for(atomic_uint *number, unsigned int value)
{
	for (unsigned int i = 1; atomic_load(number) != value; i++)
		if (i % 1024)
			__builtin_ia32_pause();
		else
			sched_yield();
}

static void send_level(void)
{
	irq_send_msi(race.vm, &(struct kvm_msi) {
		.address_lo = 0xfee00000, .data = 0x51 | APIC_INT_LEVELTRIG });
}

static void *other_sender(void *arg)
{
	for (unsigned int round = 1; round <= RACES; round++) {
		wait_for(&race.round, round);
		send_level();
		atomic_store(&race.done, round);
	}
	return NULL;
}

TEST_F(apic, two_levels_at_once_are_a_level)
{
	unsigned int round, delay, edges = 0;
	pthread_t thread;

	race.vm = self->vm;
	ASSERT_EQ(0, pthread_create(&thread, NULL, other_sender, NULL));
	for (round = 1; round <= RACES; round++) {
		apic_interrupt(self->vcpu, 0x51);
		irq_ack(self->vcpu);
		apic_write(self->vcpu, APIC_EOI, 0);
		atomic_store(&race.round, round);
		for (delay = 0; delay < round % 256; delay++)
			asm volatile("nop");
		send_level();
		wait_for(&race.done, round);
		edges += !apic_bit(self->vcpu, APIC_TMR, 0x51);
		while (irq_ack(self->vcpu) >= 0)
			apic_write(self->vcpu, APIC_EOI, 0);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, edges);
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

TEST(without_a_local_apic_the_msrs_fault_and_the_base_still_moves)
{
	struct vm *vm = world_vm(IRQCHIP_NONE, 1);
	struct vcpu *vcpu = vm->vcpus[0];
	u64 val;

	EXPECT_FALSE(lapic_mmio_hit(vcpu, 0xfee00000));
	EXPECT_EQ(1, lapic_msr_read(vcpu, 0x803, &val));
	EXPECT_EQ(1, lapic_msr_write(vcpu, 0x808, 0));
	lapic_set_tscdeadline(vcpu, 5);
	EXPECT_EQ(0, lapic_get_tscdeadline(vcpu));
	EXPECT_EQ(0, lapic_set_base(vcpu, 0xd0000000 | XAPIC_ENABLE, false));
	EXPECT_EQ(0xd0000000 | XAPIC_ENABLE, vcpu->apic_base);
	EXPECT_EQ(-1, irq_pending(vcpu));
	EXPECT_EQ(-1, irq_ack(vcpu));
	world_free(vm);
}

TEST_HARNESS_MAIN
