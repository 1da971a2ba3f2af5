/* SPDX-License-Identifier: GPL-2.0 */
/* What both vendors do on an exit, once the vendor has told what it was. */
#ifndef VITRO_EXIT_H
#define VITRO_EXIT_H

#include <asm/mce.h>
#include <asm/segment.h>
#include "backend.h"
#include "vcpu.h"

/*
 * Handlers return 1 to resume, 0 to go out to user space (kvm_run is filled),
 * a negative errno to fail KVM_RUN; EXIT_ADVANCE: done, step over the
 * instruction and resume.
 */
enum { EXIT_USER = 0, EXIT_RESUME = 1, EXIT_ADVANCE = 2 };

/* A second-level violation, as the vendor read it from its exit. */
struct tdp_exit {
	gpa_t		gpa;
	u64		error_code;	/* X86_PF_* for tracing */
	bool		write, fetch;
	bool		operand;	/* gpa is the access's own, not a page table's */
	const u8	*bytes;		/* instruction bytes the CPU reported */
	unsigned int	nbytes;
};

enum task_switch_cause { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* A task switch, which AMD-V and VT-x leave to the hypervisor; likewise. */
struct task_switch {
	enum task_switch_cause cause;
	u16	selector;		/* of the new TSS */
	u64	next_rip;		/* what the old task goes on with */
	bool	has_error_code;		/* TASK_GATE: an exception that pushes it in the new task */
	u32	error_code;
};

int exit_cpuid(struct vcpu *vcpu);
int exit_rdmsr(struct vcpu *vcpu);
int exit_wrmsr(struct vcpu *vcpu);
int exit_xsetbv(struct vcpu *vcpu);
int exit_hypercall(struct vcpu *vcpu);
int exit_ud(struct vcpu *vcpu);			/* injects #UD */
int exit_gp(struct vcpu *vcpu);			/* #GP(0) */
int exit_hlt(struct vcpu *vcpu);		/* RIP is past HLT already */
int exit_mwait(struct vcpu *vcpu);
int exit_pause(struct vcpu *vcpu);		/* it spins */
int exit_pio(struct vcpu *vcpu, u16 port, unsigned int size, bool in, u64 next_rip);
int exit_tdp_fault(struct vcpu *vcpu, const struct tdp_exit *fault);
int exit_task_switch(struct vcpu *vcpu, const struct task_switch *ts);	/* task_switch.c */
int exit_debug(struct vcpu *vcpu, u64 dr6);
int exit_mov_cr8(struct vcpu *vcpu);
int exit_mov_dr(struct vcpu *vcpu);		/* while user space debugs */
int exit_to_debugger(struct vcpu *vcpu, u8 vector, u64 dr6);
int exit_internal_error(struct vcpu *vcpu, u32 suberror, unsigned int ndata, const u64 *data);
int exit_unknown(struct vcpu *vcpu, u64 reason);
int exit_fail_entry(struct vcpu *vcpu, u64 reason);

/* emulation.c: run, or step over, the instruction at CS:RIP in software. */
int vcpu_emulate(struct vcpu *vcpu, const struct tdp_exit *fault);
void vcpu_pio_to_user(struct vcpu *vcpu, u16 port, unsigned int size, bool out);
int vcpu_emulate_ud(struct vcpu *vcpu);	/* #UD: another vendor's hypercall, or the guest's own */
/* Length of the instruction at CS:RIP, most likely @opcode (0: who knows); 0 and a fault queued if it cannot be read. */
unsigned int vcpu_insn_length(struct vcpu *vcpu, u32 opcode);
/* For a single step: the opcode at CS:RIP, 0 if it is not to be had; and what it has shown of RFLAGS.TF. */
u16 vcpu_peek_opcode(struct vcpu *vcpu);
void vcpu_mend_step(struct vcpu *vcpu);
/* Is there a device at this gpa or port in the kernel? Then the access is done. */
bool mmio_kernel_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned int len);
bool mmio_kernel_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len);
bool pio_kernel(struct vcpu *vcpu, u16 port, void *data, unsigned int len, bool in);

struct vcpu_code {
	gva_t		rip;	/* linear */
	enum emu_mode	mode;
	u8		cpl;
};

/**
 * vcpu_code() - how the code at CS:RIP is to be decoded, and where it is
 * @vcpu: outside the guest
 */
static inline struct vcpu_code vcpu_code(struct vcpu *vcpu)
{
	struct code_segment cs = backend(get_code)(vcpu);
	struct vcpu_code code = { vcpu->rip, EMU_MODE_LONG, cs.flags & CODE_CPL };

	if (likely(vcpu_long_mode(vcpu) && cs.flags & CODE_L))
		return code;
	code.rip = (u32)(cs.base + vcpu->rip);
	code.mode = !(vcpu->cr0 & X86_CR0_PE) ? EMU_MODE_REAL :
		    vcpu->rflags & X86_EFLAGS_VM ? EMU_MODE_VM86 :
		    cs.flags & CODE_DB ? EMU_MODE_PROT32 : EMU_MODE_PROT16;
	return code;
}

/*
 * A machine check that the guest ran into, interrupts off.  To the host it is one of user mode:
 * the page goes and the VMM gets a signal, where one of the kernel's own would be its end.
 */
static inline void exit_machine_check(void)
{
	struct pt_regs regs = { .cs = __USER_CS, .flags = X86_EFLAGS_IF };

	if (IS_ENABLED(CONFIG_X86_MCE))
		do_machine_check(&regs);
}

/* Out of KVM_RUN: the rest of kvm_run is filled. */
static inline int exit_to_user(struct vcpu *vcpu, u32 reason)
{
	vcpu->run->exit_reason = reason;
	return EXIT_USER;
}

/* User space does a part of the instruction at RIP; @complete what then is left of it. */
static inline int vcpu_await_user(struct vcpu *vcpu, int (*complete)(struct vcpu *vcpu))
{
	vcpu->io.rip = vcpu->rip;
	vcpu->complete = complete;
	return EXIT_USER;
}

/* Move RIP past an instruction that was executed here: the guest's own single step must not miss it. */
static inline void vcpu_advance(struct vcpu *vcpu, u64 rip)
{
	vcpu->rip = rip;
	if (unlikely(vcpu->rflags & X86_EFLAGS_TF))
		vcpu_queue_single_step(vcpu);
}

#endif /* VITRO_EXIT_H */
