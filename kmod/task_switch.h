/* SPDX-License-Identifier: GPL-2.0 */
/* Task switches, which AMD-V and VT-x leave to the hypervisor. */
#ifndef VITRO_TASK_SWITCH_H
#define VITRO_TASK_SWITCH_H

#include "vcpu.h"

enum task_switch_cause { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* As the vendor read it from its exit. */
struct task_switch {
	enum task_switch_cause cause;
	u16	selector;		/* of the new TSS */
	u64	next_rip;		/* what the old task goes on with */
	bool	has_error_code;		/* TASK_GATE: an exception that pushes it in the new task */
	u32	error_code;
};

int exit_task_switch(struct vcpu *vcpu, const struct task_switch *ts);

#endif /* VITRO_TASK_SWITCH_H */
