/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's hooks that net fills (tcp_loss.c, route.c, random.c, reopen.c).
 */
#ifndef SERVERS_NET_LWIP_HOOKS_H
#define SERVERS_NET_LWIP_HOOKS_H

#include "lwip/ip_addr.h"

struct tcp_pcb;
struct tcp_hdr;
struct pbuf;
struct netif;

u32_t *hook_tcp_segment(struct tcp_pcb *pcb, u32_t *options);
int hook_tcp_input(struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t option_bytes,
		   u16_t first_bytes, u8_t *second, struct pbuf *p);
struct netif *hook_route(const ip4_addr_t *source, const ip4_addr_t *destination);
const ip4_addr_t *hook_gateway(struct netif *netif, const ip4_addr_t *destination);
u32_t hook_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port);
int hook_ip4_input(struct pbuf *p);
int hook_ip6_input(struct pbuf *p, struct netif *netif);

#define LWIP_HOOK_IP4_INPUT(p, netif) hook_ip4_input(p)
#define LWIP_HOOK_IP6_INPUT(p, netif) hook_ip6_input(p, netif)
#define LWIP_HOOK_TCP_OUT_TCPOPT_LENGTH(pcb, length) (length)
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS(p, header, pcb, options) \
	hook_tcp_segment((struct tcp_pcb *)(pcb), options)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_bytes, first_bytes, second, p) \
	hook_tcp_input(pcb, header, option_bytes, first_bytes, second, p)
#define LWIP_HOOK_TCP_ISN hook_tcp_isn
#define LWIP_HOOK_ETHARP_GET_GW(netif, destination) hook_gateway(netif, destination)

#endif
