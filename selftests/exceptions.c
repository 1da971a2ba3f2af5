// SPDX-License-Identifier: GPL-2.0
/* Exceptions: the guest's own, those that user space injects, and KVM_SET_GUEST_DEBUG. */
#include "test.h"

FIXTURE(exceptions) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(exceptions)
{
	self->vcpu = vm_create_one(&self->vm, 0);
}

FIXTURE_TEARDOWN(exceptions)
{
	vm_destroy(&self->vm);
}

/* Vector and error code of an exception in one value. */
#define FAULT(vector, error) ((u64)(error) << 8 | (vector))

static u64 fault(u8 vector)
{
	return FAULT(vector, this_cpu()->error);
}

/* ---- the guest's own ---- */

static u64 divide(u64 arg)
{
	return fault(guest_try("divl %%ecx", : "a"(1), "d"(0), "c"(0)));
}

TEST_F(exceptions, division_by_zero_raises_de)
{
	EXPECT_EQ(FAULT(DE_VECTOR, 0), vcpu_call(self->vcpu, divide, 0));
}

static u64 undefined(u64 arg)
{
	return fault(guest_try("ud2"));
}

TEST_F(exceptions, ud2_raises_ud)
{
	EXPECT_EQ(FAULT(UD_VECTOR, 0), vcpu_call(self->vcpu, undefined, 0));
}

static u64 pushed_rflags;

static void keep_rflags(struct guest_frame *frame)
{
	pushed_rflags = frame->rflags;
	frame->rip = this_cpu()->fixup;
}

static u64 undefined_with_rflags(u64 arg)
{
	guest_handlers[UD_VECTOR] = keep_rflags;
	guest_try("ud2");
	return pushed_rflags;
}

/* SDM 3B "Instruction-Breakpoint Exception Condition": else a breakpoint there would fire again. */
TEST_F(exceptions, a_fault_pushes_rf)
{
	EXPECT_TRUE(vcpu_call(self->vcpu, undefined_with_rflags, 0) & X86_EFLAGS_RF);
}

static u64 load_selector(u64 selector)
{
	return fault(guest_try("mov %0, %%es", : "r"(selector)));
}

TEST_F(exceptions, bad_selector_raises_gp_with_the_selector)
{
	EXPECT_EQ(FAULT(GP_VECTOR, 0x1230), vcpu_call(self->vcpu, load_selector, 0x1230));
}

static u64 non_canonical(u64 arg)
{
	return fault(guest_try("mov (%0), %%al", : "r"(1ULL << 63) : "rax"));
}

TEST_F(exceptions, non_canonical_address_raises_gp)
{
	EXPECT_EQ(FAULT(GP_VECTOR, 0), vcpu_call(self->vcpu, non_canonical, 0));
}

static u64 breakpoint(u64 arg)
{
	return fault(guest_try("int3"));
}

TEST_F(exceptions, int3_raises_bp)
{
	EXPECT_EQ(FAULT(BP_VECTOR, 0), vcpu_call(self->vcpu, breakpoint, 0));
}

/* A module parameter of stock KVM's: UD2 and "kvm" have the next instruction emulated. */
static bool force_emulation(const char *value)
{
	int fd = open("/sys/module/kvm/parameters/force_emulation_prefix", O_WRONLY);
	bool written = write(fd, value, 1) == 1;

	close(fd);
	return written;
}

static u64 forced_add(u64 addend)
{
	u64 sum = 5;
	u32 vector = guest_try(".byte 0x0f, 0x0b\n\t.ascii \"kvm\"\n\tadd %1, %0",
			       "+m"(sum) : "r"(addend));

	return vector == NO_VECTOR ? sum : fault(vector);
}

TEST_F(exceptions, a_prefix_forces_emulation_where_the_module_is_told_so)
{
	ASSERT_TRUE(force_emulation("1"));
	EXPECT_EQ(12, vcpu_call(self->vcpu, forced_add, 7));
	ASSERT_TRUE(force_emulation("0"));
	EXPECT_EQ(FAULT(UD_VECTOR, 0), vcpu_call(self->vcpu, forced_add, 7));
}

enum { TSS_SIZE = 104, TSS_IOMAP = 102 };

/* A TSS whose I/O permission bitmap lies in the page behind it, which is not there. */
static void tss_without_iomap(struct vcpu *vcpu)
{
	static u8 tss[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	struct kvm_sregs sregs = vcpu_sregs(vcpu);

	memcpy(tss, (void *)sregs.tr.base, TSS_SIZE);
	*(u16 *)(tss + TSS_IOMAP) = sizeof(tss);
	vm_map(VM_UNMAPPED, (u64)tss, X86_PTE_P | X86_PTE_W);
	sregs.tr.base = VM_UNMAPPED;
	sregs.tr.limit = 0xffff;
	vcpu_set_sregs(vcpu, &sregs);
}

extern u8 forced_port_access[];
static bool stepped_over_port_access;

static void note_step(struct guest_frame *frame)
{
	stepped_over_port_access |= frame->rip == (u64)forced_port_access;
}

static u64 forced_in(u64 port)
{
	return fault(guest_try(".byte 0x0f, 0x0b\n\t.ascii \"kvm\"\n"
			       "forced_port_access: in %%dx, %%al", : "d"(port) : "al"));
}

static u64 stepped_forced_in(u64 port)
{
	guest_handlers[DB_VECTOR] = note_step;
	return guest_user(forced_in, port, X86_EFLAGS_TF);
}

/*
 * An instruction that faults has not been executed: no single-step trap follows.
 * SDM 3B "Single-Step Exception Condition", SDM 1 "I/O Permission Bit Map".
 * Stock KVM takes a bitmap that it cannot read for one that forbids, and raises #GP.
 */
TEST_F(exceptions, a_fault_at_the_io_bitmap_is_not_lost_to_a_single_step)
{
	if (kvm_is_stock())
		SKIP(return, "stock KVM raises #GP");
	ASSERT_TRUE(force_emulation("1"));
	tss_without_iomap(self->vcpu);
	EXPECT_EQ(FAULT(PF_VECTOR, 0), vcpu_call(self->vcpu, stepped_forced_in, 0x80));
	EXPECT_FALSE(stepped_over_port_access);
	ASSERT_TRUE(force_emulation("0"));
}

static u64 bp_rip;

static void keep_rip(struct guest_frame *frame)
{
	bp_rip = frame->rip;
}

extern u8 after_int3[];

static u64 breakpoint_rip(u64 arg)
{
	guest_handlers[BP_VECTOR] = keep_rip;
	asm volatile("int3\nafter_int3:");
	return bp_rip;
}

TEST_F(exceptions, bp_returns_behind_the_int3)
{
	EXPECT_EQ((u64)after_int3, vcpu_call(self->vcpu, breakpoint_rip, 0));
}

/* SDM 1 "MXCSR Control and Status Register": division by zero, and its mask. */
enum { MXCSR_DEFAULT = 0x1f80, MXCSR_ZE = 1 << 2, MXCSR_ZM = 1 << 9, MXCSR = 24 / 4 };

static u64 simd_divide(u64 arg)
{
	u32 mxcsr = MXCSR_DEFAULT - MXCSR_ZM;
	float one = 1, zero = 0;

	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	return fault(guest_try("divss %1, %0", "+x"(one) : "x"(zero)));
}

/* QEMU's TCG raises no #XM, but sets the flag. */
TEST_F(exceptions, unmasked_simd_error_raises_xm)
{
	static struct kvm_xsave xsave;

	EXPECT_EQ(FAULT(kvm_cpu_is_tcg() ? NO_VECTOR : XM_VECTOR, 0),
		  vcpu_call(self->vcpu, simd_divide, 0));
	kvm_do(self->vcpu->fd, KVM_GET_XSAVE, &xsave);
	EXPECT_EQ(MXCSR_DEFAULT - MXCSR_ZM + MXCSR_ZE, xsave.region[MXCSR]);
}

static u64 user_unaligned(u64 arg)
{
	static u64 words[2];

	return guest_try("mov (%0), %%rax", : "r"((u64)words + 1) : "rax");
}

static u64 alignment(u64 arg)
{
	write_cr0(read_cr0() | X86_CR0_AM);
	return fault(guest_user(user_unaligned, 0, X86_EFLAGS_AC));
}

/* QEMU's TCG does not check alignment: the access is done. */
TEST_F(exceptions, unaligned_access_at_cpl_3_raises_ac)
{
	EXPECT_EQ(FAULT(kvm_cpu_is_tcg() ? NO_VECTOR : AC_VECTOR, 0),
		  vcpu_call(self->vcpu, alignment, 0));
	EXPECT_EQ(X86_CR0_AM, vcpu_sregs(self->vcpu).cr0 & X86_CR0_AM);
}

/* ---- page faults: APM 2 "Page-Fault Exception", bits of the error code ---- */

enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

#define PAGE VM_UNMAPPED

static u64 load(u64 gva)
{
	u8 vector = guest_try("mov (%0), %%al", : "r"(gva) : "rax");

	guest_check_eq(gva, this_cpu()->cr2);
	return fault(vector);
}

static u64 store(u64 gva)
{
	u8 vector = guest_try("mov %%al, (%0)", : "r"(gva) : "memory");

	guest_check_eq(gva, this_cpu()->cr2);
	return fault(vector);
}

/* The frame's RIP is the missing page's: pop the return address by hand. */
static u64 fetch(u64 gva)
{
	u64 rsp;
	u8 vector = guest_try("mov %%rsp, %0; jmp *%1", "=&r"(rsp) : "r"(gva));

	guest_check_eq(gva, this_cpu()->cr2);
	return fault(vector);
}

static u64 user_load(u64 gva)
{
	return guest_user(load, gva, 0);
}

static u64 user_store(u64 gva)
{
	return guest_user(store, gva, 0);
}

TEST_F(exceptions, load_from_a_missing_page)
{
	EXPECT_EQ(FAULT(PF_VECTOR, 0), vcpu_call(self->vcpu, load, PAGE + 0x123));
}

TEST_F(exceptions, store_to_a_missing_page)
{
	EXPECT_EQ(FAULT(PF_VECTOR, PF_WRITE), vcpu_call(self->vcpu, store, PAGE + 0x123));
}

TEST_F(exceptions, load_from_a_missing_page_at_cpl_3)
{
	EXPECT_EQ(FAULT(PF_VECTOR, PF_USER), vcpu_call(self->vcpu, user_load, PAGE));
}

TEST_F(exceptions, store_to_a_read_only_page)
{
	vm_map(PAGE, 0, X86_PTE_P);
	EXPECT_EQ(FAULT(PF_VECTOR, PF_PRESENT | PF_WRITE), vcpu_call(self->vcpu, store, PAGE));
}

TEST_F(exceptions, store_to_a_supervisor_page_at_cpl_3)
{
	vm_map(PAGE, 0, X86_PTE_P | X86_PTE_W);
	EXPECT_EQ(FAULT(PF_VECTOR, PF_PRESENT | PF_WRITE | PF_USER),
		  vcpu_call(self->vcpu, user_store, PAGE));
}

TEST_F(exceptions, fetch_from_a_no_execute_page)
{
	vm_map(PAGE, 0, X86_PTE_P | X86_PTE_NX);
	EXPECT_EQ(FAULT(PF_VECTOR, PF_PRESENT | PF_FETCH), vcpu_call(self->vcpu, fetch, PAGE));
}

/* QEMU's TCG leaves out bit P of the error code. */
TEST_F(exceptions, load_through_an_entry_with_a_reserved_bit)
{
	vm_map(PAGE, 0, X86_PTE_P | 1ULL << 51);
	EXPECT_EQ(FAULT(PF_VECTOR, PF_RESERVED | (kvm_cpu_is_tcg() ? 0 : PF_PRESENT)),
		  vcpu_call(self->vcpu, load, PAGE));
}

/* ---- double fault ---- */

static void return_from_df(struct guest_frame *frame)
{
	frame->rip = this_cpu()->fixup;
	this_cpu()->vector = DF_VECTOR;
	this_cpu()->error = frame->error;
}

/* #GP's gate lies beyond the IDT's limit, which is a #GP again; #DF's does not. */
static u64 fault_in_delivery(u64 arg)
{
	struct { u16 limit; u64 base; } __attribute__((packed)) idt;
	u8 got;

	guest_handlers[DF_VECTOR] = return_from_df;
	asm volatile("sidt %0" : "=m"(idt));
	idt.limit = 16 * DF_VECTOR + 15;
	asm volatile("lidt %0" : : "m"(idt));
	got = guest_try("mov %0, %%es", : "r"(0x1230));
	return fault(got);
}

TEST_F(exceptions, a_contributory_fault_in_the_delivery_of_another_is_a_double_fault)
{
	EXPECT_EQ(FAULT(DF_VECTOR, 0), vcpu_call(self->vcpu, fault_in_delivery, 0));
}

/* ---- injected by KVM_SET_VCPU_EVENTS ---- */

static void inject(struct vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	struct kvm_vcpu_events events = vcpu_events(vcpu);

	events.exception.injected = 1;
	events.exception.nr = vector;
	events.exception.has_error_code = has_error;
	events.exception.error_code = error;
	vcpu_set_events(vcpu, &events);
}

static struct guest_frame seen;

static void keep_frame(struct guest_frame *frame)
{
	seen = *frame;
}

static u64 sync_once(u64 arg)
{
	guest_sync(1);
	return 3;
}

TEST_F(exceptions, injected_exception_is_delivered_with_its_error_code)
{
	guest_handlers[GP_VECTOR] = keep_frame;
	vcpu_start(self->vcpu, sync_once, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	inject(self->vcpu, GP_VECTOR, true, 0x18);
	EXPECT_EQ(3, vcpu_finish(self->vcpu));
	EXPECT_EQ(GP_VECTOR, seen.vector);
	EXPECT_EQ(0x18, seen.error);
}

TEST_F(exceptions, injected_exception_without_error_code)
{
	guest_handlers[UD_VECTOR] = keep_frame;
	vcpu_start(self->vcpu, sync_once, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	inject(self->vcpu, UD_VECTOR, false, 0);
	EXPECT_EQ(3, vcpu_finish(self->vcpu));
	EXPECT_EQ(1, self->vcpu->guest->irqs[UD_VECTOR]);
}

TEST_F(exceptions, injected_page_fault_finds_cr2_as_set)
{
	struct kvm_sregs sregs;

	guest_handlers[PF_VECTOR] = keep_frame;
	vcpu_start(self->vcpu, sync_once, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	sregs = vcpu_sregs(self->vcpu);
	sregs.cr2 = 0xabcd000;
	vcpu_set_sregs(self->vcpu, &sregs);
	inject(self->vcpu, PF_VECTOR, true, PF_WRITE);
	vcpu_finish(self->vcpu);
	EXPECT_EQ(PF_WRITE, seen.error);
	if (kvm_cpu_is_bochs_amd()) {	/* does not load CR2 at VMRUN */
		EXPECT_NE(0xabcd000, vcpu_sregs(self->vcpu).cr2);
	} else {
		EXPECT_EQ(0xabcd000, vcpu_sregs(self->vcpu).cr2);
	}
}

/* ---- an exit cuts off the delivery: it must be made up for ---- */

/*
 * The stack is in a page that the second-level tables do not have yet, again
 * and again: pushing the frame faults there, and the event comes anew.
 */
static u64 on_new_stacks(u64 pages)
{
	u64 rsp = VM_RAM + PAGE_SIZE * pages, count = 0;

	for (u64 i = 0; i < pages; i++, rsp -= PAGE_SIZE) {
		asm volatile("mov %%rsp, %%r12\n\tmov %1, %%rsp\n\tint3\n\t"
			     "mov %%r12, %%rsp\n\tadd $1, %0"
			     : "+r"(count) : "r"(rsp) : "r12", "memory");
	}
	guest_check_eq(pages, count);
	return this_cpu()->irqs[BP_VECTOR];
}

TEST_F(exceptions, int3_survives_a_nested_page_fault_on_its_stack)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 64 * PAGE_SIZE, 0);
	guest_handlers[BP_VECTOR] = keep_frame;
	EXPECT_EQ(64, vcpu_call(self->vcpu, on_new_stacks, 64));
}

static u64 faults_on_new_stacks(u64 pages)
{
	u64 rsp = VM_RAM + PAGE_SIZE * pages;

	for (u64 i = 0; i < pages; i++, rsp -= PAGE_SIZE) {
		u8 vector = guest_try("mov %%rsp, %%r12\n\tmov %0, %%rsp\n\tmov (%1), %%al",
				      : "r"(rsp), "r"(VM_UNMAPPED + i) : "rax", "r12", "memory");

		asm volatile("mov %%r12, %%rsp" : : : "memory");
		guest_check_eq(PF_VECTOR, vector);
		guest_check_eq(VM_UNMAPPED + i, this_cpu()->cr2);
	}
	return this_cpu()->irqs[PF_VECTOR];
}

TEST_F(exceptions, page_fault_survives_a_nested_page_fault_on_its_stack)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 64 * PAGE_SIZE, 0);
	EXPECT_EQ(64, vcpu_call(self->vcpu, faults_on_new_stacks, 64));
}

extern u8 no_int3[];

static u64 nop_on_a_new_stack(u64 rsp)
{
	guest_sync(0);
	asm volatile("mov %%rsp, %%r12\n\tmov %0, %%rsp\nno_int3:\n\tnop\n\tmov %%r12, %%rsp"
		     : : "r"(rsp) : "r12", "memory");
	return this_cpu()->irqs[BP_VECTOR];
}

/*
 * Where no INT3 is, nothing but the injection can raise it anew: SDM 3C "Information
 * for VM Exits That Occur During Event Delivery".  Stock KVM runs the instruction at
 * RIP instead, for user space injects #BP at an INT3 as a rule.
 */
TEST_F(exceptions, injected_bp_survives_a_nested_page_fault_on_its_stack)
{
	struct kvm_regs regs;

	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, PAGE_SIZE, 0);
	guest_handlers[BP_VECTOR] = keep_frame;
	vcpu_start(self->vcpu, nop_on_a_new_stack, VM_RAM + PAGE_SIZE);
	ASSERT_EQ(0, vcpu_sync(self->vcpu));
	regs = vcpu_regs(self->vcpu);
	regs.r12 = regs.rsp;
	regs.rsp = VM_RAM + PAGE_SIZE;
	regs.rip = (u64)no_int3;
	vcpu_set_regs(self->vcpu, &regs);
	inject(self->vcpu, BP_VECTOR, false, 0);
	EXPECT_EQ(1, vcpu_finish(self->vcpu));
	EXPECT_EQ((u64)no_int3 + 1, seen.rip);
}

/* KVM_SET_REGS drops what is pending.  What that had for CR2 is not the next one's. */
TEST_F(exceptions, a_page_fault_that_was_dropped_leaves_cr2_to_the_next)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = { 1 } };
	struct kvm_vcpu_events events;

	kvm_do(self->vm.fd, KVM_ENABLE_CAP, &cap);
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 64 * PAGE_SIZE, 0);
	events = vcpu_events(self->vcpu);
	events.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.pending = 1;
	events.exception.nr = PF_VECTOR;
	events.exception.has_error_code = 1;
	events.exception_has_payload = 1;
	events.exception_payload = 0xabcd000;
	vcpu_set_events(self->vcpu, &events);
	EXPECT_EQ(64, vcpu_call(self->vcpu, faults_on_new_stacks, 64));
}

static u64 dr6_at_db;

static void keep_dr6(struct guest_frame *frame)
{
	dr6_at_db = read_dr6();
}

/* SDM 3B "Debug Status Register (DR6)": of what is there a #DB may clear B0 to B3, and nothing else. */
TEST_F(exceptions, a_db_leaves_bs_of_an_older_one)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = { 1 } };
	struct kvm_vcpu_events events;
	struct kvm_debugregs regs;

	kvm_do(self->vm.fd, KVM_ENABLE_CAP, &cap);
	guest_handlers[DB_VECTOR] = keep_dr6;
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	regs.dr6 |= DR6_BS | DR6_B0 << 1;
	kvm_do(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs);
	vcpu_start(self->vcpu, undefined, 0);
	events = vcpu_events(self->vcpu);
	events.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.pending = 1;
	events.exception.nr = DB_VECTOR;
	events.exception_has_payload = 1;
	events.exception_payload = DR6_B0;
	vcpu_set_events(self->vcpu, &events);
	vcpu_finish(self->vcpu);
	EXPECT_EQ(DR6_BS | DR6_B0, dr6_at_db & (DR6_BS | 0xf));
}

static u64 int_on_new_stacks(u64 pages)
{
	u64 rsp = VM_RAM + PAGE_SIZE * pages;

	divide(0);
	for (u64 i = 0; i < pages; i++, rsp -= PAGE_SIZE) {
		asm volatile("mov %%rsp, %%r12\n\tmov %0, %%rsp\n\tint $0x90\n\t"
			     "mov %%r12, %%rsp" : : "r"(rsp) : "r12", "memory");
	}
	return this_cpu()->irqs[0x90];
}

static u32 divisions;

static void count_division(struct guest_frame *frame)
{
	if (divisions++ == 0)
		frame->rip = this_cpu()->fixup;
}

/*
 * Of an INT n that a nested page fault cuts off, Bochs's AMD-V tells as if it were the
 * exception before it, a #DE.  That comes once more then, before the INT n.
 */
TEST_F(exceptions, software_interrupt_survives_a_nested_page_fault_on_its_stack)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 64 * PAGE_SIZE, 0);
	guest_handlers[DE_VECTOR] = count_division;
	EXPECT_EQ(64, vcpu_call(self->vcpu, int_on_new_stacks, 64));
	EXPECT_EQ(kvm_cpu_is_bochs_amd() ? 1 + 64 : 1, divisions);
}

/* ---- KVM_SET_GUEST_DEBUG ---- */

static void set_debug(struct vcpu *vcpu, u32 control, u64 address)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | control,
		.arch.debugreg = { [0] = address, [7] = DR7_FIXED | DR7_L0 },
	};

	kvm_do(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

extern u8 debug_int3[], debug_stop[];

static u64 debugged(u64 arg)
{
	asm volatile("debug_int3: int3\ndebug_stop: nop");
	return 0x77;
}

TEST_F(exceptions, software_breakpoint_goes_to_the_debugger)
{
	struct kvm_regs regs;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	set_debug(self->vcpu, KVM_GUESTDBG_USE_SW_BP, 0);
	vcpu_start(self->vcpu, debugged, 0);
	if (kvm_cpu_is_tcg()) {
		/* It intercepts INT3 as a software interrupt only: the guest gets it. */
		guest_handlers[BP_VECTOR] = keep_frame;
		EXPECT_EQ(0x77, vcpu_finish(self->vcpu));
		EXPECT_EQ(1, self->vcpu->guest->irqs[BP_VECTOR]);
		EXPECT_EQ((u64)debug_stop, seen.rip);
		return;
	}
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
	EXPECT_EQ(BP_VECTOR, self->vcpu->run->debug.arch.exception);
	EXPECT_EQ((u64)debug_int3, self->vcpu->run->debug.arch.pc);
	regs = vcpu_regs(self->vcpu);
	regs.rip++;
	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_EQ(0x77, vcpu_finish(self->vcpu));
}

static u64 debug_nops(u64 arg)
{
	asm volatile("nop\ndebug_nop: nop\nnop");
	return 0x78;
}

extern u8 debug_nop[];

TEST_F(exceptions, hardware_breakpoint_goes_to_the_debugger)
{
	struct kvm_debugregs regs;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	set_debug(self->vcpu, KVM_GUESTDBG_USE_HW_BP, (u64)debug_nop);
	vcpu_start(self->vcpu, debug_nops, 0);
	if (!kvm_cpu_is_tcg()) {	/* TCG does not arm the breakpoints that VMRUN loads */
		ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
		EXPECT_EQ(DB_VECTOR, self->vcpu->run->debug.arch.exception);
		EXPECT_EQ((u64)debug_nop, self->vcpu->run->debug.arch.pc);
		set_debug(self->vcpu, 0, 0);
	}
	EXPECT_EQ(0x78, vcpu_finish(self->vcpu));
	/* The breakpoint was the debugger's: the guest's registers know nothing of it. */
	kvm_do(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs);
	EXPECT_EQ(0, regs.db[0]);
	EXPECT_EQ(DR7_FIXED, regs.dr7);
}

static u64 stepped(u64 arg)
{
	asm volatile("mov $0x708, %%edx\n\tout %%eax, %%dx\n\tnop\nstep_1:\n\t"
		     "cpuid\nstep_2:\n\tnop\nstep_3:"
		     : : "a"(0), "c"(0) : "rbx", "rdx", "memory");
	return 0x79;
}

extern u8 step_1[], step_2[], step_3[];

/* Bochs's AMD-V ends at an exit under RFLAGS.TF, unless an exception makes it. */
static u64 stepped_by_ud(u64 arg)
{
	guest_settle();
	asm volatile("mov $0x708, %%edx\n\tout %%eax, %%dx\n\tnop\nud_step_1:\n\t"
		     "vmcall\nud_step_2:\n\tnop\nud_step_3:"
		     : "+a"(arg) : : "rbx", "rdx", "memory");
	return 0x79;
}

extern u8 ud_step_1[], ud_step_2[], ud_step_3[];

TEST_F(exceptions, single_step_goes_to_the_debugger_after_each_instruction)
{
	u64 by_exit[] = { (u64)step_1, (u64)step_2, (u64)step_3 };
	u64 by_ud[] = { (u64)ud_step_1, (u64)ud_step_2, (u64)ud_step_3 };
	u64 *stops = kvm_cpu_is_bochs_amd() ? by_ud : by_exit;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	vcpu_start(self->vcpu, kvm_cpu_is_bochs_amd() ? stepped_by_ud : stepped, 0);
	vcpu_sync(self->vcpu);
	/* The OUT is done with before stepping begins. */
	self->vcpu->run->immediate_exit = 1;
	ASSERT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	self->vcpu->run->immediate_exit = 0;
	set_debug(self->vcpu, KVM_GUESTDBG_SINGLESTEP, 0);
	for (u32 i = 0; i < ARRAY_SIZE(by_exit); i++) {
		ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_enter(self->vcpu));
		EXPECT_EQ(DB_VECTOR, self->vcpu->run->debug.arch.exception);
		EXPECT_EQ(stops[i], self->vcpu->run->debug.arch.pc);
	}
	set_debug(self->vcpu, 0, 0);
	EXPECT_EQ(0x79, vcpu_finish(self->vcpu));
}

TEST_HARNESS_MAIN
