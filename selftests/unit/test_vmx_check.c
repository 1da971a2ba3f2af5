// SPDX-License-Identifier: GPL-2.0
/*
 * vmx/check.c: from a VMCS that can be entered, one thing after the other is
 * broken, and just the manual's rule about it must be named.
 */
#include <stdio.h>
#include <string.h>
#include <asm/processor-flags.h>
#include <asm/vmx.h>
#include "kselftest_harness.h"
#include "vmx/check.h"

/* ---- a VMCS, and the CPU it is for ---- */

static u64 vmcs[HOST_RIP + 1];
static struct vmx_caps caps;

static u64 vmcs_read(unsigned long field)
{
	return field < ARRAY_SIZE(vmcs) ? vmcs[field] : 0;
}

/* The CPU's own abilities stand in the same table of changes, beyond the VMCS's fields. */
enum {
	CAP_BASIC = 0x10000, CAP_PROC, CAP_PROC2, CAP_MISC, CAP_CR4_FIXED1, CAP_EPT,
	VPID,	/* whose number in the VMCS is 0 */
};

static u64 *value(u32 what)
{
	switch (what) {
	case CAP_BASIC:		return &caps.basic;
	case CAP_PROC:		return &caps.proc;
	case CAP_PROC2:		return &caps.proc2;
	case CAP_MISC:		return &caps.misc;
	case CAP_CR4_FIXED1:	return &caps.cr4_fixed1;
	case CAP_EPT:		return &caps.ept_vpid;
	case VPID:		return &vmcs[VIRTUAL_PROCESSOR_ID];
	default:		return &vmcs[what];
	}
}

enum {
	PIN = 0x16 | PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS,
	PROC_MUST = 0x04006172,
	PROC2 = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID |
		SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_TSC_SCALING,
	EXIT = 0x36dfb | VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE |
		VM_EXIT_LOAD_IA32_PAT | VM_EXIT_LOAD_IA32_EFER,
	ENTRY = 0x11fb | VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_PAT |
		VM_ENTRY_LOAD_IA32_EFER,
	LONG_ENTRY = ENTRY | VM_ENTRY_IA32E_MODE,
	CR0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE,
	EFER = EFER_LMA | EFER_LME | EFER_NX | EFER_SCE,
	CODE = 0x9b, DATA = 0x93, TSS = 0x8b, LDT = 0x82,
	FLAT = VMX_AR_G_MASK | VMX_AR_DB_MASK,
	CODE64 = CODE | VMX_AR_G_MASK | VMX_AR_L_MASK,
	UNUSABLE = VMX_AR_UNUSABLE_MASK,
};

static const u64 PROC = PROC_MUST | CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS |
			CPU_BASED_HLT_EXITING | CPU_BASED_USE_TSC_OFFSETTING;
static const u64 PAT = 0x0007040600070406;
static const u64 KERNEL = 0xffffffff81000000;

static void cpu(void)
{
	caps = (struct vmx_caps) {
		.basic = 1ULL << 55 | 1ULL << 54,
		.pin = 0x7full << 32 | 0x16, .proc = 0xfff9fffeull << 32 | PROC_MUST,
		.proc2 = 0x021fffffull << 32,
		.exit = 0x01ffffffull << 32 | 0x36dfb, .entry = 0x0003ffffull << 32 | 0x11fb,
		.misc = 4 << 16 | VMX_MISC_ACTIVITY_HLT | 1 << 7 | VMX_MISC_ACTIVITY_WAIT_SIPI,
		.cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = X86_CR4_VMXE, .cr4_fixed1 = 0x3767ff,
		.ept_vpid = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_AD_BIT,
		.maxphyaddr = 39,
	};
}

static void segment(u32 i, u16 selector, u64 base, u32 limit, u32 rights)
{
	vmcs[GUEST_ES_SELECTOR + 2 * i] = selector;
	vmcs[GUEST_ES_BASE + 2 * i] = base;
	vmcs[GUEST_ES_LIMIT + 2 * i] = limit;
	vmcs[GUEST_ES_AR_BYTES + 2 * i] = rights;
}

static void controls_and_host(void)
{
	static const u16 code[] = { HOST_CS_SELECTOR, HOST_TR_SELECTOR };
	static const u16 addresses[] = {
		HOST_FS_BASE, HOST_GS_BASE, HOST_TR_BASE, HOST_GDTR_BASE, HOST_IDTR_BASE,
		HOST_IA32_SYSENTER_ESP, HOST_IA32_SYSENTER_EIP, HOST_RSP, HOST_RIP,
	};
	unsigned int i;

	memset(vmcs, 0, sizeof(vmcs));
	vmcs[PIN_BASED_VM_EXEC_CONTROL] = PIN;
	vmcs[CPU_BASED_VM_EXEC_CONTROL] = PROC;
	vmcs[SECONDARY_VM_EXEC_CONTROL] = PROC2;
	vmcs[VM_EXIT_CONTROLS] = EXIT;
	vmcs[VIRTUAL_PROCESSOR_ID] = 1;
	vmcs[TSC_MULTIPLIER] = 1ULL << 48;
	vmcs[MSR_BITMAP] = 0x123000;
	vmcs[EPT_POINTER] = 0x124000 | VMX_EPTP_PWL_4 | VMX_EPTP_MT_WB | VMX_EPTP_AD_ENABLE_BIT;
	vmcs[VMCS_LINK_POINTER] = ~0ull;
	vmcs[HOST_CR0] = CR0 | X86_CR0_PG;
	vmcs[HOST_CR3] = 0x1000;
	vmcs[HOST_CR4] = X86_CR4_PAE | X86_CR4_VMXE | X86_CR4_PCIDE;
	vmcs[HOST_IA32_EFER] = EFER;
	vmcs[HOST_IA32_PAT] = PAT;
	for (i = 0; i < ARRAY_SIZE(code); i++)
		vmcs[code[i]] = 0x10 + 8 * i;
	for (i = 0; i < ARRAY_SIZE(addresses); i++)
		vmcs[addresses[i]] = KERNEL + 64 * i;
}

/* What all guests begin with: real mode. */
static void real_mode(void)
{
	unsigned int i;

	controls_and_host();
	for (i = 0; i < 6; i++)
		segment(i, 0x100, 0x1000, 0xffff, i == 1 ? CODE : DATA);
	segment(6, 0, 0, 0xffff, LDT);
	segment(7, 0, 0, 0xffff, TSS);
	vmcs[VM_ENTRY_CONTROLS] = ENTRY;
	vmcs[GUEST_CR0] = X86_CR0_ET | X86_CR0_NE;
	vmcs[GUEST_CR4] = X86_CR4_VMXE;
	vmcs[GUEST_DR7] = 0x400;
	vmcs[GUEST_IA32_PAT] = PAT;
	vmcs[GUEST_RFLAGS] = X86_EFLAGS_FIXED;
	vmcs[GUEST_RIP] = 0xfff0;
	vmcs[GUEST_GDTR_LIMIT] = vmcs[GUEST_IDTR_LIMIT] = 0xffff;
}

static void protected_mode(void)
{
	unsigned int i;

	real_mode();
	for (i = 0; i < 6; i++)
		segment(i, i == 1 ? 0x08 : 0x10, 0, ~0u, (i == 1 ? CODE : DATA) | FLAT);
	vmcs[GUEST_CR0] = CR0;
}

static void pae_mode(void)
{
	protected_mode();
	vmcs[GUEST_CR0] |= X86_CR0_PG;
	vmcs[GUEST_CR4] |= X86_CR4_PAE;
	vmcs[GUEST_PDPTR0] = 0x5001;
	vmcs[GUEST_PDPTR3] = ~1ull;		/* not present: anything goes */
}

static void v86_mode(void)
{
	unsigned int i;

	protected_mode();
	vmcs[GUEST_RFLAGS] |= X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	for (i = 0; i < 6; i++)
		segment(i, 0x1234, 0x12340, 0xffff, 0xf3);
}

static void long_mode(void)
{
	protected_mode();
	vmcs[VM_ENTRY_CONTROLS] = LONG_ENTRY;
	vmcs[GUEST_CR0] |= X86_CR0_PG | X86_CR0_WP;
	vmcs[GUEST_CR4] |= X86_CR4_PAE | X86_CR4_PCIDE;
	vmcs[GUEST_CR3] = 0x7000;
	vmcs[GUEST_IA32_EFER] = EFER;
	vmcs[GUEST_RIP] = KERNEL;
	vmcs[GUEST_RFLAGS] |= X86_EFLAGS_IF;
	vmcs[GUEST_CS_AR_BYTES] = CODE64;
	vmcs[GUEST_FS_BASE] = 0x7fffffffffff;
	vmcs[GUEST_GS_BASE] = vmcs[GUEST_GDTR_BASE] = vmcs[GUEST_IDTR_BASE] = KERNEL;
	vmcs[GUEST_TR_BASE] = vmcs[GUEST_SYSENTER_EIP] = vmcs[GUEST_SYSENTER_ESP] = KERNEL;
	segment(6, 0, 0, 0, UNUSABLE);
}

/* User mode, 64-bit: CPL 3. */
static void long_user(void)
{
	unsigned int i;

	long_mode();
	for (i = 0; i < 6; i++) {
		vmcs[GUEST_ES_SELECTOR + 2 * i] |= 3;
		vmcs[GUEST_ES_AR_BYTES + 2 * i] |= 3 << VMX_AR_DPL_SHIFT;
	}
}

typedef void (*state_fn)(void);
static const state_fn states[] = { real_mode, protected_mode, pae_mode, v86_mode, long_mode, long_user };

/* ---- one change, one rule ---- */

struct breakage {
	state_fn state;
	const char *broken;		/* all that must be named, a line each; "" nothing */
	struct { u32 what; u64 to; } set[4];
};

static const char *run(const struct breakage *b)
{
	unsigned int i, count, named = 0;
	const char *line;

	cpu();
	b->state();
	for (i = 0; i < ARRAY_SIZE(b->set) && (b->set[i].what); i++)
		*value(b->set[i].what) = b->set[i].to;
	check_clear();
	count = vmx_check_entry(vmcs_read, &caps);
	for (line = check_broken; (line = strchr(line, '\n')); line++)
		named++;
	return count == named ? check_broken : "(counted wrong)";
}

/* Do not stop at the first: a table is read as a whole. */
#define BREAK_ALL(table) do {							\
	unsigned int i_;							\
	for (i_ = 0; i_ < ARRAY_SIZE(table); i_++) {				\
		EXPECT_STREQ(table[i_].broken, run(&table[i_])) {		\
			TH_LOG("row %u of " #table ", field %#x = %#llx", i_,	\
			       table[i_].set[0].what, (unsigned long long)table[i_].set[0].to); \
		}								\
	}									\
} while (0)

TEST(a_vmcs_that_can_be_entered_breaks_no_rule)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		EXPECT_STREQ("", run(&(struct breakage) { .state = states[i] })) {
			TH_LOG("state %u", i);
		}
	}
}

TEST(a_rule_is_logged_with_its_section_and_values)
{
	run(&(struct breakage) { real_mode, "", { { GUEST_RFLAGS, 0x100 } } });
	EXPECT_NE(NULL, strstr(check_text, "kvm: SDM 3C \"Checks on Guest RIP, RFLAGS, and SSP\": RFLAGS: "));
	EXPECT_NE(NULL, strstr(check_text, "kvm:   GUEST_RFLAGS = 0x100\n"));

	run(&(struct breakage) { long_mode, "", { { GUEST_SS_AR_BYTES, DATA | FLAT | 1 << 8 } } });
	EXPECT_NE(NULL, strstr(check_text, "\"Checks on Guest Segment Registers\": SS: rights: "));
	EXPECT_NE(NULL, strstr(check_text, "SS = 0x10, base 0, limit 0xffffffff, rights 0xc193\n"));

	run(&(struct breakage) { .state = long_mode });
	EXPECT_STREQ("kvm: it breaks no rule that is known here\n", check_text);
}

/* SDM 3C "VM-Execution Control Fields" */
static const struct breakage execution[] = {
	{ long_mode, "pin-based: bits as IA32_VMX_PINBASED_CTLS says\n",
		{ { PIN_BASED_VM_EXEC_CONTROL, PIN & ~2 } } },
	{ long_mode, "pin-based: bits as IA32_VMX_PINBASED_CTLS says\n",
		{ { PIN_BASED_VM_EXEC_CONTROL, PIN | PIN_BASED_POSTED_INTR } } },
	{ long_mode, "primary: bits as IA32_VMX_PROCBASED_CTLS says\n",
		{ { CPU_BASED_VM_EXEC_CONTROL, PROC & ~2 } } },
	{ long_mode, "primary: bits as IA32_VMX_PROCBASED_CTLS says\n",
		{ { CPU_BASED_VM_EXEC_CONTROL, PROC | 1 << 17 } } },
	{ long_mode, "secondary: bits as IA32_VMX_PROCBASED_CTLS2 says\n",
		{ { SECONDARY_VM_EXEC_CONTROL, PROC2 | 1u << 30 } } },
	/* not looked at: the primary controls do not activate them */
	{ long_mode, "", { { SECONDARY_VM_EXEC_CONTROL, ~0u },
		{ CPU_BASED_VM_EXEC_CONTROL, PROC & ~(u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS } } },
	{ long_mode, "CR3 targets: too many\n", { { CR3_TARGET_COUNT, 5 } } },
	{ long_mode, "", { { CR3_TARGET_COUNT, 4 } } },
	{ long_mode, "IO_BITMAP_A must be a page's physical address\n",
		{ { CPU_BASED_VM_EXEC_CONTROL, PROC | CPU_BASED_USE_IO_BITMAPS }, { IO_BITMAP_A, 0x800 } } },
	{ long_mode, "IO_BITMAP_B must be a page's physical address\n",
		{ { CPU_BASED_VM_EXEC_CONTROL, PROC | CPU_BASED_USE_IO_BITMAPS }, { IO_BITMAP_B, 1ull << 39 } } },
	{ long_mode, "", { { IO_BITMAP_A, 0x800 }, { IO_BITMAP_B, 1ull << 39 } } },
	{ long_mode, "MSR_BITMAP must be a page's physical address\n", { { MSR_BITMAP, 0x123001 } } },
	{ long_mode, "MSR_BITMAP must be a page's physical address\n", { { MSR_BITMAP, 1ull << 39 } } },
	{ long_mode, "", { { MSR_BITMAP, 1ull << 38 } } },
	{ long_mode, "virtual NMIs need NMI exiting\n",
		{ { PIN_BASED_VM_EXEC_CONTROL, PIN & ~PIN_BASED_NMI_EXITING } } },
	{ long_mode, "NMI-window exiting needs virtual NMIs\n",
		{ { PIN_BASED_VM_EXEC_CONTROL, PIN & ~PIN_BASED_VIRTUAL_NMIS },
		  { CPU_BASED_VM_EXEC_CONTROL, PROC | CPU_BASED_NMI_WINDOW_EXITING } } },
	{ long_mode, "", { { CPU_BASED_VM_EXEC_CONTROL, PROC | CPU_BASED_NMI_WINDOW_EXITING } } },
	{ long_mode, "VPID must not be 0\n", { { VPID, 0 } } },
	{ long_mode, "", { { SECONDARY_VM_EXEC_CONTROL, PROC2 & ~SECONDARY_EXEC_ENABLE_VPID },
		{ VPID, 0 } } },
	{ long_mode, "EPTP: a memory type the CPU has\n", { { EPT_POINTER, 0x124018 | VMX_EPTP_MT_UC } } },
	{ long_mode, "", { { EPT_POINTER, 0x124018 | VMX_EPTP_MT_UC },
		{ CAP_EPT, VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_UC_BIT } } },
	{ long_mode, "EPTP: a memory type the CPU has\n", { { EPT_POINTER, 0x124018 | 1 } } },
	{ long_mode, "EPTP: levels the CPU has\n", { { EPT_POINTER, 0x124006 | VMX_EPTP_PWL_5 } } },
	{ long_mode, "EPTP: levels the CPU has\n", { { EPT_POINTER, 0x124006 } } },
	{ long_mode, "", { { EPT_POINTER, 0x124006 | VMX_EPTP_PWL_5 },
		{ CAP_EPT, VMX_EPT_PAGE_WALK_5_BIT | VMX_EPTP_WB_BIT } } },
	{ long_mode, "EPTP: A/D if the CPU has it\n",
		{ { CAP_EPT, VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT } } },
	{ long_mode, "EPTP: reserved bits must be 0\n", { { EPT_POINTER, 0x12401e | 1 << 11 } } },
	{ long_mode, "EPTP: reserved bits must be 0\n", { { EPT_POINTER, 0x12401e | 1 << 7 } } },
	{ long_mode, "EPTP: reserved bits must be 0\n", { { EPT_POINTER, 0x1e | 1ull << 39 } } },
	{ long_mode, "the page-modification log needs EPT\n", { { SECONDARY_VM_EXEC_CONTROL,
		SECONDARY_EXEC_ENABLE_PML } } },
	{ long_mode, "PML_ADDRESS must be a page's physical address\n", { { PML_ADDRESS, 0x10 },
		{ SECONDARY_VM_EXEC_CONTROL, PROC2 | SECONDARY_EXEC_ENABLE_PML } } },
	{ long_mode, "an unrestricted guest needs EPT\n", { { SECONDARY_VM_EXEC_CONTROL,
		PROC2 & ~SECONDARY_EXEC_ENABLE_EPT } } },
	{ long_mode, "TSC multiplier must not be 0\n", { { TSC_MULTIPLIER, 0 } } },
};

TEST(vm_execution_control_fields)
{
	BREAK_ALL(execution);
}

/* SDM 3C "VM-Exit Control Fields" and "VM-Entry Control Fields" */
#define LIST(name) #name " must be aligned to 16 bytes and have physical addresses\n"
static const struct breakage exits_and_entries[] = {
	{ long_mode, "bits as IA32_VMX_EXIT_CTLS says\n", { { VM_EXIT_CONTROLS, EXIT & ~1 } } },
	{ long_mode, "bits as IA32_VMX_EXIT_CTLS says\n", { { VM_EXIT_CONTROLS, EXIT | 1 << 28 } } },
	{ long_mode, "VMX-preemption timer: saved only if active\n",
		{ { VM_EXIT_CONTROLS, EXIT | VM_EXIT_SAVE_VMX_PREEMPTION_TIMER } } },
	{ long_mode, "", { { VM_EXIT_CONTROLS, EXIT | VM_EXIT_SAVE_VMX_PREEMPTION_TIMER },
		{ PIN_BASED_VM_EXEC_CONTROL, PIN | PIN_BASED_VMX_PREEMPTION_TIMER } } },
	{ long_mode, LIST(VM_EXIT_MSR_STORE), { { VM_EXIT_MSR_STORE_COUNT, 1 }, { VM_EXIT_MSR_STORE_ADDR, 8 } } },
	{ long_mode, LIST(VM_EXIT_MSR_LOAD), { { VM_EXIT_MSR_LOAD_COUNT, 2 },
		{ VM_EXIT_MSR_LOAD_ADDR, (1ull << 39) - 16 } } },
	{ long_mode, "", { { VM_EXIT_MSR_LOAD_COUNT, 1 }, { VM_EXIT_MSR_LOAD_ADDR, (1ull << 39) - 16 } } },
	{ long_mode, LIST(VM_ENTRY_MSR_LOAD), { { VM_ENTRY_MSR_LOAD_COUNT, 1 },
		{ VM_ENTRY_MSR_LOAD_ADDR, 1ull << 39 } } },
	{ long_mode, "", { { VM_ENTRY_MSR_LOAD_ADDR, 8 } } },
	{ long_mode, "bits as IA32_VMX_ENTRY_CTLS says\n", { { VM_ENTRY_CONTROLS, LONG_ENTRY & ~1 } } },
	{ long_mode, "bits as IA32_VMX_ENTRY_CTLS says\n", { { VM_ENTRY_CONTROLS, LONG_ENTRY | 1 << 20 } } },
	{ long_mode, "controls for SMM must be 0\n", { { VM_ENTRY_CONTROLS, LONG_ENTRY | VM_ENTRY_SMM } } },
	{ long_mode, "controls for SMM must be 0\n",
		{ { VM_ENTRY_CONTROLS, LONG_ENTRY | VM_ENTRY_DEACT_DUAL_MONITOR } } },
};

TEST(vm_exit_and_vm_entry_control_fields)
{
	BREAK_ALL(exits_and_entries);
}

#define EVENT(type, vector) VM_ENTRY_INTR_INFO_FIELD, (INTR_INFO_VALID_MASK | INTR_TYPE_##type | (vector))
#define EVENT_ERR(type, vector) VM_ENTRY_INTR_INFO_FIELD, \
	(INTR_INFO_VALID_MASK | INTR_INFO_DELIVER_CODE_MASK | INTR_TYPE_##type | (vector))
#define NO_MTF CAP_PROC, (0xf7f9fffeull << 32 | PROC_MUST)

static const struct breakage events[] = {
	{ long_mode, "", { { EVENT(EXT_INTR, 0xff) } } },
	{ long_mode, "", { { EVENT(NMI_INTR, 2) } } },
	{ long_mode, "", { { EVENT(HARD_EXCEPTION, 6) } } },
	{ long_mode, "", { { EVENT_ERR(HARD_EXCEPTION, 13) }, { VM_ENTRY_EXCEPTION_ERROR_CODE, 0xffff } } },
	{ long_mode, "", { { EVENT(OTHER_EVENT, 0) } } },
	{ long_mode, "", { { EVENT(SOFT_EXCEPTION, 3) }, { VM_ENTRY_INSTRUCTION_LEN, 15 } } },
	/* not valid: whatever it says */
	{ long_mode, "", { { VM_ENTRY_INTR_INFO_FIELD, 0x7fffffff } } },

	{ long_mode, "event type 1 is reserved\n", { { EVENT(RESERVED, 2) } } },
	{ long_mode, "event type 7 is reserved\n", { { EVENT(OTHER_EVENT, 0) }, { NO_MTF } } },
	{ long_mode, "an NMI has vector 2\n", { { EVENT(NMI_INTR, 3) } } },
	{ long_mode, "an exception has a vector up to 31\n", { { EVENT(HARD_EXCEPTION, 32) } } },
	{ long_mode, "an MTF VM exit has vector 0\n", { { EVENT(OTHER_EVENT, 1) } } },
	{ long_mode, "error codes are for exceptions in protected mode\n", { { EVENT_ERR(EXT_INTR, 14) } } },
	{ real_mode, "error codes are for exceptions in protected mode\n", { { EVENT_ERR(HARD_EXCEPTION, 13) } } },
	{ real_mode, "", { { EVENT(HARD_EXCEPTION, 13) } } },
	{ long_mode, "event: bits 30:12 must be 0\n", { { EVENT(EXT_INTR, 0x20 | 1 << 12) } } },
	{ long_mode, "event: bits 30:12 must be 0\n", { { EVENT(EXT_INTR, 0x20 | 1 << 30) } } },
	{ long_mode, "error code: bits 31:16 must be 0\n",
		{ { EVENT_ERR(HARD_EXCEPTION, 14) }, { VM_ENTRY_EXCEPTION_ERROR_CODE, 1 << 16 } } },
	{ long_mode, "", { { EVENT(HARD_EXCEPTION, 6) }, { VM_ENTRY_EXCEPTION_ERROR_CODE, 1 << 16 } } },
	{ long_mode, "instruction length: 15 or less\n",
		{ { EVENT(SOFT_INTR, 0x80) }, { VM_ENTRY_INSTRUCTION_LEN, 16 } } },
	{ long_mode, "instruction length: 15 or less\n",
		{ { EVENT(SOFT_EXCEPTION, 3) }, { VM_ENTRY_INSTRUCTION_LEN, 16 } } },
	{ long_mode, "instruction length: 15 or less\n",
		{ { EVENT(PRIV_SW_EXCEPTION, 1) }, { VM_ENTRY_INSTRUCTION_LEN, 16 } } },
	{ long_mode, "instruction length: not 0\n", { { EVENT(SOFT_INTR, 0x80) } } },
	{ long_mode, "", { { EVENT(SOFT_INTR, 0x80) }, { CAP_MISC, VMX_MISC_ZERO_LEN_INS | 4 << 16 } } },
};

TEST(event_injection)
{
	BREAK_ALL(events);
}

/* SDM 3A "Exception and Interrupt Vectors", the column on error codes; #CP is no rule of old CPUs. */
TEST(just_the_exceptions_that_have_error_codes_take_one)
{
	static const u32 have = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;
	static const char must[] = "error code: just where there is one\n";
	unsigned int vector;

	for (vector = 0; vector < 32; vector++) {
		bool has = have >> vector & 1;
		struct breakage without = { long_mode, "", { { EVENT(HARD_EXCEPTION, vector) } } };
		struct breakage with = { long_mode, "", { { EVENT_ERR(HARD_EXCEPTION, vector) } } };

		EXPECT_STREQ(has ? must : "", run(&without));
		EXPECT_STREQ(has ? "" : must, run(&with));

		/* IA32_VMX_BASIC[56]: the CPU does not mind */
		without.set[1].what = with.set[1].what = CAP_BASIC;
		without.set[1].to = with.set[1].to = 1ull << 56;
		EXPECT_STREQ("", run(&without));
		EXPECT_STREQ("", run(&with));
	}
}

/* SDM 3C "Checks on Host Control Registers, MSRs, and SSP" and the two sections after it */
#define NOT_CANONICAL(field) { long_mode, #field ": must be canonical\n", { { field, 1ull << 47 } } }, \
	{ long_mode, "", { { field, -1ull << 47 } } }, { long_mode, "", { { field, (1ull << 47) - 1 } } }
#define SELECTOR(field) { long_mode, #field ": RPL and TI must be 0\n", { { field, 0x28 | 1 } } }, \
	{ long_mode, #field ": RPL and TI must be 0\n", { { field, 0x28 | 4 } } }

static const struct breakage host[] = {
	{ long_mode, "CR0: bits as IA32_VMX_CR0_FIXED says\n", { { HOST_CR0, X86_CR0_PE | X86_CR0_PG } } },
	{ long_mode, "CR0: bits as IA32_VMX_CR0_FIXED says\n", { { HOST_CR0, X86_CR0_NE | X86_CR0_PG } } },
	{ long_mode, "CR0: bits as IA32_VMX_CR0_FIXED says\n", { { HOST_CR0, CR0 | X86_CR0_PG | 1ull << 32 } } },
	{ long_mode, "", { { HOST_CR0, CR0 | X86_CR0_PG | X86_CR0_CD | X86_CR0_NW } } },
	{ long_mode, "CR4: bits as IA32_VMX_CR4_FIXED says\n", { { HOST_CR4, X86_CR4_PAE } } },
	{ long_mode, "CR4: bits as IA32_VMX_CR4_FIXED says\n",
		{ { HOST_CR4, X86_CR4_PAE | X86_CR4_VMXE | 1ull << 40 } } },
	{ long_mode, "HOST_CR3: must be a physical address\n", { { HOST_CR3, 1ull << 39 } } },
	{ long_mode, "HOST_CR3: must be a physical address\n", { { HOST_CR3, 1ull << 63 } } },
	{ long_mode, "", { { HOST_CR3, (1ull << 39) - 1 } } },
	NOT_CANONICAL(HOST_IA32_SYSENTER_ESP), NOT_CANONICAL(HOST_IA32_SYSENTER_EIP),
	{ long_mode, "PAT: types 0, 1, 4 to 7\n", { { HOST_IA32_PAT, PAT | 2ull << 56 } } },
	{ long_mode, "", { { HOST_IA32_PAT, 2 }, { VM_EXIT_CONTROLS, EXIT & ~VM_EXIT_LOAD_IA32_PAT } } },
	{ long_mode, "EFER: reserved bits must be 0\n", { { HOST_IA32_EFER, EFER | EFER_SVME } } },
	{ long_mode, "EFER: LMA and LME as host address-space size\n", { { HOST_IA32_EFER, EFER & ~EFER_LMA } } },
	{ long_mode, "EFER: LMA and LME as host address-space size\n", { { HOST_IA32_EFER, EFER & ~EFER_LME } } },
	{ long_mode, "", { { HOST_IA32_EFER, 0 }, { VM_EXIT_CONTROLS, EXIT & ~VM_EXIT_LOAD_IA32_EFER } } },

	SELECTOR(HOST_ES_SELECTOR), SELECTOR(HOST_CS_SELECTOR), SELECTOR(HOST_SS_SELECTOR),
	SELECTOR(HOST_DS_SELECTOR), SELECTOR(HOST_FS_SELECTOR), SELECTOR(HOST_GS_SELECTOR),
	SELECTOR(HOST_TR_SELECTOR),
	{ long_mode, "HOST_CS_SELECTOR: must not be null\n", { { HOST_CS_SELECTOR, 0 } } },
	{ long_mode, "HOST_TR_SELECTOR: must not be null\n", { { HOST_TR_SELECTOR, 0 } } },
	NOT_CANONICAL(HOST_FS_BASE), NOT_CANONICAL(HOST_GS_BASE), NOT_CANONICAL(HOST_TR_BASE),
	NOT_CANONICAL(HOST_GDTR_BASE), NOT_CANONICAL(HOST_IDTR_BASE),

	{ long_mode, "host address-space size must be 1\n",
		{ { VM_EXIT_CONTROLS, EXIT & ~VM_EXIT_HOST_ADDR_SPACE_SIZE } } },
	{ long_mode, "CR4.PAE must be 1\n", { { HOST_CR4, X86_CR4_VMXE } } },
	NOT_CANONICAL(HOST_RIP),
};

TEST(host_state)
{
	BREAK_ALL(host);
}

/* SDM 3C "Checks on Guest Control Registers, Debug Registers, and MSRs" */
#define LONG_CR0 (CR0 | X86_CR0_PG)
#define LONG_CR4 (X86_CR4_VMXE | X86_CR4_PAE)
static const struct breakage registers[] = {
	{ long_mode, "CR0: bits as IA32_VMX_CR0_FIXED says\n", { { GUEST_CR0, LONG_CR0 & ~X86_CR0_NE } } },
	{ long_mode, "CR0: bits as IA32_VMX_CR0_FIXED says\n", { { GUEST_CR0, LONG_CR0 | 1ull << 63 } } },
	{ long_mode, "", { { GUEST_CR0, LONG_CR0 | X86_CR0_NW | X86_CR0_CD } } },
	{ real_mode, "CR0.PG needs CR0.PE\n", { { GUEST_CR0, X86_CR0_NE | X86_CR0_PG } } },
	{ long_mode, "CR4: bits as IA32_VMX_CR4_FIXED says\n", { { GUEST_CR4, X86_CR4_PAE } } },
	{ long_mode, "CR4: bits as IA32_VMX_CR4_FIXED says\n", { { GUEST_CR4, LONG_CR4 | X86_CR4_LA57 } } },
	{ long_mode, "IA-32e mode needs CR0.PG and CR4.PAE\n", { { GUEST_CR0, CR0 } } },
	{ long_mode, "IA-32e mode needs CR0.PG and CR4.PAE\n", { { GUEST_CR4, X86_CR4_VMXE } } },
	{ pae_mode, "CR4.PCIDE needs IA-32e mode\n", { { GUEST_CR4, LONG_CR4 | X86_CR4_PCIDE } } },
	{ long_mode, "GUEST_CR3: must be a physical address\n", { { GUEST_CR3, 1ull << 39 } } },
	{ long_mode, "GUEST_CR3: must be a physical address\n", { { GUEST_CR3, 1ull << 63 } } },
	{ long_mode, "IA32_DEBUGCTL: reserved bits must be 0\n", { { GUEST_IA32_DEBUGCTL, 1 << 3 } } },
	{ long_mode, "IA32_DEBUGCTL: reserved bits must be 0\n", { { GUEST_IA32_DEBUGCTL, 1 << 5 } } },
	{ long_mode, "IA32_DEBUGCTL: reserved bits must be 0\n", { { GUEST_IA32_DEBUGCTL, 1ull << 16 } } },
	{ long_mode, "", { { GUEST_IA32_DEBUGCTL, 3 } } },
	{ long_mode, "", { { GUEST_IA32_DEBUGCTL, 1 << 3 }, { GUEST_DR7, 1ull << 32 },
		{ VM_ENTRY_CONTROLS, LONG_ENTRY & ~VM_ENTRY_LOAD_DEBUG_CONTROLS } } },
	{ long_mode, "DR7: bits 63:32 must be 0\n", { { GUEST_DR7, 1ull << 32 } } },
	NOT_CANONICAL(GUEST_SYSENTER_ESP), NOT_CANONICAL(GUEST_SYSENTER_EIP),
	{ long_mode, "PAT: types 0, 1, 4 to 7\n", { { GUEST_IA32_PAT, 3 } } },
	{ long_mode, "PAT: types 0, 1, 4 to 7\n", { { GUEST_IA32_PAT, 8 } } },
	{ long_mode, "", { { GUEST_IA32_PAT, 8 }, { VM_ENTRY_CONTROLS, LONG_ENTRY & ~VM_ENTRY_LOAD_IA32_PAT } } },
	{ long_mode, "EFER: reserved bits must be 0\n", { { GUEST_IA32_EFER, EFER | 2 } } },
	{ long_mode, "EFER: reserved bits must be 0\n", { { GUEST_IA32_EFER, EFER | 1ull << 32 } } },
	{ real_mode, "EFER.LMA must be as IA-32e mode guest\n", { { GUEST_IA32_EFER, EFER } } },
	{ real_mode, "", { { GUEST_IA32_EFER, EFER_LME } } },
	{ pae_mode, "EFER.LMA must be as LME with CR0.PG\n", { { GUEST_IA32_EFER, EFER_LME } } },
	{ long_mode, "EFER.LMA must be as LME with CR0.PG\n", { { GUEST_IA32_EFER, EFER_LMA } } },
	{ long_mode, "", { { GUEST_IA32_EFER, 0 }, { VM_ENTRY_CONTROLS, LONG_ENTRY & ~VM_ENTRY_LOAD_IA32_EFER } } },
};

TEST(guest_control_registers_debug_registers_and_msrs)
{
	BREAK_ALL(registers);
}

/* SDM 3C "Checks on Guest Segment Registers", what holds for a kind */
#define TYPE_OF(seg) #seg ": type must be one that this register can have\n"
#define CPL3(rights) ((rights) | 3 << VMX_AR_DPL_SHIFT)
static const struct breakage segments[] = {
	{ long_mode, TYPE_OF(CS), { { GUEST_CS_AR_BYTES, CODE64 & ~1 } } },
	{ long_mode, TYPE_OF(CS), { { GUEST_CS_AR_BYTES, CODE64 ^ 0xb ^ 0x7 } } },
	{ protected_mode, "", { { GUEST_CS_AR_BYTES, DATA | FLAT } } },
	{ protected_mode, "CS: DPL must be 0 for type 3\n", { { GUEST_CS_AR_BYTES, DATA | FLAT | 1 << 5 } } },
	{ long_mode, "CS: DPL must be SS.DPL for types 9 and 11\n", { { GUEST_CS_AR_BYTES, CODE64 | 1 << 5 } } },
	{ long_user, "CS: DPL must be SS.DPL for types 9 and 11\n", { { GUEST_CS_AR_BYTES, CODE64 ^ 2 } } },
	{ long_user, "", { { GUEST_CS_AR_BYTES, CODE64 | 4 } } },
	{ long_user, "", { { GUEST_CS_AR_BYTES, CPL3(CODE64 | 4) } } },
	{ long_mode, "CS: DPL must not exceed SS.DPL for types 13 and 15\n",
		{ { GUEST_CS_AR_BYTES, CODE64 | 4 | 1 << 5 } } },
	{ long_mode, "CS: DPL must not exceed SS.DPL for types 13 and 15\n",
		{ { GUEST_CS_AR_BYTES, (CODE64 ^ 2) | 4 | 1 << 5 } } },
	{ long_mode, "CS: D must be 0 for 64-bit code\n", { { GUEST_CS_AR_BYTES, CODE64 | VMX_AR_DB_MASK } } },
	{ pae_mode, "", { { GUEST_CS_AR_BYTES, CODE64 | VMX_AR_DB_MASK } } },
	/* CS is looked at even if it is unusable */
	{ long_mode, "CS: bits 63:32 of the base must be 0\n"
		     "CS: type must be one that this register can have\n"
		     "CS: S must be 1 for code and data, 0 for LDTR and TR\nCS: must be present\n"
		     "RIP: bits 63:32 must be 0 outside 64-bit mode\n",
		{ { GUEST_CS_AR_BYTES, UNUSABLE }, { GUEST_CS_LIMIT, 0xffff }, { GUEST_CS_BASE, 1ull << 32 } } },

	{ protected_mode, TYPE_OF(SS), { { GUEST_SS_AR_BYTES, (DATA | FLAT) ^ 1 } } },
	{ protected_mode, TYPE_OF(SS), { { GUEST_SS_AR_BYTES, CODE | FLAT } } },
	{ protected_mode, "", { { GUEST_SS_AR_BYTES, DATA | FLAT | 4 } } },
	{ protected_mode, "", { { GUEST_SS_AR_BYTES, UNUSABLE }, { GUEST_SS_BASE, 1ull << 32 } } },
	{ real_mode, "SS: DPL must be 0 in real mode\n",
		{ { GUEST_SS_AR_BYTES, DATA | 1 << 5 }, { GUEST_CS_AR_BYTES, CODE | 1 << 5 } } },
	{ protected_mode, "SS: DPL must be 0 with CS of type 3\n",
		{ { GUEST_SS_AR_BYTES, CPL3(DATA | FLAT) }, { GUEST_CS_AR_BYTES, DATA | FLAT } } },
	/* also of one that is unusable */
	{ real_mode, "SS: DPL must be 0 in real mode\nCS: DPL must be SS.DPL for types 9 and 11\n",
		{ { GUEST_SS_AR_BYTES, CPL3(UNUSABLE) } } },

	{ protected_mode, TYPE_OF(DS), { { GUEST_DS_AR_BYTES, (DATA | FLAT) ^ 1 } } },
	{ protected_mode, TYPE_OF(ES), { { GUEST_ES_AR_BYTES, (CODE | FLAT) ^ 2 } } },
	{ protected_mode, "", { { GUEST_FS_AR_BYTES, CODE | FLAT }, { GUEST_GS_AR_BYTES, (DATA | FLAT) ^ 2 } } },

	{ long_mode, TYPE_OF(LDTR), { { GUEST_LDTR_AR_BYTES, LDT ^ 1 } } },
	{ long_mode, "LDTR: TI must be 0\n", { { GUEST_LDTR_AR_BYTES, LDT }, { GUEST_LDTR_SELECTOR, 0x2c } } },
	{ long_mode, "", { { GUEST_LDTR_SELECTOR, 0x2c }, { GUEST_LDTR_BASE, 1ull << 47 } } },
	{ long_mode, TYPE_OF(TR), { { GUEST_TR_AR_BYTES, TSS ^ 2 } } },
	{ long_mode, "TR: type must be 11 in IA-32e mode\n", { { GUEST_TR_AR_BYTES, TSS ^ 8 } } },
	{ pae_mode, "", { { GUEST_TR_AR_BYTES, TSS ^ 8 } } },
	{ long_mode, "TR: must be usable\n", { { GUEST_TR_AR_BYTES, TSS | UNUSABLE } } },
	{ long_mode, "TR: TI must be 0\n", { { GUEST_TR_SELECTOR, 0x44 } } },

	{ long_mode, "GS: base must be canonical\n", { { GUEST_GS_BASE, 1ull << 63 } } },
	{ long_mode, "DS: bits 63:32 of the base must be 0\n", { { GUEST_DS_BASE, 1ull << 32 } } },
	{ long_mode, "DS: S must be 1 for code and data, 0 for LDTR and TR\n",
		{ { GUEST_DS_AR_BYTES, (DATA | FLAT) & ~VMX_AR_S_MASK } } },
	{ long_mode, "DS: must be present\n", { { GUEST_DS_AR_BYTES, (DATA | FLAT) & ~VMX_AR_P_MASK } } },
	{ long_mode, "DS: rights: reserved bits must be 0\n", { { GUEST_DS_AR_BYTES, DATA | FLAT | 1 << 9 } } },
	{ long_mode, "DS: G must be 0: the limit ends within a page\n", { { GUEST_DS_LIMIT, 0xfffff000 } } },
	{ long_mode, "DS: G must be 0: the limit ends within a page\n", { { GUEST_DS_LIMIT, 0xfffff7ff } } },
	{ long_mode, "DS: G must be 1: the limit is 1M or more\n", { { GUEST_DS_AR_BYTES, DATA } } },
	{ v86_mode, "ES: base must be 16 selectors in virtual-8086 mode\n", { { GUEST_ES_BASE, 0 } } },
	{ v86_mode, "CS: limit must be 0xffff in virtual-8086 mode\n", { { GUEST_CS_LIMIT, ~0u } } },
	{ v86_mode, "SS: rights must be 0xf3 in virtual-8086 mode\n", { { GUEST_SS_AR_BYTES, UNUSABLE } } },
};

TEST(guest_segment_registers)
{
	BREAK_ALL(segments);
}

static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };

/* What @must holds of segment @i, and of it alone. */
#define EXPECT_SEGMENT(i, must, state, ...) do {				\
	struct breakage b_ = { state, "", { __VA_ARGS__ } };			\
	char want_[128] = "";							\
	if (*(must))								\
		snprintf(want_, sizeof(want_), "%s: %s\n", names[i], must);	\
	EXPECT_STREQ(want_, run(&b_));						\
} while (0)

/* ... and what holds for each of them, in a mode where all are usable */
TEST(each_guest_segment_register)
{
	u32 rights, i;

	for (i = 0; i < 8; i++) {
		u32 ar = GUEST_ES_AR_BYTES + 2 * i, limit = GUEST_ES_LIMIT + 2 * i;

		pae_mode();
		rights = vmcs[ar];
		EXPECT_SEGMENT(i, "S must be 1 for code and data, 0 for LDTR and TR", pae_mode,
			       { ar, rights ^ VMX_AR_S_MASK });
		EXPECT_SEGMENT(i, "must be present", pae_mode, { ar, rights & ~VMX_AR_P_MASK });
		EXPECT_SEGMENT(i, "rights: reserved bits must be 0", pae_mode, { ar, rights | 1 << 8 });
		EXPECT_SEGMENT(i, "rights: reserved bits must be 0", pae_mode, { ar, rights | 1 << 11 });
		EXPECT_SEGMENT(i, "rights: reserved bits must be 0", pae_mode, { ar, rights | 1 << 17 });
		EXPECT_SEGMENT(i, "rights: reserved bits must be 0", pae_mode, { ar, rights | 1u << 31 });
		EXPECT_SEGMENT(i, "G must be 1: the limit is 1M or more", pae_mode,
			       { ar, rights & ~VMX_AR_G_MASK }, { limit, 0x100fff });
		EXPECT_SEGMENT(i, "G must be 0: the limit ends within a page", pae_mode,
			       { ar, rights | VMX_AR_G_MASK }, { limit, 0xffffe });
		EXPECT_SEGMENT(i, "", pae_mode, { ar, rights & ~VMX_AR_G_MASK }, { limit, 0xffffe });
		EXPECT_SEGMENT(i, "", pae_mode, { ar, rights | VMX_AR_G_MASK }, { limit, 0xfff });
	}
}

TEST(bases_of_guest_segment_registers)
{
	u32 i;

	for (i = 0; i < 8; i++) {
		u32 base = GUEST_ES_BASE + 2 * i, ar = GUEST_ES_AR_BYTES + 2 * i;
		const char *canonical = i < 4 ? "" : "base must be canonical";

		EXPECT_SEGMENT(i, i < 4 ? "bits 63:32 of the base must be 0" : "", pae_mode, { base, KERNEL });
		EXPECT_SEGMENT(i, i < 4 ? "bits 63:32 of the base must be 0" : canonical, pae_mode,
			       { base, 1ull << 47 });
		EXPECT_SEGMENT(i, "", pae_mode, { base, 0xffffffff });
		if (i == 1 || i == 7)
			continue;
		/* unusable: FS's and GS's base count all the same */
		EXPECT_SEGMENT(i, i == 4 || i == 5 ? canonical : "", pae_mode,
			       { base, 1ull << 47 }, { ar, UNUSABLE });
	}
}

TEST(guest_segment_registers_in_virtual_8086_mode)
{
	u32 i;

	for (i = 0; i < 6; i++) {
		EXPECT_SEGMENT(i, "base must be 16 selectors in virtual-8086 mode", v86_mode,
			       { GUEST_ES_BASE + 2 * i, 0x12341 });
		EXPECT_SEGMENT(i, "limit must be 0xffff in virtual-8086 mode", v86_mode,
			       { GUEST_ES_LIMIT + 2 * i, 0xfffff });
		EXPECT_SEGMENT(i, "rights must be 0xf3 in virtual-8086 mode", v86_mode,
			       { GUEST_ES_AR_BYTES + 2 * i, 0x93 });
	}
	EXPECT_SEGMENT(7, "must be usable", v86_mode, { GUEST_TR_AR_BYTES, TSS | UNUSABLE });
}

/* SDM 3C "Checks on Guest Descriptor-Table Registers" and "Checks on Guest RIP, RFLAGS, and SSP" */
#define RESERVED_FLAG(bit) { long_mode, "RFLAGS: reserved bits must be 0\n", \
	{ { GUEST_RFLAGS, X86_EFLAGS_FIXED | 1ull << (bit) } } }
static const struct breakage tables_and_rip[] = {
	NOT_CANONICAL(GUEST_GDTR_BASE), NOT_CANONICAL(GUEST_IDTR_BASE),
	{ long_mode, "GUEST_GDTR_LIMIT: bits 31:16 must be 0\n", { { GUEST_GDTR_LIMIT, 0x10000 } } },
	{ long_mode, "GUEST_IDTR_LIMIT: bits 31:16 must be 0\n", { { GUEST_IDTR_LIMIT, 0x80000000 } } },

	{ pae_mode, "RIP: bits 63:32 must be 0 outside 64-bit mode\n", { { GUEST_RIP, 1ull << 32 } } },
	{ long_mode, "RIP: bits 63:32 must be 0 outside 64-bit mode\n", { { GUEST_CS_AR_BYTES, CODE | FLAT } } },
	{ pae_mode, "", { { GUEST_RIP, 0xffffffff } } },
	{ long_mode, "RIP: bits beyond its width must be alike\n", { { GUEST_RIP, 1ull << 48 } } },
	{ long_mode, "RIP: bits beyond its width must be alike\n", { { GUEST_RIP, 1ull << 63 } } },
	/* it need not be canonical */
	{ long_mode, "", { { GUEST_RIP, 1ull << 47 } } },
	{ long_mode, "", { { GUEST_RIP, -1ull << 48 } } },
	RESERVED_FLAG(3), RESERVED_FLAG(5), RESERVED_FLAG(15), RESERVED_FLAG(22), RESERVED_FLAG(63),
	{ long_mode, "", { { GUEST_RFLAGS, 0x3d7fd7 } } },
	{ long_mode, "RFLAGS: bit 1 must be 1\n", { { GUEST_RFLAGS, 0 } } },
	{ v86_mode, "RFLAGS.VM needs CR0.PE, without IA-32e mode\n", { { GUEST_CR0, X86_CR0_NE } } },
	{ v86_mode, "RFLAGS.VM needs CR0.PE, without IA-32e mode\n", { { VM_ENTRY_CONTROLS, LONG_ENTRY },
		{ GUEST_CR0, LONG_CR0 }, { GUEST_CR4, LONG_CR4 }, { GUEST_IA32_EFER, EFER } } },
	{ long_mode, "RFLAGS.IF must be 1 for an external interrupt\n",
		{ { GUEST_RFLAGS, X86_EFLAGS_FIXED }, { EVENT(EXT_INTR, 0x20) } } },
	{ long_mode, "", { { GUEST_RFLAGS, X86_EFLAGS_FIXED }, { EVENT(NMI_INTR, 2) } } },
};

TEST(guest_descriptor_tables_rip_and_rflags)
{
	BREAK_ALL(tables_and_rip);
}

/* A CPU with 57-bit linear addresses takes them in all modes. */
TEST(linear_addresses_are_as_wide_as_the_cpu_can_have_them)
{
	static const struct breakage wide[] = {
		{ long_mode, "", { { CAP_CR4_FIXED1, 0x3777ff }, { GUEST_GS_BASE, 1ull << 47 } } },
		{ long_mode, "GS: base must be canonical\n",
			{ { CAP_CR4_FIXED1, 0x3777ff }, { GUEST_GS_BASE, 1ull << 56 } } },
		{ long_mode, "", { { CAP_CR4_FIXED1, 0x3777ff }, { GUEST_RIP, 1ull << 56 } } },
		{ long_mode, "RIP: bits beyond its width must be alike\n",
			{ { CAP_CR4_FIXED1, 0x3777ff }, { GUEST_RIP, 1ull << 57 } } },
	};

	BREAK_ALL(wide);
}

/* SDM 3C "Checks on Guest Non-Register State" */
#define STI GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_STI
#define MOV_SS GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_MOV_SS
#define ACTIVITY(state) GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_##state
#define NO_HLT_EVENT "HLT state: no event but interrupts, NMI, MTF, #DB and #MC\n"
#define NO_SHUTDOWN_EVENT "shutdown state: no event but NMI and #MC\n"
#define TF (X86_EFLAGS_FIXED | X86_EFLAGS_IF | X86_EFLAGS_TF)
#define BS_RULE "pending debug exceptions: BS must be as RFLAGS.TF without IA32_DEBUGCTL.BTF\n"
#define LINK_RULE "VMCS link pointer: ~0 or a page's\n"

static const struct breakage others[] = {
	{ long_mode, "", { { ACTIVITY(HLT) } } },
	{ long_mode, "", { { ACTIVITY(SHUTDOWN) } } },
	{ long_mode, "", { { ACTIVITY(WAIT_SIPI) } } },
	{ long_mode, "activity state: as IA32_VMX_MISC says\n", { { GUEST_ACTIVITY_STATE, 4 } } },
	{ long_mode, "activity state: as IA32_VMX_MISC says\n", { { GUEST_ACTIVITY_STATE, 0x80000001 } } },
	{ long_mode, "activity state: as IA32_VMX_MISC says\n",
		{ { ACTIVITY(SHUTDOWN) }, { CAP_MISC, 4 << 16 | VMX_MISC_ACTIVITY_HLT } } },
	{ long_user, "HLT state needs SS.DPL 0\n", { { ACTIVITY(HLT) } } },
	{ long_mode, "blocking by STI or MOV SS needs the active state\n", { { ACTIVITY(HLT) }, { STI } } },
	{ long_mode, "blocking by STI or MOV SS needs the active state\n", { { ACTIVITY(SHUTDOWN) }, { MOV_SS } } },
	{ long_mode, "", { { ACTIVITY(HLT) }, { EVENT(EXT_INTR, 0x20) } } },
	{ long_mode, "", { { ACTIVITY(HLT) }, { EVENT(NMI_INTR, 2) } } },
	{ long_mode, "", { { ACTIVITY(HLT) }, { EVENT(HARD_EXCEPTION, 1) } } },
	{ long_mode, "", { { ACTIVITY(HLT) }, { EVENT(HARD_EXCEPTION, 18) } } },
	{ long_mode, "", { { ACTIVITY(HLT) }, { EVENT(OTHER_EVENT, 0) } } },
	{ long_mode, NO_HLT_EVENT, { { ACTIVITY(HLT) }, { EVENT(HARD_EXCEPTION, 6) } } },
	{ long_mode, NO_HLT_EVENT, { { ACTIVITY(HLT) }, { EVENT(SOFT_INTR, 1) }, { VM_ENTRY_INSTRUCTION_LEN, 2 } } },
	{ long_mode, "", { { ACTIVITY(SHUTDOWN) }, { EVENT(NMI_INTR, 2) } } },
	{ long_mode, "", { { ACTIVITY(SHUTDOWN) }, { EVENT(HARD_EXCEPTION, 18) } } },
	{ long_mode, NO_SHUTDOWN_EVENT, { { ACTIVITY(SHUTDOWN) }, { EVENT(HARD_EXCEPTION, 1) } } },
	{ long_mode, NO_SHUTDOWN_EVENT, { { ACTIVITY(SHUTDOWN) }, { EVENT(EXT_INTR, 18) } } },
	{ long_mode, "wait-for-SIPI state: no event\n", { { ACTIVITY(WAIT_SIPI) }, { EVENT(NMI_INTR, 2) } } },

	{ long_mode, "interruptibility: reserved bits must be 0\n", { { GUEST_INTERRUPTIBILITY_INFO, 1 << 5 } } },
	{ long_mode, "interruptibility: reserved bits must be 0\n", { { GUEST_INTERRUPTIBILITY_INFO, 1u << 31 } } },
	{ long_mode, "", { { STI } } },
	{ long_mode, "", { { MOV_SS } } },
	{ long_mode, "", { { GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI } } },
	{ long_mode, "blocking by STI excludes blocking by MOV SS\n", { { GUEST_INTERRUPTIBILITY_INFO, 3 } } },
	{ real_mode, "blocking by STI needs RFLAGS.IF\n", { { STI } } },
	{ long_mode, "blocking by STI or MOV SS excludes an interrupt\n", { { STI }, { EVENT(EXT_INTR, 0x20) } } },
	{ long_mode, "blocking by STI or MOV SS excludes an interrupt\n", { { MOV_SS }, { EVENT(EXT_INTR, 2) } } },
	{ long_mode, "blocking by MOV SS (STI: on some CPUs) excludes an NMI\n", { { MOV_SS }, { EVENT(NMI_INTR, 2) } } },
	{ long_mode, "blocking by MOV SS (STI: on some CPUs) excludes an NMI\n", { { STI }, { EVENT(NMI_INTR, 2) } } },
	{ long_mode, "", { { MOV_SS }, { EVENT(HARD_EXCEPTION, 6) } } },
	{ long_mode, "blocking by SMI is for SMM\n", { { GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_SMI } } },
	{ long_mode, "blocking by NMI excludes a virtual NMI\n",
		{ { GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI }, { EVENT(NMI_INTR, 2) } } },
	{ long_mode, "", { { GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI }, { EVENT(NMI_INTR, 2) },
		{ PIN_BASED_VM_EXEC_CONTROL, PIN & ~PIN_BASED_VIRTUAL_NMIS } } },

	{ long_mode, "pending debug exceptions: reserved bits must be 0\n", { { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 4 } } },
	{ long_mode, "pending debug exceptions: reserved bits must be 0\n", { { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 13 } } },
	{ long_mode, "pending debug exceptions: reserved bits must be 0\n", { { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 15 } } },
	{ long_mode, "pending debug exceptions: reserved bits must be 0\n", { { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 17 } } },
	{ long_mode, "", { { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14 | 1 << 12 | 0xf } } },
	{ long_mode, BS_RULE, { { STI }, { GUEST_RFLAGS, TF } } },
	{ long_mode, BS_RULE, { { MOV_SS }, { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14 } } },
	{ long_mode, BS_RULE, { { ACTIVITY(HLT) }, { GUEST_RFLAGS, TF } } },
	{ long_mode, BS_RULE, { { STI }, { GUEST_RFLAGS, TF }, { GUEST_IA32_DEBUGCTL, 2 },
		{ GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14 } } },
	{ long_mode, "", { { STI }, { GUEST_RFLAGS, TF }, { GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14 } } },
	{ long_mode, "", { { STI }, { GUEST_RFLAGS, TF }, { GUEST_IA32_DEBUGCTL, 2 } } },
	{ long_mode, "", { { GUEST_RFLAGS, TF } } },

	{ long_mode, LINK_RULE, { { VMCS_LINK_POINTER, 0x1001 } } },
	{ long_mode, LINK_RULE, { { VMCS_LINK_POINTER, 0x1800 } } },
	{ long_mode, LINK_RULE, { { VMCS_LINK_POINTER, 1ull << 39 } } },
	{ long_mode, "", { { VMCS_LINK_POINTER, 0x1000 } } },
};

TEST(guest_non_register_state)
{
	BREAK_ALL(others);
}

/* SDM 3C "Checks on Guest Page-Directory-Pointer-Table Entries" */
static const struct breakage pdptes[] = {
#define PDPTE(field, bits) { pae_mode, "if present, reserved bits must be 0\n", { { field, 0x5001 | (bits) } } }
	PDPTE(GUEST_PDPTR0, 1 << 1), PDPTE(GUEST_PDPTR1, 1 << 2), PDPTE(GUEST_PDPTR2, 1 << 5),
	PDPTE(GUEST_PDPTR3, 1 << 8), PDPTE(GUEST_PDPTR0, 1ull << 39), PDPTE(GUEST_PDPTR1, 1ull << 63),
	{ pae_mode, "", { { GUEST_PDPTR0, 0x5001 | 1 << 3 | 1 << 4 | 7 << 9 } } },
	{ pae_mode, "", { { GUEST_PDPTR0, ~1ull } } },
	/* other paging modes have none */
	{ long_mode, "", { { GUEST_PDPTR0, ~0ull } } },
	{ protected_mode, "", { { GUEST_PDPTR0, ~0ull }, { GUEST_CR4, LONG_CR4 } } },
	{ protected_mode, "", { { GUEST_PDPTR0, ~0ull }, { GUEST_CR0, LONG_CR0 } } },
};

TEST(guest_pdptes)
{
	BREAK_ALL(pdptes);
}

/* ---- and that is all ---- */

TEST(several_broken_rules_are_all_named)
{
	EXPECT_STREQ("VPID must not be 0\nHOST_CS_SELECTOR: must not be null\n"
		     "RFLAGS: bit 1 must be 1\n",
		     run(&(struct breakage) { protected_mode, "", { { VPID, 0 },
				{ HOST_CS_SELECTOR, 0 }, { GUEST_RFLAGS, 0x40 } } }));
}

TEST(no_rule_is_untested)
{
#define TABLE(name) { name, ARRAY_SIZE(name) }
	static const struct { const struct breakage *rows; u32 nr; } tables[] = {
		TABLE(execution), TABLE(exits_and_entries), TABLE(events), TABLE(host), TABLE(registers),
		TABLE(segments), TABLE(tables_and_rip), TABLE(others), TABLE(pdptes),
	};
	u32 table, row;

	run(&(struct breakage) { long_mode, "", { { EVENT(HARD_EXCEPTION, 14) } } });
	for (table = 0; table < ARRAY_SIZE(tables); table++)
		for (row = 0; row < tables[table].nr; row++)
			run(&tables[table].rows[row]);
	EXPECT_EQ(NULL, check_unbroken()) {
		TH_LOG("%s", check_unbroken());
	}
	TH_LOG("%u rules", check_count());
}

TEST(instruction_errors_have_texts)
{
	u32 error;

	for (error = 1; error <= 28; error++) {
		bool unknown = error == 14 || error == 21 || error == 27;

		EXPECT_EQ(unknown, !strcmp("unknown", vmx_instruction_error_text(error)));
	}
	EXPECT_STREQ("VM entry: bad control field",
		     vmx_instruction_error_text(VMXERR_ENTRY_INVALID_CONTROL_FIELD));
	EXPECT_STREQ("VM entry: events blocked by MOV SS",
		     vmx_instruction_error_text(VMXERR_ENTRY_EVENTS_BLOCKED_BY_MOV_SS));
	EXPECT_STREQ("INVEPT or INVVPID: bad operand",
		     vmx_instruction_error_text(VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID));
	EXPECT_STREQ("unknown", vmx_instruction_error_text(0));
	EXPECT_STREQ("unknown", vmx_instruction_error_text(29));
	EXPECT_STREQ("unknown", vmx_instruction_error_text(~0u));
}

TEST_HARNESS_MAIN
