// SPDX-License-Identifier: GPL-2.0
/* VIRTIO 1.2, "Block Device". */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "virtio_blk.h"

enum {
	CLASS_SCSI_STORAGE = 0x010000,
	MAX_RANGES = 16,		/* of one discard or write-zeroes request */
	MAX_RANGE_SECTORS = 1 << 22,	/* 2 GiB */
};

/* A request cut into its parts. */
struct request {
	struct virtio_blk_outhdr head;
	struct iovec *data;		/* of one direction, header and status cut off */
	unsigned int n;
	u64 len;			/* bytes of data */
	u64 in_len;			/* bytes of data that the device may write */
};

/* Copy @len bytes off the front of a vector; false if there are fewer. */
static bool iov_take(struct iovec *iov, unsigned int n, void *to, size_t len)
{
	for (; n && len; iov++, n--) {
		size_t piece = min_u64(iov->iov_len, len);

		memcpy(to, iov->iov_base, piece);
		to = (char *)to + piece;
		len -= piece;
		iov->iov_base = (char *)iov->iov_base + piece;
		iov->iov_len -= piece;
	}
	return !len;
}

/* Cut the last byte off a vector; NULL if it has none. */
static u8 *iov_take_last(struct iovec *iov, unsigned int n)
{
	while (n--) {
		if (!iov[n].iov_len)
			continue;
		iov[n].iov_len--;
		return (u8 *)iov[n].iov_base + iov[n].iov_len;
	}
	return NULL;
}

static u64 iov_length(const struct iovec *iov, unsigned int n)
{
	u64 len = 0;

	while (n--)
		len += iov[n].iov_len;
	return len;
}

/* Do @len bytes at @sector lie on the disk? */
static bool blk_in_range(const struct disk *disk, u64 sector, u64 len)
{
	return len % SECTOR_SIZE == 0 && sector <= disk->sectors &&
	       len / SECTOR_SIZE <= disk->sectors - sector;
}

static u8 blk_status(int ret)
{
	return ret < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

static u8 blk_read(const struct disk *disk, const struct request *r)
{
	if (!blk_in_range(disk, r->head.sector, r->len))
		return VIRTIO_BLK_S_IOERR;
	return blk_status(disk_read(disk, r->data, r->n, r->head.sector * SECTOR_SIZE));
}

static u8 blk_write(const struct disk *disk, const struct request *r)
{
	if (disk->readonly || !blk_in_range(disk, r->head.sector, r->len))
		return VIRTIO_BLK_S_IOERR;
	return blk_status(disk_write(disk, r->data, r->n, r->head.sector * SECTOR_SIZE));
}

/* The name under which the guest's udev lists the disk: the file's. */
static u8 blk_get_id(const struct disk *disk, const struct request *r)
{
	const char *slash = strrchr(disk->path, '/');
	char id[VIRTIO_BLK_ID_BYTES] = { 0 };
	const char *from = id;

	memcpy(id, slash ? slash + 1 : disk->path,
	       strnlen(slash ? slash + 1 : disk->path, sizeof(id)));
	if (r->in_len < sizeof(id))
		return VIRTIO_BLK_S_IOERR;
	for (unsigned int i = 0; i < r->n && from < id + sizeof(id); i++) {
		size_t piece = min_u64(r->data[i].iov_len, id + sizeof(id) - from);

		memcpy(r->data[i].iov_base, from, piece);
		from += piece;
	}
	return VIRTIO_BLK_S_OK;
}

static u8 blk_range(const struct disk *disk, u32 type,
		    const struct virtio_blk_discard_write_zeroes *range)
{
	u64 offset = range->sector * SECTOR_SIZE;
	u64 len = (u64)range->num_sectors * SECTOR_SIZE;
	u32 allowed = type == VIRTIO_BLK_T_DISCARD ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	if (range->flags & ~allowed)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->num_sectors > MAX_RANGE_SECTORS || !blk_in_range(disk, range->sector, len))
		return VIRTIO_BLK_S_IOERR;
	if (!len)
		return VIRTIO_BLK_S_OK;
	if (type == VIRTIO_BLK_T_DISCARD)
		return blk_status(disk_discard(disk, offset, len));
	return blk_status(disk_zero(disk, offset, len,
				    range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP));
}

/* Discard and write zeroes: the data is a list of ranges. */
static u8 blk_ranges(const struct disk *disk, const struct request *r)
{
	struct virtio_blk_discard_write_zeroes range[MAX_RANGES];
	unsigned int n = r->len / sizeof(range[0]);

	if (disk->readonly || !n || n > MAX_RANGES || r->len % sizeof(range[0]))
		return VIRTIO_BLK_S_IOERR;
	iov_take(r->data, r->n, range, r->len);
	for (unsigned int i = 0; i < n; i++) {
		u8 status = blk_range(disk, r->head.type, &range[i]);

		if (status != VIRTIO_BLK_S_OK)
			return status;
	}
	return VIRTIO_BLK_S_OK;
}

static bool blk_writes(u32 type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES;
}

static u8 blk_execute(const struct disk *disk, const struct request *r)
{
	switch (r->head.type) {
	case VIRTIO_BLK_T_IN:
		return blk_read(disk, r);
	case VIRTIO_BLK_T_OUT:
		return blk_write(disk, r);
	case VIRTIO_BLK_T_FLUSH:
		return blk_status(disk_flush(disk));
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(disk, r);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return blk_ranges(disk, r);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/**
 * blk_request() - carry out one request.
 * @disk: disk.
 * @chain: its descriptors; changed.
 * @durable: a write has to be on the medium when it is done.
 * @written: bytes written into the guest's buffers.
 *
 * Return: 0, also for a request that fails: the guest learns of it by the
 * status byte.  -EINVAL if there is no room for header or status.
 */
int blk_request(const struct disk *disk, struct virtq_chain *chain, bool durable, u32 *written)
{
	struct iovec *in = chain->iov + chain->out;
	struct request r;
	u8 *where, status;

	if (!iov_take(chain->iov, chain->out, &r.head, sizeof(r.head)))
		return -EINVAL;
	where = iov_take_last(in, chain->in);
	if (!where)
		return -EINVAL;
	r.in_len = iov_length(in, chain->in);
	r.data = blk_writes(r.head.type) ? chain->iov : in;
	r.n = blk_writes(r.head.type) ? chain->out : chain->in;
	r.len = iov_length(r.data, r.n);
	status = blk_execute(disk, &r);
	if (status == VIRTIO_BLK_S_OK && durable && blk_writes(r.head.type))
		status = blk_status(disk_flush(disk));
	*where = status;
	*written = 1;
	if (status == VIRTIO_BLK_S_OK && r.head.type == VIRTIO_BLK_T_IN)
		*written += r.len;
	else if (status == VIRTIO_BLK_S_OK && r.head.type == VIRTIO_BLK_T_GET_ID)
		*written += VIRTIO_BLK_ID_BYTES;
	return 0;
}

/* One of the pool's threads empties the queue; it calls others to help. */
static void blk_work(struct pool_work *work)
{
	struct blk *blk = container_of(work, struct blk, work);
	struct virtq_chain chain;

	while (virtio_pop(&blk->vdev, &chain)) {
		/* A driver that knows of no flush expects a cache without delay. */
		bool durable = !(blk->vdev.accepted & (1ULL << VIRTIO_BLK_F_FLUSH));
		u32 written;

		if (chain.more)
			pool_submit(blk->pool, work);
		if (blk_request(blk->disk, &chain, durable, &written) < 0)
			virtio_fail(&blk->vdev, "a request without header or status");
		else
			virtio_push(&blk->vdev, chain.head, written);
	}
}

static void blk_kick(struct virtio_device *vdev)
{
	struct blk *blk = container_of(vdev, struct blk, vdev);

	pool_submit(blk->pool, &blk->work);
}

static const struct virtio_ops blk_ops = { .kick = blk_kick };

static void blk_configure(struct blk *blk)
{
	const struct disk *disk = blk->disk;
	unsigned int exp = 0;

	/* File systems call up to megabytes optimal; more than a page is no sector. */
	while (SECTOR_SIZE << (exp + 1) <= min_u64(disk->physical, PAGE_SIZE))
		exp++;
	blk->config = (struct virtio_blk_config){
		.capacity = disk->sectors,
		.seg_max = VIRTQ_MAX - 2,	/* beside header and status */
		.blk_size = SECTOR_SIZE,
		.physical_block_exp = exp,
		.min_io_size = 1 << exp,
		.max_discard_sectors = MAX_RANGE_SECTORS,
		.max_discard_seg = MAX_RANGES,
		.discard_sector_alignment = disk->logical / SECTOR_SIZE,
		.max_write_zeroes_sectors = MAX_RANGE_SECTORS,
		.max_write_zeroes_seg = MAX_RANGES,
		.write_zeroes_may_unmap = 1,
	};
	blk->vdev.config = &blk->config;
	blk->vdev.config_size = sizeof(blk->config);
	blk->vdev.offered |= 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
			     1ULL << VIRTIO_BLK_F_TOPOLOGY | 1ULL << VIRTIO_BLK_F_FLUSH;
	if (disk->readonly)
		blk->vdev.offered |= 1ULL << VIRTIO_BLK_F_RO;
	else
		blk->vdev.offered |= 1ULL << VIRTIO_BLK_F_DISCARD |
				     1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
}

/**
 * blk_create() - plug a disk into the guest.
 * @bus: what it is plugged into.
 * @pool: threads for its requests.
 * @disk: open; lives on.
 *
 * Return: the device, or NULL when all slots are taken.
 */
struct blk *blk_create(const struct virtio_bus *bus, struct pool *pool, struct disk *disk)
{
	struct blk *blk = xalloc(sizeof(*blk));

	blk->disk = disk;
	blk->pool = pool;
	blk->work.run = blk_work;
	virtio_init(&blk->vdev, bus, &blk_ops, VIRTIO_ID_BLOCK, CLASS_SCSI_STORAGE);
	blk_configure(blk);
	return virtio_plug(&blk->vdev) ? blk : NULL;
}
