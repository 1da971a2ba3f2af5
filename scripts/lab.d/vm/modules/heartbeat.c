// SPDX-License-Identifier: GPL-2.0
/*
 * An NMI every few milliseconds, for a test VM whose CPU forgets interrupts.
 *
 * Bochs 2.7 enters an AMD-V guest in the wrong order: VMRUN loads RFLAGS before
 * it knows that a guest runs, so a guest that starts with IF = 0 masks the host's
 * interrupts as well, which must end it (APM 2 "Physical Interrupts").  A guest
 * that never sets IF then runs for ever.  With VT-x, too, guests were seen that
 * nothing interrupted.  An NMI ends them nevertheless, and behind it come the
 * interrupts that had to wait.
 *
 * The timer is the PIT, which Linux has no more use for once it runs: its pin of
 * the I/O APIC is set to NMI.
 */
#include <linux/i8253.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/timex.h>
#include <asm/apicdef.h>
#include <asm/nmi.h>

enum { IOAPIC_SELECT = 0x00, IOAPIC_WINDOW = 0x10, IOAPIC_SIZE = 0x20 };
enum { IOAPIC_PIT_ENTRY = 0x10 + 2 * 2 /* pin 2 */ };
enum { PIT_RATE_GENERATOR = 0x34 /* channel 0, both bytes, mode 2 */ };
enum { HEARTBEAT_HZ = 100, HEARTBEAT_LATCH = PIT_TICK_RATE / HEARTBEAT_HZ };

static int heartbeat_nmi(unsigned int type, struct pt_regs *regs)
{
	return NMI_HANDLED;
}

static void heartbeat_route(void __iomem *ioapic)
{
	writel(IOAPIC_PIT_ENTRY + 1, ioapic + IOAPIC_SELECT);
	writel(0xffU << 24, ioapic + IOAPIC_WINDOW);	/* to all CPUs */
	writel(IOAPIC_PIT_ENTRY, ioapic + IOAPIC_SELECT);
	writel(APIC_DELIVERY_MODE_NMI << 8, ioapic + IOAPIC_WINDOW);
}

static int __init heartbeat_init(void)
{
	void __iomem *ioapic = ioremap(IO_APIC_DEFAULT_PHYS_BASE, IOAPIC_SIZE);
	unsigned long flags;
	int ret;

	if (!ioapic)
		return -ENOMEM;
	ret = register_nmi_handler(NMI_LOCAL, heartbeat_nmi, 0, "heartbeat");
	if (!ret) {
		heartbeat_route(ioapic);
		raw_spin_lock_irqsave(&i8253_lock, flags);
		outb(PIT_RATE_GENERATOR, PIT_MODE);
		outb(HEARTBEAT_LATCH & 0xff, PIT_CH0);
		outb(HEARTBEAT_LATCH >> 8, PIT_CH0);
		raw_spin_unlock_irqrestore(&i8253_lock, flags);
	}
	iounmap(ioapic);
	return ret;
}
module_init(heartbeat_init);

MODULE_DESCRIPTION("NMIs for a CPU that forgets the host's interrupts");
MODULE_LICENSE("GPL");
