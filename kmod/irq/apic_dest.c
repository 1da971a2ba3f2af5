// SPDX-License-Identifier: GPL-2.0
/*
 * Who is meant: from the destination of a message to vCPUs.
 *
 * The APIC id of a vCPU is the id user space gave it, unless the guest wrote
 * another one into its xAPIC id register; so one vCPU is found by its place in
 * vm->vcpus[].  For the rest each APIC is asked whether it feels addressed:
 * that takes no table that would have to follow every mode and every id.
 *
 * SDM 3A "Determining IPI Destination", "Logical x2APIC ID".
 */
#include <linux/bitmap.h>
#include <linux/kvm_para.h>
#include "lapic.h"

#define X2APIC_CLUSTER_SHIFT	4	/* 16 APICs a cluster */
#define X2APIC_LOGICAL_SHIFT	16	/* cluster number above a bit for each */

/**
 * lapic_vcpu_by_apic_id() - the vCPU that answers to an APIC id
 * @vm: any
 * @apic_id: physical
 *
 * Return: the vCPU, NULL if there is none.  vCPUs stay until the VM ends.
 */
struct vcpu *lapic_vcpu_by_apic_id(struct vm *vm, u32 apic_id)
{
	struct vcpu *vcpu;
	int i;

	if (likely(!READ_ONCE(vm->apic_ids_moved)))
		return vm_vcpu_by_id(vm, apic_id);
	vm_for_each_vcpu(i, vcpu, vm)
		if (lapic_id(vcpu->lapic) == apic_id)
			return vcpu;
	return NULL;
}

/* A logical destination of eight bits; to an x2APIC that is the low half of cluster 0. */
static bool lapic_is_logical(const struct lapic *apic, u8 dest)
{
	u8 ldr = GET_APIC_LOGICAL_ID(lapic_get(apic, APIC_LDR));

	if (lapic_x2apic(apic))
		return apic->vcpu->id < 8 && dest & BIT(apic->vcpu->id);
	if (dest == XAPIC_BROADCAST)
		return true;
	if (lapic_get(apic, APIC_DFR) == (u32)APIC_DFR_FLAT)
		return ldr & dest;
	return APIC_CLUSTER(ldr) == APIC_CLUSTER(dest) && APIC_CPUID(ldr & dest);
}

static bool lapic_is_meant(const struct lapic *apic, struct vcpu *src, u32 dest, u32 icr)
{
	if (icr & APIC_SHORTHAND)
		return (icr & APIC_SHORTHAND) == APIC_DEST_ALLINC || apic->vcpu != src;
	if (icr & APIC_DEST_LOGICAL)
		return lapic_is_logical(apic, dest);
	return dest == lapic_id(apic) || (dest == XAPIC_BROADCAST && !lapic_x2apic(apic));
}

/* A logical destination of more than eight bits: the members of one x2APIC cluster. */
static void find_cluster(struct vm *vm, u32 dest, unsigned long *targets)
{
	u32 first = dest >> X2APIC_LOGICAL_SHIFT << X2APIC_CLUSTER_SHIFT;
	unsigned long bits = (u16)dest;
	struct vcpu *vcpu;
	unsigned int bit;

	for_each_set_bit(bit, &bits, 16) {
		vcpu = vm_vcpu_by_id(vm, first + bit);
		if (vcpu && lapic_x2apic(vcpu->lapic))
			__set_bit(vcpu->idx, targets);
	}
}

static void find_targets(struct vm *vm, struct vcpu *src, u32 dest, u32 icr,
			 unsigned long *targets)
{
	struct vcpu *vcpu;
	int i;

	if (!(icr & APIC_SHORTHAND) && icr & APIC_DEST_LOGICAL && dest > XAPIC_BROADCAST) {
		find_cluster(vm, dest, targets);
		return;
	}
	vm_for_each_vcpu(i, vcpu, vm)
		if (lapic_is_meant(vcpu->lapic, src, dest, icr))
			__set_bit(i, targets);
}

/*
 * SDM 3A "Lowest Priority Delivery Mode" leaves the choice among equals to the
 * chip; like later ones we spread by vector, which keeps an interrupt where
 * its cache lines are and writes nothing that others read.
 */
static void pick_one(struct vm *vm, u8 vector, unsigned long *targets)
{
	unsigned int idx, nr;

	for_each_set_bit(idx, targets, VM_MAX_VCPUS)
		if (!lapic_hw_enabled(vm->vcpus[idx]->lapic) ||
		    !lapic_sw_enabled(vm->vcpus[idx]->lapic))
			__clear_bit(idx, targets);
	nr = bitmap_weight(targets, VM_MAX_VCPUS);
	if (nr < 2)
		return;
	idx = find_nth_bit(targets, VM_MAX_VCPUS, vector % nr);
	bitmap_zero(targets, VM_MAX_VCPUS);
	__set_bit(idx, targets);
}

/* Anything but one APIC by its id. */
static int deliver_to_many(struct vm *vm, struct vcpu *src, u32 dest, u32 icr)
{
	DECLARE_BITMAP(targets, VM_MAX_VCPUS) = {};
	unsigned int idx;
	int ret = -1;

	find_targets(vm, src, dest, icr, targets);
	if ((icr & APIC_MODE_MASK) == APIC_DM_LOWEST)
		pick_one(vm, icr & APIC_VECTOR_MASK, targets);
	for_each_set_bit(idx, targets, VM_MAX_VCPUS)
		ret = irq_merge_results(ret, lapic_accept(vm->vcpus[idx]->lapic, src, icr));
	return ret;
}

/**
 * lapic_deliver() - bring a message to all that it names
 * @vm: with local APICs
 * @src: the vCPU whose thread this is and that sends it; NULL for a device
 * @dest: APIC id or logical destination
 * @icr: the rest; a broadcast id of the sender's mode is APIC_DEST_ALLINC already
 *
 * Any context.
 *
 * Return: how many took it; 0 if it merged with interrupts that wait already;
 * -1 if nobody is meant or nobody takes it.
 */
int lapic_deliver(struct vm *vm, struct vcpu *src, u32 dest, u32 icr)
{
	struct vcpu *vcpu;

	if ((icr & APIC_SHORTHAND) == APIC_DEST_SELF)
		return lapic_accept(src->lapic, src, icr);
	if (unlikely(icr & (APIC_SHORTHAND | APIC_DEST_LOGICAL) || dest == XAPIC_BROADCAST ||
		     READ_ONCE(vm->apic_ids_moved)))
		return deliver_to_many(vm, src, dest, icr);
	vcpu = vm_vcpu_by_id(vm, dest);
	return vcpu ? lapic_accept(vcpu->lapic, src, icr) : -1;
}

/**
 * lapic_deliver_from_device() - a message of the I/O APIC or an MSI
 * @vm: with local APICs
 * @dest: as the device wrote it
 * @icr: the rest, without shorthand
 *
 * A destination that is all ones is a broadcast, of eight bits too, and also to
 * x2APICs unless user space asked for the letter of the architecture
 * (KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK).
 *
 * Return: as lapic_deliver().
 */
int lapic_deliver_from_device(struct vm *vm, u32 dest, u32 icr)
{
	if (unlikely(dest == X2APIC_BROADCAST ||
		     (dest == XAPIC_BROADCAST &&
		      !(vm->x2apic_api & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))))
		icr |= APIC_DEST_ALLINC;
	return lapic_deliver(vm, NULL, dest, icr);
}

/**
 * lapic_send_ipis() - KVM_HC_SEND_IPI
 * @vm: with local APICs
 * @bitmap_low: bit i: APIC id @min + i
 * @bitmap_high: bit i: APIC id @min + 64 + i
 * @min: lowest id
 * @icr: as the low half of the ICR, without destination and shorthand
 *
 * Return: how many APICs took it, or -KVM_EINVAL for the guest.
 */
long lapic_send_ipis(struct vm *vm, u64 bitmap_low, u64 bitmap_high, u32 min, u32 icr)
{
	const unsigned long ids[] = { bitmap_low, bitmap_high };
	struct vcpu *vcpu;
	unsigned int bit;
	long count = 0;

	if (icr & (APIC_DEST_LOGICAL | APIC_SHORTHAND))
		return -KVM_EINVAL;
	icr &= ~APIC_INT_LEVELTRIG;
	for_each_set_bit(bit, ids, 128) {
		if (min + bit < min)
			break;
		vcpu = lapic_vcpu_by_apic_id(vm, min + bit);
		if (vcpu && vcpu->lapic && lapic_accept(vcpu->lapic, NULL, icr) >= 0)
			count++;
	}
	return count;
}
