/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of virtio block devices (virtio 1.2, section 5.2) over PCI.
 * QEMU: -device virtio-blk-pci,drive=...
 *
 * Started by rs with the device as boot handle "device". This file brings the
 * device up, from any state, as often as needed (3.1.1):
 *
 *   PROBE       find and map the registers (once)
 *   RESET       wait until the device has reset itself; then DMA is allowed
 *   FEATURES    negotiate
 *   INTERRUPTS  connect them
 *   QUEUE       fresh rings; DRIVER_OK
 *   IDENTIFY    ask for the serial number, for the cache epoch
 *   READY       lib/blockdrv is in charge
 *
 * States that wait have a deadline: RESET's expiry is a failure; without a
 * serial number we go on.
 */
#include "drivers/block/virtio_blk/virtio_blk.h"

#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define MS 1000000ull
#define RETRY_NS           (1 * MS)
#define RESET_TIMEOUT_NS   (10000 * MS) /* QEMU drains what is in flight first */
#define IDENTIFY_TIMEOUT_NS (2000 * MS)
#define REQUEST_BYTES_MAX  (1u << 20)

enum init_state {
	INIT_PROBE, INIT_RESET, INIT_FEATURES, INIT_INTERRUPTS, INIT_QUEUE, INIT_IDENTIFY, INIT_READY,
};

static struct {
	enum init_state state;
	uint64_t deadline_ns;
	struct server_timer retry;
	struct virtio_pci pci;
	x_handle_t event;
	bool probed;
} blk;

static void set_state(enum init_state state)
{
	static const uint64_t timeouts[] = {
		[INIT_RESET] = RESET_TIMEOUT_NS, [INIT_IDENTIFY] = IDENTIFY_TIMEOUT_NS, [INIT_READY] = 0,
	};

	blk.state = state;
	blk.deadline_ns = server_now_ns + timeouts[state];
}

__attribute__((noreturn)) static void fail(const char *what, int err)
{
	server_log("%s: error %d", what, err);
	blockdrv_failed(what);
}

/* -------------------------------------------------------------- one state each */

/* Each returns true if the next state can be entered now, false to wait. */

static bool init_probe(void)
{
	int64_t event;
	int err;

	if (!blk.probed) {
		err = virtio_pci_probe(&blk.pci, boot_handle("device"));
		if (err)
			fail("no modern virtio device", err);
		event = x_event_create();
		if (event < 0)
			fail("no event", event);
		blk.event = event;
		blk.probed = true;
	}
	virtio_pci_reset_begin(&blk.pci);
	set_state(INIT_RESET);
	return true;
}

static bool init_reset(void)
{
	int err = virtio_pci_reset_finished(&blk.pci);

	if (err == -X_EAGAIN && server_now_ns < blk.deadline_ns)
		return false;
	if (err)
		fail("the device does not reset", err);
	set_state(INIT_FEATURES);
	return true;
}

static bool init_features(void)
{
	uint64_t wanted = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_ACCESS_PLATFORM |
			  VIRTIO_F_RING_PACKED |
			  VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE |
			  VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE |
			  VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES;
	int err = virtio_pci_negotiate(&blk.pci, wanted, VIRTIO_F_VERSION_1);

	if (err)
		fail("no agreement on features", err);
	set_state(INIT_INTERRUPTS);
	return true;
}

static void on_interrupt(void *ctx, uint64_t bits);

static uint32_t queue_count(void)
{
	struct virtio_blk_config config;

	virtio_pci_config(&blk.pci, 0, &config, sizeof(config));
	if (!(blk.pci.features & VIRTIO_BLK_F_MQ) || !config.num_queues)
		return 1;
	return config.num_queues < QUEUES_MAX ? config.num_queues : QUEUES_MAX;
}

static bool init_interrupts(void)
{
	int err = 0;

	blk.pci.queue_vectors = queue_count();
	if (!blk.pci.irq_connected)
		err = server_bind(blk.event, on_interrupt, NULL);
	if (!err)
		err = virtio_pci_interrupts(&blk.pci, blk.event);
	if (err)
		fail("no interrupts", err);
	set_state(INIT_QUEUE);
	return true;
}

static bool init_queue(void)
{
	int err = queues_start(&blk.pci, queue_count());

	if (err)
		fail("the request queue cannot be set up", err);
	virtio_pci_driver_ok(&blk.pci);
	if (!queue_identify())
		queue_kick();
	set_state(INIT_IDENTIFY);
	return true;
}

/* A device need not have a serial number; then its place must do. */
static void identify(struct blockdrv_geometry *g)
{
	memcpy(g->identity.model, "virtio block", 13);
	memcpy(g->identity.bus, "virtio", 7);
	if (queue_identity())
		memcpy(g->identity.serial, queue_identity(), VIRTIO_BLK_ID_BYTES);
	for (uint32_t i = 0; i < sizeof(g->identity.serial); i++)
		if (g->identity.serial[i] && (g->identity.serial[i] < 32 || g->identity.serial[i] > 126))
			g->identity.serial[i] = '?';
	g->cache_kept = true; /* proto/block.h: it is the host's */
	g->cache_epoch = blockdrv_hash(BLOCKDRV_HASH, &g->identity, sizeof(g->identity)) | 1;
}

/* Of a number of sectors; no more than fits a request. */
static uint32_t bytes_of(uint32_t sectors)
{
	return sectors < (1u << 31) / VIRTIO_BLK_SECTOR_BYTES ? sectors * VIRTIO_BLK_SECTOR_BYTES : 1u << 31;
}

static void set_limits(const struct virtio_blk_config *config, struct blockdrv_geometry *g)
{
	uint64_t features = blk.pci.features, most;

	g->max_segments = features & VIRTIO_BLK_F_SEG_MAX && config->seg_max ? config->seg_max : 1;
	if (g->max_segments > queues_segments_max())
		g->max_segments = queues_segments_max();
	g->max_segment_bytes = features & VIRTIO_BLK_F_SIZE_MAX ? config->size_max : 0;
	most = g->max_segment_bytes ? (uint64_t)g->max_segment_bytes * g->max_segments : REQUEST_BYTES_MAX;
	g->max_request_bytes = most < REQUEST_BYTES_MAX ? most : REQUEST_BYTES_MAX;
	if (features & VIRTIO_BLK_F_DISCARD && config->max_discard_seg) {
		g->max_discard_bytes = bytes_of(config->max_discard_sectors);
		g->discard_granularity_bytes = bytes_of(config->discard_sector_alignment);
	}
	if (features & VIRTIO_BLK_F_WRITE_ZEROES && config->max_write_zeroes_seg)
		g->max_write_zeroes_bytes = bytes_of(config->max_write_zeroes_sectors);
}

static void report_ready(void)
{
	uint64_t features = blk.pci.features;
	struct blockdrv_geometry g = { .device = blk.pci.device };
	struct virtio_blk_config config;
	uint32_t block;

	virtio_pci_config_changed(&blk.pci); /* later changes count from here */
	virtio_pci_config(&blk.pci, 0, &config, sizeof(config));
	block = features & VIRTIO_BLK_F_BLK_SIZE ? config.blk_size : VIRTIO_BLK_SECTOR_BYTES;
	if (block < VIRTIO_BLK_SECTOR_BYTES || (block & (block - 1)) || config.capacity > UINT64_MAX / 1024)
		fail("impossible block size or capacity", -X_EPROTO);
	g.logical_block_bytes = g.physical_block_bytes = block;
	if (features & VIRTIO_BLK_F_TOPOLOGY && config.physical_block_exp < 8)
		g.physical_block_bytes = block << config.physical_block_exp;
	g.size_bytes = config.capacity * VIRTIO_BLK_SECTOR_BYTES;
	g.size_bytes -= g.size_bytes % block;
	g.read_only = features & VIRTIO_BLK_F_RO;
	g.no_write_cache = !(features & VIRTIO_BLK_F_FLUSH) ||
			   (features & VIRTIO_BLK_F_CONFIG_WCE && !config.writeback);
	identify(&g);
	set_limits(&config, &g);
	blockdrv_ready(0, &g);
}

static bool init_identify(void)
{
	if (!queue_take())
		return false; /* blk_start() comes next */
	if (!queue_identity() && !queue_arm() && server_now_ns < blk.deadline_ns)
		return false;
	if (!queue_identity() && server_now_ns < blk.deadline_ns)
		return true; /* it came between the poll and the arming */
	set_state(INIT_READY);
	report_ready();
	return false;
}

/* -------------------------------------------------------------------- the device */

static void advance(void *ctx)
{
	static bool (*const steps[])(void) = {
		[INIT_PROBE] = init_probe, [INIT_RESET] = init_reset, [INIT_FEATURES] = init_features,
		[INIT_INTERRUPTS] = init_interrupts, [INIT_QUEUE] = init_queue, [INIT_IDENTIFY] = init_identify,
	};

	(void)ctx;
	while (blk.state != INIT_READY && steps[blk.state]())
		;
	if (blk.state != INIT_READY)
		timer_set(&blk.retry, server_now_ns + RETRY_NS);
	else
		timer_clear(&blk.retry);
}

/* The only part of the configuration that changes while we look (5.2.4). */
static void resize(void)
{
	struct virtio_blk_config config;

	virtio_pci_config(&blk.pci, 0, &config, sizeof(config));
	if (config.capacity <= UINT64_MAX / 1024)
		blockdrv_resized(0, config.capacity * VIRTIO_BLK_SECTOR_BYTES);
}

static void on_interrupt(void *ctx, uint64_t bits)
{
	uint32_t cause = virtio_pci_interrupt_cause(&blk.pci, bits);

	(void)ctx;
	if (cause & VIRTIO_EVENT_CONFIG) {
		if (virtio_pci_needs_reset(&blk.pci) && blk.state == INIT_READY) {
			blockdrv_broken(0, "the device asks for a reset");
			return;
		}
		if (virtio_pci_config_changed(&blk.pci) && blk.state == INIT_READY)
			resize();
	}
	if (blk.state == INIT_IDENTIFY)
		advance(NULL);
	/* Else the queue is polled at the end of the batch. */
}

static uint32_t blk_probe(void) { return 1; }

static void blk_poll(void)
{
	if (blk.state == INIT_READY)
		queue_take();
}

static bool blk_arm(void)
{
	return blk.state == INIT_READY && queue_arm();
}

static void blk_start(uint32_t disk)
{
	(void)disk;
	set_state(INIT_PROBE);
	advance(NULL);
}

static void blk_stop(void)
{
	if (blk.probed)
		virtio_pci_reset_begin(&blk.pci);
}

void server_main(void)
{
	static const struct blockdrv_ops ops = {
		.disk_prefix = "vd", .poll_us = 60,
		.probe = blk_probe, .start = blk_start, .submit = queue_submit, .kick = queue_kick,
		.poll = blk_poll, .arm = blk_arm, .stop = blk_stop,
	};

	blk.retry.fn = advance;
	if (boot_handle("device") == X_NO_HANDLE)
		blockdrv_failed("no device was given");
	blockdrv_run(&ops);
}
