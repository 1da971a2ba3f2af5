# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# A shell in the test VM.

lab_shell()
{
	local qemu=

	while [ $# -gt 0 ]; do
		case $1 in
		--stock) vm_kvm=stock ;;
		--with-qemu) qemu=yes ;;
		--cpu|--kernel|--timeout)
			[ $# -ge 2 ] || misuse "option $1 wants a value"
			case $1 in
			--cpu) vm_choose "$2" ;;
			--kernel) kernel_choose "$2" ;;
			--timeout) check_count "$1" "$2" 1 86400; vm_timeout=$((10#$2)) ;;
			esac
			shift
			;;
		*) misuse "shell takes no option '$1'" ;;
		esac
		shift
	done
	lab_prepare
	kernel_use
	build_what_builds
	lab_images
	lab_tmp
	vm_standard_disks
	[ -z "$qemu" ] || vm_qemu_disk
	mkdir "$tmp/job"
	cp "$lab/vm/shell" "$tmp/job/main"
	step "starting the test VM"
	vm_run shell
}
