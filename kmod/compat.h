/* SPDX-License-Identifier: GPL-2.0 */
/* All differences between kernel versions; nothing else looks at LINUX_VERSION_CODE. */
#ifndef VITRO_COMPAT_H
#define VITRO_COMPAT_H

#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/version.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>
#include <asm/reboot.h>

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

static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/*
 * A crash stops the CPUs where they are.  From 6.6 on (and in stable 6.1.x)
 * they ask whoever owns the virtualization extensions to turn them off.
 */
static inline void compat_register_emergency(void (*callback)(void))
{
	cpu_emergency_register_virt_callback(callback);
}

static inline void compat_unregister_emergency(void (*callback)(void))
{
	cpu_emergency_unregister_virt_callback(callback);
}

/* VMSCAPE: user space must not run on branch predictions that the guest trained. */
static inline void compat_guest_ran(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
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
