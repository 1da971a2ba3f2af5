// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that the kernel itself never reads and only host user mode depends on,
 * such as IA32_TSC_AUX (RDTSCP, RDPID).  They are loaded for the guest when
 * they differ and put back when this CPU next returns to user mode, whoever
 * runs there: many exits cost no WRMSR at all.  The host's values never change
 * once the kernel is up.
 */
#include <linux/percpu.h>
#include <linux/user-return-notifier.h>
#include <asm/msr.h>
#include "host_msr.h"

static const u32 host_msr_index[] = {
	[HOST_MSR_TSC_AUX]	= MSR_TSC_AUX,
	[HOST_MSR_STAR]		= MSR_STAR,
	[HOST_MSR_LSTAR]	= MSR_LSTAR,
	[HOST_MSR_CSTAR]	= MSR_CSTAR,
	[HOST_MSR_SYSCALL_MASK]	= MSR_SYSCALL_MASK,
};

struct host_msrs {
	struct user_return_notifier notifier;
	bool	armed;
	u8	known;			/* bit set: host[] and loaded[] are filled */
	u64	host[NR_HOST_MSRS];	/* what user mode needs */
	u64	loaded[NR_HOST_MSRS];	/* what the CPU has */
};

/* This CPU is about to return to user mode. */
static void on_user_return(struct user_return_notifier *notifier)
{
	unsigned long flags;

	local_irq_save(flags);
	host_msr_restore();
	local_irq_restore(flags);
}

static DEFINE_PER_CPU(struct host_msrs, host_msrs);

/**
 * host_msr_load() - let the guest have its value
 * @slot: which MSR
 * @val: valid, and the CPU has the MSR
 *
 * Interrupts off, right before an entry.
 */
void host_msr_load(enum host_msr slot, u64 val)
{
	struct host_msrs *msrs = this_cpu_ptr(&host_msrs);

	if (unlikely(!(msrs->known & 1 << slot))) {
		rdmsrl(host_msr_index[slot], msrs->host[slot]);
		msrs->loaded[slot] = msrs->host[slot];
		msrs->known |= 1 << slot;
	}
	if (msrs->loaded[slot] == val)
		return;
	if (!msrs->armed) {
		/* No initial value: in a module's per-CPU variable a pointer would stay 0. */
		msrs->notifier.on_user_return = on_user_return;
		user_return_notifier_register(&msrs->notifier);
		msrs->armed = true;
	}
	wrmsrl(host_msr_index[slot], val);
	msrs->loaded[slot] = val;
}

/**
 * host_msr_restore() - put them back now
 *
 * This CPU, interrupts off: it goes offline or the module goes.
 */
void host_msr_restore(void)
{
	struct host_msrs *msrs = this_cpu_ptr(&host_msrs);
	unsigned int i;

	if (!msrs->armed)
		return;
	msrs->armed = false;
	user_return_notifier_unregister(&msrs->notifier);
	for (i = 0; i < NR_HOST_MSRS; i++) {
		if (msrs->loaded[i] == msrs->host[i])
			continue;
		wrmsrl(host_msr_index[i], msrs->host[i]);
		msrs->loaded[i] = msrs->host[i];
	}
}
