/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pm's ELF reader on good headers, on each single lie, and on random damage.
 */
// sources: servers/pm/elf.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <xinim/abi.h>
#include "lib/c/string.h"
#include "lib/elf/elf.h"
#include "servers/pm/elf.h"

#define MIN X_USER_MIN
#define MAX 0x7f7000000000ull
#define FILE_BYTES 0x5000ull

static struct { struct elf_header h; struct elf_phdr p[6]; uint8_t rest[4096 - 64 - 6 * 56]; } page;
_Static_assert(sizeof(page) == 4096, "a page");

static void good(uint16_t type, uint64_t base)
{
	memset(&page, 0, sizeof(page));
	memcpy(page.h.ident, "\177ELF\2\1\1", 7);
	page.h.type = type;
	page.h.machine = 62;
	page.h.version = 1;
	page.h.entry = base + 0x1010;
	page.h.phoff = 64;
	page.h.ehsize = 64;
	page.h.phentsize = 56;
	page.h.phnum = 5;
	page.p[0] = (struct elf_phdr){ 6, 4, 64, base + 64, 0, 5 * 56, 5 * 56, 8 };
	page.p[1] = (struct elf_phdr){ 3, 4, 0x300, base + 0x300, 0, 28, 28, 1 };
	page.p[2] = (struct elf_phdr){ 1, 4, 0, base, 0, 0x800, 0x800, 0x1000 };
	page.p[3] = (struct elf_phdr){ 1, 5, 0x1000, base + 0x1000, 0, 0x1234, 0x1234, 0x1000 };
	page.p[4] = (struct elf_phdr){ 1, 6, 0x2800, base + 0x3800, 0, 0x500, 0x2100, 0x1000 };
}

static int parse(struct elf_image *e)
{
	return elf_parse(&page, sizeof(page), FILE_BYTES, MIN, MAX, e);
}

static void test_fixed(void **state)
{
	struct elf_image e;

	(void)state;
	good(2, 0x400000);
	assert_int_equal(parse(&e), 0);
	assert_false(e.movable);
	assert_true(e.has_interp);
	assert_int_equal(e.interp_offset, 0x300);
	assert_int_equal(e.interp_bytes, 28);
	assert_int_equal(e.segment_count, 3);
	assert_int_equal(e.low, 0x400000);
	assert_int_equal(e.high, 0x406000);
	assert_int_equal(e.entry, 0x401010);
	assert_int_equal(e.phdr_vaddr, 0x400040);
	assert_int_equal(e.phdr_count, 5);
	assert_int_equal(e.segments[1].prot, X_PROT_READ | X_PROT_EXEC);
	assert_int_equal(e.segments[2].mem_bytes, 0x2100);
}

static void test_movable(void **state)
{
	struct elf_image e;

	(void)state;
	good(3, 0);
	page.p[3].align = 0x200000;
	page.p[0].type = 0; /* no PT_PHDR: found through the first segment */
	assert_int_equal(parse(&e), 0);
	assert_true(e.movable);
	assert_int_equal(e.low, 0);
	assert_int_equal(e.align, 0x200000);
	assert_int_equal(e.phdr_vaddr, 64);
	good(2, 0); /* the same at a fixed place is too low */
	assert_int_equal(parse(&e), -X_ENOEXEC);
}

/* One lie each. */
static void test_lies(void **state)
{
	struct elf_image e;

	(void)state;
#define LIE(change) do { good(2, 0x400000); change; assert_int_equal(parse(&e), -X_ENOEXEC); } while (0)
	LIE(page.h.ident[0] = 0);
	LIE(page.h.ident[4] = 1);
	LIE(page.h.ident[5] = 2);
	LIE(page.h.type = 1);
	LIE(page.h.type = 4);
	LIE(page.h.machine = 3);
	LIE(page.h.version = 0);
	LIE(page.h.phentsize = 32);
	LIE(page.h.phnum = 0);
	LIE(page.h.phnum = 65535);
	LIE(page.h.phoff = 4096 - 56);
	LIE(page.h.phoff = UINT64_MAX - 8);
	LIE(page.h.entry = 0x3fffff);
	LIE(page.h.entry = 0x406000);
	LIE(page.p[3].filesz = page.p[3].memsz + 1);
	LIE(page.p[3].offset = 0x5000);
	LIE(page.p[3].offset = UINT64_MAX - 0xfff);
	LIE(page.p[3].vaddr++);
	LIE(page.p[3].vaddr = 0x400000);
	LIE(page.p[4].memsz = UINT64_MAX);
	LIE(page.p[4].memsz = MAX);
	LIE(page.p[4].vaddr = MAX + 0x800);
	LIE(page.p[3].align = 0x1800);
	LIE(page.p[3].align = 1ull << 40);
	LIE(page.p[1].filesz = 1);
	LIE(page.p[1].filesz = 4097);
	LIE(page.p[1].offset = FILE_BYTES - 5);
	LIE(page.p[0] = page.p[1]);                /* two interpreters */
	LIE(page.p[3].memsz = 0x1235; page.p[4].vaddr = 0x402800); /* zeroes and file in one page */
	LIE(page.p[2].memsz = page.p[2].filesz = page.p[3].memsz = page.p[3].filesz =
	    page.p[4].memsz = page.p[4].filesz = 0);
#undef LIE
	good(2, 0x400000);
	assert_int_equal(elf_parse(&page, 63, FILE_BYTES, MIN, MAX, &e), -X_ENOEXEC);
	assert_int_equal(elf_parse(&page, 64 + 5 * 56 - 1, FILE_BYTES, MIN, MAX, &e), -X_ENOEXEC);
	assert_int_equal(elf_parse(&page, 64 + 5 * 56, FILE_BYTES, MIN, MAX, &e), 0);
}

/* Whatever is accepted is safe to map. */
static void check(const struct elf_image *e)
{
	uint64_t last = 0;

	assert_true(e->segment_count > 0 && e->segment_count <= ELF_SEGMENTS_MAX);
	assert_true(e->low < e->high && e->high <= MAX);
	assert_true(e->entry >= e->low && e->entry < e->high);
	assert_true(e->movable || e->low >= MIN);
	assert_true(e->align >= X_PAGE_SIZE && (e->align & (e->align - 1)) == 0);
	for (uint32_t i = 0; i < e->segment_count; i++) {
		const struct elf_segment *s = &e->segments[i];

		assert_true(s->vaddr >= last && s->mem_bytes > 0);
		assert_true(s->vaddr + s->mem_bytes <= e->high);
		assert_true(s->file_bytes <= s->mem_bytes);
		assert_true(s->offset <= FILE_BYTES && s->file_bytes <= FILE_BYTES - s->offset);
		assert_int_equal((s->vaddr ^ s->offset) & 0xfff, 0);
		last = s->vaddr + s->mem_bytes;
	}
	if (e->has_interp)
		assert_true(e->interp_offset + e->interp_bytes <= FILE_BYTES);
}

static void test_damage(void **state)
{
	struct elf_image e;
	unsigned accepted = 0;

	(void)state;
	srand(1);
	for (int round = 0; round < 200000; round++) {
		uint8_t *bytes = (uint8_t *)&page;

		good(round & 1 ? 2 : 3, round & 1 ? 0x400000 : 0);
		for (int n = rand() % 4; n >= 0; n--) {
			int at = 16 + rand() % (64 + 5 * 56 - 16);

			bytes[at] = rand() & 1 ? (uint8_t)rand() : rand() & 1 ? 0xff : 0;
		}
		if (parse(&e) == 0) {
			check(&e);
			accepted++;
		}
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed), cmocka_unit_test(test_movable),
		cmocka_unit_test(test_lies), cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
