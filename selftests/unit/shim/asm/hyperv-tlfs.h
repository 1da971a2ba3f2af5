/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <asm/hyperv-tlfs.h>: <asm/svm.h> wants the size of one struct. */
#ifndef SHIM_HYPERV_TLFS_H
#define SHIM_HYPERV_TLFS_H

struct hv_vmcb_enlightenments { unsigned char bytes[32]; };

#endif
