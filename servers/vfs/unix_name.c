/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of UNIX sockets: parsing, bind, and finding who has one.
 *
 * A name in the filesystem is a socket node made by bind; which socket it is
 * says the inode, which is held while the socket lives. A name that begins
 * with a zero byte is abstract: it is in no directory and ends with its socket.
 */

#include "lib/c/stdio.h"
#include "servers/vfs/unix.h"

enum { NAMES_MAX = UNIX_MAX, PATH_AT = 2 };

static struct unix_name names[NAMES_MAX];       /* index + 1 elsewhere */

const struct unix_name *unix_name_at(uint16_t name)
{
	return name ? &names[name - 1] : NULL;
}

uint16_t unix_name_share(uint16_t name)
{
	if (name)
		names[name - 1].refs++;
	return name;
}

void unix_name_drop(uint16_t name)
{
	if (name)
		names[name - 1].refs--;
}

static uint16_t name_new(const uint8_t *address, uint32_t bytes)
{
	for (uint32_t i = 0; i < NAMES_MAX; i++) {
		if (names[i].refs)
			continue;
		names[i] = (struct unix_name){ .refs = 1, .bytes = bytes };
		memcpy(names[i].address, address, bytes);
		return (uint16_t)(i + 1);
	}
	return 0;
}

static struct unix_socket *find_abstract(const uint8_t *address, uint32_t bytes)
{
	for_each_unix(s) {
		const struct unix_name *n = s->state != UNIX_FREE && s->has_object ? unix_name_at(s->name) : NULL;

		if (n && !s->place.inode && n->bytes == bytes && !memcmp(n->address, address, bytes) &&
		    (s->state != UNIX_CONNECTED || !unix_connects(s)))
			return s;
	}
	return NULL;
}

static struct unix_socket *find_at(struct place p)
{
	for_each_unix(s)
		if (s->state != UNIX_FREE && s->place.inode && place_equal(s->place, p))
			return s;
	return NULL;
}

/* ---- parsing ---- */

struct address {
	uint8_t bytes[UNIX_ADDRESS_MAX + 1]; /* a path ends with NUL */
	uint32_t length;
	bool path;
};

static int64_t take_address(const struct x_in *in, struct address *a)
{
	uint64_t length = in->msg.a[1];
	uint16_t family;

	memset(a, 0, sizeof(*a));
	if (length < PATH_AT || length > UNIX_ADDRESS_MAX)
		return -X_EINVAL;
	if (length <= SOCK_ADDRESS_INLINE)
		memcpy(a->bytes, &in->msg.a[2], length);
	else if (window_read(in->id, SOCK_ADDRESS_WINDOW, 0, a->bytes, length) != (int64_t)length)
		return -X_EFAULT;
	memcpy(&family, a->bytes, sizeof(family));
	if (family != UNIX_FAMILY)
		return -X_EINVAL;
	a->length = (uint32_t)length;
	a->path = length > PATH_AT && a->bytes[PATH_AT];
	if (a->path)
		a->length = PATH_AT + (uint32_t)strlen((const char *)a->bytes + PATH_AT) + 1;
	return 0;
}

/* ---- bind ---- */

/* An abstract name of five digits that nobody has. */
static int64_t choose(struct address *a)
{
	static const char digits[] = "0123456789abcdef";
	static uint32_t next;

	a->length = PATH_AT + 6;
	for (uint32_t tries = 0; tries <= UNIX_MAX; tries++) {
		next = (next + 1) & 0xfffff;
		for (unsigned i = 0; i < 5; i++)
			a->bytes[PATH_AT + 1 + i] = (uint8_t)digits[next >> (16 - 4 * i) & 15];
		if (!find_abstract(a->bytes, a->length))
			return 0;
	}
	return -X_ENOSPC;
}

static int64_t bind_abstract(struct unix_socket *s, struct address *a)
{
	int64_t status = a->length == PATH_AT ? choose(a) : 0;

	if (status)
		return status;
	if (find_abstract(a->bytes, a->length))
		return -X_EADDRINUSE;
	s->name = name_new(a->bytes, a->length);
	return s->name ? 0 : -X_ENOBUFS;
}

/* A request for the path of an address; NULL: answered. */
static struct request *path_request(const struct x_in *in, const struct address *a)
{
	const struct session *session = session_of(in->account);
	struct request *r;

	if (!session) {
		in_close_handles(in);
		out_status(in->id, -X_EPERM);
		return NULL;
	}
	r = request_new(in, session);
	if (!r)
		return NULL;
	r->name_bytes = a->length - PATH_AT - 1;
	memcpy(r->path, a->bytes + PATH_AT, r->name_bytes);
	memcpy(r->name, a->bytes + PATH_AT, r->name_bytes);
	return r;
}

static void bind_walk(struct request *r, uint8_t stage)
{
	const struct session *session = session_find(r->session);

	r->stage = stage;
	memset(&r->walk, 0, sizeof(r->walk));
	memcpy(r->path, r->name, r->name_bytes);
	r->walk.op = stage ? FS_LOOKUP : FS_MKNOD;
	r->walk.flags = stage ? FS_HOLD | FS_NOFOLLOW : 0;
	r->walk.mode = F_S_IFSOCK | (0777 & ~(session ? session->umask : 0));
	walk_begin(r, r->name_bytes, -1);
}

void unix_bind(struct unix_socket *s, const struct x_in *in)
{
	struct address a;
	struct request *r;
	int64_t status = take_address(in, &a);

	if (!status && s->name)
		status = -X_EINVAL;
	if (status || !a.path) {
		out_status(in->id, status ? status : bind_abstract(s, &a));
		return;
	}
	r = path_request(in, &a);
	if (!r)
		return;
	r->in.handle_count = 0; /* closed already */
	if (path_last(r->path, r->name_bytes) != LAST_NAME)
		request_finish(r, -X_EADDRINUSE);
	else
		bind_walk(r, 0);
}

static int64_t bound(struct request *r, struct place p)
{
	struct unix_socket *s = unix_find(r->in.object);
	struct address a;
	int64_t status = take_address(&r->in, &a);

	if (!s || s->name)
		return -X_EINVAL;
	if (status)
		return status;
	s->name = name_new(a.bytes, a.length);
	if (!s->name)
		return -X_ENOBUFS;
	hold_share(p);
	s->place = p;
	return 0;
}

void unix_bind_walked(struct request *r)
{
	int64_t status = r->call.status;
	struct place p = place_in_fs(walk_place(r));

	if (status == -X_EEXIST && r->stage == 0)
		status = -X_EADDRINUSE;
	if (status < 0) {
		request_finish(r, status);
	} else if (r->stage == 0) {
		bind_walk(r, 1);
	} else if (!hold_adopt(p)) {
		request_finish(r, -X_ENFILE);
	} else {
		request_hold(r, p);
		request_finish(r, bound(r, p));
	}
}

/* ---- finding ---- */

int64_t unix_lookup(const struct x_in *in, struct unix_socket **to)
{
	struct address a;
	struct request *r;
	int64_t status = take_address(in, &a);

	if (status)
		return status;
	if (a.length == PATH_AT)
		return -X_EINVAL;
	if (!a.path) {
		*to = find_abstract(a.bytes, a.length);
		return *to ? 0 : -X_ECONNREFUSED;
	}
	r = path_request(in, &a);
	if (!r)
		return 1;
	if (in->msg.op != SOCK_SEND)
		r->in.handle_count = 0; /* closed already */
	r->walk.op = FS_LOOKUP;
	walk_begin(r, r->name_bytes, -1);
	return 1;
}

void unix_lookup_walked(struct request *r)
{
	struct unix_socket *to = NULL;
	struct file_attr attr;
	struct x_in in = r->in;
	int64_t status = r->call.status;

	if (status >= 0) {
		memcpy(&attr, r->text, sizeof(attr));
		if ((attr.mode & F_S_IFMT) == F_S_IFSOCK)
			to = find_at(place_in_fs(walk_place(r)));
		status = !creds_allow(&r->who, attr.mode, attr.uid, attr.gid, 2) ? -X_EACCES :
			 to ? 0 : -X_ECONNREFUSED;
	}
	if (r->cancelled)
		in.status_flags |= UNIX_HURRIED;
	r->in.handle_count = 0;
	request_drop(r);
	unix_found(&in, status, to);
}

/* ---- /proc/net/unix ---- */

/* The line of a socket: its bytes. Abstract names begin with '@', as Linux shows them. */
static size_t add_line(char *line, size_t size, const struct unix_socket *s)
{
	enum { ACCEPTS = 0x10000, UNCONNECTED = 1, CONNECTED = 3 };
	size_t n = (size_t)snprintf(line, size, "%016x: %08x %08x %08x %04x %02x %5llu", 0u, 2u, 0u,
				    s->state == UNIX_LISTENING ? ACCEPTS : 0u, (unsigned)s->type,
				    s->state == UNIX_CONNECTED ? CONNECTED : UNCONNECTED,
				    (unsigned long long)(s->id & 0x00ffffffffffffffull));

	if (s->name) {
		const struct unix_name *name = &names[s->name - 1];

		line[n++] = ' ';
		for (uint32_t i = sizeof(uint16_t); i < name->bytes && n + 1 < size; i++) {
			if (name->address[i] == '\0' && name->address[sizeof(uint16_t)] != '\0')
				break;
			line[n++] = name->address[i] ? (char)name->address[i] : '@';
		}
	}
	line[n++] = '\n';
	return n;
}

int64_t unix_list(char *text, size_t bytes)
{
	size_t length = (size_t)snprintf(text, bytes, "Num       RefCount Protocol Flags    Type St Inode Path\n");

	for (uint32_t i = 0; i < UNIX_MAX; i++) {
		char line[96 + UNIX_ADDRESS_MAX];
		size_t n;

		if (unix_sockets[i].state == UNIX_FREE || !unix_sockets[i].has_object)
			continue;
		n = add_line(line, sizeof(line), &unix_sockets[i]);
		if (n > bytes - length)
			break;
		memcpy(text + length, line, n);
		length += n;
	}
	return (int64_t)length;
}
