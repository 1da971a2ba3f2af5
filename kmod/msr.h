/* SPDX-License-Identifier: GPL-2.0 */
/* Model-specific registers, for the guest (RDMSR, WRMSR) and for user space. */
#ifndef VITRO_MSR_H
#define VITRO_MSR_H

#include <linux/init.h>
#include <asm/mce.h>
#include "vcpu.h"

/* But for MSR_OK the guest gets #GP(0), or user space is told the reason; its own loop stops. */
enum msr_result {
	MSR_OK		= 0,
	MSR_GP		= KVM_MSR_EXIT_REASON_INVAL,
	MSR_UNKNOWN	= KVM_MSR_EXIT_REASON_UNKNOWN,	/* nobody has it */
	MSR_FILTERED	= KVM_MSR_EXIT_REASON_FILTER,
};

/* HWCR bit that lets software write MCi_STATUS: APM 2 "Machine-Check MSRs" */
#define HWCR_MC_STATUS_WR_EN	(1 << 18)

/* ---- msr.c ---- */

void __init msr_module_init(void);
void msr_vcpu_init(struct vcpu *vcpu);
int msr_read(struct vcpu *vcpu, u32 index, u64 *val, bool host);
int msr_write(struct vcpu *vcpu, u32 index, u64 val, bool host);
u64 msr_efer_valid_bits(const struct vcpu *vcpu);

long msr_ioctl(struct vcpu *vcpu, struct kvm_msrs __user *user, bool write);
long msr_ioctl_list(struct kvm_msr_list __user *user, bool features);

/* ---- msr_user.c: what user space forbids, or answers itself ---- */

bool msr_filtered(struct vcpu *vcpu, u32 index, u32 access);
int msr_refused(struct vcpu *vcpu, u32 index, bool write, u64 val, int reason);
int msr_ioctl_set_filter(struct vm *vm, const struct kvm_msr_filter *from);

/* ---- mtrr.c ---- */

#define MTRR_NR_VARIABLE	8

int mtrr_read(struct vcpu *vcpu, u32 index, u64 *val);
int mtrr_write(struct vcpu *vcpu, u32 index, u64 val);
bool mtrr_pat_valid(u64 pat);

/* ---- mce.c ---- */

#define MCE_MAX_BANKS	32
#define MCE_CAP_SUPPORTED (MCG_CTL_P | MCG_SER_P) /* KVM_X86_GET_MCE_CAP_SUPPORTED */

int mce_read(const struct vcpu *vcpu, u32 index, u64 *val, bool host);
int mce_write(struct vcpu *vcpu, u32 index, u64 val, bool host);
int mce_ioctl_setup(struct vcpu *vcpu, const u64 *mcg_cap);
int mce_ioctl_set(struct vcpu *vcpu, const struct kvm_x86_mce *mce);

#endif /* VITRO_MSR_H */
