/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time: the guest's TSC, the kvmclock pages, stolen time.
 *
 * A vCPU's TSC is the host's, scaled where the CPU can, plus an offset; see
 * clock.c for how vCPUs stay in step.  The pages in guest memory (kvmclock,
 * wall clock, stolen time) are pv_clock.c's.
 */
#ifndef VITRO_CLOCK_H
#define VITRO_CLOCK_H

#include <linux/init.h>
#include <asm/tsc.h>
#include "vcpu.h"

/* ---- clock.c ---- */

int __init __must_check clock_module_init(void);
void clock_suspend(void);		/* the machine goes to sleep: last CPU, interrupts off */
void clock_resume(void);		/* it is back: first CPU, interrupts off */

void clock_vm_init(struct vm *vm);
void clock_vcpu_init(struct vcpu *vcpu);
u64 clock_guest_tsc(struct vcpu *vcpu);			/* now */
u64 clock_guest_tsc_at(struct vcpu *vcpu, u64 host_tsc);
u64 clock_guest_hz(struct vcpu *vcpu);
void clock_set_tsc(struct vcpu *vcpu, u64 val);
void clock_move_tsc(struct vcpu *vcpu, u64 delta);
u64 clock_khz_ratio(const struct vm *vm, u32 khz);
void clock_set_tsc_offset(struct vcpu *vcpu, u64 offset);	/* KVM_VCPU_TSC_OFFSET */
int clock_set_tsc_khz(struct vcpu *vcpu, u32 khz);	/* KVM_SET_TSC_KHZ */

/* Cycles that the host's TSC lost in suspends: rdtsc() + clock_tsc_lost never runs back. */
extern u64 clock_tsc_lost;

void clock_make_up_for_lost(struct vcpu *vcpu);

/* ---- pv_clock.c ---- */

enum { CLOCK_FLAGS = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC };

void clock_set_ns(struct vm *vm, u64 ns);
int clock_ioctl_get(struct vm *vm, struct kvm_clock_data *data);
int clock_ioctl_set(struct vm *vm, const struct kvm_clock_data *data);
int clock_ioctl_kvmclock_ctrl(struct vcpu *vcpu);
void clock_request_all(struct vm *vm);

void clock_write_wall(struct vcpu *vcpu, gpa_t gpa);
void clock_set_steal(struct vcpu *vcpu, u64 val);
/* REQ_CLOCK_UPDATE, REQ_STEAL_UPDATE: before entry, interrupts on, may fault guest memory in. */
void clock_update_guest(struct vcpu *vcpu);
void clock_update_steal(struct vcpu *vcpu);
void clock_mark_preempted(struct vcpu *vcpu);

/**
 * clock_ioctl_begin() - an ioctl of the vCPU begins
 * @vcpu: under its mutex; it may not have run since a sleep that reset the TSC
 */
static inline void clock_ioctl_begin(struct vcpu *vcpu)
{
	if (unlikely(vcpu->tsc_lost != clock_tsc_lost))
		clock_make_up_for_lost(vcpu);
}

/**
 * clock_run_end() - KVM_RUN ends, or its thread is about to sleep or give up the CPU
 * @vcpu: under its mutex; memslot_srcu held, may sleep unless faults are off
 *
 * Other vCPUs then neither spin for this one nor send it IPIs to flush its TLB.
 */
static inline void clock_run_end(struct vcpu *vcpu)
{
	if (vcpu->steal_msr & KVM_MSR_ENABLED && !vcpu->steal_preempted)
		clock_mark_preempted(vcpu);
}

/**
 * clock_moved() - the vCPU's thread has come to another CPU
 * @vcpu: under its mutex; any context
 *
 * Where TSCs differ between CPUs, its kvmclock page is wrong now.
 */
static inline void clock_moved(struct vcpu *vcpu)
{
	if (vcpu->kvmclock_msr & KVM_MSR_ENABLED &&
	    (!READ_ONCE(vcpu->vm->clock_paired) || check_tsc_unstable()))
		vcpu_request(vcpu, REQ_CLOCK_UPDATE);
}

#endif /* VITRO_CLOCK_H */
