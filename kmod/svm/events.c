// SPDX-License-Identifier: GPL-2.0
/*
 * Events into an AMD-V guest: EVENTINJ, the windows that tell when one can be
 * taken, and what an exit cut off.  APM 2 "Event Injection".
 */
#include <asm/svm.h>
#include <asm/irq_vectors.h>
#include <asm/trapnr.h>
#include "../backend.h"
#include "../trace.h"
#include "svm.h"

static void svm_inject(struct svm_vcpu *svm, u32 event, u32 error_code)
{
	event |= SVM_EVTINJ_VALID;
	svm->vmcb->control.event_inj = event;
	svm->vmcb->control.event_inj_err = error_code;
	if (unlikely(svm->vcpu.guest_debug & KVM_GUESTDBG_SINGLESTEP || svm_soft_exception(event)))
		svm->host_saved = false;	/* svm_prepare() */
}

/**
 * svm_inject_exception() - give vcpu->exception to the next entry
 * @vcpu: exception.injected is set
 */
void svm_inject_exception(struct vcpu *vcpu)
{
	const struct vcpu_exception *ex = &vcpu->exception;
	u32 event = ex->vector | SVM_EVTINJ_TYPE_EXEPT;

	/* #DB's and #PF's side effects are in DR6 and CR2 by now. */
	if (ex->has_error_code)
		event |= SVM_EVTINJ_VALID_ERR;
	svm_inject(to_svm(vcpu), event, ex->error_code);
}

/**
 * svm_set_nmi_mask() - user space says whether the guest serves an NMI
 * @vcpu: outside the guest
 * @masked: it does: the next IRET ends it
 */
void svm_set_nmi_mask(struct vcpu *vcpu, bool masked)
{
	vcpu->nmi_masked = masked;
	to_svm(vcpu)->iret_pending = false;
	svm_intercept(to_svm(vcpu), INTERCEPT_IRET, masked);
}

/**
 * svm_inject_nmi() - give an NMI to the next entry; more are masked until IRET
 * @vcpu: nmi_injected is set
 */
void svm_inject_nmi(struct vcpu *vcpu)
{
	svm_inject(to_svm(vcpu), SVM_EVTINJ_TYPE_NMI | NMI_VECTOR, 0);
	svm_set_nmi_mask(vcpu, true);
}

/**
 * svm_inject_irq() - give an interrupt to the next entry
 * @vcpu: interrupt.injected is set
 * @vector: its vector
 * @soft: INT n cut off by an exit: RIP still points to it, it runs again by itself
 */
void svm_inject_irq(struct vcpu *vcpu, u8 vector, bool soft)
{
	if (!soft)
		svm_inject(to_svm(vcpu), SVM_EVTINJ_TYPE_INTR | vector, 0);
}

static bool svm_shadowed(const struct svm_vcpu *svm)
{
	return svm->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK;
}

/**
 * svm_irq_allowed() - would the guest take an interrupt now?
 * @vcpu: outside the guest
 */
bool svm_irq_allowed(struct vcpu *vcpu)
{
	return vcpu->rflags & X86_EFLAGS_IF && !svm_shadowed(to_svm(vcpu));
}

/**
 * svm_nmi_allowed() - would the guest take an NMI now?
 * @vcpu: outside the guest
 */
bool svm_nmi_allowed(struct vcpu *vcpu)
{
	return !vcpu->nmi_masked && !svm_shadowed(to_svm(vcpu));
}

/**
 * svm_irq_window() - exit as soon as the guest could take an interrupt
 * @vcpu: outside the guest
 *
 * A virtual interrupt that ignores V_TPR is asked for and intercepted: the
 * exit comes before it would be delivered.  APM 2 "Virtual Interrupts".
 */
void svm_irq_window(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_intercept(svm, INTERCEPT_VINTR, true);
	svm->vmcb->control.int_ctl |= V_IRQ_MASK | V_IGN_TPR_MASK;
	svm_dirty(svm, SVM_CLEAN_TPR);
}

static void svm_irq_window_close(struct svm_vcpu *svm)
{
	svm_intercept(svm, INTERCEPT_VINTR, false);
	svm->vmcb->control.int_ctl &= ~(V_IRQ_MASK | V_IGN_TPR_MASK);
	svm_dirty(svm, SVM_CLEAN_TPR);
}

/**
 * svm_tpr_window() - exit when the guest writes CR8
 * @vcpu: outside the guest
 * @on: an interrupt waits for a lower TPR
 */
void svm_tpr_window(struct vcpu *vcpu, bool on)
{
	svm_intercept(to_svm(vcpu), INTERCEPT_CR8_WRITE, on);
}

/**
 * svm_nmi_window() - exit as soon as the guest could take an NMI
 * @vcpu: outside the guest
 *
 *   held off by			exit by
 *   an NMI before, IRET not seen	the IRET intercept, set since that NMI
 *   that IRET, not yet executed	single-step over it
 *   STI or MOV SS			single-step over the shadow
 */
void svm_nmi_window(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (vcpu->nmi_masked && !svm->iret_pending)
		return;
	if (!svm->nmi_step)
		svm->step_tf_was = vcpu_guest_rflags(vcpu) & X86_EFLAGS_TF;
	svm->nmi_step = true;
	vcpu->rflags |= X86_EFLAGS_TF;
}

/**
 * svm_nmi_step_end() - the single step of svm_nmi_window() is over
 * @svm: outside the guest
 *
 * An IRET has loaded RFLAGS itself: then TF is already the guest's.
 */
void svm_nmi_step_end(struct svm_vcpu *svm)
{
	svm->nmi_step = false;
	if (!svm->step_tf_was && !svm->vcpu.step_armed)
		svm->vcpu.rflags &= ~X86_EFLAGS_TF;
}

/* INT3 and INTO are reported as exceptions: event_requeue() about software events. */
enum event_class svm_event_class(u32 info)
{
	switch (info & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_NMI:		return EVENT_NMI;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		return svm_soft_exception(info) ? EVENT_NONE : EVENT_EXCEPTION;
	case SVM_EXITINTINFO_TYPE_INTR:		return EVENT_INTERRUPT;
	default:				return EVENT_NONE;
	}
}

static void svm_requeue(struct vcpu *vcpu, const struct vmcb_control_area *control)
{
	u32 info = control->exit_int_info;
	enum event_class class = svm_event_class(info);

	if (vcpu->exception.injected && svm_soft_exception(info)) {
		class = EVENT_EXCEPTION;	/* not by the guest's instruction: */
		vcpu->rip--;			/* svm_prepare() has stepped over it */
	}
	event_delivered(vcpu);
	event_requeue(vcpu, class, info & SVM_EXITINTINFO_VEC_MASK,
		      info & SVM_EXITINTINFO_VALID_ERR, control->exit_int_info_err);
}

/**
 * svm_events_after_exit() - settle what was injected, and what an exit cut off
 * @svm: just back from the guest; interrupts off
 */
void svm_events_after_exit(struct svm_vcpu *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	struct vcpu *vcpu = &svm->vcpu;

	if (unlikely(svm->iret_pending) && vcpu->rip != svm->iret_rip) {
		svm->iret_pending = false;
		vcpu->nmi_masked = false;
		vcpu_request(vcpu, REQ_EVENT);
	}
	if (unlikely(control->int_ctl & V_IRQ_MASK)) {
		svm_irq_window_close(svm);
		vcpu_request(vcpu, REQ_EVENT);
	}
	if (unlikely(control->exit_int_info & SVM_EXITINTINFO_VALID))
		svm_requeue(vcpu, control);
	else
		event_delivered(vcpu);
	control->event_inj = 0;
}

/**
 * svm_get_shadow() - does STI or MOV SS hold interrupts off?
 * @vcpu: outside the guest
 *
 * Return: KVM_X86_SHADOW_INT_*; AMD-V does not tell the two apart.
 */
u8 svm_get_shadow(struct vcpu *vcpu)
{
	return svm_shadowed(to_svm(vcpu)) ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
}

/**
 * svm_set_shadow() - set or end the interrupt shadow
 * @vcpu: outside the guest
 * @shadow: KVM_X86_SHADOW_INT_*, 0 ends it
 */
void svm_set_shadow(struct vcpu *vcpu, u8 shadow)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (shadow)
		svm->vmcb->control.int_state |= SVM_INTERRUPT_SHADOW_MASK;
	else
		svm->vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}
