// SPDX-License-Identifier: GPL-2.0
/*
 * Second-level page tables, for both vendors.  See tdp.h for the rules.
 *
 * Software changes entries only under the caller's lock; CPUs set accessed and dirty
 * bits in them at any time.  Hence a present entry is changed by xchg() or
 * cmpxchg(), so that no bit which a CPU sets in between is lost, and an absent
 * one by a plain store.  A walk from any CPU sees the entry before or after,
 * and what a new table holds before it sees the table.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include "tdp.h"

#define TDP_ENTRIES	512

static unsigned int tdp_index(gfn_t gfn, unsigned int level)
{
	return gfn / tdp_level_pages(level) % TDP_ENTRIES;
}

/* Of a present entry. */
static bool tdp_is_leaf(const struct tdp_format *format, u64 entry, unsigned int level)
{
	return level == TDP_4K || (entry & format->large);
}

static u64 *tdp_table(const struct tdp_format *format, u64 entry)
{
	return phys_to_virt(entry & format->address);
}

static hfn_t tdp_pfn(const struct tdp_format *format, u64 entry)
{
	return (entry & format->address) >> PAGE_SHIFT;
}

static int tdp_prot(const struct tdp_format *format, u64 entry)
{
	u64 type = format->ram | format->device;
	int prot = TDP_READ;

	if (entry & format->write)
		prot |= TDP_WRITE;
	if (format->exec ? entry & format->exec : !(entry & format->noexec))
		prot |= TDP_EXEC;
	if (format->device != format->ram && (entry & type) == format->device)
		prot |= TDP_DEVICE;
	return prot;
}

static u64 tdp_make_leaf(const struct tdp_format *format, hfn_t pfn, unsigned int level, int prot)
{
	u64 entry = round_down(pfn, tdp_level_pages(level)) << PAGE_SHIFT;

	/* Who maps a page is about to use it: spare the CPU setting the bit. */
	entry |= format->leaf | format->accessed;
	entry |= prot & TDP_DEVICE ? format->device : format->ram;
	entry |= prot & TDP_EXEC ? format->exec : format->noexec;
	if (prot & TDP_WRITE)
		entry |= format->write;
	if (level > TDP_4K)
		entry |= format->large;
	return entry;
}

/* Does the leaf show the guest this very page, as the same kind of memory? */
static bool tdp_same_page(const struct tdp_format *format, u64 leaf, unsigned int level,
			  gfn_t gfn, hfn_t pfn, int prot)
{
	hfn_t offset = gfn & (tdp_level_pages(level) - 1);

	return tdp_pfn(format, leaf) + offset == pfn &&
	       !((tdp_prot(format, leaf) ^ prot) & TDP_DEVICE);
}

/* ---- tables ---- */

int tdp_cache_fill(struct tdp_cache *cache, int nr)
{
	while (cache->nr < nr) {
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

		if (!page)
			return -ENOMEM;
		cache->pages[cache->nr++] = page_address(page);
	}
	return 0;
}

void tdp_cache_free(struct tdp_cache *cache)
{
	while (cache->nr)
		free_page((unsigned long)cache->pages[--cache->nr]);
}

void tdp_free_tables(struct list_head *freed)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, freed, lru) {
		list_del(&page->lru);
		free_page((unsigned long)page_address(page));
	}
}

int tdp_init(struct tdp *tdp, const struct tdp_format *format)
{
	tdp->root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!tdp->root)
		return -ENOMEM;
	tdp->format = format;
	tdp->root_hpa = virt_to_phys(tdp->root);
	tdp->nr_tables = 1;
	return 0;
}

/*
 * Take apart what a present entry held, after it is gone from the tables: a
 * flush is owed.  CPUs may still be in a table, so each of its entries goes by
 * xchg(), and the page stays zeroed until they are out.
 */
static void tdp_drop(struct tdp *tdp, u64 old, unsigned int level, struct list_head *freed)
{
	const struct tdp_format *format = tdp->format;
	u64 *table, *entry;

	if (tdp_is_leaf(format, old, level)) {
		/* Without a dirty bit, whatever could be written may have been. */
		tdp_leaf_gone(tdp_pfn(format, old), level, old & format->accessed,
			      old & (format->dirty ?: format->write));
		return;
	}
	table = tdp_table(format, old);
	for (entry = table; entry < table + TDP_ENTRIES; entry++)
		if (READ_ONCE(*entry))
			tdp_drop(tdp, xchg(entry, 0), level - 1, freed);
	list_add_tail(&virt_to_page(table)->lru, freed);
	tdp->nr_tables--;
}

void tdp_destroy(struct tdp *tdp, struct list_head *freed)
{
	if (tdp->root)		/* as from an entry one level above */
		tdp_drop(tdp, tdp->root_hpa, tdp->format->levels + 1, freed);
	tdp->root = NULL;
}

/* ---- a walk over a range ---- */

/* What is done to each entry that is present. */
struct tdp_walk {
	struct tdp	*tdp;
	struct list_head *freed;	/* remove leaves, and tables entirely in the range; or NULL, */
	u64		bits;		/* then find leaves that have any of these, */
	bool		clear;		/* and take these from them */
};

/* [start, end) of a table of @level, and the tables below.  True: something was removed or found. */
static bool tdp_walk_table(const struct tdp_walk *walk, u64 *table, unsigned int level,
			   gfn_t start, gfn_t end)
{
	const struct tdp_format *format = walk->tdp->format;
	const u64 pages = tdp_level_pages(level);
	bool found = false, leaf;
	gfn_t next;

	for (; start < end; start = next) {
		u64 *entry = &table[tdp_index(start, level)], old = READ_ONCE(*entry);

		next = min(end, round_down(start, pages) + pages);
		if (!(old & format->present))
			continue;
		leaf = tdp_is_leaf(format, old, level);
		if (walk->freed && (leaf || next - start == pages)) {
			tdp_drop(walk->tdp, xchg(entry, 0), level, walk->freed);
			found = true;
		} else if (!leaf) {
			found |= tdp_walk_table(walk, tdp_table(format, old), level - 1,
						start, next);
		} else if (old & walk->bits) {
			while (walk->clear && !try_cmpxchg(entry, &old, old & ~walk->bits))
				;
			found = true;
		}
	}
	return found;
}

static bool tdp_walk(const struct tdp_walk *walk, gfn_t start, gfn_t end)
{
	unsigned int levels = walk->tdp->format->levels;

	return walk->tdp->root && tdp_walk_table(walk, walk->tdp->root, levels, start,
						 min(end, tdp_level_pages(levels + 1)));
}

bool tdp_zap(struct tdp *tdp, gfn_t start, gfn_t end, struct list_head *freed)
{
	struct tdp_walk walk = { .tdp = tdp, .freed = freed };

	return tdp_walk(&walk, start, end);
}

bool tdp_write_protect(struct tdp *tdp, gfn_t start, gfn_t end)
{
	struct tdp_walk walk = { .tdp = tdp, .bits = tdp->format->write, .clear = true };

	return tdp_walk(&walk, start, end);
}

bool tdp_age(struct tdp *tdp, gfn_t start, gfn_t end, bool clear)
{
	u64 accessed = tdp->format->accessed;
	struct tdp_walk walk = {
		.tdp = tdp, .bits = accessed ?: tdp->format->present, .clear = clear && accessed,
	};

	return tdp_walk(&walk, start, end);
}

/* ---- mapping ---- */

/* Let a table take the place of the leaf *@entry, of @level, and map what that maps. True: flush. */
static bool tdp_split(const struct tdp_format *format, u64 *entry, unsigned int level, u64 *table)
{
	u64 step = tdp_level_pages(level - 1) << PAGE_SHIFT, old = READ_ONCE(*entry), leaf;
	unsigned int i;

	do {
		leaf = level - 1 == TDP_4K ? old & ~format->large : old;
		for (i = 0; i < TDP_ENTRIES; i++)
			table[i] = leaf + i * step;
	} while (!try_cmpxchg(entry, &old, virt_to_phys(table) | format->table));
	return true;
}

/* Give the leaf *@entry more rights: no flush. */
static void tdp_widen(const struct tdp_format *format, u64 *entry, unsigned int level, int prot)
{
	u64 old = READ_ONCE(*entry);
	u64 new = tdp_make_leaf(format, tdp_pfn(format, old), level, prot | tdp_prot(format, old));

	while (!try_cmpxchg(entry, &old, new | (old & format->dirty)))
		;
}

/* Put a leaf or a table in place of nothing, or of what maps other pages.  True: flush. */
static bool tdp_set(struct tdp *tdp, u64 *entry, unsigned int level, u64 new,
		    struct list_head *freed)
{
	if (!(READ_ONCE(*entry) & tdp->format->present)) {
		smp_store_release(entry, new);	/* what a table holds first */
		return false;
	}
	tdp_drop(tdp, xchg(entry, new), level, freed);
	return true;
}

int tdp_map(struct tdp *tdp, struct tdp_cache *cache, gfn_t gfn, hfn_t pfn,
	    unsigned int level, int prot, struct list_head *freed, bool *flush)
{
	const struct tdp_format *format = tdp->format;
	u64 *table = tdp->root;
	unsigned int at;

	for (at = format->levels; ; at--) {
		u64 *entry = &table[tdp_index(gfn, at)], old = READ_ONCE(*entry);
		bool present = old & format->present;
		bool leaf = present && tdp_is_leaf(format, old, at);
		bool keep = leaf && tdp_same_page(format, old, at, gfn, pfn, prot);

		if (keep && !(prot & ~tdp_prot(format, old)))
			return 0;
		if (at == level) {
			if (keep)
				tdp_widen(format, entry, level, prot);
			else
				*flush |= tdp_set(tdp, entry, level,
						  tdp_make_leaf(format, pfn, level, prot), freed);
			return 0;
		}
		if (present && !leaf) {
			table = tdp_table(format, old);
			continue;
		}
		if (!cache->nr)
			return at - level;
		table = cache->pages[--cache->nr];
		tdp->nr_tables++;
		if (keep)
			*flush = tdp_split(format, entry, at, table);
		else
			*flush |= tdp_set(tdp, entry, at, virt_to_phys(table) | format->table,
					  freed);
	}
}
