/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining of received TCP segments (servers/net/join.c), and the checksum that is made on the way.
 */
// sources: servers/net/checksum.c
// cflags: -Ibuild/lwip/src/include -Iservers/net/lwip

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "servers/net/join.c"

#define MSS 1460u
#define CHUNKS 512u

static struct chunk *chunks[CHUNKS];
static uint32_t chunks_out, deliveries, delivered_bytes;
static bool no_chunks, plenty = true;
static uint8_t delivered[1 << 20], last_head[HEAD_MOST];
static uint32_t last_head_bytes;

struct chunk *chunk_get(uint32_t bytes)
{
	struct chunk *c;

	if (no_chunks || chunks_out == CHUNKS)
		return NULL;
	c = calloc(1, sizeof(*c));
	c->size = bytes > CHUNK_SMALL ? CHUNK_LARGE : CHUNK_SMALL;
	c->data = malloc(c->size);
	c->refs = 1;
	chunks[chunks_out++] = c;
	return c;
}

void chunk_drop(struct chunk *c)
{
	if (--c->refs)
		return;
	free(c->data);
	free(c);
	chunks_out--;
}

void chunk_hold(struct chunk *c) { c->refs++; }

bool chunks_are_plenty(uint32_t bytes) { return plenty || bytes <= CHUNK_SMALL; }

void ether_deliver_joined(struct interface *i, const uint8_t *head, uint32_t head_bytes, struct chunk *c,
			  const uint8_t *data, uint32_t bytes)
{
	(void)i;
	assert_true(delivered_bytes + bytes <= sizeof(delivered));
	assert_true(data >= c->data && data + bytes <= c->data + c->size);
	memcpy(last_head, head, head_bytes);
	last_head_bytes = head_bytes;
	memcpy(delivered + delivered_bytes, data, bytes);
	delivered_bytes += bytes;
	deliveries++;
	chunk_drop(c);
}

static uint16_t slow_sum(const uint8_t *p, uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		sum += i & 1 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* As edge.c has it, in the slow way. */
static uint16_t slow_pseudo_sum(const uint8_t *frame, const struct headers *h, uint32_t bytes)
{
	uint32_t addresses = h->v6 ? 32 : 8;
	uint8_t p[36];

	memcpy(p, frame + h->l4 - addresses, addresses);
	p[addresses] = 0;
	p[addresses + 1] = h->protocol;
	p[addresses + 2] = (uint8_t)(bytes >> 8);
	p[addresses + 3] = (uint8_t)bytes;
	return slow_sum(p, addresses + 4);
}

static uint8_t stream_byte(uint32_t seq) { return (uint8_t)(seq * 37 + (seq >> 8)); }

static bool v6; /* of the frames made */

static void make_ip6(uint8_t *b, uint32_t payload)
{
	put16(b + 12, 0x86dd);
	b[ETHERNET] = 0x60;
	put16(b + ETHERNET + 4, 20 + payload);
	b[ETHERNET + 6] = L_IPPROTO_TCP;
	b[ETHERNET + 7] = 64;
	for (uint32_t i = 8; i < 40; i++)
		b[ETHERNET + i] = (uint8_t)(i * 3);
}

static void make_ip4(uint8_t *b, uint32_t payload)
{
	uint16_t sum;

	put16(b + 12, 0x0800);
	b[ETHERNET] = 0x45;
	put16(b + ETHERNET + 2, 40 + payload);
	b[ETHERNET + 8] = 64;
	b[ETHERNET + 9] = L_IPPROTO_TCP;
	put32(b + ETHERNET + 12, 0x0a000901);
	put32(b + ETHERNET + 16, 0x0a000902);
	sum = (uint16_t)~slow_sum(b + ETHERNET, 20);
	memcpy(b + ETHERNET + 10, &sum, 2);
}

static uint32_t make_frame(uint8_t *b, uint32_t seq, uint32_t payload, uint8_t flags)
{
	const struct headers h = { .l3 = ETHERNET, .l4 = v6 ? HEADERS_6 : HEADERS, .protocol = L_IPPROTO_TCP, .v6 = v6 };
	uint8_t *tcp = b + h.l4;
	uint16_t sum;

	memset(b, 0, h.l4 + 20);
	(v6 ? make_ip6 : make_ip4)(b, payload);
	put16(tcp, 5001);
	put16(tcp + 2, 40000);
	put32(tcp + 4, seq);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, 1000);
	for (uint32_t i = 0; i < payload; i++)
		tcp[20 + i] = stream_byte(seq + i);
	sum = (uint16_t)~checksum_add(slow_pseudo_sum(b, &h, 20 + payload), slow_sum(tcp, 20 + payload));
	memcpy(tcp + 16, &sum, 2);
	return h.l4 + 20 + payload;
}

static struct interface interface;

/* join_frame() on a frame in a chunk of its own. */
static bool offer(const uint8_t *frame, uint32_t length)
{
	bool saved = no_chunks, taken;
	struct chunk *c;

	no_chunks = false;
	c = chunk_get(CHUNK_SMALL);
	no_chunks = saved;
	memcpy(c->data, frame, length);
	taken = join_frame(&interface, c, c->data, length, false);
	chunk_drop(c);
	return taken;
}

static bool segment(uint32_t seq, uint32_t payload, uint8_t flags)
{
	uint8_t frame[2048];
	uint32_t length = make_frame(frame, seq, payload, flags);

	return offer(frame, length);
}

static int begin_test(void **state)
{
	(void)state;
	deliveries = delivered_bytes = 0;
	no_chunks = v6 = false;
	plenty = true;
	return 0;
}

static int end_test(void **state)
{
	(void)state;
	joins_deliver();
	assert_false(joins_deliver());
	assert_int_equal(chunks_out, 0);
	return 0;
}

static void check_stream(uint32_t from, uint32_t bytes)
{
	assert_int_equal(delivered_bytes, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		assert_int_equal(delivered[i], stream_byte(from + i));
}

static void test_in_order(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 10; n++)
		assert_true(segment(1000 + n * MSS, MSS, ACK_FLAG));
	assert_int_equal(deliveries, 0);
	assert_true(segment(1000 + 10 * MSS, 300, ACK_FLAG | PSH_FLAG)); /* a short one ends it */
	assert_int_equal(deliveries, 1);
	check_stream(1000, 10 * MSS + 300);
	assert_int_equal(get16(last_head + ETHERNET + 2), 40 + 10 * MSS + 300);
	assert_int_equal(slow_sum(last_head + ETHERNET, 20), 0xffff);
	assert_int_equal(last_head[HEADERS + 13], ACK_FLAG | PSH_FLAG);
}

static void test_in_order_6(void **state)
{
	uint8_t frame[2048];
	uint32_t length;

	(void)state;
	v6 = true;
	for (uint32_t n = 0; n < 10; n++)
		assert_true(segment(1000 + n * MSS, MSS, ACK_FLAG));
	length = make_frame(frame, 1000 + 10 * MSS, MSS, ACK_FLAG);
	frame[ETHERNET + 7]--; /* one hop more: not of the same way */
	assert_true(offer(frame, length));
	assert_int_equal(deliveries, 1);
	check_stream(1000, 10 * MSS);
	assert_int_equal(get16(last_head + ETHERNET + 4), 20 + 10 * MSS);
	assert_int_equal(last_head_bytes, HEADERS_6 + 20);
	v6 = false; /* the same ports with IPv4 are another stream */
	assert_true(segment(1000 + 11 * MSS, MSS, ACK_FLAG));
	assert_int_equal(deliveries, 1);
	v6 = true;
	length = make_frame(frame, 1000 + 11 * MSS, MSS, ACK_FLAG);
	frame[length - 1] ^= 1;
	assert_false(offer(frame, length));
	put16(frame + ETHERNET + 4, 3000); /* longer than what came */
	assert_false(offer(frame, length));
}

static void test_most(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 100; n++)
		assert_true(segment(n * MSS, MSS, ACK_FLAG));
	assert_int_equal(deliveries, 2); /* each as long as a packet can be */
	assert_int_equal(delivered_bytes, 2 * (JOINED_MOST / MSS * MSS));
	joins_deliver();
	check_stream(0, 100 * MSS);
}

static void test_gap_and_disorder(void **state)
{
	(void)state;
	assert_true(segment(0, MSS, ACK_FLAG));
	assert_true(segment(2 * MSS, MSS, ACK_FLAG));
	assert_int_equal(deliveries, 1);
	assert_true(segment(MSS, MSS, ACK_FLAG));
	assert_int_equal(deliveries, 2);
	joins_deliver();
	assert_int_equal(deliveries, 3);
	assert_int_equal(delivered[MSS], stream_byte(2 * MSS));
}

static void test_bad_sum(void **state)
{
	uint8_t frame[2048];
	uint32_t length = make_frame(frame, MSS, MSS, ACK_FLAG);

	(void)state;
	assert_true(segment(0, MSS, ACK_FLAG));
	frame[length - 1] ^= 1;
	frame[ETHERNET + 11] ^= 1;
	assert_false(offer(frame, length));
	assert_int_equal(deliveries, 1);
	frame[ETHERNET + 11] ^= 1;
	assert_true(segment(0, MSS, ACK_FLAG));
	deliveries = delivered_bytes = 0;
	assert_false(offer(frame, length));  /* the stack counts and drops it ... */
	assert_int_equal(deliveries, 1);     /* ... behind what came before */
	check_stream(0, MSS);
}

/* What is not plain data goes its own way, behind what is held of its stream only. */
static void test_others(void **state)
{
	uint8_t frame[2048];
	uint32_t length = make_frame(frame, 5 * MSS, MSS, ACK_FLAG);

	(void)state;
	put16(frame + HEADERS, 99); /* another port; its sum is wrong now, too */
	assert_true(segment(0, MSS, ACK_FLAG));
	assert_false(offer(frame, length));
	assert_int_equal(deliveries, 0);
	assert_false(segment(MSS, MSS, ACK_FLAG | 1)); /* FIN */
	assert_int_equal(deliveries, 1);
	assert_false(segment(2 * MSS, 10, ACK_FLAG));
	length = make_frame(frame, 0, MSS, ACK_FLAG);
	frame[ETHERNET + 6] = 0x20; /* a fragment */
	assert_false(offer(frame, length));
}

/* Both sums right again after a change. */
static void sum_again(uint8_t *b, uint32_t length)
{
	const struct headers h = { .l3 = ETHERNET, .l4 = HEADERS, .protocol = L_IPPROTO_TCP };
	uint16_t sum;

	memset(b + ETHERNET + 10, 0, 2);
	sum = (uint16_t)~slow_sum(b + ETHERNET, 20);
	memcpy(b + ETHERNET + 10, &sum, 2);
	memset(b + HEADERS + 16, 0, 2);
	sum = (uint16_t)~checksum_add(slow_pseudo_sum(b, &h, length - HEADERS), slow_sum(b + HEADERS, length - HEADERS));
	memcpy(b + HEADERS + 16, &sum, 2);
}

static bool may_differ(uint32_t at, uint8_t bit)
{
	uint32_t tcp = at - HEADERS;

	if (at == ETHERNET + 4 || at == ETHERNET + 5) /* identification */
		return true;
	return at >= HEADERS && ((tcp == 13 && bit == PSH_FLAG) || tcp == 14 || tcp == 15 || tcp == 18 || tcp == 19);
}

/* Every bit of the second frame's headers that is another than in the first. */
static void test_each_bit(void **state)
{
	uint8_t frame[2048];

	for (uint32_t at = 0; at < HEADERS + 20; at++)
		for (uint32_t bit = 1; bit < 256; bit *= 2) {
			uint32_t length = make_frame(frame, MSS, MSS, ACK_FLAG);

			if (at - ETHERNET - 10 < 2 || at - HEADERS - 16 < 2)
				continue; /* the sums: test_bad_sum() */
			begin_test(state);
			frame[at] ^= (uint8_t)bit;
			sum_again(frame, length);
			assert_true(segment(0, MSS, ACK_FLAG));
			offer(frame, length);
			joins_deliver();
			assert_int_equal(deliveries == 1 && delivered_bytes == 2 * MSS, may_differ(at, (uint8_t)bit));
		}
}

static void test_no_chunks(void **state)
{
	(void)state;
	no_chunks = true;
	for (uint32_t n = 0; n < 5; n++)
		assert_true(segment(n * MSS, MSS, ACK_FLAG));
	joins_deliver();
	assert_int_equal(deliveries, 5);
	no_chunks = plenty = false;
	for (uint32_t n = 5; n < 9; n++)
		assert_true(segment(n * MSS, MSS, ACK_FLAG));
	joins_deliver();
	assert_int_equal(deliveries, 7); /* two in each small chunk */
	check_stream(0, 9 * MSS);
}

/* Whatever a wire may bring: nothing is read or written beyond its place (sanitizers). */
static void test_noise(void **state)
{
	uint8_t frame[2048];

	(void)state;
	srand(1);
	for (uint32_t n = 0; n < 20000; n++) {
		uint32_t payload = (uint32_t)rand() % (MSS + 1);
		uint32_t length;

		v6 = rand() % 2;
		length = make_frame(frame, (uint32_t)rand() % 4 * MSS, payload, ACK_FLAG);
		for (uint32_t flips = (uint32_t)rand() % 4; flips; flips--)
			frame[(uint32_t)rand() % 80] = (uint8_t)rand();
		if (rand() % 4 == 0)
			length = (uint32_t)rand() % (length + 1);
		offer(frame, length);
		delivered_bytes = 0;
		if (n % 64 == 0)
			joins_deliver();
	}
	joins_deliver();
}

static void test_checksum(void **state)
{
	uint8_t from[600], to[600];

	(void)state;
	srand(2);
	for (uint32_t n = 0; n < 20000; n++) {
		uint32_t at = (uint32_t)rand() % 16, to_at = (uint32_t)rand() % 16, bytes = (uint32_t)rand() % 500;

		for (uint32_t i = 0; i < sizeof(from); i++)
			from[i] = rand() % 3 ? 0xff : (uint8_t)rand();
		memset(to, 0xa5, sizeof(to));
		assert_int_equal(checksum_of(from + at, (int)bytes) % 0xffff, slow_sum(from + at, bytes) % 0xffff);
		assert_int_equal(checksum_copy(to + to_at, from + at, bytes), checksum_of(from + at, (int)bytes));
		assert_memory_equal(to + to_at, from + at, bytes);
		assert_int_equal(to[to_at + bytes], 0xa5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_in_order_6, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_most, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_gap_and_disorder, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_bad_sum, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_others, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_each_bit, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_no_chunks, begin_test, end_test),
		cmocka_unit_test_setup_teardown(test_noise, begin_test, end_test),
		cmocka_unit_test(test_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
