/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes: some calls on an object go to an object of another port, as if they
 * had been made there. A server that opens and names things for another one
 * takes itself out of the way of their data (bdev of the disk drivers).
 *
 * The call stays one of its own object: that has the cursor and the status
 * flags, and is held by the call. Home it goes, to its own object's port,
 *   - when the object it was routed to turned stale before it was taken,
 *   - when the port it was routed to is reset, taken or not (RECOVERY.md 4),
 *   - when the server there says so (X_ANSWER_HOME).
 * A route ends with either object.
 */
#include "call.h"

void route_drop(struct record *r)
{
	struct record *to = r->route;

	r->route = NULL;
	if (to)
		object_unref(&to->obj);
}

int64_t sys_route(uint32_t port, uint64_t id, uint32_t to, uint32_t first, uint32_t last)
{
	int err = 0;
	struct object *p = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &err), *o = NULL;
	struct record *r, *other = NULL;

	if (!p)
		return err;
	r = record_find(container_of(p, struct port, obj), id);
	if (!r || r->closing)
		err = -X_ENOENT;
	else if (to != X_NO_HANDLE)
		o = handle_get(to, X_TYPE_OBJECT, X_R_CALL | X_R_TRANSFER, &err);
	if (o)
		other = container_of(o, struct record, obj);
	if (other && other->origin) /* what the server knows; and that one goes with its last handle */
		other = other->origin;
	if (other && other->port == r->port)
		err = -X_EINVAL;
	if (!err) {
		route_drop(r);
		if (other)
			object_ref(&other->obj);
		r->route = other;
		r->route_first = first;
		r->route_last = last;
	}
	if (o)
		object_unref(o);
	object_unref(p);
	return err;
}

/* Of a call whose record and port are set. */
void route_take(struct call *c)
{
	struct record *r = c->record, *to = r->route;

	if (!to || !to->port || to->closing || c->msg.op < r->route_first || c->msg.op > r->route_last)
		return;
	object_ref(&to->obj);
	c->via = to;
	object_ref(&to->port->obj);
	object_unref(&c->port->obj);
	c->port = to->port;
}

/* In no list. */
void route_leave(struct call *c)
{
	struct port *home = c->record->port;

	object_ref(&home->obj);
	object_unref(&c->port->obj);
	c->port = home;
	object_unref(&c->via->obj);
	c->via = NULL;
}

bool route_is_stale(const struct call *c)
{
	return c->via && c->via->port != c->port;
}

void route_go_home(struct call *c)
{
	bool hurry = c->cancelled;

	if (c->orphan || !c->record->port) {
		call_fail_when_quiet(c);
		return;
	}
	call_leave_port(c);
	c->state = CALL_QUEUED;
	c->cancelled = false;
	c->lent = 0;
	route_leave(c);
	port_queue(c->port, &c->item);
	if (hurry)
		call_hurry(c);
}

/* They are gathered before any goes: one that fails may take others with it. */
static void gather(struct list *items, struct list *routed)
{
	list_for_each(it, items, struct item, link) {
		if (it->kind != X_IN_CALL || !container_of(it, struct call, item)->via)
			continue;
		list_remove(&it->link);
		list_push_back(routed, &it->link);
	}
}

/* The port is about to be reset: what was routed to it goes home. */
void routes_go_home(struct port *p)
{
	struct list routed;

	list_init(&routed);
	for (uint32_t i = 0; i < CALL_BUCKETS; i++)
		list_for_each(c, &p->open_calls[i], struct call, open_link) {
			if (!c->via)
				continue;
			if (!list_empty(&c->item.link)) /* delivered, not committed */
				list_remove(&c->item.link);
			c->item.delivered = true; /* not counted as queued */
			list_push_back(&routed, &c->item.link);
		}
	gather(&p->items, &routed);
	gather(&p->crowd, &routed);
	while (!list_empty(&routed)) /* each leaves the list as it goes */
		route_go_home(list_first(&routed, struct call, item.link));
}
