// SPDX-License-Identifier: GPL-2.0
/* Block requests: what they do to the disk and what they answer. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "scratch_file.h"
#include "virtio_blk.h"

#define SECTORS 64ULL

static u8 buffer[8 * SECTOR_SIZE];

FIXTURE(disk) {
	char path[SCRATCH_PATH_SIZE];
	struct disk disk;
	struct virtio_blk_outhdr head;
	u8 status;
	u32 written;
	struct virtq_chain chain;
};

FIXTURE_SETUP(disk)
{
	u8 sector[SECTOR_SIZE];
	int fd;

	fd = scratch_file(self->path, SECTORS * SECTOR_SIZE);
	ASSERT_LE(0, fd);
	for (unsigned int i = 0; i < SECTORS; i++) {
		memset(sector, i, sizeof(sector));
		ASSERT_EQ(sizeof(sector), write(fd, sector, sizeof(sector)));
	}
	close(fd);
	disk_open(&self->disk, self->path, false);
	memset(buffer, 0xee, sizeof(buffer));
	self->status = 0xff;
}

FIXTURE_TEARDOWN(disk)
{
	close(self->disk.fd);
	unlink(self->path);
}

static void begin(FIXTURE_DATA(disk) *self, u32 type, u64 sector)
{
	self->head = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	self->chain.out = 1;
	self->chain.in = 0;
	self->chain.iov[0] = (struct iovec){ &self->head, sizeof(self->head) };
}

static void add_out(FIXTURE_DATA(disk) *self, void *data, size_t len)
{
	self->chain.iov[self->chain.out++] = (struct iovec){ data, len };
}

static void add_in(FIXTURE_DATA(disk) *self, void *data, size_t len)
{
	self->chain.iov[self->chain.out + self->chain.in++] = (struct iovec){ data, len };
}

/* Run the request; its status byte, or a negative error. */
static int finish(FIXTURE_DATA(disk) *self)
{
	int ret;

	add_in(self, &self->status, 1);
	ret = blk_request(&self->disk, &self->chain, false, &self->written);
	return ret < 0 ? ret : self->status;
}

static u8 on_disk(FIXTURE_DATA(disk) *self, u64 sector)
{
	u8 byte = 0xff;

	if (pread(self->disk.fd, &byte, 1, sector * SECTOR_SIZE) != 1)
		return 0xff;
	return byte;
}

TEST_F(disk, a_read_brings_the_sectors)
{
	begin(self, VIRTIO_BLK_T_IN, 5);
	add_in(self, buffer, 2 * SECTOR_SIZE);
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(5, buffer[0]);
	ASSERT_EQ(6, buffer[2 * SECTOR_SIZE - 1]);
	ASSERT_EQ(0xee, buffer[2 * SECTOR_SIZE]);
	ASSERT_EQ(2 * SECTOR_SIZE + 1, self->written);
}

TEST_F(disk, a_read_is_scattered_over_any_pieces)
{
	begin(self, VIRTIO_BLK_T_IN, 5);
	add_in(self, buffer, 100);
	add_in(self, buffer + 1000, 0);
	add_in(self, buffer + 1000, SECTOR_SIZE - 100);
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(5, buffer[99]);
	ASSERT_EQ(0xee, buffer[100]);
	ASSERT_EQ(5, buffer[1000]);
}

TEST_F(disk, a_write_changes_the_sectors_and_no_others)
{
	begin(self, VIRTIO_BLK_T_OUT, 7);
	add_out(self, buffer, SECTOR_SIZE);
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(6, on_disk(self, 6));
	ASSERT_EQ(0xee, on_disk(self, 7));
	ASSERT_EQ(8, on_disk(self, 8));
	ASSERT_EQ(1, self->written);
}

TEST_F(disk, header_data_and_status_may_lie_in_any_pieces)
{
	u8 *head = (u8 *)&self->head;

	begin(self, VIRTIO_BLK_T_IN, 9);
	self->chain.out = 0;
	add_out(self, head, 3);
	add_out(self, head + 3, sizeof(self->head) - 3);
	add_in(self, buffer, SECTOR_SIZE + 1);
	ASSERT_EQ(0, blk_request(&self->disk, &self->chain, false, &self->written));
	ASSERT_EQ(9, buffer[SECTOR_SIZE - 1]);
	ASSERT_EQ(VIRTIO_BLK_S_OK, buffer[SECTOR_SIZE]);
}

TEST_F(disk, header_and_data_may_be_one_piece)
{
	u8 piece[sizeof(self->head) + SECTOR_SIZE];

	begin(self, VIRTIO_BLK_T_OUT, 9);
	memcpy(piece, &self->head, sizeof(self->head));
	memset(piece + sizeof(self->head), 0x77, SECTOR_SIZE);
	self->chain.iov[0] = (struct iovec){ piece, sizeof(piece) };
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(0x77, on_disk(self, 9));
}

TEST_F(disk, the_last_sector_can_be_reached_and_none_behind_it)
{
	static const struct { u64 sector, sectors; int status; } access[] = {
		{ SECTORS - 1, 1, VIRTIO_BLK_S_OK },
		{ SECTORS - 1, 2, VIRTIO_BLK_S_IOERR },
		{ SECTORS, 1, VIRTIO_BLK_S_IOERR },
		{ ~0ULL, 1, VIRTIO_BLK_S_IOERR },
		{ ~0ULL / SECTOR_SIZE + 1, 1, VIRTIO_BLK_S_IOERR },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(access); i++) {
		begin(self, VIRTIO_BLK_T_IN, access[i].sector);
		add_in(self, buffer, access[i].sectors * SECTOR_SIZE);
		ASSERT_EQ(access[i].status, finish(self))
			TH_LOG("read %u", i);
		begin(self, VIRTIO_BLK_T_OUT, access[i].sector);
		add_out(self, buffer, access[i].sectors * SECTOR_SIZE);
		ASSERT_EQ(access[i].status, finish(self))
			TH_LOG("write %u", i);
	}
}

TEST_F(disk, a_write_past_the_end_writes_nothing)
{
	struct stat st;

	begin(self, VIRTIO_BLK_T_OUT, SECTORS - 1);
	add_out(self, buffer, 2 * SECTOR_SIZE);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
	ASSERT_EQ(SECTORS - 1, on_disk(self, SECTORS - 1));
	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(SECTORS * SECTOR_SIZE, st.st_size);
}

TEST_F(disk, a_piece_of_a_sector_is_an_error)
{
	begin(self, VIRTIO_BLK_T_IN, 0);
	add_in(self, buffer, 100);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
}

TEST_F(disk, a_failed_read_claims_only_the_status_byte)
{
	begin(self, VIRTIO_BLK_T_IN, SECTORS);
	add_in(self, buffer, SECTOR_SIZE);
	finish(self);
	ASSERT_EQ(1, self->written);
}

TEST_F(disk, a_disk_that_became_shorter_is_an_error)
{
	ASSERT_EQ(0, truncate(self->path, SECTOR_SIZE));
	begin(self, VIRTIO_BLK_T_IN, 5);
	add_in(self, buffer, SECTOR_SIZE);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
}

TEST_F(disk, a_read_only_disk_takes_no_change)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = 1, .num_sectors = 1 };

	self->disk.readonly = true;
	begin(self, VIRTIO_BLK_T_OUT, 1);
	add_out(self, buffer, SECTOR_SIZE);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
	begin(self, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	add_out(self, &range, sizeof(range));
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
	ASSERT_EQ(1, on_disk(self, 1));
}

TEST_F(disk, a_flush_succeeds)
{
	begin(self, VIRTIO_BLK_T_FLUSH, 0);
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
}

TEST_F(disk, its_id_is_the_files_name)
{
	begin(self, VIRTIO_BLK_T_GET_ID, 0);
	add_in(self, buffer, VIRTIO_BLK_ID_BYTES);
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(0, memcmp(buffer, self->path + strlen("/tmp/"), VIRTIO_BLK_ID_BYTES));
	ASSERT_EQ(VIRTIO_BLK_ID_BYTES + 1, self->written);
}

TEST_F(disk, an_id_without_room_is_an_error)
{
	begin(self, VIRTIO_BLK_T_GET_ID, 0);
	add_in(self, buffer, VIRTIO_BLK_ID_BYTES - 1);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
}

TEST_F(disk, write_zeroes_makes_zeroes_of_each_range)
{
	struct virtio_blk_discard_write_zeroes range[] = {
		{ .sector = 1, .num_sectors = 2 },
		{ .sector = 9, .num_sectors = 1, .flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
	};

	begin(self, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	add_out(self, range, sizeof(range));
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(0, on_disk(self, 1));
	ASSERT_EQ(0, on_disk(self, 2));
	ASSERT_EQ(3, on_disk(self, 3));
	ASSERT_EQ(8, on_disk(self, 8));
	ASSERT_EQ(0, on_disk(self, 9));
	ASSERT_EQ(10, on_disk(self, 10));
}

TEST_F(disk, a_discard_leaves_the_disks_size_and_the_other_sectors)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = 8, .num_sectors = 8 };
	struct stat st;

	begin(self, VIRTIO_BLK_T_DISCARD, 0);
	add_out(self, &range, sizeof(range));
	ASSERT_EQ(VIRTIO_BLK_S_OK, finish(self));
	ASSERT_EQ(7, on_disk(self, 7));
	ASSERT_EQ(16, on_disk(self, 16));
	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(SECTORS * SECTOR_SIZE, st.st_size);
}

TEST_F(disk, ranges_beyond_the_disk_or_of_odd_length_are_errors)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = SECTORS, .num_sectors = 1 };

	begin(self, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	add_out(self, &range, sizeof(range));
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
	range.sector = 0;
	begin(self, VIRTIO_BLK_T_DISCARD, 0);
	add_out(self, &range, sizeof(range) - 1);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
	begin(self, VIRTIO_BLK_T_DISCARD, 0);
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, finish(self));
	ASSERT_EQ(0, on_disk(self, 0));
}

TEST_F(disk, flags_that_do_not_exist_are_not_supported)
{
	struct virtio_blk_discard_write_zeroes range = {
		.num_sectors = 1, .flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
	};

	begin(self, VIRTIO_BLK_T_DISCARD, 0);
	add_out(self, &range, sizeof(range));
	ASSERT_EQ(VIRTIO_BLK_S_UNSUPP, finish(self));
	range.flags = 2;
	begin(self, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	add_out(self, &range, sizeof(range));
	ASSERT_EQ(VIRTIO_BLK_S_UNSUPP, finish(self));
}

TEST_F(disk, an_unknown_request_is_not_supported)
{
	begin(self, 0x1234, 0);
	ASSERT_EQ(VIRTIO_BLK_S_UNSUPP, finish(self));
}

TEST_F(disk, a_request_without_a_whole_header_breaks_the_device)
{
	begin(self, VIRTIO_BLK_T_IN, 0);
	self->chain.iov[0].iov_len--;
	ASSERT_EQ(-EINVAL, finish(self));
}

TEST_F(disk, a_request_without_room_for_a_status_breaks_the_device)
{
	begin(self, VIRTIO_BLK_T_FLUSH, 0);
	add_in(self, buffer, 0);
	ASSERT_EQ(-EINVAL, blk_request(&self->disk, &self->chain, false, &self->written));
}

TEST_HARNESS_MAIN
