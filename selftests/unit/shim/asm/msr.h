/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/msr.h>; the test has the registers. */
#ifndef SHIM_ASM_MSR
#define SHIM_ASM_MSR

#include <asm/msr-index.h>

unsigned long long host_rdmsr(unsigned int index);
void host_wrmsr(unsigned int index, unsigned long long val);

#define rdmsrl(index, val)	((val) = host_rdmsr(index))
#define rdmsrl_safe(index, ptr)	(*(ptr) = host_rdmsr(index), 0)
#define wrmsrl(index, val)	host_wrmsr(index, val)

#endif
