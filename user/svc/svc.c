/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svc: looks at and controls the system's services. A plain Linux program:
 * it writes a command to /dev/svc and prints what it reads back (docs/svc.md).
 *
 * Exit status: 0 done, 1 failed, 2 used wrongly, 3 no such service.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "user/svc/svc.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NO_SERVICE };

struct verb { const char *name; int min_args, max_args; const char *help; };
static const struct verb verbs[] = {
	{ "list", 0, 0, "svc list                    all services and their states\n" },
	{ "status", 0, 1, "svc status [NAME]           one service in detail\n" },
	{ "tree", 0, 0, "svc tree                    who needs and uses whom\n" },
	{ "stats", 0, 1, "svc stats [--json]          crashes, outages, memory and CPU of each\n" },
	{ "top", 0, 0, "svc top                     the same, live: keys to sort and to kill\n" },
	{ "spent", 1, 1000, "svc spent COMMAND [ARG...]  run it, and tell what it cost: CPU time, calls, switches,\n"
	  "                                   wake-ups, bytes copied, of each service and in all\n" },
	{ "start", 1, 1, "svc start NAME              what is dead or has failed\n" },
	{ "stop", 1, 1, "svc stop NAME               ask it to end; it is not started again\n" },
	{ "restart", 1, 1, "svc restart NAME            ask it to end, and start it again\n" },
	{ "kill", 1, 5, "svc kill NAME... [cold]     end their processes, up to five at the same instant;\n"
	  "                                   they are restarted at once, with their state unless `cold`\n" },
	{ "inject", 2, 3, "svc inject NAME FAULT       make it fail, to see it recover; FAULT is one of\n"
	  "                                   exit, exception, hang (waits), loop (spins),\n"
	  "                                   random (killed at some instant), slow (20 ms an item),\n"
	  "                                   leak (1 MiB), garbage [SEED] (answers of nonsense);\n"
	  "                                   if restarted warm: verify (its undo log, at each commit),\n"
	  "                                   entry N (dies at the Nth system call from now)\n" },
	{ "log", 0, 1, "svc log [-k | N]            what happened to services (the last N events);\n"
	  "                                   -k: the kernel's log\n" },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_usage(FILE *out)
{
	for (size_t i = 0; i < VERBS; i++)
		fprintf(out, "%s%s", i ? "       " : "usage: ", verbs[i].help);
	fputs("       svc [COMMAND] --help\nExit status: 0 done, 1 failed, 2 used wrongly, 3 no such service.\n", out);
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* One word stays one word: no blanks or line ends inside. */
static int append(char *line, size_t size, const char *word)
{
	size_t n = strlen(line);

	if (!word[0] || strpbrk(word, " \t\n"))
		return -1;
	return snprintf(line + n, size - n, "%s%s", n ? " " : "", word) < (int)(size - n) ? 0 : -1;
}

static int wrong_word(const char *word)
{
	fprintf(stderr, "svc: `%.60s` cannot be a name, number or option: %s\n", word, !word[0] ? "it is empty" :
		strpbrk(word, " \t\n") ? "there are blanks in it" : "the command gets too long");
	return EXIT_USAGE;
}

static void print_result(int fd, FILE *out)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, out);
	if (n < 0)
		fprintf(stderr, "svc: reading the result: %s\n", strerror(errno));
}

int svc_ask(const char *command, char *result, size_t size)
{
	int fd = open("/dev/svc", O_RDWR | O_CLOEXEC), error = 0;
	size_t length = 0;
	ssize_t n;

	if (fd < 0)
		return errno;
	if (write(fd, command, strlen(command)) < 0)
		error = errno;
	while (length + 1 < size && (n = read(fd, result + length, size - 1 - length)) > 0)
		length += n;
	result[length] = '\0';
	close(fd);
	return error;
}

int svc_figures(struct figures list[SERVICES_MAX], unsigned long long *now_us)
{
	static char text[32768];
	char *line, *rest = text;
	int count = 0;

	if (svc_ask("figures", text, sizeof(text)) || sscanf(text, "%llu", now_us) != 1)
		return -1;
	strsep(&rest, "\n");
	for (; rest && (line = strsep(&rest, "\n")) && *line && count < SERVICES_MAX; count++) {
		struct figures *f = &list[count];

		if (sscanf(line, "%15s %15s %llu %llu %llu %llu %llu", f->name, f->state, &f->cpu_us, &f->memory_kib,
			   &f->restarts, &f->calls, &f->switches) != 7)
			return -1;
	}
	return count;
}

const struct figures *svc_find(const struct figures *list, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

static int run(const char *line)
{
	int fd = open("/dev/svc", O_RDWR | O_CLOEXEC), error = 0;

	if (fd < 0) {
		fprintf(stderr, "svc: /dev/svc: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (write(fd, line, strlen(line)) < 0) {
		error = errno;
		fputs("svc: ", stderr);
		fflush(stderr);
	}
	print_result(fd, error ? stderr : stdout);
	close(fd);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "svc: cannot write the result: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return !error ? EXIT_DONE : error == ENOENT ? EXIT_NO_SERVICE :
	       error == EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const struct verb *v;
	char line[200] = "";

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1]) || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	v = find_verb(argv[1]);
	if (!v) {
		fprintf(stderr, "svc: no such command: %s (`svc --help` lists them)\n", argv[1]);
		return EXIT_USAGE;
	}
	if (argc > 2 && is_help(argv[!strcmp(argv[1], "spent") ? 2 : argc - 1])) {
		printf("usage: %s", v->help);
		return EXIT_DONE;
	}
	if (argc - 2 < v->min_args || argc - 2 > v->max_args) {
		fprintf(stderr, "svc: too %s arguments\nusage: %s", argc - 2 < v->min_args ? "few" : "many", v->help);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "top")) {
		int status = svc_top();

		if (status)
			fputs("svc: /dev/svc does not answer\n", stderr);
		return status;
	}
	if (!strcmp(argv[1], "spent"))
		return svc_spent(argv + 2);
	for (int i = 1; i < argc; i++) {
		const char *word = !strcmp(argv[1], "log") && !strcmp(argv[i], "-k") ? "kernel" : argv[i];

		if (append(line, sizeof(line), word))
			return wrong_word(argv[i]);
	}
	return run(line);
}
