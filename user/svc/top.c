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

#define PERIOD_MS 1000

struct row {
	struct figures is;
	unsigned long long cpu_permille, calls_s, switches_s; /* since the last look */
};

static struct row rows[SERVICES_MAX];
static struct figures last[SERVICES_MAX];
static int row_count, last_count, selected;
static unsigned long long now_us;
static char order = 'c', message[128];
static char chosen[16]; /* name of the selected one: the order changes */
static struct termios cooked;
static volatile sig_atomic_t ended;

/* ------------------------------------------------------------------ the look */

static void rates(struct row *r, unsigned long long elapsed_us)
{
	const struct figures *was = svc_find(last, last_count, r->is.name);

	if (!was || !elapsed_us)
		return;
	r->cpu_permille = grown(r->is.cpu_us, was->cpu_us) * 1000 / elapsed_us;
	r->calls_s = grown(r->is.calls, was->calls) * 1000000 / elapsed_us;
	r->switches_s = grown(r->is.switches, was->switches) * 1000000 / elapsed_us;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	unsigned long long p = 0, q = 0;

	switch (order) {
	case 'c': p = x->cpu_permille; q = y->cpu_permille; break;
	case 'm': p = x->is.memory_kib; q = y->is.memory_kib; break;
	case 'r': p = x->is.restarts; q = y->is.restarts; break;
	case 'a': p = x->calls_s; q = y->calls_s; break;
	case 's': p = x->switches_s; q = y->switches_s; break;
	}
	return p != q ? (p < q ? 1 : -1) : strcmp(x->is.name, y->is.name);
}

static bool look(void)
{
	static struct figures now[SERVICES_MAX];
	unsigned long long before_us = now_us;
	int count = svc_figures(now, &now_us);

	for (int i = 0; i < count; i++) {
		rows[i] = (struct row){ .is = now[i] };
		rates(&rows[i], now_us - before_us);
	}
	row_count = count > 0 ? count : 0;
	last_count = row_count;
	memcpy(last, now, sizeof(last));
	qsort(rows, row_count, sizeof(rows[0]), compare);
	return row_count > 0;
}

/* ------------------------------------------------------------------ the screen */

static void print_row(const struct row *r, int width)
{
	char line[160];

	snprintf(line, sizeof(line), "%-15s %-8s %4llu.%llu %8llu %8llu %8llu %8llu %8llu", r->is.name, r->is.state,
		 r->cpu_permille / 10, r->cpu_permille % 10, r->calls_s, r->switches_s, r->is.restarts, r->is.memory_kib, r->is.cpu_us / 1000);
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
		if (!strcmp(rows[i].is.name, chosen))
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
	memcpy(chosen, rows[selected].is.name, sizeof(chosen));
}

static void kill_selected(void)
{
	char command[64], answer[256] = "";

	snprintf(command, sizeof(command), "kill %s", rows[selected].is.name);
	if (svc_ask(command, answer, sizeof(answer)))
		snprintf(message, sizeof(message), "%.*s", (int)strcspn(answer, "\n"), answer);
	else
		snprintf(message, sizeof(message), "killed %s", rows[selected].is.name);
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
