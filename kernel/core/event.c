/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events, and the binding of objects to ports.
 */
#include "call.h"

static void event_destroy(struct object *o)
{
	kfree(container_of(o, struct event, obj));
}

static const struct object_ops event_ops = { .destroy = event_destroy };

int event_create(struct event **out)
{
	struct event *e = kzalloc(sizeof(*e));

	if (!e)
		return -X_ENOMEM;
	object_init(&e->obj, X_TYPE_EVENT, &event_ops);
	list_init(&e->watchers);
	*out = e;
	return 0;
}

void watchers_wake(struct list *watchers)
{
	list_for_each(w, watchers, struct watch, link) {
		if (w->entry)
			waitset_poke(w->entry);
		else
			thread_wake(w->thread, 0);
	}
}

void event_signal(struct object *o, uint64_t bits)
{
	struct event *e = container_of(o, struct event, obj);

	e->bits |= bits;
	watchers_wake(&e->watchers);
	if (o->binding.port) {
		binding_post(o, e->bits);
		e->bits = 0;
	}
}

void binding_post(struct object *o, uint64_t bits)
{
	struct binding *b = &o->binding;

	if (!b->port || !bits)
		return;
	b->bits |= bits;
	if (list_empty(&b->item.link)) /* else it is queued, or will be at the commit */
		port_queue(b->port, &b->item);
}

void unbind(struct object *o)
{
	struct binding *b = &o->binding;

	if (!b->port)
		return;
	port_unqueue(b->port, &b->item);
	list_remove(&b->port_link);
	if (o->type == X_TYPE_EVENT) /* rung, and heard by nobody yet */
		container_of(o, struct event, obj)->bits |= b->bits;
	b->port = NULL;
	b->bits = b->taken = 0;
}

/* What already happened counts: a dead process, set bits, readiness. */
static uint64_t binding_initial(struct object *o)
{
	uint64_t bits = 0;

	if (o->type == X_TYPE_EVENT) {
		struct event *e = container_of(o, struct event, obj);

		bits = e->bits;
		e->bits = 0;
	} else if (o->type == X_TYPE_OBJECT) {
		bits = container_of(o, struct record, obj)->ready;
	} else if (o->type == X_TYPE_PROCESS) {
		bits = container_of(o, struct process, obj)->state >= X_PROC_DEAD;
	}
	return bits;
}

int64_t sys_bind(uint32_t h, uint32_t port_handle, uint64_t cookie)
{
	int err;
	struct handle held, port = { 0 };
	struct object *o;

	/* A program has no port, and could only undo what a server has bound. */
	if (current_process()->flags & X_PROC_LINUX)
		return -X_EPERM;
	err = handle_lookup(h, &held);
	if (err)
		return err;
	o = held.object;
	if (o->type != X_TYPE_EVENT && o->type != X_TYPE_OBJECT && o->type != X_TYPE_PROCESS &&
	    o->type != X_TYPE_DEVICE)
		return -X_EWRONGTYPE;
	if (!(held.rights & (o->type == X_TYPE_DEVICE ? X_R_MANAGE : X_R_WAIT | X_R_READ)))
		return -X_ERIGHTS;
	if (port_handle != X_NO_HANDLE) {
		err = handle_lookup(port_handle, &port);
		if (err)
			return err;
		if (port.object->type != X_TYPE_PORT)
			return -X_EWRONGTYPE;
		if ((port.rights & (X_R_RECEIVE | X_R_CALL)) != (X_R_RECEIVE | X_R_CALL)) /* a program's */
			return -X_ERIGHTS;
	}
	/* After a warm restart a server binds again what it had bound: no news. */
	if (port.object && o->binding.port == container_of(port.object, struct port, obj) &&
	    o->binding.cookie == cookie)
		return 0;
	unbind(o);
	if (!port.object)
		return 0;
	o->binding.port = container_of(port.object, struct port, obj);
	o->binding.cookie = cookie;
	o->binding.born = o->binding.port->epoch;
	list_push_back(&o->binding.port->bindings, &o->binding.port_link);
	binding_post(o, binding_initial(o));
	return 0;
}
