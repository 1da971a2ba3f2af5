/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A boot sector, and one behind it: real mode, protected mode, virtual-8086 mode
 * and back to real mode, with a letter on the serial line for each, "RPVR", and
 * then ".", and the machine is reset.  A letter that does not come is where it
 * went wrong.  After the first it waits for a byte from there.  The scenarios modes
 * and gdb use it.
 *
 * What follows the letters: in virtual-8086 mode IN and OUT go through the TSS's
 * permission map, and HLT is the general-protection fault that ends it.
 */
#include <asm/processor-flags.h>

#define BASE	0x7c00
#define SEGMENT	0x6000
#define COM1	0x3f8
#define COM1_STATUS	(COM1 + 5)
#define CODE32	0x08		/* selectors */
#define DATA32	0x10
#define CODE16	0x18
#define DATA16	0x20
#define TASK	0x28
#define VECTOR_GP 13

	.code16
	.globl _start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$BASE, %sp
	mov	$0x0201, %ax		/* BIOS: read one sector, */
	mov	$0x0002, %cx		/* the second, */
	mov	$0x00, %dh		/* of the disk in DL, */
	mov	$BASE + 512, %bx	/* to ES:BX */
	int	$0x13
	cli
	mov	$'R', %al
	call	letter
	mov	$COM1_STATUS, %dx	/* wait for a byte from there */
1:	in	%dx, %al
	test	$1, %al
	jz	1b
in_real:
	lgdtl	gdt_pointer
in_real_1:
	lidtl	idt_pointer
in_real_2:
	mov	%cr0, %eax
	or	$X86_CR0_PE, %al
	mov	%eax, %cr0
	ljmp	$CODE32, $protected

letter:					/* AL */
	mov	$COM1, %dx
	out	%al, %dx
	ret

	.code32
protected:
	mov	$DATA32, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$BASE, %esp
	mov	$'P', %al
	mov	$COM1, %dx
	out	%al, %dx
	mov	$TASK, %ax
	ltr	%ax
	xor	%eax, %eax
	push	%eax			/* GS */
	push	%eax			/* FS */
	push	%eax			/* DS */
	push	%eax			/* ES */
	push	%eax			/* SS */
	push	$0x7000			/* ESP */
	push	$X86_EFLAGS_VM | X86_EFLAGS_FIXED
	push	$BASE >> 4		/* CS */
	push	$virtual - _start
	iretl

	.code16
virtual:
	mov	$SEGMENT >> 4, %ax	/* of real mode's kind */
	mov	%ax, %ds
	movb	$'V', 0x10
	mov	%cs:mark - _start, %al	/* 'V', if CS is of that kind, too */
	cmp	%al, 0x10
	jne	1f
	mov	$COM1, %dx
	out	%al, %dx
1:	hlt
mark:	.byte	'V'

	.org	510
	.byte	0x55, 0xaa

	/* The general-protection fault: out of virtual-8086 mode, and on to real mode. */
	.code32
fault:
	testl	$X86_EFLAGS_VM, 12(%esp)
	jz	.
	ljmp	$CODE16, $leave
	.code16
leave:
	mov	$DATA16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~X86_CR0_PE, %al
	mov	%eax, %cr0
	ljmp	$0, $real_again
real_again:
	xor	%ax, %ax
	mov	%ax, %ss
	mov	%ax, %ds
	mov	$BASE, %sp
	mov	$'R', %al
	call	letter
	mov	$'.', %al
	call	letter
	mov	$'\n', %al
	call	letter
	mov	$0xfe, %al		/* the keyboard controller's reset */
	out	%al, $0x64
1:	hlt
	jmp	1b

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* CODE32 */
	.quad	0x00cf93000000ffff	/* DATA32 */
	.quad	0x00009b000000ffff	/* CODE16 */
	.quad	0x000093000000ffff	/* DATA16 */
	.word	104 + 0x81, TSS		/* TASK: it ends with the map up to port 0x3ff */
	.byte	0, 0x89, 0, 0
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
idt_pointer:
	.word	VECTOR_GP * 8 + 7
	.long	idt - VECTOR_GP * 8
idt:	.word	FAULT, CODE32, 0x8e00, 0

	.balign	8
tss:	.long	0
	.long	BASE, DATA32		/* ESP0, SS0 */
	.org	tss - _start + 102
	.word	104			/* where the map is: all ports are allowed */
	.fill	0x81, 1, 0
	.org	1024

	.set	TSS, BASE + tss - _start
	.set	FAULT, BASE + fault - _start
