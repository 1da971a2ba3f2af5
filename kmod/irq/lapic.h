/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of a local APIC, for the files of irq/ only.
 *
 * All registers live in one page in the hardware's own layout, so that
 * KVM_GET_LAPIC is a copy.  Who writes what:
 *
 *   IRR, TMR, @irr_words, @errors	anyone, atomically
 *   all the rest				the vCPU's own thread
 *
 * A bitmap of 256 vectors is eight 32-bit registers, 16 bytes apart; a word
 * of summary says which of the eight may be set, so that "nothing pends" is
 * one load and the highest vector is two bit scans.
 */
#ifndef IRQ_LAPIC_H
#define IRQ_LAPIC_H

#include <linux/bitops.h>
#include "irq.h"

/* SDM 3A "Interrupt Vectors": 0 to 15 are not for the APIC */
#define APIC_FIRST_VECTOR	16
#define APIC_PRIORITY_CLASS	0xf0
/* Of an ICR: none, APIC_DEST_SELF, APIC_DEST_ALLINC or APIC_DEST_ALLBUT */
#define APIC_SHORTHAND		APIC_DEST_ALLBUT
/* APIC id 0xff, or all ones with x2APIC: everybody */
#define XAPIC_BROADCAST		0xffu
#define X2APIC_BROADCAST	0xffffffffu

struct lapic {
	struct vcpu	*vcpu;
	unsigned long	irr_words;	/* bit n: vectors 32n to 32n+31 of the IRR */
	unsigned long	errors;		/* ESR bits since the guest last asked */
	u8		isr_words;	/* as irr_words, exact */
	bool		pv_eoi_set;	/* the guest may see 1 in its PV EOI word */
	s16		user_extint;	/* KVM_INTERRUPT's vector, -1 none */
	struct hrtimer	timer;
	u64		tsc_deadline;	/* 0: not armed */
	u64		regs[KVM_APIC_REG_SIZE / 8];	/* as in the APIC page */
};

static inline u32 lapic_get(const struct lapic *apic, unsigned int reg)
{
	return READ_ONCE(*(u32 *)((void *)apic->regs + reg));
}

static inline void lapic_set(struct lapic *apic, unsigned int reg, u32 val)
{
	WRITE_ONCE(*(u32 *)((void *)apic->regs + reg), val);
}

/* Vector @vector of bitmap @base (APIC_IRR, APIC_ISR, APIC_TMR): word and bit in it. */
static inline unsigned long *lapic_word(const struct lapic *apic, unsigned int base, u8 vector)
{
	return (void *)apic->regs + base + (vector / 32) * 16;
}

#define lapic_bit(vector)	((vector) % 32)

static inline bool lapic_test(const struct lapic *apic, unsigned int base, u8 vector)
{
	return test_bit(lapic_bit(vector), lapic_word(apic, base, vector));
}

static inline bool lapic_hw_enabled(const struct lapic *apic)
{
	return READ_ONCE(apic->vcpu->apic_base) & XAPIC_ENABLE;
}

static inline bool lapic_x2apic(const struct lapic *apic)
{
	return READ_ONCE(apic->vcpu->apic_base) & X2APIC_ENABLE;
}

static inline bool lapic_sw_enabled(const struct lapic *apic)
{
	return lapic_get(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

/*
 * The id it answers to.  An id that eight bits cannot hold is answered in
 * xAPIC mode too, so that x2APIC software can start such a vCPU.
 */
static inline u32 lapic_id(const struct lapic *apic)
{
	if (lapic_x2apic(apic) || apic->vcpu->id >= XAPIC_BROADCAST)
		return apic->vcpu->id;
	return GET_XAPIC_DEST_FIELD(lapic_get(apic, APIC_ID));
}

/* Does LINT0 bring the PIC's INTR in as ExtINT? With the APIC off it is the INTR pin. */
static inline bool lapic_takes_extint(const struct lapic *apic)
{
	if (!lapic_hw_enabled(apic) || test_bit(LAPIC_EXTINT, &apic->vcpu->apic_events))
		return true;
	return (lapic_get(apic, APIC_LVT0) & (APIC_LVT_MASKED | APIC_MODE_MASK)) == APIC_DM_EXTINT;
}

/* One result for several receivers: what is masked here may be delivered there. */
static inline int irq_merge_results(int ret, int one)
{
	return one < 0 ? ret : max(ret, 0) + one;
}

/* ---- lapic.c ---- */
void lapic_error(struct lapic *apic, u32 esr_bit);

/* ---- lapic_irq.c ---- */
int lapic_accept(struct lapic *apic, struct vcpu *src, u32 icr);
void lapic_eoi(struct lapic *apic);
void lapic_set_tpr(struct lapic *apic, u8 tpr);
void lapic_rescan(struct lapic *apic);
void lapic_lint0_raised(struct vm *vm);

/* ---- apic_dest.c ---- */
int lapic_deliver_from_device(struct vm *vm, u32 dest, u32 icr);

/* ---- lapic_timer.c ---- */
void lapic_timer_init(struct lapic *apic);
void lapic_timer_stop(struct lapic *apic);
void lapic_timer_set_initial(struct lapic *apic, u32 count);
void lapic_timer_resume(struct lapic *apic);
u32 lapic_timer_count(struct lapic *apic);
void lapic_timer_set_mode(struct lapic *apic, u32 lvtt);
void lapic_timer_set_divider(struct lapic *apic, u32 tdcr);

#endif /* IRQ_LAPIC_H */
