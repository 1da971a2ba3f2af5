// SPDX-License-Identifier: GPL-2.0
/*
 * The instruction emulator against this CPU: random instructions, run by both.
 *
 * EMULATE_SEED and EMULATE_CASES in the environment choose the cases and how
 * many there are; a case that fails is printed with the registers.
 */
#include <asm/processor-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"

#include "emulate_guest.h"
#include "emulate_native.h"
#include "emulate_random.h"

#define STATUS_FLAGS (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | \
		      X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

static u64 from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- The emulator against the CPU ---- */

/* The emulated twin of the native process: same memory, same segments. */
static void guest_like_native(struct guest *guest, const struct random_case *c)
{
	unsigned int i;
	u16 selector;

	guest_init(guest, c->mode);
	guest->emu.cpl = 3;
	guest->emu.rip = c->before.rip;
	guest->emu.rflags = c->before.rflags;
	memcpy(guest->regs, c->before.regs, sizeof(guest->regs));
	if (c->vectors)
		memcpy(guest->vec, c->before.vec, sizeof(guest->vec));
	for (i = 0; c->mode != EMU_MODE_LONG && i < EMU_NSEGS; i++)
		guest->segments[i] = native_segment(c->segments[i]);
	asm("mov %%fs, %0" : "=r" (selector));
	guest->segments[EMU_FS].selector = selector;
	if (c->mode == EMU_MODE_LONG) {
		asm("mov %%es, %0" : "=r" (guest->segments[EMU_ES].selector));
		asm("mov %%cs, %0" : "=r" (guest->segments[EMU_CS].selector));
		asm("mov %%ss, %0" : "=r" (guest->segments[EMU_SS].selector));
		asm("mov %%ds, %0" : "=r" (guest->segments[EMU_DS].selector));
		asm("mov %%gs, %0" : "=r" (guest->segments[EMU_GS].selector));
		guest->segments[EMU_GS].base = NATIVE_GS_BASE;
	}
	guest->regions[0] = (struct guest_region) {
		NATIVE_DATA, NATIVE_PAGE, (u8 *)NATIVE_DATA, true };
	guest->regions[1] = (struct guest_region) {
		NATIVE_DATA + NATIVE_PAGE, NATIVE_PAGE, (u8 *)NATIVE_DATA + NATIVE_PAGE, false };
	guest->regions[2] = (struct guest_region) {
		NATIVE_CODE, NATIVE_PAGE, (u8 *)NATIVE_CODE, true };
}

static struct native_state state_of(const struct guest *guest, int result)
{
	struct native_state state = {
		.rip = guest->emu.rip, .rflags = guest->emu.rflags,
		.faulted = result == EMU_FAULT,
	};

	memcpy(state.regs, guest->regs, sizeof(state.regs));
	memcpy(state.vec, guest->vec, sizeof(state.vec));
	if (state.faulted)
		state.fault = guest->emu.fault;
	return state;
}

static void print_state(const char *who, const struct native_state *s)
{
	unsigned int i;

	fprintf(stderr, "# %s: rip %llx flags %llx", who, (unsigned long long)s->rip,
		(unsigned long long)s->rflags);
	if (s->faulted)
		fprintf(stderr, " fault %u error %x cr2 %llx", s->fault.vector,
			s->fault.error_code, (unsigned long long)s->fault.address);
	for (i = 0; i < EMU_NREGS; i++)
		fprintf(stderr, "%s%016llx", i % 4 ? " " : "\n#   ", (unsigned long long)s->regs[i]);
	fprintf(stderr, "\n");
}

static void print_case(const struct random_case *c)
{
	unsigned int i;

	fprintf(stderr, "# %s, mode %d:", c->name, c->mode);
	for (i = 0; i < c->len; i++)
		fprintf(stderr, " %02x", c->bytes[i]);
	if (c->mode != EMU_MODE_LONG)
		for (i = 0; i < EMU_NSEGS; i++)
			fprintf(stderr, "%s%d", i ? " " : "  segments ", c->segments[i]);
	fprintf(stderr, "\n");
}

static bool same_fault(const struct emu_fault *a, const struct emu_fault *b)
{
	return a->vector == b->vector && a->error_code == b->error_code &&
	       (a->vector != 14 || a->address == b->address);
}

/*
 * Which bits of a register count.  The upper halves are lost on the way out of
 * 32-bit code.  When a REP with 32-bit addresses in long mode ends before its
 * first iteration does, Intel's CPUs clear some of them and AMD's do not.
 */
static u64 significant(const struct random_case *c, unsigned int reg)
{
	bool in_rep = reg == EMU_RCX || reg == EMU_RSI || reg == EMU_RDI;

	return c->mode != EMU_MODE_LONG || (c->rep_addr32 && in_rep) ? 0xffffffff : ~0ULL;
}

/* Name what differs, or return NULL. */
static const char *difference(const struct random_case *c, const struct native_state *cpu,
			      const struct native_state *emu)
{
	u64 flags = (STATUS_FLAGS | X86_EFLAGS_DF) & ~c->undefined_flags;
	unsigned int i;

	/* Intel's CPUs restore the flags when a REP CMPS or SCAS faults: SDM 2B "REP" */
	if (cpu->faulted && c->rep && c->compares)
		flags = X86_EFLAGS_DF;
	if (cpu->faulted != emu->faulted)
		return "fault";
	if (cpu->faulted && !c->cmps && !same_fault(&cpu->fault, &emu->fault))
		return "fault";		/* no manual says which operand CMPS reads first */
	if (cpu->rip != emu->rip)
		return "rip";
	for (i = 0; i < EMU_NREGS; i++)
		if ((cpu->regs[i] ^ emu->regs[i]) & significant(c, i))
			return "registers";
	if ((cpu->rflags ^ emu->rflags) & flags)
		return "flags";
	if (c->vectors && memcmp(cpu->vec, emu->vec, sizeof(cpu->vec)))
		return "vectors";
	return NULL;
}

/* Run one case on both; false, and everything printed, if they disagree. */
static bool agree(const struct random_case *c)
{
	static u8 memory[NATIVE_PAGE], memory_cpu[NATIVE_PAGE];
	void *page = (void *)NATIVE_DATA;
	struct native_state cpu = c->before, emu;
	static struct guest guest;
	const char *what;
	int result;

	memcpy(memory, page, sizeof(memory));
	native_run(&cpu, c->mode, c->segments, c->bytes, c->len, c->vectors);
	memcpy(memory_cpu, page, sizeof(memory));
	memcpy(page, memory, sizeof(memory));

	guest_like_native(&guest, c);
	result = guest_run(&guest);
	emu = state_of(&guest, result);
	what = result != EMU_DONE && result != EMU_FAULT ? "result" :
	       difference(c, &cpu, &emu);
	if (!what && memcmp(page, memory_cpu, sizeof(memory)))
		what = "memory";
	if (!what)
		return true;
	fprintf(stderr, "# %s differ(s), emulator's result %d\n", what, result);
	print_case(c);
	print_state("before", &c->before);
	print_state("CPU", &cpu);
	print_state("emulator", &emu);
	return false;
}

/* Return how many of @cases cases failed; at most a few. */
static unsigned int compare_with_cpu(enum emu_mode mode, u64 cases)
{
	u64 seed = from_environment("EMULATE_SEED", 0x76697472) + mode, i;
	struct random_case c;
	unsigned int failed = 0;

	cases = from_environment("EMULATE_CASES", cases);
	printf("# seed %#llx, %llu cases\n", (unsigned long long)(seed - mode),
	       (unsigned long long)cases);
	fflush(stdout);
	for (i = 0; i < cases && failed < 5; i++) {
		random_case(&seed, mode, &c);
		failed += !agree(&c);
	}
	return failed;
}

TEST(random_instructions_in_64_bit_code_do_what_the_cpu_does)
{
	native_init();
	ASSERT_EQ(0, compare_with_cpu(EMU_MODE_LONG, 700000));
}

TEST(random_instructions_in_32_bit_code_do_what_the_cpu_does)
{
	if (!native_init())
		SKIP(return, "no LDT on this kernel");
	ASSERT_EQ(0, compare_with_cpu(EMU_MODE_PROT32, 200000));
}

TEST(random_instructions_in_16_bit_code_do_what_the_cpu_does)
{
	if (!native_init())
		SKIP(return, "no LDT on this kernel");
	ASSERT_EQ(0, compare_with_cpu(EMU_MODE_PROT16, 200000));
}

/* ---- What user space, faults and other CPUs do in between ---- */

/* Run a random case on the emulator alone; memory is put back afterwards. */
static int run_disturbed(const struct random_case *c, enum guest_gate gate, unsigned int at,
			 struct guest *guest, u8 *memory_after)
{
	static u8 memory[NATIVE_PAGE];
	void *page = (void *)NATIVE_DATA;
	int result;

	memcpy((u8 *)NATIVE_CODE + NATIVE_INSN, c->bytes, c->len);
	memcpy(memory, page, sizeof(memory));
	guest_like_native(guest, c);
	guest->gate = gate;
	guest->gate_at = at;
	result = guest_run(guest);
	memcpy(memory_after, page, sizeof(memory));
	memcpy(page, memory, sizeof(memory));
	return result;
}

static const enum emu_mode random_modes[] = { EMU_MODE_LONG, EMU_MODE_PROT32, EMU_MODE_PROT16 };

TEST(asking_user_space_at_any_point_changes_no_result)
{
	static u8 quiet_memory[NATIVE_PAGE], memory[NATIVE_PAGE];
	static struct guest quiet, guest;
	u64 seed = 1, asked = 0;
	unsigned int i, ops, at;
	struct random_case c;

	native_init();
	for (i = 0; i < 60000; i++) {
		random_case(&seed, random_modes[i % 3], &c);
		if (run_disturbed(&c, GATE_OPEN, 0, &quiet, quiet_memory) != EMU_DONE)
			continue;
		ops = quiet.ops_before + quiet.ops_in_step;
		for (at = 0; at <= ops; at++) {
			ASSERT_EQ(EMU_DONE, run_disturbed(&c, at < ops ? GATE_ASK_ONE : GATE_ASK_ALL,
							  at, &guest, memory));
			ASSERT_EQ(at < ops ? 1 : ops, guest.answers) print_case(&c);
			ASSERT_TRUE(guest_same_outcome(&quiet, &guest)) print_case(&c);
			ASSERT_EQ(0, memcmp(quiet_memory, memory, sizeof(memory))) print_case(&c);
			asked += guest.answers;
		}
	}
	ASSERT_LT(60000, asked);
}

TEST(a_fault_at_any_point_leaves_nothing_changed)
{
	static u8 memory[NATIVE_PAGE], before[NATIVE_PAGE];
	static struct guest guest;
	u64 seed = 2, faults = 0;
	unsigned int i, at;
	struct random_case c;

	native_init();
	for (i = 0; i < 100000; i++) {
		random_case(&seed, random_modes[i % 3], &c);
		memcpy(before, (void *)NATIVE_DATA, sizeof(before));
		for (at = 0; run_disturbed(&c, GATE_FAULT, at, &guest, memory) == EMU_FAULT; at++) {
			if (guest.emu.fault.address != GUEST_FAULT_ADDRESS)
				break;		/* it faults by itself */
			ASSERT_EQ(c.before.rip, guest.emu.rip);
			faults++;
			if (c.rep && at)
				continue;	/* whole iterations may be done */
			ASSERT_EQ(c.before.rflags, guest.emu.rflags) print_case(&c);
			ASSERT_EQ(0, memcmp(guest.regs, c.before.regs, sizeof(guest.regs)))
				print_case(&c);
			ASSERT_EQ(0, memcmp(before, memory, sizeof(memory))) print_case(&c);
		}
	}
	ASSERT_LT(100000, faults);
}

TEST_HARNESS_MAIN
