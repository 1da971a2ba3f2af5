// SPDX-License-Identifier: GPL-2.0
/* Documentation/x86/boot.rst, "64-bit BOOT PROTOCOL", and zero-page.rst. */
#include <asm/e820.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "acpi.h"
#include "boot_linux.h"

/* What the loader lays into the first megabyte. */
enum {
	BOOT_BIOS_DATA = 0x400,
	BOOT_GDT = 0x6000,
	BOOT_PARAMS = 0x7000,
	BOOT_PML4 = 0x9000,
	BOOT_PDPT = 0xa000,
	BOOT_PD = 0xb000,		/* four pages: 4 GiB */
	BOOT_CMDLINE = 0x10000,
	BOOT_EBDA = 0x9fc00,
	BOOT_EBDA_END = 0xa0000,
	BOOT_BIOS = ACPI_BASE + ACPI_SIZE,
	BOOT_BIOS_END = 0x100000,
};

enum {
	BDA_EBDA_SEGMENT = 0x40e,	/* words in the BIOS data area */
	BDA_BASE_MEMORY_KIB = 0x413,

	ENTRY_64 = 0x200,		/* from the start of the protected-mode kernel */
	LOADER_UNDEFINED = 0xff,
	VGA_MODE_NORMAL = 0xffff,

	GDT_ENTRIES = 4,		/* __BOOT_CS is the third, __BOOT_DS the fourth */
	PTE_PRESENT_WRITE = 3,
	PTE_LARGE = 1 << 7,
	PTES = 512,
};

/* APM 2, "Code-Segment Descriptors", "Data-Segment Descriptors": flat, ring 0 */
static const u64 boot_gdt[GDT_ENTRIES] = {
	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff,
};

static const char default_cmdline[] = "console=ttyS0";

static int open_file(const char *path, u64 *size)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0)
		die("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		die("%s: not a regular file", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	*size = st.st_size;
	if (!*size)
		die("%s: the file is empty", path);
	return fd;
}

static void boot_open_kernel(struct boot *boot)
{
	u8 head[BZIMAGE_HEAD] = { 0 };
	const char *wrong;
	u64 size;

	boot->kernel = open_file(boot->kernel_path, &size);
	if (pread_full(boot->kernel, head, min_u64(size, sizeof(head)), 0) < 0)
		die("%s: cannot read it", boot->kernel_path);
	wrong = bzimage_parse(&boot->image, head, size);
	if (wrong)
		die("%s: %s", boot->kernel_path, wrong);
}

/**
 * boot_open() - open and check what the guest boots from, or end vitro.
 * @boot: to be filled.
 * @kernel: path of a bzImage; kept.
 * @initrd: path, or NULL; kept.
 * @append: more words for the kernel's command line, or NULL.
 */
void boot_open(struct boot *boot, const char *kernel, const char *initrd, const char *append)
{
	size_t max, len = sizeof(default_cmdline) + (append ? 1 + strlen(append) : 0);

	*boot = (struct boot){ .kernel_path = kernel, .initrd_path = initrd, .initrd = -1 };
	boot_open_kernel(boot);
	if (initrd) {
		boot->initrd = open_file(initrd, &boot->initrd_size);
		if (!cpio_is_whole(boot->initrd, boot->initrd_size))
			die("%s: a truncated initrd", initrd);
	}
	boot->cmdline = xalloc(len);
	snprintf(boot->cmdline, len, "%s%s%s", default_cmdline, append ? " " : "", append ?: "");
	max = min_u64(boot->image.header.cmdline_size, BOOT_EBDA - BOOT_CMDLINE - 1);
	if (len - 1 > max)
		die("a command line of %zu bytes; this kernel takes up to %zu", len - 1, max);
}

static void load_file(const struct memory *mem, const char *path, int fd, u64 offset, u64 len,
		      gpa_t gpa)
{
	void *to = guest_ptr(mem, gpa, len);
	int ret = to ? pread_full(fd, to, len, offset) : -EFAULT;

	if (ret == -EIO)
		die("%s: it became shorter while it was read", path);
	if (ret < 0)
		die("%s: %s", path, strerror(-ret));
}

/* A kernel that is not loaded where it prefers to be would only move there. */
static u64 boot_load_kernel(const struct boot *boot, const struct memory *mem)
{
	const struct setup_header *h = &boot->image.header;
	u64 room = max_u64(h->init_size, boot->image.size);

	if (!guest_ptr(mem, h->pref_address, room))
		die("%s: needs at least %llu MiB of memory", boot->kernel_path,
		    ALIGN_UP(h->pref_address + room, MIB) / MIB);
	load_file(mem, boot->kernel_path, boot->kernel, boot->image.offset, boot->image.size,
		  h->pref_address);
	return h->pref_address + room;
}

/* As high as the kernel can take it, out of its way. */
static gpa_t boot_load_initrd(const struct boot *boot, const struct memory *mem, u64 kernel_end)
{
	u64 top = min_u64((u64)boot->image.header.initrd_addr_max + 1, mem->range[0].size);
	gpa_t gpa;

	if (boot->initrd < 0)
		return 0;
	if (kernel_end > top || boot->initrd_size > top - kernel_end)
		die("%s: %llu MiB do not fit into the guest's memory beside the kernel",
		    boot->initrd_path, ALIGN_UP(boot->initrd_size, MIB) / MIB);
	gpa = ALIGN_DOWN(top - boot->initrd_size, PAGE_SIZE);
	if (gpa < kernel_end)
		gpa = kernel_end;
	load_file(mem, boot->initrd_path, boot->initrd, 0, boot->initrd_size, gpa);
	return gpa;
}

static void e820_add(struct boot_params *p, u64 start, u64 end, u32 type)
{
	if (start < end)
		p->e820_table[p->e820_entries++] =
			(struct boot_e820_entry){ start, end - start, type };
}

static void boot_memory_map(struct boot_params *p, const struct memory *mem)
{
	const struct memory_range *low = &mem->range[0], *high = &mem->range[1];

	e820_add(p, 0, BOOT_EBDA, E820_RAM);
	e820_add(p, BOOT_EBDA, BOOT_EBDA_END, E820_RESERVED);
	e820_add(p, ACPI_BASE, ACPI_BASE + ACPI_SIZE, E820_ACPI);
	e820_add(p, BOOT_BIOS, BOOT_BIOS_END, E820_RESERVED);
	e820_add(p, BOOT_BIOS_END, low->size, E820_RAM);
	e820_add(p, MEM_ECAM, MEM_ECAM + MEM_ECAM_SIZE, E820_RESERVED);
	e820_add(p, MEM_KVM_IDMAP, MEM_HIGH, E820_RESERVED);
	e820_add(p, high->base, high->base + high->size, E820_RAM);
}

static void boot_fill_params(const struct boot *boot, const struct memory *mem, gpa_t rsdp,
			     gpa_t initrd)
{
	struct boot_params *p = guest_ptr(mem, BOOT_PARAMS, sizeof(*p));
	char *cmdline = guest_ptr(mem, BOOT_CMDLINE, strlen(boot->cmdline) + 1);

	strcpy(cmdline, boot->cmdline);
	p->hdr = boot->image.header;
	p->hdr.type_of_loader = LOADER_UNDEFINED;
	p->hdr.vid_mode = VGA_MODE_NORMAL;
	p->hdr.cmd_line_ptr = BOOT_CMDLINE;
	p->hdr.code32_start = boot->image.header.pref_address;
	if (initrd) {
		p->hdr.ramdisk_image = initrd;
		p->hdr.ramdisk_size = boot->initrd_size;
	}
	p->acpi_rsdp_addr = rsdp;
	boot_memory_map(p, mem);
}

/* What a BIOS leaves for those who look for its extended data area. */
static void boot_bios_data(const struct memory *mem)
{
	u8 *low = guest_ptr(mem, 0, PAGE_SIZE);
	u16 segment = BOOT_EBDA >> 4, kib = BOOT_EBDA / KIB;

	memcpy(low + BDA_EBDA_SEGMENT, &segment, sizeof(segment));
	memcpy(low + BDA_BASE_MEMORY_KIB, &kib, sizeof(kib));
}

/* The first 4 GiB, mapped one to one by pages of 2 MiB. */
static void boot_page_tables(const struct memory *mem)
{
	u64 *pml4 = guest_ptr(mem, BOOT_PML4, PAGE_SIZE);
	u64 *pdpt = guest_ptr(mem, BOOT_PDPT, PAGE_SIZE);
	u64 *pd = guest_ptr(mem, BOOT_PD, 4 * PAGE_SIZE);

	pml4[0] = BOOT_PDPT | PTE_PRESENT_WRITE;
	for (u64 i = 0; i < 4; i++)
		pdpt[i] = (BOOT_PD + i * PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (u64 i = 0; i < 4 * PTES; i++)
		pd[i] = i * 2 * MIB | PTE_LARGE | PTE_PRESENT_WRITE;
}

/**
 * boot_load() - lay kernel, initrd and all they need into guest memory.
 * @boot: from boot_open().
 * @mem: guest memory, all zero but for the ACPI tables.
 * @rsdp: where those begin.
 * @entry: how the boot CPU is to start.
 */
void boot_load(const struct boot *boot, const struct memory *mem, gpa_t rsdp,
	       struct boot_entry *entry)
{
	u64 kernel_end = ALIGN_UP(boot_load_kernel(boot, mem), PAGE_SIZE);
	gpa_t initrd = boot_load_initrd(boot, mem, kernel_end);

	boot_bios_data(mem);
	boot_fill_params(boot, mem, rsdp, initrd);
	boot_page_tables(mem);
	memcpy(guest_ptr(mem, BOOT_GDT, sizeof(boot_gdt)), boot_gdt, sizeof(boot_gdt));
	*entry = (struct boot_entry){
		.rip = boot->image.header.pref_address + ENTRY_64,
		.rsi = BOOT_PARAMS,
		.cr3 = BOOT_PML4,
		.gdt = BOOT_GDT,
		.gdt_limit = sizeof(boot_gdt) - 1,
	};
	verbose("%s: %llu KiB at 0x%llx; command line: %s", boot->kernel_path,
		(unsigned long long)boot->image.size / KIB,
		(unsigned long long)boot->image.header.pref_address, boot->cmdline);
	if (initrd)
		verbose("%s: %llu KiB at 0x%llx", boot->initrd_path,
			(unsigned long long)boot->initrd_size / KIB, (unsigned long long)initrd);
}
