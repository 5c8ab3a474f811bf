/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams: reads and writes of open files that need no server, because the
 * content is a memory object's (content.c) and the pages are there. A read
 * waits for pages that are missing, as a fault does, and while it goes on
 * where the last one ended, asks for what comes next before it is wanted.
 */
#include "port.h"
#include "span.h"
#include "kernel/arch/x86_64/arch.h"

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

static int copy_little(paddr_t frame, uint64_t buf, uint64_t len, uint64_t offset, bool write)
{
	char *at = (char *)phys_to_virt(frame) + offset % PAGE_SIZE;
	int err;

	frame_ref(frame); /* the copy may block */
	err = write ? copy_from_user(at, buf, len) : copy_to_user(buf, at, len);
	frame_unref(frame);
	return err;
}

int64_t stream_transfer(struct memory *m, uint64_t buf, uint64_t len, uint64_t offset, bool write)
{
	const uint64_t *slot = NULL;
	uint64_t done = 0;

	if (len < LEAVE_BYTES && offset % PAGE_SIZE + len <= PAGE_SIZE && !(m->flags & X_MEM_PAGED))
		slot = memory_slot(m, offset >> PAGE_SHIFT);
	if (slot)
		return copy_little(*slot & ~PAGE_STATE, buf, len, offset, write) ? -X_EFAULT : (int64_t)len;
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

/* What a handle names, and, unless NULL, the content that the operation may be done on without its server. */
static struct record *stream_find(uint32_t h, uint32_t op, bool cursor, struct memory **m)
{
	const struct handle *held = handle_slot(&current_process()->handles, h);
	const struct record *of;
	struct record *r;

	if (!held || held->object->type != X_TYPE_OBJECT || !(held->rights & X_R_CALL))
		return NULL;
	r = container_of(held->object, struct record, obj);
	of = r->origin ? r->origin : r;
	*m = of->stream;
	if (cursor && (!*m || (op & X_STREAM_FLOW)))
		*m = NULL;
	else if (!*m || !r->port || !(of->stream_flags & op) || ((op & X_STREAM_WRITE) && (r->status_flags & of->stream_refuse)))
		return NULL;
	return r;
}

/*
 * With the kernel lock shared, what needs nobody: the pages are there on both sides, and
 * are to be written to already. Neither tree nor page nor object can go meanwhile; what others
 * who share it change is the cursor, which one has at a time, and what is a hint.
 */
#define SHARED_BYTES (4u * PAGE_SIZE) /* who wants the lock alone waits for so many at most */

static bool copy_shared(const struct memory *m, uint64_t buf, uint64_t len, uint64_t offset, bool write)
{
	uint64_t pages = 0;

	for (uint64_t done = 0, part; done < len; done += part, pages++) {
		uint64_t at = offset + done, *slot = memory_slot(m, at >> PAGE_SHIFT);
		char *page;

		if (!slot || (write && (~*slot & (PAGE_BACKED | PAGE_DIRTY))))
			return false;
		part = MIN(PAGE_SIZE - at % PAGE_SIZE, len - done);
		page = (char *)phys_to_virt(*slot & ~PAGE_STATE) + at % PAGE_SIZE;
		if (write ? copy_from_user(page, buf + done, part) : copy_to_user(buf + done, page, part))
			return false;
		if (!(*slot & PAGE_USED))
			*slot |= PAGE_USED; /* all who share do the same, and nobody else is here */
	}
	__atomic_fetch_add(&m->pager->page_hits, pages, __ATOMIC_RELAXED);
	this_cpu()->moved_bytes += len;
	return true;
}

/* What comes next is there, or not to be asked for. */
static bool needs_no_more(const struct record *r, const struct memory *m, uint64_t from, uint64_t to)
{
	uint64_t ahead = (to >> PAGE_SHIFT) + AHEAD_PAGES;

	return from != r->stream_next || ahead >= m->pages || memory_slot(m, ahead);
}

/* The bytes, or -X_EWAIT: nothing has changed, it is to be done exclusively. */
static int64_t stream_shared(struct record *r, struct memory *m, uint32_t op, uint64_t buf, uint64_t len, int64_t offset)
{
	bool cursor = offset < 0, write = op & X_STREAM_WRITE, done;
	const void *nobody = NULL;

	if (!m->pager || len > SHARED_BYTES || (write && m->ask_writes))
		return -X_EWAIT;
	if (cursor && !__atomic_compare_exchange_n(&r->cursor_user, &nobody, current(), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -X_EWAIT;
	if (cursor)
		offset = (int64_t)r->cursor;
	if (!write)
		len = (uint64_t)offset < m->content ? MIN(len, m->content - (uint64_t)offset) : 0;
	done = !write ? needs_no_more(r, m, (uint64_t)offset, (uint64_t)offset + len) :
			len <= m->content && (uint64_t)offset <= m->content - len;
	done = done && copy_shared(m, buf, len, (uint64_t)offset, write);
	if (done && len) {
		if (write)
			m->written_ns = arch_time_ns();
		else if (!m->read_ns)
			m->read_ns = arch_time_ns();
		if (!write)
			r->stream_next = (uint64_t)offset + len;
		if (cursor)
			r->cursor = (uint64_t)offset + len;
	}
	if (cursor) /* nobody has begun to wait for it: that is done exclusively */
		__atomic_store_n(&r->cursor_user, NULL, __ATOMIC_RELEASE);
	return done ? (int64_t)len : -X_EWAIT;
}

int64_t sys_stream(uint32_t h, uint32_t op, uint64_t buf, uint64_t len, int64_t offset, uint64_t from)
{
	bool cursor = offset < 0;
	struct memory *m;
	struct record *r;
	int64_t n;

	do {
		r = stream_find(h, op, cursor, &m);
		if (!r)
			return -X_EWAIT; /* the call says why */
		if (m && this_cpu()->sharing) {
			n = stream_shared(r, m, op, buf, len, offset);
			if (n != -X_EWAIT)
				return n;
		}
	} while (!kernel_exclusive());
	if (!m)
		return flow_move(r, op, buf, len, from);
	if (cursor && r->cursor_user)
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
