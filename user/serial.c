// SPDX-License-Identifier: GPL-2.0
/*
 * PC16550D data sheet, "Registers" and "FIFO interrupt mode operation".
 *
 * The wire is endlessly fast: a byte written is sent at once, so THRE is down
 * only while the host's output is blocked; and received bytes below the
 * trigger level count as timed out at once.  Input comes in only while the
 * guest listens, and what it has not read goes back when it listens no more
 * or resets the FIFO: a driver that starts or stops loses none.
 */
#include <linux/serial_reg.h>
#include <string.h>

#include "serial.h"

enum {
	IER_ALL = UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI,
	MCR_ALL = UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP,
	IIR_FIFOS_ENABLED = 0xc0,
	MSR_CONNECTED = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS,
	/*
	 * A guest that reads LSR this often with nothing to send or receive
	 * waits for input without interrupts.
	 */
	IDLE_POLLS = 8,
};

static u8 serial_msr(const struct serial *s)
{
	u8 msr = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return MSR_CONNECTED | s->msr_delta;
	/* Loopback: the modem's outputs are its inputs. */
	if (s->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (s->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (s->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (s->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr | s->msr_delta;
}

static u8 serial_lsr(const struct serial *s)
{
	return (s->rx_len ? UART_LSR_DR : 0) | s->overrun |
	       (s->tx_len ? 0 : UART_LSR_THRE | UART_LSR_TEMT);
}

/* The pending interrupt of the highest priority, as IIR names it. */
static u8 serial_iir(const struct serial *s)
{
	if ((s->ier & UART_IER_RLSI) && s->overrun)
		return UART_IIR_RLSI;
	if ((s->ier & UART_IER_RDI) && s->rx_len)
		return s->rx_len >= s->trigger ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
	if ((s->ier & UART_IER_THRI) && s->thr_empty_int)
		return UART_IIR_THRI;
	if ((s->ier & UART_IER_MSI) && s->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

/* On a PC, OUT2 connects the interrupt; loopback holds the pin inactive. */
static void serial_update_irq(struct serial *s)
{
	bool connected = (s->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2;
	bool line = connected && serial_iir(s) != UART_IIR_NO_INT;

	if (line != s->line) {
		s->line = line;
		s->ops->irq(s->host, line);
	}
}

static u8 serial_depth(const struct serial *s)
{
	return s->fifo ? SERIAL_FIFO : 1;
}

/* Take input in, if the guest is ready for it. */
static void serial_pull(struct serial *s)
{
	bool listens = (s->ier & UART_IER_RDI) || s->idle_polls >= IDLE_POLLS;

	if (s->rx_len || !listens || (s->mcr & UART_MCR_LOOP))
		return;
	s->rx_first = 0;
	s->rx_looped = false;
	s->rx_len = s->ops->read(s->host, s->rx, serial_depth(s));
}

/* Empty the receiver; serial_pull() may fill it again at once. */
static void serial_clear_receiver(struct serial *s)
{
	u8 bytes[SERIAL_FIFO];

	for (unsigned int i = 0; i < s->rx_len; i++)
		bytes[i] = s->rx[(s->rx_first + i) % SERIAL_FIFO];
	if (s->rx_len && !s->rx_looped)
		s->ops->unread(s->host, bytes, s->rx_len);
	s->rx_len = 0;
}

/* Send what waits; an emptied transmitter is an interrupt. */
static void serial_drain(struct serial *s)
{
	unsigned int n;

	if (!s->tx_len)
		return;
	n = s->ops->write(s->host, s->tx, s->tx_len);
	s->tx_len -= n;
	memmove(s->tx, s->tx + n, s->tx_len);
	if (!s->tx_len)
		s->thr_empty_int = true;
	if (n)
		pthread_cond_broadcast(&s->room);
}

static void serial_loop_back(struct serial *s, u8 byte)
{
	if (s->rx_len == serial_depth(s)) {
		s->overrun = UART_LSR_OE;
	} else {
		s->rx[(s->rx_first + s->rx_len) % SERIAL_FIFO] = byte;
		s->rx_len++;
		s->rx_looped = true;
	}
	s->thr_empty_int = true;
}

static void serial_transmit(struct serial *s, u8 byte)
{
	s->thr_empty_int = false;
	if (s->mcr & UART_MCR_LOOP) {
		serial_loop_back(s, byte);
		return;
	}
	/*
	 * A driver that has waited too long for THRE writes all the same:
	 * then the vCPU waits, for no byte may be lost.
	 */
	while (s->tx_len == SERIAL_FIFO && !s->closing)
		pthread_cond_wait(&s->room, &s->lock);
	if (s->closing)
		return;
	s->tx[s->tx_len++] = byte;
	serial_drain(s);
}

static u8 serial_receive(struct serial *s)
{
	u8 byte = 0;

	if (s->rx_len) {
		byte = s->rx[s->rx_first];
		s->rx_first = (s->rx_first + 1) % SERIAL_FIFO;
		s->rx_len--;
	}
	serial_pull(s);
	return byte;
}

static void serial_write_fcr(struct serial *s, u8 value)
{
	static const u8 level[] = { 1, 4, 8, 14 };	/* of bits 7:6 */
	bool fifo = value & UART_FCR_ENABLE_FIFO;

	/*
	 * Bytes on their way out are as good as sent: clearing the transmit
	 * FIFO does not take them back.
	 */
	if (fifo != s->fifo || (value & UART_FCR_CLEAR_RCVR))
		serial_clear_receiver(s);
	if (fifo != s->fifo || (value & UART_FCR_CLEAR_XMIT))
		s->thr_empty_int = !s->tx_len;
	s->fifo = fifo;
	s->trigger = fifo ? level[(value & UART_FCR_TRIGGER_MASK) >> 6] : 1;
}

static void serial_write_ier(struct serial *s, u8 value)
{
	/* Enabling THRE's interrupt while it is empty makes one. */
	if (!(s->ier & UART_IER_THRI) && (value & UART_IER_THRI) && !s->tx_len)
		s->thr_empty_int = true;
	if ((s->ier & UART_IER_RDI) && !(value & UART_IER_RDI) && !s->rx_looped)
		serial_clear_receiver(s);
	s->ier = value & IER_ALL;
}

static void serial_write_mcr(struct serial *s, u8 value)
{
	u8 before = serial_msr(s), changed;

	if ((value & ~s->mcr) & UART_MCR_LOOP)
		serial_clear_receiver(s);
	s->mcr = value & MCR_ALL;
	changed = before ^ serial_msr(s);
	if (changed & UART_MSR_CTS)
		s->msr_delta |= UART_MSR_DCTS;
	if (changed & UART_MSR_DSR)
		s->msr_delta |= UART_MSR_DDSR;
	if (changed & before & UART_MSR_RI)	/* only as it goes away */
		s->msr_delta |= UART_MSR_TERI;
	if (changed & UART_MSR_DCD)
		s->msr_delta |= UART_MSR_DDCD;
}

static u8 serial_read_lsr(struct serial *s)
{
	u8 lsr;

	if (!s->rx_len && !s->tx_len && s->idle_polls < IDLE_POLLS)
		s->idle_polls++;
	serial_pull(s);
	lsr = serial_lsr(s);
	s->overrun = 0;
	return lsr;
}

static u8 serial_read_reg(struct serial *s, unsigned int reg)
{
	u8 value;

	switch (reg) {
	case UART_RX:
		return s->lcr & UART_LCR_DLAB ? s->dll : serial_receive(s);
	case UART_IER:
		return s->lcr & UART_LCR_DLAB ? s->dlm : s->ier;
	case UART_IIR:
		value = serial_iir(s);
		if (value == UART_IIR_THRI)
			s->thr_empty_int = false;
		return value | (s->fifo ? IIR_FIFOS_ENABLED : 0);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return serial_read_lsr(s);
	case UART_MSR:
		value = serial_msr(s);
		s->msr_delta = 0;
		return value;
	default:
		return s->scratch;
	}
}

static void serial_write_reg(struct serial *s, unsigned int reg, u8 value)
{
	switch (reg) {
	case UART_TX:
		if (s->lcr & UART_LCR_DLAB)
			s->dll = value;
		else
			serial_transmit(s, value);
		break;
	case UART_IER:
		if (s->lcr & UART_LCR_DLAB)
			s->dlm = value;
		else
			serial_write_ier(s, value);
		break;
	case UART_FCR:
		serial_write_fcr(s, value);
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		serial_write_mcr(s, value);
		break;
	case UART_SCR:
		s->scratch = value;
		break;
	}
	serial_pull(s);
}

static u64 serial_read(void *dev, u64 offset, unsigned int len __attribute__((unused)))
{
	struct serial *s = dev;
	u8 value;

	pthread_mutex_lock(&s->lock);
	if (offset != UART_LSR)
		s->idle_polls = 0;
	value = serial_read_reg(s, offset);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return value;
}

static void serial_write(void *dev, u64 offset, unsigned int len __attribute__((unused)),
			 u64 value)
{
	struct serial *s = dev;

	pthread_mutex_lock(&s->lock);
	s->idle_polls = 0;
	serial_write_reg(s, offset, value);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

static const struct bus_ops serial_bus_ops = { serial_read, serial_write };

/**
 * serial_init() - a UART after power-on.
 * @s: to be filled; s->region is ready for bus_map().
 * @ops: the world outside.
 * @host: its argument.
 */
void serial_init(struct serial *s, const struct serial_host *ops, void *host)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->room, NULL);
	s->ops = ops;
	s->host = host;
	s->region = (struct bus_region){
		.ops = &serial_bus_ops, .dev = s, .size = SERIAL_PORTS, .width = 1,
	};
	serial_reset(s);
}

/**
 * serial_reset() - the machine's reset line.
 * @s: UART.
 *
 * Bytes that were written but not yet sent stay on their way.
 */
void serial_reset(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	serial_clear_receiver(s);
	s->ier = s->lcr = s->mcr = s->scratch = s->dll = s->dlm = 0;
	s->fifo = s->thr_empty_int = s->closing = false;
	s->overrun = s->msr_delta = s->idle_polls = 0;
	s->trigger = 1;
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

/**
 * serial_input() - there is input now.
 * @s: UART.
 */
void serial_input(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	serial_pull(s);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

/**
 * serial_output() - output is taken again.
 * @s: UART.
 */
void serial_output(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	serial_drain(s);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

/**
 * serial_close() - let no vCPU wait for the output any longer.
 * @s: UART; it works again after serial_reset().
 */
void serial_close(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_broadcast(&s->room);
	pthread_mutex_unlock(&s->lock);
}
