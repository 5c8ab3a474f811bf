/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of svc(1).
 */
#include "lib/c/stdio.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "proto/rs.h"
#include "servers/rs/command.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define WORDS_MAX 6u

__attribute__((format(printf, 2, 3)))
void text_print(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->length, t->size - t->length, fmt, ap);
	va_end(ap);
	t->length += (size_t)n < t->size - t->length ? (size_t)n : t->size - t->length - 1;
}

/* ---------------------------------------------------------------- the lists */

static const char *seconds(char *buf, size_t size, uint64_t ns)
{
	snprintf(buf, size, "%llu.%03llu s", (unsigned long long)(ns / 1000000000),
		 (unsigned long long)(ns / 1000000 % 1000));
	return buf;
}

static const char *milliseconds(char *buf, size_t size, uint64_t ns)
{
	snprintf(buf, size, "%llu.%03llu ms", (unsigned long long)(ns / 1000000),
		 (unsigned long long)(ns / 1000 % 1000));
	return buf;
}

bool service_is_hidden(const struct service *s)
{
	/* The instance no device was found for, or that nobody asked for. */
	return s->instance && (s->incarnation == 0 || (s->manifest->instances && service_is_spare(s)));
}

static const char *uptime(char *buf, size_t size, const struct service *s)
{
	if (!s->is_rs && (s->state != SERVICE_RUNNING || !s->ready_ns))
		return "-";
	return seconds(buf, size, server_now_ns - s->ready_ns);
}

static int command_list(struct text *t)
{
	char up[32];

	text_print(t, "%-15s %-10s %12s %8s  %s\n", "NAME", "STATE", "UPTIME", "RESTARTS", "REMARK");
	for (uint32_t i = 0; i < service_count; i++) {
		const struct service *s = &services[i];

		if (service_is_hidden(s))
			continue;
		text_print(t, "%-15s %-10s %12s %8llu  %s\n", s->name, service_shown_state(s),
		      uptime(up, sizeof(up), s), (unsigned long long)s->restarts,
		      s->state == SERVICE_RUNNING ? "" : s->why);
	}
	return 0;
}

static void print_set(struct text *t, const char *label, uint64_t set)
{
	if (!set)
		return;
	text_print(t, "%-12s", label);
	for (uint32_t i = 0; i < graph.count; i++)
		if (set & 1ull << i)
			text_print(t, " %s", services[i].name);
	text_print(t, "\n");
}

static void print_causes(struct text *t, const struct service *s)
{
	struct x_port_info p = { 0 };

	if (s->manifest->warm_log_kib && x_port_info(s->port, &p) == 0)
		text_print(t, "%-12s %llu, items failed %llu, calls redelivered %llu\n", "warm", (unsigned long long)s->warm_restarts,
		      (unsigned long long)s->items_failed, (unsigned long long)p.redelivered);
	text_print(t, "%-12s %llu", "restarts", (unsigned long long)s->restarts);
	for (uint32_t c = CAUSE_EXIT; c < CAUSE_COUNT; c++)
		if (s->cause_count[c])
			text_print(t, "  %s %llu", cause_name(c), (unsigned long long)s->cause_count[c]);
	text_print(t, "\n");
	if (s->failed_recoveries)
		text_print(t, "%-12s %llu\n", "failed ones", (unsigned long long)s->failed_recoveries);
	if (s->last_cause != CAUSE_NONE)
		text_print(t, "%-12s %s: %s\n", "last cause", cause_name(s->last_cause), s->last_text);
}

static void print_outages(struct text *t, const struct service *s)
{
	struct outage_summary o = outage_summarise(&s->outages);
	char min[32], median[32], max[32];

	text_print(t, "%-12s %llu", "outages", (unsigned long long)s->outages.count);
	if (s->outages.count)
		text_print(t, "  min %s  median %s  max %s", milliseconds(min, sizeof(min), o.min_ns),
		      milliseconds(median, sizeof(median), o.median_ns), milliseconds(max, sizeof(max), o.max_ns));
	text_print(t, "\n");
}

static void print_process(struct text *t, const struct service *s)
{
	static REGION_SCRATCH struct x_proc_info i;
	struct x_port_info p;
	char cpu[32];

	if (x_proc_info(s->is_rs ? X_SELF : s->process, &i) < 0)
		return;
	text_print(t, "%-12s %llu KiB, %llu of them the kernel's", "memory", (unsigned long long)i.charged / 1024,
		   (unsigned long long)i.charged_kernel / 1024);
	if (s->manifest->memory_mib)
		text_print(t, " (at most %u MiB)", s->manifest->memory_mib);
	text_print(t, "\n%-12s %s\n", "cpu", seconds(cpu, sizeof(cpu), i.cpu_user_ns + i.cpu_system_ns));
	text_print(t, "%-12s %u\n", "handles", i.handles);
	if (x_port_info(s->port, &p) == 0)
		text_print(t, "%-12s %u queued, %u open calls, %llu received\n", "port", p.queued, p.open_calls,
		      (unsigned long long)p.delivered);
}

static int command_status(struct text *t, struct service *s)
{
	char up[32];

	text_print(t, "%-12s %s\n", "name", s->name);
	text_print(t, "%-12s %s%s%s\n", "state", service_shown_state(s), s->why[0] ? ": " : "", s->why);
	text_print(t, "%-12s %llu\n", "incarnation", (unsigned long long)(s->is_rs ? boot->incarnation : s->incarnation));
	text_print(t, "%-12s %s\n", "uptime", uptime(up, sizeof(up), s));
	if (s->device != X_NO_HANDLE)
		text_print(t, "%-12s %s\n", "device", s->device_name);
	print_set(t, "needs", s->needs);
	print_set(t, "uses", s->uses);
	print_causes(t, s);
	if (s->complaints)
		text_print(t, "%-12s %llu of peers\n", "complaints", (unsigned long long)s->complaints);
	print_outages(t, s);
	if (s->is_rs || s->process != X_NO_HANDLE)
		print_process(t, s);
	return 0;
}

/* Depth first over needs and uses. What is below a service is drawn once, "..." stands for it
 * where the service comes again: services use each other in circles. */
static void print_branch(struct text *t, uint32_t index, uint64_t *drawn, uint32_t depth)
{
	const struct service *s = &services[index];
	uint64_t below = s->needs | s->uses;
	bool again = below && (*drawn & 1ull << index);

	text_print(t, "%*s%s (%s)%s\n", (int)(2 * depth), "", s->name, service_shown_state(s), again ? " ..." : "");
	if (again)
		return;
	*drawn |= 1ull << index;
	for (uint32_t i = 0; i < graph.count; i++)
		if ((below & 1ull << i) && !services[i].is_rs)
			print_branch(t, i, drawn, depth + 1);
}

static int command_tree(struct text *t)
{
	uint64_t wanted_by_others = 0, drawn = 0;

	for (uint32_t i = 0; i < graph.count; i++)
		wanted_by_others |= services[i].needs | services[i].uses;
	/* First what nothing wants, then vfs (it, pm and tty want each other), then what is left. */
	for (uint32_t turn = 0; turn < 3; turn++)
		for (uint32_t i = 0; i < graph.count; i++)
			if (!(drawn & 1ull << i) && !services[i].is_rs &&
			    (turn == 2 || (turn == 1 ? !strcmp(services[i].name, "vfs") : !(wanted_by_others & 1ull << i))))
				print_branch(t, i, &drawn, 0);
	return 0;
}

/* ------------------------------------------------------------------- the logs */

static int command_log_kernel(struct text *t)
{
	uint64_t at = 0, next = 0;
	char piece[512];
	int64_t n;

	while ((n = x_log_read(at, piece, sizeof(piece), &next)) > 0 && next > at) {
		at = next;
		if ((size_t)n >= t->size - t->length) { /* keep the later half */
			size_t keep = t->size / 2;

			memmove(t->buf, t->buf + t->length - keep, keep);
			t->length = keep;
		}
		memcpy(t->buf + t->length, piece, n);
		t->length += n;
	}
	return 0;
}

static int command_log(struct text *t, const char *arg)
{
	uint32_t count = EVENT_MAX;
	char *end;

	if (arg && (!strcmp(arg, "kernel") || !strcmp(arg, "-k")))
		return command_log_kernel(t);
	if (arg) {
		count = strtoul(arg, &end, 10);
		if (*end || *arg < '0' || *arg > '9') {
			text_print(t, "log: `%s` is not a number of lines\n", arg);
			return -X_EINVAL;
		}
	}
	t->length += event_print(t->buf + t->length, t->size - t->length, count);
	return 0;
}

/* ----------------------------------------------------------------- the actions */

static int command_start(struct text *t, struct service *s)
{
	if (s->state != SERVICE_DEAD && s->state != SERVICE_FAILED) {
		text_print(t, "%s is %s\n", s->name, service_shown_state(s));
		return -X_EBUSY;
	}
	if (s->broken || s->process != X_NO_HANDLE) {
		text_print(t, "%s cannot be started: %s\n", s->name, s->why);
		return -X_EPERM;
	}
	policy_reset(&s->policy);
	s->claim_tries = 0;
	service_start(s);
	return 0;
}

static int command_stop(struct text *t, struct service *s)
{
	(void)t;
	if (s->state == SERVICE_DEAD || s->state == SERVICE_FAILED)
		return 0;
	service_stop(s, STOP_FOR_GOOD);
	return 0;
}

static int command_restart(struct text *t, struct service *s)
{
	if (s->state == SERVICE_DEAD || s->state == SERVICE_FAILED)
		return command_start(t, s);
	if (s->state == SERVICE_STOPPING)
		s->stop_goal = STOP_TO_RESTART;
	else
		service_stop(s, STOP_TO_RESTART);
	return 0;
}

static int not_running(struct text *t, const struct service *s)
{
	text_print(t, "%s is not running: %s\n", s->name, service_shown_state(s));
	return -X_ESRCH;
}

static struct service *find(struct text *t, const char *name)
{
	struct service *s = service_find(name);

	if (!s || service_is_hidden(s)) {
		text_print(t, "no such service: %s\n", name);
		return NULL;
	}
	return s;
}

static int kill_one(struct text *t, struct service *s, bool cold)
{
	if (s->is_rs && cold) {
		text_print(t, "kill: there is no cold start of rs\n");
		return -X_EPERM;
	}
	if (s->is_rs) {
		self_kill(CAUSE_REQUESTED);
		return 0;
	}
	if (s->process == X_NO_HANDLE)
		return not_running(t, s);
	s->cold = cold;
	service_kill(s, CAUSE_REQUESTED);
	return 0;
}

/* All of them with one commit: at the same instant. */
static int command_kill(struct text *t, char **name, uint32_t count)
{
	bool cold = count > 1 && !strcmp(name[count - 1], "cold");
	struct service *victim[WORDS_MAX];
	int status = 0;

	count -= cold;
	if (count == 1 && !strcmp(name[0], "cold") && !service_find("cold")) {
		text_print(t, "kill: whom? `cold` goes behind a name\n");
		return -X_EINVAL;
	}
	for (uint32_t i = 0; i < count; i++) {
		victim[i] = find(t, name[i]);
		if (!victim[i])
			return -X_ENOENT;
	}
	for (uint32_t i = 0; i < count; i++) {
		int error = kill_one(t, victim[i], cold);

		status = error ? error : status;
	}
	return status;
}

static const struct fault { const char *name; uint64_t bit; } faults[] = {
	{ "hang", RS_CONTROL_HANG }, { "exception", RS_CONTROL_EXCEPTION }, { "exit", RS_CONTROL_EXIT },
	{ "slow", RS_CONTROL_SLOW }, { "leak", RS_CONTROL_LEAK }, { "entry", RS_CONTROL_ENTRY },
	{ "verify", RS_CONTROL_VERIFY }, { "loop", RS_CONTROL_LOOP }, { "garbage", RS_CONTROL_GARBAGE },
};
#define FAULTS (sizeof(faults) / sizeof(faults[0]))
#define FAULTS_THAT_END (RS_CONTROL_HANG | RS_CONTROL_LOOP | RS_CONTROL_EXCEPTION | RS_CONTROL_EXIT)

/* Killed at an instant that has nothing to do with what it does: in the next 5 ms. */
static void kill_at_random(void *service)
{
	service_kill(service, CAUSE_REQUESTED);
}

static int command_inject_random(struct text *t, struct service *s)
{
	if (s->is_rs) {
		text_print(t, "inject: rs gives the orders, and cannot be killed at random; `entry N` is an instant, too\n");
		return -X_EPERM;
	}
	if (s->process == X_NO_HANDLE)
		return not_running(t, s);
	s->random_kill.fn = kill_at_random;
	s->random_kill.ctx = s;
	timer_set(&s->random_kill, server_now_ns + (uint64_t)x_clock(X_CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull % 5000000);
	return 0;
}

/* The bits of a fault, or 0, and what is wrong has been said. number: NULL, or of the entry to the kernel
 * at which it is to die, or the seed of the nonsense. */
static uint64_t fault_bits(struct text *t, const char *fault, const char *number)
{
	uint64_t bits = 0, n = 0;
	char *end = NULL;

	for (uint32_t i = 0; i < FAULTS; i++)
		if (!strcmp(faults[i].name, fault))
			bits = faults[i].bit;
	if (number)
		n = strtoul(number, &end, 10);
	if (!bits && strcmp(fault, "random"))
		text_print(t, "inject: `%s` is no fault; there are exit, exception, hang, loop, slow, leak, garbage [SEED], random, "
			   "verify, entry N\n", fault);
	else if (number && bits != RS_CONTROL_ENTRY && bits != RS_CONTROL_GARBAGE)
		text_print(t, "inject: `%s` takes no number\n", fault);
	else if ((number && (*end || *number < '0' || *number > '9' || n > UINT32_MAX)) || (bits == RS_CONTROL_ENTRY && !n))
		text_print(t, bits == RS_CONTROL_ENTRY ? "inject: `entry` wants a number from 1 on: of the system call at which it dies\n" :
			   "inject: the seed of `garbage` is a number\n");
	else
		return bits | n << RS_CONTROL_ENTRY_SHIFT;
	return 0;
}

static int command_inject(struct text *t, struct service *s, const char *fault, const char *number)
{
	uint64_t bits;

	if (!strcmp(fault, "random") && !number)
		return command_inject_random(t, s);
	bits = fault_bits(t, fault, number);
	if (!bits)
		return -X_EINVAL;
	if (bits & (RS_CONTROL_VERIFY | RS_CONTROL_ENTRY) && !s->manifest->warm_log_kib && !s->is_rs) {
		text_print(t, "inject: `%s` is for services restarted warm; %s starts anew\n", fault, s->name);
		return -X_EPERM;
	}
	if (s->is_rs) {
		server_inject(bits);
		return 0;
	}
	if (s->process == X_NO_HANDLE)
		return not_running(t, s);
	s->injected = bits & FAULTS_THAT_END;
	s->verifying |= bits & RS_CONTROL_VERIFY;
	out_signal(s->control, bits);
	return 0;
}

struct action { const char *name; int (*run)(struct text *t, struct service *s); };
static const struct action actions[] = {
	{ "start", command_start }, { "stop", command_stop }, { "restart", command_restart },
};

/* -------------------------------------------------------------------- the line */

static uint32_t split(char *line, char **word)
{
	uint32_t n = 0;

	while (*line) {
		while (*line == ' ' || *line == '\t' || *line == '\n')
			*line++ = '\0';
		if (!*line)
			break;
		if (n == WORDS_MAX)
			return n + 1;
		word[n++] = line;
		while (*line && *line != ' ' && *line != '\t' && *line != '\n')
			line++;
	}
	return n;
}

static int shutting(struct text *t)
{
	text_print(t, "the system is shutting down\n");
	return -X_EBUSY;
}

static int act(struct text *t, const char *verb, struct service *s, const char *arg, const char *number)
{
	if (s->is_rs && strcmp(verb, "inject")) {
		text_print(t, "rs cannot be asked to %s itself\n", verb);
		return -X_EPERM;
	}
	if (!strcmp(verb, "inject"))
		return command_inject(t, s, arg, number);
	for (uint32_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(verb, actions[i].name))
			return actions[i].run(t, s);
	return -X_EINVAL;
}

static bool is_action(const char *verb)
{
	for (uint32_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(verb, actions[i].name))
			return true;
	return !strcmp(verb, "inject");
}

static bool takes(const char *verb, uint32_t words)
{
	return strcmp(verb, "inject") ? words == 2 : words == 3 || words == 4;
}

int command_run(char *line, struct text *t)
{
	char *word[WORDS_MAX] = { 0 };
	uint32_t n = split(line, word);
	struct service *s = NULL;

	if (n >= 1 && n <= WORDS_MAX) {
		bool named = is_action(word[0]) || !strcmp(word[0], "status");

		if (n == 1 && (!strcmp(word[0], "list") || !strcmp(word[0], "status")))
			return command_list(t);
		if (n == 1 && !strcmp(word[0], "figures")) { /* of `svc top` */
			command_figures(t);
			return 0;
		}
		if (n == 1 && !strcmp(word[0], "tree"))
			return command_tree(t);
		if (n <= 2 && !strcmp(word[0], "stats"))
			return command_stats(t, word[1]);
		if (n <= 2 && !strcmp(word[0], "log"))
			return command_log(t, word[1]);
		if (n >= 2 && !strcmp(word[0], "kill"))
			return shutting_down ? shutting(t) : command_kill(t, word + 1, n - 1);
		if (named && n >= 2) {
			s = find(t, word[1]);
			if (!s)
				return -X_ENOENT;
		}
		if (s && n == 2 && !strcmp(word[0], "status"))
			return command_status(t, s);
		if (s && takes(word[0], n))
			return shutting_down ? shutting(t) : act(t, word[0], s, word[2], word[3]);
	}
	text_print(t, "not a command of svc\n");
	return -X_EINVAL;
}
