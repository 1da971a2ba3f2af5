# SPDX-License-Identifier: GPL-2.0
# feed.pl LOG FIFO: standard input for a job in Bochs, as vm/ports.c takes it at
# the other end of the FIFO, once LOG tells that it is there.
use strict;
use warnings;
use IO::Handle;

use constant {ESCAPE => "\x10", END_OF_INPUT => "\x04"};

my ($log, $fifo) = @ARGV;
my $data = '';

open my $kernel, '<', $log or die "$log: $!\n";
until ($data =~ /lab: input is open/) {
	select undef, undef, undef, 0.2;
	sysread $kernel, $data, 65536, length $data;
}
open my $port, '>', $fifo or die "$fifo: $!\n";
while (sysread STDIN, $data, 65536) {
	$data =~ s/${\ESCAPE}/${\ESCAPE}${\ESCAPE}/g;
	print {$port} $data;
	$port->flush;
}
print {$port} ESCAPE, END_OF_INPUT;
