/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The graph of services: names become indices, `needs` becomes an order to
 * start in. Pure, no system calls. Sets of services are 64-bit masks by index.
 */
#ifndef RS_GRAPH_H
#define RS_GRAPH_H

#include "servers/rs/manifest.h"

#define GRAPH_MAX 64u

struct graph {
	uint32_t count;
	uint64_t needs[GRAPH_MAX];   /* started after these */
	uint64_t uses[GRAPH_MAX];    /* gets call handles to these */
	uint64_t broken;             /* duplicates, and members of a cycle of needs */
	uint32_t order[GRAPH_MAX];   /* all services, each after what it needs */
};

/* Build from `count` (at most GRAPH_MAX) manifests. Unknown names
 * are reported and left out; a duplicate or a service in a cycle is reported
 * and marked broken (its needs are cleared). */
void graph_build(struct graph *g, const struct manifest *manifests, uint32_t count,
		 manifest_report report, void *ctx);

#endif
