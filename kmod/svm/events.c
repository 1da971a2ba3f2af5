// SPDX-License-Identifier: GPL-2.0
/*
 * Events into an AMD-V guest: EVENTINJ, the windows that tell when one can be
 * taken, and what an exit cut off.  APM 2 "Event Injection".
 */
#include "svm.h"

static_assert(EVENT_VECTOR == SVM_EVTINJ_VEC_MASK && EVENT_TYPE == SVM_EVTINJ_TYPE_MASK);
static_assert(EVENT_INTERRUPT == SVM_EVTINJ_TYPE_INTR && EVENT_NMI == SVM_EVTINJ_TYPE_NMI);
static_assert(EVENT_EXCEPTION == SVM_EVTINJ_TYPE_EXEPT && EVENT_ERROR_CODE == SVM_EVTINJ_VALID_ERR);

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

/* All but an interrupt that nobody steps into.  svm_prepare() does what changes RIP or RFLAGS. */
static noinline void svm_inject_other(struct svm_vcpu *svm, u32 event)
{
	if ((event & EVENT_TYPE) == EVENT_NMI)
		svm_set_nmi_mask(&svm->vcpu, true);
	if (svm->vcpu.guest_debug & KVM_GUESTDBG_SINGLESTEP || event_is_breakpoint(event))
		svm->host_saved = false;
}

/**
 * svm_inject() - give an event to the next entry
 * @vcpu: #DB's and #PF's side effects are in DR6 and CR2 by now
 * @event: enum event_info; after an NMI, more are masked until IRET
 * @error_code: if it has one
 */
void svm_inject(struct vcpu *vcpu, u32 event, u32 error_code)
{
	struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;

	control->event_inj = event | SVM_EVTINJ_VALID;
	control->event_inj_err = error_code;
	if (unlikely(event & EVENT_TYPE || vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP))
		svm_inject_other(to_svm(vcpu), event);
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
 *   an event that goes in first		an interrupt of the host's, see svm_prepare()
 */
void svm_nmi_window(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (vcpu->nmi_masked && !svm->iret_pending)
		return;
	if (!svm->nmi_step)
		svm->step_tf_was = vcpu_guest_rflags(vcpu) & X86_EFLAGS_TF;
	svm->nmi_step = true;
	svm->host_saved = false;		/* for svm_prepare() */
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

/* A breakpoint is told of as any exception; svm_prepare() has stepped over one of ours. */
static void svm_requeue(struct vcpu *vcpu, u32 event, u32 error_code)
{
	if (event_is_breakpoint(event)) {
		vcpu->rip -= event_is_injected(vcpu, event);
		event = (event & EVENT_VECTOR) | EVENT_BREAKPOINT;
	}
	event_requeue(vcpu, event, error_code);
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
		svm_requeue(vcpu, control->exit_int_info, control->exit_int_info_err);
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
	return to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK ?
	       KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
}

/**
 * svm_set_shadow() - set or end the interrupt shadow
 * @vcpu: outside the guest
 * @shadow: KVM_X86_SHADOW_INT_*, 0 ends it
 */
void svm_set_shadow(struct vcpu *vcpu, u8 shadow)
{
	svm_end_shadow(to_svm(vcpu));
	if (shadow)
		to_svm(vcpu)->vmcb->control.int_state |= SVM_INTERRUPT_SHADOW_MASK;
}
