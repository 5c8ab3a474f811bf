/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Things bound to the server's port: which function hears of them.
 */
#include "lib/ipc/internal.h"

#define BOUND_MAX 1024u

static struct bound {
	event_fn fn;            /* NULL: free */
	void *ctx;
	x_handle_t handle;
	uint32_t generation;
} bound[BOUND_MAX];
static uint32_t bound_end; /* no slot from here on was ever used */

static struct bound *bound_find(x_handle_t h)
{
	for (uint32_t i = 0; i < bound_end; i++)
		if (bound[i].fn && bound[i].handle == h)
			return &bound[i];
	return NULL;
}

static struct bound *bound_allocate(x_handle_t h)
{
	struct bound *b = bound_find(h);

	for (uint32_t i = 0; !b && i < bound_end; i++)
		if (!bound[i].fn)
			b = &bound[i];
	if (!b && bound_end < BOUND_MAX)
		b = &bound[bound_end++];
	return b;
}

int server_bind(x_handle_t h, event_fn fn, void *ctx)
{
	struct bound *b = bound_allocate(h);
	int64_t err;

	if (!b)
		return -X_ENOSPC;
	b->generation++;
	b->fn = fn;
	b->ctx = ctx;
	b->handle = h;
	err = x_bind(h, server_port, cookie_make(COOKIE_BOUND, b->generation, b - bound));
	if (err < 0)
		b->fn = NULL;
	return err;
}

void server_unbind(x_handle_t h)
{
	struct bound *b = bound_find(h);

	if (!b)
		return;
	b->fn = NULL;
	x_bind(h, X_NO_HANDLE, 0);
}

void bound_again(void)
{
	for (uint32_t i = 0; i < bound_end; i++)
		if (bound[i].fn)
			x_bind(bound[i].handle, server_port, cookie_make(COOKIE_BOUND, bound[i].generation, i));
}

void bound_event(const struct x_in *in)
{
	uint32_t index = cookie_index(in->id);
	struct bound *b = &bound[index % BOUND_MAX];

	if (index < BOUND_MAX && b->fn && b->generation == cookie_generation(in->id))
		b->fn(b->ctx, in->msg.a[0]);
}
