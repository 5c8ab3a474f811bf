/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of metadata, both ways, and headers as NET_F_TSO_BARE wants them.
 */
#include "lib/netcli/internal.h"

#define ETHERNET_HEADER 14u
#define VLAN_TAG        4u
#define IPV4_HEADER_MIN 20u
#define IPV6_HEADER     40u
#define TCP_HEADER_MIN  20u
#define TCP_CHECKSUM    16u /* offset of the field in the TCP header */

static bool csum_fits(const struct net_meta *m, uint32_t bytes)
{
	return (uint32_t)m->csum_start + m->csum_offset + 2 <= bytes;
}

static bool gso_known(uint8_t type)
{
	type &= ~NET_GSO_ECN;
	return type == NET_GSO_TCPV4 || type == NET_GSO_TCPV6;
}

/* Everything a driver needs to be sure of, so that it need not look into the packet. */
static bool gso_holds(const struct net_meta *m, uint32_t first_bytes, uint32_t bytes)
{
	uint32_t ip = (m->gso_type & ~NET_GSO_ECN) == NET_GSO_TCPV4 ? IPV4_HEADER_MIN : IPV6_HEADER;

	return gso_known(m->gso_type) && m->gso_size && m->flags & NET_CSUM_PARTIAL &&
	       m->csum_start >= ETHERNET_HEADER + ip && m->csum_offset == TCP_CHECKSUM &&
	       m->hdr_len >= m->csum_start + TCP_HEADER_MIN && m->hdr_len <= first_bytes && m->hdr_len < bytes;
}

int ncli_meta_check_send(const struct net_piece *pieces, uint32_t count, const struct net_meta *meta)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += pieces[i].length;
	if (bytes < ETHERNET_HEADER || meta->flags & ~NET_CSUM_PARTIAL)
		return -X_EINVAL;
	if (meta->flags & NET_CSUM_PARTIAL && !csum_fits(meta, bytes))
		return -X_EINVAL;
	if (meta->gso_type != NET_GSO_NONE && !gso_holds(meta, pieces[0].length, bytes))
		return -X_EINVAL;
	return 0;
}

bool ncli_meta_can_send(uint32_t features, const struct net_meta *meta)
{
	if (meta->flags & NET_CSUM_PARTIAL && !(features & NET_F_TX_CSUM))
		return false;
	if (meta->gso_type & NET_GSO_ECN && !(features & NET_F_TX_ECN))
		return false;
	switch (meta->gso_type & ~NET_GSO_ECN) {
	case NET_GSO_NONE:
		return true;
	case NET_GSO_TCPV4:
		return features & NET_F_TX_TSO4;
	default:
		return features & NET_F_TX_TSO6;
	}
}

bool ncli_meta_check_received(const struct net_meta *meta, uint32_t bytes, uint32_t features)
{
	if (meta->flags & ~(NET_CSUM_PARTIAL | NET_CSUM_VALID))
		return false;
	if (meta->flags && !(features & NET_F_RX_CSUM))
		return false;
	if (meta->flags & NET_CSUM_PARTIAL && !csum_fits(meta, bytes))
		return false;
	if (meta->gso_type == NET_GSO_NONE)
		return true;
	return features & NET_F_RX_GSO && gso_known(meta->gso_type) && meta->gso_size && meta->hdr_len <= bytes;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = value >> 8;
	p[1] = (uint8_t)value;
}

/*
 * The device adds each segment's length to the sum that it finds in the TCP
 * header, and writes the IP lengths and the IPv4 checksum (8254x Software
 * Developer's Manual 3.5.6). The sum is one's complement: subtracting is adding
 * the complement. The result is 0 for no sum but 0, so done twice (a packet sent
 * again) it must not be: the IP length, 0 afterwards, tells.
 */
void ncli_meta_make_bare(uint8_t *headers, uint32_t header_bytes, uint32_t packet_bytes,
			 const struct net_meta *meta)
{
	uint32_t ip = ETHERNET_HEADER + (get16(headers + 12) == 0x8100 ? VLAN_TAG : 0);
	bool v4 = (meta->gso_type & ~NET_GSO_ECN) == NET_GSO_TCPV4;
	uint8_t *length = headers + ip + (v4 ? 2 : 4), *sum = headers + meta->csum_start + meta->csum_offset;
	uint32_t value;

	if (ip + (v4 ? IPV4_HEADER_MIN : IPV6_HEADER) > meta->csum_start || meta->csum_start > header_bytes ||
	    !get16(length))
		return;
	put16(length, 0);
	if (v4)
		put16(headers + ip + 10, 0);
	value = get16(sum) + (uint16_t)~(packet_bytes - meta->csum_start);
	put16(sum, (uint16_t)((value & 0xffff) + (value >> 16)));
}
