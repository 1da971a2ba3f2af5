/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts: from a line, an MSI, an irqfd, a timer or another vCPU to a
 * vector that the backend injects.
 *
 *   line, irqfd, PIT -> route.c (GSI) -> pic.c ----------------> LINT0
 *                                     -> ioapic.c -> message -+
 *   MSI ------------------------------------------> message -+-> lapic_deliver()
 *   ICR, PV IPI ----------------------------------> message -+      -> IRR -> kick
 *   APIC timer, LVT entries -------------------------------------> IRR -> kick
 *
 * and back by acknowledgement: EOI -> ioapic.c, pic.c -> irq_notify_ack() ->
 * PIT's next tick, resampling irqfds.
 *
 * Every path from a source to the IRR may run in hard interrupt context
 * (irqfd wake-ups, hrtimers): raw spinlocks with interrupts off, RCU for what
 * is replaced, no sleeping.  Lock order: pit->mutex, pit->lock, then one of
 * pic->lock and ioapic->lock; a local APIC has no lock, its IRR is atomic.
 * Acknowledgements are told with no lock held.
 */
#ifndef IRQ_IRQ_H
#define IRQ_IRQ_H

#include <asm/apicdef.h>
#include "../vcpu.h"

/* ---- irq.c: the controllers of a VM, what a vCPU may take ---- */

/* Last vCPU gone, after irqfds, ioeventfds and the PIT: frees the rest but for lapics. */
void irq_destroy(struct vm *vm);

/* All three chips; EEXIST, and EINVAL after the first vCPU. vm->lock held. */
int irq_create_irqchip(struct vm *vm);
/* Local APICs only; EEXIST, also after the first vCPU, EINVAL if @pins is too many. vm->lock held. */
int irq_create_split(struct vm *vm, u32 pins);
int irq_ioctl_get_irqchip(struct vm *vm, struct kvm_irqchip *chip);
int irq_ioctl_set_irqchip(struct vm *vm, const struct kvm_irqchip *chip);

/*
 * What a vCPU may inject, from the local APIC or through LINT0/ExtINT from the
 * PIC; with IRQCHIP_NONE user space's KVM_INTERRUPT is handled in vcpu.c.
 */
int irq_pending(struct vcpu *vcpu);	/* vector >= 0 or -1; of a PIC interrupt: any value >= 0 */
int irq_ack(struct vcpu *vcpu);		/* vector, -1 if gone */
/* KVM_INTERRUPT with IRQCHIP_SPLIT; EEXIST while one waits. And: would the vCPU take one now? */
int irq_set_user_extint(struct vcpu *vcpu, u8 vector);
bool irq_wants_user_extint(const struct vcpu *vcpu);

/* ---- lapic.c: SDM 3A "Advanced Programmable Interrupt Controller (APIC)" ---- */

/* Bits of vcpu->apic_events. */
enum lapic_event {
	LAPIC_INIT,		/* with REQ_APIC_STATE */
	LAPIC_SIPI,		/* likewise; vcpu->sipi_vector */
	LAPIC_EXTINT,		/* an ExtINT message: one INTA cycle is due */
};

int lapic_module_init(void);
void lapic_module_exit(void);
int lapic_create(struct vcpu *vcpu);
void lapic_destroy(struct vcpu *vcpu);
void lapic_reset(struct vcpu *vcpu, bool init);

/*
 * Does gpa hit the xAPIC page?  With KVM_X86_QUIRK_LAPIC_MMIO_HOLE it is taken
 * in other modes too: it reads as ones and drops writes.
 */
static inline bool lapic_mmio_hit(const struct vcpu *vcpu, gpa_t gpa)
{
	if (!vcpu->lapic || gpa >> PAGE_SHIFT != vcpu->apic_base >> PAGE_SHIFT)
		return false;
	return (vcpu->apic_base & (XAPIC_ENABLE | X2APIC_ENABLE)) == XAPIC_ENABLE ||
	       !(vcpu->vm->disabled_quirks & KVM_X86_QUIRK_LAPIC_MMIO_HOLE);
}

/* 0: done */
int lapic_mmio_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned int len);
int lapic_mmio_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len);
/* x2APIC MSRs 0x800-0x8ff; 0, or 1 for #GP. */
int lapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *val);
int lapic_msr_write(struct vcpu *vcpu, u32 msr, u64 val);
/* IA32_APIC_BASE, also without a local APIC; 0, or 1 for #GP. */
int lapic_set_base(struct vcpu *vcpu, u64 val, bool host);

int lapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state);
int lapic_set_state(struct vcpu *vcpu, const struct kvm_lapic_state *state);

/* ---- lapic_irq.c: IRR, ISR, TPR, PPR ---- */

/* Highest vector that may be injected now (IRR above PPR), or -1. */
int lapic_pending_irq(struct vcpu *vcpu);
/* Take it: IRR -> ISR. Returns the vector, -1 if gone. */
int lapic_ack_irq(struct vcpu *vcpu);
/* Is a vector held back by the TPR alone, so that a lower TPR would let it in? */
bool lapic_blocked_by_tpr(struct vcpu *vcpu);
u64 lapic_get_cr8(struct vcpu *vcpu);
void lapic_set_cr8(struct vcpu *vcpu, u64 cr8);
/* An LVT entry fires by itself; @lvt: APIC_LVTT and so on. Any context. */
int lapic_local_deliver(struct vcpu *vcpu, unsigned int lvt);
/* REQ_APIC_STATE: act on INIT and SIPI in the vCPU's own thread (calls vcpu_reset(), vcpu_start_at()). */
void lapic_accept_init_sipi(struct vcpu *vcpu);
void lapic_post_sipi(struct vcpu *vcpu);	/* KVM_MP_STATE_SIPI_RECEIVED, too; the caller kicks */
/* MSR_KVM_PV_EOI_EN, 1 for #GP; and what entry and exit do for it. May sleep. */
int lapic_set_pv_eoi(struct vcpu *vcpu, u64 val);
/* Where MSR_KVM_PV_EOI_EN is on: */
void lapic_pv_eoi_before_entry(struct vcpu *vcpu);
void lapic_pv_eoi_after_exit(struct vcpu *vcpu);	/* before the exit is handled */
void lapic_pv_eoi_leave(struct vcpu *vcpu);		/* when KVM_RUN ends */

/* ---- apic_dest.c: who is meant by a destination ---- */

/*
 * A message on the APIC bus is @dest, an APIC id or a logical destination, and
 * @icr, laid out as the low half of the ICR: vector, delivery mode,
 * APIC_DEST_LOGICAL, APIC_INT_LEVELTRIG, shorthand.  MSIs, redirection entries
 * and LVT entries have the same fields in the same bits.
 */

/* Deliver a message to all it names; how many took it, 0 if it merged with one that waits, -1 nobody. Any context. */
int lapic_deliver(struct vm *vm, struct vcpu *src, u32 dest, u32 icr);
/* KVM_HC_SEND_IPI: bitmap of up to 128 ids from @min; returns count or -KVM_EINVAL's value. */
long lapic_send_ipis(struct vm *vm, u64 bitmap_low, u64 bitmap_high, u32 min, u32 icr);
struct vcpu *lapic_vcpu_by_apic_id(struct vm *vm, u32 apic_id);

/* ---- lapic_timer.c: hrtimer inside; moving the vCPU to another CPU needs nothing ---- */

/* IA32_TSC_DEADLINE; 0 without a local APIC, and nothing is written. */
u64 lapic_get_tscdeadline(struct vcpu *vcpu);
void lapic_set_tscdeadline(struct vcpu *vcpu, u64 val);

/* ---- ioapic.c: 82093AA; pic.c: two 8259A and ELCR; pit.c: 8254 ---- */

#define IOAPIC_DEFAULT_BASE	0xfec00000ULL
#define IOAPIC_PINS		KVM_IOAPIC_NUM_PINS

/* Who drives a line; its level is the OR of its sources. */
enum irq_source { IRQ_SOURCE_USER, IRQ_SOURCE_IRQFD, IRQ_SOURCE_PIT, IRQ_SOURCE_RESAMPLE };

bool ioapic_mmio_hit(struct vm *vm, gpa_t gpa);
void ioapic_mmio_read(struct vm *vm, gpa_t gpa, void *data, unsigned int len);
void ioapic_mmio_write(struct vm *vm, gpa_t gpa, const void *data, unsigned int len);
int ioapic_set_irq(struct vm *vm, unsigned int pin, enum irq_source source, bool level);
void ioapic_eoi(struct vm *vm, u8 vector);	/* broadcast by a local APIC's EOI */
void ioapic_update_listeners(struct vm *vm);	/* who listens to acknowledgements has changed */
void ioapic_get_state(struct vm *vm, struct kvm_ioapic_state *state);
void ioapic_set_state(struct vm *vm, const struct kvm_ioapic_state *state);

bool pic_port_hit(u16 port);
void pic_port_read(struct vm *vm, u16 port, u8 *val);
void pic_port_write(struct vm *vm, u16 port, u8 val);
int pic_set_irq(struct vm *vm, unsigned int pin, enum irq_source source, bool level);
int pic_ack(struct vm *vm);		/* INTA cycle: vector */
void pic_get_state(struct vm *vm, unsigned int chip, struct kvm_pic_state *state);
void pic_set_state(struct vm *vm, unsigned int chip, const struct kvm_pic_state *state);

#define PIT_GSI			0

int pit_create(struct vm *vm, u32 flags);	/* KVM_CREATE_PIT2; EINVAL, EEXIST, ENOENT. vm->lock held */
void pit_destroy(struct vm *vm);
bool pit_port_hit(struct vm *vm, u16 port);	/* 0x40-0x43, 0x61 with KVM_PIT_SPEAKER_DUMMY */
void pit_port_read(struct vm *vm, u16 port, u8 *val);
void pit_port_write(struct vm *vm, u16 port, u8 val);
/* The first three channels of either struct; ENXIO without a PIT. */
int pit_get_state(struct vm *vm, struct kvm_pit_state2 *state);
int pit_set_state(struct vm *vm, const struct kvm_pit_state2 *state);
int pit_reinject(struct vm *vm, bool on);
void pit_irq0_acked(struct vm *vm);
void pit_irq0_rewired(struct vm *vm);

/* ---- route.c: GSI -> pins and MSIs; KVM_SET_GSI_ROUTING, KVM_IRQ_LINE, KVM_SIGNAL_MSI ---- */

#define IRQ_MAX_ROUTES	4096

int route_set(struct vm *vm, const struct kvm_irq_routing_entry *entries, unsigned int nr);
/* <0: masked or ignored, 0: coalesced, >0: delivered to so many. Any context. */
int irq_set_gsi(struct vm *vm, u32 gsi, enum irq_source source, bool level);
/* KVM_SIGNAL_MSI: >0 delivered, 0 the guest blocked it, EINVAL. */
int irq_send_msi(struct vm *vm, const struct kvm_msi *msi);
u32 irq_pin_gsi(struct vm *vm, unsigned int chip, unsigned int pin);	/* under RCU */
/* A pin's interrupt was acknowledged. Any context. */
void irq_notify_ack(struct vm *vm, unsigned int chip, unsigned int pin);

/* ---- eventfd.c ---- */

int irqfd_assign(struct vm *vm, const struct kvm_irqfd *args);	/* KVM_IRQFD: also de-assign, resample */
void irqfd_release_all(struct vm *vm);
bool irqfd_resampled(struct vm *vm, u32 gsi);			/* under RCU */
void irqfd_resample_ack(struct vm *vm, u32 gsi);		/* from EOI, any context */
int ioeventfd_ioctl(struct vm *vm, const struct kvm_ioeventfd *args);
void ioeventfd_release_all(struct vm *vm);
/* Did a write of @len bytes at @addr hit one? Then it was signalled. Any context. */
bool ioeventfd_write(struct vm *vm, bool pio, gpa_t addr, const void *data, unsigned int len);
int eventfd_module_init(void);
void eventfd_module_exit(void);	/* before the backend goes: a last VM may end in it */

#endif /* IRQ_IRQ_H */
