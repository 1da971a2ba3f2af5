// SPDX-License-Identifier: GPL-2.0
/*
 * The launcher on a person's terminal: raw while the guest runs, as it was
 * afterwards, whichever way it ends; and the keys that are for vitro itself.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#include "kselftest_harness.h"

#define CTRL_A "\x01"

struct terminal {
	int master;
	pid_t vitro;
	struct termios before;
	char seen[65536];
	size_t len;
};

static void run_vitro(void)
{
	execlp("vitro", "vitro", "run", "-v", "-m", "256M", "-i", getenv("GUEST_INITRD"),
	       "-a", getenv("GUEST_QUICK"), getenv("GUEST_KERNEL"), NULL);
	_exit(127);
}

/* Read what is shown until @text is; false after two minutes. */
static bool shows(struct terminal *t, const char *text)
{
	time_t end = time(NULL) + 120;

	while (time(NULL) < end) {
		struct pollfd pfd = { .fd = t->master, .events = POLLIN };
		ssize_t n;

		if (memmem(t->seen, t->len, text, strlen(text)))
			return true;
		if (poll(&pfd, 1, 100) <= 0)
			continue;
		n = read(t->master, t->seen + t->len, sizeof(t->seen) - t->len);
		if (n > 0)
			t->len += n;
	}
	return false;
}

static void press(struct terminal *t, const char *keys)
{
	if (write(t->master, keys, strlen(keys)) < 0)
		t->len = 0;
}

static int end_of(struct terminal *t)
{
	int status = -1;

	waitpid(t->vitro, &status, 0);
	t->vitro = 0;
	return status;
}

/* Is the terminal as it was before vitro? */
static bool restored(struct terminal *t)
{
	struct termios now;

	tcgetattr(t->master, &now);
	return now.c_lflag == t->before.c_lflag && now.c_iflag == t->before.c_iflag &&
	       now.c_oflag == t->before.c_oflag && now.c_cflag == t->before.c_cflag;
}

/* A terminal with vitro on it; false when the guest does not start. */
static bool start(struct terminal *t)
{
	int slave;

	if (!getenv("GUEST_KERNEL") || openpty(&t->master, &slave, NULL, NULL, NULL) < 0)
		return false;
	tcgetattr(t->master, &t->before);
	t->vitro = fork();
	if (!t->vitro) {
		login_tty(slave);
		run_vitro();
	}
	/* Ours stays open, so that the terminal outlives vitro. */
	return shows(t, "the guest starts");
}

static void stop(struct terminal *t)
{
	if (!t->vitro)
		return;
	kill(t->vitro, SIGKILL);
	end_of(t);
}

FIXTURE(terminal) {
	struct terminal t;
};

FIXTURE_SETUP(terminal)
{
	ASSERT_TRUE(start(&self->t));
}

FIXTURE_TEARDOWN(terminal)
{
	stop(&self->t);
}

TEST_F(terminal, it_is_raw_while_the_guest_runs)
{
	struct termios now;

	ASSERT_EQ(0, tcgetattr(self->t.master, &now));
	ASSERT_EQ(0, now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN));
	ASSERT_EQ(0, now.c_iflag & (ICRNL | IXON));
}

TEST_F(terminal, it_is_raw_again_when_vitro_was_stopped_and_goes_on)
{
	kill(self->t.vitro, SIGSTOP);
	ASSERT_EQ(0, tcsetattr(self->t.master, TCSANOW, &self->t.before));
	kill(self->t.vitro, SIGCONT);
	for (unsigned int i = 0; i < 100 && restored(&self->t); i++)
		usleep(100000);
	ASSERT_FALSE(restored(&self->t));
	press(&self->t, CTRL_A "x");
	ASSERT_EQ(0, end_of(&self->t));
	ASSERT_TRUE(restored(&self->t));
}

TEST_F(terminal, ctrl_a_x_quits_with_status_0)
{
	int status;

	press(&self->t, CTRL_A "x");
	status = end_of(&self->t);
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_TRUE(restored(&self->t));
}

TEST_F(terminal, ctrl_a_h_helps)
{
	press(&self->t, CTRL_A "h");
	ASSERT_TRUE(shows(&self->t, "Ctrl-A x"));
}

TEST_F_TIMEOUT(terminal, keys_go_to_the_guest_as_they_are, 150)
{
	ASSERT_TRUE(shows(&self->t, "Type poweroff"));
	press(&self->t, "sleep 1000\r");
	sleep(1);
	press(&self->t, "\x03");		/* neither ends vitro nor is lost */
	press(&self->t, "echo $((6 * 7))42\r");
	ASSERT_TRUE(shows(&self->t, "4242"));
	press(&self->t, "read -r -n 1 key; echo \"$key\" | od -An -tx1 | sed 's/^/key/'\r");
	sleep(2);
	press(&self->t, CTRL_A CTRL_A);
	ASSERT_TRUE(shows(&self->t, "key 01"));
}

/* The guest prints 14 KiB and powers off, long before anybody reads it. */
TEST_F_TIMEOUT(terminal, output_waits_for_a_slow_reader, 150)
{
	char line[16], *at;

	ASSERT_TRUE(shows(&self->t, "Type poweroff"));
	press(&self->t, "seq 1 3000; echo do''ne; poweroff\r");
	sleep(5);
	ASSERT_TRUE(shows(&self->t, "\r\ndone\r\n"));
	at = self->t.seen;
	for (unsigned int i = 1; i <= 3000; i++) {
		snprintf(line, sizeof(line), "\r\n%u\r\n", i);
		at = memmem(at, self->t.seen + self->t.len - at, line, strlen(line));
		ASSERT_NE(NULL, at)
			TH_LOG("%u is missing", i);
	}
	ASSERT_TRUE(shows(&self->t, "powered off"));
	ASSERT_EQ(0, end_of(&self->t));
	ASSERT_TRUE(restored(&self->t));
}

/* The ways out that nobody plans: vitro dies of each, and tidies up before. */
FIXTURE(killed) {
	struct terminal t;
};

FIXTURE_VARIANT(killed) {
	int signal;
};

FIXTURE_VARIANT_ADD(killed, by_sigterm) { .signal = SIGTERM };
FIXTURE_VARIANT_ADD(killed, by_sigint) { .signal = SIGINT };
FIXTURE_VARIANT_ADD(killed, by_sighup) { .signal = SIGHUP };
FIXTURE_VARIANT_ADD(killed, by_sigquit) { .signal = SIGQUIT };
FIXTURE_VARIANT_ADD(killed, by_sigsegv) { .signal = SIGSEGV };
FIXTURE_VARIANT_ADD(killed, by_sigabrt) { .signal = SIGABRT };
FIXTURE_VARIANT_ADD(killed, by_sigbus) { .signal = SIGBUS };
FIXTURE_VARIANT_ADD(killed, by_sigxcpu) { .signal = SIGXCPU };

FIXTURE_SETUP(killed)
{
	ASSERT_TRUE(start(&self->t));
}

FIXTURE_TEARDOWN(killed)
{
	stop(&self->t);
}

TEST_F(killed, the_terminal_is_restored_and_the_status_tells)
{
	int status;

	ASSERT_FALSE(restored(&self->t));
	kill(self->t.vitro, variant->signal);
	status = end_of(&self->t);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(variant->signal, WTERMSIG(status));
	ASSERT_TRUE(restored(&self->t));
}

TEST_HARNESS_MAIN
