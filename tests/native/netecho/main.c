/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netecho: the least network stack, to test drivers through lib/netcli without
 * a real one. Kernel command line: netecho=DRIVER (virtio_net if absent).
 *
 * Answers ARP and ICMP echo for 10.0.9.2 and UDP to port 7. Frames of EtherType
 * 0x88b5 are orders of the test on the host (struct order); TCP segments to
 * port 9, whole or joined, are counted.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "lib/netcli/netcli.h"

#define RX_BUFFERS   128u
#define TX_BUFFERS   64u
#define BUFFER_BYTES 69632u /* NET_PACKET_MAX and a device's own header, in pages */
#define POOL_BYTES(n) ((uint64_t)(n) * BUFFER_BYTES)

#define TYPE_ORDER 0x88b5u
#define HEADERS    (14u + 20 + 20)

enum order_code {
	ORDER_ECHO = 'E',   /* send this frame back, addresses swapped */
	ORDER_SINK = 'X',   /* count it */
	ORDER_BLAST = 'B',  /* send `count` packets of `bytes` payload: numbered, filled by pattern() */
	ORDER_STATS = 'S',  /* reply with the counts as text */
	ORDER_DRIVER = 'D', /* reply with the driver's own counts (NET_LIST) */
	ORDER_CONFIG = 'C', /* mode `bytes`, `count` multicast addresses behind the order */
};

struct order {
	uint8_t to[6], from[6], type[2];
	uint8_t code, reserved;
	uint32_t number;    /* ECHO, SINK: of the frame; BLAST: first number */
	uint32_t count, bytes;
	uint16_t gso_size;  /* BLAST: 0: frames of type 0x88b5; else TCP packets to be cut */
} __attribute__((packed));

static struct {
	struct net_client *client;
	x_handle_t driver;
	struct net_pool pools[2];
	uint8_t mac[6];
	uint16_t tx_free[TX_BUFFERS];
	uint32_t tx_free_count;
	/* blast under way */
	struct order blast;
	uint32_t blast_left;
	/* counts */
	uint64_t packets, bytes, pieces, bad, again, sent, failed, joined, sunk, next_number;
	uint32_t ups, announcements;
} echo;

static const uint8_t own_ip[4] = { 10, 0, 9, 2 };

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v & 0xffff); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }

static uint32_t sum16(const uint8_t *p, uint32_t bytes, uint32_t sum)
{
	for (; bytes > 1; p += 2, bytes -= 2)
		sum += get16(p);
	if (bytes)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Byte `at` of packet `number`: the same formula stands in the host's test. */
static uint8_t pattern(uint32_t number, uint32_t at) { return (uint8_t)(number * 7 + at + (at >> 8)); }

/* --------------------------------------------------------------------- sending */

static uint8_t *tx_virt(uint32_t i) { return echo.pools[1].virt + POOL_BYTES(i); }

/* The cookie of a packet from our transmit pool is its index and 1; of one that
 * goes back in its receive buffer, the buffer's address. */
static int send(uint32_t index, uint32_t bytes, const struct net_meta *meta)
{
	struct net_piece piece = { .pool = 1, .offset = POOL_BYTES(index), .length = bytes };
	int err = net_send(echo.client, &piece, 1, meta, (void *)(uintptr_t)(index + 1));

	if (err)
		echo.tx_free[echo.tx_free_count++] = index;
	return err;
}

static void post(uint32_t index)
{
	struct net_piece piece = { .pool = 0, .offset = POOL_BYTES(index), .length = BUFFER_BYTES,
				   .cookie = echo.pools[0].virt + POOL_BYTES(index) };

	if (net_post(echo.client, &piece))
		server_log("a buffer was refused");
}

static void post_cookie(void *cookie)
{
	post(((uint8_t *)cookie - echo.pools[0].virt) / BUFFER_BYTES);
}

static uint32_t fill_tcp(uint8_t *p, const struct order *o, uint32_t number, struct net_meta *meta)
{
	uint32_t bytes = o->bytes, sum;
	uint8_t *ip = p + 14, *tcp = ip + 20;

	memcpy(p, o->from, 6);
	memcpy(p + 6, echo.mac, 6);
	put16(p + 12, 0x0800);
	memset(ip, 0, 40);
	ip[0] = 0x45;
	put16(ip + 2, 40 + bytes);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, own_ip, 4);
	memcpy(ip + 16, own_ip, 4);
	ip[19] = 99;
	put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
	put16(tcp, 9);
	put16(tcp + 2, 9);
	put32(tcp + 4, number * bytes);
	tcp[12] = 0x50;
	tcp[13] = 0x10;
	sum = sum16(ip + 12, 8, 6 + 20 + bytes);
	put16(tcp + 16, sum);
	*meta = (struct net_meta){
		.flags = NET_CSUM_PARTIAL, .csum_start = 34, .csum_offset = 16, .hdr_len = HEADERS,
		.gso_type = bytes > o->gso_size ? NET_GSO_TCPV4 : NET_GSO_NONE, .gso_size = o->gso_size,
	};
	return HEADERS;
}

static uint32_t fill_raw(uint8_t *p, const struct order *o, uint32_t number, struct net_meta *meta)
{
	struct order *out = (struct order *)p;

	memcpy(out->to, o->from, 6);
	memcpy(out->from, echo.mac, 6);
	put16(out->type, TYPE_ORDER);
	out->code = ORDER_SINK;
	out->reserved = 0;
	out->number = number;
	out->count = 0;
	out->bytes = o->bytes;
	out->gso_size = 0;
	*meta = (struct net_meta){ 0 };
	return sizeof(*out);
}

/* As many as there is room for; the payload of a long one is filled once. */
static void blast_on(void)
{
	static uint32_t filled[TX_BUFFERS]; /* payload bytes of pattern 0, so as not to measure filling */

	while (echo.blast_left && echo.tx_free_count) {
		const struct order *o = &echo.blast;
		uint32_t index = echo.tx_free[--echo.tx_free_count], number = o->number + o->count - echo.blast_left;
		uint8_t *p = tx_virt(index);
		bool fast = o->reserved;
		struct net_meta meta;
		uint32_t header = o->gso_size ? fill_tcp(p, o, number, &meta) : fill_raw(p, o, number, &meta);

		if (!fast || filled[index] != header + o->bytes)
			for (uint32_t i = 0; i < o->bytes; i++)
				p[header + i] = pattern(fast ? 0 : number, i);
		filled[index] = fast ? header + o->bytes : 0;
		if (send(index, header + o->bytes, &meta))
			return;
		echo.blast_left--;
	}
}

static void sent(void *ctx, void *cookie, int status)
{
	uintptr_t index = (uintptr_t)cookie;

	(void)ctx;
	echo.sent++;
	echo.failed += status != 0;
	if (index <= TX_BUFFERS)
		echo.tx_free[echo.tx_free_count++] = index - 1;
	else
		post_cookie(cookie);
	blast_on();
}

/* ------------------------------------------------------------------- receiving */

static void send_text(const uint8_t *to, const char *text, uint32_t len)
{
	struct net_meta meta = { 0 };
	uint32_t index;
	uint8_t *p;

	if (!echo.tx_free_count)
		return;
	index = echo.tx_free[--echo.tx_free_count];
	p = tx_virt(index);
	memcpy(p, to, 6);
	memcpy(p + 6, echo.mac, 6);
	put16(p + 12, TYPE_ORDER);
	memcpy(p + 14, text, len);
	send(index, 14 + len, &meta);
}

#define N(x) ((unsigned long long)(x))

static struct { struct order order; char text[1024]; bool busy; } list;

static void on_listed(void *ctx, const struct x_in *reply)
{
	int len = reply->msg.status;

	(void)ctx;
	list.busy = false;
	if (len > 0 && len <= (int)sizeof(list.text) - 2) {
		list.text[len] = 0;
		memmove(list.text + 2, list.text, len);
		list.text[0] = ORDER_DRIVER;
		list.text[1] = (char)list.order.reserved;
		send_text(list.order.from, list.text, len + 2);
	}
}

static void send_driver_counts(const struct order *o)
{
	struct x_out *out;

	if (list.busy)
		return;
	list.busy = true;
	list.order = *o;
	out = out_start(echo.driver, on_listed, NULL, NULL);
	out->msg.op = NET_LIST;
	out->win[0] = (struct x_window){ (uintptr_t)list.text, sizeof(list.text) - 2, X_WIN_WRITE };
	out->win_count = 1;
}

static void send_stats(const struct order *o)
{
	struct x_system_info info;
	struct net_counters c;
	char text[512];
	int len;

	net_counters(echo.client, &c);
	x_system_info(&info);
	len = snprintf(text, sizeof(text),
		       "S%c packets %llu bytes %llu pieces %llu bad %llu again %llu sunk %llu joined %llu sent %llu failed %llu "
		       "reopened %u ups %u link %u features %u tx %llu rx %llu out %llu ns %llu "
		       "switches %llu idle %llu\n", o->reserved,
		       N(echo.packets), N(echo.bytes), N(echo.pieces), N(echo.bad), N(echo.again), N(echo.sunk),
		       N(echo.joined), N(echo.sent), N(echo.failed), net_reopened(echo.client), echo.ups,
		       net_link(echo.client).up, net_info(echo.client)->features, N(c.tx_packets), N(c.rx_packets),
		       N(NET_SLOTS - net_send_room(echo.client)), N(x_clock(X_CLOCK_MONOTONIC)),
		       N(info.context_switches), N(info.idle_ns));
	send_text(o->from, text, len);
}

static void configure(const uint8_t *p, uint32_t bytes)
{
	const struct order *o = (const void *)p;
	static struct net_config config;

	config = (struct net_config){ .mode = o->bytes };
	if (o->count > NET_FILTER_MAX || bytes < sizeof(*o) + o->count * 6)
		return;
	config.filter_count = o->count;
	memcpy(config.filter, p + sizeof(*o), o->count * 6);
	net_configure(echo.client, &config);
}

static void count_number(uint32_t number)
{
	if (number < echo.next_number)
		echo.again++;
	else
		echo.next_number = number + 1ull;
}

/* Back in its own buffer, which is posted again when it is sent; `bytes` leaves out
 * what a short frame was padded with. false: not sent. */
static bool send_back(const struct net_piece *whole, uint32_t bytes, uint8_t *p, const struct net_meta *meta)
{
	struct net_piece piece = *whole;
	uint8_t mac[6];

	piece.length = bytes;

	memcpy(mac, p + 6, 6);
	memcpy(p + 6, echo.mac, 6);
	memcpy(p, mac, 6);
	return !net_send(echo.client, &piece, 1, meta, whole->cookie);
}

static bool order(const struct net_piece *piece, uint8_t *p)
{
	const struct order *o = (const void *)p;
	static const struct net_meta plain;

	if (piece->length < sizeof(*o))
		return false;
	switch (o->code) {
	case ORDER_ECHO:
		return send_back(piece, piece->length, p, &plain);
	case ORDER_SINK:
		echo.sunk++;
		count_number(o->number);
		for (uint32_t i = 0; i < o->bytes && sizeof(*o) + i < piece->length; i++)
			if (p[sizeof(*o) + i] != pattern(o->number, i)) {
				echo.bad++;
				break;
			}
		break;
	case ORDER_BLAST:
		if (o->bytes > NET_PACKET_MAX - 100)
			break;
		echo.blast = *o;
		echo.blast_left = o->count;
		blast_on();
		break;
	case ORDER_STATS:
		send_stats(o);
		break;
	case ORDER_DRIVER:
		send_driver_counts(o);
		break;
	case ORDER_CONFIG:
		configure(p, piece->length);
		break;
	}
	return false;
}

static bool arp(const struct net_piece *piece, uint8_t *p)
{
	static const struct net_meta plain;

	if (piece->length < 42 || get16(p + 20) != 1 || memcmp(p + 38, own_ip, 4))
		return false;
	put16(p + 20, 2);
	memcpy(p + 32, p + 22, 10);
	memcpy(p + 22, echo.mac, 6);
	memcpy(p + 28, own_ip, 4);
	return send_back(piece, piece->length, p, &plain);
}

/* ICMP and UDP answers are checksummed by the device where it can. */
static bool ipv4(const struct net_piece *piece, uint8_t *p, const struct net_meta *in)
{
	bool offload = net_info(echo.client)->features & NET_F_TX_CSUM;
	struct net_meta meta = { 0 };
	uint8_t *ip = p + 14, *l4 = ip + 20;
	uint32_t len = get16(ip + 2);

	if (piece->length < 42 || ip[0] != 0x45)
		return false;
	if (ip[9] == 6 && get16(l4 + 2) == 9) {
		echo.sunk++;
		echo.joined += in->gso_type != NET_GSO_NONE;
		if (piece->length > HEADERS + 4)
			count_number(get32(l4 + 20));
		return false;
	}
	if (len > piece->length - 14 || len < 28 || memcmp(ip + 16, own_ip, 4))
		return false;
	memcpy(ip + 16, ip + 12, 4);
	memcpy(ip + 12, own_ip, 4);
	if (ip[9] == 1 && l4[0] == 8) {
		l4[0] = 0;
		put16(l4 + 2, 0);
		put16(l4 + 2, ~sum16(l4, len - 20, 0) & 0xffff);
		return send_back(piece, 14 + len, p, &meta);
	}
	if (ip[9] != 17 || get16(l4 + 2) != 7)
		return false;
	memcpy(l4 + 2, l4, 2);
	put16(l4, 7);
	put16(l4 + 6, 0);
	if (offload) {
		put16(l4 + 6, sum16(ip + 12, 8, 17 + len - 20));
		meta = (struct net_meta){ .flags = NET_CSUM_PARTIAL, .csum_start = 34, .csum_offset = 6 };
	} else {
		put16(l4 + 6, ~sum16(l4, len - 20, sum16(ip + 12, 8, 17 + len - 20)) & 0xffff);
	}
	return send_back(piece, 14 + len, p, &meta);
}

static bool received(void *ctx, const struct net_piece *pieces, uint32_t count, const struct net_meta *meta)
{
	uint8_t *p = echo.pools[0].virt + pieces[0].offset;
	uint32_t type = get16(p + 12);
	bool gone = false;

	(void)ctx;
	echo.packets++;
	echo.pieces += count;
	for (uint32_t i = 0; i < count; i++)
		echo.bytes += pieces[i].length;
	if (type == TYPE_ORDER)
		gone = order(&pieces[0], p);
	else if (type == 0x0806)
		gone = arp(&pieces[0], p);
	else if (type == 0x0800)
		gone = ipv4(&pieces[0], p, meta);
	if (count == 1)
		return !gone;
	for (uint32_t i = gone; i < count; i++)
		post_cookie(pieces[i].cookie);
	return false;
}

static void returned(void *ctx, void *cookie)
{
	(void)ctx;
	server_log("a buffer was returned");
	post_cookie(cookie);
}

/* ------------------------------------------------------------------------ start */

static void opened(void *ctx, int status, const struct net_info *info)
{
	(void)ctx;
	if (status) {
		server_log("no network: error %d", status);
		return;
	}
	memcpy(echo.mac, info->mac, 6);
	for (uint32_t i = 0; i < RX_BUFFERS; i++)
		post(i);
	server_log("open: %s, mtu %u, features 0x%x, buffers %u to %u bytes", info->name, info->mtu, info->features,
		   info->rx_buffer_min, info->rx_buffer_best);
}

static void up(void *ctx, const struct net_info *info)
{
	(void)ctx;
	(void)info;
	echo.ups++;
}

static void status(void *ctx, const struct net_link *link, bool announce)
{
	(void)ctx;
	echo.announcements += announce;
	server_log("link %s, %u Mbit/s%s", link->up ? "up" : "down", link->speed_mbit, announce ? ", announce" : "");
}

static void make_pool(struct net_pool *pool, uint64_t bytes)
{
	struct x_mem_create create = { .bytes = bytes, .flags = X_MEM_CONTIGUOUS };
	struct x_mem_map map = { .space = X_SELF, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t memory = x_mem_create(&create), addr;

	map.memory = (x_handle_t)memory;
	addr = memory < 0 ? memory : x_mem_map(&map);
	if (addr < 0)
		server_die("no memory for a pool: %d", (int)addr);
	*pool = (struct net_pool){ .memory = memory, .virt = (uint8_t *)addr, .bytes = bytes };
}

static void refuse(const struct x_in *in)
{
	out_status(in->id, -X_ENOSYS);
}

void server_main(void)
{
	static const struct server_ops ops = { .call = refuse, .batch_end = net_batch_end };
	static const struct net_client_ops client = {
		.opened = opened, .up = up, .received = received, .sent = sent, .returned = returned, .status = status,
	};
	const char *driver = boot_option("netecho");

	make_pool(&echo.pools[0], POOL_BYTES(RX_BUFFERS));
	make_pool(&echo.pools[1], POOL_BYTES(TX_BUFFERS));
	echo.tx_free_count = TX_BUFFERS;
	for (uint32_t i = 0; i < TX_BUFFERS; i++)
		echo.tx_free[i] = TX_BUFFERS - 1 - i;
	echo.driver = boot_handle(driver ? driver : "virtio_net");
	echo.client = net_open(echo.driver, echo.pools, 2, &client, NULL);
	server_run(&ops);
}
