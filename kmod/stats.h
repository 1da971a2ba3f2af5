/* SPDX-License-Identifier: GPL-2.0 */
/* What is counted, and the file that tells it (KVM_GET_STATS_FD). */
#ifndef VITRO_STATS_H
#define VITRO_STATS_H

#include <linux/types.h>

struct vm;
struct vcpu;

/* Each is a u64; names are stock KVM's, in stats.c. The thread that runs the vCPU counts. */
#define VCPU_STATS(X)								\
	X(exits) X(halt_exits) X(signal_exits) X(hypercalls) X(pf_taken)	\
	X(insn_emulation) X(irq_injections) X(nmi_injections) X(tlb_flush)

/* Under no lock: a count may be lost now and then. */
#define VM_STATS(X)	X(remote_tlb_flush) X(remote_tlb_flush_requests)

#define STATS_FIELD(name) u64 name;
struct vcpu_stats { VCPU_STATS(STATS_FIELD) };
struct vm_stats { VM_STATS(STATS_FIELD) };
#undef STATS_FIELD

/* Of the vCPU, or, if it is NULL, of the VM: a file descriptor, or a negative errno. */
int stats_fd(struct vm *vm, struct vcpu *vcpu);

#endif /* VITRO_STATS_H */
