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

	.section .note.GNU-stack, "", @progbits
