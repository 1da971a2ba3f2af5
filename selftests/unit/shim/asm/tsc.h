/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/tsc.h>; the test has the TSC. */
#ifndef SHIM_ASM_TSC
#define SHIM_ASM_TSC

extern unsigned int tsc_khz;

unsigned long long rdtsc(void);
unsigned long long rdtsc_ordered(void);
int check_tsc_unstable(void);

#endif
