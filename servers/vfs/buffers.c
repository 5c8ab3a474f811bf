/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for what lies in pipes and sockets: blocks of 4 KiB to 1 MiB, powers of two, in
 * chunks of 64 KiB, or of one larger block. Each chunk is a memory object of its own.
 * One in which nothing has been used for a while is given back (trim(), by timer).
 *
 * The contents are payload: not logged, so not rolled back. Nothing of ours lies
 * in the blocks themselves, and one given back is not used again before the next
 * commit: until then a rollback may want what is in it. A chunk goes with a commit,
 * and what came since the last one is taken back by the kernel.
 */

#include "servers/vfs/vfs.h"

enum {
	ORDER_MIN = 12, ORDER_CHUNK = 16, ORDER_MAX = 20,
	ORDERS = ORDER_CHUNK - ORDER_MIN + 1,
	BUFFERS_TOTAL = 48 << 20,
	CHUNKS_MAX = BUFFERS_TOTAL >> ORDER_CHUNK,
	PAGES = 1 << (ORDER_CHUNK - ORDER_MIN), /* of a chunk that is split */
	TRIM_AT_ONCE = 128,
};
#define TRIM_PERIOD_NS (500ull * 1000 * 1000)

struct block {                          /* begins at a page of a chunk; id = chunk * PAGES + page + 1 */
	uint64_t freed_epoch;           /* free: since */
	uint8_t order;
	uint8_t next;                   /* page + 1, in the list of free ones of its order */
};
static struct chunk {
	uint8_t *at;                    /* NULL: there is none */
	x_handle_t memory;
	uint8_t order;                  /* above ORDER_CHUNK it is one block */
	uint8_t used;                   /* blocks */
	uint8_t rested;                 /* a trim has found it unused */
	uint64_t emptied_epoch;         /* nothing of it is used: since */
	uint8_t free[ORDERS];           /* page + 1 of the first free block, by order; one block: [0] */
	struct block blocks[PAGES];
} chunks[CHUNKS_MAX];
static uint32_t chunks_end;             /* none from here on */
static uint32_t total_bytes;
static struct server_timer trim_timer;

static uint32_t order_of(uint32_t bytes)
{
	uint32_t order = ORDER_MIN;

	while (order < ORDER_MAX && bytes > 1u << order)
		order++;
	return order;
}

static uint8_t *list_of(struct chunk *c, uint32_t order)
{
	return &c->free[c->order > ORDER_CHUNK ? 0 : order - ORDER_MIN];
}

static void push(struct chunk *c, uint32_t page, uint32_t order, uint64_t freed_epoch)
{
	uint8_t *list = list_of(c, order);

	c->blocks[page] = (struct block){ .freed_epoch = freed_epoch, .order = (uint8_t)order, .next = *list };
	*list = (uint8_t)(page + 1);
}

/* All of it is one block that nobody has. */
static void make_whole(struct chunk *c)
{
	memset(c->free, 0, sizeof(c->free));
	push(c, 0, c->order, 0);
}

/* ---- chunks come and go ---- */

static struct chunk *add_chunk(uint32_t order)
{
	uint32_t bytes = 1u << order;
	struct chunk *c = chunks;
	int64_t memory;

	while (c < chunks + chunks_end && c->at)
		c++;
	if (c == chunks + CHUNKS_MAX || bytes > BUFFERS_TOTAL - total_bytes)
		return NULL;
	memory = sys_memory(bytes);
	if (memory < 0)
		return NULL;
	c->at = sys_map((x_handle_t)memory, 0, bytes);
	if (!c->at) {
		out_close((x_handle_t)memory);
		return NULL;
	}
	c->memory = (x_handle_t)memory;
	c->order = (uint8_t)order;
	c->used = c->rested = 0;
	make_whole(c);
	total_bytes += bytes;
	if (c == chunks + chunks_end)
		chunks_end++;
	return c;
}

static void remove_chunk(struct chunk *c)
{
	sys_unmap_later(c->at, 1u << c->order);
	out_close(c->memory);
	c->at = NULL;
	total_bytes -= 1u << c->order;
	while (chunks_end && !chunks[chunks_end - 1].at)
		chunks_end--;
}

/* Twice found without use: for half a period at least. */
static void trim(void *ctx)
{
	uint32_t removed = 0;
	bool again = false;

	(void)ctx;
	for (struct chunk *c = chunks; c < chunks + chunks_end; c++) {
		if (!c->at || c->used)
			continue;
		if (removed == TRIM_AT_ONCE || !c->rested) {
			c->rested = 1;
			again = true;
		} else {
			remove_chunk(c);
			removed++;
		}
	}
	if (again)
		timer_set(&trim_timer, server_now_ns + TRIM_PERIOD_NS);
}

/* ---- blocks ---- */

/* Takes a free block of a list out of it, one that no rollback may want. Its page, or -1. */
static int take_free(struct chunk *c, uint8_t *link)
{
	for (; *link; link = &c->blocks[*link - 1].next) {
		int page = *link - 1;

		if (c->blocks[page].freed_epoch && c->blocks[page].freed_epoch == server_epoch())
			continue;
		*link = c->blocks[page].next;
		return page;
	}
	return -1;
}

/* The smallest that will do, the rest of it in halves. Its id, or 0. */
static uint32_t take(struct chunk *c, uint32_t order)
{
	uint32_t have = order;
	int page = -1;

	if (!c->at || (order > ORDER_CHUNK ? c->order != order : c->order != ORDER_CHUNK))
		return 0;
	if (order > ORDER_CHUNK)
		page = take_free(c, c->free);
	for (; order <= ORDER_CHUNK && page < 0 && have <= ORDER_CHUNK; have += page < 0)
		page = take_free(c, list_of(c, have));
	if (page < 0)
		return 0;
	while (have > order) {
		have--;
		push(c, (uint32_t)page + (1u << (have - ORDER_MIN)), have, 0);
	}
	c->blocks[page].order = (uint8_t)order;
	c->used++;
	c->rested = 0;
	return (uint32_t)(c - chunks) * PAGES + (uint32_t)page + 1;
}

uint32_t buffer_get(uint32_t bytes)
{
	uint32_t order = order_of(bytes), id = 0;
	struct chunk *c;

	for (c = chunks; c < chunks + chunks_end && !id; c++)
		id = take(c, order);
	for (c = chunks; c < chunks + chunks_end && !id; c++) { /* in pieces, but none of them is used */
		if (!c->at || c->used || c->emptied_epoch == server_epoch())
			continue;
		make_whole(c);
		id = take(c, order);
	}
	if (id)
		return id;
	c = add_chunk(order > ORDER_CHUNK ? order : ORDER_CHUNK);
	return c ? take(c, order) : 0;
}

static struct chunk *chunk_of(uint32_t id)
{
	return &chunks[(id - 1) / PAGES];
}

uint8_t *buffer_at(uint32_t id)
{
	return chunk_of(id)->at + buffer_offset(id);
}

uint32_t buffer_bytes(uint32_t id)
{
	return 1u << chunk_of(id)->blocks[(id - 1) % PAGES].order;
}

void buffer_put(uint32_t id)
{
	uint32_t page = (id - 1) % PAGES;
	struct chunk *c;

	if (!id)
		return;
	c = chunk_of(id);
	push(c, page, c->blocks[page].order, server_epoch());
	c->used--;
	c->emptied_epoch = server_epoch();
	if (!c->used && !trim_timer.deadline_ns) {
		trim_timer.fn = trim;
		timer_set(&trim_timer, server_now_ns + TRIM_PERIOD_NS);
	}
}

bool buffers_plenty(void)
{
	return total_bytes <= BUFFERS_TOTAL / 2;
}

x_handle_t buffer_memory(uint32_t id)
{
	return chunk_of(id)->memory;
}

uint64_t buffer_offset(uint32_t id)
{
	return (uint64_t)((id - 1) % PAGES) << ORDER_MIN;
}
