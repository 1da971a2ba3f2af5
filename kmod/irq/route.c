// SPDX-License-Identifier: GPL-2.0
/*
 * GSI routing: which pins of which chips, or which MSI, a global system
 * interrupt reaches.
 *
 * Until KVM_SET_GSI_ROUTING there is no table: with the chips in the kernel,
 * GSI 0 to 15 are the pins of that number of PIC and I/O APIC, 16 to 23 those
 * of the I/O APIC; without, there are none.
 */
#include <linux/rcupdate.h>
#include "chips.h"
#include "lapic.h"

#define NO_GSI		0xffff

/* SDM 3A "Message Address Register Format", "Message Data Register Format" */
enum {
	MSI_ADDR_LOGICAL	= 1 << 2,
	MSI_ADDR_LOWEST_PRIO	= 1 << 3,	/* redirection hint */
	MSI_ADDR_DEST_SHIFT	= 12,
	MSI_ADDR_HI_DEST	= ~0xff,	/* KVM_X2APIC_API: bits 31:8 of the id */
};

struct irq_routes {
	struct rcu_head	rcu;
	u32		nr_gsis;
	u16		pin_gsi[KVM_NR_IRQCHIPS][IOAPIC_PINS];	/* back from a pin, or NO_GSI */
	u16		*first;		/* [nr_gsis + 1]: the routes of a GSI stand together */
	struct kvm_irq_routing_entry route[];
};

/* ---- from a source to the chips ---- */

static int msi_deliver(struct vm *vm, u32 address_lo, u32 address_hi, u32 data)
{
	u32 icr = data & (APIC_VECTOR_MASK | APIC_MODE_MASK | APIC_INT_LEVELTRIG);
	u32 dest = (u8)(address_lo >> MSI_ADDR_DEST_SHIFT);

	if (vm->x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS)
		dest |= address_hi & MSI_ADDR_HI_DEST;
	if (address_lo & MSI_ADDR_LOGICAL)
		icr |= APIC_DEST_LOGICAL;
	if (address_lo & MSI_ADDR_LOWEST_PRIO && (icr & APIC_MODE_MASK) == APIC_DM_FIXED)
		icr |= APIC_DM_LOWEST;
	return lapic_deliver_from_device(vm, dest, icr);
}

static int route_deliver(struct vm *vm, const struct kvm_irq_routing_entry *route,
			 enum irq_source source, bool level)
{
	const struct kvm_irq_routing_msi *msi = &route->u.msi;
	unsigned int chip = route->u.irqchip.irqchip, pin = route->u.irqchip.pin;

	if (route->type == KVM_IRQ_ROUTING_MSI)
		return level ? msi_deliver(vm, msi->address_lo, msi->address_hi, msi->data) : -1;
	if (chip == KVM_IRQCHIP_IOAPIC)
		return ioapic_set_irq(vm, pin, source, level);
	return pic_set_irq(vm, 8 * chip + pin, source, level);
}

static int default_deliver(struct vm *vm, u32 gsi, enum irq_source source, bool level)
{
	int ret = -1;

	if (vm->irqchip != IRQCHIP_KERNEL || gsi >= IOAPIC_PINS)
		return -1;
	if (gsi < PIC_PINS)
		ret = pic_set_irq(vm, gsi, source, level);
	return irq_merge_results(ret, ioapic_set_irq(vm, gsi, source, level));
}

/**
 * irq_set_gsi() - drive a global system interrupt
 * @vm: with local APICs
 * @gsi: any number
 * @source: who drives it
 * @level: high? An MSI is sent when it is.
 *
 * Any context.
 *
 * Return: <0 masked, ignored or not routed; 0 coalesced; >0 delivered to so many.
 */
int irq_set_gsi(struct vm *vm, u32 gsi, enum irq_source source, bool level)
{
	const struct irq_routes *routes;
	int ret = -1;
	u16 i;

	rcu_read_lock();
	routes = rcu_dereference(vm->routes);
	if (!routes)
		ret = default_deliver(vm, gsi, source, level);
	else if (gsi < routes->nr_gsis)
		for (i = routes->first[gsi]; i < routes->first[gsi + 1]; i++)
			ret = irq_merge_results(ret, route_deliver(vm, &routes->route[i],
								   source, level));
	rcu_read_unlock();
	return ret;
}

static bool msi_is_valid(struct vm *vm, u32 address_hi)
{
	return !(vm->x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS) ||
	       !(address_hi & ~MSI_ADDR_HI_DEST);
}

/**
 * irq_send_msi() - KVM_SIGNAL_MSI
 * @vm: any
 * @msi: from user space
 *
 * Return: how many took it; 0 if the guest blocks it; -EINVAL without local
 * APICs, for unknown flags and for address bits that are no destination.
 */
int irq_send_msi(struct vm *vm, const struct kvm_msi *msi)
{
	if (vm->irqchip == IRQCHIP_NONE || msi->flags || !msi_is_valid(vm, msi->address_hi))
		return -EINVAL;
	return max(0, msi_deliver(vm, msi->address_lo, msi->address_hi, msi->data));
}

/* ---- and back ---- */

/**
 * irq_pin_gsi() - which GSI is routed to a pin?
 * @vm: with the chips in the kernel
 * @chip: KVM_IRQCHIP_*
 * @pin: of it
 *
 * Under RCU, any context.
 *
 * Return: the GSI, or NO_GSI.
 */
u32 irq_pin_gsi(struct vm *vm, unsigned int chip, unsigned int pin)
{
	const struct irq_routes *routes = rcu_dereference(vm->routes);

	if (routes)
		return routes->pin_gsi[chip][pin];
	return chip == KVM_IRQCHIP_PIC_SLAVE ? 8 + pin : pin;
}

/**
 * irq_notify_ack() - a pin's interrupt has been acknowledged
 * @vm: with the chips in the kernel
 * @chip: KVM_IRQCHIP_*
 * @pin: of it
 *
 * Any context, no lock of a chip held.
 */
void irq_notify_ack(struct vm *vm, unsigned int chip, unsigned int pin)
{
	u32 gsi;

	rcu_read_lock();
	gsi = irq_pin_gsi(vm, chip, pin);
	if (gsi == PIT_GSI)
		pit_irq0_acked(vm);
	irqfd_resample_ack(vm, gsi);
	rcu_read_unlock();
}

/* ---- KVM_SET_GSI_ROUTING ---- */

static bool route_is_valid(struct vm *vm, const struct kvm_irq_routing_entry *entry)
{
	unsigned int chip = entry->u.irqchip.irqchip;

	if (entry->gsi >= IRQ_MAX_ROUTES || entry->flags)
		return false;
	if (entry->type == KVM_IRQ_ROUTING_MSI)
		return msi_is_valid(vm, entry->u.msi.address_hi);
	return entry->type == KVM_IRQ_ROUTING_IRQCHIP && vm->irqchip == IRQCHIP_KERNEL &&
	       chip < KVM_NR_IRQCHIPS &&
	       entry->u.irqchip.pin < (chip == KVM_IRQCHIP_IOAPIC ? IOAPIC_PINS : PIC_PINS / 2);
}

/* A GSI reaches each chip once, and an MSI takes the place of all. */
static bool routes_fit(const struct kvm_irq_routing_entry *route, unsigned int nr)
{
	u32 taken = 0, takes;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		takes = route[i].type == KVM_IRQ_ROUTING_MSI ? ~0 : BIT(route[i].u.irqchip.irqchip);
		if (taken & takes)
			return false;
		taken |= takes;
	}
	return true;
}

/*
 * A counting sort by GSI: first[] counts, then sums up to where each GSI's
 * routes end, and is where they begin once every route has taken its place.
 */
static bool routes_fill(struct irq_routes *routes,
			const struct kvm_irq_routing_entry *entries, unsigned int nr)
{
	const struct kvm_irq_routing_entry *entry;
	unsigned int i, gsi;

	for (i = 0; i < nr; i++)
		routes->first[entries[i].gsi]++;
	for (gsi = 1; gsi <= routes->nr_gsis; gsi++)
		routes->first[gsi] += routes->first[gsi - 1];
	for (i = nr; i--; ) {
		entry = &entries[i];
		routes->route[--routes->first[entry->gsi]] = *entry;
		if (entry->type == KVM_IRQ_ROUTING_IRQCHIP)
			routes->pin_gsi[entry->u.irqchip.irqchip][entry->u.irqchip.pin] = entry->gsi;
	}
	for (gsi = 0; gsi < routes->nr_gsis; gsi++) {
		i = routes->first[gsi];
		if (!routes_fit(&routes->route[i], routes->first[gsi + 1] - i))
			return false;
	}
	return true;
}

/**
 * route_set() - KVM_SET_GSI_ROUTING: replace all routes
 * @vm: vm->lock held
 * @entries: copied from user space
 * @nr: of them; none leaves no GSI routed
 *
 * Return: 0; -EINVAL without local APICs, for too many entries, a type, flag,
 * chip, pin or MSI address that there is not, two routes of a GSI to one chip;
 * -ENOMEM.
 */
int route_set(struct vm *vm, const struct kvm_irq_routing_entry *entries, unsigned int nr)
{
	struct irq_routes *routes, *old;
	u32 nr_gsis = 0;
	unsigned int i;

	if (vm->irqchip == IRQCHIP_NONE || nr > IRQ_MAX_ROUTES)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (!route_is_valid(vm, &entries[i]))
			return -EINVAL;
		nr_gsis = max(nr_gsis, entries[i].gsi + 1);
	}
	routes = kvzalloc(struct_size(routes, route, nr) + (nr_gsis + 1) * sizeof(u16),
			  GFP_KERNEL_ACCOUNT);
	if (!routes)
		return -ENOMEM;
	routes->nr_gsis = nr_gsis;
	routes->first = (u16 *)&routes->route[nr];
	memset(routes->pin_gsi, 0xff, sizeof(routes->pin_gsi));	/* NO_GSI */
	if (!routes_fill(routes, entries, nr)) {
		kvfree(routes);
		return -EINVAL;
	}
	old = rcu_replace_pointer(vm->routes, routes, lockdep_is_held(&vm->lock));
	kvfree_rcu(old, rcu);
	ioapic_update_listeners(vm);
	return 0;
}
