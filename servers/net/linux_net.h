/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Constants and structures of Linux's socket interface, as programs pass them.
 * Sources: man-pages socket(7), ip(7), ipv6(7), tcp(7), udp(7), raw(7),
 * packet(7), netdevice(7), and the numbers of the x86-64 ABI.
 */
#ifndef SERVERS_NET_LINUX_NET_H
#define SERVERS_NET_LINUX_NET_H

#include <stdint.h>

enum { L_AF_UNSPEC = 0, L_AF_INET = 2, L_AF_INET6 = 10, L_AF_NETLINK = 16, L_AF_PACKET = 17 };
enum { L_SOCK_STREAM = 1, L_SOCK_DGRAM = 2, L_SOCK_RAW = 3, L_SOCK_PACKET = 10 };
enum { L_IPPROTO_IP = 0, L_IPPROTO_ICMP = 1, L_IPPROTO_TCP = 6, L_IPPROTO_UDP = 17, L_IPPROTO_IPV6 = 41,
       L_IPPROTO_ICMPV6 = 58, L_IPPROTO_RAW = 255 };

#define L_MSG_OOB       1u
#define L_MSG_PEEK      2u
#define L_MSG_CTRUNC    8u
#define L_MSG_TRUNC     0x20u
#define L_MSG_DONTWAIT  0x40u
#define L_MSG_WAITALL   0x100u
#define L_MSG_ERRQUEUE  0x2000u
#define L_MSG_NOSIGNAL  0x4000u
#define L_MSG_MORE      0x8000u

struct linux_sockaddr_in { uint16_t family, port; uint32_t address; uint8_t zero[8]; };
struct linux_sockaddr_in6 { uint16_t family, port; uint32_t flow; uint8_t address[16]; uint32_t scope; };
struct linux_sockaddr_ll { uint16_t family, protocol; int32_t interface; uint16_t hardware_type;
			   uint8_t packet_type, halen, address[8]; };

#define L_SOL_SOCKET 1
enum {
	L_SO_DEBUG = 1, L_SO_REUSEADDR, L_SO_TYPE, L_SO_ERROR, L_SO_DONTROUTE, L_SO_BROADCAST, L_SO_SNDBUF,
	L_SO_RCVBUF, L_SO_KEEPALIVE, L_SO_OOBINLINE, L_SO_NO_CHECK, L_SO_PRIORITY, L_SO_LINGER,
	L_SO_BSDCOMPAT, L_SO_REUSEPORT, L_SO_PASSCRED, L_SO_PEERCRED, L_SO_RCVLOWAT, L_SO_SNDLOWAT,
	L_SO_RCVTIMEO, L_SO_SNDTIMEO, L_SO_BINDTODEVICE = 25, L_SO_ATTACH_FILTER, L_SO_DETACH_FILTER,
	L_SO_PEERNAME, L_SO_TIMESTAMP, L_SO_ACCEPTCONN, L_SO_SNDBUFFORCE = 32, L_SO_RCVBUFFORCE,
	L_SO_TIMESTAMPNS = 35, L_SO_MARK = 36, L_SO_PROTOCOL = 38, L_SO_DOMAIN, L_SO_RCVTIMEO_NEW = 66, L_SO_SNDTIMEO_NEW,
};

enum {
	L_IP_TOS = 1, L_IP_TTL, L_IP_HDRINCL, L_IP_OPTIONS, L_IP_RECVOPTS = 6, L_IP_PKTINFO = 8,
	L_IP_MTU_DISCOVER = 10, L_IP_RECVERR, L_IP_RECVTTL, L_IP_RECVTOS, L_IP_MTU, L_IP_FREEBIND,
	L_IP_BIND_ADDRESS_NO_PORT = 24, L_IP_MULTICAST_IF = 32, L_IP_MULTICAST_TTL, L_IP_MULTICAST_LOOP,
	L_IP_ADD_MEMBERSHIP, L_IP_DROP_MEMBERSHIP,
};
enum {
	L_IPV6_CHECKSUM = 7, L_IPV6_UNICAST_HOPS = 16, L_IPV6_MULTICAST_IF, L_IPV6_MULTICAST_HOPS,
	L_IPV6_MULTICAST_LOOP, L_IPV6_ADD_MEMBERSHIP, L_IPV6_DROP_MEMBERSHIP, L_IPV6_MTU_DISCOVER = 23,
	L_IPV6_MTU, L_IPV6_RECVERR, L_IPV6_V6ONLY, L_IPV6_RECVPKTINFO = 49, L_IPV6_PKTINFO,
	L_IPV6_RECVHOPLIMIT, L_IPV6_HOPLIMIT, L_IPV6_RECVTCLASS = 66, L_IPV6_TCLASS,
};
enum {
	L_TCP_NODELAY = 1, L_TCP_MAXSEG, L_TCP_CORK, L_TCP_KEEPIDLE, L_TCP_KEEPINTVL, L_TCP_KEEPCNT,
	L_TCP_SYNCNT, L_TCP_LINGER2, L_TCP_DEFER_ACCEPT, L_TCP_WINDOW_CLAMP, L_TCP_INFO, L_TCP_QUICKACK,
	L_TCP_CONGESTION, L_TCP_USER_TIMEOUT = 18, L_TCP_FASTOPEN = 23,
};
#define L_ICMP_FILTER 1
#define L_ICMPV6_FILTER 1
#define L_SOL_RAW 255
#define L_SOL_PACKET 263
#define L_SOL_NETLINK 270

enum { /* states as Linux numbers them */
	L_TCP_ESTABLISHED = 1, L_TCP_SYN_SENT, L_TCP_SYN_RECV, L_TCP_FIN_WAIT1, L_TCP_FIN_WAIT2,
	L_TCP_TIME_WAIT, L_TCP_CLOSE, L_TCP_CLOSE_WAIT, L_TCP_LAST_ACK, L_TCP_LISTEN, L_TCP_CLOSING,
};

struct linux_tcp_info { /* the part that every version has, and a little more */
	uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, flags;
	uint32_t rto, ato, snd_mss, rcv_mss;
	uint32_t unacked, sacked, lost, retrans, fackets;
	uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
	uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
	uint32_t rcv_rtt, rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
};
_Static_assert(sizeof(struct linux_tcp_info) == 136, "struct tcp_info, up to bytes_received");

struct linux_ifmap { uint64_t mem_start, mem_end; uint16_t base; uint8_t irq, dma, port, pad[3]; };
struct linux_ifreq {
	char name[16];
	union {
		struct { uint16_t family; uint8_t data[14]; } address;
		struct linux_sockaddr_in in;
		int16_t flags;
		int32_t number;
		struct linux_ifmap map;
		char text[16];
		uint64_t pointer;
		uint8_t bytes[24];
	};
};
_Static_assert(sizeof(struct linux_ifreq) == 40, "struct ifreq");

struct linux_in6_ifreq { uint8_t address[16]; uint32_t prefix; int32_t interface; };

struct linux_rtentry {
	uint64_t pad1;
	struct linux_sockaddr_in destination, gateway, mask;
	uint16_t flags;
	int16_t pad2;
	uint64_t pad3;
	uint64_t pad4;           /* tos, class and what aligns them */
	int16_t metric;
	int16_t pad5[3];
	uint64_t device;         /* address of its name */
	uint64_t mtu, window;
	uint16_t irtt;
	uint16_t pad6[3];
};
_Static_assert(sizeof(struct linux_rtentry) == 120, "struct rtentry");

struct linux_arpreq {
	struct linux_sockaddr_in protocol;
	struct { uint16_t family; uint8_t data[14]; } hardware;
	int32_t flags;
	struct linux_sockaddr_in mask;
	char device[16];
};
_Static_assert(sizeof(struct linux_arpreq) == 68, "struct arpreq");

#define L_IFF_UP          0x1u
#define L_IFF_BROADCAST   0x2u
#define L_IFF_LOOPBACK    0x8u
#define L_IFF_RUNNING     0x40u
#define L_IFF_NOARP       0x80u
#define L_IFF_PROMISC     0x100u
#define L_IFF_ALLMULTI    0x200u
#define L_IFF_MULTICAST   0x1000u

#define L_RTF_UP      1u
#define L_RTF_GATEWAY 2u
#define L_RTF_HOST    4u

#define L_ARPHRD_ETHER    1u
#define L_ARPHRD_LOOPBACK 772u

#endif
