# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The disks that scripts/lab vmm brings into the test VM, made of Debian packages
# once:
#   build/vmm/qemu-VERSION.img  QEMU, qemu-img, gdb, OVMF, with their libraries
#   build/vmm/debian.img        GRUB and a Debian system

vmm=$build/vmm
vmm_mirror=http://deb.debian.org/debian

vmm_prepare()
{
	local missing

	mapfile -t missing < <(missing_packages mmdebstrap fdisk)
	[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
	mkdir -p "$vmm"
	vmm_qemu_disk
	if vmm_wants '*_disk'; then
		vmm_debian_disk
	fi
}

# vmm_packages FOLDER PACKAGE...: them, and what they depend on, extracted into
# FOLDER but not installed.
vmm_packages()
{
	local sources=("deb $vmm_mirror bookworm main") to=$1

	shift
	[[ "$*" != */bookworm-backports* ]] ||
		sources+=("deb $vmm_mirror bookworm-backports main")
	rm -rf "$to"
	logged "vmm-packages.log" mmdebstrap --variant=extract \
		--include="$(IFS=,; echo "$*")" bookworm "$to" "${sources[@]}" ||
		die "the packages could not be had"
}

# The QEMU disk, as image.sh makes it of installed packages, of others.
vmm_qemu_disk()
{
	local root=$vmm/qemu-$vmm_qemu disk=$vmm/qemu-$vmm_qemu.img from=
	local wanted=(gdb-minimal ovmf) name

	stale "$disk" "$lab/vmm_disks.sh" || return 0
	step "putting QEMU $vmm_qemu on a disk for the test VM"
	[ "$vmm_qemu" = 7.2 ] || from=/bookworm-backports
	for name in qemu-system-x86 qemu-system-data qemu-system-common qemu-utils seabios; do
		wanted+=("$name$from")
	done
	vmm_packages "$root" "${wanted[@]}"
	rm -rf "$root"/{dev,etc,var} "$root"/usr/share/{doc,man,locale,perl5,icons}
	vmm_filesystem "$root" "$disk" 64
}

# vmm_filesystem FOLDER IMAGE SPARE [OFFSET]: an ext4 of what is in FOLDER, with
# SPARE MiB left over; it begins OFFSET bytes into the image.
vmm_filesystem()
{
	local size=$(($(du -sm "$1" | cut -f 1) * 6 / 5 + $3))

	rm -f "$2.new"
	truncate -s $((size + 1))M "$2.new"
	logged mke2fs.log mke2fs -q -t ext4 -E "offset=${4:-0}" -d "$1" "$2.new" ${size}M
	mv "$2.new" "$2"
	rm -rf "$1"
}

# A small Debian system whose root has no password.  Its initrd has what its disk
# needs and no more, for to unpack it takes a guest in an emulator long.
vmm_debian_disk()
{
	local root=$vmm/debian disk=$vmm/debian.img

	stale "$disk" "$lab/vmm_disks.sh" || return 0
	step "making the disk with a Debian system"
	rm -rf "$root"
	# shellcheck disable=SC2016 # mmdebstrap's own
	logged vmm-debian.log mmdebstrap --variant=minbase \
		--include=systemd-sysv,udev,linux-image-cloud-amd64,initramfs-tools,kmod \
		--essential-hook='mkdir -p "$1/etc/initramfs-tools"' \
		--essential-hook='printf "%s\n" virtio_pci virtio_blk >"$1/etc/initramfs-tools/modules"' \
		--customize-hook='sed -i s/^MODULES=.*/MODULES=list/ "$1/etc/initramfs-tools/initramfs.conf"' \
		--customize-hook='chroot "$1" passwd -d root' \
		--customize-hook='chroot "$1" update-initramfs -u' \
		bookworm "$root" "deb $vmm_mirror bookworm main" ||
		die "the system could not be made"
	vmm_debian_settings "$root"
	vmm_filesystem "$root" "$disk.part" 128 $((2048 * 512))
	vmm_grub "$disk.part"
	mv "$disk.part" "$disk"
}

vmm_debian_settings()
{
	echo vitro >"$1/etc/hostname"
	echo '/dev/vda1 / ext4 defaults 0 1' >"$1/etc/fstab"
	# Services that only cost time here.
	systemctl --root="$1" -q mask getty-static.service e2scrub_reap.service \
		apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
	rm -rf "$1"/usr/share/{doc,man,locale} "$1"/var/{cache,lib}/apt
	mkdir -p "$1/boot/grub"
	cat >"$1/boot/grub/grub.cfg" <<-END
	echo "GRUB starts the kernel"
	linux /vmlinuz root=/dev/vda1 console=ttyS0 quiet cryptomgr.notests
	initrd /initrd.img
	boot
	END
}

# vmm_grub DISK: GRUB before the first partition.  Its first sector knows by itself
# that the rest is in the sectors behind it.
vmm_grub()
{
	local modules=(biosdisk part_msdos ext2 linux normal configfile serial echo)
	local from=/usr/lib/grub/i386-pc

	cat >"$vmm/grub.cfg" <<-'END'
	serial --unit=0 --speed=115200
	terminal_output serial
	set root=(hd0,msdos1)
	configfile /boot/grub/grub.cfg
	END
	grub-mkimage -O i386-pc -p /boot/grub -c "$vmm/grub.cfg" -o "$vmm/core.img" "${modules[@]}"
	# shellcheck disable=SC2016 # that shell's own
	logged sfdisk.log sh -c 'echo "2048,,L,*" | sfdisk "$0"' "$1" ||
		die "no partition could be made"
	dd if=$from/boot.img of="$1" bs=440 count=1 conv=notrunc status=none
	dd if="$vmm/core.img" of="$1" bs=512 seek=1 conv=notrunc status=none
}
