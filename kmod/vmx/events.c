// SPDX-License-Identifier: GPL-2.0
/*
 * Events into a VT-x guest: the VM-entry interruption information, the windows
 * that tell when one can be taken, and what an exit cut off.
 * SDM 3C "Event Injection", "Information for VM Exits That Occur During Event Delivery".
 */
#include <asm/irq_vectors.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>
#include "../backend.h"
#include "../trace.h"
#include "vmx.h"

static void vmx_inject(struct vmx_vcpu *vmx, u32 event, u32 error_code)
{
	vmx->inject = event | INTR_INFO_VALID_MASK;
	vmx->inject_error = error_code;
}

/**
 * vmx_inject_exception() - give vcpu->exception to the next entry
 * @vcpu: exception.injected is set
 */
void vmx_inject_exception(struct vcpu *vcpu)
{
	const struct vcpu_exception *ex = &vcpu->exception;
	u32 event = ex->vector | INTR_TYPE_HARD_EXCEPTION;

	/* #DB's and #PF's side effects are in DR6 and CR2 by now. */
	if (ex->vector == BP_VECTOR || ex->vector == OF_VECTOR) {
		/* INT3 and INTO are one byte long; what is pushed is the RIP after it. */
		event = ex->vector | INTR_TYPE_SOFT_EXCEPTION;
		vmx_hold(to_vmx(vcpu));
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, 1);
		vmx_release();
	} else if (ex->has_error_code) {
		event |= INTR_INFO_DELIVER_CODE_MASK;
	}
	vmx_inject(to_vmx(vcpu), event, ex->error_code);
}

/**
 * vmx_set_nmi_mask() - user space says whether the guest serves an NMI
 * @vcpu: outside the guest
 * @masked: it does: the next IRET ends it
 */
void vmx_set_nmi_mask(struct vcpu *vcpu, bool masked)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vcpu->nmi_masked = masked;
	if (masked)
		vmx->shadow |= GUEST_INTR_STATE_NMI;
	else
		vmx->shadow &= ~GUEST_INTR_STATE_NMI;
}

/**
 * vmx_inject_nmi() - give an NMI to the next entry; more are masked until IRET
 * @vcpu: nmi_injected is set
 *
 * The CPU masks them when it delivers this one, and wants them open before.
 */
void vmx_inject_nmi(struct vcpu *vcpu)
{
	vmx_inject(to_vmx(vcpu), INTR_TYPE_NMI_INTR | NMI_VECTOR, 0);
	vmx_set_nmi_mask(vcpu, false);
	vcpu->nmi_masked = true;
}

/**
 * vmx_inject_irq() - give an interrupt to the next entry
 * @vcpu: interrupt.injected is set
 * @vector: its vector
 * @soft: INT n cut off by an exit: RIP still points to it, it runs again by itself
 */
void vmx_inject_irq(struct vcpu *vcpu, u8 vector, bool soft)
{
	if (!soft)
		vmx_inject(to_vmx(vcpu), INTR_TYPE_EXT_INTR | vector, 0);
}

/**
 * vmx_irq_allowed() - would the guest take an interrupt now?
 * @vcpu: outside the guest
 */
bool vmx_irq_allowed(struct vcpu *vcpu)
{
	return vcpu->rflags & X86_EFLAGS_IF && !(to_vmx(vcpu)->shadow & VMX_SHADOW);
}

/**
 * vmx_nmi_allowed() - would the guest take an NMI now?
 * @vcpu: outside the guest
 */
bool vmx_nmi_allowed(struct vcpu *vcpu)
{
	return !vcpu->nmi_masked && !(to_vmx(vcpu)->shadow & VMX_SHADOW);
}

/**
 * vmx_irq_window() - exit as soon as the guest could take an interrupt
 * @vcpu: outside the guest
 */
void vmx_irq_window(struct vcpu *vcpu)
{
	to_vmx(vcpu)->proc |= CPU_BASED_INTR_WINDOW_EXITING;
}

/**
 * vmx_nmi_window() - exit as soon as the guest could take an NMI
 * @vcpu: outside the guest
 *
 * NMI-window exiting minds what masks NMIs and MOV SS, but some CPUs refuse to
 * inject an NMI after STI: then the interrupt window is waited for.
 */
void vmx_nmi_window(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->proc |= vmx->shadow & GUEST_INTR_STATE_STI ? CPU_BASED_INTR_WINDOW_EXITING :
							   CPU_BASED_NMI_WINDOW_EXITING;
}

/**
 * vmx_tpr_window() - exit when the guest writes CR8
 * @vcpu: outside the guest
 * @on: an interrupt waits for a lower TPR
 *
 * NOTDONE: TPR shadow; each access to CR8 exits anyway.
 */
void vmx_tpr_window(struct vcpu *vcpu, bool on)
{
}

enum event_class vmx_event_class(u32 info)
{
	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:	return EVENT_NMI;
	case INTR_TYPE_HARD_EXCEPTION:	return EVENT_EXCEPTION;
	case INTR_TYPE_EXT_INTR:	return EVENT_INTERRUPT;
	default:			return EVENT_NONE;
	}
}

static void vmx_requeue(struct vcpu *vcpu, u32 info, u32 error_code)
{
	event_requeue(vcpu, vmx_event_class(info), info & VECTORING_INFO_VECTOR_MASK,
		      info & VECTORING_INFO_DELIVER_CODE_MASK, error_code);
}

/*
 * An IRET that faults has opened NMIs already, and will run again: they are
 * masked until then.  SDM 3C "Information for VM Exits Due to Vectored Events",
 * "Exit Qualification for EPT Violations": the same bit in both.
 */
static bool vmx_iret_faulted(const struct vmx_exit *exit)
{
	switch (exit->reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		return exit->intr_info & INTR_INFO_UNBLOCK_NMI &&
		       (exit->intr_info & INTR_INFO_VECTOR_MASK) != DF_VECTOR;
	case EXIT_REASON_EPT_VIOLATION:
		return exit->qual & INTR_INFO_UNBLOCK_NMI;
	default:
		return false;
	}
}

#define VMX_WINDOWS	(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING)

/**
 * vmx_events_after_exit() - settle what was injected, and what an exit cut off
 * @vmx: just back from the guest; interrupts off
 */
void vmx_events_after_exit(struct vmx_vcpu *vmx)
{
	const struct vmx_exit *exit = &vmx->exit;
	struct vcpu *vcpu = &vmx->vcpu;

	event_delivered(vcpu);

	if (unlikely(exit->idt_info & VECTORING_INFO_VALID_MASK))
		vmx_requeue(vcpu, exit->idt_info, exit->idt_error);
	else if (unlikely(vmx_iret_faulted(exit)))
		vmx->shadow |= GUEST_INTR_STATE_NMI;
	vcpu->nmi_masked = vmx->shadow & GUEST_INTR_STATE_NMI;
	if (unlikely(vmx->proc & VMX_WINDOWS)) {
		vmx->proc &= ~VMX_WINDOWS;
		vcpu_request(vcpu, REQ_EVENT);
	}
}

/**
 * vmx_get_shadow() - does STI or MOV SS hold interrupts off?
 * @vcpu: outside the guest
 *
 * Return: KVM_X86_SHADOW_INT_*.
 */
u8 vmx_get_shadow(struct vcpu *vcpu)
{
	u32 shadow = to_vmx(vcpu)->shadow;

	return (shadow & GUEST_INTR_STATE_STI ? KVM_X86_SHADOW_INT_STI : 0) |
	       (shadow & GUEST_INTR_STATE_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
}

/**
 * vmx_set_shadow() - set or end the interrupt shadow
 * @vcpu: outside the guest
 * @shadow: KVM_X86_SHADOW_INT_*, 0 ends it
 *
 * Both at once is a state that an entry refuses: MOV SS is the stronger.
 */
void vmx_set_shadow(struct vcpu *vcpu, u8 shadow)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_end_shadow(vmx);
	if (shadow & KVM_X86_SHADOW_INT_MOV_SS)
		vmx->shadow |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & KVM_X86_SHADOW_INT_STI)
		vmx->shadow |= GUEST_INTR_STATE_STI;
}
