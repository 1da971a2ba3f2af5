// SPDX-License-Identifier: GPL-2.0
/*
 * PCI Local Bus Specification 3.0, "Configuration Space"; PCI Firmware
 * Specification 3.0, "Enhanced Configuration Access Method".
 */
#include <string.h>

#include "pci.h"

enum {
	CONFIG_ADDRESS = 0,	/* 0xcf8 */
	RESET_CONTROL = 1,	/* 0xcf9, a byte in the middle of it */
	CONFIG_DATA = 4,	/* 0xcfc */
	CONFIG_ENABLE = 1U << 31,
	CONFIG_BUS_FUNCTION = 0x00ff0700,
	CONFIG_SLOT_SHIFT = 11,
	CONFIG_REGISTER = 0xfc,
	ECAM_SLOT_SHIFT = 15, ECAM_FUNCTION = 0x7000, ECAM_EXTENDED = 0xf00,
	RESET_CPU = 1 << 2,	/* Intel ICH data sheet, "Reset Control Register" */

	VENDOR_REDHAT = 0x1b36,
	DEVICE_HOST_BRIDGE = 0x0008,
	CLASS_HOST_BRIDGE = 0x060000 << 8,

	FIRST_CAP = 0x40,
	BAR_SPACING = 0x10000,	/* between the BARs of two slots, after reset */
};

static void set16(u8 *p, u16 value)
{
	memcpy(p, &value, sizeof(value));
}

static void set32(u8 *p, u32 value)
{
	memcpy(p, &value, sizeof(value));
}

/* Let the BAR answer where config space says, or not at all. */
static void pci_update_bar(struct pci_device *dev)
{
	bool on = pci_get16(dev, PCI_COMMAND) & PCI_COMMAND_MEMORY;
	u32 base;

	if (!dev->bar.size)
		return;
	memcpy(&base, dev->config + PCI_BASE_ADDRESS_0, sizeof(base));
	base &= PCI_BASE_ADDRESS_MEM_MASK;
	if (on == dev->bar.mapped && (!on || dev->bar.base == base))
		return;
	if (on)
		bus_map(dev->bus->mmio, &dev->bar, base);
	else
		bus_unmap(dev->bus->mmio, &dev->bar);
	dev->ops->bar_moved(dev);
}

static u32 pci_config_read(struct pci_device *dev, unsigned int offset, unsigned int len)
{
	u32 value = ~0U;

	if (!dev || offset + len > PCI_CONFIG_SIZE)
		return value;
	if (dev->ops)
		dev->ops->before_read(dev, offset, len);
	memcpy(&value, dev->config + offset, len);
	return value;
}

static void pci_config_write(struct pci_device *dev, unsigned int offset, unsigned int len,
			     u32 value)
{
	if (!dev || offset + len > PCI_CONFIG_SIZE)
		return;
	for (unsigned int i = 0; i < len; i++) {
		u8 *config = &dev->config[offset + i], may = dev->writable[offset + i];

		*config = (*config & ~may) | (value >> 8 * i & may);
	}
	pci_update_bar(dev);
	if (dev->ops)
		dev->ops->written(dev, offset, len);
}

/*
 * Configuration by ports.  What 0xcf8 holds:
 *
 *   31      30..24  23..16  15..11  10..8     7..2      1..0
 *   enable  -       bus     slot    function  register  -
 */
static struct pci_device *pci_port_target(struct pci_bus *bus)
{
	bool here = (bus->address & CONFIG_ENABLE) && !(bus->address & CONFIG_BUS_FUNCTION);

	return here ? bus->slot[bus->address >> CONFIG_SLOT_SHIFT & (PCI_SLOTS - 1)] : NULL;
}

static unsigned int pci_port_register(const struct pci_bus *bus, u64 offset)
{
	return (bus->address & CONFIG_REGISTER) + (offset - CONFIG_DATA);
}

static u64 pci_port_read(void *opaque, u64 offset, unsigned int len)
{
	struct pci_bus *bus = opaque;
	u64 value = ~0ULL;

	pthread_mutex_lock(&bus->lock);
	if (offset >= CONFIG_DATA)
		value = pci_config_read(pci_port_target(bus), pci_port_register(bus, offset), len);
	else if (offset == CONFIG_ADDRESS && len == 4)
		value = bus->address;
	else if (offset == RESET_CONTROL && len == 1)
		value = bus->reset_control;
	pthread_mutex_unlock(&bus->lock);
	return value;
}

static void pci_port_write(void *opaque, u64 offset, unsigned int len, u64 value)
{
	struct pci_bus *bus = opaque;

	pthread_mutex_lock(&bus->lock);
	if (offset >= CONFIG_DATA) {
		pci_config_write(pci_port_target(bus), pci_port_register(bus, offset), len, value);
	} else if (offset == CONFIG_ADDRESS && len == 4) {
		bus->address = value;
	} else if (offset == RESET_CONTROL && len == 1) {
		bus->reset_control = value & ~RESET_CPU;
		if (value & RESET_CPU)
			bus->reset(bus->reset_arg);
	}
	pthread_mutex_unlock(&bus->lock);
}

static const struct bus_ops pci_port_ops = { pci_port_read, pci_port_write };

/* Configuration by memory, PCI Express' way: a page a function. */
static struct pci_device *pci_ecam_target(struct pci_bus *bus, u64 offset)
{
	bool here = !(offset & (ECAM_FUNCTION | ECAM_EXTENDED));

	return here ? bus->slot[offset >> ECAM_SLOT_SHIFT] : NULL;
}

static u64 pci_ecam_read(void *opaque, u64 offset, unsigned int len)
{
	struct pci_bus *bus = opaque;
	u64 value;

	pthread_mutex_lock(&bus->lock);
	value = pci_config_read(pci_ecam_target(bus, offset), offset % PCI_CONFIG_SIZE, len);
	pthread_mutex_unlock(&bus->lock);
	return value;
}

static void pci_ecam_write(void *opaque, u64 offset, unsigned int len, u64 value)
{
	struct pci_bus *bus = opaque;

	pthread_mutex_lock(&bus->lock);
	pci_config_write(pci_ecam_target(bus, offset), offset % PCI_CONFIG_SIZE, len, value);
	pthread_mutex_unlock(&bus->lock);
}

static const struct bus_ops pci_ecam_ops = { pci_ecam_read, pci_ecam_write };

/**
 * pci_identify() - fill in the registers that every device has.
 * @dev: all zero.
 * @vendor: vendor id, also as subsystem.
 * @device: device id, also as subsystem.
 * @class_revision: class code in bits 31:8, revision in bits 7:0.
 */
void pci_identify(struct pci_device *dev, u16 vendor, u16 device, u32 class_revision)
{
	u8 *config = dev->reset_config;

	set16(config + PCI_VENDOR_ID, vendor);
	set16(config + PCI_DEVICE_ID, device);
	set32(config + PCI_CLASS_REVISION, class_revision);
	set16(config + PCI_SUBSYSTEM_VENDOR_ID, vendor);
	set16(config + PCI_SUBSYSTEM_ID, device);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_LATENCY_TIMER] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;
	set16(dev->writable + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
					   PCI_COMMAND_INTX_DISABLE);
	dev->last_cap = PCI_CAPABILITY_LIST;
}

/**
 * pci_add_capability() - append to the capability list.
 * @dev: identified device.
 * @id: PCI_CAP_ID_*.
 * @size: bytes, with the two bytes of the list.
 *
 * Return: the capability in reset_config, id and next filled in.
 */
u8 *pci_add_capability(struct pci_device *dev, u8 id, unsigned int size)
{
	unsigned int last = dev->last_cap;
	unsigned int at = FIRST_CAP;
	u8 *config = dev->reset_config;

	if (last != PCI_CAPABILITY_LIST) {
		/* The byte that will link to the next one holds the size meanwhile. */
		at = ALIGN_UP(last + config[last + PCI_CAP_LIST_NEXT], 4);
		config[last + PCI_CAP_LIST_NEXT] = at;
	} else {
		config[PCI_CAPABILITY_LIST] = at;
		config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	}
	config[at + PCI_CAP_LIST_ID] = id;
	config[at + PCI_CAP_LIST_NEXT] = size;
	dev->last_cap = at;
	return config + at;
}

static void pci_place(struct pci_bus *bus, struct pci_device *dev, unsigned int slot)
{
	u8 *config = dev->reset_config;

	dev->bus = bus;
	dev->slot = slot;
	bus->slot[slot] = dev;
	if (dev->last_cap != PCI_CAPABILITY_LIST)
		config[dev->last_cap + PCI_CAP_LIST_NEXT] = 0;
	if (!dev->bar.size)
		return;
	/* What firmware would do: an address, an interrupt, decoding enabled. */
	set32(config + PCI_BASE_ADDRESS_0, MEM_PCI_HOLE + slot * BAR_SPACING);
	set32(dev->writable + PCI_BASE_ADDRESS_0, -dev->bar.size);
	set16(config + PCI_COMMAND, PCI_COMMAND_MEMORY);
	config[PCI_INTERRUPT_PIN] = 1;
	config[PCI_INTERRUPT_LINE] = pci_gsi(slot);
}

/**
 * pci_add() - plug a device into the next free slot.
 * @bus: bus.
 * @dev: identified, with its capabilities, ops and BAR; lives as long as @bus.
 *
 * Return: false when all slots are taken.
 */
bool pci_add(struct pci_bus *bus, struct pci_device *dev)
{
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		if (bus->slot[slot])
			continue;
		pci_place(bus, dev, slot);
		return true;
	}
	return false;
}

/**
 * pci_reset() - the machine's reset: as firmware leaves the bus.
 * @bus: bus, with no vCPU running.
 */
void pci_reset(struct pci_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->address = 0;
	bus->reset_control = 0;
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_device *dev = bus->slot[slot];

		if (!dev)
			continue;
		memcpy(dev->config, dev->reset_config, sizeof(dev->config));
		if (dev->ops)
			dev->ops->written(dev, 0, sizeof(dev->config));
		pci_update_bar(dev);
	}
	pthread_mutex_unlock(&bus->lock);
}

/**
 * pci_init() - a bus with its host bridge.
 * @bus: to be filled.
 * @pio: where the configuration ports go.
 * @mmio: where BARs go.
 * @reset: called when the guest resets the machine by port 0xcf9.
 * @reset_arg: its argument.
 */
void pci_init(struct pci_bus *bus, struct bus *pio, struct bus *mmio,
	      void (*reset)(void *arg), void *reset_arg)
{
	memset(bus, 0, sizeof(*bus));
	pthread_mutex_init(&bus->lock, NULL);
	bus->mmio = mmio;
	bus->reset = reset;
	bus->reset_arg = reset_arg;
	bus->ports = (struct bus_region){
		.ops = &pci_port_ops, .dev = bus, .size = PCI_PORTS, .width = 4,
	};
	bus->ecam = (struct bus_region){
		.ops = &pci_ecam_ops, .dev = bus, .size = MEM_ECAM_SIZE, .width = 4,
	};
	bus_map(pio, &bus->ports, PCI_PORT);
	bus_map(mmio, &bus->ecam, MEM_ECAM);
	pci_identify(&bus->host_bridge, VENDOR_REDHAT, DEVICE_HOST_BRIDGE,
		     CLASS_HOST_BRIDGE);
	pci_add(bus, &bus->host_bridge);
}
