/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first Linux process: once vfs and pm are ready and vfs says that the
 * root filesystem is mounted, pm is asked to start it (/bin/busybox as init,
 * or what init= on the kernel's command line names).
 *
 *   WAITING --vfs, pm ready--> ROOT --mounted--> SPAWN --> DONE
 *     ^                         |                  |         |
 *     +-------------------------|---- pm or vfs dies ----------+
 *                               |                  |
 *                               +---- error -------+--> FAILED: safe mode (safe.c), until `boot`
 */
#include "lib/c/error.h"
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "proto/dev.h"
#include "proto/pm.h"
#include "proto/vfs.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define RETRY_NS      100000000ull
#define SLOW_NS     30000000000ull
#define TRIES         20u

static enum init_state { INIT_WAITING, INIT_ROOT, INIT_SPAWN, INIT_DONE, INIT_FAILED } state;
static uint32_t tries;
static struct server_timer timer;
static char path[256] = "/bin/busybox", argv[256] = "init";
#define AGAIN "XINIM_AGAIN=1" /* told to all but the first init */
static const char envp[] = "HOME=/root\0PATH=/sbin:/usr/sbin:/bin:/usr/bin\0TERM=vt100\0" AGAIN;
#define ENV_COUNT 3u          /* and AGAIN */
static bool again;

/* ---------------------------------------------------- a message to the user */

static char message[256];
static x_handle_t console = X_NO_HANDLE;

static void console_written(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	(void)reply;
	out_close(console);
	console = X_NO_HANDLE;
}

static void console_opened(void *ctx, const struct x_in *reply)
{
	struct x_out *o;

	(void)ctx;
	if (reply->msg.status < 0 || reply->handle_count != 1)
		return; /* the kernel log has the message too */
	console = in_take(reply, 0);
	o = out_start(console, console_written, NULL, NULL);
	o->msg.op = FILE_WRITE;
	o->win_count = 1;
	o->win[0] = (struct x_window){ (uintptr_t)message, strlen(message), X_WIN_READ };
}

static void tell_user(void)
{
	struct service *tty = service_find("tty");
	struct x_out *o;

	if (!tty)
		return;
	o = out_start(tty->port, console_opened, NULL, NULL);
	o->msg.op = DEV_OPEN;
	o->msg.a[0] = DEV_CONSOLE;
	o->msg.a[1] = F_O_WRONLY | F_O_NOCTTY;
}

static const char root_advice[] =
	"XINIM: Give it a disk with a MINIX filesystem (`make` builds build/xinim.img);\n"
	"XINIM: root=N on the kernel command line takes partition N. The log above says more.\n";
static const char service_advice[] =
	"XINIM: The log above says more; init=PATH on the kernel command line names another program.\n";

/* Or was stopped: in any case it does not come back by itself. */
static bool has_failed(const struct service *s)
{
	return !s || s->state == SERVICE_FAILED || (s->state == SERVICE_DEAD && !s->wanted);
}

/* The failed services say why: no disk, no filesystem on it, ... */
static void give_up(const char *what, int64_t error, const char *advice)
{
	static char why[768];
	struct service *vfs = service_find("vfs"), *pm = service_find("pm");
	size_t n = snprintf(why, sizeof(why), "\nXINIM: %s: %s\n", what, x_error_text(error));
	size_t room = sizeof(why) - strlen(advice);

	state = INIT_FAILED;
	timer_clear(&timer);
	event_announce("init", "%s: %s", what, x_error_text(error));
	for (struct service *s = services; s < services + service_count && n < room; s++)
		if (s->state == SERVICE_FAILED || ((s == vfs || s == pm) && has_failed(s)))
			n += snprintf(why + n, room - n, "XINIM:   %s: %s\n", s->name, s->why);
	strlcpy(why + (n < room ? n : room - 1), advice, strlen(advice) + 1);
	safe_begin(why);
}

/* ------------------------------------------------------------------ the steps */

static void try_later(void)
{
	state = INIT_WAITING;
	timer_set(&timer, server_now_ns + RETRY_NS);
}

/* The console is the programs' from the first one's first instruction; the log is read by `svc log -k`. */
static void mirror_log(bool to_console)
{
	x_system(boot_handle("resource"), X_SYS_LOG_MIRROR, to_console);
}

static void spawned(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	if (reply->msg.status == -X_EDEAD && tries++ < TRIES) {
		try_later();
	} else if (reply->msg.status < 0) {
		char what[300];

		snprintf(what, sizeof(what), "cannot start %s", path);
		mirror_log(true);
		give_up(what, reply->msg.status, service_advice);
	} else {
		state = INIT_DONE;
		timer_clear(&timer);
	}
}

static void spawn_init_process(struct service *pm)
{
	struct x_out *o = out_start(pm->port, spawned, NULL, NULL);

	state = INIT_SPAWN;
	event_announce("init", "starting %s", path);
	mirror_log(false);
	o->msg.op = PMCTL_SPAWN;
	o->msg.a[0] = 1;
	o->msg.a[1] = ENV_COUNT + again;
	o->win_count = 3;
	o->win[0] = (struct x_window){ (uintptr_t)path, strlen(path), X_WIN_READ };
	o->win[1] = (struct x_window){ (uintptr_t)argv, strlen(argv) + 1, X_WIN_READ };
	o->win[2] = (struct x_window){ (uintptr_t)envp, sizeof(envp) - (again ? 0 : sizeof(AGAIN)), X_WIN_READ };
}

static void root_answered(void *ctx, const struct x_in *reply)
{
	int32_t status = reply->msg.status;

	(void)ctx;
	if (status == -X_EDEAD && tries++ < TRIES)
		try_later();
	else if (status < 0)
		give_up("no root filesystem", status, root_advice);
	else
		spawn_init_process(service_find("pm"));
}

static void ask_root(struct service *vfs)
{
	struct x_out *o = out_start(vfs->port, root_answered, NULL, NULL);

	state = INIT_ROOT;
	o->msg.op = VFSCTL_READY;
	timer_set(&timer, server_now_ns + SLOW_NS);
}

static void timer_expired(void *ctx)
{
	(void)ctx;
	if (state == INIT_WAITING) {
		init_check();
		return;
	}
	event_announce("init", "still waiting for %s", state == INIT_ROOT ? "the root filesystem" : "pm");
	timer_set(&timer, server_now_ns + SLOW_NS);
}

static void read_options(void)
{
	const char *option = boot_option("init");

	if (!option || !option[0])
		return;
	strlcpy(path, option, sizeof(path));
	strlcpy(argv, option, sizeof(argv));
}

/*
 * vfs and pm restart cold: with pm's processes and vfs's sessions gone no
 * program can go on. The kernel ends the programs together with pm; they begin
 * anew with another init.
 */
void init_on_death(const struct service *s)
{
	struct service *vfs = service_find("vfs"), *pm = service_find("pm");

	if (state != INIT_DONE || shutting_down || (s != vfs && s != pm))
		return;
	event_announce("init", "%s died: all programs end, init starts again", s->name);
	if (!has_failed(s)) {
		snprintf(message, sizeof(message), "\nXINIM: %s died (%s: %s); all programs end, init starts again\n",
			 s->name, cause_name(s->last_cause), s->last_text);
		tell_user();
	}
	again = true;
	tries = 0;
	try_later();
	if (s != vfs)
		return;
	if (pm)
		service_kill(pm, CAUSE_DEPENDENCY);
	/* What was mounted beside the boot's filesystems. */
	for (uint32_t i = 0; i < service_count; i++)
		if (services[i].instance && services[i].manifest->instances && services[i].wanted)
			service_stop(&services[i], STOP_FOR_GOOD);
}

void init_check(void)
{
	struct service *vfs = service_find("vfs"), *pm = service_find("pm");

	if (state != INIT_WAITING || shutting_down)
		return;
	timer.fn = timer_expired;
	if (has_failed(vfs) || has_failed(pm)) {
		give_up(has_failed(vfs) ? "vfs is not there" : "pm is not there", -X_ENODEV, service_advice);
		return;
	}
	if (vfs->state != SERVICE_RUNNING || pm->state != SERVICE_RUNNING)
		return;
	read_options();
	ask_root(vfs);
}

void init_again(void)
{
	state = INIT_WAITING;
	tries = 0;
	init_check();
}
