/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world around cpuid.c, msr.c and clock.c in user space: a host CPU whose
 * features, TSC and clocks are the test's, a VM with vCPUs, a page or two of
 * guest memory, and a backend and a local APIC that keep what they are told.
 *
 * Included before each file (-include): it has what the kernel's compiler.h
 * and the like would bring.
 */
#ifndef CPU_WORLD_H
#define CPU_WORLD_H

/* The kernel's own <asm/msr-index.h> comes first, by -include; not the bits of it that others need. */
#define SHIM_MSR_INDEX_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <signal.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/types.h>
#include "types.h"

#define __user
#define noinline		__attribute__((noinline))
#define fallthrough		__attribute__((fallthrough))
#define __must_check
#define __read_mostly
#define static_assert		_Static_assert
#define likely(x)		(x)
#define unlikely(x)		(x)
#define U8_MAX			((u8)~0)
#define U32_MAX			(~0u)
#define ALIGN(x, a)		(((x) + (a) - 1) / (a) * (a))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define swap(a, b)		do { typeof(a) _t = (a); (a) = (b); (b) = _t; } while (0)
#define smp_wmb()		((void)0)	/* one thread: nothing to order */
#define PAGE_SHIFT		12

/* Of <linux/types.h>; only their size matters here. */
typedef struct { int counter; } atomic_t;
struct hlist_head { void *first; };

#define ERR_PTR(error)		((void *)(long)(error))
#define PTR_ERR(ptr)		((long)(ptr))
#define IS_ERR(ptr)		((unsigned long)(ptr) >= -4095UL)

#include "vcpu.h"

/* Of mmu/memslot.h, which is not needed for more. */
#define MMU_MEMSLOT_H
int pv_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned long len);
int pv_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned long len);
int pv_cmpxchg(struct vcpu *vcpu, gpa_t gpa, void *old, const void *new, unsigned int len);

#define WORLD_VCPUS	4
#define WORLD_MEMORY	8192

#define WORLD_REAL_NS	1700000000000000000LL	/* real time when ns was 0 */

extern struct world {
	/* the host */
	u32	features[24];		/* boot_cpu_has(), cpuid_host_supports() */
	u64	ns;			/* since boot: the test lets it pass */
	u64	slept_ns;		/* of them, suspended: CLOCK_MONOTONIC_RAW stood still */
	u64	tsc_hz;
	u64	tsc_start_ns;		/* where the TSC was 0; some suspends reset it */
	s64	tsc_error;		/* cycles that this CPU's TSC is ahead of others */
	bool	tsc_unstable, other_clocksource;
	u64	msr[2];			/* number and value of the last one written */

	/* the guest */
	u8	memory[WORLD_MEMORY];
	void	(*before_write)(gpa_t gpa, const void *data, unsigned long len);
	u64	vendor_msr, lapic_msr;
	unsigned int nr_flushes, nr_kicks;
} world;

/* A new world: AMD, all features, a TSC of 2 GHz without scaling; one VM. */
struct vm *world_vm(void);
struct vcpu *world_vcpu(struct vm *vm);
void world_has_tsc_scaling(bool has);
u64 world_guest_tsc(struct vcpu *vcpu);	/* RDTSC in the guest */

#endif /* CPU_WORLD_H */
