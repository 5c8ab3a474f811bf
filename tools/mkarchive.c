/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the boot archive (proto/archive.h). Runs on the host.
 *
 *   mkarchive OUT name=path ...
 *
 * The order on the command line is the order in the archive.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proto/archive.h"
#include "servers/rs/archive.h"

struct content { const char *path; unsigned char *data; };

static struct archive_entry entries[ARCHIVE_MAX_ENTRIES];
static struct content contents[ARCHIVE_MAX_ENTRIES];

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
	fprintf(stderr, "mkarchive: %s: %s\n", what, why);
	exit(1);
}

static unsigned char *read_whole(const char *path, uint64_t *bytes)
{
	FILE *f = fopen(path, "rb");
	unsigned char *data = NULL;
	size_t size = 0, capacity = 0, n;

	if (!f)
		fail(path, strerror(errno));
	do {
		if (size == capacity) {
			capacity = capacity ? 2 * capacity : 65536;
			data = realloc(data, capacity);
			if (!data)
				fail(path, "out of memory");
		}
		n = fread(data + size, 1, capacity - size, f);
		size += n;
	} while (n);
	if (ferror(f))
		fail(path, strerror(errno));
	fclose(f);
	*bytes = size;
	return data;
}

static void add(uint32_t index, const char *arg)
{
	struct archive_entry *e = &entries[index];
	const char *eq = strchr(arg, '=');

	if (!eq || eq == arg || !eq[1])
		fail(arg, "expected name=path");
	if ((size_t)(eq - arg) >= sizeof(e->name))
		fail(arg, "name is too long");
	memcpy(e->name, arg, eq - arg);
	for (uint32_t i = 0; i < index; i++)
		if (!strcmp(entries[i].name, e->name))
			fail(e->name, "given twice");
	contents[index].path = eq + 1;
	contents[index].data = read_whole(eq + 1, &e->bytes);
}

static uint64_t align_up(uint64_t x)
{
	return (x + ARCHIVE_ALIGN - 1) / ARCHIVE_ALIGN * ARCHIVE_ALIGN;
}

static void put(FILE *f, const void *data, size_t bytes, const char *path)
{
	if (bytes && fwrite(data, 1, bytes, f) != bytes)
		fail(path, strerror(errno));
}

static void pad_to(FILE *f, uint64_t offset, const char *path)
{
	static const unsigned char zeroes[ARCHIVE_ALIGN];

	while ((uint64_t)ftell(f) < offset) {
		uint64_t n = offset - ftell(f);

		put(f, zeroes, n < sizeof(zeroes) ? n : sizeof(zeroes), path);
	}
}

static void write_archive(const char *path, uint32_t count)
{
	struct archive_header h = { .magic = ARCHIVE_MAGIC, .count = count };
	uint64_t at = align_up(sizeof(h) + count * sizeof(entries[0]));
	FILE *f = fopen(path, "wb");

	if (!f)
		fail(path, strerror(errno));
	for (uint32_t i = 0; i < count; i++) {
		entries[i].offset = at;
		at = align_up(at + entries[i].bytes);
	}
	h.bytes = at;
	h.checksum = archive_checksum(&h, entries);
	put(f, &h, sizeof(h), path);
	put(f, entries, count * sizeof(entries[0]), path);
	for (uint32_t i = 0; i < count; i++) {
		pad_to(f, entries[i].offset, path);
		put(f, contents[i].data, entries[i].bytes, path);
		free(contents[i].data);
	}
	pad_to(f, h.bytes, path);
	if (fclose(f))
		fail(path, strerror(errno));
}

int main(int argc, char **argv)
{
	if (argc < 2 || !strcmp(argv[1], "--help")) {
		fprintf(stderr, "usage: mkarchive OUT name=path ...\n");
		return argc < 2 ? 2 : 0;
	}
	if ((uint32_t)argc - 2 > ARCHIVE_MAX_ENTRIES)
		fail(argv[1], "too many entries");
	for (int i = 2; i < argc; i++)
		add(i - 2, argv[i]);
	write_archive(argv[1], argc - 2);
	return 0;
}
