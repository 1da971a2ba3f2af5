// SPDX-License-Identifier: GPL-2.0
/* Which kernels and initrds the launcher takes for whole. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "bzimage.h"

#define KERNEL_SIZE	(16 * 1000)	/* of the protected-mode part */
#define FILE_SIZE	(5 * 512 + KERNEL_SIZE)

/* A header as Debian's kernel has it, but for sizes. */
static void good_head(u8 *head)
{
	struct setup_header h = {
		.setup_sects = 4,
		.syssize = KERNEL_SIZE / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb,		/* the header ends at 0x202 + 0x6a */
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
	};

	memset(head, 0xcc, BZIMAGE_HEAD);
	memcpy(head + 0x1f1, &h, sizeof(h));
}

FIXTURE(kernel) {
	u8 head[BZIMAGE_HEAD];
	struct setup_header *header;
	struct bzimage image;
};

FIXTURE_SETUP(kernel)
{
	good_head(self->head);
	self->header = (struct setup_header *)(self->head + 0x1f1);
}

FIXTURE_TEARDOWN(kernel)
{
}

TEST_F(kernel, a_bzimage_is_taken)
{
	ASSERT_EQ(NULL, bzimage_parse(&self->image, self->head, FILE_SIZE));
	ASSERT_EQ(5 * 512, self->image.offset);
	ASSERT_EQ(KERNEL_SIZE, self->image.size);
	ASSERT_EQ(2047, self->image.header.cmdline_size);
}

TEST_F(kernel, no_setup_sectors_means_four)
{
	self->header->setup_sects = 0;
	ASSERT_EQ(NULL, bzimage_parse(&self->image, self->head, FILE_SIZE));
	ASSERT_EQ(5 * 512, self->image.offset);
}

TEST_F(kernel, a_file_one_byte_short_is_truncated)
{
	ASSERT_STREQ("a truncated bzImage",
		     bzimage_parse(&self->image, self->head, FILE_SIZE - 1));
}

TEST_F(kernel, a_file_without_room_for_a_header_is_no_bzimage)
{
	ASSERT_NE(NULL, bzimage_parse(&self->image, self->head, BZIMAGE_HEAD - 1));
}

TEST_F(kernel, without_its_magic_it_is_no_bzimage)
{
	self->header->header ^= 1;
	ASSERT_STREQ("not a bzImage", bzimage_parse(&self->image, self->head, FILE_SIZE));
}

TEST_F(kernel, without_a_boot_flag_it_is_no_bzimage)
{
	self->header->boot_flag = 0;
	ASSERT_STREQ("not a bzImage", bzimage_parse(&self->image, self->head, FILE_SIZE));
}

TEST_F(kernel, an_old_boot_protocol_is_refused)
{
	self->header->version = 0x20b;
	ASSERT_NE(NULL, bzimage_parse(&self->image, self->head, FILE_SIZE));
}

TEST_F(kernel, a_32_bit_kernel_is_refused)
{
	self->header->xloadflags = 0;
	ASSERT_NE(NULL, bzimage_parse(&self->image, self->head, FILE_SIZE));
}

TEST_F(kernel, a_kernel_of_no_size_is_truncated)
{
	self->header->syssize = 0;
	ASSERT_NE(NULL, bzimage_parse(&self->image, self->head, FILE_SIZE));
}

TEST_F(kernel, fields_behind_the_headers_end_are_not_read)
{
	/* It ends before kernel_info_offset, the last field. */
	self->header->kernel_info_offset = 0x1234;
	self->head[0x201] = 0x66;
	ASSERT_EQ(NULL, bzimage_parse(&self->image, self->head, FILE_SIZE));
	ASSERT_EQ(0, self->image.header.kernel_info_offset);
}

FIXTURE(initrd) {
	int fd;
	u64 size;
};

FIXTURE_SETUP(initrd)
{
	self->fd = memfd_create("initrd", 0);
	ASSERT_LE(0, self->fd);
	self->size = 0;
}

FIXTURE_TEARDOWN(initrd)
{
	close(self->fd);
}

static void append(FIXTURE_DATA(initrd) *self, const void *data, size_t len)
{
	if (pwrite(self->fd, data, len, self->size) == (ssize_t)len)
		self->size += len;
}

static void append_padding(FIXTURE_DATA(initrd) *self)
{
	append(self, "\0\0\0", -self->size % 4);
}

static void append_entry(FIXTURE_DATA(initrd) *self, const char *name, const char *data)
{
	char header[128];

	snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
		 1, 0100644, 0, 0, 1, 0, strlen(data), 0, 0, 0, 0, strlen(name) + 1, 0);
	append(self, header, 110);
	append(self, name, strlen(name) + 1);
	append_padding(self);
	append(self, data, strlen(data));
	append_padding(self);
}

static void append_archive(FIXTURE_DATA(initrd) *self)
{
	append_entry(self, "init", "#!/bin/sh\n");
	append_entry(self, "etc/motd", "hello");
	append_entry(self, "TRAILER!!!", "");
}

TEST_F(initrd, an_archive_with_its_trailer_is_whole)
{
	append_archive(self);
	ASSERT_TRUE(cpio_is_whole(self->fd, self->size));
}

TEST_F(initrd, an_archive_cut_anywhere_is_not_whole)
{
	u64 trailer, size;

	append_entry(self, "init", "#!/bin/sh\n");
	append_entry(self, "etc/motd", "hello");
	trailer = self->size;
	append_entry(self, "TRAILER!!!", "");
	for (size = 110; size < trailer + 110; size++) {
		ASSERT_FALSE(cpio_is_whole(self->fd, size))
			TH_LOG("cut after %llu bytes", (unsigned long long)size);
	}
}

TEST_F(initrd, padding_and_a_second_archive_may_follow)
{
	static const char padding[512];

	append_archive(self);
	append(self, padding, sizeof(padding));
	ASSERT_TRUE(cpio_is_whole(self->fd, self->size));
}

TEST_F(initrd, a_second_archive_is_looked_at_as_well)
{
	append_archive(self);
	append_archive(self);
	ASSERT_TRUE(cpio_is_whole(self->fd, self->size));
	ASSERT_FALSE(cpio_is_whole(self->fd, self->size - 100));
}

TEST_F(initrd, a_compressed_archive_behind_microcode_is_taken_as_it_is)
{
	append_archive(self);
	append(self, "\x28\xb5\x2f\xfd some frame", 15);
	ASSERT_TRUE(cpio_is_whole(self->fd, self->size));
}

TEST_F(initrd, what_is_no_cpio_is_taken_as_it_is)
{
	append(self, "\x1f\x8b\x08 gzip", 8);
	ASSERT_TRUE(cpio_is_whole(self->fd, self->size));
}

TEST_F(initrd, sizes_that_overflow_are_not_whole)
{
	char header[112];

	memset(header, 'f', sizeof(header));
	memcpy(header, "070701", 6);
	append(self, header, sizeof(header));
	ASSERT_FALSE(cpio_is_whole(self->fd, self->size));
}

TEST_HARNESS_MAIN
