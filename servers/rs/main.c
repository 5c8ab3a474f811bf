/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rs, the reincarnation server: the first process. It makes every service of
 * the boot archive from its manifest, owns the ports, and starts again what
 * dies or hangs. It never waits for a service: whatever it asks of one is a
 * started call, and every wait is a state with a deadline. It may itself die
 * (self.c): like every server it works in iterations over a logged region.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "proto/dev.h"
#include "proto/rs.h"
#include "servers/rs/command.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"
#include "servers/rs/svcdev.h"

#define MANIFEST_PREFIX "manifest/"
#define TEXT_BYTES 32768u

struct graph graph;
struct archive archive;
static struct manifest manifests[SERVICE_MAX];
static uint32_t manifest_count;

/* ------------------------------------------------------------------- the start */

static void banner(void)
{
	struct x_system_info i = { 0 };

	x_system_info(&i);
	event_announce("rs", "XINIM %s, %u of %u CPUs, %llu MiB of memory", i.version, i.cpus_online, i.cpus,
		       (unsigned long long)(i.memory_bytes >> 20));
	event_announce("rs", "IOMMU: %s", i.iommu ? "on, devices reach only what is theirs" :
		       "NONE: a driver's device can reach all memory");
}

static void open_archive(void)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = boot_handle("archive"), .len = boot->archive_bytes,
		.prot = X_PROT_READ,
	};
	int64_t addr = x_mem_map(&m);
	const char *wrong;

	if (addr < 0)
		server_die("cannot map the boot archive: error %d", (int)addr);
	wrong = archive_open(&archive, (const void *)addr, boot->archive_bytes);
	if (wrong)
		server_die("boot archive: %s", wrong);
}

static void report_mistake(void *ctx, const char *service, uint32_t line, const char *reason)
{
	(void)ctx;
	if (line)
		event_announce(service, "manifest, line %u: %s", line, reason);
	else
		event_announce(service, "manifest: %s", reason);
}

static void read_manifests(void)
{
	const char *name;

	for (uint32_t i = 0; (name = archive_name(&archive, i)); i++) {
		uint64_t bytes;
		const char *text;

		if (strncmp(name, MANIFEST_PREFIX, strlen(MANIFEST_PREFIX)))
			continue;
		if (manifest_count == SERVICE_MAX) {
			event_announce("rs", "too many services; %s and others are left out", name);
			break;
		}
		text = archive_find(&archive, name, &bytes);
		manifest_parse(&manifests[manifest_count++], name + strlen(MANIFEST_PREFIX), text, bytes,
			       report_mistake, NULL);
	}
}

/* rs is in the table like the others, so that they can use it. */
static void add_rs_if_missing(void)
{
	static const char text[] = "kind server\nheartbeat off\n";

	for (uint32_t i = 0; i < manifest_count; i++)
		if (!strcmp(manifests[i].name, "rs"))
			return;
	if (manifest_count < SERVICE_MAX)
		manifest_parse(&manifests[manifest_count++], "rs", text, sizeof(text) - 1, report_mistake, NULL);
}

static void add_service(uint32_t i)
{
	struct service *s = &services[i];
	int64_t port;

	service_init(s, manifests[i].name, &manifests[i], i, 0);
	s->needs = graph.needs[i];
	s->uses = graph.uses[i];
	s->is_rs = !strcmp(s->name, "rs");
	if (s->is_rs) {
		s->port = server_port;
		s->ready_ns = s->started_ns = server_now_ns;
		service_set_state(s, SERVICE_RUNNING, 0, "%s", "");
		return;
	}
	port = x_port_create();
	if (port < 0)
		server_die("cannot make the port of %s: error %d", s->name, (int)port);
	s->port = port;
}

/* What can never run is failed from the beginning. */
static void judge_service(uint32_t i)
{
	struct service *s = &services[i];
	const char *wrong = NULL;

	if (s->is_rs)
		return;
	if (manifests[i].errors)
		wrong = "mistakes in its manifest";
	else if (graph.broken & 1ull << i)
		wrong = "it needs itself, or its name is taken";
	else if (!spawn_has_binary(s, &wrong) && !wrong)
		wrong = "no binary";
	if (wrong) {
		s->broken = true;
		service_fail(s, wrong);
	} else {
		s->wanted = true;
	}
}

/* What may run several times: the first starts like any service, further ones when asked for. */
static void add_instances(uint32_t base)
{
	for (uint32_t n = 1; n < manifests[base].instances; n++)
		if (!service_add_instance(&services[base], n))
			event_announce(services[base].name, "no room for all its instances");
}

static void make_services(void)
{
	read_manifests();
	add_rs_if_missing();
	graph_build(&graph, manifests, manifest_count, report_mistake, NULL);
	service_count = graph.count;
	for (uint32_t i = 0; i < service_count; i++)
		add_service(i);
	for (uint32_t i = 0; i < service_count; i++)
		judge_service(i);
	for (uint32_t i = 0; i < graph.count; i++)
		if (!services[i].broken)
			add_instances(i);
}

/* -------------------------------------------------------------------- the calls */

static struct service *further_instance(const struct x_in *in, uint32_t instance)
{
	char name[NAME_BYTES];
	struct service *s;

	memcpy(name, in->msg.a, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	s = service_find(name);
	for (uint32_t i = 0; s && i < service_count; i++)
		if (services[i].base == s->base && services[i].instance && s->manifest->instances &&
		    (instance ? services[i].instance == instance : service_is_spare(&services[i])))
			return &services[i];
	return NULL;
}

static void instance_start(const struct x_in *in)
{
	struct service *s = shutting_down ? NULL : further_instance(in, 0);
	struct x_msg msg = { .a = { s ? s->instance : 0 } };

	if (!s) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	service_start(s);
	out_answer(in->id, &msg);
}

static void instance_stop(const struct x_in *in)
{
	struct service *s = in->msg.a[2] && in->msg.a[2] < SERVICE_MAX ? further_instance(in, in->msg.a[2]) : NULL;

	if (s && s->state != SERVICE_STOPPING && s->state != SERVICE_DEAD)
		service_stop(s, STOP_FOR_GOOD);
	out_status(in->id, s ? 0 : -X_ENOENT);
}

/* A file of /proc/xinim, for pm. */
static void text_call(const struct x_in *in)
{
	static REGION_SCRATCH char buffer[TEXT_BYTES];
	struct text t = { buffer, sizeof(buffer), 0 };

	switch (in->msg.a[0]) {
	case RS_TEXT_SERVICES:
		text_services(&t);
		break;
	case RS_TEXT_STATS:
		text_stats(&t);
		break;
	case RS_TEXT_EVENTS:
		t.length = event_print(t.buf, t.size, EVENT_MAX);
		break;
	default:
		out_status(in->id, -X_EINVAL);
		return;
	}
	out_status(in->id, window_write(in->id, 0, 0, t.buf, t.length));
}

static void port_call(const struct x_in *in)
{
	in_close_handles(in);
	switch (in->msg.op) {
	case DEV_OPEN:
		svcdev_open(in);
		break;
	case RS_POWEROFF:
		poweroff_start(in->msg.a[0] == 1);
		break; /* never answered */
	case RS_INSTANCE_START:
		instance_start(in);
		break;
	case RS_INSTANCE_STOP:
		instance_stop(in);
		break;
	case RS_TEXT:
		text_call(in);
		break;
	default:
		out_status(in->id, -X_ENOSYS);
	}
}

static void call(const struct x_in *in)
{
	if (in->object)
		svcdev_call(in);
	else
		port_call(in);
}

static const struct server_ops ops = {
	.call = call,
	.closure = svcdev_closure,
	.batch_end = service_start_eligible,
	.state_check = self_restarted,
};

void server_main(void)
{
	int err;

	banner();
	open_archive();
	err = spawn_init();
	if (err)
		event_announce("rs", "no Linux personality in the boot archive: error %d", err);
	make_services();
	heartbeat_start();
	server_run(&ops);
}
