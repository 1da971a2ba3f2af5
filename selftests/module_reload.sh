#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run after all other tests: nothing of theirs may hold the module.

echo "TAP version 13"
echo "1..3"

claim()
{
	number=$((number + 1))
	if eval "$2"; then
		echo "ok $number $1"
	else
		echo "not ok $number $1"
		failed=1
	fi
}

number=0
failed=0
claim "the module unloads" kvm-unload
claim "/dev/kvm is gone with it" "[ ! -e /dev/kvm ]"
claim "it loads again" "kvm-load && [ -c /dev/kvm ]"
exit $failed
