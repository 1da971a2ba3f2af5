// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder: APM 3 "Instruction Encoding", SDM 2A "Instruction Format".
 *
 * It runs ahead: decode() reads prefixes, opcode, ModRM, SIB, displacement and
 * immediate without asking whether their bytes are there.  If it turns out to
 * have read more of them than there were, emu_decode() fetches the next ones
 * and decodes again from the start.  Nothing that was made of missing bytes
 * survives that, and only an instruction that crosses a page pays for it.
 */
#include "insn.h"

/* Fields of ModRM and SIB that do not mean what their number says. */
enum {
	MOD_REG		= 3,	/* r/m is a register */
	RM_SIB		= 4,	/* a SIB byte follows */
	RM_DISP32	= 5,	/* with mod = 0: no base; in long mode relative to RIP */
	RM_DISP16	= 6,	/* the same with 16-bit addresses */
	SIB_NO_INDEX	= 4,
};

static inline u8 take_byte(struct emu *emu)
{
	return emu->insn.bytes[emu->insn.len++];
}

static inline s64 take_signed(struct emu *emu, unsigned int n)
{
	struct emu_insn *insn = &emu->insn;
	u64 val;

	memcpy(&val, insn->bytes + insn->len, sizeof(val));
	insn->len += n;
	return sign_extend(val, n);
}

static void decode_legacy_prefix(struct emu *emu, u8 byte, unsigned int prefix)
{
	struct emu_insn *insn = &emu->insn;

	/* 26 2E 36 3E: ES to DS, ignored in long mode; 64 65: FS and GS. */
	if (prefix == PREFIX_SEG && byte >= 0x64)
		insn->seg = byte & 7;
	else if (prefix == PREFIX_SEG && emu->mode != EMU_MODE_LONG)
		insn->seg = byte >> 3 & 3;
	else if (prefix & PREFIX_ANY_REP)	/* the last of F2 and F3 counts */
		insn->prefixes &= ~PREFIX_ANY_REP;
	insn->prefixes |= prefix;
}

/*
 * APM 3 "VEX Prefix".  R, X, B and vvvv are stored inverted:
 *
 *   C5   R vvvv L pp
 *   C4   R X B map   W vvvv L pp
 *
 * Return: the opcode's word; OP_UNKNOWN where it is no VEX prefix (LES and LDS),
 * or the instruction is not one of the moves.
 */
static u32 decode_vex(struct emu *emu, unsigned int esc)
{
	static const u8 pp[] = { 0, PREFIX_OPSIZE, PREFIX_REP, PREFIX_REPNE };
	struct emu_insn *insn = &emu->insn;
	u8 rxb_map = take_byte(emu), rest = rxb_map & 0x7f;
	u32 desc = 0;

	if (emu->mode < EMU_MODE_PROT16 ||
	    (emu->mode != EMU_MODE_LONG && rxb_map >> 6 != MOD_REG))
		return OP_UNKNOWN;
	if (esc == ESC_VEX3)
		rest = take_byte(emu);
	else
		rxb_map = (rxb_map & 0x80) | 0x61;
	if (insn->rex || insn->prefixes & ~(PREFIX_ADSIZE | PREFIX_SEG))
		return OP_INVALID;
	if (emu->mode == EMU_MODE_LONG)
		insn->rex = REX | (~rxb_map >> 5 & 7) | (rest & 0x80 ? REX_W : 0);
	insn->prefixes |= pp[rest & 3];
	insn->vex = rest & 4 ? 32 : 16;
	insn->opcode = take_byte(emu);
	if ((rxb_map & 0x1f) == 1)
		desc = emu_opcodes_0f[insn->opcode];
	else if ((rxb_map & 0x1f) == 2)
		desc = emu_opcodes_0f38[insn->opcode];
	if ((desc & F_OP) != OP_VEC)
		return OP_UNKNOWN;
	return (rest >> 3 & 0xf) == 0xf ? desc : OP_INVALID;
}

/* Read prefixes and opcode; return the opcode's word. */
static u32 decode_opcode(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	u8 byte = take_byte(emu);
	u32 desc = emu_opcodes[byte];

	while (desc & F_ESCAPE && (desc & F_OP) <= ESC_REX) {
		insn->rex = 0;		/* REX counts only right before the opcode */
		if ((desc & F_OP) != ESC_REX)
			decode_legacy_prefix(emu, byte, desc & F_OP);
		else if (emu->mode == EMU_MODE_LONG)
			insn->rex = byte;
		else
			return OP_UNKNOWN;
		byte = take_byte(emu);
		desc = emu_opcodes[byte];
	}
	if (unlikely(desc & F_ESCAPE)) {
		if ((desc & F_OP) != ESC_0F)
			return decode_vex(emu, desc & F_OP);
		byte = take_byte(emu);
		desc = emu_opcodes_0f[byte];
		if (desc & F_ESCAPE) {
			byte = take_byte(emu);
			desc = emu_opcodes_0f38[byte];
		}
	} else if (byte == 0x63 && emu->mode != EMU_MODE_LONG) {
		return OP_UNKNOWN;	/* ARPL there */
	}
	insn->opcode = byte;
	return desc;
}

/* Offset of a memory operand with 16-bit addresses; sets the default segment. */
static u64 decode_ea16(struct emu *emu, unsigned int mod, unsigned int rm, u8 *seg)
{
	static const u8 base[] = {
		EMU_RBX, EMU_RBX, EMU_RBP, EMU_RBP, EMU_RSI, EMU_RDI, EMU_RBP, EMU_RBX,
	};
	u64 ea;

	if (mod == 0 && rm == RM_DISP16)
		return take_signed(emu, 2);
	ea = emu->regs[base[rm]];
	if (rm < 4)
		ea += emu->regs[rm & 1 ? EMU_RDI : EMU_RSI];
	if (base[rm] == EMU_RBP)
		*seg = EMU_SS;
	if (mod)
		ea += take_signed(emu, mod);
	return ea;
}

/*
 * The same with 32- and 64-bit addresses.  POP counts RSP up before it takes it
 * as a base.  An offset from the next instruction is finished by decode().
 */
static u64 decode_ea(struct emu *emu, unsigned int mod, unsigned int rm, u8 *seg)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int base = rm, index;
	u64 ea = 0;
	u8 sib;

	if (rm == RM_SIB) {
		sib = take_byte(emu);
		base = sib & 7;
		index = (sib >> 3 & 7) | (insn->rex & REX_X ? 8 : 0);
		if (index != SIB_NO_INDEX)
			ea = emu->regs[index] << (sib >> 6);
	}
	if (base == RM_DISP32 && mod == 0) {
		insn->rip_relative = rm == RM_DISP32 && emu->mode == EMU_MODE_LONG;
		return ea + take_signed(emu, 4);
	}
	base |= insn->rex & REX_B ? 8 : 0;
	ea += emu->regs[base];
	if (base == EMU_RSP || base == EMU_RBP)
		*seg = EMU_SS;
	if (base == EMU_RSP && (insn->desc & F_OP) == OP_POP)
		ea += insn->size;
	if (mod == 1)
		ea += take_signed(emu, 1);
	else if (mod == 2)
		ea += take_signed(emu, 4);
	return ea;
}

static void decode_modrm(struct emu *emu, u8 modrm)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int mod = modrm >> 6, rm = modrm & 7;
	u8 seg = EMU_DS;

	insn->reg = (modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0);
	if (mod == MOD_REG || insn->desc & F_RM_IS_REG) {
		insn->rm = rm | (insn->rex & REX_B ? 8 : 0);
		return;
	}
	insn->mem = true;
	if (unlikely(insn->asize == 2))
		insn->ea = decode_ea16(emu, mod, rm, &seg);
	else
		insn->ea = decode_ea(emu, mod, rm, &seg);
	if (insn->seg == EMU_NSEGS)
		insn->seg = seg;
}

/* Follow a group by ModRM.reg; its word adds to the opcode's. */
static u32 decode_group(u32 desc, u8 modrm)
{
	unsigned int group = desc & F_OP;
	u32 more;

	if (desc & F_SPLIT && modrm >> 6 == MOD_REG)
		group++;
	more = emu_groups[group][modrm >> 3 & 7];
	return more ? (desc & ~(F_OP | F_GROUP)) | more : OP_UNKNOWN;
}

static void decode_sizes(struct emu *emu, u32 desc)
{
	struct emu_insn *insn = &emu->insn;
	bool opsize = insn->prefixes & PREFIX_OPSIZE;
	bool adsize = insn->prefixes & PREFIX_ADSIZE;

	if (likely(emu->mode == EMU_MODE_LONG)) {
		insn->asize = adsize ? 4 : 8;
		insn->size = opsize ? 2 : 4;
		if (insn->rex & REX_W || (desc & F_D64 && !opsize))
			insn->size = 8;
	} else {	/* a prefix chooses the size that CS.D does not */
		insn->asize = adsize == (emu->mode == EMU_MODE_PROT32) ? 2 : 4;
		insn->size = opsize == (emu->mode == EMU_MODE_PROT32) ? 2 : 4;
	}
	if (desc & F_BYTE)
		insn->size = 1;
	else if (desc & F_NO16 && insn->size == 2)
		insn->size = 4;
	insn->rm_size = insn->size;
	if (unlikely(desc & F_RMSIZE)) {
		insn->rm_size = 1 << ((desc & F_RMSIZE) / F_RM8 - 1);
		if (insn->rm_size > insn->size)
			insn->rm_size = insn->size;
	}
}

static void decode_imm(struct emu *emu, u32 desc)
{
	struct emu_insn *insn = &emu->insn;

	switch (desc & F_IMM) {
	case F_IMM_Z:
		insn->imm = take_signed(emu, insn->size == 8 ? 4 : insn->size);
		break;
	case F_IMM_8:
		insn->imm = take_signed(emu, 1);
		break;
	case F_IMM_ONE:
		insn->imm = 1;
		break;
	case F_IMM_CL:
		insn->imm = emu->regs[EMU_RCX] & 0xff;
		break;
	case F_IMM_FAR:
		insn->imm = take_signed(emu, insn->size);
		insn->len += 2;
		break;
	case F_IMM_MOFFS:
		insn->ea = take_signed(emu, insn->asize);
		insn->mem = true;
		break;
	}
}

static void decode_unusual(struct emu *emu, u32 desc)
{
	struct emu_insn *insn = &emu->insn;

	if (desc & F_IMM)
		decode_imm(emu, desc);
	if (desc & F_REG_ACC)
		insn->reg = EMU_RAX;
	else if (desc & F_REG_OPCODE)
		insn->reg = (insn->opcode & 7) | (insn->rex & REX_B ? 8 : 0);
	/* The operand of a bit instruction is part of a string of 2^size bits. */
	if (desc & F_BITSTRING)
		insn->ea += (sign_extend(emu->regs[insn->reg], insn->size) >> 3) & -(s64)insn->size;
	insn->two_memory = desc & F_TWO_MEM && (insn->mem || !(desc & F_MODRM));
}

/* Pick the shape of an SSE or AVX move; false if it is something else. */
static bool decode_vec(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int column = 0, length = insn->vex ?: 16;
	u16 form;

	if (insn->prefixes & PREFIX_ANY_REP)
		column = insn->prefixes & PREFIX_REP ? 2 : 3;
	else if (insn->prefixes & PREFIX_OPSIZE)
		column = 1;
	form = emu_vec_forms[insn->opcode][column];
	if (!form || (form & V_MERGE && insn->vex))
		return false;
	insn->vec = form;
	insn->size = form & V_SIZE;
	if (insn->size == V_FULL)
		insn->size = length;
	else if (length == 32 && !(form & V_LIG))
		return false;
	else if (insn->size == V_4OR8)
		insn->size = insn->rex & REX_W ? 8 : 4;
	return true;
}

/* What else the encoding has to fulfil to be the instruction of the table. */
static int check_encoding(struct emu *emu, u32 desc)
{
	struct emu_insn *insn = &emu->insn;

	if (insn->prefixes & PREFIX_LOCK && !(desc & F_LOCK && insn->mem))
		return emu_raise(emu, UD_VECTOR);
	if ((desc & F_MEM && !insn->mem) ||
	    (desc & F_NOREP && insn->prefixes & PREFIX_ANY_REP) ||
	    ((desc & F_OP) == OP_VEC && !decode_vec(emu)))
		return EMU_UNKNOWN;
	return EMU_DONE;
}

static int decode(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	u8 modrm = 0;
	u32 desc;

	insn->len = 0;
	insn->prefixes = 0;
	insn->rex = 0;
	insn->vex = 0;
	insn->mem = false;
	insn->rip_relative = false;
	insn->two_memory = false;
	insn->seg = EMU_NSEGS;

	desc = decode_opcode(emu);
	if (desc & F_MODRM) {
		modrm = take_byte(emu);
		if (desc & F_GROUP)
			desc = decode_group(desc, modrm);
	}
	if (desc == OP_UNKNOWN && !(insn->prefixes & PREFIX_LOCK))
		return EMU_UNKNOWN;
	if (desc <= OP_INVALID)		/* every instruction that takes LOCK is known */
		return emu_raise(emu, UD_VECTOR);
	insn->desc = desc;
	decode_sizes(emu, desc);
	if (desc & F_MODRM)
		decode_modrm(emu, modrm);
	else if (insn->seg == EMU_NSEGS)
		insn->seg = EMU_DS;
	if (desc & F_UNUSUAL)
		decode_unusual(emu, desc);
	if (insn->rip_relative)
		insn->ea += emu->rip + insn->len;
	insn->ea &= size_mask(insn->asize);
	if (likely(!(desc & (F_MEM | F_NOREP) || insn->prefixes & PREFIX_LOCK)))
		return EMU_DONE;
	return check_encoding(emu, desc);
}

/* Fetch what the page has of the bytes that are missing, one at least. */
static int fetch_more(struct emu *emu)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int len = EMU_INSN_MAX - insn->fetched, got;
	u64 la = emu->rip + insn->fetched;
	struct kvm_segment cs;
	int r;

	if (!len)
		return emu_raise(emu, GP_VECTOR);
	if (likely(emu->mode == EMU_MODE_LONG)) {
		if (!emu_is_canonical(emu, la, 1))
			return emu_raise(emu, GP_VECTOR);
	} else {
		emu->ops->segment(emu, EMU_CS, &cs);
		if (la > cs.limit)
			return emu_raise(emu, GP_VECTOR);
		if (len > cs.limit - la)
			len = cs.limit - la + 1;
		la = (u32)(la + cs.base);
	}
	r = emu->ops->fetch(emu, la, insn->bytes + insn->fetched, len, &got);
	if (!r)
		insn->fetched += got;
	return r;
}

int emu_decode(struct emu *emu, const u8 *bytes, unsigned int nbytes)
{
	struct emu_insn *insn = &emu->insn;
	int r;

	emu->step = 0;
	memset(insn->bytes + EMU_INSN_MAX, 0, sizeof(insn->bytes) - EMU_INSN_MAX);
	if (nbytes >= EMU_INSN_MAX) {		/* what decode assists give */
		memcpy(insn->bytes, bytes, EMU_INSN_MAX);
		insn->fetched = EMU_INSN_MAX;
	} else {
		if (nbytes)
			memcpy(insn->bytes, bytes, nbytes);
		insn->fetched = nbytes;
	}
	for (;;) {
		if (insn->fetched) {
			r = decode(emu);
			if (likely(insn->len <= insn->fetched))
				return r;
		}
		r = fetch_more(emu);
		if (r)
			return r;
	}
}
