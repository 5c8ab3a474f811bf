/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader of the boot archive (proto/archive.h). Trusts nothing in it: every
 * offset and length is checked against the size of the memory that holds it.
 */
#ifndef RS_ARCHIVE_H
#define RS_ARCHIVE_H

#include <stddef.h>
#include "proto/archive.h"

struct archive { const struct archive_header *header; const struct archive_entry *entries; };

/* NULL if the archive in base[0..bytes) is sound, else what is wrong with it.
 * The memory is borrowed for as long as the archive is used. */
const char *archive_open(struct archive *a, const void *base, uint64_t bytes);
/* Contents of the entry, NULL if there is none. */
const void *archive_find(const struct archive *a, const char *name, uint64_t *bytes);
/* i-th entry's name, NULL beyond the last. */
const char *archive_name(const struct archive *a, uint32_t index);

/* CRC-32 (IEEE 802.3) over the header, its checksum taken as 0, and entries. */
uint32_t archive_checksum(const struct archive_header *h, const struct archive_entry *entries);

#endif
