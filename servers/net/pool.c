/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool of payload to send: one contiguous memory object, mapped for every
 * network device, cut into headers, small chunks and large chunks. Bytes are
 * copied into a chunk once, from the program's window, and stay until the peer
 * has acknowledged them and no packet under way refers to them.
 *
 *   | headers: 4,096 of 256 bytes | small: 1/4 of the rest, 4 KiB each | large: 64 KiB each |
 *
 * The bookkeeping lies outside of the pool: devices write only what was posted
 * to them, but can read all of it.
 *
 * It is made when the first network device is there, or the first packet to
 * loopback: until then it would only take memory.
 *
 * The last of each size are for receive buffers: without them no acknowledgement
 * would arrive that frees what senders hold, nor the segment that others wait for.
 *
 * A chunk that is given back is not given out again before the commit: if net
 * dies in this iteration, it is done over, and what arrived in the chunk is
 * looked at once more. `given_back` is of the running iteration, `committing` of
 * the one that ended last, which is free from its commit on.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

#define HEADERS      4096u
#define HEADER_AREA  (HEADERS * HEADER_BYTES)
#define SMALL_MAX    2048u
#define LARGE_MAX    512u
#define POOL_MOST    (32u << 20)
#define POOL_LEAST   (3u << 20)
#define KEPT_LARGE   (large_count / 16) /* for receive buffers */
#define KEPT_SMALL   (small_count / 8)

struct net_pool pool;
static uint8_t *small_area, *large_area;
static struct chunk small[SMALL_MAX], large[LARGE_MAX];
static uint32_t small_count, large_count, small_free_count, large_free_count;
static struct chunk *small_free, *large_free;
static struct chunk *given_back, *committing;
static uint16_t header_stack[HEADERS];
static uint32_t headers_free;
static bool were_short;

struct chunk_ref {               /* a pbuf whose bytes lie in a chunk */
	struct pbuf_custom custom;
	struct chunk *chunk;
};

static void make_chunks(struct chunk *list, uint32_t count, uint8_t *area, uint32_t size, struct chunk **free)
{
	for (uint32_t i = count; i-- > 0;) {
		list[i].data = area + (size_t)i * size;
		list[i].size = size;
		list[i].next = *free;
		*free = &list[i];
	}
}

static bool pool_allocate(uint64_t bytes)
{
	struct x_mem_create create = { .bytes = bytes, .flags = X_MEM_CONTIGUOUS, .port = X_NO_HANDLE };
	struct x_mem_map map = { .space = X_SELF, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t memory = x_mem_create(&create), addr;

	if (memory < 0)
		return false;
	map.memory = (uint32_t)memory;
	addr = x_mem_map(&map);
	if (addr < 0) {
		x_handle_close((x_handle_t)memory);
		return false;
	}
	pool = (struct net_pool){ (x_handle_t)memory, (uint8_t *)addr, bytes };
	return true;
}

/* A sixteenth of the machine's memory, within bounds, or what is to be had. If the iteration is
 * done over so is this: the kernel has taken handle and mapping back. */
static bool pool_make(void)
{
	struct x_system_info info;
	uint64_t bytes;

	x_system_info(&info);
	bytes = info.memory_bytes / 16 & ~(uint64_t)0xfffff;
	bytes = bytes > POOL_MOST ? POOL_MOST : bytes < POOL_LEAST ? POOL_LEAST : bytes;
	for (; bytes >= POOL_LEAST; bytes /= 2)
		if (pool_allocate(bytes))
			return true;
	return false;
}

static void pool_cut(uint64_t bytes)
{
	small_count = (uint32_t)((bytes - HEADER_AREA) / 4 / CHUNK_SMALL);
	if (small_count > SMALL_MAX)
		small_count = SMALL_MAX;
	small_area = pool.virt + HEADER_AREA;
	large_area = small_area + (size_t)small_count * CHUNK_SMALL;
	large_count = (uint32_t)((uint64_t)(pool.virt + bytes - large_area) / CHUNK_LARGE);
	if (large_count > LARGE_MAX)
		large_count = LARGE_MAX;
	make_chunks(small, small_count, small_area, CHUNK_SMALL, &small_free);
	make_chunks(large, large_count, large_area, CHUNK_LARGE, &large_free);
	large_free_count = large_count;
	small_free_count = small_count;
	for (headers_free = 0; headers_free < HEADERS; headers_free++)
		header_stack[headers_free] = (uint16_t)headers_free;
}

bool pool_start(void)
{
	if (pool.virt)
		return true;
	if (!pool_make())
		return false;
	pool_cut(pool.bytes);
	return true;
}

uint32_t pool_share(void)
{
	return pool_start() ? (uint32_t)(pool.bytes / 8) : POOL_LEAST / 8;
}

uint32_t chunks_free_large(void) { return large_free_count; }

bool chunks_are_plenty(uint32_t bytes)
{
	return bytes > CHUNK_SMALL ? large_free_count > large_count / 4 : small_free_count > small_count / 4;
}

bool chunks_abound(void) { return large_free_count > large_count / 2; }

/* Somebody waits for a chunk. */
bool pool_is_short(void) { return were_short; }

bool memory_is_short(void)
{
	return small_free_count < small_count / 8 || large_free_count < large_count / 8 || heap_is_short();
}

uint64_t memory_left(void)
{
	uint64_t chunks = large_free_count > KEPT_LARGE ? (uint64_t)(large_free_count - KEPT_LARGE) * CHUNK_LARGE : 0;
	uint64_t heap = heap_left();

	return chunks < heap ? chunks : heap;
}

static struct chunk *take(struct chunk **free)
{
	struct chunk *c = *free;

	*free = c->next;
	large_free_count -= c->size == CHUNK_LARGE;
	small_free_count -= c->size == CHUNK_SMALL;
	c->next = NULL;
	c->used = c->lent = 0;
	c->refs = 1;
	return c;
}

static bool large_left(void) { return large_free_count > KEPT_LARGE; }
static bool small_left(void) { return small_free_count > KEPT_SMALL; }

struct chunk *chunk_get(uint32_t bytes)
{
	pool_start();
	if (large_left() && (bytes > CHUNK_SMALL || !small_left()))
		return take(&large_free);
	if (small_left())
		return take(&small_free);
	were_short = true;
	return NULL;
}

struct chunk *chunk_get_buffer(uint32_t bytes)
{
	struct chunk **free = bytes > CHUNK_SMALL ? &large_free : &small_free;

	if (*free)
		return take(free);
	were_short = true;
	return NULL;
}

bool chunks_were_short(void)
{
	bool now = were_short && pool_start() && (large_left() || small_left());

	if (now)
		were_short = false;
	return now;
}

void chunk_hold(struct chunk *c) { c->refs++; }

void chunk_drop(struct chunk *c)
{
	if (--c->refs)
		return;
	c->next = given_back;
	given_back = c;
}

void pool_iteration_begins(void)
{
	while (committing) {
		struct chunk *c = committing;
		struct chunk **free = c->size == CHUNK_LARGE ? &large_free : &small_free;

		committing = c->next;
		c->next = *free;
		*free = c;
		large_free_count += c->size == CHUNK_LARGE;
		small_free_count += c->size == CHUNK_SMALL;
	}
}

bool pool_has_given_back(void) { return committing != NULL; }

void pool_iteration_ends(void)
{
	committing = given_back;
	given_back = NULL;
}

struct chunk *chunk_of(const void *address)
{
	const uint8_t *p = address;

	if (p >= large_area && p < large_area + (size_t)large_count * CHUNK_LARGE)
		return &large[(size_t)(p - large_area) / CHUNK_LARGE];
	if (p >= small_area && p < large_area)
		return &small[(size_t)(p - small_area) / CHUNK_SMALL];
	return NULL;
}

uint8_t *header_get(void)
{
	pool_start();
	return headers_free ? pool.virt + (size_t)header_stack[--headers_free] * HEADER_BYTES : NULL;
}

void header_put(uint8_t *header)
{
	header_stack[headers_free++] = (uint16_t)((size_t)(header - pool.virt) / HEADER_BYTES);
}

static void ref_free(struct pbuf *p)
{
	struct chunk_ref *r = (struct chunk_ref *)p;

	chunk_drop(r->chunk);
	heap_free(r);
}

struct pbuf *chunk_pbuf(struct chunk *c, const void *at, uint32_t bytes)
{
	struct chunk_ref *r = heap_allocate(sizeof(*r));

	if (!r)
		return NULL;
	r->custom.custom_free_function = ref_free;
	r->chunk = c;
	chunk_hold(c);
	return pbuf_alloced_custom(PBUF_RAW, (u16_t)bytes, PBUF_REF, &r->custom, (void *)at, (u16_t)bytes);
}
