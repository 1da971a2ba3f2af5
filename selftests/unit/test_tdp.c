// SPDX-License-Identifier: GPL-2.0
/*
 * mmu/tdp.c against a model TLB that never forgets: see tdp_model.h.
 *
 * After each call, once the flush is done that the call said it owes:
 *
 *   - nothing that the model still has exceeds what the guest may now do, in
 *     page or in rights;
 *   - no table that it still knows has been freed;
 *   - no page that it wrote is without a dirty bit, in the tables or reported;
 *   - the tables say, for every frame, what a plain list of frames says.
 *
 * The model is tested too: with a flush left out on purpose it must complain.
 */
#include <stdlib.h>
#include <linux/minmax.h>
#include "kselftest_harness.h"
#include "tdp_model.h"

static const struct tdp_format npt4 = {
	.levels = 4, .max_level = TDP_1G, .present = 1, .table = 7, .leaf = 5,
	.large = 1 << 7, .write = 1 << 1, .noexec = 1ULL << 63, .device = 3 << 3,
	.accessed = 1 << 5, .dirty = 1 << 6, .address = 0x000ffffffffff000,
};

static const struct tdp_format npt5 = {
	.levels = 5, .max_level = TDP_1G, .present = 1, .table = 7, .leaf = 5,
	.large = 1 << 7, .write = 1 << 1, .noexec = 1ULL << 63, .device = 3 << 3,
	.accessed = 1 << 5, .dirty = 1 << 6, .address = 0x000ffffffffff000,
};

static const struct tdp_format ept4 = {
	.levels = 4, .max_level = TDP_1G, .present = 7, .table = 7, .leaf = 1,
	.large = 1 << 7, .write = 1 << 1, .exec = 1 << 2, .ram = 6 << 3,
	.accessed = 1 << 8, .dirty = 1 << 9, .address = 0x000ffffffffff000,
};

static const struct tdp_format ept5 = {
	.levels = 5, .max_level = TDP_1G, .present = 7, .table = 7, .leaf = 1,
	.large = 1 << 7, .write = 1 << 1, .exec = 1 << 2, .ram = 6 << 3,
	.accessed = 1 << 8, .dirty = 1 << 9, .address = 0x000ffffffffff000,
};

/* The first EPT: no accessed and dirty bits, no 1G leaves. */
static const struct tdp_format ept_plain = {
	.levels = 4, .max_level = TDP_2M, .present = 7, .table = 7, .leaf = 1,
	.large = 1 << 7, .write = 1 << 1, .exec = 1 << 2, .ram = 6 << 3,
	.address = 0x000ffffffffff000,
};

/* ---- calls, each with what it means for the list of frames ---- */

static void do_map(gfn_t gfn, hfn_t pfn, unsigned int level, int prot)
{
	bool flush = false;
	int lacks;

	ref_map(gfn, pfn, level, prot);
	while ((lacks = tdp_map(&tdp, &cache, gfn, pfn, level, prot, &freed, &flush))) {
		if (lacks < 0 || lacks > TDP_CACHE_PAGES || tdp_cache_fill(&cache, lacks))
			abort();
	}
	fulfil(flush);
}

static bool do_zap(gfn_t start, gfn_t end)
{
	bool flush;

	/* The stores of tdp_zap() must be allowed before and after: what goes was there. */
	flush = tdp_zap(&tdp, start, end, &freed);
	ref_range(start, end, true);
	fulfil(flush);
	return flush;
}

static bool do_write_protect(gfn_t start, gfn_t end)
{
	bool flush;

	ref_range(start, end, false);
	flush = tdp_write_protect(&tdp, start, end);
	fulfil(flush);
	return flush;
}

static bool do_write_protect_mask(gfn_t base, u64 mask)
{
	unsigned int i;
	bool flush = false;

	for (i = 0; i < 64; i++)
		if (mask >> i & 1)
			ref_range(base + i, base + i + 1, false);
	for (i = 0; i < 64; i++)
		if (mask >> i & 1)
			flush |= tdp_write_protect(&tdp, base + i, base + i + 1);
	fulfil(flush);
	return flush;
}

static bool any_accessed(gfn_t start, gfn_t end)
{
	const struct cell *cell;
	unsigned int level;

	for (cell = cells; cell < cells + nr_cells; cell++) {
		u64 *entry = walk(cell->gfn, &level);

		if (cell->gfn + cell->nr > start && cell->gfn < end && entry &&
		    (!tdp.format->accessed || *entry & tdp.format->accessed))
			return true;
	}
	return false;
}

static void do_age(gfn_t start, gfn_t end, bool clear)
{
	unsigned int activity = cpu_activity;
	bool expected, found;

	if (rnd(2))
		cpu_activity = 0;
	expected = any_accessed(start, end);
	found = tdp_age(&tdp, start, end, clear);
	if (found != expected && (expected || !cpu_activity))
		complain("%#llx to %#llx accessed: %d expected", (unsigned long long)start,
			 (unsigned long long)end, expected);
	if (clear && !cpu_activity && tdp.format->accessed && any_accessed(start, end))
		complain("accessed is not cleared");
	cpu_activity = activity;
	fulfil(false);
}

/* ---- random sequences ---- */

static gfn_t random_cut(void)
{
	return cells[rnd(nr_cells)].gfn;
}

static void random_range(gfn_t *start, gfn_t *end)
{
	unsigned int first = rnd(nr_cells), last = rnd(nr_cells);

	if (rnd(4))	/* mostly near each other */
		last = min((u64)nr_cells - 1, first + rnd(12));
	*start = cells[min(first, last)].gfn;
	*end = cells[max(first, last)].gfn + (rnd(2) ? cells[max(first, last)].nr : 0);
	if (!rnd(500))
		*start = 0, *end = ~0ULL;
}

/* A host that gives mostly one page to a frame, now and then another, all alike below 1G. */
static void random_map(void)
{
	unsigned int level = 1 + rnd(rnd(8) ? 2 : tdp.format->max_level);
	hfn_t offset = rnd(8) ? 5 << 18 : 77 << 18;
	int prot = TDP_READ | (rnd(2) ? TDP_WRITE : 0) | (rnd(8) ? TDP_EXEC : 0) |
		   (rnd(64) ? 0 : TDP_DEVICE);
	struct cell *cell;
	gfn_t gfn;

	do {
		cell = &cells[rnd(nr_cells)];
		gfn = cell->gfn;
	} while (cell->nr > tdp_level_pages(level));
	do_map(gfn, gfn + offset, level, prot);
}

static void random_mask(void)
{
	gfn_t base = random_cut();
	u64 mask = 0;
	const struct cell *cell;

	for (cell = cell_at(base); cell < cells + nr_cells; cell++) {
		u64 from = cell->gfn - base;

		if (from + cell->nr > 64)
			break;
		if (rnd(2))
			mask |= ~0ULL >> (64 - cell->nr) << from;
	}
	do_write_protect_mask(base, mask);
}

static void random_call(void)
{
	gfn_t start, last;
	u64 what = rnd(100);

	random_range(&start, &last);
	if (what < 60)
		random_map();
	else if (what < 72)
		do_zap(start, last);
	else if (what < 82)
		do_write_protect(start, last);
	else if (what < 90)
		random_mask();
	else if (what < 98)
		do_age(start, last, rnd(2));
	else
		model_flush();		/* an entry may always flush */
}

FIXTURE(tdp) { };
FIXTURE_VARIANT(tdp) { const struct tdp_format *format; };
FIXTURE_VARIANT_ADD(tdp, npt_4_levels) { .format = &npt4 };
FIXTURE_VARIANT_ADD(tdp, npt_5_levels) { .format = &npt5 };
FIXTURE_VARIANT_ADD(tdp, ept_4_levels) { .format = &ept4 };
FIXTURE_VARIANT_ADD(tdp, ept_5_levels) { .format = &ept5 };
FIXTURE_VARIANT_ADD(tdp, ept_without_accessed_dirty) { .format = &ept_plain };

FIXTURE_SETUP(tdp)
{
	begin(variant->format);
}

FIXTURE_TEARDOWN(tdp)
{
	end();
	EXPECT_EQ(0, nr_complaints) TH_LOG("%s", complaint);
}

#define RW	(TDP_READ | TDP_WRITE | TDP_EXEC)
#define RO	(TDP_READ | TDP_EXEC)

static unsigned int level_of(gfn_t gfn)
{
	hfn_t pfn;
	int prot;

	return lookup(gfn, &pfn, &prot);
}

static int prot_of(gfn_t gfn)
{
	int prot = 0;
	hfn_t pfn;

	lookup(gfn, &pfn, &prot);
	return prot;
}

TEST_F_TIMEOUT(tdp, no_sequence_leaves_a_stale_translation, 300)
{
	unsigned int i;

	for (i = 0; i < 100000 && !nr_complaints; i++) {
		cpu_activity = i / 1000 % 8;
		random_call();
	}
	ASSERT_EQ(0, nr_complaints) TH_LOG("call %u: %s", i - 1, complaint);
}

TEST_F(tdp, map_says_how_many_pages_it_lacks)
{
	bool flush = false;

	ref_map(1, 1, TDP_4K, RW);
	EXPECT_EQ(variant->format->levels - 1,
		  tdp_map(&tdp, &cache, 1, 1, TDP_4K, RW, &freed, &flush));
	EXPECT_EQ(0, level_of(1));
	EXPECT_EQ(0, tdp_cache_fill(&cache, 1));
	EXPECT_EQ(variant->format->levels - 2,
		  tdp_map(&tdp, &cache, 1, 1, TDP_4K, RW, &freed, &flush));
	do_map(1, 1, TDP_4K, RW);
	EXPECT_EQ(TDP_4K, level_of(1));
	EXPECT_EQ(0, cache.nr);
	EXPECT_EQ(variant->format->levels, tdp.nr_tables);
	EXPECT_FALSE(flush);
}

TEST_F(tdp, cache_reports_that_memory_is_out)
{
	no_memory = true;
	EXPECT_EQ(-ENOMEM, tdp_cache_fill(&cache, 2));
	no_memory = false;
	EXPECT_EQ(0, tdp_cache_fill(&cache, 2));
	EXPECT_EQ(2, cache.nr);
}

TEST_F(tdp, what_grows_owes_no_flush)
{
	bool flush = false;

	tdp_cache_fill(&cache, TDP_CACHE_PAGES);
	ref_map(1, 513, TDP_4K, RW);
	EXPECT_EQ(0, tdp_map(&tdp, &cache, 1, 513, TDP_4K, RO, &freed, &flush));
	EXPECT_EQ(0, tdp_map(&tdp, &cache, 1, 513, TDP_4K, RW, &freed, &flush));
	EXPECT_EQ(0, tdp_map(&tdp, &cache, 1, 513, TDP_4K, RO, &freed, &flush));
	EXPECT_FALSE(flush);
	EXPECT_TRUE(list_empty(&freed));
	EXPECT_EQ(RW, prot_of(1));
}

TEST_F(tdp, what_is_not_there_owes_no_flush)
{
	do_map(0, 512, TDP_2M, RO);
	EXPECT_FALSE(do_zap(512, 1 << 18));
	EXPECT_FALSE(do_write_protect(0, 512));
	EXPECT_FALSE(do_write_protect_mask(0, ~0ULL));
	EXPECT_TRUE(do_zap(0, 512));
	EXPECT_FALSE(do_zap(0, 512));
}

TEST_F(tdp, a_split_leaf_stays_mapped)
{
	do_map(0, 512, TDP_2M, RO);
	do_map(2, 514, TDP_4K, RW);
	EXPECT_EQ(TDP_4K, level_of(511));
	EXPECT_EQ(RO, prot_of(511));
	EXPECT_EQ(RW, prot_of(2));
	EXPECT_EQ(variant->format->levels, tdp.nr_tables);
}

TEST_F(tdp, a_smaller_leaf_of_another_page_drops_the_large_one)
{
	do_map(0, 512, TDP_2M, RW);
	do_map(2, 3, TDP_4K, RW);
	EXPECT_EQ(TDP_4K, level_of(2));
	EXPECT_EQ(0, level_of(3));
	EXPECT_EQ(1, nr_gone);
}

TEST_F(tdp, a_large_leaf_replaces_its_table)
{
	bool flush = false;

	do_map(0, 512, TDP_4K, RW);
	do_map(2, 514, TDP_4K, RW);
	ref_map(0, 512, TDP_2M, RW);
	EXPECT_EQ(0, tdp_map(&tdp, &cache, 0, 512, TDP_2M, RW, &freed, &flush));
	EXPECT_TRUE(flush);
	EXPECT_FALSE(list_empty(&freed));
	fulfil(flush);
	EXPECT_EQ(TDP_2M, level_of(511));
	EXPECT_EQ(2, nr_gone);
	EXPECT_EQ(variant->format->levels - 1, tdp.nr_tables);
}

TEST_F(tdp, a_large_leaf_goes_as_a_whole)
{
	do_map(0, 512, TDP_2M, RW);
	EXPECT_TRUE(do_write_protect_mask(3, 1ULL << 59));
	EXPECT_EQ(RO, prot_of(0));
	EXPECT_TRUE(do_zap(3, 62));
	EXPECT_EQ(0, level_of(0));
}

TEST_F(tdp, zap_frees_the_tables_it_covers)
{
	do_map(0, 0, TDP_4K, RW);
	do_map(512, 512, TDP_4K, RW);
	EXPECT_EQ(variant->format->levels + 1, tdp.nr_tables);
	EXPECT_TRUE(do_zap(0, 512));
	EXPECT_EQ(variant->format->levels, tdp.nr_tables);
	EXPECT_TRUE(do_zap(0, 1 << 18));
	EXPECT_EQ(variant->format->levels - 2, tdp.nr_tables);
	EXPECT_EQ(2, nr_gone);
}

TEST_F(tdp, a_mask_may_lie_across_tables)
{
	do_map(511, 511, TDP_4K, RW);
	do_map(512, 512, TDP_4K, RW);
	do_map(513, 513, TDP_4K, RW);
	EXPECT_TRUE(do_write_protect_mask(511, 5));
	EXPECT_EQ(RO, prot_of(511));
	EXPECT_EQ(RW, prot_of(512));
	EXPECT_EQ(RO, prot_of(513));
	EXPECT_TRUE(do_write_protect_mask(512 - 63, 1ULL << 63));
	EXPECT_EQ(RO, prot_of(512));
}

TEST_F(tdp, accessed_and_dirty_reach_the_host)
{
	const struct tdp_format *f = variant->format;
	unsigned int level;

	do_map(1, 1, TDP_4K, RW);
	do_zap(1, 2);
	EXPECT_EQ(!f->dirty, gone_dirty);

	do_map(1, 1, TDP_4K, RW);
	do_age(1, 2, true);
	do_zap(1, 2);
	EXPECT_FALSE(gone_accessed);

	do_map(1, 1, TDP_4K, RW);
	*walk(1, &level) |= f->dirty;
	do_write_protect(1, 2);
	do_map(1, 1, TDP_4K, RW);
	do_zap(1, 2);
	EXPECT_EQ(!!f->accessed, gone_accessed);
	EXPECT_TRUE(gone_dirty);
	EXPECT_EQ(3, nr_gone);
}

TEST_F(tdp, ends_of_the_address_space)
{
	gfn_t last = (1ULL << 9 * variant->format->levels) - 1;

	tdp_cache_fill(&cache, TDP_CACHE_PAGES);
	nr_cells = 1;
	cells[0] = (struct cell){ .gfn = last, .nr = 1 };
	do_map(last, 7, TDP_4K, RW);
	EXPECT_EQ(TDP_4K, level_of(last));
	EXPECT_FALSE(do_write_protect(last + 1, last + 2));
	EXPECT_TRUE(tdp_age(&tdp, last, last + 1, false));
	EXPECT_FALSE(tdp_age(&tdp, last + 1, last + 2, false));
	EXPECT_TRUE(do_zap(0, ~0ULL));
	EXPECT_EQ(1, tdp.nr_tables);
}

TEST_F(tdp, after_destroy_nothing_is_mapped)
{
	do_map(1, 1, TDP_4K, RW);
	end();
	EXPECT_EQ(0, level_of(1));
	EXPECT_FALSE(tdp_zap(&tdp, 0, ~0ULL, &freed));
	EXPECT_FALSE(tdp_age(&tdp, 0, ~0ULL, true));
	EXPECT_EQ(0, nr_complaints) TH_LOG("%s", complaint);
	begin(variant->format);
}

/* ---- is the model awake? Callers that break the rules must be caught. ---- */

FIXTURE(model) { };

FIXTURE_SETUP(model)
{
	begin(&npt4);
	do_map(0, 512, TDP_2M, RW);
	do_map(512, 1024, TDP_4K, RW);
	ASSERT_EQ(0, nr_complaints) TH_LOG("%s", complaint);
	caller = CALLER_NEVER_FLUSHES;
}

FIXTURE_TEARDOWN(model)
{
	EXPECT_NE(0, nr_complaints);
}

TEST_F(model, notices_a_missing_flush_after_zap)
{
	do_zap(512, 513);
}

TEST_F(model, notices_a_missing_flush_after_write_protect)
{
	do_write_protect(512, 513);
}

TEST_F(model, notices_a_missing_flush_after_a_large_leaf_is_protected)
{
	do_write_protect_mask(3, 1ULL << 59);
}

TEST_F(model, notices_a_missing_flush_after_another_page_is_mapped)
{
	do_map(512, 4096, TDP_4K, RW);
}

TEST_F(model, notices_a_missing_flush_after_a_split)
{
	do_map(1, 513, TDP_4K, RW | TDP_DEVICE);
}

TEST_F(model, notices_a_missing_flush_before_a_table_is_freed)
{
	do_map(512, 1024, TDP_2M, RW);
}

TEST_F(model, notices_a_table_freed_before_the_flush)
{
	caller = CALLER_FREES_FIRST;
	do_zap(512, 1024);
}

TEST_HARNESS_MAIN
