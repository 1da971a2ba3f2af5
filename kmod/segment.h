/* SPDX-License-Identifier: GPL-2.0 */
/* Segment descriptors in software. */
#ifndef VITRO_SEGMENT_H
#define VITRO_SEGMENT_H

#include "vcpu.h"

/* Beside the six of enum emu_seg. */
enum { SEG_LDTR = EMU_NSEGS, SEG_TR, SEG_NR };

/* SDM 3A "Segment Descriptors", "System Descriptor Types", "Code- and Data-Segment Descriptor Types". */
enum segment_type {
	TYPE_ACCESSED	= 1 << 0,
	TYPE_WRITE	= 1 << 1,	/* of data; of code: readable */
	TYPE_CONFORMING	= 1 << 2,	/* of code; of data: expands down */
	TYPE_CODE	= 1 << 3,
	TYPE_LDT	= 2,
	TYPE_TSS16	= 1,
	TYPE_TSS_BUSY	= 1 << 1,
	TYPE_TSS_WIDE	= 1 << 3,
};

enum { SELECTOR_RPL = 3, SELECTOR_TI = 4 };

struct segment_descriptor {
	u64	raw;
	gva_t	at;			/* where it lies */
};

struct kvm_segment *segment_of(struct kvm_sregs2 *sregs, unsigned int seg);
int segment_fault(struct vcpu *vcpu, u8 vector, u16 selector);
int segment_read_descriptor(struct vcpu *vcpu, const struct kvm_sregs2 *sregs, u16 selector,
			    u8 vector, struct segment_descriptor *desc);
void segment_decode(const struct segment_descriptor *desc, u16 selector, struct kvm_segment *out);
int segment_load(struct vcpu *vcpu, struct kvm_sregs2 *sregs, unsigned int seg, u16 selector,
		 u8 cpl, u8 vector);
void segment_load_real(struct kvm_segment *out, u16 selector, bool code, bool vm86);

#endif /* VITRO_SEGMENT_H */
