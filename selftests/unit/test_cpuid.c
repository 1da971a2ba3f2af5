// SPDX-License-Identifier: GPL-2.0
/* cpuid.c: what the CPUID instruction answers, and what user space may set. */
#include <stdlib.h>
#include <asm/cpufeature.h>
#include <asm/kvm_para.h>
#include <asm/processor.h>
#include "cpuid.h"
#include "kselftest_harness.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX
#define BIT_OF(feature) (1U << (feature) % 32)

/* "GenuineIntel", "AuthenticAMD" in EBX, ECX, EDX */
#define INTEL(max) { 0, 0, 0, max, 0x756e6547, 0x6c65746e, 0x49656e69 }
#define AMD(max) { 0, 0, 0, max, 0x68747541, 0x444d4163, 0x69746e65 }
#define HYGON(max) { 0, 0, 0, max, 0x6f677948, 0x656e6975, 0x6e65476e }

static int set(struct vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, unsigned int n)
{
	struct kvm_cpuid2 *user = calloc(1, sizeof(*user) + n * sizeof(*entries));
	int r;

	user->nent = n;
	memcpy(user->entries, entries, n * sizeof(*entries));
	r = cpuid_ioctl_set2(vcpu, user);
	free(user);
	return r;
}

static struct vcpu *vcpu_with(const struct kvm_cpuid_entry2 *entries, unsigned int n)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	return set(vcpu, entries, n) ? NULL : vcpu;
}

#define VCPU_WITH(...) ({						\
	static const struct kvm_cpuid_entry2 _e[] = { __VA_ARGS__ };	\
	vcpu_with(_e, ARRAY_SIZE(_e)); })

#define SET(vcpu, ...) ({						\
	static const struct kvm_cpuid_entry2 _e[] = { __VA_ARGS__ };	\
	set(vcpu, _e, ARRAY_SIZE(_e)); })

struct answer { u32 eax, ebx, ecx, edx; enum cpuid_found found; };

static struct answer ask(struct vcpu *vcpu, u32 function, u32 index)
{
	enum cpuid_found found = -1;
	const struct kvm_cpuid_entry2 *leaf = cpuid_lookup(vcpu, function, index, &found);

	return (struct answer){ leaf->eax, leaf->ebx, leaf->ecx, leaf->edx, found };
}

static bool zero(struct answer a)
{
	return !(a.eax | a.ebx | a.ecx | a.edx);
}

/* ---- the instruction ---- */

TEST(without_a_table_all_is_zero)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_TRUE(zero(ask(vcpu, 0, 0)));
	EXPECT_EQ(CPUID_ABSENT, ask(vcpu, 0x40000000, 0).found);
}

TEST(leaf_is_found_by_number_and_subleaf)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(0xd),
		{ 0xd, 0, INDEXED, 10, 11, 12, 13 }, { 0xd, 1, INDEXED, 20, 0, 22, 23 },
		{ 0xd, 2, INDEXED, 30, 31, 32, 33 }, { 0x80000008, 0, 0, 40, 41, 42, 43 });
	struct answer a = ask(vcpu, 0xd, 2);

	EXPECT_EQ(CPUID_EXACT, a.found);
	EXPECT_EQ(30, a.eax);
	EXPECT_EQ(31, a.ebx);
	EXPECT_EQ(32, a.ecx);
	EXPECT_EQ(33, a.edx);
	EXPECT_EQ(12, ask(vcpu, 0xd, 0).ecx);
	EXPECT_EQ(40, ask(vcpu, 0x80000008, 0).eax);
	EXPECT_TRUE(zero(ask(vcpu, 0xd, 3)));
}

TEST(leaf_without_subleaves_answers_any)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(1), { 1, 0, 0, 7, 0, 0, 0 });

	EXPECT_EQ(7, ask(vcpu, 1, 12345).eax);
	EXPECT_EQ(CPUID_EXACT, ask(vcpu, 1, 12345).found);
}

TEST(first_of_two_wins)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(7), { 7, 0, INDEXED, 1, 0, 0, 0 },
				      { 7, 0, 0, 2, 0, 0, 0 });

	EXPECT_EQ(1, ask(vcpu, 7, 0).eax);
	EXPECT_EQ(2, ask(vcpu, 7, 5).eax);
}

TEST(every_leaf_of_a_full_table_is_found)
{
	struct kvm_cpuid_entry2 e[256] = {};
	struct vcpu *vcpu;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(e); i++)
		e[i] = (struct kvm_cpuid_entry2){ .function = (i % 4) << 30 | i / 4, .eax = i };
	vcpu = vcpu_with(e, ARRAY_SIZE(e));
	ASSERT_NE(NULL, vcpu);
	for (i = 0; i < ARRAY_SIZE(e); i++)
		ASSERT_EQ(i, ask(vcpu, e[i].function, 0).eax);
}

/* ---- leaves that are not there ---- */

TEST(amd_answers_zeros_out_of_range)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(1), { 1, 0, 0, 7, 7, 7, 7 });

	EXPECT_TRUE(zero(ask(vcpu, 2, 0)));
	EXPECT_TRUE(zero(ask(vcpu, 0x80000000, 0)));
	EXPECT_EQ(CPUID_ABSENT, ask(vcpu, 0x40000000, 0).found);
	vcpu = VCPU_WITH(HYGON(1), { 1, 0, 0, 7, 7, 7, 7 });
	EXPECT_TRUE(zero(ask(vcpu, 2, 0)));
}

TEST(intel_answers_the_highest_basic_leaf_out_of_range)
{
	struct vcpu *vcpu = VCPU_WITH(INTEL(4),
		{ 4, 0, INDEXED, 100, 0, 0, 0 }, { 4, 1, INDEXED, 101, 0, 0, 0 },
		{ 0x80000000, 0, 0, 0x80000002, 0, 0, 0 }, { 0x80000002, 0, 0, 8, 0, 0, 0 },
		{ 0x40000000, 0, 0, 0x40000001, 0, 0, 0 }, { 0x40000001, 0, 0, 9, 0, 0, 0 });
	static const u32 outside[] = { 5, 0x3fffffff, 0x40000002, 0x40000100, 0x4fffffff,
				       0x50000000, 0x80000003, 0xc0000000, 0xffffffff };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		struct answer a = ask(vcpu, outside[i], 1);

		/* by the subleaf that was asked for */
		ASSERT_EQ(101, a.eax);
		ASSERT_EQ(CPUID_MAX_BASIC, a.found);
	}
	EXPECT_TRUE(zero(ask(vcpu, 5, 2)));
}

TEST(intel_answers_zeros_in_range)
{
	struct vcpu *vcpu = VCPU_WITH(INTEL(7), { 7, 0, 0, 100, 0, 0, 0 },
				      { 0x80000000, 0, 0, 0x80000008, 0, 0, 0 },
				      { 0x40000000, 0, 0, 0x40000000, 0, 0, 0 },
				      { 0x40000100, 0, 0, 0x40000101, 0, 0, 0 });

	EXPECT_TRUE(zero(ask(vcpu, 3, 0)));
	EXPECT_TRUE(zero(ask(vcpu, 0x80000001, 0)));
	/* a second interface of a hypervisor is a class of its own */
	EXPECT_TRUE(zero(ask(vcpu, 0x40000101, 0)));
	EXPECT_EQ(100, ask(vcpu, 0x40000102, 0).eax);
}

TEST(topology_leaves_tell_level_and_id_at_any_subleaf)
{
	struct vcpu *vcpu = VCPU_WITH(INTEL(0x1f),
		{ 0xb, 0, INDEXED, 1, 2, 0x100, 42 }, { 0xb, 1, INDEXED, 1, 2, 0x201, 42 },
		{ 0x1f, 0, INDEXED, 1, 2, 0x100, 42 });
	struct answer a = ask(vcpu, 0xb, 0x1234);

	EXPECT_EQ(0, a.eax | a.ebx);
	EXPECT_EQ(0x34, a.ecx);
	EXPECT_EQ(42, a.edx);
	/* this one does not exist: it has no level 1 */
	EXPECT_TRUE(zero(ask(vcpu, 0x1f, 5)));
}

/* ---- bits that mirror other state ---- */

TEST(bits_follow_cr4_and_the_apic)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(7), { 1, 0, 0, 0, 0, 0, 0 }, { 7, 0, INDEXED, 0, 0, 0, 0 });

	EXPECT_TRUE(zero(ask(vcpu, 1, 0)));
	vcpu->cr4 = X86_CR4_OSXSAVE | X86_CR4_PKE;
	vcpu->apic_base = MSR_IA32_APICBASE_ENABLE;
	cpuid_refresh(vcpu);
	EXPECT_EQ(BIT_OF(X86_FEATURE_OSXSAVE), ask(vcpu, 1, 0).ecx);
	EXPECT_EQ(BIT_OF(X86_FEATURE_APIC), ask(vcpu, 1, 0).edx);
	EXPECT_EQ(BIT_OF(X86_FEATURE_OSPKE), ask(vcpu, 7, 0).ecx);
	vcpu->cr4 = vcpu->apic_base = 0;
	cpuid_refresh(vcpu);
	EXPECT_TRUE(zero(ask(vcpu, 1, 0)));
	EXPECT_TRUE(zero(ask(vcpu, 7, 0)));
}

TEST(xsave_sizes_follow_xcr0)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(0xd), { 0xd, 0, INDEXED, 7, 0, 0, 0 },
		{ 0xd, 1, INDEXED, BIT_OF(X86_FEATURE_XSAVEC), 0, 0, 0 });

	vcpu->xcr0 = 7;
	cpuid_refresh(vcpu);
	EXPECT_EQ(cpuid_xstate_size(7, false), ask(vcpu, 0xd, 0).ebx);
	EXPECT_EQ(cpuid_xstate_size(7, true), ask(vcpu, 0xd, 1).ebx);
	vcpu->xcr0 = 1;
	cpuid_refresh(vcpu);
	EXPECT_EQ(cpuid_xstate_size(1, false), ask(vcpu, 0xd, 0).ebx);
}

/* ---- what the module takes from it ---- */

TEST(caps_are_the_tables)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(1),
		{ 0x80000001, 0, 0, 0, 0, 0, BIT_OF(X86_FEATURE_LM) | BIT_OF(X86_FEATURE_RDTSCP) },
		{ 0x80000008, 0, 0, 0, BIT_OF(X86_FEATURE_AMD_IBPB), 0, 0 });

	EXPECT_TRUE(vcpu_has(vcpu, CAP_LM));
	EXPECT_TRUE(vcpu_has(vcpu, CAP_TSC_AUX));
	EXPECT_TRUE(vcpu_has(vcpu, CAP_PRED_CMD));
	EXPECT_TRUE(vcpu_has(vcpu, CAP_AMD_COMPATIBLE));
	EXPECT_FALSE(vcpu_has(vcpu, CAP_NX));
	EXPECT_FALSE(vcpu_has(vcpu, CAP_SPEC_CTRL));
	EXPECT_FALSE(vcpu_has(vcpu, CAP_KVM(CLOCKSOURCE)));
}

TEST(vcpu_never_described_has_all_caps)
{
	struct vcpu *vcpu = world_vcpu(world_vm());
	int cap;

	for (cap = 0; cap < NR_VCPU_CAPS; cap++)
		EXPECT_TRUE(vcpu_has(vcpu, cap));
}

TEST(kvms_leaves_may_stand_above_another_interfaces)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(1),
		{ 0x40000000, 0, 0, 0x40000001, 1, 2, 3 },
		{ 0x40000001, 0, 0, ~0U, 0, 0, 0 },
		{ 0x40000100, 0, 0, 0, 0x4b4d564b, 0x564b4d56, 0x4d },
		{ 0x40000101, 0, 0, 1 << KVM_FEATURE_STEAL_TIME, 0, 0, 0 });

	EXPECT_TRUE(vcpu_has(vcpu, CAP_KVM(STEAL_TIME)));
	EXPECT_FALSE(vcpu_has(vcpu, CAP_KVM(PV_EOI)));
}

TEST(no_kick_is_offered_where_hlt_makes_no_exit)
{
	struct vm *vm = world_vm();
	struct vcpu *vcpu = world_vcpu(vm);

	vm->disabled_exits = KVM_X86_DISABLE_EXITS_HLT;
	ASSERT_EQ(0, SET(vcpu, AMD(1),
			 { 0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d },
			 { 0x40000001, 0, 0, ~0U, 0, 0, 0 }));
	EXPECT_EQ(~(1U << KVM_FEATURE_PV_UNHALT), ask(vcpu, 0x40000001, 0).eax);
	EXPECT_FALSE(vcpu_has(vcpu, CAP_KVM(PV_UNHALT)));
	EXPECT_TRUE(vcpu_has(vcpu, CAP_KVM(PV_SEND_IPI)));
}

TEST(cr4_needs_guest_and_host)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(7), { 7, 0, INDEXED, 0,
		BIT_OF(X86_FEATURE_SMEP) | BIT_OF(X86_FEATURE_SMAP), 0, 0 });

	EXPECT_FALSE(vcpu->cr4_reserved & (X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PAE));
	EXPECT_TRUE(vcpu->cr4_reserved & X86_CR4_UMIP);
	EXPECT_TRUE(vcpu->cr4_reserved & X86_CR4_VMXE);
	EXPECT_TRUE(vcpu->cr4_reserved & 1ULL << 63);

	vcpu = world_vcpu(world_vm());
	world.features[X86_FEATURE_SMAP / 32] &= ~BIT_OF(X86_FEATURE_SMAP);
	SET(vcpu, AMD(7), { 7, 0, INDEXED, 0,
		BIT_OF(X86_FEATURE_SMEP) | BIT_OF(X86_FEATURE_SMAP), 0, 0 });
	EXPECT_EQ(X86_CR4_SMAP, vcpu->cr4_reserved & (X86_CR4_SMEP | X86_CR4_SMAP));
}

TEST(width_of_physical_addresses_is_36_unless_told)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(1), { 0x80000008, 0, 0, 40, 0, 0, 0 });

	EXPECT_EQ(36, vcpu->maxphyaddr);
	vcpu = VCPU_WITH(AMD(1), { 0x80000000, 0, 0, 0x80000007, 0, 0, 0 },
			 { 0x80000008, 0, 0, 40, 0, 0, 0 });
	EXPECT_EQ(36, vcpu->maxphyaddr);
	vcpu = VCPU_WITH(AMD(1), { 0x80000000, 0, 0, 0x80000008, 0, 0, 0 },
			 { 0x80000008, 0, 0, 48 << 8 | 40, 0, 0, 0 });
	EXPECT_EQ(40, vcpu->maxphyaddr);
}

TEST(xcr0_is_what_guest_and_host_have)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(0xd), { 0xd, 0, INDEXED, 0xe3, 0, 0, 1 });

	EXPECT_EQ(3, vcpu->guest_supported_xcr0);
}

/* ---- ioctls ---- */

TEST(get_gives_back_what_was_set_in_its_order)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{ 0x80000001, 0, 0, 1, 2, 3, 4 }, AMD(1), { 7, 1, INDEXED, 5, 6, 7, 8 },
		{ 7, 0, INDEXED, 9, 10, 0, 12 },
	};
	struct vcpu *vcpu = vcpu_with(e, ARRAY_SIZE(e));
	struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 e[8]; } user = { .head.nent = 8 };

	ASSERT_EQ(0, cpuid_ioctl_get2(vcpu, &user.head));
	EXPECT_EQ(ARRAY_SIZE(e), user.head.nent);
	EXPECT_EQ(0, memcmp(user.e, e, sizeof(e)));
}

TEST(get_with_too_little_room_tells_how_much)
{
	struct vcpu *vcpu = VCPU_WITH(AMD(1), { 1 });
	struct kvm_cpuid2 user = { .nent = 1 };

	EXPECT_EQ(-E2BIG, cpuid_ioctl_get2(vcpu, &user));
	EXPECT_EQ(2, user.nent);
}

TEST(more_than_256_entries_are_refused)
{
	static const struct kvm_cpuid_entry2 e[257];
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(-E2BIG, set(vcpu, e, 257));
	EXPECT_EQ(0, set(vcpu, e, 256));
	EXPECT_EQ(0, set(vcpu, e, 0));
}

TEST(linear_addresses_have_48_or_57_bits)
{
	struct vcpu *vcpu = world_vcpu(world_vm());

	EXPECT_EQ(-EINVAL, SET(vcpu, { 0x80000008, 0, 0, 47 << 8, 0, 0, 0 }));
	EXPECT_EQ(-EINVAL, SET(vcpu, { 0x80000008, 0, 0, 64 << 8, 0, 0, 0 }));
	EXPECT_EQ(0, SET(vcpu, { 0x80000008, 0, 0, 57 << 8, 0, 0, 0 }));
	EXPECT_EQ(0, SET(vcpu, { 0x80000008, 0, 0, 48 << 8, 0, 0, 0 }));
}

TEST(after_it_has_run_only_the_same_is_accepted)
{
	static const struct kvm_cpuid_entry2 e[] = { AMD(1), { 1, 0, 0, 1, 2, 3, 4 } };
	struct vcpu *vcpu = vcpu_with(e, 2);

	/* a mirrored bit that has changed meanwhile is no difference */
	vcpu->cr4 = X86_CR4_OSXSAVE;
	cpuid_refresh(vcpu);
	vcpu->cpu = 0;
	EXPECT_EQ(0, set(vcpu, e, 2));
	EXPECT_EQ(-EINVAL, set(vcpu, e, 1));
	EXPECT_EQ(-EINVAL, SET(vcpu, AMD(1), { 1, 0, 0, 1, 2, 3, 5 }));
	EXPECT_EQ(1, ask(vcpu, 1, 0).eax);
}

TEST_HARNESS_MAIN
