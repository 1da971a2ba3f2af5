# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The test VM in Bochs: a CPU with VT-x, or one with AMD-V.  It boots a CD by
# GRUB, its disks are ATA disks, and its clock counts instructions.  The job's
# input comes by the first serial port, its output by the parallel ports: see
# vm/ports.c.
#
# What the kernel has to be told:
#   tsc_early_khz      one tick is an instruction, at "ips" of them a second; the
#                      CPU's own leaf 0x15 claims more
#   clearcpuid         the size that CPUID gives for XSAVEC's format is wrong
#   retbleed=off       there is no cure that this CPU could apply, nor a need
#   loglevel=6         the serial port takes its time; init asks for all again
#   cryptomgr.notests  so does a kernel that tests its ciphers
#   hpet=disable       the PIT shall have its interrupt: vm/modules/heartbeat.c

declare -A bochs_models=([intel]=corei7_skylake_x [amd-bochs]=trinity_apu)
bochs_cmdline='tsc_early_khz=100000 clearcpuid=xsavec,xsaves retbleed=off loglevel=6 cryptomgr.notests hpet=disable'
bochs_places=(ata0-slave ata1-master ata1-slave)

vm_bochs()
{
	bochs_cd
	"bochs_$1"
}

bochs_cd()
{
	local root=$tmp/cd

	rm -rf "$root"
	mkdir -p "$root/boot/grub"
	cp -l "$image"/{system,guest,project}.cpio "$tmp/job.cpio" "$root/boot/"
	cp -l "$kroot/boot/vmlinuz-$kver" "$root/boot/vmlinuz"
	cat >"$root/boot/grub/grub.cfg" <<-END
	set timeout=0
	terminal_output console
	linux /boot/vmlinuz $vm_cmdline $bochs_cmdline
	initrd /boot/system.cpio /boot/guest.cpio /boot/project.cpio /boot/job.cpio
	boot
	END
	logged cd.log grub-mkrescue -o "$tmp/cd.iso" "$root"
}

# bochs_config: on standard output; more lines of it are the arguments.
bochs_config()
{
	local place=0 name mode file

	cat <<-END
	cpu: model=${bochs_models[$vm_cpu]}, count=$vm_cpus, quantum=32, ips=100000000, reset_on_triple_fault=0
	memory: guest=$vm_memory, host=$vm_memory
	romimage: file=/usr/share/bochs/BIOS-bochs-latest
	vgaromimage: file=/usr/share/vgabios/vgabios.bin
	boot: cdrom
	ata0-master: type=cdrom, path=$tmp/cd.iso, status=inserted
	com2: enabled=1, mode=file, dev=$tmp/kernel.log
	log: $tmp/bochs.log
	panic: action=fatal$(bochs_forgiven)
	error: action=ignore
	info: action=ignore
	display_library: rfb, options="timeout=0"
	config_interface: textconfig
	speaker: enabled=0
	sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
	clock: sync=none
	END
	printf '%s\n' "$@"
	echo "ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15"
	while read -r name mode file; do
		[ -n "$name" ] || continue	# no disk at all gives one empty line
		bochs_disk "${bochs_places[place++]}" "$name" "$mode" "$file"
	done < <(printf '%s\n' "${vm_disks[@]}")
}

# bochs_forgiven: panics that do not end Bochs.  With AMD-V it has one for each
# triple fault of a guest, and only then finds that this is a #VMEXIT.
bochs_forgiven()
{
	[ "$vm_cpu" = intel ] || seq -f ', cpu%g=report' -s '' 0 $((vm_cpus - 1))
}

# bochs_disk PLACE NAME MODE FILE: by a name of our own, for Bochs puts a lock
# beside it, and has no way to write a comma in one.
bochs_disk()
{
	local mode=flat

	[ "$3" = keep ] || mode="volatile, journal=$tmp/$2.journal"
	ln -sf "$4" "$tmp/$2.disk"
	rm -f "$tmp/$2.disk.lock"	# of a Bochs that was killed
	echo "$1: type=disk, path=$tmp/$2.disk, mode=$mode, model=$2"
}

# bochs_emulate LINE...: with these lines more in its configuration.  Debian's
# Bochs has its debugger built in, which wants to be told to go on, at first and
# whenever a guest on AMD-V has a triple fault.  When it is the host that has one,
# it has no end, but the input has, and Bochs ends with it.
bochs_emulate()
{
	local status=0

	bochs_config "$@" >"$tmp/bochsrc"
	vm_emulate bochs-bin -q -f "$tmp/bochsrc" \
		< <(yes c 2>/dev/null | head -n 500) >"$tmp/bochs.out" 2>&1 || status=$?
	# Power-off is a panic, too, and the last.
	tail -n 1 "$tmp/bochs.log" | grep -a PANIC | grep -v 'soft power off' >&2 || :
	return $status
}

bochs_terminal()
{
	bochs_emulate "com1: enabled=1, mode=term, dev=/dev/tty"
}

bochs_ports()
{
	local status=0 feeder

	mkfifo "$tmp/in"
	perl "$lab/feed.pl" "$tmp/kernel.log" "$tmp/in" <&0 &
	feeder=$!
	vm_streams bochs_with_streams || status=$?
	kill $feeder 2>/dev/null || :
	rm "$tmp/in"
	return $status
}

bochs_with_streams()
{
	bochs_emulate "com1: enabled=1, mode=term, dev=$tmp/in" \
		"parport1: enabled=1, file=$1" "parport2: enabled=1, file=$2"
}
