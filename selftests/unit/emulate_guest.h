/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model guest for the emulator: registers, segments, a few pages of memory,
 * ports and control registers, with page faults and a user space that is asked.
 */
#ifndef UNIT_EMULATE_GUEST_H
#define UNIT_EMULATE_GUEST_H

#include "emulate/emu.h"

#define GUEST_REGIONS	4

/* SDM 3A "Code- and Data-Segment Descriptor Types". */
enum { TYPE_DATA = TYPE_WRITE, TYPE_READABLE_CODE = TYPE_CODE | TYPE_WRITE };

/* Linear addresses backed by @host; whole pages, or what is beside them does not fault. */
struct guest_region {
	u64	la;
	u64	len;
	u8	*host;
	bool	writable;
};

/* What an op that touches memory or a port does before its work. */
enum guest_gate {
	GATE_OPEN,
	GATE_FAULT,		/* the op number gate_at faults */
	GATE_ASK_ONE,		/* the op number gate_at asks user space first */
	GATE_ASK_ALL,		/* each does */
};

#define GUEST_FAULT_ADDRESS	0xfa017000UL	/* CR2 of GATE_FAULT */

struct guest {
	struct emu	emu;
	u64		regs[EMU_NREGS];
	u8		vec[16][32];
	u64		cr[9], dr[8];
	struct kvm_segment segments[EMU_NSEGS];
	struct guest_region regions[GUEST_REGIONS];

	enum guest_gate	gate;
	unsigned int	gate_at;
	unsigned int	ops_before;	/* ops of memory and ports in earlier steps */
	unsigned int	ops_in_step;	/* ... since emu_execute() or a REP's iteration began */
	unsigned int	answered;	/* of these, how many user space has answered */
	unsigned int	answers;	/* in all */
	unsigned int	performed;	/* ops in this step whose effect is there */
	u64		log[4];		/* what the ports gave them */
	u32		step;

	bool		vec_denied, io_denied;
	unsigned int	pause_after;	/* calls of want_pause until it says so; 0: never */
	u64		port_in;	/* what the ports give next */
	u64		port_out;	/* a hash of all they got */
	unsigned int	cmpxchg_races;	/* so often another CPU comes in between */
	unsigned int	cmpxchgs, fetches;
	u64		invlpg;
};

extern const struct emu_ops guest_ops;

/**
 * guest_init() - flat segments and no memory
 * @guest: cleared and made ready
 * @mode: of the CPU
 */
void guest_init(struct guest *guest, enum emu_mode mode);

/* Decode at emu.rip; then execute until user space has answered everything. */
int guest_run(struct guest *guest);

/* Whether registers, flags and RIP are the same. */
bool guest_same_outcome(const struct guest *a, const struct guest *b);

#endif /* UNIT_EMULATE_GUEST_H */
