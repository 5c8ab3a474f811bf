/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events, and the binding of objects to ports.
 */
#include "port.h"

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
	list_for_each(w, watchers, struct watch, link)
		thread_wake(w->thread, 0, false);
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
	if (!list_empty(&b->item.link))
		return;
	b->item.queued_ns = arch_time_ns();
	list_push_back(&b->port->items, &b->item.link);
	b->port->item_count++;
	if (waitq_first(&b->port->receivers))
		thread_wake(waitq_first(&b->port->receivers), 0, false);
}

static void unbind(struct object *o)
{
	struct binding *b = &o->binding;

	if (!b->port)
		return;
	if (!list_empty(&b->item.link)) {
		list_remove(&b->item.link);
		b->port->item_count--;
	}
	list_remove(&b->port_link);
	b->port = NULL;
	b->bits = 0;
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
		bits = container_of(o, struct process, obj)->state == X_PROC_DEAD;
	}
	return bits;
}

int64_t sys_bind(uint32_t h, uint32_t port_handle, uint64_t cookie)
{
	int err;
	struct object *o = handle_get(h, X_TYPE_NONE, 0, &err), *port;
	struct handle held;

	if (!o)
		return err;
	handle_lookup(h, &held);
	if (o->type != X_TYPE_EVENT && o->type != X_TYPE_OBJECT && o->type != X_TYPE_PROCESS)
		err = -X_EWRONGTYPE;
	else if (!(held.rights & (X_R_WAIT | X_R_READ)))
		err = -X_ERIGHTS;
	if (err)
		goto out;
	unbind(o);
	if (port_handle == X_NO_HANDLE)
		goto out;
	port = handle_get(port_handle, X_TYPE_PORT, X_R_RECEIVE, &err);
	if (!port)
		goto out;
	o->binding.port = container_of(port, struct port, obj);
	o->binding.cookie = cookie;
	list_push_back(&o->binding.port->bindings, &o->binding.port_link);
	binding_post(o, binding_initial(o));
	object_unref(port);
out:
	object_unref(o);
	return err;
}
