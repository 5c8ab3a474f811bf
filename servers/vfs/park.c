/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that wait at a pipe or socket, in queues: first come, first served.
 * One table for all, of which one program gets at most a part once it is half
 * full.
 */

#include "servers/vfs/vfs.h"

enum { PARKED_MAX = 2048, PARKED_PER_ACCOUNT = 256 };

static struct parked parked[PARKED_MAX]; /* index + 1 in queues */
static uint16_t free_head, never_used, used;

static bool too_many(uint64_t account)
{
	uint32_t same = 0;

	if (used < PARKED_MAX / 2)
		return false;
	for (uint32_t i = 0; i < never_used; i++)
		same += parked[i].call_id && parked[i].account == account;
	return same >= PARKED_PER_ACCOUNT;
}

struct parked *park(const struct x_in *in, struct queue *q, uint64_t owner, uint32_t bytes, uint32_t done)
{
	uint16_t self;
	struct parked *w;

	if ((!free_head && never_used == PARKED_MAX) || too_many(in->account))
		return NULL;
	self = free_head ? free_head : ++never_used;
	w = &parked[self - 1];
	if (self == free_head)
		free_head = w->next;
	*w = (struct parked){
		.call_id = in->id, .account = in->account, .owner = owner, .queue = q,
		.bytes = bytes, .done = done, .op = in->msg.op, .flags = (uint32_t)in->msg.a[0],
		.streams = in->msg.status & FILE_STREAMS,
	};
	if (q->last)
		parked[q->last - 1].next = self;
	else
		q->first = self;
	q->last = self;
	used++;
	return w;
}

struct parked *queue_first(const struct queue *q)
{
	return q->first ? &parked[q->first - 1] : NULL;
}

struct parked *queue_next(const struct parked *w)
{
	return w->next ? &parked[w->next - 1] : NULL;
}

bool queue_can_stream(const struct queue *q)
{
	for (const struct parked *w = queue_first(q); w; w = queue_next(w))
		if (!w->streams || w->done)
			return false;
	return true;
}

void unpark(struct parked *w)
{
	uint16_t self = (uint16_t)(w - parked + 1), before = 0, at;
	struct queue *q = w->queue;

	for (at = q->first; at && at != self; at = parked[at - 1].next)
		before = at;
	if (!at)
		return;
	if (before)
		parked[before - 1].next = w->next;
	else
		q->first = w->next;
	if (q->last == self)
		q->last = before;
	timer_clear(&w->timer);
	*w = (struct parked){ .next = free_head };
	free_head = self;
	used--;
}

void parked_finish(struct parked *w, int64_t status)
{
	out_status(w->call_id, status);
	unpark(w);
}

struct parked *parked_find(uint64_t call_id)
{
	for (uint32_t i = 0; i < never_used; i++)
		if (parked[i].call_id == call_id)
			return &parked[i];
	return NULL;
}
