// SPDX-License-Identifier: GPL-2.0
/*
 * The VM fd: a virtual machine's life and its ioctls.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/module.h>
#include "backend.h"
#include "clock.h"
#include "coalesced.h"
#include "ioctl.h"
#include "irq/irq.h"
#include "mmu/dirty_ring.h"
#include "mmu/memslot.h"
#include "msr.h"
#include "stats.h"

/* ---- life ---- */

/**
 * vm_vcpu_by_id() - the vCPU with this id
 * @vm: whose; any context
 * @id: KVM_CREATE_VCPU's argument
 *
 * Return: it, or NULL.
 */
struct vcpu *vm_vcpu_by_id(struct vm *vm, u32 id)
{
	int i, nr = vm_nr_vcpus(vm);

	if (!nr)
		return NULL;
	/* The ids of most VMs are ascending and nearly dense. */
	for (i = min_t(u32, id, nr - 1); i > 0 && vm->vcpus[i]->id > id; i--)
		;
	if (likely(vm->vcpus[i]->id == id))
		return vm->vcpus[i];
	for (i = 0; i < nr; i++)
		if (vm->vcpus[i]->id == id)
			return vm->vcpus[i];
	return NULL;
}

/**
 * vm_get() - take a reference
 * @vm: the caller holds one
 */
void vm_get(struct vm *vm)
{
	refcount_inc(&vm->refs);
}

/**
 * vm_put() - give a reference back; the last one ends the VM
 * @vm: may be gone afterwards
 *
 * Nothing here waits for a grace period: the mmu notifier's ends later and frees
 * struct vm itself, from memslot.c.
 */
void vm_put(struct vm *vm)
{
	int i;

	if (!refcount_dec_and_test(&vm->refs))
		return;
	/* Timers, irqfds and ioeventfds first: they reach vCPUs from outside. */
	irqfd_release_all(vm);
	ioeventfd_release_all(vm);
	pit_destroy(vm);
	fault_unmap_vm(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vm->nr_vcpus = 0;
	irq_destroy(vm);
	kvfree(rcu_dereference_protected(vm->msr_filter, true));
	coalesced_destroy(vm);
	mmu_notifier_put(&vm->mmu_notifier);
}

/* Of just that size: most of what a new VM costs is to clear its memory. */
static struct kmem_cache *vm_cache;

/**
 * vm_free() - the last of a VM's memory
 * @vm: nobody knows it any more
 */
void vm_free(struct vm *vm)
{
	kmem_cache_free(vm_cache, vm);
}

/**
 * vm_module_init() - the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int vm_module_init(void)
{
	vm_cache = kmem_cache_create("kvm_vm", sizeof(struct vm), __alignof__(struct vm),
				     SLAB_ACCOUNT, NULL);
	return vm_cache ? 0 : -ENOMEM;
}

/**
 * vm_module_exit() - the module goes; the last VM's memory was freed
 */
void vm_module_exit(void)
{
	kmem_cache_destroy(vm_cache);
}

static struct vm *vm_new(void)
{
	struct vm *vm = kmem_cache_zalloc(vm_cache, GFP_KERNEL_ACCOUNT);
	int r;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->mm = current->mm;
	mutex_init(&vm->lock);
	refcount_set(&vm->refs, 1);
	INIT_LIST_HEAD(&vm->coalesced_zones);
	spin_lock_init(&vm->coalesced_lock);
	mutex_init(&vm->eventfd_lock);
	INIT_LIST_HEAD(&vm->irqfds);
	INIT_HLIST_HEAD(&vm->resamplers);
	clock_vm_init(vm);
	r = memslot_init_vm(vm);
	if (r) {
		vm_free(vm);
		return ERR_PTR(r);
	}
	return vm;
}

/* ---- ioctls ---- */

enum { TSS_REGION = 3 * PAGE_SIZE };

/* Checked for user space's sake, as its KVM_SET_TSS_ADDR: guests here need neither page. */
static int vm_set_identity_map_addr(struct vm *vm, const u64 *addr)
{
	return vm->nr_vcpus ? -EINVAL : 0;
}

static int vm_set_boot_cpu_id(struct vm *vm, unsigned long id)
{
	if (vm->nr_vcpus)
		return -EBUSY;
	vm->boot_vcpu_id = id;
	return 0;
}

static long vm_set_gsi_routing(struct vm *vm, struct kvm_irq_routing __user *user)
{
	struct kvm_irq_routing_entry *entries;
	struct kvm_irq_routing head;
	long r;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (vm->irqchip == IRQCHIP_NONE || head.flags || head.nr > IRQ_MAX_ROUTES)
		return -EINVAL;
	entries = vmemdup_user(user->entries, array_size(sizeof(*entries), head.nr));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	r = route_set(vm, entries, head.nr);
	kvfree(entries);
	return r;
}

/* KVM_IRQ_LINE tells nothing, KVM_IRQ_LINE_STATUS whether the guest will see it: so say their numbers. */
static int vm_irq_line(struct vm *vm, struct kvm_irq_level *line)
{
	if (vm->irqchip == IRQCHIP_NONE)
		return -ENXIO;
	line->status = irq_set_gsi(vm, line->irq, IRQ_SOURCE_USER, line->level);
	return 0;
}

static int vm_create_pit(struct vm *vm, const struct kvm_pit_config *config)
{
	return pit_create(vm, config->flags);
}

/* The old state has three channels and no flags. */
static int vm_get_pit(struct vm *vm, struct kvm_pit_state *old)
{
	struct kvm_pit_state2 state;
	int r = pit_get_state(vm, &state);

	if (!r)
		memcpy(old->channels, state.channels, sizeof(old->channels));
	return r;
}

static int vm_set_pit(struct vm *vm, const struct kvm_pit_state *old)
{
	struct kvm_pit_state2 state;
	int r = pit_get_state(vm, &state);

	memcpy(state.channels, old->channels, sizeof(old->channels));
	return r ?: pit_set_state(vm, &state);
}

/* For the vCPUs that come. */
static int vm_set_tsc_khz(struct vm *vm, u32 khz)
{
	khz = khz ?: vm->host_khz;
	if (vm->nr_vcpus || !clock_khz_ratio(vm, khz))
		return -EINVAL;
	vm->guest_khz = khz;
	return 0;
}

static int vm_reinject(struct vm *vm, const struct kvm_reinject_control __user *user)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, user, sizeof(control)))
		return -EFAULT;
	return pit_reinject(vm, control.pit_reinject);
}

#define CASE(nr, function) case nr: return data ? function(vm, data) : 0;

/* These lock what they need themselves; their payload is copied by ioctl.c. */
static int handle_payload(void *vm, unsigned int ioctl, void *data)
{
	switch (ioctl) {
	CASE(KVM_SET_USER_MEMORY_REGION, memslot_ioctl_set)
	CASE(KVM_GET_DIRTY_LOG, memslot_ioctl_get_dirty_log)
	CASE(KVM_CLEAR_DIRTY_LOG, memslot_ioctl_clear_dirty_log)
	CASE(KVM_GET_IRQCHIP, irq_ioctl_get_irqchip)
	CASE(KVM_SET_IRQCHIP, irq_ioctl_set_irqchip)
	CASE(KVM_IRQ_LINE, vm_irq_line)
	CASE(KVM_IRQ_LINE_STATUS, vm_irq_line)
	CASE(KVM_IRQFD, irqfd_assign)
	CASE(KVM_IOEVENTFD, ioeventfd_ioctl)
	CASE(KVM_SIGNAL_MSI, irq_send_msi)
	CASE(KVM_GET_PIT2, pit_get_state)
	CASE(KVM_SET_PIT2, pit_set_state)
	CASE(KVM_GET_PIT, vm_get_pit)
	CASE(KVM_SET_PIT, vm_set_pit)
	CASE(KVM_GET_CLOCK, clock_ioctl_get)
	CASE(KVM_SET_CLOCK, clock_ioctl_set)
	default: return -ENOTTY;
	}
}

/* vm->lock is held for these. */
static int handle_locked_payload(void *vm, unsigned int ioctl, void *data)
{
	switch (ioctl) {
	CASE(KVM_CREATE_PIT2, vm_create_pit)
	CASE(KVM_SET_IDENTITY_MAP_ADDR, vm_set_identity_map_addr)
	CASE(KVM_ENABLE_CAP, vm_enable_cap)
	CASE(KVM_X86_SET_MSR_FILTER, msr_ioctl_set_filter)
	CASE(KVM_REGISTER_COALESCED_MMIO, coalesced_register)
	CASE(KVM_UNREGISTER_COALESCED_MMIO, coalesced_unregister)
	default: return -ENOTTY;
	}
}

static long vm_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct vm *vm = file->private_data;
	void __user *user = (void __user *)arg;
	long r;

	if (vm->mm != current->mm)
		return -EIO;
	switch (ioctl) {
	case KVM_CHECK_EXTENSION: return vm_check_extension(vm, arg);
	case KVM_SET_TSS_ADDR: return arg > (unsigned int)-TSS_REGION ? -EINVAL : 0;
	case KVM_GET_TSC_KHZ: return vm->guest_khz;
	case KVM_SET_NR_MMU_PAGES: return memslot_set_max_tables(vm, arg);
	case KVM_GET_NR_MMU_PAGES: return READ_ONCE(vm->max_tables);
	case KVM_RESET_DIRTY_RINGS: return dirty_ring_reset_all(vm);
	case KVM_GET_STATS_FD: return stats_fd(vm, NULL);
	case KVM_REINJECT_CONTROL: return vm_reinject(vm, user);	/* its number tells no size */
	}
	r = ioctl_with_payload(vm, ioctl, user, handle_payload);
	if (r != -ENOTTY)
		return r;
	guard(mutex)(&vm->lock);
	switch (ioctl) {
	case KVM_CREATE_VCPU: return arg > U32_MAX ? -EINVAL : vcpu_create(vm, arg);
	case KVM_CREATE_IRQCHIP: return irq_create_irqchip(vm);
	case KVM_SET_GSI_ROUTING: return vm_set_gsi_routing(vm, user);
	case KVM_SET_BOOT_CPU_ID: return vm_set_boot_cpu_id(vm, arg);
	case KVM_CREATE_PIT: return pit_create(vm, KVM_PIT_SPEAKER_DUMMY);
	case KVM_SET_TSC_KHZ: return vm_set_tsc_khz(vm, arg);
	default: return ioctl_with_payload(vm, ioctl, user, handle_locked_payload);
	}
}

/* For its file of statistics, too. */
int vm_release(struct inode *inode, struct file *file)
{
	vm_put(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner		= THIS_MODULE,
	.release	= vm_release,
	.unlocked_ioctl	= vm_ioctl,
	.compat_ioctl	= vm_ioctl,
	.llseek		= noop_llseek,
};

/**
 * vm_dev_ioctl_create() - KVM_CREATE_VM
 * @type: 0, the only machine type
 *
 * Return: a file descriptor, -EINVAL, -ENOMEM, -EMFILE.
 */
int vm_dev_ioctl_create(unsigned long type)
{
	struct vm *vm;
	int fd;

	if (type)
		return -EINVAL;
	vcpu_module_use();
	vm = vm_new();
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("kvm-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		vm_put(vm);
	return fd;
}
