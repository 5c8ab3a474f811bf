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
	uint64_t starts, crashes, recoveries, failed_recoveries, items_failed, redelivered; /* recoveries: that it served after */
	uint64_t memory_kib, mapped_kib, handles, cpu_us, switches, received;
};

static struct figures figures_of(const struct service *s)
{
	static REGION_SCRATCH struct x_proc_info i;
	struct figures f = {
		.starts = s->restarts + (s->is_rs || s->incarnation), .recoveries = s->outages.count,
		.failed_recoveries = s->failed_recoveries, .items_failed = s->items_failed,
	};
	struct x_port_info p = { 0 };

	x_port_info(s->port, &p);
	f.redelivered = p.redelivered;
	f.received = p.delivered;
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

static void add_figures(struct figures *sum, const struct figures *f)
{
	sum->starts += f->starts;
	sum->crashes += f->crashes;
	sum->recoveries += f->recoveries;
	sum->failed_recoveries += f->failed_recoveries;
	sum->items_failed += f->items_failed;
	sum->redelivered += f->redelivered;
	sum->memory_kib += f->memory_kib;
	sum->cpu_us += f->cpu_us;
}

/* Of the samples of all services, those that are at most so long. */
static uint32_t samples_up_to(uint64_t ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < service_count; i++)
		n += outage_samples_up_to(&services[i].outages, ns);
	return n;
}

/* There is no room for all samples in one place: the median is closed in on. */
static struct outage_summary outages_of_all(void)
{
	struct outage_summary all = { 0 };
	uint64_t low, high;
	uint32_t count = 0;

	for (uint32_t i = 0; i < service_count; i++) {
		struct outage_summary o = outage_summarise(&services[i].outages);

		if (!outage_samples(&services[i].outages))
			continue;
		all.min_ns = !count || o.min_ns < all.min_ns ? o.min_ns : all.min_ns;
		all.max_ns = o.max_ns > all.max_ns ? o.max_ns : all.max_ns;
		count += outage_samples(&services[i].outages);
	}
	for (low = all.min_ns, high = all.max_ns; low < high;) {
		uint64_t middle = low + (high - low) / 2;

		if (samples_up_to(middle) >= (count + 1) / 2)
			high = middle;
		else
			low = middle + 1;
	}
	all.median_ns = low;
	return all;
}

static uint64_t uptime_ms(const struct service *s)
{
	return s->state == SERVICE_RUNNING && s->ready_ns ? (server_now_ns - s->ready_ns) / 1000000 : 0;
}

/* Those that there were: {"exit":1,...}; of one service, or of all (NULL). */
static void json_causes(struct text *t, const struct service *s)
{
	const char *comma = "";

	text_print(t, "\"causes\":{");
	for (uint32_t c = CAUSE_EXIT; c < CAUSE_COUNT; c++) {
		uint64_t n = s ? s->cause_count[c] : 0;

		for (uint32_t i = 0; !s && i < service_count; i++)
			n += services[i].cause_count[c];
		if (n) {
			text_print(t, "%s\"%s\":%llu", comma, cause_name(c), (unsigned long long)n);
			comma = ",";
		}
	}
	text_print(t, "},");
}

/* What a service has in common with all of them. */
static void json_figures(struct text *t, const struct figures *f, const struct outage_summary *o)
{
	char low[32], median[32], high[32];

	text_print(t, "\"starts\":%llu,\"recoveries\":%llu,\"failed_recoveries\":%llu,\"items_failed\":%llu,\"redelivered\":%llu,\"crashes\":%llu,",
		   (unsigned long long)f->starts, (unsigned long long)f->recoveries, (unsigned long long)f->failed_recoveries,
		   (unsigned long long)f->items_failed, (unsigned long long)f->redelivered, (unsigned long long)f->crashes);
	text_print(t, "\"memory_kib\":%llu,\"cpu_ms\":%llu,\"outages\":{\"count\":%llu,\"min_ms\":%s,\"median_ms\":%s,\"max_ms\":%s",
		   (unsigned long long)f->memory_kib, (unsigned long long)f->cpu_us / 1000, (unsigned long long)f->recoveries,
		   ms(low, sizeof(low), o->min_ns), ms(median, sizeof(median), o->median_ns), ms(high, sizeof(high), o->max_ns));
}

static void json_service(struct text *t, const struct service *s, const struct figures *f, bool first)
{
	struct outage_summary o = outage_summarise(&s->outages);
	char last[32], why[96], cause[48];

	text_print(t, "%s\n {\"name\":\"%s\",\"state\":\"%s\",\"why\":\"%s\",\"uptime_ms\":%llu,\"restarts\":%llu,"
		   "\"warm_restarts\":%llu,\"last_cause\":\"%s\",\"mapped_kib\":%llu,\"handles\":%llu,",
		   first ? "" : ",", s->name, service_shown_state(s),
		   plain(why, sizeof(why), s->state == SERVICE_RUNNING ? "" : s->why), (unsigned long long)uptime_ms(s),
		   (unsigned long long)s->restarts, (unsigned long long)s->warm_restarts,
		   plain(cause, sizeof(cause), cause_name(s->last_cause)), (unsigned long long)f->mapped_kib,
		   (unsigned long long)f->handles);
	json_causes(t, s);
	json_figures(t, f, &o);
	text_print(t, ",\"last_ms\":%s}}", ms(last, sizeof(last), o.last_ns));
}

static void json(struct text *t)
{
	struct outage_summary all = outages_of_all();
	struct x_system_info info = { 0 };
	struct figures sum = { 0 };
	bool first = true;

	x_system_info(&info);
	text_print(t, "{\"now_ms\":%llu,\"lock_waits\":%llu,\"lock_wait_us\":%llu,\"services\":[",
		   (unsigned long long)(server_now_ns / 1000000), (unsigned long long)info.lock_waits,
		   (unsigned long long)(info.lock_wait_ns / 1000));
	for (uint32_t i = 0; i < service_count; i++) {
		struct figures f;

		if (service_is_hidden(&services[i]))
			continue;
		f = figures_of(&services[i]);
		add_figures(&sum, &f);
		json_service(t, &services[i], &f, first);
		first = false;
	}
	text_print(t, "\n],\n\"total\":{\"uptime_ms\":%llu,", (unsigned long long)(server_now_ns / 1000000));
	json_causes(t, NULL);
	json_figures(t, &sum, &all);
	text_print(t, "}}}\n");
}

static void table(struct text *t)
{
	struct x_system_info info = { 0 };
	struct outage_summary all = outages_of_all();
	struct figures sum = { 0 };
	char low[32], median[32], high[32];

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
		add_figures(&sum, &f);
	}
	text_print(t, "in total: %llu crashes, %llu recoveries, %llu more that failed, %llu calls redelivered, %llu KiB, %llu ms of CPU\n",
		   (unsigned long long)sum.crashes, (unsigned long long)sum.recoveries, (unsigned long long)sum.failed_recoveries,
		   (unsigned long long)sum.redelivered, (unsigned long long)sum.memory_kib, (unsigned long long)sum.cpu_us / 1000);
	text_print(t, "outages: min %s ms, median %s ms, max %s ms\n", ms(low, sizeof(low), all.min_ns),
		   ms(median, sizeof(median), all.median_ns), ms(high, sizeof(high), all.max_ns));
	x_system_info(&info);
	text_print(t, "kernel: %u CPUs, %llu waits for its lock, %s ms in all\n", info.cpus_online,
		   (unsigned long long)info.lock_waits, ms(median, sizeof(median), info.lock_wait_ns));
}

void command_figures(struct text *t)
{
	text_print(t, "%llu\n", (unsigned long long)(server_now_ns / 1000));
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];
		struct figures f;

		if (service_is_hidden(s))
			continue;
		f = figures_of(s);
		text_print(t, "%s %s %llu %llu %llu %llu %llu\n", s->name, service_shown_state(s),
			   (unsigned long long)f.cpu_us, (unsigned long long)f.memory_kib,
			   (unsigned long long)s->restarts, (unsigned long long)f.received, (unsigned long long)f.switches);
	}
}

static const char *one_word(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (const char *c = text; *c && n + 1 < size; c++)
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
			   (unsigned long long)s->restarts, s->last_cause == CAUSE_NONE ? "-" : one_word(cause, sizeof(cause), cause_name(s->last_cause)),
			   s->state == SERVICE_RUNNING || !s->why[0] ? "-" : s->why);
	}
}

void text_stats(struct text *t)
{
	char word[32];

	text_print(t, "name crashes restarts warm_restarts items_failed outages outage_min_us outage_median_us outage_max_us "
		   "memory_kib mapped_kib handles cpu_us received switches starts failed_recoveries redelivered");
	for (uint32_t c = CAUSE_EXIT; c < CAUSE_COUNT; c++)
		text_print(t, " by_%s", one_word(word, sizeof(word), cause_name(c)));
	text_print(t, "\n");
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];
		struct outage_summary o = outage_summarise(&s->outages);
		struct figures f;

		if (service_is_hidden(s))
			continue;
		f = figures_of(s);
		text_print(t, "%s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", s->name,
			   (unsigned long long)f.crashes, (unsigned long long)s->restarts,
			   (unsigned long long)s->warm_restarts, (unsigned long long)s->items_failed,
			   (unsigned long long)f.recoveries, (unsigned long long)o.min_ns / 1000,
			   (unsigned long long)o.median_ns / 1000, (unsigned long long)o.max_ns / 1000,
			   (unsigned long long)f.memory_kib, (unsigned long long)f.mapped_kib,
			   (unsigned long long)f.handles, (unsigned long long)f.cpu_us, (unsigned long long)f.received,
			   (unsigned long long)f.switches, (unsigned long long)f.starts, (unsigned long long)f.failed_recoveries,
			   (unsigned long long)f.redelivered);
		for (uint32_t c = CAUSE_EXIT; c < CAUSE_COUNT; c++)
			text_print(t, " %llu", (unsigned long long)s->cause_count[c]);
		text_print(t, "\n");
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
