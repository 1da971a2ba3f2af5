/* SPDX-License-Identifier: GPL-2.0 */
/* The ACPI tables by which the guest learns what machine it is on. */
#ifndef VITRO_ACPI_H
#define VITRO_ACPI_H

#include "memory.h"

/* Where firmware would put them: between video memory and the BIOS. */
#define ACPI_BASE	0xe0000ULL
#define ACPI_SIZE	0x10000ULL

gpa_t acpi_build(const struct memory *mem, unsigned int cpus);

#endif /* VITRO_ACPI_H */
