/* SPDX-License-Identifier: GPL-2.0 */
/* Between the guest's UART and vitro's standard input and output. */
#ifndef VITRO_CONSOLE_H
#define VITRO_CONSOLE_H

#include "irq.h"
#include "loop.h"
#include "serial.h"

struct console {
	struct serial serial;
	struct irq_router *irq;
	struct loop *loop;
	void (*quit)(void *arg);	/* the user asked for the end */
	void *quit_arg;
	struct loop_watch in, out;
	bool tty;			/* input comes from a person */
	bool in_ready;			/* no waiting: a file, it is always ready */
	bool out_watched;
	bool prefix;			/* Ctrl-A came last */
	pthread_mutex_t lock;		/* of what follows; nested in serial.lock */
	bool in_armed;			/* the loop watches the input just now */
	bool eof;
	unsigned int first, len;
	u8 buf[256 + SERIAL_FIFO];	/* input that the guest has not taken */
};

void console_init(struct console *c, struct loop *loop, struct irq_router *irq,
		  void (*quit)(void *arg), void *quit_arg);
void console_flush(struct console *c);

#endif /* VITRO_CONSOLE_H */
