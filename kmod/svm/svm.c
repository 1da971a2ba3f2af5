// SPDX-License-Identifier: GPL-2.0
/*
 * AMD-V: detection, the per-CPU switch, and one trip into the guest and back.
 */
#include <linux/percpu.h>
#include <asm/desc.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include "../compat.h"
#include "../fpu.h"
#include "../cpuid.h"
#include "../cr.h"
#include "../guest_mode.h"
#include "../host_msr.h"
#include "../irq/irq.h"
#include "svm.h"

DEFINE_PER_CPU(struct svm_cpu, svm_cpus);

/* ---- detection ---- */

/* Return NULL, or the one line that says why this machine will not do. */
static const char *svm_check(void)
{
	u64 vm_cr;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_HYGON)
		return backend_other_vendor;
	if (!boot_cpu_has(X86_FEATURE_SVM))
		return "the CPU has no AMD-V (SVM)";
	if (!rdmsrl_safe(MSR_VM_CR, &vm_cr) && vm_cr & SVM_VM_CR_SVM_DIS_MASK)
		return "AMD-V (SVM) is turned off by the firmware (VM_CR.SVMDIS)";
	if (!boot_cpu_has(X86_FEATURE_NPT))
		return "the CPU has no nested paging (NPT)";
	return NULL;
}

/* ---- one CPU ---- */

/* APM 2 "Enabling SVM". Also after resume: the CPU comes back with SVM off. */
int svm_enable_cpu(void)
{
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpus);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;			/* somebody else's */
	wrmsrl(MSR_EFER, efer | EFER_SVME);
	wrmsrl(MSR_VM_HSAVE_PA, __sme_pa(cpu->pages->hsave));
	compat_reduce_speculation(true);

	cpu->current_vcpu = NULL;
	cpu->asid_generation++;			/* what ran here before is forgotten */
	cpu->max_asid = cpuid_ebx(SVM_CPUID_FUNC) - 1;
	cpu->next_asid = cpu->max_asid + 1;	/* the first entry flushes all */
	return 0;
}

void svm_disable_cpu(void)
{
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	/* A crash may catch us with GIF clear: NMI and INIT must not stay blocked. */
	asm goto("1: stgi\n" _ASM_EXTABLE(1b, %l[off]) : : : "memory" : off);
off:
	wrmsrl(MSR_VM_HSAVE_PA, 0);
	wrmsrl(MSR_EFER, efer & ~EFER_SVME);
	compat_reduce_speculation(false);
}

static void svm_hardware_unsetup(void)
{
	int i;

	for_each_possible_cpu(i)
		kfree(per_cpu_ptr(&svm_cpus, i)->pages);
	svm_maps_destroy();
}

/* NPT walks as the host itself pages. APM 2 "Nested Paging". */
static struct tdp_format svm_tdp_format = {
	.max_level	= TDP_2M,
	.present	= _PAGE_PRESENT,
	.table		= _PAGE_PRESENT | _PAGE_RW | _PAGE_USER,
	.leaf		= _PAGE_PRESENT | _PAGE_USER,
	.large		= _PAGE_PSE,
	.write		= _PAGE_RW,
	.noexec		= _PAGE_NX,
	.device		= _PAGE_PCD | _PAGE_PWT,
	.accessed	= _PAGE_ACCESSED,
	.dirty		= _PAGE_DIRTY,
};

static int svm_hardware_setup(void)
{
	int i, r;

	svm_tdp_format.levels = pgtable_l5_enabled() ? 5 : 4;
	svm_tdp_format.address = PHYSICAL_PAGE_MASK;
	/* On a host that encrypts its memory (SME), a bit in each address says so; devices are not. */
	svm_tdp_format.table |= sme_me_mask;
	svm_tdp_format.ram = sme_me_mask;
	if (boot_cpu_has(X86_FEATURE_GBPAGES))
		svm_tdp_format.max_level = TDP_1G;

	r = svm_maps_create();
	for_each_possible_cpu(i) {
		struct svm_cpu *cpu = per_cpu_ptr(&svm_cpus, i);

		cpu->pages = kzalloc(sizeof(*cpu->pages), GFP_KERNEL);	/* aligned as a power of two */
		if (!cpu->pages)
			r = -ENOMEM;
		else
			cpu->host_pa = __sme_pa(cpu->pages->host);
	}
	if (r)
		svm_hardware_unsetup();
	return r;
}

/* ---- one vCPU ---- */

void svm_vcpu_free(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	int i;

	/* A vCPU made later at the same address must not pass for this one. */
	for_each_possible_cpu(i)
		cmpxchg(&per_cpu_ptr(&svm_cpus, i)->current_vcpu, svm, NULL);
	free_page((unsigned long)svm->vmcb);
}

/* ---- translations ---- */

/*
 * When what the TLB may hold for a vCPU must go.  APM 2 "TLB Control".
 *
 *   the vCPU ...				with FLUSHBYASID	without
 *   enters a CPU for the first time,
 *     or after others used up the ASIDs	new ASID		new ASID
 *   needs a flush (NPT changed, or the
 *     guest asks for a full one)		flush its ASID		new ASID
 *   takes the last ASID of a generation	new generation: flush all ASIDs
 *   just re-enters				nothing			nothing
 *
 * A new ASID has no translations, for each ASID is given out once between two
 * flushes of all.  Emulators flush at every VMRUN, so none of this can fail
 * there.
 */
static void svm_assign_asid(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	struct vmcb_control_area *control = &svm->vmcb->control;

	if (cpu->next_asid > cpu->max_asid) {
		cpu->asid_generation++;
		cpu->next_asid = 1;
		control->tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	}
	svm->asid_generation = cpu->asid_generation;
	control->asid = cpu->next_asid++;
	svm_dirty(svm, SVM_CLEAN_ASID);
}

static void svm_flush_at_entry(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	if (svm->asid_generation == cpu->asid_generation && svm->flush &&
	    static_cpu_has(X86_FEATURE_FLUSHBYASID))
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	else
		svm_assign_asid(svm, cpu);
	svm->flush = false;
}

/* An ASID has both kinds. */
void svm_flush_tlb(struct vcpu *vcpu, bool all)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->flush = true;
	svm->vmcb->control.nested_cr3 = __sme_set(vcpu->space->tdp.root_hpa);
	svm_dirty(svm, SVM_CLEAN_NPT);
}

/* ---- into the guest and back ---- */

/*
 * On the way to a reboot SVM is turned off while threads may still want to run
 * their guests: then its instructions raise #UD, and do nothing instead.  That
 * happens with interrupts on, so it is all of an entry or none of it.
 */
#define svm_asm(insn, ...)							\
	asm volatile("1: " insn "\n2:\n" _ASM_EXTABLE(1b, 2b) : : __VA_ARGS__ : "memory")

/*
 * Another vCPU ran here last, or this one ran elsewhere meanwhile: what the CPU
 * has cached of the VMCB is not of this vCPU, or out of date.
 */
static void svm_take_cpu(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	if (cpu->current_vcpu != svm) {
		/* Its branches must not follow predictions the other one trained. */
		indirect_branch_prediction_barrier();
		cpu->current_vcpu = svm;
	}
	if (svm->cpu != cpu) {
		svm->cpu = cpu;
		svm->asid_generation = 0;	/* an ASID belongs to a CPU */
	}
	svm->host_saved = false;
	svm->vmcb->control.clean = 0;
}

/*
 * Host state that VMRUN does not save; all but LDTR changes only outside KVM_RUN.  And
 * what is done to RIP and RFLAGS for an event, once it does go in: #BP and #OF
 * push the RIP behind their instruction.
 */
static void svm_prepare(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	u16 ldt;

	svm_asm("vmsave %0", "a" (cpu->host_pa));
	/* Another thread may replace an LDT, which frees the old one: that is saved each time. */
	store_ldt(ldt);
	svm->host_saved = !ldt;
	if (event_is_breakpoint(control->event_inj))
		control->next_rip = ++svm->vcpu.rip;
	if (control->event_inj & SVM_EVTINJ_VALID && (svm->vcpu.step_armed || svm->nmi_step)) {
		if (svm->nmi_step)
			svm_nmi_step_end(svm);
		event_step_in_event(&svm->vcpu);
	}
}

void svm_run_begin(struct vcpu *vcpu)
{
	to_svm(vcpu)->host_saved = false;
	/* Of an entry that was called off: user space may have taken it back; else it is given again. */
	to_svm(vcpu)->vmcb->control.event_inj = 0;
}

/* All that the guest borrowed went back at its exit. */
void svm_sched_out(struct vcpu *vcpu)
{
}

static noinstr void svm_switch(struct svm_vcpu *svm, hpa_t host_pa)
{
	guest_mode_enter();
	amd_clear_divider();		/* Zen 1: a division by zero shows the quotient of the last one */
	raw_local_irq_enable();		/* GIF is 0: none is taken before VMRUN */
	svm_world_switch(svm, host_pa);
	raw_local_irq_disable();
	guest_mode_leave();
}

/* Old AMD CPUs have SSBD in other places than IA32_SPEC_CTRL. */
static inline bool svm_virt_ssbd(void)
{
	return static_cpu_has(X86_FEATURE_LS_CFG_SSBD) || static_cpu_has(X86_FEATURE_VIRT_SSBD);
}

/* Registers that live in struct vcpu outside the guest, into the VMCB. */
static void svm_commit(struct svm_vcpu *svm)
{
	struct vcpu *vcpu = &svm->vcpu;
	struct vmcb_save_area *save = &svm->vmcb->save;

	save->rax = vcpu->regs[EMU_RAX];
	save->rsp = vcpu->regs[EMU_RSP];
	save->rip = vcpu->rip;
	save->rflags = vcpu->rflags;
	if (unlikely(save->cr2 != vcpu->cr2)) {
		save->cr2 = vcpu->cr2;
		svm_dirty(svm, SVM_CLEAN_CR2);
	}
	svm->tpr = vcpu_get_cr8(vcpu);
	if (unlikely((svm->vmcb->control.int_ctl & V_TPR_MASK) != svm->tpr)) {
		svm->vmcb->control.int_ctl &= ~V_TPR_MASK;
		svm->vmcb->control.int_ctl |= svm->tpr;
		svm_dirty(svm, SVM_CLEAN_TPR);
	}
}

/* And out of it again. CR0.TS and CR0.MP change without an exit. */
static void svm_fetch(struct svm_vcpu *svm)
{
	struct vcpu *vcpu = &svm->vcpu;
	const struct vmcb_save_area *save = &svm->vmcb->save;
	u8 tpr = svm->vmcb->control.int_ctl & V_TPR_MASK;

	vcpu->regs[EMU_RAX] = save->rax;
	vcpu->regs[EMU_RSP] = save->rsp;
	vcpu->rip = save->rip;
	vcpu->rflags = save->rflags;
	vcpu->cr2 = save->cr2;
	vcpu->cr3 = save->cr3;
	vcpu->cr0 = (vcpu->cr0 & ~(X86_CR0_TS | X86_CR0_MP)) |
		    (save->cr0 & (X86_CR0_TS | X86_CR0_MP));
	if (unlikely(tpr != svm->tpr) && vcpu->lapic)	/* without one, writes exit */
		lapic_set_cr8(vcpu, tpr);
}

/*
 * Did VMRUN refuse what user space had set?  Then nothing of the guest has
 * changed, but some CPUs have written their own, the host's, state to the VMCB.
 */
static bool svm_refused(struct svm_vcpu *svm, const struct svm_cpu *cpu)
{
	svm->sregs_set = svm->vmcb->control.exit_code == (u32)SVM_EXIT_ERR;
	if (svm->sregs_set) {
		svm->vmcb->save = cpu->save;
		svm->vmcb->control.clean = 0;
	}
	return svm->sregs_set;
}

/* What the guest made of its debug registers: see svm_exit_dr(). */
static noinline void svm_take_debug_regs(struct svm_vcpu *svm)
{
	struct vcpu *vcpu = &svm->vcpu;

	vcpu_save_debug_regs(vcpu);
	vcpu->dr6 = svm->vmcb->save.dr6;
	vcpu->dr7 = svm->vmcb->save.dr7;
	svm->dr_owned = false;
	svm->vmcb->control.intercepts[INTERCEPT_DR] = SVM_DR_ALL;
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

/**
 * svm_run() - one entry into the guest, up to its exit
 * @vcpu: its events are injected, its requests done
 *
 * Interrupts off.  A host interrupt that ended the guest is still pending on
 * return; an NMI was taken at STGI.  The exit's reason stays in the VMCB.
 *
 * Return: true.
 */
bool svm_run(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpus);

	if (unlikely(cpu->current_vcpu != svm || svm->cpu != cpu))
		svm_take_cpu(svm, cpu);
	if (unlikely(svm->flush || svm->asid_generation != cpu->asid_generation))
		svm_flush_at_entry(svm, cpu);
	if (unlikely(!svm->host_saved))
		svm_prepare(svm, cpu);
	if (unlikely(svm->dr_owned || svm->vmcb->save.dr7 & DR_ENABLED))
		vcpu_load_debug_regs(vcpu);
	if (vcpu_has(vcpu, CAP_TSC_AUX))
		host_msr_load(HOST_MSR_TSC_AUX, vcpu->tsc_aux);
	svm_commit(svm);
	if (unlikely(svm->sregs_set))
		cpu->save = svm->vmcb->save;

	svm_asm("clgi");
	fpu_enter(vcpu);
	if (svm_virt_ssbd())
		x86_virt_spec_ctrl(vcpu->virt_spec_ctrl, true);
	svm_switch(svm, cpu->host_pa);
	if (svm_virt_ssbd())
		x86_virt_spec_ctrl(vcpu->virt_spec_ctrl, false);
	fpu_leave(vcpu);
	svm_asm("stgi");

	svm->vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
	if (unlikely(svm->sregs_set) && svm_refused(svm, cpu))
		return true;
	svm->vmcb->control.clean = SVM_CLEAN_ALL;	/* before all that changes the VMCB */
	if (unlikely(svm->dr_owned))
		svm_take_debug_regs(svm);
	svm_fetch(svm);
	svm_events_after_exit(svm);
	return true;
}

void svm_set_tsc_offset(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.tsc_offset = vcpu->tsc_offset;
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

void svm_exit_info(struct vcpu *vcpu, u32 *reason, u64 *info1, u64 *info2,
			  u32 *intr_info, u32 *error_code)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;

	*reason = control->exit_code;
	*info1 = control->exit_info_1;
	*info2 = control->exit_info_2;
	*intr_info = control->exit_int_info;
	*error_code = *intr_info & SVM_EXITINTINFO_VALID_ERR ? control->exit_int_info_err : 0;
}

const struct backend svm_backend = {
	.name		= "svm",
	.isa		= 2,		/* KVM_ISA_SVM of stock KVM's tracepoints */
	.vcpu_size	= sizeof(struct svm_vcpu),
	.tdp_format	= &svm_tdp_format,
	.check		= svm_check,
	.hardware_setup	= svm_hardware_setup,
	.hardware_unsetup = svm_hardware_unsetup,

#define SVM_HOOK(name, ret, args) .name = svm_##name,
	BACKEND_HOOKS(SVM_HOOK)
#undef SVM_HOOK
};
