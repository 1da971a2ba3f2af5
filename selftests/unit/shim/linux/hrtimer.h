/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/hrtimer.h>; the test has the clock, and runs what expires. */
#ifndef SHIM_HRTIMER_H
#define SHIM_HRTIMER_H

#include <stdbool.h>
#include <linux/ktime.h>

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };
enum hrtimer_mode { HRTIMER_MODE_ABS_HARD };

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC	1
#endif

struct hrtimer {
	ktime_t	expires;
	bool	queued;
	enum hrtimer_restart (*function)(struct hrtimer *timer);
};

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer),
		   int clock, enum hrtimer_mode mode);
void hrtimer_start(struct hrtimer *timer, ktime_t expires, enum hrtimer_mode mode);
int hrtimer_cancel(struct hrtimer *timer);
bool hrtimer_active(const struct hrtimer *timer);
ktime_t hrtimer_get_remaining(const struct hrtimer *timer);
unsigned long long hrtimer_forward_now(struct hrtimer *timer, ktime_t interval);

#endif
