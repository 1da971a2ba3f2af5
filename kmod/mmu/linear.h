/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory by linear address, as the CPU itself would access it. */
#ifndef MMU_LINEAR_H
#define MMU_LINEAR_H

#include "gwalk.h"

/* All of @len bytes (a page at most) or nothing: 0 done, 1 and #PF queued, -EFAULT where there is no RAM. */
int linear_read(struct vcpu *vcpu, gva_t gva, void *data, unsigned int len, int access);
int linear_write(struct vcpu *vcpu, gva_t gva, const void *data, unsigned int len, int access);

/* GDT, LDT and TSS: SDM 3A "Supervisor Mode and User Mode". */
#define LINEAR_SYSTEM	GWALK_IMPLICIT

#endif /* MMU_LINEAR_H */
