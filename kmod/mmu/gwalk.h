/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's own page tables, walked in software: gva -> gpa, with the
 * checks, the accessed and dirty bits and the page-fault error code that the
 * CPU would give.  SDM 3A "Paging"; APM 2 "Page Translation and Protection".
 */
#ifndef MMU_GWALK_H
#define MMU_GWALK_H

#include "../types.h"

struct vcpu;

#define GWALK_MAX_LEVELS	5

/* Paging mode, worked out once when CR0, CR4, EFER or CPUID change. */
struct gwalk_mode {
	u8	levels;		/* 0: paging off; 2: 32-bit; 3: PAE; 4, 5: long mode */
	u8	max_leaf;	/* largest level whose page-size bit means a leaf */
	u8	entry_shift;	/* log2 of an entry's size: 2 or 3 */
	bool	nxe, wp, smep, smap, pku;
	u64	reserved;	/* MAXPHYADDR to bit 62: no address has them */
	u64	root;		/* mask of the address in CR3 */
	/* bits that must be 0, by level - 1: of an entry that points to a table, and of a leaf */
	u64	table_mbz[GWALK_MAX_LEVELS], leaf_mbz[GWALK_MAX_LEVELS];
};

enum gwalk_access {
	GWALK_READ	= 0,
	GWALK_WRITE	= 1 << 0,
	GWALK_FETCH	= 1 << 1,
	GWALK_USER	= 1 << 2,	/* CPL 3 */
	GWALK_IMPLICIT	= 1 << 3,	/* GDT, IDT, TSS: supervisor even at CPL 3, SMAP without AC */
	GWALK_AC	= 1 << 4,	/* EFLAGS.AC set: SMAP lets it pass (not with IMPLICIT) */
	GWALK_PEEK	= 1 << 5,	/* for user space's eyes: no rights checked, A and D left alone */
};

struct gwalk_result {
	gpa_t	gpa;
	u32	error_code;	/* when the guest deserves #PF: X86_PF_* */
	u8	page_shift;	/* of the guest's own leaf */
};

/**
 * gwalk_set_mode() - work out the paging mode
 * @mode: filled
 * @cr0, @cr4, @efer: the guest's view
 * @maxphyaddr: of the guest's CPUID, in bits
 * @gbpages: CPUID offers 1G pages
 */
void gwalk_set_mode(struct gwalk_mode *mode, u64 cr0, u64 cr4, u64 efer, u8 maxphyaddr, bool gbpages);

/**
 * gwalk() - translate one guest virtual address
 * @vcpu: whose memory is read for page-table entries
 * @mode: its paging mode
 * @cr3: its CR3
 * @pkru: its PKRU (if mode->pku)
 * @gva: linear address
 * @access: enum gwalk_access
 * @res: filled
 *
 * Linear addresses outside long mode have 32 bits; in long mode the caller has
 * checked that @gva is canonical.
 *
 * Return: 0; -EFAULT with res->error_code set when the guest deserves #PF;
 * -EIO when a page table lies where there is no guest RAM (res->gpa says where).
 */
int gwalk(struct vcpu *vcpu, const struct gwalk_mode *mode, u64 cr3, u32 pkru,
	  gva_t gva, int access, struct gwalk_result *res);

/*
 * linear.c: guest memory as the CPU itself would access it, with GWALK_IMPLICIT for GDT, LDT and
 * TSS.  All of @len bytes (a page at most) or nothing: 0 done, 1 and #PF queued, -EFAULT where there
 * is no RAM.
 */
int linear_read(struct vcpu *vcpu, gva_t gva, void *data, unsigned int len, int access);
int linear_write(struct vcpu *vcpu, gva_t gva, const void *data, unsigned int len, int access);

/* gwalk.c calls these; guest_mem.c has them in the kernel, the test in user space. */

/* One entry of 8 bytes; or of @size, 4 or 8, zero-extended, not as fast. 0 or -EFAULT. */
int gwalk_read_entry(struct vcpu *vcpu, gpa_t gpa, u64 *entry);
int gwalk_read_entry_slow(struct vcpu *vcpu, gpa_t gpa, u64 *entry, unsigned int size);
/* Atomically old -> new: 0 done, 1 it had changed, -EROFS in ROM, or another errno. Marks the page dirty. */
int gwalk_cmpxchg_entry(struct vcpu *vcpu, gpa_t gpa, u64 old, u64 new, unsigned int size);

#endif /* MMU_GWALK_H */
