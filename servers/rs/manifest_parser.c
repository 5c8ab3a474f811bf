/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parser of manifests. A line is a key and its words; each key has a function
 * that gets the words and says what is wrong with them.
 */
#include <xinim/abi.h>
#include <xinim/syscall.h>
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "servers/rs/manifest.h"

#define LINE_BYTES 512u
#define LINE_WORDS 40u

struct words { uint32_t line, count; char *word[LINE_WORDS]; }; /* the key is word[0] */

/* Returns NULL, or what is wrong. */
typedef const char *(*key_fn)(struct manifest *m, const struct words *w);

bool manifest_name_valid(const char *name)
{
	size_t n = 0;

	for (; name[n]; n++) {
		char c = name[n];
		bool letter = c >= 'a' && c <= 'z';

		if (n + 1 >= NAME_BYTES || (!letter && n == 0))
			return false;
		if (!letter && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return n > 0;
}

static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long long v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	v = strtoull(text, &end, 0);
	if (*end || v < min || v > max)
		return false;
	*out = v;
	return true;
}

static const char *key_kind(struct manifest *m, const struct words *w)
{
	if (w->count != 2)
		return "expected: kind driver|fs|server";
	if (!strcmp(w->word[1], "driver"))
		m->kind = KIND_DRIVER;
	else if (!strcmp(w->word[1], "fs"))
		m->kind = KIND_FS;
	else if (!strcmp(w->word[1], "server"))
		m->kind = KIND_SERVER;
	else
		return "unknown kind: driver, fs or server";
	return NULL;
}

static const char *add_names(char (*names)[NAME_BYTES], uint32_t *line, uint32_t *count, const struct words *w)
{
	if (w->count < 2)
		return "expected names of services";
	for (uint32_t i = 1; i < w->count; i++) {
		if (!manifest_name_valid(w->word[i]))
			return "not the name of a service";
		for (uint32_t k = 0; k < *count; k++)
			if (!strcmp(names[k], w->word[i]))
				return "a service is named twice";
		if (*count == MANIFEST_NAMES)
			return "too many services";
		line[*count] = w->line;
		strlcpy(names[(*count)++], w->word[i], NAME_BYTES);
	}
	return NULL;
}

static const char *key_needs(struct manifest *m, const struct words *w)
{
	return add_names(m->needs, m->needs_line, &m->need_count, w);
}

static const char *key_uses(struct manifest *m, const struct words *w)
{
	return add_names(m->uses, m->uses_line, &m->use_count, w);
}

static const char *key_match(struct manifest *m, const struct words *w)
{
	if (w->count != 2 || !strchr(w->word[1], ':'))
		return "expected: match bus:vendor:device,...";
	if (strlcpy(m->match, w->word[1], sizeof(m->match)) >= sizeof(m->match))
		return "match is too long";
	return NULL;
}

static const char *key_ioports(struct manifest *m, const struct words *w)
{
	if (w->count != 3 || !parse_number(w->word[1], 0, 0xffff, &m->ioport_base) ||
	    !parse_number(w->word[2], 1, 0x10000 - m->ioport_base, &m->ioport_count))
		return "expected: ioports base count, within 0..0xffff";
	return NULL;
}

static const char *key_irq(struct manifest *m, const struct words *w)
{
	uint32_t line;

	if (w->count != 2 || !parse_number(w->word[1], 0, 15, &line))
		return "expected: irq 0..15";
	m->irq = line;
	return NULL;
}

static const char *key_resource(struct manifest *m, const struct words *w)
{
	if (w->count == 2 && !strcmp(w->word[1], "all"))
		m->resource = RESOURCE_ALL;
	else if (w->count == 2 && !strcmp(w->word[1], "processes"))
		m->resource = RESOURCE_PROCESSES;
	else
		return "expected: resource all|processes";
	return NULL;
}

static const char *key_band(struct manifest *m, const struct words *w)
{
	if (w->count == 2 && !strcmp(w->word[1], "driver"))
		m->band = X_BAND_DRIVER;
	else if (w->count == 2 && !strcmp(w->word[1], "server"))
		m->band = X_BAND_SERVER;
	else
		return "expected: band driver|server";
	return NULL;
}

static const char *key_heartbeat(struct manifest *m, const struct words *w)
{
	if (w->count == 2 && !strcmp(w->word[1], "off")) {
		m->heartbeat_period_ms = m->heartbeat_deadline_ms = 0;
		return NULL;
	}
	if (w->count != 3 || !parse_number(w->word[1], 10, 60000, &m->heartbeat_period_ms) ||
	    !parse_number(w->word[2], m->heartbeat_period_ms, 600000, &m->heartbeat_deadline_ms))
		return "expected: heartbeat period_ms deadline_ms (period >= 10, deadline >= period), or off";
	return NULL;
}

static const char *key_restart(struct manifest *m, const struct words *w)
{
	const char *how = w->count > 1 ? w->word[1] : "";

	if (!strcmp(how, "warm") && w->count == 2)
		m->warm_log_kib = WARM_LOG_KIB;
	else if (w->count == 2 && !strcmp(how, "never"))
		m->restart = false;
	else if (!(w->count == 2 && !strcmp(how, "always")) &&
		 !(w->count == 3 && !strcmp(how, "warm") && parse_number(w->word[2], 64, 65536, &m->warm_log_kib)))
		return "expected: restart always|never|warm [KiB of undo log]";
	return NULL;
}

static const char *key_memory(struct manifest *m, const struct words *w)
{
	if (w->count != 2 || !parse_number(w->word[1], 1, 1u << 20, &m->memory_mib))
		return "expected: memory MiB";
	return NULL;
}

static const char *key_keep(struct manifest *m, const struct words *w)
{
	if (w->count != 2 || !parse_number(w->word[1], 2, 64, &m->keep_kib))
		return "expected: keep 2..64 (KiB)";
	return NULL;
}

static const char *key_instances(struct manifest *m, const struct words *w)
{
	if (w->count != 2 || !parse_number(w->word[1], 2, 16, &m->instances))
		return "expected: instances 2..16";
	return NULL;
}

static const char *key_cpu(struct manifest *m, const struct words *w)
{
	if (w->count != 3 || !parse_number(w->word[1], 1, 100, &m->cpu_percent) ||
	    !parse_number(w->word[2], 1, 3600, &m->cpu_seconds))
		return "expected: cpu percent seconds";
	return NULL;
}

static const char *key_answers(struct manifest *m, const struct words *w)
{
	if (w->count != 2 || !parse_number(w->word[1], 10, 600000, &m->answer_ms))
		return "expected: answers ms";
	return NULL;
}

static const char *key_args(struct manifest *m, const struct words *w)
{
	for (uint32_t i = 1; i < w->count; i++) {
		size_t n = strlen(w->word[i]) + 1;

		if (n > sizeof(m->args) - m->arg_bytes)
			return "args are too long";
		memcpy(m->args + m->arg_bytes, w->word[i], n);
		m->arg_bytes += n;
	}
	return NULL;
}

static const char *key_gives(struct manifest *m, const struct words *w)
{
	if (w->count != 2 || strcmp(w->word[1], "personality"))
		return "expected: gives personality";
	m->gives_personality = true;
	return NULL;
}

static const char *key_node(struct manifest *m, const struct words *w)
{
	m->node = true;
	return w->count == 1 ? NULL : "expected: node";
}

static const char *key_nodes(struct manifest *m, const struct words *w)
{
	m->takes_nodes = true;
	return w->count == 1 ? NULL : "expected: nodes";
}

static const struct key { const char *name; key_fn fn; bool repeatable; } keys[] = {
	{ "kind", key_kind, false },
	{ "needs", key_needs, true },
	{ "uses", key_uses, true },
	{ "match", key_match, false },
	{ "ioports", key_ioports, false },
	{ "irq", key_irq, false },
	{ "resource", key_resource, false },
	{ "band", key_band, false },
	{ "heartbeat", key_heartbeat, false },
	{ "restart", key_restart, false },
	{ "memory", key_memory, false },
	{ "keep", key_keep, false },
	{ "instances", key_instances, false },
	{ "cpu", key_cpu, false },
	{ "answers", key_answers, false },
	{ "args", key_args, true },
	{ "gives", key_gives, false },
	{ "node", key_node, false },
	{ "nodes", key_nodes, false },
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *split(char *line, struct words *w)
{
	w->count = 0;
	for (char *p = line; *p;) {
		while (is_space(*p))
			*p++ = '\0';
		if (!*p || *p == '#') {
			*p = '\0';
			break;
		}
		if (w->count == LINE_WORDS)
			return "too many words";
		w->word[w->count++] = p;
		while (*p && !is_space(*p))
			p++;
	}
	return NULL;
}

static const char *parse_line(struct manifest *m, char *line, uint32_t number)
{
	struct words w = { .line = number };
	const char *wrong = split(line, &w);

	if (wrong || w.count == 0)
		return wrong;
	for (uint32_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(keys[i].name, w.word[0]))
			continue;
		if ((m->seen & 1u << i) && !keys[i].repeatable)
			return "key is given twice";
		m->seen |= 1u << i;
		return keys[i].fn(m, &w);
	}
	return "unknown key";
}

static const char *copy_line(char *line, const char *text, size_t n)
{
	if (n >= LINE_BYTES)
		return "line is too long";
	memcpy(line, text, n);
	line[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' && !is_space(line[i]))
			return "not a text file";
	return NULL;
}

static void set_defaults(struct manifest *m, const char *name)
{
	memset(m, 0, sizeof(*m));
	strlcpy(m->name, name, sizeof(m->name));
	m->irq = -1;
	m->restart = true;
	m->band = ~0u;
	m->heartbeat_period_ms = HEARTBEAT_PERIOD_MS;
	m->heartbeat_deadline_ms = HEARTBEAT_DEADLINE_MS;
}

static const char *check_whole(struct manifest *m, const char *name)
{
	if (m->band == ~0u)
		m->band = m->kind == KIND_DRIVER ? X_BAND_DRIVER : X_BAND_SERVER;
	if (m->kind == KIND_NONE)
		return "no `kind`";
	if (m->match[0] && m->kind != KIND_DRIVER)
		return "only a driver can `match` a device";
	if (m->instances && m->match[0])
		return "`instances` of a driver are as many as its devices";
	if (m->warm_log_kib && m->kind == KIND_DRIVER)
		return "a driver restarts cold: its device's state is not kept";
	if (m->warm_log_kib && m->keep_kib)
		return "what restarts warm has all its state and cannot `keep`";
	if (!manifest_name_valid(name))
		return "not a proper name for a service";
	return NULL;
}

uint32_t manifest_parse(struct manifest *m, const char *name, const char *text, size_t bytes,
			manifest_report report, void *ctx)
{
	const char *end = text + bytes, *wrong;
	char line[LINE_BYTES];
	uint32_t number = 0;

	set_defaults(m, name);
	while (text < end) {
		const char *newline = memchr(text, '\n', end - text);
		size_t n = (newline ? newline : end) - text;

		number++;
		wrong = copy_line(line, text, n);
		if (!wrong)
			wrong = parse_line(m, line, number);
		if (wrong) {
			report(ctx, name, number, wrong);
			m->errors++;
		}
		text += newline ? n + 1 : n;
	}
	wrong = check_whole(m, name);
	if (wrong) {
		report(ctx, name, 0, wrong);
		m->errors++;
	}
	return m->errors;
}
