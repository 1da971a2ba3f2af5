// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "run.h"

struct command {
	const char *name, *what;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "run", "boot a Linux kernel in a virtual PC", run_main },
};

static void usage(FILE *to)
{
	fprintf(to, "usage: vitro COMMAND [OPTION...]\n\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].what);
	fprintf(to, "\n  --version  the version\n  --help     this text; vitro COMMAND --help tells more\n");
}

/* Files opened later must not become standard input or output. */
static void open_standard_files(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			die("/dev/null is needed in place of a closed standard file");
}

int main(int argc, char **argv)
{
	open_standard_files();
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version")) {
		printf("vitro " VITRO_VERSION "\n");
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--help") && strcmp(argv[1], "-h") && strcmp(argv[1], "help"))
		die("%s: no such command; see vitro --help", argv[1]);
	usage(stdout);
	return EXIT_OK;
}
