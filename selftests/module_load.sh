#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2015,SC2317
# How the module loads, refuses to load, and unloads.  In the usual test VM it
# can load; on a CPU without virtualization or without nested paging, and beside
# stock KVM, it must say why it does not and leave nothing behind.

ours=${VITRO_KO:-/lab/kvm.ko}
stock=kvm-amd
grep -qw svm /proc/cpuinfo || stock=kvm-intel
number=0 failed=0

# claim TEXT COMMAND...
claim()
{
	number=$((number + 1))
	text=$1
	shift
	if "$@"; then
		echo "ok $number $text"
	else
		echo "not ok $number $text"
		failed=1
	fi
}

loaded() { [ -d /sys/module/kvm ]; }
gone() { ! loaded && [ ! -e /dev/kvm ]; }
flag() { grep -qw "$1" /proc/cpuinfo; }
able() { flag svm || flag vmx; }
nested() { flag npt || flag ept; }
stock_loaded() { [ -d /sys/module/kvm_amd ] || [ -d /sys/module/kvm_intel ]; }
load() { insmod "$ours" 2>/tmp/load.err; }
# The module's lines in the kernel's log since "mark", without their times;
# busybox tries twice to load, by two system calls.
mark() { echo "module_load: mark $number" >/dev/kmsg; }
log() { dmesg | sed -n "/module_load: mark $number\$/,\$p" | sed -n 's/^.*\(kvm: \)/\1/p' | sort -u; }

# refuses PATTERN: one line says why, the errno is in /tmp/load.err, all is as before.
refuses()
{
	mark
	! load && gone && [ "$(log | wc -l)" -eq 1 ] && log | grep -qi "$1" || {
		sed 's/^/# /' /tmp/load.err
		log | sed 's/^/# /'
		return 1
	}
}

cycle()
{
	i=0
	while [ "$i" -lt 10 ]; do
		rmmod kvm && gone && load && [ -c /dev/kvm ] || return 1
		i=$((i + 1))
	done
}

passes() { "$SELFTESTS/$1" >/tmp/passes.out 2>&1; }

ours_is_told() { [ -s /sys/module/kvm/version ] && modinfo "$ours" | grep -q '^description:'; }

# Both are named kvm: the kernel takes the first.
ours_beside_stock()
{
	rmmod kvm && modprobe $stock && ! load && grep -qi exist /tmp/load.err &&
		[ -c /dev/kvm ] && stock_loaded
}

stock_goes_and_ours_comes()
{
	rmmod $stock && rmmod kvm && gone && load && [ -c /dev/kvm ]
}

# With our kvm there, stock's vendor module misses some hundred symbols, each of them
# a line in the log: not for the console.
stock_beside_ours()
{
	dmesg -n 1
	modprobe $stock 2>/dev/null
	dmesg -n 7
	! stock_loaded && passes cpuid
}

unknown_parameter() { rmmod kvm && insmod "$ours" nobody_knows=1 && passes cpuid; }

echo "TAP version 13"
if [ "$LAB_KVM" = stock ]; then
	echo "1..0 # SKIP stock KVM is under test"
	exit 0
fi

# What can be claimed depends on the CPU.
if ! able; then
	echo "1..1"
	claim "without virtualization it refuses" refuses 'svm\|vmx\|not AMD'
	exit $failed
elif ! nested; then
	echo "1..1"
	claim "without nested paging it refuses" refuses 'nested paging\|npt\|ept'
	exit $failed
fi

echo "1..6"
loaded || load
claim "it tells its version and what it is" ours_is_told
claim "it unloads and loads ten times" cycle
claim "it refuses beside stock KVM, which goes on" ours_beside_stock
claim "it loads when stock KVM is gone" stock_goes_and_ours_comes
claim "stock KVM refuses beside it, and it goes on" stock_beside_ours
claim "an unknown parameter does no harm" unknown_parameter
exit $failed
