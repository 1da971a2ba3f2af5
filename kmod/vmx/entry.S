/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world switch of VT-x.  SDM 3C "VM Entries", "VM Exits".
 *
 *   void vmx_world_switch(struct vmx_vcpu *vmx)
 *
 * Called with interrupts off: they end the guest all the same.  Who moves what:
 *
 *   register			to the guest		back
 *   rsp rip rflags cr0 cr3 cr4	VM entry		VM exit
 *   segments, GDTR, IDTR, DR7
 *     EFER, PAT, sysenter MSRs	VM entry		VM exit: the host's
 *   rax rbx rcx rdx rbp rsi rdi below			below
 *   r8 to r15			below			below
 *   IA32_SPEC_CTRL		below			below
 *   cr2, syscall MSRs, FPU,	vmx_run(), vmx_borrow()	vmx_run(), vmx_return()
 *     XCR0, PKRU, DRs		and fpu.c		and fpu.c
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>
#include "../world_switch.h"
#include "offsets.h"

#define VMCS_HOST_RSP	0x6c14		/* HOST_RSP of <asm/vmx.h>, which is C only */
#define REG(n)	(VMX_REGS + 8 * (n))(%rdi)

	.section .noinstr.text, "ax"

SYM_FUNC_START(vmx_world_switch)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi			/* vmx */

	cmpq	%rsp, VMX_HOST_RSP(%rdi)
	je	.Lhost_rsp_known
	movq	%rsp, VMX_HOST_RSP(%rdi)
	movl	$VMCS_HOST_RSP, %eax
1:	vmwrite	%rsp, %rax
.Lhost_rsp_known:

	/* No return or indirect branch from here to VM entry: they would run on guest predictions. */
	SPEC_CTRL_TO_GUEST VMX_SPEC_CTRL
	btw	$0, VMX_LAUNCHED(%rdi)	/* CF: VERW leaves it alone */
	movq	REG(0), %rax
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
	UNWIND_HINT_SAVE
	jnc	3f
2:	vmresume
	jmp	.Lno_entry
3:	vmlaunch
	jmp	.Lno_entry

	/* Back in the host: rsp is ours, all else is the guest's. */
SYM_INNER_LABEL_ALIGN(vmx_world_switch_back, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR
	xchgq	%rdi, (%rsp)		/* vmx; the guest's rdi to the stack */
	movq	%rax, REG(0)
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
	movb	$0, VMX_FAILED(%rdi)

.Lhost:
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
		X86_FEATURE_RSB_VMEXIT_LITE
	SPEC_CTRL_TO_HOST VMX_SPEC_CTRL, VMX_SPEC_CTRL_OWNED
#ifdef CLEAR_CPU_BUFFERS
	CLEAR_BRANCH_HISTORY_VMEXIT
#endif
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
	LEAVE_NO_GUEST_VALUES
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET

	/* VMLAUNCH or VMRESUME went on to the next instruction, or raised #UD: see vmx_asm(). */
.Lno_entry:
	popq	%rdi			/* vmx; the registers in it are as they were */
	movb	$1, VMX_FAILED(%rdi)
	jmp	.Lhost

	_ASM_EXTABLE(1b, .Lhost_rsp_known)
	_ASM_EXTABLE(2b, .Lno_entry)
	_ASM_EXTABLE(3b, .Lno_entry)
SYM_FUNC_END(vmx_world_switch)
