// SPDX-License-Identifier: GPL-2.0
/*
 * Loading segment registers in software, with the checks that the CPU makes:
 * SDM 3A "Segment Registers", "Privilege Level Checking When Accessing Data
 * Segments", "Task-Switch Exceptions".
 *
 * NOTDONE: the 16-byte descriptors of 64-bit mode's LDT and TSS; call gates.
 */
#include "backend.h"
#include "mmu/linear.h"
#include "segment.h"

static const u16 segment_offsets[SEG_NR] = {
#define SEG(nr, sreg) [nr] = offsetof(struct kvm_sregs2, sreg)
	SEG(EMU_ES, es), SEG(EMU_CS, cs), SEG(EMU_SS, ss), SEG(EMU_DS, ds), SEG(EMU_FS, fs),
	SEG(EMU_GS, gs), SEG(SEG_LDTR, ldt), SEG(SEG_TR, tr),
#undef SEG
};

/**
 * segment_of() - a segment register by number
 * @sregs: has it
 * @seg: enum emu_seg, SEG_LDTR or SEG_TR
 */
struct kvm_segment *segment_of(struct kvm_sregs2 *sregs, unsigned int seg)
{
	return (void *)sregs + segment_offsets[seg];
}

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

	if ((local && sregs->ldt.unusable) || offset + sizeof(desc->raw) - 1 > limit)
		return segment_fault(vcpu, vector, selector);
	desc->at = (local ? sregs->ldt.base : sregs->gdt.base) + offset;
	if (!vcpu_long_mode(vcpu))
		desc->at = (u32)desc->at;
	return linear_read(vcpu, desc->at, &desc->raw, sizeof(desc->raw), LINEAR_SYSTEM);
}

/**
 * segment_decode() - what a descriptor says
 * @desc: read from memory
 * @selector: that names it
 * @out: filled
 */
void segment_decode(const struct segment_descriptor *desc, u16 selector, struct kvm_segment *out)
{
	u64 raw = desc->raw;

	*out = (struct kvm_segment) {
		.selector = selector,
		.base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000),
		.limit = (raw & 0xffff) | (raw >> 32 & 0xf0000),
		.type = raw >> 40 & 0xf, .s = raw >> 44 & 1, .dpl = raw >> 45 & 3,
		.present = raw >> 47 & 1, .avl = raw >> 52 & 1, .l = raw >> 53 & 1,
		.db = raw >> 54 & 1, .g = raw >> 55 & 1,
	};
	if (out->g)
		out->limit = out->limit << 12 | 0xfff;
}

/**
 * segment_load_real() - a segment of real or virtual-8086 mode
 * @out: filled
 * @selector: a 16th of its base
 * @code: CS
 * @vm86: virtual-8086 mode, where CPL is 3
 */
void segment_load_real(struct kvm_segment *out, u16 selector, bool code, bool vm86)
{
	*out = (struct kvm_segment) {
		.selector = selector, .base = selector << 4, .limit = 0xffff,
		.type = TYPE_WRITE | TYPE_ACCESSED | (code && !vm86 ? TYPE_CODE : 0),
		.s = 1, .present = 1, .dpl = vm86 ? 3 : 0,
	};
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

/* In memory, as the CPU does: the descriptor's access byte gets @bits of the type. */
static int mark_type(struct vcpu *vcpu, const struct segment_descriptor *desc, u8 bits)
{
	u8 byte = desc->raw >> 40 | bits;

	if (byte == (u8)(desc->raw >> 40))
		return 0;
	return linear_write(vcpu, desc->at + 5, &byte, sizeof(byte), LINEAR_SYSTEM);
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
	struct kvm_segment new;
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
	segment_decode(&desc, selector, &new);
	if (!type_fits(&new, seg) || !privilege_fits(&new, seg, cpl))
		return segment_fault(vcpu, vector, selector);
	if (!new.present)
		return segment_fault(vcpu, seg == EMU_SS ? SS_VECTOR :
				     seg == SEG_LDTR && vector == TS_VECTOR ? vector : NP_VECTOR,
				     selector);
	r = seg == SEG_LDTR ? 0 : mark_type(vcpu, &desc, system ? TYPE_TSS_BUSY : TYPE_ACCESSED);
	if (r)
		return r;
	new.type |= seg == SEG_LDTR ? 0 : system ? TYPE_TSS_BUSY : TYPE_ACCESSED;
	*segment_of(sregs, seg) = new;
	return 0;
}
