// SPDX-License-Identifier: GPL-2.0
/* VMs and vCPUs for the tests: see vm.h. */
#define _GNU_SOURCE		/* CPU sets */
#include <asm/kvm_para.h>
#include <sched.h>
#include <stdarg.h>
#include "vm.h"

/* Where the image begins and ends: the linker's symbols. */
extern u8 __executable_start[], _end[];

static volatile sig_atomic_t timed_out;

void vm_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(1);
}

bool use_cpu(unsigned int n)
{
	static cpu_set_t left;		/* before the first call narrowed it */
	cpu_set_t one;
	int cpu = 0;

	if (!CPU_COUNT(&left))
		die_unless(!sched_getaffinity(0, sizeof(left), &left));
	if (n >= CPU_COUNT(&left))
		return false;
	while (!CPU_ISSET(cpu, &left) || n--)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	die_unless(!sched_setaffinity(0, sizeof(one), &one));
	return true;
}

u32 vm_slowness(void)
{
	const char *times = getenv("LAB_SLOW");

	return times ? atoi(times) : 1;
}

static pthread_t threads[VM_MAX_VCPUS];	/* of vcpu_spawn(), as far as not joined */
static volatile sig_atomic_t spawned[VM_MAX_VCPUS];

/* A thread that is in KVM_RUN tells more, once it is out; it gets two seconds. */
static void alarm_rang(int sig)
{
	if (timed_out)
		vm_die("the test hangs");
	timed_out = true;
	for (int i = 0; i < VM_MAX_VCPUS; i++)
		if (spawned[i])
			pthread_kill(threads[i], SIGUSR2);
	alarm(2);
}

static void interrupted(int sig)
{
}

static void watch(void)
{
	struct sigaction action = { .sa_handler = alarm_rang };

	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = interrupted;
	sigaction(SIGUSR2, &action, NULL);
	alarm(VM_TIMEOUT * vm_slowness());
}

int kvm_open(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		vm_die("/dev/kvm: %m");
	return fd;
}

int kvm_cap(long cap)
{
	static int dev = -1;

	if (dev < 0)
		dev = kvm_open();
	return ioctl(dev, KVM_CHECK_EXTENSION, cap);
}

struct kvm_cpuid2 *kvm_supported_cpuid(void)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[100];
	} table;
	int dev = kvm_open();

	table.head.nent = 100;
	kvm_do(dev, KVM_GET_SUPPORTED_CPUID, &table.head);
	close(dev);
	return &table.head;
}

struct kvm_cpuid_entry2 *kvm_cpuid_find(struct kvm_cpuid2 *cpuid, u32 leaf, u32 subleaf)
{
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf))
			return e;
	}
	return NULL;
}

bool kvm_cpu_is_amd(void)
{
	struct kvm_cpuid_entry2 *e = kvm_cpuid_find(kvm_supported_cpuid(), 0, 0);

	return e && (e->ebx == 0x68747541 || e->ebx == 0x6f677948);	/* "Auth", "Hygo" */
}

/* By its name: "QEMU TCG CPU version ...". */
bool kvm_cpu_is_tcg(void)
{
	u32 name[13] = { 0 };

	for (u32 i = 0; i < 3; i++) {
		struct cpuid_regs r = cpuid(0x80000002 + i, 0);

		memcpy(&name[4 * i], &r, sizeof(r));
	}
	return strstr((char *)name, "TCG CPU");
}

/* The lab says which machine it has booted: by CPUID alone it is an AMD one. */
bool kvm_cpu_is_bochs_amd(void)
{
	const char *cpu = getenv("LAB_CPU");

	return cpu && !strcmp(cpu, "amd-bochs");
}

/* Stock KVM comes as two modules, the vendor's beside kvm. */
bool kvm_is_stock(void)
{
	return !access("/sys/module/kvm_amd", F_OK) || !access("/sys/module/kvm_intel", F_OK);
}

int vm_set_slot(struct vm *vm, u32 slot, u64 gpa, u64 size, void *hva, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (u64)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

void *vm_add_ram(struct vm *vm, u32 slot, u64 gpa, u64 size, u32 flags)
{
	void *hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	die_unless(hva != MAP_FAILED);
	if (vm_set_slot(vm, slot, gpa, size, hva, flags))
		vm_die("slot %u at %#llx: %m", slot, (unsigned long long)gpa);
	return hva;
}

void vm_create_bare(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	watch();
	vm->dev = kvm_open();
	vm->fd = kvm_do(vm->dev, KVM_CREATE_VM, 0);
}

void vm_create(struct vm *vm, unsigned int flags)
{
	u64 start = (u64)__executable_start & -PAGE_SIZE;
	u64 end = ((u64)_end + PAGE_SIZE - 1) & -PAGE_SIZE;

	vm_create_bare(vm);
	guest_on_bochs_amd = kvm_cpu_is_bochs_amd();
	if (kvm_cap(KVM_CAP_SET_TSS_ADDR) > 0)
		kvm_do(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	if (flags & VM_IRQCHIP)
		kvm_do(vm->fd, KVM_CREATE_IRQCHIP, 0);
	if (flags & VM_PIT) {
		struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

		kvm_do(vm->fd, KVM_CREATE_PIT2, &config);
	}
	if (vm_set_slot(vm, SLOT_IMAGE, start, end - start, (void *)start, 0))
		vm_die("this program as guest memory: %m");
	vm->low = vm_add_ram(vm, SLOT_LOW, 0, VM_LOW_SIZE, 0);
}

struct vcpu *vm_create_one(struct vm *vm, unsigned int flags)
{
	vm_create(vm, flags);
	return vm_add_vcpu(vm, 0);
}

void vm_destroy(struct vm *vm)
{
	for (int i = 0; i < VM_MAX_VCPUS; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (!vcpu)
			continue;
		munmap(vcpu->run, vcpu->run_size);
		close(vcpu->fd);
		free(vcpu);
	}
	if (vm->low)
		munmap(vm->low, VM_LOW_SIZE);
	close(vm->fd);
	close(vm->dev);
}

/* ---- running ---- */

const char *exit_name(u32 reason)
{
	static const char * const names[] = {
		[KVM_EXIT_UNKNOWN] = "UNKNOWN", [KVM_EXIT_EXCEPTION] = "EXCEPTION",
		[KVM_EXIT_IO] = "IO", [KVM_EXIT_HYPERCALL] = "HYPERCALL",
		[KVM_EXIT_DEBUG] = "DEBUG", [KVM_EXIT_HLT] = "HLT", [KVM_EXIT_MMIO] = "MMIO",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
		[KVM_EXIT_SHUTDOWN] = "SHUTDOWN", [KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
		[KVM_EXIT_INTR] = "INTR", [KVM_EXIT_SET_TPR] = "SET_TPR",
		[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
		[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
		[KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
		[KVM_EXIT_X86_RDMSR] = "X86_RDMSR", [KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
	};

	return reason < ARRAY_SIZE(names) && names[reason] ? names[reason] : "?";
}

/* One line that says where the vCPU is, and why it matters. */
static void tell(struct vcpu *vcpu, const char *why)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_regs r = vcpu_regs(vcpu);
	u64 detail = 0;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		detail = run->io.port;
		break;
	case KVM_EXIT_MMIO:
		detail = run->mmio.phys_addr;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		detail = run->internal.suberror;
		break;
	case KVM_EXIT_FAIL_ENTRY:
		detail = run->fail_entry.hardware_entry_failure_reason;
		break;
	}
	fprintf(stderr, "# %s: vCPU %u, last exit KVM_EXIT_%s (%u) detail %#lx\n", why, vcpu->id,
		exit_name(run->exit_reason), run->exit_reason, detail);
	fprintf(stderr, "# rip %#llx rsp %#llx rflags %#llx rax %#llx\n", r.rip, r.rsp, r.rflags,
		r.rax);
}

static void __attribute__((noreturn)) die_at_exit(struct vcpu *vcpu, const char *why)
{
	tell(vcpu, why);
	_exit(1);
}

static void die_of_guest(struct vcpu *vcpu)
{
	struct guest_cpu *guest = vcpu->guest;

	vm_die("guest: %s:%#lx (%lu): %s is %#lx, not %#lx", guest->report.file,
	       guest->report.line, guest->report.line, guest->report.what,
	       guest->report.seen, guest->report.expected);
}

u32 vcpu_enter(struct vcpu *vcpu)
{
	int ret = ioctl(vcpu->fd, KVM_RUN, 0);

	if (timed_out) {
		tell(vcpu, "the guest hangs");
		for (;;)
			pause();	/* while the others tell; the second alarm ends it */
	}
	if (ret < 0) {
		char why[80];

		snprintf(why, sizeof(why), "KVM_RUN: %m");
		die_at_exit(vcpu, why);
	}
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == PORT_FAIL)
		die_of_guest(vcpu);
	return vcpu->run->exit_reason;
}

static bool at_port(struct vcpu *vcpu, u16 port)
{
	return vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == port;
}

static u64 result_of(struct vcpu *vcpu)
{
	if (!at_port(vcpu, PORT_DONE))
		die_at_exit(vcpu, "the guest should have ended");
	return vcpu->guest->result;
}

u64 vcpu_finish(struct vcpu *vcpu)
{
	vcpu_enter(vcpu);
	return result_of(vcpu);
}

u64 vcpu_drain(struct vcpu *vcpu)
{
	do {
		vcpu_enter(vcpu);
	} while (at_port(vcpu, PORT_SYNC));
	return result_of(vcpu);
}

u32 vcpu_sync(struct vcpu *vcpu)
{
	u32 stage;

	vcpu_enter(vcpu);
	if (!at_port(vcpu, PORT_SYNC))
		die_at_exit(vcpu, "guest_sync() should have come");
	memcpy(&stage, vcpu_pio_data(vcpu), sizeof(stage));
	return stage;
}

u64 vcpu_call(struct vcpu *vcpu, guest_fn fn, u64 arg)
{
	vcpu_start(vcpu, fn, arg);
	return vcpu_finish(vcpu);
}

static void *run_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	vcpu->result = vcpu_finish(vcpu);
	return NULL;
}

void vcpu_spawn_entered(struct vcpu *vcpu)
{
	die_unless(!pthread_create(&threads[vcpu->id], NULL, run_thread, vcpu));
	spawned[vcpu->id] = true;
}

void vcpu_spawn(struct vcpu *vcpu, guest_fn fn, u64 arg)
{
	vcpu_start(vcpu, fn, arg);
	vcpu_spawn_entered(vcpu);
}

u64 vcpu_join(struct vcpu *vcpu)
{
	die_unless(!pthread_join(threads[vcpu->id], NULL));
	spawned[vcpu->id] = false;
	return vcpu->result;
}

void *interrupt_thread(pthread_t thread)
{
	void *returned;

	while (pthread_tryjoin_np(thread, &returned)) {
		pthread_kill(thread, SIGUSR2);
		usleep(10000);
	}
	return returned;
}

static void *enter_once(void *vcpu)
{
	return (void *)(long)errno_of(ioctl(((struct vcpu *)vcpu)->fd, KVM_RUN, 0));
}

int vcpu_enter_interrupted(struct vcpu *vcpu, u32 usec)
{
	pthread_t thread;

	die_unless(!pthread_create(&thread, NULL, enter_once, vcpu));
	usleep(usec);
	return (long)interrupt_thread(thread);
}

/* ---- state ---- */

struct kvm_regs vcpu_regs(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	kvm_do(vcpu->fd, KVM_GET_REGS, &regs);
	return regs;
}

void vcpu_set_regs(struct vcpu *vcpu, const struct kvm_regs *regs)
{
	kvm_do(vcpu->fd, KVM_SET_REGS, regs);
}

struct kvm_sregs vcpu_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	kvm_do(vcpu->fd, KVM_GET_SREGS, &sregs);
	return sregs;
}

void vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	kvm_do(vcpu->fd, KVM_SET_SREGS, sregs);
}

struct kvm_vcpu_events vcpu_events(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	kvm_do(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);
	return events;
}

void vcpu_set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	kvm_do(vcpu->fd, KVM_SET_VCPU_EVENTS, events);
}

u32 vcpu_mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state;

	kvm_do(vcpu->fd, KVM_GET_MP_STATE, &state);
	return state.mp_state;
}

void vcpu_set_mp_state(struct vcpu *vcpu, u32 state)
{
	struct kvm_mp_state mp_state = { state };

	kvm_do(vcpu->fd, KVM_SET_MP_STATE, &mp_state);
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int vcpu_get_msr(struct vcpu *vcpu, u32 index, u64 *val)
{
	struct one_msr msr = { { .nmsrs = 1 }, { .index = index } };
	int ret = kvm_do(vcpu->fd, KVM_GET_MSRS, &msr);

	*val = msr.entry.data;
	return ret;
}

int vcpu_set_msr(struct vcpu *vcpu, u32 index, u64 val)
{
	struct one_msr msr = { { .nmsrs = 1 }, { .index = index, .data = val } };

	return kvm_do(vcpu->fd, KVM_SET_MSRS, &msr);
}

u64 vcpu_msr(struct vcpu *vcpu, u32 index)
{
	u64 val;

	if (vcpu_get_msr(vcpu, index, &val) != 1)
		vm_die("MSR %#x cannot be read", index);
	return val;
}

void vcpu_set_cpuid(struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	kvm_do(vcpu->fd, KVM_SET_CPUID2, cpuid);
}

u32 xapic_state_reg(struct kvm_lapic_state *state, enum apic_reg reg)
{
	u32 val;

	memcpy(&val, state->regs + reg, sizeof(val));
	return val;
}

void xapic_state_set_reg(struct kvm_lapic_state *state, enum apic_reg reg, u32 val)
{
	memcpy(state->regs + reg, &val, sizeof(val));
}

enum { XCR0_X87 = 1 << 0, XCR0_SSE = 1 << 1 };

static u64 set_xcr0(u64 val)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	asm volatile("xsetbv" : : "a"(val), "c"(0), "d"(0));
	return 0;
}

bool vcpu_sees_xsetbv(struct vcpu *vcpu)
{
	struct kvm_xcrs xcrs;

	vcpu_call(vcpu, set_xcr0, XCR0_X87 | XCR0_SSE);
	kvm_do(vcpu->fd, KVM_GET_XCRS, &xcrs);
	return xcrs.nr_xcrs == 1 && xcrs.xcrs[0].value == (XCR0_X87 | XCR0_SSE);
}

void vm_irq_line(struct vm *vm, u32 gsi, u32 level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	kvm_do(vm->fd, KVM_IRQ_LINE, &line);
}

void vm_irq_pulse(struct vm *vm, u32 gsi)
{
	vm_irq_line(vm, gsi, 1);
	vm_irq_line(vm, gsi, 0);
}

int vm_signal_msi(struct vm *vm, u32 dest, u32 data)
{
	struct kvm_msi msi = { .address_lo = APIC_BASE_ADDR | dest << 12, .data = data };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

int vm_set_routes(struct vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr, u32 flags)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[64];
	} table = { .head = { .nr = nr, .flags = flags } };

	die_unless(nr <= 64);
	memcpy(table.entries, entries, nr * sizeof(*entries));
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table);
}
