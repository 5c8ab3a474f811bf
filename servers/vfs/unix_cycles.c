/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that only sockets hold: descriptors sent into each other's queues, and
 * then closed. No closure ever comes of them. After Linux's unix_gc(): from those that
 * somebody holds (more handles than lie in queues, or uses of another kind) all are
 * marked that can still be received; what the others' queues hold is let go, and they
 * end by their closures. It is looked for a while after a socket was sent, and sooner if a
 * program may have no more: perhaps it has them no longer.
 */

#include "servers/vfs/unix.h"
#include "lib/region/region.h"

#define LOOK_NS 2000000000ull
#define SHORT_NS  50000000ull /* when one was refused; not at once, since each look takes a millisecond */
#define SOON_NS   20000000ull /* when there was something: perhaps there is more */
#define DROP_MOST 128u /* descriptors, in one item */

static REGION_SCRATCH struct scratch {
	uint64_t koid;          /* of the object; 0: none of them in a queue */
	uint32_t refs, inside;  /* of it in all; in queues */
	bool reached, visited;
} scratch[UNIX_MAX]; /* computed anew each time */
static struct server_timer look;
static bool armed;

typedef void (*visit_fn)(struct unix_socket *in, x_handle_t handle);

/* All that somebody who holds the socket can receive from it. */
static void visit(struct unix_socket *s, visit_fn fn)
{
	for (uint16_t at = s->first; at; at = unix_record_at(at)->next)
		rights_each(unix_record_at(at)->rights, s, fn);
	rights_each(s->staged, s, fn);
	rights_each(s->taken, s, fn);
}

static struct scratch *scratch_of(uint64_t koid)
{
	for (uint32_t i = 0; i < UNIX_MAX; i++)
		if (unix_sockets[i].koid == koid && unix_sockets[i].state != UNIX_FREE)
			return &scratch[i];
	return NULL;
}

static void count(struct unix_socket *in, x_handle_t handle)
{
	uint64_t koid = sys_handle_koid(handle);
	struct scratch *c = koid ? scratch_of(koid) : NULL;

	(void)in;
	if (!c)
		return;
	c->koid = koid;
	c->inside++;
	c->refs = sys_handle_refs(handle);
}

static void reach(struct unix_socket *in, x_handle_t handle)
{
	uint64_t koid = sys_handle_koid(handle);
	struct scratch *c = koid ? scratch_of(koid) : NULL;

	(void)in;
	if (c)
		c->reached = true;
}

static void reach_from(uint32_t i)
{
	scratch[i].visited = true;
	visit(&unix_sockets[i], reach);
	for (uint16_t at = unix_sockets[i].pending; at; at = unix_sockets[at - 1].next_pending)
		scratch[at - 1].reached = true;
}

/* Held by somebody, or what is being made. Not: an embryo, which is its listener's. */
static bool is_root(const struct unix_socket *s, const struct scratch *c)
{
	return s->has_object && (!c->inside || c->refs > c->inside + s->own_refs);
}

static void mark(void)
{
	bool more = true;

	for (uint32_t i = 0; i < UNIX_MAX; i++)
		scratch[i].reached = unix_sockets[i].state != UNIX_FREE && is_root(&unix_sockets[i], &scratch[i]);
	while (more) {
		more = false;
		for (uint32_t i = 0; i < UNIX_MAX; i++)
			if (scratch[i].reached && !scratch[i].visited) {
				reach_from(i);
				more = true;
			}
	}
}

/* How many descriptors went. */
static uint32_t empty(struct unix_socket *s)
{
	uint32_t dropped = 0;

	while (s->first && dropped < DROP_MOST) {
		dropped += rights_count(unix_record_at(s->first)->rights);
		unix_record_drop_first(s);
	}
	dropped += rights_count(s->staged) + rights_count(s->taken);
	rights_drop(s->staged);
	rights_drop(s->taken);
	s->staged = s->taken = 0;
	return dropped;
}

/* When to look again; 0: not, no socket is in a queue. */
static uint64_t collect(void)
{
	uint32_t dropped = 0;
	bool any = false;

	for (uint32_t i = 0; i < UNIX_MAX; i++)
		scratch[i] = (struct scratch){ 0 };
	for (uint32_t i = 0; i < UNIX_MAX; i++)
		if (unix_sockets[i].state != UNIX_FREE)
			visit(&unix_sockets[i], count);
	for (uint32_t i = 0; i < UNIX_MAX; i++)
		any |= scratch[i].inside != 0;
	if (!any)
		return 0;
	mark();
	for (uint32_t i = 0; i < UNIX_MAX && dropped < DROP_MOST; i++)
		if (scratch[i].inside && !scratch[i].reached)
			dropped += empty(&unix_sockets[i]);
	return server_now_ns + (dropped ? SOON_NS : LOOK_NS);
}

static void due(void *ctx)
{
	uint64_t again_ns = collect();

	(void)ctx;
	armed = again_ns != 0;
	if (armed)
		timer_set(&look, again_ns);
}

void unix_cycles_hurry(void)
{
	if (armed && look.deadline_ns > server_now_ns + SHORT_NS)
		timer_set(&look, server_now_ns + SHORT_NS);
}

void unix_cycles_expect(void)
{
	if (armed)
		return;
	armed = true;
	look.fn = due;
	timer_set(&look, server_now_ns + LOOK_NS);
}
