/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU and its thread. */
#ifndef VITRO_VCPU_H
#define VITRO_VCPU_H

#include <pthread.h>

#include "boot_linux.h"
#include "bus.h"
#include "kvm.h"

struct vcpu {
	unsigned int id;		/* its APIC id, too */
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	struct vcpu_world *world;
};

/* What all vCPUs of a machine share. */
struct vcpu_world {
	struct bus pio, mmio;
	bool stop;			/* atomic: leave the guest and end */
	/* This vCPU cannot go on.  True for the first one: it shall say why. */
	bool (*crashed)(struct vcpu_world *world);
};

void vcpu_create(struct vcpu *vcpu, const struct kvm *kvm, unsigned int id,
		 struct kvm_cpuid2 *cpuid, struct vcpu_world *world);
void vcpu_boot(const struct vcpu *vcpu, const struct boot_entry *entry);
void vcpu_start(struct vcpu *vcpu);
void vcpu_kick(const struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu, const struct kvm *kvm);
void vcpu_report(const struct vcpu *vcpu, const char *what);

#endif /* VITRO_VCPU_H */
