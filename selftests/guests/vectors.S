/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's entry, its 256 interrupt gates and its way to CPL 3.  Every gate pushes the
 * vector and, where the CPU has not, an error code, so that guest_dispatch()
 * sees one struct guest_frame.
 */
	.set PORT_DONE, 0x700

	.text
	.code64

/* rdi, rsi: the guest's arguments; rax: the guest. Its result goes to guest_cpu.result. */
	.globl guest_entry
guest_entry:
	call	*%rax
	mov	%rax, %gs:16
	mov	$PORT_DONE, %edx
1:	out	%eax, %dx
	jmp	1b

	.balign 16
	.globl guest_gates
guest_gates:
	.set	vector, 0
	.rept	256
	.balign	16
	/* The CPU pushes an error code for 8, 10-14, 17, 21, 29 and 30. */
	.if	(vector - 8) * (vector - 10) * (vector - 11) * (vector - 12) * (vector - 13) * (vector - 14) * (vector - 17) * (vector - 21) * (vector - 29) * (vector - 30)
	push	$0
	.endif
	push	$vector
	jmp	common_gate
	.set	vector, vector + 1
	.endr

common_gate:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	guest_dispatch
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

/*
 * rdi: function, rsi: its argument, rdx: bits to set in RFLAGS.  The user's
 * stack is a little below the caller's; what comes from CPL 3 has TSS.RSP0's.
 */
	.globl guest_enter_user, guest_user_done
guest_enter_user:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %gs:24
	lea	-512(%rsp), %rcx
	and	$-16, %rcx
	or	$2, %rdx
	push	$0x23			/* SEL_USER_DATA */
	push	%rcx
	push	%rdx
	push	$0x2b			/* SEL_USER_CODE64 */
	push	$1f
	mov	%rdi, %rax
	mov	%rsi, %rdi
	iretq
1:	call	*%rax
	int	$0x80			/* guest_dispatch() goes on at guest_user_done */
guest_user_done:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
