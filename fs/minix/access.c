/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may do what: POSIX permissions, with root exempt as on Linux. */

#include "fs/minix/internal.h"

bool access_in_group(const struct minix_caller *who, uint32_t gid)
{
	uint32_t i;

	if (who->gid == gid)
		return true;
	for (i = 0; i < who->group_count; i++)
		if (who->groups[i] == gid)
			return true;
	return false;
}

int access_check(const struct minix_inode *ip, const struct minix_caller *who,
		 uint32_t want)
{
	uint32_t granted = ip->mode & 7;

	if (who->uid == 0) {
		/* Root may all, but execute only what somebody may. */
		if (want & MINIX_X && !MINIX_ISDIR(ip->mode) && !(ip->mode & 0111))
			return -X_EACCES;
		return 0;
	}
	if (ip->uid == who->uid)
		granted = ip->mode >> 6 & 7;
	else if (access_in_group(who, ip->gid))
		granted = ip->mode >> 3 & 7;
	return want & ~granted ? -X_EACCES : 0;
}

int access_may_create(const struct minix_inode *dir,
		      const struct minix_caller *who)
{
	if (!dir->link_count)
		return -X_ENOENT;
	return access_check(dir, who, MINIX_W | MINIX_X);
}

int access_may_delete(const struct minix_inode *dir,
		      const struct minix_inode *victim,
		      const struct minix_caller *who, bool is_dir)
{
	int status = access_check(dir, who, MINIX_W | MINIX_X);

	if (status)
		return status;
	if (dir->mode & MINIX_S_ISVTX && who->uid != 0 &&
	    who->uid != victim->uid && who->uid != dir->uid)
		return -X_EPERM;
	if (is_dir && !MINIX_ISDIR(victim->mode))
		return -X_ENOTDIR;
	if (!is_dir && MINIX_ISDIR(victim->mode))
		return -X_EISDIR;
	if (is_dir && victim->ino == MINIX_ROOT_INO)
		return -X_EBUSY;
	return victim->mounted_on ? -X_EBUSY : 0;
}

int minix_access(struct minix_fs *fs, const struct minix_caller *who,
		 uint32_t ino, uint32_t want)
{
	struct minix_inode *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status)
		status = access_check(ip, who, want);
	if (!status && want & MINIX_W && fs->read_only && !MINIX_ISDEV(ip->mode) &&
	    (MINIX_ISREG(ip->mode) || MINIX_ISDIR(ip->mode)))
		status = -X_EROFS;
	return op_end(fs, status);
}
