/* SPDX-License-Identifier: GPL-2.0 */
/* System-management mode. */
#ifndef VITRO_SMM_H
#define VITRO_SMM_H

#include "vcpu.h"

void smm_enter(struct vcpu *vcpu);
int exit_rsm(struct vcpu *vcpu);
void smm_reset(struct vcpu *vcpu);
void smm_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events);
void smm_set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events);

/* REQ_SMI was taken: it pends until SMM can be entered; more of them merge. */
static inline void smm_collect_smi(struct vcpu *vcpu)
{
	vcpu->smi_pending = true;
	vcpu_request(vcpu, REQ_EVENT);
}

#endif /* VITRO_SMM_H */
