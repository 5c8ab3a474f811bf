/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files as memory objects, for programs to map and run. The kernel keeps the
 * pages; it asks for those that are missing (X_IN_PAGE).
 *
 * An object shows its file as it is when a page is first wanted. When the
 * file's bytes change, the object is stale: who maps the file afterwards gets
 * a new one, who has it mapped keeps it. An object that nobody maps is kept
 * for the next program to be run, until memory or slots are short.
 */

#include "fs/minix/server.h"

enum {
	OBJECTS_MAX = 256,
	PAGE_REQUESTS_MAX = 512,
	AROUND_BYTES = 64 * 1024,       /* given at once around a missing page */
};

struct page_object {
	uint32_t ino;                   /* 0: free. The inode is held */
	uint32_t generation;
	uint64_t bytes;                 /* whole pages */
	x_handle_t memory;
	bool stale;
	uint64_t last_use;
};

struct page_request {
	bool used;
	uint64_t object;
	uint64_t offset;
	uint64_t bytes;
};

static struct page_object objects[OBJECTS_MAX];
static struct page_request requests[PAGE_REQUESTS_MAX];
static uint32_t request_count;
static uint64_t use_clock;
static uint8_t bounce[AROUND_BYTES];

/* ---- objects ---------------------------------------------------------------------- */

static bool is_idle(const struct page_object *object)
{
	struct x_handle_info info;

	return !x_handle_info(object->memory, &info) && info.refs <= 1;
}

static void drop(struct page_object *object)
{
	out_close(object->memory);
	minix_release(&fs, object->ino, 1);
	object->ino = 0;
}

static struct page_object *find_by_ino(uint32_t ino)
{
	uint32_t i;

	for (i = 0; i < OBJECTS_MAX; i++)
		if (objects[i].ino == ino && !objects[i].stale)
			return &objects[i];
	return NULL;
}

static uint64_t object_id(const struct page_object *object)
{
	return (uint64_t)object->generation << 32 | (object - objects + 1);
}

static struct page_object *find_by_id(uint64_t id)
{
	uint32_t slot = (uint32_t)id - 1;

	if (slot >= OBJECTS_MAX || !objects[slot].ino ||
	    objects[slot].generation != id >> 32)
		return NULL;
	return &objects[slot];
}

/* A free slot, if need be that of the idle object used longest ago. */
static struct page_object *take_slot(void)
{
	struct page_object *oldest = NULL;
	uint32_t i;

	for (i = 0; i < OBJECTS_MAX; i++) {
		struct page_object *object = &objects[i];

		if (!object->ino)
			return object;
		if ((!oldest || object->last_use < oldest->last_use) &&
		    is_idle(object))
			oldest = object;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

static int64_t make_object(uint32_t ino, uint64_t size_bytes,
			   struct page_object **out)
{
	struct page_object *object = take_slot();
	struct x_mem_create create = { .flags = X_MEM_PAGED, .port = server_port };
	int64_t memory;
	int status;

	if (!object)
		return -X_ENFILE;
	status = minix_hold(&fs, ino);
	if (status)
		return status;
	object->generation++;
	object->bytes = (size_bytes + X_PAGE_SIZE - 1) & ~(uint64_t)(X_PAGE_SIZE - 1);
	if (!object->bytes)
		object->bytes = X_PAGE_SIZE;
	create.bytes = object->bytes;
	create.id = object_id(object);
	memory = x_mem_create(&create);
	if (memory < 0) {
		minix_release(&fs, ino, 1);
		return memory;
	}
	object->ino = ino;
	object->memory = memory;
	object->stale = false;
	*out = object;
	return 0;
}

int64_t page_object(uint32_t ino, uint64_t size_bytes)
{
	struct page_object *object = find_by_ino(ino);
	int64_t status;

	if (!object) {
		status = make_object(ino, size_bytes, &object);
		if (status)
			return status;
	}
	object->last_use = ++use_clock;
	return x_handle_dup(object->memory, X_R_READ | X_R_EXEC | X_R_DUP |
			    X_R_TRANSFER, X_SLOT_NATIVE, 0);
}

void page_file_changed(uint32_t ino)
{
	struct page_object *object = find_by_ino(ino);

	if (object)
		object->stale = true;
}

void page_tidy(bool hard)
{
	uint32_t i;

	for (i = 0; i < OBJECTS_MAX; i++) {
		struct page_object *object = &objects[i];
		struct minix_attr attr;

		if (!object->ino)
			continue;
		if (!hard && !object->stale &&
		    (minix_getattr(&fs, object->ino, &attr) || attr.link_count))
			continue;
		if (is_idle(object))
			drop(object);
	}
}

/* ---- missing pages ------------------------------------------------------------------ */

void page_missing(const struct x_in *in)
{
	struct page_object *object = find_by_id(in->object);
	uint32_t i;

	if (!object)
		return;         /* nobody maps it any more */
	for (i = 0; i < PAGE_REQUESTS_MAX; i++) {
		struct page_request *request = &requests[i];

		if (request->used)
			continue;
		request->used = true;
		request->object = in->object;
		request->offset = in->msg.a[0];
		request->bytes = in->msg.a[1];
		request_count++;
		server_progress();
		return;
	}
	x_mem_supply(object->memory, in->msg.a[0], NULL, in->msg.a[1], -X_EIO);
}

static int copy_out(void *ctx, uint32_t offset, void *data, uint32_t length)
{
	memcpy((uint8_t *)ctx + offset, data, length);
	return 0;
}

/* Reads into the bounce buffer; behind the file's end there are zeros. */
static int read_pages(uint32_t ino, uint64_t offset, uint32_t length)
{
	struct minix_caller nobody = { .time_sec = server_time_sec() };
	uint32_t done = 0;

	while (done < length) {
		int64_t n = minix_read(&fs, &nobody, ino, offset + done,
				       length - done, copy_out, bounce + done);

		if (n < 0)
			return n;
		if (!n)
			break;
		done += n;
	}
	memset(bounce + done, 0, length - done);
	return 0;
}

/* The pages around a missing one: 0, or -X_EWAIT, or why they can't be had. */
static int supply(struct page_object *object, uint64_t offset, uint64_t bytes)
{
	uint64_t start = offset & ~(uint64_t)(AROUND_BYTES - 1);
	uint64_t end = offset + bytes;

	while (start < end && start < object->bytes) {
		uint64_t length = object->bytes - start;
		int status;

		if (length > AROUND_BYTES)
			length = AROUND_BYTES;
		status = read_pages(object->ino, start, length);
		if (!status)
			status = x_mem_supply(object->memory, start, bounce, length, 0);
		if (status)
			return status;
		start += length;
	}
	return 0;
}

/* True if a new iteration will help one that waits. */
bool page_run_all(void)
{
	bool again = false;
	uint32_t i, seen = 0, count = request_count;

	for (i = 0; i < PAGE_REQUESTS_MAX && seen < count; i++) {
		struct page_request *request = &requests[i];
		struct page_object *object;
		int status = 0;

		if (!request->used)
			continue;
		seen++;
		object = find_by_id(request->object);
		if (object)
			status = supply(object, request->offset, request->bytes);
		again |= status == -X_EAGAIN;
		if (status == -X_EWAIT || status == -X_EAGAIN)
			continue;
		if (status)
			x_mem_supply(object->memory, request->offset, NULL,
				     request->bytes, -X_EIO);
		request->used = false;
		request_count--;
	}
	return again;
}
