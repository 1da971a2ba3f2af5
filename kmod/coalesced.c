// SPDX-License-Identifier: GPL-2.0
/*
 * Coalesced I/O: writes to registered ranges go to a ring that user space
 * reads when it next exits, instead of an exit each.
 * Documentation/virt/kvm/api.rst "KVM_(UN)REGISTER_COALESCED_MMIO".
 */
#include <linux/rculist.h>
#include "coalesced.h"
#include "vcpu.h"

struct coalesced_zone {
	struct list_head list;
	struct rcu_head rcu;
	struct kvm_coalesced_mmio_zone zone;
};

static bool zone_covers(const struct kvm_coalesced_mmio_zone *zone, bool pio, gpa_t addr,
			unsigned int len)
{
	return zone->pio == pio && addr >= zone->addr &&
	       addr + len <= zone->addr + zone->size && addr + len > addr;
}

/* User space owns @first and may write anything to it; we trust only @last, within bounds. */
static bool ring_put(struct kvm_coalesced_mmio_ring *ring, bool pio, gpa_t addr,
		     const void *data, unsigned int len)
{
	u32 last = READ_ONCE(ring->last) % KVM_COALESCED_MMIO_MAX;
	u32 next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	struct kvm_coalesced_mmio *slot = &ring->coalesced_mmio[last];

	if (next == READ_ONCE(ring->first))
		return false;			/* full: this one exits */
	slot->phys_addr = addr;
	slot->len = len;
	slot->pio = pio;
	memcpy(slot->data, data, len);
	/* User space that sees the new end sees what is before it. */
	smp_store_release(&ring->last, next);
	return true;
}

/**
 * coalesced_write() - put a write into the ring, if it belongs there
 * @vm: whose zones
 * @pio: port I/O rather than MMIO
 * @addr: gpa or port
 * @data: what is written
 * @len: bytes
 *
 * Return: false if the write has to go to user space by itself.
 */
bool coalesced_write(struct vm *vm, bool pio, gpa_t addr, const void *data, unsigned int len)
{
	struct coalesced_zone *z;
	bool done = false;

	if (list_empty(&vm->coalesced_zones) || len > sizeof_field(struct kvm_coalesced_mmio, data))
		return false;
	rcu_read_lock();
	list_for_each_entry_rcu(z, &vm->coalesced_zones, list) {
		if (!zone_covers(&z->zone, pio, addr, len))
			continue;
		spin_lock(&vm->coalesced_lock);
		done = ring_put(vm->coalesced_ring, pio, addr, data, len);
		spin_unlock(&vm->coalesced_lock);
		break;
	}
	rcu_read_unlock();
	return done;
}

/**
 * coalesced_register() - KVM_REGISTER_COALESCED_MMIO
 * @vm: vm->lock held
 * @zone: from user space
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int coalesced_register(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
	struct coalesced_zone *z;

	if (zone->pio > 1)
		return -EINVAL;
	if (!vcpu_shared_page(&vm->coalesced_ring))
		return -ENOMEM;
	z = kmalloc(sizeof(*z), GFP_KERNEL_ACCOUNT);
	if (!z)
		return -ENOMEM;
	z->zone = *zone;
	list_add_rcu(&z->list, &vm->coalesced_zones);
	return 0;
}

/**
 * coalesced_unregister() - KVM_UNREGISTER_COALESCED_MMIO
 * @vm: vm->lock held
 * @zone: every zone that lies in it goes
 *
 * Return: 0 or -EINVAL.
 */
int coalesced_unregister(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
	struct coalesced_zone *z, *next;

	if (zone->pio > 1)
		return -EINVAL;
	list_for_each_entry_safe(z, next, &vm->coalesced_zones, list) {
		if (!zone_covers(&z->zone, zone->pio, zone->addr, zone->size))
			continue;
		list_del_rcu(&z->list);
		kfree_rcu(z, rcu);
	}
	return 0;
}

/**
 * coalesced_destroy() - the VM ends
 * @vm: nobody uses it any more
 */
void coalesced_destroy(struct vm *vm)
{
	struct coalesced_zone *z, *next;

	list_for_each_entry_safe(z, next, &vm->coalesced_zones, list)
		kfree(z);
	free_page((unsigned long)vm->coalesced_ring);
}
