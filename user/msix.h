/* SPDX-License-Identifier: GPL-2.0 */
/* MSI-X: a table of messages in a BAR, each one an irqfd. */
#ifndef VITRO_MSIX_H
#define VITRO_MSIX_H

#include <linux/pci_regs.h>

#include "irq.h"

#define MSIX_MAX	2	/* configuration changes and one queue */
#define MSIX_TABLE_SIZE	(MSIX_MAX * PCI_MSIX_ENTRY_SIZE)

struct msix {
	struct irq_router *irq;
	unsigned int gsi;		/* of vector 0 */
	int fd[MSIX_MAX];
	/* the device's lock: */
	bool tied[MSIX_MAX];		/* fd is an irqfd of the present VM */
	bool enabled;
	bool masked;			/* the whole function */
	u32 pending;			/* the pending bit array */
	u8 table[MSIX_TABLE_SIZE];
};

void msix_init(struct msix *msix, struct irq_router *irq);
void msix_reset(struct msix *msix);
void msix_control(struct msix *msix, u16 flags);
void msix_table_write(struct msix *msix, unsigned int offset, unsigned int len, u32 value);
void msix_notify(struct msix *msix, unsigned int vector);

#endif /* VITRO_MSIX_H */
