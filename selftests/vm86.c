// SPDX-License-Identifier: GPL-2.0
/* Virtual-8086 mode and 16-bit protected mode; the guests are in guests/vm86.S. */
#include "test.h"

enum {
	CODE = 0x2000, HANDLER = 0x2400, MONITOR_INT = 0x2800, MONITOR_GP = 0x2c00,
	MONITOR_BEGIN = 0x3000,
	GDT = 0x4000, IDT = 0x4800, TSS = 0x6000, MONITOR_STACK = 0x1800, STACK = 0x1000,
	CS32 = 0x08, DATA = 0x10, TR = 0x18,

	/* SDM 3A "Task-State Segment (TSS)": ESP0, SS0 and where the I/O bitmap is */
	TSS_ESP0 = 4, TSS_SS0 = 8, TSS_IOMAP = 0x66, REDIRECTION = 0x68,
	IOMAP = REDIRECTION + 32, IOMAP_SIZE = 0x10000 / 8, TSS_SIZE = IOMAP + IOMAP_SIZE + 1,

	EFLAGS_VM = 1 << 17, IOPL_3 = 3 << 12, BIT_VME = 1 << 1, VGA_WINDOW = 0xa0000,
};

FIXTURE(vm86) {
	struct vm vm;
	struct vcpu *vcpu;
};

static u64 gate(u32 offset, u8 dpl)
{
	return (u64)(0x8e | dpl << 5) << 40 | CS32 << 16 | offset;
}

FIXTURE_SETUP(vm86)
{
	u64 *gdt, *idt;

	vm_create(&self->vm, VM_PLAIN);
	self->vcpu = vm_add_reset_vcpu(&self->vm, 0);
	gdt = (u64 *)(self->vm.low + GDT);
	idt = (u64 *)(self->vm.low + IDT);
	gdt[CS32 / 8] = 0x00cf9b000000ffff;
	gdt[DATA / 8] = 0x00cf93000000ffff;
	idt[GP_VECTOR] = gate(vm_load(&self->vm, MONITOR_GP, monitor_gp), 0);
	idt[0x21] = gate(vm_load(&self->vm, MONITOR_INT, monitor_int), 3);
	*(u32 *)(self->vm.low + TSS + TSS_ESP0) = MONITOR_STACK;
	*(u32 *)(self->vm.low + TSS + TSS_SS0) = DATA;
	*(u16 *)(self->vm.low + TSS + TSS_IOMAP) = IOMAP;
	self->vm.low[TSS + TSS_SIZE - 1] = 0xff;
}

FIXTURE_TEARDOWN(vm86)
{
	vm_destroy(&self->vm);
}

static struct kvm_sregs monitor_tables(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_protected_mode(vcpu, CODE);
	sregs = vcpu_sregs(vcpu);
	sregs.gdt = (struct kvm_dtable) { .base = GDT, .limit = 0x1f };
	sregs.idt = (struct kvm_dtable) { .base = IDT, .limit = 0x7ff };
	sregs.tr.selector = TR;
	sregs.tr.base = TSS;
	sregs.tr.limit = TSS_SIZE - 1;
	if (kvm_cpu_is_tcg())
		sregs.tr.type = 9;	/* of a busy one TCG says "invalid tss type", and ends */
	return sregs;
}

static void begin(struct vcpu *vcpu, u64 flags, u64 cr4)
{
	struct kvm_sregs sregs = monitor_tables(vcpu);
	struct kvm_regs regs = vcpu_regs(vcpu);

	sregs.cs = (struct kvm_segment) {
		.limit = 0xffff, .type = 3, .present = 1, .s = 1, .dpl = 3,
	};
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs;
	sregs.cr4 = cr4;
	regs.rflags |= EFLAGS_VM | flags;
	/* Segments are looked at in the light of RFLAGS.VM. */
	vcpu_set_regs(vcpu, &regs);
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_set_regs(vcpu, &regs);
}

/*
 * QEMU's TCG does not come back from an exit out of this mode, nor does Bochs's AMD-V from
 * an entry to it.  There the monitor goes to it by IRET, and what is asked makes no exit
 * before the monitor has it again.
 */
static bool emulated_amd(void)
{
	return kvm_cpu_is_tcg() || kvm_cpu_is_bochs_amd();
}

static void begin_in_monitor(struct vcpu *vcpu, u64 flags, u64 cr4)
{
	struct kvm_sregs sregs = monitor_tables(vcpu);
	struct kvm_regs regs = vcpu_regs(vcpu);

	sregs.cr4 = cr4;
	vcpu_set_sregs(vcpu, &sregs);
	regs.rip = vm_load(vcpu->vm, MONITOR_BEGIN, monitor_begin);
	regs.rax = CODE;
	regs.rbx = regs.rflags | EFLAGS_VM | flags;
	vcpu_set_regs(vcpu, &regs);
}

#define VM86(name, flags, cr4) do {					\
	vm_load(&self->vm, CODE, name);					\
	if (emulated_amd())						\
		begin_in_monitor(self->vcpu, flags, cr4);		\
	else								\
		begin(self->vcpu, flags, cr4);				\
} while (0)

/* ---- virtual-8086 mode ---- */

TEST_F(vm86, io_that_the_bitmap_allows_needs_no_iopl)
{
	NEED(!kvm_cpu_is_tcg(), "QEMU's TCG does not come back from an exit out of this mode");
	VM86(vm86_tell, 0, 0);
	EXPECT_EQ(0x1111, vcpu_sync(self->vcpu));
	EXPECT_EQ(EFLAGS_VM, vcpu_regs(self->vcpu).rflags & EFLAGS_VM);
}

TEST_F(vm86, io_that_the_bitmap_denies_raises_gp_whatever_the_iopl)
{
	VM86(vm86_tell, IOPL_3, 0);
	self->vm.low[TSS + IOMAP + (PORT_SYNC + 3) / 8] = 1 << (PORT_SYNC + 3) % 8;
	/* The monitor is at CPL 0, where no bitmap counts. */
	EXPECT_EQ(CODE + 9, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_regs(self->vcpu).rflags & EFLAGS_VM);
}

TEST_F(vm86, int_n_with_iopl_3_goes_to_the_monitor)
{
	VM86(vm86_int, IOPL_3, 0);
	EXPECT_EQ(EFLAGS_VM | (CODE + 8), vcpu_sync(self->vcpu));
}

TEST_F(vm86, int_n_below_iopl_3_raises_gp)
{
	VM86(vm86_int, 0, 0);
	EXPECT_EQ(CODE + 6, vcpu_sync(self->vcpu));
}

/* 0 where the CPU has no VME. */
static u64 cr4_vme(void)
{
	return kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->edx & BIT_VME ? X86_CR4_VME : 0;
}

TEST_F(vm86, int_n_is_redirected_to_the_real_mode_table_under_vme)
{
	u32 *vectors = (u32 *)self->vm.low;

	vectors[0x21] = vm_load(&self->vm, HANDLER, vm86_handler);
	VM86(vm86_int, 0, cr4_vme());
	if (!cr4_vme()) {		/* then the table does not count */
		EXPECT_EQ(CODE + 6, vcpu_sync(self->vcpu));
		return;
	}
	EXPECT_EQ(0x2222, vcpu_sync(self->vcpu));
	EXPECT_EQ(EFLAGS_VM, vcpu_regs(self->vcpu).rflags & EFLAGS_VM);
}

TEST_F(vm86, int_n_goes_to_the_monitor_under_vme_where_the_bitmap_says_so)
{
	self->vm.low[TSS + REDIRECTION + 0x21 / 8] = 1 << 0x21 % 8;
	VM86(vm86_int, IOPL_3, cr4_vme());
	EXPECT_EQ(EFLAGS_VM | (CODE + 8), vcpu_sync(self->vcpu));
}

TEST_F(vm86, mmio_goes_to_user_space)
{
	NEED(!kvm_cpu_is_tcg(), "QEMU's TCG does not come back from an exit out of this mode");
	VM86(vm86_mmio, 0, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VGA_WINDOW + 0x10, self->vcpu->run->mmio.phys_addr);
	memcpy(self->vcpu->run->mmio.data, "\x78\x56\x34\x12", 4);
	if (kvm_cpu_is_bochs_amd()) {	/* no entry: the load alone is completed */
		self->vcpu->run->immediate_exit = 1;
		EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
		EXPECT_EQ(0x12345678, vcpu_regs(self->vcpu).rax);
		EXPECT_EQ(EFLAGS_VM, vcpu_regs(self->vcpu).rflags & EFLAGS_VM);
		return;
	}
	EXPECT_EQ(0x12345678, vcpu_sync(self->vcpu));
}

TEST_F(vm86, hlt_raises_gp)
{
	VM86(vm86_hlt, IOPL_3, 0);
	EXPECT_EQ(CODE, vcpu_sync(self->vcpu));
}

/* ---- 16-bit protected mode ---- */

static void begin_16_bit(struct vcpu *vcpu, u32 data_base)
{
	struct kvm_sregs sregs = monitor_tables(vcpu);

	sregs.cs.db = sregs.ss.db = 0;
	sregs.cs.g = sregs.ss.g = 0;
	sregs.cs.limit = sregs.ss.limit = 0xffff;
	sregs.ds.base = data_base;
	vcpu_set_sregs(vcpu, &sregs);
}

TEST_F(vm86, a_16_bit_stack_wraps_at_64k)
{
	vm_load(&self->vm, CODE, prot16_stack);
	begin_16_bit(self->vcpu, 0);
	EXPECT_EQ(0x5fffe, vcpu_sync(self->vcpu));
}

TEST_F(vm86, mmio_with_16_bit_addresses)
{
	vm_load(&self->vm, CODE, prot16_mmio);
	begin_16_bit(self->vcpu, VM_MMIO);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VM_MMIO + 0x10, self->vcpu->run->mmio.phys_addr);
	EXPECT_EQ(4, self->vcpu->run->mmio.len);
}

TEST_HARNESS_MAIN
