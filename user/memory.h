/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory, and where everything lies in the guest's physical space:
 *
 *   0        .. 3 GiB         RAM, the first 3 GiB of it
 *   3 GiB    .. 0xfeb00000    PCI's BARs
 *   0xfeb00000                PCI's configuration space, bus 0
 *   0xfec00000                I/O APIC
 *   0xfee00000                local APICs
 *   0xfffbc000                KVM's own four pages (Intel without unrestricted guest)
 *   4 GiB    ..               the rest of the RAM
 */
#ifndef VITRO_MEMORY_H
#define VITRO_MEMORY_H

#include "util.h"

#define MEM_PCI_HOLE	(3 * GIB)
#define MEM_HIGH	(4 * GIB)
#define MEM_ECAM	0xfeb00000ULL
#define MEM_ECAM_SIZE	(1 * MIB)	/* a bus of 32 slots with 8 functions each */
#define MEM_IOAPIC	0xfec00000ULL
#define MEM_LAPIC	0xfee00000ULL
#define MEM_KVM_IDMAP	0xfffbc000ULL
#define MEM_KVM_TSS	(MEM_KVM_IDMAP + PAGE_SIZE)
#define MEM_MIN		(16 * MIB)

struct memory_range {
	gpa_t base;
	u64 size;		/* 0: not there */
	u8 *hva;
};

struct memory {
	struct memory_range range[2];	/* below and above the PCI hole */
	void *mapping;
	u64 mapping_size;
};

void memory_create(struct memory *mem, u64 size, bool hugepages);
void memory_destroy(struct memory *mem);
void *guest_ptr(const struct memory *mem, gpa_t gpa, u64 len);

#endif /* VITRO_MEMORY_H */
