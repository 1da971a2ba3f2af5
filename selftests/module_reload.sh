#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run after all other tests: nothing of theirs may hold the module, and where
# the kernel can tell (the debug kernel), no memory may be lost.

leaks=/sys/kernel/debug/kmemleak

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

# kmemleak reports what two scans find lost, and nothing younger than five
# seconds.  What the module still knows of counts as soon as it is gone.  Linux
# 6.1 itself loses the name of a slab cache that it could not make, and
# fault_injection sees to it that it cannot.
nothing_lost()
{
	sleep 6
	echo scan >$leaks
	echo scan >$leaks
	awk -v RS="unreferenced object " -v ORS="" 'NR > 1 && !/sysfs_slab_add/' $leaks >/tmp/lost
	sed 's/^/# /' /tmp/lost
	[ ! -s /tmp/lost ]
}

number=0
failed=0
echo "TAP version 13"
if [ -e $leaks ]; then
	echo "1..4"
else
	echo "1..3"
fi
claim "the module unloads" kvm-unload
claim "/dev/kvm is gone with it" "[ ! -e /dev/kvm ]"
[ ! -e $leaks ] || claim "no memory is lost" nothing_lost
claim "it loads again" "kvm-load && [ -c /dev/kvm ]"
exit $failed
