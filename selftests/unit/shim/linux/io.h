/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/io.h>. */
#ifndef SHIM_IO_H
#define SHIM_IO_H

/* As with <linux/gfp.h>: the test has them. */
unsigned long virt_to_phys(const volatile void *address);
void *phys_to_virt(unsigned long address);

#endif
