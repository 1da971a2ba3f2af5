// SPDX-License-Identifier: GPL-2.0
/* Hardware task switches of 32-bit systems; the guests are in guests/tasks.S. */
#include "test.h"

enum {
	CODE_A = 0x2000, CODE_B = 0x2400, CODE_FAULTS = 0x2800,
	GDT = 0x4000, IDT = 0x4800, TSS_A = 0x7000, TSS_B = 0x7100, STACK_A = 0x1000, STACK_B = 0x1800,

	CS32 = 0x08, DATA = 0x10, TASK_A = 0x18, TASK_B = 0x20, TASK_GATE = 0x28, CS16 = 0x30,
	CS_ABSENT = 0x38, DATA_ABSENT = 0x40,

	BUSY = 2, TYPE_TSS32 = 9, TYPE_TSS16 = 1, EFLAGS_NT = 1 << 14,
};

/* SDM 3A "Task-State Segment (TSS)" */
struct tss32 {
	u32 link, stacks[6], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
};

/* "16-Bit Task-State Segment (TSS)" */
struct tss16 {
	u16 link, stacks[6], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

FIXTURE(tasks) {
	struct vm vm;
	struct vcpu *vcpu;
	u64 *gdt, *idt;
	struct tss32 *a, *b;
};

static u64 tss_descriptor(u32 base, u32 limit, u8 type)
{
	return (u64)(0x80 | type) << 40 | (u64)base << 16 | limit;
}

static u64 gate(u16 selector, u32 offset, u8 type)
{
	return (u64)(0x80 | type) << 40 | (u32)selector << 16 | (offset & 0xffff);
}

#define FAULT_GATE(nr, name) \
	self->idt[nr] = gate(CS32, vm_load(&self->vm, CODE_FAULTS + 32 * (nr - 10), name), 14)

FIXTURE_SETUP(tasks)
{
	vm_create(&self->vm, VM_IRQCHIP);
	self->vcpu = vm_add_reset_vcpu(&self->vm, 0);
	self->gdt = (u64 *)(self->vm.low + GDT);
	self->idt = (u64 *)(self->vm.low + IDT);
	self->a = (struct tss32 *)(self->vm.low + TSS_A);
	self->b = (struct tss32 *)(self->vm.low + TSS_B);
	self->gdt[CS32 / 8] = 0x00cf9b000000ffff;
	self->gdt[DATA / 8] = 0x00cf93000000ffff;
	self->gdt[TASK_A / 8] = tss_descriptor(TSS_A, 103, TYPE_TSS32 | BUSY);
	self->gdt[TASK_B / 8] = tss_descriptor(TSS_B, 103, TYPE_TSS32);
	self->gdt[TASK_GATE / 8] = gate(TASK_B, 0, 5);
	self->gdt[CS16 / 8] = 0x00009b000000ffff;
	self->gdt[CS_ABSENT / 8] = 0x00cf1b000000ffff;
	self->gdt[DATA_ABSENT / 8] = 0x00cf13000000ffff;
	*self->b = (struct tss32) {
		.eip = CODE_B, .eflags = 2, .esp = STACK_B, .ebx = 0x100, .esi = 0x20,
		.cs = CS32, .ss = DATA, .ds = DATA, .es = DATA,
	};
	self->idt[0x40] = gate(TASK_B, 0, 5);
	FAULT_GATE(10, fault_ts);
	FAULT_GATE(11, fault_np);
	FAULT_GATE(12, fault_ss);
	FAULT_GATE(13, fault_gp);
}

FIXTURE_TEARDOWN(tasks)
{
	vm_destroy(&self->vm);
}

static void begin(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_protected_mode(vcpu, CODE_A);
	sregs = vcpu_sregs(vcpu);
	sregs.gdt = (struct kvm_dtable) { .base = GDT, .limit = 0x47 };
	sregs.idt = (struct kvm_dtable) { .base = IDT, .limit = 0x7ff };
	sregs.cs.selector = CS32;
	sregs.tr.selector = TASK_A;
	sregs.tr.base = TSS_A;
	sregs.tr.limit = 103;
	vcpu_set_sregs(vcpu, &sregs);
}

/* Task A runs @first, B is at @second. */
#define TASKS(first, second) do {					\
	vm_load(&self->vm, CODE_A, first);				\
	vm_load(&self->vm, CODE_B, second);				\
	begin(self->vcpu);						\
} while (0)

static u8 descriptor_type(u64 descriptor)
{
	return descriptor >> 40 & 0xf;
}

/* ---- the four ways in, and the way back ---- */

TEST_F(tasks, call_links_the_tasks_and_iret_returns)
{
	extern const u8 task_b[], task_b_end[];

	TASKS(task_call, task_b);
	EXPECT_EQ(EFLAGS_NT | 2, vcpu_sync(self->vcpu));
	EXPECT_EQ(TASK_A, self->b->link);
	EXPECT_EQ(0x1234, self->a->ebx);
	EXPECT_EQ(DATA, self->a->ds);
	EXPECT_EQ(TYPE_TSS32 | BUSY, descriptor_type(self->gdt[TASK_A / 8]));
	EXPECT_EQ(TYPE_TSS32 | BUSY, descriptor_type(self->gdt[TASK_B / 8]));
	EXPECT_EQ(TASK_B, vcpu_sregs(self->vcpu).tr.selector);
	EXPECT_EQ(X86_CR0_TS, vcpu_sregs(self->vcpu).cr0 & X86_CR0_TS);

	EXPECT_EQ(0x1234, vcpu_sync(self->vcpu));
	EXPECT_EQ(TYPE_TSS32, descriptor_type(self->gdt[TASK_B / 8]));
	EXPECT_EQ(CODE_B + (task_b_end - task_b), self->b->eip);
	EXPECT_EQ(0, self->b->eflags & EFLAGS_NT);
	EXPECT_EQ(TASK_A, vcpu_sregs(self->vcpu).tr.selector);
}

TEST_F(tasks, call_goes_through_a_task_gate)
{
	TASKS(task_call_gate, task_b);
	EXPECT_EQ(EFLAGS_NT | 2, vcpu_sync(self->vcpu));
	EXPECT_EQ(0x22, vcpu_sync(self->vcpu));
}

TEST_F(tasks, jmp_leaves_the_old_task_available_and_unlinked)
{
	TASKS(task_jump, task_b_state);
	EXPECT_EQ(STACK_B + 0x120, vcpu_sync(self->vcpu));
	EXPECT_EQ(TYPE_TSS32, descriptor_type(self->gdt[TASK_A / 8]));
	EXPECT_EQ(0, self->b->link);
	EXPECT_EQ(0, vcpu_regs(self->vcpu).rflags & EFLAGS_NT);
}

TEST_F(tasks, jmp_takes_its_pointer_from_memory)
{
	TASKS(task_jump_memory, task_b_state);
	EXPECT_EQ(STACK_B + 0x120, vcpu_sync(self->vcpu));
}

/* Bochs's AMD-V tells of INT n as if it were the exception before it, which points to its place. */
TEST_F(tasks, int_n_goes_through_a_task_gate_and_returns_behind_it)
{
	extern const u8 task_int[], task_int_at[];
	u32 at = CODE_A + (task_int_at - task_int);

	self->idt[DE_VECTOR] = gate(CS32, vm_load(&self->vm, CODE_FAULTS + 0x100, fault_de), 14);
	TASKS(task_int, task_b);
	EXPECT_EQ(EFLAGS_NT | 2, vcpu_sync(self->vcpu));
	EXPECT_EQ(kvm_cpu_is_bochs_amd() ? at : at + 2, self->a->eip);
	self->a->eip = at + 2;
	EXPECT_EQ(0x33, vcpu_sync(self->vcpu));
}

/* QEMU's TCG switches tasks itself, and shuts down at an error code. */
#define SHUTDOWN_AT_ERROR_CODE do {					\
	if (kvm_cpu_is_tcg()) {						\
		EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_enter(self->vcpu));	\
		return;							\
	}								\
} while (0)

TEST_F(tasks, an_exception_pushes_its_error_code_in_the_new_task)
{
	self->idt[13] = gate(TASK_B, 0, 5);
	TASKS(task_gp, task_b_error);
	SHUTDOWN_AT_ERROR_CODE;
	EXPECT_EQ(0x1230, vcpu_sync(self->vcpu));
	EXPECT_EQ(CODE_A + 5, self->a->eip);	/* the fault's, not behind it */
}

TEST_F(tasks, a_double_fault_goes_through_a_task_gate)
{
	self->idt[13] = 0;			/* #GP in the delivery of #GP */
	self->idt[8] = gate(TASK_B, 0, 5);
	TASKS(task_gp, task_b_error);
	SHUTDOWN_AT_ERROR_CODE;
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(TASK_A, self->b->link);
}

TEST_F(tasks, an_interrupt_goes_through_a_task_gate_once)
{
	struct kvm_lapic_state apic;

	kvm_do(self->vcpu->fd, KVM_GET_LAPIC, &apic);
	xapic_state_set_reg(&apic, APIC_SPIV, APIC_SPIV_ENABLED | 0xff);
	kvm_do(self->vcpu->fd, KVM_SET_LAPIC, &apic);
	TASKS(task_wait, task_b);
	EXPECT_EQ(1, vm_signal_msi(&self->vm, 0, 0x40));
	EXPECT_EQ(EFLAGS_NT | 2, vcpu_sync(self->vcpu));
	EXPECT_EQ(0x55, vcpu_sync(self->vcpu));
}

/* ---- 16-bit tasks ---- */

TEST_F(tasks, jmp_to_a_16_bit_task)
{
	*(struct tss16 *)self->b = (struct tss16) {
		.ip = CODE_B, .flags = 2, .sp = 0x1800, .bx = 0x34,
		.cs = CS16, .ss = DATA, .ds = DATA, .es = DATA,
	};
	self->gdt[TASK_B / 8] = tss_descriptor(TSS_B, 43, TYPE_TSS16);
	TASKS(task_jump, task_b_16);
	EXPECT_EQ(0x1834, vcpu_sync(self->vcpu));
	EXPECT_EQ(TYPE_TSS16 | BUSY, descriptor_type(self->gdt[TASK_B / 8]));
}

/* ---- what a bad task raises ---- */

#define FAULT(vector, selector) ((selector) << 8 | (vector))

TEST_F(tasks, a_busy_task_raises_gp)
{
	self->gdt[TASK_B / 8] |= (u64)BUSY << 40;
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(GP_VECTOR, TASK_B), vcpu_sync(self->vcpu));
	EXPECT_EQ(TASK_A, vcpu_sregs(self->vcpu).tr.selector);
}

TEST_F(tasks, an_absent_task_raises_np)
{
	self->gdt[TASK_B / 8] &= ~(1ULL << 47);
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(NP_VECTOR, TASK_B), vcpu_sync(self->vcpu));
}

TEST_F(tasks, a_short_tss_raises_ts)
{
	self->gdt[TASK_B / 8] = tss_descriptor(TSS_B, 102, TYPE_TSS32);
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(TS_VECTOR, TASK_B), vcpu_sync(self->vcpu));
	EXPECT_EQ(TASK_A, vcpu_sregs(self->vcpu).tr.selector);
}

TEST_F(tasks, a_data_segment_for_cs_raises_ts_in_the_new_task)
{
	self->b->cs = DATA;
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(TS_VECTOR, DATA), vcpu_sync(self->vcpu));
	EXPECT_EQ(TASK_B, vcpu_sregs(self->vcpu).tr.selector);
}

TEST_F(tasks, an_absent_code_segment_raises_np_in_the_new_task)
{
	self->b->cs = CS_ABSENT;
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(NP_VECTOR, CS_ABSENT), vcpu_sync(self->vcpu));
	EXPECT_EQ(TASK_B, vcpu_sregs(self->vcpu).tr.selector);
}

TEST_F(tasks, a_null_stack_segment_raises_ts_in_the_new_task)
{
	self->b->ss = 0;
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(TS_VECTOR, 0), vcpu_sync(self->vcpu));
}

TEST_F(tasks, an_absent_data_segment_raises_np_in_the_new_task)
{
	self->b->ds = DATA_ABSENT;
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(NP_VECTOR, DATA_ABSENT), vcpu_sync(self->vcpu));
}

TEST_F(tasks, a_bad_ldt_raises_ts_in_the_new_task)
{
	self->b->ldt = DATA;
	TASKS(task_jump, task_b);
	EXPECT_EQ(FAULT(TS_VECTOR, DATA), vcpu_sync(self->vcpu));
}

TEST_HARNESS_MAIN
