/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot archive's reader, with sound and damaged archives; ELF checks.
 */
// sources: servers/rs/archive.c servers/rs/elf.c lib/c/crc32.c
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xinim/abi.h>
#include "servers/rs/archive.h"
#include "servers/rs/elf.h"

#define BYTES (3 * ARCHIVE_ALIGN)

static union { unsigned char bytes[BYTES]; struct archive_header h; } a;
static struct archive_entry *const entries = (struct archive_entry *)(&a.h + 1);
static struct archive opened;

static void seal(void)
{
	a.h.checksum = archive_checksum(&a.h, entries);
}

static int make(void **state)
{
	memset(&a, 0, sizeof(a));
	a.h.magic = ARCHIVE_MAGIC;
	a.h.bytes = BYTES;
	a.h.count = 2;
	strcpy(entries[0].name, "bin/rs");
	entries[0].offset = ARCHIVE_ALIGN;
	entries[0].bytes = 5;
	memcpy(a.bytes + ARCHIVE_ALIGN, "hello", 5);
	strcpy(entries[1].name, "manifest/x");
	entries[1].offset = 2 * ARCHIVE_ALIGN;
	entries[1].bytes = ARCHIVE_ALIGN;
	seal();
	return 0;
}

static void sound(void **state)
{
	uint64_t bytes;
	const void *p;

	assert_null(archive_open(&opened, &a, BYTES));
	p = archive_find(&opened, "bin/rs", &bytes);
	assert_non_null(p);
	assert_int_equal(bytes, 5);
	assert_memory_equal(p, "hello", 5);
	assert_null(archive_find(&opened, "bin/r", &bytes));
	assert_string_equal(archive_name(&opened, 1), "manifest/x");
	assert_null(archive_name(&opened, 2));
}

static void cut(void **state)
{
	for (uint64_t n = 0; n < BYTES; n += 8) {
		void *copy = malloc(n ? n : 1); /* reads beyond the end are seen */

		memcpy(copy, &a, n);
		assert_non_null(archive_open(&opened, copy, n));
		assert_null(archive_name(&opened, 0));
		free(copy);
	}
}

static void flipped(void **state)
{
	for (size_t bit = 0; bit < 8 * (sizeof(a.h) + 2 * sizeof(*entries)); bit++) {
		a.bytes[bit / 8] ^= 1u << bit % 8;
		assert_non_null(archive_open(&opened, &a, BYTES));
		a.bytes[bit / 8] ^= 1u << bit % 8;
	}
	assert_null(archive_open(&opened, &a, BYTES));
}

/* With a right checksum, so that the checks behind it are reached. */
static void hostile(void **state)
{
	static const struct { uint64_t offset, bytes; } bad[] = {
		{ 0, 1 }, { ARCHIVE_ALIGN + 1, 1 }, { BYTES, 1 }, { 4 * ARCHIVE_ALIGN, 0 },
		{ ARCHIVE_ALIGN, UINT64_MAX }, { 0 - (uint64_t)ARCHIVE_ALIGN, ARCHIVE_ALIGN },
		{ 2 * ARCHIVE_ALIGN, ARCHIVE_ALIGN + 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		entries[1].offset = bad[i].offset;
		entries[1].bytes = bad[i].bytes;
		seal();
		assert_non_null(archive_open(&opened, &a, BYTES));
	}
	make(state);
	memset(entries[1].name, 'x', sizeof(entries[1].name));
	seal();
	assert_non_null(archive_open(&opened, &a, BYTES));
	make(state);
	a.h.count = UINT32_MAX;
	assert_non_null(archive_open(&opened, &a, BYTES));
	a.h.count = ARCHIVE_MAX_ENTRIES;
	a.h.bytes = ARCHIVE_ALIGN;
	assert_non_null(archive_open(&opened, &a, BYTES));
	make(state);
	a.h.bytes = UINT64_MAX;
	seal();
	assert_non_null(archive_open(&opened, &a, BYTES));
}

/* --------------------------------------------------------------------- ELF */

#define LIMIT 0x7f0000000000ull
static struct { Elf64_Ehdr h; Elf64_Phdr p[2]; unsigned char rest[4096]; } elf;
static struct elf_image image;

static int make_elf(void **state)
{
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.h.e_ident, ELFMAG, SELFMAG);
	elf.h.e_ident[EI_CLASS] = ELFCLASS64;
	elf.h.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.h.e_machine = EM_X86_64;
	elf.h.e_version = EV_CURRENT;
	elf.h.e_type = ET_EXEC;
	elf.h.e_phentsize = sizeof(Elf64_Phdr);
	elf.h.e_phoff = offsetof(typeof(elf), p);
	elf.h.e_phnum = 2;
	elf.h.e_entry = 0x400010;
	elf.p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000,
				 .p_filesz = 0x100, .p_memsz = 0x100 };
	elf.p[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_vaddr = 0x401100, .p_offset = 0x100,
				 .p_filesz = 0x10, .p_memsz = 0x3000 };
	return 0;
}

static void elf_sound(void **state)
{
	assert_null(elf_check(&image, &elf, sizeof(elf), LIMIT));
	assert_int_equal(image.segment_count, 2);
	assert_int_equal(image.segment[1].map_addr, 0x401000);
	assert_int_equal(image.segment[1].map_bytes, 0x4000);
	assert_int_equal(image.segment[1].prot, X_PROT_READ | X_PROT_WRITE);
}

#define REFUSED(change) do { \
	make_elf(state); \
	change; \
	assert_non_null(elf_check(&image, &elf, sizeof(elf), LIMIT)); \
} while (0)

static void elf_refused(void **state)
{
	REFUSED(elf.h.e_ident[0] = 0);
	REFUSED(elf.h.e_machine = EM_386);
	REFUSED(elf.h.e_type = ET_DYN);
	REFUSED(elf.h.e_phoff = UINT64_MAX - 7);
	REFUSED(elf.h.e_phnum = 0xffff);
	REFUSED(elf.h.e_phentsize = 1);
	REFUSED(elf.h.e_entry = 0x401100);
	REFUSED(elf.h.e_entry = 0x3fffff);
	REFUSED(elf.p[0].p_flags |= PF_W);
	REFUSED(elf.p[0].p_type = PT_INTERP);
	REFUSED(elf.p[1].p_type = PT_TLS);
	REFUSED(elf.p[1].p_vaddr = 0x400200);
	REFUSED(elf.p[1].p_vaddr = 0x1000);
	REFUSED(elf.p[1].p_vaddr = LIMIT);
	REFUSED(elf.p[1].p_memsz = UINT64_MAX);
	REFUSED(elf.p[1].p_filesz = 0x4000);
	REFUSED(elf.p[1].p_offset = UINT64_MAX);
	REFUSED(elf.p[1].p_offset = sizeof(elf) - 1);
	make_elf(state);
	for (size_t n = 0; n < sizeof(elf.h) + sizeof(elf.p); n++)
		assert_non_null(elf_check(&image, &elf, n, LIMIT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sound, make), cmocka_unit_test_setup(cut, make),
		cmocka_unit_test_setup(flipped, make), cmocka_unit_test_setup(hostile, make),
		cmocka_unit_test_setup(elf_sound, make_elf), cmocka_unit_test_setup(elf_refused, make_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
