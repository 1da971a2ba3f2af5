/* SPDX-License-Identifier: GPL-2.0 */
/* What is behind a guest's disk: a raw file or a block device of the host. */
#ifndef VITRO_DISK_H
#define VITRO_DISK_H

#include <sys/uio.h>

#include "util.h"

struct disk {
	const char *path;
	int fd;
	bool readonly;
	bool block;			/* a block device, not a file */
	u64 sectors;			/* of 512 bytes */
	unsigned int logical;		/* bytes that the host cannot divide further */
	unsigned int physical;		/* bytes that are best written at once */
};

void disk_open(struct disk *disk, const char *path, bool readonly);
int disk_read(const struct disk *disk, struct iovec *iov, unsigned int n, u64 offset);
int disk_write(const struct disk *disk, struct iovec *iov, unsigned int n, u64 offset);
int disk_flush(const struct disk *disk);
int disk_discard(const struct disk *disk, u64 offset, u64 len);
int disk_zero(const struct disk *disk, u64 offset, u64 len, bool unmap);

#endif /* VITRO_DISK_H */
