// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer: SDM 3A "APIC Timer", "TSC-Deadline Mode".
 *
 * One hrtimer, whose callback delivers the LVT entry by itself; nothing is
 * left for the next entry.  One-shot and periodic mode count a bus of 1 GHz
 * (one tick a nanosecond) through the divider.
 *
 * hrtimer_cancel() before anything is changed keeps the callback and the
 * vCPU's thread apart; there is no lock.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include "../clock.h"
#include "../compat.h"
#include "lapic.h"

/* A guest that asks for more ticks than this loses the others: they would merge anyway. */
#define LAPIC_MIN_PERIOD_NS	(200 * NSEC_PER_USEC)
/* A deadline further away than this (ms; 34 years) is no deadline. */
#define LAPIC_MAX_DELTA_MS	(1ULL << 40)

#define LVT_TIMER_MODE		(APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE)

static u32 timer_mode(const struct lapic *apic)
{
	return lapic_get(apic, APIC_LVTT) & LVT_TIMER_MODE;
}

/* SDM 3A Figure "Divide Configuration Register": its bits 3, 1, 0 are log2 - 1, and 7 means 1. */
enum { TDCR_LOW = BIT(0) | BIT(1), TDCR_HIGH = BIT(3) };

static unsigned int timer_shift(const struct lapic *apic)
{
	u32 tdcr = lapic_get(apic, APIC_TDCR);

	return ((tdcr & TDCR_LOW) + (tdcr & TDCR_HIGH ? 4 : 0) + 1) % 8;
}

static u64 timer_period_ns(const struct lapic *apic)
{
	u64 ns = (u64)lapic_get(apic, APIC_TMICT) << timer_shift(apic);

	return ns ? max_t(u64, ns, LAPIC_MIN_PERIOD_NS) : 0;
}

static enum hrtimer_restart lapic_timer_expired(struct hrtimer *timer)
{
	struct lapic *apic = container_of(timer, struct lapic, timer);
	u32 mode = timer_mode(apic);
	u64 period;

	if (mode == APIC_LVT_TIMER_TSCDEADLINE)
		apic->tsc_deadline = 0;
	lapic_local_deliver(apic->vcpu, APIC_LVTT);
	if (mode != APIC_LVT_TIMER_PERIODIC)
		return HRTIMER_NORESTART;
	period = timer_period_ns(apic);
	if (!period)
		return HRTIMER_NORESTART;
	/* From the last expiry, not from now: no drift. */
	hrtimer_forward_now(timer, ns_to_ktime(period));
	return HRTIMER_RESTART;
}

/**
 * lapic_timer_init() - a timer that is not armed
 * @apic: new
 */
void lapic_timer_init(struct lapic *apic)
{
	hrtimer_setup(&apic->timer, lapic_timer_expired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
}

/**
 * lapic_timer_stop() - disarm; the callback does not run on return
 * @apic: under the vCPU's mutex
 */
void lapic_timer_stop(struct lapic *apic)
{
	hrtimer_cancel(&apic->timer);
	apic->tsc_deadline = 0;
}

static void timer_arm(struct lapic *apic, u64 ns)
{
	hrtimer_start(&apic->timer, ktime_add_ns(ktime_get(), ns), HRTIMER_MODE_ABS_HARD);
}

/* Count down in one-shot or periodic mode, @count ticks to the (first) expiry; 0 stops. */
static void timer_start(struct lapic *apic, u32 count)
{
	u64 ns = (u64)count << timer_shift(apic);

	hrtimer_cancel(&apic->timer);
	if (!count)
		return;
	if (count == lapic_get(apic, APIC_TMICT) && timer_mode(apic) == APIC_LVT_TIMER_PERIODIC)
		ns = timer_period_ns(apic);
	timer_arm(apic, ns);
}

/**
 * lapic_timer_set_initial() - write the initial-count register
 * @apic: under the vCPU's mutex
 * @count: ticks; 0 stops.  "A write to the initial-count register is ignored"
 *	in TSC-deadline mode.
 */
void lapic_timer_set_initial(struct lapic *apic, u32 count)
{
	if (timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE)
		return;
	lapic_set(apic, APIC_TMICT, count);
	timer_start(apic, count);
}

/**
 * lapic_timer_count() - the current-count register
 * @apic: under the vCPU's mutex
 *
 * Return: ticks left, 0 when the timer does not run.
 */
u32 lapic_timer_count(struct lapic *apic)
{
	u32 initial = lapic_get(apic, APIC_TMICT);
	s64 ns;

	if (!hrtimer_active(&apic->timer) || timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE)
		return 0;
	ns = ktime_to_ns(hrtimer_get_remaining(&apic->timer));
	/* Its callback is late: the period has begun anew, the one shot is still to come. */
	if (ns <= 0)
		return timer_mode(apic) == APIC_LVT_TIMER_PERIODIC ? initial : 1;
	return clamp_t(u64, (u64)ns >> timer_shift(apic), 1, initial);
}

/* Arm for apic->tsc_deadline; what is past fires at once. */
static void timer_arm_deadline(struct lapic *apic)
{
	struct vcpu *vcpu = apic->vcpu;
	u64 now = clock_guest_tsc(vcpu);
	u64 khz = vcpu->tsc_khz;
	u64 ticks, ms;

	if (apic->tsc_deadline <= now || !khz) {
		apic->tsc_deadline = 0;
		lapic_local_deliver(vcpu, APIC_LVTT);
		return;
	}
	ticks = apic->tsc_deadline - now;
	ms = min_t(u64, ticks / khz, LAPIC_MAX_DELTA_MS);
	timer_arm(apic, ms * NSEC_PER_MSEC + ticks % khz * NSEC_PER_MSEC / khz);
}

/**
 * lapic_timer_resume() - run again from restored registers
 * @apic: under the vCPU's mutex; the timer is stopped
 *
 * A one-shot timer whose count is 0 fires now: the interrupt may have been on
 * its way, and not every VMM restores the count.  A tick too many is harmless.
 */
void lapic_timer_resume(struct lapic *apic)
{
	u32 count = lapic_get(apic, APIC_TMCCT);
	u32 initial = lapic_get(apic, APIC_TMICT);

	if (timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE) {
		if (apic->tsc_deadline)
			timer_arm_deadline(apic);
	} else if (count || timer_mode(apic) == APIC_LVT_TIMER_PERIODIC) {
		timer_start(apic, min(count ?: initial, initial));
	} else if (initial) {
		timer_arm(apic, 0);
	}
}

/**
 * lapic_timer_set_mode() - the LVT entry is about to be written, and with it the mode
 * @apic: under the vCPU's mutex
 * @lvtt: new value
 *
 * Going to TSC-deadline mode or leaving it disarms the timer.
 */
void lapic_timer_set_mode(struct lapic *apic, u32 lvtt)
{
	u32 changed = lapic_get(apic, APIC_LVTT) ^ lvtt;

	if (!(changed & APIC_LVT_TIMER_TSCDEADLINE))
		return;
	lapic_timer_stop(apic);
	lapic_set(apic, APIC_TMICT, 0);
}

/**
 * lapic_timer_set_divider() - write the divide configuration register
 * @apic: under the vCPU's mutex
 * @tdcr: new value, reserved bits clear
 *
 * A running timer keeps its count and counts on at the new speed.
 */
void lapic_timer_set_divider(struct lapic *apic, u32 tdcr)
{
	u32 count = lapic_timer_count(apic);

	lapic_set(apic, APIC_TDCR, tdcr);
	if (count)
		timer_start(apic, count);
}

/**
 * lapic_get_tscdeadline() - RDMSR of IA32_TSC_DEADLINE
 * @vcpu: under its mutex
 *
 * Return: the guest TSC it is armed for, 0 if it is not.
 */
u64 lapic_get_tscdeadline(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;

	if (!apic || timer_mode(apic) != APIC_LVT_TIMER_TSCDEADLINE)
		return 0;
	return READ_ONCE(apic->tsc_deadline);
}

/**
 * lapic_set_tscdeadline() - WRMSR of IA32_TSC_DEADLINE
 * @vcpu: under its mutex
 * @val: guest TSC; 0 disarms
 *
 * Does nothing in the other modes.
 */
void lapic_set_tscdeadline(struct vcpu *vcpu, u64 val)
{
	struct lapic *apic = vcpu->lapic;

	if (!apic || timer_mode(apic) != APIC_LVT_TIMER_TSCDEADLINE)
		return;
	hrtimer_cancel(&apic->timer);
	apic->tsc_deadline = val;
	if (val)
		timer_arm_deadline(apic);
}
