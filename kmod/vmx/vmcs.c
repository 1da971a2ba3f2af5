// SPDX-License-Identifier: GPL-2.0
/*
 * The VMCS: how it is set up, and the guest state that lives in it.
 * SDM 3C "Virtual Machine Control Structures".
 */
#include <linux/gfp.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/tlbflush.h>
#include "../compat.h"
#include "../cpuid.h"
#include "../cr.h"
#include "../mmu/memslot.h"
#include "../msr.h"
#include "../segment.h"
#include "vmx.h"

static_assert(offsetof(struct vmcs, data) == 8);

/* ---- permission maps, shared by all vCPUs ---- */

/*
 * Two MSR maps serve everybody: one for guests that have not touched
 * IA32_SPEC_CTRL, one for those that own it.  I/O needs none: all ports exit.
 */
static struct vmx_maps {
	u8	msr[PAGE_SIZE], msr_spec[PAGE_SIZE];
} *vmx_maps;

/* MSRs that entries and exits move, or that stay the guest's: it may have them as they are. */
static const u32 vmx_passed_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* A bit an MSR: reads of low and high MSRs, then writes. SDM 3C "MSR-Bitmap Address". */
static void vmx_msrpm_pass(u8 *map, u32 msr)
{
	const u32 high = 0xc0000000, per_range = 8192;
	unsigned long *bits = (unsigned long *)map;
	u32 bit = msr >= high ? per_range + msr - high : msr;

	__clear_bit(bit, bits);
	__clear_bit(2 * per_range + bit, bits);
}

/**
 * vmx_maps_create() - make the MSR permission maps
 *
 * Return: 0 or -ENOMEM.
 */
int vmx_maps_create(void)
{
	unsigned int i;

	vmx_maps = kmalloc(sizeof(*vmx_maps), GFP_KERNEL);	/* aligned as a power of two */
	if (!vmx_maps)
		return -ENOMEM;
	memset(vmx_maps, 0xff, sizeof(*vmx_maps));	/* intercept all */
	for (i = 0; i < ARRAY_SIZE(vmx_passed_msrs); i++) {
		vmx_msrpm_pass(vmx_maps->msr, vmx_passed_msrs[i]);
		vmx_msrpm_pass(vmx_maps->msr_spec, vmx_passed_msrs[i]);
	}
	vmx_msrpm_pass(vmx_maps->msr_spec, MSR_IA32_SPEC_CTRL);
	return 0;
}

/**
 * vmx_maps_destroy() - free the permission maps, if there are any; no vCPU is left
 */
void vmx_maps_destroy(void)
{
	kfree(vmx_maps);
}

/* ---- controls ---- */

/*
 * Exceptions: #UD may be another vendor's hypercall, #MC is the host's.  #DB
 * and #AC can raise themselves while they are delivered, for ever and without
 * an exit if they are not intercepted.
 */
#define VMX_EXCEPTIONS	(BIT(UD_VECTOR) | BIT(MC_VECTOR) | BIT(DB_VECTOR) | BIT(AC_VECTOR))

/* A loop whose PAUSEs are at most that far apart, for that long, spins; in TSC cycles. */
enum { VMX_PAUSE_GAP = 128, VMX_PAUSE_WINDOW = 4096 };

enum { VMCS_REVISION = 0x7fffffff };	/* of IA32_VMX_BASIC: SDM 3D "Basic VMX Information" */

/**
 * vmx_vmcs_alloc() - memory for a VMCS, or for VMXON
 * @node: NUMA node, or NUMA_NO_NODE
 *
 * Return: a page with the CPU's revision in it, or NULL.
 */
struct vmcs *vmx_vmcs_alloc(int node)
{
	struct page *page = alloc_pages_node(node, GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
	struct vmcs *vmcs;

	if (!page)
		return NULL;
	vmcs = page_address(page);
	vmcs->revision = vmx_caps.basic & VMCS_REVISION;
	return vmcs;
}

/* SDM 3C "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields" */
static void vmx_write_controls(struct vmx_vcpu *vmx)
{
	u32 disabled = vmx->vcpu.vm->disabled_exits;

	vmx->proc = vmx_controls.proc;
	if (disabled & KVM_X86_DISABLE_EXITS_HLT)
		vmx->proc &= ~CPU_BASED_HLT_EXITING;
	if (disabled & KVM_X86_DISABLE_EXITS_MWAIT)
		vmx->proc &= ~(CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING);
	vmx->proc_in_vmcs = vmx->proc;
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, vmx_controls.pin);
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, vmx->proc);
	vmcs_write(VM_EXIT_CONTROLS, vmx_controls.exit);
	vmcs_write(VM_ENTRY_CONTROLS, vmx_controls.entry);
	vmx_cpuid_changed(&vmx->vcpu);		/* secondary controls */

	vmcs_write(MSR_BITMAP, __pa(vmx_maps->msr));
	if (vmx->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	if (vmx_controls.proc2 & SECONDARY_EXEC_XSAVES)
		vmcs_write(XSS_EXIT_BITMAP, 0);
	if (vmx_controls.proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING) {
		vmcs_write(PLE_GAP, VMX_PAUSE_GAP);
		vmcs_write(PLE_WINDOW, VMX_PAUSE_WINDOW);
	}
	/* CR4 has bits that CPUID hides; of CR0 only TS is the guest's. */
	vmcs_write(CR0_GUEST_HOST_MASK, ~X86_CR0_TS);
	vmcs_write(CR4_GUEST_HOST_MASK, ~0UL);
}

/* What no exit changes and no CPU has for itself. SDM 3C "Host-State Area". */
static void vmx_write_host(void)
{
	struct desc_ptr idt;

	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	store_idt(&idt);
	vmcs_write(HOST_IDTR_BASE, idt.address);

	vmcs_write(HOST_CR0, read_cr0());
	vmcs_write(HOST_RIP, (unsigned long)vmx_world_switch_back);
	vmcs_write_msr(HOST_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_CS);
	vmcs_write_msr(HOST_IA32_SYSENTER_EIP, MSR_IA32_SYSENTER_EIP);
	vmcs_write_msr(HOST_IA32_PAT, MSR_IA32_CR_PAT);
	vmcs_write_msr(HOST_IA32_EFER, MSR_EFER);
}

/* What is 0 in a new VMCS, and most of it for good. */
static const u16 vmx_zero_fields[] = {
	/* With EPT the guest has its page faults for itself: no error code matches all of none. */
	PAGE_FAULT_ERROR_CODE_MASK, PAGE_FAULT_ERROR_CODE_MATCH, CR3_TARGET_COUNT,
	VM_EXIT_MSR_STORE_COUNT, VM_EXIT_MSR_LOAD_COUNT, VM_ENTRY_MSR_LOAD_COUNT,
	VM_ENTRY_INTR_INFO_FIELD,
	HOST_DS_SELECTOR, HOST_ES_SELECTOR, HOST_FS_SELECTOR, HOST_GS_SELECTOR,
	/* Guest state that no reset changes; PAT is msr_vcpu_init()'s. */
	GUEST_INTERRUPTIBILITY_INFO, GUEST_IA32_DEBUGCTL,
	GUEST_SYSENTER_CS, GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP,
	/* As rip_in_vmcs and rsp_in_vmcs have it: vmx_commit() writes only what differs. */
	GUEST_RIP, GUEST_RSP,
};

/**
 * vmx_vmcs_init() - make a page the VMCS of a new vCPU
 * @vmx: has the page
 */
void vmx_vmcs_init(struct vmx_vcpu *vmx)
{
	unsigned int i;

	vmx_asm("vmclear %0", "m" (vmx->vmcs_pa));
	guard(vmx_hold)(vmx);
	vmx_write_controls(vmx);
	vmx_write_host();
	vmcs_write(VMCS_LINK_POINTER, ~0UL);	/* none */
	for (i = 0; i < ARRAY_SIZE(vmx_zero_fields); i++)
		vmcs_write(vmx_zero_fields[i], 0);
}

/**
 * vmx_update_intercepts() - debugging or the MSR filter has changed
 * @vcpu: under its mutex
 */
void vmx_update_intercepts(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 exceptions = VMX_EXCEPTIONS, debug = vcpu->guest_debug;

	if (debug & KVM_GUESTDBG_USE_SW_BP)
		exceptions |= BIT(BP_VECTOR);
	vmx->dr7 = debug & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug_dr7 : vcpu->dr7;
	/* Without the bitmap all MSRs exit, and a filter may forbid any. */
	if (rcu_access_pointer(vcpu->vm->msr_filter))
		vmx->proc &= ~CPU_BASED_USE_MSR_BITMAPS;
	else
		vmx->proc |= CPU_BASED_USE_MSR_BITMAPS;
	guard(vmx_hold)(vmx);
	vmcs_write(EXCEPTION_BITMAP, exceptions);
	vmcs_write(GUEST_DR7, vmx->dr7);
	/* Stepping has ended; Bochs keeps a step pending over an exit that did not finish it. */
	if (!(vcpu->rflags & X86_EFLAGS_TF))
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS,
			   vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS) & ~DR_STEP);
}

/**
 * vmx_cpuid_changed() - user space has set CPUID
 * @vcpu: under its mutex
 *
 * An instruction that CPUID hides must raise #UD: these do, while their
 * control is off.
 */
void vmx_cpuid_changed(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 proc2 = vmx_controls.proc2;

	if (!vmx->vpid)
		proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (!vcpu_has(vcpu, CAP_TSC_AUX))
		proc2 &= ~SECONDARY_EXEC_ENABLE_RDTSCP;
	if (!vcpu_has(vcpu, CAP_INVPCID))
		proc2 &= ~SECONDARY_EXEC_ENABLE_INVPCID;
	if (vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_PAUSE)
		proc2 &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	if (!vcpu_has(vcpu, CAP_XSAVES))
		proc2 &= ~SECONDARY_EXEC_XSAVES;
	guard(vmx_hold)(vmx);
	vmcs_write(SECONDARY_VM_EXEC_CONTROL, proc2);
}

/**
 * vmx_set_tsc_offset() - and the ratio where the CPU scales
 * @vcpu: under its mutex, or new
 */
void vmx_set_tsc_offset(struct vcpu *vcpu)
{
	guard(vmx_hold)(to_vmx(vcpu));
	vmcs_write(TSC_OFFSET, vcpu->tsc_offset);
	if (vmx_controls.proc2 & SECONDARY_EXEC_TSC_SCALING)
		vmcs_write(TSC_MULTIPLIER, vcpu->tsc_scaling_ratio);
}

/* ---- segments ---- */

/* The fields of one kind lie two apart, in the order of enum emu_seg, then LDTR and TR. */
#define SEG_FIELD(kind, seg)	(GUEST_ES_##kind + 2 * (seg))

static void vmx_seg_get(unsigned int seg, struct kvm_segment *out)
{
	u32 rights = vmcs_read(SEG_FIELD(AR_BYTES, seg));

	segment_unpack(out, vmcs_read(SEG_FIELD(SELECTOR, seg)), rights, rights >> 12,
		       vmcs_read(SEG_FIELD(LIMIT, seg)), vmcs_read(SEG_FIELD(BASE, seg)));
	out->unusable = !!(rights & VMX_AR_UNUSABLE_MASK);
	out->present = !out->unusable;
}

static void vmx_seg_set(unsigned int seg, const struct kvm_segment *in)
{
	u32 rights = segment_rights(in);

	if (in->present & 1)
		rights |= VMX_AR_P_MASK;		/* CS must have it in any case */
	if (in->unusable || !in->present)
		rights |= VMX_AR_UNUSABLE_MASK;
	else if (in->s & 1)
		rights |= VMX_AR_TYPE_ACCESSES_MASK;	/* a loaded segment was accessed */
	vmcs_write(SEG_FIELD(BASE, seg), in->base);
	vmcs_write(SEG_FIELD(LIMIT, seg), in->limit);
	vmcs_write(SEG_FIELD(SELECTOR, seg), in->selector);
	vmcs_write(SEG_FIELD(AR_BYTES, seg), rights);
}

/**
 * vmx_get_segment() - one cached descriptor
 * @vcpu: outside the guest
 * @seg: which
 * @out: filled
 */
void vmx_get_segment(struct vcpu *vcpu, enum emu_seg seg, struct kvm_segment *out)
{
	guard(vmx_hold)(to_vmx(vcpu));
	vmx_seg_get(seg, out);
}

/**
 * vmx_get_code() - what runs
 * @vcpu: outside the guest
 *
 * CPL is SS.DPL, whatever the mode: in real mode 0, in virtual-8086 mode 3.
 */
struct code_segment vmx_get_code(struct vcpu *vcpu)
{
	struct code_segment code;

	static_assert(CODE_L == VMX_AR_L_MASK && CODE_DB == VMX_AR_DB_MASK);
	guard(vmx_hold)(to_vmx(vcpu));
	code.base = vmcs_read(GUEST_CS_BASE);
	code.flags = (vmcs_read(GUEST_CS_AR_BYTES) & (CODE_L | CODE_DB)) |
		     VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES));
	return code;
}

/**
 * vmx_get_sregs() - segments and descriptor tables
 * @vcpu: outside the guest
 * @sregs: those parts are filled
 */
void vmx_get_sregs(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	unsigned int i;

	guard(vmx_hold)(to_vmx(vcpu));
	for (i = 0; i < SEG_NR; i++)
		vmx_seg_get(i, segment_of(sregs, i));
	sregs->gdt.base = vmcs_read(GUEST_GDTR_BASE);
	sregs->gdt.limit = vmcs_read(GUEST_GDTR_LIMIT);
	sregs->idt.base = vmcs_read(GUEST_IDTR_BASE);
	sregs->idt.limit = vmcs_read(GUEST_IDTR_LIMIT);
}

/**
 * vmx_set_sregs() - segments and descriptor tables; CPL follows SS.DPL
 * @vcpu: outside the guest
 * @sregs: checked by the caller
 */
void vmx_set_sregs(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	unsigned int i;

	guard(vmx_hold)(to_vmx(vcpu));
	for (i = 0; i < SEG_NR; i++)
		vmx_seg_set(i, segment_of(sregs, i));
	vmcs_write(GUEST_GDTR_BASE, sregs->gdt.base);
	vmcs_write(GUEST_GDTR_LIMIT, sregs->gdt.limit);
	vmcs_write(GUEST_IDTR_BASE, sregs->idt.base);
	vmcs_write(GUEST_IDTR_LIMIT, sregs->idt.limit);
	/* INIT, SIPI, SMI: a HLT that did not exit is over. */
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
}

/* ---- control registers; the guest's view is in struct vcpu, the CPU's here ---- */

/*
 * Under PAE paging a MOV to CR loads the four page-directory-pointer-table
 * entries into registers, which an entry takes from the VMCS.  SDM 3A "PDPTE
 * Registers".  Where MOV would raise #GP, for a reserved bit, we leave out the
 * entry: the guest gets a page fault instead.
 */
static void vmx_load_pdptes(struct vcpu *vcpu)
{
	u64 pdpte[4] = {}, reserved = vcpu->walk.reserved | _PAGE_RW | _PAGE_USER |
				      _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_PSE | _PAGE_GLOBAL;
	unsigned int i;

	if (!(vcpu->cr0 & X86_CR0_PG) || !(vcpu->cr4 & X86_CR4_PAE) || vcpu_long_mode(vcpu))
		return;
	guest_read(vcpu, vcpu->cr3 & ~0x1fULL, pdpte, sizeof(pdpte));
	guard(vmx_hold)(to_vmx(vcpu));
	for (i = 0; i < ARRAY_SIZE(pdpte); i++)
		vmcs_write(GUEST_PDPTR0 + 2 * i, pdpte[i] & reserved ? 0 : pdpte[i]);
}

/**
 * vmx_set_cr0() - load CR0
 * @vcpu: outside the guest
 * @cr0: valid
 *
 * The guest may believe its caches off; they stay on.  Unrestricted guests
 * need neither PE nor PG of those bits that the CPU wants set.
 */
void vmx_set_cr0(struct vcpu *vcpu, u64 cr0)
{
	u64 fixed = vmx_caps.cr0_fixed0 & ~(X86_CR0_PE | X86_CR0_PG);

	vcpu->cr0 = cr0;
	vmx_load_pdptes(vcpu);
	guard(vmx_hold)(to_vmx(vcpu));
	vmcs_write(GUEST_CR0, (cr0 & ~(X86_CR0_CD | X86_CR0_NW)) | fixed);
	vmcs_write(CR0_READ_SHADOW, cr0);
}

/**
 * vmx_set_cr3() - load CR3; the caller asks for a flush if one is due
 * @vcpu: outside the guest
 * @cr3: valid
 */
void vmx_set_cr3(struct vcpu *vcpu, u64 cr3)
{
	vcpu->cr3 = cr3;
	vmx_load_pdptes(vcpu);
	guard(vmx_hold)(to_vmx(vcpu));
	vmcs_write(GUEST_CR3, cr3);
}

/**
 * vmx_set_cr4() - load CR4
 * @vcpu: outside the guest
 * @cr4: valid
 *
 * VMXE must be set, and is hidden.  A machine check with CR4.MCE clear shuts
 * the CPU down: the host's MCE stays on.
 */
void vmx_set_cr4(struct vcpu *vcpu, u64 cr4)
{
	vcpu->cr4 = cr4;
	vmx_load_pdptes(vcpu);
	guard(vmx_hold)(to_vmx(vcpu));
	vmcs_write(GUEST_CR4, cr4 | vmx_caps.cr4_fixed0 | (cr4_read_shadow() & X86_CR4_MCE));
	vmcs_write(CR4_READ_SHADOW, cr4);
}

/**
 * vmx_set_efer() - load EFER; an entry must be told of long mode twice
 * @vcpu: outside the guest
 * @efer: valid
 */
void vmx_set_efer(struct vcpu *vcpu, u64 efer)
{
	vcpu->efer = efer;
	guard(vmx_hold)(to_vmx(vcpu));
	vmcs_write(GUEST_IA32_EFER, efer);
	vmcs_write(VM_ENTRY_CONTROLS, vmx_controls.entry |
				      (efer & EFER_LMA ? VM_ENTRY_IA32E_MODE : 0));
}

/**
 * vmx_vcpu_reset() - guest state after RESET or INIT
 * @vcpu: under its mutex
 *
 * SDM 3A "Processor State After Reset".  Segments, CRs and intercepts come
 * through set_sregs, set_cr* and update_intercepts.  An INIT keeps MSRs, and
 * RESET finds a new VMCS: see vmx_zero_fields[].
 */
void vmx_vcpu_reset(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->inject = 0;
	vmx->shadow = 0;
	vmx->flush = VMX_FLUSH_ALL;
	guard(vmx_hold)(vmx);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
}

/* ---- MSRs that live in the VMCS, or stay the guest's between entries ---- */

static unsigned long vmx_msr_vmcs_field(u32 index)
{
	switch (index) {
	case MSR_FS_BASE:		return GUEST_FS_BASE;
	case MSR_GS_BASE:		return GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS:	return GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP:	return GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP:	return GUEST_SYSENTER_EIP;
	case MSR_IA32_CR_PAT:		return GUEST_IA32_PAT;
	default:			return 0;
	}
}

static u64 *vmx_msr_place(struct vmx_vcpu *vmx, u32 index)
{
	switch (index) {
	case MSR_KERNEL_GS_BASE:	return &vmx->kernel_gs_base;
	case MSR_STAR:			return &vmx->star;
	case MSR_LSTAR:			return &vmx->lstar;
	case MSR_CSTAR:			return &vmx->cstar;
	case MSR_SYSCALL_MASK:		return &vmx->syscall_mask;
	case MSR_IA32_DEBUGCTLMSR:	return &vmx->debugctl;
	case MSR_IA32_SPEC_CTRL:	return &vmx->spec_ctrl;
	default:			return NULL;
	}
}

/**
 * vmx_get_msr() - an MSR that this backend keeps
 * @vcpu: outside the guest
 * @index: which
 * @val: filled
 *
 * Return: enum msr_result.
 */
int vmx_get_msr(struct vcpu *vcpu, u32 index, u64 *val)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	unsigned long field = vmx_msr_vmcs_field(index);
	const u64 *place = vmx_msr_place(vmx, index);

	if (!field && !place)
		return MSR_UNKNOWN;
	guard(vmx_hold)(vmx);
	if (index == MSR_KERNEL_GS_BASE)
		vmx_sched_out(vcpu);		/* SWAPGS changes it without an exit */
	*val = field ? vmcs_read(field) : *place;
	return MSR_OK;
}

/**
 * vmx_set_msr() - set an MSR that this backend keeps
 * @vcpu: outside the guest
 * @index: which
 * @val: msr.c has checked what does not depend on the vendor
 *
 * Return: enum msr_result.
 */
int vmx_set_msr(struct vcpu *vcpu, u32 index, u64 val)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	unsigned long field = vmx_msr_vmcs_field(index);
	u64 *place = vmx_msr_place(vmx, index);

	if (!field && !place)
		return MSR_UNKNOWN;
	guard(vmx_hold)(vmx);
	vmx_sched_out(vcpu);			/* the next entry loads it anew */
	if (field)
		vmcs_write(field, val);
	else
		*place = val;
	/*
	 * NOTDONE: last-branch records; IA32_DEBUGCTL keeps its value, but of
	 * its bits only BTF has an effect.
	 */
	if (index == MSR_IA32_DEBUGCTLMSR)
		vmcs_write(GUEST_IA32_DEBUGCTL, val & DEBUGCTLMSR_BTF);
	/* The first value that is not zero gives the guest the MSR for good. */
	if (index == MSR_IA32_SPEC_CTRL && val && !vmx->spec_ctrl_owned) {
		vmx->spec_ctrl_owned = true;
		vmcs_write(MSR_BITMAP, __pa(vmx_maps->msr_spec));
	}
	return MSR_OK;
}
