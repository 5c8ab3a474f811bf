/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes in core: a fixed table, hashed by number.
 *
 * A slot is free (ino 0), or holds an inode. It may be used for another when
 * nothing needs it: no holder, no mount on it, nothing left to free, and not
 * in use by the operation under way. What is in core equals what is in the
 * inode's table block, but for holds, marks and hints.
 */

#include "fs/minix/internal.h"

static struct fsys_node **hash_slot(struct fsys *fs, uint32_t ino)
{
	return &fs->inode_hash[ino % MINIX_INODE_HASH];
}

struct fsys_node *inode_find(const struct fsys *fs, uint32_t ino)
{
	struct fsys_node *ip = fs->inode_hash[ino % MINIX_INODE_HASH];

	while (ip && ip->ino != ino)
		ip = ip->hash_next;
	return ip;
}

static void hash_add(struct fsys *fs, struct fsys_node *ip)
{
	struct fsys_node **slot = hash_slot(fs, ip->ino);

	ip->hash_next = *slot;
	*slot = ip;
}

void inode_unhash(struct fsys *fs, struct fsys_node *ip)
{
	struct fsys_node **at = hash_slot(fs, ip->ino);

	while (*at != ip)
		at = &(*at)->hash_next;
	*at = ip->hash_next;
	ip->hash_next = NULL;
}

bool inode_needs_reap(const struct fsys_node *ip)
{
	return !ip->damaged && ip->mode &&
	       (ip->trim || (!ip->link_count && !ip->holds));
}

static bool is_recyclable(const struct fsys_node *ip)
{
	return !ip->ino ||
	       (!ip->holds && !ip->mounted_on && !inode_needs_reap(ip) &&
		ip->use_serial != cache_use_serial);
}

/* An unused slot for an inode, cleared and hashed. */
static int take_slot(struct fsys *fs, uint32_t ino, struct fsys_node **out)
{
	uint32_t i, at = fs->inode_cursor;

	for (i = 0; i < fs->setup.inode_slots; i++) {
		struct fsys_node *ip = &fs->setup.inodes[at];

		at = (at + 1) % fs->setup.inode_slots;
		if (!is_recyclable(ip))
			continue;
		fs->inode_cursor = at; /* not at each step: stores are logged */
		if (ip->ino)
			inode_unhash(fs, ip);
		memset(ip, 0, sizeof(*ip));
		ip->ino = ino;
		ip->dir_version = ++fs->last_dir_version;
		ip->use_serial = cache_use_serial;
		hash_add(fs, ip);
		*out = ip;
		return 0;
	}
	return fs->reap_count && !fs->reap_idle ? -X_EAGAIN : -X_ENFILE;
}

int inode_slot(struct fsys *fs, uint32_t ino, struct cache_buf **buf, void **slot)
{
	uint32_t per_block = fs->block_size / fs->inode_bytes;
	int status;

	if (ino == 0 || ino > fs->inode_count)
		return fsys_damaged(fs, "an inode number is out of range");
	status = cache_get(&fs->cache, fs->inode_table_block + (ino - 1) / per_block, buf);
	if (!status)
		*slot = (*buf)->frame + (ino - 1) % per_block * fs->inode_bytes;
	return status;
}

static void decode_old(struct fsys_node *ip, const struct minix_old_inode_disk *disk)
{
	uint32_t i;

	ip->mode = disk->mode;
	ip->link_count = disk->link_count;
	ip->uid = disk->uid;
	ip->gid = disk->gid;
	ip->size_bytes = disk->size_bytes;
	ip->atime_ns = ip->mtime_ns = ip->ctime_ns = disk->mtime_sec * FSYS_SEC;
	for (i = 0; i < MINIX_OLD_ZONES; i++)
		ip->zone[i] = disk->zone[i];
}

static void decode(const struct fsys *fs, struct fsys_node *ip, const void *slot)
{
	const struct minix_inode_disk *disk = slot;

	if (fs->version == 1) {
		decode_old(ip, slot);
		return;
	}
	ip->mode = disk->mode;
	ip->link_count = disk->link_count;
	ip->uid = disk->uid;
	ip->gid = disk->gid;
	ip->size_bytes = disk->size_bytes;
	ip->atime_ns = disk->atime_sec * FSYS_SEC;
	ip->mtime_ns = disk->mtime_sec * FSYS_SEC;
	ip->ctime_ns = disk->ctime_sec * FSYS_SEC;
	memcpy(ip->zone, disk->zone, sizeof(ip->zone));
}

static void encode_old(const struct fsys_node *ip, struct minix_old_inode_disk *out)
{
	uint32_t i;

	out->mode = ip->mode;
	out->link_count = ip->link_count;
	out->uid = ip->uid;
	out->gid = ip->gid;
	out->size_bytes = ip->size_bytes;
	out->mtime_sec = ip->mtime_ns / FSYS_SEC;
	for (i = 0; i < MINIX_OLD_ZONES; i++)
		out->zone[i] = ip->zone[i];
}

void inode_encode(const struct fsys *fs, const struct fsys_node *ip, void *slot)
{
	struct minix_inode_disk *out = slot;

	if (fs->version == 1) {
		encode_old(ip, slot);
		return;
	}
	out->mode = ip->mode;
	out->link_count = ip->link_count;
	out->uid = ip->uid;
	out->gid = ip->gid;
	out->size_bytes = ip->size_bytes;
	out->atime_sec = ip->atime_ns / FSYS_SEC;
	out->mtime_sec = ip->mtime_ns / FSYS_SEC;
	out->ctime_sec = ip->ctime_ns / FSYS_SEC;
	memcpy(out->zone, ip->zone, sizeof(out->zone));
}

bool inode_slot_is_unlinked(const struct fsys *fs, const void *slot)
{
	struct fsys_node node;

	decode(fs, &node, slot);
	return node.mode && !node.link_count;
}

/* Not counted as damage, for not all come by a name: what was still on its way to or from
 * the bytes of a file that has gone meets its inode like this, too. */
static int unused(struct fsys *fs, const char *reason)
{
	fs->reason = reason;
	return -X_EUCLEAN;
}

static int validate(struct fsys *fs, const struct fsys_node *node)
{
	switch (node->mode & FSYS_S_IFMT) {
	case FSYS_S_IFDIR:
		if (node->size_bytes % fs->dirent_bytes)
			return fsys_damaged(fs, "a directory has an odd size");
		if (node->size_bytes / fs->block_size > fs->zone_count)
			return fsys_damaged(fs, "a directory is larger than its disk");
		break;
	case FSYS_S_IFLNK:
		if (!node->size_bytes || node->size_bytes > fs->block_size)
			return fsys_damaged(fs, "a symbolic link has a wrong size");
		break;
	case FSYS_S_IFREG:
		break;
	case FSYS_S_IFCHR:
	case FSYS_S_IFBLK:
	case FSYS_S_IFIFO:
	case FSYS_S_IFSOCK:
		return 0;
	case 0:
		return unused(fs, "a name leads to an unused inode");
	default:
		return fsys_damaged(fs, "an inode has no known type");
	}
	if (node->size_bytes > fs->max_size_bytes)
		return fsys_damaged(fs, "an inode has too large a size");
	return 0;
}

static int load(struct fsys *fs, uint32_t ino, bool unlinked_too,
		struct fsys_node **out)
{
	struct fsys_node node = { 0 };
	struct cache_buf *buf;
	void *slot;
	int status = inode_slot(fs, ino, &buf, &slot);

	if (status)
		return status;
	decode(fs, &node, slot);
	status = validate(fs, &node);
	if (status)
		return status;
	if (!node.link_count && !unlinked_too)
		return unused(fs, "a name leads to an unlinked inode");
	status = take_slot(fs, ino, out);
	if (status)
		return status;
	decode(fs, *out, slot);
	fs->reap_count += inode_needs_reap(*out);
	return 0;
}

int inode_get(struct fsys *fs, uint32_t ino, struct fsys_node **out)
{
	struct fsys_node *ip = inode_find(fs, ino);

	if (!ip)
		return load(fs, ino, false, out);
	if (!ip->mode || (!ip->link_count && !ip->holds))
		return unused(fs, "a name leads to an unlinked inode");
	if (ip->use_serial != cache_use_serial) /* stores are logged */
		ip->use_serial = cache_use_serial;
	*out = ip;
	return 0;
}

int inode_get_dir(struct fsys *fs, uint32_t ino, struct fsys_node **out)
{
	int status = inode_get(fs, ino, out);

	if (status)
		return status;
	return FSYS_ISDIR((*out)->mode) ? 0 : -X_ENOTDIR;
}

int inode_alloc(struct fsys *fs, uint32_t near_ino, struct fsys_node **out)
{
	void *slot;
	struct cache_buf *buf;
	uint32_t ino;
	int status = bitmap_alloc_inode(fs, near_ino, &ino);

	if (status)
		return status;
	if (inode_find(fs, ino))
		return fsys_damaged(fs, "an inode in use is marked free");
	status = inode_slot(fs, ino, &buf, &slot);
	if (!status)
		status = take_slot(fs, ino, out);
	if (status)
		return status;
	status = op_note_loaded(*out);
	if (status) {
		inode_unhash(fs, *out);
		(*out)->ino = 0;
		return status;
	}
	return op_modify_inode(fs, *out);
}

int inode_peek_type(struct fsys *fs, uint32_t ino, uint16_t *mode)
{
	const struct fsys_node *ip = inode_find(fs, ino);
	void *slot;
	struct cache_buf *buf;
	int status = 0;

	if (ip) {
		*mode = ip->mode & FSYS_S_IFMT;
		return 0;
	}
	status = inode_slot(fs, ino, &buf, &slot);
	if (!status)
		*mode = *(const uint16_t *)slot & FSYS_S_IFMT; /* first in every version */
	return status;
}

/* ---- holding ----------------------------------------------------------- */

int fsys_hold(struct fsys *fs, uint32_t ino)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status)
		ip->holds++;
	return op_end(fs, status);
}

void fsys_forget_mounts(struct fsys *fs)
{
	uint32_t i;

	for (i = 0; i < fs->setup.inode_slots; i++)
		fs->setup.inodes[i].mounted_on = false;
}

bool fsys_release(struct fsys *fs, uint32_t ino, uint32_t count)
{
	struct fsys_node *ip = inode_find(fs, ino);

	if (!ip || ip->holds < count)
		return false;
	fs->reap_count -= inode_needs_reap(ip);
	ip->holds -= count;
	fs->reap_count += inode_needs_reap(ip);
	fs->reap_idle = false;
	return true;
}

uint32_t fsys_slot(const struct fsys *fs, uint32_t ino)
{
	const struct fsys_node *ip = ino ? inode_find(fs, ino) : NULL;

	return ip ? (uint32_t)(ip - fs->setup.inodes) : UINT32_MAX;
}

uint32_t fsys_slot_count(const struct fsys *fs)
{
	return fs->setup.inode_slots;
}

int fsys_mark_mount(struct fsys *fs, uint32_t ino, bool mounted_on)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status && mounted_on && ip->mounted_on)
		status = -X_EBUSY;
	if (!status)
		ip->mounted_on = mounted_on;
	return op_end(fs, status);
}

/* ---- freeing -------------------------------------------------------------- */

/* Freed now? One that somebody maps is left alone until it is asked for again. */
static bool may_reap(const struct fsys *fs, const struct fsys_node *ip)
{
	return inode_needs_reap(ip) &&
	       (ip->link_count || ip->holds || !fs->setup.keep_unlinked ||
		!fs->setup.keep_unlinked(ip->ino));
}

/* The search goes on where it found one: there may be many. */
static struct fsys_node *find_reapable(struct fsys *fs)
{
	uint32_t i, at = fs->reap_cursor;

	for (i = 0; i < fs->setup.inode_slots; i++) {
		struct fsys_node *ip = &fs->setup.inodes[at];

		if (ip->ino && may_reap(fs, ip)) {
			fs->reap_cursor = at;
			return ip;
		}
		at = (at + 1) % fs->setup.inode_slots;
	}
	return NULL;
}

static int reap_step(struct fsys *fs, struct fsys_node *ip)
{
	int status = op_modify_inode(fs, ip);

	if (status)
		return status;
	ip->use_serial = cache_use_serial;
	if (!ip->link_count && !ip->holds && !FSYS_ISDEV(ip->mode)) {
		ip->size_bytes = 0;
		ip->trim = true;
	}
	if (ip->trim) {
		status = map_trim(fs, ip);
		if (status == -X_EAGAIN)
			return 0;
		if (status)
			return status;
		ip->trim = false;
	}
	if (ip->link_count || ip->holds)
		return 0;
	ip->mode = 0;
	ip->size_bytes = 0;
	memset(ip->zone, 0, sizeof(ip->zone));
	return bitmap_free_inode(fs, ip->ino);
}

int fsys_reap(struct fsys *fs)
{
	struct fsys_node *ip;
	int status;

	if (!fs->reap_count || fs->reap_idle)
		return 0;
	ip = find_reapable(fs);
	fs->reap_idle = !ip;
	if (fs->limits.read_only)
		fs->reap_count = 0;
	if (!ip || fs->limits.read_only)
		return 0;
	op_begin(fs);
	status = op_end(fs, reap_step(fs, ip));
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return status;
	if (status < 0) {
		/* Can't be freed. Leave it to a check of the disk. */
		fs->reap_count -= inode_needs_reap(ip);
		ip->damaged = true;
		fs->damage_count++;
	} else if (!ip->mode) {
		inode_unhash(fs, ip);
		memset(ip, 0, sizeof(*ip));
	}
	return fs->reap_count ? -X_EAGAIN : 0;
}

int inode_load_unlinked(struct fsys *fs, uint32_t ino)
{
	struct fsys_node *ip;

	if (inode_find(fs, ino))
		return 0;
	return load(fs, ino, true, &ip);
}

/* ---- extended attributes: the format has no place for them --------------------------- */

int xattrs_load(struct fsys *fs, const struct fsys_node *ip, uint8_t *list, uint32_t *bytes)
{
	(void)fs, (void)ip, (void)list, (void)bytes;
	return -X_EOPNOTSUPP;
}

int xattrs_store(struct fsys *fs, struct fsys_node *ip, const uint8_t *list, uint32_t bytes)
{
	(void)fs, (void)ip, (void)list, (void)bytes;
	return -X_EOPNOTSUPP;
}
