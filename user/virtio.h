/* SPDX-License-Identifier: GPL-2.0 */
/* A virtio device on PCI: everything that does not depend on its kind. */
#ifndef VITRO_VIRTIO_H
#define VITRO_VIRTIO_H

#include "loop.h"
#include "msix.h"
#include "pci.h"
#include "virtq.h"

struct virtio_device;

struct virtio_bus {
	struct pci_bus *pci;
	struct loop *loop;
	struct irq_router *irq;
	const struct memory *mem;
};

struct virtio_ops {
	/* The driver put something into the queue; in the loop's thread. */
	void (*kick)(struct virtio_device *dev);
};

struct virtio_device {
	struct pci_device pci;
	const struct virtio_ops *ops;
	const struct virtio_bus *bus;
	const void *config;		/* the device's own, read-only for the guest */
	unsigned int config_size;
	u64 offered;			/* features */
	struct loop_watch kick;		/* eventfd that the notification writes to */
	bool kernel_kick;		/* KVM does: the ioeventfd is in place */
	gpa_t kick_gpa;			/* at this address */

	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t idle;		/* inflight became 0 */
	unsigned int inflight;		/* chains between virtio_pop and virtio_push */
	struct msix msix;
	u64 accepted;			/* features */
	u32 offered_select, accepted_select;
	u16 config_vector, queue_vector, queue_select;
	u8 status;
	u8 isr;
	bool intx_disabled;
	bool master;			/* may touch memory */
	struct virtq queue;
};

void virtio_init(struct virtio_device *dev, const struct virtio_bus *bus,
		 const struct virtio_ops *ops, u16 id, u32 class);
bool virtio_plug(struct virtio_device *dev);
void virtio_reset(struct virtio_device *dev);
bool virtio_pop(struct virtio_device *dev, struct virtq_chain *chain);
void virtio_push(struct virtio_device *dev, u16 head, u32 written);
void virtio_fail(struct virtio_device *dev, const char *why);

#endif /* VITRO_VIRTIO_H */
