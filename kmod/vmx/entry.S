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
 *   cr2, syscall MSRs, FPU,	vmx_run(), vmx_borrow()	vmx_run(), vmx_sched_out()
 *     XCR0, PKRU, DRs		and fpu.c		and fpu.c
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>
#include "../world_switch.h"
#include "offsets.h"

#define VMCS_HOST_RSP	0x6c14		/* HOST_RSP of <asm/vmx.h>, which is C only */
	.section .noinstr.text, "ax"

SYM_FUNC_START(vmx_world_switch)
	PUSH_HOST_REGS
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
	movq	VMX_REGS(%rdi), %rax
	LOAD_GUEST_REGS VMX_REGS
#ifdef CLEAR_CPU_BUFFERS
	CLEAR_CPU_BUFFERS		/* no host data left in buffers the guest could sample */
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
	SAVE_GUEST_REGS VMX_REGS
	movq	%rax, VMX_REGS(%rdi)
	movb	$0, VMX_FAILED(%rdi)

.Lhost:
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
		X86_FEATURE_RSB_VMEXIT_LITE
	SPEC_CTRL_TO_HOST VMX_SPEC_CTRL, VMX_SPEC_CTRL_OWNED
	/* No speculation goes on as if that WRMSR were not needed. */
	ALTERNATIVE "", "lfence", X86_FEATURE_LFENCE_RDTSC
#ifdef CLEAR_CPU_BUFFERS
	CLEAR_BRANCH_HISTORY_VMEXIT
#endif
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
	LEAVE_NO_GUEST_VALUES
	POP_HOST_REGS
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
