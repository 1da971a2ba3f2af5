// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

#define HUGE_PAGE (2 * MIB)

static void *memory_map(u64 size, bool hugepages)
{
	/*
	 * Huge pages are reserved here and now, so that a shortage is an error
	 * message and no SIGBUS in the middle of the guest's work.
	 */
	int how = hugepages ? MAP_HUGETLB | MAP_HUGE_2MB : MAP_NORESERVE;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | how, -1, 0);

	if (p != MAP_FAILED)
		return p;
	if (hugepages)
		die("cannot reserve %llu huge pages of 2 MiB: %s; see /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
		    size / HUGE_PAGE, strerror(errno));
	die("cannot map %llu MiB of guest memory: %s", size / MIB, strerror(errno));
}

/**
 * memory_create() - map the guest's memory, all zero.
 * @mem: to be filled.
 * @size: bytes, a multiple of the page size; of 2 MiB with @hugepages.
 * @hugepages: back it by hugetlbfs pages of 2 MiB.
 *
 * Ends vitro where the host cannot give that much.
 */
void memory_create(struct memory *mem, u64 size, bool hugepages)
{
	u64 low = min_u64(size, MEM_PCI_HOLE);
	u8 *hva;

	/* Aligned like the gpa, so that 2M pages can map 2M of the guest. */
	mem->mapping_size = size + (hugepages ? 0 : HUGE_PAGE);
	mem->mapping = memory_map(mem->mapping_size, hugepages);
	hva = (u8 *)ALIGN_UP((u64)mem->mapping, HUGE_PAGE);
	if (!hugepages)
		madvise(mem->mapping, mem->mapping_size, MADV_HUGEPAGE);
	madvise(mem->mapping, mem->mapping_size, MADV_DONTDUMP);
	mem->range[0] = (struct memory_range){ 0, low, hva };
	mem->range[1] = (struct memory_range){ MEM_HIGH, size - low, hva + low };
}

/**
 * memory_destroy() - give guest memory back to the host.
 * @mem: what memory_create() filled; nothing may use its pointers any more.
 */
void memory_destroy(struct memory *mem)
{
	munmap(mem->mapping, mem->mapping_size);
	memset(mem, 0, sizeof(*mem));
}

/**
 * guest_ptr() - the one door to guest memory.
 * @mem: guest memory.
 * @gpa: guest physical address.
 * @len: bytes that the caller is going to touch.
 *
 * Return: where the guest's @gpa lies in this process; NULL unless all of
 * [@gpa, @gpa + @len) is RAM.
 */
void *guest_ptr(const struct memory *mem, gpa_t gpa, u64 len)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(mem->range); i++) {
		const struct memory_range *r = &mem->range[i];

		if (gpa >= r->base && gpa - r->base <= r->size &&
		    len <= r->size - (gpa - r->base))
			return r->hva + (gpa - r->base);
	}
	return NULL;
}
