/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions as objects: configuration space, BARs, interrupts, DMA, and
 * what makes them harmless when a driver dies.
 *
 * A device is made by devmgr and lent to one driver after the other. The
 * kernel keeps for itself what could reach beyond the device: the command
 * register, BARs, and the tables of message-signalled interrupts. Memory
 * objects given to the device by x_dma_map are held by it:
 *
 *   in use      from x_dma_map until the driver dies or the device is revoked
 *   quarantine  from then until a driver that has reset the device turns bus
 *               mastering on; until then the device may still write there. With an
 *               IOMMU too: what it had translated before its domain ended it may
 *               write later (an emulated disk's read that is under way, say)
 *
 * The user of a device is the process that last mapped, interrupted or
 * mastered with it. Its death quiesces the device. Specification: pci_reg.h.
 */
#include "device.h"
#include "pci_reg.h"
#include "resource.h"

#define VECTORS_MAX 64u           /* MSI-X entries used of a function */

struct mapping {                  /* device memory the kernel has mapped: for good */
	struct list link;
	uint64_t base, bytes;
	void *at;
};

static struct list all_devices = { &all_devices, &all_devices };
static struct list all_mappings = { &all_mappings, &all_mappings };

static void *map_once(uint64_t base, uint64_t bytes)
{
	struct mapping *m;

	list_for_each(known, &all_mappings, struct mapping, link)
		if (known->base == base && known->bytes == bytes)
			return known->at;
	m = kmalloc(sizeof(*m));
	if (m == NULL)
		return NULL;
	m->base = base;
	m->bytes = bytes;
	m->at = arch_map_device(base, bytes);
	if (m->at == NULL) {
		kfree(m);
		return NULL;
	}
	list_push_back(&all_mappings, &m->link);
	return m->at;
}

/* ---- configuration space ---- */

/* Config space of a function in memory, or NULL: use the ports. */
static volatile void *ecam_of(uint32_t bdf)
{
	uint64_t base = arch_pci_ecam(bdf >> 8);
	char *bus = base != 0 ? map_once(base, 256ull * PCIE_CONFIG_BYTES) : NULL;

	return bus != NULL ? bus + (bdf & 0xff) * PCIE_CONFIG_BYTES : NULL;
}

/* devmgr may be between its own writes to the two ports: restore the address. */
static uint32_t config_by_ports(uint32_t bdf, uint32_t offset, uint32_t width, uint32_t value, bool write)
{
	uint16_t port = (uint16_t)(PCI_DATA_PORT + offset % 4);
	uint32_t saved = arch_io_read(PCI_ADDRESS_PORT, 4);

	arch_io_write(PCI_ADDRESS_PORT, 4, PCI_ADDRESS_ENABLE | bdf << 8 | (offset & 0xfc));
	if (write)
		arch_io_write(port, width, value);
	else
		value = arch_io_read(port, width);
	arch_io_write(PCI_ADDRESS_PORT, 4, saved);
	return value;
}

static uint32_t config_read(uint32_t bdf, uint32_t offset, uint32_t width)
{
	volatile char *at = ecam_of(bdf);

	if (at == NULL)
		return config_by_ports(bdf, offset, width, 0, false);
	at += offset;
	if (width == 1)
		return *(volatile uint8_t *)at;
	return width == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
}

static void config_write(uint32_t bdf, uint32_t offset, uint32_t width, uint32_t value)
{
	volatile char *at = ecam_of(bdf);

	if (at == NULL) {
		config_by_ports(bdf, offset, width, value, true);
		return;
	}
	at += offset;
	if (width == 1)
		*(volatile uint8_t *)at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		*(volatile uint32_t *)at = value;
}

/* What a device decodes changes while no other CPU accesses any device: QEMU
 * before 8.1 rebuilds its memory map for it, and crashes if another CPU's access
 * (an end of interrupt is enough) looks up the old map meanwhile. Mastering
 * leaves the map as it is, and a driver's restart need not wait for that. */
void device_command(uint32_t bdf, uint32_t value)
{
	bool remaps = (config_read(bdf, PCI_COMMAND, 2) ^ value) & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY);

	if (remaps)
		arch_pause_others();
	config_write(bdf, PCI_COMMAND, 2, value);
	if (remaps)
		arch_resume_others();
}

static void command_change(struct device *d, uint32_t clear, uint32_t set)
{
	uint32_t old = config_read(d->bdf, PCI_COMMAND, 2), new = (old & ~clear) | set;

	if (new != old)
		device_command(d->bdf, new);
}

static uint32_t config_limit(uint32_t bdf)
{
	return ecam_of(bdf) != NULL ? PCIE_CONFIG_BYTES : PCI_CONFIG_BYTES;
}

static bool overlaps(uint32_t offset, uint32_t width, uint32_t start, uint32_t end)
{
	return offset < end && offset + width > start;
}

/* What a driver may write: nothing that moves the device's addresses, its
 * interrupts, its mastering, or (a bridge) what is behind it; and none of the
 * extended capabilities, which can do all of these. */
static bool config_writable(const struct device *d, uint32_t offset, uint32_t width)
{
	uint32_t type = config_read(d->bdf, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK;

	if (offset + width > PCI_CONFIG_BYTES || overlaps(offset, width, PCI_COMMAND, PCI_COMMAND + 2))
		return false;
	if (overlaps(offset, width, PCI_BAR0, type == 0 ? PCI_BARS_END : PCI_HEADER_END) ||
	    overlaps(offset, width, PCI_ROM, PCI_ROM_END))
		return false;
	if (d->msi_cap != 0 && overlaps(offset, width, d->msi_cap, d->msi_cap + MSI_CAP_BYTES))
		return false;
	return d->msix_cap == 0 || !overlaps(offset, width, d->msix_cap, d->msix_cap + MSIX_CAP_BYTES);
}

static int64_t config_access(struct device *d, uint32_t offset, uint32_t width, uint32_t value, bool write)
{
	if ((width != 1 && width != 2 && width != 4) || offset % width != 0 ||
	    offset >= config_limit(d->bdf))
		return -X_EINVAL;
	if (!write)
		return config_read(d->bdf, offset, width);
	if (!config_writable(d, offset, width))
		return -X_EPERM;
	config_write(d->bdf, offset, width, value);
	return 0;
}

/* ---- message-signalled interrupts ---- */

static void msix_control(struct device *d, uint32_t clear, uint32_t set)
{
	uint32_t control = config_read(d->bdf, d->msix_cap + MSIX_CONTROL, 2);

	config_write(d->bdf, d->msix_cap + MSIX_CONTROL, 2, (control & ~clear) | set);
}

static void msix_mask_all(struct device *d)
{
	for (uint32_t i = 0; i < d->source_count; i++)
		d->msix_entries[i * MSIX_ENTRY_WORDS + 3] = MSIX_ENTRY_MASKED;
}

static void msix_program(struct device *d, uint32_t index, int vector)
{
	volatile uint32_t *e = &d->msix_entries[index * MSIX_ENTRY_WORDS];
	uint64_t address;
	uint32_t data;

	arch_msi_message(d->bdf, vector, &address, &data);
	command_change(d, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
	if (!(config_read(d->bdf, d->msix_cap + MSIX_CONTROL, 2) & MSIX_CONTROL_ENABLE)) {
		msix_control(d, 0, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK);
		msix_mask_all(d);
	}
	e[0] = (uint32_t)address;
	e[1] = (uint32_t)(address >> 32);
	e[2] = data;
	e[3] = 0;
	msix_control(d, MSIX_CONTROL_MASK, 0);
}

static void msi_program(struct device *d, int vector)
{
	uint32_t control = config_read(d->bdf, d->msi_cap + MSI_CONTROL, 2);
	uint64_t address;
	uint32_t data;

	arch_msi_message(d->bdf, vector, &address, &data);
	command_change(d, 0, PCI_COMMAND_INTX_OFF);
	config_write(d->bdf, d->msi_cap + MSI_ADDRESS, 4, (uint32_t)address);
	if (control & MSI_CONTROL_64BIT) {
		config_write(d->bdf, d->msi_cap + MSI_ADDRESS_HIGH, 4, (uint32_t)(address >> 32));
		config_write(d->bdf, d->msi_cap + MSI_DATA_64, 2, data);
	} else {
		config_write(d->bdf, d->msi_cap + MSI_DATA_32, 2, data);
	}
	config_write(d->bdf, d->msi_cap + MSI_CONTROL, 2,
		     (control & ~MSI_CONTROL_COUNT) | MSI_CONTROL_ENABLE);
}

/* Stop one interrupt at the function, then its delivery. */
static void source_stop(struct device *d, uint32_t index)
{
	if (d->sources[index].event == NULL)
		return;
	if (d->msix_cap != 0) {
		d->msix_entries[index * MSIX_ENTRY_WORDS + 3] = MSIX_ENTRY_MASKED;
	} else {
		if (d->msi_cap != 0)
			config_write(d->bdf, d->msi_cap + MSI_CONTROL, 2,
				     config_read(d->bdf, d->msi_cap + MSI_CONTROL, 2) &
				     ~MSI_CONTROL_ENABLE);
		command_change(d, 0, PCI_COMMAND_INTX_OFF);
	}
	irq_detach(&d->sources[index]);
}

static int source_start(struct device *d, uint32_t index, struct object *event, uint64_t bits)
{
	struct irq_source *s = &d->sources[index];
	int error;

	if (d->msix_cap == 0 && d->msi_cap == 0) {
		if (d->irq_gsi == X_NO_HANDLE)
			return -X_ENODEV;
		error = irq_attach_line(s, d->irq_gsi, d->irq_flags, event, bits);
		if (error == 0)
			command_change(d, PCI_COMMAND_INTX_OFF, 0);
		return error;
	}
	error = irq_attach_vector(s, event, bits);
	if (error != 0)
		return error;
	if (d->msix_cap != 0)
		msix_program(d, index, s->vector);
	else
		msi_program(d, s->vector);
	return 0;
}

static uint32_t vectors(const struct device *d)
{
	if (d->msix_cap != 0)
		return d->source_count;
	return d->msi_cap != 0 ? 1 : 0;
}

/* ---- quiescence ---- */

void device_quiesce(struct object *device)
{
	struct device *d = container_of(device, struct device, obj);

	if (d->msix_cap != 0)
		msix_control(d, MSIX_CONTROL_ENABLE, MSIX_CONTROL_MASK);
	command_change(d, 0, PCI_COMMAND_INTX_OFF);
	for (uint32_t i = 0; i < d->source_count; i++)
		source_stop(d, i);
	command_change(d, PCI_COMMAND_MASTER, 0);
	if (d->domain != NULL) {
		arch_domain_destroy(d->domain);
		d->domain = NULL;
	}
	dma_quarantine(d);
	d->user = 0;
}

bool device_behind_bridge(uint32_t bridge_bdf, uint32_t bus)
{
	return (config_read(bridge_bdf, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) == 1 &&
	       bus >= config_read(bridge_bdf, PCI_SECONDARY_BUS, 1) &&
	       bus <= config_read(bridge_bdf, PCI_SUBORDINATE_BUS, 1);
}

void device_fault(uint32_t bdf, const char *what, uint64_t address, uint32_t reason)
{
	klog("%02x:%02x.%x: stopped a %s at %#llx, which it was not granted (reason %#x)", bdf >> 8, bdf >> 3 & 31,
	     bdf & 7, what, (unsigned long long)address, reason);
	list_for_each(d, &all_devices, struct device, link)
		if (d->bdf == bdf)
			binding_post(&d->obj, 1);
}

void device_process_died(struct process *p)
{
	list_for_each(d, &all_devices, struct device, link)
		if (d->user == p->obj.koid)
			device_quiesce(&d->obj);
}

static void device_destroy(struct object *o)
{
	struct device *d = container_of(o, struct device, obj);

	device_quiesce(o); /* masters no longer: nobody can turn it on again */
	dma_quarantine_ends(d);
	list_remove(&d->link);
	kfree(d->sources);
	kfree(d->windows);
	kfree(d);
}

static const struct object_ops device_ops = { .destroy = device_destroy };

/* ---- making ---- */

static bool bars_ok(const struct x_bar *bar)
{
	for (uint32_t i = 0; i < BAR_COUNT; i++) {
		uint64_t end = bar[i].base + bar[i].bytes;

		if (bar[i].bytes == 0)
			continue;
		if (end < bar[i].base || end > 1ull << 52 || (bar[i].is_io && end > 0x10000))
			return false;
		if (!bar[i].is_io && range_meets_ram(bar[i].base, bar[i].bytes))
			return false;
	}
	return true;
}

static bool capability_ok(uint32_t bdf, uint32_t offset, uint32_t bytes, uint32_t id)
{
	return offset == 0 || (offset >= PCI_HEADER_END && offset % 4 == 0 &&
			       offset + bytes <= PCI_CONFIG_BYTES &&
			       config_read(bdf, offset, 1) == id);
}

static bool span_from(const struct device *d, uint32_t reg, uint64_t bytes, struct bar_span *s)
{
	uint32_t word = config_read(d->bdf, d->msix_cap + reg, 4);

	s->bar = word & MSIX_BAR_MASK;
	s->offset = word & ~MSIX_BAR_MASK;
	s->bytes = bytes;
	return s->bar < BAR_COUNT && !d->bar[s->bar].is_io && bytes <= d->bar[s->bar].bytes &&
	       s->offset <= d->bar[s->bar].bytes - bytes;
}

/* A device that describes its table wrongly does without MSI-X. */
static bool msix_setup(struct device *d)
{
	uint32_t entries = (config_read(d->bdf, d->msix_cap + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
	uint64_t base, start;
	char *at;

	if (!span_from(d, MSIX_TABLE, entries * 16ull, &d->msix_table) ||
	    !span_from(d, MSIX_PBA, ALIGN_UP(entries, 64) / 8, &d->msix_pba))
		return false;
	base = d->bar[d->msix_table.bar].base + d->msix_table.offset;
	start = ALIGN_DOWN(base, PAGE_SIZE);
	at = map_once(start, ALIGN_UP(base + d->msix_table.bytes, PAGE_SIZE) - start);
	if (at == NULL)
		return false;
	d->msix_entries = (volatile uint32_t *)(at + (base - start));
	d->source_count = MIN(entries, VECTORS_MAX);
	return true;
}

static int describe(struct device *d, const struct x_device_create *c)
{
	struct irq_source *sources;

	memcpy(d->bar, c->bar, sizeof(d->bar));
	d->irq_gsi = c->irq_gsi;
	d->irq_flags = c->irq_flags;
	d->msi_cap = c->msi_cap;
	d->msix_cap = c->msix_cap;
	d->source_count = 1;
	if (d->msix_cap != 0 && !msix_setup(d)) {
		klog("%02x:%02x.%x: bad MSI-X table\n", d->bdf >> 8, d->bdf >> 3 & 31, d->bdf & 7);
		d->msix_cap = 0;
	}
	sources = kzalloc(d->source_count * sizeof(*sources));
	if (sources == NULL) {
		d->source_count = 0;
		return -X_ENOMEM;
	}
	kfree(d->sources);
	d->sources = sources;
	return 0;
}

static int device_new(const struct x_device_create *c, struct device **out)
{
	struct device *d = kzalloc(sizeof(*d));
	int error;

	if (d == NULL)
		return -X_ENOMEM;
	d->bdf = c->bdf;
	list_init(&d->pins);
	list_init(&d->quarantine);
	error = describe(d, c);
	if (error != 0) {
		kfree(d);
		return error;
	}
	object_init(&d->obj, X_TYPE_DEVICE, &device_ops);
	list_push_back(&all_devices, &d->link);
	*out = d;
	return 0;
}

/* A function has one object: a restarted devmgr gets the one its drivers use,
 * described anew unless it is in use. */
static int device_get(const struct x_device_create *c, struct device **out)
{
	list_for_each(d, &all_devices, struct device, link) {
		if (d->bdf != c->bdf)
			continue;
		if (d->user == 0) {
			int error;

			device_quiesce(&d->obj);
			error = describe(d, c);
			if (error != 0)
				return error;
		}
		object_ref(&d->obj);
		*out = d;
		return 0;
	}
	return device_new(c, out);
}

int64_t sys_device_create(uint64_t user)
{
	struct x_device_create c;
	struct device *d = NULL;
	int error = copy_from_user(&c, user, sizeof(c));

	if (error != 0)
		return error;
	error = resource_check(c.resource, X_R_MANAGE);
	if (error != 0)
		return error;
	if (c.bdf > 0xffff || !bars_ok(c.bar))
		return -X_EINVAL;
	if (config_read(c.bdf, PCI_VENDOR_ID, 2) == 0xffff)
		return -X_ENODEV;
	if (!capability_ok(c.bdf, c.msi_cap, MSIX_CAP_BYTES, PCI_CAP_MSI) ||
	    !capability_ok(c.bdf, c.msix_cap, MSIX_CAP_BYTES, PCI_CAP_MSIX))
		return -X_EINVAL;
	error = device_get(&c, &d);
	return error != 0 ? error : object_hand_out(&d->obj, X_R_ALL);
}

/* ---- use by the driver ---- */

struct device *device_handle(uint32_t handle, uint32_t rights, int *error)
{
	struct object *o = handle_get(handle, X_TYPE_DEVICE, rights, error);

	return o != NULL ? container_of(o, struct device, obj) : NULL;
}

void device_use(struct device *d)
{
	d->user = current_process()->obj.koid;
}

/* Do pages [start, end) of a BAR hold a part of the span? */
static bool pages_meet(const struct device *d, uint32_t bar, uint64_t start, uint64_t end,
		       const struct bar_span *s)
{
	uint64_t at = d->bar[bar].base + s->offset;

	return d->msix_cap != 0 && s->bar == bar && start < ALIGN_UP(at + s->bytes, PAGE_SIZE) &&
	       end > ALIGN_DOWN(at, PAGE_SIZE);
}

static int64_t map_bar(struct device *d, uint32_t bar, uint64_t offset, uint64_t len)
{
	struct x_mem_map map = { .prot = X_PROT_READ | X_PROT_WRITE };
	struct memory *m;
	uint64_t start, end;
	int64_t at;
	int error;

	if (bar >= BAR_COUNT || d->bar[bar].bytes == 0 || d->bar[bar].is_io ||
	    offset >= d->bar[bar].bytes)
		return -X_EINVAL;
	if (len == 0)
		len = d->bar[bar].bytes - offset;
	if (len > d->bar[bar].bytes - offset)
		return -X_EINVAL;
	start = ALIGN_DOWN(d->bar[bar].base + offset, PAGE_SIZE);
	end = ALIGN_UP(d->bar[bar].base + offset + len, PAGE_SIZE);
	if (pages_meet(d, bar, start, end, &d->msix_table) ||
	    pages_meet(d, bar, start, end, &d->msix_pba))
		return -X_EPERM;
	error = memory_create_physical(start, end - start, false, &m);
	if (error != 0)
		return error;
	map.len = end - start;
	at = space_map(current_process()->space, &map, m);
	object_unref(&m->obj);
	return at < 0 ? at : at + (int64_t)((d->bar[bar].base + offset) % PAGE_SIZE);
}

int64_t sys_device_map(uint32_t device, uint32_t bar, uint64_t offset, uint64_t len)
{
	int error;
	struct device *d = device_handle(device, X_R_READ | X_R_WRITE, &error);
	int64_t at;

	if (d == NULL)
		return error;
	device_use(d);
	at = map_bar(d, bar, offset, len);
	object_unref(&d->obj);
	return at;
}

int64_t sys_device_config(uint32_t device, uint32_t offset, uint32_t width, uint32_t value,
			  uint32_t write)
{
	int error;
	struct device *d = device_handle(device, write ? X_R_WRITE : X_R_READ, &error);
	int64_t result;

	if (d == NULL)
		return error;
	result = config_access(d, offset, width, value, write != 0);
	object_unref(&d->obj);
	return result;
}

static int set_irq(struct device *d, uint32_t index, uint32_t event, uint64_t bits)
{
	struct object *e;
	int error;

	if (index >= d->source_count)
		return -X_EINVAL;
	if (event == X_NO_HANDLE) {
		source_stop(d, index);
		return 0;
	}
	e = handle_get(event, X_TYPE_EVENT, X_R_WRITE, &error);
	if (e == NULL)
		return error;
	device_use(d);
	source_stop(d, index);
	error = source_start(d, index, e, bits);
	object_unref(e);
	return error;
}

int64_t sys_device_irq(uint32_t device, uint32_t index, uint32_t event, uint64_t bits)
{
	int error;
	struct device *d = device_handle(device, X_R_READ | X_R_WRITE, &error);

	if (d == NULL)
		return error;
	error = set_irq(d, index, event, bits);
	object_unref(&d->obj);
	return error;
}

static int64_t device_ctl(struct device *d, uint32_t op)
{
	switch (op) {
	case X_DEV_ENABLE:
		command_change(d, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
		return 0;
	case X_DEV_BUS_MASTER_ON:
		device_use(d);
		dma_quarantine_ends(d);
		command_change(d, 0, PCI_COMMAND_MASTER);
		return 0;
	case X_DEV_BUS_MASTER_OFF:
		command_change(d, PCI_COMMAND_MASTER, 0);
		return 0;
	case X_DEV_IRQ_ACK:
		irq_source_ack(&d->sources[0]);
		return 0;
	case X_DEV_VECTORS:
		return vectors(d);
	case X_DEV_REVOKE:
		device_quiesce(&d->obj);
		return 0;
	default:
		return -X_EINVAL;
	}
}

int64_t sys_device_ctl(uint32_t device, uint32_t op, uint64_t arg)
{
	uint32_t rights = op == X_DEV_REVOKE ? X_R_MANAGE : X_R_WRITE;
	int error;
	struct device *d = device_handle(device, rights, &error);
	int64_t result;

	(void)arg;
	if (d == NULL)
		return error;
	result = device_ctl(d, op);
	object_unref(&d->obj);
	return result;
}
