/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netlink: messages as programs pass them, and what its two files share.
 * Sources: man-pages netlink(7), rtnetlink(7), and the numbers of the x86-64 ABI.
 */
#ifndef SERVERS_NET_NETLINK_H
#define SERVERS_NET_NETLINK_H

#include "servers/net/net.h"

struct nl_header { uint32_t length; uint16_t type, flags; uint32_t sequence, port; };
struct nl_attribute { uint16_t length, type; };
struct nl_link { uint8_t family, pad; uint16_t hardware; int32_t index; uint32_t flags, change; };
struct nl_address { uint8_t family, prefix, flags, scope; uint32_t index; };
struct nl_route { uint8_t family, to_bits, from_bits, tos, table, protocol, scope, type; uint32_t flags; };
struct nl_neighbour { uint8_t family, pad1; uint16_t pad2; int32_t index; uint16_t state; uint8_t flags, type; };
_Static_assert(sizeof(struct nl_header) == 16 && sizeof(struct nl_link) == 16 && sizeof(struct nl_address) == 8 &&
	       sizeof(struct nl_route) == 12 && sizeof(struct nl_neighbour) == 12, "as Linux has them");

enum { NLMSG_ERROR = 2, NLMSG_DONE = 3, NLMSG_FIRST = 16 };
enum { NLM_F_REQUEST = 1, NLM_F_MULTI = 2, NLM_F_ACK = 4, NLM_F_CAPPED = 0x100, NLM_F_DUMP = 0x300 };

enum {
	RTM_NEWLINK = 16, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK,
	RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, RTM_NEWROUTE = 24, RTM_DELROUTE, RTM_GETROUTE,
	RTM_NEWNEIGH = 28, RTM_DELNEIGH, RTM_GETNEIGH,
};

/* The answer to the request at hand: a message is begun, filled (the fixed part, then
 * attributes) and ended. */
void netlink_begin(uint32_t type, uint32_t flags);
void netlink_put(const void *data, uint32_t bytes); /* NULL: zeroes */
void netlink_attribute(uint32_t type, const void *data, uint32_t bytes);
void netlink_end(void);
/* An attribute behind a fixed part of so many bytes, if it has at least `bytes`; else NULL. */
const void *netlink_find(const struct nl_header *h, uint32_t fixed, uint32_t type, uint32_t bytes);
const char *netlink_find_name(const struct nl_header *h, uint32_t fixed, uint32_t type);

/* netlink_route.c: puts the answer; 0 or the error. */
int64_t netlink_route_request(struct sock *s, const struct nl_header *h, bool dump);

#endif
