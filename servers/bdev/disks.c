/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What disks and partitions there are. Each driver is asked for its list
 * (BLOCK_LIST), then watched (BLOCK_WATCH): the watch is answered when the list
 * is another one, or the driver has died; both lead to asking again.
 */
#include "servers/bdev/bdev.h"

#include "lib/c/stdio.h"
#include "lib/c/stdlib.h"
#include "lib/ipc/watchers.h"

#define RETRY_NS  500000000ull
#define SETTLE_NS 10000000000ull /* for all drivers to tell what they have */

/* Linux's numbers: 8 for sd, 254 (of its dynamic range) for vd, 16 minors a disk. */
#define MAJOR_SD 8u
#define MAJOR_VD 254u
#define MINORS_PER_DISK 16u

struct node nodes[NODES_MAX];
struct driver drivers[DRIVERS_MAX];
uint32_t driver_count;

static struct {
	uint64_t count;         /* of changes */
	struct watchers watchers;
	struct server_timer retry;
	uint32_t wanted;        /* drivers to be asked again: a bit each */
	uint32_t heard;         /* those that have answered once */
	bool settled;           /* all did, or it took too long: there is a list to tell of */
	struct server_timer settle;
} watch;

/* -------------------------------------------------------------------------- watchers */

static uint32_t fill_nodes(struct bdev_node list[NODES_MAX])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (nodes[i].state == NODE_FREE || !nodes[i].there)
			continue;
		memset(&list[count], 0, sizeof(list[count]));
		strlcpy(list[count].name, nodes[i].name, sizeof(list[count].name));
		list[count++].rdev = nodes[i].rdev;
	}
	return count * sizeof(list[0]);
}

static void answer(uint64_t call_id)
{
	static struct bdev_node list[NODES_MAX];
	struct x_msg msg = { .a = { watch.count } };
	uint32_t bytes = fill_nodes(list);
	int64_t copied = bytes ? window_write(call_id, 0, 0, list, bytes) : 0;

	msg.status = copied < 0 ? (int32_t)copied : (int32_t)(copied - copied % sizeof(list[0]));
	out_answer(call_id, &msg);
}

static void changed(void)
{
	uint64_t call_id;

	if (!watch.settled)
		return;
	watch.count++;
	while ((call_id = watchers_next(&watch.watchers)))
		answer(call_id);
}

void disks_watch(const struct x_in *in)
{
	if (watch.settled && in->msg.a[0] != watch.count)
		answer(in->id);
	else
		watchers_add(&watch.watchers, in->id);
}

bool disks_cancel(uint64_t call_id) { return watchers_cancel(&watch.watchers, call_id); }

/* ----------------------------------------------------------------------------- nodes */

/* 0 for "vda", 1 for "vdb", 26 for "vdaa"; the partition's number behind it. */
static uint32_t disk_index(const char *name, uint32_t *partition)
{
	uint32_t index = 0;

	for (name += 2; *name >= 'a' && *name <= 'z'; name++)
		index = index * 26 + (uint32_t)(*name - 'a') + 1;
	*partition = (uint32_t)strtoul(name, NULL, 10);
	return index ? index - 1 : 0;
}

/* 0: has no place among Linux's numbers. */
static uint64_t rdev_of(const char *name, uint32_t major)
{
	uint32_t partition, index = disk_index(name, &partition);

	if (major == LOOP_MAJOR)
		return (uint64_t)major << 8 | (strtoul(name + 4, NULL, 10) & 0xff);
	if (index >= 256 / MINORS_PER_DISK || partition >= MINORS_PER_DISK)
		return 0;
	return (uint64_t)major << 8 | (index * MINORS_PER_DISK + partition);
}

static struct node *node_named(const char *name)
{
	struct node *unused = NULL;

	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (nodes[i].state != NODE_FREE && !strcmp(nodes[i].name, name))
			return &nodes[i];
		if (nodes[i].state == NODE_FREE && !unused)
			unused = &nodes[i];
	}
	return unused;
}

/* A disk of loop is there for what is to be done to it, even without bytes. */
static bool is_loop(uint32_t driver)
{
	return drivers[driver].major == LOOP_MAJOR;
}

/* "vda1 1048576 2097152 rw label": a line of BLOCK_LIST. */
static void take_line(uint32_t driver, const char *line, const char **disk)
{
	char name[16] = "";
	uint32_t length = 0;
	uint64_t rdev, offset, bytes;
	char *end;
	struct node *n;

	while (line[length] > ' ' && length < sizeof(name) - 1)
		length++;
	memcpy(name, line, length);
	rdev = rdev_of(name, drivers[driver].major);
	offset = strtoull(line + length, &end, 10);
	bytes = strtoull(end, &end, 10);
	n = length > 4 - 2 * !is_loop(driver) && rdev && (bytes || is_loop(driver)) ? node_named(name) : NULL;
	if (!n)
		return;
	if (n->state == NODE_FREE)
		*n = (struct node){ .state = NODE_CLOSED, .rdev = rdev };
	memcpy(n->name, name, sizeof(name));
	if (!offset)
		*disk = n->name;
	strlcpy(n->disk, *disk ? *disk : n->name, sizeof(n->disk));
	n->driver = driver;
	n->there = true;
	n->offset_bytes = offset;
	n->size_bytes = bytes;
	n->read_only = !strncmp(end, " ro", 3);
}

static void take_list(uint32_t driver, char *text, uint32_t bytes)
{
	const char *disk = NULL;

	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (nodes[i].state != NODE_FREE && nodes[i].driver == driver)
			nodes[i].there = false;
	text[bytes] = 0;
	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = 0;
		take_line(driver, line, &disk);
		line = end;
	}
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (nodes[i].state == NODE_CLOSED && !nodes[i].there)
			nodes[i].state = NODE_FREE;
	changed();
}

/* --------------------------------------------------------------------------- drivers */

static void ask(uint32_t driver);

static void ask_later(uint32_t driver)
{
	watch.wanted |= 1u << driver;
	if (!watch.retry.deadline_ns)
		timer_set(&watch.retry, server_now_ns + RETRY_NS);
}

static void settle(void *ctx)
{
	(void)ctx;
	if (watch.settled)
		return;
	timer_clear(&watch.settle);
	watch.settled = true;
	changed();
}

static void heard(uint32_t driver)
{
	watch.heard |= 1u << driver;
	if (watch.heard == (1u << driver_count) - 1)
		settle(NULL);
}

static void retry(void *ctx)
{
	uint32_t wanted = watch.wanted;

	(void)ctx;
	watch.wanted = 0;
	for (uint32_t i = 0; i < driver_count; i++)
		if (wanted >> i & 1)
			ask(i);
}

static void on_changed(void *ctx, const struct x_in *reply)
{
	uint32_t driver = (uint32_t)(uintptr_t)ctx;

	if (reply->msg.status < 0) {
		ask_later(driver); /* it died, or has failed for good: asked again all the same */
		return;
	}
	drivers[driver].changes = reply->msg.a[0];
	ask(driver);
}

static void start_watch(uint32_t driver)
{
	struct x_out *out = out_start(drivers[driver].port, on_changed, (void *)(uintptr_t)driver, NULL);

	out->msg.op = BLOCK_WATCH;
	out->msg.a[0] = drivers[driver].changes;
}

static void on_list(void *ctx, const struct x_in *reply)
{
	uint32_t driver = (uint32_t)(uintptr_t)ctx;
	struct driver *d = &drivers[driver];

	if (reply->msg.status < 0 || reply->msg.status >= (int32_t)sizeof(d->text)) {
		if (reply->msg.status == -X_ENODEV)
			take_list(driver, d->text, 0);
		if (reply->msg.status != -X_EDEAD) /* else the next one will tell */
			heard(driver);
		ask_later(driver);
		return;
	}
	take_list(driver, d->text, (uint32_t)reply->msg.status);
	heard(driver);
	start_watch(driver);
}

static void ask(uint32_t driver)
{
	struct driver *d = &drivers[driver];
	struct x_out *out = out_start(d->port, on_list, (void *)(uintptr_t)driver, NULL);

	out->msg.op = BLOCK_LIST;
	out->win[0] = (struct x_window){ (uintptr_t)d->text, sizeof(d->text) - 1, X_WIN_WRITE };
	out->win_count = 1;
}

static void add_driver(const char *name, uint32_t major)
{
	x_handle_t port = boot_handle(name);

	if (port == X_NO_HANDLE || driver_count == DRIVERS_MAX)
		return;
	drivers[driver_count] = (struct driver){ .port = port, .major = major };
	strlcpy(drivers[driver_count].name, name, sizeof(drivers[0].name));
	ask(driver_count++);
}

void disks_init(void)
{
	static const struct { const char *name; uint32_t major; } kinds[] = {
		{ "virtio_blk", MAJOR_VD }, { "ahci", MAJOR_SD },
	};
	char name[24];

	watch.retry.fn = retry;
	watch.settle.fn = settle;
	timer_set(&watch.settle, server_now_ns + SETTLE_NS);
	for (uint32_t k = 0; k < 2; k++) {
		add_driver(kinds[k].name, kinds[k].major);
		for (uint32_t i = 1; i < DRIVERS_MAX; i++) {
			snprintf(name, sizeof(name), "%s.%u", kinds[k].name, i);
			add_driver(name, kinds[k].major);
		}
	}
	add_driver("loop", LOOP_MAJOR);
}
