/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot archive: rs, the other servers, their manifests, the personality.
 * Made by tools/mkarchive, handed to the kernel as initial ramdisk. A header,
 * `count` entries, then the contents, each at a multiple of the page size.
 */
#ifndef PROTO_ARCHIVE_H
#define PROTO_ARCHIVE_H

#include <stdint.h>

#define ARCHIVE_MAGIC 0x3143524158494e58ull /* "XNIXARC1" */
#define ARCHIVE_MAX_ENTRIES 256u
#define ARCHIVE_ALIGN 4096u

struct archive_header {
	uint64_t magic;
	uint64_t bytes;         /* of the whole archive */
	uint32_t count;
	uint32_t checksum;      /* CRC-32 of header (this field 0) and entries */
	uint64_t reserved;
};

struct archive_entry {
	char name[48];          /* NUL-terminated: "bin/rs", "manifest/vfs", ... */
	uint64_t offset;        /* from the start of the archive */
	uint64_t bytes;
};

_Static_assert(sizeof(struct archive_header) == 32, "archive header");
_Static_assert(sizeof(struct archive_entry) == 64, "archive entry");

#endif
