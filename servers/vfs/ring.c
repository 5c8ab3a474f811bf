/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes between a writer and a reader: a ring in a buffer of buffers.c. It begins
 * with a small one, which it keeps, and takes one of four times the size when that
 * gets too small: that it has only while it holds something.
 *
 * What was taken since the last commit stays where it is until the next: after a
 * rollback it will be taken again (`held` bytes before the head).
 */

#include "servers/vfs/vfs.h"

enum { RING_FIRST = 4096, SMALL_BYTES = 256 };

static uint8_t *at(const struct ring *r, uint32_t position)
{
	return buffer_at(r->buffer) + (position & (buffer_bytes(r->buffer) - 1));
}

/* Bytes from a position up to the end of the buffer, at most `bytes`. */
static uint32_t run(const struct ring *r, uint32_t position, uint32_t bytes)
{
	uint32_t left = buffer_bytes(r->buffer) - (position & (buffer_bytes(r->buffer) - 1));

	return bytes < left ? bytes : left;
}

static uint32_t held(const struct ring *r)
{
	return r->held_epoch == server_epoch() ? r->held : 0;
}

static uint32_t free_bytes(const struct ring *r)
{
	return r->buffer ? buffer_bytes(r->buffer) - r->count - held(r) : 0;
}

static void let_go(struct ring *r)
{
	buffer_put(r->buffer);
	r->buffer = 0;
	r->head = r->held = 0;
}

/* Into another buffer, or for the first time into one. */
static bool move_to(struct ring *r, uint32_t bytes)
{
	uint32_t fresh = buffer_get(bytes), done = 0, piece;

	if (!fresh)
		return false;
	while (done < r->count) {
		piece = run(r, r->head + done, r->count - done);
		memcpy(buffer_at(fresh) + done, at(r, r->head + done), piece);
		done += piece;
	}
	buffer_put(r->buffer);
	r->buffer = (uint16_t)fresh;
	r->head = r->held = 0;
	return true;
}

/* True if there is room for some of `bytes` more, which the capacity allows. */
static bool make_room(struct ring *r, uint32_t bytes)
{
	uint32_t need = r->count + bytes, have = r->buffer ? buffer_bytes(r->buffer) : 0, size;

	if (bytes <= free_bytes(r))
		return true;
	for (size = have ? have : RING_FIRST; size < need; size *= 4)
		;
	return move_to(r, size < r->capacity ? size : r->capacity) || free_bytes(r);
}

/* While others have much the first buffer is all that there is: it can be had. */
uint32_t ring_room(const struct ring *r)
{
	uint32_t most = buffers_plenty() ? r->capacity : r->buffer ? buffer_bytes(r->buffer) : RING_FIRST;

	if (most > r->capacity)
		most = r->capacity;
	return r->count < most ? most - r->count : 0;
}

int64_t ring_put(struct ring *r, uint64_t call_id, unsigned window, uint32_t offset, uint32_t bytes)
{
	uint32_t done = 0, piece, room = ring_room(r);
	int64_t copied;

	if (bytes > room)
		bytes = room;
	if (!bytes)
		return 0;
	if (!make_room(r, bytes))
		return -X_ENOMEM;
	room = free_bytes(r);
	if (bytes > room)
		bytes = room;
	while (done < bytes) {
		piece = run(r, r->head + r->count, bytes - done);
		copied = window_read(call_id, window, offset + done, at(r, r->head + r->count), piece);
		if (copied <= 0)
			break;
		r->count += (uint32_t)copied;
		done += (uint32_t)copied;
	}
	if (!r->count)
		let_go(r);
	return done ? (int64_t)done : -X_EFAULT;
}

int64_t ring_peek(const struct ring *r, uint32_t skip, uint64_t call_id, unsigned window, uint32_t offset,
		  uint32_t bytes)
{
	uint32_t done = 0, piece;
	int64_t copied;

	if (skip >= r->count)
		return 0;
	if (bytes > r->count - skip)
		bytes = r->count - skip;
	while (done < bytes) {
		piece = run(r, r->head + skip + done, bytes - done);
		copied = window_write(call_id, window, offset + done, at(r, r->head + skip + done), piece);
		if (copied <= 0)
			return done ? (int64_t)done : -X_EFAULT;
		done += (uint32_t)copied;
	}
	return done;
}

void ring_drop(struct ring *r, uint32_t bytes)
{
	if (bytes > r->count)
		bytes = r->count;
	r->held = held(r) + bytes;
	r->held_epoch = server_epoch();
	r->head += bytes;
	r->count -= bytes;
	if (!r->count && r->buffer && buffer_bytes(r->buffer) > RING_FIRST)
		let_go(r);
}

void ring_free(struct ring *r)
{
	r->count = 0;
	if (r->buffer)
		let_go(r);
}

void ring_cut(struct ring *r, uint32_t bytes)
{
	r->count -= bytes < r->count ? bytes : r->count;
	if (!r->count && r->buffer)
		let_go(r);
}

int64_t ring_take(struct ring *r, uint64_t call_id, unsigned window, uint32_t offset, uint32_t bytes)
{
	int64_t taken = ring_peek(r, 0, call_id, window, offset, bytes);

	if (taken > 0)
		ring_drop(r, (uint32_t)taken);
	return taken;
}

/* A few bytes travel with the answer, which saves a call of the kernel. They lie
 * here until the commit: no more answers than this are committed at once. */
void ring_answer(struct ring *r, uint64_t call_id, uint32_t bytes)
{
	static uint8_t small[X_MAX_OUT][SMALL_BYTES];
	static uint32_t next;
	struct x_out *out;
	uint8_t *to;
	uint32_t piece;

	if (bytes > r->count)
		bytes = r->count;
	if (bytes > SMALL_BYTES) {
		out_status(call_id, ring_take(r, call_id, 0, 0, bytes));
		return;
	}
	to = small[next++ % X_MAX_OUT];
	piece = run(r, r->head, bytes);
	memcpy(to, at(r, r->head), piece);
	memcpy(to + piece, at(r, r->head + piece), bytes - piece);
	ring_drop(r, bytes);
	out = out_answer_entry(call_id);
	out->msg.status = (int32_t)bytes;
	out->copy_src = (uintptr_t)to;
	out->copy_len = bytes;
}

bool ring_reserve(struct ring *r)
{
	if (!buffers_plenty())
		return false;
	return (r->buffer && buffer_bytes(r->buffer) == r->capacity) || move_to(r, r->capacity);
}

void ring_is(struct ring *r, uint32_t head, uint32_t count)
{
	r->head = head;
	r->count = count;
	r->held = 0;
	if (!count && r->buffer)
		let_go(r);
}

int64_t ring_resize(struct ring *r, uint32_t capacity)
{
	if (capacity < r->count)
		return -X_EBUSY;
	if (r->buffer && capacity < buffer_bytes(r->buffer) && !move_to(r, capacity))
		return -X_ENOMEM;
	r->capacity = capacity;
	return 0;
}
