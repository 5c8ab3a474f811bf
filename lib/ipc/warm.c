/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Warm restart: going on at the top of the loop after a death, with the state
 * as of the last commit (docs/recovery.md).
 *
 * The kernel has queued again what was received since that commit. What was
 * being worked on when the service died is remembered here, outside the
 * region, for the ladder: the first death on an item is followed by another
 * try, the second by failing that item to its sender, the third by a cold
 * start. So are deaths on different items with no good run between them, and a
 * state that does not hold water. After a death items are received one by one
 * for a while, so that the innocent ones are committed. Packets, and what else
 * batch_end does in parts, are items too (server_part()).
 *
 * Also here, for tests: the verifier of the undo log, and death at the Nth
 * entry to the kernel.
 */
#include "lib/c/string.h"
#include "lib/ipc/internal.h"
#include "proto/rs.h"

#define GOOD_RUN_NS 1000000000ull
#define PARTS_MOST 16u    /* failed without a good run between them */
#define SLOW_COMMITS 100u /* one item each */
#define VERIFY_BYTES (6u << 20) /* most that is compared */

static REGION_SCRATCH struct {
	struct warm_item now, blamed;
	uint32_t deaths;        /* on `blamed` */
	bool fail_it;           /* when it comes again */
	bool survived, over;    /* it has come again: in this iteration, in one that was committed */
	bool found;             /* the guilty part is being dropped: over at the commit */
	uint32_t parts_failed;  /* since the last good run */
	uint32_t slow_commits;  /* left */
	uint64_t since_ns;      /* last warm restart */
	uint64_t cut_ns;        /* when the iteration began that it undid */
	uint64_t restarts;
} warm;

#define VERIFY_WINDOWS 256u
static REGION_SCRATCH struct {
	void *snapshot, *work;
	size_t bytes;
	struct x_window window[VERIFY_WINDOWS]; /* others have written, or may write, there */
	uint32_t windows;
	uint64_t epoch; /* of its start */
} verify;
/* Windows given away of late: a verifier that starts later is to know of them. */
#define LENT_WINDOWS 64u
static REGION_SCRATCH struct {
	struct x_window window[LENT_WINDOWS];
	uint32_t next;
} lent;
static REGION_SCRATCH void *log_memory;
REGION_SCRATCH uint64_t x_entries_left;

__attribute__((noreturn)) static void go_cold(const char *why)
{
	server_log("warm restart: %s: to be started cold", why);
	for (;;)
		x_proc_exit(RS_EXIT_COLD);
}

static bool same(const struct warm_item *a, const struct warm_item *b)
{
	return a->kind == b->kind && a->id == b->id && a->object == b->object;
}

REGION_UNLOGGED bool warm_begin(uint64_t kind, uint64_t id, uint64_t object)
{
	warm.now = (struct warm_item){ kind, id, object };
	if (!same(&warm.now, &warm.blamed))
		return false;
	if (!warm.fail_it) {
		warm.survived = kind != WARM_PART && kind != WARM_BATCH_END;
		return false;
	}
	warm.fail_it = false;
	if (kind == X_IN_PAGE || kind == WARM_BATCH_END)
		go_cold("what killed it twice cannot be failed");
	server_log("warm restart: item of kind %u, id 0x%llx, object 0x%llx killed it twice: failed",
		   (unsigned)kind, (unsigned long long)id, (unsigned long long)object);
	tell_rs(RS_EVENT_GAVE_UP_ITEM);
	/* Packets come from anywhere: the next that kills us is another one's fault,
	 * not a sign of a state gone bad, unless there is no end of them. */
	if (kind == WARM_PART && ++warm.parts_failed <= PARTS_MOST)
		warm.found = true;
	return true;
}

bool server_part(uint64_t object, uint64_t id)
{
	return warm_begin(WARM_PART, id, object);
}

bool server_careful(void)
{
	return warm.slow_commits && warm.deaths;
}

/* When they come one by one, all the iteration does is the part's doing. */
void server_part_end(void)
{
	if (!server_careful())
		warm.now = (struct warm_item){ WARM_BATCH_END, 0, 0 };
}

uint32_t warm_batch_max(void)
{
	if (!warm.slow_commits)
		return X_MAX_BATCH;
	warm.slow_commits--;
	return 1;
}

/* All but rs, whose maker, the kernel, knows only this way to restart it. */
static bool can_start_cold(void)
{
	return boot_handle("rs_event") != X_NO_HANDLE;
}

static void blame(void)
{
	bool good_run = server_now_ns - warm.since_ns > GOOD_RUN_NS;
	/* Where parts came many at once, which one it was is seen the next time. */
	bool closer = warm.now.kind == WARM_PART && warm.blamed.kind == WARM_BATCH_END;

	if (good_run)
		warm.parts_failed = 0;
	if (same(&warm.now, &warm.blamed)) { /* or was that got over? Then it is the next of the same event, say */
		warm.deaths = warm.over ? 1 : warm.deaths + 1;
		warm.over = false;
	} else if (warm.deaths && !good_run && !closer && can_start_cold()) {
		go_cold("deaths on different items");
	} else {
		warm.blamed = warm.now;
		warm.deaths = 1;
		warm.over = false;
	}
	if (warm.deaths > 2)
		go_cold("to fail the item is death, too");
	warm.fail_it = warm.deaths == 2;
}

void warm_start(uint64_t arg)
{
	struct x_port_info port = { 0 };
	size_t undone = region_log_bytes();
	uint64_t now = x_clock(X_CLOCK_MONOTONIC);

	x_entries_left = 0;
	warm.survived = false;
	server_delay_ns = 0;
	outbox_garbage = false;
	if (verify.epoch == region.epoch) /* its memory is gone */
		verify.snapshot = NULL;
	if (!region_is_open())
		go_cold("its state is not kept");
	if (x_port_info(server_port, &port) < 0 || !region_rollback(port.epoch))
		go_cold("its undo log is damaged");
	region.mapped_end = server_memory_end();
	outbox_forget();
	control_warm(port.epoch);
	warm.cut_ns = server_now_ns;
	server_now_ns = now;
	if (arg & X_WARM_BLAME)
		blame();
	if (!server_state_check())
		go_cold("its state is unsound");
	bound_again();
	control_bind();
	control_ready_again();
	warm.slow_commits = SLOW_COMMITS;
	warm.since_ns = now;
	warm.restarts++;
	warm.now = (struct warm_item){ 0 };
	server_log("warm restart %llu: epoch %llu, %zu bytes of log, %llu us", (unsigned long long)warm.restarts,
		   (unsigned long long)port.epoch, undone,
		   (unsigned long long)(x_clock(X_CLOCK_MONOTONIC) - now) / 1000);
	server_loop();
}

/* ------------------------------------------------------------------- commits */

static void *map_payload(uint64_t addr, size_t bytes)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE, .addr = addr, .len = bytes,
		.prot = X_PROT_READ | X_PROT_WRITE,
		.flags = X_MAP_PRIVATE | X_MAP_LAZY | (addr ? X_MAP_FIXED | X_MAP_NOREPLACE : 0),
	};
	int64_t at = x_mem_map(&m);

	return at < 0 ? NULL : (void *)at;
}

/* Ahead of that commit, or the log would go with the first iteration that is undone. */
static void map_log(void)
{
	if (log_memory || !boot->log_bytes || !region_hooks || !control_is_ready())
		return;
	log_memory = map_payload(REGION_LOG, boot->log_bytes);
	if (!log_memory)
		server_die("no memory for the undo log of %llu bytes", (unsigned long long)boot->log_bytes);
}

static void stop_verifying(const char *why, const void *address)
{
	verify.snapshot = NULL;
	server_log("VERIFIER: %s 0x%llx", why, (unsigned long long)(uintptr_t)address);
}

/* A window of a started call belongs to its server until the answer. */
static void verify_add_window(const struct x_window *w)
{
	bool known = w->addr - REGION_START >= verify.bytes;

	for (uint32_t k = 0; k < verify.windows && !known; k++)
		known = verify.window[k].addr <= w->addr &&
			w->addr + w->len <= verify.window[k].addr + verify.window[k].len;
	if (!known && verify.windows == VERIFY_WINDOWS)
		stop_verifying("too many windows, the last at", (void *)w->addr);
	else if (!known)
		verify.window[verify.windows++] = *w;
}

static void lend_windows(const struct x_out *o)
{
	for (uint32_t i = 0; i < o->win_count; i++)
		if (o->win[i].flags & X_WIN_WRITE) {
			lent.window[lent.next++ % LENT_WINDOWS] = o->win[i];
			if (verify.snapshot)
				verify_add_window(&o->win[i]);
		}
}

static void verify_commit(void)
{
	const void *missed;

	if (!region_undo_copy(verify.work, verify.bytes))
		stop_verifying("nonsense in the log, which ends at", region.head);
	for (uint32_t i = 0; i < verify.windows && verify.snapshot; i++) {
		uint64_t at = verify.window[i].addr - REGION_START;

		memcpy((char *)verify.work + at, (char *)verify.snapshot + at, verify.window[i].len);
	}
	missed = verify.snapshot ? region_compare(verify.snapshot, verify.work, verify.bytes) : NULL;
	if (missed)
		stop_verifying("not logged was a store to", missed);
}

void warm_before_commit(void)
{
	warm.now = (struct warm_item){ 0 };
	map_log();
	if (verify.snapshot)
		verify_commit();
	if (outbox_starts)
		for (uint32_t i = 0; i < outbox_count; i++)
			if (outbox[i].kind == X_OUT_START)
				lend_windows(&outbox[i]);
}

/* With the commit that says that the service is ready the region is opened: what
 * was before is a cold start's, and may be as large as it likes. */
void warm_after_commit(uint64_t epoch)
{
	if (warm.found)
		warm.deaths = 0;
	warm.over |= warm.survived;
	warm.found = warm.survived = false;
	if (region_is_open()) {
		region_commit(epoch);
		region.mapped_end = server_memory_end();
		if (verify.snapshot)
			region_snapshot(verify.snapshot, verify.bytes);
		return;
	}
	region.epoch = epoch;
	if (log_memory)
		region_open(log_memory, epoch);
	region.mapped_end = server_memory_end();
}

uint64_t server_cut_ns(void)
{
	return warm.cut_ns;
}

uint64_t server_epoch(void)
{
	return region.epoch;
}

bool warm_log_is_half_full(void)
{
	return region_log_bytes() > boot->log_bytes / 2;
}

/* From the next commit on. The heap is left out if it is too large. */
void warm_verify(void)
{
	extern char _end[];
	uint64_t end = server_memory_end();

	if (end - REGION_START > VERIFY_BYTES)
		end = (uint64_t)_end;
	if (!region_is_open() || verify.snapshot)
		return;
	verify.bytes = (end - REGION_START) & ~7ull;
	verify.work = map_payload(0, verify.bytes);
	verify.snapshot = map_payload(0, verify.bytes);
	/* What this iteration has changed so far is in the log as it is now. */
	verify.epoch = server_epoch();
	if (verify.snapshot && verify.work) {
		region_undo_copy(verify.snapshot, verify.bytes);
		for (uint32_t i = 0; i < LENT_WINDOWS && lent.window[i].len; i++)
			verify_add_window(&lent.window[i]);
		server_log("VERIFIER: on for %zu bytes", verify.bytes);
	}
}

void warm_die_at_entry(uint64_t number)
{
	x_entries_left = number + 1;
}

void x_entry(void)
{
	if (--x_entries_left > 1)
		return;
	x_entries_left = 0;
	for (;;)
		x_proc_kill(X_SELF, -X_ECANCELED);
}
