// SPDX-License-Identifier: GPL-2.0
/*
 * MC146818 data sheet.  The guest's time is the host's plus an offset, which
 * the guest changes by setting the clock; nothing ticks unless an interrupt
 * is enabled.  The flags of register C are worked out when it is read, those of
 * all seconds since the last time.
 *
 * NOTDONE: daylight saving (register B, DSE) and the square wave.
 */
#include <string.h>
#include <sys/timerfd.h>

#include "rtc.h"

enum {
	SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM,
	WEEKDAY, DAY, MONTH, YEAR, REG_A, REG_B, REG_C, REG_D,

	A_UIP = 0x80,		/* the time is about to change */
	A_RATE = 0x0f,
	A_DIVIDER_32KHZ = 0x20,
	B_SET = 0x80,		/* the guest sets the time */
	B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10,
	B_BINARY = 0x04, B_24H = 0x02,
	C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
	C_FLAGS = C_PF | C_AF | C_UF,
	D_VALID = 0x80,		/* the battery is good */
	HOURS_PM = 0x80,
	ALARM_ANY = 0xc0,	/* with both bits set an alarm byte matches all */
	INDEX_MASK = 0x7f,

	UIP_NS = 244000,
	SECOND_NS = 1000000000,
	DAY_SECONDS = 24 * 60 * 60,
};

static s64 host_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * (s64)SECOND_NS + t.tv_nsec;
}

static struct tm rtc_time(const struct rtc *rtc)
{
	time_t now = host_ns() / SECOND_NS + rtc->offset;
	struct tm t;

	if (rtc->cmos[REG_B] & B_SET)
		return rtc->frozen;
	gmtime_r(&now, &t);
	return t;
}

static u8 encode(const struct rtc *rtc, unsigned int n)
{
	return rtc->cmos[REG_B] & B_BINARY ? n : n / 10 << 4 | n % 10;
}

static unsigned int decode(const struct rtc *rtc, u8 byte)
{
	return rtc->cmos[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

static u8 encode_hours(const struct rtc *rtc, unsigned int hours)
{
	if (rtc->cmos[REG_B] & B_24H)
		return encode(rtc, hours);
	return encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

static unsigned int decode_hours(const struct rtc *rtc, u8 byte)
{
	if (rtc->cmos[REG_B] & B_24H)
		return decode(rtc, byte);
	return decode(rtc, byte & ~HOURS_PM) % 12 + (byte & HOURS_PM ? 12 : 0);
}

static bool is_time(u8 index)
{
	return index == SECONDS || index == MINUTES || index == HOURS ||
	       (index >= WEEKDAY && index <= YEAR) || index == RTC_CENTURY;
}

/* A register of the time @t. */
static u8 encode_time(const struct rtc *rtc, const struct tm *t, u8 index)
{
	switch (index) {
	case SECONDS:
		return encode(rtc, t->tm_sec);
	case MINUTES:
		return encode(rtc, t->tm_min);
	case HOURS:
		return encode_hours(rtc, t->tm_hour);
	case WEEKDAY:
		return encode(rtc, t->tm_wday + 1);
	case DAY:
		return encode(rtc, t->tm_mday);
	case MONTH:
		return encode(rtc, t->tm_mon + 1);
	case YEAR:
		return encode(rtc, t->tm_year % 100);
	default:
		return encode(rtc, (t->tm_year + 1900) / 100);
	}
}

static void rtc_set_time(struct rtc *rtc, struct tm *t)
{
	if (rtc->cmos[REG_B] & B_SET)
		rtc->frozen = *t;
	else
		rtc->offset = timegm(t) - host_ns() / SECOND_NS;
}

static void rtc_write_time(struct rtc *rtc, u8 index, u8 byte)
{
	struct tm t = rtc_time(rtc);
	int year = t.tm_year + 1900;

	switch (index) {
	case SECONDS:
		t.tm_sec = decode(rtc, byte);
		break;
	case MINUTES:
		t.tm_min = decode(rtc, byte);
		break;
	case HOURS:
		t.tm_hour = decode_hours(rtc, byte);
		break;
	case DAY:
		t.tm_mday = decode(rtc, byte);
		break;
	case MONTH:
		t.tm_mon = decode(rtc, byte) - 1;
		break;
	case YEAR:
		t.tm_year = year - year % 100 + decode(rtc, byte) - 1900;
		break;
	case RTC_CENTURY:
		t.tm_year = decode(rtc, byte) * 100 + year % 100 - 1900;
		break;
	}
	rtc_set_time(rtc, &t);
}

/* Length of a period by the rate in register A; 0: no periodic interrupt. */
static u64 rtc_period_ns(const struct rtc *rtc)
{
	unsigned int rate = rtc->cmos[REG_A] & A_RATE;

	if (!rate)
		return 0;
	if (rate < 3)		/* 256 and 128 Hz come from the other end of the chain */
		rate += 7;
	return (1ULL << (rate - 1)) * SECOND_NS / 32768;
}

static bool rtc_alarm_matches(const struct rtc *rtc, const struct tm *t)
{
	static const u8 pair[][2] = {
		{ SECONDS, SECONDS_ALARM }, { MINUTES, MINUTES_ALARM }, { HOURS, HOURS_ALARM },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(pair); i++) {
		u8 alarm = rtc->cmos[pair[i][1]];

		if ((alarm & ALARM_ANY) != ALARM_ANY && alarm != encode_time(rtc, t, pair[i][0]))
			return false;
	}
	return true;
}

/* Did the alarm's time come since the last look, up to the host's second @now? */
static bool rtc_alarm_came(const struct rtc *rtc, s64 now)
{
	s64 second = now - DAY_SECONDS + 1;		/* it comes once a day */

	if (rtc->last_second >= second)
		second = rtc->last_second < now ? rtc->last_second + 1 : now;
	for (; second <= now; second++) {
		time_t guest = second + rtc->offset;
		struct tm t;

		gmtime_r(&guest, &t);
		if (rtc_alarm_matches(rtc, &t))
			return true;
	}
	return false;
}

/* Raise the flags that are due, and the line if one of them is enabled. */
static void rtc_update(struct rtc *rtc)
{
	s64 now = host_ns(), second = now / SECOND_NS;
	u64 period = rtc_period_ns(rtc);
	u8 *c = &rtc->cmos[REG_C];

	if (second != rtc->last_second && !(rtc->cmos[REG_B] & B_SET)) {
		*c |= C_UF;
		if (rtc_alarm_came(rtc, second))
			*c |= C_AF;
	}
	rtc->last_second = second;
	if (period && now / period != rtc->last_period) {
		rtc->last_period = now / period;
		*c |= C_PF;
	}
	*c &= ~C_IRQF;
	if (*c & rtc->cmos[REG_B] & C_FLAGS)	/* the enable bits lie alike */
		*c |= C_IRQF;
	irq_line(rtc->irq, IRQ_RTC, 0, *c & C_IRQF);
}

/* Set the timer for the next flag that is enabled. */
static void rtc_schedule(struct rtc *rtc)
{
	s64 now = host_ns(), next = 0;
	u64 period = rtc_period_ns(rtc);
	struct itimerspec when = { 0 };

	if (rtc->cmos[REG_B] & (B_UIE | B_AIE))
		next = (now / SECOND_NS + 1) * SECOND_NS;
	if ((rtc->cmos[REG_B] & B_PIE) && period) {
		s64 tick = (now / period + 1) * period;

		next = next ? (s64)min_u64(next, tick) : tick;
	}
	when.it_value.tv_sec = next / SECOND_NS;
	when.it_value.tv_nsec = next % SECOND_NS;
	timerfd_settime(rtc->timer.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void rtc_expired(struct loop_watch *watch, u32 events __attribute__((unused)))
{
	struct rtc *rtc = container_of(watch, struct rtc, timer);

	event_drain(watch->fd);
	pthread_mutex_lock(&rtc->lock);
	rtc_update(rtc);
	rtc_schedule(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static u8 rtc_read_data(struct rtc *rtc)
{
	u8 index = rtc->index, value = rtc->cmos[index];
	struct tm t = rtc_time(rtc);

	if (is_time(index))
		return encode_time(rtc, &t, index);
	if (index == REG_A && host_ns() % SECOND_NS >= SECOND_NS - UIP_NS &&
	    !(rtc->cmos[REG_B] & B_SET))
		return value | A_UIP;
	if (index == REG_C) {
		rtc_update(rtc);
		value = rtc->cmos[REG_C];
		rtc->cmos[REG_C] = 0;
		irq_line(rtc->irq, IRQ_RTC, 0, false);
	}
	return value;
}

static void rtc_write_b(struct rtc *rtc, u8 value)
{
	struct tm t = rtc_time(rtc);

	/* "Register B": SET clears UIE. */
	rtc->cmos[REG_B] = value & B_SET ? value & ~B_UIE : value;
	rtc_set_time(rtc, &t);		/* where SET was turned, freeze or go on */
	rtc_update(rtc);
	rtc_schedule(rtc);
}

static void rtc_write_data(struct rtc *rtc, u8 value)
{
	rtc_update(rtc);		/* what was due was so by the registers till now */
	switch (rtc->index) {
	case REG_A:
		rtc->cmos[REG_A] = value & ~A_UIP;
		rtc_schedule(rtc);
		break;
	case REG_B:
		rtc_write_b(rtc, value);
		break;
	case REG_C:
	case REG_D:
		break;
	default:
		if (is_time(rtc->index))
			rtc_write_time(rtc, rtc->index, value);
		else
			rtc->cmos[rtc->index] = value;
	}
}

static u64 rtc_read(void *dev, u64 offset, unsigned int len __attribute__((unused)))
{
	struct rtc *rtc = dev;
	u8 value = 0xff;		/* the index cannot be read back */

	if (!offset)
		return value;
	pthread_mutex_lock(&rtc->lock);
	value = rtc_read_data(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void rtc_write(void *dev, u64 offset, unsigned int len __attribute__((unused)), u64 value)
{
	struct rtc *rtc = dev;

	pthread_mutex_lock(&rtc->lock);
	if (offset)
		rtc_write_data(rtc, value);
	else
		rtc->index = value & INDEX_MASK;
	pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_ops = { rtc_read, rtc_write };

/**
 * rtc_init() - a clock that shows the host's time in UTC.
 * @rtc: to be filled; rtc->region is ready for bus_map().
 * @loop: that waits for its timer.
 * @irq: router.
 */
void rtc_init(struct rtc *rtc, struct loop *loop, struct irq_router *irq)
{
	memset(rtc, 0, sizeof(*rtc));
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->irq = irq;
	rtc->region = (struct bus_region){
		.ops = &rtc_ops, .dev = rtc, .size = RTC_PORTS, .width = 1,
	};
	rtc->timer.fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	rtc->timer.ready = rtc_expired;
	loop_add(loop, &rtc->timer, EPOLLIN);
	rtc->cmos[REG_A] = A_DIVIDER_32KHZ | 6;		/* 1,024 Hz, as firmware does */
	rtc->cmos[REG_B] = B_24H;
	rtc->cmos[REG_D] = D_VALID;
	rtc->last_second = host_ns() / SECOND_NS;
}

/**
 * rtc_reset() - the machine's reset: interrupts off, time and memory stay.
 * @rtc: clock.
 */
void rtc_reset(struct rtc *rtc)
{
	struct tm t;

	pthread_mutex_lock(&rtc->lock);
	t = rtc_time(rtc);
	rtc->index = 0;
	rtc->cmos[REG_B] &= ~(B_SET | B_PIE | B_AIE | B_UIE);
	rtc->cmos[REG_C] = 0;
	rtc->last_second = host_ns() / SECOND_NS;
	rtc_set_time(rtc, &t);
	rtc_schedule(rtc);
	pthread_mutex_unlock(&rtc->lock);
}
