#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Debian's own QEMU boots Debian's kernel on /dev/kvm, to a shell and back.

echo "TAP version 13"
echo "1..4"

# verdict NUMBER TEXT STATUS
verdict()
{
	if [ "$3" -eq 0 ]; then
		echo "ok $1 $2"
	else
		echo "not ok $1 $2"
		failed=1
	fi
}

# shellcheck disable=SC2016 # for the guest's shell
# Only after its greeting has the guest a shell to type to.
type_in()
{
	until grep -q 'Type poweroff' console 2>/dev/null; do sleep 1; done
	printf '%s\n' 'echo cpus=$(nproc)' 'lsblk -dno SIZE /dev/vda' poweroff
	sleep 1000
}

failed=0
mkfifo typed
type_in >typed &
timeout 150 qemu-system-x86_64 -nodefaults -no-user-config -display none \
	-machine q35,accel=kvm -cpu host -smp 2 -m 256 -no-reboot \
	-kernel "$GUEST_KERNEL" -initrd "$GUEST_INITRD" \
	-append "console=ttyS0 $GUEST_QUICK lab.typed=no" \
	-drive "if=virtio,format=raw,file=$GUEST_DISK" \
	-chardev stdio,id=con,signal=off -serial chardev:con <typed >console 2>errors
status=$?
kill $!

sed 's/^/# /' console errors
verdict 1 "QEMU ends well" $status
verdict 2 "the guest reaches its shell" "$(grep -q 'Type poweroff' console; echo $?)"
verdict 3 "both CPUs are there" "$(grep -q '^cpus=2' console; echo $?)"
verdict 4 "the disk is there" "$(grep -q '64M' console; echo $?)"
exit $failed
