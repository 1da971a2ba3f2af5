// SPDX-License-Identifier: GPL-2.0
/*
 * What lies behind a slot is the VMM's memory, and the VMM may do with it as
 * it likes while the guest runs: the guest sees what the process would see.
 */
#include "test.h"
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGES = 64, LARGE_PAGE = 2 * MiB };
#define SIZE (PAGES * PAGE_SIZE)

FIXTURE(memory) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(memory)
{
	self->vcpu = vm_create_one(&self->vm, 0);
}

FIXTURE_TEARDOWN(memory)
{
	vm_destroy(&self->vm);
}

static u64 load(u64 gpa)
{
	return read64(gpa);
}

static u64 store(u64 gpa)
{
	write64(gpa, gpa);
	return 0;
}

/* Each page gets its number, plus @base, at its start. */
static u64 number_pages(u64 base)
{
	for (u64 i = 0; i < PAGES; i++)
		write64(VM_RAM + i * PAGE_SIZE, base + i);
	return 0;
}

static u64 sum_pages(u64 arg)
{
	u64 sum = 0;

	for (u64 i = 0; i < PAGES; i++)
		sum += read64(VM_RAM + i * PAGE_SIZE);
	return sum;
}

#define SUM_OF_NUMBERS (PAGES * (PAGES - 1) / 2)

/* ---- taken away and given back ---- */

TEST_F(memory, pages_dropped_by_madvise_read_as_zero)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_call(self->vcpu, number_pages, 1000);
	ASSERT_EQ(0, madvise(ram, SIZE / 2, MADV_DONTNEED));
	EXPECT_EQ(0, vcpu_call(self->vcpu, load, VM_RAM));
	EXPECT_EQ(1000 + PAGES / 2, vcpu_call(self->vcpu, load, VM_RAM + SIZE / 2));
}

TEST_F(memory, a_new_mapping_at_the_same_address_is_seen)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_call(self->vcpu, number_pages, 1000);
	ASSERT_EQ(ram, mmap(ram, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ram[0] = 55;
	EXPECT_EQ(55, vcpu_call(self->vcpu, load, VM_RAM));
}

/* api.rst, KVM_RUN: EFAULT where the guest's memory has nothing behind it. */
static int run_errno(struct vcpu *vcpu, guest_fn fn, u64 arg)
{
	vcpu_start(vcpu, fn, arg);
	return errno_of(ioctl(vcpu->fd, KVM_RUN, 0));
}

TEST_F(memory, access_to_unmapped_backing_is_efault)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_call(self->vcpu, number_pages, 1000);
	ASSERT_EQ(0, munmap(ram + SIZE / 2, SIZE / 2));
	EXPECT_EQ(1000, vcpu_call(self->vcpu, load, VM_RAM));
	EXPECT_EQ(EFAULT, run_errno(self->vcpu, load, VM_RAM + SIZE / 2));
}

TEST_F(memory, after_efault_the_guest_goes_on_when_memory_is_back)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	ASSERT_EQ(0, munmap(ram, SIZE));
	ASSERT_EQ(EFAULT, run_errno(self->vcpu, load, VM_RAM));
	ASSERT_EQ(ram, mmap(ram, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	*(u64 *)ram = 77;
	EXPECT_EQ(77, vcpu_finish(self->vcpu));
}

static siginfo_t bus_error;

static void note_bus_error(int signal, siginfo_t *info, void *context)
{
	bus_error = *info;
}

/* From now on the host's page there is a broken one; false if the kernel cannot have it so. */
static bool break_page(void *page)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	FILE *f = fopen("/sys/devices/system/memory/hard_offline_page", "w");
	u64 entry, pfn_bits = (1ULL << 55) - 1;

	die_unless(pread(pagemap, &entry, sizeof(entry), (u64)page / PAGE_SIZE * sizeof(entry)) ==
		   sizeof(entry));
	close(pagemap);
	return f && fprintf(f, "%#llx", (entry & pfn_bits) * PAGE_SIZE) > 0 && !fclose(f);
}

/* As for the process's own access; a VMM then tells the guest by a machine check, and goes on. */
TEST_F(memory, access_to_a_broken_page_is_sigbus)
{
	struct sigaction action = { .sa_sigaction = note_bus_error, .sa_flags = SA_SIGINFO };
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	vcpu_call(self->vcpu, number_pages, 1000);
	NEED(break_page(ram), "the kernel knows no broken memory");
	EXPECT_EQ(EINTR, run_errno(self->vcpu, load, VM_RAM));
	EXPECT_EQ(BUS_MCEERR_AR, bus_error.si_code);
	EXPECT_EQ(ram, bus_error.si_addr);
	ASSERT_EQ(ram, mmap(ram, PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	*(u64 *)ram = 77;
	EXPECT_EQ(77, vcpu_finish(self->vcpu));
}

TEST_F(memory, backing_moved_away_by_mremap_is_gone)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	u64 *moved;

	vcpu_call(self->vcpu, number_pages, 1000);
	moved = mremap(ram, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, ram + 256 * MiB);
	ASSERT_NE(MAP_FAILED, moved);
	EXPECT_EQ(1000, moved[0]);
	EXPECT_EQ(EFAULT, run_errno(self->vcpu, load, VM_RAM));
	EXPECT_EQ(1000, moved[0]);
}

TEST_F(memory, write_protected_backing_is_read_but_not_written)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_call(self->vcpu, number_pages, 1000);
	ASSERT_EQ(0, mprotect(ram, SIZE, PROT_READ));
	EXPECT_EQ(1000, vcpu_call(self->vcpu, load, VM_RAM));
	EXPECT_EQ(EFAULT, run_errno(self->vcpu, store, VM_RAM));
	ASSERT_EQ(0, mprotect(ram, SIZE, PROT_READ | PROT_WRITE));
	vcpu_finish(self->vcpu);
	EXPECT_EQ(VM_RAM, ram[0]);
}

TEST_F(memory, after_fork_the_guest_writes_to_its_own_copy)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	int go[2], status;
	pid_t child;
	char c;

	vcpu_call(self->vcpu, number_pages, 1000);
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child) {
		/* The child's memory stays as it was at the fork. */
		_exit(read(go[0], &c, 1) == 1 && ram[3 * 512] == 1003 ? 0 : 1);
	}
	vcpu_call(self->vcpu, number_pages, 2000);
	EXPECT_EQ(2003, ram[3 * 512]);
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(memory, after_fork_the_guest_sees_what_its_process_writes)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	pid_t child;

	vcpu_call(self->vcpu, number_pages, 1000);
	child = fork();
	if (!child)
		_exit(pause());
	ram[0] = 4;			/* copies the page: the guest must follow */
	EXPECT_EQ(4, vcpu_call(self->vcpu, load, VM_RAM));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* ---- KVM_SET_NR_MMU_PAGES ---- */

static u64 touch_far_apart(u64 arg)
{
	u64 sum = 0;

	/* Each needs a table of its own, and is touched twice. */
	for (u32 round = 0; round < 2; round++)
		for (u64 i = 0; i < 100; i++)
			sum += read64(VM_RAM + i * 2 * MiB) + i;
	return sum;
}

TEST_F(memory, a_limit_on_tables_is_taken_and_told)
{
	EXPECT_EQ(EINVAL, errno_of(ioctl(self->vm.fd, KVM_SET_NR_MMU_PAGES, 63)));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_NR_MMU_PAGES, 64));
	EXPECT_EQ(64, ioctl(self->vm.fd, KVM_GET_NR_MMU_PAGES, 0));
}

TEST_F(memory, more_memory_than_its_tables_may_map_is_all_there)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 256 * MiB, 0);

	madvise(ram, 256 * MiB, MADV_NOHUGEPAGE);
	ram[0] = 1000;
	ram[99 * 2 * MiB / 8] = 5;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_NR_MMU_PAGES, 64));
	EXPECT_EQ(2 * (1005 + 99 * 50), vcpu_call(self->vcpu, touch_far_apart, 0));
}

/* ---- other backings ---- */

TEST_F(memory, untouched_memory_reads_as_zero)
{
	vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	EXPECT_EQ(0, vcpu_call(self->vcpu, sum_pages, 0));
}

TEST_F(memory, a_page_first_read_and_then_written)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	/* The read maps the kernel's zero page, which the write must replace. */
	vcpu_call(self->vcpu, sum_pages, 0);
	vcpu_call(self->vcpu, number_pages, 0);
	EXPECT_EQ(SUM_OF_NUMBERS, vcpu_call(self->vcpu, sum_pages, 0));
	EXPECT_EQ(5, ram[5 * 512]);
}

static int make_memfd(unsigned int flags)
{
	int fd = syscall(SYS_memfd_create, "guest", flags);

	die_unless(fd >= 0 && !ftruncate(fd, SIZE));
	return fd;
}

TEST_F(memory, a_shared_file_is_seen_by_all_who_map_it)
{
	int fd = make_memfd(0);
	u64 *ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u64 *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	vcpu_call(self->vcpu, number_pages, 300);
	EXPECT_EQ(305, other[5 * 512]);
	other[0] = 1;
	EXPECT_EQ(1, vcpu_call(self->vcpu, load, VM_RAM));
}

TEST_F(memory, a_hole_punched_in_the_file_reads_as_zero)
{
	int fd = make_memfd(0);
	u64 *ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	vcpu_call(self->vcpu, number_pages, 300);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(300, vcpu_call(self->vcpu, load, VM_RAM));
	EXPECT_EQ(0, vcpu_call(self->vcpu, load, VM_RAM + PAGE_SIZE));
	EXPECT_EQ(303, vcpu_call(self->vcpu, load, VM_RAM + 3 * PAGE_SIZE));
}

TEST_F(memory, access_beyond_the_end_of_the_file_is_efault)
{
	int fd = make_memfd(0);
	u64 *ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	vcpu_call(self->vcpu, number_pages, 300);
	ASSERT_EQ(0, ftruncate(fd, PAGE_SIZE));
	EXPECT_EQ(300, vcpu_call(self->vcpu, load, VM_RAM));
	EXPECT_EQ(EFAULT, run_errno(self->vcpu, load, VM_RAM + PAGE_SIZE));
}

TEST_F(memory, a_private_file_is_copied_when_the_guest_writes)
{
	int fd = make_memfd(0);
	u64 *file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u64 *ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	file[0] = 8;
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, SIZE, ram, 0));
	EXPECT_EQ(8, vcpu_call(self->vcpu, load, VM_RAM));
	vcpu_call(self->vcpu, number_pages, 300);
	EXPECT_EQ(300, ram[0]);
	EXPECT_EQ(8, file[0]);
}

/* ---- large pages ---- */

enum { LARGE_COUNT = 4 };

static u64 fill_words(u64 bytes)
{
	for (u64 i = 0; i < bytes; i += 1024)
		write64(VM_RAM + i, i * 3);
	return 0;
}

static u64 wrong_words(u64 bytes)
{
	u64 wrong = 0;

	for (u64 i = 0; i < bytes; i += 1024)
		wrong += read64(VM_RAM + i) != i * 3;
	return wrong;
}

/* Anonymous memory at a multiple of 2M. */
static u8 *aligned_memory(size_t size)
{
	u8 *p = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	die_unless(p != MAP_FAILED);
	return (u8 *)(((u64)p + LARGE_PAGE - 1) & -(u64)LARGE_PAGE);
}

/* AnonHugePages of the mapping at @address, in KiB. */
static u64 huge_kib(void *address)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kib, found = 0;
	bool here = false;
	char line[256];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (u64)address && (u64)address < end;
		else if (here && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			found = kib;
	}
	if (smaps)
		fclose(smaps);
	return found;
}

TEST_F(memory, transparent_huge_pages_work)
{
	u64 size = LARGE_COUNT * LARGE_PAGE;
	u8 *ram = aligned_memory(size);

	ASSERT_EQ(0, madvise(ram, size, MADV_HUGEPAGE)) TH_LOG("%m");
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram, 0));
	vcpu_call(self->vcpu, fill_words, size);
	EXPECT_EQ(0, vcpu_call(self->vcpu, wrong_words, size));
	EXPECT_EQ(3 * 1024, *(u64 *)(ram + 1024));
	NEED(huge_kib(ram), "the kernel gave no huge page");
}

TEST_F(memory, one_page_dropped_from_a_huge_page_reads_as_zero)
{
	u64 size = LARGE_COUNT * LARGE_PAGE, hole = LARGE_PAGE + 17 * PAGE_SIZE;
	u8 *ram = aligned_memory(size);

	ASSERT_EQ(0, madvise(ram, size, MADV_HUGEPAGE));
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram, 0));
	vcpu_call(self->vcpu, fill_words, size);
	NEED(huge_kib(ram), "the kernel gave no huge page");
	ASSERT_EQ(0, madvise(ram + hole, PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(0, vcpu_call(self->vcpu, load, VM_RAM + hole));
	EXPECT_EQ(PAGE_SIZE / 1024, vcpu_call(self->vcpu, wrong_words, size));
}

/* gpa and hva differ within 2M: no second-level leaf may be large. */
TEST_F(memory, a_huge_page_at_an_odd_guest_address_works)
{
	u64 size = LARGE_COUNT * LARGE_PAGE - PAGE_SIZE;
	u8 *ram = aligned_memory(size + PAGE_SIZE);

	ASSERT_EQ(0, madvise(ram, size + PAGE_SIZE, MADV_HUGEPAGE));
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram + PAGE_SIZE, 0));
	vcpu_call(self->vcpu, fill_words, size);
	EXPECT_EQ(0, vcpu_call(self->vcpu, wrong_words, size));
	EXPECT_EQ(3 * 1024, *(u64 *)(ram + PAGE_SIZE + 1024));
}

/* Slots end within a huge page: what lies beyond is not the guest's. */
TEST_F(memory, a_slot_that_ends_within_a_huge_page_ends_there)
{
	u64 size = LARGE_PAGE + LARGE_PAGE / 2;
	u8 *ram = aligned_memory(2 * LARGE_PAGE);

	ASSERT_EQ(0, madvise(ram, 2 * LARGE_PAGE, MADV_HUGEPAGE));
	memset(ram, 0, 2 * LARGE_PAGE);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram, 0));
	vcpu_call(self->vcpu, fill_words, size);
	vcpu_start(self->vcpu, load, VM_RAM + size);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_enter(self->vcpu));
}

static u64 dirty_one(u64 gpa)
{
	write8(gpa, 1);
	return 0;
}

TEST_F(memory, the_dirty_log_of_a_huge_page_counts_small_pages)
{
	static u64 bitmap[LARGE_COUNT * LARGE_PAGE / PAGE_SIZE / 64];
	u64 size = LARGE_COUNT * LARGE_PAGE, total = 0;
	u8 *ram = aligned_memory(size);
	struct kvm_dirty_log log = { .slot = SLOT_TEST, .dirty_bitmap = bitmap };

	ASSERT_EQ(0, madvise(ram, size, MADV_HUGEPAGE));
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram, 0));
	vcpu_call(self->vcpu, fill_words, size);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram, KVM_MEM_LOG_DIRTY_PAGES));
	vcpu_call(self->vcpu, dirty_one, VM_RAM + LARGE_PAGE + 70 * PAGE_SIZE);
	kvm_do(self->vm.fd, KVM_GET_DIRTY_LOG, &log);
	for (u32 i = 0; i < ARRAY_SIZE(bitmap); i++)
		total += __builtin_popcountll(bitmap[i]);
	EXPECT_EQ(1, total);
	EXPECT_EQ(1ULL << (70 % 64), bitmap[(512 + 70) / 64]);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0) {
		die_unless(write(fd, text, strlen(text)) > 0);
		close(fd);
	}
}

TEST_F(memory, hugetlb_pages_work)
{
	u64 size = LARGE_COUNT * LARGE_PAGE;
	u8 *ram;

	write_file("/proc/sys/vm/nr_hugepages", "8");
	ram = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	NEED(ram != MAP_FAILED, "no huge pages to be had: %m");
	ASSERT_EQ(0, vm_set_slot(&self->vm, SLOT_TEST, VM_RAM, size, ram, 0));
	vcpu_call(self->vcpu, fill_words, size);
	EXPECT_EQ(0, vcpu_call(self->vcpu, wrong_words, size));
	EXPECT_EQ(3 * 1024, *(u64 *)(ram + 1024));
	ASSERT_EQ(0, madvise(ram, size, MADV_DONTNEED));
	EXPECT_EQ(0, vcpu_call(self->vcpu, load, VM_RAM + 1024));
	munmap(ram, size);
	write_file("/proc/sys/vm/nr_hugepages", "0");
}

/* ---- swap ---- */

/* mkswap: version 1 and the last page's number at 1024, the signature at the page's end. */
static bool make_swap(const char *device)
{
	static u8 page[PAGE_SIZE];
	int fd = open(device, O_RDWR);
	u32 *info = (u32 *)(page + 1024);
	off_t size;
	bool ok;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	info[0] = 1;
	info[1] = size / PAGE_SIZE - 1;
	memcpy(page + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	ok = pwrite(fd, page, PAGE_SIZE, 0) == PAGE_SIZE && !fsync(fd);
	close(fd);
	return ok && !swapon(device, 0);
}

static bool is_swapped(void *address)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	u64 entry = 0;

	die_unless(pread(fd, &entry, 8, (u64)address / PAGE_SIZE * 8) == 8);
	close(fd);
	return entry >> 62 & 1;
}

TEST_F(memory, pages_swapped_out_come_back)
{
	const char *device = getenv("SCRATCH_DISK");
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);
	u32 swapped = 0;

	NEED(device, "no SCRATCH_DISK to swap to");
	ASSERT_TRUE(make_swap(device)) TH_LOG("%s: %m", device);
	vcpu_call(self->vcpu, number_pages, 0);
	/* Pages that the guest has used are left alone once, and only once. */
	for (int tries = 0; tries < 4 && swapped < PAGES / 2; tries++) {
		ASSERT_EQ(0, madvise(ram, SIZE, MADV_PAGEOUT)) TH_LOG("%m");
		swapped = 0;
		for (u32 i = 0; i < PAGES; i++)
			swapped += is_swapped(ram + i * PAGE_SIZE);
	}
	EXPECT_EQ(SUM_OF_NUMBERS, vcpu_call(self->vcpu, sum_pages, 0));
	ASSERT_EQ(0, swapoff(device)) TH_LOG("%m");
	EXPECT_EQ(SUM_OF_NUMBERS, vcpu_call(self->vcpu, sum_pages, 0));
	/* A page that is pinned for the guest would not have gone. */
	EXPECT_GE(swapped, PAGES / 2);
}

/* ---- no stale translation, whatever the host does beside the guest ---- */

static volatile u64 published;
static volatile bool stop;
static volatile u64 rounds;

/*
 * The test puts a page with a number at VM_RAM first and publishes the number
 * then: who has read the number must not find an older page.
 */
static u64 find_stale_pages(u64 arg)
{
	u64 stale = 0;

	while (!stop) {
		u64 number = published;

		asm volatile("lfence" : : : "memory");
		stale += read64(VM_RAM) < number;
	}
	return stale;
}

TEST_F(memory, a_running_guest_never_sees_a_page_that_was_replaced)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, PAGE_SIZE, 0);
	u64 *pages[2];
	int fd[2];

	for (int i = 0; i < 2; i++) {
		fd[i] = make_memfd(0);
		pages[i] = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd[i], 0);
		ASSERT_NE(MAP_FAILED, pages[i]);
	}
	vcpu_spawn(self->vcpu, find_stale_pages, 0);
	for (u64 number = 1; number < 300; number++) {
		*pages[number & 1] = number;
		ASSERT_EQ(ram, mmap(ram, PAGE_SIZE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, fd[number & 1], 0));
		published = number;
		if (!(number & 7))
			usleep(500);
	}
	stop = true;
	EXPECT_EQ(0, vcpu_join(self->vcpu));
}

static u64 count_up(u64 gpa)
{
	u64 n = 0;

	while (!stop)
		write64(gpa, ++n);
	return n;
}

TEST_F(memory, no_write_is_lost_when_backing_is_copied_under_a_running_guest)
{
	u64 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, PAGE_SIZE, 0);
	u64 last;

	vcpu_spawn(self->vcpu, count_up, VM_RAM);
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();	/* makes the page copy on write, here and there */

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	stop = true;
	last = vcpu_join(self->vcpu);
	EXPECT_EQ(last, ram[0]);
}

static u64 write_pages_forever(u64 arg)
{
	while (!stop) {
		number_pages(0);
		rounds++;
	}
	return rounds;
}

TEST_F(memory, dropping_pages_under_a_running_guest_does_no_harm)
{
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, SIZE, 0);

	vcpu_spawn(self->vcpu, write_pages_forever, 0);
	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, madvise(ram, SIZE, MADV_DONTNEED));
	}
	/* A guest that was harmed never gets through a round: the alarm ends this. */
	while (!rounds)
		usleep(1000);
	stop = true;
	EXPECT_GT(vcpu_join(self->vcpu), 0);
	EXPECT_LT(vcpu_call(self->vcpu, sum_pages, 0), SUM_OF_NUMBERS + 1);
}

TEST_HARNESS_MAIN
