// SPDX-License-Identifier: GPL-2.0
/* Every kind of access to memory that is not there: exits, and what the instruction then does. */
#include "test.h"

enum { DEVICE_SIZE = 3 * PAGE_SIZE, LOG_SIZE = 64 };

struct access {
	u64 gpa;
	u32 len;
	bool write;
};

FIXTURE(mmio) {
	struct vm vm;
	struct vcpu *vcpu;
	u8 device[DEVICE_SIZE];		/* what lies at VM_MMIO: it behaves like RAM */
	struct access log[LOG_SIZE];
	u32 accesses;
};

FIXTURE_SETUP(mmio)
{
	self->vcpu = vm_create_one(&self->vm, 0);
	for (u32 i = 0; i < DEVICE_SIZE; i++)
		self->device[i] = 0x80 + i;
}

FIXTURE_TEARDOWN(mmio)
{
	vm_destroy(&self->vm);
}

/* Run the guest with the device: true when it has ended, false at any other exit. */
static bool serve(FIXTURE_DATA(mmio) *self)
{
	struct kvm_run *run = self->vcpu->run;

	while (vcpu_enter(self->vcpu) == KVM_EXIT_MMIO) {
		u8 *at = self->device + (run->mmio.phys_addr - VM_MMIO);

		if (run->mmio.phys_addr < VM_MMIO ||
		    run->mmio.phys_addr + run->mmio.len > VM_MMIO + DEVICE_SIZE)
			vm_die("MMIO at %#llx", run->mmio.phys_addr);
		die_unless(self->accesses < LOG_SIZE && run->mmio.len <= 8);
		self->log[self->accesses++] = (struct access) {
			run->mmio.phys_addr, run->mmio.len, run->mmio.is_write };
		if (run->mmio.is_write)
			memcpy(at, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, at, run->mmio.len);
	}
	return run->exit_reason == KVM_EXIT_IO && run->io.port == PORT_DONE;
}

static u64 run(FIXTURE_DATA(mmio) *self, guest_fn fn, u64 arg)
{
	vcpu_start(self->vcpu, fn, arg);
	if (!serve(self))
		vm_die("exit %s", exit_name(self->vcpu->run->exit_reason));
	return self->vcpu->guest->result;
}

static void poke(FIXTURE_DATA(mmio) *self, u32 offset, u64 val)
{
	memcpy(self->device + offset, &val, sizeof(val));
}

static u64 peek(FIXTURE_DATA(mmio) *self, u32 offset)
{
	u64 val;

	memcpy(&val, self->device + offset, sizeof(val));
	return val;
}

#define REG ((void *)VM_MMIO)

/* An instruction whose memory operand is (%[m]) and whose result is in RAX. */
#define GUEST(name, insn, ...)						\
static u64 name(u64 arg)						\
{									\
	u64 rax = arg;							\
									\
	asm volatile(insn : "+a"(rax) : [m] "D"(REG)			\
		     : "memory", "cc", "rcx", "rdx", "rbx", "rsi", ##__VA_ARGS__); \
	return rax;							\
}

/* ---- plain moves ---- */

GUEST(load8, "movb (%[m]), %%al")
GUEST(load16, "movw (%[m]), %%ax")
GUEST(load32, "movl (%[m]), %%eax")
GUEST(load64, "movq (%[m]), %%rax")
GUEST(load_zx8, "movzbl (%[m]), %%eax")
GUEST(load_zx16, "movzwl (%[m]), %%eax")
GUEST(load_sx8, "movsbq (%[m]), %%rax")
GUEST(load_sx8_16, "movsbw (%[m]), %%ax")
GUEST(load_sx16, "movswl (%[m]), %%eax")
GUEST(load_sx32, "movslq (%[m]), %%rax")
GUEST(load_ah, "movb (%[m]), %%ah")
GUEST(load_moffs, "movabs 0x80000000, %%eax")
GUEST(store8, "movb %%al, (%[m])")
GUEST(store16, "movw %%ax, (%[m])")
GUEST(store32, "movl %%eax, (%[m])")
GUEST(store64, "movq %%rax, (%[m])")
GUEST(store_imm8, "movb $0x5a, (%[m])")
GUEST(store_imm16, "movw $0x1234, (%[m])")
GUEST(store_imm32, "movl $0x12345678, (%[m])")
GUEST(store_imm64, "movq $-2, (%[m])")
GUEST(store_ah, "movb %%ah, (%[m])")
GUEST(store_moffs, "movabs %%eax, 0x80000000")

TEST_F(mmio, a_load_is_one_read_exit_of_its_size)
{
	static const guest_fn loads[] = { load8, load16, load32, load64 };

	for (u32 i = 0; i < 4; i++) {
		self->accesses = 0;
		run(self, loads[i], 0);
		ASSERT_EQ(1, self->accesses);
		EXPECT_EQ(VM_MMIO, self->log[0].gpa);
		EXPECT_EQ(1 << i, self->log[0].len);
		EXPECT_FALSE(self->log[0].write);
	}
}

TEST_F(mmio, a_store_is_one_write_exit_of_its_size)
{
	static const guest_fn stores[] = { store8, store16, store32, store64 };

	for (u32 i = 0; i < 4; i++) {
		self->accesses = 0;
		run(self, stores[i], 0);
		ASSERT_EQ(1, self->accesses);
		EXPECT_EQ(VM_MMIO, self->log[0].gpa);
		EXPECT_EQ(1 << i, self->log[0].len);
		EXPECT_TRUE(self->log[0].write);
	}
}

#define DATA 0xf1e2d3c4b5a69788
#define RAX  0x0102030405060708

TEST_F(mmio, loads_fill_what_they_should_of_the_register)
{
	poke(self, 0, DATA);
	EXPECT_EQ(0x0102030405060788, run(self, load8, RAX));
	EXPECT_EQ(0x0102030405069788, run(self, load16, RAX));
	EXPECT_EQ(0xb5a69788, run(self, load32, RAX));
	EXPECT_EQ(DATA, run(self, load64, RAX));
	EXPECT_EQ(0x0102030405068808, run(self, load_ah, RAX));
	EXPECT_EQ(0xb5a69788, run(self, load_moffs, RAX));
}

TEST_F(mmio, movzx_extends_with_zeroes)
{
	poke(self, 0, DATA);
	EXPECT_EQ(0x88, run(self, load_zx8, RAX));
	EXPECT_EQ(0x9788, run(self, load_zx16, RAX));
}

TEST_F(mmio, movsx_extends_with_the_sign)
{
	poke(self, 0, DATA);
	EXPECT_EQ(0xffffffffffffff88, run(self, load_sx8, RAX));
	EXPECT_EQ(0x010203040506ff88, run(self, load_sx8_16, RAX));
	EXPECT_EQ(0xffff9788, run(self, load_sx16, RAX));
	EXPECT_EQ(0xffffffffb5a69788, run(self, load_sx32, RAX));
}

TEST_F(mmio, stores_write_what_they_should)
{
	static const struct {
		guest_fn fn;
		u64 expected;
	} stores[] = {
		{ store8, 0xeeeeeeeeeeeeee08 }, { store16, 0xeeeeeeeeeeee0708 },
		{ store32, 0xeeeeeeee05060708 }, { store64, RAX },
		{ store_ah, 0xeeeeeeeeeeeeee07 }, { store_moffs, 0xeeeeeeee05060708 },
		{ store_imm8, 0xeeeeeeeeeeeeee5a }, { store_imm16, 0xeeeeeeeeeeee1234 },
		{ store_imm32, 0xeeeeeeee12345678 }, { store_imm64, -2ULL },
	};

	for (u32 i = 0; i < ARRAY_SIZE(stores); i++) {
		poke(self, 0, 0xeeeeeeeeeeeeeeee);
		run(self, stores[i].fn, RAX);
		EXPECT_EQ(stores[i].expected, peek(self, 0)) TH_LOG("store %u", i);
	}
}

/* ---- addressing ---- */

GUEST(load_sib, "lea -0x40(%[m]), %%rsi; mov $4, %%ecx; movl 0x20(%%rsi,%%rcx,8), %%eax")
GUEST(load_disp32, "lea -0x12340(%[m]), %%rsi; movl 0x12340(%%rsi), %%eax")
GUEST(load_r12, "mov %[m], %%r12; movl (%%r12), %%eax", "r12")
GUEST(load_r13, "mov %[m], %%r13; movl (%%r13), %%eax", "r13")
GUEST(load_into_r9, "movl (%[m]), %%r9d; mov %%r9, %%rax", "r9")
GUEST(load_into_r15, "movl (%[m]), %%r15d; mov %%r15, %%rax", "r15")
GUEST(load_addr32, "mov $0xf80000000, %%rsi; movl (%%esi), %%eax")

TEST_F(mmio, every_addressing_form_finds_its_operand)
{
	static const guest_fn loads[] = {
		load_sib, load_disp32, load_r12, load_r13, load_into_r9,
		load_into_r15, load_addr32,
	};

	poke(self, 0, DATA);
	for (u32 i = 0; i < ARRAY_SIZE(loads); i++) {
		EXPECT_EQ(0xb5a69788, run(self, loads[i], RAX))
			TH_LOG("form %u", i);
	}
}

extern u8 after_rip_load[];

enum { RIP_DISTANCE = 0x10000000 };

static u64 load_rip(u64 arg)
{
	u64 rax;

	asm volatile("movl 0x10000000(%%rip), %%eax\nafter_rip_load:" : "=a"(rax));
	return rax;
}

TEST_F(mmio, rip_relative_addresses_count_from_the_next_instruction)
{
	vcpu_start(self->vcpu, load_rip, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)after_rip_load + RIP_DISTANCE, self->vcpu->run->mmio.phys_addr);
}

static u64 store_rip(u64 arg)
{
	asm volatile("movl $0x12345678, 0x10000000(%%rip)\nafter_rip_store:" : : : "memory");
	return 0;
}

extern u8 after_rip_store[];

TEST_F(mmio, rip_relative_addresses_count_from_beyond_the_immediate)
{
	vcpu_start(self->vcpu, store_rip, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)after_rip_store + RIP_DISTANCE, self->vcpu->run->mmio.phys_addr);
	EXPECT_EQ(0x12345678, *(u32 *)self->vcpu->run->mmio.data);
}

static u64 load_fs(u64 arg)
{
	u64 val;

	wrmsr(MSR_FS_BASE, VM_MMIO - 0x100);
	asm volatile("mov %%fs:0x100, %0" : "=r"(val));
	return val;
}

TEST_F(mmio, a_segment_base_is_part_of_the_address)
{
	poke(self, 0, DATA);
	EXPECT_EQ(DATA, run(self, load_fs, 0));
}

/* ---- read, modify, write ---- */

GUEST(add, "addl %%eax, (%[m])")
GUEST(or, "orl %%eax, (%[m])")
GUEST(and, "andl %%eax, (%[m])")
GUEST(sub, "subl %%eax, (%[m])")
GUEST(xor, "xorl %%eax, (%[m])")
GUEST(adc, "stc; adcl %%eax, (%[m])")
GUEST(sbb, "stc; sbbl %%eax, (%[m])")
GUEST(inc, "incl (%[m])")
GUEST(dec, "decl (%[m])")
GUEST(not, "notl (%[m])")
GUEST(neg, "negl (%[m])")
GUEST(shl, "shll $4, (%[m])")
GUEST(shr, "movb $4, %%cl; shrl %%cl, (%[m])")
GUEST(sar, "sarl (%[m])")
GUEST(rol, "roll $8, (%[m])")
GUEST(ror, "rorl $8, (%[m])")
GUEST(bts, "btsl $4, (%[m])")
GUEST(btr, "btrl $3, (%[m])")
GUEST(btc, "btcl $0, (%[m])")
GUEST(lock_or, "lock orl $0x10, (%[m])")
GUEST(add_imm8, "addl $-1, (%[m])")

TEST_F(mmio, read_modify_write_instructions_store_their_result)
{
	static const struct {
		const char *name;
		guest_fn fn;
		u32 expected;
	} cases[] = {
		{ "add", add, 0xb5a697a8 }, { "or", or, 0xb5a697a8 },
		{ "and", and, 0x00000000 }, { "sub", sub, 0xb5a69768 },
		{ "xor", xor, 0xb5a697a8 }, { "adc", adc, 0xb5a697a9 },
		{ "sbb", sbb, 0xb5a69767 }, { "inc", inc, 0xb5a69789 },
		{ "dec", dec, 0xb5a69787 }, { "not", not, 0x4a596877 },
		{ "neg", neg, 0x4a596878 }, { "shl", shl, 0x5a697880 },
		{ "shr", shr, 0x0b5a6978 }, { "sar", sar, 0xdad34bc4 },
		{ "rol", rol, 0xa69788b5 }, { "ror", ror, 0x88b5a697 },
		{ "bts", bts, 0xb5a69798 }, { "btr", btr, 0xb5a69780 },
		{ "btc", btc, 0xb5a69789 }, { "lock or", lock_or, 0xb5a69798 },
		{ "add imm8", add_imm8, 0xb5a69787 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		poke(self, 0, DATA);
		self->accesses = 0;
		run(self, cases[i].fn, 0x20);
		EXPECT_EQ(cases[i].expected, (u32)peek(self, 0)) TH_LOG("%s", cases[i].name);
		EXPECT_EQ(2, self->accesses) TH_LOG("%s", cases[i].name);
		EXPECT_EQ(DATA >> 32, peek(self, 0) >> 32) TH_LOG("%s", cases[i].name);
	}
}

GUEST(bts_far, "mov $67, %%ecx; btsq %%rcx, (%[m])")

TEST_F(mmio, bit_offset_in_a_register_reaches_beyond_the_operand)
{
	poke(self, 8, 0);
	run(self, bts_far, 0);
	EXPECT_EQ(1 << 3, peek(self, 8));
}

GUEST(xchg, "xchgl %%eax, (%[m])")
GUEST(xadd, "lock xaddl %%eax, (%[m])")

TEST_F(mmio, xchg_swaps)
{
	poke(self, 0, DATA);
	EXPECT_EQ(0xb5a69788, run(self, xchg, 0x11223344));
	EXPECT_EQ(0x11223344, (u32)peek(self, 0));
}

TEST_F(mmio, xadd_adds_and_returns_the_old_value)
{
	poke(self, 0, 100);
	EXPECT_EQ(100, run(self, xadd, 11));
	EXPECT_EQ(111, (u32)peek(self, 0));
}

GUEST(cmpxchg, "mov $0x77, %%ecx; lock cmpxchgl %%ecx, (%[m])")

TEST_F(mmio, cmpxchg_that_matches_stores)
{
	poke(self, 0, 5);
	EXPECT_EQ(5, run(self, cmpxchg, 5));
	EXPECT_EQ(0x77, (u32)peek(self, 0));
}

TEST_F(mmio, cmpxchg_that_differs_loads)
{
	poke(self, 0, 6);
	EXPECT_EQ(6, run(self, cmpxchg, 5));
	EXPECT_EQ(6, (u32)peek(self, 0));
}

GUEST(pop_push, "push %%rax; popq (%[m]); pushq 8(%[m]); pop %%rax")

TEST_F(mmio, push_and_pop_take_a_memory_operand)
{
	poke(self, 8, DATA);
	EXPECT_EQ(DATA, run(self, pop_push, RAX));
	EXPECT_EQ(RAX, peek(self, 0));
}

/* ---- operands that are only read, and flags ---- */

GUEST(cmp_flags, "cmpl %%eax, (%[m]); pushf; pop %%rax")
GUEST(cmp_reg_mem, "cmpl (%[m]), %%eax; pushf; pop %%rax")
GUEST(test_flags, "testb $0x80, (%[m]); pushf; pop %%rax")
GUEST(add_flags, "addl %%eax, (%[m]); pushf; pop %%rax")
GUEST(bt_flags, "btl $3, (%[m]); pushf; pop %%rax")
GUEST(add_to_reg, "addl (%[m]), %%eax")
GUEST(imul, "imull (%[m]), %%eax")
GUEST(cmov, "cmp %%eax, %%eax; cmovel (%[m]), %%eax")
GUEST(setcc, "cmp %%eax, %%eax; sete (%[m])")

enum { ARITH = X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF };

TEST_F(mmio, cmp_sets_the_flags_and_writes_nothing)
{
	poke(self, 0, 7);
	EXPECT_EQ(X86_EFLAGS_ZF | X86_EFLAGS_PF, run(self, cmp_flags, 7) & ARITH);
	EXPECT_EQ(X86_EFLAGS_CF | X86_EFLAGS_AF | X86_EFLAGS_SF | X86_EFLAGS_PF,
		  run(self, cmp_flags, 8) & ARITH);
	EXPECT_EQ(0, run(self, cmp_reg_mem, 8) & ARITH);
	for (u32 i = 0; i < self->accesses; i++)
		EXPECT_FALSE(self->log[i].write);
}

TEST_F(mmio, test_sets_the_flags)
{
	poke(self, 0, 0x80);
	EXPECT_EQ(X86_EFLAGS_SF, run(self, test_flags, 0) & (ARITH & ~X86_EFLAGS_AF));
}

TEST_F(mmio, add_sets_carry_and_overflow)
{
	poke(self, 0, 0x80000000);
	EXPECT_EQ(X86_EFLAGS_CF | X86_EFLAGS_OF | X86_EFLAGS_ZF | X86_EFLAGS_PF,
		  run(self, add_flags, 0x80000000) & ARITH);
}

TEST_F(mmio, bt_copies_the_bit_to_carry)
{
	poke(self, 0, 8);
	EXPECT_EQ(X86_EFLAGS_CF, run(self, bt_flags, 0) & X86_EFLAGS_CF);
}

TEST_F(mmio, arithmetic_takes_a_memory_source)
{
	poke(self, 0, 7);
	EXPECT_EQ(12, run(self, add_to_reg, 5));
	EXPECT_EQ(35, run(self, imul, 5));
	EXPECT_EQ(7, run(self, cmov, 5));
}

TEST_F(mmio, setcc_writes_a_byte)
{
	poke(self, 0, 0xffff);
	run(self, setcc, 5);
	EXPECT_EQ(0xff01, peek(self, 0) & 0xffff);
}

/* ---- strings ---- */

static u8 buffer[64];

#define STRING(name, insn, source, dest)				\
static u64 name(u64 count)						\
{									\
	u64 rcx = count, rax = 0x4142434445464748;			\
	u64 rsi = (u64)(source), rdi = (u64)(dest);			\
									\
	asm volatile(insn "; cld" : "+c"(rcx), "+S"(rsi), "+D"(rdi), "+a"(rax) \
		     : : "memory", "cc");				\
	return rcx << 56 | (rdi & 0xffff) << 32 | (rsi & 0xffff) << 8 | (rax & 0xff); \
}

STRING(movs_to, "rep movsb", buffer, VM_MMIO)
STRING(movs_from, "rep movsl", VM_MMIO, buffer)
STRING(movs_within, "rep movsw", VM_MMIO, VM_MMIO + 0x100)
STRING(movs_down, "std; rep movsb", buffer + 7, VM_MMIO + 7)
STRING(stos, "rep stosq", 0, VM_MMIO)
STRING(lods, "lodsb", VM_MMIO, 0)
STRING(scas, "repne scasb", 0, VM_MMIO)
STRING(cmps, "repe cmpsb", buffer, VM_MMIO)

TEST_F(mmio, movs_copies_from_ram)
{
	u64 registers;

	memcpy(buffer, "to the device", 13);
	registers = run(self, movs_to, 13);
	EXPECT_EQ(0, memcmp(self->device, "to the device", 13));
	EXPECT_EQ(0, registers >> 56);
	EXPECT_EQ(13, registers >> 32 & 0xffff);
}

TEST_F(mmio, movs_copies_to_ram)
{
	run(self, movs_from, 5);
	EXPECT_EQ(0, memcmp(self->device, buffer, 20));
	EXPECT_EQ(5, self->accesses);
	EXPECT_EQ(0, buffer[20]);
}

TEST_F(mmio, movs_copies_within_the_device)
{
	run(self, movs_within, 3);
	EXPECT_EQ(0, memcmp(self->device, self->device + 0x100, 6));
}

TEST_F(mmio, movs_goes_downwards_under_df)
{
	memcpy(buffer, "abcdefgh", 8);
	run(self, movs_down, 8);
	EXPECT_EQ(0, memcmp(self->device, "abcdefgh", 8));
	EXPECT_EQ(VM_MMIO + 7, self->log[0].gpa);
}

TEST_F(mmio, stos_fills)
{
	run(self, stos, 3);
	EXPECT_EQ(0x4142434445464748, peek(self, 0));
	EXPECT_EQ(0x4142434445464748, peek(self, 16));
	EXPECT_EQ(0x80 + 24, self->device[24]);
}

TEST_F(mmio, lods_loads)
{
	EXPECT_EQ(0x80, run(self, lods, 77) & 0xff);
}

TEST_F(mmio, scas_stops_at_the_match)
{
	self->device[5] = 0x48;
	EXPECT_EQ(77 - 6, run(self, scas, 77) >> 56);
}

TEST_F(mmio, cmps_stops_at_the_difference)
{
	memcpy(buffer, self->device, 10);
	buffer[6] ^= 1;
	EXPECT_EQ(10 - 7, run(self, cmps, 10) >> 56);
}

/* ---- SSE and AVX, as compilers copy with them ---- */

static u8 vectors[64] __attribute__((aligned(32)));

#define VECTOR_COPY(name, insn, reg)					\
static u64 name##_load(u64 arg)						\
{									\
	asm volatile(insn " (%0), %%" reg "; " insn " %%" reg ", (%1)"	\
		     : : "r"(REG), "r"(vectors) : "memory", "xmm0");	\
	return 0;							\
}									\
									\
static u64 name##_store(u64 arg)					\
{									\
	asm volatile(insn " (%0), %%" reg "; " insn " %%" reg ", (%1)"	\
		     : : "r"(vectors), "r"(REG) : "memory", "xmm0");	\
	return 0;							\
}

VECTOR_COPY(movups, "movups", "xmm0")
VECTOR_COPY(movaps, "movaps", "xmm0")
VECTOR_COPY(movdqu, "movdqu", "xmm0")
VECTOR_COPY(movdqa, "movdqa", "xmm0")
VECTOR_COPY(movq, "movq", "xmm0")
VECTOR_COPY(vmovdqu, "vmovdqu", "ymm0")

TEST_F(mmio, sse_moves_load_16_bytes)
{
	static const guest_fn loads[] = { movups_load, movaps_load, movdqu_load, movdqa_load };

	for (u32 i = 0; i < ARRAY_SIZE(loads); i++) {
		memset(vectors, 0, sizeof(vectors));
		run(self, loads[i], 0);
		EXPECT_EQ(0, memcmp(self->device, vectors, 16)) TH_LOG("form %u", i);
	}
}

TEST_F(mmio, sse_moves_store_16_bytes)
{
	static const guest_fn stores[] = {
		movups_store, movaps_store, movdqu_store, movdqa_store };

	for (u32 i = 0; i < ARRAY_SIZE(stores); i++) {
		memset(vectors, 0x31 + i, sizeof(vectors));
		run(self, stores[i], 0);
		EXPECT_EQ(0, memcmp(self->device, vectors, 16)) TH_LOG("form %u", i);
		EXPECT_EQ(0x90, self->device[16]);
	}
}

TEST_F(mmio, movq_of_an_xmm_register_moves_8_bytes)
{
	NEED(!kvm_is_stock(), "stock KVM's emulator has no MOVQ of XMM");
	memset(vectors, 0, sizeof(vectors));
	run(self, movq_load, 0);
	EXPECT_EQ(0, memcmp(self->device, vectors, 8));
	EXPECT_EQ(0, vectors[8]);
	memset(vectors, 0x7e, sizeof(vectors));
	run(self, movq_store, 0);
	EXPECT_EQ(0x7e7e7e7e7e7e7e7e, peek(self, 0));
	EXPECT_EQ(0x88, self->device[8]);
}

enum { XCR0_AVX = 7, BIT_AVX = 1 << 28 };

static void enable_avx(struct vcpu *vcpu)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = XCR0_AVX };
	struct kvm_sregs sregs = vcpu_sregs(vcpu);

	sregs.cr4 |= X86_CR4_OSXSAVE;
	vcpu_set_sregs(vcpu, &sregs);
	kvm_do(vcpu->fd, KVM_SET_XCRS, &xcrs);
}

TEST_F(mmio, avx_moves_copy_32_bytes)
{
	NEED(kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & BIT_AVX, "no AVX");
	NEED(!kvm_is_stock(), "stock KVM's emulator has no AVX");
	enable_avx(self->vcpu);
	run(self, vmovdqu_load, 0);
	EXPECT_EQ(0, memcmp(self->device, vectors, 32));
	memset(vectors, 0x66, sizeof(vectors));
	run(self, vmovdqu_store, 0);
	EXPECT_EQ(0, memcmp(self->device, vectors, 32));
	EXPECT_EQ(0xa0, self->device[32]);
}

static u64 unaligned_movaps(u64 arg)
{
	return guest_try("movaps (%0), %%xmm0", : "r"(VM_MMIO + 8) : "xmm0");
}

TEST_F(mmio, movaps_from_an_unaligned_address_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, run(self, unaligned_movaps, 0));
}

/* ---- page boundaries ---- */

static u64 load_across(u64 gva)
{
	return read64(gva);
}

static u64 store_across(u64 gva)
{
	write64(gva, RAX);
	return 0;
}

TEST_F(mmio, a_load_across_pages_gathers_both_parts)
{
	poke(self, PAGE_SIZE - 3, DATA);
	EXPECT_EQ(DATA, run(self, load_across, VM_MMIO + PAGE_SIZE - 3));
}

TEST_F(mmio, a_store_across_pages_reaches_both)
{
	run(self, store_across, VM_MMIO + PAGE_SIZE - 3);
	EXPECT_EQ(RAX, peek(self, PAGE_SIZE - 3));
	EXPECT_EQ((u8)(0x80 + PAGE_SIZE - 4), self->device[PAGE_SIZE - 4]);
}

static u64 store_vector_across(u64 arg)
{
	asm volatile("vmovdqu (%0), %%ymm0; vmovdqu %%ymm0, (%1)"
		     : : "r"(vectors), "r"(VM_MMIO + PAGE_SIZE - 3) : "memory", "xmm0");
	return 0;
}

/* In pieces of 8 bytes at most: one of 3, and four for the 29 in the other page. */
TEST_F(mmio, an_avx_store_across_pages_reaches_both)
{
	NEED(kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & BIT_AVX, "no AVX");
	NEED(!kvm_is_stock(), "stock KVM's emulator has no AVX");
	enable_avx(self->vcpu);
	for (u32 i = 0; i < 32; i++)
		vectors[i] = 0x11 + i;
	run(self, store_vector_across, 0);
	EXPECT_EQ(5, self->accesses);
	EXPECT_EQ(0, memcmp(self->device + PAGE_SIZE - 3, vectors, 32));
	EXPECT_EQ((u8)(0x80 + PAGE_SIZE + 29), self->device[PAGE_SIZE + 29]);
}

/* Guest pages side by side whose physical pages are not. */
TEST_F(mmio, the_second_page_of_an_access_is_translated_by_itself)
{
	vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P | X86_PTE_W);
	vm_map(VM_UNMAPPED + PAGE_SIZE, VM_MMIO + 2 * PAGE_SIZE, X86_PTE_P | X86_PTE_W);
	memset(self->device + PAGE_SIZE - 4, 0x11, 4);
	memset(self->device + 2 * PAGE_SIZE, 0x22, 4);
	EXPECT_EQ(0x2222222211111111, run(self, load_across, VM_UNMAPPED + PAGE_SIZE - 4));
}

TEST_F(mmio, a_load_across_ram_and_device_gathers_both)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_MMIO - PAGE_SIZE, PAGE_SIZE, 0);

	memset(ram + PAGE_SIZE - 4, 0x33, 4);
	memset(self->device, 0x44, 4);
	EXPECT_EQ(0x4444444433333333, run(self, load_across, VM_MMIO - 4));
}

TEST_F(mmio, a_store_across_ram_and_device_reaches_both)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_MMIO - PAGE_SIZE, PAGE_SIZE, 0);

	run(self, store_across, VM_MMIO - 4);
	EXPECT_EQ(0x05060708, *(u32 *)(ram + PAGE_SIZE - 4));
	EXPECT_EQ(0x01020304, (u32)peek(self, 0));
}

static u64 load_then_outs(u64 arg)
{
	u64 rsi = VM_UNMAPPED;

	read8(VM_UNMAPPED);
	guest_sync(1);
	asm volatile("invlpg (%0); outsb" : "+S"(rsi) : "d"(PORT_SYNC) : "memory");
	return 0;
}

TEST_F(mmio, an_address_that_was_a_devices_is_translated_anew)
{
	const struct kvm_run *run = self->vcpu->run;
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, PAGE_SIZE, 0);

	ram[0] = 0x5a;
	vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P | X86_PTE_W);
	vcpu_start(self->vcpu, load_then_outs, 0);
	ASSERT_FALSE(serve(self));		/* guest_sync() */
	EXPECT_EQ(1, self->accesses);
	vm_map(VM_UNMAPPED, VM_RAM, X86_PTE_P | X86_PTE_W);
	ASSERT_FALSE(serve(self));		/* OUTS */
	ASSERT_EQ(KVM_EXIT_IO, run->exit_reason);
	EXPECT_EQ(1, self->accesses);
	EXPECT_EQ(0x5a, *((u8 *)run + run->io.data_offset));
}

static u64 store_into_hole(u64 arg)
{
	u8 vector = guest_try("movq %%rax, (%0)", : "r"(VM_UNMAPPED + PAGE_SIZE - 4) : "memory");

	guest_check_cr2(VM_UNMAPPED + PAGE_SIZE);
	guest_check_eq(2, this_cpu()->error);
	return vector;
}

TEST_F(mmio, a_store_whose_second_page_is_missing_faults_and_writes_nothing)
{
	vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P | X86_PTE_W);
	EXPECT_EQ(PF_VECTOR, run(self, store_into_hole, 0));
	EXPECT_EQ(0, self->accesses);
}

static u64 movs_from_hole(u64 arg)
{
	u64 rcx = 4, rsi = VM_UNMAPPED + 0x10, rdi = VM_MMIO;
	u8 vector = guest_try("rep movsb", "+c"(rcx), "+S"(rsi), "+D"(rdi) : : "memory");

	guest_check_eq(VM_UNMAPPED + 0x10, this_cpu()->cr2);
	guest_check_eq(4, rcx);
	return vector;
}

TEST_F(mmio, movs_from_a_missing_page_faults_with_the_sources_address)
{
	EXPECT_EQ(PF_VECTOR, run(self, movs_from_hole, 0));
}

/* 48 8b 07: mov (%rdi), %rax; c3: ret.  The page ends within the instruction. */
static u64 call_across_pages(u64 arg)
{
	u64 rax;

	asm volatile("call *%1" : "=a"(rax) : "r"(VM_UNMAPPED + PAGE_SIZE - 1), "D"(REG) : "memory");
	return rax;
}

TEST_F(mmio, an_instruction_across_pages_is_decoded)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 3 * PAGE_SIZE, 0);

	vm_map(VM_UNMAPPED, VM_RAM, X86_PTE_P);
	vm_map(VM_UNMAPPED + PAGE_SIZE, VM_RAM + 2 * PAGE_SIZE, X86_PTE_P);
	ram[PAGE_SIZE - 1] = 0x48;
	memcpy(ram + 2 * PAGE_SIZE, "\x8b\x07\xc3", 3);
	poke(self, 0, DATA);
	EXPECT_EQ(DATA, run(self, call_across_pages, 0));
}

/* ---- the guest's rights hold for emulated accesses too ---- */

static u64 user_load(u64 arg)
{
	return guest_try("mov (%0), %%eax", : "r"(VM_UNMAPPED) : "rax");
}

static u64 load_at_cpl3(u64 arg)
{
	guest_check_eq(PF_VECTOR, guest_user(user_load, 0, 0));
	return this_cpu()->error;
}

TEST_F(mmio, a_supervisor_page_is_closed_to_cpl_3)
{
	vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P | X86_PTE_W);
	EXPECT_EQ(1 | 4, run(self, load_at_cpl3, 0));
	EXPECT_EQ(0, self->accesses);
}

static u64 store_read_only(u64 arg)
{
	guest_check_eq(PF_VECTOR, guest_try("mov %%eax, (%0)", : "r"(VM_UNMAPPED) : "memory"));
	return this_cpu()->error;
}

TEST_F(mmio, a_read_only_page_is_closed_to_stores)
{
	vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P);
	EXPECT_EQ(1 | 2, run(self, store_read_only, 0));
	EXPECT_EQ(0, self->accesses);
}

static u64 add_to_read_only(u64 arg)
{
	guest_check_eq(PF_VECTOR, guest_try("addl %%eax, (%0)", : "r"(VM_UNMAPPED) : "memory"));
	return this_cpu()->error;
}

/* QEMU's TCG reads before it looks whether it may write: the exit speaks of a read. */
TEST_F(mmio, a_read_only_page_is_closed_to_read_modify_write)
{
	vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P);
	EXPECT_EQ(1 | 2, run(self, add_to_read_only, 0));
	EXPECT_EQ(0, self->accesses);
}

static u64 accessed_dirty_bits(u64 arg)
{
	write32(VM_UNMAPPED, 1);
	return 0;
}

TEST_F(mmio, an_access_sets_the_guests_accessed_and_dirty_bits)
{
	u64 *pte = vm_map(VM_UNMAPPED, VM_MMIO, X86_PTE_P | X86_PTE_W);

	run(self, accessed_dirty_bits, 0);
	EXPECT_EQ(X86_PTE_A | X86_PTE_D, *pte & (X86_PTE_A | X86_PTE_D));
}

/* ---- what no emulator knows ---- */

static const u8 aesenc_bytes[] = { 0x66, 0x0f, 0x38, 0xdc, 0x07 };

static u64 aesenc(u64 arg)
{
	asm volatile("aesenc (%0), %%xmm0" : : "D"(REG) : "xmm0");
	return 0;
}

TEST_F(mmio, unknown_instruction_is_an_internal_error_with_its_bytes)
{
	struct kvm_run *run = self->vcpu->run;

	vcpu_start(self->vcpu, aesenc, 0);
	ASSERT_FALSE(serve(self));
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, run->exit_reason);
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, run->emulation_failure.suberror);
	ASSERT_TRUE(run->emulation_failure.flags &
		    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
	ASSERT_GE(run->emulation_failure.insn_size, sizeof(aesenc_bytes));
	EXPECT_EQ(0, memcmp(run->emulation_failure.insn_bytes, aesenc_bytes,
			    sizeof(aesenc_bytes)));
}

static u64 user_aesenc(u64 arg)
{
	return guest_try("aesenc (%0), %%xmm0", : "D"(REG) : "xmm0");
}

static u64 aesenc_at_cpl3(u64 arg)
{
	return guest_user(user_aesenc, 0, 0);
}

TEST_F(mmio, unknown_instruction_at_cpl_3_raises_ud)
{
	EXPECT_EQ(UD_VECTOR, run(self, aesenc_at_cpl3, 0));
}

static u64 run_device(u64 arg)
{
	((void (*)(void))VM_MMIO)();
	return 0;
}

TEST_F(mmio, code_in_a_device_is_an_internal_error)
{
	vcpu_start(self->vcpu, run_device, 0);
	ASSERT_FALSE(serve(self));
	EXPECT_EQ(KVM_EXIT_INTERNAL_ERROR, self->vcpu->run->exit_reason);
}

/* ---- completion ---- */

TEST_F(mmio, a_load_is_completed_by_an_entry_that_exits_immediately)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_IMMEDIATE_EXIT);
	vcpu_start(self->vcpu, load64, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	memset(run->mmio.data, 0x12, 8);
	run->immediate_exit = 1;
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	EXPECT_EQ(0x1212121212121212, vcpu_regs(self->vcpu).rax);
}

TEST_HARNESS_MAIN
