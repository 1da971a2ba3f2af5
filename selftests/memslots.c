// SPDX-License-Identifier: GPL-2.0
/* Memory slots: what they take, what they refuse, and the dirty log. */
#include "test.h"
#include <linux/userfaultfd.h>
#include <sys/syscall.h>

FIXTURE(slots) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(slots)
{
	self->vcpu = vm_create_one(&self->vm, 0);
}

FIXTURE_TEARDOWN(slots)
{
	vm_destroy(&self->vm);
}

enum { PAGES = 128 };
#define SIZE (PAGES * PAGE_SIZE)

static void *anonymous(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	die_unless(p != MAP_FAILED);
	return p;
}

static u64 load(u64 gpa)
{
	return read64(gpa);
}

static u64 store_and_load(u64 gpa)
{
	write64(gpa, gpa ^ 0x5555);
	return read64(gpa);
}

TEST_F(slots, guest_and_host_see_each_others_writes)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	ram[100] = 0x1234;
	EXPECT_EQ(0x1234, vcpu_call(self->vcpu, load, VM_RAM + 800));
	vcpu_call(self->vcpu, store_and_load, VM_RAM + 8 * 700);
	EXPECT_EQ((VM_RAM + 8 * 700) ^ 0x5555, ram[700]);
}

TEST_F(slots, access_outside_any_slot_is_mmio)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	vcpu_start(self->vcpu, load, VM_RAM + SIZE);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VM_RAM + SIZE, self->vcpu->run->mmio.phys_addr);
}

TEST_F(slots, a_slot_may_lie_high)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, 1ULL << 38, SIZE, 0);

	vm_map(VM_UNMAPPED, 1ULL << 38, X86_PTE_P | X86_PTE_W);
	ram[1] = 99;
	EXPECT_EQ(99, vcpu_call(self->vcpu, load, VM_UNMAPPED + 8));
}

TEST_F(slots, a_deleted_slot_is_mmio)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	vcpu_call(self->vcpu, store_and_load, VM_RAM);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, 0, NULL, 0));
	vcpu_start(self->vcpu, load, VM_RAM);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

TEST_F(slots, a_moved_slot_is_at_its_new_place_only)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	u64 target = VM_RAM + 16 * MiB;

	ram[0] = 7;
	vcpu_call(self->vcpu, load, VM_RAM);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, target, SIZE, ram, 0)) TH_LOG("%m");
	EXPECT_EQ(7, vcpu_call(self->vcpu, load, target));
	vcpu_start(self->vcpu, load, VM_RAM);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

TEST_F(slots, a_slot_can_be_made_again_after_deletion)
{
	u64 *first = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0), *second;

	first[0] = 1;
	EXPECT_EQ(1, vcpu_call(self->vcpu, load, VM_RAM));
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, 0, NULL, 0));
	second = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 2 * SIZE, 0);
	second[0] = 2;
	EXPECT_EQ(2, vcpu_call(self->vcpu, load, VM_RAM));
}

TEST_F(slots, two_slots_may_share_their_memory)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST + 1, VM_RAM + SIZE, SIZE, ram, 0));
	vcpu_call(self->vcpu, store_and_load, VM_RAM + 8);
	EXPECT_EQ((VM_RAM + 8) ^ 0x5555, vcpu_call(self->vcpu, load, VM_RAM + SIZE + 8));
}

static u64 sum_of_pages(u64 count)
{
	u64 sum = 0;

	for (u64 i = 0; i < count; i++)
		sum += read64(VM_RAM + 2 * i * PAGE_SIZE);
	return sum;
}

TEST_F(slots, four_hundred_slots)
{
	u64 *ram = anonymous(400 * PAGE_SIZE);

	/* In an order that is neither up nor down, so that finding one is put to the test. */
	for (u32 i = 0; i < 400; i++) {
		u32 n = i * 173 % 400;

		ram[n * 512] = n;
		ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST + n, VM_RAM + 2 * n * PAGE_SIZE,
					 PAGE_SIZE, ram + n * 512, 0)) TH_LOG("%u: %m", n);
	}
	EXPECT_EQ(400 * 399 / 2, vcpu_call(self->vcpu, sum_of_pages, 400));
}

TEST_F(slots, four_thousand_slots)
{
	enum { COUNT = 4000 };
	u64 *ram = anonymous(COUNT * PAGE_SIZE), half = COUNT / 2;

	for (u32 i = 0; i < COUNT; i++) {
		ram[i * 512] = i;
		ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST + i, VM_RAM + 2 * i * PAGE_SIZE,
					 PAGE_SIZE, ram + i * 512, 0)) TH_LOG("%u: %m", i);
	}
	EXPECT_EQ(COUNT * (COUNT - 1) / 2, vcpu_call(self->vcpu, sum_of_pages, COUNT));
	for (u32 i = half; i < COUNT; i += 100)
		ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST + i, VM_RAM, 0, NULL, 0));
	EXPECT_EQ(half * (half - 1) / 2, vcpu_call(self->vcpu, sum_of_pages, half));
	vcpu_start(self->vcpu, load, VM_RAM + 2 * half * PAGE_SIZE);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

/* ---- what is refused: api.rst, KVM_SET_USER_MEMORY_REGION ---- */

#define REFUSED(error, slot, gpa, size, hva, flags) \
	EXPECT_EQ(error, errno_of(vm_set_slot(&self->vm, slot, gpa, size, hva, flags)))

TEST_F(slots, overlapping_slots_are_refused)
{
	void *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	REFUSED(EEXIST, SLOT_TEST + 1, VM_RAM + SIZE - PAGE_SIZE, SIZE, ram, 0);
	REFUSED(EEXIST, SLOT_TEST + 1, VM_RAM - PAGE_SIZE, 2 * PAGE_SIZE, ram, 0);
	REFUSED(EEXIST, SLOT_TEST + 1, VM_RAM + PAGE_SIZE, PAGE_SIZE, ram, 0);
	REFUSED(0, SLOT_TEST + 1, VM_RAM + SIZE, PAGE_SIZE, ram, 0);
}

TEST_F(slots, a_refused_slot_leaves_nothing_behind)
{
	void *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	REFUSED(EEXIST, SLOT_TEST + 1, VM_RAM + SIZE - PAGE_SIZE, SIZE, ram, 0);
	vcpu_start(self->vcpu, load, VM_RAM + SIZE);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

TEST_F(slots, unaligned_values_are_refused)
{
	u8 *ram = anonymous(2 * SIZE);

	REFUSED(EINVAL, SLOT_TEST, VM_RAM + 0x800, SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE + 0x800, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE, ram + 0x800, 0);
}

TEST_F(slots, an_end_beyond_the_address_space_is_refused)
{
	REFUSED(EINVAL, SLOT_TEST, -SIZE, 2 * SIZE, anonymous(2 * SIZE), 0);
}

TEST_F(slots, a_kernel_address_is_refused)
{
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE, (void *)0xffff888000000000, 0);
}

TEST_F(slots, a_slot_number_beyond_the_limit_is_refused)
{
	int max = kvm_cap(KVM_CAP_NR_MEMSLOTS);

	EXPECT_GE(max, 32);
	REFUSED(EINVAL, max, VM_RAM, SIZE, anonymous(SIZE), 0);
}

TEST_F(slots, unknown_flags_are_refused)
{
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE, anonymous(SIZE), 1 << 7);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE, anonymous(SIZE), 1u << 31);
}

TEST_F(slots, deleting_what_is_not_there_is_refused)
{
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, 0, NULL, 0);
}

TEST_F(slots, size_and_backing_of_a_slot_cannot_change)
{
	u8 *ram = anonymous(2 * SIZE);

	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, 2 * SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE / 2, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE, ram + SIZE, 0);
}

TEST_F(slots, ids_go_up_to_the_limit)
{
	int max = kvm_cap(KVM_CAP_NR_MEMSLOTS);
	u64 *ram = anonymous(SIZE);

	ram[0] = 8;
	REFUSED(0, max - 1, VM_RAM, SIZE, ram, 0);
	EXPECT_EQ(8, vcpu_call(self->vcpu, load, VM_RAM));
	REFUSED(EEXIST, max - 2, VM_RAM, SIZE, ram, 0);
	REFUSED(0, max - 1, VM_RAM, 0, NULL, 0);
	REFUSED(0, max - 2, VM_RAM, SIZE, ram, 0);
}

TEST_F(slots, addresses_beyond_the_cpus_are_refused)
{
	void *ram = anonymous(SIZE);

	REFUSED(EINVAL, SLOT_TEST, 1ULL << 52, SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, (1ULL << 52) - PAGE_SIZE, SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, -SIZE, SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, -PAGE_SIZE, PAGE_SIZE, ram, 0);
	/* A slot that is there is not moved there, and stays. */
	REFUSED(0, SLOT_TEST, VM_RAM, SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, 1ULL << 52, SIZE, ram, 0);
	vcpu_call(self->vcpu, store_and_load, VM_RAM);
}

TEST_F(slots, a_slot_of_more_pages_than_can_be_numbered_is_refused)
{
	REFUSED(EINVAL, SLOT_TEST, 0x100000000, (1ULL << 31) * PAGE_SIZE, (void *)0x100000, 0);
}

/* What an id names decides, not where the caller believes it is. */
TEST_F(slots, deletion_looks_at_the_id_only)
{
	void *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	REFUSED(EINVAL, SLOT_TEST, VM_RAM, 0, NULL, 1 << 7);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM + 1, 0, NULL, 0);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, 0, ram + 1, 0);
	REFUSED(0, SLOT_TEST, VM_MMIO, 0, ram + PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, 0, NULL, 0);
}

TEST_F(slots, a_slot_may_move_over_itself_but_not_over_others)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vm_add_ram(&self->vm, SLOT_TEST + 1, VM_RAM + 2 * SIZE, SIZE, 0);
	ram[0] = 3;
	vcpu_call(self->vcpu, load, VM_RAM);
	REFUSED(0, SLOT_TEST, VM_RAM + PAGE_SIZE, SIZE, ram, 0);
	EXPECT_EQ(3, vcpu_call(self->vcpu, load, VM_RAM + PAGE_SIZE));
	REFUSED(0, SLOT_TEST, VM_RAM + SIZE, SIZE, ram, 0);
	REFUSED(EEXIST, SLOT_TEST, VM_RAM + SIZE + PAGE_SIZE, SIZE, ram, 0);
	EXPECT_EQ(3, vcpu_call(self->vcpu, load, VM_RAM + SIZE));
	REFUSED(0, SLOT_TEST, VM_RAM + 3 * SIZE, SIZE, ram, 0);
	EXPECT_EQ(3, vcpu_call(self->vcpu, load, VM_RAM + 3 * SIZE));
}

TEST_F(slots, a_slot_may_move_and_begin_to_log_at_once)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_call(self->vcpu, store_and_load, VM_RAM);
	REFUSED(0, SLOT_TEST, VM_RAM + SIZE, SIZE, ram, KVM_MEM_LOG_DIRTY_PAGES);
	REFUSED(EEXIST, SLOT_TEST + 1, VM_RAM + SIZE, SIZE, ram, 0);
	REFUSED(0, SLOT_TEST, VM_RAM, SIZE, ram, 0);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM + SIZE, SIZE, ram, KVM_MEM_READONLY);
}

TEST_F(slots, a_slot_cannot_become_read_only)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	NEED_CAP(KVM_CAP_READONLY_MEM);
	REFUSED(EINVAL, SLOT_TEST, VM_RAM, SIZE, ram, KVM_MEM_READONLY);
}

TEST_F(slots, setting_a_slot_as_it_is_does_nothing)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	REFUSED(0, SLOT_TEST, VM_RAM, SIZE, ram, 0);
}

/* ---- a second address space: KVM_CAP_MULTI_ADDRESS_SPACE ---- */

enum { SMM_SPACE = 1 << 16 };

TEST_F(slots, address_spaces_are_two)
{
	EXPECT_EQ(2, kvm_cap(KVM_CAP_MULTI_ADDRESS_SPACE));
	REFUSED(EINVAL, 2 * SMM_SPACE + SLOT_TEST, VM_RAM, SIZE, anonymous(SIZE), 0);
	REFUSED(EINVAL, SMM_SPACE + kvm_cap(KVM_CAP_NR_MEMSLOTS), VM_RAM, SIZE, anonymous(SIZE), 0);
}

TEST_F(slots, address_spaces_do_not_overlap_each_other)
{
	void *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	REFUSED(0, SMM_SPACE + SLOT_TEST, VM_RAM, SIZE, ram, 0);
	REFUSED(EEXIST, SMM_SPACE + SLOT_TEST + 1, VM_RAM, SIZE, ram, 0);
	REFUSED(0, SLOT_TEST, VM_RAM, 0, NULL, 0);
	REFUSED(EEXIST, SMM_SPACE + SLOT_TEST + 1, VM_RAM, SIZE, ram, 0);
	REFUSED(0, SMM_SPACE + SLOT_TEST, VM_RAM, 0, NULL, 0);
	REFUSED(EINVAL, SMM_SPACE + SLOT_TEST, VM_RAM, 0, NULL, 0);
}

TEST_F(slots, a_slot_of_the_other_address_space_is_not_seen)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	u64 *other = vm_add_ram(&self->vm, SMM_SPACE + SLOT_TEST, VM_RAM, 2 * SIZE, 0);

	ram[0] = 5;
	other[0] = 6;
	EXPECT_EQ(5, vcpu_call(self->vcpu, load, VM_RAM));
	vcpu_start(self->vcpu, load, VM_RAM + SIZE);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

/* ---- read-only slots ---- */

TEST_F(slots, a_read_only_slot_is_read_without_exits)
{
	u64 *rom;

	NEED_CAP(KVM_CAP_READONLY_MEM);
	rom = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_READONLY);
	rom[3] = 0x303;
	EXPECT_EQ(0x303, vcpu_call(self->vcpu, load, VM_RAM + 24));
}

TEST_F(slots, a_write_to_a_read_only_slot_is_mmio)
{
	struct kvm_run *run = self->vcpu->run;
	u64 *rom;

	NEED_CAP(KVM_CAP_READONLY_MEM);
	rom = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_READONLY);
	rom[3] = 0x303;
	vcpu_start(self->vcpu, store_and_load, VM_RAM + 24);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
	EXPECT_EQ(VM_RAM + 24, run->mmio.phys_addr);
	EXPECT_EQ(1, run->mmio.is_write);
	EXPECT_EQ(8, run->mmio.len);
	EXPECT_EQ(0x303, vcpu_finish(self->vcpu));
}

static u64 load_then_store(u64 gpa)
{
	u64 val = read64(gpa);

	write8(gpa, 1);
	return val;
}

TEST_F(slots, a_write_to_a_read_only_page_that_was_read_is_mmio)
{
	NEED_CAP(KVM_CAP_READONLY_MEM);
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_READONLY);
	vcpu_start(self->vcpu, load_then_store, VM_RAM);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

static u64 call(u64 gpa)
{
	return ((u64 (*)(void))gpa)();
}

TEST_F(slots, code_runs_from_a_read_only_slot)
{
	u8 *rom;

	NEED_CAP(KVM_CAP_READONLY_MEM);
	rom = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_READONLY);
	memcpy(rom, "\xb8\x11\x22\x33\x00\xc3", 6);	/* mov $0x332211, %eax; ret */
	EXPECT_EQ(0x332211, vcpu_call(self->vcpu, call, VM_RAM));
}

/* ---- the dirty log ---- */

static u64 dirty_log[PAGES / 64];

static int get_dirty_log(struct vm *vm, u32 slot, u64 *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);
}

static bool is_dirty(u32 page)
{
	return dirty_log[page / 64] >> page % 64 & 1;
}

static u32 count_dirty(void)
{
	return __builtin_popcountll(dirty_log[0]) + __builtin_popcountll(dirty_log[1]);
}

static const u32 chosen[] = { 0, 1, 5, 63, 64, 127 };

static u64 write_chosen(u64 count)
{
	for (u32 i = 0; i < count; i++)
		write8(VM_RAM + chosen[i] * PAGE_SIZE + i, 1);
	return 0;
}

static u64 read_all(u64 arg)
{
	u64 sum = 0;

	for (u32 i = 0; i < PAGES; i++)
		sum += read8(VM_RAM + i * PAGE_SIZE);
	return sum;
}

TEST_F(slots, the_dirty_log_has_the_pages_written_and_no_others)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	vcpu_call(self->vcpu, read_all, 0);
	vcpu_call(self->vcpu, write_chosen, ARRAY_SIZE(chosen));
	ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
	for (u32 i = 0; i < ARRAY_SIZE(chosen); i++)
		EXPECT_TRUE(is_dirty(chosen[i]));
	EXPECT_EQ(ARRAY_SIZE(chosen), count_dirty());
}

TEST_F(slots, reading_the_dirty_log_clears_it)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	vcpu_call(self->vcpu, write_chosen, 3);
	ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
	ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
	EXPECT_EQ(0, count_dirty());
}

TEST_F(slots, a_page_written_again_is_dirty_again)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	for (int i = 0; i < 5; i++) {
		vcpu_call(self->vcpu, write_chosen, 4);
		ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
		EXPECT_EQ(4, count_dirty());
		EXPECT_TRUE(is_dirty(chosen[3]));
	}
}

TEST_F(slots, logging_can_begin_when_pages_are_mapped_already)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_call(self->vcpu, write_chosen, 6);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, KVM_MEM_LOG_DIRTY_PAGES));
	vcpu_call(self->vcpu, write_chosen, 2);
	ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
	EXPECT_EQ(2, count_dirty());
}

TEST_F(slots, logging_can_end)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);

	vcpu_call(self->vcpu, write_chosen, 2);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	vcpu_call(self->vcpu, write_chosen, 6);
	EXPECT_EQ(ENOENT, errno_of(get_dirty_log(&self->vm, SLOT_TEST, dirty_log)));
}

static u64 insb(u64 gpa)
{
	asm volatile("insb" : "+D"(gpa) : "d"(0x1234) : "memory");
	return 0;
}

TEST_F(slots, writes_by_emulated_instructions_are_logged)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	vcpu_start(self->vcpu, insb, VM_RAM + 9 * PAGE_SIZE);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_enter(self->vcpu));
	vcpu_finish(self->vcpu);
	ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
	EXPECT_EQ(1, count_dirty());
	EXPECT_TRUE(is_dirty(9));
}

TEST_F(slots, the_guests_accessed_and_dirty_bits_are_logged)
{
	u64 *tables = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	u64 *pml4 = (u64 *)vm_cr3();

	/* A way through four tables in pages 0 to 2 of the slot to page 3. */
	pml4[1] = VM_RAM | X86_PTE_P | X86_PTE_W;
	tables[0] = (VM_RAM + PAGE_SIZE) | X86_PTE_P | X86_PTE_W;
	tables[512] = (VM_RAM + 2 * PAGE_SIZE) | X86_PTE_P | X86_PTE_W;
	tables[1024] = (VM_RAM + 3 * PAGE_SIZE) | X86_PTE_P | X86_PTE_W;
	vcpu_call(self->vcpu, store_and_load, 1ULL << 39);
	ASSERT_EQ(0, get_dirty_log(&self->vm, SLOT_TEST, dirty_log));
	EXPECT_TRUE(is_dirty(0) && is_dirty(1) && is_dirty(2) && is_dirty(3));
	EXPECT_EQ(4, count_dirty());
}

TEST_F(slots, dirty_log_of_a_slot_without_logging_is_enoent)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	EXPECT_EQ(ENOENT, errno_of(get_dirty_log(&self->vm, SLOT_TEST, dirty_log)));
	EXPECT_EQ(ENOENT, errno_of(get_dirty_log(&self->vm, SLOT_TEST + 1, dirty_log)));
	EXPECT_EQ(EINVAL, errno_of(get_dirty_log(&self->vm, 0x7fff, dirty_log)));
}

TEST_F(slots, dirty_log_to_a_bad_address_is_efault)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	EXPECT_EQ(EFAULT, errno_of(get_dirty_log(&self->vm, SLOT_TEST, (u64 *)8)));
}

/* ---- changes beside a running guest ---- */

static volatile bool stop;
static volatile u64 rounds;

static u64 touch_all(u64 arg)
{
	while (!stop) {
		for (u32 i = 0; i < PAGES; i++)
			write64(VM_RAM + i * PAGE_SIZE, i);
		rounds++;
	}
	return rounds;
}

TEST_F(slots, other_slots_come_and_go_while_the_guest_runs)
{
	u8 *ram = anonymous(SIZE);
	u64 *seen = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_spawn(self->vcpu, touch_all, 0);
	for (int i = 0; i < 100 || !rounds; i++) {
		ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST + 1, VM_RAM + SIZE, SIZE, ram, 0));
		ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST + 1, VM_RAM + SIZE, 0, ram, 0));
	}
	stop = true;
	EXPECT_GT(vcpu_join(self->vcpu), 0);
	EXPECT_EQ(5, seen[5 * 512]);
}

static void *enter_once(void *vcpu)
{
	return (void *)(u64)vcpu_enter(vcpu);
}

TEST_F(slots, a_slot_deleted_under_the_running_guest_is_mmio)
{
	pthread_t thread;
	void *reason;

	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	vcpu_start(self->vcpu, touch_all, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, enter_once, self->vcpu));
	usleep(50000);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, 0, NULL, 0));
	ASSERT_EQ(0, pthread_join(thread, &reason));
	EXPECT_EQ(KVM_EXIT_MMIO, (u64)reason);
}

/* ---- changes beside another VM ---- */

/* A page that nobody brings before give() does. */
static void *absent_page(int uffd)
{
	void *page = anonymous(PAGE_SIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (u64)page, PAGE_SIZE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	kvm_do(uffd, UFFDIO_API, &api);
	kvm_do(uffd, UFFDIO_REGISTER, &reg);
	return page;
}

static void give(int uffd, void *page)
{
	struct uffdio_zeropage zero = { .range = { (u64)page, PAGE_SIZE } };

	kvm_do(uffd, UFFDIO_ZEROPAGE, &zero);
}

static struct { struct vcpu *vcpu; void *page; } waiting;

static void *get_regs(void *arg)
{
	return (void *)(u64)errno_of(ioctl(waiting.vcpu->fd, KVM_GET_REGS, waiting.page));
}

static volatile bool deleted;

static void *delete_slot(void *vm)
{
	die_unless(!vm_set_slot(vm, SLOT_TEST, VM_RAM, 0, NULL, 0));
	deleted = true;
	return NULL;
}

/* Whoever maps a file of a file system of his own can let a copy wait for as long as he likes. */
TEST_F(slots, an_ioctl_that_waits_for_its_memory_holds_up_no_other_vm)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t waits, deletes;
	struct uffd_msg msg;
	struct vm other;
	void *error;

	NEED(uffd >= 0, "the kernel has no userfaultfd");
	vm_create_one(&other, 0);
	vm_add_ram(&other, SLOT_TEST, VM_RAM, SIZE, 0);
	waiting.vcpu = self->vcpu;
	waiting.page = absent_page(uffd);
	ASSERT_EQ(0, pthread_create(&waits, NULL, get_regs, NULL));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	ASSERT_EQ(0, pthread_create(&deletes, NULL, delete_slot, &other));
	EXPECT_TRUE(wait_until(deleted));
	give(uffd, waiting.page);
	pthread_join(waits, &error);
	EXPECT_EQ(0, (u64)error);
	pthread_join(deletes, NULL);
	vm_destroy(&other);
}

TEST_HARNESS_MAIN
