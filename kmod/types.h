/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The five kinds of address, and the basic integer types in kernel and user
 * space.  A bare "addr" says too little; these names say whose it is:
 *
 *   gva  guest virtual     the guest's own page tables map it to a
 *   gpa  guest physical    which EPT or NPT maps to an
 *   hpa  host physical     the machine address
 *   hva  host virtual      where the VMM's process sees a gpa
 */
#ifndef VITRO_TYPES_H
#define VITRO_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#endif

typedef unsigned long gva_t;	/* the types are those of <linux/kvm_types.h>, which newer kernels include */
typedef u64 gpa_t;
typedef u64 gfn_t;		/* gpa >> PAGE_SHIFT */
typedef u64 hpa_t;
typedef u64 hfn_t;		/* hpa >> PAGE_SHIFT */
typedef unsigned long hva_t;

#endif /* VITRO_TYPES_H */
