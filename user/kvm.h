/* SPDX-License-Identifier: GPL-2.0 */
/* The launcher's hold on /dev/kvm: three file descriptors and their ioctls. */
#ifndef VITRO_KVM_H
#define VITRO_KVM_H

#include <linux/kvm.h>

#include "memory.h"

struct kvm {
	int dev;		/* /dev/kvm */
	int vm;			/* -1: no VM just now */
	size_t run_size;	/* bytes of a vCPU's struct kvm_run mapping */
	unsigned int max_vcpus;
	bool irqfd;
	bool ioeventfd;
	bool ioeventfd_any_length;
	bool tsc_deadline;
};

/*
 * An ioctl whose failure ends vitro with a line that names it.  @arg is a
 * number or a pointer.
 */
#define KVM_CALL(fd, request, arg) \
	kvm_call(fd, request, (unsigned long)(arg), #request)

int kvm_call(int fd, unsigned long request, unsigned long arg, const char *name);
void kvm_open(struct kvm *kvm, const char *path);
void kvm_create_vm(struct kvm *kvm, const struct memory *mem);
void kvm_destroy_vm(struct kvm *kvm);
struct kvm_cpuid2 *kvm_supported_cpuid(const struct kvm *kvm);
unsigned int kvm_phys_bits(const struct kvm *kvm);
void kvm_irqfd(const struct kvm *kvm, int fd, unsigned int gsi, bool assign);
bool kvm_ioeventfd(const struct kvm *kvm, int fd, gpa_t gpa, unsigned int len, bool assign);

#endif /* VITRO_KVM_H */
