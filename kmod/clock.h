/* SPDX-License-Identifier: GPL-2.0 */
/* Time: the guest's TSC and the kvmclock pages. */
#ifndef VITRO_CLOCK_H
#define VITRO_CLOCK_H

#include <linux/kvm.h>
#include "vcpu.h"

int clock_module_init(void);	/* pvclock_gtod notifier, cpufreq */
void clock_module_exit(void);
void clock_vm_init(struct vm *vm);
void clock_vcpu_init(struct vcpu *vcpu);

u64 clock_guest_tsc(struct vcpu *vcpu);			/* now */
u64 clock_guest_tsc_at(struct vcpu *vcpu, u64 host_tsc);
/* WRMSR IA32_TSC / IA32_TSC_ADJUST by guest or host; keeps vCPUs that are set together in step. */
void clock_write_tsc(struct vcpu *vcpu, u64 val, bool host);
void clock_write_tsc_adjust(struct vcpu *vcpu, u64 val, bool host);
int clock_set_tsc_khz(struct vcpu *vcpu, u32 khz);	/* KVM_SET_TSC_KHZ: -EINVAL where it cannot be kept */

/* MSR_KVM_SYSTEM_TIME*, WALL_CLOCK*, STEAL_TIME: 0, or 1 for #GP */
int clock_msr_write(struct vcpu *vcpu, u32 msr, u64 val);
/* REQ_CLOCK_UPDATE: before entry, interrupts on, may fault guest memory in. */
void clock_update_guest(struct vcpu *vcpu);
void clock_update_steal(struct vcpu *vcpu);
int clock_ioctl_get(struct vm *vm, struct kvm_clock_data *data);
int clock_ioctl_set(struct vm *vm, const struct kvm_clock_data *data);
u64 clock_vm_ns(struct vm *vm);				/* kvmclock now, ns */
int clock_ioctl_kvmclock_ctrl(struct vcpu *vcpu);
bool clock_stable(void);				/* host clocksource is the TSC */
/* KVM_HC_CLOCK_PAIRING */
int clock_pairing(struct vcpu *vcpu, gpa_t gpa, u64 type);

#endif /* VITRO_CLOCK_H */
