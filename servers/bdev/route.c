/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes of programs that go to the driver without us: of each open file
 * they are routed to the session's object (x_route, proto/block.h).
 *
 * A write that does not cover its blocks needs them for itself, between their being
 * read and written: then all of a node's calls come here, and the driver is asked to
 * have none under way.
 */
#include "servers/bdev/bdev.h"

#define OBJECTS_MAX 256u /* further ones are served by us */

static uint64_t objects[OBJECTS_MAX]; /* 0: free */

_Static_assert(FILE_WRITE == FILE_READ + 1, "a range of operations");

static void route(struct node *n, uint64_t object)
{
	uint32_t mode = object >> 8 & F_O_ACCMODE;
	x_handle_t to = block_session_of(n->client);

	if (to != X_NO_HANDLE && n->calls == CALLS_GO && mode != F_O_ACCMODE)
		out_do(X_SYS_route, server_port, object, to, mode == F_O_WRONLY ? FILE_WRITE : FILE_READ,
		       mode == F_O_RDONLY ? FILE_READ : FILE_WRITE);
}

void route_object(struct node *n, uint64_t object)
{
	uint32_t i = 0;

	while (i < OBJECTS_MAX && objects[i])
		i++;
	if (i == OBJECTS_MAX)
		return;
	objects[i] = object;
	route(n, object);
}

void route_forget(uint64_t object)
{
	for (uint32_t i = 0; i < OBJECTS_MAX; i++)
		if (objects[i] == object)
			objects[i] = 0;
}

void route_node(struct node *n)
{
	for (uint32_t i = 0; i < OBJECTS_MAX; i++)
		if (objects[i] && node_of_object(objects[i]) == n)
			route(n, objects[i]);
}

static void stopped(struct block_request *request, int status)
{
	struct node *n = request->ctx;

	(void)status; /* without a session there are no calls either */
	requests_ended++;
	n->calls = CALLS_STOPPED;
	n->ops--;
	if (!n->partial)
		route_resume(n);
	node_settle(n);
}

static void resumed(struct block_request *request, int status)
{
	struct node *n = request->ctx;

	(void)status;
	requests_ended++;
	n->calls = CALLS_GO;
	n->ops--;
	route_node(n);
	node_settle(n);
}

static void ask(struct node *n, uint32_t op)
{
	n->calls = op == BLOCK_CALLS_STOP ? CALLS_STOPPING : CALLS_STARTING;
	n->calls_request = (struct block_request){
		.op = op, .done = op == BLOCK_CALLS_STOP ? stopped : resumed, .ctx = n,
	};
	n->ops++;
	block_submit(n->client, &n->calls_request);
}

bool route_stopped(struct node *n)
{
	if (!block_info_of(n->client)->calls)
		return true;
	if (n->calls == CALLS_GO)
		ask(n, BLOCK_CALLS_STOP);
	return n->calls == CALLS_STOPPED;
}

void route_resume(struct node *n)
{
	if (n->calls == CALLS_STOPPED)
		ask(n, BLOCK_CALLS_GO);
}
