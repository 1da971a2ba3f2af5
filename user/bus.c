// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "bus.h"

/**
 * bus_init() - an empty address space.
 * @bus: to be filled.
 */
void bus_init(struct bus *bus)
{
	memset(bus, 0, sizeof(*bus));
	pthread_mutex_init(&bus->lock, NULL);
}

/* The two halves of a change; readers in between see an odd count and wait. */
static void bus_begin(struct bus *bus)
{
	__atomic_store_n(&bus->seq, bus->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void bus_end(struct bus *bus)
{
	__atomic_store_n(&bus->seq, bus->seq + 1, __ATOMIC_RELEASE);
}

static void bus_remove(struct bus *bus, struct bus_region *region)
{
	unsigned int i = 0;

	while (bus->region[i] != region)
		i++;
	for (; i + 1 < bus->count; i++)
		__atomic_store_n(&bus->region[i], bus->region[i + 1], __ATOMIC_RELAXED);
	__atomic_store_n(&bus->count, bus->count - 1, __ATOMIC_RELAXED);
	region->mapped = false;
}

static void bus_insert(struct bus *bus, struct bus_region *region, u64 base)
{
	unsigned int i = bus->count;

	__atomic_store_n(&region->base, base, __ATOMIC_RELAXED);
	for (; i && bus->region[i - 1]->base > base; i--)
		__atomic_store_n(&bus->region[i], bus->region[i - 1], __ATOMIC_RELAXED);
	__atomic_store_n(&bus->region[i], region, __ATOMIC_RELAXED);
	__atomic_store_n(&bus->count, bus->count + 1, __ATOMIC_RELEASE);
	region->mapped = true;
}

/**
 * bus_map() - let a region answer at an address; moves it if it had another.
 * @bus: address space.
 * @region: with ops, dev, size and width filled in; lives as long as @bus.
 * @base: first address or port.
 */
void bus_map(struct bus *bus, struct bus_region *region, u64 base)
{
	pthread_mutex_lock(&bus->lock);
	if (!region->mapped && bus->count == BUS_MAX_REGIONS)
		die("more than %d device regions", BUS_MAX_REGIONS);
	bus_begin(bus);
	if (region->mapped)
		bus_remove(bus, region);
	bus_insert(bus, region, base);
	bus_end(bus);
	pthread_mutex_unlock(&bus->lock);
}

/**
 * bus_unmap() - take a region out of the address space, if it is in.
 * @bus: address space.
 * @region: what bus_map() put there.
 */
void bus_unmap(struct bus *bus, struct bus_region *region)
{
	pthread_mutex_lock(&bus->lock);
	if (region->mapped) {
		bus_begin(bus);
		bus_remove(bus, region);
		bus_end(bus);
	}
	pthread_mutex_unlock(&bus->lock);
}

/* The region that holds @addr, and @addr's offset in it; NULL where none does. */
static struct bus_region *bus_search(struct bus *bus, u64 addr, u64 *offset)
{
	unsigned int low = 0, high = __atomic_load_n(&bus->count, __ATOMIC_ACQUIRE);
	struct bus_region *found = NULL;
	u64 base = 0;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		struct bus_region *r = __atomic_load_n(&bus->region[mid], __ATOMIC_RELAXED);
		u64 b = __atomic_load_n(&r->base, __ATOMIC_RELAXED);

		if (b <= addr) {
			found = r;
			base = b;
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	*offset = addr - base;
	return found && *offset < found->size ? found : NULL;
}

static struct bus_region *bus_find(struct bus *bus, u64 addr, u64 *offset)
{
	for (;;) {
		unsigned int seq = __atomic_load_n(&bus->seq, __ATOMIC_ACQUIRE);
		struct bus_region *r;

		if (seq & 1)
			continue;
		r = bus_search(bus, addr, offset);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&bus->seq, __ATOMIC_RELAXED) == seq)
			return r;
	}
}

/**
 * bus_access() - carry out one access of a vCPU.
 * @bus: address space.
 * @addr: address or port.
 * @data: bytes written, or where the bytes read go.
 * @len: 1 to 8.
 * @write: direction.
 *
 * An access wider than its device is cut into pieces, as on ISA.  Where no
 * device answers, reads give all ones and writes are lost.
 */
void bus_access(struct bus *bus, u64 addr, u8 *data, unsigned int len, bool write)
{
	while (len) {
		u64 offset, value = ~0ULL;
		struct bus_region *r = bus_find(bus, addr, &offset);
		unsigned int n = len;

		if (r)
			n = min_u64(len, min_u64(r->width, r->size - offset));
		if (write) {
			value = 0;
			memcpy(&value, data, n);
			if (r)
				r->ops->write(r->dev, offset, n, value);
		} else {
			if (r)
				value = r->ops->read(r->dev, offset, n);
			memcpy(data, &value, n);
		}
		addr += n;
		data += n;
		len -= n;
	}
}
