/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both world switches do about speculation.  Assembly only; rdi is the
 * vendor's vCPU, whose fields are given by their offsets.
 */
#ifndef VITRO_WORLD_SWITCH_H
#define VITRO_WORLD_SWITCH_H

#ifdef __ASSEMBLY__

#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>

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
