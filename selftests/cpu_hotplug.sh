#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317
# CPUs go and come back under running guests; the machine sleeps and wakes.

cpu1=/sys/devices/system/cpu/cpu1/online
cpus=$(taskset -p $$ | sed 's/.*: //')
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

# Linux lets a process run anywhere when all the CPUs that it may run on have gone, as
# they do for sleep.  No guest may run on one that the lab keeps free, though.
back_to_our_cpus() { taskset -p "$cpus" $$ >/dev/null; }

sleeps()
{
	echo +3 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state || return 1
	back_to_our_cpus && passes exits
}

# Down and up again as for sleep, without the last step that needs firmware.
sleep_test()
{
	"$SELFTESTS/fpu" >/tmp/fpu.out 2>&1 &
	guest=$!
	echo core >/sys/power/pm_test && echo freeze >/sys/power/state
	status=$?
	echo none >/sys/power/pm_test
	back_to_our_cpus
	wait "$guest" && [ "$status" -eq 0 ]
}

# What can be claimed depends on the machine: a second CPU, firmware that wakes it (Bochs's
# does not), a kernel with CONFIG_PM_DEBUG.
two_cpus() { [ -e $cpu1 ]; }
can_sleep()
{
	[ "$LAB_EMULATOR" != bochs ] && grep -qsw mem /sys/power/state &&
		[ -e /sys/class/rtc/rtc0/wakealarm ]
}
can_test_suspend() { [ -e /sys/power/pm_test ] && grep -qsw freeze /sys/power/state; }

plan=0
! two_cpus || plan=$((plan + 3))
! can_sleep || plan=$((plan + 1))
! can_test_suspend || plan=$((plan + 1))
echo "TAP version 13"
echo "1..$plan$([ $plan -gt 0 ] || echo " # SKIP one CPU, and no sleep")"
if two_cpus; then
	claim "guests go on while a CPU goes and comes back" guests_go_on
	claim "guests run on the CPU that is left" one_cpu_alone
	claim "guests run on the CPU that came back" both_again
fi
! can_sleep || claim "guests run after the machine slept" sleeps
! can_test_suspend || claim "guests go on over a test of suspend" sleep_test
exit $failed
