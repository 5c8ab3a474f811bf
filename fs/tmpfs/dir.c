/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories: lists of entries in order of making, and one hash over all
 * names of all directories. "." and ".." are no entries; cursors 1 and 2 are
 * theirs, so an entry's is at least 3.
 */

#include "fs/tmpfs/tmpfs.h"

enum { FIRST_CURSOR = 3, ENTRY_BYTES_SEEN = 32 };       /* a name's share of the size shown */

static struct tmpfs_entry *entry_at(uint32_t piece)
{
	return heap_at(piece);
}

static uint32_t *bucket(struct fsys *fs, uint32_t dir_ino, const char *name, uint32_t bytes)
{
	uint32_t hash = 2166136261u ^ dir_ino * 2654435761u, i;

	for (i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return &fs->hash[(hash ^ hash >> 15) % TMPFS_HASH];
}

/* ---- lists and hash ---------------------------------------------------------------- */

/* Behind the entry before it in order, which is mostly the last. */
static void link_entry(struct fsys *fs, uint32_t piece)
{
	struct tmpfs_entry *entry = entry_at(piece);
	struct tmpfs_extra *dir = &fs->extras[entry->dir_ino - 1];
	uint32_t *head = bucket(fs, entry->dir_ino, entry->name, entry->name_bytes);
	uint32_t prev = dir->last;

	while (prev && entry_at(prev)->cursor > entry->cursor)
		prev = entry_at(prev)->prev;
	entry->prev = prev;
	entry->next = prev ? entry_at(prev)->next : dir->first;
	*(prev ? &entry_at(prev)->next : &dir->first) = piece;
	*(entry->next ? &entry_at(entry->next)->prev : &dir->last) = piece;
	entry->hash_next = *head;
	*head = piece;
	dir->entry_count++;
}

static void unlink_entry(struct fsys *fs, uint32_t piece)
{
	struct tmpfs_entry *entry = entry_at(piece);
	struct tmpfs_extra *dir = &fs->extras[entry->dir_ino - 1];
	uint32_t *at = bucket(fs, entry->dir_ino, entry->name, entry->name_bytes);

	while (*at != piece)
		at = &entry_at(*at)->hash_next;
	*at = entry->hash_next;
	*(entry->prev ? &entry_at(entry->prev)->next : &dir->first) = entry->next;
	*(entry->next ? &entry_at(entry->next)->prev : &dir->last) = entry->prev;
	if (dir->read_entry == piece)
		dir->read_entry = entry->prev;
	dir->entry_count--;
}

static void free_entry(uint32_t piece)
{
	heap_free(piece, sizeof(struct tmpfs_entry) + entry_at(piece)->name_bytes);
}

void dir_undo(struct fsys *fs, const struct tmpfs_undo *undo)
{
	switch (undo->kind) {
	case TMPFS_UNDO_ADDED:
		unlink_entry(fs, undo->entry);
		free_entry(undo->entry);
		break;
	case TMPFS_UNDO_REMOVED:
		link_entry(fs, undo->entry);
		break;
	default:
		entry_at(undo->entry)->ino = undo->ino;
	}
}

void dir_commit(struct fsys *fs, const struct tmpfs_undo *undo)
{
	(void)fs;
	free_entry(undo->entry);
}

void dir_free(struct fsys *fs, struct fsys_node *dir)
{
	while (extra_of(fs, dir)->first) {
		uint32_t piece = extra_of(fs, dir)->first;

		unlink_entry(fs, piece);
		free_entry(piece);
	}
}

/* ---- what lib/fs asks for -------------------------------------------------------------- */

int dir_lookup(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
	       uint32_t *ino, uint32_t *slot)
{
	uint32_t piece;

	if (name.bytes > FSYS_NAME_MAX)
		return -X_ENAMETOOLONG;
	piece = *bucket(fs, dir->ino, name.text, name.bytes);
	for (; piece; piece = entry_at(piece)->hash_next) {
		const struct tmpfs_entry *entry = entry_at(piece);

		if (entry->dir_ino != dir->ino || entry->name_bytes != name.bytes ||
		    memcmp(entry->name, name.text, name.bytes))
			continue;
		*ino = entry->ino;
		*slot = piece;
		return 0;
	}
	return -X_ENOENT;
}

static int touch_dir(struct fsys *fs, struct fsys_node *dir, uint64_t time_ns)
{
	int status = op_modify_inode(fs, dir);

	if (!status)
		dir->mtime_ns = dir->ctime_ns = time_ns;
	return status;
}

int dir_add(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
	    uint32_t ino, uint64_t time_ns)
{
	struct tmpfs_extra *extra = extra_of(fs, dir);
	struct tmpfs_entry *entry;
	struct tmpfs_undo *undo;
	uint32_t piece;
	int status = touch_dir(fs, dir, time_ns);

	if (status)
		return status;
	piece = heap_alloc(sizeof(*entry) + name.bytes);
	if (!piece)
		return -X_ENOSPC;
	entry = entry_at(piece);
	entry->dir_ino = dir->ino;
	entry->ino = ino;
	entry->cursor = extra->next_cursor++;
	entry->name_bytes = name.bytes;
	memcpy(entry->name, name.text, name.bytes);
	status = undo_note(TMPFS_UNDO_ADDED, &undo);
	if (status) {
		free_entry(piece);
		return status;
	}
	undo->entry = piece;
	link_entry(fs, piece);
	dir->size_bytes += ENTRY_BYTES_SEEN;
	return 0;
}

int dir_remove(struct fsys *fs, struct fsys_node *dir, uint32_t slot, uint64_t time_ns)
{
	struct tmpfs_undo *undo;
	int status = touch_dir(fs, dir, time_ns);

	if (!status)
		status = undo_note(TMPFS_UNDO_REMOVED, &undo);
	if (status)
		return status;
	undo->entry = slot;
	unlink_entry(fs, slot);
	dir->size_bytes -= ENTRY_BYTES_SEEN;
	return 0;
}

int dir_replace(struct fsys *fs, struct fsys_node *dir, uint32_t slot, uint32_t ino,
		uint64_t time_ns)
{
	struct tmpfs_undo *undo;
	int status = touch_dir(fs, dir, time_ns);

	if (!status)
		status = undo_note(TMPFS_UNDO_REPLACED, &undo);
	if (status)
		return status;
	undo->entry = slot;
	undo->ino = entry_at(slot)->ino;
	entry_at(slot)->ino = ino;
	return 0;
}

int dir_check_empty(struct fsys *fs, struct fsys_node *dir)
{
	return extra_of(fs, dir)->entry_count ? -X_ENOTEMPTY : 0;
}

int dir_make(struct fsys *fs, struct fsys_node *dir, uint32_t parent_ino)
{
	extra_of(fs, dir)->next_cursor = FIRST_CURSOR;
	extra_of(fs, dir)->parent_ino = parent_ino;
	dir->size_bytes = 2 * ENTRY_BYTES_SEEN;
	return 0;
}

int dir_parent(struct fsys *fs, struct fsys_node *dir, uint32_t *ino)
{
	*ino = extra_of(fs, dir)->parent_ino;
	return 0;
}

/* The last step of a renaming, so it is never undone. */
int dir_set_parent(struct fsys *fs, struct fsys_node *dir, uint32_t parent_ino)
{
	int status = op_modify_inode(fs, dir);

	if (!status)
		extra_of(fs, dir)->parent_ino = parent_ino;
	return status;
}

int dir_name_of(struct fsys *fs, struct fsys_node *dir, uint32_t ino,
		char name[static FSYS_NAME_MAX], uint32_t *name_bytes)
{
	uint32_t piece = extra_of(fs, dir)->first;

	while (piece && entry_at(piece)->ino != ino)
		piece = entry_at(piece)->next;
	if (!piece)
		return -X_ENOENT;
	*name_bytes = entry_at(piece)->name_bytes;
	memcpy(name, entry_at(piece)->name, *name_bytes);
	return 0;
}

/* ---- listing ------------------------------------------------------------------------------ */

/* The first entry with CURSOR or a later one; mostly where the last listing ended. */
static uint32_t find_cursor(const struct tmpfs_extra *extra, uint32_t cursor)
{
	uint32_t piece = extra->first, hint = extra->read_entry;

	if (hint && entry_at(hint)->cursor <= cursor)
		piece = hint;
	while (piece && entry_at(piece)->cursor < cursor)
		piece = entry_at(piece)->next;
	return piece;
}

static void list_dots(const struct tmpfs_extra *extra, uint32_t ino, uint32_t cursor,
		      struct fsys_dirent *out)
{
	out->ino = cursor == 2 ? extra->parent_ino : ino;
	out->mode = FSYS_S_IFDIR;
	out->name_bytes = cursor;
	memcpy(out->name, "..", 3);
	out->name[cursor] = 0;
	out->next_cursor = cursor + 1;
}

int fsys_readdir(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
		 uint32_t cursor, struct fsys_dirent *out, uint32_t capacity)
{
	struct tmpfs_extra *extra;
	struct fsys_node *dir;
	uint32_t filled = 0, piece;
	int status = inode_get_dir(fs, ino, &dir);

	if (status)
		return status;
	op_begin(fs);
	attr_touch_atime(fs, dir, who->time_ns);
	op_end(fs, 0);
	extra = extra_of(fs, dir);
	for (cursor = cursor ? cursor : 1; cursor < FIRST_CURSOR && filled < capacity; cursor++)
		list_dots(extra, ino, cursor, &out[filled++]);
	for (piece = find_cursor(extra, cursor); piece && filled < capacity;
	     piece = entry_at(piece)->next) {
		const struct tmpfs_entry *entry = entry_at(piece);

		out[filled].ino = entry->ino;
		out[filled].mode = fs->nodes[entry->ino - 1].mode & FSYS_S_IFMT;
		out[filled].next_cursor = entry->cursor + 1;
		out[filled].name_bytes = entry->name_bytes;
		memcpy(out[filled].name, entry->name, entry->name_bytes);
		out[filled++].name[entry->name_bytes] = 0;
		extra->read_entry = piece;
	}
	return filled;
}
