/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/init.h>. */
#ifndef SHIM_INIT
#define SHIM_INIT

#define __init
#define __initconst
#define __ro_after_init

#endif
