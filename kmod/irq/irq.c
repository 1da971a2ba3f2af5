// SPDX-License-Identifier: GPL-2.0
/*
 * The interrupt controllers of a VM as a whole, and what a vCPU may take from
 * them: ExtINT from the PIC first, then what its local APIC has.
 */
#include "chips.h"
#include "lapic.h"

/**
 * irq_destroy() - the VM ends
 * @vm: its irqfds, its PIT and its vCPUs are gone: nobody sends, nobody takes
 *
 * No grace period is waited for.
 */
void irq_destroy(struct vm *vm)
{
	kvfree(rcu_dereference_protected(vm->routes, true));
	if (vm->pic)
		kfree(container_of(vm->pic, struct irq_chips, pic));
}

/**
 * irq_create_irqchip() - KVM_CREATE_IRQCHIP
 * @vm: vm->lock held
 *
 * Return: 0; -EEXIST; -EINVAL after the first vCPU; -ENOMEM.
 */
int irq_create_irqchip(struct vm *vm)
{
	struct irq_chips *chips;

	if (vm->irqchip != IRQCHIP_NONE)
		return -EEXIST;
	if (vm->nr_vcpus)
		return -EINVAL;
	chips = kzalloc(sizeof(*chips), GFP_KERNEL_ACCOUNT);
	if (!chips)
		return -ENOMEM;
	raw_spin_lock_init(&chips->pic.lock);
	ioapic_init(&chips->ioapic);
	vm->pic = &chips->pic;
	vm->ioapic = &chips->ioapic;
	/* Who sees the mode without vm->lock sees the chips. */
	smp_store_release(&vm->irqchip, IRQCHIP_KERNEL);
	return 0;
}

/**
 * irq_create_split() - KVM_CAP_SPLIT_IRQCHIP
 * @vm: vm->lock held
 * @pins: GSIs of user space's I/O APICs, from 0
 *
 * Which pins they are need not be kept: the EOI of every level-triggered
 * message is told to user space.
 *
 * Return: 0; -EINVAL for too many; -EEXIST, also after the first vCPU.
 */
int irq_create_split(struct vm *vm, u32 pins)
{
	if (pins > IRQ_MAX_ROUTES)
		return -EINVAL;
	if (vm->irqchip != IRQCHIP_NONE || vm->nr_vcpus)
		return -EEXIST;
	WRITE_ONCE(vm->irqchip, IRQCHIP_SPLIT);
	return 0;
}

static int irqchip_check(struct vm *vm, u32 chip_id)
{
	if (vm->irqchip != IRQCHIP_KERNEL)
		return -ENXIO;
	return chip_id < KVM_NR_IRQCHIPS ? 0 : -EINVAL;
}

/**
 * irq_ioctl_get_irqchip() - KVM_GET_IRQCHIP
 * @vm: any
 * @chip: chip_id in, the rest out
 *
 * Return: 0; -ENXIO without the chips in the kernel; -EINVAL for no such chip.
 */
int irq_ioctl_get_irqchip(struct vm *vm, struct kvm_irqchip *chip)
{
	int ret = irqchip_check(vm, chip->chip_id);

	if (ret)
		return ret;
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		ioapic_get_state(vm, &chip->chip.ioapic);
	else
		pic_get_state(vm, chip->chip_id, &chip->chip.pic);
	return 0;
}

/**
 * irq_ioctl_set_irqchip() - KVM_SET_IRQCHIP
 * @vm: any
 * @chip: from user space
 *
 * Return: as irq_ioctl_get_irqchip().
 */
int irq_ioctl_set_irqchip(struct vm *vm, const struct kvm_irqchip *chip)
{
	int ret = irqchip_check(vm, chip->chip_id);

	if (ret)
		return ret;
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		ioapic_set_state(vm, &chip->chip.ioapic);
	else
		pic_set_state(vm, chip->chip_id, &chip->chip.pic);
	return 0;
}

/* An ExtINT waits, of the PIC here or in user space, and LINT0 lets it in. */
static bool extint_pending(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;

	return (pic_pending(vcpu->vm) || apic->user_extint >= 0) && lapic_takes_extint(apic);
}

/**
 * irq_pending() - is there an interrupt that the vCPU may take now?
 * @vcpu: its own thread
 *
 * Return: its vector; of a PIC's, which INTA alone tells, 0; or -1.
 */
int irq_pending(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;

	if (!apic)
		return -1;
	if (unlikely(extint_pending(vcpu)))
		return 0;
	return READ_ONCE(apic->irr_words) ? lapic_pending_irq(vcpu) : -1;
}

/**
 * irq_ack() - take it
 * @vcpu: its own thread; it is going to be injected
 *
 * Return: the vector, or -1 if there is none any more.
 */
int irq_ack(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;
	int vector;

	if (!apic)
		return -1;
	if (likely(!extint_pending(vcpu)))
		return lapic_ack_irq(vcpu);
	clear_bit(LAPIC_EXTINT, &vcpu->apic_events);
	if (vcpu->vm->pic)
		return pic_ack(vcpu->vm);
	vector = apic->user_extint;
	apic->user_extint = -1;
	return vector;
}

/**
 * irq_set_user_extint() - KVM_INTERRUPT with the PIC in user space
 * @vcpu: under its mutex; IRQCHIP_SPLIT
 * @vector: from user space's INTA cycle
 *
 * Return: 0, -EEXIST while another waits.
 */
int irq_set_user_extint(struct vcpu *vcpu, u8 vector)
{
	struct lapic *apic = vcpu->lapic;

	if (apic->user_extint >= 0)
		return -EEXIST;
	apic->user_extint = vector;
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/**
 * irq_wants_user_extint() - could an ExtINT of user space get in?
 * @vcpu: under its mutex; IRQCHIP_SPLIT
 */
bool irq_wants_user_extint(const struct vcpu *vcpu)
{
	return vcpu->lapic->user_extint < 0 && lapic_takes_extint(vcpu->lapic);
}
