// SPDX-License-Identifier: GPL-2.0
/*
 * Why a VT-x guest came out, and who deals with it.
 * SDM 3C "VMX Non-Root Operation", appendix "VMX Basic Exit Reasons".
 */
#include <linux/ratelimit.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>
#include "../backend.h"
#include "../cr.h"
#include "../exit.h"
#include "../guest_mode.h"
#include "../task_switch.h"
#include "check.h"
#include "vmx.h"

/* ---- exit qualifications: SDM 3C "Exit Qualification" ---- */

union vmx_qual_io {
	struct {
		u64 size_minus_1 : 3, in : 1, string : 1, rep : 1, immediate : 1, : 9, port : 16;
	};
	u64 raw;
};

union vmx_qual_ept {
	struct {
		u64 read : 1, write : 1, fetch : 1;		/* the access */
		u64 readable : 1, writable : 1, executable : 1, : 1; /* the entry */
		u64 has_linear : 1, operand : 1;	/* operand: not an access to a paging structure */
	};
	u64 raw;
};

static_assert(sizeof(union vmx_qual_io) == sizeof(u64));
static_assert(sizeof(union vmx_qual_ept) == sizeof(u64));

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
	union vmx_qual_io qual = { .raw = to_vmx(vcpu)->exit.qual };

	if (unlikely(qual.string))
		return vcpu_emulate(vcpu, NULL, 0);
	vmx_end_shadow(to_vmx(vcpu));
	return exit_pio(vcpu, qual.port, qual.size_minus_1 + 1, qual.in, vmx_next_rip(vcpu));
}

/* noinline, as all that puts a structure on the stack: each exit would pay for its stack protector. */
static noinline int vmx_exit_ept_violation(struct vcpu *vcpu)
{
	union vmx_qual_ept qual = { .raw = to_vmx(vcpu)->exit.qual };
	gpa_t gpa;

	vmx_hold(to_vmx(vcpu));
	gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	vmx_release();
	return exit_tdp_fault(vcpu, &(struct tdp_exit) {
		.gpa = gpa,
		.error_code = (qual.write ? X86_PF_WRITE : 0) | (qual.fetch ? X86_PF_INSTR : 0) |
			      (qual.readable | qual.writable | qual.executable ? X86_PF_PROT : 0),
		.write = qual.write,
		.fetch = qual.fetch,
		.operand = qual.has_linear && qual.operand,
	});
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
		return exit_breakpoint(vcpu);
	case AC_VECTOR:
		vcpu_queue_exception_err(vcpu, AC_VECTOR, 0);
		return EXIT_RESUME;
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

	if (ts.cause != TASK_GATE || vmx_event_class(exit->idt_info) == EVENT_NONE) {
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
	return vcpu_emulate(vcpu, NULL, 0);
}

static int vmx_exit_dr(struct vcpu *vcpu)
{
	if (vcpu->guest_debug & KVM_GUESTDBG_ENABLE)
		return exit_mov_dr(vcpu);
	vmx_give_debug_regs(to_vmx(vcpu));
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

/* The log says why.  What should have gone in waits for the next entry. */
static int vmx_not_entered(struct vcpu *vcpu, u32 code, const char *what)
{
	static DEFINE_RATELIMIT_STATE(rate, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);

	if (__ratelimit(&rate)) {
		pr_err("kvm: the CPU refused vCPU %u: %s (0x%x)\n", vcpu->id, what, code);
		vmx_check_entry(vmx_read_field, &vmx_caps);
	}
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vcpu_request(vcpu, REQ_EVENT);
	return exit_fail_entry(vcpu, code);
}

/* VMLAUNCH or VMRESUME failed: the controls or the host state are wrong. */
static int vmx_exit_failed(struct vcpu *vcpu)
{
	u32 error;
	int r;

	vmx_hold(to_vmx(vcpu));
	error = vmcs_read(VM_INSTRUCTION_ERROR);
	r = vmx_not_entered(vcpu, error, vmx_instruction_error_text(error));
	vmx_release();
	return r;
}

/* An exit instead of an entry. */
static int vmx_exit_refused(struct vcpu *vcpu)
{
	u32 reason = to_vmx(vcpu)->exit.reason;
	int r;

	vmx_hold(to_vmx(vcpu));
	r = vmx_not_entered(vcpu, reason, (u16)reason == EXIT_REASON_INVALID_STATE ?
			    "invalid guest state" : "entry failed");
	vmx_release();
	return r;
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
		vcpu_queue_gp(vcpu);	/* no counters: every index is out of range */
		return EXIT_RESUME;
	case EXIT_REASON_TASK_SWITCH:
		return vmx_exit_task_switch(vcpu);
	case EXIT_REASON_TRIPLE_FAULT:
		return exit_shutdown(vcpu);
	case EXIT_REASON_VMCLEAR ... EXIT_REASON_VMON:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_VMFUNC:
		return exit_ud(vcpu);
	case VMX_EXIT_NONE:
		return vmx_exit_failed(vcpu);
	default:
		return reason & VMX_EXIT_REASONS_FAILED_VMENTRY ? vmx_exit_refused(vcpu) :
								   exit_unknown(vcpu, reason);
	}
}

/**
 * vmx_handle_exit_irqoff() - what must not wait for interrupts to come on
 * @vcpu: just back from the guest; interrupts off
 *
 * An interrupt is still pending: the CPU delivers it at STI.  An NMI and a
 * machine check it only reported: the host's handlers are called the way the
 * CPU would.  NMIs are masked since the exit, and the handler's IRET opens them.
 */
void vmx_handle_exit_irqoff(struct vcpu *vcpu)
{
	const struct vmx_exit *exit = &to_vmx(vcpu)->exit;
	u32 reason = exit->reason;
	u8 vector;

	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		guest_mode_interrupted();
	else if (unlikely((u16)reason == EXIT_REASON_MCE_DURING_VMENTRY))
		asm volatile("int %0" : : "i" (MC_VECTOR));
	if (likely(reason != EXIT_REASON_EXCEPTION_NMI))
		return;
	vector = exit->intr_info & INTR_INFO_VECTOR_MASK;
	if (vector == NMI_VECTOR)
		asm volatile("int %0" : : "i" (NMI_VECTOR));
	else if (vector == MC_VECTOR)
		asm volatile("int %0" : : "i" (MC_VECTOR));
}
