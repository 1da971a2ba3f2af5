# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The test VM's kernel when it is not Debian 12's own: the newer one that Debian
# offers beside it.  Its image and headers are only extracted, under build/:
# installed, they would be everybody's newest.

vm_kernel=6.1			# the test VM's; the guest's stays 6.1
kernel_missing=

# kernel_choose VERSION
kernel_choose()
{
	[[ $1 =~ ^6\.(1|12)$ ]] || misuse "--kernel $1: 6.1 or 6.12 is wanted"
	vm_kernel=$1
}

# kernel_use: the chosen kernel in the test VM and under our module, which is built
# in a tree of its own.
kernel_use()
{
	[ "$vm_kernel" != 6.1 ] || return 0
	lab_lock
	kernel_headers "$vm_kernel" || die "$kernel_missing"
	kver=$kernel_release kdir=$kernel_kdir kroot=$build/kernel/$kernel_release
	[ -e "$kroot/.done" ] || download_kernel "$kver" ||
		die "linux-image-$kver could not be downloaded; remove build/headers for a newer one"
	kmod_tree=$build/kmod-$vm_kernel
	image=$build/image-$vm_kernel
	lab_unlock
}

# kernel_headers VERSION: that kernel's headers, the newest that Debian has of it, or
# those that are here already.  Sets kernel_release and kernel_kdir, where they are;
# or fails, and kernel_missing says why.
kernel_headers()
{
	local name=linux-headers-$1-cloud-amd64

	kernel_release=$(kernel_extracted "$1")
	if [ -z "$kernel_release" ]; then
		kernel_release=$(kernel_newest "$name")
		if [ -z "$kernel_release" ]; then
			update_lists
			kernel_release=$(kernel_newest "$name")
		fi
		kernel_missing="no package $name is known to apt-get"
		[ -n "$kernel_release" ] || return 1
		kernel_missing="linux-headers-$kernel_release could not be downloaded"
		download_headers "$kernel_release" || return 1
	fi
	kernel_missing=
	kernel_kdir=$build/headers/$kernel_release/usr/src/linux-headers-$kernel_release
}

# kernel_extracted VERSION: the release of the headers that are here.
kernel_extracted()
{
	find "$build/headers" -maxdepth 2 -path "*/$1.*/.done" -printf '%h\n' 2>/dev/null |
		sed 's,.*/,,' | sort -V | tail -n 1
}

# kernel_newest PACKAGE: the release that this package without a release stands for.
kernel_newest()
{
	apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: linux-headers-//p' | tail -n 1
}

# download_headers RELEASE: extract its three packages of headers under build/.
download_headers()
{
	local to=$build/headers/$1 src=$build/headers/$1/usr/src common=${1%-cloud-amd64}

	download_packages "$to" "linux-headers-$1" "linux-headers-$common-common" \
		"linux-kbuild-$common" || return
	# It names its other half by where that would be installed.
	echo "include $src/linux-headers-$common-common/Makefile" >"$src/linux-headers-$1/Makefile"
	touch "$to/.done"
}
