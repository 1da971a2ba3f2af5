// SPDX-License-Identifier: GPL-2.0
/* How the launcher reads sizes and counts from its command line. */
#include "kselftest_harness.h"

#include "util.h"

static u64 size_of(const char *text)
{
	u64 bytes = ~0ULL;

	return parse_size(text, &bytes) < 0 ? ~0ULL : bytes;
}

TEST(a_size_without_a_letter_is_in_mebibytes)
{
	ASSERT_EQ(256 * MIB, size_of("256"));
}

TEST(letters_of_both_cases_scale_a_size)
{
	ASSERT_EQ(64 * KIB, size_of("64K"));
	ASSERT_EQ(64 * KIB, size_of("64k"));
	ASSERT_EQ(512 * MIB, size_of("512m"));
	ASSERT_EQ(3 * GIB, size_of("3G"));
	ASSERT_EQ(2ULL << 40, size_of("2T"));
}

TEST(what_is_no_size_is_refused)
{
	static const char * const wrong[] = {
		"", "M", "-1", "+1", " 1", "1 ", "1X", "1MB", "0x10", "1.5G",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_EQ(~0ULL, size_of(wrong[i]))
			TH_LOG("'%s'", wrong[i]);
	}
}

TEST(a_size_beyond_64_bits_is_refused)
{
	ASSERT_EQ(~0ULL, size_of("16777216T"));
	ASSERT_EQ(~0ULL, size_of("99999999999999999999"));
	ASSERT_EQ(16777215ULL << 40, size_of("16777215T"));
}

TEST(a_count_is_decimal_digits_and_fits_an_int)
{
	unsigned int n;

	ASSERT_EQ(0, parse_count("255", &n));
	ASSERT_EQ(255, n);
	ASSERT_GT(0, parse_count("", &n));
	ASSERT_GT(0, parse_count("-1", &n));
	ASSERT_GT(0, parse_count("4x", &n));
	ASSERT_GT(0, parse_count("4294967296", &n));
}

TEST_HARNESS_MAIN
