/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversions between native and Linux structures; no calls, no state.
 */
#include "personality/linux/pers.h"

#define NS_PER_S 1000000000ull

struct linux_timespec to_timespec(uint64_t ns)
{
	return (struct linux_timespec){ (int64_t)(ns / NS_PER_S), (int64_t)(ns % NS_PER_S) };
}

struct linux_timeval to_timeval(uint64_t ns)
{
	return (struct linux_timeval){ (int64_t)(ns / NS_PER_S), (int64_t)(ns % NS_PER_S / 1000) };
}

/* Seconds beyond what 64 bits of nanoseconds hold are "for ever". */
static uint64_t to_ns(uint64_t sec, uint64_t ns)
{
	if (sec >= X_FOREVER / NS_PER_S)
		return X_FOREVER;
	return sec * NS_PER_S + ns;
}

bool convert_timespec(const struct linux_timespec *t, uint64_t *ns)
{
	if (t->sec < 0 || t->nsec < 0 || t->nsec >= (int64_t)NS_PER_S)
		return false;
	*ns = to_ns((uint64_t)t->sec, (uint64_t)t->nsec);
	return true;
}

bool convert_timeval(const struct linux_timeval *t, uint64_t *ns)
{
	if (t->sec < 0 || t->usec < 0 || t->usec >= 1000000)
		return false;
	*ns = to_ns((uint64_t)t->sec, (uint64_t)t->usec * 1000);
	return true;
}

uint64_t deadline_after(uint64_t now_ns, uint64_t ns)
{
	return ns >= X_FOREVER - now_ns ? X_FOREVER : now_ns + ns;
}

void convert_stat(struct linux_stat *out, const struct file_attr *in)
{
	memset(out, 0, sizeof(*out));
	out->dev = in->dev;
	out->ino = in->ino;
	out->nlink = in->nlink;
	out->mode = in->mode;
	out->uid = in->uid;
	out->gid = in->gid;
	out->rdev = in->rdev;
	out->size = (int64_t)in->size;
	out->blksize = (int64_t)in->block_bytes;
	out->blocks = (int64_t)in->blocks;
	out->atime = in->atime_ns / NS_PER_S;
	out->atime_ns = in->atime_ns % NS_PER_S;
	out->mtime = in->mtime_ns / NS_PER_S;
	out->mtime_ns = in->mtime_ns % NS_PER_S;
	out->ctime = in->ctime_ns / NS_PER_S;
	out->ctime_ns = in->ctime_ns % NS_PER_S;
}

static struct linux_statx_time statx_time(uint64_t ns)
{
	return (struct linux_statx_time){ (int64_t)(ns / NS_PER_S), (uint32_t)(ns % NS_PER_S), 0 };
}

void convert_statx(struct linux_statx *out, const struct file_attr *in)
{
	memset(out, 0, sizeof(*out));
	out->mask = STATX_BASIC_STATS;
	out->blksize = (uint32_t)in->block_bytes;
	out->nlink = in->nlink;
	out->uid = in->uid;
	out->gid = in->gid;
	out->mode = (uint16_t)in->mode;
	out->ino = in->ino;
	out->size = in->size;
	out->blocks = in->blocks;
	out->atime = statx_time(in->atime_ns);
	out->ctime = statx_time(in->ctime_ns);
	out->mtime = statx_time(in->mtime_ns);
	out->rdev_major = (uint32_t)(in->rdev >> 8) & 0xfff;
	out->rdev_minor = (uint32_t)in->rdev & 0xff;
	out->dev_major = (uint32_t)(in->dev >> 8) & 0xfff;
	out->dev_minor = (uint32_t)in->dev & 0xff;
}

void convert_statfs(struct linux_statfs *out, const struct file_statfs *in)
{
	memset(out, 0, sizeof(*out));
	out->type = (int64_t)in->type;
	out->bsize = (int64_t)in->block_bytes;
	out->frsize = (int64_t)in->block_bytes;
	out->blocks = in->blocks;
	out->bfree = in->blocks_free;
	out->bavail = in->blocks_free;
	out->files = in->files;
	out->ffree = in->files_free;
	out->fsid = in->fsid;
	out->namelen = (int64_t)in->name_max;
	out->flags = (int64_t)in->flags;
}

/* The status word of wait4 as waitid tells it. */
void convert_wait_status(struct linux_siginfo *info, uint32_t pid, uint32_t status)
{
	memset(info, 0, sizeof(*info));
	if (pid == 0)
		return; /* WNOHANG and nothing there */
	info->signo = SIGCHLD;
	info->child.pid = (int32_t)pid;
	if (status == 0xffff) {
		info->code = CLD_CONTINUED;
		info->child.status = SIGCONT;
	} else if ((status & 0xff) == 0x7f) {
		info->code = CLD_STOPPED;
		info->child.status = (status >> 8) & 0xff;
	} else if ((status & 0x7f) == 0) {
		info->code = CLD_EXITED;
		info->child.status = (status >> 8) & 0xff;
	} else {
		info->code = status & 0x80 ? CLD_DUMPED : CLD_KILLED;
		info->child.status = status & 0x7f;
	}
}
