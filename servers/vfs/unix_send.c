/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending on UNIX sockets: into the ring of the socket it goes to, or for a
 * stream straight to a receiver that waits. What does not fit waits there.
 */

#include "servers/vfs/unix.h"

struct message {
	uint64_t call_id, account;
	const uint32_t *window; /* lengths */
	uint32_t bytes, done;
	uint16_t rights;        /* not delivered yet */
	bool delivered;         /* the message is there, with all that came along */
};

/* ---- moving ---- */

/* Bytes [offset, offset + bytes) of the message's windows. */
static int64_t gather(struct ring *r, const struct message *m, uint32_t offset, uint32_t bytes)
{
	uint32_t start = 0, at, piece, done = 0;
	int64_t n;

	for (unsigned i = 0; i < SOCK_DATA_WINDOWS && done < bytes; start += m->window[i++]) {
		at = offset + done;
		if (at >= start + m->window[i])
			continue;
		piece = start + m->window[i] - at;
		if (piece > bytes - done)
			piece = bytes - done;
		n = ring_put(r, m->call_id, i, at - start, piece);
		if (n <= 0)
			return done ? (int64_t)done : n;
		done += (uint32_t)n;
		if ((uint32_t)n < piece)
			break;
	}
	return done;
}

/* To a receiver that only wants bytes, from one window to another. */
static void hand_over(struct unix_socket *to, struct message *m)
{
	struct parked *w;
	int64_t n;

	while (m->done < m->window[0] && !to->records && (w = queue_first(&to->receiving))) {
		uint32_t left = m->window[0] - m->done;

		if (w->flags || w->done || to->pass_creds || w->window[0] != w->bytes)
			return;
		n = sys_window_move(m->call_id, m->done, w->call_id, 0, left < w->bytes ? left : w->bytes);
		if (n <= 0)
			return;
		m->done += (uint32_t)n;
		parked_finish(w, n);
	}
}

static bool joins(const struct unix_record *r, const struct message *m, struct unix_creds c)
{
	return r && !r->rights && !m->rights && r->creds.pid == c.pid && r->creds.uid == c.uid &&
	       r->creds.gid == c.gid;
}

static int64_t put_stream(struct unix_socket *to, struct message *m)
{
	struct unix_creds creds = unix_creds_of(m->account);
	struct unix_record *r;
	int64_t n;

	if (!m->rights)
		hand_over(to, m);
	r = unix_record_at(to->last);
	if (m->done == m->bytes || !ring_room(&to->ring) || (!joins(r, m, creds) && !unix_record_room(to)))
		return 0;
	n = gather(&to->ring, m, m->done, m->bytes - m->done);
	if (n <= 0)
		return n;
	if (!joins(r, m, creds)) {
		r = unix_record_new(to);
		r->creds = creds;
		r->rights = m->rights;
		m->rights = 0;
	}
	r->bytes += (uint32_t)n;
	m->done += (uint32_t)n;
	return 0;
}

/* Whole or not at all. */
static int64_t put_message(struct unix_socket *to, const struct unix_socket *from, struct message *m)
{
	struct unix_record *r;
	int64_t n;

	if (m->bytes > to->ring.capacity)
		return -X_EMSGSIZE;
	if (!to->ring.count && ring_room(&to->ring) < m->bytes)
		return -X_ENOBUFS;
	if (ring_room(&to->ring) < m->bytes || !unix_record_room(to)) {
		to->choked = true;
		return 0;
	}
	n = gather(&to->ring, m, 0, m->bytes);
	if (n < (int64_t)m->bytes) {
		if (n > 0)
			ring_cut(&to->ring, (uint32_t)n);
		return n < 0 ? n : -X_EFAULT;
	}
	r = unix_record_new(to);
	r->bytes = m->bytes;
	r->creds = unix_creds_of(m->account);
	r->rights = m->rights;
	r->name = unix_name_share(from->name);
	m->rights = 0;
	m->done = m->bytes;
	m->delivered = true;
	return 0;
}

static int64_t put(struct unix_socket *to, const struct unix_socket *from, struct message *m)
{
	int64_t status = to->type == TYPE_STREAM ? put_stream(to, m) : put_message(to, from, m);

	if (to->type == TYPE_STREAM)
		m->delivered = m->done == m->bytes;
	return status;
}

/* ---- calls ---- */

/* Why nothing can be sent there, or 0. */
static int64_t refusal(const struct unix_socket *s, const struct unix_socket *to)
{
	const struct unix_socket *theirs;

	if (unix_connects(s) && s->state != UNIX_CONNECTED)
		return -X_ENOTCONN;
	if (s->shut_write)
		return -X_EPIPE;
	if (unix_connects(s))
		return !to || to->shut_read ? -X_EPIPE : 0;
	if (!to)
		return s->peer ? -X_ECONNREFUSED : -X_ENOTCONN;
	theirs = unix_peer(to);
	if (to->type != s->type)
		return -X_EPROTOTYPE;
	if (to->shut_read)
		return -X_EPIPE;
	return to->peer && theirs != s ? -X_EPERM : 0;
}

static void end(struct message *m, int64_t status)
{
	rights_drop(m->rights);
	out_status(m->call_id, status);
}

/* A stream that the kernel carries is not ours to write to yet. */
static void wait_for_end(const struct x_in *in, struct unix_socket *to, struct message *m, bool blocks, uint64_t timeout_ns)
{
	struct parked *w = unix_park(in, &to->sending, m->bytes, 0, timeout_ns);

	if (!w) {
		end(m, -X_EAGAIN);
		return;
	}
	w->rights = m->rights;
	w->hurried = !blocks;
}

void unix_send_to(struct unix_socket *s, const struct x_in *in, struct unix_socket *to)
{
	uint32_t flags = in->msg.op == SOCK_SEND ? (uint32_t)in->msg.a[0] : 0, window[SOCK_DATA_WINDOWS] = { 0 };
	bool blocks = !(in->status_flags & (F_O_NONBLOCK | UNIX_HURRIED)) && !(flags & MSG_F_DONTWAIT) &&
		      !(in->msg.status & FILE_NOWAIT);
	struct message m = { .call_id = in->id, .account = in->account, .window = window };
	uint16_t staged = s->staged_account == in->account ? s->staged : 0;
	struct parked *w;
	int64_t status = refusal(s, to);

	if (staged)
		s->staged = 0;
	m.rights = rights_take(in, staged);
	for (unsigned i = 0; i < SOCK_DATA_WINDOWS; i++)
		m.bytes += window[i] = in_window(in, i, X_WIN_READ);
	if (!status && rights_count(m.rights) > UNIX_RIGHTS_PER_MESSAGE)
		status = -X_EINVAL;
	if (!status && !m.bytes && !m.rights && s->type == TYPE_STREAM) { /* the kernel has no answer to that, either */
		out_status(in->id, 0);
		return;
	}
	if (!status && !m.rights && unix_by_kernel(to, in))
		return;
	if (!status && to->flow != UNIX_BY_CALL)
		unix_never_flows(to);
	if (!status && to->flow != UNIX_BY_CALL) {
		wait_for_end(in, to, &m, blocks, s->send_timeout_ns);
		return;
	}
	if (!status && (unix_connects(s) || !to->sending.first) && (s->type != TYPE_STREAM || !to->sending.first))
		status = put(to, s, &m);
	if (status < 0 || m.delivered) {
		end(&m, m.done ? (int64_t)m.done : status);
	} else if (!blocks) {
		end(&m, m.done ? (int64_t)m.done : in->status_flags & UNIX_HURRIED ? -X_EINTR : -X_EAGAIN);
	} else {
		w = unix_park(in, &to->sending, m.bytes, m.done, s->send_timeout_ns);
		if (w)
			w->rights = m.rights;
		else
			end(&m, m.done ? (int64_t)m.done : -X_EAGAIN);
	}
	if (m.done || m.delivered)
		unix_pump(to, true);
	else if (to)
		unix_tell(s, 0);
}

void unix_send(struct unix_socket *s, const struct x_in *in)
{
	bool addressed = in->msg.op == SOCK_SEND && in->msg.a[1], connected = s->state == UNIX_CONNECTED;
	struct unix_socket *to = unix_peer(s);
	int64_t status = 0;

	if (in->msg.op == SOCK_SEND && in->msg.a[0] & MSG_F_OOB)
		status = -X_EOPNOTSUPP;
	else if (addressed && s->type == TYPE_STREAM)
		status = connected ? -X_EISCONN : -X_EOPNOTSUPP;
	else if (addressed && s->type == TYPE_DGRAM)
		status = unix_lookup(in, &to);
	if (status < 0) {
		in_close_handles(in);
		out_status(in->id, status);
	} else if (status == 0) {
		unix_send_to(s, in, to);
	}
}

/* Descriptors beyond those that one call carries: they go with the next send. */
void unix_attach(struct unix_socket *s, const struct x_in *in)
{
	if (s->staged && s->staged_account != in->account) {
		rights_drop(s->staged);
		s->staged = 0;
	}
	s->staged_account = in->account;
	s->staged = rights_take(in, s->staged);
	if (rights_count(s->staged) > UNIX_RIGHTS_PER_MESSAGE) {
		rights_drop(s->staged);
		s->staged = 0;
		out_status(in->id, -X_EINVAL);
		return;
	}
	out_status(in->id, 0);
}

/* ---- parked ---- */

bool unix_pump_senders(struct unix_socket *to)
{
	struct unix_socket *from;
	struct parked *w;
	bool any = false;
	int64_t status;

	while (to->flow == UNIX_BY_CALL && (w = queue_first(&to->sending))) {
		struct message m = {
			.call_id = w->call_id, .account = w->account, .window = w->window, .bytes = w->bytes,
			.done = w->done, .rights = w->rights,
		};

		from = unix_find(w->owner);
		status = from ? put(to, from, &m) : -X_EPIPE;
		any |= m.done != w->done || m.delivered;
		w->done = m.done;
		w->rights = m.rights;
		if (status >= 0 && !m.delivered)
			break;
		rights_drop(w->rights);
		parked_finish(w, w->done || m.delivered ? (int64_t)w->done : status);
	}
	return any;
}

void unix_fail_senders(struct unix_socket *to, int64_t status)
{
	struct parked *w;

	while ((w = queue_first(&to->sending))) {
		rights_drop(w->rights);
		parked_finish(w, w->done ? (int64_t)w->done : status);
	}
}
