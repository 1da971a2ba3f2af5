// SPDX-License-Identifier: GPL-2.0
/* What runs in the guest beside the tests' own functions; no libc here. */
#pragma GCC target("general-regs-only")	/* a handler must not touch what it interrupts */

#include "guest.h"

guest_handler guest_handlers[256];
extern u8 guest_user_done[];

/* Tell the test where and why, and stay there. */
void guest_fail(const char *file, u64 line, const char *what, u64 seen, u64 expected)
{
	struct guest_cpu *cpu = this_cpu();

	cpu->report.file = file;
	cpu->report.line = line;
	cpu->report.what = what;
	cpu->report.seen = seen;
	cpu->report.expected = expected;
	for (;;)
		outl(PORT_FAIL, 0);
}

bool guest_on_bochs_amd;

/* The linker's: the program's code, and the variables that begin as zero. */
extern u8 __executable_start[], etext[], __bss_start[], _end[];

void guest_settle(void)
{
	enum { PAGE = 4096 };
	struct { u16 limit; u64 base; } __attribute__((packed)) gdt;
	u64 page;

	if (!guest_on_bochs_amd)
		return;
	asm volatile("sgdt %0" : "=m"(gdt));
	read64(gdt.base);
	for (page = (u64)__executable_start; page < (u64)etext; page += PAGE)
		read8(page);
	for (page = ((u64)__bss_start + PAGE - 1) & -PAGE; page < (u64)_end; page += PAGE)
		write8(page, read8(page));
}

u64 guest_enter_user(u64 (*fn)(u64), u64 arg, u64 flags);

u64 guest_user(u64 (*fn)(u64), u64 arg, u64 flags)
{
	guest_settle();
	return guest_enter_user(fn, arg, flags);
}

/* Called by guests/vectors.S for every vector. */
void guest_dispatch(struct guest_frame *frame)
{
	struct guest_cpu *cpu = this_cpu();
	u8 vector = frame->vector;

	cpu->irqs[vector]++;
	if (vector == USER_RETURN_VECTOR && cpu->kernel_rsp) {
		frame->rip = (u64)guest_user_done;
		frame->cs = SEL_CODE64;
		frame->rsp = cpu->kernel_rsp;
		frame->ss = SEL_DATA;
		frame->rflags = X86_EFLAGS_FIXED;
		cpu->kernel_rsp = 0;
	} else if (guest_handlers[vector]) {
		guest_handlers[vector](frame);
	} else if (cpu->fixup && vector < 32) {
		cpu->vector = vector;
		cpu->error = frame->error;
		cpu->cr2 = vector == PF_VECTOR ? read_cr2() : 0;
		cpu->dr6 = vector == DB_VECTOR ? read_dr6() : 0;
		frame->rip = cpu->fixup;
	} else if (vector < 32) {
		guest_fail("exception at rip", frame->rip, "vector and error code",
			   vector, frame->error);
	}
}

void guest_eoi_xapic(struct guest_frame *frame)
{
	xapic_write(APIC_EOI, 0);
}

void guest_eoi_x2apic(struct guest_frame *frame)
{
	x2apic_write(APIC_EOI, 0);
}

enum { PIC1_CMD = 0x20, PIC1_DATA = 0x21, PIC2_CMD = 0xa0, PIC2_DATA = 0xa1, PIC_EOI = 0x20 };

void guest_eoi_pic(struct guest_frame *frame)
{
	if (frame->vector & 8)
		outb(PIC2_CMD, PIC_EOI);
	outb(PIC1_CMD, PIC_EOI);
}

void guest_pic_init(u8 base, u16 unmasked)
{
	outb(PIC1_CMD, 0x11);		/* ICW1: cascade, ICW4 follows */
	outb(PIC2_CMD, 0x11);
	outb(PIC1_DATA, base);
	outb(PIC2_DATA, base + 8);
	outb(PIC1_DATA, 1 << 2);	/* ICW3: the second one is on line 2 */
	outb(PIC2_DATA, 2);
	outb(PIC1_DATA, 1);		/* ICW4: 8086 mode */
	outb(PIC2_DATA, 1);
	outb(PIC1_DATA, ~unmasked & 0xff & ~(1 << 2));
	outb(PIC2_DATA, ~unmasked >> 8);
}
