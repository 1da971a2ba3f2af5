/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of the local APIC share: four vCPUs with enabled APICs, and how a guest talks to them. */
#ifndef TEST_LAPIC_H
#define TEST_LAPIC_H

#include <stdlib.h>
#include <asm/apicdef.h>
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

static inline void x2apic(struct vcpu *vcpu)
{
	assert(!lapic_set_base(vcpu, vcpu->apic_base | X2APIC_ENABLE, false));
}

static inline int rd(struct vcpu *vcpu, unsigned int reg, u64 *val)
{
	return lapic_msr_read(vcpu, X2(reg), val);
}

static inline int wr(struct vcpu *vcpu, unsigned int reg, u64 val)
{
	return lapic_msr_write(vcpu, X2(reg), val);
}

static inline void ipi(struct vcpu *vcpu, u8 dest, u32 icr)
{
	apic_write(vcpu, APIC_ICR2, (u32)dest << 24);
	apic_write(vcpu, APIC_ICR, icr);
}

/* Which vCPUs have a vector in their IRR; and take it out again. */
static inline unsigned int who_has(struct vm *vm, u8 vector)
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

static inline u32 esr(struct vcpu *vcpu)
{
	apic_write(vcpu, APIC_ESR, 0);
	return apic_read(vcpu, APIC_ESR);
}

#endif
