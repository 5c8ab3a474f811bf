/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a MINIX V3 filesystem looks like on disk. Little endian throughout.
 *
 *   block 0        boot block
 *   byte 1024      superblock (block 1, or inside block 0 with larger blocks)
 *   block 2 ...    inode bitmap, zone bitmap, inode table, data zones
 *
 * Bit 0 of either bitmap is reserved and set. Bit n of the inode bitmap is
 * inode n (the root is 1); bit n of the zone bitmap is zone
 * first_data_zone + n - 1. Here a zone is always one block
 * (log_zone_size == 0).
 *
 * Sources: "Operating Systems: Design and Implementation", 3rd ed., 5.6, and
 * the on-disk images made by mkfs.minix of util-linux.
 */
#ifndef FS_MINIX_FORMAT_H
#define FS_MINIX_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define MINIX_SUPER_OFFSET_BYTES 1024u
#define MINIX_V3_MAGIC 0x4d5au
#define MINIX_FIRST_BITMAP_BLOCK 2u
#define MINIX_ROOT_INO 1u
#define MINIX_NAME_MAX 60u
#define MINIX_LINK_MAX 65530u

#define MINIX_BLOCK_SIZE_MIN 1024u
#define MINIX_BLOCK_SIZE_MAX 4096u

/* super.flags: set while nothing has the filesystem mounted for writing. */
#define MINIX_FLAG_CLEAN 0x0001u

struct minix_super_disk {
	uint32_t inode_count;
	uint16_t unused0;
	uint16_t inode_map_blocks;
	uint16_t zone_map_blocks;
	uint16_t first_data_zone;
	uint16_t log_zone_size;
	uint16_t flags;
	uint32_t max_size_bytes;
	uint32_t zone_count;
	uint16_t magic;
	uint16_t unused1;
	uint16_t block_size_bytes;
	uint8_t disk_version;
	uint8_t unused2;
};

enum {
	MINIX_DIRECT_ZONES = 7,
	MINIX_ZONE_SINGLE = 7,
	MINIX_ZONE_DOUBLE = 8,
	MINIX_ZONE_TRIPLE = 9,
	MINIX_ZONES = 10,
};

struct minix_inode_disk {
	uint16_t mode;
	uint16_t link_count;
	uint16_t uid;
	uint16_t gid;
	uint32_t size_bytes;
	uint32_t atime_sec;
	uint32_t mtime_sec;
	uint32_t ctime_sec;
	/* A device node keeps its number in zone[0]; see minix_dev_encode(). */
	uint32_t zone[MINIX_ZONES];
};

struct minix_dirent_disk {
	uint32_t ino;                   /* 0: the slot is free */
	char name[MINIX_NAME_MAX];      /* NUL padded; no NUL at full length */
};

_Static_assert(sizeof(struct minix_super_disk) == 32, "superblock");
_Static_assert(offsetof(struct minix_super_disk, magic) == 24, "magic");
_Static_assert(sizeof(struct minix_inode_disk) == 64, "inode");
_Static_assert(offsetof(struct minix_inode_disk, zone) == 24, "zones");
_Static_assert(sizeof(struct minix_dirent_disk) == 64, "directory entry");

/* File types and mode bits, equal to those of Linux. */
#define MINIX_S_IFMT 0170000u
#define MINIX_S_IFSOCK 0140000u
#define MINIX_S_IFLNK 0120000u
#define MINIX_S_IFREG 0100000u
#define MINIX_S_IFBLK 0060000u
#define MINIX_S_IFDIR 0040000u
#define MINIX_S_IFCHR 0020000u
#define MINIX_S_IFIFO 0010000u
#define MINIX_S_ISUID 04000u
#define MINIX_S_ISGID 02000u
#define MINIX_S_ISVTX 01000u
#define MINIX_S_IXGRP 00010u

#define MINIX_ISREG(mode) (((mode) & MINIX_S_IFMT) == MINIX_S_IFREG)
#define MINIX_ISDIR(mode) (((mode) & MINIX_S_IFMT) == MINIX_S_IFDIR)
#define MINIX_ISLNK(mode) (((mode) & MINIX_S_IFMT) == MINIX_S_IFLNK)
#define MINIX_ISCHR(mode) (((mode) & MINIX_S_IFMT) == MINIX_S_IFCHR)
#define MINIX_ISBLK(mode) (((mode) & MINIX_S_IFMT) == MINIX_S_IFBLK)
#define MINIX_ISDEV(mode) (MINIX_ISCHR(mode) || MINIX_ISBLK(mode))

#endif
