// SPDX-License-Identifier: GPL-2.0
/* The UART against the PC16550D's data sheet, and that it loses no byte. */
#include <linux/serial_reg.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "serial.h"

FIXTURE(uart) {
	struct serial serial;
	struct bus bus;
	/* the world outside */
	char input[64];
	unsigned int input_len;
	char output[64];
	unsigned int output_len;
	unsigned int room;		/* bytes of output that are taken */
	bool line;
	unsigned int edges;
};

static unsigned int host_read(void *host, u8 *buf, unsigned int len)
{
	FIXTURE_DATA(uart) *self = host;
	unsigned int n = self->input_len < len ? self->input_len : len;

	memcpy(buf, self->input, n);
	self->input_len -= n;
	memmove(self->input, self->input + n, self->input_len);
	return n;
}

static void host_unread(void *host, const u8 *buf, unsigned int len)
{
	FIXTURE_DATA(uart) *self = host;

	memmove(self->input + len, self->input, self->input_len);
	memcpy(self->input, buf, len);
	self->input_len += len;
}

static unsigned int host_write(void *host, const u8 *buf, unsigned int len)
{
	FIXTURE_DATA(uart) *self = host;
	unsigned int n = self->room < len ? self->room : len;

	memcpy(self->output + self->output_len, buf, n);
	self->output_len += n;
	self->room -= n;
	return n;
}

static void host_irq(void *host, bool level)
{
	FIXTURE_DATA(uart) *self = host;

	self->line = level;
	self->edges += level;
}

static const struct serial_host host = { host_read, host_unread, host_write, host_irq };

FIXTURE_SETUP(uart)
{
	self->room = sizeof(self->output);
	bus_init(&self->bus);
	serial_init(&self->serial, &host, self);
	bus_map(&self->bus, &self->serial.region, SERIAL_PORT);
}

FIXTURE_TEARDOWN(uart)
{
}

static u8 in(FIXTURE_DATA(uart) *self, unsigned int reg)
{
	u8 value;

	bus_access(&self->bus, SERIAL_PORT + reg, &value, 1, false);
	return value;
}

static void out(FIXTURE_DATA(uart) *self, unsigned int reg, u8 value)
{
	bus_access(&self->bus, SERIAL_PORT + reg, &value, 1, true);
}

static void type(FIXTURE_DATA(uart) *self, const char *text)
{
	memcpy(self->input + self->input_len, text, strlen(text));
	self->input_len += strlen(text);
	serial_input(&self->serial);
}

/* As a driver leaves it: FIFO with a trigger level of 8, interrupts connected. */
static void start_driver(FIXTURE_DATA(uart) *self, u8 ier)
{
	out(self, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	out(self, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	out(self, UART_IER, ier);
}

TEST_F(uart, after_reset_the_transmitter_is_empty_and_no_interrupt_pends)
{
	ASSERT_EQ(UART_LSR_THRE | UART_LSR_TEMT, in(self, UART_LSR));
	ASSERT_EQ(UART_IIR_NO_INT, in(self, UART_IIR));
	ASSERT_EQ(0, in(self, UART_IER));
	ASSERT_EQ(0, in(self, UART_MCR));
	ASSERT_FALSE(self->line);
}

TEST_F(uart, the_divisor_latch_hides_data_and_ier)
{
	out(self, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(self, UART_DLL, 12);
	out(self, UART_DLM, 34);
	ASSERT_EQ(12, in(self, UART_DLL));
	ASSERT_EQ(34, in(self, UART_DLM));
	out(self, UART_LCR, UART_LCR_WLEN8);
	ASSERT_EQ(0, in(self, UART_IER));
	ASSERT_EQ(0, self->output_len);
}

TEST_F(uart, scratch_keeps_what_is_written)
{
	out(self, UART_SCR, 0x5a);
	ASSERT_EQ(0x5a, in(self, UART_SCR));
}

TEST_F(uart, bits_that_do_not_exist_read_zero)
{
	out(self, UART_IER, 0xff);
	ASSERT_EQ(0x0f, in(self, UART_IER));
	out(self, UART_MCR, 0xff);
	ASSERT_EQ(0x1f, in(self, UART_MCR));
}

TEST_F(uart, iir_tells_a_fifo_only_when_it_is_on)
{
	out(self, UART_FCR, UART_FCR_ENABLE_FIFO);
	ASSERT_EQ(0xc0 | UART_IIR_NO_INT, in(self, UART_IIR));
	out(self, UART_FCR, 0);
	ASSERT_EQ(UART_IIR_NO_INT, in(self, UART_IIR));
}

TEST_F(uart, a_byte_written_goes_out)
{
	out(self, UART_TX, 'v');
	ASSERT_EQ(1, self->output_len);
	ASSERT_EQ('v', self->output[0]);
}

TEST_F(uart, enabling_the_empty_transmitters_interrupt_makes_one)
{
	start_driver(self, UART_IER_THRI);
	ASSERT_TRUE(self->line);
	ASSERT_EQ(0xc0 | UART_IIR_THRI, in(self, UART_IIR));
}

TEST_F(uart, reading_iir_clears_the_transmitters_interrupt)
{
	start_driver(self, UART_IER_THRI);
	in(self, UART_IIR);
	ASSERT_FALSE(self->line);
	ASSERT_EQ(0xc0 | UART_IIR_NO_INT, in(self, UART_IIR));
}

TEST_F(uart, a_byte_sent_makes_the_transmitters_interrupt_again)
{
	start_driver(self, UART_IER_THRI);
	in(self, UART_IIR);
	out(self, UART_TX, 'x');
	ASSERT_TRUE(self->line);
	ASSERT_EQ(0xc0 | UART_IIR_THRI, in(self, UART_IIR));
}

TEST_F(uart, blocked_output_holds_thre_down_and_its_interrupt_back)
{
	start_driver(self, UART_IER_THRI);
	in(self, UART_IIR);
	self->room = 0;
	out(self, UART_TX, 'x');
	ASSERT_EQ(0, in(self, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT));
	ASSERT_FALSE(self->line);
	self->room = 8;
	serial_output(&self->serial);
	ASSERT_EQ('x', self->output[0]);
	ASSERT_EQ(UART_LSR_THRE | UART_LSR_TEMT, in(self, UART_LSR));
	ASSERT_TRUE(self->line);
}

TEST_F(uart, output_goes_out_in_order_by_whatever_pieces)
{
	self->room = 0;
	for (unsigned int i = 0; i < SERIAL_FIFO; i++)
		out(self, UART_TX, 'a' + i);
	while (self->output_len < SERIAL_FIFO) {
		self->room = 3;
		serial_output(&self->serial);
	}
	ASSERT_EQ(0, memcmp("abcdefghijklmnop", self->output, SERIAL_FIFO));
}

static void *write_one_more(void *arg)
{
	out(arg, UART_TX, '!');
	return NULL;
}

TEST_F(uart, a_vcpu_waits_rather_than_lose_a_byte)
{
	pthread_t thread;

	self->room = 0;
	for (unsigned int i = 0; i < SERIAL_FIFO; i++)
		out(self, UART_TX, 'a' + i);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_one_more, self));
	usleep(20000);
	self->room = 32;
	serial_output(&self->serial);
	pthread_join(thread, NULL);
	ASSERT_EQ(SERIAL_FIFO + 1, self->output_len);
	ASSERT_EQ('!', self->output[SERIAL_FIFO]);
}

TEST_F(uart, a_vcpu_that_waits_is_let_go_at_the_end)
{
	pthread_t thread;

	self->room = 0;
	for (unsigned int i = 0; i < SERIAL_FIFO; i++)
		out(self, UART_TX, 'a' + i);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_one_more, self));
	usleep(20000);
	serial_close(&self->serial);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_F(uart, clearing_the_transmit_fifo_takes_no_byte_back)
{
	out(self, UART_FCR, UART_FCR_ENABLE_FIFO);
	self->room = 0;
	out(self, UART_TX, 'x');
	out(self, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
	self->room = 8;
	serial_output(&self->serial);
	ASSERT_EQ('x', self->output[0]);
}

TEST_F(uart, input_waits_outside_until_the_guest_listens)
{
	type(self, "hi");
	ASSERT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
	start_driver(self, UART_IER_RDI);
	ASSERT_TRUE(self->line);
	ASSERT_EQ('h', in(self, UART_RX));
	ASSERT_EQ('i', in(self, UART_RX));
	ASSERT_FALSE(self->line);
}

TEST_F(uart, below_the_trigger_level_the_interrupt_is_a_time_out)
{
	start_driver(self, UART_IER_RDI);
	type(self, "1234567");
	ASSERT_EQ(0xc0 | UART_IIR_RX_TIMEOUT, in(self, UART_IIR));
}

TEST_F(uart, at_the_trigger_level_the_interrupt_is_received_data)
{
	start_driver(self, UART_IER_RDI);
	type(self, "12345678");
	ASSERT_EQ(0xc0 | UART_IIR_RDI, in(self, UART_IIR));
}

TEST_F(uart, without_fifo_every_byte_is_received_data)
{
	out(self, UART_IER, UART_IER_RDI);
	type(self, "12");
	ASSERT_EQ(UART_IIR_RDI, in(self, UART_IIR));
	ASSERT_EQ('1', in(self, UART_RX));
	ASSERT_EQ('2', in(self, UART_RX));
}

TEST_F(uart, received_data_goes_before_the_empty_transmitter)
{
	start_driver(self, UART_IER_RDI | UART_IER_THRI);
	type(self, "x");
	ASSERT_EQ(0xc0 | UART_IIR_RX_TIMEOUT, in(self, UART_IIR));
	in(self, UART_RX);
	ASSERT_EQ(0xc0 | UART_IIR_THRI, in(self, UART_IIR));
}

TEST_F(uart, more_input_than_the_fifo_holds_comes_in_order)
{
	static const char text[] = "the quick brown fox jumps over it";

	start_driver(self, UART_IER_RDI);
	type(self, text);
	for (unsigned int i = 0; text[i]; i++) {
		ASSERT_TRUE(in(self, UART_LSR) & UART_LSR_DR);
		ASSERT_EQ(text[i], in(self, UART_RX));
	}
	ASSERT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
}

TEST_F(uart, turning_the_fifo_on_loses_no_input)
{
	out(self, UART_IER, UART_IER_RDI);
	type(self, "abc");
	start_driver(self, UART_IER_RDI);
	ASSERT_EQ('a', in(self, UART_RX));
	ASSERT_EQ('b', in(self, UART_RX));
	ASSERT_EQ('c', in(self, UART_RX));
}

TEST_F(uart, a_driver_that_stops_leaves_unread_input_to_the_next)
{
	start_driver(self, UART_IER_RDI);
	type(self, "abc");
	ASSERT_EQ('a', in(self, UART_RX));
	out(self, UART_IER, 0);
	out(self, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	in(self, UART_RX);
	start_driver(self, UART_IER_RDI);
	ASSERT_EQ('b', in(self, UART_RX));
	ASSERT_EQ('c', in(self, UART_RX));
}

TEST_F(uart, the_machines_reset_keeps_unread_input)
{
	start_driver(self, UART_IER_RDI);
	type(self, "abc");
	serial_reset(&self->serial);
	ASSERT_FALSE(self->line);
	start_driver(self, UART_IER_RDI);
	ASSERT_EQ('a', in(self, UART_RX));
}

TEST_F(uart, a_guest_that_polls_for_input_gets_it)
{
	unsigned int polls = 0;

	type(self, "k");
	while (!(in(self, UART_LSR) & UART_LSR_DR) && polls < 100)
		polls++;
	ASSERT_GT(100, polls);
	ASSERT_EQ('k', in(self, UART_RX));
}

TEST_F(uart, a_guest_that_polls_for_room_gets_no_input)
{
	type(self, "k");
	for (unsigned int i = 0; i < 50; i++) {
		ASSERT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
		out(self, UART_TX, 'x');
	}
}

TEST_F(uart, without_out2_the_interrupt_is_not_connected)
{
	out(self, UART_IER, UART_IER_THRI);
	ASSERT_FALSE(self->line);
	ASSERT_EQ(UART_IIR_THRI, in(self, UART_IIR));
	out(self, UART_IER, 0);
	out(self, UART_IER, UART_IER_THRI);
	out(self, UART_MCR, UART_MCR_OUT2);
	ASSERT_TRUE(self->line);
}

TEST_F(uart, a_line_that_stays_up_is_driven_once)
{
	start_driver(self, UART_IER_THRI);
	for (unsigned int i = 0; i < SERIAL_FIFO; i++)
		out(self, UART_TX, 'x');
	ASSERT_EQ(1, self->edges);
}

TEST_F(uart, loopback_feeds_the_receiver_and_nothing_goes_out)
{
	out(self, UART_MCR, UART_MCR_LOOP);
	out(self, UART_TX, 'L');
	ASSERT_EQ(0, self->output_len);
	ASSERT_TRUE(in(self, UART_LSR) & UART_LSR_DR);
	ASSERT_EQ('L', in(self, UART_RX));
}

TEST_F(uart, loopback_ties_the_modems_lines_together)
{
	static const u8 pairs[][2] = {
		{ UART_MCR_RTS, UART_MSR_CTS }, { UART_MCR_DTR, UART_MSR_DSR },
		{ UART_MCR_OUT1, UART_MSR_RI }, { UART_MCR_OUT2, UART_MSR_DCD },
	};

	for (unsigned int i = 0; i < 4; i++) {
		out(self, UART_MCR, UART_MCR_LOOP | pairs[i][0]);
		ASSERT_EQ(pairs[i][1], in(self, UART_MSR) & 0xf0);
	}
}

TEST_F(uart, a_byte_too_many_in_loopback_is_an_overrun)
{
	out(self, UART_MCR, UART_MCR_LOOP);
	out(self, UART_IER, UART_IER_RLSI);
	out(self, UART_TX, '1');
	out(self, UART_TX, '2');
	ASSERT_EQ(UART_IIR_RLSI, in(self, UART_IIR));
	ASSERT_TRUE(in(self, UART_LSR) & UART_LSR_OE);
	ASSERT_FALSE(in(self, UART_LSR) & UART_LSR_OE);
	ASSERT_EQ('1', in(self, UART_RX));
}

TEST_F(uart, a_change_of_modem_lines_is_told_once)
{
	out(self, UART_MCR, UART_MCR_LOOP);
	in(self, UART_MSR);
	out(self, UART_IER, UART_IER_MSI);
	out(self, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	ASSERT_EQ(UART_IIR_MSI, in(self, UART_IIR));
	ASSERT_EQ(UART_MSR_CTS | UART_MSR_DCTS, in(self, UART_MSR));
	ASSERT_EQ(UART_MSR_CTS, in(self, UART_MSR));
	ASSERT_EQ(UART_IIR_NO_INT, in(self, UART_IIR));
}

TEST_HARNESS_MAIN
