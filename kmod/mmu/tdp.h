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
 * The rule that the tests enforce: an entry that was present and is removed
 * or loses a right obliges the caller to flush before it drops tdp->lock's
 * promise to others (frees pages, or tells user space that a page is clean).
 * Functions that may oblige so return true, or collect tables on a list that
 * is freed only by tdp_free_tables() after the flush.
 */
#ifndef MMU_TDP_H
#define MMU_TDP_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include "../types.h"

/* Levels count from the leaf: 1 maps 4K, 2 maps 2M, 3 maps 1G. */
enum tdp_level { TDP_4K = 1, TDP_2M, TDP_1G };
#define TDP_MAX_LEVELS	5
#define tdp_level_shift(level)	(12 + 9 * ((level) - 1))
#define tdp_level_pages(level)	(1ULL << (9 * ((level) - 1)))

/* Rights and kind of a leaf, vendor-neutral. */
enum tdp_prot {
	TDP_READ	= 1 << 0,
	TDP_WRITE	= 1 << 1,
	TDP_EXEC	= 1 << 2,
	TDP_DEVICE	= 1 << 3,	/* the host maps no RAM there: uncached */
};

/* Bits of a vendor's entry. Bits must not overlap; a zero mask means "always so". */
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

/* Zeroed pages for tables, filled while sleeping is allowed; one a vCPU. */
struct tdp_cache {
	int	nr;
	void	*pages[TDP_CACHE_PAGES];
};

struct tdp {
	const struct tdp_format *format;
	spinlock_t	lock;
	u64		*root;
	hpa_t		root_hpa;
	unsigned long	nr_tables;	/* root included; lock */

	/* mmu notifier against faults in flight: see tdp_fault() in memslot.c; lock */
	unsigned long	inval_seq;
	long		inval_in_progress;
	gfn_t		inval_start, inval_end;
};

/* What the walker tells about a leaf it removes or whose dirty bit it clears. */
typedef void (*tdp_leaf_fn)(pfn_t pfn, unsigned int level, bool accessed, bool dirty);

int tdp_init(struct tdp *tdp, const struct tdp_format *format);
/* Free everything; no vCPU may be able to use it. leaf_fn as for tdp_zap(). */
void tdp_destroy(struct tdp *tdp, tdp_leaf_fn leaf_fn);

int tdp_cache_fill(struct tdp_cache *cache);	/* may sleep; -ENOMEM */
void tdp_cache_free(struct tdp_cache *cache);

/*
 * Map gfn -> pfn at @level with rights @prot; lock held.  gfn and pfn are
 * rounded down to the level.  An equal or stronger leaf that stands already is
 * left (spurious fault).  A table where a larger leaf is wanted is taken out
 * and put on @freed; a larger leaf where a smaller is wanted is split.
 * *@flush is set when a present translation was changed.
 * Returns 0, or -EAGAIN if the cache ran dry (cannot happen after a fill).
 */
int tdp_map(struct tdp *tdp, struct tdp_cache *cache, gfn_t gfn, pfn_t pfn,
	    unsigned int level, int prot, struct list_head *freed, bool *flush);

/* Remove [start, end); tables that become unreachable go to @freed. True: flush. lock held. */
bool tdp_zap(struct tdp *tdp, gfn_t start, gfn_t end, struct list_head *freed, tdp_leaf_fn leaf_fn);

/* Take the write right from [start, end); large leaves in it lose it as a whole. True: flush. lock held. */
bool tdp_write_protect(struct tdp *tdp, gfn_t start, gfn_t end, tdp_leaf_fn leaf_fn);
/* The same for up to 64 pages: bit i of @mask is gfn @base + i. */
bool tdp_write_protect_mask(struct tdp *tdp, gfn_t base, u64 mask, tdp_leaf_fn leaf_fn);

/* Was any leaf of [start, end) accessed? @clear: forget it (no flush needed: ageing may err). lock held. */
bool tdp_age(struct tdp *tdp, gfn_t start, gfn_t end, bool clear);

/* The leaf that maps gfn: level, or 0 if none; *prot, *pfn filled. lock held. For tests and introspection. */
unsigned int tdp_lookup(struct tdp *tdp, gfn_t gfn, pfn_t *pfn, int *prot);

/* Free tables collected on @freed; after the flush, lock not needed. */
void tdp_free_tables(struct list_head *freed);

#endif /* MMU_TDP_H */
