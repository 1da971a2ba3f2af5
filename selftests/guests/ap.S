/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a SIPI sends an application processor: real mode, CS from the vector,
 * IP 0.  Both mark their start at 0x5000; see ipi.c.
 */
	.section .rodata
	.code16
	.globl	ap_start, ap_start_end, ap_spin, ap_spin_end

ap_start:				/* tells its CS and ends */
	xor	%ax, %ax
	mov	%ax, %ds
	movw	$1, (0x5000)
	xor	%eax, %eax
	mov	%cs, %ax
	mov	$0x708, %dx		/* PORT_SYNC */
	out	%eax, %dx
1:	hlt
	jmp	1b
ap_start_end:

ap_spin:
	xor	%ax, %ax
	mov	%ax, %ds
	movw	$1, (0x5000)
1:	pause		/* Bochs holds interrupts off in a guest that has IF clear: PAUSE exits */
	jmp	1b
ap_spin_end:

	.section .note.GNU-stack, "", @progbits
