// SPDX-License-Identifier: GPL-2.0
/* Virtqueues of drivers that keep the rules, and of those that do not. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "kselftest_harness.h"

#include "virtq.h"

#define RAM		(64 * KIB)
#define DESC		0x1000ULL
#define AVAIL		0x2000ULL
#define USED		0x3000ULL
#define TABLE		0x4000ULL
#define DATA		0x8000ULL
#define ENTRIES		8

static u8 ram[RAM] __attribute__((aligned(4096)));

FIXTURE(queue) {
	struct memory mem;
	struct virtq q;
	struct virtq_chain chain;
	struct vring_desc *desc, *table;
	struct vring_avail *avail;
	struct vring_used *used;
};

FIXTURE_SETUP(queue)
{
	memset(ram, 0, sizeof(ram));
	self->mem.range[0] = (struct memory_range){ 0, RAM, ram };
	self->mem.range[1] = (struct memory_range){ MEM_HIGH, 0, ram };
	self->desc = (void *)(ram + DESC);
	self->table = (void *)(ram + TABLE);
	self->avail = (void *)(ram + AVAIL);
	self->used = (void *)(ram + USED);
	virtq_reset(&self->q);
	self->q.size = ENTRIES;
	self->q.desc_gpa = DESC;
	self->q.avail_gpa = AVAIL;
	self->q.used_gpa = USED;
	self->q.indirect = true;
	ASSERT_EQ(0, virtq_start(&self->q, &self->mem));
}

FIXTURE_TEARDOWN(queue)
{
}

static void offer(FIXTURE_DATA(queue) *self, u16 head)
{
	self->avail->ring[self->avail->idx % ENTRIES] = head;
	self->avail->idx++;
}

static int pop(FIXTURE_DATA(queue) *self)
{
	return virtq_pop(&self->q, &self->mem, &self->chain);
}

static void set(struct vring_desc *d, u64 addr, u32 len, u16 flags, u16 next)
{
	*d = (struct vring_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

static int start(FIXTURE_DATA(queue) *self)
{
	self->q.ready = false;
	return virtq_start(&self->q, &self->mem);
}

TEST_F(queue, an_empty_queue_gives_nothing)
{
	ASSERT_EQ(0, pop(self));
}

TEST_F(queue, a_chain_comes_with_its_buffers_in_order)
{
	set(&self->desc[3], DATA, 16, VRING_DESC_F_NEXT, 5);
	set(&self->desc[5], DATA + 0x100, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set(&self->desc[1], DATA + 0x400, 1, VRING_DESC_F_WRITE, 0);
	offer(self, 3);
	ASSERT_EQ(1, pop(self));
	ASSERT_EQ(3, self->chain.head);
	ASSERT_EQ(1, self->chain.out);
	ASSERT_EQ(2, self->chain.in);
	ASSERT_EQ(ram + DATA, self->chain.iov[0].iov_base);
	ASSERT_EQ(512, self->chain.iov[1].iov_len);
	ASSERT_EQ(ram + DATA + 0x400, self->chain.iov[2].iov_base);
	ASSERT_FALSE(self->chain.more);
	ASSERT_EQ(0, pop(self));
}

TEST_F(queue, the_next_chain_is_announced)
{
	set(&self->desc[0], DATA, 16, 0, 0);
	offer(self, 0);
	offer(self, 0);
	ASSERT_EQ(1, pop(self));
	ASSERT_TRUE(self->chain.more);
}

TEST_F(queue, an_indirect_table_is_followed)
{
	set(&self->table[0], DATA, 16, VRING_DESC_F_NEXT, 1);
	set(&self->table[1], DATA + 16, 1, VRING_DESC_F_WRITE, 0);
	set(&self->desc[2], TABLE, 2 * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
	offer(self, 2);
	ASSERT_EQ(1, pop(self));
	ASSERT_EQ(1, self->chain.out);
	ASSERT_EQ(1, self->chain.in);
	ASSERT_EQ(2, self->chain.head);
}

TEST_F(queue, a_full_indirect_table_fits)
{
	for (unsigned int i = 0; i < VIRTQ_MAX; i++)
		set(&self->table[i], DATA, 16, i + 1 < VIRTQ_MAX ? VRING_DESC_F_NEXT : 0, i + 1);
	set(&self->desc[0], TABLE, VIRTQ_MAX * sizeof(struct vring_desc),
	    VRING_DESC_F_INDIRECT, 0);
	offer(self, 0);
	ASSERT_EQ(1, pop(self));
	ASSERT_EQ(VIRTQ_MAX, self->chain.out);
}

TEST_F(queue, a_head_beyond_the_table_is_broken)
{
	offer(self, ENTRIES);
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, a_next_beyond_the_table_is_broken)
{
	set(&self->desc[0], DATA, 16, VRING_DESC_F_NEXT, ENTRIES);
	offer(self, 0);
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, a_chain_in_a_circle_is_broken)
{
	set(&self->desc[0], DATA, 16, VRING_DESC_F_NEXT, 1);
	set(&self->desc[1], DATA, 16, VRING_DESC_F_NEXT, 0);
	offer(self, 0);
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, a_buffer_outside_memory_is_broken)
{
	static const struct { u64 addr; u32 len; } bad[] = {
		{ RAM, 1 }, { RAM - 1, 2 }, { 0, ~0U }, { ~0ULL, 2 }, { MEM_HIGH, 1 },
		{ ~0ULL - 15, 32 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set(&self->desc[0], bad[i].addr, bad[i].len, 0, 0);
		offer(self, 0);
		ASSERT_EQ(-EINVAL, pop(self))
			TH_LOG("buffer %u", i);
	}
}

TEST_F(queue, a_buffer_up_to_the_end_of_memory_is_fine)
{
	set(&self->desc[0], RAM - 512, 512, 0, 0);
	offer(self, 0);
	ASSERT_EQ(1, pop(self));
}

TEST_F(queue, a_buffer_to_read_after_one_to_write_is_broken)
{
	set(&self->desc[0], DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set(&self->desc[1], DATA, 16, 0, 0);
	offer(self, 0);
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, more_chains_than_entries_are_broken)
{
	self->avail->idx = ENTRIES + 1;
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, an_index_that_runs_back_is_broken)
{
	self->avail->idx = 0xffff;
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, a_bad_indirect_table_is_broken)
{
	static const struct { u64 addr; u32 len; u16 flags; } bad[] = {
		{ TABLE, 0, VRING_DESC_F_INDIRECT },
		{ TABLE, 15, VRING_DESC_F_INDIRECT },
		{ TABLE, 24, VRING_DESC_F_INDIRECT },
		{ RAM - 8, 16, VRING_DESC_F_INDIRECT },
		{ ~0ULL - 15, 16, VRING_DESC_F_INDIRECT },
		{ TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
	};
	unsigned int i;

	set(&self->table[0], DATA, 16, 0, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set(&self->desc[0], bad[i].addr, bad[i].len, bad[i].flags, 0);
		offer(self, 0);
		ASSERT_EQ(-EINVAL, pop(self))
			TH_LOG("table %u", i);
	}
}

TEST_F(queue, an_indirect_table_within_another_is_broken)
{
	set(&self->table[0], TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	set(&self->desc[0], TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	offer(self, 0);
	ASSERT_EQ(-EINVAL, pop(self));
}

/* The queue's own table, told as an indirect one, must not pass for the first again. */
TEST_F(queue, an_indirect_table_that_is_the_queues_own_ends)
{
	set(&self->desc[0], DESC, ENTRIES * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
	offer(self, 0);
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, an_indirect_table_that_was_not_agreed_on_is_broken)
{
	self->q.indirect = false;
	set(&self->table[0], DATA, 16, 0, 0);
	set(&self->desc[0], TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	offer(self, 0);
	ASSERT_EQ(-EINVAL, pop(self));
}

TEST_F(queue, a_ring_outside_memory_does_not_start)
{
	self->q.used_gpa = RAM - 4;
	ASSERT_EQ(-EINVAL, start(self));
	self->q.used_gpa = USED;
	self->q.avail_gpa = RAM - 4;
	ASSERT_EQ(-EINVAL, start(self));
	self->q.avail_gpa = AVAIL;
	self->q.desc_gpa = ~0ULL & ~15ULL;
	ASSERT_EQ(-EINVAL, start(self));
	self->q.desc_gpa = DESC;
	ASSERT_EQ(0, start(self));
}

TEST_F(queue, a_misaligned_ring_does_not_start)
{
	self->q.desc_gpa = DESC + 8;
	ASSERT_EQ(-EINVAL, start(self));
	self->q.desc_gpa = DESC;
	self->q.avail_gpa = AVAIL + 1;
	ASSERT_EQ(-EINVAL, start(self));
	self->q.avail_gpa = AVAIL;
	self->q.used_gpa = USED + 2;
	ASSERT_EQ(-EINVAL, start(self));
}

TEST_F(queue, a_size_that_is_no_power_of_two_or_too_large_does_not_start)
{
	static const u16 bad[] = { 0, 3, 12, 512, 0x8000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->q.size = bad[i];
		ASSERT_EQ(-EINVAL, start(self));
	}
}

TEST_F(queue, a_chain_given_back_stands_in_the_used_ring)
{
	ASSERT_TRUE(virtq_push(&self->q, 5, 513));
	ASSERT_EQ(1, self->used->idx);
	ASSERT_EQ(5, self->used->ring[0].id);
	ASSERT_EQ(513, self->used->ring[0].len);
}

TEST_F(queue, indexes_wrap)
{
	set(&self->desc[0], DATA, 16, 0, 0);
	self->avail->idx = 0;
	for (unsigned int i = 0; i < 0x10010; i++) {
		offer(self, 0);
		ASSERT_EQ(1, pop(self));
		virtq_push(&self->q, 0, i);
	}
	ASSERT_EQ(0x10, self->used->idx);
	ASSERT_EQ(0x1000f, self->used->ring[0xf % ENTRIES].len);
}

TEST_F(queue, a_driver_that_wants_no_interrupt_gets_none)
{
	self->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	ASSERT_FALSE(virtq_push(&self->q, 0, 0));
}

TEST_F(queue, with_event_indexes_one_chain_of_many_interrupts)
{
	u16 *used_event = &self->avail->ring[ENTRIES];

	self->q.event_idx = true;
	*used_event = 2;
	ASSERT_FALSE(virtq_push(&self->q, 0, 0));
	ASSERT_FALSE(virtq_push(&self->q, 0, 0));
	ASSERT_TRUE(virtq_push(&self->q, 0, 0));
	ASSERT_FALSE(virtq_push(&self->q, 0, 0));
}

TEST_F(queue, with_event_indexes_an_empty_queue_asks_for_the_next_kick)
{
	u16 *avail_event = (u16 *)&self->used->ring[ENTRIES];

	self->q.event_idx = true;
	set(&self->desc[0], DATA, 16, 0, 0);
	offer(self, 0);
	ASSERT_EQ(1, pop(self));
	ASSERT_EQ(0, pop(self));
	ASSERT_EQ(1, *avail_event);
}

/* Whoever took the last chain may be busy with it for long. */
TEST_F(queue, with_event_indexes_the_last_chain_taken_asks_for_the_next_kick)
{
	u16 *avail_event = (u16 *)&self->used->ring[ENTRIES];

	self->q.event_idx = true;
	set(&self->desc[0], DATA, 16, 0, 0);
	offer(self, 0);
	offer(self, 0);
	ASSERT_EQ(1, pop(self));
	ASSERT_TRUE(self->chain.more);
	ASSERT_EQ(1, pop(self));
	ASSERT_FALSE(self->chain.more);
	ASSERT_EQ(2, *avail_event);
}

TEST_F(queue, a_queue_that_was_reset_touches_memory_no_more)
{
	offer(self, 0);
	virtq_reset(&self->q);
	ASSERT_EQ(0, pop(self));
	ASSERT_FALSE(virtq_push(&self->q, 0, 0));
	ASSERT_EQ(0, self->used->idx);
}

TEST_HARNESS_MAIN
