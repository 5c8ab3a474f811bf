/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNIX sockets (unix(7)), proto/socket.h:
 *
 *   unix.c           the sockets, their life, calls by kind
 *   unix_name.c      bind; names in the filesystem and abstract ones
 *   unix_connect.c   connect, listen, accept, socketpair, shutdown
 *   unix_send.c unix_recv.c   data
 *   unix_flow.c      streams that go on without calls
 *   unix_rights.c    descriptors on their way, records of messages
 *   unix_cycles.c    sockets that only sockets hold
 *   unix_option.c    getsockopt, setsockopt, ioctl
 *
 * A socket has a ring of what came to it, and records that say where a message
 * ends, who sent it and what came along. A stream has records too, so that
 * descriptors arrive with the byte they were sent with; those that differ in
 * nothing are joined.
 *
 *   NEW -> LISTENING, or NEW -> CONNECTED (-> peer 0: the other side is gone).
 *   A stream that connects makes the socket that accept will give: an embryo,
 *   CONNECTED, without an object, in the listener's list.
 *
 * Calls that wait are parked: receives at the socket itself, sends at the
 * socket they go to, accepts and connects at the listener.
 */
#ifndef SERVERS_VFS_UNIX_H
#define SERVERS_VFS_UNIX_H

#include "proto/socket.h"
#include "servers/vfs/vfs.h"

enum {
	UNIX_MAX = 1024,
	UNIX_RECORDS_MAX = 8192,
	UNIX_RECORDS_PER_SOCKET = 512,
	UNIX_RIGHTS_MAX = 1024,         /* descriptors on their way, in all */
	UNIX_RIGHTS_PER_MESSAGE = 253,  /* SCM_MAX_FD */
	UNIX_BUFFER = 256 << 10,        /* bytes that may wait at a socket */
	UNIX_ADDRESS_MAX = 110,         /* struct sockaddr_un */
	UNIX_FAMILY = 1,
	UNIX_BACKLOG_MAX = 128,
};

#define UNIX_HURRIED 0x80000000u /* status_flags: the caller has lost patience already */

enum { TYPE_STREAM = 1, TYPE_DGRAM = 2, TYPE_SEQPACKET = 5 };
enum unix_state { UNIX_FREE, UNIX_NEW, UNIX_LISTENING, UNIX_CONNECTED };
enum unix_flow { UNIX_BY_CALL, UNIX_FLOWS, UNIX_STOPS }; /* who has what came to it: we; the kernel; still it */

enum {
	MSG_F_OOB = 1, MSG_F_PEEK = 2, MSG_F_CTRUNC = 8, MSG_F_TRUNC = 0x20, MSG_F_DONTWAIT = 0x40,
	MSG_F_EOR = 0x80, MSG_F_WAITALL = 0x100, MSG_F_CMSG_CLOEXEC = 0x40000000,
};

struct unix_creds { uint32_t pid, uid, gid; };

/* An address, shared by the socket, those accepted from it and its messages. */
struct unix_name {
	uint32_t refs;          /* 0: free */
	uint32_t bytes;         /* of the address, the family included */
	uint8_t address[UNIX_ADDRESS_MAX];
};

struct unix_record {            /* index + 1 in lists */
	uint32_t bytes;         /* still in the ring */
	struct unix_creds creds;
	uint16_t rights;        /* list */
	uint16_t name;          /* of the sender; index + 1 */
	uint16_t next;
};

struct unix_socket {
	uint64_t id;            /* object, or of an embryo the one it will be */
	uint8_t state, type;
	bool has_object;
	uint64_t koid;          /* of the object */
	uint32_t own_refs;      /* the kernel's own references of the object */
	bool shut_read, shut_write;
	bool pass_creds;
	bool choked;            /* datagrams were refused for want of room */
	uint16_t peer;          /* index + 1; of a datagram socket: where it sends to */
	uint64_t peer_id;       /* its id: another may have its place now */
	uint64_t account;
	uint16_t name;          /* index + 1 */
	uint16_t peer_name;     /* of a peer that is gone */
	struct place place;     /* held, if bound in a filesystem */
	struct ring ring;
	uint16_t first, last;   /* records */
	uint32_t records;
	struct queue receiving, sending, accepting, connecting;
	uint16_t pending, next_pending; /* embryos; index + 1 */
	uint32_t pending_count, backlog;
	struct unix_creds creds, peer_creds;
	int32_t error;          /* SO_ERROR, positive */
	int32_t owner;          /* as SIOCSPGRP has it */
	uint64_t receive_timeout_ns, send_timeout_ns; /* 0: none */
	uint32_t send_buffer, receive_buffer; /* as told to getsockopt */
	uint16_t staged, taken; /* rights: to go with the next send, left of the last receive */
	uint64_t staged_account, taken_account;
	uint32_t ready;         /* as the kernel was told */
	uint8_t flow;           /* enum unix_flow, of what comes to it */
	uint8_t calls;          /* that might have gone by a flow, since it goes by calls */
	uint16_t lent;          /* buffer of the peer's, which is gone; or 0 */
	uint64_t flow_epoch;    /* that the flow began in */
	struct unix_creds flow_creds;
};

extern struct unix_socket unix_sockets[UNIX_MAX];
extern uint32_t unix_end; /* all from here up are free */
#define for_each_unix(s) for (struct unix_socket *s = unix_sockets; s < unix_sockets + unix_end; s++)

static inline uint16_t unix_index(const struct unix_socket *s) { return (uint16_t)(s - unix_sockets + 1); }
static inline bool unix_connects(const struct unix_socket *s) { return s->type != TYPE_DGRAM; }

/* ---- unix.c ---- */
struct unix_socket *unix_find(uint64_t id);
struct unix_socket *unix_new(uint8_t type, uint64_t account);   /* NULL: too many */
int64_t unix_mint(struct unix_socket *s, uint32_t status_flags);  /* its object's handle */
void unix_free(struct unix_socket *s);
struct unix_socket *unix_peer(const struct unix_socket *s);     /* NULL: none, or gone */
void unix_tell(struct unix_socket *s, uint32_t pulse);          /* its readiness */
struct unix_creds unix_creds_of(uint64_t account);
/* Ends when the socket's time-out for that has passed. */
struct parked *unix_park(const struct x_in *in, struct queue *q, uint32_t bytes, uint32_t done, uint64_t timeout_ns);
/* The answers that come with an address; x_out of out_answer_entry(). */
void unix_answer_address(struct x_out *out, uint16_t name);

/* ---- unix_name.c ---- */
void unix_bind(struct unix_socket *s, const struct x_in *in);
/* What a call's address names: 0 and *to; 1: it is being looked up, and
 * unix_found() will be called; or an error. */
int64_t unix_lookup(const struct x_in *in, struct unix_socket **to);
void unix_name_drop(uint16_t name);
uint16_t unix_name_share(uint16_t name);
const struct unix_name *unix_name_at(uint16_t name);
/* unix_connect.c or unix_send.c goes on with a call, now that the path is known. */
void unix_found(const struct x_in *in, int64_t status, struct unix_socket *to);

/* ---- unix_connect.c ---- */
void unix_connect(struct unix_socket *s, const struct x_in *in);
void unix_connect_to(struct unix_socket *s, const struct x_in *in, struct unix_socket *to);
void unix_listen(struct unix_socket *s, const struct x_in *in);
void unix_accept(struct unix_socket *s, const struct x_in *in);
void unix_shutdown(struct unix_socket *s, const struct x_in *in);
void unix_listener_closed(struct unix_socket *s);

/* ---- unix_send.c ---- */
void unix_send(struct unix_socket *s, const struct x_in *in);
void unix_send_to(struct unix_socket *s, const struct x_in *in, struct unix_socket *to);
void unix_attach(struct unix_socket *s, const struct x_in *in);
/* Parked sends to this socket go on. True: something came. */
bool unix_pump_senders(struct unix_socket *to);
void unix_fail_senders(struct unix_socket *to, int64_t status);
/* ---- unix_rights.c ---- */
uint16_t rights_take(const struct x_in *in, uint16_t before); /* handles of a call, behind those before */
void rights_drop(uint16_t list);                        /* by rights_settle() */
uint32_t rights_count(uint16_t list);
/* Moves up to `max` into an answer; what is left. */
uint16_t rights_give(uint16_t list, struct x_out *out, uint32_t max);
uint16_t rights_copy(uint16_t list);
void rights_each(uint16_t list, struct unix_socket *in, void (*fn)(struct unix_socket *in, x_handle_t handle));
uint16_t rights_cut(uint16_t list, uint32_t count);     /* drops those behind the first `count` */
void unix_record_drop_first(struct unix_socket *s);
struct unix_record *unix_record_new(struct unix_socket *s);     /* at the end; if there is: */
bool unix_record_room(const struct unix_socket *s);
bool unix_record_reserve(void); /* one for a socket that has none: there will be room */
void unix_record_unreserve(void);
struct unix_record *unix_record_at(uint16_t index);             /* NULL for 0 */

/* ---- unix_cycles.c ---- */
void unix_cycles_expect(void); /* descriptors came to a queue */
void unix_cycles_hurry(void);  /* no more sockets can be made */

/* ---- unix_recv.c ---- */
void unix_recv(struct unix_socket *s, const struct x_in *in);
void unix_take(struct unix_socket *s, const struct x_in *in);
/* Parked receives go on as far as they can. True: something was taken. */
bool unix_pump_receivers(struct unix_socket *s);
/* Both sides of a socket go on; readiness is told. */
void unix_pump(struct unix_socket *s, bool arrived);

/* ---- unix_flow.c ---- */

/* For a call that sends to s or receives there. True: it is answered. Else, if s->flow is not
 * UNIX_BY_CALL, the flow is to be left, and the call to be parked until it is. */
bool unix_by_kernel(struct unix_socket *s, const struct x_in *in);
bool unix_leave(struct unix_socket *s);         /* true: it goes by calls; false: it will, and calls are parked */
void unix_never_flows(struct unix_socket *s);   /* leave, for good */
void unix_flow_closed(struct unix_socket *s);   /* it is about to be freed */
uint32_t unix_waiting(const struct unix_socket *s); /* bytes that came to it */

/* ---- unix_option.c ---- */
void unix_getopt(struct unix_socket *s, const struct x_in *in);
void unix_setopt(struct unix_socket *s, const struct x_in *in);
int64_t unix_ioctl(struct unix_socket *s, const struct x_in *in);

#endif
