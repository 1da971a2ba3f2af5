// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio disk as its driver sees it: found on PCI, configured through its
 * BAR, fed by a queue.  KVM is played by this test, and remembers what it was
 * told.
 */
#define _GNU_SOURCE
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "scratch_file.h"
#include "virtio_blk.h"

#define RAM		(1 * MIB)
#define SLOT		1U
#define BAR		0xd0000000ULL
#define DESC		0x1000ULL
#define AVAIL		0x2000ULL
#define USED		0x3000ULL
#define HEAD		0x4000ULL
#define DATA		0x5000ULL
#define STATUS		0x6000ULL
#define ENTRIES		16
#define VERSION_1	(1ULL << VIRTIO_F_VERSION_1)

/* ---- The KVM that this test plays ---- */

static struct {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[256];
} routes;
static unsigned int routings;
static struct { int fd; unsigned int gsi; } irqfds[4];
static unsigned int nr_irqfds;
static gpa_t kick_gpa;

int kvm_call(int fd, unsigned long request, unsigned long arg, const char *name)
{
	const struct kvm_irq_routing *table = (const void *)arg;

	if (request == KVM_SET_GSI_ROUTING) {
		memcpy(&routes, table, sizeof(*table) + table->nr * sizeof(table->entries[0]));
		routings++;
	}
	return 0;
}

void kvm_irqfd(const struct kvm *kvm, int fd, unsigned int gsi, bool assign)
{
	irqfds[nr_irqfds % ARRAY_SIZE(irqfds)].fd = fd;
	irqfds[nr_irqfds++ % ARRAY_SIZE(irqfds)].gsi = gsi;
}

bool kvm_ioeventfd(const struct kvm *kvm, int fd, gpa_t gpa, unsigned int len, bool assign)
{
	kick_gpa = assign ? gpa : 0;
	return true;
}

static const struct kvm_irq_routing_entry *route_of(unsigned int gsi)
{
	for (unsigned int i = 0; i < routes.head.nr; i++)
		if (routes.entry[i].gsi == gsi)
			return &routes.entry[i];
	return NULL;
}

/* How often an eventfd was signalled since the last look. */
static u64 signals(int fd)
{
	u64 count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* ---- The machine around the disk ---- */

FIXTURE(device) {
	struct kvm kvm;
	struct memory mem;
	struct bus pio, mmio;
	struct loop loop;
	struct irq_router irq;
	struct pci_bus pci;
	struct pool pool;
	struct virtio_bus bus;
	struct disk disk;
	struct blk *blk;
	char path[SCRATCH_PATH_SIZE];
	u8 *ram;
	unsigned int resets;
	unsigned int common, notify, isr, config;	/* where the BAR has them */
};

static void reset(void *arg)
{
	FIXTURE_DATA(device) *self = arg;

	self->resets++;
}

static u32 port_read(FIXTURE_DATA(device) *self, u16 port, unsigned int len)
{
	u32 value = 0;

	bus_access(&self->pio, port, (u8 *)&value, len, false);
	return value;
}

static void port_write(FIXTURE_DATA(device) *self, u16 port, unsigned int len, u32 value)
{
	bus_access(&self->pio, port, (u8 *)&value, len, true);
}

static u32 config_read(FIXTURE_DATA(device) *self, unsigned int slot, unsigned int reg,
		       unsigned int len)
{
	port_write(self, 0xcf8, 4, 1U << 31 | slot << 11 | (reg & 0xfc));
	return port_read(self, 0xcfc + (reg & 3), len);
}

static void config_write(FIXTURE_DATA(device) *self, unsigned int slot, unsigned int reg,
			 unsigned int len, u32 value)
{
	port_write(self, 0xcf8, 4, 1U << 31 | slot << 11 | (reg & 0xfc));
	port_write(self, 0xcfc + (reg & 3), len, value);
}

static u64 mmio_read(FIXTURE_DATA(device) *self, gpa_t gpa, unsigned int len)
{
	u64 value = 0;

	bus_access(&self->mmio, gpa, (u8 *)&value, len, false);
	return value;
}

static void mmio_write(FIXTURE_DATA(device) *self, gpa_t gpa, unsigned int len, u64 value)
{
	bus_access(&self->mmio, gpa, (u8 *)&value, len, true);
}

/* Register of a capability: the first of @id, and of @type for a vendor's. */
static unsigned int find_cap_in(FIXTURE_DATA(device) *self, unsigned int slot, u8 id, u8 type)
{
	unsigned int cap = config_read(self, slot, PCI_CAPABILITY_LIST, 1);

	while (cap && (config_read(self, slot, cap, 1) != id ||
		       (id == PCI_CAP_ID_VNDR && config_read(self, slot, cap + 3, 1) != type)))
		cap = config_read(self, slot, cap + PCI_CAP_LIST_NEXT, 1);
	return cap;
}

static unsigned int find_cap(FIXTURE_DATA(device) *self, u8 id, u8 type)
{
	return find_cap_in(self, SLOT, id, type);
}

static unsigned int structure(FIXTURE_DATA(device) *self, u8 type)
{
	return config_read(self, SLOT,
			   find_cap(self, PCI_CAP_ID_VNDR, type) + VIRTIO_PCI_CAP_OFFSET, 4);
}

FIXTURE_SETUP(device)
{
	int fd;

	routings = nr_irqfds = 0;
	kick_gpa = 0;
	self->kvm = (struct kvm){ .vm = 0, .irqfd = true, .ioeventfd = true };
	self->ram = aligned_alloc(PAGE_SIZE, RAM);
	memset(self->ram, 0, RAM);
	self->mem.range[0] = (struct memory_range){ 0, RAM, self->ram };
	fd = scratch_file(self->path, 64 * SECTOR_SIZE);
	ASSERT_LE(0, fd);
	close(fd);
	disk_open(&self->disk, self->path, false);
	bus_init(&self->pio);
	bus_init(&self->mmio);
	loop_init(&self->loop);
	irq_init(&self->irq, &self->kvm);
	pool_init(&self->pool);
	pci_init(&self->pci, &self->pio, &self->mmio, reset, self);
	self->bus = (struct virtio_bus){ &self->pci, &self->loop, &self->irq, &self->mem };
	self->blk = blk_create(&self->bus, &self->pool, &self->disk);
	ASSERT_NE(NULL, self->blk);
	irq_reset(&self->irq);
	virtio_reset(&self->blk->vdev);
	pci_reset(&self->pci);
	config_write(self, SLOT, PCI_BASE_ADDRESS_0, 4, BAR);
	self->common = structure(self, VIRTIO_PCI_CAP_COMMON_CFG);
	self->notify = structure(self, VIRTIO_PCI_CAP_NOTIFY_CFG);
	self->isr = structure(self, VIRTIO_PCI_CAP_ISR_CFG);
	self->config = structure(self, VIRTIO_PCI_CAP_DEVICE_CFG);
}

FIXTURE_TEARDOWN(device)
{
	unlink(self->path);
}

/* ---- The driver ---- */

static u32 common_read(FIXTURE_DATA(device) *self, unsigned int field, unsigned int len)
{
	return mmio_read(self, BAR + self->common + field, len);
}

static void common_write(FIXTURE_DATA(device) *self, unsigned int field, unsigned int len,
			 u64 value)
{
	mmio_write(self, BAR + self->common + field, len, value);
}

static u8 device_status(FIXTURE_DATA(device) *self)
{
	return common_read(self, VIRTIO_PCI_COMMON_STATUS, 1);
}

static u8 accept_features(FIXTURE_DATA(device) *self, u64 features)
{
	u8 status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	common_write(self, VIRTIO_PCI_COMMON_STATUS, 1, status);
	common_write(self, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	common_write(self, VIRTIO_PCI_COMMON_GF, 4, features);
	common_write(self, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	common_write(self, VIRTIO_PCI_COMMON_GF, 4, features >> 32);
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	common_write(self, VIRTIO_PCI_COMMON_STATUS, 1, status);
	return device_status(self);
}

static void set_queue(FIXTURE_DATA(device) *self, gpa_t used)
{
	common_write(self, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	common_write(self, VIRTIO_PCI_COMMON_Q_SIZE, 2, ENTRIES);
	common_write(self, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	common_write(self, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	common_write(self, VIRTIO_PCI_COMMON_Q_DESCLO, 4, DESC);
	common_write(self, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, AVAIL);
	common_write(self, VIRTIO_PCI_COMMON_Q_USEDLO, 8, used);
	common_write(self, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void driver_ok(FIXTURE_DATA(device) *self)
{
	common_write(self, VIRTIO_PCI_COMMON_STATUS, 1,
		     device_status(self) | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void set_command(FIXTURE_DATA(device) *self, u16 command)
{
	config_write(self, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | command);
}

static void start_driver(FIXTURE_DATA(device) *self)
{
	set_command(self, PCI_COMMAND_MASTER);
	accept_features(self, VERSION_1);
	set_queue(self, USED);
	driver_ok(self);
}

static struct vring_avail *avail_ring(FIXTURE_DATA(device) *self)
{
	return (struct vring_avail *)(self->ram + AVAIL);
}

static struct vring_used *used_ring(FIXTURE_DATA(device) *self)
{
	return (struct vring_used *)(self->ram + USED);
}

/* Notify as the guest does, play the loop, and wait for @cond. */
#define KICK_UNTIL(self, cond) do {						\
	struct loop_watch *kick = &(self)->blk->vdev.kick;			\
	mmio_write(self, BAR + (self)->notify, 2, 0);				\
	kick->ready(kick, 0);							\
	for (unsigned int i = 0; i < 2000 && !(cond); i++)			\
		usleep(1000);							\
	ASSERT_TRUE(cond);							\
} while (0)

/* Put a read of sector @sector into the queue. */
static void offer_read(FIXTURE_DATA(device) *self, u64 sector, gpa_t data)
{
	struct vring_desc *desc = (struct vring_desc *)(self->ram + DESC);
	struct virtio_blk_outhdr head = { .type = VIRTIO_BLK_T_IN, .sector = sector };
	struct vring_avail *avail = avail_ring(self);

	memcpy(self->ram + HEAD, &head, sizeof(head));
	self->ram[STATUS] = 0xff;
	desc[0] = (struct vring_desc){ HEAD, sizeof(head), VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ data, SECTOR_SIZE,
				       VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 };
	desc[2] = (struct vring_desc){ STATUS, 1, VRING_DESC_F_WRITE, 0 };
	avail->ring[avail->idx % ENTRIES] = 0;
	__atomic_store_n(&avail->idx, avail->idx + 1, __ATOMIC_RELEASE);
}

static u16 used_index(FIXTURE_DATA(device) *self)
{
	return __atomic_load_n(&used_ring(self)->idx, __ATOMIC_ACQUIRE);
}

/* INTx is a matter of dev->lock: what follows used_index() may be under way. */
static bool intx(FIXTURE_DATA(device) *self)
{
	pthread_mutex_lock(&self->blk->vdev.lock);
	pthread_mutex_unlock(&self->blk->vdev.lock);
	return self->irq.asserted[pci_gsi(SLOT)];
}

static void enable_msix(FIXTURE_DATA(device) *self, u16 flags)
{
	config_write(self, SLOT, find_cap(self, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS, 2, flags);
}

static gpa_t msix_entry(FIXTURE_DATA(device) *self, unsigned int vector)
{
	unsigned int cap = find_cap(self, PCI_CAP_ID_MSIX, 0);

	return BAR + config_read(self, SLOT, cap + PCI_MSIX_TABLE, 4) +
	       vector * PCI_MSIX_ENTRY_SIZE;
}

static u32 msix_pending(FIXTURE_DATA(device) *self)
{
	unsigned int cap = find_cap(self, PCI_CAP_ID_MSIX, 0);

	return mmio_read(self, BAR + config_read(self, SLOT, cap + PCI_MSIX_PBA, 4), 4);
}

static void unmask(FIXTURE_DATA(device) *self, unsigned int vector, u32 address, u32 data)
{
	gpa_t entry = msix_entry(self, vector);

	mmio_write(self, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, address);
	mmio_write(self, entry + PCI_MSIX_ENTRY_DATA, 4, data);
	mmio_write(self, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
}

static void *end_mastering(void *arg)
{
	set_command(arg, 0);
	return NULL;
}

/* ---- PCI ---- */

TEST_F(device, the_bus_has_a_host_bridge_and_the_disk)
{
	ASSERT_EQ(0x0600, config_read(self, 0, PCI_CLASS_DEVICE, 2));
	ASSERT_EQ(0x10421af4, config_read(self, SLOT, PCI_VENDOR_ID, 4));
	ASSERT_EQ(0xffffffff, config_read(self, 2, PCI_VENDOR_ID, 4));
}

TEST_F(device, other_buses_and_functions_are_empty)
{
	port_write(self, 0xcf8, 4, 1U << 31 | 1 << 16);
	ASSERT_EQ(0xffffffff, port_read(self, 0xcfc, 4));
	port_write(self, 0xcf8, 4, 1U << 31 | SLOT << 11 | 1 << 8);
	ASSERT_EQ(0xffffffff, port_read(self, 0xcfc, 4));
	port_write(self, 0xcf8, 4, SLOT << 11);
	ASSERT_EQ(0xffffffff, port_read(self, 0xcfc, 4));
}

TEST_F(device, memory_shows_the_same_configuration_as_ports)
{
	gpa_t page = MEM_ECAM + (SLOT << 15);

	ASSERT_EQ(0x10421af4, mmio_read(self, page, 4));
	ASSERT_EQ(0x1042, mmio_read(self, page + 2, 2));
	ASSERT_EQ(0xffffffff, mmio_read(self, page + 0x100, 4));
	ASSERT_EQ(0xffffffff, mmio_read(self, page + 0x1000, 4));
	mmio_write(self, page + PCI_INTERRUPT_LINE, 1, 0x42);
	ASSERT_EQ(0x42, config_read(self, SLOT, PCI_INTERRUPT_LINE, 1));
}

TEST_F(device, identity_cannot_be_written)
{
	config_write(self, SLOT, PCI_VENDOR_ID, 4, 0);
	ASSERT_EQ(0x10421af4, config_read(self, SLOT, PCI_VENDOR_ID, 4));
}

TEST_F(device, a_bar_tells_its_size)
{
	config_write(self, SLOT, PCI_BASE_ADDRESS_0, 4, ~0U);
	ASSERT_EQ((u32)-0x8000, config_read(self, SLOT, PCI_BASE_ADDRESS_0, 4));
}

TEST_F(device, a_bar_answers_where_it_was_moved_and_its_kick_follows)
{
	config_write(self, SLOT, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	ASSERT_EQ(1, mmio_read(self, 0xe0000000 + self->common + VIRTIO_PCI_COMMON_NUMQ, 2));
	ASSERT_EQ(0xffff, mmio_read(self, BAR + self->common + VIRTIO_PCI_COMMON_NUMQ, 2));
	ASSERT_EQ(0xe0000000 + self->notify, kick_gpa);
}

TEST_F(device, without_memory_decoding_the_bar_is_silent)
{
	config_write(self, SLOT, PCI_COMMAND, 2, 0);
	ASSERT_EQ(0xffff, mmio_read(self, BAR + self->common + VIRTIO_PCI_COMMON_NUMQ, 2));
	ASSERT_EQ(0, kick_gpa);
	config_write(self, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ASSERT_EQ(1, mmio_read(self, BAR + self->common + VIRTIO_PCI_COMMON_NUMQ, 2));
	ASSERT_EQ(BAR + self->notify, kick_gpa);
}

TEST_F(device, port_cf9_resets_the_machine)
{
	port_write(self, 0xcf9, 1, 2);
	ASSERT_EQ(0, self->resets);
	port_write(self, 0xcf9, 1, 6);
	ASSERT_EQ(1, self->resets);
}

TEST_F(device, the_window_in_config_space_reaches_the_bar)
{
	unsigned int cap = find_cap(self, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);
	unsigned int data = cap + sizeof(struct virtio_pci_cap);

	ASSERT_NE(0, cap);
	config_write(self, SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 4,
		     self->common + VIRTIO_PCI_COMMON_NUMQ);
	config_write(self, SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	ASSERT_EQ(1, config_read(self, SLOT, data, 2));
	config_write(self, SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 4,
		     self->common + VIRTIO_PCI_COMMON_STATUS);
	config_write(self, SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	config_write(self, SLOT, data, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ASSERT_EQ(VIRTIO_CONFIG_S_ACKNOWLEDGE, device_status(self));
}

/* ---- The transport ---- */

TEST_F(device, it_offers_version_1_and_its_capacity)
{
	common_write(self, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	ASSERT_EQ(1, common_read(self, VIRTIO_PCI_COMMON_DF, 4));
	common_write(self, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	ASSERT_EQ(0, common_read(self, VIRTIO_PCI_COMMON_DF, 4));
	ASSERT_EQ(64, mmio_read(self, BAR + self->config, 8));
}

TEST_F(device, a_driver_without_version_1_is_refused)
{
	ASSERT_FALSE(accept_features(self, 0) & VIRTIO_CONFIG_S_FEATURES_OK);
}

TEST_F(device, a_driver_that_accepts_what_was_not_offered_is_refused)
{
	ASSERT_FALSE(accept_features(self, VERSION_1 | 1ULL << 50) &
		     VIRTIO_CONFIG_S_FEATURES_OK);
}

TEST_F(device, there_is_one_queue_and_others_have_size_0)
{
	ASSERT_EQ(VIRTQ_MAX, common_read(self, VIRTIO_PCI_COMMON_Q_SIZE, 2));
	common_write(self, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	ASSERT_EQ(0, common_read(self, VIRTIO_PCI_COMMON_Q_SIZE, 2));
}

TEST_F(device, a_request_is_answered)
{
	start_driver(self);
	memset(self->ram + DATA, 0xee, SECTOR_SIZE);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_EQ(VIRTIO_BLK_S_OK, self->ram[STATUS]);
	ASSERT_EQ(0, self->ram[DATA]);
	ASSERT_EQ(SECTOR_SIZE + 1, used_ring(self)->ring[0].len);
}

TEST_F(device, a_request_from_before_driver_ok_is_not_forgotten)
{
	struct loop_watch *kick = &self->blk->vdev.kick;

	accept_features(self, VERSION_1);
	set_queue(self, USED);
	offer_read(self, 0, DATA);
	kick->ready(kick, 0);
	usleep(20000);
	ASSERT_EQ(0, used_index(self));
	driver_ok(self);
	ASSERT_EQ(1, signals(kick->fd));
}

/* As Linux takes it away before kexec: the next kernel's memory is not the old one's. */
TEST_F(device, without_bus_mastering_it_leaves_memory_alone)
{
	struct loop_watch *kick = &self->blk->vdev.kick;

	start_driver(self);
	set_command(self, 0);
	memset(self->ram + DATA, 0xee, SECTOR_SIZE);
	offer_read(self, 0, DATA);
	kick->ready(kick, 0);
	usleep(20000);
	ASSERT_EQ(0, used_index(self));
	ASSERT_EQ(0xee, self->ram[DATA]);
	set_command(self, PCI_COMMAND_MASTER);
	ASSERT_EQ(1, signals(kick->fd));
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_EQ(0, self->ram[DATA]);
}

TEST_F(device, a_request_under_way_ends_before_bus_mastering_does)
{
	struct virtq_chain chain;
	struct virtio_device *vdev = &self->blk->vdev;
	pthread_t ender;

	start_driver(self);
	offer_read(self, 0, DATA);
	ASSERT_TRUE(virtio_pop(vdev, &chain));
	ASSERT_EQ(0, pthread_create(&ender, NULL, end_mastering, self));
	usleep(20000);
	ASSERT_NE(0, pthread_tryjoin_np(ender, NULL));
	virtio_push(vdev, chain.head, 0);
	ASSERT_EQ(0, pthread_join(ender, NULL));
	ASSERT_EQ(1, used_index(self));
}

TEST_F(device, without_msix_it_interrupts_by_its_line_until_isr_is_read)
{
	start_driver(self);
	ASSERT_FALSE(intx(self));
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_TRUE(intx(self));
	ASSERT_TRUE(config_read(self, SLOT, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	ASSERT_EQ(1, mmio_read(self, BAR + self->isr, 1));
	ASSERT_FALSE(intx(self));
	ASSERT_EQ(0, mmio_read(self, BAR + self->isr, 1));
}

TEST_F(device, a_disabled_line_is_silent_until_it_is_enabled)
{
	start_driver(self);
	set_command(self, PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_FALSE(intx(self));
	set_command(self, PCI_COMMAND_MASTER);
	ASSERT_TRUE(intx(self));
}

TEST_F(device, a_reset_takes_everything_back)
{
	start_driver(self);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	common_write(self, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	ASSERT_EQ(0, device_status(self));
	ASSERT_FALSE(intx(self));
	ASSERT_EQ(0, common_read(self, VIRTIO_PCI_COMMON_Q_ENABLE, 2));
	ASSERT_EQ(0, common_read(self, VIRTIO_PCI_COMMON_GF, 4));
	ASSERT_EQ(VIRTQ_MAX, common_read(self, VIRTIO_PCI_COMMON_Q_SIZE, 2));
}

/* ---- Drivers that break the rules ---- */

TEST_F(device, a_ring_outside_memory_needs_a_reset)
{
	accept_features(self, VERSION_1);
	set_queue(self, RAM);
	ASSERT_TRUE(device_status(self) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ASSERT_EQ(0, common_read(self, VIRTIO_PCI_COMMON_Q_ENABLE, 2));
}

TEST_F(device, a_bad_chain_needs_a_reset_and_is_told_by_a_config_interrupt)
{
	start_driver(self);
	offer_read(self, 0, RAM);
	KICK_UNTIL(self, device_status(self) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ASSERT_TRUE(intx(self));
	ASSERT_EQ(VIRTIO_PCI_ISR_CONFIG, mmio_read(self, BAR + self->isr, 1));
	ASSERT_EQ(0, used_index(self));
}

TEST_F(device, after_its_reset_a_broken_device_works_again)
{
	start_driver(self);
	offer_read(self, 0, RAM);
	KICK_UNTIL(self, device_status(self) & VIRTIO_CONFIG_S_NEEDS_RESET);
	common_write(self, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	avail_ring(self)->idx = 0;
	start_driver(self);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_EQ(VIRTIO_BLK_S_OK, self->ram[STATUS]);
}

TEST_F(device, a_request_without_status_byte_needs_a_reset)
{
	struct vring_desc *desc = (struct vring_desc *)(self->ram + DESC);

	start_driver(self);
	offer_read(self, 0, DATA);
	desc[0].flags = 0;
	KICK_UNTIL(self, device_status(self) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

TEST_F(device, odd_accesses_to_the_bar_do_no_harm)
{
	start_driver(self);
	for (unsigned int at = 0; at < 0x8000; at += 0x200) {
		for (unsigned int len = 1; len <= 8; len++) {
			mmio_read(self, BAR + at + 13, len);
			if (at)		/* the first page holds what we set up */
				mmio_write(self, BAR + at + 13, len, ~0ULL);
		}
	}
	ASSERT_TRUE(device_status(self) & VIRTIO_CONFIG_S_DRIVER_OK);
}

/*
 * Random accesses to the whole BAR and the whole configuration space, with
 * values that now and then make sense.  AddressSanitizer watches.
 */
TEST_F(device, random_accesses_do_no_harm)
{
	static const u64 values[] = { 0, 1, 2, 0xf, DESC, AVAIL, USED, RAM - 8, ~0ULL, BAR };
	static const unsigned int lens[] = { 1, 2, 4, 8, 3, 4 };
	struct loop_watch *kick = &self->blk->vdev.kick;

	srandom(1);
	for (unsigned int i = 0; i < 300000; i++) {
		gpa_t at = BAR + random() % 6 * 0x1000 + random() % (random() % 4 ? 64 : 0x1000);
		u64 value = random() % 4 ? values[random() % ARRAY_SIZE(values)] : random();
		unsigned int len = lens[random() % ARRAY_SIZE(lens)];

		if (random() % 2)
			mmio_write(self, at, len, value);
		else
			mmio_read(self, at, len);
		if (random() % 64 == 0)
			mmio_write(self, MEM_ECAM + (SLOT << 15) + random() % 256, len, value);
		if (random() % 64 == 0)
			offer_read(self, random() % 128, random() % (2 * RAM));
		if (random() % 64 == 0)
			kick->ready(kick, 0);
		if (random() % 256 == 0)
			config_write(self, SLOT, PCI_BASE_ADDRESS_0, 4, BAR);
		if (random() % 256 == 0)
			config_write(self, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	}
	virtio_reset(&self->blk->vdev);
	pci_reset(&self->pci);
	memset(self->ram, 0, RAM);
	config_write(self, SLOT, PCI_BASE_ADDRESS_0, 4, BAR);
	start_driver(self);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_EQ(VIRTIO_BLK_S_OK, self->ram[STATUS]);
}

/* ---- MSI-X ---- */

TEST_F(device, msix_is_offered_only_where_kvm_has_irqfds)
{
	ASSERT_NE(0, find_cap(self, PCI_CAP_ID_MSIX, 0));
	self->kvm.irqfd = false;
	ASSERT_NE(NULL, blk_create(&self->bus, &self->pool, &self->disk));
	pci_reset(&self->pci);
	ASSERT_EQ(0, find_cap_in(self, SLOT + 1, PCI_CAP_ID_MSIX, 0));
	ASSERT_NE(0, find_cap_in(self, SLOT + 1, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_COMMON_CFG));
}

TEST_F(device, a_vector_that_does_not_exist_is_no_vector)
{
	common_write(self, VIRTIO_PCI_COMMON_Q_MSIX, 2, MSIX_MAX - 1);
	ASSERT_EQ(MSIX_MAX - 1, common_read(self, VIRTIO_PCI_COMMON_Q_MSIX, 2));
	common_write(self, VIRTIO_PCI_COMMON_Q_MSIX, 2, MSIX_MAX);
	ASSERT_EQ(VIRTIO_MSI_NO_VECTOR, common_read(self, VIRTIO_PCI_COMMON_Q_MSIX, 2));
}

TEST_F(device, an_unmasked_vector_is_routed_as_the_guest_says)
{
	const struct kvm_irq_routing_entry *route;

	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	ASSERT_EQ(0, nr_irqfds);
	unmask(self, 1, 0xfee01000, 0x4042);
	ASSERT_EQ(1, nr_irqfds);
	route = route_of(irqfds[0].gsi);
	ASSERT_NE(NULL, route);
	ASSERT_EQ(KVM_IRQ_ROUTING_MSI, route->type);
	ASSERT_EQ(0xfee01000, route->u.msi.address_lo);
	ASSERT_EQ(0x4042, route->u.msi.data);
}

TEST_F(device, a_changed_message_is_routed_anew_and_tied_once)
{
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	mmio_write(self, msix_entry(self, 1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 1);
	unmask(self, 1, 0xfee02000, 0x4043);
	ASSERT_EQ(1, nr_irqfds);
	ASSERT_EQ(0xfee02000, route_of(irqfds[0].gsi)->u.msi.address_lo);
	ASSERT_EQ(0x4043, route_of(irqfds[0].gsi)->u.msi.data);
}

TEST_F(device, masking_alone_changes_no_route)
{
	unsigned int before;

	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	before = routings;
	mmio_write(self, msix_entry(self, 1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 1);
	mmio_write(self, msix_entry(self, 1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	ASSERT_EQ(before, routings);
}

TEST_F(device, an_interrupt_goes_to_its_vector_and_not_to_the_line)
{
	start_driver(self);
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1);
	ASSERT_FALSE(intx(self));
	ASSERT_EQ(1, signals(irqfds[0].fd));
}

/* VIRTIO 1.2, "ISR status capability": the bit of changes is set with MSI-X, too. */
TEST_F(device, with_msix_isr_tells_that_a_reset_is_needed_and_the_line_is_silent)
{
	start_driver(self);
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	offer_read(self, 0, RAM);
	KICK_UNTIL(self, device_status(self) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ASSERT_FALSE(intx(self));
	ASSERT_EQ(VIRTIO_PCI_ISR_CONFIG, mmio_read(self, BAR + self->isr, 1));
	ASSERT_EQ(0, mmio_read(self, BAR + self->isr, 1));
}

TEST_F(device, a_masked_vector_pends_and_fires_when_unmasked)
{
	start_driver(self);
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	mmio_write(self, msix_entry(self, 1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 1);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1 && msix_pending(self) == 1 << 1);
	ASSERT_EQ(0, signals(irqfds[0].fd));
	mmio_write(self, msix_entry(self, 1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	ASSERT_EQ(1, signals(irqfds[0].fd));
	ASSERT_EQ(0, msix_pending(self));
}

TEST_F(device, the_functions_mask_holds_all_vectors_back)
{
	start_driver(self);
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	offer_read(self, 0, DATA);
	KICK_UNTIL(self, used_index(self) == 1 && msix_pending(self) == 1 << 1);
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	ASSERT_EQ(1, signals(irqfds[0].fd));
}

TEST_F(device, the_machines_reset_masks_all_and_ties_anew)
{
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	virtio_reset(&self->blk->vdev);
	pci_reset(&self->pci);
	config_write(self, SLOT, PCI_BASE_ADDRESS_0, 4, BAR);
	ASSERT_EQ(1, mmio_read(self, msix_entry(self, 1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4));
	enable_msix(self, PCI_MSIX_FLAGS_ENABLE);
	unmask(self, 1, 0xfee01000, 0x4042);
	ASSERT_EQ(2, nr_irqfds);
}

/* ---- Lines that PCI devices share ---- */

TEST_F(device, a_shared_line_is_up_while_one_of_its_devices_wants_it)
{
	irq_line(&self->irq, 17, 1, true);
	irq_line(&self->irq, 17, 9, true);
	irq_line(&self->irq, 17, 1, false);
	ASSERT_EQ(1 << 9, self->irq.asserted[17]);
	irq_line(&self->irq, 17, 9, false);
	ASSERT_EQ(0, self->irq.asserted[17]);
}

TEST_F(device, irq_0_is_on_pin_2_and_nothing_on_the_cascade)
{
	unsigned int pins = 0;

	for (unsigned int i = 0; i < routes.head.nr; i++) {
		const struct kvm_irq_routing_entry *e = &routes.entry[i];

		ASSERT_NE(2, e->gsi);
		if (e->gsi == 0 && e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC)
			ASSERT_EQ(2, e->u.irqchip.pin);
		pins += e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC;
	}
	ASSERT_EQ(IRQ_PINS - 1, pins);
}

TEST_HARNESS_MAIN
