// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254 Programmable Interval Timer of a PC: channel 0 is IRQ 0, channel 2
 * has its gate and output in port 0x61, beside the speaker.
 *
 * Counters are not counted: what a counter holds follows from when its count
 * was loaded.  Only channel 0 has an hrtimer, for its interrupt.
 *
 * Ticks of channel 0 that the guest was too slow for are handed in after it
 * has acknowledged the one before (KVM_REINJECT_CONTROL): operating systems
 * that count them keep their time.
 *
 * NOTDONE: counting in BCD; the bit is kept, and counts are binary with it.
 *
 * 8254 "Programmable Interval Timer": Control Word, Counter Latch Command,
 * Read-Back Command, Modes 0 to 5.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/timex.h>
#include "../compat.h"
#include "irq.h"

/* Ports; a count of PIT_MAX_COUNT is written as 0 */
enum { PIT_CHANNEL0 = 0x40, PIT_CONTROL = 0x43, PIT_SPEAKER = 0x61 };
enum { PIT_NR_CHANNELS = 3, PIT_MAX_COUNT = 0x10000 };

/* 8254 "Control Word Format" */
enum {
	CW_BCD			= 1 << 0,
	CW_MODE_SHIFT		= 1,	CW_MODE_MASK	= 7,
	CW_ACCESS_SHIFT		= 4,	CW_ACCESS_MASK	= 3,
	CW_CHANNEL_SHIFT	= 6,	CW_READ_BACK	= 3,	/* in place of a channel */
};

/* 8254 "Read-Back Command Format", "Status Byte": both latches are low-active */
enum {
	RB_NO_COUNT		= 1 << 5,
	RB_NO_STATUS		= 1 << 4,
	RB_CHANNEL_SHIFT	= 1,
	STATUS_OUTPUT		= 1 << 7,
	STATUS_NULL_COUNT	= 1 << 6,	/* no count loaded */
};

/* rw_mode, read_state, write_state, count_latched: which byte is next; 0 as rw_mode: latch */
enum { RW_LATCH, RW_LSB, RW_MSB, RW_WORD, RW_WORD_MSB };

enum {
	MODE_TERMINAL_COUNT,	/* 0: OUT rises when done */
	MODE_ONE_SHOT,		/* 1: OUT is low from a trigger until done */
	MODE_RATE,		/* 2: OUT is low for the last clock of each period */
	MODE_SQUARE_WAVE,	/* 3 */
	MODE_SOFT_STROBE,	/* 4: OUT is low for one clock when done */
	MODE_HARD_STROBE,	/* 5: the same, from a trigger */
};

/* Port 0x61 */
enum {
	SPEAKER_GATE2	= 1 << 0,
	SPEAKER_DATA	= 1 << 1,
	SPEAKER_REFRESH	= 1 << 4,
	SPEAKER_OUT2	= 1 << 5,
	SPEAKER_REFRESH_SHIFT = 14,	/* toggles each 2^14 ns, about the 15 us of a PC */
};

/* A guest that wants more ticks than this gets fewer. */
#define PIT_MIN_PERIOD_NS	(200 * NSEC_PER_USEC)

struct pit {
	struct vm	*vm;
	struct mutex	mutex;		/* channels, flags */
	struct kvm_pit_state2 state;
	s64		stopped_at;	/* channel 2: when its gate fell, ns */
	bool		has_speaker;

	struct hrtimer	timer;
	u64		period_ns;	/* 0: one tick only; changes while the timer is stopped */

	bool		reinject;
	raw_spinlock_t	lock;		/* the rest */
	bool		acked;		/* the guest is done with the last tick */
	u32		pending;	/* ticks not yet handed in */
};

/* ---- counting ---- */

static bool mode_needs_trigger(const struct kvm_pit_channel_state *c)
{
	return c->mode == MODE_ONE_SHOT || c->mode == MODE_HARD_STROBE;
}

/*
 * Clocks since the count was loaded or, in the modes that need one, since the
 * trigger; a count_load_time of 0 lies so far back that all is over.
 */
static u64 channel_clocks(struct pit *pit, const struct kvm_pit_channel_state *c)
{
	s64 now = ktime_get_ns();

	if (!c->gate && !mode_needs_trigger(c))
		now = pit->stopped_at;
	if (now < c->count_load_time)
		return 0;
	return mul_u64_u32_div(now - c->count_load_time, PIT_TICK_RATE, NSEC_PER_SEC);
}

static u16 channel_count(struct pit *pit, const struct kvm_pit_channel_state *c)
{
	u64 clocks = channel_clocks(pit, c);

	if (!c->count)
		return 0;
	switch (c->mode) {
	case MODE_RATE: return c->count - clocks % c->count;
	case MODE_SQUARE_WAVE: return c->count - 2 * clocks % c->count;
	default:	/* counts on below zero */
		return c->count - clocks;
	}
}

static bool channel_output(struct pit *pit, const struct kvm_pit_channel_state *c)
{
	u64 clocks = channel_clocks(pit, c);

	if (!c->count)
		return c->mode != MODE_TERMINAL_COUNT;
	switch (c->mode) {
	case MODE_TERMINAL_COUNT:
	case MODE_ONE_SHOT: return clocks >= c->count;
	case MODE_RATE: return !c->gate || clocks % c->count != c->count - 1;
	case MODE_SQUARE_WAVE: return !c->gate || clocks % c->count < (c->count + 1) / 2;
	default: return clocks != c->count;
	}
}

/* ---- channel 0: IRQ 0 ---- */

/* One tick into IRQ 0. lock held. */
static void pit_tick(struct pit *pit)
{
	int ret = irq_set_gsi(pit->vm, PIT_GSI, IRQ_SOURCE_PIT, true);

	irq_set_gsi(pit->vm, PIT_GSI, IRQ_SOURCE_PIT, false);
	/* Masked everywhere: it is lost, and nobody is going to acknowledge it. */
	pit->acked = ret < 0;
	pit->pending = ret < 0 || !pit->pending ? 0 : pit->pending - 1;
}

static enum hrtimer_restart pit_expired(struct hrtimer *timer)
{
	struct pit *pit = container_of(timer, struct pit, timer);
	u64 ticks = 1;
	bool reinject;

	if (pit->period_ns)
		ticks = hrtimer_forward_now(timer, ns_to_ktime(pit->period_ns));

	raw_spin_lock(&pit->lock);
	reinject = READ_ONCE(pit->reinject);
	if (reinject)
		pit->pending = min_t(u64, pit->pending + ticks, U32_MAX);
	if (!reinject || pit->acked)
		pit_tick(pit);
	raw_spin_unlock(&pit->lock);
	return pit->period_ns ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

/* The guest takes ticks again: @missed, the ones it has missed too, or not. */
static void pit_irq0_ready(struct vm *vm, bool missed)
{
	struct pit *pit = READ_ONCE(vm->pit);
	unsigned long flags;

	if (!pit)
		return;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->acked = true;
	if (!missed)
		pit->pending = 0;
	if (READ_ONCE(pit->reinject) && pit->pending)
		pit_tick(pit);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

/**
 * pit_irq0_acked() - the guest is done with IRQ 0
 * @vm: with or without a PIT
 *
 * Hands in the next tick that it has missed.  Any context.
 */
void pit_irq0_acked(struct vm *vm)
{
	pit_irq0_ready(vm, true);
}

/**
 * pit_irq0_rewired() - IRQ 0 goes elsewhere: the acknowledgement may never come
 * @vm: with or without a PIT
 *
 * Forgets missed ticks and does not wait for an acknowledgement.  Any context.
 */
void pit_irq0_rewired(struct vm *vm)
{
	pit_irq0_ready(vm, false);
}

/**
 * pit_reinject() - KVM_REINJECT_CONTROL
 * @vm: any
 * @on: hand missed ticks in later
 *
 * Return: 0, or -ENXIO without a PIT.
 */
int pit_reinject(struct vm *vm, bool on)
{
	if (!vm->pit)
		return -ENXIO;
	WRITE_ONCE(vm->pit->reinject, on);
	pit_irq0_rewired(vm);
	return 0;
}

/* The timer of channel 0 anew from its mode and count. mutex held. */
static void pit_restart_timer(struct pit *pit)
{
	const struct kvm_pit_channel_state *c = &pit->state.channels[0];
	u64 ns = mul_u64_u32_div(c->count, NSEC_PER_SEC, PIT_TICK_RATE);

	hrtimer_cancel(&pit->timer);
	pit_irq0_rewired(pit->vm);
	pit->period_ns = 0;
	/* Its gate is wired high: the modes that need a trigger never start. */
	if (!c->count || mode_needs_trigger(c) || pit->state.flags & KVM_PIT_FLAGS_HPET_LEGACY)
		return;
	if (c->mode == MODE_RATE || c->mode == MODE_SQUARE_WAVE) {
		ns = max_t(u64, ns, PIT_MIN_PERIOD_NS);
		pit->period_ns = ns;
	}
	hrtimer_start(&pit->timer, ktime_add_ns(ktime_get(), ns), HRTIMER_MODE_ABS_HARD);
}

/* ---- ports; all with the mutex held ---- */

static void pit_load(struct pit *pit, unsigned int nr, u16 val)
{
	struct kvm_pit_channel_state *c = &pit->state.channels[nr];

	c->count = val ?: PIT_MAX_COUNT;
	c->count_load_time = mode_needs_trigger(c) ? 0 : ktime_get_ns();
	if (!c->gate)
		pit->stopped_at = c->count_load_time;
	if (nr == 0)
		pit_restart_timer(pit);
}

/* 8254 "Gate Pin Operations Summary" */
static void pit_set_gate2(struct pit *pit, bool gate)
{
	struct kvm_pit_channel_state *c = &pit->state.channels[2];
	s64 now = ktime_get_ns();

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (!gate)
		pit->stopped_at = now;
	else if (c->mode == MODE_TERMINAL_COUNT || c->mode == MODE_SOFT_STROBE)
		c->count_load_time += now - pit->stopped_at;	/* goes on */
	else
		c->count_load_time = now;			/* trigger, reload */
}

static void pit_latch_count(struct pit *pit, struct kvm_pit_channel_state *c)
{
	if (c->count_latched)
		return;
	c->latched_count = channel_count(pit, c);
	c->count_latched = c->rw_mode;
}

static void pit_latch_status(struct pit *pit, struct kvm_pit_channel_state *c)
{
	if (c->status_latched)
		return;
	c->status = (channel_output(pit, c) ? STATUS_OUTPUT : 0) |
		    (c->count ? 0 : STATUS_NULL_COUNT) |
		    c->rw_mode << CW_ACCESS_SHIFT | c->mode << CW_MODE_SHIFT | c->bcd;
	c->status_latched = 1;
}

static void pit_read_back(struct pit *pit, u8 val)
{
	unsigned int nr;

	for (nr = 0; nr < PIT_NR_CHANNELS; nr++) {
		if (!(val & 1 << (RB_CHANNEL_SHIFT + nr)))
			continue;
		if (!(val & RB_NO_COUNT))
			pit_latch_count(pit, &pit->state.channels[nr]);
		if (!(val & RB_NO_STATUS))
			pit_latch_status(pit, &pit->state.channels[nr]);
	}
}

static void pit_write_control(struct pit *pit, u8 val)
{
	unsigned int nr = val >> CW_CHANNEL_SHIFT;
	unsigned int access = val >> CW_ACCESS_SHIFT & CW_ACCESS_MASK;
	struct kvm_pit_channel_state *c = &pit->state.channels[nr];

	if (nr == CW_READ_BACK) {
		pit_read_back(pit, val);
		return;
	}
	if (access == RW_LATCH) {
		pit_latch_count(pit, c);
		return;
	}
	c->rw_mode = access;
	c->read_state = access;
	c->write_state = access;
	c->count_latched = 0;
	c->status_latched = 0;
	c->mode = val >> CW_MODE_SHIFT & CW_MODE_MASK;
	if (c->mode > MODE_HARD_STROBE)		/* 6 and 7 are 2 and 3 */
		c->mode -= MODE_SOFT_STROBE;
	c->bcd = val & CW_BCD;
	c->count = 0;				/* it stands until a count is written */
	if (nr == 0)
		pit_restart_timer(pit);
}

static void pit_write_channel(struct pit *pit, unsigned int nr, u8 val)
{
	struct kvm_pit_channel_state *c = &pit->state.channels[nr];
	u16 count = val;

	if (c->write_state == RW_WORD) {
		c->write_latch = val;
		c->write_state = RW_WORD_MSB;
		return;
	}
	if (c->write_state != RW_LSB)
		count <<= 8;
	if (c->write_state == RW_WORD_MSB) {
		c->write_state = RW_WORD;
		count |= c->write_latch;
	}
	pit_load(pit, nr, count);
}

/* The byte of @count that is next. */
static u8 pit_read_byte(u16 count, u8 *state, bool latched)
{
	bool low = *state == RW_LSB || *state == RW_WORD;

	if (*state == RW_WORD)
		*state = RW_WORD_MSB;
	else if (latched)
		*state = RW_LATCH;
	else if (*state == RW_WORD_MSB)
		*state = RW_WORD;
	return low ? count : count >> 8;
}

static u8 pit_read_channel(struct pit *pit, struct kvm_pit_channel_state *c)
{
	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	if (c->count_latched)
		return pit_read_byte(c->latched_count, &c->count_latched, true);
	return pit_read_byte(channel_count(pit, c), &c->read_state, false);
}

static u8 pit_read_speaker(struct pit *pit)
{
	const struct kvm_pit_channel_state *c = &pit->state.channels[2];

	return (c->gate ? SPEAKER_GATE2 : 0) |
	       (pit->state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON ? SPEAKER_DATA : 0) |
	       (ktime_get_ns() >> SPEAKER_REFRESH_SHIFT & 1 ? SPEAKER_REFRESH : 0) |
	       (channel_output(pit, c) ? SPEAKER_OUT2 : 0);
}

static void pit_write_speaker(struct pit *pit, u8 val)
{
	pit_set_gate2(pit, val & SPEAKER_GATE2);
	pit->state.flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	if (val & SPEAKER_DATA)
		pit->state.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}

/**
 * pit_port_hit() - is the port the PIT's?
 * @vm: with a PIT
 * @port: I/O port
 */
bool pit_port_hit(struct vm *vm, u16 port)
{
	return (port >= PIT_CHANNEL0 && port <= PIT_CONTROL) ||
	       (port == PIT_SPEAKER && vm->pit->has_speaker);
}

/**
 * pit_port_read() - IN of one byte
 * @vm: with a PIT; may sleep
 * @port: pit_port_hit()
 * @val: filled; the control port cannot be read and gives 0
 */
void pit_port_read(struct vm *vm, u16 port, u8 *val)
{
	struct pit *pit = vm->pit;

	guard(mutex)(&pit->mutex);
	if (port == PIT_SPEAKER)
		*val = pit_read_speaker(pit);
	else if (port == PIT_CONTROL)
		*val = 0;
	else
		*val = pit_read_channel(pit, &pit->state.channels[port - PIT_CHANNEL0]);
}

/**
 * pit_port_write() - OUT of one byte
 * @vm: with a PIT; may sleep
 * @port: pit_port_hit()
 * @val: value
 */
void pit_port_write(struct vm *vm, u16 port, u8 val)
{
	struct pit *pit = vm->pit;

	guard(mutex)(&pit->mutex);
	if (port == PIT_SPEAKER)
		pit_write_speaker(pit, val);
	else if (port == PIT_CONTROL)
		pit_write_control(pit, val);
	else
		pit_write_channel(pit, port - PIT_CHANNEL0, val);
}

/* ---- state ---- */

/**
 * pit_get_state() - KVM_GET_PIT2; KVM_GET_PIT is its channels
 * @vm: any
 * @state: filled
 *
 * Return: 0, or -ENXIO without a PIT.
 */
int pit_get_state(struct vm *vm, struct kvm_pit_state2 *state)
{
	if (!vm->pit)
		return -ENXIO;
	guard(mutex)(&vm->pit->mutex);
	*state = vm->pit->state;
	return 0;
}

/* What user space supplied, made what the chip could hold. */
static void channel_sanitize(struct kvm_pit_channel_state *c)
{
	c->bcd = !!c->bcd;
	c->gate = !!c->gate;
	if (c->mode > MODE_HARD_STROBE) {	/* stock KVM's "never programmed" */
		c->mode = MODE_TERMINAL_COUNT;
		c->count = 0;
	}
	c->rw_mode &= CW_ACCESS_MASK;
	c->count = min_t(u32, c->count, PIT_MAX_COUNT);
	/* The time of another host, or of before a pause, means nothing. */
	c->count_load_time = mode_needs_trigger(c) ? 0 : ktime_get_ns();
}

/**
 * pit_set_state() - KVM_SET_PIT2
 * @vm: any
 * @state: counters start over
 *
 * Return: 0, -ENXIO without a PIT, -EINVAL for unknown flags.
 */
int pit_set_state(struct vm *vm, const struct kvm_pit_state2 *state)
{
	struct pit *pit = vm->pit;
	unsigned int nr;

	if (!pit)
		return -ENXIO;
	if (state->flags & ~(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON))
		return -EINVAL;
	guard(mutex)(&pit->mutex);
	pit->state = *state;
	memset(pit->state.reserved, 0, sizeof(pit->state.reserved));
	for (nr = 0; nr < PIT_NR_CHANNELS; nr++)
		channel_sanitize(&pit->state.channels[nr]);
	pit->state.channels[0].gate = 1;
	pit->state.channels[1].gate = 1;
	pit->stopped_at = ktime_get_ns();
	pit_restart_timer(pit);
	return 0;
}

/**
 * pit_create() - KVM_CREATE_PIT, KVM_CREATE_PIT2
 * @vm: vm->lock held
 * @flags: KVM_PIT_SPEAKER_DUMMY: port 0x61 too
 *
 * Return: 0, -EINVAL for unknown flags, -EEXIST, -ENOENT without the in-kernel
 * PIC and I/O APIC, -ENOMEM.
 */
int pit_create(struct vm *vm, u32 flags)
{
	struct pit *pit;

	if (flags & ~KVM_PIT_SPEAKER_DUMMY)
		return -EINVAL;
	if (vm->pit)
		return -EEXIST;
	if (vm->irqchip != IRQCHIP_KERNEL)
		return -ENOENT;
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	mutex_init(&pit->mutex);
	raw_spin_lock_init(&pit->lock);
	hrtimer_setup(&pit->timer, pit_expired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	pit->state.channels[0].gate = 1;
	pit->state.channels[1].gate = 1;
	pit->has_speaker = flags & KVM_PIT_SPEAKER_DUMMY;
	pit->reinject = true;
	pit->acked = true;
	smp_store_release(&vm->pit, pit);	/* ready before an acknowledgement finds it */
	ioapic_update_listeners(vm);
	return 0;
}

/**
 * pit_destroy() - the VM ends
 * @vm: with or without a PIT
 */
void pit_destroy(struct vm *vm)
{
	struct pit *pit = vm->pit;

	if (!pit)
		return;
	hrtimer_cancel(&pit->timer);
	vm->pit = NULL;
	kfree(pit);
}
