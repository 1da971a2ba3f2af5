# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The checks of scripts/check.  Each prints what offends, and nothing when all
# is well.

checks=(
	"vendor headers stay in their folder: walls_vendor"
	"only compat.h knows kernel versions: walls_version"
	"stock KVM's inside is not included: walls_kvm_host"
	"the emulator knows nothing of the kernel: walls_emulate"
	"no BUG() in the module: words_bug"
	"no word of unfinished work: words_unfinished"
	"every file names its licence first: words_licence"
	"files have fewer than 1,000 lines: size_files"
	"kmod/ has no more lines of code than it had: size_kmod"
	"W=1 and sparse are silent about kmod/: build_kmod_strictly"
	"they are as silent with Linux 6.12's headers: build_kmod_for_newer"
	"each header of kmod/ compiles alone: headers_kmod"
	"each header of user/ and selftests/ compiles alone: headers_user"
	"user/ builds without a warning: build_user_strictly"
	"selftests: the first file to be made finds no folder: build_selftests_afresh"
	"checkpatch is silent: style_checkpatch"
	"shellcheck is silent: style_shellcheck"
)

check_all()
{
	local check number=0 failed=0

	echo "TAP version 13"
	echo "1..${#checks[@]}"
	for check in "${checks[@]}"; do
		number=$((number + 1))
		: >"$tmp/skip"
		if ! "${check##*: }" >"$tmp/found" 2>&1; then
			echo "(the check itself failed)" >>"$tmp/found"
		fi
		if [ -s "$tmp/found" ]; then
			head -n 60 "$tmp/found" | sed 's/^/# /'
			echo "not ok $number ${check%: *}"
			failed=1
		elif [ -s "$tmp/skip" ]; then
			echo "ok $number ${check%: *} # SKIP $(cat "$tmp/skip")"
		else
			echo "ok $number ${check%: *}"
		fi
	done
	return $failed
}

# skip REASON: nothing to check yet.
skip()
{
	echo "$*" >"$tmp/skip"
}

# sources PATTERN...: the project's own files of these names, not what is built.
sources()
{
	local file

	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- "$@"
	else
		sources_without_git "$@"
	fi | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# The same for a tree out of an archive; a folder's name stands for all in it.
sources_without_git()
{
	local pattern files

	files=$(find . -path ./build -prune -o -type f ! -name '*.mod.c' ! -name '*.o' \
		! -name '*.s' ! -name offsets.h ! -name '.*.cmd' -printf '%P\n')
	for pattern in "$@"; do
		while read -r file; do
			# shellcheck disable=SC2053 # a pattern on purpose
			[[ $file != $pattern && $file != $pattern/* ]] || echo "$file"
		done <<<"$files"
	done
}

# grep_in PATTERN FILE...: the lines that match; no file and no match are fine.
grep_in()
{
	[ $# -gt 1 ] || return 0
	grep -HnE "$@" || [ $? -eq 1 ]
}

walls_vendor()
{
	local files

	mapfile -t files < <(sources 'kmod/*' | grep -vE '^kmod/(svm/|main\.c$)')
	grep_in '#include.*(<asm/svm\.h>|"(.*/)?svm[/.])' "${files[@]}"
	mapfile -t files < <(sources 'kmod/*' | grep -vE '^kmod/(vmx/|main\.c$)')
	grep_in '#include.*(<asm/vmx\.h>|"(.*/)?vmx[/.])' "${files[@]}"
}

walls_version()
{
	local files

	mapfile -t files < <(sources 'kmod/*.[chS]' | grep -v '^kmod/compat\.h$')
	grep_in 'LINUX_VERSION_CODE|KERNEL_VERSION' "${files[@]}"
}

walls_kvm_host()
{
	local files

	mapfile -t files < <(sources 'kmod/*.[chS]')
	grep_in '#include.*kvm_host\.h' "${files[@]}"
}

# The names of flags and the likes of memcpy() exist in user space, too.
walls_emulate()
{
	local files

	mapfile -t files < <(sources 'kmod/emulate/*.[ch]')
	grep_in '#include *<' "${files[@]}" |
		grep -vE '<(asm/processor-flags|asm/kvm|linux/compiler|linux/string|string)\.h>' || :
	grep_in '#include *"\.\./' "${files[@]}" | grep -v '"\.\./types\.h"' || :
}

words_bug()
{
	local files

	mapfile -t files < <(sources 'kmod/*.[chS]')
	grep_in '\<(BUG|BUG_ON|panic)\(' "${files[@]}"
}

words_unfinished()
{
	local files

	mapfile -t files < <(sources kmod user selftests scripts docs |
		grep -v '^scripts/lab.d/check\.sh$')
	grep_in '\<(TODO|FIXME|XXX|HACK)\>|\<[Ss]tub(s|bed)?\>' "${files[@]}"
}

words_licence()
{
	local file

	sources '*.[chS]' '*.asl' '*.sh' scripts '*Makefile' '*Kbuild' .ci/run |
		while read -r file; do
			head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' ||
				echo "$file"
		done
}

size_files()
{
	sources '*.[chS]' '*.asl' scripts '*.sh' | xargs -r wc -l |
		awk '$2 != "total" && $1 >= 1000 { print $2 ": " $1 " lines" }'
}

# The promise is 12,000; with both vendors and the ABI of docs/abi.md kmod/ is
# above it.  Whoever raises this number says what the lines buy.
kmod_lines=15289

size_kmod()
{
	local code

	sources 'kmod/*.[chS]' >"$tmp/files"
	[ -s "$tmp/files" ] || { skip "nothing in kmod/"; return; }
	code=$(cloc --quiet --csv --list-file="$tmp/files" | awk -F, '/SUM/ { print $5 }')
	[ "$code" -le "$kmod_lines" ] || echo "$code lines of code"
}

# A header is compiled by the very command that kbuild used for main.c in the
# strict build.
headers_kmod()
{
	local command header flags

	command=$(sed -n 's/^cmd_.*main\.o := //p' "$tmp/kmod/kmod/.main.o.cmd" 2>/dev/null) || :
	[ -n "$command" ] || { skip "kmod/main.c was not compiled"; return; }
	flags=$(sed -E 's|^ *[^ ]+ ||; s|-Wp,-MMD,[^ ]+||; s| -c -o .*||; s|;.*||' <<<"$command")
	sources 'kmod/*.h' | while read -r header; do
		(cd "$kdir" && eval "gcc $flags -fsyntax-only -x c '$tmp/kmod/$header'") ||
			echo "$header does not compile alone"
	done 2>&1
}

headers_user()
{
	local header

	sources 'user/*.h' 'selftests/lib/*.h' | while read -r header; do
		gcc -std=gnu11 -D_GNU_SOURCE -Wall -Ikmod -Iuser -Iselftests/lib -I"$kselftest" \
			-fsyntax-only -x c "$header" || echo "$header does not compile alone"
	done 2>&1
}

# strictly FOLDER MAKE-ARGUMENT...: build a copy from scratch, show its warnings.
strictly()
{
	local folder=$1 copy=$tmp/$1

	shift
	mkdir "$copy"
	sources Makefile Kbuild kmod user | cpio --quiet -pdm "$copy"
	if ! make -C "$copy" -j"$(nproc)" KDIR="$kdir" "$@" "$folder" >"$tmp/log" 2>&1; then
		tail -n 40 "$tmp/log" | sed "s,$copy/,,g"
	fi
	grep -E '(warning|error):' "$tmp/log" | sed "s,$copy/,,g" | sort -u
}

build_kmod_strictly()
{
	[ -e kmod/main.c ] || { skip "no kmod/main.c"; return; }
	strictly kmod W=1 C=2 || :
}

# They were fetched, or not, before the checks.
build_kmod_for_newer()
{
	[ -z "$kernel_missing" ] || { skip "$kernel_missing"; return; }
	mkdir "$tmp/newer"
	tmp=$tmp/newer kdir=$kernel_kdir strictly kmod W=1 C=2 || :
}

build_user_strictly()
{
	[ -e user/Makefile ] || { skip "no user/Makefile"; return; }
	strictly user || :
}

build_selftests_afresh()
{
	make -s -C selftests KSELFTEST="$kselftest" OUTPUT="$tmp/afresh" "$tmp/afresh/abi_rows.h"
}

# Ignored everywhere: what asks for files that a kernel tree has, types and
# version checks (walls_version knows better), macros that make a table by
# taking a macro, cases in one line each, and what is no operator: "%l[label]",
# "TYPE(x) *", "case x:".
# Ignored in user space: what asks for macros that only the kernel has, braces
# around the harness's macros (some are several statements), unsigned __int128.
style_checkpatch()
{
	local kernel=SPDX_LICENSE_TAG,FILE_PATH_CHANGES,NEW_TYPEDEFS,LINUX_VERSION_CODE
	local userland=PREFER_DEFINED_ATTRIBUTE_MACRO,VOLATILE,EMBEDDED_FUNCTION_NAME
	local files

	kernel+=,CONSTANT_COMPARISON,COMPLEX_MACRO,TRAILING_SEMICOLON
	kernel+=,MULTISTATEMENT_MACRO_USE_DO_WHILE,MACRO_WITH_FLOW_CONTROL,BRACKET_SPACE
	kernel+=,TRAILING_STATEMENTS,PREFER_DEFINED_ATTRIBUTE_MACRO
	userland+=,PREFER_KERNEL_TYPES,CONST_STRUCT,ARRAY_SIZE,AVOID_EXTERNS,SYMBOLIC_PERMS
	userland+=,MEMORY_BARRIER,INIT_ATTRIBUTE,BRACES,UNSPECIFIED_INT

	mapfile -t files < <(sources 'kmod/*.[chS]')
	checkpatch "$kernel" "${files[@]}"
	mapfile -t files < <(sources 'user/*.[chS]' 'selftests/*.[chS]')
	checkpatch "$kernel,$userland" "${files[@]}"
}

# checkpatch IGNORE FILE...
checkpatch()
{
	local ignore=$1

	shift
	[ $# -gt 0 ] || return 0
	"$checkpatch/checkpatch.pl" --no-tree --no-summary --terse --quiet --show-types \
		--max-line-length=100 --ignore "$ignore" -f "$@" |
		grep -vE "spac.* around (that )?'[%*:]'" || :
}

style_shellcheck()
{
	local files

	mapfile -t files < <(sources scripts '*.sh' .ci/run |
		xargs -r grep -lE '^#!/bin/(ba)?sh|shellcheck shell=' |
		grep -v '^scripts/lab\.d/[a-z_]*\.sh$')
	shellcheck -x --severity=warning "${files[@]}" || :
}
