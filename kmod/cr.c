// SPDX-License-Identifier: GPL-2.0
/*
 * Control and debug registers: what a guest may load, and what follows.
 * SDM 3A "Control Registers"; SDM 3B "Debug Registers".
 */
#include <linux/percpu.h>
#include <asm/debugreg.h>
#include "backend.h"
#include "cpuid.h"
#include "cr.h"
#include "irq/irq.h"

/* ---- rules that MOV to CR and KVM_SET_SREGS share ---- */

#define CR0_BITS	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | \
			 X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

static bool cr0_valid(u64 cr0)
{
	if (cr0 >> 32)
		return false;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return false;
	return !(cr0 & X86_CR0_PG) || cr0 & X86_CR0_PE;
}

/* Bits above MAXPHYADDR must be zero in long mode; a MOV to CR3 has taken the no-flush bit off. */
static bool cr3_valid(struct vcpu *vcpu, u64 cr3, bool long_mode)
{
	return !long_mode || !(cr3 & (vcpu->walk.reserved | X86_CR3_PCID_NOFLUSH));
}

/* ---- the guest's own MOV to CR ---- */

static void paging_changed(struct vcpu *vcpu)
{
	vcpu_update_walk(vcpu);
	vcpu_request(vcpu, REQ_GUEST_TLB_FLUSH);
}

/**
 * vcpu_set_cr0() - the guest loads CR0
 * @vcpu: under its mutex
 * @cr0: what it asks for
 *
 * Setting PG with EFER.LME activates long mode.  SDM 3A "Switching to IA-32e
 * Mode Operation".
 *
 * Return: 0, or 1 for #GP(0).
 */
int vcpu_set_cr0(struct vcpu *vcpu, u64 cr0)
{
	bool paging = cr0 & X86_CR0_PG;
	u64 changed;

	if (!cr0_valid(cr0))
		return 1;
	cr0 = (cr0 & CR0_BITS) | X86_CR0_ET;
	changed = cr0 ^ vcpu->cr0;

	/* Into long mode only with PAE, out of it only without PCIDs, and never in 64-bit code. */
	if (changed & X86_CR0_PG && vcpu->efer & EFER_LME) {
		if (backend(get_code)(vcpu).flags & CODE_L ||
		    (paging ? !(vcpu->cr4 & X86_CR4_PAE) : vcpu->cr4 & X86_CR4_PCIDE))
			return 1;
		backend(set_efer)(vcpu, (vcpu->efer & ~(u64)EFER_LMA) | (paging ? EFER_LMA : 0));
	}
	backend(set_cr0)(vcpu, cr0);
	if (changed & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE))
		paging_changed(vcpu);
	return 0;
}

/**
 * vcpu_set_cr3() - the guest loads CR3
 * @vcpu: under its mutex
 * @cr3: what it asks for
 *
 * Return: 0, or 1 for #GP(0).
 */
int vcpu_set_cr3(struct vcpu *vcpu, u64 cr3)
{
	bool keep = vcpu->cr4 & X86_CR4_PCIDE && cr3 & X86_CR3_PCID_NOFLUSH;

	if (vcpu->cr4 & X86_CR4_PCIDE)
		cr3 &= ~X86_CR3_PCID_NOFLUSH;
	if (!cr3_valid(vcpu, cr3, vcpu_long_mode(vcpu)))
		return 1;
	backend(set_cr3)(vcpu, cr3);
	if (!keep)
		vcpu_request(vcpu, REQ_GUEST_TLB_FLUSH);
	return 0;
}

/**
 * vcpu_set_cr4() - the guest loads CR4
 * @vcpu: under its mutex
 * @cr4: what it asks for
 *
 * Return: 0, or 1 for #GP(0).
 */
int vcpu_set_cr4(struct vcpu *vcpu, u64 cr4)
{
	u64 changed = cr4 ^ vcpu->cr4;

	if (cr4 & vcpu->cr4_reserved)
		return 1;
	if (vcpu_long_mode(vcpu) && (!(cr4 & X86_CR4_PAE) || changed & X86_CR4_LA57))
		return 1;
	if (changed & cr4 & X86_CR4_PCIDE &&
	    (!vcpu_long_mode(vcpu) || vcpu->cr3 & X86_CR3_PCID_MASK))
		return 1;
	backend(set_cr4)(vcpu, cr4);
	if (changed)
		paging_changed(vcpu);
	if (changed & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		cpuid_refresh(vcpu);
	return 0;
}

/**
 * vcpu_get_cr8() - the task priority
 * @vcpu: under its mutex
 *
 * Return: TPR bits 7:4; user space's own when it has the APIC.
 */
u64 vcpu_get_cr8(struct vcpu *vcpu)
{
	return vcpu->lapic ? lapic_get_cr8(vcpu) : vcpu->cr8;
}

/**
 * vcpu_set_cr8() - load the task priority
 * @vcpu: under its mutex
 * @cr8: what the guest, or user space, asks for
 *
 * Return: 0, or 1 for #GP(0).
 */
int vcpu_set_cr8(struct vcpu *vcpu, u64 cr8)
{
	if (cr8 & ~0xfULL)
		return 1;
	if (vcpu->lapic)
		lapic_set_cr8(vcpu, cr8);
	else
		vcpu->cr8 = cr8;
	return 0;
}

/* ---- KVM_SET_SREGS ---- */

/**
 * vcpu_sregs_valid() - could a CPU be in this state?
 * @vcpu: whose CPUID decides about optional bits
 * @sregs: from user space
 *
 * SDM 3C "Checks on Guest Control Registers, Debug Registers, and MSRs", as
 * far as one register contradicts another.  CR4.PCIDE outside of long mode may
 * be set, as with stock KVM, until the vCPU is run: an entry refuses it.
 */
bool vcpu_sregs_valid(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	bool lme = sregs->efer & EFER_LME, lma = sregs->efer & EFER_LMA;
	bool paging = sregs->cr0 & X86_CR0_PG, pae = sregs->cr4 & X86_CR4_PAE;

	if (!cr0_valid(sregs->cr0) || sregs->cr4 & vcpu->cr4_reserved)
		return false;
	if (lme && paging)
		return pae && lma && cr3_valid(vcpu, sregs->cr3, true);
	return !lma && !sregs->cs.l;
}

/* ---- debug registers ---- */

/**
 * vcpu_get_dr() - read a debug register
 * @vcpu: under its mutex
 * @nr: 0 to 3, 6, 7
 */
u64 vcpu_get_dr(struct vcpu *vcpu, unsigned int nr)
{
	return nr == 6 ? vcpu->dr6 : nr == 7 ? vcpu->dr7 : vcpu->dr[nr & 3];
}

/* Bits of DR7 that are not writable: SDM 3B "Debug Control Register (DR7)". */
enum { DR7_FIXED_ZERO = 0xd000, DR6_WRITABLE = DR_TRAP_BITS | DR6_BD | DR_STEP | DR_SWITCH };

/**
 * vcpu_set_dr() - write a debug register
 * @vcpu: under its mutex
 * @nr: 0 to 3, 6, 7
 * @val: what
 *
 * Return: 0, or 1 for #GP(0).
 */
int vcpu_set_dr(struct vcpu *vcpu, unsigned int nr, u64 val)
{
	if (nr < 6) {
		vcpu->dr[nr & 3] = val;
		return 0;
	}
	if (val >> 32)
		return 1;
	if (nr == 6)
		vcpu->dr6 = DR6_RESERVED | (val & DR6_WRITABLE);
	else
		vcpu->dr7 = (val & ~(u64)DR7_FIXED_ZERO) | DR7_FIXED_ONE;
	backend(update_intercepts)(vcpu);
	return 0;
}

/**
 * vcpu_load_debug_regs() - DR0 to DR3 for the guest, or user space's debugger
 * @vcpu: about to enter; interrupts off; DR7 has none enabled until the entry loads it
 */
void vcpu_load_debug_regs(struct vcpu *vcpu)
{
	const u64 *dr = vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug_dr : vcpu->dr;

	set_debugreg(0, 7);	/* no breakpoint of the host's at addresses of the guest's */
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
}

/**
 * vcpu_save_debug_regs() - what the guest made of DR0 to DR3
 * @vcpu: just back; interrupts off
 */
void vcpu_save_debug_regs(struct vcpu *vcpu)
{
	get_debugreg(vcpu->dr[0], 0);
	get_debugreg(vcpu->dr[1], 1);
	get_debugreg(vcpu->dr[2], 2);
	get_debugreg(vcpu->dr[3], 3);
}
