/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partition tables: GPT (UEFI 2.10, chapter 5) and MBR with extended
 * partitions. The scan is a state machine without I/O of its own: it says what
 * it wants to read and is given it. Everything on the disk is doubted: bounds,
 * checksums, overlaps, loops. What is wrong is left out, not repaired.
 *
 *   partition_scan_begin(&s, size, block);
 *   while (partition_scan_wants(&s, &offset, &bytes))
 *           partition_scan_give(&s, data, status);
 */
#ifndef LIB_BLOCKDRV_PARTITION_H
#define LIB_BLOCKDRV_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#define PARTITION_MAX      128u
#define PARTITION_EBRS     124u   /* links of an extended partition that are followed: numbers 5..128 */
#define PARTITION_READ_MAX 65536u /* bytes wanted at once */

struct partition {
	uint32_t number;          /* 1.. as Linux numbers them */
	uint64_t offset_bytes, size_bytes;
	char name[40];            /* GPT: its name, '?' for what is not ASCII */
};

enum partition_scan_state {
	SCAN_MBR,           /* wants block 0 */
	SCAN_GPT_HEADER,    /* wants the primary header */
	SCAN_GPT_ENTRIES,   /* wants the array it tells of */
	SCAN_BACKUP_HEADER, /* primary is bad: wants the last block */
	SCAN_BACKUP_ENTRIES,
	SCAN_CHECK_BACKUP,  /* primary is good: wants the last block all the same */
	SCAN_EBR,           /* wants the next link of the extended partition */
	SCAN_DONE,
};

enum partition_scheme { SCHEME_NONE, SCHEME_MBR, SCHEME_GPT, SCHEME_GPT_BACKUP, SCHEME_GPT_BAD };

struct partition_scan {
	enum partition_scan_state state;
	enum partition_scheme scheme;
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint32_t skipped;               /* entries left out because they are wrong */
	const char *notice;             /* what should be repaired, why the table was refused, or else why
	                                   the first entry was left out; or NULL */
	/* GPT, of the header last accepted */
	uint64_t entries_lba, first_usable_lba, last_usable_lba;
	uint32_t entry_count, entry_bytes, entries_crc32;
	/* MBR */
	uint64_t extended_lba, extended_blocks, ebr_lba;
	uint32_t ebr_count;
	uint64_t ebr_seen[PARTITION_EBRS]; /* links followed, to know a loop */
	/* result */
	uint32_t count;
	struct partition partitions[PARTITION_MAX];
};

/* Starts a scan of a disk; then partition_scan_wants() and _give() in turn until it is done. */
void partition_scan_begin(struct partition_scan *s, uint64_t size_bytes, uint32_t block_bytes);
/* false: the scan is done. *bytes <= PARTITION_READ_MAX, both multiples of the block. */
bool partition_scan_wants(const struct partition_scan *s, uint64_t *offset_bytes, uint32_t *bytes);
/* What was wanted; status < 0: it could not be read. */
void partition_scan_give(struct partition_scan *s, const uint8_t *data, int status);

/* For people: "gpt", "mbr", "none". */
const char *partition_scheme_name(enum partition_scheme scheme);

/* Within the library: an entry is left out, and why. */
void partition_skip(struct partition_scan *s, const char *why);
/* Within the library: bounds- and overlap-checked append; false: left out. */
bool partition_add(struct partition_scan *s, uint32_t number, uint64_t lba, uint64_t blocks, const char *name);
void partition_gpt_header(struct partition_scan *s, const uint8_t *block);
void partition_gpt_entries(struct partition_scan *s, const uint8_t *data);
void partition_gpt_failed(struct partition_scan *s);
void partition_gpt_check_backup(struct partition_scan *s, const uint8_t *block); /* NULL: unreadable */

#endif
