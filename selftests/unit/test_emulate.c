// SPDX-License-Identifier: GPL-2.0
/*
 * The instruction emulator against the manual: what this CPU cannot be asked in
 * user space (see test_emulate_cpu.c), and what it must not do.
 */
#include <asm/processor-flags.h>
#include <string.h>

#include "kselftest_harness.h"

#include "emulate_guest.h"
#include "emulate_random.h"

#define CODE	0x1000U		/* where they are, 4 KiB into the memory below */
#define DATA	0x3000U

static u8 ram[0x20000];

static void guest_with_ram(struct guest *guest, enum emu_mode mode)
{
	guest_init(guest, mode);
	memset(ram, 0, sizeof(ram));
	guest->regions[0] = (struct guest_region) { 0, sizeof(ram), ram, true };
	guest->emu.rip = CODE;
}

static int run(struct guest *guest, const u8 *bytes, unsigned int len)
{
	memcpy(ram + CODE, bytes, len);
	guest->emu.rip = CODE;
	return guest_run(guest);
}

#define BYTES(...)	(const u8[]) { __VA_ARGS__ }, sizeof((const u8[]) { __VA_ARGS__ })
#define RUN(guest, ...)	run(guest, BYTES(__VA_ARGS__))

static u64 load(unsigned int at, unsigned int len)
{
	u64 val = 0;

	memcpy(&val, ram + at, len);
	return val;
}

static void store(unsigned int at, u64 val, unsigned int len)
{
	memcpy(ram + at, &val, len);
}

TEST(a_mov_to_memory_writes_the_register_and_moves_rip)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RAX] = 0x1122334455667788;
	g.regs[EMU_RBX] = DATA;
	g.emu.rflags |= X86_EFLAGS_RF;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x89, 0x43, 0x10));		/* mov %eax,0x10(%rbx) */
	ASSERT_EQ(0x55667788, load(DATA + 0x10, 8));
	ASSERT_EQ(CODE + 3, g.emu.rip);
	ASSERT_EQ(X86_EFLAGS_FIXED, g.emu.rflags);
}

TEST(bytes_that_the_cpu_reported_are_not_fetched_again)
{
	static const u8 assist[EMU_INSN_MAX] = { 0x8b, 0x0b };	/* mov (%rbx),%ecx */
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	ASSERT_EQ(EMU_DONE, emu_decode(&g.emu, assist, sizeof(assist)));
	ASSERT_EQ(0, g.fetches);
	ASSERT_EQ(2, g.emu.insn.len);
	ram[CODE + 1] = 0x0b;
	ASSERT_EQ(EMU_DONE, emu_decode(&g.emu, assist, 1));
	ASSERT_EQ(1, g.fetches);
	ASSERT_EQ(2, g.emu.insn.len);
}

TEST(an_instruction_across_pages_is_fetched_in_two_parts)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	memcpy(ram + 0x1ffd, BYTES(0xc7, 0x03, 0x78, 0x56, 0x34, 0x12));
	g.emu.rip = 0x1ffd;
	g.regs[EMU_RBX] = DATA;
	ASSERT_EQ(EMU_DONE, guest_run(&g));
	ASSERT_EQ(0x12345678, load(DATA, 4));
	ASSERT_EQ(2, g.fetches);
}

TEST(the_page_behind_an_instruction_is_left_alone)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regions[0].len = 0x2000;
	g.regs[EMU_RBX] = 0x800;
	memcpy(ram + 0x1ffe, BYTES(0x88, 0x03));		/* mov %al,(%rbx) */
	g.emu.rip = 0x1ffe;
	ASSERT_EQ(EMU_DONE, guest_run(&g));
}

TEST(a_fetch_fault_names_the_page_that_is_missing)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.emu.cpl = 3;
	g.regions[0].len = 0x2000;
	memcpy(ram + 0x1ffe, BYTES(0xf0, 0xc7));		/* LOCK is wrong, but unread */
	g.emu.rip = 0x1ffe;
	ASSERT_EQ(EMU_FAULT, guest_run(&g));
	ASSERT_EQ(14, g.emu.fault.vector);
	ASSERT_EQ(0x2000, g.emu.fault.address);
	ASSERT_EQ(1 << 2 | 1 << 4, g.emu.fault.error_code);	/* user, fetch */
	ASSERT_EQ(2, g.emu.insn.fetched);
}

TEST(fifteen_bytes_run_and_sixteen_are_gp)
{
	u8 bytes[16];
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	memset(bytes, 0x66, sizeof(bytes));
	memcpy(bytes + 13, BYTES(0x89, 0x03));
	g.regs[EMU_RBX] = DATA;
	ASSERT_EQ(EMU_DONE, run(&g, bytes, 15));
	ASSERT_EQ(CODE + 15, g.emu.rip);

	bytes[13] = 0x66;
	memcpy(bytes + 14, BYTES(0x89, 0x03));
	ASSERT_EQ(EMU_FAULT, run(&g, bytes, 16));
	ASSERT_EQ(13, g.emu.fault.vector);
	ASSERT_EQ(0, g.emu.fault.error_code);
	ASSERT_EQ(CODE, g.emu.rip);
}

TEST(nothing_but_prefixes_ends_at_the_fifteenth)
{
	u8 bytes[16];
	struct guest g;

	memset(bytes, 0x66, sizeof(bytes));
	guest_with_ram(&g, EMU_MODE_LONG);
	memset(g.emu.insn.bytes, 0x66, sizeof(g.emu.insn.bytes));
	ASSERT_EQ(EMU_FAULT, run(&g, bytes, sizeof(bytes)));
	ASSERT_EQ(13, g.emu.fault.vector);
	ASSERT_EQ(15, g.emu.insn.fetched);
}

TEST(a_rex_prefix_counts_only_right_before_the_opcode)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = DATA;
	g.regs[EMU_RAX] = ~0ULL;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x48, 0x3e, 0x89, 0x03));
	ASSERT_EQ(0xffffffff, load(DATA, 8));
}

/* ---- Modes and segments ---- */

TEST(real_mode_adds_the_segment_base_to_sixteen_bits)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_REAL);
	g.segments[EMU_DS].base = 0x8000;
	g.segments[EMU_SS].base = 0x9000;
	g.regs[EMU_RBX] = 0x10ff0;
	g.regs[EMU_RSI] = 0x0020;
	g.regs[EMU_RBP] = 0x0100;
	g.regs[EMU_RAX] = 0xabcd;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x89, 0x40, 0xf0));		/* mov %ax,-16(%bx,%si) */
	ASSERT_EQ(0xabcd, load(0x8000 + 0x1000, 2));
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x89, 0x42, 0x02));		/* mov %ax,2(%bp,%si): SS */
	ASSERT_EQ(0xabcd, load(0x9000 + 0x122, 2));
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x3e, 0x89, 0x42, 0x02));	/* the same in DS */
	ASSERT_EQ(0xabcd, load(0x8000 + 0x122, 2));
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xa3, 0x34, 0x12));		/* mov %ax,0x1234 */
	ASSERT_EQ(0xabcd, load(0x8000 + 0x1234, 2));
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x67, 0x66, 0x89, 0x84, 0x73, 0x40, 0x60, 0xff, 0xff));
	ASSERT_EQ(0xabcd, load(0x8000 + 0x10ff0 + 0x40 - 0xa000 + 0x40, 4));
}

TEST(in_real_mode_the_limit_is_64_kib_and_gp_has_no_error_code)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_REAL);
	g.regs[EMU_RBX] = 0xffff;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x88, 0x07));		/* mov %al,(%bx) */
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x89, 0x07));		/* mov %ax,(%bx) */
	ASSERT_EQ(13, g.emu.fault.vector);
	ASSERT_FALSE(g.emu.fault.has_error_code);
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x36, 0x89, 0x07));	/* in SS */
	ASSERT_EQ(12, g.emu.fault.vector);
	g.segments[EMU_DS].limit = 0xffffffff;			/* "unreal" mode */
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x89, 0x07));
}

TEST(in_real_mode_any_segment_can_be_written)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_REAL);
	g.segments[EMU_CS].type = TYPE_READABLE_CODE;
	g.regs[EMU_RBX] = DATA;
	g.regs[EMU_RAX] = 0x77;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x2e, 0x88, 0x07));		/* mov %al,%cs:(%bx) */
	ASSERT_EQ(0x77, ram[DATA]);
}

TEST(a_vm86_fault_has_an_error_code)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_VM86);
	g.regs[EMU_RBX] = 0xffff;
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x89, 0x07));
	ASSERT_EQ(13, g.emu.fault.vector);
	ASSERT_TRUE(g.emu.fault.has_error_code);
}

TEST(vex_is_no_prefix_in_real_and_vm86_mode)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_REAL);
	ASSERT_EQ(EMU_UNKNOWN, RUN(&g, 0xc5, 0xf8, 0x10, 0x07));
	guest_with_ram(&g, EMU_MODE_VM86);
	ASSERT_EQ(EMU_UNKNOWN, RUN(&g, 0xc5, 0xf8, 0x10, 0x07));
}

TEST(a_fetch_beyond_the_code_segment_is_gp)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_PROT32);
	g.segments[EMU_CS].limit = CODE + 2;
	g.regs[EMU_RBX] = DATA;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x89, 0x43, 0x10));
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0xc7, 0x43, 0x10, 1, 0, 0, 0));
	ASSERT_EQ(13, g.emu.fault.vector);
}

TEST(only_64_bit_code_goes_beyond_4_gib)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_PROT32);
	g.segments[EMU_CS].limit = 0xffffffff;
	g.segments[EMU_CS].base = 0x10000;
	g.regs[EMU_RBX] = DATA;
	memcpy(ram + 0xfffe, BYTES(0x88, 0x03));
	g.emu.rip = 0xfffffffe;
	ASSERT_EQ(EMU_DONE, guest_run(&g));
	ASSERT_EQ(0, g.emu.rip);
	g.emu.mode = EMU_MODE_LONG;
	g.emu.rip = 0xfffe;
	ASSERT_EQ(EMU_DONE, guest_run(&g));
	ASSERT_EQ(0x10000, g.emu.rip);
}

/* SDM 3B "Segment Wraparound": 64 KiB end at the limit, with #GP, and else not at all. */
TEST(sixteen_bit_code_goes_on_beyond_64_kib)
{
	static const enum emu_mode modes[] = { EMU_MODE_REAL, EMU_MODE_PROT16 };
	struct guest g;
	unsigned int i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		guest_with_ram(&g, modes[i]);
		g.regs[EMU_RBX] = DATA;
		g.segments[EMU_CS].limit = 0xffffffff;
		memcpy(ram + 0xfffe, BYTES(0x88, 0x07, 0x88, 0x07));
		g.emu.rip = 0xfffe;
		ASSERT_EQ(EMU_DONE, guest_run(&g));
		ASSERT_EQ(0x10000, g.emu.rip);
		ASSERT_EQ(EMU_DONE, guest_run(&g));
		ASSERT_EQ(0x10002, g.emu.rip);
		g.segments[EMU_CS].limit = 0xffff;
		ASSERT_EQ(EMU_FAULT, guest_run(&g));
		ASSERT_EQ(13, g.emu.fault.vector);
	}
}

TEST(a_16_bit_stack_pointer_wraps_and_keeps_the_upper_half)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_PROT32);
	g.segments[EMU_SS] = (struct kvm_segment) {
		.limit = 0xffff, .type = TYPE_DATA, .s = 1, .present = 1 };
	g.regs[EMU_RSP] = 0xabcd0000;
	g.regs[EMU_RAX] = 0x12345678;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x50));			/* push %eax */
	ASSERT_EQ(0x12345678, load(0xfffc, 4));
	ASSERT_EQ(0xabcdfffc, g.regs[EMU_RSP]);
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x59));			/* pop %ecx */
	ASSERT_EQ(0x12345678, g.regs[EMU_RCX]);
	ASSERT_EQ(0xabcd0000, g.regs[EMU_RSP]);
}

TEST(canonical_form_follows_la57)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = 0x0000800000000000;
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x89, 0x03));
	ASSERT_EQ(13, g.emu.fault.vector);
	g.regs[EMU_RBX] = 0x00007ffffffffffe;			/* only its end is not */
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x89, 0x03));
	ASSERT_EQ(13, g.emu.fault.vector);
	g.emu.la57 = true;
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x89, 0x03));
	ASSERT_EQ(14, g.emu.fault.vector);
	ASSERT_EQ(0x00007ffffffffffe, g.emu.fault.address);
}

/* ---- LOCK ---- */

/*
 * SDM 2A "LOCK": ADD, ADC, AND, BTC, BTR, BTS, CMPXCHG, CMPXCHG8B, CMPXCHG16B,
 * DEC, INC, NEG, NOT, OR, SBB, SUB, XOR, XADD and XCHG, all with a memory
 * destination.
 */
static bool may_be_locked(bool two_bytes, unsigned int opcode, unsigned int ext)
{
	if (two_bytes)
		return opcode == 0xab || opcode == 0xb3 || opcode == 0xbb ||
		       (opcode == 0xba && ext >= 5) || (opcode >= 0xb0 && opcode <= 0xb1) ||
		       (opcode >= 0xc0 && opcode <= 0xc1) || (opcode == 0xc7 && ext == 1);
	if (opcode < 0x38)
		return (opcode & 7) < 2;
	return ((opcode == 0x80 || opcode == 0x81 || opcode == 0x83) && ext != 7) ||
	       opcode == 0x86 || opcode == 0x87 ||
	       ((opcode == 0xf6 || opcode == 0xf7) && (ext == 2 || ext == 3)) ||
	       ((opcode == 0xfe || opcode == 0xff) && ext < 2);
}

/* Prefixes, escapes and VEX, which are no opcodes. */
static bool is_prefix(unsigned int opcode)
{
	return opcode == 0x0f || (opcode & 0xe7) == 0x26 || (opcode & 0xf0) == 0x40 ||
	       (opcode >= 0x64 && opcode <= 0x67) || opcode == 0xc4 || opcode == 0xc5 ||
	       opcode == 0xf0 || opcode == 0xf2 || opcode == 0xf3;
}

static int decode_locked(struct guest *g, bool two_bytes, unsigned int opcode, u8 modrm)
{
	u8 bytes[EMU_INSN_MAX] = { 0xf0, opcode, modrm };

	if (two_bytes)
		memcpy(bytes + 1, BYTES(0x0f, opcode, modrm));
	return emu_decode(&g->emu, bytes, sizeof(bytes));
}

TEST(lock_is_ud_but_for_the_instructions_that_take_it)
{
	unsigned int i, opcode, ext, two_bytes, allowed = 0;
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	for (i = 0; i < 2 * 256 * 8; i++) {
		ext = i & 7;
		opcode = i >> 3 & 0xff;
		two_bytes = i >> 11;
		if (two_bytes ? opcode == 0x38 : is_prefix(opcode))
			continue;
		ASSERT_EQ(may_be_locked(two_bytes, opcode, ext) ? EMU_DONE : EMU_FAULT,
			  decode_locked(&g, two_bytes, opcode, ext << 3 | EMU_RBX))
			TH_LOG("opcode %x /%u", opcode, ext);
		allowed += may_be_locked(two_bytes, opcode, ext);
		ASSERT_EQ(EMU_FAULT, decode_locked(&g, two_bytes, opcode, 0xc0 | ext << 3 | EMU_RBX));
		ASSERT_EQ(6, g.emu.fault.vector);
		ASSERT_FALSE(g.emu.fault.has_error_code);
	}
	ASSERT_EQ(7 * 2 * 8 + 3 * 7 + 2 * 8 + 2 * 2 + 2 * 2 + 3 * 8 + 3 + 2 * 8 + 2 * 8 + 1, allowed);
}

TEST(a_locked_instruction_tries_again_after_a_race)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = DATA;
	g.cmpxchg_races = 5;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xf0, 0xff, 0x03));		/* lock incl (%rbx) */
	ASSERT_EQ(6, g.cmpxchgs);
	ASSERT_EQ(5 + 1, load(DATA, 4));

	g.regs[EMU_RAX] = 100;
	g.cmpxchg_races = 2;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x87, 0x03));		/* xchg %eax,(%rbx) */
	ASSERT_EQ(8, g.regs[EMU_RAX]);
	ASSERT_EQ(100, load(DATA, 4));
}

TEST(a_locked_cmpxchg_sees_what_another_cpu_wrote)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = DATA;
	g.regs[EMU_RCX] = 7;
	g.cmpxchg_races = 1;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xf0, 0x0f, 0xb1, 0x0b));	/* lock cmpxchg %ecx,(%rbx) */
	ASSERT_EQ(0, g.emu.rflags & X86_EFLAGS_ZF);
	ASSERT_EQ(1, g.regs[EMU_RAX]);
	ASSERT_EQ(1, load(DATA, 4));
}

TEST(an_unlocked_instruction_writes_without_cmpxchg)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = DATA;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xff, 0x03));
	ASSERT_EQ(0, g.cmpxchgs);
	ASSERT_EQ(1, load(DATA, 4));
}

/* ---- Strings and ports ---- */

static void prepare_string(struct guest *g, bool down)
{
	unsigned int i;

	guest_with_ram(g, EMU_MODE_LONG);
	for (i = 0; i < 0x2000; i++)
		ram[DATA + i] = i * 37 >> 4;
	g->regs[EMU_RSI] = DATA + 0x800;
	g->regs[EMU_RDI] = DATA + 0x1800;
	g->regs[EMU_RCX] = 300;
	g->regs[EMU_RDX] = 0x1f0;
	g->regs[EMU_RAX] = 0x1234567890abcdef;
	g->port_in = 42;
	if (down)
		g->emu.rflags |= X86_EFLAGS_DF;
}

/* Enter again after each EMU_AGAIN; return how often that was, -1 on a failure. */
static int run_string(struct guest *g, const u8 *bytes, unsigned int pause_after)
{
	int pauses = -1, r;

	do {
		pauses++;
		g->pause_after = pause_after;
		r = run(g, bytes, 3);
	} while (r == EMU_AGAIN && g->emu.rip == CODE);
	return r == EMU_DONE && g->emu.rip == CODE + 3 ? pauses : -1;
}

static const u8 string_opcodes[] = {
	0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e, 0x6f,
};

TEST(a_paused_rep_ends_as_an_undisturbed_one)
{
	static u8 memory[sizeof(ram)];
	unsigned int i, tf, iterations;
	struct guest once, paused;

	for (i = 0; i < 8 * sizeof(string_opcodes); i++) {
		const u8 insn[] = { i & 1 ? 0xf2 : 0xf3, i & 2 ? 0x48 : 0x40, string_opcodes[i / 8] };

		prepare_string(&once, i & 4);
		ASSERT_EQ(0, run_string(&once, insn, 0));
		iterations = 300 - once.regs[EMU_RCX];
		memcpy(memory, ram, sizeof(ram));
		for (tf = 0; tf < 2; tf++) {
			prepare_string(&paused, i & 4);
			paused.emu.rflags |= tf ? X86_EFLAGS_TF : 0;
			/* it asks after each 64th, and stops after each under TF */
			ASSERT_EQ((iterations - 1) / (tf ? 1 : 64), run_string(&paused, insn, 1));
			paused.emu.rflags &= ~(u64)X86_EFLAGS_TF;
			ASSERT_TRUE(guest_same_outcome(&once, &paused));
			ASSERT_EQ(once.port_out, paused.port_out);
			ASSERT_EQ(once.port_in, paused.port_in);
			ASSERT_EQ(0, memcmp(memory, ram, sizeof(ram)));
		}
	}
}

TEST(a_compare_runs_as_long_as_its_prefix_says)
{
	struct guest g;

	prepare_string(&g, false);
	memset(ram + DATA + 0x1800, 0xef, 100);
	ram[DATA + 0x1800 + 100] = 0;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xf3, 0xae));		/* repe scasb */
	ASSERT_EQ(DATA + 0x1800 + 101, g.regs[EMU_RDI]);
	ASSERT_EQ(300 - 101, g.regs[EMU_RCX]);
	ram[DATA + 0x1800 + 150] = 0xef;
	memset(ram + DATA + 0x1800 + 101, 0, 49);
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xf2, 0xae));		/* repne scasb */
	ASSERT_EQ(DATA + 0x1800 + 151, g.regs[EMU_RDI]);
}

TEST(asking_user_space_in_port_io_loses_no_data)
{
	unsigned int i, ops, at;
	struct guest quiet, guest;

	for (i = 0; i < 8; i++) {
		/* INS and OUTS with REP, IN and OUT */
		const u8 insn[] = { 0xf3, i & 1 ? 0x66 : 0x40, (i & 4 ? 0xec : 0x6c) + (i & 3) };

		prepare_string(&quiet, false);
		quiet.regs[EMU_RCX] = 5;
		ASSERT_EQ(0, run_string(&quiet, insn, 0));
		ops = quiet.ops_before + quiet.ops_in_step;
		for (at = 0; at < ops; at++) {
			prepare_string(&guest, false);
			guest.regs[EMU_RCX] = 5;
			guest.gate = GATE_ASK_ONE;
			guest.gate_at = at;
			ASSERT_EQ(0, run_string(&guest, insn, 0));
			ASSERT_EQ(1, guest.answers);
			ASSERT_TRUE(guest_same_outcome(&quiet, &guest));
			ASSERT_EQ(quiet.port_in, guest.port_in);
			ASSERT_EQ(quiet.port_out, guest.port_out);
		}
	}
}

TEST(ins_faults_before_the_port_gives_its_data)
{
	struct guest g;

	prepare_string(&g, false);
	g.regs[EMU_RDI] = sizeof(ram);
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x6d));
	ASSERT_EQ(14, g.emu.fault.vector);
	ASSERT_EQ(42, g.port_in);
}

TEST(ports_are_32_bits_wide_at_most_and_named_by_dx_or_a_byte)
{
	struct guest g;

	prepare_string(&g, false);
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x48, 0xed));		/* in %dx,%eax */
	ASSERT_EQ(42, g.regs[EMU_RAX]);
	g.regs[EMU_RAX] = 0x11223344;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xe6, 0xf0));		/* out %al,$0xf0 */
	ASSERT_EQ(0x44 + (0xf0ULL << 32) + 1, g.port_out);
	g.port_out = 0;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x66, 0xef));		/* out %ax,%dx */
	ASSERT_EQ(0x3344 + (0x1f0ULL << 32) + 2, g.port_out);
}

TEST(a_port_that_is_not_allowed_is_not_touched)
{
	static const u8 opcodes[] = { 0x6c, 0x6e, 0xec, 0xee, 0xe4, 0xe6 };
	struct guest g;
	unsigned int i;

	for (i = 0; i < sizeof(opcodes); i++) {
		prepare_string(&g, false);
		g.io_denied = true;
		ASSERT_EQ(EMU_FAULT, RUN(&g, opcodes[i], 0x70));
		ASSERT_EQ(13, g.emu.fault.vector);
		ASSERT_EQ(42, g.port_in);
		ASSERT_EQ(0, g.port_out);
		ASSERT_EQ(DATA + 0x800, g.regs[EMU_RSI]);
	}
}

/* ---- System instructions ---- */

TEST(control_registers_are_moved_whole)
{
	static const u8 numbers[] = { 0, 2, 3, 4 };
	struct guest g;
	unsigned int i;

	guest_with_ram(&g, EMU_MODE_LONG);
	for (i = 0; i < sizeof(numbers); i++) {
		g.regs[EMU_RBX] = 0x123456789abc0000 + i;
		ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x22, 0xc3 | numbers[i] << 3));
		ASSERT_EQ(0x123456789abc0000 + i, g.cr[numbers[i]]);
		ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x20, 0x01 | numbers[i] << 3));	/* mod ignored */
		ASSERT_EQ(0x123456789abc0000 + i, g.regs[EMU_RCX]);
	}
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x44, 0x0f, 0x22, 0xc3));	/* mov %rbx,%cr8 */
	ASSERT_EQ(0x123456789abc0003, g.cr[8]);
	g.emu.mode = EMU_MODE_PROT32;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x22, 0xdb));		/* mov %ebx,%cr3 */
	ASSERT_EQ(0x9abc0003, g.cr[3]);
}

TEST(debug_registers_are_moved_whole)
{
	struct guest g;
	unsigned int i;

	guest_with_ram(&g, EMU_MODE_LONG);
	for (i = 0; i < 8; i++) {
		g.regs[EMU_RBX] = 0xabcdef0000 + i;
		ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x23, 0xc3 | i << 3));
		ASSERT_EQ(0xabcdef0000 + i, g.dr[i]);
		ASSERT_EQ(EMU_DONE, RUN(&g, 0x41, 0x0f, 0x21, 0xc3 | i << 3));
		ASSERT_EQ(0xabcdef0000 + i, g.regs[EMU_R11]);
	}
}

TEST(control_and_debug_registers_that_do_not_exist_are_ud)
{
	static const u8 numbers[] = { 1, 5, 6, 7, 9, 15 };
	struct guest g;
	unsigned int i;

	guest_with_ram(&g, EMU_MODE_LONG);
	for (i = 0; i < sizeof(numbers); i++) {
		g.emu.cpl = i & 1 ? 3 : 0;
		ASSERT_EQ(EMU_FAULT, RUN(&g, numbers[i] & 8 ? 0x44 : 0x40, 0x0f, 0x20 + 2 * (i & 1),
					 0xc0 | (numbers[i] & 7) << 3));
		ASSERT_EQ(6, g.emu.fault.vector);
	}
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x44, 0x0f, 0x21, 0xc0));
	ASSERT_EQ(6, g.emu.fault.vector);
}

TEST(system_instructions_need_cpl_0)
{
	static const u8 insns[][3] = {
		{ 0x0f, 0x20, 0xc0 }, { 0x0f, 0x22, 0xc0 }, { 0x0f, 0x21, 0xc0 }, { 0x0f, 0x23, 0xc0 },
		{ 0x0f, 0x06 }, { 0x0f, 0x01, 0xf0 }, { 0x0f, 0x01, 0x3b },
	};
	struct guest g;
	unsigned int i;

	for (i = 0; i < sizeof(insns) / 3; i++) {
		guest_with_ram(&g, EMU_MODE_LONG);
		ASSERT_EQ(EMU_DONE, run(&g, insns[i], 3));
		g.emu.cpl = 3;
		ASSERT_EQ(EMU_FAULT, run(&g, insns[i], 3));
		ASSERT_EQ(13, g.emu.fault.vector);
		ASSERT_TRUE(g.emu.fault.has_error_code);
		ASSERT_EQ(0, g.emu.fault.error_code);
		ASSERT_EQ(CODE, g.emu.rip);
	}
}

TEST(clts_lmsw_and_smsw_work_on_the_low_bits_of_cr0)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.cr[0] = 0x80000000 | X86_CR0_NE | X86_CR0_TS | X86_CR0_PE;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x06));		/* clts */
	ASSERT_EQ(0x80000000 | X86_CR0_NE | X86_CR0_PE, g.cr[0]);
	g.regs[EMU_RBX] = X86_CR0_TS | X86_CR0_EM | X86_CR0_NW;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x01, 0xf3));		/* lmsw %bx: PE stays set */
	ASSERT_EQ(0x80000000 | X86_CR0_NE | X86_CR0_TS | X86_CR0_EM | X86_CR0_PE, g.cr[0]);
	g.regs[EMU_RCX] = ~0ULL;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x01, 0xe1));		/* smsw %ecx */
	ASSERT_EQ(g.cr[0], g.regs[EMU_RCX]);
	g.regs[EMU_RBX] = DATA;
	store(DATA, ~0ULL, 8);
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x01, 0x23));		/* smsw (%rbx) */
	ASSERT_EQ(0xffffffffffff0000 | (u16)g.cr[0], load(DATA, 8));
}

TEST(lmsw_from_missing_memory_faults_and_loads_nothing)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = sizeof(ram);
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x0f, 0x01, 0x33));	/* lmsw (%rbx) */
	ASSERT_EQ(14, g.emu.fault.vector);
	ASSERT_EQ(0, g.cr[0]);
	ASSERT_EQ(CODE, g.emu.rip);
}

TEST(there_are_six_segment_registers)
{
	struct guest g;
	unsigned int i;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = DATA;
	for (i = 0; i < 8; i++) {
		g.segments[i % EMU_NSEGS].selector = 0x100 + i;
		store(DATA, ~0ULL, 8);
		ASSERT_EQ(i < 6 ? EMU_DONE : EMU_FAULT, RUN(&g, 0x8c, 0x03 | i << 3));
		ASSERT_EQ(i < 6 ? 0xffffffffffff0100 + i : ~0ULL, load(DATA, 8));
	}
	ASSERT_EQ(6, g.emu.fault.vector);
}

TEST(smsw_in_user_mode_is_gp_under_umip)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.emu.cpl = 3;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x01, 0xe1));
	g.cr[4] = X86_CR4_UMIP;
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x0f, 0x01, 0xe1));
	ASSERT_EQ(13, g.emu.fault.vector);
	g.emu.cpl = 0;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x01, 0xe1));
}

TEST(invlpg_names_a_linear_address_and_checks_nothing)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.segments[EMU_FS].base = 0x100000;
	g.regs[EMU_RBX] = 0x8000000000000000;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x64, 0x0f, 0x01, 0x7b, 0x10));
	ASSERT_EQ(0x8000000000100010, g.invlpg);
	guest_with_ram(&g, EMU_MODE_PROT32);
	g.segments[EMU_DS].base = 0xfffff000;
	g.segments[EMU_DS].limit = 0;
	g.regs[EMU_RBX] = 0x2000;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0x01, 0x3b));
	ASSERT_EQ(0x1000, g.invlpg);
}

/* ---- What is decoded only, or not at all ---- */

TEST(intercepted_instructions_are_measured_and_stepped_over)
{
	static const struct {
		u8 len, bytes[5];
	} insns[] = {
		{ 2, { 0x0f, 0xa2 } },			/* cpuid */
		{ 2, { 0x0f, 0x30 } }, { 2, { 0x0f, 0x32 } },	/* wrmsr, rdmsr */
		{ 2, { 0x0f, 0x31 } }, { 2, { 0x0f, 0x33 } },	/* rdtsc, rdpmc */
		{ 3, { 0x0f, 0x01, 0xf9 } },		/* rdtscp */
		{ 3, { 0x0f, 0x01, 0xd9 } }, { 3, { 0x0f, 0x01, 0xc1 } },	/* vmmcall, vmcall */
		{ 3, { 0x0f, 0x01, 0xd8 } }, { 3, { 0x0f, 0x01, 0xdf } },	/* vmrun, invlpga */
		{ 3, { 0x0f, 0x01, 0xd1 } }, { 3, { 0x0f, 0x01, 0xfd } },	/* xsetbv, rdpru */
		{ 3, { 0x0f, 0x01, 0xc8 } }, { 3, { 0x0f, 0x01, 0xc9 } },	/* monitor, mwait */
		{ 2, { 0x0f, 0x08 } }, { 2, { 0x0f, 0x09 } }, { 3, { 0xf3, 0x0f, 0x09 } },
		{ 2, { 0xf3, 0x90 } }, { 1, { 0xf4 } },	/* pause, hlt */
		{ 1, { 0xcc } }, { 2, { 0xcd, 0x80 } }, { 1, { 0xf1 } }, { 1, { 0xce } },
		{ 1, { 0xcf } }, { 2, { 0x48, 0xcf } }, { 2, { 0x0f, 0xaa } },	/* iret, rsm */
		{ 5, { 0x66, 0x0f, 0x38, 0x82, 0x0b } },	/* invpcid */
		{ 3, { 0x0f, 0xc7, 0xf0 } },		/* rdrand */
	};
	struct guest g;
	unsigned int i;

	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		guest_with_ram(&g, EMU_MODE_LONG);
		g.emu.rflags |= X86_EFLAGS_RF;
		memcpy(ram + CODE, insns[i].bytes, insns[i].len);
		ASSERT_EQ(EMU_DONE, emu_decode(&g.emu, NULL, 0)) TH_LOG("row %u", i);
		ASSERT_EQ(insns[i].len, g.emu.insn.len) TH_LOG("row %u", i);
		ASSERT_EQ(EMU_UNKNOWN, emu_execute(&g.emu));
		emu_advance(&g.emu);
		ASSERT_EQ(CODE + insns[i].len, g.emu.rip);
		ASSERT_EQ(X86_EFLAGS_FIXED, g.emu.rflags);
	}
}

/* By their length a task switch knows where the old task goes on. */
TEST(far_jumps_and_calls_are_measured_outside_of_long_mode)
{
	static const struct {
		enum emu_mode mode;
		u8 len, bytes[8];
	} insns[] = {
		{ EMU_MODE_PROT32, 7, { 0x9a, 0, 0, 0, 0, 0x20, 0 } },		/* lcall */
		{ EMU_MODE_PROT32, 7, { 0xea, 0, 0, 0, 0, 0x20, 0 } },		/* ljmp */
		{ EMU_MODE_PROT16, 5, { 0xea, 0, 0, 0x20, 0 } },
		{ EMU_MODE_PROT32, 6, { 0x66, 0xea, 0, 0, 0x20, 0 } },
		{ EMU_MODE_PROT32, 3, { 0xff, 0x2c, 0x24 } },			/* ljmp *(%esp) */
		{ EMU_MODE_PROT32, 6, { 0xff, 0x1d, 0, 0x30, 0, 0 } },		/* lcall *0x3000 */
	};
	struct guest g;
	unsigned int i;

	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		guest_with_ram(&g, insns[i].mode);
		memcpy(ram + CODE, insns[i].bytes, insns[i].len);
		ASSERT_EQ(EMU_DONE, emu_decode(&g.emu, NULL, 0)) TH_LOG("row %u", i);
		ASSERT_EQ(insns[i].len, g.emu.insn.len) TH_LOG("row %u", i);
		ASSERT_EQ(EMU_UNKNOWN, emu_execute(&g.emu));
	}
}

TEST(what_is_unknown_says_so_and_shows_its_bytes)
{
	static const u8 insns[][4] = {
		{ 0xd9, 0x03 },			/* fld */
		{ 0x0f, 0x6f, 0x03 },		/* movq to an MMX register */
		{ 0x62, 0xf1, 0x7c, 0x48 },	/* EVEX */
		{ 0x8e, 0x1b },			/* mov to a segment register */
		{ 0xf3, 0x0f, 0xbc, 0x03 },	/* tzcnt */
		{ 0xc5, 0xf8, 0x58, 0x03 },	/* vaddps */
		{ 0x8f, 0xe8, 0x78, 0xc0 },	/* XOP */
		{ 0xc7, 0xf8, 0, 0 },		/* xbegin */
		{ 0x0f, 0x01, 0x13 },		/* lgdt */
		{ 0xf7, 0x23 },			/* mul */
		{ 0xf0, 0x0f, 0xc7, 0x0b },	/* lock cmpxchg8b */
	};
	struct guest g;
	unsigned int i;

	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		guest_with_ram(&g, EMU_MODE_LONG);
		g.regs[EMU_RBX] = DATA;
		ASSERT_EQ(EMU_UNKNOWN, run(&g, insns[i], 4)) TH_LOG("row %u", i);
		ASSERT_LE(2, g.emu.insn.fetched);
		ASSERT_EQ(0, memcmp(g.emu.insn.bytes, insns[i], 2));
		ASSERT_EQ(CODE, g.emu.rip);
	}
	guest_with_ram(&g, EMU_MODE_PROT32);
	ASSERT_EQ(EMU_UNKNOWN, RUN(&g, 0x63, 0x03));		/* arpl */
	ASSERT_EQ(EMU_UNKNOWN, RUN(&g, 0xc5, 0x03));		/* lds */
}

TEST(a_vex_prefix_after_another_or_with_a_register_too_many_is_ud)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = DATA;
	ASSERT_EQ(EMU_DONE, RUN(&g, 0xc5, 0xf8, 0x10, 0x03));	/* vmovups (%rbx),%xmm0 */
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x66, 0xc5, 0xf8, 0x10, 0x03));
	ASSERT_EQ(6, g.emu.fault.vector);
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x40, 0xc5, 0xf8, 0x10, 0x03));
	ASSERT_EQ(6, g.emu.fault.vector);
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0xc5, 0xf0, 0x10, 0x03));	/* vvvv */
	ASSERT_EQ(6, g.emu.fault.vector);
}

TEST(a_vector_move_asks_first_whether_it_is_allowed)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.vec_denied = true;
	g.regs[EMU_RBX] = 0x8000000000000000;
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x0f, 0x28, 0x03));
	ASSERT_EQ(6, g.emu.fault.vector);
}

TEST(two_memory_operands_are_told_from_one)
{
	static const struct {
		bool two;
		u8 bytes[3];
	} insns[] = {
		{ true, { 0xa4 } }, { true, { 0xa7 } },		/* movs, cmps */
		{ true, { 0xff, 0x33 } }, { true, { 0x8f, 0x03 } },	/* push (%rbx), pop (%rbx) */
		{ false, { 0x50 } }, { false, { 0x58 } }, { false, { 0xff, 0xf3 } },
		{ false, { 0xaa } }, { false, { 0x89, 0x03 } }, { false, { 0x6d } },
	};
	struct guest g;
	unsigned int i;

	guest_with_ram(&g, EMU_MODE_LONG);
	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		memcpy(ram + CODE, insns[i].bytes, 3);
		ASSERT_EQ(EMU_DONE, emu_decode(&g.emu, NULL, 0));
		ASSERT_EQ(insns[i].two, g.emu.insn.two_memory) TH_LOG("row %u", i);
	}
}

TEST(clflush_touches_nothing_but_checks_its_segment)
{
	struct guest g;

	guest_with_ram(&g, EMU_MODE_LONG);
	g.regs[EMU_RBX] = sizeof(ram);				/* no memory there */
	ASSERT_EQ(EMU_DONE, RUN(&g, 0x0f, 0xae, 0x3b));
	g.regs[EMU_RBX] = 0x8000000000000000;
	ASSERT_EQ(EMU_FAULT, RUN(&g, 0x0f, 0xae, 0x3b));
	ASSERT_EQ(13, g.emu.fault.vector);
}

TEST(random_bytes_in_every_mode_do_no_harm)
{
	u64 seed = 3, canary = 0x5a5a5a5a5a5a5a5a;
	unsigned int results[EMU_UNKNOWN + 1] = { 0 }, i, j;
	struct { u64 before, regs[EMU_NREGS], after; } fenced = { canary, { 0 }, canary };
	struct guest g;
	int r;

	for (i = 0; i < 1500000; i++) {
		if (i % 64 == 0)
			guest_with_ram(&g, i / 64 % (EMU_MODE_LONG + 1));
		g.emu.regs = fenced.regs;
		g.emu.rip = CODE;
		g.emu.cpl = i & 3;
		g.pause_after = 1;
		for (j = 0; j < EMU_NREGS; j++)
			fenced.regs[j] = random_next(&seed) & (i & 16 ? 0x1ffff : ~0ULL);
		for (j = 0; j < 16; j += 8)
			store(CODE + j, random_next(&seed), 8);
		if (i & 8)
			ram[CODE] = i & 32 ? 0x0f : 0xf3;
		r = guest_run(&g);
		results[r]++;
		ASSERT_GE(EMU_INSN_MAX, g.emu.insn.len);
		ASSERT_GE(g.emu.insn.fetched, g.emu.insn.len);
		if (r == EMU_FAULT || r == EMU_UNKNOWN || r == EMU_AGAIN)
			ASSERT_EQ(CODE, g.emu.rip);
		ASSERT_EQ(canary, fenced.before);
		ASSERT_EQ(canary, fenced.after);
	}
	ASSERT_LT(100000, results[EMU_DONE]);
	ASSERT_LT(100000, results[EMU_FAULT]);
	ASSERT_LT(100000, results[EMU_UNKNOWN]);
	ASSERT_EQ(0, results[EMU_NEED_IO]);
}

TEST_HARNESS_MAIN
