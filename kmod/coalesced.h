/* SPDX-License-Identifier: GPL-2.0 */
/* Coalesced MMIO and PIO: writes collected in a ring for user space. */
#ifndef VITRO_COALESCED_H
#define VITRO_COALESCED_H

#include <linux/kvm.h>
#include "types.h"

struct vm;

bool coalesced_write(struct vm *vm, bool pio, gpa_t addr, const void *data, unsigned int len);
int coalesced_register(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone);
int coalesced_unregister(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone);
void coalesced_destroy(struct vm *vm);

#endif /* VITRO_COALESCED_H */
