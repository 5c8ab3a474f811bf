/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session with the driver: opening it, its rings, losing it, opening it
 * again (proto/block.h).
 *
 * Index stores are outbox entries, so that they take effect with the
 * iteration that made them; the doorbell comes after them, because whether
 * the driver sleeps cannot be known before they are visible.
 */
#include "lib/blockcli/internal.h"
#include "lib/c/string.h"

#define INCARNATIONS_MAX 5u          /* a request was outstanding in, that did nothing for us */
#define PROGRESS_WEIGHT  4u          /* so many more if they did */
#define OPEN_TRIES_MAX   50u
#define RETRY_NS         100000000ull
#define FAILED_RETRY_NS  2000000000ull

static void retry(void *ctx)
{
	bcli_session_open(ctx);
}

static void reset_ids(struct block_client *c)
{
	memset(c->slots, 0, sizeof(c->slots));
	c->free_id_count = BLOCK_RING_SLOTS;
	for (uint32_t i = 0; i < BLOCK_RING_SLOTS; i++)
		c->free_ids[i] = BLOCK_RING_SLOTS - 1 - i;
}

void bcli_session_init(struct block_client *c)
{
	c->object = c->doorbell = c->event = c->device = X_NO_HANDLE;
	c->retry.fn = retry;
	c->retry.ctx = c;
	reset_ids(c);
}

/* ------------------------------------------------------------------------ ending */

static void unmap_retired(struct block_client *c)
{
	if (c->retired)
		out_do(X_SYS_mem_unmap, X_SELF, (uint64_t)(uintptr_t)c->retired, BLOCK_RING_BYTES, 0, 0);
	c->retired = NULL;
}

static void drop_bound(x_handle_t *h)
{
	if (*h == X_NO_HANDLE)
		return;
	server_unbind(*h);
	out_close(*h);
	*h = X_NO_HANDLE;
}

/* The driver counts ahead of its answer, so that what was answered has been counted. */
void bcli_session_count_calls(struct block_client *c)
{
	const volatile struct block_calls *calls = (const void *)(c->rings + BLOCK_CALLS_OFFSET);
	uint64_t writes;

	if (!c->rings)
		return;
	writes = calls->writes;
	c->writes_completed += writes - c->calls_counted;
	c->calls_counted = writes;
}

/* Nothing of the session is left but the old mapping, which goes in a later
 * iteration: rolled back, this one still finds it. */
static void session_drop(struct block_client *c)
{
	drop_bound(&c->object);
	drop_bound(&c->event);
	out_close(c->doorbell);
	out_close(c->device);
	c->doorbell = c->device = X_NO_HANDLE;
	unmap_retired(c);
	bcli_session_count_calls(c);
	c->calls_counted = 0;
	c->retired = c->rings;
	c->rings = NULL;
	c->generation++;
}

void bcli_session_close(struct block_client *c)
{
	timer_clear(&c->retry);
	session_drop(c);
	c->state = CLIENT_FREE;
}

static void open_later(struct block_client *c)
{
	c->state = CLIENT_PAUSED;
	timer_set(&c->retry, server_now_ns + RETRY_NS);
}

/* Every SENT request goes back to its place in the queue, unless it was there
 * too often when a driver ended: it may be what kills the driver. */
static void take_back(struct block_client *c)
{
	struct block_request *r;

	while ((r = c->sent.first)) {
		bcli_request_unlink(&c->sent, r);
		r->tries += c->completed ? 1 : PROGRESS_WEIGHT;
		if (r->tries > INCARNATIONS_MAX * PROGRESS_WEIGHT) {
			bcli_request_fail_later(c, r, -X_EIO);
			continue;
		}
		r->state = REQUEST_QUEUED;
		bcli_request_insert(&c->queue, r);
	}
	c->sent_count = c->sent_writes = c->completed = 0;
	reset_ids(c);
}

void bcli_session_lost(struct block_client *c, bool pause)
{
	server_log("session with %s is lost, %u requests will be replayed", c->info.name, c->sent_count);
	take_back(c);
	session_drop(c);
	if (pause)
		open_later(c);
	else
		bcli_session_open(c);
}

/* The driver breaks the protocol: not to be trusted with an immediate try. */
static void session_broken(struct block_client *c, const char *why)
{
	server_log("the driver of %s breaks the protocol: %s", c->info.name, why);
	server_complain(c->driver);
	bcli_session_lost(c, true);
}

static void on_object(void *ctx, uint64_t bits)
{
	struct block_client *c = ctx;

	if (c->state == CLIENT_UP && (bits & (X_READY_DEAD | X_READY_HUP | X_READY_ERR)))
		bcli_session_lost(c, !(bits & X_READY_DEAD));
}

/* ----------------------------------------------------------------------- opening */

static void take_limits(struct block_client *c)
{
	struct block_limits limits;

	memcpy(&limits, c->rings + BLOCK_LIMITS_OFFSET, sizeof(limits));
	c->info.max_discard_bytes = limits.max_discard_bytes;
	c->info.discard_granularity_bytes = limits.discard_granularity_bytes;
	c->info.max_write_zeroes_bytes = limits.max_write_zeroes_bytes;
	c->info.max_segments = limits.max_segments;
	c->info.max_segment_bytes = limits.max_segment_bytes;
	if (limits.size_bytes % c->info.logical_block_bytes || limits.size_bytes == c->info.size_bytes)
		return;
	c->info.size_bytes = limits.size_bytes;
	if (c->resize_fn)
		c->resize_fn(c->ctx);
}

/* Completions are reaped at the end of the batch. */
static void on_completions(void *ctx, uint64_t bits)
{
	struct block_client *c = ctx;

	if (bits & BLOCK_EVENT_LIMITS && c->state == CLIENT_UP)
		take_limits(c);
}

/* Fresh ring memory. The handle is only for the driver. */
static int make_rings(struct block_client *c, x_handle_t *memory)
{
	struct x_mem_create create = { .bytes = BLOCK_RING_BYTES, .flags = X_MEM_POPULATE };
	struct x_mem_map map = { .space = X_SELF, .len = BLOCK_RING_BYTES, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t h = x_mem_create(&create), addr;

	if (h < 0)
		return h;
	*memory = map.memory = h;
	addr = x_mem_map(&map);
	if (addr < 0)
		return addr;
	c->rings = (void *)addr;
	ring_init(&c->requests, c->rings + BLOCK_REQUESTS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_request));
	ring_init(&c->completions, c->rings + BLOCK_COMPLETIONS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_completion));
	return 0;
}

static int make_event(struct block_client *c, x_handle_t *for_driver)
{
	int64_t h = x_event_create(), copy;
	int err;

	if (h < 0)
		return h;
	c->event = h;
	err = server_bind(c->event, on_completions, c);
	if (err)
		return err;
	copy = x_handle_dup(c->event, X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (copy < 0)
		return copy;
	*for_driver = copy;
	return 0;
}

static void on_opened(void *ctx, const struct x_in *reply);

static void start_open(struct block_client *c, const x_handle_t handles[4])
{
	struct x_out *out = out_start(c->driver, on_opened, c, &c->opening);

	out->msg.op = BLOCK_OPEN;
	out->msg.a[0] = c->generation;
	out->msg.a[1] = c->pool_bytes;
	out->msg.a[2] = c->epoch_known ? c->cache_epoch : 0;
	out->flags = X_CALL_MOVE;
	if (c->name_bytes) {
		out->win[0] = (struct x_window){ (uint64_t)(uintptr_t)c->name, c->name_bytes, X_WIN_READ };
		out->win_count = 1;
	}
	out->handle_count = handles[3] == X_NO_HANDLE ? 3 : 4;
	memcpy(out->handles, handles, out->handle_count * sizeof(handles[0]));
}

void bcli_session_open(struct block_client *c)
{
	x_handle_t handles[4] = { X_NO_HANDLE, X_NO_HANDLE, X_NO_HANDLE, X_NO_HANDLE };
	int err = make_rings(c, &handles[0]);
	int64_t pool = -1, port;

	c->state = CLIENT_OPENING;
	if (!err)
		pool = x_handle_dup(c->pool, X_R_READ | X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (!err && pool >= 0) {
		handles[1] = pool;
		err = make_event(c, &handles[2]);
	}
	if (!err && pool >= 0) {
		port = x_handle_dup(server_port, X_R_TRANSFER, X_SLOT_NATIVE, 0); /* names it, no more */
		handles[3] = port < 0 ? X_NO_HANDLE : (x_handle_t)port;
		start_open(c, handles);
		return;
	}
	server_log("cannot open a session now: error %d", err ? err : (int)pool);
	for (int i = 0; i < 3; i++)
		out_close(handles[i]);
	session_drop(c);
	open_later(c);
}

static bool take_info(struct block_client *c, const struct x_msg *m)
{
	struct block_info *i = &c->info;
	uint32_t block = (uint32_t)m->a[1];

	if (!block || (block & (block - 1)) || m->a[0] % block || (uint32_t)m->a[2] < block)
		return false;
	i->size_bytes = m->a[0];
	i->logical_block_bytes = block;
	i->physical_block_bytes = m->a[1] >> 32;
	i->max_request_bytes = (uint32_t)m->a[2];
	i->read_only = m->a[2] >> 32 & BLOCK_INFO_READ_ONLY;
	i->fua = m->a[2] >> 32 & BLOCK_INFO_FUA;
	i->calls = m->a[2] >> 32 & BLOCK_INFO_CALLS;
	memcpy(i->name, &m->a[4], sizeof(i->name));
	i->name[sizeof(i->name) - 1] = 0;
	return true;
}

static void compare_epoch(struct block_client *c, uint64_t epoch)
{
	bool lost = c->epoch_known && epoch != c->cache_epoch && c->writes_completed != c->writes_stable;

	c->epoch_known = true;
	c->cache_epoch = epoch;
	if (!lost)
		return;
	server_log("%s lost what was not flushed", c->info.name);
	c->cache_lost = true;
	if (c->cache_lost_fn)
		c->cache_lost_fn(c->ctx);
}

/* Fail what there is and what comes, rather than keep programs waiting. A
 * client that once had its disk goes on asking for it, now and then: somebody
 * may start the driver again. */
static void give_up(struct block_client *c, int status)
{
	/* No such disk or driver: the client tells, or tries the next. */
	if (!c->failing && (c->announced || (status != -X_ENXIO && status != -X_ENODEV)))
		server_log("no session with the block driver: error %d", status);
	c->state = CLIENT_FAILED;
	c->failing = true;
	bcli_client_fail_all(c, -X_EIO);
	if (c->announced) {
		timer_set(&c->retry, server_now_ns + FAILED_RETRY_NS);
		return;
	}
	c->announced = true;
	c->opened(c->ctx, status, NULL);
}

static void open_failed(struct block_client *c, int status)
{
	bool passing = status == -X_EBUSY || status == -X_ENOMEM || status == -X_EAGAIN || c->announced;

	session_drop(c);
	if (status == -X_EDEAD || status == -X_ESTALE_HANDLE) {
		bcli_session_open(c); /* the call waits until the next incarnation serves */
		return;
	}
	if (passing && ++c->open_failures < OPEN_TRIES_MAX) {
		open_later(c);
		return;
	}
	give_up(c, status);
}

static void session_up(struct block_client *c, const struct x_msg *m)
{
	c->open_failures = 0;
	c->failing = false;
	c->state = CLIENT_UP;
	compare_epoch(c, m->a[3]);
	if (!c->announced) {
		c->announced = true;
		c->opened(c->ctx, 0, &c->info);
	} else {
		server_log("session with %s is open again", c->info.name);
		if (c->reopen_fn)
			c->reopen_fn(c->ctx);
	}
}

/* What was meant for one disk is not sent to another that took its name. */
static bool same_disk(struct block_client *c, const struct x_msg *m)
{
	if (c->announced && c->identity && c->identity != m->a[6]) {
		server_log("%s is another disk now", c->info.name);
		return false;
	}
	c->identity = m->a[6];
	return true;
}

static void on_opened(void *ctx, const struct x_in *reply)
{
	struct block_client *c = ctx;
	int status = reply->msg.status;

	if (c->state == CLIENT_FREE || c->opening != reply->id) /* closed meanwhile */
		return;
	unmap_retired(c);
	if (!status && (reply->handle_count < 2 || reply->handle_count > 3 || !take_info(c, &reply->msg)))
		status = -X_EPROTO;
	if (status == -X_EPROTO)
		server_complain(c->driver);
	if (status) {
		open_failed(c, status < 0 ? status : -X_EPROTO);
		return;
	}
	c->object = in_take(reply, 0);
	c->doorbell = in_take(reply, 1);
	c->device = in_take(reply, 2);
	status = server_bind(c->object, on_object, c);
	if (!status && !same_disk(c, &reply->msg))
		status = -X_ENXIO;
	if (status) {
		open_failed(c, status);
		return;
	}
	take_limits(c);
	session_up(c, &reply->msg);
}

/* ------------------------------------------------------------------------- rings */

int bcli_session_push(struct block_client *c, struct block_request *r)
{
	struct block_ring_request entry = {
		.generation = c->generation, .id = c->free_ids[c->free_id_count - 1], .op = r->op, .flags = r->flags,
	};
	bool data = r->op == BLOCK_READ || r->op == BLOCK_WRITE;
	uint8_t *vector = c->rings + BLOCK_VECTORS_OFFSET + entry.id * BLOCK_EXTENTS * sizeof(*r->extents);
	int err;

	if (r->op == BLOCK_FLUSH) {
		bcli_session_count_calls(c);
	} else {
		entry.length_bytes = r->length_bytes;
		entry.offset_bytes = r->offset_bytes;
	}
	/* The vector of a free id: the driver looks there only after the publication. */
	if (data && r->flags & BLOCK_WINDOW) {
		if (c->device != X_NO_HANDLE) /* else, or if the caller is gone, the driver refuses it */
			x_window_lend(server_port, r->window.call, r->window.window, c->device);
		memcpy(vector, &r->window, sizeof(r->window));
	} else if (data && r->extents) {
		entry.extent_count = r->extent_count;
		memcpy(vector, r->extents, r->extent_count * sizeof(*r->extents));
	} else if (data) {
		entry.pool_offset = r->pool_offset;
	}
	err = ring_push(&c->requests, &entry);
	if (err)
		return err;
	c->free_id_count--;
	r->id = entry.id;
	r->mark = c->writes_completed;
	r->state = REQUEST_SENT;
	c->slots[r->id] = r;
	c->sent_count++;
	c->sent_writes += bcli_is_write(r);
	bcli_request_append(&c->sent, r);
	return 0;
}

static void complete(struct block_client *c, struct block_request *r, int status)
{
	c->slots[r->id] = NULL;
	c->free_ids[c->free_id_count++] = r->id;
	bcli_request_unlink(&c->sent, r);
	c->sent_count--;
	c->sent_writes -= bcli_is_write(r);
	c->completed++;
	if (bcli_is_write(r) && !status && !(r->flags & BLOCK_FUA))
		c->writes_completed++;
	if (r->op == BLOCK_FLUSH && !status && r->mark > c->writes_stable)
		c->writes_stable = r->mark;
	r->state = REQUEST_IDLE;
	r->done(r, status);
}

void bcli_session_reap(struct block_client *c)
{
	struct block_ring_completion entry;
	uint32_t generation = c->generation;
	int got = 0;

	for (uint32_t i = 0; i < BLOCK_RING_SLOTS; i++) {
		got = ring_pop(&c->completions, &entry);
		if (got <= 0)
			break;
		if (entry.generation != generation || entry.id >= BLOCK_RING_SLOTS || !c->slots[entry.id] ||
		    entry.status > 0) {
			session_broken(c, "a completion of no request");
			return;
		}
		complete(c, c->slots[entry.id], entry.status);
	}
	if (got < 0)
		session_broken(c, "an impossible completion index");
}

/* Release before publish: proto/block.h. A driver that is awake is not rung for. */
void bcli_session_publish(struct block_client *c)
{
	uint32_t old = c->requests.published;

	if (ring_unpublished(&c->completions))
		out_store32(ring_index_word(&c->completions, false), ring_index_take(&c->completions));
	if (!ring_unpublished(&c->requests))
		return;
	out_store32(ring_index_word(&c->requests, true), ring_index_take(&c->requests));
	out_signal_past(c->doorbell, BLOCK_EVENT_RING, ring_event_word(&c->requests, true), old, c->requests.published);
}
