/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel VT-d IOMMUs (VT-d specification 4.1): which memory a device may reach,
 * and which interrupts it may raise. Found through ACPI's DMAR table (chapter 8).
 *
 * A domain per device, in legacy translation mode (3.4.2). Device addresses are
 * physical addresses: a domain's page table maps what was granted to itself, in
 * 2 MiB pages where it fits. What has no domain reaches nothing. Entries of the
 * remapping table for interrupts (chapter 5) are indexed by vector, and each
 * accepts one requester only.
 *
 * A faulting device is reported once (device_fault()); its further faults are not
 * recorded until it gets a new domain.
 */
#include "kernel/core/device.h"
#include "vtd.h"
#include "x86.h"

#define UNITS_MAX  8u
#define SCOPES_MAX 16u
#define DOMAINS    256u
#define WAIT_NS    1000000000ull /* for the hardware; then there is no telling what DMA does */

struct scope { uint8_t type, id, bus, device, function; }; /* the device a DRHD names, or its bridge */

struct vtd_unit {
	volatile uint8_t *regs;
	uint64_t cap, ecap;
	bool all;                 /* the devices that no other unit names */
	struct scope scopes[SCOPES_MAX];
	uint32_t scope_count;
	uint64_t *root;
	uint64_t *queue;          /* of invalidation descriptors, a page */
	uint32_t tail;
	uint64_t *interrupts;     /* remapping table, a page: two words a vector */
	uint32_t levels;          /* of page tables */
	bool large;
	uint32_t fault_offset, fault_count;
	volatile uint32_t done;   /* written by the hardware */
};

struct iommu_domain {
	struct vtd_unit *unit;
	uint32_t bdf, id;
	uint64_t *table;
};

static struct vtd_unit units[UNITS_MAX];
static uint32_t unit_count;
static bool domain_used[DOMAINS] = { true }; /* 0 is reserved (caching mode) */
static bool on;

static uint64_t read64(struct vtd_unit *u, uint32_t reg) { return *(volatile uint64_t *)(u->regs + reg); }
static void write64(struct vtd_unit *u, uint32_t reg, uint64_t v) { *(volatile uint64_t *)(u->regs + reg) = v; }
static uint32_t read32(struct vtd_unit *u, uint32_t reg) { return mmio_read32(u->regs + reg); }
static void write32(struct vtd_unit *u, uint32_t reg, uint32_t v) { mmio_write32(u->regs + reg, v); }

/* Tables are read by hardware that may not look into the caches. */
static void flush(struct vtd_unit *u, const void *at, size_t bytes)
{
	if (!(u->ecap & ECAP_COHERENT))
		for (uint64_t line = (uint64_t)at & ~63ull; line < (uint64_t)at + bytes; line += 64)
			__asm__ volatile("clflush (%0)" : : "r"(line) : "memory");
	__asm__ volatile("mfence" : : : "memory");
}

static uint64_t *new_table(struct vtd_unit *u)
{
	paddr_t page = frame_alloc(FRAME_ZERO);
	uint64_t *t = page != NO_FRAME ? phys_to_virt(page) : NULL;

	if (t)
		flush(u, t, PAGE_SIZE);
	return t;
}

/* --------------------------------------------------------- registers, queue */

static void wait_for(struct vtd_unit *u, uint32_t reg, uint32_t bit)
{
	uint64_t end = arch_time_ns() + WAIT_NS;

	while (!(read32(u, reg) & bit))
		if (arch_time_ns() > end)
			panic("iommu: no answer to a command (register %#x, bit %#x)", reg, bit);
}

/* One-shot commands are not in the status that is written back with them. */
static void command(struct vtd_unit *u, uint32_t bit)
{
	write32(u, VTD_GCMD, (read32(u, VTD_GSTS) & GSTS_KEPT) | bit);
	wait_for(u, VTD_GSTS, bit);
}

static void submit(struct vtd_unit *u, uint64_t low, uint64_t high)
{
	u->queue[u->tail * 2] = low;
	u->queue[u->tail * 2 + 1] = high;
	flush(u, &u->queue[u->tail * 2], 16);
	u->tail = (u->tail + 1) % QUEUE_ENTRIES;
}

/* Carry out what was submitted: when this returns, no DMA by old translations
 * is under way any more (6.5.2.8: a wait drains what is before it). */
static void settle(struct vtd_unit *u)
{
	uint64_t end = arch_time_ns() + WAIT_NS;

	u->done = 0;
	submit(u, INV_WAIT | INV_WAIT_STATUS | 1ull << 32, (uint64_t)&u->done - KERNEL_BASE);
	write64(u, VTD_IQT, (uint64_t)u->tail << 4);
	while (!u->done)
		if (arch_time_ns() > end || (read32(u, VTD_FSTS) & FSTS_QUEUE_ERROR))
			panic("iommu: invalidation fails (status %#x)", read32(u, VTD_FSTS));
}

static void invalidate(struct vtd_unit *u, uint64_t context, uint64_t iotlb)
{
	uint64_t drain = (u->cap & CAP_DRAIN_READ ? IOTLB_DRAIN_READ : 0) | (u->cap & CAP_DRAIN_WRITE ? IOTLB_DRAIN_WRITE : 0);

	if (context)
		submit(u, INV_CONTEXT | context, 0);
	submit(u, INV_IOTLB | iotlb | drain, 0);
	settle(u);
}

/* ------------------------------------------------------------------- units */

static bool in_scope(const struct scope *s, uint32_t bdf)
{
	uint32_t at = (uint32_t)s->bus << 8 | s->device << 3 | s->function;

	if (s->type == SCOPE_ENDPOINT)
		return at == bdf;
	return s->type == SCOPE_BRIDGE && device_behind_bridge(at, bdf >> 8);
}

static struct vtd_unit *unit_of(uint32_t bdf)
{
	struct vtd_unit *rest = NULL;

	for (uint32_t i = 0; i < unit_count; i++) {
		if (units[i].all)
			rest = &units[i];
		for (uint32_t k = 0; k < units[i].scope_count; k++)
			if (in_scope(&units[i].scopes[k], bdf))
				return &units[i];
	}
	return rest;
}

static void read_scopes(struct vtd_unit *u, const uint8_t *at, const uint8_t *end)
{
	for (; at + 8 <= end && at[1] >= 8 && at + at[1] <= end; at += at[1])
		if (u->scope_count < SCOPES_MAX && at[1] == 8) /* a path of one step */
			u->scopes[u->scope_count++] = (struct scope){ at[0], at[4], at[5], at[6], at[7] };
		else
			klog("iommu: a device behind bridges, or one too many, in DMAR: left out");
}

/* Maps the unit's registers; false: not one we can use. */
static bool unit_probe(struct vtd_unit *u, uint64_t base)
{
	u->regs = arch_map_device(base, PAGE_SIZE);
	if (!u->regs)
		return false;
	u->cap = read64(u, VTD_CAP);
	u->ecap = read64(u, VTD_ECAP);
	u->levels = u->cap & CAP_LEVELS_3 ? 3 : 4;
	u->large = u->cap & CAP_2M;
	u->fault_offset = (u->cap >> 24 & 0x3ff) * 16;
	u->fault_count = (u->cap >> 40 & 0xff) + 1;
	return (u->cap & (CAP_LEVELS_3 | CAP_LEVELS_4)) && (u->ecap & ECAP_QUEUE) && (u->ecap & ECAP_INTERRUPTS) &&
	       u->fault_offset + u->fault_count * 16 <= PAGE_SIZE;
}

static bool read_dmar(void)
{
	const uint8_t *table = acpi.dmar, *end;
	uint32_t bytes, length;

	if (!table)
		return false;
	memcpy(&bytes, table + 4, 4);
	end = table + bytes;
	for (const uint8_t *at = table + 48; at + 16 <= end; at += length) {
		struct vtd_unit *u = &units[unit_count];
		uint16_t header[2];
		uint64_t base;

		memcpy(header, at, 4);
		length = header[1];
		if (length < 16 || at + length > end)
			return false;
		if (header[0] != DMAR_DRHD)
			continue;
		memcpy(&base, at + 8, 8);
		if (unit_count == UNITS_MAX || !unit_probe(u, base)) {
			klog("iommu: unit at %#llx cannot be used", (unsigned long long)base);
			return false;
		}
		u->all = at[4] & 1;
		read_scopes(u, at + 16, at + length);
		unit_count++;
	}
	return unit_count > 0;
}

static bool unit_start(struct vtd_unit *u)
{
	uint64_t fault_address;
	uint32_t fault_data;

	u->root = new_table(u);
	u->queue = new_table(u);
	u->interrupts = new_table(u);
	if (!u->root || !u->queue || !u->interrupts)
		return false;
	write32(u, VTD_GCMD, 0); /* firmware may have left it on */
	busy_wait_us(10);
	write64(u, VTD_IQT, 0);
	write64(u, VTD_IQA, virt_to_phys(u->queue));
	command(u, GCMD_QUEUE);
	write64(u, VTD_RTADDR, virt_to_phys(u->root));
	command(u, GCMD_SET_ROOT);
	invalidate(u, CONTEXT_GLOBAL, IOTLB_GLOBAL);
	write64(u, VTD_IRTA, virt_to_phys(u->interrupts) | (apic_is_x2apic() ? IRTA_X2APIC : 0) | IRTA_256_ENTRIES);
	command(u, GCMD_SET_INTERRUPTS);
	submit(u, INV_INTERRUPTS, 0);
	settle(u);
	/* The unit's own message is not remapped. */
	apic_message(VECTOR_IOMMU, &fault_address, &fault_data);
	write32(u, VTD_FEDATA, fault_data);
	write32(u, VTD_FEADDR, (uint32_t)fault_address);
	write32(u, VTD_FEUADDR, (uint32_t)(fault_address >> 32));
	write32(u, VTD_FECTL, 0);
	command(u, GCMD_INTERRUPTS);
	command(u, GCMD_TRANSLATE);
	return true;
}

void vtd_init(void)
{
	if (!read_dmar())
		return;
	for (uint32_t i = 0; i < unit_count; i++)
		if (!unit_start(&units[i]))
			panic("iommu: no memory for its tables");
	on = true;
	klog("iommu: %u VT-d unit%s, %u-bit addresses%s", unit_count, unit_count == 1 ? "" : "s",
	     units[0].levels == 3 ? 39 : 48, units[0].large ? ", 2 MiB pages" : "");
}

bool arch_iommu_on(void) { return on; }

/* ----------------------------------------------------------------- domains */

/* The device's context entry, two words; made if need be. */
static uint64_t *context_of(struct vtd_unit *u, uint32_t bdf)
{
	uint64_t *root = &u->root[(bdf >> 8) * 2];

	if (!(*root & 1)) {
		uint64_t *table = new_table(u);

		if (!table)
			return NULL;
		*root = virt_to_phys(table) | 1;
		flush(u, root, 8);
	}
	return (uint64_t *)phys_to_virt(*root & PTE_FRAME) + (bdf & 0xff) * 2;
}

struct iommu_domain *arch_domain_create(uint32_t bdf)
{
	struct vtd_unit *u = unit_of(bdf);
	uint32_t limit = MIN(DOMAINS, 1u << (4 + 2 * (u ? u->cap & 7 : 0)));
	struct iommu_domain *d = kzalloc(sizeof(*d));
	uint64_t *context = u ? context_of(u, bdf) : NULL;

	if (!d || !context || !(d->table = new_table(u))) {
		kfree(d);
		return NULL;
	}
	while (d->id < limit && domain_used[d->id])
		d->id++;
	if (d->id == limit) {
		frame_unref(virt_to_phys(d->table));
		kfree(d);
		return NULL;
	}
	domain_used[d->id] = true;
	d->unit = u;
	d->bdf = bdf;
	context[1] = (uint64_t)d->id << 8 | (u->levels - 2);
	context[0] = virt_to_phys(d->table) | 1;
	flush(u, context, 16);
	invalidate(u, CONTEXT_DEVICE | (uint64_t)bdf << 32 | (uint64_t)d->id << 16, IOTLB_DOMAIN | (uint64_t)d->id << 16);
	return d;
}

static void free_tables(uint64_t *table, uint32_t level)
{
	for (uint32_t i = 0; level > 1 && i < 512; i++)
		if ((table[i] & SL_ACCESS) && !(table[i] & SL_LARGE))
			free_tables(phys_to_virt(table[i] & PTE_FRAME), level - 1);
	frame_unref(virt_to_phys(table));
}

void arch_domain_destroy(struct iommu_domain *d)
{
	uint64_t *context = context_of(d->unit, d->bdf);

	context[0] = 0;
	flush(d->unit, context, 8);
	invalidate(d->unit, CONTEXT_DEVICE | (uint64_t)d->bdf << 32 | (uint64_t)d->id << 16,
		   IOTLB_DOMAIN | (uint64_t)d->id << 16);
	domain_used[d->id] = false;
	free_tables(d->table, d->unit->levels);
	kfree(d);
}

/* The entry for `address` at `level` (1: 4 KiB, 2: 2 MiB), tables made on the
 * way; NULL: out of memory, or within a large page that is there already. */
static uint64_t *entry_of(struct iommu_domain *d, paddr_t address, uint32_t level, bool *present)
{
	uint64_t *table = d->table;

	*present = false;
	for (uint32_t l = d->unit->levels;; l--) {
		uint64_t *e = &table[address >> (12 + 9 * (l - 1)) & 511];

		if (l == level)
			return e;
		if (*e & SL_LARGE) {
			*present = true;
			return NULL;
		}
		if (!(*e & SL_ACCESS)) {
			uint64_t *next = new_table(d->unit);

			if (!next)
				return NULL;
			*e = virt_to_phys(next) | SL_ACCESS;
			flush(d->unit, e, 8);
		}
		table = phys_to_virt(*e & PTE_FRAME);
	}
}

int arch_domain_map(struct iommu_domain *d, paddr_t base, uint64_t bytes)
{
	const uint64_t two_mib = 2ull << 20;

	if (base + bytes > 1ull << (12 + 9 * d->unit->levels))
		return -X_EINVAL;
	while (bytes) {
		bool large = d->unit->large && base % two_mib == 0 && bytes >= two_mib, present;
		uint64_t step = large ? two_mib : PAGE_SIZE;
		uint64_t *e = entry_of(d, base, large ? 2 : 1, &present);

		if (!e && !present)
			return -X_ENOMEM;
		if (e && large && (*e & SL_ACCESS) && !(*e & SL_LARGE)) { /* parts of it were granted before */
			step = PAGE_SIZE;
			large = false;
			e = entry_of(d, base, 1, &present);
			if (!e)
				return -X_ENOMEM;
		}
		if (e) {
			*e = base | SL_ACCESS | (large ? SL_LARGE : 0);
			flush(d->unit, e, 8);
		}
		base += step;
		bytes -= step;
	}
	if (d->unit->cap & CAP_CACHING)
		invalidate(d->unit, 0, IOTLB_DOMAIN | (uint64_t)d->id << 16);
	return 0;
}

int arch_domain_window(struct iommu_domain *d, uint64_t address, const paddr_t *frames, uint32_t count, bool write)
{
	bool present;
	uint64_t *e = entry_of(d, address, 1, &present);

	if (!e || address < frame_limit << 12)
		return -X_ENOMEM;
	for (uint32_t i = 0; i < count; i++) /* at most 512 */
		e[i] = frames[i] | (write ? SL_WRITE : SL_READ);
	flush(d->unit, e, count * sizeof(*e));
	if (d->unit->cap & CAP_CACHING)
		invalidate(d->unit, 0, IOTLB_DOMAIN | (uint64_t)d->id << 16);
	return 0;
}

void arch_domain_unmap(struct iommu_domain *d, uint64_t address, uint64_t bytes)
{
	bool present;
	uint64_t *e = entry_of(d, address, 1, &present);

	memset(e, 0, bytes / PAGE_SIZE * sizeof(*e));
	flush(d->unit, e, bytes / PAGE_SIZE * sizeof(*e));
	invalidate(d->unit, 0, IOTLB_DOMAIN | (uint64_t)d->id << 16);
}

/* -------------------------------------------------------------- interrupts */

static void interrupt_entry(struct vtd_unit *u, int vector, uint64_t low, uint64_t high)
{
	uint64_t *e = &u->interrupts[vector * 2];

	e[0] = 0;
	e[1] = high;
	e[0] = low;
	flush(u, e, 16);
	submit(u, INV_INTERRUPTS, 0);
	settle(u);
}

/* Messages of `requester` only, to the first CPU, physical mode, fixed, edge or level. */
static void interrupt_allow(struct vtd_unit *u, int vector, uint32_t requester, bool level)
{
	uint64_t destination = apic_is_x2apic() ? cpus[0].apic_id : cpus[0].apic_id << 8;

	interrupt_entry(u, vector, 1 | (level ? IRTE_LEVEL : 0) | (uint64_t)vector << 16 | destination << 32,
			IRTE_VERIFY | requester);
}

void vtd_msi(uint32_t bdf, int vector, uint64_t *address, uint32_t *data)
{
	struct vtd_unit *u = unit_of(bdf);

	if (!u)
		return;
	interrupt_allow(u, vector, bdf, false);
	*address = 0xfee00000ull | (uint64_t)vector << 5 | 1 << 4; /* remappable, index = vector */
	*data = 0;
}

bool vtd_ioapic(uint32_t ioapic_id, int vector, bool level, uint32_t *high)
{
	for (uint32_t i = 0; i < unit_count; i++)
		for (uint32_t k = 0; k < units[i].scope_count; k++) {
			const struct scope *s = &units[i].scopes[k];

			if (s->type != SCOPE_IOAPIC || s->id != ioapic_id)
				continue;
			interrupt_allow(&units[i], vector, (uint32_t)s->bus << 8 | s->device << 3 | s->function, level);
			*high = (uint32_t)vector << 17 | 1 << 16;
			return true;
		}
	return false;
}

void vtd_vector_free(int vector)
{
	for (uint32_t i = 0; on && i < unit_count; i++)
		if (units[i].interrupts[vector * 2] & 1)
			interrupt_entry(&units[i], vector, 0, 0);
}

/* ------------------------------------------------------------------ faults */

static void fault(struct vtd_unit *u, uint64_t low, uint64_t high)
{
	uint32_t bdf = high & 0xffff, reason = high >> 32 & 0xff;
	uint64_t *context = context_of(u, bdf);

	if (context) {
		context[0] |= 2; /* its further faults are not recorded */
		flush(u, context, 8);
		submit(u, INV_CONTEXT | CONTEXT_GLOBAL, 0);
		settle(u);
	}
	device_fault(bdf, reason >= 0x20 ? "interrupt" : high >> 62 & 1 ? "read" : "write", low & PTE_FRAME, reason);
}

void vtd_faults(void)
{
	for (uint32_t i = 0; i < unit_count; i++) {
		struct vtd_unit *u = &units[i];

		for (uint32_t k = 0; k < u->fault_count; k++) {
			uint32_t at = u->fault_offset + k * 16;
			uint64_t high = read64(u, at + 8);

			if (!(high >> 63))
				continue;
			fault(u, read64(u, at), high);
			write64(u, at + 8, 1ull << 63);
		}
		write32(u, VTD_FSTS, FSTS_OVERFLOW);
	}
}
