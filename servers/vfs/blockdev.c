/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks and partitions in /dev: which there are, bdev tells (BDEV_WATCH, which
 * it answers when the list is another one); opening one is its affair.
 */

#include "servers/vfs/vfs.h"

enum { NODES_MAX = 48, RETRY_NS = 1000000000 };
#define SETTLE_NS 12000000000ull /* bdev's own patience, and some: programs start without disks in /dev after that */

static struct {
	x_handle_t bdev;
	uint64_t count;         /* of the list known */
	struct bdev_node list[NODES_MAX];
	struct server_timer retry, settle;
	bool unsettled;
} block;

static void watch(void *ctx);

static void settle(void *ctx)
{
	(void)ctx;
	timer_clear(&block.settle);
	block.unsettled = false;
	requests_resume();
}

bool blockdev_settled(void)
{
	return !block.unsettled;
}

static bool name_is_sane(const char *name, size_t size)
{
	size_t length = strnlen(name, size);

	if (!length || length == size)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9'))
			return false;
	return true;
}

static void on_list(void *ctx, const struct x_in *reply)
{
	int64_t bytes = reply->msg.status;
	uint32_t count = 0;

	(void)ctx;
	if (bytes < 0 || bytes > (int64_t)sizeof(block.list)) {
		block.count = 0; /* it died: what there is stays in the list meanwhile */
		timer_set(&block.retry, server_now_ns + RETRY_NS);
		return;
	}
	block.count = reply->msg.a[0];
	for (uint32_t i = 0; i < (uint32_t)bytes / sizeof(block.list[0]); i++)
		if (name_is_sane(block.list[i].name, sizeof(block.list[i].name)))
			block.list[count++] = block.list[i];
	devfs_set_blocks(block.list, count);
	if (block.unsettled)
		settle(NULL);
	watch(NULL);
}

static void watch(void *ctx)
{
	struct x_out *out = out_start(block.bdev, on_list, NULL, NULL);

	(void)ctx;
	out->msg.op = BDEV_WATCH;
	out->msg.a[0] = block.count;
	out->win[0] = (struct x_window){ (uintptr_t)block.list, sizeof(block.list), X_WIN_WRITE };
	out->win_count = 1;
}

void blockdev_init(void)
{
	block.bdev = boot_handle("bdev");
	block.retry.fn = watch;
	block.settle.fn = settle;
	if (block.bdev == X_NO_HANDLE)
		return;
	block.unsettled = true;
	timer_set(&block.settle, server_now_ns + SETTLE_NS);
	watch(NULL);
}

void blockdev_open(struct request *r, uint64_t rdev, uint32_t flags)
{
	struct x_msg msg = { .op = DEV_OPEN, .a = { rdev, flags, r->koid } };

	if (block.bdev == X_NO_HANDLE)
		request_finish(r, -X_ENXIO);
	else
		request_handle_call(r, REQUEST_CALL, 0, block.bdev, &msg, NULL, 0);
}
