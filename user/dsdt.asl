// SPDX-License-Identifier: GPL-2.0
/*
 * What the fixed tables do not say: the PCI root with its windows and
 * interrupts, the devices on the ISA side, and how to switch off.
 * Ports, addresses and interrupts stand in power.h, serial.h, rtc.h, pci.h,
 * memory.h and irq.h too.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "VITRO ", "VITROPC ", 1)
{
	// SLP_TYP of soft-off for PM1_CNT: POWER_SLEEP_S5
	Name (\_S5, Package () { 5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)

			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0cf7, 0, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0d00, 0xffff, 0, 0xf300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xc0000000, 0xfeafffff, 0, 0x3eb00000)
			})

			// Slot n's INTA goes to I/O APIC input 16 + n % 8: pci_gsi()
			Name (_PRT, Package ()
			{
				Package () { 0x0001ffff, 0, 0, 17 }, Package () { 0x0002ffff, 0, 0, 18 },
				Package () { 0x0003ffff, 0, 0, 19 }, Package () { 0x0004ffff, 0, 0, 20 },
				Package () { 0x0005ffff, 0, 0, 21 }, Package () { 0x0006ffff, 0, 0, 22 },
				Package () { 0x0007ffff, 0, 0, 23 }, Package () { 0x0008ffff, 0, 0, 16 },
				Package () { 0x0009ffff, 0, 0, 17 }, Package () { 0x000affff, 0, 0, 18 },
				Package () { 0x000bffff, 0, 0, 19 }, Package () { 0x000cffff, 0, 0, 20 },
				Package () { 0x000dffff, 0, 0, 21 }, Package () { 0x000effff, 0, 0, 22 },
				Package () { 0x000fffff, 0, 0, 23 }, Package () { 0x0010ffff, 0, 0, 16 },
				Package () { 0x0011ffff, 0, 0, 17 }, Package () { 0x0012ffff, 0, 0, 18 },
				Package () { 0x0013ffff, 0, 0, 19 }, Package () { 0x0014ffff, 0, 0, 20 },
				Package () { 0x0015ffff, 0, 0, 21 }, Package () { 0x0016ffff, 0, 0, 22 },
				Package () { 0x0017ffff, 0, 0, 23 }, Package () { 0x0018ffff, 0, 0, 16 },
				Package () { 0x0019ffff, 0, 0, 17 }, Package () { 0x001affff, 0, 0, 18 },
				Package () { 0x001bffff, 0, 0, 19 }, Package () { 0x001cffff, 0, 0, 20 },
				Package () { 0x001dffff, 0, 0, 21 }, Package () { 0x001effff, 0, 0, 22 },
				Package () { 0x001fffff, 0, 0, 23 }
			})
		}

		Device (MBRD)	// what no other device may take
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 1, 16)
				Memory32Fixed (ReadWrite, 0xfeb00000, 0x00100000)
			})
		}

		Device (RTC0)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 1, 2)
				IRQNoFlags () { 8 }
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03f8, 0x03f8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}
	}
}
