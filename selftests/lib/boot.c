// SPDX-License-Identifier: GPL-2.0
/* How a guest begins: page tables, descriptors, registers of each mode. */
#include "vm.h"

extern u8 guest_entry[], guest_gates[];

enum { STACK_SIZE = 8192, IST_SIZE = 4096 };

/* APM 2 "64-Bit Task State Segment". */
struct tss64 {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __attribute__((packed));

/* APM 2 "Long-Mode Gate Descriptors". */
struct gate64 {
	u16 offset0;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset16;
	u32 offset32;
	u32 reserved;
};

enum { GATE_INTERRUPT = 0x8e, GATE_DPL3 = 0x60 };

struct guest_cpu guest_cpus[VM_MAX_VCPUS];
static u8 stacks[VM_MAX_VCPUS][STACK_SIZE] __attribute__((aligned(16)));
static struct tss64 tsses[VM_MAX_VCPUS];
static struct gate64 idt[256] __attribute__((aligned(16)));

static const u64 gdt[] __attribute__((aligned(16))) = {
	[SEL_CODE64 / 8] = 0x00af9b000000ffff,
	[SEL_DATA / 8] = 0x00cf93000000ffff,
	[SEL_CODE32 / 8] = 0x00cf9b000000ffff,
	[SEL_USER_DATA / 8] = 0x00cff3000000ffff,
	[SEL_USER_CODE64 / 8] = 0x00affb000000ffff,
	[SEL_TSS / 8 + 1] = 0,
};

/* ---- page tables: 4 GiB one to one by 2M pages, and what vm_map() adds ---- */

typedef u64 table[512] __attribute__((aligned(PAGE_SIZE)));

static table pml4, pdpt, pds[4], spare[32];
static unsigned int nr_spare;

enum { TABLE_BITS = X86_PTE_P | X86_PTE_W | X86_PTE_U, PTE_LARGE = 1 << 7 };

u64 vm_cr3(void)
{
	if (!pml4[0]) {
		pml4[0] = (u64)pdpt | TABLE_BITS;
		for (u64 i = 0; i < 4; i++) {
			pdpt[i] = (u64)pds[i] | TABLE_BITS;
			for (u64 j = 0; j < 512; j++)
				pds[i][j] = i * GiB + j * 2 * MiB + TABLE_BITS + PTE_LARGE;
		}
	}
	return (u64)pml4;
}

static u64 *next_table(u64 *entry)
{
	if (!(*entry & X86_PTE_P)) {
		die_unless(nr_spare < ARRAY_SIZE(spare));
		*entry = (u64)spare[nr_spare++] | TABLE_BITS;
	}
	return (u64 *)(*entry & 0x000ffffffffff000);
}

u64 *vm_map(u64 gva, u64 gpa, u64 bits)
{
	u64 *t = (u64 *)vm_cr3();

	die_unless(gva >= VM_UNMAPPED);
	t = next_table(&t[gva >> 39 & 511]);
	t = next_table(&t[gva >> 30 & 511]);
	t = next_table(&t[gva >> 21 & 511]);
	t = &t[gva >> 12 & 511];
	*t = gpa | bits;
	return t;
}

/* ---- descriptors ---- */

static void fill_idt(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		u64 gate = (u64)guest_gates + 16 * i;

		idt[i] = (struct gate64) {
			.offset0 = gate,
			.selector = SEL_CODE64,
			.type = GATE_INTERRUPT | (i == BP_VECTOR || i >= 0x80 ? GATE_DPL3 : 0),
			.offset16 = gate >> 16,
			.offset32 = gate >> 32,
		};
	}
}

static struct kvm_segment code_segment(u16 selector, bool l, bool db)
{
	return (struct kvm_segment) {
		.selector = selector, .limit = 0xffffffff, .type = 11,
		.present = 1, .s = 1, .g = 1, .l = l, .db = db,
	};
}

static struct kvm_segment data_segment(u16 selector)
{
	return (struct kvm_segment) {
		.selector = selector, .limit = 0xffffffff, .type = 3,
		.present = 1, .s = 1, .g = 1, .db = 1,
	};
}

static struct kvm_segment tss_segment(u32 id)
{
	return (struct kvm_segment) {
		.selector = SEL_TSS, .base = (u64)&tsses[id], .limit = sizeof(tsses[id]) - 1,
		.type = 11, .present = 1,
	};
}

static void flat_data_segments(struct kvm_sregs *sregs)
{
	sregs->ds = data_segment(SEL_DATA);
	sregs->es = sregs->fs = sregs->gs = sregs->ss = sregs->ds;
}

/* ---- vCPUs ---- */

struct vcpu *vm_add_reset_vcpu(struct vm *vm, u32 id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

	die_unless(vcpu && id < VM_MAX_VCPUS);
	vm->vcpus[id] = vcpu;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = kvm_do(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	vcpu->run_size = kvm_do(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	die_unless(vcpu->run != MAP_FAILED);
	vcpu->guest = &guest_cpus[id];
	vcpu->stack = (u64)stacks[id + 1];
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | id << 24;
		else if (e->function == 0xb || e->function == 0x1f)
			e->edx = id;
	}
	vcpu_set_cpuid(vcpu, cpuid);
	return vcpu;
}

void vcpu_long_mode(struct vcpu *vcpu)
{
	struct kvm_sregs sregs = vcpu_sregs(vcpu);
	u32 id = vcpu->id;

	fill_idt();
	memset(vcpu->guest, 0, sizeof(*vcpu->guest));
	vcpu->guest->self = vcpu->guest;
	vcpu->guest->id = id;
	tsses[id].rsp[0] = vcpu->stack - STACK_SIZE / 2;	/* for what comes from CPL 3 */
	tsses[id].iomap_base = sizeof(tsses[id]);

	sregs.cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs.cr3 = vm_cr3();
	sregs.cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	sregs.cs = code_segment(SEL_CODE64, true, false);
	flat_data_segments(&sregs);
	sregs.gs.base = (u64)vcpu->guest;
	sregs.tr = tss_segment(id);
	sregs.gdt = (struct kvm_dtable) { .base = (u64)gdt, .limit = sizeof(gdt) - 1 };
	sregs.idt = (struct kvm_dtable) { .base = (u64)idt, .limit = sizeof(idt) - 1 };
	vcpu_set_sregs(vcpu, &sregs);
}

struct vcpu *vm_add_vcpu(struct vm *vm, u32 id)
{
	struct vcpu *vcpu = vm_add_reset_vcpu(vm, id);

	vcpu_long_mode(vcpu);
	if (id && kvm_cap(KVM_CAP_MP_STATE) > 0 && vcpu_mp_state(vcpu) != KVM_MP_STATE_RUNNABLE)
		vcpu_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	return vcpu;
}

void vcpu_start(struct vcpu *vcpu, guest_fn fn, u64 arg)
{
	struct kvm_regs regs = {
		.rip = (u64)guest_entry,
		.rax = (u64)fn,
		.rdi = arg,
		.rsp = vcpu->stack,
		.rflags = X86_EFLAGS_FIXED,
	};

	vcpu_set_regs(vcpu, &regs);
}

void vcpu_real_mode(struct vcpu *vcpu, u16 ip)
{
	struct kvm_sregs sregs = vcpu_sregs(vcpu);
	struct kvm_regs regs = { .rip = ip, .rsp = 0x1000, .rflags = X86_EFLAGS_FIXED };
	struct kvm_segment flat = {
		.limit = 0xffff, .type = 3, .present = 1, .s = 1,
	};

	sregs.cr0 = X86_CR0_ET;
	sregs.cr4 = 0;
	sregs.efer = 0;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	flat.type = 11;
	sregs.cs = flat;
	sregs.idt = (struct kvm_dtable) { .base = 0, .limit = 0x3ff };
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_set_regs(vcpu, &regs);
}

void vcpu_protected_mode(struct vcpu *vcpu, u32 eip)
{
	struct kvm_sregs sregs = vcpu_sregs(vcpu);
	struct kvm_regs regs = { .rip = eip, .rsp = 0x1000, .rflags = X86_EFLAGS_FIXED };

	sregs.cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
	sregs.cr4 = 0;
	sregs.efer = 0;
	sregs.cs = code_segment(SEL_CODE32, false, true);
	flat_data_segments(&sregs);
	sregs.tr = tss_segment(vcpu->id);
	sregs.gdt = (struct kvm_dtable) { .base = (u64)gdt, .limit = sizeof(gdt) - 1 };
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_set_regs(vcpu, &regs);
}
