/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/xarray.h>. */
#ifndef SHIM_XARRAY_H
#define SHIM_XARRAY_H

struct xarray { void *head; };

#endif
