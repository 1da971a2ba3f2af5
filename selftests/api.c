// SPDX-License-Identifier: GPL-2.0
/* The ABI as a whole: the device, its file descriptors, and every ioctl and capability of x86. */
#include "test.h"
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

FIXTURE(api) {
	struct vm vm;
	struct vcpu *vcpu;
	int fds[3];
};

enum fd_kind { DEV, VM, VCPU };

FIXTURE_SETUP(api)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP | VM_PIT);
	self->fds[DEV] = self->vm.dev;
	self->fds[VM] = self->vm.fd;
	self->fds[VCPU] = self->vcpu->fd;
}

FIXTURE_TEARDOWN(api)
{
	vm_destroy(&self->vm);
}

TEST_F(api, version_is_12)
{
	EXPECT_EQ(12, ioctl(self->vm.dev, KVM_GET_API_VERSION, 0));
}

TEST_F(api, the_device_is_character_10_232)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/kvm", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(makedev(10, 232), st.st_rdev);
}

/* ---- capabilities ---- */

TEST_F(api, capabilities_that_vmms_require_are_offered)
{
	static const int required[] = {
		KVM_CAP_IRQCHIP, KVM_CAP_HLT, KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR,
		KVM_CAP_EXT_CPUID, KVM_CAP_NR_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_PIT2,
		KVM_CAP_MP_STATE, KVM_CAP_COALESCED_MMIO, KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
		KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_IRQ_ROUTING, KVM_CAP_IRQ_INJECT_STATUS,
		KVM_CAP_IRQFD, KVM_CAP_IOEVENTFD, KVM_CAP_SIGNAL_MSI, KVM_CAP_IMMEDIATE_EXIT,
		KVM_CAP_MAX_VCPUS, KVM_CAP_GET_TSC_KHZ,
	};

	for (u32 i = 0; i < ARRAY_SIZE(required); i++) {
		EXPECT_GT(kvm_cap(required[i]), 0)
			TH_LOG("capability %d", required[i]);
	}
}

TEST_F(api, no_capability_number_is_an_error)
{
	for (long cap = 0; cap < 1000; cap++) {
		EXPECT_GE(kvm_cap(cap), 0)
			TH_LOG("capability %ld", cap);
	}
	EXPECT_EQ(0, kvm_cap(0x7fffffff));
}

TEST_F(api, the_vm_tells_the_same_capabilities)
{
	NEED_CAP(KVM_CAP_CHECK_EXTENSION_VM);
	for (long cap = 0; cap < 300; cap++) {
		/* In a VM, NR_VCPUS and the like may be lower; none may appear. */
		EXPECT_TRUE(!ioctl(self->vm.fd, KVM_CHECK_EXTENSION, cap) || kvm_cap(cap))
			TH_LOG("capability %ld", cap);
	}
}

TEST_F(api, up_to_255_vcpus_are_offered)
{
	EXPECT_GE(kvm_cap(KVM_CAP_MAX_VCPUS), 255);
	EXPECT_GE(kvm_cap(KVM_CAP_NR_VCPUS), 1);
}

/* ---- the tables of docs/abi.md, and what <linux/kvm.h> knows ---- */

/* cap 0: part of the ABI since its first day; error: what this module refuses it with, 0 it does not. */
static const struct entry {
	enum fd_kind kind;
	int cap;
	const char *name;
	unsigned long request;
	int error;
} ioctls[] = {
#define ABI_IOCTL(of, ioctl, with, errno_) { of, with, #ioctl, ioctl, errno_ },
#define ABI_FOREIGN(name)
#define ABI_CAP(name, answer)
#define ABI_NO_CAP(name)
#define ABI_HEADER_IOCTL(name)
#define ABI_HEADER_CAP(name)
#include "abi_rows.h"
};

/* Of other architectures, and of the past. */
static const char *const foreign[] = {
#undef ABI_IOCTL
#undef ABI_FOREIGN
#define ABI_IOCTL(of, ioctl, with, errno_)
#define ABI_FOREIGN(name) #name,
#include "abi_rows.h"
};

static const struct {
	const char *name;
	int cap;
	char answer;		/* '0', '1', 'n': a number */
} caps[] = {
#undef ABI_FOREIGN
#undef ABI_CAP
#undef ABI_NO_CAP
#define ABI_FOREIGN(name)
#define ABI_CAP(name, answer) { #name, name, answer[0] },
#define ABI_NO_CAP(name) { #name, name, '0' },
#include "abi_rows.h"
};

static const char *const header_ioctls[] = {
#undef ABI_CAP
#undef ABI_NO_CAP
#undef ABI_HEADER_IOCTL
#define ABI_CAP(name, answer)
#define ABI_NO_CAP(name)
#define ABI_HEADER_IOCTL(name) #name,
#include "abi_rows.h"
};

static const char *const header_caps[] = {
#undef ABI_HEADER_IOCTL
#undef ABI_HEADER_CAP
#define ABI_HEADER_IOCTL(name)
#define ABI_HEADER_CAP(name) #name,
#include "abi_rows.h"
};

static bool has_row(const char *ioctl)
{
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (!strcmp(ioctls[i].name, ioctl))
			return true;
	for (u32 i = 0; i < ARRAY_SIZE(foreign); i++)
		if (!strcmp(foreign[i], ioctl))
			return true;
	return false;
}

TEST_F(api, every_ioctl_of_the_header_has_a_row_in_the_document)
{
	ASSERT_GT(ARRAY_SIZE(header_ioctls), 100);
	for (u32 i = 0; i < ARRAY_SIZE(header_ioctls); i++) {
		EXPECT_TRUE(has_row(header_ioctls[i]))
			TH_LOG("%s", header_ioctls[i]);
	}
}

static bool cap_has_row(const char *cap)
{
	for (u32 i = 0; i < ARRAY_SIZE(caps); i++)
		if (!strcmp(caps[i].name, cap))
			return true;
	return false;
}

TEST_F(api, every_capability_of_the_header_has_a_row_in_the_document)
{
	ASSERT_GT(ARRAY_SIZE(header_caps), 150);
	for (u32 i = 0; i < ARRAY_SIZE(header_caps); i++) {
		EXPECT_TRUE(cap_has_row(header_caps[i]))
			TH_LOG("%s", header_caps[i]);
	}
}

TEST_F(api, every_capability_answers_as_the_document_says)
{
	NEED(!kvm_is_stock(), "the document is about another module");
	for (u32 i = 0; i < ARRAY_SIZE(caps); i++) {
		int answer = kvm_cap(caps[i].cap);

		if (caps[i].answer == 'n')
			continue;
		EXPECT_EQ(caps[i].answer - '0', answer)
			TH_LOG("%s", caps[i].name);
	}
}

/* ---- every ioctl ---- */

/* The error of a call with a zeroed argument; what it makes is closed again. */
static int probe(int fd, unsigned long request)
{
	static u8 buffer[32768];
	bool by_pointer = _IOC_DIR(request) != _IOC_NONE;
	long ret;

	memset(buffer, 0, sizeof(buffer));
	ret = ioctl(fd, request, by_pointer ? buffer : NULL);
	if (ret > 2 && (request == KVM_CREATE_VM || request == KVM_GET_STATS_FD))
		close(ret);
	return errno_of(ret);
}

static bool is_absent(int error)
{
	return error == ENOTTY || error == EINVAL;
}

TEST_F(api, every_capability_that_is_offered_is_backed_by_its_ioctl)
{
	self->vcpu->run->immediate_exit = 1;
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++) {
		if (ioctls[i].error || (ioctls[i].cap && kvm_cap(ioctls[i].cap) <= 0))
			continue;
		/* Zeroes may be no good argument: EINVAL may come, but not ENOTTY. */
		EXPECT_NE(ENOTTY, probe(self->fds[ioctls[i].kind], ioctls[i].request))
			TH_LOG("%s", ioctls[i].name);
	}
}

TEST_F(api, an_ioctl_that_is_refused_gives_the_errno_of_the_document)
{
	NEED(!kvm_is_stock(), "the document is about another module");
	self->vcpu->run->immediate_exit = 1;
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++) {
		int error;

		if (!ioctls[i].error)
			continue;
		error = probe(self->fds[ioctls[i].kind], ioctls[i].request);
		EXPECT_EQ(ioctls[i].error, error)
			TH_LOG("%s: %s", ioctls[i].name, strerror(error));
	}
}

TEST_F(api, an_ioctl_on_the_wrong_kind_of_descriptor_is_absent)
{
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++) {
		for (int kind = DEV; kind <= VCPU; kind++) {
			bool there = false;
			int error;

			for (u32 j = 0; j < ARRAY_SIZE(ioctls); j++)
				there |= ioctls[j].request == ioctls[i].request &&
					 ioctls[j].kind == kind;
			if (there)
				continue;
			error = probe(self->fds[kind], ioctls[i].request);
			EXPECT_TRUE(is_absent(error))
				TH_LOG("%s on kind %d: %s", ioctls[i].name, kind, strerror(error));
		}
	}
}

TEST_F(api, an_ioctl_with_another_size_is_absent)
{
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++) {
		unsigned long request = ioctls[i].request;
		u32 size = _IOC_SIZE(request) + 64;
		int error;

		if (_IOC_DIR(request) == _IOC_NONE)
			continue;
		request = _IOC(_IOC_DIR(request), KVMIO, _IOC_NR(request), size);
		error = probe(self->fds[ioctls[i].kind], request);
		EXPECT_TRUE(is_absent(error))
			TH_LOG("%s: %s", ioctls[i].name, strerror(error));
	}
}

static bool is_documented(unsigned long request)
{
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (ioctls[i].request == request)
			return true;
	return false;
}

/* Those of other architectures are among them: some have the size of a structure that is not here. */
TEST_F(api, no_other_number_is_an_ioctl)
{
	for (int kind = DEV; kind <= VCPU; kind++) {
		for (u32 nr = 0; nr < 256; nr++) {
			int error = probe(self->fds[kind], _IOWR(KVMIO, nr, u8[0x777]));

			EXPECT_TRUE(is_absent(error))
				TH_LOG("number %#x on kind %d: %s", nr, kind, strerror(error));
			if (is_documented(_IO(KVMIO, nr)))
				continue;
			error = probe(self->fds[kind], _IO(KVMIO, nr));
			EXPECT_TRUE(is_absent(error))
				TH_LOG("number %#x on kind %d: %s", nr, kind, strerror(error));
		}
		EXPECT_TRUE(is_absent(probe(self->fds[kind], _IO('x', 0x80))));
	}
}

TEST_F(api, a_bad_pointer_is_efault)
{
	struct vm vm;

	/* Some are for a VM without vCPUs only, and look at that first. */
	vm_create(&vm, VM_IRQCHIP | VM_PIT);
	self->fds[VM] = vm.fd;
	for (u32 i = 0; i < ARRAY_SIZE(ioctls); i++) {
		unsigned long request = ioctls[i].request;
		int error;

		if (ioctls[i].error || (ioctls[i].cap && kvm_cap(ioctls[i].cap) <= 0) ||
		    _IOC_DIR(request) == _IOC_NONE)
			continue;
		error = errno_of(ioctl(self->fds[ioctls[i].kind], request, 8));
		EXPECT_EQ(EFAULT, error)
			TH_LOG("%s: %s", ioctls[i].name, strerror(error));
	}
}

/* ---- KVM_ENABLE_CAP ---- */

static int enable(int fd, u32 cap, u32 flags, u64 arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .flags = flags, .args[0] = arg };

	return errno_of(ioctl(fd, KVM_ENABLE_CAP, &enable));
}

/* QEMU quits when one that is offered cannot be enabled. */
TEST_F(api, what_is_offered_to_be_enabled_can_be)
{
	static const struct {
		u32 cap;
		u64 arg;
	} caps[] = {
		{ KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_INVAL },
		{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
		{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
		{ KVM_CAP_DISABLE_QUIRKS, KVM_X86_QUIRK_LINT0_REENABLED },
		{ KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_LINT0_REENABLED },
		{ KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS },
		{ KVM_CAP_MSR_PLATFORM_INFO, 1 },
		{ KVM_CAP_HALT_POLL, 0 },
		{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(caps); i++) {
		if (kvm_cap(caps[i].cap) <= 0)
			continue;
		EXPECT_EQ(0, enable(self->vm.fd, caps[i].cap, 0, caps[i].arg))
			TH_LOG("capability %u", caps[i].cap);
	}
}

TEST_F(api, what_is_not_offered_cannot_be_enabled)
{
	for (u32 cap = 0; cap < 300; cap++) {
		int error;

		if (kvm_cap(cap) > 0)
			continue;
		error = enable(self->vm.fd, cap, 0, ~0ULL);
		EXPECT_TRUE(is_absent(error))
			TH_LOG("capability %u: %s", cap, strerror(error));
	}
}

TEST_F(api, flags_of_enable_cap_are_einval)
{
	EXPECT_EQ(EINVAL, enable(self->vm.fd, KVM_CAP_DISABLE_QUIRKS, 1, 0));
}

/* ---- file descriptors ---- */

static void expect_anon(struct __test_metadata *_metadata, int fd, const char *name)
{
	char path[64], target[128] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_GT(readlink(path, target, sizeof(target) - 1), 0);
	EXPECT_EQ(0, strncmp(target, name, strlen(name)))
		TH_LOG("is %s", target);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

TEST_F(api, vm_and_vcpu_are_anonymous_and_closed_at_exec)
{
	expect_anon(_metadata, self->vm.fd, "anon_inode:kvm-vm");
	expect_anon(_metadata, self->vcpu->fd, "anon_inode:kvm-vcpu:0");
}

TEST_F(api, the_run_area_is_whole_pages_and_holds_kvm_run)
{
	long size = ioctl(self->vm.dev, KVM_GET_VCPU_MMAP_SIZE, 0);

	EXPECT_GE(size, sizeof(struct kvm_run));
	EXPECT_EQ(0, size % PAGE_SIZE);
}

TEST_F(api, the_run_area_can_be_mapped_twice)
{
	struct kvm_run *again = mmap(NULL, self->vcpu->run_size, PROT_READ | PROT_WRITE,
				     MAP_SHARED, self->vcpu->fd, 0);

	ASSERT_NE(MAP_FAILED, again);
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(1, again->immediate_exit);
}

TEST_F(api, beyond_the_run_area_is_nothing)
{
	int status;
	pid_t child = fork();

	if (!child) {
		volatile u8 *p = mmap(NULL, 32 * PAGE_SIZE, PROT_READ, MAP_SHARED,
				      self->vcpu->fd, 0);

		if (p == MAP_FAILED)
			raise(SIGBUS);
		_exit(p[31 * PAGE_SIZE]);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

TEST_F(api, device_and_vm_cannot_be_mapped)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, self->vm.dev, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, self->vm.fd, 0));
}

TEST_F(api, arguments_of_argumentless_ioctls_are_einval)
{
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.dev, KVM_GET_API_VERSION, 1)));
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.dev, KVM_GET_VCPU_MMAP_SIZE, 1)));
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 1)));
}

TEST_F(api, an_unknown_machine_type_is_einval)
{
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.dev, KVM_CREATE_VM, 77)));
}

TEST_HARNESS_MAIN
