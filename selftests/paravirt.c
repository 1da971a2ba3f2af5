// SPDX-License-Identifier: GPL-2.0
/* What KVM offers to guests that know it: PV EOI, IPI, kick, yield, steal time, TLB flush. */
#include "test.h"

enum { VECTOR = 0x51 };

/* Bits of CPUID leaf 0x40000001 EAX are named in <asm/kvm_para.h>. */
static bool has(u32 feature)
{
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(kvm_supported_cpuid(), KVM_CPUID_FEATURES, 0);

	return e && e->eax >> feature & 1;
}

#define NEED_FEATURE(feature) NEED(has(feature), #feature " is not offered")

u64 hypercall_vmmcall(u64 nr, u64 a0, u64 a1);
u64 hypercall4(u64 nr, u64 a0, u64 a1, u64 a2, u64 a3);

FIXTURE(paravirt) {
	struct vm vm;
	struct vcpu *vcpus[4];
};

FIXTURE_SETUP(paravirt)
{
	vm_create(&self->vm, VM_IRQCHIP);
	for (int i = 0; i < 4; i++)
		self->vcpus[i] = vm_add_vcpu(&self->vm, i);
	guest_handlers[VECTOR] = guest_eoi_xapic;
}

FIXTURE_TEARDOWN(paravirt)
{
	vm_destroy(&self->vm);
}

/* ---- PV EOI: msr.rst, MSR_KVM_PV_EOI_EN ---- */

static volatile u32 pv_eoi __attribute__((aligned(4)));
static u32 isr_behind, bit_in_handler, eoi_writes;

/* The guest's half of the bargain: clear the bit and be done, or write EOI if it was clear. */
static void eoi_by_memory(struct guest_frame *frame)
{
	u8 was_set;

	bit_in_handler += pv_eoi & 1;
	asm volatile("btr $0, %0; setc %1" : "+m"(pv_eoi), "=q"(was_set));
	if (!was_set) {
		eoi_writes++;
		xapic_write(APIC_EOI, 0);
	}
}

static u64 eois(u64 rounds)
{
	guest_handlers[VECTOR] = eoi_by_memory;
	xapic_enable();
	wrmsr(MSR_KVM_PV_EOI_EN, (u64)&pv_eoi | KVM_MSR_ENABLED);
	for (u64 i = 0; i < rounds; i++) {
		xapic_write(APIC_ICR, APIC_DEST_SELF | VECTOR);
		irq_window();
	}
	isr_behind = xapic_read(APIC_ISR + (VECTOR >> 5) * 16);
	return this_cpu()->irqs[VECTOR];
}

TEST_F(paravirt, eoi_by_memory_ends_the_interrupt)
{
	NEED_FEATURE(KVM_FEATURE_PV_EOI);
	EXPECT_EQ(50, vcpu_call(self->vcpus[0], eois, 50));
	EXPECT_EQ(0, isr_behind);
	EXPECT_EQ(50, bit_in_handler + eoi_writes);
}

TEST_F(paravirt, eoi_by_memory_is_offered_when_nothing_else_waits)
{
	NEED_FEATURE(KVM_FEATURE_PV_EOI);
	vcpu_call(self->vcpus[0], eois, 10);
	EXPECT_GT(bit_in_handler, 5);
}

static u64 pv_eoi_vector(u64 val)
{
	return wrmsr_try(MSR_KVM_PV_EOI_EN, val);
}

TEST_F(paravirt, pv_eoi_at_an_unaligned_address_raises_gp)
{
	NEED_FEATURE(KVM_FEATURE_PV_EOI);
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpus[0], pv_eoi_vector, 0x1002 | KVM_MSR_ENABLED));
}

/* ---- KVM_HC_SEND_IPI: hypercalls.rst ---- */

static volatile u32 ready;
static volatile bool stop;

static u64 receive(u64 arg)
{
	xapic_enable();
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (!stop && !this_cpu()->irqs[VECTOR])
		wait_for_irq();
	return this_cpu()->irqs[VECTOR];
}

static u64 send_by_hypercall(u64 bitmap)
{
	u64 sent;

	xapic_enable();
	while (ready < 3)
		cpu_relax();
	sent = hypercall4(KVM_HC_SEND_IPI, bitmap, 0, 1, VECTOR);	/* from id 1 on */
	for (u32 i = 1; i < 4; i++)
		while (bitmap >> (i - 1) & 1 && !guest_cpus[i].irqs[VECTOR])
			cpu_relax();
	stop = true;
	xapic_icr(0, APIC_DEST_ALLBUT | (VECTOR + 1));
	return sent;
}

TEST_F(paravirt, ipis_by_hypercall_reach_the_bitmap)
{
	NEED_FEATURE(KVM_FEATURE_PV_SEND_IPI);
	guest_handlers[VECTOR + 1] = guest_eoi_xapic;
	for (int i = 1; i < 4; i++)
		vcpu_spawn(self->vcpus[i], receive, 0);
	EXPECT_EQ(2, vcpu_call(self->vcpus[0], send_by_hypercall, 0x5));
	EXPECT_EQ(1, vcpu_join(self->vcpus[1]));
	EXPECT_EQ(0, vcpu_join(self->vcpus[2]));
	EXPECT_EQ(1, vcpu_join(self->vcpus[3]));
}

static u64 bad_ipi(u64 icr)
{
	xapic_enable();
	return hypercall4(KVM_HC_SEND_IPI, 1, 0, 0, icr);
}

TEST_F(paravirt, an_ipi_by_hypercall_with_a_shorthand_is_einval)
{
	NEED_FEATURE(KVM_FEATURE_PV_SEND_IPI);
	EXPECT_EQ(-KVM_EINVAL, (s64)vcpu_call(self->vcpus[0], bad_ipi, APIC_DEST_SELF | VECTOR));
}

/* ---- KVM_HC_KICK_CPU ---- */

static volatile bool halting;

static u64 halt_without_interrupts(u64 arg)
{
	xapic_enable();
	halting = true;
	halt();			/* with IF clear: only a kick ends it */
	return 7;
}

static u64 kick(u64 id)
{
	xapic_enable();
	while (!halting)
		cpu_relax();
	for (volatile int i = 0; i < 200000; i++)
		;
	return hypercall_vmmcall(KVM_HC_KICK_CPU, 0, id);
}

TEST_F(paravirt, a_kick_wakes_a_halted_vcpu_without_an_interrupt)
{
	NEED_FEATURE(KVM_FEATURE_PV_UNHALT);
	vcpu_spawn(self->vcpus[1], halt_without_interrupts, 0);
	EXPECT_EQ(0, vcpu_call(self->vcpus[0], kick, 1));
	EXPECT_EQ(7, vcpu_join(self->vcpus[1]));
}

static u64 yield_to(u64 id)
{
	xapic_enable();
	return hypercall_vmmcall(KVM_HC_SCHED_YIELD, id, 0);
}

TEST_F(paravirt, yielding_returns_0)
{
	NEED_FEATURE(KVM_FEATURE_PV_SCHED_YIELD);
	EXPECT_EQ(0, vcpu_call(self->vcpus[0], yield_to, 1));
}

/* ---- steal time and the flush flag in it: msr.rst, MSR_KVM_STEAL_TIME ---- */

static volatile struct kvm_steal_time steal __attribute__((aligned(64)));

static u64 enable_steal(u64 arg)
{
	wrmsr(MSR_KVM_STEAL_TIME, (u64)&steal | KVM_MSR_ENABLED);
	for (int i = 0; i < 10; i++)
		guest_sync(steal.version);
	return 0;
}

TEST_F(paravirt, steal_time_has_an_even_version_and_never_goes_back)
{
	u64 last = 0;

	NEED_FEATURE(KVM_FEATURE_STEAL_TIME);
	vcpu_start(self->vcpus[0], enable_steal, 0);
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(0, vcpu_sync(self->vcpus[0]) & 1);
		EXPECT_GE(steal.steal, last);
		last = steal.steal;
	}
}

static u64 steal_vector(u64 val)
{
	return wrmsr_try(MSR_KVM_STEAL_TIME, val);
}

TEST_F(paravirt, reserved_steal_time_bits_raise_gp)
{
	NEED_FEATURE(KVM_FEATURE_STEAL_TIME);
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpus[0], steal_vector,
				       (u64)&steal | KVM_MSR_ENABLED | 0x10));
}

static volatile bool spinning;

static u64 spin_with_steal(u64 arg)
{
	wrmsr(MSR_KVM_STEAL_TIME, (u64)&steal | KVM_MSR_ENABLED);
	spinning = true;
	while (!stop)
		cpu_relax();
	return 0;
}

TEST_F(paravirt, a_vcpu_whose_cpu_was_taken_is_marked_as_preempted)
{
	bool marked = false;

	NEED_FEATURE(KVM_FEATURE_STEAL_TIME);
	NEED_FEATURE(KVM_FEATURE_PV_TLB_FLUSH);
	ASSERT_TRUE(use_cpu(0));
	vcpu_spawn(self->vcpus[0], spin_with_steal, 0);
	ASSERT_TRUE(wait_until(spinning));
	/* This thread and the vCPU's take turns: who looks, sees the other off the CPU. */
	for (int i = 0; i < 100000000 && !marked; i++)
		marked = steal.preempted & KVM_VCPU_PREEMPTED;
	EXPECT_TRUE(marked);
	stop = true;
	vcpu_join(self->vcpus[0]);
}

static u64 preempted_while_running(u64 arg)
{
	wrmsr(MSR_KVM_STEAL_TIME, (u64)&steal | KVM_MSR_ENABLED);
	guest_sync(1);
	return steal.preempted;
}

TEST_F(paravirt, a_flush_asked_of_a_preempted_vcpu_is_done_when_it_runs)
{
	NEED_FEATURE(KVM_FEATURE_PV_TLB_FLUSH);
	vcpu_start(self->vcpus[0], preempted_while_running, 0);
	vcpu_sync(self->vcpus[0]);
	steal.preempted |= KVM_VCPU_FLUSH_TLB;
	EXPECT_EQ(0, vcpu_finish(self->vcpus[0]));
}

/* ---- an MSR that CPUID does not offer ---- */

static u64 any_pv_msr(u64 index)
{
	return wrmsr_try(index, 0);
}

TEST_F(paravirt, msrs_of_features_that_cpuid_hides_raise_gp_when_asked_for)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1,
	};
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();
	struct vm vm;
	struct vcpu *vcpu;

	NEED_CAP(KVM_CAP_ENFORCE_PV_FEATURE_CPUID);
	vm_create(&vm, VM_IRQCHIP);
	vcpu = vm_add_reset_vcpu(&vm, 0);
	kvm_cpuid_find(cpuid, KVM_CPUID_FEATURES, 0)->eax = 0;
	vcpu_set_cpuid(vcpu, cpuid);
	kvm_do(vcpu->fd, KVM_ENABLE_CAP, &cap);
	vcpu_long_mode(vcpu);
	EXPECT_EQ(GP_VECTOR, vcpu_call(vcpu, any_pv_msr, MSR_KVM_STEAL_TIME));
	EXPECT_EQ(GP_VECTOR, vcpu_call(vcpu, any_pv_msr, MSR_KVM_PV_EOI_EN));
	EXPECT_EQ(GP_VECTOR, vcpu_call(vcpu, any_pv_msr, MSR_KVM_SYSTEM_TIME_NEW));
}

TEST_HARNESS_MAIN
