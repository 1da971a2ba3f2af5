/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual CPU: the state both vendors share.
 *
 * One thread at a time works on a vCPU, under vcpu->mutex.  Others reach it
 * only by vcpu_request(), vcpu_kick(), and the atomic bitmaps of its local
 * APIC.  Fields without a letter belong to the thread that holds the mutex.
 */
#ifndef VITRO_VCPU_H
#define VITRO_VCPU_H

/* What most files of the module need of the kernel; the rest they include themselves. */
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <uapi/asm/kvm_para.h>
#include "emulate/emu.h"
#include "mmu/gwalk.h"
#include "vm.h"

struct lapic;
struct cpuid_table;

/* What another thread, or this one, asks of a vCPU before its next entry. */
enum vcpu_request {
	REQ_EVENT,		/* look for something to inject */
	REQ_TLB_FLUSH,		/* second-level translations changed: flush this guest's */
	REQ_GUEST_TLB_FLUSH,	/* first-level only: PV flush, CR writes by ioctl */
	REQ_CLOCK_UPDATE,	/* write the kvmclock page anew */
	REQ_STEAL_UPDATE,
	REQ_TRIPLE_FAULT,
	REQ_NMI,		/* count of waiting NMIs is in nmi_queued */
	REQ_SMI,
	REQ_APIC_STATE,		/* INIT or SIPI arrived: lapic_accept_init_sipi() */
	REQ_EOI_EXIT,		/* KVM_EXIT_IOAPIC_EOI for user space (split irqchip) */
	REQ_INTERCEPTS,		/* what exits has changed for the VM: backend(update_intercepts) */
	REQ_DIRTY_RING,		/* user space must make room in the dirty ring: KVM_EXIT_DIRTY_RING_FULL */
	REQ_MEMSLOTS,		/* somebody changes the slots and waits: see mmu/memslot.h */
	NR_VCPU_REQUESTS
};

/*
 * Where the vCPU's thread is.  Written by that thread with interrupts off;
 * a kicker that moves IN_GUEST to EXITING sends the IPI, later ones need not.
 */
enum vcpu_mode { VCPU_OUTSIDE, VCPU_IN_GUEST, VCPU_EXITING };

/* One event of the exception class on its way into the guest. */
struct vcpu_exception {
	bool	pending;	/* found by us, not yet given to the CPU */
	bool	injected;	/* given to the CPU; an exit cut it off: give it again */
	bool	has_error_code;
	bool	has_payload;
	u8	vector;
	u32	error_code;
	u64	payload;	/* CR2 for #PF, DR6 bits for #DB */
};

/* One access that user space answers: KVM_EXIT_MMIO and KVM_EXIT_IO carry 8 bytes at most. */
struct io_piece {
	gpa_t	addr;			/* or port */
	u8	len;
	bool	pio;
	u32	count;			/* values; more than one only of a read, in vcpu->pio_page */
	u8	data[8];
};

#define VCPU_IO_PIECES	5		/* 32 bytes of AVX in pieces of 8, across two pages */

/*
 * Accesses of one emulated instruction that user space completes.  Writes are
 * collected and go out when the instruction is done; a read stops it, and it
 * starts over once the data has come: what it has read so far is kept in
 * order, so that no device is read twice.
 */
struct vcpu_io {
	struct io_piece	piece[VCPU_IO_PIECES];
	u8		nr, next;	/* pieces there are; the one user space works on */
	bool		write;
	bool		unfinished;	/* the instruction goes on when the pieces are through */
	struct io_read { u8 data[32]; } read[VCPU_IO_PIECES];
	u8		nr_reads, cursor;
	u32		step;		/* the REP iteration (emu.step) that the reads belong to */
	/* INS: what user space gave at once, in vcpu->pio_page; see pio_batch() */
	gva_t		gva;		/* of the access that was translated last */
	u32		ahead;		/* so many values are left there */
	u32		ahead_at;	/* from this byte on */
	/* where user space was asked; and, where no emulator was needed, what comes after it */
	u64		rip, next_rip;
};

struct vcpu {
	/* copied to and from guest memory by the emulator: see vcpu_module_init() */
	u64		regs[EMU_NREGS];	/* entry.S knows the offset */
	struct emu	emu;
	struct vcpu_io	io;

	/* hot: touched at every exit */
	u64		rip;
	u64		rflags;
	u64		cr2;
	u64		cr0, cr3, cr4, efer;	/* the guest's view */
	u64		cr8;			/* kept here when user space has the APIC */
	unsigned long	requests;		/* atomic bits, enum vcpu_request */
	int		mode;			/* enum vcpu_mode, atomic */
	int		cpu;			/* the CPU it last ran on, -1 never */
	struct vm	*vm;
	struct memspace	*space;			/* of vm->spaces[]: memslot_choose_space() */
	void		*pio_page;		/* for INS of many values, shared; vcpu_shared_page() makes it */
	struct kvm_run	*run;			/* shared with user space: read each field once */
	struct lapic	*lapic;			/* NULL with IRQCHIP_NONE */
	struct gwalk_mode walk;			/* from cr0, cr4, efer, CPUID */

	/* identity */
	u32		id;			/* KVM_CREATE_VCPU's argument: the APIC id */
	int		idx;			/* in vm->vcpus[] */
	struct mutex	mutex;
	struct rcuwait	wait;			/* where it sleeps when halted */
	struct pid	*pid;			/* the thread that runs it; pid_lock to read or change */
	spinlock_t	pid_lock;
	bool		reads_slots;		/* see mmu/memslot.h */
	sigset_t	sigset;			/* KVM_SET_SIGNAL_MASK's, in force during KVM_RUN */
	bool		sigset_active;

	/* events */
	struct vcpu_exception exception;
	struct vcpu_interrupt { bool injected, soft; u8 vector; } interrupt;
	u8		nmi_pending;		/* 0 to 2 */
	bool		nmi_injected;
	bool		nmi_masked;		/* between NMI and IRET */
	atomic_t	nmi_queued;
	bool		event_again;		/* something had to wait for the next exit */
	u32		mp_state;		/* KVM_MP_STATE_* */
	unsigned long	apic_events;		/* of its local APIC, enum lapic_event: atomic bits */
	u8		sipi_vector;		/* page to start at: LAPIC_SIPI */
	u8		eoi_exit_vector;	/* of REQ_EOI_EXIT */
	bool		smm;			/* in system-management mode: smm.c */
	bool		smi_pending;
	bool		smm_inside_nmi;		/* NMIs were masked before it was entered */
	u64		smbase, smi_count;
	bool		pv_unhalted;

	/* what user space has to complete */
	int		(*complete)(struct vcpu *vcpu);	/* run first by the next KVM_RUN */
	gpa_t		fault_gpa;		/* of the memory operand, if the exit told it */
	gva_t		fault_gva;		/* its linear address, once seen */
	bool		fault_write;		/* the access was one for which the guest may write there */
	enum { FAULT_GPA_NONE, FAULT_GPA_NEW, FAULT_GPA_BOUND } fault_gpa_state;

	/* debug registers, guest debugging */
	u64		dr[4], dr6, dr7;
	u32		guest_debug;		/* KVM_GUESTDBG_* */
	u64		debug_dr[4], debug_dr7;	/* KVM_SET_GUEST_DEBUG's */
	bool		step_done;		/* KVM_GUESTDBG_SINGLESTEP: an instruction was emulated */
	bool		step_armed;		/* RFLAGS.TF is user space's debugger's */
	bool		step_tf;		/* the guest's own TF meanwhile */
	u16		step_opcode;		/* of the instruction that is stepped over */

	/* fpu.c */
	struct fpu_guest fpu;
	u64		xcr0, xss;
	u64		guest_supported_xcr0;
	u32		pkru, host_pkru;

	/* cpuid.c */
	struct cpuid_table *cpuid;		/* NULL until KVM_SET_CPUID2 */
	u64		guest_caps;		/* CPUID bits asked for often, enum vcpu_cap */
	u8		maxphyaddr;
	u64		cr4_reserved;		/* bits the guest may not set */

	/* msr.c, mtrr.c, mce.c */
	u64		apic_base;
	u64		pat, misc_enable, tsc_aux, virt_spec_ctrl;
	u64		microcode_version, platform_info, power_ctl;
	u64		hwcr, osvw_length, osvw_status;
	u64		mcg_cap, mcg_status, mcg_ctl;
	u64		*mce_banks;		/* 4 registers a bank; NULL while all are as after reset */
	u64		mtrr_def_type, mtrr_fixed[11], mtrr_var[16];

	/* clock.c */
	u64		tsc_offset;		/* guest TSC = host TSC * ratio + offset; vm->clock_lock to write */
	u64		tsc_scaling_ratio;	/* backend_ops->tsc_ratio_frac_bits fraction bits */
	u64		tsc_adjust;
	u64		tsc_lost;		/* clock_tsc_lost that tsc_offset makes up for */
	u32		tsc_khz;
	u64		kvmclock_msr, wall_clock_msr, steal_msr, pv_eoi_msr, poll_control_msr;
	u64		steal_last;		/* run delay of the thread, ns, that is already accounted */
	bool		kvmclock_new;		/* by MSR_KVM_SYSTEM_TIME_NEW: it knows the flags */
	bool		guest_stopped;		/* KVM_KVMCLOCK_CTRL: to be told in the page */
	bool		steal_preempted;	/* the page says KVM_VCPU_PREEMPTED */
	bool		sched_watched;		/* by sched_notifier, of the thread in KVM_RUN */
	struct preempt_notifier sched_notifier;

	struct vcpu_stats stats;

	/* mmu/ */
	struct tdp_cache tdp_cache;		/* pages for tables, taken before tdp_lock is */
	unsigned int	slot_hint;		/* index of the slot that was last found */
	struct dirty_ring {
		struct kvm_dirty_gfn *entry;	/* NULL where the VM has bitmaps; user space writes to it */
		u32	pushed;			/* entries ever; of the vCPU's thread */
		u32	reset;			/* entries ever made free again; slots_lock */
	} ring;
};

/* ---- vcpu.c ---- */

/**
 * vcpu_request() - ask something of a vCPU; follow with vcpu_kick() if it must see it now
 * @vcpu: any vCPU, running or not
 * @req: what
 *
 * The request is visible before anything the caller stores later is.
 */
static inline void vcpu_request(struct vcpu *vcpu, enum vcpu_request req)
{
	smp_wmb();	/* what the request speaks of, before the request */
	set_bit(req, &vcpu->requests);
}

/* Take a request if it is there; only the vCPU's own thread. */
static inline bool vcpu_take_request(struct vcpu *vcpu, enum vcpu_request req)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	smp_mb__after_atomic();		/* pairs with smp_wmb() in vcpu_request() */
	return true;
}

/* Wake it if it sleeps, make it exit if it is in the guest. Any context, also with interrupts off. */
void vcpu_kick(struct vcpu *vcpu);
/* Ask all vCPUs, and wait until none runs guest code that has not seen it. Interrupts on; spinlocks may be held. */
void vcpu_request_all(struct vm *vm, enum vcpu_request req);
/* backend(sched_out) is called from now on, until KVM_RUN ends. */
void vcpu_watch_sched(struct vcpu *vcpu);
/* Paging mode anew, after CR0, CR4, EFER or CPUID changed. */
void vcpu_update_walk(struct vcpu *vcpu);
void vcpu_reset(struct vcpu *vcpu, bool init);
/* SIPI: real mode at vector << 12. */
void vcpu_start_at(struct vcpu *vcpu, u8 sipi_vector);
/* Give the CPU to a vCPU's thread, if it was preempted. */
void vcpu_yield_to(struct vcpu *target);
int vcpu_release(struct inode *inode, struct file *file);
int vcpu_module_init(void);
void vcpu_module_use(void);
void vcpu_module_exit(void);
int vcpu_create(struct vm *vm, u32 id);
void vcpu_destroy(struct vcpu *vcpu);

/* Would an interrupt of user space's PIC, or of its APIC, be let in, the guest's flags apart? */
bool vcpu_user_irq_fits(const struct vcpu *vcpu);

/* ---- vcpu_state.c: ioctls that move state, and KVM_CAP_SYNC_REGS ---- */
int vcpu_sync_from_run(struct vcpu *vcpu);
void vcpu_sync_to_run(struct vcpu *vcpu);
long vcpu_state_ioctl(struct vcpu *vcpu, unsigned int ioctl, unsigned long arg);
void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs2 *sregs);
int vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs2 *sregs);

/* ---- event.c: exceptions, NMIs and interrupts on their way in ---- */

/* Queue an exception; two in a row follow SDM 3A "Interrupt 8 - Double Fault Exception (#DF)". */
void vcpu_queue_exception(struct vcpu *vcpu, u8 vector);
void vcpu_queue_exception_err(struct vcpu *vcpu, u8 vector, u32 error_code);
void vcpu_queue_page_fault(struct vcpu *vcpu, gva_t address, u32 error_code);
void vcpu_queue_db(struct vcpu *vcpu, u64 dr6_bits);
/* An instruction done in software with RFLAGS.TF set. */
void vcpu_queue_single_step(struct vcpu *vcpu);
/* Queue one NMI, any context; the caller kicks. */
void vcpu_nmi(struct vcpu *vcpu);
/* REQ_EVENT: give the next entry what it may take; ask for windows. */
void event_inject(struct vcpu *vcpu);
void event_collect_nmis(struct vcpu *vcpu);
void event_deliver_payload(struct vcpu *vcpu);
/* KVM_SET_GUEST_DEBUG: single-stepping begins or ends with it. */
void event_set_debug(struct vcpu *vcpu, u32 control);
void event_step_in_event(struct vcpu *vcpu);
/* RFLAGS as the guest knows them. */
static inline u64 vcpu_guest_rflags(const struct vcpu *vcpu)
{
	return vcpu->step_armed && !vcpu->step_tf ? vcpu->rflags & ~(u64)X86_EFLAGS_TF : vcpu->rflags;
}
/* What was injected has gone in; or an exit cut it off, and it goes first at the next entry. */
static inline void event_delivered(struct vcpu *vcpu)
{
	vcpu->exception.injected = vcpu->interrupt.injected = vcpu->nmi_injected = false;
}

/*
 * An event that goes in, or was cut off, in the form that both vendors have for it: SDM 3C
 * "VM-Entry Controls for Event Injection", APM 2 "Event Injection".  A higher type is an instruction's.
 */
enum event_info {
	EVENT_VECTOR = 0xff,
	EVENT_TYPE = 7 << 8, EVENT_INTERRUPT = 0 << 8, EVENT_NMI = 2 << 8, EVENT_EXCEPTION = 3 << 8,
	EVENT_BREAKPOINT = 6 << 8,	/* an INT3's or INTO's, or one of ours in its name */
	EVENT_ERROR_CODE = 1 << 11,
};

/* INT3's and INTO's: VT-x has a type for them, AMD-V tells and takes them as any exception. */
static inline bool event_is_breakpoint(u32 event)
{
	u8 vector = event & EVENT_VECTOR;

	return (event & EVENT_TYPE) == EVENT_EXCEPTION && (vector == BP_VECTOR || vector == OF_VECTOR);
}

/* Is it the exception that the last entry gave to the guest, and not an instruction's? */
static inline bool event_is_injected(const struct vcpu *vcpu, u32 event)
{
	return vcpu->exception.injected && vcpu->exception.vector == (u8)event;
}

void event_requeue(struct vcpu *vcpu, u32 event, u32 error_code);
/* Could an event wake it from HLT? */
bool event_wakes(struct vcpu *vcpu);
/* Was the delivery of an event cut off by the exit at hand? */
static inline bool event_cut_off(const struct vcpu *vcpu)
{
	return vcpu->exception.injected || vcpu->interrupt.injected || vcpu->nmi_injected;
}

/*
 * Data of KVM_EXIT_IO, where it is one value: behind struct kvm_run in the same
 * page; data_offset tells user space where.
 */
#define VCPU_PIO_DATA	ALIGN(sizeof(struct kvm_run), 8)

static inline void *vcpu_pio_data(struct vcpu *vcpu)
{
	return (void *)vcpu->run + VCPU_PIO_DATA;
}

/* A page of the mapping, made when it is first wanted; or NULL without memory. */
void *vcpu_shared_page(void **place);

static inline bool vcpu_is_bsp(const struct vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->boot_vcpu_id;
}

static inline bool vcpu_long_mode(const struct vcpu *vcpu)
{
	return vcpu->efer & EFER_LMA;
}

/* KVM_CAP_SET_GUEST_DEBUG2 */
#define VCPU_GUESTDBG_VALID	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |	\
				 KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP |	\
				 KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |	\
				 KVM_GUESTDBG_BLOCKIRQ)

#endif /* VITRO_VCPU_H */
