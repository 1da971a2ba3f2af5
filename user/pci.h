/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI bus 0: a host bridge in slot 0, devices of one function and at most one
 * memory BAR in the others, configured through ports 0xcf8 and 0xcfc or through
 * memory.
 */
#ifndef VITRO_PCI_H
#define VITRO_PCI_H

#include <linux/pci_regs.h>
#include <pthread.h>

#include "bus.h"
#include "irq.h"

#define PCI_PORT	0xcf8
#define PCI_PORTS	8
#define PCI_SLOTS	32
#define PCI_CONFIG_SIZE	256

struct pci_device;

struct pci_ops {
	/* Bring config[] up to date before [@offset, @offset + @len) is read. */
	void (*before_read)(struct pci_device *dev, unsigned int offset, unsigned int len);
	/* [@offset, @offset + @len) was written, by the guest or by a reset. */
	void (*written)(struct pci_device *dev, unsigned int offset, unsigned int len);
	/* The BAR went to dev->bar.base, or away (dev->bar.mapped is false). */
	void (*bar_moved)(struct pci_device *dev);
};

struct pci_device {
	const struct pci_ops *ops;
	struct pci_bus *bus;
	unsigned int slot;
	unsigned int last_cap;		/* where the capability list ends so far */
	struct bus_region bar;		/* BAR 0; size 0: the device has none */
	u8 config[PCI_CONFIG_SIZE];	/* pci_bus.lock */
	u8 reset_config[PCI_CONFIG_SIZE];
	u8 writable[PCI_CONFIG_SIZE];	/* bits that the guest may change */
};

struct pci_bus {
	pthread_mutex_t lock;		/* outermost among the devices' locks */
	u32 address;			/* lock; what 0xcf8 was last told */
	u8 reset_control;		/* lock */
	struct bus_region ports, ecam;
	struct bus *mmio;
	struct pci_device *slot[PCI_SLOTS];
	struct pci_device host_bridge;
	void (*reset)(void *arg);	/* the guest asked for a reset by 0xcf9 */
	void *reset_arg;
};

void pci_init(struct pci_bus *bus, struct bus *pio, struct bus *mmio,
	      void (*reset)(void *arg), void *reset_arg);
void pci_reset(struct pci_bus *bus);
void pci_identify(struct pci_device *dev, u16 vendor, u16 device, u32 class_revision);
bool pci_add(struct pci_bus *bus, struct pci_device *dev);
u8 *pci_add_capability(struct pci_device *dev, u8 id, unsigned int size);

/* The INTx line of a slot, the way the DSDT's _PRT tells it to the guest. */
static inline unsigned int pci_gsi(unsigned int slot)
{
	return IRQ_PCI_FIRST + slot % IRQ_PCI_COUNT;
}

static inline u16 pci_get16(const struct pci_device *dev, unsigned int offset)
{
	return dev->config[offset] | dev->config[offset + 1] << 8;
}

#endif /* VITRO_PCI_H */
