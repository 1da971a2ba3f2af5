// SPDX-License-Identifier: GPL-2.0
/*
 * Why an AMD-V guest came out, and who deals with it.
 * APM 2 "Instruction Intercepts", "Intercept Details", and appendix "SVM Intercept Exit Codes".
 */
#include <linux/ratelimit.h>
#include "../compat.h"
#include "../exit.h"
#include "../msr.h"
#include "../smm.h"
#include "check.h"
#include "svm.h"

/* ---- stepping over an instruction ---- */

/* Instructions as they stand in memory without prefixes, first byte lowest. */
enum svm_insn {
	INSN_CPUID = 0xa20f, INSN_RDMSR = 0x320f, INSN_WRMSR = 0x300f, INSN_HLT = 0xf4,
	INSN_VMMCALL = 0xd9010f, INSN_XSETBV = 0xd1010f, INSN_INVD = 0x080f, INSN_WBINVD = 0x090f,
	INSN_MONITOR = 0xc8010f, INSN_MWAIT = 0xc9010f, INSN_PAUSE = 0x90f3, INSN_IRET = 0xcf,
	INSN_ANY = 0,
};

/*
 * To the next instruction: the CPU tells where it is (next-RIP save), else it
 * is read from the instruction, which is most likely @insn.
 */
static int svm_step_over(struct vcpu *vcpu, enum svm_insn insn)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	u64 rip = static_cpu_has(X86_FEATURE_NRIPS) ? vmcb->control.next_rip : 0;
	unsigned int len;

	if (!rip) {
		len = vcpu_insn_length(vcpu, insn);
		if (!len)
			return EXIT_RESUME;		/* a fault is queued */
		rip = vcpu->rip + len;
		if (!(vmcb->save.cs.attrib & SVM_SELECTOR_L_MASK))
			rip = (u32)rip;
	}
	svm_end_shadow(to_svm(vcpu));
	vcpu_advance(vcpu, rip);
	return EXIT_RESUME;
}

static int svm_finish(struct vcpu *vcpu, enum svm_insn insn, int r)
{
	return likely(r == EXIT_ADVANCE) ? svm_step_over(vcpu, insn) : r;
}

/**
 * svm_advance() - the instruction that exited is done: RIP to the next one
 * @vcpu: outside the guest
 *
 * Return: EXIT_RESUME, with a fault queued if the instruction cannot be read.
 */
int svm_advance(struct vcpu *vcpu)
{
	return svm_step_over(vcpu, INSN_ANY);
}

/* ---- one function an exit code ---- */

static int svm_exit_hlt(struct vcpu *vcpu)
{
	u64 rip = vcpu->rip;

	svm_finish(vcpu, INSN_HLT, EXIT_ADVANCE);
	return vcpu->rip == rip ? EXIT_RESUME : exit_hlt(vcpu);
}

/* EXITINFO1: APM 2 "IOIO Intercept Information"; EXITINFO2 is the next RIP. */
static int svm_exit_ioio(struct vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u32 info = control->exit_info_1;

	if (unlikely(info & SVM_IOIO_STR_MASK))
		return vcpu_emulate(vcpu, NULL);
	svm_end_shadow(to_svm(vcpu));
	return exit_pio(vcpu, info >> 16, (info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT,
			info & SVM_IOIO_TYPE_MASK, control->exit_info_2);
}

/* EXITINFO1: APM 2 "Nested versus Guest Page Faults, Fault Ordering". */
enum svm_npf {
	SVM_NPF_WRITE	= 1 << 1,
	SVM_NPF_FETCH	= 1 << 4,
	SVM_NPF_FINAL	= 32,	/* bit: the guest's final address, not one of its tables */
};

/* noinline, as all that puts a structure on the stack: each exit would pay for its stack protector. */
static noinline int svm_exit_npf(struct vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u64 info = control->exit_info_1;

	return exit_tdp_fault(vcpu, &(struct tdp_exit) {
		.gpa = control->exit_info_2,
		.error_code = info,
		.write = info & SVM_NPF_WRITE,
		.fetch = info & SVM_NPF_FETCH,
		.operand = info >> SVM_NPF_FINAL & 1,
		.bytes = control->insn_bytes,
		.nbytes = static_cpu_has(X86_FEATURE_DECODEASSISTS) ? control->insn_len : 0,
	});
}

/* NMIs stay masked until IRET has run: look again when RIP has moved. */
static int svm_exit_iret(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_intercept(svm, INTERCEPT_IRET, false);
	svm->iret_pending = true;
	svm->iret_rip = vcpu->rip;
	if (vcpu->nmi_pending)
		vcpu_request(vcpu, REQ_EVENT);
	return EXIT_RESUME;
}

/* The CPU adds to DR6 and clears nothing: what it finds there is not the guest's old bits. */
static int svm_exit_db(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 dr6 = svm->vmcb->save.dr6;

	svm->vmcb->save.dr6 = DR6_RESERVED;
	svm_dirty(svm, SVM_CLEAN_DR);
	if (svm->nmi_step) {
		bool guest_step = svm->step_tf_was;

		svm_nmi_step_end(svm);
		vcpu_request(vcpu, REQ_EVENT);
		if (!guest_step && !(vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP))
			return EXIT_RESUME;
	}
	return exit_debug(vcpu, dr6);
}

/* EXITINFO2: APM 2 "Task Switch Intercept", bit numbers; the low half is the error code. */
enum { TASK_INFO_IRET = 36, TASK_INFO_JMP = 38, TASK_INFO_ERROR_CODE = 44 };

/* EXITINTINFO tells a gate, and whether an instruction went through it: then its length is looked up. */
static noinline int svm_exit_task_switch(struct vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u32 event = control->exit_int_info;
	u64 info = control->exit_info_2;
	struct task_switch ts = {
		.cause = info >> TASK_INFO_IRET & 1 ? TASK_IRET : info >> TASK_INFO_JMP & 1 ? TASK_JMP :
			 event & SVM_EXITINTINFO_VALID ? TASK_GATE : TASK_CALL,
		.selector = control->exit_info_1, .next_rip = vcpu->rip,
		.has_error_code = info >> TASK_INFO_ERROR_CODE & 1, .error_code = info,
	};
	unsigned int len;

	if (ts.cause != TASK_GATE || (event & EVENT_TYPE) > EVENT_EXCEPTION || event_is_breakpoint(event)) {
		len = vcpu_insn_length(vcpu, INSN_IRET);	/* the others are decoded */
		if (!len)
			return EXIT_RESUME;
		ts.next_rip = (u32)(vcpu->rip + len);
	}
	return exit_task_switch(vcpu, &ts);
}

/*
 * The guest touches its debug registers: let it have them.  A debugger in the
 * guest reads and writes several in a row: only the first access exits.
 * svm_take_debug_regs() has them back at the next exit.
 */
static int svm_exit_dr(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (vcpu->guest_debug & KVM_GUESTDBG_ENABLE)
		return exit_mov_dr(vcpu);
	svm->dr_owned = true;
	svm->vmcb->save.dr6 = vcpu->dr6;
	svm->vmcb->control.intercepts[INTERCEPT_DR] = 0;
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_DR);
	return EXIT_RESUME;
}

/* VMEXIT_INVALID: the log says why.  What should have gone in waits for the next entry. */
static noinline int svm_exit_failed(struct vcpu *vcpu)
{
	static DEFINE_RATELIMIT_STATE(rate, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	const struct svm_check_caps caps = {
		.cr4_reserved = vcpu->cr4_reserved & ~X86_CR4_MCE,
		.efer_reserved = ~(msr_efer_valid_bits(vcpu) | EFER_SVME),
		.maxphyaddr = max_t(u8, boot_cpu_data.x86_phys_bits, fls64(sme_me_mask)),
	};
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	if (__ratelimit(&rate)) {
		pr_err("kvm: VMRUN refused the state of vCPU %u\n", vcpu->id);
		svm_check_entry(vmcb, &caps);
	}
	vmcb->control.event_inj = 0;
	return exit_fail_entry(vcpu, vmcb->control.exit_code);
}

/**
 * svm_handle_exit() - act on the exit in the VMCB
 * @vcpu: outside the guest; interrupts and preemption on
 *
 * Return: 1 to resume, 0 to user space, negative errno.
 */
int svm_handle_exit(struct vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u32 code = control->exit_code;

	/* The common ones first: jump tables would cost a retpoline. */
	if (code == SVM_EXIT_NPF)
		return svm_exit_npf(vcpu);
	if (code == SVM_EXIT_MSR)
		return control->exit_info_1 & 1 ? svm_finish(vcpu, INSN_WRMSR, exit_wrmsr(vcpu)) :
						  svm_finish(vcpu, INSN_RDMSR, exit_rdmsr(vcpu));
	if (code == SVM_EXIT_INTR)
		return EXIT_RESUME;		/* taken when interrupts came on */
	if (code == SVM_EXIT_IOIO)
		return svm_exit_ioio(vcpu);
	if (code == SVM_EXIT_HLT)
		return svm_exit_hlt(vcpu);
	if (code == SVM_EXIT_CPUID)
		return svm_finish(vcpu, INSN_CPUID, exit_cpuid(vcpu));

	switch (code) {
	case SVM_EXIT_VINTR:		/* svm_events_after_exit() asked for REQ_EVENT */
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_INIT:
	case SVM_EXIT_EXCP_BASE + MC_VECTOR:
		return EXIT_RESUME;
	case SVM_EXIT_VMMCALL:
		return svm_finish(vcpu, INSN_VMMCALL, exit_hypercall(vcpu));
	case SVM_EXIT_RSM:
		return exit_rsm(vcpu);
	case SVM_EXIT_IRET:
		return svm_exit_iret(vcpu);
	case SVM_EXIT_PAUSE:
		return svm_finish(vcpu, INSN_PAUSE, exit_pause(vcpu));
	case SVM_EXIT_READ_CR0 ... SVM_EXIT_WRITE_CR4:
	case SVM_EXIT_CR0_SEL_WRITE:
		return vcpu_emulate(vcpu, NULL);
	case SVM_EXIT_WRITE_CR8:
		return exit_mov_cr8(vcpu);
	case SVM_EXIT_READ_DR0 ... SVM_EXIT_WRITE_DR7:
		return svm_exit_dr(vcpu);
	case SVM_EXIT_XSETBV:
		return svm_finish(vcpu, INSN_XSETBV, exit_xsetbv(vcpu));
	/* Caches are coherent and devices see them: nothing to write back. */
	case SVM_EXIT_INVD:
		return svm_finish(vcpu, INSN_INVD, EXIT_ADVANCE);
	case SVM_EXIT_WBINVD:
		return svm_finish(vcpu, INSN_WBINVD, EXIT_ADVANCE);
	case SVM_EXIT_MONITOR:
		return svm_finish(vcpu, INSN_MONITOR, exit_mwait(vcpu));
	case SVM_EXIT_MWAIT:
		return svm_finish(vcpu, INSN_MWAIT, exit_mwait(vcpu));
	case SVM_EXIT_RDPMC:
		return exit_gp(vcpu);	/* no counters: every index is out of range */
	case SVM_EXIT_EXCP_BASE + UD_VECTOR:
		return vcpu_emulate_ud(vcpu);
	case SVM_EXIT_EXCP_BASE + DB_VECTOR:
		return svm_exit_db(vcpu);
	case SVM_EXIT_EXCP_BASE + BP_VECTOR:
		return exit_to_debugger(vcpu, BP_VECTOR, 0);
	case SVM_EXIT_EXCP_BASE + AC_VECTOR:
		vcpu_queue_exception_err(vcpu, AC_VECTOR, 0);
		return EXIT_RESUME;
	case SVM_EXIT_TASK_SWITCH:
		return svm_exit_task_switch(vcpu);
	case SVM_EXIT_SHUTDOWN:
		return exit_to_user(vcpu, KVM_EXIT_SHUTDOWN);
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD ... SVM_EXIT_RDTSCP:
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_RDPRU:
	case SVM_EXIT_INVPCID:
		return exit_ud(vcpu);
	case (u32)SVM_EXIT_ERR:
		return svm_exit_failed(vcpu);
	default:
		return exit_unknown(vcpu, code);
	}
}

/**
 * svm_handle_exit_irqoff() - what must not wait for interrupts to come on
 * @vcpu: just back from the guest; interrupts off
 *
 * The CPU delivers NMIs and interrupts itself, at STGI and STI.  A machine
 * check it only reported.
 */
void svm_handle_exit_irqoff(struct vcpu *vcpu)
{
	u32 code = to_svm(vcpu)->vmcb->control.exit_code;

	if (code == SVM_EXIT_INTR)
		compat_rcu_note_guest();
	else if (unlikely(code == SVM_EXIT_EXCP_BASE + MC_VECTOR))
		exit_machine_check();
}
