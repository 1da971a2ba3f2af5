// SPDX-License-Identifier: GPL-2.0
/*
 * Who is meant: from the destination of a message to vCPUs.
 *
 * Two ways give the same answer.  The map, rebuilt when an id, a mode or a
 * logical destination changes and read under RCU, finds a vCPU in O(1).  The
 * scan asks every APIC; it decides where the map cannot: while APICs are in
 * different modes, share an id or a logical bit, and when there was no memory.
 *
 * SDM 3A "Determining IPI Destination", "Logical x2APIC ID".
 */
#include <linux/bitmap.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include "lapic.h"

/* How all software-enabled APICs understand a logical destination. */
enum logical_mode { LOGICAL_NONE, LOGICAL_FLAT, LOGICAL_CLUSTER, LOGICAL_X2APIC, LOGICAL_MIXED };

#define XAPIC_CLUSTERS		16
#define XAPIC_CLUSTER_SIZE	4
#define X2APIC_CLUSTER_SHIFT	4	/* 16 APICs a cluster */
#define X2APIC_LOGICAL_MASK	0xffffu
#define X2APIC_LOGICAL_SHIFT	16

#define NOBODY			0xff	/* no index of vm->vcpus[]: VM_MAX_VCPUS is 255 */
static_assert(VM_MAX_VCPUS <= NOBODY);

struct apic_map {
	struct rcu_head	rcu;
	enum logical_mode logical_mode;
	bool		shared_id;	/* two answer to one id: scan */
	u32		nr_ids;
	u8		logical[XAPIC_CLUSTERS * XAPIC_CLUSTER_SIZE];	/* flat: the first 8 */
	u8		physical[];	/* by APIC id */
};

/* ---- the scan ---- */

static bool lapic_is_logical(const struct lapic *apic, u32 dest)
{
	u32 id = apic->vcpu->id;
	u8 ldr;

	if (lapic_x2apic(apic))
		return dest >> X2APIC_LOGICAL_SHIFT == id >> X2APIC_CLUSTER_SHIFT &&
		       dest & BIT(APIC_CPUID(id));
	if (dest >= XAPIC_BROADCAST)
		return dest == XAPIC_BROADCAST;
	ldr = GET_APIC_LOGICAL_ID(lapic_get(apic, APIC_LDR));
	if (lapic_get(apic, APIC_DFR) == (u32)APIC_DFR_FLAT)
		return ldr & dest;
	return APIC_CLUSTER(ldr) == APIC_CLUSTER(dest) && APIC_CPUID(ldr & dest);
}

static bool lapic_is_physical(const struct lapic *apic, u32 dest)
{
	return dest == lapic_id(apic) || (!lapic_x2apic(apic) && dest == XAPIC_BROADCAST);
}

static void apic_scan(struct vm *vm, struct vcpu *src, const struct apic_msg *msg,
		      unsigned long *targets)
{
	struct vcpu *vcpu;
	bool match;
	int i;

	vm_for_each_vcpu(i, vcpu, vm) {
		if (msg->shorthand)
			match = msg->shorthand == APIC_DEST_ALLINC || vcpu != src;
		else if (msg->logical)
			match = lapic_is_logical(vcpu->lapic, msg->dest);
		else
			match = lapic_is_physical(vcpu->lapic, msg->dest);
		if (match)
			__set_bit(i, targets);
	}
}

/* ---- the map ---- */

static u8 map_physical(const struct apic_map *map, u32 id)
{
	return id < map->nr_ids ? map->physical[id] : NOBODY;
}

/* False: the map does not know. */
static bool map_logical(const struct apic_map *map, u32 dest, unsigned long *targets)
{
	unsigned long bits;
	unsigned int bit;
	u32 first = 0;
	u8 idx;

	switch (map->logical_mode) {
	case LOGICAL_FLAT:
		bits = dest;
		break;
	case LOGICAL_CLUSTER:
		first = APIC_CLUSTERID(dest) * XAPIC_CLUSTER_SIZE;
		bits = APIC_CPUID(dest);
		break;
	case LOGICAL_X2APIC:
		first = dest >> X2APIC_LOGICAL_SHIFT << X2APIC_CLUSTER_SHIFT;
		bits = dest & X2APIC_LOGICAL_MASK;
		break;
	default:
		return false;
	}
	/* The scan knows how each APIC sees what eight bits cannot be. */
	if (dest >= XAPIC_BROADCAST && map->logical_mode != LOGICAL_X2APIC)
		return false;
	for_each_set_bit(bit, &bits, 16) {
		idx = map->logical_mode == LOGICAL_X2APIC ? map_physical(map, first + bit) :
							    map->logical[first + bit];
		if (idx != NOBODY)
			__set_bit(idx, targets);
	}
	return true;
}

/*
 * SDM 3A "Lowest Priority Delivery Mode" leaves the choice among equals to the
 * chip; like later ones we spread by vector, which keeps an interrupt where
 * its cache lines are and writes nothing that others read.
 */
static void apic_pick_one(struct vm *vm, u8 vector, unsigned long *targets)
{
	unsigned int idx, nr, chosen;

	for_each_set_bit(idx, targets, VM_MAX_VCPUS)
		if (!lapic_sw_enabled(vm->vcpus[idx]->lapic))
			__clear_bit(idx, targets);
	nr = bitmap_weight(targets, VM_MAX_VCPUS);
	if (nr < 2)
		return;
	chosen = vector % nr;
	for_each_set_bit(idx, targets, VM_MAX_VCPUS)
		if (chosen-- != 0)
			__clear_bit(idx, targets);
}

static int apic_deliver_to(struct vm *vm, struct vcpu *src, const struct apic_msg *msg,
			   const unsigned long *targets)
{
	int ret = -1, accepted;
	unsigned int idx;

	for_each_set_bit(idx, targets, VM_MAX_VCPUS) {
		accepted = lapic_accept(vm->vcpus[idx]->lapic, src, msg);
		if (accepted >= 0)
			ret = max(ret, 0) + accepted;
	}
	return ret;
}

/* One destination by id: most messages there are. */
static int apic_deliver_physical(struct vm *vm, struct vcpu *src, const struct apic_msg *msg,
				 const struct apic_map *map)
{
	u8 idx = map_physical(map, msg->dest);

	return idx == NOBODY ? -1 : lapic_accept(vm->vcpus[idx]->lapic, src, msg);
}

/**
 * lapic_deliver() - bring a message to all that it names
 * @vm: with local APICs
 * @src: the vCPU whose thread this is and that sends it; NULL for a device
 * @msg: a broadcast id of the sender's mode is APIC_DEST_ALLINC already
 *
 * Any context.
 *
 * Return: how many took it; 0 if it merged with interrupts that wait already;
 * -1 if nobody is meant or nobody takes it.
 */
int lapic_deliver(struct vm *vm, struct vcpu *src, const struct apic_msg *msg)
{
	DECLARE_BITMAP(targets, VM_MAX_VCPUS);
	const struct apic_map *map;
	int ret;

	if (msg->shorthand == APIC_DEST_SELF)
		return lapic_accept(src->lapic, src, msg);

	rcu_read_lock();
	map = rcu_dereference(vm->apic_map);
	if (likely(map && !msg->shorthand && !msg->logical && !map->shared_id &&
		   msg->dest != XAPIC_BROADCAST)) {
		ret = apic_deliver_physical(vm, src, msg, map);
		goto out;
	}
	bitmap_zero(targets, VM_MAX_VCPUS);
	/* The logical map has software-enabled APICs only: others hear NMI, INIT, SIPI too. */
	if (!map || msg->shorthand || !msg->logical || msg->delivery > APIC_DM_LOWEST ||
	    !map_logical(map, msg->dest, targets))
		apic_scan(vm, src, msg, targets);
	if (msg->delivery == APIC_DM_LOWEST)
		apic_pick_one(vm, msg->vector, targets);
	ret = apic_deliver_to(vm, src, msg, targets);
out:
	rcu_read_unlock();
	return ret;
}

/**
 * lapic_deliver_from_device() - a message of the I/O APIC or an MSI
 * @vm: with local APICs
 * @msg: destination as the device wrote it
 *
 * A destination of eight bits that are all ones is a broadcast, also to
 * x2APICs unless user space asked for the letter of the architecture
 * (KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK).
 *
 * Return: as lapic_deliver().
 */
int lapic_deliver_from_device(struct vm *vm, const struct apic_msg *msg)
{
	struct apic_msg all;

	if (likely(msg->dest != XAPIC_BROADCAST ||
		   vm->x2apic_api & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))
		return lapic_deliver(vm, NULL, msg);
	all = *msg;
	all.shorthand = APIC_DEST_ALLINC;
	return lapic_deliver(vm, NULL, &all);
}

/**
 * lapic_vcpu_by_apic_id() - the vCPU that answers to an APIC id
 * @vm: any
 * @apic_id: physical
 *
 * Return: the vCPU, NULL if there is none.  vCPUs stay until the VM ends.
 */
struct vcpu *lapic_vcpu_by_apic_id(struct vm *vm, u32 apic_id)
{
	const struct apic_map *map;
	struct vcpu *vcpu;
	bool known;
	u8 idx = NOBODY;
	int i;

	rcu_read_lock();
	map = rcu_dereference(vm->apic_map);
	known = map;
	if (known)
		idx = map_physical(map, apic_id);
	rcu_read_unlock();
	if (known)
		return idx == NOBODY ? NULL : vm->vcpus[idx];
	vm_for_each_vcpu(i, vcpu, vm)
		if (vcpu->lapic && lapic_id(vcpu->lapic) == apic_id)
			return vcpu;
	return NULL;
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
	struct apic_msg msg = {
		.vector = icr & APIC_VECTOR_MASK,
		.delivery = icr & APIC_MODE_MASK,
		.level = true,
	};
	struct vcpu *vcpu;
	unsigned int bit;
	long count = 0;

	if (icr & (APIC_DEST_LOGICAL | APIC_DEST_ALLBUT))
		return -KVM_EINVAL;
	for_each_set_bit(bit, ids, 128) {
		if (min + bit < min)
			break;
		vcpu = lapic_vcpu_by_apic_id(vm, min + bit);
		if (vcpu && vcpu->lapic && lapic_accept(vcpu->lapic, NULL, &msg) >= 0)
			count++;
	}
	return count;
}

/* ---- building it ---- */

static void map_add_logical(struct apic_map *map, const struct lapic *apic, u8 idx)
{
	enum logical_mode mode;
	unsigned long bits;
	unsigned int bit, first = 0;
	u8 ldr = GET_APIC_LOGICAL_ID(lapic_get(apic, APIC_LDR));

	if (lapic_x2apic(apic))
		mode = LOGICAL_X2APIC;
	else if (lapic_get(apic, APIC_DFR) == (u32)APIC_DFR_FLAT)
		mode = LOGICAL_FLAT;
	else
		mode = LOGICAL_CLUSTER;
	if (map->logical_mode == LOGICAL_NONE)
		map->logical_mode = mode;
	if (map->logical_mode != mode)
		map->logical_mode = LOGICAL_MIXED;
	if (mode == LOGICAL_X2APIC)
		return;

	bits = ldr;
	if (mode == LOGICAL_CLUSTER) {
		first = APIC_CLUSTERID(ldr) * XAPIC_CLUSTER_SIZE;
		bits = APIC_CPUID(ldr);
	}
	for_each_set_bit(bit, &bits, 8) {
		if (map->logical[first + bit] != NOBODY)
			map->logical_mode = LOGICAL_MIXED;
		map->logical[first + bit] = idx;
	}
}

static void map_add(struct apic_map *map, const struct lapic *apic, u8 idx)
{
	u32 id = lapic_id(apic);

	if (!lapic_hw_enabled(apic) || id >= map->nr_ids)
		return;
	if (map->physical[id] != NOBODY)
		map->shared_id = true;
	map->physical[id] = idx;
	if (lapic_sw_enabled(apic))
		map_add_logical(map, apic, idx);
}

static struct apic_map *map_build(struct vm *vm)
{
	struct apic_map *map;
	struct vcpu *vcpu;
	u32 nr_ids = 0;
	int i;

	vm_for_each_vcpu(i, vcpu, vm)
		nr_ids = max(nr_ids, lapic_id(vcpu->lapic) + 1);
	map = kmalloc(struct_size(map, physical, nr_ids), GFP_KERNEL_ACCOUNT);
	if (!map)
		return NULL;
	map->logical_mode = LOGICAL_NONE;
	map->shared_id = false;
	map->nr_ids = nr_ids;
	memset(map->logical, NOBODY, sizeof(map->logical));
	memset(map->physical, NOBODY, nr_ids);
	vm_for_each_vcpu(i, vcpu, vm)
		map_add(map, vcpu->lapic, i);
	return map;
}

/**
 * lapic_update_map() - rebuild the map
 * @vm: with local APICs, or none and then nothing is done
 *
 * After a vCPU is published and after its APIC's id, mode or logical
 * destination changed.  May sleep.  Without memory there is no map.
 */
void lapic_update_map(struct vm *vm)
{
	struct apic_map *map, *old;

	if (vm->irqchip == IRQCHIP_NONE)
		return;
	mutex_lock(&vm->apic_map_lock);
	map = map_build(vm);
	old = rcu_replace_pointer(vm->apic_map, map, lockdep_is_held(&vm->apic_map_lock));
	mutex_unlock(&vm->apic_map_lock);
	if (old)
		kfree_rcu(old, rcu);
}

/**
 * lapic_free_map() - the VM ends
 * @vm: nobody sends any more
 */
void lapic_free_map(struct vm *vm)
{
	kfree(rcu_dereference_protected(vm->apic_map, true));
	RCU_INIT_POINTER(vm->apic_map, NULL);
}
