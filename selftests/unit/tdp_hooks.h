/* SPDX-License-Identifier: GPL-2.0 */
/* Included before all else when test_tdp is built: every store to a table entry shows itself to the test. */
#ifndef UNIT_TDP_HOOKS_H
#define UNIT_TDP_HOOKS_H

#include <stdint.h>

void model_before_store(void *entry);
void model_after_store(void *entry, uint64_t old, uint64_t new);

#define unit_before_store(ptr)			model_before_store(ptr)
#define unit_after_store(ptr, old, new)		model_after_store(ptr, old, new)

#endif
