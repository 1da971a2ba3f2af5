/* SPDX-License-Identifier: GPL-2.0 */
/* What every file of the launcher needs: types, sizes, words to the user. */
#ifndef VITRO_UTIL_H
#define VITRO_UTIL_H

#include "types.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define PAGE_SIZE 4096ULL
#define SECTOR_SIZE 512ULL

#ifndef ARRAY_SIZE	/* the test harness has it, too */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif
#define ALIGN_DOWN(x, a) ((x) & ~((u64)(a) - 1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + (a) - 1, a)
#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* How `vitro` ends. */
enum exit_status {
	EXIT_OK = 0,		/* the guest powered off, or the user quit */
	EXIT_USAGE = 1,		/* bad input, or something missing on the host */
	EXIT_CRASH = 2,		/* the guest or KVM cannot go on */
};

extern bool verbose_on;

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void verbose(const char *fmt, ...);
void *xalloc(size_t size);
int parse_size(const char *text, u64 *bytes);
int parse_count(const char *text, unsigned int *count);
int pread_full(int fd, void *buf, size_t len, u64 offset);

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

#endif /* VITRO_UTIL_H */
