/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports: what lies in them, commit and receive.
 */
#include "call.h"
#include "trace.h"

/* --------------------------------------------------------------------- ports */

static void port_destroy(struct object *o)
{
	struct port *p = container_of(o, struct port, obj);

	/* Calls and records hold references, so there are none. */
	while (!list_empty(&p->paged))
		memory_pager_gone(list_first(&p->paged, struct memory, pager_link));
	while (!list_empty(&p->bindings))
		unbind(container_of(p->bindings.next, struct object, binding.port_link));
	kfree(p);
}

static const struct object_ops port_ops = { .destroy = port_destroy };

int port_create(struct port **out)
{
	struct port *p = kzalloc(sizeof(*p));

	if (!p)
		return -X_ENOMEM;
	object_init(&p->obj, X_TYPE_PORT, &port_ops);
	list_init(&p->items);
	list_init(&p->crowd);
	list_init(&p->delivered);
	list_init(&p->pages);
	list_init(&p->pages_delivered);
	for (uint32_t i = 0; i < CALL_BUCKETS; i++) {
		list_init(&p->open_calls[i]);
		list_init(&p->records[i]);
	}
	list_init(&p->started);
	list_init(&p->bindings);
	list_init(&p->paged);
	list_init(&p->dirty);
	p->dirty_limit = UINT64_MAX;
	waitq_init(&p->receivers);
	*out = p;
	return 0;
}

static void port_forget_records(struct port *p)
{
	for (uint32_t i = 0; i < CALL_BUCKETS; i++) {
		while (!list_empty(&p->records[i])) {
			struct record *r = list_first(&p->records[i], struct record, hash_link);

			object_ref(&r->obj);
			record_forget(r);
			record_set_ready(r, X_READY_DEAD | X_READY_ERR | X_READY_HUP,
					 X_READY_DEAD | X_READY_ERR | X_READY_HUP, 0);
			waitq_wake_all(&r->cursor_wait, 0);
			flows_wake(r);
			object_unref(&r->obj);
		}
	}
}

/*
 * Open calls, and queued ones that were tried or whose object is stale; all: the other queued ones
 * too. The queue is walked before anything is failed: what a failed call held
 * may take other items with it as it goes.
 */
static void calls_doom(const struct list *queued, bool all, struct list *doomed)
{
	list_for_each(it, queued, struct item, link) {
		struct call *c = container_of(it, struct call, item);

		if (it->kind != X_IN_CALL || (c->record && c->record->port) || (!c->record && !all && !c->tried))
			continue;
		list_remove(&it->link);
		list_push_back(doomed, &it->link);
	}
}

static void port_fail_calls(struct port *p, bool all)
{
	struct list doomed;

	for (uint32_t i = 0; i < CALL_BUCKETS; i++)
		while (!list_empty(&p->open_calls[i]))
			call_fail_when_quiet(list_first(&p->open_calls[i], struct call, open_link));
	list_init(&doomed);
	calls_doom(&p->items, all, &doomed);
	calls_doom(&p->crowd, all, &doomed);
	while (!list_empty(&doomed)) /* each leaves the list as it ends */
		call_fail_when_quiet(list_first(&doomed, struct call, item.link));
}

static void port_forget_started(struct port *p)
{
	while (!list_empty(&p->started)) {
		struct call *c = list_first(&p->started, struct call, origin_link);

		if (c->state == CALL_DONE)
			call_free(c);
		else
			call_orphan(c);
	}
}

/*
 * Cold start: nothing of the old incarnation stays but the port and the calls
 * that it never saw. Failing a call may run the caller's side later, never
 * here, so the lists are stable.
 */
void port_reset(struct port *p)
{
	object_ref(&p->obj);
	port_forget_records(p);
	routes_go_home(p);
	port_fail_calls(p, false);
	port_forget_started(p);
	while (!list_empty(&p->bindings))
		unbind(container_of(p->bindings.next, struct object, binding.port_link));
	while (!list_empty(&p->paged))
		memory_pager_gone(list_first(&p->paged, struct memory, pager_link));
	p->iteration_ns = 0;
	object_unref(&p->obj);
}

/* ------------------------------------------- consumed at commit, or given back */

/* What was received before the commit that now takes effect. */
static void port_settle(struct port *p)
{
	while (!list_empty(&p->delivered)) {
		struct item *it = list_first(&p->delivered, struct item, link);
		struct call *c;
		struct binding *b;

		port_unqueue(p, it);
		switch (it->kind) {
		case X_IN_CALL:
			call_drop_handles(container_of(it, struct call, item));
			break;
		case X_IN_REPLY:
			call_free(container_of(it, struct call, reply_item));
			break;
		case X_IN_CANCEL:
			c = container_of(it, struct call, cancel_item);
			if (c->orphan)
				call_free(c);
			break;
		case X_IN_EVENT:
			b = container_of(it, struct binding, item);
			b->taken = 0;
			if (b->bits)
				port_queue(p, it);
			break;
		case X_IN_FLOW:
			flow_settled(it);
			break;
		}
	}
	while (!list_empty(&p->pages_delivered))
		list_remove(p->pages_delivered.next);
}

/* The call goes back; or, with its caller gone, nowhere. */
static void call_untake(struct call *c)
{
	if (c->orphan) {
		call_free(c);
		return;
	}
	list_remove(&c->open_link);
	c->port->open_count--;
	c->state = CALL_QUEUED;
	c->lent = 0;
	c->tried = true;
}

/*
 * The reader is restarted in place: what it had received since its last commit
 * is queued again, ahead of the rest and in order; what it had minted and bound
 * since then is no more.
 */
void port_undo(struct port *p, const struct process *reader)
{
	if (p->reader != reader->obj.koid)
		return;
	object_ref(&p->obj);
	for (uint32_t i = 0; i < CALL_BUCKETS; i++)
		list_for_each(r, &p->records[i], struct record, hash_link)
			if (r->born == p->epoch)
				record_forget(r);
	/* The newest are last; a lost readiness of theirs is posted anew by the next to bind. */
	while (!list_empty(&p->bindings)) {
		struct object *o = container_of(p->bindings.prev, struct object, binding.port_link);

		if (o->binding.born != p->epoch)
			break;
		unbind(o);
	}
	while (!list_empty(&p->delivered)) {
		struct item *it = container_of(p->delivered.prev, struct item, link);
		struct binding *b = container_of(it, struct binding, item);

		port_unqueue(p, it);
		it->behind = false;
		list_push_front(&p->items, &it->link);
		p->item_count++;
		if (it->kind == X_IN_CALL) {
			call_untake(container_of(it, struct call, item));
			p->redelivered++;
		} else if (it->kind == X_IN_EVENT) {
			b->bits |= b->taken;
			b->taken = 0;
		}
	}
	while (!list_empty(&p->pages_delivered)) {
		struct list *page = p->pages_delivered.prev;

		list_remove(page);
		list_push_front(&p->pages, page);
	}
	p->iteration_ns = 0;
	object_unref(&p->obj);
}

/* With the last handle that could read it, a port is over for its callers. */
void port_reader_gone(struct port *p)
{
	KASSERT(p->reader_handles > 0);
	if (--p->reader_handles > 0)
		return;
	port_reset(p);
	port_fail_calls(p, true);
}

static uint64_t oldest_queued_ns(const struct port *p)
{
	uint64_t front = list_empty(&p->items) ? X_FOREVER : list_first(&p->items, struct item, link)->queued_ns;
	uint64_t behind = list_empty(&p->crowd) ? X_FOREVER : list_first(&p->crowd, struct item, link)->queued_ns;

	return p->item_count ? MIN(front, behind) : 0;
}

int64_t sys_port_info(uint32_t h, uint64_t user_info)
{
	int err;
	struct object *o = handle_get(h, X_TYPE_PORT, X_R_RECEIVE, &err);
	struct x_port_info info = { 0 };
	struct port *p;

	if (!o)
		return err;
	p = container_of(o, struct port, obj);
	info.epoch = p->epoch;
	info.queued = p->item_count;
	info.open_calls = p->open_count;
	info.oldest_queued_ns = oldest_queued_ns(p);
	for (uint32_t i = 0; p->open_count && i < CALL_BUCKETS; i++)
		list_for_each(c, &p->open_calls[i], struct call, open_link)
			if (!info.oldest_open_ns || c->taken_ns < info.oldest_open_ns)
				info.oldest_open_ns = c->taken_ns;
	info.iteration_ns = p->iteration_ns;
	info.delivered = p->received;
	info.redelivered = p->redelivered;
	info.page_hits = p->page_hits;
	info.page_requests = p->page_requests;
	info.dirty_pages = p->dirty_pages;
	object_unref(o);
	return copy_to_user(user_info, &info, sizeof(info));
}

/* --------------------------------------------------------------------- commit */

/* An entry, but for windows and handles that it does not have. */
static int out_read(const struct x_commit *c, uint32_t i, struct x_out *o)
{
	uint64_t at = c->out + i * sizeof(*o);
	int err = copy_from_user(o, at, offsetof(struct x_out, win));

	if (!err && o->win_count)
		err = copy_from_user(o->win, at + offsetof(struct x_out, win), sizeof(o->win));
	if (!err && o->handle_count)
		err = copy_from_user(o->handles, at + offsetof(struct x_out, handles), sizeof(o->handles));
	if (!err && (o->kind == X_OUT_READY || (o->kind == X_OUT_SIGNAL && o->addr)))
		err = copy_from_user(&o->pulse, at + offsetof(struct x_out, pulse), sizeof(o->pulse));
	return err;
}

/* An ANSWER's data goes into the caller's window ahead of the commit point:
 * until the answer comes, the window's contents are nobody's business. */
static int check_answer(struct port *p, const struct x_out *o)
{
	struct call *call = port_find_call(p, o->id);
	struct handle h;
	int64_t n;

	for (uint32_t i = 0; i < o->handle_count; i++) {
		if (handle_lookup(o->handles[i], &h))
			return -X_EBADF;
		if (!handle_may_travel(&h))
			return -X_ERIGHTS;
	}
	if (!call || !o->copy_len || call->orphan)
		return 0;
	n = port_window_copy(p, o->id, o->copy_window, 0, o->copy_src, o->copy_len, true);
	return n < 0 && n != -X_ENOENT ? n : 0; /* the caller may have died meanwhile */
}

static int check_out(struct port *p, const struct x_out *o)
{
	struct handle h;

	if (o->handle_count > X_MAX_HANDLES || o->win_count > X_MAX_WINDOWS)
		return -X_EINVAL;
	switch (o->kind) {
	case X_OUT_ANSWER:
		return check_answer(p, o);
	case X_OUT_START:
		if (p->started_count >= STARTED_MAX && (current_process()->flags & X_PROC_LINUX))
			return -X_EAGAIN;
		if (!account_has_kernel(current_process()->account, sizeof(struct call)))
			return -X_ENOMEM;
		for (uint32_t i = 0; i < o->handle_count; i++)
			if (handle_lookup(o->handles[i], &h))
				return -X_EBADF;
		return 0; /* a bad target answers, like a vanished one */
	case X_OUT_SIGNAL:
		if (handle_lookup(o->target, &h))
			return 0;
		return h.object->type == X_TYPE_EVENT && (h.rights & X_R_WRITE) ? 0 : -X_EWRONGTYPE;
	case X_OUT_STORE32:
		return o->addr & 3 ? -X_EINVAL : 0;
	case X_OUT_CANCEL:
	case X_OUT_CLOSE:
	case X_OUT_READY:
	case X_OUT_CLOSURE_ACK:
		return 0;
	case X_OUT_DO:
		return syscall_may_defer(o->id) ? 0 : -X_EINVAL;
	case X_OUT_FLOW:
		return flow_check(p, o);
	}
	return -X_EINVAL;
}

/* Moves the handles of an answer that may travel into the call; NULL: away. */
void answer_take_handles(struct call *c, const struct x_out *o)
{
	KASSERT(!c || c->handle_count == 0); /* delivered when it was taken */
	for (uint32_t i = 0; i < o->handle_count; i++) {
		const struct handle *h = handle_slot(&current_process()->handles, o->handles[i]);
		struct handle moved;

		if (!h || !handle_may_travel(h))
			continue;
		handle_remove(current_process(), o->handles[i], &moved);
		if (c)
			c->handles[c->handle_count++] = moved;
		else
			handle_drop(moved);
	}
}

static void apply_answer(struct port *p, struct x_out *o)
{
	struct call *c = port_find_call(p, o->id);

	if (o->handle_count)
		answer_take_handles(c, o);
	if (!c)
		return;
	if ((o->flags & X_ANSWER_HOME) && c->via) {
		route_go_home(c);
		return;
	}
	if ((o->flags & X_ANSWER_CURSOR) && c->record)
		c->record->cursor = o->value;
	call_complete(c, &o->msg);
}

/* A started call that can't even begin is answered with the reason. */
static void apply_start(struct port *p, struct x_out *o, struct list *spare)
{
	struct call *c = list_first(spare, struct call, origin_link);
	int err;

	list_remove(&c->origin_link);
	c->cookie = o->id;
	c->flags = o->flags;
	c->msg = o->msg;
	err = call_target(c, o->target);
	if (!err)
		err = call_pin_windows(c, o->win, o->win_count);
	/* Only now is it the port's, for pinning may have blocked, and the port been
	 * reset, or lost its last reader. */
	if (!p->reader_handles) {
		call_free(c);
		return;
	}
	c->origin = p;
	c->payer = current_process()->account;
	account_add_kernel(c->payer, sizeof(*c));
	p->started_count++;
	object_ref(&p->obj);
	list_push_back(&p->started, &c->origin_link);
	if (!err)
		err = call_target_gone(c);
	if (!err)
		err = call_take_handles(c, o->handles, o->handle_count, o->flags & X_CALL_MOVE);
	if (err) {
		call_fail(c, err);
	} else {
		trace_call(c);
		c->item.behind = p->started_count > STARTED_IN_FRONT && (current_process()->flags & X_PROC_LINUX);
		port_queue(c->port, &c->item);
	}
}

/* The entry may have been read a second time, and changed since it was checked:
 * what could harm the kernel or exceed rights is checked again, the rest is not. */
/* Did an index go past the one that its reader wants to be told of? A full fence between the
 * store of the index and this: the reader stores what it wants, then looks at the index. */
static bool signal_wanted(const struct x_out *o)
{
	uint32_t event;

	if (!o->addr)
		return true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return copy_from_user(&event, o->addr, sizeof(event)) || o->pulse - event - 1 < o->pulse - o->mask;
}

static void apply_out(struct port *p, struct x_out *o, struct list *spare)
{
	struct handle h;
	int64_t result;
	struct record *r;

	if (o->handle_count > X_MAX_HANDLES || o->win_count > X_MAX_WINDOWS)
		return;
	switch (o->kind) {
	case X_OUT_ANSWER:
		apply_answer(p, o);
		break;
	case X_OUT_START:
		if (!list_empty(spare))
			apply_start(p, o, spare);
		break;
	case X_OUT_CANCEL:
		call_cancel_started(p, o->id);
		break;
	case X_OUT_SIGNAL:
		if (signal_wanted(o) && !handle_lookup(o->target, &h) && h.object->type == X_TYPE_EVENT &&
		    (h.rights & X_R_WRITE))
			event_signal(h.object, o->value);
		break;
	case X_OUT_CLOSE:
		if (!handle_remove(current_process(), o->target, &h))
			handle_drop(h);
		break;
	case X_OUT_READY:
		r = record_find(p, o->id);
		if (r)
			record_set_ready(r, o->mask, o->value, o->pulse);
		break;
	case X_OUT_CLOSURE_ACK:
		r = record_find(p, o->id);
		if (r && r->closing && list_empty(&r->closure.link))
			record_forget(r);
		break;
	case X_OUT_STORE32:
		copy_to_user(o->addr, &(uint32_t){ o->value }, sizeof(uint32_t));
		break;
	case X_OUT_DO:
		result = syscall_deferred(o->id, o->msg.a);
		if (o->addr)
			copy_to_user(o->addr, &result, sizeof(result));
		break;
	case X_OUT_FLOW:
		flow_apply(p, o);
		break;
	}
}

/* Memory for the calls that the outbox starts, so that applying it can't fail
 * (RECOVERY.md 17). When there is none the commit waits for it. */
static void reserve_call(struct list *spare)
{
	struct call *c;

	while (!(c = call_create()) && !current()->killed)
		thread_wait(NULL, arch_time_ns() + 1000000, 0);
	if (c)
		list_push_back(spare, &c->origin_link);
}

static void drop_spare_calls(struct list *spare)
{
	while (!list_empty(spare))
		call_free(list_first(spare, struct call, origin_link));
}

#define FEW_OUT 4u

/* Check all, then apply all: nothing of a malformed outbox takes effect. */
int port_commit(struct port *p, struct x_commit *c)
{
	struct list spare; /* calls for what the outbox starts, by origin_link */
	struct x_out few[FEW_OUT]; /* a long outbox is read again */
	uint32_t here = UINT32_MAX;
	bool leave;

	list_init(&spare);
	for (uint32_t i = 0; i < c->out_count; i++) {
		struct x_out *o = &few[i % FEW_OUT];
		int err = out_read(c, i, o);

		if (!err)
			err = check_out(p, o);
		if (o->kind == X_OUT_ANSWER)
			here = i;
		if (!err && o->kind == X_OUT_START)
			reserve_call(&spare);
		if (err || current()->killed) {
			drop_spare_calls(&spare);
			c->out_error = err;
			c->out_error_at = i;
			return -X_EPROTO;
		}
	}
	port_commit_point(p);
	port_settle(p);
	/* Whoever is answered last runs here at once if we are to block, if nobody is answered
	 * whoever is woken first; others elsewhere. */
	leave = c->in_max && !p->item_count && list_empty(&p->pages);
	for (uint32_t i = 0; i < c->out_count; i++) {
		current()->leaving = leave && (here == UINT32_MAX || here == i);
		if (c->out_count <= FEW_OUT || !out_read(c, i, &few[i % FEW_OUT]))
			apply_out(p, &few[i % FEW_OUT], &spare);
	}
	current()->leaving = false;
	drop_spare_calls(&spare); /* none, unless the outbox changed under our eyes */
	return 0;
}

/* -------------------------------------------------------------------- receive */

/* All of them or none. The call keeps its own until the commit. */
static int deliver_handles(struct call *c, struct x_in *in)
{
	struct process *me = current_process();

	for (uint32_t i = 0; i < c->handle_count; i++) {
		struct handle h = handle_hold(c->handles[i].object, c->handles[i].rights);
		int64_t slot = handle_install(me, h, X_SLOT_NATIVE, X_SLOT_MAX);

		if (slot < 0) {
			handle_drop(h);
			while (i--)
				if (!handle_remove(me, in->handles[i], &h))
					handle_drop(h);
			return slot;
		}
		in->handles[i] = slot;
	}
	in->handle_count = c->handle_count;
	return 0;
}

static bool deliver_call(struct call *c, struct x_in *in)
{
	call_tell(c, arch_time_ns());
	*in = c->in;
	in->handle_count = 0;
	if (c->handle_count && deliver_handles(c, in)) {
		call_fail(c, -X_EMFILE);
		return false;
	}
	return true;
}

static void deliver_reply(struct call *c, struct x_in *in)
{
	in->id = c->cookie;
	in->msg = c->msg;
	if (deliver_handles(c, in))
		in->msg.status = -X_EMFILE;
}

static bool deliver_item(struct port *p, struct item *it, struct x_in *in)
{
	struct record *r;
	struct binding *b;

	if (it->kind == X_IN_CALL && route_is_stale(container_of(it, struct call, item))) {
		route_go_home(container_of(it, struct call, item));
		return false;
	}
	port_unqueue(p, it);
	if (it->kind == X_IN_CALL)
		return deliver_call(container_of(it, struct call, item), in);
	it->delivered = true;
	list_push_back(&p->delivered, &it->link);
	memset(in, 0, sizeof(*in));
	in->kind = it->kind;
	switch (it->kind) {
	case X_IN_REPLY:
		deliver_reply(container_of(it, struct call, reply_item), in);
		return true;
	case X_IN_CANCEL:
		in->id = container_of(it, struct call, cancel_item)->id;
		return true;
	case X_IN_EVENT:
		b = container_of(it, struct binding, item);
		in->id = b->cookie;
		in->msg.a[0] = b->taken = b->bits;
		b->bits = 0;
		return true;
	case X_IN_CLOSURE:
		r = container_of(it, struct record, closure);
		in->object = r->id;
		in->msg.a[0] = r->mints;
		return true;
	case X_IN_FLOW:
		flow_deliver(it, in);
		return true;
	}
	return false;
}

static void deliver_page(struct page_request *r, struct x_in *in)
{
	memset(in, 0, sizeof(*in));
	in->kind = X_IN_PAGE;
	in->object = r->memory->pager_id;
	in->msg.a[0] = r->offset;
	in->msg.a[1] = r->bytes;
	in->msg.a[2] = r->write;
	list_remove(&r->item_link);
	list_push_back(&r->memory->pager->pages_delivered, &r->item_link);
}

int port_post_page(struct port *p, struct memory *m, struct page_request *r)
{
	(void)m;
	p->page_requests++;
	list_push_back(&p->pages, &r->item_link);
	current()->leaving = true; /* until the page has come */
	if (waitq_first(&p->receivers))
		thread_wake(waitq_first(&p->receivers), 0);
	current()->leaving = false;
	return 0;
}

/* One in four is from behind, and all if there is nothing else. */
static struct item *next_item(const struct port *p)
{
	const struct list *from = &p->items;

	if (list_empty(from) || (!list_empty(&p->crowd) && (p->received & 3) == 2))
		from = &p->crowd;
	return list_first(from, struct item, link);
}

#define BEHIND_MAX 8u /* of one batch: who comes to the front meanwhile waits for those */

int64_t port_receive(struct port *p, const struct x_commit *c)
{
	uint32_t n = 0, behind = 0;

	while (n < c->in_max && behind < BEHIND_MAX) {
		struct x_in in;
		struct item *it;

		/* By turns: threads that fault without end must not shut calls out. */
		if (!list_empty(&p->pages) && (!p->item_count || (p->received & 1))) {
			deliver_page(list_first(&p->pages, struct page_request, item_link), &in);
		} else if (!p->item_count) {
			break;
		} else {
			it = next_item(p);
			behind += it->behind;
			if (!deliver_item(p, it, &in))
				continue;
		}
		if (copy_to_user(c->in + n * sizeof(in), &in, sizeof(in)))
			return -X_EFAULT;
		n++;
		p->received++;
	}
	return n;
}
