/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few ACPI tables the kernel itself needs (ACPI 6.4, chapter 5): CPUs and
 * interrupt controllers (MADT), PCI configuration space (MCFG), power-off,
 * reset and the PM timer (FADT, and \_S5 of the DSDT found by its bytes).
 * Tables come from firmware: lengths and checksums are checked, and a machine
 * without them runs on one CPU. Everything else of ACPI is devmgr's.
 */
#include "x86.h"

struct acpi_info acpi;

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[18];
	uint32_t creator[2];
} __attribute__((packed));
#define HEADER_BYTES 36u
#define TABLE_MAX (16u << 20)

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from revision 2 on */
	uint64_t xsdt;
	uint8_t checksum2, reserved[3];
} __attribute__((packed));
#define RSDP1_BYTES 20u

static bool checksum_ok(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *b++);
	return sum == 0;
}

static const void *at(uint64_t paddr, uint64_t bytes)
{
	return paddr && paddr < direct_map_end && bytes <= direct_map_end - paddr ? phys_to_virt(paddr) : NULL;
}

static const struct header *table_at(uint64_t paddr)
{
	const struct header *h = at(paddr, HEADER_BYTES);

	if (!h || h->length < HEADER_BYTES || h->length > TABLE_MAX || !at(paddr, h->length))
		return NULL;
	return checksum_ok(h, h->length) ? h : NULL;
}

/* Fields by offset: firmware does not align, and tables may end early. */
static uint64_t field(const struct header *h, uint32_t offset, uint32_t bytes)
{
	uint64_t v = 0;

	if (offset + bytes <= h->length)
		memcpy(&v, (const uint8_t *)h + offset, bytes);
	return v;
}

static const struct rsdp *rsdp_at(uint64_t paddr)
{
	const struct rsdp *r = at(paddr, sizeof *r);

	return r && !memcmp(r->signature, "RSD PTR ", 8) && checksum_ok(r, RSDP1_BYTES) ? r : NULL;
}

static const struct rsdp *scan_rsdp(uint64_t from, uint64_t to)
{
	for (uint64_t p = from; p + sizeof(struct rsdp) <= to; p += 16)
		if (rsdp_at(p)) {
			boot_info.rsdp_paddr = p;
			return rsdp_at(p);
		}
	return NULL;
}

static const struct rsdp *find_rsdp(void)
{
	const struct rsdp *r = rsdp_at(boot_info.rsdp_paddr);
	uint64_t ebda = (uint64_t)*(const uint16_t *)phys_to_virt(0x40e) << 4;

	if (!r && ebda >= 0x400 && ebda < 0xa0000)
		r = scan_rsdp(ebda, ebda + 1024);
	return r ? r : scan_rsdp(0xe0000, 0x100000);
}

/* ----------------------------------------------------------------- MADT */

#define MADT_ENTRIES 44u
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };

static void add_cpu(uint32_t apic_id, uint32_t flags)
{
	if (!(flags & 1)) /* not enabled */
		return;
	if (acpi.cpu_count == MAX_CPUS)
		klog("acpi: CPU with APIC id %u left out: more than %u", apic_id, MAX_CPUS);
	else
		acpi.cpus[acpi.cpu_count++].apic_id = apic_id;
}

static void add_override(uint32_t isa_irq, uint32_t gsi, uint32_t mps_flags)
{
	uint32_t flags = 0;

	if ((mps_flags & 3) == 3)
		flags |= X_IRQ_ACTIVE_LOW;
	if ((mps_flags >> 2 & 3) == 3)
		flags |= X_IRQ_LEVEL;
	if (acpi.override_count < ARRAY_SIZE(acpi.overrides))
		acpi.overrides[acpi.override_count++] = (struct acpi_override){ isa_irq, gsi, flags };
}

static void read_madt(const struct header *h)
{
	for (uint32_t o = MADT_ENTRIES; o + 2 <= h->length;) {
		uint32_t type = (uint32_t)field(h, o, 1), length = (uint32_t)field(h, o + 1, 1);

		if (length < 2 || length > h->length - o)
			return;
		if (type == MADT_LAPIC && length >= 8)
			add_cpu((uint32_t)field(h, o + 3, 1), (uint32_t)field(h, o + 4, 4));
		else if (type == MADT_X2APIC && length >= 16)
			add_cpu((uint32_t)field(h, o + 4, 4), (uint32_t)field(h, o + 8, 4));
		else if (type == MADT_IOAPIC && length >= 12 && acpi.ioapic_count < ARRAY_SIZE(acpi.ioapics))
			acpi.ioapics[acpi.ioapic_count++] = (struct acpi_ioapic){
				.id = (uint32_t)field(h, o + 2, 1), .gsi_base = (uint32_t)field(h, o + 8, 4), .base = field(h, o + 4, 4) };
		else if (type == MADT_OVERRIDE && length >= 10)
			add_override((uint32_t)field(h, o + 3, 1), (uint32_t)field(h, o + 4, 4),
				     (uint32_t)field(h, o + 8, 2));
		o += length;
	}
}

/* ----------------------------------------------------------- MCFG, FADT */

static void read_mcfg(const struct header *h)
{
	for (uint32_t o = 44; o + 16 <= h->length; o += 16) {
		if (field(h, o + 8, 2) != 0) /* segment group */
			continue;
		acpi.ecam_base = field(h, o, 8);
		acpi.ecam_first_bus = (uint32_t)field(h, o + 10, 1);
		acpi.ecam_last_bus = (uint32_t)field(h, o + 11, 1);
		return;
	}
}

/* One small integer of an AML package; advances *o. */
static bool aml_small(const struct header *h, uint32_t *o, uint8_t *out)
{
	uint32_t op = (uint32_t)field(h, *o, 1);

	*out = op == 0x0a ? (uint8_t)field(h, *o + 1, 1) : (uint8_t)op;
	*o += op == 0x0a ? 2 : 1;
	return op == 0x0a || op <= 1; /* BytePrefix, Zero, One */
}

static void read_s5(const struct header *h)
{
	const uint8_t *b = (const uint8_t *)h;

	for (uint32_t o = HEADER_BYTES; o + 8 < h->length; o++) {
		if (memcmp(b + o, "_S5_\x12", 5))
			continue;
		o += 5;
		o += 1 + (b[o] >> 6); /* package length: 1 to 4 bytes */
		o += 1;               /* number of elements */
		acpi.have_s5 = aml_small(h, &o, &acpi.s5_a) && aml_small(h, &o, &acpi.s5_b);
		return;
	}
}

static void read_fadt(const struct header *h)
{
	uint64_t dsdt = field(h, 140, 8);
	const struct header *d = table_at(dsdt ? dsdt : field(h, 40, 4));
	uint32_t flags = (uint32_t)field(h, 112, 4);

	acpi.smi_command = (uint16_t)field(h, 48, 4);
	acpi.acpi_enable = (uint8_t)field(h, 52, 1);
	acpi.pm1a_control = (uint16_t)field(h, 64, 4);
	acpi.pm1b_control = (uint16_t)field(h, 68, 4);
	acpi.pm_timer_port = (uint16_t)field(h, 76, 4);
	acpi.century_register = (uint8_t)field(h, 108, 1);
	if (flags & (1u << 10)) { /* RESET_REG_SUP */
		acpi.reset_space = (uint8_t)field(h, 116, 1);
		acpi.reset_address = field(h, 120, 8);
		acpi.reset_value = (uint8_t)field(h, 128, 1);
	}
	if (d && !memcmp(d->signature, "DSDT", 4))
		read_s5(d);
}

static void read_table(const struct header *h)
{
	if (!memcmp(h->signature, "APIC", 4))
		read_madt(h);
	else if (!memcmp(h->signature, "MCFG", 4))
		read_mcfg(h);
	else if (!memcmp(h->signature, "FACP", 4))
		read_fadt(h);
	else if (!memcmp(h->signature, "DMAR", 4) && h->length >= 48)
		acpi.dmar = h;
}

void acpi_init(void)
{
	const struct rsdp *r = find_rsdp();
	const struct header *root = NULL;
	uint32_t width = 8;

	if (r && r->revision >= 2)
		root = table_at(r->xsdt);
	if (r && !root) {
		root = table_at(r->rsdt);
		width = 4;
	}
	if (!root) {
		klog("acpi: no tables: one CPU, no power-off");
		return;
	}
	for (uint32_t o = HEADER_BYTES; o + width <= root->length; o += width) {
		const struct header *h = table_at(field(root, o, width));

		if (h)
			read_table(h);
	}
	klog("acpi: %u CPUs, %u IOAPICs, ECAM at %#llx, power-off %s", acpi.cpu_count, acpi.ioapic_count,
	     (unsigned long long)acpi.ecam_base, acpi.have_s5 ? "yes" : "no");
}

uint64_t arch_pci_ecam(uint32_t bus)
{
	if (!acpi.ecam_base || bus < acpi.ecam_first_bus || bus > acpi.ecam_last_bus)
		return 0;
	return acpi.ecam_base + ((uint64_t)bus << 20);
}

int arch_isa_to_gsi(uint32_t isa_irq, uint32_t *flags)
{
	*flags = 0; /* ISA: edge, active high */
	for (uint32_t i = 0; i < acpi.override_count; i++)
		if (acpi.overrides[i].isa_irq == isa_irq) {
			*flags = acpi.overrides[i].flags;
			return (int)acpi.overrides[i].gsi;
		}
	return (int)isa_irq;
}
