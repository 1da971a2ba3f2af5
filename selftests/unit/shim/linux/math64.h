/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/math64.h>. */
#ifndef SHIM_MATH64_H
#define SHIM_MATH64_H

/* As the kernel's on x86-64: a quotient of more than 64 bits is #DE. */
static inline unsigned long long mul_u64_u32_div(unsigned long long a, unsigned int mul,
						 unsigned int div)
{
	unsigned long long q;

	asm("mulq %2; divq %3" : "=a"(q)
	    : "0"(a), "rm"((unsigned long long)mul), "rm"((unsigned long long)div) : "rdx", "cc");
	return q;
}

static inline unsigned long long mul_u64_u64_shr(unsigned long long a, unsigned long long b,
						 unsigned int shift)
{
	return (unsigned __int128)a * b >> shift;
}

static inline unsigned long long div64_u64(unsigned long long a, unsigned long long b)
{
	return a / b;
}

static inline unsigned long long div_u64_rem(unsigned long long a, unsigned int b,
					     unsigned int *rem)
{
	*rem = a % b;
	return a / b;
}

#endif
