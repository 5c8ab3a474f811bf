/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of net share.
 *
 * All state is static data or heap (heap.c); payload lies in the pool (pool.c)
 * and the receive pools of interfaces. lwIP's callbacks only note what happened
 * and mark the socket; sockets_settle() then lets parked calls go on, sends, and
 * tells the kernel the readiness. So nothing of lwIP is called from inside lwIP.
 */
#ifndef SERVERS_NET_NET_H
#define SERVERS_NET_NET_H

#include "lib/ipc/server.h"
#include "lib/netcli/netcli.h"
#include "lwip/opt.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/raw.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"
#include "proto/socket.h"
#include "servers/net/linux_net.h"

/* ---- checksum.c: sums, not inverted ---- */
uint16_t checksum_add(uint16_t a, uint16_t b);
uint16_t checksum_copy(void *to, const void *from, uint32_t length); /* to payload, that is */
bool ip4_is_plain(const uint8_t *ip, uint32_t bytes); /* whole, no options, no fragment, the header's sum right (RFC 791) */
void finish_ip4(uint8_t *ip, uint32_t total); /* sets an IPv4 header's length and, last of all, its checksum */

/* ---- random.c ---- */
void random_start(void);
uint64_t siphash(const void *data, size_t bytes);
u32_t hook_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port);

/* ---- pool.c: payload to send, mapped for devices ---- */
#define CHUNK_SMALL 4096u
#define CHUNK_LARGE 65600u        /* any packet, with what a device puts before it */
struct chunk {
	struct chunk *next;      /* free list, or its socket's queue */
	uint8_t *data;
	uint32_t size, used;     /* bytes; used: filled so far */
	uint32_t lent;           /* bytes of it that are an extent of a flow, for a stream; 0: none */
	uint32_t refs;           /* one of each who holds it: pieces, flows, packets under way */
};
extern struct net_pool pool;
uint32_t pool_share(void);       /* bytes of it that a connection may have at most, received */
bool pool_start(void);          /* make it, if it is not there; false: no memory */
void pool_iteration_begins(void); /* behind a commit, before more is received */
void pool_iteration_ends(void);
bool pool_has_given_back(void);  /* free after the commit */
struct chunk *chunk_get(uint32_t bytes); /* of either size; NULL: none free */
struct chunk *chunk_get_buffer(uint32_t bytes); /* to receive into: at least so large, also of the last ones */
void chunk_hold(struct chunk *c);
void chunk_drop(struct chunk *c);
struct chunk *chunk_of(const void *address); /* NULL: not in the pool */
uint32_t chunks_free_large(void);
bool chunks_are_plenty(uint32_t bytes); /* of that size: one may be used for what can do without */
bool chunks_abound(void);        /* large ones: for what is only likely to need one */
bool pool_is_short(void);
uint64_t memory_left(void);      /* bytes of what is scarcer, for what arrives, before it is short */
bool memory_is_short(void);      /* pool or heap: nobody is to hold much of what has arrived */
bool chunks_were_short(void);    /* chunk_get() failed since the last time this was asked, and
                                    there are some now */
uint8_t *header_get(void);       /* HEADER_BYTES for a packet's headers; NULL: none */
void header_put(uint8_t *header);
#define HEADER_BYTES 256u
struct pbuf *chunk_pbuf(struct chunk *c, const void *at, uint32_t bytes); /* holds c; NULL: no memory */

/* ---- sockets ---- */
enum sock_kind { SOCKET_NONE, SOCKET_TCP, SOCKET_UDP, SOCKET_RAW, SOCKET_PACKET, SOCKET_NETLINK };
enum { WAIT_RECV, WAIT_SEND, WAIT_ACCEPT, WAIT_CONNECT, WAIT_KINDS };

struct address {                 /* a sockaddr */
	uint32_t length;
	uint8_t bytes[128];
};

struct control {                 /* of a message to send, by control messages */
	int16_t hop_limit, tos;  /* -1: the socket's own */
	uint32_t interface;      /* 0: as routes say */
	ip_addr_t source;        /* any: the interface's */
};

struct waiter {                  /* a parked call */
	struct waiter *next;     /* of its socket, by arrival */
	struct waiter *hash_next;
	struct sock *sock;
	uint64_t call_id, account;
	uint32_t what;           /* WAIT_* */
	uint32_t flags;          /* MSG_* */
	uint32_t window[SOCK_DATA_WINDOWS]; /* bytes */
	uint64_t total, done;
	struct address address;  /* datagrams: where to */
	struct control control;
	uint32_t control_room;   /* bytes of the window for an address and control messages */
	bool timed_out;
	struct server_timer timer;
};

struct arrival { /* of a datagram: where to, and how */
	ip_addr_t to;
	uint8_t hop_limit, tos, interface;
};

struct packet {                  /* received: a stretch of a stream, or a datagram */
	struct packet *next;
	struct pbuf *p;
	uint32_t offset;         /* already given out */
	uint32_t held;           /* bytes of memory, of the pool by whole chunks */
	ip_addr_t from;
	struct arrival arrival;
	uint16_t port;           /* the sender's; packet sockets: protocol */
	uint8_t interface, packet_type; /* packet sockets */
	uint8_t hardware[6];
	uint64_t arrived_ns;
};

/* tcp_loss.c: what the peer of a connection has selectively acknowledged. */
#define SACK_BLOCKS 16u
struct sack {
	uint32_t count;          /* blocks not looked at yet */
	struct sack_block { uint32_t left, right; } block[SACK_BLOCKS];
	bool recovering, high_set;
	uint32_t high;           /* behind the last byte known to have arrived */
	uint32_t recover;        /* snd_nxt when the recovery began: its end */
	uint32_t again;          /* snd_nxt when holes were last sent again */
	uint32_t lastack;        /* when last looked at */
	uint32_t arrived;        /* bytes marked since the recovery or its reason began */
};

struct piece {                   /* of a stream: sent, in one chunk, not acknowledged yet */
	struct piece *next;
	struct chunk *chunk;
	uint32_t bytes;
};

struct sock {
	enum sock_kind kind;
	uint16_t family, type, protocol;
	uint64_t id;             /* object; 0: a free slot, or an orphan */
	uint64_t account;
	uint32_t uid, gid;
	union { struct tcp_pcb *tcp; struct udp_pcb *udp; struct raw_pcb *raw; } pcb;
	bool bound, listening, connecting, connected, was_connected;
	bool peer_fin, shut_read, shut_write, orphan, in_use, closed_pcb, refused, opened_window, late_success, ended,
	     narrowed;           /* TCP: the way is narrower than the segments under way */
	bool ack_due;            /* data came in this iteration that is to be acknowledged at its end */
	int error;               /* SO_ERROR */
	int32_t owner;           /* as SIOCSPGRP has it */
	/* receiving */
	struct packet *received, *received_last;
	uint32_t received_bytes, received_count;
	uint32_t held;           /* of all of them: a stream's only */
	const struct chunk *held_last; /* the chunk that was last counted */
	uint64_t read_ns;        /* a stream: when its program was last known to have read */
	uint32_t receive_limit;  /* 0: of a stream for which nobody asked, its `window` */
	uint32_t window, window_taken; /* ... so far, and read since it grew */
	/* what the kernel gives out (flow_in.c, flow_datagram.c) */
	bool flow_in, flow_stopping;
	uint8_t flow_stops;      /* calls that it could not do, or failures to have one, so far */
	uint64_t flow_stop_bytes; /* got_bytes at the last of these */
	struct packet *flow_next; /* the first of `received` not (wholly) published; NULL: all are */
	uint32_t flow_offset;    /* of it, where what is not published begins */
	uint32_t flow_published; /* bytes, not known to be taken */
	uint32_t flow_mode, flow_tell; /* as last told to the kernel */
	uint64_t flow_timeout_ns;
	uint64_t flow_stopped_in; /* the iteration that stops it (flow_has_stopped) */
	uint64_t flow_moved;     /* bytes that programs have taken, as far as known */
	uint64_t flow_appended, flow_taken; /* extents */
	struct chunk *packing;   /* what arrives is put behind what is in it (pack.c) */
	uint32_t calls_received; /* UDP: without a flow, that one could have done, since it last stopped */
	/* sending */
	struct piece *sending, *sending_last;
	uint32_t sending_bytes, send_limit;
	bool send_limit_set;     /* by the program: else it grows (stream_out.c) */
	struct stream_out *stream_out; /* TCP: stream_out.c; NULL: none */
	uint32_t stream_refusals;
	bool had_stream_out;     /* or tried to */
	uint64_t plain_from;     /* sent_bytes when there was last a reason against one */
	bool fin_queued;
	bool starved;            /* the pool had nothing for it: not ready until it may have */
	struct send_flow *send_flow; /* UDP: flow_out.c; NULL: none */
	uint32_t calls_sent;     /* without a flow */
	struct chunk *gathered;  /* UDP: of sends with MSG_MORE, for one datagram */
	ip_addr_t gathered_to;
	uint16_t gathered_port;
	bool more;               /* TCP: the last send said there is more */
	uint64_t held_since_ns;  /* TCP: for MSG_MORE, TCP_CORK; 0: nothing is held back */
	struct server_timer held_timer;
	struct membership *memberships;
	/* listening */
	struct sock *accepted, *accepted_last, *accept_next, *listener;
	uint32_t accepted_count;
	struct waiter *wait[WAIT_KINDS], *wait_last[WAIT_KINDS];
	uint32_t ready, pulse;   /* as the kernel was told; what moved since */
	struct sock *dirty_next;
	bool dirty;
	/* options */
	uint32_t rcvbuf, sndbuf;
	uint64_t receive_timeout_ns, send_timeout_ns;
	bool reuse_address, reuse_port, broadcast, keepalive, linger, v6only, header_included,
	     cork, dont_route, recv_error;
	uint32_t control_wanted; /* CONTROL_*: with what is received */
	uint32_t linger_s, priority, mark, mtu_discover, icmp_filter, icmp6_filter[8];
	uint32_t keep_idle_s, keep_interval_s, keep_count, user_timeout_ms, maxseg, syn_count, defer_accept;
	char device[16];
	/* who it talks to, for kinds without a connection */
	ip_addr_t peer;
	uint16_t peer_port;
	bool local_chosen;      /* UDP: connecting chose the local address, which was this before: */
	ip_addr_t local_before;
	uint32_t interface;      /* SOCKET_PACKET: bound to; 0: all */
	uint32_t netlink_port;   /* SOCKET_NETLINK: as bound; 0: the one it has by itself */
	uint64_t created_ns;
	uint64_t sent_bytes, got_bytes;
	uint32_t sent_mark;      /* the end of what was sent when a segment came */
	uint32_t retransmits;
	uint32_t window_kept;    /* TCP: taken off rcv_wnd while one segment is looked at */
	uint32_t window_owed;    /* TCP: not in rcv_wnd, for memory is short, or was when the program last read */
	struct sack sack;
};

#define SOCKETS_MAX 6144u
#define SOCKETS_PER_ACCOUNT 2048u
extern struct sock sockets[SOCKETS_MAX];
extern uint32_t sockets_end;     /* behind the last slot that was ever used */

/* sock.c */
void sock_call(const struct x_in *in);
void sock_closed(uint64_t object);
struct sock *sock_new(uint64_t account);
void sock_free(struct sock *s);
struct sock *sock_find(uint64_t object);
int64_t sock_mint(struct sock *s, uint32_t status_flags);
void sock_mark(struct sock *s, uint32_t pulse); /* something happened: settle it */
void sockets_settle(void);
bool sockets_unsettled(void);
void sock_discard_received(struct sock *s);
bool in_nonblocking(const struct x_in *in);

/* wait.c */
struct waiter *waiter_of(struct sock *s, const struct x_in *in, uint32_t what); /* not parked yet */
void waiter_park(const struct waiter *w, uint64_t timeout_ns);  /* a copy; answers if it can't */
int64_t waiter_patience(const struct waiter *w, int64_t status); /* of one to receive: who waited for the flow to stop
	only, and finds nothing, is told so */
void waiter_drop(struct waiter *w); /* answered already */
void waiters_end_all(struct sock *s, uint32_t what, int64_t status);
void waiter_end(struct waiter *w, int64_t status);
void waiter_end_with(struct waiter *w, const struct x_msg *msg);
void waiter_cancel(uint64_t call_id);
struct waiter *waiter_first(const struct sock *s, uint32_t what);

/* address.c */
int64_t address_in(const struct x_in *in, struct address *a);   /* 0 or error; length 0: none given */
void address_out(struct x_msg *msg, const struct address *a);
void address_make(const struct sock *s, const ip_addr_t *ip, uint16_t port, struct address *a);
/* The IP address and port in a; checked against the socket's family. 0, -X_EINVAL,
 * -X_EAFNOSUPPORT. */
int64_t address_parse(const struct sock *s, const struct address *a, ip_addr_t *ip, uint16_t *port);
uint16_t address_family(const struct address *a);
bool address_is_local(const ip_addr_t *ip);

/* By kind. Status or error; receive and send return SOCK_WAIT if the call is to be parked. */
#define SOCK_WAIT (-4096)
int64_t errno_of(err_t err);
int64_t sock_bind(struct sock *s, const struct address *a);
int64_t sock_take_error(struct sock *s);

int64_t tcp_open_socket(struct sock *s);
int64_t tcp_bind_socket(struct sock *s, const ip_addr_t *ip, uint16_t port);
int64_t tcp_connect_socket(struct sock *s, const ip_addr_t *ip, uint16_t port);
int64_t tcp_listen_socket(struct sock *s, int backlog);
int64_t tcp_receive_some(struct sock *s, struct waiter *w);
int64_t tcp_send_some(struct sock *s, struct waiter *w);
int64_t tcp_shutdown_socket(struct sock *s, bool read, bool write);
void tcp_close_socket(struct sock *s);
void tcp_settle(struct sock *s);
uint32_t tcp_readiness(const struct sock *s);
void tcp_apply_options(struct sock *s);
uint32_t tcp_state_of(const struct sock *s);
void tcp_disconnect_socket(struct sock *s);

void tcp_open_window(struct sock *s, uint32_t bytes); /* so much was taken of what has arrived */
uint32_t tcp_window_limit(const struct sock *s);
#define TCP_WINDOW_SHORT 32768u  /* bytes that a stream may have received and not read, however short memory is */

/* flow_in.c */
/* That the kernel says so counts from the next iteration on: what this one appends to a flow that did
 * not run yet takes effect at its end. `stopped_in`: server_epoch() when it was told to stop. */
bool flow_has_stopped(const struct x_flow_state *state, uint64_t stopped_in);
void received_drop(struct sock *s, uint32_t bytes); /* of the head of a stream's queue */
void flow_sync(struct sock *s);  /* what was taken meanwhile leaves the queue */
void flow_publish(struct sock *s);
void flow_stop(struct sock *s);  /* later flow_in is false, and the queue is ours */
bool flow_open(struct sock *s, uint32_t which); /* a new one, or the one that was stopped; false: not now */
bool flow_could(const struct waiter *w); /* a flow can do this call */
bool flow_hides_received(const struct sock *s); /* its readiness is the kernel's to tell */
int64_t flow_goes_first(struct sock *s, const struct waiter *w); /* 0: a call may take what there is */
void flow_told(uint64_t object);
void flows_sync(void);

/* pack.c */
struct pbuf *pack(struct sock *s, struct pbuf *p); /* into the pool; NULL: no room, p as it was */
struct pbuf *pack_room(struct sock *s, uint32_t bytes); /* to be filled; NULL: none */
void pack_fill(struct sock *s, uint32_t bytes); /* that room is taken */
void pack_let_go(struct sock *s); /* of the chunk that things are packed into */

/* flow_datagram.c: the same of UDP */
void datagrams_taken(struct sock *s, uint64_t extents); /* so many ever: they leave the queue */
void datagrams_publish(struct sock *s);
void datagram_flows_begin(void);  /* an iteration */
bool datagram_flows_wait(void);   /* for the next iteration, with what is published */
void datagram_flows_sync(void);

/* tcp_send.c */
int64_t tcp_queue(struct sock *s, struct waiter *w); /* one piece: bytes, SOCK_WAIT or error */
err_t tcp_give(struct sock *s, struct chunk *c, uint32_t bytes, bool more); /* behind c->used */
uint32_t tcp_usable(const struct tcp_pcb *pcb, const struct chunk *c);
void tcp_push(struct sock *s);
void tcp_sent_bytes(struct sock *s, uint32_t bytes);
void tcp_drop_queue(struct sock *s);
err_t segment_split(struct tcp_pcb *pcb, struct tcp_seg *segment, uint32_t bytes);
extern uint16_t tcp_output_mss;  /* of the segment that is just being sent; 0: none */

/* tcp_loss.c */
void tcp_timers(void);
void tcp_recover(struct sock *s);
void tcp_send_narrower(struct sock *s); /* what is under way, in segments of a lowered size */
void tcp_take_window_back(struct sock *s);
void tcp_prune(void);            /* forget what has arrived too early */
extern struct tcp_counts { uint64_t refused, pruned, recoveries; } tcp_counts; /* segments not taken for want of
	memory, connections whose early ones were forgotten, losses repaired by SACK */

/* reopen.c */
void reopen_index(void);         /* by a timer */
void reopen_input_done(void);    /* lwIP has had the packet */

/* datagram.c: UDP, raw and packet sockets */
int64_t udp_open_socket(struct sock *s);
int64_t raw_open_socket(struct sock *s);
int64_t datagram_bind(struct sock *s, const ip_addr_t *ip, uint16_t port);
int64_t datagram_connect(struct sock *s, const struct address *a);
int64_t datagram_receive(struct sock *s, struct waiter *w, struct x_msg *msg);
int64_t datagram_send(struct sock *s, struct waiter *w, const struct address *a);
void datagram_close(struct sock *s);
uint32_t datagram_readiness(const struct sock *s);
struct packet *packet_queue(struct sock *s, struct pbuf *p); /* takes p; NULL: dropped */
struct packet *packet_line_up(struct sock *s, struct pbuf *p); /* the same, p being where it is to stay */
bool datagram_has_room(struct sock *s, uint32_t bytes);
extern uint32_t raw_sockets;     /* how many there are */
void received_drop_datagram(struct sock *s); /* the first of the queue */
void *heap_allocate(size_t bytes);
void heap_free(void *memory);
bool heap_is_short(void);
uint64_t heap_left(void);        /* bytes until then */
int64_t copy_from_windows(const struct waiter *w, uint64_t at, void *to, uint32_t bytes);
int64_t copy_to_windows(struct waiter *w, uint64_t at, const struct pbuf *p, uint32_t offset, uint32_t bytes);

/* flow_out.c: sending without a call */
void send_flow_told(uint64_t object, const struct x_flow_state *state);
void send_flow_note(struct sock *s);     /* a plain send, by call */
void send_flow_sync(struct sock *s);     /* before a call is looked at */
bool send_flow_waits(const struct sock *s); /* for room in the driver's queue */
void send_flow_settle(struct sock *s);
void send_flow_discard(struct sock *s);
void send_flow_drop(struct sock *s);     /* the socket's end */

/* stream_out.c: the same of streams */
void stream_out_told(uint64_t object, const struct x_flow_state *state);
void stream_out_sync(struct sock *s);    /* before a call is looked at, and at the last handle's end */
void stream_out_call(struct sock *s);    /* a send that can only be a call */
bool stream_out_serves(const struct sock *s); /* readiness to send is the kernel's to tell */
bool stream_out_waits(const struct sock *s);  /* some of what was filled is not lwIP's yet */
bool stream_out_is_due(const struct sock *s); /* settle it, though nothing happened */
void stream_out_settle(struct sock *s);
void stream_out_closed(struct sock *s);  /* nobody has a handle any more */
void stream_out_drop(struct sock *s);

/* packet.c */
int64_t packet_open_socket(struct sock *s);
int64_t packet_bind(struct sock *s, const struct address *a);
int64_t packet_send(struct sock *s, struct waiter *w, const struct address *a);
void packet_deliver(struct netif *netif, const struct pbuf *p, bool outgoing);
bool packet_is_watched(void);    /* by some packet socket */
void packet_poison(const struct pbuf *p, uint16_t ip_at); /* tests */
void packet_address(const struct sock *s, const struct packet *d, struct address *a);

/* netlink.c */
int64_t netlink_open_socket(struct sock *s);
int64_t netlink_bind(struct sock *s, const struct address *a);
int64_t netlink_send(struct sock *s, struct waiter *w, const struct address *a);
void netlink_address(const struct sock *s, bool own, struct address *a);

/* control.c */
enum { CONTROL_PKTINFO = 1, CONTROL_TTL = 2, CONTROL_TOS = 4, CONTROL_PKTINFO6 = 8, CONTROL_HOPS6 = 16,
       CONTROL_CLASS6 = 32, CONTROL_TIME = 64, CONTROL_TIME_NS = 128 };
int64_t control_read(const struct sock *s, const struct x_in *in, struct control *c);
void control_write(const struct sock *s, const struct packet *d, struct waiter *w, struct x_msg *msg);
void control_note(struct arrival *a); /* from inside lwIP's input: of the packet at hand, while it is there */

/* icmp_error.c: what ICMP says of what we sent */
void icmp_errors_start(void);
void icmp_no_neighbour(struct sock *s); /* ends it if so: being connected, SYNs unanswered */
#define PATH_MTU_LEAST 552u      /* of IPv4: who tells of less is not believed, as by Linux (ip-sysctl, min_pmtu) */

/* multicast.c: the groups a socket is in; it leaves them when it is closed */
int64_t multicast_option(struct sock *s, uint32_t level, uint32_t name, const uint8_t *value, uint32_t length);
bool multicast_is_option(uint32_t level, uint32_t name);
void multicast_leave_all(struct sock *s);

/* options.c, ioctl.c */
int64_t sock_getopt(struct sock *s, const struct x_in *in);
int64_t sock_setopt(struct sock *s, const struct x_in *in);
int64_t sock_ioctl(struct sock *s, const struct x_in *in);

/* ---- interfaces ---- */
struct interface {
	struct netif netif;
	struct net_client *client; /* NULL: loopback, or there is no device yet */
	x_handle_t driver;
	bool present, up;        /* up: IFF_UP as the user wants it */
	bool dhcp;
	uint32_t mtu;
	char name[16];
	struct net_info info;
	struct net_link link;
	bool promiscuous;
	uint32_t posted, post_target, post_bytes; /* receive buffers */
	struct tx_packet *tx_free;
	bool tx_stalled;         /* something was refused for want of room */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_dropped, tx_dropped;
	uint64_t delivered;      /* packets given to lwIP: names one whose delivery kills */
};
#define INTERFACES_MAX 8u
extern struct interface interfaces[INTERFACES_MAX]; /* 0: lo */
extern uint32_t interface_count;
struct interface *interface_of(struct netif *netif);
struct interface *interface_by_name(const char *name);
struct interface *interface_by_index(uint32_t index); /* as Linux numbers them: lo 1 */
uint32_t interface_index(const struct interface *i);
void interfaces_start(void);
int64_t interface_set_flags(struct interface *i, uint32_t flags);
uint32_t interface_flags(const struct interface *i);
void interface_set_up(struct interface *i, bool up);
int64_t interface_set_mtu(struct interface *i, int32_t mtu);
void interface_set_address(struct interface *i, uint32_t address, uint32_t mask); /* of IPv4; ends DHCP */
uint32_t interface_mtu_for(const ip_addr_t *ip); /* of the way there */

/* loopback.c */
void loopback_start(struct interface *i);
bool loopback_run(uint32_t most);  /* true: there is more */

/* ether.c: interfaces with a driver */
void ether_start(void);
bool ether_poll(void);             /* true: there may be more */
void ether_filters_changed(struct interface *i);
/* Takes the reference of c, in which the data lies. */
void ether_deliver_joined(struct interface *i, const uint8_t *head, uint32_t head_bytes, struct chunk *c,
			  const uint8_t *data, uint32_t bytes);

/* join.c */
bool join_frame(struct interface *i, struct chunk *c, const uint8_t *b, uint32_t length, bool verified);
void joins_begin(void);          /* an iteration */
bool joins_deliver(void);        /* what is held; false: nothing was */

/* edge.c, frame.c: packets out */
#define FRAME_HEAD_MOST 192u
err_t edge_output(struct netif *netif, struct pbuf *p);
struct headers {                   /* of a frame; offsets from its beginning */
	uint16_t l3, l4, payload;  /* l4 0: not known, or a fragment */
	uint8_t protocol;          /* of IP; 0: no IP */
	bool v6;
	uint32_t length;           /* by the IP header, Ethernet header included */
};
void headers_parse(const struct pbuf *p, struct headers *h);
uint16_t pseudo_sum(const uint8_t *frame, const struct headers *h, uint32_t bytes);
struct frame {                     /* being put together */
	struct interface *to;
	struct tx_packet *record;
	uint8_t *head;             /* HEADER_BYTES of the pool */
	uint32_t head_bytes;
};
bool frame_open(struct frame *f, struct interface *to, uint32_t head_bytes);
bool frame_begin(struct frame *f, struct interface *to, const struct pbuf *p, uint32_t head_bytes);
void frame_add_chunk(struct frame *f, struct chunk *c, const uint8_t *at, uint32_t bytes);
bool frame_add(struct frame *f, const struct pbuf *p, uint32_t offset, uint32_t bytes);
err_t frame_send(struct frame *f, const struct net_meta *meta);
void frame_drop(struct frame *f);
void frame_sent(struct interface *i, struct tx_packet *record);
void senders_may_go(void);         /* main.c */

/* burst.c: datagrams that follow each other */
struct burst {                     /* for as long as nothing else happens */
	struct interface *to;      /* NULL: not known, or nothing for a burst */
	struct headers headers;
	uint8_t head[FRAME_HEAD_MOST];   /* of the one before */
};
void edge_note_headers(struct burst *b); /* of what is sent from now on; NULL: no more */
bool burst_takes(const struct burst *b, uint32_t bytes);
err_t burst_send(const struct burst *b, struct chunk *c, const uint8_t *at, uint32_t bytes); /* ERR_WOULDBLOCK: full */

/* burst_in.c: datagrams received that follow each other */
void burst_in_note(struct sock *s);
void burst_in_forget(void);
bool burst_in_frame(struct interface *i, const uint8_t *b, uint32_t length, bool verified); /* false: not one */

/* route.c: what lwIP's own routing (interfaces' networks and gateways) lacks */
struct route { ip4_addr_t destination, mask, gateway; uint32_t interface, metric; bool used; };
#define ROUTES_MAX 64u
extern struct route routes[ROUTES_MAX];
int64_t route_change(const struct linux_rtentry *r, const char *device, bool add);
void route_interface_gone(uint32_t index);
void route_set_default(uint32_t index, const ip4_addr_t *gateway); /* from DHCP; any: remove */

/* text.c */
int64_t text_read(uint32_t which, char *buffer, size_t size);

#endif
