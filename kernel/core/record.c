/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Object records: minted on a port, named by handles, closed with the last of them.
 */
#include "call.h"

static struct list *record_bucket(struct port *p, uint64_t id)
{
	return &p->records[id % CALL_BUCKETS];
}

struct record *record_find(struct port *p, uint64_t id)
{
	list_for_each(r, record_bucket(p, id), struct record, hash_link)
		if (r->id == id)
			return r;
	return NULL;
}

static void drop_stream(struct record *r)
{
	if (r->stream)
		object_unref(&r->stream->obj);
	r->stream = NULL;
}

/* The last handle is gone: tell the server, behind all calls made before. */
static void record_unhandled(struct object *o)
{
	struct record *r = container_of(o, struct record, obj);

	waitset_forget(&r->watchers);
	if (!r->port || r->closing || r->origin)
		return;
	r->closing = true;
	route_drop(r);
	drop_stream(r); /* so the server can see who else has that memory */
	flows_closing(r);
	object_ref(o); /* until acknowledged */
	if (r->flags & X_MINT_QUIET)
		port_queue_quietly(r->port, &r->closure);
	else
		port_queue_later(r->port, &r->closure);
}

static void record_leave_port(struct record *r)
{
	struct port *p = r->port;

	if (!p)
		return;
	list_remove(&r->hash_link);
	route_drop(r);
	port_unqueue(p, &r->closure);
	flows_forget(r);
	r->port = NULL;
	object_unref(&p->obj);
}

void record_forget(struct record *r)
{
	record_leave_port(r);
	if (r->closing)
		object_unref(&r->obj);
}

static void record_destroy(struct object *o)
{
	struct record *r = container_of(o, struct record, obj);

	record_leave_port(r);
	drop_stream(r);
	flows_destroy(r);
	if (r->origin)
		handle_drop((struct handle){ .object = &r->origin->obj });
	kfree(r);
}

static const struct object_ops record_ops = {
	.unhandled = record_unhandled, .destroy = record_destroy,
};

static void tell_watchers(struct record *r, uint32_t pulse)
{
	for (uint32_t bits = pulse % (1u << ARRAY_SIZE(r->pulses)); bits; bits &= bits - 1)
		r->pulses[__builtin_ctz(bits)]++;
	watchers_wake(&r->watchers);
	binding_post(&r->obj, r->ready);
}

void record_set_ready(struct record *r, uint32_t mask, uint32_t levels, uint32_t pulse)
{
	uint32_t was = r->ready;

	levels &= mask;
	r->own_ready = (r->own_ready & ~mask) | levels;
	r->ready = r->own_ready | flows_ready(r);
	pulse |= r->ready & ~was; /* becoming ready is a change, too */
	if (levels | pulse)
		tell_watchers(r, pulse);
}

#define RECORD_RIGHTS (X_R_CALL | X_R_DUP | X_R_TRANSFER | X_R_WAIT)

/* All that is not zero in every one of them. Takes over a reference to the port. */
static void record_init(struct record *r, struct port *p, uint64_t id)
{
	object_init(&r->obj, X_TYPE_OBJECT, &record_ops);
	r->port = p;
	r->id = id;
	r->closure.kind = X_IN_CLOSURE;
	list_init(&r->closure.link);
	list_init(&r->watchers);
	waitq_init(&r->cursor_wait);
	list_push_back(record_bucket(p, id), &r->hash_link);
}

int64_t sys_mint(uint32_t port_handle, uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags)
{
	int err;
	struct object *o = handle_get(port_handle, X_TYPE_PORT, X_R_RECEIVE | X_R_CALL, &err);
	struct port *p;
	struct record *r;
	struct handle h;
	int64_t slot;

	if (!o)
		return err;
	p = container_of(o, struct port, obj);
	err = id == 0 ? -X_EINVAL : record_find(p, id) ? -X_EEXIST : 0;
	r = err ? NULL : kzalloc(sizeof(*r));
	if (!r) {
		object_unref(o);
		return err ? err : -X_ENOMEM;
	}
	record_init(r, p, id); /* takes over the reference from handle_get */
	r->mints = 1;
	r->born = p->epoch;
	r->flags = flags;
	r->ready = r->own_ready = ready;
	r->status_flags = r->minted_flags = status_flags;
	h = handle_hold(&r->obj, RECORD_RIGHTS);
	slot = handle_install(current_process(), h, X_SLOT_NATIVE, X_SLOT_MAX);
	if (slot < 0) {
		record_leave_port(r); /* the server need not hear of it */
		handle_drop(h);
	}
	object_unref(&r->obj);
	return slot;
}

/* One more open file of an object: its own but for the stream, and not known to the server. */
static int64_t record_reopen(struct record *of)
{
	struct record *r;

	if (of->origin)
		of = of->origin;
	if (!(of->flags & X_MINT_REOPEN) || !of->port)
		return of->port ? -X_EINVAL : -X_EDEAD;
	r = kzalloc(sizeof(*r));
	if (!r)
		return -X_ENOMEM;
	object_ref(&of->port->obj);
	record_init(r, of->port, of->id);
	r->born = UINT64_MAX; /* not of an iteration of its server's */
	r->flags = of->flags;
	r->ready = r->own_ready = of->own_ready;
	r->status_flags = of->minted_flags;
	r->origin = container_of(handle_hold(&of->obj, 0).object, struct record, obj);
	return object_hand_out(&r->obj, RECORD_RIGHTS);
}

static bool serves(const struct port *p, uint32_t h)
{
	struct handle other;

	return !handle_lookup(h, &other) && other.object->type == X_TYPE_OBJECT &&
	       container_of(other.object, struct record, obj)->port == p;
}

int64_t sys_object_ctl(uint32_t h, uint32_t op, uint64_t value)
{
	int err;
	struct object *o = handle_get(h, X_TYPE_OBJECT, X_R_CALL, &err);
	struct record *r;
	int64_t result = 0;

	if (!o)
		return err;
	r = container_of(o, struct record, obj);
	switch (op) {
	case X_OBJ_GET_CURSOR:
		break;
	case X_OBJ_SET_CURSOR:
	case X_OBJ_ADD_CURSOR:
		if (op == X_OBJ_ADD_CURSOR)
			value += r->cursor;
		if (!(r->flags & X_MINT_CURSOR))
			result = -X_ESPIPE;
		else if ((int64_t)value < 0)
			result = -X_EINVAL;
		else
			r->cursor = value;
		break;
	case X_OBJ_GET_FLAGS:
		result = r->status_flags;
		break;
	case X_OBJ_SET_FLAGS:
		r->status_flags = value;
		break;
	case X_OBJ_GET_READY:
		result = r->ready;
		break;
	case X_OBJ_CLOSURE_NEXT:
		result = o->handles == 1 && !(r->flags & X_MINT_CURSOR) && serves(r->port, (uint32_t)value);
		break;
	case X_OBJ_REOPEN:
		result = record_reopen(r);
		break;
	default:
		result = -X_EINVAL;
	}
	if (op <= X_OBJ_ADD_CURSOR && result == 0)
		result = r->flags & X_MINT_CURSOR ? (int64_t)r->cursor : -X_ESPIPE;
	object_unref(o);
	return result;
}
