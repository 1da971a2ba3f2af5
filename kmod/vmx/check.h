/* SPDX-License-Identifier: GPL-2.0 */
/* Why a VM entry failed, in the manual's words. */
#ifndef VMX_CHECK_H
#define VMX_CHECK_H

#include "caps.h"

/**
 * struct vmx_check - where the checks read from, and whom they tell
 * @read: a field of the current VMCS, by enum vmcs_field; fields that the CPU
 *        lacks are not asked for
 * @report: called once for each rule that is broken, with the manual's section
 *          title, the rule as it should be, and the values that break it
 * @caps: what the CPU allows
 */
struct vmx_check {
	u64	(*read)(unsigned long field);
	void	(*report)(const char *section, const char *rule, u64 a, u64 b);
	const struct vmx_caps *caps;
};

/* check.c: 0 when no rule is broken, else how many are */
unsigned int vmx_check_entry(const struct vmx_check *check);
const char *vmx_instruction_error_text(u32 error);

#endif /* VMX_CHECK_H */
