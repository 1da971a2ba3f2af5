/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract with a vendor half (svm/, vmx/).
 *
 * State moves in bulk (get_sregs, set_sregs); general registers, RIP, RFLAGS,
 * CR0, CR2, CR3, CR4 and EFER as the guest sees them live in struct vcpu and
 * are current whenever the vCPU is outside the guest.  Calls go through static
 * calls: no retpoline, and one line here per hook.
 */
#ifndef VITRO_BACKEND_H
#define VITRO_BACKEND_H

#include <linux/static_call.h>
#include "vcpu.h"

/* Of CS, with the current privilege level in its lowest bits. */
struct code_segment {
	u64	base;
	u32	flags;
};

enum { CODE_CPL = 3, CODE_L = 1 << 13, CODE_DB = 1 << 14 };

/*
 * name, return type, arguments.  Unless said otherwise: under vcpu->mutex,
 * preemption and interrupts on.
 *
 * enable_cpu, disable_cpu	this CPU; interrupts off or CPU going down
 * vcpu_init, vcpu_free		the vendor's part; 0 or -ENOMEM
 * vcpu_reset			what no other hook sets after RESET, of a new vCPU, or INIT
 * run_begin			KVM_RUN starts: what only changes outside of it may have
 * sched_out			the thread is switched out, or KVM_RUN ends, after vcpu_watch_sched();
 *				preemption off
 * run				one entry and exit, interrupts off; returns with the reason kept.
 *				False: no entry, the state is another CPU's; run_begin() and again
 * handle_exit			act on it, interrupts on: 1 resume, 0 to user space, <0 errno
 * handle_exit_irqoff		before interrupts come on: NMI, machine check, host interrupt
 * advance			the instruction that exited is done: RIP to the next one
 * get_sregs, set_sregs		segments and tables only; CRs and EFER are set by set_crs
 * set_cr0 .. set_efer		the values passed are valid; also update vcpu->crN
 * get_segment			one cached descriptor
 * get_code			what the cached descriptors of CS and SS tell of the code that runs
 * get_msr, set_msr		MSRs that live in the vendor's structure: enum msr_result
 * inject			give an event (enum event_info) to the next entry; after an NMI, more
 *				are held off until IRET
 * set_nmi_mask			NMIs are held off until IRET, or no more
 * irq_window, nmi_window	make the next possible moment an exit
 * tpr_window			make a lowered TPR (MOV to CR8) an exit
 * get_shadow, set_shadow	KVM_X86_SHADOW_INT_*: STI and MOV SS hold interrupts off
 * set_tsc_offset		and the ratio where the CPU scales
 * flush_tlb			drop translations of this vCPU at its next entry, this CPU: the
 *				guest's own, or all; with all, its space's root is used from then on
 * update_intercepts		guest_debug, DRs, the MSR filter have changed
 * cpuid_changed		KVM_SET_CPUID2 has new features
 * tdp_format			how this vendor's second-level entries look (module init)
 */
#define BACKEND_HOOKS(HOOK)							\
	HOOK(enable_cpu, int, (void))						\
	HOOK(disable_cpu, void, (void))						\
	HOOK(vcpu_init, int, (struct vcpu *vcpu))				\
	HOOK(vcpu_free, void, (struct vcpu *vcpu))				\
	HOOK(vcpu_reset, void, (struct vcpu *vcpu))				\
	HOOK(run_begin, void, (struct vcpu *vcpu))				\
	HOOK(sched_out, void, (struct vcpu *vcpu))				\
	HOOK(run, bool, (struct vcpu *vcpu))					\
	HOOK(handle_exit_irqoff, void, (struct vcpu *vcpu))			\
	HOOK(handle_exit, int, (struct vcpu *vcpu))				\
	HOOK(advance, int, (struct vcpu *vcpu))					\
	HOOK(get_sregs, void, (struct vcpu *vcpu, struct kvm_sregs2 *sregs))	\
	HOOK(set_sregs, void, (struct vcpu *vcpu, const struct kvm_sregs2 *sregs)) \
	HOOK(set_cr0, void, (struct vcpu *vcpu, u64 cr0))			\
	HOOK(set_cr3, void, (struct vcpu *vcpu, u64 cr3))			\
	HOOK(set_cr4, void, (struct vcpu *vcpu, u64 cr4))			\
	HOOK(set_efer, void, (struct vcpu *vcpu, u64 efer))			\
	HOOK(get_segment, void, (struct vcpu *vcpu, enum emu_seg seg, struct kvm_segment *out)) \
	HOOK(get_code, struct code_segment, (struct vcpu *vcpu))		\
	HOOK(get_msr, int, (struct vcpu *vcpu, u32 index, u64 *val))		\
	HOOK(set_msr, int, (struct vcpu *vcpu, u32 index, u64 val))		\
	HOOK(inject, void, (struct vcpu *vcpu, u32 event, u32 error_code))	\
	HOOK(set_nmi_mask, void, (struct vcpu *vcpu, bool masked))		\
	HOOK(irq_window, void, (struct vcpu *vcpu))				\
	HOOK(nmi_window, void, (struct vcpu *vcpu))				\
	HOOK(tpr_window, void, (struct vcpu *vcpu, bool on))			\
	HOOK(get_shadow, u8, (struct vcpu *vcpu))				\
	HOOK(set_shadow, void, (struct vcpu *vcpu, u8 shadow))			\
	HOOK(set_tsc_offset, void, (struct vcpu *vcpu))				\
	HOOK(flush_tlb, void, (struct vcpu *vcpu, bool all))			\
	HOOK(update_intercepts, void, (struct vcpu *vcpu))			\
	HOOK(cpuid_changed, void, (struct vcpu *vcpu))				\
	HOOK(exit_info, void, (struct vcpu *vcpu, u32 *reason, u64 *info1, u64 *info2, u32 *intr_info, u32 *error_code))

/* A vendor calls its hooks PREFIX_name: it declares all, and lists all in its struct backend, by a macro each. */
#define BACKEND_DECLARE(name, ret, args) typeof(ret args) *name;

struct backend {
	const char *name;			/* "svm" or "vmx", as exits are named in traces */
	unsigned int isa;			/* KVM_ISA_SVM, KVM_ISA_VMX for tracepoints */
	size_t vcpu_size;			/* of the vendor's struct, which begins with struct vcpu */
	const struct tdp_format *tdp_format;	/* ready after hardware_setup() */
	u64 max_tsc_ratio;			/* 0: the CPU does not scale */
	u8 tsc_ratio_frac_bits;
	/* Is this CPU ours? NULL, backend_other_vendor, or the one line that says what is missing. */
	const char *(*check)(void);
	int (*hardware_setup)(void);
	void (*hardware_unsetup)(void);

	BACKEND_HOOKS(BACKEND_DECLARE)
};

#undef BACKEND_DECLARE
#define BACKEND_CALL(name, ret, args) \
	DECLARE_STATIC_CALL(backend_##name, *(((struct backend *)0)->name));
BACKEND_HOOKS(BACKEND_CALL)
#undef BACKEND_CALL

/* backend(get_code)(vcpu) */
#define backend(name) static_call(backend_##name)

/* Would the guest take an interrupt now? */
static inline bool vcpu_irq_allowed(struct vcpu *vcpu)
{
	return vcpu->rflags & X86_EFLAGS_IF && !backend(get_shadow)(vcpu);
}

extern const char *const backend_other_vendor;	/* main.c */
extern const struct backend *backend_ops;	/* main.c: what was chosen */
extern const struct backend svm_backend;	/* svm/svm.c; named in main.c only */
extern struct backend vmx_backend;		/* vmx/vmx.c, too */

#endif /* VITRO_BACKEND_H */
