/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to indices, cycles, the order to start in.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "servers/rs/graph.h"

struct build {
	struct graph *g;
	const struct manifest *m;
	manifest_report report;
	void *ctx;
};

static void complain(const struct build *b, uint32_t service, uint32_t line, const char *fmt, const char *name)
{
	char reason[96];

	snprintf(reason, sizeof(reason), fmt, name);
	b->report(b->ctx, b->m[service].name, line, reason);
}

static void find_duplicates(const struct build *b)
{
	for (uint32_t i = 1; i < b->g->count; i++) {
		for (uint32_t k = 0; k < i; k++) {
			if (strcmp(b->m[i].name, b->m[k].name))
				continue;
			complain(b, i, 0, "there is another service `%s`", b->m[i].name);
			b->g->broken |= 1ull << i;
			break;
		}
	}
}

/* Or count: there is none. */
static uint32_t index_of(const struct build *b, const char *name)
{
	uint32_t i = 0;

	while (i < b->g->count && strcmp(b->m[i].name, name))
		i++;
	return i;
}

static uint64_t resolve(const struct build *b, uint32_t service, const char (*names)[NAME_BYTES], const uint32_t *line,
			uint32_t count, const char *unknown)
{
	uint64_t set = 0;

	for (uint32_t n = 0; n < count; n++) {
		uint32_t i = index_of(b, names[n]);

		if (i == b->g->count)
			complain(b, service, line[n], unknown, names[n]);
		else
			set |= 1ull << i;
	}
	return set;
}

/* Everything that `from` needs, directly or not. */
static uint64_t needs_closure(const struct graph *g, uint32_t from)
{
	uint64_t set = g->needs[from], before;

	do {
		before = set;
		for (uint32_t i = 0; i < g->count; i++)
			if (before & 1ull << i)
				set |= g->needs[i];
	} while (set != before);
	return set;
}

/* Of the first need by which it comes back to itself. */
static uint32_t line_of_circle(const struct build *b, uint32_t service)
{
	const struct manifest *m = &b->m[service];

	for (uint32_t n = 0; n < m->need_count; n++) {
		uint32_t i = index_of(b, m->needs[n]);

		if (i < b->g->count && (i == service || (needs_closure(b->g, i) & 1ull << service)))
			return m->needs_line[n];
	}
	return 0;
}

static void find_cycles(const struct build *b)
{
	uint64_t in_cycle = 0;

	for (uint32_t i = 0; i < b->g->count; i++) {
		if (!(needs_closure(b->g, i) & 1ull << i))
			continue;
		complain(b, i, line_of_circle(b, i), "`%s` needs itself, in a circle", b->m[i].name);
		in_cycle |= 1ull << i;
	}
	for (uint32_t i = 0; i < b->g->count; i++)
		if (in_cycle & 1ull << i)
			b->g->needs[i] = 0;
	b->g->broken |= in_cycle;
}

/* Free of cycles by now: each round places at least one service. */
static void sort(struct graph *g)
{
	uint64_t placed = 0;

	for (uint32_t n = 0; n < g->count;) {
		for (uint32_t i = 0; i < g->count; i++) {
			if ((placed & 1ull << i) || (g->needs[i] & ~placed))
				continue;
			placed |= 1ull << i;
			g->order[n++] = i;
		}
	}
}

void graph_build(struct graph *g, const struct manifest *manifests, uint32_t count,
		 manifest_report report, void *ctx)
{
	struct build b = { g, manifests, report, ctx };

	memset(g, 0, sizeof(*g));
	g->count = count < GRAPH_MAX ? count : GRAPH_MAX;
	find_duplicates(&b);
	for (uint32_t i = 0; i < g->count; i++) {
		const struct manifest *m = &manifests[i];

		g->needs[i] = resolve(&b, i, m->needs, m->needs_line, m->need_count, "needs unknown service `%s`");
		g->uses[i] = resolve(&b, i, m->uses, m->uses_line, m->use_count, "uses unknown service `%s`");
	}
	find_cycles(&b);
	sort(g);
}
