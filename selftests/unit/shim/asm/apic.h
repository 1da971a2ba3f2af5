/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/apic.h>. */
#ifndef SHIM_ASM_APIC
#define SHIM_ASM_APIC

#include <asm/apicdef.h>

#endif
