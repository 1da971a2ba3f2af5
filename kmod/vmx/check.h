/* SPDX-License-Identifier: GPL-2.0 */
/* Why a VM entry failed, in the manual's words. */
#ifndef VMX_CHECK_H
#define VMX_CHECK_H

#include "caps.h"

unsigned int vmx_check_entry(u64 (*read)(unsigned long field), const struct vmx_caps *caps);
const char *vmx_instruction_error_text(u32 error);

#endif /* VMX_CHECK_H */
