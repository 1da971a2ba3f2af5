// SPDX-License-Identifier: GPL-2.0
/*
 * The opcode tables: APM 3 "Opcode and Operand Encodings".
 *
 * A zero is an instruction that the emulator does not know.  Those that touch
 * neither memory nor anything that is intercepted are left out, except where
 * they share a row with one that does.
 *
 * NOTDONE: x87, MMX and EVEX moves, vector arithmetic, loads of segment and
 * descriptor-table registers, PUSHA and POPA, XLAT, MUL and DIV by the
 * accumulator, CMPXCHG8B and CMPXCHG16B, calls and jumps through memory: no
 * driver touches a device with them.
 */
#include "insn.h"

/* Operand forms, destination first. */
#define RM		F_MODRM
#define R_RM		(F_MODRM | F_DST_REG | F_SRC_RM)
#define RM_R		(F_MODRM | F_SRC_REG)
#define RM_IMM		(F_MODRM | F_SRC_IMM | F_IMM_Z)
#define RM_IMM8		(F_MODRM | F_SRC_IMM | F_IMM_8)
#define RM_ONE		(F_MODRM | F_SRC_IMM | F_IMM_ONE)
#define RM_CL		(F_MODRM | F_SRC_IMM | F_IMM_CL)
#define ACC_IMM		(F_DST_REG | F_REG_ACC | F_SRC_IMM | F_IMM_Z)
#define ACC_MOFFS	(F_DST_REG | F_REG_ACC | F_SRC_RM | F_IMM_MOFFS)
#define MOFFS_ACC	(F_REG_ACC | F_SRC_REG | F_IMM_MOFFS)
#define IMM		(F_SRC_IMM | F_IMM_Z)
#define IMM8		(F_SRC_IMM | F_IMM_8)
#define OPREG_SRC	(F_REG_OPCODE | F_SRC_REG)
#define OPREG_DST	(F_REG_OPCODE | F_DST_REG)

#define GROUP(n)	(F_GROUP | (n))
#define ESC(n)		(F_ESCAPE | (n))

/* An opcode for bytes and the next for the operand size. */
#define BOTH(at, word)	[at] = (word) | F_BYTE, [(at) + 1] = (word)

/* ADD to CMP: six opcodes each; @flags are those of the forms that write r/m. */
#define ARITHMETIC(at, op, flags)			\
	BOTH(at, (op) | RM_R | (flags)),		\
	BOTH((at) + 2, (op) | R_RM | ((flags) & F_NOWRITE)), \
	BOTH((at) + 4, (op) | ACC_IMM | ((flags) & F_NOWRITE))

enum emu_group {
	GRP_1, GRP_1A, GRP_2, GRP_3, GRP_4, GRP_5, GRP_7, GRP_7_REG, GRP_8,
	GRP_9, GRP_9_REG, GRP_11, GRP_15,
};

const u32 emu_opcodes[256] = {
	ARITHMETIC(0x00, OP_ADD, F_LOCK),
	ARITHMETIC(0x08, OP_OR, F_LOCK),
	ARITHMETIC(0x10, OP_ADC, F_LOCK),
	ARITHMETIC(0x18, OP_SBB, F_LOCK),
	ARITHMETIC(0x20, OP_AND, F_LOCK),
	ARITHMETIC(0x28, OP_SUB, F_LOCK),
	ARITHMETIC(0x30, OP_XOR, F_LOCK),
	ARITHMETIC(0x38, OP_CMP, F_NOWRITE),

	[0x0f] = ESC(ESC_0F),
	[0x26] = ESC(PREFIX_SEG), [0x2e] = ESC(PREFIX_SEG),
	[0x36] = ESC(PREFIX_SEG), [0x3e] = ESC(PREFIX_SEG),
	[0x40 ... 0x4f] = ESC(ESC_REX),
	[0x64] = ESC(PREFIX_SEG), [0x65] = ESC(PREFIX_SEG),
	[0x66] = ESC(PREFIX_OPSIZE), [0x67] = ESC(PREFIX_ADSIZE),
	[0xc4] = ESC(ESC_VEX3), [0xc5] = ESC(ESC_VEX2),
	[0xf0] = ESC(PREFIX_LOCK), [0xf2] = ESC(PREFIX_REPNE), [0xf3] = ESC(PREFIX_REP),

	[0x50 ... 0x57] = OP_PUSH | OPREG_SRC | F_D64,
	[0x58 ... 0x5f] = OP_POP | OPREG_DST | F_D64,
	[0x63] = OP_MOVSX | R_RM | F_RM32,
	[0x68] = OP_PUSH | IMM | F_D64,
	[0x69] = OP_IMUL3 | R_RM | F_IMM_Z,
	[0x6a] = OP_PUSH | IMM8 | F_D64,
	[0x6b] = OP_IMUL3 | R_RM | F_IMM_8,
	BOTH(0x6c, OP_INS | F_RM32),
	BOTH(0x6e, OP_OUTS | F_RM32),

	BOTH(0x80, GROUP(GRP_1) | RM_IMM),
	[0x83] = GROUP(GRP_1) | RM_IMM8,
	BOTH(0x84, OP_TEST | RM_R | F_NOWRITE),
	BOTH(0x86, OP_XCHG | RM_R | F_LOCK),
	BOTH(0x88, OP_MOV | RM_R),
	BOTH(0x8a, OP_MOV | R_RM),
	[0x8c] = OP_MOVSEG | RM_R,
	[0x8f] = GROUP(GRP_1A) | RM | F_D64,
	[0x90] = OP_LENGTH,
	[0x9c] = OP_LENGTH, [0x9d] = OP_LENGTH,

	[0x9a] = OP_LENGTH | F_IMM_FAR, [0xea] = OP_LENGTH | F_IMM_FAR,	/* #UD in long mode */
	BOTH(0xa0, OP_MOV | ACC_MOFFS),
	BOTH(0xa2, OP_MOV | MOFFS_ACC),
	BOTH(0xa4, OP_MOVS | F_TWO_MEM),
	BOTH(0xa6, OP_CMPS | F_TWO_MEM),
	BOTH(0xa8, OP_TEST | ACC_IMM | F_NOWRITE),
	BOTH(0xaa, OP_STOS),
	BOTH(0xac, OP_LODS),
	BOTH(0xae, OP_SCAS),

	BOTH(0xc0, GROUP(GRP_2) | RM_IMM8),
	BOTH(0xc6, GROUP(GRP_11) | RM_IMM),
	[0xcc] = OP_LENGTH, [0xcd] = OP_LENGTH | F_IMM_8,
	[0xce] = OP_LENGTH, [0xcf] = OP_LENGTH,
	BOTH(0xd0, GROUP(GRP_2) | RM_ONE),
	BOTH(0xd2, GROUP(GRP_2) | RM_CL),
	BOTH(0xe4, OP_IN | F_RM32 | F_IMM_8),
	BOTH(0xe6, OP_OUT | F_RM32 | F_IMM_8),
	BOTH(0xec, OP_IN | F_RM32),
	BOTH(0xee, OP_OUT | F_RM32),
	[0xf1] = OP_LENGTH,
	[0xf4] = OP_LENGTH,
	BOTH(0xf6, GROUP(GRP_3) | RM),
	[0xfe] = GROUP(GRP_4) | RM | F_BYTE,
	[0xff] = GROUP(GRP_5) | RM,
};

#define VEC		(OP_VEC | F_MODRM | F_MEM)

const u32 emu_opcodes_0f[256] = {
	[0x01] = GROUP(GRP_7) | RM | F_SPLIT,
	[0x06] = OP_CLTS,
	[0x08] = OP_LENGTH, [0x09] = OP_LENGTH,
	[0x20] = OP_MOV_FROM_CR | F_MODRM | F_RM_IS_REG,
	[0x21] = OP_MOV_FROM_DR | F_MODRM | F_RM_IS_REG,
	[0x22] = OP_MOV_TO_CR | F_MODRM | F_RM_IS_REG,
	[0x23] = OP_MOV_TO_DR | F_MODRM | F_RM_IS_REG,
	[0x30] = OP_LENGTH, [0x31] = OP_LENGTH, [0x32] = OP_LENGTH, [0x33] = OP_LENGTH,
	[0x38] = ESC(ESC_0F38),
	[0x40 ... 0x4f] = OP_CMOV | R_RM,
	[0x90 ... 0x9f] = OP_SETCC | RM | F_BYTE,
	[0xa2] = OP_LENGTH,
	[0xa3] = OP_BT | RM_R | F_BITSTRING | F_NOWRITE,
	[0xa4] = OP_SHLD | RM_R | F_IMM_8,
	[0xa5] = OP_SHLD | RM_R | F_IMM_CL,
	[0xaa] = OP_LENGTH,
	[0xab] = OP_BTS | RM_R | F_BITSTRING | F_LOCK,
	[0xac] = OP_SHRD | RM_R | F_IMM_8,
	[0xad] = OP_SHRD | RM_R | F_IMM_CL,
	[0xae] = GROUP(GRP_15) | RM | F_MEM | F_NOREP,
	[0xaf] = OP_IMUL2 | R_RM,
	BOTH(0xb0, OP_CMPXCHG | RM_R | F_LOCK),
	[0xb3] = OP_BTR | RM_R | F_BITSTRING | F_LOCK,
	[0xb6] = OP_MOV | R_RM | F_RM8,
	[0xb7] = OP_MOV | R_RM | F_RM16,
	[0xba] = GROUP(GRP_8) | RM_IMM8,
	[0xbb] = OP_BTC | RM_R | F_BITSTRING | F_LOCK,
	[0xbc] = OP_BSF | R_RM | F_NOREP,
	[0xbd] = OP_BSR | R_RM | F_NOREP,
	[0xbe] = OP_MOVSX | R_RM | F_RM8,
	[0xbf] = OP_MOVSX | R_RM | F_RM16,
	BOTH(0xc0, OP_XADD | RM_R | F_LOCK),
	[0xc3] = OP_MOV | RM_R | F_MEM | F_NOREP | F_NO16,	/* MOVNTI */
	[0xc7] = GROUP(GRP_9) | RM | F_SPLIT,

	[0x10 ... 0x13] = VEC, [0x16 ... 0x17] = VEC, [0x28 ... 0x29] = VEC, [0x2b] = VEC,
	[0x6e ... 0x6f] = VEC, [0x7e ... 0x7f] = VEC, [0xd6] = VEC, [0xe7] = VEC, [0xf0] = VEC,
};

/* The three-byte map, of which little is needed. */
const u32 emu_opcodes_0f38[256] = {
	[0x2a] = VEC,
	[0x80 ... 0x82] = OP_LENGTH | RM,			/* INVEPT, INVVPID, INVPCID */
	[0xf0] = OP_MOVBE | R_RM | F_MEM | F_NOREP,
	[0xf1] = OP_MOVBE | RM_R | F_MEM | F_NOREP,
};

/* Added to the word of the opcode; operands and sizes come from there. */
const u32 emu_groups[][8] = {
	[GRP_1] = {
		OP_ADD | F_LOCK, OP_OR | F_LOCK, OP_ADC | F_LOCK, OP_SBB | F_LOCK,
		OP_AND | F_LOCK, OP_SUB | F_LOCK, OP_XOR | F_LOCK, OP_CMP | F_NOWRITE,
	},
	[GRP_1A] = { OP_POP | F_TWO_MEM },
	[GRP_2] = {
		OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SHL, OP_SAR,
	},
	[GRP_3] = {
		OP_TEST | IMM | F_NOWRITE, OP_TEST | IMM | F_NOWRITE,
		OP_NOT | F_LOCK, OP_NEG | F_LOCK,
	},
	[GRP_4] = { OP_INC | F_LOCK, OP_DEC | F_LOCK },
	[GRP_5] = {
		[0] = OP_INC | F_LOCK, [1] = OP_DEC | F_LOCK,
		[3] = OP_LENGTH | F_MEM, [5] = OP_LENGTH | F_MEM,	/* far CALL and JMP */
		[6] = OP_PUSH | F_SRC_RM | F_D64 | F_TWO_MEM,
	},
	[GRP_7] = { [4] = OP_SMSW, [6] = OP_LMSW, [7] = OP_INVLPG },
	[GRP_7_REG] = {
		/* VMMCALL, XSETBV, MONITOR, RDTSCP and so on: no operand in ModRM */
		OP_LENGTH, OP_LENGTH, OP_LENGTH, OP_LENGTH,
		OP_SMSW, OP_LENGTH, OP_LMSW, OP_LENGTH,
	},
	[GRP_8] = {
		[4] = OP_BT | F_NOWRITE, [5] = OP_BTS | F_LOCK,
		[6] = OP_BTR | F_LOCK, [7] = OP_BTC | F_LOCK,
	},
	[GRP_9] = { [1] = OP_LENGTH | F_LOCK },			/* CMPXCHG8B, CMPXCHG16B */
	[GRP_9_REG] = { [6] = OP_LENGTH, [7] = OP_LENGTH },	/* RDRAND, RDSEED, RDPID */
	[GRP_11] = { OP_MOV },
	[GRP_15] = { [7] = OP_NOP },				/* CLFLUSH, CLFLUSHOPT */
};

/*
 * SSE and AVX moves by mandatory prefix: none, 66, F3, F2.  What is missing
 * works on MMX registers, or does more than move.  One row, 2A, is of the 0F38
 * map; its namesake of the 0F map is no move.
 */
const u16 emu_vec_forms[256][4] = {
	[0x10] = { V_FULL, V_FULL, V_4 | V_LIG, V_8 | V_LIG },
	[0x11] = {
		V_STORE | V_FULL, V_STORE | V_FULL,
		V_STORE | V_4 | V_LIG, V_STORE | V_8 | V_LIG,
	},
	[0x12] = { V_MERGE | V_8, V_MERGE | V_8 },
	[0x13] = { V_STORE | V_8, V_STORE | V_8 },
	[0x16] = { V_MERGE | V_HIGH | V_8, V_MERGE | V_HIGH | V_8 },
	[0x17] = { V_STORE | V_HIGH | V_8, V_STORE | V_HIGH | V_8 },
	[0x28] = { V_ALIGNED | V_FULL, V_ALIGNED | V_FULL },
	[0x29] = { V_STORE | V_ALIGNED | V_FULL, V_STORE | V_ALIGNED | V_FULL },
	[0x2a] = { 0, V_ALIGNED | V_FULL },
	[0x2b] = { V_STORE | V_ALIGNED | V_FULL, V_STORE | V_ALIGNED | V_FULL },
	[0x6e] = { 0, V_4OR8 },
	[0x6f] = { 0, V_ALIGNED | V_FULL, V_FULL },
	[0x7e] = { 0, V_STORE | V_4OR8, V_8 },
	[0x7f] = { 0, V_STORE | V_ALIGNED | V_FULL, V_STORE | V_FULL },
	[0xd6] = { 0, V_STORE | V_8 },
	[0xe7] = { 0, V_STORE | V_ALIGNED | V_FULL },
	[0xf0] = { 0, 0, 0, V_FULL },
};
