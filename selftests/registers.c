// SPDX-License-Identifier: GPL-2.0
/* Control registers, XCR0 and debug registers as the guest reads and writes them. */
#include <asm/ldt.h>
#include <sys/syscall.h>
#include "test.h"

FIXTURE(regs) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(regs)
{
	self->vcpu = vm_create_one(&self->vm, 0);
}

FIXTURE_TEARDOWN(regs)
{
	vm_destroy(&self->vm);
}

/* ---- CR0 ---- */

static u64 cr0_after(u64 bits)
{
	write_cr0(read_cr0() ^ bits);
	return read_cr0();
}

TEST_F(regs, cr0_ts_and_am_can_be_set)
{
	u64 cr0 = vcpu_sregs(self->vcpu).cr0;

	EXPECT_EQ(cr0 | X86_CR0_TS | X86_CR0_AM,
		  vcpu_call(self->vcpu, cr0_after, X86_CR0_TS | X86_CR0_AM));
	EXPECT_EQ(cr0 | X86_CR0_TS | X86_CR0_AM, vcpu_sregs(self->vcpu).cr0);
}

TEST_F(regs, cr0_wp_can_be_cleared)
{
	u64 cr0 = vcpu_sregs(self->vcpu).cr0;

	EXPECT_EQ(cr0 & ~X86_CR0_WP, vcpu_call(self->vcpu, cr0_after, X86_CR0_WP));
}

TEST_F(regs, cr0_cd_can_be_set)
{
	EXPECT_TRUE(vcpu_call(self->vcpu, cr0_after, X86_CR0_CD) & X86_CR0_CD);
}

TEST_F(regs, cr0_et_cannot_be_cleared)
{
	EXPECT_TRUE(vcpu_call(self->vcpu, cr0_after, X86_CR0_ET) & X86_CR0_ET);
}

static u64 write_cr0_vector(u64 val)
{
	return guest_try("mov %0, %%cr0", : "r"(val) : "memory");
}

TEST_F(regs, cr0_with_upper_bits_raises_gp)
{
	u64 cr0 = vcpu_sregs(self->vcpu).cr0;

	NEED(!kvm_is_stock(), "stock KVM without decode assists drops the upper half");
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_cr0_vector, (cr0 ^ X86_CR0_AM) | 1ULL << 32));
	EXPECT_EQ(cr0, vcpu_sregs(self->vcpu).cr0);
	/* What changes no bit makes no exit; QEMU's TCG drops the upper half then. */
	EXPECT_EQ(kvm_cpu_is_tcg() ? NO_VECTOR : GP_VECTOR,
		  vcpu_call(self->vcpu, write_cr0_vector, cr0 | 1ULL << 32));
	EXPECT_EQ(cr0, vcpu_sregs(self->vcpu).cr0);
}

TEST_F(regs, cr0_with_paging_but_no_protection_raises_gp)
{
	u64 cr0 = vcpu_sregs(self->vcpu).cr0;

	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_cr0_vector, cr0 & ~X86_CR0_PE));
}

TEST_F(regs, cr0_with_nw_but_not_cd_raises_gp)
{
	u64 cr0 = vcpu_sregs(self->vcpu).cr0;

	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_cr0_vector, cr0 | X86_CR0_NW));
}

static u64 clts_after_ts(u64 arg)
{
	write_cr0(read_cr0() | X86_CR0_TS);
	asm volatile("clts");
	return read_cr0() & X86_CR0_TS;
}

TEST_F(regs, clts_clears_ts)
{
	EXPECT_EQ(0, vcpu_call(self->vcpu, clts_after_ts, 0));
}

static u64 lmsw_ts(u64 arg)
{
	u64 low;

	asm volatile("smsw %0" : "=r"(low));
	asm volatile("lmsw %w0" : : "r"((low & 0xf) | X86_CR0_TS));
	return read_cr0();
}

TEST_F(regs, lmsw_sets_ts_and_leaves_the_rest)
{
	u64 cr0 = vcpu_sregs(self->vcpu).cr0;

	EXPECT_EQ(cr0 | X86_CR0_TS, vcpu_call(self->vcpu, lmsw_ts, 0));
}

static u64 x87_under_ts(u64 arg)
{
	write_cr0(read_cr0() | X86_CR0_TS);
	return guest_try("fninit");
}

TEST_F(regs, x87_under_ts_raises_nm)
{
	EXPECT_EQ(NM_VECTOR, vcpu_call(self->vcpu, x87_under_ts, 0));
}

/* ---- CR2, CR3, CR4, CR8 ---- */

static u64 cr2_kept(u64 val)
{
	write_cr2(val);
	cpuid(0, 0);			/* an exit in between */
	return read_cr2();
}

TEST_F(regs, cr2_survives_an_exit)
{
	EXPECT_EQ(0x123456789000, vcpu_call(self->vcpu, cr2_kept, 0x123456789000));
	EXPECT_EQ(0x123456789000, vcpu_sregs(self->vcpu).cr2);
}

static u64 cr3_kept(u64 bits)
{
	u64 cr3 = read_cr3();

	write_cr3(cr3 | bits);
	cpuid(0, 0);
	return read_cr3() - cr3;
}

TEST_F(regs, cr3_keeps_its_cache_bits)
{
	EXPECT_EQ(1 << 3 | 1 << 4, vcpu_call(self->vcpu, cr3_kept, 1 << 3 | 1 << 4));
	EXPECT_EQ(vm_cr3() | 1 << 3 | 1 << 4, vcpu_sregs(self->vcpu).cr3);
}

static u64 *remapped;

static u64 reload_cr3_drops_translations(u64 page)
{
	u64 before = read64(VM_UNMAPPED);

	*remapped += page;
	write_cr3(read_cr3());
	return before << 32 | read64(VM_UNMAPPED);
}

TEST_F(regs, writing_cr3_drops_old_translations)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 2 * PAGE_SIZE, 0);

	ram[0] = 1;
	ram[512] = 2;
	remapped = vm_map(VM_UNMAPPED, VM_RAM, X86_PTE_P | X86_PTE_W);
	EXPECT_EQ(1ULL << 32 | 2,
		  vcpu_call(self->vcpu, reload_cr3_drops_translations, PAGE_SIZE));
}

static u64 invlpg_drops_translation(u64 page)
{
	u64 before = read64(VM_UNMAPPED);

	*remapped += page;
	asm volatile("invlpg (%0)" : : "r"(VM_UNMAPPED) : "memory");
	return before << 32 | read64(VM_UNMAPPED);
}

TEST_F(regs, invlpg_drops_the_old_translation)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 2 * PAGE_SIZE, 0);

	ram[0] = 1;
	ram[512] = 2;
	remapped = vm_map(VM_UNMAPPED, VM_RAM, X86_PTE_P | X86_PTE_W);
	EXPECT_EQ(1ULL << 32 | 2, vcpu_call(self->vcpu, invlpg_drops_translation, PAGE_SIZE));
}

static u64 cr4_after(u64 bits)
{
	write_cr4(read_cr4() ^ bits);
	return read_cr4();
}

TEST_F(regs, cr4_pge_and_tsd_can_be_set)
{
	u64 cr4 = vcpu_sregs(self->vcpu).cr4;

	EXPECT_EQ(cr4 | X86_CR4_PGE | X86_CR4_TSD,
		  vcpu_call(self->vcpu, cr4_after, X86_CR4_PGE | X86_CR4_TSD));
	EXPECT_EQ(cr4 | X86_CR4_PGE | X86_CR4_TSD, vcpu_sregs(self->vcpu).cr4);
}

static u64 write_cr4_vector(u64 val)
{
	return guest_try("mov %0, %%cr4", : "r"(val) : "memory");
}

TEST_F(regs, cr4_with_a_reserved_bit_raises_gp)
{
	u64 cr4 = vcpu_sregs(self->vcpu).cr4;

	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_cr4_vector, cr4 | 1ULL << 31));
}

TEST_F(regs, cr4_without_pae_in_long_mode_raises_gp)
{
	u64 cr4 = vcpu_sregs(self->vcpu).cr4;

	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_cr4_vector, cr4 & ~X86_CR4_PAE));
}

enum { BIT_SMEP = 1 << 7 };	/* leaf 7 EBX */

TEST_F(regs, cr4_smep_raises_gp_where_cpuid_has_none)
{
	struct vcpu *vcpu = vm_add_reset_vcpu(&self->vm, 1);
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(cpuid, 7, 0);

	if (e)
		e->ebx &= ~BIT_SMEP;
	vcpu_set_cpuid(vcpu, cpuid);
	vcpu_long_mode(vcpu);
	EXPECT_EQ(GP_VECTOR, vcpu_call(vcpu, write_cr4_vector,
				       vcpu_sregs(vcpu).cr4 | X86_CR4_SMEP));
}

static u64 rdtsc_at_cpl3(u64 arg)
{
	return guest_try("rdtsc", : : "rax", "rdx");
}

static u64 tsd_then_rdtsc(u64 arg)
{
	write_cr4(read_cr4() | X86_CR4_TSD);
	return guest_user(rdtsc_at_cpl3, 0, 0);
}

TEST_F(regs, rdtsc_at_cpl_3_under_tsd_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, tsd_then_rdtsc, 0));
}

static u64 cr8_kept(u64 val)
{
	write_cr8(val);
	return read_cr8();
}

TEST_F(regs, cr8_keeps_the_task_priority)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	EXPECT_EQ(0xa, vcpu_call(vcpu, cr8_kept, 0xa));
	EXPECT_EQ(0xa, vcpu_sregs(vcpu).cr8);
}

static u64 tpr_by_cr8(u64 val)
{
	write_cr8(val);
	return xapic_read(APIC_TASKPRI);
}

static u64 cr8_by_tpr(u64 val)
{
	xapic_write(APIC_TASKPRI, val);
	return read_cr8();
}

TEST_F(regs, cr8_and_the_apics_tpr_are_the_same_thing)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	EXPECT_EQ(0x90, vcpu_call(vcpu, tpr_by_cr8, 9));
	EXPECT_EQ(0x5, vcpu_call(vcpu, cr8_by_tpr, 0x57));
}

static u64 write_cr8_vector(u64 val)
{
	return guest_try("mov %0, %%cr8", : "r"(val) : "memory");
}

/* An interrupt waits for a lower CR8: every write of it is looked at. */
static u64 write_watched_cr8(u64 val)
{
	xapic_enable();
	write_cr8(0xf);
	xapic_icr(0, APIC_DEST_SELF | APIC_INT_ASSERT | 0x91);
	return write_cr8_vector(val);
}

TEST_F(regs, cr8_with_a_reserved_bit_raises_gp)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	EXPECT_EQ(GP_VECTOR, vcpu_call(vcpu, write_watched_cr8, 0x10));
	EXPECT_EQ(0xf, vcpu_sregs(vcpu).cr8);
	vcpu = vm_create_one(&vm, VM_IRQCHIP);
	/* QEMU's TCG does not check it, and takes the four bits that there are. */
	EXPECT_EQ(kvm_cpu_is_tcg() ? NO_VECTOR : GP_VECTOR, vcpu_call(vcpu, write_cr8_vector, 0x13));
	EXPECT_EQ(kvm_cpu_is_tcg() ? 3 : 0, vcpu_sregs(vcpu).cr8);
}

/* api.rst KVM_EXIT_SET_TPR: where no local APIC is in the kernel. */
TEST_F(regs, lowering_cr8_without_a_local_apic_exits)
{
	vcpu_start(self->vcpu, cr8_kept, 3);
	self->vcpu->run->cr8 = 7;
	ASSERT_EQ(KVM_EXIT_SET_TPR, vcpu_enter(self->vcpu));
	EXPECT_EQ(3, self->vcpu->run->cr8);
	EXPECT_EQ(3, vcpu_finish(self->vcpu));
}

static u64 cr_access_at_cpl3(u64 arg)
{
	return guest_try("mov %%cr3, %%rax", : : "rax");
}

static u64 cr_access(u64 arg)
{
	return guest_user(cr_access_at_cpl3, 0, 0);
}

TEST_F(regs, control_register_access_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, cr_access, 0));
}

/* Every general register can be the operand: decoding must not mix them up. */
static u64 cr0_through_all_registers(u64 arg)
{
	u64 cr0 = read_cr0(), seen = 0;

#define THROUGH(reg)							\
	asm volatile("mov %1, %%" reg "\n\tmov %%" reg ", %%cr0\n\t"	\
		     "xor %%" reg ", %%" reg "\n\tmov %%cr0, %%" reg "\n\t" \
		     "mov %%" reg ", %0"				\
		     : "=m"(seen) : "m"(cr0) : reg, "memory");		\
	guest_check_eq(cr0, seen)
	cr0 ^= X86_CR0_AM;	/* a change each time, so that it is an exit */
	THROUGH("rax");
	cr0 ^= X86_CR0_AM;
	THROUGH("rcx");
	cr0 ^= X86_CR0_AM;
	THROUGH("rdx");
	cr0 ^= X86_CR0_AM;
	THROUGH("rbx");
	cr0 ^= X86_CR0_AM;
	THROUGH("rsi");
	cr0 ^= X86_CR0_AM;
	THROUGH("rdi");
	cr0 ^= X86_CR0_AM;
	THROUGH("r8");
	cr0 ^= X86_CR0_AM;
	THROUGH("r11");
	cr0 ^= X86_CR0_AM;
	THROUGH("r12");
	cr0 ^= X86_CR0_AM;
	THROUGH("r13");
	cr0 ^= X86_CR0_AM;
	THROUGH("r15");
#undef THROUGH
	return 1;
}

TEST_F(regs, every_general_register_can_be_the_operand_of_mov_cr)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, cr0_through_all_registers, 0));
}

/* ---- XCR0 ---- */

enum { XCR0_X87 = 1 << 0, XCR0_SSE = 1 << 1, XCR0_AVX = 1 << 2, BIT_XSAVE = 1 << 26 };

static bool has_xsave(void)
{
	return kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & BIT_XSAVE;
}

static u64 xsetbv_vector(u64 val)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	return guest_try("xsetbv", : "a"((u32)val), "c"((u32)(val >> 32)), "d"(0));
}

TEST_F(regs, xsetbv_takes_a_valid_xcr0)
{
	struct kvm_xcrs xcrs;

	NEED(has_xsave(), "no XSAVE");
	NEED(vcpu_sees_xsetbv(self->vcpu), NO_XSETBV_EXIT);
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, xsetbv_vector, XCR0_X87));
	kvm_do(self->vcpu->fd, KVM_GET_XCRS, &xcrs);
	EXPECT_EQ(XCR0_X87, xcrs.xcrs[0].value);
}

TEST_F(regs, xsetbv_without_x87_raises_gp)
{
	NEED(has_xsave(), "no XSAVE");
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, xsetbv_vector, XCR0_SSE));
}

TEST_F(regs, xsetbv_with_avx_but_no_sse_raises_gp)
{
	NEED(has_xsave(), "no XSAVE");
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, xsetbv_vector, XCR0_X87 | XCR0_AVX));
}

TEST_F(regs, xsetbv_of_another_register_raises_gp)
{
	NEED(has_xsave(), "no XSAVE");
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, xsetbv_vector, 1ULL << 32 | XCR0_X87));
}

static u64 plain_xsetbv(u64 val)
{
	return guest_try("xsetbv", : "a"(XCR0_X87), "c"(0), "d"(0));
}

TEST_F(regs, xsetbv_without_osxsave_raises_ud)
{
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, plain_xsetbv, 0));
}

static u64 xsetbv_at_cpl3(u64 arg)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	return guest_user(plain_xsetbv, 0, 0);
}

TEST_F(regs, xsetbv_at_cpl_3_raises_gp)
{
	NEED(has_xsave(), "no XSAVE");
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, xsetbv_at_cpl3, 0));
}

/* ---- debug registers ---- */

static u64 dr_pattern(u64 base)
{
	write_dr0(base);
	write_dr1(base + 1);
	write_dr2(base + 2);
	write_dr3(base + 3);
	for (int i = 0; i < 20; i++) {
		cpuid(0, 0);
		guest_check_eq(base, read_dr0());
		guest_check_eq(base + 1, read_dr1());
		guest_check_eq(base + 2, read_dr2());
		guest_check_eq(base + 3, read_dr3());
	}
	return 1;
}

TEST_F(regs, debug_addresses_survive_exits)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, dr_pattern, 0x1000));
}

static u64 dr_pattern_with_pauses(u64 base)
{
	for (int i = 0; i < 20; i++) {
		dr_pattern(base);
		guest_sync(i);
	}
	return 1;
}

TEST_F(regs, debug_addresses_of_two_vcpus_in_one_thread_stay_apart)
{
	struct vcpu *other = vm_add_vcpu(&self->vm, 1);

	vcpu_start(self->vcpu, dr_pattern_with_pauses, 0x1000);
	vcpu_start(other, dr_pattern_with_pauses, 0x2000);
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(i, vcpu_sync(self->vcpu));
		ASSERT_EQ(i, vcpu_sync(other));
	}
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, vcpu_finish(other));
}

static u64 fixed_bits(u64 arg)
{
	write_dr6(0);
	write_dr7(0);
	guest_check_eq(DR6_FIXED, read_dr6() | DR6_RTM | DR6_BUS_LOCK);
	guest_check_eq(DR7_FIXED, read_dr7());
	return 1;
}

TEST_F(regs, fixed_bits_of_dr6_and_dr7_read_as_set)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, fixed_bits, 0));
}

static u64 dr7_upper_bits(u64 arg)
{
	return guest_try("mov %0, %%dr7", : "r"(1ULL << 32));
}

TEST_F(regs, dr7_with_upper_bits_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, dr7_upper_bits, 0));
}

static u64 dr4_under_de(u64 arg)
{
	write_cr4(read_cr4() | X86_CR4_DE);
	return guest_try("mov %%dr4, %%rax", : : "rax");
}

TEST_F(regs, dr4_under_cr4_de_raises_ud)
{
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, dr4_under_de, 0));
}

static u64 dr4_is_dr6(u64 arg)
{
	u64 val;

	write_dr6(DR6_FIXED | DR6_B0);
	asm volatile("mov %%dr4, %0" : "=r"(val));
	return val & DR6_B0;
}

TEST_F(regs, dr4_is_dr6_without_cr4_de)
{
	EXPECT_EQ(DR6_B0, vcpu_call(self->vcpu, dr4_is_dr6, 0));
}

static u64 dr_at_cpl3(u64 arg)
{
	return guest_try("mov %%dr0, %%rax", : : "rax");
}

static u64 dr_access(u64 arg)
{
	return guest_user(dr_at_cpl3, 0, 0);
}

TEST_F(regs, debug_register_access_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, dr_access, 0));
}

/* Bochs's AMD-V leaves DR6 as it is when #DB is intercepted. */
#define guest_check_dr6(bits, mask) \
	guest_check_eq(guest_on_bochs_amd ? 0 : (bits), this_cpu()->dr6 & (mask))

static volatile u64 watched;

/* A data breakpoint is a trap: DR6 names it, and the write has been done. */
static u64 watch_write(u64 arg)
{
	u8 vector;

	write_dr0((u64)&watched);
	write_dr7(DR7_FIXED | DR7_L0 | DR7_RW0_WRITE | DR7_LEN0_8);
	cpuid(0, 0);			/* the registers must outlive an exit */
	vector = guest_try("movq $7, %0\n\tnop", "=m"(watched));
	write_dr7(DR7_FIXED);
	guest_check_eq(DB_VECTOR, vector);
	guest_check_dr6(DR6_B0, 0xf);
	return watched;
}

TEST_F(regs, data_breakpoint_traps_after_the_write)
{
	EXPECT_EQ(7, vcpu_call(self->vcpu, watch_write, 0));
}

extern u8 breakpoint_here[];

static u64 watch_fetch(u64 arg)
{
	u8 vector;

	write_dr0((u64)breakpoint_here);
	write_dr7(DR7_FIXED | DR7_L0);
	vector = guest_try("nop\nbreakpoint_here: nop");
	write_dr7(DR7_FIXED);
	guest_check_dr6(DR6_B0, 0xf);
	return vector;
}

TEST_F(regs, instruction_breakpoint_raises_db)
{
	EXPECT_EQ(DB_VECTOR, vcpu_call(self->vcpu, watch_fetch, 0));
}

static u64 general_detect(u64 arg)
{
	u8 vector;

	write_dr7(DR7_FIXED | DR7_GD);
	vector = guest_try("mov %%dr0, %%rax", : : "rax");
	if (vector == DB_VECTOR)
		guest_check_dr6(DR6_BD, DR6_BD);
	return read_dr7() << 8 | vector;
}

TEST_F(regs, debug_register_access_under_general_detect_raises_db)
{
	/* QEMU's TCG keeps the bit and does nothing by it. */
	EXPECT_EQ(kvm_cpu_is_tcg() ? (DR7_FIXED | DR7_GD) << 8 | NO_VECTOR : DR7_FIXED << 8 | DB_VECTOR,
		  vcpu_call(self->vcpu, general_detect, 0));
}

static u32 steps;
static u64 step_rips[16];

static void count_step(struct guest_frame *frame)
{
	if (steps < 16)
		step_rips[steps] = frame->rip;
	steps++;
	write_dr6(DR6_FIXED);
}

extern u8 after_cpuid[], after_nop[];

static u64 single_step(u64 arg)
{
	u32 eax = 0, ecx = 0;

	guest_handlers[DB_VECTOR] = count_step;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n\t"
		     "cpuid\nafter_cpuid: nop\nafter_nop:\n\t"
		     "pushfq; andq $~0x100, (%%rsp); popfq"
		     : "+a"(eax), "+c"(ecx) : : "rbx", "rdx", "memory");
	return steps;
}

extern u8 after_vmcall[], after_nop_2[];

/* Bochs's AMD-V ends at an exit under RFLAGS.TF, unless an exception makes it. */
static u64 single_step_over_ud(u64 arg)
{
	guest_settle();
	guest_handlers[DB_VECTOR] = count_step;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n\t"
		     "vmcall\nafter_vmcall: nop\nafter_nop_2:\n\t"
		     "pushfq; andq $~0x100, (%%rsp); popfq"
		     : "+a"(arg) : : "rbx", "rcx", "rdx", "memory");
	return steps;
}

/* The step over an instruction that exits must not get lost. */
TEST_F(regs, single_step_stops_after_an_instruction_that_exits)
{
	/* cpuid, nop, pushf, and, popf: SDM 3B "Single-Step Exception Condition" */
	bool by_ud = kvm_cpu_is_bochs_amd();

	EXPECT_EQ(5, vcpu_call(self->vcpu, by_ud ? single_step_over_ud : single_step, 0));
	EXPECT_EQ((u64)(by_ud ? after_vmcall : after_cpuid), step_rips[0]);
	EXPECT_EQ((u64)(by_ud ? after_nop_2 : after_nop), step_rips[1]);
}

/* ---- the host's own ---- */

enum { SEL_LDT = 7, LDT_LIMIT_OLD = 0x111, LDT_LIMIT_NEW = 0x222 };
enum { MODIFY_LDT_READ = 0, MODIFY_LDT_WRITE = 0x11 };

static volatile bool guest_runs, ldt_replaced;

static u64 exit_until_replaced(u64 unused)
{
	guest_runs = true;
	while (!ldt_replaced)
		cpuid(0, 0);
	return 0;
}

static void write_ldt(u32 limit)
{
	struct user_desc desc = { .limit = limit, .seg_32bit = 1, .useable = 1 };

	die_unless(!syscall(SYS_modify_ldt, MODIFY_LDT_WRITE, &desc, sizeof(desc)));
}

/* The old LDT is freed: no thread may come out of KVM_RUN with it. */
static void *replace_ldt(void *unused)
{
	use_cpu(1);
	wait_until(guest_runs);
	write_ldt(LDT_LIMIT_NEW);
	ldt_replaced = true;
	return NULL;
}

TEST_F(regs, an_ldt_that_another_thread_replaces_is_in_force_after_kvm_run)
{
	pthread_t thread;
	u64 limit = 0;

	if (syscall(SYS_modify_ldt, MODIFY_LDT_READ, NULL, 0) < 0)
		SKIP(return, "a kernel without modify_ldt()");
	use_cpu(0);
	write_ldt(LDT_LIMIT_OLD);
	ASSERT_EQ(0, pthread_create(&thread, NULL, replace_ldt, NULL));
	vcpu_call(self->vcpu, exit_until_replaced, 0);
	asm volatile("lsl %1, %0" : "+r"(limit) : "r"((u64)SEL_LDT) : "cc");
	EXPECT_EQ(LDT_LIMIT_NEW, limit);
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
