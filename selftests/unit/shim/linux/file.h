/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/file.h>; the test has the files. */
#ifndef SHIM_FILE_H
#define SHIM_FILE_H

#include <linux/cleanup.h>
#include <linux/err.h>

struct file;

void fput(struct file *file);

static inline void __free_fput(struct file **file)
{
	if (!IS_ERR_OR_NULL(*file))
		fput(*file);
}

#endif
