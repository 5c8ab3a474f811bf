/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files as memory objects, for exec and private mappings.
 *
 * Each object is a snapshot of a file, filled page by page as it is touched
 * and shared by all who map it. A write to the file ends the object's use for
 * new mappings; old ones keep what they have. An object is let go when nobody
 * but us refers to it and a place is needed.
 */
#include "fs/minix/server.h"
#include "lib/c/string.h"

#define OBJECTS_MAX 256u
#define OUR_REFS 1u

struct pages {
	x_handle_t memory;          /* 0: free */
	uint64_t id;
	uint32_t ino;
	bool stale;
	uint64_t size_bytes, last_use;
};

static struct pages objects[OBJECTS_MAX];
static uint64_t next_id = 1;

static bool unused(const struct pages *p)
{
	struct x_handle_info info;

	return x_handle_info(p->memory, &info) == 0 && info.refs <= OUR_REFS;
}

static void let_go(struct pages *p)
{
	x_handle_close(p->memory);
	minix_release(volume, p->ino, 1);
	memset(p, 0, sizeof(*p));
}

static struct pages *place(void)
{
	struct pages *oldest = NULL;

	for (uint32_t i = 0; i < OBJECTS_MAX; i++) {
		struct pages *p = &objects[i];

		if (p->memory && p->stale && unused(p))
			let_go(p);
		if (!p->memory)
			return p;
		if (unused(p) && (!oldest || p->last_use < oldest->last_use))
			oldest = p;
	}
	if (oldest)
		let_go(oldest);
	return oldest;
}

static struct pages *find(uint32_t ino, uint64_t size_bytes)
{
	for (uint32_t i = 0; i < OBJECTS_MAX; i++) {
		struct pages *p = &objects[i];

		if (p->memory && !p->stale && p->ino == ino && p->size_bytes == size_bytes)
			return p;
	}
	return NULL;
}

static int64_t make(uint32_t ino, uint64_t size_bytes, struct pages **out)
{
	struct x_mem_create c = {
		.bytes = size_bytes ? size_bytes : 1, .flags = X_MEM_PAGED, .port = server_port, .id = next_id,
	};
	struct pages *p = place();
	int64_t h;

	if (!p)
		return -X_ENFILE;
	h = minix_hold(volume, ino);
	if (h)
		return h;
	h = x_mem_create(&c);
	if (h < 0) {
		minix_release(volume, ino, 1);
		return h;
	}
	*p = (struct pages){
		.memory = (x_handle_t)h, .id = next_id++, .ino = ino, .size_bytes = size_bytes,
	};
	*out = p;
	return 0;
}

int64_t pages_object(uint32_t ino, uint64_t size_bytes)
{
	struct pages *p = find(ino, size_bytes);

	if (!p) {
		int64_t status = make(ino, size_bytes, &p);

		if (status)
			return status;
	}
	p->last_use = server_now_ns;
	return x_handle_dup(p->memory, X_R_READ | X_R_EXEC | X_R_DUP | X_R_TRANSFER, X_SLOT_NATIVE, 0);
}

void pages_changed(uint32_t ino)
{
	for (uint32_t i = 0; i < OBJECTS_MAX; i++)
		if (objects[i].memory && objects[i].ino == ino)
			objects[i].stale = true;
}

/* ---- page requests ---- */

static int to_page(void *ctx, uint32_t offset, void *data, uint32_t bytes)
{
	memcpy((uint8_t *)ctx + offset, data, bytes);
	return 0;
}

/* r->progress: bytes supplied of the a[1] wanted from a[0]. A page is read
 * whole before it is given: nothing of it need outlast a miss. */
static int64_t do_pages(struct request *r)
{
	static uint8_t page[X_PAGE_SIZE];
	struct pages *p = NULL;

	for (uint32_t i = 0; i < OBJECTS_MAX; i++)
		if (objects[i].memory && objects[i].id == r->in.object)
			p = &objects[i];
	r->answered = true;
	if (!p)
		return 0;
	while (r->progress < r->in.msg.a[1]) {
		uint64_t at = r->in.msg.a[0] + r->progress;
		uint32_t have = 0;
		int64_t n = 1;

		while (have < sizeof(page) && n > 0) {
			n = minix_read(volume, &r->who, p->ino, at + have, sizeof(page) - have, to_page,
				       page + have);
			if (n == -X_EWAIT || n == -X_EAGAIN)
				return n;
			if (n > 0)
				have += n;
		}
		memset(page + have, 0, sizeof(page) - have);
		n = x_mem_supply(p->memory, at, page, sizeof(page), n < 0 ? -X_EIO : 0);
		if (n < 0)
			server_log("page at %llu of inode %u not supplied: error %d", (unsigned long long)at,
				   p->ino, (int)n);
		r->progress += sizeof(page);
	}
	return 0;
}

void pages_wanted(const struct x_in *in)
{
	struct request *r = request_new(in, do_pages);

	if (!r) {
		for (uint32_t i = 0; i < OBJECTS_MAX; i++)
			if (objects[i].memory && objects[i].id == in->object)
				x_mem_supply(objects[i].memory, in->msg.a[0], NULL, in->msg.a[1], -X_EIO);
		return;
	}
	who_is(r, 0, 0);
	request_start(r);
}
