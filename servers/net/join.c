/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining of TCP segments that arrive one by one, before lwIP sees them: what
 * devices do that have NET_F_RX_GSO, for those that don't. Segments of a stream
 * that follow each other in one poll of the drivers become one packet of up to
 * 64 KiB; its payload is copied together into one chunk (summed on the way, where
 * the device has not), which frees the receive buffers and makes one copy to the
 * program of many.
 *
 *   (nothing) --segment--> ONE, in its buffer --next--> JOINED, in a chunk of ours
 *        ^                  |                            |
 *        +---- the round ends, or something else of this stream arrives: delivered
 *
 * Only plain data segments are taken: IP without options, extensions or fragments, no flags
 * but ACK and PSH, right checksums. All else goes its own way, behind what is
 * held of its stream, so the order within a stream is kept. A joined packet has
 * the headers of its first segment, with the length, window and PSH of all; its
 * TCP checksum is that of the first and is not looked at again.
 *
 * All of it is over before the iteration is, so nothing of it is lasting state, or logged: an
 * iteration that is done over begins without any (joins_begin()). So nothing here has hooks.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#ifdef __clang__
#pragma clang attribute push(REGION_UNLOGGED, apply_to = function)
#endif

#define ETHERNET   14u
#define HEADERS    (ETHERNET + 20u) /* before TCP's, with IPv4 */
#define HEADERS_6  (ETHERNET + 40u)
#define HEAD_MOST  (HEADERS_6 + 60u)
#define FLOWS      16u
#define WORTH      256u            /* bytes of payload: less is not held back */
#define JOINED_MOST (65535u - 80u) /* of payload */
#define ACK_FLAG   0x10u
#define PSH_FLAG   0x08u

struct flow {
	struct interface *interface; /* NULL: free */
	uint8_t head[HEAD_MOST];
	uint32_t l4, head_bytes; /* where TCP's header begins and ends */
	struct chunk *chunk;     /* held; ours alone if joined */
	const uint8_t *data;
	uint32_t bytes, first_bytes, first_seq;
	bool joined;
};

static REGION_SCRATCH struct flow flows[FLOWS];
static REGION_SCRATCH uint32_t pending, next_victim;

/* What an iteration that did not end has left is of no stream. */
void joins_begin(void)
{
	for (struct flow *f = flows; f < flows + FLOWS; f++)
		f->interface = NULL;
	pending = 0;
}

static void deliver(struct flow *f)
{
	struct interface *i = f->interface;

	f->interface = NULL;
	pending--;
	if (f->joined && f->l4 == HEADERS)
		finish_ip4(f->head + ETHERNET, f->head_bytes - ETHERNET + f->bytes);
	else if (f->joined)
		put16(f->head + ETHERNET + 4, f->head_bytes - HEADERS_6 + f->bytes);
	ether_deliver_joined(i, f->head, f->head_bytes, f->chunk, f->data, f->bytes);
}

bool joins_deliver(void)
{
	bool any = pending != 0;

	for (struct flow *f = flows; pending && f < flows + FLOWS; f++)
		if (f->interface)
			deliver(f);
	return any;
}

/* Of the same two ends. */
static struct flow *find(const struct interface *i, const uint8_t *frame, uint32_t l4)
{
	for (struct flow *f = flows; pending && f < flows + FLOWS; f++)
		if (f->interface == i && f->l4 == l4 && get_word(f->head, l4 - 4) == get_word(frame, l4 - 4) &&
		    get_word(f->head, l4 - 8) == get_word(frame, l4 - 8) &&
		    (l4 == HEADERS || !memcmp(f->head + l4 - 32, frame + l4 - 32, 24)))
			return f;
	return NULL;
}

static struct flow *free_flow(void)
{
	for (struct flow *f = flows; f < flows + FLOWS; f++)
		if (!f->interface)
			return f;
	deliver(&flows[next_victim % FLOWS]);
	return &flows[next_victim++ % FLOWS];
}

/* Where the TCP header is; 0: there is none, or something before it. */
static uint32_t tcp_at(const uint8_t *b, uint32_t length)
{
	if (length >= HEADERS + 20 && get16(b + 12) == 0x0800 && b[ETHERNET + 9] == L_IPPROTO_TCP)
		return HEADERS;
	if (length >= HEADERS_6 + 20 && get16(b + 12) == 0x86dd && b[ETHERNET] >> 4 == 6 && b[ETHERNET + 6] == L_IPPROTO_TCP)
		return HEADERS_6;
	return 0;
}

/* Bytes of all headers if the frame is one to be joined, else 0. */
static uint32_t plain_segment(const uint8_t *b, uint32_t l4, uint32_t length, uint32_t *payload)
{
	const uint8_t *tcp = b + l4;
	uint32_t head = l4 + (tcp[12] >> 4) * 4u;
	uint32_t end = l4 == HEADERS ? ETHERNET + get16(b + ETHERNET + 2) : HEADERS_6 + get16(b + ETHERNET + 4);

	if (head < l4 + 20 || end < head + WORTH || end > length || (tcp[13] | PSH_FLAG) != (ACK_FLAG | PSH_FLAG) || tcp[12] & 15 ||
	    (l4 == HEADERS && !ip4_is_plain(b + ETHERNET, length - ETHERNET)))
		return 0;
	*payload = end - head;
	return head;
}

static bool sums_up(const uint8_t *b, uint32_t l4, uint32_t head, uint32_t payload, uint16_t payload_sum)
{
	uint32_t addresses = l4 == HEADERS ? 8 : 32;

	return fold_sum(payload_sum + header_sum(b + l4 - addresses, addresses + head - l4, L_IPPROTO_TCP, head - l4 + payload)) == 0xffff;
}

/*
 * What a frame carries that is the next of its stream, 0 if it is not: its headers differ from those of the first in nothing
 * but length, identification, sequence, window, PSH, urgent pointer and sums. Of most frames that is all that is looked at, so it is done
 * by eight bytes at a time: as the first is plain, so is what equals it. What the masks leave out:
 *
 *   20: the IP header's checksum   36: the sequence number   44: PSH, window, checksum
 *
 * (RFC 791, 3.1; RFC 9293, 3.1).
 */
static uint32_t next_4(const struct flow *f, const uint8_t *b, uint32_t length)
{
	const uint8_t *was = f->head;
	uint32_t head = f->head_bytes, end = ETHERNET + get16(b + ETHERNET + 2);
	uint64_t differs = (get_word(b, 0) ^ get_word(was, 0)) | (get_word(b, 8) ^ get_word(was, 8)) |
			   ((get_word(b, 20) ^ get_word(was, 20)) & 0xffff0000ffffffff) |
			   (get_word(b, 28) ^ get_word(was, 28)) |
			   ((get_word(b, 36) ^ get_word(was, 36)) & 0xffff00000000ffff) |
			   ((get_word(b, 44) ^ get_word(was, 44)) & 0x00000000f7ffffff);

	if (differs || end > length || end < head + WORTH || get32(b + HEADERS + 4) != f->first_seq + f->bytes ||
	    (head > HEADERS + 20 && memcmp(b + HEADERS + 20, was + HEADERS + 20, head - HEADERS - 20)) ||
	    !ip4_sum_holds(b + ETHERNET))
		return 0;
	return end - head;
}

static uint32_t next_6(const struct flow *f, const uint8_t *b, uint32_t length)
{
	const uint8_t *was = f->head + HEADERS_6, *tcp = b + HEADERS_6;
	uint32_t payload, head = plain_segment(b, HEADERS_6, length, &payload);

	if (head != f->head_bytes || get32(tcp + 4) != f->first_seq + f->bytes || b[ETHERNET + 7] != f->head[ETHERNET + 7] ||
	    memcmp(b + ETHERNET, f->head + ETHERNET, 4) || memcmp(tcp + 8, was + 8, 4) ||
	    memcmp(tcp + 20, was + 20, head - HEADERS_6 - 20))
		return 0;
	return payload;
}

/* Room for `payload` more in a chunk of ours; false: there is none to be had. */
static bool make_room(struct flow *f, uint32_t payload)
{
	struct chunk *c;

	if (f->joined && f->bytes + payload <= f->chunk->size)
		return true;
	if (!chunks_are_plenty(f->bytes + payload))
		return false;
	c = chunk_get(f->bytes + payload);
	if (!c)
		return false;
	if (c->size < f->bytes + payload) {
		chunk_drop(c);
		return false;
	}
	memcpy(c->data, f->data, f->bytes);
	chunk_drop(f->chunk);
	f->chunk = c;
	f->data = c->data;
	f->joined = true;
	return true;
}

/* What follows, to the chunk; false: no room, or the sum is wrong, and nothing has changed. */
static bool append(struct flow *f, const uint8_t *b, uint32_t payload, bool verified)
{
	const uint8_t *tcp = b + f->l4;
	uint8_t *to;

	if (payload > f->first_bytes || f->bytes + payload > JOINED_MOST || !make_room(f, payload))
		return false;
	to = f->chunk->data + f->bytes;
	if (verified)
		memcpy(to, b + f->head_bytes, payload);
	else if (!sums_up(b, f->l4, f->head_bytes, payload, checksum_copy(to, b + f->head_bytes, payload)))
		return false;
	f->bytes += payload;
	f->head[f->l4 + 13] |= tcp[13] & PSH_FLAG;
	__builtin_memcpy(f->head + f->l4 + 14, tcp + 14, 2);
	if (tcp[13] & PSH_FLAG || payload < f->first_bytes || f->bytes + payload > JOINED_MOST)
		deliver(f);
	return true;
}

static void begin(struct interface *i, struct chunk *c, const uint8_t *b, uint32_t l4, uint32_t head, uint32_t payload)
{
	struct flow *f = free_flow();

	memcpy(f->head, b, head);
	f->interface = i;
	f->l4 = l4;
	f->head_bytes = head;
	f->chunk = c;
	chunk_hold(c);
	f->data = b + head;
	f->bytes = f->first_bytes = payload;
	f->first_seq = get32(b + l4 + 4);
	f->joined = false;
	pending++;
	if (b[l4 + 13] & PSH_FLAG)
		deliver(f);
}

/* A frame in the chunk c, which is referred to only if it must be. True: it is held for
 * now, or delivered. False: it is to go its own way. */
bool join_frame(struct interface *i, struct chunk *c, const uint8_t *b, uint32_t length, bool verified)
{
	uint32_t l4 = tcp_at(b, length), head, payload;
	struct flow *f;

	if (!l4)
		return false;
	f = find(i, b, l4);
	payload = !f ? 0 : l4 == HEADERS ? next_4(f, b, length) : next_6(f, b, length);
	if (payload && append(f, b, payload, verified))
		return true;
	if (f)
		deliver(f);
	head = plain_segment(b, l4, length, &payload);
	if (!head || (!verified && !sums_up(b, l4, head, payload, checksum_of(b + head, (int)payload))))
		return false;
	begin(i, c, b, l4, head, payload);
	return true;
}

#ifdef __clang__
#pragma clang attribute pop
#endif
