/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories: files of slots {inode, name}; inode 0 is a free slot. A slot
 * never moves, so its byte offset serves readdir as a cursor. Blocks of
 * directories are metadata in the cache. Large ones have an index (index.c).
 */

#include "fs/minix/dir.h"

uint32_t slot_ino(const struct fsys *fs, const void *slot)
{
	return fs->version == 3 ? *(const uint32_t *)slot : *(const uint16_t *)slot;
}

const char *slot_name(const struct fsys *fs, const void *slot)
{
	return (const char *)slot + fs->dirent_bytes - fs->limits.name_max;
}

static void set_ino(const struct fsys *fs, void *slot, uint32_t ino)
{
	if (fs->version == 3)
		*(uint32_t *)slot = ino;
	else
		*(uint16_t *)slot = ino;
}

uint32_t slot_name_bytes(const struct fsys *fs, const void *slot)
{
	const char *name = slot_name(fs, slot);
	uint32_t bytes = 0;

	while (bytes < fs->limits.name_max && name[bytes])
		bytes++;
	return bytes;
}

bool slot_is_named(const struct fsys *fs, const void *slot, struct fsys_name name)
{
	const char *text = slot_name(fs, slot);

	return text[0] == name.text[0] && !memcmp(text, name.text, name.bytes) &&
	       (name.bytes == fs->limits.name_max || !text[name.bytes]);
}

/* ---- one block -------------------------------------------------------- */

uint32_t dir_block_count(const struct fsys *fs, const struct fsys_node *dir)
{
	return ((uint64_t)dir->size_bytes + fs->block_size - 1) / fs->block_size;
}

/* The slots of a block, COUNT of them. */
int dir_peek_slots(struct fsys *fs, struct fsys_node *dir, uint32_t block,
		   const uint8_t **slots, uint32_t *count)
{
	uint64_t bytes = dir->size_bytes - (uint64_t)block * fs->block_size;
	struct cache_buf *buf;
	uint32_t zone;
	int status = map_lookup(fs, dir, block, &zone);

	*count = 0;
	if (!status && !zone)
		status = fsys_damaged(fs, "a directory has a hole");
	if (!status)
		status = cache_peek(&fs->cache, zone, &buf);
	if (status)
		return status;
	*slots = buf->frame;
	*count = (bytes < fs->block_size ? bytes : fs->block_size) / fs->dirent_bytes;
	return 0;
}

/* The slot at an offset, kept for a change. */
static int get_slot(struct fsys *fs, struct fsys_node *dir,
		    uint32_t slot_bytes, struct cache_buf **buf, uint8_t **slot)
{
	uint32_t zone;
	int status = map_lookup(fs, dir, slot_bytes / fs->block_size, &zone);

	if (status)
		return status;
	if (!zone)
		return fsys_damaged(fs, "a directory has a hole");
	status = cache_get(&fs->cache, zone, buf);
	if (!status)
		*slot = (*buf)->frame + slot_bytes % fs->block_size;
	return status;
}

void dir_read_ahead(struct fsys *fs, struct fsys_node *dir, uint32_t block)
{
	uint32_t blocks = dir_block_count(fs, dir);
	uint32_t end = block + 16 * 1024 / fs->block_size;
	uint32_t zone;

	for (; block < blocks && block < end; block++)
		if (!map_lookup(fs, dir, block, &zone) && zone)
			cache_prefetch(&fs->cache, zone);
}

/* ---- searching -------------------------------------------------------- */

/* What a search looks for; gives true at the slot that ends it. */
typedef bool (*match_fn)(const struct fsys *fs, const void *slot, const void *what);

static bool matches_name(const struct fsys *fs, const void *slot, const void *what)
{
	return slot_is_named(fs, slot, *(const struct fsys_name *)what);
}

static bool is_no_dot(const struct fsys *fs, const void *slot, const void *what)
{
	const char *name = slot_name(fs, slot);

	(void)what;
	return name[0] != '.' || (name[1] && (name[1] != '.' || name[2]));
}

/* The memo of the same search, or NULL. */
static struct minix_scan_memo *find_memo(struct fsys *fs,
					 const struct minix_scan_memo *now)
{
	uint32_t i;

	for (i = 0; i < MINIX_SCAN_MEMOS; i++)
		if (fs->scan_memo[i].dir_version == now->dir_version &&
		    !memcmp(fs->scan_memo[i].key, now->key, MINIX_NAME_MAX))
			return &fs->scan_memo[i];
	return NULL;
}

/* Small directories are as fast searched again. */
enum { MEMO_BLOCKS_MIN = 8 };

static void keep_memo(struct fsys *fs, const struct minix_scan_memo *now)
{
	struct minix_scan_memo *memo;

	if (now->next_block < MEMO_BLOCKS_MIN)
		return;
	memo = find_memo(fs, now);
	if (!memo) {
		memo = &fs->scan_memo[fs->scan_memo_cursor];
		fs->scan_memo_cursor = (fs->scan_memo_cursor + 1) % MINIX_SCAN_MEMOS;
	}
	*memo = *now;
}

/*
 * Goes through the used slots until MATCH. KEY tells searches apart, for
 * going on after a wait, or in a new iteration (-X_EAGAIN). -X_ENOENT: none; then the
 * first free slot is known.
 */
static int search(struct fsys *fs, struct fsys_node *dir, match_fn match,
		  const void *what, struct fsys_name key, uint32_t *ino,
		  uint32_t *slot_bytes)
{
	struct minix_scan_memo now = { .dir_version = dir->dir_version,
				       .free_slot_bytes = UINT32_MAX };
	uint32_t blocks = dir_block_count(fs, dir), end;
	struct minix_scan_memo *memo;

	memcpy(now.key, key.text, key.bytes);
	memo = blocks > MEMO_BLOCKS_MIN ? find_memo(fs, &now) : NULL;
	if (memo)
		now = *memo;
	end = now.next_block + DIR_SCAN_BLOCKS;
	for (; now.next_block < blocks; now.next_block++) {
		uint32_t base = now.next_block * fs->block_size;
		const uint8_t *slots = NULL;
		uint32_t count, i;
		int status = now.next_block == end ? -X_EAGAIN
						   : dir_peek_slots(fs, dir, now.next_block, &slots, &count);

		if (status) {
			keep_memo(fs, &now);
			if (status == -X_EWAIT)
				dir_read_ahead(fs, dir, now.next_block + 1);
			return status;
		}
		for (i = 0; i < count; i++, slots += fs->dirent_bytes) {
			if (!slot_ino(fs, slots)) {
				if (now.free_slot_bytes == UINT32_MAX)
					now.free_slot_bytes = base + i * fs->dirent_bytes;
			} else if (match(fs, slots, what)) {
				*ino = slot_ino(fs, slots);
				*slot_bytes = base + i * fs->dirent_bytes;
				keep_memo(fs, &now);
				return 0;
			}
		}
	}
	keep_memo(fs, &now);
	dir->free_slot_bytes = now.free_slot_bytes < dir->size_bytes ?
			       now.free_slot_bytes : dir->size_bytes;
	return -X_ENOENT;
}

int dir_lookup(struct fsys *fs, struct fsys_node *dir,
	       struct fsys_name name, uint32_t *ino, uint32_t *slot_bytes)
{
	int status;

	if (name.bytes > fs->limits.name_max)
		return -X_ENAMETOOLONG;
	if (!name.bytes)
		return -X_ENOENT;
	if (known_find(fs, dir, name, ino, slot_bytes))
		return *ino ? 0 : -X_ENOENT;
	if (index_wanted(fs, dir))
		status = index_lookup(fs, dir, name, ino, slot_bytes);
	else
		status = search(fs, dir, matches_name, &name, name, ino, slot_bytes);
	if (!status && *ino > fs->inode_count)
		return fsys_damaged(fs, "a directory entry has no such inode");
	if (!status || status == -X_ENOENT)
		known_keep(fs, dir, name, status ? 0 : *ino, status ? 0 : *slot_bytes);
	return status;
}

int dir_check_empty(struct fsys *fs, struct fsys_node *dir)
{
	struct fsys_name key = { "/empty", 6, false }; /* no name has a slash */
	uint32_t ino, slot_bytes;
	int status = search(fs, dir, is_no_dot, NULL, key, &ino, &slot_bytes);

	if (status == -X_ENOENT)
		return 0;
	return status ? status : -X_ENOTEMPTY;
}

int dir_parent(struct fsys *fs, struct fsys_node *dir, uint32_t *ino)
{
	struct fsys_name dot_dot = { "..", 2, false };
	uint32_t slot_bytes;
	int status = dir_lookup(fs, dir, dot_dot, ino, &slot_bytes);

	return status == -X_ENOENT ? fsys_damaged(fs, "a directory has no \"..\"")
				   : status;
}

static bool matches_ino(const struct fsys *fs, const void *slot, const void *what)
{
	return slot_ino(fs, slot) == *(const uint32_t *)what && is_no_dot(fs, slot, NULL);
}

int dir_name_of(struct fsys *fs, struct fsys_node *dir, uint32_t ino,
		char name[static FSYS_NAME_MAX], uint32_t *name_bytes)
{
	char key_text[1 + sizeof(ino)] = "/";
	struct fsys_name key = { key_text, sizeof(key_text), false };
	uint8_t *slot;
	struct cache_buf *buf;
	uint32_t found, slot_bytes;
	int status;

	memcpy(key_text + 1, &ino, sizeof(ino));
	status = search(fs, dir, matches_ino, &ino, key, &found, &slot_bytes);

	if (!status)
		status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (status)
		return status;
	*name_bytes = slot_name_bytes(fs, slot);
	memcpy(name, slot_name(fs, slot), *name_bytes);
	return 0;
}

/* ---- changing ----------------------------------------------------------- */

/* Notes that the directory changed. */
static int touch_dir(struct fsys *fs, struct fsys_node *dir, uint64_t time_ns)
{
	int status = op_modify_inode(fs, dir);

	if (status)
		return status;
	dir->dir_version = ++fs->last_dir_version;
	dir->mtime_ns = dir->ctime_ns = time_ns;
	return 0;
}

static int set_slot(struct fsys *fs, struct cache_buf *buf,
		    uint8_t *slot, uint32_t ino,
		    struct fsys_name name)
{
	int status = op_modify(buf, slot, fs->dirent_bytes);

	if (status)
		return status;
	memset(slot, 0, fs->dirent_bytes);
	set_ino(fs, slot, ino);
	memcpy(slot + fs->dirent_bytes - fs->limits.name_max, name.text, name.bytes);
	return 0;
}

/* Puts an entry behind the last slot, in a new block if need be. */
static int append(struct fsys *fs, struct fsys_node *dir,
		  struct fsys_name name, uint32_t ino)
{
	uint32_t at = dir->size_bytes;
	struct cache_buf *buf;
	uint32_t zone;
	bool fresh;
	int status;

	if (dir->trim)
		return -X_EAGAIN;
	if (at > fs->max_size_bytes - fs->dirent_bytes)
		return -X_ENOSPC;
	status = op_modify_inode(fs, dir);
	if (!status)
		status = map_alloc(fs, dir, at / fs->block_size, &zone, &fresh);
	if (status)
		return status;
	if (fresh) {
		status = cache_get_fresh(&fs->cache, zone, &buf);
		if (!status)
			status = op_note_fresh(fs, buf);
	} else {
		status = cache_get(&fs->cache, zone, &buf);
	}
	if (status)
		return status;
	dir->size_bytes = at + fs->dirent_bytes;
	dir->free_slot_bytes = dir->size_bytes;
	index_add(fs, dir, name, at);
	return set_slot(fs, buf, buf->frame + at % fs->block_size, ino, name);
}

/* The first free slot from the hint on; the directory's size if there is none. */
static int find_free_slot(struct fsys *fs, struct fsys_node *dir,
			  uint32_t *slot_bytes)
{
	uint32_t at = index_free_slot(fs, dir);

	while (at < dir->size_bytes) {
		uint32_t block = at / fs->block_size;
		const uint8_t *slots = NULL;
		uint32_t count, i;
		int status = dir_peek_slots(fs, dir, block, &slots, &count);

		if (status)
			return status;
		for (i = at % fs->block_size / fs->dirent_bytes; i < count; i++)
			if (!slot_ino(fs, slots + i * fs->dirent_bytes))
				break;
		*slot_bytes = block * fs->block_size + i * fs->dirent_bytes;
		if (i < count)
			return 0;
		at = (block + 1) * fs->block_size;
		dir->free_slot_bytes = at;
	}
	*slot_bytes = dir->size_bytes;
	return 0;
}

int dir_add(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
	    uint32_t ino, uint64_t time_ns)
{
	uint8_t *slot;
	struct cache_buf *buf;
	uint32_t slot_bytes = 0;
	int status = find_free_slot(fs, dir, &slot_bytes);

	if (!status)
		status = touch_dir(fs, dir, time_ns);
	if (status)
		return status;
	if (slot_bytes >= dir->size_bytes)
		return append(fs, dir, name, ino);
	status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (status)
		return status;
	dir->free_slot_bytes = slot_bytes + fs->dirent_bytes;
	index_add(fs, dir, name, slot_bytes);
	return set_slot(fs, buf, slot, ino, name);
}

int dir_remove(struct fsys *fs, struct fsys_node *dir, uint32_t slot_bytes,
	       uint64_t time_ns)
{
	struct fsys_name no_name = { "", 0, false };
	uint8_t *slot;
	struct cache_buf *buf;
	int status = touch_dir(fs, dir, time_ns);

	if (!status)
		status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (status)
		return status;
	if (slot_bytes < dir->free_slot_bytes)
		dir->free_slot_bytes = slot_bytes;
	index_freed(fs, dir, slot_bytes);
	return set_slot(fs, buf, slot, 0, no_name);
}

int dir_replace(struct fsys *fs, struct fsys_node *dir,
		uint32_t slot_bytes, uint32_t ino, uint64_t time_ns)
{
	uint8_t *slot;
	struct cache_buf *buf;
	int status = touch_dir(fs, dir, time_ns);

	if (!status)
		status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (!status)
		status = op_modify(buf, slot, sizeof(uint32_t));
	if (!status)
		set_ino(fs, slot, ino);
	return status;
}

int dir_set_parent(struct fsys *fs, struct fsys_node *dir, uint32_t parent_ino)
{
	struct fsys_name dot_dot = { "..", 2, false };
	uint64_t mtime_ns = dir->mtime_ns;      /* no name in it changes */
	uint32_t ino, slot_bytes;
	int status = dir_lookup(fs, dir, dot_dot, &ino, &slot_bytes);

	if (!status)
		status = dir_replace(fs, dir, slot_bytes, parent_ino, mtime_ns);
	return status;
}

int dir_make(struct fsys *fs, struct fsys_node *dir, uint32_t parent_ino)
{
	struct fsys_name dot = { ".", 1, false };
	struct fsys_name dot_dot = { "..", 2, false };
	int status;

	index_forget(fs, dir->ino);
	status = append(fs, dir, dot, dir->ino);
	return status ? status : append(fs, dir, dot_dot, parent_ino);
}

/* ---- listing ------------------------------------------------------------- */

/* Slots that no path could name are passed over. */
static bool is_listable(const struct fsys *fs, const void *slot)
{
	const char *name = slot_name(fs, slot);
	uint32_t ino = slot_ino(fs, slot);

	return ino && ino <= fs->inode_count && name[0] &&
	       !memchr(name, '/', fs->limits.name_max);
}

static void list_slot(const struct fsys *fs, const void *slot, uint32_t at,
		      struct fsys_dirent *out)
{
	memset(out, 0, sizeof(*out));
	out->ino = slot_ino(fs, slot);
	out->next_cursor = at + fs->dirent_bytes;
	out->name_bytes = slot_name_bytes(fs, slot);
	memcpy(out->name, slot_name(fs, slot), out->name_bytes);
}

/* The next entry at or behind *AT, or -X_ENOENT. */
static int next_entry(struct fsys *fs, struct fsys_node *dir, uint32_t *at,
		      struct fsys_dirent *out)
{
	*at -= *at % fs->dirent_bytes;
	while (*at < dir->size_bytes) {
		uint32_t block = *at / fs->block_size;
		const uint8_t *slots = NULL;
		uint32_t count, i;
		int status = dir_peek_slots(fs, dir, block, &slots, &count);

		if (status == -X_EWAIT)
			dir_read_ahead(fs, dir, block + 1);
		if (status)
			return status;
		for (i = *at % fs->block_size / fs->dirent_bytes; i < count; i++) {
			const uint8_t *slot = slots + i * fs->dirent_bytes;

			if (!is_listable(fs, slot))
				continue;
			*at = block * fs->block_size + i * fs->dirent_bytes;
			list_slot(fs, slot, *at, out);
			return 0;
		}
		*at = (block + 1) * fs->block_size;
	}
	return -X_ENOENT;
}

static int fill_listing(struct fsys *fs, uint32_t ino, uint32_t cursor,
			struct fsys_dirent *out, uint32_t capacity)
{
	uint32_t filled = 0;

	while (filled < capacity) {
		struct fsys_node *dir;
		int status;

		op_forget(fs);
		status = inode_get_dir(fs, ino, &dir);
		if (!status)
			status = next_entry(fs, dir, &cursor, &out[filled]);
		if (!status)
			status = inode_peek_type(fs, out[filled].ino,
						 &out[filled].mode);
		if (status == -X_ENOENT)
			break;
		if (status)
			return filled ? (int)filled : status;
		cursor = out[filled++].next_cursor;
	}
	return filled;
}

static int touch_atime(struct fsys *fs, const struct fsys_caller *who,
		       uint32_t ino)
{
	struct fsys_node *dir;
	int status = inode_get_dir(fs, ino, &dir);

	return status ? status : attr_touch_atime(fs, dir, who->time_ns);
}

int fsys_readdir(struct fsys *fs, const struct fsys_caller *who,
		  uint32_t ino, uint32_t cursor, struct fsys_dirent *out,
		  uint32_t capacity)
{
	int status;

	op_begin(fs);
	status = fill_listing(fs, ino, cursor, out, capacity);
	if (status > 0) {
		int touched = touch_atime(fs, who, ino);

		if (touched)
			status = touched;
	}
	return op_end(fs, status);
}
