/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run one instruction on this CPU, with every register under control and its
 * exceptions caught: what the emulator is compared with.
 */
#ifndef UNIT_EMULATE_NATIVE_H
#define UNIT_EMULATE_NATIVE_H

#include "emulate/emu.h"

/* All below 2 GiB, to be reached with every address size and displacement. */
#define NATIVE_CODE	0x10000000UL	/* a page that holds the instruction */
#define NATIVE_INSN	0x80		/* where in it */
#define NATIVE_DATA	0x20000000UL	/* a page to read and write, one to read, none around */
#define NATIVE_PAGE	0x1000UL
#define NATIVE_GS_BASE	0x2468UL	/* in 64-bit mode */

/* Segments for 16- and 32-bit code, entries of the local descriptor table. */
enum native_segment {
	NATIVE_CS32,
	NATIVE_CS16,
	NATIVE_FLAT,		/* all 4 GiB */
	NATIVE_UP,		/* ends in the middle of the writable page */
	NATIVE_READ_ONLY,
	NATIVE_DOWN16,		/* expand-down: begins in the writable page */
	NATIVE_DOWN32,
	NATIVE_STACK16,
	NATIVE_NULL,		/* the null selector */
	NATIVE_NSEGMENTS
};

struct native_state {
	u64	regs[EMU_NREGS];
	u64	rip;		/* after the instruction, or of it when it faults */
	u64	rflags;
	u8	vec[16][32];
	bool	faulted;
	struct emu_fault fault;
};

/**
 * native_init() - map code and data, catch signals, fill the LDT
 *
 * Return: false where the kernel gives no LDT: only 64-bit code runs then.
 */
bool native_init(void);

/* The descriptor of @segment as the emulator sees it, and its selector. */
struct kvm_segment native_segment(enum native_segment segment);

/* Bytes of the vector registers that this CPU has: 32 with AVX. */
unsigned int native_vec_bytes(void);

/**
 * native_run() - run an instruction
 * @state: registers and flags before, then after
 * @mode: EMU_MODE_LONG, PROT32 or PROT16
 * @segments: an enum native_segment for each segment register; not in long mode
 * @insn: the instruction; it neither jumps nor enters the kernel
 * @len: its length
 * @vectors: whether vector registers matter
 */
void native_run(struct native_state *state, enum emu_mode mode, const u8 *segments,
		const u8 *insn, unsigned int len, bool vectors);

#endif /* UNIT_EMULATE_NATIVE_H */
