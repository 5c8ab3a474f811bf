/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network client against a driver of the test's own, which takes, completes and
 * delivers in any order, dies at any point, forgets and lies. Every buffer and
 * every packet must come back exactly once, and nothing that was not delivered.
 */
// sources: lib/netcli/client.c lib/netcli/session.c lib/netcli/receive.c lib/netcli/send.c lib/netcli/meta.c
// sources: lib/ring/ring.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include "lib/netcli/netcli.h"
#include "lib/ring/ring.h"

#define BUFFERS 96u
#define PACKETS 200u
#define PIECE   256u
#define POOL    65536u

/* ------------------------------------------------------------------- the driver */

static struct {
	bool open_waits, serving;
	reply_fn opened;
	void *opened_ctx;
	x_handle_t handles[4];
	uint32_t generation, features;
	uint8_t *rings;
	struct fake_object *object, *event;
	struct ring rx_post, rx_done, tx, tx_done;
	struct net_rx_post posted[NET_SLOTS];
	unsigned posted_count;
	uint32_t sent[NET_SLOTS];       /* ids taken from TX, not completed */
	unsigned sent_count;
	uint64_t wire[1 << 16];         /* numbers of packets as they went out */
	unsigned wire_count, configured, incarnations;
	struct x_msg config;
	uint8_t filter[NET_FILTER_MAX][6];
	int open_status;
} drv;

/* --------------------------------------------------------------------- the user */

static struct net_client *client;
static uint8_t *pool[2];
static struct { bool out; uint64_t holds; } buffers[BUFFERS]; /* holds: number in it as delivered */
static struct { bool out; uint64_t number; int status; } packets[PACKETS];
static uint64_t next_number, next_delivery, last_received;
static unsigned received_count, returned_count, sent_count, ups, link_changes, announcements;
static int open_result = 1;
static struct net_meta last_meta;
static unsigned last_count;

static void on_start(const struct x_out *o, reply_fn done, void *ctx)
{
	struct x_in in = { .kind = X_IN_REPLY };

	if (o->msg.op == NET_CONFIGURE) {
		drv.configured++;
		drv.config = o->msg;
		if (o->win_count)
			memcpy(drv.filter, (void *)(uintptr_t)o->win[0].addr, o->win[0].len);
		in.msg.status = drv.serving ? 0 : -X_EDEAD;
		done(ctx, &in);
		return;
	}
	assert_int_equal(o->msg.op, NET_OPEN);
	assert_int_equal(o->handle_count, 4);
	assert_int_equal(o->msg.a[1], 2);
	assert_false(drv.open_waits);
	drv.open_waits = true;
	drv.opened = done;
	drv.opened_ctx = ctx;
	drv.generation = o->msg.a[0];
	memcpy(drv.handles, o->handles, sizeof(drv.handles));
}

static void driver_serve(void)
{
	struct x_in in = { .kind = X_IN_REPLY };

	if (!drv.open_waits)
		return;
	drv.open_waits = false;
	in.msg.status = drv.open_status;
	if (!drv.open_status) {
		assert_ptr_not_equal(fake_handle[drv.handles[0]]->memory, drv.rings);
		drv.rings = fake_handle[drv.handles[0]]->memory;
		drv.event = fake_handle[drv.handles[1]];
		ring_init(&drv.rx_post, drv.rings + NET_RX_POST_OFFSET, NET_SLOTS, 24);
		ring_init(&drv.rx_done, drv.rings + NET_RX_DONE_OFFSET, NET_SLOTS, 32);
		ring_init(&drv.tx, drv.rings + NET_TX_OFFSET, NET_SLOTS, 32);
		ring_init(&drv.tx_done, drv.rings + NET_TX_DONE_OFFSET, NET_SLOTS, 16);
		drv.posted_count = drv.sent_count = 0;
		drv.serving = true;
		drv.incarnations++;
		memcpy(&in.msg.a[0], "\2\0\0\0\0\7", 6);
		in.msg.a[1] = 1500 | (uint64_t)drv.features << 32;
		in.msg.a[2] = PIECE | (uint64_t)PIECE << 32;
		in.msg.a[3] = NET_PACKET_MAX | 8ull << 32;
		strcpy((char *)&in.msg.a[4], "fake");
		drv.object = fake_new(X_TYPE_OBJECT);
		in.handles[0] = fake_give(drv.object);
		in.handles[1] = fake_give(fake_new(X_TYPE_EVENT));
		in.handle_count = 2;
	}
	for (int i = 0; i < 4; i++)
		fake_close(drv.handles[i]);
	drv.opened(drv.opened_ctx, &in);
	in_close_handles(&in); /* as lib/ipc does */
}

static void driver_die(void)
{
	if (drv.serving)
		drv.object->bits |= X_READY_DEAD;
	drv.serving = false;
}

static void driver_take(unsigned max)
{
	struct net_rx_post post;
	struct net_tx tx;

	while (drv.serving && ring_pop(&drv.rx_post, &post) > 0) {
		assert_int_equal(post.generation, drv.generation);
		for (unsigned i = 0; i < drv.posted_count; i++)
			assert_int_not_equal(drv.posted[i].id, post.id);
		drv.posted[drv.posted_count++] = post;
	}
	while (drv.serving && max-- && ring_pop(&drv.tx, &tx) > 0) {
		uint32_t id = tx.id;

		assert_int_equal(tx.generation, drv.generation);
		memcpy(&drv.wire[drv.wire_count++ % (1 << 16)], pool[tx.pool] + tx.pool_offset, 8);
		drv.sent[drv.sent_count++] = id;
		while (tx.flags & NET_MORE) {
			assert_int_equal(ring_pop(&drv.tx, &tx), 1);
			assert_int_equal(tx.id, id);
		}
	}
	if (drv.serving) {
		ring_release(&drv.rx_post);
		ring_release(&drv.tx);
	}
}

static void tell(struct ring *r, const void *entry)
{
	assert_int_equal(ring_push(r, entry), 0);
	if (ring_publish(r))
		drv.event->bits |= NET_EVENT_RING;
}

static void driver_complete(unsigned index)
{
	struct net_tx_done done = { drv.generation, drv.sent[index], 0, 0 };

	drv.sent[index] = drv.sent[--drv.sent_count];
	tell(&drv.tx_done, &done);
}

/* A packet of `pieces` buffers, any of those posted. */
static void driver_deliver(unsigned pieces)
{
	for (unsigned i = 0; i < pieces; i++) {
		unsigned k = rand() % drv.posted_count;
		struct net_rx_post post = drv.posted[k];
		struct net_rx_done done = {
			.generation = drv.generation, .id = post.id, .offset_bytes = i ? 0 : 12,
			.length_bytes = i ? PIECE : PIECE - 12, .flags = i + 1 < pieces ? NET_MORE : 0,
		};

		next_delivery += !i;
		memcpy(pool[post.pool] + post.pool_offset + done.offset_bytes, &next_delivery, 8);
		drv.posted[k] = drv.posted[--drv.posted_count];
		tell(&drv.rx_done, &done);
	}
}

static void opened(void *ctx, int status, const struct net_info *info)
{
	assert_null(ctx);
	assert_int_equal(open_result, 1); /* once */
	open_result = status;
	if (!status)
		assert_int_equal(info->mtu, 1500);
}

static void up(void *ctx, const struct net_info *info) { (void)ctx; (void)info; ups++; }

static bool keep_posted; /* received() says that the buffer is to be posted again */

static bool received(void *ctx, const struct net_piece *pieces, uint32_t count, const struct net_meta *meta)
{
	uint64_t number;

	(void)ctx;
	last_meta = *meta;
	last_count = count;
	for (uint32_t i = 0; i < count; i++) {
		uintptr_t b = (uintptr_t)pieces[i].cookie;

		assert_true(buffers[b].out);
		buffers[b].out = count == 1 && keep_posted;
		assert_in_range(pieces[i].offset, b * PIECE, b * PIECE + 12);
		memcpy(&number, pool[0] + pieces[i].offset, 8);
		if (!i)
			assert_true(number > last_received); /* in order, and each once */
		last_received = number;
	}
	received_count++;
	return count == 1 && keep_posted;
}

static void sent(void *ctx, void *cookie, int status)
{
	uintptr_t i = (uintptr_t)cookie;

	(void)ctx;
	assert_true(packets[i].out);
	packets[i].out = false;
	packets[i].status = status;
	sent_count++;
}

static void returned(void *ctx, void *cookie)
{
	(void)ctx;
	assert_true(buffers[(uintptr_t)cookie].out);
	buffers[(uintptr_t)cookie].out = false;
	returned_count++;
}

static void status(void *ctx, const struct net_link *link, bool announce)
{
	(void)ctx;
	(void)link;
	link_changes += !announce;
	announcements += announce;
}

static int post(unsigned b)
{
	int err = net_post(client, &(struct net_piece){ 0, PIECE, b * PIECE, (void *)(uintptr_t)b });

	buffers[b].out |= !err;
	return err;
}

static int send_meta(unsigned i, unsigned pieces, const struct net_meta *meta)
{
	struct net_piece p[9];
	int err;

	for (unsigned k = 0; k < pieces; k++)
		p[k] = (struct net_piece){ 1, 64, i * PIECE + k * 16, NULL };
	packets[i].number = ++next_number;
	memcpy(pool[1] + i * PIECE, &next_number, 8);
	err = net_send(client, p, pieces, meta, (void *)(uintptr_t)i);
	packets[i].out |= !err;
	packets[i].status = 1;
	next_number -= err != 0;
	return err;
}

static int send(unsigned i, unsigned pieces)
{
	return send_meta(i, pieces, &(struct net_meta){ 0 });
}

static void iterate(void)
{
	fake_run_timers();
	fake_deliver();
	net_batch_end();
	fake_commit();
}

static void settle(void)
{
	for (int i = 0; i < 200; i++) {
		server_now_ns += 10000000;
		driver_serve();
		driver_take(1000);
		while (drv.serving && drv.sent_count)
			driver_complete(0);
		iterate();
	}
}

/* ------------------------------------------------------------------------- tests */

static void opens(void **state)
{
	static const struct net_client_ops ops = {
		.opened = opened, .up = up, .received = received, .sent = sent, .returned = returned, .status = status,
	};
	struct net_pool pools[2];

	(void)state;
	fake_on_start = on_start;
	drv.features = NET_F_RX_CHAIN | NET_F_RX_CSUM | NET_F_RX_GSO | NET_F_TX_CSUM | NET_F_TX_TSO4;
	for (int i = 0; i < 2; i++) {
		pools[i].memory = fake_mem_create(&(struct x_mem_create){ .bytes = POOL });
		pools[i].virt = pool[i] = fake_handle[pools[i].memory]->memory;
		pools[i].bytes = POOL;
	}
	client = net_open(9, pools, 2, &ops, NULL);
	assert_int_equal(post(0), 0); /* before it is open */
	assert_int_equal(send(0, 1), 0);
	iterate();
	assert_true(drv.open_waits);
	assert_int_equal(open_result, 1);
	settle();
	assert_int_equal(open_result, 0);
	assert_int_equal(packets[0].status, 0);
	assert_int_equal(drv.posted_count, 1);
	assert_string_equal(net_info(client)->name, "fake");
}

static void refuses(void **state)
{
	struct net_piece out = { 1, 64, POOL - 63, NULL }, odd = { 0, PIECE, 8, NULL }, shorter = { 0, PIECE - 1, 0, NULL };
	struct net_piece other = { 2, 64, 0, NULL };
	struct net_meta outside = { .flags = NET_CSUM_PARTIAL, .csum_start = 60, .csum_offset = 4 };
	struct net_meta cut6 = { .flags = NET_CSUM_PARTIAL, .csum_start = 54, .csum_offset = 16, .gso_type = NET_GSO_TCPV6,
				 .gso_size = 100, .hdr_len = 74 }, cut = cut6;

	(void)state;
	assert_int_equal(net_send(client, &out, 1, &(struct net_meta){ 0 }, NULL), -X_EINVAL);
	assert_int_equal(net_send(client, &other, 1, &(struct net_meta){ 0 }, NULL), -X_EINVAL);
	assert_int_equal(net_send(client, NULL, 0, &(struct net_meta){ 0 }, NULL), -X_EINVAL);
	assert_int_equal(net_post(client, &odd), -X_EINVAL);
	assert_int_equal(net_post(client, &shorter), -X_EINVAL);
	assert_int_equal(net_post(client, &other), -X_EINVAL);
	assert_int_equal(send(1, 9), -X_E2BIG);
	assert_int_equal(send_meta(1, 1, &outside), -X_EINVAL);
	assert_int_equal(send_meta(1, 8, &cut6), -X_EINVAL); /* headers not in the first piece */
	out = (struct net_piece){ 1, 200, 0, NULL };
	assert_int_equal(net_send(client, &out, 1, &cut6, NULL), -X_EOPNOTSUPP);
	cut.gso_type = NET_GSO_TCPV4 | NET_GSO_ECN;
	assert_int_equal(net_send(client, &out, 1, &cut, NULL), -X_EOPNOTSUPP);
	cut.gso_type = 3;
	assert_int_equal(net_send(client, &out, 1, &cut, NULL), -X_EINVAL);
	assert_int_equal(net_send_room(client), NET_SLOTS);
}

static void fills_up(void **state)
{
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 128; i++)
		assert_int_equal(send(i, 8), 0);
	assert_int_equal(net_send_room(client), 0);
	assert_int_equal(send(150, 1), -X_EAGAIN);
	iterate();
	driver_take(1000);
	assert_int_equal(drv.sent_count, 128);
	while (n++ < 64)
		driver_complete(drv.sent_count - 1); /* the last first: no room yet */
	iterate();
	assert_int_equal(net_send_room(client), 0);
	settle();
	assert_int_equal(net_send_room(client), NET_SLOTS);
}

static void random_deaths(void **state)
{
	unsigned deaths = 0, before = sent_count;
	uint64_t posts = 0;

	(void)state;
	srand(11);
	for (int round = 0; round < 40000; round++) {
		unsigned b = rand() % BUFFERS, i = rand() % PACKETS;

		keep_posted = rand() % 2;
		if (!buffers[b].out && !post(b))
			posts++;
		if (!packets[i].out)
			send(i, 1 + rand() % 8);
		driver_take(rand() % 4);
		if (drv.serving && drv.sent_count)
			driver_complete(rand() % drv.sent_count);
		if (drv.serving && drv.posted_count > 8)
			driver_deliver(1 + rand() % 4);
		if (deaths < 200 && rand() % 150 == 0) {
			driver_die();
			deaths++;
		}
		if (rand() % 3 == 0)
			driver_serve();
		if (rand() % 2)
			iterate();
	}
	keep_posted = false;
	settle();
	assert_int_equal(deaths, 200);
	assert_true(ups >= 150 && net_reopened(client) == ups);
	assert_int_equal(sent_count - before, next_number - (128 + 1));
	for (unsigned i = 0; i < PACKETS; i++) {
		assert_false(packets[i].out);
		assert_in_range(-packets[i].status + 1, 0, 1 + X_EIO);
	}
	for (unsigned b = 0; b < BUFFERS; b++) /* what is out is the driver's, and nothing else is */
		if (!buffers[b].out)
			assert_int_equal(post(b), 0);
	settle();
	assert_int_equal(drv.posted_count, BUFFERS);
	assert_true(received_count > 5000 && returned_count == 0);
}

/* Replayed in order, before what was sent later. */
static void replays_in_order(void **state)
{
	unsigned at = drv.wire_count;

	(void)state;
	for (int i = 0; i < 10; i++)
		send(i, 1 + i % 3);
	iterate();
	driver_take(6);
	driver_complete(2); /* out of order: the third is done */
	driver_die();
	iterate();
	for (int i = 10; i < 15; i++)
		send(i, 1);
	at = drv.wire_count;
	settle();
	assert_int_equal(drv.wire_count - at, 14);
	for (unsigned i = 0, n = 0; i < 15; i++)
		if (i != 2)
			assert_int_equal(drv.wire[at + n++], packets[i].number);
}

/* A packet that is out in one driver after the other may be what kills them. */
static void poison(void **state)
{
	unsigned before = drv.incarnations;

	(void)state;
	send(0, 1);
	for (int i = 0; i < 20 && packets[0].out; i++) {
		iterate();
		driver_die();
		iterate();
		driver_serve();
		iterate();
	}
	assert_int_equal(packets[0].status, -X_EIO);
	assert_in_range(drv.incarnations - before, 5, 8);
	settle();
}

static void features_change(void **state)
{
	struct net_meta sum = { .flags = NET_CSUM_PARTIAL, .csum_start = 20, .csum_offset = 6 };

	(void)state;
	send_meta(0, 1, &sum);
	send(1, 1);
	driver_die();
	iterate();
	drv.features &= ~(NET_F_TX_CSUM | NET_F_TX_TSO4);
	settle();
	assert_int_equal(packets[0].status, -X_EOPNOTSUPP);
	assert_int_equal(packets[1].status, 0);
	assert_int_equal(send_meta(0, 1, &sum), -X_EOPNOTSUPP);
	drv.features |= NET_F_TX_CSUM | NET_F_TX_TSO4;
	driver_die();
	settle();
}

static void configuration(void **state)
{
	struct net_config config = { .mode = NET_MODE_ALL_MULTICAST, .mac = { 2, 1, 2, 3, 4, 5 }, .filter_count = 2,
				     .filter = { { 1, 0, 0x5e, 1, 2, 3 }, { 0x33, 0x33, 9, 9, 9, 9 } } };
	unsigned before = drv.configured;

	(void)state;
	net_configure(client, &config);
	iterate();
	assert_int_equal(drv.configured, before + 1);
	assert_int_equal(drv.config.a[0], NET_MODE_ALL_MULTICAST);
	assert_memory_equal(&drv.config.a[1], config.mac, 6);
	assert_memory_equal(drv.filter, config.filter, 12);
	settle();
	assert_int_equal(drv.configured, before + 1);
	driver_die();
	settle();
	assert_int_equal(drv.configured, before + 2); /* replayed */
	assert_memory_equal(drv.filter, config.filter, 12);
}

static void status_page(void **state)
{
	struct net_status *page = (void *)(drv.rings + NET_STATUS_OFFSET);
	unsigned changes = link_changes, before = announcements;
	struct net_counters c;

	(void)state;
	page->link_up = 1;
	page->speed_mbit = 1000;
	drv.event->bits |= NET_EVENT_STATUS;
	iterate();
	assert_int_equal(link_changes, changes + 1);
	assert_true(net_link(client).up);
	page->announcements = 1;
	drv.event->bits |= NET_EVENT_STATUS;
	iterate();
	assert_int_equal(announcements, before + 1);
	page->counters.rx_packets = 5;
	driver_die();
	settle();
	page = (void *)(drv.rings + NET_STATUS_OFFSET);
	page->counters.rx_packets = 7;
	net_counters(client, &c);
	assert_int_equal(c.rx_packets, 12); /* over all incarnations */
	assert_int_equal(announcements, before + 1);
}

static void metadata_arrives(void **state)
{
	struct net_rx_done e = {
		.generation = drv.generation, .id = drv.posted[0].id, .length_bytes = PIECE, .flags = NET_CSUM_PARTIAL,
		.csum_start = 34, .csum_offset = 16, .gso_type = NET_GSO_TCPV4, .gso_size = 100, .hdr_len = 54,
	};

	(void)state;
	next_delivery++;
	memcpy(pool[0] + drv.posted[0].pool_offset, &next_delivery, 8);
	drv.posted[0] = drv.posted[--drv.posted_count];
	tell(&drv.rx_done, &e);
	iterate();
	assert_int_equal(last_count, 1);
	assert_int_equal(last_meta.csum_start, 34);
	assert_int_equal(last_meta.gso_type, NET_GSO_TCPV4);
	assert_int_equal(last_meta.gso_size, 100);
	for (unsigned b = 0; b < BUFFERS; b++)
		if (!buffers[b].out)
			post(b);
	settle();
}

/* A driver that lies is dropped, asked again later, and the user sees nothing of it. */
static void lying_driver(void **state)
{
	(void)state;
	for (unsigned lie = 0; lie < 16; lie++) {
		uint32_t id = drv.posted[0].id, generation = drv.generation;
		struct net_rx_done rx = { .generation = generation, .id = id, .length_bytes = 64 };
		struct net_tx_done tx = { generation, 0, 0, 0 };
		unsigned before = drv.incarnations, got = received_count, done;

		send(0, 2);
		iterate();
		driver_take(10);
		done = sent_count;
		tx.id = drv.sent[0];
		switch (lie) {
		case 0: rx.generation--; break;
		case 1: rx.id = NET_SLOTS; break;
		case 2: rx.id = 900; break;                      /* not posted */
		case 3: rx.length_bytes = PIECE + 1; break;
		case 4: rx.offset_bytes = PIECE; break;
		case 5: rx.offset_bytes = 0xffffffc0; break;
		case 6: rx.flags = NET_CSUM_PARTIAL; rx.csum_start = 60; rx.csum_offset = 3; break;
		case 7: rx.gso_type = 7; rx.gso_size = 1; break;
		case 8: rx.gso_type = NET_GSO_TCPV4; break;      /* of size 0 */
		case 9: rx.length_bytes = 0; rx.flags = NET_MORE; break;
		case 10: rx.flags = 0x80; break;
		case 11: tx.generation++; break;
		case 12: tx.id = (tx.id + 1) % NET_SLOTS; break; /* not the first piece */
		case 13: tx.id = NET_SLOTS + 5; break;
		case 14: tx.status = 5; break;
		case 15: break;
		}
		if (lie < 11)
			tell(&drv.rx_done, &rx);
		else if (lie < 15)
			tell(&drv.tx_done, &tx);
		else
			((struct ring_shared *)(void *)(drv.rings + NET_RX_DONE_OFFSET))->tail = 77777;
		drv.event->bits |= NET_EVENT_RING;
		iterate();
		assert_int_equal(received_count, got);
		assert_int_equal(sent_count, done);
		drv.serving = false;
		settle();
		assert_int_equal(drv.incarnations, before + 1);
		assert_int_equal(packets[0].status, 0);
		assert_int_equal(drv.posted_count, BUFFERS);
	}
}

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

/* What the E1000 wants: the same packet sent twice is changed once. */
static void bare_headers(void **state)
{
	struct net_meta cut = { .flags = NET_CSUM_PARTIAL, .csum_start = 34, .csum_offset = 16, .gso_type = NET_GSO_TCPV4,
				.gso_size = 100, .hdr_len = 54 };
	struct net_piece piece = { 1, 1054, 32768, (void *)(uintptr_t)0 };
	uint8_t *p = pool[1] + 32768;

	(void)state;
	drv.features |= NET_F_TSO_BARE;
	driver_die();
	settle();
	memset(p, 0, 1054);
	p[12] = 8;
	p[14] = 0x45;
	p[16] = 1040 >> 8;
	p[17] = 1040 & 255;
	p[24] = 0x12;
	p[25] = 0x34;
	p[50] = 0x50;
	p[51] = 0x60;
	packets[0].out = true;
	assert_int_equal(net_send(client, &piece, 1, &cut, (void *)(uintptr_t)0), 0);
	for (int i = 0; i < 2; i++) {
		iterate();
		driver_die();
		iterate();
		driver_serve();
	}
	assert_int_equal(get16(p + 16), 0);
	assert_int_equal(get16(p + 24), 0);
	/* The sum with the length added again, as the device does, is the old one. */
	assert_int_equal((get16(p + 50) + 1020) % 65535, 0x5060);
	settle();
	assert_int_equal(packets[0].status, 0);
}

static void goes_away(void **state)
{
	unsigned before = drv.incarnations;

	(void)state;
	drv.open_status = -X_ENODEV;
	driver_die();
	for (int i = 0; i < 2000; i++) {
		server_now_ns += 10000000;
		driver_serve();
		iterate();
	}
	assert_false(net_link(client).up);
	send(0, 1);
	drv.open_status = 0;
	settle();
	settle();
	assert_int_equal(drv.incarnations, before + 1);
	assert_int_equal(packets[0].status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens), cmocka_unit_test(refuses), cmocka_unit_test(fills_up),
		cmocka_unit_test(random_deaths), cmocka_unit_test(replays_in_order), cmocka_unit_test(poison),
		cmocka_unit_test(features_change), cmocka_unit_test(configuration), cmocka_unit_test(status_page),
		cmocka_unit_test(metadata_arrives), cmocka_unit_test(lying_driver), cmocka_unit_test(bare_headers),
		cmocka_unit_test(goes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
