/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of virtio block devices (virtio 1.2, section 5.2) over PCI.
 * QEMU: -device virtio-blk-pci,drive=...
 *
 * Started by rs with the device as boot handle "device", which lib/virtio brings
 * up. Then it is asked for its serial number, for the cache epoch; without one,
 * or after a while, we go on. Then lib/blockdrv is in charge.
 */
#include "drivers/block/virtio_blk/virtio_blk.h"

#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define MS 1000000ull
#define RETRY_NS            (1 * MS)
#define IDENTIFY_TIMEOUT_NS (2000 * MS)
#define REQUEST_BYTES_MAX  (1u << 20)

static struct {
	bool identifying, ready;
	uint64_t identify_deadline_ns;
	struct server_timer retry;
} blk;

/* ---------------------------------------------------------------- configuration */

static uint32_t queue_count(void)
{
	struct virtio_blk_config config;

	virtio_pci_config(&virtio_device, 0, &config, sizeof(config));
	if (!(virtio_device.features & VIRTIO_BLK_F_MQ) || !config.num_queues)
		return 1;
	return config.num_queues < QUEUES_MAX ? config.num_queues : QUEUES_MAX;
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
	uint64_t features = virtio_device.features, most;

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
	uint64_t features = virtio_device.features;
	struct blockdrv_geometry g = { .device = virtio_device.device };
	struct virtio_blk_config config;
	uint32_t block;

	virtio_pci_config_changed(&virtio_device); /* later changes count from here */
	virtio_pci_config(&virtio_device, 0, &config, sizeof(config));
	block = features & VIRTIO_BLK_F_BLK_SIZE ? config.blk_size : VIRTIO_BLK_SECTOR_BYTES;
	if (block < VIRTIO_BLK_SECTOR_BYTES || (block & (block - 1)) || config.capacity > UINT64_MAX / 1024)
		blockdrv_failed("impossible block size or capacity");
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

/* -------------------------------------------------------------------- the device */

static void identify_step(void *ctx)
{
	(void)ctx;
	do
		if (!queue_take())
			return; /* blk_start() comes next */
	while (!queue_identity() && queue_arm());
	if (!queue_identity() && server_now_ns < blk.identify_deadline_ns) {
		timer_set(&blk.retry, server_now_ns + RETRY_NS);
		return;
	}
	timer_clear(&blk.retry);
	blk.identifying = false;
	blk.ready = true;
	report_ready();
}

static void up(void)
{
	if (!queue_identify())
		queue_kick();
	blk.identifying = true;
	blk.identify_deadline_ns = server_now_ns + IDENTIFY_TIMEOUT_NS;
	identify_step(NULL);
}

/* The only part of the configuration that changes while we look (5.2.4). */
static void resize(void)
{
	struct virtio_blk_config config;

	virtio_pci_config(&virtio_device, 0, &config, sizeof(config));
	if (config.capacity <= UINT64_MAX / 1024)
		blockdrv_resized(0, config.capacity * VIRTIO_BLK_SECTOR_BYTES);
}

static void interrupt(uint32_t cause)
{
	if (cause & VIRTIO_EVENT_CONFIG && blk.ready) {
		if (virtio_pci_needs_reset(&virtio_device)) {
			blockdrv_broken(0, "the device asks for a reset");
			return;
		}
		if (virtio_pci_config_changed(&virtio_device))
			resize();
	}
	if (blk.identifying)
		identify_step(NULL);
	/* Else the queue is polled at the end of the batch. */
}

static int set_up_queues(struct virtio_pci *v)
{
	return queues_start(v, queue_count());
}

static uint32_t blk_probe(void) { return 1; }

static void blk_poll(void)
{
	if (blk.ready)
		queue_take();
}

static bool blk_arm(void)
{
	return blk.ready && queue_arm();
}

static void blk_start(uint32_t disk)
{
	static const struct virtio_driver driver = {
		.features = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_ACCESS_PLATFORM |
			    VIRTIO_F_RING_PACKED |
			    VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE |
			    VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE |
			    VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES,
		.queue_vectors = queue_count, .queues = set_up_queues, .up = up, .interrupt = interrupt,
		.failed = blockdrv_failed,
	};

	(void)disk;
	blk.ready = blk.identifying = false;
	timer_clear(&blk.retry);
	virtio_bring_up(&driver);
}

void server_main(void)
{
	static const struct blockdrv_ops ops = {
		.disk_prefix = "vd", .poll_us = 60,
		.probe = blk_probe, .start = blk_start, .submit = queue_submit, .kick = queue_kick,
		.poll = blk_poll, .arm = blk_arm, .stop = virtio_take_down,
	};

	blk.retry.fn = identify_step;
	if (boot_handle("device") == X_NO_HANDLE)
		blockdrv_failed("no device was given");
	blockdrv_run(&ops);
}
