// SPDX-License-Identifier: GPL-2.0
/*
 * Loading segment registers in software, with the checks that the CPU makes:
 * SDM 3A "Segment Registers", "Privilege Level Checking When Accessing Data
 * Segments", "Task-Switch Exceptions".
 *
 * NOTDONE: the 16-byte descriptors of 64-bit mode's LDT and TSS; call gates.
 */
#include "backend.h"
#include "segment.h"

const u16 segment_offsets[SEG_NR] = {
#define SEG(nr, sreg) [nr] = offsetof(struct kvm_sregs2, sreg)
	SEG(EMU_ES, es), SEG(EMU_CS, cs), SEG(EMU_SS, ss), SEG(EMU_DS, ds), SEG(EMU_FS, fs),
	SEG(EMU_GS, gs), SEG(SEG_LDTR, ldt), SEG(SEG_TR, tr),
#undef SEG
};

/**
 * segment_fault() - raise an exception that names a selector
 * @vcpu: under its mutex
 * @vector: #TS, #NP, #SS or #GP
 * @selector: its RPL is not told
 *
 * Return: 1.
 */
int segment_fault(struct vcpu *vcpu, u8 vector, u16 selector)
{
	vcpu_queue_exception_err(vcpu, vector, selector & ~SELECTOR_RPL);
	return 1;
}

/**
 * segment_read_descriptor() - find a descriptor in GDT or LDT
 * @vcpu: under its mutex
 * @sregs: its segments and tables
 * @selector: which; not null
 * @vector: what to raise beyond the table's limit
 * @desc: filled
 *
 * Return: 0, 1 with an exception queued, or -EFAULT where the table is in no RAM.
 */
int segment_read_descriptor(struct vcpu *vcpu, const struct kvm_sregs2 *sregs, u16 selector,
			    u8 vector, struct segment_descriptor *desc)
{
	bool local = selector & SELECTOR_TI;
	u32 offset = selector & ~(SELECTOR_RPL | SELECTOR_TI);
	u32 limit = local ? sregs->ldt.limit : sregs->gdt.limit;
	u64 raw;
	int r;

	if ((local && sregs->ldt.unusable) || offset + sizeof(raw) - 1 > limit)
		return segment_fault(vcpu, vector, selector);
	desc->at = (local ? sregs->ldt.base : sregs->gdt.base) + offset;
	if (!vcpu_long_mode(vcpu))
		desc->at = (u32)desc->at;
	r = linear_read(vcpu, desc->at, &raw, sizeof(raw), GWALK_IMPLICIT);
	if (r)
		return r;
	desc->access = raw >> 40;
	segment_unpack(&desc->seg, selector, raw >> 40, raw >> 52,
		       (raw & 0xffff) | (raw >> 32 & 0xf0000),
		       (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000));
	if (desc->seg.g)
		desc->seg.limit = desc->seg.limit << 12 | 0xfff;
	return 0;
}

/**
 * segment_set_type() - change a descriptor's type, also in memory, as the CPU does
 * @vcpu: under its mutex
 * @desc: read before
 * @type: enum segment_type
 *
 * Return: as segment_read_descriptor().
 */
int segment_set_type(struct vcpu *vcpu, struct segment_descriptor *desc, u8 type)
{
	u8 access = (desc->access & 0xf0) | type;

	desc->seg.type = type;
	return linear_write(vcpu, desc->at + 5, &access, sizeof(access), GWALK_IMPLICIT);
}

static bool type_fits(const struct kvm_segment *new, unsigned int seg)
{
	switch (seg) {
	case EMU_CS: return new->s && new->type & TYPE_CODE;
	case EMU_SS: return new->s && (new->type & (TYPE_CODE | TYPE_WRITE)) == TYPE_WRITE;
	case SEG_LDTR: return !new->s && new->type == TYPE_LDT;
	case SEG_TR: return !new->s && (new->type & ~TYPE_TSS_WIDE) == TYPE_TSS16;
	/* data, or code that may be read */
	default: return new->s && (new->type & (TYPE_CODE | TYPE_WRITE)) != TYPE_CODE;
	}
}

static bool privilege_fits(const struct kvm_segment *new, unsigned int seg, u8 cpl)
{
	u8 rpl = new->selector & SELECTOR_RPL;
	bool conforming = (new->type & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING);

	switch (seg) {
	case EMU_CS: return conforming ? new->dpl <= rpl : new->dpl == rpl;
	case EMU_SS: return rpl == cpl && new->dpl == cpl;
	case SEG_LDTR:
	case SEG_TR: return true;
	default: return conforming || new->dpl >= max(rpl, cpl);
	}
}

/**
 * segment_load() - load a segment register in protected mode
 * @vcpu: under its mutex
 * @sregs: its segments and tables; the register is changed if all is well
 * @seg: enum emu_seg, SEG_LDTR or SEG_TR
 * @selector: what to load
 * @cpl: the current privilege level; CS is taken to become one of its RPL
 * @vector: what a bad selector raises: #GP, or #TS in a task switch
 *
 * Return: 0, 1 with an exception queued, or -EFAULT where a table is in no RAM.
 */
int segment_load(struct vcpu *vcpu, struct kvm_sregs2 *sregs, unsigned int seg, u16 selector,
		 u8 cpl, u8 vector)
{
	bool system = seg >= SEG_LDTR;
	struct segment_descriptor desc;
	struct kvm_segment *new = &desc.seg;
	u8 mark;
	int r;

	if (!(selector & ~SELECTOR_RPL)) {
		if (seg == EMU_CS || seg == EMU_SS || seg == SEG_TR)
			return segment_fault(vcpu, vector, selector);
		*segment_of(sregs, seg) = (struct kvm_segment) { .selector = selector, .unusable = 1 };
		return 0;
	}
	if (system && selector & SELECTOR_TI)
		return segment_fault(vcpu, vector, selector);
	r = segment_read_descriptor(vcpu, sregs, selector, vector, &desc);
	if (r)
		return r;
	if (!type_fits(new, seg) || !privilege_fits(new, seg, cpl))
		return segment_fault(vcpu, vector, selector);
	if (!new->present)
		return segment_fault(vcpu, seg == EMU_SS ? SS_VECTOR :
				     seg == SEG_LDTR && vector == TS_VECTOR ? vector : NP_VECTOR,
				     selector);
	mark = seg == SEG_LDTR ? 0 : system ? TYPE_TSS_BUSY : TYPE_ACCESSED;
	if (mark & ~new->type)
		r = segment_set_type(vcpu, &desc, new->type | mark);
	if (!r)
		*segment_of(sregs, seg) = *new;
	return r;
}
