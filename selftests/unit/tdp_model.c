// SPDX-License-Identifier: GPL-2.0
/* See tdp_model.h. */
#include <stdlib.h>
#include <string.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include "tdp_model.h"

struct tdp tdp;
struct tdp_cache cache;
struct list_head freed;

/* ---- random numbers, the same in each run ---- */

u64 seed;

u64 rnd(u64 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

/* ---- what the model found wrong ---- */

unsigned int nr_complaints;
char complaint[200];

/* ---- the host's pages ---- */

#define NR_PAGES	2048
#define PAGES_HPA	0x7700000000ULL

enum page_state {
	PAGE_FREE,
	PAGE_NEW,	/* allocated, not in the tables: no CPU knows it */
	PAGE_LINKED,	/* in the tables */
	PAGE_STALE,	/* out of the tables, but a CPU may still be in it */
	PAGE_DEAD,	/* was stale before a flush */
};

static u64 memory[NR_PAGES][512] __attribute__((aligned(4096)));
static struct page pages[NR_PAGES];
static struct { enum page_state state; unsigned int level; gfn_t gfn; } info[NR_PAGES];
unsigned int nr_allocated;
bool no_memory;

static unsigned int page_nr(const void *address)
{
	size_t nr = ((uintptr_t)address - (uintptr_t)memory) / PAGE_SIZE;

	if (nr >= NR_PAGES)
		abort();
	return nr;
}

unsigned long get_zeroed_page(int gfp)
{
	static unsigned int next;
	unsigned int i;

	if (no_memory)
		return 0;
	/* Round robin: a page that was freed too early is not at once another table. */
	for (i = 0; i < NR_PAGES; i++) {
		next = (next + 1) % NR_PAGES;
		if (info[next].state == PAGE_FREE) {
			info[next].state = PAGE_NEW;
			memset(memory[next], 0, PAGE_SIZE);
			nr_allocated++;
			return (unsigned long)memory[next];
		}
	}
	abort();
}

struct page *alloc_page(int gfp)
{
	unsigned long address = get_zeroed_page(gfp);

	return address ? virt_to_page((void *)address) : NULL;
}

void free_page(unsigned long address)
{
	unsigned int nr = page_nr((void *)address);

	if (info[nr].state != PAGE_NEW && info[nr].state != PAGE_DEAD)
		complain("table %#llx of level %u freed in state %d",
			 (unsigned long long)info[nr].gfn, info[nr].level, info[nr].state);
	info[nr].state = PAGE_FREE;
	memset(memory[nr], 0xff, PAGE_SIZE);
	nr_allocated--;
}

struct page *virt_to_page(const void *address)
{
	return &pages[page_nr(address)];
}

void *page_address(const struct page *page)
{
	return memory[page - pages];
}

unsigned long virt_to_phys(const volatile void *address)
{
	return PAGES_HPA + page_nr((const void *)address) * PAGE_SIZE;
}

void *phys_to_virt(unsigned long address)
{
	return memory[(address - PAGES_HPA) / PAGE_SIZE];
}

/* ---- reading entries, independently of tdp.c ---- */

struct leaf { gfn_t gfn; unsigned int level; hfn_t pfn; int prot; bool accessed, dirty; };

static bool present(u64 entry)
{
	return entry & tdp.format->present;
}

static bool is_table(u64 entry, unsigned int level)
{
	return level > 1 && !(entry & tdp.format->large);
}

static struct leaf leaf_of(u64 entry, unsigned int level, gfn_t gfn)
{
	const struct tdp_format *f = tdp.format;
	struct leaf leaf = {
		.gfn = gfn, .level = level, .pfn = (entry & f->address) >> 12, .prot = TDP_READ,
		.accessed = entry & f->accessed, .dirty = entry & f->dirty,
	};

	if (entry & f->write)
		leaf.prot |= TDP_WRITE;
	if (f->noexec ? !(entry & f->noexec) : !!(entry & f->exec))
		leaf.prot |= TDP_EXEC;
	if ((entry & (3 << 3)) == f->device)
		leaf.prot |= TDP_DEVICE;
	return leaf;
}

u64 *walk(gfn_t gfn, unsigned int *level)
{
	u64 *table = tdp.root;

	for (*level = tdp.format->levels; table; (*level)--) {
		u64 *entry = &table[gfn >> 9 * (*level - 1) & 511];

		if (!present(*entry))
			return NULL;
		if (!is_table(*entry, *level))
			return entry;
		table = phys_to_virt(*entry & tdp.format->address);
	}
	return NULL;
}

unsigned int lookup(gfn_t gfn, hfn_t *pfn, int *prot)
{
	unsigned int level;
	u64 *entry = walk(gfn, &level);
	struct leaf leaf;

	if (!entry)
		return 0;
	leaf = leaf_of(*entry, level, gfn);
	*pfn = leaf.pfn + gfn % tdp_level_pages(level);
	*prot = leaf.prot;
	return level;
}

/* ---- what the guest may do: a plain list of frames ---- */

struct cell cells[MAX_CELLS];
unsigned int nr_cells;
static gfn_t regions[5];
static unsigned int nr_regions;

static const unsigned int block_cuts[] = { 0, 1, 2, 3, 62, 63, 64, 65, 511 };
static const unsigned int blocks[] = { 0, 1, 2, 3, 4, 511 };

static void add_cut(gfn_t gfn)
{
	if (nr_cells && cells[nr_cells - 1].gfn == gfn)
		return;
	if (nr_cells)
		cells[nr_cells - 1].nr = gfn - cells[nr_cells - 1].gfn;
	cells[nr_cells++] = (struct cell){ .gfn = gfn };
}

static void make_cells(unsigned int levels)
{
	unsigned int r, b, c;

	nr_cells = 0;
	nr_regions = 0;
	regions[nr_regions++] = 0;
	regions[nr_regions++] = (1ULL << 27) - (1 << 18);	/* the last G of a level-4 entry */
	regions[nr_regions++] = 1ULL << 27;
	if (levels == 5) {
		regions[nr_regions++] = (1ULL << 36) - (1 << 18);
		regions[nr_regions++] = 1ULL << 36;
	}
	for (r = 0; r < nr_regions; r++) {
		for (b = 0; b < 6; b++) {
			add_cut(regions[r] + blocks[b] * 512);
			/* Blocks 3 and 4: one whole, and one that goes up to block 511. */
			for (c = 1; c < 9 && (b < 3 || b == 5); c++)
				add_cut(regions[r] + blocks[b] * 512 + block_cuts[c]);
		}
		add_cut(regions[r] + (1 << 18));
	}
	nr_cells--;
}

static bool in_block(const struct cell *cell, gfn_t gfn, unsigned int level)
{
	gfn_t base = gfn & ~(tdp_level_pages(level) - 1);

	return cell->gfn >= base && cell->gfn < base + tdp_level_pages(level);
}

struct cell *cell_at(gfn_t gfn)
{
	unsigned int low = 0, high = nr_cells;

	while (high - low > 1) {
		unsigned int mid = (low + high) / 2;

		if (cells[mid].gfn <= gfn)
			low = mid;
		else
			high = mid;
	}
	return &cells[low];
}

void ref_map(gfn_t gfn, hfn_t pfn, unsigned int level, int prot)
{
	struct cell *hit = cell_at(gfn), *cell, old = *hit;
	bool same = old.level && old.pfn - old.gfn == pfn - gfn && !((old.prot ^ prot) & TDP_DEVICE);
	unsigned int at;

	if (same && old.level >= level && !(prot & ~old.prot))
		return;
	if (same && old.level >= level)
		prot |= old.prot;
	if (old.level > level) {
		for (cell = cells; cell < cells + nr_cells; cell++)
			for (at = old.level; at > level; at--)
				if (in_block(cell, gfn, at))
					cell->level = same ? at - 1 : 0;
	}
	for (cell = cells; cell < cells + nr_cells; cell++) {
		if (in_block(cell, gfn, level)) {
			cell->level = level;
			cell->pfn = pfn - gfn + cell->gfn;
			cell->prot = prot;
		}
	}
}

/* Large leaves change as a whole. */
void ref_range(gfn_t start, gfn_t end, bool zap)
{
	struct cell *cell, *other;

	for (cell = cells; cell < cells + nr_cells; cell++) {
		unsigned int level = cell->level;
		gfn_t gfn = cell->gfn;

		if (!level || gfn + cell->nr <= start || gfn >= end)
			continue;
		for (other = cells; other < cells + nr_cells; other++) {
			if (!in_block(other, gfn, level) || other->level != level)
				continue;
			other->prot &= ~TDP_WRITE;
			if (zap)
				other->level = 0;
		}
	}
}

/* ---- the model TLB ---- */

#define MAX_STALE	100000

static struct leaf stale[MAX_STALE];
static unsigned int nr_stale;
unsigned int cpu_activity;

static bool leaf_allowed(const struct leaf *leaf, gfn_t *where)
{
	gfn_t end = leaf->gfn + tdp_level_pages(leaf->level);
	const struct cell *cell;

	for (cell = cell_at(leaf->gfn); cell < cells + nr_cells && cell->gfn < end; cell++) {
		*where = cell->gfn;
		if (!cell->level || cell->pfn - cell->gfn != leaf->pfn - leaf->gfn ||
		    (leaf->prot & ~cell->prot) || ((leaf->prot ^ cell->prot) & TDP_DEVICE))
			return false;
	}
	return true;
}

static void model_load(u64 entry, unsigned int level, gfn_t gfn)
{
	if (nr_stale == MAX_STALE)
		abort();
	stale[nr_stale++] = leaf_of(entry, level, gfn);
}

/* A table and all below it leave the tables, or come into them. */
static void model_set_state(u64 *table, unsigned int level, gfn_t gfn, enum page_state state)
{
	unsigned int nr = page_nr(table), i;
	gfn_t where;

	if (state == PAGE_LINKED && info[nr].state != PAGE_NEW)
		complain("page in state %d became a table", info[nr].state);
	info[nr].state = state;
	info[nr].level = level;
	info[nr].gfn = gfn;
	for (i = 0; i < 512; i++) {
		gfn_t at = gfn + i * tdp_level_pages(level);

		if (!present(table[i]))
			continue;
		if (is_table(table[i], level)) {
			model_set_state(phys_to_virt(table[i] & tdp.format->address), level - 1,
					at, state);
		} else if (state == PAGE_LINKED) {
			struct leaf leaf = leaf_of(table[i], level, at);

			if (!leaf_allowed(&leaf, &where))
				complain("a new table shows %#llx what it may not see",
					 (unsigned long long)where);
		}
	}
}

void model_after_store(void *ptr, uint64_t old, uint64_t new)
{
	unsigned int nr = page_nr(ptr), level = info[nr].level;
	const struct tdp_format *f = tdp.format;
	gfn_t gfn, where;

	if (info[nr].state != PAGE_LINKED && info[nr].state != PAGE_STALE)
		return;
	gfn = info[nr].gfn + ((uintptr_t)ptr % PAGE_SIZE / 8) * tdp_level_pages(level);

	if (present(old) && !is_table(old, level))
		model_load(old, level, gfn);
	if (present(old) && is_table(old, level) && (old ^ new) & f->address)
		model_set_state(phys_to_virt(old & f->address), level - 1, gfn, PAGE_STALE);

	if (present(new) && is_table(new, level)) {
		if (!present(old) || (old ^ new) & f->address)
			model_set_state(phys_to_virt(new & f->address), level - 1, gfn, PAGE_LINKED);
	} else if (present(new)) {
		struct leaf leaf = leaf_of(new, level, gfn);

		if (!leaf_allowed(&leaf, &where))
			complain("leaf of level %u shows %#llx what it may not see", level,
				 (unsigned long long)where);
	}
}

/* What a CPU does on its own: use a translation, and note that in its leaf. */
static void cpu_uses(u64 *entry, unsigned int level, gfn_t gfn)
{
	const struct tdp_format *f = tdp.format;
	struct cell *cell;

	*entry |= f->accessed;
	if (!(*entry & f->write) || !f->dirty || rnd(2))
		return;
	*entry |= f->dirty;
	/* The first frame of some cell in the leaf is what is written. */
	cell = cell_at(gfn + rnd(tdp_level_pages(level)));
	if (cell->gfn >= gfn)
		cell->written = leaf_of(*entry, level, gfn).pfn + cell->gfn - gfn;
}

void model_before_store(void *ptr)
{
	unsigned int nr = page_nr(ptr), level = info[nr].level, i;
	u64 *entry = ptr;

	if (info[nr].state != PAGE_LINKED && info[nr].state != PAGE_STALE)
		return;
	if (rnd(8) >= cpu_activity)
		return;
	if (present(*entry) && !is_table(*entry, level))
		cpu_uses(entry, level, info[nr].gfn +
			 ((uintptr_t)ptr % PAGE_SIZE / 8) * tdp_level_pages(level));
	for (i = rnd(4); i; i--) {
		gfn_t gfn = cells[rnd(nr_cells)].gfn;

		entry = walk(gfn, &level);
		if (entry)
			cpu_uses(entry, level, gfn & ~(tdp_level_pages(level) - 1));
	}
}

/* The last use of tables that are on their way out: nothing may be left to set a bit in. */
static void cpu_uses_stale_tables(void)
{
	unsigned int nr, i;

	for (nr = 0; nr < NR_PAGES; nr++) {
		for (i = 0; i < 512 && info[nr].state == PAGE_STALE; i++)
			if (present(memory[nr][i]) && !is_table(memory[nr][i], info[nr].level))
				cpu_uses(&memory[nr][i], info[nr].level, info[nr].gfn +
					 i * tdp_level_pages(info[nr].level));
	}
}

void model_flush(void)
{
	unsigned int i;

	nr_stale = 0;
	for (i = 0; i < NR_PAGES; i++)
		if (info[i].state == PAGE_STALE)
			info[i].state = PAGE_DEAD;
}

/* What tdp.c reports: the host's page is dirty from now on, whatever becomes of the leaf. */
unsigned int nr_gone;
bool gone_accessed, gone_dirty;

void tdp_leaf_gone(hfn_t pfn, unsigned int level, bool accessed, bool dirty)
{
	struct cell *cell;

	nr_gone++;
	gone_accessed = accessed;
	gone_dirty = dirty;
	if (!dirty)
		return;
	for (cell = cells; cell < cells + nr_cells; cell++)
		if (cell->written >= pfn && cell->written < pfn + tdp_level_pages(level))
			cell->written = 0;
}

/* ---- the checks after each call ---- */

static void check_stale(void)
{
	unsigned int i;
	gfn_t where;

	for (i = 0; i < nr_stale; i++) {
		if (!leaf_allowed(&stale[i], &where))
			complain("a stale leaf of level %u, rights %x, is usable at %#llx",
				 stale[i].level, stale[i].prot, (unsigned long long)where);
		/* Some CPUs take it ill when they find two sizes for one address. */
		else if (cell_at(stale[i].gfn)->level != stale[i].level)
			complain("%#llx is cached as level %u, and mapped as another",
				 (unsigned long long)stale[i].gfn, stale[i].level);
	}
}

static void check_cell(const struct cell *cell, gfn_t gfn)
{
	unsigned int level;
	hfn_t pfn;
	int prot;

	level = lookup(gfn, &pfn, &prot);
	if (level != cell->level ||
	    (level && (pfn != cell->pfn + gfn - cell->gfn || prot != cell->prot)))
		complain("%#llx is at level %u rights %x, expected level %u rights %x",
			 (unsigned long long)gfn, level, prot, cell->level, cell->prot);
}

static void check_cells(void)
{
	const struct cell *cell;
	unsigned int level;

	for (cell = cells; cell < cells + nr_cells; cell++) {
		check_cell(cell, cell->gfn);
		if (cell->nr > 1)
			check_cell(cell, cell->gfn + cell->nr - 1);
		if (cell->written) {
			u64 *entry = walk(cell->gfn, &level);

			if (!entry || !(*entry & tdp.format->dirty) ||
			    cell->pfn != cell->written)
				complain("that %#llx was written is forgotten",
					 (unsigned long long)cell->gfn);
		}
	}
}

enum caller caller;

void fulfil(bool flush)
{
	cpu_uses_stale_tables();
	if (caller == CALLER_FREES_FIRST)
		tdp_free_tables(&freed);
	if (flush && caller != CALLER_NEVER_FLUSHES)
		model_flush();
	check_stale();
	tdp_free_tables(&freed);
	INIT_LIST_HEAD(&freed);
	check_cells();
}

void begin(const struct tdp_format *format)
{
	make_cells(format->levels);
	seed = 88172645463325252ULL;
	nr_complaints = 0;
	caller = CALLER_RIGHT;
	INIT_LIST_HEAD(&freed);
	if (tdp_init(&tdp, format))
		abort();
	model_set_state(tdp.root, format->levels, 0, PAGE_LINKED);
}

/* No vCPU is left when tables are destroyed. */
void end(void)
{
	unsigned int i;

	model_set_state(tdp.root, tdp.format->levels, 0, PAGE_STALE);
	model_flush();
	tdp_destroy(&tdp, &freed);
	tdp_free_tables(&freed);
	tdp_cache_free(&cache);
	for (i = 0; i < nr_cells; i++)
		if (cells[i].written)
			complain("%#llx was written and never reported",
				 (unsigned long long)cells[i].gfn);
	if (tdp.nr_tables || nr_allocated)
		complain("%lu tables, %u pages left", tdp.nr_tables, nr_allocated);
}
