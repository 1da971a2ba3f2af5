// SPDX-License-Identifier: GPL-2.0
/* CPUID: the guest sees the table that user space set, and what changes by itself. */
#include "test.h"

enum {
	LEAF_OURS = 0x40001000,
	BIT_XSAVE = 1 << 26,		/* leaf 1 ECX */
	BIT_OSXSAVE = 1 << 27,
	BIT_APIC = 1 << 9,		/* leaf 1 EDX */
};

static struct cpuid_regs seen;

static u64 ask(u64 leaf)
{
	seen = cpuid(leaf, leaf >> 32);
	return 0;
}

static u64 ask_at_cpl3(u64 leaf)
{
	return guest_user(ask, leaf, 0);
}

#define LEAF(leaf, subleaf) ((u64)(subleaf) << 32 | (leaf))

FIXTURE(cpuid) {
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *table;
};

FIXTURE_SETUP(cpuid)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
	self->table = kvm_supported_cpuid();
}

FIXTURE_TEARDOWN(cpuid)
{
	vm_destroy(&self->vm);
}

static void add_entry(struct kvm_cpuid2 *table, struct kvm_cpuid_entry2 entry)
{
	die_unless(table->nent < 100);
	table->entries[table->nent++] = entry;
}

TEST_F(cpuid, all_four_registers_come_from_the_table)
{
	add_entry(self->table, (struct kvm_cpuid_entry2) {
		.function = LEAF_OURS, .eax = 0x11111111, .ebx = 0x22222222,
		.ecx = 0x33333333, .edx = 0x44444444 });
	kvm_cpuid_find(self->table, 0x40000000, 0)->eax = LEAF_OURS;
	vcpu_set_cpuid(self->vcpu, self->table);
	vcpu_call(self->vcpu, ask, LEAF_OURS);
	EXPECT_EQ(0x11111111, seen.eax);
	EXPECT_EQ(0x22222222, seen.ebx);
	EXPECT_EQ(0x33333333, seen.ecx);
	EXPECT_EQ(0x44444444, seen.edx);
}

TEST_F(cpuid, subleaf_is_chosen_by_ecx_where_the_index_is_significant)
{
	for (u32 i = 0; i < 3; i++)
		add_entry(self->table, (struct kvm_cpuid_entry2) {
			.function = LEAF_OURS, .index = i, .eax = 100 + i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX });
	kvm_cpuid_find(self->table, 0x40000000, 0)->eax = LEAF_OURS;
	vcpu_set_cpuid(self->vcpu, self->table);
	vcpu_call(self->vcpu, ask, LEAF(LEAF_OURS, 2));
	EXPECT_EQ(102, seen.eax);
}

TEST_F(cpuid, ecx_is_ignored_where_the_index_is_not_significant)
{
	u32 eax = kvm_cpuid_find(self->table, 0, 0)->eax;

	vcpu_call(self->vcpu, ask, LEAF(0, 77));
	EXPECT_EQ(eax, seen.eax);
}

TEST_F(cpuid, leaf_beyond_the_limit_is_zero_on_an_amd_cpu)
{
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(self->table, 0, 0);

	e->ebx = 0x68747541;	/* "Auth", "enti", "cAMD" */
	e->edx = 0x69746e65;
	e->ecx = 0x444d4163;
	vcpu_set_cpuid(self->vcpu, self->table);
	vcpu_call(self->vcpu, ask, 0x3fff0000);
	EXPECT_EQ(0, seen.eax | seen.ebx | seen.ecx | seen.edx);
}

/* SDM 2A "CPUID": beyond the highest basic leaf comes that leaf's data. */
TEST_F(cpuid, leaf_beyond_the_limit_is_the_highest_basic_one_on_an_intel_cpu)
{
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(self->table, 0, 0);

	e->eax = 2;
	e->ebx = 0x756e6547;	/* "Genu", "ineI", "ntel" */
	e->edx = 0x49656e69;
	e->ecx = 0x6c65746e;
	for (u32 i = 0; i < self->table->nent; i++)	/* drop leaf 2, if there is one */
		if (self->table->entries[i].function == 2)
			self->table->entries[i].function = 0x8000ffff;
	add_entry(self->table, (struct kvm_cpuid_entry2) { .function = 2, .eax = 0xabcd });
	vcpu_set_cpuid(self->vcpu, self->table);
	vcpu_call(self->vcpu, ask, 0x3fff0000);
	EXPECT_EQ(0xabcd, seen.eax);
}

TEST_F(cpuid, hypervisor_leaf_says_kvm)
{
	vcpu_call(self->vcpu, ask, KVM_CPUID_SIGNATURE);
	EXPECT_EQ(0, memcmp(&seen.ebx, "KVMKVMKVM\0\0\0", 4));
	EXPECT_EQ(0, memcmp(&seen.ecx, "VMKV", 4));
	EXPECT_GE(seen.eax, KVM_CPUID_FEATURES);
}

TEST_F(cpuid, works_at_cpl_3)
{
	u32 ebx = kvm_cpuid_find(self->table, 0, 0)->ebx;

	vcpu_call(self->vcpu, ask_at_cpl3, 0);
	EXPECT_EQ(ebx, seen.ebx);
}

TEST_F(cpuid, clears_the_upper_halves_of_the_registers)
{
	struct kvm_regs regs;

	vcpu_call(self->vcpu, ask, 0);
	vcpu_start(self->vcpu, ask, 0);
	regs = vcpu_regs(self->vcpu);
	regs.rbx = regs.rdx = ~0ULL;
	vcpu_set_regs(self->vcpu, &regs);
	vcpu_finish(self->vcpu);
	EXPECT_EQ(0, vcpu_regs(self->vcpu).rcx >> 32);
}

static u64 osxsave_before_and_after(u64 arg)
{
	u64 before = cpuid(1, 0).ecx & BIT_OSXSAVE;

	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	return before ? 0 : cpuid(1, 0).ecx & BIT_OSXSAVE;
}

TEST_F(cpuid, osxsave_follows_cr4)
{
	NEED(kvm_cpuid_find(self->table, 1, 0)->ecx & BIT_XSAVE, "no XSAVE");
	EXPECT_EQ(BIT_OSXSAVE, vcpu_call(self->vcpu, osxsave_before_and_after, 0));
}

static u64 xsave_size_after_xsetbv(u64 xcr0)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	asm volatile("xsetbv" : : "a"(xcr0), "c"(0), "d"(0));
	return cpuid(0xd, 0).ebx;
}

/* SDM 1 "Legacy Region of an XSAVE Area": 512 bytes and a header of 64; AVX has 256 more. */
TEST_F(cpuid, xsave_size_follows_xcr0)
{
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(self->table, 0xd, 0);

	NEED(e && (e->eax & 7) == 7, "no AVX state in XCR0");
	NEED(vcpu_sees_xsetbv(self->vcpu), NO_XSETBV_EXIT);
	EXPECT_EQ(512 + 64, vcpu_call(self->vcpu, xsave_size_after_xsetbv, 3));
	EXPECT_EQ(512 + 64 + 256, vcpu_call(self->vcpu, xsave_size_after_xsetbv, 7));
}

static u64 apic_bit_after_disable(u64 arg)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u32 on = cpuid(1, 0).edx & BIT_APIC, off;

	wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_ENABLE);
	off = cpuid(1, 0).edx & BIT_APIC;
	wrmsr(MSR_APIC_BASE, base);
	return on && !off;
}

TEST_F(cpuid, apic_bit_follows_the_apic_base_msr)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, apic_bit_after_disable, 0));
}

TEST_F(cpuid, supported_table_fits_in_100_entries)
{
	EXPECT_LE(self->table->nent, 100);
	EXPECT_GE(self->table->nent, 10);
}

TEST_F(cpuid, supported_table_has_what_a_64_bit_guest_needs)
{
	struct kvm_cpuid_entry2 *one = kvm_cpuid_find(self->table, 1, 0);
	struct kvm_cpuid_entry2 *ext = kvm_cpuid_find(self->table, 0x80000001, 0);
	/* TSC, MSR, PAE, CX8, APIC, PGE, CMOV, PAT, FXSR, SSE, SSE2 */
	u32 edx = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 |
		  1 << 24 | 1 << 25 | 1 << 26;

	ASSERT_TRUE(one && ext);
	EXPECT_EQ(edx, one->edx & edx);
	EXPECT_EQ(1u << 29 | 1 << 20, ext->edx & (1u << 29 | 1 << 20));	/* LM, NX */
}

TEST_F(cpuid, get_returns_what_set_was_given)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[100];
	} back = { { .nent = 100 } };

	NEED_CAP(KVM_CAP_EXT_CPUID);
	add_entry(self->table, (struct kvm_cpuid_entry2) { .function = LEAF_OURS, .edx = 0x5a5a });
	vcpu_set_cpuid(self->vcpu, self->table);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_CPUID2, &back)) TH_LOG("%m");
	/* Linux 6.1 leaves nent as it was, later ones say how many there are. */
	EXPECT_EQ(0x5a5a, kvm_cpuid_find(&back.head, LEAF_OURS, 0)->edx);
}

TEST_HARNESS_MAIN
