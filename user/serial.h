/* SPDX-License-Identifier: GPL-2.0 */
/* A 16550A UART, the guest's console at 0x3f8. */
#ifndef VITRO_SERIAL_H
#define VITRO_SERIAL_H

#include "bus.h"

#define SERIAL_PORT	0x3f8
#define SERIAL_PORTS	8
#define SERIAL_FIFO	16

/* The world outside of the UART.  All are called under the UART's lock. */
struct serial_host {
	/* Up to @len bytes of input; 0: none now, serial_input() will tell. */
	unsigned int (*read)(void *host, u8 *buf, unsigned int len);
	/* Take input back that the guest has not read; it comes first next time. */
	void (*unread)(void *host, const u8 *buf, unsigned int len);
	/* Bytes of output taken; fewer than @len: serial_output() will tell. */
	unsigned int (*write)(void *host, const u8 *buf, unsigned int len);
	void (*irq)(void *host, bool level);
};

struct serial {
	pthread_mutex_t lock;		/* of all below */
	pthread_cond_t room;		/* the transmitter took bytes */
	const struct serial_host *ops;
	void *host;
	struct bus_region region;
	u8 ier, lcr, mcr, scratch, dll, dlm;
	bool fifo;
	u8 trigger;			/* received bytes that make an interrupt */
	u8 overrun;			/* UART_LSR_OE or 0 */
	u8 msr_delta;			/* the low four bits of MSR */
	bool thr_empty_int;		/* THRE's interrupt is pending */
	bool line;			/* of the interrupt, as driven last */
	bool closing;			/* nobody waits for the output any more */
	u8 idle_polls;			/* LSR reads in a row that found nothing to do */
	bool rx_looped;			/* rx holds what the guest itself sent */
	u8 rx[SERIAL_FIFO], rx_first, rx_len;
	u8 tx[SERIAL_FIFO], tx_len;
};

void serial_init(struct serial *s, const struct serial_host *ops, void *host);
void serial_reset(struct serial *s);
void serial_input(struct serial *s);
void serial_output(struct serial *s);
void serial_close(struct serial *s);

#endif /* VITRO_SERIAL_H */
