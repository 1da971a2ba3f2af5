// SPDX-License-Identifier: GPL-2.0
/*
 * svm/check.c: from a VMCB that VMRUN takes, one thing after the other is
 * broken, and just the manual's rule about it must be named.
 */
#include <string.h>
#include <asm/processor-flags.h>
#include <asm/svm.h>
#include "kselftest_harness.h"
#include "svm/check.h"

static struct vmcb vmcb;
static const struct svm_check_caps caps = {
	.cr4_reserved = ~0x7ff7ffull, .efer_reserved = ~0x7d01ull, .maxphyaddr = 40,
};

enum {
	LONG_CR0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_NE | X86_CR0_ET,
	LONG_EFER = EFER_SVME | EFER_LME | EFER_LMA | EFER_NX,
	CODE64 = 0x9b | SVM_SELECTOR_L_MASK | SVM_SELECTOR_G_MASK,
	INTR = SVM_EVTINJ_TYPE_INTR, NMI = SVM_EVTINJ_TYPE_NMI,
	EXCEPTION = SVM_EVTINJ_TYPE_EXEPT, SOFT = SVM_EVTINJ_TYPE_SOFT,
};

static void real_mode(void)
{
	memset(&vmcb, 0, sizeof(vmcb));
	vmcb.control.intercepts[INTERCEPT_WORD4] = 1;	/* VMRUN */
	vmcb.control.iopm_base_pa = (1ull << 40) - 0x3000;
	vmcb.control.msrpm_base_pa = (1ull << 40) - 0x2000;
	vmcb.control.asid = 1;
	vmcb.control.nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
	vmcb.control.nested_cr3 = 0x1000;
	vmcb.save.efer = EFER_SVME;
	vmcb.save.cr0 = X86_CR0_ET;
	vmcb.save.dr6 = 0xffff0ff0;
	vmcb.save.dr7 = 0x400;
	vmcb.save.g_pat = 0x0007040600070406;
	vmcb.save.cs.attrib = 0x9b;
	vmcb.save.rflags = X86_EFLAGS_FIXED;
}

static void long_mode(void)
{
	real_mode();
	vmcb.save.efer = LONG_EFER;
	vmcb.save.cr0 = LONG_CR0;
	vmcb.save.cr3 = 0x2000;
	vmcb.save.cr4 = X86_CR4_PAE;
	vmcb.save.cs.attrib = CODE64;
}

/* Unpaged and paged legacy modes; SVM lets CR0.PG without PE in, too. */
static void legacy_mode(void)
{
	real_mode();
	vmcb.save.cr0 = X86_CR0_PE | X86_CR0_PG;
	vmcb.save.cr4 = X86_CR4_PAE;
	vmcb.save.cs.attrib = 0x9b | SVM_SELECTOR_DB_MASK | SVM_SELECTOR_L_MASK;
}

static void paged_real_mode(void)
{
	real_mode();
	vmcb.save.cr0 = X86_CR0_PG;
}

static void long_mode_before_paging(void)
{
	long_mode();
	vmcb.save.efer &= ~EFER_LMA;
	vmcb.save.cr0 = X86_CR0_PE;
	vmcb.save.cr4 = 0;
}

static const char *named(void)
{
	unsigned int count;
	const char *line;

	check_clear();
	count = svm_check_entry(&vmcb, &caps);
	for (line = check_broken; (line = strchr(line, '\n')); line++)
		count--;
	return count ? "(counted wrong)" : check_broken;
}

/* What @must is named when @field of a good VMCB becomes @val. */
#define BREAK(state, field, val, must) do {		\
	state();					\
	vmcb.field = val;				\
	EXPECT_STREQ(must, named());			\
} while (0)
#define BREAK2(state, field, val, field2, val2, must) do {	\
	state();					\
	vmcb.field = val;				\
	vmcb.field2 = val2;				\
	EXPECT_STREQ(must, named());			\
} while (0)

TEST(a_vmcb_that_vmrun_takes_breaks_no_rule)
{
	static void (*const states[])(void) = {
		real_mode, legacy_mode, paged_real_mode, long_mode_before_paging, long_mode,
	};
	unsigned int i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		states[i]();
		EXPECT_STREQ("", named());
	}
	EXPECT_NE(NULL, strstr(check_text, "kvm: it breaks no rule that is known here\n"));
}

TEST(a_rule_is_logged_with_its_section_and_values)
{
	long_mode();
	vmcb.save.cr0 |= 1ull << 32;
	EXPECT_EQ(1, svm_check_entry(&vmcb, &caps));
	EXPECT_NE(NULL, strstr(check_text, "kvm: APM 2 \"Canonicalization and Consistency Checks\": CR0: "));
	EXPECT_NE(NULL, strstr(check_text, "CR0 = 0x180000031, CR3 = 0x2000, CR4 = 0x20,"));
}

static void registers(struct __test_metadata *_metadata)
{
	static const char lme_pae[] = "EFER.LME with CR0.PG needs CR4.PAE\n";
	static const char lme_pe[] = "EFER.LME with CR0.PG needs CR0.PE\n";
	static const char l_d[] = "CS.L and CS.D exclude each other in long mode\n";

	BREAK(long_mode, save.efer, LONG_EFER & ~EFER_SVME, "EFER.SVME must be 1\n");
	BREAK(long_mode, save.efer, LONG_EFER | 2, "EFER: reserved bits must be 0\n");
	BREAK(long_mode, save.efer, LONG_EFER | 1ull << 63, "EFER: reserved bits must be 0\n");
	BREAK(long_mode, save.cr0, LONG_CR0 | X86_CR0_NW, "CR0.NW needs CR0.CD\n");
	BREAK(long_mode, save.cr0, LONG_CR0 | X86_CR0_NW | X86_CR0_CD, "");
	BREAK(long_mode, save.cr0, LONG_CR0 | 1ull << 32, "CR0: bits 63:32 must be 0\n");
	BREAK(long_mode, save.cr3, 1ull << 40, "CR3: reserved bits must be 0\n");
	BREAK(long_mode, save.cr3, 1ull << 63, "CR3: reserved bits must be 0\n");
	BREAK(long_mode, save.cr3, (1ull << 40) - 1, "");
	BREAK(long_mode, save.cr4, X86_CR4_PAE | 1ull << 11, "CR4: reserved bits must be 0\n");
	BREAK(long_mode, save.dr6, 1ull << 32, "DR6: bits 63:32 must be 0\n");
	BREAK(long_mode, save.dr7, 1ull << 63, "DR7: bits 63:32 must be 0\n");
	BREAK(long_mode, save.cr4, 0, lme_pae);
	BREAK(long_mode, save.cr0, X86_CR0_PG, lme_pe);
	BREAK(long_mode, save.cs.attrib, CODE64 | SVM_SELECTOR_DB_MASK, l_d);
	BREAK2(long_mode, save.cs.attrib, CODE64 | SVM_SELECTOR_DB_MASK, save.cr4, 0, lme_pae);
	/* LME decides, not LMA */
	BREAK2(long_mode, save.cr4, 0, save.efer, LONG_EFER & ~EFER_LMA, lme_pae);
	BREAK2(long_mode, save.cr4, 0, save.efer, LONG_EFER & ~EFER_LME, "");
}

static void controls(struct __test_metadata *_metadata)
{
	static const char ncr3[] = "nCR3: reserved bits must be 0\n";
	static const char pat[] = "G_PAT: types 0, 1, 4 to 7\n";

	BREAK(long_mode, control.intercepts[INTERCEPT_WORD4], ~1u, "VMRUN must be intercepted\n");
	BREAK(long_mode, control.iopm_base_pa, (1ull << 40) - 0x2000, "IOPM must have physical addresses\n");
	BREAK(long_mode, control.msrpm_base_pa, (1ull << 40) - 0x1000, "MSRPM must have physical addresses\n");
	BREAK(long_mode, control.asid, 0, "ASID must not be 0\n");
	BREAK(long_mode, control.nested_cr3, 1ull << 40, ncr3);
	BREAK2(long_mode, control.nested_cr3, 1ull << 40, control.nested_ctl, 0, "");
	BREAK(long_mode, save.g_pat, 2ull << 56, pat);
	BREAK(long_mode, save.g_pat, 0x10, pat);
	BREAK2(long_mode, save.g_pat, 3, control.nested_ctl, 0, "");
}

static void events(struct __test_metadata *_metadata)
{
	static const char type[] = "EVENTINJ: type must be 0, 2, 3 or 4\n";
	static const char vector[] = "EVENTINJ: vector must be that of an exception\n";
	const u32 valid = SVM_EVTINJ_VALID;

	BREAK(long_mode, control.event_inj, valid | 1 << 8, type);
	BREAK(long_mode, control.event_inj, valid | 5 << 8, type);
	BREAK(long_mode, control.event_inj, valid | 6 << 8, type);
	BREAK(long_mode, control.event_inj, valid | 7 << 8, type);
	BREAK(long_mode, control.event_inj, valid | EXCEPTION | 2, vector);
	BREAK(long_mode, control.event_inj, valid | EXCEPTION | 32, vector);
	BREAK(long_mode, control.event_inj, valid | EXCEPTION | 255, vector);

	BREAK(long_mode, control.event_inj, valid | INTR | 255, "");
	BREAK(long_mode, control.event_inj, valid | NMI | 2, "");
	BREAK(long_mode, control.event_inj, valid | EXCEPTION | 31, "");
	BREAK(long_mode, control.event_inj, valid | SOFT | 0x80, "");
	BREAK(long_mode, control.event_inj, EXCEPTION | 2, "");
}

TEST(register_rules)
{
	registers(_metadata);
}

TEST(control_rules)
{
	controls(_metadata);
}

TEST(event_injection_rules)
{
	events(_metadata);
}

TEST(several_broken_rules_are_all_named)
{
	BREAK2(long_mode, save.dr7, 1ull << 32, control.asid, 0, "DR7: bits 63:32 must be 0\nASID must not be 0\n");
}

TEST(no_rule_is_untested)
{
	registers(_metadata);
	controls(_metadata);
	events(_metadata);
	EXPECT_EQ(NULL, check_unbroken()) {
		TH_LOG("%s", check_unbroken());
	}
	TH_LOG("%u rules", check_count());
}

TEST_HARNESS_MAIN
