// SPDX-License-Identifier: GPL-2.0
/*
 * The instruction sits in a page of its own, followed by a jump out.  We jump
 * in with its registers loaded; the jump out, or a signal handler that sends
 * the thread there, stores them again.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "emulate_native.h"

enum {
	SELECTOR_CODE64	= 0x33,		/* Linux's segments of a 64-bit process */
	SELECTOR_DATA64	= 0x2b,
	SELECTOR_LDT3	= 0x07,		/* table indicator and RPL 3 */
	PF_ERROR_MASK	= 0x07,
};

/* The assembly below reads and writes these. */
#define ASM_VISIBLE	__attribute__((used, visibility("hidden")))
ASM_VISIBLE u64 native_regs[EMU_NREGS];
ASM_VISIBLE u64 native_rflags, native_host_rsp;
ASM_VISIBLE u8 native_vec[16][32];
ASM_VISIBLE u32 native_vec_len;			/* 0: leave vectors alone */
ASM_VISIBLE u32 native_selectors[EMU_NSEGS];	/* SS 0: leave segments alone */
ASM_VISIBLE struct {
	u32	offset;
	u16	selector;
} __attribute__((packed)) native_target;

void native_enter(void);
void native_exit(void);

asm(
"	.macro	VECTORS insn reg load\n"
"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
"	.if	\\load\n"
"	\\insn	native_vec+32*\\n(%rip), %\\reg\\n\n"
"	.else\n"
"	\\insn	%\\reg\\n, native_vec+32*\\n(%rip)\n"
"	.endif\n"
"	.endr\n"
"	.endm\n"
"	.macro	MOVE_VECTORS load\n"
"	cmpl	$16, native_vec_len(%rip)\n"
"	jb	3f\n"
"	ja	2f\n"
"	VECTORS	movdqu, xmm, \\load\n"
"	jmp	3f\n"
"2:	VECTORS	vmovdqu, ymm, \\load\n"
"3:\n"
"	.endm\n"
"	.macro	REG reg index load\n"
"	.if	\\load\n"
"	mov	native_regs+8*\\index(%rip), %\\reg\n"
"	.else\n"
"	mov	%\\reg, native_regs+8*\\index(%rip)\n"
"	.endif\n"
"	.endm\n"
"	.macro	MOVE_REGS load\n"
"	REG	rax, 0, \\load\n"
"	REG	rcx, 1, \\load\n"
"	REG	rdx, 2, \\load\n"
"	REG	rbx, 3, \\load\n"
"	REG	rsp, 4, \\load\n"
"	REG	rbp, 5, \\load\n"
"	REG	rsi, 6, \\load\n"
"	REG	rdi, 7, \\load\n"
"	.irp	n, 8,9,10,11,12,13,14,15\n"
"	REG	r\\n, \\n, \\load\n"
"	.endr\n"
"	.endm\n"
"	.text\n"
"native_enter:\n"
"	push	%rbx\n"
"	push	%rbp\n"
"	push	%r12\n"
"	push	%r13\n"
"	push	%r14\n"
"	push	%r15\n"
"	mov	%rsp, native_host_rsp(%rip)\n"
"	MOVE_VECTORS 1\n"
"	cmpl	$0, native_selectors+4*2(%rip)\n"
"	je	1f\n"
"	mov	native_selectors+4*0(%rip), %es\n"
"	mov	native_selectors+4*2(%rip), %ss\n"
"	mov	native_selectors+4*3(%rip), %ds\n"
"	mov	native_selectors+4*5(%rip), %gs\n"
"1:	push	native_rflags(%rip)\n"
"	popfq\n"
"	MOVE_REGS 1\n"
"	ljmp	*native_target(%rip)\n"
"native_exit:\n"
"	MOVE_REGS 0\n"
"	mov	native_host_rsp(%rip), %rsp\n"
"	pushfq\n"
"	pop	native_rflags(%rip)\n"
"	push	$0x202\n"
"	popfq\n"
"	cmpl	$0, native_selectors+4*2(%rip)\n"
"	je	1f\n"
"	mov	$0x2b, %eax\n"
"	mov	%eax, %es\n"
"	mov	%eax, %ss\n"
"	mov	%eax, %ds\n"
"1:	MOVE_VECTORS 0\n"
"	cmpl	$32, native_vec_len(%rip)\n"
"	jne	1f\n"
"	vzeroupper\n"
"1:	pop	%r15\n"
"	pop	%r14\n"
"	pop	%r13\n"
"	pop	%r12\n"
"	pop	%rbp\n"
"	pop	%rbx\n"
"	ret\n"
);

static struct {
	bool	hit;
	u64	rip;
	u8	vector;
	u32	error_code;
	u64	cr2;
} caught;

/* Note the exception, and go on at native_exit() with the registers as they are. */
static void catch(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	u64 rip = regs[REG_RIP];

	if ((u16)regs[REG_CSGSFS] != SELECTOR_CODE64)
		rip += NATIVE_CODE;
	if (rip - NATIVE_CODE >= NATIVE_PAGE) {
		signal(sig, SIG_DFL);		/* our own mistake */
		return;
	}
	caught.hit = true;
	caught.rip = regs[REG_RIP];
	caught.vector = regs[REG_TRAPNO];
	caught.error_code = regs[REG_ERR];
	caught.cr2 = regs[REG_CR2];
	regs[REG_RIP] = (greg_t)native_exit;
	regs[REG_CSGSFS] = (regs[REG_CSGSFS] & 0x0000ffffffff0000) |
			   (greg_t)SELECTOR_DATA64 << 48 | SELECTOR_CODE64;
}

static const struct user_desc descriptors[NATIVE_NULL] = {
	[NATIVE_CS32] = { .base_addr = NATIVE_CODE, .limit = NATIVE_PAGE - 1,
			  .seg_32bit = 1, .contents = 2, .useable = 1 },
	[NATIVE_CS16] = { .base_addr = NATIVE_CODE, .limit = NATIVE_PAGE - 1,
			  .contents = 2, .useable = 1 },
	[NATIVE_FLAT] = { .limit = 0xfffff, .limit_in_pages = 1, .seg_32bit = 1, .useable = 1 },
	[NATIVE_UP] = { .base_addr = NATIVE_DATA - 0x1000, .limit = 0x1bff,
			.seg_32bit = 1, .useable = 1 },
	[NATIVE_READ_ONLY] = { .base_addr = NATIVE_DATA - 0x1000, .limit = 0xffff,
			       .seg_32bit = 1, .read_exec_only = 1, .useable = 1 },
	[NATIVE_DOWN16] = { .base_addr = NATIVE_DATA - 0x1000, .limit = 0x13ff,
			    .contents = 1, .useable = 1 },
	[NATIVE_DOWN32] = { .base_addr = NATIVE_DATA - 0x1000, .limit = 0x13ff,
			    .seg_32bit = 1, .contents = 1, .useable = 1 },
	[NATIVE_STACK16] = { .base_addr = NATIVE_DATA - 0x1000, .limit = 0xffff, .useable = 1 },
};

struct kvm_segment native_segment(enum native_segment segment)
{
	const struct user_desc *d = &descriptors[segment];

	if (segment == NATIVE_NULL)
		return (struct kvm_segment) { 0 };
	return (struct kvm_segment) {
		.base = d->base_addr,
		.limit = d->limit_in_pages ? d->limit << 12 | 0xfff : d->limit,
		.selector = segment << 3 | SELECTOR_LDT3,
		.type = d->contents << 2 | !d->read_exec_only << 1,
		.s = 1,
		.present = 1,
		.db = d->seg_32bit,
	};
}

unsigned int native_vec_bytes(void)
{
	return __builtin_cpu_supports("avx") ? 32 : 16;
}

static void *map(unsigned long at, unsigned long len, int prot)
{
	void *p = mmap((void *)at, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)at) {
		perror("mmap of the test's pages");
		exit(1);
	}
	return p;
}

static void map_pages(void)
{
	static const u8 jump[] = { 0xff, 0x25, 0, 0, 0, 0 };	/* jmp *0(%rip) */
	void (*exit)(void) = native_exit;
	u8 *code = map(NATIVE_CODE, NATIVE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	u8 *data = map(NATIVE_DATA, 2 * NATIVE_PAGE, PROT_READ | PROT_WRITE);
	unsigned int i;

	memcpy(code, jump, sizeof(jump));
	memcpy(code + sizeof(jump), &exit, sizeof(exit));
	for (i = 0; i < 2 * NATIVE_PAGE; i++)
		data[i] = i * 167 >> 3;
	mprotect(data + NATIVE_PAGE, NATIVE_PAGE, PROT_READ);
}

static void catch_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	struct sigaction action = { .sa_sigaction = catch, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = 1 << 16 };
	unsigned int i;

	stack.ss_sp = malloc(stack.ss_size);
	sigaltstack(&stack, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

bool native_init(void)
{
	struct user_desc d;
	unsigned int i;

	map_pages();
	catch_signals();
	syscall(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE);
	for (i = 0; i < NATIVE_NULL; i++) {
		d = descriptors[i];
		d.entry_number = i;
		if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)))
			return false;
	}
	return true;
}

/* The instruction, and behind it the way out. */
static void place(enum emu_mode mode, const u8 *insn, unsigned int len)
{
	static const u8 far_jump[] = { 0x66, 0xea };	/* 66: 32-bit offset in 16-bit code */
	const u32 out = NATIVE_CODE;
	const u16 selector = SELECTOR_CODE64;
	u8 *p = (u8 *)NATIVE_CODE + NATIVE_INSN;

	memcpy(p, insn, len);
	p += len;
	if (mode == EMU_MODE_LONG) {
		memcpy(p, (u8 *)NATIVE_CODE, 14);
		return;
	}
	if (mode == EMU_MODE_PROT16)
		*p++ = far_jump[0];
	*p++ = far_jump[1];
	memcpy(p, &out, sizeof(out));
	memcpy(p + sizeof(out), &selector, sizeof(selector));
}

static void choose_segments(enum emu_mode mode, const u8 *segments)
{
	unsigned int i;

	native_target.offset = NATIVE_CODE + NATIVE_INSN;
	native_target.selector = SELECTOR_CODE64;
	memset(native_selectors, 0, sizeof(native_selectors));
	if (mode == EMU_MODE_LONG)
		return;
	for (i = 0; i < EMU_NSEGS; i++)
		native_selectors[i] = native_segment(segments[i]).selector;
	native_target.offset = NATIVE_INSN;
	native_target.selector = native_selectors[EMU_CS];
}

void native_run(struct native_state *state, enum emu_mode mode, const u8 *segments,
		const u8 *insn, unsigned int len, bool vectors)
{
	place(mode, insn, len);
	choose_segments(mode, segments);
	memcpy(native_regs, state->regs, sizeof(native_regs));
	native_rflags = state->rflags;
	native_vec_len = vectors ? native_vec_bytes() : 0;
	if (vectors)
		memcpy(native_vec, state->vec, sizeof(native_vec));
	caught.hit = false;

	native_enter();

	memcpy(state->regs, native_regs, sizeof(native_regs));
	state->rflags = native_rflags;
	if (vectors)
		memcpy(state->vec, native_vec, sizeof(native_vec));
	state->rip += len;
	state->faulted = caught.hit;
	if (!caught.hit)
		return;
	state->rip = caught.rip;
	state->fault = (struct emu_fault) {
		.vector = caught.vector,
		.error_code = caught.error_code & PF_ERROR_MASK,
		.address = caught.cr2,
	};
}
