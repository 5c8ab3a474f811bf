/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svc top: the services as they work, anew each second: CPU time, calls and switches to them since
 * the last look, memory, restarts. On a terminal it fills the screen, whatever
 * its size is at the moment, and takes keys; else it prints two looks and ends.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "user/svc/svc.h"

#define SERVICES_MAX 64
#define PERIOD_MS    1000

struct row {
	char name[16], state[16];
	unsigned long long cpu_us, memory_kib, restarts, calls, switches; /* since the start of the service or the system */
	unsigned long long cpu_permille, calls_s, switches_s;             /* since the last look */
};

static struct row rows[SERVICES_MAX], before[SERVICES_MAX];
static int row_count, before_count, selected;
static unsigned long long now_us, before_us;
static char order = 'c', message[128];
static char chosen[16]; /* name of the selected one: the order changes */
static struct termios cooked;
static volatile sig_atomic_t ended;

/* ------------------------------------------------------------------ the look */

static const struct row *as_before(const char *name)
{
	for (int i = 0; i < before_count; i++)
		if (!strcmp(before[i].name, name))
			return &before[i];
	return NULL;
}

/* What a counter has grown by; it begins anew with a new process. */
static unsigned long long grown(unsigned long long now, unsigned long long was)
{
	return now >= was ? now - was : now;
}

static void rates(struct row *r)
{
	const struct row *b = as_before(r->name);
	unsigned long long elapsed_us = now_us - before_us;

	if (!b || !elapsed_us)
		return;
	r->cpu_permille = grown(r->cpu_us, b->cpu_us) * 1000 / elapsed_us;
	r->calls_s = grown(r->calls, b->calls) * 1000000 / elapsed_us;
	r->switches_s = grown(r->switches, b->switches) * 1000000 / elapsed_us;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	unsigned long long p = 0, q = 0;

	switch (order) {
	case 'c': p = x->cpu_permille; q = y->cpu_permille; break;
	case 'm': p = x->memory_kib; q = y->memory_kib; break;
	case 'r': p = x->restarts; q = y->restarts; break;
	case 'a': p = x->calls_s; q = y->calls_s; break;
	case 's': p = x->switches_s; q = y->switches_s; break;
	}
	return p != q ? (p < q ? 1 : -1) : strcmp(x->name, y->name);
}

static bool look(void)
{
	static char text[32768];
	char *line, *rest = text;

	memcpy(before, rows, sizeof(rows));
	before_count = row_count;
	before_us = now_us;
	if (svc_ask("figures", text, sizeof(text)) || sscanf(text, "%llu", &now_us) != 1)
		return false;
	row_count = 0;
	strsep(&rest, "\n");
	while (rest && (line = strsep(&rest, "\n")) && *line && row_count < SERVICES_MAX) {
		struct row *r = &rows[row_count];

		memset(r, 0, sizeof(*r));
		if (sscanf(line, "%15s %15s %llu %llu %llu %llu %llu", r->name, r->state, &r->cpu_us, &r->memory_kib,
			   &r->restarts, &r->calls, &r->switches) != 7)
			return false;
		rates(r);
		row_count++;
	}
	qsort(rows, row_count, sizeof(rows[0]), compare);
	return row_count > 0;
}

/* ------------------------------------------------------------------ the screen */

static void print_row(const struct row *r, int width)
{
	char line[160];

	snprintf(line, sizeof(line), "%-15s %-8s %4llu.%llu %8llu %8llu %8llu %8llu %8llu", r->name, r->state,
		 r->cpu_permille / 10, r->cpu_permille % 10, r->calls_s, r->switches_s, r->restarts, r->memory_kib, r->cpu_us / 1000);
	printf("%.*s", width, line);
}

static void print_head(int width)
{
	char line[160];

	snprintf(line, sizeof(line), "%-15s %-8s %6s %8s %8s %8s %8s %8s", "NAME", "STATE", "CPU %", "CALLS/s", "SWITCH/s", "RESTARTS",
		 "MEM KiB", "CPU ms");
	printf("%.*s", width, line);
}

/* Each line is written anew and its rest cleared, so that nothing flickers or stays. */
static void draw(void)
{
	struct winsize w = { 0 };
	int width = 80, height = 24, first = 0, shown;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col && w.ws_row) {
		width = w.ws_col;
		height = w.ws_row;
	}
	for (int i = 0; i < row_count; i++)
		if (!strcmp(rows[i].name, chosen))
			selected = i;
	shown = height > 4 ? height - 4 : 1;
	if (selected >= shown)
		first = selected - shown + 1;
	printf("\033[H%.*s\033[K\r\n", width, "sort: c CPU a calls s switches r restarts m memory n name | j k K kill, q quit");
	print_head(width);
	for (int i = first; i < row_count && i < first + shown; i++) {
		printf("\033[K\r\n%s", i == selected ? "\033[7m" : "");
		print_row(&rows[i], width);
		printf("\033[0m");
	}
	printf("\033[K\r\n\033[J%.*s", width, message);
	fflush(stdout);
}

static void select_row(int by)
{
	selected += by;
	selected = selected < 0 ? 0 : selected >= row_count ? row_count - 1 : selected;
	memcpy(chosen, rows[selected].name, sizeof(chosen));
}

static void kill_selected(void)
{
	char command[64], answer[256] = "";

	snprintf(command, sizeof(command), "kill %s", rows[selected].name);
	if (svc_ask(command, answer, sizeof(answer)))
		snprintf(message, sizeof(message), "%.*s", (int)strcspn(answer, "\n"), answer);
	else
		snprintf(message, sizeof(message), "killed %s", rows[selected].name);
}

/* False: enough. */
static bool key(char c)
{
	if (c == 'q' || c == 3)
		return false;
	if (c && strchr("cmrasn", c)) {
		order = c;
		qsort(rows, row_count, sizeof(rows[0]), compare);
	} else if (c == 'j' || c == 'k') {
		select_row(c == 'j' ? 1 : -1);
	} else if (c == 'K') {
		kill_selected();
	}
	return true;
}

/* Keys until the next look is due. A resize ends the wait: poll is interrupted. */
static bool wait_for_keys(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	if (poll(&p, 1, PERIOD_MS) <= 0)
		return true;
	return read(STDIN_FILENO, &c, 1) == 1 && key(c);
}

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void resized(int signal)
{
	(void)signal;
}

static int on_terminal(void)
{
	struct sigaction on_end = { .sa_handler = end }, on_resize = { .sa_handler = resized };
	struct termios raw;
	bool fine = true;

	sigaction(SIGINT, &on_end, NULL);
	sigaction(SIGTERM, &on_end, NULL);
	sigaction(SIGWINCH, &on_resize, NULL);
	tcgetattr(STDIN_FILENO, &cooked);
	raw = cooked;
	raw.c_lflag &= ~(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	printf("\033[2J\033[?25l");
	do {
		fine = look();
		if (fine)
			draw();
	} while (fine && !ended && wait_for_keys());
	printf("\033[?25h\r\n");
	tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
	return fine ? 0 : 1;
}

int svc_top(void)
{
	if (!look())
		return 1;
	select_row(0);
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return on_terminal();
	usleep(PERIOD_MS * 1000);
	if (!look())
		return 1;
	print_head(80);
	printf("\n");
	for (int i = 0; i < row_count; i++) {
		print_row(&rows[i], 80);
		printf("\n");
	}
	return 0;
}
