// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "emulate_guest.h"

enum {
	PAGE_BYTES	= 4096,
	VECTOR_UD	= 6,
	VECTOR_GP	= 13,
	VECTOR_PF	= 14,
	PF_PRESENT	= 1 << 0,	/* APM 2 "Page-Fault Exception" */
	PF_WRITE	= 1 << 1,
	PF_USER		= 1 << 2,
	PF_FETCH	= 1 << 4,
};

static struct guest *guest_of(struct emu *emu)
{
	return (void *)emu - offsetof(struct guest, emu);
}

static int page_fault(struct emu *emu, u64 la, u32 error_code)
{
	emu->fault = (struct emu_fault) {
		.vector = VECTOR_PF, .has_error_code = true,
		.error_code = error_code, .address = la,
	};
	return EMU_FAULT;
}

static int general_protection(struct emu *emu)
{
	emu->fault = (struct emu_fault) { .vector = VECTOR_GP, .has_error_code = true };
	return EMU_FAULT;
}

/* An answer belongs to its place in the step that asked for it. */
static int gate(struct guest *guest)
{
	unsigned int op, nr;

	if (guest->step != guest->emu.step) {
		guest->step = guest->emu.step;
		guest->ops_before += guest->ops_in_step;
		guest->ops_in_step = 0;
		guest->answered = 0;
		guest->performed = 0;
	}
	op = guest->ops_in_step++;
	nr = guest->ops_before + op;
	if (op < guest->answered)
		return EMU_DONE;
	if (guest->gate == GATE_FAULT && nr == guest->gate_at)
		return page_fault(&guest->emu, GUEST_FAULT_ADDRESS, 0);
	if (guest->gate == GATE_ASK_ALL || (guest->gate == GATE_ASK_ONE && nr == guest->gate_at)) {
		guest->answered = op + 1;
		guest->answers++;
		return EMU_NEED_IO;
	}
	return EMU_DONE;
}

/* A port's side effect happens once, however often the op is called for it. */
static u64 *port_log(struct guest *guest, bool *first)
{
	unsigned int op = guest->ops_in_step - 1;

	*first = op >= guest->performed;
	if (*first)
		guest->performed = op + 1;
	return &guest->log[op];
}

static const struct guest_region *find(const struct guest *guest, u64 la)
{
	unsigned int i;

	for (i = 0; i < GUEST_REGIONS; i++)
		if (la - guest->regions[i].la < guest->regions[i].len)
			return &guest->regions[i];
	return NULL;
}

/*
 * Translate @len bytes in up to two pages; @host gets where each page's part
 * is.  Return the length of the first part, 0 after a page fault.
 */
static unsigned int translate(struct emu *emu, u64 la, unsigned int len, int access, u8 *host[2])
{
	bool write = access & (EMU_WRITE | EMU_RMW);
	unsigned int first = PAGE_BYTES - la % PAGE_BYTES, i;
	const struct guest_region *region;
	u64 at = la;

	if (first > len)
		first = len;
	for (i = 0; i < (first < len ? 2 : 1); i++, at = la + first) {
		region = find(guest_of(emu), at);
		if (!region || (write && !region->writable)) {
			page_fault(emu, at, (emu->cpl == 3 ? PF_USER : 0) |
				   (write ? PF_WRITE : 0) |
				   (access & EMU_FETCH ? PF_FETCH : 0) |
				   (region ? PF_PRESENT : 0));
			return 0;
		}
		host[i] = region->host + (at - region->la);
	}
	return first;
}

static int guest_read(struct emu *emu, u64 la, void *data, unsigned int len, int access)
{
	int r = gate(guest_of(emu));
	u8 *host[2];
	unsigned int first;

	if (r)
		return r;
	first = translate(emu, la, len, access, host);
	if (!first)
		return EMU_FAULT;
	memcpy(data, host[0], first);
	if (first < len)
		memcpy((u8 *)data + first, host[1], len - first);
	return EMU_DONE;
}

static int guest_write(struct emu *emu, u64 la, const void *data, unsigned int len)
{
	int r = gate(guest_of(emu));
	u8 *host[2];
	unsigned int first;

	if (r)
		return r;
	first = translate(emu, la, len, EMU_WRITE, host);
	if (!first)
		return EMU_FAULT;
	memcpy(host[0], data, first);
	if (first < len)
		memcpy(host[1], (const u8 *)data + first, len - first);
	return EMU_DONE;
}

static int guest_cmpxchg(struct emu *emu, u64 la, void *old, const void *new, unsigned int len)
{
	struct guest *guest = guest_of(emu);
	u8 *host[2];
	int r = gate(guest);

	if (r)
		return r;
	if (translate(emu, la, len, EMU_RMW, host) != len)
		return EMU_FAULT;	/* the tests lock nothing that crosses a page */
	guest->cmpxchgs++;
	if (guest->cmpxchg_races) {
		guest->cmpxchg_races--;
		host[0][0]++;
	}
	if (memcmp(host[0], old, len)) {
		memcpy(old, host[0], len);
		return EMU_DONE;
	}
	memcpy(host[0], new, len);
	return EMU_DONE;
}

static int guest_fetch(struct emu *emu, u64 la, void *data, unsigned int len, unsigned int *got)
{
	unsigned int in_page = PAGE_BYTES - la % PAGE_BYTES;
	u8 *host[2];

	guest_of(emu)->fetches++;
	*got = len < in_page ? len : in_page;
	if (!translate(emu, la, *got, EMU_FETCH, host))
		return EMU_FAULT;
	memcpy(data, host[0], *got);
	return EMU_DONE;
}

static void guest_segment(struct emu *emu, enum emu_seg seg, struct kvm_segment *out)
{
	*out = guest_of(emu)->segments[seg];
}

static void guest_read_vec(struct emu *emu, unsigned int nr, void *data, unsigned int len)
{
	memcpy(data, guest_of(emu)->vec[nr], len);
}

static void guest_write_vec(struct emu *emu, unsigned int nr, const void *data, unsigned int len,
			    bool zero_upper)
{
	u8 *vec = guest_of(emu)->vec[nr];

	memcpy(vec, data, len);
	if (zero_upper && len == 16)
		memset(vec + 16, 0, 16);
}

static int guest_vec_allowed(struct emu *emu, bool avx)
{
	if (!guest_of(emu)->vec_denied)
		return EMU_DONE;
	emu->fault = (struct emu_fault) { .vector = VECTOR_UD };
	return EMU_FAULT;
}

static int guest_io_allowed(struct emu *emu, u16 port, unsigned int len)
{
	return guest_of(emu)->io_denied ? general_protection(emu) : EMU_DONE;
}

static int guest_in(struct emu *emu, u16 port, void *data, unsigned int len)
{
	struct guest *guest = guest_of(emu);
	int r = gate(guest);
	bool first;
	u64 *log;

	if (r)
		return r;
	log = port_log(guest, &first);
	if (first) {
		*log = guest->port_in;
		guest->port_in = guest->port_in * 6364136223846793005ULL + port;
	}
	memcpy(data, log, len);
	return EMU_DONE;
}

static int guest_out(struct emu *emu, u16 port, const void *data, unsigned int len)
{
	struct guest *guest = guest_of(emu);
	u64 val = 0;
	int r = gate(guest);
	bool first;

	if (r)
		return r;
	memcpy(&val, data, len);
	port_log(guest, &first);
	if (first)
		guest->port_out = guest->port_out * 31 + val + ((u64)port << 32) + len;
	return EMU_DONE;
}

static u64 guest_get_cr(struct emu *emu, unsigned int nr)
{
	return guest_of(emu)->cr[nr];
}

static int guest_set_cr(struct emu *emu, unsigned int nr, u64 val)
{
	guest_of(emu)->cr[nr] = val;
	return EMU_DONE;
}

static int guest_get_dr(struct emu *emu, unsigned int nr, u64 *val)
{
	*val = guest_of(emu)->dr[nr];
	return EMU_DONE;
}

static int guest_set_dr(struct emu *emu, unsigned int nr, u64 val)
{
	guest_of(emu)->dr[nr] = val;
	return EMU_DONE;
}

static void guest_invlpg(struct emu *emu, u64 la)
{
	guest_of(emu)->invlpg = la;
}

static bool guest_want_pause(struct emu *emu)
{
	struct guest *guest = guest_of(emu);

	return guest->pause_after && !--guest->pause_after;
}

const struct emu_ops guest_ops = {
	.read		= guest_read,
	.write		= guest_write,
	.replace	= guest_cmpxchg,
	.fetch		= guest_fetch,
	.segment	= guest_segment,
	.read_vec	= guest_read_vec,
	.write_vec	= guest_write_vec,
	.vec_allowed	= guest_vec_allowed,
	.io_allowed	= guest_io_allowed,
	.in		= guest_in,
	.out		= guest_out,
	.get_cr		= guest_get_cr,
	.set_cr		= guest_set_cr,
	.get_dr		= guest_get_dr,
	.set_dr		= guest_set_dr,
	.invlpg		= guest_invlpg,
	.want_pause	= guest_want_pause,
};

void guest_init(struct guest *guest, enum emu_mode mode)
{
	const struct kvm_segment flat = {
		.limit = mode >= EMU_MODE_PROT32 ? 0xffffffff : 0xffff,
		.type = TYPE_DATA, .s = 1, .present = 1,
		.db = mode == EMU_MODE_PROT32,
	};
	unsigned int i;

	memset(guest, 0, sizeof(*guest));
	for (i = 0; i < EMU_NSEGS; i++)
		guest->segments[i] = flat;
	guest->emu.ops = &guest_ops;
	guest->emu.mode = mode;
	guest->emu.cpl = mode == EMU_MODE_VM86 ? 3 : 0;
	guest->emu.regs = guest->regs;
	guest->emu.rflags = 2;
}

int guest_run(struct guest *guest)
{
	int r = emu_decode(&guest->emu, NULL, 0);

	guest->step = 0;
	guest->answered = 0;
	guest->performed = 0;
	while (!r) {
		guest->ops_in_step = 0;
		r = emu_execute(&guest->emu);
		if (r != EMU_NEED_IO)
			return r;
		r = EMU_DONE;
	}
	return r;
}

bool guest_same_outcome(const struct guest *a, const struct guest *b)
{
	return !memcmp(a->regs, b->regs, sizeof(a->regs)) &&
	       !memcmp(a->vec, b->vec, sizeof(a->vec)) &&
	       a->emu.rip == b->emu.rip && a->emu.rflags == b->emu.rflags;
}
