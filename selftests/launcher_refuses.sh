#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Whatever is wrong with what vitro is given, it says so in one line on standard
# error, ends with status 1, and leaves everything as it was.

vitro=$(command -v vitro)
number=0
failed=0

# verdict CLAIM: by $?
verdict()
{
	if [ $? -eq 0 ]; then
		number=$((number + 1))
		echo "ok $number $1"
	else
		number=$((number + 1))
		sed 's/^/# /' out err
		echo "not ok $number $1"
		failed=1
	fi
}

# refuses CLAIM PATTERN ARGUMENT...: PATTERN is what the line has to say.
refuses()
{
	claim=$1 pattern=$2
	shift 2
	timeout 20 "$vitro" "$@" >out 2>err </dev/null
	status=$?
	[ $status -eq 1 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] &&
		grep -q '^vitro: ' err && grep -qE -e "$pattern" err
	verdict "$claim"
}

echo "TAP version 13"
: >empty
head -c 1000000 "$GUEST_KERNEL" >truncated
head -c 1500000 "$GUEST_INITRD" >truncated_initrd
head -c 1000 /dev/zero >odd
truncate -s 1M disk
mkdir folder
kernel=$GUEST_KERNEL

refuses "no command line at all but run" "which kernel" run
refuses "an unknown command" "fly" fly
refuses "an unknown option" "--fly" run --fly "$kernel"
refuses "an unknown letter before others" "-z: no such option" run -zv "$kernel"
refuses "an option without its value" "-m" run "$kernel" -m
refuses "two kernels" "one kernel" run "$kernel" "$kernel"

refuses "a missing kernel" "nowhere: No such file" run nowhere
refuses "an empty kernel" "empty: .*empty" run empty
refuses "a truncated kernel" "truncated: .*truncated" run truncated
refuses "a kernel that is no bzImage" "not a bzImage" run /bin/busybox
refuses "a kernel that is a folder" "folder: not a regular file" run folder

refuses "a missing initrd" "nowhere: No such file" run -i nowhere "$kernel"
refuses "an empty initrd" "empty: .*empty" run -i empty "$kernel"
refuses "a truncated initrd" "truncated_initrd: .*truncated" run -i truncated_initrd "$kernel"

truncate -s 90M large
refuses "an initrd too large for the memory" "large: .*fit" run -m 96M -i large "$kernel"

refuses "a missing disk" "nowhere: No such file" run -d nowhere "$kernel"
refuses "an empty disk" "empty: .*empty" run -d empty "$kernel"
refuses "a truncated disk" "odd: .*truncated" run -d odd "$kernel"
refuses "a disk that is a folder" "folder: neither" run -d folder "$kernel"
refuses "a disk that is a terminal or the like" "/dev/null: neither" run -d /dev/null "$kernel"
refuses "a disk without a name" "name" run -d ,ro "$kernel"
refuses "the same disk twice" "disk: already open" run -d disk -d disk "$kernel"
refuses "the same disk for reading and for writing" "disk: already open" \
	run -d disk,ro -d disk "$kernel"
# shellcheck disable=SC2046 # many words are wanted
refuses "more disks than slots" "more than 31 disks" \
	run $(seq 32 | sed 's/.*/-d disk/') "$kernel"

for count in 0 256 -1 x 4294967297 ''; do
	refuses "'$count' vCPUs" "1 to 255" run -c "$count" "$kernel"
done
for size in 0 15M -1 x 1X 99999999999999999999; do
	refuses "$size of memory" "-m $size:" run -m "$size" "$kernel"
done
refuses "memory of half a page" "multiple" run -m 100002K "$kernel"
refuses "more memory than the CPU can address" "can address" run -m 16000000T "$kernel"
refuses "too little memory for the kernel" "needs at least" run -m 16M "$kernel"
refuses "more huge pages than there are" "nr_hugepages" run --hugepages -m 64G "$kernel"
refuses "huge pages of an odd size" "multiple of 2 MiB" run --hugepages -m 129M "$kernel"
refuses "a command line that is too long" "command line" \
	run -a "$(head -c 3000 /dev/zero | tr '\0' x)" "$kernel"

refuses "no KVM device" "nowhere: No such file.*module" run --device nowhere "$kernel"
refuses "a device that is not KVM" "not a KVM device" run --device /dev/null "$kernel"

# For somebody without permission, on a node of our own.
mkdir -p /etc
echo 'anyone:x:4241:4241::/:/bin/sh' >>/etc/passwd
echo 'vm-users:x:4242:' >>/etc/group
mknod kvm c 10 232
chgrp 4242 kvm
chmod 660 kvm
chmod 755 .
cat >as_anyone <<'END'
#!/bin/sh
exec su anyone -c "vitro $*"
END
chmod +x as_anyone
real=$vitro vitro=./as_anyone
refuses "no permission, with the group to join" "Permission denied.*group vm-users" \
	run --device "$PWD/kvm" "$kernel"
chgrp 0 kvm
refuses "no permission and no group, with what to do" "Permission denied.*group kvm" \
	run --device "$PWD/kvm" "$kernel"
vitro=$real

# A disk that another vitro has.
sum=$(md5sum <disk)
vitro run -v -m 128M -d disk "$kernel" >/dev/null 2>other </dev/null &
other=$!
until grep -q 'the guest starts' other; do sleep 0.1; done
refuses "a disk that another vitro may write" "disk: already open by another" \
	run -d disk "$kernel"
refuses "such a disk for reading, too" "disk: already open for writing" \
	run -d disk,ro "$kernel"
kill $other
wait $other 2>/dev/null
refuses "nothing any more of the disk once the other is gone" "needs at least" \
	run -m 16M -d disk "$kernel"
[ "$(md5sum <disk)" = "$sum" ]
verdict "no disk was changed by any of this"

echo "1..$number"
exit $failed
