/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is received: one unicast address, broadcast, and multicast by a table of
 * 4096 bits, indexed by bits 36 to 47 of the address (SDM 13.5.1).
 *
 * RCTL is not touched for multicast: in QEMU each write to it stops reception
 * for a second. All multicast is a table full of ones.
 */
#include "drivers/net/e1000/e1000.h"

#define TABLE_WORDS 128u

uint32_t filter_rctl(const struct netdrv_config *config)
{
	uint32_t rctl = RCTL_EN | RCTL_BAM | RCTL_SECRC | RCTL_BSIZE_2048;

	return config && config->mode & NET_MODE_PROMISCUOUS ? rctl | RCTL_UPE : rctl;
}

void filter_set(const struct netdrv_config *config)
{
	const uint8_t *mac = config && config->has_mac ? config->mac : e1000.mac;
	bool all = config && config->mode & (NET_MODE_ALL_MULTICAST | NET_MODE_PROMISCUOUS);
	uint32_t table[TABLE_WORDS];

	for (uint32_t i = 0; i < TABLE_WORDS; i++)
		table[i] = all ? 0xffffffff : 0;
	for (uint32_t i = 0; config && i < config->filter_count; i++) {
		const uint8_t *a = config->filter[i];
		uint32_t bit = a[4] >> 4 | (uint32_t)a[5] << 4;

		table[bit >> 5] |= 1u << (bit & 31);
	}
	for (uint32_t i = 0; i < TABLE_WORDS; i++)
		reg_write(E1000_MTA + 4 * i, table[i]);
	reg_write(E1000_RAL0, mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24);
	reg_write(E1000_RAH0, mac[4] | (uint32_t)mac[5] << 8 | RAH_AV);
}
