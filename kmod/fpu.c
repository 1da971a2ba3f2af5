// SPDX-License-Identifier: GPL-2.0
/*
 * FPU, SSE, AVX and XSAVE state.
 *
 * The kernel keeps the guest's registers in a container of its own and swaps
 * it with the thread's at the two ends of KVM_RUN; in between, a context
 * switch saves and restores the guest's registers as if they were the
 * thread's.  What the container does not hold is switched right at the entry,
 * and only where guest and host differ:
 *
 *   XCR0	guest: once CR4.OSXSAVE is set; before, no instruction depends on it
 *   IA32_XSS	as XCR0; guests may set no supervisor state, so it is 0
 *   PKRU	guest: once CR4.PKE or XCR0.PKRU make it reachable
 *
 * NOTDONE: AMX. The host's IA32_XFD is switched with the container, the
 * guest's would need the #NM exits that come with it.
 */
#include <linux/jump_label.h>
#include <linux/sched.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/pkru.h>
#include "cpuid.h"
#include "fpu.h"

#define FPU_GUEST_XCR0	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512 | \
			 XFEATURE_MASK_PKRU)

static u64 host_xcr0 __ro_after_init;	/* 0: no XSAVE */
static u64 host_xss __ro_after_init;
u64 fpu_supported_xcr0 __ro_after_init;

/* QEMU's TCG lets a guest's XSETBV pass although it is intercepted: look at XCR0 after each exit. */
static DEFINE_STATIC_KEY_FALSE(fpu_xsetbv_unseen);

/**
 * fpu_module_init() - note what the host keeps in XCR0 and IA32_XSS
 *
 * Both are the same on all CPUs and do not change once the kernel is up.
 */
void __init fpu_module_init(void)
{
	if (boot_cpu_has(X86_FEATURE_OSXSAVE))
		host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	fpu_supported_xcr0 = host_xcr0 & FPU_GUEST_XCR0;
	if (!boot_cpu_has(X86_FEATURE_OSPKE))
		fpu_supported_xcr0 &= ~(u64)XFEATURE_MASK_PKRU;
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, host_xss);
	if (hypervisor_cpuid_base("TCGTCGTCGTCG", 0))
		static_branch_enable(&fpu_xsetbv_unseen);
}

/**
 * fpu_vcpu_init() - make the container of a new vCPU
 * @vcpu: not visible to others
 *
 * Its state is that after FNINIT, not the one after RESET, which differs in
 * the x87 control word alone: monitors that set no FPU state expect that.
 * XCR0, IA32_XSS and PKRU are as after RESET, the latter two 0; an INIT leaves
 * all of it as it is.  SDM 3A "Processor State After Reset".
 *
 * Return: 0 or -ENOMEM.
 */
int fpu_vcpu_init(struct vcpu *vcpu)
{
	vcpu->xcr0 = XFEATURE_MASK_FP;
	return fpu_alloc_guest_fpstate(&vcpu->fpu) ? 0 : -ENOMEM;
}

/**
 * fpu_vcpu_free() - free it
 * @vcpu: not running
 */
void fpu_vcpu_free(struct vcpu *vcpu)
{
	fpu_free_guest_fpstate(&vcpu->fpu);
}

/**
 * fpu_load_guest() - KVM_RUN begins: the guest's registers in, the thread's out
 * @vcpu: under its mutex; preemption on
 */
void fpu_load_guest(struct vcpu *vcpu)
{
	vcpu->host_pkru = read_pkru();
	fpu_swap_kvm_fpstate(&vcpu->fpu, true);
}

/**
 * fpu_put_guest() - KVM_RUN ends: the thread's registers in
 * @vcpu: under its mutex; preemption on
 */
void fpu_put_guest(struct vcpu *vcpu)
{
	fpu_swap_kvm_fpstate(&vcpu->fpu, false);
}

static __always_inline bool fpu_guest_has_pkru(const struct vcpu *vcpu)
{
	return cpu_feature_enabled(X86_FEATURE_OSPKE) &&
	       (vcpu->cr4 & X86_CR4_PKE || vcpu->xcr0 & XFEATURE_MASK_PKRU);
}

/**
 * fpu_enter() - right before the world switch
 * @vcpu: between fpu_load_guest() and fpu_put_guest(); interrupts off
 *
 * Softirqs and context switches may have taken the registers since.
 */
void fpu_enter(struct vcpu *vcpu)
{
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
	if (vcpu->cr4 & X86_CR4_OSXSAVE) {
		if (vcpu->xcr0 != host_xcr0)
			xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
		if (vcpu->xss != host_xss)
			wrmsrl(MSR_IA32_XSS, vcpu->xss);
	}
	if (fpu_guest_has_pkru(vcpu) && vcpu->pkru != vcpu->host_pkru)
		wrpkru(vcpu->pkru);
}

static noinline void fpu_notice_xcr0(struct vcpu *vcpu)
{
	u64 xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);

	if (xcr0 == vcpu->xcr0)
		return;
	vcpu->xcr0 = xcr0 & (vcpu->guest_supported_xcr0 | XFEATURE_MASK_FP);
	if (vcpu->xcr0 != xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	cpuid_refresh(vcpu);
}

/**
 * fpu_leave() - right after the world switch
 * @vcpu: as for fpu_enter(), with CR4 and XCR0 as the guest ran with them
 */
void fpu_leave(struct vcpu *vcpu)
{
	if (fpu_guest_has_pkru(vcpu)) {
		vcpu->pkru = rdpkru();
		if (vcpu->pkru != vcpu->host_pkru)
			wrpkru(vcpu->host_pkru);
	}
	if (vcpu->cr4 & X86_CR4_OSXSAVE) {
		if (static_branch_unlikely(&fpu_xsetbv_unseen))
			fpu_notice_xcr0(vcpu);
		if (vcpu->xcr0 != host_xcr0)
			xsetbv(XCR_XFEATURE_ENABLED_MASK, host_xcr0);
		if (vcpu->xss != host_xss)
			wrmsrl(MSR_IA32_XSS, host_xss);
	}
}

/* SDM 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features". */
static bool fpu_xcr0_valid(const struct vcpu *vcpu, u64 xcr0)
{
	u64 avx512 = xcr0 & XFEATURE_MASK_AVX512;

	if (!(xcr0 & XFEATURE_MASK_FP))
		return false;
	if (xcr0 & ~(vcpu->guest_supported_xcr0 | XFEATURE_MASK_FP))
		return false;
	if (xcr0 & XFEATURE_MASK_YMM && !(xcr0 & XFEATURE_MASK_SSE))
		return false;
	return !avx512 || (avx512 == XFEATURE_MASK_AVX512 && xcr0 & XFEATURE_MASK_YMM);
}

/**
 * fpu_set_xcr() - XSETBV
 * @vcpu: under its mutex
 * @index: 0 is the only one there is
 * @val: new value
 *
 * Return: 0, or -EINVAL where the guest gets #GP(0).
 */
int fpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val)
{
	if (index != XCR_XFEATURE_ENABLED_MASK || !host_xcr0 || !fpu_xcr0_valid(vcpu, val))
		return -EINVAL;
	vcpu->xcr0 = val;
	cpuid_refresh(vcpu);	/* sizes of XSAVE areas */
	return 0;
}

/* ---- state from and to user space; the guest's registers are in the container ---- */

/* All there is, in the standard form of XSAVE, with PKRU; to be freed by the caller. */
static struct xregs_state *fpu_image(struct vcpu *vcpu)
{
	struct xregs_state *image = kzalloc(vcpu->fpu.uabi_size, GFP_KERNEL_ACCOUNT);

	if (image)
		fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, image, vcpu->fpu.uabi_size,
					       vcpu->fpu.fpstate->user_xfeatures, vcpu->pkru);
	return image;
}

static_assert(sizeof_field(struct kvm_fpu, fpr) == sizeof_field(struct fxregs_state, st_space));
static_assert(sizeof_field(struct kvm_fpu, xmm) == sizeof_field(struct fxregs_state, xmm_space));

/**
 * fpu_ioctl_get() - KVM_GET_FPU
 * @vcpu: under its mutex, not in KVM_RUN
 * @fpu: filled
 *
 * Return: 0 or -ENOMEM.
 */
int fpu_ioctl_get(struct vcpu *vcpu, struct kvm_fpu *fpu)
{
	struct xregs_state *image __free(kfree) = fpu_image(vcpu);
	const struct fxregs_state *fx;

	if (!image)
		return -ENOMEM;
	fx = &image->i387;
	*fpu = (struct kvm_fpu){
		.fcw = fx->cwd, .fsw = fx->swd, .ftwx = fx->twd, .last_opcode = fx->fop,
		.last_ip = fx->rip, .last_dp = fx->rdp, .mxcsr = fx->mxcsr,
	};
	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	return 0;
}

/**
 * fpu_ioctl_set() - KVM_SET_FPU
 * @vcpu: under its mutex, not in KVM_RUN
 * @fpu: x87 and SSE state; what lies above xmm stays
 *
 * Return: 0; -EINVAL for reserved bits of MXCSR; -ENOMEM.
 */
int fpu_ioctl_set(struct vcpu *vcpu, const struct kvm_fpu *fpu)
{
	struct xregs_state *image __free(kfree) = fpu_image(vcpu);
	struct fxregs_state *fx;

	if (!image)
		return -ENOMEM;
	fx = &image->i387;
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	fx->mxcsr = fpu->mxcsr;
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	image->header.xfeatures |= XFEATURE_MASK_FPSSE;
	return fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, image, vcpu->fpu.fpstate->user_xfeatures,
					      &vcpu->pkru);
}

/**
 * fpu_ioctl_get_xsave() - KVM_GET_XSAVE, KVM_GET_XSAVE2
 * @vcpu: under its mutex, not in KVM_RUN
 * @xsave: zeros; filled
 *
 * Components that the guest's CPUID does not have are left out, so that a host
 * without them takes the image.
 */
void fpu_ioctl_get_xsave(struct vcpu *vcpu, struct kvm_xsave *xsave)
{
	fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, xsave, sizeof(*xsave),
				       vcpu->guest_supported_xcr0 | XFEATURE_MASK_FPSSE,
				       vcpu->pkru);
}

/**
 * fpu_ioctl_set_xsave() - KVM_SET_XSAVE
 * @vcpu: under its mutex, not in KVM_RUN
 * @xsave: in the standard form
 *
 * Return: 0; -EINVAL for components that guests cannot have, or reserved bits.
 */
int fpu_ioctl_set_xsave(struct vcpu *vcpu, const struct kvm_xsave *xsave)
{
	return fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, xsave,
					      fpu_supported_xcr0 | XFEATURE_MASK_FPSSE,
					      &vcpu->pkru);
}

/**
 * fpu_ioctl_get_xcrs() - KVM_GET_XCRS
 * @vcpu: under its mutex
 * @xcrs: filled
 *
 * Return: 0, or -EINVAL where the host has no XSAVE.
 */
int fpu_ioctl_get_xcrs(struct vcpu *vcpu, struct kvm_xcrs *xcrs)
{
	if (!host_xcr0)
		return -EINVAL;
	*xcrs = (struct kvm_xcrs){
		.nr_xcrs = 1,
		.xcrs[0] = { .xcr = XCR_XFEATURE_ENABLED_MASK, .value = vcpu->xcr0 },
	};
	return 0;
}

/**
 * fpu_ioctl_set_xcrs() - KVM_SET_XCRS
 * @vcpu: under its mutex
 * @xcrs: of all registers named there, XCR0 counts
 *
 * Return: 0; -EINVAL for too many, flags, or a value that XSETBV would refuse.
 */
int fpu_ioctl_set_xcrs(struct vcpu *vcpu, const struct kvm_xcrs *xcrs)
{
	unsigned int i;

	if (!host_xcr0 || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return fpu_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcrs->xcrs[i].value);
	return 0;
}

/* ---- registers for the emulator ---- */

struct fpu_ymm { u8 byte[32]; };
struct fpu_xmm { u8 byte[16]; };

/* @insn for register @nr: its number is part of the encoding, so there are sixteen of them. */
#define FPU_FOR_REG(insn)							\
	".irp reg, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"	\
	"cmpl	$\\reg, %[nr]\n\t"						\
	"jne	1f\n\t"								\
	insn "\n1:\n\t"							\
	".endr"

/* The guest's state in the registers, and nobody to take it away until fpregs_unlock(). */
static void fpu_hold_registers(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

/**
 * fpu_read_vec() - read an xmm or ymm register of the guest; for struct emu_ops
 * @emu: of the vCPU whose state is in the registers
 * @nr: 0 to 15
 * @data: where to
 * @len: 16, or 32 where XCR0 has AVX
 *
 * Between fpu_load_guest() and fpu_put_guest().
 */
void fpu_read_vec(struct emu *emu, unsigned int nr, void *data, unsigned int len)
{
	struct fpu_xmm *x = data;
	struct fpu_ymm *y = data;

	fpu_hold_registers();
	if (len == sizeof(*y))
		asm volatile(FPU_FOR_REG("vmovdqu %%ymm\\reg, %[mem]")
			     : [mem] "=m" (*y) : [nr] "r" (nr) : "cc");
	else
		asm volatile(FPU_FOR_REG("movdqu %%xmm\\reg, %[mem]")
			     : [mem] "=m" (*x) : [nr] "r" (nr) : "cc");
	fpregs_unlock();
}

/**
 * fpu_write_vec() - write an xmm or ymm register of the guest; for struct emu_ops
 * @emu: of the vCPU whose state is in the registers
 * @nr: 0 to 15
 * @data: new value
 * @len: 16, or 32 where XCR0 has AVX
 * @zero_upper: with 16: as a VEX instruction, zero what lies above
 *
 * Between fpu_load_guest() and fpu_put_guest().
 */
void fpu_write_vec(struct emu *emu, unsigned int nr, const void *data, unsigned int len,
		   bool zero_upper)
{
	const struct fpu_xmm *x = data;
	const struct fpu_ymm *y = data;

	fpu_hold_registers();
	if (len == sizeof(*y))
		asm volatile(FPU_FOR_REG("vmovdqu %[mem], %%ymm\\reg")
			     : : [mem] "m" (*y), [nr] "r" (nr) : "cc");
	else if (zero_upper)
		asm volatile(FPU_FOR_REG("vmovdqu %[mem], %%xmm\\reg")
			     : : [mem] "m" (*x), [nr] "r" (nr) : "cc");
	else
		asm volatile(FPU_FOR_REG("movdqu %[mem], %%xmm\\reg")
			     : : [mem] "m" (*x), [nr] "r" (nr) : "cc");
	fpregs_unlock();
}
