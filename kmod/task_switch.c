// SPDX-License-Identifier: GPL-2.0
/*
 * Task switches: SDM 3A "Task Management", whose section "Task Switching" has
 * the steps.  Up to step 7, the old task's state, a fault is the old task's and
 * nothing has changed; from step 11 on it is the new one's.
 */
#include "backend.h"
#include "cr.h"
#include "exit.h"
#include "segment.h"

/* SDM 3A "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)"; registers by their encodings. */
struct tss32 {
	u32	link, stacks[6], cr3, eip, eflags, regs[8], segs[EMU_NSEGS], ldt;
	u16	trap, iomap;
};

struct tss16 {
	u16	link, stacks[6], ip, flags, regs[8], segs[EMU_DS + 1], ldt;
};

static_assert(sizeof(struct tss32) == 104 && offsetof(struct tss32, segs) == 0x48);
static_assert(sizeof(struct tss16) == 44 && offsetof(struct tss16, segs) == 0x22);

/* What is being switched. */
struct switching {
	struct vcpu		*vcpu;
	const struct task_switch *ts;
	struct kvm_sregs2	sregs;
	struct segment_descriptor tr;	/* of the new TSS */
	struct tss32		new;	/* of a 16-bit TSS too */
};

static bool is_wide(const struct kvm_segment *tr)
{
	return tr->type & TYPE_TSS_WIDE;
}

/* Is there an available TSS, for IRET a busy one, large enough? */
static int check_new_tss(struct switching *sw)
{
	struct vcpu *vcpu = sw->vcpu;
	u16 selector = sw->ts->selector;
	bool iret = sw->ts->cause == TASK_IRET;
	u8 vector = iret ? TS_VECTOR : GP_VECTOR;
	const struct kvm_segment *tr = &sw->tr.seg;
	int r;

	if (selector & SELECTOR_TI || !(selector & ~SELECTOR_RPL))
		return segment_fault(vcpu, vector, selector);
	r = segment_read_descriptor(vcpu, &sw->sregs, selector, vector, &sw->tr);
	if (r)
		return r;
	if (tr->s ||
	    (tr->type & ~TYPE_TSS_WIDE) != (TYPE_TSS16 | (iret ? TYPE_TSS_BUSY : 0)))
		return segment_fault(vcpu, vector, selector);
	if (!tr->present)
		return segment_fault(vcpu, NP_VECTOR, selector);
	if (tr->limit < (is_wide(tr) ? sizeof(struct tss32) : sizeof(struct tss16)) - 1)
		return segment_fault(vcpu, TS_VECTOR, selector);
	return 0;
}

static int read_new_tss(struct switching *sw)
{
	gva_t base = sw->tr.seg.base;
	struct tss16 narrow;
	unsigned int i;
	int r;

	if (is_wide(&sw->tr.seg))
		return linear_read(sw->vcpu, base, &sw->new, sizeof(sw->new), GWALK_IMPLICIT);
	r = linear_read(sw->vcpu, base, &narrow, sizeof(narrow), GWALK_IMPLICIT);
	sw->new = (struct tss32) {
		.cr3 = sw->vcpu->cr3, .eip = narrow.ip, .eflags = narrow.flags, .ldt = narrow.ldt,
	};
	for (i = 0; i < ARRAY_SIZE(narrow.regs); i++)
		sw->new.regs[i] = narrow.regs[i];
	for (i = 0; i < ARRAY_SIZE(narrow.segs); i++)
		sw->new.segs[i] = narrow.segs[i];
	return r;
}

/* From EIP up to the segments: the rest of a TSS the CPU only reads. */
static int save_old_task(struct switching *sw)
{
	struct vcpu *vcpu = sw->vcpu;
	struct tss32 old = { .eip = sw->ts->next_rip, .eflags = vcpu_guest_rflags(vcpu) };
	struct tss16 narrow;
	unsigned int i;

	if (sw->ts->cause == TASK_IRET)
		old.eflags &= ~X86_EFLAGS_NT;
	for (i = 0; i < ARRAY_SIZE(old.regs); i++)
		old.regs[i] = vcpu->regs[i];
	for (i = 0; i < ARRAY_SIZE(old.segs); i++)
		old.segs[i] = segment_of(&sw->sregs, i)->selector;
	if (is_wide(&sw->sregs.tr))
		return linear_write(vcpu, sw->sregs.tr.base + offsetof(struct tss32, eip), &old.eip,
				    offsetof(struct tss32, ldt) - offsetof(struct tss32, eip),
				    GWALK_IMPLICIT);
	narrow.ip = old.eip;
	narrow.flags = old.eflags;
	for (i = 0; i < ARRAY_SIZE(narrow.regs); i++)
		narrow.regs[i] = old.regs[i];
	for (i = 0; i < ARRAY_SIZE(narrow.segs); i++)
		narrow.segs[i] = old.segs[i];
	return linear_write(vcpu, sw->sregs.tr.base + offsetof(struct tss16, ip), &narrow.ip,
			    offsetof(struct tss16, ldt) - offsetof(struct tss16, ip), GWALK_IMPLICIT);
}

/*
 *		old TSS busy	new TSS busy	new link	NT in the new EFLAGS
 *   CALL, gate	stays		set		old selector	set
 *   JMP	cleared		set		-		as in the TSS
 *   IRET	cleared		is already	-		as in the TSS
 */
static int link_tasks(struct switching *sw)
{
	enum task_switch_cause cause = sw->ts->cause;
	struct segment_descriptor old;
	u16 link = sw->sregs.tr.selector;
	int r = 0;

	if (cause == TASK_CALL || cause == TASK_GATE) {
		r = linear_write(sw->vcpu, sw->tr.seg.base, &link, sizeof(link), GWALK_IMPLICIT);
		sw->new.eflags |= X86_EFLAGS_NT;
	} else {
		r = segment_read_descriptor(sw->vcpu, &sw->sregs, link, TS_VECTOR, &old);
		r = r ?: segment_set_type(sw->vcpu, &old, old.seg.type & ~TYPE_TSS_BUSY);
	}
	if (!r && cause != TASK_IRET)
		r = segment_set_type(sw->vcpu, &sw->tr, sw->tr.seg.type | TYPE_TSS_BUSY);
	return r;
}

/*
 * Registers, and the new selectors beside the old descriptors: what a fault in
 * the new task finds before these are loaded.  CPL is CS.RPL.
 */
static u8 enter_new_task(struct switching *sw)
{
	struct vcpu *vcpu = sw->vcpu;
	struct kvm_sregs2 *sregs = &sw->sregs;
	u8 cpl = sw->new.eflags & X86_EFLAGS_VM ? 3 : sw->new.segs[EMU_CS] & SELECTOR_RPL;
	unsigned int i;

	vcpu->exception.injected = false;
	backend(set_cr0)(vcpu, vcpu->cr0 | X86_CR0_TS);
	sregs->tr = sw->tr.seg;
	if (vcpu->cr0 & X86_CR0_PG)
		vcpu_set_cr3(vcpu, sw->new.cr3);
	vcpu->rip = sw->new.eip;
	vcpu->rflags = sw->new.eflags | X86_EFLAGS_FIXED;
	vcpu->step_armed = false;
	for (i = 0; i < ARRAY_SIZE(sw->new.regs); i++)
		vcpu->regs[i] = sw->new.regs[i];
	for (i = 0; i < EMU_NSEGS; i++)
		segment_of(sregs, i)->selector = sw->new.segs[i];
	sregs->ldt = (struct kvm_segment) { .selector = sw->new.ldt, .unusable = 1 };
	sregs->cs.dpl = sregs->ss.dpl = cpl;
	vcpu->dr7 &= ~(u64)(DR_LOCAL_ENABLE_MASK | DR_LOCAL_SLOWDOWN);
	return cpl;
}

static int load_segments(struct switching *sw, u8 cpl)
{
	static const u8 order[] = { EMU_CS, EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	unsigned int i;
	int r;

	r = segment_load(sw->vcpu, &sw->sregs, SEG_LDTR, sw->new.ldt, cpl, TS_VECTOR);
	for (i = 0; !r && i < ARRAY_SIZE(order); i++) {
		u16 selector = sw->new.segs[order[i]];

		if (sw->new.eflags & X86_EFLAGS_VM) {
			*segment_of(&sw->sregs, order[i]) = (struct kvm_segment) {
				.selector = selector, .base = selector << 4, .limit = 0xffff,
				.type = TYPE_WRITE | TYPE_ACCESSED, .s = 1, .present = 1, .dpl = 3,
			};
		} else {
			r = segment_load(sw->vcpu, &sw->sregs, order[i], selector, cpl, TS_VECTOR);
		}
	}
	return r;
}

/* The exception that went through the gate has one. */
static int push_error_code(struct switching *sw, u8 cpl)
{
	struct vcpu *vcpu = sw->vcpu;
	const struct kvm_segment *ss = &sw->sregs.ss;
	unsigned int size = is_wide(&sw->tr.seg) ? 4 : 2;
	u32 sp = vcpu->regs[EMU_RSP] - size;
	int r;

	if (!ss->db)
		sp = (u16)sp;
	if (!(ss->type & TYPE_EXPAND_DOWN) && (u64)sp + size - 1 > ss->limit)
		return segment_fault(vcpu, SS_VECTOR, 0);
	r = linear_write(vcpu, (u32)(ss->base + sp), &sw->ts->error_code, size,
			 cpl == 3 ? GWALK_USER : 0);
	if (!r)
		vcpu->regs[EMU_RSP] = ss->db ? sp : (vcpu->regs[EMU_RSP] & ~0xffffULL) | sp;
	return r;
}

/* In the new task: faults do not take it back. */
static int start_new_task(struct switching *sw)
{
	struct vcpu *vcpu = sw->vcpu;
	u8 cpl = enter_new_task(sw);
	int r = load_segments(sw, cpl);

	backend(set_sregs)(vcpu, &sw->sregs);
	backend(set_shadow)(vcpu, 0);
	backend(update_intercepts)(vcpu);
	vcpu_request(vcpu, REQ_EVENT);
	if (!r && sw->ts->has_error_code)
		r = push_error_code(sw, cpl);
	if (!r && vcpu->rip > sw->sregs.cs.limit)
		r = segment_fault(vcpu, GP_VECTOR, 0);
	if (!r && sw->new.trap & 1)
		vcpu_queue_db(vcpu, DR_SWITCH);
	return r;
}

/*
 * What came through a gate is delivered by this switch, or by the fault that it
 * ends in; an exception stays to make that a double fault.
 */
static void drop_events(struct vcpu *vcpu)
{
	vcpu->interrupt.injected = false;
	if (vcpu->nmi_injected)
		backend(set_nmi_mask)(vcpu, true);
	vcpu->nmi_injected = false;
}

/**
 * exit_task_switch() - switch to another task
 * @vcpu: under its mutex
 * @ts: how it came to it
 *
 * Return: EXIT_RESUME, also with a fault queued; EXIT_USER with an internal
 * error where descriptors or TSS are in no RAM.
 */
int exit_task_switch(struct vcpu *vcpu, const struct task_switch *ts)
{
	struct switching sw = { .vcpu = vcpu, .ts = ts };
	u64 data[] = { ts->cause, ts->selector };
	int r;

	if (ts->cause == TASK_GATE)
		drop_events(vcpu);
	backend(get_sregs)(vcpu, &sw.sregs);
	r = check_new_tss(&sw);
	r = r ?: read_new_tss(&sw);
	r = r ?: save_old_task(&sw);
	r = r ?: link_tasks(&sw);
	r = r ?: start_new_task(&sw);
	if (r < 0)
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, ARRAY_SIZE(data), data);
	return EXIT_RESUME;
}
