/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included before all else where vmx/check.c and svm/check.c are built: their
 * rules lie together, so that a test can tell which it has not broken, and what
 * they log is kept instead of printed.
 */
#ifndef UNIT_CHECK_WORLD_H
#define UNIT_CHECK_WORLD_H

#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/build_bug.h>
#include "types.h"

/* The kernel's own <asm/msr-index.h> comes first, by -include. */
#define SHIM_MSR_INDEX_H
#define __aligned(x)		__attribute__((aligned(x)))
#define __packed		__attribute__((packed))
#define static_assert		_Static_assert
#define PAGE_SIZE		4096
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define RULE_PLACE	__attribute__((section("rules"), used))
#define pr_err(...)	check_log(__VA_ARGS__)
void check_log(const char *format, ...);	/* unchecked: u64 is long here, long long there */

/* Of msr.h, which is not needed for more. */
#define VITRO_MSR_H
bool mtrr_pat_valid(u64 pat);

/* What the test sees; check_world.c. */
extern char check_broken[4096];		/* "rule\n" or "subject: rule\n" for each that was broken */
extern char check_text[16384];		/* all that was logged */
void check_clear(void);
const char *check_unbroken(void);	/* a rule that no test has broken yet, or NULL */
unsigned int check_count(void);		/* all rules */

#endif /* UNIT_CHECK_WORLD_H */
