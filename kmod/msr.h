/* SPDX-License-Identifier: GPL-2.0 */
/* Model-specific registers, for the guest (RDMSR, WRMSR) and for user space. */
#ifndef VITRO_MSR_H
#define VITRO_MSR_H

#include <linux/kvm.h>
#include "vcpu.h"

enum msr_result {
	MSR_OK = 0,
	MSR_GP = 1,		/* the guest gets #GP(0); user space's loop stops here */
	MSR_UNKNOWN = 2,	/* nobody has it: #GP, or user space if it asked */
	MSR_FILTERED = 3,
};

/*
 * @host: user space asks (KVM_GET_MSRS, KVM_SET_MSRS): read-only MSRs can be
 * set, CPUID gates are waived where the ABI says so.
 */
int msr_read(struct vcpu *vcpu, u32 index, u64 *val, bool host);
int msr_write(struct vcpu *vcpu, u32 index, u64 val, bool host);

long msr_ioctl_get(struct vcpu *vcpu, struct kvm_msrs __user *user);
long msr_ioctl_set(struct vcpu *vcpu, struct kvm_msrs __user *user);
long msr_ioctl_index_list(struct kvm_msr_list __user *user);
long msr_ioctl_feature_index_list(struct kvm_msr_list __user *user);
long msr_ioctl_get_features(struct kvm_msrs __user *user);	/* KVM_GET_MSRS on /dev/kvm */
void msr_reset(struct vcpu *vcpu, bool init);
int msr_module_init(void);

#endif /* VITRO_MSR_H */
