/* SPDX-License-Identifier: GPL-2.0 */
/* The VT-x backend's own: one struct per vCPU, one per CPU, and access to the VMCS. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/list.h>
#include <asm/asm.h>
#include <asm/vmx.h>
#include "../backend.h"
#include "caps.h"

/* SDM 3C "Format of the VMCS Region": the CPU knows the rest. */
struct vmcs {
	u32	revision;
	u32	abort;
	u8	data[];
};

/* Which translations must go before the next entry: see vmx_flush_at_entry(). */
enum vmx_flush { VMX_FLUSH_NONE, VMX_FLUSH_GUEST, VMX_FLUSH_ALL };

/* What vmx_run() reads of an exit. SDM 3C "VM-Exit Information Fields". */
struct vmx_exit {
	u32	reason;		/* VMX_EXIT_REASONS_FAILED_VMENTRY or'ed to it, or VMX_EXIT_NONE */
	u32	insn_len;
	u64	qual;		/* exit qualification: enum and unions in exits.c */
	u32	intr_info;	/* exceptions and NMIs only */
	u32	idt_info;	/* the event whose delivery was cut off */
	u32	idt_error;
};

/* VMLAUNCH or VMRESUME failed: there was no exit. No basic exit reason is that high. */
enum { VMX_EXIT_NONE = VMX_EXIT_REASONS_FAILED_VMENTRY | 0xffff };

struct vmx_vcpu {
	struct vcpu	vcpu;		/* first: vmx and vcpu are the same address */
	struct vmcs	*vmcs;
	hpa_t		vmcs_pa;
	struct vmx_cpu	*cpu;		/* whose CPU holds the VMCS, NULL: none does */
	struct list_head link;		/* in cpu->active */
	struct vmx_exit	exit;

	/* entry.S */
	u64		host_rsp;	/* as in the VMCS */
	u64		spec_ctrl;	/* the guest's IA32_SPEC_CTRL */
	bool		spec_ctrl_owned; /* writes it without exits */
	bool		launched;	/* VMRESUME from now on */
	bool		failed;		/* neither of the two got into the guest */

	/* what the next entry needs, and what the VMCS has of it */
	u32		proc, proc_in_vmcs;	/* primary processor-based controls */
	u32		shadow, shadow_in_vmcs;	/* interruptibility state */
	u64		rip_in_vmcs, rsp_in_vmcs, rflags_in_vmcs;
	u32		inject;			/* VM-entry interruption information, 0 none */
	u32		inject_error;
	u64		host_cr3, host_cr4;	/* as in the VMCS */

	u16		vpid;		/* 0: the CPU has none, every entry and exit flushes */
	enum vmx_flush	flush;
	bool		dr_owned;	/* debug registers are the guest's until the next exit */
	u64		dr7;		/* as in the VMCS */

	/* MSRs that stay the guest's between two entries: see vmx_borrow() */
	u64		star, lstar, cstar, syscall_mask, kernel_gs_base;
	u64		tsc_aux;	/* as loaded: the guest's at that time */
	u64		debugctl;	/* as the guest set it */
	bool		borrowed;
	u64		host_kernel_gs_base, host_debugctl;
	u16		host_ds, host_es, host_fs, host_gs, host_ldt;
};

/* What one CPU needs to host guests. */
struct vmx_cpu {
	int		id;
	struct vmcs	*vmxon;		/* the CPU's own, opaque */
	struct vmx_vcpu	*current_vcpu;	/* whose VMCS is current */
	struct vmx_vcpu	*last_vcpu;	/* that ran here */
	struct list_head active;	/* VMCSs that the CPU may have cached */
};

DECLARE_PER_CPU(struct vmx_cpu, vmx_cpus);

static inline struct vmx_vcpu *to_vmx(struct vcpu *vcpu)
{
	return container_of(vcpu, struct vmx_vcpu, vcpu);
}

/*
 * On the way to a reboot VMX is turned off while threads may still want to run
 * their guests: then its instructions raise #UD, and do nothing instead.
 */
#define vmx_asm(insn, ...)							\
	asm volatile("1: " insn "\n2:\n" _ASM_EXTABLE(1b, 2b) : : __VA_ARGS__ : "cc", "memory")

/* A field of the current VMCS, which must exist, of any width: in 64-bit mode all are read into 64 bits. */
static __always_inline u64 vmcs_read(unsigned long field)
{
	u64 val;

	asm volatile("1: vmread %1, %0\n2:\n" _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_ZERO_REG, %0)
		     : "=r" (val) : "r" (field) : "cc");
	return val;
}

static __always_inline void vmcs_write(unsigned long field, u64 val)
{
	bool failed;

	asm volatile("1: vmwrite %[val], %[field]\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna" (failed) : [val] "r" (val), [field] "r" (field));
	if (unlikely(failed))
		WARN_ONCE(1, "kvm: no VMCS field 0x%lx here\n", field);
}

/* A field of the host's state gets what this CPU has in an MSR. */
static inline void vmcs_write_msr(unsigned long field, u32 msr)
{
	u64 val;

	rdmsrl(msr, val);
	vmcs_write(field, val);
}

void vmx_fetch_vmcs(struct vmx_vcpu *vmx);	/* vmx.c */

/**
 * vmx_hold() - make the VMCS current on this CPU, and stay on it
 * @vmx: under its vCPU's mutex; interrupts on
 *
 * Until vmx_release(), or as a guard, vmcs_read() and vmcs_write() mean this vCPU.  Nests.
 */
static inline void vmx_hold(struct vmx_vcpu *vmx)
{
	preempt_disable();
	if (unlikely(this_cpu_read(vmx_cpus.current_vcpu) != vmx))
		vmx_fetch_vmcs(vmx);
}

static inline void vmx_release(struct vmx_vcpu *vmx)
{
	preempt_enable();
}

DEFINE_CLASS(vmx_hold, struct vmx_vcpu *, vmx_release(_T),
	     ({ vmx_hold(vmx); vmx; }), struct vmx_vcpu *vmx)

/* One field, where nothing else of the VMCS is wanted. */
static inline u64 vmx_read(struct vmx_vcpu *vmx, unsigned long field)
{
	guard(vmx_hold)(vmx);
	return vmcs_read(field);
}

#define VMX_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* An instruction was done in software: the shadow of the one before it is over. */
static inline void vmx_end_shadow(struct vmx_vcpu *vmx)
{
	vmx->shadow &= ~VMX_SHADOW;
}

/* The hooks of backend.h, vmx_enable_cpu() and so on: the file of that subject has each. */
#define VMX_DECLARE(name, ret, args) ret vmx_##name args;
BACKEND_HOOKS(VMX_DECLARE)
#undef VMX_DECLARE

/* entry.S */
void vmx_world_switch(struct vmx_vcpu *vmx);
extern const char vmx_world_switch_back[];

/* vmx.c: what of the features we want this CPU has */
struct vmx_controls { u32 pin, proc, proc2, exit, entry; };
extern struct vmx_controls vmx_controls;

/* vmcs.c: how a VMCS is set up, and the guest state kept in it */
int vmx_maps_create(void);
void vmx_maps_destroy(void);
struct vmcs *vmx_vmcs_alloc(int node);
void vmx_vmcs_init(struct vmx_vcpu *vmx);

/* events.c: what goes into the guest */
void vmx_events_after_exit(struct vmx_vcpu *vmx);

#endif /* VMX_VMX_H */
