/* SPDX-License-Identifier: GPL-2.0 */
/* An MC146818 real-time clock with its CMOS memory, at ports 0x70 and 0x71. */
#ifndef VITRO_RTC_H
#define VITRO_RTC_H

#include <time.h>

#include "bus.h"
#include "irq.h"
#include "loop.h"

#define RTC_PORT	0x70
#define RTC_PORTS	2
#define RTC_CENTURY	0x32	/* where the FADT says that the century is */

struct rtc {
	struct bus_region region;
	struct irq_router *irq;
	struct loop_watch timer;	/* timerfd, for the next interrupt */
	pthread_mutex_t lock;		/* of what follows */
	u8 index;
	u8 cmos[128];			/* registers A to D, alarm, memory; not the time */
	s64 offset;			/* guest's time minus the host's, in seconds */
	struct tm frozen;		/* the time while the guest sets it */
	s64 last_second;		/* host second up to which the flags are told */
	u64 last_period;		/* periods since 1970 of the last periodic flag */
};

void rtc_init(struct rtc *rtc, struct loop *loop, struct irq_router *irq);
void rtc_reset(struct rtc *rtc);

#endif /* VITRO_RTC_H */
