// SPDX-License-Identifier: GPL-2.0
/* Documentation/x86/boot.rst, "The Real-Mode Kernel Header". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bzimage.h"

enum {
	BOOT_FLAG = 0xaa55,
	HEADER_MAGIC = 0x53726448,	/* "HdrS" */
	PROTOCOL_MIN = 0x20c,		/* the first with xloadflags and 64-bit entry */
	HEADER_LENGTH = 0x201,		/* the byte that says where the header ends */
	HEADER_LENGTH_BASE = 0x202,
	SETUP_SECTS_DEFAULT = 4,
	PARAGRAPH = 16,

	/* Documentation/driver-api/early-userspace/buffer-format.rst */
	CPIO_MAGIC = 6, CPIO_FILE_SIZE = 54, CPIO_NAME_SIZE = 94, CPIO_HEADER = 110,
	CPIO_ALIGN = 4,
};

/**
 * bzimage_parse() - is this a kernel that vitro can boot?
 * @image: to be filled.
 * @head: the file's first BZIMAGE_HEAD bytes.
 * @file_size: bytes in the whole file.
 *
 * Return: NULL, or what is wrong with the file.
 */
const char *bzimage_parse(struct bzimage *image, const u8 *head, u64 file_size)
{
	struct setup_header *h = &image->header;
	size_t size, start = offsetof(struct boot_params, hdr);

	memset(image, 0, sizeof(*image));
	if (file_size < BZIMAGE_HEAD)
		return "not a bzImage, too short for one";
	memcpy(h, head + start, sizeof(*h));
	if (h->boot_flag != BOOT_FLAG || h->header != HEADER_MAGIC)
		return "not a bzImage";
	if (h->version < PROTOCOL_MIN)
		return "a kernel of boot protocol older than 2.12";
	if (!(h->loadflags & LOADED_HIGH) || !(h->xloadflags & XLF_KERNEL_64))
		return "a kernel without 64-bit entry point";
	/* What a newer header has beyond ours, or an older one lacks, is code. */
	size = HEADER_LENGTH_BASE + head[HEADER_LENGTH] - start;
	if (size < sizeof(*h))
		memset((u8 *)h + size, 0, sizeof(*h) - size);
	image->offset = ((h->setup_sects ?: SETUP_SECTS_DEFAULT) + 1) * SECTOR_SIZE;
	image->size = (u64)h->syssize * PARAGRAPH;
	if (!image->size || file_size < image->offset + image->size)
		return "a truncated bzImage";
	return NULL;
}

static u64 cpio_field(const char *header, unsigned int at)
{
	char digits[9] = { 0 };

	memcpy(digits, header + at, sizeof(digits) - 1);
	return strtoull(digits, NULL, 16);
}

/**
 * cpio_is_whole() - does a cpio archive reach its last entry?
 * @fd: file.
 * @file_size: its bytes.
 *
 * What follows an archive may be another one, or a compressed one.
 *
 * NOTDONE: compressed archives; the guest finds out as it unpacks them.
 *
 * Return: false for an archive that ends early; true also for other files.
 */
bool cpio_is_whole(int fd, u64 file_size)
{
	static const char magic[CPIO_MAGIC] = "070701", trailer[] = "TRAILER!!!";
	char entry[CPIO_HEADER + sizeof(trailer)];
	bool inside = false;
	u64 at = 0;

	for (;;) {
		size_t n = min_u64(sizeof(entry), file_size - at);

		memset(entry, 0, sizeof(entry));
		if (pread_full(fd, entry, n, at) < 0)
			return false;
		if (n < CPIO_HEADER || memcmp(entry, magic, sizeof(magic)))
			return !inside;
		inside = memcmp(entry + CPIO_HEADER, trailer, sizeof(trailer));
		at = ALIGN_UP(at + CPIO_HEADER + cpio_field(entry, CPIO_NAME_SIZE), CPIO_ALIGN);
		at = ALIGN_UP(at + cpio_field(entry, CPIO_FILE_SIZE), CPIO_ALIGN);
		if (at > file_size)
			return false;
	}
}
