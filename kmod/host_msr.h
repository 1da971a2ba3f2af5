/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs that only host user mode depends on: the guest's value may stay until then. */
#ifndef VITRO_HOST_MSR_H
#define VITRO_HOST_MSR_H

#include "types.h"

enum host_msr { HOST_MSR_TSC_AUX, NR_HOST_MSRS };

void host_msr_module_init(void);
void host_msr_load(enum host_msr slot, u64 val);
void host_msr_restore(void);

#endif /* VITRO_HOST_MSR_H */
