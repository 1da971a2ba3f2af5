# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Messages, locking and option parsing that all commands share.

# mke2fs, depmod and modprobe are no secret to users.
PATH=$PATH:/usr/sbin:/sbin

say()
{
	printf 'lab: %s\n' "$*" >&2
}

die()
{
	printf 'scripts/lab: %s\n' "$*" >&2
	exit 1
}

# A mistake on the command line.
misuse()
{
	printf 'scripts/lab: %s\n' "$*" >&2
	exit 2
}

# step TEXT: a progress line with the seconds since the command began.
step()
{
	printf 'lab: %3d s  %s\n' "$SECONDS" "$*" >&2
}

# logged LOG COMMAND...: run it with its output in a log, shown when it fails.
logged()
{
	local log=$build/logs/$1 status=0

	shift
	mkdir -p "$build/logs"
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if [ $status -ne 0 ]; then
		tail -n 30 "$log" >&2
		say "failed (status $status): $*; the whole log is ${log#"$top"/}"
	fi
	return $status
}

# stale TARGET SOURCE...: true when TARGET is missing or older than a source.
stale()
{
	local target=$1 source

	shift
	[ -e "$target" ] || return 0
	for source in "$@"; do
		[ ! "$source" -nt "$target" ] || return 0
	done
	return 1
}

# lab_lock [WHAT]: two labs may run at once, but only one at a time builds; or
# builds WHAT, which takes long and is in nobody's way.
lab_lock()
{
	mkdir -p "$build"
	exec {lock_fd}>"$build/.lock${1:+-$1}"
	if ! flock --nonblock "$lock_fd"; then
		[ -n "${lab_waited-}" ] || say "waiting for another scripts/lab to finish building"
		lab_waited=1
		flock "$lock_fd"
	fi
}

lab_unlock()
{
	exec {lock_fd}>&-
}

# A directory for this run alone, gone when the lab ends, however it ends.
lab_tmp()
{
	mkdir -p "$build/run"
	# What a lab that was killed could not remove: no process of one has it open.
	find "$build/run" -mindepth 1 -maxdepth 1 -mtime +0 \
		-exec flock --nonblock {} rm -rf {} \;
	tmp=$(mktemp -d -p "$build/run")
	exec {tmp_fd}<"$tmp"
	flock --shared "$tmp_fd"
	trap lab_cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

lab_cleanup()
{
	local pid

	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || :
	done
	cat "$tmp/vm.pid" "$tmp"/*/vm.pid 2>/dev/null | xargs -r kill 2>/dev/null || :
	# What an emulator that was killed could not put right.
	[ -z "${lab_terminal-}" ] || stty "$lab_terminal" </dev/tty 2>/dev/null || :
	rm -rf "$tmp"
}

# check_file OPTION FILE: FILE must be there, readable and not empty.
check_file()
{
	[ -e "$2" ] || misuse "$1 $2: no such file"
	[ ! -d "$2" ] || misuse "$1 $2: is a directory"
	[ ! -c "$2" ] || misuse "$1 $2: is a character device"
	[ -r "$2" ] || misuse "$1 $2: no permission to read it"
	[ ! -f "$2" ] || [ -s "$2" ] || misuse "$1 $2: the file is empty"
}

# check_count OPTION VALUE LOW HIGH
check_count()
{
	if ! [[ $2 =~ ^[0-9]{1,6}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
		misuse "$1 $2: a number from $3 to $4 is wanted"
	fi
}

# mebibytes OPTION SIZE: 256, 256M or 1G in MiB.
mebibytes()
{
	local size=${2%[mMgG]}

	[[ $size =~ ^[0-9]{1,6}$ ]] || misuse "$1 $2: a size such as 256M or 1G is wanted"
	case $2 in
	*[gG]) echo $((10#$size * 1024)) ;;
	*) echo $((10#$size)) ;;
	esac
}
