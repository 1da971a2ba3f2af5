# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What exits and VMs cost, in guest instructions, on our module and on stock
# KVM: the same programs in the same VM.  Time counts instructions there, one TSC
# tick each: in QEMU under -icount, in Bochs always.  So the figures repeat to the
# last few, and are to be compared on one machine alone.
#
# A program in selftests/bench prints lines "NAME VALUE"; selftests/bench/marks
# says for a NAME which ratio to stock KVM is the aim.

lab_bench()
{
	bench_options "$@"
	lab_prepare
	lab_lock
	build_kmod || exit 1
	build_selftests || exit 1
	lab_unlock
	lab_images
	lab_tmp
	mkdir "$tmp/job"
	cp "$lab/vm/bench" "$tmp/job/main"
	vm_cpus=1
	vm_timeout=1800
	vm_icount=yes
	bench_on stock || die "the bench failed on stock KVM"
	bench_on vitro || die "the bench failed on our module"
	bench_table
}

bench_options()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--cpu) [ $# -ge 2 ] || misuse "option $1 wants a value" ;;
		*) misuse "bench takes no option '$1'" ;;
		esac
		vm_choose "$2"
		shift 2
	done
}

# bench_on KVM: its figures in $tmp/KVM.
bench_on()
{
	vm_kvm=$1
	step "measuring $1 kvm ($vm_cpu)"
	vm_run "bench-$vm_cpu-$1" </dev/null >"$tmp/$1"
}

bench_table()
{
	awk '
	FILENAME ~ /marks$/ { if (!/^#/ && NF == 2) mark[$1] = $2; next }
	NF != 2 || $2 !~ /^[0-9]+$/ { next }
	FILENAME ~ /stock$/ { if (!($1 in stock)) order[++n] = $1; stock[$1] = $2; next }
	{ if (!($1 in stock) && !($1 in vitro)) order[++n] = $1; vitro[$1] = $2 }
	END {
		printf "%-20s %12s %12s %7s %7s\n", \
			"instructions", "stock", "vitro", "ratio", "mark"
		for (i = 1; i <= n; i++) {
			name = order[i]
			ratio = "-"
			if (stock[name] > 0 && name in vitro)
				ratio = sprintf("%.3f", vitro[name] / stock[name])
			note = ""
			if (name in mark && ratio != "-" && ratio + 0 > mark[name] + 0)
				note = "  not yet"
			printf "%-20s %12s %12s %7s %7s%s\n", name, \
				name in stock ? stock[name] : "-", \
				name in vitro ? vitro[name] : "-", ratio, \
				name in mark ? mark[name] : "-", note
		}
		if (!n)
			print "no figures came out" >"/dev/stderr"
		exit !n
	}' "$top/selftests/bench/marks" "$tmp/stock" "$tmp/vitro"
}
