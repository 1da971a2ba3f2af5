/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest's CPU says it can do. */
#ifndef VITRO_CPUID_H
#define VITRO_CPUID_H

#include <linux/kvm.h>
#include "vcpu.h"

/* CPUID bits that checks elsewhere ask for often, gathered when KVM_SET_CPUID2 comes. */
enum vcpu_cap {
	CAP_NX, CAP_LM, CAP_GBPAGES, CAP_RDTSCP, CAP_RDPID, CAP_PCID, CAP_INVPCID, CAP_SMEP, CAP_SMAP,
	CAP_PKU, CAP_UMIP, CAP_LA57, CAP_FSGSBASE, CAP_XSAVE, CAP_XSAVES, CAP_X2APIC, CAP_TSC_DEADLINE,
	CAP_TSC_ADJUST, CAP_MTRR, CAP_MWAIT, CAP_SPEC_CTRL, CAP_PRED_CMD, CAP_VIRT_SSBD, CAP_FXSR_OPT,
	CAP_PAT, CAP_MCE, CAP_PSE36, CAP_SYSCALL, CAP_ARCH_CAPS,
	CAP_KVM_CLOCKSOURCE, CAP_KVM_CLOCKSOURCE2, CAP_KVM_STEAL, CAP_KVM_PV_EOI, CAP_KVM_UNHALT,
	CAP_KVM_PV_TLB_FLUSH, CAP_KVM_PV_IPI, CAP_KVM_SCHED_YIELD, CAP_KVM_POLL_CONTROL,
	CAP_KVM_ASYNC_PF, CAP_KVM_MIGRATION,
	CAP_AMD_COMPATIBLE,	/* vendor AMD or Hygon */
};

static inline bool vcpu_has(const struct vcpu *vcpu, enum vcpu_cap cap)
{
	return vcpu->guest_caps & (1ULL << cap);
}

int cpuid_module_init(void);	/* once: what this host and module support */
int cpuid_ioctl_supported(struct kvm_cpuid2 __user *user, bool emulated);
int cpuid_ioctl_set2(struct vcpu *vcpu, struct kvm_cpuid2 __user *user);
int cpuid_ioctl_set(struct vcpu *vcpu, struct kvm_cpuid __user *user);
int cpuid_ioctl_get2(struct vcpu *vcpu, struct kvm_cpuid2 __user *user);
void cpuid_free(struct vcpu *vcpu);

/**
 * cpuid_lookup() - what CPUID gives the guest now
 * @vcpu: under its mutex
 * @eax, @ebx, @ecx, @edx: in: leaf and subleaf; out: the four registers
 *
 * Leaves out of range follow the guest's vendor; bits that mirror CR4, XCR0,
 * or APIC state are as they are at this moment.
 */
void cpuid_lookup(struct vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

/* Recompute what depends on CR4, XCR0, IA32_APIC_BASE, MISC_ENABLE (OSXSAVE, OSPKE, 0xd sizes, APIC, MWAIT). */
void cpuid_refresh(struct vcpu *vcpu);

/* Host feature words as masked for guests: bit test for <asm/cpufeatures.h> numbers. */
bool cpuid_host_supports(unsigned int x86_feature);

#endif /* VITRO_CPUID_H */
