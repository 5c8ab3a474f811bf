/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a stream is taken while memory runs out (servers/net/tcp_loss.c): who does not read leaves some to
 * others, and who reads is refused nothing.
 */
// cflags: -Ibuild/lwip/src/include -Iservers/net/lwip

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "servers/net/tcp_loss.c"

#define MEMORY  (8ull << 20)
#define MSS     1460u
#define HELD    4096u /* of memory, by each segment */

uint64_t server_now_ns;
struct tcp_pcb *tcp_active_pcbs, *tcp_tw_pcbs;
static uint64_t used;

uint64_t memory_left(void) { return used < MEMORY ? MEMORY - used : 0; }
bool memory_is_short(void) { return memory_left() < MEMORY / 8; }
void sock_mark(struct sock *s, uint32_t pulse) { (void)s, (void)pulse; }
bool stream_out_is_due(const struct sock *s) { (void)s; return false; }
void icmp_no_neighbour(struct sock *s) { (void)s; }
void reopen_index(void) {}
err_t segment_split(struct tcp_pcb *pcb, struct tcp_seg *segment, uint32_t bytes) { (void)pcb, (void)segment, (void)bytes; return ERR_MEM; }
err_t tcp_output(struct tcp_pcb *pcb) { (void)pcb; return ERR_OK; }
void tcp_abort(struct tcp_pcb *pcb) { (void)pcb; }
void tcp_free_ooseq(struct tcp_pcb *pcb) { (void)pcb; }
void tcp_rexmit_rto(struct tcp_pcb *pcb) { (void)pcb; }
u32_t lwip_htonl(u32_t n) { return __builtin_bswap32(n); }

static struct sock streams[64];
static struct tcp_pcb blocks[64];

/* Segments in order, until one is refused or `most` bytes have come; whether none was. */
static bool arrive(uint32_t n, uint32_t most)
{
	struct sock *s = &streams[n];

	while (s->received_bytes < most) {
		if (too_much(s, &blocks[n], blocks[n].rcv_nxt, MSS))
			return false;
		s->received_bytes += MSS;
		s->held += HELD;
		used += HELD;
		blocks[n].rcv_nxt += MSS;
	}
	return true;
}

static int begin_test(void **state)
{
	(void)state;
	used = 0;
	server_now_ns = 10ull * 1000 * 1000 * 1000;
	memset(streams, 0, sizeof(streams));
	memset(blocks, 0, sizeof(blocks));
	for (uint32_t n = 0; n < 64; n++)
		blocks[n].state = ESTABLISHED;
	return 0;
}

static void test_who_does_not_read(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 12; n++)
		assert_false(arrive(n, 1u << 20)); /* nobody has read it for long: a sixteenth of what is left */
	assert_true(memory_left() > MEMORY * 2 / 5);
	assert_false(memory_is_short());
	streams[12].read_ns = server_now_ns;
	assert_true(arrive(12, 256u << 10)); /* who reads finds some */
}

static void test_who_reads_finds_some(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 64; n++)
		arrive(n, 1u << 20);
	while (used < MEMORY) /* and others take all the rest */
		used += HELD;
	assert_true(memory_is_short());
	for (uint32_t n = 0; n < 64; n++) {
		streams[n].received_bytes = 0;
		assert_true(arrive(n, TCP_WINDOW_SHORT));
		assert_false(arrive(n, 2 * TCP_WINDOW_SHORT));
	}
}

/* What came too early is taken as far as what is in order would be. */
static void test_early(void **state)
{
	(void)state;
	assert_false(too_much(&streams[0], &blocks[0], 512u << 10, MSS));
	used = MEMORY;
	assert_false(too_much(&streams[0], &blocks[0], TCP_WINDOW_SHORT, MSS));
	assert_true(too_much(&streams[0], &blocks[0], TCP_WINDOW_SHORT + 1, MSS));
	assert_false(too_much(&streams[0], &blocks[0], 512u << 10, 0)); /* only an acknowledgement */
	streams[0].received_bytes = TCP_WINDOW_SHORT;
	assert_true(too_much(&streams[0], &blocks[0], 1, MSS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_who_does_not_read, begin_test),
		cmocka_unit_test_setup(test_who_reads_finds_some, begin_test),
		cmocka_unit_test_setup(test_early, begin_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
