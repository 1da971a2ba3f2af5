// SPDX-License-Identifier: GPL-2.0
/*
 * Out of memory, in every place: whatever allocates is called again and again,
 * and each time another one of its allocations fails, the first, the second and
 * so on, until it has none left that could.  It may do without, or else say
 * ENOMEM (EFAULT where the kernel could not reach user space's memory), and then
 * it must work when it is called once more.  What a failure leaks is found by
 * module_reload.
 *
 * The kernel does this for one thread: Documentation/fault-injection, "fail-nth".
 * Only the debug kernel can.
 */
#include "test.h"
#include <sys/syscall.h>

enum {
	MOST = 500,		/* allocations in one call */
	GSI = 5,
	VECTOR = 0x51,
	SLOT = SLOT_TEST,
};

#define RAM_SIZE	(64 * PAGE_SIZE)

/* ---- the kernel's side ---- */

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		vm_die("%s: %m", path);
	close(fd);
}

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"
#define FAIL_COPY	"/sys/kernel/debug/fail_usercopy/"

/* Before all else: one reason for all tests. */
static void __attribute__((constructor)) skip_all(void)
{
	if (!access(FAILSLAB, F_OK) && !access("/proc/self/fail-nth", F_OK))
		return;
	puts("TAP version 13\n1..0 # SKIP this kernel cannot let allocations fail");
	exit(4);
}

/* All sorts of allocations, in silence. */
static void prepare(void)
{
	set(FAILSLAB "verbose", "0");
	set(FAILSLAB "ignore-gfp-wait", "N");
	set(FAIL_PAGE "verbose", "0");
	set(FAIL_PAGE "ignore-gfp-wait", "N");
	set(FAIL_PAGE "ignore-gfp-highmem", "N");
	set(FAIL_PAGE "min-order", "0");
	if (!access(FAIL_COPY, F_OK))
		set(FAIL_COPY "verbose", "0");
	/* Not all of the kernel is to be silenced: the lab knows by this what its complaints are. */
	set("/dev/kmsg", "lab: allocations fail on purpose\n");
}

static int fail_nth = -1;		/* this thread's file */

static void fail_at(unsigned int nth)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%u", nth);

	/* The copy of this very text may be what fails; then none is left to fail. */
	die_unless(pwrite(fail_nth, text, len, 0) == len || (!nth && errno == EFAULT));
}

/* Did it come to that? No failure is left waiting afterwards. */
static bool has_failed(void)
{
	char text[12] = "";
	bool failed;

	/* So may the copy of this one. */
	failed = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
	fail_at(0);
	return failed;
}

/* ---- calls that allocate ---- */

FIXTURE(out_of_memory) {
	struct vm vm;
	struct vcpu *vcpu;
	void *ram;
	int fd, resample;
};

FIXTURE_SETUP(out_of_memory)
{
	prepare();
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	die_unless(fail_nth >= 0);
	self->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	self->fd = eventfd(0, 0);
	self->resample = eventfd(0, 0);
}

FIXTURE_TEARDOWN(out_of_memory) { }

typedef FIXTURE_DATA(out_of_memory) world;

static void make_vm(world *w)
{
	vm_create(&w->vm, VM_IRQCHIP);
}

static void make_all(world *w)
{
	w->vcpu = vm_create_one(&w->vm, VM_IRQCHIP | VM_PIT);
}

static void end_vm(world *w)
{
	vm_destroy(&w->vm);
	memset(&w->vm, 0, sizeof(w->vm));
	w->vcpu = NULL;
}

/*
 * Let each allocation of @call fail: before() it, then twice itself, the second
 * time without failures if the first one did not work, then after().  Returns
 * how many allocations there were.
 */
static unsigned int fail_each(world *w, void (*before)(world *w), long (*call)(world *w),
			      void (*after)(world *w))
{
	for (unsigned int nth = 1; nth <= MOST; nth++) {
		bool failed;
		long ret;
		int err;

		before(w);
		fail_at(nth);
		ret = call(w);
		err = errno_of(ret);
		failed = has_failed();
		if (err && err != ENOMEM && err != EFAULT)
			vm_die("failure %u: %s", nth, strerror(err));
		if (err && !failed)
			vm_die("%s without a failure", strerror(err));
		if (err && call(w) < 0)
			vm_die("failure %u: then it fails for ever: %m", nth);
		after(w);
		if (!failed)
			return nth - 1;
	}
	vm_die("more than %u allocations", MOST);
}

#define FAIL_EACH(before, call, after) \
	TH_LOG("%u allocations", fail_each(self, before, call, after))

static void nothing(world *w)
{
}

static long create_vm(world *w)
{
	return w->vm.fd = ioctl(w->vm.dev, KVM_CREATE_VM, 0);
}

static void close_vm(world *w)
{
	close(w->vm.fd);
}

TEST_F(out_of_memory, creating_a_vm)
{
	self->vm.dev = kvm_open();
	FAIL_EACH(nothing, create_vm, close_vm);
}

static void make_bare_vm(world *w)
{
	vm_create_bare(&w->vm);
}

static long create_irqchip(world *w)
{
	return ioctl(w->vm.fd, KVM_CREATE_IRQCHIP, 0);
}

TEST_F(out_of_memory, creating_the_interrupt_controllers)
{
	FAIL_EACH(make_bare_vm, create_irqchip, end_vm);
}

static long create_pit(world *w)
{
	struct kvm_pit_config config = { 0 };

	return ioctl(w->vm.fd, KVM_CREATE_PIT2, &config);
}

TEST_F(out_of_memory, creating_the_pit)
{
	FAIL_EACH(make_vm, create_pit, end_vm);
}

static long create_vcpu(world *w)
{
	return w->fd = ioctl(w->vm.fd, KVM_CREATE_VCPU, 0);
}

static void end_vcpu(world *w)
{
	close(w->fd);
	end_vm(w);
}

TEST_F(out_of_memory, creating_a_vcpu)
{
	FAIL_EACH(make_vm, create_vcpu, end_vcpu);
}

static long map_run_area(world *w)
{
	void *run = mmap(NULL, w->vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 w->vcpu->fd, 0);

	if (run == MAP_FAILED)
		return -1;
	return munmap(run, w->vcpu->run_size);
}

TEST_F(out_of_memory, mapping_the_run_area)
{
	FAIL_EACH(make_all, map_run_area, end_vm);
}

/* ---- memory slots ---- */

static long add_slot(world *w)
{
	return vm_set_slot(&w->vm, SLOT, VM_RAM, RAM_SIZE, w->ram, 0);
}

static long add_logged_slot(world *w)
{
	return vm_set_slot(&w->vm, SLOT, VM_RAM, RAM_SIZE, w->ram, KVM_MEM_LOG_DIRTY_PAGES);
}

static long move_slot(world *w)
{
	return vm_set_slot(&w->vm, SLOT, VM_RAM + GiB / 2, RAM_SIZE, w->ram, 0);
}

static long delete_slot(world *w)
{
	return vm_set_slot(&w->vm, SLOT, 0, 0, NULL, 0);
}

static void make_slot(world *w)
{
	make_all(w);
	die_unless(!add_slot(w));
}

TEST_F(out_of_memory, adding_a_slot)
{
	FAIL_EACH(make_all, add_slot, end_vm);
}

TEST_F(out_of_memory, adding_a_slot_with_a_log)
{
	FAIL_EACH(make_all, add_logged_slot, end_vm);
}

TEST_F(out_of_memory, beginning_a_log)
{
	FAIL_EACH(make_slot, add_logged_slot, end_vm);
}

TEST_F(out_of_memory, moving_a_slot)
{
	FAIL_EACH(make_slot, move_slot, end_vm);
}

TEST_F(out_of_memory, deleting_a_slot)
{
	FAIL_EACH(make_slot, delete_slot, end_vm);
}

/* ---- interrupts ---- */

static long set_routes(world *w)
{
	struct kvm_irq_routing_entry routes[] = {
		{ .gsi = GSI, .type = KVM_IRQ_ROUTING_IRQCHIP,
		  .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = GSI } },
		{ .gsi = GSI + 1, .type = KVM_IRQ_ROUTING_MSI,
		  .u.msi = { .address_lo = APIC_BASE_ADDR, .data = VECTOR } },
	};

	return vm_set_routes(&w->vm, routes, ARRAY_SIZE(routes), 0);
}

TEST_F(out_of_memory, setting_routes)
{
	FAIL_EACH(make_vm, set_routes, end_vm);
}

static long bind_irqfd(world *w)
{
	struct kvm_irqfd arg = {
		.fd = w->fd, .gsi = GSI,
		.flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = w->resample,
	};

	return ioctl(w->vm.fd, KVM_IRQFD, &arg);
}

TEST_F(out_of_memory, binding_an_irqfd)
{
	FAIL_EACH(make_vm, bind_irqfd, end_vm);
}

static long bind_ioeventfd(world *w)
{
	struct kvm_ioeventfd arg = { .fd = w->fd, .addr = VM_MMIO, .len = 4 };

	return ioctl(w->vm.fd, KVM_IOEVENTFD, &arg);
}

TEST_F(out_of_memory, binding_an_ioeventfd)
{
	FAIL_EACH(make_vm, bind_ioeventfd, end_vm);
}

static long coalesce(world *w)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = VM_MMIO, .size = PAGE_SIZE };

	return ioctl(w->vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

TEST_F(out_of_memory, coalescing_mmio)
{
	FAIL_EACH(make_vm, coalesce, end_vm);
}

/* ---- state ---- */

static long get_supported_cpuid(world *w)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[100];
	} table = { .head.nent = 100 };

	return ioctl(w->vm.dev, KVM_GET_SUPPORTED_CPUID, &table);
}

TEST_F(out_of_memory, asking_for_the_supported_cpuid)
{
	FAIL_EACH(make_vm, get_supported_cpuid, end_vm);
}

static struct kvm_cpuid2 *cpuid_table;

static void make_reset_vcpu(world *w)
{
	make_vm(w);
	cpuid_table = kvm_supported_cpuid();
	w->fd = kvm_do(w->vm.fd, KVM_CREATE_VCPU, 0);
}

static long set_cpuid(world *w)
{
	return ioctl(w->fd, KVM_SET_CPUID2, cpuid_table);
}

TEST_F(out_of_memory, setting_the_cpuid)
{
	FAIL_EACH(make_reset_vcpu, set_cpuid, end_vcpu);
}

/* What a VMM saves and restores; each takes a buffer. */
static long save_and_restore(world *w)
{
	struct kvm_lapic_state lapic;
	struct kvm_xsave xsave;
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { { .nmsrs = 1 }, { .index = MSR_EFER } };
	int fd = w->vcpu->fd;

	if (ioctl(fd, KVM_GET_LAPIC, &lapic) || ioctl(fd, KVM_SET_LAPIC, &lapic) ||
	    ioctl(fd, KVM_GET_XSAVE, &xsave) || ioctl(fd, KVM_SET_XSAVE, &xsave) ||
	    ioctl(w->vm.fd, KVM_GET_IRQCHIP, &chip) || ioctl(w->vm.fd, KVM_SET_IRQCHIP, &chip) ||
	    ioctl(fd, KVM_GET_MSRS, &msr) != 1 || ioctl(fd, KVM_SET_MSRS, &msr) != 1)
		return -1;
	return 0;
}

TEST_F(out_of_memory, saving_and_restoring_state)
{
	FAIL_EACH(make_all, save_and_restore, end_vm);
}

/* ---- running ---- */

/* Touches memory that is not there yet, in the process and in the guest's tables. */
static u64 touch(u64 arg)
{
	u64 sum = 0;

	for (u64 at = 0; at < RAM_SIZE; at += PAGE_SIZE) {
		write64(VM_RAM + at, at);
		write64(VM_RAM + GiB / 2 + at, at);
	}
	for (u64 at = 0; at < RAM_SIZE; at += PAGE_SIZE)
		sum += read64(VM_RAM + at);
	return sum;
}

static void make_touching_guest(world *w)
{
	madvise(w->ram, RAM_SIZE, MADV_DONTNEED);
	make_all(w);
	die_unless(!vm_set_slot(&w->vm, SLOT, VM_RAM, RAM_SIZE, w->ram, KVM_MEM_LOG_DIRTY_PAGES));
	die_unless(!vm_set_slot(&w->vm, SLOT + 1, VM_RAM + GiB / 2, RAM_SIZE, w->ram, 0));
	vcpu_start(w->vcpu, touch, 0);
}

static long run(world *w)
{
	return ioctl(w->vcpu->fd, KVM_RUN, 0);
}

static void guest_is_right(world *w)
{
	u64 sum = 0;

	die_unless(w->vcpu->run->exit_reason == KVM_EXIT_IO);
	die_unless(w->vcpu->run->io.port == PORT_DONE);
	for (u64 at = 0; at < RAM_SIZE; at += PAGE_SIZE)
		sum += at;
	die_unless(w->vcpu->guest->result == sum);
	end_vm(w);
}

TEST_F(out_of_memory, running_a_guest_that_goes_on_where_it_was)
{
	FAIL_EACH(make_touching_guest, run, guest_is_right);
}

static u64 mmio(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	xapic_write(APIC_TMICT, 1000);
	write32(VM_MMIO + 64, 7);
	return xapic_read(APIC_SPIV) & 0xff;
}

static void make_mmio_guest(world *w)
{
	make_all(w);
	die_unless(!coalesce(w));
	vcpu_start(w->vcpu, mmio, 0);
}

static void mmio_is_right(world *w)
{
	if (w->vcpu->run->exit_reason == KVM_EXIT_MMIO)
		vcpu_finish(w->vcpu);
	die_unless(w->vcpu->guest->result == 0xff);
	end_vm(w);
}

TEST_F(out_of_memory, running_a_guest_that_uses_devices)
{
	FAIL_EACH(make_mmio_guest, run, mmio_is_right);
}

/* ---- the module itself ---- */

enum {
	LOADER = 1000000,	/* more allocations than the kernel's loader makes before */
	INIT = 150,		/* more than the module's own, which come last */
	STEP = 4,		/* each load takes its time: try some */
};

static void unload(void)
{
	if (system("kvm-unload"))
		vm_die("it does not unload");
}

static long load(world *w)
{
	return syscall(SYS_finit_module, w->fd, "", 0);
}

/* How many allocations a load takes in all. */
static unsigned int count_loading(world *w)
{
	char text[12] = "";

	fail_at(LOADER);
	die_unless(!load(w));
	die_unless(pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
	fail_at(0);
	unload();
	return LOADER - atoi(text);
}

TEST_F(out_of_memory, loading_the_module)
{
	unsigned int last;

	NEED(!kvm_is_stock(), "stock KVM is under test");
	self->fd = open(getenv("VITRO_KO"), O_RDONLY);
	unload();
	last = count_loading(self);
	for (unsigned int nth = last - INIT; nth <= last; nth += STEP) {
		long ret;

		fail_at(nth);
		ret = load(self);
		fail_at(0);
		if (ret) {
			ASSERT_EQ(ENOMEM, errno);
			ASSERT_EQ(0, load(self));
		}
		unload();
	}
	ASSERT_EQ(0, load(self));
}

TEST_HARNESS_MAIN
