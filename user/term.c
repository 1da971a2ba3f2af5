// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "term.h"
#include "util.h"

static struct termios cooked;
static volatile sig_atomic_t raw;

/* Signals by which a process falls over without passing through exit(). */
static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGXCPU };

static void term_crash(int sig)
{
	term_restore();
	/* SA_RESETHAND: the second time it kills, with its core and status. */
	raise(sig);
}

/**
 * term_raw() - give every key to the guest, if standard input is a terminal.
 *
 * Undone by term_restore(), which exit() and crashes call too.
 */
void term_raw(void)
{
	static bool prepared;
	struct sigaction crash = { .sa_handler = term_crash, .sa_flags = SA_RESETHAND };
	struct termios t;

	if (raw || tcgetattr(STDIN_FILENO, &t) < 0)
		return;
	cooked = t;
	if (!prepared) {
		atexit(term_restore);
		for (unsigned int i = 0; i < ARRAY_SIZE(crash_signals); i++)
			sigaction(crash_signals[i], &crash, NULL);
		prepared = true;
	}
	raw = 1;
	cfmakeraw(&t);
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

/**
 * term_restore() - put the terminal back as it was found.
 *
 * Safe in signal handlers, from every thread, and more than once.
 */
void term_restore(void)
{
	if (!raw)
		return;
	raw = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

/**
 * term_is_raw() - does a line on the terminal need its own carriage return?
 */
bool term_is_raw(void)
{
	return raw;
}
