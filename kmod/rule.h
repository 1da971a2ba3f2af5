/* SPDX-License-Identifier: GPL-2.0 */
/* Rules of the manual that an entry must keep, one a line: vmx/check.c, svm/check.c. */
#ifndef VITRO_RULE_H
#define VITRO_RULE_H

#ifndef RULE_PLACE
#define RULE_PLACE		/* the unit tests gather all rules */
#endif

/* The rule @must is broken unless @kept; rule_broken() is the file's own. */
#define RULE(kept, must)							\
	do {									\
		static const char rule_[] RULE_PLACE = must;			\
		if (!(kept))							\
			rule_broken(c, rule_);					\
	} while (0)

#define IS_PHYSICAL(address)	(!((address) >> c->caps->maxphyaddr))

#endif /* VITRO_RULE_H */
