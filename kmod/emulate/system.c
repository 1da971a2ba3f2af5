// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions on control and debug registers, for CPUs whose intercepts do not
 * report the operands: APM 3 "System Instruction Reference".
 *
 * NOTDONE: LOCK MOV CR0 as CR8 outside of long mode (AltMovCr8): #UD.
 */
#include "insn.h"

/* The control registers that exist, a bit each. */
enum { CONTROL_REGISTERS = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 };

/* CR0 bits that LMSW loads; it cannot clear PE. */
enum { LMSW_BITS = X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS };

static int mov_from(struct emu *emu, int (*get)(struct emu *emu, unsigned int nr, u64 *val))
{
	u64 val;
	int r = get(emu, emu->insn.reg, &val);

	if (r)
		return r;
	emu_set_reg(emu, emu->insn.rm, emu->mode == EMU_MODE_LONG ? 8 : 4, val);
	return emu_advance(emu);
}

static int mov_to(struct emu *emu, int (*set)(struct emu *emu, unsigned int nr, u64 val))
{
	u64 val = emu_reg(emu, emu->insn.rm, emu->mode == EMU_MODE_LONG ? 8 : 4);

	return set(emu, emu->insn.reg, val) ?: emu_advance(emu);
}

static int exec_clts(struct emu *emu)
{
	u64 cr0;
	int r = emu->ops->get_cr(emu, 0, &cr0);

	r = r ?: emu->ops->set_cr(emu, 0, cr0 & ~X86_CR0_TS);
	return r ?: emu_advance(emu);
}

static int exec_lmsw(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	u64 cr0, msw = 0;
	int r = EMU_DONE;

	if (insn->mem)
		r = emu_read(emu, insn->seg, insn->ea, &msw, 2, EMU_READ);
	else
		msw = emu->regs[insn->rm];
	r = r ?: emu->ops->get_cr(emu, 0, &cr0);
	if (!r)
		r = emu->ops->set_cr(emu, 0, (cr0 & (~(u64)LMSW_BITS | X86_CR0_PE)) |
				     (msw & LMSW_BITS));
	return r ?: emu_advance(emu);
}

/* Memory gets 16 bits, a register as many as the operand size says. */
static int exec_smsw(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	u64 cr0, cr4 = 0;
	int r = emu->ops->get_cr(emu, 0, &cr0);

	if (!r && emu->cpl)
		r = emu->ops->get_cr(emu, 4, &cr4);
	if (!r && cr4 & X86_CR4_UMIP)
		r = emu_raise(emu, GP_VECTOR);
	if (!r && insn->mem)
		r = emu_write(emu, insn->seg, insn->ea, &cr0, 2);
	if (r)
		return r;
	if (!insn->mem)
		emu_set_reg(emu, insn->rm, insn->size, cr0);
	return emu_advance(emu);
}

/* Neither limit nor canonical form is checked: it only names a translation. */
static int exec_invlpg(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	struct emu_segment segment;
	u64 la = insn->ea;

	if (emu->mode != EMU_MODE_LONG || insn->seg >= EMU_FS) {
		emu->ops->segment(emu, insn->seg, &segment);
		la += segment.base;
	}
	if (emu->mode != EMU_MODE_LONG)
		la = (u32)la;
	return emu->ops->invlpg(emu, la) ?: emu_advance(emu);
}

/**
 * emu_exec_system() - MOV CR and DR, CLTS, LMSW, SMSW and INVLPG
 * @emu: the decoded instruction
 *
 * All but SMSW need CPL 0; SMSW does so only under CR4.UMIP.  Which of DR4 and
 * DR5 exist (CR4.DE) and whether DR7.GD is set is left to ops->get_dr, set_dr.
 *
 * Return: EMU_DONE, EMU_FAULT with #UD or #GP(0), or what an op returned.
 */
int emu_exec_system(struct emu *emu)
{
	const struct emu_ops *ops = emu->ops;
	unsigned int op = emu->insn.desc & F_OP, nr = emu->insn.reg;

	if (op <= OP_MOV_TO_CR && !(CONTROL_REGISTERS >> nr & 1))
		return emu_raise(emu, UD_VECTOR);
	if ((op == OP_MOV_FROM_DR || op == OP_MOV_TO_DR) && nr > 7)
		return emu_raise(emu, UD_VECTOR);
	if (emu->cpl && op != OP_SMSW)
		return emu_raise(emu, GP_VECTOR);

	switch (op) {
	case OP_MOV_FROM_CR: return mov_from(emu, ops->get_cr);
	case OP_MOV_TO_CR: return mov_to(emu, ops->set_cr);
	case OP_MOV_FROM_DR: return mov_from(emu, ops->get_dr);
	case OP_MOV_TO_DR: return mov_to(emu, ops->set_dr);
	case OP_CLTS: return exec_clts(emu);
	case OP_LMSW: return exec_lmsw(emu);
	case OP_SMSW: return exec_smsw(emu);
	}
	return exec_invlpg(emu);
}
