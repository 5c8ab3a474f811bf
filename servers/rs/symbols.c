/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions by address. The table is not sorted and read once for each name: nobody is in a hurry
 * after a crash. Nothing of the image is believed.
 */
#include <elf.h>
#include <stdbool.h>
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "servers/rs/symbols.h"

struct table {
	const Elf64_Sym *symbols;
	uint64_t count;
	const char *names;
	uint64_t names_bytes;
};

static bool lies_inside(const Elf64_Shdr *h, uint64_t bytes)
{
	return h->sh_offset <= bytes && h->sh_size <= bytes - h->sh_offset;
}

static bool find_table(struct table *t, const char *image, uint64_t bytes)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *sections, *names;

	if (bytes < sizeof(*e) || e->e_shentsize != sizeof(Elf64_Shdr) || e->e_shoff % 8 || e->e_shoff > bytes ||
	    e->e_shnum > (bytes - e->e_shoff) / sizeof(Elf64_Shdr))
		return false;
	sections = (const Elf64_Shdr *)(image + e->e_shoff);
	for (uint32_t i = 0; i < e->e_shnum; i++) {
		const Elf64_Shdr *s = &sections[i];

		if (s->sh_type != SHT_SYMTAB || s->sh_offset % 8 || s->sh_link >= e->e_shnum)
			continue;
		names = &sections[s->sh_link];
		if (!lies_inside(s, bytes) || !lies_inside(names, bytes))
			return false;
		*t = (struct table){ (const Elf64_Sym *)(image + s->sh_offset), s->sh_size / sizeof(Elf64_Sym),
				     image + names->sh_offset, names->sh_size };
		return true;
	}
	return false;
}

const char *symbol_name(const void *image, uint64_t bytes, uint64_t address)
{
	struct table t;

	if (!find_table(&t, image, bytes))
		return NULL;
	for (uint64_t i = 0; i < t.count; i++) {
		const Elf64_Sym *s = &t.symbols[i];

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || address < s->st_value || address - s->st_value >= s->st_size)
			continue;
		if (s->st_name >= t.names_bytes || strnlen(t.names + s->st_name, t.names_bytes - s->st_name) ==
						   t.names_bytes - s->st_name)
			return NULL;
		return t.names + s->st_name;
	}
	return NULL;
}

size_t symbols_of_backtrace(char *text, size_t size, const void *image, uint64_t bytes, const uint64_t *trace, uint32_t count)
{
	size_t length = 0;

	for (uint32_t i = 0; i < count && trace[i]; i++) {
		/* A return address may lie behind its function, after a last call. */
		const char *name = symbol_name(image, bytes, trace[i] - (i > 0));
		const char *ahead = length ? " < " : "in ";

		if (!name)
			continue;
		if (strlen(ahead) + strlen(name) >= size - length)
			break;
		length += snprintf(text + length, size - length, "%s%s", ahead, name);
	}
	return length;
}
