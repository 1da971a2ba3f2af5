# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Real monitors on /dev/kvm: scenarios with QEMU in the test VM, in vm/vmm/, where
# each that is executable is one.  They are run and judged as tests are.

vmm_qemu=7.2			# Debian's version of it

# The order is that of a VMM's life; what costs most comes late.
vmm_all=(pc q35 microvm irqchip_on irqchip_split irqchip_off qcow2 net balloon savevm migrate pause
	gdb modes cpu_hotplug memory_hotplug ovmf pc_disk q35_disk)

lab_vmm()
{
	vmm_options "$@"
	lab_prepare
	lab_lock
	if [ "$vm_kvm" != stock ]; then build_kmod || exit 1; fi
	vmm_prepare
	lab_unlock
	lab_images
	lab_tmp
	vmm_run
	printf '%d passed, %d failed, %d skipped\n' \
		$test_passed $test_failed $test_skipped
	[ $test_failed -eq 0 ] && [ $((test_passed + test_skipped)) -gt 0 ]
}

vmm_options()
{
	local wanted=()

	while [ $# -gt 0 ]; do
		case $1 in
		--stock) vm_kvm=stock ;;
		--cpu|--qemu)
			[ $# -ge 2 ] || misuse "option $1 wants a value"
			case $1 in
			--cpu) vm_choose "$2" ;;
			--qemu) vmm_qemu=$2 ;;
			esac
			shift
			;;
		-*) misuse "vmm takes no option '$1'" ;;
		*)
			[[ " ${vmm_all[*]} " = *" $1 "* ]] ||
				misuse "no scenario is named '$1'; there are: ${vmm_all[*]}"
			wanted+=("$1")
			;;
		esac
		shift
	done
	[[ $vmm_qemu =~ ^(7\.2|10\.0)$ ]] || misuse "--qemu $vmm_qemu: 7.2 or 10.0 is wanted"
	vm=("${vmm_all[@]}")
	[ ${#wanted[@]} -eq 0 ] || test_keep vm "${wanted[@]}"
}

# vmm_wants PATTERN: is there a scenario among those to run whose name matches?
vmm_wants()
{
	# shellcheck disable=SC2053 # a pattern on purpose
	local name

	for name in "${vm[@]}"; do
		[[ $name != $1 ]] || return 0
	done
	return 1
}

# vmm_extra TO: what the guests need beside the lab's own initrd.
vmm_extra()
{
	local root=$tmp/extra

	mkdir -p "$root/bin" "$1"
	kver=$guest_kver kroot=$guest_kroot put_modules "$root" \
		virtio_pci virtio_blk virtio_mmio virtio_net virtio_balloon efivarfs
	gcc -std=gnu11 -O2 -Wall -static -s -o "$root/bin/churn" "$lab/vm/vmm/churn.c"
	pack "$root" "$tmp/extra.cpio"
	cat "$image/guest-initrd" "$tmp/extra.cpio" >"$1/initrd"
	vmm_modes "$1"
}

# vmm_modes TO: the boot sector of modes.S, and where its labels are.
vmm_modes()
{
	gcc -m32 -c -I/usr/include/x86_64-linux-gnu -o "$tmp/modes.o" "$lab/vm/vmm/modes.S"
	ld -m elf_i386 -Ttext 0x7c00 -o "$tmp/modes.elf" "$tmp/modes.o"
	nm "$tmp/modes.elf" >"$1/modes.map"
	objcopy -O binary "$tmp/modes.elf" "$1/modes.img"
}

# vmm_run: all of vm in one test VM, or as many as it takes.
vmm_run()
{
	local round=1

	vm_memory=3072
	[ "$vm_cpu" = amd ] || vm_memory=2048		# Bochs has no more
	vm_disks=("guest drop $image/disk.img" "qemu ro $vmm/qemu-$vmm_qemu.img")
	if vmm_wants '*_disk'; then
		vm_disks+=("debian drop $vmm/debian.img")
	fi
	vmm_extra "$tmp/vmm/extra"
	cp "$lab"/vm/vmm/* "$tmp/vmm/"
	mkdir "$tmp/result"
	test_job=("$tmp/vmm")
	test_settings=$lab/vm/vmm/settings
	vm_judge=test_vm_ended
	test_rounds "$vm_cpus" "${vm[@]}"
}
