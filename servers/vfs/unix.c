/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNIX sockets: the table, their life, and which call is what (see unix.h).
 */

#include "lib/c/slots.h"
#include "servers/vfs/unix.h"

enum { UNIX_PER_ACCOUNT = 512, SOCKFS_DEV = 9, SOCKFS_MAGIC = 0x534f434b };
enum { OUT_ROOM = 4096 };       /* bytes free that make a socket writable */

struct unix_socket unix_sockets[UNIX_MAX];
uint32_t unix_end;
static uint64_t next_serial = 1;

_Static_assert((UNIX_MAX & (UNIX_MAX - 1)) == 0, "ids are split by a mask");

struct unix_socket *unix_find(uint64_t id)
{
	struct unix_socket *s = &unix_sockets[id % UNIX_MAX];

	return s->state != UNIX_FREE && s->id == id ? s : NULL;
}

struct unix_socket *unix_peer(const struct unix_socket *s)
{
	return s->peer ? unix_find(s->peer_id) : NULL;
}

struct unix_creds unix_creds_of(uint64_t account)
{
	const struct session *s = session_of(account);

	if (!s)
		return (struct unix_creds){ 0, 65534, 65534 };
	return (struct unix_creds){ s->pid, s->creds.uid, s->creds.gid };
}

static void forget(struct unix_socket *s)
{
	s->state = UNIX_FREE;
	SLOTS_TRIM(unix_sockets, unix_end, state);
}

struct unix_socket *unix_new(uint8_t type, uint64_t account)
{
	struct unix_socket *fresh = SLOT_FIND(unix_sockets, unix_end, state);
	uint32_t same = 0;

	for_each_unix(s)
		same += s->state != UNIX_FREE && s->account == account;
	if (!fresh || same >= UNIX_PER_ACCOUNT) {
		unix_cycles_hurry();
		return NULL;
	}
	SLOT_TAKEN(unix_sockets, unix_end, fresh);
	*fresh = (struct unix_socket){
		.id = object_id(KIND_UNIX, next_serial++ * UNIX_MAX + (uint64_t)(fresh - unix_sockets)),
		.state = UNIX_NEW, .type = type, .account = account, .ring.capacity = UNIX_BUFFER,
		.creds = unix_creds_of(account), .send_buffer = 212992, .receive_buffer = 212992,
	};
	return fresh;
}

/* ---- readiness ---- */

static uint32_t stream_levels(const struct unix_socket *s)
{
	const struct unix_socket *peer = unix_peer(s);
	bool no_more = s->shut_read || !peer || peer->shut_write;
	uint32_t now = s->records || no_more ? X_READY_IN : 0;

	if (s->state == UNIX_NEW)
		return X_READY_OUT | X_READY_HUP;
	if (no_more)
		now |= X_READY_RDHUP;
	if (!peer || (no_more && s->shut_write))
		now |= X_READY_HUP;
	if (!peer || s->shut_write || (peer->flow == UNIX_BY_CALL && ring_room(&peer->ring) >= OUT_ROOM))
		now |= X_READY_OUT;
	return now;
}

static uint32_t levels(const struct unix_socket *s)
{
	const struct unix_socket *peer;
	uint32_t now;

	if (s->state == UNIX_LISTENING)
		return s->pending ? X_READY_IN : 0;
	if (unix_connects(s)) {
		now = stream_levels(s);
	} else {
		peer = unix_peer(s);
		now = (s->records || s->shut_read ? X_READY_IN : 0);
		if (!peer || ring_room(&peer->ring) >= OUT_ROOM)
			now |= X_READY_OUT;
	}
	return now | (s->error ? X_READY_ERR : 0);
}

void unix_tell(struct unix_socket *s, uint32_t pulse)
{
	uint32_t now = levels(s);

	pulse &= now;
	if (!s->has_object || (now == s->ready && !pulse))
		return;
	out_ready(s->id, X_READY_IN | X_READY_OUT | X_READY_HUP | X_READY_ERR | X_READY_RDHUP, now, pulse);
	s->ready = now;
}

/* ---- life ---- */

int64_t unix_mint(struct unix_socket *s, uint32_t status_flags)
{
	int64_t handle;

	s->ready = levels(s);
	handle = sys_mint(s->id, 0, s->ready, F_O_RDWR | status_flags | (s->type == TYPE_STREAM ? 0 : F_O_MESSAGES));
	if (handle >= 0) {
		s->has_object = true;
		s->koid = sys_handle_koid((x_handle_t)handle);
		s->own_refs = sys_handle_refs((x_handle_t)handle) - 1;
	}
	return handle;
}

/* The other side of a connection ends: what it was sent can still be read. */
static void leave_peer(struct unix_socket *s)
{
	struct unix_socket *peer = unix_peer(s);

	if (!peer || !unix_connects(s))
		return;
	if (s->records || unix_waiting(s) || !s->has_object)
		peer->error = X_ECONNRESET;
	unix_flow_closed(s);
	s->peer = 0;
	peer->peer = 0;
	unix_leave(peer); /* the kernel knows of the closure, too: it has stopped, or is about to */
	unix_pump(peer, false);
	unix_tell(peer, 0);
}

/* Those connected to it go on to tell its name. */
static void leave_name(const struct unix_socket *s)
{
	for_each_unix(other)
		if (s->name && other->state == UNIX_CONNECTED && other != s && unix_peer(other) == s)
			other->peer_name = unix_name_share(s->name);
}

/* Those that send to it by datagrams find nobody from now on. */
void unix_free(struct unix_socket *s)
{
	leave_name(s);
	unix_fail_senders(s, unix_connects(s) ? -X_EPIPE : -X_ECONNREFUSED);
	if (s->state == UNIX_LISTENING)
		unix_listener_closed(s);
	leave_peer(s);
	unix_flow_closed(s);
	buffer_put(s->lent);
	while (s->first)
		unix_record_drop_first(s);
	ring_free(&s->ring);
	rights_drop(s->staged);
	rights_drop(s->taken);
	unix_name_drop(s->name);
	unix_name_drop(s->peer_name);
	if (s->place.inode)
		hold_drop(s->place);
	forget(s);
}

void unix_closed(uint64_t id)
{
	struct unix_socket *s = unix_find(id);

	if (s)
		unix_free(s);
}

/* ---- waiting ---- */

static void timed_out(void *ctx)
{
	struct parked *w = ctx;

	rights_drop(w->rights);
	parked_finish(w, w->done ? (int64_t)w->done : -X_EAGAIN);
}

struct parked *unix_park(const struct x_in *in, struct queue *q, uint32_t bytes, uint32_t done, uint64_t timeout_ns)
{
	struct parked *w = park(in, q, in->object, bytes, done);

	if (!w)
		return NULL;
	w->control = (uint32_t)in->msg.a[6];
	for (uint32_t i = 0; i < SOCK_DATA_WINDOWS && i < in->win_count; i++)
		w->window[i] = in->win[i].len;
	if (timeout_ns) {
		w->timer.fn = timed_out;
		w->timer.ctx = w;
		timer_set(&w->timer, server_now_ns + timeout_ns);
	}
	return w;
}

bool unix_cancel(struct parked *w)
{
	rights_drop(w->rights);
	parked_finish(w, w->done ? (int64_t)w->done : -X_EINTR);
	return true;
}

/* ---- calls ---- */

void unix_answer_address(struct x_out *out, uint16_t name)
{
	static const uint8_t unnamed[2] = { UNIX_FAMILY, 0 };
	const struct unix_name *n = unix_name_at(name);
	const void *address = n ? n->address : unnamed;
	uint32_t bytes = n ? n->bytes : sizeof(unnamed);

	out->msg.a[1] |= bytes;
	if (bytes <= SOCK_ADDRESS_INLINE)
		memcpy(&out->msg.a[2], address, bytes);
	else
		window_write(out->id, SOCK_ADDRESS_WINDOW, 0, address, bytes);
}

static void answer_name(const struct unix_socket *s, const struct x_in *in)
{
	const struct unix_socket *peer = unix_peer(s);

	if (in->msg.a[0] && s->state != UNIX_CONNECTED)
		out_status(in->id, -X_ENOTCONN);
	else
		unix_answer_address(out_answer_entry(in->id), !in->msg.a[0] ? s->name : peer ? peer->name : s->peer_name);
}

static int64_t stat_socket(const struct unix_socket *s, const struct x_in *in)
{
	struct file_attr attr = {
		.dev = SOCKFS_DEV, .ino = s->id & 0x00ffffffffffffffull, .mode = F_S_IFSOCK | 0777, .nlink = 1,
		.uid = s->creds.uid, .gid = s->creds.gid, .block_bytes = 4096,
	};

	return window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ? -X_EFAULT : 0;
}

static int64_t statfs_socket(const struct x_in *in)
{
	struct file_statfs fs = { .type = SOCKFS_MAGIC, .block_bytes = 4096, .name_max = FS_NAME_MAX };

	return window_write(in->id, 0, 0, &fs, sizeof(fs)) < (int64_t)sizeof(fs) ? -X_EFAULT : 0;
}

static int64_t other_call(struct unix_socket *s, const struct x_in *in)
{
	switch (in->msg.op) {
	case FILE_STAT: return stat_socket(s, in);
	case FILE_STATFS: return statfs_socket(in);
	case FILE_IOCTL: return unix_ioctl(s, in);
	case FILE_SETATTR: return 0;
	default: return file_default(in->msg.op);
	}
}

/* Handles that come with a call are the sender's descriptors, or nothing. */
void unix_call(const struct x_in *in)
{
	struct unix_socket *s = unix_find(in->object);

	if (!s || (in->msg.op != SOCK_SEND && in->msg.op != SOCK_ATTACH))
		in_close_handles(in);
	if (!s) {
		out_status(in->id, -X_EBADF);
		return;
	}
	if ((in->msg.op == FILE_READ || in->msg.op == FILE_WRITE) && in->msg.status & FILE_AT) {
		out_status(in->id, -X_ESPIPE);
		return;
	}
	switch (in->msg.op) {
	case FILE_READ: case SOCK_RECV: unix_recv(s, in); break;
	case FILE_WRITE: case SOCK_SEND: unix_send(s, in); break;
	case SOCK_BIND: unix_bind(s, in); break;
	case SOCK_CONNECT: unix_connect(s, in); break;
	case SOCK_LISTEN: unix_listen(s, in); break;
	case SOCK_ACCEPT: unix_accept(s, in); break;
	case SOCK_SHUTDOWN: unix_shutdown(s, in); break;
	case SOCK_NAME: answer_name(s, in); break;
	case SOCK_GETOPT: unix_getopt(s, in); break;
	case SOCK_SETOPT: unix_setopt(s, in); break;
	case SOCK_ATTACH: unix_attach(s, in); break;
	case SOCK_TAKE: unix_take(s, in); break;
	default: out_status(in->id, other_call(s, in)); break;
	}
}

/* ---- making ---- */

static int64_t type_of(const struct x_in *in)
{
	uint32_t type = (uint32_t)(in->msg.a[0] >> 32), protocol = (uint32_t)in->msg.a[1];

	if (protocol && protocol != UNIX_FAMILY)
		return -X_EPROTONOSUPPORT;
	if (type == 3)          /* SOCK_RAW is taken for SOCK_DGRAM, as Linux does */
		return TYPE_DGRAM;
	return type == TYPE_STREAM || type == TYPE_DGRAM || type == TYPE_SEQPACKET ? (int64_t)type : -X_ESOCKTNOSUPPORT;
}

static uint32_t new_flags(const struct x_in *in)
{
	return in->msg.a[1] >> 32 & SOCK_F_NONBLOCK ? F_O_NONBLOCK : 0;
}

int64_t unix_create(const struct x_in *in)
{
	int64_t type = type_of(in), handle;
	struct unix_socket *s;

	if (type < 0)
		return type;
	s = unix_new((uint8_t)type, in->account);
	if (!s)
		return -X_ENFILE;
	handle = unix_mint(s, new_flags(in));
	if (handle < 0)
		forget(s);
	return handle;
}

static void join(struct unix_socket *a, struct unix_socket *b)
{
	a->peer = unix_index(b);
	a->peer_id = b->id;
	a->peer_creds = b->creds;
	a->state = UNIX_CONNECTED;
}

void unix_create_pair(const struct x_in *in)
{
	int64_t type = type_of(in), first, second;
	struct unix_socket *a = type < 0 ? NULL : unix_new((uint8_t)type, in->account);
	struct unix_socket *b = a ? unix_new((uint8_t)type, in->account) : NULL;
	struct x_out *out;

	if (!b) {
		if (a)
			forget(a);
		out_status(in->id, type < 0 ? type : -X_ENFILE);
		return;
	}
	join(a, b);
	join(b, a);
	first = unix_mint(a, new_flags(in));
	second = first < 0 ? first : unix_mint(b, new_flags(in));
	if (second < 0) {
		forget(b);
		if (first < 0)
			forget(a);
		else    /* its closure frees it */
			out_close((x_handle_t)first);
		out_status(in->id, second);
		return;
	}
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)first;
	out->handles[1] = (x_handle_t)second;
	out->handle_count = 2;
}
