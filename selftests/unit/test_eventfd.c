// SPDX-License-Identifier: GPL-2.0
/*
 * irq/eventfd.c against Documentation/virt/kvm/api.rst, "KVM_IRQFD" and
 * "KVM_IOEVENTFD", with eventfds that are numbers here.
 */
#include <asm/apicdef.h>
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <linux/workqueue.h>
#include "irq_world.h"
#include "kselftest_harness.h"

/* ---- eventfds: fd 0 to 7; 8 is a file, but no eventfd ---- */

enum { NR_FDS = 8, NO_EVENTFD = 8, CLOSED = 9 };

struct file { int fd; };

struct eventfd_ctx {
	struct file file;
	int refs, files;
	bool closing;		/* another thread has just closed its descriptor */
	u64 count;
	wait_queue_head_t queue;
} fds[NR_FDS];

static struct work_struct *queued;

struct file *eventfd_fget(int fd)
{
	if (fd >= NR_FDS)
		return ERR_PTR(fd == NO_EVENTFD ? -EINVAL : -EBADF);
	fds[fd].file.fd = fd;
	fds[fd].files++;
	return &fds[fd].file;
}

static void wake(struct eventfd_ctx *ctx, unsigned long events);

void fput(struct file *file)
{
	struct eventfd_ctx *ctx = &fds[file->fd];

	if (!--ctx->files && ctx->closing) {
		ctx->closing = false;
		wake(ctx, EPOLLHUP);
	}
}

struct eventfd_ctx *eventfd_ctx_fileget(struct file *file)
{
	fds[file->fd].refs++;
	return &fds[file->fd];
}

struct eventfd_ctx *eventfd_ctx_fdget(int fd)
{
	struct file *file = eventfd_fget(fd);
	struct eventfd_ctx *ctx;

	if (IS_ERR(file))
		return (void *)file;
	ctx = eventfd_ctx_fileget(file);
	fput(file);
	return ctx;
}

void eventfd_ctx_put(struct eventfd_ctx *ctx)
{
	ctx->refs--;
}

void eventfd_ctx_do_read(struct eventfd_ctx *ctx, unsigned long *count)
{
	*count = ctx->count;
	ctx->count = 0;
}

int eventfd_ctx_remove_wait_queue(struct eventfd_ctx *ctx, wait_queue_entry_t *wait,
				  unsigned long *count)
{
	assert(ctx->queue.entry == wait);
	ctx->queue.entry = NULL;
	eventfd_ctx_do_read(ctx, count);
	return 0;
}

static void wake(struct eventfd_ctx *ctx, unsigned long events)
{
	if (ctx->queue.entry)
		ctx->queue.entry->func(ctx->queue.entry, 0, 0, (void *)events);
}

void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
	ctx->count++;
	wake(ctx, EPOLLIN);
}

__poll_t vfs_poll(struct file *file, poll_table *table)
{
	table->proc(file, &fds[file->fd].queue, table);
	return fds[file->fd].count ? EPOLLIN : 0;
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max_active)
{
	return (void *)1;
}

void destroy_workqueue(struct workqueue_struct *queue)
{
}

bool queue_work(struct workqueue_struct *queue, struct work_struct *work)
{
	queued = work;
	return true;
}

/* ---- irqfd ---- */

enum { LINE = 9, VECTOR = 0x61, LEVEL = 1 << 15 };

FIXTURE(eventfd) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(eventfd)
{
	self->vm = world_vm(IRQCHIP_KERNEL, 1);
	self->vcpu = self->vm->vcpus[0];
	apic_enable(self->vcpu);
	apic_write(self->vcpu, APIC_LVT0, APIC_LVT_MASKED);
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR);
	ASSERT_EQ(0, eventfd_module_init());
}

FIXTURE_TEARDOWN(eventfd)
{
	int fd;

	world_free(self->vm);
	eventfd_module_exit();
	/* whatever was bound, nothing holds an eventfd or listens to one any more */
	for (fd = 0; fd < NR_FDS; fd++) {
		EXPECT_EQ(0, fds[fd].refs);
		EXPECT_EQ(0, fds[fd].files);
		EXPECT_EQ(NULL, fds[fd].queue.entry);
	}
}

static int bind_irqfd(struct vm *vm, int fd, u32 gsi)
{
	return irqfd_assign(vm, &(struct kvm_irqfd) { .fd = fd, .gsi = gsi });
}

static int unbind_irqfd(struct vm *vm, int fd, u32 gsi)
{
	return irqfd_assign(vm, &(struct kvm_irqfd) {
		.fd = fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN });
}

static int bind_resample(struct vm *vm, int fd, u32 gsi, int resamplefd)
{
	return irqfd_assign(vm, &(struct kvm_irqfd) {
		.fd = fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = resamplefd });
}

static int serve(struct vcpu *vcpu)
{
	int vector = irq_ack(vcpu);

	apic_write(vcpu, APIC_EOI, 0);
	return vector;
}

TEST_F(eventfd, a_signal_is_an_edge)
{
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(0, fds[1].count);
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(eventfd, a_signal_from_before_is_not_lost)
{
	fds[1].count = 1;
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

TEST_F(eventfd, deassigned_it_is_silent)
{
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	EXPECT_EQ(0, unbind_irqfd(self->vm, 1, LINE + 1));	/* not this one */
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	EXPECT_EQ(0, unbind_irqfd(self->vm, 1, LINE));
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	EXPECT_EQ(0, unbind_irqfd(self->vm, 1, LINE));
	/* and can be bound again */
	fds[1].count = 0;
	EXPECT_EQ(0, bind_irqfd(self->vm, 1, LINE));
}

TEST_F(eventfd, an_eventfd_is_bound_once_in_a_vm)
{
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	EXPECT_EQ(-EBUSY, bind_irqfd(self->vm, 1, LINE));
	EXPECT_EQ(-EBUSY, bind_irqfd(self->vm, 1, LINE + 1));
	EXPECT_EQ(0, bind_irqfd(self->vm, 2, LINE));
}

TEST_F(eventfd, bad_irqfds_are_refused)
{
	struct kvm_irqfd args = { .fd = 1, .gsi = LINE, .flags = 1 << 2 };
	struct vm *none = world_vm(IRQCHIP_NONE, 0), *split = world_vm(IRQCHIP_SPLIT, 0);

	EXPECT_EQ(-EINVAL, irqfd_assign(self->vm, &args));
	EXPECT_EQ(-EBADF, bind_irqfd(self->vm, CLOSED, LINE));
	EXPECT_EQ(-EINVAL, bind_irqfd(self->vm, NO_EVENTFD, LINE));
	EXPECT_EQ(-EBADF, unbind_irqfd(self->vm, CLOSED, LINE));
	EXPECT_EQ(-EINVAL, bind_irqfd(self->vm, 1, IRQ_MAX_ROUTES));
	EXPECT_EQ(-EBADF, bind_resample(self->vm, 1, LINE, CLOSED));
	EXPECT_EQ(-EINVAL, bind_resample(self->vm, 1, LINE, NO_EVENTFD));
	EXPECT_EQ(-EINVAL, bind_irqfd(none, 1, LINE));
	EXPECT_EQ(-EINVAL, bind_resample(split, 1, LINE, 2));
	EXPECT_EQ(0, bind_irqfd(split, 1, LINE));
	world_free(none);
	world_free(split);
}

TEST_F(eventfd, closed_by_all_others_it_goes_away_by_itself)
{
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	wake(&fds[1], EPOLLHUP);
	EXPECT_EQ(2, self->vm->refs.refs);
	ASSERT_NE(NULL, queued);
	queued->function(queued);
	EXPECT_EQ(1, self->vm->refs.refs);
	EXPECT_EQ(0, fds[1].refs);
	EXPECT_EQ(NULL, fds[1].queue.entry);
	EXPECT_TRUE(list_empty(&self->vm->irqfds));
}

/* Released by the one, it is not there for the hang-up of the other. */
TEST_F(eventfd, closed_while_it_is_deassigned_it_goes_away_once)
{
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	fds[1].closing = true;
	EXPECT_EQ(0, unbind_irqfd(self->vm, 1, LINE));
	EXPECT_FALSE(fds[1].closing);
	EXPECT_EQ(NULL, queued);
	EXPECT_EQ(1, self->vm->refs.refs);
}

TEST_F(eventfd, a_hang_up_of_a_vm_that_ends_is_left_to_its_end)
{
	ASSERT_EQ(0, bind_irqfd(self->vm, 1, LINE));
	self->vm->refs.refs = 0;
	wake(&fds[1], EPOLLHUP);
	EXPECT_EQ(NULL, queued);
	EXPECT_EQ(0, self->vm->refs.refs);
}

TEST_F(eventfd, a_resampling_one_is_a_level)
{
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL);
	ASSERT_EQ(0, bind_resample(self->vm, 1, LINE, 2));
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(VECTOR, irq_ack(self->vcpu));
	EXPECT_EQ(0, fds[2].count);
	/* the EOI lowers the line and asks the device */
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(1, fds[2].count);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	EXPECT_EQ(2, fds[2].count);
}

TEST_F(eventfd, a_device_that_still_wants_service_gets_it)
{
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL);
	ASSERT_EQ(0, bind_resample(self->vm, 1, LINE, 2));
	/* the device answers the resample at once, within the EOI */
	ASSERT_EQ(0, bind_irqfd(self->vm, 2, LINE + 1));
	ioapic_put(self->vm, 0x10 + 2 * (LINE + 1), 0x62);
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(VECTOR, irq_ack(self->vcpu));
	apic_write(self->vcpu, APIC_EOI, 0);
	EXPECT_EQ(0x62, serve(self->vcpu));
}

TEST_F(eventfd, all_that_share_a_line_are_asked)
{
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL);
	ASSERT_EQ(0, bind_resample(self->vm, 1, LINE, 2));
	ASSERT_EQ(0, bind_resample(self->vm, 3, LINE, 4));
	ASSERT_EQ(0, bind_resample(self->vm, 5, LINE + 1, 6));
	compat_eventfd_signal(&fds[3]);
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	EXPECT_EQ(1, fds[2].count);
	EXPECT_EQ(1, fds[4].count);
	EXPECT_EQ(0, fds[6].count);
}

TEST_F(eventfd, the_last_resampling_one_takes_its_level_along)
{
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL | APIC_LVT_MASKED);
	ASSERT_EQ(0, bind_resample(self->vm, 1, LINE, 2));
	ASSERT_EQ(0, bind_resample(self->vm, 3, LINE, 4));
	compat_eventfd_signal(&fds[1]);
	EXPECT_EQ(0, unbind_irqfd(self->vm, 1, LINE));
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL);
	EXPECT_EQ(VECTOR, irq_pending(self->vcpu));
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL | APIC_LVT_MASKED);
	EXPECT_EQ(0, unbind_irqfd(self->vm, 3, LINE));
	EXPECT_EQ(VECTOR, serve(self->vcpu));
	ioapic_put(self->vm, 0x10 + 2 * LINE, VECTOR | LEVEL);
	EXPECT_EQ(-1, irq_pending(self->vcpu));
}

/* ---- ioeventfd ---- */

enum { MATCH = KVM_IOEVENTFD_FLAG_DATAMATCH, PIO = KVM_IOEVENTFD_FLAG_PIO,
	DEASSIGN = KVM_IOEVENTFD_FLAG_DEASSIGN };

static int ioeventfd(struct vm *vm, int fd, u64 addr, u32 len, u32 flags, u64 value)
{
	return ioeventfd_ioctl(vm, &(struct kvm_ioeventfd) {
		.fd = fd, .addr = addr, .len = len, .flags = flags, .datamatch = value });
}

/* The eventfd that a write signals, or -1; what the write returns agrees. */
static int hit(struct vm *vm, bool pio, u64 addr, unsigned int len, u64 value)
{
	int fd, who = -1;
	bool ret;

	for (fd = 0; fd < NR_FDS; fd++)
		fds[fd].count = 0;
	ret = ioeventfd_write(vm, pio, addr, &value, len);
	for (fd = 0; fd < NR_FDS; fd++)
		if (fds[fd].count)
			who = fd;
	assert(ret == (who >= 0));
	return who;
}

TEST_F(eventfd, a_write_of_that_length_to_that_address_signals)
{
	EXPECT_EQ(-1, hit(self->vm, false, 0x1000, 4, 0));
	ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 4, 0, 0));
	EXPECT_EQ(1, hit(self->vm, false, 0x1000, 4, 0x1234));
	EXPECT_EQ(-1, hit(self->vm, false, 0x1000, 2, 0));
	EXPECT_EQ(-1, hit(self->vm, false, 0x1000, 8, 0));
	EXPECT_EQ(-1, hit(self->vm, false, 0x1001, 4, 0));
	EXPECT_EQ(-1, hit(self->vm, false, 0x0fff, 4, 0));
	EXPECT_EQ(-1, hit(self->vm, true, 0x1000, 4, 0));
}

TEST_F(eventfd, ports_and_memory_are_apart)
{
	ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 4, 0, 0));
	ASSERT_EQ(0, ioeventfd(self->vm, 2, 0x1000, 4, PIO, 0));
	EXPECT_EQ(1, hit(self->vm, false, 0x1000, 4, 0));
	EXPECT_EQ(2, hit(self->vm, true, 0x1000, 4, 0));
}

TEST_F(eventfd, a_value_can_be_asked_for)
{
	ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 2, MATCH, 7));
	ASSERT_EQ(0, ioeventfd(self->vm, 2, 0x1000, 2, MATCH, 8));
	ASSERT_EQ(0, ioeventfd(self->vm, 3, 0x1000, 4, 0, 0));
	EXPECT_EQ(1, hit(self->vm, false, 0x1000, 2, 7));
	EXPECT_EQ(2, hit(self->vm, false, 0x1000, 2, 8));
	EXPECT_EQ(-1, hit(self->vm, false, 0x1000, 2, 9));
	EXPECT_EQ(3, hit(self->vm, false, 0x1000, 4, 7));
	/* 64 bits of it */
	ASSERT_EQ(0, ioeventfd(self->vm, 4, 0x2000, 8, MATCH, 1ULL << 40));
	EXPECT_EQ(4, hit(self->vm, false, 0x2000, 8, 1ULL << 40));
	EXPECT_EQ(-1, hit(self->vm, false, 0x2000, 8, 0));
}

TEST_F(eventfd, length_0_takes_any)
{
	ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 0, 0, 0));
	EXPECT_EQ(1, hit(self->vm, false, 0x1000, 1, 0));
	EXPECT_EQ(1, hit(self->vm, false, 0x1000, 8, ~0ULL));
	EXPECT_EQ(-1, hit(self->vm, false, 0x1001, 1, 0));
}

TEST_F(eventfd, two_that_a_write_could_mean_collide)
{
	ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 4, MATCH, 7));
	EXPECT_EQ(-EEXIST, ioeventfd(self->vm, 2, 0x1000, 4, MATCH, 7));
	EXPECT_EQ(-EEXIST, ioeventfd(self->vm, 2, 0x1000, 4, 0, 0));
	EXPECT_EQ(-EEXIST, ioeventfd(self->vm, 2, 0x1000, 0, 0, 0));
	EXPECT_EQ(0, ioeventfd(self->vm, 2, 0x1000, 2, 0, 0));
	EXPECT_EQ(-EEXIST, ioeventfd(self->vm, 3, 0x1000, 2, MATCH, 9));
	EXPECT_EQ(0, ioeventfd(self->vm, 3, 0x1004, 0, 0, 0));
	EXPECT_EQ(-EEXIST, ioeventfd(self->vm, 4, 0x1004, 8, 0, 0));
}

TEST_F(eventfd, only_the_very_same_is_taken_away)
{
	ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 4, MATCH, 7));
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 2, 0x1000, 4, DEASSIGN | MATCH, 7));
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 1, 0x1004, 4, DEASSIGN | MATCH, 7));
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 1, 0x1000, 2, DEASSIGN | MATCH, 7));
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 1, 0x1000, 4, DEASSIGN | MATCH, 8));
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 1, 0x1000, 4, DEASSIGN, 0));
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 1, 0x1000, 4, DEASSIGN | MATCH | PIO, 7));
	EXPECT_EQ(1, hit(self->vm, false, 0x1000, 4, 7));
	EXPECT_EQ(0, ioeventfd(self->vm, 1, 0x1000, 4, DEASSIGN | MATCH, 7));
	EXPECT_EQ(-1, hit(self->vm, false, 0x1000, 4, 7));
	EXPECT_EQ(0, fds[1].refs);
	EXPECT_EQ(-ENOENT, ioeventfd(self->vm, 1, 0x1000, 4, DEASSIGN | MATCH, 7));
}

TEST_F(eventfd, bad_ioeventfds_are_refused)
{
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, 1, 0x1000, 3, 0, 0));
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, 1, 0x1000, 16, 0, 0));
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, 1, 0x1000, 0, MATCH, 7));
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, 1, ~0ULL - 1, 4, 0, 0));
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, 1, 0x1000, 4, 1 << 4, 0));
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, 1, 0x1000, 4,
				     KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY, 0));
	EXPECT_EQ(-EBADF, ioeventfd(self->vm, CLOSED, 0x1000, 4, 0, 0));
	EXPECT_EQ(-EINVAL, ioeventfd(self->vm, NO_EVENTFD, 0x1000, 4, 0, 0));
}

TEST_F(eventfd, there_is_an_end_to_them)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, ioeventfd(self->vm, 1, 0x1000 + 4 * i, 4, 0, 0));
	EXPECT_EQ(-ENOSPC, ioeventfd(self->vm, 1, 0x8000, 4, 0, 0));
	EXPECT_EQ(1000, fds[1].refs);
}

TEST_F(eventfd, many_in_any_order_are_found)
{
	bool there[2][64] = {};
	unsigned int round, addr, fd;
	int pio, want;

	srand(3);
	for (round = 0; round < 20000; round++) {
		addr = rand() % 64;
		pio = rand() % 2;
		fd = addr % NR_FDS;
		switch (rand() % 3) {
		case 0:
			want = there[pio][addr] ? -EEXIST : 0;
			ASSERT_EQ(want, ioeventfd(self->vm, fd, addr, 1, pio ? PIO : 0, 0));
			there[pio][addr] = true;
			break;
		case 1:
			want = there[pio][addr] ? 0 : -ENOENT;
			ASSERT_EQ(want, ioeventfd(self->vm, fd, addr, 1,
						  DEASSIGN | (pio ? PIO : 0), 0));
			there[pio][addr] = false;
			break;
		case 2:
			want = there[pio][addr] ? (int)fd : -1;
			ASSERT_EQ(want, hit(self->vm, pio, addr, 1, 0));
			break;
		}
	}
}

TEST_HARNESS_MAIN
