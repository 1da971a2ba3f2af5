/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for <linux/slab.h>. */
#ifndef SHIM_SLAB_H
#define SHIM_SLAB_H

#include <stdlib.h>
#include <string.h>
#include <linux/cleanup.h>
#include <linux/gfp.h>

#define kmalloc(size, gfp)	malloc(size)
#define kzalloc(size, gfp)	calloc(1, size)
#define kfree(ptr)		free((void *)(ptr))
#define kvmalloc(size, gfp)	kmalloc(size, gfp)
#define kvzalloc(size, gfp)	kzalloc(size, gfp)
#define kvfree(ptr)		kfree(ptr)
#define struct_size(ptr, member, count)	(sizeof(*(ptr)) + (count) * sizeof((ptr)->member[0]))

/* A cache is the size of its objects. */
struct kmem_cache;
#define kmem_cache_create(name, size, align, flags, ctor)	((struct kmem_cache *)(size))
#define kmem_cache_destroy(cache)				((void)(cache))
#define kmem_cache_zalloc(cache, gfp)				calloc(1, (size_t)(cache))
#define kmem_cache_free(cache, ptr)				kfree(ptr)

#define kmemdup(src, size, gfp)	memcpy(malloc(size), src, size)

#define kmalloc_array(n, size, gfp)	malloc((n) * (size))

static inline void __free_kfree(void *p)
{
	void *ptr = *(void **)p;

	if ((unsigned long)ptr < -4095UL)	/* no error that memdup_user() gave */
		kfree(ptr);
}

#endif
