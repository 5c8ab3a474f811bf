/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP sockets over lwIP's control blocks.
 *
 *   NEW --bind--> BOUND --listen--> LISTENING --SYN...ACK--> children in `accepted`
 *    |              |
 *    +---connect----+--> CONNECTING --> CONNECTED --peer's FIN, shutdown--> ... --> CLOSED
 *
 * In CLOSED there is no control block any more (pcb.tcp is NULL). What
 * connecting and data do is noted by the callbacks and acted on in
 * tcp_settle(). Sending is in tcp_send.c.
 */
#include "lib/c/string.h"
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

#define SEND_LIMIT (1024u * 1024u)
#define WINDOW_FIRST (128u * 1024)
#define ACCEPTED_MAX  4096u
#define SHORT_EXCHANGE 16384u

int64_t errno_of(err_t err)
{
	switch (err) {
	case ERR_OK: return 0;
	case ERR_MEM: case ERR_BUF: return -X_ENOBUFS;
	case ERR_TIMEOUT: return -X_ETIMEDOUT;
	case ERR_RTE: return -X_ENETUNREACH;
	case ERR_INPROGRESS: return -X_EINPROGRESS;
	case ERR_VAL: case ERR_ARG: return -X_EINVAL;
	case ERR_WOULDBLOCK: return -X_EAGAIN;
	case ERR_USE: return -X_EADDRINUSE;
	case ERR_ALREADY: return -X_EALREADY;
	case ERR_ISCONN: return -X_EISCONN;
	case ERR_CONN: return -X_ENOTCONN;
	case ERR_IF: return -X_ENETDOWN;
	case ERR_ABRT: return -X_ECONNABORTED;
	case ERR_RST: return -X_ECONNRESET;
	case ERR_CLSD: return -X_ENOTCONN;
	default: return -X_EIO;
	}
}

uint32_t tcp_window_limit(const struct sock *s)
{
	uint32_t limit = s->receive_limit ? s->receive_limit : s->window;

	if (s->window_owed && limit > TCP_WINDOW_SHORT)
		limit = TCP_WINDOW_SHORT;
	return limit < TCP_WND ? limit : TCP_WND;
}

/* ---- callbacks: note and mark ---- */

/* One acknowledgement for all that comes in an iteration, with the window that is open
 * at its end: they would leave together anyway, at the commit. */
static void acknowledge_later(struct sock *s, struct tcp_pcb *pcb)
{
	if (s->orphan || pcb->state != ESTABLISHED) {
		tcp_ack_now(pcb);
		return;
	}
	tcp_clear_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW);
	s->ack_due = true;
	sock_mark(s, 0);
}

/* An answer takes the acknowledgement along, so it waits a while (RFC 1122, 4.2.3.2). Who has sent nothing
 * since the last segment came has no answer to give; where the peer sends little things it waits for each. */
static bool only_listens(struct sock *s, const struct tcp_pcb *pcb)
{
	bool listens = s->got_bytes && pcb->snd_lbb == s->sent_mark;

	if (!listens)
		s->sent_mark = pcb->snd_lbb;
	return listens;
}

/* Two segments or more in one piece: the peer waits for the acknowledgement. */
static err_t received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct sock *s = arg;

	(void)err;
	if (!s) {
		if (p)
			pbuf_free(p);
		return ERR_OK;
	}
	if (!p) {
		s->peer_fin = true;
		sock_mark(s, X_READY_IN | X_READY_RDHUP);
		return ERR_OK;
	}
	if (only_listens(s, pcb) || p->tot_len >= 2 * pcb->mss || (pcb->flags & TF_ACK_NOW))
		acknowledge_later(s, pcb);
	s->got_bytes += p->tot_len;
	if (s->shut_read) { /* as Linux does: taken and thrown away */
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
		return ERR_OK;
	}
	packet_queue(s, p);
	sock_mark(s, X_READY_IN);
	return ERR_OK;
}

/* An orphan lets go of its control block here, where it surely is still there:
 * with the last acknowledgement lwIP may free it without a word. */
static err_t sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	struct sock *s = arg;

	if (!s)
		return ERR_OK;
	tcp_sent_bytes(s, bytes);
	if (s->orphan && s->closed_pcb && !s->sending) {
		tcp_arg(pcb, NULL);
		s->pcb.tcp = NULL;
	}
	return ERR_OK;
}

/* The control block is gone already. */
static void failed(void *arg, err_t err)
{
	struct sock *s = arg;

	if (!s)
		return;
	s->pcb.tcp = NULL;
	tcp_drop_queue(s);
	if (s->connecting)
		s->error = err == ERR_RST ? X_ECONNREFUSED : X_ETIMEDOUT;
	else if (err == ERR_RST)
		s->error = s->peer_fin ? X_EPIPE : X_ECONNRESET;
	else if (err != ERR_CLSD)
		s->error = X_ETIMEDOUT;
	s->connecting = s->connected = false;
	s->ended = true;
	sock_mark(s, X_READY_IN | X_READY_OUT | X_READY_ERR | X_READY_HUP);
}

static void size_to_way(struct tcp_pcb *pcb)
{
	uint32_t headers = IP_IS_V6(&pcb->remote_ip) ? 60 : 40;
	uint32_t mtu = interface_mtu_for(&pcb->remote_ip);

	if (mtu > headers + 100 && pcb->mss > mtu - headers)
		pcb->mss = (u16_t)(mtu - headers);
}

static void begin_connection(struct sock *s, struct tcp_pcb *pcb)
{
	uint32_t limit;

	s->window = pool_share() / 4 < WINDOW_FIRST ? pool_share() / 4 : WINDOW_FIRST;
	limit = tcp_window_limit(s);
	if (limit > TCP_WND_MAX(pcb))
		limit = TCP_WND_MAX(pcb);
	if (limit > TCP_WINDOW_SHORT && !chunks_are_plenty(CHUNK_LARGE)) {
		s->window_owed = limit - TCP_WINDOW_SHORT;
		limit = TCP_WINDOW_SHORT;
	}
	pcb->rcv_wnd = pcb->rcv_ann_wnd = limit;
	/* What a SYN can tell of lwIP's own, larger window; an edge once told would never be taken back. */
	pcb->rcv_ann_right_edge = pcb->rcv_nxt + (limit < 0xffff ? limit : 0xffff);
	size_to_way(pcb);
	s->connecting = false;
	s->connected = s->was_connected = true;
	s->plain_from = s->sent_bytes;
	ip_addr_copy(s->peer, pcb->remote_ip);
	s->peer_port = pcb->remote_port;
	sock_mark(s, X_READY_OUT);
}

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)err;
	if (arg)
		begin_connection(arg, pcb);
	return ERR_OK;
}

static void set_callbacks(struct sock *s, struct tcp_pcb *pcb)
{
	tcp_arg(pcb, s);
	tcp_recv(pcb, received);
	tcp_sent(pcb, sent);
	tcp_err(pcb, failed);
}

/* What a child has from its listener. */
static void inherit(struct sock *s, const struct sock *from)
{
	s->kind = SOCKET_TCP;
	s->family = from->family;
	s->type = from->type;
	s->protocol = from->protocol;
	s->uid = from->uid;
	s->gid = from->gid;
	s->receive_limit = from->receive_limit;
	s->send_limit = from->send_limit;
	s->send_limit_set = from->send_limit_set;
	s->rcvbuf = from->rcvbuf;
	s->sndbuf = from->sndbuf;
	s->reuse_address = from->reuse_address;
	s->reuse_port = from->reuse_port;
	s->keepalive = from->keepalive;
	s->keep_idle_s = from->keep_idle_s;
	s->keep_interval_s = from->keep_interval_s;
	s->keep_count = from->keep_count;
	s->linger = from->linger;
	s->linger_s = from->linger_s;
	s->v6only = from->v6only;
	s->receive_timeout_ns = from->receive_timeout_ns;
	s->send_timeout_ns = from->send_timeout_ns;
	s->bound = true;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct sock *listener = arg, *s;

	if (err != ERR_OK || !pcb || !listener || listener->accepted_count >= ACCEPTED_MAX)
		return ERR_MEM;
	s = sock_new(listener->account);
	if (!s)
		return ERR_MEM;
	inherit(s, listener);
	s->pcb.tcp = pcb;
	s->listener = listener;
	set_callbacks(s, pcb);
	begin_connection(s, pcb);
	tcp_backlog_delayed(pcb);
	if (listener->accepted_last)
		listener->accepted_last->accept_next = s;
	else
		listener->accepted = s;
	listener->accepted_last = s;
	listener->accepted_count++;
	sock_mark(listener, X_READY_IN);
	return ERR_OK;
}

/* ---- calls ---- */

int64_t tcp_open_socket(struct sock *s)
{
	s->pcb.tcp = tcp_new_ip_type(s->family == L_AF_INET6 ? IPADDR_TYPE_ANY : IPADDR_TYPE_V4);
	if (!s->pcb.tcp)
		return -X_ENOBUFS;
	s->kind = SOCKET_TCP;
	s->protocol = L_IPPROTO_TCP;
	s->send_limit = SEND_LIMIT;
	s->rcvbuf = 131072;
	s->sndbuf = 16384;
	set_callbacks(s, s->pcb.tcp);
	return 0;
}

/* An address of all zeroes means both families on a socket of IPv6 that is not
 * restricted to it. */
static const ip_addr_t *bind_address(const struct sock *s, const ip_addr_t *ip)
{
	return s->family == L_AF_INET6 && !s->v6only && IP_IS_V6(ip) && ip_addr_isany(ip) ? IP_ANY_TYPE : ip;
}

static bool share_family(const ip_addr_t *a, const ip_addr_t *b)
{
	return IP_GET_TYPE(a) == IP_GET_TYPE(b) || IP_IS_ANY_TYPE_VAL(*a) || IP_IS_ANY_TYPE_VAL(*b);
}

/* lwIP lets two listeners that both allow reuse share a port; Linux only those
 * with SO_REUSEPORT. */
static bool other_listener(const struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	for (const struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next) {
		const struct sock *o = l->callback_arg;

		if (l->local_port != port || !share_family(bind_address(s, ip), &l->local_ip) ||
		    (o && o->reuse_port && s->reuse_port && o->uid == s->uid))
			continue;
		if (ip_addr_isany(ip) || ip_addr_isany(&l->local_ip) || ip_addr_cmp(ip, &l->local_ip))
			return true;
	}
	return false;
}

void tcp_apply_options(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb.tcp;

	if (!pcb)
		return;
	if (s->reuse_address || s->reuse_port)
		ip_set_option(pcb, SOF_REUSEADDR);
	else
		ip_reset_option(pcb, SOF_REUSEADDR);
	if (s->keepalive)
		ip_set_option(pcb, SOF_KEEPALIVE);
	else
		ip_reset_option(pcb, SOF_KEEPALIVE);
	if (s->listening)
		return;
	pcb->keep_idle = s->keep_idle_s * 1000;
	pcb->keep_intvl = s->keep_interval_s * 1000;
	pcb->keep_cnt = s->keep_count;
}

int64_t tcp_bind_socket(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	err_t err;

	if (s->bound || s->was_connected || !s->pcb.tcp)
		return -X_EINVAL;
	if (port && other_listener(s, ip, port))
		return -X_EADDRINUSE;
	tcp_apply_options(s);
	err = tcp_bind(s->pcb.tcp, bind_address(s, ip), port);
	if (err == ERR_OK)
		s->bound = true;
	return errno_of(err == ERR_BUF ? ERR_USE : err);
}

int64_t tcp_listen_socket(struct sock *s, int backlog)
{
	struct tcp_pcb *pcb;
	err_t err;

	if (backlog < 0 || backlog > 255)
		backlog = 255;
	if (s->listening) {
		tcp_backlog_set(s->pcb.tcp, (u8_t)(backlog ? backlog : 1));
		return 0;
	}
	if (s->connecting || s->was_connected || !s->pcb.tcp)
		return -X_EINVAL;
	if (!s->bound) {
		err = tcp_bind(s->pcb.tcp, s->family == L_AF_INET6 ? IP_ANY_TYPE : IP4_ADDR_ANY, 0);
		if (err != ERR_OK)
			return -X_EADDRINUSE;
		s->bound = true;
	}
	if (other_listener(s, &s->pcb.tcp->local_ip, s->pcb.tcp->local_port))
		return -X_EADDRINUSE;
	pcb = tcp_listen_with_backlog_and_err(s->pcb.tcp, (u8_t)(backlog ? backlog : 1), &err);
	if (!pcb)
		return errno_of(err);
	s->pcb.tcp = pcb;
	s->listening = true;
	tcp_arg(pcb, s);
	tcp_accept(pcb, accepted);
	sock_mark(s, 0);
	return 0;
}

static const ip_addr_t *destination(const ip_addr_t *ip, ip_addr_t *loopback)
{
	if (!ip_addr_isany(ip)) /* connecting to "any" means to this machine */
		return ip;
	if (IP_IS_V6(ip))
		ip_addr_set_loopback(1, loopback);
	else
		ip_addr_set_loopback(0, loopback);
	return loopback;
}

int64_t tcp_connect_socket(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	ip_addr_t loopback;
	err_t err;

	if (s->listening || s->connected)
		return -X_EISCONN;
	if (s->was_connected || !s->pcb.tcp) {
		int error = s->error;

		s->error = 0;
		if (error || s->pcb.tcp)
			return error ? -error : -X_EISCONN;
		s->ended = s->was_connected = s->peer_fin = s->shut_read = s->shut_write = s->bound = s->fin_queued = false;
		if (tcp_open_socket(s)) /* a new try after a failed one */
			return -X_ENOBUFS;
	}
	if (s->error)
		return sock_take_error(s);
	ip = destination(ip, &loopback);
	if (ip_addr_ismulticast(ip) || (IP_IS_V4(ip) && ip_2_ip4(ip)->addr == IPADDR_BROADCAST))
		return -X_ENETUNREACH;
	tcp_apply_options(s);
	if (IP_IS_V4(ip) && IP_IS_ANY_TYPE_VAL(s->pcb.tcp->local_ip))
		IP_SET_TYPE(&s->pcb.tcp->local_ip, IPADDR_TYPE_V4);
	err = tcp_connect(s->pcb.tcp, ip, port, connected);
	if (err != ERR_OK)
		return err == ERR_BUF || err == ERR_USE ? -X_EADDRNOTAVAIL : errno_of(err);
	ip_addr_copy(s->peer, *ip);
	s->peer_port = port;
	s->connecting = s->bound = true;
	return SOCK_WAIT;
}

/* ---- receiving ---- */

static void receive_space(struct tcp_pcb *pcb, uint32_t bytes)
{
	while (bytes) {
		u16_t part = bytes < 0xffff ? (u16_t)bytes : 0xffff;

		tcp_recved(pcb, part);
		bytes -= part;
	}
}

/* A stream is as fast as its window is large. It grows while the program reads, a window's worth each
 * time, and there is room: one that nobody reads holds no more than it began with, which is little, so
 * that nothing that is within the window must be refused. */
static void grow_window(struct sock *s, uint32_t taken)
{
	s->window_taken += taken;
	if (s->receive_limit || s->window_taken < s->window || s->window >= pool_share() ||
	    !chunks_are_plenty(CHUNK_LARGE))
		return;
	s->window_taken = 0;
	receive_space(s->pcb.tcp, s->window);
	s->window *= 2;
}

/* What was read opens the window again, but while memory is short not further than what surely will be taken: what
 * is refused the peer sends again by its time-outs, each twice as long as the one before. */
static void give_window(struct sock *s, uint32_t bytes)
{
	uint32_t open = s->pcb.tcp->rcv_wnd + s->window_kept, room = UINT32_MAX;

	bytes += s->window_owed;
	if (memory_is_short())
		room = open < TCP_WINDOW_SHORT ? TCP_WINDOW_SHORT - open : 0;
	s->window_owed = bytes > room ? bytes - room : 0;
	receive_space(s->pcb.tcp, bytes - s->window_owed);
}

/* Space given back is told to the peer when there is enough of it, of what the window can be: a
 * peer without window scaling (QEMU's user network) never sees more than 64 KiB. */
void tcp_open_window(struct sock *s, uint32_t bytes)
{
	struct tcp_pcb *pcb = s->pcb.tcp;
	uint32_t limit, gain, step;

	if (!pcb || s->listening || !bytes)
		return;
	s->read_ns = server_now_ns;
	give_window(s, bytes);
	grow_window(s, bytes);
	limit = tcp_window_limit(s);
	step = (limit < TCP_WND_MAX(pcb) ? limit : TCP_WND_MAX(pcb)) / 4;
	gain = pcb->rcv_nxt + pcb->rcv_ann_wnd - pcb->rcv_ann_right_edge;
	if (step > 128u * 1024)
		step = 128u * 1024;
	/* A SYN can tell of 64 KiB; a short exchange ends before the peer could use more. */
	if (gain >= step && (s->got_bytes >= SHORT_EXCHANGE || limit <= 0xffff))
		tcp_ack_now(pcb);
}

/* Of the stream's head into the windows; with PEEK nothing is taken. */
static int64_t take_stream(struct sock *s, struct waiter *w, bool peek, bool discard)
{
	uint64_t room = w->total - w->done, at = w->done, moved = 0, taken = 0;
	struct packet *d = s->received;

	while (d && moved < room) {
		uint32_t left = d->p->tot_len - d->offset;
		uint32_t part = left < room - moved ? left : (uint32_t)(room - moved);
		int64_t copied = discard ? part : copy_to_windows(w, at + moved, d->p, d->offset, part);

		if (copied <= 0)
			break;
		moved += (uint64_t)copied;
		if (peek) {
			d = d->next;
			continue;
		}
		taken += (uint64_t)copied;
		received_drop(s, (uint32_t)copied);
		d = s->received;
	}
	tcp_open_window(s, (uint32_t)taken);
	return moved || !room ? (int64_t)moved : -X_EFAULT;
}

static int64_t end_of_stream(struct sock *s, const struct waiter *w)
{
	if (w->done)
		return (int64_t)w->done;
	if (s->error && !s->peer_fin)
		return sock_take_error(s);
	if (s->peer_fin || s->shut_read || (s->was_connected && !s->pcb.tcp))
		return 0;
	return s->was_connected ? SOCK_WAIT : -X_ENOTCONN;
}

/* Status, or SOCK_WAIT. */
int64_t tcp_receive_some(struct sock *s, struct waiter *w)
{
	bool peek = w->flags & L_MSG_PEEK;
	int64_t n = flow_goes_first(s, w);

	if (s->connecting || n)
		return n ? n : SOCK_WAIT;
	if (!s->received)
		return end_of_stream(s, w);
	n = take_stream(s, w, peek, w->flags & L_MSG_TRUNC);
	if (n < 0)
		return w->done ? (int64_t)w->done : n;
	if (peek)
		return n;
	w->done += (uint64_t)n;
	if ((w->flags & L_MSG_WAITALL) && w->done < w->total && !s->received)
		return end_of_stream(s, w) == SOCK_WAIT || !(s->peer_fin || s->error || !s->pcb.tcp) ?
			SOCK_WAIT : (int64_t)w->done;
	return (int64_t)w->done;
}

/* ---- sending ---- */

int64_t tcp_send_some(struct sock *s, struct waiter *w)
{
	int64_t n;

	if (s->error)
		return w->done ? (int64_t)w->done : sock_take_error(s);
	if (s->shut_write || !s->connected || !s->pcb.tcp || s->listening)
		return w->done ? (int64_t)w->done : -X_EPIPE;
	s->more = w->flags & L_MSG_MORE;
	while (w->done < w->total) {
		n = tcp_queue(s, w);
		if (n == SOCK_WAIT)
			return SOCK_WAIT;
		if (n < 0)
			return w->done ? (int64_t)w->done : n;
	}
	return (int64_t)w->done;
}

/* ---- shutting down ---- */

/* What waits is one packet, with which the FIN goes. */
static bool fin_rides(const struct sock *s)
{
	const struct tcp_pcb *pcb = s->pcb.tcp;

	return pcb && !s->fin_queued && !s->closed_pcb && !stream_out_waits(s) && !pcb->unacked && pcb->unsent &&
	       !pcb->unsent->next && pcb->unsent->len && pcb->unsent->len <= pcb->mss;
}

/* FIN goes behind what is queued; if lwIP has no room for it, settling tries again. */
static void queue_fin(struct sock *s)
{
	if (s->fin_queued || !s->pcb.tcp || stream_out_waits(s))
		return;
	if (tcp_shutdown(s->pcb.tcp, 0, 1) == ERR_OK)
		s->fin_queued = true;
}

static void drop_children(struct sock *s);

/* A listener that is to hear nothing more is as it was before listen(2), bound. */
static int64_t end_listening(struct sock *s)
{
	uint16_t port = s->pcb.tcp->local_port;
	ip_addr_t ip;

	ip_addr_copy(ip, s->pcb.tcp->local_ip);
	waiters_end_all(s, WAIT_ACCEPT, -X_EINVAL);
	drop_children(s);
	tcp_close(s->pcb.tcp);
	s->listening = false;
	s->pcb.tcp = tcp_new_ip_type(s->family == L_AF_INET6 ? IPADDR_TYPE_ANY : IPADDR_TYPE_V4);
	if (!s->pcb.tcp)
		return -X_ENOBUFS;
	set_callbacks(s, s->pcb.tcp);
	tcp_apply_options(s);
	s->bound = tcp_bind(s->pcb.tcp, &ip, port) == ERR_OK;
	return 0;
}

int64_t tcp_shutdown_socket(struct sock *s, bool read, bool write)
{
	if (s->listening)
		return read ? end_listening(s) : 0;
	if (!s->connected) {
		if (s->was_connected && s->pcb.tcp)
			return 0;
		s->shut_read |= read && !s->connecting; /* it is remembered all the same */
		s->shut_write |= write && !s->connecting;
		return -X_ENOTCONN;
	}
	if (read) {
		s->shut_read = true;
		waiters_end_all(s, WAIT_RECV, 0);
	}
	if (write) {
		s->shut_write = true;
		waiters_end_all(s, WAIT_SEND, -X_EPIPE);
		if (!fin_rides(s))
			tcp_push(s);
		queue_fin(s);
	}
	return 0;
}

static void abort_connection(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb.tcp;

	tcp_arg(pcb, NULL);
	s->pcb.tcp = NULL;
	tcp_abort(pcb);
	tcp_drop_queue(s);
}

void tcp_disconnect_socket(struct sock *s)
{
	if (s->pcb.tcp && !s->listening)
		abort_connection(s);
	s->connecting = s->connected = s->was_connected = false;
	waiters_end_all(s, WAIT_CONNECT, -X_ECONNABORTED);
}

static void drop_children(struct sock *s)
{
	while (s->accepted) {
		struct sock *child = s->accepted;

		s->accepted = child->accept_next;
		child->listener = NULL;
		if (child->pcb.tcp)
			abort_connection(child);
		sock_free(child);
	}
	s->accepted_last = NULL;
	s->accepted_count = 0;
}

static void close_listener(struct sock *s)
{
	drop_children(s);
	if (tcp_close(s->pcb.tcp) == ERR_OK)
		s->pcb.tcp = NULL;
	sock_free(s);
}

/* Unread data, or the wish not to linger: the peer is told by RST. Else the
 * connection ends in good order, and we wait for its data to be acknowledged. */
void tcp_close_socket(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb.tcp;

	if (!pcb) {
		tcp_drop_queue(s);
		sock_free(s);
		return;
	}
	if (s->listening) {
		close_listener(s);
		return;
	}
	flow_sync(s);
	if (s->received || (s->linger && s->linger_s == 0 && s->connected) || s->connecting) {
		if (s->stream_out) { /* what was written goes before */
			stream_out_sync(s);
			tcp_push(s);
		}
		abort_connection(s);
		sock_free(s);
		return;
	}
	stream_out_closed(s);
	s->orphan = true;
	sock_mark(s, 0);
}

/* An orphan: hand the control block to lwIP for good once nothing is queued. */
static void settle_orphan(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb.tcp;

	if (stream_out_waits(s))
		return;
	if (pcb && !s->closed_pcb) {
		pcb->rcv_wnd = TCP_WND_MAX(pcb); /* else lwIP sees unread data, and resets */
		s->closed_pcb = true;
		if (!s->sending) {
			tcp_arg(pcb, NULL);
			s->pcb.tcp = NULL;
		}
		tcp_close(pcb); /* out of memory it is tried again by lwIP's timer */
	}
	if (s->pcb.tcp)
		return;
	tcp_drop_queue(s);
	sock_free(s);
}

/* ---- settling ---- */

/* With data, if some leaves. */
static void push_and_acknowledge(struct sock *s)
{
	if (s->ack_due && s->pcb.tcp)
		tcp_ack_now(s->pcb.tcp);
	tcp_push(s);
	if (s->ack_due && s->pcb.tcp && (s->pcb.tcp->flags & TF_ACK_NOW))
		tcp_send_empty_ack(s->pcb.tcp);
	s->ack_due = false;
}

static void answer_accept(struct sock *listener, struct waiter *w)
{
	struct sock *s = listener->accepted;
	struct x_out *out;
	struct address a;
	int64_t handle;

	listener->accepted = s->accept_next;
	if (!listener->accepted)
		listener->accepted_last = NULL;
	listener->accepted_count--;
	s->listener = NULL;
	s->account = w->account;
	if (s->pcb.tcp)
		tcp_backlog_accepted(s->pcb.tcp);
	handle = sock_mint(s, F_O_RDWR | (w->flags & F_O_NONBLOCK));
	if (handle < 0) {
		tcp_close_socket(s);
		waiter_end(w, handle);
		return;
	}
	out = out_answer_entry(w->call_id);
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
	address_make(s, &s->peer, s->peer_port, &a);
	address_out(&out->msg, &a);
	waiter_drop(w); /* answered */
	sock_mark(s, 0);
}

static void settle_connect(struct sock *s)
{
	if (s->connecting)
		return;
	while (waiter_first(s, WAIT_CONNECT)) {
		struct waiter *w = waiter_first(s, WAIT_CONNECT);

		s->ended = false; /* told: the socket is as new */
		waiter_end(w, s->connected ? 0 : s->error ? sock_take_error(s) : -X_ECONNABORTED);
	}
}

void tcp_settle(struct sock *s)
{
	struct waiter *w;
	int64_t status;

	tcp_take_window_back(s);
	if (s->narrowed)
		tcp_send_narrower(s);
	if (s->orphan) {
		stream_out_settle(s);
		if (!fin_rides(s))
			tcp_push(s);
		settle_orphan(s);
		return;
	}
	if (s->pcb.tcp && s->pcb.tcp->state == TIME_WAIT) { /* lwIP frees it when it likes */
		tcp_arg(s->pcb.tcp, NULL);
		s->pcb.tcp = NULL;
		s->connected = false;
	}
	if (s->refused && s->connecting) {
		abort_connection(s);
		s->connecting = false;
	}
	settle_connect(s);
	while (s->accepted && (w = waiter_first(s, WAIT_ACCEPT)))
		answer_accept(s, w);
	if (s->connecting)
		return;
	if (s->connected && !s->opened_window) { /* RFC 6928: ten segments to begin with */
		s->opened_window = true;
		if (s->pcb.tcp->cwnd < 10u * s->pcb.tcp->mss)
			s->pcb.tcp->cwnd = 10u * s->pcb.tcp->mss;
	}
	flow_sync(s);
	while ((w = waiter_first(s, WAIT_RECV))) {
		status = waiter_patience(w, tcp_receive_some(s, w));
		if (status == SOCK_WAIT)
			break;
		waiter_end(w, status);
	}
	flow_publish(s);
	stream_out_settle(s);
	while ((w = waiter_first(s, WAIT_SEND))) {
		status = tcp_send_some(s, w);
		if (status == SOCK_WAIT)
			break;
		waiter_end(w, status);
	}
	push_and_acknowledge(s);
	if (s->shut_write)
		queue_fin(s);
}

/* ---- readiness ---- */

uint32_t tcp_readiness(const struct sock *s)
{
	uint32_t ready = 0;
	bool closed = !s->listening && !s->connecting && !s->connected;
	bool over = closed && (s->was_connected || s->ended);

	if (s->listening)
		return s->accepted ? X_READY_IN : 0;
	if (s->error)
		ready |= X_READY_ERR | X_READY_IN | X_READY_OUT;
	if ((s->received && !flow_hides_received(s)) || s->peer_fin || s->shut_read || over)
		ready |= X_READY_IN;
	if (s->peer_fin || s->shut_read || over)
		ready |= X_READY_RDHUP;
	if (closed || (s->shut_write && (s->peer_fin || s->shut_read)))
		ready |= X_READY_HUP;
	if (closed || s->shut_write || (s->connected && !stream_out_serves(s) && !s->starved &&
					s->sending_bytes < s->send_limit - s->send_limit / 3))
		ready |= X_READY_OUT;
	return ready;
}

uint32_t tcp_state_of(const struct sock *s)
{
	static const uint8_t states[] = {
		[CLOSED] = L_TCP_CLOSE, [LISTEN] = L_TCP_LISTEN, [SYN_SENT] = L_TCP_SYN_SENT,
		[SYN_RCVD] = L_TCP_SYN_RECV, [ESTABLISHED] = L_TCP_ESTABLISHED,
		[FIN_WAIT_1] = L_TCP_FIN_WAIT1, [FIN_WAIT_2] = L_TCP_FIN_WAIT2,
		[CLOSE_WAIT] = L_TCP_CLOSE_WAIT, [CLOSING] = L_TCP_CLOSING, [LAST_ACK] = L_TCP_LAST_ACK,
		[TIME_WAIT] = L_TCP_TIME_WAIT,
	};

	return s->pcb.tcp ? states[s->pcb.tcp->state] : L_TCP_CLOSE;
}
