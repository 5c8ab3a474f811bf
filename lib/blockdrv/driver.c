/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block driver as a whole: the states of its disks, the event loop's work
 * at the end of each batch, time-outs and resets.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "proto/rs.h"

#define TICK_NS             1000000000ull
#define PROGRESS_TIMEOUT_NS 30000000000ull
#define REQUEST_TIMEOUTS    10u /* one request may take so many progress timeouts */
#define RESETS_MAX          3u
#define ROUNDS_MAX          4u  /* of one batch: bounds an iteration */
#define POLL_US_MAX         1000u
#define POLL_LOOKS          8u  /* at the device between two at all else */
#define POLL_LOSSES_MAX     4u  /* in a row, then polling pauses ... */
#define POLL_PAUSE          64u /* ... for so many rounds */

struct driver bdrv;

static struct {
	struct server_timer tick;
	bool ready;             /* rs was told */
	x_handle_t again;       /* event: come back without waiting */
	uint64_t poll_ns;       /* look for completions so long after a kick, or the last one */
	uint64_t poll_until_ns, poll_skipped_ns;
	uint32_t poll_losses, poll_pause;
	bool told;              /* a client is to be woken, by the commit */
	bool start_wanted;      /* of some disk */
	uint64_t progress_timeout_ns;
	struct dma_buffer zeroes;
} loop;

static void set_state(struct disk *d, enum disk_state state)
{
	static const char *const names[] = { "empty", "starting", "serving", "resetting" };

	if (state != d->state && (state == DISK_RESETTING || d->state == DISK_RESETTING || d->state == DISK_SERVING))
		server_log("%s: %s -> %s", d->name, names[d->state], names[state]);
	d->state = state;
}

uint64_t blockdrv_hash(uint64_t h, const void *data, uint32_t bytes)
{
	const uint8_t *p = data;

	for (uint32_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

/* ---------------------------------------------------------- from the device code */

void blockdrv_failed(const char *why)
{
	x_handle_t rs = boot_handle("rs_event");

	if (rs != X_NO_HANDLE)
		x_event_signal(rs, RS_EVENT_FAILED);
	server_die("%s", why);
}

bool blockdrv_serving(uint32_t disk)
{
	return disk < bdrv.disk_count && bdrv_serving(&bdrv.disks[disk]);
}

const char *blockdrv_name(uint32_t disk)
{
	return bdrv.disks[disk].name;
}

/* rs hears that we are ready when a disk serves, or there is none. */
static void ready_when_settled(void)
{
	bool any = false, coming = false;

	for (uint32_t i = 0; i < bdrv.disk_count && !loop.ready; i++) {
		any |= bdrv_serving(&bdrv.disks[i]);
		coming |= bdrv.disks[i].state == DISK_STARTING;
	}
	if (!any && coming)
		return;
	loop.ready = true;
	server_ready();
}

static void give_up(struct disk *d)
{
	if (bdrv.disk_count == 1) {
		bdrv.ops->stop();
		server_die("gave up after %u resets in a row", RESETS_MAX);
	}
	server_log("%s: given up after %u resets in a row", d->name, RESETS_MAX);
	d->given_up = true;
}

void blockdrv_broken(uint32_t disk, const char *why)
{
	struct disk *d = &bdrv.disks[disk];

	server_log("%s: %s", d->name, why);
	if (++d->resets_in_row > RESETS_MAX)
		give_up(d);
	d->stats.resets++;
	set_state(d, DISK_RESETTING);
	/* Not from here: the device code is in the middle of something. */
	d->start_wanted = loop.start_wanted = true;
}

static bool geometry_holds(const struct blockdrv_geometry *g)
{
	uint32_t block = g->logical_block_bytes;

	return block >= 512 && block <= 65536 && !(block & (block - 1)) && g->size_bytes >= block &&
	       !(g->size_bytes % block) && g->max_request_bytes >= block && g->max_segments;
}

static void set_geometry(struct disk *d, const struct blockdrv_geometry *g)
{
	uint32_t block = g->logical_block_bytes;
	uint64_t zeroes;

	d->geometry = *g;
	g = &d->geometry;
	d->geometry.max_request_bytes -= g->max_request_bytes % block;
	d->geometry.max_discard_bytes -= g->max_discard_bytes % block;
	d->geometry.max_write_zeroes_bytes -= g->max_write_zeroes_bytes % block;
	if (!g->identity_hash) {
		uint64_t h = blockdrv_hash(BLOCKDRV_HASH, &g->identity, sizeof(g->identity));

		d->geometry.identity_hash = blockdrv_hash(h, &g->logical_block_bytes, sizeof(block));
	}
	if (g->max_write_zeroes_bytes || g->read_only)
		return;
	/* By writing: at most as many segments as there may be, of the zeroes we have. */
	zeroes = g->max_segment_bytes && g->max_segment_bytes < ZEROES_BYTES ? g->max_segment_bytes : ZEROES_BYTES;
	zeroes *= g->max_segments < BLOCKDRV_SEGMENTS ? g->max_segments : BLOCKDRV_SEGMENTS;
	if (!loop.zeroes.bytes && dma_alloc(g->device, ZEROES_BYTES, 0, 0, &loop.zeroes))
		return; /* without memory there is no WRITE_ZEROES */
	d->geometry.max_write_zeroes_bytes = zeroes < g->max_request_bytes ? zeroes - zeroes % block
									   : g->max_request_bytes;
}

const struct dma_buffer *bdrv_zeroes(const struct disk *d)
{
	(void)d;
	return loop.zeroes.bytes ? &loop.zeroes : NULL;
}

/* A disk that came back from a reset as another one, or with another size: what
 * its sessions have in mind is not there any more. */
static void compare_with_last(struct disk *d)
{
	bool another = d->last_identity && d->last_identity != d->geometry.identity_hash;

	d->last_identity = d->geometry.identity_hash;
	if (!another)
		return;
	server_log("%s: another disk than before", d->name);
	bdrv_session_hang_up(d);
	bdrv_request_fail_all(d, -X_EIO);
	bdrv_scan_abort(d);
	d->scanned = false;
}

void blockdrv_ready(uint32_t disk, const struct blockdrv_geometry *g)
{
	struct disk *d = &bdrv.disks[disk];
	bool first = !d->last_identity;

	if (!geometry_holds(g)) {
		if (bdrv.disk_count == 1)
			blockdrv_failed("the device tells an impossible geometry");
		server_log("%s: tells an impossible geometry", d->name);
		blockdrv_gone(disk);
		return;
	}
	set_geometry(d, g);
	compare_with_last(d);
	set_state(d, DISK_SERVING);
	if (first)
		server_log("%s: %s %s, %llu MiB, blocks of %u bytes", d->name, g->identity.model, g->identity.serial,
			   (unsigned long long)(g->size_bytes >> 20), g->logical_block_bytes);
	/* Who uses the whole disk, and has waited for a restart, does not wait
	 * for the scan too. */
	bdrv_open_retry();
	ready_when_settled();
	if (!d->scanned)
		bdrv_scan_begin(d);
}

void blockdrv_gone(uint32_t disk)
{
	struct disk *d = &bdrv.disks[disk];
	bool known = d->state == DISK_SERVING || d->state == DISK_RESETTING;

	set_state(d, DISK_EMPTY);
	d->start_wanted = false;
	bdrv_scan_abort(d);
	bdrv_session_hang_up(d);
	bdrv_request_fail_all(d, -X_EIO);
	d->scanned = false;
	d->scan.count = 0;
	if (known)
		bdrv_open_changed();
	bdrv_open_retry();
	ready_when_settled();
}

void blockdrv_plugged(uint32_t disk)
{
	struct disk *d = &bdrv.disks[disk];

	if (d->state != DISK_EMPTY)
		return;
	d->resets_in_row = 0;
	d->given_up = false;
	set_state(d, DISK_STARTING);
	d->start_wanted = loop.start_wanted = true;
}

void blockdrv_resized(uint32_t disk, uint64_t size_bytes)
{
	struct disk *d = &bdrv.disks[disk];
	uint64_t size = size_bytes - size_bytes % d->geometry.logical_block_bytes;

	if (!bdrv_serving(d) || !size || size == d->geometry.size_bytes)
		return;
	server_log("%s: %llu MiB now", d->name, (unsigned long long)(size >> 20));
	d->geometry.size_bytes = size;
	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		if (!s->object || s->dead || s->disk != d || s->partition)
			continue;
		s->size_bytes = size;
		bdrv_session_limits(s);
		out_signal(s->completion_event, BLOCK_EVENT_LIMITS);
	}
	bdrv_open_changed();
}

void bdrv_driver_scanned(struct disk *d)
{
	d->scanned = true;
	bdrv_open_changed();
	bdrv_open_retry();
}

/* --------------------------------------------------------------------- timeouts */

/*
 * A slow device with a deep queue is not a broken one: what counts is that
 * anything completes at all. Only a request passed over for very long, while
 * others complete, is taken as lost too.
 */
static bool tick_disk(struct disk *d)
{
	const struct blockdrv_request *oldest = d->submitted.first;

	if (!oldest || !bdrv_serving(d))
		return false;
	if (server_now_ns - d->progress_ns > loop.progress_timeout_ns)
		blockdrv_broken(d->number, "no completion in time");
	else if (server_now_ns - oldest->submitted_ns > REQUEST_TIMEOUTS * loop.progress_timeout_ns)
		blockdrv_broken(d->number, "a request was lost");
	return true;
}

static void tick(void *ctx)
{
	(void)ctx;
	for (uint32_t i = 0; i < bdrv.disk_count; i++)
		tick_disk(&bdrv.disks[i]);
}

/* -------------------------------------------------------------------- event loop */

static void on_closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	bdrv_session_closure(object);
}

static void start_disks(void)
{
	if (!loop.start_wanted)
		return;
	loop.start_wanted = false;
	for (uint32_t i = 0; i < bdrv.disk_count; i++) {
		struct disk *d = &bdrv.disks[i];

		if (!d->start_wanted)
			continue;
		d->start_wanted = false;
		bdrv_request_take_back_all(d);
		if (d->given_up)
			blockdrv_gone(i);
		else
			bdrv.ops->start(i);
	}
}

static uint64_t now(void)
{
	return (uint64_t)x_clock(X_CLOCK_MONOTONIC);
}

/* Device -> completions; rings -> device; completions -> clients. */
static void one_round(void)
{
	bdrv.rounds++;
	bdrv.round_ns = now();
	start_disks();
	bdrv.ops->poll();
	bdrv_session_consume_all();
	bdrv_scan_continue();
	if (bdrv_request_submit_all()) {
		bdrv.kicks++;
		bdrv.ops->kick();
		loop.poll_until_ns = bdrv.round_ns + loop.poll_ns;
	}
	loop.told |= bdrv_calls_answered();
	loop.told |= bdrv_session_publish_all();
}

/*
 * Waiting for an interrupt, being woken by it and switched to costs more than a
 * fast device takes: so look for the device's answers for a while, and meanwhile
 * for further requests. Not if a thread waits for this CPU; and who has looked in
 * vain a few times in a row (a slow device, a busy host) leaves it for a while.
 */
static bool may_look_on(void)
{
	if (!loop.poll_ns || !bdrv_request_submitted_count())
		return false;
	if (loop.poll_pause) {
		loop.poll_pause -= loop.poll_until_ns != loop.poll_skipped_ns;
		loop.poll_skipped_ns = loop.poll_until_ns; /* a kick counts once */
		return false;
	}
	return true;
}

/* true: there is something to do. */
static bool look_on(void)
{
	uint32_t before = bdrv_request_submitted_count();

	do {
		bdrv.round_ns = now();
		for (uint32_t i = 0; i < POLL_LOOKS && bdrv_request_submitted_count() == before && !loop.start_wanted; i++)
			bdrv.ops->poll();
		if (loop.start_wanted)
			return true;
		if (bdrv_request_submitted_count() != before) {
			bdrv.polls_won++;
			loop.poll_losses = 0;
			loop.poll_until_ns = bdrv.round_ns + loop.poll_ns;
			return true;
		}
		if (bdrv_session_look_all())
			return true;
		if (x_yield() > 0)
			return false;
	} while (bdrv.round_ns < loop.poll_until_ns);
	bdrv.polls_lost++;
	if (++loop.poll_losses >= POLL_LOSSES_MAX) {
		loop.poll_losses = 0;
		loop.poll_pause = POLL_PAUSE;
	}
	return false;
}

/* Before sleeping: ask to be woken. true: there is more to do. */
static bool arm(void)
{
	bool more = bdrv.ops->arm();

	more |= bdrv_session_arm_all();
	return more || loop.start_wanted;
}

static void on_batch_end(void)
{
	bool more = true;

	loop.told = false;
	for (unsigned round = 0; more && round < ROUNDS_MAX; round++) {
		one_round();
		/* Who is to be told something is not kept waiting: that takes the commit. */
		if (!may_look_on())
			more = arm();
		else if (!loop.told)
			more = look_on() || arm();
		else
			break;
	}
	if (more)
		out_signal(loop.again, 1);
	bdrv_remember_all();
	if (bdrv_request_submitted_count() && !loop.tick.deadline_ns)
		timer_set(&loop.tick, server_now_ns + TICK_NS);
}

static void on_again(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits;
}

/* ---------------------------------------------------------------------------- start */

static uint64_t option(const char *key, uint64_t otherwise, uint64_t most)
{
	const char *text = boot_option(key);
	uint64_t value = text ? strtoull(text, NULL, 10) : otherwise;

	return value < most ? value : most;
}

/* a .. z, aa, ab ...: by place alone, so that a disk has the same name whenever
 * and in whatever order disks appear. "virtio_blk" drives vda, "virtio_blk.1"
 * vdb; an AHCI controller has BLOCKDRV_DISKS names of its own. */
static void name_disk(struct disk *d)
{
	const char *dot = strchr(boot->name, '.');
	uint32_t instance = dot ? strtoul(dot + 1, NULL, 10) : 0;
	uint32_t n = instance * (bdrv.disk_count == 1 ? 1 : BLOCKDRV_DISKS) + d->number;
	uint32_t at = strlcpy(d->name, bdrv.ops->disk_prefix, NAME_BYTES - 6); /* room for a partition */

	if (n >= 26)
		d->name[at++] = 'a' + (n / 26 - 1) % 26;
	d->name[at++] = 'a' + n % 26;
	d->name[at] = 0;
}

static void read_options(void)
{
	const char *scheduler = boot_option("scheduler");
	int which = scheduler ? bdrv_scheduler_find(scheduler) : SCHEDULER_NONE;

	loop.poll_ns = option("poll_us", bdrv.ops->poll_us, POLL_US_MAX) * 1000;
	loop.progress_timeout_ns = option("io_timeout_ms", 0, 3600000) * 1000000;
	if (!loop.progress_timeout_ns)
		loop.progress_timeout_ns = bdrv.ops->progress_timeout_ns ? bdrv.ops->progress_timeout_ns
									  : PROGRESS_TIMEOUT_NS;
	for (uint32_t i = 0; i < bdrv.disk_count; i++) {
		struct disk *d = &bdrv.disks[i];

		d->number = i;
		d->scheduler = which < 0 ? SCHEDULER_NONE : which;
		name_disk(d);
		bdrv_recall(d);
	}
}

void blockdrv_run(const struct blockdrv_ops *ops)
{
	static const struct server_ops server = {
		.call = bdrv_open_call, .closure = on_closure, .cancel = bdrv_open_cancel, .batch_end = on_batch_end,
	};
	int64_t again;

	bdrv.ops = ops;
	bdrv.round_ns = now();
	bdrv.changes = bdrv.round_ns; /* unlike that of the incarnation before */
	bdrv_request_init();
	loop.tick.fn = tick;
	again = x_event_create();
	if (again < 0)
		server_die("no event: %d", (int)again);
	loop.again = again;
	if (server_bind(loop.again, on_again, NULL))
		server_die("cannot bind an event");
	server_defer_ready();
	bdrv.disk_count = ops->probe();
	read_options();
	for (uint32_t i = 0; i < bdrv.disk_count; i++)
		blockdrv_plugged(i);
	if (!bdrv.disk_count)
		ready_when_settled();
	server_run(&server);
}
