/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/cpufeature.h>. */
#ifndef SHIM_ASM_CPUFEATURE
#define SHIM_ASM_CPUFEATURE

#include <stdbool.h>
#include <asm/cpufeatures.h>

/* The registers of CPUID that kmod/ looks at, in Linux' order. */
enum cpuid_leafs {
	CPUID_1_EDX = 0, CPUID_8000_0001_EDX = 1, CPUID_1_ECX = 4, CPUID_8000_0001_ECX = 6,
	CPUID_7_0_EBX = 9, CPUID_D_1_EAX = 10, CPUID_7_1_EAX = 12, CPUID_8000_0008_EBX = 13,
	CPUID_7_ECX = 16, CPUID_7_EDX = 18, CPUID_8000_0021_EAX = 20,
};

/* The test has the CPU. */
bool boot_cpu_has(unsigned int feature);
bool boot_cpu_has_bug(unsigned int bug);

#endif
