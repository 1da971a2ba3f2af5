// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O APIC: 82093AA "I/O Advanced Programmable Interrupt Controller
 * (IOAPIC)", version 0x11: 24 pins, no EOI register, so that local APICs
 * broadcast the EOI of level-triggered interrupts to it.
 *
 *   pin		line rises	line high, entry written	EOI
 *   edge		sends		-				-
 *   level, RIRR 0	sends, RIRR 1	sends, RIRR 1			-
 *   level, RIRR 1	-		-		RIRR 0, sends again if high
 *   masked		-		-				RIRR 0
 *
 * (RIRR: remote IRR.)  An edge on a masked pin is lost, as the data sheet has
 * it in "Interrupt Mask".
 */
#include <linux/bitmap.h>
#include "chips.h"
#include "lapic.h"

/* 82093AA "Memory Mapped Registers for Accessing IOAPIC Registers" */
enum { IOAPIC_REGSEL = 0x00, IOAPIC_WINDOW = 0x10, IOAPIC_LENGTH = 0x100 };

/* 82093AA "IOAPIC Registers" */
enum { IOAPIC_ID = 0x00, IOAPIC_VER = 0x01, IOAPIC_ARB = 0x02, IOAPIC_REDTBL = 0x10 };

/* KVM_GET_IRQCHIP has the four bits alone, the register has them on top. */
#define IOAPIC_ID_MASK		0xfu
#define IOAPIC_ID_SHIFT		24
#define IOAPIC_VERSION		(0x11 | (IOAPIC_PINS - 1) << 16)

/* One of the 24; the ABI gives the type no name. */
#define ioapic_entry		typeof(((struct kvm_ioapic_state *)0)->redirtbl[0])

static bool entry_is_vectored(const ioapic_entry *entry)
{
	return (entry->bits & APIC_MODE_MASK) <= APIC_DM_LOWEST;
}

/* The line of @pin is high, and if edge-triggered has just become so. Lock held. */
static int ioapic_service(struct vm *vm, struct ioapic *ioapic, unsigned int pin)
{
	ioapic_entry *entry = &ioapic->state.redirtbl[pin];
	int ret;

	if (entry->fields.mask)
		return -1;
	if (entry->fields.trig_mode && entry->fields.remote_irr)
		return 0;
	ret = lapic_deliver_from_device(vm, GET_XAPIC_DEST_FIELD(upper_32_bits(entry->bits)),
					lower_32_bits(entry->bits));
	if (entry->fields.trig_mode && entry_is_vectored(entry) && ret >= 0)
		entry->fields.remote_irr = 1;
	return ret;
}

/* Level-triggered pins of @pins whose line is (still) high. Lock held. */
static void ioapic_service_level(struct vm *vm, struct ioapic *ioapic, unsigned long pins)
{
	unsigned int pin;

	pins &= ioapic->state.irr;
	for_each_set_bit(pin, &pins, IOAPIC_PINS)
		if (ioapic->state.redirtbl[pin].fields.trig_mode)
			ioapic_service(vm, ioapic, pin);
}

/**
 * ioapic_set_irq() - drive a line
 * @vm: with an I/O APIC
 * @pin: 0 to 23
 * @source: who drives it; the line is the OR of its sources
 * @level: high?
 *
 * Any context.
 *
 * Return: >0 delivered to so many (or lowered), 0 coalesced, -1 masked or refused.
 */
int ioapic_set_irq(struct vm *vm, unsigned int pin, enum irq_source source, bool level)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags;
	bool was_high;
	int ret = 1;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	was_high = ioapic->sources[pin];
	ioapic->sources[pin] = bit_assigned(ioapic->sources[pin], source, level);
	ioapic->state.irr = bit_assigned(ioapic->state.irr, pin, ioapic->sources[pin]);
	if (level && was_high && !ioapic->state.redirtbl[pin].fields.trig_mode)
		ret = 0;
	else if (level)
		ret = ioapic_service(vm, ioapic, pin);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	return ret;
}

/* The vectors that the PIT or a resampling irqfd is behind. Lock held. */
static void ioapic_find_listened(struct vm *vm, struct ioapic *ioapic)
{
	DECLARE_BITMAP(listened, 256) = {};
	unsigned int pin;
	u32 gsi;

	rcu_read_lock();
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		gsi = irq_pin_gsi(vm, KVM_IRQCHIP_IOAPIC, pin);
		if ((gsi == PIT_GSI && READ_ONCE(vm->pit)) || irqfd_resampled(vm, gsi))
			__set_bit(ioapic->state.redirtbl[pin].fields.vector, listened);
	}
	rcu_read_unlock();
	/* No bit that stays is ever seen clear. */
	bitmap_copy(ioapic->listened, listened, 256);
}

/**
 * ioapic_update_listeners() - routes, resampling irqfds or the PIT have changed
 * @vm: with or without an I/O APIC
 */
void ioapic_update_listeners(struct vm *vm)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags;

	if (!ioapic)
		return;
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_find_listened(vm, ioapic);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/**
 * ioapic_eoi() - a local APIC broadcasts an EOI
 * @vm: with an I/O APIC
 * @vector: whose
 *
 * Who listens is told first: a device that has been served lowers its line
 * before the pin looks at it again.
 */
void ioapic_eoi(struct vm *vm, u8 vector)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags, ended = 0;
	ioapic_entry *entry;
	unsigned int pin;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		entry = &ioapic->state.redirtbl[pin];
		if (entry->fields.vector != vector || !entry_is_vectored(entry))
			continue;
		if (entry->fields.trig_mode && !entry->fields.remote_irr)
			continue;
		entry->fields.remote_irr = 0;
		ended |= BIT(pin);
	}
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);

	for_each_set_bit(pin, &ended, IOAPIC_PINS)
		irq_notify_ack(vm, KVM_IRQCHIP_IOAPIC, pin);

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_service_level(vm, ioapic, ended);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/* Reserved bits read as 0; an edge-triggered entry has no remote IRR. */
static ioapic_entry entry_sanitized(ioapic_entry entry)
{
	entry.fields.reserve = 0;
	memset(entry.fields.reserved, 0, sizeof(entry.fields.reserved));
	entry.fields.delivery_status = 0;
	if (!entry.fields.trig_mode)
		entry.fields.remote_irr = 0;
	return entry;
}

static u32 ioapic_read_reg(const struct ioapic *ioapic)
{
	unsigned int reg = ioapic->state.ioregsel, index = reg - IOAPIC_REDTBL;

	switch (reg) {
	case IOAPIC_ID:
	case IOAPIC_ARB: return (ioapic->state.id & IOAPIC_ID_MASK) << IOAPIC_ID_SHIFT;
	case IOAPIC_VER: return IOAPIC_VERSION;
	}
	if (reg < IOAPIC_REDTBL || index >= 2 * IOAPIC_PINS)
		return 0;
	return ioapic->state.redirtbl[index / 2].bits >> 32 * (index % 2);
}

/**
 * ioapic_mmio_hit() - is this address the I/O APIC's?
 * @vm: with an I/O APIC
 * @gpa: address
 */
bool ioapic_mmio_hit(struct vm *vm, gpa_t gpa)
{
	return gpa - vm->ioapic->state.base_address < IOAPIC_LENGTH;
}

/**
 * ioapic_mmio_read() - read a register
 * @vm: with an I/O APIC
 * @gpa: ioapic_mmio_hit()
 * @data: filled
 * @len: bytes; beyond the 32 of a register there are zeroes
 */
void ioapic_mmio_read(struct vm *vm, gpa_t gpa, void *data, unsigned int len)
{
	struct ioapic *ioapic = vm->ioapic;
	u32 val = 0;

	raw_spin_lock_irq(&ioapic->lock);
	if (gpa - ioapic->state.base_address == IOAPIC_REGSEL)
		val = ioapic->state.ioregsel;
	else if (gpa - ioapic->state.base_address == IOAPIC_WINDOW)
		val = ioapic_read_reg(ioapic);
	raw_spin_unlock_irq(&ioapic->lock);

	memset(data, 0, len);
	memcpy(data, &val, min_t(unsigned int, len, sizeof(val)));
}

/* The selected register. Lock held. Returns the pin whose entry was written, or -1. */
static int ioapic_write_reg(struct vm *vm, struct ioapic *ioapic, u32 val)
{
	unsigned int reg = ioapic->state.ioregsel, index = reg - IOAPIC_REDTBL, pin = index / 2;
	ioapic_entry old, new;

	if (reg == IOAPIC_ID)
		ioapic->state.id = val >> IOAPIC_ID_SHIFT & IOAPIC_ID_MASK;
	if (reg < IOAPIC_REDTBL || index >= 2 * IOAPIC_PINS)
		return -1;
	old = ioapic->state.redirtbl[pin];
	new.bits = index % 2 ? (u64)val << 32 | lower_32_bits(old.bits) :
			       (u64)upper_32_bits(old.bits) << 32 | val;
	new.fields.remote_irr = old.fields.remote_irr;
	ioapic->state.redirtbl[pin] = entry_sanitized(new);
	ioapic_find_listened(vm, ioapic);
	ioapic_service_level(vm, ioapic, BIT(pin));
	return pin;
}

/**
 * ioapic_mmio_write() - write a register
 * @vm: with an I/O APIC
 * @gpa: ioapic_mmio_hit()
 * @data: what
 * @len: bytes; the select register is 8 bits wide, the window wants 32
 */
void ioapic_mmio_write(struct vm *vm, gpa_t gpa, const void *data, unsigned int len)
{
	struct ioapic *ioapic = vm->ioapic;
	int pin = -1;
	u32 val = 0;

	memcpy(&val, data, min_t(unsigned int, len, sizeof(val)));
	raw_spin_lock_irq(&ioapic->lock);
	if (gpa - ioapic->state.base_address == IOAPIC_REGSEL)
		ioapic->state.ioregsel = (u8)val;
	else if (gpa - ioapic->state.base_address == IOAPIC_WINDOW && len >= sizeof(val))
		pin = ioapic_write_reg(vm, ioapic, val);
	raw_spin_unlock_irq(&ioapic->lock);
	rcu_read_lock();
	if (pin >= 0 && irq_pin_gsi(vm, KVM_IRQCHIP_IOAPIC, pin) == PIT_GSI)
		pit_irq0_rewired(vm);
	rcu_read_unlock();
}

/**
 * ioapic_get_state() - KVM_GET_IRQCHIP
 * @vm: with an I/O APIC
 * @state: filled; irr has the level-triggered pins whose line is high
 */
void ioapic_get_state(struct vm *vm, struct kvm_ioapic_state *state)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned int pin;

	raw_spin_lock_irq(&ioapic->lock);
	*state = ioapic->state;
	raw_spin_unlock_irq(&ioapic->lock);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if (!state->redirtbl[pin].fields.trig_mode)
			state->irr &= ~BIT(pin);
}

/**
 * ioapic_set_state() - KVM_SET_IRQCHIP
 * @vm: with an I/O APIC
 * @state: lines that are high are user space's from here on; of an
 *	edge-triggered pin irr tells an edge that has not been sent yet
 */
void ioapic_set_state(struct vm *vm, const struct kvm_ioapic_state *state)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long pending = state->irr;
	unsigned int pin;

	raw_spin_lock_irq(&ioapic->lock);
	ioapic->state = *state;
	ioapic->state.ioregsel = (u8)state->ioregsel;
	ioapic->state.irr = 0;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic->state.redirtbl[pin] = entry_sanitized(state->redirtbl[pin]);
		ioapic->sources[pin] = 0;
		if (state->irr & BIT(pin) && state->redirtbl[pin].fields.trig_mode) {
			ioapic->sources[pin] = BIT(IRQ_SOURCE_USER);
			ioapic->state.irr |= BIT(pin);
		}
	}
	ioapic_find_listened(vm, ioapic);
	for_each_set_bit(pin, &pending, IOAPIC_PINS)
		ioapic_service(vm, ioapic, pin);
	raw_spin_unlock_irq(&ioapic->lock);
	pit_irq0_rewired(vm);
}

/**
 * ioapic_init() - 82093AA after reset: all pins masked
 * @ioapic: zeroed
 */
void ioapic_init(struct ioapic *ioapic)
{
	unsigned int pin;

	raw_spin_lock_init(&ioapic->lock);
	ioapic->state.base_address = IOAPIC_DEFAULT_BASE;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->state.redirtbl[pin].fields.mask = 1;
}
