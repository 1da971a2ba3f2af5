// SPDX-License-Identifier: GPL-2.0
/* ACPI 6.4, "ACPI Register Model", "PM1 Control Registers", "Power Management Timer". */
#include <string.h>
#include <time.h>

#include "power.h"

enum {
	PM1_STATUS = 0,
	PM1_ENABLE = 2,
	PM1_CONTROL = POWER_PM1_CONTROL - POWER_PORT,
	PM_TIMER = POWER_PM_TIMER - POWER_PORT,

	SCI_EN = 1 << 0,
	SLP_TYP_SHIFT = 10, SLP_TYP_MASK = 7,
	SLP_EN = 1 << 13,

	PM_TIMER_HZ = 3579545,
	PM_TIMER_MASK = 0xffffff,	/* 24 bits wide, the FADT says */

	KEYBOARD_PORT = 0x64,
	KEYBOARD_RESET = 0xfe,		/* command: pulse the reset line */
};

static u32 pm_timer(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec * (u64)PM_TIMER_HZ + t.tv_nsec * (u64)PM_TIMER_HZ / 1000000000) &
	       PM_TIMER_MASK;
}

static u64 power_read(void *dev, u64 offset, unsigned int len)
{
	struct power *power = dev;
	u8 image[POWER_PORTS] = { 0 };
	u16 control = SCI_EN;		/* there is no SMI that could take it away */
	u32 timer = pm_timer();
	u64 value = 0;

	memcpy(image + PM1_ENABLE, &power->enable, sizeof(power->enable));
	memcpy(image + PM1_CONTROL, &control, sizeof(control));
	memcpy(image + PM_TIMER, &timer, sizeof(timer));
	memcpy(&value, image + offset, len);
	return value;
}

static void power_write(void *dev, u64 offset, unsigned int len __attribute__((unused)),
			u64 value)
{
	struct power *power = dev;

	if (offset == PM1_ENABLE)
		power->enable = value;
	if (offset == PM1_CONTROL && (value & SLP_EN) &&
	    (value >> SLP_TYP_SHIFT & SLP_TYP_MASK) == POWER_SLEEP_S5)
		power->off(power->arg);
}

static u64 keyboard_read(void *dev __attribute__((unused)), u64 offset __attribute__((unused)),
			 unsigned int len __attribute__((unused)))
{
	return 0;	/* status: ready for a command */
}

static void keyboard_write(void *dev, u64 offset __attribute__((unused)),
			   unsigned int len __attribute__((unused)), u64 value)
{
	struct power *power = dev;

	if (value == KEYBOARD_RESET)
		power->reset(power->arg);
}

static const struct bus_ops power_ops = { power_read, power_write };
static const struct bus_ops keyboard_ops = { keyboard_read, keyboard_write };

/**
 * power_init() - the registers by which the guest ends or begins anew.
 * @power: to be filled.
 * @pio: where they go.
 * @off: called at soft-off.
 * @reset: called at reset.
 * @arg: argument of both.
 */
void power_init(struct power *power, struct bus *pio, void (*off)(void *arg),
		void (*reset)(void *arg), void *arg)
{
	memset(power, 0, sizeof(*power));
	power->off = off;
	power->reset = reset;
	power->arg = arg;
	power->pm = (struct bus_region){
		.ops = &power_ops, .dev = power, .size = POWER_PORTS, .width = 4,
	};
	power->keyboard = (struct bus_region){
		.ops = &keyboard_ops, .dev = power, .size = 1, .width = 1,
	};
	bus_map(pio, &power->pm, POWER_PORT);
	bus_map(pio, &power->keyboard, KEYBOARD_PORT);
}
