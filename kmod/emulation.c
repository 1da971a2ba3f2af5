// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU behind the instruction emulator: struct emu_ops for a real guest, and
 * what happens around one emulated instruction.
 *
 * Memory operands are translated by the guest's page tables and then are RAM
 * (a memory slot), a device in the kernel, or user space's (KVM_EXIT_MMIO).
 * For user space the access is cut in pieces of 8 bytes, see struct vcpu_io:
 *
 *   op wants a read	-> pieces, EMU_NEED_IO -> KVM_EXIT_MMIO for each
 *			-> logged -> emu_execute() again, which finds it there
 *   op has a write	-> pieces; they go out when the instruction is done,
 *			   or when the next access needs the room
 */
#include <linux/moduleparam.h>
#include <asm/trap_pf.h>
#include "backend.h"
#include "cpuid.h"
#include "cr.h"
#include "exit.h"
#include "fpu.h"
#include "irq/irq.h"
#include "mmu/memslot.h"
#include "smm.h"
#include "trace.h"

static struct vcpu *emu_vcpu(struct emu *emu)
{
	return container_of(emu, struct vcpu, emu);
}

/* ---- linear to guest physical ---- */

static int gwalk_access(struct emu *emu, int access)
{
	return (access & (EMU_WRITE | EMU_RMW) ? GWALK_WRITE : GWALK_READ) |
	       (access & EMU_FETCH ? GWALK_FETCH : 0) |
	       (emu->cpl == 3 ? GWALK_USER : 0) |
	       (emu->rflags & X86_EFLAGS_AC ? GWALK_AC : 0);
}

/*
 * The exit told the guest physical address of the one memory operand: no need
 * to walk for it.  It is bound to the first linear address that fits.
 */
static bool known_gpa(struct vcpu *vcpu, gva_t gva, int access, gpa_t *gpa)
{
	if (vcpu->fault_gpa_state == FAULT_GPA_NONE || access & EMU_FETCH)
		return false;
	/* A read says nothing of the right to write; the instruction may have changed since. */
	if (access & (EMU_WRITE | EMU_RMW) && !vcpu->fault_write)
		return false;
	if (vcpu->fault_gpa_state == FAULT_GPA_NEW) {
		if (vcpu->emu.insn.two_memory || offset_in_page(gva) != offset_in_page(vcpu->fault_gpa))
			return false;
		vcpu->fault_gpa_state = FAULT_GPA_BOUND;
		vcpu->fault_gva = gva;
	}
	*gpa = vcpu->fault_gpa;
	return vcpu->fault_gva == gva;
}

static int translate(struct emu *emu, gva_t gva, int access, gpa_t *gpa)
{
	struct vcpu *vcpu = emu_vcpu(emu);
	struct gwalk_result res;
	int r;

	if (known_gpa(vcpu, gva, access, gpa))
		return EMU_DONE;
	r = gwalk(vcpu, &vcpu->walk, vcpu->cr3, vcpu->pkru, gva, gwalk_access(emu, access), &res);
	*gpa = res.gpa;
	if (!r)
		return EMU_DONE;
	if (r != -EFAULT)
		return EMU_UNKNOWN;		/* page tables in no RAM */
	emu->fault = (struct emu_fault) { .vector = PF_VECTOR, .has_error_code = true,
					  .error_code = res.error_code, .address = gva };
	return EMU_FAULT;
}

/* An access lies in one page or in two. */
struct span {
	gpa_t		gpa[2];
	unsigned int	len[2];		/* 0: it needs no second one */
};

static int translate_span(struct emu *emu, gva_t gva, unsigned int len, int access,
			  struct span *span)
{
	unsigned int first = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gva));
	int r = translate(emu, gva, access, &span->gpa[0]);

	span->len[0] = first;
	span->len[1] = len - first;
	if (r || first == len)
		return r;
	return translate(emu, gva + first, access, &span->gpa[1]);
}

/* ---- devices ---- */

static void queue_pieces(struct vcpu_io *io, gpa_t addr, bool pio, const void *data,
			 unsigned int len)
{
	unsigned int n;

	for (; len; len -= n, addr += n, data += data ? n : 0) {
		struct io_piece *piece = &io->piece[io->nr++];

		n = min_t(unsigned int, len, sizeof(piece->data));
		piece->count = 1;
		piece->addr = addr;
		piece->len = n;
		piece->pio = pio;
		if (data)
			memcpy(piece->data, data, n);
	}
}

/* Must what is queued go to user space before one more access? */
static bool io_full(const struct vcpu_io *io, unsigned int len)
{
	return io->nr && io->nr + DIV_ROUND_UP(len, 8) > VCPU_IO_PIECES;
}

/*
 * A REP INS takes many values from one port, and user space gives them all at
 * one exit: as many as go into the page at ES:rDI.  They are spent one in each
 * iteration, between which nothing pauses.
 */
static u32 pio_batch(struct vcpu *vcpu, unsigned int len)
{
	u64 fit = (PAGE_SIZE - offset_in_page(vcpu->io.gva)) / len;
	u64 batch = min(vcpu->emu.repeat, fit);

	return batch > 1 && vcpu_shared_page(&vcpu->pio_page) ? batch : 1;
}

static bool pio_take_ahead(struct vcpu_io *io, const void *page, void *data, unsigned int len)
{
	if (!io->ahead)
		return false;
	memcpy(data, page + io->ahead_at, len);
	io->ahead_at += len;
	io->ahead--;
	return true;
}

static int device_read(struct vcpu *vcpu, gpa_t addr, bool pio, void *data, unsigned int len)
{
	struct vcpu_io *io = &vcpu->io;
	struct io_read *log;

	/* Reads belong to one iteration of a REP: once it has committed they are spent. */
	if (io->step != vcpu->emu.step) {
		io->step = vcpu->emu.step;
		io->nr_reads = io->cursor = 0;
	}
	if (io->cursor < io->nr_reads) {
		memcpy(data, io->read[io->cursor++].data, len);
		return EMU_DONE;
	}
	if (io->nr)
		return EMU_NEED_IO;		/* writes are waiting: they go first */
	if (io->nr_reads == VCPU_IO_PIECES)
		return EMU_UNKNOWN;

	log = &io->read[io->nr_reads];
	if (pio ? pio_take_ahead(io, vcpu->pio_page, log->data, len) ||
		  pio_kernel(vcpu, addr, log->data, len, true) :
		  mmio_kernel_read(vcpu, addr, log->data, len)) {
		io->nr_reads++;
		io->cursor++;
		memcpy(data, log->data, len);
		return EMU_DONE;
	}
	io->write = false;
	queue_pieces(io, addr, pio, NULL, len);
	if (pio)
		io->piece[0].count = pio_batch(vcpu, len);
	return EMU_NEED_IO;
}

static int device_write(struct vcpu *vcpu, gpa_t addr, bool pio, const void *data, unsigned int len)
{
	if (pio ? pio_kernel(vcpu, addr, (void *)data, len, false) :
		  mmio_kernel_write(vcpu, addr, data, len))
		return EMU_DONE;
	vcpu->io.write = true;
	queue_pieces(&vcpu->io, addr, pio, data, len);
	return EMU_DONE;
}

/* ---- memory ops ---- */

static int op_read(struct emu *emu, u64 gva, void *data, unsigned int len, int access)
{
	struct vcpu *vcpu = emu_vcpu(emu);
	struct span span;
	int i, r;

	vcpu->io.gva = gva;
	r = translate_span(emu, gva, len, access, &span);
	for (i = 0; !r && i < 2 && span.len[i]; data += span.len[i++]) {
		if (lapic_mmio_hit(vcpu, span.gpa[i]) ||
		    guest_read(vcpu, span.gpa[i], data, span.len[i]))
			r = device_read(vcpu, span.gpa[i], false, data, span.len[i]);
	}
	return r;
}

static int op_write(struct emu *emu, u64 gva, const void *data, unsigned int len)
{
	struct vcpu *vcpu = emu_vcpu(emu);
	struct span span;
	int i, r;

	r = translate_span(emu, gva, len, EMU_WRITE, &span);
	if (!r && io_full(&vcpu->io, len + 8))
		return EMU_NEED_IO;
	for (i = 0; !r && i < 2 && span.len[i]; data += span.len[i++]) {
		if (lapic_mmio_hit(vcpu, span.gpa[i]) ||
		    guest_write(vcpu, span.gpa[i], data, span.len[i]))
			r = device_write(vcpu, span.gpa[i], false, data, span.len[i]);
	}
	return r;
}

static int op_replace(struct emu *emu, u64 gva, void *old, const void *new, unsigned int len)
{
	struct vcpu *vcpu = emu_vcpu(emu);
	struct span span;
	int r = translate_span(emu, gva, len, EMU_WRITE, &span);

	if (r)
		return r;
	if (span.len[1])
		return EMU_UNKNOWN;		/* NOTDONE: split locks, which cannot be made atomic */
	r = -EIO;
	if (!lapic_mmio_hit(vcpu, span.gpa[0]))
		r = guest_cmpxchg(vcpu, span.gpa[0], old, new, len);
	/* Devices know no locked cycles: what the instruction has read before still stands. */
	if (r == -EIO || r == -EROFS)
		return device_write(vcpu, span.gpa[0], false, new, len);
	return r < 0 ? EMU_UNKNOWN : EMU_DONE;
}

static int op_fetch(struct emu *emu, u64 gva, void *data, unsigned int len, unsigned int *got)
{
	struct vcpu *vcpu = emu_vcpu(emu);
	u64 words[2];
	gpa_t gpa;
	int r = translate(emu, gva, EMU_FETCH, &gpa);

	if (r)
		return r;
	/* The usual case, without a copy of unknown length. */
	if (len == EMU_INSN_MAX && offset_in_page(gva) <= PAGE_SIZE - sizeof(words) &&
	    !gwalk_read_entry(vcpu, gpa, &words[0]) &&
	    !gwalk_read_entry(vcpu, gpa + 8, &words[1])) {
		memcpy(data, words, EMU_INSN_MAX);
		*got = len;
		return EMU_DONE;
	}
	*got = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gva));
	return guest_read(vcpu, gpa, data, *got) ? EMU_UNKNOWN : EMU_DONE;
}

/* ---- registers ---- */

static void op_segment(struct emu *emu, enum emu_seg seg, struct kvm_segment *out)
{
	backend(get_segment)(emu_vcpu(emu), seg, out);
}

static int op_vec_allowed(struct emu *emu, bool avx)
{
	struct vcpu *vcpu = emu_vcpu(emu);

	if (avx ? !(vcpu->cr4 & X86_CR4_OSXSAVE) || !(vcpu->xcr0 & XFEATURE_MASK_YMM) :
		  vcpu->cr0 & X86_CR0_EM || !(vcpu->cr4 & X86_CR4_OSFXSR))
		return emu_raise(emu, UD_VECTOR);
	return vcpu->cr0 & X86_CR0_TS ? emu_raise(emu, NM_VECTOR) : EMU_DONE;
}

/*
 * SDM 1 "I/O Permission Bit Map".  The CPU has looked before it exited, but
 * another vCPU may have changed the instruction since.
 */
static int op_io_allowed(struct emu *emu, u16 port, unsigned int len)
{
	enum { TSS_IOMAP = 0x66, TSS_MIN_LIMIT = 0x67 };
	struct vcpu *vcpu = emu_vcpu(emu);
	struct kvm_sregs2 sregs;
	u16 iomap = 0, denied = 0;
	int r;

	if (!(vcpu->cr0 & X86_CR0_PE) ||
	    (emu->cpl <= (emu->rflags & X86_EFLAGS_IOPL) >> X86_EFLAGS_IOPL_BIT &&
	     emu->mode != EMU_MODE_VM86))
		return EMU_DONE;
	backend(get_sregs)(vcpu, &sregs);
	if (sregs.tr.unusable || sregs.tr.limit < TSS_MIN_LIMIT)
		return emu_raise(emu, GP_VECTOR);
	r = linear_read(vcpu, sregs.tr.base + TSS_IOMAP, &iomap, sizeof(iomap), GWALK_IMPLICIT);
	if (!r && iomap + port / 8 + 1 > sregs.tr.limit)
		return emu_raise(emu, GP_VECTOR);
	r = r ?: linear_read(vcpu, sregs.tr.base + iomap + port / 8, &denied, sizeof(denied),
			     GWALK_IMPLICIT);
	if (r)
		return r < 0 ? EMU_UNKNOWN : EMU_AGAIN;		/* a fault is queued already */
	return denied >> port % 8 & (BIT(len) - 1) ? emu_raise(emu, GP_VECTOR) : EMU_DONE;
}

static int op_in(struct emu *emu, u16 port, void *data, unsigned int len)
{
	return device_read(emu_vcpu(emu), port, true, data, len);
}

static int op_out(struct emu *emu, u16 port, const void *data, unsigned int len)
{
	struct vcpu *vcpu = emu_vcpu(emu);

	if (io_full(&vcpu->io, len))
		return EMU_NEED_IO;
	return device_write(vcpu, port, true, data, len);
}

static u64 op_get_cr(struct emu *emu, unsigned int nr)
{
	struct vcpu *vcpu = emu_vcpu(emu);

	switch (nr) {
	case 0:	return vcpu->cr0;
	case 2:	return vcpu->cr2;
	case 3:	return vcpu->cr3;
	case 4:	return vcpu->cr4;
	default: return vcpu_get_cr8(vcpu);
	}
}

static int op_set_cr(struct emu *emu, unsigned int nr, u64 val)
{
	struct vcpu *vcpu = emu_vcpu(emu);
	int bad = 0;

	switch (nr) {
	case 0:	bad = vcpu_set_cr0(vcpu, val); break;
	case 2:	vcpu->cr2 = val; break;
	case 3:	bad = vcpu_set_cr3(vcpu, val); break;
	case 4:	bad = vcpu_set_cr4(vcpu, val); break;
	default: bad = vcpu_set_cr8(vcpu, val); break;
	}
	return bad ? emu_raise(emu, GP_VECTOR) : EMU_DONE;
}

/* SDM 3B "Debug Registers DR4 and DR5", "Debug Control Register (DR7)": GD. */
static int dr_access(struct emu *emu, unsigned int *nr)
{
	struct vcpu *vcpu = emu_vcpu(emu);

	if (*nr == 4 || *nr == 5) {
		if (vcpu->cr4 & X86_CR4_DE)
			return emu_raise(emu, UD_VECTOR);
		*nr += 2;
	}
	if (vcpu->dr7 & DR7_GD) {
		emu_raise(emu, DB_VECTOR);
		emu->fault.address = DR6_BD;
		return EMU_FAULT;
	}
	return EMU_DONE;
}

static int op_get_dr(struct emu *emu, unsigned int nr, u64 *val)
{
	int r = dr_access(emu, &nr);

	if (!r)
		*val = vcpu_get_dr(emu_vcpu(emu), nr);
	return r;
}

static int op_set_dr(struct emu *emu, unsigned int nr, u64 val)
{
	int r = dr_access(emu, &nr);

	if (!r && vcpu_set_dr(emu_vcpu(emu), nr, val))
		r = emu_raise(emu, GP_VECTOR);
	return r;
}

static void op_invlpg(struct emu *emu, u64 gva)
{
	vcpu_request(emu_vcpu(emu), REQ_GUEST_TLB_FLUSH);
}

static bool op_want_pause(struct emu *emu)
{
	if (emu_vcpu(emu)->io.ahead)
		return false;
	return signal_pending(current) || need_resched() ||
	       READ_ONCE(emu_vcpu(emu)->requests);
}

static const struct emu_ops vcpu_emu_ops = {
	.read = op_read, .write = op_write, .replace = op_replace, .fetch = op_fetch,
	.segment = op_segment,
	.read_vec = fpu_read_vec, .write_vec = fpu_write_vec, .vec_allowed = op_vec_allowed,
	.io_allowed = op_io_allowed, .in = op_in, .out = op_out,
	.get_cr = op_get_cr, .set_cr = op_set_cr,
	.get_dr = op_get_dr, .set_dr = op_set_dr,
	.invlpg = op_invlpg, .want_pause = op_want_pause,
};

/* noinline, for vcpu_insn_length() hardly ever comes here. */
static noinline void emulation_begin(struct vcpu *vcpu)
{
	struct emu *emu = &vcpu->emu;
	struct vcpu_code code = vcpu_code(vcpu);

	emu->ops = &vcpu_emu_ops;
	emu->mode = code.mode;
	emu->la57 = vcpu->cr4 & X86_CR4_LA57;
	emu->cpl = code.cpl;
	emu->regs = vcpu->regs;
	emu->rip = vcpu->rip;
	emu->rflags = vcpu->rflags;
	vcpu->io.nr = vcpu->io.next = 0;
	vcpu->io.nr_reads = 0;
	vcpu->io.ahead = 0;
	vcpu->io.step = 0;
}

/* ---- user space's part ---- */

static int complete_piece(struct vcpu *vcpu);

/**
 * vcpu_pio_to_user() - fill kvm_run for one port access
 * @vcpu: under its mutex; the data of an OUT is in vcpu_pio_data()
 * @port: which
 * @size: 1, 2 or 4 bytes
 * @out: direction
 */
void vcpu_pio_to_user(struct vcpu *vcpu, u16 port, unsigned int size, bool out)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = size;
	run->io.port = port;
	run->io.count = 1;
	run->io.data_offset = VCPU_PIO_DATA;
}

/* Hand the next piece to user space. */
static int piece_to_user(struct vcpu *vcpu)
{
	const struct io_piece *piece = &vcpu->io.piece[vcpu->io.next];
	struct kvm_run *run = vcpu->run;
	bool write = vcpu->io.write;

	if (piece->pio) {
		vcpu_pio_to_user(vcpu, piece->addr, piece->len, write);
		memcpy(vcpu_pio_data(vcpu), piece->data, piece->len);
		if (piece->count > 1) {
			run->io.count = piece->count;
			run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
		}
	} else {
		trace_kvm_mmio(write ? KVM_TRACE_MMIO_WRITE : KVM_TRACE_MMIO_READ_UNSATISFIED,
			       piece->len, piece->addr, write ? piece->data : NULL);
		run->exit_reason = KVM_EXIT_MMIO;
		run->mmio.phys_addr = piece->addr;
		run->mmio.len = piece->len;
		run->mmio.is_write = write;
		memcpy(run->mmio.data, piece->data, piece->len);
	}
	return vcpu_await_user(vcpu, complete_piece);
}

/* ---- one instruction ---- */

static int emulation_failed(struct vcpu *vcpu)
{
	const struct emu_insn *insn = &vcpu->emu.insn;
	struct kvm_run *run = vcpu->run;

	if (vcpu->emu.cpl == 3 && !vcpu->vm->user_emulates)
		return exit_ud(vcpu);

	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	/* In words of 64 bits: the flags, then size and bytes. */
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = insn->fetched;
	memset(run->emulation_failure.insn_bytes, 0, sizeof(run->emulation_failure.insn_bytes));
	memcpy(run->emulation_failure.insn_bytes, insn->bytes, insn->fetched);
	return exit_to_user(vcpu, KVM_EXIT_INTERNAL_ERROR);
}

static void raise(struct vcpu *vcpu, const struct emu_fault *fault)
{
	if (fault->vector == PF_VECTOR)
		vcpu_queue_page_fault(vcpu, fault->address, fault->error_code);
	else if (fault->vector == DB_VECTOR)
		vcpu_queue_db(vcpu, fault->address);
	else if (fault->has_error_code)
		vcpu_queue_exception_err(vcpu, fault->vector, fault->error_code);
	else
		vcpu_queue_exception(vcpu, fault->vector);
}

/* What emu_decode() or emu_execute() answered, made a handler's answer. */
static int conclude(struct vcpu *vcpu, int result)
{
	struct emu *emu = &vcpu->emu;

	vcpu->io.unfinished = result == EMU_NEED_IO;
	if (result == EMU_NEED_IO)
		return piece_to_user(vcpu);
	if (result == EMU_UNKNOWN)
		return emulation_failed(vcpu);
	vcpu->rflags = emu->rflags;
	if (result == EMU_DONE) {
		backend(set_shadow)(vcpu, 0);
		vcpu_advance(vcpu, emu->rip);
	} else if (result == EMU_FAULT) {
		raise(vcpu, &emu->fault);
	} else if (vcpu->rflags & X86_EFLAGS_TF && !vcpu->exception.pending) {
		vcpu_queue_single_step(vcpu);	/* EMU_AGAIN: an iteration of REP is a step, a fault is none */
	}
	return vcpu->io.nr ? piece_to_user(vcpu) : EXIT_RESUME;
}

static int run_instruction(struct vcpu *vcpu)
{
	vcpu->io.cursor = 0;
	return conclude(vcpu, emu_execute(&vcpu->emu));
}

/* User space has done its piece.  What it gave goes to the log, or waits where it is if it is more. */
static int complete_piece(struct vcpu *vcpu)
{
	struct vcpu_io *io = &vcpu->io;
	struct io_piece *piece = &io->piece[io->next];

	if (!io->write) {
		u8 *data = io->read[io->nr_reads].data + io->next * sizeof(piece->data);

		memcpy(data, piece->pio ? vcpu_pio_data(vcpu) : vcpu->run->mmio.data, piece->len);
		if (!piece->pio)
			trace_kvm_mmio(KVM_TRACE_MMIO_READ, piece->len, piece->addr, data);
	}
	if (++io->next < io->nr)
		return piece_to_user(vcpu);
	if (!io->write && piece->count > 1) {
		io->ahead = piece->count;
		io->ahead_at = 0;
	} else if (!io->write) {
		io->nr_reads++;
	}
	io->nr = io->next = 0;
	if (!io->unfinished)
		return EXIT_RESUME;
	/* Meanwhile single steps may have begun, or ended. */
	vcpu->emu.rflags &= ~(u64)X86_EFLAGS_TF;
	vcpu->emu.rflags |= vcpu->rflags & X86_EFLAGS_TF;
	return run_instruction(vcpu);
}

/**
 * vcpu_emulate() - execute the instruction at CS:RIP in software
 * @vcpu: under its mutex
 * @fault: what the exit told of its memory operand and its bytes; NULL: nothing
 *
 * Return: as handlers do.
 */
int vcpu_emulate(struct vcpu *vcpu, const struct tdp_exit *fault)
{
	static const struct tdp_exit nothing;
	int r;

	fault = fault ?: &nothing;
	vcpu->stats.insn_emulation++;
	vcpu->fault_gpa = fault->gpa;
	vcpu->fault_write = fault->write;
	vcpu->fault_gpa_state = fault->operand && !fault->fetch ? FAULT_GPA_NEW : FAULT_GPA_NONE;
	emulation_begin(vcpu);
	r = emu_decode(&vcpu->emu, fault->bytes, fault->nbytes);
	return r ? conclude(vcpu, r) : run_instruction(vcpu);
}

/*
 * The first eight bytes at CS:RIP, lowest first, and where they are; zeros for what lies in the
 * next page.  0, or -EFAULT or -EIO where they cannot be read.
 */
static int find_insn(struct vcpu *vcpu, u64 *bytes, gpa_t *gpa)
{
	struct vcpu_code code = vcpu_code(vcpu);
	int access = GWALK_FETCH | (code.cpl == 3 ? GWALK_USER : 0);
	struct gwalk_result res;
	int r = gwalk(vcpu, &vcpu->walk, vcpu->cr3, vcpu->pkru, code.rip, access, &res);

	if (r)
		return r;
	*gpa = res.gpa;
	if (likely(offset_in_page(code.rip) <= PAGE_SIZE - sizeof(*bytes)))
		return gwalk_read_entry(vcpu, res.gpa, bytes);
	*bytes = 0;
	return guest_read(vcpu, res.gpa, bytes, PAGE_SIZE - offset_in_page(code.rip));
}

static bool insn_is(u64 bytes, u64 opcode, unsigned int len)
{
	return len && !((bytes ^ opcode) << (64 - 8 * len));
}

/**
 * vcpu_insn_length() - length of the instruction that has just exited
 * @vcpu: under its mutex
 * @opcode: its bytes without prefixes, first byte lowest; 0 if they are not known
 *
 * For CPUs that do not tell where the next instruction is.
 *
 * Return: bytes; 0 if it cannot be read: then a fault is queued.
 */
unsigned int vcpu_insn_length(struct vcpu *vcpu, u32 opcode)
{
	unsigned int len = DIV_ROUND_UP(fls(opcode), BITS_PER_BYTE);
	u64 bytes;
	gpa_t gpa;
	int r;

	if (likely(!find_insn(vcpu, &bytes, &gpa) && insn_is(bytes, opcode, len)))
		return len;

	emulation_begin(vcpu);
	r = emu_decode(&vcpu->emu, NULL, 0);
	if (r == EMU_DONE)
		return vcpu->emu.insn.len;
	if (r == EMU_FAULT)
		raise(vcpu, &vcpu->emu.fault);
	else
		vcpu_queue_exception(vcpu, UD_VECTOR);
	return 0;
}

/* Not 0: UD2 and "kvm" before an instruction ask for it to be emulated; for tests of the emulator. */
static int force_emulation_prefix;
module_param(force_emulation_prefix, int, 0644);

/**
 * vcpu_emulate_ud() - an invalid opcode, by this CPU's view
 * @vcpu: under its mutex
 *
 * A guest that moved from the other vendor's CPU, or was built for it, makes
 * hypercalls the other's way: VMCALL is Intel's, VMMCALL AMD's.  They differ in
 * their last byte, which is put right for the next time, where the guest's
 * memory can be written; KVM_X86_QUIRK_FIX_HYPERCALL_INSN turns all that off.
 *
 * Return: as handlers do.
 */
int vcpu_emulate_ud(struct vcpu *vcpu)
{
	enum { RSM = 0xaa0f, VMCALL = 0xc1010f, VMMCALL = 0xd9010f, LEN = 3, FORCED_LEN = 5 };
	static const u64 forced = 0x6d766b0b0f;		/* UD2, "kvm" */
	u64 bytes;
	gpa_t gpa;
	u8 last;

	if (find_insn(vcpu, &bytes, &gpa))
		return exit_ud(vcpu);
	if (insn_is(bytes, RSM, 2))	/* VT-x has no intercept for it */
		return exit_rsm(vcpu);
	if (READ_ONCE(force_emulation_prefix) && insn_is(bytes, forced, FORCED_LEN)) {
		vcpu->rip += FORCED_LEN;
		return vcpu_emulate(vcpu, NULL);
	}
	if (vcpu->vm->disabled_quirks & KVM_X86_QUIRK_FIX_HYPERCALL_INSN ||
	    (!insn_is(bytes, VMCALL, LEN) && !insn_is(bytes, VMMCALL, LEN)))
		return exit_ud(vcpu);
	last = (insn_is(bytes, VMCALL, LEN) ? VMMCALL : VMCALL) >> 16;
	guest_write(vcpu, gpa + LEN - 1, &last, sizeof(last));
	if (exit_hypercall(vcpu) == EXIT_USER) {
		vcpu->io.next_rip = vcpu->rip + LEN;	/* of #UD the CPU does not tell */
		return EXIT_USER;
	}
	backend(set_shadow)(vcpu, 0);
	vcpu_advance(vcpu, vcpu->rip + LEN);
	return EXIT_RESUME;
}

/* Those that load, or show, RFLAGS.TF. */
enum { REX_PREFIX = 0x40, INSN_PUSHF = 0x9c, INSN_POPF = 0x9d, INSN_IRET = 0xcf, INSN_SYSCALL = 0x050f };

/**
 * vcpu_peek_opcode() - what is going to be stepped over
 * @vcpu: under its mutex
 *
 * Return: the opcode without an operand-size or REX prefix, of 0F the byte that
 * follows above it; 0 if it cannot be read.
 */
u16 vcpu_peek_opcode(struct vcpu *vcpu)
{
	u64 bytes;
	gpa_t gpa;

	if (find_insn(vcpu, &bytes, &gpa))
		return 0;
	if ((u8)bytes == 0x66)
		bytes >>= 8;
	if (vcpu_code(vcpu).mode == EMU_MODE_LONG && (bytes & 0xf0) == REX_PREFIX)
		bytes >>= 8;
	return (u8)bytes == 0x0f ? bytes : (u8)bytes;
}

/* Clear RFLAGS.TF in what the last PUSHF has left on the stack. */
static void mend_pushed_flags(struct vcpu *vcpu)
{
	struct vcpu_code code = vcpu_code(vcpu);
	int access = GWALK_WRITE | (code.cpl == 3 ? GWALK_USER : 0);
	gva_t sp = vcpu->regs[EMU_RSP];
	struct gwalk_result res;
	struct kvm_segment ss;
	u8 byte;

	if (code.mode != EMU_MODE_LONG) {
		backend(get_segment)(vcpu, EMU_SS, &ss);
		sp = (u32)(ss.base + (ss.db ? (u32)sp : (u16)sp));
	}
	sp += X86_EFLAGS_TF_BIT / 8;
	if (gwalk(vcpu, &vcpu->walk, vcpu->cr3, vcpu->pkru, sp, access, &res) ||
	    guest_read(vcpu, res.gpa, &byte, sizeof(byte)))
		return;
	byte &= ~(X86_EFLAGS_TF >> 8);
	guest_write(vcpu, res.gpa, &byte, sizeof(byte));
}

/**
 * vcpu_mend_step() - a single step by RFLAGS.TF is done: hide it from the guest
 * @vcpu: under its mutex, outside the guest
 */
void vcpu_mend_step(struct vcpu *vcpu)
{
	switch (vcpu->step_opcode) {
	case INSN_POPF:
	case INSN_IRET:
		vcpu->step_armed = false;	/* it has loaded the guest's own TF */
		break;
	case INSN_PUSHF:
		if (!vcpu->step_tf)
			mend_pushed_flags(vcpu);
		break;
	case INSN_SYSCALL:
		if (!vcpu->step_tf)
			vcpu->regs[EMU_R11] &= ~(u64)X86_EFLAGS_TF;
		break;
	}
}
