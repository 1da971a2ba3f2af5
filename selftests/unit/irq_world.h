/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world around kmod/irq in user space: a VM and its vCPUs reduced to what
 * interrupts need, a clock that moves when told, and a record of what reached
 * a vCPU other than through its local APIC.
 *
 * Included before each file (-include), it stands in for vm.h, vcpu.h,
 * cpuid.h, clock.h, compat.h and mmu/memslot.h of the module.
 */
#ifndef IRQ_WORLD_H
#define IRQ_WORLD_H

#define VITRO_VM_H
#define VITRO_VCPU_H
#define VITRO_CPUID_H
#define VITRO_CLOCK_H
#define VITRO_COMPAT_H
#define MMU_MEMSLOT_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "types.h"

#define lower_32_bits(n)	((u32)(n))
#define upper_32_bits(n)	((u32)((n) >> 32))
#define U32_MAX			(~0u)
#define IS_ALIGNED(x, a)	(!((x) % (a)))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define VM_MAX_VCPUS	255

enum irqchip_mode { IRQCHIP_NONE, IRQCHIP_SPLIT, IRQCHIP_KERNEL };

struct vm {
	struct mutex	lock;
	refcount_t	refs;
	int		nr_vcpus;
	struct vcpu	*vcpus[VM_MAX_VCPUS];
	u32		boot_vcpu_id;
	enum irqchip_mode irqchip;
	struct pic	*pic;
	struct ioapic	*ioapic;
	struct pit	*pit;
	struct irq_routes *routes;
	bool		apic_ids_moved;
	struct mutex	eventfd_lock;
	struct list_head irqfds;
	struct hlist_head resamplers;
	unsigned int	nr_ioeventfds;
	u64		disabled_quirks;
	u32		x2apic_api;
};

#define vm_for_each_vcpu(i, vcpu, vm)						\
	for ((i) = 0; (i) < (vm)->nr_vcpus && ((vcpu) = (vm)->vcpus[i]); (i)++)

enum vcpu_request { REQ_EVENT, REQ_SMI, REQ_APIC_STATE, REQ_EOI_EXIT };
enum vcpu_cap { CAP_X2APIC, CAP_TSC_DEADLINE };

struct vcpu {
	struct vm	*vm;
	struct lapic	*lapic;
	u32		id;
	int		idx;
	unsigned long	requests;
	u32		mp_state;
	unsigned long	apic_events;
	u8		sipi_vector;
	u8		eoi_exit_vector;
	bool		smm;
	u8		maxphyaddr;
	u32		tsc_khz;
	u64		apic_base, pv_eoi_msr;
	u64		guest_caps;

	/* what has reached it */
	int		kicks, nmis, resets;
	int		started_at;	/* SIPI vector, -1 none */
};

static inline void vcpu_request(struct vcpu *vcpu, enum vcpu_request req)
{
	set_bit(req, &vcpu->requests);
}

static inline bool vcpu_take_request(struct vcpu *vcpu, enum vcpu_request req)
{
	return test_and_clear_bit(req, &vcpu->requests);
}

static inline bool vcpu_is_bsp(const struct vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->boot_vcpu_id;
}

static inline bool vcpu_has(const struct vcpu *vcpu, enum vcpu_cap cap)
{
	return vcpu->guest_caps & BIT(cap);
}

void vm_put(struct vm *vm);
void vcpu_kick(struct vcpu *vcpu);
void vcpu_nmi(struct vcpu *vcpu);
void vcpu_reset(struct vcpu *vcpu, bool init);
void vcpu_start_at(struct vcpu *vcpu, u8 sipi_vector);
void cpuid_refresh(struct vcpu *vcpu);
u64 clock_guest_tsc(struct vcpu *vcpu);
int pv_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned long len);
int pv_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned long len);

/* ---- for the tests ---- */

#include "irq/irq.h"

#define WORLD_TSC_KHZ	2000000	/* two ticks a nanosecond */
#define WORLD_MEMORY	4096	/* bytes of guest memory, from gpa 0 */

extern u8 world_memory[WORLD_MEMORY];
/* In place of irq/eventfd.c, where that is not linked: a resampling irqfd drives this GSI; -1 none. */
extern int world_resampled_gsi;
extern int world_resample_acks;

/* A VM with @nr vCPUs of ids 0, 1, ...; caps: CAP_X2APIC and CAP_TSC_DEADLINE. */
struct vcpu *vm_vcpu_by_id(struct vm *vm, u32 id);
struct vm *world_vm(enum irqchip_mode mode, unsigned int nr);
struct vcpu *world_add_vcpu(struct vm *vm, u32 id);
void world_free(struct vm *vm);

u64 world_now(void);
extern u64 world_latency;	/* ns from the expiry of a timer to its callback */
/* Let time pass; what expires on the way runs. */
void world_advance(u64 ns);

/* As the guest does it: registers of the page at IA32_APIC_BASE; CR8 left alone. */
u32 apic_read(struct vcpu *vcpu, unsigned int reg);
void apic_write(struct vcpu *vcpu, unsigned int reg, u32 val);
/* Software-enable with spurious vector 0xff. */
void apic_enable(struct vcpu *vcpu);
/* An edge-triggered fixed interrupt that comes by itself; what lapic_deliver() says. */
int apic_interrupt(struct vcpu *vcpu, u8 vector);
/* Whether a bit of the IRR, ISR or TMR is set; the register as the guest reads it. */
bool apic_bit(struct vcpu *vcpu, unsigned int base, u8 vector);
/* Through the two registers of the I/O APIC. */
u32 ioapic_get(struct vm *vm, u8 reg);
void ioapic_put(struct vm *vm, u8 reg, u32 val);
u8 inb(struct vm *vm, u16 port);
void outb(struct vm *vm, u16 port, u8 val);

#endif
