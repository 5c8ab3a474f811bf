/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device says of itself: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE
 * data (ACS-3, 7.12), READ CAPACITY. Nothing of it is believed unchecked.
 */
#include "drivers/block/ahci/ahci.h"
#include "lib/c/string.h"

#define REQUEST_BYTES_MAX (1u << 20)
#define TRIM_SECTORS_MAX  (DSM_RANGES * DSM_RANGE_SECTORS_MAX)

static uint16_t word(const struct port *p, uint32_t index)
{
	return (uint16_t)(p->scratch[2 * index] | p->scratch[2 * index + 1] << 8);
}

static uint64_t number(const struct port *p, uint32_t index, uint32_t words)
{
	uint64_t value = 0;

	while (words--)
		value = value << 16 | word(p, index + words);
	return value;
}

/* Two characters in a word, the first in the upper byte; blanks around are cut. */
static void text(const struct port *p, uint32_t index, uint32_t words, char *out)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < 2 * words; i++) {
		uint16_t w = word(p, index + i / 2);
		char c = (char)(i % 2 ? w & 0xff : w >> 8);

		if (c < 32 || c > 126)
			c = ' ';
		if (len || c != ' ')
			out[len++] = c;
	}
	while (len && out[len - 1] == ' ')
		len--;
	memset(out + len, 0, 2 * words - len);
}

static void identity(const struct port *p, struct blockdrv_geometry *g)
{
	memset(&g->identity, 0, sizeof(g->identity));
	text(p, ID_MODEL, 20, g->identity.model);
	text(p, ID_SERIAL, 10, g->identity.serial);
	text(p, ID_FIRMWARE, 4, g->identity.firmware);
	strlcpy(g->identity.bus, p->atapi ? "atapi" : "ata", sizeof(g->identity.bus));
}

/* Words 82 to 84 count only if they say so. */
static bool has(const struct port *p, uint32_t index, uint32_t bits)
{
	return (word(p, index) & 0xc000) != 0xc000 && (word(p, ID_SUPPORTS_83) & 0xc000) == 0x4000 &&
	       (word(p, index) & bits) == bits;
}

static void sector_sizes(struct port *p, struct blockdrv_geometry *g)
{
	uint16_t w = word(p, ID_SECTOR_SIZE);
	uint64_t bytes = ATA_SECTOR_BYTES;

	if ((w & 0xc000) == 0x4000 && w & 1u << 12)
		bytes = number(p, ID_LOGICAL_WORDS, 2) * 2;
	p->logical_bytes = bytes <= 65536 ? (uint32_t)bytes : 0; /* 0: refused by the caller */
	g->logical_block_bytes = g->physical_block_bytes = p->logical_bytes;
	if ((w & 0xc000) == 0x4000 && w & 1u << 13)
		g->physical_block_bytes <<= w & 7; /* more than 128 is no disk's */
}

static void limits(struct port *p, struct blockdrv_geometry *g)
{
	g->max_segments = AHCI_PRDS;
	g->max_segment_bytes = AHCI_PRD_BYTES_MAX;
	g->max_request_bytes = p->lba48 ? REQUEST_BYTES_MAX : 256 * ATA_SECTOR_BYTES;
	g->depth = p->slot_limit;
	if (!p->trim)
		return;
	g->max_discard_bytes = TRIM_SECTORS_MAX > UINT32_MAX / p->logical_bytes ? 1u << 31
										 : TRIM_SECTORS_MAX * p->logical_bytes;
	g->discard_granularity_bytes = p->logical_bytes;
}

bool identify_disk(struct port *p, struct blockdrv_geometry *g)
{
	uint32_t both = ID_BIT_DMA | ID_BIT_LBA, depth = (word(p, ID_QUEUE_DEPTH) & 31) + 1;
	uint64_t sectors;

	if ((word(p, ID_CAPABILITIES) & both) != both)
		return false;
	p->lba48 = has(p, ID_SUPPORTS_83, ID_BIT_LBA48);
	p->ncq = p->lba48 && hba.cap & HBA_CAP_NCQ && word(p, ID_SATA) != 0xffff && word(p, ID_SATA) & ID_BIT_NCQ;
	p->trim = p->lba48 && word(p, ID_TRIM) & 1;
	p->slot_limit = HBA_CAP_SLOTS(hba.cap);
	if (p->ncq && depth < p->slot_limit)
		p->slot_limit = depth;
	sectors = p->lba48 ? number(p, ID_SECTORS_48, 4) : number(p, ID_SECTORS_28, 2);
	sector_sizes(p, g);
	if (!p->logical_bytes || !sectors || sectors > 1ull << 48)
		return false;
	identity(p, g);
	g->size_bytes = sectors * p->logical_bytes;
	g->no_write_cache = !(word(p, ID_ENABLED_85) & ID_BIT_CACHE) && has(p, ID_SUPPORTS_82, ID_BIT_CACHE);
	limits(p, g);
	return true;
}

bool identify_atapi(struct port *p, struct blockdrv_geometry *g)
{
	p->lba48 = p->ncq = p->trim = false;
	p->slot_limit = 1;
	p->logical_bytes = 2048;
	identity(p, g);
	g->read_only = g->no_write_cache = true;
	limits(p, g);
	g->max_request_bytes = REQUEST_BYTES_MAX;
	return true;
}

bool identify_capacity(struct port *p, struct blockdrv_geometry *g)
{
	const uint8_t *d = p->scratch;
	uint64_t blocks = ((uint64_t)d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3]) + 1;
	uint32_t bytes = (uint32_t)d[4] << 24 | d[5] << 16 | d[6] << 8 | d[7];

	p->logical_bytes = bytes;
	g->logical_block_bytes = g->physical_block_bytes = bytes;
	g->size_bytes = blocks * bytes;
	return bytes >= 512 && bytes <= 4096;
}
