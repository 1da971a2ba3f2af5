// SPDX-License-Identifier: GPL-2.0
/*
 * What both vendors do on an exit.  A vendor's exits.c finds out what it was
 * and calls one function here; enum in exit.h says what the answers mean.
 */
#include <linux/kvm_para.h>
#include "backend.h"
#include "coalesced.h"
#include "compat.h"
#include "cpuid.h"
#include "cr.h"
#include "exit.h"
#include "fpu.h"
#include "irq/irq.h"
#include "mmu/memslot.h"
#include "msr.h"
#include "trace.h"

/* ---- CPUID, MSRs, XSETBV, HLT ---- */

/**
 * exit_cpuid() - CPUID
 * @vcpu: under its mutex
 *
 * Return: EXIT_ADVANCE.
 */
int exit_cpuid(struct vcpu *vcpu)
{
	u32 function = vcpu->regs[EMU_RAX], index = vcpu->regs[EMU_RCX];
	enum cpuid_found found;
	const struct kvm_cpuid_entry2 *leaf = cpuid_lookup(vcpu, function, index, &found);

	vcpu->regs[EMU_RAX] = leaf->eax;
	vcpu->regs[EMU_RBX] = leaf->ebx;
	vcpu->regs[EMU_RCX] = leaf->ecx;
	vcpu->regs[EMU_RDX] = leaf->edx;
	trace_kvm_cpuid(function, index, leaf->eax, leaf->ebx, leaf->ecx, leaf->edx,
			found == CPUID_EXACT, found == CPUID_MAX_BASIC);
	return EXIT_ADVANCE;
}

static bool filtered(struct vcpu *vcpu, u32 index, u32 access)
{
	return unlikely(rcu_access_pointer(vcpu->vm->msr_filter)) &&
	       msr_filtered(vcpu, index, access);
}

/**
 * exit_rdmsr() - RDMSR
 * @vcpu: under its mutex
 *
 * Return: EXIT_ADVANCE; else as msr_refused().
 */
int exit_rdmsr(struct vcpu *vcpu)
{
	u32 index = vcpu->regs[EMU_RCX];
	u64 val = 0;
	int r = filtered(vcpu, index, KVM_MSR_FILTER_READ) ? MSR_FILTERED :
		msr_read(vcpu, index, &val, false);

	if (unlikely(r)) {
		trace_kvm_msr(0, index, 0, true);
		return msr_refused(vcpu, index, false, 0, r);
	}
	vcpu->regs[EMU_RAX] = (u32)val;
	vcpu->regs[EMU_RDX] = val >> 32;
	trace_kvm_msr(0, index, val, false);
	return EXIT_ADVANCE;
}

/**
 * exit_wrmsr() - WRMSR
 * @vcpu: under its mutex
 *
 * Return: EXIT_ADVANCE; else as msr_refused().
 */
int exit_wrmsr(struct vcpu *vcpu)
{
	u32 index = vcpu->regs[EMU_RCX];
	u64 val = (u32)vcpu->regs[EMU_RAX] | vcpu->regs[EMU_RDX] << 32;
	int r = filtered(vcpu, index, KVM_MSR_FILTER_WRITE) ? MSR_FILTERED :
		msr_write(vcpu, index, val, false);

	if (unlikely(r)) {
		trace_kvm_msr(1, index, val, true);
		return msr_refused(vcpu, index, true, val, r);
	}
	trace_kvm_msr(1, index, val, false);
	return EXIT_ADVANCE;
}

/**
 * exit_xsetbv() - XSETBV
 * @vcpu: under its mutex
 *
 * Return: EXIT_ADVANCE, or EXIT_RESUME with #GP queued.
 */
int exit_xsetbv(struct vcpu *vcpu)
{
	u64 val = (u32)vcpu->regs[EMU_RAX] | vcpu->regs[EMU_RDX] << 32;

	return vcpu_code(vcpu).cpl || fpu_set_xcr(vcpu, vcpu->regs[EMU_RCX], val) ?
	       exit_gp(vcpu) : EXIT_ADVANCE;
}

/**
 * exit_hlt() - HLT
 * @vcpu: under its mutex, RIP past the instruction
 *
 * Return: EXIT_RESUME, where the run loop blocks; to user space when it has the APIC.
 */
int exit_hlt(struct vcpu *vcpu)
{
	vcpu->stats.halt_exits++;
	if (vcpu->lapic) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		return unlikely(vcpu->step_done) ? exit_to_debugger(vcpu, DB_VECTOR, DR_STEP) : EXIT_RESUME;
	}
	return exit_to_user(vcpu, KVM_EXIT_HLT);
}

/**
 * exit_mwait() - MONITOR or MWAIT: a NOP, unless user space wants the #UD of a CPU without it
 * @vcpu: under its mutex
 *
 * Return: EXIT_ADVANCE, or EXIT_RESUME with #UD queued.
 */
int exit_mwait(struct vcpu *vcpu)
{
	enum cpuid_found found;

	if (!(vcpu->vm->disabled_quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS))
		return EXIT_ADVANCE;
	return cpuid_lookup(vcpu, 1, 0, &found)->ecx & BIT(X86_FEATURE_MWAIT % 32) ?
	       EXIT_ADVANCE : exit_ud(vcpu);
}

/**
 * exit_pause() - a loop around PAUSE: the vCPU waits for another one
 * @vcpu: under its mutex
 *
 * That one may have been preempted, holding a lock: the first that is outside
 * the guest and not halted gets this CPU.
 *
 * Return: EXIT_ADVANCE.
 */
int exit_pause(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int i, nr = vm_nr_vcpus(vm);

	for (i = 1; i < nr; i++) {
		struct vcpu *other = vm->vcpus[(vcpu->idx + i) % nr];

		if (READ_ONCE(other->mode) == VCPU_OUTSIDE &&
		    READ_ONCE(other->mp_state) == KVM_MP_STATE_RUNNABLE) {
			vcpu_yield_to(other);
			break;
		}
	}
	return EXIT_ADVANCE;
}

/**
 * exit_ud() - an instruction that this guest's CPU does not have
 * @vcpu: under its mutex
 *
 * Return: EXIT_RESUME with #UD queued.
 */
int exit_ud(struct vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, UD_VECTOR);
	return EXIT_RESUME;
}

/**
 * exit_gp() - an instruction that must not be, here and now
 * @vcpu: under its mutex
 *
 * Return: EXIT_RESUME with #GP(0) queued.
 */
int exit_gp(struct vcpu *vcpu)
{
	vcpu_queue_exception_err(vcpu, GP_VECTOR, 0);
	return EXIT_RESUME;
}

/* ---- hypercalls: Documentation/virt/kvm/x86/hypercalls.rst ---- */

/* The vCPU whose APIC id is @id has been kicked out of its HLT for good. */
static long hypercall_kick(struct vcpu *vcpu, u32 id)
{
	struct vcpu *target = lapic_vcpu_by_apic_id(vcpu->vm, id);

	if (target) {
		WRITE_ONCE(target->pv_unhalted, true);
		vcpu_request(target, REQ_EVENT);
		vcpu_kick(target);
	}
	return 0;
}

static long hypercall_sched_yield(struct vcpu *vcpu, u32 id)
{
	struct vcpu *target = lapic_vcpu_by_apic_id(vcpu->vm, id);

	if (target && target != vcpu)
		vcpu_yield_to(target);
	return 0;
}

static int complete_hypercall(struct vcpu *vcpu)
{
	vcpu->regs[EMU_RAX] = vcpu->run->hypercall.ret;
	if (!vcpu->io.next_rip)
		return backend(advance)(vcpu);
	vcpu_advance(vcpu, vcpu->io.next_rip);
	return EXIT_RESUME;
}

/* A guest tells which of its pages it shares; only user space can know what that means. */
static long hypercall_map_gpa_range(struct vcpu *vcpu, u64 gpa, u64 npages, u64 attributes,
				    bool wide)
{
	struct kvm_run *run = vcpu->run;
	gfn_t gfn = gpa >> PAGE_SHIFT;

	if (!(vcpu->vm->user_hypercalls & BIT(KVM_HC_MAP_GPA_RANGE)))
		return -KVM_ENOSYS;
	if (!PAGE_ALIGNED(gpa) || gfn + npages <= gfn)
		return -KVM_EINVAL;
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall = (typeof(run->hypercall)) {
		.nr = KVM_HC_MAP_GPA_RANGE, .args = { gpa, npages, attributes }, .COMPAT_LONGMODE = wide,
	};
	vcpu->io.next_rip = 0;		/* the CPU knows */
	vcpu_await_user(vcpu, complete_hypercall);
	return 0;
}

static long hypercall(struct vcpu *vcpu, bool wide)
{
	const u64 mask = wide ? ~0ULL : U32_MAX, *regs = vcpu->regs;
	u64 a0 = regs[EMU_RBX] & mask, a1 = regs[EMU_RCX] & mask;
	u64 a2 = regs[EMU_RDX] & mask, a3 = regs[EMU_RSI] & mask;

	switch (regs[EMU_RAX] & mask) {
	case KVM_HC_VAPIC_POLL_IRQ: return 0;
	case KVM_HC_KICK_CPU:
		return vcpu_has(vcpu, CAP_KVM(PV_UNHALT)) ? hypercall_kick(vcpu, a1) : -KVM_ENOSYS;
	case KVM_HC_SEND_IPI:
		return vcpu_has(vcpu, CAP_KVM(PV_SEND_IPI)) ?
		       lapic_send_ipis(vcpu->vm, a0, a1, a2, a3) : -KVM_ENOSYS;
	case KVM_HC_SCHED_YIELD:
		return vcpu_has(vcpu, CAP_KVM(PV_SCHED_YIELD)) ?
		       hypercall_sched_yield(vcpu, a0) : -KVM_ENOSYS;
	case KVM_HC_MAP_GPA_RANGE: return hypercall_map_gpa_range(vcpu, a0, a1, a2, wide);
	default: return -KVM_ENOSYS;
	}
}

/**
 * exit_hypercall() - VMCALL or VMMCALL
 * @vcpu: under its mutex
 *
 * Return: EXIT_ADVANCE, the result is in RAX; EXIT_USER where user space gives it.
 */
int exit_hypercall(struct vcpu *vcpu)
{
	struct vcpu_code code = vcpu_code(vcpu);
	bool wide = code.mode == EMU_MODE_LONG;
	long ret = -KVM_EPERM;

	vcpu->stats.hypercalls++;
	if (likely(!code.cpl))
		ret = hypercall(vcpu, wide);
	if (unlikely(vcpu->complete))
		return EXIT_USER;
	vcpu->regs[EMU_RAX] = wide ? ret : (u32)ret;
	return EXIT_ADVANCE;
}

/* ---- port I/O ---- */

/**
 * pio_kernel() - an access to a port that a device in the kernel owns
 * @vcpu: under its mutex
 * @port: which
 * @data: @len bytes, in or out
 * @len: 1, 2 or 4
 * @in: direction
 *
 * The chips are eight bits wide: a wider access reads zeroes above, writes
 * nothing.
 *
 * Return: false if the port is user space's.
 */
bool pio_kernel(struct vcpu *vcpu, u16 port, void *data, unsigned int len, bool in)
{
	struct vm *vm = vcpu->vm;
	u8 *byte = data;

	if (vm->pic && pic_port_hit(port)) {
		if (len != 1)
			memset(data, 0, in ? len : 0);
		else if (in)
			pic_port_read(vm, port, byte);
		else
			pic_port_write(vm, port, *byte);
		return true;
	}
	if (vm->pit && pit_port_hit(vm, port)) {
		if (in) {
			memset(data, 0, len);
			pit_port_read(vm, port, byte);
		} else {
			pit_port_write(vm, port, *byte);
		}
		return true;
	}
	return !in && (ioeventfd_write(vm, true, port, data, len) ||
		       coalesced_write(vm, true, port, data, len));
}

/* Into AL, AX or EAX; as for any 32-bit result, EAX clears the upper half. */
static void set_accumulator(struct vcpu *vcpu, const u32 *data, unsigned int size)
{
	u64 *rax = &vcpu->regs[EMU_RAX];

	if (size == 1)
		*(u8 *)rax = *data;
	else if (size == 2)
		*(u16 *)rax = *data;
	else
		*rax = *data;
}

static int complete_pio(struct vcpu *vcpu)
{
	const struct io_piece *piece = &vcpu->io.piece[0];

	if (!vcpu->io.write)
		set_accumulator(vcpu, vcpu_pio_data(vcpu), piece->len);
	trace_kvm_pio(vcpu->io.write, piece->addr, piece->len, 1, vcpu_pio_data(vcpu));
	vcpu_advance(vcpu, vcpu->io.next_rip);
	return EXIT_RESUME;
}

/**
 * exit_pio() - IN or OUT of one value
 * @vcpu: under its mutex
 * @port: which
 * @size: 1, 2 or 4 bytes
 * @in: direction
 * @next_rip: of the instruction after it
 *
 * Return: EXIT_RESUME when done, EXIT_USER with KVM_EXIT_IO.
 */
int exit_pio(struct vcpu *vcpu, u16 port, unsigned int size, bool in, u64 next_rip)
{
	u32 val = in ? 0 : vcpu->regs[EMU_RAX];

	if (!pio_kernel(vcpu, port, &val, size, in)) {
		memcpy(vcpu_pio_data(vcpu), &val, sizeof(val));
		vcpu_pio_to_user(vcpu, port, size, !in);
		vcpu->io.piece[0].addr = port;	/* kvm_run is user space's to scribble on */
		vcpu->io.piece[0].len = size;
		vcpu->io.write = !in;
		vcpu->io.next_rip = next_rip;
		return vcpu_await_user(vcpu, complete_pio);
	}
	trace_kvm_pio(!in, port, size, 1, &val);
	if (in)
		set_accumulator(vcpu, &val, size);
	vcpu_advance(vcpu, next_rip);
	return EXIT_RESUME;
}

/* ---- memory ---- */

/**
 * mmio_kernel_read() - read from a device in the kernel
 * @vcpu: under its mutex
 * @gpa: where
 * @data: filled
 * @len: bytes
 *
 * Return: false if the address is user space's.
 */
bool mmio_kernel_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned int len)
{
	if (lapic_mmio_hit(vcpu, gpa))
		return !lapic_mmio_read(vcpu, gpa, data, len);
	if (vcpu->vm->ioapic && ioapic_mmio_hit(vcpu->vm, gpa)) {
		ioapic_mmio_read(vcpu->vm, gpa, data, len);
		return true;
	}
	return false;
}

/**
 * mmio_kernel_write() - write to a device in the kernel
 * @vcpu: under its mutex
 * @gpa: where
 * @data: what
 * @len: bytes
 *
 * Return: false if the address is user space's.
 */
bool mmio_kernel_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len)
{
	struct vm *vm = vcpu->vm;

	if (lapic_mmio_hit(vcpu, gpa))
		return !lapic_mmio_write(vcpu, gpa, data, len);
	if (vm->ioapic && ioapic_mmio_hit(vm, gpa)) {
		ioapic_mmio_write(vm, gpa, data, len);
		return true;
	}
	return ioeventfd_write(vm, false, gpa, data, len) ||
	       coalesced_write(vm, false, gpa, data, len);
}

/* An event was cut off by an access to a device: there is no way to go on. */
static int delivery_error(struct vcpu *vcpu, const struct tdp_exit *fault)
{
	u64 data[] = { fault->gpa, fault->error_code, vcpu->exception.vector,
		       vcpu->interrupt.vector };

	return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, ARRAY_SIZE(data), data);
}

/**
 * exit_tdp_fault() - the second level does not map what the guest touched
 * @vcpu: under its mutex
 * @fault: what the CPU told
 *
 * Return: as handlers do; -EFAULT when user space's memory fails.
 */
int exit_tdp_fault(struct vcpu *vcpu, const struct tdp_exit *fault)
{
	int r = TDP_MMIO;

	vcpu->stats.pf_taken++;
	trace_kvm_page_fault(vcpu, fault->gpa, fault->error_code);
	/* The APIC page is the vCPU's own, whatever lies under it. */
	if (!lapic_mmio_hit(vcpu, fault->gpa) || fault->fetch)
		r = tdp_fault(vcpu, fault->gpa, fault->write, fault->fetch);
	if (likely(r == TDP_FIXED))
		return EXIT_RESUME;
	if (r < 0)
		return r;
	if (event_cut_off(vcpu))
		return delivery_error(vcpu, fault);
	return vcpu_emulate(vcpu, fault);
}

/**
 * exit_mov_cr8() - the guest reads or writes its TPR
 * @vcpu: under its mutex
 *
 * A lower one may let an interrupt in; where user space has the APIC, only it
 * can tell.
 *
 * Return: as handlers do.
 */
int exit_mov_cr8(struct vcpu *vcpu)
{
	u64 before = vcpu_get_cr8(vcpu);
	int r = vcpu_emulate(vcpu, NULL);

	vcpu_request(vcpu, REQ_EVENT);
	if (r != EXIT_RESUME || vcpu->lapic || vcpu_get_cr8(vcpu) >= before)
		return r;
	return exit_to_user(vcpu, KVM_EXIT_SET_TPR);
}

/* ---- debugging ---- */

/**
 * exit_to_debugger() - user space debugs the guest, and this is for it
 * @vcpu: under its mutex
 * @vector: #DB or #BP
 * @dr6: what #DB found; DR_STEP also where the step was done in software
 *
 * Return: EXIT_USER.
 */
int exit_to_debugger(struct vcpu *vcpu, u8 vector, u64 dr6)
{
	vcpu->step_done = false;
	vcpu_request(vcpu, REQ_EVENT);		/* event_inject() arms the next one */
	vcpu->run->debug.arch = (struct kvm_debug_exit_arch) {
		.exception = vector,
		.pc = vcpu_code(vcpu).rip,
		.dr6 = dr6 | DR6_RESERVED,
		.dr7 = vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug_dr7 : vcpu->dr7,
	};
	return exit_to_user(vcpu, KVM_EXIT_DEBUG);
}

/**
 * exit_debug() - #DB
 * @vcpu: under its mutex
 * @dr6: what the CPU found
 *
 * A debugger gives back what is not its own (KVM_GUESTDBG_INJECT_DB, or an event).
 *
 * Return: EXIT_USER where user space debugs, else EXIT_RESUME with #DB queued.
 */
int exit_debug(struct vcpu *vcpu, u64 dr6)
{
	if (vcpu->step_armed && dr6 & DR_STEP)
		vcpu_mend_step(vcpu);
	if (vcpu->guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))
		return exit_to_debugger(vcpu, DB_VECTOR, dr6);
	vcpu_queue_db(vcpu, dr6 & ~(u64)DR6_RESERVED);
	return EXIT_RESUME;
}

/**
 * exit_mov_dr() - the guest touches a debug register while user space debugs it
 * @vcpu: under its mutex
 *
 * Return: as handlers do.
 */
int exit_mov_dr(struct vcpu *vcpu)
{
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP && vcpu->debug_dr7 & DR7_GD)
		return exit_to_debugger(vcpu, DB_VECTOR, DR6_BD);
	return vcpu_emulate(vcpu, NULL);
}

/* ---- dead ends ---- */

/**
 * exit_internal_error() - what this module cannot do
 * @vcpu: under its mutex
 * @suberror: KVM_INTERNAL_ERROR_*
 * @ndata: how many words of @data, 16 at most
 * @data: to tell about it
 *
 * Return: EXIT_USER.
 */
int exit_internal_error(struct vcpu *vcpu, u32 suberror, unsigned int ndata, const u64 *data)
{
	vcpu->run->internal.suberror = suberror;
	vcpu->run->internal.ndata = ndata;
	memcpy(vcpu->run->internal.data, data, ndata * sizeof(*data));
	return exit_to_user(vcpu, KVM_EXIT_INTERNAL_ERROR);
}

/**
 * exit_unknown() - an exit nobody asked for
 * @vcpu: under its mutex
 * @reason: the vendor's exit code
 *
 * Return: EXIT_USER.
 */
int exit_unknown(struct vcpu *vcpu, u64 reason)
{
	u64 data[] = { reason, vcpu->cpu };

	pr_warn_ratelimited("kvm: unexpected exit 0x%llx on vCPU %u\n", reason, vcpu->id);
	return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
				   ARRAY_SIZE(data), data);
}

/**
 * exit_fail_entry() - the CPU refused to enter the guest
 * @vcpu: under its mutex; what should have gone in waits for the next entry
 * @reason: the vendor's code
 *
 * Return: EXIT_USER.
 */
int exit_fail_entry(struct vcpu *vcpu, u64 reason)
{
	vcpu_request(vcpu, REQ_EVENT);
	vcpu->run->fail_entry.hardware_entry_failure_reason = reason;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return exit_to_user(vcpu, KVM_EXIT_FAIL_ENTRY);
}
