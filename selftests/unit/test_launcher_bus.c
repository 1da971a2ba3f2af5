// SPDX-License-Identifier: GPL-2.0
/* Who answers at an address, and what happens to accesses of odd sizes. */
#include <string.h>

#include "kselftest_harness.h"

#include "bus.h"

struct device {
	struct bus_region region;
	u64 offset, value;
	unsigned int len, accesses;
};

static u64 device_read(void *dev, u64 offset, unsigned int len)
{
	struct device *d = dev;

	d->offset = offset;
	d->len = len;
	d->accesses++;
	return d->value;
}

static void device_write(void *dev, u64 offset, unsigned int len, u64 value)
{
	struct device *d = dev;

	d->offset = offset;
	d->len = len;
	d->value = value;
	d->accesses++;
}

static const struct bus_ops device_ops = { device_read, device_write };

static void device_init(struct device *d, u64 size, unsigned int width, u64 value)
{
	*d = (struct device){ .value = value };
	d->region = (struct bus_region){
		.ops = &device_ops, .dev = d, .size = size, .width = width,
	};
}

FIXTURE(bus) {
	struct bus bus;
	struct device a, b;
};

FIXTURE_SETUP(bus)
{
	bus_init(&self->bus);
	device_init(&self->a, 8, 4, 0x11111111);
	device_init(&self->b, 4, 1, 0x22);
	bus_map(&self->bus, &self->b.region, 0x200);
	bus_map(&self->bus, &self->a.region, 0x100);
}

FIXTURE_TEARDOWN(bus)
{
}

static u64 read_at(struct bus *bus, u64 addr, unsigned int len)
{
	u64 value = 0;

	bus_access(bus, addr, (u8 *)&value, len, false);
	return value;
}

TEST_F(bus, a_region_answers_from_its_first_to_its_last_byte)
{
	ASSERT_EQ(0x11, read_at(&self->bus, 0x100, 1));
	ASSERT_EQ(0, self->a.offset);
	ASSERT_EQ(0x11, read_at(&self->bus, 0x107, 1));
	ASSERT_EQ(7, self->a.offset);
	ASSERT_EQ(0xff, read_at(&self->bus, 0xff, 1));
	ASSERT_EQ(0xff, read_at(&self->bus, 0x108, 1));
	ASSERT_EQ(2, self->a.accesses);
}

TEST_F(bus, nobody_answers_with_all_ones)
{
	ASSERT_EQ(0xffffffff, read_at(&self->bus, 0x80, 4));
	ASSERT_EQ(~0ULL, read_at(&self->bus, ~0ULL - 7, 8));
}

TEST_F(bus, a_wide_access_to_a_narrow_device_comes_in_pieces)
{
	ASSERT_EQ(0x22222222, read_at(&self->bus, 0x200, 4));
	ASSERT_EQ(4, self->b.accesses);
	ASSERT_EQ(1, self->b.len);
	ASSERT_EQ(3, self->b.offset);
}

TEST_F(bus, an_access_over_the_end_is_cut_there)
{
	ASSERT_EQ(0xffff1111, read_at(&self->bus, 0x106, 4));
	ASSERT_EQ(2, self->a.len);
}

TEST_F(bus, a_write_brings_its_bytes)
{
	u32 value = 0xcafe;

	bus_access(&self->bus, 0x104, (u8 *)&value, 2, true);
	ASSERT_EQ(0xcafe, self->a.value);
	ASSERT_EQ(4, self->a.offset);
	ASSERT_EQ(2, self->a.len);
}

TEST_F(bus, a_region_that_moved_answers_there_and_no_more_here)
{
	bus_map(&self->bus, &self->a.region, 0x300);
	ASSERT_EQ(0xff, read_at(&self->bus, 0x100, 1));
	ASSERT_EQ(0x11, read_at(&self->bus, 0x300, 1));
	ASSERT_EQ(0x22, read_at(&self->bus, 0x200, 1));
}

TEST_F(bus, an_unmapped_region_is_silent)
{
	bus_unmap(&self->bus, &self->b.region);
	bus_unmap(&self->bus, &self->b.region);
	ASSERT_EQ(0xff, read_at(&self->bus, 0x200, 1));
	ASSERT_EQ(0x11, read_at(&self->bus, 0x100, 1));
}

static void *mover(void *arg)
{
	FIXTURE_DATA(bus) *self = arg;

	for (unsigned int i = 0; i < 200000; i++)
		bus_map(&self->bus, &self->a.region, i & 1 ? 0x100 : 0x300);
	return NULL;
}

TEST_F(bus, lookups_while_a_neighbour_moves_find_the_right_one)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, mover, self));
	for (unsigned int i = 0; i < 200000; i++) {
		ASSERT_EQ(0x22, read_at(&self->bus, 0x200, 1));
		ASSERT_EQ(0xff, read_at(&self->bus, 0x280, 1));
	}
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
