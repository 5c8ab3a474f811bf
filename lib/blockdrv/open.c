/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls on the driver's port (proto/block.h): BLOCK_OPEN makes a session, the
 * others tell of disks or change how they are served.
 *
 * A call that came too early (its disk is being brought up, or its partitions
 * are not known yet) waits here. BLOCK_WATCH waits for a change.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/ipc/watchers.h"

#define WAITING_MAX   SESSIONS_MAX
#define CONTROL_BYTES 64u

static struct {
	struct x_in waiting[WAITING_MAX];
	uint32_t waiting_count;
	struct watchers watchers;
	uint64_t next_object;
} opens;

static void refuse(const struct x_in *in, int err)
{
	in_close_handles(in);
	out_status(in->id, err);
}

/* --------------------------------------------------------------------------- names */

struct wanted { struct disk *disk; uint32_t partition; };

/* 0: not a number. */
static bool number_is(const char *text, uint32_t *number)
{
	*number = 0;
	for (; *text >= '0' && *text <= '9' && *number < 1000; text++)
		*number = *number * 10 + (*text - '0');
	return !*text;
}

/* The first disk there is, -X_EAGAIN while an earlier one is coming. */
static int first_disk(struct disk **out)
{
	for (uint32_t i = 0; i < bdrv.disk_count; i++) {
		struct disk *d = &bdrv.disks[i];

		if (bdrv_coming(d))
			return -X_EAGAIN;
		if (bdrv_serving(d)) {
			*out = d;
			return 0;
		}
	}
	return -X_ENXIO;
}

/* "" or "0": the first disk; "7": a partition of it; "sdb", "vda7". */
static int find(const char *name, struct wanted *w)
{
	if (number_is(name, &w->partition))
		return first_disk(&w->disk);
	for (uint32_t i = 0; i < bdrv.disk_count; i++) {
		struct disk *d = &bdrv.disks[i];
		size_t prefix = strlen(d->name);

		if (strncmp(name, d->name, prefix) || !number_is(name + prefix, &w->partition))
			continue;
		w->disk = d;
		return bdrv_serving(d) ? 0 : bdrv_coming(d) ? -X_EAGAIN : -X_ENXIO;
	}
	return -X_ENXIO;
}

/* The text in window 0, "" without one; 0 or negated error. */
static int64_t take_text(const struct x_in *in, char *text, uint32_t size)
{
	int64_t len = 0;

	if (in->win_count && in->win[0].len)
		len = window_string(in->id, 0, in->win[0].len, text, size);
	if (len < 0)
		return len;
	text[len] = 0;
	return 0;
}

/* ---------------------------------------------------------------------------- open */

/* The range, and the name in full. */
static int set_range(struct blockdrv_session *s, const struct wanted *w, char *full)
{
	struct disk *d = w->disk;

	s->disk = d;
	s->partition = w->partition;
	s->offset_bytes = 0;
	s->size_bytes = d->geometry.size_bytes;
	strlcpy(full, d->name, NAME_BYTES);
	if (!w->partition)
		return 0;
	for (uint32_t i = 0; i < d->scan.count; i++) {
		const struct partition *p = &d->scan.partitions[i];

		if (p->number != w->partition)
			continue;
		s->offset_bytes = p->offset_bytes;
		s->size_bytes = p->size_bytes;
		snprintf(full, NAME_BYTES, "%.12s%u", d->name, p->number % 1000);
		return 0;
	}
	return -X_ENXIO;
}

static int map_rings(struct blockdrv_session *s, const struct x_in *in)
{
	struct x_mem_map map = {
		.space = X_SELF, .memory = in->handles[0], .len = BLOCK_RING_BYTES,
		.prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t addr = x_mem_map(&map);

	if (addr < 0)
		return addr;
	s->ring_memory = (void *)addr;
	ring_init(&s->requests, s->ring_memory + BLOCK_REQUESTS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_request));
	ring_init(&s->completions, s->ring_memory + BLOCK_COMPLETIONS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_completion));
	bdrv_session_limits(s);
	return dma_import(s->disk->geometry.device, s->pool, in->msg.a[1], &s->import);
}

static void answer_open(const struct x_in *in, x_handle_t object, x_handle_t doorbell,
			const struct blockdrv_session *s, const char *name)
{
	const struct blockdrv_geometry *g = &s->disk->geometry;
	uint64_t flags = (g->read_only ? BLOCK_INFO_READ_ONLY : 0) | (g->fua ? BLOCK_INFO_FUA : 0) | BLOCK_INFO_CALLS;
	struct x_out *out = out_answer_entry(in->id);

	out->msg.a[0] = s->size_bytes;
	out->msg.a[1] = g->logical_block_bytes | (uint64_t)g->physical_block_bytes << 32;
	out->msg.a[2] = g->max_request_bytes | flags << 32;
	out->msg.a[3] = in->msg.a[2] && g->cache_kept ? in->msg.a[2] : g->cache_epoch;
	memcpy(&out->msg.a[4], name, NAME_BYTES);
	out->msg.a[6] = g->identity_hash;
	out->handles[0] = object;
	out->handles[1] = doorbell;
	out->handle_count = 2;
	if (s->client != X_NO_HANDLE) {
		int64_t device = x_handle_dup(g->device, X_R_TRANSFER, X_SLOT_NATIVE, 0); /* to lend to, no more */

		if (device >= 0)
			out->handles[out->handle_count++] = (x_handle_t)device;
	}
}

/* All of a session, or an error and nothing but what bdrv_session_free() undoes. */
static int session_make(struct blockdrv_session *s, const struct x_in *in, const struct wanted *w)
{
	char full[NAME_BYTES] = "";
	x_handle_t doorbell = X_NO_HANDLE;
	int64_t object;
	int err = set_range(s, w, full);

	if (!err)
		err = map_rings(s, in);
	if (!err)
		err = bdrv_session_doorbell(s, &doorbell);
	if (err)
		return err;
	object = x_mint(server_port, s->object, 0, 0, 0);
	if (object < 0) {
		out_close(doorbell);
		return object;
	}
	s->waiting = true;
	answer_open(in, object, doorbell, s, full);
	server_log("session on %s, pool of %llu KiB", full, (unsigned long long)(in->msg.a[1] >> 10));
	return 0;
}

static struct blockdrv_session *session_get(void)
{
	uint32_t i = 0;

	while (i < SESSIONS_MAX && bdrv.sessions[i].object)
		i++;
	if (i == SESSIONS_MAX)
		return NULL;
	if (bdrv.session_limit <= i)
		bdrv.session_limit = i + 1;
	return &bdrv.sessions[i];
}

static void open_now(const struct x_in *in, const struct wanted *w)
{
	struct blockdrv_session *s = session_get();
	int err;

	if (in->handle_count < 3 || !in->msg.a[1]) {
		refuse(in, -X_EINVAL);
		return;
	}
	if (!s) {
		refuse(in, -X_EBUSY);
		return;
	}
	*s = (struct blockdrv_session){
		.object = ++opens.next_object, .generation = in->msg.a[0],
		.pool = in->handles[1], .completion_event = in->handles[2], .doorbell = X_NO_HANDLE,
		.client = in->handle_count == 4 ? in->handles[3] : X_NO_HANDLE,
	};
	err = session_make(s, in, w);
	out_close(in->handles[0]); /* the mapping is enough */
	if (err) {
		bdrv_session_free(s);
		out_status(in->id, err);
	}
}

/* -------------------------------------------------------------------- other calls */

static void identify(const struct x_in *in, const struct disk *d)
{
	const struct block_identity *id = &d->geometry.identity;

	out_status(in->id, window_write(in->id, 1, 0, id, sizeof(*id)) < (int64_t)sizeof(*id) ? -X_EFAULT : 0);
}

static int rescan(struct disk *d)
{
	if (bdrv_session_uses_partitions(d))
		return -X_EBUSY;
	return bdrv_scan_begin(d);
}

static int control(struct disk *d, const char *command)
{
	if (!strncmp(command, "scheduler ", 10)) {
		int scheduler = bdrv_scheduler_find(command + 10);

		if (scheduler < 0)
			return scheduler;
		d->scheduler = scheduler;
		bdrv_remember(d);
		return 0;
	}
	if (!strcmp(command, "rescan"))
		return rescan(d);
	return bdrv.ops->control ? bdrv.ops->control(d->number, command) : -X_EINVAL;
}

static void watch(const struct x_in *in)
{
	struct x_msg msg = { .a = { bdrv.changes } };

	if (in->msg.a[0] != bdrv.changes)
		out_answer(in->id, &msg);
	else
		watchers_add(&opens.watchers, in->id);
}

void bdrv_open_changed(void)
{
	struct x_msg msg = { .a = { ++bdrv.changes } };
	uint64_t call_id;

	while ((call_id = watchers_next(&opens.watchers)))
		out_answer(call_id, &msg);
}

/* ------------------------------------------------------------------------ dispatch */

static bool list(const struct x_in *in)
{
	for (uint32_t i = 0; i < bdrv.disk_count; i++)
		if (bdrv_coming(&bdrv.disks[i]) || (bdrv_serving(&bdrv.disks[i]) && !bdrv.disks[i].scanned))
			return false;
	in_close_handles(in);
	bdrv_list_disks(in);
	return true;
}

/* The calls that name a disk; true: answered. */
static bool serve_disk(const struct x_in *in)
{
	char text[CONTROL_BYTES], *command;
	int64_t err = take_text(in, text, sizeof(text));
	struct wanted w = { 0 };

	command = err ? NULL : strchr(text, ' ');
	if (command)
		*command++ = 0;
	if (!err)
		err = find(text, &w);
	if (err == -X_EAGAIN || (!err && w.partition && !w.disk->scanned))
		return false;
	if (err) {
		refuse(in, err);
		return true;
	}
	if (in->msg.op == BLOCK_OPEN) {
		open_now(in, &w);
		return true;
	}
	in_close_handles(in);
	if (in->msg.op == BLOCK_STATS)
		bdrv_list_stats(in, w.disk);
	else if (in->msg.op == BLOCK_IDENTIFY)
		identify(in, w.disk);
	else
		out_status(in->id, command ? control(w.disk, command) : -X_EINVAL);
	return true;
}

/* Answers the call, unless it must wait. */
static bool serve(const struct x_in *in)
{
	switch (in->msg.op) {
	case BLOCK_OPEN: case BLOCK_STATS: case BLOCK_IDENTIFY: case BLOCK_CONTROL:
		return serve_disk(in);
	case BLOCK_LIST:
		return list(in);
	case BLOCK_WATCH:
		in_close_handles(in);
		watch(in);
		return true;
	}
	refuse(in, -X_ENOSYS);
	return true;
}

void bdrv_open_call(const struct x_in *in)
{
	if (in->object)
		bdrv_calls_take(in);
	else if (opens.waiting_count == WAITING_MAX)
		refuse(in, -X_EBUSY);
	else if (!serve(in))
		opens.waiting[opens.waiting_count++] = *in;
}

void bdrv_open_retry(void)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < opens.waiting_count; i++)
		if (!serve(&opens.waiting[i]))
			opens.waiting[kept++] = opens.waiting[i];
	opens.waiting_count = kept;
}

void bdrv_open_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < opens.waiting_count; i++) {
		if (opens.waiting[i].id != call_id)
			continue;
		refuse(&opens.waiting[i], -X_ECANCELED);
		opens.waiting[i] = opens.waiting[--opens.waiting_count];
		return;
	}
	watchers_cancel(&opens.watchers, call_id);
}
