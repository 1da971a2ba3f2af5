#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2015,SC2317
# How the module loads, refuses to load, and unloads.  In the usual test VM it
# can load; on a CPU without SVM or without nested paging, and beside stock
# KVM, it must say why it does not and leave nothing behind.

ours=${VITRO_KO:-/lab/kvm.ko}
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

# skip TEXT REASON
skip()
{
	number=$((number + 1))
	echo "ok $number # SKIP $1: $2"
}

loaded() { [ -d /sys/module/kvm ]; }
gone() { ! loaded && [ ! -e /dev/kvm ]; }
flag() { grep -qw "$1" /proc/cpuinfo; }
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
	rmmod kvm && modprobe kvm-amd && ! load && grep -qi exist /tmp/load.err &&
		[ -c /dev/kvm ] && [ -d /sys/module/kvm_amd ]
}

stock_goes_and_ours_comes()
{
	rmmod kvm_amd && rmmod kvm && gone && load && [ -c /dev/kvm ]
}

# With our kvm there, stock's kvm-amd misses some hundred symbols, each of them
# a line in the log: not for the console.
stock_beside_ours()
{
	dmesg -n 1
	modprobe kvm-amd 2>/dev/null
	dmesg -n 7
	[ ! -d /sys/module/kvm_amd ] && passes cpuid
}

# unload_soon: what was killed takes a moment to go.
unload_soon()
{
	i=0
	while [ "$i" -lt 50 ]; do
		rmmod kvm 2>/dev/null && return 0
		sleep 0.1
		i=$((i + 1))
	done
	echo "# still in use: $(cat /sys/module/kvm/refcnt) references"
	return 1
}

unknown_parameter() { rmmod kvm && insmod "$ours" nobody_knows=1 && passes cpuid; }

# VMMs of all sorts, killed in the middle of what they do.
killed_vmms()
{
	for delay in 0.05 0.1 0.2 0.3 0.5 0.8; do
		for program in ipi memory lifecycle; do
			setsid "$SELFTESTS/$program" >/dev/null 2>&1 &
			session=$!
			sleep "$delay"
			awk -v sid="$session" '{ pid = $1; sub(/.*\) /, ""); if ($4 == sid) print pid }' \
				/proc/[0-9]*/stat 2>/dev/null | xargs -r kill -KILL 2>/dev/null
			wait "$session" 2>/dev/null
		done
		unload_soon && load || return 1
	done
}

echo "TAP version 13"
if [ "$LAB_KVM" = stock ]; then
	echo "1..0 # SKIP stock KVM is under test"
	exit 0
fi
echo "1..10"

if flag svm; then
	skip "without SVM it refuses" "this CPU has SVM"
else
	claim "without SVM it refuses" refuses 'svm\|not AMD'
fi
if flag npt || ! flag svm; then
	skip "without nested paging it refuses" "this CPU has nested paging, or no SVM"
else
	claim "without nested paging it refuses" refuses 'nested paging\|npt'
fi
if ! flag svm || ! flag npt; then
	while [ $number -lt 10 ]; do
		skip "what needs the module" "it cannot load on this CPU"
	done
	exit $failed
fi

loaded || load
claim "it tells its version and what it is" ours_is_told
claim "it unloads and loads ten times" cycle
claim "it refuses beside stock KVM, which goes on" ours_beside_stock
claim "it loads when stock KVM is gone" stock_goes_and_ours_comes
claim "stock KVM refuses beside it, and it goes on" stock_beside_ours
claim "it unloads after VMMs were killed at any moment" killed_vmms
claim "it loads again and runs guests" passes cpuid
claim "an unknown parameter does no harm" unknown_parameter
exit $failed
