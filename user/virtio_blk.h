/* SPDX-License-Identifier: GPL-2.0 */
/* virtio-blk: the guest's disks. */
#ifndef VITRO_VIRTIO_BLK_H
#define VITRO_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "disk.h"
#include "pool.h"
#include "virtio.h"

struct blk {
	struct virtio_device vdev;
	struct disk *disk;
	struct pool *pool;
	struct pool_work work;		/* empty the queue */
	struct virtio_blk_config config;
};

struct blk *blk_create(const struct virtio_bus *bus, struct pool *pool, struct disk *disk);
int blk_request(const struct disk *disk, struct virtq_chain *chain, bool durable, u32 *written);

#endif /* VITRO_VIRTIO_BLK_H */
