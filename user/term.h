/* SPDX-License-Identifier: GPL-2.0 */
/* The user's terminal: raw while the guest runs, restored on every way out. */
#ifndef VITRO_TERM_H
#define VITRO_TERM_H

#include <stdbool.h>

void term_raw(void);
void term_restore(void);
bool term_is_raw(void);

#endif /* VITRO_TERM_H */
