// SPDX-License-Identifier: GPL-2.0
/*
 * The VM fd: a virtual machine's life, its capabilities and its ioctls.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>
#include <uapi/linux/kvm_para.h>
#include "backend.h"
#include "clock.h"
#include "coalesced.h"
#include "fpu.h"
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

/*
 * No fd and no vCPU fd is left.  Nothing here waits for a grace period: the
 * mmu notifier's ends later and frees struct vm itself, from memslot.c.
 */
static void vm_destroy(struct vm *vm)
{
	int i;

	/* Timers, irqfds and ioeventfds first: they reach vCPUs from outside. */
	irqfd_release_all(vm);
	ioeventfd_release_all(vm);
	pit_destroy(vm);
	memslot_unmap_vm(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vm->nr_vcpus = 0;
	irq_destroy(vm);
	msr_filter_destroy(vm);
	coalesced_destroy(vm);
	memslot_destroy_vm(vm);
}

/**
 * vm_put() - give a reference back; the last one ends the VM
 * @vm: may be gone afterwards
 */
void vm_put(struct vm *vm)
{
	if (refcount_dec_and_test(&vm->refs))
		vm_destroy(vm);
}

static struct vm *vm_new(void)
{
	struct vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int r;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->mm = current->mm;
	mutex_init(&vm->lock);
	refcount_set(&vm->refs, 1);
	INIT_LIST_HEAD(&vm->coalesced_zones);
	spin_lock_init(&vm->coalesced_lock);
	irq_vm_init(vm);
	clock_vm_init(vm);
	r = memslot_init_vm(vm);
	if (r) {
		kfree(vm);
		return ERR_PTR(r);
	}
	return vm;
}

/* ---- capabilities ---- */

/* Offered as they are: an ioctl, or a property, without a number to it. */
static const u16 plain_caps[] = {
	KVM_CAP_IRQCHIP, KVM_CAP_HLT, KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR,
	KVM_CAP_EXT_CPUID, KVM_CAP_EXT_EMUL_CPUID, KVM_CAP_NOP_IO_DELAY, KVM_CAP_MP_STATE,
	KVM_CAP_USER_NMI, KVM_CAP_X86_SMM, KVM_CAP_SET_GUEST_DEBUG, KVM_CAP_REINJECT_CONTROL,
	KVM_CAP_IRQ_INJECT_STATUS, KVM_CAP_IRQFD, KVM_CAP_IRQFD_RESAMPLE,
	KVM_CAP_PIT2, KVM_CAP_PIT_STATE2, KVM_CAP_IOEVENTFD, KVM_CAP_IOEVENTFD_NO_LENGTH,
	KVM_CAP_IOEVENTFD_ANY_LENGTH, KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_SYNC_MMU,
	KVM_CAP_VCPU_EVENTS, KVM_CAP_DEBUGREGS, KVM_CAP_XSAVE, KVM_CAP_XCRS, KVM_CAP_GET_MSR_FEATURES,
	KVM_CAP_INTERNAL_ERROR_DATA, KVM_CAP_X86_ROBUST_SINGLESTEP, KVM_CAP_TSC_DEADLINE_TIMER,
	KVM_CAP_GET_TSC_KHZ, KVM_CAP_SIGNAL_MSI, KVM_CAP_READONLY_MEM,
	KVM_CAP_KVMCLOCK_CTRL, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
	KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_SET_BOOT_CPU_ID, KVM_CAP_COALESCED_PIO,
	KVM_CAP_SREGS2, KVM_CAP_CHECK_EXTENSION_VM, KVM_CAP_ENABLE_CAP_VM,
	KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_TRIPLE_FAULT_EVENT, KVM_CAP_SPLIT_IRQCHIP,
	KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_MSR_FILTER, KVM_CAP_EXIT_ON_EMULATION_FAILURE,
	KVM_CAP_MSR_PLATFORM_INFO, KVM_CAP_DISABLE_QUIRKS, KVM_CAP_ENABLE_CAP, KVM_CAP_PIT,
	KVM_CAP_ENFORCE_PV_FEATURE_CPUID, KVM_CAP_VCPU_ATTRIBUTES, KVM_CAP_SYS_ATTRIBUTES,
	KVM_CAP_BINARY_STATS_FD, KVM_CAP_CLOCKSOURCE, KVM_CAP_INTR_SHADOW,
	KVM_CAP_IOAPIC_POLARITY_IGNORED,
};

/* The bits of numbers that tell what can be enabled. */
enum {
	X2APIC_API	= KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
	USER_MSRS	= KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
			  KVM_MSR_EXIT_REASON_FILTER,
	USER_HYPERCALLS	= 1 << KVM_HC_MAP_GPA_RANGE,
	QUIRKS		= KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_LAPIC_MMIO_HOLE |
			  KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT |
			  KVM_X86_QUIRK_FIX_HYPERCALL_INSN | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
};

/* A guest that never exits keeps its CPU; C-states of the host's it cannot ask for. */
static u32 disableable_exits(void)
{
	bool mwait = boot_cpu_has(X86_FEATURE_MWAIT) && !boot_cpu_has_bug(X86_BUG_MONITOR) &&
		     boot_cpu_has(X86_FEATURE_ARAT);

	return KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE |
	       (mwait ? KVM_X86_DISABLE_EXITS_MWAIT : 0);
}

/**
 * vm_check_extension() - KVM_CHECK_EXTENSION
 * @vm: whose, or NULL for /dev/kvm
 * @cap: KVM_CAP_*
 *
 * Return: 0 if it is not offered, else 1 or its number.
 */
int vm_check_extension(struct vm *vm, long cap)
{
	unsigned int i;

	switch (cap) {
	case KVM_CAP_COALESCED_MMIO: return KVM_COALESCED_MMIO_PAGE_OFFSET;
	case KVM_CAP_NR_VCPUS: return min_t(unsigned int, num_online_cpus(), VM_MAX_VCPUS);
	case KVM_CAP_MAX_VCPUS: return VM_MAX_VCPUS;
	case KVM_CAP_MAX_VCPU_ID: return VM_MAX_VCPU_ID;
	case KVM_CAP_NR_MEMSLOTS: return MEMSLOT_MAX_USER;
	case KVM_CAP_MULTI_ADDRESS_SPACE: return VM_SPACES;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: return MEMSLOT_MANUAL_LOG;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL: return DIRTY_RING_MAX_BYTES;
	case KVM_CAP_ADJUST_CLOCK: return CLOCK_FLAGS;
	case KVM_CAP_IRQ_ROUTING: return IRQ_MAX_ROUTES;
	case KVM_CAP_MCE: return MCE_MAX_BANKS;
	case KVM_CAP_XSAVE2: return fpu_xsave_size(vm);
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL: return backend_ops->has_tsc_scaling;
	case KVM_CAP_SET_GUEST_DEBUG2: return VCPU_GUESTDBG_VALID;
	case KVM_CAP_SYNC_REGS: return KVM_SYNC_X86_VALID_FIELDS;
	case KVM_CAP_X2APIC_API: return X2APIC_API;
	case KVM_CAP_X86_DISABLE_EXITS: return disableable_exits();
	case KVM_CAP_DISABLE_QUIRKS2: return QUIRKS;
	case KVM_CAP_EXIT_HYPERCALL: return USER_HYPERCALLS;
	}
	for (i = 0; i < ARRAY_SIZE(plain_caps); i++)
		if (plain_caps[i] == cap)
			return 1;
	return 0;
}

/* Bits of KVM_ENABLE_CAP: all of @valid or none. */
static int enable_bits(u32 *place, u64 bits, u32 valid)
{
	if (bits & ~(u64)valid)
		return -EINVAL;
	*place = bits;
	return 0;
}

static int enable_disabled_exits(struct vm *vm, u64 exits)
{
	return vm->nr_vcpus ? -EINVAL : enable_bits(&vm->disabled_exits, exits, disableable_exits());
}

/* Once, for later vCPUs. */
static int enable_max_vcpu_id(struct vm *vm, u64 max)
{
	if (max > VM_MAX_VCPU_ID || (vm->max_vcpu_id && vm->max_vcpu_id != max) ||
	    vm->nr_vcpus)
		return -EINVAL;
	vm->max_vcpu_id = max;
	return 0;
}

static int vm_enable_cap(struct vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP: return irq_create_split(vm, cap->args[0]);
	case KVM_CAP_X2APIC_API: return enable_bits(&vm->x2apic_api, cap->args[0], X2APIC_API);
	case KVM_CAP_X86_USER_SPACE_MSR:
		return enable_bits(&vm->user_msrs, cap->args[0], USER_MSRS);
	case KVM_CAP_EXIT_HYPERCALL:
		return enable_bits(&vm->user_hypercalls, cap->args[0], USER_HYPERCALLS);
	case KVM_CAP_X86_DISABLE_EXITS: return enable_disabled_exits(vm, cap->args[0]);
	case KVM_CAP_MAX_VCPU_ID: return enable_max_vcpu_id(vm, cap->args[0]);
	case KVM_CAP_DISABLE_QUIRKS2:
		return enable_bits(&vm->disabled_quirks, cap->args[0], QUIRKS);
	case KVM_CAP_DISABLE_QUIRKS:		/* by its definition, any bit will do */
		vm->disabled_quirks = cap->args[0] & QUIRKS;
		return 0;
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		if (cap->args[0] & ~1ULL)
			return -EINVAL;
		vm->user_emulates = cap->args[0];
		return 0;
	case KVM_CAP_MSR_PLATFORM_INFO:
		vm->hide_platform_info = !cap->args[0];
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		vm->exception_payload = cap->args[0];
		return 0;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL: return dirty_ring_enable(vm, cap->args[0]);
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: return memslot_set_manual_log(vm, cap->args[0]);
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		vm->triple_fault_event = cap->args[0];
		return 0;
	default: return -EINVAL;
	}
}

/* ---- ioctls ---- */

enum { TSS_REGION = 3 * PAGE_SIZE };

/* Checked for user space's sake: AMD-V and unrestricted guests need neither page. */
static int vm_set_tss_addr(unsigned long addr)
{
	return addr > (unsigned int)-TSS_REGION ? -EINVAL : 0;
}

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
	struct kvm_irq_routing_entry *entries = NULL;
	struct kvm_irq_routing head;
	long r;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (vm->irqchip == IRQCHIP_NONE || head.flags || head.nr > IRQ_MAX_ROUTES)
		return -EINVAL;
	if (head.nr) {
		entries = vmemdup_user(user->entries, array_size(sizeof(*entries), head.nr));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
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

	if (r)
		return r;
	memcpy(state.channels, old->channels, sizeof(old->channels));
	return pit_set_state(vm, &state);
}

/* For the vCPUs that come. */
static int vm_set_tsc_khz(struct vm *vm, u32 khz)
{
	if (vm->nr_vcpus)
		return -EINVAL;
	if (clock_khz_ratio(vm, khz ?: vm->host_khz) == 0)
		return -EINVAL;
	vm->guest_khz = khz ?: vm->host_khz;
	return 0;
}

static int vm_reinject(struct vm *vm, const struct kvm_reinject_control __user *user)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, user, sizeof(control)))
		return -EFAULT;
	return pit_reinject(vm, control.pit_reinject);
}

/* These lock what they need themselves; their payload is copied by ioctl.c. */
#define VM_IOCTLS(X)								\
	X(KVM_SET_USER_MEMORY_REGION, memslot_ioctl_set)			\
	X(KVM_GET_DIRTY_LOG, memslot_ioctl_get_dirty_log)			\
	X(KVM_CLEAR_DIRTY_LOG, memslot_ioctl_clear_dirty_log)			\
	X(KVM_GET_IRQCHIP, irq_ioctl_get_irqchip)				\
	X(KVM_SET_IRQCHIP, irq_ioctl_set_irqchip)				\
	X(KVM_IRQ_LINE, vm_irq_line)						\
	X(KVM_IRQ_LINE_STATUS, vm_irq_line)					\
	X(KVM_IRQFD, irqfd_assign)						\
	X(KVM_IOEVENTFD, ioeventfd_ioctl)					\
	X(KVM_SIGNAL_MSI, irq_send_msi)						\
	X(KVM_GET_PIT2, pit_get_state)						\
	X(KVM_SET_PIT2, pit_set_state)						\
	X(KVM_GET_PIT, vm_get_pit)						\
	X(KVM_SET_PIT, vm_set_pit)						\
	X(KVM_GET_CLOCK, clock_ioctl_get)					\
	X(KVM_SET_CLOCK, clock_ioctl_set)

/* vm->lock is held for these. */
#define VM_LOCKED_IOCTLS(X)							\
	X(KVM_CREATE_PIT2, vm_create_pit)					\
	X(KVM_SET_IDENTITY_MAP_ADDR, vm_set_identity_map_addr)			\
	X(KVM_ENABLE_CAP, vm_enable_cap)					\
	X(KVM_X86_SET_MSR_FILTER, msr_ioctl_set_filter)				\
	X(KVM_REGISTER_COALESCED_MMIO, coalesced_register)			\
	X(KVM_UNREGISTER_COALESCED_MMIO, coalesced_unregister)

#define CASE(nr, function) case nr: return data ? function(vm, data) : 0;

static int handle_payload(void *vm, unsigned int ioctl, void *data)
{
	switch (ioctl) {
	VM_IOCTLS(CASE)
	default: return -ENOTTY;
	}
}

static int handle_locked_payload(void *vm, unsigned int ioctl, void *data)
{
	switch (ioctl) {
	VM_LOCKED_IOCTLS(CASE)
	default: return -ENOTTY;
	}
}

static long vm_locked_ioctl(struct vm *vm, unsigned int ioctl, unsigned long arg)
{
	void __user *user = (void __user *)arg;

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

static long vm_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct vm *vm = file->private_data;
	void __user *user = (void __user *)arg;
	long r;

	if (vm->mm != current->mm)
		return -EIO;
	switch (ioctl) {
	case KVM_CHECK_EXTENSION: return vm_check_extension(vm, arg);
	case KVM_SET_TSS_ADDR: return vm_set_tss_addr(arg);
	case KVM_GET_TSC_KHZ: return vm->guest_khz;
	case KVM_RESET_DIRTY_RINGS: return dirty_ring_reset_all(vm);
	case KVM_GET_STATS_FD: return stats_vm_fd(vm);
	case KVM_REINJECT_CONTROL: return vm_reinject(vm, user);	/* its number tells no size */
	}
	r = ioctl_with_payload(vm, ioctl, user, handle_payload);
	if (r != -ENOTTY)
		return r;
	guard(mutex)(&vm->lock);
	return vm_locked_ioctl(vm, ioctl, arg);
}

static int vm_release(struct inode *inode, struct file *file)
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
	vm = vm_new();
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("kvm-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		vm_put(vm);
	return fd;
}
