/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outages of a service.
 */
#include "lib/c/string.h"
#include "servers/rs/outage.h"

void outage_add(struct outages *o, uint64_t ns)
{
	o->sample_ns[o->count++ % OUTAGE_SAMPLES] = ns;
}

uint32_t outage_samples(const struct outages *o)
{
	return o->count < OUTAGE_SAMPLES ? o->count : OUTAGE_SAMPLES;
}

uint32_t outage_samples_up_to(const struct outages *o, uint64_t ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < outage_samples(o); i++)
		n += o->sample_ns[i] <= ns;
	return n;
}

static void sort(uint64_t *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		uint64_t x = v[i];
		uint32_t k = i;

		for (; k && v[k - 1] > x; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

struct outage_summary outage_summarise(const struct outages *o)
{
	uint32_t n = outage_samples(o);
	uint64_t v[OUTAGE_SAMPLES];

	if (n == 0)
		return (struct outage_summary){ 0 };
	memcpy(v, o->sample_ns, n * sizeof(v[0]));
	sort(v, n);
	return (struct outage_summary){ v[0], n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2, v[n - 1],
		o->sample_ns[(o->count - 1) % OUTAGE_SAMPLES] };
}
