/* SPDX-License-Identifier: GPL-2.0 */
/* All differences between kernel versions; nothing else looks at LINUX_VERSION_CODE. */
#ifndef VITRO_COMPAT_H
#define VITRO_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/version.h>

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

#endif /* VITRO_COMPAT_H */
