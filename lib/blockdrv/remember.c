/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the driver's next incarnation should know of a disk: which scheduler was chosen,
 * and what has been counted. Kept under the disk's name (lib/ipc/keep.h), saved when it
 * has changed, but ten times a second at most: counts may be some that much old.
 */
#include "lib/blockdrv/internal.h"
#include "lib/ipc/keep.h"

#define REMEMBER_VERSION 2u
#define REMEMBER_EVERY_NS 100000000ull

struct remembered {
	uint32_t scheduler, unused;
	struct disk_stats stats;
};
_Static_assert(sizeof(struct remembered) <= KEEP_DATA_BYTES, "a disk's figures fit a checkpoint");

void bdrv_remember(struct disk *d)
{
	struct remembered r = { .scheduler = d->scheduler, .stats = d->stats };

	d->remembered_ns = bdrv.round_ns;
	d->remembered_depth_sum = d->stats.depth_sum;
	keep_save(d->name, REMEMBER_VERSION, &r, sizeof(r)); /* a manifest without `keep` does without */
}

void bdrv_remember_all(void)
{
	for (uint32_t i = 0; i < bdrv.disk_count; i++) {
		struct disk *d = &bdrv.disks[i];

		if (d->stats.depth_sum != d->remembered_depth_sum && bdrv.round_ns - d->remembered_ns > REMEMBER_EVERY_NS)
			bdrv_remember(d);
	}
}

void bdrv_recall(struct disk *d)
{
	struct remembered r;

	if (keep_load(d->name, REMEMBER_VERSION, &r, sizeof(r)) != sizeof(r) || r.scheduler >= SCHEDULERS)
		return;
	d->scheduler = r.scheduler;
	d->stats = r.stats;
	d->remembered_depth_sum = r.stats.depth_sum;
}
