// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

/*
 * One writer or any number of readers.  The lock belongs to the open file, so
 * the same disk given twice to one vitro is refused as well.
 */
static void disk_lock(const struct disk *disk)
{
	struct flock lock = {
		.l_type = disk->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (fcntl(disk->fd, F_OFD_SETLK, &lock) == 0)
		return;
	if (errno != EAGAIN && errno != EACCES)
		die("%s: cannot lock it: %s", disk->path, strerror(errno));
	if (disk->readonly)
		die("%s: already open for writing by another vitro", disk->path);
	die("%s: already open by another vitro, and only one may write", disk->path);
}

static void disk_measure(struct disk *disk, const struct stat *st)
{
	u64 size = st->st_size;

	disk->logical = SECTOR_SIZE;
	disk->physical = st->st_blksize;
	if (disk->block) {
		int logical, physical;

		if (ioctl(disk->fd, BLKGETSIZE64, &size) < 0)
			die("%s: cannot learn its size: %s", disk->path, strerror(errno));
		if (ioctl(disk->fd, BLKSSZGET, &logical) == 0)
			disk->logical = logical;
		if (ioctl(disk->fd, BLKPBSZGET, &physical) == 0)
			disk->physical = physical;
	}
	if (!size)
		die("%s: an empty disk", disk->path);
	if (size % SECTOR_SIZE)
		die("%s: %llu bytes are no multiple of %llu; a truncated disk?",
		    disk->path, (unsigned long long)size, SECTOR_SIZE);
	disk->sectors = size / SECTOR_SIZE;
}

/**
 * disk_open() - open and lock a disk, or end vitro.
 * @disk: to be filled.
 * @path: a raw file or a block device; kept.
 * @readonly: the guest may not write to it.
 */
void disk_open(struct disk *disk, const char *path, bool readonly)
{
	/* O_EXCL matters to block devices only: not while it is mounted. */
	int flags = O_CLOEXEC | (readonly ? O_RDONLY : O_RDWR | O_EXCL);
	struct stat st;

	*disk = (struct disk){ .path = path, .readonly = readonly };
	if (stat(path, &st) < 0)
		die("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		die("%s: neither a file nor a block device", path);
	disk->block = S_ISBLK(st.st_mode);
	disk->fd = open(path, flags);
	if (disk->fd < 0 && errno == EBUSY)
		die("%s: in use by the host or by another program", path);
	if (disk->fd < 0)
		die("%s: %s%s", path, strerror(errno),
		    readonly ? "" : "; read-only it would be -d DISK,ro");
	disk_lock(disk);
	disk_measure(disk, &st);
	verbose("%s: %llu sectors%s", path, (unsigned long long)disk->sectors,
		readonly ? ", read-only" : "");
}

/* Drop @done bytes from the front of the vector. */
static void iov_advance(struct iovec **iov, unsigned int *n, size_t done)
{
	while (*n && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

static int disk_transfer(const struct disk *disk, struct iovec *iov, unsigned int n,
			 u64 offset, ssize_t (*step)(int, const struct iovec *, int, off_t))
{
	iov_advance(&iov, &n, 0);
	while (n) {
		ssize_t done = step(disk->fd, iov, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)		/* 0: somebody made the file shorter */
			return done ? -errno : -EIO;
		offset += done;
		iov_advance(&iov, &n, done);
	}
	return 0;
}

/**
 * disk_read() - read from the disk.
 * @disk: disk.
 * @iov: where to; changed.
 * @n: entries of @iov, up to IOV_MAX.
 * @offset: where from, in bytes.
 *
 * Return: 0 or -errno.
 */
int disk_read(const struct disk *disk, struct iovec *iov, unsigned int n, u64 offset)
{
	return disk_transfer(disk, iov, n, offset, preadv);
}

/**
 * disk_write() - write to the disk, as far as the host's page cache.
 * @disk: disk.
 * @iov: where from; changed.
 * @n: entries of @iov, up to IOV_MAX.
 * @offset: where to, in bytes.
 *
 * Return: 0 or -errno.
 */
int disk_write(const struct disk *disk, struct iovec *iov, unsigned int n, u64 offset)
{
	return disk_transfer(disk, iov, n, offset, pwritev);
}

/**
 * disk_flush() - make all completed writes durable.
 * @disk: disk.
 *
 * Return: 0 or -errno.
 */
int disk_flush(const struct disk *disk)
{
	return fdatasync(disk->fd) < 0 ? -errno : 0;
}

/**
 * disk_discard() - the guest does not need these bytes any more.
 * @disk: disk.
 * @offset: start in bytes.
 * @len: bytes.
 *
 * It is a hint: a host that cannot take it keeps the bytes.
 *
 * Return: 0 or -errno.
 */
int disk_discard(const struct disk *disk, u64 offset, u64 len)
{
	u64 range[2] = { offset, len };
	int ret;

	if (disk->block)
		ret = ioctl(disk->fd, BLKDISCARD, range);
	else
		ret = fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);
	return ret < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

static int disk_write_zeroes(const struct disk *disk, u64 offset, u64 len)
{
	static const u8 zeroes[64 * KIB];

	while (len) {
		struct iovec iov = { (void *)zeroes, min_u64(len, sizeof(zeroes)) };
		size_t n = iov.iov_len;
		int ret = disk_write(disk, &iov, 1, offset);

		if (ret < 0)
			return ret;
		offset += n;
		len -= n;
	}
	return 0;
}

/**
 * disk_zero() - make bytes read as zero.
 * @disk: disk.
 * @offset: start in bytes.
 * @len: bytes.
 * @unmap: the host may free the space.
 *
 * Return: 0 or -errno.
 */
int disk_zero(const struct disk *disk, u64 offset, u64 len, bool unmap)
{
	int how = unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	u64 range[2] = { offset, len };
	int ret;

	if (disk->block)
		ret = ioctl(disk->fd, BLKZEROOUT, range);
	else
		ret = fallocate(disk->fd, how | FALLOC_FL_KEEP_SIZE, offset, len);
	if (ret < 0)
		return disk_write_zeroes(disk, offset, len);
	return 0;
}
