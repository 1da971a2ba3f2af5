// SPDX-License-Identifier: GPL-2.0
/*
 * SSE and AVX moves between memory and a register, which compilers use to copy
 * and clear: APM 4 "128-Bit Media Instruction Reference".
 */
#include "insn.h"

enum { XMM = 16, YMM = 32 };

static int vec_load(struct emu *emu, u64 la, u8 *data)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int len = insn->vex == YMM ? YMM : XMM;
	u8 memory[YMM];
	int r = emu->ops->read(emu, la, memory, insn->size, EMU_READ);

	if (r)
		return r;
	if (insn->vec & V_MERGE)
		emu->ops->read_vec(emu, insn->reg, data, len);
	else
		memset(data, 0, len);
	memcpy(data + (insn->vec & V_HIGH ? 8 : 0), memory, insn->size);
	emu->ops->write_vec(emu, insn->reg, data, len, insn->vex);
	return EMU_DONE;
}

static int vec_store(struct emu *emu, u64 la, u8 *data)
{
	struct emu_insn *insn = &emu->insn;

	emu->ops->read_vec(emu, insn->reg, data, insn->size == YMM ? YMM : XMM);
	return emu->ops->write(emu, la, data + (insn->vec & V_HIGH ? 8 : 0), insn->size);
}

/**
 * emu_exec_vec() - a move between memory and an xmm or ymm register
 * @emu: the decoded instruction
 *
 * Return: EMU_DONE, EMU_FAULT with #GP(0) for unaligned memory, or what an op
 * returned.
 */
int emu_exec_vec(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	bool store = insn->vec & V_STORE;
	u8 data[YMM];
	u64 la;
	int r = emu->ops->vec_allowed(emu, insn->vex);

	r = r ?: emu_linear(emu, insn->seg, insn->ea, insn->size,
			    store ? EMU_WRITE : EMU_READ, &la);
	if (insn->vec & V_ALIGNED && la % insn->size)
		r = emu_raise(emu, GP_VECTOR);		/* comes before #SS */
	if (!r)
		r = store ? vec_store(emu, la, data) : vec_load(emu, la, data);
	return r;
}
