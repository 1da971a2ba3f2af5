// SPDX-License-Identifier: GPL-2.0
/*
 * eventfds wired to the guest: irqfd (a signal raises a GSI) and ioeventfd (a
 * guest's write to an address signals).
 *
 * An irqfd lives from KVM_IRQFD to its de-assignment, the close of its eventfd
 * by all others (EPOLLHUP), or the VM's end.  Its wake-up runs under the
 * eventfd's wait queue lock with interrupts off and drives the GSI right
 * there.  On EPOLLHUP it can only ask a work item to do the rest; that item
 * holds a reference to the VM, so the VM's end has nothing to wait for.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/workqueue.h>
#include "../compat.h"
#include "irq.h"

/* ---- irqfd ---- */

struct irqfd {
	struct vm		*vm;
	u32			gsi;
	struct eventfd_ctx	*eventfd;
	struct eventfd_ctx	*resamplefd;	/* NULL: edge */
	wait_queue_entry_t	wait;		/* in eventfd's queue */
	struct list_head	node;		/* vm->irqfds; eventfd_lock */
	struct hlist_node	resample_node;	/* vm->resamplers; eventfd_lock, read under RCU */
	poll_table		poll;		/* while it is bound */
	struct work_struct	hangup;
	struct rcu_head		rcu;
};

static struct workqueue_struct *irqfd_hangup_wq;

static void irqfd_inject(const struct irqfd *irqfd)
{
	if (irqfd->resamplefd) {
		/* Stays up until the guest acknowledges it. */
		irq_set_gsi(irqfd->vm, irqfd->gsi, IRQ_SOURCE_RESAMPLE, true);
		return;
	}
	irq_set_gsi(irqfd->vm, irqfd->gsi, IRQ_SOURCE_IRQFD, true);
	irq_set_gsi(irqfd->vm, irqfd->gsi, IRQ_SOURCE_IRQFD, false);
}

/* Under the wait queue's lock, interrupts off. */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		irqfd_inject(irqfd);
	}
	/* A VM without references is on its way out and takes all irqfds along. */
	if (events & EPOLLHUP && refcount_inc_not_zero(&irqfd->vm->refs))
		queue_work(irqfd_hangup_wq, &irqfd->hangup);
	return !!(events & EPOLLIN);
}

static void irqfd_free(struct rcu_head *rcu)
{
	struct irqfd *irqfd = container_of(rcu, struct irqfd, rcu);

	if (!IS_ERR_OR_NULL(irqfd->eventfd))
		eventfd_ctx_put(irqfd->eventfd);
	if (!IS_ERR_OR_NULL(irqfd->resamplefd))
		eventfd_ctx_put(irqfd->resamplefd);
	kfree(irqfd);
}

/* No interrupt comes from it any more on return. eventfd_lock held. */
static void irqfd_release(struct irqfd *irqfd)
{
	struct vm *vm = irqfd->vm;
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	list_del(&irqfd->node);
	if (irqfd->resamplefd) {
		hlist_del_rcu(&irqfd->resample_node);
		if (!irqfd_resampled(vm, irqfd->gsi))
			irq_set_gsi(vm, irqfd->gsi, IRQ_SOURCE_RESAMPLE, false);
		ioapic_update_listeners(vm);
	}
	call_rcu(&irqfd->rcu, irqfd_free);
}

/* All others have closed the eventfd: nobody can de-assign it any more. */
static void irqfd_hangup(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, hangup);
	struct vm *vm = irqfd->vm;

	scoped_guard(mutex, &vm->eventfd_lock)
		irqfd_release(irqfd);
	vm_put(vm);
}

static void irqfd_poll(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct irqfd *irqfd = container_of(table, struct irqfd, poll);

	add_wait_queue_priority(queue, &irqfd->wait);
}

/* Into the VM's lists and the eventfd's queue. Takes over @irqfd if it succeeds. */
static int irqfd_bind(struct irqfd *irqfd, struct file *file)
{
	struct vm *vm = irqfd->vm;
	struct irqfd *other;

	guard(mutex)(&vm->eventfd_lock);
	list_for_each_entry(other, &vm->irqfds, node)
		if (other->eventfd == irqfd->eventfd)
			return -EBUSY;
	list_add_tail(&irqfd->node, &vm->irqfds);
	if (irqfd->resamplefd) {
		hlist_add_head_rcu(&irqfd->resample_node, &vm->resamplers);
		ioapic_update_listeners(vm);
	}
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
	init_poll_funcptr(&irqfd->poll, irqfd_poll);
	/* What was signalled before we listened counts. */
	if (vfs_poll(file, &irqfd->poll) & EPOLLIN)
		irqfd_inject(irqfd);
	return 0;
}

static int irqfd_add(struct vm *vm, const struct kvm_irqfd *args)
{
	struct file *file __free(fput) = eventfd_fget(args->fd);
	struct irqfd *irqfd;
	int ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	irqfd->vm = vm;
	irqfd->gsi = args->gsi;
	INIT_WORK(&irqfd->hangup, irqfd_hangup);
	irqfd->eventfd = eventfd_ctx_fileget(file);
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE)
		irqfd->resamplefd = eventfd_ctx_fdget(args->resamplefd);
	ret = PTR_ERR_OR_ZERO(irqfd->eventfd) ?: PTR_ERR_OR_ZERO(irqfd->resamplefd) ?:
	      irqfd_bind(irqfd, file);
	if (ret)
		irqfd_free(&irqfd->rcu);
	return ret;
}

/* Until it is released the file is held: a hang-up would release it once more. */
static int irqfd_remove(struct vm *vm, const struct kvm_irqfd *args)
{
	struct file *file __free(fput) = eventfd_fget(args->fd);
	struct eventfd_ctx *eventfd;
	struct irqfd *irqfd, *next;

	if (IS_ERR(file))
		return PTR_ERR(file);
	eventfd = eventfd_ctx_fileget(file);
	guard(mutex)(&vm->eventfd_lock);
	list_for_each_entry_safe(irqfd, next, &vm->irqfds, node)
		if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi)
			irqfd_release(irqfd);
	eventfd_ctx_put(eventfd);
	return 0;
}

/**
 * irqfd_assign() - KVM_IRQFD
 * @vm: any
 * @args: from user space
 *
 * Return: 0; -EINVAL for unknown flags, without local APICs, or to resample
 * without the chips in the kernel; -EBADF, -EINVAL for a file that is no
 * eventfd; -EBUSY if the eventfd is bound in this VM already; -ENOMEM.
 * De-assigning what is not there is no error.
 */
int irqfd_assign(struct vm *vm, const struct kvm_irqfd *args)
{
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return irqfd_remove(vm, args);
	if (vm->irqchip == IRQCHIP_NONE || args->gsi >= IRQ_MAX_ROUTES ||
	    (args->flags & KVM_IRQFD_FLAG_RESAMPLE && vm->irqchip != IRQCHIP_KERNEL))
		return -EINVAL;
	return irqfd_add(vm, args);
}

/**
 * irqfd_resampled() - does a resampling irqfd drive this GSI?
 * @vm: any
 * @gsi: any
 *
 * Under RCU or eventfd_lock.
 */
bool irqfd_resampled(struct vm *vm, u32 gsi)
{
	struct irqfd *irqfd;

	hlist_for_each_entry_rcu(irqfd, &vm->resamplers, resample_node,
				 lockdep_is_held(&vm->eventfd_lock))
		if (irqfd->gsi == gsi)
			return true;
	return false;
}

/**
 * irqfd_resample_ack() - the guest has acknowledged a GSI
 * @vm: any
 * @gsi: any
 *
 * Lowers the line and tells the devices, which signal again if they still
 * want service.  Under RCU, any context.
 */
void irqfd_resample_ack(struct vm *vm, u32 gsi)
{
	struct irqfd *irqfd;

	if (!irqfd_resampled(vm, gsi))
		return;
	irq_set_gsi(vm, gsi, IRQ_SOURCE_RESAMPLE, false);
	hlist_for_each_entry_rcu(irqfd, &vm->resamplers, resample_node)
		if (irqfd->gsi == gsi)
			compat_eventfd_signal(irqfd->resamplefd);
}

/**
 * irqfd_release_all() - the VM ends
 * @vm: without references
 */
void irqfd_release_all(struct vm *vm)
{
	struct irqfd *irqfd, *next;

	guard(mutex)(&vm->eventfd_lock);
	list_for_each_entry_safe(irqfd, next, &vm->irqfds, node)
		irqfd_release(irqfd);
}

/* ---- ioeventfd ---- */

#define IOEVENTFD_MAX	1000		/* a VM; as many as stock KVM has */

struct ioeventfd {
	struct hlist_node node;		/* in ioeventfds */
	struct rcu_head	rcu;
	struct vm	*vm;
	gpa_t		addr;
	bool		pio;
	bool		any_value;
	u8		len;		/* 0: any length, then any value too */
	u64		value;
	struct eventfd_ctx *eventfd;
};

/* Those of all VMs, by VM and address.  A VM that has none costs nothing. */
static DEFINE_HASHTABLE(ioeventfds, 8);	/* ioeventfd_lock, read under RCU */
static DEFINE_MUTEX(ioeventfd_lock);	/* and vm->nr_ioeventfds */

static unsigned long ioeventfd_key(const struct vm *vm, gpa_t addr)
{
	return (unsigned long)vm ^ addr;
}

static bool ioeventfd_is_at(const struct ioeventfd *fd, const struct vm *vm, bool pio, gpa_t addr)
{
	return fd->addr == addr && fd->vm == vm && fd->pio == pio;
}

static bool ioeventfd_matches(const struct ioeventfd *fd, const void *data, unsigned int len)
{
	u64 value = 0;

	if (!fd->len)
		return true;
	if (fd->len != len)
		return false;
	memcpy(&value, data, len);
	return fd->any_value || value == fd->value;
}

/**
 * ioeventfd_write() - a guest's write that nobody else took
 * @vm: any
 * @pio: to a port
 * @addr: port or guest physical address
 * @data: what
 * @len: bytes
 *
 * Any context.  Return: true if an eventfd was there and has been signalled.
 */
bool ioeventfd_write(struct vm *vm, bool pio, gpa_t addr, const void *data, unsigned int len)
{
	struct ioeventfd *fd;
	bool hit = false;

	if (!READ_ONCE(vm->nr_ioeventfds))
		return false;
	rcu_read_lock();
	hash_for_each_possible_rcu(ioeventfds, fd, node, ioeventfd_key(vm, addr)) {
		hit = ioeventfd_is_at(fd, vm, pio, addr) && ioeventfd_matches(fd, data, len);
		if (hit) {
			compat_eventfd_signal(fd->eventfd);
			break;
		}
	}
	rcu_read_unlock();
	return hit;
}

/* Would a write be taken by both? */
static bool ioeventfd_collides(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return !a->len || !b->len ||
	       (a->len == b->len && (a->any_value || b->any_value || a->value == b->value));
}

static bool ioeventfd_equals(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->eventfd == b->eventfd && a->len == b->len &&
	       a->any_value == b->any_value && a->value == b->value;
}

/* One at the place of @like that it also @meets, or NULL. */
static struct ioeventfd *ioeventfd_find(const struct ioeventfd *like,
		bool (*meets)(const struct ioeventfd *a, const struct ioeventfd *b))
{
	struct ioeventfd *fd;

	hash_for_each_possible(ioeventfds, fd, node, ioeventfd_key(like->vm, like->addr))
		if (ioeventfd_is_at(fd, like->vm, like->pio, like->addr) && meets(fd, like))
			return fd;
	return NULL;
}

/* ioeventfd_lock held; takes over new->eventfd if it succeeds. */
static int ioeventfd_add(struct vm *vm, const struct ioeventfd *new)
{
	struct ioeventfd *fd;

	if (ioeventfd_find(new, ioeventfd_collides))
		return -EEXIST;
	if (vm->nr_ioeventfds >= IOEVENTFD_MAX)
		return -ENOSPC;
	fd = kmemdup(new, sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!fd)
		return -ENOMEM;
	hash_add_rcu(ioeventfds, &fd->node, ioeventfd_key(vm, fd->addr));
	WRITE_ONCE(vm->nr_ioeventfds, vm->nr_ioeventfds + 1);
	return 0;
}

static void ioeventfd_free(struct rcu_head *rcu)
{
	struct ioeventfd *fd = container_of(rcu, struct ioeventfd, rcu);

	eventfd_ctx_put(fd->eventfd);
	kfree(fd);
}

/* ioeventfd_lock held. */
static int ioeventfd_del(struct vm *vm, struct ioeventfd *fd)
{
	if (!fd)
		return -ENOENT;
	hash_del_rcu(&fd->node);
	WRITE_ONCE(vm->nr_ioeventfds, vm->nr_ioeventfds - 1);
	call_rcu(&fd->rcu, ioeventfd_free);
	return 0;
}

static bool ioeventfd_args_valid(const struct kvm_ioeventfd *args)
{
	if (args->flags & ~(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
			    KVM_IOEVENTFD_FLAG_DEASSIGN))
		return false;
	if (!args->len)
		return !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	return is_power_of_2(args->len) && args->len <= 8 && args->addr + args->len > args->addr;
}

/**
 * ioeventfd_ioctl() - KVM_IOEVENTFD
 * @vm: any
 * @args: from user space
 *
 * Return: 0; -EINVAL for a length, an address that wraps or flags that there
 * are not, or a file that is no eventfd; -EBADF; -EEXIST if a write could be
 * meant for two; -ENOENT if there is none such to take away; -ENOSPC, -ENOMEM.
 */
int ioeventfd_ioctl(struct vm *vm, const struct kvm_ioeventfd *args)
{
	struct ioeventfd fd = {
		.vm = vm, .addr = args->addr,
		.pio = args->flags & KVM_IOEVENTFD_FLAG_PIO,
		.any_value = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH),
		.len = args->len,
		.value = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH ? args->datamatch : 0,
	};
	bool add = !(args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN);
	int ret;

	if (!ioeventfd_args_valid(args))
		return -EINVAL;
	fd.eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(fd.eventfd))
		return PTR_ERR(fd.eventfd);
	mutex_lock(&ioeventfd_lock);
	ret = add ? ioeventfd_add(vm, &fd) :
		    ioeventfd_del(vm, ioeventfd_find(&fd, ioeventfd_equals));
	mutex_unlock(&ioeventfd_lock);
	if (ret || !add)
		eventfd_ctx_put(fd.eventfd);
	return ret;
}

/**
 * ioeventfd_release_all() - the VM ends
 * @vm: its vCPUs no longer run
 */
void ioeventfd_release_all(struct vm *vm)
{
	struct hlist_node *next;
	struct ioeventfd *fd;
	int bucket;

	if (!vm->nr_ioeventfds)
		return;
	guard(mutex)(&ioeventfd_lock);
	hash_for_each_safe(ioeventfds, bucket, next, fd, node)
		if (fd->vm == vm)
			ioeventfd_del(vm, fd);
}

/**
 * eventfd_module_init() - before the first VM
 *
 * Return: 0 or -ENOMEM.
 */
int eventfd_module_init(void)
{
	irqfd_hangup_wq = alloc_workqueue("kvm-irqfd-hangup", 0, 0);
	return irqfd_hangup_wq ? 0 : -ENOMEM;
}

/**
 * eventfd_module_exit() - after the last VM fd is closed
 *
 * A hang-up may hold the last reference to its VM, which then ends in here.
 */
void eventfd_module_exit(void)
{
	if (irqfd_hangup_wq)
		destroy_workqueue(irqfd_hangup_wq);
}
