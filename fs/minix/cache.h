/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache: blocks of one device in fixed memory.
 *
 * A buffer owns one frame for ever and is in one of these states:
 *
 *   ABSENT   holds nothing; on the free list of its kind
 *   READING  waits for, or is being filled by, the device
 *   VALID    holds the block; may besides be dirty, writing or unstable
 *   FAILED   the device could not read it; the next cache_get() says -X_EIO
 *            and makes it absent again
 *
 * dirty:    newer than the disk
 * writing:  the device is reading io_data, a snapshot; so the buffer may be
 *           edited meanwhile. Blocks are read by way of a snapshot slot too: the
 *           device never sees a frame, which belongs to the server's logged region.
 * unstable: written, but no flush has followed (written_gen > flushed_gen);
 *           kept until one has, and written again if the device lost its
 *           cache (cache_epoch_lost).
 *
 * Only metadata lies here; the bytes of files are elsewhere (lib/fs/content.h),
 * but share the generations of flushes: cache_note_write().
 *
 * Nothing here blocks or allocates. One thread only.
 */
#ifndef FS_MINIX_CACHE_H
#define FS_MINIX_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_state { CACHE_ABSENT, CACHE_READING, CACHE_VALID, CACHE_FAILED };

struct cache_buf {
	uint8_t *frame;
	uint8_t *io_data;               /* what the device reads or fills */
	struct cache_buf *hash_next;
	struct cache_buf *lru_prev, *lru_next;  /* free or LRU list */
	struct cache_buf *io_prev, *io_next;    /* queued, dirty or writing list */
	struct cache_buf *run_next;     /* next block of the same transfer */
	uint64_t dirty_seq;             /* when the frame's content became dirty */
	uint64_t writing_seq;           /* dirty_seq of what is being written */
	uint64_t use_serial;            /* not evicted while equal to cache_use_serial */
	uint64_t written_gen;           /* flush generation of the last write */
	uint32_t blkno;
	uint32_t run_blocks;            /* in the first buffer of a transfer */
	int32_t snapshot;               /* snapshot slot in use, or -1 */
	uint8_t state;
	bool queued;                    /* a read not yet given to the device */
	bool dirty;
	bool writing;
	bool doomed;                    /* freed meanwhile: drop when I/O ends */
};

/*
 * The device below. A transfer is a run of consecutive blocks: FIRST and
 * what hangs on its run_next, FIRST->run_blocks in all. Their data is
 * contiguous in memory from FIRST->io_data. Each start_ gives 0,
 * or -X_EAGAIN if it has no room now (the cache asks again at the next
 * completion). The end of a transfer is told by cache_read_done(),
 * cache_write_done() or cache_flush_done(), from inside start_ or later.
 */
struct cache_ops {
	int (*start_read)(void *ctx, struct cache_buf *first);
	int (*start_write)(void *ctx, struct cache_buf *first);
	int (*start_flush)(void *ctx);
	/* Optional, for tests: true makes a resident block look absent. */
	bool (*pretend_miss)(void *ctx);
};

/* Memory lent for the life of the cache. hash_size is a power of two. */
struct cache_memory {
	struct cache_buf *bufs;
	uint32_t buf_count;
	struct cache_buf **hash;
	uint32_t hash_size;
	uint8_t *frames;
	size_t frame_bytes;
	uint8_t *snapshots;
	size_t snapshot_bytes;
};

/* Moves on between two operations. Only to be compared for equality and age, so a
 * rollback need not bring it back: it is not logged. */
extern uint64_t cache_use_serial;

struct cache_list {
	struct cache_buf *head, *tail;
	uint32_t count;
};

enum { CACHE_SNAPSHOTS_MAX = 1024 };

struct cache {
	const struct cache_ops *ops;
	void *ctx;
	struct cache_memory memory;
	uint32_t block_size;
	uint32_t device_blocks;
	uint32_t run_blocks_max;
	uint32_t frames, frames_cut;    /* how many there are, and have ever been used */

	struct cache_list free;         /* of those cut */
	struct cache_list lru;          /* head: least recently used */
	struct cache_list queued;       /* reads to start */
	struct cache_list dirty;        /* oldest first */
	struct cache_list writing;
	uint32_t dirty_count;
	uint32_t reading_count;

	bool snapshot_used[CACHE_SNAPSHOTS_MAX];
	uint32_t snapshot_count;
	uint32_t snapshot_cursor;       /* where the search for a slot begins */

	uint64_t dirty_seq;             /* last one given */
	bool flushing;
	uint64_t flush_gen;             /* writes ending now get this one */
	uint64_t flushed_gen;           /* all up to this are stable */
	uint64_t flushing_gen;          /* what the flush under way covers */
	uint64_t written_gen;           /* of the last write that ended */
	/* Blocks written and not yet stable: before and since the flush began. */
	uint32_t unstable_flushing;
	uint32_t unstable_count;
	bool want_write_back;           /* cache_start() is to make room */
	bool want_flush;
	uint32_t write_errors;          /* ever; a sync compares before and after */
	uint32_t losses;                /* of the device's cache; ever */

	uint64_t hits, misses, reads, writes, flushes;
};

/* Where a sync stands; a request keeps one and calls cache_sync() with it. */
enum cache_sync_state { CACHE_SYNC_NEW, CACHE_SYNC_WRITING, CACHE_SYNC_FLUSHING };
struct cache_sync {
	uint8_t state;
	uint64_t dirty_seq;
	uint64_t flush_gen;
	uint32_t write_errors;
	uint32_t losses;
};

void cache_init(struct cache *c, const struct cache_ops *ops, void *ctx,
		const struct cache_memory *memory, uint32_t block_size,
		uint64_t device_bytes);

/*
 * The block, valid, and kept from eviction until cache_use_serial moves on.
 * -X_EWAIT: not resident; it has been asked for (started by cache_start).
 * -X_EIO: can't be read. -X_EUCLEAN: no such block.
 * -X_ENOMEM: every frame is in use by this very operation.
 */
int cache_get(struct cache *c, uint32_t blkno,
	      struct cache_buf **out);

/* The same, but OUT is good only until the next call of the cache. */
int cache_peek(struct cache *c, uint32_t blkno,
	       struct cache_buf **out);

/*
 * A buffer for a block whose old content doesn't matter. It comes
 * zeroed. Errors as for cache_get().
 */
int cache_get_fresh(struct cache *c, uint32_t blkno,
		    struct cache_buf **out);

/* Asks for a block without waiting; gives up quietly if there is no room. */
void cache_prefetch(struct cache *c, uint32_t blkno);

/* Gives the reads asked for to the device, in runs. */
void cache_start(struct cache *c);

/* Would it do anything? */
__attribute__((always_inline)) static inline bool cache_wants_start(const struct cache *c)
{
	return c->queued.head || c->want_write_back || c->want_flush ||
	       c->dirty_count + c->unstable_count + c->unstable_flushing > c->frames / 2;
}

void cache_mark_dirty(struct cache *c, struct cache_buf *buf);

/* The block was freed: forget it, dirty or not. */
void cache_forget(struct cache *c, uint32_t blkno);

/* Starts up to MAX_RUNS writes, oldest first; gives the number started. */
uint32_t cache_write_back(struct cache *c, uint32_t max_runs);

/*
 * Everything dirtied before the first call is on stable storage: 0.
 * -X_EWAIT: call again after a completion. -X_EIO: a write or flush failed.
 */
int cache_sync(struct cache *c, struct cache_sync *sync);

/* Is anything dirty, being written or not yet flushed? */
bool cache_is_stable(const struct cache *c);

/* From the device. STATUS: 0 or a negative error. */
void cache_read_done(struct cache *c, struct cache_buf *first, int status);
void cache_write_done(struct cache *c, struct cache_buf *first, int status);
void cache_flush_done(struct cache *c, int status);
/* A write that was none of the cache ended: flush_gen is its generation, and it
 * is stable when flushed_gen has come that far. */
void cache_note_write(struct cache *c, int status);

/*
 * The device lost what was written and not flushed: it is dirty again, and
 * syncs under way begin anew. A flush under way has then to be ended with
 * cache_flush_lost(), for it proves nothing.
 */
void cache_epoch_lost(struct cache *c);
void cache_flush_lost(struct cache *c);

#endif
