// SPDX-License-Identifier: GPL-2.0
/* Real mode, protected mode and the paging modes; the guests are in guests/modes.S. */
#include "test.h"

enum {
	MODES_BASE = 0x2000, TABLES = 0x8000, MMIO_WINDOW = 0x400000,
	OUTS_PORT = 0x1234, VGA_WINDOW = 0xa0000,
	PTE_BITS = 7, PDE_LARGE = 1 << 7, PDPTE_BITS = 1,
};

FIXTURE(modes) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(modes)
{
	vm_create(&self->vm, VM_PLAIN);
	self->vcpu = vm_add_reset_vcpu(&self->vm, 0);
}

FIXTURE_TEARDOWN(modes)
{
	vm_destroy(&self->vm);
}

#define REAL_MODE(name)							\
	vcpu_real_mode(self->vcpu, vm_load(&self->vm, MODES_BASE, name))
#define PROTECTED_MODE(name)						\
	vcpu_protected_mode(self->vcpu, vm_load(&self->vm, MODES_BASE, name))

/* ---- real mode ---- */

TEST_F(modes, real_mode_adds_16_times_the_segment)
{
	REAL_MODE(real_segments);
	EXPECT_EQ(0x600d5e95, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_interrupts_go_through_the_vector_table)
{
	REAL_MODE(real_interrupt);
	EXPECT_EQ(0x106, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_exceptions_push_no_error_code)
{
	REAL_MODE(real_fault);
	EXPECT_EQ(0x77, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_has_cpuid)
{
	REAL_MODE(real_cpuid);
	EXPECT_EQ(0x4b4d564b, vcpu_sync(self->vcpu));	/* "KVMK" */
}

TEST_F(modes, real_mode_hlt_exits)
{
	REAL_MODE(real_halt);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_enter(self->vcpu));
	EXPECT_EQ(0x41, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_mmio)
{
	struct kvm_run *run = self->vcpu->run;

	REAL_MODE(real_mmio);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VGA_WINDOW + 0x10, run->mmio.phys_addr);
	EXPECT_EQ(4, run->mmio.len);
	memcpy(run->mmio.data, "\x78\x56\x34\x12", 4);
	EXPECT_EQ(0x12345678, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_string_offsets_wrap_at_64k)
{
	struct kvm_run *run = self->vcpu->run;

	REAL_MODE(real_mmio_wrap);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VGA_WINDOW + 0xffff, run->mmio.phys_addr);
	EXPECT_EQ(0x61, run->mmio.data[0]);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VGA_WINDOW, run->mmio.phys_addr);
	EXPECT_EQ(0x62, run->mmio.data[0]);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_string_output)
{
	struct kvm_run *run = self->vcpu->run;
	char text[5] = "";
	u32 n = 0;

	REAL_MODE(real_outs);
	while (n < 4 && vcpu_enter(self->vcpu) == KVM_EXIT_IO && run->io.port == OUTS_PORT) {
		ASSERT_LE(n + run->io.count, 4);
		memcpy(text + n, vcpu_pio_data(self->vcpu), run->io.count);
		n += run->io.count;
	}
	EXPECT_STREQ("abcd", text);
	EXPECT_EQ(0x3004, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_access_beyond_the_limit_raises_gp)
{
	REAL_MODE(real_limit);
	EXPECT_EQ(0x6d, vcpu_sync(self->vcpu));
}

TEST_F(modes, real_mode_triple_fault_is_a_shutdown)
{
	REAL_MODE(real_triple_fault);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_enter(self->vcpu));
}

TEST_F(modes, a_limit_of_4_gib_outlives_protected_mode)
{
	REAL_MODE(unreal);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VM_MMIO + 0x10, self->vcpu->run->mmio.phys_addr);
}

TEST_F(modes, a_guest_goes_from_real_to_long_and_compatibility_mode)
{
	struct kvm_sregs sregs;

	REAL_MODE(real_to_long);
	ASSERT_EQ(0x12345678, vcpu_sync(self->vcpu));
	sregs = vcpu_sregs(self->vcpu);
	EXPECT_EQ(EFER_LME | EFER_LMA, sregs.efer);
	EXPECT_EQ(1, sregs.cs.l);
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	sregs = vcpu_sregs(self->vcpu);
	EXPECT_EQ(0, sregs.cs.l);
	EXPECT_EQ(1, sregs.cs.db);
}

/* SDM 3A "Processor State After Reset"; RDX has the CPU's signature, CPUID leaf 1. */
TEST_F(modes, a_vcpu_begins_at_the_reset_vector)
{
	/* mov $0x708, %dx; mov $0x42, %eax; out %eax, %dx */
	static const u8 code[] = { 0xba, 0x08, 0x07, 0x66, 0xb8, 0x42, 0, 0, 0, 0x66, 0xef };
	u8 *rom = vm_add_ram(&self->vm, SLOT_TEST, 0xfffff000, PAGE_SIZE, 0);

	memcpy(rom + 0xff0, code, sizeof(code));
	EXPECT_EQ(0x42, vcpu_sync(self->vcpu));
}

TEST_F(modes, reset_leaves_the_registers_as_the_manual_says)
{
	struct kvm_sregs sregs = vcpu_sregs(self->vcpu);
	struct kvm_regs regs = vcpu_regs(self->vcpu);

	EXPECT_EQ(0xfff0, regs.rip);
	EXPECT_EQ(2, regs.rflags);
	EXPECT_EQ(0, regs.rax);
	EXPECT_EQ(0xf000, sregs.cs.selector);
	EXPECT_EQ(0xffff0000, sregs.cs.base);
	EXPECT_EQ(0xffff, sregs.ds.limit);
	EXPECT_EQ(0, sregs.ds.base);
	EXPECT_EQ(X86_CR0_CD | X86_CR0_NW | X86_CR0_ET, sregs.cr0);
	EXPECT_EQ(0, sregs.cr2 | sregs.cr3 | sregs.cr4 | sregs.cr8 | sregs.efer);
	EXPECT_EQ(0xffff, sregs.gdt.limit);
	EXPECT_EQ(0xffff, sregs.idt.limit);
}

/* ---- protected mode ---- */

TEST_F(modes, protected_mode_runs_32_bit_code)
{
	PROTECTED_MODE(protected_arithmetic);
	EXPECT_EQ(0x0100, vcpu_sync(self->vcpu));	/* overflow, no carry */
}

static void set_paging(struct vcpu *vcpu, u64 cr4)
{
	struct kvm_sregs sregs = vcpu_sregs(vcpu);

	sregs.cr3 = TABLES;
	sregs.cr4 = cr4;
	sregs.cr0 |= X86_CR0_PG;
	vcpu_set_sregs(vcpu, &sregs);
}

static void *table(struct vm *vm, u32 nr)
{
	return vm->low + TABLES + nr * PAGE_SIZE;
}

/* What the device at VM_MMIO saw of a load, answered with a value. */
static u32 answer_load(struct vcpu *vcpu)
{
	u32 answer = 0xcafe0000 + vcpu->run->mmio.len;

	if (vcpu_enter(vcpu) != KVM_EXIT_MMIO)
		vm_die("exit %s instead of MMIO", exit_name(vcpu->run->exit_reason));
	if (vcpu->run->mmio.phys_addr != VM_MMIO + 0x10)
		vm_die("MMIO at %#llx", vcpu->run->mmio.phys_addr);
	memcpy(vcpu->run->mmio.data, &answer, 4);
	if (vcpu_sync(vcpu) != answer)
		vm_die("the guest loaded something else");
	return 1;
}

static void map_2_levels(struct vm *vm, bool large)
{
	u32 *pd = table(vm, 0), *pt = table(vm, 1);

	pd[0] = PTE_BITS | PDE_LARGE;			/* 4M one to one */
	if (large) {
		pd[MMIO_WINDOW >> 22] = VM_MMIO | PTE_BITS | PDE_LARGE;
	} else {
		pd[MMIO_WINDOW >> 22] = (TABLES + PAGE_SIZE) | PTE_BITS;
		pt[0] = VM_MMIO | PTE_BITS;
	}
}

TEST_F(modes, mmio_under_2_level_paging)
{
	PROTECTED_MODE(protected_load);
	map_2_levels(&self->vm, false);
	set_paging(self->vcpu, X86_CR4_PSE);
	EXPECT_EQ(1, answer_load(self->vcpu));
}

TEST_F(modes, mmio_under_2_level_paging_through_a_4m_page)
{
	PROTECTED_MODE(protected_load);
	map_2_levels(&self->vm, true);
	set_paging(self->vcpu, X86_CR4_PSE);
	EXPECT_EQ(1, answer_load(self->vcpu));
}

static void map_3_levels(struct vm *vm, bool large)
{
	u64 *pdpt = table(vm, 0), *pd = table(vm, 1), *pt = table(vm, 2);

	pdpt[0] = (TABLES + PAGE_SIZE) | PDPTE_BITS;
	pd[0] = PTE_BITS | PDE_LARGE;			/* 2M one to one */
	if (large) {
		pd[MMIO_WINDOW >> 21] = VM_MMIO | PTE_BITS | PDE_LARGE;
	} else {
		pd[MMIO_WINDOW >> 21] = (TABLES + 2 * PAGE_SIZE) | PTE_BITS;
		pt[0] = VM_MMIO | PTE_BITS;
	}
}

TEST_F(modes, mmio_under_pae_paging)
{
	PROTECTED_MODE(protected_load);
	map_3_levels(&self->vm, false);
	set_paging(self->vcpu, X86_CR4_PAE);
	EXPECT_EQ(1, answer_load(self->vcpu));
}

TEST_F(modes, mmio_under_pae_paging_through_a_2m_page)
{
	PROTECTED_MODE(protected_load);
	map_3_levels(&self->vm, true);
	set_paging(self->vcpu, X86_CR4_PAE);
	EXPECT_EQ(1, answer_load(self->vcpu));
}

TEST_F(modes, mmio_store_under_2_level_paging_sets_accessed_and_dirty)
{
	PROTECTED_MODE(protected_store);
	map_2_levels(&self->vm, false);
	set_paging(self->vcpu, X86_CR4_PSE);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(1, self->vcpu->run->mmio.is_write);
	EXPECT_EQ(0x11223344, *(u32 *)self->vcpu->run->mmio.data);
	EXPECT_EQ(X86_PTE_A | X86_PTE_D, *(u32 *)table(&self->vm, 1) & (X86_PTE_A | X86_PTE_D));
}

enum { BIT_LA57 = 1 << 16 };		/* leaf 7 ECX */

static u64 load_device(u64 arg)
{
	return read32(VM_MMIO + 0x10);
}

static u64 set_la57(u64 arg)
{
	return guest_try("mov %0, %%cr4", : "r"(read_cr4() | X86_CR4_LA57) : "memory");
}

TEST_F(modes, mmio_under_5_level_paging)
{
	static u64 pml5[512] __attribute__((aligned(4096)));
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(kvm_supported_cpuid(), 7, 0);
	struct kvm_sregs sregs;

	vcpu_long_mode(self->vcpu);
	pml5[0] = vm_cr3() | PTE_BITS;
	sregs = vcpu_sregs(self->vcpu);
	sregs.cr3 = (u64)pml5;
	sregs.cr4 |= X86_CR4_LA57;
	if (!e || !(e->ecx & BIT_LA57)) {	/* then CR4 does not take the bit, either */
		EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs)));
		EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, set_la57, 0));
		EXPECT_EQ(0, vcpu_sregs(self->vcpu).cr4 & X86_CR4_LA57);
		return;
	}
	vcpu_set_sregs(self->vcpu, &sregs);
	vcpu_start(self->vcpu, load_device, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VM_MMIO + 0x10, self->vcpu->run->mmio.phys_addr);
	memcpy(self->vcpu->run->mmio.data, "\x01\x02\x03\x04", 4);
	EXPECT_EQ(0x04030201, vcpu_finish(self->vcpu));
}

TEST_F(modes, mmio_under_4_level_paging_through_a_1g_page)
{
	static u64 pml4[512] __attribute__((aligned(4096)));
	static u64 pdpt[512] __attribute__((aligned(4096)));
	struct kvm_sregs sregs;

	NEED(kvm_cpuid_find(kvm_supported_cpuid(), 0x80000001, 0)->edx & 1 << 26, "no 1G pages");
	vcpu_long_mode(self->vcpu);
	pml4[0] = (u64)pdpt | PTE_BITS;
	for (u64 i = 0; i < 4; i++)
		pdpt[i] = i * GiB | PTE_BITS | PDE_LARGE;
	sregs = vcpu_sregs(self->vcpu);
	sregs.cr3 = (u64)pml4;
	vcpu_set_sregs(self->vcpu, &sregs);
	vcpu_start(self->vcpu, load_device, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VM_MMIO + 0x10, self->vcpu->run->mmio.phys_addr);
}

TEST_HARNESS_MAIN
