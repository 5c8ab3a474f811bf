/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V message queues. A message is a chain of blocks from one pool, large
 * enough for all queues at their usual size. Senders wait for room, receivers
 * for a message of their type; parked calls are served oldest first.
 */
#include "lib/c/slots.h"
#include "servers/pm/sysv.h"
#include "servers/pm/sysctl.h"

enum { BLOCK_BYTES = 248, BLOCKS = MSG_QUEUES * MSG_QUEUE_BYTES / BLOCK_BYTES + 1024, MESSAGES = 4096,
       PARKED_MAX = 256 };

static struct { uint32_t next; uint8_t data[BLOCK_BYTES]; } blocks[BLOCKS]; /* [0] is no block */
static uint32_t free_blocks, fresh_block = 1, free_count = BLOCKS - 1;

static struct message {
	uint32_t next, block, bytes; /* next: 0 ends a queue */
	int64_t type;
} messages[MESSAGES];            /* [0] is no message */
static uint32_t free_messages, fresh_message = 1;

static struct queue {
	struct sysv_object head;
	uint32_t first, last;    /* messages */
	uint64_t bytes, count, room;
	uint64_t stime, rtime;
	uint32_t lspid, lrpid;
} queues[MSG_QUEUES];

static const struct sysv_table table = { queues, MSG_QUEUES, sizeof(queues[0]), SYSCTL_MSG_NEXT };

static struct parked {
	struct x_in in;          /* in.id 0: free */
	struct queue *queue;
	struct proc *proc;
	uint64_t order;
} parked[PARKED_MAX];
static uint64_t parked_order;
static uint32_t parked_end;      /* all from here up are free */

#define for_each_parked(w) for (struct parked *w = parked; w < parked + parked_end; w++)

static void unpark(struct parked *w)
{
	w->in.id = 0;
	SLOTS_TRIM(parked, parked_end, in.id);
}

/* ---- messages ---- */

static uint32_t block_take(void)
{
	uint32_t b = free_blocks;

	if (b)
		free_blocks = blocks[b].next;
	else if (fresh_block < BLOCKS)
		b = fresh_block++;
	if (b)
		free_count--;
	return b;
}

static void message_free(uint32_t m)
{
	for (uint32_t b = messages[m].block; b;) {
		uint32_t next = blocks[b].next;

		blocks[b].next = free_blocks;
		free_blocks = b;
		free_count++;
		b = next;
	}
	messages[m].next = free_messages;
	free_messages = m;
}

/* From window 0 behind the type; 0 with *err. */
static uint32_t message_make(const struct x_in *in, uint32_t bytes, int *err)
{
	uint32_t m = free_messages, *link;

	*err = -X_ENOMEM;
	if (free_count < bytes / BLOCK_BYTES + 1 || (!m && fresh_message == MESSAGES))
		return 0;
	if (m)
		free_messages = messages[m].next;
	else
		m = fresh_message++;
	messages[m] = (struct message){ .bytes = bytes };
	*err = window_read(in->id, 0, 0, &messages[m].type, 8) == 8 ? 0 : -X_EFAULT;
	link = &messages[m].block;
	for (uint32_t at = 0; at < bytes && !*err; at += BLOCK_BYTES) {
		uint32_t part = bytes - at < BLOCK_BYTES ? bytes - at : BLOCK_BYTES, b = block_take();

		blocks[b].next = 0;
		*link = b;
		link = &blocks[b].next;
		/* a free block holds nothing of use */
		if (window_read_payload(in->id, 0, 8 + at, blocks[b].data, part) != part)
			*err = -X_EFAULT;
	}
	if (!*err && messages[m].type < 1)
		*err = -X_EINVAL;
	if (!*err)
		return m;
	message_free(m);
	return 0;
}

static int message_give(const struct x_in *in, uint32_t m, uint32_t bytes)
{
	uint32_t at = 0;

	if (window_write(in->id, 0, 0, &messages[m].type, 8) != 8)
		return -X_EFAULT;
	for (uint32_t b = messages[m].block; b && at < bytes; b = blocks[b].next) {
		uint32_t part = bytes - at < BLOCK_BYTES ? bytes - at : BLOCK_BYTES;

		if (window_write(in->id, 0, 8 + at, blocks[b].data, part) != part)
			return -X_EFAULT;
		at += part;
	}
	return 0;
}

/* ---- sending and receiving ---- */

static struct parked *next_parked(const struct queue *q, uint32_t op, uint64_t order)
{
	struct parked *next = NULL;

	for_each_parked(w)
		if (w->in.id && w->queue == q && w->in.msg.a[0] == op && w->order > order &&
		    (!next || w->order < next->order))
			next = w;
	return next;
}

/* -X_EWAIT: no room */
static int64_t send(struct proc *p, struct queue *q, const struct x_in *in)
{
	uint32_t bytes = in->win[0].len - 8, m;
	int err;

	if (q->bytes + bytes > q->room || q->count + 1 > q->room)
		return -X_EWAIT;
	m = message_make(in, bytes, &err);
	if (!m)
		return err;
	if (q->last)
		messages[q->last].next = m;
	else
		q->first = m;
	q->last = m;
	q->bytes += bytes;
	q->count++;
	q->lspid = p->ids.pid;
	q->stime = sysv_seconds();
	return 0;
}

static uint32_t find_numbered(const struct queue *q, int64_t number)
{
	uint32_t m = number < 0 ? 0 : q->first;

	while (m && number--)
		m = messages[m].next;
	return m;
}

/* The message that is meant, and the one before it. */
static uint32_t find(const struct queue *q, int64_t type, uint32_t flags, uint32_t *before)
{
	uint32_t found = 0, previous = 0;

	for (uint32_t m = q->first; m; previous = m, m = messages[m].next) {
		int64_t t = messages[m].type;
		bool fits = type == 0 || (type > 0 && (flags & MSG_NOT_TYPE ? t != type : t == type)) ||
			    (type < 0 && t <= -type && (!found || t < messages[found].type));

		if (!fits)
			continue;
		found = m;
		*before = previous;
		if (type >= 0)
			break;
	}
	return found;
}

/* -X_EWAIT: nothing there */
static int64_t receive(struct proc *p, struct queue *q, const struct x_in *in)
{
	uint32_t flags = (uint32_t)in->msg.a[2], before = 0;
	uint32_t m = flags & MSG_COPIED ? find_numbered(q, (int64_t)in->msg.a[3]) :
		     find(q, (int64_t)in->msg.a[3], flags, &before), bytes;
	uint64_t room = in->msg.a[4];
	int err;

	if (!m)
		return -X_EWAIT;
	bytes = messages[m].bytes;
	if (bytes > room) {
		if (!(flags & MSG_NO_ERROR))
			return -X_E2BIG;
		bytes = (uint32_t)room;
	}
	err = message_give(in, m, bytes);
	if (err)
		return err;
	if (flags & MSG_COPIED)
		return bytes;
	if (before)
		messages[before].next = messages[m].next;
	else
		q->first = messages[m].next;
	if (q->last == m)
		q->last = before;
	q->bytes -= messages[m].bytes;
	q->count--;
	q->lrpid = p->ids.pid;
	q->rtime = sysv_seconds();
	message_free(m);
	return bytes;
}

/* Something changed: each success may help another. */
static void look_again(struct queue *q)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t op = MSG_SEND; op <= MSG_RECEIVE; op++) {
			for (struct parked *w = next_parked(q, op, 0); w; w = next_parked(q, op, w->order)) {
				int64_t result = op == MSG_SEND ? send(w->proc, q, &w->in) : receive(w->proc, q, &w->in);

				if (result == -X_EWAIT)
					continue;
				out_status(w->in.id, result);
				unpark(w);
				moved = true;
			}
		}
	}
}

static void park(struct proc *p, struct queue *q, const struct x_in *in)
{
	struct parked *w = SLOT_FIND(parked, parked_end, in.id);

	if (!w) {
		out_status(in->id, -X_ENOMEM);
		return;
	}
	SLOT_TAKEN(parked, parked_end, w);
	*w = (struct parked){ *in, q, p, ++parked_order };
}

static void transfer(struct proc *p, const struct x_in *in)
{
	struct queue *q = (struct queue *)sysv_find(&table, (uint32_t)in->msg.a[1]);
	bool sends = in->msg.a[0] == MSG_SEND, nowait = in->msg.a[2] & SYSV_NOWAIT;
	int64_t result;

	if (!in->win_count || in->win[0].len < 8)
		result = -X_EFAULT;
	else if (!q || in->win[0].len - 8 > MSG_TEXT_MAX)
		result = -X_EINVAL;
	else if (!sysv_may(&q->head, p, sends ? 0222 : 0444))
		result = -X_EACCES;
	else
		result = sends ? send(p, q, in) : receive(p, q, in);
	if (result == -X_EWAIT && !nowait) {
		park(p, q, in);
		return;
	}
	out_status(in->id, result != -X_EWAIT ? result : sends ? -X_EAGAIN : -X_ENOMSG);
	if (result >= 0)
		look_again(q);
}

bool msg_cancel(uint64_t call_id)
{
	for_each_parked(w) {
		if (w->in.id != call_id)
			continue;
		unpark(w);
		out_status(call_id, -X_EINTR);
		return true;
	}
	return false;
}

void msg_drop(const struct proc *p)
{
	for_each_parked(w)
		if (w->proc == p)
			unpark(w);
}

/* ---- making and controlling ---- */

static int64_t get(struct proc *p, const struct x_in *in)
{
	uint32_t key = (uint32_t)in->msg.a[1], flags = (uint32_t)in->msg.a[2];
	struct sysv_object *o = key ? sysv_by_key(&table, key) : NULL;

	if (!o) {
		if (key && !(flags & SYSV_CREAT))
			return -X_ENOENT;
		if (sysv_used(&table) >= sysctl_value(SYSCTL_MSGMNI))
			return -X_ENOSPC;
		o = sysv_new(&table, p, key, flags);
		if (!o)
			return -X_ENOSPC;
		((struct queue *)o)->room = MSG_QUEUE_BYTES;
		return sysv_id(&table, o);
	}
	if ((flags & (SYSV_CREAT | SYSV_EXCL)) == (SYSV_CREAT | SYSV_EXCL))
		return -X_EEXIST;
	return sysv_may(o, p, flags & 0777) ? (int64_t)sysv_id(&table, o) : -X_EACCES;
}

static int64_t stat(struct proc *p, const struct x_in *in, bool by_slot, bool any)
{
	struct sysv_msqid out = { .unused = { 0 } };
	struct sysv_object *o;
	const struct queue *q;
	int err = sysv_stat_target(&table, p, (uint32_t)in->msg.a[1], by_slot, any, &o);

	if (err)
		return err;
	q = (const struct queue *)o;
	sysv_perm_get(o, &out.perm);
	out.stime = q->stime;
	out.rtime = q->rtime;
	out.ctime = o->ctime;
	out.cbytes = q->bytes;
	out.qnum = q->count;
	out.qbytes = q->room;
	out.lspid = q->lspid;
	out.lrpid = q->lrpid;
	err = sysv_put(in, &out, sizeof(out));
	return err ? err : by_slot ? (int64_t)sysv_id(&table, o) : 0;
}

static int64_t limits(const struct x_in *in, bool use)
{
	struct sysv_msginfo out = {
		.msgpool = MSG_QUEUES * MSG_QUEUE_BYTES / 1024, .msgmap = MESSAGES, .msgmax = MSG_TEXT_MAX,
		.msgmnb = MSG_QUEUE_BYTES, .msgmni = (int32_t)sysctl_value(SYSCTL_MSGMNI), .msgssz = BLOCK_BYTES,
		.msgtql = MESSAGES, .msgseg = BLOCKS,
	};
	int err;

	if (use) {
		out.msgpool = (int32_t)sysv_used(&table);
		out.msgmap = out.msgtql = 0;
		for (uint32_t i = 0; i < MSG_QUEUES; i++) {
			if (!queues[i].head.used)
				continue;
			out.msgmap += (int32_t)queues[i].count;
			out.msgtql += (int32_t)queues[i].bytes;
		}
	}
	err = sysv_put(in, &out, sizeof(out));
	return err ? err : sysv_highest(&table);
}

static void destroy(struct queue *q)
{
	for_each_parked(w) {
		if (w->queue != q || !w->in.id)
			continue;
		out_status(w->in.id, -X_EIDRM);
		unpark(w);
	}
	while (q->first) {
		uint32_t m = q->first;

		q->first = messages[m].next;
		message_free(m);
	}
	q->head.used = false;
}

static int64_t change(struct proc *p, const struct x_in *in)
{
	struct queue *q = (struct queue *)sysv_find(&table, (uint32_t)in->msg.a[1]);
	struct sysv_msqid new;

	if (in->msg.a[2] == IPC_SET && sysv_take(in, &new, sizeof(new)))
		return -X_EFAULT;
	if (!q)
		return -X_EINVAL;
	if (!sysv_owner(&q->head, p))
		return -X_EPERM;
	if (in->msg.a[2] == IPC_RMID) {
		destroy(q);
		return 0;
	}
	if (new.qbytes > MSG_QUEUE_BYTES && p->ids.euid != 0)
		return -X_EPERM;
	q->room = new.qbytes;
	sysv_perm_set(&q->head, &new.perm);
	look_again(q);
	return 0;
}

static int64_t control(struct proc *p, const struct x_in *in)
{
	switch (in->msg.a[2]) {
	case IPC_STAT: return stat(p, in, false, false);
	case MSG_STAT: return stat(p, in, true, false);
	case MSG_STAT_ANY: return stat(p, in, true, true);
	case IPC_INFO: return limits(in, false);
	case MSG_INFO: return limits(in, true);
	case IPC_RMID: case IPC_SET: return change(p, in);
	default: return -X_EINVAL;
	}
}

void msg_call(struct proc *p, const struct x_in *in)
{
	int64_t result;

	switch (in->msg.a[0]) {
	case MSG_SEND: case MSG_RECEIVE: transfer(p, in); return;
	case SYSV_GET: result = get(p, in); break;
	case SYSV_CONTROL: result = control(p, in); break;
	default: result = -X_ENOSYS;
	}
	answer_result(in->id, result);
}

void msg_text(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
		 "      stime      rtime      ctime\n");
	for (uint32_t i = 0; i < MSG_QUEUES; i++) {
		const struct queue *q = &queues[i];
		const struct sysv_object *o = &q->head;

		if (o->used)
			text_add(t, "%10d %10u  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u %10llu %10llu %10llu\n",
				 (int)o->key, sysv_id(&table, o), o->mode, (unsigned long long)q->bytes,
				 (unsigned long long)q->count, q->lspid, q->lrpid, o->uid, o->gid, o->cuid,
				 o->cgid, (unsigned long long)q->stime, (unsigned long long)q->rtime,
				 (unsigned long long)o->ctime);
	}
}
