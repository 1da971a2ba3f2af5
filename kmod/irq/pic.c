// SPDX-License-Identifier: GPL-2.0
/*
 * Two 8259A, the slave on IR2 of the master, as in a PC, and the ELCR of the
 * PIIX that makes single lines level-triggered.
 *
 * 8259A "Programmable Interrupt Controller": ICW1 to ICW4, OCW1 to OCW3.
 * Deviating from the data sheet, a latched edge stays in the IRR when the
 * line falls before INTA: sources here pulse their lines.
 *
 * NOTDONE: 8080 mode, buffered mode, single mode and ICW1's LTIM, which no
 * PC has wired; ICW3, whose wiring is fixed; the poll command, for systems
 * without INTA.
 */
#include "chips.h"
#include "lapic.h"

enum { MASTER = KVM_IRQCHIP_PIC_MASTER, SLAVE = KVM_IRQCHIP_PIC_SLAVE };

#define PIC_CASCADE		2	/* the master's IR that the slave drives */
#define PIC_SPURIOUS		7

/* Ports: a pair a chip, and one of the ELCR */
enum { PIC_MASTER_PORT = 0x20, PIC_SLAVE_PORT = 0xa0, PIC_ELCR_PORT = 0x4d0 };

/* 8259A "Initialization Command Words", "Operation Command Words" */
enum {
	ICW1_INIT		= 1 << 4,
	ICW1_ICW4_NEEDED	= 1 << 0,
	ICW2_BASE		= 0xf8,
	ICW4_AUTO_EOI		= 1 << 1,
	ICW4_FULLY_NESTED	= 1 << 4,	/* special fully nested mode */

	OCW3_SELECT		= 1 << 3,
	OCW3_READ_ISR		= 1 << 0,
	OCW3_READ		= 1 << 1,
	OCW3_SPECIAL_MASK	= 1 << 5,
	OCW3_SET_SPECIAL_MASK	= 1 << 6,

	OCW2_LEVEL		= 0x07,		/* the IR that a specific command names */
	OCW2_COMMAND_SHIFT	= 5,
	OCW2_EOI		= 1 << 0,	/* bits of the command */
	OCW2_SPECIFIC		= 1 << 1,
	OCW2_ROTATE		= 1 << 2,
};

/* init_state: the word that the data port takes next */
enum { PIC_READY, PIC_ICW2, PIC_ICW3, PIC_ICW4 };

/* Without the lines that cannot be level-triggered: 0, 1, 2 and 8, 13. */
static const u8 elcr_mask[] = { 0xf8, 0xde };

/* How far from the top of the rotated order the highest bit is; 8: none. */
static unsigned int chip_rank(const struct kvm_pic_state *s, u8 bits)
{
	return bits ? __ffs(ror8(bits, s->priority_add)) : 8;
}

/* The IR that wins now, or -1. */
static int chip_pending(const struct pic *pic, int which)
{
	const struct kvm_pic_state *s = &pic->chip[which];
	u8 wanting = s->irr & ~s->imr, blocking = s->isr;
	unsigned int rank;

	if (!wanting)
		return -1;
	if (s->special_mask)
		blocking &= ~s->imr;
	/* The slave may interrupt its own service: it knows its priorities. */
	if (s->special_fully_nested_mode && which == MASTER)
		blocking &= ~BIT(PIC_CASCADE);
	rank = chip_rank(s, wanting);
	if (rank >= chip_rank(s, blocking))
		return -1;
	return (rank + s->priority_add) % 8;
}

/* The slave's output is the master's IR2. Lock held. */
static void pic_update(struct vm *vm, struct pic *pic)
{
	bool output;

	pic->chip[MASTER].irr = bit_assigned(pic->chip[MASTER].irr, PIC_CASCADE,
					     chip_pending(pic, SLAVE) >= 0);
	output = chip_pending(pic, MASTER) >= 0;
	if (output == pic->output)
		return;
	WRITE_ONCE(pic->output, output);
	if (output)
		lapic_lint0_raised(vm);
}

/* After any change: its consequences; then, unlocked, tell who listens what was acknowledged. */
static void pic_unlock(struct vm *vm, struct pic *pic, unsigned long flags)
	__releases(&pic->lock)
{
	unsigned long acked = pic->acked;
	unsigned int pin;

	pic_update(vm, pic);
	pic->acked = 0;
	raw_spin_unlock_irqrestore(&pic->lock, flags);
	if (likely(!acked))
		return;
	for_each_set_bit(pin, &acked, PIC_PINS)
		irq_notify_ack(vm, pin / 8, pin % 8);
}

static void chip_clear_isr(struct pic *pic, int which, u8 bits)
{
	pic->acked |= (pic->chip[which].isr & bits) << 8 * which;
	pic->chip[which].isr &= ~bits;
}

/* INTA of one chip: IRR -> ISR. */
static void chip_take(struct pic *pic, int which, unsigned int ir)
{
	struct kvm_pic_state *s = &pic->chip[which];

	s->isr |= BIT(ir);
	if (!(s->elcr & BIT(ir)))
		s->irr &= ~BIT(ir);
	if (!s->auto_eoi)
		return;
	if (s->rotate_on_auto_eoi)
		s->priority_add = (ir + 1) % 8;
	chip_clear_isr(pic, which, BIT(ir));
}

/* 1: new in the IRR, or lowered; 0: no news, -1: masked */
static int chip_set_line(struct kvm_pic_state *s, unsigned int ir, bool level)
{
	u8 mask = BIT(ir), waited = s->irr & mask;

	if (s->elcr & mask)
		s->irr = bit_assigned(s->irr, ir, level);
	else if (level && !(s->last_irr & mask))
		s->irr |= mask;
	s->last_irr = bit_assigned(s->last_irr, ir, level);
	if (s->imr & mask)
		return -1;
	return !level || (s->irr & mask) != waited;
}

/**
 * pic_set_irq() - drive a line
 * @vm: with a PIC
 * @pin: 0 to 15
 * @source: who drives it; the line is the OR of its sources
 * @level: high?
 *
 * Any context.  Return: 1 accepted (or lowered), 0 coalesced, -1 masked.
 */
int pic_set_irq(struct vm *vm, unsigned int pin, enum irq_source source, bool level)
{
	struct pic *pic = vm->pic;
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&pic->lock, flags);
	pic->sources[pin] = bit_assigned(pic->sources[pin], source, level);
	ret = chip_set_line(&pic->chip[pin / 8], pin % 8, pic->sources[pin]);
	pic_unlock(vm, pic, flags);
	return ret;
}

/**
 * pic_ack() - an INTA cycle
 * @vm: with a PIC
 *
 * Return: the vector; the master's IR7, without service, when the request has
 * gone (8259A "Interrupt Sequence").
 */
int pic_ack(struct vm *vm)
{
	struct pic *pic = vm->pic;
	unsigned long flags;
	int which = MASTER, ir;

	raw_spin_lock_irqsave(&pic->lock, flags);
	ir = chip_pending(pic, MASTER);
	if (ir >= 0)
		chip_take(pic, MASTER, ir);
	if (ir == PIC_CASCADE) {
		which = SLAVE;
		ir = chip_pending(pic, SLAVE);
		if (ir >= 0)
			chip_take(pic, SLAVE, ir);
	}
	if (ir < 0)
		ir = PIC_SPURIOUS;
	ir += pic->chip[which].irq_base;
	pic_unlock(vm, pic, flags);
	return ir;
}

/* ---- ports ---- */

/* ICW1 "starts the initialization sequence": edge sense, IMR, ISR and modes are cleared. */
static void chip_init(struct pic *pic, int which, u8 icw1)
{
	struct kvm_pic_state *s = &pic->chip[which];

	chip_clear_isr(pic, which, 0xff);
	pic->acked |= (s->irr & ~s->elcr) << 8 * which;	/* dropped: who waits for the EOI need not */
	*s = (struct kvm_pic_state) {
		.last_irr = s->last_irr, .irr = s->irr & s->elcr,
		.irq_base = s->irq_base, .elcr = s->elcr,
		.init4 = icw1 & ICW1_ICW4_NEEDED, .init_state = PIC_ICW2,
	};
}

static void chip_ocw2(struct pic *pic, int which, u8 val)
{
	struct kvm_pic_state *s = &pic->chip[which];
	unsigned int command = val >> OCW2_COMMAND_SHIFT;
	unsigned int ir = val & OCW2_LEVEL, rank;

	if (!(command & (OCW2_EOI | OCW2_SPECIFIC))) {
		s->rotate_on_auto_eoi = !!(command & OCW2_ROTATE);
		return;
	}
	if (command == OCW2_SPECIFIC)	/* no operation */
		return;
	if (!(command & OCW2_SPECIFIC)) {
		/* The highest in service; not one that special mask mode passes over. */
		rank = chip_rank(s, s->special_mask ? s->isr & ~s->imr : s->isr);
		if (rank == 8)
			return;
		ir = (rank + s->priority_add) % 8;
	}
	if (command & OCW2_EOI)
		chip_clear_isr(pic, which, BIT(ir));
	if (command & OCW2_ROTATE)
		s->priority_add = (ir + 1) % 8;
}

static void chip_write_command(struct pic *pic, int which, u8 val)
{
	struct kvm_pic_state *s = &pic->chip[which];

	if (val & ICW1_INIT) {
		chip_init(pic, which, val);
	} else if (val & OCW3_SELECT) {
		if (val & OCW3_READ)
			s->read_reg_select = val & OCW3_READ_ISR;
		if (val & OCW3_SET_SPECIAL_MASK)
			s->special_mask = !!(val & OCW3_SPECIAL_MASK);
	} else {
		chip_ocw2(pic, which, val);
	}
}

static void chip_write_data(struct pic *pic, int which, u8 val)
{
	struct kvm_pic_state *s = &pic->chip[which];

	switch (s->init_state) {
	case PIC_READY:
		s->imr = val;
		break;
	case PIC_ICW2:
		s->irq_base = val & ICW2_BASE;
		s->init_state = PIC_ICW3;
		break;
	case PIC_ICW3:
		s->init_state = s->init4 ? PIC_ICW4 : PIC_READY;
		break;
	case PIC_ICW4:
		s->special_fully_nested_mode = !!(val & ICW4_FULLY_NESTED);
		s->auto_eoi = !!(val & ICW4_AUTO_EOI);
		s->init_state = PIC_READY;
		break;
	}
}

/**
 * pic_port_hit() - is the port one of the six?
 * @port: I/O port
 */
bool pic_port_hit(u16 port)
{
	port &= ~1;
	return port == PIC_MASTER_PORT || port == PIC_SLAVE_PORT || port == PIC_ELCR_PORT;
}

/**
 * pic_port_read() - IN of one byte
 * @vm: with a PIC
 * @port: pic_port_hit()
 * @val: filled
 */
void pic_port_read(struct vm *vm, u16 port, u8 *val)
{
	struct pic *pic = vm->pic;
	const struct kvm_pic_state *s = &pic->chip[(port & ~1) == PIC_SLAVE_PORT];

	raw_spin_lock_irq(&pic->lock);
	if ((port & ~1) == PIC_ELCR_PORT)
		*val = pic->chip[port & 1].elcr;
	else if (port & 1)
		*val = s->imr;
	else
		*val = s->read_reg_select ? s->isr : s->irr;
	raw_spin_unlock_irq(&pic->lock);
}

/* A level requests as long as it is high: no edge from before stands in for it. True: requests changed. */
static bool chip_write_elcr(struct kvm_pic_state *s, u8 elcr)
{
	u8 old = s->irr;

	s->elcr = elcr;
	s->irr = (s->irr & ~elcr) | (s->last_irr & elcr);
	return s->irr != old;
}

/**
 * pic_port_write() - OUT of one byte
 * @vm: with a PIC
 * @port: pic_port_hit()
 * @val: value
 */
void pic_port_write(struct vm *vm, u16 port, u8 val)
{
	struct pic *pic = vm->pic;
	int which = (port & ~1) == PIC_SLAVE_PORT;
	unsigned long flags;

	raw_spin_lock_irqsave(&pic->lock, flags);
	if ((port & ~1) == PIC_ELCR_PORT) {
		if (!chip_write_elcr(&pic->chip[port & 1], val & elcr_mask[port & 1])) {
			raw_spin_unlock_irqrestore(&pic->lock, flags);
			return;
		}
	} else if (port & 1) {
		chip_write_data(pic, which, val);
	} else {
		chip_write_command(pic, which, val);
	}
	pic_unlock(vm, pic, flags);
}

/* ---- state ---- */

/**
 * pic_get_state() - KVM_GET_IRQCHIP
 * @vm: with a PIC
 * @chip: KVM_IRQCHIP_PIC_MASTER or KVM_IRQCHIP_PIC_SLAVE
 * @state: filled
 */
void pic_get_state(struct vm *vm, unsigned int chip, struct kvm_pic_state *state)
{
	struct pic *pic = vm->pic;

	raw_spin_lock_irq(&pic->lock);
	*state = pic->chip[chip];
	raw_spin_unlock_irq(&pic->lock);
	state->elcr_mask = elcr_mask[chip];
}

/**
 * pic_set_state() - KVM_SET_IRQCHIP
 * @vm: with a PIC
 * @chip: KVM_IRQCHIP_PIC_MASTER or KVM_IRQCHIP_PIC_SLAVE
 * @state: lines that are high (last_irr) are user space's from here on
 */
void pic_set_state(struct vm *vm, unsigned int chip, const struct kvm_pic_state *state)
{
	struct pic *pic = vm->pic;
	struct kvm_pic_state *s = &pic->chip[chip];
	unsigned long flags;
	unsigned int ir;

	raw_spin_lock_irqsave(&pic->lock, flags);
	*s = *state;
	s->priority_add %= 8;
	s->irq_base &= ICW2_BASE;
	s->init_state %= PIC_ICW4 + 1;
	s->elcr &= elcr_mask[chip];
	for (ir = 0; ir < 8; ir++)
		pic->sources[8 * chip + ir] = s->last_irr & BIT(ir) ? BIT(IRQ_SOURCE_USER) : 0;
	pic_unlock(vm, pic, flags);
}

