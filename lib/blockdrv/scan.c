/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the partition table: partition.h's scan fed by requests of our own.
 * Sessions on the whole disk need not wait for it, and may have all requests
 * there are: then the scan goes on when one is free again.
 */
#include "lib/blockdrv/internal.h"

static struct {
	struct dma_buffer buffer;
	uint64_t offset_bytes;
	uint32_t length_bytes;
	uint32_t read_bytes;   /* so far of it: a small device takes several requests */
	bool stalled;          /* no request was free */
} scan;

static void scan_read(void);

static void scan_done(struct blockdrv_request *r, int status)
{
	if (!status) {
		scan.read_bytes += r->length_bytes;
		if (scan.read_bytes < scan.length_bytes) {
			scan_read();
			return;
		}
	}
	dma_sync_for_cpu();
	partition_scan_give(&bdrv.scan, scan.buffer.virt, status);
	scan.read_bytes = 0;
	if (partition_scan_wants(&bdrv.scan, &scan.offset_bytes, &scan.length_bytes)) {
		scan_read();
		return;
	}
	server_log("%s: %llu MiB, partition table: %s, %u partitions, %u skipped", bdrv.name,
		   (unsigned long long)(bdrv.geometry.size_bytes >> 20),
		   partition_scheme_name(bdrv.scan.scheme), bdrv.scan.count, bdrv.scan.skipped);
	bdrv_driver_scanned();
}

/* As many bytes of what is wanted as one request may have. */
static void scan_read(void)
{
	struct blockdrv_request *r = bdrv_request_get();
	uint32_t bytes = scan.length_bytes - scan.read_bytes;
	int count;

	if (bytes > bdrv.geometry.max_request_bytes)
		bytes = bdrv.geometry.max_request_bytes;
	scan.stalled = !r;
	if (!r)
		return;
	r->segments[0] = (struct x_dma_segment){ scan.buffer.iova + scan.read_bytes, bytes };
	count = bdrv_request_fit_segments(r->segments, 1);
	if (count < 0)
		blockdrv_failed("the device's segments are too small");
	r->op = BLOCK_READ;
	r->offset_bytes = scan.offset_bytes + scan.read_bytes;
	r->length_bytes = bytes;
	r->segment_count = count;
	r->done = scan_done;
	bdrv_request_queue(r);
}

void bdrv_scan_continue(void)
{
	if (scan.stalled)
		scan_read();
}

void bdrv_scan_begin(void)
{
	int err = dma_alloc(bdrv.geometry.device, PARTITION_READ_MAX, 0, 0, &scan.buffer);

	if (err)
		server_die("no DMA memory for the partition scan: %d", err);
	partition_scan_begin(&bdrv.scan, bdrv.geometry.size_bytes, bdrv.geometry.logical_block_bytes);
	if (partition_scan_wants(&bdrv.scan, &scan.offset_bytes, &scan.length_bytes))
		scan_read();
	else
		bdrv_driver_scanned();
}
