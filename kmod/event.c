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
#include <asm/irq_vectors.h>
#include "backend.h"
#include "compat.h"
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
	case TS_VECTOR ... GP_VECTOR: return EXC_CONTRIBUTORY;
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

/*
 * The next instruction is to end in user space's debugger.
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
static void step_arm(struct vcpu *vcpu)
{
	if (!vcpu->step_armed)
		vcpu->step_tf = vcpu->rflags & X86_EFLAGS_TF;
	vcpu->step_armed = true;
	vcpu->rflags |= X86_EFLAGS_TF;
}

/* RFLAGS.TF is the guest's own again. */
static void step_disarm(struct vcpu *vcpu)
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
	step_disarm(vcpu);
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
		step_arm(vcpu);
	else
		step_disarm(vcpu);
	vcpu_request(vcpu, REQ_EVENT);		/* BLOCKIRQ may have ended */
}

/**
 * event_deliver_payload() - the exception is about to be delivered: set CR2 or DR6
 * @vcpu: under its mutex
 *
 * They change then, and not when it is found.
 */
void event_deliver_payload(struct vcpu *vcpu)
{
	struct vcpu_exception *ex = &vcpu->exception;

	if (!ex->has_payload)
		return;
	if (ex->vector == PF_VECTOR) {
		vcpu->cr2 = ex->payload;
	} else if (ex->vector == DB_VECTOR) {
		vcpu->dr6 &= ~(u64)DR_TRAP_BITS;
		vcpu->dr6 |= DR6_RESERVED | ex->payload;
		vcpu->dr7 &= ~(u64)DR7_GD;
		backend(update_intercepts)(vcpu);
	}
	ex->has_payload = false;
}

/* Traps and aborts; what #DB is depends on what it tells. */
enum { NO_FAULTS = BIT(DB_VECTOR) | BIT(BP_VECTOR) | BIT(OF_VECTOR) | BIT(DF_VECTOR) | BIT(MC_VECTOR) };

/* One that is pending, or that was injected and must be again. */
static void inject_exception(struct vcpu *vcpu)
{
	struct vcpu_exception *ex = &vcpu->exception;

	/* A fault restarts its instruction: RF keeps a breakpoint there from firing twice. */
	if (!ex->injected && !(NO_FAULTS & BIT(ex->vector)))
		vcpu->rflags |= X86_EFLAGS_RF;
	event_deliver_payload(vcpu);
	ex->pending = false;
	ex->injected = true;
	/* Real mode pushes no error codes. */
	if (!(vcpu->cr0 & X86_CR0_PE))
		ex->has_error_code = false;
	backend(inject)(vcpu, EVENT_EXCEPTION | ex->vector |
			      (ex->has_error_code ? EVENT_ERROR_CODE : 0), ex->error_code);
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

/* What an exit cut off goes first, then an exception. True: the slot of the next entry is taken. */
static bool inject_first(struct vcpu *vcpu)
{
	if (vcpu->exception.injected) {
		inject_exception(vcpu);
	} else if (vcpu->nmi_injected) {
		backend(inject)(vcpu, EVENT_NMI | NMI_VECTOR, 0);
	} else if (vcpu->interrupt.injected) {
		trace_kvm_inj_virq(vcpu->interrupt.vector, vcpu->interrupt.soft, true);
		/* RIP still points to an INT n that was cut off: it runs again by itself. */
		if (!vcpu->interrupt.soft)
			backend(inject)(vcpu, EVENT_INTERRUPT | vcpu->interrupt.vector, 0);
	} else if (vcpu->exception.pending) {
		inject_exception(vcpu);
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
	backend(inject)(vcpu, EVENT_NMI | NMI_VECTOR, 0);
}

static bool inject_irq(struct vcpu *vcpu)
{
	int vector = irq_ack(vcpu);

	if (vector < 0)
		return false;
	vcpu->interrupt = (struct vcpu_interrupt) { .injected = true, .vector = vector };
	vcpu->stats.irq_injections++;
	trace_kvm_inj_virq(vector, false, false);
	backend(inject)(vcpu, EVENT_INTERRUPT | vector, 0);
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
	bool taken = inject_first(vcpu);

	if (vcpu->exception.pending)
		vcpu->event_again = true;
	if (unlikely(vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)) {
		step_arm(vcpu);
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
		if (!taken && !vcpu->nmi_masked && !backend(get_shadow)(vcpu)) {
			inject_nmi(vcpu);
			taken = true;
		}
		if (vcpu->nmi_pending)
			backend(nmi_window)(vcpu);
	}
	if (unlikely(READ_ONCE(vcpu->run->request_interrupt_window)) && vcpu_user_irq_fits(vcpu))
		backend(irq_window)(vcpu);
	if (!vcpu->lapic)
		return;
	if (irq_pending(vcpu) >= 0) {
		if (!taken && vcpu_irq_allowed(vcpu))
			taken = inject_irq(vcpu);
		if (irq_pending(vcpu) >= 0)
			backend(irq_window)(vcpu);
	}
	backend(tpr_window)(vcpu, lapic_blocked_by_tpr(vcpu));
}

/**
 * event_requeue() - an exit has cut off the delivery of an event
 * @vcpu: just back from the guest; interrupts off
 * @event: enum event_info; nothing more is done for an instruction's: RIP points to
 *	   INT n, INT1, INT3 or INTO still, which raises it anew
 * @error_code: of an exception that pushes one
 *
 * What was injected beside it has been delivered.
 */
void event_requeue(struct vcpu *vcpu, u32 event, u32 error_code)
{
	bool ours = event_is_injected(vcpu, event);
	u8 vector = event & EVENT_VECTOR;

	event_delivered(vcpu);
	switch (event & EVENT_TYPE) {
	case EVENT_NMI:
		vcpu->nmi_injected = true;
		break;
	case EVENT_BREAKPOINT:
		if (!ours)
			return;
		fallthrough;
	case EVENT_EXCEPTION:
		/* As a whole: its payload went before it, and is no older one's. */
		vcpu->exception = (struct vcpu_exception) {
			.injected = true, .vector = vector,
			.has_error_code = event & EVENT_ERROR_CODE,
			.error_code = error_code,
		};
		break;
	case EVENT_INTERRUPT:
		vcpu->interrupt = (struct vcpu_interrupt) { .injected = true, .vector = vector };
		break;
	default:
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
	if (!vcpu->nmi_masked && (vcpu->nmi_pending || atomic_read(&vcpu->nmi_queued)))
		return true;
	if (vcpu->exception.pending || event_cut_off(vcpu) || vcpu->pv_unhalted)
		return true;
	if (!vcpu->smm && (vcpu->smi_pending || test_bit(REQ_SMI, &vcpu->requests)))
		return true;
	return vcpu->lapic && irq_pending(vcpu) >= 0 && vcpu_irq_allowed(vcpu);
}
