/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may do what: POSIX permissions, with root exempt as on Linux. */

#include "lib/fs/backend.h"

bool access_in_group(const struct fsys_caller *who, uint32_t gid)
{
	uint32_t i;

	if (who->gid == gid)
		return true;
	for (i = 0; i < who->group_count; i++)
		if (who->groups[i] == gid)
			return true;
	return false;
}

int access_check(const struct fsys_node *ip, const struct fsys_caller *who,
		 uint32_t want)
{
	uint32_t granted = ip->mode & 7;

	if (who->uid == 0) {
		/* Root may all, but execute only what somebody may. */
		if (want & FSYS_X && !FSYS_ISDIR(ip->mode) && !(ip->mode & 0111))
			return -X_EACCES;
		return 0;
	}
	if (ip->uid == who->uid)
		granted = ip->mode >> 6 & 7;
	else if (access_in_group(who, ip->gid))
		granted = ip->mode >> 3 & 7;
	return want & ~granted ? -X_EACCES : 0;
}

int access_may_create(const struct fsys_node *dir,
		      const struct fsys_caller *who)
{
	if (!dir->link_count)
		return -X_ENOENT;
	return access_check(dir, who, FSYS_W | FSYS_X);
}

int access_may_delete(const struct fsys_node *dir,
		      const struct fsys_node *victim,
		      const struct fsys_caller *who, bool is_dir)
{
	int status = access_check(dir, who, FSYS_W | FSYS_X);

	if (status)
		return status;
	if (dir->mode & FSYS_S_ISVTX && who->uid != 0 &&
	    who->uid != victim->uid && who->uid != dir->uid)
		return -X_EPERM;
	if (is_dir && !FSYS_ISDIR(victim->mode))
		return -X_ENOTDIR;
	if (!is_dir && FSYS_ISDIR(victim->mode))
		return -X_EISDIR;
	if (is_dir && victim->ino == FSYS_ROOT_INO)
		return -X_EBUSY;
	return victim->mounted_on ? -X_EBUSY : 0;
}

int fsys_access(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t ino, uint32_t want)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status)
		status = access_check(ip, who, want);
	if (!status && want & FSYS_W && fsys_limits(fs)->read_only && !FSYS_ISDEV(ip->mode) &&
	    (FSYS_ISREG(ip->mode) || FSYS_ISDIR(ip->mode)))
		status = -X_EROFS;
	return op_end(fs, status);
}

/* ---- writing and running ------------------------------------------------------ */

int fsys_begin_use(struct fsys *fs, uint32_t ino, enum fsys_use use)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	if (!status && ip->uses[!use])
		status = -X_ETXTBSY;
	if (!status)
		ip->uses[use]++;
	return op_end(fs, status);
}

void fsys_end_use(struct fsys *fs, uint32_t ino, enum fsys_use use)
{
	struct fsys_node *ip;

	op_begin(fs);
	if (!inode_get(fs, ino, &ip) && ip->uses[use])
		ip->uses[use]--;
	op_end(fs, 0);
}

int fsys_check_use(struct fsys *fs, uint32_t ino)
{
	struct fsys_node *ip;
	int status;

	op_begin(fs);
	status = inode_get(fs, ino, &ip);
	return op_end(fs, !status && ip->uses[FSYS_RUNS] ? -X_ETXTBSY : status);
}
