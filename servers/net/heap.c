/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's heap and ours: blocks of fixed sizes, one free list a size. Nothing is
 * joined or split again, so a block that was once of a size stays so: what a
 * rollback revives finds its bytes where they were. Bounded by HEAP_MAX.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

#define HEAP_MAX   (24u << 20)
#define ARENA_STEP (256u << 10)
#define SMALLEST_SHIFT 6u
#define CLASSES 12u /* 64 bytes to 128 KiB, header included */

struct block {
	struct block *next;
	uint32_t class_index;
	uint32_t in_use;
};
_Static_assert(sizeof(struct block) == 16, "what follows is aligned to 16");

static struct block *free_blocks[CLASSES];
static uint8_t *arena, *arena_end;
static uint64_t arena_bytes, used_bytes;

static uint32_t class_of(size_t bytes)
{
	uint32_t class_index = 0;

	while (class_index < CLASSES && ((size_t)1 << (class_index + SMALLEST_SHIFT)) < bytes)
		class_index++;
	return class_index;
}

static struct block *carve(uint32_t class_index)
{
	size_t bytes = (size_t)1 << (class_index + SMALLEST_SHIFT);
	struct block *b;

	if ((size_t)(arena_end - arena) < bytes) {
		if (arena_bytes + ARENA_STEP > HEAP_MAX)
			return NULL;
		arena = server_memory(ARENA_STEP);
		arena_end = arena + ARENA_STEP;
		arena_bytes += ARENA_STEP;
	}
	b = (struct block *)arena;
	arena += bytes;
	b->class_index = class_index;
	return b;
}

static uint64_t block_bytes(const struct block *b) { return 1ull << (b->class_index + SMALLEST_SHIFT); }

static struct block *take(uint32_t class_index)
{
	struct block *b = free_blocks[class_index];

	if (b)
		free_blocks[class_index] = b->next;
	return b;
}

void *heap_allocate(size_t bytes)
{
	uint32_t class_index = class_of(bytes + sizeof(struct block));
	struct block *b;

	if (class_index >= CLASSES)
		return NULL;
	b = take(class_index);
	if (!b)
		b = carve(class_index);
	while (!b && ++class_index < CLASSES) /* all is cut up: a larger one will do */
		b = take(class_index);
	if (!b)
		return NULL;
	b->in_use = 1;
	used_bytes += block_bytes(b);
	return b + 1;
}

uint64_t heap_left(void) { return used_bytes < HEAP_MAX / 2 ? HEAP_MAX / 2 - used_bytes : 0; }
bool heap_is_short(void) { return used_bytes > HEAP_MAX / 2; }

void *heap_allocate_zeroed(size_t count, size_t bytes)
{
	void *p = heap_allocate(count * bytes);

	return p ? memset(p, 0, count * bytes) : NULL;
}

void heap_free(void *memory)
{
	struct block *b = (struct block *)memory - 1;

	if (!memory)
		return;
	if (b->in_use != 1 || b->class_index >= CLASSES)
		server_die("heap: %p freed twice, or never allocated", memory);
	b->in_use = 0;
	used_bytes -= block_bytes(b);
	b->next = free_blocks[b->class_index];
	free_blocks[b->class_index] = b;
}
