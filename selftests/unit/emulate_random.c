// SPDX-License-Identifier: GPL-2.0
/*
 * A case is made in the order of the instruction's bytes: choose a row of the
 * table, sizes and prefixes, then a way to address the target, then registers
 * that make the address come out there.
 */
#include <asm/processor-flags.h>
#include <string.h>

#include "emulate_random.h"

enum spec_flags {
	BYTE	= 1 << 0,	/* byte operands */
	LOCK	= 1 << 1,	/* may be locked */
	MEM	= 1 << 2,	/* memory only */
	D64	= 1 << 3,	/* 64-bit by default in long mode */
	LONG	= 1 << 4,	/* in long mode only */
	NOMODRM	= 1 << 5,
	MOFFS	= 1 << 6,
	OPREG	= 1 << 7,	/* register in the opcode's low bits */
	STRING	= 1 << 8,
	COMPARE	= 1 << 9,	/* CMPS and SCAS */
	STACK	= 1 << 10,
	POP_RM	= 1 << 11,	/* RSP counts before the address is made */
	BITS	= 1 << 12,	/* bit string addressed by a register */
	SHIFT	= 1 << 13,
	ROTATE	= 1 << 14,
	DOUBLE	= 1 << 15,	/* SHLD, SHRD */
	CMPXCHG	= 1 << 17,
	SEGREG	= 1 << 19,	/* ModRM.reg is a segment register */
	NO66	= 1 << 20,
	VEC	= 1 << 21,
	VEX	= 1 << 22,	/* has a VEX form */
	ALIGNED	= 1 << 23,
	CL	= 1 << 24,	/* count in CL */
	ATOMIC	= 1 << 25,	/* locked without the prefix */
	NO16	= 1 << 26,	/* operands of 4 bytes at least */
};

enum spec_imm { NONE, IMM8, IMMZ };

enum { FULL = 0xff, W = 0xfe };		/* bytes in memory: of the vector, by REX.W */

struct spec {
	const char	*name;
	u8		map;		/* 0: one byte, 1: 0F, 2: 0F 38 */
	u8		opcode;
	s8		ext;		/* in ModRM.reg; -1: a register is there */
	u8		imm;
	u8		bytes;		/* in memory, if not the operand size */
	u8		prefix;		/* mandatory */
	u32		flags;
	u64		undefined;	/* flags that the manual leaves undefined */
};

#define CF	X86_EFLAGS_CF
#define PF	X86_EFLAGS_PF
#define AF	X86_EFLAGS_AF
#define ZF	X86_EFLAGS_ZF
#define SF	X86_EFLAGS_SF
#define OF	X86_EFLAGS_OF
#define STATUS	(CF | PF | AF | ZF | SF | OF)

/* An opcode for bytes, and the next one. */
#define TWO(name, map, opcode, ext, imm, flags_, undef) \
	{ name, map, opcode, ext, imm, .flags = (flags_) | BYTE, .undefined = undef }, \
	{ name, map, (opcode) + 1, ext, imm, .flags = flags_, .undefined = undef }
#define ONE(name, map, opcode, ext, imm, flags_, undef) \
	{ name, map, opcode, ext, imm, .flags = flags_, .undefined = undef }
#define WIDTH(name, map, opcode, bytes_, flags_) \
	{ name, map, opcode, -1, NONE, bytes_, .flags = flags_ }
#define VECTOR(name, map, opcode, prefix_, bytes_, flags_) \
	{ name, map, opcode, -1, NONE, bytes_, prefix_, .flags = VEC | MEM | NO66 | (flags_) }

#define ARITHMETIC(name, nr, lock, undef) \
	TWO(name, 0, (nr) * 8, -1, NONE, lock, undef), \
	TWO(name, 0, (nr) * 8 + 2, -1, NONE, 0, undef), \
	TWO(name, 0, (nr) * 8 + 4, -1, IMMZ, NOMODRM, undef), \
	TWO(name, 0, 0x80, nr, IMMZ, lock, undef), \
	ONE(name, 0, 0x83, nr, IMM8, lock, undef)
#define SHIFTS(name, ext, flag) \
	TWO(name, 0, 0xc0, ext, IMM8, flag, 0), \
	TWO(name, 0, 0xd0, ext, NONE, flag, 0), \
	TWO(name, 0, 0xd2, ext, NONE, (flag) | CL, 0)
#define BIT_TESTS(name, opcode, ext, lock) \
	ONE(name, 1, opcode, -1, NONE, BITS | (lock), OF | SF | AF | PF), \
	ONE(name, 1, 0xba, ext, IMM8, lock, OF | SF | AF | PF)
#define DOUBLE_SHIFTS(name, opcode) \
	ONE(name, 1, opcode, -1, IMM8, DOUBLE, 0), \
	ONE(name, 1, (opcode) + 1, -1, NONE, DOUBLE | CL, 0)
#define CONDITIONS(name, opcode, flags) \
	ONE(name, 1, opcode, -1, NONE, flags, 0), ONE(name, 1, (opcode) + 1, -1, NONE, flags, 0), \
	ONE(name, 1, (opcode) + 2, -1, NONE, flags, 0), ONE(name, 1, (opcode) + 3, -1, NONE, flags, 0), \
	ONE(name, 1, (opcode) + 4, -1, NONE, flags, 0), ONE(name, 1, (opcode) + 5, -1, NONE, flags, 0), \
	ONE(name, 1, (opcode) + 6, -1, NONE, flags, 0), ONE(name, 1, (opcode) + 7, -1, NONE, flags, 0)

static const struct spec specs[] = {
	ARITHMETIC("add", 0, LOCK, 0),
	ARITHMETIC("or", 1, LOCK, AF),
	ARITHMETIC("adc", 2, LOCK, 0),
	ARITHMETIC("sbb", 3, LOCK, 0),
	ARITHMETIC("and", 4, LOCK, AF),
	ARITHMETIC("sub", 5, LOCK, 0),
	ARITHMETIC("xor", 6, LOCK, AF),
	ARITHMETIC("cmp", 7, 0, 0),
	TWO("test", 0, 0x84, -1, NONE, 0, AF),
	TWO("test", 0, 0xa8, -1, IMMZ, NOMODRM, AF),
	TWO("test", 0, 0xf6, 0, IMMZ, 0, AF),
	TWO("test", 0, 0xf6, 1, IMMZ, 0, AF),
	TWO("not", 0, 0xf6, 2, NONE, LOCK, 0),
	TWO("neg", 0, 0xf6, 3, NONE, LOCK, 0),
	TWO("inc", 0, 0xfe, 0, NONE, LOCK, 0),
	TWO("dec", 0, 0xfe, 1, NONE, LOCK, 0),
	ONE("imul", 1, 0xaf, -1, NONE, 0, SF | ZF | AF | PF),
	ONE("imul", 0, 0x69, -1, IMMZ, 0, SF | ZF | AF | PF),
	ONE("imul", 0, 0x6b, -1, IMM8, 0, SF | ZF | AF | PF),
	SHIFTS("rol", 0, ROTATE),
	SHIFTS("ror", 1, ROTATE),
	SHIFTS("rcl", 2, ROTATE),
	SHIFTS("rcr", 3, ROTATE),
	SHIFTS("shl", 4, SHIFT),
	SHIFTS("shr", 5, SHIFT),
	SHIFTS("sal", 6, SHIFT),
	SHIFTS("sar", 7, SHIFT),
	DOUBLE_SHIFTS("shld", 0xa4),
	DOUBLE_SHIFTS("shrd", 0xac),
	BIT_TESTS("bt", 0xa3, 4, 0),
	BIT_TESTS("bts", 0xab, 5, LOCK),
	BIT_TESTS("btr", 0xb3, 6, LOCK),
	BIT_TESTS("btc", 0xbb, 7, LOCK),
	ONE("bsf", 1, 0xbc, -1, NONE, 0, STATUS & ~ZF),
	ONE("bsr", 1, 0xbd, -1, NONE, 0, STATUS & ~ZF),
	TWO("xchg", 0, 0x86, -1, NONE, LOCK | ATOMIC, 0),
	TWO("xadd", 1, 0xc0, -1, NONE, LOCK, 0),
	TWO("cmpxchg", 1, 0xb0, -1, NONE, LOCK | CMPXCHG, 0),
	CONDITIONS("setcc", 0x90, BYTE), CONDITIONS("setcc", 0x98, BYTE),
	CONDITIONS("cmovcc", 0x40, 0), CONDITIONS("cmovcc", 0x48, 0),

	TWO("mov", 0, 0x88, -1, NONE, 0, 0),
	TWO("mov", 0, 0x8a, -1, NONE, 0, 0),
	TWO("mov", 0, 0xa0, -1, NONE, MOFFS, 0),
	TWO("mov", 0, 0xa2, -1, NONE, MOFFS, 0),
	TWO("mov", 0, 0xc6, 0, IMMZ, 0, 0),
	WIDTH("mov sreg", 0, 0x8c, 2, SEGREG),
	WIDTH("movsxd", 0, 0x63, 4, LONG | NO66),
	WIDTH("movzx", 1, 0xb6, 1, 0), WIDTH("movzx", 1, 0xb7, 2, 0),
	WIDTH("movsx", 1, 0xbe, 1, 0), WIDTH("movsx", 1, 0xbf, 2, 0),
	ONE("movbe", 2, 0xf0, -1, NONE, MEM, 0),
	ONE("movbe", 2, 0xf1, -1, NONE, MEM, 0),
	ONE("movnti", 1, 0xc3, -1, NONE, MEM | NO66 | NO16, 0),
	ONE("push", 0, 0xff, 6, NONE, STACK | D64, 0),
	ONE("pop", 0, 0x8f, 0, NONE, STACK | D64 | POP_RM, 0),
	ONE("push", 0, 0x50, -1, NONE, STACK | D64 | OPREG, 0),
	ONE("pop", 0, 0x58, -1, NONE, STACK | D64 | OPREG, 0),
	ONE("push", 0, 0x68, -1, IMMZ, STACK | D64 | NOMODRM, 0),
	ONE("push", 0, 0x6a, -1, IMM8, STACK | D64 | NOMODRM, 0),
	TWO("movs", 0, 0xa4, -1, NONE, STRING, 0),
	TWO("cmps", 0, 0xa6, -1, NONE, STRING | COMPARE, 0),
	TWO("stos", 0, 0xaa, -1, NONE, STRING, 0),
	TWO("lods", 0, 0xac, -1, NONE, STRING, 0),
	TWO("scas", 0, 0xae, -1, NONE, STRING | COMPARE, 0),

	VECTOR("movups", 1, 0x10, 0, FULL, VEX), VECTOR("movups", 1, 0x11, 0, FULL, VEX),
	VECTOR("movupd", 1, 0x10, 0x66, FULL, VEX), VECTOR("movupd", 1, 0x11, 0x66, FULL, VEX),
	VECTOR("movss", 1, 0x10, 0xf3, 4, VEX), VECTOR("movss", 1, 0x11, 0xf3, 4, VEX),
	VECTOR("movsd", 1, 0x10, 0xf2, 8, VEX), VECTOR("movsd", 1, 0x11, 0xf2, 8, VEX),
	VECTOR("movlps", 1, 0x12, 0, 8, 0), VECTOR("movlps", 1, 0x13, 0, 8, VEX),
	VECTOR("movlpd", 1, 0x12, 0x66, 8, 0), VECTOR("movlpd", 1, 0x13, 0x66, 8, VEX),
	VECTOR("movhps", 1, 0x16, 0, 8, 0), VECTOR("movhps", 1, 0x17, 0, 8, VEX),
	VECTOR("movhpd", 1, 0x16, 0x66, 8, 0), VECTOR("movhpd", 1, 0x17, 0x66, 8, VEX),
	VECTOR("movaps", 1, 0x28, 0, FULL, VEX | ALIGNED),
	VECTOR("movaps", 1, 0x29, 0, FULL, VEX | ALIGNED),
	VECTOR("movapd", 1, 0x28, 0x66, FULL, VEX | ALIGNED),
	VECTOR("movapd", 1, 0x29, 0x66, FULL, VEX | ALIGNED),
	VECTOR("movntps", 1, 0x2b, 0, FULL, VEX | ALIGNED),
	VECTOR("movntpd", 1, 0x2b, 0x66, FULL, VEX | ALIGNED),
	VECTOR("movd", 1, 0x6e, 0x66, W, VEX), VECTOR("movd", 1, 0x7e, 0x66, W, VEX),
	VECTOR("movq", 1, 0x7e, 0xf3, 8, VEX), VECTOR("movq", 1, 0xd6, 0x66, 8, VEX),
	VECTOR("movdqa", 1, 0x6f, 0x66, FULL, VEX | ALIGNED),
	VECTOR("movdqa", 1, 0x7f, 0x66, FULL, VEX | ALIGNED),
	VECTOR("movdqu", 1, 0x6f, 0xf3, FULL, VEX), VECTOR("movdqu", 1, 0x7f, 0xf3, FULL, VEX),
	VECTOR("movntdq", 1, 0xe7, 0x66, FULL, VEX | ALIGNED),
	VECTOR("movntdqa", 2, 0x2a, 0x66, FULL, VEX | ALIGNED),
	VECTOR("lddqu", 1, 0xf0, 0xf2, FULL, VEX),
};

/* A case in the making. */
struct making {
	u64			*seed;
	struct random_case	*c;
	const struct spec	*spec;
	u64			*regs;
	u32			fixed;		/* registers whose value is settled */
	u8			rex;		/* with 0x40 when present */
	bool			vex, opsize, adsize, mem;
	unsigned int		vec_len;
	unsigned int		size, asize;	/* operand and address, in bytes */
	unsigned int		bytes;		/* in memory */
	int			override;	/* segment register, or -1 */
	u8			rep, lock;	/* F2, F3; F0 */
	u8			reg;		/* ModRM.reg with REX.R */
	u8			tail[12];	/* ModRM, SIB, displacement, immediate */
	unsigned int		tail_len;
	unsigned int		rip_at;		/* where in it a displacement from RIP is; 0: nowhere */
	u64			rip_target;
};

u64 random_next(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dULL;
}

static unsigned int below(struct making *m, unsigned int n)
{
	return (random_next(m->seed) >> 33) % n;
}

static bool one_in(struct making *m, unsigned int n)
{
	return !below(m, n);
}

/* Numbers near the edges more often than chance would have them. */
static u64 value(struct making *m)
{
	u64 r = random_next(m->seed);

	switch (below(m, 6)) {
	case 0:
		return below(m, 256);
	case 1:
		return (1ULL << (8 << below(m, 4)) / 2 << (r & 1)) - (r >> 1 & 3);
	case 2:
		return -(u64)below(m, 256);
	default:
		return r;
	}
}

static u64 low_mask(unsigned int size)
{
	return ~0ULL >> (64 - 8 * size);
}

static void set_reg(struct making *m, unsigned int nr, u64 val)
{
	m->regs[nr] = m->c->mode == EMU_MODE_LONG ? val : (u32)val;
	m->fixed |= 1 << nr;
}

/* An address comes out of the low @asize bytes; the rest is noise. */
static void set_address_reg(struct making *m, unsigned int nr, u64 val)
{
	u64 mask = low_mask(m->asize);

	set_reg(m, nr, (val & mask) | (random_next(m->seed) & ~mask));
}

static u64 segment_base(struct making *m, unsigned int seg)
{
	if (m->c->mode != EMU_MODE_LONG)
		return native_segment(m->c->segments[seg]).base;
	return seg == EMU_GS ? NATIVE_GS_BASE : 0;
}

/*
 * A linear address: mostly in the writable page, at times across its borders,
 * across the border of a segment, or where no address is canonical.
 */
static u64 target(struct making *m, unsigned int bytes, bool align, bool nowhere)
{
	static const u64 borders[] = {
		NATIVE_DATA, NATIVE_DATA + NATIVE_PAGE, NATIVE_DATA + 2 * NATIVE_PAGE,
		NATIVE_DATA + 0x400, NATIVE_DATA + 0xc00,
	};
	u64 la = NATIVE_DATA + 64 + below(m, NATIVE_PAGE - 256);

	if (one_in(m, 8))
		la = borders[below(m, 5)] + below(m, 2 * bytes + 1) - bytes;
	else if (one_in(m, 32))
		la += NATIVE_PAGE;
	if (nowhere && one_in(m, 64))
		return 0x8000000000000000 | random_next(m->seed) >> 4;
	return align ? la & -(u64)bytes : la;
}

static void poke(struct making *m, u64 la)
{
	u64 val = value(m);

	if (la >= NATIVE_DATA && la + sizeof(val) <= NATIVE_DATA + NATIVE_PAGE)
		memcpy((void *)la, &val, sizeof(val));
}

static void put(struct making *m, u64 val, unsigned int n)
{
	memcpy(m->tail + m->tail_len, &val, n);
	m->tail_len += n;
}

static void choose_sizes(struct making *m)
{
	enum emu_mode mode = m->c->mode;
	u32 flags = m->spec->flags;

	m->opsize = !(flags & NO66) && one_in(m, 4);
	m->adsize = one_in(m, 6);
	if (mode == EMU_MODE_LONG) {
		if (one_in(m, 2))
			m->rex = 0x40 | (random_next(m->seed) & 15);
		m->size = m->rex & 8 ? 8 : m->opsize ? 2 : flags & D64 ? 8 : 4;
		m->asize = m->adsize ? 4 : 8;
	} else {
		m->size = (mode == EMU_MODE_PROT32) != m->opsize ? 4 : 2;
		m->asize = (mode == EMU_MODE_PROT32) != m->adsize ? 4 : 2;
	}
	if (flags & BYTE)
		m->size = 1;
	else if (flags & NO16 && m->size == 2)
		m->size = 4;
	m->vex = flags & VEX && native_vec_bytes() == 32 && one_in(m, 2);
	m->vec_len = m->vex && m->spec->bytes == FULL && one_in(m, 2) ? 32 : 16;
	m->bytes = m->spec->bytes ?: m->size;
	if (m->bytes == FULL)
		m->bytes = m->vec_len;
	else if (m->bytes == W)
		m->bytes = m->rex & 8 ? 8 : 4;
	else if (m->spec->bytes && !(flags & VEC) && m->bytes > m->size)
		m->bytes = m->size;
}

static void choose_segments(struct making *m)
{
	static const u8 overrides[] = { EMU_GS, EMU_GS, EMU_ES, EMU_CS, EMU_SS, EMU_DS };
	unsigned int i;

	m->override = one_in(m, 4) ? overrides[below(m, 6)] : -1;
	if (m->c->mode == EMU_MODE_LONG)
		return;
	for (i = 0; i < EMU_NSEGS; i++) {
		m->c->segments[i] = NATIVE_FLAT + below(m, NATIVE_NSEGMENTS - NATIVE_FLAT);
		if (one_in(m, 2))
			m->c->segments[i] = NATIVE_STACK16;
	}
	m->c->segments[EMU_CS] = m->c->mode == EMU_MODE_PROT32 ? NATIVE_CS32 : NATIVE_CS16;
	while (m->c->segments[EMU_SS] == NATIVE_NULL || m->c->segments[EMU_SS] == NATIVE_READ_ONLY)
		m->c->segments[EMU_SS] = NATIVE_FLAT + below(m, NATIVE_NSEGMENTS - NATIVE_FLAT);
}

/* The segment that the operand is in, and the effective address @la has there. */
static u64 effective(struct making *m, u64 la, unsigned int default_seg)
{
	unsigned int seg = default_seg;

	if (m->override == EMU_GS || (m->override >= 0 && m->c->mode != EMU_MODE_LONG))
		seg = m->override;
	return la - segment_base(m, seg);
}

static bool fits(u64 disp, unsigned int asize)
{
	return asize < 8 || (s64)disp == (s32)disp;
}

/* 16-bit addressing: two registers at most, one of which gives way. */
static bool address16(struct making *m, u64 la)
{
	static const s8 regs[8][2] = {
		{ EMU_RBX, EMU_RSI }, { EMU_RBX, EMU_RDI }, { EMU_RBP, EMU_RSI }, { EMU_RBP, EMU_RDI },
		{ EMU_RSI, -1 }, { EMU_RDI, -1 }, { EMU_RBP, -1 }, { EMU_RBX, -1 },
	};
	unsigned int mod = below(m, 3), rm = below(m, 8);
	bool absolute = mod == 0 && rm == 6;
	u64 ea = effective(m, la, regs[rm][0] == EMU_RBP && !absolute ? EMU_SS : EMU_DS);
	u64 disp = mod == 0 ? 0 : mod == 1 ? (s8)value(m) : value(m);
	unsigned int base = regs[rm][0];

	if (!absolute && regs[rm][1] >= 0)
		ea -= m->regs[(unsigned int)regs[rm][1]];
	if (absolute || m->fixed & 1 << base) {
		disp = ea - (absolute ? 0 : m->regs[base]);
		if (!absolute)
			mod = 2;
	} else {
		set_address_reg(m, base, ea - disp);
	}
	put(m, mod << 6 | (m->reg & 7) << 3 | rm, 1);
	put(m, disp, absolute ? 2 : mod);
	return true;
}

/* 32- and 64-bit addressing; false if this try cannot reach the target. */
static bool address32(struct making *m, u64 la)
{
	bool long_mode = m->c->mode == EMU_MODE_LONG;
	unsigned int rex_b = m->rex & 1 ? 8 : 0, rex_x = m->rex & 2 ? 8 : 0;
	unsigned int mod = below(m, 3), rm = below(m, 8), scale = below(m, 4), index = 4, base = rm;
	bool sib = rm == 4, no_base;
	u64 ea, disp, sum = 0;

	if (sib) {
		index = below(m, 8) | rex_x;
		base = below(m, 8);
	}
	no_base = mod == 0 && base == 5;
	base |= rex_b;
	if (no_base && !sib && long_mode) {
		m->rip_target = effective(m, la, EMU_DS);
		m->rip_at = 1;
		put(m, (m->reg & 7) << 3 | 5, 1);
		put(m, 0, 4);
		return true;
	}
	if (index != 4) {
		if (!(m->fixed & 1 << index) && one_in(m, 2))
			set_reg(m, index, below(m, 256));
		sum = m->regs[index] << scale;
		m->fixed |= 1 << index;
	}
	ea = effective(m, la, !no_base && (base == EMU_RSP || base == EMU_RBP) ? EMU_SS : EMU_DS);
	if (base == EMU_RSP && !no_base && m->spec->flags & POP_RM)
		ea -= m->size;
	disp = mod == 0 ? 0 : mod == 1 ? (s8)value(m) : (s32)value(m);
	if (no_base || m->fixed & 1 << base) {
		disp = ea - sum - (no_base ? 0 : m->regs[base]);
		mod = no_base ? 0 : 2;
		if (!fits(disp, m->asize))
			return false;
	} else {
		set_address_reg(m, base, ea - sum - disp);
	}
	put(m, mod << 6 | (m->reg & 7) << 3 | rm, 1);
	if (sib)
		put(m, scale << 6 | (index & 7) << 3 | (base & 7), 1);
	put(m, disp, no_base || mod == 2 ? 4 : mod);
	return true;
}

/* ModRM and what it brings, so that the operand is at @la. */
static void address(struct making *m, u64 la)
{
	u64 regs[EMU_NREGS];
	u32 fixed = m->fixed;

	memcpy(regs, m->regs, sizeof(regs));
	for (;;) {
		m->tail_len = 0;
		m->rip_at = 0;
		if (m->asize == 2 ? address16(m, la) : address32(m, la))
			return;
		memcpy(m->regs, regs, sizeof(regs));
		m->fixed = fixed;
	}
}

/* Offset in bytes from the operand to the bit that a register names. */
static s64 bit_offset(struct making *m)
{
	unsigned int unused = 64 - 8 * m->size;
	s64 bit = (s64)(m->regs[m->reg] << unused) >> unused;

	return bit / (s64)(8 * m->size) * m->size -
	       (bit % (s64)(8 * m->size) < 0 ? m->size : 0);
}

/* The operand that ModRM describes. */
static void make_modrm(struct making *m)
{
	u32 flags = m->spec->flags;
	bool whole = flags & (LOCK | ATOMIC);	/* a split lock is slow, or forbidden */
	bool align = whole || (flags & ALIGNED && !one_in(m, 6));
	u64 la;

	m->reg = m->spec->ext >= 0 ? m->spec->ext : (int)below(m, flags & SEGREG ? EMU_NSEGS : 8);
	if (m->spec->ext < 0 && m->rex & 4 && !(flags & SEGREG))
		m->reg |= 8;
	m->mem = flags & MEM || !one_in(m, 8);
	if (!m->mem) {
		put(m, 0xc0 | (m->reg & 7) << 3 | below(m, 8), 1);
		return;
	}
	la = target(m, m->bytes, align, m->asize == 8);
	if (!(flags & CMPXCHG))
		poke(m, la);
	if (flags & BITS) {
		set_reg(m, m->reg, m->asize == 2 ? (s16)value(m) % 2048 : value(m));
		la -= bit_offset(m);
	}
	address(m, la);
}

static void make_string(struct making *m)
{
	unsigned int count = 1 + below(m, 20);
	u64 si = target(m, m->size, false, m->asize == 8);
	u64 di = target(m, m->size, false, m->asize == 8);

	if (m->spec->flags & COMPARE && one_in(m, 2)) {
		memset((void *)NATIVE_DATA, m->regs[EMU_RAX], NATIVE_PAGE);
		poke(m, NATIVE_DATA + 64 + below(m, NATIVE_PAGE - 256));
	}
	if (one_in(m, 3))
		di = si + below(m, 33) - 16;
	set_address_reg(m, EMU_RSI, effective(m, si, EMU_DS));
	set_address_reg(m, EMU_RDI, di - segment_base(m, EMU_ES));
	set_address_reg(m, EMU_RCX, count);
	m->c->compares = m->spec->flags & COMPARE;
	m->c->cmps = m->c->compares && m->spec->opcode < 0xa8;
	if (one_in(m, 3))
		return;
	m->rep = 0xf2 | below(m, 2);
	m->c->rep = true;
	m->c->rep_addr32 = m->c->mode == EMU_MODE_LONG && m->asize == 4;
	if (one_in(m, 16))
		set_address_reg(m, EMU_RCX, 0);
}

static void make_stack(struct making *m)
{
	u64 la = target(m, m->size, false, m->c->mode == EMU_MODE_LONG);

	set_reg(m, EMU_RSP, la - segment_base(m, EMU_SS));
}

/* Values that lead to the rarer outcome often enough. */
static void prepare_operands(struct making *m)
{
	u32 flags = m->spec->flags;
	u64 *memory = (u64 *)(NATIVE_DATA + 64 + below(m, NATIVE_PAGE / 8 - 32) * 8);

	if (flags & CMPXCHG && one_in(m, 2)) {
		memset((void *)NATIVE_DATA, one_in(m, 2) ? 0 : 0x55, NATIVE_PAGE);
		set_reg(m, EMU_RAX, *memory);
	}
	if (flags & DOUBLE && flags & CL)
		set_reg(m, EMU_RCX, value(m) & (m->size == 2 ? ~0x10 : ~0));
}

/* Flags that a shift leaves undefined depend on its count. */
static u64 undefined_after_shift(struct making *m)
{
	u32 flags = m->spec->flags;
	unsigned int count = 1;
	u64 undefined = 0;

	if (flags & CL)
		count = m->regs[EMU_RCX];
	else if (m->spec->imm == IMM8)
		count = m->tail[m->tail_len - 1];
	count &= m->size == 8 ? 63 : 31;
	if (!count)
		return 0;
	if (count != 1)
		undefined |= OF;
	if (flags & (SHIFT | DOUBLE))
		undefined |= AF;
	if (flags & SHIFT && count >= 8 * m->size)
		undefined |= CF;
	return undefined;
}

static void make_imm(struct making *m)
{
	u64 imm = value(m);

	if (m->spec->flags & DOUBLE && m->size == 2)
		imm &= ~0x10;
	if (m->spec->imm == IMM8)
		put(m, imm, 1);
	else if (m->spec->imm == IMMZ)
		put(m, imm, m->size == 8 ? 4 : m->size);
	else if (m->spec->flags & MOFFS)
		put(m, effective(m, target(m, m->bytes, false, m->asize == 8), EMU_DS), m->asize);
}

static void emit(struct making *m, u8 byte)
{
	m->c->bytes[m->c->len++] = byte;
}

static void emit_prefixes(struct making *m)
{
	static const u8 segment[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	u8 list[5], n = 0, i, pick;

	if (m->opsize)
		list[n++] = 0x66;
	if (m->adsize)
		list[n++] = 0x67;
	if (m->override >= 0)
		list[n++] = segment[m->override];
	if (m->lock)
		list[n++] = m->lock;
	if (m->rep)
		list[n++] = m->rep;
	while (n) {
		pick = below(m, n);
		emit(m, list[pick]);
		n--;
		for (i = pick; i < n; i++)
			list[i] = list[i + 1];
	}
}

static void emit_vex(struct making *m)
{
	u8 pp = m->spec->prefix == 0x66 ? 1 : m->spec->prefix == 0xf3 ? 2 : m->spec->prefix ? 3 : 0;
	u8 rest = 0x78 | (m->vec_len == 32 ? 4 : 0) | pp;
	u8 inverted = ~m->rex & 7;

	if (m->c->mode != EMU_MODE_LONG)
		inverted = 7;
	if (m->spec->map == 1 && !(m->rex & 0xb) && one_in(m, 2)) {
		emit(m, 0xc5);
		emit(m, rest | (inverted & 4) << 5);
		return;
	}
	emit(m, 0xc4);
	emit(m, inverted << 5 | m->spec->map);
	emit(m, rest | (m->rex & 8) << 4);
}

static void emit_opcode(struct making *m)
{
	if (m->vex) {
		emit_vex(m);
	} else {
		if (m->spec->prefix)
			emit(m, m->spec->prefix);
		if (m->rex)
			emit(m, m->rex);
		if (m->spec->map)
			emit(m, 0x0f);
		if (m->spec->map == 2)
			emit(m, 0x38);
	}
	emit(m, m->spec->opcode | (m->spec->flags & OPREG ? below(m, 8) : 0));
}

/* Everything, if it fits into 15 bytes. */
static bool make(struct making *m)
{
	struct random_case *c = m->c;
	u32 flags = m->spec->flags, disp;
	unsigned int i;

	choose_sizes(m);
	choose_segments(m);
	prepare_operands(m);
	if (flags & STACK)
		make_stack(m);
	if (flags & STRING)
		make_string(m);
	else if (!(flags & (NOMODRM | MOFFS | OPREG)))
		make_modrm(m);
	make_imm(m);
	if (flags & LOCK ? m->mem && one_in(m, 3) : one_in(m, 64) && !m->vex)
		m->lock = 0xf0;
	emit_prefixes(m);
	emit_opcode(m);
	if (c->len + m->tail_len > EMU_INSN_MAX)
		return false;
	if (m->rip_at) {
		disp = m->rip_target - (NATIVE_CODE + NATIVE_INSN + c->len + m->tail_len);
		if (m->asize == 8 && !fits(m->rip_target, 8))
			return false;
		memcpy(m->tail + m->rip_at, &disp, sizeof(disp));
	}
	for (i = 0; i < m->tail_len; i++)
		emit(m, m->tail[i]);
	c->undefined_flags = m->spec->undefined;
	if (flags & (SHIFT | ROTATE | DOUBLE))
		c->undefined_flags = undefined_after_shift(m);
	return true;
}

void random_case(u64 *seed, enum emu_mode mode, struct random_case *c)
{
	struct making m;
	unsigned int i;

	do {
		m = (struct making) { .seed = seed, .c = c, .regs = c->before.regs };
		memset(c, 0, offsetof(struct random_case, before));
		do {
			m.spec = &specs[below(&m, sizeof(specs) / sizeof(specs[0]))];
		} while (m.spec->flags & LONG && mode != EMU_MODE_LONG);
		c->mode = mode;
		c->name = m.spec->name;
		c->vectors = m.spec->flags & VEC;
		for (i = 0; i < EMU_NREGS; i++)
			c->before.regs[i] = mode == EMU_MODE_LONG ? value(&m) : (u32)value(&m);
		for (i = 0; c->vectors && i < sizeof(c->before.vec) / sizeof(u64); i++)
			((u64 *)c->before.vec)[i] = random_next(seed);
		c->before.rflags = (random_next(seed) & (STATUS | X86_EFLAGS_DF)) |
				   X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	} while (!make(&m));
	c->before.rip = mode == EMU_MODE_LONG ? NATIVE_CODE + NATIVE_INSN : NATIVE_INSN;
}
