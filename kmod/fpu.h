/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's FPU, SSE, AVX and XSAVE state, kept in the kernel's guest-FPU container. */
#ifndef VITRO_FPU_H
#define VITRO_FPU_H

#include <linux/init.h>
#include "vcpu.h"

/* Bits that a guest may ever set in XCR0; 0 where the host has no XSAVE. */
extern u64 fpu_supported_xcr0;

void __init fpu_module_init(void);	/* before cpuid_module_init() */
int fpu_vcpu_init(struct vcpu *vcpu);
void fpu_vcpu_free(struct vcpu *vcpu);

/* KVM_RUN begins and ends: guest state into the registers, and out. Preemption on. */
void fpu_load_guest(struct vcpu *vcpu);
void fpu_put_guest(struct vcpu *vcpu);
/* Right around the world switch, interrupts off: XCR0, XSS, PKRU (only when they differ). */
void fpu_enter(struct vcpu *vcpu);
void fpu_leave(struct vcpu *vcpu);

/* XSETBV: 0, or -EINVAL where the guest gets #GP(0). */
int fpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val);

int fpu_ioctl_get(struct vcpu *vcpu, struct kvm_fpu *fpu);
int fpu_ioctl_set(struct vcpu *vcpu, const struct kvm_fpu *fpu);
void fpu_ioctl_get_xsave(struct vcpu *vcpu, struct kvm_xsave *xsave);
int fpu_ioctl_set_xsave(struct vcpu *vcpu, const struct kvm_xsave *xsave);
int fpu_ioctl_get_xcrs(struct vcpu *vcpu, struct kvm_xcrs *xcrs);
int fpu_ioctl_set_xcrs(struct vcpu *vcpu, const struct kvm_xcrs *xcrs);

/* xmm and ymm registers, two of struct emu_ops; only between fpu_load_guest() and fpu_put_guest(). */
void fpu_read_vec(struct emu *emu, unsigned int nr, void *data, unsigned int len);
void fpu_write_vec(struct emu *emu, unsigned int nr, const void *data, unsigned int len,
		   bool zero_upper);

#endif /* VITRO_FPU_H */
