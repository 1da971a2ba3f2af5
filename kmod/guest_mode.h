/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Telling the kernel that this CPU is about to run guest code, and that it is
 * back: RCU and context tracking, lockdep's view of the interrupt flag, and
 * whose time it is.  Both run loops use these around their world switch.
 *
 * Between guest_mode_enter() and guest_mode_leave() nothing may be traced.
 */
#ifndef VITRO_GUEST_MODE_H
#define VITRO_GUEST_MODE_H

#include <linux/context_tracking.h>
#include <linux/ftrace.h>
#include <linux/instrumentation.h>
#include <linux/irqflags.h>

/* The guest runs with host interrupts enabled, in an RCU extended quiescent state. */
static __always_inline void guest_mode_enter(void)
{
	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	/*
	 * A guest is like user mode to RCU.  Where no context is tracked, nothing
	 * need be said at each entry: the timer tick of a grace period ends the
	 * guest, and compat_rcu_note_guest() is the quiescent state.
	 */
	context_tracking_guest_enter();
	instrumentation_end();
	lockdep_hardirqs_on(CALLER_ADDR0);
}

static __always_inline void guest_mode_leave(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

#endif /* VITRO_GUEST_MODE_H */
