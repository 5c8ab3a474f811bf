/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What MINIX filesystems look like on disk. Little endian throughout.
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
 *         inode  zone number  entry          block size
 *   V1    32     16 bits      16 or 32       1 KiB
 *   V2    64     32 bits      16 or 32       1 KiB
 *   V3    64     32 bits      64             1 to 32 KiB (its field has 16 bits)
 *
 * An entry is an inode number (16 bits; V3: 32) and a name, NUL padded, with no
 * NUL at full length; inode 0 is a free one.
 *
 * Sources: "Operating Systems: Design and Implementation", 3rd ed., 5.6, and
 * the on-disk images made by mkfs.minix of util-linux.
 */
#ifndef FS_MINIX_FORMAT_H
#define FS_MINIX_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define MINIX_SUPER_OFFSET_BYTES 1024u
#define MINIX_V1_MAGIC 0x137fu          /* names of 14 */
#define MINIX_V1_LONG_MAGIC 0x138fu     /* names of 30 */
#define MINIX_V2_MAGIC 0x2468u
#define MINIX_V2_LONG_MAGIC 0x2478u
#define MINIX_V3_MAGIC 0x4d5au
#define MINIX_FIRST_BITMAP_BLOCK 2u
#define MINIX_ROOT_INO 1u
#define MINIX_NAME_MAX 60u              /* of V3 */
#define MINIX_LINK_MAX 65530u
#define MINIX_V1_LINK_MAX 250u

#define MINIX_BLOCK_SIZE_MIN 1024u
#define MINIX_BLOCK_SIZE_MAX 32768u

/* flags: set while nothing has the filesystem mounted for writing. */
#define MINIX_FLAG_CLEAN 0x0001u

/* V1 and V2 */
struct minix_old_super_disk {
	uint16_t inode_count;
	uint16_t zone_count;            /* V1 */
	uint16_t inode_map_blocks;
	uint16_t zone_map_blocks;
	uint16_t first_data_zone;
	uint16_t log_zone_size;
	uint32_t max_size_bytes;
	uint16_t magic;
	uint16_t flags;
	uint32_t zone_count_long;       /* V2 */
};

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
	MINIX_OLD_ZONES = 9,            /* V1 has no triple one */
};

/* V1. All three times are one. */
struct minix_old_inode_disk {
	uint16_t mode;
	uint16_t uid;
	uint32_t size_bytes;
	uint32_t mtime_sec;
	uint8_t gid;
	uint8_t link_count;
	uint16_t zone[MINIX_OLD_ZONES];
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

/* V3; the others by offset, see fs/minix/dir.c */
struct minix_dirent_disk {
	uint32_t ino;                   /* 0: the slot is free */
	char name[MINIX_NAME_MAX];      /* NUL padded; no NUL at full length */
};

_Static_assert(sizeof(struct minix_super_disk) == 32, "superblock");
_Static_assert(offsetof(struct minix_old_super_disk, magic) == 16, "magic");
_Static_assert(sizeof(struct minix_old_super_disk) == 24, "superblock");
_Static_assert(sizeof(struct minix_old_inode_disk) == 32, "inode");
_Static_assert(offsetof(struct minix_super_disk, magic) == 24, "magic");
_Static_assert(sizeof(struct minix_inode_disk) == 64, "inode");
_Static_assert(offsetof(struct minix_inode_disk, zone) == 24, "zones");
_Static_assert(sizeof(struct minix_dirent_disk) == 64, "directory entry");

#endif
