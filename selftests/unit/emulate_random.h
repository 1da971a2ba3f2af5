/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random instructions that reach into the test's data pages, with registers to
 * match.  The table here is written from the manual, apart from the emulator's.
 */
#ifndef UNIT_EMULATE_RANDOM_H
#define UNIT_EMULATE_RANDOM_H

#include "emulate_native.h"

struct random_case {
	const char	*name;
	enum emu_mode	mode;
	u8		bytes[EMU_INSN_MAX];
	unsigned int	len;
	u8		segments[EMU_NSEGS];	/* enum native_segment; not in long mode */
	bool		vectors;		/* vector registers matter */
	bool		rep, rep_addr32;	/* REP; in long mode with 32-bit addresses */
	bool		cmps, compares;		/* CMPS; CMPS or SCAS */
	u64		undefined_flags;
	struct native_state before;
};

/* A small generator with the whole state in @state; never 0. */
u64 random_next(u64 *state);

/**
 * random_case() - make a case
 * @seed: state of the generator
 * @mode: EMU_MODE_LONG, PROT32 or PROT16
 * @c: filled
 */
void random_case(u64 *seed, enum emu_mode mode, struct random_case *c);

#endif /* UNIT_EMULATE_RANDOM_H */
