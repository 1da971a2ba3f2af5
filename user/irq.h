/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts on their way to KVM: lines to the PICs and the I/O APIC, and
 * messages (MSI) to the local APICs.  Both are a GSI in KVM's routing table:
 *
 *   GSI 0..15    ISA: 8259 input n and I/O APIC pin n, but IRQ 0 on pin 2
 *   GSI 16..23   PCI INTx: I/O APIC pin n
 *   GSI 24..     messages, in the order in which devices asked for them
 */
#ifndef VITRO_IRQ_H
#define VITRO_IRQ_H

#include <pthread.h>

#include "kvm.h"

#define IRQ_SERIAL	4
#define IRQ_RTC		8
#define IRQ_SCI		9
#define IRQ_PCI_FIRST	16
#define IRQ_PCI_COUNT	8
#define IRQ_PINS	24
#define IRQ_MAX_MSI	96

struct irq_router {
	const struct kvm *kvm;
	pthread_mutex_t lock;		/* innermost: nothing is locked under it */
	u32 asserted[IRQ_PINS];		/* lock; a bit a device that shares the line */
	unsigned int nr_msi;		/* handed out, all before the first vCPU runs */
	struct {
		bool used;
		u64 address;
		u32 data;
	} msi[IRQ_MAX_MSI];		/* lock */
};

void irq_init(struct irq_router *irq, const struct kvm *kvm);
void irq_reset(struct irq_router *irq);
void irq_line(struct irq_router *irq, unsigned int gsi, unsigned int source, bool level);
unsigned int irq_msi_alloc(struct irq_router *irq, unsigned int count);
void irq_msi_route(struct irq_router *irq, unsigned int gsi, u64 address, u32 data);

#endif /* VITRO_IRQ_H */
