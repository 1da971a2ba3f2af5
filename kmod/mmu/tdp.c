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

static void tdp_drop_leaf(struct tdp *tdp, u64 leaf, unsigned int level)
{
	const struct tdp_format *format = tdp->format;
	/* Without a dirty bit, whatever could be written may have been. */
	u64 dirty = format->dirty ?: format->write;

	tdp_leaf_gone(tdp_pfn(format, leaf), level, leaf & format->accessed, leaf & dirty);
}

/*
 * Take apart what a present entry held, after it is gone from the tables: a
 * flush is owed.  CPUs may still be in a table, so each of its entries goes by
 * xchg(), and the page stays zeroed until they are out.
 */
static void tdp_drop(struct tdp *tdp, u64 old, unsigned int level, struct list_head *freed)
{
	u64 *table, *entry;

	if (tdp_is_leaf(tdp->format, old, level)) {
		tdp_drop_leaf(tdp, old, level);
		return;
	}
	table = tdp_table(tdp->format, old);
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

/*
 * Stands at one entry and knows the way to it.  A loop finds a present entry,
 * acts on it, and goes on: past it, or down into the table it points to.
 */
struct tdp_iter {
	const struct tdp_format *format;
	gfn_t		gfn, end;	/* gfn: first frame of the entry that is in the range */
	unsigned int	level;
	u64		*table[TDP_MAX_LEVELS + 1];	/* by level */
	u64		*entry;
	u64		old;		/* what was in *entry */
};

static void tdp_iter_start(struct tdp_iter *iter, struct tdp *tdp, gfn_t start, gfn_t end)
{
	iter->format = tdp->format;
	iter->level = tdp->format->levels;
	iter->table[iter->level] = tdp->root;
	iter->gfn = start;
	iter->end = tdp->root ? min(end, tdp_level_pages(iter->level + 1)) : 0;
}

static bool tdp_iter_at_leaf(const struct tdp_iter *iter)
{
	return tdp_is_leaf(iter->format, iter->old, iter->level);
}

/* Does the range take in all that the entry maps? */
static bool tdp_iter_covered(const struct tdp_iter *iter)
{
	u64 pages = tdp_level_pages(iter->level);

	return !(iter->gfn & (pages - 1)) && iter->end - iter->gfn >= pages;
}

static void tdp_iter_down(struct tdp_iter *iter)
{
	iter->level--;
	iter->table[iter->level] = tdp_table(iter->format, iter->old);
}

/* To the next entry; at the end of a table, to the one after it a level up. */
static void tdp_iter_past(struct tdp_iter *iter)
{
	iter->gfn = round_down(iter->gfn, tdp_level_pages(iter->level)) +
		    tdp_level_pages(iter->level);
	while (iter->level < iter->format->levels && !tdp_index(iter->gfn, iter->level))
		iter->level++;
}

/* Skip what is absent. False: the range is done. */
static bool tdp_iter_find(struct tdp_iter *iter)
{
	for (; iter->gfn < iter->end; tdp_iter_past(iter)) {
		iter->entry = &iter->table[iter->level][tdp_index(iter->gfn, iter->level)];
		iter->old = READ_ONCE(*iter->entry);
		if (iter->old & iter->format->present)
			return true;
	}
	return false;
}

/* The same for leaves only. */
static bool tdp_iter_find_leaf(struct tdp_iter *iter)
{
	while (tdp_iter_find(iter)) {
		if (tdp_iter_at_leaf(iter))
			return true;
		tdp_iter_down(iter);
	}
	return false;
}

#define tdp_for_each_leaf(iter, tdp, start, end)			\
	for (tdp_iter_start(iter, tdp, start, end);			\
	     tdp_iter_find_leaf(iter); tdp_iter_past(iter))

bool tdp_zap(struct tdp *tdp, gfn_t start, gfn_t end, struct list_head *freed)
{
	struct tdp_iter iter;
	bool flush = false;

	tdp_iter_start(&iter, tdp, start, end);
	while (tdp_iter_find(&iter)) {
		if (tdp_iter_at_leaf(&iter) || tdp_iter_covered(&iter)) {
			tdp_drop(tdp, xchg(iter.entry, 0), iter.level, freed);
			flush = true;
			tdp_iter_past(&iter);
		} else {
			tdp_iter_down(&iter);
		}
	}
	return flush;
}

bool tdp_write_protect(struct tdp *tdp, gfn_t start, gfn_t end)
{
	u64 write = tdp->format->write;
	struct tdp_iter iter;
	bool flush = false;

	tdp_for_each_leaf(&iter, tdp, start, end) {
		if (!(iter.old & write))
			continue;
		while (!try_cmpxchg(iter.entry, &iter.old, iter.old & ~write))
			;
		flush = true;
	}
	return flush;
}

bool tdp_age(struct tdp *tdp, gfn_t start, gfn_t end, bool clear)
{
	u64 accessed = tdp->format->accessed;
	struct tdp_iter iter;
	bool young = false;

	tdp_for_each_leaf(&iter, tdp, start, end) {
		if (!accessed)
			return true;
		if (!(iter.old & accessed))
			continue;
		young = true;
		if (!clear)
			break;
		while (!try_cmpxchg(iter.entry, &iter.old, iter.old & ~accessed))
			;
	}
	return young;
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
	u64 *entry, *table = tdp->root;
	unsigned int at;
	bool keep;

	for (at = format->levels; ; at--) {
		bool is_table = false;
		u64 old;

		keep = false;
		entry = &table[tdp_index(gfn, at)];
		old = READ_ONCE(*entry);
		if (old & format->present) {
			is_table = !tdp_is_leaf(format, old, at);
			keep = !is_table && tdp_same_page(format, old, at, gfn, pfn, prot);
			if (keep && !(prot & ~tdp_prot(format, old)))
				return 0;
		}
		if (at == level)
			break;
		if (is_table) {
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
	if (keep)
		tdp_widen(format, entry, level, prot);
	else
		*flush |= tdp_set(tdp, entry, level, tdp_make_leaf(format, pfn, level, prot), freed);
	return 0;
}
