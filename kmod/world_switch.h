/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both world switches do with general registers, and about speculation.
 * Assembly only; rdi is the vendor's vCPU, whose fields are given by their offsets.
 */
#ifndef VITRO_WORLD_SWITCH_H
#define VITRO_WORLD_SWITCH_H

#ifdef __ASSEMBLY__

#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>

/* What the caller expects back. */
.macro PUSH_HOST_REGS
	.irp	reg, rbp, rbx, r12, r13, r14, r15
	pushq	%\reg
	.endr
.endm

.macro POP_HOST_REGS
	.irp	reg, r15, r14, r13, r12, rbx, rbp
	popq	%\reg
	.endr
.endm

/* All but rax and rsp, which the vendors treat differently; rdi last. regs: offset of vcpu.regs. */
.macro LOAD_GUEST_REGS regs:req
	movq	8 * 1 + \regs(%rdi), %rcx
	movq	8 * 2 + \regs(%rdi), %rdx
	movq	8 * 3 + \regs(%rdi), %rbx
	movq	8 * 5 + \regs(%rdi), %rbp
	movq	8 * 6 + \regs(%rdi), %rsi
	.irp	nr, 8, 9, 10, 11, 12, 13, 14, 15
	movq	8 * \nr + \regs(%rdi), %r\nr
	.endr
	movq	8 * 7 + \regs(%rdi), %rdi
.endm

/* The stack's top is the vendor's vCPU, and is popped: rdi has it then. rcx is lost. */
.macro SAVE_GUEST_REGS regs:req
	xchgq	%rdi, (%rsp)
	movq	%rcx, 8 * 1 + \regs(%rdi)
	movq	%rdx, 8 * 2 + \regs(%rdi)
	movq	%rbx, 8 * 3 + \regs(%rdi)
	movq	%rbp, 8 * 5 + \regs(%rdi)
	movq	%rsi, 8 * 6 + \regs(%rdi)
	.irp	nr, 8, 9, 10, 11, 12, 13, 14, 15
	movq	%r\nr, 8 * \nr + \regs(%rdi)
	.endr
	popq	%rcx
	movq	%rcx, 8 * 7 + \regs(%rdi)
.endm

/* Write IA32_SPEC_CTRL if guest and host differ. Host's wish is in percpu data. */
.macro SPEC_CTRL_TO_GUEST spec_ctrl:req
	ALTERNATIVE "jmp .Lguest_spec_done", "", X86_FEATURE_MSR_SPEC_CTRL
	ALTERNATIVE "", "jmp .Lguest_spec_done", X86_FEATURE_V_SPEC_CTRL
	movl	\spec_ctrl(%rdi), %eax
	cmpl	PER_CPU_VAR(x86_spec_ctrl_current), %eax
	je	.Lguest_spec_done
	movl	$MSR_IA32_SPEC_CTRL, %ecx
	xorl	%edx, %edx
	wrmsr
.Lguest_spec_done:
.endm

/* A guest that owns the MSR may have written it: keep its value, then restore ours. */
.macro SPEC_CTRL_TO_HOST spec_ctrl:req owned:req
	ALTERNATIVE "jmp .Lhost_spec_done", "", X86_FEATURE_MSR_SPEC_CTRL
	ALTERNATIVE "", "jmp .Lhost_spec_done", X86_FEATURE_V_SPEC_CTRL
	movl	$MSR_IA32_SPEC_CTRL, %ecx
	cmpb	$0, \owned(%rdi)
	je	.Lhost_spec_known
	rdmsr
	movl	%eax, \spec_ctrl(%rdi)
.Lhost_spec_known:
	movl	PER_CPU_VAR(x86_spec_ctrl_current), %eax
	cmpl	\spec_ctrl(%rdi), %eax
	/* Legacy IBRS holds from the moment it is written in the host: also where the two are alike. */
	ALTERNATIVE "je .Lhost_spec_done", "", X86_FEATURE_KERNEL_IBRS
	xorl	%edx, %edx
	wrmsr
.Lhost_spec_done:
.endm

/* No guest value in a register that speculation could use; the callee-saved ones are popped. */
.macro LEAVE_NO_GUEST_VALUES
	.irp	reg, eax, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
	xorl	%\reg, %\reg
	.endr
.endm

#endif /* __ASSEMBLY__ */
#endif /* VITRO_WORLD_SWITCH_H */
