/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of files, between their contents (lib/fs/content.h) and the disk,
 * by way of slots in the pool that the device can reach. A job is a run of
 * pages of one file, at most a slot long:
 *
 *   FETCH   waits for its map, then for its reads; then the pages are supplied
 *   WRITE   copied from the content, whose pages are clean now and pinned;
 *           waits for its map, then for its writes
 *   WRITTEN waits, without a slot, for a flush: then the pages are unpinned. If
 *           the device loses its cache first, they are dirty again
 *
 * Places on the disk are counted in units: a block, or a page if that is smaller.
 *
 * A job is mapped only once, when its transfers are begun; the block client
 * keeps transfers of the same blocks in order. What a fetch brought from blocks
 * that a truncation has freed meanwhile is fetched again (content.version).
 */

#include "lib/fs/clean.h"
#include "fs/minix/server.h"
#include "proto/block.h"

enum {
	SLOT_BYTES = 128 * 1024,
	SLOTS_MAX = 64,
	JOBS_MAX = 1024,
	BLOCKS_MAX = SLOT_BYTES / MINIX_BLOCK_SIZE_MIN,
	UNPINS_MAX = 16,                /* in one iteration */
	SWEEPS_MAX = 128,               /* contents looked at by one write-back */
};

enum job_state { JOB_FREE, JOB_FETCH, JOB_WRITE, JOB_WRITTEN };

struct job {
	uint8_t state;
	bool begun;                     /* mapped, its transfers are under way */
	bool durable;                   /* WRITE: its one transfer needs no flush after it */
	int16_t slot;
	int32_t status;
	uint32_t pending;               /* transfers */
	uint32_t ino, version;
	uint32_t bytes;                 /* whole pages */
	uint64_t content, offset;
	uint64_t file_bytes;            /* the size when it was mapped */
	uint64_t serial;                /* WRITE: in order of cleaning; WRITTEN: flush generation */
	uint32_t backed;                /* FETCH: bit per page */
	struct job *next;               /* of those not begun, in order */
};

_Static_assert(SLOT_BYTES / 4096 <= 32, "a bit per page");

static struct job jobs[JOBS_MAX];
static struct job *first_waiting, *last_waiting;
static uint32_t jobs_free, job_cursor, fetches, writes, written;
static bool slot_used[SLOTS_MAX];
static uint32_t slot_count;
static uint64_t last_serial;
static uint64_t dirty_max;              /* pages; from half of that on streams ask */
static uint64_t pinned;                 /* pages of WRITTEN jobs: at most about dirty_max of them, too */
static uint32_t write_errors;
static bool unpin_due;                  /* some WRITTEN jobs can end */

static void unpin_some(void);

/* How many pages are dirty, and a content that has some. While as many as there may be
 * wait for a flush, streams ask about each page that they would make dirty. */
static uint64_t dirty_pages(uint64_t *id)
{
	int64_t dirty = x_port_dirty(server_port, pinned < dirty_max ? dirty_max / 2 : 0, id);

	return dirty < 0 ? 0 : (uint64_t)dirty;
}

void store_init(uint64_t dirty_bytes)
{
	dirty_max = dirty_bytes / CONTENT_PAGE;
	slot_count = disk_slots_bytes / SLOT_BYTES;
	if (slot_count > SLOTS_MAX)
		slot_count = SLOTS_MAX;
	jobs_free = JOBS_MAX;
	(void)dirty_pages(NULL);
}

/* ---- jobs ------------------------------------------------------------------------ */

static void *slot_data(int slot)
{
	return disk_slots + (size_t)slot * SLOT_BYTES;
}

static int find_slot(void)
{
	uint32_t i;

	for (i = 0; i < slot_count; i++)
		if (!slot_used[i])
			return i;
	return -1;
}

/* Writing back leaves slots for those who wait for pages. */
static bool slots_are_short(void)
{
	return writes > slot_count / 2;
}

static struct job *new_job(struct content *c, enum job_state state, uint64_t offset,
			   uint32_t bytes, int slot)
{
	struct job *job;

	while (jobs[job_cursor].state != JOB_FREE)
		job_cursor = (job_cursor + 1) % JOBS_MAX;
	job = &jobs[job_cursor];
	*job = (struct job){
		.state = state, .slot = slot, .ino = c->ino, .content = content_id(c),
		.offset = offset, .bytes = bytes, .version = c->version,
	};
	jobs_free--;
	slot_used[slot] = true;
	c->busy++;
	if (last_waiting)
		last_waiting->next = job;
	else
		first_waiting = job;
	last_waiting = job;
	if (state == JOB_FETCH) {
		fetches++;
	} else {
		writes++;
		job->serial = ++last_serial;
	}
	return job;
}

static void end_job(struct job *job)
{
	struct content *c = content_by_id(job->content);

	if (c && c->busy)
		c->busy--;
	if (job->slot >= 0)
		slot_used[job->slot] = false;
	fetches -= job->state == JOB_FETCH;
	writes -= job->state == JOB_WRITE;
	if (job->state == JOB_WRITTEN) {
		written--;
		pinned -= job->bytes / CONTENT_PAGE;
	}
	job->state = JOB_FREE;
	jobs_free++;
	server_progress();
}

/* ---- mapping and transfers --------------------------------------------------------- */

static void transfer_done(void *ctx, int status);

static uint32_t unit_bytes(void)
{
	return fs.block_size < CONTENT_PAGE ? fs.block_size : CONTENT_PAGE;
}

/* Units that follow each other on the disk and in the slot. */
static uint32_t run_length(const uint64_t *zones, uint32_t at, uint32_t count)
{
	uint32_t most = disk_transfer_bytes_max() / unit_bytes(), n = 1;

	if (!zones[at])
		while (at + n < count && !zones[at + n])
			n++;
	else
		while (at + n < count && n < most && zones[at + n] == zones[at] + n)
			n++;
	return n;
}

static uint32_t count_runs(const uint64_t *zones, uint32_t count)
{
	uint32_t at = 0, runs = 0;

	while (at < count) {
		runs += zones[at] != 0;
		at += run_length(zones, at, count);
	}
	return runs;
}

static void begin_transfers(struct job *job, const uint64_t *zones, uint32_t count)
{
	uint8_t *data = slot_data(job->slot);
	uint32_t op = job->state == JOB_FETCH ? BLOCK_READ : BLOCK_WRITE, at = 0;

	job->begun = true;
	job->pending = count_runs(zones, count) + 1;
	while (at < count) {
		uint32_t n = run_length(zones, at, count);
		uint8_t *to = data + (size_t)at * unit_bytes();

		if (zones[at])
			disk_transfer(op, job->durable ? BLOCK_FUA : 0, zones[at] * unit_bytes(), to, n * unit_bytes(), transfer_done,
				      job);
		else if (op == BLOCK_READ)
			memset(to, 0, (size_t)n * unit_bytes());
		at += n;
	}
	transfer_done(job, 0);
}

/* Which pages have all their blocks, as far as the file goes. */
static uint32_t find_backed(const struct job *job, const uint64_t *zones, uint32_t count)
{
	uint32_t backed = UINT32_MAX, i;

	for (i = 0; i < count; i++)
		if (!zones[i] && job->offset + (uint64_t)i * unit_bytes() < job->file_bytes)
			backed &= ~(1u << i * unit_bytes() / 4096);
	return backed;
}

/* Where COUNT units of the file from OFFSET on lie; 0: in a hole. */
static int map_units(uint32_t ino, uint64_t offset, uint32_t count, uint64_t *units)
{
	static uint32_t zones[BLOCKS_MAX];
	uint32_t per_block = fs.block_size / unit_bytes(), i;
	uint64_t first = offset / unit_bytes();
	int status = minix_map(&fs, ino, offset / fs.block_size,
			       (first % per_block + count + per_block - 1) / per_block, zones);

	for (i = 0; i < count && !status; i++) {
		uint64_t zone = zones[(first % per_block + i) / per_block];

		units[i] = zone ? zone * per_block + (first + i) % per_block : 0;
	}
	return status;
}

/* 0, or -X_EWAIT: it stays in the queue; else it has failed. */
static int begin(struct job *job)
{
	static uint64_t zones[BLOCKS_MAX];
	struct content *c = content_by_id(job->content);
	uint32_t count = job->bytes / unit_bytes();
	int status;

	if (!c || c->dead)
		return -X_EIO;
	job->version = c->version;
	job->file_bytes = c->bytes;
	if (job->offset >= c->bytes) {  /* cut off meanwhile */
		job->begun = true;
		job->pending = 1;
		transfer_done(job, 0);
		return 0;
	}
	if (job->offset + job->bytes > c->bytes)
		count = (c->bytes - job->offset + unit_bytes() - 1) / unit_bytes();
	status = map_units(job->ino, job->offset, count, zones);
	if (status)
		return status;
	if (disk_room() < count_runs(zones, count))
		return -X_EWAIT;
	job->backed = find_backed(job, zones, count);
	job->durable &= count_runs(zones, count) == 1;
	begin_transfers(job, zones, count);
	return 0;
}

static void supply(struct content *c, const struct job *job)
{
	uint64_t bytes = c->bytes - job->offset < job->bytes ? c->bytes - job->offset : job->bytes;
	uint8_t *data = slot_data(job->slot);
	uint32_t page = 0, pages = (bytes + 4095) / 4096;

	while (page < pages) {
		bool backed = job->backed >> page & 1;
		uint32_t n = 1;
		uint64_t at = (uint64_t)page * 4096, length;
		int status;

		while (page + n < pages && (job->backed >> (page + n) & 1) == backed)
			n++;
		length = bytes - at < n * 4096ull ? bytes - at : n * 4096ull;
		status = x_mem_supply(c->memory, job->offset + at, data + at, length,
				      backed ? X_SUPPLY_BACKED : 0);
		if (status)
			x_mem_supply(c->memory, job->offset + at, NULL, length, -X_EIO);
		page += n;
	}
}

static void fetch_half(struct content *c, uint64_t offset, uint64_t bytes, int status)
{
	if (store_fetch(c, offset, bytes))
		content_failed(c, offset, bytes, status);
}

/* One bad page does not take along the others: each half is tried alone. */
static void fetch_failed(struct content *c, const struct job *failed)
{
	uint64_t half = failed->bytes / 2 / CONTENT_PAGE * CONTENT_PAGE;

	if (c->dead || !half || failed->offset >= c->bytes) {
		content_failed(c, failed->offset, failed->bytes, failed->status);
		return;
	}
	fetch_half(c, failed->offset, half, failed->status);
	fetch_half(c, failed->offset + half, failed->bytes - half, failed->status);
}

static void fetch_done(struct job *job)
{
	struct content *c = content_by_id(job->content);

	if (c && job->offset < c->bytes && job->version != c->version) {
		struct job again = *job;

		end_job(job);
		(void)store_fetch(c, again.offset, again.bytes);
		return;
	}
	if (c && job->status) {
		struct job failed = *job;

		end_job(job);
		fetch_failed(c, &failed);
		return;
	}
	if (c && job->offset < c->bytes)
		supply(c, job);
	end_job(job);
}

static void write_done(struct job *job)
{
	struct content *c = content_by_id(job->content);

	if (!job->durable || job->status)
		cache_note_write(&fs.cache, job->status);
	if (job->status || !c) {
		write_errors += job->status != 0;
		if (c)
			x_mem_content(c->memory, X_CONTENT_LOST, job->offset, job->bytes);
		end_job(job);
		return;
	}
	slot_used[job->slot] = false;
	job->slot = -1;
	job->state = JOB_WRITTEN;
	job->serial = job->durable ? 0 : fs.cache.flush_gen;
	unpin_due |= job->durable;
	writes--;
	written++;
	pinned += job->bytes / CONTENT_PAGE;
	if (written > JOBS_MAX / 2 || pinned > dirty_max / 2)
		fs.cache.want_flush = true;
	server_progress();
}

static void transfer_done(void *ctx, int status)
{
	struct job *job = ctx;

	if (status)
		job->status = status;
	if (--job->pending)
		return;
	if (job->state == JOB_FETCH)
		fetch_done(job);
	else
		write_done(job);
}

void store_run(void)
{
	struct job *job = first_waiting, *next;

	if (unpin_due)
		unpin_some();
	first_waiting = last_waiting = NULL;
	for (; job; job = next) {
		int status = begin(job);

		next = job->next;
		job->next = NULL;
		if (!status)
			continue;
		if (status != -X_EWAIT && status != -X_EAGAIN) {
			job->begun = true;
			job->pending = 1;
			transfer_done(job, status);
			continue;
		}
		if (last_waiting)
			last_waiting->next = job;
		else
			first_waiting = job;
		last_waiting = job;
	}
}

/* ---- fetching ------------------------------------------------------------------------ */

/* The fetch under way that covers OFFSET, or the next one behind it. */
static const struct job *find_fetch(const struct content *c, uint64_t offset)
{
	const struct job *found = NULL;
	uint32_t i, left = fetches;

	for (i = 0; i < JOBS_MAX && left; i++) {
		const struct job *job = &jobs[i];

		if (job->state != JOB_FETCH)
			continue;
		left--;
		if (job->content == content_id(c) && job->offset + job->bytes > offset &&
		    (!found || job->offset < found->offset))
			found = job;
	}
	return found;
}

int store_fetch(struct content *c, uint64_t offset, uint64_t bytes)
{
	uint64_t end = (offset + bytes + CONTENT_PAGE - 1) & ~(CONTENT_PAGE - 1);

	while (offset < end) {
		const struct job *other = find_fetch(c, offset);
		uint64_t length = end - offset;
		int slot;

		if (other && other->offset <= offset) {
			offset = other->offset + other->bytes;
			continue;
		}
		if (other && other->offset - offset < length)
			length = other->offset - offset;
		if (length > SLOT_BYTES)
			length = SLOT_BYTES;
		slot = find_slot();
		if (slot < 0 || !jobs_free)
			return -X_EWAIT;
		new_job(c, JOB_FETCH, offset, length, slot);
		offset += length;
		server_progress();      /* store_run() begins it */
	}
	return 0;
}

/* ---- writing back ---------------------------------------------------------------------- */

/* Cleans the next dirty pages of a content from *OFFSET on. 1: some; 0: none are
 * dirty; -X_EWAIT: no room. */
static int clean_some(struct content *c, uint64_t *offset)
{
	int slot = find_slot();
	struct x_dirty dirty = { .offset = *offset, .len = SLOT_BYTES };
	int64_t n;

	if (slot < 0 || !jobs_free)
		return -X_EWAIT;
	dirty.addr = (uintptr_t)slot_data(slot);
	n = pages_clean(c->memory, &dirty);
	if (n <= 0)
		return n;
	new_job(c, JOB_WRITE, dirty.offset, n, slot);
	*offset = dirty.offset + n;
	server_progress();
	return 1;
}

void store_write_back(void)
{
	uint32_t i;

	for (i = 0; i < SWEEPS_MAX && !slots_are_short(); i++) {
		struct content *c;
		uint64_t id = 0;

		if (!dirty_pages(&id) || !id)
			return;
		c = content_by_id(id);
		if (!c)
			continue;
		switch (clean_some(c, &c->sweep)) {
		case 1:
			break;
		case 0:
			c->sweep = 0;
			break;
		default:
			return;
		}
	}
}

bool store_writers_wait(void)
{
	uint64_t dirty = dirty_pages(NULL);

	if (dirty < dirty_max / 2 && pinned < dirty_max)
		return false;
	store_write_back();
	fs.cache.want_flush |= pinned >= dirty_max; /* another was under way when it was wanted last */
	return dirty > dirty_max || pinned >= dirty_max;
}

/* Does the page have all its blocks? */
static int page_has_room(struct content *c, uint64_t offset, bool *room)
{
	uint64_t left = c->bytes - offset;
	uint32_t count = ((left < CONTENT_PAGE ? left : CONTENT_PAGE) + unit_bytes() - 1) / unit_bytes(), i;
	uint64_t units[4096 / MINIX_BLOCK_SIZE_MIN];
	int status = map_units(c->ino, offset, count, units);

	*room = true;
	for (i = 0; i < count && !status; i++)
		*room &= units[i] != 0;
	return status;
}

/* The format knows no blocks whose bytes were never written: holes get zeros that are written out. */
int store_reserve(struct content *c, uint64_t offset, uint64_t bytes)
{
	uint64_t end = offset + bytes;
	int status = offset < c->bytes && end <= c->bytes ? 0 : -X_EOPNOTSUPP;

	for (offset &= ~(CONTENT_PAGE - 1); offset < end && !status; offset += CONTENT_PAGE) {
		bool room;

		status = page_has_room(c, offset, &room);
		if (status || room)
			continue;
		status = store_writers_wait() ? -X_EWAIT : content_hold(c, offset, 1);
		if (status == -X_EWAIT) /* those behind it, too */
			(void)store_fetch(c, offset, end - offset < SLOT_BYTES ? end - offset : SLOT_BYTES);
		if (!status)
			status = blocks_hold(c, offset, offset + CONTENT_PAGE);
		if (!status)
			status = fsys_back(&fs, c->ino, offset, CONTENT_PAGE);
		if (!status)
			x_mem_supply(c->memory, offset, NULL, CONTENT_PAGE, X_SUPPLY_BACKED);
	}
	return status;
}

/* They are to be written, which takes its time. */
void store_cache_counts(uint64_t *hits, uint64_t *misses)
{
	*hits = fs.cache.hits;
	*misses = fs.cache.misses;
}

bool store_evict(struct content *c)
{
	(void)c;
	return false;
}

/* ---- flushing and syncing ----------------------------------------------------------------- */

/* Each is an entry of the outbox, so not all at once. */
static void unpin_some(void)
{
	uint32_t i, done = 0;

	unpin_due = false;
	for (i = 0; i < JOBS_MAX && written; i++) {
		struct job *job = &jobs[i];
		struct content *c;

		if (job->state != JOB_WRITTEN || (!job->status && job->serial > fs.cache.flushed_gen))
			continue;
		if (done++ == UNPINS_MAX) {
			unpin_due = true;
			server_progress();
			return;
		}
		c = content_by_id(job->content);
		if (c)
			out_do(X_SYS_mem_content, c->memory, job->status ? X_CONTENT_LOST : X_CONTENT_STORED,
			       job->offset, job->bytes, 0);
		end_job(job);
	}
}

void store_flushed(void)
{
	unpin_due = true;
	server_progress();
}

void store_lost(void)
{
	uint32_t i;

	for (i = 0; i < JOBS_MAX; i++)
		if (jobs[i].state == JOB_WRITTEN)
			jobs[i].status = -X_EIO;
	unpin_due = true;
	server_progress();
}

bool store_is_stable(void)
{
	return !writes && !dirty_pages(NULL) &&
	       cache_is_stable(&fs.cache);
}

struct sync {
	enum { SYNC_NEW, SYNC_CLEANING, SYNC_WRITING, SYNC_METADATA } state;
	uint32_t index;                 /* of contents, if all are meant */
	uint32_t write_errors, losses;
	uint64_t offset, serial;
	struct cache_sync meta;
};
_Static_assert(sizeof(struct sync) <= sizeof(struct store_sync), "struct store_sync");

static int clean_content(struct sync *sync, struct content *c)
{
	int status;

	do
		status = clean_some(c, &sync->offset);
	while (status == 1);
	if (!status)
		sync->offset = 0;
	return status;
}

static int clean_all(struct sync *sync)
{
	if (!dirty_pages(NULL))
		return 0;
	for (; sync->index < CONTENTS_MAX; sync->index++) {
		struct content *c = content_at(sync->index);
		int status = c ? clean_content(sync, c) : 0;

		if (status)
			return status;
	}
	return 0;
}

static bool writes_remain(const struct sync *sync, uint32_t ino)
{
	uint32_t i, left = writes;

	for (i = 0; i < JOBS_MAX && left; i++) {
		if (jobs[i].state != JOB_WRITE)
			continue;
		left--;
		if (jobs[i].serial <= sync->serial && (!ino || jobs[i].ino == ino))
			return true;
	}
	return false;
}

/* Nothing is on its way to the disk, or there without a flush, and nothing of the
 * metadata is to go: what is written now is all that a sync has to wait for. */
static bool all_is_stable(void)
{
	return !writes && !written && cache_is_stable(&fs.cache);
}

/* The only write of a sync: its answer says that it is durable, and saves a flush and
 * the wait for it. */
static void make_durable(void)
{
	if (writes == 1 && last_waiting && last_waiting->state == JOB_WRITE)
		last_waiting->durable = true;
}

int store_sync(struct store_sync *opaque, uint32_t ino)
{
	struct sync *sync = (void *)opaque;
	struct content *c = ino ? content_find(ino) : NULL;
	int status = 0;

	if (sync->state != SYNC_NEW && sync->losses != fs.cache.losses)
		*sync = (struct sync){ .state = SYNC_NEW };
	if (sync->state == SYNC_NEW) {
		if (c)
			content_note_times(ino);
		sync->write_errors = write_errors;
		sync->losses = fs.cache.losses;
		sync->state = SYNC_CLEANING;
	}
	if (sync->state == SYNC_CLEANING) {
		bool stable = ino && all_is_stable();

		status = !ino ? clean_all(sync) : c ? clean_content(sync, c) : 0;
		if (status)
			return status;
		sync->serial = last_serial;
		sync->state = SYNC_WRITING;
		if (stable)
			make_durable();
		store_run();
		/* Metadata on its way beside the bytes, not after them: one wait fewer. What of
		 * it changes meanwhile is written again. */
		cache_write_back(&fs.cache, UINT32_MAX);
	}
	if (sync->state == SYNC_WRITING) {
		if (writes_remain(sync, ino))
			return -X_EWAIT;
		sync->state = SYNC_METADATA;
	}
	if (sync->write_errors != write_errors)
		return -X_EIO;
	return minix_sync(&fs, &sync->meta);
}

/* ---- the mount ------------------------------------------------------------------------------ */

int store_choose(const char *source, const char *options)
{
	if (options[0])
		return -X_EINVAL;
	return disk_choose(source);
}

int store_make_writable(void)
{
	return minix_make_writable(&fs);
}

void store_set_no_atime(bool no_atime)
{
	fs.limits.no_atime = no_atime;
}

int store_mount(bool read_only, struct store_sync *sync)
{
	int status = 0;

	if (disk_state == DISK_FAILED)
		return disk_on_demand() ? disk_failure() : -X_ENODEV;
	if (disk_state != DISK_READY)
		return -X_EWAIT;
	if (fs.state == MINIX_UNMOUNTED)
		minix_init(&fs, &disk_setup);
	if (fs.state != MINIX_MOUNTED)
		status = minix_mount(&fs);
	if (status || !read_only)
		return status;
	if (fs.limits.read_only)
		return minix_sync(&fs, &((struct sync *)(void *)sync)->meta);
	status = store_sync(sync, 0);
	if (status)
		return status;
	memset(sync, 0, sizeof(*sync));
	return minix_make_read_only(&fs, &((struct sync *)(void *)sync)->meta);
}

int store_unmount(struct store_sync *opaque)
{
	struct sync *sync = (void *)opaque;
	int status;

	if (fs.state == MINIX_MOUNTED && (!fs.limits.read_only || fs.damage_count)) {
		status = fsys_reap(&fs);        /* first, or each step would be synced */
		if (!status)
			status = store_sync(opaque, 0);
		if (status)
			return status;
		memset(sync, 0, sizeof(*sync));
	}
	return minix_unmount(&fs, &sync->meta, true);
}
