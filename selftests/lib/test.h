/* SPDX-License-Identifier: GPL-2.0 */
/* What every test program includes: the harness, the VMs, the guest's side. */
#ifndef SELFTESTS_TEST_H
#define SELFTESTS_TEST_H

#include "kselftest_harness.h"
#include "vm.h"

/* Seconds; vm.c knows better how long a guest may take, and the lab how long a test. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600

#define NEED_CAP(cap) \
	do { if (kvm_cap(cap) <= 0) SKIP(return, #cap " is not offered"); } while (0)
#define NEED(cond, ...) \
	do { if (!(cond)) SKIP(return, __VA_ARGS__); } while (0)

#endif /* SELFTESTS_TEST_H */
