// SPDX-License-Identifier: GPL-2.0
/*
 * Have the scheduler patched while nobody else runs it.
 *
 * Every KVM that uses preempt notifiers turns on the static key in __schedule()
 * that calls them.  text_poke_bp() puts an INT3 there for a moment.  QEMU 7.2
 * translates code without holding its page still, so a CPU that comes by may keep
 * the INT3 in its translation though memory has the instruction again, and all
 * CPUs that get there are caught for good.  Once this module has turned on the key,
 * with one CPU online, nobody else's use of it patches anything.
 */
#include <linux/module.h>
#include <linux/preempt.h>

static int __init patch_scheduler_init(void)
{
	preempt_notifier_inc();
	return 0;
}
module_init(patch_scheduler_init);

MODULE_DESCRIPTION("Preempt notifiers on, before a second CPU is");
MODULE_LICENSE("GPL");
