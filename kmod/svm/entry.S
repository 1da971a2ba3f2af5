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

	.section .noinstr.text, "ax"

SYM_FUNC_START(svm_world_switch)
	PUSH_HOST_REGS
	pushq	%rsi			/* host_pa */
	pushq	%rdi			/* svm */

	/* No return or indirect branch from here to VMRUN: they would run on guest predictions. */
	SPEC_CTRL_TO_GUEST SVM_SPEC_CTRL
	movq	SVM_VMCB_PA(%rdi), %rax
1:	vmload	%rax
	LOAD_GUEST_REGS SVM_REGS
#ifdef VM_CLEAR_CPU_BUFFERS
	VM_CLEAR_CPU_BUFFERS		/* no host data left in buffers the guest could sample */
#endif
2:	vmrun	%rax

	/* Back in the host: rsp is ours, all else but rax (vmcb_pa) is the guest's. */
	SAVE_GUEST_REGS SVM_REGS

	movq	SVM_VMCB_PA(%rdi), %rax
3:	vmsave	%rax
	popq	%rax			/* host_pa: brings GS back, and with it percpu data */
4:	vmload	%rax

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT
	SPEC_CTRL_TO_HOST SVM_SPEC_CTRL, SVM_SPEC_CTRL_OWNED
	UNTRAIN_RET
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT

	LEAVE_NO_GUEST_VALUES
	POP_HOST_REGS
	RET

	/* A reboot has turned SVM off: see svm_asm(). */
	_ASM_EXTABLE(1b, 1b + 3)
	_ASM_EXTABLE(2b, 2b + 3)
	_ASM_EXTABLE(3b, 3b + 3)
	_ASM_EXTABLE(4b, 4b + 3)
SYM_FUNC_END(svm_world_switch)
