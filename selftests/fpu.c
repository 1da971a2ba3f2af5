// SPDX-License-Identifier: GPL-2.0
/* x87, SSE and AVX registers: kept over exits and switches, taken out and put back. */
#include "test.h"

/* Only the asm below may touch vector registers. */
#pragma GCC target("general-regs-only")

enum { XCR0_X87 = 1, XCR0_SSE = 2, XCR0_AVX = 4, BIT_XSAVE = 1 << 26, BIT_AVX = 1 << 28 };

FIXTURE(fpu) {
	struct vm vm;
	struct vcpu *vcpus[2];
};

FIXTURE_SETUP(fpu)
{
	vm_create(&self->vm, VM_PLAIN);
	self->vcpus[0] = vm_add_vcpu(&self->vm, 0);
	self->vcpus[1] = vm_add_vcpu(&self->vm, 1);
}

FIXTURE_TEARDOWN(fpu)
{
	vm_destroy(&self->vm);
}

static bool has(u32 bits)
{
	return (kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & bits) == bits;
}

static void enable_avx(struct vcpu *vcpu)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = XCR0_X87 | XCR0_SSE | XCR0_AVX };
	struct kvm_sregs sregs = vcpu_sregs(vcpu);

	sregs.cr4 |= X86_CR4_OSXSAVE;
	vcpu_set_sregs(vcpu, &sregs);
	kvm_do(vcpu->fd, KVM_SET_XCRS, &xcrs);
}

/* ---- the guest's patterns: every register a function of a seed ---- */

static u8 patterns[2][16][32] __attribute__((aligned(32)));
static u8 results[2][16][32] __attribute__((aligned(32)));

static void make_pattern(u32 cpu, u8 seed)
{
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < 32; b++)
			patterns[cpu][r][b] = seed + r * 32 + b;
}

#define ALL_REGISTERS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) \
	X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void load_xmm(const u8 (*from)[32])
{
#define X(n) asm volatile("movaps %0, %%xmm" #n : : "m"(*(const u8 (*)[16])from[n]));
	ALL_REGISTERS(X)
#undef X
}

static void store_xmm(u8 (*to)[32])
{
#define X(n) asm volatile("movaps %%xmm" #n ", %0" : "=m"(*(u8 (*)[16])to[n]));
	ALL_REGISTERS(X)
#undef X
}

static void load_ymm(const u8 (*from)[32])
{
#define X(n) asm volatile("vmovaps %0, %%ymm" #n : : "m"(*(const u8 (*)[32])from[n]));
	ALL_REGISTERS(X)
#undef X
}

static void store_ymm(u8 (*to)[32])
{
#define X(n) asm volatile("vmovaps %%ymm" #n ", %0" : "=m"(*(u8 (*)[32])to[n]));
	ALL_REGISTERS(X)
#undef X
}

static u64 differences(u32 cpu, u32 bytes)
{
	u64 sum = 0;

	for (int r = 0; r < 16; r++)
		for (u32 b = 0; b < bytes; b++)
			sum += patterns[cpu][r][b] != results[cpu][r][b];
	return sum;
}

enum { ROUNDS = 20 };

static u64 sse_over_exits(u64 arg)
{
	u32 cpu = this_cpu()->id;
	u64 wrong = 0;

	load_xmm(patterns[cpu]);
	for (u32 i = 0; i < ROUNDS; i++) {
		cpuid(0, 0);
		guest_sync(i);
		store_xmm(results[cpu]);
		wrong += differences(cpu, 16);
	}
	return wrong;
}

static u64 avx_over_exits(u64 arg)
{
	u32 cpu = this_cpu()->id;
	u64 wrong = 0;

	load_ymm(patterns[cpu]);
	for (u32 i = 0; i < ROUNDS; i++) {
		cpuid(0, 0);
		guest_sync(i);
		store_ymm(results[cpu]);
		wrong += differences(cpu, 32);
	}
	return wrong;
}

/* The host's own use of the registers between two entries. */
static void spoil_host_registers(void)
{
	static u8 other[16][32] __attribute__((aligned(32)));

	memset(other, 0xee, sizeof(other));
	load_xmm((const u8 (*)[32])other);
	asm volatile("fninit; fld1; fldpi");
}

TEST_F(fpu, sse_registers_survive_exits)
{
	make_pattern(0, 3);
	vcpu_start(self->vcpus[0], sse_over_exits, 0);
	for (u32 i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(i, vcpu_sync(self->vcpus[0]));
		spoil_host_registers();
	}
	EXPECT_EQ(0, vcpu_finish(self->vcpus[0]));
}

TEST_F(fpu, avx_registers_survive_exits)
{
	NEED(has(BIT_AVX | BIT_XSAVE), "no AVX");
	make_pattern(0, 5);
	enable_avx(self->vcpus[0]);
	vcpu_start(self->vcpus[0], avx_over_exits, 0);
	for (u32 i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(i, vcpu_sync(self->vcpus[0]));
		spoil_host_registers();
	}
	EXPECT_EQ(0, vcpu_finish(self->vcpus[0]));
}

TEST_F(fpu, two_vcpus_in_one_thread_keep_their_registers_apart)
{
	make_pattern(0, 7);
	make_pattern(1, 77);
	vcpu_start(self->vcpus[0], sse_over_exits, 0);
	vcpu_start(self->vcpus[1], sse_over_exits, 0);
	for (u32 i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(i, vcpu_sync(self->vcpus[0]));
		ASSERT_EQ(i, vcpu_sync(self->vcpus[1]));
	}
	EXPECT_EQ(0, vcpu_finish(self->vcpus[0]));
	EXPECT_EQ(0, vcpu_finish(self->vcpus[1]));
}

static u64 sse_spin(u64 rounds)
{
	u32 cpu = this_cpu()->id;
	u64 wrong = 0;

	load_xmm(patterns[cpu]);
	for (u32 i = 0; i < rounds; i++) {
		cpuid(0, 0);
		store_xmm(results[cpu]);
		wrong += differences(cpu, 16);
	}
	return wrong;
}

TEST_F(fpu, two_vcpus_in_two_threads_keep_their_registers_apart)
{
	make_pattern(0, 9);
	make_pattern(1, 99);
	vcpu_spawn(self->vcpus[0], sse_spin, 400);
	vcpu_spawn(self->vcpus[1], sse_spin, 400);
	EXPECT_EQ(0, vcpu_join(self->vcpus[0]));
	EXPECT_EQ(0, vcpu_join(self->vcpus[1]));
}

static void *host_sse(void *stop)
{
	u8 mine[16][32] __attribute__((aligned(32))), seen[16][32] __attribute__((aligned(32)));
	u64 wrong = 0;

	memset(mine, 0x42, sizeof(mine));
	memset(seen, 0x42, sizeof(seen));
	while (!*(volatile bool *)stop) {
		/* No call into libc, which uses them, between load and store. */
		load_xmm((const u8 (*)[32])mine);
		for (volatile int i = 0; i < 5000; i++)
			;
		store_xmm(seen);
		for (int r = 0; r < 16; r++)
			for (int b = 0; b < 16; b++)
				wrong += seen[r][b] != 0x42;
	}
	return (void *)wrong;
}

TEST_F(fpu, the_guests_registers_do_not_reach_the_host)
{
	volatile bool stop = false;
	pthread_t threads[2];
	void *wrong;

	make_pattern(0, 11);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, host_sse, (void *)&stop));
	EXPECT_EQ(0, vcpu_call(self->vcpus[0], sse_spin, 200));
	stop = true;
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &wrong);
		EXPECT_EQ(0, (u64)wrong);
	}
}

static u64 x87_over_exits(u64 arg)
{
	u16 control = 0x0c7f, control_back;
	u64 sum;

	asm volatile("fninit; fldcw %0; fld1; fld1; faddp" : : "m"(control));
	cpuid(0, 0);
	guest_sync(1);
	asm volatile("fnstcw %0; fistpll %1" : "=m"(control_back), "=m"(sum));
	guest_check_eq(control, control_back);
	return sum;
}

TEST_F(fpu, x87_stack_and_control_word_survive_exits)
{
	vcpu_start(self->vcpus[0], x87_over_exits, 0);
	vcpu_sync(self->vcpus[0]);
	spoil_host_registers();
	EXPECT_EQ(2, vcpu_finish(self->vcpus[0]));
}

/* ---- KVM_GET_FPU, KVM_SET_FPU ---- */

TEST_F(fpu, fpu_state_set_is_the_state_got)
{
	struct kvm_fpu fpu;

	make_pattern(0, 21);
	kvm_do(self->vcpus[0]->fd, KVM_GET_FPU, &fpu);
	EXPECT_EQ(0x37f, fpu.fcw);
	for (int r = 0; r < 16; r++)
		memcpy(fpu.xmm[r], patterns[0][r], 16);
	kvm_do(self->vcpus[0]->fd, KVM_SET_FPU, &fpu);
	memset(&fpu, 0, sizeof(fpu));
	kvm_do(self->vcpus[0]->fd, KVM_GET_FPU, &fpu);
	for (int r = 0; r < 16; r++)
		EXPECT_EQ(0, memcmp(fpu.xmm[r], patterns[0][r], 16));
}

static u64 store_only(u64 arg)
{
	store_xmm(results[0]);
	return differences(0, 16);
}

static u64 load_only(u64 arg)
{
	load_xmm(patterns[0]);
	asm volatile("fninit; fld1");
	return 0;
}

static void set_xmm(struct vcpu *vcpu)
{
	struct kvm_fpu fpu;

	kvm_do(vcpu->fd, KVM_GET_FPU, &fpu);
	for (int r = 0; r < 16; r++)
		memcpy(fpu.xmm[r], patterns[0][r], 16);
	kvm_do(vcpu->fd, KVM_SET_FPU, &fpu);
}

TEST_F(fpu, the_guest_sees_what_set_fpu_set)
{
	make_pattern(0, 1);
	vcpu_call(self->vcpus[0], load_only, 0);
	make_pattern(0, 23);
	set_xmm(self->vcpus[0]);
	EXPECT_EQ(0, vcpu_call(self->vcpus[0], store_only, 0));
}

TEST_F(fpu, a_new_guest_sees_what_set_fpu_set)
{
	NEED(!kvm_is_stock(), "stock KVM loses registers that the guest has never used");
	make_pattern(0, 24);
	set_xmm(self->vcpus[0]);
	EXPECT_EQ(0, vcpu_call(self->vcpus[0], store_only, 0));
}

TEST_F(fpu, get_fpu_sees_what_the_guest_loaded)
{
	struct kvm_fpu fpu;

	make_pattern(0, 25);
	vcpu_call(self->vcpus[0], load_only, 0);
	kvm_do(self->vcpus[0]->fd, KVM_GET_FPU, &fpu);
	for (int r = 0; r < 16; r++)
		EXPECT_EQ(0, memcmp(fpu.xmm[r], patterns[0][r], 16));
	/* 1.0: exponent 0x3fff, and the integer bit of the significand. */
	EXPECT_EQ(0x80, fpu.fpr[0][7]);
	EXPECT_EQ(0xff, fpu.fpr[0][8]);
	EXPECT_EQ(0x3f, fpu.fpr[0][9]);
}

/* ---- KVM_GET_XSAVE, KVM_SET_XSAVE: SDM 1 "Legacy Region of an XSAVE Area" ---- */

enum { XSAVE_XMM = 160, XSAVE_HEADER = 512, XSAVE_YMM = 576 };

static u64 load_avx(u64 arg)
{
	load_ymm(patterns[0]);
	return 0;
}

static u64 store_avx(u64 arg)
{
	store_ymm(results[this_cpu()->id]);
	for (int r = 0; r < 16; r++)
		for (int b = 0; b < 32; b++)
			guest_check_eq(patterns[0][r][b], results[this_cpu()->id][r][b]);
	return 1;
}

TEST_F(fpu, xsave_carries_the_registers_to_another_vcpu)
{
	struct kvm_xsave xsave;

	NEED_CAP(KVM_CAP_XSAVE);
	make_pattern(0, 27);
	vcpu_call(self->vcpus[0], load_only, 0);
	kvm_do(self->vcpus[0]->fd, KVM_GET_XSAVE, &xsave);
	EXPECT_EQ(0, memcmp((u8 *)&xsave + XSAVE_XMM, patterns[0][0], 16));
	kvm_do(self->vcpus[1]->fd, KVM_SET_XSAVE, &xsave);
	EXPECT_EQ(0, vcpu_call(self->vcpus[1], store_only, 0));
}

TEST_F(fpu, xsave_carries_avx_state_to_another_vcpu)
{
	struct kvm_xsave xsave;

	NEED_CAP(KVM_CAP_XSAVE);
	NEED(has(BIT_AVX | BIT_XSAVE), "no AVX");
	make_pattern(0, 29);
	enable_avx(self->vcpus[0]);
	enable_avx(self->vcpus[1]);
	vcpu_call(self->vcpus[0], load_avx, 0);
	kvm_do(self->vcpus[0]->fd, KVM_GET_XSAVE, &xsave);
	EXPECT_EQ(0, memcmp((u8 *)&xsave + XSAVE_YMM, patterns[0][0] + 16, 16));
	kvm_do(self->vcpus[1]->fd, KVM_SET_XSAVE, &xsave);
	EXPECT_EQ(1, vcpu_call(self->vcpus[1], store_avx, 0));
}

TEST_F(fpu, xsave_with_an_unsupported_component_is_einval)
{
	struct kvm_xsave xsave;

	NEED_CAP(KVM_CAP_XSAVE);
	kvm_do(self->vcpus[0]->fd, KVM_GET_XSAVE, &xsave);
	xsave.region[XSAVE_HEADER / 4 + 1] = 1 << 29;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpus[0]->fd, KVM_SET_XSAVE, &xsave)));
}

TEST_F(fpu, xsave_with_reserved_mxcsr_bits_is_einval)
{
	struct kvm_xsave xsave;

	NEED_CAP(KVM_CAP_XSAVE);
	kvm_do(self->vcpus[0]->fd, KVM_GET_XSAVE, &xsave);
	xsave.region[6] = 1u << 31;	/* MXCSR at byte 24 */
	xsave.region[XSAVE_HEADER / 4] |= XCR0_SSE;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpus[0]->fd, KVM_SET_XSAVE, &xsave)));
}

TEST_F(fpu, xsave2_is_as_large_as_offered)
{
	int size = kvm_cap(KVM_CAP_XSAVE2);
	u8 *area;

	NEED_CAP(KVM_CAP_XSAVE2);
	EXPECT_GE(size, 4096);
	area = calloc(1, size + 64);
	memset(area + size, 0xaa, 64);
	ASSERT_EQ(0, ioctl(self->vcpus[0]->fd, KVM_GET_XSAVE2, area)) TH_LOG("%m");
	EXPECT_EQ(0xaa, area[size]);
}

/* ---- XCR0 ---- */

TEST_F(fpu, xcrs_round_trip)
{
	struct kvm_xcrs xcrs;

	NEED_CAP(KVM_CAP_XCRS);
	NEED(has(BIT_XSAVE), "no XSAVE");
	kvm_do(self->vcpus[0]->fd, KVM_GET_XCRS, &xcrs);
	ASSERT_EQ(1, xcrs.nr_xcrs);
	EXPECT_EQ(0, xcrs.xcrs[0].xcr);
	EXPECT_EQ(XCR0_X87, xcrs.xcrs[0].value);
	xcrs.xcrs[0].value = XCR0_X87 | XCR0_SSE;
	kvm_do(self->vcpus[0]->fd, KVM_SET_XCRS, &xcrs);
	kvm_do(self->vcpus[0]->fd, KVM_GET_XCRS, &xcrs);
	EXPECT_EQ(XCR0_X87 | XCR0_SSE, xcrs.xcrs[0].value);
}

TEST_F(fpu, invalid_xcrs_are_einval)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = XCR0_SSE };

	NEED_CAP(KVM_CAP_XCRS);
	NEED(has(BIT_XSAVE), "no XSAVE");
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpus[0]->fd, KVM_SET_XCRS, &xcrs)));
	xcrs.xcrs[0].value = XCR0_X87;
	xcrs.flags = 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpus[0]->fd, KVM_SET_XCRS, &xcrs)));
	xcrs.flags = 0;
	xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpus[0]->fd, KVM_SET_XCRS, &xcrs)));
}

static u64 read_xcr0(u64 arg)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

TEST_F(fpu, the_guest_reads_the_xcr0_that_was_set)
{
	NEED(has(BIT_AVX | BIT_XSAVE), "no AVX");
	enable_avx(self->vcpus[0]);
	EXPECT_EQ(XCR0_X87 | XCR0_SSE | XCR0_AVX, vcpu_call(self->vcpus[0], read_xcr0, 0));
}

TEST_HARNESS_MAIN
