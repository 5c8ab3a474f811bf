/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indexes of large directories, in memory: from the hash of a name to slots
 * that may hold it. An index knows every name there is, and perhaps some that
 * are gone or never came to be: so nothing need be undone when an operation is,
 * and who finds a slot looks what it really holds. When one is full it is made
 * anew. There are few; the one used longest ago makes room.
 *
 *   entry: hash of the name, slot number + 1 (0: empty); open addressing
 */

#include "fs/minix/dir.h"

enum { BLOCKS_MIN = 8 };                /* smaller directories are just searched */

static uint32_t hash_of(const char *text, uint32_t bytes)
{
	uint32_t hash = 2166136261u, i;

	for (i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	return (hash ^ hash >> 15) * 0x9e3779b1u; /* what is used are the upper bits */
}

static uint32_t first_entry(const struct fsys *fs, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * fs->setup.index_entries >> 32);
}

static uint32_t next_entry(const struct fsys *fs, uint32_t at)
{
	return at + 1 < fs->setup.index_entries ? at + 1 : 0;
}

static struct minix_index *find(const struct fsys *fs, uint32_t ino)
{
	uint32_t i;

	for (i = 0; i < fs->setup.index_count; i++)
		if (fs->setup.indexes[i].ino == ino)
			return &fs->setup.indexes[i];
	return NULL;
}

void index_forget(struct fsys *fs, uint32_t ino)
{
	struct minix_index *index = find(fs, ino);

	if (index)
		index->ino = 0;
}

static void begin(struct fsys *fs, struct minix_index *index, uint32_t ino)
{
	memset(index->entries, 0, fs->setup.index_entries * sizeof(*index->entries));
	index->ino = ino;
	index->used = 0;
	index->next_block = 0;
	index->free_slot_bytes = UINT32_MAX;
}

bool index_wanted(struct fsys *fs, const struct fsys_node *dir)
{
	struct minix_index *index, *oldest = NULL;
	uint32_t i;

	if (dir_block_count(fs, dir) < BLOCKS_MIN ||
	    dir->size_bytes / fs->dirent_bytes > fs->setup.index_entries / 2)
		return false;
	index = find(fs, dir->ino);
	for (i = 0; !index && i < fs->setup.index_count; i++)
		if (!oldest || fs->setup.indexes[i].last_use < oldest->last_use)
			oldest = &fs->setup.indexes[i];
	if (!index && oldest)
		begin(fs, index = oldest, dir->ino);
	if (index)
		index->last_use = cache_use_serial;
	return index;
}

/* False if there is no room. */
static bool insert(const struct fsys *fs, struct minix_index *index, uint32_t hash,
		   uint32_t slot)
{
	uint32_t at = first_entry(fs, hash);

	while (index->entries[at].slot_plus_1) {
		if (index->entries[at].slot_plus_1 == slot + 1 && index->entries[at].hash == hash)
			return true;
		at = next_entry(fs, at);
	}
	if (index->used >= fs->setup.index_entries / 4 * 3)
		return false;
	index->entries[at].hash = hash;
	index->entries[at].slot_plus_1 = slot + 1;
	index->used++;
	return true;
}

void index_add(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name,
	       uint32_t slot_bytes)
{
	struct minix_index *index = find(fs, dir->ino);

	if (index && !insert(fs, index, hash_of(name.text, name.bytes),
			     slot_bytes / fs->dirent_bytes))
		begin(fs, index, dir->ino);
}

void index_freed(struct fsys *fs, const struct fsys_node *dir, uint32_t slot_bytes)
{
	struct minix_index *index = find(fs, dir->ino);

	if (index && slot_bytes < index->free_slot_bytes)
		index->free_slot_bytes = slot_bytes;
}

uint32_t index_free_slot(const struct fsys *fs, const struct fsys_node *dir)
{
	const struct minix_index *index = find(fs, dir->ino);
	uint32_t at = dir->free_slot_bytes;

	if (!index || index->next_block < dir_block_count(fs, dir))
		return at;
	if (index->free_slot_bytes > at)
		at = index->free_slot_bytes;
	return at < dir->size_bytes ? at : dir->size_bytes;
}

/* Goes on reading the directory. */
static int build(struct fsys *fs, struct fsys_node *dir, struct minix_index *index)
{
	uint32_t end = index->next_block + DIR_SCAN_BLOCKS;

	for (; index->next_block < dir_block_count(fs, dir); index->next_block++) {
		uint32_t base = index->next_block * fs->block_size;
		const uint8_t *slots = NULL;
		uint32_t count, i;
		int status = index->next_block == end ? -X_EAGAIN
						      : dir_peek_slots(fs, dir, index->next_block, &slots, &count);

		if (status == -X_EWAIT)
			dir_read_ahead(fs, dir, index->next_block + 1);
		if (status)
			return status;
		for (i = 0; i < count; i++, slots += fs->dirent_bytes) {
			uint32_t at = base + i * fs->dirent_bytes;

			if (slot_ino(fs, slots))
				insert(fs, index,
				       hash_of(slot_name(fs, slots), slot_name_bytes(fs, slots)),
				       at / fs->dirent_bytes);
			else if (at < index->free_slot_bytes)
				index->free_slot_bytes = at;
		}
	}
	return 0;
}

/* Does the slot hold the name? */
static int check_slot(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
		      uint32_t slot, uint32_t *ino)
{
	uint32_t at = slot * fs->dirent_bytes;
	const uint8_t *slots = NULL;
	uint32_t count;
	int status;

	*ino = 0;
	if (at >= dir->size_bytes)
		return 0;
	status = dir_peek_slots(fs, dir, at / fs->block_size, &slots, &count);
	if (status || !count)
		return status;
	slots += at % fs->block_size;
	if (slot_ino(fs, slots) && slot_is_named(fs, slots, name))
		*ino = slot_ino(fs, slots);
	return 0;
}

int index_lookup(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
		 uint32_t *ino, uint32_t *slot_bytes)
{
	struct minix_index *index = find(fs, dir->ino);
	uint32_t hash = hash_of(name.text, name.bytes), at;
	int status = build(fs, dir, index);

	if (status)
		return status;
	for (at = first_entry(fs, hash); index->entries[at].slot_plus_1; at = next_entry(fs, at)) {
		uint32_t slot = index->entries[at].slot_plus_1 - 1;

		if (index->entries[at].hash != hash)
			continue;
		status = check_slot(fs, dir, name, slot, ino);
		if (status)
			return status;
		if (*ino) {
			*slot_bytes = slot * fs->dirent_bytes;
			return 0;
		}
	}
	return -X_ENOENT;
}
