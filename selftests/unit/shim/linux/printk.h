/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/printk.h>. */
#ifndef SHIM_PRINTK
#define SHIM_PRINTK

#include <stdio.h>

#ifndef pr_err
#define pr_err(...)	fprintf(stderr, __VA_ARGS__)
#endif

#endif
