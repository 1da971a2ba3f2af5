// SPDX-License-Identifier: GPL-2.0
/* What the two check.c log, and which of their rules have been broken. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_RULES	512

char check_broken[4096];
char check_text[16384];

/* The section "rules": strings with zeros between, as the compiler aligned them. */
extern const char __start_rules[], __stop_rules[];

static const char *broken_ever[MAX_RULES];
static unsigned int nr_broken_ever;

static bool ever_broken(const char *rule)
{
	unsigned int i;

	for (i = 0; i < nr_broken_ever; i++)
		if (broken_ever[i] == rule)
			return true;
	return false;
}

static void note(const char *subject, const char *rule)
{
	if (!ever_broken(rule) && nr_broken_ever < MAX_RULES)
		broken_ever[nr_broken_ever++] = rule;
	if (*subject) {
		strcat(check_broken, subject);
		strcat(check_broken, ": ");
	}
	strcat(check_broken, rule);
	strcat(check_broken, "\n");
}

/* A rule's line has the manual's volume in its format, and the rule last. */
void check_log(const char *format, ...)
{
	size_t used = strlen(check_text);
	const char *subject = "";
	va_list args;

	va_start(args, format);
	vsnprintf(check_text + used, sizeof(check_text) - used, format, args);
	va_end(args);

	va_start(args, format);
	if (strstr(format, "SDM 3C")) {
		va_arg(args, const char *);		/* section */
		subject = va_arg(args, const char *);
		va_arg(args, const char *);		/* ": " */
		note(subject, va_arg(args, const char *));
	} else if (strstr(format, "APM 2")) {
		note(subject, va_arg(args, const char *));
	}
	va_end(args);
}

void check_clear(void)
{
	check_broken[0] = check_text[0] = '\0';
}

static const char *next_rule(const char *rule)
{
	while (rule < __stop_rules && !*rule)
		rule++;
	return rule < __stop_rules ? rule : NULL;
}

const char *check_unbroken(void)
{
	const char *rule;

	for (rule = next_rule(__start_rules); rule; rule = next_rule(rule + strlen(rule)))
		if (!ever_broken(rule))
			return rule;
	return NULL;
}

unsigned int check_count(void)
{
	unsigned int count = 0;
	const char *rule;

	for (rule = next_rule(__start_rules); rule; rule = next_rule(rule + strlen(rule)))
		count++;
	return count;
}

/* As SDM 3A "IA32_PAT MSR" has it: 2, 3 and all from 8 on are reserved. */
bool mtrr_pat_valid(u64 pat)
{
	unsigned int i;

	for (i = 0; i < 8; i++, pat >>= 8)
		if ((pat & 0xff) == 2 || (pat & 0xff) == 3 || (pat & 0xff) > 7)
			return false;
	return true;
}
