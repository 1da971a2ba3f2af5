// SPDX-License-Identifier: GPL-2.0
/* RDMSR and WRMSR in the guest, KVM_GET_MSRS and KVM_SET_MSRS outside. */
#include "test.h"

enum {
	MSR_UCODE_REV = 0x8b,
	MSR_MTRR_CAP = 0xfe,
	MSR_MTRR_FIX64K = 0x250,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MTRR_TYPE_WB = 6, MTRR_TYPE_INVALID = 2,
	BIT_SVM = 1 << 2,		/* leaf 0x80000001 ECX */
};

#define NON_CANONICAL 0x8000000000000000ULL

FIXTURE(msr) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(msr)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
}

FIXTURE_TEARDOWN(msr)
{
	vm_destroy(&self->vm);
}

static u64 read_vector(u64 index)
{
	u64 val;

	return rdmsr_try(index, &val);
}

static u64 value;

static u64 write_vector(u64 index)
{
	return wrmsr_try(index, value);
}

TEST_F(msr, reading_an_unknown_one_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, read_vector, MSR_NOBODY_HAS));
}

TEST_F(msr, writing_an_unknown_one_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_NOBODY_HAS));
}

static u64 gp_error_code(u64 index)
{
	u64 val;

	return rdmsr_try(index, &val) == GP_VECTOR ? this_cpu()->error : ~0ULL;
}

TEST_F(msr, the_gp_has_error_code_0)
{
	EXPECT_EQ(0, vcpu_call(self->vcpu, gp_error_code, MSR_NOBODY_HAS));
}

static u64 at_cpl3(u64 index)
{
	return guest_user(read_vector, index, 0);
}

TEST_F(msr, access_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, at_cpl3, MSR_STAR));
}

static const u32 plain_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE,
	MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

static u64 write_plain(u64 arg)
{
	for (u32 i = 0; i < ARRAY_SIZE(plain_msrs); i++)
		wrmsr(plain_msrs[i], 0x12345600 + i);
	wrmsr(MSR_SYSENTER_CS, 0x77);
	wrmsr(MSR_FS_BASE, 0x7fff12340000);
	return 0;
}

static u64 sum_plain(u64 arg)
{
	u64 sum = 0;

	for (u32 i = 0; i < ARRAY_SIZE(plain_msrs); i++)
		sum += rdmsr(plain_msrs[i]);
	return sum;
}

TEST_F(msr, system_call_msrs_written_by_the_guest_are_seen_outside)
{
	vcpu_call(self->vcpu, write_plain, 0);
	for (u32 i = 0; i < ARRAY_SIZE(plain_msrs); i++) {
		EXPECT_EQ(0x12345600 + i, vcpu_msr(self->vcpu, plain_msrs[i]))
			TH_LOG("MSR %#x", plain_msrs[i]);
	}
	EXPECT_EQ(0x77, vcpu_msr(self->vcpu, MSR_SYSENTER_CS));
	EXPECT_EQ(0x7fff12340000, vcpu_msr(self->vcpu, MSR_FS_BASE));
}

TEST_F(msr, system_call_msrs_set_from_outside_are_seen_by_the_guest)
{
	u64 sum = 0;

	for (u32 i = 0; i < ARRAY_SIZE(plain_msrs); i++) {
		ASSERT_EQ(1, vcpu_set_msr(self->vcpu, plain_msrs[i], 0x1000 << i));
		sum += 0x1000 << i;
	}
	EXPECT_EQ(sum, vcpu_call(self->vcpu, sum_plain, 0));
}

TEST_F(msr, segment_base_msrs_and_sregs_are_the_same_thing)
{
	vcpu_call(self->vcpu, write_plain, 0);
	EXPECT_EQ(0x7fff12340000, vcpu_sregs(self->vcpu).fs.base);
	EXPECT_EQ((u64)self->vcpu->guest, vcpu_msr(self->vcpu, MSR_GS_BASE));
}

TEST_F(msr, non_canonical_lstar_is_refused_from_outside)
{
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_LSTAR, NON_CANONICAL));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, NON_CANONICAL));
}

TEST_F(msr, unknown_one_is_refused_from_outside)
{
	u64 val;

	EXPECT_EQ(0, vcpu_get_msr(self->vcpu, MSR_NOBODY_HAS, &val));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_NOBODY_HAS, 0));
}

TEST_F(msr, get_and_set_stop_at_the_first_that_fails)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[3];
	} msrs = { { .nmsrs = 3 }, {
		{ .index = MSR_STAR, .data = 1 },
		{ .index = MSR_NOBODY_HAS },
		{ .index = MSR_LSTAR, .data = 3 },
	} };

	EXPECT_EQ(1, ioctl(self->vcpu->fd, KVM_SET_MSRS, &msrs));
	EXPECT_EQ(1, ioctl(self->vcpu->fd, KVM_GET_MSRS, &msrs));
	EXPECT_EQ(1, vcpu_msr(self->vcpu, MSR_STAR));
	EXPECT_EQ(0, vcpu_msr(self->vcpu, MSR_LSTAR));
}

static u64 toggle_nx(u64 arg)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(u64)EFER_NX);
	return rdmsr(MSR_EFER);
}

TEST_F(msr, efer_nx_can_be_turned_off)
{
	EXPECT_EQ(EFER_SCE | EFER_LME | EFER_LMA, vcpu_call(self->vcpu, toggle_nx, 0));
	EXPECT_EQ(EFER_SCE | EFER_LME | EFER_LMA, vcpu_sregs(self->vcpu).efer);
}

/* APM 2 "Extended Feature Enable Register (EFER)". */
TEST_F(msr, reserved_efer_bit_raises_gp)
{
	value = EFER_SCE | EFER_LME | EFER_LMA | 1 << 9;
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_EFER));
}

TEST_F(msr, turning_off_efer_lme_under_paging_raises_gp)
{
	value = EFER_SCE | EFER_LMA;
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_EFER));
}

TEST_F(msr, efer_svme_raises_gp_where_cpuid_has_no_svm)
{
	struct vcpu *vcpu = vm_add_reset_vcpu(&self->vm, 1);
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

	kvm_cpuid_find(cpuid, 0x80000001, 0)->ecx &= ~BIT_SVM;
	vcpu_set_cpuid(vcpu, cpuid);
	vcpu_long_mode(vcpu);
	vcpu_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	value = EFER_SCE | EFER_LME | EFER_LMA | EFER_SVME;
	EXPECT_EQ(GP_VECTOR, vcpu_call(vcpu, write_vector, MSR_EFER));
}

static u64 write_and_read(u64 index)
{
	wrmsr(index, value);
	return rdmsr(index);
}

TEST_F(msr, pat_keeps_what_is_written)
{
	value = 0x0007040600070406;
	EXPECT_EQ(value, vcpu_call(self->vcpu, write_and_read, MSR_PAT));
	EXPECT_EQ(value, vcpu_msr(self->vcpu, MSR_PAT));
}

TEST_F(msr, invalid_pat_type_raises_gp)
{
	value = 0x0007040600070402;
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_PAT));
}

TEST_F(msr, mtrrs_keep_what_is_written)
{
	value = 1 << 11 | MTRR_TYPE_WB;
	EXPECT_EQ(value, vcpu_call(self->vcpu, write_and_read, MSR_MTRR_DEF_TYPE));
	value = 0x0606060606060606;
	EXPECT_EQ(value, vcpu_call(self->vcpu, write_and_read, MSR_MTRR_FIX64K));
}

TEST_F(msr, invalid_mtrr_type_raises_gp)
{
	value = MTRR_TYPE_INVALID;
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_MTRR_DEF_TYPE));
}

TEST_F(msr, mtrr_cap_is_read_only)
{
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, read_vector, MSR_MTRR_CAP));
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_MTRR_CAP));
}

TEST_F(msr, microcode_revision_can_be_read)
{
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, read_vector, MSR_UCODE_REV));
}

TEST_F(msr, misc_enable_can_be_read)
{
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, read_vector, MSR_MISC_ENABLE));
}

/* APM 2 and SDM 3A "Local APIC Status and Location": bits above MAXPHYADDR are reserved. */
TEST_F(msr, reserved_apic_base_bit_raises_gp)
{
	value = APIC_BASE_ADDR | APIC_BASE_ENABLE | 1ULL << 62;
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, write_vector, MSR_APIC_BASE));
}

static u64 tsc_aux_by_rdtscp(u64 val)
{
	u32 lo, hi, aux;

	wrmsr(MSR_TSC_AUX, val);
	asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	return aux;
}

TEST_F(msr, tsc_aux_is_what_rdtscp_returns)
{
	NEED(kvm_cpuid_find(kvm_supported_cpuid(), 0x80000001, 0)->edx & 1 << 27, "no RDTSCP");
	EXPECT_EQ(0x4711, vcpu_call(self->vcpu, tsc_aux_by_rdtscp, 0x4711));
	EXPECT_EQ(0x4711, vcpu_msr(self->vcpu, MSR_TSC_AUX));
}

static u64 jump_by_tsc_adjust(u64 by)
{
	u64 before = rdtsc(), after;

	wrmsr(MSR_TSC_ADJUST, by);
	after = rdtsc();
	return after - before >= by && after - before < by + by / 2;
}

TEST_F(msr, tsc_adjust_moves_the_tsc)
{
	u64 val;

	NEED(vcpu_get_msr(self->vcpu, MSR_TSC_ADJUST, &val) == 1, "no TSC_ADJUST");
	EXPECT_EQ(1, vcpu_call(self->vcpu, jump_by_tsc_adjust, 1ULL << 40));
	EXPECT_EQ(1ULL << 40, vcpu_msr(self->vcpu, MSR_TSC_ADJUST));
}

static u64 write_tsc(u64 val)
{
	wrmsr(MSR_TSC, val);
	return rdtsc() - val < 1ULL << 36;
}

TEST_F(msr, writing_the_tsc_sets_it)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, write_tsc, 1ULL << 50));
}

static u64 tsc_msr_is_between(u64 arg)
{
	u64 before = rdtsc(), msr = rdmsr(MSR_TSC), after = rdtsc();

	return before <= msr && msr <= after;
}

TEST_F(msr, reading_the_tsc_msr_is_like_rdtsc)
{
	EXPECT_EQ(1, vcpu_call(self->vcpu, tsc_msr_is_between, 0));
}

struct msr_list {
	struct kvm_msr_list head;
	u32 indices[512];
};

static struct msr_list *msr_list(int dev, unsigned long request)
{
	static struct msr_list list;

	list.head.nmsrs = ARRAY_SIZE(list.indices);
	die_unless(!ioctl(dev, request, &list));
	return &list;
}

/* QEMU sets all of them when it resets a vCPU, and quits when one is refused. */
TEST_F(msr, each_of_the_index_list_can_be_read_and_set_back)
{
	struct msr_list *list = msr_list(self->vm.dev, KVM_GET_MSR_INDEX_LIST);
	u64 val;

	ASSERT_GT(list->head.nmsrs, 10);
	for (u32 i = 0; i < list->head.nmsrs; i++) {
		u32 index = list->indices[i];

		ASSERT_EQ(1, vcpu_get_msr(self->vcpu, index, &val)) TH_LOG("MSR %#x", index);
		EXPECT_EQ(1, vcpu_set_msr(self->vcpu, index, val)) TH_LOG("MSR %#x", index);
	}
}

enum { MSR_POWER_CTL = 0x1fc };

static u64 power_ctl(u64 arg)
{
	wrmsr(MSR_POWER_CTL, arg);
	return rdmsr(MSR_POWER_CTL);
}

/* SDM 4 "IA32_POWER_CTL": guests set C1E here without asking, and no more comes of it. */
TEST_F(msr, power_control_keeps_what_is_written)
{
	EXPECT_EQ(0x1234, vcpu_call(self->vcpu, power_ctl, 0x1234));
}

TEST_F(msr, index_list_has_what_vmms_save)
{
	static const u32 wanted[] = {
		MSR_TSC, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT, MSR_STAR,
		MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE, MSR_KVM_WALL_CLOCK_NEW,
		MSR_KVM_SYSTEM_TIME_NEW, MSR_MISC_ENABLE,
	};
	struct msr_list *list = msr_list(self->vm.dev, KVM_GET_MSR_INDEX_LIST);

	for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
		u32 j = 0;

		while (j < list->head.nmsrs && list->indices[j] != wanted[i])
			j++;
		EXPECT_LT(j, list->head.nmsrs) TH_LOG("MSR %#x is missing", wanted[i]);
	}
}

TEST_F(msr, index_list_that_does_not_fit_is_e2big_and_says_how_many)
{
	struct msr_list list = { .head.nmsrs = 1 };

	EXPECT_EQ(E2BIG, errno_of(ioctl(self->vm.dev, KVM_GET_MSR_INDEX_LIST, &list)));
	EXPECT_EQ(msr_list(self->vm.dev, KVM_GET_MSR_INDEX_LIST)->head.nmsrs, list.head.nmsrs);
}

TEST_F(msr, each_feature_msr_can_be_read_from_the_device)
{
	struct msr_list *list;

	NEED_CAP(KVM_CAP_GET_MSR_FEATURES);
	list = msr_list(self->vm.dev, KVM_GET_MSR_FEATURE_INDEX_LIST);
	for (u32 i = 0; i < list->head.nmsrs; i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry e;
		} msr = { { .nmsrs = 1 }, { .index = list->indices[i] } };

		EXPECT_EQ(1, ioctl(self->vm.dev, KVM_GET_MSRS, &msr))
			TH_LOG("MSR %#x", list->indices[i]);
	}
}

/* ---- KVM_CAP_X86_USER_SPACE_MSR ---- */

static u64 read_nobodys(u64 arg)
{
	u64 val;

	guest_check_eq(NO_VECTOR, rdmsr_try(MSR_NOBODY_HAS, &val));
	return val;
}

static void ask_for_unknown_msrs(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = KVM_MSR_EXIT_REASON_UNKNOWN,
	};

	kvm_do(vm->fd, KVM_ENABLE_CAP, &cap);
}

TEST_F(msr, unknown_one_is_answered_by_user_space_that_asked_for_it)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_X86_USER_SPACE_MSR);
	ask_for_unknown_msrs(&self->vm);
	vcpu_start(self->vcpu, read_nobodys, 0);
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, vcpu_enter(self->vcpu));
	EXPECT_EQ(MSR_NOBODY_HAS, run->msr.index);
	EXPECT_EQ(KVM_MSR_EXIT_REASON_UNKNOWN, run->msr.reason);
	run->msr.data = 0x123456789abcdef0;
	run->msr.error = 0;
	EXPECT_EQ(0x123456789abcdef0, vcpu_finish(self->vcpu));
}

TEST_F(msr, user_spaces_error_becomes_gp)
{
	struct kvm_run *run = self->vcpu->run;

	NEED_CAP(KVM_CAP_X86_USER_SPACE_MSR);
	ask_for_unknown_msrs(&self->vm);
	value = 0xfeed;
	vcpu_start(self->vcpu, write_vector, MSR_NOBODY_HAS);
	ASSERT_EQ(KVM_EXIT_X86_WRMSR, vcpu_enter(self->vcpu));
	EXPECT_EQ(0xfeed, run->msr.data);
	run->msr.error = 1;
	EXPECT_EQ(GP_VECTOR, vcpu_finish(self->vcpu));
}

TEST_HARNESS_MAIN
