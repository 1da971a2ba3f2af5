// SPDX-License-Identifier: GPL-2.0
/*
 * A VMM that is killed at any moment leaves nothing behind: when wait() has
 * told its end, the module can be unloaded, and its guest's memory is free.
 */
#include "test.h"
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

enum {
	KILLS = 15,		/* of each sort of VMM; a third of it where all is slow */
	NR = 4,			/* vCPUs of a busy guest */
	VECTOR = 0x55,
	SIGNALS_GSI = 5,
};

#define BUSY_SIZE	(16 * MiB)	/* memory that it touches */
#define IOAPIC_LEVEL	(1ULL << 15)
#define TIMEOUT		600	/* seconds for a test, unloading and all */

/* ---- VMMs: each goes on until it is killed ---- */

/* All that is set up before a first entry, over and over. */
static void makes_vms(void)
{
	for (;;) {
		struct vm vm;

		vm_create(&vm, VM_IRQCHIP | VM_PIT);
		for (u32 i = 0; i < NR; i++)
			vm_add_vcpu(&vm, i);
		vm_destroy(&vm);
	}
}

/* Writes to its memory and interrupts the others, with its timer running. */
static u64 be_busy(u64 arg)
{
	xapic_enable();
	if (this_cpu()->id == 0) {
		guest_pic_init(0x20, 0);
		ioapic_route(SIGNALS_GSI, IOAPIC_LEVEL | VECTOR);
	}
	xapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	xapic_write(APIC_LVTT, APIC_LVT_PERIODIC | VECTOR);
	xapic_write(APIC_TMICT, 1000000);
	irq_enable();
	for (u64 at = 0;; at = (at + PAGE_SIZE) % BUSY_SIZE) {
		write64(VM_RAM + at, at);
		if (at % (64 * PAGE_SIZE) == 0)
			xapic_icr(0, APIC_DEST_ALLBUT | APIC_INT_ASSERT | VECTOR);
	}
}

/* Its vCPUs run, each in a thread, when this returns the guest's memory. */
static u8 *start_busy_guest(struct vm *vm)
{
	u8 *ram;

	vm_create(vm, VM_IRQCHIP | VM_PIT);
	ram = vm_add_ram(vm, SLOT_TEST, VM_RAM, BUSY_SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	guest_handlers[VECTOR] = guest_eoi_xapic;
	for (u32 i = 0; i < NR; i++)
		vcpu_spawn(vm_add_vcpu(vm, i), be_busy, 0);
	return ram;
}

static void runs_four_vcpus(void)
{
	struct vm vm;

	start_busy_guest(&vm);
	for (;;)
		pause();
}

/* Takes memory away, moves slots and reads the dirty log under the guest. */
static void changes_memory(void)
{
	struct vm vm;
	u8 *ram = start_busy_guest(&vm);
	u64 log[BUSY_SIZE / PAGE_SIZE / 64];
	struct kvm_dirty_log args = { .slot = SLOT_TEST, .dirty_bitmap = log };

	for (u32 i = SLOT_TEST + 1;; i = i % 32 + SLOT_TEST + 1) {
		madvise(ram, BUSY_SIZE, MADV_DONTNEED);
		kvm_do(vm.fd, KVM_GET_DIRTY_LOG, &args);
		vm_set_slot(&vm, i, VM_RAM + BUSY_SIZE, PAGE_SIZE, ram, 0);
		vm_set_slot(&vm, i, 0, 0, NULL, 0);
	}
}

/* Binds eventfds, signals them, and closes them while they are bound. */
static void binds_eventfds(void)
{
	struct vm vm;

	start_busy_guest(&vm);
	for (u64 one = 1;;) {
		int fd = eventfd(0, 0), resample = eventfd(0, 0);
		struct kvm_irqfd irq = {
			.fd = fd, .gsi = SIGNALS_GSI,
			.flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = resample,
		};
		struct kvm_ioeventfd bell = { .fd = fd, .addr = VM_MMIO, .len = 4 };

		ioctl(vm.fd, KVM_IRQFD, &irq);
		ioctl(vm.fd, KVM_IOEVENTFD, &bell);
		die_unless(write(fd, &one, sizeof(one)) == sizeof(one));
		bell.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
		ioctl(vm.fd, KVM_IOEVENTFD, &bell);
		close(resample);
		close(fd);
	}
}

/* vitro run, from its first instruction to the guest's shell. */
static void boots_linux(void)
{
	execlp("vitro", "vitro", "run", "-c", "2", "-m", "256M", "-i", getenv("GUEST_INITRD"),
	       "-d", getenv("GUEST_DISK"), "-a", "console=ttyS0", getenv("GUEST_KERNEL"), NULL);
}

/* ---- their end ---- */

static void sysctl(const char *path, const char *value)
{
	FILE *f = fopen(path, "w");

	die_unless(f && fputs(value, f) >= 0 && !fclose(f));
}

static u64 free_memory(void)
{
	struct sysinfo info;

	sysctl("/proc/sys/vm/drop_caches", "3");
	sysinfo(&info);
	return (u64)info.freeram * info.mem_unit;
}

/* One life of a VMM, @life microseconds long. */
static void live_and_die(void (*vmm)(void), u32 life)
{
	int status, null;
	pid_t child = fork();

	if (!child) {
		null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		vmm();
		_exit(1);
	}
	usleep(life);
	kill(child, SIGKILL);
	die_unless(waitpid(child, &status, 0) == child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		vm_die("the VMM ended by itself, status %#x", status);
}

/* The module of a moment ago can go, at once, and comes back. */
static void reload(u32 life)
{
	if (system("kvm-unload"))
		vm_die("the module is held by a VMM that was killed after %u us", life);
	if (system("kvm-load"))
		vm_die("the module does not load again");
}

static void kill_many(void (*vmm)(void), u32 longest)
{
	u32 kills = vm_slowness() > 1 ? KILLS / 3 : KILLS;
	u64 before;

	srandom(time(NULL));
	/* CPUs keep few free pages for themselves; usually it is up to 40 MiB each. */
	sysctl("/proc/sys/vm/percpu_pagelist_high_fraction", "1000");
	live_and_die(vmm, longest);		/* what a first one leaves in caches */
	reload(longest);
	before = free_memory();
	for (u32 i = 0; i < kills; i++) {
		u32 life = random() % longest;

		live_and_die(vmm, life);
		reload(life);
	}
	/* Less than one guest's memory may be missing. */
	if (free_memory() + BUSY_SIZE < before)
		vm_die("%llu KiB are gone", (before - free_memory()) / 1024);
}

FIXTURE(killed) { };
FIXTURE_SETUP(killed) { }
FIXTURE_TEARDOWN(killed) { }

TEST_F_TIMEOUT(killed, while_it_makes_vms, TIMEOUT)
{
	kill_many(makes_vms, 100000);
}

TEST_F_TIMEOUT(killed, while_it_runs_four_vcpus, TIMEOUT)
{
	kill_many(runs_four_vcpus, 200000);
}

TEST_F_TIMEOUT(killed, while_it_changes_memory, TIMEOUT)
{
	kill_many(changes_memory, 200000);
}

TEST_F_TIMEOUT(killed, while_it_binds_eventfds, TIMEOUT)
{
	kill_many(binds_eventfds, 200000);
}

TEST_F_TIMEOUT(killed, while_it_boots_linux, TIMEOUT)
{
	kill_many(boots_linux, 2000000);
}

TEST_HARNESS_MAIN
