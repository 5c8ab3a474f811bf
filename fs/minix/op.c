/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transaction: a list of what the operation under way changed, undone
 * from the newest to the oldest if it fails. Blocks become dirty, and inodes
 * are encoded into their table block, only when it commits.
 */

#include "fs/minix/internal.h"
#include "lib/region/region.h"

/*
 * The operation under way. It ends in the iteration in which it began, and there
 * is one at a time, so none of this outlives a rollback: it is not logged.
 */
static REGION_SCRATCH struct {
	uint32_t record_count;
	uint32_t saved_bytes;
	struct minix_alloc alloc_before;
} op;
static REGION_SCRATCH struct minix_undo_record undo[MINIX_UNDO_RECORDS];
static REGION_SCRATCH uint8_t undo_bytes[MINIX_UNDO_BYTES] __attribute__((aligned(8)));

REGION_UNLOGGED void op_begin(struct fsys *fs)
{
	op.record_count = 0;
	op.saved_bytes = 0;
	op.alloc_before = fs->alloc;
	cache_use_serial++;
}

void op_forget(struct fsys *fs)
{
	(void)fs;
	cache_use_serial++;
}

int fsys_damaged(struct fsys *fs, const char *reason)
{
	fs->reason = reason;
	fs->damage_count++;
	return -X_EUCLEAN;
}

/* Room for a record and the bytes it saves, or -X_ENOMEM: an unbounded op. */
static int new_record(uint8_t kind, const void *saved,
		      uint32_t length_bytes, struct minix_undo_record **out)
{
	struct minix_undo_record *record;
	uint32_t room = (length_bytes + 7) & ~7u;

	if (op.record_count == MINIX_UNDO_RECORDS ||
	    room > MINIX_UNDO_BYTES - op.saved_bytes)
		return -X_ENOMEM;
	record = &undo[op.record_count];
	memset(record, 0, sizeof(*record));
	record->kind = kind;
	record->length_bytes = length_bytes;
	record->saved_offset = op.saved_bytes;
	if (length_bytes)
		memcpy(undo_bytes + op.saved_bytes, saved, length_bytes);
	op.saved_bytes += room;
	op.record_count++;
	*out = record;
	return 0;
}

int op_modify(struct cache_buf *buf, void *at,
	      uint32_t length_bytes)
{
	struct minix_undo_record *record;
	int status = new_record(MINIX_UNDO_BYTES_OF_BLOCK, at, length_bytes,
				&record);

	if (status)
		return status;
	record->buf = buf;
	record->at = at;
	return 0;
}

int op_modify_inode(struct fsys *fs, struct fsys_node *ip)
{
	struct minix_undo_record *record;
	void *slot;
	struct cache_buf *buf;
	int status;

	if (ip->undo_serial == cache_use_serial)
		return 0;
	status = inode_slot(fs, ip->ino, &buf, &slot);
	if (status)
		return status;
	status = new_record(MINIX_UNDO_INODE, ip, sizeof(*ip), &record);
	if (status)
		return status;
	record->buf = buf;
	record->at = ip;
	ip->undo_serial = cache_use_serial;
	return 0;
}

int op_note_loaded(struct fsys_node *ip)
{
	struct minix_undo_record *record;
	int status = new_record(MINIX_UNDO_INODE_LOADED, NULL, 0, &record);

	if (status)
		return status;
	record->at = ip;
	return 0;
}

int op_note_fresh(struct fsys *fs, struct cache_buf *buf)
{
	struct minix_undo_record *record;
	int status = new_record(MINIX_UNDO_FRESH_BLOCK, NULL, 0, &record);

	if (status) {
		cache_forget(&fs->cache, buf->blkno);
		return status;
	}
	record->buf = buf;
	return 0;
}

int op_note_freed(uint32_t zone)
{
	struct minix_undo_record *record;
	int status = new_record(MINIX_UNDO_FREED_ZONE, NULL, 0, &record);

	if (status)
		return status;
	record->zone = zone;
	return 0;
}

static void undo_inode(struct fsys_node *ip, const void *saved)
{
	struct fsys_node old;

	memcpy(&old, saved, sizeof(old));
	old.hash_next = ip->hash_next;  /* others may have come and gone */
	old.use_serial = ip->use_serial;
	*ip = old;
}

static void undo_one(struct fsys *fs, const struct minix_undo_record *record)
{
	const uint8_t *saved = undo_bytes + record->saved_offset;
	struct fsys_node *ip = record->at;

	switch (record->kind) {
	case MINIX_UNDO_BYTES_OF_BLOCK:
		memcpy(record->at, saved, record->length_bytes);
		break;
	case MINIX_UNDO_INODE:
		undo_inode(ip, saved);
		break;
	case MINIX_UNDO_INODE_LOADED:
		inode_unhash(fs, ip);
		ip->ino = 0;
		break;
	case MINIX_UNDO_FRESH_BLOCK:
		cache_forget(&fs->cache, record->buf->blkno);
		break;
	}
}

void op_save(const struct fsys *fs, struct minix_savepoint *point)
{
	point->record_count = op.record_count;
	point->saved_bytes = op.saved_bytes;
	point->alloc = fs->alloc;
}

void op_undo_to(struct fsys *fs, const struct minix_savepoint *point)
{
	while (op.record_count > point->record_count)
		undo_one(fs, &undo[--op.record_count]);
	op.saved_bytes = point->saved_bytes;
	fs->alloc = point->alloc;
}

static void commit_inode(struct fsys *fs, const struct minix_undo_record *record)
{
	const struct fsys_node *ip = record->at;
	const struct fsys_node *old =
		(const void *)(undo_bytes + record->saved_offset);
	uint32_t per_block = fs->block_size / fs->inode_bytes;
	void *slot = record->buf->frame + (ip->ino - 1) % per_block * fs->inode_bytes;
	uint8_t before[sizeof(struct minix_inode_disk)];

	fs->reap_count += inode_needs_reap(ip);
	fs->reap_idle &= !inode_needs_reap(ip);
	fs->reap_count -= inode_needs_reap(old);
	/* The disk knows whole seconds: a write in place mostly changes nothing that it keeps, and
	 * costs the fsync after it no second block. */
	memcpy(before, slot, fs->inode_bytes);
	inode_encode(fs, ip, slot);
	if (memcmp(before, slot, fs->inode_bytes))
		cache_mark_dirty(&fs->cache, record->buf);
}

static void commit(struct fsys *fs)
{
	uint32_t i;

	for (i = 0; i < op.record_count; i++) {
		const struct minix_undo_record *record = &undo[i];

		switch (record->kind) {
		case MINIX_UNDO_BYTES_OF_BLOCK:
		case MINIX_UNDO_FRESH_BLOCK:
			cache_mark_dirty(&fs->cache, record->buf);
			break;
		case MINIX_UNDO_INODE:
			commit_inode(fs, record);
			break;
		}
	}
	/* Last, since a freed zone may have been changed before. */
	for (i = 0; i < op.record_count; i++)
		if (undo[i].kind == MINIX_UNDO_FREED_ZONE)
			cache_forget(&fs->cache, undo[i].zone);
}

/* Nothing was changed: most only look. */
REGION_UNLOGGED static int64_t end_of_look(struct fsys *fs, int64_t status)
{
	cache_use_serial++;
	if (cache_wants_start(&fs->cache))
		cache_start(&fs->cache);
	return status;
}

int64_t op_end(struct fsys *fs, int64_t status)
{
	struct minix_savepoint start;

	if (!op.record_count && !memcmp(&fs->alloc, &op.alloc_before, sizeof(fs->alloc)))
		return end_of_look(fs, status);
	start = (struct minix_savepoint){ .alloc = op.alloc_before };
	if (status < 0)
		op_undo_to(fs, &start);
	else
		commit(fs);
	op.record_count = 0;
	op.saved_bytes = 0;
	cache_use_serial++;
	cache_start(&fs->cache);
	return status;
}
