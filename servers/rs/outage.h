/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outages of a service, in nanoseconds: count, and minimum, median and
 * maximum of the last OUTAGE_SAMPLES. Pure.
 */
#ifndef RS_OUTAGE_H
#define RS_OUTAGE_H

#include <stdint.h>

#define OUTAGE_SAMPLES 64u

struct outages { uint64_t count; uint64_t sample_ns[OUTAGE_SAMPLES]; };
struct outage_summary { uint64_t min_ns, median_ns, max_ns, last_ns; }; /* zeroes if there were none */

void outage_add(struct outages *o, uint64_t ns);
struct outage_summary outage_summarise(const struct outages *o);
/* How many samples are kept; how many of these are at most that long. */
uint32_t outage_samples(const struct outages *o);
uint32_t outage_samples_up_to(const struct outages *o, uint64_t ns);

#endif
