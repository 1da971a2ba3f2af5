/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/processor.h>. */
#ifndef SHIM_ASM_PROCESSOR
#define SHIM_ASM_PROCESSOR

enum cpuid_regs_idx { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };
enum { X86_VENDOR_INTEL = 0, X86_VENDOR_AMD = 2, X86_VENDOR_HYGON = 9 };

struct cpuinfo_x86 { int x86_vendor; };
extern struct cpuinfo_x86 boot_cpu_data;

#endif
