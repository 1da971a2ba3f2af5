/* SPDX-License-Identifier: GPL-2.0 */
/* Control registers: what a guest may load into them, and what follows. */
#ifndef VITRO_CR_H
#define VITRO_CR_H

#include <uapi/asm/debugreg.h>
#include "vcpu.h"

/* SDM 3B "Debug Status Register (DR6)", "Debug Control Register (DR7)"; the rest is in <asm/debugreg.h>. */
enum {
	DR6_BD		= 1 << 13,	/* a debug register was touched while DR7.GD was set */
	DR7_GD		= 1 << 13,
	DR7_FIXED_ONE	= 1 << 10,
};

/* 0, or 1 where the guest deserves #GP(0). By the guest's own instruction. */
int vcpu_set_cr0(struct vcpu *vcpu, u64 cr0);
int vcpu_set_cr3(struct vcpu *vcpu, u64 cr3);
int vcpu_set_cr4(struct vcpu *vcpu, u64 cr4);
int vcpu_set_cr8(struct vcpu *vcpu, u64 cr8);
u64 vcpu_get_cr8(struct vcpu *vcpu);
/* Could these four stand together? For KVM_SET_SREGS. */
bool vcpu_sregs_valid(struct vcpu *vcpu, const struct kvm_sregs2 *sregs);
int vcpu_set_dr(struct vcpu *vcpu, unsigned int nr, u64 val);
u64 vcpu_get_dr(struct vcpu *vcpu, unsigned int nr);
/* DR0 to DR3, when they are worth it: bits of DR7. Interrupts off. */
#define DR_ENABLED	(DR_LOCAL_ENABLE_MASK | DR_GLOBAL_ENABLE_MASK)
void vcpu_load_debug_regs(struct vcpu *vcpu);
void vcpu_save_debug_regs(struct vcpu *vcpu);

#endif /* VITRO_CR_H */
