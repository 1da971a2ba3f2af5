/* SPDX-License-Identifier: GPL-2.0 */
/* What CPU the guest sees. */
#ifndef VITRO_CPUID_H
#define VITRO_CPUID_H

#include "kvm.h"

struct kvm_cpuid2 *cpuid_prepare(const struct kvm *kvm, unsigned int cpus);
void cpuid_set_id(struct kvm_cpuid2 *cpuid, unsigned int id);

#endif /* VITRO_CPUID_H */
