// SPDX-License-Identifier: GPL-2.0
/*
 * A reset takes the VM away and makes a new one, so nothing of the old one's
 * state can be forgotten; disks, console and clock stay, as on a PC.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "acpi.h"
#include "cpuid.h"
#include "machine.h"
#include "term.h"

/* Stop the machine, from any thread; true if it was still running. */
static bool machine_stop(struct machine *m, enum machine_end end)
{
	enum machine_end runs = MACHINE_RUNS;

	if (!__atomic_compare_exchange_n(&m->end, &runs, end, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&m->world.stop, true, __ATOMIC_RELEASE);
	loop_stop(&m->loop);
	return true;
}

static void machine_off(void *arg)
{
	machine_stop(arg, MACHINE_OFF);
}

static void machine_reset(void *arg)
{
	machine_stop(arg, MACHINE_RESET);
}

/* Somebody wants vitro to end: the guest's reset just now does not call that off. */
static void machine_leave(struct machine *m, enum machine_end end)
{
	enum machine_end reset = MACHINE_RESET;

	if (!machine_stop(m, end))
		__atomic_compare_exchange_n(&m->end, &reset, end, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
}

static void machine_quit(void *arg)
{
	machine_leave(arg, MACHINE_QUIT);
}

static bool machine_crashed(struct vcpu_world *world)
{
	return machine_stop(container_of(world, struct machine, world), MACHINE_CRASHED);
}

static void machine_signalled(struct loop_watch *watch, u32 events __attribute__((unused)))
{
	struct machine *m = container_of(watch, struct machine, signals);
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT) {
		/* Whoever stopped vitro may have changed the terminal. */
		term_restore();
		term_raw();
		return;
	}
	m->signal = info.ssi_signo;
	machine_leave(m, MACHINE_SIGNALLED);
}

/* Have signals that would kill vitro end it in good order. */
static void machine_watch_signals(struct machine *m)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT };
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)		/* nohup stays nohup */
			sigaddset(&set, signals[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a disk beyond the limit: the write's error tells */
	sigprocmask(SIG_BLOCK, &set, &m->signals_before);
	m->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	m->signals.ready = machine_signalled;
	loop_add(&m->loop, &m->signals, EPOLLIN);
}

static void machine_open_kvm(struct machine *m)
{
	const struct machine_config *config = m->config;
	u64 max;

	kvm_open(&m->kvm, config->device);
	if (config->cpus > m->kvm.max_vcpus)
		die("%u vCPUs; this KVM allows up to %u", config->cpus, m->kvm.max_vcpus);
	max = (1ULL << kvm_phys_bits(&m->kvm)) - (MEM_HIGH - MEM_PCI_HOLE);
	if (config->memory > max)
		die("%llu MiB of memory; this CPU can address %llu MiB",
		    (unsigned long long)config->memory / MIB, (unsigned long long)max / MIB);
}

static void machine_add_disks(struct machine *m)
{
	m->virtio = (struct virtio_bus){
		.pci = &m->pci, .loop = &m->loop, .irq = &m->irq, .mem = &m->mem,
	};
	for (unsigned int i = 0; i < m->config->nr_disks; i++) {
		m->blk[i] = blk_create(&m->virtio, &m->pool, &m->disk[i]);
		if (!m->blk[i])
			die("%s: no PCI slot is left for it", m->disk[i].path);
	}
}

/**
 * machine_build() - open all files and put the devices together.
 * @m: all zero.
 * @config: what to build; kept.
 *
 * Ends vitro where something is missing or wrong.
 */
void machine_build(struct machine *m, const struct machine_config *config)
{
	m->config = config;
	boot_open(&m->boot, config->kernel, config->initrd, config->append);
	for (unsigned int i = 0; i < config->nr_disks; i++)
		disk_open(&m->disk[i], config->disk[i].path, config->disk[i].readonly);
	machine_open_kvm(m);

	bus_init(&m->world.pio);
	bus_init(&m->world.mmio);
	m->world.crashed = machine_crashed;
	loop_init(&m->loop);
	machine_watch_signals(m);
	irq_init(&m->irq, &m->kvm);
	pool_init(&m->pool);
	pci_init(&m->pci, &m->world.pio, &m->world.mmio, machine_reset, m);
	power_init(&m->power, &m->world.pio, machine_off, machine_reset, m);
	rtc_init(&m->rtc, &m->loop, &m->irq);
	bus_map(&m->world.pio, &m->rtc.region, RTC_PORT);
	console_init(&m->console, &m->loop, &m->irq, machine_quit, m);
	bus_map(&m->world.pio, &m->console.serial.region, SERIAL_PORT);
	machine_add_disks(m);
}

static void machine_create_vcpus(struct machine *m, const struct boot_entry *entry)
{
	struct kvm_cpuid2 *cpuid = cpuid_prepare(&m->kvm, m->config->cpus);

	for (unsigned int i = 0; i < m->config->cpus; i++)
		vcpu_create(&m->vcpu[i], &m->kvm, i, cpuid, &m->world);
	free(cpuid);
	vcpu_boot(&m->vcpu[0], entry);
}

static void machine_power_on(struct machine *m)
{
	struct boot_entry entry;

	memory_create(&m->mem, m->config->memory, m->config->hugepages);
	boot_load(&m->boot, &m->mem, acpi_build(&m->mem, m->config->cpus), &entry);
	kvm_create_vm(&m->kvm, &m->mem);
	irq_reset(&m->irq);
	serial_reset(&m->console.serial);
	rtc_reset(&m->rtc);
	pci_reset(&m->pci);
	machine_create_vcpus(m, &entry);
	m->world.stop = false;
	m->end = MACHINE_RUNS;
	term_raw();
	verbose("%u vCPUs, %llu MiB: the guest starts", m->config->cpus,
		(unsigned long long)m->config->memory / MIB);
	for (unsigned int i = 0; i < m->config->cpus; i++)
		vcpu_start(&m->vcpu[i]);
}

/* After this, nothing of the VM is left, and no request is under way. */
static void machine_power_off(struct machine *m)
{
	serial_close(&m->console.serial);
	for (unsigned int i = 0; i < m->config->cpus; i++)
		vcpu_kick(&m->vcpu[i]);
	for (unsigned int i = 0; i < m->config->cpus; i++)
		vcpu_join(&m->vcpu[i], &m->kvm);
	for (unsigned int i = 0; i < m->config->nr_disks; i++)
		virtio_reset(&m->blk[i]->vdev);
	kvm_destroy_vm(&m->kvm);
	memory_destroy(&m->mem);
}

/*
 * The machine is no more.  From here on signals kill at once again; if one
 * ended the machine, it kills now, so that the parent sees it.
 */
static void machine_unwatch_signals(struct machine *m)
{
	if (m->end == MACHINE_SIGNALLED)
		raise(m->signal);
	sigprocmask(SIG_SETMASK, &m->signals_before, NULL);
}

/**
 * machine_run() - run the guest until it ends, over all its reboots.
 * @m: built.
 *
 * Return: the exit status of vitro.  Does not return when a signal ends it.
 */
int machine_run(struct machine *m)
{
	do {
		machine_power_on(m);
		loop_run(&m->loop);
		machine_power_off(m);
		verbose("the guest %s", m->end == MACHINE_OFF ? "powered off" :
			m->end == MACHINE_RESET ? "asked for a reset" : "was stopped");
	} while (m->end == MACHINE_RESET && !m->config->no_reboot);
	term_restore();
	machine_unwatch_signals(m);
	if (m->end == MACHINE_OFF || m->end == MACHINE_RESET)
		console_flush(&m->console);
	return m->end == MACHINE_CRASHED ? EXIT_CRASH : EXIT_OK;
}
