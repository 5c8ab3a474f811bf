/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring: what a request does. Most are system calls with their arguments in other
 * places; those that might wait (the `ready` of their entry) may not (nowait in pers.h), and
 * are repeated when the file is ready. Files with a position are read and written by
 * calls started at the ring's port, connections made so, too.
 */
#include "personality/linux/socket.h"
#include "personality/linux/uring.h"

#define MSG_WAITALL  0x100u
#define MSG_DONTWAIT 0x40u
#define RWF_HIPRI    1u
#define RWF_DSYNC    2u
#define RWF_SYNC     4u
#define RWF_NOWAIT   8u

/* Where an argument of the system call comes from. */
enum from { NOTHING, FD, ADDR, LEN, OFF, FLAGS, THE_FILE, NO_WAIT /* FLAGS | MSG_DONTWAIT */ };

/* Parts of the entry that must be zero. */
enum { NO_ADDR = 1, NO_LEN = 2, NO_OFF = 4, NO_BUFFER = 8, NO_INDEX = 16, NO_FLAGS = 32, NO_IOPRIO = 64, NO_FIXED = 128 };
#define NO_REST (NO_BUFFER | NO_INDEX | NO_IOPRIO)

struct op {
	bool known, on_file;
	uint8_t zero, ready;
	sys_fn *fn;
	uint8_t arg[6];
};

static const struct op ops[IORING_OP_COUNT] = {
	[IORING_OP_NOP] = { .known = true },
	[IORING_OP_READ] = { true, true, NO_INDEX, X_READY_IN, linux_read, { THE_FILE, ADDR, LEN } },
	[IORING_OP_WRITE] = { true, true, NO_INDEX, X_READY_OUT, linux_write, { THE_FILE, ADDR, LEN } },
	[IORING_OP_READ_FIXED] = { true, true, NO_INDEX, X_READY_IN, linux_read, { THE_FILE, ADDR, LEN } },
	[IORING_OP_WRITE_FIXED] = { true, true, NO_INDEX, X_READY_OUT, linux_write, { THE_FILE, ADDR, LEN } },
	[IORING_OP_READV] = { true, true, NO_INDEX, X_READY_IN, linux_readv, { THE_FILE, ADDR, LEN } },
	[IORING_OP_WRITEV] = { true, true, NO_INDEX, X_READY_OUT, linux_writev, { THE_FILE, ADDR, LEN } },
	[IORING_OP_FSYNC] = { true, true, NO_ADDR | NO_REST, 0, NULL, { 0 } },
	[IORING_OP_POLL_ADD] = { true, true, NO_OFF | NO_ADDR | NO_REST, 0, NULL, { 0 } },
	[IORING_OP_POLL_REMOVE] = { true, false, NO_REST | NO_FIXED, 0, NULL, { 0 } },
	[IORING_OP_SYNC_FILE_RANGE] = { true, true, NO_ADDR | NO_REST, 0, linux_sync_file_range, { THE_FILE, OFF, LEN, FLAGS } },
	[IORING_OP_SENDMSG] = { true, true, NO_OFF | NO_INDEX | NO_IOPRIO, X_READY_OUT, linux_sendmsg, { THE_FILE, ADDR, NO_WAIT } },
	[IORING_OP_RECVMSG] = { true, true, NO_OFF | NO_INDEX | NO_IOPRIO, X_READY_IN, linux_recvmsg, { THE_FILE, ADDR, NO_WAIT } },
	[IORING_OP_TIMEOUT] = { true, false, NO_REST | NO_FIXED, 0, NULL, { 0 } },
	[IORING_OP_TIMEOUT_REMOVE] = { true, false, NO_LEN | NO_REST | NO_FIXED, 0, NULL, { 0 } },
	[IORING_OP_LINK_TIMEOUT] = { true, false, NO_OFF | NO_REST | NO_FIXED, 0, NULL, { 0 } },
	[IORING_OP_ASYNC_CANCEL] = { true, false, NO_OFF | NO_INDEX, 0, NULL, { 0 } },
	[IORING_OP_ACCEPT] = { true, true, NO_LEN | NO_BUFFER | NO_IOPRIO, X_READY_IN, linux_accept4, { THE_FILE, ADDR, OFF, FLAGS } },
	[IORING_OP_CONNECT] = { true, true, NO_LEN | NO_FLAGS | NO_REST, 0, NULL, { 0 } },
	[IORING_OP_FALLOCATE] = { true, true, NO_FLAGS | NO_REST, 0, linux_fallocate, { THE_FILE, LEN, OFF, ADDR } },
	[IORING_OP_OPENAT] = { true, false, NO_BUFFER | NO_IOPRIO | NO_FIXED, 0, linux_openat, { FD, ADDR, FLAGS, LEN } },
	[IORING_OP_OPENAT2] = { true, false, NO_BUFFER | NO_IOPRIO | NO_FIXED, 0, linux_openat2, { FD, ADDR, OFF, LEN } },
	[IORING_OP_CLOSE] = { true, false, NO_ADDR | NO_LEN | NO_OFF | NO_FLAGS | NO_BUFFER | NO_IOPRIO | NO_FIXED, 0, linux_close, { FD } },
	[IORING_OP_STATX] = { true, false, NO_REST | NO_FIXED, 0, linux_statx, { FD, ADDR, FLAGS, LEN, OFF } },
	[IORING_OP_FILES_UPDATE] = { true, false, NO_FLAGS | NO_INDEX | NO_IOPRIO | NO_FIXED, 0, NULL, { 0 } },
	[IORING_OP_FADVISE] = { true, true, NO_ADDR | NO_REST, 0, linux_fadvise64, { THE_FILE, OFF, LEN, FLAGS } },
	[IORING_OP_MADVISE] = { true, false, NO_OFF | NO_REST, 0, linux_madvise, { ADDR, LEN, FLAGS } },
	[IORING_OP_SEND] = { true, true, NO_OFF | NO_INDEX | NO_IOPRIO, X_READY_OUT, linux_sendto, { THE_FILE, ADDR, LEN, NO_WAIT } },
	[IORING_OP_RECV] = { true, true, NO_OFF | NO_INDEX | NO_IOPRIO, X_READY_IN, linux_recvfrom, { THE_FILE, ADDR, LEN, NO_WAIT } },
	[IORING_OP_EPOLL_CTL] = { true, false, NO_REST | NO_FLAGS | NO_FIXED, 0, linux_epoll_ctl, { FD, LEN, OFF, ADDR } },
	[IORING_OP_SHUTDOWN] = { true, true, NO_OFF | NO_ADDR | NO_FLAGS | NO_REST, 0, linux_shutdown, { THE_FILE, LEN } },
	[IORING_OP_RENAMEAT] = { true, false, NO_REST | NO_FIXED, 0, linux_renameat2, { FD, ADDR, LEN, OFF, FLAGS } },
	[IORING_OP_UNLINKAT] = { true, false, NO_OFF | NO_LEN | NO_REST | NO_FIXED, 0, linux_unlinkat, { FD, ADDR, FLAGS } },
	[IORING_OP_MKDIRAT] = { true, false, NO_OFF | NO_FLAGS | NO_REST | NO_FIXED, 0, linux_mkdirat, { FD, ADDR, LEN } },
	[IORING_OP_SYMLINKAT] = { true, false, NO_LEN | NO_FLAGS | NO_REST | NO_FIXED, 0, linux_symlinkat, { ADDR, FD, OFF } },
	[IORING_OP_LINKAT] = { true, false, NO_REST | NO_FIXED, 0, linux_linkat, { FD, ADDR, LEN, OFF, FLAGS } },
	[IORING_OP_SOCKET] = { true, false, NO_ADDR | NO_FLAGS | NO_BUFFER | NO_IOPRIO, 0, linux_socket, { FD, OFF, LEN } },
};

bool uring_can(uint32_t opcode) { return opcode < IORING_OP_COUNT && ops[opcode].known; }

/* What is wrong with an entry before it is looked at closely: 0 or -X_EINVAL. */
int64_t uring_check(const struct uring_sqe *e)
{
	const uint32_t flags = IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_CQE_SKIP;
	uint8_t zero;

	if (!uring_can(e->opcode) || e->flags & ~flags || e->personality)
		return -X_EINVAL;
	zero = ops[e->opcode].zero;
	if (zero & NO_FIXED && e->flags & IOSQE_FIXED_FILE)
		return e->opcode == IORING_OP_OPENAT || e->opcode == IORING_OP_OPENAT2 || e->opcode == IORING_OP_CLOSE ||
		       e->opcode == IORING_OP_STATX ? -X_EBADF : -X_EINVAL;
	return (zero & NO_ADDR && e->addr) || (zero & NO_LEN && e->len) || (zero & NO_OFF && e->off) ||
	       (zero & NO_BUFFER && e->buf_index) || (zero & NO_INDEX && e->file_index) ||
	       (zero & NO_FLAGS && e->op_flags) || (zero & NO_IOPRIO && e->ioprio) ? -X_EINVAL : 0;
}

/* ---------------------------------------------------------------- system calls */

static uint64_t argument(const struct uring_request *r, enum from from)
{
	const struct uring_sqe *e = &r->sqe;

	switch (from) {
	case FD: return (uint64_t)(int64_t)e->fd;
	case ADDR: return e->addr + (r->done && e->opcode == IORING_OP_RECV ? r->done : 0);
	case LEN: return e->len - (uint32_t)r->done;
	case OFF: return e->off;
	case FLAGS: return e->op_flags;
	case THE_FILE: return r->file;
	case NO_WAIT: return (e->op_flags & ~MSG_WAITALL) | MSG_DONTWAIT;
	default: return 0;
	}
}

static int64_t system_call(struct uring_run *run, struct uring_request *r, sys_fn *fn, const uint8_t *from)
{
	struct pers_thread *t = run->thread;
	struct sys s = { .frame = (struct x_upcall *)((PERS_STACK_TOP(t->slot) - sizeof(struct x_upcall)) & ~15ull), .thread = t };
	int64_t result;

	for (uint32_t i = 0; i < 6; i++)
		s.a[i] = argument(r, from[i]);
	t->file = r->file;
	t->nowait = ops[r->sqe.opcode].ready != 0;
	result = fn(&s);
	t->file = 0;
	t->nowait = false;
	return result <= -RESTART_SYS ? -X_EINTR : result;
}

/* Which of these levels the file has now; what cannot be waited for has all. */
static int64_t ready_now(x_handle_t file, uint32_t wanted)
{
	static const uint64_t all = ~0ull;
	struct x_wait_item item = { .handle = file, .mask = wanted };
	int64_t n = x_wait(&item, 1, 0, &all);

	return n > 0 ? item.ready : n == -X_EWRONGTYPE ? wanted : n == -X_EBADF ? n : 0;
}

static bool whole(const struct uring_request *r)
{
	return r->sqe.opcode == IORING_OP_RECV && r->sqe.op_flags & MSG_WAITALL;
}

/* These can be asked not to wait. */
static bool on_socket(const struct uring_request *r)
{
	switch (r->sqe.opcode) {
	case IORING_OP_SEND: case IORING_OP_RECV: case IORING_OP_SENDMSG: case IORING_OP_RECVMSG: case IORING_OP_ACCEPT:
		return true;
	default:
		return false;
	}
}

/* As long as it is ready; then it waits again. */
static int64_t try_call(struct uring_run *run, struct uring_request *r)
{
	const struct op *op = &ops[r->sqe.opcode];
	int64_t result;

	for (;;) {
		int64_t ready = on_socket(r) ? op->ready : ready_now(r->file, op->ready);

		if (ready < 0)
			return ready;
		result = ready ? system_call(run, r, op->fn, op->arg) : -X_EAGAIN;
		if (result > 0 && whole(r) && (uint64_t)result < r->sqe.len - r->done) {
			r->done += (uint64_t)result;
			continue;
		}
		if (result != -X_EAGAIN)
			break;
		if (on_socket(r) && r->sqe.opcode != IORING_OP_ACCEPT && r->sqe.op_flags & MSG_DONTWAIT)
			break;
		return uring_arm(run, r, op->ready, X_FOREVER);
	}
	return r->done && result <= 0 ? (int64_t)r->done : result < 0 ? result : result + (int64_t)r->done;
}

/* ------------------------------------------------------------- reads and writes */

static bool writes(const struct uring_request *r)
{
	return ops[r->sqe.opcode].ready == X_READY_OUT;
}

static int64_t start_part(struct uring_run *run, struct uring_request *r)
{
	uint64_t left = r->bytes - r->done;
	struct x_out out = { .target = r->file, .win_count = 1 };

	out.msg = (struct x_msg){ .op = writes(r) ? FILE_WRITE : FILE_READ, .status = job_flags() | FILE_AT, .a = { r->sqe.off + r->done } };
	out.win[0] = (struct x_window){ r->buf + r->done, left < X_WINDOW_MAX ? (uint32_t)left : X_WINDOW_MAX,
					writes(r) ? X_WIN_READ : X_WIN_WRITE };
	return uring_start_call(run, r, &out);
}

static int64_t start_sync(struct uring_run *run, struct uring_request *r, bool data_only)
{
	struct x_out out = { .target = r->file, .msg = { .op = FILE_SYNC, .a = { data_only } } };

	r->syncing = true;
	return uring_start_call(run, r, &out);
}

/* One buffer at an offset of a file. */
static int64_t read_or_write(struct uring_run *run, struct uring_request *r)
{
	struct sys s = { .thread = run->thread };
	int64_t error = 0;

	if ((int64_t)r->sqe.off < 0)
		return -X_EINVAL;
	if (r->bytes > 0x7ffff000)
		r->bytes = 0x7ffff000;
	if (!user_range(r->buf, r->bytes) || user_probe(r->buf, r->bytes, !writes(r)))
		return -X_EFAULT;
	if (writes(r))
		error = below_size_limit(&s, r->file, (int64_t)r->sqe.off, &r->bytes);
	return error ? error : start_part(run, r);
}

static int64_t transfer_begins(struct uring_run *run, struct uring_request *r)
{
	static const uint8_t with_offset[6] = { THE_FILE, ADDR, LEN, OFF };
	bool vector = r->sqe.opcode == IORING_OP_READV || r->sqe.opcode == IORING_OP_WRITEV;
	int64_t flags = x_object_ctl(r->file, X_OBJ_GET_FLAGS, 0), error;
	struct linux_iovec v;

	if (flags < 0)
		return flags == -X_EWRONGTYPE ? -X_EINVAL : -X_EBADF;
	if (flags & F_O_PATH || ((flags & F_O_ACCMODE) != F_O_RDWR && (flags & F_O_ACCMODE) != (writes(r) ? F_O_WRONLY : F_O_RDONLY)))
		return -X_EBADF;
	if (r->sqe.op_flags & ~(RWF_DSYNC | RWF_SYNC | RWF_NOWAIT))
		return r->sqe.op_flags & RWF_HIPRI ? -X_EINVAL : -X_EOPNOTSUPP;
	if (r->sqe.opcode == IORING_OP_READ_FIXED || r->sqe.opcode == IORING_OP_WRITE_FIXED) {
		error = uring_fixed_buffer(run->ring, &r->sqe);
		if (error)
			return error;
	}
	r->buf = r->sqe.addr;
	r->bytes = vector ? 0 : r->sqe.len;
	r->seekable = x_object_ctl(r->file, X_OBJ_GET_CURSOR, 0) >= 0;
	if (!r->seekable)
		return r->sqe.op_flags & RWF_NOWAIT && !ready_now(r->file, ops[r->sqe.opcode].ready) ?
		       -X_EAGAIN : try_call(run, r);
	if (vector && r->sqe.len == 1) {
		if (copy_in(&v, r->sqe.addr, sizeof(v)))
			return -X_EFAULT;
		if ((int64_t)v.len < 0)
			return -X_EINVAL;
		r->buf = v.base;
		r->bytes = v.len;
		vector = false;
	}
	if (r->sqe.off == UINT64_MAX) /* at the cursor, which there is one of */
		return system_call(run, r, ops[r->sqe.opcode].fn, ops[r->sqe.opcode].arg);
	if (vector)
		return system_call(run, r, writes(r) ? linux_pwritev : linux_preadv, with_offset);
	return read_or_write(run, r);
}

static int64_t part_answered(struct uring_run *run, struct uring_request *r, int32_t status)
{
	if (r->syncing)
		return status < 0 ? status : (int64_t)r->done;
	if (status < 0)
		return r->done ? (int64_t)r->done : linux_error(status);
	r->done += (uint64_t)status;
	if (status > 0 && r->done < r->bytes)
		return start_part(run, r);
	if (writes(r) && r->done && r->sqe.op_flags & (RWF_DSYNC | RWF_SYNC))
		return start_sync(run, r, !(r->sqe.op_flags & RWF_SYNC));
	return (int64_t)r->done;
}

/* ------------------------------------------------------------------- connections */

static int64_t connect_begins(struct uring_run *run, struct uring_request *r)
{
	struct socket_address a;
	struct x_out out = { .target = r->file };
	struct x_call c;
	int64_t error;

	if (r->sqe.off > sizeof(r->address))
		return -X_EINVAL;
	call_init(&c, SOCK_CONNECT);
	error = put_address(&c, &a, r->sqe.addr, r->sqe.off);
	if (error)
		return error;
	out.msg = c.msg;
	out.win_count = c.win_count;
	memcpy(out.win, c.win, sizeof(out.win));
	if (c.win_count) {
		memcpy(r->address, a.bytes, r->sqe.off);
		out.win[c.win_count - 1].addr = (uint64_t)r->address;
	}
	return uring_start_call(run, r, &out);
}

#define SOL_SOCKET 1u
#define SO_ERROR   4u

static int64_t connected(struct uring_request *r)
{
	int32_t error = 0;
	struct x_call c;
	int64_t n;

	call_init(&c, SOCK_GETOPT);
	c.msg.a[0] = SOL_SOCKET;
	c.msg.a[1] = SO_ERROR;
	call_window(&c, &error, sizeof(error), X_WIN_WRITE);
	n = call_plain(r->file, &c);
	return n < 0 ? n : -error;
}

/* ------------------------------------------------------------------------ all of them */

static int64_t with_new_file(struct uring *u, const struct uring_request *r, int64_t fd)
{
	bool makes = r->sqe.opcode == IORING_OP_OPENAT || r->sqe.opcode == IORING_OP_OPENAT2 ||
		     r->sqe.opcode == IORING_OP_ACCEPT || r->sqe.opcode == IORING_OP_SOCKET;

	return makes && r->sqe.file_index && fd >= 0 ? uring_install(u, r->sqe.file_index, fd) : fd;
}

static int64_t close_begins(struct uring_run *run, struct uring_request *r)
{
	struct x_handle_info info;

	if (r->sqe.file_index)
		return r->sqe.fd ? -X_EINVAL : uring_install(run->ring, r->sqe.file_index, -1);
	if (!check_fd((uint32_t)r->sqe.fd) && x_handle_info((x_handle_t)r->sqe.fd, &info) >= 0 && info.koid == run->ring->koid)
		return -X_EBADF;
	return system_call(run, r, linux_close, ops[IORING_OP_CLOSE].arg);
}

static int64_t begin(struct uring_run *run, struct uring_request *r)
{
	const struct op *op = &ops[r->sqe.opcode];

	switch (r->sqe.opcode) {
	case IORING_OP_NOP: return 0;
	case IORING_OP_READ: case IORING_OP_READV: case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE: case IORING_OP_WRITEV: case IORING_OP_WRITE_FIXED:
		return transfer_begins(run, r);
	case IORING_OP_FSYNC:
		if (r->sqe.op_flags & ~1u)
			return -X_EINVAL;
		return x_object_ctl(r->file, X_OBJ_GET_FLAGS, 0) < 0 ? -X_EBADF : start_sync(run, r, r->sqe.op_flags & 1);
	case IORING_OP_CONNECT: return connect_begins(run, r);
	case IORING_OP_POLL_ADD: return uring_poll_add(run, r);
	case IORING_OP_POLL_REMOVE: return uring_poll_remove(run->ring, &r->sqe);
	case IORING_OP_TIMEOUT: return uring_timeout(run, r);
	case IORING_OP_TIMEOUT_REMOVE: return uring_timeout_remove(run->ring, &r->sqe);
	case IORING_OP_LINK_TIMEOUT: return -X_EINVAL; /* of nothing: see begin_guarded() */
	case IORING_OP_ASYNC_CANCEL: return uring_async_cancel(run->ring, r);
	case IORING_OP_FILES_UPDATE: return uring_files_update(run->ring, r->sqe.addr, (uint32_t)r->sqe.off, r->sqe.len);
	case IORING_OP_CLOSE: return close_begins(run, r);
	default: return op->ready ? try_call(run, r) : system_call(run, r, op->fn, op->arg);
	}
}

int64_t uring_begin(struct uring_run *run, struct uring_request *r)
{
	if (r->failed)
		return r->result;
	if (ops[r->sqe.opcode].on_file) {
		r->file = r->sqe.flags & IOSQE_FIXED_FILE ? uring_fixed_file(run->ring, (uint32_t)r->sqe.fd) : (uint32_t)r->sqe.fd;
		if (!(r->sqe.flags & IOSQE_FIXED_FILE) && check_fd(r->file))
			return -X_EBADF;
		if (r->file == X_NO_HANDLE)
			return -X_EBADF;
	}
	return with_new_file(run->ring, r, begin(run, r));
}

int64_t uring_again(struct uring_run *run, struct uring_request *r, uint32_t ready)
{
	if (r->sqe.opcode == IORING_OP_CONNECT)
		return connected(r);
	if (r->sqe.opcode == IORING_OP_POLL_ADD) {
		struct uring *u = run->ring;
		uint32_t happened = (uint16_t)poll_happened(ready, (int16_t)r->sqe.op_flags);

		if (!(r->sqe.len & 1)) /* IORING_POLL_ADD_MULTI */
			return happened;
		uring_lock(u);
		uring_post(u, r, (int32_t)happened, IORING_CQE_F_MORE);
		r->state = URING_ARMED;
		uring_unlock(u);
		return URING_PENDING;
	}
	return with_new_file(run->ring, r, try_call(run, r));
}

int64_t uring_answered(struct uring_run *run, struct uring_request *r, int32_t status)
{
	uring_lock(run->ring);
	run->ring->started--;
	r->state = URING_RUNNING;
	uring_unlock(run->ring);
	if (r->sqe.opcode == IORING_OP_CONNECT) {
		if (status == -X_EINPROGRESS || status == -X_EALREADY)
			return uring_arm(run, r, X_READY_OUT, X_FOREVER);
		return r->cancelled && status == -X_EINTR ? -X_ECANCELED : socket_result(linux_error(status));
	}
	if (r->sqe.opcode == IORING_OP_FSYNC)
		return status < 0 ? linux_error(status) : 0;
	return part_answered(run, r, status);
}
