/* SPDX-License-Identifier: BSD-2-Clause */
/* Renaming, over everything that may be renamed over, in one transaction. */

#include "lib/fs/backend.h"

/* One of the two names: its directory, and what it names (NULL: nothing). */
struct side {
	struct fsys_node *dir;
	struct fsys_name name;
	struct fsys_node *ip;
	uint32_t slot_bytes;
};

static int find_side(struct fsys *fs, const struct fsys_caller *who,
		     struct side *side)
{
	uint32_t ino;
	int status = access_check(side->dir, who, FSYS_X);

	if (!status)
		status = dir_lookup(fs, side->dir, side->name, &ino,
				    &side->slot_bytes);
	return status ? status : inode_get(fs, ino, &side->ip);
}

/*
 * Is ANCESTOR the directory INO, or above it? Lets go of all that was met
 * (op_forget), since a tree may be deeper than the cache is large.
 */
static int is_above(struct fsys *fs, uint32_t ancestor, uint32_t ino,
		    bool *above)
{
	uint32_t steps;

	*above = false;
	for (steps = 0; steps <= fsys_limits(fs)->inode_max; steps++) {
		struct fsys_node *dir;
		int status;

		if (ino == ancestor) {
			*above = true;
			return 0;
		}
		if (ino == FSYS_ROOT_INO)
			return 0;
		op_forget(fs);
		status = inode_get_dir(fs, ino, &dir);
		if (!status)
			status = dir_parent(fs, dir, &ino);
		if (status)
			return status;
	}
	return fsys_damaged(fs, "directories form a circle");
}

/* Both names, of which the new one need not be there but to be exchanged. */
static int find_both(struct fsys *fs, const struct fsys_caller *who,
		     struct side *from, struct side *to, uint32_t flags)
{
	int status = find_side(fs, who, from);

	if (status)
		return status;
	status = find_side(fs, who, to);
	if (status == -X_ENOENT && !(flags & FSYS_RENAME_EXCHANGE)) {
		to->ip = NULL;
		return 0;
	}
	return status;
}

/* What follows from what the names are, and the slashes behind them. */
static int check_names(const struct side *from, const struct side *to, uint32_t flags)
{
	bool exchange = flags & FSYS_RENAME_EXCHANGE;

	if (flags & FSYS_RENAME_NOREPLACE && to->ip)
		return -X_EEXIST;
	if (exchange && to->name.must_be_dir && !FSYS_ISDIR(to->ip->mode))
		return -X_ENOTDIR;
	if (!FSYS_ISDIR(from->ip->mode) &&
	    (from->name.must_be_dir || (to->name.must_be_dir && !exchange)))
		return -X_ENOTDIR;
	return 0;
}

/* No directory may come to lie in itself. Both names are found, and so again afterwards. */
static int check_loop(struct fsys *fs, const struct fsys_caller *who,
		      struct side *from, struct side *to, uint32_t flags)
{
	uint32_t from_dir_ino = from->dir->ino, to_dir_ino = to->dir->ino, ino = from->ip->ino;
	uint32_t target_dir_ino = to->ip && FSYS_ISDIR(to->ip->mode) ? to->ip->ino : 0;
	bool above = false;
	int status = 0;

	if (from_dir_ino == to_dir_ino)
		return 0;
	if (FSYS_ISDIR(from->ip->mode))
		status = is_above(fs, ino, to_dir_ino, &above);
	if (!status && above)
		return -X_EINVAL;
	if (!status && target_dir_ino)
		status = is_above(fs, target_dir_ino, from_dir_ino, &above);
	if (!status && above)
		return flags & FSYS_RENAME_EXCHANGE ? -X_EINVAL : -X_ENOTEMPTY;
	/* is_above() may have let them go. */
	if (!status)
		status = inode_get_dir(fs, from_dir_ino, &from->dir);
	if (!status)
		status = inode_get_dir(fs, to_dir_ino, &to->dir);
	return status ? status : find_both(fs, who, from, to, flags);
}

/* Both names looked up; 0, or what forbids the renaming. Linux's order. */
static int check_rename(struct fsys *fs, const struct fsys_caller *who,
			const struct side *from, const struct side *to)
{
	bool is_dir = FSYS_ISDIR(from->ip->mode);
	int status;

	status = access_may_delete(from->dir, from->ip, who, is_dir);
	if (status)
		return status;
	status = to->ip ? access_may_delete(to->dir, to->ip, who, is_dir)
			: access_may_create(to->dir, who);
	if (status)
		return status;
	if (!is_dir || from->dir == to->dir)
		return 0;
	status = access_check(from->ip, who, FSYS_W); /* its ".." will change */
	if (!status && !to->ip && to->dir->link_count >= fsys_limits(fs)->link_max)
		return -X_EMLINK;
	return status;
}

static int remove_target(struct fsys *fs, const struct side *to,
			 uint32_t ino, uint64_t time_ns)
{
	struct fsys_node *victim = to->ip;
	bool is_dir = FSYS_ISDIR(victim->mode);
	int status = is_dir ? dir_check_empty(fs, victim) : 0;

	if (!status)
		status = dir_replace(fs, to->dir, to->slot_bytes, ino, time_ns);
	if (!status)
		status = op_modify_inode(fs, victim);
	if (status)
		return status;
	victim->ctime_ns = time_ns;
	if (!is_dir) {
		if (victim->link_count)
			victim->link_count--;
		named_lost(victim, to->dir->ino, to->name);
		return 0;
	}
	victim->link_count = 0;
	named_forget(victim->ino);
	named_lost(victim, to->dir->ino, to->name);
	if (to->dir->link_count)
		to->dir->link_count--;
	return 0;
}

/* A directory that moves takes its ".." and a link of its parent along. */
static int move_dot_dot(struct fsys *fs, const struct side *from,
			const struct side *to)
{
	int status;

	if (!FSYS_ISDIR(from->ip->mode) || from->dir == to->dir)
		return 0;
	status = dir_set_parent(fs, from->ip, to->dir->ino);
	if (status)
		return status;
	if (from->dir->link_count)
		from->dir->link_count--;
	to->dir->link_count++;
	return 0;
}

/* The two change places. */
static int exchange(struct fsys *fs, const struct fsys_caller *who, struct side *from, struct side *to)
{
	struct side *sides[2] = { from, to };
	int status = 0, i;

	for (i = 0; i < 2 && !status; i++) {
		struct side *a = sides[i], *b = sides[!i];
		bool is_dir = FSYS_ISDIR(a->ip->mode);

		status = access_may_delete(a->dir, a->ip, who, is_dir);
		if (status || !is_dir || a->dir == b->dir)
			continue;
		if (!FSYS_ISDIR(b->ip->mode) && b->dir->link_count >= fsys_limits(fs)->link_max)
			return -X_EMLINK;
		status = access_check(a->ip, who, FSYS_W); /* its ".." will change */
	}
	for (i = 0; i < 2 && !status; i++) {
		status = op_modify_inode(fs, sides[i]->ip);
		if (!status)
			status = dir_replace(fs, sides[i]->dir, sides[i]->slot_bytes, sides[!i]->ip->ino, who->time_ns);
	}
	for (i = 0; i < 2 && !status; i++) {
		sides[i]->ip->ctime_ns = who->time_ns;
		named_note(sides[i]->ip, sides[!i]->dir->ino);
		status = move_dot_dot(fs, sides[i], sides[!i]);
	}
	return status;
}

static int rename_within(struct fsys *fs, const struct fsys_caller *who,
			 struct side *from, struct side *to, uint32_t flags)
{
	uint64_t now = who->time_ns;
	int status = find_both(fs, who, from, to, flags);

	if (!status)
		status = check_names(from, to, flags);
	if (!status)
		status = check_loop(fs, who, from, to, flags);
	if (status)
		return status;
	if (to->ip == from->ip)
		return 0;       /* two names of one file: nothing to do */
	if (flags & FSYS_RENAME_EXCHANGE)
		return exchange(fs, who, from, to);
	status = check_rename(fs, who, from, to);
	if (!status)
		status = op_modify_inode(fs, from->ip);
	if (status)
		return status;
	if (to->ip)
		status = remove_target(fs, to, from->ip->ino, now);
	else
		status = dir_add(fs, to->dir, to->name, from->ip->ino, now);
	if (!status)
		status = dir_remove(fs, from->dir, from->slot_bytes, now);
	if (!status)
		status = move_dot_dot(fs, from, to);
	if (!status) {
		from->ip->ctime_ns = now;
		named_note(from->ip, to->dir->ino);
	}
	return status;
}

static bool is_special(struct fsys_name name)
{
	return !name.bytes || name_is_dot(name) || name_is_dot_dot(name);
}

int fsys_rename(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t old_dir_ino, struct fsys_name old_name,
		 uint32_t new_dir_ino, struct fsys_name new_name,
		 uint32_t flags)
{
	struct side from = { .name = old_name }, to = { .name = new_name };
	int status;

	if (flags != 0 && flags != FSYS_RENAME_NOREPLACE && flags != FSYS_RENAME_EXCHANGE)
		return -X_EINVAL;
	op_begin(fs);
	status = inode_get_dir(fs, old_dir_ino, &from.dir);
	if (!status)
		status = inode_get_dir(fs, new_dir_ino, &to.dir);
	if (!status && is_special(old_name))
		status = -X_EBUSY;
	if (!status && is_special(new_name))
		status = flags & FSYS_RENAME_NOREPLACE ? -X_EEXIST : -X_EBUSY;
	if (!status && fsys_limits(fs)->read_only)
		status = -X_EROFS;
	if (!status)
		status = rename_within(fs, who, &from, &to, flags);
	return op_end(fs, status);
}
