/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_blk with the block-driver library, over a small model of the device
 * that executes the virtqueue, reports errors, stalls and lies. One driver
 * lives through all tests, in their order.
 */
// sources: lib/blockdrv/calls.c lib/blockdrv/driver.c lib/blockdrv/request.c lib/blockdrv/schedule.c lib/blockdrv/session.c
// sources: lib/blockdrv/open.c lib/blockdrv/remember.c lib/ipc/keep.c lib/blockdrv/scan.c
// sources: lib/blockdrv/list.c lib/blockdrv/partition.c lib/blockdrv/gpt.c lib/ring/ring.c
// sources: lib/dma/dma.c lib/dma/dma_pool.c lib/dma/dma_import.c lib/virtio/bring_up.c lib/virtio/virtqueue.c lib/virtio/packed.c
// sources: drivers/block/virtio_blk/main.c drivers/block/virtio_blk/queue.c lib/c/strlcpy.c lib/c/crc32.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include "drivers/block/virtio_blk/virtio_blk.h"
#include "lib/ring/ring.h"

#define DISK   (1u << 20)
#define POOL   (1u << 20)
#define PART_OFFSET (64u * 512)
#define PART_SIZE   (1024u * 512)

void server_main(void);
static void device_run(void);
#include "proto/file.h"
#include "tests/unit/block_suite.h"

/* ------------------------------------------------------------------- the device */

enum lie { HONEST, LIE_ID, LIE_ID_FREE, LIE_LENGTH, LIE_INDEX, LIE_STATUS, LIE_NOT_WRITTEN };

static struct {
	uint8_t disk[DISK];
	const struct virtqueue *q;
	uint16_t seen, used;
	bool stalled;
	bool indirect, event_idx, needs_reset;
	x_handle_t event;
	enum lie lie;
	unsigned errors_left;      /* requests to be failed */
	unsigned kicks, resets, flushes, requests;
} dev;

static uint32_t run_request(const struct virtq_desc *d, const struct virtq_desc *table)
{
	struct virtio_blk_header h;
	uint32_t written = 0;
	uint64_t at;
	uint8_t status = VIRTIO_BLK_S_OK;

	assert_int_equal(d->len, sizeof(h));
	memcpy(&h, (void *)d->addr, sizeof(h));
	at = h.sector * 512;
	dev.requests++;
	dev.flushes += h.type == VIRTIO_BLK_T_FLUSH;
	if (dev.errors_left && h.type != VIRTIO_BLK_T_GET_ID) {
		dev.errors_left--;
		status = VIRTIO_BLK_S_IOERR;
	}
	for (d = &table[d->next]; d->flags & VIRTQ_DESC_NEXT; d = &table[d->next]) {
		assert_int_equal(!!(d->flags & VIRTQ_DESC_WRITE), h.type != VIRTIO_BLK_T_OUT);
		assert_true(h.type == VIRTIO_BLK_T_GET_ID || at + d->len <= DISK);
		if (h.type == VIRTIO_BLK_T_GET_ID)
			memcpy((void *)d->addr, "serial", 7);
		else if (h.type == VIRTIO_BLK_T_OUT)
			memcpy(dev.disk + at, (void *)d->addr, d->len);
		else
			memcpy((void *)d->addr, dev.disk + at, d->len);
		written += h.type == VIRTIO_BLK_T_OUT ? 0 : d->len;
		at += d->len;
	}
	assert_int_equal(d->len, 1);
	*(uint8_t *)d->addr = dev.lie == LIE_STATUS ? 77 : status;
	return dev.lie == LIE_NOT_WRITTEN ? 1 : written + 1;
}

static void finish(uint16_t id, uint32_t len)
{
	struct virtq_used *used = dev.q->used;

	if (dev.lie == LIE_ID)
		id = 12345;
	if (dev.lie == LIE_ID_FREE)
		id = (id + 7) % dev.q->size;
	if (dev.lie == LIE_LENGTH)
		len = 1u << 30;
	used->ring[dev.used % dev.q->size] = (struct virtq_used_elem){ id, len };
	dev.used += dev.lie == LIE_INDEX ? 100 : 1;
	used->idx = dev.used;
}

static void device_run(void)
{
	while (!dev.stalled && dev.q && dev.seen != dev.q->avail->idx) {
		uint16_t id = dev.q->avail->ring[dev.seen++ % dev.q->size];
		const struct virtq_desc *d = &dev.q->desc[id];
		bool indirect = d->flags & VIRTQ_DESC_INDIRECT;

		if (indirect)
			d = (void *)d->addr;
		finish(id, run_request(d, indirect ? d : dev.q->desc));
	}
	if (dev.q) /* avail_event */
		*(uint16_t *)&dev.q->used->ring[dev.q->size] = dev.seen;
}

int virtio_pci_probe(struct virtio_pci *v, x_handle_t device) { memset(v, 0, sizeof(*v)); v->device = device; return 0; }
void virtio_pci_reset_begin(struct virtio_pci *v) { (void)v; dev.q = NULL; dev.seen = dev.used = 0; dev.needs_reset = false; dev.resets++; }
int virtio_pci_reset_finished(struct virtio_pci *v) { (void)v; return 0; }
int virtio_pci_negotiate(struct virtio_pci *v, uint64_t wanted, uint64_t needed)
{
	v->features = (wanted | needed) & (VIRTIO_F_VERSION_1 | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_SEG_MAX |
		VIRTIO_BLK_F_SIZE_MAX | VIRTIO_F_EVENT_IDX | (dev.indirect ? VIRTIO_F_INDIRECT_DESC : 0));
	return 0;
}
uint32_t virtio_pci_queue_size(struct virtio_pci *v, uint16_t i) { (void)v; (void)i; return 16; }
int virtio_pci_queue_setup(struct virtio_pci *v, uint16_t i, const struct virtqueue *q) { (void)v; (void)i; dev.q = q; return 0; }
int virtio_pci_interrupts(struct virtio_pci *v, x_handle_t event) { dev.event = event; v->irq_connected = true; return 0; }
uint32_t virtio_pci_interrupt_cause(struct virtio_pci *v, uint64_t bits) { (void)v; return bits; }
void virtio_pci_failed(struct virtio_pci *v) { (void)v; }
void virtio_pci_driver_ok(struct virtio_pci *v) { (void)v; }
bool virtio_pci_needs_reset(struct virtio_pci *v) { (void)v; return dev.needs_reset; }
bool virtio_pci_config_changed(struct virtio_pci *v) { (void)v; return false; }
int virtio_pci_notify_offset(struct virtio_pci *v, uint16_t i) { (void)v; (void)i; return 0; }
void virtio_pci_kick(struct virtio_pci *v, uint16_t i, uint32_t offset)
{ (void)v; (void)i; (void)offset; dev.kicks++; device_run(); }
void virtio_pci_config(struct virtio_pci *v, uint32_t offset, void *buf, uint32_t bytes)
{
	struct virtio_blk_config c = { .capacity = DISK / 512, .size_max = 4096, .seg_max = 8 };

	(void)v;
	(void)offset;
	memcpy(buf, &c, bytes);
}

/* ------------------------------------------------------------------------ tests */

static void starts(void **state)
{
	(void)state;
	dev.indirect = true;
	dev.disk[510] = 0x55;
	dev.disk[511] = 0xaa;
	dev.disk[446 + 4] = 0x81;
	memcpy(dev.disk + 446 + 8, &(uint32_t){ PART_OFFSET / 512 }, 4);
	memcpy(dev.disk + 446 + 12, &(uint32_t){ PART_SIZE / 512 }, 4);
	fake_on_answer = on_answer;
	if (!setjmp(fake_run_jump))
		server_main();
	iterate();
	client_open("2", POOL);
	assert_int_equal(cl.answer.msg.status, -X_ENXIO);
	client_open("sda1", POOL);
	assert_int_equal(cl.answer.msg.status, -X_ENXIO);
	client_open("1", POOL * 2); /* more than the pool has */
	assert_int_equal(cl.answer.msg.status, -X_EINVAL);
	client_open("", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_int_equal(cl.answer.msg.a[0], DISK);
	client_open("vda1", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_int_equal(cl.answer.msg.a[0], PART_SIZE);
	assert_int_equal((uint32_t)cl.answer.msg.a[2], 8 * 4096);
	assert_string_equal((char *)&cl.answer.msg.a[4], "vda1");
}

static void device_wait(void) { iterate(); }
static void disk_look(uint64_t offset, void *to, uint32_t bytes) { memcpy(to, dev.disk + offset, bytes); }

static void opens_for_suite(void **state)
{
	(void)state;
	suite_init();
	suite_open("vda1", PART_OFFSET);
}

static void reads_and_writes(void **state)
{
	unsigned flushes = dev.flushes;

	(void)state;
	for (unsigned i = 0; i < 32768; i++)
		cl.data[i] = i * 7;
	assert_int_equal(one(BLOCK_WRITE, 4096, 32768, 0), 0);
	assert_memory_equal(dev.disk + PART_OFFSET + 4096, cl.data, 32768);
	assert_int_equal(one(BLOCK_READ, 4096 + 512, 512, 40960), 0);
	assert_memory_equal(cl.data + 40960, cl.data + 512, 512);
	assert_int_equal(one(BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(dev.flushes, flushes + 1);
}

static void bounds(void **state)
{
	(void)state;
	assert_int_equal(one(BLOCK_READ, PART_SIZE - 512, 512, 0), 0);
	assert_int_equal(one(BLOCK_READ, PART_SIZE - 512, 1024, 0), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, UINT64_MAX - 511, 512, 0), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, 0, 512, POOL - 256), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, 0, 512, UINT64_MAX - 7), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, 0, 0, 0), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, 0, 100, 0), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, 100, 512, 0), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, 0, 65536, 0), -X_EINVAL);
	assert_int_equal(one(77, 0, 512, 0), -X_EOPNOTSUPP);
}

static void many(void **state)
{
	unsigned kicks = dev.kicks, done = 0;

	(void)state;
	for (unsigned i = 0; i < BLOCK_RING_SLOTS; i++)
		send(i, BLOCK_READ, i * 512, 512, (i % 128) * 512);
	for (int i = 0; i < 40 && done < BLOCK_RING_SLOTS; i++)
		done += run();
	assert_int_equal(done, BLOCK_RING_SLOTS);
	assert_true(dev.kicks - kicks < BLOCK_RING_SLOTS / (dev.indirect ? 8 : 4));
	for (unsigned i = 0; i < BLOCK_RING_SLOTS; i++)
		assert_int_equal(cl.status[i], 0);
}

static void device_errors(void **state)
{
	unsigned before = dev.requests;

	(void)state;
	dev.errors_left = 3;
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
	assert_int_equal(dev.requests - before, 4);
	dev.errors_left = 4;
	assert_int_equal(one(BLOCK_WRITE, 0, 512, 0), -X_EIO);
	dev.lie = LIE_STATUS;
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), -X_EIO);
	dev.lie = LIE_NOT_WRITTEN;
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), -X_EIO);
	dev.lie = HONEST;
}

/* The driver resets the device, and the request is done all the same. */
static void lies(void **state)
{
	(void)state;
	for (enum lie lie = LIE_ID; lie <= LIE_INDEX; lie++) {
		unsigned resets = dev.resets;

		dev.stalled = true;
		send(3, BLOCK_READ, 4096, 512, 0);
		assert_int_equal(run(), 0);
		dev.stalled = false;
		dev.lie = lie;
		device_run();
		dev.lie = HONEST;
		iterate();
		assert_int_equal(receive(), 1);
		assert_int_equal(cl.status[3], 0);
		assert_int_equal(dev.resets - resets, 1);
	}
}

static void stall(void **state)
{
	unsigned resets = dev.resets;

	(void)state;
	dev.stalled = true;
	send(3, BLOCK_READ, 4096, 512, 0);
	send(4, BLOCK_WRITE, 8192, 512, 512);
	assert_int_equal(run(), 0);
	for (int i = 0; i < 29; i++) {
		server_now_ns += 1000000000ull;
		iterate();
	}
	assert_int_equal(dev.resets, resets);
	server_now_ns += 3000000000ull;
	dev.stalled = false;
	dev.seen = dev.q->avail->idx;
	iterate();
	assert_int_equal(dev.resets, resets + 1);
	assert_int_equal(receive(), 2);
	assert_int_equal(cl.status[3] | cl.status[4], 0);
}

/* The device says that it cannot go on: it is reset at once, and what it had is done again. */
static void needs_reset(void **state)
{
	unsigned resets = dev.resets;

	(void)state;
	dev.stalled = true;
	send(3, BLOCK_READ, 4096, 512, 0);
	assert_int_equal(run(), 0);
	dev.needs_reset = true;
	dev.stalled = false;
	fake_handle[dev.event]->bits |= VIRTIO_EVENT_CONFIG;
	iterate();
	assert_int_equal(dev.resets, resets + 1);
	assert_int_equal(receive(), 1);
	assert_int_equal(cl.status[3], 0);
}

static void without_indirect(void **state)
{
	(void)state;
	dev.indirect = false;
	dev.stalled = true;
	send(3, BLOCK_READ, 0, 512, 0);
	assert_int_equal(run(), 0);
	dev.stalled = false;
	dev.lie = LIE_ID;
	device_run();
	dev.lie = HONEST;
	iterate();
	assert_int_equal(receive(), 1);
	many(state);
	reads_and_writes(state);
}

static void list(void **state)
{
	struct x_in in = { .kind = X_IN_CALL, .id = 2, .msg.op = BLOCK_LIST, .win_count = 1 };

	(void)state;
	fake_ops->call(&in);
	fake_commit();
	assert_true(cl.answer.msg.status > 0);
	assert_non_null(strstr(fake_window[0], "vda1 32768 524288"));
}

/* A client that breaks the protocol hurts itself only. */
static void wrong_client(void **state)
{
	(void)state;
	send(3, BLOCK_READ, 0, 512, 0);
	send(3, BLOCK_READ, 0, 512, 0); /* the same id twice */
	dev.stalled = true;
	run();
	dev.stalled = false;
	iterate();
	assert_int_equal(receive(), 0);
	client_open("1", POOL);
	cl.generation++;
	send(1, BLOCK_READ, 0, 512, 0);
	assert_int_equal(run(), 0);
	client_open("1", POOL);
	((struct ring_shared *)(void *)cl.rings)->tail = 5000;
	fake_handle[cl.doorbell]->bits |= 1;
	assert_int_equal(run(), 0);
	client_open("1", POOL);
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
}

/* A program's read or write, routed to the session. What came of it is in cl.answer. */
static void call(uint64_t id, uint32_t op, uint64_t offset, uint32_t bytes, uint32_t status_flags)
{
	struct x_in in = {
		.kind = X_IN_CALL, .id = id, .object = fake_minted, .cursor = offset, .status_flags = status_flags,
		.msg.op = op, .win_count = 1, .win[0] = { bytes, op == FILE_WRITE ? X_WIN_READ : X_WIN_WRITE },
	};

	cl.answers = 0;
	fake_ops->call(&in);
	iterate();
}

static bool went_home(uint64_t id)
{
	return cl.answers == 1 && cl.answer.id == id && cl.answer.flags == X_ANSWER_HOME;
}

static void calls(void **state)
{
	const struct block_calls *count = (void *)(cl.rings + BLOCK_CALLS_OFFSET);
	unsigned flushes = dev.flushes;

	(void)state;
	for (unsigned i = 0; i < 4096; i++)
		fake_window[0][i] = (char)(i * 3);
	call(11, FILE_WRITE, 8192, 4096, 0);
	assert_int_equal(cl.answers, 1);
	assert_int_equal(cl.answer.id, 11);
	assert_int_equal(cl.answer.msg.status, 4096);
	assert_int_equal(cl.answer.flags, X_ANSWER_CURSOR);
	assert_int_equal(cl.answer.value, 8192 + 4096);
	assert_memory_equal(dev.disk + PART_OFFSET + 8192, fake_window[0], 4096);
	assert_int_equal(count->writes, 1);
	call(12, FILE_READ, 8192 + 512, 1024, 0);
	assert_int_equal(cl.answer.msg.status, 1024);
	assert_int_equal(cl.answer.copy_len, 1024);
	assert_memory_equal((void *)(uintptr_t)cl.answer.copy_src, fake_window[0] + 512, 1024);
	assert_int_equal(dev.flushes, flushes);
	call(13, FILE_WRITE, 0, 512, F_O_DSYNC);
	assert_int_equal(cl.answer.msg.status, 512);
	assert_int_equal(dev.flushes, flushes + 1);
	assert_int_equal(count->writes, 1);
	dev.errors_left = 4;
	call(14, FILE_READ, 0, 512, 0);
	assert_int_equal(cl.answer.msg.status, -X_EIO);
	assert_int_equal(cl.answer.flags, 0);
}

/* What is no plain case is the client's. */
static void calls_sent_home(void **state)
{
	static const struct { uint32_t op; uint64_t offset; uint32_t bytes; } odd[] = {
		{ FILE_READ, 100, 512 }, { FILE_READ, 0, 100 }, { FILE_WRITE, 512, 513 }, { FILE_READ, 0, 0 },
		{ FILE_READ, PART_SIZE - 512, 1024 }, { FILE_WRITE, PART_SIZE, 512 }, { FILE_READ, UINT64_MAX - 511, 512 },
		{ FILE_READ, 0, 65536 }, { FILE_SYNC, 0, 512 }, { FILE_READ, 0, 16384 /* its window is not to be had */ },
	};
	unsigned before = dev.requests;

	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		call(20 + i, odd[i].op, odd[i].offset, odd[i].bytes, 0);
		assert_true(went_home(20 + i));
	}
	fake_minted += 100; /* no session of that name */
	call(40, FILE_READ, 0, 512, 0);
	assert_true(went_home(40));
	fake_minted -= 100;
	assert_int_equal(dev.requests, before);
}

/* Of two that overlap, one of them a write, the device has one at a time, whichever way they came. */
static void calls_overlap(void **state)
{
	(void)state;
	memset(cl.data, 1, 4096);
	memset(fake_window[0], 2, 4096);
	dev.stalled = true;
	send(1, BLOCK_WRITE, 4096, 4096, 0);
	assert_int_equal(run(), 0);
	call(50, FILE_WRITE, 6144, 4096, 0);
	call(51, FILE_READ, 16384, 512, 0);
	assert_int_equal(cl.answers, 0);
	assert_int_equal((uint16_t)(dev.q->avail->idx - dev.seen), 1);
	dev.stalled = false;
	iterate();
	assert_int_equal(receive(), 1);
	assert_int_equal(cl.answers, 2);
	assert_int_equal(dev.disk[PART_OFFSET + 4096], 1);
	assert_int_equal(dev.disk[PART_OFFSET + 6144], 2);
	assert_int_equal(dev.disk[PART_OFFSET + 8191], 2);
	assert_int_equal(one(BLOCK_READ, 4096, 512, 0), 0); /* reads do not wait for each other */
	dev.stalled = true;
	send(1, BLOCK_READ, 4096, 512, 0);
	send(2, BLOCK_READ, 4096, 512, 512);
	run();
	assert_int_equal((uint16_t)(dev.q->avail->idx - dev.seen), 2);
	dev.stalled = false;
	assert_int_equal(run(), 2);
}

static void calls_stop(void **state)
{
	(void)state;
	dev.stalled = true;
	call(60, FILE_READ, 0, 512, 0);
	send(5, BLOCK_CALLS_STOP, 0, 0, 0);
	assert_int_equal(run(), 0);
	call(61, FILE_READ, 0, 512, 0);
	assert_true(went_home(61));
	assert_int_equal(receive(), 0);
	cl.answers = 0;
	dev.stalled = false;
	assert_int_equal(run(), 1); /* the one under way has ended: stopped */
	assert_int_equal(cl.status[5], 0);
	assert_int_equal(cl.answer.id, 60);
	assert_int_equal(cl.answer.msg.status, 512);
	call(62, FILE_READ, 0, 512, 0);
	assert_true(went_home(62));
	assert_int_equal(one(BLOCK_CALLS_STOP, 0, 0, 0), 0); /* at once */
	assert_int_equal(one(BLOCK_CALLS_GO, 0, 0, 0), 0);
	call(63, FILE_READ, 0, 512, 0);
	assert_int_equal(cl.answer.msg.status, 512);
}

/* A session that ends with calls under way: they go home, for they may still be somebody's. */
static void calls_of_a_dead_session(void **state)
{
	(void)state;
	dev.stalled = true;
	call(70, FILE_WRITE, 0, 512, 0);
	fake_ops->closure(fake_minted, 1);
	iterate();
	assert_int_equal(cl.answers, 0);
	dev.stalled = false;
	iterate();
	assert_true(went_home(70));
	client_open("1", POOL);
}

/* Closed with requests at the device: they end, then the pool is let go. */
static void closure(void **state)
{
	struct fake_object *pool = fake_handle[cl.pool];

	(void)state;
	dev.stalled = true;
	send(1, BLOCK_READ, 0, 512, 0);
	run();
	for (uint64_t object = 1; object < 10; object++)
		fake_ops->closure(object, 1);
	iterate();
	assert_int_equal(pool->handles, 1);
	dev.stalled = false;
	iterate();
	assert_int_equal(pool->handles, 0);
	client_open("1", POOL);
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
}

static unsigned looks;

static void nothing_yet(void)
{
	looks++;
	server_now_ns += 1000;
}

static void after_five_looks(void)
{
	nothing_yet();
	if (looks != 5)
		return;
	dev.stalled = false;
	device_run();
}

static unsigned one_iteration(void)
{
	if (ring_publish(&cl.requests))
		fake_handle[cl.doorbell]->bits |= BLOCK_EVENT_RING;
	fake_deliver();
	fake_ops->batch_end();
	fake_commit();
	return receive();
}

/* Answers are looked for before an interrupt is waited for; not for ever, nor time and again in vain. */
static void looks_for_answers(void **state)
{
	(void)state;
	looks = 0;
	dev.stalled = true;
	fake_on_yield = after_five_looks;
	send(3, BLOCK_READ, 0, 512, 0);
	assert_int_equal(one_iteration(), 1);
	assert_int_equal(looks, 5);
	dev.stalled = true;
	fake_on_yield = nothing_yet;
	for (uint32_t i = 4; i < 10; i++) {
		looks = 0;
		send(i, BLOCK_READ, 0, 512, 0);
		assert_int_equal(one_iteration(), 0);
		assert_in_range(looks, i < 8 ? 50 : 0, i < 8 ? 70 : 0); /* of 1 us each */
	}
	fake_on_yield = NULL; /* a thread waits for the CPU */
	dev.stalled = false;
	assert_int_equal(run(), 6);
	for (uint32_t i = 3; i < 10; i++)
		assert_int_equal(cl.status[i], 0);
}

static void gives_up(void **state)
{
	(void)state;
	dev.lie = LIE_ID;
	send(1, BLOCK_READ, 0, 512, 0);
	fake_may_die = true;
	if (!setjmp(fake_die_jump)) {
		for (int i = 0; i < 100; i++)
			run();
		fail_msg("still alive");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts), cmocka_unit_test(opens_for_suite), SUITE, cmocka_unit_test(reads_and_writes), cmocka_unit_test(bounds),
		cmocka_unit_test(many), cmocka_unit_test(device_errors), cmocka_unit_test(lies),
		cmocka_unit_test(stall), cmocka_unit_test(needs_reset), cmocka_unit_test(without_indirect), cmocka_unit_test(list),
		cmocka_unit_test(wrong_client), cmocka_unit_test(calls),
		cmocka_unit_test(calls_sent_home), cmocka_unit_test(calls_overlap), cmocka_unit_test(calls_stop),
		cmocka_unit_test(calls_of_a_dead_session), cmocka_unit_test(closure), cmocka_unit_test(looks_for_answers),
		cmocka_unit_test(gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
