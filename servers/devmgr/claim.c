/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's object of a function, made when it is first claimed. One that
 * an earlier incarnation of devmgr made is given out again by the kernel.
 *
 * INTx: the interrupt-line register is taken as the number of the ISA
 * interrupt that firmware routed the pin to, which holds for QEMU's machines
 * (on q35 as long as the chip set's routing to the PIC stays as firmware left
 * it). Routing by AML (_PRT) is not read. MSI and MSI-X need none of this.
 */
#include "lib/c/string.h"
#include "servers/devmgr/devmgr.h"
#include "servers/devmgr/pci_reg.h"

static void describe_irq(const struct function *f, const struct acpi_info *acpi, struct x_device_create *d)
{
	d->irq_gsi = X_NO_HANDLE;
	if (!f->irq_pin || f->irq_pin > 4 || !f->irq_line || f->irq_line == 0xff)
		return;
	d->irq_gsi = f->irq_line;
	d->irq_flags = X_IRQ_LEVEL | X_IRQ_ACTIVE_LOW;
	if (f->irq_line < 16 && acpi->isa[f->irq_line].set) {
		d->irq_gsi = acpi->isa[f->irq_line].gsi;
		d->irq_flags = acpi->isa[f->irq_line].flags;
	}
}

/* The Intel 82574L gets MSI instead: when MSI-X is switched off (the death of a
 * driver) while an interrupt is held back, QEMU 7.2 aborts. */
static bool msix_is_broken(const struct function *f)
{
	return f->vendor == 0x8086 && f->device == 0x10d3;
}

int claim_make(struct function *f, x_handle_t resource, const struct acpi_info *acpi)
{
	struct x_device_create d = { .resource = resource, .bdf = f->bdf };
	int64_t handle;

	if (f->handle != X_NO_HANDLE)
		return 0;
	bars_read(f, d.bar);
	describe_irq(f, acpi, &d);
	if (!msix_is_broken(f))
		d.msix_cap = config_capability(f->bdf, PCI_CAP_MSIX);
	d.msi_cap = config_capability(f->bdf, PCI_CAP_MSI);
	strlcpy(d.name, f->name, sizeof(d.name));
	handle = x_device_create(&d);
	if (handle < 0)
		return handle;
	f->handle = handle;
	return 0;
}
