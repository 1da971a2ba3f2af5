/* SPDX-License-Identifier: GPL-2.0 */
/* Virtual-8086 mode, and 16-bit protected mode; vm86.c lays out what is around them. */
#include "snippet.h"

	.section .rodata

/* ---- in virtual-8086 mode ---- */

	.code16
BEGIN(vm86_tell)
	mov	$0x1111, %eax
	tell
END(vm86_tell)

BEGIN(vm86_int)
	mov	$0x2200, %eax
	int	$0x21
	tell				/* what an IRET from 16-bit code has come back to */
END(vm86_int)

BEGIN(vm86_handler)			/* in the real-mode vector table's way */
	add	$0x22, %eax
	iret
END(vm86_handler)

BEGIN(vm86_mmio)			/* VGA's window: no RAM there */
	mov	$0xa000, %ax
	mov	%ax, %ds
	movl	(0x10), %eax
	tell
END(vm86_mmio)

BEGIN(vm86_hlt)
	hlt
END(vm86_hlt)

/* ---- 16-bit protected mode ---- */

BEGIN(prot16_stack)			/* SP is 16 bits wide, and wraps */
	movl	$0x00050000, %esp
	push	%ax
	movl	%esp, %eax
	tell
END(prot16_stack)

BEGIN(prot16_mmio)
	mov	$0xff00, %bx
	movl	0x110(%bx), %eax	/* 0x10010, which is 0x10 */
	tell
END(prot16_mmio)

/* ---- their monitor ---- */

	.code32
BEGIN(monitor_begin)			/* EBX: the EFLAGS to begin with, EAX: the first EIP */
	xor	%edi, %edi		/* all of low memory is there from now on */
1:	orl	$0, (%edi)
	add	$0x1000, %edi
	cmp	$0x10000, %edi
	jb	1b
	.rept	5			/* GS, FS, DS, ES, SS */
	push	$0
	.endr
	push	$0x1000			/* ESP */
	push	%ebx
	push	$0			/* CS */
	push	%eax
	iret
END(monitor_begin)

BEGIN(monitor_int)			/* flags that INT pushed, and where it came from */
	mov	8(%esp), %eax
	and	$0x20000, %eax		/* VM */
	or	(%esp), %eax
	tell
END(monitor_int)

BEGIN(monitor_gp)			/* error code, and where */
	pop	%eax
	shl	$16, %eax
	or	(%esp), %eax
	tell
END(monitor_gp)

	.section .note.GNU-stack, "", @progbits
