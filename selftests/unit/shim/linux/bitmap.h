/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/bitmap.h>. */
#ifndef SHIM_BITMAP_H
#define SHIM_BITMAP_H

#include <string.h>
#include <linux/bitops.h>

#define BITS_TO_LONGS(nr)		(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits)	unsigned long name[BITS_TO_LONGS(bits)]

static inline void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, BITS_TO_LONGS(bits) * sizeof(*map));
}

static inline void bitmap_copy(unsigned long *to, const unsigned long *from, unsigned int bits)
{
	memcpy(to, from, BITS_TO_LONGS(bits) * sizeof(*to));
}

static inline unsigned int bitmap_weight(const unsigned long *map, unsigned int bits)
{
	unsigned int bit, weight = 0;

	for_each_set_bit(bit, map, bits)
		weight++;
	return weight;
}

static inline unsigned long find_nth_bit(const unsigned long *map, unsigned long bits, unsigned long n)
{
	unsigned long bit;

	for_each_set_bit(bit, map, bits)
		if (!n--)
			return bit;
	return bits;
}

#endif
