/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Manifests and the graph of services.
 */
// sources: servers/rs/manifest_parser.c servers/rs/graph.c lib/c/strlcpy.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xinim/abi.h>
#include "servers/rs/graph.h"

static struct { uint32_t count, line; char service[32], reason[128]; } reported;

static void report(void *ctx, const char *service, uint32_t line, const char *reason)
{
	assert_ptr_equal(ctx, &reported);
	reported.count++;
	reported.line = line;
	snprintf(reported.service, sizeof(reported.service), "%s", service);
	snprintf(reported.reason, sizeof(reported.reason), "%s", reason);
}

static struct manifest m;

static uint32_t parse_as(const char *name, const char *text)
{
	size_t n = strlen(text);
	char *heap = malloc(n); /* exactly as long: overreads are seen */

	memset(&reported, 0, sizeof(reported));
	memcpy(heap, text, n);
	n = manifest_parse(&m, name, heap, n, report, &reported);
	free(heap);
	return n;
}

static uint32_t parse(const char *text)
{
	return parse_as("x", text);
}

static void full(void **state)
{
	assert_int_equal(parse_as("virtio_blk",
		"# a comment\n\nkind driver # at the end\r\n\tneeds devmgr\nneeds  tty pm\nuses vfs\n"
		"match pci:1af4:1042,1af4:1001\nioports 0x3f8 8\nirq 4\nresource processes\nband server\n"
		"heartbeat 50 2000\nrestart never\nmemory 16\nargs a b=c\nargs d\ngives personality\nnode\nnodes"), 0);
	assert_int_equal(reported.count, 0);
	assert_string_equal(m.name, "virtio_blk");
	assert_int_equal(m.kind, KIND_DRIVER);
	assert_int_equal(m.need_count, 3);
	assert_string_equal(m.needs[2], "pm");
	assert_int_equal(m.use_count, 1);
	assert_string_equal(m.match, "pci:1af4:1042,1af4:1001");
	assert_int_equal(m.ioport_base, 0x3f8);
	assert_int_equal(m.ioport_count, 8);
	assert_int_equal(m.irq, 4);
	assert_int_equal(m.resource, RESOURCE_PROCESSES);
	assert_int_equal(m.band, X_BAND_SERVER);
	assert_int_equal(m.heartbeat_period_ms, 50);
	assert_int_equal(m.heartbeat_deadline_ms, 2000);
	assert_false(m.restart);
	assert_int_equal(m.memory_mib, 16);
	assert_int_equal(m.arg_bytes, 8);
	assert_memory_equal(m.args, "a\0b=c\0d", 8);
	assert_true(m.gives_personality && m.node && m.takes_nodes);
}

static void defaults(void **state)
{
	assert_int_equal(parse("kind server\n"), 0);
	assert_int_equal(m.irq, -1);
	assert_int_equal(m.ioport_count, 0);
	assert_int_equal(m.band, X_BAND_SERVER);
	assert_true(m.restart);
	assert_int_equal(m.heartbeat_period_ms, 100);
	assert_int_equal(m.resource, RESOURCE_NONE);
	assert_int_equal(parse("kind driver\nheartbeat off\n"), 0);
	assert_int_equal(m.band, X_BAND_DRIVER);
	assert_int_equal(m.heartbeat_period_ms, 0);
}

static void mistakes(void **state)
{
	static const struct { const char *text; uint32_t line; } bad[] = {
		{ "kind server\nfoo\n", 2 }, { "kind\n", 1 }, { "kind thing\n", 1 }, { "kind server fs\n", 1 },
		{ "kind server\nkind server\n", 2 }, { "kind server\nneeds\n", 2 },
		{ "kind server\nneeds Upper\n", 2 }, { "kind server\nneeds a_name_much_too_long\n", 2 },
		{ "kind server\nuses a a\n", 2 }, { "kind driver\nmatch foo\n", 2 },
		{ "kind server\nirq 16\n", 2 }, { "kind server\nirq -1\n", 2 }, { "kind server\nirq 4x\n", 2 },
		{ "kind server\nioports 0xffff 2\n", 2 }, { "kind server\nioports 0x10000 1\n", 2 },
		{ "kind server\nioports 8\n", 2 }, { "kind server\nioports 8 0\n", 2 },
		{ "kind server\nresource some\n", 2 }, { "kind server\nband program\n", 2 },
		{ "kind server\nheartbeat 100\n", 2 }, { "kind server\nheartbeat 500 100\n", 2 },
		{ "kind server\ncpu 50\n", 2 }, { "kind server\ncpu 0 1\n", 2 }, { "kind server\ncpu 101 1\n", 2 },
		{ "kind server\nanswers 5\n", 2 }, { "kind server\nanswers 100 ms\n", 2 },
		{ "kind server\nrestart maybe\n", 2 }, { "kind server\nmemory 0\n", 2 },
		{ "kind server\nmemory 99999999999999999999999\n", 2 }, { "kind server\ngives all\n", 2 }, { "kind server\nnode x\n", 2 }, { "kind server\nnodes x\n", 2 },
		{ "kind server\n\x01\n", 2 }, { "", 0 }, { "needs a\n", 0 }, { "kind server\nmatch pci:1:2\n", 0 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i].text) == 0 || reported.count == 0)
			fail_msg("accepted: %s", bad[i].text);
		/* A bad `kind` line is followed by "no kind". */
		if (reported.count == 1 && reported.line != bad[i].line)
			fail_msg("line %u of: %s", reported.line, bad[i].text);
		assert_true(reported.reason[0]);
	}
	assert_int_not_equal(parse_as("Bad", "kind server\n"), 0);
	assert_int_not_equal(parse_as("sixteen_letters_", "kind server\n"), 0);
}

static void too_long(void **state)
{
	char text[3000] = "kind server\nargs ";

	memset(text + strlen(text), 'a', 600);
	assert_int_equal(parse(text), 1);
	strcpy(text, "kind server\n");
	for (int i = 0; i < 10; i++)
		strcat(text, "args 0123456789012345678901234567890123456789012345678901234567890123456789\n");
	assert_int_not_equal(parse(text), 0);
	assert_true(m.arg_bytes <= sizeof(m.args));
	strcpy(text, "kind server\nuses");
	for (int i = 0; i < 17; i++)
		snprintf(text + strlen(text), 16, " s%d", i);
	assert_int_equal(parse(text), 1);
	assert_true(m.use_count <= MANIFEST_NAMES);
	strcpy(text, "kind server\n");
	for (int i = 0; i < 60; i++)
		strcat(text, "a ");
	assert_int_equal(parse(text), 1);
}

/* Any bytes at all: no overrun (the sanitizers watch), no endless loop. */
static void noise(void **state)
{
	uint32_t x = 1;

	for (int round = 0; round < 2000; round++) {
		char text[200];
		size_t n = (x >> 8) % sizeof(text);

		for (size_t i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			text[i] = "kindserver #\n\tuses0x9:,"[(x >> 16) % 23];
		}
		manifest_parse(&m, "x", text, n, report, &reported);
	}
}

/* ------------------------------------------------------------------- graph */

static struct manifest all[4];
static struct graph g;

static void service(int i, const char *name, const char *text)
{
	assert_int_equal(manifest_parse(&all[i], name, text, strlen(text), report, &reported), 0);
}

static uint32_t position(uint32_t service)
{
	for (uint32_t i = 0; i < g.count; i++)
		if (g.order[i] == service)
			return i;
	fail();
	return 0;
}

static void order(void **state)
{
	memset(&reported, 0, sizeof(reported));
	service(0, "vfs", "kind server\nneeds minix\nuses pm rs");
	service(1, "minix", "kind fs\nneeds blk\nuses blk");
	service(2, "blk", "kind driver\nneeds devmgr");
	service(3, "devmgr", "kind server");
	graph_build(&g, all, 4, report, &reported);
	assert_int_equal(reported.count, 2); /* pm and rs are unknown */
	assert_int_equal(reported.line, 3);
	assert_string_equal(reported.service, "vfs");
	assert_string_equal(reported.reason, "uses unknown service `rs`");
	assert_int_equal(g.broken, 0);
	assert_int_equal(g.needs[0], 2);
	assert_int_equal(g.uses[0], 0);
	assert_int_equal(g.uses[1], 4);
	assert_true(position(3) < position(2));
	assert_true(position(2) < position(1));
	assert_true(position(1) < position(0));
}

static void cycle(void **state)
{
	memset(&reported, 0, sizeof(reported));
	service(0, "a", "kind server\nneeds b");
	service(1, "b", "kind server\nneeds c");
	service(2, "c", "kind server\nneeds d\nneeds a");
	service(3, "d", "kind server");
	graph_build(&g, all, 4, report, &reported);
	assert_int_equal(reported.count, 3);
	assert_int_equal(reported.line, 3); /* not that of `d` */
	assert_string_equal(reported.service, "c");
	assert_string_equal(reported.reason, "`c` needs itself, in a circle");
	service(3, "d", "kind server\nneeds a");
	graph_build(&g, all, 4, report, &reported);
	assert_int_equal(g.broken, 15); /* now by `d`, too */
	service(2, "c", "kind server\nneeds a");
	graph_build(&g, all, 4, report, &reported);
	assert_int_equal(g.broken, 7);
	assert_int_equal(g.needs[3], 1);
	assert_true(position(0) < position(3));
	service(0, "a", "kind server\nneeds a");
	graph_build(&g, all, 1, report, &reported);
	assert_int_equal(g.broken, 1);
}

static void uses_may_be_circular(void **state)
{
	memset(&reported, 0, sizeof(reported));
	service(0, "a", "kind server\nuses b");
	service(1, "b", "kind server\nuses a");
	graph_build(&g, all, 2, report, &reported);
	assert_int_equal(reported.count, 0);
	assert_int_equal(g.broken, 0);
}

static void duplicate(void **state)
{
	memset(&reported, 0, sizeof(reported));
	service(0, "a", "kind server");
	service(1, "a", "kind server");
	graph_build(&g, all, 2, report, &reported);
	assert_int_equal(reported.count, 1);
	assert_int_equal(g.broken, 2);
	assert_string_equal(reported.service, "a");
	assert_string_equal(reported.reason, "there is another service `a`");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full), cmocka_unit_test(defaults), cmocka_unit_test(mistakes),
		cmocka_unit_test(too_long), cmocka_unit_test(noise), cmocka_unit_test(order),
		cmocka_unit_test(cycle), cmocka_unit_test(uses_may_be_circular), cmocka_unit_test(duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
