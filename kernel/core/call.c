/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls: making, delivering, answering, cancelling (states in port.h).
 */
#include "call.h"
#include "resource.h"
#include "sched.h"
#include "span.h"
#include "trace.h"

#define HELD_NS 30000000000ull /* for the driver's return */

uint64_t next_call_id = 1;
struct call *kept_calls[CALLS_KEPT + 1]; /* the last is never used */
uint32_t kept_count;

struct call *call_make(void)
{
	struct call *c = kmalloc_for(&kernel_account, sizeof(*c)); /* others use it after us */

	if (!c)
		return NULL;
	memset(c, 0, offsetof(struct call, win));
	list_init(&c->item.link);
	list_init(&c->cancel_item.link);
	list_init(&c->reply_item.link);
	list_init(&c->open_link);
	list_init(&c->origin_link);
	c->item.kind = c->kind = X_IN_CALL;
	c->cancel_item.kind = X_IN_CANCEL;
	c->reply_item.kind = X_IN_REPLY;
	return c;
}

struct call *port_find_call(struct port *p, uint64_t id)
{
	return call_find(p, id);
}

/* A device that still uses the window gets its frames. */
static void window_pass_on(struct call_window *w)
{
	struct dma_window *dma = w->dma;

	w->dma = NULL;
	dma->of = NULL;
	if (w->frames != w->inline_frames)
		return;
	memcpy(dma->inline_frames, w->inline_frames, sizeof(dma->inline_frames));
	dma->frames = dma->inline_frames;
}

void call_close_windows(struct call *c)
{
	for (uint32_t i = 0; i < c->win_count; i++) {
		struct call_window *w = &c->win[i];

		if (w->dma) {
			window_pass_on(w);
		} else {
			frames_unref(w->frames, w->frame_count);
			if (w->frames != w->inline_frames)
				kfree(w->frames);
		}
		w->frames = w->inline_frames;
		w->frame_count = 0;
		w->len = 0;
	}
	clear_words(c->in.win, sizeof(c->in.win));
}

/* Dropping a handle may end a port or a process, and with it other calls, this
 * one too: it must not look as if it still had what is being dropped. */
void call_drop_handles(struct call *c)
{
	struct handle dropped[X_MAX_HANDLES];
	uint32_t count = c->handle_count;

	if (!count)
		return;
	memcpy(dropped, c->handles, count * sizeof(dropped[0]));
	c->handle_count = 0;
	while (count)
		handle_drop(dropped[--count]);
}

/* Lets the next user of the object's cursor go on. */
void call_release_cursor(struct call *c)
{
	c->record->cursor_user = NULL;
	waitq_wake_all(&c->record->cursor_wait, 0);
}

/* With the answer the server has no part in it any more. */
void call_leave_server(struct call *c)
{
	call_leave_port(c);
	if (c->record && c->record->cursor_user == c)
		call_release_cursor(c);
	if (c->win_count)
		call_close_windows(c);
}

/* It leaves all lists before any of its references goes: see call_drop_handles. */
void call_free(struct call *c)
{
	if (c->state != CALL_DONE)
		call_leave_server(c);
	if (!list_empty(&c->origin_link)) /* also one in reserve: commit() */
		list_remove(&c->origin_link);
	if (c->origin)
		port_unqueue(c->origin, &c->reply_item);
	if (c->handle_count)
		call_drop_handles(c);
	if (c->origin) {
		c->origin->started_count--;
		object_unref(&c->origin->obj);
		c->origin = NULL;
	}
	if (c->payer)
		account_sub_kernel(c->payer, sizeof(*c));
	c->payer = NULL;
	call_end(c);
}

int call_pin_windows(struct call *c, const struct x_window *win, uint32_t count)
{
	struct space *space = current_process()->space;

	for (uint32_t i = 0; i < count; i++) {
		struct call_window *w = &c->win[i];
		uint32_t pages;
		uint64_t pinned;

		w->frames = w->inline_frames;
		w->frame_count = w->len = w->flags = w->page_offset = 0;
		w->dma = NULL;
		c->win_count = i + 1;
		if (win[i].len > X_WINDOW_MAX || (win[i].flags & ~(X_WIN_READ | X_WIN_WRITE)))
			return -X_EINVAL;
		w->flags = c->in.win[i].flags = win[i].flags;
		if (win[i].len == 0)
			continue;
		w->page_offset = win[i].addr & (PAGE_SIZE - 1);
		pages = (w->page_offset + win[i].len + PAGE_SIZE - 1) / PAGE_SIZE;
		if (pages > ARRAY_SIZE(w->inline_frames)) {
			w->frames = kmalloc(pages * sizeof(paddr_t));
			if (!w->frames) {
				w->frames = w->inline_frames;
				return -X_ENOMEM;
			}
		}
		pinned = space_pin(space, win[i].addr, win[i].len, w->flags & X_WIN_WRITE, w->frames);
		w->len = MIN(pinned, win[i].len);
		c->in.win[i].len = w->len;
		if (w->len)
			w->frame_count = (w->page_offset + w->len + PAGE_SIZE - 1) / PAGE_SIZE;
	}
	return 0;
}

int call_take_handles(struct call *c, const uint32_t *slots, uint32_t count, bool move)
{
	struct handle h;

	for (uint32_t i = 0; i < count; i++) {
		int err = handle_lookup(slots[i], &h);

		if (err)
			return err;
		if (!handle_may_travel(&h))
			return -X_ERIGHTS;
		if (move)
			handle_remove(current_process(), slots[i], &c->handles[i]);
		else
			c->handles[i] = handle_hold(h.object, h.rights);
		c->handles[i].cloexec = 0;
		c->handle_count = i + 1;
	}
	return 0;
}

void port_queue_quietly(struct port *p, struct item *i)
{
	i->queued_ns = arch_time_ns();
	list_push_back(i->behind ? &p->crowd : &p->items, &i->link);
	p->item_count++;
}

/*
 * What keeps a program with many threads, or many started calls, from being that many calls
 * ahead of all others: it has a few in front, in order of arrival, on all ports together; the
 * others wait behind, where receive() takes one in four (decision 60). Services are trusted
 * with more: each of theirs stands for a client.
 */
#ifndef CALLS_IN_FRONT /* tests have fewer threads */
#define CALLS_IN_FRONT 4u
#endif

static void call_line_up(struct call *c)
{
	struct process *me = current_process();

	if (!(me->flags & X_PROC_LINUX))
		return;
	if (me->calls_in_front >= CALLS_IN_FRONT) {
		c->item.behind = true;
	} else {
		c->item.few = &me->calls_in_front;
		me->calls_in_front++;
	}
}

void port_queue(struct port *p, struct item *i)
{
	struct thread *receiver = waitq_first(&p->receivers);

	port_queue_quietly(p, i);
	if (receiver)
		thread_wake(receiver, 0);
}

void port_queue_later(struct port *p, struct item *i)
{
	port_queue_quietly(p, i);
	sched_wake_later(p);
}

/* Ask the server to answer soon. The notice queues behind the call itself, so
 * that the server always sees the call first. */
void call_hurry(struct call *c)
{
	if (c->cancelled)
		return;
	c->cancelled = true;
	c->cancel_item.behind = c->state == CALL_QUEUED && c->item.behind;
	port_queue(c->port, &c->cancel_item);
}

/* The caller is gone or its deadline passed. True: the call has ended already
 * (it was never taken), and is the caller's to free. */
static bool call_cancel(struct call *c)
{
	if (c->state == CALL_DONE)
		return true;
	if (c->state == CALL_QUEUED) {
		call_leave_port(c);
		return true;
	}
	call_hurry(c);
	return false;
}

void call_orphan(struct call *c)
{
	c->thread = NULL;
	list_remove(&c->origin_link);
	if (c->origin) {
		c->origin->started_count--;
		object_unref(&c->origin->obj);
	}
	c->origin = NULL;
	if (call_cancel(c)) {
		call_free(c);
		return;
	}
	c->orphan = true;
	call_close_windows(c);
	if (c->record && c->record->cursor_user == c)
		call_release_cursor(c);
	/* The notice may have been delivered before: then nothing else ends it. */
	if (list_empty(&c->cancel_item.link))
		call_free(c);
}

/* The one place where a call ends with an answer. */
void call_complete(struct call *c, const struct x_msg *answer)
{
	call_leave_server(c);
	c->msg = *answer;
	c->state = CALL_DONE;
	trace_answer(c);
	if (c->orphan) {
		call_free(c);
	} else if (c->thread) {
		thread_wake(c->thread, 0);
	} else {
		list_remove(&c->origin_link);
		port_queue(c->origin, &c->reply_item);
		list_push_back(&c->origin->started, &c->origin_link);
	}
}

void call_fail(struct call *c, int status)
{
	struct x_msg answer = { .status = status };
	struct handle dropped[X_MAX_HANDLES];
	uint32_t count = c->handle_count;

	memcpy(dropped, c->handles, count * sizeof(dropped[0]));
	c->handle_count = 0;
	call_complete(c, &answer); /* c may be gone from here on */
	while (count)
		handle_drop(dropped[--count]);
}

static bool device_uses(const struct call *c)
{
	for (uint32_t i = 0; i < c->win_count; i++)
		if (c->win[i].dma)
			return true;
	return false;
}

/*
 * Whoever is told of an error takes the buffer as his again: a device must not write to it
 * then (RECOVERY.md 14). Its driver ends the use, or, if that has died, the next one's reset.
 * The call is no server's meanwhile; cancelling it does nothing, death ends it (call_orphan()).
 */
void call_fail_when_quiet(struct call *c)
{
	if (c->orphan || !device_uses(c)) {
		call_fail(c, -X_EDEAD);
		return;
	}
	call_leave_port(c);
	c->state = CALL_TAKEN;
	c->held = c->cancelled = true;
	if (c->thread)
		thread_wake(c->thread, 0); /* its wait has a deadline now */
	call_drop_handles(c); /* c may be gone from here on */
}

void call_device_done(struct call *c)
{
	struct x_msg answer = { .status = -X_EDEAD };

	if (!c->held || device_uses(c))
		return;
	c->held = false;
	call_complete(c, &answer);
}

void call_cancel_started(struct port *origin, uint64_t cookie)
{
	list_for_each(c, &origin->started, struct call, origin_link) {
		if (c->cookie != cookie || c->state == CALL_DONE)
			continue;
		if (call_cancel(c))
			call_fail(c, -X_ECANCELED);
		return;
	}
}

/* Wait for our turn at the object's cursor (like Linux's f_pos lock). */
int call_acquire_cursor(struct call *c, uint64_t deadline)
{
	while (c->record->cursor_user) {
		int err = thread_wait(&c->record->cursor_wait, deadline,
				      call_is_interruptible(c) ? WAIT_INTERRUPTIBLE : 0);

		if (err)
			return err;
		if (!c->record->port)
			return -X_ESTALE_HANDLE;
	}
	c->record->cursor_user = c;
	return 0;
}

/*
 * Block until answered. A notification asks the server to hurry: what can be
 * done at once is done (a write to a pipe with room is not interrupted just
 * because the server had not come to it yet), what would have to wait is
 * answered with -X_EINTR by the server. A deadline ends a call that was not
 * taken, and hurries one that was. Only death leaves a taken call behind, and the
 * end of our patience one that is held for a device whose driver does not return.
 */
int call_await(struct call *c, uint64_t deadline, bool handed_over)
{
	uint32_t flags = call_is_interruptible(c) ? WAIT_INTERRUPTIBLE : 0;
	bool held = false;

	if (!handed_over) {
		call_line_up(c);
		current()->leaving = true;
		port_queue(c->port, &c->item);
		current()->leaving = false;
	}
	while (c->state != CALL_DONE) {
		int err;

		if (c->held && !held) {
			held = true;
			deadline = arch_time_ns() + HELD_NS;
			flags = 0;
		}
		err = handed_over ? current()->wait_result : thread_wait(NULL, deadline, flags);
		handed_over = false;
		if (c->state == CALL_DONE)
			break;
		if (current()->killed) {
			call_orphan(c);
			return -X_ECANCELED;
		}
		if (err == -X_EINTR) {
			call_hurry(c);
		} else if (err && (held || call_cancel(c))) {
			call_leave_server(c);
			c->msg = (struct x_msg){ .status = held ? -X_EDEAD : err };
			c->state = CALL_DONE;
			trace_answer(c);
			call_drop_handles(c);
		}
		if (err) {
			flags = 0;
			deadline = err == -X_EINTR ? deadline : X_FOREVER;
		}
	}
	return 0;
}

/* Hand the answer's handles to the caller; all or none. */
static void call_receive_handles(struct call *c, const struct call_head *head, uint32_t *slots, uint32_t *count)
{
	*count = 0;
	for (uint32_t i = 0; i < c->handle_count; i++) {
		int64_t slot;

		c->handles[i].cloexec = !!(head->flags & X_CALL_CLOEXEC);
		slot = handle_install(current_process(), c->handles[i], head->recv_min, head->recv_end);
		if (slot < 0) {
			for (uint32_t k = 0; k < i; k++) {
				struct handle h;

				if (!handle_remove(current_process(), slots[k], &h))
					handle_drop(h);
			}
			for (uint32_t k = i; k < c->handle_count; k++)
				handle_drop(c->handles[k]);
			c->handle_count = 0;
			*count = 0;
			c->msg.status = slot;
			return;
		}
		slots[i] = slot;
		*count = i + 1;
	}
	c->handle_count = 0;
}

/* What follows the message in the caller's struct x_call, when handles were sent or come. */
int call_return_handles(struct call *c, uint64_t user_call, const struct call_head *head)
{
	struct x_call user;

	if (copy_from_user(user.handles, user_call + offsetof(struct x_call, handles), sizeof(user.handles))) {
		call_drop_handles(c);
		return -X_EFAULT;
	}
	user.win_count = head->win_count;
	call_receive_handles(c, head, user.handles, &user.handle_count);
	return copy_to_user(user_call + offsetof(struct x_call, handles), user.handles,
			    offsetof(struct x_call, flags) - offsetof(struct x_call, handles));
}

int call_give_windows(struct call *c, uint64_t user_call, uint32_t count)
{
	struct x_window win[X_MAX_WINDOWS];

	if (copy_from_user(win, user_call + offsetof(struct x_call, win), count * sizeof(win[0])))
		return -X_EFAULT;
	return call_pin_windows(c, win, count);
}

int call_give_handles(struct call *c, uint64_t user_call, const struct call_head *head)
{
	uint32_t slots[X_MAX_HANDLES];

	if (copy_from_user(slots, user_call + offsetof(struct x_call, handles), sizeof(slots)))
		return -X_EFAULT;
	return call_take_handles(c, slots, head->handle_count, head->flags & X_CALL_MOVE);
}

/* Room for len bytes at offset in the window: the part of it that exists. */
static uint64_t window_clip(const struct call_window *w, uint64_t offset, uint64_t len)
{
	if (offset >= w->len)
		return 0;
	return MIN(len, w->len - offset);
}

/* Pages of a part of the window, as far as it exists; bytes 0: nothing of it does. */
static void window_hold(const struct call_window *w, uint64_t offset, uint64_t len, struct span *s)
{
	uint64_t at = w->page_offset + offset;
	const paddr_t *frames = w->frames + at / PAGE_SIZE;
	uint32_t pages;

	span_begin(s, at, window_clip(w, offset, len));
	for (pages = s->bytes ? span_pages(s) : 0; s->count < pages; s->count++)
		frame_ref(s->frames[s->count] = frames[s->count]);
}

/* A window of an open call, with the rights to it. */
static int window_find(struct port *p, uint64_t id, uint32_t window, uint32_t right, struct call_window **w)
{
	struct call *c = port_find_call(p, id);

	if (!c)
		return -X_ENOENT;
	if (window >= c->win_count)
		return -X_EINVAL;
	*w = &c->win[window];
	return (*w)->flags & right ? 0 : -X_ERIGHTS;
}

/* The copies may block, and the calls end meanwhile: they are looked up each time. */
int64_t port_window_copy(struct port *p, uint64_t id, uint32_t window, uint64_t offset, uint64_t addr,
			 uint64_t len, bool to_window)
{
	uint64_t total = 0;

	for (;;) {
		struct call_window *w;
		struct span s;
		int err = window_find(p, id, window, to_window ? X_WIN_WRITE : X_WIN_READ, &w);

		if (err)
			return total ? (int64_t)total : err;
		if (offset + total < offset)
			return (int64_t)total;
		window_hold(w, offset + total, len - total, &s);
		if (!s.bytes)
			return (int64_t)total;
		if (span_copy_user(&s, addr + total, to_window))
			return -X_EFAULT;
		total += s.bytes;
		if (total == len)
			return (int64_t)total;
	}
}

/* From the part of the window that w names to that of the window that id2 names. */
static int64_t window_to_window(struct port *p, const struct x_window_copy *w)
{
	uint64_t total = 0;

	for (;;) {
		struct call_window *one, *other;
		struct span s, s2;
		int err = window_find(p, w->id, w->window, w->to_window ? X_WIN_WRITE : X_WIN_READ, &one);

		if (!err)
			err = window_find(p, w->id2, w->window2, w->to_window ? X_WIN_READ : X_WIN_WRITE, &other);
		if (err)
			return total ? (int64_t)total : err;
		if (w->offset + total < w->offset || w->addr + total < w->addr)
			return (int64_t)total;
		window_hold(one, w->offset + total, w->len - total, &s);
		window_hold(other, w->addr + total, w->len - total, &s2);
		span_copy(w->to_window ? &s : &s2, w->to_window ? &s2 : &s);
		if (!s.bytes)
			return (int64_t)total;
		total += s.bytes;
	}
}

/* Between a window and the content of a paged object. */
static int64_t window_to_content(struct port *p, struct memory *m, const struct x_window_copy *w)
{
	uint64_t state = w->window2 & X_COPY_BACKED ? PAGE_BACKED : 0, total = 0;

	if (!(m->flags & X_MEM_PAGED) || w->addr > UINT64_MAX - w->len)
		return -X_EINVAL;
	for (;;) {
		struct call_window *win;
		struct span window, content;
		int err = window_find(p, w->id, w->window, w->to_window ? X_WIN_WRITE : X_WIN_READ, &win);

		if (err)
			return total ? (int64_t)total : err;
		if (w->offset + total < w->offset)
			return (int64_t)total;
		window_hold(win, w->offset + total, w->len - total, &window);
		err = content_hold(m, w->addr + total, window.bytes, !w->to_window, state, &content);
		if (w->to_window)
			span_copy(&window, &content);
		else
			span_copy(&content, &window);
		total += content.bytes;
		if (err || !content.bytes)
			return err ? err : (int64_t)total;
	}
}

int64_t sys_window_copy(uint32_t port_handle, uint64_t user_copy)
{
	int err;
	struct object *o = handle_get(port_handle, X_TYPE_PORT, X_R_RECEIVE, &err), *m;
	struct x_window_copy w;
	struct port *p;
	int64_t n;

	if (!o)
		return err;
	p = container_of(o, struct port, obj);
	if (copy_from_user(&w, user_copy, sizeof(w))) {
		n = -X_EFAULT;
	} else if (w.memory) {
		m = handle_get(w.memory, X_TYPE_MEMORY, X_R_MANAGE, &err);
		n = m ? window_to_content(p, container_of(m, struct memory, obj), &w) : err;
		if (m)
			object_unref(m);
	} else if (w.id2) {
		n = window_to_window(p, &w);
	} else {
		n = port_window_copy(p, w.id, w.window, w.offset, w.addr, w.len, w.to_window);
	}
	object_unref(o);
	return n;
}

/* In the child: leave the call that forked it, with the answer meant for it. */
static void fork_child(struct thread *t)
{
	struct x_call user;
	struct call *c = t->fork_call;

	t->fork_call = NULL;
	t->regs->rax = (uint64_t)(int64_t)c->msg.status;
	if (copy_from_user(&user, t->regs->rsi, sizeof(user)) == 0) {
		user.msg = c->msg;
		user.handle_count = 0;
		if (copy_to_user(t->regs->rsi, &user, sizeof(user)))
			t->regs->rax = -X_EFAULT;
	}
	kfree(c);
}

static int fork_thread(struct process *child, struct thread *parent, const struct x_msg *msg)
{
	struct x_thread_create create = {
		.fs_base = parent->fs_base,
		.upcall_stack = parent->upcall_stack,
		.thread_word = parent->thread_word,
		.mask = parent->mask,
	};
	struct call *answer = kzalloc_for(child->account, sizeof(*answer));
	struct thread *t;
	int err;

	if (!answer)
		return -X_ENOMEM;
	err = thread_create_with(child, &create, parent->regs, fork_child, &t);
	if (!err)
		t->affinity = parent->affinity;
	if (err) {
		kfree(answer);
		return err;
	}
	answer->msg = *msg;
	t->fork_call = answer;
	t->gs_base = parent->gs_base;
	arch_thread_copy_fpu(t, parent);
	return 0;
}

int64_t sys_proc_fork(uint64_t user_fork)
{
	struct x_proc_fork f;
	struct object *port;
	struct call *c;
	struct process *parent, *child = NULL;
	struct space *space;
	struct handle h;
	int64_t slot;
	int err;

	if (copy_from_user(&f, user_fork, sizeof(f)))
		return -X_EFAULT;
	err = resource_check(f.resource, X_R_EXEC);
	if (err)
		return err;
	port = handle_get(f.port, X_TYPE_PORT, X_R_RECEIVE, &err);
	if (!port)
		return err;
	c = port_find_call(container_of(port, struct port, obj), f.call_id);
	object_unref(port);
	if (!c || !c->thread)
		return -X_ENOENT;
	parent = c->thread->process;
	if (!(parent->flags & X_PROC_LINUX))
		return -X_EPERM;
	err = process_create(parent->name, parent->flags, parent->band, &child);
	if (err)
		return err;
	err = space_clone(parent->space, f.lend, child->account, &space);
	if (!err) {
		object_unref(&child->space->obj);
		child->space = space;
		child->personality = parent->personality;
		child->ignore = parent->ignore;
		child->told_ignored = parent->told_ignored;
		child->told_caught = parent->told_caught;
		child->background = parent->background;
		child->account->limit = parent->account->limit;
		err = handle_table_clone_fds(parent, child);
	}
	if (!err)
		err = fork_thread(child, c->thread, &f.child_msg);
	if (err) {
		process_kill(child, X_DEATH_KILLED, 0);
		object_unref(&child->obj);
		return err;
	}
	h = handle_hold(&child->obj, X_R_MANAGE | X_R_WAIT | X_R_DUP | X_R_TRANSFER);
	slot = handle_install(current_process(), h, X_SLOT_NATIVE, X_SLOT_MAX);
	if (slot < 0) {
		process_kill(child, X_DEATH_KILLED, 0);
		handle_drop(h);
	}
	object_unref(&child->obj);
	return slot;
}
