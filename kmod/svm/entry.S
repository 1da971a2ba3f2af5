/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world switch of AMD-V.  APM 2 "VMRUN Instruction", "VMSAVE and VMLOAD".
 *
 *   void svm_world_switch(struct svm_vcpu *svm, hpa_t host_pa)
 *
 * Called with GIF = 0 and RFLAGS.IF = 1: interrupts wait, and VMRUN remembers
 * IF so that they end the guest instead of the host.  Who moves what:
 *
 *   register			to the guest		back
 *   rax rsp rip rflags cr*	VMRUN			#VMEXIT
 *   rbx rcx rdx rbp rsi rdi	below			below
 *   r8 to r15			below			below
 *   fs gs tr ldtr, syscall and	VMLOAD vmcb_pa		VMSAVE vmcb_pa,
 *     sysenter MSRs					VMLOAD host_pa
 *   IA32_SPEC_CTRL		below, or the CPU	below, or the CPU
 *   FPU, XCR0, PKRU, DRs	svm_run() and fpu.c	the same
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include "../world_switch.h"
#include "offsets.h"

#define REG(n)	(SVM_REGS + 8 * (n))(%rdi)

	.section .noinstr.text, "ax"

SYM_FUNC_START(svm_world_switch)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi			/* host_pa */
	pushq	%rdi			/* svm */

	/* No return or indirect branch from here to VMRUN: they would run on guest predictions. */
	SPEC_CTRL_TO_GUEST SVM_SPEC_CTRL
	movq	SVM_VMCB_PA(%rdi), %rax
1:	vmload	%rax
	movq	REG(1), %rcx
	movq	REG(2), %rdx
	movq	REG(3), %rbx
	movq	REG(5), %rbp
	movq	REG(6), %rsi
	movq	REG(8), %r8
	movq	REG(9), %r9
	movq	REG(10), %r10
	movq	REG(11), %r11
	movq	REG(12), %r12
	movq	REG(13), %r13
	movq	REG(14), %r14
	movq	REG(15), %r15
	movq	REG(7), %rdi
#ifdef VM_CLEAR_CPU_BUFFERS
	VM_CLEAR_CPU_BUFFERS		/* no host data left in buffers the guest could sample */
#endif
2:	vmrun	%rax

	/* Back in the host: rsp is ours, all else but rax (vmcb_pa) is the guest's. */
	xchgq	%rdi, (%rsp)		/* svm; the guest's rdi to the stack */
	movq	%rcx, REG(1)
	movq	%rdx, REG(2)
	movq	%rbx, REG(3)
	movq	%rbp, REG(5)
	movq	%rsi, REG(6)
	movq	%r8, REG(8)
	movq	%r9, REG(9)
	movq	%r10, REG(10)
	movq	%r11, REG(11)
	movq	%r12, REG(12)
	movq	%r13, REG(13)
	movq	%r14, REG(14)
	movq	%r15, REG(15)
	popq	%rcx
	movq	%rcx, REG(7)

	movq	SVM_VMCB_PA(%rdi), %rax
3:	vmsave	%rax
	popq	%rax			/* host_pa: brings GS back, and with it percpu data */
4:	vmload	%rax

#ifdef CONFIG_RETPOLINE
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RETPOLINE
#endif
	SPEC_CTRL_TO_HOST SVM_SPEC_CTRL, SVM_SPEC_CTRL_OWNED
	UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT

	LEAVE_NO_GUEST_VALUES
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET

	/* A reboot has turned SVM off: see svm_asm(). */
	_ASM_EXTABLE(1b, 1b + 3)
	_ASM_EXTABLE(2b, 2b + 3)
	_ASM_EXTABLE(3b, 3b + 3)
	_ASM_EXTABLE(4b, 4b + 3)
SYM_FUNC_END(svm_world_switch)
