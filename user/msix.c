// SPDX-License-Identifier: GPL-2.0
/*
 * PCI Local Bus Specification 3.0, "MSI-X Capability and Table Structures".
 *
 * A message that comes while its vector is masked is kept in the pending bit
 * array and goes out when the mask does.  KVM hears of a message when the
 * guest first unmasks it, so a vector that is never used costs nothing.
 */
#include <string.h>

#include "loop.h"
#include "msix.h"

/**
 * msix_init() - vectors for a device.
 * @msix: to be filled.
 * @irq: router.
 */
void msix_init(struct msix *msix, struct irq_router *irq)
{
	memset(msix, 0, sizeof(*msix));
	msix->irq = irq;
	msix->gsi = irq_msi_alloc(irq, MSIX_MAX);
	for (unsigned int v = 0; v < MSIX_MAX; v++)
		msix->fd[v] = event_create();
	msix_reset(msix);
}

static u32 entry_word(const struct msix *msix, unsigned int vector, unsigned int field)
{
	u32 word;

	memcpy(&word, msix->table + vector * PCI_MSIX_ENTRY_SIZE + field, sizeof(word));
	return word;
}

/**
 * msix_reset() - everything masked and off, for a machine without a VM.
 * @msix: vectors.
 */
void msix_reset(struct msix *msix)
{
	const u32 masked = PCI_MSIX_ENTRY_CTRL_MASKBIT;

	msix->enabled = msix->masked = false;
	msix->pending = 0;
	memset(msix->table, 0, sizeof(msix->table));
	for (unsigned int v = 0; v < MSIX_MAX; v++) {
		msix->tied[v] = false;
		event_drain(msix->fd[v]);
		memcpy(msix->table + v * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL,
		       &masked, sizeof(masked));
	}
}

static bool msix_open(const struct msix *msix, unsigned int vector)
{
	return msix->enabled && !msix->masked &&
	       !(entry_word(msix, vector, PCI_MSIX_ENTRY_VECTOR_CTRL) &
		 PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* Something about the vector changed: tell KVM, send what was pending. */
static void msix_update(struct msix *msix, unsigned int vector)
{
	u64 address = entry_word(msix, vector, PCI_MSIX_ENTRY_LOWER_ADDR) |
		      (u64)entry_word(msix, vector, PCI_MSIX_ENTRY_UPPER_ADDR) << 32;
	unsigned int gsi = msix->gsi + vector;

	if (!msix_open(msix, vector))
		return;
	irq_msi_route(msix->irq, gsi, address, entry_word(msix, vector, PCI_MSIX_ENTRY_DATA));
	if (!msix->tied[vector]) {
		kvm_irqfd(msix->irq->kvm, msix->fd[vector], gsi, true);
		msix->tied[vector] = true;
	}
	if (msix->pending & 1U << vector) {
		msix->pending &= ~(1U << vector);
		event_signal(msix->fd[vector]);
	}
}

/**
 * msix_control() - the guest wrote the capability's message control.
 * @msix: vectors; under the device's lock.
 * @flags: PCI_MSIX_FLAGS_*.
 */
void msix_control(struct msix *msix, u16 flags)
{
	msix->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	msix->masked = flags & PCI_MSIX_FLAGS_MASKALL;
	for (unsigned int v = 0; v < MSIX_MAX; v++)
		msix_update(msix, v);
}

/**
 * msix_table_write() - the guest wrote into the table.
 * @msix: vectors; under the device's lock.
 * @offset: below MSIX_TABLE_SIZE.
 * @len: bytes, up to 4, all in one entry and within the table.
 * @value: them.
 */
void msix_table_write(struct msix *msix, unsigned int offset, unsigned int len, u32 value)
{
	memcpy(msix->table + offset, &value, len);
	msix_update(msix, offset / PCI_MSIX_ENTRY_SIZE);
}

/**
 * msix_notify() - send a message, now or when it is unmasked.
 * @msix: vectors, enabled; under the device's lock.
 * @vector: below MSIX_MAX.
 */
void msix_notify(struct msix *msix, unsigned int vector)
{
	if (msix_open(msix, vector))
		event_signal(msix->fd[vector]);
	else
		msix->pending |= 1U << vector;
}
