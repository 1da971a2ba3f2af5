/* SPDX-License-Identifier: GPL-2.0 */
/* Tasks of 32-bit protected mode; tasks.c lays out their descriptors. */
#include "snippet.h"

#define SEL_TASK_B	0x20
#define SEL_TASK_GATE	0x28

	.section .rodata
	.code32

BEGIN(task_call)
	mov	$0x1234, %ebx
	lcall	$SEL_TASK_B, $0
	mov	%ebx, %eax
	tell
END(task_call)

BEGIN(task_call_gate)
	lcall	$SEL_TASK_GATE, $0
	mov	$0x22, %eax
	tell
END(task_call_gate)

BEGIN(task_jump)
	ljmp	$SEL_TASK_B, $0
	mov	$0xbad, %eax
	tell
END(task_jump)

BEGIN(task_jump_memory)			/* the pointer is on the stack */
	push	$SEL_TASK_B
	push	$0
	ljmp	*(%esp)
END(task_jump_memory)

BEGIN(task_int)
	div	%ecx			/* 0: #DE, an exception before the INT n */
	.globl task_int_at
task_int_at:
	int	$0x40
	mov	$0x33, %eax
	tell
END(task_int)

BEGIN(task_gp)				/* #GP(0x1230) */
	mov	$0x1230, %eax
	mov	%eax, %es
	mov	$0x44, %eax
	tell
END(task_gp)

BEGIN(task_wait)			/* for an interrupt */
	sti
	hlt
	mov	$0x55, %eax
	tell
END(task_wait)

/* The other side. */
BEGIN(task_b)				/* tells its flags, returns; called again it goes on behind IRET */
	pushf
	pop	%eax
	tell
	iret
END(task_b)

BEGIN(task_b_error)			/* tells the error code on its stack */
	pop	%eax
	tell
END(task_b_error)

BEGIN(task_b_state)			/* sum of what the TSS has */
	mov	%ebx, %eax
	add	%esi, %eax
	add	%esp, %eax
	tell
END(task_b_state)

	.code16
BEGIN(task_b_16)
	movzx	%bx, %eax
	add	%sp, %ax
	tell
END(task_b_16)
	.code32

BEGIN(fault_de)				/* over the DIV, which is two bytes long */
	addl	$2, (%esp)
	iret
END(fault_de)

/* A fault's handler: vector in its place in the IDT; error code and CS:EIP on the stack. */
	.macro handler name, nr
	.globl \name, \name\()_end
\name:
	pop	%eax
	shl	$8, %eax
	or	$\nr, %eax
	tell
	.endm
	handler	fault_ts, 10
END(fault_ts)
	handler	fault_np, 11
END(fault_np)
	handler	fault_ss, 12
END(fault_ss)
	handler	fault_gp, 13
END(fault_gp)

	.section .note.GNU-stack, "", @progbits
