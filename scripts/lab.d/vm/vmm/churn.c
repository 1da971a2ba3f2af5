// SPDX-License-Identifier: GPL-2.0
/*
 * churn MIB: what a guest does while its VM is saved, moved or paused.
 *
 * It writes a word into each page of so much memory, again and again, and before
 * it does, looks whether the last one is still there: whatever a monitor lost on
 * the way shows.  It also looks at the clock at each page.  A pass ends in a line,
 * "pass N", and the first fault in another, which is the end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES_AT_ONCE 64	/* then it sleeps a millisecond */

static uint64_t word_of(uint64_t pass, uint64_t page)
{
	return pass ? (pass << 32 | page) * 0x9e3779b97f4a7c15 : 0;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void look_at_clock(void)
{
	static int64_t last;
	int64_t time = now();

	if (time < last) {
		printf("clock went back by %lld ns\n", (long long)(last - time));
		exit(1);
	}
	last = time;
}

static void touch(uint64_t *at, uint64_t pass, uint64_t page)
{
	if (*at != word_of(pass - 1, page)) {
		printf("page %llu of pass %llu was lost\n", (unsigned long long)page,
		       (unsigned long long)pass);
		exit(1);
	}
	*at = word_of(pass, page);
	look_at_clock();
}

int main(int argc, char **argv)
{
	uint64_t pages, pass, page;
	char *memory;

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	pages = strtoull(argv[1], NULL, 10) << 8;
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	for (pass = 1; ; pass++) {
		for (page = 0; page < pages; page++) {
			/* Not always at the same place in a page. */
			touch((uint64_t *)(memory + page * PAGE + page % 512 * 8), pass, page);
			if (page % PAGES_AT_ONCE == 0)
				usleep(1000);
		}
		printf("pass %llu\n", (unsigned long long)pass);
	}
}
