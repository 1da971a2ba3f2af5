// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

static const char run_help[] =
"usage: vitro run [OPTION...] KERNEL\n"
"\n"
"Boot the bzImage KERNEL in a virtual PC whose first serial port is this\n"
"terminal.\n"
"\n"
"  -c, --cpus N         vCPUs, 1 to 255 (1)\n"
"  -m, --memory SIZE    guest memory; K, M, G or T may follow, else MiB (512M)\n"
"  -i, --initrd FILE    initial RAM disk\n"
"  -d, --disk DISK[,ro] a raw file or a block device as virtio disk; may be\n"
"                       given more than once; with ,ro the guest cannot write\n"
"  -a, --append WORDS   more words for the kernel's command line, which begins\n"
"                       with console=ttyS0\n"
"      --device PATH    KVM's device (/dev/kvm)\n"
"      --hugepages      guest memory from reserved huge pages of 2 MiB\n"
"      --no-reboot      end when the guest reboots\n"
"  -v, --verbose        tell on standard error what vitro does\n"
"  -h, --help           this text\n"
"\n"
"In a terminal, Ctrl-A x quits and Ctrl-A h helps.\n"
"Status: 0 after power-off or Ctrl-A x; 1 when something given or needed is\n"
"missing or wrong; 2 when the guest crashed (triple fault) or KVM failed.\n";

enum {
	OPT_DEVICE = 0x100, OPT_HUGEPAGES, OPT_NO_REBOOT,
	HUGE_PAGE = 2 << 20,
};

static const char letters[] = ":c:m:i:d:a:vh";

static const struct option options[] = {
	{ "cpus", required_argument, NULL, 'c' },
	{ "memory", required_argument, NULL, 'm' },
	{ "initrd", required_argument, NULL, 'i' },
	{ "disk", required_argument, NULL, 'd' },
	{ "append", required_argument, NULL, 'a' },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "hugepages", no_argument, NULL, OPT_HUGEPAGES },
	{ "no-reboot", no_argument, NULL, OPT_NO_REBOOT },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void set_cpus(struct machine_config *config, const char *text)
{
	if (parse_count(text, &config->cpus) < 0 || config->cpus < 1 ||
	    config->cpus > MACHINE_MAX_CPUS)
		die("-c %s: a number of vCPUs from 1 to %d is wanted", text, MACHINE_MAX_CPUS);
}

static void set_memory(struct machine_config *config, const char *text)
{
	if (parse_size(text, &config->memory) < 0)
		die("-m %s: a size such as 512M or 2G is wanted", text);
	if (config->memory < MEM_MIN)
		die("-m %s: the guest needs %llu MiB or more", text, MEM_MIN / MIB);
	if (config->memory % PAGE_SIZE)
		die("-m %s: a multiple of %llu KiB is wanted", text, PAGE_SIZE / KIB);
}

static void add_disk(struct machine_config *config, char *text)
{
	char *comma = strrchr(text, ',');
	bool readonly = comma && !strcmp(comma, ",ro");

	if (readonly)
		*comma = '\0';
	if (!*text)
		die("-d: the name of a file or device is wanted");
	if (config->nr_disks == MACHINE_MAX_DISKS)
		die("-d %s: more than %d disks", text, MACHINE_MAX_DISKS);
	config->disk[config->nr_disks].path = text;
	config->disk[config->nr_disks++].readonly = readonly;
}

__attribute__((noreturn))
static void wrong_option(const char *word)
{
	/* Of several letters in a word, getopt has not passed the word yet. */
	if (optopt && optopt < OPT_DEVICE && !strchr(letters, optopt))
		die("-%c: no such option; see vitro run --help", optopt);
	die("%s: no such option; see vitro run --help", word);
}

static void set_option(struct machine_config *config, int option, char **argv)
{
	switch (option) {
	case 'c':
		set_cpus(config, optarg);
		break;
	case 'm':
		set_memory(config, optarg);
		break;
	case 'i':
		config->initrd = optarg;
		break;
	case 'd':
		add_disk(config, optarg);
		break;
	case 'a':
		config->append = optarg;
		break;
	case 'v':
		verbose_on = true;
		break;
	case OPT_DEVICE:
		config->device = optarg;
		break;
	case OPT_HUGEPAGES:
		config->hugepages = true;
		break;
	case OPT_NO_REBOOT:
		config->no_reboot = true;
		break;
	case 'h':
		fputs(run_help, stdout);
		exit(EXIT_OK);
	case ':':
		die("%s: a value is missing; see vitro run --help", argv[optind - 1]);
	default:
		wrong_option(argv[optind - 1]);
	}
}

/**
 * run_parse() - read the command line, or end vitro.
 * @config: to be filled.
 * @argc: number of words.
 * @argv: words, the first of them "run"; kept and changed.
 */
void run_parse(struct machine_config *config, int argc, char **argv)
{
	int option;

	*config = (struct machine_config){
		.cpus = 1, .memory = 512 * MIB, .device = "/dev/kvm",
	};
	while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1)
		set_option(config, option, argv);
	if (optind == argc)
		die("which kernel? see vitro run --help");
	if (optind + 1 < argc)
		die("%s: one kernel is enough; see vitro run --help", argv[optind + 1]);
	config->kernel = argv[optind];
	if (config->hugepages && config->memory % HUGE_PAGE)
		die("--hugepages: a memory size that is a multiple of 2 MiB is wanted");
}

/**
 * run_main() - the subcommand.
 * @argc: number of words.
 * @argv: words, the first of them "run".
 *
 * Return: exit status.
 */
int run_main(int argc, char **argv)
{
	static struct machine_config config;
	static struct machine machine;

	run_parse(&config, argc, argv);
	machine_build(&machine, &config);
	return machine_run(&machine);
}
