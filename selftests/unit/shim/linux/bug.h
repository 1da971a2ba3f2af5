/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/bug.h>: what would warn, ends the test. */
#ifndef SHIM_BUG_H
#define SHIM_BUG_H

#ifndef WARN_ON_ONCE
#define WARN_ON_ONCE(x)		({ if (x) __builtin_trap(); 0; })
#endif

#endif
