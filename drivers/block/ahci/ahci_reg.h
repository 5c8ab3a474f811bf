/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AHCI 1.3.1: registers of the host bus adapter (chapter 3) and the structures
 * in memory (chapter 4). Little-endian.
 */
#ifndef AHCI_REG_H
#define AHCI_REG_H

#include <stddef.h>
#include <stdint.h>

#define AHCI_BAR 5u /* ABAR, 2.1.11 */

/* 3.1 generic host control */
#define HBA_CAP  0x00u
#define HBA_CAP_PORTS     0x1fu         /* number - 1 */
#define HBA_CAP_SLOTS(v)  ((((v) >> 8) & 0x1f) + 1)
#define HBA_CAP_AHCI_ONLY (1u << 18)    /* SAM */
#define HBA_CAP_CLO       (1u << 24)    /* SCLO */
#define HBA_CAP_STAGGERED (1u << 27)    /* SSS */
#define HBA_CAP_NCQ       (1u << 30)    /* SNCQ */
#define HBA_CAP_64        (1u << 31)    /* S64A */
#define HBA_GHC  0x04u
#define HBA_GHC_RESET     (1u << 0)     /* HR */
#define HBA_GHC_INTERRUPT (1u << 1)     /* IE */
#define HBA_GHC_AHCI      (1u << 31)    /* AE */
#define HBA_IS   0x08u
#define HBA_PI   0x0cu
#define HBA_CAP2 0x24u
#define HBA_CAP2_HANDOFF  (1u << 0)     /* BOH */
#define HBA_BOHC 0x28u
#define HBA_BOHC_BIOS     (1u << 0)     /* BOS */
#define HBA_BOHC_OS       (1u << 1)     /* OOS */
#define HBA_BOHC_BUSY     (1u << 4)     /* BB */

/* 3.3 ports */
#define AHCI_PORTS 32u
#define HBA_PORT(n) (0x100u + (n) * 0x80u)
#define PORT_CLB  0x00u
#define PORT_CLBU 0x04u
#define PORT_FB   0x08u
#define PORT_FBU  0x0cu
#define PORT_IS   0x10u
#define PORT_IE   0x14u
#define PORT_INT_D2H      (1u << 0)     /* DHRS */
#define PORT_INT_PIO      (1u << 1)     /* PSS */
#define PORT_INT_SDB      (1u << 3)     /* SDBS */
#define PORT_INT_UNKNOWN  (1u << 4)     /* UFS */
#define PORT_INT_CONNECT  (1u << 6)     /* PCS: from PxSERR.DIAG.X */
#define PORT_INT_PHY      (1u << 22)    /* PRCS: from PxSERR.DIAG.N */
#define PORT_INT_OVERFLOW (1u << 24)    /* OFS */
#define PORT_INT_NONFATAL (1u << 26)    /* INFS */
#define PORT_INT_FATAL    (1u << 27)    /* IFS */
#define PORT_INT_BUS_DATA (1u << 28)    /* HBDS */
#define PORT_INT_BUS      (1u << 29)    /* HBFS */
#define PORT_INT_TASKFILE (1u << 30)    /* TFES */
#define PORT_CMD  0x18u
#define PORT_CMD_START    (1u << 0)     /* ST */
#define PORT_CMD_SPIN_UP  (1u << 1)     /* SUD */
#define PORT_CMD_POWER    (1u << 2)     /* POD */
#define PORT_CMD_CLO      (1u << 3)
#define PORT_CMD_FIS      (1u << 4)     /* FRE */
#define PORT_CMD_SLOT(v)  (((v) >> 8) & 0x1f) /* CCS */
#define PORT_CMD_FIS_RUNS (1u << 14)    /* FR */
#define PORT_CMD_RUNS     (1u << 15)    /* CR */
#define PORT_CMD_ATAPI    (1u << 24)
#define PORT_CMD_ICC_MASK (0xfu << 28)
#define PORT_CMD_ICC_ACTIVE (1u << 28)
#define PORT_TFD  0x20u
#define PORT_TFD_ERROR    (1u << 0)
#define PORT_TFD_DRQ      (1u << 3)
#define PORT_TFD_BUSY     (1u << 7)
#define PORT_SIG  0x24u
#define PORT_SIG_ATA      0x00000101u
#define PORT_SIG_ATAPI    0xeb140101u
#define PORT_SIG_NONE     0xffffffffu   /* no FIS has come yet */
#define PORT_SSTS 0x28u
#define PORT_SSTS_DET(v)  ((v) & 0xf)
#define PORT_DET_NONE     0u
#define PORT_DET_PRESENT  1u            /* no communication yet */
#define PORT_DET_UP       3u
#define PORT_SCTL 0x2cu
#define PORT_SCTL_COMRESET  1u
#define PORT_SCTL_OFF       4u
#define PORT_SCTL_NO_SLEEP  (3u << 8)   /* no transitions to partial or slumber */
#define PORT_SERR 0x30u
#define PORT_SERR_PHY       (1u << 16)  /* DIAG.N */
#define PORT_SERR_EXCHANGED (1u << 26)  /* DIAG.X */
#define PORT_SACT 0x34u
#define PORT_CI   0x38u

/* 4.2.2 command list */
struct ahci_header {
	uint32_t flags;         /* AHCI_HEADER_* | PRDT entries << 16 */
	uint32_t transferred;   /* PRDBC */
	uint32_t table_lo, table_hi;
	uint32_t reserved[4];
};
_Static_assert(sizeof(struct ahci_header) == 32, "struct ahci_header");
#define AHCI_HEADER_FIS_WORDS 5u        /* of a host-to-device register FIS */
#define AHCI_HEADER_ATAPI (1u << 5)
#define AHCI_HEADER_WRITE (1u << 6)

/* 4.2.3 command table */
#define AHCI_PRD_BYTES_MAX (4u << 20)
#define AHCI_PRDS 64u
struct ahci_prd {
	uint32_t base_lo, base_hi, reserved;
	uint32_t bytes;         /* - 1; even number of bytes */
};
struct ahci_table {
	uint8_t fis[64], packet[16], reserved[48];
	struct ahci_prd prd[AHCI_PRDS];
};
_Static_assert(offsetof(struct ahci_table, prd) == 0x80, "struct ahci_table");
_Static_assert(sizeof(struct ahci_table) % 128 == 0, "tables are aligned to 128 bytes");

/* 4.2.1 received FIS */
#define AHCI_RECEIVED_BYTES 256u

/* Serial ATA 3.0, 10.3.4: register FIS, host to device */
#define FIS_H2D         0x27u
#define FIS_H2D_COMMAND 0x80u           /* C: byte 1 */

#endif
