#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The machine restarts while guests run: their threads meet CPUs on which
# virtualization has been turned off under them.  This is the end of the test
# VM, so the lab judges by its kernel's log whether that was orderly.
# shellcheck disable=SC2016 # dollar signs for the guest's shell

echo "TAP version 13"
if [ "$LAB_CPU" = amd-bochs ]; then
	echo "1..0 # SKIP Bochs would boot the test VM once more"
	exit 0
fi
echo "1..1"
# So it would with VT-x, but there it ends at a triple fault.
[ "$LAB_EMULATOR" != bochs ] || echo triple >/sys/kernel/reboot/type

# Three CPUs that never leave the guest for long, and one that sleeps.
{
	echo 'for n in 1 2 3; do while :; do :; done & done'
	echo 'echo guests=$((40 + 2))'
	sleep 1000
} | vitro run -c 4 -m 256M -i "$GUEST_INITRD" -a "quiet lab.typed=no" "$GUEST_KERNEL" \
	>console 2>errors &
"$SELFTESTS/fpu" >/dev/null 2>&1 &

i=0
until grep -qs guests=42 console; do
	i=$((i + 1))
	if [ $i -gt $((100 * ${LAB_SLOW:-1})) ]; then
		sed 's/^/# /' console errors
		echo "not ok 1 the machine restarts with guests running"
		exit 1
	fi
	sleep 1
done
sleep 2
echo "@restart ok 1 the machine restarts with guests running"
sleep 1
reboot -f
