/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making and removing names: create, mkdir, mknod, symlink, link, unlink,
 * rmdir. (rename has a file of its own.) Checks come in Linux's order, since
 * programs look at which error they get.
 */

#include "lib/fs/backend.h"

/* What "." and ".." and a path of slashes only mean to each operation. */
static bool is_special(struct fsys_name name)
{
	return !name.bytes || name_is_dot(name) || name_is_dot_dot(name);
}

/* The directory, in which WHO may search, of a filesystem that may change. */
static int get_dir(struct fsys *fs, const struct fsys_caller *who,
		   uint32_t dir_ino, struct fsys_node **dir)
{
	int status = inode_get_dir(fs, dir_ino, dir);

	if (!status)
		status = access_check(*dir, who, FSYS_X);
	return status;
}

/* ---- making ----------------------------------------------------------- */

/* Sets up a new inode of the directory DIR for WHO. */
static int make_inode(struct fsys *fs, const struct fsys_caller *who,
		      struct fsys_node *dir, uint32_t mode,
		      struct fsys_node **out)
{
	struct fsys_node *ip;
	uint32_t gid = who->gid;
	int status;

	if (dir->mode & FSYS_S_ISGID) {
		gid = dir->gid;
		if (FSYS_ISDIR(mode))
			mode |= FSYS_S_ISGID;
		else if (mode & FSYS_S_ISGID && mode & (FSYS_S_IXGRP | FSYS_S_ASKED_IXGRP) &&
			 who->uid != 0 && !access_in_group(who, gid))
			mode &= ~FSYS_S_ISGID;
	}
	mode &= ~FSYS_S_ASKED_IXGRP;
	if (who->uid > fsys_limits(fs)->id_max || gid > fsys_limits(fs)->id_max)
		return -X_EOVERFLOW;
	status = inode_alloc(fs, dir->ino, &ip);
	if (status)
		return status;
	ip->mode = mode;
	ip->uid = who->uid;
	ip->gid = gid;
	ip->link_count = 1;
	ip->atime_ns = ip->mtime_ns = ip->ctime_ns = who->time_ns;
	*out = ip;
	return 0;
}

/* DIR may get NAME, which isn't there yet, for a directory or something else. */
static int check_new_name(struct fsys *fs, const struct fsys_caller *who,
			  uint32_t dir_ino, struct fsys_name name, bool is_dir,
			  struct fsys_node **dir)
{
	uint32_t ino, slot_bytes;
	int status = get_dir(fs, who, dir_ino, dir);

	if (status)
		return status;
	if (is_special(name))
		return -X_EEXIST;
	status = dir_lookup(fs, *dir, name, &ino, &slot_bytes);
	if (status != -X_ENOENT)
		return status ? status : -X_EEXIST;
	if (name.must_be_dir && !is_dir)
		return -X_ENOENT;
	if (fsys_limits(fs)->read_only)
		return -X_EROFS;
	return access_may_create(*dir, who);
}

/* Makes an inode under a name that was checked; its content comes later. */
static int make_named(struct fsys *fs, const struct fsys_caller *who,
		      struct fsys_node *dir, struct fsys_name name,
		      uint32_t mode, struct fsys_node **ip)
{
	int status = 0;

	if (FSYS_ISDIR(mode) && dir->link_count >= fsys_limits(fs)->link_max)
		return -X_EMLINK;
	status = make_inode(fs, who, dir, mode, ip);
	if (!status)
		status = dir_add(fs, dir, name, (*ip)->ino, who->time_ns);
	if (!status)
		named_note(*ip, dir->ino);
	return status;
}

static int make(struct fsys *fs, const struct fsys_caller *who,
		uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		struct fsys_node **dir, struct fsys_node **ip)
{
	int status = check_new_name(fs, who, dir_ino, name, FSYS_ISDIR(mode), dir);

	return status ? status : make_named(fs, who, *dir, name, mode, ip);
}

/* The name is there: says what follows from that. */
static int found_existing(struct fsys *fs, uint32_t dir_ino, uint32_t ino,
			  struct fsys_name name)
{
	struct fsys_node *ip;
	int status = inode_get(fs, ino, &ip);

	if (status)
		return status;
	named_note(ip, dir_ino);
	if (ip->mounted_on)
		return -X_ECROSS;
	if (FSYS_ISLNK(ip->mode))
		return -X_ESYMLINK;
	return name.must_be_dir && !FSYS_ISDIR(ip->mode) ? -X_ENOTDIR : 0;
}

static int create(struct fsys *fs, const struct fsys_caller *who,
		  uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		  bool exclusive, uint32_t *ino, bool *created)
{
	struct fsys_node *dir, *ip;
	uint32_t slot_bytes;
	int status = get_dir(fs, who, dir_ino, &dir);

	*created = false;
	if (status)
		return status;
	if (is_special(name))
		return exclusive ? -X_EEXIST : -X_EISDIR;
	if (name.must_be_dir)
		return -X_EISDIR;
	status = dir_lookup(fs, dir, name, ino, &slot_bytes);
	if (!status)
		return exclusive ? -X_EEXIST : found_existing(fs, dir_ino, *ino, name);
	if (status != -X_ENOENT)
		return status;
	status = fsys_limits(fs)->read_only ? -X_EROFS : access_may_create(dir, who);
	if (!status)
		status = make_named(fs, who, dir, name,
				    FSYS_S_IFREG | (mode & (07777 | FSYS_S_ASKED_IXGRP)), &ip);
	if (status)
		return status;
	*ino = ip->ino;
	*created = true;
	return 0;
}

int fsys_create(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		 bool exclusive, uint32_t *ino, bool *created)
{
	op_begin(fs);
	return op_end(fs, create(fs, who, dir_ino, name, mode, exclusive, ino,
				 created));
}

static int make_unnamed(struct fsys *fs, const struct fsys_caller *who, uint32_t dir_ino,
			uint32_t mode, bool linkable, uint32_t *ino)
{
	struct fsys_node *dir, *ip;
	int status = get_dir(fs, who, dir_ino, &dir);

	if (!status)
		status = fsys_limits(fs)->read_only ? -X_EROFS : access_may_create(dir, who);
	if (!status)
		status = make_inode(fs, who, dir, FSYS_S_IFREG | (mode & (07777 | FSYS_S_ASKED_IXGRP)), &ip);
	if (status)
		return status;
	ip->link_count = 0;
	ip->linkable = linkable;
	ip->holds = 1;
	named_forget(ip->ino);
	*ino = ip->ino;
	return 0;
}

int fsys_make_unnamed(struct fsys *fs, const struct fsys_caller *who, uint32_t dir_ino, uint32_t mode,
		      bool linkable, uint32_t *ino)
{
	op_begin(fs);
	return op_end(fs, make_unnamed(fs, who, dir_ino, mode, linkable, ino));
}

static int make_dir(struct fsys *fs, const struct fsys_caller *who,
		    uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		    uint32_t *ino)
{
	struct fsys_node *dir, *ip;
	int status = make(fs, who, dir_ino, name,
			  FSYS_S_IFDIR | (mode & 01777), &dir, &ip);

	if (status)
		return status;
	ip->link_count = 2;
	dir->link_count++;      /* dir_add() saved it */
	*ino = ip->ino;
	return dir_make(fs, ip, dir->ino);
}

int fsys_mkdir(struct fsys *fs, const struct fsys_caller *who,
		uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		uint32_t *ino)
{
	op_begin(fs);
	return op_end(fs, make_dir(fs, who, dir_ino, name, mode, ino));
}

static int make_node(struct fsys *fs, const struct fsys_caller *who,
		     uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		     uint32_t device, uint32_t *ino)
{
	struct fsys_node *dir, *ip;
	int status;

	switch (mode & FSYS_S_IFMT) {
	case 0:
		mode |= FSYS_S_IFREG;
		break;
	case FSYS_S_IFREG:
	case FSYS_S_IFIFO:
	case FSYS_S_IFSOCK:
	case FSYS_S_IFCHR:
	case FSYS_S_IFBLK:
		break;
	case FSYS_S_IFDIR:
		return -X_EPERM;
	default:
		return -X_EINVAL;
	}
	status = check_new_name(fs, who, dir_ino, name, false, &dir);
	if (!status && FSYS_ISDEV(mode) && who->uid != 0)
		status = -X_EPERM;
	if (!status)
		status = make_named(fs, who, dir, name,
				    mode & (FSYS_S_IFMT | 07777 | FSYS_S_ASKED_IXGRP), &ip);
	if (status)
		return status;
	if (FSYS_ISDEV(mode))
		ip->zone[0] = device;
	*ino = ip->ino;
	return 0;
}

int fsys_mknod(struct fsys *fs, const struct fsys_caller *who,
		uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		uint32_t major, uint32_t minor, uint32_t *ino)
{
	uint32_t device;
	int status;

	op_begin(fs);
	status = attr_dev_encode(major, minor, &device);
	if (!status)
		status = make_node(fs, who, dir_ino, name, mode, device, ino);
	return op_end(fs, status);
}

int fsys_symlink(struct fsys *fs, const struct fsys_caller *who,
		  uint32_t dir_ino, struct fsys_name name, const char *target,
		  uint32_t target_bytes, uint32_t *ino)
{
	struct fsys_node *dir, *ip;
	int status = 0;

	op_begin(fs);
	if (!target_bytes)
		status = -X_ENOENT;
	else if (target_bytes > fsys_limits(fs)->link_text_max)
		status = -X_ENAMETOOLONG;
	if (!status)
		status = make(fs, who, dir_ino, name, FSYS_S_IFLNK | 0777, &dir,
			      &ip);
	if (!status)
		status = link_write(fs, ip, target, target_bytes);
	if (!status)
		*ino = ip->ino;
	return op_end(fs, status);
}

static int link_name(struct fsys *fs, const struct fsys_caller *who,
		     uint32_t target_ino, uint32_t dir_ino,
		     struct fsys_name name)
{
	struct fsys_node *dir, *ip;
	int status = check_new_name(fs, who, dir_ino, name, false, &dir);

	if (!status)
		status = inode_get(fs, target_ino, &ip);
	if (status)
		return status;
	if (FSYS_ISDIR(ip->mode))
		return -X_EPERM;
	if (!ip->link_count && !ip->linkable)
		return -X_ENOENT;
	if (ip->link_count >= fsys_limits(fs)->link_max)
		return -X_EMLINK;
	status = op_modify_inode(fs, ip);
	if (!status)
		status = dir_add(fs, dir, name, target_ino, who->time_ns);
	if (status)
		return status;
	ip->link_count++;
	ip->ctime_ns = who->time_ns;
	if (!ip->named_in)
		named_note(ip, dir_ino);
	return 0;
}

int fsys_link(struct fsys *fs, const struct fsys_caller *who,
	       uint32_t target_ino, uint32_t dir_ino, struct fsys_name name)
{
	op_begin(fs);
	return op_end(fs, link_name(fs, who, target_ino, dir_ino, name));
}

/* ---- removing ----------------------------------------------------------- */

/* Finds NAME, which WHO may remove. */
static int find_victim(struct fsys *fs, const struct fsys_caller *who,
		       struct fsys_node *dir, struct fsys_name name,
		       bool is_dir, struct fsys_node **victim,
		       uint32_t *slot_bytes)
{
	uint32_t ino;
	int status = dir_lookup(fs, dir, name, &ino, slot_bytes);

	if (!status)
		status = inode_get(fs, ino, victim);
	if (status)
		return status;
	if (fsys_limits(fs)->read_only)
		return -X_EROFS;
	return access_may_delete(dir, *victim, who, is_dir);
}

static int unlink_name(struct fsys *fs, const struct fsys_caller *who,
		       uint32_t dir_ino, struct fsys_name name)
{
	struct fsys_node *dir, *ip;
	uint32_t slot_bytes;
	int status = get_dir(fs, who, dir_ino, &dir);

	if (status)
		return status;
	if (is_special(name))
		return -X_EISDIR;
	status = find_victim(fs, who, dir, name, false, &ip, &slot_bytes);
	if (!status && name.must_be_dir)
		status = -X_ENOTDIR;
	if (!status)
		status = dir_remove(fs, dir, slot_bytes, who->time_ns);
	if (!status)
		status = op_modify_inode(fs, ip);
	if (status)
		return status;
	if (ip->link_count)
		ip->link_count--;
	ip->ctime_ns = who->time_ns;
	named_lost(ip, dir_ino, name);
	return 0;
}

int fsys_unlink(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t dir_ino, struct fsys_name name)
{
	op_begin(fs);
	return op_end(fs, unlink_name(fs, who, dir_ino, name));
}

static int remove_dir(struct fsys *fs, const struct fsys_caller *who,
		      uint32_t dir_ino, struct fsys_name name)
{
	struct fsys_node *dir, *ip;
	uint32_t slot_bytes;
	int status = get_dir(fs, who, dir_ino, &dir);

	if (status)
		return status;
	if (is_special(name))
		return !name.bytes ? -X_EBUSY :
		       name_is_dot(name) ? -X_EINVAL : -X_ENOTEMPTY;
	status = find_victim(fs, who, dir, name, true, &ip, &slot_bytes);
	if (!status)
		status = dir_check_empty(fs, ip);
	if (!status)
		status = dir_remove(fs, dir, slot_bytes, who->time_ns);
	if (!status)
		status = op_modify_inode(fs, ip);
	if (status)
		return status;
	ip->link_count = 0;
	ip->ctime_ns = who->time_ns;
	named_forget(ip->ino);
	named_lost(ip, dir_ino, name);
	if (dir->link_count > 2)
		dir->link_count--;
	return 0;
}

int fsys_rmdir(struct fsys *fs, const struct fsys_caller *who,
		uint32_t dir_ino, struct fsys_name name)
{
	op_begin(fs);
	return op_end(fs, remove_dir(fs, who, dir_ino, name));
}
