/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BLOCK_LIST and BLOCK_STATS: disks, partitions and counts as text.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/stdio.h"

static char text[16384];

__attribute__((format(printf, 2, 3)))
static uint32_t add(uint32_t at, const char *format, ...)
{
	__builtin_va_list args;
	int len;

	__builtin_va_start(args, format);
	len = vsnprintf(text + at, sizeof(text) - at, format, args);
	__builtin_va_end(args);
	if (len < 0)
		return at;
	return (uint32_t)len < sizeof(text) - at ? at + len : sizeof(text) - 1;
}

static void answer(const struct x_in *in, uint32_t window, uint32_t len)
{
	out_status(in->id, window_write(in->id, window, 0, text, len));
}

static uint32_t add_disk(uint32_t at, const struct disk *d)
{
	const char *mode = d->geometry.read_only ? "ro" : "rw";

	at = add(at, "%s 0 %llu %s\n", d->name, (unsigned long long)d->geometry.size_bytes, mode);
	for (uint32_t i = 0; i < d->scan.count; i++) {
		const struct partition *p = &d->scan.partitions[i];

		at = add(at, "%s%u %llu %llu %s %s\n", d->name, p->number, (unsigned long long)p->offset_bytes,
			 (unsigned long long)p->size_bytes, mode, p->name);
	}
	return at;
}

void bdrv_list_disks(const struct x_in *in)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < bdrv.disk_count; i++)
		if (bdrv_serving(&bdrv.disks[i]))
			len = add_disk(len, &bdrv.disks[i]);
	answer(in, 0, len);
}

/* ----------------------------------------------------------------------- statistics */

static uint32_t add_operations(uint32_t at, const struct disk_stats *s)
{
	static const char *const names[] = {
		[BLOCK_READ] = "read", [BLOCK_WRITE] = "write", [BLOCK_FLUSH] = "flush",
		[BLOCK_DISCARD] = "discard", [BLOCK_WRITE_ZEROES] = "write_zeroes",
	};

	for (uint32_t op = BLOCK_READ; op <= BLOCK_WRITE_ZEROES; op++)
		at = add(at, "%-13s %llu operations %llu bytes\n", names[op], (unsigned long long)s->ops[op],
			 (unsigned long long)s->bytes[op]);
	at = add(at, "errors        %llu retries %llu refused %llu resets %llu\n", (unsigned long long)s->errors,
		 (unsigned long long)s->retries, (unsigned long long)s->refused, (unsigned long long)s->resets);
	return at;
}

static uint32_t add_queue(uint32_t at, const struct disk *d)
{
	const struct disk_stats *s = &d->stats;
	uint64_t requests = 0, mean;

	for (uint32_t op = BLOCK_READ; op <= BLOCK_WRITE_ZEROES; op++)
		requests += s->ops[op];
	mean = requests ? s->depth_sum * 10 / requests : 0;
	at = add(at, "queue         %u waiting %u at the device, mean %llu.%llu, most %u; merged %llu\n",
		 d->pending.count, d->submitted.count, (unsigned long long)(mean / 10),
		 (unsigned long long)(mean % 10), s->depth_max, (unsigned long long)s->merged);
	at = add(at, "calls         %llu of programs, %llu sent home\n", (unsigned long long)s->calls,
		 (unsigned long long)s->sent_home);
	return add(at, "driver        %llu rounds %llu kicks, polled %llu in time %llu in vain\n",
		   (unsigned long long)bdrv.rounds, (unsigned long long)bdrv.kicks,
		   (unsigned long long)bdrv.polls_won, (unsigned long long)bdrv.polls_lost);
}

static uint32_t add_schedulers(uint32_t at, enum scheduler current)
{
	at = add(at, "scheduler    ");
	for (uint32_t i = 0; i < SCHEDULERS; i++)
		at = add(at, i == current ? " [%s]" : " %s", bdrv_scheduler_name(i));
	return add(at, "\n");
}

static uint32_t add_latencies(uint32_t at, const struct disk_stats *s)
{
	at = add(at, "latency_us   ");
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
		if (s->latency[i])
			at = add(at, " <%llu:%llu", 1ull << i, (unsigned long long)s->latency[i]);
	return add(at, "\n");
}

void bdrv_list_stats(const struct x_in *in, const struct disk *d)
{
	const struct blockdrv_geometry *g = &d->geometry;
	uint32_t at = add(0, "device        %s %s %s (%s)\n", g->identity.model, g->identity.serial,
			  g->identity.firmware, g->identity.bus);

	at = add(at, "size          %llu bytes in blocks of %u, physical %u%s%s%s\n",
		 (unsigned long long)g->size_bytes, g->logical_block_bytes, g->physical_block_bytes,
		 g->read_only ? ", read-only" : "", g->no_write_cache ? ", no write cache" : "",
		 g->fua ? ", FUA" : "");
	at = add(at, "limits        request %u segments %u discard %u write_zeroes %u\n", g->max_request_bytes,
		 g->max_segments, g->max_discard_bytes, g->max_write_zeroes_bytes);
	at = add(at, "partitions    %s, %u, skipped %u%s%s\n", partition_scheme_name(d->scan.scheme), d->scan.count,
		 d->scan.skipped, d->scan.notice ? "; " : "", d->scan.notice ? d->scan.notice : "");
	at = add_schedulers(at, d->scheduler);
	at = add_operations(at, &d->stats);
	at = add_queue(at, d);
	answer(in, 1, add_latencies(at, &d->stats));
}
