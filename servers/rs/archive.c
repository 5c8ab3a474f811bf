/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader of the boot archive.
 */
#include "lib/c/crc32.h"
#include "lib/c/string.h"
#include "servers/rs/archive.h"

uint32_t archive_checksum(const struct archive_header *h, const struct archive_entry *entries)
{
	struct archive_header copy = *h;

	copy.checksum = 0;
	return crc32(crc32(0, &copy, sizeof(copy)), entries, h->count * sizeof(*entries));
}

static const char *check_entry(const struct archive_header *h, const struct archive_entry *e)
{
	if (strnlen(e->name, sizeof(e->name)) == sizeof(e->name) || !e->name[0])
		return "an entry has no proper name";
	if (e->offset % ARCHIVE_ALIGN || e->offset > h->bytes || e->bytes > h->bytes - e->offset)
		return "an entry lies outside the archive";
	if (e->offset < sizeof(*h) + h->count * sizeof(*e))
		return "an entry overlaps the directory";
	return NULL;
}

const char *archive_open(struct archive *a, const void *base, uint64_t bytes)
{
	const struct archive_header *h = base;
	const struct archive_entry *entries = (const struct archive_entry *)(h + 1);

	a->header = NULL;
	if (bytes < sizeof(*h) || h->magic != ARCHIVE_MAGIC)
		return "not a boot archive";
	if (h->bytes > bytes || h->count > ARCHIVE_MAX_ENTRIES ||
	    sizeof(*h) + h->count * sizeof(*entries) > h->bytes)
		return "the archive is cut short";
	if (archive_checksum(h, entries) != h->checksum)
		return "the directory's checksum is wrong";
	for (uint32_t i = 0; i < h->count; i++) {
		const char *wrong = check_entry(h, &entries[i]);

		if (wrong)
			return wrong;
	}
	a->header = h;
	a->entries = entries;
	return NULL;
}

const void *archive_find(const struct archive *a, const char *name, uint64_t *bytes)
{
	for (uint32_t i = 0; a->header && i < a->header->count; i++) {
		const struct archive_entry *e = &a->entries[i];

		if (strcmp(e->name, name))
			continue;
		*bytes = e->bytes;
		return (const char *)a->header + e->offset;
	}
	return NULL;
}

const char *archive_name(const struct archive *a, uint32_t index)
{
	return a->header && index < a->header->count ? a->entries[index].name : NULL;
}
