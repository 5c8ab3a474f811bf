/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and changing the attributes of an inode. */

#include "fs/minix/internal.h"

int minix_getattr(struct minix_fs *fs, uint32_t ino, struct minix_attr *out)
{
	struct minix_inode *ip;
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
	out->block_size = fs->block_size;
	out->atime_sec = ip->atime_sec;
	out->mtime_sec = ip->mtime_sec;
	out->ctime_sec = ip->ctime_sec;
	if (MINIX_ISDEV(ip->mode)) {
		minix_dev_decode(ip->zone[0], &out->major, &out->minor);
	} else {
		out->size_bytes = ip->size_bytes;
		out->blocks_512 = map_zones_of_size(fs->block_size, ip->size_bytes) *
				  (fs->block_size / 512);
	}
	return op_end(fs, 0);
}

/* Is WHO allowed what SET asks? The order of checks is Linux's. */
static int check_setattr(const struct minix_inode *ip,
			 const struct minix_caller *who,
			 const struct minix_setattr *set)
{
	const uint32_t both_now = MINIX_SET_ATIME_NOW | MINIX_SET_MTIME_NOW;
	const uint32_t times = both_now | MINIX_SET_ATIME | MINIX_SET_MTIME;
	bool owner = who->uid == 0 || who->uid == ip->uid;

	if (set->mask & MINIX_SET_UID && who->uid != 0 &&
	    (!owner || set->uid != ip->uid))
		return -X_EPERM;
	if (set->mask & MINIX_SET_GID && who->uid != 0 &&
	    (!owner || (set->gid != ip->gid && !access_in_group(who, set->gid))))
		return -X_EPERM;
	if (set->mask & MINIX_SET_MODE && !owner)
		return -X_EPERM;
	if (!(set->mask & times) || owner)
		return 0;
	if ((set->mask & times) == both_now)
		return access_check(ip, who, MINIX_W);
	return -X_EPERM;
}

/* A change of owner takes the set-id bits of what can be executed. */
static void clear_set_id_for_chown(struct minix_inode *ip)
{
	if (MINIX_ISDIR(ip->mode))
		return;
	ip->mode &= ~MINIX_S_ISUID;
	if (ip->mode & MINIX_S_IXGRP)
		ip->mode &= ~MINIX_S_ISGID;
}

static void apply_setattr(struct minix_inode *ip, const struct minix_caller *who,
			  const struct minix_setattr *set)
{
	if (set->mask & (MINIX_SET_UID | MINIX_SET_GID))
		clear_set_id_for_chown(ip);
	if (set->mask & MINIX_SET_UID)
		ip->uid = set->uid;
	if (set->mask & MINIX_SET_GID)
		ip->gid = set->gid;
	if (set->mask & MINIX_SET_MODE) {
		ip->mode = (ip->mode & MINIX_S_IFMT) | (set->mode & 07777);
		if (who->uid != 0 && !access_in_group(who, ip->gid))
			ip->mode &= ~MINIX_S_ISGID;
	}
	if (set->mask & MINIX_SET_ATIME)
		ip->atime_sec = set->atime_sec;
	if (set->mask & MINIX_SET_MTIME)
		ip->mtime_sec = set->mtime_sec;
	if (set->mask & MINIX_SET_ATIME_NOW)
		ip->atime_sec = who->time_sec;
	if (set->mask & MINIX_SET_MTIME_NOW)
		ip->mtime_sec = who->time_sec;
	ip->ctime_sec = who->time_sec;
}

static int setattr(struct minix_fs *fs, const struct minix_caller *who,
		   uint32_t ino, const struct minix_setattr *set)
{
	struct minix_inode *ip;
	int status = fs->read_only ? -X_EROFS : inode_get(fs, ino, &ip);

	if (status)
		return status;
	/* The disk has 16 bits for either. */
	if ((set->mask & MINIX_SET_UID && set->uid > UINT16_MAX) ||
	    (set->mask & MINIX_SET_GID && set->gid > UINT16_MAX))
		return -X_EOVERFLOW;
	status = check_setattr(ip, who, set);
	if (!status)
		status = op_modify_inode(fs, ip);
	if (!status)
		apply_setattr(ip, who, set);
	return status;
}

int minix_setattr(struct minix_fs *fs, const struct minix_caller *who,
		  uint32_t ino, const struct minix_setattr *set)
{
	op_begin(fs);
	return op_end(fs, setattr(fs, who, ino, set));
}
