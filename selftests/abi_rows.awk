# SPDX-License-Identifier: GPL-2.0
# The tables of docs/abi.md, and the names that <linux/kvm.h> defines, as C.
#
#	awk -f abi_rows.awk docs/abi.md /usr/include/linux/kvm.h
#
# prints a line each: ABI_IOCTL(of, name, capability or 0, errno or 0),
# ABI_FOREIGN(name), ABI_CAP(name, "answer"), ABI_NO_CAP(name),
# ABI_HEADER_IOCTL(name), ABI_HEADER_CAP(name); the includer defines these.

function trim(text)
{
	gsub(/[` ]/, "", text)
	return text
}

# Every `NAME` in a sentence, as MACRO(NAME).
function list(macro,	n, i, words)
{
	n = split($0, words, "`")
	for (i = 2; i <= n; i += 2)
		print macro "(" words[i] ")"
}

FNR == NR && /^\| (system|VM|vCPU) \|/ {
	split($0, column, "|")
	of = trim(column[2]) == "system" ? "DEV" : toupper(trim(column[2]))
	cap = trim(column[4]) == "" ? "0" : trim(column[4])
	error = trim(column[5]) == "done" ? "0" : trim(column[5])
	print "ABI_IOCTL(" of ", " trim(column[3]) ", " cap ", " error ")"
}

FNR == NR && /^\| `KVM_CAP_/ {
	split($0, column, "|")
	print "ABI_CAP(" trim(column[2]) ", \"" trim(column[3]) "\")"
}

FNR == NR && /^Of .* refused as unknown:/ { list("ABI_FOREIGN") }
FNR == NR && /^Of .* answered by 0:/ { list("ABI_NO_CAP") }

# Some definitions go on in a second line.
FNR != NR && /\\$/ { begun = substr($0, 1, length($0) - 1); next }
FNR != NR && begun { $0 = begun " " $0; begun = "" }
FNR != NR && /^#define[ \t]+KVM_[A-Z0-9_]+[ \t]+_IO[WR]*\(KVMIO/ { print "ABI_HEADER_IOCTL(" $2 ")" }
FNR != NR && /^#define[ \t]+KVM_CAP_/ { print "ABI_HEADER_CAP(" $2 ")" }
