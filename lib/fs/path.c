/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking a path inside this filesystem, as far as it goes: to its end, to a
 * symbolic link (whose text may lead anywhere), down into a mount, or up out
 * of the root. Who called goes on from there.
 *
 * A walk lies on the stack: what stores into it only has no hooks.
 */

#include "lib/fs/backend.h"
#include "lib/region/region.h"

#include <string.h>

bool name_is_dot(struct fsys_name name)
{
	return name.bytes == 1 && name.text[0] == '.';
}

bool name_is_dot_dot(struct fsys_name name)
{
	return name.bytes == 2 && name.text[0] == '.' && name.text[1] == '.';
}

static uint32_t skip_slashes(const struct fsys_walk *walk, uint32_t at)
{
	while (at < walk->path_bytes && walk->path[at] == '/')
		at++;
	return at;
}

/* The component at consumed_bytes; consumes it and the slashes behind it. */
REGION_UNLOGGED static struct fsys_name next_name(struct fsys_walk *walk)
{
	struct fsys_name name;
	uint32_t end = walk->consumed_bytes;

	while (end < walk->path_bytes && walk->path[end] != '/')
		end++;
	name.text = walk->path + walk->consumed_bytes;
	name.bytes = end - walk->consumed_bytes;
	name.must_be_dir = end < walk->path_bytes;
	walk->name_offset = walk->consumed_bytes;
	walk->name_bytes = name.bytes;
	walk->must_be_dir = name.must_be_dir;
	walk->consumed_bytes = skip_slashes(walk, end);
	return name;
}

static bool at_end(const struct fsys_walk *walk)
{
	return walk->consumed_bytes == walk->path_bytes;
}

static int meet_link(struct fsys *fs, struct fsys_walk *walk, struct fsys_node *ip)
{
	int length;

	walk->link_bytes = 0;
	if (!walk->link)
		return -X_ESYMLINK;
	length = link_read(fs, ip, walk->link, walk->link_capacity);
	if (length < 0)
		return length;
	walk->link_bytes = length;
	return -X_ESYMLINK;
}

/* From the directory at walk->ino through ".."; 0 or -X_ECROSS. */
REGION_UNLOGGED static int step_up(struct fsys *fs, struct fsys_walk *walk,
		   struct fsys_node *dir)
{
	if (walk->ino == walk->root_ino)
		return 0;
	if (walk->ino == FSYS_ROOT_INO) {
		walk->up = true;
		return -X_ECROSS;
	}
	return dir_parent(fs, dir, &walk->ino);
}

/* Enters what NAME names, from the directory at walk->ino. */
REGION_UNLOGGED static int step(struct fsys *fs, struct fsys_walk *walk,
		struct fsys_node *dir, struct fsys_name name)
{
	struct fsys_node *ip;
	uint32_t slot_bytes;
	int status = 0;

	walk->parent_ino = walk->ino;
	if (name_is_dot_dot(name))
		status = step_up(fs, walk, dir);
	else if (!name_is_dot(name))
		status = dir_lookup(fs, dir, name, &walk->ino, &slot_bytes);
	if (status)
		return status;
	status = inode_get(fs, walk->ino, &ip);
	if (status)
		return status;
	named_note(ip, walk->parent_ino);
	if (ip->mounted_on && !name_is_dot(name))
		return -X_ECROSS;
	if (FSYS_ISLNK(ip->mode) &&
	    (!at_end(walk) || name.must_be_dir ||
	     !(walk->flags & FSYS_WALK_NOFOLLOW)))
		return meet_link(fs, walk, ip);
	if (name.must_be_dir && !FSYS_ISDIR(ip->mode))
		return -X_ENOTDIR;
	return 0;
}

static bool is_last(const struct fsys_walk *walk)
{
	uint32_t at = walk->consumed_bytes;

	while (at < walk->path_bytes && walk->path[at] != '/')
		at++;
	return skip_slashes(walk, at) == walk->path_bytes;
}

REGION_UNLOGGED static int walk_path(struct fsys *fs, const struct fsys_caller *who,
		     struct fsys_walk *walk)
{
	walk->consumed_bytes = skip_slashes(walk, 0);
	while (!at_end(walk)) {
		struct fsys_node *dir;
		struct fsys_name name;
		int status;

		op_forget(fs);
		status = inode_get_dir(fs, walk->ino, &dir);
		if (!status)
			status = access_check(dir, who, FSYS_X);
		if (status)
			return status;
		if (walk->flags & FSYS_WALK_PARENT && is_last(walk)) {
			name = next_name(walk);
			walk->consumed_bytes = walk->name_offset;
			return name.bytes > fsys_limits(fs)->name_max ? -X_ENAMETOOLONG : 0;
		}
		name = next_name(walk);
		status = step(fs, walk, dir, name);
		if (status)
			return status;
	}
	return 0;
}

static int check_start(struct fsys *fs, const struct fsys_walk *walk)
{
	struct fsys_node *ip;
	bool dir_wanted = walk->flags & FSYS_WALK_PARENT;
	int status = inode_get(fs, walk->start_ino, &ip);

	if (!status && dir_wanted && !FSYS_ISDIR(ip->mode))
		return -X_ENOTDIR;
	return status;
}

REGION_UNLOGGED int fsys_walk(struct fsys *fs, const struct fsys_caller *who,
	       struct fsys_walk *walk)
{
	int status;

	walk->ino = walk->parent_ino = walk->start_ino;
	walk->name_offset = walk->name_bytes = 0;
	walk->consumed_bytes = walk->link_bytes = 0;
	walk->up = walk->must_be_dir = false;
	op_begin(fs);
	status = check_start(fs, walk);
	if (!status)
		status = walk_path(fs, who, walk);
	return op_end(fs, status);
}

/* ---- the way back up ------------------------------------------------------ */

/* A path is written from its end. */
struct path_end { char *out; uint32_t at; };

static int put_before(struct path_end *path, const char *text, uint32_t bytes)
{
	if (bytes > path->at)
		return -X_ERANGE;
	path->at -= bytes;
	memcpy(path->out + path->at, text, bytes);
	return 0;
}

static int put_component(struct path_end *path, const char *text, uint32_t bytes)
{
	int status = put_before(path, text, bytes);

	return status ? status : put_before(path, "/", 1);
}

/* No more steps than there are directories, or it is a circle. */
static int put_directories(struct fsys *fs, uint32_t ino, struct path_end *path)
{
	uint32_t steps;

	for (steps = 0; ino != FSYS_ROOT_INO; steps++) {
		char name[FSYS_NAME_MAX];
		struct fsys_node *dir;
		uint32_t parent_ino = 0, name_bytes = 0;
		int status;

		if (steps > fsys_limits(fs)->inode_max)
			return fsys_damaged(fs, "directories form a circle");
		op_forget(fs);
		status = inode_get_dir(fs, ino, &dir);
		if (!status && !dir->link_count)
			return -X_ENOENT;
		if (!status)
			status = dir_parent(fs, dir, &parent_ino);
		if (!status)
			status = inode_get_dir(fs, parent_ino, &dir);
		if (!status)
			status = dir_name_of(fs, dir, ino, name, &name_bytes);
		if (status == -X_ENOENT)
			return fsys_damaged(fs, "a directory's parent has it not");
		if (!status)
			status = put_component(path, name, name_bytes);
		if (status)
			return status;
		ino = parent_ino;
	}
	return 0;
}

/* What is no directory, or has no name any more: *INO becomes the directory it is or was in. */
static int put_name(struct fsys *fs, uint32_t *ino, struct path_end *path)
{
	char text[FSYS_NAME_MAX];
	struct fsys_name name = { .text = text };
	struct fsys_node *ip, *dir;
	uint32_t dir_ino = 0;
	int status = inode_get(fs, *ino, &ip);

	if (status || (FSYS_ISDIR(ip->mode) && ip->link_count))
		return status;
	dir_ino = ip->named_in;
	if (!ip->link_count) {
		status = named_last(*ino, &dir_ino, &name);
		if (!status)
			status = put_before(path, " (deleted)", 10);
	} else if (!dir_ino) {
		return -X_ENOENT;
	} else {
		status = inode_get_dir(fs, dir_ino, &dir);
		if (!status)
			status = dir_name_of(fs, dir, *ino, text, &name.bytes);
	}
	if (!status)
		status = put_component(path, name.text, name.bytes);
	*ino = dir_ino;
	return status;
}

static int build_path(struct fsys *fs, uint32_t ino, bool any, char *out, uint32_t capacity)
{
	struct path_end path = { out, capacity };
	int status = any ? put_name(fs, &ino, &path) : 0;

	if (!status)
		status = put_directories(fs, ino, &path);
	if (!status && path.at == capacity)
		status = put_before(&path, "/", 1);
	if (status)
		return status;
	memmove(out, out + path.at, capacity - path.at);
	return capacity - path.at;
}

int fsys_path_of(struct fsys *fs, uint32_t ino, char *out, uint32_t capacity)
{
	op_begin(fs);
	return op_end(fs, build_path(fs, ino, false, out, capacity));
}

int fsys_name_of(struct fsys *fs, uint32_t ino, char *out, uint32_t capacity)
{
	op_begin(fs);
	return op_end(fs, build_path(fs, ino, true, out, capacity));
}
