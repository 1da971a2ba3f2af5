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
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

.macro POP_HOST_REGS
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
.endm

/* All but rax and rsp, which the vendors treat differently; rdi last. regs: offset of vcpu.regs. */
.macro LOAD_GUEST_REGS regs:req
	movq	(\regs + 8 * 1)(%rdi), %rcx
	movq	(\regs + 8 * 2)(%rdi), %rdx
	movq	(\regs + 8 * 3)(%rdi), %rbx
	movq	(\regs + 8 * 5)(%rdi), %rbp
	movq	(\regs + 8 * 6)(%rdi), %rsi
	movq	(\regs + 8 * 8)(%rdi), %r8
	movq	(\regs + 8 * 9)(%rdi), %r9
	movq	(\regs + 8 * 10)(%rdi), %r10
	movq	(\regs + 8 * 11)(%rdi), %r11
	movq	(\regs + 8 * 12)(%rdi), %r12
	movq	(\regs + 8 * 13)(%rdi), %r13
	movq	(\regs + 8 * 14)(%rdi), %r14
	movq	(\regs + 8 * 15)(%rdi), %r15
	movq	(\regs + 8 * 7)(%rdi), %rdi
.endm

/* The stack's top is the vendor's vCPU, and is popped: rdi has it then. rcx is lost. */
.macro SAVE_GUEST_REGS regs:req
	xchgq	%rdi, (%rsp)
	movq	%rcx, (\regs + 8 * 1)(%rdi)
	movq	%rdx, (\regs + 8 * 2)(%rdi)
	movq	%rbx, (\regs + 8 * 3)(%rdi)
	movq	%rbp, (\regs + 8 * 5)(%rdi)
	movq	%rsi, (\regs + 8 * 6)(%rdi)
	movq	%r8, (\regs + 8 * 8)(%rdi)
	movq	%r9, (\regs + 8 * 9)(%rdi)
	movq	%r10, (\regs + 8 * 10)(%rdi)
	movq	%r11, (\regs + 8 * 11)(%rdi)
	movq	%r12, (\regs + 8 * 12)(%rdi)
	movq	%r13, (\regs + 8 * 13)(%rdi)
	movq	%r14, (\regs + 8 * 14)(%rdi)
	movq	%r15, (\regs + 8 * 15)(%rdi)
	popq	%rcx
	movq	%rcx, (\regs + 8 * 7)(%rdi)
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
	je	.Lhost_spec_done
	xorl	%edx, %edx
	wrmsr
.Lhost_spec_done:
.endm

/* No guest value in a register that speculation could use; the callee-saved ones are popped. */
.macro LEAVE_NO_GUEST_VALUES
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
.endm

#endif /* __ASSEMBLY__ */
#endif /* VITRO_WORLD_SWITCH_H */
