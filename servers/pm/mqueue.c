/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX message queues. A queue has a name until it is unlinked, and lives while
 * it has one or is open; each open file is an object of its own, for flags are
 * the open file's. Room for a full queue is set aside when it is made, so that
 * sending never fails for want of memory.
 *
 * Messages are chains of blocks, sorted by priority, the oldest first. Who has
 * to wait is parked, with a deadline, and served oldest first.
 */
#include "lib/c/slots.h"
#include "lib/ipc/file.h"
#include "servers/pm/pm.h"
#include "servers/pm/sysctl.h"

enum { QUEUES_MAX = 256, OPENS_MAX = 512, PARKED_MAX = 256, NAME_BYTES = 256,
       BLOCK_BYTES = 1008, BLOCKS = 2048, MESSAGES = 4096,
       MESSAGES_MAX = 65536, MESSAGE_BYTES_MAX = 16 << 20, PRIORITY_END = 32768 };

static struct { uint32_t next; uint8_t data[BLOCK_BYTES]; } blocks[BLOCKS]; /* [0] is no block */
static uint32_t free_blocks, fresh_block = 1, blocks_reserved;

static struct message {
	uint32_t next, block, bytes, priority; /* next: 0 ends a queue */
} messages[MESSAGES];                          /* [0] is no message */
static uint32_t free_messages, fresh_message = 1, messages_reserved;

static struct queue {
	bool used, named;
	char name[NAME_BYTES];
	uint32_t opens;          /* open files */
	uint32_t mode, uid, gid, maker; /* maker: the uid it counts for */
	uint32_t room, message_bytes;   /* messages, and bytes of each */
	uint32_t first, count, bytes;
	uint64_t mtime_ns;
	uint64_t notify_koid;    /* who is told when a message comes to the empty queue; 0: nobody */
	uint32_t notify_signal;  /* 0: registered, and told nothing */
	uint64_t notify_value;
	uint64_t notify_open;    /* registered by this open file */
} queues[QUEUES_MAX];

static struct open {
	struct queue *queue;     /* NULL: free */
	uint32_t generation;
	uint64_t read_at;        /* where the next read of its state begins */
} opens[OPENS_MAX];
static uint32_t opens_end;       /* all from here up are free */

static struct parked {
	uint64_t call_id;        /* 0: free */
	struct queue *queue;
	bool sends;
	uint32_t bytes, priority, pid, uid;
	uint64_t order;
	struct server_timer timer;
} parked[PARKED_MAX];
static uint64_t parked_order;
static uint32_t parked_end;      /* all from here up are free */

#define for_each_parked(w) for (struct parked *w = parked; w < parked + parked_end; w++)

static uint64_t open_object(const struct open *o)
{
	return object_id(OBJECT_MQUEUE, o->generation, (uint32_t)(o - opens));
}

static struct open *open_of(uint64_t object)
{
	struct open *o = &opens[object_index(object) % OPENS_MAX];

	return o->queue && open_object(o) == object ? o : NULL;
}

static uint32_t ready(const struct queue *q)
{
	return (q->count ? X_READY_IN : 0) | (q->count < q->room ? X_READY_OUT : 0);
}

static void changed(struct queue *q)
{
	for (struct open *o = opens; o < opens + opens_end; o++)
		if (o->queue == q)
			out_ready(open_object(o), X_READY_IN | X_READY_OUT, ready(q), ready(q));
}

static uint32_t blocks_for(uint32_t bytes)
{
	return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/* ---- messages ---- */

static void message_free(uint32_t m)
{
	for (uint32_t b = messages[m].block; b;) {
		uint32_t next = blocks[b].next;

		blocks[b].next = free_blocks;
		free_blocks = b;
		b = next;
	}
	messages[m].next = free_messages;
	free_messages = m;
}

static uint32_t block_take(void)
{
	uint32_t b = free_blocks;

	if (!b)
		return fresh_block++;
	free_blocks = blocks[b].next;
	return b;
}

/* There is room: it was set aside. 0: bad window. */
static uint32_t message_make(uint64_t call_id, uint32_t bytes, uint32_t priority)
{
	uint32_t m = free_messages, *link;

	if (m)
		free_messages = messages[m].next;
	else
		m = fresh_message++;
	messages[m] = (struct message){ .bytes = bytes, .priority = priority };
	link = &messages[m].block;
	for (uint32_t at = 0; at < bytes; at += BLOCK_BYTES) {
		uint32_t part = bytes - at < BLOCK_BYTES ? bytes - at : BLOCK_BYTES, b = block_take();

		blocks[b].next = 0;
		*link = b;
		link = &blocks[b].next;
		/* a free block holds nothing of use */
		if (window_read_payload(call_id, 0, at, blocks[b].data, part) != part) {
			message_free(m);
			return 0;
		}
	}
	return m;
}

static bool message_give(uint64_t call_id, uint32_t m)
{
	uint32_t bytes = messages[m].bytes, at = 0;

	for (uint32_t b = messages[m].block; b; b = blocks[b].next) {
		uint32_t part = bytes - at < BLOCK_BYTES ? bytes - at : BLOCK_BYTES;

		if (window_write(call_id, 0, at, blocks[b].data, part) != part)
			return false;
		at += part;
	}
	return true;
}

/* ---- sending and receiving ---- */

static void unpark(struct parked *w)
{
	timer_clear(&w->timer);
	w->call_id = 0;
	SLOTS_TRIM(parked, parked_end, call_id);
}

static struct parked *first_parked(const struct queue *q, bool sends)
{
	struct parked *first = NULL;

	for_each_parked(w)
		if (w->call_id && w->queue == q && w->sends == sends && (!first || w->order < first->order))
			first = w;
	return first;
}

static void notify(struct queue *q, uint32_t pid, uint32_t uid)
{
	struct signal_info info = { INFO_MESSAGE, pid, uid, q->notify_value };
	struct proc *p = q->notify_koid ? proc_by_koid(q->notify_koid) : NULL;

	q->notify_koid = 0;
	if (p && q->notify_signal)
		signal_post(p, 0, q->notify_signal, &info);
}

static void send(struct queue *q, uint64_t call_id, uint32_t bytes, uint32_t priority, uint32_t pid, uint32_t uid)
{
	uint32_t m = message_make(call_id, bytes, priority), *link = &q->first;

	if (!m) {
		out_status(call_id, -X_EFAULT);
		return;
	}
	while (*link && messages[*link].priority >= priority)
		link = &messages[*link].next;
	messages[m].next = *link;
	*link = m;
	q->bytes += bytes;
	q->mtime_ns = (uint64_t)x_clock(X_CLOCK_REALTIME);
	out_status(call_id, 0);
	if (++q->count == 1 && !first_parked(q, false))
		notify(q, pid, uid);
}

static void receive(struct queue *q, uint64_t call_id)
{
	uint32_t m = q->first;
	struct x_msg msg = { .status = messages[m].bytes, .a = { messages[m].priority } };

	if (!message_give(call_id, m)) {
		out_status(call_id, -X_EFAULT);
		return;
	}
	q->first = messages[m].next;
	q->bytes -= messages[m].bytes;
	q->count--;
	message_free(m);
	out_answer(call_id, &msg);
}

/* Each success may help another. */
static void settle(struct queue *q)
{
	struct parked *w;

	for (;;) {
		if (q->count && (w = first_parked(q, false))) {
			uint64_t id = w->call_id;

			unpark(w);
			receive(q, id);
		} else if (q->count < q->room && (w = first_parked(q, true))) {
			struct parked sender = *w;

			unpark(w);
			send(q, sender.call_id, sender.bytes, sender.priority, sender.pid, sender.uid);
		} else {
			break;
		}
	}
	changed(q);
}

static void expired(void *ctx)
{
	struct parked *w = ctx;

	out_status(w->call_id, -X_ETIMEDOUT);
	unpark(w);
}

static void park(struct queue *q, const struct x_in *in, const struct proc *p, bool sends)
{
	struct parked *w = SLOT_FIND(parked, parked_end, call_id);

	if ((in->status_flags & F_O_NONBLOCK) || !w) {
		out_status(in->id, in->status_flags & F_O_NONBLOCK ? -X_EAGAIN : -X_ENOMEM);
		return;
	}
	SLOT_TAKEN(parked, parked_end, w);
	*w = (struct parked){ .call_id = in->id, .queue = q, .sends = sends,
			      .bytes = in->win_count ? in->win[0].len : 0, .priority = (uint32_t)in->msg.a[0],
			      .pid = p->ids.pid, .uid = p->ids.uid, .order = ++parked_order };
	w->timer.fn = expired;
	w->timer.ctx = w;
	if (in->msg.a[1] != X_FOREVER)
		timer_set(&w->timer, in->msg.a[1] ? in->msg.a[1] : 1);
}

static void transfer(struct queue *q, const struct x_in *in, const struct proc *p, bool sends)
{
	uint32_t bytes = in->win_count ? in->win[0].len : 0;

	if ((in->status_flags & F_O_ACCMODE) == (sends ? F_O_RDONLY : F_O_WRONLY))
		out_status(in->id, -X_EBADF);
	else if (sends ? bytes > q->message_bytes : bytes < q->message_bytes)
		out_status(in->id, -X_EMSGSIZE);
	else if (sends && in->msg.a[0] >= PRIORITY_END)
		out_status(in->id, -X_EINVAL);
	else if (sends ? q->count == q->room : !q->count)
		park(q, in, p, sends);
	else if (sends)
		send(q, in->id, bytes, (uint32_t)in->msg.a[0], p->ids.pid, p->ids.uid);
	else
		receive(q, in->id);
	settle(q);
}

bool mqueue_cancel(uint64_t call_id)
{
	for_each_parked(w) {
		if (w->call_id != call_id)
			continue;
		unpark(w);
		out_status(call_id, -X_EINTR);
		return true;
	}
	return false;
}

/* ---- making and ending ---- */

static struct queue *queue_by_name(const char *name)
{
	for (struct queue *q = queues; q < queues + QUEUES_MAX; q++)
		if (q->used && q->named && !strcmp(q->name, name))
			return q;
	return NULL;
}

static void release(struct queue *q)
{
	if (q->opens || q->named)
		return;
	while (q->first) {
		uint32_t m = q->first;

		q->first = messages[m].next;
		message_free(m);
	}
	blocks_reserved -= q->room * blocks_for(q->message_bytes);
	messages_reserved -= q->room;
	q->used = false;
}

/* What a queue counts for against RLIMIT_MSGQUEUE: the messages and a word for each. */
static uint64_t cost(uint64_t room, uint64_t message_bytes)
{
	return room * (message_bytes + 48 + 8);
}

static int make(const struct proc *p, const char *name, const struct x_in *in, struct queue **made)
{
	uint64_t room = sysctl_value(SYSCTL_MQ_DEFAULT), bytes = sysctl_value(SYSCTL_MQ_BYTES_DEFAULT), used = 0;
	struct queue *free = NULL;
	uint32_t count = 0;

	if (in->msg.a[5]) {
		room = in->msg.a[3];
		bytes = in->msg.a[4];
		if ((int64_t)room <= 0 || (int64_t)bytes <= 0 || room > MESSAGES_MAX || bytes > MESSAGE_BYTES_MAX ||
		    (p->ids.euid != 0 && (room > sysctl_value(SYSCTL_MQ_MESSAGES) || bytes > sysctl_value(SYSCTL_MQ_BYTES))))
			return -X_EINVAL;
	}
	for (struct queue *q = queues; q < queues + QUEUES_MAX; q++) {
		if (!q->used && !free)
			free = q;
		count += q->used;
		used += q->used && q->maker == p->ids.uid ? cost(q->room, q->message_bytes) : 0;
	}
	if (!free || (count >= sysctl_value(SYSCTL_MQ_QUEUES) && p->ids.euid != 0))
		return -X_ENOSPC;
	if (used + cost(room, bytes) > p->rlimit[RLIMIT_MSGQUEUE].soft)
		return -X_EMFILE;
	if (room * blocks_for((uint32_t)bytes) > BLOCKS - 1 - blocks_reserved || room > MESSAGES - 1 - messages_reserved)
		return -X_ENOMEM;
	blocks_reserved += (uint32_t)room * blocks_for((uint32_t)bytes);
	messages_reserved += (uint32_t)room;
	*free = (struct queue){ .used = true, .named = true, .mode = (uint32_t)in->msg.a[2] & 0777,
				.uid = p->ids.fsuid, .gid = p->ids.fsgid, .maker = p->ids.uid,
				.room = (uint32_t)room, .message_bytes = (uint32_t)bytes,
				.mtime_ns = (uint64_t)x_clock(X_CLOCK_REALTIME) };
	strlcpy(free->name, name, sizeof(free->name));
	*made = free;
	return 0;
}

static void attributes(const struct queue *q, struct file_attr *attr)
{
	*attr = (struct file_attr){
		.dev = 16, .ino = (uint64_t)(q - queues) + 2, .mode = F_S_IFREG | q->mode, .nlink = q->named,
		.uid = q->uid, .gid = q->gid, .size = 80, .block_bytes = X_PAGE_SIZE,
		.atime_ns = q->mtime_ns, .mtime_ns = q->mtime_ns, .ctime_ns = q->mtime_ns,
	};
}

static int may_open(const struct proc *p, const struct queue *q, uint32_t flags)
{
	static const uint8_t wanted[] = { 4, 2, 6 };
	struct file_attr attr;

	attributes(q, &attr);
	if ((flags & F_O_ACCMODE) == F_O_ACCMODE)
		return -X_EINVAL;
	return creds_may(&p->ids, &attr, wanted[flags & F_O_ACCMODE]) ? 0 : -X_EACCES;
}

static int open_queue(const struct proc *p, const char *name, const struct x_in *in, struct queue **found)
{
	struct queue *q = queue_by_name(name);
	uint32_t flags = (uint32_t)in->msg.a[1];

	if (!q)
		return flags & F_O_CREAT ? make(p, name, in, found) : -X_ENOENT;
	if ((flags & (F_O_CREAT | F_O_EXCL)) == (F_O_CREAT | F_O_EXCL))
		return -X_EEXIST;
	*found = q;
	return may_open(p, q, flags);
}

static void open_call(const struct proc *p, const char *name, const struct x_in *in)
{
	struct open *o = SLOT_FIND(opens, opens_end, queue);
	struct queue *q;
	struct x_out *out;
	int64_t h = -X_ENFILE;
	int err = open_queue(p, name, in, &q);

	if (err) {
		out_status(in->id, err);
		return;
	}
	if (o) {
		o->generation++;
		h = x_mint(server_port, open_object(o), 0, ready(q),
			   (uint32_t)in->msg.a[1] & (F_O_ACCMODE | F_O_NONBLOCK));
	}
	if (h < 0) {
		q->named = q->named && q->opens; /* just made: it goes */
		release(q);
		out_status(in->id, h);
		return;
	}
	o->queue = q;
	o->read_at = 0;
	q->opens++;
	SLOT_TAKEN(opens, opens_end, o);
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

static int unlink_call(const struct proc *p, const char *name)
{
	struct queue *q = queue_by_name(name);

	if (!q)
		return -X_ENOENT;
	if (p->ids.fsuid != 0 && p->ids.fsuid != q->uid) /* the directory is sticky */
		return -X_EACCES;
	q->named = false;
	release(q);
	return 0;
}

void mq_call(struct proc *p, const struct x_in *in)
{
	char name[NAME_BYTES];
	int64_t length = in->win_count ? window_string(in->id, 0, in->win[0].len, name, sizeof(name)) : -X_ENOENT;

	if (length < 0)
		out_status(in->id, length);
	else if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		out_status(in->id, -X_EACCES);
	else if (in->msg.a[0] == PM_MQ_OPEN)
		open_call(p, name, in);
	else
		out_status(in->id, unlink_call(p, name));
}

void mqueue_closed(uint64_t object)
{
	struct open *o = open_of(object);
	struct queue *q;

	if (!o)
		return;
	q = o->queue;
	if (q->notify_open == object)
		q->notify_koid = 0;
	o->queue = NULL;
	q->opens--;
	release(q);
	SLOTS_TRIM(opens, opens_end, queue);
}

/* ---- calls on an open queue ---- */

static int notify_call(struct queue *q, const struct x_in *in)
{
	const struct proc *p = proc_by_koid(q->notify_koid);

	if (!in->msg.a[0]) {
		if (q->notify_koid == in->account)
			q->notify_koid = 0;
		return 0;
	}
	if (p && proc_alive(p))
		return -X_EBUSY;
	q->notify_koid = in->account;
	q->notify_signal = (uint32_t)in->msg.a[1];
	q->notify_value = in->msg.a[2];
	q->notify_open = in->object;
	return 0;
}

static void attr_call(const struct queue *q, const struct x_in *in)
{
	struct x_msg msg = { .a = { q->room, q->message_bytes, q->count } };

	out_answer(in->id, &msg);
}

/* What read(2) gives: its state, as a line (mq_overview(7)). */
static int64_t state_read(struct open *o, const struct x_in *in)
{
	const struct queue *q = o->queue;
	const struct proc *p = q->notify_koid ? proc_by_koid(q->notify_koid) : NULL;
	uint64_t at = in->msg.status & FILE_AT ? in->msg.a[0] : o->read_at;
	uint32_t room = in->win_count && (in->win[0].flags & X_WIN_WRITE) ? in->win[0].len : 0, bytes;
	char text[80];
	int64_t done;

	bytes = (uint32_t)snprintf(text, sizeof(text), "QSIZE:%-10u NOTIFY:%-5d SIGNO:%-5u NOTIFY_PID:%-6u\n", q->bytes,
				   p && !q->notify_signal, p ? q->notify_signal : 0, p ? p->ids.pid : 0);
	bytes = at < bytes ? bytes - (uint32_t)at : 0;
	bytes = bytes < room ? bytes : room;
	done = bytes ? window_write(in->id, 0, 0, text + at, bytes) : 0;
	if (done > 0 && !(in->msg.status & FILE_AT))
		o->read_at += (uint64_t)done;
	return done;
}

void mqueue_file_call(const struct x_in *in)
{
	struct open *o = open_of(in->object);
	const struct proc *p = proc_by_koid(in->account);
	struct file_attr attr;

	if (!o || !p) {
		out_status(in->id, -X_ESTALE_HANDLE);
		return;
	}
	switch (in->msg.op) {
	case MQ_SEND: case MQ_RECEIVE:
		transfer(o->queue, in, p, in->msg.op == MQ_SEND);
		break;
	case MQ_NOTIFY:
		out_status(in->id, notify_call(o->queue, in));
		break;
	case MQ_ATTR:
		attr_call(o->queue, in);
		break;
	case FILE_READ:
		out_status(in->id, state_read(o, in));
		break;
	case FILE_STAT:
		attributes(o->queue, &attr);
		out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) == sizeof(attr) ? 0 : -X_EFAULT);
		break;
	default:
		out_status(in->id, file_default(in->msg.op));
	}
}
