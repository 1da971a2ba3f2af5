/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest's CPU says it can do.
 *
 * cpuid_host.c works out, once, what this CPU and this module can give to a
 * guest; cpuid.c keeps what user space made of it for a vCPU and answers the
 * CPUID instruction.  Features are named by the X86_FEATURE_* numbers of
 * <asm/cpufeatures.h>: register word * 32 + bit.
 */
#ifndef VITRO_CPUID_H
#define VITRO_CPUID_H

#include <linux/init.h>
#include "vcpu.h"

/*
 * CPUID bits that checks elsewhere ask for often, gathered when KVM_SET_CPUID2
 * comes; those of CR4 bits are in vcpu->cr4_reserved.  A vCPU whose user space
 * never describes it has them all.
 */
enum vcpu_cap {
	CAP_NX, CAP_LM, CAP_GBPAGES, CAP_FXSR_OPT, CAP_PAT, CAP_XSAVES, CAP_X2APIC,
	CAP_TSC_DEADLINE, CAP_TSC_ADJUST, CAP_RDTSCP, CAP_INVPCID, CAP_OSVW,
	CAP_SPEC_CTRL, CAP_PRED_CMD, CAP_VIRT_SSBD, CAP_FLUSH_L1D,
	CAP_TSC_AUX,		/* RDTSCP or RDPID */
	CAP_AMD_COMPATIBLE,	/* vendor AMD or Hygon */
	CAP_ALWAYS,		/* all have it */
	NR_VCPU_CAPS,
	CAP_NEVER = NR_VCPU_CAPS, /* none has it */
	CAP_KVM_FIRST = 32,	/* from here on, EAX of KVM's own leaf */
};

/* KVM_FEATURE_* of the guest: CAP_KVM(PV_EOI) */
#define CAP_KVM(name)	(CAP_KVM_FIRST + KVM_FEATURE_##name)

static inline bool vcpu_has(const struct vcpu *vcpu, enum vcpu_cap cap)
{
	return vcpu->guest_caps & (1ULL << cap);
}

/* Where CPUID reports a word of 32 features. */
struct cpuid_word {
	u32	function;
	u8	index;
	u8	reg;		/* enum cpuid_regs_idx */
	u8	word;		/* enum cpuid_leafs: feature number / 32 */
};

extern const struct cpuid_word cpuid_words[];
extern const unsigned int cpuid_nr_words;

/* @reg: enum cpuid_regs_idx */
static inline u32 *cpuid_reg(struct kvm_cpuid_entry2 *e, unsigned int reg)
{
	switch (reg) {
	case CPUID_EAX:	return &e->eax;
	case CPUID_EBX:	return &e->ebx;
	case CPUID_ECX:	return &e->ecx;
	default:	return &e->edx;
	}
}

/* ---- cpuid.c ---- */

/* What cpuid_lookup() found; bits, for tracing. */
enum cpuid_found {
	CPUID_ABSENT,
	CPUID_EXACT,		/* the leaf that was asked for */
	CPUID_MAX_BASIC,	/* out of range: the highest basic leaf instead */
};

void cpuid_vcpu_init(struct vcpu *vcpu);
const struct kvm_cpuid_entry2 *cpuid_lookup(struct vcpu *vcpu, u32 function, u32 index,
					    enum cpuid_found *found);
void cpuid_refresh(struct vcpu *vcpu);
int cpuid_ioctl_set2(struct vcpu *vcpu, struct kvm_cpuid2 __user *user);
int cpuid_ioctl_get2(struct vcpu *vcpu, struct kvm_cpuid2 __user *user);

/* ---- cpuid_host.c ---- */

void __init cpuid_module_init(void);
bool cpuid_host_supports(unsigned int feature);
u32 cpuid_xstate_size(u64 components, bool compacted);
int cpuid_ioctl_supported(struct kvm_cpuid2 __user *user, bool emulated);

#endif /* VITRO_CPUID_H */
