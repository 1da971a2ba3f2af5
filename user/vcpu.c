// SPDX-License-Identifier: GPL-2.0
#include <asm/processor-flags.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpuid.h"
#include "pool.h"
#include "vcpu.h"

enum {
	/* Makes a vCPU leave KVM_RUN; why stands in vcpu_world. */
	SIGNAL_KICK = SIGUSR1,

	/* SDM 4 "Architectural MSRs" */
	MSR_MISC_ENABLE = 0x1a0, MISC_ENABLE_FAST_STRING = 1 << 0,
	MSR_MTRR_DEF_TYPE = 0x2ff, MTRR_ENABLE = 1 << 11, MTRR_WRITE_BACK = 6,

	/* SDM 3A "Local Vector Table" */
	LAPIC_LINT0 = 0x350, LAPIC_LINT1 = 0x360,
	LVT_EXTINT = 7 << 8, LVT_NMI = 4 << 8,

	/* SDM 1 "x87 FPU Control Word", "MXCSR Control and Status Register" */
	FPU_CONTROL = 0x37f, SSE_CONTROL = 0x1f80,

	EFER_LME = 1 << 8, EFER_LMA = 1 << 10,
	RFLAGS_RESERVED = 1 << 1,

	BOOT_CS = 0x10, BOOT_DS = 0x18,	/* as the boot protocol wants them */
	TSS_SELECTOR = 0x20,
	TYPE_CODE = 0xb, TYPE_DATA = 0x3, TYPE_TSS_BUSY = 0xb,
};

/* An MSR as firmware leaves it; a KVM that does not know it needs none. */
static void set_msr(const struct vcpu *vcpu, u32 index, u64 value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs.head) != 1)
		verbose("vCPU %u: KVM does not take MSR 0x%x", vcpu->id, index);
}

static void set_lapic_word(struct kvm_lapic_state *lapic, unsigned int reg, u32 value)
{
	memcpy(lapic->regs + reg, &value, sizeof(value));
}

/* The 8259s reach the CPU by LINT0, NMIs by LINT1. */
static void set_lapic(const struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;

	KVM_CALL(vcpu->fd, KVM_GET_LAPIC, &lapic);
	set_lapic_word(&lapic, LAPIC_LINT0, LVT_EXTINT);
	set_lapic_word(&lapic, LAPIC_LINT1, LVT_NMI);
	KVM_CALL(vcpu->fd, KVM_SET_LAPIC, &lapic);
}

static void set_fpu(const struct vcpu *vcpu)
{
	struct kvm_fpu fpu = { .fcw = FPU_CONTROL, .mxcsr = SSE_CONTROL };

	KVM_CALL(vcpu->fd, KVM_SET_FPU, &fpu);
}

/**
 * vcpu_create() - a vCPU after firmware's work.
 * @vcpu: to be filled.
 * @kvm: with a VM.
 * @id: its number and APIC id.
 * @cpuid: table for all; its APIC ids become this vCPU's.
 * @world: what the vCPUs share.
 */
void vcpu_create(struct vcpu *vcpu, const struct kvm *kvm, unsigned int id,
		 struct kvm_cpuid2 *cpuid, struct vcpu_world *world)
{
	*vcpu = (struct vcpu){ .id = id, .world = world };
	vcpu->fd = KVM_CALL(kvm->vm, KVM_CREATE_VCPU, id);
	vcpu->run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die("vCPU %u: mmap: %s", id, strerror(errno));
	cpuid_set_id(cpuid, id);
	KVM_CALL(vcpu->fd, KVM_SET_CPUID2, cpuid);
	set_msr(vcpu, MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING);
	set_msr(vcpu, MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK);
	set_lapic(vcpu);
	set_fpu(vcpu);
}

static struct kvm_segment flat_segment(u16 selector, u8 type, bool code)
{
	return (struct kvm_segment){
		.limit = ~0U, .selector = selector, .type = type,
		.present = 1, .s = 1, .g = 1, .db = !code, .l = code,
	};
}

/**
 * vcpu_boot() - put the boot CPU at the kernel's 64-bit entry.
 * @vcpu: vCPU 0.
 * @entry: registers.
 */
void vcpu_boot(const struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_regs regs = {
		.rip = entry->rip, .rsi = entry->rsi, .rflags = RFLAGS_RESERVED,
	};
	struct kvm_sregs sregs;

	KVM_CALL(vcpu->fd, KVM_GET_SREGS, &sregs);
	sregs.cs = flat_segment(BOOT_CS, TYPE_CODE, true);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss =
		flat_segment(BOOT_DS, TYPE_DATA, false);
	sregs.tr = (struct kvm_segment){
		.selector = TSS_SELECTOR, .type = TYPE_TSS_BUSY, .present = 1, .limit = 0xffff,
	};
	sregs.gdt.base = entry->gdt;
	sregs.gdt.limit = entry->gdt_limit;
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	sregs.cr3 = entry->cr3;
	sregs.cr4 = X86_CR4_PAE;
	sregs.cr0 = X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_PE;
	sregs.efer = EFER_LME | EFER_LMA;
	KVM_CALL(vcpu->fd, KVM_SET_SREGS, &sregs);
	KVM_CALL(vcpu->fd, KVM_SET_REGS, &regs);
}

static void vcpu_pio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u8 *data = (u8 *)run + run->io.data_offset;

	for (u32 i = 0; i < run->io.count; i++, data += run->io.size)
		bus_access(&vcpu->world->pio, run->io.port, data, run->io.size,
			   run->io.direction == KVM_EXIT_IO_OUT);
}

static void vcpu_crash(struct vcpu *vcpu, const char *what)
{
	if (vcpu->world->crashed(vcpu->world))
		vcpu_report(vcpu, what);
}

/* KVM_RUN failed.  A vCPU that was kicked goes on, or sees that it is to stop. */
static void vcpu_run_failed(struct vcpu *vcpu, int error)
{
	if (error == EINTR || error == EAGAIN)
		return;
	vcpu_crash(vcpu, strerror(error));
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct kvm_run *run = vcpu->run;

	while (!__atomic_load_n(&vcpu->world->stop, __ATOMIC_ACQUIRE)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			vcpu_run_failed(vcpu, errno);
			continue;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			vcpu_pio(vcpu);
			break;
		case KVM_EXIT_MMIO:
			bus_access(&vcpu->world->mmio, run->mmio.phys_addr, run->mmio.data,
				   run->mmio.len, run->mmio.is_write);
			break;
		case KVM_EXIT_INTR:
		case KVM_EXIT_IRQ_WINDOW_OPEN:
			break;
		default:
			vcpu_crash(vcpu, NULL);
		}
	}
	return NULL;
}

static void vcpu_kicked(int sig __attribute__((unused)))
{
	/* That it came is all. */
}

/**
 * vcpu_start() - let it run, in a thread of its own.
 * @vcpu: created.
 */
void vcpu_start(struct vcpu *vcpu)
{
	struct sigaction kick = { .sa_handler = vcpu_kicked };
	int ret;

	sigaction(SIGNAL_KICK, &kick, NULL);
	ret = thread_start(&vcpu->thread, vcpu_thread, vcpu);
	if (ret)
		die("vCPU %u: cannot start a thread: %s", vcpu->id, strerror(ret));
}

/**
 * vcpu_kick() - have a vCPU look at world->stop, wherever it is.
 * @vcpu: started.
 */
void vcpu_kick(const struct vcpu *vcpu)
{
	/* The flag is for one on its way in, the signal for one inside. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(vcpu->thread, SIGNAL_KICK);
}

/**
 * vcpu_join() - wait for a vCPU that was told to stop, and let go of it.
 * @vcpu: kicked, after world->stop was set.
 * @kvm: KVM.
 */
void vcpu_join(struct vcpu *vcpu, const struct kvm *kvm)
{
	pthread_join(vcpu->thread, NULL);
	munmap(vcpu->run, kvm->run_size);
	close(vcpu->fd);
}
