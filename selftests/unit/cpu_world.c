// SPDX-License-Identifier: GPL-2.0
/* See cpu_world.h. */
#include <stdio.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/tsc.h>
#include "backend.h"
#include "clock.h"
#include "cpuid.h"
#include "fpu.h"
#include "irq/irq.h"

struct world world;
struct cpuinfo_x86 boot_cpu_data;
unsigned int tsc_khz;
u64 fpu_supported_xcr0 = 7;

static struct task_struct thread;
struct task_struct *current = &thread;

static struct vm the_vm;
static struct vcpu the_vcpus[WORLD_VCPUS];

/* ---- the host's clocks ---- */

unsigned long long rdtsc(void)
{
	u64 ns = world.ns - world.tsc_start_ns;

	return (unsigned __int128)ns * world.tsc_hz / 1000000000 + world.tsc_error;
}

unsigned long long rdtsc_ordered(void)
{
	world.ns++;	/* it takes a while */
	return rdtsc();
}

int check_tsc_unstable(void)
{
	return world.tsc_unstable;
}

void ktime_get_snapshot(struct system_time_snapshot *snapshot)
{
	world.ns++;
	snapshot->cycles = world.other_clocksource ? world.ns / 100 : rdtsc();
	snapshot->raw = world.ns - world.slept_ns;
	snapshot->real = world.ns + WORLD_REAL_NS;
}

ktime_t ktime_mono_to_any(ktime_t mono, enum tk_offsets offset)
{
	return mono + world.slept_ns;
}

unsigned long long ktime_get_raw_ns(void)
{
	return world.ns - world.slept_ns;
}

/* ---- the host's CPU ---- */

bool boot_cpu_has(unsigned int feature)
{
	return cpuid_host_supports(feature);
}

bool boot_cpu_has_bug(unsigned int bug)
{
	return false;
}

bool cpuid_host_supports(unsigned int feature)
{
	return world.features[feature / 32] & (1U << (feature % 32));
}

u32 cpuid_xstate_size(u64 components, bool compacted)
{
	return 576 + components * 8 + compacted;
}

unsigned long long host_rdmsr(unsigned int index)
{
	return 0;
}

void host_wrmsr(unsigned int index, unsigned long long val)
{
	world.msr[0] = index;
	world.msr[1] = val;
}

/* ---- guest memory ---- */

int pv_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned long len)
{
	if (gpa + len > WORLD_MEMORY)
		return -EFAULT;
	memcpy(data, world.memory + gpa, len);
	return 0;
}

int pv_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned long len)
{
	if (gpa + len > WORLD_MEMORY)
		return -EFAULT;
	if (world.before_write)
		world.before_write(gpa, data, len);
	memcpy(world.memory + gpa, data, len);
	return 0;
}

int pv_cmpxchg(struct vcpu *vcpu, gpa_t gpa, void *old, const void *new, unsigned int len)
{
	if (gpa + len > WORLD_MEMORY)
		return -EFAULT;
	if (memcmp(world.memory + gpa, old, len)) {
		memcpy(old, world.memory + gpa, len);
		return 1;
	}
	memcpy(world.memory + gpa, new, len);
	return 0;
}

/* ---- the rest of the module ---- */

static struct backend the_backend = { .tsc_ratio_frac_bits = 32 };
const struct backend *backend_ops = &the_backend;

void world_has_tsc_scaling(bool has)
{
	the_backend.max_tsc_ratio = has ? 1ULL << 40 : 0;
}

void backend_set_tsc_offset(struct vcpu *vcpu)
{
}

void backend_cpuid_changed(struct vcpu *vcpu)
{
}

void backend_flush_tlb(struct vcpu *vcpu, bool all)
{
	world.nr_flushes++;
}

void backend_set_efer(struct vcpu *vcpu, u64 efer)
{
	vcpu->efer = efer;
}

/* Of the registers that a vendor keeps, all are one here. */
static bool vendor_keeps(u32 index)
{
	switch (index) {
	case MSR_IA32_SPEC_CTRL:
	case MSR_IA32_SYSENTER_CS ... MSR_IA32_SYSENTER_EIP:
	case MSR_IA32_DEBUGCTLMSR:
	case MSR_STAR ... MSR_SYSCALL_MASK:
	case MSR_KERNEL_GS_BASE:
	case MSR_VM_HSAVE_PA:
		return true;
	default:
		return false;
	}
}

int backend_get_msr(struct vcpu *vcpu, u32 index, u64 *val)
{
	*val = world.vendor_msr;
	return vendor_keeps(index) ? 0 : 2;
}

int backend_set_msr(struct vcpu *vcpu, u32 index, u64 val)
{
	if (!vendor_keeps(index))
		return 2;
	world.vendor_msr = val;
	return 0;
}

void vcpu_update_walk(struct vcpu *vcpu)
{
}

void vcpu_kick(struct vcpu *vcpu)
{
	world.nr_kicks++;
}

void vcpu_queue_exception(struct vcpu *vcpu, u8 vector)
{
	vcpu->exception.pending = true;
	vcpu->exception.vector = vector;
}

int lapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *val)
{
	*val = world.lapic_msr;
	return 0;
}

int lapic_msr_write(struct vcpu *vcpu, u32 msr, u64 val)
{
	world.lapic_msr = val;
	return 0;
}

u64 lapic_get_tscdeadline(struct vcpu *vcpu)
{
	return world.lapic_msr;
}

void lapic_set_tscdeadline(struct vcpu *vcpu, u64 val)
{
	world.lapic_msr = val;
}

int lapic_set_base(struct vcpu *vcpu, u64 val, bool host)
{
	vcpu->apic_base = val;
	return 0;
}

int lapic_set_pv_eoi(struct vcpu *vcpu, u64 val)
{
	vcpu->pv_eoi_msr = val;
	return 0;
}

/* ---- what tests call ---- */

struct vm *world_vm(void)
{
	memset(&world, 0, sizeof(world));
	memset(world.features, 0xff, sizeof(world.features));
	memset(&the_vm, 0, sizeof(the_vm));
	memset(the_vcpus, 0, sizeof(the_vcpus));
	memset(&thread, 0, sizeof(thread));
	world.tsc_hz = 2000000000;
	world.ns = 1000000000;
	tsc_khz = world.tsc_hz / 1000;
	boot_cpu_data.x86_vendor = X86_VENDOR_AMD;
	world_has_tsc_scaling(false);
	clock_tsc_lost = 0;
	clock_vm_init(&the_vm);
	return &the_vm;
}

struct vcpu *world_vcpu(struct vm *vm)
{
	struct vcpu *vcpu = &the_vcpus[vm->nr_vcpus];

	vcpu->vm = vm;
	vcpu->id = vm->nr_vcpus;
	vcpu->cpu = -1;
	cpuid_vcpu_init(vcpu);
	clock_vcpu_init(vcpu);
	vm->vcpus[vm->nr_vcpus++] = vcpu;
	return vcpu;
}

u64 world_guest_tsc(struct vcpu *vcpu)
{
	return ((unsigned __int128)rdtsc() * vcpu->tsc_scaling_ratio >> 32) + vcpu->tsc_offset;
}
