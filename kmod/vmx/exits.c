// SPDX-License-Identifier: GPL-2.0
/*
 * Why a VT-x guest came out, and who deals with it.
 * SDM 3C "VMX Non-Root Operation", appendix "VMX Basic Exit Reasons".
 */
#include <linux/ratelimit.h>
#include <asm/cpu.h>
#include <asm/irq_vectors.h>
#include <asm/trap_pf.h>
#include "../compat.h"
#include "../exit.h"
#include "check.h"
#include "vmx.h"

/* ---- exit qualifications: SDM 3C "Exit Qualification" ---- */

/* SDM 3C "Exit Qualification for I/O Instructions"; that for EPT violations is in <asm/vmx.h>. */
enum { IO_SIZE_MINUS_1 = 7, IO_IN = 1 << 3, IO_STRING = 1 << 4, IO_PORT_SHIFT = 16 };

/* ---- stepping over an instruction ---- */

/* A carry out of 32 bits is one only in 64-bit code. */
static noinline u64 vmx_carry_rip(struct vcpu *vcpu, u64 rip)
{
	return vcpu_code(vcpu).mode == EMU_MODE_LONG ? rip : (u32)rip;
}

/* The CPU tells how long it is, where the exit was caused by one. */
static u64 vmx_next_rip(struct vcpu *vcpu)
{
	u64 rip = vcpu->rip + to_vmx(vcpu)->exit.insn_len;

	return likely(!((rip ^ vcpu->rip) >> 32)) ? rip : vmx_carry_rip(vcpu, rip);
}

/**
 * vmx_advance() - the instruction that exited is done: RIP to the next one
 * @vcpu: outside the guest
 *
 * Return: EXIT_RESUME.
 */
int vmx_advance(struct vcpu *vcpu)
{
	vmx_end_shadow(to_vmx(vcpu));
	vcpu_advance(vcpu, vmx_next_rip(vcpu));
	return EXIT_RESUME;
}

static int vmx_finish(struct vcpu *vcpu, int r)
{
	return likely(r == EXIT_ADVANCE) ? vmx_advance(vcpu) : r;
}

/* ---- one function an exit reason ---- */

static int vmx_exit_hlt(struct vcpu *vcpu)
{
	vmx_advance(vcpu);
	return exit_hlt(vcpu);
}

static int vmx_exit_io(struct vcpu *vcpu)
{
	u32 qual = to_vmx(vcpu)->exit.qual;

	if (unlikely(qual & IO_STRING))
		return vcpu_emulate(vcpu, NULL);
	vmx_end_shadow(to_vmx(vcpu));
	return exit_pio(vcpu, qual >> IO_PORT_SHIFT, (qual & IO_SIZE_MINUS_1) + 1, qual & IO_IN,
			vmx_next_rip(vcpu));
}

enum {
	EPT_VIOLATION_MAPPED = VMX_EPT_RWX_MASK << 3,	/* what the entry allows */
	/* An access by linear address, and not to one of the guest's tables on the way. */
	EPT_VIOLATION_OPERAND = EPT_VIOLATION_GVA_IS_VALID | EPT_VIOLATION_GVA_TRANSLATED,
};

/* noinline, as all that puts a structure on the stack: each exit would pay for its stack protector. */
static noinline int vmx_exit_ept_violation(struct vcpu *vcpu)
{
	u64 qual = to_vmx(vcpu)->exit.qual;

	return exit_tdp_fault(vcpu, &(struct tdp_exit) {
		.gpa = vmx_read(to_vmx(vcpu), GUEST_PHYSICAL_ADDRESS),
		.error_code = (qual & EPT_VIOLATION_ACC_WRITE ? X86_PF_WRITE : 0) |
			      (qual & EPT_VIOLATION_ACC_INSTR ? X86_PF_INSTR : 0) |
			      (qual & EPT_VIOLATION_MAPPED ? X86_PF_PROT : 0),
		.write = qual & EPT_VIOLATION_ACC_WRITE,
		.fetch = qual & EPT_VIOLATION_ACC_INSTR,
		.operand = !(~qual & EPT_VIOLATION_OPERAND),
	});
}

/* The guest's own alignment check, or the host's search for split locks, which no entry turns off. */
static noinline int vmx_exit_ac(struct vcpu *vcpu)
{
	if (!boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) ||
	    (vcpu->cr0 & X86_CR0_AM && vcpu->rflags & X86_EFLAGS_AC && vcpu_code(vcpu).cpl == 3)) {
		vcpu_queue_exception_err(vcpu, AC_VECTOR, 0);
		return EXIT_RESUME;
	}
	if (handle_guest_split_lock(vcpu->rip))
		return EXIT_RESUME;
	vcpu->run->ex.exception = AC_VECTOR;
	vcpu->run->ex.error_code = 0;
	return exit_to_user(vcpu, KVM_EXIT_EXCEPTION);
}

static int vmx_exit_exception(struct vcpu *vcpu)
{
	const struct vmx_exit *exit = &to_vmx(vcpu)->exit;

	switch (exit->intr_info & INTR_INFO_VECTOR_MASK) {
	case UD_VECTOR:
		return vcpu_emulate_ud(vcpu);
	case DB_VECTOR:
		/* INT1 is a trap that comes before RIP has moved. */
		if ((exit->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
			vcpu->rip = vmx_next_rip(vcpu);
		return exit_debug(vcpu, exit->qual);
	case BP_VECTOR:
		return exit_to_debugger(vcpu, BP_VECTOR, 0);
	case AC_VECTOR:
		return vmx_exit_ac(vcpu);
	default:			/* NMI, machine check: vmx_handle_exit_irqoff() */
		return EXIT_RESUME;
	}
}

enum { TASK_QUAL_CAUSE = 30 };	/* SDM 3C "Exit Qualification for Task Switches": a shift; enum task_switch_cause */

/* The IDT-vectoring information tells whether an instruction went through a gate: then its length is known. */
static noinline int vmx_exit_task_switch(struct vcpu *vcpu)
{
	const struct vmx_exit *exit = &to_vmx(vcpu)->exit;
	struct task_switch ts = {
		.cause = exit->qual >> TASK_QUAL_CAUSE & 3, .selector = exit->qual,
		.next_rip = vcpu->rip,
	};

	if (ts.cause != TASK_GATE || (exit->idt_info & EVENT_TYPE) > EVENT_EXCEPTION) {
		ts.next_rip = vmx_next_rip(vcpu);
	} else if (exit->idt_info & VECTORING_INFO_DELIVER_CODE_MASK) {
		ts.has_error_code = true;
		ts.error_code = exit->idt_error;
	}
	return exit_task_switch(vcpu, &ts);
}

enum { CR_ACCESS_CR8 = 8, CR_ACCESS_NUMBER = 0xf };	/* SDM 3C "Exit Qualification for Control-Register Accesses" */

static int vmx_exit_cr_access(struct vcpu *vcpu)
{
	if ((to_vmx(vcpu)->exit.qual & CR_ACCESS_NUMBER) == CR_ACCESS_CR8)
		return exit_mov_cr8(vcpu);
	return vcpu_emulate(vcpu, NULL);
}

/*
 * The guest touches its debug registers: let it have them.  A debugger in the
 * guest reads and writes several in a row: only the first access exits.
 * vmx_take_debug_regs() has them back at the next exit.
 */
static int vmx_exit_dr(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vcpu->guest_debug & KVM_GUESTDBG_ENABLE)
		return exit_mov_dr(vcpu);
	vmx->dr_owned = true;
	vmx->proc &= ~CPU_BASED_MOV_DR_EXITING;
	return EXIT_RESUME;
}

/* ---- failed entries ---- */

/* 0 where the CPU has no such field: that VMREAD fails and leaves the register. */
static u64 vmx_read_field(unsigned long field)
{
	u64 val = 0;

	asm volatile("1: vmread %1, %0\n2:\n" _ASM_EXTABLE(1b, 2b) : "+r" (val) : "r" (field) : "cc");
	return val;
}

/*
 * VMLAUNCH or VMRESUME failed (the controls or the host state are wrong), or
 * there was an exit instead of an entry.  The log says why.  What should have
 * gone in waits for the next entry.
 */
static noinline int vmx_exit_failed(struct vcpu *vcpu)
{
	static DEFINE_RATELIMIT_STATE(rate, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	u32 code = to_vmx(vcpu)->exit.reason;
	const char *what = (u16)code == EXIT_REASON_INVALID_STATE ? "invalid guest state" : "entry failed";

	guard(vmx_hold)(to_vmx(vcpu));
	if (code == VMX_EXIT_NONE) {
		code = vmcs_read(VM_INSTRUCTION_ERROR);
		what = vmx_instruction_error_text(code);
	}
	if (__ratelimit(&rate)) {
		pr_err("kvm: the CPU refused vCPU %u: %s (0x%x)\n", vcpu->id, what, code);
		vmx_check_entry(vmx_read_field, &vmx_caps);
	}
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	return exit_fail_entry(vcpu, code);
}

/**
 * vmx_handle_exit() - act on the exit that vmx_run() has read
 * @vcpu: outside the guest; interrupts and preemption on
 *
 * Return: 1 to resume, 0 to user space, negative errno.
 */
int vmx_handle_exit(struct vcpu *vcpu)
{
	u32 reason = to_vmx(vcpu)->exit.reason;

	/* The common ones first: jump tables would cost a retpoline. */
	if (reason == EXIT_REASON_EPT_VIOLATION)
		return vmx_exit_ept_violation(vcpu);
	if (reason == EXIT_REASON_MSR_WRITE)
		return vmx_finish(vcpu, exit_wrmsr(vcpu));
	if (reason == EXIT_REASON_MSR_READ)
		return vmx_finish(vcpu, exit_rdmsr(vcpu));
	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		return EXIT_RESUME;		/* taken when interrupts came on */
	if (reason == EXIT_REASON_IO_INSTRUCTION)
		return vmx_exit_io(vcpu);
	if (reason == EXIT_REASON_HLT)
		return vmx_exit_hlt(vcpu);
	if (reason == EXIT_REASON_CPUID)
		return vmx_finish(vcpu, exit_cpuid(vcpu));
	if (reason == EXIT_REASON_VMCALL)
		return vmx_finish(vcpu, exit_hypercall(vcpu));

	switch (reason) {
	case EXIT_REASON_INTERRUPT_WINDOW:	/* vmx_events_after_exit() asked for REQ_EVENT */
	case EXIT_REASON_NMI_WINDOW:
	case EXIT_REASON_INIT_SIGNAL:
	case EXIT_REASON_SIPI_SIGNAL:
		return EXIT_RESUME;
	case EXIT_REASON_EXCEPTION_NMI:
		return vmx_exit_exception(vcpu);
	case EXIT_REASON_CR_ACCESS:
		return vmx_exit_cr_access(vcpu);
	case EXIT_REASON_DR_ACCESS:
		return vmx_exit_dr(vcpu);
	case EXIT_REASON_PAUSE_INSTRUCTION:
		return vmx_finish(vcpu, exit_pause(vcpu));
	case EXIT_REASON_XSETBV:
		return vmx_finish(vcpu, exit_xsetbv(vcpu));
	/* Caches are coherent and devices see them: nothing to write back. */
	case EXIT_REASON_INVD:
	case EXIT_REASON_WBINVD:
		return vmx_advance(vcpu);
	case EXIT_REASON_MONITOR_INSTRUCTION:
	case EXIT_REASON_MWAIT_INSTRUCTION:
		return vmx_finish(vcpu, exit_mwait(vcpu));
	case EXIT_REASON_RDPMC:
		return exit_gp(vcpu);	/* no counters: every index is out of range */
	case EXIT_REASON_TASK_SWITCH:
		return vmx_exit_task_switch(vcpu);
	case EXIT_REASON_TRIPLE_FAULT:
		return exit_to_user(vcpu, KVM_EXIT_SHUTDOWN);
	case EXIT_REASON_VMCLEAR ... EXIT_REASON_VMON:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_VMFUNC:
		return exit_ud(vcpu);
	default:
		return reason & VMX_EXIT_REASONS_FAILED_VMENTRY ? vmx_exit_failed(vcpu) :
								   exit_unknown(vcpu, reason);
	}
}

/**
 * vmx_handle_exit_irqoff() - what must not wait for interrupts to come on
 * @vcpu: just back from the guest; interrupts off
 *
 * An interrupt is still pending: the CPU delivers it at STI.  An NMI and a
 * machine check it only reported: the NMI's handler is called the way the CPU
 * would.  NMIs are masked since the exit, and the handler's IRET opens them.
 */
void vmx_handle_exit_irqoff(struct vcpu *vcpu)
{
	const struct vmx_exit *exit = &to_vmx(vcpu)->exit;
	u32 reason = exit->reason;
	u8 vector;

	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		compat_rcu_note_guest();
	else if (unlikely((u16)reason == EXIT_REASON_MCE_DURING_VMENTRY))
		exit_machine_check();
	if (likely(reason != EXIT_REASON_EXCEPTION_NMI))
		return;
	vector = exit->intr_info & INTR_INFO_VECTOR_MASK;
	if (vector == NMI_VECTOR)
		asm volatile("int %0" : : "i" (NMI_VECTOR));
	else if (vector == MC_VECTOR)
		exit_machine_check();
}
