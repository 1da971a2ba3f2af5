// SPDX-License-Identifier: GPL-2.0
/*
 * VT-x: detection, the per-CPU switch, and one trip into the guest and back.
 *
 * Side by side with svm/svm.c; what differs follows from one thing: a VMCB is
 * memory, but a VMCS can be read and written only where it is current.  So
 * what changes at every entry is kept in struct vmx_vcpu and written right
 * before it, and the rest is reached between vmx_hold() and vmx_release().
 */
#include <linux/idr.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/smp.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>
#include "../compat.h"
#include "../cpuid.h"
#include "../cr.h"
#include "../fpu.h"
#include "../guest_mode.h"
#include "../host_msr.h"
#include "vmx.h"

DEFINE_PER_CPU(struct vmx_cpu, vmx_cpus);

struct vmx_caps vmx_caps;
struct vmx_controls vmx_controls;

static DEFINE_IDA(vmx_vpids);

/* ---- detection ---- */

static u64 vmx_cap(u32 msr)
{
	u64 val = 0;

	rdmsrl_safe(msr, &val);
	return val;
}

/* The controls we use. */
static const struct vmx_control {
	u8		caps, control;		/* offsets */
	u32		bits;
	const char	*name;			/* as the manual has it; NULL: we do without */
} vmx_wanted[] = {
#define WANT(which, bits, name) \
	{ offsetof(struct vmx_caps, which), offsetof(struct vmx_controls, which), bits, name }
	/* NOTDONE: preemption timer, page-modification logging, virtual APIC, posted interrupts. */
	WANT(pin, PIN_BASED_EXT_INTR_MASK, "external-interrupt exiting"),
	WANT(pin, PIN_BASED_NMI_EXITING, "NMI exiting"),
	WANT(pin, PIN_BASED_VIRTUAL_NMIS, "virtual NMIs"),
	WANT(proc, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS, "secondary controls"),
	WANT(proc, CPU_BASED_HLT_EXITING, "HLT exiting"),
	WANT(proc, CPU_BASED_MWAIT_EXITING, "MWAIT exiting"),
	WANT(proc, CPU_BASED_MONITOR_EXITING, "MONITOR exiting"),
	WANT(proc, CPU_BASED_RDPMC_EXITING, "RDPMC exiting"),
	WANT(proc, CPU_BASED_CR8_LOAD_EXITING, "CR8-load exiting"),
	WANT(proc, CPU_BASED_CR8_STORE_EXITING, "CR8-store exiting"),
	WANT(proc, CPU_BASED_MOV_DR_EXITING, "MOV-DR exiting"),
	WANT(proc, CPU_BASED_UNCOND_IO_EXITING, "unconditional I/O exiting"),
	WANT(proc, CPU_BASED_USE_MSR_BITMAPS, "MSR bitmaps"),
	WANT(proc, CPU_BASED_USE_TSC_OFFSETTING, "TSC offsetting"),
	WANT(proc2, SECONDARY_EXEC_ENABLE_EPT, "extended page tables (EPT)"),
	WANT(proc2, SECONDARY_EXEC_UNRESTRICTED_GUEST, "unrestricted guest"),
	WANT(proc2, SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_WBINVD_EXITING |
	     SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_XSAVES |
	     SECONDARY_EXEC_PAUSE_LOOP_EXITING | SECONDARY_EXEC_TSC_SCALING, NULL),
	WANT(exit, VM_EXIT_HOST_ADDR_SPACE_SIZE, "64-bit hosts"),
	WANT(exit, VM_EXIT_SAVE_DEBUG_CONTROLS, "saving debug controls"),
	WANT(exit, VM_EXIT_LOAD_IA32_EFER, "loading the host's IA32_EFER"),
	WANT(exit, VM_EXIT_LOAD_IA32_PAT, "loading the host's IA32_PAT"),
	WANT(entry, VM_ENTRY_IA32E_MODE, "64-bit guests"),
	WANT(entry, VM_ENTRY_LOAD_DEBUG_CONTROLS, "loading debug controls"),
	WANT(entry, VM_ENTRY_LOAD_IA32_EFER, "loading the guest's IA32_EFER"),
	WANT(entry, VM_ENTRY_LOAD_IA32_PAT, "loading the guest's IA32_PAT"),
#undef WANT
};

/* INVVPID's part of the capability MSR is its upper half. */
#define VMX_VPID_WANTED	((VMX_VPID_INVVPID_BIT | VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT) << 32)

/* EPT and VPID have capabilities of their own.  Return what the CPU lacks, or NULL. */
static const char *vmx_choose_ept(void)
{
	if (~vmx_caps.ept_vpid & VMX_VPID_WANTED)
		vmx_controls.proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (!(vmx_caps.ept_vpid & VMX_EPT_PAGE_WALK_4_BIT))
		return "EPT walks of four levels";
	if (!(vmx_caps.ept_vpid & VMX_EPTP_WB_BIT))
		return "EPT tables in write-back memory";
	if (~vmx_caps.ept_vpid & (VMX_EPT_INVEPT_BIT | VMX_EPT_EXTENT_CONTEXT_BIT))
		return "single-context INVEPT";
	return NULL;
}

/* Return what the CPU lacks, or NULL and vmx_controls filled. */
static const char *vmx_choose_controls(void)
{
	const struct vmx_control *want;

	if (!(vmx_caps.basic & VMX_BASIC_TRUE_CTLS))
		return "flexible default controls";
	vmx_controls = (struct vmx_controls) {	/* what must be 1 */
		vmx_caps.pin, vmx_caps.proc, vmx_caps.proc2, vmx_caps.exit, vmx_caps.entry
	};
	for (want = vmx_wanted; want < vmx_wanted + ARRAY_SIZE(vmx_wanted); want++) {
		u32 may = *(const u64 *)((const void *)&vmx_caps + want->caps) >> 32;

		if (want->name && ~may & want->bits)
			return want->name;
		*(u32 *)((void *)&vmx_controls + want->control) |= may & want->bits;
	}
	vmx_controls.entry &= ~VM_ENTRY_IA32E_MODE;	/* set_efer's */
	return vmx_choose_ept();
}

enum { FEAT_CTL_VMX = FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX };

/* Return NULL, or the one line that says why this machine will not do. */
static const char *vmx_check(void)
{
	static char why[80];
	const char *lack;
	u64 control;

	if (!(cpuid_ecx(1) & BIT(X86_FEATURE_VMX % 32)))
		return "the CPU has no VT-x (VMX)";
	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &control) ||
	    (control & FEAT_CTL_VMX) == FEAT_CTL_LOCKED)
		return "VT-x (VMX) is turned off by the firmware (IA32_FEATURE_CONTROL)";
	vmx_caps = (struct vmx_caps) {
		.basic		= vmx_cap(MSR_IA32_VMX_BASIC),
		.pin		= vmx_cap(MSR_IA32_VMX_TRUE_PINBASED_CTLS),
		.proc		= vmx_cap(MSR_IA32_VMX_TRUE_PROCBASED_CTLS),
		.proc2		= vmx_cap(MSR_IA32_VMX_PROCBASED_CTLS2),
		.exit		= vmx_cap(MSR_IA32_VMX_TRUE_EXIT_CTLS),
		.entry		= vmx_cap(MSR_IA32_VMX_TRUE_ENTRY_CTLS),
		.misc		= vmx_cap(MSR_IA32_VMX_MISC),
		.cr0_fixed0	= vmx_cap(MSR_IA32_VMX_CR0_FIXED0),
		.cr0_fixed1	= vmx_cap(MSR_IA32_VMX_CR0_FIXED1),
		.cr4_fixed0	= vmx_cap(MSR_IA32_VMX_CR4_FIXED0),
		.cr4_fixed1	= vmx_cap(MSR_IA32_VMX_CR4_FIXED1),
		.ept_vpid	= vmx_cap(MSR_IA32_VMX_EPT_VPID_CAP),
		.maxphyaddr	= boot_cpu_data.x86_phys_bits,
	};
	lack = vmx_choose_controls();
	if (!lack)
		return NULL;
	snprintf(why, sizeof(why), "the CPU's VT-x lacks %s", lack);
	return why;
}

/* ---- one CPU ---- */

/* The VMCS leaves its CPU, on that CPU; interrupts off. */
static void vmx_clear_here(void *arg)
{
	struct vmx_vcpu *vmx = arg;
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);

	if (vmx->cpu != cpu)
		return;			/* the CPU went offline, and back */
	vmx_asm("vmclear %0", "m" (vmx->vmcs_pa));
	list_del(&vmx->link);
	if (cpu->current_vcpu == vmx)
		cpu->current_vcpu = NULL;
	vmx->launched = false;
	vmx->cpu = NULL;
}

/* SDM 3C "Enabling and Entering VMX Operation". Also after resume: the CPU comes back with VMX off. */
int vmx_enable_cpu(void)
{
	u64 control, pa = __pa(this_cpu_read(vmx_cpus.vmxon));

	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;			/* somebody else's */
	rdmsrl(MSR_IA32_FEAT_CTL, control);
	if (!(control & FEAT_CTL_LOCKED))
		wrmsrl(MSR_IA32_FEAT_CTL, control | FEAT_CTL_VMX);
	else if (!(control & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX))
		return -EOPNOTSUPP;
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	asm goto("1: vmxon %[pa]\n" _ASM_EXTABLE(1b, %l[fault])
		 "jna %l[fault]" : : [pa] "m" (pa) : "cc", "memory" : fault);
	return 0;
fault:
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
	return -EBUSY;
}

void vmx_disable_cpu(void)
{
	struct vmx_vcpu *vmx, *next;

	if (!(cr4_read_shadow() & X86_CR4_VMXE))
		return;
	/* The VMCSs it holds go back to memory, where another CPU can take them from. */
	list_for_each_entry_safe(vmx, next, &this_cpu_ptr(&vmx_cpus)->active, link)
		vmx_clear_here(vmx);
	vmx_asm("vmxoff");
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

static void vmx_hardware_unsetup(void)
{
	int i;

	for_each_possible_cpu(i)
		free_page((unsigned long)xchg(&per_cpu_ptr(&vmx_cpus, i)->vmxon, NULL));
	vmx_maps_destroy();
	ida_destroy(&vmx_vpids);
}

/* SDM 3C "EPT Translation Mechanism" */
static struct tdp_format vmx_tdp_format = {
	.levels		= 4,
	.max_level	= TDP_4K,
	.present	= VMX_EPT_RWX_MASK,
	.table		= VMX_EPT_RWX_MASK,
	.leaf		= VMX_EPT_READABLE_MASK,
	.large		= _PAGE_PSE,
	.write		= VMX_EPT_WRITABLE_MASK,
	.exec		= VMX_EPT_EXECUTABLE_MASK,
	/* RAM is write-back, whatever the guest's PAT says; device memory is as the host has it. */
	.ram		= VMX_EPTP_MT_WB << VMX_EPT_MT_EPTE_SHIFT | VMX_EPT_IPAT_BIT,
	.device		= VMX_EPTP_MT_UC << VMX_EPT_MT_EPTE_SHIFT,
};

enum { TSC_RATIO_FRACTION_BITS = 48 };		/* SDM 3C "Time-Stamp Counter Offset and Multiplier" */

static DEFINE_STATIC_KEY_FALSE(vmx_host_counts);	/* the host's kernel has a PMU */

static int vmx_hardware_setup(void)
{
	struct x86_pmu_capability pmu;
	int i, r;

	perf_get_x86_pmu_capability(&pmu);
	if (pmu.version)
		static_branch_enable(&vmx_host_counts);

	if (vmx_controls.proc2 & SECONDARY_EXEC_TSC_SCALING) {
		vmx_backend.max_tsc_ratio = U64_MAX;
		vmx_backend.tsc_ratio_frac_bits = TSC_RATIO_FRACTION_BITS;
	}
	vmx_tdp_format.address = PHYSICAL_PAGE_MASK;
	if (vmx_caps.ept_vpid & VMX_EPT_2MB_PAGE_BIT)
		vmx_tdp_format.max_level = TDP_2M;
	if (vmx_caps.ept_vpid & VMX_EPT_1GB_PAGE_BIT)
		vmx_tdp_format.max_level = TDP_1G;
	if (vmx_caps.ept_vpid & VMX_EPT_AD_BIT) {
		vmx_tdp_format.accessed = VMX_EPT_ACCESS_BIT;
		vmx_tdp_format.dirty = VMX_EPT_DIRTY_BIT;
	}

	r = vmx_maps_create();
	for_each_possible_cpu(i) {
		struct vmx_cpu *cpu = per_cpu_ptr(&vmx_cpus, i);

		cpu->id = i;
		INIT_LIST_HEAD(&cpu->active);
		cpu->vmxon = vmx_vmcs_alloc(cpu_to_node(i));
		if (!cpu->vmxon)
			r = -ENOMEM;
	}
	if (r)
		vmx_hardware_unsetup();
	return r;
}

/* ---- one vCPU ---- */

int vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int vpid;

	vmx->vmcs = vmx_vmcs_alloc(NUMA_NO_NODE);
	if (!vmx->vmcs)
		return -ENOMEM;
	vmx->vmcs_pa = __pa(vmx->vmcs);
	if (vmx_controls.proc2 & SECONDARY_EXEC_ENABLE_VPID) {
		vpid = ida_alloc_range(&vmx_vpids, 1, VMX_NR_VPIDS - 1, GFP_KERNEL_ACCOUNT);
		vmx->vpid = max(vpid, 0);	/* none left: do without */
	}
	vmx_vmcs_init(vmx);
	return 0;
}

/* Wherever it is; interrupts on. */
static void vmx_clear(struct vmx_vcpu *vmx)
{
	struct vmx_cpu *cpu = READ_ONCE(vmx->cpu);

	if (cpu)
		smp_call_function_single(cpu->id, vmx_clear_here, vmx, true);
}

void vmx_vcpu_free(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	vmx_clear(vmx);
	/* A vCPU made later at the same address must not pass for this one. */
	for_each_possible_cpu(i)
		cmpxchg(&per_cpu_ptr(&vmx_cpus, i)->last_vcpu, vmx, NULL);
	if (vmx->vpid)
		ida_free(&vmx_vpids, vmx->vpid);
	free_page((unsigned long)vmx->vmcs);
}

/* ---- translations ---- */

/*
 * When what the TLB may hold for a vCPU must go.  SDM 3C "Invalidating Cached
 * Translation Information".  Guest-physical mappings bear the EPT root,
 * combined ones the root and the VPID; there are no others under EPT.
 *
 *   the vCPU ...				with VPID		without
 *   goes to another space, or
 *   comes to another CPU: this one may
 *     know an old VM by the same root,
 *     or an old vCPU by the same VPID		INVEPT, INVVPID		INVEPT
 *   needs a flush, EPT has changed		INVEPT: combined	INVEPT
 *						mappings go with it
 *   needs a flush of the guest's own		INVVPID			nothing
 *   just re-enters				nothing			nothing
 *
 * Without VPID each entry and each exit drops the combined mappings.  All are
 * of the single-context kind.  Emulators flush more than they must, so none of
 * this can fail there.
 */
static noinline void vmx_flush_at_entry(struct vmx_vcpu *vmx)
{
	struct { u64 context, address; } desc = {};

	if (vmx->flush == VMX_FLUSH_ALL) {
		desc.context = vmx->vcpu.space->tdp.root_hpa | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4 |
			       (vmx_tdp_format.accessed ? VMX_EPTP_AD_ENABLE_BIT : 0);
		vmcs_write(EPT_POINTER, desc.context);
		vmx_asm("invept %0, %1", "m" (desc), "r" (1UL * VMX_EPT_EXTENT_CONTEXT));
	}
	if (vmx->vpid) {
		desc.context = vmx->vpid;
		vmx_asm("invvpid %0, %1", "m" (desc), "r" (1UL * VMX_VPID_EXTENT_SINGLE_CONTEXT));
	}
	vmx->flush = VMX_FLUSH_NONE;
}

void vmx_flush_tlb(struct vcpu *vcpu, bool all)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->flush = max(vmx->flush, all ? VMX_FLUSH_ALL : VMX_FLUSH_GUEST);
}

/* ---- the VMCS and its CPU ---- */

/* Host state that is each CPU's own. SDM 3C "Host-State Area". */
static void vmx_write_cpu_state(void)
{
	int cpu = smp_processor_id();

	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_current_gdt_ro());
	vmcs_write_msr(HOST_GS_BASE, MSR_GS_BASE);
	vmcs_write_msr(HOST_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_ESP);
}

/* Interrupts off; no other CPU holds the VMCS.  noinline: see vmx_exit_ept_violation(). */
static noinline void vmx_make_current(struct vmx_vcpu *vmx, struct vmx_cpu *cpu)
{
	vmx_asm("vmptrld %0", "m" (vmx->vmcs_pa));
	cpu->current_vcpu = vmx;
	if (vmx->cpu == cpu)
		return;
	vmx->cpu = cpu;
	list_add(&vmx->link, &cpu->active);
	vmx->flush = VMX_FLUSH_ALL;
	vmx_write_cpu_state();
}

/**
 * vmx_fetch_vmcs() - make the VMCS current on this CPU, wherever it is
 * @vmx: under its vCPU's mutex; interrupts on, preemption off
 */
void vmx_fetch_vmcs(struct vmx_vcpu *vmx)
{
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	unsigned long flags;

	if (vmx->cpu != cpu)
		vmx_clear(vmx);
	local_irq_save(flags);
	vmx_make_current(vmx, cpu);
	local_irq_restore(flags);
}

/* ---- state that the guest borrows ---- */

static void vmx_load_tsc_aux(struct vmx_vcpu *vmx)
{
	vmx->tsc_aux = vmx->vcpu.tsc_aux;
	if (vcpu_has(&vmx->vcpu, CAP_TSC_AUX))
		host_msr_load(HOST_MSR_TSC_AUX, vmx->tsc_aux);
}

/*
 * What neither the VMCS switches nor the kernel itself uses stays the guest's
 * from one entry to the next.  It must go back before another thread runs, or
 * user mode:
 *
 *   IA32_KERNEL_GS_BASE	user mode's GS base meanwhile	vmx_sched_out()
 *   DS, ES, FS, GS, LDTR	an exit leaves them null	vmx_sched_out(), if they were not
 *   limits of GDT and TSS	an exit makes them too large	vmx_sched_out()
 *   SYSCALL's, IA32_TSC_AUX	for user mode only		host_msr.c
 */
static void vmx_borrow(struct vmx_vcpu *vmx)
{
	savesegment(ds, vmx->host_ds);
	savesegment(es, vmx->host_es);
	savesegment(fs, vmx->host_fs);
	savesegment(gs, vmx->host_gs);
	store_ldt(vmx->host_ldt);
	vmcs_write_msr(HOST_FS_BASE, MSR_FS_BASE);
	vmx->host_debugctl = get_debugctlmsr();
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->host_kernel_gs_base);
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	host_msr_load(HOST_MSR_STAR, vmx->star);
	host_msr_load(HOST_MSR_LSTAR, vmx->lstar);
	host_msr_load(HOST_MSR_CSTAR, vmx->cstar);
	host_msr_load(HOST_MSR_SYSCALL_MASK, vmx->syscall_mask);
	vmx_load_tsc_aux(vmx);
	vmx->borrowed = true;
}

/**
 * vmx_sched_out() - give back what the guest borrowed, if it did
 * @vcpu: on the CPU where it ran; preemption off
 */
void vmx_sched_out(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!vmx->borrowed)
		return;
	vmx->borrowed = false;
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	if (unlikely(vmx->host_ldt))
		asm volatile("lldt %0" : : "rm" (vmx->host_ldt));
	if (unlikely(vmx->host_ds | vmx->host_es)) {
		loadsegment(ds, vmx->host_ds);
		loadsegment(es, vmx->host_es);
	}
	if (unlikely(vmx->host_fs))
		loadsegment(fs, vmx->host_fs);
	if (unlikely(vmx->host_gs))
		load_gs_index(vmx->host_gs);
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->host_kernel_gs_base);
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
}

/* ---- into the guest and back ---- */

void vmx_run_begin(struct vcpu *vcpu)
{
	/* Of an entry that was called off: user space may have taken it back; else it is given again. */
	to_vmx(vcpu)->inject = 0;
	vmx_hold(to_vmx(vcpu));
	vcpu_watch_sched(vcpu);
	vmx_release(to_vmx(vcpu));
}

static noinstr void vmx_switch(struct vmx_vcpu *vmx)
{
	guest_mode_enter();
	if (native_read_cr2() != vmx->vcpu.cr2)
		native_write_cr2(vmx->vcpu.cr2);
	vmx_world_switch(vmx);
	vmx->vcpu.cr2 = native_read_cr2();
	guest_mode_leave();
}

/*
 * With TF set, a trap is pending exactly where an interrupt shadow holds it
 * off: other states are refused.  SDM 3C "Checks on Guest Non-Register State".
 * Where user space steps, the shadow ends.  The trap of an instruction that was
 * done in software is queued already; Bochs would raise it once more.
 */
static void vmx_settle_step(struct vmx_vcpu *vmx)
{
	u64 pending = 0;

	if (vmx->vcpu.step_armed) {
		vmx_end_shadow(vmx);
		if (vmx->inject)
			event_step_in_event(&vmx->vcpu);
	}
	if (vmx->vcpu.rflags & X86_EFLAGS_TF && vmx_get_shadow(&vmx->vcpu) && !(vmx->debugctl & DEBUGCTLMSR_BTF))
		pending = vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS) | DR_STEP;
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, pending);
}

/* Registers that live in struct vcpu outside the guest, into the VMCS. */
static void vmx_commit(struct vmx_vcpu *vmx)
{
	struct vcpu *vcpu = &vmx->vcpu;
	u64 cr3 = __get_current_cr3_fast(), cr4 = cr4_read_shadow();

	if (unlikely(vcpu->rflags & X86_EFLAGS_TF))
		vmx_settle_step(vmx);
	if (vmx->rip_in_vmcs != vcpu->rip)
		vmcs_write(GUEST_RIP, vcpu->rip);
	if (unlikely(vmx->rsp_in_vmcs != vcpu->regs[EMU_RSP]))
		vmcs_write(GUEST_RSP, vcpu->regs[EMU_RSP]);
	if (unlikely(vmx->rflags_in_vmcs != vcpu->rflags))
		vmcs_write(GUEST_RFLAGS, vcpu->rflags);
	if (unlikely(vmx->shadow_in_vmcs != vmx->shadow))
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, vmx->shadow);
	if (unlikely(vmx->proc_in_vmcs != vmx->proc)) {
		vmcs_write(CPU_BASED_VM_EXEC_CONTROL, vmx->proc);
		vmx->proc_in_vmcs = vmx->proc;
	}
	if (vmx->inject) {
		vmcs_write(VM_ENTRY_INTR_INFO_FIELD, vmx->inject);
		if (vmx->inject & INTR_INFO_DELIVER_CODE_MASK)
			vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, vmx->inject_error);
		/* A HLT that did not exit ends here. */
		if (vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT)
			vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
		vmx->inject = 0;	/* an exit clears the field's valid bit */
	}
	if (unlikely(vmx->host_cr3 != cr3)) {
		vmcs_write(HOST_CR3, cr3);
		vmx->host_cr3 = cr3;
	}
	if (unlikely(vmx->host_cr4 != cr4)) {
		vmcs_write(HOST_CR4, cr4);
		vmx->host_cr4 = cr4;
	}
}

static void vmx_fetch_exit(struct vmx_exit *exit)
{
	exit->reason = vmcs_read(VM_EXIT_REASON);
	exit->qual = vmcs_read(EXIT_QUALIFICATION);
	exit->insn_len = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (unlikely(exit->reason == EXIT_REASON_EXCEPTION_NMI))
		exit->intr_info = vmcs_read(VM_EXIT_INTR_INFO);
	exit->idt_info = vmcs_read(IDT_VECTORING_INFO_FIELD);
	if (unlikely(exit->idt_info & VECTORING_INFO_VALID_MASK))
		exit->idt_error = vmcs_read(IDT_VECTORING_ERROR_CODE);
}

/* And out of it again. CR0.TS changes without an exit. */
static void vmx_fetch(struct vmx_vcpu *vmx)
{
	struct vcpu *vcpu = &vmx->vcpu;

	vmx->rip_in_vmcs = vcpu->rip = vmcs_read(GUEST_RIP);
	vmx->rsp_in_vmcs = vcpu->regs[EMU_RSP] = vmcs_read(GUEST_RSP);
	vmx->rflags_in_vmcs = vcpu->rflags = vmcs_read(GUEST_RFLAGS);
	vmx->shadow_in_vmcs = vmx->shadow = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	vcpu->cr3 = vmcs_read(GUEST_CR3);
	vcpu->cr0 = (vcpu->cr0 & ~X86_CR0_TS) | (vmcs_read(GUEST_CR0) & X86_CR0_TS);
	if (unlikely(vmx->failed))
		vmx->exit = (struct vmx_exit) { .reason = VMX_EXIT_NONE };
	else
		vmx_fetch_exit(&vmx->exit);
}

/* What the guest made of its debug registers: see vmx_exit_dr(). */
static noinline void vmx_take_debug_regs(struct vmx_vcpu *vmx)
{
	struct vcpu *vcpu = &vmx->vcpu;

	vcpu_save_debug_regs(vcpu);
	get_debugreg(vcpu->dr6, 6);
	set_debugreg(DR6_RESERVED, 6);
	vmx->dr7 = vcpu->dr7 = vmcs_read(GUEST_DR7);
	vmx->dr_owned = false;
	vmx->proc |= CPU_BASED_MOV_DR_EXITING;
}

/*
 * The host's counters that do not count here, or write by PEBS: that goes to linear
 * addresses, which are the guest's by then.  SDM 3B "PEBS Data Linear Addresses".
 */
static void vmx_switch_counters(const struct perf_guest_switch_msr *msrs, int nr, bool guest)
{
	for (; msrs && nr--; msrs++)
		if (unlikely(msrs->host != msrs->guest))
			wrmsrl(msrs->msr, guest ? msrs->guest : msrs->host);
}

/**
 * vmx_run() - one entry into the guest, up to its exit
 * @vcpu: its events are injected, its requests done
 *
 * Interrupts off.  A host interrupt that ended the guest is still pending on
 * return; an NMI waits for vmx_handle_exit_irqoff().
 *
 * Return: false if another CPU holds the VMCS: vmx_run_begin() brings it here.
 */
bool vmx_run(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_cpu *cpu = this_cpu_ptr(&vmx_cpus);
	struct perf_guest_switch_msr *counters = NULL;
	int nr_counters = 0;

	if (unlikely(vmx->cpu != cpu))
		return false;
	if (unlikely(cpu->current_vcpu != vmx))
		vmx_make_current(vmx, cpu);
	if (unlikely(cpu->last_vcpu != vmx)) {
		/* Its branches must not follow predictions the other one trained. */
		indirect_branch_prediction_barrier();
		cpu->last_vcpu = vmx;
	}
	if (unlikely(vmx->flush))
		vmx_flush_at_entry(vmx);
	if (unlikely(!vmx->borrowed))
		vmx_borrow(vmx);
	if (unlikely(vmx->dr_owned || vmx->dr7 & DR_ENABLED))
		vcpu_load_debug_regs(vcpu);
	if (unlikely(vmx->dr_owned))
		set_debugreg(vcpu->dr6, 6);
	if (unlikely(vmx->tsc_aux != vcpu->tsc_aux))
		vmx_load_tsc_aux(vmx);
	vmx_commit(vmx);

	if (static_branch_unlikely(&vmx_host_counts)) {
		counters = perf_guest_get_msrs(&nr_counters, NULL);
		vmx_switch_counters(counters, nr_counters, true);
	}
	fpu_enter(vcpu);
	/* L1TF: nothing of the host's may be left in the L1 data cache. SDM 3A "Mitigation" of that name is EPT's. */
	if (static_cpu_has(X86_FEATURE_FLUSH_L1D) && boot_cpu_has_bug(X86_BUG_L1TF))
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	vmx_switch(vmx);
	fpu_leave(vcpu);
	if (static_branch_unlikely(&vmx_host_counts))
		vmx_switch_counters(counters, nr_counters, false);

	vmx_fetch(vmx);
	if (unlikely(vmx->dr_owned))
		vmx_take_debug_regs(vmx);
	if (unlikely(vmx->host_debugctl))
		update_debugctlmsr(vmx->host_debugctl);
	if (unlikely(vmx->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return true;		/* not launched, and no event has gone in */
	vmx->launched = true;
	vmx_events_after_exit(vmx);
	return true;
}

void vmx_exit_info(struct vcpu *vcpu, u32 *reason, u64 *info1, u64 *info2,
			  u32 *intr_info, u32 *error_code)
{
	const struct vmx_exit *exit = &to_vmx(vcpu)->exit;

	*reason = exit->reason;
	*info1 = exit->qual;
	*info2 = exit->idt_info;
	*intr_info = exit->reason == EXIT_REASON_EXCEPTION_NMI ? exit->intr_info : 0;
	*error_code = *intr_info & INTR_INFO_DELIVER_CODE_MASK ?
		      vmx_read(to_vmx(vcpu), VM_EXIT_INTR_ERROR_CODE) : 0;
}

struct backend vmx_backend = {
	.name		= "vmx",
	.isa		= 1,		/* KVM_ISA_VMX of stock KVM's tracepoints */
	.vcpu_size	= sizeof(struct vmx_vcpu),
	.tdp_format	= &vmx_tdp_format,
	.check		= vmx_check,
	.hardware_setup	= vmx_hardware_setup,
	.hardware_unsetup = vmx_hardware_unsetup,

#define VMX_HOOK(name, ret, args) .name = vmx_##name,
	BACKEND_HOOKS(VMX_HOOK)
#undef VMX_HOOK
};
