/* SPDX-License-Identifier: GPL-2.0 */
/* The whole PC: what it is built of, and its life from power-on to power-off. */
#ifndef VITRO_MACHINE_H
#define VITRO_MACHINE_H

#include <signal.h>

#include "boot_linux.h"
#include "console.h"
#include "loop.h"
#include "pci.h"
#include "pool.h"
#include "power.h"
#include "rtc.h"
#include "vcpu.h"
#include "virtio_blk.h"

#define MACHINE_MAX_CPUS	255	/* an APIC id of 8 bits, and 255 means all */
#define MACHINE_MAX_DISKS	(PCI_SLOTS - 1)

/* What the user asked for. */
struct machine_config {
	unsigned int cpus;
	u64 memory;			/* bytes */
	bool hugepages;
	bool no_reboot;			/* a reset ends vitro */
	const char *device;		/* /dev/kvm */
	const char *kernel, *initrd, *append;
	unsigned int nr_disks;
	struct {
		const char *path;
		bool readonly;
	} disk[MACHINE_MAX_DISKS];
};

/* Why the machine stopped; the first reason is kept. */
enum machine_end {
	MACHINE_RUNS,
	MACHINE_OFF,			/* the guest powered off */
	MACHINE_RESET,			/* the guest asked for a reset */
	MACHINE_QUIT,			/* the user did not want it any more */
	MACHINE_CRASHED,		/* a vCPU cannot go on */
	MACHINE_SIGNALLED,		/* vitro was told to die */
};

struct machine {
	const struct machine_config *config;
	enum machine_end end;		/* atomic */
	int signal;			/* that ended it, with MACHINE_SIGNALLED */

	/* These live as long as vitro and are reset with the machine... */
	struct loop loop;
	struct loop_watch signals;
	sigset_t signals_before;	/* mask that vitro was started with */
	struct boot boot;
	struct irq_router irq;
	struct pci_bus pci;
	struct console console;
	struct rtc rtc;
	struct power power;
	struct pool pool;
	struct virtio_bus virtio;
	struct disk disk[MACHINE_MAX_DISKS];
	struct blk *blk[MACHINE_MAX_DISKS];
	struct kvm kvm;

	/* ...and these are new after each reset. */
	struct memory mem;
	struct vcpu_world world;	/* the buses in it stay */
	struct vcpu vcpu[MACHINE_MAX_CPUS];
};

void machine_build(struct machine *m, const struct machine_config *config);
int machine_run(struct machine *m);

#endif /* VITRO_MACHINE_H */
