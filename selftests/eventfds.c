// SPDX-License-Identifier: GPL-2.0
/* irqfd and ioeventfd: interrupts and doorbells without an exit to user space. */
#include "test.h"

enum { VECTOR = 0x51, GSI = 24, LEVEL_GSI = 9, PORT = 0x1230, DOORBELL = VM_MMIO + 0x100 };

#define IOAPIC_LEVEL	(1ULL << 15)

FIXTURE(eventfds) {
	struct vm vm;
	struct vcpu *vcpu;
	int fd, other;
};

FIXTURE_SETUP(eventfds)
{
	self->vcpu = vm_create_one(&self->vm, VM_IRQCHIP);
	self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	self->other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	guest_handlers[VECTOR] = guest_eoi_xapic;
}

FIXTURE_TEARDOWN(eventfds)
{
	close(self->fd);
	close(self->other);
	vm_destroy(&self->vm);
}

static void signal_fd(int fd)
{
	u64 one = 1;

	die_unless(write(fd, &one, 8) == 8);
}

static u64 read_fd(int fd)
{
	u64 count = 0;

	return read(fd, &count, 8) == 8 ? count : 0;
}

/* ---- irqfd ---- */

static int irqfd(struct vm *vm, int fd, u32 gsi, u32 flags, int resample)
{
	struct kvm_irqfd arg = { .fd = fd, .gsi = gsi, .flags = flags, .resamplefd = resample };

	return ioctl(vm->fd, KVM_IRQFD, &arg);
}

static void route_msi(struct vm *vm, u32 gsi)
{
	struct kvm_irq_routing_entry route = {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = APIC_BASE_ADDR, .data = VECTOR },
	};

	die_unless(!vm_set_routes(vm, &route, 1, 0));
}

static u64 entry_of_pin;

static u64 receive(u64 pin)
{
	guest_pic_init(0x20, 0);
	xapic_enable();
	if (entry_of_pin)
		ioapic_route(pin, entry_of_pin);
	for (u32 i = 1; i <= 4; i++) {
		guest_sync(i);
		irq_window();
	}
	return 0;
}

static u32 taken(struct vcpu *vcpu)
{
	return vcpu->guest->irqs[VECTOR];
}

TEST_F(eventfds, a_signal_becomes_an_msi)
{
	route_msi(&self->vm, GSI);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0)) TH_LOG("%m");
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(2, taken(self->vcpu));
	EXPECT_EQ(0, read_fd(self->fd));	/* the kernel has taken it */
}

TEST_F(eventfds, a_signal_becomes_a_pulse_of_a_pin)
{
	entry_of_pin = VECTOR;
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, 5, 0, 0));
	vcpu_start(self->vcpu, receive, 5);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	vcpu_drain(self->vcpu);
	EXPECT_EQ(2, taken(self->vcpu));
}

static u64 wait_for_one(u64 arg)
{
	xapic_enable();
	guest_sync(1);
	wait_for_vector(VECTOR, 1);
	return 1;
}

TEST_F(eventfds, a_signal_wakes_a_halted_vcpu)
{
	route_msi(&self->vm, GSI);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	vcpu_start(self->vcpu, wait_for_one, 0);
	vcpu_sync(self->vcpu);
	vcpu_spawn_entered(self->vcpu);
	usleep(30000);
	signal_fd(self->fd);
	EXPECT_EQ(1, vcpu_join(self->vcpu));
}

TEST_F(eventfds, signals_sent_before_the_irqfd_was_assigned_count)
{
	route_msi(&self->vm, GSI);
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));
}

TEST_F(eventfds, a_new_route_holds_for_an_old_irqfd)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	route_msi(&self->vm, GSI);
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));
}

TEST_F(eventfds, a_deassigned_irqfd_is_silent)
{
	route_msi(&self->vm, GSI);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, KVM_IRQFD_FLAG_DEASSIGN, 0));
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, taken(self->vcpu));
	EXPECT_EQ(1, read_fd(self->fd));
}

TEST_F(eventfds, one_eventfd_cannot_be_two_irqfds)
{
	route_msi(&self->vm, GSI);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	EXPECT_EQ(EBUSY, errno_of(irqfd(&self->vm, self->fd, GSI, 0, 0)));
}

TEST_F(eventfds, bad_irqfds_are_refused)
{
	EXPECT_EQ(EBADF, errno_of(irqfd(&self->vm, -1, GSI, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(irqfd(&self->vm, self->vm.fd, GSI, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(irqfd(&self->vm, self->fd, GSI, 1 << 7, 0)));
	EXPECT_EQ(EBADF, errno_of(irqfd(&self->vm, self->fd, LEVEL_GSI, KVM_IRQFD_FLAG_RESAMPLE, -1)));
}

TEST_F(eventfds, an_irqfd_outlives_its_eventfds_descriptor)
{
	int copy = dup(self->fd);

	route_msi(&self->vm, GSI);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	close(self->fd);
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	signal_fd(copy);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));
}

TEST_F(eventfds, closing_the_eventfd_and_then_the_vm_does_no_harm)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	ASSERT_EQ(0, irqfd(&self->vm, self->other, 7, 0, 0));
	close(self->fd);
	usleep(10000);
	route_msi(&self->vm, GSI);
}

/* api.rst, KVM_IRQFD: level triggered; EOI lowers the line and signals the resamplefd. */
TEST_F(eventfds, eoi_of_a_resampled_irqfd_lowers_the_line_and_tells)
{
	NEED_CAP(KVM_CAP_IRQFD_RESAMPLE);
	entry_of_pin = IOAPIC_LEVEL | VECTOR;
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, LEVEL_GSI, KVM_IRQFD_FLAG_RESAMPLE,
			   self->other)) TH_LOG("%m");
	vcpu_start(self->vcpu, receive, LEVEL_GSI);
	vcpu_sync(self->vcpu);
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));
	EXPECT_EQ(1, read_fd(self->other));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));	/* no more: the line is low */
	signal_fd(self->fd);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(2, taken(self->vcpu));
	EXPECT_EQ(1, read_fd(self->other));
}

/* ---- ioeventfd ---- */

static int ioeventfd(struct vm *vm, int fd, u64 addr, u32 len, u32 flags, u64 match)
{
	struct kvm_ioeventfd arg = {
		.fd = fd, .addr = addr, .len = len, .flags = flags, .datamatch = match,
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &arg);
}

enum {
	PIO = KVM_IOEVENTFD_FLAG_PIO, MATCH = KVM_IOEVENTFD_FLAG_DATAMATCH,
	DEASSIGN = KVM_IOEVENTFD_FLAG_DEASSIGN,
};

static u64 ring8(u64 val)
{
	write8(DOORBELL, val);
	return 1;
}

static u64 ring16(u64 val)
{
	write16(DOORBELL, val);
	return 1;
}

static u64 ring32(u64 val)
{
	write32(DOORBELL, val);
	return 1;
}

static u64 ring64(u64 val)
{
	write64(DOORBELL, val);
	return 1;
}

static u64 out8(u64 val)
{
	outb(PORT, val);
	return 1;
}

static u64 out16(u64 val)
{
	outw(PORT, val);
	return 1;
}

static u64 out32(u64 val)
{
	outl(PORT, val);
	return 1;
}

static const guest_fn rings[] = { ring8, ring16, ring32, ring64 };
static const guest_fn outs[] = { out8, out16, out32 };

/* Does the write reach user space? */
static bool exits(struct vcpu *vcpu, guest_fn fn, u64 val)
{
	u32 reason;

	vcpu_start(vcpu, fn, val);
	reason = vcpu_enter(vcpu);
	return reason == KVM_EXIT_MMIO || (reason == KVM_EXIT_IO && vcpu->run->io.port == PORT);
}

TEST_F(eventfds, a_memory_write_of_the_right_size_rings)
{
	for (u32 i = 0; i < ARRAY_SIZE(rings); i++) {
		ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 1 << i, 0, 0)) TH_LOG("%m");
		EXPECT_FALSE(exits(self->vcpu, rings[i], 0));
		EXPECT_EQ(1, read_fd(self->fd));
		ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 1 << i, DEASSIGN, 0));
	}
}

TEST_F(eventfds, a_port_write_of_the_right_size_rings)
{
	for (u32 i = 0; i < ARRAY_SIZE(outs); i++) {
		ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, PORT, 1 << i, PIO, 0)) TH_LOG("%m");
		EXPECT_FALSE(exits(self->vcpu, outs[i], 0));
		EXPECT_EQ(1, read_fd(self->fd));
		ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, PORT, 1 << i, PIO | DEASSIGN, 0));
	}
}

TEST_F(eventfds, a_write_of_another_size_goes_to_user_space)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, 0, 0));
	EXPECT_TRUE(exits(self->vcpu, ring16, 0));
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, PORT, 2, PIO, 0));
	EXPECT_TRUE(exits(self->vcpu, out8, 0));
	EXPECT_EQ(0, read_fd(self->fd));
}

TEST_F(eventfds, a_write_beside_it_goes_to_user_space)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL + 4, 4, 0, 0));
	EXPECT_TRUE(exits(self->vcpu, ring32, 0));
	EXPECT_EQ(0, read_fd(self->fd));
}

static u64 read_doorbell(u64 arg)
{
	return read32(DOORBELL);
}

TEST_F(eventfds, a_read_goes_to_user_space)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, 0, 0));
	EXPECT_TRUE(exits(self->vcpu, read_doorbell, 0));
	EXPECT_EQ(0, read_fd(self->fd));
}

TEST_F(eventfds, datamatch_rings_for_its_value_alone)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 2, MATCH, 7));
	ASSERT_EQ(0, ioeventfd(&self->vm, self->other, DOORBELL, 2, MATCH, 8)) TH_LOG("%m");
	EXPECT_FALSE(exits(self->vcpu, ring16, 7));
	EXPECT_FALSE(exits(self->vcpu, ring16, 8));
	EXPECT_FALSE(exits(self->vcpu, ring16, 8));
	EXPECT_TRUE(exits(self->vcpu, ring16, 9));
	EXPECT_EQ(1, read_fd(self->fd));
	EXPECT_EQ(2, read_fd(self->other));
}

TEST_F(eventfds, length_0_rings_for_every_size)
{
	NEED_CAP(KVM_CAP_IOEVENTFD_ANY_LENGTH);
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 0, 0, 0)) TH_LOG("%m");
	for (u32 i = 0; i < ARRAY_SIZE(rings); i++)
		EXPECT_FALSE(exits(self->vcpu, rings[i], i));
	EXPECT_EQ(ARRAY_SIZE(rings), read_fd(self->fd));
}

TEST_F(eventfds, a_deassigned_ioeventfd_is_no_more)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, 0, 0));
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, DEASSIGN, 0));
	EXPECT_TRUE(exits(self->vcpu, ring32, 0));
	EXPECT_EQ(ENOENT, errno_of(ioeventfd(&self->vm, self->fd, DOORBELL, 4, DEASSIGN, 0)));
}

TEST_F(eventfds, two_of_the_same_address_size_and_value_are_eexist)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, 0, 0));
	EXPECT_EQ(EEXIST, errno_of(ioeventfd(&self->vm, self->other, DOORBELL, 4, 0, 0)));
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, PORT, 2, PIO | MATCH, 5));
	EXPECT_EQ(EEXIST, errno_of(ioeventfd(&self->vm, self->other, PORT, 2, PIO | MATCH, 5)));
	EXPECT_EQ(0, errno_of(ioeventfd(&self->vm, self->other, PORT, 2, PIO | MATCH, 6)));
}

TEST_F(eventfds, port_and_memory_of_one_number_are_two_things)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, PORT, 4, PIO, 0));
	EXPECT_EQ(0, errno_of(ioeventfd(&self->vm, self->other, PORT, 4, 0, 0)));
}

TEST_F(eventfds, bad_ioeventfds_are_refused)
{
	EXPECT_EQ(EBADF, errno_of(ioeventfd(&self->vm, -1, DOORBELL, 4, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(ioeventfd(&self->vm, self->vm.fd, DOORBELL, 4, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(ioeventfd(&self->vm, self->fd, DOORBELL, 3, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(ioeventfd(&self->vm, self->fd, DOORBELL, 16, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(ioeventfd(&self->vm, self->fd, DOORBELL, 4, 1 << 10, 0)));
	EXPECT_EQ(EINVAL, errno_of(ioeventfd(&self->vm, self->fd, -2ULL, 4, 0, 0)));
	/* No length, no value to match. */
	EXPECT_EQ(EINVAL, errno_of(ioeventfd(&self->vm, self->fd, DOORBELL, 0, MATCH, 1)));
}

TEST_F(eventfds, an_ioeventfd_may_ring_an_irqfd)
{
	route_msi(&self->vm, GSI);
	ASSERT_EQ(0, irqfd(&self->vm, self->fd, GSI, 0, 0));
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, 0, 0));
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	vcpu_call(self->vcpu, ring32, 0);
	vcpu_start(self->vcpu, receive, 0);
	vcpu_sync(self->vcpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, taken(self->vcpu));
}

static u64 ring_often(u64 count)
{
	for (u64 i = 0; i < count; i++)
		write32(DOORBELL, i);
	return count;
}

TEST_F(eventfds, many_come_and_go_while_the_guest_rings)
{
	ASSERT_EQ(0, ioeventfd(&self->vm, self->fd, DOORBELL, 4, 0, 0));
	vcpu_spawn(self->vcpu, ring_often, 2000);
	for (int i = 0; i < 40; i++) {
		ASSERT_EQ(0, ioeventfd(&self->vm, self->other, DOORBELL + 64, 4, 0, 0));
		ASSERT_EQ(0, ioeventfd(&self->vm, self->other, DOORBELL + 64, 4, DEASSIGN, 0));
	}
	EXPECT_EQ(2000, vcpu_join(self->vcpu));
	EXPECT_EQ(2000, read_fd(self->fd));
}

/* ---- coalesced MMIO ---- */

TEST_F(eventfds, coalesced_writes_wait_in_the_ring)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = DOORBELL, .size = 8 };
	int page = kvm_cap(KVM_CAP_COALESCED_MMIO);
	struct kvm_coalesced_mmio_ring *ring;

	NEED_CAP(KVM_CAP_COALESCED_MMIO);
	ring = (void *)((u8 *)self->vcpu->run + page * PAGE_SIZE);
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone)) TH_LOG("%m");
	EXPECT_FALSE(exits(self->vcpu, ring32, 0x1234));
	EXPECT_FALSE(exits(self->vcpu, ring8, 0x56));
	ASSERT_EQ(2, (ring->last - ring->first) % (PAGE_SIZE / sizeof(ring->coalesced_mmio[0])));
	EXPECT_EQ(DOORBELL, ring->coalesced_mmio[0].phys_addr);
	EXPECT_EQ(4, ring->coalesced_mmio[0].len);
	EXPECT_EQ(0x1234, *(u32 *)ring->coalesced_mmio[0].data);
	EXPECT_EQ(1, ring->coalesced_mmio[1].len);
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &zone));
	EXPECT_TRUE(exits(self->vcpu, ring32, 0));
}

TEST_F(eventfds, coalesced_port_writes_wait_in_the_ring)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = PORT, .size = 2, .pio = 1 };
	struct kvm_coalesced_mmio_ring *ring;

	NEED_CAP(KVM_CAP_COALESCED_PIO);
	ring = (void *)((u8 *)self->vcpu->run + kvm_cap(KVM_CAP_COALESCED_MMIO) * PAGE_SIZE);
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone)) TH_LOG("%m");
	EXPECT_FALSE(exits(self->vcpu, out16, 0x1234));
	ASSERT_EQ(1, ring->last);
	EXPECT_EQ(PORT, ring->coalesced_mmio[0].phys_addr);
	EXPECT_EQ(2, ring->coalesced_mmio[0].len);
	EXPECT_EQ(1, ring->coalesced_mmio[0].pio);
	EXPECT_EQ(0x1234, *(u16 *)ring->coalesced_mmio[0].data);
	EXPECT_TRUE(exits(self->vcpu, out32, 0));	/* reaches beyond the zone */
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &zone));
	EXPECT_TRUE(exits(self->vcpu, out16, 0));
}

TEST_F(eventfds, a_full_ring_sends_the_write_to_user_space)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = DOORBELL, .size = 4 };
	u32 written = 0;

	NEED_CAP(KVM_CAP_COALESCED_MMIO);
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone));
	vcpu_start(self->vcpu, ring_often, 1000);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	written = *(u32 *)self->vcpu->run->mmio.data;
	EXPECT_GT(written, 50);
	EXPECT_LT(written, 200);
}

TEST_HARNESS_MAIN
