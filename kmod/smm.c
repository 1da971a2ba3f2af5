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

/* APM 2 "AMD64 Architecture SMM State-Save Area"; KVM_X86_SHADOW_INT_* is where stock KVM has it. */
struct smram_segment {
	u16	selector, attributes;
	u32	limit;
	u64	base;
};

struct smram {
	struct smram_segment segs[EMU_NSEGS], gdt, ldt, idt, tr;
	u8	io_restart[0x2b], int_shadow, reserved[4];
	u64	efer;
	u8	svm[0x24];
	u32	revision, smbase;
	u8	nested[0x44];
	u64	cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u64	regs[EMU_NREGS];		/* the last one first */
};

static_assert(offsetof(struct smram, tr) == 0x90 && offsetof(struct smram, efer) == 0xd0);
static_assert(offsetof(struct smram, int_shadow) == 0xcb);
static_assert(offsetof(struct smram, revision) == 0xfc && offsetof(struct smram, cr4) == 0x148);
static_assert(offsetof(struct smram, regs) == 0x180 && sizeof(struct smram) == 0x200);

/*
 * APM 2 "Legacy SMM State-Save Area", what P6 and 32-bit AMD CPUs have: as large,
 * the lower words of the same registers at other offsets.  It keeps a segment's
 * attributes where a descriptor's upper half has them, a byte further up.
 */
#define WORD(offset, field)	{ offset, offsetof(struct smram, field), sizeof(u32) }
#define HALF(offset, field)	{ offset, offsetof(struct smram, field), sizeof(u16) }
#define REG(offset, reg)	WORD(offset, regs[EMU_NREGS - 1 - (reg)])
#define SEG(offset, selector_offset, seg)						\
	HALF(selector_offset, seg.selector), HALF((offset) + 1, seg.attributes),	\
	WORD((offset) + 4, seg.limit), WORD((offset) + 8, seg.base)

static const struct smram_part { u16 legacy, amd64; u8 size; } smram_parts[] = {
	WORD(0x0f8, smbase), WORD(0x0fc, revision), WORD(0x114, cr4),
	{ 0x11a, offsetof(struct smram, int_shadow), sizeof(u8) },
	SEG(0x12c, 0x1b4, segs[EMU_DS]), SEG(0x138, 0x1b8, segs[EMU_FS]),
	SEG(0x144, 0x1bc, segs[EMU_GS]),
	WORD(0x154, idt.limit), WORD(0x158, idt.base), SEG(0x15c, 0x1c4, tr),
	WORD(0x170, gdt.limit), WORD(0x174, gdt.base), SEG(0x178, 0x1c0, ldt),
	SEG(0x184, 0x1a8, segs[EMU_ES]), SEG(0x190, 0x1ac, segs[EMU_CS]),
	SEG(0x19c, 0x1b0, segs[EMU_SS]),
	WORD(0x1c8, dr7), WORD(0x1cc, dr6),
	REG(0x1d0, EMU_RAX), REG(0x1d4, EMU_RCX), REG(0x1d8, EMU_RDX), REG(0x1dc, EMU_RBX),
	REG(0x1e0, EMU_RSP), REG(0x1e4, EMU_RBP), REG(0x1e8, EMU_RSI), REG(0x1ec, EMU_RDI),
	WORD(0x1f0, rip), WORD(0x1f4, rflags), WORD(0x1f8, cr3), WORD(0x1fc, cr0),
};

/* From the AMD64 area to the legacy one, or back. */
static void convert(struct smram *area, u8 *legacy, bool back)
{
	const struct smram_part *part;

	for (part = smram_parts; part < smram_parts + ARRAY_SIZE(smram_parts); part++) {
		void *amd64 = (u8 *)area + part->amd64;

		if (back)
			memcpy(amd64, legacy + part->legacy, part->size);
		else
			memcpy(legacy + part->legacy, amd64, part->size);
	}
}

static struct smram_segment save_segment(const struct kvm_segment *seg)
{
	return (struct smram_segment) { seg->selector, segment_rights(seg), seg->limit, seg->base };
}

static void load_segment(struct kvm_segment *seg, const struct smram_segment *from)
{
	segment_unpack(seg, from->selector, from->attributes, from->attributes >> 12,
		       from->limit, from->base);
}

/* Where there is no RAM the bus swallows it, and load() will find nothing. */
static void save(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	bool wide = vcpu_has(vcpu, CAP_LM);
	u8 legacy[sizeof(struct smram)] = {};
	struct smram area = {
		.gdt = { .limit = sregs->gdt.limit, .base = sregs->gdt.base },
		.idt = { .limit = sregs->idt.limit, .base = sregs->idt.base },
		.ldt = save_segment(&sregs->ldt), .tr = save_segment(&sregs->tr),
		.int_shadow = backend(get_shadow)(vcpu), .efer = vcpu->efer, .smbase = vcpu->smbase,
		.revision = wide ? SMM_REVISION_64 : SMM_REVISION_32,
		.cr0 = vcpu->cr0, .cr3 = vcpu->cr3, .cr4 = vcpu->cr4,
		.dr6 = vcpu->dr6, .dr7 = vcpu->dr7,
		.rflags = vcpu_guest_rflags(vcpu), .rip = vcpu->rip,
	};
	unsigned int i;

	for (i = 0; i < EMU_NSEGS; i++)
		area.segs[i] = save_segment(segment_of(sregs, i));
	for (i = 0; i < EMU_NREGS; i++)
		area.regs[EMU_NREGS - 1 - i] = vcpu->regs[i];
	if (!wide)
		convert(&area, legacy, false);
	guest_write(vcpu, vcpu->smbase + SMM_STATE, wide ? (void *)&area : legacy, sizeof(area));
}

/* Return: 0, or not 0 where there is nothing that a CPU can load. */
static int load(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	bool wide = vcpu_has(vcpu, CAP_LM);
	struct smram area = { .efer = sregs->efer };	/* the legacy area has none */
	u8 legacy[sizeof(area)];
	unsigned int i;

	if (guest_read(vcpu, vcpu->smbase + SMM_STATE, wide ? (void *)&area : legacy, sizeof(area)))
		return 1;
	if (!wide)
		convert(&area, legacy, true);
	for (i = 0; i < (wide ? EMU_NREGS : EMU_R8); i++)
		vcpu->regs[i] = area.regs[EMU_NREGS - 1 - i];
	for (i = 0; i < EMU_NSEGS; i++)
		load_segment(segment_of(sregs, i), &area.segs[i]);
	load_segment(&sregs->ldt, &area.ldt);
	load_segment(&sregs->tr, &area.tr);
	sregs->gdt = (struct kvm_dtable) { .limit = area.gdt.limit, .base = area.gdt.base };
	sregs->idt = (struct kvm_dtable) { .limit = area.idt.limit, .base = area.idt.base };
	sregs->cr0 = area.cr0;
	sregs->cr3 = area.cr3;
	sregs->cr4 = area.cr4;
	sregs->efer = area.efer & ~(u64)EFER_LMA;
	if (area.efer & EFER_LME && area.cr0 & X86_CR0_PG)
		sregs->efer |= EFER_LMA;
	vcpu->rip = area.rip;
	vcpu->rflags = area.rflags | X86_EFLAGS_FIXED;
	vcpu->smbase = area.smbase;
	/* A HLT behind STI must not find its interrupt served already. */
	backend(set_shadow)(vcpu, area.int_shadow);
	return vcpu_set_dr(vcpu, 6, area.dr6) | vcpu_set_dr(vcpu, 7, area.dr7);
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

/**
 * smm_enter() - take the pending SMI
 * @vcpu: in its own thread, not in SMM, no event on its way
 *
 * APM 2 "SMM Execution Environment": real mode with 4 GiB segments.
 */
void smm_enter(struct vcpu *vcpu)
{
	struct kvm_segment flat = { .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .g = 1 };
	struct kvm_sregs2 sregs;
	unsigned int i;

	vcpu->smi_pending = false;
	vcpu->smi_count++;
	vcpu_get_sregs(vcpu, &sregs);
	change_mode(vcpu, true);
	save(vcpu, &sregs);
	vcpu->smm_inside_nmi = vcpu->nmi_masked;
	backend(set_nmi_mask)(vcpu, true);

	for (i = 0; i < EMU_NSEGS; i++)
		*segment_of(&sregs, i) = flat;
	sregs.cs.selector = vcpu->smbase >> 4;
	sregs.cs.base = vcpu->smbase;
	sregs.idt = (struct kvm_dtable) {};
	sregs.cr0 &= ~(u64)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
	sregs.cr4 = 0;
	if (vcpu_has(vcpu, CAP_LM))	/* else nothing has saved it */
		sregs.efer = 0;
	vcpu->rip = SMM_ENTRY;
	vcpu->rflags = X86_EFLAGS_FIXED;
	vcpu->step_armed = false;
	vcpu_set_dr(vcpu, 7, DR7_FIXED_ONE);
	backend(set_shadow)(vcpu, 0);
	WARN_ON_ONCE(vcpu_set_sregs(vcpu, &sregs));
}

/**
 * exit_rsm() - RSM
 * @vcpu: under its mutex
 *
 * State that no CPU can have ends in a shutdown.
 *
 * Return: EXIT_RESUME; outside of SMM with #UD queued.
 */
int exit_rsm(struct vcpu *vcpu)
{
	struct kvm_sregs2 sregs;
	bool bad;

	if (!vcpu->smm)
		return exit_ud(vcpu);
	vcpu_get_sregs(vcpu, &sregs);
	backend(set_shadow)(vcpu, 0);
	bad = load(vcpu, &sregs);
	if (!vcpu->smm_inside_nmi)
		backend(set_nmi_mask)(vcpu, false);
	change_mode(vcpu, false);
	vcpu->step_armed = false;
	if (bad || vcpu_set_sregs(vcpu, &sregs))
		vcpu_request(vcpu, REQ_TRIPLE_FAULT);
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
 * @events: gets smi
 */
void smm_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	if (vcpu_take_request(vcpu, REQ_SMI))
		smm_collect_smi(vcpu);
	events->smi.smm = vcpu->smm;
	events->smi.pending = vcpu->smi_pending;
	events->smi.smm_inside_nmi = vcpu->smm && vcpu->smm_inside_nmi;
	events->smi.latched_init = test_bit(LAPIC_INIT, &vcpu->apic_events);
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
	if (!vcpu->lapic)
		return;
	assign_bit(LAPIC_INIT, &vcpu->apic_events, events->smi.latched_init);
	if (events->smi.latched_init)
		vcpu_request(vcpu, REQ_APIC_STATE);
}
