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

static int exec_lmsw(struct emu *emu)
{
	u64 cr0 = emu->ops->get_cr(emu, 0) & (~(u64)LMSW_BITS | X86_CR0_PE), msw;
	int r = emu_rm_read(emu, &msw, 2, EMU_READ);

	return r ?: emu->ops->set_cr(emu, 0, cr0 | (msw & LMSW_BITS));
}

/* Neither limit nor canonical form matters: it only names a translation. */
static int exec_invlpg(struct emu *emu)
{
	u64 la;

	emu_linear(emu, emu->insn.seg, emu->insn.ea, 1, EMU_READ, &la);
	emu->ops->invlpg(emu, la);
	return EMU_DONE;
}

/**
 * emu_exec_system() - MOV CR and DR, CLTS, LMSW and INVLPG
 * @emu: the decoded instruction
 *
 * All need CPL 0.  Which of DR4 and DR5 exist (CR4.DE) and whether DR7.GD is
 * set is left to ops->get_dr, set_dr.
 *
 * Return: EMU_DONE, EMU_FAULT with #UD or #GP(0), or what an op returned.
 */
int emu_exec_system(struct emu *emu)
{
	const struct emu_ops *ops = emu->ops;
	unsigned int op = emu->insn.desc & F_OP, nr = emu->insn.reg, rm = emu->insn.rm;
	unsigned int size = emu->mode == EMU_MODE_LONG ? 8 : 4;
	u64 val;
	int r;

	if (op <= OP_MOV_TO_CR && !(CONTROL_REGISTERS >> nr & 1))
		return emu_raise(emu, UD_VECTOR);
	if ((op == OP_MOV_FROM_DR || op == OP_MOV_TO_DR) && nr > 7)
		return emu_raise(emu, UD_VECTOR);
	if (emu->cpl)
		return emu_raise(emu, GP_VECTOR);

	switch (op) {
	case OP_MOV_FROM_CR:
		emu_set_reg(emu, rm, size, ops->get_cr(emu, nr));
		return EMU_DONE;
	case OP_MOV_TO_CR: return ops->set_cr(emu, nr, emu_reg(emu, rm, size));
	case OP_MOV_FROM_DR:
		r = ops->get_dr(emu, nr, &val);
		if (!r)
			emu_set_reg(emu, rm, size, val);
		return r;
	case OP_MOV_TO_DR: return ops->set_dr(emu, nr, emu_reg(emu, rm, size));
	case OP_CLTS: return ops->set_cr(emu, 0, ops->get_cr(emu, 0) & ~X86_CR0_TS);
	case OP_LMSW: return exec_lmsw(emu);
	}
	return exec_invlpg(emu);
}
