// SPDX-License-Identifier: GPL-2.0
/*
 * A VM entry failed: which of the manual's rules does the VMCS break?
 * SDM 3C "VM Entries", a function a section and a line a rule, which says how
 * it should be.
 *
 * The CPU stops at the first broken rule of an order of its own, and tells only
 * whether it was a control or host field (VM-instruction errors 7 and 8) or
 * guest state (exit reason 33).  Here all are gone through.
 *
 * NOTDONE: rules of what this module never turns on: SMM and its dual monitor,
 * APIC virtualization, posted interrupts, VM functions, VMCS shadowing, #VE,
 * sub-page and mode-based permissions, tertiary controls, processor trace, MPX,
 * SGX, RTM, CET, supervisor protection keys, the MSRs of performance counters
 * and last branches; and those for guests that are not unrestricted.
 */
#include <linux/kernel.h>
#include <linux/printk.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>
#include <uapi/asm/debugreg.h>
#include "../msr.h"
#include "../rule.h"
#include "check.h"

/* The VMCS under examination: what many rules look at, and where we are. */
struct vmcs_check {
	u64			(*read)(unsigned long field);
	const struct vmx_caps	*caps;
	const char		*section, *subject;	/* subject: of many alike, or "" */
	unsigned int		broken;
	u32			pin, proc, proc2, exit, entry;
	u32			event;			/* put into the guest, 0: none */
	u64			cr0, cr4, rflags;
	bool			long_mode;		/* IA-32e mode guest */
};

#define F(field)	(c->read(field))
#define PIN(bit)	(c->pin & PIN_BASED_##bit)
#define PROC(bit)	(c->proc & CPU_BASED_##bit)
#define PROC2(bit)	(c->proc2 & SECONDARY_EXEC_##bit)
#define EXIT(bit)	(c->exit & VM_EXIT_##bit)
#define ENTRY(bit)	(c->entry & VM_ENTRY_##bit)

static void rule_broken(struct vmcs_check *c, const char *rule)
{
	pr_err("kvm: SDM 3C \"%s\": %s%s%s\n", c->section, c->subject, *c->subject ? ": " : "", rule);
	c->broken++;
}

/* All bits that must be 1 are, and none that must not. */
static bool allowed(u64 bits, u64 fixed0, u64 fixed1)
{
	return !(~bits & fixed0) && !(bits & ~fixed1);
}
#define CONTROLS(of)	allowed(c->of, (u32)c->caps->of, c->caps->of >> 32)
#define CR4_VALID(cr4)	allowed(cr4, c->caps->cr4_fixed0, c->caps->cr4_fixed1)

/* CD and NW stay as they are in entries and exits, and are not looked at. */
static bool cr0_valid(const struct vmcs_check *c, u64 cr0, u64 exempt)
{
	exempt |= X86_CR0_CD | X86_CR0_NW;
	return allowed(cr0 & ~exempt, c->caps->cr0_fixed0 & ~exempt, c->caps->cr0_fixed1);
}

/* Are all bits from @first on alike?  Linear addresses are as wide as the CPU can have them. */
static bool alike(u64 address, unsigned int first)
{
	s64 rest = (s64)address >> first;

	return !rest || !~rest;
}
#define LINEAR_BITS		(c->caps->cr4_fixed1 & X86_CR4_LA57 ? 57 : 48)
#define IS_CANONICAL(address)	alike(address, LINEAR_BITS - 1)

/* ---- SDM 3C "Checks on VMX Controls" ---- */

#define PAGE(used, field)							\
	RULE(!(used) || (!(F(field) & 0xfff) && IS_PHYSICAL(F(field))),		\
	     #field " must be a page's physical address")
/* Entries of 16 bytes; the last one's end counts, too. */
#define MSR_LIST(list)								\
	RULE(!F(list##_COUNT) || (!(F(list##_ADDR) & 0xf) &&			\
	     IS_PHYSICAL(F(list##_ADDR) | (F(list##_ADDR) + 16 * F(list##_COUNT) - 1))), \
	     #list " must be aligned to 16 bytes and have physical addresses")

static void check_eptp(struct vmcs_check *c, u64 eptp, u64 caps)
{
	u64 type = eptp & VMX_EPTP_MT_MASK, walk = eptp & VMX_EPTP_PWL_MASK;

	RULE((type == VMX_EPTP_MT_UC && caps & VMX_EPTP_UC_BIT) ||
	     (type == VMX_EPTP_MT_WB && caps & VMX_EPTP_WB_BIT), "EPTP: a memory type the CPU has");
	RULE((walk == VMX_EPTP_PWL_4 && caps & VMX_EPT_PAGE_WALK_4_BIT) ||
	     (walk == VMX_EPTP_PWL_5 && caps & VMX_EPT_PAGE_WALK_5_BIT), "EPTP: levels the CPU has");
	RULE(!(eptp & VMX_EPTP_AD_ENABLE_BIT) || caps & VMX_EPT_AD_BIT, "EPTP: A/D if the CPU has it");
	RULE(!(eptp & GENMASK(11, 7)) && IS_PHYSICAL(eptp), "EPTP: reserved bits must be 0");
}

static void check_execution(struct vmcs_check *c)
{
	RULE(CONTROLS(pin), "pin-based: bits as IA32_VMX_PINBASED_CTLS says");
	RULE(CONTROLS(proc), "primary: bits as IA32_VMX_PROCBASED_CTLS says");
	RULE(CONTROLS(proc2), "secondary: bits as IA32_VMX_PROCBASED_CTLS2 says");
	RULE(F(CR3_TARGET_COUNT) <= vmx_misc_cr3_count(c->caps->misc), "CR3 targets: too many");
	PAGE(PROC(USE_IO_BITMAPS), IO_BITMAP_A);
	PAGE(PROC(USE_IO_BITMAPS), IO_BITMAP_B);
	PAGE(PROC(USE_MSR_BITMAPS), MSR_BITMAP);
	RULE(PIN(NMI_EXITING) || !PIN(VIRTUAL_NMIS), "virtual NMIs need NMI exiting");
	RULE(PIN(VIRTUAL_NMIS) || !PROC(NMI_WINDOW_EXITING), "NMI-window exiting needs virtual NMIs");
	RULE(!PROC2(ENABLE_VPID) || F(VIRTUAL_PROCESSOR_ID), "VPID must not be 0");
	if (PROC2(ENABLE_EPT))
		check_eptp(c, F(EPT_POINTER), c->caps->ept_vpid);
	RULE(PROC2(ENABLE_EPT) || !PROC2(ENABLE_PML), "the page-modification log needs EPT");
	PAGE(PROC2(ENABLE_PML), PML_ADDRESS);
	RULE(PROC2(ENABLE_EPT) || !PROC2(UNRESTRICTED_GUEST), "an unrestricted guest needs EPT");
	RULE(!PROC2(TSC_SCALING) || F(TSC_MULTIPLIER), "TSC multiplier must not be 0");
}

static void check_exit(struct vmcs_check *c)
{
	RULE(CONTROLS(exit), "bits as IA32_VMX_EXIT_CTLS says");
	RULE(PIN(VMX_PREEMPTION_TIMER) || !EXIT(SAVE_VMX_PREEMPTION_TIMER),
	     "VMX-preemption timer: saved only if active");
	MSR_LIST(VM_EXIT_MSR_STORE);
	MSR_LIST(VM_EXIT_MSR_LOAD);
}

enum {
	ANY_ERROR_CODE = 56,	/* bit: SDM 3D "Basic VMX Information" */
	MAX_INSN_LEN = 15,
	EXCEPTIONS = 32, HAVE_ERROR_CODE = BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) |
		BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC),
};

/* Is an event of this type put into the guest? */
static bool injects(const struct vmcs_check *c, u32 type)
{
	return c->event && (c->event & INTR_INFO_INTR_TYPE_MASK) == type;
}

static void check_event(struct vmcs_check *c)
{
	bool exception = injects(c, INTR_TYPE_HARD_EXCEPTION), mtf = injects(c, INTR_TYPE_OTHER_EVENT);
	bool soft = injects(c, INTR_TYPE_SOFT_INTR) || injects(c, INTR_TYPE_SOFT_EXCEPTION) ||
		    injects(c, INTR_TYPE_PRIV_SW_EXCEPTION);
	u32 vector = c->event & INTR_INFO_VECTOR_MASK, len = F(VM_ENTRY_INSTRUCTION_LEN);
	bool error = c->event & INTR_INFO_DELIVER_CODE_MASK, may = exception && c->cr0 & X86_CR0_PE;
	bool any = !may || vector >= EXCEPTIONS || c->caps->basic >> ANY_ERROR_CODE & 1;

	RULE(!injects(c, INTR_TYPE_RESERVED), "event type 1 is reserved");
	RULE(!mtf || c->caps->proc >> 32 & CPU_BASED_MONITOR_TRAP_FLAG, "event type 7 is reserved");
	RULE(!injects(c, INTR_TYPE_NMI_INTR) || vector == X86_TRAP_NMI, "an NMI has vector 2");
	RULE(!exception || vector < EXCEPTIONS, "an exception has a vector up to 31");
	RULE(!mtf || !vector, "an MTF VM exit has vector 0");
	RULE(!error || may, "error codes are for exceptions in protected mode");
	RULE(any || error == (HAVE_ERROR_CODE >> vector & 1), "error code: just where there is one");
	RULE(!(c->event & INTR_INFO_RESVD_BITS_MASK), "event: bits 30:12 must be 0");
	RULE(!error || !(F(VM_ENTRY_EXCEPTION_ERROR_CODE) >> 16), "error code: bits 31:16 must be 0");
	RULE(!soft || len <= MAX_INSN_LEN, "instruction length: 15 or less");
	RULE(!soft || len || c->caps->misc & VMX_MISC_ZERO_LEN_INS, "instruction length: not 0");
}

static void check_entry(struct vmcs_check *c)
{
	RULE(CONTROLS(entry), "bits as IA32_VMX_ENTRY_CTLS says");
	RULE(!ENTRY(SMM) && !ENTRY(DEACT_DUAL_MONITOR), "controls for SMM must be 0");
	if (c->event)
		check_event(c);
	MSR_LIST(VM_ENTRY_MSR_LOAD);
}

/* ---- SDM 3C "Checks on Host-State Area"; this kernel runs in IA-32e mode ---- */

enum { EFER_LONG = EFER_LMA | EFER_LME, EFER_VALID = EFER_LONG | EFER_SCE | EFER_NX };

static void check_host_registers(struct vmcs_check *c)
{
	u64 efer = EXIT(LOAD_IA32_EFER) ? F(HOST_IA32_EFER) : EFER_LONG;

	RULE(cr0_valid(c, F(HOST_CR0), 0), "CR0: bits as IA32_VMX_CR0_FIXED says");
	RULE(CR4_VALID(F(HOST_CR4)), "CR4: bits as IA32_VMX_CR4_FIXED says");
	RULE(!EXIT(LOAD_IA32_PAT) || mtrr_pat_valid(F(HOST_IA32_PAT)), "PAT: types 0, 1, 4 to 7");
	RULE(!(efer & ~(u64)EFER_VALID), "EFER: reserved bits must be 0");
	RULE((efer & EFER_LONG) == EFER_LONG, "EFER: LMA and LME as host address-space size");
}

static void check_host_mode(struct vmcs_check *c)
{
	RULE(EXIT(HOST_ADDR_SPACE_SIZE), "host address-space size must be 1");
	RULE(F(HOST_CR4) & X86_CR4_PAE, "CR4.PAE must be 1");
}

/* ---- SDM 3C "Checks on the Guest State Area" ---- */

/*
 * Reserved on every CPU: SDM 3B "IA32_DEBUGCTL MSR", SDM 1 "EFLAGS Register",
 * SDM 3C "Guest Non-Register State", SDM 3A "PDPTE Registers".
 */
static const u64 debugctl_reserved = GENMASK_ULL(63, 16) | GENMASK_ULL(5, 3);
static const u64 rflags_reserved = GENMASK_ULL(63, 22) | BIT(15) | BIT(5) | BIT(3);
static const u64 pending_reserved = GENMASK_ULL(63, 17) | BIT(15) | BIT(13) | GENMASK_ULL(10, 4);
static const u64 pdpte_reserved = GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1);

static void check_guest_registers(struct vmcs_check *c)
{
	u64 efer = ENTRY(LOAD_IA32_EFER) ? F(GUEST_IA32_EFER) : c->long_mode ? EFER_LONG : 0;
	u64 debugctl = ENTRY(LOAD_DEBUG_CONTROLS) ? F(GUEST_IA32_DEBUGCTL) : 0;
	bool pg = c->cr0 & X86_CR0_PG, pe = c->cr0 & X86_CR0_PE, pae = c->cr4 & X86_CR4_PAE;

	RULE(cr0_valid(c, c->cr0, X86_CR0_PE | X86_CR0_PG), "CR0: bits as IA32_VMX_CR0_FIXED says");
	RULE(pe || !pg, "CR0.PG needs CR0.PE");
	RULE(CR4_VALID(c->cr4), "CR4: bits as IA32_VMX_CR4_FIXED says");
	RULE(!c->long_mode || (pg && pae), "IA-32e mode needs CR0.PG and CR4.PAE");
	RULE(c->long_mode || !(c->cr4 & X86_CR4_PCIDE), "CR4.PCIDE needs IA-32e mode");
	RULE(!(debugctl & debugctl_reserved), "IA32_DEBUGCTL: reserved bits must be 0");
	RULE(!ENTRY(LOAD_DEBUG_CONTROLS) || !(F(GUEST_DR7) >> 32), "DR7: bits 63:32 must be 0");
	RULE(!ENTRY(LOAD_IA32_PAT) || mtrr_pat_valid(F(GUEST_IA32_PAT)), "PAT: types 0, 1, 4 to 7");
	RULE(!(efer & ~(u64)EFER_VALID), "EFER: reserved bits must be 0");
	RULE(!(efer & EFER_LMA) == !c->long_mode, "EFER.LMA must be as IA-32e mode guest");
	RULE(!pg || !(efer & EFER_LMA) == !(efer & EFER_LME), "EFER.LMA must be as LME with CR0.PG");
}

enum {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEGS,
	SELECTOR_TI = 1 << 2,
	V86_LIMIT = 0xffff, V86_RIGHTS = 0xf3,		/* present, DPL 3, type 3 */
	TYPE_DATA = 3, TYPE_TSS_16 = 3,
	TYPES_CS = BIT(9) | BIT(11) | BIT(13) | BIT(15) | BIT(TYPE_DATA),
	TYPES_SS = BIT(3) | BIT(7),
	TYPES_DATA = BIT(1) | BIT(3) | BIT(5) | BIT(7) | BIT(11) | BIT(15),	/* accessed, readable */
	TYPES_LDTR = BIT(2), TYPES_TR = BIT(11) | BIT(TYPE_TSS_16),
};

static const struct { const char *name; u16 types; } segs[SEGS] = {
	{ "ES", TYPES_DATA }, { "CS", TYPES_CS }, { "SS", TYPES_SS }, { "DS", TYPES_DATA },
	{ "FS", TYPES_DATA }, { "GS", TYPES_DATA }, { "LDTR", TYPES_LDTR }, { "TR", TYPES_TR },
};

#define SEL(i)		F(GUEST_ES_SELECTOR + 2 * (i))
#define BASE(i)		F(GUEST_ES_BASE + 2 * (i))
#define LIMIT(i)	F(GUEST_ES_LIMIT + 2 * (i))
#define RIGHTS(i)	F(GUEST_ES_AR_BYTES + 2 * (i))
#define TYPE(i)		(RIGHTS(i) & VMX_AR_TYPE_MASK)

static void check_segment_v86(struct vmcs_check *c, unsigned int i)
{
	RULE(BASE(i) == SEL(i) << 4, "base must be 16 selectors in virtual-8086 mode");
	RULE(LIMIT(i) == V86_LIMIT, "limit must be 0xffff in virtual-8086 mode");
	RULE(RIGHTS(i) == V86_RIGHTS, "rights must be 0xf3 in virtual-8086 mode");
}

/* CS and SS depend on each other. */
static void check_dpl(struct vmcs_check *c)
{
	u32 type = TYPE(SEG_CS), cs = VMX_AR_DPL(RIGHTS(SEG_CS)), ss = VMX_AR_DPL(RIGHTS(SEG_SS));

	c->subject = "SS";
	RULE(!ss || c->cr0 & X86_CR0_PE, "DPL must be 0 in real mode");
	RULE(!ss || type != TYPE_DATA, "DPL must be 0 with CS of type 3");
	c->subject = "CS";
	RULE(!cs || type != TYPE_DATA, "DPL must be 0 for type 3");
	RULE(cs == ss || (type != 9 && type != 11), "DPL must be SS.DPL for types 9 and 11");
	RULE(cs <= ss || (type != 13 && type != 15), "DPL must not exceed SS.DPL for types 13 and 15");
}

static void check_segment(struct vmcs_check *c, unsigned int i)
{
	u32 rights = RIGHTS(i), limit = LIMIT(i), pages = rights & VMX_AR_G_MASK;
	bool system = i >= SEG_LDTR, unusable = rights & VMX_AR_UNUSABLE_MASK;
	bool code64 = i == SEG_CS && c->long_mode && rights & VMX_AR_L_MASK;
	bool tss_16 = i == SEG_TR && TYPE(i) == TYPE_TSS_16;

	if (c->rflags & X86_EFLAGS_VM && !system)
		return check_segment_v86(c, i);
	RULE(i < SEG_FS || (unusable && i == SEG_LDTR) || IS_CANONICAL(BASE(i)),
	     "base must be canonical");
	if (unusable && i != SEG_CS && i != SEG_TR)
		return;
	RULE(!unusable || i != SEG_TR, "must be usable");
	RULE(!system || !(SEL(i) & SELECTOR_TI), "TI must be 0");
	RULE(i >= SEG_FS || !(BASE(i) >> 32), "bits 63:32 of the base must be 0");
	RULE(segs[i].types >> TYPE(i) & 1, "type must be one that this register can have");
	RULE(!tss_16 || !c->long_mode, "type must be 11 in IA-32e mode");
	RULE(!(rights & VMX_AR_S_MASK) == system, "S must be 1 for code and data, 0 for LDTR and TR");
	RULE(rights & VMX_AR_P_MASK, "must be present");
	RULE(!(rights & VMX_AR_RESERVD_MASK), "rights: reserved bits must be 0");
	RULE(!code64 || !(rights & VMX_AR_DB_MASK), "D must be 0 for 64-bit code");
	RULE(!pages || !(~limit & 0xfff), "G must be 0: the limit ends within a page");
	RULE(pages || !(limit >> 20), "G must be 1: the limit is 1M or more");
}

static void check_guest_segments(struct vmcs_check *c)
{
	unsigned int i, before = c->broken;

	for (i = 0; i < SEGS; i++) {
		c->subject = segs[i].name;
		check_segment(c, i);
	}
	if (!(c->rflags & X86_EFLAGS_VM))
		check_dpl(c);
	for (i = 0; c->broken != before && i < SEGS; i++)
		pr_err("kvm:   %s = %#llx, base %#llx, limit %#llx, rights %#llx\n",
		       segs[i].name, SEL(i), BASE(i), LIMIT(i), RIGHTS(i));
}

static void check_guest_rip(struct vmcs_check *c)
{
	bool code64 = c->long_mode && RIGHTS(SEG_CS) & VMX_AR_L_MASK;
	bool v86_can = c->cr0 & X86_CR0_PE && !c->long_mode;

	RULE(code64 || !(F(GUEST_RIP) >> 32), "RIP: bits 63:32 must be 0 outside 64-bit mode");
	RULE(!code64 || alike(F(GUEST_RIP), LINEAR_BITS), "RIP: bits beyond its width must be alike");
	RULE(!(c->rflags & rflags_reserved), "RFLAGS: reserved bits must be 0");
	RULE(c->rflags & X86_EFLAGS_FIXED, "RFLAGS: bit 1 must be 1");
	RULE(v86_can || !(c->rflags & X86_EFLAGS_VM), "RFLAGS.VM needs CR0.PE, without IA-32e mode");
	RULE(c->rflags & X86_EFLAGS_IF || !injects(c, INTR_TYPE_EXT_INTR),
	     "RFLAGS.IF must be 1 for an external interrupt");
}

static void check_activity(struct vmcs_check *c, u32 activity, bool shadowed)
{
	bool intr = injects(c, INTR_TYPE_EXT_INTR), nmi = injects(c, INTR_TYPE_NMI_INTR);
	bool mtf = injects(c, INTR_TYPE_OTHER_EVENT), exception = injects(c, INTR_TYPE_HARD_EXCEPTION);
	u32 vector = c->event & INTR_INFO_VECTOR_MASK, hlt = activity == GUEST_ACTIVITY_HLT;
	bool mc = exception && vector == X86_TRAP_MC, db = exception && vector == X86_TRAP_DB;

	RULE(!activity || (activity <= GUEST_ACTIVITY_WAIT_SIPI &&
			   c->caps->misc & VMX_MISC_ACTIVITY_HLT << (activity - 1)),
	     "activity state: as IA32_VMX_MISC says");
	RULE(!activity || !shadowed, "blocking by STI or MOV SS needs the active state");
	RULE(!hlt || !VMX_AR_DPL(RIGHTS(SEG_SS)), "HLT state needs SS.DPL 0");
	RULE(!hlt || !c->event || intr || nmi || mtf || mc || db,
	     "HLT state: no event but interrupts, NMI, MTF, #DB and #MC");
	RULE(activity != GUEST_ACTIVITY_SHUTDOWN || !c->event || nmi || mc,
	     "shutdown state: no event but NMI and #MC");
	RULE(activity != GUEST_ACTIVITY_WAIT_SIPI || !c->event, "wait-for-SIPI state: no event");
}

static void check_guest_other(struct vmcs_check *c)
{
	u32 shadow = F(GUEST_INTERRUPTIBILITY_INFO), activity = F(GUEST_ACTIVITY_STATE);
	bool sti = shadow & GUEST_INTR_STATE_STI, mov_ss = shadow & GUEST_INTR_STATE_MOV_SS;
	bool intr = injects(c, INTR_TYPE_EXT_INTR), nmi = injects(c, INTR_TYPE_NMI_INTR);
	u64 pending = F(GUEST_PENDING_DBG_EXCEPTIONS), link = F(VMCS_LINK_POINTER);
	bool step = c->rflags & X86_EFLAGS_TF && !(F(GUEST_IA32_DEBUGCTL) & DEBUGCTLMSR_BTF);
	bool held = sti || mov_ss || activity == GUEST_ACTIVITY_HLT;

	check_activity(c, activity, sti || mov_ss);
	RULE(!(shadow >> 5), "interruptibility: reserved bits must be 0");
	RULE(!sti || !mov_ss, "blocking by STI excludes blocking by MOV SS");
	RULE(!sti || c->rflags & X86_EFLAGS_IF, "blocking by STI needs RFLAGS.IF");
	RULE(!intr || !(sti || mov_ss), "blocking by STI or MOV SS excludes an interrupt");
	RULE(!nmi || !(sti || mov_ss), "blocking by MOV SS (STI: on some CPUs) excludes an NMI");
	RULE(!(shadow & GUEST_INTR_STATE_SMI), "blocking by SMI is for SMM");
	RULE(!nmi || !PIN(VIRTUAL_NMIS) || !(shadow & GUEST_INTR_STATE_NMI),
	     "blocking by NMI excludes a virtual NMI");
	RULE(!(pending & pending_reserved), "pending debug exceptions: reserved bits must be 0");
	RULE(!held || !(pending & DR_STEP) == !step,
	     "pending debug exceptions: BS must be as RFLAGS.TF without IA32_DEBUGCTL.BTF");
	RULE(!~link || (!(link & 0xfff) && IS_PHYSICAL(link)), "VMCS link pointer: ~0 or a page's");
}

static void check_guest_pdptes(struct vmcs_check *c)
{
	unsigned int i;

	if (!(c->cr0 & X86_CR0_PG) || !(c->cr4 & X86_CR4_PAE) || c->long_mode)
		return;
	for (i = GUEST_PDPTR0; i <= GUEST_PDPTR3; i += 2)
		RULE(!(F(i) & 1) || (!(F(i) & pdpte_reserved) && IS_PHYSICAL(F(i))),
		     "if present, reserved bits must be 0");
}

/* ---- all of it ---- */

/* Fields that are shown with the broken rules of their section; some have a rule of their kind. */
enum field_kind { SHOWN, CANONICAL, PHYSICAL, SELECTOR, SELECTOR_NOT_NULL, LIMIT_16 };
#define SHOW(field)	{ #field, field, SHOWN }
#define CANON(field)	{ #field, field, CANONICAL }
#define PHYS(field)	{ #field, field, PHYSICAL }
#define SELECT(field)	{ #field, field, SELECTOR }
#define NOT_NULL(field)	{ #field, field, SELECTOR_NOT_NULL }
#define LIMIT16(field)	{ #field, field, LIMIT_16 }

static const struct section {
	const char *title;
	void (*check)(struct vmcs_check *c);
	struct section_field { const char *name; u16 field, kind; } fields[13];
} sections[] = {
	{ "VM-Execution Control Fields", check_execution, {
		SHOW(PIN_BASED_VM_EXEC_CONTROL), SHOW(CPU_BASED_VM_EXEC_CONTROL),
		SHOW(SECONDARY_VM_EXEC_CONTROL), SHOW(EPT_POINTER), SHOW(MSR_BITMAP) } },
	{ "VM-Exit Control Fields", check_exit, { SHOW(VM_EXIT_CONTROLS) } },
	{ "VM-Entry Control Fields", check_entry, {
		SHOW(VM_ENTRY_CONTROLS), SHOW(VM_ENTRY_INTR_INFO_FIELD), SHOW(GUEST_CR0),
		SHOW(VM_ENTRY_EXCEPTION_ERROR_CODE), SHOW(VM_ENTRY_INSTRUCTION_LEN) } },
	{ "Checks on Host Control Registers, MSRs, and SSP", check_host_registers, {
		SHOW(HOST_CR0), PHYS(HOST_CR3), SHOW(HOST_CR4), SHOW(HOST_IA32_PAT),
		SHOW(HOST_IA32_EFER), CANON(HOST_IA32_SYSENTER_ESP),
		CANON(HOST_IA32_SYSENTER_EIP) } },
	{ "Checks on Host Segment and Descriptor-Table Registers", NULL, {
		SELECT(HOST_ES_SELECTOR), NOT_NULL(HOST_CS_SELECTOR), SELECT(HOST_SS_SELECTOR),
		SELECT(HOST_DS_SELECTOR), SELECT(HOST_FS_SELECTOR), SELECT(HOST_GS_SELECTOR),
		NOT_NULL(HOST_TR_SELECTOR), CANON(HOST_FS_BASE), CANON(HOST_GS_BASE),
		CANON(HOST_TR_BASE), CANON(HOST_GDTR_BASE), CANON(HOST_IDTR_BASE) } },
	{ "Checks Related to Address-Space Size", check_host_mode, {
		SHOW(VM_EXIT_CONTROLS), SHOW(HOST_CR4), CANON(HOST_RIP) } },
	{ "Checks on Guest Control Registers, Debug Registers, and MSRs", check_guest_registers, {
		SHOW(GUEST_CR0), PHYS(GUEST_CR3), SHOW(GUEST_CR4), SHOW(GUEST_DR7),
		SHOW(GUEST_IA32_EFER), SHOW(GUEST_IA32_DEBUGCTL), SHOW(GUEST_IA32_PAT),
		SHOW(VM_ENTRY_CONTROLS), CANON(GUEST_SYSENTER_ESP), CANON(GUEST_SYSENTER_EIP) } },
	{ "Checks on Guest Segment Registers", check_guest_segments },
	{ "Checks on Guest Descriptor-Table Registers", NULL, {
		CANON(GUEST_GDTR_BASE), LIMIT16(GUEST_GDTR_LIMIT), CANON(GUEST_IDTR_BASE),
		LIMIT16(GUEST_IDTR_LIMIT) } },
	{ "Checks on Guest RIP, RFLAGS, and SSP", check_guest_rip, {
		SHOW(GUEST_RIP), SHOW(GUEST_CS_AR_BYTES), SHOW(GUEST_RFLAGS), SHOW(GUEST_CR0),
		SHOW(VM_ENTRY_CONTROLS), SHOW(VM_ENTRY_INTR_INFO_FIELD) } },
	{ "Checks on Guest Non-Register State", check_guest_other, {
		SHOW(GUEST_ACTIVITY_STATE), SHOW(GUEST_INTERRUPTIBILITY_INFO), SHOW(GUEST_RFLAGS),
		SHOW(GUEST_PENDING_DBG_EXCEPTIONS), SHOW(VM_ENTRY_INTR_INFO_FIELD) } },
	{ "Checks on Guest Page-Directory-Pointer-Table Entries", check_guest_pdptes, {
		SHOW(GUEST_PDPTR0), SHOW(GUEST_PDPTR1), SHOW(GUEST_PDPTR2), SHOW(GUEST_PDPTR3) } },
};

static void check_section(struct vmcs_check *c, const struct section *s)
{
	const struct section_field *f;
	unsigned int before = c->broken;

	c->section = s->title;
	for (f = s->fields; f->name; f++) {
		u64 val = F(f->field), is = BIT(f->kind);

		c->subject = f->name;
		RULE(!(is & BIT(CANONICAL)) || IS_CANONICAL(val), "must be canonical");
		RULE(!(is & BIT(PHYSICAL)) || IS_PHYSICAL(val), "must be a physical address");
		RULE(!(is & (BIT(SELECTOR) | BIT(SELECTOR_NOT_NULL))) || !(val & 7), "RPL and TI must be 0");
		RULE(!(is & BIT(SELECTOR_NOT_NULL)) || val, "must not be null");
		RULE(!(is & BIT(LIMIT_16)) || !(val >> 16), "bits 31:16 must be 0");
	}
	c->subject = "";
	if (s->check)
		s->check(c);
	for (f = s->fields; c->broken != before && f->name; f++)
		pr_err("kvm:   %s = %#llx\n", f->name, F(f->field));
}

/**
 * vmx_check_entry() - say in the log why the current VMCS cannot be entered
 * @read: a field of it, of any width, by enum vmcs_field; 0 if the CPU lacks it
 * @caps: what the CPU allows
 *
 * Many lines: the caller limits their rate.
 *
 * Return: how many rules are broken.
 */
unsigned int vmx_check_entry(u64 (*read)(unsigned long field), const struct vmx_caps *caps)
{
	struct vmcs_check c = {
		.read = read, .caps = caps, .pin = read(PIN_BASED_VM_EXEC_CONTROL),
		.proc = read(CPU_BASED_VM_EXEC_CONTROL), .proc2 = read(SECONDARY_VM_EXEC_CONTROL),
		.exit = read(VM_EXIT_CONTROLS), .entry = read(VM_ENTRY_CONTROLS),
		.event = read(VM_ENTRY_INTR_INFO_FIELD), .rflags = read(GUEST_RFLAGS),
		.cr0 = read(GUEST_CR0), .cr4 = read(GUEST_CR4),
	};
	unsigned int i;

	if (!(c.proc & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		c.proc2 = 0;
	if (!(c.event & INTR_INFO_VALID_MASK))
		c.event = 0;
	c.long_mode = c.entry & VM_ENTRY_IA32E_MODE;
	for (i = 0; i < ARRAY_SIZE(sections); i++)
		check_section(&c, &sections[i]);
	if (!c.broken)
		pr_err("kvm: it breaks no rule that is known here\n");
	return c.broken;
}

/**
 * vmx_instruction_error_text() - SDM 3C "VM Instruction Error Numbers"
 * @error: the VMCS field of that name, after a VMfailValid
 */
const char *vmx_instruction_error_text(u32 error)
{
	static const char *const texts[] = {
		"unknown", "VMCALL in VMX root operation", "VMCLEAR: bad address",
		"VMCLEAR of the VMXON region", "VMLAUNCH: VMCS not clear",
		"VMRESUME: VMCS not launched", "VMRESUME after VMXOFF",
		"VM entry: bad control field", "VM entry: bad host-state field",
		"VMPTRLD: bad address", "VMPTRLD of the VMXON region",
		"VMPTRLD: wrong VMCS revision", "VMREAD or VMWRITE: no such field",
		"VMWRITE: read-only field", "unknown", "VMXON in VMX root operation",
		"VM entry: bad executive-VMCS pointer", "VM entry: executive VMCS not launched",
		"VM entry: executive-VMCS pointer not the VMXON pointer", "VMCALL: VMCS not clear",
		"VMCALL: bad VM-exit control field", "unknown", "VMCALL: wrong MSEG revision",
		"VMXOFF under dual-monitor treatment", "VMCALL: bad SMM-monitor features",
		"VM entry: bad control field in the executive VMCS",
		"VM entry: events blocked by MOV SS", "unknown", "INVEPT or INVVPID: bad operand",
	};

	return texts[error < ARRAY_SIZE(texts) ? error : 0];
}
