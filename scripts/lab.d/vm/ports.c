// SPDX-License-Identifier: GPL-2.0
/*
 * ports in|out|err: one of a job's three streams, in a test VM without virtio.
 *
 *   in    first serial port to standard output: ESCAPE before a byte makes it
 *         data, before END it makes it the end of all
 *   out   standard input to the first parallel port
 *   err   standard input to the second
 *
 * Bochs pulls no character for a serial port that has no FIFO and holds one yet,
 * and passes on each byte of a parallel port as it is strobed.  So polling both
 * loses nothing, and needs neither interrupts nor flow control.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/serial_reg.h>
#include <sys/io.h>

enum { COM1 = 0x3f8, LPT1 = 0x378, LPT2 = 0x278, PORTS = 8 };
/* The control register of IEEE 1284's compatibility mode. */
enum { LPT_CONTROL = 2, LPT_STROBE = 1 << 0, LPT_INIT = 1 << 2, LPT_SELECT = 1 << 3 };
enum { ESCAPE = 0x10, END = 0x04 };
enum { BUSY_US = 50, IDLE_US = 5000, BUSY_POLLS = 200 };

static void com_open(void)
{
	FILE *kmsg = fopen("/dev/kmsg", "w");

	outb(0, COM1 + UART_IER);
	outb(0, COM1 + UART_FCR);
	outb(UART_LCR_DLAB, COM1 + UART_LCR);
	outb(1, COM1 + UART_DLL);			/* 115,200 baud */
	outb(0, COM1 + UART_DLM);
	outb(UART_LCR_WLEN8, COM1 + UART_LCR);
	inb(COM1 + UART_RX);
	if (kmsg) {
		fputs("<5>lab: input is open\n", kmsg);
		fclose(kmsg);
	}
}

static unsigned char com_read(void)
{
	int polls = 0;

	while (!(inb(COM1 + UART_LSR) & UART_LSR_DR))
		usleep(polls++ < BUSY_POLLS ? BUSY_US : IDLE_US);
	return inb(COM1 + UART_RX);
}

static int stream_in(void)
{
	unsigned char byte;

	com_open();
	do {
		byte = com_read();
		if (byte == ESCAPE) {
			byte = com_read();
			if (byte == END)
				return 0;
		}
	} while (write(STDOUT_FILENO, &byte, 1) == 1);
	return 1;
}

/* SIGTERM: what is there already is all that will be. */
static void finish(int signal)
{
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
}

static int stream_out(unsigned short lpt)
{
	struct sigaction action = { .sa_handler = finish };
	unsigned char data[4096];
	ssize_t size;

	sigaction(SIGTERM, &action, NULL);
	while ((size = read(STDIN_FILENO, data, sizeof(data))) != 0) {
		if (size < 0 && errno != EINTR)
			break;
		for (ssize_t i = 0; i < size; i++) {
			outb(data[i], lpt);
			outb(LPT_SELECT | LPT_INIT | LPT_STROBE, lpt + LPT_CONTROL);
			outb(LPT_SELECT | LPT_INIT, lpt + LPT_CONTROL);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *stream = argc == 2 ? argv[1] : "";

	if (ioperm(COM1, PORTS, 1) || ioperm(LPT1, PORTS, 1) || ioperm(LPT2, PORTS, 1)) {
		perror("ports");
		return 1;
	}
	if (!strcmp(stream, "in"))
		return stream_in();
	if (!strcmp(stream, "out"))
		return stream_out(LPT1);
	if (!strcmp(stream, "err"))
		return stream_out(LPT2);
	fputs("usage: ports in|out|err\n", stderr);
	return 1;
}
