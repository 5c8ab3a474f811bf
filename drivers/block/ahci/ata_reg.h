/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ATA commands and IDENTIFY data (ACS-3), and the few of ATAPI (SPC, MMC).
 */
#ifndef ATA_REG_H
#define ATA_REG_H

#include <stdint.h>

#define ATA_SECTOR_BYTES 512u

#define ATA_READ_DMA          0xc8u
#define ATA_READ_DMA_EXT      0x25u
#define ATA_WRITE_DMA         0xcau
#define ATA_WRITE_DMA_EXT     0x35u
#define ATA_WRITE_DMA_FUA_EXT 0x3du
#define ATA_READ_FPDMA        0x60u
#define ATA_WRITE_FPDMA       0x61u
#define ATA_DATA_SET_MANAGEMENT 0x06u
#define ATA_FLUSH_CACHE       0xe7u
#define ATA_FLUSH_CACHE_EXT   0xeau
#define ATA_IDENTIFY          0xecu
#define ATA_IDENTIFY_PACKET   0xa1u
#define ATA_PACKET            0xa0u

#define ATA_DEVICE_LBA 0x40u
#define ATA_DEVICE_FUA 0x80u    /* of the FPDMA commands */
#define ATA_DSM_TRIM   0x01u    /* feature */
#define ATA_PACKET_DMA 0x01u    /* feature */

/* IDENTIFY data: words */
enum ata_identify_word {
	ID_SERIAL = 10, ID_FIRMWARE = 23, ID_MODEL = 27,
	ID_CAPABILITIES = 49,   /* bit 8 DMA, 9 LBA */
	ID_SECTORS_28 = 60,
	ID_QUEUE_DEPTH = 75,    /* - 1 */
	ID_SATA = 76,           /* bit 8 NCQ */
	ID_SUPPORTS_82 = 82,    /* bit 5 write cache */
	ID_SUPPORTS_83 = 83,    /* bit 10 LBA48, 13 FLUSH CACHE EXT; bits 15:14 are 01 */
	ID_SUPPORTS_84 = 84,    /* bit 6 WRITE DMA FUA EXT */
	ID_ENABLED_85 = 85,     /* bit 5 write cache */
	ID_SECTORS_48 = 100,
	ID_DSM_BLOCKS = 105,
	ID_SECTOR_SIZE = 106,   /* bits 15:14 are 01; bit 13 several in a physical one, 12 longer than 256 words */
	ID_LOGICAL_WORDS = 117,
	ID_TRIM = 169,          /* bit 0 */
};
#define ID_BIT_DMA      (1u << 8)
#define ID_BIT_LBA      (1u << 9)
#define ID_BIT_NCQ      (1u << 8)
#define ID_BIT_CACHE    (1u << 5)
#define ID_BIT_LBA48    (1u << 10)
#define ID_BIT_FUA      (1u << 6)

/* DATA SET MANAGEMENT: ranges of 8 bytes, 64 in a block of 512 bytes */
#define DSM_RANGE_SECTORS_MAX 65535u
#define DSM_RANGES            64u

/* ATAPI */
#define PACKET_READ_CAPACITY 0x25u
#define PACKET_READ_12       0xa8u
/* The upper half of the error register is the sense key (SPC-3, 4.5.6) */
#define SENSE_KEY(task_file)   ((task_file) >> 12 & 0xf)
#define SENSE_NOT_READY        0x2u
#define SENSE_UNIT_ATTENTION   0x6u

#endif
