/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUID partition tables (UEFI 2.10, 5.3): primary header in block 1, backup in
 * the last block. Part of partition.h's scan.
 */
#include "lib/blockdrv/partition.h"

#include "lib/c/crc32.h"
#include "lib/c/string.h"
#include <stddef.h>

struct gpt_header {
	uint8_t signature[8];          /* "EFI PART" */
	uint32_t revision;
	uint32_t header_bytes;
	uint32_t header_crc32;         /* of header_bytes, this field zero */
	uint32_t reserved;
	uint64_t my_lba, alternate_lba;
	uint64_t first_usable_lba, last_usable_lba;
	uint8_t disk_guid[16];
	uint64_t entries_lba;
	uint32_t entry_count, entry_bytes, entries_crc32;
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_header) == 92, "struct gpt_header");

struct gpt_entry {
	uint8_t type_guid[16];         /* zero: unused */
	uint8_t guid[16];
	uint64_t first_lba, last_lba;  /* inclusive */
	uint64_t attributes;
	uint16_t name[36];             /* UTF-16LE */
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_entry) == 128, "struct gpt_entry");

static uint64_t disk_blocks(const struct partition_scan *s)
{
	return s->size_bytes / s->block_bytes;
}

static uint64_t array_blocks(const struct partition_scan *s, const struct gpt_header *h)
{
	return ((uint64_t)h->entry_count * h->entry_bytes + s->block_bytes - 1) / s->block_bytes;
}

static bool checksum_holds(const struct gpt_header *h, const uint8_t *block)
{
	uint8_t copy[512];
	uint32_t zero = 0;

	memcpy(copy, block, h->header_bytes);
	memcpy(copy + offsetof(struct gpt_header, header_crc32), &zero, sizeof(zero));
	return crc32(0, copy, h->header_bytes) == h->header_crc32;
}

static bool header_holds(const struct partition_scan *s, const struct gpt_header *h, const uint8_t *block,
			 uint64_t lba)
{
	uint64_t blocks = disk_blocks(s);

	if (memcmp(h->signature, "EFI PART", 8) || h->header_bytes < sizeof(*h) || h->header_bytes > 512)
		return false;
	if (!checksum_holds(h, block) || h->my_lba != lba)
		return false;
	if (h->first_usable_lba > h->last_usable_lba || h->last_usable_lba >= blocks)
		return false;
	/* The array of a sane table; a larger one than we read is not supported. */
	if (h->entry_bytes < sizeof(struct gpt_entry) || h->entry_bytes % 8 || h->entry_bytes > 4096 ||
	    !h->entry_count || h->entry_count > PARTITION_READ_MAX / h->entry_bytes)
		return false;
	return h->entries_lba >= 2 && h->entries_lba < blocks &&
	       array_blocks(s, h) <= blocks - h->entries_lba &&
	       array_blocks(s, h) * s->block_bytes <= PARTITION_READ_MAX;
}

void partition_gpt_failed(struct partition_scan *s)
{
	if (s->state == SCAN_GPT_HEADER || s->state == SCAN_GPT_ENTRIES) {
		s->state = SCAN_BACKUP_HEADER;
		return;
	}
	s->scheme = SCHEME_GPT_BAD;
	s->notice = "both copies of the GPT are damaged";
	s->state = SCAN_DONE;
}

void partition_gpt_check_backup(struct partition_scan *s, const uint8_t *block)
{
	struct gpt_header h;

	if (block)
		memcpy(&h, block, sizeof(h));
	if (!block || !header_holds(s, &h, block, disk_blocks(s) - 1))
		s->notice = "the backup GPT is damaged or not at the end of the disk (repair: sgdisk -e)";
	else if (h.entries_crc32 != s->entries_crc32)
		s->notice = "the backup GPT tells of other partitions than the primary";
	s->state = SCAN_DONE;
}

void partition_gpt_header(struct partition_scan *s, const uint8_t *block)
{
	bool primary = s->state == SCAN_GPT_HEADER;
	struct gpt_header h;

	memcpy(&h, block, sizeof(h));
	if (!header_holds(s, &h, block, primary ? 1 : disk_blocks(s) - 1)) {
		partition_gpt_failed(s);
		return;
	}
	s->entries_lba = h.entries_lba;
	s->first_usable_lba = h.first_usable_lba;
	s->last_usable_lba = h.last_usable_lba;
	s->entry_count = h.entry_count;
	s->entry_bytes = h.entry_bytes;
	s->entries_crc32 = h.entries_crc32;
	s->state = primary ? SCAN_GPT_ENTRIES : SCAN_BACKUP_ENTRIES;
}

static void entry_name(const struct gpt_entry *e, char *name, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < 36 && i + 1 < size; i++) {
		uint16_t c;

		memcpy(&c, (const uint8_t *)e + offsetof(struct gpt_entry, name) + 2 * i, sizeof(c));
		if (!c)
			break;
		name[i] = c >= 32 && c < 127 ? (char)c : '?';
	}
	name[i] = 0;
}

static void take_entry(struct partition_scan *s, uint32_t number, const uint8_t *data)
{
	static const uint8_t unused[16];
	char name[40];
	struct gpt_entry e;

	memcpy(&e, data, sizeof(e));
	if (!memcmp(e.type_guid, unused, 16))
		return;
	if (e.first_lba < s->first_usable_lba || e.last_lba > s->last_usable_lba || e.first_lba > e.last_lba) {
		partition_skip(s, "a partition lies outside what the GPT says is usable");
		return;
	}
	entry_name(&e, name, sizeof(name));
	partition_add(s, number, e.first_lba, e.last_lba - e.first_lba + 1, name);
}

void partition_gpt_entries(struct partition_scan *s, const uint8_t *data)
{
	if (crc32(0, data, s->entry_count * s->entry_bytes) != s->entries_crc32) {
		partition_gpt_failed(s);
		return;
	}
	for (uint32_t i = 0; i < s->entry_count; i++)
		take_entry(s, i + 1, data + (uint64_t)i * s->entry_bytes);
	if (s->state == SCAN_GPT_ENTRIES) {
		s->scheme = SCHEME_GPT;
		s->state = SCAN_CHECK_BACKUP;
		return;
	}
	s->scheme = SCHEME_GPT_BACKUP;
	s->notice = "the primary GPT is damaged; the backup was used (repair: sgdisk -e, or write the table again)";
	s->state = SCAN_DONE;
}
