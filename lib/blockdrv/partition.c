/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scan of partition.h: its states, and MBR tables with the chain of
 * extended boot records (numbers 5 and up, as Linux counts).
 */
#include "lib/blockdrv/partition.h"

#include "lib/c/string.h"

#define TYPE_EMPTY        0x00
#define TYPE_EXTENDED     0x05
#define TYPE_EXTENDED_LBA 0x0f
#define TYPE_EXTENDED_LINUX 0x85
#define TYPE_GPT          0xee

struct mbr_entry {
	uint8_t status;             /* 0x80 active, 0 not */
	uint8_t first_chs[3];
	uint8_t type;
	uint8_t last_chs[3];
	uint32_t first_lba, blocks;
} __attribute__((packed));
_Static_assert(sizeof(struct mbr_entry) == 16, "struct mbr_entry");

const char *partition_scheme_name(enum partition_scheme scheme)
{
	static const char *const names[] = { "none", "mbr", "gpt", "gpt (backup)", "gpt (damaged)" };

	return names[scheme];
}

void partition_scan_begin(struct partition_scan *s, uint64_t size_bytes, uint32_t block_bytes)
{
	memset(s, 0, sizeof(*s));
	s->size_bytes = size_bytes;
	s->block_bytes = block_bytes;
	/* Room for an MBR, two GPT headers and something between them. */
	s->state = block_bytes >= 512 && block_bytes <= 4096 && size_bytes / block_bytes >= 8 ? SCAN_MBR : SCAN_DONE;
}

bool partition_scan_wants(const struct partition_scan *s, uint64_t *offset_bytes, uint32_t *bytes)
{
	uint64_t array = (uint64_t)s->entry_count * s->entry_bytes;

	*bytes = s->block_bytes;
	switch (s->state) {
	case SCAN_MBR:
		*offset_bytes = 0;
		return true;
	case SCAN_GPT_HEADER:
		*offset_bytes = s->block_bytes;
		return true;
	case SCAN_BACKUP_HEADER:
	case SCAN_CHECK_BACKUP:
		*offset_bytes = (s->size_bytes / s->block_bytes - 1) * s->block_bytes;
		return true;
	case SCAN_GPT_ENTRIES:
	case SCAN_BACKUP_ENTRIES:
		*offset_bytes = s->entries_lba * s->block_bytes;
		*bytes = (array + s->block_bytes - 1) / s->block_bytes * s->block_bytes;
		return true;
	case SCAN_EBR:
		*offset_bytes = s->ebr_lba * s->block_bytes;
		return true;
	case SCAN_DONE:
		break;
	}
	return false;
}

static bool overlaps(const struct partition *p, uint64_t offset, uint64_t bytes)
{
	return offset < p->offset_bytes + p->size_bytes && p->offset_bytes < offset + bytes;
}

void partition_skip(struct partition_scan *s, const char *why)
{
	s->skipped++;
	if (!s->notice)
		s->notice = why;
}

bool partition_add(struct partition_scan *s, uint32_t number, uint64_t lba, uint64_t blocks, const char *name)
{
	uint64_t total = s->size_bytes / s->block_bytes;
	uint64_t offset = lba * s->block_bytes, bytes = blocks * s->block_bytes;
	struct partition *p = &s->partitions[s->count];

	if (number > PARTITION_MAX || s->count == PARTITION_MAX || !lba || !blocks || lba >= total ||
	    blocks > total - lba) {
		partition_skip(s, "a partition lies outside the disk, or has a number that is too high");
		return false;
	}
	for (uint32_t i = 0; i < s->count; i++)
		if (overlaps(&s->partitions[i], offset, bytes)) {
			partition_skip(s, "a partition overlaps an earlier one");
			return false;
		}
	*p = (struct partition){ .number = number, .offset_bytes = offset, .size_bytes = bytes };
	strlcpy(p->name, name, sizeof(p->name));
	s->count++;
	return true;
}

/* ------------------------------------------------------------------------- MBR */

static bool is_extended(uint8_t type)
{
	return type == TYPE_EXTENDED || type == TYPE_EXTENDED_LBA || type == TYPE_EXTENDED_LINUX;
}

/* A boot sector of a filesystem has the same signature, but text or code where
 * the table would be. */
static bool table_holds(const struct mbr_entry entries[4], const uint8_t *block)
{
	if (block[510] != 0x55 || block[511] != 0xaa)
		return false;
	for (int i = 0; i < 4; i++)
		if (entries[i].status & 0x7f)
			return false;
	return true;
}

static void scan_mbr(struct partition_scan *s, const uint8_t *block)
{
	struct mbr_entry entries[4];

	memcpy(entries, block + 446, sizeof(entries));
	s->state = SCAN_DONE;
	if (!table_holds(entries, block))
		return;
	for (int i = 0; i < 4; i++)
		if (entries[i].type == TYPE_GPT) {
			s->state = SCAN_GPT_HEADER;
			return;
		}
	s->scheme = SCHEME_MBR;
	for (int i = 0; i < 4; i++) {
		const struct mbr_entry *e = &entries[i];

		if (e->type == TYPE_EMPTY || !e->blocks)
			continue;
		if (!is_extended(e->type)) {
			partition_add(s, i + 1, e->first_lba, e->blocks, "");
		} else if (!s->extended_lba && e->first_lba &&
			   e->first_lba < s->size_bytes / s->block_bytes) {
			s->extended_lba = s->ebr_lba = e->first_lba;
			s->extended_blocks = e->blocks;
			s->state = SCAN_EBR;
		}
	}
}

/* Where the chain goes on, relative to its first link; false: nowhere. */
static bool next_ebr(struct partition_scan *s, uint64_t relative)
{
	uint64_t lba = s->extended_lba + relative;

	if (relative >= s->extended_blocks || lba >= s->size_bytes / s->block_bytes) {
		partition_skip(s, "the chain of logical partitions leaves the extended one");
		return false;
	}
	for (uint32_t i = 0; i < s->ebr_count; i++)
		if (s->ebr_seen[i] == lba) {
			partition_skip(s, "the chain of logical partitions is a loop");
			return false;
		}
	if (s->ebr_count == PARTITION_EBRS) {
		partition_skip(s, "there are more logical partitions than are supported");
		return false;
	}
	s->ebr_lba = lba;
	return true;
}

/* An EBR: its partition, relative to itself, and the next EBR, relative to the
 * first. */
static void scan_ebr(struct partition_scan *s, const uint8_t *block)
{
	struct mbr_entry entries[4];

	memcpy(entries, block + 446, sizeof(entries));
	s->state = SCAN_DONE;
	if (!table_holds(entries, block)) {
		partition_skip(s, "a link of the chain of logical partitions is damaged");
		return;
	}
	if (entries[0].type != TYPE_EMPTY && entries[0].blocks)
		partition_add(s, 5 + s->ebr_count, s->ebr_lba + entries[0].first_lba, entries[0].blocks, "");
	s->ebr_seen[s->ebr_count++] = s->ebr_lba;
	if (is_extended(entries[1].type) && entries[1].first_lba && next_ebr(s, entries[1].first_lba))
		s->state = SCAN_EBR;
}

void partition_scan_give(struct partition_scan *s, const uint8_t *data, int status)
{
	switch (s->state) {
	case SCAN_MBR:
	case SCAN_EBR:
		if (status < 0) {
			s->state = SCAN_DONE;
			s->notice = "a block of the partition table cannot be read";
		} else if (s->state == SCAN_MBR) {
			scan_mbr(s, data);
		} else {
			scan_ebr(s, data);
		}
		break;
	case SCAN_GPT_HEADER:
	case SCAN_BACKUP_HEADER:
		if (status < 0)
			partition_gpt_failed(s);
		else
			partition_gpt_header(s, data);
		break;
	case SCAN_GPT_ENTRIES:
	case SCAN_BACKUP_ENTRIES:
		if (status < 0)
			partition_gpt_failed(s);
		else
			partition_gpt_entries(s, data);
		break;
	case SCAN_CHECK_BACKUP:
		partition_gpt_check_backup(s, status < 0 ? NULL : data);
		break;
	case SCAN_DONE:
		break;
	}
}
