/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for backtraces, from sound and from damaged symbol tables.
 */
// sources: servers/rs/symbols.c
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "servers/rs/symbols.h"

static const char names[] = "\0data\0first\0second\0last";
static struct {
	Elf64_Ehdr h;
	Elf64_Shdr section[3];
	Elf64_Sym symbol[5];
	char names[sizeof(names)];
} image;
#define AT(member) offsetof(typeof(image), member)

static Elf64_Sym symbol(uint32_t name, uint8_t type, uint64_t at, uint64_t bytes)
{
	return (Elf64_Sym){ .st_name = name, .st_info = ELF64_ST_INFO(STB_LOCAL, type), .st_value = at, .st_size = bytes };
}

static int make(void **state)
{
	memset(&image, 0, sizeof(image));
	image.h.e_shentsize = sizeof(Elf64_Shdr);
	image.h.e_shoff = AT(section);
	image.h.e_shnum = 3;
	image.section[1] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = AT(symbol), .sh_size = sizeof(image.symbol), .sh_link = 2 };
	image.section[2] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = AT(names), .sh_size = sizeof(names) };
	image.symbol[1] = symbol(1, STT_OBJECT, 0x400000, 0x1000);
	image.symbol[2] = symbol(12, STT_FUNC, 0x400100, 0x40); /* in no order */
	image.symbol[3] = symbol(6, STT_FUNC, 0x400000, 0x80);
	image.symbol[4] = symbol(19, STT_FUNC, 0x400200, 0x10);
	memcpy(image.names, names, sizeof(names));
	return 0;
}

/* Exactly as long, so that overreads are seen. */
static const char *name(uint64_t bytes, uint64_t address)
{
	static char found[32];
	void *copy = malloc(bytes);
	const char *n;

	memcpy(copy, &image, bytes);
	n = symbol_name(copy, bytes, address);
	strncpy(found, n ? n : "", sizeof(found) - 1);
	free(copy);
	return n ? found : NULL;
}

static void functions_have_names(void **state)
{
	assert_string_equal(name(sizeof(image), 0x400000), "first");
	assert_string_equal(name(sizeof(image), 0x40007f), "first");
	assert_null(name(sizeof(image), 0x400080)); /* between two, though in an object */
	assert_string_equal(name(sizeof(image), 0x400100), "second");
	assert_string_equal(name(sizeof(image), 0x40020f), "last");
	assert_null(name(sizeof(image), 0x400210));
	assert_null(name(sizeof(image), 0));
	assert_null(name(sizeof(image), UINT64_MAX));
}

static void backtraces(void **state)
{
	/* The fault, a return address behind the last call of `first`, one that has no name, one in `last`. */
	static const uint64_t trace[] = { 0x400100, 0x400080, 0x500000, 0x400208, 0 };
	static const uint64_t nowhere[] = { 1, 2, 3 };
	char text[64];

	assert_int_equal(symbols_of_backtrace(text, sizeof(text), &image, sizeof(image), trace, 5), strlen("in second < first < last"));
	assert_string_equal(text, "in second < first < last");
	assert_int_equal(symbols_of_backtrace(text, 20, &image, sizeof(image), trace, 5), strlen("in second < first"));
	assert_string_equal(text, "in second < first");
	assert_int_equal(symbols_of_backtrace(text, 4, &image, sizeof(image), trace, 5), 0);
	assert_int_equal(symbols_of_backtrace(text, sizeof(text), &image, sizeof(image), nowhere, 3), 0);
}

#define UNSOUND(change) do { \
	make(state); \
	change; \
	assert_null(name(sizeof(image), 0x400000)); \
} while (0)

static void nothing_is_believed(void **state)
{
	for (uint64_t n = 0; n < sizeof(image); n++)
		name(n, 0x400000); /* no overread */
	UNSOUND(image.h.e_shoff = 0; image.h.e_shnum = 0);
	UNSOUND(image.h.e_shoff = UINT64_MAX - 7);
	UNSOUND(image.h.e_shoff += 1);
	UNSOUND(image.h.e_shnum = 0xffff);
	UNSOUND(image.h.e_shentsize = 1);
	UNSOUND(image.section[1].sh_link = 3);
	UNSOUND(image.section[1].sh_offset = UINT64_MAX - 7);
	UNSOUND(image.section[1].sh_size = UINT64_MAX);
	UNSOUND(image.section[2].sh_offset = sizeof(image));
	UNSOUND(image.section[2].sh_size = UINT64_MAX);
	UNSOUND(image.symbol[3].st_name = sizeof(names));
	UNSOUND(memset(image.names, 'x', sizeof(names)));
	UNSOUND(image.symbol[3].st_size = 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(functions_have_names, make), cmocka_unit_test_setup(backtraces, make),
		cmocka_unit_test(nothing_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
