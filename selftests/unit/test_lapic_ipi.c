// SPDX-License-Identifier: GPL-2.0
/* irq/apic_dest.c against the manual: SDM 3A "Issuing Interprocessor Interrupts", "Extended XAPIC (x2APIC)". */
#include <linux/kvm_para.h>
#include "test_lapic.h"

/* ---- interprocessor interrupts ---- */

TEST_F(apic, a_self_ipi_needs_no_kick)
{
	self->vcpu->kicks = 0;
	apic_write(self->vcpu, APIC_ICR, APIC_DEST_SELF | 0x41);
	EXPECT_EQ(0, self->vcpu->kicks);
	EXPECT_TRUE(vcpu_take_request(self->vcpu, REQ_EVENT));
	EXPECT_EQ(1 << 0, who_has(self->vm, 0x41));
	EXPECT_EQ(APIC_DEST_SELF | 0x41, apic_read(self->vcpu, APIC_ICR));
}

TEST_F(apic, an_ipi_kicks_its_target)
{
	ipi(self->vcpu, 2, 0x41);
	EXPECT_EQ(1, self->vm->vcpus[2]->kicks);
	EXPECT_TRUE(vcpu_take_request(self->vm->vcpus[2], REQ_EVENT));
	EXPECT_EQ(1 << 2, who_has(self->vm, 0x41));
	ipi(self->vcpu, 9, 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	/* to itself by its id */
	ipi(self->vcpu, 0, 0x41);
	EXPECT_EQ(1 << 0, who_has(self->vm, 0x41));
	EXPECT_EQ(0, self->vcpu->kicks);
}

TEST_F(apic, shorthands)
{
	apic_write(self->vcpu, APIC_ICR, APIC_DEST_ALLINC | 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
	apic_write(self->vm->vcpus[1], APIC_ICR, APIC_DEST_ALLBUT | 0x41);
	EXPECT_EQ(0xd, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xff, 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xff, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
}

TEST_F(apic, a_fixed_ipi_is_an_edge_whatever_the_icr_says)
{
	ipi(self->vcpu, 1, APIC_INT_LEVELTRIG | 0x41);
	EXPECT_FALSE(apic_bit(self->vm->vcpus[1], APIC_TMR, 0x41));
	EXPECT_EQ(1 << 1, who_has(self->vm, 0x41));
}

TEST_F(apic, delivery_status_is_always_idle)
{
	ipi(self->vcpu, 1, APIC_ICR_BUSY | 0x41);
	EXPECT_EQ(0x41, apic_read(self->vcpu, APIC_ICR));
	EXPECT_EQ(1 << 24, apic_read(self->vcpu, APIC_ICR2));
}

TEST_F(apic, flat_logical_destinations)
{
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		apic_write(self->vm->vcpus[i], APIC_LDR, 1u << (24 + 2 * i));
	ipi(self->vcpu, 0x14, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 1 | 1 << 2, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xaa, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
}

TEST_F(apic, cluster_logical_destinations)
{
	int i;

	/* two clusters of two */
	for (i = 0; i < NR_VCPUS; i++) {
		apic_write(self->vm->vcpus[i], APIC_DFR, 0);
		apic_write(self->vm->vcpus[i], APIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	ipi(self->vcpu, 0x03, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0x3, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x12, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 3, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x1f, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xc, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x2f, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0xff, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xf, who_has(self->vm, 0x41));
}

TEST_F(apic, a_logical_id_of_several_bits_or_shared_ones_works)
{
	apic_write(self->vm->vcpus[1], APIC_LDR, 0x06000000);
	apic_write(self->vm->vcpus[2], APIC_LDR, 0x04000000);
	ipi(self->vcpu, 0x02, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 1, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x04, APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 1 | 1 << 2, who_has(self->vm, 0x41));
}

TEST_F(apic, an_id_that_was_changed_or_is_shared_works)
{
	apic_write(self->vm->vcpus[1], APIC_ID, 0x21 << 24);
	ipi(self->vcpu, 1, 0x41);
	EXPECT_EQ(0, who_has(self->vm, 0x41));
	ipi(self->vcpu, 0x21, 0x41);
	EXPECT_EQ(1 << 1, who_has(self->vm, 0x41));
	EXPECT_EQ(self->vm->vcpus[1], lapic_vcpu_by_apic_id(self->vm, 0x21));
	EXPECT_EQ(NULL, lapic_vcpu_by_apic_id(self->vm, 1));
	apic_write(self->vm->vcpus[1], APIC_ID, 2 << 24);
	ipi(self->vcpu, 2, 0x41);
	EXPECT_EQ(1 << 1 | 1 << 2, who_has(self->vm, 0x41));
}

TEST_F(apic, lowest_priority_takes_one_and_spreads_by_vector)
{
	unsigned int vector, who, all = 0;
	struct vcpu *off;

	for (vector = 0x40; vector < 0x48; vector++) {
		ipi(self->vcpu, 0xff, APIC_DM_LOWEST | vector);
		who = who_has(self->vm, vector);
		EXPECT_EQ(1, __builtin_popcount(who));
		ipi(self->vcpu, 0xff, APIC_DM_LOWEST | vector);
		EXPECT_EQ(who, who_has(self->vm, vector));
		all |= who;
	}
	EXPECT_EQ(0xf, all);
	/* who is disabled is passed over */
	apic_write(self->vm->vcpus[0], APIC_SPIV, 0xff);
	apic_write(self->vm->vcpus[2], APIC_SPIV, 0xff);
	all = 0;
	for (vector = 0x40; vector < 0x48; vector++) {
		ipi(self->vm->vcpus[1], 0xff, APIC_DM_LOWEST | vector);
		all |= who_has(self->vm, vector);
	}
	EXPECT_EQ(1 << 1 | 1 << 3, all);
	/* and who is turned off, whatever its registers say */
	off = self->vm->vcpus[3];
	ASSERT_EQ(0, lapic_set_base(off, off->apic_base & ~XAPIC_ENABLE, false));
	for (vector = 0x50; vector < 0x58; vector++) {
		ipi(self->vm->vcpus[1], 0xff, APIC_DM_LOWEST | vector);
		EXPECT_EQ(1 << 1, who_has(self->vm, vector));
	}
}

TEST_F(apic, nmi_and_smi_need_no_enabled_apic_and_no_vector)
{
	apic_write(self->vm->vcpus[1], APIC_SPIV, 0xff);
	apic_write(self->vm->vcpus[1], APIC_LDR, 0x02000000);
	ipi(self->vcpu, 1, APIC_DM_NMI);
	EXPECT_EQ(1, self->vm->vcpus[1]->nmis);
	EXPECT_EQ(1, self->vm->vcpus[1]->kicks);
	ipi(self->vcpu, 2, APIC_DM_NMI | APIC_DEST_LOGICAL);
	EXPECT_EQ(2, self->vm->vcpus[1]->nmis);
	ipi(self->vcpu, 1, APIC_DM_SMI);
	EXPECT_TRUE(vcpu_take_request(self->vm->vcpus[1], REQ_SMI));
	EXPECT_EQ(0, esr(self->vcpu));
}

TEST_F(apic, a_disabled_apic_hears_nothing)
{
	struct vcpu *off = self->vm->vcpus[1];

	ASSERT_EQ(0, lapic_set_base(off, off->apic_base & ~XAPIC_ENABLE, false));
	apic_write(self->vcpu, APIC_ICR, APIC_DEST_ALLBUT | APIC_DM_NMI);
	EXPECT_EQ(0, off->nmis);
	EXPECT_EQ(1, self->vm->vcpus[2]->nmis);
	ipi(self->vcpu, 1, APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_FALSE(vcpu_take_request(off, REQ_APIC_STATE));
}

TEST_F(apic, x2apic_icr_is_one_register_of_64_bits)
{
	u64 val;
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		x2apic(self->vm->vcpus[i]);
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 2ULL << 32 | 0x41));
	ASSERT_EQ(0, rd(self->vcpu, APIC_ICR, &val));
	EXPECT_EQ(2ULL << 32 | 0x41, val);
	EXPECT_EQ(1 << 2, who_has(self->vm, 0x41));
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0x0000000aULL << 32 | APIC_DEST_LOGICAL | 0x42));
	EXPECT_EQ(1 << 1 | 1 << 3, who_has(self->vm, 0x42));
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0x0001000aULL << 32 | APIC_DEST_LOGICAL | 0x42));
	EXPECT_EQ(0, who_has(self->vm, 0x42));
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0xffffffffULL << 32 | 0x43));
	EXPECT_EQ(0xf, who_has(self->vm, 0x43));
	/* 255 is an id like others */
	ASSERT_EQ(0, wr(self->vcpu, APIC_ICR, 0xffULL << 32 | 0x44));
	EXPECT_EQ(0, who_has(self->vm, 0x44));
	ASSERT_EQ(0, wr(self->vcpu, APIC_SELF_IPI, 0x45));
	EXPECT_EQ(1 << 0, who_has(self->vm, 0x45));
}

TEST_F(apic, x2apic_clusters_of_16)
{
	struct vm *vm = self->vm;
	int i;

	for (i = NR_VCPUS; i < 20; i++)
		world_add_vcpu(vm, i);
	for (i = 0; i < 20; i++) {
		x2apic(vm->vcpus[i]);
		wr(vm->vcpus[i], APIC_SPIV, ENABLED(0xff));
	}
	wr(self->vcpu, APIC_ICR, 0x00018001ULL << 32 | APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 16, who_has(vm, 0x41));
	wr(self->vcpu, APIC_ICR, 0x00008001ULL << 32 | APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(1 << 15 | 1 << 0, who_has(vm, 0x41));
	wr(self->vcpu, APIC_ICR, 0x0001ffffULL << 32 | APIC_DEST_LOGICAL | 0x41);
	EXPECT_EQ(0xf << 16, who_has(vm, 0x41));
}

TEST_F(apic, an_id_beyond_eight_bits_can_be_started_from_x2apic)
{
	struct vcpu *far = world_add_vcpu(self->vm, 0x102);

	x2apic(self->vcpu);
	wr(self->vcpu, APIC_ICR, 0x102ULL << 32 | APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_TRUE(vcpu_take_request(far, REQ_APIC_STATE));
	EXPECT_FALSE(vcpu_take_request(self->vm->vcpus[2], REQ_APIC_STATE));
	wr(self->vcpu, APIC_ICR, 2ULL << 32 | APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_FALSE(vcpu_take_request(far, REQ_APIC_STATE));
	EXPECT_TRUE(vcpu_take_request(self->vm->vcpus[2], REQ_APIC_STATE));
}

/* Put a vCPU into some configuration that software could choose, sensible or not. */
static void configure_at_random(struct vcpu *vcpu)
{
	u64 base = vcpu->apic_base & ~(XAPIC_ENABLE | X2APIC_ENABLE);
	static const u64 modes[] = { 0, XAPIC_ENABLE, XAPIC_ENABLE, XAPIC_ENABLE | X2APIC_ENABLE };

	if (!(rand() % 4))
		assert(!lapic_set_base(vcpu, base | modes[rand() % 4], true));
	if (vcpu->apic_base & X2APIC_ENABLE) {
		wr(vcpu, APIC_SPIV, rand() % 8 ? ENABLED(0xff) : 0xff);
		return;
	}
	if (!(vcpu->apic_base & XAPIC_ENABLE))
		return;
	apic_write(vcpu, APIC_SPIV, rand() % 8 ? ENABLED(0xff) : 0xff);
	if (!(rand() % 4))
		apic_write(vcpu, APIC_DFR, rand() % 4 ? ~0u : 0);
	if (!(rand() % 2))
		apic_write(vcpu, APIC_LDR, rand() % 2 ? 1u << (24 + rand() % 8) :
							(u32)rand() << 24);
	if (!(rand() % 16))
		apic_write(vcpu, APIC_ID, (u32)rand() % 32 << 24);
}

static void clear_irr(struct vcpu *vcpu)
{
	struct kvm_lapic_state state;

	assert(!lapic_get_state(vcpu, &state));
	memset(state.regs + APIC_IRR, 0, APIC_ESR - APIC_IRR);
	assert(!lapic_set_state(vcpu, &state));
}

static unsigned int who_is_kicked(struct vm *vm, u32 dest, u32 icr)
{
	unsigned int who = 0;
	int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		vm->vcpus[i]->kicks = 0;
	lapic_deliver(vm, NULL, dest, icr);
	for (i = 0; i < vm->nr_vcpus; i++)
		who |= !!vm->vcpus[i]->kicks << i;
	return who;
}

/* SDM 3A "Determining IPI Destination", said once more, from the registers alone. */
static bool is_meant(struct vcpu *vcpu, u32 dest, u32 icr)
{
	struct kvm_lapic_state state;
	const u32 *regs = (u32 *)state.regs;
	bool x2 = vcpu->apic_base & X2APIC_ENABLE;
	u32 id, ldr;

	assert(!lapic_get_state(vcpu, &state));
	id = x2 || vcpu->id > 0xfe ? vcpu->id : regs[APIC_ID / 4] >> 24;
	ldr = regs[APIC_LDR / 4];
	if (!(vcpu->apic_base & XAPIC_ENABLE))
		return false;
	if ((icr & APIC_MODE_MASK) == APIC_DM_FIXED && !(regs[APIC_SPIV / 4] & APIC_SPIV_APIC_ENABLED))
		return false;
	if (!(icr & APIC_DEST_LOGICAL))
		return dest == id || (!x2 && dest == 0xff);
	if (x2)
		return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
	if (dest > 0xff)
		return false;
	if (dest == 0xff)
		return true;
	if (regs[APIC_DFR / 4] == ~0u)
		return ldr >> 24 & dest;
	return ldr >> 28 == dest >> 4 && ldr >> 24 & dest & 0xf;
}

TEST_F(apic, in_any_configuration_a_message_reaches_those_it_means)
{
	struct vm *vm = self->vm;
	unsigned int round, i, want, found = 0;
	u32 dests[6], dest, icr;

	world_add_vcpu(vm, 0x11);
	world_add_vcpu(vm, 0x102);
	world_add_vcpu(vm, 0x09);	/* not in order */
	srand(2);
	for (round = 0; round < 20000; round++) {
		/* long stretches in which all are in the same mode, too */
		if (round % 512 < 32)
			configure_at_random(vm->vcpus[rand() % vm->nr_vcpus]);
		if (round == 10000)	/* back to ids that nobody has moved */
			for (i = 0; i < vm->nr_vcpus; i++)
				lapic_reset(vm->vcpus[i], false);
		vm->apic_ids_moved &= round != 10000;
		dests[0] = rand() % 8;
		dests[1] = rand() % 32;
		dests[2] = rand() % 256;
		dests[3] = 0x100 + rand() % 4;
		dests[4] = (u32)rand() % 32 << 16 | rand() % 64;
		dests[5] = 0xff;
		dest = dests[rand() % 6];
		icr = 0x41 | (rand() % 2 ? APIC_DM_FIXED : APIC_DM_NMI);
		icr |= rand() % 2 ? APIC_DEST_LOGICAL : 0;
		for (want = i = 0; i < vm->nr_vcpus; i++)
			want |= is_meant(vm->vcpus[i], dest, icr) << i;
		ASSERT_EQ(want, who_is_kicked(vm, dest, icr))
			TH_LOG("round %u: dest %#x icr %#x", round, dest, icr);
		for (i = 0; i < vm->nr_vcpus; i++)
			clear_irr(vm->vcpus[i]);
		found += !!want;
	}
	EXPECT_LT(4000, found);
}

/* Documentation/virt/kvm/x86/hypercalls.rst "KVM_HC_SEND_IPI" */
TEST_F(apic, the_ipi_hypercall)
{
	struct vcpu *far = world_add_vcpu(self->vm, 0x52);

	apic_enable(far);
	EXPECT_EQ(2, lapic_send_ipis(self->vm, 0x5, 0, 1, 0x41));
	EXPECT_EQ(1 << 1 | 1 << 3, who_has(self->vm, 0x41));
	EXPECT_EQ(1, lapic_send_ipis(self->vm, 1ULL << 63, 1ULL << 16, 2, 0x41));
	EXPECT_EQ(1 << 4, who_has(self->vm, 0x41));
	EXPECT_EQ(1, lapic_send_ipis(self->vm, 1, 0, 2, APIC_DM_NMI));
	EXPECT_EQ(1, self->vm->vcpus[2]->nmis);
	EXPECT_EQ(0, lapic_send_ipis(self->vm, ~0ULL, ~0ULL, 0x60, 0x41));
	EXPECT_EQ(0, lapic_send_ipis(self->vm, 2, 0, ~0u, 0x41));
	EXPECT_EQ(-KVM_EINVAL, lapic_send_ipis(self->vm, 1, 0, 0, APIC_DEST_LOGICAL | 0x41));
	EXPECT_EQ(-KVM_EINVAL, lapic_send_ipis(self->vm, 1, 0, 0, APIC_DEST_SELF | 0x41));
	EXPECT_EQ(-KVM_EINVAL, lapic_send_ipis(self->vm, 1, 0, 0, APIC_DEST_ALLBUT | 0x41));
}

TEST_HARNESS_MAIN
