// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's path of an interrupt: accepted into the IRR by anyone, in
 * any context; taken to the ISR by the vCPU's own thread when it beats the
 * processor priority; ended by EOI.  And what bypasses the IRR: NMI, SMI,
 * INIT, SIPI, ExtINT.
 *
 * SDM 3A "Handling Interrupts", "Interrupt Acceptance for Fixed Interrupts",
 * "Task and Processor Priorities".
 */
#include <linux/kvm_para.h>
#include "../mmu/memslot.h"
#include "chips.h"
#include "lapic.h"

/*
 * Is there anything in a word of the IRR?  A sender sets a bit of the IRR and
 * then looks at the summary; we clear the summary and then look at the IRR.
 * With full barriers in between, one of the two sees the other.
 */
static void lapic_sum_up_irr(struct lapic *apic, unsigned int word)
{
	clear_bit(word, &apic->irr_words);
	smp_mb__after_atomic();		/* pairs with test_and_set_bit() of the IRR */
	if (lapic_get(apic, APIC_IRR + 16 * word))
		set_bit(word, &apic->irr_words);
}

static int lapic_highest_irr(struct lapic *apic)
{
	unsigned long words;

	while ((words = READ_ONCE(apic->irr_words))) {
		unsigned int word = __fls(words);
		u32 bits = lapic_get(apic, APIC_IRR + 16 * word);

		if (likely(bits))
			return 32 * word + __fls(bits);
		lapic_sum_up_irr(apic, word);
	}
	return -1;
}

static int lapic_highest_isr(const struct lapic *apic)
{
	unsigned int word;

	if (!apic->isr_words)
		return -1;
	word = __fls(apic->isr_words);
	return 32 * word + __fls(lapic_get(apic, APIC_ISR + 16 * word));
}

/* Priority class of the highest vector in service. */
static u32 lapic_isr_class(const struct lapic *apic)
{
	int vector = lapic_highest_isr(apic);

	return vector < 0 ? 0 : vector & APIC_PRIORITY_CLASS;
}

/* SDM 3A "Task and Processor Priorities", Figure "Processor-Priority Register (PPR)" */
static void lapic_update_ppr(struct lapic *apic)
{
	u32 tpr = lapic_get(apic, APIC_TASKPRI);
	u32 isr = lapic_isr_class(apic);

	lapic_set(apic, APIC_PROCPRI, (tpr & APIC_PRIORITY_CLASS) >= isr ? tpr : isr);
}

/**
 * lapic_rescan() - the register page was changed as a whole
 * @apic: of a vCPU whose mutex is held
 *
 * Works out anew what is kept beside the page.
 */
void lapic_rescan(struct lapic *apic)
{
	unsigned int word;

	apic->isr_words = 0;
	for (word = 0; word < APIC_ISR_NR; word++) {
		if (lapic_get(apic, APIC_ISR + 16 * word))
			apic->isr_words |= BIT(word);
		lapic_sum_up_irr(apic, word);
	}
	lapic_update_ppr(apic);
	vcpu_request(apic->vcpu, REQ_EVENT);
}

/**
 * lapic_set_tpr() - the task priority
 * @apic: of this vCPU
 * @tpr: class and subclass
 *
 * Runs with interrupts off too: a CR8 that changed without an exit.
 */
void lapic_set_tpr(struct lapic *apic, u8 tpr)
{
	lapic_set(apic, APIC_TASKPRI, tpr);
	lapic_update_ppr(apic);
	if (READ_ONCE(apic->irr_words))
		vcpu_request(apic->vcpu, REQ_EVENT);
}

/**
 * lapic_get_cr8() - the task priority class, as CR8 shows it
 * @vcpu: with a local APIC
 */
u64 lapic_get_cr8(struct vcpu *vcpu)
{
	return lapic_get(vcpu->lapic, APIC_TASKPRI) >> 4;
}

/**
 * lapic_set_cr8() - SDM 3A "Interaction of Task Priorities between CR8 and APIC"
 * @vcpu: this vCPU, with a local APIC
 * @cr8: 0 to 15
 */
void lapic_set_cr8(struct vcpu *vcpu, u64 cr8)
{
	lapic_set_tpr(vcpu->lapic, cr8 << 4);
}

/**
 * lapic_pending_irq() - what may be injected now
 * @vcpu: this vCPU, with a local APIC
 *
 * Software-disabled or not: what waits in the IRR stays deliverable, SDM 3A
 * "Local APIC State After It Has Been Software Disabled".
 *
 * Return: the vector, -1 if there is none that beats the processor priority.
 */
int lapic_pending_irq(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;
	int vector = lapic_highest_irr(apic);

	if (likely(vector < 0) || !lapic_hw_enabled(apic))
		return -1;
	if ((vector & APIC_PRIORITY_CLASS) <=
	    (lapic_get(apic, APIC_PROCPRI) & APIC_PRIORITY_CLASS))
		return -1;
	return vector;
}

/**
 * lapic_ack_irq() - take the highest vector into service
 * @vcpu: this vCPU, with a local APIC
 *
 * Return: the vector, now in the ISR; -1 if there is none.
 */
int lapic_ack_irq(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;
	int pending = lapic_pending_irq(vcpu);
	u8 vector = pending;

	if (pending < 0)
		return -1;
	clear_bit(lapic_bit(vector), lapic_word(apic, APIC_IRR, vector));
	if (!lapic_get(apic, APIC_IRR + 16 * (vector / 32)))
		lapic_sum_up_irr(apic, vector / 32);
	__set_bit(lapic_bit(vector), lapic_word(apic, APIC_ISR, vector));
	apic->isr_words |= BIT(vector / 32);
	/* It was above the PPR, and so above the TPR. */
	lapic_set(apic, APIC_PROCPRI, vector & APIC_PRIORITY_CLASS);
	return vector;
}

/**
 * lapic_blocked_by_tpr() - would a lower TPR let an interrupt in?
 * @vcpu: this vCPU, with a local APIC
 */
bool lapic_blocked_by_tpr(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;
	int vector = lapic_highest_irr(apic);
	u32 class = vector & APIC_PRIORITY_CLASS;

	if (likely(vector < 0))
		return false;
	return class <= (lapic_get(apic, APIC_TASKPRI) & APIC_PRIORITY_CLASS) &&
	       class > lapic_isr_class(apic);
}

/* Does anyone beside the APIC hear the EOI of this vector? */
static bool lapic_eoi_heard(const struct lapic *apic, u8 vector)
{
	return lapic_test(apic, APIC_TMR, vector) || ioapic_wants_eoi(apic->vcpu->vm, vector);
}

static void lapic_broadcast_eoi(struct lapic *apic, u8 vector)
{
	struct vcpu *vcpu = apic->vcpu;

	if (lapic_get(apic, APIC_SPIV) & APIC_SPIV_DIRECTED_EOI)
		return;
	if (vcpu->vm->ioapic) {
		ioapic_eoi(vcpu->vm, vector);
	} else {
		vcpu->eoi_exit_vector = vector;
		vcpu_request(vcpu, REQ_EOI_EXIT);
	}
}

/**
 * lapic_eoi() - end the highest interrupt in service
 * @apic: of this vCPU
 *
 * SDM 3A "Signaling Interrupt Servicing Completion".
 */
void lapic_eoi(struct lapic *apic)
{
	int highest = lapic_highest_isr(apic);
	u8 vector = highest;

	if (unlikely(highest < 0))
		return;
	__clear_bit(lapic_bit(vector), lapic_word(apic, APIC_ISR, vector));
	if (!lapic_get(apic, APIC_ISR + 16 * (vector / 32)))
		apic->isr_words &= ~BIT(vector / 32);
	lapic_update_ppr(apic);
	if (unlikely(lapic_eoi_heard(apic, vector)))
		lapic_broadcast_eoi(apic, vector);
	if (READ_ONCE(apic->irr_words))
		vcpu_request(apic->vcpu, REQ_EVENT);
}

/* 1, 0 if the vector waits already, -1 if it is refused */
static int lapic_accept_vector(struct lapic *apic, struct vcpu *src, u8 vector, bool level)
{
	struct vcpu *vcpu = apic->vcpu;

	if (unlikely(!lapic_sw_enabled(apic)))
		return -1;
	if (unlikely(vector < APIC_FIRST_VECTOR)) {
		lapic_error(apic, APIC_ESR_RECVILL);
		return -1;
	}
	if (unlikely(lapic_test(apic, APIC_TMR, vector) != level))
		assign_bit(lapic_bit(vector), lapic_word(apic, APIC_TMR, vector), level);
	/* Who found it clear before us tells the vCPU. */
	if (test_and_set_bit(lapic_bit(vector), lapic_word(apic, APIC_IRR, vector)))
		return 0;
	if (!test_bit(vector / 32, &apic->irr_words))
		set_bit(vector / 32, &apic->irr_words);
	vcpu_request(vcpu, REQ_EVENT);
	if (vcpu != src)
		vcpu_kick(vcpu);
	return 1;
}

/**
 * lapic_accept() - one local APIC takes a message that is for it
 * @apic: any vCPU's
 * @src: the vCPU whose thread this is and that sends it; or NULL
 * @icr: vector, delivery and trigger mode count
 *
 * Any context.  Return: 1 accepted, 0 merged with one that waits, -1 refused.
 */
int lapic_accept(struct lapic *apic, struct vcpu *src, u32 icr)
{
	struct vcpu *vcpu = apic->vcpu;

	if (unlikely(!lapic_hw_enabled(apic)))
		return -1;
	if (likely((icr & APIC_MODE_MASK) <= APIC_DM_LOWEST))
		return lapic_accept_vector(apic, src, icr & APIC_VECTOR_MASK,
					   icr & APIC_INT_LEVELTRIG);
	switch (icr & APIC_MODE_MASK) {
	case APIC_DM_NMI:
		vcpu_nmi(vcpu);
		break;
	case APIC_DM_SMI:
		vcpu_request(vcpu, REQ_SMI);
		break;
	case APIC_DM_INIT:
		clear_bit(LAPIC_SIPI, &vcpu->apic_events);
		set_bit(LAPIC_INIT, &vcpu->apic_events);
		vcpu_request(vcpu, REQ_APIC_STATE);
		break;
	case APIC_DM_STARTUP:
		WRITE_ONCE(vcpu->sipi_vector, icr & APIC_VECTOR_MASK);
		lapic_post_sipi(vcpu);
		break;
	case APIC_DM_EXTINT:
		set_bit(LAPIC_EXTINT, &vcpu->apic_events);
		vcpu_request(vcpu, REQ_EVENT);
		break;
	default:	/* remote read: not since the P6 family */
		return -1;
	}
	vcpu_kick(vcpu);
	return 1;
}

/**
 * lapic_local_deliver() - an entry of the local vector table fires
 * @vcpu: any vCPU with a local APIC
 * @lvt: APIC_LVTT, APIC_LVTTHMR, APIC_LVTPC, APIC_LVT0, APIC_LVT1, APIC_LVTERR
 *
 * SDM 3A "Local Vector Table".  Any context.
 * Return: as lapic_accept(); -1 when masked.
 */
int lapic_local_deliver(struct vcpu *vcpu, unsigned int lvt)
{
	struct lapic *apic = vcpu->lapic;
	u32 entry = lapic_get(apic, lvt);
	int ret;

	if (entry & APIC_LVT_MASKED)
		return -1;
	ret = lapic_accept(apic, NULL, entry);
	/* "The processor sets the mask flag" of this one when it fires. */
	if (lvt == APIC_LVTPC && ret >= 0)
		lapic_set(apic, lvt, entry | APIC_LVT_MASKED);
	return ret;
}

/**
 * lapic_lint0_raised() - the PIC's INTR output went up
 * @vm: whose PIC
 *
 * Wakes who takes ExtINT from it, and delivers where software wired LINT0 to
 * a fixed vector or an NMI (watchdog).  Any context.
 */
void lapic_lint0_raised(struct vm *vm)
{
	struct vcpu *vcpu;
	int i;

	vm_for_each_vcpu(i, vcpu, vm) {
		if (lapic_takes_extint(vcpu->lapic)) {
			vcpu_request(vcpu, REQ_EVENT);
			vcpu_kick(vcpu);
		} else {
			lapic_local_deliver(vcpu, APIC_LVT0);
		}
	}
}

/**
 * lapic_post_sipi() - a SIPI waits, with the vector already in place
 * @vcpu: with a local APIC; any context, the caller kicks
 */
void lapic_post_sipi(struct vcpu *vcpu)
{
	smp_mb__before_atomic();	/* the vector before the event */
	set_bit(LAPIC_SIPI, &vcpu->apic_events);
	vcpu_request(vcpu, REQ_APIC_STATE);
}

/**
 * lapic_accept_init_sipi() - REQ_APIC_STATE
 * @vcpu: its own thread, may sleep
 *
 * SDM 3A "MP Initialization Protocol Algorithm for MP Systems": INIT leaves an
 * application processor waiting for a SIPI; a SIPI that finds it not waiting
 * is lost.  SMM latches an INIT until RSM.
 */
void lapic_accept_init_sipi(struct vcpu *vcpu)
{
	if (unlikely(vcpu->smm)) {
		clear_bit(LAPIC_SIPI, &vcpu->apic_events);
		return;
	}
	if (test_and_clear_bit(LAPIC_INIT, &vcpu->apic_events)) {
		vcpu_reset(vcpu, true);
		vcpu->mp_state = vcpu_is_bsp(vcpu) ? KVM_MP_STATE_RUNNABLE :
						     KVM_MP_STATE_INIT_RECEIVED;
	}
	if (test_and_clear_bit(LAPIC_SIPI, &vcpu->apic_events) &&
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		vcpu_start_at(vcpu, READ_ONCE(vcpu->sipi_vector));
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	}
}

/* ---- paravirtual EOI: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_PV_EOI_EN ---- */

/*
 * A bit in guest memory says "the next EOI may be clearing me".  It is set
 * when nobody but the APIC hears that EOI and no other interrupt waits for it.
 * Between an exit and the next entry the guest does not run, so the bit stays;
 * it is only looked at, and rewritten when it no longer tells the truth.
 */
static void lapic_pv_eoi_put(struct vcpu *vcpu, bool set)
{
	u8 word = set ? KVM_PV_EOI_ENABLED : 0;
	gpa_t gpa = vcpu->pv_eoi_msr & ~(u64)KVM_MSR_ENABLED;

	vcpu->lapic->pv_eoi_set = !pv_write(vcpu, gpa, &word, sizeof(word)) && set;
}

/**
 * lapic_set_pv_eoi() - WRMSR of MSR_KVM_PV_EOI_EN
 * @vcpu: under its mutex, memslot_srcu held
 * @val: gpa of the word, 4-byte aligned, and KVM_MSR_ENABLED; 0 without a local APIC
 *
 * Return: 0, or 1 for #GP.
 */
int lapic_set_pv_eoi(struct vcpu *vcpu, u64 val)
{
	if (!vcpu->lapic)
		return !!val;
	if (!IS_ALIGNED(val & ~(u64)KVM_MSR_ENABLED, sizeof(u32)))
		return 1;
	lapic_pv_eoi_leave(vcpu);
	vcpu->pv_eoi_msr = val;
	return 0;
}

/**
 * lapic_pv_eoi_before_entry() - may the guest end its interrupt without an exit?
 * @vcpu: interrupts are injected; memslot_srcu held, may sleep
 */
void lapic_pv_eoi_before_entry(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;
	int vector = lapic_highest_isr(apic);
	bool set = vector >= 0 && lapic_highest_irr(apic) < 0 && !lapic_eoi_heard(apic, vector);

	if (set != apic->pv_eoi_set)
		lapic_pv_eoi_put(vcpu, set);
}

/**
 * lapic_pv_eoi_after_exit() - has the guest ended it?
 * @vcpu: before the exit is handled; memslot_srcu held, may sleep
 */
void lapic_pv_eoi_after_exit(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;
	gpa_t gpa = vcpu->pv_eoi_msr & ~(u64)KVM_MSR_ENABLED;
	u8 word;

	if (likely(!apic->pv_eoi_set))
		return;
	if (pv_read(vcpu, gpa, &word, sizeof(word)) || word & KVM_PV_EOI_MASK)
		return;
	apic->pv_eoi_set = false;
	lapic_eoi(apic);
}

/**
 * lapic_pv_eoi_leave() - KVM_RUN ends: what user space may save must be whole
 * @vcpu: memslot_srcu held, may sleep
 */
void lapic_pv_eoi_leave(struct vcpu *vcpu)
{
	if (vcpu->lapic->pv_eoi_set)
		lapic_pv_eoi_put(vcpu, false);
}
