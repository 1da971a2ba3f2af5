/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/trap_pf.h>. */
#ifndef SHIM_TRAP_PF_H
#define SHIM_TRAP_PF_H

#define X86_PF_PROT	(1 << 0)
#define X86_PF_WRITE	(1 << 1)
#define X86_PF_USER	(1 << 2)
#define X86_PF_RSVD	(1 << 3)
#define X86_PF_INSTR	(1 << 4)
#define X86_PF_PK	(1 << 5)

#endif
