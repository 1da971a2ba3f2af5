/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the emulator share: the words of the opcode tables, access
 * to registers, and the functions that run an instruction.
 */
#ifndef EMULATE_INSN_H
#define EMULATE_INSN_H

#include <linux/compiler.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include "emu.h"

/*
 * Operations.  Those that one function runs stand together, for emu_execute()
 * finds the function by comparing: an indirect jump would cost a retpoline.
 */
enum emu_op {
	OP_UNKNOWN,
	OP_INVALID,		/* #UD */
	OP_LENGTH,		/* only its length is known */
	OP_NOP,			/* has a memory operand, touches no data */

	/* exec_mov(): write what was read */
	OP_MOV, OP_MOVSX, OP_MOVBE, OP_MOVSEG, OP_SMSW, OP_CMOV, OP_SETCC,

	/* exec_alu(): emu_alu() makes the result */
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_TEST, OP_INC, OP_DEC, OP_NOT, OP_NEG,
	OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAR, OP_SHLD, OP_SHRD,
	OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_XCHG, OP_XADD, OP_CMPXCHG,
	OP_IMUL2,		/* reg *= r/m */
	OP_IMUL3,		/* reg = r/m * imm */
	OP_BSF, OP_BSR,

	OP_PUSH, OP_POP,

	/* emu_exec_string() */
	OP_LODS, OP_OUTS,		/* read at rSI */
	OP_MOVS, OP_CMPS,		/* use both rSI and rDI */
	OP_STOS, OP_SCAS, OP_INS,	/* use ES:rDI */

	/* emu_exec_io() */
	OP_IN, OP_OUT,

	/* emu_exec_system() */
	OP_MOV_FROM_CR, OP_MOV_TO_CR, OP_MOV_FROM_DR, OP_MOV_TO_DR,
	OP_CLTS, OP_LMSW, OP_INVLPG,

	OP_VEC,			/* emu_exec_vec(): a row of emu_vec_forms[] */
};

/*
 * A word of the opcode tables.
 *
 *  31    20 19   18 17 16 15   13 12 11 10    9   8 7        0
 * +--------+-------+-----+-------+-----+----+----+--+----------+
 * | flags  |RM size| REG |  IMM  | SRC |DREG|BYTE|RM| enum op  |
 * +--------+-------+-----+-------+-----+----+----+--+----------+
 */
enum emu_desc {
	F_OP		= 0xff,		/* enum emu_op; F_GROUP: emu_groups[]; F_ESCAPE: emu_escape */
	F_MODRM		= 1 << 8,	/* a ModRM byte follows */
	F_BYTE		= 1 << 9,	/* operands are bytes */
	F_DST_REG	= 1 << 10,	/* the destination is reg (else r/m) */

	F_SRC		= 3 << 11,	/* the source is */
	F_SRC_REG	= 1 << 11,
	F_SRC_RM	= 2 << 11,
	F_SRC_IMM	= 3 << 11,

	F_IMM		= 7 << 13,	/* imm is */
	F_IMM_Z		= 1 << 13,	/* of operand size, 4 bytes at most */
	F_IMM_8		= 2 << 13,	/* one byte */
	F_IMM_ONE	= 3 << 13,	/* the constant 1 */
	F_IMM_CL	= 4 << 13,	/* register CL */
	F_IMM_MOFFS	= 5 << 13,	/* not imm but ea: an offset of address size */
	F_IMM_FAR	= 6 << 13,	/* an offset of operand size and a selector */

	F_REG		= 3 << 16,	/* reg is (else ModRM.reg) */
	F_REG_ACC	= 1 << 16,	/* the accumulator */
	F_REG_OPCODE	= 2 << 16,	/* in the opcode's low bits */

	F_RMSIZE	= 3 << 18,	/* the r/m operand has (else operand size) */
	F_RM8		= 1 << 18,
	F_RM16		= 2 << 18,
	F_RM32		= 3 << 18,	/* 4 bytes at most; that is also what a port takes */

	F_LOCK		= 1 << 20,	/* LOCK is allowed with a memory destination */
	F_D64		= 1 << 21,	/* 64-bit operands by default in long mode */
	F_MEM		= 1 << 22,	/* with a register r/m it is something else */
	F_NOWRITE	= 1 << 23,	/* sets flags only */
	F_GROUP		= 1 << 24,	/* ModRM.reg goes on: emu_groups[] */
	F_SPLIT		= 1 << 25,	/* ... and for a register r/m in the next group */
	F_ESCAPE	= 1 << 26,	/* not an opcode */
	F_TWO_MEM	= 1 << 27,	/* a second operand in memory (stack, string) */
	F_NOREP		= 1 << 28,	/* with F2 or F3 it is something else */
	F_NO16		= 1 << 29,	/* operands of 4 bytes at least */
	F_RM_IS_REG	= 1 << 30,	/* ModRM.mod is ignored: r/m is a register */
	F_BITSTRING	= 1U << 31,	/* a register source may point beyond the operand */

	/* operands that not all come out of ModRM and the common sizes */
	F_UNUSUAL	= F_IMM | F_REG | F_MEM | F_TWO_MEM | F_NOREP | F_BITSTRING,
};

enum emu_prefix {
	PREFIX_OPSIZE	= 1 << 0,
	PREFIX_ADSIZE	= 1 << 1,
	PREFIX_LOCK	= 1 << 2,
	PREFIX_REPNE	= 1 << 3,
	PREFIX_REP	= 1 << 4,
	PREFIX_ANY_REP	= PREFIX_REPNE | PREFIX_REP,
	PREFIX_SEG	= 1 << 5,
};

/* A byte that is no opcode: a legacy prefix, by what it adds to @prefixes, or */
enum emu_escape {
	ESC_FIRST = PREFIX_SEG << 1,
	ESC_REX = ESC_FIRST, ESC_0F, ESC_0F38, ESC_VEX2, ESC_VEX3,
};

/* APM 3 "REX Prefix" */
enum emu_rex {
	REX_B = 1 << 0, REX_X = 1 << 1, REX_R = 1 << 2, REX_W = 1 << 3, REX = 1 << 6,
};

/* The shape of an SSE or AVX move between memory and a register. */
enum emu_vec {
	V_SIZE		= 0x1f,		/* bytes in memory */
	V_4		= 4,
	V_8		= 8,
	V_FULL		= 16,		/* 32 with VEX.L */
	V_4OR8		= 1,		/* 8 with REX.W or VEX.W */
	V_STORE		= 1 << 5,	/* register to memory */
	V_ALIGNED	= 1 << 6,	/* #GP unless aligned to its size */
	V_HIGH		= 1 << 7,	/* bits 127:64 of the register */
	V_MERGE		= 1 << 8,	/* the register's other half stays; no such VEX form */
	V_LIG		= 1 << 9,	/* VEX.L is ignored */
};

extern const u32 emu_opcodes[256];
extern const u32 emu_opcodes_0f[256];
extern const u32 emu_opcodes_0f38[256];
extern const u32 emu_groups[][8];
extern const u16 emu_vec_forms[256][4];

/* An arithmetic step, free of registers and memory. */
struct emu_alu {
	u8	op;
	u8	size;			/* in bytes */
	u64	dst, src;
	u64	third;			/* count of SHLD/SHRD, factor of IMUL3, accumulator of CMPXCHG */
	u64	result;			/* out */
	bool	keep;			/* out: a register keeps its value, upper half and all */
	u64	flags;			/* RFLAGS before and after */
};

void emu_alu(struct emu_alu *alu);
bool emu_condition(u64 flags, unsigned int cc);

int emu_linear_checked(struct emu *emu, enum emu_seg seg, u64 ea, unsigned int len, int access,
		       u64 *la);
int emu_read(struct emu *emu, enum emu_seg seg, u64 ea, void *data, unsigned int len, int access);
int emu_write(struct emu *emu, enum emu_seg seg, u64 ea, const void *data, unsigned int len);
int emu_rm_read(struct emu *emu, u64 *val, unsigned int size, int access);

/* What emu_execute() is made of; it moves RIP when they are done. */
int emu_exec_string(struct emu *emu);
int emu_exec_io(struct emu *emu);
int emu_exec_system(struct emu *emu);
int emu_exec_vec(struct emu *emu);

static inline u64 size_mask(unsigned int size)
{
	return ~0ULL >> (64 - 8 * size);
}

static inline s64 sign_extend(u64 val, unsigned int size)
{
	unsigned int unused = 64 - 8 * size;

	return (s64)(val << unused) >> unused;
}

/*
 * In canonical form all bits from the top bit of the linear address space on
 * are the same: adding that bit leaves none of them set.  Both ends of @len
 * bytes have to be.
 */
static inline bool emu_is_canonical_below(unsigned int top, u64 la, unsigned int len)
{
	u64 first = la + (1ULL << top);

	return !((first | (first + len - 1)) >> top >> 1);
}

static inline bool emu_is_canonical(const struct emu *emu, u64 la, unsigned int len)
{
	return likely(emu_is_canonical_below(47, la, len)) ||
	       (emu->la57 && emu_is_canonical_below(56, la, len));
}

/* Without REX, byte registers 4 to 7 are AH, CH, DH and BH. */
static inline bool emu_is_high_byte(const struct emu *emu, unsigned int nr, unsigned int size)
{
	return size == 1 && !emu->insn.rex && nr >= EMU_RSP && nr <= EMU_RDI;
}

static inline u64 emu_reg(const struct emu *emu, unsigned int nr, unsigned int size)
{
	if (unlikely(emu_is_high_byte(emu, nr, size)))
		return emu->regs[nr - EMU_RSP] >> 8 & 0xff;
	return emu->regs[nr] & size_mask(size);
}

/* A 32-bit result clears the upper half, a narrower one keeps the rest. */
static inline void emu_set_reg(struct emu *emu, unsigned int nr, unsigned int size, u64 val)
{
	u64 mask = size_mask(size);

	if (unlikely(emu_is_high_byte(emu, nr, size))) {
		nr -= EMU_RSP;
		mask <<= 8;
		val <<= 8;
	}
	val &= mask;
	if (size < 4)
		val |= emu->regs[nr] & ~mask;
	emu->regs[nr] = val;
}

/* A logical address to a linear one; for the result see emu_linear_checked(). */
static inline int emu_linear(struct emu *emu, enum emu_seg seg, u64 ea, unsigned int len,
			     int access, u64 *la)
{
	*la = ea;
	if (likely(emu->mode == EMU_MODE_LONG && seg < EMU_FS && emu_is_canonical(emu, ea, len)))
		return EMU_DONE;
	return emu_linear_checked(emu, seg, ea, len, access, la);
}

#endif /* EMULATE_INSN_H */
