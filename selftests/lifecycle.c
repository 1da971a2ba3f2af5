// SPDX-License-Identifier: GPL-2.0
/* VMs and vCPUs come and go, in any order and however their process ends, and leave nothing behind. */
#include "test.h"
#include <sys/resource.h>
#include <sys/wait.h>

static u64 double_it(u64 arg)
{
	return 2 * arg;
}

static u64 spin(u64 arg)
{
	for (;;)
		cpu_relax();
	return 0;
}

/* ---- many ---- */

TEST(fifty_vms_one_after_the_other)
{
	for (u64 i = 0; i < 50; i++) {
		struct vm vm;

		ASSERT_EQ(2 * i, vcpu_call(vm_create_one(&vm, VM_IRQCHIP), double_it, i));
		vm_destroy(&vm);
	}
}

TEST(thirty_vms_at_once)
{
	static struct vm vms[30];

	for (u64 i = 0; i < 30; i++)
		vm_create_one(&vms[i], VM_IRQCHIP | VM_PIT);
	for (u64 i = 0; i < 30; i++) {
		EXPECT_EQ(2 * i, vcpu_call(vms[i].vcpus[0], double_it, i));
	}
	for (u64 i = 0; i < 30; i += 2)
		vm_destroy(&vms[i]);
	for (u64 i = 1; i < 30; i += 2) {
		EXPECT_EQ(6, vcpu_call(vms[i].vcpus[0], double_it, 3));
		vm_destroy(&vms[i]);
	}
}

TEST(two_hundred_fifty_five_vcpus_in_a_vm)
{
	struct vm vm;
	u64 sum = 0;

	NEED(kvm_cap(KVM_CAP_MAX_VCPUS) >= 255, "only %d vCPUs", kvm_cap(KVM_CAP_MAX_VCPUS));
	vm_create(&vm, VM_IRQCHIP);
	for (u32 i = 0; i < 255; i++)
		vm_add_vcpu(&vm, i);
	for (u32 i = 0; i < 255; i += 2)
		sum += vcpu_call(vm.vcpus[i], double_it, i);
	EXPECT_EQ(2 * 254 / 2 * 128, sum);
	vm_destroy(&vm);
}

TEST(no_more_vcpus_than_offered)
{
	int max = kvm_cap(KVM_CAP_MAX_VCPUS), made = 0;
	struct vm vm;

	NEED(max <= 300, "%d vCPUs would take too long", max);
	vm_create_bare(&vm);
	while (made <= max && ioctl(vm.fd, KVM_CREATE_VCPU, made) >= 0)
		made++;
	EXPECT_EQ(max, made);
	EXPECT_EQ(EINVAL, errno);
}

static volatile u32 arrived;

static u64 meet(u64 count)
{
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	while (arrived < count)
		cpu_relax();
	return 1;
}

TEST(eight_vcpus_run_at_the_same_time)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	for (u32 i = 0; i < 8; i++)
		vcpu_spawn(vm_add_vcpu(&vm, i), meet, 8);
	for (u32 i = 0; i < 8; i++) {
		EXPECT_EQ(1, vcpu_join(vm.vcpus[i]));
	}
}

TEST(a_vcpu_may_change_its_thread)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	for (u64 i = 0; i < 10; i++) {
		vcpu_spawn(vcpu, double_it, i);
		EXPECT_EQ(2 * i, vcpu_join(vcpu));
		EXPECT_EQ(2 * i, vcpu_call(vcpu, double_it, i));
	}
}

TEST(a_vcpu_may_change_its_cpu)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	NEED(use_cpu(1), "only one CPU");
	for (u64 i = 0; i < 20; i++) {
		ASSERT_TRUE(use_cpu(i & 1));
		EXPECT_EQ(2 * i, vcpu_call(vcpu, double_it, i));
	}
}

/* ---- descriptors in any order ---- */

TEST(a_vcpu_outlives_the_vms_descriptor)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	close(vm.fd);
	close(vm.dev);
	EXPECT_EQ(10, vcpu_call(vcpu, double_it, 5));
}

TEST(the_run_area_outlives_the_vcpus_descriptor)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	close(vcpu->fd);
	close(vm.fd);
	vcpu->run->immediate_exit = 1;
	EXPECT_EQ(1, vcpu->run->immediate_exit);
}

TEST(a_duplicate_of_a_descriptor_is_the_same_vcpu)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);
	int copy = dup(vcpu->fd);

	close(vcpu->fd);
	vcpu->fd = copy;
	EXPECT_EQ(10, vcpu_call(vcpu, double_it, 5));
}

TEST(a_vcpu_without_a_free_descriptor_is_emfile)
{
	struct vm vm;
	struct rlimit limit;
	int next;

	vm_create(&vm, VM_IRQCHIP);
	next = dup(0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = next;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(EMFILE, errno_of(ioctl(vm.fd, KVM_CREATE_VCPU, 5)));
	EXPECT_EQ(EMFILE, errno_of(ioctl(vm.dev, KVM_CREATE_VM, 0)));
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_GE(ioctl(vm.fd, KVM_CREATE_VCPU, 5), 0);
}

/* ---- processes ---- */

/* A VM belongs to the memory of the process that made it. */
TEST(another_process_gets_eio)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);
	struct kvm_regs regs;
	int status;
	pid_t child = fork();

	if (!child) {
		if (errno_of(ioctl(vcpu->fd, KVM_GET_REGS, &regs)) != EIO)
			_exit(1);
		if (errno_of(ioctl(vcpu->fd, KVM_RUN, 0)) != EIO)
			_exit(2);
		_exit(errno_of(ioctl(vm.fd, KVM_CREATE_VCPU, 1)) == EIO ? 0 : 3);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(10, vcpu_call(vcpu, double_it, 5));
}

TEST(a_vm_whose_maker_is_gone_can_be_closed)
{
	int ready[2], status;
	pid_t maker;
	char c;

	ASSERT_EQ(0, pipe(ready));
	maker = fork();
	if (!maker) {
		struct vm vm;
		struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);
		pid_t heir, parent = getpid();

		vcpu_call(vcpu, double_it, 1);
		heir = fork();
		if (!heir) {
			struct kvm_regs regs;

			while (getppid() == parent)
				usleep(1000);
			ioctl(vcpu->fd, KVM_GET_REGS, &regs);
			close(vcpu->fd);
			close(vm.fd);
			die_unless(write(ready[1], "x", 1) == 1);
			_exit(0);
		}
		_exit(0);
	}
	ASSERT_EQ(maker, waitpid(maker, &status, 0));
	close(ready[1]);
	EXPECT_EQ(1, read(ready[0], &c, 1));
}

/* On the modules; a VM that is being torn down still counts. */
static u32 references(void)
{
	static const char * const files[] = {
		"/sys/module/kvm/refcnt", "/sys/module/kvm_amd/refcnt",
		"/sys/module/kvm_intel/refcnt",
	};
	u32 sum = 0;

	kvm_cap(0);		/* keeps /dev/kvm open from its first call on */
	for (u32 i = 0; i < ARRAY_SIZE(files); i++) {
		FILE *f = fopen(files[i], "r");
		u32 n = 0;

		if (f && fscanf(f, "%u", &n) == 1)
			sum += n;
		if (f)
			fclose(f);
	}
	return sum;
}

static void live_and_die(u32 delay)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP | VM_PIT);
	for (u32 i = 0; i < 3; i++)
		vcpu_spawn(vm_add_vcpu(&vm, i), spin, 0);
	usleep(delay);
	for (;;) {
		/* Busy in all sorts of calls when the end comes. */
		struct vm other;

		vm_create_one(&other, VM_IRQCHIP);
		vm_set_slot(&vm, SLOT_TEST, VM_RAM, PAGE_SIZE, vm.low, 0);
		vm_set_slot(&vm, SLOT_TEST, VM_RAM, 0, NULL, 0);
		vm_destroy(&other);
	}
}

TEST(a_vmm_killed_at_any_moment_leaves_no_reference)
{
	u32 before = references();

	for (u32 i = 0; i < 12; i++) {
		pid_t child = fork();

		if (!child)
			live_and_die(0);
		usleep(i * 17000 % 150000);
		kill(child, SIGKILL);
		ASSERT_EQ(child, waitpid(child, NULL, 0));
	}
	EXPECT_TRUE(wait_until(references() <= before))
		TH_LOG("%u references instead of %u", references(), before);
}

TEST(a_process_that_exits_with_running_vcpus_leaves_no_reference)
{
	u32 before = references();
	int status;
	pid_t child = fork();

	if (!child) {
		struct vm vm;

		vm_create(&vm, VM_IRQCHIP);
		for (u32 i = 0; i < 4; i++)
			vcpu_spawn(vm_add_vcpu(&vm, i), spin, 0);
		usleep(50000);
		_exit(3);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(3, WEXITSTATUS(status));
	EXPECT_TRUE(wait_until(references() <= before));
}

TEST(descriptors_are_not_inherited_over_exec)
{
	u32 before = references();
	struct vm vm;
	int status;
	pid_t child;

	vm_create_one(&vm, VM_IRQCHIP);
	child = fork();
	if (!child) {
		execl("/bin/sleep", "sleep", "20", NULL);
		_exit(1);
	}
	usleep(300000);
	vm_destroy(&vm);
	EXPECT_TRUE(wait_until(references() <= before));
	ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
	kill(child, SIGKILL);
}

/* ---- memory ---- */

/* KiB that /proc/meminfo counts under @name. */
static s64 meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	s64 kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kib = atoll(line + strlen(name));
	if (f)
		fclose(f);
	return kib;
}

static void make_and_destroy(u32 count)
{
	for (u32 i = 0; i < count; i++) {
		struct vm vm;

		vcpu_call(vm_create_one(&vm, VM_IRQCHIP), double_it, i);
		vm_destroy(&vm);
	}
}

static void settle(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	/* What RCU has still to free needs a moment. */
	usleep(500000);
	if (fd >= 0) {
		die_unless(write(fd, "3", 1) == 1);
		close(fd);
	}
}

TEST(a_hundred_vms_leave_no_memory_behind)
{
	s64 free_before, unreclaimable_before;

	/* One stays, as the first VM turns the hardware on and the last turns it off. */
	struct vm stays;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "KASAN keeps what was freed; module_reload asks kmemleak");
	vm_create_one(&stays, VM_IRQCHIP);
	make_and_destroy(10);
	settle();
	free_before = meminfo("MemFree:");
	unreclaimable_before = meminfo("SUnreclaim:");
	make_and_destroy(100);
	settle();
	/* A VM holds well over 100 KiB while it lives: 100 of them, some 10 MiB. */
	EXPECT_LT(free_before - meminfo("MemFree:"), 3000);
	EXPECT_LT(meminfo("SUnreclaim:") - unreclaimable_before, 1500);
}

TEST_HARNESS_MAIN
