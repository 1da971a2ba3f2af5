# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The whole way to a guest's shell on this terminal.

run_cpus=1
run_memory=256			# MiB
run_disk=
run_kernel=
run_initrd=
run_append=
run_keep=

lab_run()
{
	run_options "$@"
	lab_prepare
	lab_lock
	[ "$vm_kvm" = stock ] || build_kmod || exit 1
	build_user || exit 1
	lab_unlock
	lab_images
	lab_tmp
	run_job
	step "starting the test VM"
	vm_run run
}

run_options()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--stock) vm_kvm=stock; shift; continue ;;
		--keep) run_keep=yes; shift; continue ;;
		--cpu|--cpus|--memory|--disk|--kernel|--initrd|--append|--timeout) ;;
		*) misuse "run takes no option '$1' (scripts/lab help lists them)" ;;
		esac
		[ $# -ge 2 ] || misuse "option $1 wants a value"
		case $1 in
		--cpu) vm_choose "$2" ;;
		--cpus) check_count "$1" "$2" 1 255; run_cpus=$((10#$2)) ;;
		--memory) run_memory=$(mebibytes "$1" "$2") || exit ;;
		--disk) check_file "$1" "$2"; run_disk=$2 ;;
		--kernel) check_file "$1" "$2"; run_kernel=$2 ;;
		--initrd) check_file "$1" "$2"; run_initrd=$2 ;;
		--timeout) check_count "$1" "$2" 1 86400; vm_timeout=$((10#$2)) ;;
		--append) run_append=$2 ;;
		esac
		shift 2
	done
	run_check
}

# Options that are well-formed, but not to be had here.
run_check()
{
	local spare

	[ -z "$run_disk" ] || [ -w "$run_disk" ] ||
		misuse "--disk $run_disk: no permission to write to it"
	[ -z "$run_keep" ] || [ -t 0 ] || misuse "--keep wants a terminal"
	spare=$(awk '/^MemAvailable:/ { print int($2 / 1024) - 1024 }' /proc/meminfo)
	[ "$run_memory" -ge 32 ] || misuse "--memory: a guest wants 32M at least"
	[ "$(vm_emulator)" = qemu ] || [ "$run_memory" -le 1024 ] ||
		misuse "--memory: a guest in Bochs may have 1024M at most"
	[ "$run_memory" -le "$spare" ] ||
		misuse "--memory: this machine has ${spare}M to spare"
}

# run_job: what the test VM shall do, in $tmp/job, and the guest's disk.
run_job()
{
	local job=$tmp/job disk="drop $image/disk.img" size

	mkdir "$job"
	cp "$lab/vm/run" "$job/main"
	[ -z "$run_kernel" ] || cp -L "$run_kernel" "$job/kernel"
	[ -z "$run_initrd" ] || cp -L "$run_initrd" "$job/initrd"
	[ -z "$run_disk" ] || disk="keep $(realpath "$run_disk")"
	printf '%s\n' "$run_append" >"$job/append"
	cat >"$job/guest" <<-END
	cpus=$run_cpus
	memory=${run_memory}M
	keep=$run_keep
	END
	vm_disks+=("guest $disk")
	# TCG is quicker with one CPU as long as the guest has no use for two.
	[ "$run_cpus" -gt 1 ] || vm_cpus=1
	# Room for the guest, and for its files both packed and unpacked.
	size=$(du -smL "$job" | cut -f 1)
	vm_memory=$((run_memory + 1024 + 3 * size))
	# Bochs has no more than that.
	if [ $vm_memory -lt 2048 ] || [ "$(vm_emulator)" = bochs ]; then vm_memory=2048; fi
}
