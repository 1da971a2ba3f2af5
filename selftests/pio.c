// SPDX-License-Identifier: GPL-2.0
/* IN, OUT and their string forms, as exits to user space. */
#include "test.h"

enum { PORT = 0x1234, BYTE_PORT = 0x80, PIC1_DATA = 0x21, BUFFER = 6000 };

static u8 buffer[BUFFER];
static struct { u64 rcx, rsi, rdi; } after;

FIXTURE(pio) {
	struct vm vm;
	struct vcpu *vcpu;
	u8 data[BUFFER];
	size_t bytes;
};

FIXTURE_SETUP(pio)
{
	self->vcpu = vm_create_one(&self->vm, 0);
	for (u32 i = 0; i < BUFFER; i++)
		buffer[i] = i * 7 + (i >> 8);
}

FIXTURE_TEARDOWN(pio)
{
	vm_destroy(&self->vm);
}

/* One exit at @port: true, and the next is not looked at. False: the guest has ended. */
static bool exit_at(struct vcpu *vcpu, u16 port, u8 direction, u8 size)
{
	struct kvm_run *run = vcpu->run;

	if (vcpu_enter(vcpu) != KVM_EXIT_IO)
		vm_die("exit %s instead of IO", exit_name(run->exit_reason));
	if (run->io.port == PORT_DONE)
		return false;
	if (run->io.port != port || run->io.direction != direction || run->io.size != size)
		vm_die("exit for port %#x, direction %u, size %u", run->io.port,
		       run->io.direction, run->io.size);
	return true;
}

/*
 * How many elements come with one exit is left open by api.rst: all exits of
 * a string instruction together are judged.
 */
#define COLLECT(width) \
	while (exit_at(self->vcpu, PORT, KVM_EXIT_IO_OUT, width)) {		\
		size_t n = (width) * self->vcpu->run->io.count;			\
										\
		ASSERT_LE(self->bytes + n, sizeof(self->data));			\
		memcpy(self->data + self->bytes, vcpu_pio_data(self->vcpu), n);	\
		self->bytes += n;						\
	}

#define SUPPLY(width) \
	while (exit_at(self->vcpu, PORT, KVM_EXIT_IO_IN, width)) {		\
		size_t n = (width) * self->vcpu->run->io.count;			\
										\
		ASSERT_LE(self->bytes + n, sizeof(self->data));			\
		memcpy(vcpu_pio_data(self->vcpu), self->data + self->bytes, n);	\
		self->bytes += n;						\
	}

static u64 out_8(u64 val)
{
	outb(PORT, val);
	return 0;
}

static u64 out_16(u64 val)
{
	outw(PORT, val);
	return 0;
}

static u64 out_32(u64 val)
{
	outl(PORT, val);
	return 0;
}

TEST_F(pio, out_of_a_byte)
{
	vcpu_start(self->vcpu, out_8, 0x12345678);
	ASSERT_TRUE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_OUT, 1));
	EXPECT_EQ(1, self->vcpu->run->io.count);
	EXPECT_EQ(0x78, *(u8 *)vcpu_pio_data(self->vcpu));
}

TEST_F(pio, out_of_a_word)
{
	vcpu_start(self->vcpu, out_16, 0x12345678);
	ASSERT_TRUE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_OUT, 2));
	EXPECT_EQ(0x5678, *(u16 *)vcpu_pio_data(self->vcpu));
}

TEST_F(pio, out_of_a_doubleword)
{
	vcpu_start(self->vcpu, out_32, 0x12345678);
	ASSERT_TRUE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_OUT, 4));
	EXPECT_EQ(0x12345678, *(u32 *)vcpu_pio_data(self->vcpu));
}

static u64 out_immediate(u64 val)
{
	asm volatile("outb %b0, $0x80" : : "a"(val));
	return 0;
}

TEST_F(pio, out_to_an_immediate_port)
{
	vcpu_start(self->vcpu, out_immediate, 0xab);
	ASSERT_TRUE(exit_at(self->vcpu, BYTE_PORT, KVM_EXIT_IO_OUT, 1));
	EXPECT_EQ(0xab, *(u8 *)vcpu_pio_data(self->vcpu));
}

TEST_F(pio, out_is_made_once)
{
	vcpu_start(self->vcpu, out_8, 1);
	EXPECT_TRUE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_OUT, 1));
	EXPECT_FALSE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_OUT, 1));
}

#define RAX_BEFORE 0xfedcba9876543210

static u64 in_8(u64 arg)
{
	u64 rax = RAX_BEFORE;

	asm volatile("inb %w1, %b0" : "+a"(rax) : "d"(PORT));
	return rax;
}

static u64 in_16(u64 arg)
{
	u64 rax = RAX_BEFORE;

	asm volatile("inw %w1, %w0" : "+a"(rax) : "d"(PORT));
	return rax;
}

static u64 in_32(u64 arg)
{
	u64 rax = RAX_BEFORE;

	asm volatile("inl %w1, %k0" : "+a"(rax) : "d"(PORT));
	return rax;
}

static u64 answer_in(struct vcpu *vcpu, guest_fn fn, u8 size, u64 answer)
{
	vcpu_start(vcpu, fn, 0);
	die_unless(exit_at(vcpu, PORT, KVM_EXIT_IO_IN, size));
	die_unless(vcpu->run->io.count == 1);
	memcpy(vcpu_pio_data(vcpu), &answer, size);
	return vcpu_finish(vcpu);
}

TEST_F(pio, in_of_a_byte_fills_al_alone)
{
	EXPECT_EQ(0xfedcba98765432ee, answer_in(self->vcpu, in_8, 1, 0xee));
}

TEST_F(pio, in_of_a_word_fills_ax_alone)
{
	EXPECT_EQ(0xfedcba987654ddee, answer_in(self->vcpu, in_16, 2, 0xddee));
}

TEST_F(pio, in_of_a_doubleword_clears_the_upper_half_of_rax)
{
	EXPECT_EQ(0x8bccddee, answer_in(self->vcpu, in_32, 4, 0x8bccddee));
}

TEST_F(pio, in_is_completed_by_an_entry_that_exits_immediately)
{
	struct kvm_regs regs;

	NEED_CAP(KVM_CAP_IMMEDIATE_EXIT);
	vcpu_start(self->vcpu, in_8, 0);
	ASSERT_TRUE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_IN, 1));
	*(u8 *)vcpu_pio_data(self->vcpu) = 0x42;
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	regs = vcpu_regs(self->vcpu);
	EXPECT_EQ(0x42, regs.rax & 0xff);
}

/* ---- strings ---- */

#define STRING(insn, count, source, dest) do {				\
	u64 rcx_ = (count), rsi_ = (u64)(source), rdi_ = (u64)(dest);	\
									\
	asm volatile(insn "\n\tcld"					\
		     : "+c"(rcx_), "+S"(rsi_), "+D"(rdi_)		\
		     : "d"(PORT) : "memory", "cc");			\
	after.rcx = rcx_;						\
	after.rsi = rsi_;						\
	after.rdi = rdi_;						\
} while (0)

static u64 rep_outsb(u64 count)
{
	STRING("rep outsb", count, buffer, 0);
	return 0;
}

TEST_F(pio, rep_outsb_writes_upwards)
{
	vcpu_start(self->vcpu, rep_outsb, 13);
	COLLECT(1);
	ASSERT_EQ(13, self->bytes);
	EXPECT_EQ(0, memcmp(buffer, self->data, 13));
	EXPECT_EQ(0, after.rcx);
	EXPECT_EQ((u64)buffer + 13, after.rsi);
}

TEST_F(pio, rep_outsb_of_nothing_makes_no_exit)
{
	vcpu_start(self->vcpu, rep_outsb, 0);
	COLLECT(1);
	EXPECT_EQ(0, self->bytes);
	EXPECT_EQ((u64)buffer, after.rsi);
}

TEST_F(pio, rep_outsb_of_more_than_a_page)
{
	vcpu_start(self->vcpu, rep_outsb, BUFFER);
	COLLECT(1);
	ASSERT_EQ(BUFFER, self->bytes);
	EXPECT_EQ(0, memcmp(buffer, self->data, BUFFER));
	EXPECT_EQ((u64)buffer + BUFFER, after.rsi);
}

static u64 rep_outsl_down(u64 count)
{
	STRING("std; rep outsl", count, buffer + 4 * (count - 1), 0);
	return 0;
}

TEST_F(pio, rep_outsd_writes_downwards_under_df)
{
	u32 words[5];

	vcpu_start(self->vcpu, rep_outsl_down, 5);
	COLLECT(4);
	ASSERT_EQ(20, self->bytes);
	memcpy(words, buffer, 20);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(words[4 - i], ((u32 *)self->data)[i]);
	EXPECT_EQ((u64)buffer - 4, after.rsi);
}

static u64 outsw_once(u64 arg)
{
	STRING("outsw", 99, buffer, 0);
	return 0;
}

TEST_F(pio, outsw_without_rep_leaves_rcx)
{
	vcpu_start(self->vcpu, outsw_once, 0);
	COLLECT(2);
	EXPECT_EQ(2, self->bytes);
	EXPECT_EQ(99, after.rcx);
	EXPECT_EQ((u64)buffer + 2, after.rsi);
}

static u64 outsb_from_fs(u64 arg)
{
	wrmsr(MSR_FS_BASE, (u64)buffer + 100);
	STRING("rep outsb %%fs:(%%rsi), %%dx", 3, 5, 0);
	return 0;
}

TEST_F(pio, outsb_obeys_a_segment_override)
{
	vcpu_start(self->vcpu, outsb_from_fs, 0);
	COLLECT(1);
	ASSERT_EQ(3, self->bytes);
	EXPECT_EQ(0, memcmp(buffer + 105, self->data, 3));
}

static u64 outsb_addr32(u64 arg)
{
	/* The upper halves of RSI and RCX are not part of the address size. */
	STRING("rep outsb (%%esi), %%dx", 0xf00000003, (u64)buffer | 7ULL << 32, 0);
	return 0;
}

TEST_F(pio, outsb_obeys_the_address_size)
{
	vcpu_start(self->vcpu, outsb_addr32, 0);
	COLLECT(1);
	ASSERT_EQ(3, self->bytes);
	EXPECT_EQ(0, memcmp(buffer, self->data, 3));
}

static u64 rep_insb(u64 count)
{
	STRING("rep insb", count, 0, buffer);
	return 0;
}

TEST_F(pio, rep_insb_reads_upwards)
{
	memset(self->data, 0x5a, sizeof(self->data));
	self->data[3] = 0x77;
	vcpu_start(self->vcpu, rep_insb, 9);
	SUPPLY(1);
	ASSERT_EQ(9, self->bytes);
	EXPECT_EQ(0, memcmp(buffer, self->data, 9));
	EXPECT_EQ(9 * 7, buffer[9]);
	EXPECT_EQ(0, after.rcx);
	EXPECT_EQ((u64)buffer + 9, after.rdi);
}

TEST_F(pio, rep_insb_of_more_than_a_page)
{
	for (u32 i = 0; i < BUFFER; i++)
		self->data[i] = i * 3 + (i >> 8);
	vcpu_start(self->vcpu, rep_insb, BUFFER);
	SUPPLY(1);
	ASSERT_EQ(BUFFER, self->bytes);
	EXPECT_EQ(0, memcmp(buffer, self->data, BUFFER));
}

/* One exit a page, not one a byte: firmware reads whole disks this way. */
TEST_F(pio, rep_insb_makes_few_exits)
{
	u32 exits = 0;

	vcpu_start(self->vcpu, rep_insb, BUFFER);
	while (exit_at(self->vcpu, PORT, KVM_EXIT_IO_IN, 1)) {
		self->bytes += self->vcpu->run->io.count;
		exits++;
	}
	EXPECT_EQ(BUFFER, self->bytes);
	EXPECT_LE(exits, BUFFER / PAGE_SIZE + 2);
}

/* User space has the registers between two exits: a reset, say, or a count that is another. */
TEST_F(pio, what_user_space_gave_beyond_a_shorter_count_is_dropped)
{
	struct kvm_regs regs;

	vcpu_start(self->vcpu, rep_insb, 5);
	ASSERT_TRUE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_IN, 1));
	memset(vcpu_pio_data(self->vcpu), 0x33, self->vcpu->run->io.count);
	regs = vcpu_regs(self->vcpu);
	regs.rcx = 1;
	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_FALSE(exit_at(self->vcpu, PORT, KVM_EXIT_IO_IN, 1));
	EXPECT_EQ((u64)buffer + 1, after.rdi);
	EXPECT_EQ(0x33, buffer[0]);
	EXPECT_NE(0x33, buffer[1]);
}

static u64 rep_insw_down(u64 count)
{
	STRING("std; rep insw", count, 0, buffer + 2 * (count - 1));
	return 0;
}

TEST_F(pio, rep_insw_reads_downwards_under_df)
{
	for (u32 i = 0; i < 6; i++)
		((u16 *)self->data)[i] = 0x1000 + i;
	vcpu_start(self->vcpu, rep_insw_down, 6);
	SUPPLY(2);
	ASSERT_EQ(12, self->bytes);
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(0x1005 - i, ((u16 *)buffer)[i]);
	EXPECT_EQ((u64)buffer - 2, after.rdi);
}

static u64 rep_insl(u64 count)
{
	STRING("rep insl", count, 0, buffer + 1);
	return 0;
}

TEST_F(pio, rep_insd_to_an_odd_address)
{
	for (u32 i = 0; i < 1100; i++)
		((u32 *)self->data)[i] = i << 16 | i;
	vcpu_start(self->vcpu, rep_insl, 1100);
	SUPPLY(4);
	ASSERT_EQ(4400, self->bytes);
	EXPECT_EQ(0, memcmp(buffer + 1, self->data, 4400));
}

/* The page at VM_UNMAPPED is there, the next is not: 4 elements fit. */
static u64 rep_insb_into_a_hole(u64 arg)
{
	u64 rcx = 10, rdi = VM_UNMAPPED + PAGE_SIZE - 4;
	u8 vector = guest_try("rep insb", "+c"(rcx), "+D"(rdi) : "d"(PORT) : "memory");

	guest_check_eq(PF_VECTOR, vector);
	guest_check_cr2(VM_UNMAPPED + PAGE_SIZE);
	guest_check_eq(VM_UNMAPPED + PAGE_SIZE, rdi);
	return rcx;
}

TEST_F(pio, rep_insb_faults_at_the_first_missing_page)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, PAGE_SIZE, 0);

	vm_map(VM_UNMAPPED, VM_RAM, X86_PTE_P | X86_PTE_W);
	memcpy(self->data, "abcdefgh", 8);
	vcpu_start(self->vcpu, rep_insb_into_a_hole, 0);
	SUPPLY(1);
	EXPECT_EQ(6, self->vcpu->guest->result);
	EXPECT_EQ(0, memcmp(ram + PAGE_SIZE - 4, "abcd", 4));
}

/* ---- rights ---- */

static u64 user_out(u64 arg)
{
	return guest_try("outb %%al, %%dx", : "a"(1), "d"(PORT));
}

static u64 user_outs(u64 arg)
{
	u64 rsi = (u64)buffer;

	return guest_try("outsb", "+S"(rsi) : "d"(PORT));
}

static u64 out_at_cpl3(u64 flags)
{
	return guest_user(user_out, 0, flags);
}

static u64 outs_at_cpl3(u64 flags)
{
	return guest_user(user_outs, 0, flags);
}

TEST_F(pio, out_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, out_at_cpl3, 0));
}

TEST_F(pio, outs_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, outs_at_cpl3, 0));
}

TEST_F(pio, out_at_cpl_3_is_let_through_by_iopl_3)
{
	vcpu_start(self->vcpu, out_at_cpl3, X86_EFLAGS_IOPL);
	COLLECT(1);
	EXPECT_EQ(1, self->bytes);
	EXPECT_EQ(NO_VECTOR, self->vcpu->guest->result);
}

TEST_F(pio, outs_at_cpl_3_is_let_through_by_iopl_3)
{
	vcpu_start(self->vcpu, outs_at_cpl3, X86_EFLAGS_IOPL);
	COLLECT(1);
	EXPECT_EQ(1, self->bytes);
	EXPECT_EQ(NO_VECTOR, self->vcpu->guest->result);
}

/* SDM 1 "I/O Permission Bit Map": behind the TSS, where the word at 0x66 says; 0 allows. */
static u8 tss[8192] __attribute__((aligned(4096)));

TEST_F(pio, outs_at_cpl_3_is_let_through_by_the_bitmap)
{
	struct kvm_sregs sregs;

	vcpu_start(self->vcpu, outs_at_cpl3, 0);
	sregs = vcpu_sregs(self->vcpu);
	memcpy(tss, (void *)sregs.tr.base, 0x68);
	*(u16 *)(tss + 0x66) = 0x68;
	tss[0x68 + PORT / 8 + 1] = 0xff;		/* the neighbours' */
	sregs.tr.base = (u64)tss;
	sregs.tr.limit = sizeof(tss) - 1;
	if (kvm_cpu_is_tcg())
		sregs.tr.type = 9;	/* TCG takes no bitmap from a busy TSS */
	vcpu_set_sregs(self->vcpu, &sregs);
	COLLECT(1);
	EXPECT_EQ(1, self->bytes);
	EXPECT_EQ(NO_VECTOR, self->vcpu->guest->result);
}

/* ---- devices in the kernel ---- */

static u64 pic_mask(u64 mask)
{
	outb(PIC1_DATA, mask);
	return inb(PIC1_DATA);
}

TEST_F(pio, ports_of_the_kernels_pic_make_no_exit)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	EXPECT_EQ(0xa5, vcpu_call(vcpu, pic_mask, 0xa5));
}

TEST_F(pio, ports_of_the_pic_make_exits_where_the_kernel_has_none)
{
	vcpu_start(self->vcpu, pic_mask, 0xa5);
	EXPECT_TRUE(exit_at(self->vcpu, PIC1_DATA, KVM_EXIT_IO_OUT, 1));
	EXPECT_TRUE(exit_at(self->vcpu, PIC1_DATA, KVM_EXIT_IO_IN, 1));
}

static u64 rep_outsb_to_pic(u64 count)
{
	u64 rsi = (u64)buffer;

	asm volatile("rep outsb" : "+c"(count), "+S"(rsi) : "d"(PIC1_DATA) : "memory");
	return inb(PIC1_DATA);
}

TEST_F(pio, string_out_reaches_the_kernels_pic)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	EXPECT_EQ(buffer[4], vcpu_call(vcpu, rep_outsb_to_pic, 5));
}

TEST_HARNESS_MAIN
