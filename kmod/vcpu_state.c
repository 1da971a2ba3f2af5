// SPDX-License-Identifier: GPL-2.0
/*
 * ioctls of the vCPU fd that read and write its state, each checked here, once.
 * Documentation/virt/kvm/api.rst; called under vcpu->mutex, outside the guest.
 */
#include <asm/irq_vectors.h>
#include "backend.h"
#include "clock.h"
#include "cpuid.h"
#include "cr.h"
#include "fpu.h"
#include "ioctl.h"
#include "irq/irq.h"
#include "mmu/memslot.h"
#include "msr.h"
#include "smm.h"
#include "stats.h"

/* ---- general registers ---- */

/* struct kvm_regs names them in another order than their encodings. */
#define FOR_EACH_REG(X)							\
	X(rax, RAX) X(rbx, RBX) X(rcx, RCX) X(rdx, RDX)			\
	X(rsi, RSI) X(rdi, RDI) X(rsp, RSP) X(rbp, RBP)			\
	X(r8, R8) X(r9, R9) X(r10, R10) X(r11, R11)			\
	X(r12, R12) X(r13, R13) X(r14, R14) X(r15, R15)

static void get_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
#define GET(field, REG) regs->field = vcpu->regs[EMU_##REG];
	FOR_EACH_REG(GET)
#undef GET
	regs->rip = vcpu->rip;
	regs->rflags = vcpu_guest_rflags(vcpu);
}

static void set_regs(struct vcpu *vcpu, const struct kvm_regs *regs)
{
#define SET(field, REG) vcpu->regs[EMU_##REG] = regs->field;
	FOR_EACH_REG(SET)
#undef SET
	vcpu->rip = regs->rip;
	vcpu->rflags = regs->rflags | X86_EFLAGS_FIXED;
	vcpu->step_armed = false;
	vcpu->exception.pending = false;
	vcpu_request(vcpu, REQ_EVENT);
}

/* ---- special registers: kvm_sregs and kvm_sregs2 begin alike ---- */

#define SREGS_COMMON	offsetof(struct kvm_sregs, interrupt_bitmap)
static_assert(SREGS_COMMON == offsetof(struct kvm_sregs2, flags));

static bool pae_paging(const struct kvm_sregs2 *sregs)
{
	return sregs->cr0 & X86_CR0_PG && sregs->cr4 & X86_CR4_PAE && !(sregs->efer & EFER_LMA);
}

/**
 * vcpu_get_sregs() - all special registers
 * @vcpu: under its mutex
 * @sregs: filled, but for flags and PDPTEs
 */
void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	memset(sregs, 0, sizeof(*sregs));
	backend(get_sregs)(vcpu, sregs);
	sregs->cr0 = vcpu->cr0;
	sregs->cr2 = vcpu->cr2;
	sregs->cr3 = vcpu->cr3;
	sregs->cr4 = vcpu->cr4;
	sregs->cr8 = vcpu_get_cr8(vcpu);
	sregs->efer = vcpu->efer;
	sregs->apic_base = vcpu->apic_base;
}

/**
 * vcpu_set_sregs() - load all special registers
 * @vcpu: under its mutex
 * @sregs: without flags and PDPTEs
 *
 * Return: 0, or -EINVAL for a state that no CPU can have; then nothing has changed.
 */
int vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	if (!vcpu_sregs_valid(vcpu, sregs) || sregs->efer & ~msr_efer_valid_bits(vcpu))
		return -EINVAL;
	if (sregs->cr8 > 0xf || lapic_set_base(vcpu, sregs->apic_base, true))
		return -EINVAL;

	vcpu_set_cr8(vcpu, sregs->cr8);
	backend(set_sregs)(vcpu, sregs);
	vcpu->cr2 = sregs->cr2;
	backend(set_efer)(vcpu, sregs->efer);
	backend(set_cr0)(vcpu, sregs->cr0);
	backend(set_cr4)(vcpu, sregs->cr4);
	backend(set_cr3)(vcpu, sregs->cr3);
	vcpu_update_walk(vcpu);
	cpuid_refresh(vcpu);
	/* A VMM that knows no MP_STATE resets the boot CPU this way. */
	if (vcpu_is_bsp(vcpu) && vcpu->rip == 0xfff0 && sregs->cs.selector == 0xf000 &&
	    !(sregs->cr0 & X86_CR0_PE))
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu_request(vcpu, REQ_GUEST_TLB_FLUSH);
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

static void get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct kvm_sregs2 common;

	vcpu_get_sregs(vcpu, &common);
	memcpy(sregs, &common, SREGS_COMMON);
	memset(sregs->interrupt_bitmap, 0, sizeof(sregs->interrupt_bitmap));
	if (vcpu->interrupt.injected && !vcpu->interrupt.soft)
		__set_bit(vcpu->interrupt.vector, (unsigned long *)sregs->interrupt_bitmap);
}

static int set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct kvm_sregs2 common = {};
	unsigned int vector;
	int r;

	memcpy(&common, sregs, SREGS_COMMON);
	r = vcpu_set_sregs(vcpu, &common);
	vector = find_first_bit((unsigned long *)sregs->interrupt_bitmap, NR_VECTORS);
	if (!r && vector < NR_VECTORS)
		vcpu->interrupt = (struct vcpu_interrupt) { .injected = true, .vector = vector };
	return r;
}

static void get_sregs2(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	gpa_t pdpt = vcpu->cr3 & ~0x1fULL;	/* SDM 3A "PAE Paging": 32-byte aligned */

	vcpu_get_sregs(vcpu, sregs);
	if (pae_paging(sregs) &&
	    !guest_read(vcpu, pdpt, sregs->pdptrs, sizeof(sregs->pdptrs)))
		sregs->flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
}

/* PDPTEs are read from memory when they are needed: nothing to load. */
static int set_sregs2(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	if (sregs->flags & ~KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (sregs->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID && !pae_paging(sregs))
		return -EINVAL;
	return vcpu_set_sregs(vcpu, sregs);
}

/* ---- multiprocessor state ---- */

static void get_mp_state(struct vcpu *vcpu, struct kvm_mp_state *mp)
{
	if (vcpu->lapic)
		lapic_accept_init_sipi(vcpu);
	mp->mp_state = vcpu->mp_state;
	/* An unhalt that has not been seen counts as awake. */
	if (mp->mp_state == KVM_MP_STATE_HALTED && vcpu->pv_unhalted)
		mp->mp_state = KVM_MP_STATE_RUNNABLE;
}

static int set_mp_state(struct vcpu *vcpu, const struct kvm_mp_state *mp)
{
	/* Without a local APIC there is none but RUNNABLE, the first of them. */
	if (mp->mp_state > (vcpu->lapic ? KVM_MP_STATE_SIPI_RECEIVED : KVM_MP_STATE_RUNNABLE))
		return -EINVAL;
	if ((vcpu->smm || vcpu->smi_pending) && (mp->mp_state == KVM_MP_STATE_INIT_RECEIVED ||
						 mp->mp_state == KVM_MP_STATE_SIPI_RECEIVED))
		return -EINVAL;
	vcpu->mp_state = mp->mp_state;
	if (mp->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		lapic_post_sipi(vcpu);
	}
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/* ---- events on their way ---- */

/* What struct kvm_vcpu_events tells in this VM. */
static u32 event_parts(const struct vm *vm)
{
	return KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
	       KVM_VCPUEVENT_VALID_SMM |
	       (vm->exception_payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0) |
	       (vm->triple_fault_event ? KVM_VCPUEVENT_VALID_TRIPLE_FAULT : 0);
}

static void get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const struct vcpu_exception *ex = &vcpu->exception;
	bool payload = vcpu->vm->exception_payload;

	memset(events, 0, sizeof(*events));
	if (vcpu_take_request(vcpu, REQ_NMI))
		event_collect_nmis(vcpu);
	if (!payload && ex->pending)
		event_deliver_payload(vcpu);
	if (ex->pending || ex->injected) {
		/* Without payloads "pending" does not exist: user space knows only "injected". */
		events->exception.injected = payload ? ex->injected : true;
		events->exception.pending = payload && ex->pending;
		events->exception.nr = ex->vector;
		events->exception.has_error_code = ex->has_error_code;
		events->exception.error_code = ex->error_code;
		events->exception_has_payload = payload && ex->has_payload;
		events->exception_payload = payload && ex->has_payload ? ex->payload : 0;
	}
	events->interrupt.injected = vcpu->interrupt.injected && !vcpu->interrupt.soft;
	events->interrupt.nr = vcpu->interrupt.vector;
	events->interrupt.shadow = backend(get_shadow)(vcpu);
	events->nmi.injected = vcpu->nmi_injected;
	events->nmi.pending = vcpu->nmi_pending != 0;
	events->nmi.masked = vcpu->nmi_masked;
	events->flags = event_parts(vcpu->vm);
	smm_get_events(vcpu, events);
	if (vcpu->vm->triple_fault_event)
		events->triple_fault.pending = test_bit(REQ_TRIPLE_FAULT, &vcpu->requests);
}

static int check_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	bool payload = events->flags & KVM_VCPUEVENT_VALID_PAYLOAD;

	if (events->flags & ~(event_parts(vcpu->vm) | KVM_VCPUEVENT_VALID_SIPI_VECTOR))
		return -EINVAL;
	if (payload && events->exception.pending && events->exception.injected)
		return -EINVAL;
	/* Vectors above 31 are no exceptions, NMI is not of that kind. */
	if ((events->exception.injected || (payload && events->exception.pending)) &&
	    (events->exception.nr > 31 || events->exception.nr == NMI_VECTOR))
		return -EINVAL;
	/* SMM latches INITs, and a vCPU that waits for a SIPI takes no SMI. */
	if (events->flags & KVM_VCPUEVENT_VALID_SMM &&
	    (events->smi.smm || events->smi.pending) &&
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED)
		return -EINVAL;
	return 0;
}

static int set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	bool payload = events->flags & KVM_VCPUEVENT_VALID_PAYLOAD;
	int r = check_events(vcpu, events);

	if (r)
		return r;
	vcpu->exception = (struct vcpu_exception) {
		.injected = events->exception.injected,
		.pending = payload && events->exception.pending,
		.vector = events->exception.nr,
		.has_error_code = events->exception.has_error_code,
		.error_code = events->exception.error_code,
		.has_payload = payload && events->exception_has_payload,
		.payload = events->exception_payload,
	};
	vcpu->interrupt.injected = events->interrupt.injected;
	vcpu->interrupt.vector = events->interrupt.nr;
	vcpu->interrupt.soft = events->interrupt.soft;
	if (events->flags & KVM_VCPUEVENT_VALID_SHADOW)
		backend(set_shadow)(vcpu, events->interrupt.shadow);
	vcpu->nmi_injected = events->nmi.injected;
	if (events->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		vcpu->nmi_pending = 0;
		atomic_set(&vcpu->nmi_queued, events->nmi.pending);
		if (events->nmi.pending)
			vcpu_request(vcpu, REQ_NMI);
	}
	backend(set_nmi_mask)(vcpu, events->nmi.masked);
	if (events->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR)
		WRITE_ONCE(vcpu->sipi_vector, events->sipi_vector);
	if (events->flags & KVM_VCPUEVENT_VALID_SMM)
		smm_set_events(vcpu, events);
	if (events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		assign_bit(REQ_TRIPLE_FAULT, &vcpu->requests, events->triple_fault.pending);
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/* KVM_INTERRUPT: by user space's own interrupt controller. */
static int queue_interrupt(struct vcpu *vcpu, const struct kvm_interrupt *irq)
{
	if (irq->irq >= NR_VECTORS)
		return -EINVAL;
	if (vcpu->vm->irqchip == IRQCHIP_SPLIT)
		return irq_set_user_extint(vcpu, irq->irq);
	if (vcpu->lapic)
		return -ENXIO;
	if (vcpu->interrupt.injected)
		return -EEXIST;
	vcpu->interrupt = (struct vcpu_interrupt) { .injected = true, .vector = irq->irq };
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/* ---- KVM_CAP_SYNC_REGS: state in struct kvm_run, in place of ioctls ---- */

/**
 * vcpu_sync_from_run() - take over what user space marked in kvm_dirty_regs
 * @vcpu: KVM_RUN begins
 *
 * User space may write to struct kvm_run meanwhile: what is checked is a copy.
 *
 * Return: 0; -EINVAL for a set of registers that there is not, or values that
 * the ioctl would not take.
 */
int vcpu_sync_from_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 dirty = READ_ONCE(run->kvm_dirty_regs);
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	int r = 0;

	if ((dirty | READ_ONCE(run->kvm_valid_regs)) & ~(u64)KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (dirty & KVM_SYNC_X86_REGS)
		set_regs(vcpu, &run->s.regs.regs);
	if (dirty & KVM_SYNC_X86_SREGS) {
		memcpy(&sregs, &run->s.regs.sregs, sizeof(sregs));
		r = set_sregs(vcpu, &sregs);
	}
	if (!r && dirty & KVM_SYNC_X86_EVENTS) {
		memcpy(&events, &run->s.regs.events, sizeof(events));
		r = set_events(vcpu, &events);
	}
	if (!r)
		run->kvm_dirty_regs = 0;
	return r ? -EINVAL : 0;
}

/**
 * vcpu_sync_to_run() - hand out what user space asked for in kvm_valid_regs
 * @vcpu: KVM_RUN ends
 */
void vcpu_sync_to_run(struct vcpu *vcpu)
{
	struct kvm_sync_regs *regs = &vcpu->run->s.regs;
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);

	if (valid & KVM_SYNC_X86_REGS)
		get_regs(vcpu, &regs->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		get_sregs(vcpu, &regs->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		get_events(vcpu, &regs->events);
}

/* ---- debugging ---- */

static void get_debugregs(struct vcpu *vcpu, struct kvm_debugregs *regs)
{
	*regs = (struct kvm_debugregs) { .dr6 = vcpu->dr6, .dr7 = vcpu->dr7 };
	memcpy(regs->db, vcpu->dr, sizeof(regs->db));
}

static int set_debugregs(struct vcpu *vcpu, const struct kvm_debugregs *regs)
{
	if (regs->flags || regs->dr6 >> 32 || regs->dr7 >> 32)
		return -EINVAL;
	memcpy(vcpu->dr, regs->db, sizeof(vcpu->dr));
	vcpu->dr6 = regs->dr6;
	vcpu->dr7 = regs->dr7;
	backend(update_intercepts)(vcpu);
	return 0;
}

static int set_guest_debug(struct vcpu *vcpu, const struct kvm_guest_debug *debug)
{
	u32 control = debug->control;

	if (control & ~VCPU_GUESTDBG_VALID)
		return -EINVAL;
	if (control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		if (vcpu->exception.pending)
			return -EBUSY;
		vcpu_queue_exception(vcpu, control & KVM_GUESTDBG_INJECT_DB ? DB_VECTOR : BP_VECTOR);
	}
	event_set_debug(vcpu, control & KVM_GUESTDBG_ENABLE ? control : 0);
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP) {
		memcpy(vcpu->debug_dr, debug->arch.debugreg, sizeof(vcpu->debug_dr));
		vcpu->debug_dr7 = debug->arch.debugreg[7];
	}
	backend(update_intercepts)(vcpu);
	return 0;
}

static void translate(struct vcpu *vcpu, struct kvm_translation *t)
{
	struct gwalk_result res;

	t->valid = !gwalk(vcpu, &vcpu->walk, vcpu->cr3, vcpu->pkru, t->linear_address,
			  GWALK_PEEK, &res);
	t->physical_address = t->valid ? res.gpa : ~0ULL;
	t->writeable = 1;
	t->usermode = 0;
}

/* ---- the rest ---- */

static int set_signal_mask(struct vcpu *vcpu, struct kvm_signal_mask __user *user)
{
	struct kvm_signal_mask mask;
	sigset_t set;

	if (!user) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	if (mask.len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = set;
	vcpu->sigset_active = true;
	return 0;
}

/*
 * The TPR's shadow in guest memory (KVM_CAP_VAPIC) is not offered, but QEMU
 * turns it off at reset without asking whether it is there.
 */
static int set_vapic_addr(struct vcpu *vcpu, const struct kvm_vapic_addr *vapic)
{
	return vcpu->lapic && !vapic->vapic_addr ? 0 : -EINVAL;
}

/* KVM_ENABLE_CAP: paravirtual features are always those that CPUID tells of, and no others. */
static int enable_cap(struct vcpu *vcpu, const struct kvm_enable_cap *cap)
{
	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID || !cap->args[0])
		return -EINVAL;
	return 0;
}

/* There is one attribute, the TSC's offset. */
static int handle_attr(struct vcpu *vcpu, unsigned int ioctl, const struct kvm_device_attr *attr)
{
	u64 __user *user = (u64 __user *)(uintptr_t)attr->addr;
	u64 offset;

	if (attr->flags || attr->group != KVM_VCPU_TSC_CTRL || attr->attr != KVM_VCPU_TSC_OFFSET)
		return -ENXIO;
	if (ioctl == KVM_GET_DEVICE_ATTR)
		return put_user(vcpu->tsc_offset, user);
	if (ioctl == KVM_SET_DEVICE_ATTR) {
		if (get_user(offset, user))
			return -EFAULT;
		clock_set_tsc_offset(vcpu, offset);
	}
	return 0;
}

/* ioctls whose payload has a fixed size: ioctl.c copies it. */
static int handle_payload(void *vcpu, unsigned int ioctl, void *data)
{
	switch (ioctl) {
#define CASE(nr, function) case nr: return data ? function(vcpu, data) : 0;
#define CASE_VOID(nr, function) case nr: if (data) function(vcpu, data); return 0;
	CASE_VOID(KVM_GET_REGS, get_regs)
	CASE_VOID(KVM_SET_REGS, set_regs)
	CASE_VOID(KVM_GET_SREGS, get_sregs)
	CASE(KVM_SET_SREGS, set_sregs)
	CASE_VOID(KVM_GET_SREGS2, get_sregs2)
	CASE(KVM_SET_SREGS2, set_sregs2)
	CASE(KVM_GET_FPU, fpu_ioctl_get)
	CASE(KVM_SET_FPU, fpu_ioctl_set)
	CASE_VOID(KVM_GET_XSAVE, fpu_ioctl_get_xsave)
	CASE_VOID(KVM_GET_XSAVE2, fpu_ioctl_get_xsave)
	CASE(KVM_SET_XSAVE, fpu_ioctl_set_xsave)
	CASE(KVM_GET_XCRS, fpu_ioctl_get_xcrs)
	CASE(KVM_SET_XCRS, fpu_ioctl_set_xcrs)
	CASE_VOID(KVM_GET_MP_STATE, get_mp_state)
	CASE(KVM_SET_MP_STATE, set_mp_state)
	CASE_VOID(KVM_GET_VCPU_EVENTS, get_events)
	CASE(KVM_SET_VCPU_EVENTS, set_events)
	CASE_VOID(KVM_GET_DEBUGREGS, get_debugregs)
	CASE(KVM_SET_DEBUGREGS, set_debugregs)
	CASE(KVM_SET_GUEST_DEBUG, set_guest_debug)
	CASE_VOID(KVM_TRANSLATE, translate)
	CASE(KVM_INTERRUPT, queue_interrupt)
	CASE(KVM_X86_SETUP_MCE, mce_ioctl_setup)
	CASE(KVM_X86_SET_MCE, mce_ioctl_set)
	CASE(KVM_SET_VAPIC_ADDR, set_vapic_addr)
	CASE(KVM_ENABLE_CAP, enable_cap)
	CASE(KVM_GET_LAPIC, lapic_get_state)
	CASE(KVM_SET_LAPIC, lapic_set_state)
#undef CASE
#undef CASE_VOID
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR: return data ? handle_attr(vcpu, ioctl, data) : 0;
	default: return -ENOTTY;
	}
}

/**
 * vcpu_state_ioctl() - any ioctl of the vCPU fd but KVM_RUN
 * @vcpu: under its mutex; memslot_srcu held
 * @ioctl: which
 * @arg: its argument
 *
 * Return: as api.rst says; -ENOTTY where it is not of this module.
 */
long vcpu_state_ioctl(struct vcpu *vcpu, unsigned int ioctl, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (ioctl) {
	case KVM_SET_CPUID2: return cpuid_ioctl_set2(vcpu, user);
	case KVM_GET_CPUID2: return cpuid_ioctl_get2(vcpu, user);
	case KVM_GET_MSRS: return msr_ioctl(vcpu, user, false);
	case KVM_SET_MSRS: return msr_ioctl(vcpu, user, true);
	case KVM_NMI:
		vcpu_nmi(vcpu);
		return 0;
	case KVM_SMI:
		vcpu_request(vcpu, REQ_SMI);
		return 0;
	case KVM_SET_SIGNAL_MASK: return set_signal_mask(vcpu, user);
	case KVM_SET_TSC_KHZ: return clock_set_tsc_khz(vcpu, arg);
	case KVM_GET_TSC_KHZ: return vcpu->tsc_khz;
	case KVM_GET_STATS_FD: return stats_fd(vcpu->vm, vcpu);
	case KVM_KVMCLOCK_CTRL: return clock_ioctl_kvmclock_ctrl(vcpu);
	default: return ioctl_with_payload(vcpu, ioctl, user, handle_payload);
	}
}
