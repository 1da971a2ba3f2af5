// SPDX-License-Identifier: GPL-2.0
/*
 * Events on their way into a guest: exceptions, NMIs, interrupts.
 *
 * An event is pending until a vendor writes it into the next entry, then it is
 * "injected".  If an exit cuts its delivery off, the vendor marks it injected
 * again, and it goes first at the next entry; else the mark is cleared.
 *
 *   found by us		-> exception.pending
 *   KVM_NMI, IPI, LINT1	-> nmi_queued -> nmi_pending (two at most)
 *   APIC, PIC			-> irq_pending(), irq_ack()
 *   KVM_INTERRUPT		-> interrupt.injected at once
 */
#include <linux/atomic.h>
#include <asm/trap_pf.h>
#include "backend.h"
#include "cr.h"
#include "exit.h"
#include "irq/irq.h"
#include "smm.h"
#include "trace.h"

/* ---- exceptions ---- */

/* SDM 3A "Interrupt 8 - Double Fault Exception (#DF)", table of classes. */
enum exception_class { EXC_BENIGN, EXC_CONTRIBUTORY, EXC_PAGE_FAULT };

static enum exception_class exception_class(u8 vector)
{
	switch (vector) {
	case PF_VECTOR: return EXC_PAGE_FAULT;
	case DE_VECTOR:
	case TS_VECTOR:
	case NP_VECTOR:
	case SS_VECTOR:
	case GP_VECTOR: return EXC_CONTRIBUTORY;
	default: return EXC_BENIGN;
	}
}

/*
 *   first \ second	benign		contributory	page fault
 *   benign		second		second		second
 *   contributory	second		#DF		second
 *   page fault		second		#DF		#DF
 *   #DF		second		triple fault	triple fault
 */
static bool makes_double_fault(u8 first, u8 second)
{
	enum exception_class a = exception_class(first), b = exception_class(second);

	return (a == EXC_CONTRIBUTORY && b == EXC_CONTRIBUTORY) ||
	       (a == EXC_PAGE_FAULT && b != EXC_BENIGN);
}

static void queue(struct vcpu *vcpu, struct vcpu_exception next)
{
	struct vcpu_exception *ex = &vcpu->exception;

	vcpu_request(vcpu, REQ_EVENT);
	if (ex->pending || ex->injected) {
		if (ex->vector == DF_VECTOR && exception_class(next.vector) != EXC_BENIGN) {
			ex->pending = ex->injected = false;
			vcpu_request(vcpu, REQ_TRIPLE_FAULT);
			return;
		}
		if (makes_double_fault(ex->vector, next.vector))
			next = (struct vcpu_exception) { .vector = DF_VECTOR, .has_error_code = true };
	}
	next.pending = true;
	*ex = next;
}

/**
 * vcpu_queue_exception() - raise an exception that has no error code
 * @vcpu: under its mutex
 * @vector: which
 */
void vcpu_queue_exception(struct vcpu *vcpu, u8 vector)
{
	queue(vcpu, (struct vcpu_exception) { .vector = vector });
}

/**
 * vcpu_queue_exception_err() - raise an exception with an error code
 * @vcpu: under its mutex
 * @vector: which
 * @error_code: as the CPU would push it
 */
void vcpu_queue_exception_err(struct vcpu *vcpu, u8 vector, u32 error_code)
{
	queue(vcpu, (struct vcpu_exception) {
		.vector = vector, .has_error_code = true, .error_code = error_code });
}

/**
 * vcpu_queue_page_fault() - raise #PF
 * @vcpu: under its mutex
 * @address: goes to CR2 on delivery
 * @error_code: X86_PF_*
 */
void vcpu_queue_page_fault(struct vcpu *vcpu, gva_t address, u32 error_code)
{
	queue(vcpu, (struct vcpu_exception) {
		.vector = PF_VECTOR, .has_error_code = true, .error_code = error_code,
		.has_payload = true, .payload = address });
}

/**
 * vcpu_queue_db() - raise #DB
 * @vcpu: under its mutex
 * @dr6_bits: DR_STEP, DR_TRAP0, ...: or'ed into DR6 on delivery
 */
void vcpu_queue_db(struct vcpu *vcpu, u64 dr6_bits)
{
	queue(vcpu, (struct vcpu_exception) {
		.vector = DB_VECTOR, .has_payload = true, .payload = dr6_bits });
}

/**
 * vcpu_queue_gp() - raise #GP(0)
 * @vcpu: under its mutex
 */
void vcpu_queue_gp(struct vcpu *vcpu)
{
	vcpu_queue_exception_err(vcpu, GP_VECTOR, 0);
}

/**
 * vcpu_queue_single_step() - an instruction was executed in software with RFLAGS.TF set
 * @vcpu: under its mutex
 *
 * The guest's own debugger gets its #DB; user space's is served by REQ_EVENT,
 * which sees KVM_GUESTDBG_SINGLESTEP.
 */
void vcpu_queue_single_step(struct vcpu *vcpu)
{
	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP) {
		vcpu->step_done = true;
		vcpu_request(vcpu, REQ_EVENT);
	} else {
		vcpu_queue_db(vcpu, DR_STEP);
	}
}

/**
 * event_step_arm() - the next instruction is to end in user space's debugger
 * @vcpu: outside the guest
 *
 * Outside of an entry RFLAGS.TF is the debugger's; the guest's own waits in
 * step_tf, and has no effect meanwhile.
 *
 *   PUSHF, SYSCALL	what they show of TF is mended after the step
 *   POPF, IRET		the TF they load is the guest's own
 *   an injected event	goes in without TF: event_step_in_event()
 *
 * NOTDONE: INT n, and exceptions that are not intercepted, push TF, and their
 * handler is not stepped; neither is what a SYSCALL that masks TF enters.  Both
 * want the monitor trap flag, which AMD-V does not have.
 */
void event_step_arm(struct vcpu *vcpu)
{
	if (!vcpu->step_armed)
		vcpu->step_tf = vcpu->rflags & X86_EFLAGS_TF;
	vcpu->step_armed = true;
	vcpu->rflags |= X86_EFLAGS_TF;
}

/**
 * event_step_disarm() - RFLAGS.TF is the guest's own again
 * @vcpu: outside the guest
 */
void event_step_disarm(struct vcpu *vcpu)
{
	vcpu->rflags = vcpu_guest_rflags(vcpu);
	vcpu->step_armed = false;
}

/**
 * event_step_in_event() - an event is about to go in while user space steps
 * @vcpu: about to enter; interrupts off
 *
 * It must not push the debugger's TF, and delivery clears TF: a host interrupt
 * that pends already ends the guest before the handler's first instruction.
 */
void event_step_in_event(struct vcpu *vcpu)
{
	event_step_disarm(vcpu);
	vcpu->event_again = true;
	smp_send_reschedule(smp_processor_id());
}

/**
 * event_set_debug() - what user space debugs from now on
 * @vcpu: under its mutex
 * @control: KVM_GUESTDBG_*, 0 nothing
 */
void event_set_debug(struct vcpu *vcpu, u32 control)
{
	vcpu->guest_debug = control;
	if (control & KVM_GUESTDBG_SINGLESTEP)
		event_step_arm(vcpu);
	else
		event_step_disarm(vcpu);
	vcpu_request(vcpu, REQ_EVENT);		/* BLOCKIRQ may have ended */
}

/* CR2 and DR6 change when the exception is delivered, not when it is found. */
static void deliver_payload(struct vcpu *vcpu)
{
	struct vcpu_exception *ex = &vcpu->exception;

	if (!ex->has_payload)
		return;
	if (ex->vector == PF_VECTOR) {
		vcpu->cr2 = ex->payload;
	} else if (ex->vector == DB_VECTOR) {
		vcpu->dr6 &= ~(u64)(DR_TRAP_BITS | DR_STEP);
		vcpu->dr6 |= DR6_RESERVED | ex->payload;
		vcpu->dr7 &= ~(u64)DR7_GD;
		backend(update_intercepts)(vcpu);
	}
	ex->has_payload = false;
}

/**
 * event_deliver_payload() - settle CR2 or DR6 before user space reads the state
 * @vcpu: under its mutex
 */
void event_deliver_payload(struct vcpu *vcpu)
{
	if (vcpu->exception.pending)
		deliver_payload(vcpu);
}

static void inject_exception(struct vcpu *vcpu, bool again)
{
	struct vcpu_exception *ex = &vcpu->exception;

	/* A fault restarts its instruction: RF keeps a breakpoint there from firing twice. */
	if (!again && exception_class(ex->vector) != EXC_BENIGN && ex->vector != DF_VECTOR)
		vcpu->rflags |= X86_EFLAGS_RF;
	deliver_payload(vcpu);
	ex->pending = false;
	ex->injected = true;
	/* Real mode pushes no error codes. */
	if (!(vcpu->cr0 & X86_CR0_PE))
		ex->has_error_code = false;
	backend(inject_exception)(vcpu);
}

/* ---- NMIs ---- */

/**
 * vcpu_nmi() - queue one NMI
 * @vcpu: any; any context
 *
 * The caller kicks.  While one is being served one more is remembered, the
 * rest merge into it.
 */
void vcpu_nmi(struct vcpu *vcpu)
{
	atomic_inc(&vcpu->nmi_queued);
	vcpu_request(vcpu, REQ_NMI);
}

/**
 * event_collect_nmis() - REQ_NMI: move what others queued to nmi_pending
 * @vcpu: under its mutex
 */
void event_collect_nmis(struct vcpu *vcpu)
{
	unsigned int limit = vcpu->nmi_masked || vcpu->nmi_injected ? 1 : 2;

	vcpu->nmi_pending = min_t(unsigned int, limit,
				  vcpu->nmi_pending + atomic_xchg(&vcpu->nmi_queued, 0));
	vcpu_request(vcpu, REQ_EVENT);
}

/* ---- the order of things ---- */

/* What an exit cut off goes first. True: the slot of the next entry is taken. */
static bool inject_again(struct vcpu *vcpu)
{
	if (vcpu->exception.injected) {
		inject_exception(vcpu, true);
	} else if (vcpu->nmi_injected) {
		backend(inject_nmi)(vcpu);
	} else if (vcpu->interrupt.injected) {
		trace_kvm_inj_virq(vcpu->interrupt.vector, vcpu->interrupt.soft, true);
		backend(inject_irq)(vcpu, vcpu->interrupt.vector, vcpu->interrupt.soft);
	} else {
		return false;
	}
	return true;
}

static void inject_nmi(struct vcpu *vcpu)
{
	vcpu->nmi_pending--;
	vcpu->nmi_injected = true;
	vcpu->stats.nmi_injections++;
	backend(inject_nmi)(vcpu);
}

static bool inject_irq(struct vcpu *vcpu)
{
	int vector = irq_ack(vcpu);

	if (vector < 0)
		return false;
	vcpu->interrupt.injected = true;
	vcpu->interrupt.soft = false;
	vcpu->interrupt.vector = vector;
	vcpu->stats.irq_injections++;
	trace_kvm_inj_virq(vector, false, false);
	backend(inject_irq)(vcpu, vector, false);
	return true;
}

/**
 * event_inject() - give the next entry what it may take, and ask for windows
 * @vcpu: under its mutex, outside the guest, interrupts on
 *
 * SDM 3A "Priority Among Concurrent Events": one event an entry; what has to
 * wait makes the vendor exit as soon as it could be taken.
 */
void event_inject(struct vcpu *vcpu)
{
	bool taken = inject_again(vcpu);

	if (vcpu->exception.pending) {
		if (taken) {
			vcpu->event_again = true;
		} else {
			inject_exception(vcpu, false);
			taken = true;
		}
	}
	if (unlikely(vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)) {
		event_step_arm(vcpu);
		vcpu->step_opcode = vcpu_peek_opcode(vcpu);
	}
	if (unlikely(vcpu->guest_debug & KVM_GUESTDBG_BLOCKIRQ))
		return;
	if (unlikely(vcpu->smi_pending && !vcpu->smm)) {
		if (taken)
			vcpu->event_again = true;
		else
			smm_enter(vcpu);
	}
	if (vcpu->nmi_pending) {
		if (!taken && backend(nmi_allowed)(vcpu)) {
			inject_nmi(vcpu);
			taken = true;
		}
		if (vcpu->nmi_pending)
			backend(nmi_window)(vcpu);
	}
	if (vcpu_user_wants_window(vcpu))
		backend(irq_window)(vcpu);
	if (!vcpu->lapic)
		return;
	if (irq_pending(vcpu) >= 0) {
		if (!taken && backend(irq_allowed)(vcpu))
			taken = inject_irq(vcpu);
		if (irq_pending(vcpu) >= 0)
			backend(irq_window)(vcpu);
	}
	backend(tpr_window)(vcpu, lapic_blocked_by_tpr(vcpu));
}

/**
 * event_requeue() - an exit has cut off the delivery of an event
 * @vcpu: just back from the guest; interrupts off
 * @class: EVENT_NONE for software events: RIP points to INT n, INT3 or INTO
 *	   still, which raises them anew
 * @vector: of an exception or interrupt
 * @has_error_code: the exception pushes @error_code
 * @error_code: which
 */
void event_requeue(struct vcpu *vcpu, enum event_class class, u8 vector, bool has_error_code,
		   u32 error_code)
{
	switch (class) {
	case EVENT_NMI:
		vcpu->nmi_injected = true;
		break;
	case EVENT_EXCEPTION:
		vcpu->exception.injected = true;
		vcpu->exception.vector = vector;
		vcpu->exception.has_error_code = has_error_code;
		vcpu->exception.error_code = error_code;
		break;
	case EVENT_INTERRUPT:
		vcpu->interrupt.injected = true;
		vcpu->interrupt.soft = false;
		vcpu->interrupt.vector = vector;
		break;
	case EVENT_NONE:
		return;
	}
	vcpu_request(vcpu, REQ_EVENT);
}

/**
 * event_wakes() - is there a reason to leave HLT?
 * @vcpu: its own thread
 */
bool event_wakes(struct vcpu *vcpu)
{
	if (vcpu->exception.pending || vcpu->nmi_pending || atomic_read(&vcpu->nmi_queued))
		return true;
	if (event_cut_off(vcpu) || vcpu->pv_unhalted || smm_wakes(vcpu))
		return true;
	return vcpu->lapic && irq_pending(vcpu) >= 0 && backend(irq_allowed)(vcpu);
}
