/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instruction emulator: decode once, execute when the data is there.
 *
 * It runs single guest instructions in software where the CPU cannot: an
 * access to memory that no RAM backs (MMIO), or an intercepted instruction
 * whose operands the CPU does not report.  It knows the guest only through
 * struct emu_ops, includes no header of the kernel's inside and builds in user
 * space, where the unit tests run it against the CPU itself.
 *
 *   emu_decode() bytes at CS:RIP   -> struct emu_insn
 *   emu_execute()                  -> registers, flags, memory
 *
 * The caller fills ops, mode, la57, cpl, regs, rip and rflags of struct emu,
 * which it embeds in what it has to know; everything else is the emulator's.
 *
 * An instruction is atomic towards its caller: emu_execute() touches regs, rip
 * and rflags only after the last op that can fail.  When a device in user space
 * has to supply data, an op answers EMU_NEED_IO and so does emu_execute(); the
 * caller keeps struct emu and calls emu_execute() again with the data at hand.
 * Nothing is decoded twice, and the ops are called again in the same order (an
 * op that has its data returns EMU_DONE).  A REP string instruction commits
 * after each iteration and counts it in emu->step: an answer of user space
 * belongs to the step that asked for it.  With RFLAGS.TF set it stops after
 * each iteration with EMU_AGAIN; raising #DB is the caller's part.
 */
#ifndef EMULATE_EMU_H
#define EMULATE_EMU_H

#include <asm/kvm.h>
#include "../types.h"

enum emu_mode {
	EMU_MODE_REAL,		/* CR0.PE = 0: 16-bit, selector << 4 */
	EMU_MODE_VM86,		/* EFLAGS.VM: as real mode, CPL 3 */
	EMU_MODE_PROT16,	/* CS.D = 0 (also compatibility mode) */
	EMU_MODE_PROT32,	/* CS.D = 1 (also compatibility mode) */
	EMU_MODE_LONG,		/* EFER.LMA and CS.L */
};

enum emu_result {
	EMU_DONE,		/* executed and committed; the only one that is 0 */
	EMU_FAULT,		/* emu->fault must be raised; RIP unmoved */
	EMU_NEED_IO,		/* user space first; then emu_execute() again */
	EMU_AGAIN,		/* a long REP paused: re-enter the guest */
	EMU_UNKNOWN,		/* not an instruction this emulator knows */
};

/* Segment registers in the order of their encoding in ModRM.reg. */
enum emu_seg { EMU_ES, EMU_CS, EMU_SS, EMU_DS, EMU_FS, EMU_GS, EMU_NSEGS };

/* General registers in the order of their encoding. */
enum emu_reg {
	EMU_RAX, EMU_RCX, EMU_RDX, EMU_RBX, EMU_RSP, EMU_RBP, EMU_RSI, EMU_RDI,
	EMU_R8, EMU_R9, EMU_R10, EMU_R11, EMU_R12, EMU_R13, EMU_R14, EMU_R15,
	EMU_NREGS
};

/* Why memory is touched; also what a page fault's error code is made of. */
enum emu_access {
	EMU_READ	= 0,
	EMU_WRITE	= 1 << 0,
	EMU_FETCH	= 1 << 1,
	EMU_RMW		= 1 << 2,	/* read now, written by the same instruction */
};

/* SDM 3A "Code- and Data-Segment Descriptor Types". */
enum segment_type {
	TYPE_ACCESSED		= 1 << 0,
	TYPE_WRITE		= 1 << 1,	/* of data; of code: readable */
	TYPE_EXPAND_DOWN	= 1 << 2,	/* of data */
	TYPE_CONFORMING		= 1 << 2,	/* of code */
	TYPE_CODE		= 1 << 3,
};

struct emu_fault {
	u8	vector;
	bool	has_error_code;
	u32	error_code;
	u64	address;		/* CR2, for #PF; DR6 bits for #DB */
};

struct emu;

/**
 * struct emu_ops - how the emulator reaches the guest
 *
 * Ops that return an int answer EMU_DONE, EMU_FAULT (@emu->fault is filled),
 * EMU_NEED_IO or EMU_UNKNOWN (the access cannot be emulated).  Addresses are
 * linear, already checked against the segment and, in long mode, for canonical
 * form.
 */
struct emu_ops {
	/**
	 * @read: @len bytes (1 to 32) at @la; may cross a page. @access is
	 * EMU_READ, or EMU_RMW where a write follows: it faults like one.
	 */
	int (*read)(struct emu *emu, u64 la, void *data, unsigned int len, int access);
	/** @write: @len bytes (1 to 32) at @la; may cross a page; all or nothing. */
	int (*write)(struct emu *emu, u64 la, const void *data, unsigned int len);
	/**
	 * @replace: atomically replace @len bytes (1, 2, 4 or 8) at @la by
	 * @new if they equal @old; *@old gets what was there.  Used for every
	 * LOCKed or implicitly locked read-modify-write.
	 */
	int (*replace)(struct emu *emu, u64 la, void *old, const void *new, unsigned int len);
	/** @fetch: up to @len bytes of code at @la, never past its page; sets *@got (>= 1). */
	int (*fetch)(struct emu *emu, u64 la, void *data, unsigned int len, unsigned int *got);

	/** @segment: the cached descriptor of @seg; the limit is in bytes. */
	void (*segment)(struct emu *emu, enum emu_seg seg, struct kvm_segment *out);
	/**
	 * @read_vec, @write_vec: xmm or ymm @nr; @len 16 or 32.  Writing 16
	 * zeroes the upper half if @zero_upper.
	 */
	void (*read_vec)(struct emu *emu, unsigned int nr, void *data, unsigned int len);
	void (*write_vec)(struct emu *emu, unsigned int nr, const void *data, unsigned int len,
			  bool zero_upper);
	/**
	 * @vec_allowed: may the guest use SSE (@avx: AVX) now?  CR0.EM and TS,
	 * CR4.OSFXSR and OSXSAVE, XCR0; else it fills fault (#UD, #NM).
	 */
	int (*vec_allowed)(struct emu *emu, bool avx);

	/** @io_allowed: may the guest access @len ports from @port? Else #GP (IOPL, TSS bitmap). */
	int (*io_allowed)(struct emu *emu, u16 port, unsigned int len);
	/** @in, @out: one access of @len (1, 2, 4) bytes. @in may fetch for @emu->repeat of them. */
	int (*in)(struct emu *emu, u16 port, void *data, unsigned int len);
	int (*out)(struct emu *emu, u16 port, const void *data, unsigned int len);

	/** @get_cr, @set_cr: CR0, 2, 3, 4, 8; set checks and may fault. */
	u64 (*get_cr)(struct emu *emu, unsigned int nr);
	int (*set_cr)(struct emu *emu, unsigned int nr, u64 val);
	/** @get_dr, @set_dr: DR0 to DR7; both check and may fault. */
	int (*get_dr)(struct emu *emu, unsigned int nr, u64 *val);
	int (*set_dr)(struct emu *emu, unsigned int nr, u64 val);
	/** @invlpg: drop translations of @la. */
	void (*invlpg)(struct emu *emu, u64 la);
	/** @want_pause: true when a REP should hand back to the guest (signal, pending event). */
	bool (*want_pause)(struct emu *emu);
};

#define EMU_INSN_MAX	15		/* SDM 2A "Instruction Format" */

/* What emu_decode() found; private to kmod/emulate but for the first four. */
struct emu_insn {
	u8	bytes[EMU_INSN_MAX + 13]; /* behind the 15th zeros: the decoder runs ahead */
	u8	fetched;		/* bytes of it that are there */
	u8	len;			/* length of the instruction */
	bool	two_memory;		/* touches two memory operands (MOVS, CMPS, PUSH m, POP m) */

	u8	prefixes;		/* enum emu_prefix */
	u8	rex;			/* the REX byte, or what VEX says of it; 0: none */
	u8	vex;			/* bytes of a vector by VEX.L; 0: no VEX */
	bool	mem;			/* the r/m operand is memory */
	bool	rip_relative;		/* and ea counts from the next instruction */
	u8	seg;			/* of the memory operand, or a string's source */
	u8	opcode;			/* its last byte */
	u8	reg;			/* the operand that is always a register */
	u8	rm;			/* the r/m operand, if that is one too */
	u8	asize;			/* address size in bytes */
	u8	size;			/* operand size in bytes */
	u8	rm_size;		/* of the r/m operand, where that differs */
	u16	vec;			/* enum emu_vec: shape of an SSE or AVX move */
	u32	desc;			/* the word of the opcode table */
	u64	ea;			/* offset of the memory operand in its segment */
	u64	imm;			/* sign-extended */
};

struct emu {
	const struct emu_ops *ops;
	enum emu_mode	mode;
	bool		la57;		/* CR4.LA57: 57-bit linear addresses */
	u8		cpl;
	u32		step;		/* iterations of a REP that are committed */
	u64		repeat;		/* INS: so many of them come one after the other, upwards */
	u64		*regs;		/* the vCPU's EMU_NREGS registers, changed in place */
	u64		rip;
	u64		rflags;
	struct emu_fault fault;
	struct emu_insn	insn;
};

/**
 * emu_decode() - fetch and decode the instruction at CS:RIP
 * @emu: ops, mode, cpl, regs, rip and rflags filled by the caller
 * @bytes: instruction bytes the CPU has already reported, or NULL
 * @nbytes: how many
 *
 * Bytes beyond @nbytes are fetched with ops->fetch, no more than needed to
 * stay within the instruction's last page.
 *
 * Return: EMU_DONE, EMU_FAULT (fetch fault, or #UD/#GP that decoding itself
 * finds, e.g. LOCK on an instruction that takes none, more than 15 bytes),
 * EMU_NEED_IO or EMU_UNKNOWN.  emu->insn.bytes/fetched hold what was read.
 */
int emu_decode(struct emu *emu, const u8 *bytes, unsigned int nbytes);

/**
 * emu_execute() - run the decoded instruction once
 * @emu: as emu_decode() left it
 *
 * After EMU_DONE regs, rip and rflags (RF cleared) are those behind the
 * instruction; the caller ends the interrupt shadow and looks at RFLAGS.TF.
 *
 * Return: enum emu_result; see there.  EMU_UNKNOWN also for an instruction of
 * which only the length is known (CPUID, HLT, VMMCALL, ...).
 */
int emu_execute(struct emu *emu);

/**
 * emu_advance() - step over the decoded instruction without executing it
 * @emu: as emu_decode() left it
 *
 * RIP moves by the length, cut to 32 bits outside of 64-bit code: only jumps cut
 * it to 16.  RFLAGS.RF is cleared.
 *
 * Return: EMU_DONE, for it is the last thing that any instruction does.
 */
int emu_advance(struct emu *emu);

/**
 * emu_raise() - note an exception; for the ops, too
 * @emu: gets it in @emu->fault
 * @vector: one whose error code, if it has one, is 0
 *
 * Return: EMU_FAULT.
 */
int emu_raise(struct emu *emu, u8 vector);

#endif /* EMULATE_EMU_H */
