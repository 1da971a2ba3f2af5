// SPDX-License-Identifier: GPL-2.0
/* Interrupts among four vCPUs: every delivery and destination mode. */
#include "test.h"

enum { NR = 4, VECTOR = 0x55, AP_CODE = 0x3000, AP_MARK = 0x5000, BIT_X2APIC = 1 << 21 };

FIXTURE(ipi) {
	struct vm vm;
	struct vcpu *vcpus[NR];
};

FIXTURE_SETUP(ipi)
{
	vm_create(&self->vm, VM_IRQCHIP);
	for (int i = 0; i < NR; i++)
		self->vcpus[i] = vm_add_vcpu(&self->vm, i);
}

FIXTURE_TEARDOWN(ipi)
{
	vm_destroy(&self->vm);
}

/* ---- receivers: vCPUs 1 to 3 sleep, or spin, until told to stop ---- */

static volatile u32 ready, stopped;
static volatile bool stop;

enum { SPIN = 1, X2APIC = 2, CLUSTER = 4 };

/* Flat: bit of its id. Cluster 1 has the ids 0 and 1, cluster 2 the others. */
static void set_logical_id(u64 mode)
{
	u32 id = this_cpu()->id;

	if (mode & X2APIC)
		return;
	xapic_write(APIC_DFR, mode & CLUSTER ? APIC_DFR_CLUSTER : ~0);
	xapic_write(APIC_LDR, mode & CLUSTER ? (id / 2 + 1) << 28 | 1 << (24 + id % 2) : 1 << (24 + id));
}

static void enable(u64 mode)
{
	if (mode & X2APIC)
		x2apic_enable();
	else
		xapic_enable();
	set_logical_id(mode);
}

static u64 receive(u64 mode)
{
	enable(mode);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	if (mode & SPIN)
		irq_enable();
	while (!stop) {
		if (mode & SPIN)
			cpu_relax();
		else
			wait_for_irq();
	}
	irq_disable();
	__atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
	return this_cpu()->irqs[VECTOR];
}

/* ---- the sender: vCPU 0 ---- */

static struct {
	u64 icr;		/* destination above, command below, as x2APIC has it */
	u64 mode;
	u32 rounds;
	u32 mask;		/* who shall get it */
	u8 vector;
} job;

static void send(u64 icr, u64 mode)
{
	if (mode & X2APIC)
		x2apic_write(APIC_ICR, icr);
	else
		xapic_icr(icr >> 32, icr);
}

/*
 * End the receivers.  Once may not be enough: where the shadow of STI is lost,
 * as by QEMU's TCG at VMRUN, an interrupt comes before the HLT it should end.
 */
static void stop_all(u64 mode)
{
	stop = true;
	while (stopped < NR - 1) {
		send(APIC_DEST_ALLBUT | (VECTOR + 1), mode);
		for (volatile int i = 0; i < 1000; i++)
			;
	}
}

static bool all_got(u32 rounds)
{
	for (u32 i = 0; i < NR; i++)
		if (job.mask >> i & 1 && guest_cpus[i].irqs[job.vector] < rounds)
			return false;
	return true;
}

/* Each IPI is awaited, so none may be lost; then all are told to stop. */
static u64 send_all(u64 arg)
{
	enable(job.mode);
	while (ready < NR - 1)
		cpu_relax();
	for (u32 i = 1; i <= job.rounds; i++) {
		send(job.icr, job.mode);
		irq_enable();
		while (!all_got(i))
			cpu_relax();
		irq_disable();
	}
	stop_all(job.mode);
	return this_cpu()->irqs[job.vector];
}

/* Runs the job: one bit for each vCPU that took the vector as often as it was sent. */
static u32 who_got(FIXTURE_DATA(ipi) *self)
{
	u32 mask = 0;

	guest_handlers[VECTOR] = job.mode & X2APIC ? guest_eoi_x2apic : guest_eoi_xapic;
	guest_handlers[VECTOR + 1] = guest_handlers[VECTOR];
	for (int i = 1; i < NR; i++)
		vcpu_spawn(self->vcpus[i], receive, job.mode);
	vcpu_spawn(self->vcpus[0], send_all, 0);
	for (int i = 0; i < NR; i++)
		vcpu_join(self->vcpus[i]);
	for (int i = 0; i < NR; i++) {
		u32 got = guest_cpus[i].irqs[job.vector];

		if (got != 0 && got != job.rounds)
			vm_die("vCPU %d took %u of %u", i, got, job.rounds);
		mask |= (got != 0) << i;
	}
	return mask;
}

static void no_eoi(struct guest_frame *frame)
{
}

#define DEST(id) ((u64)(id) << 32)

#define IPI_TEST(name, icr_, mode_, mask_)				\
TEST_F(ipi, name)							\
{									\
	NEED(!((mode_) & X2APIC) ||					\
	     kvm_cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & BIT_X2APIC, "no x2APIC"); \
	job = (typeof(job)) { .icr = (icr_) | VECTOR, .mode = (mode_),	\
			      .rounds = 20, .mask = (mask_), .vector = VECTOR }; \
	EXPECT_EQ(mask_, who_got(self));				\
}

IPI_TEST(physical_destination_wakes_a_sleeper, DEST(2), 0, 0x4)
IPI_TEST(physical_destination_interrupts_a_spinner, DEST(2), SPIN, 0x4)
IPI_TEST(physical_destination_may_be_the_sender, DEST(0), 0, 0x1)
IPI_TEST(shorthand_self, APIC_DEST_SELF, 0, 0x1)
IPI_TEST(shorthand_all, APIC_DEST_ALLINC, 0, 0xf)
IPI_TEST(shorthand_all_but_self, APIC_DEST_ALLBUT, 0, 0xe)
IPI_TEST(shorthand_all_but_self_to_spinners, APIC_DEST_ALLBUT, SPIN, 0xe)
IPI_TEST(physical_broadcast, DEST(0xff), 0, 0xf)
IPI_TEST(logical_flat_mask, DEST(0xa) | APIC_DEST_LOGICAL, 0, 0xa)
IPI_TEST(logical_flat_broadcast, DEST(0xff) | APIC_DEST_LOGICAL, 0, 0xf)
IPI_TEST(logical_cluster, DEST(0x23) | APIC_DEST_LOGICAL, CLUSTER, 0xc)
IPI_TEST(logical_cluster_one_of_two, DEST(0x12) | APIC_DEST_LOGICAL, CLUSTER, 0x2)
IPI_TEST(x2apic_physical, DEST(3), X2APIC, 0x8)
IPI_TEST(x2apic_broadcast, DEST(0xffffffff), X2APIC, 0xf)
IPI_TEST(x2apic_cluster, DEST(0x6) | APIC_DEST_LOGICAL, X2APIC, 0x6)
IPI_TEST(x2apic_shorthand_all_but_self, APIC_DEST_ALLBUT, X2APIC, 0xe)
IPI_TEST(x2apic_shorthand_all_but_self_to_spinners, APIC_DEST_ALLBUT, X2APIC | SPIN, 0xe)

TEST_F(ipi, nmi_reaches_all_others)
{
	guest_handlers[NMI_VECTOR] = no_eoi;
	job = (typeof(job)) { .icr = APIC_DEST_ALLBUT | APIC_DM_NMI, .mode = SPIN,
			      .rounds = 1, .mask = 0xe, .vector = NMI_VECTOR };
	EXPECT_EQ(0xe, who_got(self));
}

/* ---- lowest priority: exactly one of those named ---- */

static u32 total(u8 vector)
{
	u32 sum = 0;

	for (u32 i = 0; i < NR; i++)
		sum += guest_cpus[i].irqs[vector];
	return sum;
}

static u64 send_lowest(u64 rounds)
{
	enable(0);
	while (ready < NR - 1)
		cpu_relax();
	for (u32 i = 1; i <= rounds; i++) {
		xapic_icr(0xe, APIC_DEST_LOGICAL | APIC_DM_LOWEST | VECTOR);
		while (total(VECTOR) < i)
			cpu_relax();
	}
	stop_all(0);
	return total(VECTOR);
}

TEST_F(ipi, lowest_priority_goes_to_one_of_the_mask)
{
	guest_handlers[VECTOR] = guest_handlers[VECTOR + 1] = guest_eoi_xapic;
	for (int i = 1; i < NR; i++)
		vcpu_spawn(self->vcpus[i], receive, 0);
	vcpu_spawn(self->vcpus[0], send_lowest, 10);
	for (int i = 1; i < NR; i++)
		vcpu_join(self->vcpus[i]);
	EXPECT_EQ(10, vcpu_join(self->vcpus[0]));
	EXPECT_EQ(0, guest_cpus[0].irqs[VECTOR]);
}

/* ---- there and back ---- */

enum { TIMER = 0x61, TEN_MILLISECONDS = 10000000 };

static volatile u32 ball, rescued;
static volatile bool asleep[2];

static void pass_ball(struct guest_frame *frame)
{
	ball++;
	xapic_write(APIC_EOI, 0);
}

/* Who has the ball should not be asleep: see stop_all() for why it may be. */
static void rescue(struct guest_frame *frame)
{
	u32 id = this_cpu()->id;

	rescued += asleep[id] && ball % 2 == id;
	xapic_write(APIC_EOI, 0);
}

static void wait_for_ball(u32 id, u64 rounds)
{
	while (ball % 2 != id && ball < rounds) {
		asleep[id] = true;
		wait_for_irq();
		asleep[id] = false;
	}
}

static u64 play(u64 rounds)
{
	u32 id = this_cpu()->id;

	xapic_enable();
	xapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	xapic_write(APIC_LVTT, APIC_LVT_PERIODIC | TIMER);
	xapic_write(APIC_TMICT, TEN_MILLISECONDS);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (ready < 2)
		cpu_relax();
	while (ball < rounds) {
		wait_for_ball(id, rounds);
		if (ball < rounds)
			xapic_icr(!id, VECTOR);
		/* The other has the ball when its handler has run. */
		while (ball % 2 == id && ball < rounds)
			cpu_relax();
	}
	return ball;
}

TEST_F(ipi, no_ipi_is_lost_between_two_sleepers)
{
	enum { ROUNDS = 2000 };

	guest_handlers[VECTOR] = pass_ball;
	guest_handlers[TIMER] = rescue;
	vcpu_spawn(self->vcpus[0], play, ROUNDS);
	vcpu_spawn(self->vcpus[1], play, ROUNDS);
	EXPECT_EQ(ROUNDS, vcpu_join(self->vcpus[0]));
	EXPECT_EQ(ROUNDS, vcpu_join(self->vcpus[1]));
	/* A tick that comes right behind the ball counts, too: now and then. */
	if (!kvm_cpu_is_tcg())
		EXPECT_LE(rescued, ROUNDS / 100);
}

/* ---- the shadow of STI, with interrupts at any moment ---- */

extern u8 shadowed[], closed[];
static volatile u32 in_shadow, while_closed, storm;

static void check_shadow(struct guest_frame *frame)
{
	storm++;
	in_shadow += frame->rip == (u64)shadowed;
	while_closed += frame->rip < (u64)shadowed || frame->rip >= (u64)closed;
	xapic_write(APIC_EOI, 0);
}

static u64 open_and_close(u64 count)
{
	xapic_enable();
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (storm < count)
		asm volatile("sti\nshadowed: nop\n\tnop\n\tcli\nclosed:" : : : "memory");
	stop = true;
	return 0;
}

static u64 send_storm(u64 id)
{
	xapic_enable();
	while (!ready)
		cpu_relax();
	while (!stop)
		xapic_icr(id, VECTOR);
	return 0;
}

TEST_F(ipi, no_ipi_comes_between_sti_and_the_next_instruction)
{
	guest_handlers[VECTOR] = check_shadow;
	vcpu_spawn(self->vcpus[0], send_storm, 1);
	vcpu_spawn(self->vcpus[1], open_and_close, 500);
	vcpu_join(self->vcpus[0]);
	vcpu_join(self->vcpus[1]);
	EXPECT_LE(500, storm);
	EXPECT_EQ(0, while_closed);
	/* QEMU's TCG forgets the shadow at VMRUN. */
	if (!kvm_cpu_is_tcg())
		EXPECT_EQ(0, in_shadow);
}

/* ---- INIT and SIPI: SDM 3A "MP Initialization Protocol Algorithm for MP Systems" ---- */

extern const u8 ap_start[], ap_start_end[];

static volatile u16 *const ap_mark = (u16 *)AP_MARK;

static void wait_for_mark(u16 value)
{
	while (*ap_mark != value)
		cpu_relax();
}

static u64 start_ap(u64 arg)
{
	xapic_enable();
	xapic_icr(1, APIC_DM_INIT | APIC_INT_ASSERT | APIC_INT_LEVELTRIG);
	xapic_icr(1, APIC_DM_INIT | APIC_INT_LEVELTRIG);
	xapic_icr(1, APIC_DM_STARTUP | AP_CODE >> 12);
	wait_for_mark(1);
	return *ap_mark;
}

static struct vcpu *add_ap(FIXTURE_DATA(ipi) *self)
{
	vm_destroy(&self->vm);
	vm_create(&self->vm, VM_IRQCHIP);
	self->vcpus[0] = vm_add_vcpu(&self->vm, 0);
	self->vcpus[1] = vm_add_reset_vcpu(&self->vm, 1);
	vm_load(&self->vm, AP_CODE, ap_start);
	return self->vcpus[1];
}

static void *run_ap(void *vcpu)
{
	struct vcpu *ap = vcpu;

	/* EAGAIN tells of SIPIs come and gone: enter again. */
	while (!ioctl(ap->fd, KVM_RUN, 0) || errno == EAGAIN)
		if (ap->run->exit_reason == KVM_EXIT_IO && ap->run->io.port == PORT_SYNC)
			break;
	return (void *)(u64)ap->run->exit_reason;
}

TEST_F(ipi, an_application_processor_waits_for_sipi)
{
	struct vcpu *ap = add_ap(self);

	NEED_CAP(KVM_CAP_MP_STATE);
	EXPECT_EQ(KVM_MP_STATE_UNINITIALIZED, vcpu_mp_state(ap));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, vcpu_mp_state(self->vcpus[0]));
}

TEST_F(ipi, init_and_sipi_start_a_vcpu_at_its_vector)
{
	struct vcpu *ap = add_ap(self);
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, run_ap, ap));
	EXPECT_EQ(1, vcpu_call(self->vcpus[0], start_ap, 0));
	pthread_join(thread, NULL);
	/* ap_start told its CS. */
	EXPECT_EQ(AP_CODE >> 4, *(u32 *)vcpu_pio_data(ap));
}

static u64 restart_ap(u64 arg)
{
	start_ap(0);
	/* A second SIPI does nothing to a vCPU that runs. */
	xapic_icr(1, APIC_DM_STARTUP | AP_CODE >> 12);
	for (volatile int i = 0; i < 20000; i++)
		;
	guest_check_eq(1, *ap_mark);
	*ap_mark = 0;
	xapic_icr(1, APIC_DM_INIT | APIC_INT_ASSERT);
	xapic_icr(1, APIC_DM_STARTUP | AP_CODE >> 12);
	wait_for_mark(1);
	return 2;
}

/* ap_spin marks its start and stays; INIT must bring it back. */
TEST_F(ipi, init_resets_a_running_vcpu)
{
	struct vcpu *ap = add_ap(self);
	pthread_t thread;

	vm_load(&self->vm, AP_CODE, ap_spin);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_ap, ap));
	EXPECT_EQ(2, vcpu_call(self->vcpus[0], restart_ap, 0));
	interrupt_thread(thread);
}

static u8 pv_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static u64 send_init_only(u64 arg)
{
	start_ap(0);
	xapic_icr(1, APIC_DM_INIT | APIC_INT_ASSERT);
	for (volatile int i = 0; i < 20000; i++)
		;
	return 3;
}

TEST_F(ipi, after_init_a_vcpu_waits_with_its_registers_reset)
{
	struct vcpu *ap = add_ap(self);
	struct kvm_sregs sregs;
	pthread_t thread;

	vm_load(&self->vm, AP_CODE, ap_spin);
	ASSERT_EQ(1, vcpu_set_msr(ap, MSR_KVM_SYSTEM_TIME_NEW, (u64)pv_page | KVM_MSR_ENABLED));
	ASSERT_EQ(1, vcpu_set_msr(ap, MSR_KVM_STEAL_TIME, (u64)pv_page | KVM_MSR_ENABLED));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_ap, ap));
	EXPECT_EQ(3, vcpu_call(self->vcpus[0], send_init_only, 0));
	usleep(20000);
	interrupt_thread(thread);
	EXPECT_EQ(KVM_MP_STATE_INIT_RECEIVED, vcpu_mp_state(ap));
	sregs = vcpu_sregs(ap);
	EXPECT_EQ(0xf000, sregs.cs.selector);
	EXPECT_EQ(0xfff0, vcpu_regs(ap).rip);
	/* The host writes no more to pages of whom the vCPU ran before. */
	EXPECT_EQ(0, vcpu_msr(ap, MSR_KVM_SYSTEM_TIME_NEW));
	EXPECT_EQ(0, vcpu_msr(ap, MSR_KVM_STEAL_TIME));
}

TEST_HARNESS_MAIN
