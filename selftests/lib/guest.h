/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's side of a test.
 *
 * A guest is a C function of the test program itself.  The program's image is
 * the guest's memory, at the same address (guest virtual = guest physical =
 * host virtual), so a guest calls the program's functions and shares its
 * variables with the test.  What it may not do is call libc, which asks for
 * system calls and CPU features that are not there.
 *
 * A guest begins in 64-bit mode at CPL 0 with the first 4 GiB mapped one to
 * one, an IDT whose exceptions end the test unless asked for, interrupts off,
 * and a stack of its own.  Its return value ends up with the test.
 */
#ifndef SELFTESTS_GUEST_H
#define SELFTESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/kvm.h>
#include <asm/processor-flags.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/* Ports by which a guest speaks to the test; nothing else lives there. */
enum {
	PORT_DONE = 0x700,	/* returned: guest_cpu.result */
	PORT_FAIL = 0x704,	/* guest_check() failed, or an exception nobody asked for */
	PORT_SYNC = 0x708,	/* guest_sync(): the value written */
};

enum guest_selector {
	SEL_CODE64 = 0x08,
	SEL_DATA = 0x10,
	SEL_CODE32 = 0x18,
	SEL_USER_DATA = 0x23,
	SEL_USER_CODE64 = 0x2b,
	SEL_TSS = 0x30,
};

/* The others are in <asm/kvm.h>. */
enum vector { NMI_VECTOR = 2, NO_VECTOR = 0xff };

/* SDM 3B "Debug Registers". */
enum {
	DR6_FIXED = 0xffff0ff0, DR6_B0 = 1 << 0, DR6_BD = 1 << 13, DR6_BS = 1 << 14,
	DR6_BUS_LOCK = 1 << 11, DR6_RTM = 1 << 16,	/* clear where the CPU has them */
	DR7_FIXED = 0x400, DR7_L0 = 1 << 0, DR7_GD = 1 << 13,
	DR7_RW0_WRITE = 1 << 16, DR7_LEN0_8 = 2 << 18,
};

enum msr_index {
	MSR_TSC = 0x10,
	MSR_APIC_BASE = 0x1b,
	MSR_TSC_ADJUST = 0x3b,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP = 0x175,
	MSR_SYSENTER_EIP = 0x176,
	MSR_MCG_CAP = 0x179,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_PAT = 0x277,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC = 0x800,
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_CSTAR = 0xc0000083,
	MSR_SFMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,
	MSR_NOBODY_HAS = 0x1234567,	/* no CPU and no hypervisor defines it */
};

enum efer_bits { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NX = 1 << 11, EFER_SVME = 1 << 12 };

/* What guests/vectors.S pushes, lowest address first. */
struct guest_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* One a vCPU, at its GS base; guests/vectors.S and guest_try() know the first fields. */
struct guest_cpu {
	struct guest_cpu *self;
	u64 fixup;			/* where guest_try() goes on after an exception */
	u64 result;
	u64 kernel_rsp;			/* guest_user(): where its caller stands */
	u32 id;
	u32 vector;			/* of the last exception taken in guest_try() */
	u64 error;
	u64 cr2;
	u64 dr6;
	struct {
		const char *file, *what;
		u64 line, seen, expected;
	} report;			/* for PORT_FAIL */
	volatile u32 irqs[256];		/* how often each vector was taken */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct guest_cpu, fixup) == 8, "guest_try() says 8");
_Static_assert(offsetof(struct guest_cpu, result) == 16, "guest_entry says 16");
_Static_assert(offsetof(struct guest_cpu, kernel_rsp) == 24, "guest_user says 24");

extern struct guest_cpu guest_cpus[];	/* by vCPU id */

static inline struct guest_cpu *this_cpu(void)
{
	struct guest_cpu *cpu;

	asm volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* A handler may change the frame; NULL: count an interrupt, fail at an exception. */
typedef void (*guest_handler)(struct guest_frame *frame);
extern guest_handler guest_handlers[256];
void guest_dispatch(struct guest_frame *frame);

/* Handlers for device interrupts: the dispatcher has counted already. */
void guest_eoi_xapic(struct guest_frame *frame);
void guest_eoi_x2apic(struct guest_frame *frame);
void guest_eoi_pic(struct guest_frame *frame);

void guest_fail(const char *file, u64 line, const char *what, u64 seen, u64 expected);
#define guest_check(cond) \
	do { if (!(cond)) guest_fail(__FILE__, __LINE__, #cond, 0, 1); } while (0)
#define guest_check_eq(expected, seen) do {				\
	u64 seen_ = (u64)(seen), expected_ = (u64)(expected);		\
	if (seen_ != expected_)						\
		guest_fail(__FILE__, __LINE__, #seen, seen_, expected_);	\
} while (0)

/*
 * Run one instruction that may fault: yields the vector, NO_VECTOR if none
 * came.  What follows is asm()'s: outputs : inputs : clobbers.
 */
#define guest_try(insn, ...) ({						\
	this_cpu()->vector = NO_VECTOR;					\
	asm volatile("movq $771f, %%gs:8\n\t" insn "\n"			\
		     "771:\n\tmovq $0, %%gs:8" : __VA_ARGS__);		\
	(volatile struct guest_cpu *)this_cpu();			\
})->vector

/*
 * Bochs's AMD-V forgets which INT n a nested page fault cut off, and ends at any exit
 * under RFLAGS.TF: there, see to it that what the guest does next makes no such fault.
 */
extern bool guest_on_bochs_amd;		/* vm_create() knows */
void guest_settle(void);

/* What a #PF has left in CR2 that was injected: Bochs's AMD-V does not load CR2 at VMRUN. */
#define guest_check_cr2(expected) \
	guest_check_eq(!guest_on_bochs_amd, this_cpu()->cr2 == (expected))

/* Call @fn(@arg) at CPL 3 with @flags more set in RFLAGS; its result. */
u64 guest_user(u64 (*fn)(u64), u64 arg, u64 flags);
enum { USER_RETURN_VECTOR = 0x80 };

static inline void outb(u16 port, u8 val)
{
	asm volatile("outb %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 val)
{
	asm volatile("outw %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 val)
{
	asm volatile("outl %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 val;

	asm volatile("inb %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline u16 inw(u16 port)
{
	u16 val;

	asm volatile("inw %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline u32 inl(u16 port)
{
	u32 val;

	asm volatile("inl %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

/* Tell the test how far the guest is; goes on when the test enters again. */
static inline void guest_sync(u32 stage)
{
	outl(PORT_SYNC, stage);
}

static inline u64 rdmsr(u32 index)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 index, u64 val)
{
	asm volatile("wrmsr" : : "a"((u32)val), "d"((u32)(val >> 32)), "c"(index) : "memory");
}

static inline u8 rdmsr_try(u32 index, u64 *val)
{
	u32 lo = 0, hi = 0;
	u8 vector = guest_try("rdmsr", "+a"(lo), "+d"(hi) : "c"(index) : "memory");

	*val = (u64)hi << 32 | lo;
	return vector;
}

static inline u8 wrmsr_try(u32 index, u64 val)
{
	return guest_try("wrmsr", : "a"((u32)val), "d"((u32)(val >> 32)), "c"(index) : "memory");
}

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "0"(leaf), "2"(subleaf) : "memory");
	return r;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

#define DEFINE_REGISTER(name)						\
static inline u64 read_##name(void)					\
{									\
	u64 val;							\
									\
	asm volatile("mov %%" #name ", %0" : "=r"(val) : : "memory");	\
	return val;							\
}									\
									\
static inline void write_##name(u64 val)				\
{									\
	asm volatile("mov %0, %%" #name : : "r"(val) : "memory");	\
}

DEFINE_REGISTER(cr0)
DEFINE_REGISTER(cr2)
DEFINE_REGISTER(cr3)
DEFINE_REGISTER(cr4)
DEFINE_REGISTER(cr8)
DEFINE_REGISTER(dr0)
DEFINE_REGISTER(dr1)
DEFINE_REGISTER(dr2)
DEFINE_REGISTER(dr3)
DEFINE_REGISTER(dr6)
DEFINE_REGISTER(dr7)

static inline u64 read_flags(void)
{
	u64 flags;

	asm volatile("pushfq; pop %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline void irq_enable(void)
{
	asm volatile("sti; nop" : : : "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" : : : "memory");
}

/* Let in what is pending, without a wait. */
static inline void irq_window(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

static inline void halt(void)
{
	asm volatile("hlt" : : : "memory");
}

/* No interrupt between the two: wakes at the next one. Interrupts off again after. */
static inline void wait_for_irq(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

/* Memory accesses that the compiler neither drops nor splits. */
#define DEFINE_ACCESS(bits)						\
static inline u##bits read##bits(u64 gva)				\
{									\
	u##bits val;							\
									\
	asm volatile("mov %1, %0" : "=r"(val) : "m"(*(volatile u##bits *)gva) : "memory"); \
	return val;							\
}									\
									\
static inline void write##bits(u64 gva, u##bits val)			\
{									\
	asm volatile("mov %1, %0" : "=m"(*(volatile u##bits *)gva) : "r"(val) : "memory"); \
}

DEFINE_ACCESS(8)
DEFINE_ACCESS(16)
DEFINE_ACCESS(32)
DEFINE_ACCESS(64)

/* SDM 3A "Local APIC Registers"; offsets in the xAPIC page. */
enum apic_reg {
	APIC_ID = 0x20, APIC_LVR = 0x30, APIC_TASKPRI = 0x80, APIC_ARBPRI = 0x90,
	APIC_PROCPRI = 0xa0, APIC_EOI = 0xb0, APIC_LDR = 0xd0, APIC_DFR = 0xe0,
	APIC_SPIV = 0xf0, APIC_ISR = 0x100, APIC_TMR = 0x180, APIC_IRR = 0x200, APIC_ESR = 0x280,
	APIC_ICR = 0x300, APIC_ICR2 = 0x310, APIC_LVTT = 0x320, APIC_LVTTHMR = 0x330,
	APIC_LVTPC = 0x340, APIC_LVT0 = 0x350, APIC_LVT1 = 0x360, APIC_LVTERR = 0x370,
	APIC_TMICT = 0x380, APIC_TMCCT = 0x390, APIC_TDCR = 0x3e0, APIC_SELF_IPI = 0x3f0,
};

enum apic_bits {
	APIC_BASE_ADDR = 0xfee00000,
	APIC_BASE_BSP = 1 << 8,
	APIC_BASE_X2APIC = 1 << 10,
	APIC_BASE_ENABLE = 1 << 11,

	APIC_SPIV_ENABLED = 1 << 8,

	APIC_DM_FIXED = 0 << 8,
	APIC_DM_LOWEST = 1 << 8,
	APIC_DM_NMI = 4 << 8,
	APIC_DM_INIT = 5 << 8,
	APIC_DM_STARTUP = 6 << 8,
	APIC_DM_EXTINT = 7 << 8,
	APIC_DEST_LOGICAL = 1 << 11,
	APIC_ICR_BUSY = 1 << 12,
	APIC_INT_ASSERT = 1 << 14,
	APIC_INT_LEVELTRIG = 1 << 15,
	APIC_DEST_SELF = 1 << 18,
	APIC_DEST_ALLINC = 2 << 18,
	APIC_DEST_ALLBUT = 3 << 18,

	APIC_LVT_MASKED = 1 << 16,
	APIC_LVT_ONESHOT = 0 << 17,
	APIC_LVT_PERIODIC = 1 << 17,
	APIC_LVT_TSCDEADLINE = 2 << 17,

	APIC_DFR_CLUSTER = 0x0fffffff,
	APIC_TDR_DIV_1 = 0xb,
	APIC_TDR_DIV_16 = 0x3,
};

static inline u32 xapic_read(enum apic_reg reg)
{
	return read32(APIC_BASE_ADDR + reg);
}

static inline void xapic_write(enum apic_reg reg, u32 val)
{
	write32(APIC_BASE_ADDR + reg, val);
}

static inline u64 x2apic_read(enum apic_reg reg)
{
	return rdmsr(MSR_X2APIC + (reg >> 4));
}

static inline void x2apic_write(enum apic_reg reg, u64 val)
{
	wrmsr(MSR_X2APIC + (reg >> 4), val);
}

/* Send by the xAPIC's ICR. */
static inline void xapic_icr(u32 dest, u32 low)
{
	xapic_write(APIC_ICR2, dest << 24);
	xapic_write(APIC_ICR, low);
}

static inline void xapic_enable(void)
{
	xapic_write(APIC_SPIV, APIC_SPIV_ENABLED | 0xff);
}

static inline void x2apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	x2apic_write(APIC_SPIV, APIC_SPIV_ENABLED | 0xff);
}

/* 82093AA: index at the base, data at 16 beyond. */
enum { IOAPIC_BASE_ADDR = 0xfec00000, IOAPIC_REDIR_BASE = 0x10 };

static inline u32 ioapic_read(u8 reg)
{
	write32(IOAPIC_BASE_ADDR, reg);
	return read32(IOAPIC_BASE_ADDR + 0x10);
}

static inline void ioapic_write(u8 reg, u32 val)
{
	write32(IOAPIC_BASE_ADDR, reg);
	write32(IOAPIC_BASE_ADDR + 0x10, val);
}

static inline void ioapic_route(u8 pin, u64 entry)
{
	ioapic_write(IOAPIC_REDIR_BASE + 2 * pin + 1, entry >> 32);
	ioapic_write(IOAPIC_REDIR_BASE + 2 * pin, (u32)entry);
}

/* Interrupts off before and after: sleep until @vector has been taken @count times. */
static inline void wait_for_vector(u8 vector, u32 count)
{
	while (this_cpu()->irqs[vector] < count)
		wait_for_irq();
}

/* Both 8259s: vectors from @base, only the lines of @unmasked let through. */
void guest_pic_init(u8 base, u16 unmasked);

#endif /* SELFTESTS_GUEST_H */
