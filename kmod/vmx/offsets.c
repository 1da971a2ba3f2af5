// SPDX-License-Identifier: GPL-2.0
/* Offsets for entry.S; Kbuild turns this into offsets.h. */
#include <linux/kbuild.h>
#include "vmx.h"

static void __used vmx_offsets(void)
{
	OFFSET(VMX_REGS, vmx_vcpu, vcpu.regs);
	OFFSET(VMX_HOST_RSP, vmx_vcpu, host_rsp);
	OFFSET(VMX_SPEC_CTRL, vmx_vcpu, spec_ctrl);
	OFFSET(VMX_SPEC_CTRL_OWNED, vmx_vcpu, spec_ctrl_owned);
	OFFSET(VMX_LAUNCHED, vmx_vcpu, launched);
	OFFSET(VMX_FAILED, vmx_vcpu, failed);
}
