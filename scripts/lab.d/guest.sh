# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The guest: Debian's cloud kernel as it is, a small initrd, and a disk.

image_guest()
{
	local root=$image/guest

	guest_initrd
	guest_disk
	stale "$image/guest.cpio" "$image/guest-initrd" "$guest_kroot/.done" || return 0
	rm -rf "$root"
	mkdir -p "$root/lab/guest"
	cp "$guest_kroot/boot/vmlinuz-$guest_kver" "$root/lab/guest/vmlinuz"
	cp "$image/guest-initrd" "$root/lab/guest/initrd"
	pack "$root" "$image/guest.cpio"
}

guest_initrd()
{
	local root=$image/guest-root

	stale "$image/guest-initrd" "$lab/guest.sh" "$lab"/guest/* "$guest_kroot/.done" || return 0
	step "making the guest's initrd"
	rm -rf "$root"
	mkdir -p "$root"/{dev,proc,sys,tmp,run,root,mnt,etc}
	put_busybox "$root"
	kver=$guest_kver kroot=$guest_kroot put_modules "$root" virtio_pci virtio_blk
	put_program "$root" /bin/lsblk
	cp "$lab/guest/inittab" "$lab/guest/boot" "$lab/guest/session" "$root/etc/"
	ln -s bin/init "$root/init"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	pack "$root" "$image/guest-initrd"
}

guest_disk()
{
	local root=$image/disk

	stale "$image/disk.img" "$lab/guest.sh" || return 0
	step "making the guest's disk"
	rm -rf "$root"
	mkdir -p "$root"
	echo "This is the disk of the lab's guest." >"$root/README"
	rm -f "$image/disk.new"
	mke2fs -q -t ext4 -L vitro -E root_owner=0:0 -d "$root" \
		"$image/disk.new" 64M >/dev/null
	mv "$image/disk.new" "$image/disk.img"
}
