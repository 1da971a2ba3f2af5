// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm.h"

enum {
	CPUID_ENTRIES = 100,	/* first guess, enough for stock KVM */
	CPUID_ADDRESS_SIZES = 0x80000008,
};

/**
 * kvm_call() - an ioctl that has to succeed; used through KVM_CALL().
 * @fd: /dev/kvm, a VM or a vCPU.
 * @request: ioctl number.
 * @arg: its argument.
 * @name: the request's name for the message.
 *
 * Return: what the ioctl returned, 0 or more.
 */
int kvm_call(int fd, unsigned long request, unsigned long arg, const char *name)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		die("%s: %s", name, strerror(errno));
	return ret;
}

/* The group's name in /etc/group.  No getgrgid(): it would load NSS modules. */
static void group_name(gid_t gid, char *name, size_t size)
{
	FILE *f = fopen("/etc/group", "re");
	char line[1024];

	snprintf(name, size, "%u", gid);
	while (f && fgets(line, sizeof(line), f)) {
		char *save, *group = strtok_r(line, ":", &save);
		char *id = strtok_r(NULL, ":", &save);

		/* the second field is the password, one character as a rule */
		id = strtok_r(NULL, ":", &save);
		if (id && strtoul(id, NULL, 10) == gid)
			snprintf(name, size, "%s", group);
	}
	if (f)
		fclose(f);
}

__attribute__((noreturn))
static void kvm_open_failed(const char *path, int error)
{
	struct stat st;
	char group[64];

	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		die("%s: %s; is the module loaded? (insmod kmod/kvm.ko, or modprobe kvm_amd or kvm_intel)",
		    path, strerror(error));
	case EACCES:
	case EPERM:
		if (stat(path, &st) == 0 && st.st_gid && (st.st_mode & S_IRWXG)) {
			group_name(st.st_gid, group, sizeof(group));
			die("%s: %s; join the group %s (adduser USER %s, then log in again)",
			    path, strerror(error), group, group);
		}
		die("%s: %s; only its owner may use it, it should belong to the group kvm (chgrp kvm, chmod 660), which you then join",
		    path, strerror(error));
	default:
		die("%s: %s", path, strerror(error));
	}
}

static unsigned int kvm_capability(const struct kvm *kvm, unsigned int cap)
{
	int ret = ioctl(kvm->dev, KVM_CHECK_EXTENSION, cap);

	return ret > 0 ? ret : 0;
}

static void kvm_require(const struct kvm *kvm)
{
	static const struct { unsigned int cap; const char *name; } needed[] = {
		{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR" },
		{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
		{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
		{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
		{ KVM_CAP_PIT2, "KVM_CAP_PIT2" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(needed); i++)
		if (!kvm_capability(kvm, needed[i].cap))
			die("this KVM lacks %s", needed[i].name);
}

/**
 * kvm_open() - open the device and learn what it can do.
 * @kvm: to be filled.
 * @path: /dev/kvm or what the user named instead.
 *
 * Ends vitro where there is no usable KVM, and says why.
 */
void kvm_open(struct kvm *kvm, const char *path)
{
	int version;

	*kvm = (struct kvm){ .vm = -1 };
	kvm->dev = open(path, O_RDWR | O_CLOEXEC);
	if (kvm->dev < 0)
		kvm_open_failed(path, errno);
	version = ioctl(kvm->dev, KVM_GET_API_VERSION, 0);
	if (version < 0)
		die("%s: not a KVM device", path);
	if (version != KVM_API_VERSION)
		die("%s: KVM API version %d, not %d", path, version, KVM_API_VERSION);
	kvm_require(kvm);
	kvm->run_size = KVM_CALL(kvm->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	kvm->max_vcpus = kvm_capability(kvm, KVM_CAP_MAX_VCPUS);
	if (!kvm->max_vcpus)	/* api.rst: then it is that of NR_VCPUS */
		kvm->max_vcpus = kvm_capability(kvm, KVM_CAP_NR_VCPUS);
	if (!kvm->max_vcpus)
		kvm->max_vcpus = 4;
	kvm->irqfd = kvm_capability(kvm, KVM_CAP_IRQFD);
	kvm->ioeventfd = kvm_capability(kvm, KVM_CAP_IOEVENTFD);
	kvm->ioeventfd_any_length = kvm_capability(kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH);
	kvm->tsc_deadline = kvm_capability(kvm, KVM_CAP_TSC_DEADLINE_TIMER);
	verbose("%s: up to %u vCPUs%s%s", path, kvm->max_vcpus,
		kvm->irqfd ? ", irqfd" : "", kvm->ioeventfd ? ", ioeventfd" : "");
}

/**
 * kvm_create_vm() - a VM with memory, interrupt controllers and timer.
 * @kvm: from kvm_open(), with no VM.
 * @mem: guest memory; has to outlive the VM.
 */
void kvm_create_vm(struct kvm *kvm, const struct memory *mem)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	u64 idmap = MEM_KVM_IDMAP;

	kvm->vm = KVM_CALL(kvm->dev, KVM_CREATE_VM, 0);
	if (kvm_capability(kvm, KVM_CAP_SET_IDENTITY_MAP_ADDR))
		KVM_CALL(kvm->vm, KVM_SET_IDENTITY_MAP_ADDR, &idmap);
	KVM_CALL(kvm->vm, KVM_SET_TSS_ADDR, MEM_KVM_TSS);
	KVM_CALL(kvm->vm, KVM_CREATE_IRQCHIP, 0);
	KVM_CALL(kvm->vm, KVM_CREATE_PIT2, &pit);
	for (unsigned int i = 0; i < ARRAY_SIZE(mem->range); i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = mem->range[i].base,
			.memory_size = mem->range[i].size,
			.userspace_addr = (u64)mem->range[i].hva,
		};

		if (slot.memory_size)
			KVM_CALL(kvm->vm, KVM_SET_USER_MEMORY_REGION, &slot);
	}
}

/**
 * kvm_destroy_vm() - let go of the VM; its vCPUs have to be closed already.
 * @kvm: what kvm_create_vm() made a VM for.
 */
void kvm_destroy_vm(struct kvm *kvm)
{
	close(kvm->vm);
	kvm->vm = -1;
}

/**
 * kvm_supported_cpuid() - what a vCPU's CPUID may say on this host.
 * @kvm: from kvm_open().
 *
 * Return: the table, to be freed by the caller.
 */
struct kvm_cpuid2 *kvm_supported_cpuid(const struct kvm *kvm)
{
	for (unsigned int n = CPUID_ENTRIES;; n *= 2) {
		struct kvm_cpuid2 *cpuid;

		cpuid = xalloc(sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));
		cpuid->nent = n;
		if (ioctl(kvm->dev, KVM_GET_SUPPORTED_CPUID, cpuid) == 0)
			return cpuid;
		if (errno != E2BIG)
			die("KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
		free(cpuid);
	}
}

/**
 * kvm_phys_bits() - the width of a guest physical address.
 * @kvm: from kvm_open().
 *
 * Return: bits, 36 where CPUID does not say.
 */
unsigned int kvm_phys_bits(const struct kvm *kvm)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(kvm);
	unsigned int bits = 36;

	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == CPUID_ADDRESS_SIZES)
			bits = cpuid->entries[i].eax & 0xff;
	free(cpuid);
	return bits;
}

/**
 * kvm_irqfd() - tie an eventfd to an interrupt, or untie it.
 * @kvm: with a VM.
 * @fd: eventfd.
 * @gsi: interrupt of the routing table.
 * @assign: tie or untie.
 */
void kvm_irqfd(const struct kvm *kvm, int fd, unsigned int gsi, bool assign)
{
	struct kvm_irqfd irqfd = {
		.fd = fd,
		.gsi = gsi,
		.flags = assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	KVM_CALL(kvm->vm, KVM_IRQFD, &irqfd);
}

/**
 * kvm_ioeventfd() - let writes to an address signal an eventfd in the kernel.
 * @kvm: with a VM.
 * @fd: eventfd.
 * @gpa: address in MMIO space.
 * @len: bytes of the expected write; any length will do where KVM can.
 * @assign: tie or untie.
 *
 * Return: false where KVM refuses, so that such writes go on to reach vitro:
 * the guest may have moved the address where another one already is.
 */
bool kvm_ioeventfd(const struct kvm *kvm, int fd, gpa_t gpa, unsigned int len, bool assign)
{
	struct kvm_ioeventfd ioeventfd = {
		.addr = gpa,
		.len = kvm->ioeventfd_any_length ? 0 : len,
		.fd = fd,
		.flags = assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return kvm->ioeventfd && ioctl(kvm->vm, KVM_IOEVENTFD, &ioeventfd) == 0;
}
