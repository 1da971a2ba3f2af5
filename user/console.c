// SPDX-License-Identifier: GPL-2.0
/*
 * Input from a pipe or a file is read only when the guest wants more, so what
 * it has not taken stays where it was.  A terminal is read at once, for the
 * user must be able to leave a guest that listens no more: there, Ctrl-A
 * begins a command to vitro.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console.h"

enum {
	CTRL_A = 1,
	INPUT_MAX = 256,	/* bytes read ahead, beside those that come back */
};

static const char console_help[] =
	"\r\n"
	"Ctrl-A x       quit\r\n"
	"Ctrl-A h       this help\r\n"
	"Ctrl-A Ctrl-A  send one Ctrl-A to the guest (Ctrl-A a, too)\r\n";

/* Have the loop read input; under c->lock. */
static void console_arm(struct console *c)
{
	if (c->eof || c->in_armed)
		return;
	c->in_armed = true;
	if (c->in_ready)
		event_signal(c->in.fd);
	else
		loop_change(c->loop, &c->in, EPOLLIN | EPOLLONESHOT);
}

static void console_store(struct console *c, u8 byte)
{
	/* Only a person can come so far: a pipe is not read faster. */
	if (c->len >= INPUT_MAX)
		return;
	c->buf[(c->first + c->len++) % sizeof(c->buf)] = byte;
}

/* A key after Ctrl-A. */
static void console_command(struct console *c, u8 key)
{
	switch (key) {
	case 'x':
		c->quit(c->quit_arg);
		break;
	case 'a':
	case CTRL_A:
		console_store(c, CTRL_A);
		break;
	case 'h':
	case '?':
		fputs(console_help, stderr);
		break;
	}
}

static void console_key(struct console *c, u8 key)
{
	if (c->prefix) {
		c->prefix = false;
		console_command(c, key);
	} else if (c->tty && key == CTRL_A) {
		c->prefix = true;
	} else {
		console_store(c, key);
	}
}

/* The loop says that there is input. */
static void console_readable(struct loop_watch *watch, u32 events __attribute__((unused)))
{
	struct console *c = container_of(watch, struct console, in);
	u8 key[INPUT_MAX];
	ssize_t n;

	if (c->in_ready)
		event_drain(c->in.fd);
	n = read(STDIN_FILENO, key, sizeof(key));
	pthread_mutex_lock(&c->lock);
	c->in_armed = false;
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		c->eof = true;
	for (ssize_t i = 0; i < n; i++)
		console_key(c, key[i]);
	if (c->tty || !c->len)
		console_arm(c);
	pthread_mutex_unlock(&c->lock);
	serial_input(&c->serial);
}

static void console_writable(struct loop_watch *watch, u32 events __attribute__((unused)))
{
	serial_output(&container_of(watch, struct console, out)->serial);
}

static unsigned int console_read(void *host, u8 *buf, unsigned int len)
{
	struct console *c = host;
	unsigned int n = 0;

	pthread_mutex_lock(&c->lock);
	while (n < len && c->len) {
		buf[n++] = c->buf[c->first];
		c->first = (c->first + 1) % sizeof(c->buf);
		c->len--;
	}
	if (!c->len)
		console_arm(c);
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void console_unread(void *host, const u8 *buf, unsigned int len)
{
	struct console *c = host;

	pthread_mutex_lock(&c->lock);
	while (len-- && c->len < sizeof(c->buf)) {
		c->first = (c->first + sizeof(c->buf) - 1) % sizeof(c->buf);
		c->buf[c->first] = buf[len];
		c->len++;
	}
	pthread_mutex_unlock(&c->lock);
}

/*
 * Write without waiting.  Standard output may be shared with other programs,
 * so it is asked by poll() rather than made non-blocking.
 */
static unsigned int console_try_write(const u8 *buf, unsigned int len)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	ssize_t n;

	if (poll(&out, 1, 0) <= 0)
		return 0;
	n = write(STDOUT_FILENO, buf, len);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("standard output: %s", strerror(errno));
	return n > 0 ? n : 0;
}

static unsigned int console_write(void *host, const u8 *buf, unsigned int len)
{
	struct console *c = host;
	unsigned int n = console_try_write(buf, len);

	if (n < len) {
		if (c->out_watched)
			loop_change(c->loop, &c->out, EPOLLOUT | EPOLLONESHOT);
		else
			loop_add(c->loop, &c->out, EPOLLOUT | EPOLLONESHOT);
		c->out_watched = true;
	}
	return n;
}

static void console_irq(void *host, bool level)
{
	struct console *c = host;

	irq_line(c->irq, IRQ_SERIAL, 0, level);
}

static const struct serial_host console_host = {
	.read = console_read,
	.unread = console_unread,
	.write = console_write,
	.irq = console_irq,
};

/**
 * console_init() - a UART on standard input and output.
 * @c: to be filled.
 * @loop: that waits for input and room.
 * @irq: router.
 * @quit: called when the user asks for the end, in the loop's thread.
 * @quit_arg: its argument.
 */
void console_init(struct console *c, struct loop *loop, struct irq_router *irq,
		  void (*quit)(void *arg), void *quit_arg)
{
	memset(c, 0, sizeof(*c));
	c->loop = loop;
	c->irq = irq;
	c->quit = quit;
	c->quit_arg = quit_arg;
	c->tty = isatty(STDIN_FILENO);
	pthread_mutex_init(&c->lock, NULL);
	c->in = (struct loop_watch){ STDIN_FILENO, console_readable };
	c->out = (struct loop_watch){ STDOUT_FILENO, console_writable };
	serial_init(&c->serial, &console_host, c);
	if (loop_add(loop, &c->in, EPOLLONESHOT) < 0) {
		c->in.fd = event_create();
		c->in_ready = true;
		loop_add(loop, &c->in, EPOLLIN);
	}
	if (c->tty)
		console_arm(c);
}

/**
 * console_flush() - wait until all output has gone out.
 * @c: console, with no vCPU running.
 */
void console_flush(struct console *c)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (c->serial.tx_len) {
		poll(&out, 1, -1);
		serial_output(&c->serial);
	}
}
