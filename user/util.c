// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "term.h"
#include "util.h"

bool verbose_on;

static void say(const char *fmt, va_list args)
{
	fprintf(stderr, "vitro: ");
	vfprintf(stderr, fmt, args);
	/* The terminal may be raw, where a line feed alone is no new line. */
	fprintf(stderr, term_is_raw() ? "\r\n" : "\n");
}

/**
 * die() - end vitro with one line on standard error and status 1.
 * @fmt: printf format of the line, without "vitro: " and line feed.
 *
 * The terminal is restored first.
 */
void die(const char *fmt, ...)
{
	va_list args;

	term_restore();
	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	exit(EXIT_USAGE);
}

/**
 * verbose() - tell what vitro does, where -v asked for it.
 * @fmt: printf format of one line, without line feed.
 */
void verbose(const char *fmt, ...)
{
	va_list args;

	if (!verbose_on)
		return;
	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
}

/**
 * xalloc() - zeroed memory, or the end of vitro.
 * @size: bytes.
 */
void *xalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		die("out of memory");
	return p;
}

/**
 * parse_size() - read a memory size.
 * @text: decimal digits and one of K, M, G, T; no letter means MiB.
 * @bytes: where the size goes, in bytes.
 *
 * Return: 0, or -EINVAL when @text is no size or too large for 64 bits.
 */
int parse_size(const char *text, u64 *bytes)
{
	unsigned int shift = 20;
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	switch (*end) {
	case 'K': case 'k':
		shift = 10;
		break;
	case 'G': case 'g':
		shift = 30;
		break;
	case 'T': case 't':
		shift = 40;
		break;
	case 'M': case 'm': case '\0':
		break;
	default:
		return -EINVAL;
	}
	if ((*end && end[1]) || n > (~0ULL >> shift))
		return -EINVAL;
	*bytes = n << shift;
	return 0;
}

/**
 * parse_count() - read a decimal number.
 * @text: digits only.
 * @count: where the number goes.
 *
 * Return: 0, or -EINVAL.
 */
int parse_count(const char *text, unsigned int *count)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n > UINT_MAX)
		return -EINVAL;
	*count = n;
	return 0;
}

/**
 * pread_full() - read a piece of a file, all of it.
 * @fd: file.
 * @buf: where to.
 * @len: bytes.
 * @offset: where from, in bytes.
 *
 * Return: 0, -EIO at an early end of the file, or -errno.
 */
int pread_full(int fd, void *buf, size_t len, u64 offset)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buf = (char *)buf + n;
		len -= n;
		offset += n;
	}
	return 0;
}
