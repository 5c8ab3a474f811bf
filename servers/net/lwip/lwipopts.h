/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How lwIP is built for net: raw API only, one event loop, no threads. What
 * stands here differs from lwIP's defaults (lwip/opt.h); reasons in
 * docs/network.md.
 */
#ifndef SERVERS_NET_LWIPOPTS_H
#define SERVERS_NET_LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_NETIF_API 0
#define LWIP_STATS 0
#define LWIP_TIMERS 1

/* ---- memory: lwIP's heap is ours (heap.c), its pools are static arrays ---- */
#define MEM_ALIGNMENT 8
#define MEM_LIBC_MALLOC 1
#define mem_clib_malloc heap_allocate
#define mem_clib_calloc heap_allocate_zeroed
#define mem_clib_free heap_free
#define MEMP_NUM_TCP_PCB 4096
#define MEMP_NUM_TCP_PCB_LISTEN 512
#define MEMP_NUM_UDP_PCB 1024
#define MEMP_NUM_RAW_PCB 128
#define MEMP_NUM_TCP_SEG 32768
#define MEMP_NUM_PBUF 32768       /* references to payload, not payload */
#define MEMP_NUM_REASSDATA 64
#define MEMP_NUM_FRAG_PBUF 64
#define MEMP_NUM_ARP_QUEUE 128
#define MEMP_NUM_ND6_QUEUE 128
#define MEMP_NUM_IGMP_GROUP 64
#define MEMP_NUM_MLD6_GROUP 64
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 8)
#define PBUF_POOL_SIZE 16         /* DHCP and the like; frames come in pages of our own */
#define PBUF_POOL_BUFSIZE 1600
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_PBUF_REF_T u16_t

/* ---- protocols ---- */
#define LWIP_IPV4 1
#define IP_DEFAULT_TTL 64
#define LWIP_IPV6 1
#define LWIP_ARP 1
#define ETHARP_SUPPORT_STATIC_ENTRIES 1
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 16
#define LWIP_ICMP 1
#define LWIP_BROADCAST_PING 0
#define LWIP_RAW 1
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_IGMP 1
#define LWIP_DHCP 1
#define LWIP_DNS 1               /* only for the servers that DHCP names */
#define DNS_MAX_SERVERS 3
#define LWIP_DHCP_MAX_DNS_SERVERS DNS_MAX_SERVERS
#define DHCP_DOES_ARP_CHECK 0    /* saves seconds at every start; servers check themselves */
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_MLD 1
#define LWIP_ND6_ALLOW_RA_UPDATES 0 /* the device's size is ours to know: see mtu below */
#define LWIP_IPV6_NUM_ADDRESSES 4
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 256
#define IP_REASS_MAXAGE 15
#define IP_FRAG 0                /* edge.c cuts: netif->mtu is 65535 so that TCP may exceed it */
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 1
#define IPV6_FRAG_COPYHEADER 1
#define LWIP_SO_BROADCAST 1
#define IP_SOF_BROADCAST 1
#define IP_SOF_BROADCAST_RECV 0
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 1
#define LWIP_MULTICAST_TX_OPTIONS 1
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_NETIF_LOOPBACK 0    /* loopback.c */
#define LWIP_HAVE_LOOPIF 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_SINGLE_NETIF 0
#define ETH_PAD_SIZE 0

/* ---- TCP ---- */
#define TCP_MSS 1460             /* advertised; large segments are made in tcp_send.c */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (4 * 1024 * 1024)
#define TCP_SND_BUF (4 * 1024 * 1024)
#define TCP_SND_QUEUELEN 16384
#define TCP_SNDLOWAT 16384
#define TCP_OVERSIZE 0           /* payload is never lwIP's own */
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES (1024 * 1024)
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_MAX_SACK_NUM 4
#define LWIP_TCP_TIMESTAMPS 0    /* lwIP would send, and not use them */
#define TCP_LISTEN_BACKLOG 1
#define TCP_TMR_INTERVAL 25      /* ms; retransmission timers count twice that */
#define TCP_MSL 15000UL
#define TCP_WND_UPDATE_THRESHOLD 0x7fffffff /* tcp.c decides */
#define LWIP_TCP_RTO_TIME 1000   /* RFC 6298 */
#define TCP_MAXRTX 12            /* lwIP's table has no more */
#define TCP_SYNMAXRTX 7
#define LWIP_TCP_PCB_NUM_EXT_ARGS 0
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

/* ---- checksums: of TCP and UDP at the edge, or by the device ---- */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define CHECKSUM_GEN_TCP 0
#define CHECKSUM_GEN_UDP 0
#define CHECKSUM_CHECK_TCP 1
#define CHECKSUM_CHECK_UDP 1
#define LWIP_CHKSUM checksum_of
#define LWIP_CHKSUM_ALGORITHM 0

#define LWIP_HOOK_FILENAME "servers/net/lwip/hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(source, destination) hook_route(source, destination)

#define LWIP_DEBUG 0
#define LWIP_DBG_TYPES_ON 0
#define LWIP_PERF 0
#define LWIP_RAND() random_u32()
#define LWIP_DNS_SECURE 7

#endif
