/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_net with the network-driver library, over a small model of the device
 * that executes the virtqueues, and lies; and clients that break the protocol.
 * One driver lives through all tests, in their order.
 */
// sources: lib/netdrv/driver.c lib/netdrv/session.c lib/netdrv/receive.c lib/netdrv/send.c lib/netdrv/list.c
// sources: lib/dma/dma.c lib/dma/dma_import.c lib/virtio/bring_up.c lib/virtio/virtqueue.c lib/virtio/packed.c lib/ring/ring.c lib/c/strlcpy.c
// sources: drivers/net/virtio_net/main.c drivers/net/virtio_net/queue.c drivers/net/virtio_net/control.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include "drivers/net/virtio_net/virtio_net.h"
#include "lib/ring/ring.h"

#define POOL   (256u * 1024)
#define BUFFER 4096u

void server_main(void);

/* ------------------------------------------------------------------- the device */

enum lie { HONEST, LIE_ID, LIE_LENGTH, LIE_INDEX, LIE_SHORT, LIE_BUFFERS, LIE_NO_BUFFERS, LIE_CSUM, LIE_GSO };

static struct {
	const struct virtqueue *q[3];
	uint16_t seen[3], used[3];
	bool stalled, refuse;       /* refuse: control commands fail */
	enum lie lie;
	unsigned kicks, resets, commands;
	uint8_t log[64][2];         /* class and command */
	uint8_t wire[70000];        /* the last packet sent */
	uint32_t wire_bytes, sent;
	struct virtio_net_hdr header;
	uint16_t status;
	uint8_t generation;
} dev = { .status = VIRTIO_NET_S_LINK_UP };

static void push_used(unsigned queue, uint16_t id, uint32_t len)
{
	struct virtq_used *used = dev.q[queue]->used;

	if (dev.lie == LIE_ID)
		id = 12345;
	if (dev.lie == LIE_LENGTH)
		len = 1u << 30;
	used->ring[dev.used[queue] % dev.q[queue]->size] = (struct virtq_used_elem){ id, len };
	dev.used[queue] += dev.lie == LIE_INDEX ? 300 : 1;
	used->idx = dev.used[queue];
}

static bool next_chain(unsigned queue, uint16_t *id, const struct virtq_desc **d, const struct virtq_desc **table)
{
	const struct virtqueue *q = dev.q[queue];

	if (!q || dev.seen[queue] == q->avail->idx)
		return false;
	*id = q->avail->ring[dev.seen[queue]++ % q->size];
	*d = &q->desc[*id];
	*table = q->desc;
	if ((*d)->flags & VIRTQ_DESC_INDIRECT)
		*table = *d = (const void *)(*d)->addr;
	return true;
}

static void transmit(uint16_t id, const struct virtq_desc *d, const struct virtq_desc *table)
{
	assert_int_equal(d->len, sizeof(dev.header));
	memcpy(&dev.header, (void *)d->addr, d->len);
	for (dev.wire_bytes = 0; d->flags & VIRTQ_DESC_NEXT;) {
		d = &table[d->next];
		assert_true(dev.wire_bytes + d->len <= sizeof(dev.wire));
		memcpy(dev.wire + dev.wire_bytes, (void *)d->addr, d->len);
		dev.wire_bytes += d->len;
	}
	dev.sent++;
	push_used(1, id, 0);
}

static void control(uint16_t id, const struct virtq_desc *d, const struct virtq_desc *table)
{
	memcpy(dev.log[dev.commands++ % 64], (void *)d->addr, 2);
	while (d->flags & VIRTQ_DESC_NEXT)
		d = &table[d->next];
	assert_int_equal(d->len, 1);
	*(uint8_t *)d->addr = dev.refuse ? 1 : VIRTIO_NET_OK;
	push_used(2, id, 1);
}

static void device_run(void)
{
	const struct virtq_desc *d, *table;
	uint16_t id;

	while (!dev.stalled && next_chain(1, &id, &d, &table))
		transmit(id, d, table);
	while (!dev.stalled && next_chain(2, &id, &d, &table))
		control(id, d, table);
	for (unsigned i = 1; i < 3; i++)
		if (dev.q[i]) /* avail_event */
			*(uint16_t *)&dev.q[i]->used->ring[dev.q[i]->size] = dev.seen[i];
}

/* A packet arrives: over as many buffers as it needs. false: there are too few. */
static bool device_receive(const struct virtio_net_hdr *header, const uint8_t *data, uint32_t bytes)
{
	struct virtio_net_hdr h = *header;
	uint32_t at = 0, count = 0, all = bytes + sizeof(h);
	const struct virtq_desc *d, *table;
	uint16_t id, ids[40];
	uint32_t lens[40];
	uint8_t *first = NULL;

	while (at < all) {
		uint32_t part;

		if (!next_chain(0, &id, &d, &table))
			return false;
		part = all - at < d->len ? all - at : d->len;
		assert_int_equal(d->flags, VIRTQ_DESC_WRITE);
		if (!first) {
			first = (void *)d->addr;
			memcpy(first + sizeof(h), data, part - sizeof(h));
		} else {
			memcpy((void *)d->addr, data + at - sizeof(h), part);
		}
		at += part;
		ids[count] = id;
		lens[count++] = part;
	}
	h.num_buffers = dev.lie == LIE_BUFFERS ? 77 : dev.lie == LIE_NO_BUFFERS ? 0 : count;
	memcpy(first, &h, sizeof(h));
	for (uint32_t i = 0; i < count; i++)
		push_used(0, ids[i], dev.lie == LIE_SHORT ? 5 : lens[i]);
	return true;
}

int virtio_pci_probe(struct virtio_pci *v, x_handle_t device) { memset(v, 0, sizeof(*v)); v->device = device; return 0; }
void virtio_pci_reset_begin(struct virtio_pci *v)
{
	(void)v;
	memset(dev.q, 0, sizeof(dev.q));
	memset(dev.seen, 0, sizeof(dev.seen));
	memset(dev.used, 0, sizeof(dev.used));
	dev.resets++;
}
int virtio_pci_reset_finished(struct virtio_pci *v) { (void)v; return 0; }
int virtio_pci_negotiate(struct virtio_pci *v, uint64_t wanted, uint64_t needed)
{
	v->features = (wanted | needed) & ~(VIRTIO_F_RING_PACKED | VIRTIO_NET_F_SPEED_DUPLEX | VIRTIO_F_ACCESS_PLATFORM |
					    VIRTIO_NET_F_MTU | VIRTIO_NET_F_HOST_TSO6);
	return 0;
}
uint32_t virtio_pci_queue_size(struct virtio_pci *v, uint16_t i) { (void)v; (void)i; return 64; }
int virtio_pci_queue_setup(struct virtio_pci *v, uint16_t i, const struct virtqueue *q) { (void)v; dev.q[i] = q; return 0; }
int virtio_pci_interrupts(struct virtio_pci *v, x_handle_t event) { (void)event; v->irq_connected = true; return 0; }
uint32_t virtio_pci_interrupt_cause(struct virtio_pci *v, uint64_t bits) { (void)v; return bits; }
void virtio_pci_failed(struct virtio_pci *v) { (void)v; }
void virtio_pci_driver_ok(struct virtio_pci *v) { (void)v; }
bool virtio_pci_needs_reset(struct virtio_pci *v) { (void)v; return false; }
bool virtio_pci_config_changed(struct virtio_pci *v)
{
	bool changed = v->config_generation != dev.generation;

	v->config_generation = dev.generation;
	return changed;
}
int virtio_pci_notify_offset(struct virtio_pci *v, uint16_t i) { (void)v; (void)i; return 0; }
void virtio_pci_kick(struct virtio_pci *v, uint16_t i, uint32_t offset)
{ (void)v; (void)i; (void)offset; dev.kicks++; device_run(); }
void virtio_pci_config(struct virtio_pci *v, uint32_t offset, void *buf, uint32_t bytes)
{
	struct virtio_net_config c = { .mac = { 2, 0, 0, 0, 0, 9 }, .status = dev.status };

	(void)v;
	(void)offset;
	memcpy(buf, &c, bytes);
}

/* ------------------------------------------------------------------- the client */

static struct {
	x_handle_t memory, pool, event, doorbell;
	uint64_t object;
	uint32_t generation;
	struct ring rx_post, rx_done, tx, tx_done;
	uint8_t *data, *rings;
	struct x_out answer;
	int answers;
	bool hung_up;
	int32_t status[NET_SLOTS];
	struct net_rx_done arrived[NET_SLOTS];
	unsigned arrived_count, completed;
} cl;

static void on_answer(const struct x_out *a) { cl.answer = *a; cl.answers++; }

static void iterate(void)
{
	for (int i = 0; i < 20; i++) {
		device_run();
		fake_run_timers();
		unsigned delivered = fake_deliver();
		fake_ops->batch_end();
		for (uint32_t k = 0; k < fake_out_count; k++)
			cl.hung_up |= fake_outs[k].kind == X_OUT_READY && fake_outs[k].value & X_READY_HUP;
		fake_commit();
		if (i > 2 && !delivered)
			break;
	}
}

static int open_raw(uint32_t pools, uint64_t pool_bytes)
{
	struct x_in in = { .kind = X_IN_CALL, .id = 1, .msg.op = NET_OPEN };

	cl.memory = fake_mem_create(&(struct x_mem_create){ .bytes = NET_RING_BYTES });
	cl.pool = fake_mem_create(&(struct x_mem_create){ .bytes = POOL });
	cl.event = fake_give(fake_new(X_TYPE_EVENT));
	cl.data = fake_handle[cl.pool]->memory;
	cl.rings = fake_handle[cl.memory]->memory;
	ring_init(&cl.rx_post, cl.rings + NET_RX_POST_OFFSET, NET_SLOTS, 24);
	ring_init(&cl.rx_done, cl.rings + NET_RX_DONE_OFFSET, NET_SLOTS, 32);
	ring_init(&cl.tx, cl.rings + NET_TX_OFFSET, NET_SLOTS, 32);
	ring_init(&cl.tx_done, cl.rings + NET_TX_DONE_OFFSET, NET_SLOTS, 16);
	in.msg.a[0] = ++cl.generation;
	in.msg.a[1] = pools;
	in.msg.a[2] = pool_bytes;
	in.handles[0] = cl.memory;
	in.handles[1] = cl.event;
	in.handles[2] = cl.pool;
	in.handle_count = 3;
	cl.answers = 0;
	cl.hung_up = false;
	cl.arrived_count = cl.completed = 0;
	fake_ops->call(&in);
	iterate();
	return cl.answers ? cl.answer.msg.status : 1;
}

static void opened(void)
{
	assert_int_equal(open_raw(1, POOL), 0);
	cl.object++;
	cl.doorbell = cl.answer.handles[1];
}

/* The client's last handle is gone. Objects count from 1, failed openings too. */
static void close_session(void)
{
	for (uint64_t o = 1; o < 200; o++)
		fake_ops->closure(o, 1);
	iterate();
}

static unsigned run(void)
{
	struct net_tx_done done;
	unsigned before = cl.completed + cl.arrived_count;

	if (ring_publish(&cl.rx_post) | ring_publish(&cl.tx))
		fake_handle[cl.doorbell]->bits |= NET_EVENT_RING;
	iterate();
	while (ring_pop(&cl.tx_done, &done) > 0) {
		assert_int_equal(done.generation, cl.generation);
		cl.status[done.id] = done.status;
		cl.completed++;
	}
	while (ring_pop(&cl.rx_done, &cl.arrived[cl.arrived_count % NET_SLOTS]) > 0)
		cl.arrived_count++;
	ring_release(&cl.tx_done);
	ring_release(&cl.rx_done);
	return cl.completed + cl.arrived_count - before;
}

static void post(uint32_t id, uint32_t length)
{
	struct net_rx_post p = { cl.generation, id, id % 32 * BUFFER, length, 0 };

	assert_int_equal(ring_push(&cl.rx_post, &p), 0);
}

static struct net_tx packet(uint32_t id, uint32_t length)
{
	return (struct net_tx){ .generation = cl.generation, .id = id, .pool_offset = 128 * 1024, .length_bytes = length };
}

static int one(struct net_tx t)
{
	cl.status[t.id % NET_SLOTS] = 99;
	assert_int_equal(ring_push(&cl.tx, &t), 0);
	run();
	return cl.status[t.id % NET_SLOTS];
}

/* ------------------------------------------------------------------------ tests */

static void starts(void **state)
{
	(void)state;
	fake_on_answer = on_answer;
	if (!setjmp(fake_run_jump))
		server_main();
	iterate();
	assert_int_equal(open_raw(0, POOL), -X_EINVAL);
	assert_int_equal(open_raw(3, POOL), -X_EINVAL);
	assert_int_equal(open_raw(1, POOL * 2), -X_EINVAL); /* more than the pool has */
	opened();
	assert_memory_equal(&cl.answer.msg.a[0], "\2\0\0\0\0\11", 6);
	assert_int_equal((uint32_t)cl.answer.msg.a[1], 1500);
	assert_int_equal(cl.answer.msg.a[1] >> 32, NET_F_TX_CSUM | NET_F_TX_TSO4 | NET_F_TX_ECN | NET_F_RX_CSUM | NET_F_RX_GSO |
			 NET_F_RX_CHAIN | NET_F_MULTICAST);
	assert_int_equal(((struct net_status *)(void *)cl.rings)->link_up, 1);
}

static void sends(void **state)
{
	struct net_tx a = packet(7, 1000), b = packet(7, 414);
	unsigned kicks = dev.kicks;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		cl.data[128 * 1024 + i] = i * 7;
	assert_int_equal(one(packet(3, 60)), 0);
	assert_int_equal(dev.wire_bytes, 60);
	assert_memory_equal(dev.wire, cl.data + 128 * 1024, 60);
	a.flags = NET_MORE | NET_CSUM_PARTIAL;
	a.csum_start = 34;
	a.csum_offset = 16;
	b.pool_offset += 1000;
	assert_int_equal(ring_push(&cl.tx, &a), 0);
	run(); /* a packet may come in parts */
	assert_int_equal(one(b), 0);
	assert_int_equal(dev.wire_bytes, 1414);
	assert_memory_equal(dev.wire, cl.data + 128 * 1024, 1414);
	assert_int_equal(dev.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(dev.header.csum_start, 34);
	assert_int_equal(dev.kicks - kicks, 2);
	a = packet(9, 20000);
	a.flags = NET_CSUM_PARTIAL;
	a.csum_start = 34;
	a.csum_offset = 16;
	a.gso_type = NET_GSO_TCPV4;
	a.gso_size = 1448;
	a.hdr_len = 54;
	assert_int_equal(one(a), 0);
	assert_int_equal(dev.header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(dev.header.gso_size, 1448);
	assert_int_equal(dev.wire_bytes, 20000);
}

/* One kick for a batch; more than the device's ring holds waits. */
static void batches(void **state)
{
	unsigned kicks = dev.kicks, sent = dev.sent;

	(void)state;
	dev.stalled = true;
	for (uint32_t i = 0; i < 200; i++) {
		struct net_tx t = packet(i, 60);

		assert_int_equal(ring_push(&cl.tx, &t), 0);
	}
	run();
	assert_int_equal(dev.kicks - kicks, 1);
	dev.stalled = false;
	for (int i = 0; i < 20; i++)
		run();
	assert_int_equal(dev.sent - sent, 200);
	assert_int_equal(cl.completed, 200 + 3);
	cl.completed = 0;
}

static void wrong_packets(void **state)
{
	unsigned sent = dev.sent;
	struct net_tx t;

	(void)state;
	assert_int_equal(one(packet(0, 13)), -X_EINVAL);
	assert_int_equal(one(packet(0, 1600)), -X_EINVAL);      /* longer than the MTU */
	t = packet(0, 60);
	t.pool_offset = POOL - 30;
	assert_int_equal(one(t), -X_EINVAL);
	t = packet(0, 60);
	t.pool = 1;
	assert_int_equal(one(t), -X_EINVAL);
	t = packet(0, 60);
	t.pool_offset = UINT64_MAX - 10;
	assert_int_equal(one(t), -X_EINVAL);
	t = packet(0, 60);
	t.flags = NET_CSUM_PARTIAL;
	t.csum_start = 50;
	t.csum_offset = 9;
	assert_int_equal(one(t), -X_EINVAL);
	t.flags = 0x4000;
	assert_int_equal(one(t), -X_EINVAL);
	t = packet(0, 2000);
	t.flags = NET_CSUM_PARTIAL;
	t.csum_start = 34;
	t.csum_offset = 16;
	t.gso_size = 1000;
	t.hdr_len = 54;
	t.gso_type = NET_GSO_TCPV6;                              /* the device can't */
	assert_int_equal(one(t), -X_EINVAL);
	t.gso_type = NET_GSO_TCPV4;
	t.hdr_len = 50;                                          /* no room for TCP's header */
	assert_int_equal(one(t), -X_EINVAL);
	t.hdr_len = 54;
	t.gso_size = 0;
	assert_int_equal(one(t), -X_EINVAL);
	assert_int_equal(dev.sent, sent);
	assert_int_equal(one(packet(0, 60)), 0);                 /* and goes on */
	assert_false(cl.hung_up);
}

static void receives(void **state)
{
	static uint8_t data[9000];
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
				    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1448, .hdr_len = 54 };
	uint32_t at = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = i * 13;
	for (uint32_t i = 0; i < 8; i++)
		post(i, BUFFER);
	post(8, 100); /* too short: comes back */
	assert_int_equal(run(), 1);
	assert_int_equal(cl.arrived[0].id, 8);
	assert_int_equal(cl.arrived[0].length_bytes, 0);
	cl.arrived_count = 0;
	assert_true(device_receive(&h, data, sizeof(data)));
	assert_int_equal(run(), 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct net_rx_done *e = &cl.arrived[i];

		assert_int_equal(!!(e->flags & NET_MORE), i < 2);
		assert_int_equal(e->offset_bytes, i ? 0 : sizeof(h));
		assert_memory_equal(cl.data + e->id * BUFFER + e->offset_bytes, data + at, e->length_bytes);
		at += e->length_bytes;
	}
	assert_int_equal(at, sizeof(data));
	assert_int_equal(cl.arrived[0].flags, NET_MORE | NET_CSUM_PARTIAL);
	assert_int_equal(cl.arrived[0].gso_size, 1448);
	assert_int_equal(cl.arrived[1].gso_size, 0);
	cl.arrived_count = 0;
}

/* The device is not believed: the packet is lost, or the device is reset, and
 * the client has its buffers, or they are posted again. */
static void lying_device(void **state)
{
	static const struct { enum lie lie; bool reset; } lies[] = {
		{ LIE_ID, true }, { LIE_LENGTH, true }, { LIE_INDEX, true }, { LIE_SHORT, true },
		{ LIE_BUFFERS, false }, { LIE_NO_BUFFERS, false }, { LIE_CSUM, false }, { LIE_GSO, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct virtio_net_hdr h = { 0 };
		unsigned resets = dev.resets;

		if (lies[i].lie == LIE_CSUM)
			h = (struct virtio_net_hdr){ .flags = 1, .csum_start = 90, .csum_offset = 20 };
		if (lies[i].lie == LIE_GSO)
			h = (struct virtio_net_hdr){ .gso_type = 9, .gso_size = 5 };
		cl.arrived_count = 0;
		dev.lie = lies[i].lie;
		assert_true(device_receive(&h, cl.data + 128 * 1024, 100));
		dev.lie = HONEST;
		run();
		assert_int_equal(dev.resets - resets, lies[i].reset);
		if (!lies[i].reset) {
			assert_int_equal(cl.arrived_count, 1);
			assert_int_equal(cl.arrived[0].length_bytes, 0);
			post(cl.arrived[0].id, BUFFER);
			run();
		}
		cl.arrived_count = 0; /* and it works again */
		h = (struct virtio_net_hdr){ 0 };
		assert_true(device_receive(&h, cl.data + 128 * 1024, 100));
		run();
		assert_int_equal(cl.arrived_count, 1);
		assert_int_equal(cl.arrived[0].length_bytes, 100);
		post(cl.arrived[0].id, BUFFER);
		run();
	}
	assert_false(cl.hung_up);
}

/* What the device had when it was reset: buffers are posted again, packets end. */
static void reset_keeps_buffers(void **state)
{
	struct virtio_net_hdr h = { 0 };
	struct net_tx t = packet(5, 60);
	unsigned i;

	(void)state;
	dev.stalled = true;
	cl.completed = 0;
	assert_int_equal(ring_push(&cl.tx, &t), 0);
	run();
	assert_int_equal(cl.completed, 0);
	dev.lie = LIE_ID;
	assert_true(device_receive(&h, cl.data, 64));
	dev.lie = HONEST;
	run();
	assert_int_equal(cl.completed, 1);
	assert_int_equal(cl.status[5], -X_EIO);
	dev.stalled = false;
	cl.arrived_count = 0;
	for (i = 0; device_receive(&h, cl.data, 64); i++)
		run();
	assert_int_equal(i, 5); /* eight but the three of receives() */
	assert_int_equal(cl.arrived_count, 5);
}

static int configure(uint64_t mode, uint64_t mac, const char *filter, uint32_t bytes)
{
	struct x_in in = { .kind = X_IN_CALL, .id = 77, .msg.op = NET_CONFIGURE, .msg.a = { mode, mac } };

	for (uint64_t o = 1; o < 200; o++) {
		in.object = o;
		in.win_count = bytes != 0;
		in.win[0].len = bytes;
		memcpy(fake_window[0], filter, bytes);
		cl.answers = 0;
		fake_ops->call(&in);
		iterate();
		assert_int_equal(cl.answers, 1);
		if (cl.answer.msg.status != -X_ESTALE_HANDLE)
			return cl.answer.msg.status;
	}
	return -X_ESTALE_HANDLE;
}

static void configuration(void **state)
{
	unsigned before = dev.commands;

	(void)state;
	assert_int_equal(configure(NET_MODE_PROMISCUOUS, 0, "\1\0\x5e\1\2\3", 6), 0);
	assert_int_equal(dev.commands - before, 3);
	assert_int_equal(dev.log[(dev.commands - 1) % 64][0], VIRTIO_NET_CTRL_MAC);
	assert_int_equal(configure(0, 0x090807060502, "", 0), 0);
	assert_int_equal(dev.commands - before, 3 + 4);
	assert_int_equal(configure(8, 0, "", 0), -X_EINVAL);
	assert_int_equal(configure(0, 0, "\2\0\0\0\0\1", 6), -X_EINVAL);   /* not multicast */
	assert_int_equal(configure(0, 0, "\1\0\0\0\0", 5), -X_EINVAL);
	assert_int_equal(configure(0, 1ull << 50, "", 0), -X_EINVAL);
	assert_int_equal(configure(0, 1, "", 0), -X_EINVAL);               /* a multicast address of one's own */
	dev.refuse = true;
	assert_int_equal(configure(0, 0, "", 0), -X_EIO);
	dev.refuse = false;
}

static void link_and_announcement(void **state)
{
	const struct net_status *page = (void *)cl.rings;
	unsigned before = dev.commands;

	(void)state;
	for (int i = 0; i < 3; i++) {
		dev.status = i == 0 ? 0 : i == 1 ? VIRTIO_NET_S_LINK_UP : VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE;
		dev.generation++;
		for (uint32_t k = 0; k < fake_object_next; k++) /* the interrupt: the first event that was made */
			if (fake_objects[k].fn && fake_objects[k].type == X_TYPE_EVENT)
				fake_objects[k].bits |= VIRTIO_EVENT_CONFIG;
		iterate();
		assert_int_equal(page->link_up, i > 0);
		assert_int_equal(page->announcements, i == 2);
	}
	assert_int_equal(dev.commands - before, 1);
	assert_int_equal(dev.log[(dev.commands - 1) % 64][0], VIRTIO_NET_CTRL_ANNOUNCE);
	dev.status = VIRTIO_NET_S_LINK_UP;
}

/* A second client waits for the end of the first, and the device's reset. */
static void one_at_a_time(void **state)
{
	unsigned resets = dev.resets;
	x_handle_t mine[3] = { cl.memory, cl.pool, cl.event };

	(void)state;
	post(9, BUFFER);
	run();
	assert_int_equal(open_raw(1, POOL), -X_EBUSY);
	(void)mine;
	close_session();
	assert_int_equal(dev.resets - resets, 1); /* it held buffers of the first */
	opened();
	assert_int_equal(one(packet(1, 60)), 0);
	close_session();
	assert_int_equal(dev.resets - resets, 1); /* it held none */
	opened();
}

static void hostile_clients(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 9; how++) {
		struct net_tx t = packet(1, 60);
		struct net_rx_post p = { cl.generation, 1, 0, BUFFER, 0 };
		unsigned resets = dev.resets;

		post(3, BUFFER);
		run();
		dev.stalled = true;
		switch (how) {
		case 0: t.generation++; break;
		case 1: t.id = NET_SLOTS; break;
		case 2: ring_push(&cl.tx, &t); break;              /* twice the same id */
		case 3: t.flags = NET_MORE; break;                 /* never ends */
		case 4: p.generation--; break;
		case 5: p.id = 0xffffffff; break;
		case 6: p.id = 3; break;                           /* is out */
		case 7: ((struct ring_shared *)(void *)(cl.rings + NET_TX_OFFSET))->tail = 5000; break;
		case 8: ((struct ring_shared *)(void *)(cl.rings + NET_RX_POST_OFFSET))->tail = 0x80000000; break;
		}
		for (unsigned i = 0; i < (how == 3 ? 100 : how < 4 ? 1 : 0); i++)
			ring_push(&cl.tx, &t);
		if (how >= 4 && how < 7)
			ring_push(&cl.rx_post, &p);
		if (how < 7)
			run();
		fake_handle[cl.doorbell]->bits |= NET_EVENT_RING;
		iterate();
		assert_true(cl.hung_up);
		dev.stalled = false;
		iterate();
		assert_int_equal(dev.resets - resets, 1);          /* before anything of the pool is let go */
		close_session();
		opened();
		assert_int_equal(one(packet(1, 60)), 0);
	}
}

/* It does not release what it has seen: no overflow, only its own end. */
static void greedy_client(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 4 * NET_SLOTS && !cl.hung_up; n++) {
		struct net_tx t = packet(n % NET_SLOTS, 60);

		if (ring_push(&cl.tx, &t))
			break;
		ring_publish(&cl.tx);
		fake_handle[cl.doorbell]->bits |= NET_EVENT_RING;
		iterate();
	}
	assert_true(cl.hung_up);
	close_session();
	opened();
	assert_int_equal(one(packet(1, 60)), 0);
}

static void random_rings(void **state)
{
	(void)state;
	srand(5);
	for (int round = 0; round < 60; round++) {
		for (uint32_t i = 0; i < NET_RING_BYTES; i++)
			if (rand() % 50 == 0)
				cl.rings[i] = rand();
		for (int i = 0; i < 4; i++) {
			fake_handle[cl.doorbell]->bits |= NET_EVENT_RING;
			iterate();
		}
		close_session();
		opened();
	}
	assert_int_equal(one(packet(1, 60)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts), cmocka_unit_test(sends), cmocka_unit_test(batches),
		cmocka_unit_test(wrong_packets), cmocka_unit_test(receives), cmocka_unit_test(lying_device),
		cmocka_unit_test(reset_keeps_buffers), cmocka_unit_test(configuration),
		cmocka_unit_test(link_and_announcement), cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(hostile_clients), cmocka_unit_test(greedy_client), cmocka_unit_test(random_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
