// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty ring as such: api.rst, KVM_CAP_DIRTY_LOG_RING.  That it has what
 * the bitmap would have is in dirty_log.c.
 */
#include "test.h"

enum {
	PAGES = 2048,
	BYTES = 16384,			/* what a CPU with a page-modification log needs at least */
	ENTRIES = BYTES / sizeof(struct kvm_dirty_gfn),
	MAX_BYTES = 1 << 20,
};
#define SIZE (PAGES * PAGE_SIZE)

FIXTURE(ring) {
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_dirty_gfn *ring;
	u8 *ram;
};

static int enable(struct vm *vm, u32 cap, u64 bytes)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = bytes };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable);
}

static struct kvm_dirty_gfn *map_ring(struct vcpu *vcpu)
{
	void *ring = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
			  KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);

	die_unless(ring != MAP_FAILED);
	return ring;
}

FIXTURE_SETUP(ring)
{
	vm_create(&self->vm, 0);
	die_unless(!enable(&self->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, BYTES));
	self->vcpu = vm_add_vcpu(&self->vm, 0);
	self->ring = map_ring(self->vcpu);
	self->ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
}

FIXTURE_TEARDOWN(ring)
{
	munmap(self->ring, BYTES);
	vm_destroy(&self->vm);
}

static u64 write_pages(u64 count)
{
	for (u64 i = 0; i < count; i++)
		write8(VM_RAM + i * PAGE_SIZE, 1);
	return count;
}

static bool is_dirty(const struct kvm_dirty_gfn *entry)
{
	return __atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) == KVM_DIRTY_GFN_F_DIRTY;
}

/* Say of @count entries from @first on that they are collected. */
static void collect(struct kvm_dirty_gfn *ring, u32 first, u32 count)
{
	for (u32 i = first; i < first + count; i++)
		__atomic_store_n(&ring[i % ENTRIES].flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
}

static u32 count_dirty(const struct kvm_dirty_gfn *ring)
{
	u32 count = 0;

	for (u32 i = 0; i < ENTRIES; i++)
		count += is_dirty(&ring[i]);
	return count;
}

static int reset(struct vm *vm)
{
	return ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, 0);
}

/* ---- what it takes to have one ---- */

TEST(both_capabilities_tell_the_largest_ring)
{
	EXPECT_EQ(MAX_BYTES, kvm_cap(KVM_CAP_DIRTY_LOG_RING));
	EXPECT_EQ(MAX_BYTES, kvm_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL));
}

TEST(sizes_that_cannot_be_are_refused)
{
	struct vm vm;

	vm_create_bare(&vm);
	EXPECT_EQ(EINVAL, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, 0)));
	EXPECT_EQ(EINVAL, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, 2048)));
	EXPECT_EQ(EINVAL, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, 3 * 4096)));
	EXPECT_EQ(EINVAL, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, BYTES + 16)));
	EXPECT_EQ(E2BIG, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, 2 * MAX_BYTES)));
	EXPECT_EQ(EINVAL, errno_of(ioctl(vm.fd, KVM_RESET_DIRTY_RINGS, 0)));
	EXPECT_EQ(0, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, MAX_BYTES)));
	vm_destroy(&vm);
}

TEST_F(ring, it_is_chosen_once)
{
	EXPECT_EQ(EINVAL, errno_of(enable(&self->vm, KVM_CAP_DIRTY_LOG_RING, BYTES)));
	EXPECT_EQ(EINVAL, errno_of(enable(&self->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, 2 * BYTES)));
}

TEST(it_is_chosen_before_the_first_vcpu)
{
	struct vm vm;

	vm_create_one(&vm, 0);
	EXPECT_EQ(EINVAL, errno_of(enable(&vm, KVM_CAP_DIRTY_LOG_RING, BYTES)));
	vm_destroy(&vm);
}

TEST_F(ring, bitmaps_are_no_more)
{
	u64 bitmap[PAGES / 64] = {};
	struct kvm_dirty_log log = { .slot = SLOT_TEST, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = {
		.slot = SLOT_TEST, .num_pages = 64, .dirty_bitmap = bitmap,
	};

	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log)));
	EXPECT_EQ(ENXIO, errno_of(ioctl(self->vm.fd, KVM_CLEAR_DIRTY_LOG, &clear)));
}

static void *try_mmap(struct vcpu *vcpu, u64 pages, u64 pgoff, int prot, int flags)
{
	return mmap(NULL, pages * PAGE_SIZE, prot, flags, vcpu->fd, pgoff * PAGE_SIZE);
}

TEST_F(ring, it_is_mapped_shared_and_without_execute)
{
	int rw = PROT_READ | PROT_WRITE, at = KVM_DIRTY_LOG_PAGE_OFFSET;

	EXPECT_EQ(MAP_FAILED, try_mmap(self->vcpu, 4, at, rw, MAP_PRIVATE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, try_mmap(self->vcpu, 4, at, rw | PROT_EXEC, MAP_SHARED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, try_mmap(self->vcpu, 2, at - 1, rw, MAP_PRIVATE));
	EXPECT_EQ(MAP_FAILED, try_mmap(self->vcpu, 2, at + 3, rw, MAP_PRIVATE));
	EXPECT_NE(MAP_FAILED, try_mmap(self->vcpu, 1, at + 4, rw, MAP_PRIVATE));
}

TEST_F(ring, the_other_pages_of_a_vcpu_are_as_many_as_without)
{
	EXPECT_EQ(3 * PAGE_SIZE, ioctl(self->vm.dev, KVM_GET_VCPU_MMAP_SIZE, 0));
}

/* ---- what is in it ---- */

TEST_F(ring, entries_name_slot_and_page_in_the_order_of_writes)
{
	vcpu_call(self->vcpu, write_pages, 20);
	EXPECT_EQ(20, count_dirty(self->ring));
	for (u32 i = 0; i < 20; i++) {
		EXPECT_TRUE(is_dirty(&self->ring[i]));
		EXPECT_EQ(SLOT_TEST, self->ring[i].slot);
		EXPECT_EQ(i, self->ring[i].offset);
	}
}

TEST_F(ring, a_page_that_may_be_written_is_pushed_once)
{
	vcpu_call(self->vcpu, write_pages, 5);
	vcpu_call(self->vcpu, write_pages, 5);
	EXPECT_EQ(5, count_dirty(self->ring));
}

TEST_F(ring, slots_that_do_not_log_push_nothing)
{
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, self->ram, 0));
	vcpu_call(self->vcpu, write_pages, 20);
	EXPECT_EQ(0, count_dirty(self->ring));
}

TEST_F(ring, logging_can_begin_when_pages_are_mapped_already)
{
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, self->ram, 0));
	vcpu_call(self->vcpu, write_pages, 20);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, self->ram,
				 KVM_MEM_LOG_DIRTY_PAGES));
	vcpu_call(self->vcpu, write_pages, 3);
	EXPECT_EQ(3, count_dirty(self->ring));
}

TEST_F(ring, each_vcpu_has_its_own)
{
	struct vcpu *other = vm_add_vcpu(&self->vm, 1);
	struct kvm_dirty_gfn *ring = map_ring(other);

	vcpu_call(self->vcpu, write_pages, 2);
	vcpu_call(other, write_pages, 5);
	EXPECT_EQ(2, count_dirty(self->ring));
	EXPECT_EQ(3, count_dirty(ring));
	EXPECT_EQ(2, ring[0].offset);
	collect(self->ring, 0, 2);
	collect(ring, 0, 3);
	EXPECT_EQ(5, reset(&self->vm));
	munmap(ring, BYTES);
}

/* ---- reset ---- */

TEST_F(ring, reset_takes_what_was_collected_and_no_more)
{
	vcpu_call(self->vcpu, write_pages, 20);
	EXPECT_EQ(0, reset(&self->vm));
	collect(self->ring, 0, 7);
	EXPECT_EQ(7, reset(&self->vm));
	EXPECT_EQ(0, self->ring[6].flags);
	EXPECT_EQ(13, count_dirty(self->ring));
	EXPECT_EQ(0, reset(&self->vm));
}

TEST_F(ring, what_was_reset_is_pushed_again_and_the_rest_is_not)
{
	vcpu_call(self->vcpu, write_pages, 20);
	collect(self->ring, 0, 7);
	reset(&self->vm);
	vcpu_call(self->vcpu, write_pages, 20);
	EXPECT_EQ(20, count_dirty(self->ring));
	for (u32 i = 0; i < 7; i++)
		EXPECT_EQ(i, self->ring[20 + i].offset);
}

/* api.rst: in order; what comes after one that was left out is not taken. */
TEST_F(ring, reset_stops_at_an_entry_that_was_not_collected)
{
	vcpu_call(self->vcpu, write_pages, 20);
	collect(self->ring, 5, 5);
	EXPECT_EQ(0, reset(&self->vm));
	collect(self->ring, 0, 5);
	EXPECT_EQ(10, reset(&self->vm));
}

TEST_F(ring, nonsense_in_entries_does_no_harm)
{
	static const struct kvm_dirty_gfn nonsense[] = {
		{ .slot = 77 }, { .slot = 0xffffffff }, { .slot = 2 << 16 | SLOT_TEST },
		{ .slot = 0x7fff }, { .slot = SLOT_TEST, .offset = PAGES },
		{ .slot = SLOT_TEST, .offset = -1ULL }, { .slot = 1 << 16 | SLOT_TEST },
	};

	vcpu_call(self->vcpu, write_pages, 20);
	memcpy(self->ring, nonsense, sizeof(nonsense));
	collect(self->ring, 0, 20);
	EXPECT_EQ(20, reset(&self->vm));
	vcpu_call(self->vcpu, write_pages, 20);
	EXPECT_EQ(20 - ARRAY_SIZE(nonsense), count_dirty(self->ring));
}

/* ---- full ---- */

static u32 run_until_full(struct vcpu *vcpu)
{
	u32 reason = vcpu_enter(vcpu);

	die_unless(reason == KVM_EXIT_DIRTY_RING_FULL || reason == KVM_EXIT_IO);
	return reason;
}

TEST_F(ring, the_vcpu_leaves_before_it_is_full)
{
	vcpu_start(self->vcpu, write_pages, PAGES);
	EXPECT_EQ(KVM_EXIT_DIRTY_RING_FULL, run_until_full(self->vcpu));
	EXPECT_GE(count_dirty(self->ring), ENTRIES / 4);
	EXPECT_LE(count_dirty(self->ring), ENTRIES - 32);
	/* And again, until there is room. */
	EXPECT_EQ(KVM_EXIT_DIRTY_RING_FULL, run_until_full(self->vcpu));
	EXPECT_EQ(0, reset(&self->vm));
	EXPECT_EQ(KVM_EXIT_DIRTY_RING_FULL, run_until_full(self->vcpu));
}

TEST_F(ring, room_for_a_few_lets_it_write_a_few)
{
	u32 before;

	vcpu_start(self->vcpu, write_pages, PAGES);
	EXPECT_EQ(KVM_EXIT_DIRTY_RING_FULL, run_until_full(self->vcpu));
	before = count_dirty(self->ring);
	collect(self->ring, 0, 10);
	EXPECT_EQ(10, reset(&self->vm));
	EXPECT_EQ(KVM_EXIT_DIRTY_RING_FULL, run_until_full(self->vcpu));
	EXPECT_EQ(before, count_dirty(self->ring));
}

static u64 ins_over_two_pages(u64 gpa)
{
	u64 count = PAGE_SIZE + 1;

	asm volatile("rep insb" : "+D"(gpa), "+c"(count) : "d"(0x1234) : "memory");
	return 0;
}

static u32 times_dirty(const struct kvm_dirty_gfn *ring, u64 page)
{
	u32 count = 0;

	for (u32 i = 0; i < ENTRIES; i++)
		count += is_dirty(&ring[i]) && ring[i].offset == page;
	return count;
}

/* User space gives all that goes into a page at one exit. */
TEST_F(ring, a_string_from_a_port_does_not_fill_it)
{
	struct kvm_run *run = self->vcpu->run;

	vcpu_start(self->vcpu, write_pages, PAGES);
	ASSERT_EQ(KVM_EXIT_DIRTY_RING_FULL, run_until_full(self->vcpu));
	collect(self->ring, 0, 100);
	ASSERT_EQ(100, reset(&self->vm));
	vcpu_start(self->vcpu, ins_over_two_pages, VM_RAM + (PAGES - 2) * PAGE_SIZE);
	while (run_until_full(self->vcpu) == KVM_EXIT_IO && run->io.port == 0x1234)
		;
	EXPECT_EQ(1, times_dirty(self->ring, PAGES - 2));
	EXPECT_EQ(1, times_dirty(self->ring, PAGES - 1));
}

TEST_F(ring, it_goes_round_and_nothing_is_lost)
{
	static u8 seen[PAGES];
	u32 next = 0, reason;

	vcpu_start(self->vcpu, write_pages, PAGES);
	do {
		u32 first = next;

		reason = run_until_full(self->vcpu);
		for (; is_dirty(&self->ring[next % ENTRIES]) && next - first < ENTRIES; next++)
			seen[self->ring[next % ENTRIES].offset]++;
		collect(self->ring, first, next - first);
		EXPECT_EQ(next - first, reset(&self->vm));
	} while (reason != KVM_EXIT_IO);
	/* A page may be there twice: pushed, then write-protected before the write came to pass. */
	for (u32 i = 0; i < PAGES; i++)
		ASSERT_GE(seen[i], 1);
}

TEST_HARNESS_MAIN
