/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts: from a line, an MSI, an irqfd, a timer or another vCPU to a
 * vector that the backend injects.
 *
 *   source -> route.c (GSI) -> pic.c | ioapic.c | MSI -> lapic.c (IRR) -> vcpu_kick()
 *
 * Every path from a source to the IRR may run in hard interrupt context
 * (irqfd wake-ups, hrtimers): spinlocks with interrupts saved, RCU for what is
 * replaced, no sleeping.
 */
#ifndef IRQ_IRQ_H
#define IRQ_IRQ_H

#include <linux/kvm.h>
#include "../types.h"

struct vm;
struct vcpu;

/* ---- lapic.c: SDM 3A "Advanced Programmable Interrupt Controller (APIC)" ---- */

/* A message on the APIC bus. */
struct apic_msg {
	u32	dest;		/* APIC id or logical destination */
	bool	logical;
	bool	level;		/* assert (INIT level de-assert is ignored) */
	bool	level_triggered;
	u8	delivery;	/* APIC_DM_* >> 8 ... as in ICR bits 10:8 */
	u8	vector;
	u8	shorthand;	/* 0 none, 1 self, 2 all, 3 all but self (with src) */
	bool	lowest_prio_hint;	/* MSI redirection hint */
};

int lapic_create(struct vcpu *vcpu);
void lapic_destroy(struct vcpu *vcpu);
void lapic_reset(struct vcpu *vcpu, bool init);

/* Highest vector that may be injected now (IRR above PPR), or -1. */
int lapic_pending_irq(struct vcpu *vcpu);
/* Take it: IRR -> ISR (or PIC INTA through virtual wire). Returns the vector, -1 if gone. */
int lapic_ack_irq(struct vcpu *vcpu);
/*
 * What a vCPU may inject, from the local APIC or through LINT0/ExtINT from the
 * PIC; with IRQCHIP_NONE user space's KVM_INTERRUPT is handled in vcpu.c.
 */
int irq_pending(struct vcpu *vcpu);	/* vector >= 0 or -1; of a PIC interrupt: any value >= 0 */
int irq_ack(struct vcpu *vcpu);		/* vector, -1 if gone (PIC gives spurious 7) */

/* Does anything wake it from HLT? NMI is vcpu.c's business. */
bool lapic_has_wakeup(struct vcpu *vcpu);
/* REQ_APIC_STATE: act on INIT and SIPI in the vCPU's own thread (calls vcpu_reset(), vcpu_start_at()). */
void lapic_accept_init_sipi(struct vcpu *vcpu);

/* xAPIC page: does gpa hit it? offset = gpa - base. 4-byte accesses; false: not ours. */
bool lapic_mmio_hit(struct vcpu *vcpu, gpa_t gpa);
int lapic_mmio_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned int len);
int lapic_mmio_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len);
/* x2APIC MSRs 0x800-0x8ff, IA32_APIC_BASE, IA32_TSC_DEADLINE; 0, or 1 for #GP. */
int lapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *val);
int lapic_msr_write(struct vcpu *vcpu, u32 msr, u64 val);
int lapic_set_base(struct vcpu *vcpu, u64 val, bool host);
u64 lapic_get_tscdeadline(struct vcpu *vcpu);
void lapic_set_tscdeadline(struct vcpu *vcpu, u64 val);
u64 lapic_get_cr8(struct vcpu *vcpu);
void lapic_set_cr8(struct vcpu *vcpu, u64 cr8);

int lapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state);
int lapic_set_state(struct vcpu *vcpu, const struct kvm_lapic_state *state);

/* Deliver a message to all it names; returns how many vCPUs took it, -1 none there, 0 coalesced. Any context. */
int lapic_deliver(struct vm *vm, struct vcpu *src, const struct apic_msg *msg);
/* KVM_HC_SEND_IPI: bitmap of up to 128 ids from @min; returns count or -KVM_EINVAL's value. */
long lapic_send_ipis(struct vm *vm, u64 bitmap_low, u64 bitmap_high, u32 min, u32 icr);
/* An LVT entry fires by itself (performance counter, CMCI, LINT1 NMI from the watchdog). */
int lapic_local_deliver(struct vcpu *vcpu, unsigned int lvt);
/* MSR_KVM_PV_EOI_EN; and what entry and exit do for it. */
int lapic_set_pv_eoi(struct vcpu *vcpu, u64 val);
void lapic_pv_eoi_before_entry(struct vcpu *vcpu);	/* cheap when off */
void lapic_pv_eoi_after_exit(struct vcpu *vcpu);
/* id <-> vCPU maps; called when ids, modes or destinations changed and after a vCPU is published. */
void lapic_update_map(struct vm *vm);
void lapic_free_map(struct vm *vm);
struct vcpu *lapic_vcpu_by_apic_id(struct vm *vm, u32 apic_id);

/* Timer: hrtimer inside; moving the vCPU to another CPU needs nothing. */

/* ---- ioapic.c: 82093AA; pic.c: two 8259A and ELCR; pit.c: 8254 ---- */

#define IOAPIC_DEFAULT_BASE	0xfec00000ULL
#define IOAPIC_PINS		24

int ioapic_create(struct vm *vm);
void ioapic_destroy(struct vm *vm);
bool ioapic_mmio_hit(struct vm *vm, gpa_t gpa);
void ioapic_mmio_read(struct vm *vm, gpa_t gpa, void *data, unsigned int len);
void ioapic_mmio_write(struct vm *vm, gpa_t gpa, const void *data, unsigned int len);
/* @source: KVM_USERSPACE_IRQ_SOURCE_ID etc.; a pin's level is the OR of its sources. */
int ioapic_set_irq(struct vm *vm, unsigned int pin, unsigned int source, bool level);
void ioapic_eoi(struct vm *vm, u8 vector);	/* broadcast by a local APIC's EOI of a level interrupt */
bool ioapic_handles_vector(struct vm *vm, struct vcpu *vcpu, u8 vector);
void ioapic_get_state(struct vm *vm, struct kvm_ioapic_state *state);
void ioapic_set_state(struct vm *vm, const struct kvm_ioapic_state *state);

int pic_create(struct vm *vm);
void pic_destroy(struct vm *vm);
bool pic_port_hit(u16 port);
void pic_port_read(struct vm *vm, u16 port, u8 *val);
void pic_port_write(struct vm *vm, u16 port, u8 val);
int pic_set_irq(struct vm *vm, unsigned int pin, unsigned int source, bool level);
bool pic_pending(struct vm *vm);	/* INTR output */
int pic_ack(struct vm *vm);		/* INTA cycle: vector */
void pic_get_state(struct vm *vm, unsigned int chip, struct kvm_pic_state *state);
void pic_set_state(struct vm *vm, unsigned int chip, const struct kvm_pic_state *state);

int pit_create(struct vm *vm, u32 flags);
void pit_destroy(struct vm *vm);
bool pit_port_hit(struct vm *vm, u16 port);	/* 0x40-0x43, 0x61 when KVM_PIT_SPEAKER_DUMMY */
void pit_port_read(struct vm *vm, u16 port, u8 *val);
void pit_port_write(struct vm *vm, u16 port, u8 val);
void pit_get_state(struct vm *vm, struct kvm_pit_state2 *state);
int pit_set_state(struct vm *vm, const struct kvm_pit_state2 *state);
void pit_reinject(struct vm *vm, bool on);
void pit_irq0_acked(struct vm *vm);

/* ---- route.c: GSI -> pins and MSIs; KVM_SET_GSI_ROUTING, KVM_IRQ_LINE, KVM_SIGNAL_MSI ---- */

#define IRQ_MAX_ROUTES	4096
enum irq_source { IRQ_SOURCE_USER, IRQ_SOURCE_IRQFD, IRQ_SOURCE_PIT, IRQ_SOURCE_RESAMPLE };

int route_set_default(struct vm *vm);		/* called by KVM_CREATE_IRQCHIP: 0-15 to PIC and I/O APIC, 16-23 to the I/O APIC */
int route_set(struct vm *vm, const struct kvm_irq_routing_entry *entries, unsigned int nr);
void route_destroy(struct vm *vm);
/* <0: masked or ignored, 0: coalesced, >0: delivered to so many. Any context. */
int irq_set_gsi(struct vm *vm, u32 gsi, enum irq_source source, bool level);
int irq_send_msi(struct vm *vm, const struct kvm_msi *msi);

/* All three chips; EEXIST, and EINVAL after the first vCPU. vm->lock held. */
int irq_create_irqchip(struct vm *vm);
int irq_create_split(struct vm *vm, u32 pins);
void irq_destroy(struct vm *vm);
int irq_ioctl_get_irqchip(struct vm *vm, struct kvm_irqchip *chip);
int irq_ioctl_set_irqchip(struct vm *vm, const struct kvm_irqchip *chip);

/* ---- eventfd.c ---- */

int irqfd_assign(struct vm *vm, const struct kvm_irqfd *args);	/* also de-assign, resample */
void irqfd_release_all(struct vm *vm);
void irqfd_resample_ack(struct vm *vm, u32 gsi);		/* from EOI, any context */
int ioeventfd_ioctl(struct vm *vm, const struct kvm_ioeventfd *args);
void ioeventfd_release_all(struct vm *vm);
/* Did a write of @len bytes at @addr hit one? Then it was signalled. Under RCU or memslot_srcu: may be called in the run loop. */
bool ioeventfd_write(struct vm *vm, bool pio, gpa_t addr, const void *data, unsigned int len);
int eventfd_module_init(void);
void eventfd_module_exit(void);

#endif /* IRQ_IRQ_H */
