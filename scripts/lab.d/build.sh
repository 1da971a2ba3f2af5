# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The project's own builds; each leaves its log in build/logs.

kmod_tree=$top			# where the module is built

# lab_build: all of it, or an end.
lab_build()
{
	[ $# -eq 0 ] || misuse "build takes no option '$1'"
	lab_prepare
	lab_lock
	build_kmod || exit 1
	build_user || exit 1
	build_selftests || exit 1
	lab_unlock
}

build_kmod()
{
	step "building kmod/kvm.ko for $kver"
	[ "$kmod_tree" = "$top" ] || build_tree
	logged make-kmod.log make -C "$kmod_tree" -j"$(nproc)" KDIR="$kdir" kmod
}

# build_tree: our module's source, where nothing is built for other kernels.
build_tree()
{
	mkdir -p "$kmod_tree"
	(cd "$top" && find Makefile Kbuild kmod \
		\( -name '*.[chS]' -o -name Makefile -o -name Kbuild \) \
		! -name '*.mod.c' ! -name offsets.h | cpio --quiet -pdmu "$kmod_tree")
}

build_user()
{
	step "building user/vitro"
	logged make-user.log make -C "$top" -j"$(nproc)" user
}

build_selftests()
{
	step "building the tests"
	logged make-selftests.log make -k -C "$top/selftests" -j"$(nproc)" \
		KSELFTEST="$kselftest"
}

# build_what_builds: for a shell, where half a house is better than none.
build_what_builds()
{
	lab_lock
	[ "$vm_kvm" = stock ] || build_kmod || say "going on without a new kvm.ko"
	build_user || say "going on without a new vitro"
	build_selftests || say "going on without all tests"
	lab_unlock
}
