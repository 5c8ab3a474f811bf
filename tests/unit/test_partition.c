/* SPDX-License-Identifier: BSD-2-Clause */
/* Partition tables: made by sgdisk where there is one, and damaged ones made by hand. */
// sources: lib/blockdrv/partition.c lib/blockdrv/gpt.c lib/c/strlcpy.c lib/c/crc32.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/blockdrv/partition.h"
#include "lib/c/crc32.h"

#define MIB   (1u << 20)
#define SIZE  (16u * MIB)
#define LAST  (SIZE - 512)

static uint8_t *disk;
static uint64_t unreadable = UINT64_MAX; /* a read that touches it fails */
static struct partition_scan s;

static int setup(void **state)
{
	(void)state;
	disk = calloc(1, SIZE);
	unreadable = UINT64_MAX;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(disk);
	return 0;
}

static unsigned scan(void)
{
	uint64_t offset;
	uint32_t bytes;
	unsigned reads = 0;

	partition_scan_begin(&s, SIZE, 512);
	while (partition_scan_wants(&s, &offset, &bytes)) {
		assert_true(bytes && bytes <= PARTITION_READ_MAX && !(bytes % 512) && !(offset % 512));
		assert_true(offset <= SIZE - bytes);
		uint8_t *exact = malloc(bytes); /* so that reading past it is seen */
		memcpy(exact, disk + offset, bytes);
		partition_scan_give(&s, exact, unreadable - offset < bytes ? -5 : 0);
		free(exact);
		assert_true(++reads < 200);
	}
	return reads;
}

static void put32(uint32_t at, uint32_t v) { memcpy(disk + at, &v, 4); }
static void put64(uint32_t at, uint64_t v) { memcpy(disk + at, &v, 8); }

static void mbr_entry(uint32_t lba, int index, uint8_t type, uint32_t first, uint32_t blocks)
{
	uint32_t at = lba * 512 + 446 + index * 16;

	disk[at + 4] = type;
	put32(at + 8, first);
	put32(at + 12, blocks);
	disk[lba * 512 + 510] = 0x55;
	disk[lba * 512 + 511] = 0xaa;
}

static void seal(uint32_t header, uint32_t entries)
{
	put32(header + 88, crc32(0, disk + entries, 128 * 128));
	put32(header + 16, 0);
	put32(header + 16, crc32(0, disk + header, 92));
}

static void gpt_header(uint32_t at, uint64_t my, uint64_t other, uint64_t entries)
{
	memcpy(disk + at, "EFI PART\0\0\1\0", 12);
	put32(at + 12, 92);
	put64(at + 24, my);
	put64(at + 32, other);
	put64(at + 40, 34);
	put64(at + 48, SIZE / 512 - 34);
	put64(at + 72, entries);
	put32(at + 80, 128);
	put32(at + 84, 128);
	seal(at, entries * 512);
}

static void gpt_entry(uint32_t index, uint64_t first, uint64_t last)
{
	for (int copy = 0; copy < 2; copy++) {
		uint32_t at = (copy ? LAST - 32 * 512 : 1024) + index * 128;

		disk[at] = 0xaf;
		put64(at + 32, first);
		put64(at + 40, last);
		memcpy(disk + at + 56, "r\0o\0\xe9\0t\0", 8);
	}
}

static void gpt(void)
{
	mbr_entry(0, 0, 0xee, 1, SIZE / 512 - 1);
	gpt_header(512, 1, LAST / 512, 2);
	gpt_header(LAST, LAST / 512, 1, LAST / 512 - 32);
}

static void nothing(void **state)
{
	(void)state;
	assert_int_equal(scan(), 1);
	assert_int_equal(s.scheme, SCHEME_NONE);
	memset(disk, 0x55, 512); /* a boot sector of a filesystem */
	disk[511] = 0xaa;
	scan();
	assert_int_equal(s.scheme, SCHEME_NONE);
	unreadable = 0;
	scan();
	assert_int_equal(s.count, 0);
	partition_scan_begin(&s, 512, 512);
	assert_int_equal(s.state, SCAN_DONE);
}

static void gpt_good(void **state)
{
	(void)state;
	gpt_entry(0, 2048, 4095);
	gpt_entry(4, 4096, 8191);
	gpt();
	scan();
	assert_int_equal(s.scheme, SCHEME_GPT);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.partitions[0].offset_bytes, MIB);
	assert_int_equal(s.partitions[0].size_bytes, MIB);
	assert_string_equal(s.partitions[0].name, "ro?t");
	assert_int_equal(s.partitions[1].number, 5);
}

static void gpt_wrong_entries(void **state)
{
	(void)state;
	gpt_entry(0, 2048, 4095);
	gpt_entry(1, 4000, 5000);              /* overlaps */
	gpt_entry(2, 6000, 5999);              /* ends before it begins */
	gpt_entry(3, 33, 100);                 /* over the table */
	gpt_entry(5, 8000, SIZE / 512);        /* past the end */
	gpt_entry(6, 8000, UINT64_MAX);
	gpt();
	scan();
	assert_int_equal(s.count, 1);
	assert_int_equal(s.skipped, 5);
}

static void gpt_backup(void **state)
{
	(void)state;
	gpt_entry(0, 2048, 4095);
	gpt();
	disk[512 + 60] ^= 1;                   /* primary header damaged */
	scan();
	assert_int_equal(s.scheme, SCHEME_GPT_BACKUP);
	assert_int_equal(s.count, 1);
	disk[512 + 60] ^= 1;
	disk[1024 + 5000] ^= 1;                /* its array */
	scan();
	assert_int_equal(s.scheme, SCHEME_GPT_BACKUP);
	disk[1024 + 5000] ^= 1;
	unreadable = 512;
	scan();
	assert_int_equal(s.scheme, SCHEME_GPT_BACKUP);
	unreadable = UINT64_MAX;
	disk[512] = disk[LAST] = 0;
	scan();
	assert_int_equal(s.scheme, SCHEME_GPT_BAD);
	assert_int_equal(s.count, 0);
}

/* Fields with a right checksum and a wrong meaning. */
static void gpt_absurd(void **state)
{
	static const struct { uint32_t at; uint64_t value; } cases[] = {
		{ 72, UINT64_MAX }, { 72, LAST / 512 }, { 72, 0 }, { 24, 7 }, { 40, UINT64_MAX },
		{ 48, UINT64_MAX }, { 48, SIZE / 512 }, { 80, 0x8000000080ull << 1 }, { 80, 0x80ffffffffull },
		{ 80, 0xffffffff00000080ull }, { 80, 0x0000008000000000ull }, { 80, 0x0000000100000080ull },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		gpt_entry(0, 2048, 4095);
		gpt();
		put64(512 + cases[i].at, cases[i].value);
		put32(512 + 16, 0);
		put32(512 + 16, crc32(0, disk + 512, 92));
		scan();
		assert_int_equal(s.scheme, SCHEME_GPT_BACKUP);
	}
}

static void mbr_primary(void **state)
{
	(void)state;
	mbr_entry(0, 0, 0x83, 2048, 2048);
	mbr_entry(0, 2, 0x81, 4096, 100000);   /* past the end */
	mbr_entry(0, 3, 0x81, 4096, 1024);
	scan();
	assert_int_equal(s.scheme, SCHEME_MBR);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.partitions[1].number, 4);
	assert_int_equal(s.skipped, 1);
}

static void mbr_extended(void **state)
{
	(void)state;
	mbr_entry(0, 0, 0x83, 2048, 2048);
	mbr_entry(0, 1, 0x05, 8192, 16384);
	mbr_entry(8192, 0, 0x83, 64, 1000);
	mbr_entry(8192, 1, 0x05, 2048, 2048);
	mbr_entry(8192 + 2048, 0, 0x83, 64, 1000);
	scan();
	assert_int_equal(s.count, 3);
	assert_int_equal(s.partitions[1].number, 5);
	assert_int_equal(s.partitions[2].number, 6);
	assert_int_equal(s.partitions[2].offset_bytes, (8192 + 2048 + 64) * 512);
	unreadable = (8192 + 2048) * 512;
	scan();
	assert_int_equal(s.count, 2);
}

static void mbr_loop(void **state)
{
	(void)state;
	mbr_entry(0, 0, 0x0f, 8192, 16384);
	mbr_entry(8192, 0, 0x83, 64, 1000);
	mbr_entry(8192, 1, 0x05, 2048, 2048);
	mbr_entry(8192 + 2048, 0, 0x83, 64, 1000);
	mbr_entry(8192 + 2048, 1, 0x05, 2048, 2048); /* itself */
	assert_int_equal(scan(), 3);
	assert_int_equal(s.count, 2);
	assert_non_null(strstr(s.notice, "loop"));
	memset(disk + (8192 + 2048) * 512 + 446, 0, 16); /* a loop without partitions */
	assert_int_equal(scan(), 3);
	assert_int_equal(s.count, 1);
	assert_non_null(strstr(s.notice, "loop"));
	mbr_entry(8192 + 2048, 1, 0x05, 1u << 30, 2048);
	scan();
	assert_int_equal(s.count, 1);
	assert_non_null(strstr(s.notice, "leaves"));
	disk[(8192 + 2048) * 512 + 511] = 0;
	scan();
	assert_int_equal(s.count, 1);
	assert_non_null(strstr(s.notice, "damaged"));
	memset(disk, 0, SIZE);
	mbr_entry(0, 0, 0x0f, 8192, 16384);
	for (uint32_t i = 0; i < 200; i++) /* 200 links without partitions, one behind the other */
		mbr_entry(8192 + i * 2, 1, 0x05, (i + 1) * 2, 2);
	assert_int_equal(scan(), 1 + PARTITION_EBRS);
	assert_non_null(strstr(s.notice, "more"));
}

/* What overlaps is left out, the later one, and what comes behind it is not. */
static void mbr_overlap(void **state)
{
	(void)state;
	mbr_entry(0, 0, 0x83, 2048, 2048);
	mbr_entry(0, 1, 0x83, 4000, 100);
	mbr_entry(0, 2, 0x05, 8192, 16384);
	mbr_entry(8192, 0, 0x83, 64, 1000);
	mbr_entry(8192, 1, 0x05, 2048, 2048);
	mbr_entry(8192 + 2048, 0, 0x83, (uint32_t)-1100, 1000); /* into the one before: relative to its link */
	mbr_entry(8192 + 2048, 1, 0x05, 4096, 2048);
	mbr_entry(8192 + 4096, 0, 0x83, 64, 1000);
	scan();
	assert_int_equal(s.count, 3);
	assert_int_equal(s.skipped, 2);
	assert_int_equal(s.partitions[2].number, 7);
	assert_non_null(strstr(s.notice, "overlaps"));
}

/* Every byte of a header and of the first entry, wrong: never wrong partitions, for there
 * is the other copy; and both wrong: none at all. */
static void gpt_damaged_anywhere(void **state)
{
	(void)state;
	gpt_entry(0, 2048, 4095);
	gpt();
	for (uint32_t at = 0; at < 92 + 128; at++) {
		uint32_t primary = at < 92 ? 512 + at : 1024 + at - 92;
		uint32_t backup = at < 92 ? LAST + at : LAST - 32 * 512 + at - 92;

		disk[primary] ^= 0x41;
		scan();
		assert_int_equal(s.scheme, SCHEME_GPT_BACKUP);
		assert_int_equal(s.count, 1);
		assert_non_null(s.notice);
		disk[backup] ^= 0x41;
		scan();
		assert_int_equal(s.scheme, SCHEME_GPT_BAD);
		assert_int_equal(s.count, 0);
		disk[primary] ^= 0x41;
		scan();
		assert_int_equal(s.scheme, SCHEME_GPT);
		assert_int_equal(s.count, 1);
		assert_true(at >= 92 || s.notice);
		disk[backup] ^= 0x41;
	}
}

/* Any byte of the table wrong: no crash, and partitions stay inside the disk. */
static void noise(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 300; round++) {
		gpt_entry(0, 2048, 4095);
		if (round & 1)
			gpt();
		else
			mbr_entry(0, 1, 0x05, 2, 16384);
		for (int i = 0; i < 20; i++)
			disk[446 + rand() % 1400] = rand();
		disk[510] = 0x55;
		disk[511] = 0xaa;
		for (int i = 0; i < 4; i++)
			disk[446 + 16 * i] &= 0x80;
		scan();
		for (uint32_t i = 0; i < s.count; i++)
			assert_true(s.partitions[i].size_bytes <= SIZE &&
				    s.partitions[i].offset_bytes <= SIZE - s.partitions[i].size_bytes);
	}
}

static void by_sgdisk(void **state)
{
	char path[] = "/tmp/xinim-partition-XXXXXX", command[256];
	int fd = mkstemp(path);
	FILE *f;

	(void)state;
	assert_true(fd >= 0 && ftruncate(fd, SIZE) == 0);
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin sgdisk -n 1:2048:+2M -c 1:boot -n 7:0:+4M -c 7:root %s >/dev/null 2>&1", path);
	if (system(command)) {
		close(fd);
		unlink(path);
		skip();
	}
	f = fdopen(fd, "r");
	assert_int_equal(fread(disk, 1, SIZE, f), SIZE);
	fclose(f);
	unlink(path);
	scan();
	assert_int_equal(s.scheme, SCHEME_GPT);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.partitions[0].size_bytes, 2 * MIB);
	assert_int_equal(s.partitions[1].number, 7);
	assert_string_equal(s.partitions[1].name, "root");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing), TEST(gpt_good), TEST(gpt_wrong_entries), TEST(gpt_backup), TEST(gpt_absurd),
		TEST(mbr_primary), TEST(mbr_extended), TEST(mbr_loop), TEST(mbr_overlap),
		TEST(gpt_damaged_anywhere), TEST(noise), TEST(by_sgdisk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
