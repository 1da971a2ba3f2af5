# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the test VM finds in its memory and on its disks.  Its initramfs is
# four cpio archives one after the other, the last of them made for each run:
#   system (busybox, kernel modules, init), guest (kernel and initrd),
#   project (kvm.ko, vitro, selftests), job (what this run shall do)

image=$build/image

# pack FOLDER CPIO: FOLDER's files as a cpio archive, owned by root.
pack()
{
	(cd "$1" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
		cpio --quiet -o -H newc -R 0:0) >"$2.new"
	mv "$2.new" "$2"
}

# put_busybox ROOT: busybox and a name in /bin for each of its applets.
put_busybox()
{
	local applet

	mkdir -p "$1/bin"
	cp /bin/busybox "$1/bin/busybox"
	for applet in $(/bin/busybox --list); do
		ln -s busybox "$1/bin/$applet" 2>/dev/null || :
	done
	ln -s bin "$1/sbin"
}

# put_modules ROOT MODULE...: kernel modules and what they depend on.
put_modules()
{
	local root=$1 dir=lib/modules/$kver module file

	shift
	mkdir -p "$root/$dir"
	cp "$kroot/$dir"/modules.{order,builtin,builtin.modinfo} "$root/$dir/"
	for module in "$@"; do
		while read -r _ file _; do
			mkdir -p "$root/$(dirname "${file#"$kroot"/}")"
			cp "$file" "$root/${file#"$kroot"/}"
		done < <(modprobe -d "$kroot" -S "$kver" --show-depends "$module" |
			grep ^insmod)
	done
	find "$root/$dir" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "$root" "$kver"
}

# put_program ROOT FILE: a program with the shared libraries it needs.
put_program()
{
	local file

	for file in "$2" $(ldd "$2" | grep -o '/[^ ]*'); do
		mkdir -p "$1$(dirname "$file")"
		cp -L "$file" "$1$file"
	done
}

# put_own_modules ROOT: what emulators need, see vm/modules.
put_own_modules()
{
	local dir=$image/modules module

	rm -rf "$dir"
	cp -r "$lab/vm/modules" "$dir"
	logged make-modules.log make -C "$kdir" M="$dir"
	for module in "$dir"/*.ko; do
		strip --strip-debug -o "$1/lab/${module##*/}" "$module"
	done
}

image_system()
{
	local root=$image/system

	stale "$image/system.cpio" "$lab/image.sh" "$lab"/vm/{init,profile,ports.c} \
		"$lab"/vm/{bin,modules}/* "$kroot/.done" || return 0
	step "making the test VM's initramfs"
	rm -rf "$root"
	mkdir -p "$root"/{dev,proc,sys,tmp,run,root,lab/bin,lab/disk,qemu,kselftests}
	put_busybox "$root"
	put_modules "$root" virtio_pci virtio_blk virtio_console \
		ata_piix sd_mod irqbypass kvm kvm-amd kvm-intel loop msr cpuid
	cp "$lab/vm/init" "$root/init"
	cp "$lab/vm/profile" "$root/lab/profile"
	cp "$lab"/vm/bin/* "$root/lab/bin/"
	put_own_modules "$root"
	gcc -std=gnu11 -O2 -Wall -static -s -o "$root/lab/bin/ports" "$lab/vm/ports.c"
	pack "$root" "$image/system.cpio"
}

# put_programs TO FOLDER: the built ones of the tests in this folder.
put_programs()
{
	local source program

	for source in "$top/selftests/$2"*.c; do
		program=$build/selftests/$2$(basename "$source" .c)
		[ ! -x "$program" ] || cp "$program" "$1/"
	done
}

# Our module, the launcher and the tests, as far as they are built.
image_project()
{
	local root=$image/project file

	rm -rf "$root"
	mkdir -p "$root/lab/bin" "$root/lab/selftests" "$root/lab/bench"
	if [ -e "$kmod_tree/kmod/kvm.ko" ]; then
		strip --strip-debug -o "$root/lab/kvm.ko" "$kmod_tree/kmod/kvm.ko"
	fi
	if [ -x "$top/user/vitro" ]; then
		cp "$top/user/vitro" "$root/lab/bin/"
	fi
	for file in "$top"/selftests/*.sh; do
		cp "$file" "$root/lab/selftests/"
	done
	put_programs "$root/lab/selftests" ''
	put_programs "$root/lab/bench" bench/
	pack "$root" "$image/project.cpio"
}

# lab_images: bring all of them up to date.
lab_images()
{
	lab_lock
	mkdir -p "$image"
	image_system
	image_guest
	image_project
	lab_unlock
}

# vm_qemu_disk: Debian's QEMU with all that it needs, as a read-only disk.
vm_qemu_disk()
{
	local root=$image/qemu file program=/usr/bin/qemu-system-x86_64

	lab_lock
	if stale "$image/qemu.img" "$lab/image.sh" "$program"; then
		step "putting Debian's QEMU on a disk for the test VM"
		rm -rf "$root" "$image"/qemu.img*
		mkdir -p "$root"/{lib,lib64,usr/bin,usr/share}
		cp -L "$program" "$root/usr/bin/"
		cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
		for file in $(ldd "$program" | grep -o '/lib[^ ]*\|/usr/lib[^ ]*'); do
			cp -L "$file" "$root/lib/"
		done
		cp -rL /usr/share/seabios "$root/usr/share/"
		mkdir "$root/usr/share/qemu"
		cp -L /usr/share/qemu/{kvmvapic,linuxboot,linuxboot_dma,pvh}.bin \
			/usr/share/qemu/bios*.bin "$root/usr/share/qemu/" 2>/dev/null || :
		mke2fs -q -t ext4 -d "$root" "$image/qemu.img.new" \
			$(($(du -sm "$root" | cut -f 1) * 5 / 4 + 16))M >/dev/null
		mv "$image/qemu.img.new" "$image/qemu.img"
	fi
	lab_unlock
	vm_disks+=("qemu ro $image/qemu.img")
}
