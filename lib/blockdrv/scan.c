/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading partition tables: partition.h's scan fed by requests of our own, one
 * disk after the other. Sessions on the whole disk need not wait for it, and
 * may have all requests there are: then the scan goes on when one is free.
 */
#include "lib/blockdrv/internal.h"

static struct {
	struct disk *disk;     /* being scanned, or NULL */
	uint32_t wanted;       /* disks to be scanned: a bit each */
	struct dma_buffer buffer;
	uint64_t offset_bytes;
	uint32_t length_bytes;
	uint32_t read_bytes;   /* so far of it: a small device takes several requests */
	bool stalled;          /* no request was free */
	bool busy;             /* a request is under way */
} scan;

static void scan_read(void);

static void scan_end(void)
{
	struct disk *d = scan.disk;

	server_log("%s: partition table: %s, %u partitions, %u skipped%s%s", d->name,
		   partition_scheme_name(d->scan.scheme), d->scan.count, d->scan.skipped,
		   d->scan.notice ? "; " : "", d->scan.notice ? d->scan.notice : "");
	scan.disk = NULL;
	bdrv_driver_scanned(d);
}

static void scan_step(void)
{
	if (partition_scan_wants(&scan.disk->scan, &scan.offset_bytes, &scan.length_bytes))
		scan_read();
	else
		scan_end();
}

static void scan_done(struct blockdrv_request *r, int status)
{
	scan.busy = false;
	if (!scan.disk || r->disk != scan.disk->number)
		return; /* the disk is gone */
	if (!status) {
		scan.read_bytes += r->length_bytes;
		if (scan.read_bytes < scan.length_bytes) {
			scan_read();
			return;
		}
	}
	dma_sync_for_cpu();
	partition_scan_give(&scan.disk->scan, scan.buffer.virt, status);
	scan.read_bytes = 0;
	scan_step();
}

/* As many bytes of what is wanted as one request may have. */
static void scan_read(void)
{
	struct blockdrv_request *r = bdrv_request_get();
	uint32_t bytes = scan.length_bytes - scan.read_bytes;
	struct disk *d = scan.disk;
	int count;

	if (bytes > d->geometry.max_request_bytes)
		bytes = d->geometry.max_request_bytes;
	scan.stalled = !r;
	if (!r)
		return;
	r->segments[0] = (struct x_dma_segment){ scan.buffer.iova + scan.read_bytes, bytes };
	count = bdrv_request_fit_segments(d, r->segments, 1);
	if (count < 0) {
		partition_scan_give(&d->scan, scan.buffer.virt, -X_EIO);
		scan_step();
		return;
	}
	r->op = r->kind = BLOCK_READ;
	r->offset_bytes = scan.offset_bytes + scan.read_bytes;
	r->length_bytes = bytes;
	r->segment_count = count;
	r->done = scan_done;
	scan.busy = true;
	bdrv_request_queue(d, r);
}

static void scan_next(void)
{
	for (uint32_t i = 0; i < bdrv.disk_count && !scan.disk && !scan.busy; i++) {
		struct disk *d = &bdrv.disks[i];

		if (!(scan.wanted >> i & 1) || !bdrv_serving(d))
			continue;
		scan.wanted &= ~(1u << i);
		scan.disk = d;
		scan.read_bytes = 0;
		partition_scan_begin(&d->scan, d->geometry.size_bytes, d->geometry.logical_block_bytes);
		scan_step();
	}
}

void bdrv_scan_continue(void)
{
	if (scan.disk && scan.stalled)
		scan_read();
	else if (!scan.disk && scan.wanted)
		scan_next();
}

void bdrv_scan_abort(struct disk *d)
{
	scan.wanted &= ~(1u << d->number);
	if (scan.disk == d)
		scan.disk = NULL;
}

int bdrv_scan_begin(struct disk *d)
{
	int err = scan.buffer.bytes ? 0 : dma_alloc(d->geometry.device, PARTITION_READ_MAX, 0, 0, &scan.buffer);

	if (err) {
		server_log("no DMA memory for the partition scan: error %d", err);
		bdrv_driver_scanned(d); /* the whole disk can be used */
		return err;
	}
	d->scanned = false;
	d->scan.count = 0;
	scan.wanted |= 1u << d->number;
	scan_next();
	return 0;
}
