// SPDX-License-Identifier: GPL-2.0
/* The real-time clock against the MC146818's data sheet. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "rtc.h"

enum {
	SECONDS = 0, SECONDS_ALARM = 1, MINUTES_ALARM = 3, HOURS = 4, HOURS_ALARM = 5, DAY = 7,
	MONTH = 8, YEAR = 9, REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13,
	SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, BINARY = 0x04, H24 = 0x02,
	IRQF = 0x80, PF = 0x40, AF = 0x20, UF = 0x10,
};

FIXTURE(rtc) {
	struct bus bus;
	struct loop loop;
	struct kvm kvm;
	struct irq_router irq;
	struct rtc rtc;
};

static u8 get(FIXTURE_DATA(rtc) *self, u8 reg)
{
	bus_access(&self->bus, RTC_PORT, &reg, 1, true);
	bus_access(&self->bus, RTC_PORT + 1, &reg, 1, false);
	return reg;
}

static void set(FIXTURE_DATA(rtc) *self, u8 reg, u8 value)
{
	bus_access(&self->bus, RTC_PORT, &reg, 1, true);
	bus_access(&self->bus, RTC_PORT + 1, &value, 1, true);
}

/* Give the timer up to two seconds; whether the line went up. */
static bool interrupts(FIXTURE_DATA(rtc) *self)
{
	struct loop_watch *timer = &self->rtc.timer;
	u64 count;

	for (unsigned int i = 0; i < 220 && !self->irq.asserted[IRQ_RTC]; i++) {
		usleep(10000);
		if (read(timer->fd, &count, sizeof(count)) == sizeof(count))
			timer->ready(timer, 0);
	}
	return self->irq.asserted[IRQ_RTC];
}

/* 31 December 1999, 23:59:00. */
static void set_century_end(FIXTURE_DATA(rtc) *self)
{
	static const u8 values[][2] = {
		{ RTC_CENTURY, 19 }, { YEAR, 99 }, { MONTH, 12 }, { DAY, 31 },
		{ HOURS, 23 }, { 2, 59 }, { SECONDS, 0 },
	};

	set(self, REG_B, SET | BINARY | H24);
	for (unsigned int i = 0; i < 7; i++)
		set(self, values[i][0], values[i][1]);
}

FIXTURE_SETUP(rtc)
{
	self->kvm.vm = -1;
	bus_init(&self->bus);
	loop_init(&self->loop);
	irq_init(&self->irq, &self->kvm);
	rtc_init(&self->rtc, &self->loop, &self->irq);
	bus_map(&self->bus, &self->rtc.region, RTC_PORT);
}

FIXTURE_TEARDOWN(rtc)
{
	close(self->rtc.timer.fd);
}

TEST_F(rtc, it_shows_the_hosts_day_in_utc)
{
	time_t now = time(NULL);
	struct tm t;

	set(self, REG_B, BINARY | H24);
	gmtime_r(&now, &t);
	if (t.tm_hour == 23 && t.tm_min == 59)
		SKIP(return, "midnight is too near");
	ASSERT_EQ(t.tm_mday, get(self, DAY));
	ASSERT_EQ(t.tm_mon + 1, get(self, MONTH));
	ASSERT_EQ((t.tm_year + 1900) / 100, get(self, RTC_CENTURY));
	ASSERT_EQ(t.tm_year % 100, get(self, YEAR));
}

TEST_F(rtc, its_battery_is_good)
{
	ASSERT_EQ(0x80, get(self, REG_D));
}

TEST_F(rtc, a_time_that_was_set_goes_on_from_there)
{
	set_century_end(self);
	set(self, REG_B, BINARY | H24);
	ASSERT_EQ(23, get(self, HOURS));
	ASSERT_EQ(99, get(self, YEAR));
	ASSERT_EQ(19, get(self, RTC_CENTURY));
	ASSERT_GT(5, get(self, SECONDS));
}

TEST_F(rtc, while_set_is_on_the_time_stands_still)
{
	set_century_end(self);
	usleep(1100000);
	ASSERT_EQ(0, get(self, SECONDS));
	ASSERT_EQ(0, get(self, REG_A) & 0x80);
}

TEST_F(rtc, the_same_time_reads_in_binary_and_bcd)
{
	set_century_end(self);
	set(self, REG_B, SET | H24);
	ASSERT_EQ(0x23, get(self, HOURS));
	ASSERT_EQ(0x99, get(self, YEAR));
	ASSERT_EQ(0x12, get(self, MONTH));
}

TEST_F(rtc, twelve_hours_have_a_pm_bit)
{
	set_century_end(self);
	set(self, REG_B, SET | BINARY);
	ASSERT_EQ(0x80 | 11, get(self, HOURS));
	set(self, HOURS, 0x80 | 12);
	set(self, REG_B, SET | BINARY | H24);
	ASSERT_EQ(12, get(self, HOURS));
	set(self, REG_B, SET | BINARY);
	set(self, HOURS, 12);
	set(self, REG_B, SET | BINARY | H24);
	ASSERT_EQ(0, get(self, HOURS));
}

TEST_F(rtc, its_memory_keeps_what_is_written_over_a_reset)
{
	set(self, 0x40, 0xa5);
	rtc_reset(&self->rtc);
	ASSERT_EQ(0xa5, get(self, 0x40));
}

TEST_F(rtc, a_time_that_was_set_survives_a_reset)
{
	set_century_end(self);
	set(self, REG_B, BINARY | H24);
	rtc_reset(&self->rtc);
	ASSERT_EQ(99, get(self, YEAR));
	ASSERT_EQ(19, get(self, RTC_CENTURY));
}

TEST_F(rtc, each_second_is_an_update_interrupt)
{
	set(self, REG_B, UIE | H24);
	get(self, REG_C);
	ASSERT_TRUE(interrupts(self));
	ASSERT_EQ(IRQF | UF, get(self, REG_C) & (IRQF | UF));
	ASSERT_FALSE(self->irq.asserted[IRQ_RTC]);
	ASSERT_EQ(0, get(self, REG_C) & (IRQF | UF));
}

TEST_F(rtc, setting_the_time_disables_the_update_interrupt)
{
	set(self, REG_B, SET | UIE | H24);
	ASSERT_EQ(0, get(self, REG_B) & UIE);
}

TEST_F(rtc, a_periodic_interrupt_comes_at_its_rate)
{
	set(self, REG_A, 0x20 | 15);		/* 2 Hz */
	set(self, REG_B, PIE | H24);
	get(self, REG_C);
	ASSERT_TRUE(interrupts(self));
	ASSERT_EQ(IRQF | PF, get(self, REG_C) & (IRQF | PF));
}

TEST_F(rtc, an_alarm_comes_when_all_its_fields_match)
{
	set_century_end(self);
	set(self, SECONDS_ALARM, 1);
	set(self, MINUTES_ALARM, 59);
	set(self, HOURS_ALARM, 23);
	set(self, REG_B, BINARY | H24);
	get(self, REG_C);
	set(self, REG_B, AIE | BINARY | H24);
	ASSERT_TRUE(interrupts(self));
	ASSERT_EQ(IRQF | AF, get(self, REG_C) & (IRQF | AF));
	ASSERT_EQ(1, get(self, SECONDS));
}

static void set_alarm(FIXTURE_DATA(rtc) *self, u8 second)
{
	set(self, SECONDS_ALARM, second);
	set(self, MINUTES_ALARM, 59);
	set(self, HOURS_ALARM, 23);
	set(self, REG_B, BINARY | H24);
	get(self, REG_C);
}

/* The flag stays until it is read, and so does an alarm that nobody could look at. */
TEST_F(rtc, an_alarm_that_came_some_seconds_ago_is_told)
{
	set_century_end(self);
	set_alarm(self, 2);
	sleep(4);
	ASSERT_EQ(AF, get(self, REG_C) & AF);
	ASSERT_EQ(0, get(self, REG_C) & AF);
}

TEST_F(rtc, what_came_before_it_was_set_is_no_alarm)
{
	set_century_end(self);
	set_alarm(self, 30);
	sleep(2);
	set(self, SECONDS_ALARM, 1);
	ASSERT_EQ(0, get(self, REG_C) & AF);
	set(self, REG_B, SET | BINARY | H24);
	sleep(2);
	set(self, SECONDS, 10);
	set(self, SECONDS_ALARM, 9);
	set(self, REG_B, BINARY | H24);
	ASSERT_EQ(0, get(self, REG_C) & AF);
}

TEST_F(rtc, an_alarm_of_another_hour_does_not_come)
{
	set_century_end(self);
	set(self, SECONDS_ALARM, 0xc0);		/* any */
	set(self, MINUTES_ALARM, 0xff);
	set(self, HOURS_ALARM, 22);
	set(self, REG_B, BINARY | H24);
	get(self, REG_C);
	set(self, REG_B, AIE | BINARY | H24);
	ASSERT_FALSE(interrupts(self));
}

TEST_HARNESS_MAIN
