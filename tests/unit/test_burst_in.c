/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams that go past lwIP (servers/net/burst_in.c): which ones, and what of them is kept.
 */
// sources: servers/net/checksum.c
// cflags: -Ibuild/lwip/src/include -Iservers/net/lwip

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "servers/net/burst_in.c"

#define PAYLOAD 100u
#define LENGTH  (HEAD + PAYLOAD)

struct ip_globals ip_data;
uint32_t raw_sockets, asked;
uint64_t server_now_ns = 1;
static bool watched, careful, full;
static uint8_t room[2048];
static uint32_t filled, freed;
static struct pbuf room_pbuf = { .payload = room };
static struct packet lined_up;
static struct sock sock;
static struct interface interface, other_interface;

bool packet_is_watched(void) { return watched; }
bool server_careful(void) { return careful; }

bool datagram_has_room(struct sock *s, uint32_t bytes)
{
	asked++;
	return s == &sock && bytes && !full;
}

struct interface *interface_of(struct netif *netif) { return (struct interface *)(void *)netif; }
uint32_t interface_index(const struct interface *i) { return i == &interface ? 2 : 3; }

struct pbuf *pack_room(struct sock *s, uint32_t bytes)
{
	assert_ptr_equal(s, &sock);
	assert_true(bytes <= sizeof(room));
	return &room_pbuf;
}

void pack_fill(struct sock *s, uint32_t bytes)
{
	(void)s;
	filled = bytes;
}

u8_t pbuf_free(struct pbuf *p)
{
	assert_ptr_equal(p, &room_pbuf);
	freed++;
	return 1;
}

struct packet *packet_line_up(struct sock *s, struct pbuf *p)
{
	assert_ptr_equal(s, &sock);
	lined_up = (struct packet){ .p = p };
	return &lined_up;
}

uint16_t pseudo_sum(const uint8_t *frame, const struct headers *h, uint32_t bytes)
{
	uint8_t p[12];

	memcpy(p, frame + h->l3 + 12, 8);
	p[8] = 0;
	p[9] = h->protocol;
	put16(p + 10, bytes);
	return checksum_of(p, 12);
}

static void sum_ip(uint8_t *b)
{
	put16(b + ETHERNET + 10, 0);
	put_sum(b + ETHERNET + 10, (uint16_t)~checksum_of(b + ETHERNET, 20));
}

static void make(uint8_t *b)
{
	static const struct headers h = { .l3 = ETHERNET, .l4 = UDP, .protocol = L_IPPROTO_UDP };

	memset(b, 0, HEAD);
	memcpy(b, interface.netif.hwaddr, 6);
	put16(b + 12, 0x800);
	b[ETHERNET] = 0x45;
	b[ETHERNET + 1] = 8;
	put16(b + ETHERNET + 2, LENGTH - ETHERNET);
	b[ETHERNET + 8] = 61;
	b[ETHERNET + 9] = L_IPPROTO_UDP;
	put32(b + ETHERNET + 12, 0x0a000901);
	put32(b + ETHERNET + 16, 0x0a000902);
	sum_ip(b);
	put16(b + UDP, 5001);
	put16(b + UDP + 2, 7);
	put16(b + UDP + 4, 8 + PAYLOAD);
	for (uint32_t i = 0; i < PAYLOAD; i++)
		b[HEAD + i] = (uint8_t)(i * 7 + 1);
	put_sum(b + UDP + 6, (uint16_t)~checksum_add(pseudo_sum(b, &h, 8 + PAYLOAD), checksum_of(b + UDP, 8 + PAYLOAD)));
}

/* As if lwIP had just given this one to the socket. */
static void note(uint8_t *b)
{
	ip_data.current_input_netif = &interface.netif;
	ip_data.current_ip4_header = (const void *)(b + ETHERNET);
	memcpy(&ip_data.current_iphdr_src, b + ETHERNET + 12, 4);
	memcpy(&ip_data.current_iphdr_dest, b + ETHERNET + 16, 4);
	burst_in_note(&sock);
}

static int begin(void **state)
{
	uint8_t b[LENGTH];

	(void)state;
	memset(&sock, 0, sizeof(sock));
	memset(&interface, 0, sizeof(interface));
	sock.flow_in = interface.up = other_interface.up = true;
	memcpy(interface.netif.hwaddr, "\x52\x54\0\x12\x34\x56", 6);
	put32((uint8_t *)&interface.netif.ip_addr, 0x0a000902);
	raw_sockets = filled = freed = 0;
	watched = careful = full = false;
	burst_in_forget();
	make(b);
	note(b);
	return 0;
}

static bool offer(const uint8_t *b, bool verified) { return burst_in_frame(&interface, b, LENGTH, verified); }

static void test_taken(void **state)
{
	uint8_t b[LENGTH];

	(void)state;
	make(b);
	assert_true(offer(b, false));
	assert_memory_equal(room, b + HEAD, PAYLOAD);
	assert_int_equal(filled, PAYLOAD);
	assert_int_equal(lined_up.port, 5001);
	assert_memory_equal(ip_2_ip4(&lined_up.from), b + ETHERNET + 12, 4);
	assert_memory_equal(ip_2_ip4(&lined_up.arrival.to), b + ETHERNET + 16, 4);
	assert_int_equal(lined_up.arrival.hop_limit, 61);
	assert_int_equal(lined_up.arrival.tos, 8);
	assert_int_equal(lined_up.arrival.interface, 2);
	assert_int_equal(interface.delivered, 1);
}

static void test_sums(void **state)
{
	uint8_t b[LENGTH];

	(void)state;
	make(b);
	b[HEAD + 5] ^= 1;
	assert_false(offer(b, false));
	assert_int_equal(filled, 0);
	assert_int_equal(freed, 1);
	assert_true(offer(b, true));    /* the device has verified it */
	filled = 0;
	put16(b + UDP + 6, 0);          /* the sender made none */
	assert_true(offer(b, false));
	assert_int_equal(filled, PAYLOAD);
}

/* What differs goes to lwIP. */
static void test_special(void **state)
{
	static const struct { uint32_t at; uint8_t value; bool sum; } changes[] = {
		{ 0, 0xff, false },              /* not our hardware address */
		{ 13, 6, false },                /* ARP */
		{ ETHERNET, 0x46, true },        /* options */
		{ ETHERNET + 6, 0x20, true },    /* a fragment */
		{ ETHERNET + 7, 1, true },       /* the end of one */
		{ ETHERNET + 9, 6, true },       /* TCP */
		{ ETHERNET + 8, 60, false },     /* the header's sum is wrong */
		{ ETHERNET + 15, 9, true },      /* other ends */
		{ ETHERNET + 19, 9, true },
		{ UDP + 1, 1, false },
		{ UDP + 3, 1, false },
		{ UDP + 5, PAYLOAD, false },     /* lengths that disagree */
		{ ETHERNET + 3, 0xff, true },    /* longer than the frame */
	};
	uint8_t b[LENGTH];

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		make(b);
		assert_int_not_equal(b[changes[i].at], changes[i].value);
		b[changes[i].at] = changes[i].value;
		if (changes[i].sum)
			sum_ip(b);
		assert_false(offer(b, true));
	}
	make(b);
	for (uint32_t length = 0; length < LENGTH; length++)
		assert_false(burst_in_frame(&interface, b, length, true));
	assert_false(burst_in_frame(&other_interface, b, LENGTH, true));
	assert_true(offer(b, true));
}

static void test_reasons(void **state)
{
	bool *const reasons[] = { &watched, &careful, &sock.flow_stopping, &sock.shut_read };
	uint8_t b[LENGTH];

	(void)state;
	make(b);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		*reasons[i] = true;
		assert_false(offer(b, true));
		*reasons[i] = false;
		assert_true(offer(b, true));
	}
	raw_sockets = 1;
	assert_false(offer(b, true));
	raw_sockets = 0;
	sock.flow_in = false;
	assert_false(offer(b, true));
	sock.flow_in = true;
	burst_in_forget();
	assert_false(offer(b, true));
}

/* What has no room ends here, and nobody is asked again in the same iteration. */
static void test_full(void **state)
{
	uint8_t b[LENGTH];

	(void)state;
	make(b);
	full = true;
	asked = 0;
	server_now_ns++;
	for (uint32_t i = 0; i < 3; i++)
		assert_true(offer(b, false));
	assert_int_equal(asked, 1);
	assert_int_equal(filled, 0);
	assert_int_equal(interface.delivered, 0);
	full = false;
	server_now_ns++;
	assert_true(offer(b, false));
	assert_int_equal(filled, PAYLOAD);
	assert_int_equal(interface.delivered, 1);
}

/* To all, or to an address that is ours no more: not learned. */
static void test_learns_its_own_only(void **state)
{
	uint8_t b[LENGTH];

	(void)state;
	burst_in_forget();
	make(b);
	put32((uint8_t *)&interface.netif.ip_addr, 0x0a000903);
	note(b);
	assert_false(offer(b, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_taken, begin),
		cmocka_unit_test_setup(test_sums, begin),
		cmocka_unit_test_setup(test_special, begin),
		cmocka_unit_test_setup(test_reasons, begin),
		cmocka_unit_test_setup(test_full, begin),
		cmocka_unit_test_setup(test_learns_its_own_only, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
