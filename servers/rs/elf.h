/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks a service's ELF64 image and lists what to load. Pure.
 * Source: System V ABI, chapters 4 and 5, and its AMD64 supplement.
 */
#ifndef RS_ELF_H
#define RS_ELF_H

#include <stdint.h>

#define ELF_SEGMENTS_MAX 8u

struct elf_segment {
	uint64_t map_addr, map_bytes;   /* whole pages */
	uint64_t addr, file_offset, file_bytes;
	uint32_t prot;                  /* X_PROT_* */
};

struct elf_image {
	uint64_t entry;
	uint32_t segment_count;
	struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/* NULL if the image is a static executable that may be loaded below `limit`,
 * else what is wrong with it. */
const char *elf_check(struct elf_image *e, const void *image, uint64_t bytes, uint64_t limit);

#endif
