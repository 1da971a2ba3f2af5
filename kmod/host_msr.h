/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs that only host user mode depends on: the guest's value may stay until then. */
#ifndef VITRO_HOST_MSR_H
#define VITRO_HOST_MSR_H

#include "types.h"

enum host_msr {
	HOST_MSR_TSC_AUX,
	HOST_MSR_STAR, HOST_MSR_LSTAR, HOST_MSR_CSTAR, HOST_MSR_SYSCALL_MASK,	/* VT-x switches none of them */
	NR_HOST_MSRS
};

void host_msr_load(enum host_msr slot, u64 val);
void host_msr_restore(void);

#endif /* VITRO_HOST_MSR_H */
