// SPDX-License-Identifier: GPL-2.0
/*
 * Segmented memory: from an offset in a segment to the linear address that the
 * ops work on, with the checks on the way.  APM 2 "Segment-Protection
 * Overview", "Canonical Address Form"; SDM 3A "Limit Checking".
 *
 * NOTDONE: #AC for unaligned data (CR0.AM and RFLAGS.AC at CPL 3): no operating
 * system turns it on for code that touches devices.
 */
#include "insn.h"

int emu_raise(struct emu *emu, u8 vector)
{
	emu->fault.vector = vector;
	emu->fault.has_error_code = emu->mode != EMU_MODE_REAL &&
				    (vector == SS_VECTOR || vector == GP_VECTOR);
	emu->fault.error_code = 0;
	return EMU_FAULT;
}

/* May @len bytes at offset @ea be accessed?  Real mode has limits, but no types. */
static bool segment_allows(const struct emu *emu, const struct kvm_segment *s,
			   u64 ea, unsigned int len, int access)
{
	u64 last = ea + len - 1;
	bool code = s->type & TYPE_CODE, write = access & (EMU_WRITE | EMU_RMW);

	if (emu->mode >= EMU_MODE_PROT16) {
		if (s->unusable || !s->present)
			return false;
		if (code ? write || !(s->type & TYPE_WRITE) : write && !(s->type & TYPE_WRITE))
			return false;
		if (!code && s->type & TYPE_EXPAND_DOWN)
			return ea > s->limit && last <= (s->db ? 0xffffffff : 0xffff);
	}
	return last <= s->limit;
}

/**
 * emu_linear_checked() - what emu_linear() does where it takes more than a look
 * @emu: the vCPU
 * @seg: the segment
 * @ea: offset in it, already cut to the address size
 * @len: bytes that are going to be accessed from there
 * @access: enum emu_access
 * @la: gets the linear address, even if it faults
 *
 * Return: EMU_DONE, or EMU_FAULT with #GP(0), or #SS(0) for the stack segment.
 */
int emu_linear_checked(struct emu *emu, enum emu_seg seg, u64 ea, unsigned int len, int access,
		       u64 *la)
{
	struct kvm_segment s;

	if (emu->mode == EMU_MODE_LONG) {
		if (seg >= EMU_FS) {
			emu->ops->segment(emu, seg, &s);
			ea += s.base;
		}
		*la = ea;
		if (emu_is_canonical(emu, ea, len))
			return EMU_DONE;
	} else {
		emu->ops->segment(emu, seg, &s);
		*la = (u32)(s.base + ea);
		if (segment_allows(emu, &s, ea, len, access))
			return EMU_DONE;
	}
	return emu_raise(emu, seg == EMU_SS ? SS_VECTOR : GP_VECTOR);
}

/**
 * emu_read() - read @len bytes at a logical address
 * @emu: the vCPU
 * @seg: the segment
 * @ea: offset in it
 * @data: where to
 * @len: 1 to 32
 * @access: EMU_READ, or EMU_RMW if the instruction is going to write there
 *
 * Return: what emu_linear() and ops->read return.
 */
int emu_read(struct emu *emu, enum emu_seg seg, u64 ea, void *data, unsigned int len, int access)
{
	u64 la;
	int r = emu_linear(emu, seg, ea, len, access, &la);

	return r ?: emu->ops->read(emu, la, data, len, access);
}

/**
 * emu_write() - write @len bytes at a logical address
 * @emu: the vCPU
 * @seg: the segment
 * @ea: offset in it
 * @data: where from
 * @len: 1 to 32
 *
 * Return: what emu_linear() and ops->write return.
 */
int emu_write(struct emu *emu, enum emu_seg seg, u64 ea, const void *data, unsigned int len)
{
	u64 la;
	int r = emu_linear(emu, seg, ea, len, EMU_WRITE, &la);

	return r ?: emu->ops->write(emu, la, data, len);
}
