/* SPDX-License-Identifier: GPL-2.0 */
/* All differences between kernel versions; nothing else looks at LINUX_VERSION_CODE. */
#ifndef VITRO_COMPAT_H
#define VITRO_COMPAT_H

#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>
#include <linux/version.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>
#include <trace/events/ipi.h>	/* smp_send_reschedule() is a macro since 6.4, which traces */

/* Its fields that user space may write to at any time have warning names since 6.11. */
#ifndef HINT_UNSAFE_IN_KVM
#define HINT_UNSAFE_IN_KVM(field) field
#endif

/* A field of struct kvm_run's hypercall that became a flag in the same place. */
#ifdef KVM_EXIT_HYPERCALL_LONG_MODE
#define COMPAT_LONGMODE flags
#else
#define COMPAT_LONGMODE longmode
#endif

/* Newer kernels have another name for it; where <asm/vmx.h> has this one it says the same. */
#define SECONDARY_EXEC_XSAVES VMCS_CONTROL_BIT(XSAVES)

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
/* One call instead of hrtimer_init() and an assignment. */
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* Since 6.19 its callbacks get their owner's data; 6.18 and 6.12 have followed. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 52) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 114) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0))
#define COMPAT_SYSCORE_DATA void *unused
#else
#define COMPAT_SYSCORE_DATA void
struct syscore {
	struct syscore_ops *ops;
};

#define register_syscore(syscore) register_syscore_ops((syscore)->ops)
#define unregister_syscore(syscore) unregister_syscore_ops((syscore)->ops)
#endif

static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* VMSCAPE: user space must not run on branch predictions that the guest trained. */
static inline void compat_guest_ran(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/* SRSO on Zen 5: with this bit the host's branches do not follow what a guest trained. */
static inline void compat_reduce_speculation(bool on)
{
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
	const u8 bit = MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT;

	if (cpu_feature_enabled(X86_FEATURE_SRSO_BP_SPEC_REDUCE))
		on ? msr_set_bit(MSR_ZEN4_BP_CFG, bit) : msr_clear_bit(MSR_ZEN4_BP_CFG, bit);
#endif
}

/* To RCU, running a guest is as good as a context switch. */
static __always_inline void compat_rcu_note_guest(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	rcu_virt_note_context_switch(smp_processor_id());
#else
	rcu_virt_note_context_switch();
#endif
}

#endif /* VITRO_COMPAT_H */
