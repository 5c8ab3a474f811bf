/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes, and the transaction: a list of what the operation under way changed,
 * undone from the newest to the oldest if it fails. Numbers of inodes are their
 * places in the table.
 */

#include "fs/tmpfs/tmpfs.h"
#include "lib/region/region.h"

/* ---- the transaction ---------------------------------------------------------- */

/* Ends in the iteration in which it began: nothing for a rollback, so not logged. */
static REGION_SCRATCH uint64_t serial;
static REGION_SCRATCH uint32_t undo_count;
static REGION_SCRATCH struct tmpfs_undo undo_log[TMPFS_UNDO_MAX];

void op_begin(struct fsys *fs)
{
	(void)fs;
	undo_count = 0;
	serial++;
}

void op_forget(struct fsys *fs)
{
	(void)fs;               /* all is in memory anyway */
}

int undo_note(enum tmpfs_undo_kind kind, struct tmpfs_undo **out)
{
	if (undo_count == TMPFS_UNDO_MAX)
		return -X_ENOMEM;
	*out = &undo_log[undo_count++];
	(*out)->kind = kind;
	return 0;
}

int op_modify_inode(struct fsys *fs, struct fsys_node *ip)
{
	struct tmpfs_undo *undo;
	int status;

	(void)fs;
	if (ip->undo_serial == serial)
		return 0;
	status = undo_note(TMPFS_UNDO_NODE, &undo);
	if (status)
		return status;
	undo->node = ip;
	undo->saved = *ip;
	ip->undo_serial = serial;
	return 0;
}

static bool needs_reap(const struct fsys_node *ip)
{
	return ip->ino && ip->mode && !ip->link_count && !ip->holds;
}

static void free_node(struct fsys *fs, struct fsys_node *ip)
{
	uint32_t ino = ip->ino;

	memset(ip, 0, sizeof(*ip));
	fs->extras[ino - 1].next_free = fs->first_free;
	fs->first_free = ino;
	fs->nodes_used--;
}

static void undo_one(struct fsys *fs, struct tmpfs_undo *undo)
{
	switch (undo->kind) {
	case TMPFS_UNDO_NODE:
		*undo->node = undo->saved;
		break;
	case TMPFS_UNDO_MADE:
		heap_free(extra_of(fs, undo->node)->text, extra_of(fs, undo->node)->text ? undo->node->size_bytes : 0);
		free_node(fs, undo->node);
		break;
	default:
		dir_undo(fs, undo);
	}
}

static void commit_one(struct fsys *fs, const struct tmpfs_undo *undo)
{
	if (undo->kind == TMPFS_UNDO_REMOVED)
		dir_commit(fs, undo);
	if (undo->kind != TMPFS_UNDO_NODE)
		return;
	fs->reap_count += needs_reap(undo->node) && !needs_reap(&undo->saved);
	fs->reap_idle &= !needs_reap(undo->node);
}

int64_t op_end(struct fsys *fs, int64_t status)
{
	uint32_t i;

	if (status < 0)
		while (undo_count)
			undo_one(fs, &undo_log[--undo_count]);
	for (i = 0; i < undo_count; i++)
		commit_one(fs, &undo_log[i]);
	undo_count = 0;
	return status;
}

int fsys_damaged(struct fsys *fs, const char *reason)
{
	(void)fs;
	(void)reason;
	return -X_EUCLEAN;
}

/* ---- inodes --------------------------------------------------------------------- */

int inode_get(struct fsys *fs, uint32_t ino, struct fsys_node **out)
{
	if (!ino || ino > fs->node_count || !fs->nodes[ino - 1].ino)
		return -X_ENOENT;
	*out = &fs->nodes[ino - 1];
	return (*out)->link_count || (*out)->holds ? 0 : -X_ENOENT;
}

int inode_get_dir(struct fsys *fs, uint32_t ino, struct fsys_node **out)
{
	int status = inode_get(fs, ino, out);

	return status ? status : FSYS_ISDIR((*out)->mode) ? 0 : -X_ENOTDIR;
}

int inode_alloc(struct fsys *fs, uint32_t near_ino, struct fsys_node **out)
{
	bool fresh = !fs->first_free && fs->nodes_made < fs->node_count;
	uint32_t ino = fs->nodes_used >= fs->node_max ? 0 : fresh ? fs->nodes_made + 1 : fs->first_free;
	struct tmpfs_undo *undo;
	int status;

	(void)near_ino;
	if (!ino)
		return fs->reap_count && !fs->reap_idle ? -X_EAGAIN : -X_ENOSPC;
	status = undo_note(TMPFS_UNDO_MADE, &undo);
	if (status)
		return status;
	if (fresh)
		fs->nodes_made++;
	else
		fs->first_free = fs->extras[ino - 1].next_free;
	fs->nodes_used++;
	*out = undo->node = &fs->nodes[ino - 1];
	memset(*out, 0, sizeof(**out));
	memset(&fs->extras[ino - 1], 0, sizeof(fs->extras[0]));
	(*out)->ino = ino;
	(*out)->undo_serial = serial;
	return 0;
}

uint32_t fsys_slot(const struct fsys *fs, uint32_t ino)
{
	return ino && ino <= fs->node_count && fs->nodes[ino - 1].ino ? ino - 1 : UINT32_MAX;
}

uint32_t fsys_slot_count(const struct fsys *fs)
{
	return fs->node_count;
}

int fsys_hold(struct fsys *fs, uint32_t ino)
{
	struct fsys_node *ip;
	int status = inode_get(fs, ino, &ip);

	if (!status)
		ip->holds++;
	return status;
}

bool fsys_release(struct fsys *fs, uint32_t ino, uint32_t count)
{
	struct fsys_node *ip;

	if (fsys_slot(fs, ino) == UINT32_MAX || fs->nodes[ino - 1].holds < count)
		return false;
	ip = &fs->nodes[ino - 1];
	ip->holds -= count;
	fs->reap_count += count && needs_reap(ip);
	fs->reap_idle &= !needs_reap(ip);
	return true;
}

int fsys_mark_mount(struct fsys *fs, uint32_t ino, bool mounted_on)
{
	struct fsys_node *ip;
	int status = inode_get(fs, ino, &ip);

	if (!status && mounted_on && ip->mounted_on)
		status = -X_EBUSY;
	if (!status)
		ip->mounted_on = mounted_on;
	return status;
}

void fsys_forget_mounts(struct fsys *fs)
{
	uint32_t i;

	for (i = 0; i < fs->nodes_made; i++)
		if (fs->nodes[i].mounted_on)
			fs->nodes[i].mounted_on = false;
}

/* ---- freeing ---------------------------------------------------------------------- */

static void free_all_of(struct fsys *fs, struct fsys_node *ip)
{
	struct tmpfs_extra *extra = extra_of(fs, ip);

	if (FSYS_ISDIR(ip->mode))
		dir_free(fs, ip);
	else if (FSYS_ISLNK(ip->mode))
		heap_free(extra->text, ip->size_bytes);
	else if (FSYS_ISREG(ip->mode))
		pages_trim(fs, ip, 0);
	if (extra->xattrs)
		heap_free(extra->xattrs, extra->xattr_bytes);
	free_node(fs, ip);
}

int fsys_reap(struct fsys *fs)
{
	uint32_t seen, at = fs->reap_cursor;

	for (seen = 0; seen < fs->nodes_made && fs->reap_count && !fs->reap_idle; seen++) {
		struct fsys_node *ip = &fs->nodes[at];

		at = (at + 1) % fs->nodes_made;
		if (!needs_reap(ip) || (fs->keep_unlinked && fs->keep_unlinked(ip->ino)))
			continue;
		fs->reap_cursor = at;   /* not at each step: stores are logged */
		free_all_of(fs, ip);
		return --fs->reap_count ? -X_EAGAIN : 0;
	}
	fs->reap_idle = true;
	return 0;
}

/* ---- symbolic links ----------------------------------------------------------------- */

int link_read(struct fsys *fs, struct fsys_node *ip, char *out, uint32_t capacity)
{
	uint32_t length = ip->size_bytes < capacity ? ip->size_bytes : capacity;

	if (!FSYS_ISLNK(ip->mode))
		return -X_EINVAL;
	memcpy(out, heap_at(extra_of(fs, ip)->text), length);
	return length;
}

int link_write(struct fsys *fs, struct fsys_node *ip, const char *target,
	       uint32_t target_bytes)
{
	uint32_t text = heap_alloc(target_bytes);

	if (!text)
		return -X_ENOSPC;
	memcpy(heap_at(text), target, target_bytes);
	extra_of(fs, ip)->text = text;
	ip->size_bytes = target_bytes;
	return 0;
}

/* ---- extended attributes ------------------------------------------------------------- */

int xattrs_load(struct fsys *fs, const struct fsys_node *ip, uint8_t *list, uint32_t *bytes)
{
	const struct tmpfs_extra *extra = extra_of(fs, ip);

	*bytes = extra->xattrs ? extra->xattr_bytes : 0;
	if (*bytes)
		memcpy(list, heap_at(extra->xattrs), *bytes);
	return 0;
}

int xattrs_store(struct fsys *fs, struct fsys_node *ip, const uint8_t *list, uint32_t bytes)
{
	struct tmpfs_extra *extra = extra_of(fs, ip);
	uint32_t piece = bytes ? heap_alloc(bytes) : 0;

	if (bytes && !piece)
		return -X_ENOSPC;
	if (extra->xattrs)
		heap_free(extra->xattrs, extra->xattr_bytes);
	extra->xattrs = piece;
	extra->xattr_bytes = bytes;
	if (bytes)
		memcpy(heap_at(piece), list, bytes);
	return 0;
}

/* ---- what it can ----------------------------------------------------------------------- */

const struct fsys_limits *fsys_limits(const struct fsys *fs)
{
	return &fs->limits;
}

void fsys_usage(const struct fsys *fs, const struct fsys_node *ip,
		uint64_t *blocks_512, uint32_t *block_size)
{
	*block_size = TMPFS_PAGE;
	*blocks_512 = FSYS_ISREG(ip->mode) ? pages_count((struct fsys *)fs, ip) * (TMPFS_PAGE / 512) : 0;
}

void fsys_statfs(const struct fsys *fs, struct fsys_statfs *out)
{
	*out = (struct fsys_statfs){
		.type = 0x01021994,     /* as Linux has it */
		.block_size = TMPFS_PAGE, .name_max = fs->limits.name_max,
		.blocks = fs->pages_max, .blocks_free = fs->pages_max - fs->pages_used,
		.inodes = fs->node_count, .inodes_free = fs->node_count - fs->nodes_used,
		.read_only = fs->limits.read_only,
	};
}

void tmpfs_init(struct fsys *fs, uint64_t time_ns)
{
	struct fsys_node *root;

	op_begin(fs);
	if (inode_alloc(fs, 0, &root))
		return;
	root->mode = FSYS_S_IFDIR | 01777;
	root->link_count = 2;
	root->atime_ns = root->mtime_ns = root->ctime_ns = time_ns;
	dir_make(fs, root, FSYS_ROOT_INO);
	op_end(fs, 0);
}
