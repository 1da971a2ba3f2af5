# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The test VM: an emulated PC whose CPU has virtualization extensions.  What
# all its machines have in common is here; vm_qemu.sh and vm_bochs.sh emulate it.
#
#   first serial port     the terminal, when there is one
#   second serial port    its kernel log, a file under build/logs
#   ports                 in, out and err of the job, when there is no terminal:
#                         nothing is lost, translated or echoed there

# What a command may set before vm_run.
vm_cpu=amd			# one of vm_choose
vm_memory=2048			# MiB
vm_cpus=2
vm_timeout=0			# seconds, 0 for none
vm_slow=1			# how many times as slow as usual its tests may be
vm_kvm=vitro			# or stock
vm_disks=()			# "NAME MODE FILE"; MODE: keep what is written, drop it, or ro
vm_icount=			# "yes": time counts instructions, for one CPU
vm_judge=vm_verdict		# called with the emulator's exit status in the end
vm_cmdline='console=ttyS1,115200 no_timer_check panic=-1 oops=panic printk.devkmsg=on'

# Kernel messages that no test VM may show.
vm_splat='BUG:|Oops|WARNING:|Kernel panic|Call Trace:|general protection fault'
vm_splat+='|rcu.*(stall|starved)|INFO: task .* blocked|unchecked MSR|lockup'
vm_splat+='|UBSAN|KASAN|refcount_t:|Bad page|corruption|list_(add|del)'
vm_splat+='|scheduling while atomic|sleeping function|suspicious RCU|lockdep is turned off'
vm_splat+='|non-static key|sysrq: Show'

vm_machines=(amd intel amd-bochs)

# vm_choose CPU: the machine that has it.
vm_choose()
{
	case $1 in
	amd) vm_cpu=$1 ;;
	# Bochs emulates CPUs one after the other.
	intel|amd-bochs) vm_cpu=$1; vm_cpus=1 ;;
	*) misuse "--cpu $1: amd, intel or amd-bochs is wanted" ;;
	esac
}

# vm_emulator: the one that has the chosen CPU.
vm_emulator()
{
	case $vm_cpu in
	amd) echo qemu ;;
	*) echo bochs ;;
	esac
}

# vm_job FOLDER IO: complete the job in FOLDER, whose "main" is there already.
vm_job()
{
	local rows=24 columns=80

	if [ "$2" = terminal ]; then
		read -r rows columns < <(stty size)
		[ "$rows" -gt 0 ] || rows=24 columns=80
	fi
	cat >"$1/env" <<-END
	LAB_CPU=$vm_cpu
	LAB_EMULATOR=$(vm_emulator)
	LAB_IO=$2
	LAB_KVM=$vm_kvm
	LAB_DISKS="${vm_disks[*]%% *}"
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
	vm_disks=("guest drop $image/disk.img" "scratch keep $tmp/scratch")
}

# vm_run NAME: boot the test VM for the job $tmp/job/main, with this shell's
# standard input and output.  Its kernel log goes to build/logs/NAME.log.
# Returns the job's status; 125 when the VM died, 124 when its time ran out,
# and 1 when all was well but for a splat in the kernel log.
vm_run()
{
	local io=ports status=0

	if [ -t 0 ]; then
		io=terminal
		lab_terminal=$(stty -g)
	fi
	vm_log=$build/logs/$1.log
	rm -rf "$tmp/initrd"
	mkdir -p "$build/logs" "$tmp/initrd/job"
	: >"$tmp/kernel.log"
	cp -r "$tmp/job/." "$tmp/initrd/job"
	vm_job "$tmp/initrd/job" $io
	pack "$tmp/initrd" "$tmp/job.cpio"
	"vm_$(vm_emulator)" $io || status=$?
	$vm_judge $status
}

# vm_emulate COMMAND...: run the emulator, its process id in $tmp/vm.pid.
vm_emulate()
{
	local limit=() status=0

	[ "$vm_timeout" -eq 0 ] || limit=(timeout --foreground -k 5 "$vm_timeout")
	# shellcheck disable=SC2016 # that shell's own
	"${limit[@]}" sh -c 'echo $$ >"$0" && exec "$@"' "$tmp/vm.pid" "$@" || status=$?
	rm -f "$tmp/vm.pid"
	return $status
}

# vm_streams COMMAND...: run it with two files more to write to, whose names it
# is given as its last arguments: standard output and standard error.
vm_streams()
{
	local status=0 out err out_cat err_cat

	exec {out}> >(exec cat)
	out_cat=$!
	exec {err}> >(exec cat >&2)
	err_cat=$!
	"$@" "/dev/fd/$out" "/dev/fd/$err" || status=$?
	exec {out}>&- {err}>&-
	wait $out_cat $err_cat || :
	return $status
}

# vm_verdict STATUS: what became of the job, the emulator having ended so.
vm_verdict()
{
	local status

	tr -d '\r' <"$tmp/kernel.log" >"$vm_log"
	status=$(sed -n 's/.*lab: job ended with status \([0-9]*\)$/\1/p' "$vm_log" | tail -n 1)
	if [ "$1" -eq 124 ]; then
		say "the test VM was stopped after $vm_timeout s"
		status=124
	elif [ -z "$status" ]; then
		say "the test VM died ($(vm_emulator)'s status $1)"
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
