// SPDX-License-Identifier: GPL-2.0
/* System-management mode: SMIs in, RSM out, what waits meanwhile. */
#include "test.h"

/* APM 2 "AMD64 Architecture SMM State-Save Area"; offsets from SMBASE. */
enum {
	SMM_ENTRY = 0x8000, SAVED = 0xfe00, SAVED_REVISION = 0xfefc, SAVED_SMBASE = 0xff00,
	SAVED_CR0 = 0xff58, SAVED_RIP = 0xff78, SAVED_RAX = 0xfff8, SAVED_RBX = 0xffe0,
	/* the 32-bit format */
	LEGACY_EIP = 0xfff0, LEGACY_CR0 = 0xfffc,
};

enum {
	SMBASE = VM_RAM, SMRAM_SLOT = 1 << 16 | SLOT_TEST, SMRAM_SIZE = 0x10000,
	IN_SMM = 0x5151, MSR_SMBASE = 0x9e, MSR_SMI_COUNT = 0x34, APIC_DM_SMI = 2 << 8, IRQ = 0x90,
};

/* 16-bit: mov $PORT_SYNC, %dx; mov $IN_SMM, %eax; out %eax, %dx; rsm */
static const u8 handler[] = {
	0xba, 0x08, 0x07, 0x66, 0xb8, 0x51, 0x51, 0, 0, 0x66, 0xef, 0x0f, 0xaa,
};

FIXTURE(smm) {
	struct vm vm;
	struct vcpu *vcpu;
	u8 *smram;
};

FIXTURE_SETUP(smm)
{
	NEED_CAP(KVM_CAP_X86_SMM);
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
	self->smram = vm_add_ram(&self->vm, SMRAM_SLOT, SMBASE, SMRAM_SIZE, 0);
	memcpy(self->smram + SMM_ENTRY, handler, sizeof(handler));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_SMBASE, SMBASE));
}

FIXTURE_TEARDOWN(smm)
{
	vm_destroy(&self->vm);
}

static void smi(struct vcpu *vcpu)
{
	kvm_do(vcpu->fd, KVM_SMI, 0);
}

static u64 saved(u8 *smram, u32 offset)
{
	return *(u64 *)(smram + offset);
}

extern u8 after_sync[];

/* What an SMI must not change. */
static u64 __attribute__((noinline)) survivor(u64 arg)
{
	u64 rbx = 0x1234567890, r15 = 0xabcdef0123;

	xapic_enable();
	asm volatile("mov $0x708, %%edx\n\tmov $1, %%eax\n\tout %%eax, %%dx\nafter_sync: nop"
		     : "+b"(rbx), "=a"(arg) : : "rdx");
	asm volatile("" : "+r"(r15));
	guest_check_eq(0xabcdef0123, r15);
	guest_check_eq(1, arg);
	guest_check_eq(SEL_DATA, ({ u16 ss; asm("mov %%ss, %0" : "=r"(ss)); ss; }));
	return rbx;
}

/* Bochs's VT-x opens NMIs at an IRET only, whatever the entry says. */
static u64 survivor_and_iret(u64 arg)
{
	u64 rbx = survivor(arg);

	asm volatile("int $0x91" : : : "memory");
	return rbx;
}

static guest_fn nmi_survivor(void)
{
	return kvm_cpu_is_amd() ? survivor : survivor_and_iret;
}

static void to_sync(struct vcpu *vcpu, guest_fn fn)
{
	vcpu_start(vcpu, fn, 0);
	if (vcpu_sync(vcpu) != 1)
		vm_die("another guest_sync()");
}

/* ---- in and out ---- */

TEST_F(smm, an_smi_enters_smm_and_rsm_returns)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	to_sync(self->vcpu, nmi_survivor());
	EXPECT_EQ(0, self->vcpu->run->flags & KVM_RUN_X86_SMM);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	EXPECT_EQ(KVM_RUN_X86_SMM, self->vcpu->run->flags & KVM_RUN_X86_SMM);
	sregs = vcpu_sregs(self->vcpu);
	EXPECT_EQ(0, sregs.cr0 & (X86_CR0_PE | X86_CR0_PG));
	EXPECT_EQ(0, sregs.cr4);
	EXPECT_EQ(0, sregs.efer);
	EXPECT_EQ(SMBASE, sregs.cs.base);
	EXPECT_EQ((u16)(SMBASE >> 4), sregs.cs.selector);
	EXPECT_EQ(0, sregs.ds.base);
	EXPECT_EQ(0xffffffff, sregs.ds.limit);
	EXPECT_EQ(0, sregs.idt.limit);
	events = vcpu_events(self->vcpu);
	EXPECT_EQ(KVM_VCPUEVENT_VALID_SMM, events.flags & KVM_VCPUEVENT_VALID_SMM);
	EXPECT_EQ(1, events.smi.smm);
	EXPECT_EQ(0, events.smi.pending);
	EXPECT_EQ(1, events.nmi.masked);

	EXPECT_EQ(0x1234567890, vcpu_finish(self->vcpu));
	EXPECT_EQ(0, self->vcpu->run->flags & KVM_RUN_X86_SMM);
	EXPECT_EQ(0, vcpu_events(self->vcpu).smi.smm);
	EXPECT_EQ(0, vcpu_events(self->vcpu).nmi.masked);
}

TEST_F(smm, the_state_is_saved_in_the_amd64_format)
{
	to_sync(self->vcpu, survivor);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	EXPECT_EQ(0x00020064, (u32)saved(self->smram, SAVED_REVISION));
	EXPECT_EQ(SMBASE, (u32)saved(self->smram, SAVED_SMBASE));
	EXPECT_EQ((u64)after_sync, saved(self->smram, SAVED_RIP));
	EXPECT_EQ(1, saved(self->smram, SAVED_RAX));
	EXPECT_EQ(0x1234567890, saved(self->smram, SAVED_RBX));
	EXPECT_EQ(SEL_CODE64, (u16)saved(self->smram, SAVED + 16));
	EXPECT_EQ(SEL_TSS, (u16)saved(self->smram, SAVED + 0x90));
	EXPECT_EQ(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX, saved(self->smram, SAVED + 0xd0));
}

TEST_F(smm, rsm_loads_what_the_handler_changed)
{
	to_sync(self->vcpu, survivor);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	*(u64 *)(self->smram + SAVED_RBX) = 0x77;
	*(u32 *)(self->smram + SAVED_SMBASE) = 0x123000;
	EXPECT_EQ(0x77, vcpu_finish(self->vcpu));
	EXPECT_EQ(0x123000, vcpu_msr(self->vcpu, MSR_SMBASE));
}

TEST_F(smm, rsm_to_a_state_that_no_cpu_has_is_a_shutdown)
{
	to_sync(self->vcpu, survivor);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	*(u64 *)(self->smram + SAVED_CR0) = X86_CR0_PG;
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_enter(self->vcpu));
}

static u64 rsm_here(u64 arg)
{
	return guest_try("rsm");
}

TEST_F(smm, rsm_outside_of_smm_raises_ud)
{
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, rsm_here, 0));
}

static void hide_long_mode(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(cpuid, 0x80000001, 0);

	e->edx &= ~(1 << 29);
	vcpu_set_cpuid(vcpu, cpuid);
	e->edx |= 1 << 29;
}

TEST_F(smm, a_cpu_without_long_mode_saves_the_32_bit_format)
{
	extern const u8 protected_arithmetic[];
	struct vcpu *vcpu = vm_add_reset_vcpu(&self->vm, 1);

	NEED(kvm_cap(KVM_CAP_MP_STATE) > 0, "no MP states");
	hide_long_mode(vcpu);
	vcpu_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_SMBASE, SMBASE));
	vcpu_protected_mode(vcpu, vm_load(&self->vm, 0x2000, protected_arithmetic));
	smi(vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(vcpu));
	EXPECT_EQ(0x00020000, (u32)saved(self->smram, SAVED_REVISION));
	EXPECT_EQ(0x2000, (u32)saved(self->smram, LEGACY_EIP));
	EXPECT_EQ(X86_CR0_PE | X86_CR0_ET | X86_CR0_NE, (u32)saved(self->smram, LEGACY_CR0));
	EXPECT_EQ(0x0100, vcpu_sync(vcpu));
}

/* A 32-bit CPU that knows no-execute pages has EFER, but the 32-bit format has no place for it. */
TEST_F(smm, a_cpu_without_long_mode_keeps_efer)
{
	extern const u8 protected_arithmetic[];
	struct vcpu *vcpu = vm_add_reset_vcpu(&self->vm, 1);
	struct kvm_sregs sregs;

	NEED(kvm_cap(KVM_CAP_MP_STATE) > 0, "no MP states");
	hide_long_mode(vcpu);
	vcpu_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_SMBASE, SMBASE));
	vcpu_protected_mode(vcpu, vm_load(&self->vm, 0x2000, protected_arithmetic));
	sregs = vcpu_sregs(vcpu);
	sregs.efer = EFER_NX;
	vcpu_set_sregs(vcpu, &sregs);
	smi(vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(vcpu));
	EXPECT_EQ(0x0100, vcpu_sync(vcpu));
	EXPECT_EQ(EFER_NX, vcpu_sregs(vcpu).efer);
}

static u64 interrupted_at;

static void note_place(struct guest_frame *frame)
{
	interrupted_at = frame->rip;
	guest_eoi_xapic(frame);
}

TEST_F(smm, the_shadow_of_sti_outlives_an_smi)
{
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	guest_handlers[IRQ] = note_place;
	memcpy(self->smram + SMM_ENTRY, "\x0f\xaa", 2);	/* rsm */
	to_sync(self->vcpu, survivor);
	self->vcpu->run->immediate_exit = 1;		/* the OUT is done with */
	ASSERT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	self->vcpu->run->immediate_exit = 0;
	regs = vcpu_regs(self->vcpu);
	regs.rflags |= X86_EFLAGS_IF;
	vcpu_set_regs(self->vcpu, &regs);
	events = vcpu_events(self->vcpu);
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	vcpu_set_events(self->vcpu, &events);
	smi(self->vcpu);
	vm_signal_msi(&self->vm, 0, IRQ);
	EXPECT_EQ(0x1234567890, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, vcpu_msr(self->vcpu, MSR_SMI_COUNT));
	/* QEMU's TCG forgets the shadow at VMRUN; Bochs's AMD-V looks for interrupts after a jump only. */
	EXPECT_TRUE(kvm_cpu_is_tcg() || interrupted_at != (u64)after_sync);
	EXPECT_TRUE(kvm_cpu_is_bochs_amd() ||
		    interrupted_at == (u64)after_sync + !kvm_cpu_is_tcg());
}

/* ---- how an SMI comes ---- */

static u64 self_smi(u64 arg)
{
	xapic_enable();
	xapic_icr(0, APIC_DEST_SELF | APIC_INT_ASSERT | APIC_DM_SMI);
	return 5;
}

TEST_F(smm, an_smi_by_the_icr)
{
	vcpu_start(self->vcpu, self_smi, 0);
	EXPECT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	EXPECT_EQ(5, vcpu_finish(self->vcpu));
}

TEST_F(smm, an_smi_by_a_message)
{
	to_sync(self->vcpu, survivor);
	vm_signal_msi(&self->vm, 0, APIC_DM_SMI);
	EXPECT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	EXPECT_EQ(0x1234567890, vcpu_finish(self->vcpu));
}

static volatile bool awake;

static u64 halted(u64 arg)
{
	xapic_enable();
	guest_sync(1);
	halt();
	awake = true;
	return 6;
}

TEST_F(smm, an_smi_ends_a_hlt)
{
	to_sync(self->vcpu, halted);
	memcpy(self->smram + SMM_ENTRY, "\x0f\xaa", 2);
	vcpu_spawn_entered(self->vcpu);
	/* By message, for KVM_RUN keeps vCPU ioctls out; one before the HLT wakes nobody. */
	for (int i = 0; i < 200 && !awake; i++) {
		usleep(10000);
		vm_signal_msi(&self->vm, 0, APIC_DM_SMI);
	}
	EXPECT_EQ(6, vcpu_join(self->vcpu));
	EXPECT_LE(1, vcpu_msr(self->vcpu, MSR_SMI_COUNT));
}

/* ---- what waits in SMM ---- */

TEST_F(smm, a_second_smi_waits_for_rsm)
{
	to_sync(self->vcpu, survivor);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	smi(self->vcpu);
	smi(self->vcpu);
	EXPECT_EQ(1, vcpu_events(self->vcpu).smi.pending);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	EXPECT_EQ((u64)after_sync, saved(self->smram, SAVED_RIP));
	EXPECT_EQ(0x1234567890, vcpu_finish(self->vcpu));
	EXPECT_EQ(2, vcpu_msr(self->vcpu, MSR_SMI_COUNT));
}

static void count_nmi(struct guest_frame *frame)
{
}

TEST_F(smm, an_nmi_waits_for_rsm)
{
	guest_handlers[NMI_VECTOR] = count_nmi;
	to_sync(self->vcpu, nmi_survivor());
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	kvm_do(self->vcpu->fd, KVM_NMI, 0);
	EXPECT_EQ(0, self->vcpu->guest->irqs[NMI_VECTOR]);
	EXPECT_EQ(0x1234567890, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, self->vcpu->guest->irqs[NMI_VECTOR]);
}

TEST_F(smm, an_init_is_latched_until_rsm)
{
	to_sync(self->vcpu, survivor);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	vm_signal_msi(&self->vm, 0, APIC_DM_INIT | APIC_INT_ASSERT);
	EXPECT_EQ(1, vcpu_events(self->vcpu).smi.latched_init);
	EXPECT_EQ(SMBASE, vcpu_sregs(self->vcpu).cs.base);
	vcpu_enter(self->vcpu);		/* RSM, and then at the reset vector, where there is nothing */
	EXPECT_EQ(0xf000, vcpu_sregs(self->vcpu).cs.selector);
	EXPECT_EQ(0, vcpu_events(self->vcpu).smi.latched_init);
	EXPECT_EQ(SMBASE, vcpu_msr(self->vcpu, MSR_SMBASE));
}

/* ---- state by ioctl ---- */

TEST_F(smm, a_vcpu_in_smm_can_be_saved_and_restored)
{
	struct vcpu *other = vm_add_vcpu(&self->vm, 1);
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	to_sync(self->vcpu, survivor);
	smi(self->vcpu);
	ASSERT_EQ(IN_SMM, vcpu_sync(self->vcpu));
	self->vcpu->run->immediate_exit = 1;		/* the OUT is done with */
	ASSERT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	regs = vcpu_regs(self->vcpu);
	sregs = vcpu_sregs(self->vcpu);
	sregs.apic_base = vcpu_sregs(other).apic_base;
	events = vcpu_events(self->vcpu);
	vcpu_set_msr(other, MSR_SMBASE, SMBASE);
	vcpu_set_sregs(other, &sregs);
	vcpu_set_regs(other, &regs);
	events.flags |= KVM_VCPUEVENT_VALID_SMM;
	vcpu_set_events(other, &events);
	vcpu_finish(other);			/* in the place of the first: its GS base */
	EXPECT_EQ(0x1234567890, self->vcpu->guest->result);
	EXPECT_EQ(0, vcpu_events(other).smi.smm);
}

TEST_F(smm, no_smm_for_a_vcpu_that_waits_for_a_sipi)
{
	struct kvm_vcpu_events events = vcpu_events(self->vcpu);
	struct kvm_mp_state mp = { KVM_MP_STATE_INIT_RECEIVED };

	vcpu_set_mp_state(self->vcpu, KVM_MP_STATE_INIT_RECEIVED);
	events.flags |= KVM_VCPUEVENT_VALID_SMM;
	events.smi.smm = 1;
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events)));
	vcpu_set_mp_state(self->vcpu, KVM_MP_STATE_RUNNABLE);
	vcpu_set_events(self->vcpu, &events);
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &mp)));
}

static u64 read_smbase(u64 arg)
{
	u64 val;

	return rdmsr_try(MSR_SMBASE, &val);
}

TEST_F(smm, the_guest_cannot_read_smbase)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, read_smbase, 0));
}

TEST_F(smm, smram_is_not_in_the_guests_other_memory)
{
	u64 gpa = SMBASE + SAVED_RAX;

	vcpu_start(self->vcpu, (guest_fn)read64, gpa);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(gpa, self->vcpu->run->mmio.phys_addr);
}

TEST_HARNESS_MAIN
