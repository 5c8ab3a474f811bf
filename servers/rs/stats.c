/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `svc stats`: figures of all services and in total, as a table for people or
 * as JSON (RFC 8259) for programs. Times are in milliseconds.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/rs/command.h"
#include "servers/rs/service.h"

struct figures {
	uint64_t crashes, recoveries, outages, memory_kib, mapped_kib, handles, cpu_us, switches;
};

static struct figures figures_of(const struct service *s)
{
	static REGION_SCRATCH struct x_proc_info i;
	struct figures f = { .recoveries = s->restarts, .outages = s->outages.count };

	for (uint32_t c = CAUSE_EXIT; c < CAUSE_COUNT; c++)
		f.crashes += s->cause_count[c];
	if ((s->is_rs || s->process != X_NO_HANDLE) && x_proc_info(s->is_rs ? X_SELF : s->process, &i) == 0) {
		f.memory_kib = i.charged / 1024;
		f.mapped_kib = i.mapped_pages * X_PAGE_SIZE / 1024;
		f.handles = i.handles;
		f.cpu_us = (i.cpu_user_ns + i.cpu_system_ns) / 1000;
		f.switches = i.switches;
	}
	return f;
}

/* 1234567 ns as "1.2". */
static const char *ms(char *buf, size_t size, uint64_t ns)
{
	snprintf(buf, size, "%llu.%llu", (unsigned long long)(ns / 1000000), (unsigned long long)(ns / 100000 % 10));
	return buf;
}

/* Names and reasons are ours, but for what a driver calls its device: only
 * printable ASCII without quotes comes out. */
static const char *plain(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		buf[n++] = *text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text;
	buf[n] = '\0';
	return buf;
}

static uint64_t uptime_ms(const struct service *s)
{
	return s->state == SERVICE_RUNNING && s->ready_ns ? (server_now_ns - s->ready_ns) / 1000000 : 0;
}

static void json_service(struct text *t, const struct service *s, bool first)
{
	struct outage_summary o = outage_summarise(&s->outages);
	struct figures f = figures_of(s);
	char low[32], median[32], high[32], last[32], why[96], cause[48];

	text_print(t, "%s\n {\"name\":\"%s\",\"state\":\"%s\",\"why\":\"%s\",\"uptime_ms\":%llu,\"restarts\":%llu,"
		   "\"warm_restarts\":%llu,\"items_failed\":%llu,\"crashes\":%llu,\"last_cause\":\"%s\",",
		   first ? "" : ",", s->name, service_shown_state(s),
		   plain(why, sizeof(why), s->state == SERVICE_RUNNING ? "" : s->why), (unsigned long long)uptime_ms(s),
		   (unsigned long long)s->restarts, (unsigned long long)s->warm_restarts,
		   (unsigned long long)s->items_failed, (unsigned long long)f.crashes,
		   plain(cause, sizeof(cause), cause_name(s->last_cause)));
	text_print(t, "\"outages\":{\"count\":%llu,\"min_ms\":%s,\"median_ms\":%s,\"max_ms\":%s,\"last_ms\":%s},\"memory_kib\":%llu,"
		   "\"mapped_kib\":%llu,\"handles\":%llu,\"cpu_ms\":%llu}", (unsigned long long)f.outages, ms(low, sizeof(low), o.min_ns),
		   ms(median, sizeof(median), o.median_ns), ms(high, sizeof(high), o.max_ns), ms(last, sizeof(last), o.last_ns),
		   (unsigned long long)f.memory_kib, (unsigned long long)f.mapped_kib,
		   (unsigned long long)f.handles, (unsigned long long)f.cpu_us / 1000);
}

static void json(struct text *t)
{
	struct x_system_info info = { 0 };
	bool first = true;

	x_system_info(&info);
	text_print(t, "{\"now_ms\":%llu,\"lock_waits\":%llu,\"lock_wait_us\":%llu,\"services\":[",
		   (unsigned long long)(server_now_ns / 1000000), (unsigned long long)info.lock_waits,
		   (unsigned long long)(info.lock_wait_ns / 1000));
	for (uint32_t i = 0; i < service_count; i++)
		if (!service_is_hidden(&services[i])) {
			json_service(t, &services[i], first);
			first = false;
		}
	text_print(t, "\n]}\n");
}

static void table(struct text *t)
{
	struct x_system_info info = { 0 };
	struct figures sum = { 0 };
	char median[32], high[32];

	text_print(t, "%-12s %8s %6s %8s %11s %9s %10s %9s\n", "NAME", "CRASHES", "WARM", "RESTARTS", "MEDIAN ms",
		   "WORST ms", "MEMORY KiB", "CPU ms");
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];
		struct outage_summary o = outage_summarise(&s->outages);
		struct figures f;

		if (service_is_hidden(s))
			continue;
		f = figures_of(s);
		text_print(t, "%-12s %8llu %6llu %8llu %11s %9s %10llu %9llu\n", s->name, (unsigned long long)f.crashes,
			   (unsigned long long)s->warm_restarts, (unsigned long long)s->restarts,
			   ms(median, sizeof(median), o.median_ns), ms(high, sizeof(high), o.max_ns),
			   (unsigned long long)f.memory_kib, (unsigned long long)f.cpu_us / 1000);
		sum.crashes += f.crashes;
		sum.recoveries += f.recoveries;
		sum.memory_kib += f.memory_kib;
		sum.cpu_us += f.cpu_us;
	}
	text_print(t, "in total: %llu crashes, %llu recoveries, %llu KiB, %llu ms of CPU\n", (unsigned long long)sum.crashes,
		   (unsigned long long)sum.recoveries, (unsigned long long)sum.memory_kib, (unsigned long long)sum.cpu_us / 1000);
	x_system_info(&info);
	text_print(t, "kernel: %u CPUs, %llu waits for its lock, %s ms in all\n", info.cpus_online,
		   (unsigned long long)info.lock_waits, ms(median, sizeof(median), info.lock_wait_ns));
}

void command_figures(struct text *t)
{
	text_print(t, "%llu\n", (unsigned long long)(server_now_ns / 1000));
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];
		struct x_port_info p = { 0 };
		struct figures f;

		if (service_is_hidden(s))
			continue;
		f = figures_of(s);
		x_port_info(s->port, &p);
		text_print(t, "%s %s %llu %llu %llu %llu %llu\n", s->name, service_shown_state(s),
			   (unsigned long long)f.cpu_us, (unsigned long long)f.memory_kib,
			   (unsigned long long)s->restarts, (unsigned long long)p.delivered, (unsigned long long)f.switches);
	}
}

/* One word. */
static const char *cause_word(char *buf, size_t size, const struct service *s)
{
	size_t n = 0;

	if (s->last_cause == CAUSE_NONE)
		return "-";
	for (const char *c = cause_name(s->last_cause); *c && n + 1 < size; c++)
		buf[n++] = *c == ' ' ? '-' : *c;
	buf[n] = '\0';
	return buf;
}

void text_services(struct text *t)
{
	char cause[32];

	text_print(t, "name state incarnation uptime_ms restarts last_cause why\n");
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];

		if (service_is_hidden(s))
			continue;
		text_print(t, "%s %s %llu %llu %llu %s %s\n", s->name, service_shown_state(s),
			   (unsigned long long)(s->is_rs ? boot->incarnation : s->incarnation), (unsigned long long)uptime_ms(s),
			   (unsigned long long)s->restarts, cause_word(cause, sizeof(cause), s),
			   s->state == SERVICE_RUNNING || !s->why[0] ? "-" : s->why);
	}
}

void text_stats(struct text *t)
{
	text_print(t, "name crashes restarts warm_restarts items_failed outages outage_min_us outage_median_us outage_max_us "
		   "memory_kib mapped_kib handles cpu_us received switches\n");
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];
		struct outage_summary o = outage_summarise(&s->outages);
		struct x_port_info p = { 0 };
		struct figures f;

		if (service_is_hidden(s))
			continue;
		f = figures_of(s);
		x_port_info(s->port, &p);
		text_print(t, "%s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n", s->name,
			   (unsigned long long)f.crashes, (unsigned long long)s->restarts,
			   (unsigned long long)s->warm_restarts, (unsigned long long)s->items_failed,
			   (unsigned long long)f.outages, (unsigned long long)o.min_ns / 1000,
			   (unsigned long long)o.median_ns / 1000, (unsigned long long)o.max_ns / 1000,
			   (unsigned long long)f.memory_kib, (unsigned long long)f.mapped_kib,
			   (unsigned long long)f.handles, (unsigned long long)f.cpu_us, (unsigned long long)p.delivered,
			   (unsigned long long)f.switches);
	}
}

int command_stats(struct text *t, const char *form)
{
	if (form && strcmp(form, "--json")) {
		text_print(t, "stats: `%s` is unknown; there is --json\n", form);
		return -X_EINVAL;
	}
	if (form)
		json(t);
	else
		table(t);
	return 0;
}
