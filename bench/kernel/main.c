/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's paths cost. Runs as the first process, in place of rs;
 * `make bench-kernel` starts it in QEMU with -icount shift=0, where one
 * instruction takes one tick of the TSC: the table is in instructions, user
 * part included, and the same every time.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "tests/native/clone.h"

#define ROUNDS 1000u
#define STACK  16384u
#define WINDOW_MAX 65536u

static char stacks[2][STACK] __attribute__((aligned(4096)));
static char buffer[WINDOW_MAX] __attribute__((aligned(4096)));
static x_handle_t port, ping, pong;

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void report(const char *what, uint64_t start)
{
	server_log("bench %-42s %7llu", what, (unsigned long long)((tsc() - start) / ROUNDS));
}

/* Answers every call, with as many bytes as it asks for in a[0]. */
static void serve(uint64_t handle)
{
	static struct x_out out;
	static struct x_in in;
	struct x_commit c = { .out = (uint64_t)&out, .in = (uint64_t)&in, .in_max = 1, .deadline_ns = X_FOREVER };

	for (;;) {
		int64_t n = x_commit_receive(handle, &c);

		if (n < 0)
			server_die("serve: %d", (int)n);
		c.out_count = n;
		out.kind = X_OUT_ANSWER;
		out.id = in.id;
		out.copy_src = (uint64_t)buffer;
		out.copy_len = in.msg.a[0];
	}
}

static void bench_calls(const char *what, x_handle_t target, uint64_t bytes, uint32_t windows)
{
	uint64_t start;

	for (uint32_t i = 0; i < ROUNDS + 10; i++) {
		struct x_call c = { .deadline_ns = X_FOREVER, .recv_min = X_SLOT_NATIVE, .recv_end = X_SLOT_MAX };

		if (i == 10)
			start = tsc();
		c.msg.a[0] = bytes;
		c.win_count = windows;
		c.win[0] = (struct x_window){ (uint64_t)buffer, (uint32_t)bytes, X_WIN_WRITE };
		if (x_call(target, &c) < 0)
			server_die("call failed");
	}
	report(what, start);
}

static void echo(uint64_t unused)
{
	(void)unused;
	for (;;) {
		struct x_wait_item item = { ping, 1, 0, 0 };

		x_wait(&item, 1, X_FOREVER, NULL);
		x_event_take(ping, 1);
		x_event_signal(pong, 1);
	}
}

static void bench_events(void)
{
	uint64_t start;

	ping = x_event_create();
	pong = x_event_create();
	clone_thread(X_SELF, echo, 0, stacks[1] + STACK);
	for (uint32_t i = 0; i < ROUNDS / 2 + 10; i++) {
		struct x_wait_item item = { pong, 1, 0, 0 };

		if (i == 10)
			start = tsc();
		x_event_signal(ping, 1);
		x_wait(&item, 1, X_FOREVER, NULL);
		x_event_take(pong, 1);
	}
	report("event signal to waiting thread, take", start);
}

static void bench_small(void)
{
	uint64_t start = tsc();

	for (uint32_t i = 0; i < ROUNDS; i++)
		x_null();
	report("null call", start);
	start = tsc();
	for (uint32_t i = 0; i < ROUNDS; i++)
		x_handle_close(x_event_create());
	report("event create and close", start);
	start = tsc();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct x_mem_map m = { .space = X_SELF, .memory = X_NO_HANDLE, .len = 4096,
				       .prot = X_PROT_READ | X_PROT_WRITE };

		x_mem_unmap(X_SELF, (uint64_t)x_mem_map(&m), 4096);
	}
	report("map and unmap a wired page", start);
}

static void bench_spawn(void)
{
	x_handle_t resource = boot_handle("resource");
	uint64_t start = tsc();

	for (uint32_t i = 0; i < ROUNDS; i++)
		x_handle_close((x_handle_t)x_proc_create(resource, "none", 0, X_BAND_SERVER));
	report("process create and close, empty", start);
}

/* only=WORD on the command line: nothing but that part, for profiles of one path. */
static bool wanted(const char *part)
{
	const char *only = boot_option("only");

	return !only || !strcmp(only, part);
}

void server_main(void)
{
	x_handle_t resource = boot_handle("resource");
	int64_t p;

	port = (x_handle_t)x_port_create();
	if (wanted("small"))
		bench_small();
	p = clone_self(resource, "server", X_BAND_SERVER);
	if (p < 0 || x_proc_grant(p, port, 0, X_SLOT_NATIVE) < 0 ||
	    clone_thread(p, serve, X_SLOT_NATIVE, stacks[0] + STACK) < 0)
		server_die("no second process");
	if (wanted("call"))
		bench_calls("call and answer, two processes", port, 0, 0);
	if (wanted("window")) {
		bench_calls("  with a window, unused", port, 0, 1);
		bench_calls("  with 512 bytes copied", port, 512, 1);
	}
	if (wanted("window4k"))
		bench_calls("  with 4 KiB copied", port, 4096, 1);
	if (wanted("window64k"))
		bench_calls("  with 64 KiB copied", port, 65536, 1);
	if (wanted("event"))
		bench_events();
	if (wanted("spawn"))
		bench_spawn();
	server_log("bench done");
	x_system(resource, X_SYS_POWEROFF, 0);
}
