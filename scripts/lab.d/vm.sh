# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The test VM: a PC whose CPU has AMD-V, all of it emulated by QEMU's TCG.
#
#   first serial port     the terminal, when there is one
#   second serial port    its kernel log, a file under build/logs
#   virtio serial ports   in, out and err of the job, when there is no terminal:
#                         nothing is lost, translated or echoed there

# What a command may set before vm_run.
vm_memory=2048			# MiB
vm_cpus=2
vm_timeout=0			# seconds, 0 for none
vm_kvm=vitro			# or stock
vm_disks=()			# NAME=FILE[,QEMU OPTION...]
vm_options=()			# more of QEMU's options
vm_judge=vm_verdict		# called with QEMU's exit status in the end

# Kernel messages that no test VM may show.
vm_splat='BUG:|Oops|WARNING:|Kernel panic|Call Trace:|general protection fault'
vm_splat+='|rcu.*(stall|starved)|INFO: task .* blocked|unchecked MSR|lockup'
vm_splat+='|UBSAN|KASAN|refcount_t:|Bad page|corruption|list_(add|del)'
vm_splat+='|scheduling while atomic|sleeping function|suspicious RCU|lockdep'

# vm_job FOLDER IO: complete the job in FOLDER, whose "main" is there already.
vm_job()
{
	local rows=24 columns=80

	if [ "$2" = terminal ]; then
		read -r rows columns < <(stty size)
	fi
	cat >"$1/env" <<-END
	LAB_IO=$2
	LAB_KVM=$vm_kvm
	LAB_ROWS=$rows
	LAB_COLUMNS=$columns
	TERM=${TERM:-vt100}
	END
}

# vm_standard_disks: the guest's disk, and one to scratch on; what is written
# to either is dropped when the VM ends.
vm_standard_disks()
{
	truncate -s 512M "$tmp/scratch"
	vm_disks+=("guest=$image/disk.img,snapshot=on" "scratch=$tmp/scratch")
}

# vm_run NAME: boot the test VM for the job $tmp/job/main, with this shell's
# standard input and output.  Its kernel log goes to build/logs/NAME.log.
# Returns the job's status; 125 when the VM died, 124 when its time ran out,
# and 1 when all was well but for a splat in the kernel log.
vm_run()
{
	local io=ports status=0 argv=() disk name file

	[ ! -t 0 ] || io=terminal
	vm_log=$build/logs/$1.log
	rm -rf "$tmp/initrd"
	mkdir -p "$build/logs" "$tmp/initrd/job"
	: >"$tmp/kernel.log"
	cp -r "$tmp/job/." "$tmp/initrd/job"
	vm_job "$tmp/initrd/job" $io
	pack "$tmp/initrd" "$tmp/job.cpio"
	cat "$image"/{system,guest,project}.cpio "$tmp/job.cpio" >"$tmp/vm.initrd"

	argv=(qemu-system-x86_64 -nodefaults -no-user-config -display none
		-machine "q35,accel=tcg" -cpu max
		-m "$vm_memory" -smp "$vm_cpus" -no-reboot -pidfile "$tmp/qemu.pid"
		-kernel "$kroot/boot/vmlinuz-$kver" -initrd "$tmp/vm.initrd"
		-append "console=ttyS1,115200 panic=-1 oops=panic printk.devkmsg=on"
		-chardev "file,id=log,path=$tmp/kernel.log"
		-device virtio-rng-pci)
	for disk in "${vm_disks[@]}"; do
		name=${disk%%=*} file=${disk#*=}
		argv+=(-drive "id=$name,if=none,format=raw,file=$file"
			-device "virtio-blk-pci,drive=$name,serial=$name")
	done
	argv+=("${vm_options[@]}")
	if [ $vm_timeout -gt 0 ]; then
		argv=(timeout --foreground -k 5 "$vm_timeout" "${argv[@]}")
	fi
	vm_qemu_$io || status=$?
	$vm_judge $status
}

vm_qemu_terminal()
{
	"${argv[@]}" -chardev stdio,id=con,signal=off,mux=off \
		-serial chardev:con -serial chardev:log
}

# QEMU takes its input as fast as the job reads it and passes its end on.
# Its standard output would be the other half of that port, and unused.
vm_qemu_ports()
{
	local status=0 out err out_cat err_cat

	exec {out}> >(exec cat)
	out_cat=$!
	exec {err}> >(exec cat >&2)
	err_cat=$!
	"${argv[@]}" -serial null -serial chardev:log -device virtio-serial-pci \
		-chardev stdio,id=in,signal=on -device virtserialport,chardev=in,name=in \
		-chardev "file,id=out,path=/dev/fd/$out" \
		-device virtserialport,chardev=out,name=out \
		-chardev "file,id=err,path=/dev/fd/$err" \
		-device virtserialport,chardev=err,name=err \
		>/dev/null || status=$?
	exec {out}>&- {err}>&-
	wait $out_cat $err_cat || :
	return $status
}

# vm_verdict STATUS: what became of the job, QEMU having ended with STATUS.
vm_verdict()
{
	local status

	tr -d '\r' <"$tmp/kernel.log" >"$vm_log"
	status=$(sed -n 's/.*lab: job ended with status \([0-9]*\)$/\1/p' "$vm_log" | tail -n 1)
	if [ "$1" -eq 124 ]; then
		say "the test VM was stopped after $vm_timeout s"
		status=124
	elif [ -z "$status" ]; then
		say "the test VM died (QEMU's status $1)"
		status=125
		vm_complained || tail -n 25 "$vm_log" >&2
	fi
	if vm_complained; then
		say "the test VM's kernel complained:"
		grep -E -B 3 -A 30 "$vm_splat" "$vm_log" | head -n 80 >&2
		[ "$status" -ne 0 ] || status=1
	fi
	[ "$status" -eq 0 ] || say "the kernel log is ${vm_log#"$top"/}"
	return "$status"
}

# vm_complained: is there anything in the kernel log that must not be?
vm_complained()
{
	grep -Eq "$vm_splat" "$vm_log"
}
