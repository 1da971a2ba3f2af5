# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The test VM in QEMU: TCG emulates AMD-V, everything else is virtio.

# The flags of the first CPU are no safe place in TCG: whenever any CPU loads FPU
# state, QEMU writes them (cpu_clear_ignne(), in 7.2 and 10.0) without a lock, and
# so takes back what the first CPU changed in them at that moment.  At #VMEXIT the
# host then runs on through the guest's nested page tables and dies.  So there is
# one CPU more than asked for, and the first runs no job (see vm/init).
#
# CMPXCHG16B computes its flags from stale ones before QEMU 8, and may leave TF set
# among them until the next instruction that sets flags.  Linux 6.12 has a branch
# behind it in kmalloc(), at which an interrupt may save them and return to a #DB.
vm_qemu()
{
	local argv=() cpus=$vm_cpus quirks= name mode file

	[ "$vm_kernel" = 6.1 ] || quirks=' clearcpuid=cx16'
	[ "$cpus" -eq 1 ] || cpus=$((cpus + 1))
	cat "$image"/{system,guest,project}.cpio "$tmp/job.cpio" >"$tmp/vm.initrd"
	argv=(qemu-system-x86_64 -nodefaults -no-user-config -display none
		-machine "q35,accel=tcg" -cpu max
		-m "$vm_memory" -smp "$cpus" -no-reboot
		-kernel "$kroot/boot/vmlinuz-$kver" -initrd "$tmp/vm.initrd"
		-append "$vm_cmdline$quirks"
		-chardev "file,id=log,path=$tmp/kernel.log"
		-device virtio-rng-pci)
	while read -r name mode file; do
		[ -n "$name" ] || continue	# no disk at all gives one empty line
		qemu_disk "$name" "$mode" "$file"
	done < <(printf '%s\n' "${vm_disks[@]}")
	[ -z "$vm_icount" ] || argv+=(-icount "shift=0,sleep=off")
	"qemu_$1"
}

# qemu_disk NAME MODE FILE
qemu_disk()
{
	local options="id=$1,if=none,format=raw,file=${3//,/,,}"

	case $2 in
	drop) options+=,snapshot=on ;;
	ro) options+=,readonly=on ;;
	esac
	argv+=(-drive "$options" -device "virtio-blk-pci,drive=$1,serial=$1")
}

qemu_terminal()
{
	vm_emulate "${argv[@]}" -chardev stdio,id=con,signal=off,mux=off \
		-serial chardev:con -serial chardev:log
}

qemu_ports()
{
	vm_streams qemu_with_streams
}

# QEMU takes its input as fast as the job reads it and passes its end on.
# Its standard output would be the other half of that port, and unused.
qemu_with_streams()
{
	vm_emulate "${argv[@]}" -serial null -serial chardev:log -device virtio-serial-pci \
		-chardev stdio,id=in,signal=on -device virtserialport,chardev=in,name=in \
		-chardev "file,id=out,path=$1" -device virtserialport,chardev=out,name=out \
		-chardev "file,id=err,path=$2" -device virtserialport,chardev=err,name=err \
		>/dev/null
}
