// SPDX-License-Identifier: GPL-2.0
/* msr.c, mtrr.c, mce.c: which MSRs there are, and who may do what to them. */
#include <stdlib.h>
#include <asm/cpufeature.h>
#include <asm/kvm_para.h>
#include <asm/msr.h>
#include <asm/mtrr.h>
#include "backend.h"
#include "cpuid.h"
#include "kselftest_harness.h"
#include "msr.h"

#define WHOLE ~0ULL

/* A new world, in which the module has been loaded. */
static struct vcpu *new_vcpu(void)
{
	struct vcpu *vcpu = world_vcpu(world_vm());
	static bool loaded;

	if (!loaded)
		msr_module_init();
	loaded = true;
	msr_vcpu_init(vcpu);
	return vcpu;
}

/* A vCPU whose CPUID has not one feature. */
static struct vcpu *bare_vcpu(void)
{
	struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 e[1]; } cpuid = { .head.nent = 1 };
	struct vcpu *vcpu = new_vcpu();

	cpuid_ioctl_set2(vcpu, &cpuid.head);
	return vcpu;
}

/* One that has everything. */
static struct vcpu *full_vcpu(void)
{
	struct vcpu *vcpu = new_vcpu();

	vcpu->maxphyaddr = 40;
	return vcpu;
}

static u64 get(struct vcpu *vcpu, u32 index)
{
	u64 val = 0xbad;

	return msr_read(vcpu, index, &val, true) ? 0xdead : val;
}

static int guest_get(struct vcpu *vcpu, u32 index)
{
	u64 val;

	return msr_read(vcpu, index, &val, false);
}

static int guest_set(struct vcpu *vcpu, u32 index, u64 val)
{
	return msr_write(vcpu, index, val, false);
}

static int host_set(struct vcpu *vcpu, u32 index, u64 val)
{
	return msr_write(vcpu, index, val, true);
}

FIXTURE(lists) {
	struct { struct kvm_msr_list head; u32 index[64]; } user;
};

FIXTURE_SETUP(lists)
{
	new_vcpu();
	self->user.head.nmsrs = 64;
	ASSERT_EQ(0, msr_ioctl_list(&self->user.head, false));
}

FIXTURE_TEARDOWN(lists)
{
}

/* QEMU ends when one of them cannot. */
TEST_F(lists, what_is_listed_can_be_saved_and_restored)
{
	struct vcpu *vcpu[] = { full_vcpu(), bare_vcpu() };
	unsigned int i, v;
	u64 val;

	for (v = 0; v < 2; v++)
		for (i = 0; i < self->user.head.nmsrs; i++) {
			EXPECT_EQ(MSR_OK, msr_read(vcpu[v], self->user.index[i], &val, true))
				TH_LOG("MSR %x", self->user.index[i]);
			EXPECT_EQ(MSR_OK, host_set(vcpu[v], self->user.index[i], val))
				TH_LOG("MSR %x", self->user.index[i]);
			if (self->user.index[i] != MSR_IA32_TSC)
				EXPECT_EQ(val, get(vcpu[v], self->user.index[i]));
		}
}

TEST_F(lists, none_is_listed_twice)
{
	unsigned int i, j;

	EXPECT_GT(self->user.head.nmsrs, 20);
	for (i = 0; i < self->user.head.nmsrs; i++)
		for (j = 0; j < i; j++)
			EXPECT_NE(self->user.index[i], self->user.index[j]);
}

TEST_F(lists, too_little_room_tells_how_much)
{
	u32 nr = self->user.head.nmsrs;

	self->user.head.nmsrs = nr - 1;
	EXPECT_EQ(-E2BIG, msr_ioctl_list(&self->user.head, false));
	EXPECT_EQ(nr, self->user.head.nmsrs);
}

TEST_F(lists, features_listed_can_be_read_without_a_vcpu)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry e[8]; } user = {};
	u32 i, nr;

	self->user.head.nmsrs = 8;
	ASSERT_EQ(0, msr_ioctl_list(&self->user.head, true));
	nr = user.head.nmsrs = self->user.head.nmsrs;
	for (i = 0; i < nr; i++)
		user.e[i].index = self->user.index[i];
	EXPECT_EQ(nr, msr_ioctl(NULL, &user.head, false));
	user.e[1].index = MSR_IA32_TSC;
	EXPECT_EQ(1, msr_ioctl(NULL, &user.head, false));
}

/* ---- ioctls ---- */

TEST(set_stops_at_the_first_that_fails)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry e[3]; } user = { .head.nmsrs = 3, .e = {
		{ .index = MSR_IA32_CR_PAT, .data = 0x0606060606060606 },
		{ .index = 0x12345678, .data = 0 },
		{ .index = MSR_IA32_MCG_STATUS, .data = 5 },
	} };
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(1, msr_ioctl(vcpu, &user.head, true));
	EXPECT_EQ(0x0606060606060606, vcpu->pat);
	EXPECT_EQ(0, vcpu->mcg_status);
	user.e[0].data = 0;
	EXPECT_EQ(1, msr_ioctl(vcpu, &user.head, false));
	EXPECT_EQ(0x0606060606060606, user.e[0].data);
}

TEST(no_more_than_255_at_once)
{
	struct kvm_msrs user = { .nmsrs = 256 };
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(-E2BIG, msr_ioctl(vcpu, &user, false));
	EXPECT_EQ(-E2BIG, msr_ioctl(vcpu, &user, true));
	user.nmsrs = 0;
	EXPECT_EQ(0, msr_ioctl(vcpu, &user, true));
}

/* ---- who may ---- */

TEST(unknown_msr_is_nobodys)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, 0x12345678));
	EXPECT_EQ(MSR_UNKNOWN, guest_set(vcpu, 0x12345678, 0));
	EXPECT_EQ(MSR_UNKNOWN, host_set(vcpu, 0x12345678, 0));
}

TEST(vendors_msr_goes_to_the_vendor)
{
	struct vcpu *vcpu = bare_vcpu();

	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_LSTAR, 123));
	EXPECT_EQ(123, world.vendor_msr);
	EXPECT_EQ(123, get(vcpu, MSR_LSTAR));
}

TEST(guest_needs_the_cpuid_bit_user_space_does_not)
{
	static const u32 gated[] = {
		MSR_IA32_TSC_ADJUST, MSR_TSC_AUX, MSR_IA32_XSS, MSR_AMD64_VIRT_SPEC_CTRL,
		MSR_AMD64_OSVW_STATUS, MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW,
		MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_STEAL_TIME, MSR_KVM_PV_EOI_EN,
		MSR_KVM_POLL_CONTROL, MSR_IA32_SPEC_CTRL, MSR_IA32_CR_PAT,
	};
	struct vcpu *vcpu;
	unsigned int i;
	u64 val;

	for (i = 0; i < ARRAY_SIZE(gated); i++) {
		vcpu = bare_vcpu();
		EXPECT_EQ(MSR_OK, msr_read(vcpu, gated[i], &val, true));
		EXPECT_EQ(MSR_GP, guest_get(vcpu, gated[i]));
		EXPECT_EQ(MSR_GP, guest_set(vcpu, gated[i], val));
		EXPECT_EQ(MSR_OK, host_set(vcpu, gated[i], val));
		vcpu = full_vcpu();
		EXPECT_EQ(MSR_OK, guest_get(vcpu, gated[i]));
		EXPECT_EQ(MSR_OK, guest_set(vcpu, gated[i], val));
	}
}

TEST(read_only_ones_can_be_set_by_user_space_alone)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_PLATFORM_INFO, 1));
	EXPECT_EQ(MSR_OK, host_set(vcpu, MSR_PLATFORM_INFO, 1));
	EXPECT_EQ(1, get(vcpu, MSR_PLATFORM_INFO));
	/* written before CPUID is asked for the revision: SDM "Microcode Update Facilities" */
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_UCODE_REV, 0));
	EXPECT_NE(0, get(vcpu, MSR_IA32_UCODE_REV));
}

TEST(reserved_bits_are_refused)
{
	static const struct { u32 index; u64 bad; } bad[] = {
		{ MSR_TSC_AUX, 1ULL << 32 }, { MSR_IA32_XSS, 1 }, { MSR_KVM_POLL_CONTROL, 2 },
		{ MSR_AMD64_VIRT_SPEC_CTRL, 1 }, { MSR_IA32_SPEC_CTRL, 1ULL << 20 },
		{ MSR_IA32_PRED_CMD, 2 }, { MSR_IA32_FLUSH_CMD, 2 }, { MSR_K7_HWCR, 1 },
		{ MSR_IA32_CR_PAT, 2 }, { MSR_IA32_CR_PAT, 0x03ULL << 56 },
		{ MSR_KVM_STEAL_TIME, 2 }, { MSR_EFER, EFER_SVME }, { MSR_EFER, 1ULL << 63 },
		{ MSR_AMD64_DE_CFG, 1ULL << 40 }, { MSR_IA32_MCG_CTL, 1 },
	};
	struct vcpu *vcpu = full_vcpu();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(MSR_GP, guest_set(vcpu, bad[i].index, bad[i].bad))
			TH_LOG("MSR %x", bad[i].index);
		EXPECT_EQ(MSR_GP, host_set(vcpu, bad[i].index, bad[i].bad))
			TH_LOG("MSR %x", bad[i].index);
	}
}

/* SDM 2D "WRMSR". AMD's CPUs have no SYSENTER in long mode. */
TEST(addresses_are_canonical)
{
	static const u32 addresses[] = { MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
		MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_CSTAR };
	struct vcpu *vcpu = bare_vcpu();	/* of no vendor */
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		EXPECT_EQ(MSR_GP, guest_set(vcpu, addresses[i], 1ULL << 47));
		EXPECT_EQ(MSR_GP, host_set(vcpu, addresses[i], 1ULL << 63));
	}
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_SYSENTER_ESP, ~0ULL << 47));
	EXPECT_EQ(MSR_OK, guest_set(full_vcpu(), MSR_IA32_SYSENTER_ESP, 1ULL << 47));
}

/* ---- EFER, MISC_ENABLE, HWCR ---- */

TEST(efer_lme_is_fixed_while_paging_and_lma_always)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_EFER, EFER_LME | EFER_LMA | EFER_SCE));
	EXPECT_EQ(EFER_LME | EFER_SCE, vcpu->efer);
	vcpu->efer |= EFER_LMA;
	vcpu->cr0 = X86_CR0_PG;
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_EFER, 0));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_EFER, EFER_LME | EFER_NX));
	EXPECT_EQ(EFER_LME | EFER_LMA | EFER_NX, vcpu->efer);
}

TEST(efer_bits_need_cpuid)
{
	struct vcpu *vcpu = bare_vcpu();

	EXPECT_EQ(EFER_SCE, msr_efer_valid_bits(vcpu));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_EFER, EFER_LME));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_EFER, EFER_NX));
}

TEST(misc_enable_keeps_what_the_cpu_sets)
{
	struct vcpu *vcpu = full_vcpu();
	u64 val = get(vcpu, MSR_IA32_MISC_ENABLE);

	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_IA32_MISC_ENABLE, 0));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MISC_ENABLE,
				    val | MSR_IA32_MISC_ENABLE_EMON |
				    MSR_IA32_MISC_ENABLE_FAST_STRING));
	EXPECT_EQ(val | MSR_IA32_MISC_ENABLE_FAST_STRING, get(vcpu, MSR_IA32_MISC_ENABLE));
	EXPECT_EQ(MSR_OK, host_set(vcpu, MSR_IA32_MISC_ENABLE, 0));
}

TEST(barriers_reach_the_cpu)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_PRED_CMD, 0));
	EXPECT_EQ(0, world.msr[0]);
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_PRED_CMD, PRED_CMD_IBPB));
	EXPECT_EQ(MSR_IA32_PRED_CMD, world.msr[0]);
	EXPECT_EQ(PRED_CMD_IBPB, world.msr[1]);
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, MSR_IA32_PRED_CMD));
}

TEST(old_systems_read_what_they_expect)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(0, get(vcpu, MSR_AMD64_SYSCFG));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_AMD64_SYSCFG, 1));
	EXPECT_EQ(0, get(vcpu, MSR_K7_EVNTSEL3));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_K7_PERFCTR3, 0xabcd));
	EXPECT_EQ(0, get(vcpu, MSR_K7_PERFCTR3));
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, MSR_K7_PERFCTR3 + 1));
}

/* ---- MTRRs ---- */

TEST(each_variable_mtrr_is_a_register_of_its_own)
{
	struct vcpu *vcpu = full_vcpu();
	u32 i;

	for (i = 0; i < 16; i++)
		EXPECT_EQ(MSR_OK, guest_set(vcpu, MTRRphysBase_MSR(0) + i, (i + 1) << 12));
	for (i = 0; i < 16; i++)
		EXPECT_EQ((i + 1) << 12, get(vcpu, MTRRphysBase_MSR(0) + i));
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, MTRRphysBase_MSR(8)));
	EXPECT_EQ(0x508, get(vcpu, MSR_MTRRcap));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_MTRRcap, 0x508));
}

static u64 types_of(unsigned int i)
{
	return (i & 1) * 6ULL | (i >> 1 & 1) * 0x600ULL | (i >> 2 & 1) * 0x60000ULL |
	       (i >> 3 & 1) * (6ULL << 56);
}

TEST(each_fixed_mtrr_is_a_register_of_its_own)
{
	static const u32 fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d,
				     0x26e, 0x26f };
	struct vcpu *vcpu = full_vcpu();
	unsigned int i;

	/* the number in bytes that are 0 (uncached) or 6 (write-back) */
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		EXPECT_EQ(MSR_OK, guest_set(vcpu, fixed[i], types_of(i)));
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		EXPECT_EQ(types_of(i), get(vcpu, fixed[i]));
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, 0x251));
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, 0x25a));
}

TEST(pat_stands_among_the_mtrrs_and_is_none)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(0x0007040600070406, get(vcpu, MSR_IA32_CR_PAT));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_CR_PAT, 0x0706050401000706));
	EXPECT_EQ(0x0706050401000706, vcpu->pat);
}

TEST(mtrrs_refuse_bad_types_and_reserved_bits)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_GP, guest_set(vcpu, MTRRphysBase_MSR(0), 2));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MTRRphysBase_MSR(0), 7));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MTRRphysBase_MSR(0), 1 << 8));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MTRRphysBase_MSR(0), 1ULL << 40));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MTRRphysMask_MSR(7), 1 << 10));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MTRRphysMask_MSR(7), 0xffffff0800));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_MTRRfix4K_C0000, 0x02ULL << 32));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_MTRRdefType, 1 << 9));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_MTRRdefType, 7));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_MTRRdefType, 0xc06));
}

/* ---- machine check ---- */

TEST(banks_cost_nothing_until_something_is_kept)
{
	struct vcpu *vcpu = full_vcpu();
	unsigned int bank;

	for (bank = 0; bank < MCE_MAX_BANKS; bank++) {
		EXPECT_EQ(WHOLE, get(vcpu, MSR_IA32_MCx_CTL(bank)));
		EXPECT_EQ(0, get(vcpu, MSR_IA32_MCx_STATUS(bank)));
		EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_CTL(bank), WHOLE));
		EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_STATUS(bank), 0));
	}
	EXPECT_EQ(NULL, vcpu->mce_banks);
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_MISC(31), 77));
	EXPECT_NE(NULL, vcpu->mce_banks);
	EXPECT_EQ(77, get(vcpu, MSR_IA32_MCx_MISC(31)));
	EXPECT_EQ(WHOLE, get(vcpu, MSR_IA32_MCx_CTL(31)));
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, MSR_IA32_MCx_CTL(32)));
}

TEST(bank_control_is_all_or_nothing)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_CTL(4), ~(1ULL << 10)));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_CTL(4), 0));
	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_IA32_MCx_CTL(4), 5));
}

TEST(bank_status_is_cleared_by_guests_and_set_by_user_space)
{
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(MSR_GP, guest_set(vcpu, MSR_IA32_MCx_STATUS(0), 1));
	EXPECT_EQ(MSR_OK, host_set(vcpu, MSR_IA32_MCx_STATUS(0), 1));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_STATUS(0), 0));
	/* AMD's HWCR lets guests, too */
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_K7_HWCR, 1 << 18));
	EXPECT_EQ(MSR_OK, guest_set(vcpu, MSR_IA32_MCx_STATUS(0), 1));
}

TEST(only_banks_and_capabilities_there_are_can_be_set_up)
{
	struct vcpu *vcpu = full_vcpu();
	u64 cap = 10 | MCG_CTL_P | MCG_SER_P;

	EXPECT_EQ(0, mce_ioctl_setup(vcpu, &cap));
	EXPECT_EQ(cap, get(vcpu, MSR_IA32_MCG_CAP));
	EXPECT_EQ(WHOLE, get(vcpu, MSR_IA32_MCG_CTL));
	EXPECT_EQ(MSR_UNKNOWN, guest_get(vcpu, MSR_IA32_MCx_CTL(10)));
	cap = 0;
	EXPECT_EQ(-EINVAL, mce_ioctl_setup(vcpu, &cap));
	cap = 33;
	EXPECT_EQ(-EINVAL, mce_ioctl_setup(vcpu, &cap));
	cap = 10 | 1ULL << 10;		/* CMCI */
	EXPECT_EQ(-EINVAL, mce_ioctl_setup(vcpu, &cap));
}

TEST(uncorrected_error_raises_mc_and_fills_its_bank)
{
	struct kvm_x86_mce mce = { .status = MCI_STATUS_VAL | MCI_STATUS_UC, .addr = 0x1000,
				   .misc = 7, .mcg_status = MCG_STATUS_MCIP, .bank = 3 };
	struct vcpu *vcpu = full_vcpu();

	vcpu->cr4 = X86_CR4_MCE;
	EXPECT_EQ(0, mce_ioctl_set(vcpu, &mce));
	EXPECT_TRUE(vcpu->exception.pending);
	EXPECT_EQ(18, vcpu->exception.vector);
	EXPECT_EQ(mce.status, get(vcpu, MSR_IA32_MCx_STATUS(3)));
	EXPECT_EQ(0x1000, get(vcpu, MSR_IA32_MCx_ADDR(3)));
	EXPECT_EQ(7, get(vcpu, MSR_IA32_MCx_MISC(3)));
	EXPECT_EQ(MCG_STATUS_MCIP, get(vcpu, MSR_IA32_MCG_STATUS));
	/* a second one while the first is served */
	EXPECT_EQ(0, mce_ioctl_set(vcpu, &mce));
	EXPECT_TRUE(vcpu_take_request(vcpu, REQ_TRIPLE_FAULT));
}

TEST(corrected_error_stays_in_its_bank)
{
	struct kvm_x86_mce mce = { .status = MCI_STATUS_VAL, .addr = 1, .bank = 0 };
	struct vcpu *vcpu = full_vcpu();

	EXPECT_EQ(0, mce_ioctl_set(vcpu, &mce));
	EXPECT_FALSE(vcpu->exception.pending);
	EXPECT_EQ(MCI_STATUS_VAL, get(vcpu, MSR_IA32_MC0_STATUS));
	EXPECT_EQ(0, mce_ioctl_set(vcpu, &mce));
	EXPECT_EQ(MCI_STATUS_VAL | MCI_STATUS_OVER, get(vcpu, MSR_IA32_MC0_STATUS));
	mce.bank = 32;
	EXPECT_EQ(-EINVAL, mce_ioctl_set(vcpu, &mce));
	mce.bank = mce.status = 0;
	EXPECT_EQ(-EINVAL, mce_ioctl_set(vcpu, &mce));
}

TEST_HARNESS_MAIN
