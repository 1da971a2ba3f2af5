// SPDX-License-Identifier: GPL-2.0
/*
 * VMRUN refused the VMCB with VMEXIT_INVALID: which rules does it break?
 * APM 2 "Canonicalization and Consistency Checks", "Event Injection", "Nested
 * Paging and VMRUN/#VMEXIT"; a line a rule, which says how it should be.
 *
 * NOTDONE: rules of what this module never turns on: CET, SEV, AVIC.
 */
#include <linux/kernel.h>
#include <linux/printk.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/svm.h>
#include <asm/trapnr.h>
#include "../msr.h"
#include "../rule.h"
#include "check.h"

struct vmcb_check {
	const struct vmcb_control_area	*control;
	const struct vmcb_save_area	*save;
	const struct svm_check_caps	*caps;
	unsigned int			broken;
};

static void rule_broken(struct vmcb_check *c, const char *rule)
{
	pr_err("kvm: APM 2 \"Canonicalization and Consistency Checks\": %s\n", rule);
	c->broken++;
}

enum { IOPM_SIZE = 3 << 12, MSRPM_SIZE = 2 << 12, EXCEPTIONS = 32 };

static void check_registers(struct vmcb_check *c)
{
	u64 cr0 = c->save->cr0, cr4 = c->save->cr4, efer = c->save->efer;
	bool paged_long = efer & EFER_LME && cr0 & X86_CR0_PG;
	u16 cs = c->save->cs.attrib;

	RULE(efer & EFER_SVME, "EFER.SVME must be 1");
	RULE(!(efer & c->caps->efer_reserved), "EFER: reserved bits must be 0");
	RULE(cr0 & X86_CR0_CD || !(cr0 & X86_CR0_NW), "CR0.NW needs CR0.CD");
	RULE(!(cr0 >> 32), "CR0: bits 63:32 must be 0");
	RULE(IS_PHYSICAL(c->save->cr3), "CR3: reserved bits must be 0");
	RULE(!(cr4 & c->caps->cr4_reserved), "CR4: reserved bits must be 0");
	RULE(!(c->save->dr6 >> 32), "DR6: bits 63:32 must be 0");
	RULE(!(c->save->dr7 >> 32), "DR7: bits 63:32 must be 0");
	RULE(!paged_long || cr4 & X86_CR4_PAE, "EFER.LME with CR0.PG needs CR4.PAE");
	RULE(!paged_long || cr0 & X86_CR0_PE, "EFER.LME with CR0.PG needs CR0.PE");
	RULE(!paged_long || !(cr4 & X86_CR4_PAE) ||
	     !(cs & SVM_SELECTOR_L_MASK) || !(cs & SVM_SELECTOR_DB_MASK),
	     "CS.L and CS.D exclude each other in long mode");
}

static void check_controls(struct vmcb_check *c)
{
	u32 event = c->control->event_inj, type = event & SVM_EVTINJ_TYPE_MASK;
	u32 vector = event & SVM_EVTINJ_VEC_MASK;
	bool inject = event & SVM_EVTINJ_VALID, nested = c->control->nested_ctl & SVM_NESTED_CTL_NP_ENABLE;

	RULE(c->control->intercepts[INTERCEPT_WORD4] & BIT(INTERCEPT_VMRUN % 32), "VMRUN must be intercepted");
	RULE(IS_PHYSICAL(c->control->iopm_base_pa + IOPM_SIZE - 1), "IOPM must have physical addresses");
	RULE(IS_PHYSICAL(c->control->msrpm_base_pa + MSRPM_SIZE - 1), "MSRPM must have physical addresses");
	RULE(c->control->asid, "ASID must not be 0");
	RULE(!inject || type == SVM_EVTINJ_TYPE_INTR || type == SVM_EVTINJ_TYPE_NMI ||
	     type == SVM_EVTINJ_TYPE_EXEPT || type == SVM_EVTINJ_TYPE_SOFT,
	     "EVENTINJ: type must be 0, 2, 3 or 4");
	RULE(!inject || type != SVM_EVTINJ_TYPE_EXEPT || (vector < EXCEPTIONS && vector != X86_TRAP_NMI),
	     "EVENTINJ: vector must be that of an exception");
	RULE(!nested || IS_PHYSICAL(c->control->nested_cr3), "nCR3: reserved bits must be 0");
	RULE(!nested || mtrr_pat_valid(c->save->g_pat), "G_PAT: types 0, 1, 4 to 7");
}

/**
 * svm_check_entry() - say in the log why VMRUN refused this VMCB
 * @vmcb: as VMRUN saw it
 * @caps: what the CPU allows
 *
 * Many lines: the caller limits their rate.
 *
 * Return: how many rules are broken.
 */
unsigned int svm_check_entry(const struct vmcb *vmcb, const struct svm_check_caps *caps)
{
	struct vmcb_check c = { .control = &vmcb->control, .save = &vmcb->save, .caps = caps };
	const struct vmcb_save_area *save = &vmcb->save;

	check_registers(&c);
	check_controls(&c);
	if (!c.broken)
		pr_err("kvm: it breaks no rule that is known here\n");
	pr_err("kvm:   CR0 = %#llx, CR3 = %#llx, CR4 = %#llx, EFER = %#llx, DR6 = %#llx, DR7 = %#llx\n",
	       save->cr0, save->cr3, save->cr4, save->efer, save->dr6, save->dr7);
	pr_err("kvm:   CS attributes = %#x, G_PAT = %#llx, EVENTINJ = %#x, ASID = %u, nCR3 = %#llx\n",
	       save->cs.attrib, save->g_pat, vmcb->control.event_inj, vmcb->control.asid,
	       vmcb->control.nested_cr3);
	return c.broken;
}
