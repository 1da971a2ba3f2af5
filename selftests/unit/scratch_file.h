/* SPDX-License-Identifier: GPL-2.0 */
/* A file for a disk of the launcher's tests; each test is a process of its own. */
#ifndef UNIT_SCRATCH_FILE_H
#define UNIT_SCRATCH_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { SCRATCH_PATH_SIZE = 32 };

/*
 * Make one of @size bytes, all zero, and put its name, 20 characters or more behind
 * "/tmp/", into @path.  The file's descriptor, or -1; the caller unlinks it.
 */
static inline int scratch_file(char path[SCRATCH_PATH_SIZE], off_t size)
{
	int fd;

	snprintf(path, SCRATCH_PATH_SIZE, "/tmp/test_launcher_%06d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, size)) {
		unlink(path);
		close(fd);
		return -1;
	}
	return fd;
}

#endif /* UNIT_SCRATCH_FILE_H */
