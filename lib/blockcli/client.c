/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block client: the public functions (contract in blockcli.h).
 */
#include "lib/blockcli/internal.h"
#include "lib/c/string.h"

#define CLIENTS_MAX 16u
#define ROUNDS_MAX  4u /* of reaping and sending in one batch: bounds an iteration */

static struct block_client clients[CLIENTS_MAX];
static uint32_t client_limit; /* none from here on was ever used */

/* ----------------------------------------------------------------------- lists */

void bcli_request_unlink(struct request_list *list, struct block_request *r)
{
	*(r->prev ? &r->prev->next : &list->first) = r->next;
	*(r->next ? &r->next->prev : &list->last) = r->prev;
	r->next = r->prev = NULL;
}

static void insert_after(struct request_list *list, struct block_request *at, struct block_request *r)
{
	r->prev = at;
	r->next = at ? at->next : list->first;
	*(at ? &at->next : &list->first) = r;
	*(r->next ? &r->next->prev : &list->last) = r;
}

void bcli_request_append(struct request_list *list, struct block_request *r)
{
	insert_after(list, list->last, r);
}

void bcli_request_insert(struct request_list *list, struct block_request *r)
{
	struct block_request *at = NULL;

	while ((at ? at->next : list->first) && (at ? at->next : list->first)->sequence < r->sequence)
		at = at ? at->next : list->first;
	insert_after(list, at, r);
}

/* -------------------------------------------------------------------- failures */

/* done() runs from a timer: never inside the caller's block_submit(), nor
 * while a list is being walked. */
void bcli_request_fail_later(struct block_client *c, struct block_request *r, int status)
{
	r->state = REQUEST_FAILED;
	r->id = -status;
	bcli_request_append(&c->failed, r);
	if (!c->drain.deadline_ns)
		timer_set(&c->drain, server_now_ns);
}

void bcli_client_fail_all(struct block_client *c, int status)
{
	struct block_request *r;

	while ((r = c->queue.first)) {
		bcli_request_unlink(&c->queue, r);
		bcli_request_fail_later(c, r, status);
	}
}

static void drain(void *ctx)
{
	struct block_client *c = ctx;
	struct request_list failed = c->failed;
	struct block_request *r;

	c->failed = (struct request_list){ NULL, NULL }; /* what fails meanwhile: next time */
	while ((r = failed.first)) {
		bcli_request_unlink(&failed, r);
		r->state = REQUEST_IDLE;
		r->done(r, -(int)r->id);
	}
}

/* ---------------------------------------------------------------------- public */

struct block_client *block_open(x_handle_t driver, const char *name, x_handle_t pool, uint64_t pool_bytes,
				void (*opened)(void *ctx, int status, const struct block_info *info), void *ctx)
{
	struct block_client *c = clients;

	while (c < clients + CLIENTS_MAX && c->state != CLIENT_FREE)
		c++;
	if (c == clients + CLIENTS_MAX)
		return NULL;
	if (client_limit <= (uint32_t)(c - clients))
		client_limit = (uint32_t)(c - clients) + 1;
	/* Generation goes on: what is still under way of the client before is told apart. */
	*c = (struct block_client){
		.retired = c->retired, .driver = driver, .pool = pool, .pool_bytes = pool_bytes, .opened = opened, .ctx = ctx,
		.generation = c->generation + 1,
	};
	/* A name that is cut names nothing: the driver refuses it. */
	strlcpy(c->name, name, sizeof(c->name));
	c->name_bytes = strlen(c->name);
	c->drain.fn = drain;
	c->drain.ctx = c;
	bcli_session_init(c);
	bcli_session_open(c);
	return c;
}

void block_close(struct block_client *c)
{
	timer_clear(&c->drain);
	bcli_session_close(c);
}

void block_on_cache_lost(struct block_client *c, void (*fn)(void *ctx))
{
	c->cache_lost_fn = fn;
}

void block_on_resize(struct block_client *c, void (*fn)(void *ctx))
{
	c->resize_fn = fn;
}

void block_on_reopen(struct block_client *c, void (*fn)(void *ctx))
{
	c->reopen_fn = fn;
}

x_handle_t block_session_of(const struct block_client *c)
{
	return c->state == CLIENT_UP && c->info.calls ? c->object : X_NO_HANDLE;
}

const struct block_info *block_info_of(const struct block_client *c)
{
	return &c->info;
}

bool block_takes_windows(const struct block_client *c)
{
	return c->device != X_NO_HANDLE;
}

void block_submit(struct block_client *c, struct block_request *r)
{
	r->sequence = c->next_sequence++;
	r->tries = 0;
	r->submitted_ns = server_now_ns;
	if (c->failing) {
		bcli_request_fail_later(c, r, -X_EIO);
		return;
	}
	r->state = REQUEST_QUEUED;
	bcli_request_append(&c->queue, r);
}

static void client_batch_end(struct block_client *c)
{
	bool more = true;

	for (unsigned round = 0; more && round < ROUNDS_MAX && c->state == CLIENT_UP; round++) {
		bcli_session_reap(c);
		if (c->state == CLIENT_UP) /* the session may have been lost just now */
			bcli_order_send(c);
		more = c->state == CLIENT_UP && c->sent_count && ring_arm_consumer(&c->completions);
	}
	if (c->state != CLIENT_UP)
		return;
	bcli_session_publish(c);
	if (more) /* they were enough for one iteration: come back at once */
		out_signal(c->event, BLOCK_EVENT_RING);
}

void block_batch_end(void)
{
	for (uint32_t i = 0; i < client_limit; i++)
		if (clients[i].state == CLIENT_UP)
			client_batch_end(&clients[i]);
}
