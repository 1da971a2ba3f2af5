// SPDX-License-Identifier: GPL-2.0
/*
 * The VMCB: how it is set up, and the guest state that lives in it.
 * APM 2 "VMCB Layout", "Guest Mode".
 */
#include <asm/tlbflush.h>
#include "../cpuid.h"
#include "../cr.h"
#include "../msr.h"
#include "../segment.h"
#include "svm.h"

static_assert(sizeof(struct vmcb_control_area) == 0x400);
static_assert(offsetof(struct vmcb, save) == 0x400);
static_assert(offsetof(struct vmcb_control_area, next_rip) == 0xc8);
static_assert(offsetof(struct vmcb_save_area, rax) == 0x1f8);

/* ---- permission maps, shared by all vCPUs ---- */

/*
 * One I/O map, and two MSR maps: one for guests that have not touched
 * IA32_SPEC_CTRL, one for those that own it.
 */
static struct svm_maps {
	u8	io[3 * PAGE_SIZE];	/* APM 2 "I/O Permissions Map" */
	u8	msr[2 * PAGE_SIZE];	/* APM 2 "MSR Intercepts" */
	u8	msr_spec[2 * PAGE_SIZE];
} *svm_maps;

/* MSRs that VMLOAD and VMSAVE move: the guest may have them as they are. */
static const u32 svm_passed_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* Two bits an MSR, read and write; three ranges of 8,192 MSRs. APM 2 "MSR Intercepts". */
static void svm_msrpm_pass(u8 *map, u32 msr)
{
	static const u32 base[] = { 0, 0xc0000000, 0xc0010000 };
	const u32 per_range = 8192;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(base); i++)
		if (msr - base[i] < per_range)
			bitmap_clear((unsigned long *)map, 2 * (i * per_range + msr - base[i]), 2);
}

/**
 * svm_maps_create() - make the I/O and MSR permission maps
 *
 * Return: 0 or -ENOMEM.
 */
int svm_maps_create(void)
{
	unsigned int i;

	svm_maps = alloc_pages_exact(sizeof(*svm_maps), GFP_KERNEL);
	if (!svm_maps)
		return -ENOMEM;
	memset(svm_maps, 0xff, sizeof(*svm_maps));	/* intercept all */
	for (i = 0; i < ARRAY_SIZE(svm_passed_msrs); i++) {
		svm_msrpm_pass(svm_maps->msr, svm_passed_msrs[i]);
		svm_msrpm_pass(svm_maps->msr_spec, svm_passed_msrs[i]);
	}
	svm_msrpm_pass(svm_maps->msr_spec, MSR_IA32_SPEC_CTRL);
	return 0;
}

/**
 * svm_maps_destroy() - free the permission maps, if there are any; no vCPU is left
 */
void svm_maps_destroy(void)
{
	if (svm_maps)
		free_pages_exact(svm_maps, sizeof(*svm_maps));
}

/* ---- controls ---- */

/* What leaves the guest, unless user space has it otherwise. */
static const u8 svm_intercepts[] = {
	/* the host's: interrupts and what must reach its handlers */
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT,
	INTERCEPT_SHUTDOWN, INTERCEPT_FERR_FREEZE,
	/* instructions whose answer is ours */
	INTERCEPT_CPUID, INTERCEPT_HLT, INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT,
	INTERCEPT_RDPMC, INTERCEPT_INVD, INTERCEPT_WBINVD, INTERCEPT_XSETBV,
	INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_TASK_SWITCH,
	INTERCEPT_VMMCALL, INTERCEPT_RSM,
	/* no SVM inside: #UD */
	INTERCEPT_VMRUN, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI,
	INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_INVLPGA, INTERCEPT_RDPRU,
	/* CR4 has bits that CPUID hides; CR0 but for TS and MP */
	INTERCEPT_CR4_WRITE, INTERCEPT_SELECTIVE_CR0,
	/*
	 * Exceptions: #UD may be another vendor's hypercall, #MC is the host's.
	 * #DB and #AC can raise themselves while they are delivered, for ever and
	 * without an exit if they are not intercepted.
	 */
	INTERCEPT_EXCEPTION_OFFSET + UD_VECTOR, INTERCEPT_EXCEPTION_OFFSET + MC_VECTOR,
	INTERCEPT_EXCEPTION_OFFSET + DB_VECTOR, INTERCEPT_EXCEPTION_OFFSET + AC_VECTOR,
};

enum { SVM_PAUSES = 3000 };		/* so many in one run of the guest are a spin */

/**
 * svm_vcpu_init() - a VMCB for a new vCPU, with the controls that stay as they are
 * @vcpu: gets it
 *
 * Return: 0 or -ENOMEM.
 */
int svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u32 disabled = vcpu->vm->disabled_exits;
	struct vmcb_control_area *control;
	unsigned int i;

	svm->vmcb = (struct vmcb *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!svm->vmcb)
		return -ENOMEM;
	svm->vmcb_pa = __sme_pa(svm->vmcb);
	control = &svm->vmcb->control;
	for (i = 0; i < ARRAY_SIZE(svm_intercepts); i++)
		__set_bit(svm_intercepts[i], (unsigned long *)control->intercepts);
	control->intercepts[INTERCEPT_DR] = SVM_DR_ALL;
	if (disabled & KVM_X86_DISABLE_EXITS_HLT)
		svm_intercept(svm, INTERCEPT_HLT, false);
	if (disabled & KVM_X86_DISABLE_EXITS_MWAIT) {
		svm_intercept(svm, INTERCEPT_MONITOR, false);
		svm_intercept(svm, INTERCEPT_MWAIT, false);
	}
	if (boot_cpu_has(X86_FEATURE_PAUSEFILTER) && !(disabled & KVM_X86_DISABLE_EXITS_PAUSE)) {
		svm_intercept(svm, INTERCEPT_PAUSE, true);
		control->pause_filter_count = SVM_PAUSES;
	}
	control->iopm_base_pa = __sme_pa(svm_maps->io);
	control->msrpm_base_pa = __sme_pa(svm_maps->msr);
	control->int_ctl = V_INTR_MASKING_MASK;
	control->nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
	control->nested_cr3 = __sme_set(vcpu->space->tdp.root_hpa);
	control->asid = 1;
	return 0;
}

/*
 * Which MSRs the guest may have without an exit.  While user space filters them,
 * none: the I/O map intercepts all, and will do.
 */
static void svm_choose_msrpm(struct svm_vcpu *svm)
{
	const u8 *map = svm->spec_ctrl_owned ? svm_maps->msr_spec : svm_maps->msr;

	if (rcu_access_pointer(svm->vcpu.vm->msr_filter))
		map = svm_maps->io;
	svm->vmcb->control.msrpm_base_pa = __sme_pa(map);
	svm_dirty(svm, SVM_CLEAN_MAPS);
}

/**
 * svm_update_intercepts() - debugging or the MSR filter has changed
 * @vcpu: under its mutex
 */
void svm_update_intercepts(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u32 debug = vcpu->guest_debug;

	svm_choose_msrpm(svm);

	svm_intercept(svm, INTERCEPT_EXCEPTION_OFFSET + BP_VECTOR, debug & KVM_GUESTDBG_USE_SW_BP);
	/* TPR is user space's own where there is no local APIC: it must hear of changes. */
	svm_intercept(svm, INTERCEPT_CR8_WRITE, !vcpu->lapic);

	svm->vmcb->save.dr6 = DR6_RESERVED;	/* as long as the guest does not own it: svm_exit_db() */
	svm->vmcb->save.dr7 = debug & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug_dr7 : vcpu->dr7;
	svm_dirty(svm, SVM_CLEAN_DR);
}

/**
 * svm_cpuid_changed() - user space has set CPUID
 * @vcpu: under its mutex
 *
 * An instruction that CPUID hides must raise #UD: where the CPU itself would
 * run it, only an intercept can.
 */
void svm_cpuid_changed(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_intercept(svm, INTERCEPT_RDTSCP, !vcpu_has(vcpu, CAP_RDTSCP));
	if (boot_cpu_has(X86_FEATURE_INVPCID))
		svm_intercept(svm, INTERCEPT_INVPCID, !vcpu_has(vcpu, CAP_INVPCID));
}

/* ---- segments ---- */

enum {
	SEG_LIMIT_BYTES_MAX = 0xfffff,	/* above it, the limit was in pages: G is set */
	/* A VMCB keeps attributes without the hole that descriptors have. */
	ATTRIB_LOW = 0xff, ATTRIB_HIGH = 0xf00, ATTRIB_HOLE = 4,
};

static inline void svm_seg_get(const struct vmcb_seg *seg, struct kvm_segment *out)
{
	segment_unpack(out, seg->selector, seg->attrib, seg->attrib >> 8, seg->limit, seg->base);
	out->g = seg->limit > SEG_LIMIT_BYTES_MAX;	/* some CPUs do not keep it */
}

static void svm_seg_set(struct vmcb_seg *seg, const struct kvm_segment *in)
{
	u32 rights = segment_rights(in);

	seg->base = in->base;
	seg->limit = in->limit;
	seg->selector = in->selector;
	seg->attrib = (rights & ATTRIB_LOW) | (rights >> ATTRIB_HOLE & ATTRIB_HIGH);
}

/* The order of enum emu_seg, then LDTR and TR. */
static struct vmcb_seg *svm_seg(struct vmcb_save_area *save, unsigned int seg)
{
	static const u16 offsets[SEG_NR] = {
#define SEG(reg) offsetof(struct vmcb_save_area, reg)
		SEG(es), SEG(cs), SEG(ss), SEG(ds), SEG(fs), SEG(gs), SEG(ldtr), SEG(tr),
#undef SEG
	};

	return (void *)save + offsets[seg];
}

/**
 * svm_get_segment() - one cached descriptor
 * @vcpu: outside the guest
 * @seg: which
 * @out: filled
 */
void svm_get_segment(struct vcpu *vcpu, enum emu_seg seg, struct kvm_segment *out)
{
	svm_seg_get(svm_seg(&to_svm(vcpu)->vmcb->save, seg), out);
}

/**
 * svm_get_code() - what runs
 * @vcpu: outside the guest
 */
struct code_segment svm_get_code(struct vcpu *vcpu)
{
	const struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;

	static_assert(CODE_L == SVM_SELECTOR_L_MASK << ATTRIB_HOLE);
	static_assert(CODE_DB == SVM_SELECTOR_DB_MASK << ATTRIB_HOLE);
	return (struct code_segment) {
		.base = save->cs.base,
		.flags = (save->cs.attrib << ATTRIB_HOLE & (CODE_L | CODE_DB)) | save->cpl,
	};
}

/**
 * svm_get_sregs() - segments and descriptor tables
 * @vcpu: outside the guest
 * @sregs: those parts are filled
 */
void svm_get_sregs(struct vcpu *vcpu, struct kvm_sregs2 *sregs)
{
	struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;
	unsigned int i;

	for (i = 0; i < SEG_NR; i++)
		svm_seg_get(svm_seg(save, i), segment_of(sregs, i));
	/* The CPU keeps SS.DPL only as CPL. */
	sregs->ss.dpl = save->cpl;
	sregs->gdt.base = save->gdtr.base;
	sregs->gdt.limit = save->gdtr.limit;
	sregs->idt.base = save->idtr.base;
	sregs->idt.limit = save->idtr.limit;
}

/**
 * svm_set_sregs() - segments and descriptor tables; CPL follows SS.DPL
 * @vcpu: outside the guest
 * @sregs: checked by the caller
 */
void svm_set_sregs(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_save_area *save = &svm->vmcb->save;
	unsigned int i;

	for (i = 0; i < SEG_NR; i++)
		svm_seg_set(svm_seg(save, i), segment_of(sregs, i));
	save->cpl = sregs->ss.dpl & 3;
	save->gdtr.base = sregs->gdt.base;
	save->gdtr.limit = sregs->gdt.limit;
	save->idtr.base = sregs->idt.base;
	save->idtr.limit = sregs->idt.limit;
	svm->sregs_set = true;
	svm_dirty(svm, SVM_CLEAN_SEG | SVM_CLEAN_DT);
}

/* ---- control registers; the guest's view is in struct vcpu, the CPU's here ---- */

/**
 * svm_set_cr0() - load CR0
 * @vcpu: outside the guest
 * @cr0: valid
 *
 * The guest may believe its caches off; they stay on, and reads of CR0 exit
 * as long as the two differ.
 */
void svm_set_cr0(struct vcpu *vcpu, u64 cr0)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 real = cr0 & ~(X86_CR0_CD | X86_CR0_NW);

	vcpu->cr0 = cr0;
	svm->vmcb->save.cr0 = real;
	svm_dirty(svm, SVM_CLEAN_CR);
	svm_intercept(svm, INTERCEPT_CR0_READ, real != cr0);
}

/**
 * svm_set_cr3() - load CR3; the caller asks for a flush if one is due
 * @vcpu: outside the guest
 * @cr3: valid
 */
void svm_set_cr3(struct vcpu *vcpu, u64 cr3)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	vcpu->cr3 = cr3;
	svm->vmcb->save.cr3 = cr3;
	svm_dirty(svm, SVM_CLEAN_CR);
}

/**
 * svm_set_cr4() - load CR4
 * @vcpu: outside the guest
 * @cr4: valid
 *
 * A machine check with CR4.MCE clear shuts the CPU down before the intercept
 * is looked at: the host's MCE stays on.
 */
void svm_set_cr4(struct vcpu *vcpu, u64 cr4)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 real = cr4 | (cr4_read_shadow() & X86_CR4_MCE);

	vcpu->cr4 = cr4;
	svm->vmcb->save.cr4 = real;
	svm_dirty(svm, SVM_CLEAN_CR);
	svm_intercept(svm, INTERCEPT_CR4_READ, real != cr4);
}

/**
 * svm_set_efer() - load EFER; SVME is always on in the VMCB
 * @vcpu: outside the guest
 * @efer: valid
 */
void svm_set_efer(struct vcpu *vcpu, u64 efer)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	vcpu->efer = efer;
	svm->vmcb->save.efer = efer | EFER_SVME;
	svm_dirty(svm, SVM_CLEAN_CR);
}

/**
 * svm_vcpu_reset() - guest state after RESET or INIT
 * @vcpu: under its mutex
 *
 * APM 2 "Processor Initialization State".  Segments, CRs and intercepts come
 * through set_sregs, set_cr* and update_intercepts.  An INIT keeps MSRs, and
 * RESET finds a new VMCB: they are 0 but for PAT, which is msr_vcpu_init()'s.
 */
void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.int_state = 0;
	svm->vmcb->control.event_inj = 0;
	svm->iret_pending = false;
	svm->nmi_step = false;
	svm->flush = true;
	svm->vmcb->control.clean = 0;
}

/* ---- MSRs that live in the VMCB ---- */

static u64 *svm_msr_field(struct svm_vcpu *svm, u32 index)
{
	struct vmcb_save_area *save = &svm->vmcb->save;

	switch (index) {
	case MSR_FS_BASE:		return &save->fs.base;
	case MSR_GS_BASE:		return &save->gs.base;
	case MSR_KERNEL_GS_BASE:	return &save->kernel_gs_base;
	case MSR_STAR:			return &save->star;
	case MSR_LSTAR:			return &save->lstar;
	case MSR_CSTAR:			return &save->cstar;
	case MSR_SYSCALL_MASK:		return &save->sfmask;
	case MSR_IA32_SYSENTER_CS:	return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP:	return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:	return &save->sysenter_eip;
	case MSR_IA32_DEBUGCTLMSR:	return &save->dbgctl;
	case MSR_IA32_CR_PAT:		return &save->g_pat;
	default:			return NULL;
	}
}

/**
 * svm_get_msr() - an MSR that this backend keeps
 * @vcpu: outside the guest
 * @index: which
 * @val: filled
 *
 * Return: enum msr_result.
 */
int svm_get_msr(struct vcpu *vcpu, u32 index, u64 *val)
{
	const u64 *field = svm_msr_field(to_svm(vcpu), index);

	if (field)
		*val = *field;
	else if (index == MSR_IA32_SPEC_CTRL)
		*val = static_cpu_has(X86_FEATURE_V_SPEC_CTRL) ?
		       to_svm(vcpu)->vmcb->save.spec_ctrl : to_svm(vcpu)->spec_ctrl;
	else if (index == MSR_VM_CR)
		*val = SVM_VM_CR_SVM_LOCK_MASK | SVM_VM_CR_SVM_DIS_MASK;
	else if (index == MSR_VM_HSAVE_PA)
		*val = 0;
	else
		return MSR_UNKNOWN;
	return MSR_OK;
}

/* The first value that is not zero gives the guest the MSR for good. */
static void svm_set_spec_ctrl(struct svm_vcpu *svm, u64 val)
{
	if (static_cpu_has(X86_FEATURE_V_SPEC_CTRL))
		svm->vmcb->save.spec_ctrl = val;
	else
		svm->spec_ctrl = val;
	if (!val || svm->spec_ctrl_owned)
		return;
	svm->spec_ctrl_owned = true;
	svm_choose_msrpm(svm);
}

/**
 * svm_set_msr() - set an MSR that this backend keeps
 * @vcpu: outside the guest
 * @index: which
 * @val: msr.c has checked what does not depend on the vendor
 *
 * Return: enum msr_result.
 */
int svm_set_msr(struct vcpu *vcpu, u32 index, u64 val)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 *field = svm_msr_field(svm, index);

	if (field) {
		/*
		 * NOTDONE: LBR virtualization; IA32_DEBUGCTL keeps its value but
		 * records no branches.
		 */
		*field = val;
		svm_dirty(svm, SVM_CLEAN_SEG | SVM_CLEAN_LBR | SVM_CLEAN_NPT);
		return MSR_OK;
	}
	switch (index) {
	case MSR_IA32_SPEC_CTRL:
		svm_set_spec_ctrl(svm, val);
		return MSR_OK;
	case MSR_VM_HSAVE_PA:
		return val ? MSR_GP : MSR_OK;
	default:
		return MSR_UNKNOWN;
	}
}
