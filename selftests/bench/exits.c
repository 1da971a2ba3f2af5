// SPDX-License-Identifier: GPL-2.0
/*
 * What an exit costs, seen from the guest: TSC ticks that an instruction takes
 * which makes one.  Under QEMU's -icount shift=0 a tick is an instruction, the
 * host's and the guest's alike.
 *
 * Each figure is the mean of LOOPS repetitions less the same loop without the
 * instruction, in the best of ROUNDS rounds: those do not count into which an
 * interrupt of the host has fallen.
 */
#pragma GCC target("general-regs-only")	/* for interrupt handlers in C */

#include <sys/syscall.h>
#include "vm.h"

enum { ROUNDS = 25, LOOPS = 64 };
enum { PORT_USER = 0x710, PORT_KERNEL = 0x4d0 /* a PIC's ELCR */ };
enum { IPI_VECTOR = 0x40, APIC_ID_NOBODY = 0x7f };

/* Ticks of LOOPS times the statements, in the best of all rounds. */
#define ticks(...) ({							\
	u64 best_ = -1, ticks_;						\
									\
	for (int round_ = 0; round_ < ROUNDS; round_++) {		\
		ticks_ = rdtsc();					\
		for (int loop_ = LOOPS; loop_; loop_--) {		\
			asm volatile("" : "+r"(loop_));			\
			__VA_ARGS__;					\
		}							\
		ticks_ = rdtsc() - ticks_;				\
		best_ = ticks_ < best_ ? ticks_ : best_;		\
	}								\
	best_;								\
})
#define cost(...) ((ticks(__VA_ARGS__) - ticks()) / LOOPS)

static u64 cost_cpuid(u64 leaf)
{
	return cost(cpuid(leaf, 0));
}

static u64 cost_in(u64 port)
{
	return cost(inb(port));
}

static u64 cost_out(u64 port)
{
	return cost(outb(port, 0xff));
}

static u64 cost_rdmsr(u64 index)
{
	return cost(rdmsr(index));
}

static u64 cost_wrmsr(u64 index)
{
	return cost(wrmsr(index, 0));
}

/*
 * The instruction and a RET.  Linux asks with the right one; stock KVM changes
 * the other vendor's into it, so that one is written anew each time.
 */
enum hypercall { VMCALL = 0xc3c1010f, VMMCALL = 0xc3d9010f };
static volatile u32 hypercall_insn;

static inline void hypercall(enum hypercall insn)
{
	u64 rax = KVM_HC_VAPIC_POLL_IRQ;

	hypercall_insn = insn;
	asm volatile("call *%1" : "+a"(rax) : "r"(&hypercall_insn), "b"(0), "c"(0) : "memory");
}

static u64 cost_hypercall(u64 insn)
{
	return cost(hypercall(insn));
}

/*
 * An IPI to itself, in all: ICR written, taken at once, EOI, back.  The two
 * registers alone: an IPI that goes to nobody, and an EOI with nothing to end.
 */
static struct { u16 offset0, selector, type, offset16; u32 offset32, reserved; } idt[256];

static void __attribute__((interrupt)) take_ipi(void *frame)
{
	xapic_write(APIC_EOI, 0);
}

static void enable_ipis(void)
{
	struct { u16 limit; u64 base; } __attribute__((packed)) idtr = {
		sizeof(idt) - 1, (u64)idt
	};
	u64 gate = (u64)take_ipi;

	idt[IPI_VECTOR].offset0 = gate;
	idt[IPI_VECTOR].selector = SEL_CODE64;
	idt[IPI_VECTOR].type = 0x8e00;		/* present, interrupt gate */
	idt[IPI_VECTOR].offset16 = gate >> 16;
	idt[IPI_VECTOR].offset32 = gate >> 32;
	asm volatile("lidt %0" : : "m"(idtr));
	xapic_enable();
}

static u64 cost_ipi(u64 arg)
{
	u64 ticks;

	enable_ipis();
	irq_enable();
	ticks = cost(xapic_write(APIC_ICR, APIC_DEST_SELF | IPI_VECTOR));
	irq_disable();
	return ticks;
}

static u64 cost_icr(u64 arg)
{
	xapic_enable();
	xapic_write(APIC_ICR2, APIC_ID_NOBODY << 24);
	return cost(xapic_write(APIC_ICR, IPI_VECTOR));
}

static u64 cost_eoi(u64 arg)
{
	xapic_enable();
	return cost(xapic_write(APIC_EOI, 0));
}

/* KVM_RUN again and again, and nothing else, while the guest writes to PORT_USER. */
static u64 run_user_loop(struct vcpu *vcpu)
{
	long ret;

	vcpu_start(vcpu, cost_out, PORT_USER);
	do {
		asm volatile("syscall" : "=a"(ret) :
			     "0"(SYS_ioctl), "D"(vcpu->fd), "S"(KVM_RUN), "d"(0) :
			     "rcx", "r11", "memory");
	} while (!ret && vcpu->run->exit_reason == KVM_EXIT_IO &&
		 vcpu->run->io.port == PORT_USER);
	die_unless(!ret && vcpu->run->exit_reason == KVM_EXIT_IO &&
		   vcpu->run->io.port == PORT_DONE);
	return vcpu->guest->result;
}

int main(void)
{
	static const struct { const char *name; guest_fn fn; u64 arg; } rows[] = {
		{ "cpuid", cost_cpuid, 0x80000000 },
		{ "port-in-kernel", cost_in, PORT_KERNEL },
		{ "port-out-kernel", cost_out, PORT_KERNEL },
		{ "rdmsr-tsc-adjust", cost_rdmsr, MSR_TSC_ADJUST },
		{ "wrmsr-tsc-adjust", cost_wrmsr, MSR_TSC_ADJUST },
		{ "hypercall-vmcall", cost_hypercall, VMCALL },
		{ "hypercall-vmmcall", cost_hypercall, VMMCALL },
		{ "ipi-self", cost_ipi, 0 },
		{ "icr-write", cost_icr, 0 },
		{ "eoi-write", cost_eoi, 0 },
	};
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	for (int i = 0; i < ARRAY_SIZE(rows); i++)
		printf("%s %lu\n", rows[i].name, vcpu_call(vcpu, rows[i].fn, rows[i].arg));
	printf("port-out-user %lu\n", run_user_loop(vcpu));
	vm_destroy(&vm);
	return 0;
}
