// SPDX-License-Identifier: GPL-2.0
/* ACPI 6.4, "ACPI Software Programming Model". */
#include <assert.h>
#include <string.h>

#include "acpi.h"
#include "dsdt.hex"
#include "irq.h"
#include "power.h"
#include "rtc.h"

#define PACKED __attribute__((packed))
#define OEM_ID "VITRO "
#define OEM_TABLE_ID "VITROPC "

struct acpi_rsdp {
	char signature[8];
	u8 checksum;			/* of the first 20 bytes */
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 extended_checksum;
	u8 reserved[3];
} PACKED;
static_assert(sizeof(struct acpi_rsdp) == 36, "Root System Description Pointer");

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} PACKED;
static_assert(sizeof(struct acpi_header) == 36, "System Description Table Header");

/* Generic Address Structure */
struct acpi_gas {
	u8 space, bits, offset, access;
	u64 address;
} PACKED;

struct acpi_fadt {
	struct acpi_header header;
	u32 facs, dsdt;
	u8 reserved0, preferred_profile;
	u16 sci_irq;
	u32 smi_command;
	u8 acpi_enable, acpi_disable, s4bios, pstate_control;
	u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control;
	u32 pm2_control, pm_timer, gpe0, gpe1;
	u8 pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
	u8 gpe0_length, gpe1_length, gpe1_base, cstate_control;
	u16 c2_latency, c3_latency, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_flags;
	u8 reserved1;
	u32 flags;
	struct acpi_gas reset;
	u8 reset_value;
	u16 arm_boot_flags;
	u8 minor_revision;
	u64 x_facs, x_dsdt;
	struct acpi_gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_gas x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_gas sleep_control, sleep_status;
	char hypervisor[8];
} PACKED;
static_assert(sizeof(struct acpi_fadt) == 276, "Fixed ACPI Description Table");
static_assert(offsetof(struct acpi_fadt, flags) == 112, "FADT flags");
static_assert(offsetof(struct acpi_fadt, x_pm1a_event) == 148, "FADT X_PM1a_EVT_BLK");

struct acpi_facs {
	char signature[4];
	u32 length, hardware_signature, waking_vector, global_lock, flags;
	u64 x_waking_vector;
	u8 version, reserved[31];
} PACKED;
static_assert(sizeof(struct acpi_facs) == 64, "Firmware ACPI Control Structure");

struct acpi_madt {
	struct acpi_header header;
	u32 lapic;
	u32 flags;
} PACKED;

struct madt_lapic {
	u8 type, length, processor_uid, apic_id;
	u32 flags;
} PACKED;

struct madt_x2apic {
	u8 type, length;
	u16 reserved;
	u32 apic_id, flags, processor_uid;
} PACKED;

struct madt_ioapic {
	u8 type, length, id, reserved;
	u32 address, gsi_base;
} PACKED;

struct madt_override {
	u8 type, length, bus, source;
	u32 gsi;
	u16 flags;
} PACKED;

struct madt_lapic_nmi {
	u8 type, length, processor_uid;
	u16 flags;
	u8 lint;
} PACKED;

/* PCI Firmware Specification 3.0, "MCFG Table Description" */
struct acpi_mcfg {
	struct acpi_header header;
	u64 reserved0;
	u64 base;
	u16 segment;
	u8 first_bus, last_bus;
	u32 reserved1;
} PACKED;

struct acpi_xsdt {
	struct acpi_header header;
	u64 table[3];
} PACKED;

enum {
	MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_NMI = 4, MADT_X2APIC = 9,
	MADT_PCAT_COMPAT = 1 << 0,	/* there are 8259s, too */
	MADT_ENABLED = 1 << 0,
	MADT_ALL_CPUS = 0xff,
	MPS_HIGH_LEVEL = 1 | 3 << 2,	/* active high, level */
	XAPIC_IDS = 255,		/* ids below fit a local APIC entry */

	SPACE_IO = 1,
	ACCESS_BYTE = 1, ACCESS_WORD = 2, ACCESS_DWORD = 3,

	FADT_REVISION = 6, FADT_MINOR = 4,
	FADT_WBINVD = 1 << 0, FADT_PROC_C1 = 1 << 2, FADT_NO_POWER_BUTTON = 1 << 4,
	FADT_NO_SLEEP_BUTTON = 1 << 5, FADT_RESET_REG = 1 << 10,
	BOOT_LEGACY_DEVICES = 1 << 0, BOOT_NO_VGA = 1 << 2, BOOT_NO_ASPM = 1 << 4,
	NO_C2 = 101, NO_C3 = 1001,	/* microseconds that say: not supported */

	RESET_PORT = 0xcf9, RESET_HARD = 6,
	PM1_EVENT_LENGTH = 4, PM1_CONTROL_LENGTH = 2, PM_TIMER_LENGTH = 4,
};

/* Tables are laid one behind the other; nothing here can run past ACPI_SIZE. */
struct builder {
	u8 *start, *next;
};

static void *acpi_place(struct builder *b, size_t size)
{
	void *p = (void *)ALIGN_UP((u64)b->next, sizeof(struct acpi_facs));

	b->next = (u8 *)p + size;
	return p;
}

static gpa_t acpi_gpa(const struct builder *b, const void *p)
{
	return ACPI_BASE + ((const u8 *)p - b->start);
}

static u8 acpi_checksum(const void *p, size_t size)
{
	const u8 *byte = p;
	u8 sum = 0;

	while (size--)
		sum -= *byte++;
	return sum;
}

static struct acpi_header acpi_header(const char *signature, u8 revision)
{
	struct acpi_header h = {
		.revision = revision,
		.oem_id = OEM_ID,
		.oem_revision = 1,
		.creator_id = "VTRO",
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_table_id, OEM_TABLE_ID, sizeof(h.oem_table_id));
	return h;
}

static void acpi_finish(struct acpi_header *h, size_t size)
{
	h->length = size;
	h->checksum = acpi_checksum(h, size);
}

static struct acpi_gas acpi_port(u16 port, u8 bytes, u8 access)
{
	return (struct acpi_gas){ SPACE_IO, bytes * 8, 0, access, port };
}

static const void *acpi_facs(struct builder *b)
{
	struct acpi_facs *facs = acpi_place(b, sizeof(*facs));

	memcpy(facs->signature, "FACS", sizeof(facs->signature));
	facs->length = sizeof(*facs);
	facs->version = 2;
	return facs;
}

static const void *acpi_dsdt(struct builder *b)
{
	return memcpy(acpi_place(b, sizeof(dsdt_aml_code)), dsdt_aml_code,
		      sizeof(dsdt_aml_code));
}

static const void *acpi_fadt(struct builder *b)
{
	gpa_t facs = acpi_gpa(b, acpi_facs(b)), dsdt = acpi_gpa(b, acpi_dsdt(b));
	struct acpi_fadt *fadt = acpi_place(b, sizeof(*fadt));

	*fadt = (struct acpi_fadt){
		.header = acpi_header("FACP", FADT_REVISION),
		.facs = facs,
		.dsdt = dsdt,
		.x_dsdt = dsdt,
		.sci_irq = IRQ_SCI,
		.pm1a_event = POWER_PM1_EVENT,
		.pm1_event_length = PM1_EVENT_LENGTH,
		.x_pm1a_event = acpi_port(POWER_PM1_EVENT, PM1_EVENT_LENGTH, ACCESS_WORD),
		.pm1a_control = POWER_PM1_CONTROL,
		.pm1_control_length = PM1_CONTROL_LENGTH,
		.x_pm1a_control = acpi_port(POWER_PM1_CONTROL, PM1_CONTROL_LENGTH, ACCESS_WORD),
		.pm_timer = POWER_PM_TIMER,
		.pm_timer_length = PM_TIMER_LENGTH,
		.x_pm_timer = acpi_port(POWER_PM_TIMER, PM_TIMER_LENGTH, ACCESS_DWORD),
		.c2_latency = NO_C2,
		.c3_latency = NO_C3,
		.century = RTC_CENTURY,
		.boot_flags = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON |
			 FADT_NO_SLEEP_BUTTON | FADT_RESET_REG,
		.reset = acpi_port(RESET_PORT, 1, ACCESS_BYTE),
		.reset_value = RESET_HARD,
		.minor_revision = FADT_MINOR,
		.hypervisor = "VITRO",
	};
	acpi_finish(&fadt->header, sizeof(*fadt));
	return fadt;
}

/* Append one entry of the MADT. */
#define madt_add(b, ...) do {						\
	__typeof__(__VA_ARGS__) entry = __VA_ARGS__;			\
	entry.length = sizeof(entry);					\
	memcpy((b)->next, &entry, sizeof(entry));			\
	(b)->next += sizeof(entry);					\
} while (0)

static void madt_add_cpu(struct builder *b, unsigned int id)
{
	if (id < XAPIC_IDS)
		madt_add(b, (struct madt_lapic){ .type = MADT_LAPIC, .processor_uid = id,
			.apic_id = id, .flags = MADT_ENABLED });
	else
		madt_add(b, (struct madt_x2apic){ .type = MADT_X2APIC, .processor_uid = id,
			.apic_id = id, .flags = MADT_ENABLED });
}

static const void *acpi_madt(struct builder *b, unsigned int cpus)
{
	struct acpi_madt *madt = acpi_place(b, sizeof(*madt));

	madt->header = acpi_header("APIC", 5);
	madt->lapic = MEM_LAPIC;
	madt->flags = MADT_PCAT_COMPAT;
	for (unsigned int id = 0; id < cpus; id++)
		madt_add_cpu(b, id);
	madt_add(b, (struct madt_ioapic){ .type = MADT_IOAPIC, .address = MEM_IOAPIC });
	/* As irq.c routes them: the PIT's IRQ 0 is on input 2. */
	madt_add(b, (struct madt_override){ .type = MADT_OVERRIDE, .source = 0, .gsi = 2 });
	madt_add(b, (struct madt_override){ .type = MADT_OVERRIDE, .source = IRQ_SCI,
		.gsi = IRQ_SCI, .flags = MPS_HIGH_LEVEL });
	madt_add(b, (struct madt_lapic_nmi){ .type = MADT_LAPIC_NMI,
		.processor_uid = MADT_ALL_CPUS, .lint = 1 });
	acpi_finish(&madt->header, b->next - (u8 *)madt);
	return madt;
}

static const void *acpi_mcfg(struct builder *b)
{
	struct acpi_mcfg *mcfg = acpi_place(b, sizeof(*mcfg));

	*mcfg = (struct acpi_mcfg){ .header = acpi_header("MCFG", 1), .base = MEM_ECAM };
	acpi_finish(&mcfg->header, sizeof(*mcfg));
	return mcfg;
}

static const void *acpi_xsdt(struct builder *b, unsigned int cpus)
{
	struct acpi_xsdt *xsdt = acpi_place(b, sizeof(*xsdt));

	xsdt->header = acpi_header("XSDT", 1);
	xsdt->table[0] = acpi_gpa(b, acpi_fadt(b));
	xsdt->table[1] = acpi_gpa(b, acpi_madt(b, cpus));
	xsdt->table[2] = acpi_gpa(b, acpi_mcfg(b));
	acpi_finish(&xsdt->header, sizeof(*xsdt));
	return xsdt;
}

/**
 * acpi_build() - write the tables into guest memory.
 * @mem: guest memory.
 * @cpus: vCPUs; their APIC ids are 0 to @cpus - 1.
 *
 * Return: where the RSDP is; a guest that searches for it as on a PC finds it.
 */
gpa_t acpi_build(const struct memory *mem, unsigned int cpus)
{
	struct builder b = { .start = guest_ptr(mem, ACPI_BASE, ACPI_SIZE) };
	struct acpi_rsdp *rsdp;

	b.next = b.start;
	rsdp = acpi_place(&b, sizeof(*rsdp));
	*rsdp = (struct acpi_rsdp){ .oem_id = OEM_ID, .revision = 2, .length = sizeof(*rsdp) };
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	rsdp->xsdt = acpi_gpa(&b, acpi_xsdt(&b, cpus));
	rsdp->checksum = acpi_checksum(rsdp, offsetof(struct acpi_rsdp, length));
	rsdp->extended_checksum = acpi_checksum(rsdp, sizeof(*rsdp));
	return acpi_gpa(&b, rsdp);
}
