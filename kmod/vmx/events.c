// SPDX-License-Identifier: GPL-2.0
/*
 * Events into a VT-x guest: the VM-entry interruption information, the windows
 * that tell when one can be taken, and what an exit cut off.
 * SDM 3C "Event Injection", "Information for VM Exits That Occur During Event Delivery".
 */
#include "vmx.h"

static_assert(EVENT_VECTOR == INTR_INFO_VECTOR_MASK && EVENT_TYPE == INTR_INFO_INTR_TYPE_MASK);
static_assert(EVENT_INTERRUPT == INTR_TYPE_EXT_INTR && EVENT_NMI == INTR_TYPE_NMI_INTR);
static_assert(EVENT_EXCEPTION == INTR_TYPE_HARD_EXCEPTION && EVENT_BREAKPOINT == INTR_TYPE_SOFT_EXCEPTION);
static_assert(EVENT_ERROR_CODE == INTR_INFO_DELIVER_CODE_MASK);

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

/* All but an interrupt. */
static noinline void vmx_inject_other(struct vmx_vcpu *vmx, u32 event)
{
	if ((event & EVENT_TYPE) == EVENT_NMI) {
		/* The CPU masks them when it delivers this one, and wants them open before. */
		vmx->shadow &= ~GUEST_INTR_STATE_NMI;
		vmx->vcpu.nmi_masked = true;
	}
	if (event_is_breakpoint(event)) {
		/* INT3 and INTO are one byte long; what is pushed is the RIP after it. */
		vmx->inject = (event & EVENT_VECTOR) | EVENT_BREAKPOINT | INTR_INFO_VALID_MASK;
		guard(vmx_hold)(vmx);
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, 1);
	}
}

/**
 * vmx_inject() - give an event to the next entry
 * @vcpu: #DB's and #PF's side effects are in DR6 and CR2 by now
 * @event: enum event_info; after an NMI, more are masked until IRET
 * @error_code: if it has one
 */
void vmx_inject(struct vcpu *vcpu, u32 event, u32 error_code)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->inject = event | INTR_INFO_VALID_MASK;
	vmx->inject_error = error_code;
	if (unlikely(event & EVENT_TYPE))
		vmx_inject_other(vmx, event);
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

	if (unlikely(exit->idt_info & VECTORING_INFO_VALID_MASK)) {
		event_requeue(vcpu, exit->idt_info, exit->idt_error);
	} else {
		event_delivered(vcpu);
		if (unlikely(vmx_iret_faulted(exit)))
			vmx->shadow |= GUEST_INTR_STATE_NMI;
	}
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
