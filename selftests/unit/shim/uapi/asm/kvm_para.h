/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <uapi/asm/kvm_para.h>. */
#ifndef SHIM_UAPI_ASM_KVM_PARA
#define SHIM_UAPI_ASM_KVM_PARA

#include <asm/kvm_para.h>

#endif
