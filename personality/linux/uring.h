/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring (io_uring_setup(2)): what its files share.
 *
 *   uring.c       the rings: set up, mapped, entered, closed
 *   uring_run.c   the life of a request, chains, what is queued, the two helper threads
 *   uring_op.c    what a request does; uring_time.c: waiting and cancelling
 *   uring_reg.c   io_uring_register: buffers, files, eventfd, probe
 *
 * A request that needs no waiting is done where it is submitted. Reads, writes and
 * syncs of files, and connections, are calls started at a port of the ring (as in
 * aio.c); a helper thread receives the answers. Whatever waits for readiness (pipes,
 * sockets, terminals) is tried at once, and again when a wait set says so; the helper
 * who waits there also keeps the time. Both are made when first needed.
 */
#ifndef PERSONALITY_LINUX_URING_H
#define PERSONALITY_LINUX_URING_H

#include "personality/linux/pers.h"

enum uring_opcode {
	IORING_OP_NOP, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_READ_FIXED,
	IORING_OP_WRITE_FIXED, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE, IORING_OP_SYNC_FILE_RANGE,
	IORING_OP_SENDMSG, IORING_OP_RECVMSG, IORING_OP_TIMEOUT, IORING_OP_TIMEOUT_REMOVE, IORING_OP_ACCEPT,
	IORING_OP_ASYNC_CANCEL, IORING_OP_LINK_TIMEOUT, IORING_OP_CONNECT, IORING_OP_FALLOCATE,
	IORING_OP_OPENAT, IORING_OP_CLOSE, IORING_OP_FILES_UPDATE, IORING_OP_STATX, IORING_OP_READ,
	IORING_OP_WRITE, IORING_OP_FADVISE, IORING_OP_MADVISE, IORING_OP_SEND, IORING_OP_RECV,
	IORING_OP_OPENAT2, IORING_OP_EPOLL_CTL, IORING_OP_SPLICE, IORING_OP_PROVIDE_BUFFERS,
	IORING_OP_REMOVE_BUFFERS, IORING_OP_TEE, IORING_OP_SHUTDOWN, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT,
	IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT, IORING_OP_MSG_RING, IORING_OP_FSETXATTR,
	IORING_OP_SETXATTR, IORING_OP_FGETXATTR, IORING_OP_GETXATTR, IORING_OP_SOCKET, IORING_OP_COUNT
};

#define IOSQE_FIXED_FILE   1u
#define IOSQE_IO_DRAIN     2u
#define IOSQE_IO_LINK      4u
#define IOSQE_IO_HARDLINK  8u
#define IOSQE_ASYNC        16u
#define IOSQE_CQE_SKIP     64u
#define IORING_CQE_F_MORE  2u

struct uring_sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off;            /* or a second address */
	uint64_t addr;
	uint32_t len;
	uint32_t op_flags;       /* rw_flags, msg_flags, poll32_events, timeout_flags, ... */
	uint64_t user_data;
	uint16_t buf_index, personality;
	uint32_t file_index;     /* or splice_fd_in */
	uint64_t addr3, pad;
};
_Static_assert(sizeof(struct uring_sqe) == 64, "struct io_uring_sqe");

struct uring_cqe { uint64_t user_data; int32_t res; uint32_t flags; };

/* Of a ring's memory the first part. The program may write anything here: masks, sizes
 * and our own ends of the rings are kept in struct uring. */
struct uring_shared {
	struct { uint32_t value, pad[15]; } sq_head, sq_tail, cq_head, cq_tail;
	uint32_t sq_mask, cq_mask, sq_entries, cq_entries;
	uint32_t sq_dropped, sq_flags, cq_flags, cq_overflow;
	uint32_t pad[8];
	struct uring_cqe cqes[]; /* then the array of submissions */
};
#define IORING_SQ_CQ_OVERFLOW 2u

enum uring_state {
	URING_FREE,
	URING_HELD,    /* in a chain, or deferred */
	URING_RUNNING, /* somebody works on it */
	URING_STARTED, /* a call is under way */
	URING_ARMED,   /* waits for readiness or time */
	URING_DUE,     /* its result is known; uring_pump() tells it */
	URING_OVERFLOW /* ended; there was no room to tell */
};

/* Requests name each other by index + 1; 0: none. */
struct uring_request {
	struct uring_sqe sqe;
	uint32_t state;          /* enum uring_state */
	uint32_t generation;     /* of the slot */
	uint32_t next;           /* of the chain; of the free ones */
	uint32_t queue;          /* next in a queue */
	uint32_t guard, guarded; /* its link timeout; and of such a one, whom it guards */
	x_handle_t file;
	bool own_file;           /* a duplicate, in the wait set */
	bool failed;             /* not valid: `result` says why */
	bool cancelled, seekable, syncing;
	int32_t result;
	uint32_t cqe_flags;
	uint32_t wanted;         /* X_READY_*; 0: only time */
	uint64_t buf, bytes, done; /* of reads and writes: where, how much (0: not known), how much so far */
	uint64_t deadline_ns;    /* ARMED: X_FOREVER, or when it is due */
	uint32_t sequence;       /* TIMEOUT of a count: due when so many have completed */
	uint8_t address[128];    /* CONNECT's */
};

struct uring_queue { uint32_t first, last; };

struct uring {
	uint32_t lock;           /* guards all below but what is [I] fixed or [S] of who submits */
	uint32_t submitting;     /* lock of the submission side, taken first */
	uint32_t index;          /* [I] in process.rings */
	uint32_t holds;          /* guarded by process.lock: being open, helpers, calls; the last one ends it */
	uint32_t flags;          /* [I] IORING_SETUP_*; R_DISABLED goes */
	uint32_t sq_entries, cq_entries, requests_max; /* [I] */
	uint64_t rings_bytes, sqes_bytes; /* [I] */
	x_handle_t rings_memory, sqes_memory; /* [I] */
	struct uring_shared *shared; /* [I] */
	uint32_t *array;         /* [I] */
	struct uring_sqe *sqes;  /* [I] */
	x_handle_t event;        /* [I] what descriptors of the ring are: an eventfd of pm */
	uint64_t koid;           /* [I] of it */
	uint32_t fd;             /* descriptor it was last entered by */
	x_handle_t port, set;    /* 0: not made yet */
	bool closing;
	bool watched, ringing;   /* somebody may poll it; the event says "ready" */
	uint32_t sq_head;        /* [S] */
	uint32_t cq_tail, sequence;
	uint32_t posted;         /* futex: changes with each completion */
	uint32_t waiters, want;
	bool wake, bell;         /* to be done when the lock is dropped */
	x_handle_t eventfd;      /* registered; 0: none */
	uint32_t live;           /* submitted, not completed */
	uint32_t started, counted; /* calls under way; timeouts of a count */
	uint32_t free, used_end; /* request slots: chain, and how many were ever used */
	struct uring_queue due, deferred, overflow;
	uint64_t set_deadline_ns; /* until when the helper waits at the set */
	uint32_t buffer_count, file_count;
	struct linux_iovec *buffers;
	x_handle_t *files;       /* X_NO_HANDLE: empty */
	struct uring_request requests[];
};

#define URING_BUFFERS_MAX 16384u
#define URING_FILES_MAX   2048u
#define URING_STARTED_MAX 1000u /* a program's port takes no more */
#define URING_BATCH 16u

/* Who works on requests: a thread, and the calls it is about to start. */
struct uring_run {
	struct uring *ring;
	struct pers_thread *thread;
	uint32_t count;
	struct x_out out[URING_BATCH];
};

#define URING_PENDING INT64_MIN

static inline struct uring_request *uring_request(struct uring *u, uint32_t number)
{
	return number ? &u->requests[number - 1] : NULL;
}
static inline uint32_t uring_number(const struct uring *u, const struct uring_request *r)
{
	return (uint32_t)(r - u->requests) + 1;
}

/* ---- uring.c ---- */
void uring_hold(struct uring *u);
void uring_drop(struct uring *u);
void uring_ring(struct uring *u); /* the descriptor looks ready, if it is; lock held */
/* For uring_reg.c: with the submission side locked. -X_EBADF, -X_EOPNOTSUPP: no ring. */
int64_t uring_control(uint64_t fd, int64_t (*act)(struct uring *u, const uint64_t *a), const uint64_t *a);
void uring_enable(struct uring *u);
bool uring_is_disabled(const struct uring *u);

/* ---- uring_run.c ---- */
void uring_lock(struct uring *u);
void uring_unlock(struct uring *u);  /* and wakes who waits for what was posted */
struct uring_request *uring_take(struct uring *u); /* NULL: none is free */
void uring_push(struct uring *u, struct uring_queue *q, struct uring_request *r);
void uring_due(struct uring *u, struct uring_request *r, int32_t result); /* lock held */
void uring_post(struct uring *u, const struct uring_request *r, int32_t result, uint32_t flags); /* lock held */
void uring_flush_overflow(struct uring *u); /* lock held */
void uring_go(struct uring_run *run, struct uring_request *r); /* a chain, from its head */
void uring_complete(struct uring_run *run, struct uring_request *r, int64_t result);
void uring_pump(struct uring_run *run); /* what is due or deferred; then starts calls */
int64_t uring_start_call(struct uring_run *run, struct uring_request *r, const struct x_out *out);
/* Waits for `wanted` of its file, until the deadline, or for the deadline alone. */
int64_t uring_arm(struct uring_run *run, struct uring_request *r, uint32_t wanted, uint64_t deadline_ns);
void uring_disarm(struct uring *u, struct uring_request *r); /* lock held */
void uring_kick(struct uring *u); /* the helper at the set looks again; lock held */
void uring_close(struct uring *u);

/* ---- uring_op.c ---- */
int64_t uring_check(const struct uring_sqe *e);
int64_t uring_begin(struct uring_run *run, struct uring_request *r);  /* a result or URING_PENDING */
int64_t uring_again(struct uring_run *run, struct uring_request *r, uint32_t ready); /* same */
int64_t uring_answered(struct uring_run *run, struct uring_request *r, int32_t status); /* same */
bool uring_can(uint32_t opcode);

/* ---- uring_time.c ---- */
int64_t uring_timeout(struct uring_run *run, struct uring_request *r);
int64_t uring_timeout_remove(struct uring *u, const struct uring_sqe *e);
int64_t uring_guard_deadline(const struct uring_sqe *e, uint64_t *deadline_ns);
int64_t uring_poll_add(struct uring_run *run, struct uring_request *r);
int64_t uring_poll_remove(struct uring *u, const struct uring_sqe *e);
int64_t uring_cancel(struct uring *u, struct uring_request *r); /* lock held: 0, -X_EALREADY */
int64_t uring_async_cancel(struct uring *u, const struct uring_request *who);
uint64_t uring_expire(struct uring *u); /* lock held: what has expired is due. The next deadline */
void uring_count(struct uring *u);      /* lock held: another one has completed */

/* ---- uring_reg.c ---- */
x_handle_t uring_fixed_file(const struct uring *u, uint32_t index); /* or X_NO_HANDLE */
int64_t uring_fixed_buffer(const struct uring *u, const struct uring_sqe *e); /* 0, or -X_EFAULT */
int64_t uring_install(struct uring *u, uint32_t index, int64_t fd); /* a descriptor becomes a registered file */
int64_t uring_files_update(struct uring *u, uint64_t fds, uint32_t offset, uint32_t count);
void uring_unregister_all(struct uring *u);

#endif
