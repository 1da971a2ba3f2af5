// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's page tables.  One loop walks all paging modes: what differs
 * between them stands in struct gwalk_mode.
 *
 *   63 NX | 62:59 protection key | 51:12 address | 7 PS | 6 D | 5 A | 2 U/S | 1 R/W | 0 P
 *
 * SDM 3A "Paging"; APM 2 "Page Translation and Protection".
 */
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <asm/msr-index.h>
#include <asm/pgtable_types.h>
#include <asm/pkru.h>
#include <asm/processor-flags.h>
#include <asm/trap_pf.h>
#include "gwalk.h"

/* Where MAXPHYADDR is 52, no bit of GENMASK_ULL(51, maxphyaddr) is left: it gives 0. */
#define GWALK_ADDRESS		GENMASK_ULL(51, 12)

/* SDM 3A "32-Bit Paging". */
static void gwalk_set_mode32(struct gwalk_mode *mode, u64 cr4, u8 maxphyaddr)
{
	/*
	 * PSE-36: a 4M leaf has address bits 39:32 in bits 20:13.  The CPU
	 * does it so, whatever the guest's CPUID says of the feature.
	 */
	unsigned int width = clamp_t(unsigned int, maxphyaddr, 32, 40);

	mode->levels = 2;
	mode->max_leaf = cr4 & X86_CR4_PSE ? 2 : 1;
	mode->entry_shift = 2;
	mode->root = GENMASK_ULL(31, 12);
	mode->leaf_mbz[1] = GENMASK_ULL(21, width - 19);
}

/* SDM 3A "PAE Paging". */
static void gwalk_set_mode_pae(struct gwalk_mode *mode, u8 maxphyaddr)
{
	u64 high = GENMASK_ULL(62, maxphyaddr) | (mode->nxe ? 0 : _PAGE_NX);

	mode->levels = 3;
	mode->max_leaf = 2;
	mode->root = GENMASK_ULL(31, 5);
	mode->table_mbz[1] = mode->leaf_mbz[0] = high;
	mode->leaf_mbz[1] = high | GENMASK_ULL(20, 13);
	/* Bit 5 is reserved, too, but QEMU's TCG sets it as if it were an accessed bit. */
	mode->table_mbz[2] = GENMASK_ULL(63, maxphyaddr) | GENMASK_ULL(8, 6) | GENMASK_ULL(2, 1);
}

/*
 * SDM 3A "4-Level Paging and 5-Level Paging".
 * NOTDONE: bit 8 of entries above level 2 is reserved on AMD, ignored on Intel; here it is ignored.
 */
static void gwalk_set_mode_long(struct gwalk_mode *mode, u64 cr4, u8 maxphyaddr, bool gbpages)
{
	u64 high = GENMASK_ULL(51, maxphyaddr) | (mode->nxe ? 0 : _PAGE_NX);

	mode->levels = cr4 & X86_CR4_LA57 ? 5 : 4;
	mode->max_leaf = gbpages ? 3 : 2;
	mode->pku = cr4 & X86_CR4_PKE;
	mode->root = GWALK_ADDRESS;
	mode->leaf_mbz[0] = mode->table_mbz[1] = high;
	mode->leaf_mbz[1] = high | GENMASK_ULL(20, 13);
	mode->leaf_mbz[2] = high | GENMASK_ULL(29, 13);
	mode->table_mbz[2] = high | (gbpages ? 0 : _PAGE_PSE);
	mode->table_mbz[3] = mode->table_mbz[4] = high | _PAGE_PSE;
}

void gwalk_set_mode(struct gwalk_mode *mode, u64 cr0, u64 cr4, u64 efer, u8 maxphyaddr,
		    bool gbpages)
{
	*mode = (struct gwalk_mode) {
		.entry_shift = 3, .nxe = cr4 & X86_CR4_PAE && efer & EFER_NX,
		.wp = cr0 & X86_CR0_WP, .smep = cr4 & X86_CR4_SMEP,
		.smap = cr4 & X86_CR4_SMAP, .reserved = GENMASK_ULL(62, maxphyaddr),
	};
	if (!(cr0 & X86_CR0_PG))
		return;
	if (!(cr4 & X86_CR4_PAE))
		gwalk_set_mode32(mode, cr4, maxphyaddr);
	else if (!(efer & EFER_LMA))
		gwalk_set_mode_pae(mode, maxphyaddr);
	else
		gwalk_set_mode_long(mode, cr4, maxphyaddr, gbpages);
}

/* A walk under way. */
struct gwalk {
	struct vcpu	*vcpu;
	const struct gwalk_mode *mode;
	struct gwalk_result *res;
	u32		pkru;
	int		access;
	bool		user;		/* rights are those of CPL 3 */
	unsigned int	level;
	gpa_t		entry_gpa;
	u64		entry;
	u64		rights;		/* R/W, U/S and the contrary of NX, where all entries so far agree */
};

/* How a step of it ends, if not with an errno. */
enum { GWALK_ON, GWALK_LEAF, GWALK_AGAIN };

/* SDM 3A "Page-Fault Exceptions". */
static int gwalk_fault(const struct gwalk *w, u32 why)
{
	if (w->access & GWALK_WRITE)
		why |= X86_PF_WRITE;
	if (w->user)
		why |= X86_PF_USER;
	if (w->access & GWALK_FETCH && (w->mode->nxe || w->mode->smep))
		why |= X86_PF_INSTR;
	w->res->error_code = why;
	return -EFAULT;
}

static int gwalk_no_ram(const struct gwalk *w)
{
	w->res->gpa = w->entry_gpa;
	return -EIO;
}

/* SDM 3A "Protection Keys": of user pages only, for data only. */
static bool gwalk_key_denies(const struct gwalk *w)
{
	u32 key = w->entry >> _PAGE_BIT_PKEY_BIT0 & 15;
	u32 pkru = w->pkru >> key * PKRU_BITS_PER_PKEY;

	return pkru & PKRU_AD_BIT ||
	       (pkru & PKRU_WD_BIT && w->access & GWALK_WRITE && (w->user || w->mode->wp));
}

/*
 * SDM 3A "Determination of Access Rights", at the leaf.
 * Return: 0, or why not: X86_PF_PROT and perhaps X86_PF_PK.
 */
static u32 gwalk_denied(const struct gwalk *w)
{
	const struct gwalk_mode *mode = w->mode;
	bool user_page = w->rights & _PAGE_USER;
	u32 denied = 0;

	if (w->user && !user_page)
		denied = X86_PF_PROT;
	if (w->access & GWALK_WRITE && !(w->rights & _PAGE_RW) && (w->user || mode->wp))
		denied = X86_PF_PROT;
	if (w->access & GWALK_FETCH) {
		if (!(w->rights & _PAGE_NX) || (mode->smep && !w->user && user_page))
			denied = X86_PF_PROT;
		return denied;
	}
	if (mode->smap && !w->user && user_page &&
	    (w->access & (GWALK_AC | GWALK_IMPLICIT)) != GWALK_AC)
		denied = X86_PF_PROT;
	if (mode->pku && user_page && gwalk_key_denies(w))
		denied = X86_PF_PROT | X86_PF_PK;
	return denied;
}

/* Set accessed, and dirty, as the CPU does: atomically, and only in what it has checked. */
static int gwalk_set_bits(const struct gwalk *w, u64 bits, int done)
{
	int r;

	if (!(bits & ~w->entry))
		return done;
	r = gwalk_cmpxchg_entry(w->vcpu, w->entry_gpa, w->entry, w->entry | bits,
				1 << w->mode->entry_shift);
	if (r > 0)
		return GWALK_AGAIN;
	/* Tables in ROM keep the bits they have. */
	return !r || r == -EROFS ? done : gwalk_no_ram(w);
}

/* SDM 3A "PDPTE Registers": in PAE mode these have no rights and no accessed bit. */
static __always_inline bool gwalk_is_pdpte(const struct gwalk *w, unsigned int level)
{
	return level == 3 && w->mode->levels == 3;
}

/* Any entry, all checks. */
static int gwalk_step(struct gwalk *w)
{
	const struct gwalk_mode *mode = w->mode;
	bool leaf = w->level == 1 || (w->entry & _PAGE_PSE && w->level <= mode->max_leaf);
	u32 denied;

	if (!(w->entry & _PAGE_PRESENT))
		return gwalk_fault(w, 0);
	if (w->entry & (leaf ? mode->leaf_mbz : mode->table_mbz)[w->level - 1])
		return gwalk_fault(w, X86_PF_PROT | X86_PF_RSVD);
	if (gwalk_is_pdpte(w, w->level))
		return GWALK_ON;
	w->rights &= w->entry ^ _PAGE_NX;
	if (w->access & GWALK_PEEK)
		return leaf ? GWALK_LEAF : GWALK_ON;
	if (!leaf)
		return gwalk_set_bits(w, _PAGE_ACCESSED, GWALK_ON);

	denied = gwalk_denied(w);
	if (denied)
		return gwalk_fault(w, denied);
	return gwalk_set_bits(w, _PAGE_ACCESSED | (w->access & GWALK_WRITE ? _PAGE_DIRTY : 0),
			      GWALK_LEAF);
}

/* A table's entry, in order and used before: the way most steps go. */
static __always_inline bool gwalk_plain_table(const struct gwalk *w, unsigned int level)
{
	u64 plain = _PAGE_PRESENT | _PAGE_ACCESSED;

	return level > 1 && !gwalk_is_pdpte(w, level) &&
	       (w->entry & (w->mode->table_mbz[level - 1] | plain | _PAGE_PSE)) == plain;
}

/* Inlined once for each size of entry. */
static __always_inline int gwalk_tables(struct gwalk *w, u64 cr3, gva_t gva,
					unsigned int entry_shift)
{
	const unsigned int index_bits = PAGE_SHIFT - entry_shift;
	unsigned int level = w->mode->levels, shift = PAGE_SHIFT + level * index_bits;
	u64 table = cr3 & w->mode->root;
	gpa_t entry_gpa;
	int r;

	for (w->rights = ~0ULL; ; level--) {
		shift -= index_bits;
		entry_gpa = table + ((gva >> shift & ((1 << index_bits) - 1)) << entry_shift);
		r = entry_shift == 3 ? gwalk_read_entry(w->vcpu, entry_gpa, &w->entry) :
				       gwalk_read_entry_slow(w->vcpu, entry_gpa, &w->entry, 4);
		if (likely(!r && gwalk_plain_table(w, level))) {
			w->rights &= w->entry ^ _PAGE_NX;
		} else {
			w->level = level;
			w->entry_gpa = entry_gpa;
			r = r ? gwalk_no_ram(w) : gwalk_step(w);
			if (r != GWALK_ON)
				break;
		}
		table = w->entry & GWALK_ADDRESS;
	}
	if (r != GWALK_LEAF)
		return r;

	w->res->page_shift = shift;
	w->res->gpa = (w->entry & GWALK_ADDRESS & (~0ULL << shift)) | (gva & ~(~0ULL << shift));
	if (entry_shift == 2 && shift > PAGE_SHIFT)
		w->res->gpa |= (w->entry & GENMASK_ULL(20, 13)) << (32 - 13);	/* PSE-36 */
	return 0;
}

int gwalk(struct vcpu *vcpu, const struct gwalk_mode *mode, u64 cr3, u32 pkru,
	  gva_t gva, int access, struct gwalk_result *res)
{
	struct gwalk w = {
		.vcpu = vcpu, .mode = mode, .res = res, .pkru = pkru, .access = access,
		.user = (access & (GWALK_USER | GWALK_IMPLICIT)) == GWALK_USER,
	};
	int r;

	if (mode->levels < 4)
		gva = (u32)gva;
	if (!mode->levels) {
		*res = (struct gwalk_result) { .gpa = gva, .page_shift = PAGE_SHIFT };
		return 0;
	}
	do {
		if (likely(mode->entry_shift == 3))
			r = gwalk_tables(&w, cr3, gva, 3);
		else
			r = gwalk_tables(&w, cr3, gva, 2);
	} while (r == GWALK_AGAIN);
	return r;
}
