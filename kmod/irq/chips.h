/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of the PIC and the I/O APIC, for the files of irq/ only.
 *
 * Registers are kept in the structs of KVM_GET_IRQCHIP.  What those do not
 * say, who drives which line, stands beside them.
 */
#ifndef IRQ_CHIPS_H
#define IRQ_CHIPS_H

#include "irq.h"

#define PIC_PINS	16

struct pic {
	raw_spinlock_t	lock;			/* all fields; output is read without */
	bool		output;			/* INTR */
	u16		acked;			/* ISR bits that fell, to be told after unlock */
	u8		sources[PIC_PINS];	/* bit: enum irq_source that drives the line */
	struct kvm_pic_state chip[2];		/* master, slave */
};

/* The INTR output. No lock: whoever raises it kicks whoever takes it. */
static inline bool pic_pending(struct vm *vm)
{
	return vm->pic && READ_ONCE(vm->pic->output);
}

struct ioapic {
	raw_spinlock_t	lock;
	u8		sources[IOAPIC_PINS];
	struct kvm_ioapic_state state;		/* irr: lines that are high */
	DECLARE_BITMAP(listened, 256);		/* vectors whose EOI somebody wants; read without lock */
};

/* Both, as one piece of memory: vm->pic and vm->ioapic point into it. */
struct irq_chips {
	struct pic	pic;
	struct ioapic	ioapic;
};

void ioapic_init(struct ioapic *ioapic);

/* @bits with bit @nr set or cleared */
static inline u32 bit_assigned(u32 bits, unsigned int nr, bool set)
{
	return set ? bits | BIT(nr) : bits & ~BIT(nr);
}

/* Does anyone wait for the end of an edge-triggered vector? */
static inline bool ioapic_wants_eoi(struct vm *vm, u8 vector)
{
	return vm->ioapic && test_bit(vector, vm->ioapic->listened);
}

#endif /* IRQ_CHIPS_H */
