// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "irq.h"

#define PIC_INPUTS	8	/* of each of the two 8259s */
#define ISA_IRQS	16
#define CASCADE		2	/* where the second 8259 sits on the first */

/**
 * irq_init() - a router without a VM.
 * @irq: to be filled.
 * @kvm: whose VM it is going to serve.
 */
void irq_init(struct irq_router *irq, const struct kvm *kvm)
{
	memset(irq, 0, sizeof(*irq));
	irq->kvm = kvm;
	pthread_mutex_init(&irq->lock, NULL);
}

static unsigned int route_line(struct kvm_irq_routing_entry *e, unsigned int gsi)
{
	unsigned int n = 0;

	if (gsi < ISA_IRQS && gsi != CASCADE)
		e[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip.irqchip = gsi < PIC_INPUTS ? KVM_IRQCHIP_PIC_MASTER
							      : KVM_IRQCHIP_PIC_SLAVE,
			.u.irqchip.pin = gsi % PIC_INPUTS,
		};
	if (gsi != CASCADE)
		e[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC,
			.u.irqchip.pin = gsi ? gsi : CASCADE,
		};
	return n;
}

/* Tell KVM the whole table; it has no smaller step. */
static void irq_commit(struct irq_router *irq)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[ISA_IRQS + IRQ_PINS + IRQ_MAX_MSI];
	} table = { 0 };
	unsigned int n = 0;

	for (unsigned int gsi = 0; gsi < IRQ_PINS; gsi++)
		n += route_line(&table.entry[n], gsi);
	for (unsigned int i = 0; i < irq->nr_msi; i++) {
		if (!irq->msi[i].used)
			continue;
		table.entry[n++] = (struct kvm_irq_routing_entry){
			.gsi = IRQ_PINS + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi.address_lo = irq->msi[i].address,
			.u.msi.address_hi = irq->msi[i].address >> 32,
			.u.msi.data = irq->msi[i].data,
		};
	}
	table.head.nr = n;
	KVM_CALL(irq->kvm->vm, KVM_SET_GSI_ROUTING, &table.head);
}

/**
 * irq_reset() - all lines low, no messages routed; for a VM just created.
 * @irq: router.
 */
void irq_reset(struct irq_router *irq)
{
	pthread_mutex_lock(&irq->lock);
	memset(irq->asserted, 0, sizeof(irq->asserted));
	memset(irq->msi, 0, sizeof(irq->msi));
	irq_commit(irq);
	pthread_mutex_unlock(&irq->lock);
}

/**
 * irq_line() - a device drives its interrupt line.
 * @irq: router.
 * @gsi: below IRQ_PINS.
 * @source: 0 to 31, which of the devices on a shared line.
 * @level: asserted or not.
 */
void irq_line(struct irq_router *irq, unsigned int gsi, unsigned int source, bool level)
{
	u32 before, *asserted = &irq->asserted[gsi];

	pthread_mutex_lock(&irq->lock);
	before = *asserted;
	if (level)
		*asserted |= 1U << source;
	else
		*asserted &= ~(1U << source);
	if (!before != !*asserted && irq->kvm->vm >= 0) {
		struct kvm_irq_level line = { .irq = gsi, .level = level };

		KVM_CALL(irq->kvm->vm, KVM_IRQ_LINE, &line);
	}
	pthread_mutex_unlock(&irq->lock);
}

/**
 * irq_msi_alloc() - GSIs for a device's messages; none is routed yet.
 * @irq: router.
 * @count: messages.
 *
 * Return: the first of them.
 */
unsigned int irq_msi_alloc(struct irq_router *irq, unsigned int count)
{
	unsigned int gsi = IRQ_PINS + irq->nr_msi;

	irq->nr_msi += count;
	if (irq->nr_msi > IRQ_MAX_MSI)
		die("more than %d interrupt messages", IRQ_MAX_MSI);
	return gsi;
}

/**
 * irq_msi_route() - where a message goes from now on.
 * @irq: router.
 * @gsi: from irq_msi_alloc().
 * @address: that the device would write to.
 * @data: that it would write.
 */
void irq_msi_route(struct irq_router *irq, unsigned int gsi, u64 address, u32 data)
{
	unsigned int i = gsi - IRQ_PINS;

	pthread_mutex_lock(&irq->lock);
	if (!irq->msi[i].used || irq->msi[i].address != address || irq->msi[i].data != data) {
		irq->msi[i].used = true;
		irq->msi[i].address = address;
		irq->msi[i].data = data;
		irq_commit(irq);
	}
	pthread_mutex_unlock(&irq->lock);
}
