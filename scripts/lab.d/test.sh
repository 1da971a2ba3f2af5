# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# All tests.  Here: "check" (what a script can prove about the source), "lab"
# (the lab's own manners) and the unit tests.  In the test VM, on each machine
# that it can be: the kselftests.

test_kind=test			# whose logs these are
test_settings=$top/selftests/settings
test_machines=()
test_passed=0
test_failed=0
test_skipped=0
test_job=()				# what else the test VM shall have in /job

lab_test()
{
	local wanted=() debug=

	while [ $# -gt 0 ]; do
		case $1 in
		--stock) vm_kvm=stock ;;
		--cpu|--kernel)
			[ $# -ge 2 ] || misuse "option $1 wants a value"
			case $1 in
			--cpu) vm_choose "$2"; test_machines+=("$2") ;;
			--kernel) kernel_choose "$2" ;;
			esac
			shift
			;;
		--debug) debug=yes ;;
		-*) misuse "test takes no option '$1'" ;;
		*) wanted+=("$1") ;;
		esac
		shift
	done
	[ -z "$debug" ] || [ ${#test_machines[@]} -eq 0 ] ||
		misuse "test --debug takes no --cpu: Bochs would take hours"
	[ -z "$debug" ] || [ "$vm_kernel" = 6.1 ] ||
		misuse "test --debug takes no --kernel $vm_kernel: it has a kernel of its own"
	lab_tmp
	mkdir "$tmp/result"
	test_select "$debug" "${wanted[@]}"
	lab_prepare
	if [ -n "$debug" ]; then
		debug_kernel_use
		test_machines=(amd)
	fi
	kernel_use
	test_here
	test_in_vms
	printf '%d passed, %d failed, %d skipped\n' \
		$test_passed $test_failed $test_skipped
	[ $test_failed -eq 0 ] && [ $((test_passed + test_skipped)) -gt 0 ]
}

# test_select DEBUG NAME...: sort what shall run into the arrays here, unit and
# vm; without a name all of it.  Another kernel is for what runs in the VM.
# module_reload comes late, since it tells whether the tests before it left
# anything behind, and reboot is the end.
test_select()
{
	local debug=$1 name all

	shift
	here=(check lab)
	mapfile -t unit < <(test_names unit/test_ .c)
	[ -z "$debug" ] && [ "$vm_kernel" = 6.1 ] || here=() unit=()
	mapfile -t vm < <({ test_names '' .c; test_names '' .sh; } |
		sort | grep -vx 'module_reload\|reboot'; echo module_reload; echo reboot)
	[ $# -gt 0 ] || return 0
	all=("${here[@]}" "${unit[@]}" "${vm[@]}")
	for name in "$@"; do
		[[ " ${all[*]} " = *" ${name#test_} "* ]] ||
			misuse "no test is named '$name'; there are: ${all[*]}"
	done
	test_keep here "$@"
	test_keep unit "$@"
	test_keep vm "$@"
}

# test_names PREFIX SUFFIX: the tests in selftests/ whose files are named so.
test_names()
{
	local file

	for file in "$top/selftests/$1"*"$2"; do
		[ -e "$file" ] || continue
		file=${file#"$top/selftests/$1"}
		echo "${file%"$2"}"
	done
}

# test_keep ARRAY NAME...: drop from ARRAY what is not named.
test_keep()
{
	local -n array=$1
	local name kept=()

	for name in "${array[@]}"; do
		[[ " ${*:2} " != *" $name "* && " ${*:2} " != *" test_$name "* ]] || kept+=("$name")
	done
	array=("${kept[@]}")
}

# test_judge NAME STATUS SECONDS: count the output in $tmp/result/NAME, and
# show all of it when something failed, what failed first.
test_judge()
{
	local result=$tmp/result/$1 passed failed skipped verdict=ok reasons

	reasons=$(awk -v status="$2" -f "$lab/tap.awk" "$result")
	read -r passed failed skipped <<<"$reasons"
	reasons=$(tail -n +2 <<<"$reasons")
	if [ -s "$result.splat" ]; then
		failed=$((failed + 1))
		reasons+=${reasons:+$'\n'}"the test VM's kernel complained"
	fi
	[ "$failed" -eq 0 ] || verdict=FAIL
	printf '%-4s  %-24s %4d passed, %d failed, %d skipped  (%d s)\n' \
		$verdict "$1" "$passed" "$failed" "$skipped" "$3"
	if [ "$failed" -gt 0 ]; then
		[ -z "$reasons" ] || sed "s/^/      $1: /" <<<"$reasons"
		test_failed_claims <"$result" | tail -n 60 | sed "s/^/      $1: /"
		[ ! -s "$result.splat" ] || sed 's/^/      kernel | /' "$result.splat"
		tail -n 300 "$result" | sed 's/^/      | /'
	fi
	test_passed=$((test_passed + passed))
	test_failed=$((test_failed + failed))
	test_skipped=$((test_skipped + skipped))
}

# test_failed_claims: of a test's output, what each claim that failed has printed.
test_failed_claims()
{
	awk '/^#  RUN|^ok / { said = "" }
		{ said = said $0 "\n" }
		/^not ok / { printf "%s", said; said = "" }'
}

# test_broken NAME TEXT: a failure that is no program's.
test_broken()
{
	printf 'FAIL  %s: %s\n' "$1" "$2"
	test_failed=$((test_failed + 1))
}

# test_program NAME LIMIT COMMAND...: run one here.
test_program()
{
	local name=$1 limit=$2 begin=$SECONDS status=0

	shift 2
	timeout -k 5 "$limit" "$@" >"$tmp/result/$name" 2>&1 </dev/null || status=$?
	test_judge "$name" $status $((SECONDS - begin))
}

test_here()
{
	local name

	for name in "${here[@]}"; do
		case $name in
		check) test_program check 900 "$top/scripts/check" ;;
		lab) test_program lab 60 "$lab/manners" "$top/scripts/lab" ;;
		esac
	done
	[ ${#unit[@]} -gt 0 ] || return 0
	step "building the unit tests"
	test_build_all unit "${unit[@]/#/../../build/unit/test_}"
	for name in "${unit[@]}"; do
		if test_builds unit "../../build/unit/test_$name"; then
			test_program "test_$name" 900 "$build/unit/test_$name"
		else
			test_broken "test_$name" "does not build"
		fi
	done
}

# test_build_all FOLDER TARGET...: all that builds, with both hands.
test_build_all()
{
	make -k -C "$top/selftests/$1" -j"$(nproc)" KSELFTEST="$kselftest" "${@:2}" \
		>"$build/logs/make-tests.log" 2>&1 </dev/null || :
}

# test_builds FOLDER TARGET: shows why when it does not.
test_builds()
{
	logged make-test.log make -s -C "$top/selftests/$1" KSELFTEST="$kselftest" "$2"
}

# test_in_vms: on one machine after the other.
test_in_vms()
{
	local machine

	[ ${#vm[@]} -gt 0 ] || return 0
	[ ${#test_machines[@]} -gt 0 ] || test_machines=("${vm_machines[@]}")
	lab_lock
	if [ "$vm_kvm" != stock ] && ! build_kmod; then
		lab_unlock
		test_broken kmod "does not build, so ${#vm[@]} tests did not run"
		return 0
	fi
	build_user || test_broken user "does not build"
	test_build
	lab_unlock
	lab_images
	vm_judge=test_vm_ended
	test_machine_after_machine
}

# test_machine_after_machine: but Bochs, which keeps one CPU busy, is two at a
# time.
test_machine_after_machine()
{
	local machine bochs=()

	for machine in "${test_machines[@]}"; do
		if [ "$machine" = amd ]; then test_on amd; else bochs+=("$machine"); fi
	done
	if [ ${#bochs[@]} -eq 1 ]; then
		test_on "${bochs[0]}"
		return
	fi
	for machine in "${bochs[@]}"; do
		mkdir "$tmp/$machine"
		test_beside "$machine" >"$tmp/$machine.out" &
	done
	wait
	for machine in "${bochs[@]}"; do
		cat "$tmp/$machine.out"
		test_count "$tmp/$machine/counts" || test_broken "$machine" "broke off"
	done
}

# test_beside MACHINE: test_on in a process of its own, which leaves its counts.
test_beside()
{
	tmp=$tmp/$1
	test_passed=0 test_failed=0 test_skipped=0
	test_on "$1"
	echo "$test_passed $test_failed $test_skipped" >"$tmp/counts"
}

# test_count FILE: add the counts that test_beside left.
test_count()
{
	local passed failed skipped

	read -r passed failed skipped 2>/dev/null <"$1" || return
	test_passed=$((test_passed + passed))
	test_failed=$((test_failed + failed))
	test_skipped=$((test_skipped + skipped))
}

# test_on MACHINE: all of vm there, and what came of it.
test_on()
{
	local begin=$SECONDS passed=$test_passed failed=$test_failed skipped=$test_skipped
	local one=() two=() name round=1

	vm_choose "$1"
	vm_standard_disks
	if [[ " ${vm[*]} " = *" qemu_boot "* ]]; then
		vm_qemu_disk
	fi
	for name in "${vm[@]}"; do
		if test_wants_two "$name"; then two+=("$name"); else one+=("$name"); fi
	done
	test_rounds 1 "${one[@]}"
	test_rounds 2 "${two[@]}"
	printf '%-10s %4d passed, %d failed, %d skipped, in %d s\n' "$1:" \
		$((test_passed - passed)) $((test_failed - failed)) \
		$((test_skipped - skipped)) $((SECONDS - begin))
}

# test_wants_two NAME: shall it run in a test VM with two CPUs?  In QEMU all do,
# as two are as quick as one there.
test_wants_two()
{
	[ "$(vm_emulator)" = qemu ] || grep -qx "cpus_$1=2" "$top/selftests/settings"
}

# test_build: build the programs among vm and drop those that do not build.  The
# scripts there run others', so one of them wants all.
test_build()
{
	local name target built=() targets=()

	for name in "${vm[@]}"; do
		if [ -e "$top/selftests/$name.sh" ]; then
			mapfile -t targets < <(test_names '' .c)
			targets=("${targets[@]/#/$build/selftests/}")
			break
		fi
		targets+=("$build/selftests/$name")
	done
	if [ ${#targets[@]} -gt 0 ]; then
		step "building the tests"
		test_build_all . "${targets[@]}"
	fi
	for name in "${vm[@]}"; do
		target=$build/selftests/$name
		if [ -e "$top/selftests/$name.sh" ] || test_builds . "$target"; then
			built+=("$name")
		else
			test_broken "$name" "does not build"
		fi
	done
	vm=("${built[@]}")
}

# test_patience: how much longer than on the quickest machine a test may take.
test_patience()
{
	[ "$(vm_emulator)" = qemu ] && echo "$vm_slow" || echo 5
}

# test_rounds CPUS NAME...: one test VM with so many CPUs runs them all; when it
# dies, another runs the rest.  QEMU may be what it died of (see vm_qemu): then the
# test in which it did, or its boot, gets a second try.
test_rounds()
{
	local left=("${@:2}") name begun again=

	vm_cpus=$1
	while [ ${#left[@]} -gt 0 ]; do
		test_round "${left[@]}"
		mapfile -t begun <"$tmp/begun"
		name=boot
		[ ${#begun[@]} -eq 0 ] || name=${begun[-1]}
		if [ "$again" != "$name" ] && test_lost_by_qemu "$name"; then
			again=$name
			[ "$name" != boot ] || continue
			unset "begun[-1]"
		fi
		test_boot_splat
		if [ "$name" = boot ]; then
			tail -n 25 "$vm_log"
			test_broken "test VM" "did not come up, ${#left[@]} tests did not run"
			return 0
		fi
		for name in "${begun[@]}"; do
			test_judge "$name" "$(cat "$tmp/result/$name.status")" \
				"$(cat "$tmp/result/$name.seconds")"
		done
		left=("${left[@]:${#begun[@]}}")
	done
}

# test_lost_by_qemu NAME: did the test VM die or hang in this test, or boot, without
# a word of our module in its kernel log?  Tells all that there is to tell.
test_lost_by_qemu()
{
	[ "$(vm_emulator)" = qemu ] && ! grep -qF '[kvm]' "$vm_log" || return
	[ "$1" = boot ] || [ "$(cat "$tmp/result/$1.status")" -eq 125 ] || return
	printf 'AGAIN %-24s the test VM died in it, and its log does not name kvm\n' "$1"
	tail -n 100 "$vm_log" | sed 's/^/      kernel | /'
	[ "$1" = boot ] || tail -n 20 "$tmp/result/$1" | sed 's/^/      | /'
}

# test_round NAME...: as many of them as one test VM lives for.
test_round()
{
	step "starting the test VM ($vm_cpu) for $# tests"
	vm_log=$build/logs/$test_kind-$vm_cpu-$round.log
	rm -rf "$tmp/job" "$tmp/result"
	mkdir "$tmp/job" "$tmp/result"
	cp "$lab/vm/test" "$tmp/job/main"
	cp "$test_settings" "$tmp/job/settings"
	[ ${#test_job[@]} -eq 0 ] || cp -r "${test_job[@]}" "$tmp/job/"
	echo "patience=$(test_patience)" >>"$tmp/job/settings"
	printf '%s\n' "$@" >"$tmp/job/tests"
	: >"$tmp/begun"
	vm_run "$test_kind-$vm_cpu-$round" </dev/null | test_collect || :
	test_splats "$vm_log"
	round=$((round + 1))
}

# test_vm_ended STATUS: the end of a test VM; its tests tell how it went.
test_vm_ended()
{
	tr -d '\r' <"$tmp/kernel.log" >"$vm_log"
}

# test_collect: sort the test VM's output into a file a test.  A test VM that
# keeps silent for longer than a test may take hangs, and is ended.
test_collect()
{
	local line name='' limit status=0 begin=0 result=/dev/null

	limit=$((60 * $(test_patience)))
	while IFS= read -r -t $((limit + 30)) line || { status=$?; false; }; do
		case $line in
		'@begin '*)
			read -r _ name limit <<<"$line"
			result=$tmp/result/$name
			begin=$SECONDS
			step "  $vm_cpu: $name"
			echo "$name" >>"$tmp/begun"
			: >"$result"
			echo 125 >"$result.status"
			;;
		'@end '*)
			echo "${line#@end }" >"$result.status"
			echo $((SECONDS - begin)) >"$result.seconds"
			result=/dev/null
			;;
		'@restart '*)
			echo "${line#@restart }" >"$result.restart"
			;;
		*)
			printf '%s\n' "$line" >>"$result"
			;;
		esac
	done
	if [ $status -gt 128 ]; then
		{ echo "the test VM hung; its kernel's last words:"; tail -n 20 "$tmp/kernel.log"; } >>"$result"
		kill "$(cat "$tmp/vm.pid")"
	elif [ -e "$result.restart" ] && grep -q "reboot: Restarting system" "$tmp/kernel.log"; then
		# The test has said so: this was its end, and is what it claims.
		cat "$result.restart" >>"$result"
		echo 0 >"$result.status"
	elif [ "$result" != /dev/null ]; then
		echo "the test VM died" >>"$result"
	fi
	[ -z "$name" ] || [ -e "$tmp/result/$name.seconds" ] ||
		echo $((SECONDS - begin)) >"$tmp/result/$name.seconds"
}

# test_splats LOG: give each complaint of the kernel to the test it fell in.
# A test that makes allocations fail says so; the kernel complains of some.
test_splats()
{
	awk -v splat="$vm_splat" -v result="$tmp/result/" '
	/lab: begin / { name = $NF; left = purpose = told = 0 }
	/lab: allocations fail on purpose/ { purpose = 1 }
	purpose && /vmalloc error: size|kmem_cache_create.*failed with error/ { told = 1 }
	told { told = !/<\/TASK>/; next }
	$0 ~ splat { left = 40 }
	left > 0 && name { print >(result name ".splat"); left-- }
	left > 0 && !name { print; left-- }' "$1" >"$tmp/boot.splat"
}

test_boot_splat()
{
	[ -s "$tmp/boot.splat" ] || return 0
	sed 's/^/      kernel | /' "$tmp/boot.splat"
	test_broken "test VM" "its kernel complained before the tests"
}
