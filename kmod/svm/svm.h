/* SPDX-License-Identifier: GPL-2.0 */
/* The AMD-V backend's own: one struct per vCPU, one per CPU, and their helpers. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include <linux/mem_encrypt.h>
#include <asm/svm.h>
#include <uapi/asm/debugreg.h>
#include "../backend.h"

/*
 * VMCB clean bits: a set bit lets the CPU keep what it cached of that group.
 * APM 2 "VMCB Clean Field".
 */
enum svm_clean {
	SVM_CLEAN_INTERCEPTS	= 1 << 0,	/* intercepts, TSC offset, pause filter */
	SVM_CLEAN_MAPS		= 1 << 1,	/* IOPM and MSRPM addresses */
	SVM_CLEAN_ASID		= 1 << 2,
	SVM_CLEAN_TPR		= 1 << 3,	/* V_TPR, V_IRQ and the rest of int_ctl */
	SVM_CLEAN_NPT		= 1 << 4,	/* nested paging, nCR3, gPAT */
	SVM_CLEAN_CR		= 1 << 5,	/* CR0, CR3, CR4, EFER */
	SVM_CLEAN_DR		= 1 << 6,	/* DR6, DR7 */
	SVM_CLEAN_DT		= 1 << 7,	/* GDTR, IDTR */
	SVM_CLEAN_SEG		= 1 << 8,	/* CS, DS, SS, ES, CPL */
	SVM_CLEAN_CR2		= 1 << 9,
	SVM_CLEAN_LBR		= 1 << 10,
	SVM_CLEAN_ALL		= (1 << 11) - 1,
};

/* Words 0 and 1: one bit for each of 16 registers read, then written. */
enum { SVM_DR_ALL = 0xffffffff };

struct svm_vcpu {
	struct vcpu	vcpu;		/* first: svm and vcpu are the same address */
	struct vmcb	*vmcb;
	hpa_t		vmcb_pa;	/* entry.S */
	u64		spec_ctrl;	/* the guest's IA32_SPEC_CTRL; entry.S */
	bool		spec_ctrl_owned; /* writes it without exits */
	u64		asid_generation;
	struct svm_cpu	*cpu;		/* where it ran last */
	bool		flush;		/* all translations must go at the next entry */
	bool		host_saved;	/* VMSAVE of the host was done in this KVM_RUN */
	bool		iret_pending;	/* IRET seen at iret_rip: NMIs open once it is past */
	bool		nmi_step;	/* RFLAGS.TF is ours, to stop right after that IRET */
	bool		step_tf_was;	/* the guest's own TF meanwhile */
	bool		dr_owned;	/* debug registers are the guest's until the next exit */
	bool		sregs_set;	/* by user space: VMRUN may refuse them */
	u8		tpr;		/* V_TPR at the last entry */
	u64		iret_rip;
};

/* What one CPU needs to host guests. */
struct svm_cpu {
	struct svm_cpu_pages {
		u8	hsave[PAGE_SIZE];	/* VM_HSAVE_PA: the CPU's own, opaque */
		u8	host[PAGE_SIZE];	/* VMSAVE and VMLOAD of the host's state */
	} *pages;
	hpa_t		host_pa;
	struct svm_vcpu	*current_vcpu;	/* the last one that ran here */
	struct vmcb_save_area save;	/* of a guest that VMRUN may refuse */
	u64		asid_generation;
	u32		next_asid;
	u32		max_asid;
};

DECLARE_PER_CPU(struct svm_cpu, svm_cpus);

static inline struct svm_vcpu *to_svm(struct vcpu *vcpu)
{
	return container_of(vcpu, struct svm_vcpu, vcpu);
}

static inline void svm_dirty(struct svm_vcpu *svm, enum svm_clean groups)
{
	svm->vmcb->control.clean &= ~groups;
}

static inline void svm_intercept(struct svm_vcpu *svm, unsigned int bit, bool on)
{
	unsigned long *intercepts = (unsigned long *)svm->vmcb->control.intercepts;

	if (test_bit(bit, intercepts) == on)
		return;
	__assign_bit(bit, intercepts, on);
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

/* An instruction was done in software: the shadow of the one before it is over. */
static inline void svm_end_shadow(struct svm_vcpu *svm)
{
	svm->vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}

/* The hooks of backend.h, svm_enable_cpu() and so on: the file of that subject has each. */
#define SVM_DECLARE(name, ret, args) ret svm_##name args;
BACKEND_HOOKS(SVM_DECLARE)
#undef SVM_DECLARE

/* entry.S */
void svm_world_switch(struct svm_vcpu *svm, hpa_t host_pa);

/* vmcb.c: the VMCB, its permission maps, and the guest state kept in it */
int svm_maps_create(void);
void svm_maps_destroy(void);

/* events.c: what goes into the guest */
void svm_events_after_exit(struct svm_vcpu *svm);
void svm_nmi_step_end(struct svm_vcpu *svm);

#endif /* SVM_SVM_H */
