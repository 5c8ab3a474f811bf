/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chaoscli: counts with each service that it may use, every 50 ms, one call at a
 * time. What it sees goes to the log as it changes: "NAME: status S", and
 * "NAME: anew" where the counter began again; and the longest wait, when
 * it has doubled.
 */
#include "lib/ipc/server.h"
#include "tests/native/mock/mock.h"

#define PAUSE_NS 50000000ull
#define PEERS 16u

static struct peer {
	const char *name;
	x_handle_t port;
	uint64_t counter, began_ns, longest_ns;
	int32_t status;
	bool any;
	struct server_timer again;
} peers[PEERS];

static void answered(void *ctx, const struct x_in *reply)
{
	struct peer *p = ctx;
	int32_t status = reply->msg.status;

	if (!p->any || status != p->status)
		server_log("%s: status %d", p->name, status);
	if (!status && reply->msg.a[0] != p->counter + 1)
		server_log("%s: %s", p->name, reply->msg.a[0] == 1 ? "anew" : "WRONG");
	if (server_now_ns - p->began_ns > 2 * p->longest_ns) {
		p->longest_ns = server_now_ns - p->began_ns;
		server_log("%s: waited %llu us", p->name, (unsigned long long)p->longest_ns / 1000);
	}
	p->any = true;
	p->status = status;
	p->counter = status ? p->counter : reply->msg.a[0];
	timer_set(&p->again, server_now_ns + PAUSE_NS);
}

static void ask(void *ctx)
{
	struct peer *p = ctx;
	struct x_out *o = out_start(p->port, answered, p, NULL);

	o->msg.op = MOCK_ADD;
	p->began_ns = server_now_ns;
}

static const struct server_ops ops = { 0 };

void server_main(void)
{
	for (uint32_t i = 0, n = 0; i < boot->handle_count && n < PEERS; i++) {
		const struct x_boot_handle *h = &boot->handles[i];

		if (h->name[0] != 'c' || h->name[1] != '_')
			continue;
		peers[n] = (struct peer){ .name = h->name, .port = h->handle };
		peers[n].again.fn = ask;
		peers[n].again.ctx = &peers[n];
		ask(&peers[n++]);
	}
	server_run(&ops);
}
