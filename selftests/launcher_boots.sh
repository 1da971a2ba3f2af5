#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The launcher boots Debian's kernel: CPUs, disks, console, and every way in
# which a guest ends.  The guest is the lab's; lines are typed into its shell.
# shellcheck disable=SC2016,SC2317,SC3045 # dollar signs for the guest; claim calls; ulimit -S

number=0
failed=0
cmdline="$GUEST_QUICK lab.typed=no"

# claim TEXT COMMAND...
claim()
{
	text=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $text"
	else
		echo "not ok $number $text"
		sed 's/^/# /' console errors | tail -n 60
		failed=1
	fi
}

# guest ARGUMENT...: run one on the lines of the file "typed"; sets $status.
guest()
{
	timeout 200 vitro run -m 256M -i "$GUEST_INITRD" -a "$cmdline" "$@" "$GUEST_KERNEL" \
		<typed >console 2>errors
	status=$?
}

# answer LINE: the guest printed this line (its terminal ends lines by \r\n).
answer()
{
	tr -d '\r' <console | grep -qxF -e "$1"
}

status_is()
{
	[ "$status" -eq "$1" ]
}

greetings()
{
	grep -c 'Type poweroff' console
}

sum()
{
	md5sum | cut -d ' ' -f 1
}

same()
{
	[ -n "$1" ] && [ "$1" = "$2" ]
}

echo "TAP version 13"

# ---- One CPU, two disks ----
truncate -s 8M disk
seq 1 100000 >numbers
truncate -s 1M numbers
numbers=$(sum <numbers)
# More than all buffers on the way hold, and typed before anybody reads it.
seq 1 3000 >text
{
	echo 'cat >/tmp/text'
	cat text
	printf '\004'
	cat <<'END'
sum() { md5sum | cut -d ' ' -f 1; }
echo text=$(sum </tmp/text)
echo cpus=$(nproc)
mkdir -p /mnt; mount /dev/vda /mnt && cat /mnt/README; umount /mnt
dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
dd if=/tmp/data of=/dev/vdb bs=64k 2>/dev/null; sync
echo 3 >/proc/sys/vm/drop_caches
echo wrote=$(sum </tmp/data)
echo read=$(dd if=/dev/vdb bs=64k count=64 2>/dev/null | sum)
echo first=$(dd if=/dev/vdb bs=1M count=2 2>/dev/null | sum)
blkdiscard -o 2097152 -l 1048576 /dev/vdb && echo discarded
echo left=$(dd if=/dev/vdb bs=1M skip=2 count=1 2>/dev/null | tr -d '\0' | wc -c)
dd if=/dev/zero of=/dev/vdc bs=4k count=1 2>/dev/null || echo vdc is read-only
echo vdc=$(sum </dev/vdc)
for i in 0 1 2 3; do (dd if=/dev/vdc of=/tmp/p$i bs=4k 2>/dev/null) & done; wait
echo parallel=$(cat /tmp/p[0-3] | sum)
echo ids=$(cat /sys/block/vd?/serial)
echo zeroes=$(cat /sys/block/vdb/queue/write_zeroes_max_bytes) discard=$(cat /sys/block/vdb/queue/discard_max_bytes)
echo cache=$(cat /sys/block/vdb/queue/write_cache)
echo msix=$(grep -c 'MSI.*virtio.*req' /proc/interrupts)
hwclock -u -r >/dev/null && echo clock=good
echo warnings=$(dmesg -r | grep '^<[0-4]>' | grep -ciE 'acpi|pci|e820|firmware|bios|apic|virtio|mtrr|rtc|irq')
poweroff
END
} >typed
guest -d "$GUEST_DISK" -d disk -d numbers,ro
claim "a guest with one CPU powers off with status 0" status_is 0
claim "it has one CPU" answer "cpus=1"
claim "no byte of 14 KiB typed at once is lost" answer "text=$(sum <text)"
claim "it mounts its file system" answer "This is the disk of the lab's guest."
wrote=$(tr -d '\r' <console | sed -n 's/^wrote=//p')
claim "it reads back what it wrote to a disk" \
	same "$wrote" "$(tr -d '\r' <console | sed -n 's/^read=//p')"
claim "so does the host, up to what was discarded later" \
	same "$(tr -d '\r' <console | sed -n 's/^first=//p')" "$(dd if=disk bs=1M count=2 2>/dev/null | sum)"
claim "a discard is taken" answer "discarded"
claim "the sectors are empty then" answer "left=0"
claim "and so is the host's file" test "$(du -k disk | cut -f 1)" -eq 3072
claim "it cannot write to a read-only disk" answer "vdc is read-only"
claim "it can read it" answer "vdc=$numbers"
claim "requests side by side all get their own data" \
	answer "parallel=$(cat numbers numbers numbers numbers | sum)"
claim "the read-only disk is unchanged" same "$numbers" "$(sum <numbers)"
claim "disks are named by their files" answer "ids=guestdisknumbers"
claim "write zeroes and discard are offered" answer "zeroes=2147483648 discard=2147483648"
claim "the cache is known as write-back" answer "cache=write back"
claim "disks interrupt by MSI-X" answer "msix=3"
claim "the real-time clock can be read" answer "clock=good"
claim "its kernel has nothing to complain about" answer "warnings=0"
claim "the launcher has nothing to say" test ! -s errors

# ---- Four CPUs, and interrupts by line ----
cmdline="$cmdline pci=nomsi"
cat >typed <<'END'
echo cpus=$(nproc)
echo online=$(cat /sys/devices/system/cpu/online)
for i in 0 1 2 3; do taskset -c $i sh -c 'echo on=$(sed -E "s/.*\) //" /proc/self/stat | cut -d " " -f 37)'; done
echo package=$(sort -u /sys/devices/system/cpu/cpu?/topology/physical_package_id | tr '\n' ' ')
echo cores=$(sort -u /sys/devices/system/cpu/cpu?/topology/core_id | wc -l)
echo lines=$(grep -c 'IO-APIC.*virtio' /proc/interrupts) messages=$(grep -c MSI.*virtio /proc/interrupts)
dd if=/dev/zero of=/dev/vda bs=64k seek=96 count=1 conv=fsync 2>/dev/null || echo vda takes no more
(dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null; echo vda is read) & (dd if=/dev/vdb of=/dev/null bs=64k 2>/dev/null; echo vdb is read) & wait
poweroff
END
ulimit -S -f 8192		# blocks of 512 bytes
guest -c 4 -d disk -d numbers
ulimit -S -f unlimited
claim "a guest with four CPUs powers off with status 0" status_is 0
claim "it has four CPUs" answer "cpus=4"
claim "all are online" answer "online=0-3"
claim "each of them runs programs" answer "on=3"
claim "they are in one package" answer "package=0"
claim "each is a core" answer "cores=4"
claim "without MSI, disks interrupt by their lines" answer "lines=2 messages=0"
claim "beyond the host's limit of a file's size a write is an error" answer "vda takes no more"
claim "one disk is read beside the other" answer "vdb is read"

# ---- Ends ----
cmdline="$GUEST_QUICK lab.typed=no"
mkfifo typing
: >console
guest_typing()
{
	timeout 200 vitro run -m 256M -i "$GUEST_INITRD" -a "$cmdline" "$@" "$GUEST_KERNEL" \
		<typing >console 2>errors
	status=$?
}
type_in()
{
	until [ "$(greetings)" -ge 1 ]; do sleep 0.2; done
	echo reboot
	until [ "$(greetings)" -ge 2 ]; do sleep 0.2; done
	echo 'echo second=$(cat /sys/block/vda/size)'
	echo poweroff
}
type_in >typing &
guest_typing -c 2 -d disk
kill $! 2>/dev/null
claim "a reboot boots the guest again" same 2 "$(greetings)"
claim "it still has its disk then" answer "second=16384"
claim "and it powers off with status 0" status_is 0

# The other way to reset a PC, by its keyboard controller.
echo 'reboot -f' >typed
cmdline="$cmdline reboot=k"
guest --no-reboot
claim "with --no-reboot a reboot ends the launcher with status 0" status_is 0
claim "and boots nothing" same 1 "$(greetings)"

cmdline="$GUEST_QUICK lab.typed=no reboot=t"
guest
claim "a triple fault ends the launcher with status 2" status_is 2
claim "it says so" grep -q '^vitro: vCPU 0: triple fault$' errors
claim "it shows the registers" grep -qE '^rip [0-9a-f]{16}  rflags [0-9a-f]{8}$' errors

cmdline="$GUEST_QUICK lab.typed=no"
timeout 200 vitro run -m 256M -i "$GUEST_INITRD" -a "$cmdline" "$GUEST_KERNEL" \
	</dev/null >console 2>errors &
vitro=$!
until [ "$(greetings)" -ge 1 ]; do sleep 0.2; done
sleep 2
claim "the end of standard input leaves the guest running" kill -0 $vitro
kill $vitro
wait $vitro
status=$?
claim "SIGTERM ends the launcher as a signal does" status_is 143

echo "1..$number"
exit $failed
