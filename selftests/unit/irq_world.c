// SPDX-License-Identifier: GPL-2.0
/* See irq_world.h. */
#include <stdlib.h>
#include <asm/apicdef.h>
#include "irq_world.h"

u8 world_memory[WORLD_MEMORY];
int world_resampled_gsi = -1;
int world_resample_acks;

/* ---- the clock ---- */

#define MAX_TIMERS	16

u64 world_latency;

static ktime_t now = NSEC_PER_SEC;
static struct hrtimer *timers[MAX_TIMERS];

ktime_t ktime_get(void)
{
	return now;
}

u64 world_now(void)
{
	return now;
}

u64 clock_guest_tsc(struct vcpu *vcpu)
{
	return (u64)now * (vcpu->tsc_khz / 1000) / 1000;
}

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer),
		   int clock, enum hrtimer_mode mode)
{
	*timer = (struct hrtimer) { .function = function };
}

void hrtimer_start(struct hrtimer *timer, ktime_t expires, enum hrtimer_mode mode)
{
	unsigned int i;

	timer->expires = expires;
	timer->queued = true;
	for (i = 0; i < MAX_TIMERS; i++)
		if (timers[i] == timer)
			return;
	for (i = 0; timers[i]; i++)
		assert(i + 1 < MAX_TIMERS);
	timers[i] = timer;
}

int hrtimer_cancel(struct hrtimer *timer)
{
	unsigned int i;
	int was_queued = timer->queued;

	timer->queued = false;
	for (i = 0; i < MAX_TIMERS; i++)
		if (timers[i] == timer)
			timers[i] = NULL;
	return was_queued;
}

bool hrtimer_active(const struct hrtimer *timer)
{
	return timer->queued;
}

ktime_t hrtimer_get_remaining(const struct hrtimer *timer)
{
	return timer->expires - now;
}

unsigned long long hrtimer_forward_now(struct hrtimer *timer, ktime_t interval)
{
	u64 periods = 0;

	while (timer->expires <= now) {
		timer->expires += interval;
		periods++;
	}
	return periods;
}

static struct hrtimer *next_timer(ktime_t end)
{
	struct hrtimer *next = NULL;
	unsigned int i;

	for (i = 0; i < MAX_TIMERS; i++)
		if (timers[i] && timers[i]->queued && timers[i]->expires + (ktime_t)world_latency <= end &&
		    (!next || timers[i]->expires < next->expires))
			next = timers[i];
	return next;
}

void world_advance(u64 ns)
{
	ktime_t end = now + ns;
	struct hrtimer *timer;

	while ((timer = next_timer(end))) {
		now = max(now, timer->expires + (ktime_t)world_latency);
		timer->queued = false;
		if (timer->function(timer) == HRTIMER_RESTART)
			timer->queued = true;
	}
	now = end;
}

/* ---- what the module has elsewhere ---- */

unsigned long get_zeroed_page(int gfp)
{
	void *page = aligned_alloc(4096, 4096);

	return (unsigned long)memset(page, 0, 4096);
}

void free_page(unsigned long address)
{
	free((void *)address);
}

void vcpu_kick(struct vcpu *vcpu)
{
	vcpu->kicks++;
}

void vcpu_nmi(struct vcpu *vcpu)
{
	vcpu->nmis++;
}

void vcpu_reset(struct vcpu *vcpu, bool init)
{
	vcpu->resets++;
	lapic_reset(vcpu, init);
}

void vcpu_start_at(struct vcpu *vcpu, u8 sipi_vector)
{
	vcpu->started_at = sipi_vector;
}

void cpuid_refresh(struct vcpu *vcpu)
{
}

int pv_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned long len)
{
	if (gpa + len > WORLD_MEMORY)
		return -EFAULT;
	memcpy(data, world_memory + gpa, len);
	return 0;
}

int pv_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned long len)
{
	if (gpa + len > WORLD_MEMORY)
		return -EFAULT;
	memcpy(world_memory + gpa, data, len);
	return 0;
}

void vm_put(struct vm *vm)
{
	vm->refs.refs--;
}

/* The tests of irq/eventfd.c link the real ones. */
#pragma weak irqfd_resampled
#pragma weak irqfd_resample_ack
#pragma weak irqfd_release_all
#pragma weak ioeventfd_release_all

bool irqfd_resampled(struct vm *vm, u32 gsi)
{
	return world_resampled_gsi >= 0 && gsi == world_resampled_gsi;
}

void irqfd_resample_ack(struct vm *vm, u32 gsi)
{
	if (!irqfd_resampled(vm, gsi))
		return;
	world_resample_acks++;
	irq_set_gsi(vm, gsi, IRQ_SOURCE_RESAMPLE, false);
}

void irqfd_release_all(struct vm *vm)
{
}

void ioeventfd_release_all(struct vm *vm)
{
}

/* ---- VMs ---- */

struct vcpu *world_add_vcpu(struct vm *vm, u32 id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->idx = vm->nr_vcpus;
	vcpu->maxphyaddr = 40;
	vcpu->tsc_khz = WORLD_TSC_KHZ;
	vcpu->guest_caps = BIT(CAP_X2APIC) | BIT(CAP_TSC_DEADLINE);
	vcpu->started_at = -1;
	if (vm->irqchip != IRQCHIP_NONE)
		assert(!lapic_module_init() && !lapic_create(vcpu));
	lapic_reset(vcpu, false);
	vcpu->mp_state = vcpu_is_bsp(vcpu) ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	vm->vcpus[vm->nr_vcpus++] = vcpu;
	return vcpu;
}

struct vcpu *vm_vcpu_by_id(struct vm *vm, u32 id)
{
	struct vcpu *vcpu;
	int i;

	vm_for_each_vcpu(i, vcpu, vm)
		if (vcpu->id == id)
			return vcpu;
	return NULL;
}

struct vm *world_vm(enum irqchip_mode mode, unsigned int nr)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	unsigned int id;

	mutex_init(&vm->lock);
	vm->refs.refs = 1;
	mutex_init(&vm->eventfd_lock);
	INIT_LIST_HEAD(&vm->irqfds);
	if (mode == IRQCHIP_KERNEL)
		assert(!irq_create_irqchip(vm));
	else if (mode == IRQCHIP_SPLIT)
		assert(!irq_create_split(vm, IOAPIC_PINS));
	for (id = 0; id < nr; id++)
		world_add_vcpu(vm, id);
	return vm;
}

void world_free(struct vm *vm)
{
	int i;

	irqfd_release_all(vm);
	ioeventfd_release_all(vm);
	pit_destroy(vm);
	for (i = 0; i < vm->nr_vcpus; i++) {
		lapic_destroy(vm->vcpus[i]);
		free(vm->vcpus[i]);
	}
	irq_destroy(vm);
	free(vm);
}

/* ---- what a guest does ---- */

static gpa_t apic_page(struct vcpu *vcpu)
{
	return vcpu->apic_base & ~0xfffULL;
}

u32 apic_read(struct vcpu *vcpu, unsigned int reg)
{
	u32 val = 0;

	assert(lapic_mmio_hit(vcpu, apic_page(vcpu) + reg));
	assert(!lapic_mmio_read(vcpu, apic_page(vcpu) + reg, &val, sizeof(val)));
	return val;
}

void apic_write(struct vcpu *vcpu, unsigned int reg, u32 val)
{
	assert(lapic_mmio_hit(vcpu, apic_page(vcpu) + reg));
	assert(!lapic_mmio_write(vcpu, apic_page(vcpu) + reg, &val, sizeof(val)));
}

void apic_enable(struct vcpu *vcpu)
{
	apic_write(vcpu, APIC_SPIV, APIC_SPIV_APIC_ENABLED | 0xff);
}

int apic_interrupt(struct vcpu *vcpu, u8 vector)
{
	return lapic_deliver(vcpu->vm, NULL, apic_read(vcpu, APIC_ID) >> 24, APIC_DM_FIXED | vector);
}

bool apic_bit(struct vcpu *vcpu, unsigned int base, u8 vector)
{
	return apic_read(vcpu, base + vector / 32 * 16) & 1u << vector % 32;
}

u32 ioapic_get(struct vm *vm, u8 reg)
{
	u32 val = reg;

	ioapic_mmio_write(vm, IOAPIC_DEFAULT_BASE, &val, sizeof(val));
	ioapic_mmio_read(vm, IOAPIC_DEFAULT_BASE + 0x10, &val, sizeof(val));
	return val;
}

void ioapic_put(struct vm *vm, u8 reg, u32 val)
{
	u32 select = reg;

	ioapic_mmio_write(vm, IOAPIC_DEFAULT_BASE, &select, sizeof(select));
	ioapic_mmio_write(vm, IOAPIC_DEFAULT_BASE + 0x10, &val, sizeof(val));
}

u8 inb(struct vm *vm, u16 port)
{
	u8 val = 0xee;

	if (pic_port_hit(port)) {
		pic_port_read(vm, port, &val);
	} else {
		assert(vm->pit && pit_port_hit(vm, port));
		pit_port_read(vm, port, &val);
	}
	return val;
}

void outb(struct vm *vm, u16 port, u8 val)
{
	if (pic_port_hit(port)) {
		pic_port_write(vm, port, val);
	} else {
		assert(vm->pit && pit_port_hit(vm, port));
		pit_port_write(vm, port, val);
	}
}
