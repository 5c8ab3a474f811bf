/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctl(2) of loop devices, as loop(4) has them. */
#include "servers/loop/loop.h"

static int64_t take(const struct x_in *in, void *out, uint32_t bytes)
{
	return window_read(in->id, 0, 0, out, bytes) < (int64_t)bytes ? -X_EFAULT : 0;
}

static int64_t give(const struct x_in *in, const void *data, uint32_t bytes)
{
	return window_write(in->id, 0, 0, data, bytes) < (int64_t)bytes ? -X_EFAULT : 0;
}

static void info_of(const struct disk *d, struct loop_info64 *info)
{
	*info = (struct loop_info64){
		.device = d->attr.dev, .inode = d->attr.ino, .rdevice = d->attr.rdev, .offset = d->offset,
		.size_limit = d->size_limit, .number = disk_number(d),
		.flags = (d->read_only ? LOOP_READ_ONLY : 0) | (d->autoclear ? LOOP_AUTOCLEAR : 0),
	};
	memcpy(info->file_name, d->file_name, sizeof(info->file_name));
}

static bool info_is_good(const struct loop_info64 *info)
{
	return !info->encrypt_type && info->offset <= INT64_MAX && info->size_limit <= INT64_MAX;
}

static int64_t set_info(struct disk *d, const struct loop_info64 *info)
{
	if (!info_is_good(info))
		return -X_EINVAL;
	disk_configure(d, info);
	disk_resized(d);
	return 0;
}

static int64_t get_old_info(const struct x_in *in, const struct disk *d)
{
	struct loop_info old;
	struct loop_info64 info;

	info_of(d, &info);
	if (info.offset > INT32_MAX)
		return -X_EOVERFLOW;
	memset(&old, 0, sizeof(old));
	old.number = (int32_t)info.number;
	old.device = info.device;
	old.inode = info.inode;
	old.rdevice = info.rdevice;
	old.offset = (int32_t)info.offset;
	old.flags = (int32_t)info.flags;
	memcpy(old.name, info.file_name, sizeof(old.name));
	return give(in, &old, sizeof(old));
}

static int64_t set_old_info(const struct x_in *in, struct disk *d)
{
	struct loop_info64 info = { 0 };
	struct loop_info old;

	if (take(in, &old, sizeof(old)))
		return -X_EFAULT;
	info.offset = (uint64_t)(int64_t)old.offset;
	info.flags = (uint32_t)old.flags;
	info.encrypt_type = (uint32_t)old.encrypt_type;
	memcpy(info.file_name, old.name, sizeof(info.file_name));
	return set_info(d, &info);
}

static bool block_size_is_good(uint32_t bytes)
{
	return bytes >= SECTOR && bytes <= X_PAGE_SIZE && !(bytes & (bytes - 1));
}

/* What else uses the disk keeps it until it is done, as if asked for at its first use. */
static int64_t clear(struct disk *d)
{
	if (session_count(d) > 1 || d->bind_call)
		d->autoclear = true;
	else
		disk_unbind(d);
	return 0;
}

static int64_t of_bound(const struct x_in *in, struct disk *d)
{
	struct loop_info64 info;

	switch (in->msg.a[0]) {
	case LOOP_CLR_FD:
		return clear(d);
	case LOOP_GET_STATUS64:
		info_of(d, &info);
		return give(in, &info, sizeof(info));
	case LOOP_SET_STATUS64:
		return take(in, &info, sizeof(info)) ? -X_EFAULT : set_info(d, &info);
	case LOOP_GET_STATUS:
		return get_old_info(in, d);
	case LOOP_SET_STATUS:
		return set_old_info(in, d);
	case LOOP_SET_BLOCK_SIZE:
		if (!block_size_is_good((uint32_t)in->msg.a[2]))
			return -X_EINVAL;
		d->block_bytes = (uint32_t)in->msg.a[2];
		disk_resized(d);
		return 0;
	case LOOP_SET_DIRECT_IO:
		return in->msg.a[2] ? -X_EINVAL : 0;
	}
	return -X_EINVAL; /* LOOP_CHANGE_FD among them */
}

/* Answered later, but for an error, which leaves the file to the caller. */
static int64_t bind(const struct x_in *in, struct disk *d)
{
	struct loop_config config = { .block_bytes = SECTOR };

	if (in->handle_count != 1)
		return -X_EBADF;
	if (d->state != DISK_FREE)
		return -X_EBUSY;
	if (in->msg.a[0] == LOOP_CONFIGURE && take(in, &config, sizeof(config)))
		return -X_EFAULT;
	if (!config.block_bytes)
		config.block_bytes = SECTOR;
	if (!block_size_is_good(config.block_bytes) || !info_is_good(&config.info))
		return -X_EINVAL;
	disk_bind(d, in->id, in->handles[0], &config);
	return 0;
}

void control_disk(const struct x_in *in)
{
	struct disk *d = in->msg.a[1] < LOOP_DISKS ? &disks[in->msg.a[1]] : NULL;
	bool binds = in->msg.a[0] == LOOP_SET_FD || in->msg.a[0] == LOOP_CONFIGURE;
	int64_t status = !d ? -X_ENXIO : binds ? bind(in, d) : 0;

	if (d && binds && !status)
		return;
	in_close_handles(in);
	if (d && !binds && d->state == DISK_BOUND && in->msg.a[0] == LOOP_SET_CAPACITY) {
		disk_measure(d, in->id);
		return;
	}
	if (d && !binds)
		status = d->state == DISK_BOUND ? of_bound(in, d) : -X_ENXIO;
	out_status(in->id, status);
}

/* ---- /dev/loop-control ---- */

static int64_t first_free(void)
{
	for (uint32_t i = 0; i < LOOP_DISKS; i++)
		if (disks[i].state == DISK_FREE)
			return i;
	return -X_ENOSPC;
}

void control_call(const struct x_in *in)
{
	int64_t status = -X_ENOTTY;

	if (in->msg.op != FILE_IOCTL) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	switch (in->msg.a[0]) {
	case LOOP_CTL_GET_FREE:
		status = first_free();
		break;
	case LOOP_CTL_ADD: /* all there can be are there */
		status = in->msg.a[1] < LOOP_DISKS ? -X_EEXIST : -X_ENOSPC;
		break;
	case LOOP_CTL_REMOVE:
		status = in->msg.a[1] < LOOP_DISKS ? -X_EBUSY : -X_ENODEV;
		break;
	}
	out_status(in->id, status);
}
