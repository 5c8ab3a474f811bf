/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's native asynchronous I/O (io_setup and so on). A context is a port of
 * this process: a request is a call started there, its answer comes to the port
 * and is fetched by io_getevents. So a single thread has many under way.
 *
 * The context's id is the address of its memory, as on Linux, whose C library
 * looks for a ring of events there: ours has no magic number, so it asks us. The
 * memory is a header and a slot for each request that can be under way or has
 * ended and was not fetched.
 *
 * FREE -> STARTED -> FREE, or (done at once: vectors) FREE -> ENDED -> FREE
 */
#include "personality/linux/pers.h"

#define EVENTS_MAX  65536u    /* of a context; Linux's aio-max-nr */
#define BATCH       16u       /* started, or fetched, at once */
#define HEADER_BYTES 64u
#define UNDER_WAY_MAX 1000u    /* of a context: beyond it EAGAIN */

enum { IOCB_PREAD, IOCB_PWRITE, IOCB_FSYNC, IOCB_FDSYNC, IOCB_NOOP = 6, IOCB_PREADV, IOCB_PWRITEV };
#define IOCB_FLAG_RESFD 1u
#define RWF_HIPRI       1u

struct linux_iocb {
	uint64_t data;
	uint32_t key, rw_flags;
	uint16_t opcode;
	int16_t priority;
	uint32_t fd;
	uint64_t buf, bytes;
	int64_t offset;
	uint64_t reserved;
	uint32_t flags, resfd;
};
_Static_assert(sizeof(struct linux_iocb) == 64, "struct linux_iocb");

struct linux_io_event { uint64_t data, obj; int64_t res, res2; };

enum slot_state { SLOT_FREE, SLOT_STARTED, SLOT_ENDED };

struct slot {
	uint32_t state;          /* enum slot_state; taken and given back by compare and exchange */
	uint32_t op, fd;         /* FILE_READ, FILE_WRITE, FILE_SYNC */
	uint32_t bell;           /* the eventfd to be told of its end, + 1; 0: none */
	bool seekable;
	uint64_t data, obj;      /* of the iocb; its address */
	uint64_t buf, bytes, offset;
	int64_t done;            /* bytes so far; ENDED: the result */
};

static struct slot *slots_of(const struct aio_context *c)
{
	return (struct slot *)(c->address + HEADER_BYTES);
}

static uint64_t memory_bytes(uint32_t count)
{
	return HEADER_BYTES + (uint64_t)count * sizeof(struct slot);
}

static struct aio_context *context_of(uint64_t id)
{
	for (uint32_t i = 0; id && i < AIO_CONTEXTS; i++)
		if (process.aio[i].address == id)
			return &process.aio[i];
	return NULL;
}

/* The child has none of its parent's: what is under way is the parent's. */
void aio_after_fork(void)
{
	for (uint32_t i = 0; i < AIO_CONTEXTS; i++)
		if (process.aio[i].address)
			x_mem_unmap(X_SELF, process.aio[i].address, memory_bytes(process.aio[i].count));
	memset(process.aio, 0, sizeof(process.aio));
}

/* ------------------------------------------------------------------ contexts */

static int64_t context_make(struct aio_context *c, uint32_t count)
{
	struct x_mem_map map = {
		.space = X_SELF, .memory = X_NO_HANDLE, .len = memory_bytes(count), .prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t port = x_port_create(), at;

	if (port < 0)
		return -X_EAGAIN;
	at = x_mem_map(&map);
	if (at < 0) {
		x_handle_close((x_handle_t)port);
		return -X_ENOMEM;
	}
	*c = (struct aio_context){ .address = (uint64_t)at, .port = (x_handle_t)port, .count = count };
	return 0;
}

int64_t linux_io_setup(struct sys *s)
{
	uint32_t count = (uint32_t)s->a[0], i = 0;
	uint64_t id;
	int64_t error;

	if (copy_in(&id, s->a[1], sizeof(id)))
		return -X_EFAULT;
	if (id || !count || (int32_t)count < 0)
		return -X_EINVAL;
	if (count > EVENTS_MAX)
		return -X_EAGAIN;
	process_lock();
	while (i < AIO_CONTEXTS && process.aio[i].address)
		i++;
	error = i < AIO_CONTEXTS ? context_make(&process.aio[i], count) : -X_EAGAIN;
	id = i < AIO_CONTEXTS ? process.aio[i].address : 0;
	process_unlock();
	if (!error && copy_out(s->a[1], &id, sizeof(id))) {
		s->a[0] = id;
		linux_io_destroy(s);
		return -X_EFAULT;
	}
	return error;
}

/* ---------------------------------------------------------------- submitting */

static struct slot *slot_get(struct aio_context *c)
{
	struct slot *slots = slots_of(c);

	for (uint32_t i = 0; i < c->count; i++) {
		uint32_t at = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED) % c->count, unused = SLOT_FREE;

		if (__atomic_compare_exchange_n(&slots[at].state, &unused, SLOT_STARTED, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return &slots[at];
	}
	return NULL;
}

static void slot_put(struct slot *slot)
{
	__atomic_store_n(&slot->state, SLOT_FREE, __ATOMIC_RELEASE);
}

/* What is next of it, as an outbox entry. */
static void fill_start(const struct aio_context *c, const struct slot *slot, struct x_out *out)
{
	uint64_t left = slot->bytes - (uint64_t)slot->done;

	out->kind = X_OUT_START;
	out->flags = 0;
	out->id = (uint64_t)(slot - slots_of(c));
	out->target = slot->fd;
	out->handle_count = 0;
	out->msg = (struct x_msg){ .op = slot->op, .status = job_flags() };
	out->win_count = slot->op != FILE_SYNC;
	if (!out->win_count) {
		out->msg.a[0] = slot->offset;
		return;
	}
	if (slot->seekable) {
		out->msg.status |= FILE_AT;
		out->msg.a[0] = slot->offset + (uint64_t)slot->done;
	}
	out->win[0] = (struct x_window){
		slot->buf + (uint64_t)slot->done, left < X_WINDOW_MAX ? (uint32_t)left : X_WINDOW_MAX,
		slot->op == FILE_READ ? X_WIN_WRITE : X_WIN_READ,
	};
}

static int64_t check_iocb(const struct linux_iocb *i)
{
	struct file_attr attr;

	if (i->reserved || (int64_t)i->bytes < 0)
		return -X_EINVAL;
	if (i->flags & IOCB_FLAG_RESFD) { /* what is no file at all may be an eventfd */
		int64_t error = fd_attributes(i->resfd, &attr);

		if (error || attr.mode & F_S_IFMT)
			return error ? error : -X_EINVAL;
	}
	if (i->rw_flags & ~RWF_HIPRI)
		return -X_EOPNOTSUPP;
	return 0;
}

/* The descriptor's access mode, or an error. */
static int64_t check_file(struct slot *slot, bool write)
{
	int64_t flags = check_fd(slot->fd) ? -X_EBADF : x_object_ctl(slot->fd, X_OBJ_GET_FLAGS, 0);

	if (flags < 0)
		return flags == -X_EWRONGTYPE ? -X_EINVAL : -X_EBADF;
	if ((flags & F_O_ACCMODE) != F_O_RDWR && (flags & F_O_ACCMODE) != (write ? F_O_WRONLY : F_O_RDONLY))
		return -X_EBADF;
	slot->seekable = x_object_ctl(slot->fd, X_OBJ_GET_CURSOR, 0) >= 0;
	return slot->seekable && (int64_t)slot->offset < 0 ? -X_EINVAL : 0;
}

/* Vectors are done on the spot. */
static int64_t do_vectors(struct sys *s, struct slot *slot, bool write)
{
	struct linux_iovec v;

	slot->done = 0;
	if (slot->bytes > LINUX_IOV_MAX)
		return -X_EINVAL;
	for (uint64_t i = 0; i < slot->bytes; i++) {
		int64_t n, offset = slot->seekable ? (int64_t)slot->offset + slot->done : -1;

		if (copy_in(&v, slot->buf + i * sizeof(v), sizeof(v)) || !user_range(v.base, v.len))
			return -X_EFAULT;
		n = write ? below_size_limit(s, slot->fd, offset, &v.len) : 0;
		n = n ? n : transfer_user(slot->fd, write ? FILE_WRITE : FILE_READ, v.base, v.len, offset);
		if (n < 0 && !slot->done)
			slot->done = n <= -RESTART_SYS ? -X_EINTR : n;
		else if (n > 0)
			slot->done += n;
		if (n < 0 || (uint64_t)n < v.len)
			break;
	}
	return 1;
}

/* What tells an eventfd of its end is done on the spot, too: nobody of ours is there later. */
static void do_now(struct slot *slot)
{
	struct x_call c;
	int64_t n;

	if (slot->op == FILE_SYNC) {
		call_init(&c, FILE_SYNC);
		c.msg.a[0] = slot->offset;
		n = linux_error(call_plain((x_handle_t)slot->fd, &c));
	} else {
		n = transfer_user(slot->fd, slot->op, slot->buf, slot->bytes, slot->seekable ? (int64_t)slot->offset : -1);
	}
	slot->done = n <= -RESTART_SYS ? -X_EINTR : n;
}

/* 0: to be started; 1: it has ended at once; or an error. */
static int64_t prepare(struct sys *s, struct slot *slot, const struct linux_iocb *i)
{
	bool write = i->opcode == IOCB_PWRITE || i->opcode == IOCB_PWRITEV;
	int64_t error;

	slot->fd = i->fd;
	slot->op = write ? FILE_WRITE : FILE_READ;
	slot->data = i->data;
	slot->buf = i->buf;
	slot->bytes = i->bytes;
	slot->offset = (uint64_t)i->offset;
	slot->done = 0;
	switch (i->opcode) {
	case IOCB_PREAD: case IOCB_PWRITE:
		error = check_file(slot, write);
		if (!error && !user_range(slot->buf, slot->bytes))
			error = -X_EFAULT;
		if (!error)
			error = user_probe(slot->buf, slot->bytes, !write);
		return !error && write ? below_size_limit(s, slot->fd, i->offset, &slot->bytes) : error;
	case IOCB_PREADV: case IOCB_PWRITEV:
		error = check_file(slot, write);
		return error ? error : do_vectors(s, slot, write);
	case IOCB_FSYNC: case IOCB_FDSYNC:
		slot->op = FILE_SYNC;
		slot->offset = i->opcode == IOCB_FDSYNC;
		return check_fd(slot->fd) || x_object_ctl(slot->fd, X_OBJ_GET_FLAGS, 0) < 0 ? -X_EBADF : 0;
	default:
		return -X_EINVAL;
	}
}

/* As prepare(); the slot is ours if that did not fail. */
static int64_t take(struct sys *s, struct aio_context *c, uint64_t at, struct slot **out)
{
	struct linux_iocb i;
	uint64_t address;
	uint32_t key = 0;
	int64_t result;

	if (copy_in(&address, at, sizeof(address)) || copy_in(&i, address, sizeof(i)))
		return -X_EFAULT;
	result = check_iocb(&i);
	if (result)
		return result;
	*out = __atomic_load_n(&c->under_way, __ATOMIC_RELAXED) < UNDER_WAY_MAX ? slot_get(c) : NULL;
	if (!*out)
		return -X_EAGAIN;
	if (copy_out(address + offsetof(struct linux_iocb, key), &key, sizeof(key)))
		result = -X_EFAULT;
	(*out)->obj = address;
	(*out)->bell = i.flags & IOCB_FLAG_RESFD ? i.resfd + 1 : 0;
	if (!result)
		result = prepare(s, *out, &i);
	if (!result && (*out)->bell) {
		do_now(*out);
		result = 1;
	}
	if (result < 0)
		slot_put(*out);
	return result;
}

static int64_t start(struct aio_context *c, struct x_out *out, uint32_t count)
{
	struct x_commit commit = { .out = (uintptr_t)out, .out_count = count };

	return count ? x_commit_receive(c->port, &commit) : 0;
}

static int64_t submit_batch(struct sys *s, struct aio_context *c, uint64_t at, uint32_t count)
{
	struct x_out out[BATCH];
	uint32_t started = 0, i;
	int64_t error = 0;

	for (i = 0; i < count && !error; i++) {
		struct slot *slot;
		int64_t result = take(s, c, at + i * 8, &slot);

		if (result == 0) {
			__atomic_fetch_add(&c->under_way, 1, __ATOMIC_RELAXED);
			fill_start(c, slot, &out[started++]);
		} else if (result > 0) {
			static const uint64_t one = 1;
			uint32_t bell = slot->bell;

			__atomic_fetch_add(&c->ended, 1, __ATOMIC_RELAXED);
			__atomic_store_n(&slot->state, SLOT_ENDED, __ATOMIC_RELEASE);
			if (bell)
				file_transfer(bell - 1, FILE_WRITE, (uint64_t)&one, sizeof(one), -1, FILE_NOWAIT);
		} else {
			error = result;
			break;
		}
	}
	start(c, out, started);
	return i ? (int64_t)i : error;
}

int64_t linux_io_submit(struct sys *s)
{
	struct aio_context *c = context_of(s->a[0]);
	int64_t count = (int64_t)s->a[1], done = 0;

	if (!c || count < 0)
		return -X_EINVAL;
	while (done < count) {
		uint32_t part = count - done < (int64_t)BATCH ? (uint32_t)(count - done) : BATCH;
		int64_t n = submit_batch(s, c, s->a[2] + (uint64_t)done * 8, part);

		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < part)
			break;
	}
	return done;
}

/* ------------------------------------------------------------------ fetching */

static int64_t put_event(struct aio_context *c, struct slot *slot, uint64_t to)
{
	struct linux_io_event e = { slot->data, slot->obj, slot->done, 0 };

	(void)c;
	slot_put(slot);
	return to ? copy_out(to, &e, sizeof(e)) : 0;
}

/* An answer. False: there is more of the request to do, and it was started. */
static bool answered(struct aio_context *c, struct slot *slot, int32_t status)
{
	struct x_out out;

	if (status > 0 && slot->op != FILE_SYNC)
		slot->done += status;
	if (status > 0 && slot->seekable && slot->op != FILE_SYNC && (uint64_t)slot->done < slot->bytes) {
		fill_start(c, slot, &out);
		start(c, &out, 1);
		return false;
	}
	if (status < 0 && !slot->done)
		slot->done = linux_error(status);
	__atomic_fetch_sub(&c->under_way, 1, __ATOMIC_RELAXED);
	return true;
}

/* Up to `max` events to `to` (0: nowhere); waits for the first until the deadline. */
static int64_t fetch_answers(struct aio_context *c, uint64_t to, uint32_t max, uint64_t deadline)
{
	struct x_in in[BATCH];
	struct x_commit commit = {
		.in = (uintptr_t)in, .in_max = max < BATCH ? max : BATCH, .deadline_ns = deadline,
	};
	int64_t n = x_commit_receive(c->port, &commit), got = 0, error = 0;

	for (int64_t i = 0; i < n; i++) {
		struct slot *slot = &slots_of(c)[in[i].id % c->count];

		for (uint32_t k = 0; k < in[i].handle_count; k++) /* no answer of a file has any */
			x_handle_close(in[i].handles[k]);
		if (in[i].kind == X_IN_REPLY && answered(c, slot, in[i].msg.status))
			error |= put_event(c, slot, to ? to + (uint64_t)got++ * sizeof(struct linux_io_event) : 0);
	}
	return n < 0 ? n : error ? -X_EFAULT : got;
}

static int64_t fetch_ended(struct aio_context *c, uint64_t to, uint32_t max)
{
	struct slot *slots = slots_of(c);
	int64_t got = 0;

	for (uint32_t i = 0; i < c->count && got < max && __atomic_load_n(&c->ended, __ATOMIC_RELAXED); i++) {
		uint32_t ended = SLOT_ENDED;

		if (!__atomic_compare_exchange_n(&slots[i].state, &ended, SLOT_STARTED, false, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		__atomic_fetch_sub(&c->ended, 1, __ATOMIC_RELAXED);
		if (put_event(c, &slots[i], to + (uint64_t)got++ * sizeof(struct linux_io_event)))
			return -X_EFAULT;
	}
	return got;
}

static int64_t getevents(struct sys *s, uint64_t deadline)
{
	struct aio_context *c = context_of(s->a[0]);
	int64_t least = (int64_t)s->a[1], most = (int64_t)s->a[2], got, n = 0;

	if (!c || least < 0 || most < 0 || least > most)
		return -X_EINVAL;
	if (most > EVENTS_MAX)
		most = EVENTS_MAX;
	got = fetch_ended(c, s->a[3], (uint32_t)most);
	while (got >= 0 && got < most) {
		n = fetch_answers(c, s->a[3] + (uint64_t)got * sizeof(struct linux_io_event), (uint32_t)(most - got),
				  got < least ? deadline : 0);
		if (n > 0)
			got += n;
		if (n < 0 || (n == 0 && (got >= least || (deadline != X_FOREVER && now_ns() >= deadline))))
			break;
	}
	if (got != 0)
		return got;
	return n == -X_EINTR ? -X_EINTR : n < 0 ? linux_error(n) : 0;
}

int64_t linux_io_getevents(struct sys *s)
{
	uint64_t deadline;
	int64_t error = deadline_from_timespec(s->a[4], &deadline);

	return error ? error : getevents(s, deadline);
}

int64_t linux_io_pgetevents(struct sys *s)
{
	struct { uint64_t set, bytes; } arg = { 0, 0 };
	uint64_t deadline, mask = 0;
	int64_t n = deadline_from_timespec(s->a[4], &deadline);

	if (!n && s->a[5] && copy_in(&arg, s->a[5], sizeof(arg)))
		n = -X_EFAULT;
	if (!n && arg.set)
		n = use_signal_mask(s, arg.set, arg.bytes, &mask);
	if (n)
		return n;
	if (!arg.set)
		return getevents(s, deadline);
	install_mask(s, mask);
	n = getevents(s, deadline);
	if (n == -X_EINTR)
		return wait_interrupted(s, &mask);
	install_mask(s, s->frame->mask);
	return n;
}

/* Nothing that reads or writes can be cancelled, as on Linux. */
int64_t linux_io_cancel(struct sys *s)
{
	uint32_t key;

	return copy_in(&key, s->a[1] + offsetof(struct linux_iocb, key), sizeof(key)) ? -X_EFAULT : -X_EINVAL;
}

/* Waits for what is under way: it still reaches the program's buffers. */
int64_t linux_io_destroy(struct sys *s)
{
	struct aio_context *c = context_of(s->a[0]), gone;

	if (!c)
		return -X_EINVAL;
	while (__atomic_load_n(&c->under_way, __ATOMIC_RELAXED))
		if (fetch_answers(c, 0, BATCH, now_ns() + 100000000) < 0 && !c->address)
			return -X_EINVAL; /* another thread was faster */
	process_lock();
	gone = *c;
	*c = (struct aio_context){ 0 };
	process_unlock();
	if (!gone.address)
		return -X_EINVAL;
	x_handle_close(gone.port);
	x_mem_unmap(X_SELF, gone.address, memory_bytes(gone.count));
	return 0;
}
