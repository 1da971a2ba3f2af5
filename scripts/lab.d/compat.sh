# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The kernel's own KVM selftests, on stock KVM and on our module.  Stock KVM is
# the referee: what passes there has to pass here, but for what compat.reasons
# says this module does not have.
#
#   build/kvm-selftests/6.1      the tests of that kernel, static, and their log
#   compat.settings              arguments and time limits that suit a test VM
#   compat.reasons               why a test ends otherwise here

compat_tests=()
compat_kernel=6.1

lab_compat()
{
	compat_options "$@"
	lab_tmp
	lab_prepare
	lab_lock
	compat_prepare
	build_kmod || exit 1
	lab_unlock
	lab_images
	compat_select
	compat_disk
	vm_judge=test_vm_ended
	test_settings=$lab/compat.settings
	# Some tests want a host whose clock is its TSC.
	vm_cmdline+=' clocksource=tsc tsc=reliable'
	compat_on stock
	compat_on vitro
	compat_rows >"$tmp/rows"
	if [ -n "$compat_whole" ]; then
		compat_document "$top/docs/compat.md" | cat -s >"$tmp/document"
		cp "$tmp/document" "$top/docs/compat.md"
	fi
	compat_table
}

compat_options()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel)
			[ $# -ge 2 ] || misuse "option $1 wants a value"
			[[ $2 =~ ^6\.(1|12)$ ]] || misuse "--kernel $2: 6.1 or 6.12 is wanted"
			compat_kernel=$2
			shift
			;;
		-*) misuse "compat takes no option '$1'" ;;
		*) compat_tests+=("$1") ;;
		esac
		shift
	done
}

# compat_prepare: the tests, built once for each version of their source package.
compat_prepare()
{
	local package=linux-source-$compat_kernel stamp missing

	compat_build=$build/kvm-selftests/$compat_kernel
	mapfile -t missing < <(missing_packages "$package" rsync)
	[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
	stamp=$(dpkg-query -W -f '${Version}' "$package"; compat_flags)
	if [ "$stamp" != "$(cat "$compat_build/.stamp" 2>/dev/null)" ]; then
		compat_make "$package"
		echo "$stamp" >"$compat_build/.stamp"
	fi
}

# In 6.1 dirty_log_test came from a later kernel with a macro that its library
# does not have yet, and steal_time includes a header that needs another first.
compat_flags()
{
	[ "$compat_kernel" != 6.1 ] || echo "-DTEST_ASSERT_EQ=ASSERT_EQ -include linux/stddef.h"
}

compat_make()
{
	local source=$compat_build/source

	step "extracting $1"
	rm -rf "$compat_build"
	mkdir -p "$source"
	tar -xf "/usr/src/$1.tar.xz" -C "$source" --strip-components=1
	step "building the KVM selftests of Linux $compat_kernel"
	logged kvm-selftests-headers.log make -C "$source" O="$compat_build/headers" \
		INSTALL_HDR_PATH="$compat_build/usr" headers_install ||
		die "the kernel's headers could not be installed"
	logged kvm-selftests.log make -k -j"$(nproc)" -C "$source/tools/testing/selftests/kvm" \
		OUTPUT="$compat_build/out" USERLDFLAGS=-static EXTRA_CFLAGS="$(compat_flags)" \
		KHDR_INCLUDES="-isystem $compat_build/usr/include" ||
		say "going on without the tests that do not build"
	rm -rf "$source" "$compat_build/headers"
}

# compat_programs: name and file of each test that was built.
compat_programs()
{
	find "$compat_build/out" -type f -executable -printf '%f %p\n' | LC_ALL=C sort
}

# compat_select: what was asked for, or all.
compat_select()
{
	local all name

	mapfile -t all < <(compat_programs | cut -d ' ' -f 1)
	[ ${#all[@]} -gt 0 ] || die "no KVM selftest was built"
	for name in "${compat_tests[@]}"; do
		[[ " ${all[*]} " = *" $name "* ]] ||
			misuse "no KVM selftest is named '$name'; there are: ${all[*]}"
	done
	compat_whole=
	[ ${#compat_tests[@]} -gt 0 ] || compat_whole=yes compat_tests=("${all[@]}")
}

# compat_disk: the tests as a disk for the test VM.
compat_disk()
{
	local name file

	mkdir "$tmp/kselftests"
	while read -r name file; do
		[[ " ${compat_tests[*]} " != *" $name "* ]] ||
			strip -o "$tmp/kselftests/$name" "$file"
	done < <(compat_programs)
	mke2fs -q -t ext4 -d "$tmp/kselftests" "$tmp/kselftests.img" \
		$(($(du -sm "$tmp/kselftests" | cut -f 1) * 5 / 4 + 16))M >/dev/null
	vm_disks=("kselftests ro $tmp/kselftests.img")
}

# compat_on KVM: all of them there, one after the other, results in $tmp/KVM; what
# they said stays in build/logs/compat-KVM.  A test VM that dies is started again
# for those left.
compat_on()
{
	local left=("${compat_tests[@]}") results=$tmp/$1 begun

	vm_kvm=$1
	test_kind=compat-$1
	round=1
	mkdir "$results"
	while [ ${#left[@]} -gt 0 ]; do
		test_round "${left[@]}"
		mapfile -t begun <"$tmp/begun"
		[ ${#begun[@]} -gt 0 ] || die "the test VM did not come up with $1 kvm"
		mv "$tmp"/result/* "$results/"
		left=("${left[@]:${#begun[@]}}")
	done
	rm -rf "$build/logs/compat-$1"
	cp -r "$results" "$build/logs/compat-$1"
}

# compat_verdict KVM NAME
compat_verdict()
{
	local result=$tmp/$1/$2 status

	status=$(cat "$result.status")
	[ ! -s "$result.splat" ] || status=splat
	case $status in
	0) echo pass ;;
	4) echo skip ;;
	124|137|143) echo timeout ;;
	*) echo FAIL ;;
	esac
}

# compat_complaint NAME: what the test says about its end on our module.
compat_complaint()
{
	local result=$tmp/vitro/$1

	if [ -s "$result.splat" ]; then
		echo "the kernel complained"
		return
	fi
	awk '
	/==== Test Assertion Failure/ { getline; sub(/^ */, ""); said = $0; next }
	/^  [^ ]/ && said && !/pid=/ { sub(/^ */, ""); said = said ": " $0 }
	/SKIP/ { said = $0 }
	END { print said }' "$result"
}

# compat_rows: a line a test: name, verdict on stock, verdict here, why they
# differ, by compat.reasons or else by what the test said.
compat_rows()
{
	local name stock vitro why

	for name in "${compat_tests[@]}"; do
		stock=$(compat_verdict stock "$name")
		vitro=$(compat_verdict vitro "$name")
		why=
		if [ "$stock" != "$vitro" ]; then
			why=$(sed -n "s/^$name[ \t]*//p" "$lab/compat.reasons")
			[ -n "$why" ] || why=$(compat_complaint "$name")
		fi
		printf '%s\t%s\t%s\t%s\n' "$name" "$stock" "$vitro" "$why"
	done
}

# compat_table: what came of the tests.  Fails when one passes on stock KVM only,
# and not for what this module does not have.
compat_table()
{
	awk -F '\t' '
	BEGIN { printf "%-38s %-7s  %-7s  %s\n", "test", "stock", "vitro", "why" }
	{ printf "%-38s %-7s  %-7s  %s\n", $1, $2, $3, $4 }
	$2 == $3 { agree++; next }
	$4 ~ /^not ours: / { not_ours++; next }
	{ differ++; failed = failed || $2 == "pass" }
	END {
		printf "%d agree, %d differ, %d not ours\n", agree, differ, not_ours
		exit failed
	}' "$tmp/rows"
}

# compat_document OLD: the tables for readers, that of the other kernel as in OLD.
compat_document()
{
	local kernel

	cat <<-END
	# The kernel's own KVM selftests

	Made by \`scripts/lab compat\`; do not edit. These are the programs of \`tools/testing/selftests/kvm\`, run in the test VM with AMD-V, on stock KVM and on this module, both on Debian's Linux 6.1. Stock KVM is the referee: a test that it fails or skips there says nothing. "not ours" is what this module does not have on purpose: nested virtualization, Hyper-V, Xen, SEV, SGX and the PMU.
	END
	for kernel in 6.1 6.12; do
		if [ "$kernel" = "$compat_kernel" ]; then
			compat_section
		else
			echo
			awk -v title="## Those of Linux $kernel" '/^## / { on = $0 == title } on' "$1"
		fi
	done
}

# compat_section: the table of this kernel's tests.
compat_section()
{
	cat <<-END

	## Those of Linux $compat_kernel

	Made by \`scripts/lab compat --kernel $compat_kernel\`.

	| test | stock | vitro | why they differ |
	|---|---|---|---|
	END
	awk -F '\t' '{ printf "| %s | %s | %s | %s |\n", $1, $2, $3, $4 }' "$tmp/rows"
	compat_table | tail -n 1 | sed 's/^/\n/; s/$/./'
}
