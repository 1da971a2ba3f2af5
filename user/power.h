/* SPDX-License-Identifier: GPL-2.0 */
/* ACPI's fixed power registers, and the keyboard controller's reset pulse. */
#ifndef VITRO_POWER_H
#define VITRO_POWER_H

#include "bus.h"

/* Also told to the guest by FADT and DSDT. */
#define POWER_PORT		0x600
#define POWER_PM1_EVENT		(POWER_PORT + 0)	/* status, enable: 2 bytes each */
#define POWER_PM1_CONTROL	(POWER_PORT + 4)	/* 2 bytes */
#define POWER_PM_TIMER		(POWER_PORT + 8)	/* 4 bytes */
#define POWER_PORTS		16
#define POWER_SLEEP_S5		5			/* SLP_TYP of soft-off */

struct power {
	struct bus_region pm, keyboard;
	u16 enable;			/* PM1_EN; no event is ever set */
	void (*off)(void *arg);
	void (*reset)(void *arg);
	void *arg;
};

void power_init(struct power *power, struct bus *pio, void (*off)(void *arg),
		void (*reset)(void *arg), void *arg);

#endif /* VITRO_POWER_H */
