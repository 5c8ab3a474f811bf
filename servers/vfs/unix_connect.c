/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections of UNIX sockets: connect, listen, accept, shutdown.
 *
 * connect makes the socket that accept will give, and the two are connected
 * from then on. A full backlog makes connects wait at the listener.
 */

#include "servers/vfs/unix.h"

static int64_t would_wait(const struct x_in *in)
{
	return in->status_flags & UNIX_HURRIED ? -X_EINTR : -X_EAGAIN;
}

static bool may_wait(const struct x_in *in)
{
	return !(in->status_flags & (UNIX_HURRIED | F_O_NONBLOCK) || in->msg.status & FILE_NOWAIT);
}

/* ---- connect ---- */

/* An embryo at the end of the listener's list. */
static int64_t add_pending(struct unix_socket *listener, struct unix_socket *client)
{
	struct unix_socket *s = unix_new(listener->type, listener->account);
	uint16_t *link = &listener->pending;

	if (!s)
		return -X_EAGAIN;
	s->state = UNIX_CONNECTED;
	s->creds = listener->creds;
	s->peer_creds = client->creds;
	s->pass_creds = listener->pass_creds;
	s->name = unix_name_share(listener->name);
	s->peer = unix_index(client);
	s->peer_id = client->id;
	client->state = UNIX_CONNECTED;
	client->peer = unix_index(s);
	client->peer_id = s->id;
	client->peer_creds = listener->creds;
	while (*link)
		link = &unix_sockets[*link - 1].next_pending;
	*link = unix_index(s);
	listener->pending_count++;
	return 0;
}

static bool has_room(const struct unix_socket *listener)
{
	return listener->pending_count <= listener->backlog;
}

static void pump_accepts(struct unix_socket *listener);

static int64_t connect_stream(struct unix_socket *s, const struct x_in *in, struct unix_socket *to)
{
	int64_t status;

	if (s->state != UNIX_NEW)
		return s->state == UNIX_CONNECTED ? -X_EISCONN : -X_EINVAL;
	if (to->type != s->type)
		return -X_EPROTOTYPE;
	if (to->state != UNIX_LISTENING || to->shut_read)
		return -X_ECONNREFUSED;
	if (!has_room(to)) {
		if (!may_wait(in))
			return would_wait(in);
		return unix_park(in, &to->connecting, 0, 0, s->send_timeout_ns) ? 1 : -X_EAGAIN;
	}
	s->creds = unix_creds_of(in->account);
	status = add_pending(to, s);
	if (status)
		return status;
	pump_accepts(to);
	unix_tell(to, X_READY_IN);
	unix_tell(s, 0);
	return 0;
}

/* A datagram socket has another peer now, or none. */
static void forget_peer_name(struct unix_socket *s)
{
	unix_name_drop(s->peer_name);
	s->peer_name = 0;
}

static int64_t connect_datagram(struct unix_socket *s, struct unix_socket *to)
{
	const struct unix_socket *theirs = unix_peer(to);

	if (to->type != s->type)
		return -X_EPROTOTYPE;
	if (theirs && theirs != s)
		return -X_EPERM;
	forget_peer_name(s);
	s->peer = unix_index(to);
	s->peer_id = to->id;
	s->state = UNIX_CONNECTED;
	s->peer_creds = to->creds;
	unix_tell(s, 0);
	return 0;
}

void unix_connect_to(struct unix_socket *s, const struct x_in *in, struct unix_socket *to)
{
	int64_t status = unix_connects(s) ? connect_stream(s, in, to) : connect_datagram(s, to);

	if (status <= 0)
		out_status(in->id, status);
}

/* A datagram socket is disconnected by an address of no family. */
static bool disconnects(const struct unix_socket *s, const struct x_in *in)
{
	return !unix_connects(s) && in->msg.a[1] >= 2 && in->msg.a[1] <= SOCK_ADDRESS_INLINE &&
	       !(in->msg.a[2] & 0xffff);
}

void unix_connect(struct unix_socket *s, const struct x_in *in)
{
	struct unix_socket *to;
	int64_t status;

	if (disconnects(s, in)) {
		s->peer = 0;
		forget_peer_name(s);
		s->state = UNIX_NEW;
		out_status(in->id, 0);
		return;
	}
	status = unix_lookup(in, &to);
	if (status <= 0)
		unix_found(in, status, to);
}

void unix_found(const struct x_in *in, int64_t status, struct unix_socket *to)
{
	struct unix_socket *s = unix_find(in->object);

	if (status < 0 || !s) {
		if (in->msg.op == SOCK_SEND)
			in_close_handles(in);
		out_status(in->id, status < 0 ? status : -X_EBADF);
	} else if (in->msg.op == SOCK_CONNECT) {
		unix_connect_to(s, in, to);
	} else {
		unix_send_to(s, in, to);
	}
}

/* ---- listen, accept ---- */

static void pump_connects(struct unix_socket *listener)
{
	struct unix_socket *client;
	struct parked *w;
	int64_t status;

	while (has_room(listener) && (w = queue_first(&listener->connecting))) {
		client = unix_find(w->owner);
		status = !client ? -X_EBADF : client->state != UNIX_NEW ? -X_EISCONN : add_pending(listener, client);
		parked_finish(w, status);
		if (client)
			unix_tell(client, 0);
	}
}

void unix_listen(struct unix_socket *s, const struct x_in *in)
{
	uint32_t backlog = (uint32_t)in->msg.a[0];

	if (!unix_connects(s)) {
		out_status(in->id, -X_EOPNOTSUPP);
		return;
	}
	if (!s->name || s->state == UNIX_CONNECTED) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	s->state = UNIX_LISTENING;
	s->backlog = backlog < UNIX_BACKLOG_MAX ? backlog : UNIX_BACKLOG_MAX;
	s->creds = unix_creds_of(in->account);
	pump_connects(s);
	unix_tell(s, 0);
	out_status(in->id, 0);
}

/* Answers the call with the first embryo, which must be there. */
static void give_first(struct unix_socket *listener, uint64_t call_id, uint32_t flags)
{
	struct unix_socket *s = &unix_sockets[listener->pending - 1];
	const struct unix_socket *peer = unix_peer(s);
	int64_t handle = unix_mint(s, flags);
	struct x_out *out;

	if (handle < 0) {       /* it stays for the next */
		out_status(call_id, handle);
		return;
	}
	listener->pending = s->next_pending;
	listener->pending_count--;
	s->next_pending = 0;
	out = out_answer_entry(call_id);
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
	unix_answer_address(out, peer ? peer->name : 0);
}

static void pump_accepts(struct unix_socket *listener)
{
	struct parked *w;

	while (listener->pending && (w = queue_first(&listener->accepting))) {
		give_first(listener, w->call_id, w->flags & F_O_NONBLOCK);
		unpark(w);
	}
}

void unix_accept(struct unix_socket *s, const struct x_in *in)
{
	if (!unix_connects(s)) {
		out_status(in->id, -X_EOPNOTSUPP);
	} else if (s->state != UNIX_LISTENING || (s->shut_read && !s->pending)) {
		out_status(in->id, -X_EINVAL);
	} else if (s->pending) {
		give_first(s, in->id, (uint32_t)in->msg.a[0] & F_O_NONBLOCK);
		pump_connects(s);
		unix_tell(s, 0);
	} else if (!may_wait(in) || !unix_park(in, &s->accepting, 0, 0, s->receive_timeout_ns)) {
		out_status(in->id, -X_EAGAIN);
	}
}

/* Those who were not accepted yet find the connection gone. */
void unix_listener_closed(struct unix_socket *s)
{
	struct parked *w;

	while ((w = queue_first(&s->connecting)))
		parked_finish(w, -X_ECONNREFUSED);
	while (s->pending) {
		struct unix_socket *embryo = &unix_sockets[s->pending - 1];

		s->pending = embryo->next_pending;
		unix_free(embryo);
	}
	s->pending_count = 0;
}

/* ---- shutdown ---- */

void unix_shutdown(struct unix_socket *s, const struct x_in *in)
{
	uint64_t how = in->msg.a[0];
	struct unix_socket *peer = unix_peer(s);
	struct parked *w;

	if (how > 2) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	s->shut_read |= how != 1;
	s->shut_write |= how != 0;
	if (s->shut_read)
		unix_leave(s);
	if (s->shut_write && peer && unix_connects(s))
		unix_leave(peer);
	while (s->shut_read && (w = queue_first(&s->accepting)))
		parked_finish(w, -X_EINVAL);
	if (s->shut_read)
		unix_fail_senders(s, -X_EPIPE);
	unix_pump(s, false);
	if (peer && unix_connects(s)) {
		if (s->shut_write)
			unix_fail_senders(peer, -X_EPIPE); /* that were ours */
		unix_pump(peer, false);
	}
	out_status(in->id, 0);
}
