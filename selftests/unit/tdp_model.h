/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of the worst CPU there may be, for test_tdp.c.
 *
 * Real TLBs forget early, and emulators flush at every world switch, so a
 * missing flush shows in neither.  The model has loaded every translation that
 * was ever in the tables, each at the last moment before it went, and the
 * address of every table; and it keeps them until a flush is asked for.  It
 * sees stores to entries one by one, so it also has what stood there only in
 * the middle of a function; and right before a store it sets accessed and
 * dirty bits, as a CPU may.
 */
#ifndef UNIT_TDP_MODEL_H
#define UNIT_TDP_MODEL_H

#include <stdio.h>
#include "mmu/tdp.h"

extern struct tdp tdp;			/* what is tested */
extern struct tdp_cache cache;
extern struct list_head freed;

/* Random numbers, the same in each run. */
extern u64 seed;
u64 rnd(u64 below);

/* What the model found wrong; the text is the first. */
extern unsigned int nr_complaints;
extern char complaint[200];

#define complain(...) do {						\
	if (!nr_complaints++)						\
		snprintf(complaint, sizeof(complaint), __VA_ARGS__);	\
} while (0)

/* The host's pages for tables. */
extern unsigned int nr_allocated;
extern bool no_memory;

/*
 * What the guest may do: a plain list of frames.  Frames that no call tells
 * apart are one cell: all calls begin and end at cuts, which lie thick around
 * the ends of tables of every level.
 */
struct cell {
	gfn_t		gfn;
	u64		nr;
	unsigned int	level;	/* of the leaf that maps it; 0: none */
	hfn_t		pfn;	/* of its first frame */
	int		prot;
	hfn_t		written; /* the page a CPU wrote here, until tdp.c reports it; 0: none */
};

#define MAX_CELLS	256

extern struct cell cells[MAX_CELLS];
extern unsigned int nr_cells;

struct cell *cell_at(gfn_t gfn);
void ref_map(gfn_t gfn, hfn_t pfn, unsigned int level, int prot);
void ref_range(gfn_t start, gfn_t end, bool zap);

/* The entry of the leaf that maps gfn, found without the help of tdp.c, or NULL. */
u64 *walk(gfn_t gfn, unsigned int *level);
/* The same, decoded: its level, or 0 if there is none; *@pfn is that of @gfn itself. */
unsigned int lookup(gfn_t gfn, hfn_t *pfn, int *prot);

/* The CPU. */
extern unsigned int cpu_activity;	/* of 8 stores, how many it comes before */
extern unsigned int nr_gone;		/* leaves that tdp.c reported as removed, and the last one */
extern bool gone_accessed, gone_dirty;

void model_flush(void);

/* How the caller of tdp.c errs in this run. */
extern enum caller { CALLER_RIGHT, CALLER_NEVER_FLUSHES, CALLER_FREES_FIRST } caller;

/**
 * fulfil() - do what a call obliged its caller to do, and check everything
 * @flush: the call said that a flush is owed
 */
void fulfil(bool flush);

/* An empty tdp, a CPU that runs on it; and their end. */
void begin(const struct tdp_format *format);
void end(void);

#endif
