/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hypercalls, u64 hypercall_X(u64 nr, u64 a0, u64 a1): stock KVM patches the
 * other vendor's instruction, so they lie in memory that the guest may write.
 */
	.data
	.globl	hypercall_vmmcall, hypercall_vmcall

	.balign	16
hypercall_vmmcall:
	push	%rbx
	mov	%rdi, %rax
	mov	%rsi, %rbx
	mov	%rdx, %rcx
	vmmcall
	pop	%rbx
	ret

	.balign	16
hypercall_vmcall:
	push	%rbx
	mov	%rdi, %rax
	mov	%rsi, %rbx
	mov	%rdx, %rcx
	vmcall
	pop	%rbx
	ret

/* u64 hypercall4(nr, a0, a1, a2, a3), by VMMCALL. */
	.globl	hypercall4
	.balign	16
hypercall4:
	push	%rbx
	mov	%rdi, %rax
	mov	%rsi, %rbx
	mov	%rcx, %rdi		/* a2 goes to RDX, a3 to RSI */
	mov	%rdx, %rcx
	mov	%rdi, %rdx
	mov	%r8, %rsi
	vmmcall
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
