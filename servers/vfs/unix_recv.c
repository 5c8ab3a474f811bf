/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiving on UNIX sockets: bytes, and with the first of a message who sent
 * it and the descriptors that came along.
 */

#include "servers/vfs/unix.h"

struct receive {
	uint64_t call_id;
	uint32_t op, flags;
	const uint32_t *window; /* lengths */
	uint32_t bytes, done;
	uint32_t max_rights;    /* descriptors wanted */
	/* of the first record */
	uint16_t rights, name;
	struct unix_creds creds;
	uint32_t result_flags;
	bool stop;              /* nothing more belongs to this receive */
};

/* Nothing will come any more. */
static bool ended(const struct unix_socket *s)
{
	const struct unix_socket *peer = unix_peer(s);

	return s->shut_read || (unix_connects(s) && (!peer || peer->shut_write));
}

/* From behind `skip` bytes of the ring to [done, done + bytes) of the windows. */
static int64_t spread(const struct ring *r, uint32_t skip, const struct receive *v, uint32_t bytes)
{
	uint32_t start = 0, at, piece, done = 0;
	int64_t n;

	for (unsigned i = 0; i < SOCK_DATA_WINDOWS && done < bytes; start += v->window[i++]) {
		at = v->done + done;
		if (at >= start + v->window[i])
			continue;
		piece = start + v->window[i] - at;
		if (piece > bytes - done)
			piece = bytes - done;
		n = ring_peek(r, skip + done, v->call_id, i, at - start, piece);
		if (n <= 0)
			return done ? (int64_t)done : -X_EFAULT;
		done += (uint32_t)n;
	}
	return done;
}

/* Who sent it, and what came along; once a receive. */
static void take_extras(const struct unix_socket *s, struct unix_record *r, struct receive *v)
{
	bool peek = v->flags & MSG_F_PEEK;

	if (s->pass_creds)
		v->creds = r->creds;
	v->name = r->name;
	v->rights = peek && v->op == SOCK_RECV && v->max_rights ? rights_copy(r->rights) : peek ? 0 : r->rights;
	v->stop = r->rights != 0;
	if (rights_count(r->rights) > v->max_rights)
		v->result_flags |= MSG_F_CTRUNC;
	if (!peek)
		r->rights = 0;
}

static bool belongs(const struct unix_socket *s, const struct unix_record *r, const struct receive *v)
{
	if (r->rights)
		return false;
	return !s->pass_creds || (r->creds.pid == v->creds.pid && r->creds.uid == v->creds.uid &&
				  r->creds.gid == v->creds.gid);
}

static int64_t take_stream(struct unix_socket *s, struct receive *v)
{
	bool peek = v->flags & MSG_F_PEEK;
	struct unix_record *r = unix_record_at(s->first);
	uint32_t skip = 0, piece;
	int64_t n;

	if (!v->done)
		take_extras(s, r, v);
	while (r && v->done < v->bytes) {
		piece = r->bytes < v->bytes - v->done ? r->bytes : v->bytes - v->done;
		n = spread(&s->ring, skip, v, piece);
		if (n < 0)
			return v->done ? 0 : n;
		v->done += (uint32_t)n;
		skip += (uint32_t)(peek ? n : 0);
		if (peek) {
			r = unix_record_at(r->next);
		} else {
			ring_drop(&s->ring, (uint32_t)n);
			r->bytes -= (uint32_t)n;
			if (r->bytes)
				break;
			unix_record_drop_first(s);
			r = unix_record_at(s->first);
		}
		v->stop |= r && !belongs(s, r, v);
		if (v->stop)
			break;
	}
	return 0;
}

/* One message; what does not fit is lost. */
static int64_t take_message(struct unix_socket *s, struct receive *v)
{
	struct unix_record *r = unix_record_at(s->first);
	uint32_t whole = r->bytes, piece = whole < v->bytes ? whole : v->bytes;
	int64_t n = spread(&s->ring, 0, v, piece);

	if (n < 0)
		return n;
	take_extras(s, r, v);
	v->done = (uint32_t)n;
	if (whole > piece) {
		v->result_flags |= MSG_F_TRUNC;
		if (v->flags & MSG_F_TRUNC)
			v->done = whole;
	}
	if (s->type == TYPE_SEQPACKET)
		v->result_flags |= MSG_F_EOR;
	return 0;
}

/* ---- answers ---- */

/* Descriptors that the answer can't carry are fetched with SOCK_TAKE. */
static void answer(struct unix_socket *s, struct receive *v, uint64_t account)
{
	struct x_out *out;

	v->rights = rights_cut(v->rights, v->op == SOCK_RECV ? v->max_rights : 0);
	out = out_answer_entry(v->call_id);
	out->msg.status = (int32_t)v->done;
	if (v->op != SOCK_RECV)
		return;
	out->msg.a[0] = v->result_flags | (uint64_t)v->creds.pid << 32;
	out->msg.a[1] = (uint64_t)v->creds.uid << 32;
	out->msg.a[6] = v->creds.gid;
	if (v->name)
		unix_answer_address(out, v->name);
	if (!v->rights)
		return;
	v->rights = rights_give(v->rights, out, X_MAX_HANDLES);
	out->msg.a[6] |= (uint64_t)rights_count(v->rights) << 32;
	rights_drop(s->taken);
	s->taken = v->rights;
	s->taken_account = account;
}

void unix_take(struct unix_socket *s, const struct x_in *in)
{
	struct x_out *out;

	if (!s->taken || s->taken_account != in->account) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	out = out_answer_entry(in->id);
	s->taken = rights_give(s->taken, out, X_MAX_HANDLES);
	out->msg.a[6] = (uint64_t)rights_count(s->taken) << 32;
}

/* True: answered. */
static bool receive(struct unix_socket *s, struct receive *v, uint64_t account)
{
	bool peek = v->flags & MSG_F_PEEK;
	int64_t status = 0;

	if (s->records) {
		status = s->type == TYPE_STREAM ? take_stream(s, v) : take_message(s, v);
		if (status < 0) {
			out_status(v->call_id, status);
			return true;
		}
		if (s->type == TYPE_STREAM && v->flags & MSG_F_WAITALL && !peek && !v->stop && v->done < v->bytes &&
		    !s->pass_creds && !ended(s) && !s->error)
			return false;
		answer(s, v, account);
		if (!peek && s->type != TYPE_STREAM)
			unix_record_drop_first(s);
		return true;
	}
	if (!v->done && s->error) {
		out_status(v->call_id, -s->error);
		s->error = 0;
		return true;
	}
	if (!ended(s) && !s->error)
		return false;
	answer(s, v, account);
	return true;
}

/* ---- calls ---- */

static int64_t refusal(const struct unix_socket *s, uint32_t flags)
{
	if (s->type == TYPE_STREAM) /* nothing is urgent: it was refused to the sender */
		return s->state != UNIX_CONNECTED || flags & MSG_F_OOB ? -X_EINVAL : 0;
	if (s->type == TYPE_SEQPACKET && s->state != UNIX_CONNECTED)
		return -X_ENOTCONN;
	return flags & MSG_F_OOB ? -X_EOPNOTSUPP : 0;
}

/* Without a connection the end of what comes is told to who waits for it only. */
static bool stays_open(const struct unix_socket *s)
{
	return s->type == TYPE_DGRAM && s->shut_read && !s->records && !s->error;
}

void unix_recv(struct unix_socket *s, const struct x_in *in)
{
	bool plain = in->msg.op == FILE_READ;
	uint32_t window[SOCK_DATA_WINDOWS] = { 0 };
	struct receive v = {
		.call_id = in->id, .op = in->msg.op, .flags = plain ? 0 : (uint32_t)in->msg.a[0],
		.window = window, .max_rights = plain ? 0 : (uint32_t)in->msg.a[6],
	};
	bool blocks = !(in->status_flags & F_O_NONBLOCK) && !(v.flags & MSG_F_DONTWAIT) && !(in->msg.status & FILE_NOWAIT);
	int64_t status = refusal(s, v.flags);
	struct parked *w;

	for (unsigned i = 0; i < SOCK_DATA_WINDOWS; i++)
		v.bytes += window[i] = in_window(in, i, X_WIN_WRITE);
	if (!status && !v.bytes && s->type == TYPE_STREAM && !plain && !blocks && !unix_waiting(s) && !ended(s))
		status = -X_EAGAIN;
	if (status || (!v.bytes && s->type == TYPE_STREAM)) {
		out_status(in->id, status);
		return;
	}
	if (unix_by_kernel(s, in))
		return;
	if (s->flow != UNIX_BY_CALL && !(in->msg.status & FILE_STREAMS))
		unix_never_flows(s); /* whoever peeks will again */
	if (s->flow == UNIX_BY_CALL && !s->receiving.first && !(stays_open(s) && !blocks) && receive(s, &v, in->account)) {
		unix_pump(s, false);
		return;
	}
	w = blocks || s->flow != UNIX_BY_CALL ? unix_park(in, &s->receiving, v.bytes, v.done, s->receive_timeout_ns) : NULL;
	if (w) {
		w->hurried = !blocks;
		w->flags = v.flags;
		w->op = v.op;
		w->control = v.max_rights;
	} else {
		out_status(in->id, v.done ? (int64_t)v.done : -X_EAGAIN);
	}
	if (v.done)
		unix_pump(s, false);
}

bool unix_pump_receivers(struct unix_socket *s)
{
	struct parked *w;
	bool any = false, finished;

	while (s->flow == UNIX_BY_CALL && (w = queue_first(&s->receiving))) {
		struct receive v = {
			.call_id = w->call_id, .op = w->op, .flags = w->flags, .window = w->window,
			.bytes = w->bytes, .done = w->done, .max_rights = w->control,
		};

		finished = receive(s, &v, w->account);
		any |= v.done != w->done || finished;
		w->done = v.done;
		if (!finished)
			break;
		unpark(w);
	}
	return any;
}

/* Senders by datagrams that wait to hear of room here. */
static void tell_senders(struct unix_socket *to)
{
	if (!to->choked || (to->ring.count && ring_room(&to->ring) < to->ring.capacity / 4))
		return;
	to->choked = false;
	for_each_unix(s)
		if (s->state != UNIX_FREE && s->peer_id == to->id)
			unix_tell(s, 0);
}

void unix_pump(struct unix_socket *s, bool arrived)
{
	struct unix_socket *peer = unix_peer(s);
	bool any;

	do {
		any = unix_pump_receivers(s);
		if (unix_pump_senders(s))
			any = arrived = true;
	} while (any && (s->receiving.first || s->sending.first));
	unix_tell(s, arrived ? X_READY_IN : 0);
	if (unix_connects(s) && peer)
		unix_tell(peer, 0);
	else
		tell_senders(s);
}
