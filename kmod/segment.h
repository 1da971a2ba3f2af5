/* SPDX-License-Identifier: GPL-2.0 */
/* Segment descriptors in software. */
#ifndef VITRO_SEGMENT_H
#define VITRO_SEGMENT_H

#include "vcpu.h"

/* Beside the six of enum emu_seg. */
enum { SEG_LDTR = EMU_NSEGS, SEG_TR, SEG_NR };

/* SDM 3A "System Descriptor Types"; enum segment_type has those of code and data. */
enum { TYPE_LDT = 2, TYPE_TSS16 = 1, TYPE_TSS_BUSY = 1 << 1, TYPE_TSS_WIDE = 1 << 3 };

enum { SELECTOR_RPL = 3, SELECTOR_TI = 4 };

struct segment_descriptor {
	gva_t	at;			/* where it lies */
	u8	access;			/* its sixth byte: type, S, DPL, P */
	struct kvm_segment seg;		/* what it says */
};

extern const u16 segment_offsets[SEG_NR];

/* A segment register by number: enum emu_seg, SEG_LDTR or SEG_TR. */
static inline struct kvm_segment *segment_of(const struct kvm_sregs2 *sregs, unsigned int seg)
{
	return (void *)sregs + segment_offsets[seg];
}

/* Access rights have these places in bits 55:40 of a descriptor, in a VMCS, and in what an SMI saves. */
static inline u32 segment_rights(const struct kvm_segment *seg)
{
	return (seg->type & 0xf) | (seg->s & 1) << 4 | (seg->dpl & 3) << 5 |
	       (seg->present & 1 && !seg->unusable) << 7 | (seg->avl & 1) << 12 |
	       (seg->l & 1) << 13 | (seg->db & 1) << 14 | (seg->g & 1) << 15;
}

/* @low are the lowest eight of these bits, @high the highest four. */
static inline void segment_unpack(struct kvm_segment *seg, u16 selector, u8 low, u8 high, u32 limit,
				  u64 base)
{
	*seg = (struct kvm_segment) {
		.selector = selector, .limit = limit, .base = base,
		.type = low & 0xf, .s = low >> 4 & 1, .dpl = low >> 5 & 3, .present = low >> 7,
		.avl = high & 1, .l = high >> 1 & 1, .db = high >> 2 & 1, .g = high >> 3 & 1,
		.unusable = !(low >> 7),
	};
}

int segment_fault(struct vcpu *vcpu, u8 vector, u16 selector);
int segment_read_descriptor(struct vcpu *vcpu, const struct kvm_sregs2 *sregs, u16 selector,
			    u8 vector, struct segment_descriptor *desc);
int segment_set_type(struct vcpu *vcpu, struct segment_descriptor *desc, u8 type);
int segment_load(struct vcpu *vcpu, struct kvm_sregs2 *sregs, unsigned int seg, u16 selector,
		 u8 cpl, u8 vector);

#endif /* VITRO_SEGMENT_H */
