// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM costs, seen from user space: TSC ticks that its ioctls take, the
 * median of ROUNDS VMs one after the other, and the memory that the kernel holds
 * for it.  Under QEMU's -icount shift=0 a tick is an instruction, or the time of
 * one that the CPU sleeps: who waits for RCU pays for the wait.
 */
#include "vm.h"

enum { ROUNDS = 15, HELD = 50 };
enum { CODE = 0x1000, PORT_USER = 0x710 };

struct life {
	u64 create_vm, create_vcpu, first_run, destroy;
};

/* One vCPU in real mode, and memory that all VMs share. */
struct tiny {
	int vm, vcpu;
	struct kvm_run *run;
};

static int dev;
static size_t run_size;
static u8 *memory;

static void tiny_create_vm(struct tiny *t)
{
	t->vm = kvm_do(dev, KVM_CREATE_VM, 0);
	kvm_do(t->vm, KVM_CREATE_IRQCHIP, 0);
}

static void tiny_create_vcpu(struct tiny *t)
{
	t->vcpu = kvm_do(t->vm, KVM_CREATE_VCPU, 0);
}

/* What a first run needs, and is not counted. */
static void tiny_prepare(struct tiny *t)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = VM_LOW_SIZE, .userspace_addr = (u64)memory,
	};
	struct kvm_regs regs = { .rip = CODE, .rflags = X86_EFLAGS_FIXED, .rdx = PORT_USER };
	struct kvm_sregs sregs;

	kvm_do(t->vm, KVM_SET_USER_MEMORY_REGION, &region);
	kvm_do(t->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	kvm_do(t->vcpu, KVM_SET_SREGS, &sregs);
	kvm_do(t->vcpu, KVM_SET_REGS, &regs);
	t->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	die_unless(t->run != MAP_FAILED);
	t->run->immediate_exit = 0;	/* the page is there now */
}

static void tiny_run(struct tiny *t)
{
	kvm_do(t->vcpu, KVM_RUN, 0);
}

static void tiny_check(struct tiny *t)
{
	die_unless(t->run->exit_reason == KVM_EXIT_IO && t->run->io.port == PORT_USER);
}

static void tiny_destroy(struct tiny *t)
{
	munmap(t->run, run_size);
	close(t->vcpu);
	close(t->vm);
}

#define ticks(call) ({ u64 start_ = rdtsc(); call; rdtsc() - start_; })

static struct life live(void)
{
	struct life life;
	struct tiny t;

	life.create_vm = ticks(tiny_create_vm(&t));
	life.create_vcpu = ticks(tiny_create_vcpu(&t));
	tiny_prepare(&t);
	life.first_run = ticks(tiny_run(&t));
	tiny_check(&t);
	life.destroy = ticks(tiny_destroy(&t));
	return life;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name, const struct life *lives, size_t field)
{
	u64 sorted[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		sorted[i] = *(const u64 *)((const u8 *)&lives[i] + field);
	qsort(sorted, ROUNDS, sizeof(sorted[0]), compare);
	printf("%s %lu\n", name, sorted[ROUNDS / 2]);
}

/*
 * KiB of memory that nobody has: the free pages of all zones, and those on the
 * lists of the CPUs ("count"), which the kernel does not call free.
 */
static u64 memory_free(void)
{
	char line[128];
	u64 pages = 0, n;
	FILE *file;

	sleep(1);			/* what RCU is to free */
	file = fopen("/proc/sys/vm/stat_refresh", "w");
	die_unless(file && fputs("1", file) > 0 && !fclose(file));
	file = fopen("/proc/zoneinfo", "r");
	die_unless(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " nr_free_pages %lu", &n) == 1 ||
		    sscanf(line, " count: %lu", &n) == 1)
			pages += n;
	fclose(file);
	return pages * PAGE_SIZE / 1024;
}

/* The first half of the VMs uses up what lies free in slabs. */
static u64 memory_of_a_vm(void)
{
	static struct tiny held[2 * HELD];
	u64 before = 0;

	for (int i = 0; i < 2 * HELD; i++) {
		if (i == HELD)
			before = memory_free();
		tiny_create_vm(&held[i]);
		tiny_create_vcpu(&held[i]);
		tiny_prepare(&held[i]);
		tiny_run(&held[i]);
	}
	before -= memory_free();
	for (int i = 0; i < 2 * HELD; i++)
		tiny_destroy(&held[i]);
	return before / HELD;
}

int main(void)
{
	static const u8 code[] = { 0xee /* out %al, %dx */, 0xf4 /* hlt */ };
	struct life lives[ROUNDS];

	dev = kvm_open();
	run_size = kvm_do(dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	memory = mmap(NULL, VM_LOW_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	die_unless(memory != MAP_FAILED);
	memcpy(memory + CODE, code, sizeof(code));

	live();				/* the first one finds the caches cold */
	for (int i = 0; i < ROUNDS; i++)
		lives[i] = live();
	report("create-vm", lives, offsetof(struct life, create_vm));
	report("create-vcpu", lives, offsetof(struct life, create_vcpu));
	report("first-run", lives, offsetof(struct life, first_run));
	report("destroy-vm", lives, offsetof(struct life, destroy));
	printf("memory-kib %lu\n", memory_of_a_vm());
	return 0;
}
