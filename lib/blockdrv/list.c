/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BLOCK_LIST: the disk, its partitions and the driver's counts as text.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/stdio.h"

static char text[8192];

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

static uint32_t add_counts(uint32_t at)
{
	const struct driver_stats *s = &bdrv.stats;

	at = add(at, "%s reads %llu %llu writes %llu %llu flushes %llu", bdrv.name, (unsigned long long)s->reads,
		 (unsigned long long)s->read_bytes, (unsigned long long)s->writes,
		 (unsigned long long)s->written_bytes, (unsigned long long)s->flushes);
	return add(at, " errors %llu retries %llu refused %llu resets %llu\n", (unsigned long long)s->errors,
		   (unsigned long long)s->retries, (unsigned long long)s->refused, (unsigned long long)s->resets);
}

void bdrv_list_answer(const struct x_in *in)
{
	uint32_t len = add(0, "%s 0 %llu%s\n", bdrv.name, (unsigned long long)bdrv.geometry.size_bytes,
			   bdrv.geometry.read_only ? " ro" : "");

	for (uint32_t i = 0; i < bdrv.scan.count; i++) {
		const struct partition *p = &bdrv.scan.partitions[i];

		len = add(len, "%s%u %llu %llu %s\n", bdrv.name, p->number, (unsigned long long)p->offset_bytes,
			  (unsigned long long)p->size_bytes, p->name);
	}
	len = add_counts(len);
	out_status(in->id, window_write(in->id, 0, 0, text, len));
}
