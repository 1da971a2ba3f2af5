// SPDX-License-Identifier: GPL-2.0
/*
 * String instructions and port I/O: APM 1 "Block Transfers", "REP Prefixes".
 *
 * An iteration commits by itself, so that a fault, a wait for user space or a
 * pause in the middle of a REP leaves registers from which it goes on.
 */
#include "insn.h"

/* A REP asks this often whether it has to pause. */
enum { PAUSE_PERIOD = 64 };

/* CMPS and SCAS: the first operand is memory at rSI, or the accumulator. */
static int string_compare(struct emu *emu, u64 first, u64 di, unsigned int size)
{
	struct emu_alu alu = {
		.op = OP_CMP, .size = size, .dst = first, .flags = emu->rflags,
	};
	int r = emu_read(emu, EMU_ES, di, &alu.src, size, EMU_READ);

	if (r)
		return r;
	emu_alu(&alu);
	emu->rflags = alu.flags;
	return EMU_DONE;
}

static u64 rep_count(const struct emu *emu)
{
	return emu->regs[EMU_RCX] & size_mask(emu->insn.asize);
}

/* What the next iterations take from the port can be asked for with one exit, unless something comes between them. */
static u64 ins_repeats(const struct emu *emu)
{
	if (!(emu->insn.prefixes & PREFIX_ANY_REP) || emu->rflags & (X86_EFLAGS_DF | X86_EFLAGS_TF))
		return 1;
	return rep_count(emu);
}

/* The data part of one iteration: a value at rSI, or the accumulator's, and what becomes of it. */
static int string_transfer(struct emu *emu, unsigned int op, unsigned int size)
{
	const struct emu_ops *ops = emu->ops;
	u64 mask = size_mask(emu->insn.asize), val = emu_reg(emu, EMU_RAX, size);
	u64 si = emu->regs[EMU_RSI] & mask, di = emu->regs[EMU_RDI] & mask;
	u16 port = emu->regs[EMU_RDX];
	int r = EMU_DONE;

	if (op == OP_INS || op == OP_OUTS)
		r = ops->io_allowed(emu, port, size);
	if (!r && op <= OP_CMPS)
		r = emu_read(emu, emu->insn.seg, si, &val, size, EMU_READ);
	if (r)
		return r;
	switch (op) {
	case OP_LODS:
		emu_set_reg(emu, EMU_RAX, size, val);
		return EMU_DONE;
	case OP_OUTS: return ops->out(emu, port, &val, size);
	case OP_INS:
		/*
		 * The destination is read first, as one that will be written: a page
		 * fault has to come before the port has given its data away.
		 */
		emu->repeat = ins_repeats(emu);
		r = emu_read(emu, EMU_ES, di, &val, size, EMU_RMW);
		r = r ?: ops->in(emu, port, &val, size);
		return r ?: emu_write(emu, EMU_ES, di, &val, size);
	case OP_MOVS:
	case OP_STOS: return emu_write(emu, EMU_ES, di, &val, size);
	default: return string_compare(emu, val, di, size);
	}
}

static void add_to_reg(struct emu *emu, unsigned int nr, s64 delta)
{
	emu_set_reg(emu, nr, emu->insn.asize, emu->regs[nr] + delta);
}

static int string_iterate(struct emu *emu, bool rep)
{
	unsigned int op = emu->insn.desc & F_OP, size = emu->insn.rm_size;
	s64 delta = emu->rflags & X86_EFLAGS_DF ? -(s64)size : size;
	int r = string_transfer(emu, op, size);

	if (r)
		return r;
	if (op <= OP_CMPS)
		add_to_reg(emu, EMU_RSI, delta);
	if (op >= OP_MOVS)
		add_to_reg(emu, EMU_RDI, delta);
	if (rep)
		add_to_reg(emu, EMU_RCX, -1);
	emu->step++;
	return EMU_DONE;
}

/* REPE goes on while ZF is set, REPNE while it is clear; others do not ask. */
static bool rep_ends(const struct emu *emu)
{
	unsigned int op = emu->insn.desc & F_OP;
	bool zf = emu->rflags & X86_EFLAGS_ZF;

	if (!rep_count(emu))
		return true;
	return (op == OP_CMPS || op == OP_SCAS) && zf == !!(emu->insn.prefixes & PREFIX_REPNE);
}

/**
 * emu_exec_string() - MOVS, CMPS, STOS, LODS, SCAS, INS and OUTS, with or without REP
 * @emu: the decoded instruction
 *
 * Return: EMU_DONE when it is through; EMU_AGAIN when ops->want_pause or
 * RFLAGS.TF ended it between two iterations; else what an op returned.
 */
int emu_exec_string(struct emu *emu)
{
	bool rep = emu->insn.prefixes & PREFIX_ANY_REP;
	int r;

	if (rep && !rep_count(emu))
		return EMU_DONE;
	for (;;) {
		r = string_iterate(emu, rep);
		if (r)
			return r;
		if (!rep || rep_ends(emu))
			return EMU_DONE;
		if (emu->rflags & X86_EFLAGS_TF)
			return EMU_AGAIN;
		if (emu->step % PAUSE_PERIOD == 0 && emu->ops->want_pause(emu))
			return EMU_AGAIN;
	}
}

/**
 * emu_exec_io() - IN and OUT
 * @emu: the decoded instruction
 *
 * Return: EMU_DONE, or what an op returned.
 */
int emu_exec_io(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int size = insn->rm_size;
	u16 port = insn->desc & F_IMM ? (u8)insn->imm : emu->regs[EMU_RDX];
	u64 val = emu->regs[EMU_RAX];
	int r = emu->ops->io_allowed(emu, port, size);

	if (r)
		return r;
	emu->repeat = 1;
	if ((insn->desc & F_OP) == OP_OUT)
		return emu->ops->out(emu, port, &val, size);
	r = emu->ops->in(emu, port, &val, size);
	if (!r)
		emu_set_reg(emu, EMU_RAX, size, val);
	return r;
}
