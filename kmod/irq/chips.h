/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of the PIC and the I/O APIC, for the files of irq/ only.
 *
 * Registers are kept in the structs of KVM_GET_IRQCHIP.  What those do not
 * say, who drives which line, stands beside them.
 */
#ifndef IRQ_CHIPS_H
#define IRQ_CHIPS_H

#include <linux/kvm.h>
#include <linux/spinlock.h>
#include "irq.h"

#define PIC_PINS	16

struct pic {
	raw_spinlock_t	lock;			/* all fields; output is read without */
	bool		output;			/* INTR */
	u16		acked;			/* ISR bits that fell, to be told after unlock */
	u8		sources[PIC_PINS];	/* bit: enum irq_source that drives the line */
	struct kvm_pic_state chip[2];		/* master, slave */
};

struct ioapic {
	raw_spinlock_t	lock;
	u8		sources[IOAPIC_PINS];
	struct kvm_ioapic_state state;		/* irr: lines that are high */
	DECLARE_BITMAP(listened, 256);		/* vectors whose EOI somebody wants; read without lock */
};

#endif /* IRQ_CHIPS_H */
