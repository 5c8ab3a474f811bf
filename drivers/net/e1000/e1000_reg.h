/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers and descriptors of Intel's gigabit Ethernet controllers.
 * "SDM": PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual, 317453 revision 4.0; "82574": Intel 82574 datasheet, revision 3.4.
 */
#ifndef E1000_REG_H
#define E1000_REG_H

#include <stdint.h>

/* SDM 13.4; 32 bits each */
#define E1000_CTRL   0x0000u
#define E1000_STATUS 0x0008u
#define E1000_EERD   0x0014u
#define E1000_ICR    0x00c0u /* interrupt causes; reading clears */
#define E1000_ITR    0x00c4u /* least time between interrupts, 256 ns */
#define E1000_IMS    0x00d0u /* mask set */
#define E1000_IMC    0x00d8u /* mask clear */
#define E1000_RCTL   0x0100u
#define E1000_TCTL   0x0400u
#define E1000_TIPG   0x0410u
#define E1000_RDBAL  0x2800u
#define E1000_RDBAH  0x2804u
#define E1000_RDLEN  0x2808u
#define E1000_RDH    0x2810u
#define E1000_RDT    0x2818u
#define E1000_RDTR   0x2820u
#define E1000_TDBAL  0x3800u
#define E1000_TDBAH  0x3804u
#define E1000_TDLEN  0x3808u
#define E1000_TDH    0x3810u
#define E1000_TDT    0x3818u
#define E1000_CRCERRS 0x4000u /* statistics: reading clears */
#define E1000_RXERRC 0x400cu
#define E1000_MPC    0x4010u /* missed: no descriptor or no room */
#define E1000_MPRC   0x407cu /* multicast packets received */
#define E1000_RXCSUM 0x5000u
#define E1000_MTA    0x5200u /* 128 words */
#define E1000_RAL0   0x5400u
#define E1000_RAH0   0x5404u
#define E1000_REGISTERS 0x20000u

#define CTRL_ASDE 0x00000020u /* speed by itself */
#define CTRL_SLU  0x00000040u /* link up */
#define CTRL_LRST 0x00000008u
#define CTRL_ILOS 0x00000080u
#define CTRL_RST  0x04000000u
#define CTRL_VME  0x40000000u
#define CTRL_PHY_RST 0x80000000u

#define STATUS_LU          0x2u
#define STATUS_SPEED_SHIFT 6u

/* SDM 13.4.4; the 82574 has the address two bits lower, and DONE at bit 1 */
#define EERD_START      0x01u
#define EERD_DONE       0x10u
#define EERD_ADDR_SHIFT 8u
#define EERD_DONE_82574 0x02u
#define EERD_ADDR_SHIFT_82574 2u
#define EERD_DATA_SHIFT 16u
#define NVM_WORDS       64u
#define NVM_SUM         0xbabau /* of all 64 words */

#define INT_TXDW   0x01u
#define INT_LSC    0x04u /* link status changed */
#define INT_RXDMT0 0x10u
#define INT_RXO    0x40u
#define INT_RXT0   0x80u

#define RCTL_EN      0x00000002u
#define RCTL_UPE     0x00000008u /* all unicast */
#define RCTL_BAM     0x00008000u /* broadcast */
#define RCTL_SECRC   0x04000000u /* strip the frame check sequence */
#define RCTL_BSIZE_2048 0u

#define TCTL_EN  0x00000002u
#define TCTL_PSP 0x00000008u /* pad short packets */
#define TCTL_CT_15 (15u << 4)
#define TCTL_COLD_FULL_DUPLEX (64u << 12)
#define TIPG_COPPER (10u | 8u << 10 | 6u << 20)

#define RXCSUM_TUOFL 0x200u
#define RAH_AV 0x80000000u

/* SDM 3.2.3 */
struct e1000_rx_desc {
	uint64_t addr;
	uint16_t length, checksum;
	uint8_t status, errors;
	uint16_t special;
};
#define RXD_DD    0x01u
#define RXD_EOP   0x02u
#define RXD_IXSM  0x04u /* the checksum bits mean nothing */
#define RXD_TCPCS 0x20u
#define RXD_ERR_TCPE  0x20u
#define RXD_ERR_FRAME 0x97u /* CE, SE, SEQ, CXE, RXE */

/* SDM 3.3.6 and 3.3.7: context and data descriptors */
struct e1000_tx_context {
	uint8_t ipcss, ipcso;
	uint16_t ipcse;
	uint8_t tucss, tucso;
	uint16_t tucse;          /* 0: to the packet's end */
	uint32_t command;        /* payload bytes, type, TUCMD */
	uint8_t status, header_bytes;
	uint16_t mss;
};
struct e1000_tx_data {
	uint64_t addr;
	uint32_t command;        /* bytes, type, DCMD */
	uint8_t status, options;
	uint16_t special;
};
union e1000_tx_desc {
	struct e1000_tx_context context;
	struct e1000_tx_data data;
};
_Static_assert(sizeof(struct e1000_rx_desc) == 16, "struct e1000_rx_desc");
_Static_assert(sizeof(struct e1000_tx_context) == 16, "struct e1000_tx_context");
_Static_assert(sizeof(struct e1000_tx_data) == 16, "struct e1000_tx_data");

#define TXD_TYPE_DATA 0x00100000u
#define TXD_EOP  0x01000000u
#define TXD_IFCS 0x02000000u
#define TXD_TSE  0x04000000u
#define TXD_RS   0x08000000u
#define TXD_DEXT 0x20000000u
#define TXD_CONTEXT_TCP  0x01000000u
#define TXD_CONTEXT_IPV4 0x02000000u
#define TXD_DD   0x01u
#define TXD_OPTION_IPV4_SUM 0x01u
#define TXD_OPTION_TCP_SUM  0x02u

#endif
