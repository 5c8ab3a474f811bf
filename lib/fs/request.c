/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls being served, in order of arrival. Each runs when it comes, and,
 * if it must wait, again whenever something has moved.
 */

#include "lib/fs/server.h"
#include "lib/region/region.h"

static struct request *requests;
static uint32_t requests_max;
static struct request *first, *last;
static uint32_t search_from;

uint64_t server_memory_bytes(void)
{
	struct x_system_info machine = { 0 };
	struct x_proc_info own = { .limit = UINT64_MAX };

	x_system_info(&machine);
	x_proc_info(X_SELF, &own);
	return machine.memory_bytes < own.limit ? machine.memory_bytes : own.limit;
}

void *server_table(uint32_t most, size_t item_bytes, uint32_t *count)
{
	uint64_t share = most * (server_memory_bytes() >> 20) / TABLES_FULL_MIB;

	*count = share < most / 16 ? most / 16 : share > most ? most : share;
	return server_memory(*count * item_bytes);
}

static struct request *find_free(void)
{
	uint32_t i;

	if (!requests)
		requests = server_table(REQUESTS_MAX, sizeof(*requests), &requests_max);

	for (i = 0; i < requests_max; i++) {
		struct request *r = &requests[(search_from + i) % requests_max];

		if (r->used)
			continue;
		search_from = (search_from + i + 1) % requests_max;
		return r;
	}
	return NULL;
}

static void append(struct request *r)
{
	r->prev = last;
	r->next = NULL;
	if (last)
		last->next = r;
	else
		first = r;
	last = r;
}

static void unlink(struct request *r)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		first = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		last = r->prev;
	r->used = false;
}

static void answer(struct request *r, int64_t status)
{
	struct x_out *out = out_answer_entry(r->in.id);

	out->msg = r->reply;
	out->msg.op = 0;
	out->msg.status = status;
	if (r->handle != X_NO_HANDLE) {
		out->handles[0] = r->handle;
		out->handle_count = 1;
	}
	if (r->set_cursor && status >= 0) {
		out->flags |= X_ANSWER_CURSOR;
		out->value = r->cursor;
	}
}

/* True if the request is answered; *again if a new iteration will help it. */
static bool run(struct request *r, bool *again)
{
	int64_t status;

	r->handle = X_NO_HANDLE;
	r->set_cursor = false;
	memset(&r->reply, 0, sizeof(r->reply));
	content_patience = r->failures;
	status = r->in.object ? file_request(r) : fs_request(r);
	*again |= status == -X_EAGAIN;
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return false;
	answer(r, status);
	return true;
}

/* Most are answered in their first run: only what must wait gets a place in the
 * table, where stores are logged. */
void request_take(const struct x_in *in)
{
	static REGION_SCRATCH struct request now;
	bool again = false, ended;
	struct request *r;
	uint32_t i;

	for (i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	memset(&now.in + 1, 0, sizeof(now) - offsetof(struct request, in) - sizeof(now.in));
	now.in = *in;
	now.failures = content_failures;
	ended = run(&now, &again);
	if (ended || again)
		server_progress();
	if (ended)
		return;
	r = find_free();
	if (!r) {
		out_status(in->id, now.done_bytes ? (int64_t)now.done_bytes : -X_ENOMEM);
		return;
	}
	*r = now;
	r->used = true;
	append(r);
}

bool request_run_all(void)
{
	struct request *r = first;
	bool again = false;

	while (r) {
		struct request *next = r->next;

		if (run(r, &again)) {
			unlink(r);
			server_progress();
		}
		r = next;
	}
	return again;
}

/* Every run was a transaction, so what waits can be dropped between two. */
void request_cancel(uint64_t call_id)
{
	struct request *r;

	for (r = first; r; r = r->next) {
		if (r->in.id != call_id)
			continue;
		out_status(call_id, r->done_bytes ? (int64_t)r->done_bytes : -X_EINTR);
		unlink(r);
		server_progress();
		return;
	}
}

bool request_writer_ahead(const struct request *r)
{
	const struct request *other;

	for (other = first; other && other != r; other = other->next)
		if (other->in.object && other->ino == r->ino &&
		    (other->in.msg.op == FILE_WRITE ||
		     other->in.msg.op == FILE_TRUNCATE || other->in.msg.op == FILE_ALLOCATE))
			return true;
	return false;
}
