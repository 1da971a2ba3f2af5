#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317
# CPUs go and come back under running guests; the machine sleeps and wakes.

cpu1=/sys/devices/system/cpu/cpu1/online
number=0 failed=0

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

skip()
{
	number=$((number + 1))
	echo "ok $number # SKIP $1: $2"
}

# Guests on both CPUs all the while.
passes() { "$SELFTESTS/$1" >"/tmp/$1.out" 2>&1 || { sed 's/^/# /' "/tmp/$1.out"; return 1; }; }

guests_go_on()
{
	"$SELFTESTS/fpu" >/tmp/fpu.out 2>&1 &
	guest=$!
	for _ in 1 2 3; do
		echo 0 >"$cpu1" && sleep 0.3 && echo 1 >"$cpu1" && sleep 0.3 || return 1
	done
	wait "$guest" || { sed 's/^/# /' /tmp/fpu.out; return 1; }
}

one_cpu_alone() { echo 0 >"$cpu1" && passes exits; }
both_again() { echo 1 >"$cpu1" && passes ipi; }
sleeps() { echo +3 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state && passes exits; }

# Down and up again as for sleep, without the last step that needs firmware.
sleep_test()
{
	"$SELFTESTS/fpu" >/tmp/fpu.out 2>&1 &
	guest=$!
	echo core >/sys/power/pm_test && echo freeze >/sys/power/state
	status=$?
	echo none >/sys/power/pm_test
	wait "$guest" && [ "$status" -eq 0 ]
}

echo "TAP version 13"
echo "1..5"
if [ ! -e $cpu1 ]; then
	while [ $number -lt 3 ]; do skip "CPU 1 goes and comes" "only one CPU"; done
else
	claim "guests go on while a CPU goes and comes back" guests_go_on
	claim "guests run on the CPU that is left" one_cpu_alone
	claim "guests run on the CPU that came back" both_again
fi
if [ "$LAB_EMULATOR" = bochs ]; then
	skip "guests run after the machine slept" "Bochs's firmware does not wake it"
elif grep -qsw mem /sys/power/state && [ -e /sys/class/rtc/rtc0/wakealarm ]; then
	claim "guests run after the machine slept" sleeps
else
	skip "guests run after the machine slept" "this kernel cannot suspend to RAM"
fi
if [ -e /sys/power/pm_test ] && grep -qsw freeze /sys/power/state; then
	claim "guests go on over a test of suspend" sleep_test
else
	skip "guests go on over a test of suspend" "this kernel has no pm_test"
fi
exit $failed
