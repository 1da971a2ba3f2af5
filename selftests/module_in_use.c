// SPDX-License-Identifier: GPL-2.0
/* The module stays as long as anything of it is open. */
#include "test.h"
#include <sys/syscall.h>

/* The errno of unloading; of stock KVM's two modules that which others use. */
static int unload(void)
{
	const char *name = !access("/sys/module/kvm_amd", F_OK) ? "kvm_amd" :
			   !access("/sys/module/kvm_intel", F_OK) ? "kvm_intel" : "kvm";

	return errno_of(syscall(SYS_delete_module, name, O_NONBLOCK));
}

static u64 nothing(u64 arg)
{
	return arg;
}

static struct vm vm;

static struct vcpu *open_all(void)
{
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	die_unless(vcpu_call(vcpu, nothing, 5) == 5);
	return vcpu;
}

/* vm.c keeps one open, which would answer for all others. */
static void close_other_devices(void)
{
	for (int fd = 3; fd < 20; fd++) {
		char path[64], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) > 0 && !strcmp(target, "/dev/kvm"))
			close(fd);
	}
}

TEST(an_open_device_keeps_the_module)
{
	int fd = kvm_open();

	EXPECT_EQ(EAGAIN, unload());
	close(fd);
}

TEST(an_open_vm_keeps_the_module)
{
	struct vcpu *vcpu = open_all();

	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->fd);
	close_other_devices();
	EXPECT_EQ(EAGAIN, unload());
	EXPECT_GE(ioctl(vm.fd, KVM_CREATE_VCPU, 1), 0);
}

TEST(an_open_vcpu_keeps_the_module)
{
	struct vcpu *vcpu = open_all();

	munmap(vcpu->run, vcpu->run_size);
	close(vm.fd);
	close_other_devices();
	EXPECT_EQ(EAGAIN, unload());
	vcpu_regs(vcpu);
}

TEST(a_mapped_run_area_keeps_the_module)
{
	struct vcpu *vcpu = open_all();

	close(vcpu->fd);
	close(vm.fd);
	close_other_devices();
	EXPECT_EQ(EAGAIN, unload());
	vcpu->run->immediate_exit = 1;
}

static u64 spin(u64 arg)
{
	for (;;)
		cpu_relax();
	return 0;
}

TEST(a_running_guest_keeps_the_module)
{
	vcpu_spawn(vm_create_one(&vm, VM_IRQCHIP), spin, 0);
	usleep(20000);
	close_other_devices();
	EXPECT_EQ(EAGAIN, unload());
}

TEST_HARNESS_MAIN
