/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that do not begin in long mode.  Each is copied to MODES_BASE in low
 * memory and begins there with zero segment bases; it tells one value through
 * PORT_SYNC.  See modes.c.
 */
#include <asm/processor-flags.h>
#include "snippet.h"

#define MSR_EFER	0xc0000080
#define EFER_LME	0x100
#define MODES_BASE	0x2000
#define TABLES		0x8000		/* page tables: three pages from here */
#define MMIO_WINDOW	0x00400000	/* what modes.c maps to VM_MMIO */

#define AT(guest, label) ((label) - guest + MODES_BASE)

	.section .rodata

/* ---- real mode ---- */

	.code16
BEGIN(real_segments)			/* 0x310:0 is 0x300:0x100 */
	mov	$0x300, %ax
	mov	%ax, %ds
	movl	$0x600d5e95, (0x100)
	mov	$0x310, %ax
	mov	%ax, %ds
	movl	(0), %eax
	tell
END(real_segments)

BEGIN(real_interrupt)			/* the vector table is at 0 */
	movw	$AT(real_interrupt, 1f), (0x21 * 4)
	movw	$0, (0x21 * 4 + 2)
	mov	$5, %eax
	int	$0x21
	add	$1, %eax
	tell
1:	add	$0x100, %eax
	iret
END(real_interrupt)

BEGIN(real_fault)			/* UD2 has vector 6; no error code is pushed */
	movw	$AT(real_fault, 1f), (6 * 4)
	movw	$0, (6 * 4 + 2)
2:	ud2
1:	pop	%ax			/* IP of the UD2 */
	sub	$AT(real_fault, 2b), %ax
	movzx	%ax, %eax
	add	$0x77, %eax
	tell
END(real_fault)

BEGIN(real_cpuid)
	mov	$0x40000000, %eax
	cpuid
	mov	%ebx, %eax
	tell
END(real_cpuid)

BEGIN(real_mmio)			/* VGA's window: no RAM there */
	mov	$0xa000, %ax
	mov	%ax, %es
	movl	%es:(0x10), %eax
	tell
END(real_mmio)

BEGIN(real_mmio_wrap)			/* SI and DI are 16 bits wide: 0xffff is followed by 0 */
	mov	$0xa000, %ax
	mov	%ax, %es
	mov	$0x3000, %si
	movb	$0x61, (0x3000)
	movb	$0x62, (0x3001)
	mov	$0xffff, %di
	mov	$2, %cx
	rep	movsb
	movzx	%di, %eax
	tell
END(real_mmio_wrap)

BEGIN(real_outs)
	movl	$0x64636261, (0x3000)
	mov	$0x3000, %si
	mov	$0x1234, %dx
	mov	$4, %cx
	rep	outsb
	movzx	%si, %eax
	tell
END(real_outs)

BEGIN(real_limit)			/* beyond 64K: #GP, vector 13 */
	movw	$AT(real_limit, 1f), (13 * 4)
	movw	$0, (13 * 4 + 2)
	mov	$0x80000000, %esi
	movl	(%esi), %eax
	mov	$0xbad, %eax
	tell
1:	mov	$0x6d, %eax
	tell
END(real_limit)

BEGIN(real_halt)
	hlt
	mov	$0x41, %eax
	tell
END(real_halt)

BEGIN(real_triple_fault)
	lidtl	AT(real_triple_fault, 1f)
	int	$3
1:	.word	0
	.long	0
END(real_triple_fault)

/* A limit of 4 GiB, loaded in protected mode, stays when PE is cleared. */
BEGIN(unreal)
	lgdtl	AT(unreal, 3f)
	mov	%cr0, %eax
	or	$X86_CR0_PE, %eax
	mov	%eax, %cr0
	ljmp	$0x8, $AT(unreal, 1f)
1:	mov	$0x10, %bx
	mov	%bx, %ds
	and	$~X86_CR0_PE, %eax
	mov	%eax, %cr0
	ljmp	$0, $AT(unreal, 2f)
2:	mov	$0x80000010, %esi
	movl	(%esi), %eax
	tell
	.balign	8
3:	.word	23
	.long	AT(unreal, 4f)
	.balign	8
4:	.quad	0
	.quad	0x00009b000000ffff	/* 16-bit code */
	.quad	0x00cf93000000ffff	/* flat data */
END(unreal)

/* ---- from real mode all the way ---- */

BEGIN(real_to_long)
	lgdtl	AT(real_to_long, 9f)
	mov	%cr0, %eax
	or	$X86_CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$0x8, $AT(real_to_long, 1f)
	.code32
1:	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	movl	$(TABLES + 0x1000 + 7), TABLES		/* one 2M page one to one */
	movl	$(TABLES + 0x2000 + 7), TABLES + 0x1000
	movl	$0x87, TABLES + 0x2000
	mov	$TABLES, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$X86_CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	or	$X86_CR0_PG, %eax
	mov	%eax, %cr0
	ljmp	$0x10, $AT(real_to_long, 2f)
	.code64
2:	mov	$0x123456789abcdef0, %rax
	shr	$32, %rax
	tell
	/* and on into compatibility mode, where 0x40 is INC EAX and no prefix */
	ljmp	*AT(real_to_long, 8f)
	.code32
3:	xor	%eax, %eax
	.byte	0x40, 0x40
	tell
	.balign	8
8:	.long	AT(real_to_long, 3b)
	.word	0x8
	.balign	8
9:	.word	31
	.long	AT(real_to_long, 7f)
	.balign	8
7:	.quad	0
	.quad	0x00cf9b000000ffff	/* 32-bit code */
	.quad	0x00af9b000000ffff	/* 64-bit code */
	.quad	0x00cf93000000ffff	/* data */
END(real_to_long)

/* ---- protected mode ---- */

	.code32
BEGIN(protected_load)			/* through whatever paging modes.c has set up */
	mov	MMIO_WINDOW + 0x10, %eax
	tell
END(protected_load)

BEGIN(protected_store)
	movl	$0x11223344, MMIO_WINDOW + 0x10
	mov	$1, %eax
	tell
END(protected_store)

BEGIN(protected_arithmetic)
	mov	$0x40000000, %eax
	add	%eax, %eax
	setc	%bl
	seto	%bh
	movzx	%bx, %eax
	tell
END(protected_arithmetic)

	.section .note.GNU-stack, "", @progbits
