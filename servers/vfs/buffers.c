/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for what lies in pipes and sockets: blocks of 4 KiB to 1 MiB, powers
 * of two. A block given back is kept for the next of its size; where there is
 * none a larger one is split. Fresh ones come from a memory object of BUFFERS_TOTAL,
 * in pieces of 64 KiB and more: only what was used once takes memory.
 *
 * The contents are payload: not logged, so not rolled back. Nothing of ours lies
 * in the blocks themselves, and one given back is not used again before the next
 * commit: until then a rollback may want what is in it.
 */

#include "servers/vfs/vfs.h"

enum {
	ORDER_MIN = 12, ORDER_FRESH = 16, ORDER_MAX = 20,
	BUFFERS_TOTAL = 48 << 20,
	BLOCKS_MAX = BUFFERS_TOTAL >> ORDER_MIN,
};

static struct block {
	uint8_t *at;
	uint32_t offset;        /* in the memory */
	uint64_t freed_epoch;   /* 0: long ago */
	uint16_t next;          /* id, in the list of free ones of its order */
	uint8_t order;
} blocks[BLOCKS_MAX];           /* id - 1 */
static uint16_t free_blocks[ORDER_MAX + 1]; /* id, 0: none */
static uint16_t blocks_used;
static uint32_t total_bytes;
static x_handle_t memory;

static uint32_t order_of(uint32_t bytes)
{
	uint32_t order = ORDER_MIN;

	while (order < ORDER_MAX && bytes > 1u << order)
		order++;
	return order;
}

static void push(uint32_t id)
{
	struct block *b = &blocks[id - 1];

	b->next = free_blocks[b->order];
	free_blocks[b->order] = (uint16_t)id;
}

static bool add(uint8_t *at, uint32_t offset, uint32_t order)
{
	if (blocks_used == BLOCKS_MAX)
		return false;
	blocks[blocks_used] = (struct block){ .at = at, .offset = offset, .order = (uint8_t)order };
	push(++blocks_used);
	return true;
}

static bool add_fresh(uint32_t order)
{
	uint32_t bytes = 1u << order, offset = total_bytes;
	void *at = bytes <= BUFFERS_TOTAL - total_bytes ? sys_map(memory, offset, bytes) : NULL;

	if (!at)
		return false;
	total_bytes += bytes;
	return add(at, offset, order);
}

static bool may_be_wanted(uint32_t id)
{
	return blocks[id - 1].freed_epoch && blocks[id - 1].freed_epoch == server_epoch();
}

static uint32_t pop(uint32_t order)
{
	uint16_t *link = &free_blocks[order];
	uint32_t id;

	while (*link && may_be_wanted(*link))
		link = &blocks[*link - 1].next;
	id = *link;
	if (id)
		*link = blocks[id - 1].next;
	return id;
}

static uint32_t pop_at_least(uint32_t order)
{
	uint32_t id = 0;

	for (; order <= ORDER_MAX && !id; order++)
		id = pop(order);
	return id;
}

uint32_t buffer_get(uint32_t bytes)
{
	uint32_t order = order_of(bytes), id = pop_at_least(order);
	struct block *b;

	if (!id && add_fresh(order > ORDER_FRESH ? order : ORDER_FRESH))
		id = pop_at_least(order);
	if (!id)
		return 0;
	b = &blocks[id - 1];
	while (b->order > order) {
		uint32_t half = 1u << (b->order - 1);

		if (!add(b->at + half, b->offset + half, b->order - 1u))
			break;
		b->order--;
	}
	return id;
}

uint8_t *buffer_at(uint32_t id)
{
	return blocks[id - 1].at;
}

uint32_t buffer_bytes(uint32_t id)
{
	return 1u << blocks[id - 1].order;
}

void buffer_put(uint32_t id)
{
	if (!id)
		return;
	blocks[id - 1].freed_epoch = server_epoch();
	push(id);
}

x_handle_t buffer_memory(void)
{
	return memory;
}

uint64_t buffer_offset(uint32_t id)
{
	return blocks[id - 1].offset;
}

void buffers_init(void)
{
	int64_t h = sys_memory(BUFFERS_TOTAL);

	if (h < 0)
		server_die("no memory for pipes");
	memory = (x_handle_t)h;
}
