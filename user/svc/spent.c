/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svc spent COMMAND: what the system did while a command ran, and by whom: all counters there
 * are before it and after, in /dev/svc (services), /proc/xinim/kernel, /proc/xinim/block and
 * /proc/net/dev. Whatever else runs meanwhile is in it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "user/svc/svc.h"

#define DEVICES_MAX 32
#define MIB         (1ull << 20)

struct device { /* a disk or an interface */
	char name[16];
	unsigned long long in, in_bytes, out, out_bytes, kicks; /* kicks: writes to its registers that start it; of disks */
	int is_disk;
};

struct look {
	struct figures services[SERVICES_MAX];
	struct device devices[DEVICES_MAX];
	int service_count, device_count;
	unsigned long long now_us, idle_ms, switches, wakeups, moved_kib, lock_waits, lock_wait_us;
};

static struct look before, after;

static void look_kernel(struct look *l)
{
	const struct { const char *name; unsigned long long *to; } wanted[] = {
		{ "idle_ms", &l->idle_ms }, { "switches", &l->switches }, { "wakeups", &l->wakeups },
		{ "moved_kib", &l->moved_kib }, { "lock_waits", &l->lock_waits }, { "lock_wait_us", &l->lock_wait_us },
	};
	FILE *f = fopen("/proc/xinim/kernel", "r");
	char name[32];
	unsigned long long value;

	while (f && fscanf(f, "%31s %llu", name, &value) == 2)
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (!strcmp(wanted[i].name, name))
				*wanted[i].to = value;
	if (f)
		fclose(f);
}

static struct device *add_device(struct look *l, const char *name, int is_disk)
{
	struct device *d = &l->devices[l->device_count < DEVICES_MAX - 1 ? l->device_count++ : DEVICES_MAX - 1];

	*d = (struct device){ .is_disk = is_disk };
	snprintf(d->name, sizeof(d->name), "%s", name);
	return d;
}

/* A disk's lines begin with its name alone (docs/storage.md). */
static void look_disks(struct look *l)
{
	FILE *f = fopen("/proc/xinim/block", "r");
	struct device *d = NULL;
	char line[256], name[16], more[2];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%15s %1s", name, more) == 1)
			d = add_device(l, name, 1);
		else if (d && sscanf(line, "read %llu operations %llu", &d->in, &d->in_bytes) != 2 &&
			 sscanf(line, "write %llu operations %llu", &d->out, &d->out_bytes) != 2)
			sscanf(line, "driver %*u rounds %llu", &d->kicks);
	}
	if (f)
		fclose(f);
}

static void look_interfaces(struct look *l)
{
	FILE *f = fopen("/proc/net/dev", "r");
	struct device n;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %15[^: ]: %llu %llu %*u %*u %*u %*u %*u %*u %llu %llu", n.name, &n.in_bytes, &n.in,
			   &n.out_bytes, &n.out) == 5) {
			struct device *d = add_device(l, n.name, 0);

			d->in = n.in, d->in_bytes = n.in_bytes, d->out = n.out, d->out_bytes = n.out_bytes;
		}
	}
	if (f)
		fclose(f);
}

static int look(struct look *l)
{
	look_kernel(l);
	look_disks(l);
	look_interfaces(l);
	l->service_count = svc_figures(l->services, &l->now_us);
	return l->service_count < 0 ? -1 : 0;
}

/* What is told of one: in all, and for each MiB that devices moved if there was one. */
static void print_line(const char *name, unsigned long long cpu_us, unsigned long long calls, unsigned long long switches,
		       unsigned long long bytes)
{
	printf("%-15s %8llu.%llu %9llu %9llu", name, cpu_us / 1000, cpu_us / 100 % 10, calls, switches);
	if (bytes >= MIB)
		printf(" %10.1f %9.2f %9.2f", cpu_us * (double)MIB / bytes, calls * (double)MIB / bytes, switches * (double)MIB / bytes);
	printf("\n");
}

static unsigned long long print_devices(void)
{
	unsigned long long bytes = 0;

	for (struct device *d = after.devices; d < after.devices + after.device_count; d++) {
		struct device was = { 0 };

		for (int i = 0; i < before.device_count; i++)
			if (!strcmp(before.devices[i].name, d->name))
				was = before.devices[i];
		d->in = grown(d->in, was.in), d->in_bytes = grown(d->in_bytes, was.in_bytes);
		d->out = grown(d->out, was.out), d->out_bytes = grown(d->out_bytes, was.out_bytes);
		if (!d->in && !d->out)
			continue;
		bytes += d->in_bytes + d->out_bytes;
		printf("%s: %s %llu %s, %llu bytes; %s %llu, %llu bytes", d->name, d->is_disk ? "read" : "in", d->in,
		       d->is_disk ? "requests" : "packets", d->in_bytes, d->is_disk ? "written" : "out", d->out, d->out_bytes);
		if (d->is_disk)
			printf("; %llu starts of the device", grown(d->kicks, was.kicks));
		printf("\n");
	}
	return bytes;
}

static void report(void)
{
	unsigned long long bytes, elapsed_us = after.now_us - before.now_us;
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	printf("%llu.%03llu s, of which CPUs were idle %llu ms in all; %llu switches of process, %llu wake-ups of another CPU\n",
	       elapsed_us / 1000000, elapsed_us / 1000 % 1000, after.idle_ms - before.idle_ms, after.switches - before.switches,
	       after.wakeups - before.wakeups);
	printf("%llu KiB copied or cleared in pieces of 1 KiB or more; the kernel's lock was waited for %llu times, %llu us in all\n",
	       after.moved_kib - before.moved_kib, after.lock_waits - before.lock_waits, after.lock_wait_us - before.lock_wait_us);
	bytes = print_devices();
	printf("%-15s %10s %9s %9s%s\n", "NAME", "CPU ms", "CALLS", "SWITCHES",
	       bytes >= MIB ? " CPU us/MiB CALLS/MiB  SWITCH/MiB" : "");
	print_line("(the command)", used.ru_utime.tv_sec * 1000000ull + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1000000ull +
		   used.ru_stime.tv_usec, 0, 0, bytes);
	for (const struct figures *f = after.services; f < after.services + after.service_count; f++) {
		const struct figures none = { 0 }, *was = svc_find(before.services, before.service_count, f->name);
		unsigned long long switches, cpu_us;

		was = was ? was : &none;
		switches = grown(f->switches, was->switches);
		cpu_us = grown(f->cpu_us, was->cpu_us);
		if (switches || cpu_us >= 100)
			print_line(f->name, cpu_us, grown(f->calls, was->calls), switches, bytes);
	}
}

int svc_spent(char **command)
{
	int status = 0;
	pid_t child;

	if (look(&before)) {
		fputs("svc: /dev/svc does not answer\n", stderr);
		return 1;
	}
	child = fork();
	if (child == 0) {
		execvp(command[0], command);
		fprintf(stderr, "svc: %s: %s\n", command[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	signal(SIGINT, SIG_IGN); /* it is for the command */
	signal(SIGQUIT, SIG_IGN);
	if (child < 0 || waitpid(child, &status, 0) != child || look(&after)) {
		fprintf(stderr, "svc: %s\n", strerror(errno));
		return 1;
	}
	fflush(stdout);
	report();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
