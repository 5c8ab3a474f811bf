/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and changing the attributes of an inode. */

#include "lib/fs/backend.h"

#include <string.h>

int fsys_getattr(struct fsys *fs, uint32_t ino, struct fsys_attr *out)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (status)
		return op_end(fs, status);
	memset(out, 0, sizeof(*out));
	out->ino = ino;
	out->mode = ip->mode;
	out->link_count = ip->link_count;
	out->uid = ip->uid;
	out->gid = ip->gid;
	fsys_usage(fs, ip, &out->blocks_512, &out->block_size);
	out->atime_ns = ip->atime_ns;
	out->mtime_ns = ip->mtime_ns;
	out->ctime_ns = ip->ctime_ns;
	if (FSYS_ISDEV(ip->mode)) {
		attr_dev_decode(ip->zone[0], &out->major, &out->minor);
	} else {
		out->size_bytes = ip->size_bytes;
	}
	return op_end(fs, 0);
}

/* Is WHO allowed what SET asks? The order of checks is Linux's. */
static int check_setattr(const struct fsys_node *ip,
			 const struct fsys_caller *who,
			 const struct fsys_setattr *set)
{
	const uint32_t both_now = FSYS_SET_ATIME_NOW | FSYS_SET_MTIME_NOW;
	const uint32_t times = both_now | FSYS_SET_ATIME | FSYS_SET_MTIME;
	bool owner = who->uid == 0 || who->uid == ip->uid;

	if (set->mask & FSYS_SET_UID && who->uid != 0 &&
	    (!owner || set->uid != ip->uid))
		return -X_EPERM;
	if (set->mask & FSYS_SET_GID && who->uid != 0 &&
	    (!owner || (set->gid != ip->gid && !access_in_group(who, set->gid))))
		return -X_EPERM;
	if (set->mask & FSYS_SET_MODE && !owner)
		return -X_EPERM;
	if (!(set->mask & times) || owner)
		return 0;
	if ((set->mask & both_now) == both_now)
		return access_check(ip, who, FSYS_W);
	return -X_EPERM;
}

/* A change of owner takes the set-id bits of what can be executed. */
static void clear_set_id_for_chown(struct fsys_node *ip)
{
	if (FSYS_ISDIR(ip->mode))
		return;
	ip->mode &= ~FSYS_S_ISUID;
	if (ip->mode & FSYS_S_IXGRP)
		ip->mode &= ~FSYS_S_ISGID;
}

static void apply_setattr(struct fsys *fs, struct fsys_node *ip,
			  const struct fsys_caller *who, const struct fsys_setattr *set)
{
	if (set->mask & (FSYS_SET_UID | FSYS_SET_GID))
		clear_set_id_for_chown(ip);
	if (set->mask & FSYS_SET_UID)
		ip->uid = set->uid;
	if (set->mask & FSYS_SET_GID)
		ip->gid = set->gid;
	if (set->mask & FSYS_SET_MODE) {
		ip->mode = (ip->mode & FSYS_S_IFMT) | (set->mode & 07777);
		if (who->uid != 0 && !access_in_group(who, ip->gid))
			ip->mode &= ~FSYS_S_ISGID;
	}
	if (set->mask & FSYS_SET_ATIME)
		ip->atime_ns = attr_time(fs, set->atime_ns);
	if (set->mask & FSYS_SET_MTIME)
		ip->mtime_ns = attr_time(fs, set->mtime_ns);
	if (set->mask & FSYS_SET_ATIME_NOW)
		ip->atime_ns = attr_time(fs, who->time_ns);
	if (set->mask & FSYS_SET_MTIME_NOW)
		ip->mtime_ns = attr_time(fs, who->time_ns);
	ip->ctime_ns = attr_time(fs, who->time_ns);
}

static int setattr(struct fsys *fs, const struct fsys_caller *who,
		   uint32_t ino, const struct fsys_setattr *set)
{
	struct fsys_node *ip;
	int status = fsys_limits(fs)->read_only ? -X_EROFS : inode_get(fs, ino, &ip);

	if (status)
		return status;
	if ((set->mask & FSYS_SET_UID && set->uid > fsys_limits(fs)->id_max) ||
	    (set->mask & FSYS_SET_GID && set->gid > fsys_limits(fs)->id_max))
		return -X_EOVERFLOW;
	status = check_setattr(ip, who, set);
	if (!status)
		status = op_modify_inode(fs, ip);
	if (!status)
		apply_setattr(fs, ip, who, set);
	return status;
}

int fsys_setattr(struct fsys *fs, const struct fsys_caller *who,
		  uint32_t ino, const struct fsys_setattr *set)
{
	op_begin(fs);
	return op_end(fs, setattr(fs, who, ino, set));
}

/* ---- times --------------------------------------------------------------- */

uint64_t attr_time(const struct fsys *fs, uint64_t time_ns)
{
	return time_ns - time_ns % fsys_limits(fs)->time_grain_ns;
}

int attr_touch_atime(struct fsys *fs, struct fsys_node *ip, uint64_t now_ns)
{
	uint64_t now = attr_time(fs, now_ns);
	int status;

	if (fsys_limits(fs)->read_only || fsys_limits(fs)->no_atime)
		return 0;
	if (ip->atime_ns > ip->mtime_ns && ip->atime_ns > ip->ctime_ns &&
	    now - ip->atime_ns < 24 * 60 * 60 * FSYS_SEC)
		return 0;
	if (now == ip->atime_ns)
		return 0;
	status = op_modify_inode(fs, ip);
	if (!status)
		ip->atime_ns = now;
	return status;
}

static int touch(struct fsys *fs, uint32_t ino, uint64_t read_ns,
		 uint64_t written_ns)
{
	struct fsys_node *ip;
	int status = inode_get(fs, ino, &ip);

	if (status || fsys_limits(fs)->read_only)
		return status;
	if (read_ns)
		status = attr_touch_atime(fs, ip, read_ns);
	written_ns = attr_time(fs, written_ns);
	if (status || written_ns <= ip->mtime_ns)
		return status;
	status = op_modify_inode(fs, ip);
	if (!status)
		ip->mtime_ns = ip->ctime_ns = written_ns;
	return status;
}

int fsys_touch(struct fsys *fs, uint32_t ino, uint64_t read_ns,
	       uint64_t written_ns)
{
	op_begin(fs);
	return op_end(fs, touch(fs, ino, read_ns, written_ns));
}

void attr_clear_set_id(struct fsys_node *ip, const struct fsys_caller *who)
{
	if (who->uid == 0)
		return;
	ip->mode &= ~FSYS_S_ISUID;
	if (ip->mode & FSYS_S_IXGRP)
		ip->mode &= ~FSYS_S_ISGID;
}

/* ---- device numbers ------------------------------------------------------ */

int attr_dev_encode(uint32_t major, uint32_t minor, uint32_t *encoded)
{
	if (major > 0xfff || minor > 0xfffff)
		return -X_EINVAL;
	*encoded = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
	return 0;
}

void attr_dev_decode(uint32_t encoded, uint32_t *major, uint32_t *minor)
{
	*major = encoded >> 8 & 0xfff;
	*minor = (encoded & 0xff) | (encoded >> 12 & 0xfff00);
}

/* ---- symbolic links ------------------------------------------------------- */

int fsys_readlink(struct fsys *fs, uint32_t ino, char *out, uint32_t capacity)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	return op_end(fs, status ? status : link_read(fs, ip, out, capacity));
}
