/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors on their way through UNIX sockets (SCM_RIGHTS), and the records
 * that messages are kept by. Lists are of indices + 1.
 */

#include "servers/vfs/unix.h"

#define DROPS_MOST 128u /* in one iteration */

static struct right {
	x_handle_t handle;
	uint16_t next;
} rights[UNIX_RIGHTS_MAX];
static uint16_t free_right, never_used_right;

static struct unix_record records[UNIX_RECORDS_MAX];
static uint16_t free_record, never_used_record;
static uint32_t records_used, records_reserved;

/* ---- descriptors ---- */

static uint16_t right_new(x_handle_t handle)
{
	uint16_t self = free_right;

	if (self)
		free_right = rights[self - 1].next;
	else if (never_used_right < UNIX_RIGHTS_MAX)
		self = ++never_used_right;
	else
		return 0;
	rights[self - 1] = (struct right){ .handle = handle };
	return self;
}

static uint16_t right_free(uint16_t self)
{
	uint16_t next = rights[self - 1].next;

	rights[self - 1].next = free_right;
	free_right = self;
	return next;
}

/* A queue may hold more of them than go into one outbox: they are let go by and by. */
static uint16_t doomed;
static struct server_timer more;

void rights_drop(uint16_t list)
{
	uint16_t last = list;

	while (last && rights[last - 1].next)
		last = rights[last - 1].next;
	if (!last)
		return;
	rights[last - 1].next = doomed;
	doomed = list;
}

static void go_on(void *ctx)
{
	(void)ctx; /* the iteration's end does it */
}

void rights_settle(void)
{
	for (uint32_t i = 0; doomed && i < DROPS_MOST; i++) {
		out_close(rights[doomed - 1].handle);
		doomed = right_free(doomed);
	}
	if (!doomed)
		return;
	more.fn = go_on;
	timer_set(&more, server_now_ns);
}

uint32_t rights_count(uint16_t list)
{
	uint32_t count = 0;

	for (; list; list = rights[list - 1].next)
		count++;
	return count;
}

static uint16_t append(uint16_t list, x_handle_t handle)
{
	uint16_t self = right_new(handle), at = list;

	if (!self) {
		out_close(handle);
		return list;
	}
	while (at && rights[at - 1].next)
		at = rights[at - 1].next;
	if (at)
		rights[at - 1].next = self;
	return at ? list : self;
}

void rights_each(uint16_t list, struct unix_socket *in, void (*fn)(struct unix_socket *in, x_handle_t handle))
{
	for (; list; list = rights[list - 1].next)
		fn(in, rights[list - 1].handle);
}

uint16_t rights_take(const struct x_in *in, uint16_t before)
{
	for (uint32_t i = 0; i < in->handle_count && i < X_MAX_HANDLES; i++)
		before = append(before, in->handles[i]);
	if (in->handle_count)
		unix_cycles_expect();
	return before;
}

uint16_t rights_copy(uint16_t list)
{
	uint16_t copy = 0;
	int64_t handle;

	for (; list; list = rights[list - 1].next) {
		handle = sys_handle_dup(rights[list - 1].handle);
		if (handle >= 0)
			copy = append(copy, (x_handle_t)handle);
	}
	return copy;
}

uint16_t rights_give(uint16_t list, struct x_out *out, uint32_t max)
{
	while (list && out->handle_count < max) {
		out->handles[out->handle_count++] = rights[list - 1].handle;
		list = right_free(list);
	}
	return list;
}

uint16_t rights_cut(uint16_t list, uint32_t count)
{
	uint16_t at = list, rest;

	if (!count) {
		rights_drop(list);
		return 0;
	}
	while (at && --count)
		at = rights[at - 1].next;
	if (at) {
		rest = rights[at - 1].next;
		rights[at - 1].next = 0;
		rights_drop(rest);
	}
	return list;
}

/* ---- records ---- */

struct unix_record *unix_record_at(uint16_t index)
{
	return index ? &records[index - 1] : NULL;
}

bool unix_record_room(const struct unix_socket *s)
{
	return s->records < UNIX_RECORDS_PER_SOCKET && records_used + records_reserved < UNIX_RECORDS_MAX;
}

bool unix_record_reserve(void)
{
	if (records_used + records_reserved == UNIX_RECORDS_MAX)
		return false;
	records_reserved++;
	return true;
}

void unix_record_unreserve(void)
{
	records_reserved--;
}

struct unix_record *unix_record_new(struct unix_socket *s)
{
	uint16_t self = free_record;

	if (self)
		free_record = records[self - 1].next;
	else
		self = ++never_used_record;
	records[self - 1] = (struct unix_record){ 0 };
	if (s->last)
		records[s->last - 1].next = self;
	else
		s->first = self;
	s->last = self;
	s->records++;
	records_used++;
	return &records[self - 1];
}

void unix_record_drop_first(struct unix_socket *s)
{
	uint16_t self = s->first;
	struct unix_record *r = &records[self - 1];

	ring_drop(&s->ring, r->bytes);
	rights_drop(r->rights);
	unix_name_drop(r->name);
	s->first = r->next;
	if (s->last == self)
		s->last = 0;
	s->records--;
	records_used--;
	*r = (struct unix_record){ .next = free_record };
	free_record = self;
}
