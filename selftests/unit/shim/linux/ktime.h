/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/ktime.h>; the test has the clock. */
#ifndef SHIM_KTIME_H
#define SHIM_KTIME_H

typedef long long ktime_t;

#define NSEC_PER_USEC	1000L
#define NSEC_PER_MSEC	1000000L
#define NSEC_PER_SEC	1000000000L

ktime_t ktime_get(void);

#define ktime_get_ns()		((unsigned long long)ktime_get())
#define ktime_to_ns(t)		(t)
#define ns_to_ktime(ns)		((ktime_t)(ns))
#define ktime_add_ns(t, ns)	((t) + (ktime_t)(ns))

#define MSEC_PER_SEC	1000L

#endif
