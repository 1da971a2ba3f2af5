/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <uapi/linux/kvm_para.h>. */
#ifndef SHIM_UAPI_KVM_PARA
#define SHIM_UAPI_KVM_PARA

#include <linux/kvm_para.h>

#endif
