/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of `vitro run`. */
#ifndef VITRO_RUN_H
#define VITRO_RUN_H

#include "machine.h"

void run_parse(struct machine_config *config, int argc, char **argv);
int run_main(int argc, char **argv);

#endif /* VITRO_RUN_H */
