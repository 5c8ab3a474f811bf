/* SPDX-License-Identifier: BSD-2-Clause */
/* The buffer cache; cache.h tells its states and rules. */

#include "fs/minix/cache.h"

#include <string.h>

#include "lib/region/region.h"

#include <xinim/error.h>

/* Largest transfer, and how much one call for room writes back. */
enum { RUN_BYTES_MAX = 256 * 1024, ROOM_RUNS = 16, EVICT_SCAN_MAX = 256 };

REGION_SCRATCH uint64_t cache_use_serial;

/* ---- lists ---------------------------------------------------------- */

static void lru_remove(struct cache_list *list, struct cache_buf *buf)
{
	if (buf->lru_prev)
		buf->lru_prev->lru_next = buf->lru_next;
	else
		list->head = buf->lru_next;
	if (buf->lru_next)
		buf->lru_next->lru_prev = buf->lru_prev;
	else
		list->tail = buf->lru_prev;
	buf->lru_prev = buf->lru_next = NULL;
	list->count--;
}

static void lru_append(struct cache_list *list, struct cache_buf *buf)
{
	buf->lru_prev = list->tail;
	buf->lru_next = NULL;
	if (list->tail)
		list->tail->lru_next = buf;
	else
		list->head = buf;
	list->tail = buf;
	list->count++;
}

static void io_remove(struct cache_list *list, struct cache_buf *buf)
{
	if (buf->io_prev)
		buf->io_prev->io_next = buf->io_next;
	else
		list->head = buf->io_next;
	if (buf->io_next)
		buf->io_next->io_prev = buf->io_prev;
	else
		list->tail = buf->io_prev;
	buf->io_prev = buf->io_next = NULL;
	list->count--;
}

static void io_insert_after(struct cache_list *list, struct cache_buf *after,
			    struct cache_buf *buf)
{
	struct cache_buf *next = after ? after->io_next : list->head;

	buf->io_prev = after;
	buf->io_next = next;
	if (after)
		after->io_next = buf;
	else
		list->head = buf;
	if (next)
		next->io_prev = buf;
	else
		list->tail = buf;
	list->count++;
}

/* The dirty list stays in order of age, so that its head is the oldest. */
static void dirty_insert(struct cache *c, struct cache_buf *buf)
{
	struct cache_buf *after = c->dirty.tail;

	while (after && after->dirty_seq > buf->dirty_seq)
		after = after->io_prev;
	io_insert_after(&c->dirty, after, buf);
}

/* ---- hash ----------------------------------------------------------- */

static struct cache_buf **hash_slot(struct cache *c, uint32_t blkno)
{
	return &c->memory.hash[(blkno * 2654435761u >> 7) &
			       (c->memory.hash_size - 1)];
}

static struct cache_buf *hash_find(struct cache *c, uint32_t blkno)
{
	struct cache_buf *buf = *hash_slot(c, blkno);

	while (buf && buf->blkno != blkno)
		buf = buf->hash_next;
	return buf;
}

static void hash_add(struct cache *c, struct cache_buf *buf)
{
	struct cache_buf **slot = hash_slot(c, buf->blkno);

	buf->hash_next = *slot;
	*slot = buf;
}

static void hash_remove(struct cache *c, struct cache_buf *buf)
{
	struct cache_buf **at = hash_slot(c, buf->blkno);

	while (*at != buf)
		at = &(*at)->hash_next;
	*at = buf->hash_next;
	buf->hash_next = NULL;
}

/* ---- setting up ----------------------------------------------------- */

static void count_frames(struct cache *c)
{
	uint32_t count = c->memory.frame_bytes / c->block_size;

	c->frames = count < c->memory.buf_count ? count : c->memory.buf_count;
}

/* One that was not used before: until then it takes no memory. */
static struct cache_buf *cut_frame(struct cache *c)
{
	struct cache_buf *buf = &c->memory.bufs[c->frames_cut];

	memset(buf, 0, sizeof(*buf));
	buf->frame = c->memory.frames + (size_t)c->frames_cut++ * c->block_size;
	buf->snapshot = -1;
	return buf;
}

static bool has_free(const struct cache *c)
{
	return c->free.head || c->frames_cut < c->frames;
}

static void cut_snapshots(struct cache *c)
{
	size_t count = c->memory.snapshot_bytes / c->block_size;

	c->snapshot_count = count < CACHE_SNAPSHOTS_MAX ? count : CACHE_SNAPSHOTS_MAX;
}

void cache_init(struct cache *c, const struct cache_ops *ops, void *ctx,
		const struct cache_memory *memory, uint32_t block_size,
		uint64_t device_bytes)
{
	uint64_t blocks = device_bytes / block_size;

	memset(c, 0, sizeof(*c));
	c->ops = ops;
	c->ctx = ctx;
	c->memory = *memory;
	c->block_size = block_size;
	c->device_blocks = blocks < UINT32_MAX ? blocks : UINT32_MAX;
	c->run_blocks_max = RUN_BYTES_MAX / block_size;
	memset(memory->hash, 0, memory->hash_size * sizeof(*memory->hash));
	count_frames(c);
	cut_snapshots(c);
	cache_use_serial++;
	c->flush_gen = 1;
}

/* ---- giving up and finding frames ------------------------------------ */

static void drop(struct cache *c, struct cache_buf *buf)
{
	if (buf->dirty) {
		buf->dirty = false;
		c->dirty_count--;
		io_remove(&c->dirty, buf);
	}
	if (buf->queued) {
		buf->queued = false;
		io_remove(&c->queued, buf);
		c->reading_count--;
	}
	hash_remove(c, buf);
	lru_remove(&c->lru, buf);
	buf->state = CACHE_ABSENT;
	buf->doomed = false;
	buf->written_gen = 0;
	buf->use_serial = 0;
	lru_append(&c->free, buf);
}

static bool is_unstable(const struct cache *c, const struct cache_buf *buf)
{
	return buf->written_gen > c->flushed_gen;
}

static bool is_evictable(const struct cache *c, const struct cache_buf *buf)
{
	return (buf->state == CACHE_VALID || buf->state == CACHE_FAILED) &&
	       !buf->dirty && !buf->writing && !is_unstable(c, buf) &&
	       buf->use_serial != cache_use_serial;
}

/* Makes one frame of a kind absent; false if none can be. */
static bool evict_one(struct cache *c)
{
	struct cache_buf *buf = c->lru.head;
	uint32_t seen;

	for (seen = 0; buf && seen < EVICT_SCAN_MAX; seen++) {
		struct cache_buf *next = buf->lru_next;

		if (is_evictable(c, buf)) {
			drop(c, buf);
			return true;
		}
		/* Move what is stuck out of the way of the next search. */
		lru_remove(&c->lru, buf);
		lru_append(&c->lru, buf);
		buf = next;
	}
	return false;
}

static int take_frame(struct cache *c, struct cache_buf **out)
{
	if (!has_free(c) && !evict_one(c)) {
		c->want_write_back = c->want_flush = true;
		return c->dirty.count || c->writing.count || c->reading_count ||
		       c->flushing || c->written_gen > c->flushed_gen ?
		       -X_EWAIT : -X_ENOMEM;
	}
	*out = c->free.head;
	if (*out)
		lru_remove(&c->free, *out);
	else
		*out = cut_frame(c);
	return 0;
}

/* ---- where the device reads and writes --------------------------------- */

static bool take_slot(struct cache *c, struct cache_buf *buf, int32_t slot)
{
	if (slot < 0 || (uint32_t)slot >= c->snapshot_count ||
	    c->snapshot_used[slot])
		return false;
	c->snapshot_used[slot] = true;
	c->snapshot_cursor = slot + 1;
	buf->snapshot = slot;
	buf->io_data = c->memory.snapshots + (size_t)slot * c->block_size;
	return true;
}

/* Finds io_data for the first block of a transfer. */
static bool take_io_data(struct cache *c, struct cache_buf *buf)
{
	uint32_t i;

	for (i = 0; i < c->snapshot_count; i++)
		if (take_slot(c, buf, (c->snapshot_cursor + i) % c->snapshot_count))
			return true;
	return false;
}

/* The same for a later block, right behind that of LAST; or false. */
static bool take_next_io_data(struct cache *c, const struct cache_buf *last,
			      struct cache_buf *buf)
{
	return take_slot(c, buf, last->snapshot + 1);
}

static void drop_io_data(struct cache *c, struct cache_buf *buf)
{
	buf->io_data = buf->frame;
	if (buf->snapshot < 0)
		return;
	c->snapshot_used[buf->snapshot] = false;
	buf->snapshot = -1;
}

/* ---- reading -------------------------------------------------------- */

static void touch(struct cache *c, struct cache_buf *buf)
{
	if (c->lru.tail != buf) {
		lru_remove(&c->lru, buf);
		lru_append(&c->lru, buf);
	}
}

static void install(struct cache *c, struct cache_buf *buf, uint32_t blkno,
		    enum cache_state state)
{
	buf->blkno = blkno;
	buf->state = state;
	buf->io_data = buf->frame;
	hash_add(c, buf);
	lru_append(&c->lru, buf);
}

static void queue_read(struct cache *c, struct cache_buf *after,
		       struct cache_buf *buf)
{
	buf->queued = true;
	io_insert_after(&c->queued, after, buf);
}

static void unqueue_read(struct cache *c, struct cache_buf *buf)
{
	buf->queued = false;
	io_remove(&c->queued, buf);
}

static int ask_for(struct cache *c, uint32_t blkno)
{
	struct cache_buf *buf;
	int status = take_frame(c, &buf);

	if (status)
		return status;
	install(c, buf, blkno, CACHE_READING);
	c->reading_count++;
	queue_read(c, c->queued.tail, buf);
	c->misses++;
	return 0;
}

int cache_peek(struct cache *c, uint32_t blkno,
	       struct cache_buf **out)
{
	struct cache_buf *buf;
	int status;

	if (blkno >= c->device_blocks)
		return -X_EUCLEAN;
	buf = hash_find(c, blkno);
	if (!buf) {
		status = ask_for(c, blkno);
		return status ? status : -X_EWAIT;
	}
	if (buf->state == CACHE_READING || buf->doomed)
		return -X_EWAIT;
	if (buf->state == CACHE_FAILED) {
		drop(c, buf);
		return -X_EIO;
	}
	if (c->ops->pretend_miss && c->ops->pretend_miss(c->ctx))
		return -X_EWAIT;
	c->hits++;
	touch(c, buf);
	*out = buf;
	return 0;
}

int cache_get(struct cache *c, uint32_t blkno,
	      struct cache_buf **out)
{
	int status = cache_peek(c, blkno, out);

	if (!status)
		(*out)->use_serial = cache_use_serial;
	return status;
}

int cache_get_fresh(struct cache *c, uint32_t blkno,
		    struct cache_buf **out)
{
	struct cache_buf *buf;
	int status;

	if (blkno >= c->device_blocks)
		return -X_EUCLEAN;
	buf = hash_find(c, blkno);
	if (buf) {
		if (buf->state == CACHE_READING || buf->writing)
			return -X_EWAIT;
		drop(c, buf);
	}
	status = take_frame(c, &buf);
	if (status)
		return status;
	install(c, buf, blkno, CACHE_VALID);
	buf->use_serial = cache_use_serial;
	memset(buf->frame, 0, c->block_size);
	*out = buf;
	return 0;
}

void cache_prefetch(struct cache *c, uint32_t blkno)
{
	if (blkno >= c->device_blocks || hash_find(c, blkno))
		return;
	if (!has_free(c) && !evict_one(c))
		return;
	(void)ask_for(c, blkno);
}

/* Takes FIRST and the queued buffers that follow it on disk off the queue. */
static bool gather_reads(struct cache *c, struct cache_buf *first)
{
	struct cache_buf *last = first;

	if (!take_io_data(c, first))
		return false;
	unqueue_read(c, first);
	first->run_blocks = 1;
	first->run_next = NULL;
	while (first->run_blocks < c->run_blocks_max) {
		struct cache_buf *next = hash_find(c, last->blkno + 1);

		if (!next || !next->queued || !take_next_io_data(c, last, next))
			break;
		unqueue_read(c, next);
		last->run_next = next;
		next->run_next = NULL;
		first->run_blocks++;
		last = next;
	}
	return true;
}

static void start_reads(struct cache *c)
{
	while (c->queued.head) {
		struct cache_buf *first = c->queued.head;
		struct cache_buf *buf;

		if (!gather_reads(c, first))
			return;
		c->reads++;
		if (c->ops->start_read(c->ctx, first) == 0)
			continue;
		/* No room at the device: queue them again, in front. */
		for (buf = NULL; first; first = first->run_next) {
			drop_io_data(c, first);
			queue_read(c, buf, first);
			buf = first;
		}
		return;
	}
}

void cache_read_done(struct cache *c, struct cache_buf *first, int status)
{
	struct cache_buf *buf = first;

	while (buf) {
		struct cache_buf *next = buf->run_next;

		buf->run_next = NULL;
		buf->state = status ? CACHE_FAILED : CACHE_VALID;
		c->reading_count--;
		if (!status)
			memcpy(buf->frame, buf->io_data, c->block_size);
		drop_io_data(c, buf);
		if (buf->doomed)
			drop(c, buf);
		buf = next;
	}
}

/* ---- writing -------------------------------------------------------- */

void cache_mark_dirty(struct cache *c, struct cache_buf *buf)
{
	if (buf->dirty)
		return;
	buf->dirty = true;
	buf->dirty_seq = ++c->dirty_seq;
	c->dirty_count++;
	if (!buf->writing)
		io_insert_after(&c->dirty, c->dirty.tail, buf);
}

void cache_forget(struct cache *c, uint32_t blkno)
{
	struct cache_buf *buf = hash_find(c, blkno);

	if (!buf)
		return;
	if (buf->writing || (buf->state == CACHE_READING && !buf->queued)) {
		buf->doomed = true;
		if (buf->dirty) {
			buf->dirty = false;
			c->dirty_count--;
		}
		return;
	}
	drop(c, buf);
}

/*
 * May this buffer go to the device now? Not while an operation that may still
 * be undone has it in use.
 */
static bool is_writable_out(const struct cache_buf *buf)
{
	return buf->dirty && !buf->writing && buf->use_serial != cache_use_serial;
}

static void set_writing(struct cache *c, struct cache_buf *buf)
{
	io_remove(&c->dirty, buf);
	buf->dirty = false;
	c->dirty_count--;
	buf->writing = true;
	buf->writing_seq = buf->dirty_seq;
	memcpy(buf->io_data, buf->frame, c->block_size);
	io_insert_after(&c->writing, c->writing.tail, buf);
}

/* The write ended or never began; DIRTY_AGAIN: its content must go again. */
static void clear_writing(struct cache *c, struct cache_buf *buf, bool dirty_again)
{
	io_remove(&c->writing, buf);
	buf->writing = false;
	drop_io_data(c, buf);
	if (buf->dirty) {
		dirty_insert(c, buf);
	} else if (dirty_again && !buf->doomed) {
		buf->dirty = true;
		buf->dirty_seq = buf->writing_seq;
		c->dirty_count++;
		dirty_insert(c, buf);
	}
	if (buf->doomed)
		drop(c, buf);
}

static bool same_run(const struct cache_buf *b)
{
	return b && is_writable_out(b);
}

/* The first block of the run of dirty blocks around BUF. */
static struct cache_buf *run_start(struct cache *c, struct cache_buf *buf)
{
	uint32_t back;

	for (back = 1; back < c->run_blocks_max && buf->blkno > 0; back++) {
		struct cache_buf *prev = hash_find(c, buf->blkno - 1);

		if (!same_run(prev))
			break;
		buf = prev;
	}
	return buf;
}

/* Starts one write of a run. 0, or -X_EAGAIN if there is no room for it. */
static int write_run(struct cache *c, struct cache_buf *first)
{
	struct cache_buf *last = first;
	struct cache_buf *buf;
	int status;

	if (!take_io_data(c, first))
		return -X_EAGAIN;
	set_writing(c, first);
	first->run_blocks = 1;
	first->run_next = NULL;
	while (first->run_blocks < c->run_blocks_max) {
		struct cache_buf *next = hash_find(c, last->blkno + 1);

		if (!same_run(next) ||
		    !take_next_io_data(c, last, next))
			break;
		set_writing(c, next);
		next->run_next = NULL;
		last->run_next = next;
		first->run_blocks++;
		last = next;
	}
	c->writes++;
	status = c->ops->start_write(c->ctx, first);
	for (buf = status ? first : NULL; buf;) {
		struct cache_buf *next = buf->run_next;

		buf->run_next = NULL;
		clear_writing(c, buf, true);
		buf = next;
	}
	return status;
}

static bool concerns(const struct cache_sync *sync, const struct cache_buf *buf)
{
	uint64_t seq = buf->writing ? buf->writing_seq : buf->dirty_seq;

	return !sync || seq <= sync->dirty_seq;
}

static uint32_t write_back(struct cache *c, const struct cache_sync *sync,
			   uint32_t max_runs)
{
	uint32_t errors = c->write_errors;
	uint32_t started = 0;

	while (started < max_runs && c->write_errors == errors) {
		struct cache_buf *buf = c->dirty.head;

		while (buf && (!is_writable_out(buf) || !concerns(sync, buf)))
			buf = buf->io_next;
		if (!buf || write_run(c, run_start(c, buf)))
			break;
		started++;
	}
	return started;
}

uint32_t cache_write_back(struct cache *c, uint32_t max_runs)
{
	return write_back(c, NULL, max_runs);
}

void cache_write_done(struct cache *c, struct cache_buf *first, int status)
{
	struct cache_buf *buf = first;

	cache_note_write(c, status);
	while (buf) {
		struct cache_buf *next = buf->run_next;

		buf->run_next = NULL;
		if (!status) {
			buf->written_gen = c->flush_gen;
			c->unstable_count++;
		}
		clear_writing(c, buf, status != 0);
		buf = next;
	}
}

/* ---- flushing and syncing -------------------------------------------- */

void cache_note_write(struct cache *c, int status)
{
	if (status)
		c->write_errors++;
	else
		c->written_gen = c->flush_gen;
}

static void start_flush(struct cache *c)
{
	if (c->flushing || c->written_gen <= c->flushed_gen)
		return;
	c->flushing = true;
	c->flushing_gen = c->flush_gen++;
	c->flushes++;
	c->unstable_flushing += c->unstable_count;
	c->unstable_count = 0;
	if (c->ops->start_flush(c->ctx)) {
		/* Refused. Nothing ended since, so the generation is reusable. */
		c->flushing = false;
		c->flush_gen = c->flushing_gen;
	}
}

void cache_flush_done(struct cache *c, int status)
{
	c->flushing = false;
	if (status) {
		c->write_errors++;
		return;
	}
	c->flushed_gen = c->flushing_gen;
	c->unstable_flushing = 0;
}

void cache_epoch_lost(struct cache *c)
{
	uint32_t i;

	c->losses++;
	for (i = 0; i < c->frames_cut; i++) {
		struct cache_buf *buf = &c->memory.bufs[i];

		if (buf->state == CACHE_VALID && is_unstable(c, buf))
			cache_mark_dirty(c, buf);
	}
}

void cache_flush_lost(struct cache *c)
{
	c->flushing = false;
}

/* Half of the frames shall always be free or easily freed. */
static void relieve_pressure(struct cache *c)
{
	uint32_t unstable = c->unstable_count + c->unstable_flushing;

	if (c->dirty_count + unstable <= c->frames / 2)
		return;
	c->want_write_back |= c->dirty_count > c->frames / 4;
	c->want_flush |= unstable > c->frames / 4;
}

void cache_start(struct cache *c)
{
	start_reads(c);
	relieve_pressure(c);
	if (c->want_write_back) {
		c->want_write_back = false;
		write_back(c, NULL, ROOM_RUNS);
	}
	if (c->want_flush) {
		c->want_flush = false;
		start_flush(c);
	}
}

static bool writes_remain(struct cache *c, const struct cache_sync *sync)
{
	struct cache_buf *buf;

	for (buf = c->writing.head; buf; buf = buf->io_next)
		if (concerns(sync, buf))
			return true;
	for (buf = c->dirty.head; buf; buf = buf->io_next) {
		if (concerns(sync, buf))
			return true;
		if (buf->dirty_seq > sync->dirty_seq)
			break;
	}
	return false;
}

int cache_sync(struct cache *c, struct cache_sync *sync)
{
	if (sync->losses != c->losses)
		sync->state = CACHE_SYNC_NEW;
	if (sync->state == CACHE_SYNC_NEW) {
		sync->losses = c->losses;
		sync->dirty_seq = c->dirty_seq;
		sync->write_errors = c->write_errors;
		sync->state = CACHE_SYNC_WRITING;
	}
	if (sync->state == CACHE_SYNC_WRITING) {
		write_back(c, sync, UINT32_MAX);
		if (c->write_errors != sync->write_errors)
			return -X_EIO;
		if (writes_remain(c, sync))
			return -X_EWAIT;
		sync->flush_gen = c->written_gen;
		sync->state = CACHE_SYNC_FLUSHING;
	}
	if (c->flushed_gen < sync->flush_gen)
		start_flush(c);
	if (c->write_errors != sync->write_errors)
		return -X_EIO;
	return c->flushed_gen < sync->flush_gen ? -X_EWAIT : 0;
}

bool cache_is_stable(const struct cache *c)
{
	return !c->dirty.count && !c->writing.count &&
	       !c->flushing && c->written_gen <= c->flushed_gen;
}
