/* SPDX-License-Identifier: GPL-2.0 */
/* Why VMRUN refused a VMCB, in the manual's words. */
#ifndef SVM_CHECK_H
#define SVM_CHECK_H

#include "../types.h"

struct vmcb;

/**
 * struct svm_check_caps - what depends on the CPU
 * @cr4_reserved: bits that must be 0
 * @efer_reserved: likewise, SVME among the others
 * @maxphyaddr: physical address bits
 */
struct svm_check_caps {
	u64	cr4_reserved, efer_reserved;
	u8	maxphyaddr;
};

unsigned int svm_check_entry(const struct vmcb *vmcb, const struct svm_check_caps *caps);

#endif /* SVM_CHECK_H */
