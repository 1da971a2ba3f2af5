/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/fpu/types.h>. */
#ifndef SHIM_ASM_FPU_TYPES
#define SHIM_ASM_FPU_TYPES

struct fpu_guest { void *fpstate; };

#endif
