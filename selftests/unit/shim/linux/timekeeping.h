/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/timekeeping.h>; the test has the clocks. */
#ifndef SHIM_TIMEKEEPING
#define SHIM_TIMEKEEPING

#include <linux/ktime.h>

struct system_time_snapshot {
	unsigned long long cycles;
	ktime_t real, raw;
};

enum tk_offsets { TK_OFFS_BOOT };

void ktime_get_snapshot(struct system_time_snapshot *snapshot);
ktime_t ktime_mono_to_any(ktime_t mono, enum tk_offsets offset);
unsigned long long ktime_get_raw_ns(void);

#endif
