/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories: files of 64-byte slots {inode, name}; inode 0 is a free slot.
 * A slot never moves, so its byte offset serves readdir as a cursor. Blocks
 * of directories are metadata in the cache.
 */

#include "fs/minix/internal.h"

enum { SLOT_BYTES = sizeof(struct minix_dirent_disk) };

bool name_is_dot(struct minix_name name)
{
	return name.bytes == 1 && name.text[0] == '.';
}

bool name_is_dot_dot(struct minix_name name)
{
	return name.bytes == 2 && name.text[0] == '.' && name.text[1] == '.';
}

static uint32_t name_length(const char name[static MINIX_NAME_MAX])
{
	uint32_t bytes = 0;

	while (bytes < MINIX_NAME_MAX && name[bytes])
		bytes++;
	return bytes;
}

/* ---- one block -------------------------------------------------------- */

static uint32_t block_count(const struct minix_fs *fs, const struct minix_inode *dir)
{
	return ((uint64_t)dir->size_bytes + fs->block_size - 1) / fs->block_size;
}

/* The slots of a block, COUNT of them; none if the block is a hole. */
static int peek_slots(struct minix_fs *fs, struct minix_inode *dir,
		      uint32_t block, struct minix_dirent_disk **slots,
		      uint32_t *count)
{
	uint32_t bytes = dir->size_bytes - block * fs->block_size;
	struct cache_buf *buf;
	uint32_t zone;
	int status = map_lookup(fs, dir, block, &zone);

	*count = 0;
	if (status || !zone)
		return status;
	status = cache_peek(&fs->cache, zone, CACHE_META, &buf);
	if (status)
		return status;
	*slots = (void *)buf->frame;
	*count = (bytes < fs->block_size ? bytes : fs->block_size) / SLOT_BYTES;
	return 0;
}

/* The slot at an offset, kept for a change. */
static int get_slot(struct minix_fs *fs, struct minix_inode *dir,
		    uint32_t slot_bytes, struct cache_buf **buf,
		    struct minix_dirent_disk **slot)
{
	uint32_t zone;
	int status = map_lookup(fs, dir, slot_bytes / fs->block_size, &zone);

	if (status)
		return status;
	if (!zone)
		return minix_damaged(fs, "a directory has a hole");
	status = cache_get(&fs->cache, zone, CACHE_META, buf);
	if (!status)
		*slot = (void *)((*buf)->frame + slot_bytes % fs->block_size);
	return status;
}

static void read_ahead(struct minix_fs *fs, struct minix_inode *dir, uint32_t block)
{
	uint32_t blocks = block_count(fs, dir);
	uint32_t end = block + 16 * 1024 / fs->block_size;
	uint32_t zone;

	for (; block < blocks && block < end; block++)
		if (!map_lookup(fs, dir, block, &zone) && zone)
			cache_prefetch(&fs->cache, zone, CACHE_META);
}

/* ---- searching -------------------------------------------------------- */

/* What a search looks for; gives true at the slot that ends it. */
typedef bool (*match_fn)(const struct minix_dirent_disk *slot, const void *what);

static bool matches_name(const struct minix_dirent_disk *slot, const void *what)
{
	const struct minix_name *name = what;

	return slot->name[0] == name->text[0] &&
	       !memcmp(slot->name, name->text, name->bytes) &&
	       (name->bytes == MINIX_NAME_MAX || !slot->name[name->bytes]);
}

static bool is_no_dot(const struct minix_dirent_disk *slot, const void *what)
{
	(void)what;
	return slot->name[0] != '.' ||
	       (slot->name[1] && (slot->name[1] != '.' || slot->name[2]));
}

/* The memo of the same search, or NULL. */
static struct minix_scan_memo *find_memo(struct minix_fs *fs,
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

static void keep_memo(struct minix_fs *fs, const struct minix_scan_memo *now)
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
 * going on after a wait. -X_ENOENT: none; then the first free slot is known.
 */
static int search(struct minix_fs *fs, struct minix_inode *dir, match_fn match,
		  const void *what, struct minix_name key, uint32_t *ino,
		  uint32_t *slot_bytes)
{
	struct minix_scan_memo now = { .dir_version = dir->dir_version,
				       .free_slot_bytes = UINT32_MAX };
	uint32_t blocks = block_count(fs, dir);
	struct minix_scan_memo *memo;

	memcpy(now.key, key.text, key.bytes);
	memo = blocks > MEMO_BLOCKS_MIN ? find_memo(fs, &now) : NULL;
	if (memo)
		now = *memo;
	for (; now.next_block < blocks; now.next_block++) {
		uint32_t base = now.next_block * fs->block_size;
		struct minix_dirent_disk *slots = NULL;
		uint32_t count, i;
		int status = peek_slots(fs, dir, now.next_block, &slots, &count);

		if (status) {
			keep_memo(fs, &now);
			if (status == -X_EWAIT)
				read_ahead(fs, dir, now.next_block + 1);
			return status;
		}
		for (i = 0; i < count; i++) {
			if (!slots[i].ino) {
				if (now.free_slot_bytes == UINT32_MAX)
					now.free_slot_bytes = base + i * SLOT_BYTES;
			} else if (match(&slots[i], what)) {
				*ino = slots[i].ino;
				*slot_bytes = base + i * SLOT_BYTES;
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

int dir_lookup(struct minix_fs *fs, struct minix_inode *dir,
	       struct minix_name name, uint32_t *ino, uint32_t *slot_bytes)
{
	int status;

	if (name.bytes > MINIX_NAME_MAX)
		return -X_ENAMETOOLONG;
	if (!name.bytes)
		return -X_ENOENT;
	status = search(fs, dir, matches_name, &name, name, ino, slot_bytes);
	if (!status && *ino > fs->inode_count)
		return minix_damaged(fs, "a directory entry has no such inode");
	return status;
}

int dir_check_empty(struct minix_fs *fs, struct minix_inode *dir)
{
	struct minix_name key = { "/empty", 6, false }; /* no name has a slash */
	uint32_t ino, slot_bytes;
	int status = search(fs, dir, is_no_dot, NULL, key, &ino, &slot_bytes);

	if (status == -X_ENOENT)
		return 0;
	return status ? status : -X_ENOTEMPTY;
}

int dir_parent(struct minix_fs *fs, struct minix_inode *dir, uint32_t *ino)
{
	struct minix_name dot_dot = { "..", 2, false };
	uint32_t slot_bytes;
	int status = dir_lookup(fs, dir, dot_dot, ino, &slot_bytes);

	return status == -X_ENOENT ? minix_damaged(fs, "a directory has no \"..\"")
				   : status;
}

static bool matches_ino(const struct minix_dirent_disk *slot, const void *what)
{
	return slot->ino == *(const uint32_t *)what && is_no_dot(slot, NULL);
}

int dir_name_of(struct minix_fs *fs, struct minix_inode *dir, uint32_t ino,
		char name[static MINIX_NAME_MAX], uint32_t *name_bytes)
{
	char key_text[1 + sizeof(ino)] = "/";
	struct minix_name key = { key_text, sizeof(key_text), false };
	struct minix_dirent_disk *slot;
	struct cache_buf *buf;
	uint32_t found, slot_bytes;
	int status;

	memcpy(key_text + 1, &ino, sizeof(ino));
	status = search(fs, dir, matches_ino, &ino, key, &found, &slot_bytes);

	if (!status)
		status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (status)
		return status;
	memcpy(name, slot->name, MINIX_NAME_MAX);
	*name_bytes = name_length(name);
	return 0;
}

/* ---- changing ----------------------------------------------------------- */

/* Notes that the directory changed. */
static int touch_dir(struct minix_fs *fs, struct minix_inode *dir, uint32_t time_sec)
{
	int status = op_modify_inode(fs, dir);

	if (status)
		return status;
	dir->dir_version = ++fs->last_dir_version;
	dir->mtime_sec = dir->ctime_sec = time_sec;
	return 0;
}

static int set_slot(struct minix_fs *fs, struct cache_buf *buf,
		    struct minix_dirent_disk *slot, uint32_t ino,
		    struct minix_name name)
{
	int status = op_modify(fs, buf, slot, SLOT_BYTES);

	if (status)
		return status;
	memset(slot, 0, SLOT_BYTES);
	slot->ino = ino;
	memcpy(slot->name, name.text, name.bytes);
	return 0;
}

/* Puts an entry behind the last slot, in a new block if need be. */
static int append(struct minix_fs *fs, struct minix_inode *dir,
		  struct minix_name name, uint32_t ino)
{
	uint32_t at = dir->size_bytes;
	struct cache_buf *buf;
	uint32_t zone;
	bool fresh;
	int status;

	if (dir->trim)
		return -X_EAGAIN;
	if (at > fs->max_size_bytes - SLOT_BYTES)
		return -X_ENOSPC;
	status = op_modify_inode(fs, dir);
	if (!status)
		status = map_alloc(fs, dir, at / fs->block_size, &zone, &fresh);
	if (status)
		return status;
	if (fresh) {
		status = cache_get_fresh(&fs->cache, zone, CACHE_META, &buf);
		if (!status)
			status = op_note_fresh(fs, buf);
	} else {
		status = cache_get(&fs->cache, zone, CACHE_META, &buf);
	}
	if (status)
		return status;
	dir->size_bytes = at + SLOT_BYTES;
	dir->free_slot_bytes = dir->size_bytes;
	return set_slot(fs, buf, (void *)(buf->frame + at % fs->block_size), ino,
			name);
}

/* The first free slot from the hint on; the directory's size if there is none. */
static int find_free_slot(struct minix_fs *fs, struct minix_inode *dir,
			  uint32_t *slot_bytes)
{
	uint32_t at = dir->free_slot_bytes;

	while (at < dir->size_bytes) {
		uint32_t block = at / fs->block_size;
		struct minix_dirent_disk *slots = NULL;
		uint32_t count, i;
		int status = peek_slots(fs, dir, block, &slots, &count);

		if (status)
			return status;
		for (i = at % fs->block_size / SLOT_BYTES; i < count; i++)
			if (!slots[i].ino)
				break;
		*slot_bytes = block * fs->block_size + i * SLOT_BYTES;
		if (i < count)
			return 0;
		at = (block + 1) * fs->block_size;
		dir->free_slot_bytes = at;
	}
	*slot_bytes = dir->size_bytes;
	return 0;
}

int dir_add(struct minix_fs *fs, struct minix_inode *dir, struct minix_name name,
	    uint32_t ino, uint32_t time_sec)
{
	struct minix_dirent_disk *slot;
	struct cache_buf *buf;
	uint32_t slot_bytes = 0;
	int status = find_free_slot(fs, dir, &slot_bytes);

	if (!status)
		status = touch_dir(fs, dir, time_sec);
	if (status)
		return status;
	if (slot_bytes >= dir->size_bytes)
		return append(fs, dir, name, ino);
	status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (status)
		return status;
	dir->free_slot_bytes = slot_bytes + SLOT_BYTES;
	return set_slot(fs, buf, slot, ino, name);
}

int dir_remove(struct minix_fs *fs, struct minix_inode *dir, uint32_t slot_bytes,
	       uint32_t time_sec)
{
	struct minix_name no_name = { "", 0, false };
	struct minix_dirent_disk *slot;
	struct cache_buf *buf;
	int status = touch_dir(fs, dir, time_sec);

	if (!status)
		status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (status)
		return status;
	if (slot_bytes < dir->free_slot_bytes)
		dir->free_slot_bytes = slot_bytes;
	return set_slot(fs, buf, slot, 0, no_name);
}

int dir_replace(struct minix_fs *fs, struct minix_inode *dir,
		uint32_t slot_bytes, uint32_t ino, uint32_t time_sec)
{
	struct minix_dirent_disk *slot;
	struct cache_buf *buf;
	int status = touch_dir(fs, dir, time_sec);

	if (!status)
		status = get_slot(fs, dir, slot_bytes, &buf, &slot);
	if (!status)
		status = op_modify(fs, buf, &slot->ino, sizeof(slot->ino));
	if (!status)
		slot->ino = ino;
	return status;
}

int dir_make(struct minix_fs *fs, struct minix_inode *dir, uint32_t parent_ino)
{
	struct minix_name dot = { ".", 1, false };
	struct minix_name dot_dot = { "..", 2, false };
	int status = append(fs, dir, dot, dir->ino);

	return status ? status : append(fs, dir, dot_dot, parent_ino);
}

/* ---- listing ------------------------------------------------------------- */

/* Slots that no path could name are passed over. */
static bool is_listable(const struct minix_fs *fs,
			const struct minix_dirent_disk *slot)
{
	uint32_t i;

	if (!slot->ino || slot->ino > fs->inode_count || !slot->name[0])
		return false;
	for (i = 0; i < MINIX_NAME_MAX; i++)
		if (slot->name[i] == '/')
			return false;
	return true;
}

static void list_slot(const struct minix_dirent_disk *slot, uint32_t at,
		      struct minix_dirent *out)
{
	memset(out, 0, sizeof(*out));
	out->ino = slot->ino;
	out->next_cursor = at + SLOT_BYTES;
	memcpy(out->name, slot->name, MINIX_NAME_MAX);
	out->name_bytes = name_length(slot->name);
}

/* The next entry at or behind *AT, or -X_ENOENT. */
static int next_entry(struct minix_fs *fs, struct minix_inode *dir, uint32_t *at,
		      struct minix_dirent *out)
{
	*at -= *at % SLOT_BYTES;
	while (*at < dir->size_bytes) {
		uint32_t block = *at / fs->block_size;
		struct minix_dirent_disk *slots = NULL;
		uint32_t count, i;
		int status = peek_slots(fs, dir, block, &slots, &count);

		if (status == -X_EWAIT)
			read_ahead(fs, dir, block + 1);
		if (status)
			return status;
		for (i = *at % fs->block_size / SLOT_BYTES; i < count; i++) {
			if (!is_listable(fs, &slots[i]))
				continue;
			*at = block * fs->block_size + i * SLOT_BYTES;
			list_slot(&slots[i], *at, out);
			return 0;
		}
		*at = (block + 1) * fs->block_size;
	}
	return -X_ENOENT;
}

static int fill_listing(struct minix_fs *fs, uint32_t ino, uint32_t cursor,
			struct minix_dirent *out, uint32_t capacity)
{
	uint32_t filled = 0;

	while (filled < capacity) {
		struct minix_inode *dir;
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

static int touch_atime(struct minix_fs *fs, const struct minix_caller *who,
		       uint32_t ino)
{
	struct minix_inode *dir;
	int status = inode_get_dir(fs, ino, &dir);

	return status ? status : file_touch_atime(fs, dir, who);
}

int minix_readdir(struct minix_fs *fs, const struct minix_caller *who,
		  uint32_t ino, uint32_t cursor, struct minix_dirent *out,
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
