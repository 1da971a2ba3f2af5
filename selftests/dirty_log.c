// SPDX-License-Identifier: GPL-2.0
/*
 * The log of written pages, in each of its kinds: whoever writes to guest
 * memory for the guest is logged, once, and nobody else.  Live migration hangs
 * on it.  Then what is said of KVM_CLEAR_DIRTY_LOG alone.
 */
#include "test.h"

enum { PAGES = 128, RING_BYTES = 16384, RING_ENTRIES = RING_BYTES / sizeof(struct kvm_dirty_gfn) };
#define SIZE (PAGES * PAGE_SIZE)
#define PAGE(n) (VM_RAM + (n) * PAGE_SIZE)

static struct vm *vm;
static struct vcpu *vcpu;
static u64 *ram;
static bool dirty[PAGES];		/* harvest() */

/* ---- four kinds of log ---- */

FIXTURE(log) {
	struct vm vm;
};

FIXTURE_VARIANT(log) {
	u32 cap;
	u64 arg;
};

FIXTURE_VARIANT_ADD(log, cleared_by_reading) { };
FIXTURE_VARIANT_ADD(log, cleared_by_hand) {
	.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .arg = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,
};
FIXTURE_VARIANT_ADD(log, initially_set) {
	.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	.arg = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET,
};
FIXTURE_VARIANT_ADD(log, ring) { .cap = KVM_CAP_DIRTY_LOG_RING, .arg = RING_BYTES };

static int enable_cap(u32 cap, u64 arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = arg };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable);
}

static struct kvm_dirty_gfn *ring;
static u32 ring_next;

static u32 harvest_ring(void)
{
	u32 count = 0;

	for (;; ring_next++) {
		struct kvm_dirty_gfn *entry = &ring[ring_next % RING_ENTRIES];

		if (__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			break;
		if (entry->slot == SLOT_TEST) {
			die_unless(entry->offset < PAGES);
			count += !dirty[entry->offset];
			dirty[entry->offset] = true;
		}
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
	kvm_do(vm->fd, KVM_RESET_DIRTY_RINGS, 0);
	return count;
}

static int get_log(u32 slot, u64 *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);
}

static int clear_log(u32 slot, u64 first, u32 count, u64 *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot, .first_page = first, .num_pages = count, .dirty_bitmap = bitmap,
	};

	return ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log);
}

static bool by_hand;

static u32 harvest_bitmap(void)
{
	u64 bitmap[PAGES / 64];
	u32 count = 0;

	die_unless(!get_log(SLOT_TEST, bitmap));
	die_unless(!by_hand || !clear_log(SLOT_TEST, 0, PAGES, bitmap));
	for (u32 i = 0; i < PAGES; i++) {
		dirty[i] = bitmap[i / 64] >> i % 64 & 1;
		count += dirty[i];
	}
	return count;
}

/* How many pages were written since the last harvest; which ones stands in dirty[]. */
static u32 harvest(void)
{
	memset(dirty, 0, sizeof(dirty));
	return ring ? harvest_ring() : harvest_bitmap();
}

FIXTURE_SETUP(log)
{
	vm = &self->vm;
	vm_create(vm, VM_IRQCHIP);
	ring = NULL;
	by_hand = variant->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
	if (variant->cap)
		die_unless(!enable_cap(variant->cap, variant->arg));
	ram = vm_add_ram(vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	vcpu = vm_add_vcpu(vm, 0);
	if (variant->cap == KVM_CAP_DIRTY_LOG_RING) {
		ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
			    KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
		die_unless(ring != MAP_FAILED);
	}
	die_unless(harvest() == (variant->arg & KVM_DIRTY_LOG_INITIALLY_SET && by_hand ? PAGES : 0));
}

FIXTURE_TEARDOWN(log)
{
	if (ring)
		munmap(ring, RING_BYTES);
	vm_destroy(vm);
}

/* ---- who writes ---- */

static const u32 chosen[] = { 0, 1, 5, 63, 64, 127 };

static u64 write_chosen(u64 count)
{
	for (u32 i = 0; i < count; i++)
		write8(PAGE(chosen[i]) + i, 1);
	return 0;
}

static u64 read_all(u64 arg)
{
	u64 sum = 0;

	for (u32 i = 0; i < PAGES; i++)
		sum += read8(PAGE(i));
	return sum;
}

TEST_F(log, has_the_pages_that_the_guest_wrote_and_no_others)
{
	vcpu_call(vcpu, read_all, 0);
	vcpu_call(vcpu, write_chosen, ARRAY_SIZE(chosen));
	EXPECT_EQ(ARRAY_SIZE(chosen), harvest());
	for (u32 i = 0; i < ARRAY_SIZE(chosen); i++)
		EXPECT_TRUE(dirty[chosen[i]]);
}

TEST_F(log, a_page_written_again_is_dirty_again)
{
	for (int i = 0; i < 5; i++) {
		vcpu_call(vcpu, write_chosen, 4);
		EXPECT_EQ(4, harvest());
		EXPECT_EQ(0, harvest());
	}
}

static u64 insb(u64 gpa)
{
	u64 count = 2;

	asm volatile("rep insb" : "+D"(gpa), "+c"(count) : "d"(0x1234) : "memory");
	return 0;
}

TEST_F(log, has_what_emulated_instructions_write)
{
	for (int i = 0; i < 2; i++) {
		vcpu_start(vcpu, insb, PAGE(10) - 1);
		while (vcpu_enter(vcpu) == KVM_EXIT_IO && vcpu->run->io.port == 0x1234)
			;
		EXPECT_EQ(2, harvest());
		EXPECT_TRUE(dirty[9] && dirty[10]);
	}
}

static u64 walk(u64 gva)
{
	return read8(gva);
}

/* A way through four tables in pages 0 to 2 of the slot to page 3. */
static void map_through_slot(void)
{
	u64 *pml4 = (u64 *)vm_cr3();

	pml4[1] = PAGE(0) | X86_PTE_P | X86_PTE_W;
	ram[0] = PAGE(1) | X86_PTE_P | X86_PTE_W;
	ram[512] = PAGE(2) | X86_PTE_P | X86_PTE_W;
	ram[1024] = PAGE(3) | X86_PTE_P | X86_PTE_W;
}

TEST_F(log, has_the_page_tables_in_which_the_cpu_sets_accessed_bits)
{
	map_through_slot();
	vcpu_call(vcpu, walk, 1ULL << 39);
	harvest();
	EXPECT_TRUE(dirty[0] && dirty[1] && dirty[2]);
}

TEST_F(log, has_the_page_tables_in_which_the_emulator_sets_accessed_bits)
{
	map_through_slot();
	vcpu_start(vcpu, insb, 1ULL << 39);
	while (vcpu_enter(vcpu) == KVM_EXIT_IO && vcpu->run->io.port == 0x1234)
		;
	EXPECT_EQ(4, harvest());
	EXPECT_TRUE(dirty[0] && dirty[1] && dirty[2] && dirty[3]);
}

static u64 set_msr(u64 index)
{
	wrmsr(index, PAGE(index & 0xf) | KVM_MSR_ENABLED);
	return 0;
}

TEST_F(log, has_the_kvmclock_page)
{
	vcpu_call(vcpu, set_msr, MSR_KVM_SYSTEM_TIME_NEW);
	EXPECT_EQ(1, harvest());
	EXPECT_TRUE(dirty[MSR_KVM_SYSTEM_TIME_NEW & 0xf]);
	/* User space says that the guest was stopped: written anew. */
	kvm_do(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
	vcpu_call(vcpu, read_all, 0);
	EXPECT_EQ(1, harvest());
	EXPECT_TRUE(dirty[MSR_KVM_SYSTEM_TIME_NEW & 0xf]);
}

static u64 set_wall_clock(u64 gpa)
{
	wrmsr(MSR_KVM_WALL_CLOCK_NEW, gpa);
	return 0;
}

TEST_F(log, has_the_wall_clock)
{
	vcpu_call(vcpu, set_wall_clock, PAGE(77));
	EXPECT_EQ(1, harvest());
	EXPECT_TRUE(dirty[77]);
	/* User space writes the MSR: a migration's last step. */
	EXPECT_EQ(1, vcpu_set_msr(vcpu, MSR_KVM_WALL_CLOCK_NEW, PAGE(78)));
	EXPECT_EQ(1, harvest());
	EXPECT_TRUE(dirty[78]);
}

TEST_F(log, has_the_steal_time_page)
{
	vcpu_call(vcpu, set_msr, MSR_KVM_STEAL_TIME);
	vcpu_call(vcpu, read_all, 0);
	EXPECT_EQ(1, harvest());
	EXPECT_TRUE(dirty[MSR_KVM_STEAL_TIME & 0xf]);
}

enum { VECTOR = 0x51 };

/* The guest leaves the word alone: if it is written, the host did it. */
static u64 eois(u64 gpa)
{
	guest_handlers[VECTOR] = guest_eoi_xapic;
	xapic_enable();
	wrmsr(MSR_KVM_PV_EOI_EN, gpa | KVM_MSR_ENABLED);
	for (u32 i = 0; i < 10; i++) {
		xapic_write(APIC_ICR, APIC_DEST_SELF | VECTOR);
		irq_window();
	}
	return 0;
}

TEST_F(log, has_the_word_of_paravirtual_eoi)
{
	vcpu_call(vcpu, eois, PAGE(20));
	EXPECT_EQ(1, harvest());
	EXPECT_TRUE(dirty[20]);
}

/* ---- as live migration does it ---- */

static volatile bool stop, stopped;

/* Writes over all pages until told to stop. */
static u64 scribble(u64 seed)
{
	u64 rounds = 0;

	while (!stop) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		write32(VM_RAM + (seed >> 40) % SIZE / 4 * 4, seed >> 30);
		rounds++;
	}
	return rounds;
}

static void copy_dirty(u64 *copy)
{
	harvest();
	for (u32 i = 0; i < PAGES; i++)
		if (dirty[i])
			memcpy(copy + i * 512, ram + i * 512, PAGE_SIZE);
}

static void *run_scribble(void *result)
{
	vcpu_start(vcpu, scribble, 42);
	/* A ring that is full is left to the other thread. */
	while (vcpu_enter(vcpu) == KVM_EXIT_DIRTY_RING_FULL)
		usleep(100);
	*(u32 *)result = vcpu->run->exit_reason;
	stopped = true;
	return NULL;
}

TEST_F(log, copying_what_is_dirty_until_the_guest_stops_gives_all_its_memory)
{
	u64 *copy = calloc(1, SIZE);
	pthread_t thread;
	u32 reason = 0;

	stop = stopped = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_scribble, &reason));
	for (int i = 0; i < 100; i++) {
		copy_dirty(copy);
		usleep(1000);
	}
	stop = true;
	while (!stopped) {		/* it may still have to leave a full ring */
		copy_dirty(copy);
		usleep(1000);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(KVM_EXIT_IO, reason);
	copy_dirty(copy);
	EXPECT_EQ(0, memcmp(ram, copy, SIZE));
	free(copy);
}

/* ---- KVM_CLEAR_DIRTY_LOG ---- */

enum { MANUAL = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, ALL_SET = KVM_DIRTY_LOG_INITIALLY_SET };

FIXTURE(clear) {
	struct vm vm;
};

FIXTURE_SETUP(clear)
{
	vm = &self->vm;
	vcpu = vm_create_one(vm, 0);
	ring = NULL;
	by_hand = true;
}

FIXTURE_TEARDOWN(clear)
{
	vm_destroy(vm);
}

static void begin_log(u64 flags)
{
	die_unless(!enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, flags));
	ram = vm_add_ram(vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
}

static u64 bitmap[PAGES / 64];

TEST_F(clear, capability_tells_both_flags)
{
	EXPECT_EQ(MANUAL | ALL_SET, kvm_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
}

TEST_F(clear, flags_that_make_no_sense_are_refused)
{
	EXPECT_EQ(EINVAL, errno_of(enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, ALL_SET)));
	EXPECT_EQ(EINVAL, errno_of(enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 4)));
	EXPECT_EQ(EINVAL, errno_of(enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1ULL << 32)));
	EXPECT_EQ(0, errno_of(enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, MANUAL | ALL_SET)));
	EXPECT_EQ(0, errno_of(enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0)));
}

TEST_F(clear, turned_off_again_reading_clears)
{
	begin_log(MANUAL);
	ASSERT_EQ(0, enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0));
	vcpu_call(vcpu, write_chosen, 3);
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(0x23, bitmap[0]);
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(0, bitmap[0]);
}

TEST_F(clear, works_also_where_reading_clears)
{
	u64 all = -1;

	begin_log(0);
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, clear_log(SLOT_TEST, 0, 64, &all));
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(0, bitmap[0]);
	EXPECT_EQ(1ULL << 63 | 1, bitmap[1]);
}

TEST_F(clear, reading_leaves_the_log_as_it_is)
{
	begin_log(MANUAL);
	vcpu_call(vcpu, write_chosen, 6);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
		EXPECT_EQ(1ULL << 63 | 0x23, bitmap[0]);
		EXPECT_EQ(1ULL << 63 | 1, bitmap[1]);
	}
}

TEST_F(clear, clears_what_it_is_given_and_no_more)
{
	u64 some = 1 << 1 | 1 << 5 | 1 << 7;

	begin_log(MANUAL);
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, clear_log(SLOT_TEST, 0, 64, &some));
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(1ULL << 63 | 1, bitmap[0]);
	EXPECT_EQ(1ULL << 63 | 1, bitmap[1]);
}

TEST_F(clear, first_page_is_the_first_bit)
{
	u64 one = 1;

	begin_log(MANUAL);
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, clear_log(SLOT_TEST, 64, 64, &one));
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(1ULL << 63 | 0x23, bitmap[0]);
	EXPECT_EQ(1ULL << 63, bitmap[1]);
}

TEST_F(clear, a_page_that_was_cleared_is_logged_again)
{
	begin_log(MANUAL);
	for (int i = 0; i < 3; i++) {
		vcpu_call(vcpu, write_chosen, 6);
		EXPECT_EQ(6, harvest());
		EXPECT_EQ(0, harvest());
	}
}

TEST_F(clear, refuses_a_range_that_is_not_of_whole_words)
{
	u64 bits[3] = {};

	begin_log(MANUAL);
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 1, 64, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 32, 64, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 0, 63, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 0, 1, bits)));
	EXPECT_EQ(0, errno_of(clear_log(SLOT_TEST, 0, 0, bits)));
}

TEST_F(clear, refuses_a_range_beyond_the_slot)
{
	u64 bits[3] = {};

	begin_log(MANUAL);
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 0, PAGES + 64, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 64, PAGES, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, PAGES + 64, 64, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, -64ULL, 64, bits)));
	EXPECT_EQ(0, errno_of(clear_log(SLOT_TEST, PAGES, 0, bits)));
}

TEST_F(clear, the_last_word_of_a_slot_may_be_a_part)
{
	u64 bits[2] = { -1, -1 };

	ASSERT_EQ(0, enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, MANUAL | ALL_SET));
	vm_add_ram(vm, SLOT_TEST, VM_RAM, 100 * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(-1ULL, bitmap[0]);
	EXPECT_EQ((1ULL << 36) - 1, bitmap[1]);
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 64, 35, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(SLOT_TEST, 64, 64, bits)));
	EXPECT_EQ(0, errno_of(clear_log(SLOT_TEST, 64, 36, bits)));
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(-1ULL, bitmap[0]);
	EXPECT_EQ(0, bitmap[1]);
	EXPECT_EQ(0, errno_of(clear_log(SLOT_TEST, 0, 100, bits)));
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(0, bitmap[0]);
}

TEST_F(clear, refuses_slots_without_a_log)
{
	u64 bits[2] = {};

	begin_log(MANUAL);
	vm_add_ram(vm, SLOT_TEST + 1, VM_RAM + SIZE, SIZE, 0);
	EXPECT_EQ(ENOENT, errno_of(clear_log(SLOT_TEST + 1, 0, 64, bits)));
	EXPECT_EQ(ENOENT, errno_of(clear_log(SLOT_TEST + 2, 0, 64, bits)));
	EXPECT_EQ(ENOENT, errno_of(clear_log(1 << 16 | SLOT_TEST, 0, 64, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(2 << 16 | SLOT_TEST, 0, 64, bits)));
	EXPECT_EQ(EINVAL, errno_of(clear_log(kvm_cap(KVM_CAP_NR_MEMSLOTS), 0, 64, bits)));
}

TEST_F(clear, a_bitmap_that_cannot_be_read_clears_nothing)
{
	u8 *two = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 *end = (u64 *)(two + PAGE_SIZE) - 1;

	begin_log(MANUAL);
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, munmap(two + PAGE_SIZE, PAGE_SIZE));
	*end = -1;
	EXPECT_EQ(EFAULT, errno_of(clear_log(SLOT_TEST, 0, PAGES, end)));
	EXPECT_EQ(EFAULT, errno_of(clear_log(SLOT_TEST, 0, PAGES, (u64 *)8)));
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(1ULL << 63 | 0x23, bitmap[0]);
}

/* ---- all bits set at first: write rights go only where bits do ---- */

TEST_F(clear, a_log_may_begin_with_all_bits_set)
{
	begin_log(MANUAL | ALL_SET);
	EXPECT_EQ(PAGES, harvest());
	vcpu_call(vcpu, write_chosen, 6);
	EXPECT_EQ(6, harvest());
}

TEST_F(clear, bits_that_are_not_cleared_stay_whatever_the_guest_does)
{
	u64 some = 0xff;

	begin_log(MANUAL | ALL_SET);
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, clear_log(SLOT_TEST, 0, 64, &some));
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, get_log(SLOT_TEST, bitmap));
	EXPECT_EQ(~0xffULL | 0x23, bitmap[0]);
	EXPECT_EQ(-1ULL, bitmap[1]);
}

TEST_F(clear, logging_that_begins_with_all_bits_set_may_begin_again)
{
	begin_log(MANUAL | ALL_SET);
	EXPECT_EQ(PAGES, harvest());
	ASSERT_EQ(0, vm_set_slot(vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, vm_set_slot(vm, SLOT_TEST, VM_RAM, SIZE, ram, KVM_MEM_LOG_DIRTY_PAGES));
	EXPECT_EQ(PAGES, harvest());
	vcpu_call(vcpu, write_chosen, 2);
	EXPECT_EQ(2, harvest());
}

enum { LARGE_PAGE = 2 * MiB, LARGE_PAGES = 512 };

/* Pages that are mapped large, and writable, when the log begins. */
TEST_F(clear, small_pages_are_logged_of_large_ones_that_were_mapped_before)
{
	u64 bits[LARGE_PAGES / 64];
	u32 total = 0;
	u8 *p = mmap(NULL, 2 * LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_EQ(0, enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, MANUAL | ALL_SET));
	p = (u8 *)(((u64)p + LARGE_PAGE - 1) & -(u64)LARGE_PAGE);
	madvise(p, LARGE_PAGE, MADV_HUGEPAGE);
	ASSERT_EQ(0, vm_set_slot(vm, SLOT_TEST, VM_RAM, LARGE_PAGE, p, 0));
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, vm_set_slot(vm, SLOT_TEST, VM_RAM, LARGE_PAGE, p, KVM_MEM_LOG_DIRTY_PAGES));
	memset(bits, 0xff, sizeof(bits));
	ASSERT_EQ(0, clear_log(SLOT_TEST, 0, 128, bits));
	vcpu_call(vcpu, write_chosen, 6);
	ASSERT_EQ(0, get_log(SLOT_TEST, bits));
	EXPECT_EQ(1ULL << 63 | 0x23, bits[0]);
	EXPECT_EQ(1ULL << 63 | 1, bits[1]);
	for (u32 i = 2; i < ARRAY_SIZE(bits); i++)
		total += __builtin_popcountll(bits[i]);
	EXPECT_EQ(LARGE_PAGES - 128, total);
}

TEST_HARNESS_MAIN
