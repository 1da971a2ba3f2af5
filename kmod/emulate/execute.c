// SPDX-License-Identifier: GPL-2.0
/*
 * The executor of general-purpose instructions.  Each function reads, computes
 * and writes memory first; registers, flags and RIP come last, where nothing
 * can fail any more.  So an instruction that faults or waits for user space has
 * changed nothing, and can be run again from its start.
 */
#include "insn.h"

/**
 * emu_rm_read() - read the r/m operand, whichever it is
 * @emu: the decoded instruction
 * @val: gets it, zero-extended
 * @size: in bytes
 * @access: as emu_read()'s
 *
 * Return: EMU_DONE, or what emu_read() returns.
 */
int emu_rm_read(struct emu *emu, u64 *val, unsigned int size, int access)
{
	struct emu_insn *insn = &emu->insn;

	if (insn->mem) {
		*val = 0;
		return emu_read(emu, insn->seg, insn->ea, val, size, access);
	}
	*val = emu_reg(emu, insn->rm, size);
	return EMU_DONE;
}

/* The destination: memory, or which register. */
static inline bool dest_is_memory(const struct emu_insn *insn)
{
	return !(insn->desc & F_DST_REG) && insn->mem;
}

static inline unsigned int dest_reg(const struct emu_insn *insn)
{
	return insn->desc & F_DST_REG ? insn->reg : insn->rm;
}

static inline int source_read(struct emu *emu, u64 *val)
{
	struct emu_insn *insn = &emu->insn;

	switch (insn->desc & F_SRC) {
	case F_SRC_RM: return emu_rm_read(emu, val, insn->rm_size, EMU_READ);
	case F_SRC_REG:
		*val = emu_reg(emu, insn->reg, insn->size);
		break;
	default:
		*val = insn->imm;
	}
	return EMU_DONE;
}

/* What MOV's relatives make of the value that MOV would write. */
static noinline int convert(struct emu *emu, u64 *val)
{
	struct emu_insn *insn = &emu->insn;
	struct kvm_segment segment;

	switch (insn->desc & F_OP) {
	case OP_MOVSX:
		*val = sign_extend(*val, insn->rm_size);
		break;
	case OP_MOVBE:
		*val = __builtin_bswap64(*val) >> (64 - 8 * insn->size);
		break;
	case OP_CMOV:
		if (!emu_condition(emu->rflags, insn->opcode))
			*val = emu_reg(emu, insn->reg, insn->size);
		break;
	case OP_SETCC:
		*val = emu_condition(emu->rflags, insn->opcode);
		break;
	case OP_MOVSEG:		/* REX.R is ignored; memory gets the selector alone */
		if ((insn->reg & 7) >= EMU_NSEGS)
			return emu_raise(emu, UD_VECTOR);
		emu->ops->segment(emu, insn->reg & 7, &segment);
		*val = segment.selector;
		if (insn->mem)
			insn->size = sizeof(segment.selector);
		break;
	case OP_SMSW:		/* memory gets 16 bits, a register as many as its size says */
		if (emu->cpl && emu->ops->get_cr(emu, 4) & X86_CR4_UMIP)
			return emu_raise(emu, GP_VECTOR);
		*val = emu->ops->get_cr(emu, 0);
		if (insn->mem)
			insn->size = sizeof(u16);
		break;
	}
	return EMU_DONE;
}

/* MOV and what differs from it by a conversion of the value only. */
static int exec_mov(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	u64 val;
	int r = source_read(emu, &val);

	if (unlikely(!r && (insn->desc & F_OP) != OP_MOV))
		r = convert(emu, &val);
	if (r)
		return r;
	if (dest_is_memory(insn))
		return emu_write(emu, insn->seg, insn->ea, &val, insn->size);
	emu_set_reg(emu, dest_reg(insn), insn->size, val);
	return EMU_DONE;
}

/* Registers and flags of an arithmetic instruction; @found was in the r/m operand. */
static void commit_alu(struct emu *emu, const struct emu_alu *alu, u64 found)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int op = alu->op;

	if (op == OP_XCHG || op == OP_XADD)
		emu_set_reg(emu, insn->reg, alu->size, found);
	else if (op == OP_CMPXCHG && alu->keep)
		emu_set_reg(emu, EMU_RAX, alu->size, found);
	if (!(insn->desc & F_NOWRITE) && !alu->keep && !dest_is_memory(insn))
		emu_set_reg(emu, dest_reg(insn), alu->size, alu->result);
	emu->rflags = alu->flags;
}

/* Arithmetic on memory; with LOCK again until nobody has come in between. */
static int exec_alu_memory(struct emu *emu, struct emu_alu *alu)
{
	struct emu_insn *insn = &emu->insn;
	bool write = !(insn->desc & F_NOWRITE);
	bool locked = insn->prefixes & PREFIX_LOCK || alu->op == OP_XCHG;
	int r, access = write ? EMU_RMW : EMU_READ;
	u64 la, found;

	alu->dst = 0;
	r = emu_linear(emu, insn->seg, insn->ea, alu->size, access, &la);
	r = r ?: emu->ops->read(emu, la, &alu->dst, alu->size, access);
	while (!r) {
		alu->flags = emu->rflags;
		emu_alu(alu);
		found = alu->dst;
		if (write && locked)
			r = emu->ops->replace(emu, la, &found, &alu->result, alu->size);
		else if (write)
			r = emu->ops->write(emu, la, &alu->result, alu->size);
		if (!r && found == alu->dst) {
			commit_alu(emu, alu, found);
			break;
		}
		alu->dst = found;
	}
	return r;
}

/* Two operands, or one, to a result and flags. */
static int exec_alu(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	struct emu_alu alu = {
		.op = insn->desc & F_OP, .size = insn->size, .flags = emu->rflags,
		.third = insn->imm,
	};
	int r = source_read(emu, &alu.src);

	if (r)
		return r;
	if (alu.op == OP_CMPXCHG)
		alu.third = emu_reg(emu, EMU_RAX, alu.size);
	if (dest_is_memory(insn))
		return exec_alu_memory(emu, &alu);
	alu.dst = emu_reg(emu, dest_reg(insn), alu.size);
	emu_alu(&alu);
	commit_alu(emu, &alu, alu.dst);
	return EMU_DONE;
}

/* Width of the stack pointer: APM 2 "Stack-Address Size" follows SS.B. */
static unsigned int stack_size(struct emu *emu)
{
	struct kvm_segment ss;

	if (emu->mode == EMU_MODE_LONG)
		return 8;
	emu->ops->segment(emu, EMU_SS, &ss);
	return ss.db ? 4 : 2;
}

static int exec_push(struct emu *emu)
{
	unsigned int size = emu->insn.size, width = stack_size(emu);
	u64 val, sp = (emu->regs[EMU_RSP] - size) & size_mask(width);
	int r = source_read(emu, &val);

	r = r ?: emu_write(emu, EMU_SS, sp, &val, size);
	if (!r)
		emu_set_reg(emu, EMU_RSP, width, sp);
	return r;
}

/* RSP moves first: POP into the stack pointer keeps what was popped. */
static int exec_pop(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int size = insn->size, width = stack_size(emu);
	u64 val = 0, sp = emu->regs[EMU_RSP] & size_mask(width);
	int r = emu_read(emu, EMU_SS, sp, &val, size, EMU_READ);

	if (!r && insn->mem)
		r = emu_write(emu, insn->seg, insn->ea, &val, size);
	if (r)
		return r;
	emu_set_reg(emu, EMU_RSP, width, sp + size);
	if (!insn->mem)
		emu_set_reg(emu, dest_reg(insn), size, val);
	return EMU_DONE;
}

int emu_advance(struct emu *emu)
{
	u64 rip = emu->rip + emu->insn.len;

	emu->rip = emu->mode == EMU_MODE_LONG ? rip : (u32)rip;
	emu->rflags &= ~(u64)X86_EFLAGS_RF;
	return EMU_DONE;
}

static noinline int execute_other(struct emu *emu)
{
	u64 la;

	switch (emu->insn.desc & F_OP) {
	case OP_NOP: return emu_linear(emu, emu->insn.seg, emu->insn.ea, 1, EMU_READ, &la);
	case OP_ADD ... OP_BSR: return exec_alu(emu);
	case OP_PUSH: return exec_push(emu);
	case OP_POP: return exec_pop(emu);
	case OP_LODS ... OP_INS: return emu_exec_string(emu);
	case OP_IN ... OP_OUT: return emu_exec_io(emu);
	case OP_MOV_FROM_CR ... OP_INVLPG: return emu_exec_system(emu);
	case OP_VEC: return emu_exec_vec(emu);
	}
	return EMU_UNKNOWN;
}

/* Nearly all that touches a device is one of the moves. */
int emu_execute(struct emu *emu)
{
	unsigned int op = emu->insn.desc & F_OP;
	int r = likely(op >= OP_MOV && op <= OP_SETCC) ? exec_mov(emu) : execute_other(emu);

	return r ?: emu_advance(emu);
}
