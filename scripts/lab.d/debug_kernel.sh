# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The debug kernel: Linux 6.1 from Debian's source with every check that reports
# what goes wrong in a driver.  Built once, and again when its source package or
# debug_kernel.config changes.

debug_kernel=$build/debug-kernel

debug_packages=(bc bison flex libelf-dev libssl-dev)

lab_debug-kernel()
{
	[ $# -eq 0 ] || misuse "debug-kernel takes no option '$1'"
	lab_prepare
	debug_kernel_use
	say "kernel $kver with all checks is in ${kroot#"$top"/}"
}

# debug_kernel_use: this kernel in the test VM and under our module, which is
# built in a tree of its own; the guest's kernel stays Debian's.
debug_kernel_use()
{
	local stamp

	lab_lock debug-kernel
	stamp=$(dpkg-query -W -f '${Version}' linux-source-6.1
		cat "$lab/debug_kernel.config")
	if [ "$stamp" != "$(cat "$debug_kernel/.stamp" 2>/dev/null)" ]; then
		debug_kernel_build
		echo "$stamp" >"$debug_kernel/.stamp"
	fi
	lab_unlock
	kroot=$debug_kernel/root
	kver=$(cat "$debug_kernel/out/include/config/kernel.release")
	kdir=$debug_kernel/out
	kmod_tree=$debug_kernel/tree
	image=$build/image-debug
	vm_memory=3072
	vm_slow=6
}

debug_kernel_make()
{
	logged debug-kernel.log make -C "$debug_kernel/source" O="$debug_kernel/out" \
		-j"$(nproc)" "$@" || die "the debug kernel could not be built"
}

debug_kernel_build()
{
	local missing root=$debug_kernel/root out=$debug_kernel/out

	mapfile -t missing < <(missing_packages "${debug_packages[@]}")
	[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
	step "extracting the kernel's source"
	rm -rf "$debug_kernel"
	mkdir -p "$debug_kernel/source" "$out" "$root/boot"
	tar -xf /usr/src/linux-source-6.1.tar.xz -C "$debug_kernel/source" --strip-components=1
	step "building the debug kernel (first time only, five to ten minutes)"
	debug_kernel_make tinyconfig
	cat "$lab/debug_kernel.config" >>"$out/.config"
	debug_kernel_make olddefconfig
	debug_kernel_has_all
	debug_kernel_make bzImage modules
	debug_kernel_make INSTALL_MOD_PATH="$root" INSTALL_MOD_STRIP=1 modules_install
	cp "$out/arch/x86/boot/bzImage" \
		"$root/boot/vmlinuz-$(cat "$out/include/config/kernel.release")"
	touch "$root/.done"
}

# Kconfig drops in silence what it does not know or what needs something else.
debug_kernel_has_all()
{
	local lost

	lost=$(grep ^CONFIG_ "$lab/debug_kernel.config" | grep -vxFf "$debug_kernel/out/.config") || return 0
	die "the debug kernel would lack $lost"
}
