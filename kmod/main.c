// SPDX-License-Identifier: GPL-2.0
/*
 * vitro: a drop-in kvm.ko that one person can read.
 *
 * This file is the table of contents: what happens when the module is loaded
 * and unloaded, when CPUs come and go, and the ioctls of /dev/kvm.
 * docs/architecture.md leads through the rest.
 */
#define pr_fmt(fmt) "kvm: " fmt

#include <linux/cpu.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <asm/reboot.h>
#include "backend.h"
#include "clock.h"
#include "compat.h"
#include "cpuid.h"
#include "fpu.h"
#include "host_msr.h"
#include "irq/irq.h"
#include "mmu/memslot.h"
#include "msr.h"
#include "vcpu.h"
#include "vm.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* ---- which vendor ---- */

static const struct backend *const backends[] = { &svm_backend, &vmx_backend };
const struct backend *backend_ops;

#define DEFINE_HOOK(name, ret, args) \
	DEFINE_STATIC_CALL_NULL(backend_##name, *(((struct backend *)0)->name));
BACKEND_HOOKS(DEFINE_HOOK)
#undef DEFINE_HOOK

const char *const backend_other_vendor = "the CPU has neither AMD-V (SVM) nor VT-x (VMX)";

static int choose_backend(void)
{
	const char *why = backend_other_vendor, *lack;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		lack = backends[i]->check();
		if (lack != backend_other_vendor)
			why = lack;
		if (!why) {
			backend_ops = backends[i];
#define BIND_HOOK(name, ret, args) static_call_update(backend_##name, backend_ops->name);
			BACKEND_HOOKS(BIND_HOOK)
#undef BIND_HOOK
			return 0;
		}
	}
	pr_err("not loaded: %s\n", why);
	return -EOPNOTSUPP;
}

/* ---- CPUs: hotplug, suspend, reboot ---- */

static enum cpuhp_state cpuhp_online;	/* 0: start_cpus() has not been through */

/* Hotplug calls these two in the CPU's own thread, interrupts on. */
static int cpu_goes_online(unsigned int cpu)
{
	int r;

	local_irq_disable();
	r = backend(enable_cpu)();
	local_irq_enable();
	if (r)
		pr_err("CPU %u: virtualization is in use by somebody else\n", cpu);
	return r;
}

static int cpu_goes_offline(unsigned int cpu)
{
	local_irq_disable();
	host_msr_restore();
	backend(disable_cpu)();
	local_irq_enable();
	return 0;
}

/* Suspend: hotplug takes care of all CPUs but the last, which comes through here. */
static int suspend_last_cpu(COMPAT_SYSCORE_DATA)
{
	clock_suspend();
	host_msr_restore();
	backend(disable_cpu)();
	return 0;
}

static void resume_last_cpu(COMPAT_SYSCORE_DATA)
{
	WARN_ON_ONCE(backend(enable_cpu)());
	clock_resume();
}

static void disable_this_cpu(void *unused)
{
	backend(disable_cpu)();
}

/* Reboot, kexec: the next kernel must find the CPUs as a cold start would. */
static void shutdown_cpus(COMPAT_SYSCORE_DATA)
{
	on_each_cpu(disable_this_cpu, NULL, true);
}

static struct syscore_ops cpu_syscore_ops = {
	.suspend	= suspend_last_cpu,
	.resume		= resume_last_cpu,
	.shutdown	= shutdown_cpus,
};

static struct syscore cpu_syscore = { .ops = &cpu_syscore_ops };

static int start_cpus(void)
{
	int r = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "virt/vitro:online",
				  cpu_goes_online, cpu_goes_offline);

	if (r < 0)
		return r;
	cpuhp_online = r;
	register_syscore(&cpu_syscore);
	/* A crash: called on each CPU, whatever that was doing. */
	cpu_emergency_register_virt_callback(backend_ops->disable_cpu);
	return 0;
}

static void stop_cpus(void)
{
	if (!cpuhp_online)
		return;
	cpu_emergency_unregister_virt_callback(backend_ops->disable_cpu);
	unregister_syscore(&cpu_syscore);
	cpuhp_remove_state(cpuhp_online);
}

/* ---- /dev/kvm ---- */

enum { VCPU_MMAP_PAGES = 3 };	/* kvm_run, PIO data, coalesced ring */

/* One attribute: which XSAVE state guests may have at all. */
static long dev_attr(const struct kvm_device_attr __user *user, bool get)
{
	struct kvm_device_attr attr;

	if (copy_from_user(&attr, user, sizeof(attr)))
		return -EFAULT;
	if (attr.group || attr.attr != KVM_X86_XCOMP_GUEST_SUPP)
		return -ENXIO;
	return get ? put_user(fpu_supported_xcr0, (u64 __user *)(uintptr_t)attr.addr) : 0;
}

static long dev_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (ioctl) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : KVM_API_VERSION;
	case KVM_CREATE_VM:
		return vm_dev_ioctl_create(arg);
	case KVM_CHECK_EXTENSION:
		return vm_check_extension(NULL, arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : VCPU_MMAP_PAGES * PAGE_SIZE;
	case KVM_GET_SUPPORTED_CPUID:
		return cpuid_ioctl_supported(user, false);
	case KVM_GET_EMULATED_CPUID:
		return cpuid_ioctl_supported(user, true);
	case KVM_X86_GET_MCE_CAP_SUPPORTED:
		return put_user((u64)MCE_CAP_SUPPORTED, (u64 __user *)user);
	case KVM_GET_MSR_INDEX_LIST:
		return msr_ioctl_list(user, false);
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return msr_ioctl_list(user, true);
	case KVM_GET_MSRS:
		return msr_ioctl(NULL, user, false);
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		return dev_attr(user, ioctl == KVM_GET_DEVICE_ATTR);
	default:
		return -EINVAL;
	}
}

static const struct file_operations dev_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= dev_ioctl,
	.compat_ioctl	= dev_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice dev_misc = {
	.minor		= KVM_MINOR,
	.name		= "kvm",
	.fops		= &dev_fops,
};

/* ---- the module ---- */

/* What the parts hold as long as the module is there; one that was not set up holds nothing. */
static void release_all(void)
{
	eventfd_module_exit();
	/* VMs that ended leave their last bytes to the mmu notifier, SRCU and RCU. */
	mmu_notifier_synchronize();
	srcu_barrier(&memslot_srcu);
	rcu_barrier();
	stop_cpus();
	lapic_module_exit();
	vcpu_module_exit();
	vm_module_exit();
	backend_ops->hardware_unsetup();
}

static int __init vitro_init(void)
{
	int r = choose_backend() ?: backend_ops->hardware_setup();

	if (r)
		return r;
	fpu_module_init();
	cpuid_module_init();
	msr_module_init();
	r = clock_module_init() ?: vm_module_init() ?: vcpu_module_init() ?: lapic_module_init() ?:
	    eventfd_module_init() ?: start_cpus();
	if (r)
		goto err;
	/* Last: from here on, user space is there. */
	r = misc_register(&dev_misc);
	if (!r)
		return 0;
	if (r == -EBUSY)
		pr_err("not loaded: /dev/kvm belongs to another hypervisor\n");
err:
	release_all();
	return r;
}

static void __exit vitro_exit(void)
{
	misc_deregister(&dev_misc);
	release_all();
}

module_init(vitro_init);
module_exit(vitro_exit);

MODULE_AUTHOR("The vitro authors");
MODULE_DESCRIPTION("vitro: a drop-in KVM for AMD-V and VT-x that one person can read");
MODULE_VERSION("0.1");
MODULE_LICENSE("GPL");
MODULE_ALIAS_MISCDEV(KVM_MINOR);
MODULE_ALIAS("devname:kvm");
