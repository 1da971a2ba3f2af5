/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two-dimensional paging: the second-level tables (NPT or EPT) that take a
 * guest physical address to a machine address.
 *
 * One walker serves both vendors: what differs between their entries stands
 * in struct tdp_format.  Nothing here knows memory slots or vCPUs, so it also
 * builds in user space, where a model TLB that never forgets checks that no
 * sequence of calls leaves a usable stale translation behind.
 *
 * CPUs walk the tables while we change them.  What they may have cached, and
 * so when a flush is owed:
 *
 *   change of an entry              cached by a CPU            flush
 *   not present -> anything         nothing: absence is not    no
 *   leaf gains a right              fewer rights: it faults    no
 *                                   and walks again
 *   accessed bit cleared            translation stays right    no (ageing may err)
 *   leaf loses the write right      a writable translation     yes
 *   leaf -> other page, other kind  the old page               yes
 *   leaf -> table, table -> leaf    both sizes at once, and    yes
 *                                   the table's address
 *   leaf or table -> not present    the translation, or the    yes
 *                                   table's address
 *
 * All of struct tdp is under a lock of the caller's (vm->tdp_lock).  Functions
 * that may owe a flush say so, and put tables that a CPU may still walk
 * on a list, to be given to tdp_free_tables() after the flush.  The caller
 * flushes before it drops the lock when others trust an absent entry (the
 * mmu notifier), and at the latest before user space hears of the change.
 */
#ifndef MMU_TDP_H
#define MMU_TDP_H

#include <linux/list.h>
#include "../types.h"

/* Levels count from the leaf: 1 maps 4K, 2 maps 2M, 3 maps 1G. */
enum tdp_level { TDP_4K = 1, TDP_2M, TDP_1G };
#define TDP_MAX_LEVELS	5
#define tdp_level_shift(level)	(12 + 9 * ((level) - 1))
#define tdp_level_pages(level)	(1ULL << (9 * ((level) - 1)))

/* Rights and kind of a leaf, vendor-neutral. */
enum tdp_prot {
	TDP_READ	= 1 << 0,	/* every leaf has it */
	TDP_WRITE	= 1 << 1,
	TDP_EXEC	= 1 << 2,
	TDP_DEVICE	= 1 << 3,	/* the host maps no RAM there: uncached */
};

/*
 * Bits of a vendor's entry.
 *
 *   NPT, APM 2 "Nested Paging"      63 NX | address | 7 PS | 6 D | 5 A | 2 US | 1 RW | 0 P
 *   EPT, SDM 3C "EPT Translation    address | 9 D | 8 A | 7 large | 5:3 memory type
 *   Mechanism"                      | 2 execute | 1 write | 0 read
 */
struct tdp_format {
	unsigned int	levels;		/* of a walk: 4 or 5 */
	unsigned int	max_level;	/* largest leaf the CPU takes */
	u64	present;		/* any of them set: entry is present */
	u64	table;			/* bits of an entry that points to a table */
	u64	leaf;			/* bits of every leaf */
	u64	large;			/* leaf at level 2 or 3 */
	u64	write;			/* set: writable */
	u64	noexec;			/* set: not executable (NPT), or 0 */
	u64	exec;			/* set: executable (EPT), or 0 */
	u64	ram, device;		/* memory type bits for RAM, for device memory */
	u64	accessed, dirty;	/* set by the CPU; 0 if it does not */
	u64	address;		/* mask of the address field */
};

#define TDP_CACHE_PAGES	(TDP_MAX_LEVELS - 1)

/* Zeroed pages for tables, taken while sleeping is allowed. All zero: empty. */
struct tdp_cache {
	int	nr;
	void	*pages[TDP_CACHE_PAGES];
};

struct tdp {
	const struct tdp_format *format;
	u64		*root;		/* NULL before tdp_init() and after tdp_destroy() */
	hpa_t		root_hpa;
	unsigned long	nr_tables;	/* root included */
};

/**
 * tdp_init() - an empty set of tables
 * @tdp: not yet used
 * @format: how this CPU's entries look; not copied
 *
 * Return: 0 or -ENOMEM.
 */
int tdp_init(struct tdp *tdp, const struct tdp_format *format);

/**
 * tdp_destroy() - free all tables
 * @tdp: its lock held; no vCPU may run on it any more
 * @freed: gets the tables
 *
 * Calls that come later find nothing mapped; there must be no tdp_map().
 */
void tdp_destroy(struct tdp *tdp, struct list_head *freed);

/**
 * tdp_cache_fill() - have at least @nr pages for tables
 * @cache: filled; may sleep
 * @nr: at most TDP_CACHE_PAGES
 *
 * Return: 0 or -ENOMEM.
 */
int tdp_cache_fill(struct tdp_cache *cache, int nr);
void tdp_cache_free(struct tdp_cache *cache);

/**
 * tdp_map() - make a guest frame usable
 * @tdp: its lock held
 * @cache: pages for tables that are missing
 * @gfn: the guest's frame
 * @pfn: the host's frame for it
 * @level: of the leaf; @gfn and @pfn are rounded down to it and must agree below it
 * @prot: enum tdp_prot
 * @freed: gets tables that a larger leaf replaced
 * @flush: set when a flush is owed, else left alone
 *
 * A leaf that maps the same page loses no right and no size: if it allows
 * @prot already, it stays (a spurious fault, or another vCPU was first); if it
 * is larger than @level and allows less, it is split, and the rest of it stays
 * mapped.  A leaf or table that maps other pages is replaced.
 *
 * Return: 0, or how many pages @cache lacks: fill it and call again.
 */
int tdp_map(struct tdp *tdp, struct tdp_cache *cache, gfn_t gfn, hfn_t pfn,
	    unsigned int level, int prot, struct list_head *freed, bool *flush);

/**
 * tdp_zap() - remove what maps [start, end)
 * @tdp: its lock held
 * @start: first frame
 * @end: frame after the last; larger leaves that reach in are removed as a whole
 * @freed: gets the tables that lay entirely in the range
 *
 * Return: true if a flush is owed.
 */
bool tdp_zap(struct tdp *tdp, gfn_t start, gfn_t end, struct list_head *freed);

/**
 * tdp_write_protect() - take the write right from [start, end)
 * @tdp: its lock held
 * @start: first frame
 * @end: frame after the last; larger leaves that reach in lose it as a whole
 *
 * Return: true if a flush is owed.
 */
bool tdp_write_protect(struct tdp *tdp, gfn_t start, gfn_t end);

/**
 * tdp_age() - was any leaf of [start, end) accessed?
 * @tdp: its lock held
 * @start: first frame
 * @end: frame after the last
 * @clear: forget it
 *
 * Return: true if so.  Where the CPU keeps no accessed bits, what is mapped
 * counts as accessed.
 */
bool tdp_age(struct tdp *tdp, gfn_t start, gfn_t end, bool clear);

/* Free the tables collected on @freed: after the flush; lock not needed. */
void tdp_free_tables(struct list_head *freed);

/*
 * Called by tdp.c for every leaf it removes, lock held: the CPU's accessed and
 * dirty bits must reach the host's page before anyone may free it.  fault.c
 * has it in the kernel, the test in user space.
 */
void tdp_leaf_gone(hfn_t pfn, unsigned int level, bool accessed, bool dirty);

#endif /* MMU_TDP_H */
