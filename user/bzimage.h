/* SPDX-License-Identifier: GPL-2.0 */
/* The files that a guest boots from: is a kernel one, is an initrd whole? */
#ifndef VITRO_BZIMAGE_H
#define VITRO_BZIMAGE_H

#include <asm/bootparam.h>

#include "util.h"

#define BZIMAGE_HEAD	1024	/* bytes at the start that hold the whole setup header */

struct bzimage {
	struct setup_header header;
	u64 offset;		/* of the protected-mode kernel in the file */
	u64 size;		/* of it, in bytes */
};

const char *bzimage_parse(struct bzimage *image, const u8 *head, u64 file_size);
bool cpio_is_whole(int fd, u64 file_size);

#endif /* VITRO_BZIMAGE_H */
