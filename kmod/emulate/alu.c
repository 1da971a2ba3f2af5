// SPDX-License-Identifier: GPL-2.0
/*
 * Integer arithmetic with the flags an x86 CPU leaves: APM 3 "General-Purpose
 * Instruction Reference".  Pure functions: no registers, no memory.
 *
 * Flags that the manual leaves undefined get what Intel's CPUs were seen to
 * leave where that costs nothing.
 */
#include "insn.h"

#define SZP	(X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_PF)
#define STATUS	(SZP | X86_EFLAGS_CF | X86_EFLAGS_AF | X86_EFLAGS_OF)

static inline bool bit(u64 val, unsigned int nr)
{
	return val >> nr & 1;
}

static inline u64 flag_if(bool set, u64 flag)
{
	return set ? flag : 0;
}

static u64 szp_flags(u64 result, unsigned int bits)
{
	return flag_if(bit(result, bits - 1), X86_EFLAGS_SF) |
	       flag_if(!result, X86_EFLAGS_ZF) |
	       flag_if(!__builtin_parity(result & 0xff), X86_EFLAGS_PF);
}

/* @carries: the carry (or borrow) out of each bit. */
static u64 carry_flags(u64 carries, unsigned int bits)
{
	return flag_if(bit(carries, bits - 1), X86_EFLAGS_CF) |
	       flag_if(bit(carries, 3), X86_EFLAGS_AF) |
	       flag_if(bit(carries, bits - 1) != bit(carries, bits - 2), X86_EFLAGS_OF);
}

static void set_flags(struct emu_alu *alu, u64 changed, u64 flags)
{
	alu->flags = (alu->flags & ~changed) | (flags & changed);
}

static void set_result(struct emu_alu *alu, u64 result, u64 changed, u64 flags)
{
	alu->result = result & size_mask(alu->size);
	set_flags(alu, changed, flags | szp_flags(alu->result, 8 * alu->size));
}

static void alu_add(struct emu_alu *alu, u64 b, bool carry, u64 changed)
{
	u64 a = alu->dst, sum = a + b + carry;
	u64 carries = (a & b) | ((a | b) & ~sum);

	set_result(alu, sum, changed, carry_flags(carries, 8 * alu->size));
}

static void alu_sub(struct emu_alu *alu, u64 a, u64 b, bool borrow, u64 changed)
{
	u64 diff = a - b - borrow;
	u64 borrows = (~a & b) | ((~a | b) & diff);

	set_result(alu, diff, changed, carry_flags(borrows, 8 * alu->size));
}

/* The bit that comes in at the other end where @out goes out. */
static bool bit_in(const struct emu_alu *alu, unsigned int nr, bool out, bool carry)
{
	unsigned int top = 8 * alu->size - 1;

	switch (alu->op) {
	case OP_ROL:
	case OP_ROR: return out;
	case OP_RCL:
	case OP_RCR: return carry;
	case OP_SAR: return bit(alu->dst, top);
	case OP_SHLD: return nr <= top && bit(alu->src, top - nr);
	case OP_SHRD: return nr <= top && bit(alu->src, nr);
	default: return false;
	}
}

/*
 * Shifts and rotates, bit by bit.  A count of zero leaves the flags alone; one
 * beyond the 16 bits of SHLD or SHRD leaves the result undefined.
 */
static void alu_move_bits(struct emu_alu *alu)
{
	unsigned int top = 8 * alu->size - 1, i;
	bool twice = alu->op == OP_SHLD || alu->op == OP_SHRD;
	bool left = alu->op == OP_ROL || alu->op == OP_RCL || alu->op == OP_SHL || alu->op == OP_SHLD;
	unsigned int count = (twice ? alu->third : alu->src) & (alu->size == 8 ? 63 : 31);
	bool carry = alu->flags & X86_EFLAGS_CF, overflow;
	u64 val = alu->dst;

	alu->result = val;
	if (!count)
		return;
	for (i = 0; i < count; i++) {
		bool out = bit(val, left ? top : 0), in = bit_in(alu, i, out, carry);

		val = left ? (val << 1 | in) & size_mask(alu->size) : val >> 1 | (u64)in << top;
		carry = out;
	}
	/* The sign differs from what it was; to the left, from the carry; to the right, from the bit below. */
	overflow = bit(val, top) != (twice ? bit(alu->dst, top) : left ? carry : bit(val, top - 1));
	set_result(alu, val, alu->op <= OP_RCR ? X86_EFLAGS_CF | X86_EFLAGS_OF : STATUS,
		   flag_if(carry, X86_EFLAGS_CF) | flag_if(overflow, X86_EFLAGS_OF));
}

static void alu_bit_test(struct emu_alu *alu)
{
	u64 mask = 1ULL << (alu->src & (8 * alu->size - 1));

	alu->result = alu->dst;
	if (alu->op == OP_BTS)
		alu->result |= mask;
	else if (alu->op == OP_BTR)
		alu->result &= ~mask;
	else if (alu->op == OP_BTC)
		alu->result ^= mask;
	set_flags(alu, X86_EFLAGS_CF, flag_if(alu->dst & mask, X86_EFLAGS_CF));
}

/* BSF and BSR; of nothing, they leave the register alone. */
static void alu_scan(struct emu_alu *alu)
{
	set_flags(alu, STATUS, flag_if(!alu->src, X86_EFLAGS_ZF));
	if (!alu->src)
		alu->keep = true;
	else if (alu->op == OP_BSF)
		alu->result = __builtin_ctzll(alu->src);
	else
		alu->result = 63 - __builtin_clzll(alu->src);
}

static void alu_imul(struct emu_alu *alu, u64 factor)
{
	__int128 product = (__int128)sign_extend(alu->src, alu->size) *
			   sign_extend(factor, alu->size);
	bool overflow = product != sign_extend(product, alu->size);

	alu->result = product & size_mask(alu->size);
	set_flags(alu, X86_EFLAGS_CF | X86_EFLAGS_OF,
		  flag_if(overflow, X86_EFLAGS_CF | X86_EFLAGS_OF));
}

/**
 * emu_alu() - one arithmetic instruction
 * @alu: @op, @size, @dst, @src, @third and @flags; gets @result and new @flags
 *
 * @dst and @src have no bits beyond @size, but for a count or a bit number in
 * @src.  Of OP_CMP, OP_TEST and OP_BT the result is @dst or of no interest.
 */
void emu_alu(struct emu_alu *alu)
{
	u64 a = alu->dst, b = alu->src & size_mask(alu->size);
	bool carry = alu->flags & X86_EFLAGS_CF;

	switch (alu->op) {
	case OP_ADD:
	case OP_ADC:
	case OP_XADD:
		alu_add(alu, b, alu->op == OP_ADC && carry, STATUS);
		break;
	case OP_SUB:
	case OP_SBB:
	case OP_CMP:
		alu_sub(alu, a, b, alu->op == OP_SBB && carry, STATUS);
		break;
	case OP_AND:
	case OP_TEST:
		set_result(alu, a & b, STATUS, 0);
		break;
	case OP_OR:
		set_result(alu, a | b, STATUS, 0);
		break;
	case OP_XOR:
		set_result(alu, a ^ b, STATUS, 0);
		break;
	case OP_INC:
		alu_add(alu, 1, false, STATUS & ~X86_EFLAGS_CF);
		break;
	case OP_DEC:
		alu_sub(alu, a, 1, false, STATUS & ~X86_EFLAGS_CF);
		break;
	case OP_NEG:
		alu_sub(alu, 0, a, false, STATUS);
		break;
	case OP_NOT:
		alu->result = ~a & size_mask(alu->size);
		break;
	case OP_XCHG:
		alu->result = b;
		break;
	case OP_ROL ... OP_SHRD:
		alu_move_bits(alu);
		break;
	case OP_BT ... OP_BTC:
		alu_bit_test(alu);
		break;
	case OP_CMPXCHG:
		alu_sub(alu, alu->third, a, false, STATUS);
		alu->keep = alu->third != a;
		alu->result = alu->keep ? a : b;
		break;
	case OP_IMUL2:
	case OP_IMUL3:
		alu_imul(alu, alu->op == OP_IMUL2 ? a : alu->third);
		break;
	case OP_BSF ... OP_BSR:
		alu_scan(alu);
		break;
	}
}

/**
 * emu_condition() - evaluate a condition code
 * @flags: RFLAGS
 * @cc: the low four bits of a SETcc or CMOVcc opcode; bit 0 negates
 */
bool emu_condition(u64 flags, unsigned int cc)
{
	static const u64 any_of[] = {
		X86_EFLAGS_OF, X86_EFLAGS_CF, X86_EFLAGS_ZF, X86_EFLAGS_CF | X86_EFLAGS_ZF,
		X86_EFLAGS_SF, X86_EFLAGS_PF, 0, X86_EFLAGS_ZF,
	};
	bool less = !(flags & X86_EFLAGS_SF) != !(flags & X86_EFLAGS_OF);
	bool holds = flags & any_of[cc >> 1 & 7];

	if ((cc & 0xc) == 0xc)		/* L, LE and their contraries */
		holds |= less;
	return holds != (cc & 1);
}
