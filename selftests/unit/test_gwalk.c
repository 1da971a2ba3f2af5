// SPDX-License-Identifier: GPL-2.0
/*
 * mmu/gwalk.c against the manual.
 *
 * The reference below asks the manual's questions one at a time, in its order
 * and words: SDM 3A "Paging", sections on each mode's entries, "Access Rights",
 * "Protection Keys" and "Page-Fault Exceptions".  It shares no mask and no
 * shortcut with gwalk.c.  Guest memory is a few pages.
 */
#include <errno.h>
#include <string.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include "kselftest_harness.h"
#include "mmu/gwalk.h"

/* ---- the guest: memory, registers ---- */

#define GUEST_PAGES	16

static u64 memory[GUEST_PAGES][512];
static u64 entries_read;

enum cmpxchg_does { CMPXCHG_WORKS, CMPXCHG_LOSES_ONCE, CMPXCHG_IN_ROM, CMPXCHG_FAULTS };
static enum cmpxchg_does cmpxchg_does;
static u64 other_value;		/* what somebody else puts there when it loses */

static void *guest_ptr(gpa_t gpa)
{
	return gpa < sizeof(memory) ? (char *)memory + gpa : NULL;
}

static int read_entry(gpa_t gpa, u64 *entry, unsigned int size)
{
	void *ptr = guest_ptr(gpa);

	entries_read++;
	if (!ptr)
		return -EFAULT;
	*entry = 0;
	memcpy(entry, ptr, size);
	return 0;
}

int gwalk_read_entry(struct vcpu *vcpu, gpa_t gpa, u64 *entry)
{
	return read_entry(gpa, entry, sizeof(u64));
}

int gwalk_read_entry_slow(struct vcpu *vcpu, gpa_t gpa, u64 *entry, unsigned int size)
{
	return read_entry(gpa, entry, size);
}

int gwalk_cmpxchg_entry(struct vcpu *vcpu, gpa_t gpa, u64 old, u64 new, unsigned int size)
{
	void *ptr = guest_ptr(gpa);

	if (cmpxchg_does == CMPXCHG_IN_ROM)
		return -EROFS;
	if (cmpxchg_does == CMPXCHG_FAULTS)
		return -EFAULT;
	if (cmpxchg_does == CMPXCHG_LOSES_ONCE) {
		cmpxchg_does = CMPXCHG_WORKS;
		memcpy(ptr, &other_value, size);
		return 1;
	}
	if (memcmp(ptr, &old, size))
		return 1;
	memcpy(ptr, &new, size);
	return 0;
}

struct cpu {
	u64 cr0, cr3, cr4, efer;
	u32 pkru;
	u8 maxphyaddr;
	bool gbpages;
};

static int walk(const struct cpu *cpu, gva_t gva, int access, struct gwalk_result *res)
{
	struct gwalk_mode mode;

	memset(res, 0xee, sizeof(*res));
	gwalk_set_mode(&mode, cpu->cr0, cpu->cr4, cpu->efer, cpu->maxphyaddr, cpu->gbpages);
	return gwalk(NULL, &mode, cpu->cr3, cpu->pkru, gva, access, res);
}

/* ---- the reference ---- */

enum paging { NO_PAGING, PAGING_32BIT, PAGING_PAE, PAGING_4LEVEL, PAGING_5LEVEL };

/* SDM 3A "Paging Modes and Control Bits". */
static enum paging paging_mode(const struct cpu *cpu)
{
	if (!(cpu->cr0 & X86_CR0_PG))
		return NO_PAGING;
	if (!(cpu->cr4 & X86_CR4_PAE))
		return PAGING_32BIT;
	if (!(cpu->efer & EFER_LMA))
		return PAGING_PAE;
	return cpu->cr4 & X86_CR4_LA57 ? PAGING_5LEVEL : PAGING_4LEVEL;
}

/* Lowest bit of the linear address that selects an entry, from the root down; and how many bits do. */
static const struct { u8 levels, shift[5], bits[5], entry_size; } shapes[] = {
	[PAGING_32BIT]	= { 2, { 22, 12 }, { 10, 10 }, 4 },
	[PAGING_PAE]	= { 3, { 30, 21, 12 }, { 2, 9, 9 }, 8 },
	[PAGING_4LEVEL]	= { 4, { 39, 30, 21, 12 }, { 9, 9, 9, 9 }, 8 },
	[PAGING_5LEVEL]	= { 5, { 48, 39, 30, 21, 12 }, { 9, 9, 9, 9, 9 }, 8 },
};

static bool bit(u64 value, unsigned int nr)
{
	return value >> nr & 1;
}

/* "Format of an entry that ...": must bit @nr be 0? @shift: 12 for a page table's entry and so on. */
static bool is_reserved(const struct cpu *cpu, unsigned int shift, bool leaf, unsigned int nr)
{
	enum paging mode = paging_mode(cpu);
	bool nxe = cpu->efer & EFER_NX;

	if (mode == PAGING_32BIT) {
		unsigned int m = cpu->maxphyaddr < 40 ? cpu->maxphyaddr : 40;

		if (m < 32)
			m = 32;
		return shift == 22 && leaf && nr >= m - 19 && nr <= 21;
	}
	if (mode == PAGING_PAE && shift == 30)
		/* bit 5 is reserved, too, but TCG sets it: gwalk.c lets it pass */
		return nr == 1 || nr == 2 || (nr >= 6 && nr <= 8) || nr >= cpu->maxphyaddr;
	if (nr == 63)
		return !nxe;
	if (nr >= cpu->maxphyaddr && (mode == PAGING_PAE || nr <= 51))
		return true;
	if (leaf && shift > 12)
		return nr >= 13 && nr < shift;
	if (nr == 7 && shift == 30)
		return !cpu->gbpages;
	return nr == 7 && shift >= 39;
}

static bool is_leaf(const struct cpu *cpu, unsigned int shift, u64 entry)
{
	switch (shift) {
	case 12:
		return true;
	case 22:
		return cpu->cr4 & X86_CR4_PSE && bit(entry, 7);
	case 21:
		return bit(entry, 7);
	case 30:
		return paging_mode(cpu) != PAGING_PAE && cpu->gbpages && bit(entry, 7);
	default:
		return false;
	}
}

/* "Determination of Access Rights", clause by clause. */
static bool is_allowed(const struct cpu *cpu, bool user_page, bool rw, bool xd, int access)
{
	bool wp = cpu->cr0 & X86_CR0_WP, smap = cpu->cr4 & X86_CR4_SMAP;
	bool smep = cpu->cr4 & X86_CR4_SMEP;
	bool supervisor = !(access & GWALK_USER) || access & GWALK_IMPLICIT;
	bool explicit_with_ac = access & GWALK_AC && !(access & GWALK_IMPLICIT);

	if (!supervisor) {
		if (!user_page)
			return false;
		if (access & GWALK_FETCH)
			return !xd;
		return !(access & GWALK_WRITE) || rw;
	}
	if (access & GWALK_FETCH) {
		if (user_page && smep)
			return false;
		return !xd;
	}
	if (user_page && smap && !explicit_with_ac)
		return false;
	if (access & GWALK_WRITE)
		return !wp || rw;
	return true;
}

/* "Protection Keys". */
static bool is_key_violated(const struct cpu *cpu, bool user_page, u64 leaf, int access)
{
	bool supervisor = !(access & GWALK_USER) || access & GWALK_IMPLICIT;
	unsigned int key = leaf >> 59 & 15;
	bool ad = bit(cpu->pkru, 2 * key), wd = bit(cpu->pkru, 2 * key + 1);

	if (!(cpu->efer & EFER_LMA) || !(cpu->cr4 & X86_CR4_PKE) || !user_page)
		return false;
	if (access & GWALK_FETCH)
		return false;
	if (ad)
		return true;
	return wd && access & GWALK_WRITE && (!supervisor || cpu->cr0 & X86_CR0_WP);
}

struct expected {
	int	r;
	gpa_t	gpa;
	u32	error_code;
	u8	page_shift;
	int	nr;			/* entries read */
	gpa_t	entry_gpa[5];
	u64	entry[5], after[5];	/* with the bits that a successful walk sets */
};

static u32 error_code(const struct cpu *cpu, int access, bool p, bool rsvd, bool pk)
{
	bool supervisor = !(access & GWALK_USER) || access & GWALK_IMPLICIT;
	bool id = access & GWALK_FETCH && (cpu->cr4 & X86_CR4_SMEP ||
			(cpu->cr4 & X86_CR4_PAE && cpu->efer & EFER_NX));

	return p << 0 | !!(access & GWALK_WRITE) << 1 | !supervisor << 2 | rsvd << 3 | id << 4 |
	       pk << 5;
}

static void fail(struct expected *want, u32 code)
{
	want->r = -EFAULT;
	want->error_code = code;
}

static void finish(const struct cpu *cpu, gva_t gva, int access, struct expected *want)
{
	enum paging mode = paging_mode(cpu);
	unsigned int shift = want->page_shift, last = want->nr - 1, i;
	bool user_page = true, rw = true, xd = false, violated;
	u64 leaf = want->entry[last];

	want->r = 0;
	want->gpa = (leaf & 0x000ffffffffff000) >> shift << shift;
	want->gpa += gva % (1ULL << shift);
	if (shift == 22) {
		want->gpa = (leaf & 0xffc00000) + gva % (1 << 22);
		want->gpa += (leaf >> 13 & 0xff) << 32;
	}
	if (access & GWALK_PEEK)
		return;
	for (i = mode == PAGING_PAE ? 1 : 0; i <= last; i++) {
		rw = rw && bit(want->entry[i], 1);
		user_page = user_page && bit(want->entry[i], 2);
		xd = xd || bit(want->entry[i], 63);
		want->after[i] |= 1 << 5;
	}
	if (access & GWALK_WRITE)
		want->after[last] |= 1 << 6;
	violated = is_key_violated(cpu, user_page, leaf, access);
	if (violated || !is_allowed(cpu, user_page, rw, xd, access))
		fail(want, error_code(cpu, access, true, false, violated));
}

static void reference(const struct cpu *cpu, gva_t gva, int access, struct expected *want)
{
	enum paging mode = paging_mode(cpu);
	u64 table = mode == PAGING_PAE ? cpu->cr3 & 0xffffffe0 : cpu->cr3 & 0x000ffffffffff000;
	unsigned int i, nr;

	memset(want, 0, sizeof(*want));
	if (mode < PAGING_4LEVEL)
		gva &= 0xffffffff;
	if (mode == NO_PAGING) {
		want->gpa = gva;
		want->page_shift = 12;
		return;
	}
	if (mode == PAGING_32BIT)
		table &= 0xffffffff;
	for (i = 0; i < shapes[mode].levels; i++) {
		unsigned int shift = shapes[mode].shift[i], size = shapes[mode].entry_size;
		u64 index = gva >> shift & ((1 << shapes[mode].bits[i]) - 1), entry = 0;

		want->entry_gpa[i] = table + index * size;
		if (!guest_ptr(want->entry_gpa[i])) {
			want->r = -EIO;
			want->gpa = want->entry_gpa[i];
			return;
		}
		memcpy(&entry, guest_ptr(want->entry_gpa[i]), size);
		want->entry[i] = want->after[i] = entry;
		want->nr = i + 1;
		if (!bit(entry, 0)) {
			fail(want, error_code(cpu, access, false, false, false));
			return;
		}
		for (nr = 0; nr < 64; nr++) {
			if (bit(entry, nr) &&
			    is_reserved(cpu, shift, is_leaf(cpu, shift, entry), nr)) {
				fail(want, error_code(cpu, access, true, true, false));
				return;
			}
		}
		if (is_leaf(cpu, shift, entry)) {
			want->page_shift = shift;
			finish(cpu, gva, access, want);
			return;
		}
		table = entry & 0x000ffffffffff000;
	}
}

/* ---- comparing ---- */

static char difference[300];

static const char *entry_wrong(const struct expected *want, const struct cpu *cpu, int i,
			       int access)
{
	unsigned int size = shapes[paging_mode(cpu)].entry_size;
	u64 now = 0;

	memcpy(&now, guest_ptr(want->entry_gpa[i]), size);
	if (!want->r && cmpxchg_does == CMPXCHG_WORKS)
		return now == want->after[i] ? NULL : "bits after a walk";
	if (access & GWALK_PEEK || cmpxchg_does != CMPXCHG_WORKS)
		return now == want->entry[i] ? NULL : "entry changed";
	/* "The processor may set A even if the access faults": not in the one that is at fault. */
	if ((now ^ want->entry[i]) & ~(1ULL << 5))
		return "a fault changes more than A";
	if (want->r == -EFAULT && i == want->nr - 1 && now != want->entry[i])
		return "the entry at fault changes";
	return NULL;
}

/* Walk and compare with the reference; memory is left as it was. */
static bool agrees(const struct cpu *cpu, gva_t gva, int access)
{
	static u64 before[GUEST_PAGES][512];
	struct expected want;
	struct gwalk_result res;
	const char *wrong = NULL;
	int r, i;

	reference(cpu, gva, access, &want);
	memcpy(before, memory, sizeof(memory));
	r = walk(cpu, gva, access, &res);
	if (r != want.r)
		wrong = "result";
	else if (r == -EFAULT && res.error_code != want.error_code)
		wrong = "error code";
	else if (r != -EFAULT && res.gpa != want.gpa)
		wrong = "gpa";
	else if (!r && res.page_shift != want.page_shift)
		wrong = "page size";
	for (i = 0; i < want.nr && !wrong; i++) {
		wrong = entry_wrong(&want, cpu, i, access);
		memcpy(guest_ptr(want.entry_gpa[i]), (char *)before + want.entry_gpa[i],
		       shapes[paging_mode(cpu)].entry_size);
	}
	if (!wrong && memcmp(before, memory, sizeof(memory)))
		wrong = "other memory";
	if (wrong) {
		memcpy(memory, before, sizeof(memory));
		snprintf(difference, sizeof(difference),
			 "%s: cr0 %llx cr4 %llx efer %llx gva %llx access %x: r %d (%d) gpa %llx (%llx) error %x (%x) leaf %llx",
			 wrong, (unsigned long long)cpu->cr0, (unsigned long long)cpu->cr4,
			 (unsigned long long)cpu->efer, (unsigned long long)gva, access, r, want.r,
			 (unsigned long long)res.gpa, (unsigned long long)want.gpa, res.error_code,
			 want.error_code, (unsigned long long)want.entry[want.nr ? want.nr - 1 : 0]);
	}
	return !wrong;
}

/* ---- building ---- */

static const struct cpu cpus[] = {
	[PAGING_32BIT]	= { .cr0 = X86_CR0_PG, .cr4 = X86_CR4_PSE, .maxphyaddr = 40 },
	[PAGING_PAE]	= { .cr0 = X86_CR0_PG, .cr4 = X86_CR4_PAE, .maxphyaddr = 40 },
	[PAGING_4LEVEL]	= { .cr0 = X86_CR0_PG, .cr4 = X86_CR4_PAE, .efer = EFER_LMA | EFER_LME,
			    .maxphyaddr = 46, .gbpages = true },
	[PAGING_5LEVEL]	= { .cr0 = X86_CR0_PG, .cr4 = X86_CR4_PAE | X86_CR4_LA57,
			    .efer = EFER_LMA | EFER_LME, .maxphyaddr = 52, .gbpages = true },
};

#define GVA	0x0000123456789abcULL

/* Where the entry of the level with @shift is, in tables that begin in page 1 and lie one after another. */
static void *entry_of(enum paging mode, gva_t gva, unsigned int i)
{
	u64 index;

	if (mode < PAGING_4LEVEL)
		gva &= 0xffffffff;
	index = gva >> shapes[mode].shift[i] & ((1 << shapes[mode].bits[i]) - 1);
	return (char *)memory[i + 1] + index * shapes[mode].entry_size;
}

static u64 get_entry(enum paging mode, gva_t gva, unsigned int i)
{
	u64 entry = 0;

	memcpy(&entry, entry_of(mode, gva, i), shapes[mode].entry_size);
	return entry;
}

static void set_entry(enum paging mode, gva_t gva, unsigned int i, u64 entry)
{
	memcpy(entry_of(mode, gva, i), &entry, shapes[mode].entry_size);
}

/* Tables down to a leaf at step @last, all rights, nothing accessed. */
static struct cpu build(enum paging mode, gva_t gva, unsigned int last)
{
	struct cpu cpu = cpus[mode];
	unsigned int i;

	memset(memory, 0, sizeof(memory));
	cpu.cr3 = 0x1000;
	for (i = 0; i <= last; i++) {
		u64 entry = (i + 2) << 12 | 7;

		if (mode == PAGING_PAE && i == 0)
			entry &= ~6ULL;
		if (i == last && i < shapes[mode].levels - 1)
			entry = 7 | 1 << 7;
		if (i == last)
			entry |= 7ULL << (shapes[mode].shift[i] == 12 ? 20 : shapes[mode].shift[i]);
		set_entry(mode, gva, i, entry);
	}
	return cpu;
}

static bool may_be_leaf(enum paging mode, unsigned int i)
{
	return shapes[mode].shift[i] < (mode == PAGING_PAE ? 30 : 39);
}

FIXTURE(gwalk) { };
FIXTURE_VARIANT(gwalk) { enum paging mode; };
FIXTURE_VARIANT_ADD(gwalk, paging_32bit) { .mode = PAGING_32BIT };
FIXTURE_VARIANT_ADD(gwalk, paging_pae) { .mode = PAGING_PAE };
FIXTURE_VARIANT_ADD(gwalk, paging_4level) { .mode = PAGING_4LEVEL };
FIXTURE_VARIANT_ADD(gwalk, paging_5level) { .mode = PAGING_5LEVEL };

FIXTURE_SETUP(gwalk)
{
	cmpxchg_does = CMPXCHG_WORKS;
}

FIXTURE_TEARDOWN(gwalk)
{
}

static const int accesses[] = { GWALK_READ, GWALK_WRITE, GWALK_FETCH };

/* Supervisor, supervisor with AC, user, implicit supervisor access from CPL 3 with AC. */
static const int modes_of_access[] = {
	0, GWALK_AC, GWALK_USER, GWALK_USER | GWALK_IMPLICIT, GWALK_USER | GWALK_IMPLICIT | GWALK_AC,
};

TEST_F(gwalk, leaves_of_every_size)
{
	unsigned int last;

	for (last = 0; last < shapes[variant->mode].levels; last++) {
		struct gwalk_result res;
		struct cpu cpu;

		if (!may_be_leaf(variant->mode, last))
			continue;
		cpu = build(variant->mode, GVA, last);
		ASSERT_EQ(0, walk(&cpu, GVA, GWALK_READ, &res));
		EXPECT_EQ(shapes[variant->mode].shift[last], res.page_shift);
		EXPECT_EQ(GVA % (1ULL << res.page_shift), res.gpa % (1ULL << res.page_shift));
		EXPECT_TRUE(agrees(&cpu, GVA, GWALK_READ)) TH_LOG("%s", difference);
	}
}

/* One case of rights; the PK bits go with long mode only. */
static bool rights_agree(enum paging mode, unsigned int leaf, unsigned int top, unsigned int regs,
			 unsigned int pkru, int access)
{
	unsigned int last = shapes[mode].levels - 1, first = mode == PAGING_PAE;
	struct cpu cpu = build(mode, GVA, last);

	set_entry(mode, GVA, first, (get_entry(mode, GVA, first) & ~6ULL) |
		  (top & 3) << 1 | (u64)top >> 2 << 63);
	set_entry(mode, GVA, last, (get_entry(mode, GVA, last) & ~6ULL) |
		  (leaf & 3) << 1 | (u64)leaf >> 2 << 63 | (mode >= PAGING_4LEVEL ? 5ULL << 59 : 0));
	cpu.cr0 |= regs & 1 ? X86_CR0_WP : 0;
	cpu.cr4 |= (regs & 2 ? X86_CR4_SMEP : 0) | (regs & 4 ? X86_CR4_SMAP : 0) |
		   (regs & 16 ? X86_CR4_PKE : 0);
	cpu.efer |= regs & 8 ? EFER_NX : 0;
	cpu.pkru = pkru << 10;		/* key 5 */
	return agrees(&cpu, GVA, access);
}

/* Take one of @n choices out of a number that stands for them all. */
static unsigned int choose(unsigned int *all, unsigned int n)
{
	unsigned int choice = *all % n;

	*all /= n;
	return choice;
}

TEST_F(gwalk, every_right_for_every_access)
{
	const unsigned int total = 8 * 8 * 32 * 4 * 3 * 5;
	unsigned int n;

	for (n = 0; n < total; n++) {
		unsigned int all = n, leaf = choose(&all, 8), top = choose(&all, 8);
		unsigned int regs = choose(&all, 32), pkru = choose(&all, 4);
		int access = accesses[choose(&all, 3)] | modes_of_access[choose(&all, 5)];

		if (!rights_agree(variant->mode, leaf, top, regs, pkru, access))
			break;
	}
	ASSERT_EQ(total, n) TH_LOG("%s", difference);
}

/* One bit of one entry turned over, on CPUs of all kinds. */
static bool flipped_bit_agrees(enum paging mode, unsigned int last, unsigned int i, unsigned int nr)
{
	unsigned int regs;

	for (regs = 0; regs < 8; regs++) {
		struct cpu cpu = build(mode, GVA, last);

		cpu.efer |= regs & 1 ? EFER_NX : 0;
		cpu.gbpages = regs & 2;
		cpu.maxphyaddr = regs & 4 ? 36 : 52;
		if (regs & 4)
			cpu.cr4 &= ~X86_CR4_PSE;
		set_entry(mode, GVA, i, get_entry(mode, GVA, i) ^ 1ULL << nr);
		if (!agrees(&cpu, GVA, GWALK_WRITE | GWALK_USER) ||
		    !agrees(&cpu, GVA, GWALK_FETCH) || !agrees(&cpu, GVA, GWALK_PEEK))
			return false;
	}
	return true;
}

TEST_F(gwalk, every_reserved_bit_of_every_entry)
{
	unsigned int levels = shapes[variant->mode].levels;
	unsigned int bits = 8 * shapes[variant->mode].entry_size, n, total = levels * levels * bits;

	for (n = 0; n < total; n++) {
		unsigned int all = n, last = choose(&all, levels), i = choose(&all, levels);

		if (i <= last && !flipped_bit_agrees(variant->mode, last, i, all))
			break;
	}
	ASSERT_EQ(total, n) TH_LOG("%s", difference);
}

TEST_F(gwalk, accessed_and_dirty)
{
	unsigned int levels = shapes[variant->mode].levels, i, n, total = levels * 3 << 2 * levels;

	/* Any of them may be set already, in any entry. */
	for (n = 0; n < total; n++) {
		unsigned int all = n, last = choose(&all, levels);
		int access = accesses[choose(&all, 3)];
		struct cpu cpu = build(variant->mode, GVA, last);

		if (!may_be_leaf(variant->mode, last))
			continue;
		for (i = variant->mode == PAGING_PAE; i <= last; i++)
			set_entry(variant->mode, GVA, i, get_entry(variant->mode, GVA, i) |
				  (all >> 2 * i & 3) << 5);
		if (!agrees(&cpu, GVA, access) || !agrees(&cpu, GVA, GWALK_PEEK))
			break;
	}
	ASSERT_EQ(total, n) TH_LOG("%s", difference);
}

/* A leaf that is accessed but not dirty; the tables above need nothing. */
static struct cpu build_used(enum paging mode, unsigned int last)
{
	struct cpu cpu = build(mode, GVA, last);
	unsigned int i;

	for (i = mode == PAGING_PAE; i <= last; i++)
		set_entry(mode, GVA, i, get_entry(mode, GVA, i) | 1 << 5);
	return cpu;
}

TEST_F(gwalk, an_entry_that_changes_is_walked_again)
{
	unsigned int last = shapes[variant->mode].levels - 1;
	struct cpu cpu = build_used(variant->mode, last);
	struct gwalk_result res;

	cmpxchg_does = CMPXCHG_LOSES_ONCE;
	other_value = 0x55000 | 7;
	EXPECT_EQ(0, walk(&cpu, GVA, GWALK_WRITE, &res));
	EXPECT_EQ(0x55000 | GVA % 4096, res.gpa);
	EXPECT_EQ(0x55000 | 7 | 3 << 5, get_entry(variant->mode, GVA, last));
}

TEST_F(gwalk, an_entry_that_goes_faults)
{
	struct cpu cpu = build_used(variant->mode, shapes[variant->mode].levels - 1);
	struct gwalk_result res;

	cmpxchg_does = CMPXCHG_LOSES_ONCE;
	other_value = 0;
	EXPECT_EQ(-EFAULT, walk(&cpu, GVA, GWALK_WRITE, &res));
	EXPECT_EQ(1 << 1, res.error_code);
}

TEST_F(gwalk, an_entry_that_loses_a_right_faults)
{
	unsigned int last = shapes[variant->mode].levels - 1;
	struct cpu cpu = build_used(variant->mode, last);
	struct gwalk_result res;

	cpu.cr0 |= X86_CR0_WP;
	cmpxchg_does = CMPXCHG_LOSES_ONCE;
	other_value = 0x66000 | 5;
	EXPECT_EQ(-EFAULT, walk(&cpu, GVA, GWALK_WRITE, &res));
	EXPECT_EQ(1 << 1 | 1 << 0, res.error_code);
	EXPECT_EQ(0x66000 | 5, get_entry(variant->mode, GVA, last));
}

TEST_F(gwalk, tables_in_rom_are_walked_and_left_alone)
{
	struct cpu cpu = build(variant->mode, GVA, shapes[variant->mode].levels - 1);

	cmpxchg_does = CMPXCHG_IN_ROM;
	EXPECT_TRUE(agrees(&cpu, GVA, GWALK_WRITE)) TH_LOG("%s", difference);
}

TEST_F(gwalk, tables_that_cannot_be_written_are_no_ram)
{
	struct cpu cpu = build(variant->mode, GVA, shapes[variant->mode].levels - 1);
	struct gwalk_result res;

	cmpxchg_does = CMPXCHG_FAULTS;
	EXPECT_EQ(-EIO, walk(&cpu, GVA, GWALK_READ, &res));
}

TEST_F(gwalk, tables_outside_ram)
{
	unsigned int levels = shapes[variant->mode].levels, i;

	for (i = 0; i < levels; i++) {
		struct cpu cpu = build(variant->mode, GVA, levels - 1);
		struct gwalk_result res;

		if (i == 0)
			cpu.cr3 = 0x12345000;
		else
			set_entry(variant->mode, GVA, i - 1, 0x12345001);
		EXPECT_EQ(-EIO, walk(&cpu, GVA, GWALK_READ, &res));
		EXPECT_EQ(0x12345, res.gpa >> 12);
	}
}

TEST_F(gwalk, each_level_is_read_once)
{
	struct cpu cpu = build(variant->mode, GVA, shapes[variant->mode].levels - 1);
	struct gwalk_result res;

	entries_read = 0;
	EXPECT_EQ(0, walk(&cpu, GVA, GWALK_WRITE, &res));
	EXPECT_EQ(shapes[variant->mode].levels, entries_read);
}

TEST_F(gwalk, ends_of_the_address_space)
{
	static const gva_t gvas[] = { 0, 0xfff, 0xffffffff, 0x7fffffffffff, 0xffff800000000000,
				      ~0ULL };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gvas); i++) {
		struct cpu cpu = build(variant->mode, gvas[i], shapes[variant->mode].levels - 1);

		EXPECT_TRUE(agrees(&cpu, gvas[i], GWALK_READ)) TH_LOG("%s", difference);
	}
}

TEST_F(gwalk, bits_of_cr3_beside_the_address)
{
	struct cpu cpu = build(variant->mode, GVA, shapes[variant->mode].levels - 1);

	cpu.cr3 |= variant->mode == PAGING_PAE ? 0x18 : 0xfff;
	EXPECT_TRUE(agrees(&cpu, GVA, GWALK_READ)) TH_LOG("%s", difference);
	if (variant->mode == PAGING_PAE) {
		/* The table of four entries lies on any 32 bytes. */
		memcpy((char *)memory[1] + 0x7e0, memory[1], 32);
		memset(memory[1], 0, 32);
		cpu.cr3 = 0x17e0;
		EXPECT_TRUE(agrees(&cpu, GVA, GWALK_READ)) TH_LOG("%s", difference);
	}
}

static u64 seed = 88172645463325252ULL;

static u64 rnd(u64 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

static bool random_walk(enum paging mode)
{
	unsigned int levels = shapes[mode].levels, i, n;
	gva_t gva = rnd(1ULL << 48) ^ (rnd(2) ? ~0ULL << 47 : 0);
	struct cpu cpu = build(mode, gva, rnd(4) ? levels - 1 : rnd(levels));
	int access = accesses[rnd(3)] | modes_of_access[rnd(5)] | (rnd(16) ? 0 : GWALK_PEEK);

	cpu.cr0 |= rnd(2) ? X86_CR0_WP : 0;
	cpu.cr4 |= rnd(2) ? X86_CR4_SMEP : 0;
	cpu.cr4 |= rnd(2) ? X86_CR4_SMAP : 0;
	cpu.cr4 |= rnd(2) ? X86_CR4_PKE : 0;
	cpu.cr4 ^= rnd(4) ? 0 : X86_CR4_PSE;
	cpu.efer |= rnd(2) ? EFER_NX : 0;
	cpu.gbpages = rnd(2);
	cpu.maxphyaddr = 32 + rnd(21);
	cpu.pkru = rnd(1ULL << 32);
	cmpxchg_does = rnd(16) ? CMPXCHG_WORKS : CMPXCHG_IN_ROM;
	for (i = 0; i < levels; i++) {
		u64 entry = get_entry(mode, gva, i);

		for (n = rnd(4); n; n--)
			entry ^= 1ULL << (rnd(2) ? rnd(8) : rnd(8 * shapes[mode].entry_size));
		if (rnd(2))
			entry |= rnd(4) << 5;
		set_entry(mode, gva, i, entry);
	}
	return agrees(&cpu, gva, access);
}

TEST_F(gwalk, random_tables_and_registers)
{
	unsigned int i;

	for (i = 0; i < 100000 && random_walk(variant->mode); i++)
		;
	ASSERT_EQ(100000, i) TH_LOG("%s", difference);
}

TEST(without_paging_addresses_are_physical)
{
	struct cpu cpu = { .cr3 = 0x1000, .maxphyaddr = 40 };
	struct gwalk_result res;

	entries_read = 0;
	EXPECT_EQ(0, walk(&cpu, 0x12345678, GWALK_WRITE | GWALK_USER, &res));
	EXPECT_EQ(0x12345678, res.gpa);
	EXPECT_EQ(12, res.page_shift);
	EXPECT_EQ(0, walk(&cpu, 0x1ffffffffULL, GWALK_READ, &res));
	EXPECT_EQ(0xffffffff, res.gpa);
	EXPECT_EQ(0, entries_read);
}

TEST(physical_addresses_have_maxphyaddr_bits)
{
	struct gwalk_mode mode;

	gwalk_set_mode(&mode, 0, 0, 0, 40, false);
	EXPECT_EQ(0, mode.reserved & ((1ULL << 40) - 1));
	EXPECT_EQ((1ULL << 23) - 1, mode.reserved >> 40);
}

TEST_HARNESS_MAIN
