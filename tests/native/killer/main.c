/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * killer: orders deaths from rs and times, as a client, how long it takes until
 * the victim answers again. Victims are all services that it may use,
 * the first instance of each.
 *
 *   rounds=N          deaths of each victim in each way (20)
 *   ways=WAY,...      kill, cold, exception, exit, hang, loop, or twice: killed again up
 *                     to 3 ms later, on its way back; or together: one or two others, drawn
 *                     by lot, are killed at the same instant (kill)
 *   seed=N            of the lots (1)
 *   spread=yes        one death of each in turn, N times, instead of N of one after the other
 *   pause_ms=N        between an answer and the next order (30: rs has made the next process)
 *   skip=NAME.WAY,... what not to do
 *
 * One order at a time, through the channel of svc(1):
 *
 *   ORDER --rs has it--> ASK --an answer--> time noted, PAUSE --> ORDER ...
 *                         ^ |
 *                         +-+ the call died with the victim: asked again
 *
 * The time is from the order, ahead of the death, to the answer (of the last of them). A call that no
 * service knows is asked: its error is the answer of the victim's loop. At the end
 * results go to the log, "NAME WAY: N deaths, median M us, worst W us", and it exits
 * with 0: `dead`, where its manifest says `restart never`.
 */
#include "lib/c/stdio.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "lib/ipc/file.h"
#include "lib/ipc/server.h"
#include "proto/dev.h"
#include "proto/file.h"

#define UNKNOWN_OP 0x7ffeu
#define START_NS 3000000000ull /* of the system's life: all is up, programs run */
#define PAUSE_MS 30u
#define TWICE_NS    3000000ull
#define ROUNDS_MAX 2000u
#define CASES_MAX  128u
#define REFUSED_MAX 1000u      /* orders in a row: "it is not running yet" */

static struct death_case {
	const char *victim;
	x_handle_t port;
	char way[12];
	uint32_t *us;          /* of each death */
	uint32_t deaths, lost; /* lost: calls that died with it */
} cases[CASES_MAX];
static uint32_t case_count, current, rounds = 20, refused;
static uint32_t others[2], other_count, unanswered; /* killed at the same instant; answers yet to come */
static uint64_t lots = 1;
static bool spread;
static x_handle_t channel;
static char order_text[80];
static uint64_t ordered_ns, pause_ns;
static bool second;            /* of the two deaths of "twice" */
static struct server_timer pause;

static void order(void *ctx);
static void ask(struct death_case *c);

static void sort(uint32_t *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k && v[k - 1] > v[k]; k--) {
			uint32_t swap = v[k];

			v[k] = v[k - 1];
			v[k - 1] = swap;
		}
}

static void report(void)
{
	for (uint32_t i = 0; i < case_count; i++) {
		struct death_case *c = &cases[i];

		sort(c->us, c->deaths);
		server_log("%s %s: %u deaths, median %u us, worst %u us, %u calls lost", c->victim, c->way, c->deaths,
			   c->us[c->deaths / 2], c->us[c->deaths - 1], c->lost);
	}
	server_exit();
}

/* The next case's turn; false: all is done. */
static bool advance(void)
{
	if (spread) {
		current = (current + 1) % case_count;
		return cases[current].deaths < rounds;
	}
	current += cases[current].deaths == rounds;
	return current < case_count;
}

static void answered(void *ctx, const struct x_in *reply)
{
	struct death_case *c = ctx;

	if (reply->msg.status == -X_EDEAD || reply->msg.status == -X_EIO) {
		c->lost++;
		ask(c);
		return;
	}
	if (--unanswered)
		return;
	c = &cases[current];
	c->us[c->deaths++] = ((uint64_t)x_clock(X_CLOCK_MONOTONIC) - ordered_ns) / 1000;
	if (advance())
		timer_set(&pause, server_now_ns + pause_ns);
	else
		report();
}

static void ask(struct death_case *c)
{
	out_start(c->port, answered, c, NULL)->msg.op = UNKNOWN_OP;
}

static uint32_t draw(uint32_t most)
{
	lots = lots * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(lots >> 33) % most;
}

/* Different ones, if there are as many. */
static void draw_others(void)
{
	other_count = case_count > 2 ? 1 + draw(2) : 0;
	for (uint32_t i = 0; i < other_count; i++)
		do
			others[i] = draw(case_count);
		while (others[i] == current || (i && others[i] == others[0]));
}

/* The order was obeyed. */
static void go_on(void)
{
	bool twice = !strcmp(cases[current].way, "twice");

	refused = 0;
	if (twice && !second) {
		second = true;
		timer_set(&pause, server_now_ns + server_now_ns * 0x9e3779b97f4a7c15ull % TWICE_NS);
		return;
	}
	second = false;
	unanswered = 1 + other_count;
	ask(&cases[current]);
	for (uint32_t i = 0; i < other_count; i++)
		ask(&cases[others[i]]);
}

static void taken(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	if (reply->msg.status >= 0 || (second && reply->msg.status == -X_ESRCH)) {
		go_on();
	} else if (refused++ < REFUSED_MAX) {
		timer_set(&pause, server_now_ns + pause_ns);
	} else {
		server_die("`%s` is refused: status %d", order_text, reply->msg.status);
	}
}

static void order(void *ctx)
{
	const struct death_case *c = &cases[current];
	bool twice = !strcmp(c->way, "twice"), cold = !strcmp(c->way, "cold");
	bool together = !strcmp(c->way, "together"), kill = twice || cold || together || !strcmp(c->way, "kill");
	struct x_out *o;

	(void)ctx;
	if (together && !refused)
		draw_others();
	snprintf(order_text, sizeof(order_text), "%s %s %s %s %s", kill ? "kill" : "inject", c->victim,
		 other_count > 0 ? cases[others[0]].victim : "", other_count > 1 ? cases[others[1]].victim : "",
		 kill && !cold ? "" : c->way);
	if (!second)
		ordered_ns = x_clock(X_CLOCK_MONOTONIC);
	o = out_start(channel, taken, NULL, NULL);
	o->msg.op = FILE_WRITE;
	o->win_count = 1;
	o->win[0] = (struct x_window){ (uintptr_t)order_text, strlen(order_text), X_WIN_READ };
}

static void opened(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	if (reply->msg.status < 0 || reply->handle_count != 1)
		server_die("rs does not open its channel: status %d", reply->msg.status);
	channel = in_take(reply, 0);
	timer_set(&pause, server_now_ns > START_NS ? server_now_ns : START_NS);
}

/* ------------------------------------------------------------------- the plan */

/* list: words with commas between. */
static bool is_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list) {
		if (!strncmp(list, word, n) && (list[n] == ',' || !list[n]))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

static void add_case(const struct x_boot_handle *h, const char *way, const char *skip)
{
	struct death_case *c = &cases[case_count];
	char both[40];

	snprintf(both, sizeof(both), "%s.%s", h->name, way);
	if (is_in(skip, both) || is_in(skip, h->name))
		return;
	if (case_count == CASES_MAX)
		server_die("more than %u cases", CASES_MAX);
	c->victim = h->name;
	c->port = h->handle;
	strlcpy(c->way, way, sizeof(c->way));
	c->us = server_memory(rounds * sizeof(c->us[0]));
	case_count++;
}

/* Not further instances: there may be none. */
static bool is_peer(const struct x_boot_handle *h)
{
	return !strchr(h->name, '.') && strcmp(h->name, "port") && strcmp(h->name, "control") && strcmp(h->name, "rs_event");
}

static void plan(void)
{
	static char ways[64] = "kill", skip[256];
	const char *option = boot_option("ways");
	char *way = ways;

	strlcpy(ways, option ? option : "kill", sizeof(ways));
	option = boot_option("skip");
	strlcpy(skip, option ? option : "", sizeof(skip));
	while (way) {
		char *end = strchr(way, ',');

		if (end)
			*end++ = '\0';
		for (uint32_t i = 0; i < boot->handle_count; i++)
			if (is_peer(&boot->handles[i]))
				add_case(&boot->handles[i], way, skip);
		way = end;
	}
}

static const struct server_ops ops = { 0 };

void server_main(void)
{
	const char *option = boot_option("rounds");
	struct x_out *o;

	rounds = option ? strtoul(option, NULL, 10) : rounds;
	if (!rounds || rounds > ROUNDS_MAX)
		server_die("rounds=1 to %u", ROUNDS_MAX);
	spread = boot_option("spread") != NULL;
	option = boot_option("pause_ms");
	pause_ns = (option ? strtoul(option, NULL, 10) : PAUSE_MS) * 1000000ull;
	option = boot_option("seed");
	lots = option ? strtoul(option, NULL, 10) : lots;
	plan();
	if (!case_count)
		server_die("nobody to kill");
	pause.fn = order;
	o = out_start(boot_handle("rs"), opened, NULL, NULL);
	o->msg.op = DEV_OPEN;
	o->msg.a[0] = DEV_SVC;
	o->msg.a[1] = F_O_RDWR;
	server_run(&ops);
}
