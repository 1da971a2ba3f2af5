// SPDX-License-Identifier: GPL-2.0
/*
 * System-management mode: what an SMI does to a vCPU, and RSM.  APM 2
 * "System-Management Mode"; SDM 3C "System Management Mode".
 *
 *   SMI (KVM_SMI, ICR, MSI, I/O APIC) -> REQ_SMI -> smi_pending -> smm_enter()
 *   RSM -> exit_rsm()
 *
 * A vCPU in SMM sees address space 1.  Until RSM, further SMIs pend, INITs are
 * latched, NMIs are masked (an IRET opens them).  As with stock KVM, an SMI that
 * ends a HLT returns behind it, and no I/O instruction is restarted.
 */
#include "backend.h"
#include "cpuid.h"
#include "cr.h"
#include "exit.h"
#include "irq/irq.h"
#include "mmu/memslot.h"
#include "segment.h"
#include "smm.h"
#include "trace.h"

enum {
	SMBASE_AFTER_RESET	= 0x30000,
	SMM_ENTRY		= 0x8000,	/* both from SMBASE */
	SMM_STATE		= 0xfe00,
	SMM_REVISION_32		= 0x00020000,	/* SMBASE may be relocated */
	SMM_REVISION_64		= 0x00020064,
};

/* ---- the state-save areas ---- */

/* APM 2 "AMD64 Architecture SMM State-Save Area". */
struct smram_segment64 {
	u16	selector, attributes;
	u32	limit;
	u64	base;
};

struct smram64 {
	struct smram_segment64 segs[EMU_NSEGS], gdt, ldt, idt, tr;
	u8	io_restart[0x30];
	u64	efer;
	u8	svm[0x24];
	u32	revision, smbase;
	u8	nested[0x44];
	u64	cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u64	regs[EMU_NREGS];		/* the last one first */
};

/* APM 2 "Legacy SMM State-Save Area": what P6 and 32-bit AMD CPUs have. */
struct smram_segment32 {
	u32	attributes, limit, base;
};

struct smram32 {
	u32	reserved0[0xf8 / 4];
	u32	smbase, revision;
	u32	reserved1[5], cr4, reserved2[5];
	struct smram_segment32 ds_to_gs[3];
	u32	reserved3, idt_limit, idt_base;
	struct smram_segment32 tr;
	u32	reserved4[2], gdt_limit, gdt_base;
	struct smram_segment32 ldt, es_to_ss[3];
	u32	selectors[EMU_NSEGS], ldt_selector, tr_selector;
	u32	dr7, dr6, regs[8], eip, eflags, cr3, cr0;
};

union smram {
	struct smram32	legacy;
	struct smram64	amd64;
};

static_assert(sizeof(union smram) == 0x200);
static_assert(offsetof(struct smram64, tr) == 0x90 && offsetof(struct smram64, efer) == 0xd0);
static_assert(offsetof(struct smram64, revision) == 0xfc && offsetof(struct smram64, cr4) == 0x148);
static_assert(offsetof(struct smram64, regs) == 0x180 && sizeof(struct smram64) == 0x200);
static_assert(offsetof(struct smram32, smbase) == 0xf8 && offsetof(struct smram32, cr4) == 0x114);
static_assert(offsetof(struct smram32, ds_to_gs) == 0x12c && offsetof(struct smram32, tr) == 0x15c);
static_assert(offsetof(struct smram32, ldt) == 0x178 && offsetof(struct smram32, selectors) == 0x1a8);
static_assert(offsetof(struct smram32, regs) == 0x1d0 && sizeof(struct smram32) == 0x200);

/* As in bits 8 to 23 of a descriptor's upper half: the legacy area has it shifted by 8. */
static u32 attributes(const struct kvm_segment *seg)
{
	return seg->type | seg->s << 4 | seg->dpl << 5 | (seg->present && !seg->unusable) << 7 |
	       seg->avl << 12 | seg->l << 13 | seg->db << 14 | seg->g << 15;
}

static void load_segment(struct kvm_segment *seg, u16 selector, u32 bits, u32 limit, u64 base)
{
	*seg = (struct kvm_segment) {
		.selector = selector, .limit = limit, .base = base,
		.type = bits & 0xf, .s = bits >> 4 & 1, .dpl = bits >> 5 & 3,
		.present = bits >> 7 & 1, .avl = bits >> 12 & 1, .l = bits >> 13 & 1,
		.db = bits >> 14 & 1, .g = bits >> 15 & 1, .unusable = !(bits >> 7 & 1),
	};
}

static struct smram_segment64 save_segment64(const struct kvm_segment *seg)
{
	return (struct smram_segment64) { seg->selector, attributes(seg), seg->limit, seg->base };
}

static void load_segment64(struct kvm_segment *seg, const struct smram_segment64 *from)
{
	load_segment(seg, from->selector, from->attributes, from->limit, from->base);
}

static void save64(struct vcpu *vcpu, struct kvm_sregs2 *sregs, struct smram64 *to)
{
	unsigned int i;

	*to = (struct smram64) {
		.gdt = { .limit = sregs->gdt.limit, .base = sregs->gdt.base },
		.idt = { .limit = sregs->idt.limit, .base = sregs->idt.base },
		.ldt = save_segment64(&sregs->ldt), .tr = save_segment64(&sregs->tr),
		.efer = vcpu->efer, .revision = SMM_REVISION_64, .smbase = vcpu->smbase,
		.cr0 = vcpu->cr0, .cr3 = vcpu->cr3, .cr4 = vcpu->cr4,
		.dr6 = vcpu->dr6, .dr7 = vcpu->dr7,
		.rflags = vcpu_guest_rflags(vcpu), .rip = vcpu->rip,
	};
	for (i = 0; i < EMU_NSEGS; i++)
		to->segs[i] = save_segment64(segment_of(sregs, i));
	for (i = 0; i < EMU_NREGS; i++)
		to->regs[EMU_NREGS - 1 - i] = vcpu->regs[i];
}

static int load64(struct vcpu *vcpu, struct kvm_sregs2 *sregs, const struct smram64 *from)
{
	unsigned int i;

	for (i = 0; i < EMU_NREGS; i++)
		vcpu->regs[i] = from->regs[EMU_NREGS - 1 - i];
	for (i = 0; i < EMU_NSEGS; i++)
		load_segment64(segment_of(sregs, i), &from->segs[i]);
	load_segment64(&sregs->ldt, &from->ldt);
	load_segment64(&sregs->tr, &from->tr);
	sregs->gdt = (struct kvm_dtable) { .limit = from->gdt.limit, .base = from->gdt.base };
	sregs->idt = (struct kvm_dtable) { .limit = from->idt.limit, .base = from->idt.base };
	sregs->cr0 = from->cr0;
	sregs->cr3 = from->cr3;
	sregs->cr4 = from->cr4;
	sregs->efer = from->efer & ~(u64)EFER_LMA;
	if (from->efer & EFER_LME && from->cr0 & X86_CR0_PG)
		sregs->efer |= EFER_LMA;
	vcpu->rip = from->rip;
	vcpu->rflags = from->rflags | X86_EFLAGS_FIXED;
	vcpu->smbase = from->smbase;
	return vcpu_set_dr(vcpu, 6, from->dr6) | vcpu_set_dr(vcpu, 7, from->dr7);
}

static struct smram_segment32 save_segment32(const struct kvm_segment *seg)
{
	return (struct smram_segment32) { attributes(seg) << 8, seg->limit, seg->base };
}

static void load_segment32(struct kvm_segment *seg, u16 selector, const struct smram_segment32 *from)
{
	load_segment(seg, selector, from->attributes >> 8, from->limit, from->base);
}

static struct smram_segment32 *segment32(struct smram32 *area, unsigned int i)
{
	return i < EMU_DS ? &area->es_to_ss[i] : &area->ds_to_gs[i - EMU_DS];
}

static void save32(struct vcpu *vcpu, struct kvm_sregs2 *sregs, struct smram32 *to)
{
	unsigned int i;

	*to = (struct smram32) {
		.smbase = vcpu->smbase, .revision = SMM_REVISION_32,
		.gdt_limit = sregs->gdt.limit, .gdt_base = sregs->gdt.base,
		.idt_limit = sregs->idt.limit, .idt_base = sregs->idt.base,
		.tr = save_segment32(&sregs->tr), .tr_selector = sregs->tr.selector,
		.ldt = save_segment32(&sregs->ldt), .ldt_selector = sregs->ldt.selector,
		.dr6 = vcpu->dr6, .dr7 = vcpu->dr7, .eip = vcpu->rip,
		.eflags = vcpu_guest_rflags(vcpu),
		.cr0 = vcpu->cr0, .cr3 = vcpu->cr3, .cr4 = vcpu->cr4,
	};
	for (i = 0; i < EMU_NSEGS; i++) {
		to->selectors[i] = segment_of(sregs, i)->selector;
		*segment32(to, i) = save_segment32(segment_of(sregs, i));
	}
	for (i = 0; i < ARRAY_SIZE(to->regs); i++)
		to->regs[i] = vcpu->regs[i];
}

static int load32(struct vcpu *vcpu, struct kvm_sregs2 *sregs, struct smram32 *from)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(from->regs); i++)
		vcpu->regs[i] = from->regs[i];
	for (i = 0; i < EMU_NSEGS; i++)
		load_segment32(segment_of(sregs, i), from->selectors[i], segment32(from, i));
	load_segment32(&sregs->ldt, from->ldt_selector, &from->ldt);
	load_segment32(&sregs->tr, from->tr_selector, &from->tr);
	sregs->gdt = (struct kvm_dtable) { .limit = from->gdt_limit, .base = from->gdt_base };
	sregs->idt = (struct kvm_dtable) { .limit = from->idt_limit, .base = from->idt_base };
	sregs->cr0 = from->cr0;
	sregs->cr3 = from->cr3;
	sregs->cr4 = from->cr4;
	vcpu->rip = from->eip;
	vcpu->rflags = from->eflags | X86_EFLAGS_FIXED;
	vcpu->smbase = from->smbase;
	return vcpu_set_dr(vcpu, 6, from->dr6) | vcpu_set_dr(vcpu, 7, from->dr7);
}

/* ---- in and out ---- */

static void change_mode(struct vcpu *vcpu, bool smm)
{
	if (vcpu->smm == smm)
		return;
	trace_kvm_enter_smm(vcpu->id, vcpu->smbase, smm);
	vcpu->smm = smm;
	memslot_choose_space(vcpu, smm);
	if (!smm && vcpu->lapic)
		vcpu_request(vcpu, REQ_APIC_STATE);	/* an INIT may have waited */
}

/* APM 2 "SMM Execution Environment": real mode with 4 GiB segments. */
static void set_smm_registers(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	struct kvm_segment flat = { .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .g = 1 };
	unsigned int i;

	for (i = 0; i < EMU_NSEGS; i++)
		*segment_of(sregs, i) = flat;
	sregs->cs.selector = vcpu->smbase >> 4;
	sregs->cs.base = vcpu->smbase;
	sregs->idt = (struct kvm_dtable) {};
	sregs->cr0 &= ~(u64)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
	sregs->cr4 = 0;
	sregs->efer = 0;
	vcpu->rip = SMM_ENTRY;
	vcpu->rflags = X86_EFLAGS_FIXED;
	vcpu->step_armed = false;
	vcpu_set_dr(vcpu, 7, DR7_FIXED_ONE);
	backend(set_shadow)(vcpu, 0);
	WARN_ON_ONCE(vcpu_set_sregs(vcpu, sregs));
}

/**
 * smm_enter() - take the pending SMI
 * @vcpu: in its own thread, not in SMM, no event on its way
 */
void smm_enter(struct vcpu *vcpu)
{
	struct kvm_sregs2 sregs;
	union smram area;

	vcpu->smi_pending = false;
	vcpu->smi_count++;
	vcpu_get_sregs(vcpu, &sregs);
	if (vcpu_has(vcpu, CAP_LM))
		save64(vcpu, &sregs, &area.amd64);
	else
		save32(vcpu, &sregs, &area.legacy);
	change_mode(vcpu, true);
	/* Where there is no RAM the bus swallows it, and RSM will find nothing. */
	guest_write(vcpu, vcpu->smbase + SMM_STATE, &area, sizeof(area));
	vcpu->smm_inside_nmi = vcpu->nmi_masked;
	backend(set_nmi_mask)(vcpu, true);
	set_smm_registers(vcpu, &sregs);
}

/* State that no CPU can have ends in a shutdown. */
static void leave(struct vcpu *vcpu)
{
	struct kvm_sregs2 sregs;
	union smram area;
	bool bad;

	vcpu_get_sregs(vcpu, &sregs);
	bad = guest_read(vcpu, vcpu->smbase + SMM_STATE, &area, sizeof(area));
	if (!bad)
		bad = vcpu_has(vcpu, CAP_LM) ? load64(vcpu, &sregs, &area.amd64) :
					       load32(vcpu, &sregs, &area.legacy);
	if (!vcpu->smm_inside_nmi)
		backend(set_nmi_mask)(vcpu, false);
	change_mode(vcpu, false);
	vcpu->step_armed = false;
	backend(set_shadow)(vcpu, 0);
	if (bad || vcpu_set_sregs(vcpu, &sregs))
		vcpu_request(vcpu, REQ_TRIPLE_FAULT);
}

/**
 * exit_rsm() - RSM
 * @vcpu: under its mutex
 *
 * Return: EXIT_RESUME; outside of SMM with #UD queued.
 */
int exit_rsm(struct vcpu *vcpu)
{
	if (!vcpu->smm)
		return exit_ud(vcpu);
	leave(vcpu);
	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		vcpu_queue_single_step(vcpu);
	return EXIT_RESUME;
}

/**
 * smm_reset() - RESET; an INIT does not get through to SMM
 * @vcpu: under its mutex
 */
void smm_reset(struct vcpu *vcpu)
{
	vcpu->smbase = SMBASE_AFTER_RESET;
	vcpu->smi_count = 0;
}

/* ---- KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS ---- */

/**
 * smm_get_events() - fill the part of SMM
 * @vcpu: under its mutex
 * @events: gets smi and KVM_VCPUEVENT_VALID_SMM
 */
void smm_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	if (vcpu_take_request(vcpu, REQ_SMI))
		smm_collect_smi(vcpu);
	events->smi.smm = vcpu->smm;
	events->smi.pending = vcpu->smi_pending;
	events->smi.smm_inside_nmi = vcpu->smm && vcpu->smm_inside_nmi;
	events->smi.latched_init = vcpu->lapic && lapic_init_latched(vcpu);
	events->flags |= KVM_VCPUEVENT_VALID_SMM;
}

/**
 * smm_set_events() - take over the part of SMM
 * @vcpu: under its mutex
 * @events: with KVM_VCPUEVENT_VALID_SMM
 */
void smm_set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	change_mode(vcpu, events->smi.smm);
	vcpu->smi_pending = events->smi.pending;
	vcpu->smm_inside_nmi = events->smi.smm && events->smi.smm_inside_nmi;
	if (vcpu->lapic)
		lapic_latch_init(vcpu, events->smi.latched_init);
}
