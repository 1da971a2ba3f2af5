// SPDX-License-Identifier: GPL-2.0
/*
 * VIRTIO 1.2, "Virtio Over PCI Bus", without the legacy interface.
 *
 * NOTDONE: more than one queue a device; a disk's requests run in parallel
 * from a single one.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "virtio.h"

/* BAR 0, a page a structure. */
enum {
	BAR_COMMON = 0x0000,
	BAR_ISR = 0x1000,
	BAR_CONFIG = 0x2000,
	BAR_NOTIFY = 0x3000,
	BAR_MSIX_TABLE = 0x4000,
	BAR_MSIX_PBA = 0x5000,
	BAR_SIZE = 0x8000,
	BAR_PAGE = 0x1000,

	VENDOR_VIRTIO = 0x1af4,
	DEVICE_MODERN = 0x1040,		/* plus the virtio device id */
	REVISION_MODERN = 1,

	NOTIFY_LEN = 2,			/* the driver writes the queue's number */
	ISR_QUEUE = 1,
	ISR_CONFIG = VIRTIO_PCI_ISR_CONFIG,
};

/* Drive INTx by what ISR says; with MSI-X it is silent. */
static void virtio_update_intx(struct virtio_device *dev)
{
	bool level = dev->isr && !dev->msix.enabled && !dev->intx_disabled;

	irq_line(dev->bus->irq, pci_gsi(dev->pci.slot), dev->pci.slot, level);
}

static void virtio_interrupt(struct virtio_device *dev, u16 vector, u8 isr)
{
	if (!dev->msix.enabled || isr == ISR_CONFIG)
		dev->isr |= isr;
	if (!dev->msix.enabled)
		virtio_update_intx(dev);
	else if (vector != VIRTIO_MSI_NO_VECTOR)
		msix_notify(&dev->msix, vector);
}

/* The driver broke the rules: nothing works until it resets the device. */
static void virtio_break(struct virtio_device *dev, const char *why)
{
	verbose("PCI slot %u: %s; the device waits for a reset", dev->pci.slot, why);
	dev->queue.ready = false;
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(dev, dev->config_vector, ISR_CONFIG);
}

/* The driver's reset: requests under way end first.  Under dev->lock. */
static void virtio_reset_locked(struct virtio_device *dev)
{
	dev->queue.ready = false;
	while (dev->inflight)
		pthread_cond_wait(&dev->idle, &dev->lock);
	virtq_reset(&dev->queue);
	dev->accepted = 0;
	dev->offered_select = dev->accepted_select = 0;
	dev->config_vector = dev->queue_vector = VIRTIO_MSI_NO_VECTOR;
	dev->queue_select = 0;
	dev->status = 0;
	dev->isr = 0;
	virtio_update_intx(dev);
}

static void virtio_write_status(struct virtio_device *dev, u8 status)
{
	bool features_ok = (dev->accepted & (1ULL << VIRTIO_F_VERSION_1)) &&
			   !(dev->accepted & ~dev->offered);

	if (!status) {
		virtio_reset_locked(dev);
		return;
	}
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK) && !features_ok)
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	dev->status = status | (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	dev->queue.event_idx = dev->accepted & (1ULL << VIRTIO_RING_F_EVENT_IDX);
	dev->queue.indirect = dev->accepted & (1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	/* A kick may have come before the driver was ready. */
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		event_signal(dev->kick.fd);
}

static u16 virtio_vector(const struct virtio_device *dev, u32 vector)
{
	bool has_msix = dev->bus->irq->kvm->irqfd;

	return has_msix && vector < MSIX_MAX ? vector : VIRTIO_MSI_NO_VECTOR;
}

static void set_low(gpa_t *gpa, u32 value)
{
	*gpa = (*gpa & ~0xffffffffULL) | value;
}

static void set_high(gpa_t *gpa, u32 value)
{
	*gpa = (*gpa & 0xffffffffULL) | (u64)value << 32;
}

static void virtio_write_features(struct virtio_device *dev, u32 value)
{
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (dev->accepted_select == 0)
		set_low(&dev->accepted, value);
	else if (dev->accepted_select == 1)
		set_high(&dev->accepted, value);
}

/* Fields of the common configuration that belong to the queue. */
static void virtio_write_queue(struct virtio_device *dev, unsigned int field, u32 value)
{
	struct virtq *q = &dev->queue;

	if (dev->queue_select)
		return;
	if (field == VIRTIO_PCI_COMMON_Q_MSIX)
		dev->queue_vector = virtio_vector(dev, value);
	if (q->ready)
		return;
	switch (field) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		q->size = value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1 && virtq_start(q, dev->bus->mem) < 0)
			virtio_break(dev, "a ring of wrong size or outside of memory");
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&q->desc_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&q->desc_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&q->avail_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&q->avail_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&q->used_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&q->used_gpa, value);
		break;
	}
}

static void virtio_write_common(struct virtio_device *dev, unsigned int field, u32 value)
{
	switch (field) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		dev->offered_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		dev->accepted_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_write_features(dev, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		dev->config_vector = virtio_vector(dev, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_write_status(dev, value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		dev->queue_select = value;
		break;
	default:
		virtio_write_queue(dev, field, value);
	}
}

static u32 feature_word(u64 features, u32 select)
{
	return select < 2 ? features >> 32 * select : 0;
}

/* The common configuration as the guest sees it just now. */
static struct virtio_pci_common_cfg virtio_common(const struct virtio_device *dev)
{
	const struct virtq *q = &dev->queue;
	struct virtio_pci_common_cfg c = {
		.device_feature_select = dev->offered_select,
		.device_feature = feature_word(dev->offered, dev->offered_select),
		.guest_feature_select = dev->accepted_select,
		.guest_feature = feature_word(dev->accepted, dev->accepted_select),
		.msix_config = dev->config_vector,
		.num_queues = 1,
		.device_status = dev->status,
		.queue_select = dev->queue_select,
	};

	if (dev->queue_select)		/* there is no such queue: size 0 */
		return c;
	c.queue_size = q->size;
	c.queue_msix_vector = dev->queue_vector;
	c.queue_enable = q->ready;
	c.queue_desc_lo = q->desc_gpa;
	c.queue_desc_hi = q->desc_gpa >> 32;
	c.queue_avail_lo = q->avail_gpa;
	c.queue_avail_hi = q->avail_gpa >> 32;
	c.queue_used_lo = q->used_gpa;
	c.queue_used_hi = q->used_gpa >> 32;
	return c;
}

static u32 read_piece(const void *from, size_t size, unsigned int offset, unsigned int len)
{
	u32 value = 0;

	if (offset + len <= size)
		memcpy(&value, (const u8 *)from + offset, len);
	return value;
}

static u8 virtio_read_isr(struct virtio_device *dev)
{
	u8 isr = dev->isr;

	dev->isr = 0;
	virtio_update_intx(dev);
	return isr;
}

static u64 virtio_bar_read(void *opaque, u64 offset, unsigned int len)
{
	struct virtio_device *dev = opaque;
	unsigned int at = offset % BAR_PAGE;
	struct virtio_pci_common_cfg common;
	u32 value = 0;

	if (len == 3 || offset % len)
		return 0;
	pthread_mutex_lock(&dev->lock);
	switch (offset - at) {
	case BAR_COMMON:
		common = virtio_common(dev);
		value = read_piece(&common, sizeof(common), at, len);
		break;
	case BAR_ISR:
		value = at ? 0 : virtio_read_isr(dev);
		break;
	case BAR_CONFIG:
		value = read_piece(dev->config, dev->config_size, at, len);
		break;
	case BAR_MSIX_TABLE:
		value = read_piece(dev->msix.table, MSIX_TABLE_SIZE, at, len);
		break;
	case BAR_MSIX_PBA:
		value = read_piece(&dev->msix.pending, sizeof(dev->msix.pending), at, len);
		break;
	}
	pthread_mutex_unlock(&dev->lock);
	return value;
}

static void virtio_bar_write(void *opaque, u64 offset, unsigned int len, u64 value)
{
	struct virtio_device *dev = opaque;
	unsigned int at = offset % BAR_PAGE;

	if (len == 3 || offset % len)
		return;
	pthread_mutex_lock(&dev->lock);
	switch (offset - at) {
	case BAR_COMMON:
		virtio_write_common(dev, at, value);
		break;
	case BAR_NOTIFY:
		if (!at)
			event_signal(dev->kick.fd);
		break;
	case BAR_MSIX_TABLE:
		if (at < MSIX_TABLE_SIZE)
			msix_table_write(&dev->msix, at, len, value);
		break;
	}
	pthread_mutex_unlock(&dev->lock);
}

static const struct bus_ops virtio_bar_ops = { virtio_bar_read, virtio_bar_write };

static void virtio_bar_moved(struct pci_device *pci)
{
	struct virtio_device *dev = container_of(pci, struct virtio_device, pci);
	const struct kvm *kvm = dev->bus->irq->kvm;

	if (dev->kernel_kick)
		kvm_ioeventfd(kvm, dev->kick.fd, dev->kick_gpa, NOTIFY_LEN, false);
	dev->kick_gpa = pci->bar.base + BAR_NOTIFY;
	dev->kernel_kick = pci->bar.mapped &&
		kvm_ioeventfd(kvm, dev->kick.fd, dev->kick_gpa, NOTIFY_LEN, true);
}

static void virtio_ready(struct loop_watch *watch, u32 events __attribute__((unused)))
{
	struct virtio_device *dev = container_of(watch, struct virtio_device, kick);

	event_drain(watch->fd);
	dev->ops->kick(dev);
}

/*
 * Config space.  Where the capabilities lie: MSI-X first, where there is one,
 * then four structures in the BAR, and at the end a window to the BAR for
 * those who cannot reach it otherwise.
 */
static bool touches(unsigned int offset, unsigned int len, unsigned int start, unsigned int size)
{
	return offset < start + size && start < offset + len;
}

struct window {
	u32 offset, len;
	u8 *data;
};

/* The window in the last capability; false while it is set to nothing valid. */
static bool virtio_window(struct pci_device *pci, struct window *w)
{
	u8 *cap = pci->config + pci->last_cap;

	memcpy(&w->offset, cap + VIRTIO_PCI_CAP_OFFSET, sizeof(w->offset));
	memcpy(&w->len, cap + VIRTIO_PCI_CAP_LENGTH, sizeof(w->len));
	w->data = cap + sizeof(struct virtio_pci_cap);
	return cap[VIRTIO_PCI_CAP_BAR] == 0 && w->len && w->len <= sizeof(u32) &&
	       w->offset < BAR_SIZE;
}

static unsigned int window_data(const struct pci_device *pci)
{
	return pci->last_cap + sizeof(struct virtio_pci_cap);
}

static void virtio_config_before_read(struct pci_device *pci, unsigned int offset,
				      unsigned int len)
{
	struct virtio_device *dev = container_of(pci, struct virtio_device, pci);
	struct window w;

	if (touches(offset, len, PCI_STATUS, 1)) {
		pthread_mutex_lock(&dev->lock);
		pci->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
		if (dev->isr && !dev->msix.enabled)
			pci->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
		pthread_mutex_unlock(&dev->lock);
	}
	if (touches(offset, len, window_data(pci), sizeof(u32)) && virtio_window(pci, &w)) {
		u32 value = virtio_bar_read(dev, w.offset, w.len);

		memcpy(w.data, &value, sizeof(value));
	}
}

/* PCI's command register; without bus mastering requests wait in the queue. */
static void virtio_command(struct virtio_device *dev, u16 command)
{
	dev->intx_disabled = command & PCI_COMMAND_INTX_DISABLE;
	dev->master = command & PCI_COMMAND_MASTER;
	if (dev->master)
		event_signal(dev->kick.fd);
	/* Those under way end before the guest goes on. */
	while (!dev->master && dev->inflight)
		pthread_cond_wait(&dev->idle, &dev->lock);
}

static void virtio_config_written(struct pci_device *pci, unsigned int offset, unsigned int len)
{
	struct virtio_device *dev = container_of(pci, struct virtio_device, pci);
	unsigned int msix = PCI_CAPABILITY_LIST;
	struct window w;

	if (pci->config[pci->config[msix]] == PCI_CAP_ID_MSIX)
		msix = pci->config[msix] + PCI_MSIX_FLAGS;
	pthread_mutex_lock(&dev->lock);
	if (touches(offset, len, PCI_COMMAND, 2))
		virtio_command(dev, pci_get16(pci, PCI_COMMAND));
	if (msix != PCI_CAPABILITY_LIST && touches(offset, len, msix, 2))
		msix_control(&dev->msix, pci_get16(pci, msix));
	virtio_update_intx(dev);
	pthread_mutex_unlock(&dev->lock);
	if (len <= sizeof(u32) && touches(offset, len, window_data(pci), sizeof(u32)) &&
	    virtio_window(pci, &w)) {
		u32 value;

		memcpy(&value, w.data, sizeof(value));
		virtio_bar_write(dev, w.offset, w.len, value);
	}
}

static const struct pci_ops virtio_pci_ops = {
	.before_read = virtio_config_before_read,
	.written = virtio_config_written,
	.bar_moved = virtio_bar_moved,
};

static void virtio_add_msix(struct pci_device *pci)
{
	u8 *cap = pci_add_capability(pci, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	u32 table = BAR_MSIX_TABLE, pba = BAR_MSIX_PBA;	/* in BAR 0 */
	u16 may = PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;

	cap[PCI_MSIX_FLAGS] = MSIX_MAX - 1;
	memcpy(cap + PCI_MSIX_TABLE, &table, sizeof(table));
	memcpy(cap + PCI_MSIX_PBA, &pba, sizeof(pba));
	memcpy(pci->writable + (cap - pci->reset_config) + PCI_MSIX_FLAGS, &may, sizeof(may));
}

/* A vendor capability: structure @type is at @offset of BAR 0. */
static u8 *virtio_add_structure(struct pci_device *pci, u8 type, u32 offset, u32 length,
				unsigned int size)
{
	u8 *p = pci_add_capability(pci, PCI_CAP_ID_VNDR, size);
	struct virtio_pci_cap *cap = (void *)p;

	cap->cap_len = size;
	cap->cfg_type = type;
	cap->offset = offset;
	cap->length = length;
	return p;
}

static void virtio_add_capabilities(struct virtio_device *dev)
{
	struct pci_device *pci = &dev->pci;
	const unsigned int size = sizeof(struct virtio_pci_cap);
	u8 *cap;

	if (dev->bus->irq->kvm->irqfd)
		virtio_add_msix(pci);
	virtio_add_structure(pci, VIRTIO_PCI_CAP_COMMON_CFG, BAR_COMMON,
			     sizeof(struct virtio_pci_common_cfg), size);
	virtio_add_structure(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, sizeof(u32),
			     sizeof(struct virtio_pci_notify_cap));
	virtio_add_structure(pci, VIRTIO_PCI_CAP_ISR_CFG, BAR_ISR, 1, size);
	virtio_add_structure(pci, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_CONFIG, dev->config_size, size);
	cap = virtio_add_structure(pci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0,
				   sizeof(struct virtio_pci_cfg_cap));
	cap = pci->writable + (cap - pci->reset_config);
	cap[VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(cap + VIRTIO_PCI_CAP_OFFSET, 0xff,
	       sizeof(struct virtio_pci_cfg_cap) - VIRTIO_PCI_CAP_OFFSET);
}

/**
 * virtio_init() - the part of a device that all kinds share.
 * @dev: all zero; the caller sets config, config_size and offered after this.
 * @bus: what it is plugged into; lives as long as @dev.
 * @ops: what its kind does.
 * @id: virtio device id.
 * @class: PCI class code, 24 bits.
 */
void virtio_init(struct virtio_device *dev, const struct virtio_bus *bus,
		 const struct virtio_ops *ops, u16 id, u32 class)
{
	dev->bus = bus;
	dev->ops = ops;
	dev->offered = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
		       1ULL << VIRTIO_RING_F_EVENT_IDX;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_cond_init(&dev->idle, NULL);
	dev->kick = (struct loop_watch){ event_create(), virtio_ready };
	msix_init(&dev->msix, bus->irq);
	dev->pci.ops = &virtio_pci_ops;
	dev->pci.bar = (struct bus_region){
		.ops = &virtio_bar_ops, .dev = dev, .size = BAR_SIZE, .width = 4,
	};
	pci_identify(&dev->pci, VENDOR_VIRTIO, DEVICE_MODERN + id, class << 8 | REVISION_MODERN);
}

/**
 * virtio_plug() - put a device into a slot and listen to its kicks.
 * @dev: initialised.
 *
 * Return: false when there is no slot left.
 */
bool virtio_plug(struct virtio_device *dev)
{
	virtio_add_capabilities(dev);
	loop_add(dev->bus->loop, &dev->kick, EPOLLIN);
	return pci_add(dev->bus->pci, &dev->pci);
}

/**
 * virtio_reset() - the machine's reset; returns when no request is under way.
 * @dev: device, with no vCPU running and before pci_reset().
 *
 * Nothing of the VM that was is left in use.
 */
void virtio_reset(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	virtio_reset_locked(dev);
	msix_reset(&dev->msix);
	pthread_mutex_unlock(&dev->lock);
	bus_unmap(dev->pci.bus->mmio, &dev->pci.bar);
	dev->kernel_kick = false;
}

/**
 * virtio_pop() - take the next request out of the queue.
 * @dev: device.
 * @chain: to be filled.
 *
 * Return: false when there is none.  Otherwise virtio_push() or virtio_fail()
 * has to follow.
 */
bool virtio_pop(struct virtio_device *dev, struct virtq_chain *chain)
{
	int got = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->master && (dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		got = virtq_pop(&dev->queue, dev->bus->mem, chain);
	if (got < 0)
		virtio_break(dev, "a bad descriptor chain or ring");
	else
		dev->inflight += got;
	pthread_mutex_unlock(&dev->lock);
	return got > 0;
}

static void virtio_done(struct virtio_device *dev)
{
	if (--dev->inflight == 0)
		pthread_cond_broadcast(&dev->idle);
	pthread_mutex_unlock(&dev->lock);
}

/**
 * virtio_push() - give a request back, done.
 * @dev: device.
 * @head: the chain's.
 * @written: bytes written into guest memory.
 */
void virtio_push(struct virtio_device *dev, u16 head, u32 written)
{
	pthread_mutex_lock(&dev->lock);
	if (virtq_push(&dev->queue, head, written))
		virtio_interrupt(dev, dev->queue_vector, ISR_QUEUE);
	virtio_done(dev);
}

/**
 * virtio_fail() - a request that makes no sense: the device is broken.
 * @dev: device.
 * @why: what is wrong, for -v.
 */
void virtio_fail(struct virtio_device *dev, const char *why)
{
	pthread_mutex_lock(&dev->lock);
	virtio_break(dev, why);
	virtio_done(dev);
}
