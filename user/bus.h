/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An address space of devices: one for I/O ports, one for MMIO.
 *
 * Every vCPU looks regions up at each exit, and the guest moves a PCI BAR
 * once in its life.  So lookups take no lock: they search the sorted array
 * under a sequence count and try again when a change came in between.
 * Regions live as long as the machine, so a late reader meets no freed one.
 */
#ifndef VITRO_BUS_H
#define VITRO_BUS_H

#include <pthread.h>

#include "util.h"

#define BUS_MAX_REGIONS 64

struct bus_ops {
	/* @len is 1 to the region's width; [@offset, @offset + @len) lies in it */
	u64 (*read)(void *dev, u64 offset, unsigned int len);
	void (*write)(void *dev, u64 offset, unsigned int len, u64 value);
};

struct bus_region {
	const struct bus_ops *ops;
	void *dev;
	u64 size;
	unsigned int width;	/* widest access the device knows, in bytes */
	bool mapped;		/* bus.lock */
	u64 base;		/* bus.lock and bus.seq */
};

struct bus {
	pthread_mutex_t lock;	/* taken by whoever maps and unmaps */
	unsigned int seq;	/* odd while the array changes */
	unsigned int count;	/* seq */
	struct bus_region *region[BUS_MAX_REGIONS];	/* seq; sorted by base */
};

void bus_init(struct bus *bus);
void bus_map(struct bus *bus, struct bus_region *region, u64 base);
void bus_unmap(struct bus *bus, struct bus_region *region);
void bus_access(struct bus *bus, u64 addr, u8 *data, unsigned int len, bool write);

#endif /* VITRO_BUS_H */
