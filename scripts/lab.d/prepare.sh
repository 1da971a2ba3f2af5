# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Everything comes from Debian's packages: tools are installed, the kernel
# image is only extracted, and of the kernel's source a few files are taken.

packages=(
	acpica-tools binutils bochs bochsbios busybox-static cloc cpio e2fsprogs
	gcc grub-common grub-pc-bin kmod libc6-dev linux-headers-cloud-amd64
	linux-source-6.1 make mtools pahole perl qemu-system-x86 shellcheck sparse
	util-linux vgabios xorriso xz-utils
)

# lab_prepare: install and download what is missing; quick when nothing is.
# Sets kver (release of the lab's kernel), kdir (its headers), kroot (its
# extracted package), guest_kver and guest_kroot (the same of the guest's
# kernel) and kselftest (the kernel's test harness).
lab_prepare()
{
	[ $# -eq 0 ] || misuse "prepare takes no option '$1'"
	[ "$(uname -m)" = x86_64 ] || die "the lab needs an x86-64 machine"
	command -v apt-get >/dev/null || die "the lab needs Debian 12: there is no apt-get here"
	lab_lock
	mkdir -p "$build/logs"
	prepare_packages
	prepare_kernel
	prepare_source
	lab_unlock
}

# missing_packages PACKAGE...: print those that are not installed.
missing_packages()
{
	printf '%s\n' "$@" | sort | comm -23 - <(
		dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
			sed -n 's/^ii  *//p' | sort)
}

# install_packages PACKAGE...: as root, or say what root has to type.
install_packages()
{
	local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 "$@")

	if [ "$(id -u)" -ne 0 ]; then
		say "these Debian packages are missing; as root, run:"
		printf '  apt-get update && %s\n' "${install[*]}" >&2
		exit 1
	fi
	step "installing $# Debian packages (first time only, a few minutes): $*"
	export DEBIAN_FRONTEND=noninteractive
	update_lists
	logged install.log "${install[@]}" || die "the packages could not be installed"
}

# Package lists older than a day, or none, are fetched again, once a run.
update_lists()
{
	[ -z "${lists_updated-}" ] || return 0
	lists_updated=1
	if [ "$(id -u)" -ne 0 ]; then
		return 0
	fi
	logged update.log apt-get update || say "going on with the package lists that are here"
}

prepare_packages()
{
	local missing

	mapfile -t missing < <(missing_packages "${packages[@]}")
	[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# The kernel must be the one whose headers are installed, or its modules and
# ours would not load together.  Newer ones may be installed: see kernel.sh.
prepare_kernel()
{
	local headers

	headers=$(printf '%s\n' /usr/src/linux-headers-6.1.*-cloud-amd64 | sort -V | tail -n 1)
	kver=${headers#/usr/src/linux-headers-}
	if [ ! -e "$build/kernel/$kver/.done" ] && ! download_kernel "$kver"; then
		# The archive keeps the newest alone: take it, and its headers.
		kver=$(apt-cache depends linux-image-cloud-amd64 |
			sed -n 's/^ *Depends: linux-image-//p' | tail -n 1)
		[ -n "$kver" ] || die "no package linux-image-cloud-amd64 is known to apt-get"
		[ -e "/usr/src/linux-headers-$kver" ] || install_packages "linux-headers-$kver"
		download_kernel "$kver" || die "linux-image-$kver could not be downloaded"
	fi
	kroot=$build/kernel/$kver
	# shellcheck disable=SC2034 # for build and image
	kdir=/usr/src/linux-headers-$kver
	# shellcheck disable=SC2034 # for guest
	guest_kver=$kver guest_kroot=$kroot
}

# download_kernel RELEASE: extract its image package under build/.
download_kernel()
{
	local to=$build/kernel/$1

	download_packages "$to" "linux-image-$1" || return
	depmod -b "$to" "$1"
	touch "$to/.done"
}

# download_packages TO PACKAGE...: extract them into the folder TO, made anew.
download_packages()
{
	local to=$1 deb

	shift
	step "downloading $*"
	rm -rf "$to"
	mkdir -p "$to"
	if ! (cd "$to" && apt-get -q download "$@") >"$to/log" 2>&1; then
		update_lists
		if ! (cd "$to" && apt-get -q download "$@") >>"$to/log" 2>&1; then
			tail -n 3 "$to/log" >&2
			return 1
		fi
	fi
	for deb in "$to"/*.deb; do
		dpkg -x "$deb" "$to"
	done
	rm "$to"/*.deb
}

# The kernel's own test harness and style checker, used where they are.
prepare_source()
{
	local version tar=/usr/src/linux-source-6.1.tar.xz new=$build/source.new

	# shellcheck disable=SC2034 # for the tests
	kselftest=$build/kselftest
	checkpatch=$build/checkpatch
	version=$(dpkg-query -W -f '${Version}' linux-source-6.1)
	if [ "$version" = "$(cat "$checkpatch/.version" 2>/dev/null)" ]; then
		return 0
	fi
	step "extracting the kernel's test harness and checkpatch"
	rm -rf "$new"
	mkdir -p "$new" "$build/kselftest"
	tar -xf "$tar" -C "$new" --strip-components=1 --wildcards \
		'*/tools/testing/selftests/kselftest*' \
		'*/tools/testing/selftests/lib.mk' \
		'*/tools/testing/selftests/run_kselftest.sh' \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
		'*/scripts/const_structs.checkpatch'
	cp -a "$new"/tools/testing/selftests/* "$build/kselftest/"
	rm -rf "$checkpatch"
	mv "$new/scripts" "$checkpatch"
	echo "$version" >"$checkpatch/.version"
	rm -rf "$new"
}
