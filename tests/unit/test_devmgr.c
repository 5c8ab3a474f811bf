/* SPDX-License-Identifier: BSD-2-Clause */
/* devmgr: match texts, BARs and enumeration over a model of configuration space. */
// sources: servers/devmgr/match.c servers/devmgr/bar.c servers/devmgr/bus.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include "servers/devmgr/devmgr.h"
#include "servers/devmgr/pci_reg.h"

#define FUNCTIONS 8

static struct model {
	uint32_t bdf;
	uint8_t space[256];
	uint32_t bar_mask[6];   /* writable bits */
} model[FUNCTIONS];
static unsigned model_count, sized_while_decoding;

static struct model *find(uint32_t bdf)
{
	for (unsigned i = 0; i < model_count; i++)
		if (model[i].bdf == bdf)
			return &model[i];
	return NULL;
}

uint32_t config_read(uint32_t bdf, uint32_t offset, uint32_t width)
{
	struct model *m = find(bdf);
	uint32_t v = 0;

	if (!m)
		return ~0u >> (32 - 8 * width);
	memcpy(&v, m->space + offset, width);
	return v;
}

void config_write_command(uint32_t bdf, uint32_t value) { config_write(bdf, PCI_COMMAND, 2, value); }

void config_write(uint32_t bdf, uint32_t offset, uint32_t width, uint32_t value)
{
	struct model *m = find(bdf);
	uint32_t old;

	if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 24) {
		uint32_t mask = m->bar_mask[(offset - PCI_BAR0) / 4];

		memcpy(&old, m->space + offset, 4);
		value = (value & mask) | (old & ~mask);
		sized_while_decoding += m->space[PCI_COMMAND] & 3;
	}
	memcpy(m->space + offset, &value, width);
}

static struct model *add(uint32_t bdf, uint16_t vendor, uint16_t device, uint32_t class_code)
{
	struct model *m = &model[model_count++];

	*m = (struct model){ .bdf = bdf };
	memcpy(m->space, &vendor, 2);
	memcpy(m->space + 2, &device, 2);
	memcpy(m->space + 9, &class_code, 3);
	m->space[PCI_COMMAND] = 7;
	return m;
}

static void bar(struct model *m, unsigned index, uint32_t value, uint32_t mask)
{
	memcpy(m->space + PCI_BAR0 + 4 * index, &value, 4);
	m->bar_mask[index] = mask;
}

static void matching(void **state)
{
	struct function f = { .vendor = 0x1af4, .device = 0x1042, .class_code = 0x010601 };

	(void)state;
	assert_int_equal(match_function("pci:1af4:1042,1af4:1001", &f), 1);
	assert_int_equal(match_function("pci:1af4:1001,1AF4:1042", &f), 1);
	assert_int_equal(match_function("pci:1af4:1001", &f), 0);
	assert_int_equal(match_function("pci-class:010601", &f), 1);
	assert_int_equal(match_function("pci-class:0106", &f), 1);
	assert_int_equal(match_function("pci-class:01", &f), 1);
	assert_int_equal(match_function("pci-class:0107,02", &f), 0);
	assert_int_equal(match_function("pci:8086:100e;pci-class:0106", &f), 1);
	static const char *const wrong[] = { "", "usb:1:2", "pci:", "pci:1af4", "pci:1af4:", "pci:1af4:10421", "pci-class:",
					     "pci-class:010", "pci:1af4:1042,", "pci:1af4:1042 x", "pci-class:0106010" };
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(match_function(wrong[i], &f), -X_EINVAL);
}

static void enumeration(void **state)
{
	struct model *m;

	(void)state;
	model_count = 0;
	add(0, 0x8086, 0x29c0, 0x060000);
	m = add(0x10, 0x1b36, 0x000c, 0x060400); /* bridge to bus 1, which says it leads to bus 1 too */
	m->space[PCI_HEADER_TYPE] = PCI_TYPE_BRIDGE | PCI_TYPE_MULTI;
	m->space[PCI_SECONDARY_BUS] = 1;
	m = add(0x100, 0x1b36, 0x000c, 0x060400);
	m->space[PCI_HEADER_TYPE] = PCI_TYPE_BRIDGE;
	m->space[PCI_SECONDARY_BUS] = 1;
	add(0x108, 0x1af4, 0x1042, 0x010000);
	add(0x11, 0x8086, 0x100e, 0x020000);
	add(0x19, 0x8086, 0x1234, 0);            /* function 1 without function 0 */
	bus_scan();
	assert_int_equal(function_count(), 5);
	assert_int_equal(function_at(4)->bdf, 0x108);
	assert_string_equal(function_at(4)->name, "0000:01:01.0");
	assert_int_equal(function_at(4)->class_code, 0x010000);
	assert_null(function_at(5));
}

static void bars(void **state)
{
	struct x_bar b[BARS_MAX];
	struct model *m;

	(void)state;
	model_count = sized_while_decoding = 0;
	m = add(0x18, 0x1af4, 0x1001, 0x010000);
	bar(m, 0, 0xc001, 0xff80);               /* ports, upper half hard-wired */
	bar(m, 1, 0xfebd1000, 0xfffff000);
	bar(m, 4, 0x0000000c, 0xffffc000);       /* 64 bits, above 4 GiB */
	bar(m, 5, 0x00000008, 0xffffffff);
	bus_scan();
	bars_read(function_at(0), b);
	assert_int_equal(sized_while_decoding, 0);
	assert_int_equal(m->space[PCI_COMMAND], 7);
	assert_true(b[0].is_io && b[0].base == 0xc000 && b[0].bytes == 128);
	assert_true(!b[1].is_io && b[1].base == 0xfebd1000 && b[1].bytes == 4096);
	assert_true(b[2].bytes == 0 && b[3].bytes == 0 && b[5].bytes == 0);
	assert_true(b[4].base == 0x800000000ull && b[4].bytes == 16384);
	assert_int_equal(config_read(0x18, PCI_BAR0 + 16, 4), 0x0000000c);
	assert_int_equal(config_read(0x18, PCI_BAR0 + 20, 4), 8);
}

static void unassigned_bars(void **state)
{
	struct x_bar b[BARS_MAX];
	struct model *m;

	(void)state;
	model_count = 0;
	m = add(0x18, 0x1af4, 0x1001, 0x010000);
	bar(m, 0, 1, 0xffffff80);
	bar(m, 1, 0, 0xffff0000);
	bar(m, 2, 4, 0xffffc000);
	bar(m, 3, 0, 0xffffffff);
	bus_scan();
	bars_read(function_at(0), b);
	assert_true(b[0].base && b[1].base && b[2].base);
	assert_int_equal(b[1].base % b[1].bytes, 0);
	assert_true(b[2].base >= b[1].base + b[1].bytes && b[2].base < 0xfe000000);
	assert_int_equal(config_read(0x18, PCI_BAR0 + 4, 4), b[1].base);
	bars_read(function_at(0), b);            /* the second time they are there */
	assert_int_equal(config_read(0x18, PCI_BAR0 + 4, 4), b[1].base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching), cmocka_unit_test(enumeration),
		cmocka_unit_test(bars), cmocka_unit_test(unassigned_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
