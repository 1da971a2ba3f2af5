// SPDX-License-Identifier: GPL-2.0
/*
 * What is offered (KVM_CHECK_EXTENSION), and what of it a VM's user space turns
 * on (KVM_ENABLE_CAP).  docs/abi.md has a row for each.
 */
#include <uapi/linux/kvm_para.h>
#include "backend.h"
#include "clock.h"
#include "irq/irq.h"
#include "mmu/memslot.h"
#include "msr.h"

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
	KVM_CAP_IOAPIC_POLARITY_IGNORED, KVM_CAP_MMU_SHADOW_CACHE_CONTROL,
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
	case KVM_CAP_XSAVE2: return sizeof(struct kvm_xsave);	/* without AMX, it holds all there is */
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL: return !!backend_ops->max_tsc_ratio;
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

/* Once, for later vCPUs. */
static int enable_max_vcpu_id(struct vm *vm, u64 max)
{
	if (max > VM_MAX_VCPU_ID || (vm->max_vcpu_id && vm->max_vcpu_id != max) ||
	    vm->nr_vcpus)
		return -EINVAL;
	vm->max_vcpu_id = max;
	return 0;
}

/**
 * vm_enable_cap() - KVM_ENABLE_CAP of a VM
 * @vm: vm->lock held
 * @cap: copied from user space
 *
 * Return: 0; -EINVAL for flags, a capability that cannot be enabled, or an
 * argument it does not take; what else api.rst says of it.
 */
int vm_enable_cap(struct vm *vm, const struct kvm_enable_cap *cap)
{
	const u64 arg = cap->args[0];

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP: return irq_create_split(vm, arg);
	case KVM_CAP_X2APIC_API: return enable_bits(&vm->x2apic_api, arg, X2APIC_API);
	case KVM_CAP_X86_USER_SPACE_MSR: return enable_bits(&vm->user_msrs, arg, USER_MSRS);
	case KVM_CAP_EXIT_HYPERCALL: return enable_bits(&vm->user_hypercalls, arg, USER_HYPERCALLS);
	case KVM_CAP_X86_DISABLE_EXITS:
		return vm->nr_vcpus ? -EINVAL :
		       enable_bits(&vm->disabled_exits, arg, disableable_exits());
	case KVM_CAP_MAX_VCPU_ID: return enable_max_vcpu_id(vm, arg);
	case KVM_CAP_DISABLE_QUIRKS2: return enable_bits(&vm->disabled_quirks, arg, QUIRKS);
	/* By its definition, any bit will do. */
	case KVM_CAP_DISABLE_QUIRKS: return enable_bits(&vm->disabled_quirks, arg & QUIRKS, QUIRKS);
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE: return enable_bits(&vm->user_emulates, arg, 1);
	case KVM_CAP_MSR_PLATFORM_INFO: return enable_bits(&vm->hide_platform_info, !arg, 1);
	case KVM_CAP_EXCEPTION_PAYLOAD: return enable_bits(&vm->exception_payload, !!arg, 1);
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT: return enable_bits(&vm->triple_fault_event, !!arg, 1);
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL: return dirty_ring_enable(vm, arg);
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: return memslot_set_manual_log(vm, arg);
	default: return -EINVAL;
	}
}
