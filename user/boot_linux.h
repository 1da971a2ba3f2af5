/* SPDX-License-Identifier: GPL-2.0 */
/* Linux by the 64-bit boot protocol. */
#ifndef VITRO_BOOT_LINUX_H
#define VITRO_BOOT_LINUX_H

#include "bzimage.h"
#include "memory.h"

struct boot {
	const char *kernel_path, *initrd_path;
	int kernel, initrd;		/* open files; initrd -1: none */
	u64 initrd_size;
	struct bzimage image;
	char *cmdline;
};

/* Registers of the boot CPU at the kernel's first instruction. */
struct boot_entry {
	u64 rip, rsi, cr3;
	u64 gdt;
	u16 gdt_limit;
};

void boot_open(struct boot *boot, const char *kernel, const char *initrd, const char *append);
void boot_load(const struct boot *boot, const struct memory *mem, gpa_t rsdp,
	       struct boot_entry *entry);

#endif /* VITRO_BOOT_LINUX_H */
