/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets as objects: making them, the calls on them, what is done for all of
 * them when something happened, and their end.
 *
 * A socket ends when its last handle is gone (sock_closed). A TCP connection
 * goes on without it until all it was given has arrived: an orphan.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/net/net.h"

#define SOCKFS_MAGIC 0x534f434bu
#define SOCKET_DEV 8u

struct sock sockets[SOCKETS_MAX];
static uint64_t next_serial = 1;
static uint32_t free_from;       /* no slot below it is free */
static uint32_t in_use_count;
uint32_t sockets_end;
static struct sock *dirty, **dirty_last = &dirty;

/* ---- the table ---- */

static struct sock *free_slot(void)
{
	while (free_from < SOCKETS_MAX && sockets[free_from].in_use)
		free_from++;
	return free_from < SOCKETS_MAX ? &sockets[free_from] : NULL;
}

static bool may_have_more(uint64_t account)
{
	uint32_t count = 0;

	if (in_use_count < SOCKETS_PER_ACCOUNT)
		return true;
	for (uint32_t i = 0; i < sockets_end; i++)
		count += sockets[i].in_use && sockets[i].account == account;
	return count < SOCKETS_PER_ACCOUNT;
}

struct sock *sock_new(uint64_t account)
{
	struct sock *s = free_slot();

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->in_use = true;
	in_use_count++;
	if (sockets_end <= (uint32_t)(s - sockets))
		sockets_end = (uint32_t)(s - sockets) + 1;
	s->account = account;
	s->id = next_serial++ << 16 | (uint64_t)(s - sockets + 1);
	s->created_ns = server_now_ns;
	s->mtu_discover = 1;
	s->keep_idle_s = 7200;
	s->keep_interval_s = 75;
	s->keep_count = 9;
	s->syn_count = 6;
	return s;
}

struct sock *sock_find(uint64_t object)
{
	uint64_t slot = (object & 0xffff) - 1;

	return slot < SOCKETS_MAX && sockets[slot].in_use && sockets[slot].id == object ? &sockets[slot] : NULL;
}

void sock_discard_received(struct sock *s)
{
	while (s->received) {
		struct packet *d = s->received;

		s->received = d->next;
		pbuf_free(d->p);
		heap_free(d);
	}
	s->received_last = s->flow_next = NULL;
	s->received_bytes = s->received_count = s->flow_published = s->held = 0;
}

static void take_off_dirty(struct sock *s)
{
	for (struct sock **at = &dirty; *at; at = &(*at)->dirty_next) {
		if (*at != s)
			continue;
		*at = s->dirty_next;
		if (!*at)
			dirty_last = at;
		break;
	}
	s->dirty = false;
}

void sock_free(struct sock *s)
{
	if (s->dirty)
		take_off_dirty(s);
	sock_discard_received(s);
	timer_clear(&s->held_timer);
	multicast_leave_all(s);
	if (s->gathered)
		chunk_drop(s->gathered);
	stream_out_drop(s);
	pack_let_go(s);
	burst_in_forget();
	s->in_use = false;
	s->id = 0;
	s->kind = SOCKET_NONE;
	in_use_count--;
	if (free_from > (uint32_t)(s - sockets))
		free_from = (uint32_t)(s - sockets);
}

/* Readiness as it is now goes with the handle. */
int64_t sock_mint(struct sock *s, uint32_t status_flags)
{
	bool stream = s->kind == SOCKET_TCP;

	s->ready = stream ? tcp_readiness(s) : datagram_readiness(s);
	return x_mint(server_port, s->id, 0, s->ready, status_flags | (stream ? 0 : F_O_MESSAGES));
}

/* ---- settling ---- */

void sock_mark(struct sock *s, uint32_t pulse)
{
	s->pulse |= pulse;
	if (s->dirty)
		return;
	s->dirty = true;
	s->dirty_next = NULL;
	*dirty_last = s;
	dirty_last = &s->dirty_next;
}

bool sockets_unsettled(void) { return dirty != NULL; }

#define READY_ALL (X_READY_IN | X_READY_PRI | X_READY_OUT | X_READY_ERR | X_READY_HUP | X_READY_RDHUP)

static void tell_ready(struct sock *s)
{
	uint32_t now = s->kind == SOCKET_TCP ? tcp_readiness(s) : datagram_readiness(s);

	/* A child not accepted yet has no object. */
	if (!s->orphan && !s->listener && (now != s->ready || (s->pulse & now)))
		out_ready(s->id, READY_ALL, now, s->pulse & now);
	s->ready = now;
	s->pulse = 0;
}

static int64_t late(const struct waiter *w)
{
	if (w->done)
		return (int64_t)w->done;
	return w->what == WAIT_CONNECT ? -X_EINPROGRESS : -X_EAGAIN;
}

static void end_late_ones(struct sock *s)
{
	for (uint32_t what = 0; what < WAIT_KINDS; what++) {
		struct waiter *next;

		for (struct waiter *w = s->wait[what]; w; w = next) {
			next = w->next;
			if (w->timed_out)
				waiter_end(w, late(w));
		}
	}
}

static void settle_datagram(struct sock *s)
{
	struct waiter *w;
	int64_t status;

	while ((w = waiter_first(s, WAIT_RECV))) {
		struct x_msg msg = { .op = 0 };

		status = waiter_patience(w, datagram_receive(s, w, &msg));
		if (status == SOCK_WAIT)
			break;
		msg.status = (int32_t)status;
		waiter_end_with(w, &msg);
	}
	if (s->kind == SOCKET_UDP)
		datagrams_publish(s);
	if (s->send_flow)
		send_flow_settle(s);
	while (!send_flow_waits(s) && (w = waiter_first(s, WAIT_SEND))) {
		status = datagram_send(s, w, &w->address);
		if (status == SOCK_WAIT)
			break;
		waiter_end(w, status);
	}
}

void sockets_settle(void)
{
	while (dirty) {
		struct sock *s = dirty;

		dirty = s->dirty_next;
		if (!dirty)
			dirty_last = &dirty;
		s->dirty = false;
		if (s->kind == SOCKET_TCP)
			tcp_settle(s);
		else
			settle_datagram(s);
		if (!s->in_use || s->dirty)
			continue;
		end_late_ones(s);
		tell_ready(s);
	}
}

/* ---- making one ---- */

static int64_t open_by_type(struct sock *s)
{
	bool privileged = s->uid == 0;

	if (s->family == L_AF_PACKET)
		return privileged ? packet_open_socket(s) : -X_EPERM;
	if (s->family == L_AF_NETLINK)
		return netlink_open_socket(s);
	switch (s->type) {
	case L_SOCK_STREAM:
		if (s->protocol && s->protocol != L_IPPROTO_TCP)
			return -X_EPROTONOSUPPORT;
		return tcp_open_socket(s);
	case L_SOCK_DGRAM:
		if (!s->protocol || s->protocol == L_IPPROTO_UDP)
			return udp_open_socket(s);
		if (s->protocol == (s->family == L_AF_INET ? L_IPPROTO_ICMP : L_IPPROTO_ICMPV6))
			return privileged ? raw_open_socket(s) : -X_EACCES;
		return -X_EPROTONOSUPPORT;
	case L_SOCK_RAW:
		if (!s->protocol)
			return -X_EPROTONOSUPPORT;
		return privileged ? raw_open_socket(s) : -X_EPERM;
	default:
		return -X_ESOCKTNOSUPPORT;
	}
}

static int64_t check_creation(const struct x_in *in)
{
	uint32_t family = (uint32_t)in->msg.a[0], type = (uint32_t)(in->msg.a[0] >> 32);
	uint32_t protocol = (uint32_t)in->msg.a[1];

	bool internet = family == L_AF_INET || family == L_AF_INET6;

	if (!internet && family != L_AF_PACKET && family != L_AF_NETLINK)
		return -X_EAFNOSUPPORT;
	if (type > L_SOCK_PACKET)
		return -X_EINVAL;
	if (internet && protocol > 255)
		return -X_EINVAL;
	return 0;
}

static void create(const struct x_in *in)
{
	int64_t handle, status = check_creation(in);
	struct sock *s = NULL;
	struct x_out *out;

	if (!status) {
		s = may_have_more(in->msg.a[3]) ? sock_new(in->msg.a[3]) : NULL;
		status = s ? 0 : -X_ENFILE;
	}
	if (!status) {
		s->family = (uint16_t)in->msg.a[0];
		s->type = (uint16_t)(in->msg.a[0] >> 32);
		s->protocol = (uint16_t)in->msg.a[1];
		s->uid = (uint32_t)in->msg.a[2];
		s->gid = (uint32_t)(in->msg.a[2] >> 32);
		status = open_by_type(s);
		if (status)
			sock_free(s);
	}
	if (status) {
		out_status(in->id, status);
		return;
	}
	handle = sock_mint(s, F_O_RDWR | (in->msg.a[1] >> 32 & SOCK_F_NONBLOCK ? F_O_NONBLOCK : 0));
	if (handle < 0) {
		sock_closed(s->id);
		out_status(in->id, handle);
		return;
	}
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
}

/* ---- calls ---- */

bool in_nonblocking(const struct x_in *in)
{
	bool message = in->msg.op == SOCK_SEND || in->msg.op == SOCK_RECV;

	return (in->status_flags & F_O_NONBLOCK) || (in->msg.status & FILE_NOWAIT) || (message && (in->msg.a[0] & L_MSG_DONTWAIT));
}

int64_t sock_take_error(struct sock *s)
{
	int error = s->error;

	s->error = 0;
	if (error)
		sock_mark(s, 0);
	return -error;
}

static void bind_call(struct sock *s, const struct x_in *in)
{
	struct address a;
	int64_t status = address_in(in, &a);

	out_status(in->id, status ? status : sock_bind(s, &a));
}

int64_t sock_bind(struct sock *s, const struct address *a)
{
	ip_addr_t ip;
	uint16_t port;
	int64_t status;
	struct address copy = *a;

	if (s->kind == SOCKET_PACKET)
		return packet_bind(s, a);
	if (s->kind == SOCKET_NETLINK)
		return netlink_bind(s, a);
	/* An old habit of programs: AF_UNSPEC with INADDR_ANY is AF_INET. */
	if (s->family == L_AF_INET && a->length >= 16 && address_family(a) == L_AF_UNSPEC && !a->bytes[4] &&
	    !a->bytes[5] && !a->bytes[6] && !a->bytes[7])
		copy.bytes[0] = L_AF_INET;
	status = address_parse(s, &copy, &ip, &port);
	if (status)
		return status;
	if (port && port < 1024 && s->uid)
		return -X_EACCES;
	if (s->kind != SOCKET_TCP)
		return datagram_bind(s, &ip, port);
	if (!address_is_local(&ip))
		return -X_EADDRNOTAVAIL;
	return tcp_bind_socket(s, &ip, port);
}

static void connect_call(struct sock *s, const struct x_in *in)
{
	struct address a;
	ip_addr_t ip;
	uint16_t port = 0;
	int64_t status = address_in(in, &a);

	if (!status && a.length < 2)
		status = -X_EINVAL;
	if (!status && s->kind != SOCKET_TCP) {
		if (s->send_flow)
			send_flow_discard(s);
		status = datagram_connect(s, &a);
	} else if (!status && address_family(&a) == L_AF_UNSPEC) {
		tcp_disconnect_socket(s);
	} else if (!status && s->connected && s->late_success) {
		s->late_success = false; /* the first to ask after it hears of it, as in Linux */
	} else if (!status && s->connecting) {
		status = in_nonblocking(in) ? -X_EALREADY : SOCK_WAIT;
	} else if (!status && (s->connected || s->was_connected || s->listening)) {
		status = -X_EISCONN; /* before the address is looked at */
	} else if (!status) {
		status = address_parse(s, &a, &ip, &port);
		if (!status)
			status = tcp_connect_socket(s, &ip, port);
		if (status == SOCK_WAIT && in_nonblocking(in)) {
			status = -X_EINPROGRESS;
			s->late_success = true;
		}
	}
	if (status == SOCK_WAIT)
		waiter_park(waiter_of(s, in, WAIT_CONNECT), s->send_timeout_ns);
	else
		out_status(in->id, status);
	sock_mark(s, 0);
}

static void accept_call(struct sock *s, const struct x_in *in)
{
	struct waiter *w = waiter_of(s, in, WAIT_ACCEPT);

	w->flags = (uint32_t)in->msg.a[0];
	if (s->kind != SOCKET_TCP)
		out_status(in->id, -X_EOPNOTSUPP);
	else if (!s->listening)
		out_status(in->id, -X_EINVAL);
	else if (!s->accepted && in_nonblocking(in))
		out_status(in->id, -X_EAGAIN);
	else
		waiter_park(w, s->receive_timeout_ns);
	sock_mark(s, 0);
}

static void receive_call(struct sock *s, const struct x_in *in, uint32_t flags)
{
	struct waiter *w = waiter_of(s, in, WAIT_RECV);
	struct x_msg msg = { .op = 0 };
	int64_t status;

	w->flags = flags | (in_nonblocking(in) ? L_MSG_DONTWAIT : 0);
	if (in->msg.op == FILE_READ && !w->total) { /* read(2) takes nothing then, recv(2) does */
		out_status(in->id, 0);
		return;
	}
	if (flags & L_MSG_OOB && s->kind == SOCKET_TCP)
		status = s->listening ? -X_ENOTCONN : -X_EINVAL;
	else if (flags & L_MSG_OOB && s->kind == SOCKET_RAW)
		status = -X_EOPNOTSUPP;
	else if (flags & L_MSG_ERRQUEUE)
		status = -X_EAGAIN;
	else if (s->kind == SOCKET_TCP)
		status = s->wait[WAIT_RECV] ? SOCK_WAIT : tcp_receive_some(s, w);
	else
		status = s->wait[WAIT_RECV] ? SOCK_WAIT : datagram_receive(s, w, &msg);
	if (status == SOCK_WAIT && in_nonblocking(in) && !s->flow_stopping)
		status = w->done ? (int64_t)w->done : -X_EAGAIN;
	if (status == SOCK_WAIT) {
		waiter_park(w, s->receive_timeout_ns);
		return;
	}
	msg.status = (int32_t)status;
	out_answer(in->id, &msg);
	sock_mark(s, 0);
}

static void send_call(struct sock *s, const struct x_in *in, uint32_t flags, const struct address *a)
{
	struct waiter *w = waiter_of(s, in, WAIT_SEND);
	int64_t status = s->kind == SOCKET_TCP ? 0 : control_read(s, in, &w->control);

	if (status) {
		out_status(in->id, status);
		return;
	}
	w->flags = flags;
	w->address = *a;
	if (s->kind == SOCKET_TCP && ((flags & ~(L_MSG_DONTWAIT | L_MSG_NOSIGNAL)) || w->window[1]))
		stream_out_call(s);
	if (flags & L_MSG_OOB)
		status = -X_EOPNOTSUPP;
	else if (s->kind == SOCKET_TCP && s->connecting)
		status = SOCK_WAIT;
	else if (s->kind == SOCKET_TCP)
		status = s->wait[WAIT_SEND] ? SOCK_WAIT : tcp_send_some(s, w);
	else
		status = s->wait[WAIT_SEND] || send_flow_waits(s) ? SOCK_WAIT : datagram_send(s, w, a);
	if (status >= 0 && !a->length && !flags)
		send_flow_note(s);
	if (status == SOCK_WAIT && in_nonblocking(in))
		status = w->done ? (int64_t)w->done : -X_EAGAIN;
	if (status == SOCK_WAIT)
		waiter_park(w, s->send_timeout_ns);
	else
		out_status(in->id, status);
	sock_mark(s, 0);
}

static void send_to(struct sock *s, const struct x_in *in)
{
	struct address a;
	int64_t status = address_in(in, &a);

	if (status)
		out_status(in->id, status);
	else
		send_call(s, in, (uint32_t)in->msg.a[0], &a);
}

static void shutdown_call(struct sock *s, const struct x_in *in)
{
	uint64_t how = in->msg.a[0];
	int64_t status;

	if (how > 2)
		status = -X_EINVAL;
	else if (s->kind == SOCKET_TCP)
		status = tcp_shutdown_socket(s, how != 1, how != 0);
	else
		status = s->connected ? 0 : -X_ENOTCONN;
	if (!status && s->kind != SOCKET_TCP) {
		s->shut_read |= how != 1;
		s->shut_write |= how != 0;
	}
	out_status(in->id, status);
	sock_mark(s, X_READY_IN | X_READY_OUT);
}

static void own_name(const struct sock *s, struct address *a)
{
	ip_addr_t any;

	memset(&any, 0, sizeof(any));
	if (s->kind == SOCKET_TCP && s->pcb.tcp)
		address_make(s, &s->pcb.tcp->local_ip, s->bound || s->was_connected ? s->pcb.tcp->local_port : 0, a);
	else if (s->kind == SOCKET_UDP)
		address_make(s, &s->pcb.udp->local_ip, s->pcb.udp->local_port, a);
	else if (s->kind == SOCKET_RAW)
		address_make(s, &s->pcb.raw->local_ip, s->type == L_SOCK_RAW ? s->protocol : s->peer_port, a);
	else if (s->kind == SOCKET_PACKET)
		packet_address(s, NULL, a);
	else if (s->kind == SOCKET_NETLINK)
		netlink_address(s, true, a);
	else
		address_make(s, &any, 0, a);
}

static void name_call(struct sock *s, const struct x_in *in)
{
	struct x_msg msg = { .op = 0 };
	struct address a;

	if (!in->msg.a[0]) {
		own_name(s, &a);
	} else if (s->kind == SOCKET_NETLINK) {
		netlink_address(s, false, &a);
	} else if (!s->connected) {
		out_status(in->id, s->kind == SOCKET_PACKET ? -X_EOPNOTSUPP : -X_ENOTCONN);
		return;
	} else {
		address_make(s, &s->peer, s->peer_port, &a);
	}
	address_out(&msg, &a);
	out_answer(in->id, &msg);
}

static int64_t stat_call(const struct sock *s, const struct x_in *in)
{
	struct file_attr attr = {
		.dev = SOCKET_DEV, .ino = s->id >> 16, .mode = F_S_IFSOCK | 0777, .nlink = 1,
		.uid = s->uid, .gid = s->gid, .block_bytes = 4096,
	};

	return window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ? -X_EFAULT : 0;
}

static int64_t statfs_call(const struct x_in *in)
{
	struct file_statfs fs = { .type = SOCKFS_MAGIC, .block_bytes = 4096, .name_max = 255 };

	return window_write(in->id, 0, 0, &fs, sizeof(fs)) < (int64_t)sizeof(fs) ? -X_EFAULT : 0;
}

static int64_t other_call(struct sock *s, const struct x_in *in)
{
	switch (in->msg.op) {
	case SOCK_LISTEN: return s->kind == SOCKET_TCP ? tcp_listen_socket(s, (int)in->msg.a[0]) : -X_EOPNOTSUPP;
	case SOCK_GETOPT: return sock_getopt(s, in);
	case SOCK_SETOPT: return sock_setopt(s, in);
	case FILE_IOCTL: return sock_ioctl(s, in);
	case FILE_STAT: return stat_call(s, in);
	case FILE_STATFS: return statfs_call(in);
	case FILE_READDIR: case FILE_IDENT: return -X_ENOTDIR;
	case FILE_SIZE: return -X_ESPIPE;
	case FILE_SYNC: case FILE_TRUNCATE: return -X_EINVAL;
	case FILE_MMAP: return -X_ENODEV;
	case FILE_SETATTR: return -X_EPERM;
	default: return -X_ENOSYS;
	}
}

static void object_call(struct sock *s, const struct x_in *in)
{
	static const struct address nowhere;

	if (s->send_flow && in->msg.op != FILE_READ && in->msg.op != SOCK_RECV)
		send_flow_sync(s);
	if (s->stream_out && in->msg.op != FILE_READ && in->msg.op != SOCK_RECV)
		stream_out_sync(s);
	switch (in->msg.op) {
	case FILE_READ: case FILE_WRITE:
		if (in->msg.status & FILE_AT)
			out_status(in->id, -X_ESPIPE);
		else if (in->msg.op == FILE_READ)
			receive_call(s, in, 0);
		else
			send_call(s, in, 0, &nowhere);
		break;
	case SOCK_RECV: receive_call(s, in, (uint32_t)in->msg.a[0]); break;
	case SOCK_SEND: send_to(s, in); break;
	case SOCK_BIND: bind_call(s, in); break;
	case SOCK_CONNECT: connect_call(s, in); break;
	case SOCK_ACCEPT: accept_call(s, in); break;
	case SOCK_SHUTDOWN: shutdown_call(s, in); break;
	case SOCK_NAME: name_call(s, in); break;
	default: out_status(in->id, other_call(s, in)); break;
	}
}

static void text_call(const struct x_in *in)
{
	static REGION_SCRATCH char text[65536];
	int64_t length = in->msg.a[0] < SOCK_TEXT_COUNT ?
		text_read((uint32_t)in->msg.a[0], text, sizeof(text)) : -X_EINVAL;
	uint64_t from = in->msg.a[1];
	uint32_t room = in->win_count ? in->win[0].len : 0;

	if (length > 0) {
		length = from < (uint64_t)length ? length - (int64_t)from : 0;
		length = length < room ? length : room;
		length = window_write(in->id, 0, 0, text + from, (size_t)length);
	}
	out_status(in->id, length);
}

static bool moves_data(const struct x_in *in)
{
	return in->object && (in->msg.op == FILE_READ || in->msg.op == FILE_WRITE || in->msg.op == SOCK_RECV || in->msg.op == SOCK_SEND);
}

void sock_call(const struct x_in *in)
{
	struct sock *s;

	in_close_handles(in);
	if (!moves_data(in))
		burst_in_forget();
	if (in->object == 0) {
		if (in->msg.op == SOCK_CREATE)
			create(in);
		else if (in->msg.op == SOCK_TEXT)
			text_call(in);
		else
			out_status(in->id, -X_ENOSYS);
		return;
	}
	s = sock_find(in->object);
	if (s)
		object_call(s, in);
	else
		out_status(in->id, -X_EBADF);
}

void sock_closed(uint64_t object)
{
	struct sock *s = sock_find(object);

	if (!s)
		return;
	if (s->kind == SOCKET_TCP)
		tcp_close_socket(s);
	else
		datagram_close(s);
}
