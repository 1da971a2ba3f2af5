/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/file.h>; the test has the files. */
#ifndef SHIM_FILE_H
#define SHIM_FILE_H

struct file;

void fput(struct file *file);

#endif
