// SPDX-License-Identifier: GPL-2.0
/* Offsets for entry.S; Kbuild turns this into offsets.h. */
#include <linux/kbuild.h>
#include "svm.h"

static void __used svm_offsets(void)
{
	OFFSET(SVM_REGS, svm_vcpu, vcpu.regs);
	OFFSET(SVM_VMCB_PA, svm_vcpu, vmcb_pa);
	OFFSET(SVM_SPEC_CTRL, svm_vcpu, spec_ctrl);
	OFFSET(SVM_SPEC_CTRL_OWNED, svm_vcpu, spec_ctrl_owned);
}
