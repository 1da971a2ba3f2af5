/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/static_call.h>; the test defines the functions. */
#ifndef SHIM_STATIC_CALL
#define SHIM_STATIC_CALL

#define DECLARE_STATIC_CALL(name, func)	extern typeof(func) name
#define static_call(name)		name

#endif
