/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFSCTL_MAPPED: whose contents memory objects are, for /proc/N/maps. The filesystems
 * are asked one after the other; phase is the mount's slot. r->path has the ids, r->text
 * what one filesystem says, r->data what is known so far.
 */

#include "servers/vfs/vfs.h"

_Static_assert(FS_MAPPED_MAX * sizeof(struct fs_mapped) <= BUFFER_BYTES, "an answer fits a request's buffer");

static void ask_from(struct request *r, uint32_t slot)
{
	struct fs_call *call;

	while (slot < MOUNTS_MAX && (mounts[slot].internal || mount_is_bind(&mounts[slot]) || !mounts[slot].attached ||
				     mounts[slot].state != MOUNT_READY))
		slot++;
	if (slot == MOUNTS_MAX) {
		request_finish_data(r, 1, r->data, r->data_bytes, 0);
		return;
	}
	memset(r->text, 0, sizeof(r->text));
	call = request_prepare(r, &mounts[slot], FS_MAPPED, mounts[slot].root);
	call->path = r->path;
	call->path_bytes = r->name_bytes;
	call->data = r->text;
	call->data_bytes = r->data_bytes;
	call->data_write = true;
	request_call(r, (uint8_t)slot);
}

void mapped_start(struct request *r)
{
	uint32_t bytes = request_window(r, 0), count = bytes / (uint32_t)sizeof(uint64_t);

	if (!count || count > FS_MAPPED_MAX || bytes % sizeof(uint64_t) ||
	    request_window(r, 1) < count * sizeof(struct fs_mapped)) {
		request_finish(r, -X_EINVAL);
		return;
	}
	if (window_read(r->call_id, 0, 0, r->path, bytes) != bytes) {
		request_finish(r, -X_EFAULT);
		return;
	}
	r->name_bytes = bytes;
	r->data_bytes = count * (uint32_t)sizeof(struct fs_mapped);
	memset(r->data, 0, r->data_bytes);
	ask_from(r, 0);
}

/* The filesystem's path behind that of its mount; too long together: none. */
static void take(struct fs_mapped *to, const struct fs_mapped *from, const struct mount *m)
{
	const char *point = strcmp(m->path, "/") == 0 ? "" : m->path;
	size_t before = strlen(point), after = strnlen(from->path, sizeof(from->path));

	to->ino = from->ino;
	to->dev = m->id;
	if (from->path[0] != '/' || before + after >= sizeof(to->path))
		return;
	memcpy(to->path, point, before);
	memcpy(to->path + before, from->path, after);
}

/* Who can't say has none. */
void mapped_called(struct request *r)
{
	struct fs_mapped *known = (struct fs_mapped *)r->data;
	const struct fs_mapped *said = (const struct fs_mapped *)r->text;

	for (uint32_t i = 0; r->call.status >= 0 && i < r->data_bytes / sizeof(*known); i++)
		if (!known[i].ino && said[i].ino)
			take(&known[i], &said[i], &mounts[r->phase]);
	ask_from(r, r->phase + 1u);
}
