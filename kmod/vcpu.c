// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU: its life, and the loop around entries into the guest.
 *
 *   KVM_RUN -> vcpu_run(): finish what user space was asked for, then
 *	halted?		vcpu_block() until an event
 *	else		vcpu_enter(): requests -> events -> backend run -> its exit
 *   until an exit needs user space, or a signal comes.
 */
#include <linux/anon_inodes.h>
#include <linux/entry-kvm.h>
#include <linux/fs.h>
#include <linux/vtime.h>
#include <asm/debugreg.h>
#include "backend.h"
#include "clock.h"
#include "compat.h"
#include "coalesced.h"
#include "cpuid.h"
#include "cr.h"
#include "exit.h"
#include "fpu.h"
#include "irq/irq.h"
#include "mmu/dirty_ring.h"
#include "mmu/memslot.h"
#include "msr.h"
#include "smm.h"
#include "trace.h"

static struct kmem_cache *vcpu_cache;

/* ---- reaching a vCPU from outside ---- */

/**
 * vcpu_kick() - make a vCPU look at its requests
 * @vcpu: any
 *
 * Wakes it if it sleeps; makes it exit if it is in the guest.  Any context,
 * also with interrupts off.
 */
void vcpu_kick(struct vcpu *vcpu)
{
	int cpu;

	rcuwait_wake_up(&vcpu->wait);
	/*
	 * Pairs with the full barrier in vcpu_enter(): either it sees the
	 * request, or we see that it is in the guest.
	 */
	smp_mb();
	if (READ_ONCE(vcpu->mode) != VCPU_IN_GUEST)
		return;
	cpu = READ_ONCE(vcpu->cpu);
	if (cmpxchg(&vcpu->mode, VCPU_IN_GUEST, VCPU_EXITING) == VCPU_IN_GUEST &&
	    cpu != raw_smp_processor_id())
		smp_send_reschedule(cpu);
}

static void nothing(void *unused)
{
}

/**
 * vcpu_request_all() - ask all vCPUs of a VM, and wait until all have left the guest
 * @vm: whose
 * @req: what each does before its next entry
 *
 * An interrupt that is answered means that its CPU has left the guest: on
 * return no vCPU runs guest code without having done the request.  Interrupts
 * on; spinlocks that are never taken with interrupts off may be held.
 */
void vcpu_request_all(struct vm *vm, enum vcpu_request req)
{
	struct vcpu *vcpu;
	cpumask_var_t cpus;
	bool have_mask = zalloc_cpumask_var(&cpus, GFP_ATOMIC);
	bool running = false;
	int i, me = get_cpu();

	vm->stats.remote_tlb_flush_requests += req == REQ_TLB_FLUSH;
	vm_for_each_vcpu(i, vcpu, vm) {
		vcpu_request(vcpu, req);
		smp_mb__after_atomic();		/* as in vcpu_kick() */
		/* EXITING may still be in the guest: its interrupt is on the way. */
		if (READ_ONCE(vcpu->mode) == VCPU_OUTSIDE)
			continue;
		running = true;
		if (have_mask && READ_ONCE(vcpu->cpu) != me)
			cpumask_set_cpu(READ_ONCE(vcpu->cpu), cpus);
	}
	vm->stats.remote_tlb_flush += running && req == REQ_TLB_FLUSH;
	if (running)
		smp_call_function_many(have_mask ? cpus : cpu_online_mask, nothing, NULL, true);
	put_cpu();
	free_cpumask_var(cpus);
}

/**
 * vcpu_yield_to() - let a vCPU that was preempted run instead of this thread
 * @target: another vCPU of the VM
 */
void vcpu_yield_to(struct vcpu *target)
{
	struct task_struct *task;

	spin_lock(&target->pid_lock);
	task = get_pid_task(target->pid, PIDTYPE_PID);
	spin_unlock(&target->pid_lock);
	if (!task)
		return;
	yield_to(task, true);
	put_task_struct(task);
}

/**
 * vcpu_update_walk() - work out the paging mode
 * @vcpu: CR0, CR4, EFER or CPUID has changed
 */
void vcpu_update_walk(struct vcpu *vcpu)
{
	gwalk_set_mode(&vcpu->walk, vcpu->cr0, vcpu->cr4, vcpu->efer, vcpu->maxphyaddr,
		       vcpu_has(vcpu, CAP_GBPAGES));
}

/* ---- reset ---- */

static const struct kvm_segment reset_data_segment = {
	.limit = 0xffff, .type = 3, .present = 1, .s = 1,
};

/* SDM 3A "Processor State After Reset", table "IA-32 Processor States Following Power-up, Reset, or INIT". */
static void reset_segments(struct vcpu *vcpu)
{
	struct kvm_sregs2 sregs = {
		.cs = { .selector = 0xf000, .base = 0xffff0000, .limit = 0xffff,
			.type = 11, .present = 1, .s = 1 },
		.ds = reset_data_segment, .es = reset_data_segment,
		.fs = reset_data_segment, .gs = reset_data_segment,
		.ss = reset_data_segment,
		.ldt = { .limit = 0xffff, .type = 2, .present = 1 },
		.tr = { .limit = 0xffff, .type = 11, .present = 1 },
		.gdt.limit = 0xffff, .idt.limit = 0xffff,
	};

	backend(set_sregs)(vcpu, &sregs);
}

enum { RESET_RIP = 0xfff0, RESET_SIGNATURE = 0x600 /* family 6, if CPUID has none */ };

static void reset_registers(struct vcpu *vcpu)
{
	enum cpuid_found found;

	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs[EMU_RDX] = cpuid_lookup(vcpu, 1, 0, &found)->eax ?: RESET_SIGNATURE;
	vcpu->rip = RESET_RIP;
	vcpu->rflags = X86_EFLAGS_FIXED;
	vcpu->step_armed = false;
	vcpu->cr2 = 0;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_RESERVED;
	vcpu->dr7 = DR7_FIXED_ONE;
}

/**
 * vcpu_reset() - RESET or INIT
 * @vcpu: under its mutex
 * @init: INIT: MSRs (but clock and steal time), FPU state and caching (CR0.CD, CR0.NW) stay
 */
void vcpu_reset(struct vcpu *vcpu, bool init)
{
	u64 caching = init ? vcpu->cr0 & (X86_CR0_CD | X86_CR0_NW) : X86_CR0_CD | X86_CR0_NW;

	memset(&vcpu->exception, 0, sizeof(vcpu->exception));
	memset(&vcpu->interrupt, 0, sizeof(vcpu->interrupt));
	atomic_set(&vcpu->nmi_queued, 0);
	vcpu->nmi_pending = 0;
	vcpu->nmi_injected = vcpu->nmi_masked = false;
	vcpu->pv_unhalted = false;
	vcpu->kvmclock_msr = vcpu->steal_msr = 0;	/* those pages are for other things now */
	vcpu->smi_pending = false;
	vcpu->complete = NULL;

	if (!init)
		smm_reset(vcpu);
	lapic_reset(vcpu, init);	/* IA32_APIC_BASE, where there is none */
	backend(vcpu_reset)(vcpu);
	reset_registers(vcpu);
	reset_segments(vcpu);
	backend(set_cr0)(vcpu, caching | X86_CR0_ET);
	backend(set_cr3)(vcpu, 0);
	backend(set_cr4)(vcpu, 0);
	backend(set_efer)(vcpu, 0);
	backend(update_intercepts)(vcpu);
	vcpu_update_walk(vcpu);
	cpuid_refresh(vcpu);
	vcpu_request(vcpu, REQ_GUEST_TLB_FLUSH);
}

/**
 * vcpu_start_at() - SIPI: begin in real mode
 * @vcpu: under its mutex, after INIT
 * @sipi_vector: the 4K page it begins in
 */
void vcpu_start_at(struct vcpu *vcpu, u8 sipi_vector)
{
	struct kvm_sregs2 sregs = {};

	backend(get_sregs)(vcpu, &sregs);
	sregs.cs.selector = sipi_vector << 8;
	sregs.cs.base = sipi_vector << 12;
	backend(set_sregs)(vcpu, &sregs);
	vcpu->rip = 0;
}

/* ---- before an entry ---- */

/*
 * The thread is switched out.  A kernel that preempts its threads anywhere does
 * not wait for vcpu_pause().  Nothing may fault here: a page that is not there
 * stays unmarked.
 */
static void vcpu_sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct vcpu *vcpu = container_of(notifier, struct vcpu, sched_notifier);

	backend(sched_out)(vcpu);
	if (!vcpu->reads_slots)
		return;
	pagefault_disable();
	clock_run_end(vcpu);
	pagefault_enable();
}

static void vcpu_sched_in(struct preempt_notifier *notifier, int cpu)
{
}

static struct preempt_ops vcpu_preempt_ops = {
	.sched_in = vcpu_sched_in,
	.sched_out = vcpu_sched_out,
};

/**
 * vcpu_watch_sched() - hear of it when this KVM_RUN's thread is switched out
 * @vcpu: its own thread
 *
 * Only where it is needed, for it costs something at each KVM_RUN: where the
 * guest counts stolen time, or borrows from the CPU between its entries.
 */
void vcpu_watch_sched(struct vcpu *vcpu)
{
	if (vcpu->sched_watched)
		return;
	preempt_notifier_init(&vcpu->sched_notifier, &vcpu_preempt_ops);
	preempt_notifier_register(&vcpu->sched_notifier);
	vcpu->sched_watched = true;
}

static void vcpu_unwatch_sched(struct vcpu *vcpu)
{
	preempt_disable();
	backend(sched_out)(vcpu);
	preempt_notifier_unregister(&vcpu->sched_notifier);
	vcpu->sched_watched = false;
	preempt_enable();
}

static void requests_about_state(struct vcpu *vcpu)
{
	/* No slot is in hand here. */
	if (vcpu_take_request(vcpu, REQ_MEMSLOTS))
		memslot_read_pass(vcpu);
	if (vcpu_take_request(vcpu, REQ_APIC_STATE))
		lapic_accept_init_sipi(vcpu);
	if (vcpu_take_request(vcpu, REQ_CLOCK_UPDATE))
		clock_update_guest(vcpu);
	if (vcpu_take_request(vcpu, REQ_STEAL_UPDATE)) {
		vcpu_watch_sched(vcpu);
		clock_update_steal(vcpu);
	}
	if (vcpu_take_request(vcpu, REQ_SMI))
		smm_collect_smi(vcpu);
	if (vcpu_take_request(vcpu, REQ_NMI))
		event_collect_nmis(vcpu);
	if (vcpu_take_request(vcpu, REQ_INTERCEPTS)) {
		backend(update_intercepts)(vcpu);
		vcpu_request(vcpu, REQ_EVENT);		/* for its windows */
	}
}

/* Anything other than REQ_EVENT is rare. 1 go on, else out of KVM_RUN with it. */
static int handle_requests(struct vcpu *vcpu)
{
	if (unlikely(READ_ONCE(vcpu->requests) & ~BIT(REQ_EVENT))) {
		bool all, guest;

		if (vcpu_take_request(vcpu, REQ_DIRTY_RING) && dirty_ring_full(vcpu))
			return exit_to_user(vcpu, KVM_EXIT_DIRTY_RING_FULL);
		if (vcpu_take_request(vcpu, REQ_TRIPLE_FAULT))
			return exit_to_user(vcpu, KVM_EXIT_SHUTDOWN);
		if (vcpu_take_request(vcpu, REQ_EOI_EXIT)) {
			vcpu->run->eoi.vector = vcpu->eoi_exit_vector;
			return exit_to_user(vcpu, KVM_EXIT_IOAPIC_EOI);
		}
		requests_about_state(vcpu);
		all = vcpu_take_request(vcpu, REQ_TLB_FLUSH);
		guest = vcpu_take_request(vcpu, REQ_GUEST_TLB_FLUSH);
		if (all || guest) {
			backend(flush_tlb)(vcpu, all);
			vcpu->stats.tlb_flush++;
		}
	}
	if (vcpu_take_request(vcpu, REQ_EVENT)) {
		if (unlikely(vcpu->step_done))
			return exit_to_debugger(vcpu, DB_VECTOR, DR_STEP);
		event_inject(vcpu);
	}
	return EXIT_RESUME;
}

/* Must the thread do something else before it may enter the guest? Interrupts off, mode IN_GUEST. */
static bool entry_is_off(struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) || READ_ONCE(vcpu->mode) == VCPU_EXITING ||
	       xfer_to_guest_mode_work_pending();
}

/*
 * Events were injected with interrupts on: they are still marked injected, and
 * REQ_EVENT gives them to the next try.
 */
static int entry_called_off(struct vcpu *vcpu)
{
	if (event_cut_off(vcpu))
		vcpu_request(vcpu, REQ_EVENT);
	return EXIT_RESUME;
}

/* One entry, its exit, and what the exit asks for. */
static int vcpu_enter(struct vcpu *vcpu)
{
	bool entered;
	int r;

	if (unlikely(vcpu->cpu != raw_smp_processor_id()))
		clock_moved(vcpu);
	if (READ_ONCE(vcpu->requests)) {
		r = handle_requests(vcpu);
		if (r <= 0 || vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
			return r;
	}
	if (vcpu->pv_eoi_msr & KVM_MSR_ENABLED)
		lapic_pv_eoi_before_entry(vcpu);

	local_irq_disable();
	WRITE_ONCE(vcpu->cpu, smp_processor_id());	/* where a kick goes, before it may come */
	/* Full barrier: set the mode, then look at requests. See vcpu_kick(). */
	smp_store_mb(vcpu->mode, VCPU_IN_GUEST);
	if (unlikely(entry_is_off(vcpu))) {
		WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
		local_irq_enable();
		return entry_called_off(vcpu);
	}

	trace_kvm_entry(vcpu, false);
	vtime_account_guest_enter();
	entered = backend(run)(vcpu);
	WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
	if (unlikely(!entered)) {
		vtime_account_guest_exit();
		local_irq_enable();
		backend(run_begin)(vcpu);
		return entry_called_off(vcpu);
	}
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
	backend(handle_exit_irqoff)(vcpu);
	compat_guest_ran();
	/*
	 * A pending timer interrupt must still count this time as the guest's;
	 * it is taken only after the instruction that follows STI.
	 */
	local_irq_enable();
	asm volatile("nop");
	vtime_account_guest_exit();
	vcpu->stats.exits++;
	trace_kvm_exit(vcpu, backend_ops->isa);

	if (unlikely(vcpu->event_again)) {
		vcpu->event_again = false;
		vcpu_request(vcpu, REQ_EVENT);
	}
	if (vcpu->pv_eoi_msr & KVM_MSR_ENABLED)
		lapic_pv_eoi_after_exit(vcpu);
	return backend(handle_exit)(vcpu);
}

/* ---- halted ---- */

/* INIT, SIPI and a triple fault wake every state; events wake HLT only. */
static bool should_wake(struct vcpu *vcpu)
{
	if (READ_ONCE(vcpu->requests) & (BIT(REQ_APIC_STATE) | BIT(REQ_TRIPLE_FAULT)))
		return true;
	return vcpu->mp_state == KVM_MP_STATE_HALTED && event_wakes(vcpu);
}

/* Return 1 to go on, else what KVM_RUN answers. */
static int vcpu_block(struct vcpu *vcpu)
{
	if (!should_wake(vcpu)) {
		clock_run_end(vcpu);
		memslot_read_unlock(vcpu);
		rcuwait_wait_event(&vcpu->wait, should_wake(vcpu), TASK_INTERRUPTIBLE);
		memslot_read_lock(vcpu);
	}
	if (vcpu_take_request(vcpu, REQ_APIC_STATE))
		lapic_accept_init_sipi(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && event_wakes(vcpu)) {
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		vcpu->pv_unhalted = false;
		vcpu_request(vcpu, REQ_EVENT);
	}
	if (vcpu_take_request(vcpu, REQ_TRIPLE_FAULT))
		return exit_to_user(vcpu, KVM_EXIT_SHUTDOWN);
	return signal_pending(current) ? -EINTR : EXIT_RESUME;
}

/* ---- KVM_RUN ---- */

/*
 * What the thread owes to others between two entries.  Task work and the like
 * (TIF_NOTIFY_RESUME) is done on the way to user mode.  If that sends a signal, as
 * CPU timers do, KVM_RUN ends with -EINTR; else the system call restarts itself,
 * which user space does not notice.
 */
static int vcpu_pause(struct vcpu *vcpu)
{
	if (signal_pending(current))
		return -EINTR;
	if (test_thread_flag(TIF_NOTIFY_RESUME))
		return -ERESTARTNOHAND;
	clock_run_end(vcpu);
	memslot_read_unlock(vcpu);
	cond_resched();
	memslot_read_lock(vcpu);
	return EXIT_RESUME;
}

/**
 * vcpu_user_irq_fits() - has user space the interrupt controller that may inject now?
 * @vcpu: under its mutex
 *
 * Return: true where an interrupt of its PIC, or of its APIC, would be let in,
 * the guest's flags apart.
 */
bool vcpu_user_irq_fits(const struct vcpu *vcpu)
{
	return !vcpu->vm->pic && (!vcpu->lapic || irq_wants_user_extint(vcpu));
}

static bool takes_user_irq(struct vcpu *vcpu)
{
	return vcpu_user_irq_fits(vcpu) && vcpu_irq_allowed(vcpu) && !event_cut_off(vcpu);
}

static int vcpu_loop(struct vcpu *vcpu)
{
	int r;

	for (;;) {
		r = likely(vcpu->mp_state == KVM_MP_STATE_RUNNABLE) ? vcpu_enter(vcpu) :
								      vcpu_block(vcpu);
		if (r <= 0)
			return r;
		if (unlikely(READ_ONCE(vcpu->run->request_interrupt_window)) && takes_user_irq(vcpu))
			return exit_to_user(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
		if (unlikely(__xfer_to_guest_mode_work_pending())) {
			r = vcpu_pause(vcpu);
			if (r < 0)
				return r;
		}
	}
}

/* What user space may want to know after every exit. */
static void fill_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(vcpu->rflags & X86_EFLAGS_IF);
	run->cr8 = vcpu_get_cr8(vcpu);
	run->apic_base = vcpu->apic_base;
	run->flags = vcpu->smm ? KVM_RUN_X86_SMM : 0;
	run->ready_for_interrupt_injection = vcpu->vm->pic || takes_user_irq(vcpu);
}

static int complete_user_part(struct vcpu *vcpu)
{
	int (*complete)(struct vcpu *vcpu) = vcpu->complete;

	vcpu->complete = NULL;
	/* If user space has also moved RIP (a reset, say), that stands. */
	return complete && vcpu->rip == vcpu->io.rip ? complete(vcpu) : EXIT_RESUME;
}

static int vcpu_run_checked(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int r;

	if (unlikely(vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED)) {
		if (run->HINT_UNSAFE_IN_KVM(immediate_exit))
			return -EINTR;
		vcpu_block(vcpu);
		return vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED ? -EINTR : -EAGAIN;
	}
	if (unlikely(run->kvm_valid_regs | run->kvm_dirty_regs)) {
		r = vcpu_sync_from_run(vcpu);
		if (r)
			return r;
	}
	if (!vcpu->lapic && vcpu_set_cr8(vcpu, run->cr8))
		return -EINVAL;
	if (unlikely(run->request_interrupt_window))
		vcpu_request(vcpu, REQ_EVENT);
	r = complete_user_part(vcpu);
	if (r <= 0)
		return r;
	if (run->HINT_UNSAFE_IN_KVM(immediate_exit))
		return -EINTR;
	return vcpu_loop(vcpu);
}

/* The thread that runs a vCPU seldom changes. */
static void note_thread(struct vcpu *vcpu)
{
	struct pid *old = vcpu->pid;

	if (likely(old == task_pid(current)))
		return;
	spin_lock(&vcpu->pid_lock);
	vcpu->pid = get_task_pid(current, PIDTYPE_PID);
	spin_unlock(&vcpu->pid_lock);
	put_pid(old);
}

static long vcpu_run(struct vcpu *vcpu)
{
	int r;

	note_thread(vcpu);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &current->real_blocked);

	fpu_load_guest(vcpu);
	backend(run_begin)(vcpu);
	memslot_read_lock(vcpu);
	r = vcpu_run_checked(vcpu);
	if (vcpu->pv_eoi_msr & KVM_MSR_ENABLED)
		lapic_pv_eoi_leave(vcpu);
	clock_run_end(vcpu);
	memslot_read_unlock(vcpu);
	if (vcpu->sched_watched)
		vcpu_unwatch_sched(vcpu);
	fpu_put_guest(vcpu);

	/* api.rst "immediate_exit": kvm_run stays as it was. */
	if (unlikely(r < 0) && (r == -EINTR || r == -ERESTARTNOHAND) &&
	    !vcpu->run->HINT_UNSAFE_IN_KVM(immediate_exit)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		vcpu->stats.signal_exits++;
	}
	fill_run(vcpu);
	if (unlikely(vcpu->run->kvm_valid_regs))
		vcpu_sync_to_run(vcpu);
	trace_kvm_userspace_exit(vcpu->run->exit_reason, r);
	if (vcpu->sigset_active) {
		sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
		sigemptyset(&current->real_blocked);
	}
	/* Last, for sigprocmask() would take it away: see vcpu_pause(). */
	if (unlikely(r == -ERESTARTNOHAND))
		set_thread_flag(TIF_SIGPENDING);
	return r;
}

/* ---- the file ---- */

static long vcpu_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct vcpu *vcpu = file->private_data;
	long r;

	if (vcpu->vm->mm != current->mm)
		return -EIO;
	if (unlikely(_IOC_TYPE(ioctl) != KVMIO))
		return -EINVAL;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	clock_ioctl_begin(vcpu);
	if (likely(ioctl == KVM_RUN)) {
		r = arg ? -EINVAL : vcpu_run(vcpu);
	} else {
		memslot_read_lock(vcpu);
		r = vcpu_state_ioctl(vcpu, ioctl, arg);
		memslot_read_unlock(vcpu);
	}
	mutex_unlock(&vcpu->mutex);
	return r;
}

/**
 * vcpu_shared_page() - a page of the mapping, made when it is first wanted
 * @place: where it is kept
 *
 * A page fault may want it first, where no lock of ours can be taken: who is
 * first wins.
 *
 * Return: it, or NULL.
 */
void *vcpu_shared_page(void **place)
{
	void *page = READ_ONCE(*place), *other;

	if (page)
		return page;
	page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	other = page ? cmpxchg(place, NULL, page) : NULL;
	if (!other)
		return page;
	free_page((unsigned long)page);
	return other;
}

/* What is mapped at the fd's beginning; NULL without memory, an error behind it. */
static void *vcpu_page(struct vcpu *vcpu, unsigned long pgoff)
{
	switch (pgoff) {
	case 0: return vcpu->run;
	case KVM_PIO_PAGE_OFFSET: return vcpu_shared_page(&vcpu->pio_page);
	case KVM_COALESCED_MMIO_PAGE_OFFSET: return vcpu_shared_page(&vcpu->vm->coalesced_ring);
	default: return ERR_PTR(-ENXIO);
	}
}

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct vcpu *vcpu = vmf->vma->vm_file->private_data;
	void *page = vcpu_page(vcpu, vmf->pgoff);

	if (!page)
		return VM_FAULT_OOM;
	vmf->page = IS_ERR(page) ? dirty_ring_page(vcpu, vmf->pgoff) : virt_to_page(page);
	if (!vmf->page)
		return VM_FAULT_SIGBUS;
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = { .fault = vcpu_fault };

/* A copy of the dirty ring would be of no use, nor would running it. */
static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vcpu *vcpu = file->private_data;

	if ((dirty_ring_page(vcpu, vma->vm_pgoff) ||
	     dirty_ring_page(vcpu, vma->vm_pgoff + vma_pages(vma) - 1)) &&
	    (vma->vm_flags & (VM_EXEC | VM_SHARED)) != VM_SHARED)
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

/* For its file of statistics, too. */
int vcpu_release(struct inode *inode, struct file *file)
{
	struct vcpu *vcpu = file->private_data;

	vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner		= THIS_MODULE,
	.release	= vcpu_release,
	.unlocked_ioctl	= vcpu_ioctl,
	.compat_ioctl	= vcpu_ioctl,
	.mmap		= vcpu_mmap,
	.llseek		= noop_llseek,
};

/* ---- life ---- */

static int vcpu_alloc_parts(struct vcpu *vcpu)
{
	int r;

	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	r = vcpu->run ? dirty_ring_create(vcpu) : -ENOMEM;
	r = r ?: fpu_vcpu_init(vcpu);
	r = r ?: backend(vcpu_init)(vcpu);
	if (!r && vcpu->vm->irqchip != IRQCHIP_NONE)
		r = lapic_create(vcpu);
	return r;
}

static struct vcpu *vcpu_new(struct vm *vm, u32 id)
{
	struct vcpu *vcpu = kmem_cache_zalloc(vcpu_cache, GFP_KERNEL_ACCOUNT);

	if (!vcpu)
		return NULL;
	vcpu->vm = vm;
	vcpu->space = vm->spaces;
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->mode = VCPU_OUTSIDE;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	spin_lock_init(&vcpu->pid_lock);
	vcpu->mp_state = vm->irqchip == IRQCHIP_NONE || vcpu_is_bsp(vcpu) ?
			 KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	return vcpu;
}

/**
 * vcpu_destroy() - free a vCPU; the VM ends, or it was never published
 * @vcpu: nobody uses it any more; a half-made one will do
 */
void vcpu_destroy(struct vcpu *vcpu)
{
	lapic_destroy(vcpu);
	backend(vcpu_free)(vcpu);
	fpu_vcpu_free(vcpu);
	kfree(vcpu->cpuid);
	tdp_cache_free(&vcpu->tdp_cache);
	kvfree(vcpu->ring.entry);
	put_pid(vcpu->pid);
	kfree(vcpu->mce_banks);
	free_page((unsigned long)vcpu->pio_page);
	free_page((unsigned long)vcpu->run);
	kmem_cache_free(vcpu_cache, vcpu);
}

/* Others find a vCPU only here, complete; it is in reset. vm->lock held. */
static int vcpu_publish(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	char name[24];
	int fd;

	/* Who guesses the descriptor waits: a vCPU that does not count yet is neither flushed nor waited for. */
	guard(mutex)(&vcpu->mutex);
	vcpu->idx = vm->nr_vcpus;
	vm->vcpus[vcpu->idx] = vcpu;
	snprintf(name, sizeof(name), "kvm-vcpu:%u", vcpu->id);
	vm_get(vm);
	fd = anon_inode_getfd(name, &vcpu_fops, vcpu, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		vm_put(vm);
		return fd;
	}
	/* Pairs with vm_for_each_vcpu(): who sees the count sees the vCPU. */
	smp_store_release(&vm->nr_vcpus, vcpu->idx + 1);
	return fd;
}

/**
 * vcpu_create() - KVM_CREATE_VCPU
 * @vm: vm->lock held
 * @id: its APIC id
 *
 * Return: a file descriptor, -EINVAL, -EEXIST, -ENOMEM, -EMFILE.
 */
int vcpu_create(struct vm *vm, u32 id)
{
	struct vcpu *vcpu;
	int r;

	if (id >= (vm->max_vcpu_id ?: VM_MAX_VCPU_ID) || vm->nr_vcpus >= VM_MAX_VCPUS)
		return -EINVAL;
	if (vm_vcpu_by_id(vm, id))
		return -EEXIST;
	vcpu = vcpu_new(vm, id);
	if (!vcpu)
		return -ENOMEM;
	r = vcpu_alloc_parts(vcpu);
	if (!r) {
		cpuid_vcpu_init(vcpu);
		clock_vcpu_init(vcpu);
		msr_vcpu_init(vcpu);
		vcpu_reset(vcpu, false);
		r = vcpu_publish(vcpu);
	}
	if (r < 0)
		vcpu_destroy(vcpu);
	return r;
}

/**
 * vcpu_module_init() - the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int vcpu_module_init(void)
{
	/* Hardened usercopy: only these may be the other end of a copy to or from user space. */
	vcpu_cache = kmem_cache_create_usercopy("kvm_vcpu", backend_ops->vcpu_size,
						__alignof__(struct vcpu), SLAB_ACCOUNT,
						offsetof(struct vcpu, regs),
						offsetofend(struct vcpu, io), NULL);
	return vcpu_cache ? 0 : -ENOMEM;
}

static bool sched_patched;

/**
 * vcpu_module_use() - somebody makes a VM
 *
 * Context switches are told of from the first VM on, until the module goes:
 * what is only loaded costs nobody anything, and to patch the scheduler for each
 * VM again would cost more than all the rest of making one.
 */
void vcpu_module_use(void)
{
	static DEFINE_MUTEX(lock);

	if (likely(smp_load_acquire(&sched_patched)))	/* pairs with its release */
		return;
	guard(mutex)(&lock);
	if (!sched_patched)
		preempt_notifier_inc();
	smp_store_release(&sched_patched, true);	/* after the patch */
}

/**
 * vcpu_module_exit() - the module goes; no vCPU is left
 */
void vcpu_module_exit(void)
{
	if (sched_patched)
		preempt_notifier_dec();
	kmem_cache_destroy(vcpu_cache);
}
