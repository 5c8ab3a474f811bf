/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams: reads and writes of open files that need no server, because the
 * content is a memory object's (content.c) and the pages are there. A read
 * waits for pages that are missing, as a fault does, and while it goes on
 * where the last one ended, asks for what comes next before it is wanted.
 */
#include "port.h"
#include "span.h"

#define PAGE_SHIFT  12
#define AHEAD_PAGES 32u /* between a sequential reader and what is asked for */

int64_t sys_stream_set(uint32_t port, uint64_t id, uint32_t memory, uint32_t flags, uint32_t refuse)
{
	int err;
	struct object *p = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &err), *m;
	struct record *r;

	if (!p)
		return err;
	m = handle_get(memory, X_TYPE_MEMORY, X_R_MANAGE, &err);
	r = record_find(container_of(p, struct port, obj), id);
	object_unref(p);
	if (!m)
		return err;
	if (!r || !(container_of(m, struct memory, obj)->flags & X_MEM_PAGED)) {
		object_unref(m);
		return r ? -X_EINVAL : -X_ENOENT;
	}
	if (r->stream) /* of an iteration that was undone */
		object_unref(&r->stream->obj);
	r->stream = container_of(m, struct memory, obj); /* takes over the reference */
	r->stream_flags = flags;
	r->stream_refuse = refuse;
	return 0;
}

int64_t sys_port_dirty(uint32_t port, uint64_t limit, uint64_t user_id)
{
	int err;
	struct object *o = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &err);
	uint64_t id = 0, pages;
	struct port *p;

	if (!o)
		return err;
	p = container_of(o, struct port, obj);
	p->dirty_limit = limit;
	pages = p->dirty_pages;
	if (!list_empty(&p->dirty)) {
		struct memory *m = list_first(&p->dirty, struct memory, dirty_link);

		id = m->pager_id;
		list_remove(&m->dirty_link);
		list_push_back(&p->dirty, &m->dirty_link);
	}
	object_unref(o);
	return user_id && copy_to_user(user_id, &id, sizeof(id)) ? -X_EFAULT : (int64_t)pages;
}

/* References to the pages of a span that begins in page `index`, for writing those that may be
 * written to: 0, or why there are no more. */
static int hold_pages(struct memory *m, uint64_t index, bool write, struct span *s)
{
	bool ask = write && (m->flags & X_MEM_PAGED);
	uint32_t pages = span_pages(s);

	while (s->count < pages) {
		uint64_t at = index + s->count;
		uint32_t n;
		int err;

		if (ask && content_may_write(m, at) != 0)
			return -X_EWAIT;
		n = memory_hold(m, at, ask ? 1 : pages - s->count, &s->frames[s->count]);
		if (!n) {
			err = memory_page(m, at, &s->frames[s->count]);
			if (err)
				return err;
			n = 1;
		}
		s->count += n;
	}
	return 0;
}

int64_t stream_transfer(struct memory *m, uint64_t buf, uint64_t len, uint64_t offset, bool write)
{
	uint64_t done = 0;

	while (done < len) {
		struct span s;
		int err;

		span_begin(&s, offset + done, len - done);
		err = hold_pages(m, (offset + done) >> PAGE_SHIFT, write, &s);
		span_cut(&s);
		if (span_copy_user(&s, buf + done, write))
			err = -X_EFAULT;
		done += s.bytes;
		if (err)
			return done ? (int64_t)done : err;
	}
	return (int64_t)done;
}

static int64_t stream_read(struct record *r, struct memory *m, uint64_t buf, uint64_t len, uint64_t offset)
{
	bool goes_on = offset == r->stream_next;
	int64_t n;

	if (offset >= m->content)
		return 0;
	if (m->read_ns == 0)
		m->read_ns = arch_time_ns();
	n = stream_transfer(m, buf, MIN(len, m->content - offset), offset, false);
	if (n <= 0)
		return n;
	r->stream_next = offset + (uint64_t)n;
	if (goes_on && !memory_slot(m, (r->stream_next >> PAGE_SHIFT) + AHEAD_PAGES))
		memory_ask(m, (r->stream_next >> PAGE_SHIFT) + AHEAD_PAGES);
	return n;
}

static int64_t stream_write(struct memory *m, uint64_t buf, uint64_t len, uint64_t offset)
{
	if (m->ask_writes || len > m->content || offset > m->content - len)
		return -X_EWAIT;
	m->written_ns = arch_time_ns();
	return stream_transfer(m, buf, len, offset, true);
}

int64_t sys_stream(uint32_t h, uint32_t op, uint64_t buf, uint64_t len, int64_t offset, uint64_t from)
{
	bool cursor = offset < 0;
	const struct handle *held = handle_slot(&current_process()->handles, h);
	const struct record *of;
	struct record *r;
	struct memory *m;
	int64_t n;

	if (!held || held->object->type != X_TYPE_OBJECT || !(held->rights & X_R_CALL))
		return -X_EWAIT; /* the call says why */
	r = container_of(held->object, struct record, obj);
	of = r->origin ? r->origin : r;
	m = of->stream;
	if (cursor && (!m || (op & X_STREAM_FLOW)))
		return flow_move(r, op, buf, len, from);
	if (!m || !r->port || !(of->stream_flags & op) || (cursor && r->cursor_user) ||
	    ((op & X_STREAM_WRITE) && (r->status_flags & of->stream_refuse)))
		return -X_EWAIT;
	len = MIN(len, X_STREAM_MAX);
	object_ref(&r->obj);
	object_ref(&m->obj);
	if (cursor) {
		r->cursor_user = current();
		offset = (int64_t)r->cursor;
	}
	n = op & X_STREAM_WRITE ? stream_write(m, buf, len, (uint64_t)offset)
				: stream_read(r, m, buf, len, (uint64_t)offset);
	if (cursor) {
		if (n > 0)
			r->cursor = (uint64_t)(offset + n);
		r->cursor_user = NULL;
		waitq_wake_all(&r->cursor_wait, 0);
	}
	object_unref(&m->obj);
	object_unref(&r->obj);
	return n;
}
