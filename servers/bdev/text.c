/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts for /proc: the partitions, from our own list, and the statistics, asked
 * of one driver after the other (BLOCK_STATS).
 */
#include "servers/bdev/bdev.h"

#include "lib/c/stdio.h"

#define ASKS_MAX 4u

static struct ask {
	bool used;
	uint64_t call_id;
	uint32_t next, length;  /* node to ask about; bytes written to the call's window */
	char head[64], text[4096];
} asks[ASKS_MAX];

static void partitions(const struct x_in *in)
{
	static char text[4096];
	uint32_t at = (uint32_t)snprintf(text, sizeof(text), "major minor  #blocks  name\n\n");

	for (uint32_t i = 0; i < NODES_MAX && at < sizeof(text) - 80; i++) {
		const struct node *n = &nodes[i];

		if (n->state == NODE_FREE || !n->there || !n->size_bytes)
			continue;
		at += (uint32_t)snprintf(text + at, sizeof(text) - at, "%4u  %7u %10llu %s\n", (unsigned)(n->rdev >> 8),
					 (unsigned)(n->rdev & 0xff), (unsigned long long)(n->size_bytes / 1024), n->name);
	}
	out_status(in->id, window_write(in->id, 0, 0, text, at));
}

static void ask_next(struct ask *a);

static void add(struct ask *a, const char *text, uint32_t bytes)
{
	int64_t n = window_write(a->call_id, 0, a->length, text, bytes);

	if (n > 0)
		a->length += (uint32_t)n;
}

static void on_stats(void *ctx, const struct x_in *reply)
{
	struct ask *a = ctx;
	int32_t bytes = reply->msg.status;

	if (bytes > (int32_t)sizeof(a->text))
		server_complain(drivers[nodes[a->next].driver].port);
	if (bytes > 0 && bytes <= (int32_t)sizeof(a->text)) {
		uint32_t head = (uint32_t)snprintf(a->head, sizeof(a->head), "%s%s\n", a->length ? "\n" : "",
						   nodes[a->next].name);

		add(a, a->head, head);
		add(a, a->text, (uint32_t)bytes);
	}
	a->next++;
	ask_next(a);
}

static bool is_disk(const struct node *n)
{
	return n->state != NODE_FREE && n->there && !strcmp(n->name, n->disk);
}

static void ask_next(struct ask *a)
{
	const struct node *n;
	struct x_out *out;

	while (a->next < NODES_MAX && !is_disk(&nodes[a->next]))
		a->next++;
	if (a->next == NODES_MAX) {
		a->used = false;
		out_status(a->call_id, a->length);
		return;
	}
	n = &nodes[a->next];
	out = out_start(drivers[n->driver].port, on_stats, a, NULL);
	out->msg.op = BLOCK_STATS;
	out->win[0] = (struct x_window){ (uintptr_t)n->name, (uint32_t)strlen(n->name), X_WIN_READ };
	out->win[1] = (struct x_window){ (uintptr_t)a->text, sizeof(a->text), X_WIN_WRITE };
	out->win_count = 2;
}

void text_answer(const struct x_in *in)
{
	struct ask *a = asks;

	if (in->msg.a[0] == BDEV_TEXT_PARTITIONS) {
		partitions(in);
		return;
	}
	while (a < asks + ASKS_MAX && a->used)
		a++;
	if (in->msg.a[0] != BDEV_TEXT_STATS || a == asks + ASKS_MAX) {
		out_status(in->id, in->msg.a[0] == BDEV_TEXT_STATS ? -X_EBUSY : -X_EINVAL);
		return;
	}
	a->used = true;
	a->call_id = in->id;
	a->next = a->length = 0;
	ask_next(a);
}
