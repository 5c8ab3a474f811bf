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

static struct minix_inode **hash_slot(struct minix_fs *fs, uint32_t ino)
{
	return &fs->inode_hash[ino % MINIX_INODE_HASH];
}

struct minix_inode *inode_find(const struct minix_fs *fs, uint32_t ino)
{
	struct minix_inode *ip = fs->inode_hash[ino % MINIX_INODE_HASH];

	while (ip && ip->ino != ino)
		ip = ip->hash_next;
	return ip;
}

static void hash_add(struct minix_fs *fs, struct minix_inode *ip)
{
	struct minix_inode **slot = hash_slot(fs, ip->ino);

	ip->hash_next = *slot;
	*slot = ip;
}

void inode_unhash(struct minix_fs *fs, struct minix_inode *ip)
{
	struct minix_inode **at = hash_slot(fs, ip->ino);

	while (*at != ip)
		at = &(*at)->hash_next;
	*at = ip->hash_next;
	ip->hash_next = NULL;
}

bool inode_needs_reap(const struct minix_inode *ip)
{
	return !ip->damaged && ip->mode &&
	       (ip->trim || (!ip->link_count && !ip->holds));
}

static bool is_recyclable(const struct minix_fs *fs, const struct minix_inode *ip)
{
	return !ip->ino ||
	       (!ip->holds && !ip->mounted_on && !inode_needs_reap(ip) &&
		ip->use_serial != fs->cache.use_serial);
}

/* An unused slot for an inode, cleared and hashed. */
static int take_slot(struct minix_fs *fs, uint32_t ino, struct minix_inode **out)
{
	uint32_t i;

	for (i = 0; i < fs->setup.inode_slots; i++) {
		struct minix_inode *ip = &fs->setup.inodes[fs->inode_cursor];

		fs->inode_cursor = (fs->inode_cursor + 1) % fs->setup.inode_slots;
		if (!is_recyclable(fs, ip))
			continue;
		if (ip->ino)
			inode_unhash(fs, ip);
		memset(ip, 0, sizeof(*ip));
		ip->ino = ino;
		ip->dir_version = ++fs->last_dir_version;
		ip->use_serial = fs->cache.use_serial;
		hash_add(fs, ip);
		*out = ip;
		return 0;
	}
	return fs->reap_count ? -X_EAGAIN : -X_ENFILE;
}

int inode_slot(struct minix_fs *fs, uint32_t ino, struct cache_buf **buf,
	       struct minix_inode_disk **slot)
{
	uint32_t per_block = fs->block_size / sizeof(**slot);
	struct minix_inode_disk *table;
	int status;

	if (ino == 0 || ino > fs->inode_count)
		return minix_damaged(fs, "an inode number is out of range");
	status = cache_get(&fs->cache,
			   fs->inode_table_block + (ino - 1) / per_block,
			   CACHE_META, buf);
	if (status)
		return status;
	table = (void *)(*buf)->frame;
	*slot = &table[(ino - 1) % per_block];
	return 0;
}

static void decode(struct minix_inode *ip, const struct minix_inode_disk *disk)
{
	ip->mode = disk->mode;
	ip->link_count = disk->link_count;
	ip->uid = disk->uid;
	ip->gid = disk->gid;
	ip->size_bytes = disk->size_bytes;
	ip->atime_sec = disk->atime_sec;
	ip->mtime_sec = disk->mtime_sec;
	ip->ctime_sec = disk->ctime_sec;
	memcpy(ip->zone, disk->zone, sizeof(ip->zone));
}

void inode_encode(const struct minix_inode *ip, struct minix_inode_disk *out)
{
	out->mode = ip->mode;
	out->link_count = ip->link_count;
	out->uid = ip->uid;
	out->gid = ip->gid;
	out->size_bytes = ip->size_bytes;
	out->atime_sec = ip->atime_sec;
	out->mtime_sec = ip->mtime_sec;
	out->ctime_sec = ip->ctime_sec;
	memcpy(out->zone, ip->zone, sizeof(out->zone));
}

static int validate(struct minix_fs *fs, const struct minix_inode_disk *disk)
{
	switch (disk->mode & MINIX_S_IFMT) {
	case MINIX_S_IFDIR:
		if (disk->size_bytes % sizeof(struct minix_dirent_disk))
			return minix_damaged(fs, "a directory has an odd size");
		break;
	case MINIX_S_IFLNK:
		if (!disk->size_bytes || disk->size_bytes > fs->block_size)
			return minix_damaged(fs, "a symbolic link has a wrong size");
		break;
	case MINIX_S_IFREG:
		break;
	case MINIX_S_IFCHR:
	case MINIX_S_IFBLK:
	case MINIX_S_IFIFO:
	case MINIX_S_IFSOCK:
		return 0;
	case 0:
		return minix_damaged(fs, "a name leads to an unused inode");
	default:
		return minix_damaged(fs, "an inode has no known type");
	}
	if (disk->size_bytes > fs->max_size_bytes)
		return minix_damaged(fs, "an inode has too large a size");
	return 0;
}

static int load(struct minix_fs *fs, uint32_t ino, bool unlinked_too,
		struct minix_inode **out)
{
	struct minix_inode_disk *slot;
	struct cache_buf *buf;
	int status = inode_slot(fs, ino, &buf, &slot);

	if (!status)
		status = validate(fs, slot);
	if (status)
		return status;
	if (!slot->link_count && !unlinked_too)
		return minix_damaged(fs, "a name leads to an unlinked inode");
	status = take_slot(fs, ino, out);
	if (status)
		return status;
	decode(*out, slot);
	fs->reap_count += inode_needs_reap(*out);
	return 0;
}

int inode_get(struct minix_fs *fs, uint32_t ino, struct minix_inode **out)
{
	struct minix_inode *ip = inode_find(fs, ino);

	if (!ip)
		return load(fs, ino, false, out);
	if (!ip->mode || (!ip->link_count && !ip->holds))
		return minix_damaged(fs, "a name leads to an unlinked inode");
	ip->use_serial = fs->cache.use_serial;
	*out = ip;
	return 0;
}

int inode_get_dir(struct minix_fs *fs, uint32_t ino, struct minix_inode **out)
{
	int status = inode_get(fs, ino, out);

	if (status)
		return status;
	return MINIX_ISDIR((*out)->mode) ? 0 : -X_ENOTDIR;
}

int inode_alloc(struct minix_fs *fs, uint32_t near_ino, struct minix_inode **out)
{
	struct minix_inode_disk *slot;
	struct cache_buf *buf;
	uint32_t ino;
	int status = bitmap_alloc_inode(fs, near_ino, &ino);

	if (status)
		return status;
	if (inode_find(fs, ino))
		return minix_damaged(fs, "an inode in use is marked free");
	status = inode_slot(fs, ino, &buf, &slot);
	if (!status)
		status = take_slot(fs, ino, out);
	if (status)
		return status;
	status = op_note_loaded(fs, *out);
	if (status) {
		inode_unhash(fs, *out);
		(*out)->ino = 0;
		return status;
	}
	return op_modify_inode(fs, *out);
}

int inode_peek_type(struct minix_fs *fs, uint32_t ino, uint16_t *mode)
{
	const struct minix_inode *ip = inode_find(fs, ino);
	struct minix_inode_disk *slot;
	struct cache_buf *buf;
	int status = 0;

	if (ip) {
		*mode = ip->mode & MINIX_S_IFMT;
		return 0;
	}
	status = inode_slot(fs, ino, &buf, &slot);
	if (!status)
		*mode = slot->mode & MINIX_S_IFMT;
	return status;
}

/* ---- holding ----------------------------------------------------------- */

int minix_hold(struct minix_fs *fs, uint32_t ino)
{
	struct minix_inode *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status)
		ip->holds++;
	return op_end(fs, status);
}

bool minix_release(struct minix_fs *fs, uint32_t ino, uint32_t count)
{
	struct minix_inode *ip = inode_find(fs, ino);

	if (!ip || ip->holds < count)
		return false;
	fs->reap_count -= inode_needs_reap(ip);
	ip->holds -= count;
	fs->reap_count += inode_needs_reap(ip);
	return true;
}

uint32_t minix_slot(const struct minix_fs *fs, uint32_t ino)
{
	const struct minix_inode *ip = ino ? inode_find(fs, ino) : NULL;

	return ip ? (uint32_t)(ip - fs->setup.inodes) : UINT32_MAX;
}

int minix_mark_mount(struct minix_fs *fs, uint32_t ino, bool mounted_on)
{
	struct minix_inode *ip;
	int status;

	op_begin(fs);
	status = inode_get_dir(fs, ino, &ip);
	if (!status && mounted_on && ip->mounted_on)
		status = -X_EBUSY;
	if (!status)
		ip->mounted_on = mounted_on;
	return op_end(fs, status);
}

/* ---- device numbers ------------------------------------------------------ */

/* As Linux encodes them, so that small ones look as they always did. */
int minix_dev_encode(uint32_t major, uint32_t minor, uint32_t *encoded)
{
	if (major > 0xfff || minor > 0xfffff)
		return -X_EINVAL;
	*encoded = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
	return 0;
}

void minix_dev_decode(uint32_t encoded, uint32_t *major, uint32_t *minor)
{
	*major = encoded >> 8 & 0xfff;
	*minor = (encoded & 0xff) | (encoded >> 12 & 0xfff00);
}

/* ---- freeing -------------------------------------------------------------- */

static struct minix_inode *find_reapable(struct minix_fs *fs)
{
	uint32_t i;

	for (i = 0; i < fs->setup.inode_slots; i++) {
		struct minix_inode *ip = &fs->setup.inodes[i];

		if (ip->ino && inode_needs_reap(ip))
			return ip;
	}
	return NULL;
}

static int reap_step(struct minix_fs *fs, struct minix_inode *ip)
{
	int status = op_modify_inode(fs, ip);

	if (status)
		return status;
	ip->use_serial = fs->cache.use_serial;
	if (!ip->link_count && !ip->holds && !MINIX_ISDEV(ip->mode)) {
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

int minix_reap(struct minix_fs *fs)
{
	struct minix_inode *ip;
	int status;

	if (!fs->reap_count)
		return 0;
	ip = find_reapable(fs);
	if (!ip || fs->read_only) {
		fs->reap_count = 0;
		return 0;
	}
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

int inode_load_unlinked(struct minix_fs *fs, uint32_t ino)
{
	struct minix_inode *ip;

	if (inode_find(fs, ino))
		return 0;
	return load(fs, ino, true, &ip);
}
