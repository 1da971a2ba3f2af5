// SPDX-License-Identifier: GPL-2.0
/*
 * State that no CPU can be in, from user space: the ioctl refuses it with
 * EINVAL, or the CPU does at the next entry, and KVM_RUN ends with
 * KVM_EXIT_FAIL_ENTRY.  Then the module's log names the rule that is broken.
 *
 * VT-x looks at all of it: SDM 3C "Checks on the Guest State Area".  AMD-V has
 * fewer rules, and the guest runs: VMRUN extends the sign of segment bases, and
 * looks at few access rights.  APM 2 "Canonicalization and Consistency Checks".
 */
#include "test.h"

#define NOT_CANONICAL	(1ULL << 63)

enum on_amd { AMD_RUNS, AMD_REFUSES };

/* struct kvm_run's hardware_entry_failure_reason */
enum {
	VMX_INVALID_GUEST_STATE	= 0x80000021,	/* SDM 3D "VMX Basic Exit Reasons", entry failure */
	SVM_VMEXIT_INVALID	= 0xffffffff,	/* APM 2 "SVM Intercept Exit Codes" */
};

/* ---- the kernel's log ---- */

static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	die_unless(fd >= 0 && lseek(fd, 0, SEEK_END) >= 0);
	return fd;
}

/* Has the module said @what since log_open()? */
static bool log_has(int fd, const char *what)
{
	char record[2048];
	bool has = false;
	ssize_t n;

	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n < 0 ? 0 : n] = '\0';
		has |= strstr(record, "kvm: ") && strstr(record, what);
	}
	return has;
}

/* ---- what must happen ---- */

static u64 guest_answers(u64 arg)
{
	return arg + 1;
}

FIXTURE(entry) {
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sregs sregs;		/* good ones, 64-bit mode */
};

FIXTURE_SETUP(entry)
{
	self->vcpu = vm_create_one(&self->vm, VM_PLAIN);
	vcpu_start(self->vcpu, guest_answers, 41);
	self->sregs = vcpu_sregs(self->vcpu);
}

FIXTURE_TEARDOWN(entry)
{
	vm_destroy(&self->vm);
}

static bool refuses(enum on_amd on_amd)
{
	return !kvm_cpu_is_amd() || on_amd == AMD_REFUSES;
}

/*
 * Enter the guest that @set has put into a state that breaks @rule.  The module
 * does not fill the log: what it kept to itself, it says some seconds later.
 */
#define EXPECT_REFUSED(on_amd, rule, set) do {					\
	int tries_, log_ = log_open();						\
	bool named_ = false;							\
	for (tries_ = 0; tries_ < 8 && !named_; tries_++) {			\
		if (tries_)							\
			sleep(1);						\
		set;								\
		vcpu_enter(self->vcpu);						\
		if (!refuses(on_amd)) {						\
			EXPECT_NE(KVM_EXIT_FAIL_ENTRY, self->vcpu->run->exit_reason); \
			break;							\
		}								\
		ASSERT_EQ(KVM_EXIT_FAIL_ENTRY, self->vcpu->run->exit_reason);	\
		EXPECT_EQ(kvm_cpu_is_amd() ? SVM_VMEXIT_INVALID : VMX_INVALID_GUEST_STATE, \
			  self->vcpu->run->fail_entry.hardware_entry_failure_reason); \
		named_ = kvm_is_stock() || log_has(log_, rule);			\
	}									\
	EXPECT_EQ(refuses(on_amd), named_) {					\
		TH_LOG("the log has no \"%s\"", rule);				\
	}									\
	close(log_);								\
} while (0)

/* The CPU refuses what @change makes of good sregs. */
#define SREGS(name, on_amd, rule, change)					\
TEST_F(entry, name)								\
{										\
	struct kvm_sregs *s = &self->sregs;					\
	change;									\
	EXPECT_REFUSED(on_amd, rule, vcpu_set_sregs(self->vcpu, s));		\
}

/* ---- segment registers and descriptor tables ---- */

SREGS(an_fs_base_that_is_not_canonical, AMD_RUNS, "FS: base must be canonical", s->fs.base = NOT_CANONICAL)
SREGS(a_tr_base_that_is_not_canonical, AMD_RUNS, "TR: base must be canonical", s->tr.base = NOT_CANONICAL)
SREGS(a_gdt_that_is_not_canonical, AMD_RUNS, "GUEST_GDTR_BASE: must be canonical", s->gdt.base = NOT_CANONICAL)
SREGS(an_idt_that_is_not_canonical, AMD_RUNS, "GUEST_IDTR_BASE: must be canonical", s->idt.base = NOT_CANONICAL)
SREGS(a_ds_base_of_33_bits, AMD_RUNS, "DS: bits 63:32 of the base must be 0", s->ds.base = 1ULL << 32)
SREGS(a_cs_base_of_33_bits, AMD_RUNS, "CS: bits 63:32 of the base must be 0", s->cs.base = 1ULL << 32)

SREGS(cs_of_data_that_cannot_be_written, AMD_RUNS, "CS: type must be one", s->cs.type = 1)
SREGS(cs_that_is_a_system_segment, AMD_RUNS, "CS: S must be 1", s->cs.s = 0)
SREGS(cs_that_is_not_present, AMD_RUNS, "CS: must be present", s->cs.present = 0)
SREGS(cs_of_64_and_of_32_bits, AMD_REFUSES, kvm_cpu_is_amd() ? "CS.L and CS.D" : "CS: D must be 0", s->cs.db = 1)
SREGS(cs_of_another_privilege_than_ss, AMD_RUNS, "CS: DPL must be SS.DPL", s->cs.dpl = 3)
SREGS(ss_of_code, AMD_RUNS, "SS: type must be one", s->ss.type = 11)
SREGS(ss_that_cannot_be_written, AMD_RUNS, "SS: type must be one", s->ss.type = 1)
SREGS(ds_of_code_that_cannot_be_read, AMD_RUNS, "DS: type must be one", s->ds.type = 9)
SREGS(a_limit_too_large_for_bytes, AMD_RUNS, "ES: G must be 1", s->es.g = 0)
SREGS(a_limit_within_a_page_for_pages, AMD_RUNS, "ES: G must be 0", s->es.limit = 0xfffff000)
SREGS(a_tss_that_is_not_busy, AMD_RUNS, "TR: type must be one", s->tr.type = 9)
SREGS(a_tss_of_16_bits, AMD_RUNS, "TR: type must be 11", s->tr.type = 3)
SREGS(a_tr_that_is_unusable, AMD_RUNS, "TR: must be usable", s->tr.unusable = 1)
SREGS(a_tr_out_of_the_local_table, AMD_RUNS, "TR: TI must be 0", s->tr.selector |= 4)

#define LDT(change) do {							\
	s->ldt = s->tr;								\
	s->ldt.type = 2;							\
	change;									\
} while (0)
SREGS(an_ldt_that_is_a_tss, AMD_RUNS, "LDTR: type must be one", LDT(s->ldt.type = 11))
SREGS(an_ldt_out_of_itself, AMD_RUNS, "LDTR: TI must be 0", LDT(s->ldt.selector |= 4))
SREGS(an_ldt_that_is_not_canonical, AMD_RUNS, "LDTR: base must be canonical", LDT(s->ldt.base = NOT_CANONICAL))
SREGS(an_ldt_that_is_data, AMD_RUNS, "LDTR: S must be 1 for code and data, 0", LDT(s->ldt.s = 1))

/* 16-bit code at 0 that ends where no memory is, and cannot fault before: mov %al, 0, DS at 128K. */
static void load_mmio(struct vm *vm, struct kvm_segment *ds)
{
	memcpy(vm->low, "\xa2\0", 3);
	ds->selector = 0x2000;
	ds->base = 0x20000;
}

TEST_F(entry, privilege_3_in_real_mode)
{
	struct kvm_sregs *s = &self->sregs;

	self->vcpu = vm_add_reset_vcpu(&self->vm, 1);
	if (vcpu_mp_state(self->vcpu) != KVM_MP_STATE_RUNNABLE)
		vcpu_set_mp_state(self->vcpu, KVM_MP_STATE_RUNNABLE);
	vcpu_real_mode(self->vcpu, 0);
	*s = vcpu_sregs(self->vcpu);
	load_mmio(&self->vm, &s->ds);
	s->ss.dpl = s->cs.dpl = 3;
	EXPECT_REFUSED(AMD_RUNS, "SS: DPL must be 0 in real mode", vcpu_set_sregs(self->vcpu, s));
}

/* ---- RIP, RFLAGS, events ---- */

#define REGS(name, rule, change)						\
TEST_F(entry, name)								\
{										\
	struct kvm_regs good = vcpu_regs(self->vcpu), regs = good, *r = &regs;	\
	struct kvm_sregs *s = &self->sregs;					\
	change;									\
	vcpu_set_sregs(self->vcpu, s);						\
	EXPECT_REFUSED(AMD_RUNS, rule, vcpu_set_regs(self->vcpu, r));		\
}

REGS(a_reserved_flag, "RFLAGS: reserved bits must be 0", r->rflags |= 1 << 3)
REGS(a_flag_beyond_32_bits, "RFLAGS: reserved bits must be 0", r->rflags |= 1ULL << 40)
REGS(a_rip_of_33_bits_outside_64_bit_mode, "RIP: bits 63:32 must be 0",
	(r->rip |= 1ULL << 32, s->cs.l = 0, s->cs.db = 1))

static struct kvm_vcpu_events shadow_of(struct vcpu *vcpu, u8 shadow)
{
	struct kvm_vcpu_events events = vcpu_events(vcpu);

	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = shadow;
	return events;
}

TEST_F(entry, a_shadow_of_sti_without_interrupts_on)
{
	struct kvm_vcpu_events events;

	NEED_CAP(KVM_CAP_VCPU_EVENTS);
	events = shadow_of(self->vcpu, KVM_X86_SHADOW_INT_STI);
	EXPECT_REFUSED(AMD_RUNS, "blocking by STI needs RFLAGS.IF", vcpu_set_events(self->vcpu, &events));
}

TEST_F(entry, an_interrupt_while_they_are_off)
{
	struct kvm_vcpu_events events = vcpu_events(self->vcpu);

	events.flags = 0;
	events.interrupt.injected = 1;
	events.interrupt.nr = 0x30;
	EXPECT_REFUSED(AMD_RUNS, "RFLAGS.IF must be 1 for an external interrupt",
		       vcpu_set_events(self->vcpu, &events));
}

/* ---- virtual-8086 mode; AMD-V has no rules, and Bochs's ends the machine at such a guest ---- */

#define V86(name, rule, change)							\
TEST_F(entry, name)								\
{										\
	struct kvm_regs regs = { .rflags = X86_EFLAGS_VM | X86_EFLAGS_FIXED };	\
	struct kvm_sregs *s = &self->sregs;					\
	vcpu_protected_mode(self->vcpu, 0);					\
	*s = vcpu_sregs(self->vcpu);						\
	s->cs = (struct kvm_segment) { .limit = 0xffff, .type = 3, .present = 1, .dpl = 3, .s = 1 }; \
	s->ds = s->es = s->fs = s->gs = s->ss = s->cs;				\
	load_mmio(&self->vm, &s->ds);						\
	change;									\
	vcpu_set_regs(self->vcpu, &regs);					\
	vcpu_set_sregs(self->vcpu, s);						\
	if (!kvm_cpu_is_amd())							\
		EXPECT_REFUSED(AMD_RUNS, rule, vcpu_set_sregs(self->vcpu, s));	\
}

V86(a_v86_base_that_is_not_16_selectors, "ES: base must be 16 selectors", s->es.base = 0x10)
V86(a_v86_limit_of_more_than_64k, "FS: limit must be 0xffff", s->fs.limit = 0xfffff)
V86(v86_rights_of_privilege_0, "DS: rights must be 0xf3", s->ds.dpl = 0)

/* ---- control registers: the ioctl refuses ---- */

#define EINVAL_FOR(name, change)						\
TEST_F(entry, name)								\
{										\
	struct kvm_sregs *s = &self->sregs;					\
	change;									\
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_SREGS, s)));	\
	EXPECT_EQ(42, vcpu_finish(self->vcpu));		/* nothing of it has stayed */ \
}

EINVAL_FOR(long_mode_without_pae, s->cr4 &= ~X86_CR4_PAE)
EINVAL_FOR(long_mode_paged_but_not_active, s->efer &= ~EFER_LMA)
EINVAL_FOR(long_mode_active_but_not_paged, s->cr0 &= ~X86_CR0_PG)
EINVAL_FOR(long_mode_active_but_not_enabled, s->efer &= ~EFER_LME)
EINVAL_FOR(sixty_four_bit_code_outside_long_mode, (s->cr0 &= ~X86_CR0_PG, s->efer &= ~(EFER_LME | EFER_LMA)))
EINVAL_FOR(a_cr3_beyond_physical_addresses, s->cr3 |= 1ULL << 62)
EINVAL_FOR(a_reserved_bit_of_cr4, s->cr4 |= 1ULL << 30)

/* Stock KVM of that age leaves these to the CPU: AMD-V runs paged real mode, TCG drops bits. */
#define REFUSED_FOR(name, change)						\
TEST_F(entry, name)								\
{										\
	struct kvm_sregs *s = &self->sregs;					\
	change;									\
	if (ioctl(self->vcpu->fd, KVM_SET_SREGS, s)) {				\
		EXPECT_EQ(EINVAL, errno);					\
		EXPECT_EQ(42, vcpu_finish(self->vcpu));				\
	} else {								\
		vcpu_enter(self->vcpu);						\
		EXPECT_TRUE(kvm_is_stock() ||					\
			    self->vcpu->run->exit_reason == KVM_EXIT_FAIL_ENTRY); \
	}									\
}

REFUSED_FOR(paging_without_protection, (s->cr0 = X86_CR0_ET | X86_CR0_PG, s->efer &= ~(EFER_LME | EFER_LMA), s->cs.l = 0))
REFUSED_FOR(a_reserved_bit_of_cr0, s->cr0 |= 1ULL << 32)
REFUSED_FOR(caches_written_through_but_not_disabled, s->cr0 |= 1 << 29)
REFUSED_FOR(a_reserved_bit_of_efer, s->efer |= 1 << 1)
REFUSED_FOR(a_reserved_bit_of_efer_beyond_32, s->efer |= 1ULL << 40)

/* ---- and the host goes on ---- */

TEST_F(entry, a_vcpu_that_was_refused_runs_once_its_state_is_good)
{
	struct kvm_sregs bad = self->sregs, now;

	bad.cs.db = 1;
	vcpu_set_sregs(self->vcpu, &bad);
	ASSERT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_enter(self->vcpu));
	ASSERT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_enter(self->vcpu));
	/* Bochs's AMD-V leaves the host's state behind, TCG its RIP: not for user space to see. */
	now = vcpu_sregs(self->vcpu);
	EXPECT_TRUE(kvm_is_stock() || !memcmp(&bad, &now, sizeof(bad)));
	vcpu_set_sregs(self->vcpu, &self->sregs);
	if (kvm_is_stock() && kvm_cpu_is_tcg())
		vcpu_start(self->vcpu, guest_answers, 41);
	EXPECT_EQ(42, vcpu_finish(self->vcpu));
}

TEST_HARNESS_MAIN
