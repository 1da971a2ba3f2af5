/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/bitops.h>. */
#ifndef SHIM_BITOPS_H
#define SHIM_BITOPS_H

#include <stdbool.h>
#include <linux/bits.h>

#define __ffs64(word)	((unsigned int)__builtin_ctzll(word))
#define __ffs(word)	((unsigned long)__builtin_ctzl(word))
#define __fls(word)	(63UL - __builtin_clzl(word))

#define bit_word(nr, map)	((map) + (nr) / BITS_PER_LONG)
#define bit_mask(nr)		BIT((nr) % BITS_PER_LONG)

static inline bool test_bit(long nr, const volatile unsigned long *map)
{
	return *bit_word(nr, map) & bit_mask(nr);
}

static inline bool test_and_set_bit(long nr, volatile unsigned long *map)
{
	return __atomic_fetch_or(bit_word(nr, map), bit_mask(nr), __ATOMIC_SEQ_CST) & bit_mask(nr);
}

static inline bool test_and_clear_bit(long nr, volatile unsigned long *map)
{
	return __atomic_fetch_and(bit_word(nr, map), ~bit_mask(nr), __ATOMIC_SEQ_CST) & bit_mask(nr);
}

#define set_bit(nr, map)	((void)test_and_set_bit(nr, map))
#define clear_bit(nr, map)	((void)test_and_clear_bit(nr, map))
#define assign_bit(nr, map, on)	((on) ? set_bit(nr, map) : clear_bit(nr, map))
#define __set_bit(nr, map)	((void)(*bit_word(nr, map) |= bit_mask(nr)))
#define __clear_bit(nr, map)	((void)(*bit_word(nr, map) &= ~bit_mask(nr)))

static inline unsigned char ror8(unsigned char byte, unsigned int count)
{
	return byte >> count % 8 | byte << (8 - count % 8) % 8;
}

#define for_each_set_bit(bit, map, size)		\
	for ((bit) = 0; (bit) < (size); (bit)++)	\
		if (test_bit(bit, map))

#endif
