/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rs over a kernel and services played by the test, with a time of its own:
 * order of start, restart, hangs, back-off, giving up, stop, switching off.
 */
// sources: servers/rs/archive.c servers/rs/budget.c servers/rs/claim.c servers/rs/complaint.c servers/rs/command.c servers/rs/elf.c servers/rs/events.c
// sources: servers/rs/graph.c servers/rs/heartbeat.c servers/rs/init.c servers/rs/manifest_parser.c
// sources: servers/rs/outage.c servers/rs/policy.c servers/rs/poweroff.c servers/rs/safe.c servers/rs/self.c servers/rs/service.c
// sources: servers/rs/spawn.c servers/rs/stats.c servers/rs/supervise.c servers/rs/svcdev.c servers/rs/symbols.c servers/rs/undertaker.c
// sources: lib/ipc/boot.c lib/ipc/outbox.c lib/ipc/spoil.c lib/ipc/bind.c lib/ipc/timer.c lib/ipc/window.c lib/ipc/log.c
// sources: lib/ipc/control.c lib/ipc/server.c lib/ipc/warm.c lib/ipc/memory.c lib/region/log.c lib/c/strlcpy.c lib/c/crc32.c lib/c/error.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "lib/ipc/internal.h"
#include "proto/devmgr.h"
#include "proto/pm.h"
#include "proto/vfs.h"
#include "servers/rs/command.h"
#include "servers/rs/main.c"

#define MS 1000000ull
#define HANDLES 8192u

/* ---------------------------------------------------------- the fake machine */

struct fake_process {
	char name[16];
	uint32_t handle, event, control;
	bool alive;
	struct x_proc_info info;
};

static struct x_boot_page page;
static union { unsigned char bytes[64 * 4096]; struct archive_header h; } file;
static struct fake_process processes[1000];
static uint32_t process_count, next_handle, last_events[2];
static uint64_t cookies[HANDLES];
static struct x_in queue[64];
static uint32_t queued, port_resets, revokes, devices;
static uint64_t now, stop_at, iteration_ns[HANDLES];
static uint64_t lateness_ns; /* of timers */
static bool mute[64], stubborn, pings_ignored; /* mute: by service index, never ready */
static bool served; /* ports are delivered much, not just a tick a second */
static uint64_t starved_ns; /* from when on all want to run, and do not */
static char console[65536], halted[16], order[8192];
static jmp_buf out_of_loop;
static uint32_t root_error, undertaken;

static struct fake_process *process_of(uint32_t handle)
{
	for (uint32_t i = process_count; i--;)
		if (processes[i].handle == handle)
			return &processes[i];
	fail_msg("no process %u", handle);
	return NULL;
}

static struct fake_process *current_of(const char *name)
{
	return process_of(service_find(name)->process);
}

static void post(uint64_t cookie, uint32_t kind, uint64_t a0)
{
	struct x_in *in = &queue[queued++];

	assert_true(queued < 64);
	memset(in, 0, sizeof(*in));
	in->kind = kind;
	in->id = cookie;
	in->msg.a[0] = a0;
}

static void die(struct fake_process *p, uint32_t death, int status)
{
	if (!p->alive)
		return;
	p->alive = false;
	p->info.death = death;
	p->info.status = status;
	p->info.death_ns = now;
	post(cookies[p->handle], X_IN_EVENT, 1);
}

static void signalled(const struct x_out *o)
{
	for (uint32_t i = 0; i < process_count; i++) {
		struct fake_process *p = &processes[i];

		if (p->control != o->target || !p->alive)
			continue;
		if ((o->value & RS_CONTROL_STOP) && !stubborn) {
			strcat(strcat(order, "-"), p->name);
			die(p, X_DEATH_EXIT, 0);
		}
		if (o->value & RS_CONTROL_EXIT)
			die(p, X_DEATH_EXIT, 1);
	}
}

static bool waits;       /* services: in an iteration, and not at their ports */
static bool nonsense;    /* ... answer nonsense, as does rs itself */
static uint32_t self_kills;

/* Calls that rs makes. */
static void started(const struct x_out *o)
{
	if (o->msg.op == RS_PROBE && pings_ignored && o->target != server_port)
		return;
	post(o->id, X_IN_REPLY, 0);
	switch (o->msg.op) {
	case DEVMGR_CLAIM:
		assert_memory_equal((const char *)o->win[0].addr, "pci:1:2", o->win[0].len);
		if (o->msg.a[0] >= devices) {
			queue[queued - 1].msg.status = -X_ENODEV;
		} else {
			queue[queued - 1].handle_count = 1;
			queue[queued - 1].handles[0] = next_handle++;
		}
		break;
	case VFSCTL_READY:
		queue[queued - 1].msg.status = -(int32_t)root_error;
		break;
	case RS_PROBE:
		queue[queued - 1].msg.a[0] = nonsense ? 12345 : ~o->msg.a[0];
		break;
	case PMCTL_SPAWN:
		strcat(order, "+init");
		assert_memory_equal((const char *)o->win[0].addr, "/bin/busybox", o->win[0].len);
		break;
	}
}

static int64_t fake_commit(uint32_t port, struct x_commit *c)
{
	const struct x_out *out = (const struct x_out *)c->out;
	uint32_t n;

	c->now_ns = now;
	if (port != server_port) { /* the undertaker */
		undertaken += c->out_count;
		return 0;
	}
	for (uint32_t i = 0; i < c->out_count; i++) {
		if (out[i].kind == X_OUT_SIGNAL)
			signalled(&out[i]);
		if (out[i].kind == X_OUT_START)
			started(&out[i]);
		if (out[i].kind == X_OUT_DO)
			x_syscall6(out[i].id, out[i].msg.a[0], out[i].msg.a[1], out[i].msg.a[2], out[i].msg.a[3],
				   out[i].msg.a[4], 0);
	}
	outbox_forget();
	if (!queued) {
		uint64_t until = c->deadline_ns < stop_at ? c->deadline_ns : stop_at;

		if (now < until)
			now = until + lateness_ns;
		if (now >= stop_at)
			longjmp(out_of_loop, 1);
	}
	n = queued;
	memcpy((void *)c->in, queue, n * sizeof(queue[0]));
	queued = 0;
	now += 1000;
	c->now_ns = now;
	return n;
}

static void granted(struct fake_process *p, uint32_t handle)
{
	if (handle == last_events[0])
		p->control = handle;
	if (handle == last_events[1])
		p->event = handle;
}

static int64_t fake_thread_create(const struct x_thread_create *t)
{
	struct fake_process *p = process_of(t->process);

	assert_int_equal(t->entry, 0x400000);
	p->alive = true;
	strcat(strcat(order, "+"), p->name);
	now += 5 * MS; /* making a process takes its time */
	if (!mute[service_find(p->name) - services])
		post(cookies[p->event], X_IN_EVENT, RS_EVENT_READY);
	return 1;
}

int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	switch (n) {
	case X_SYS_commit_receive: return fake_commit(a, (struct x_commit *)b);
	case X_SYS_clock: return now;
	case X_SYS_port_create: return next_handle++;
	case X_SYS_event_create:
		last_events[0] = last_events[1];
		return last_events[1] = next_handle++;
	case X_SYS_proc_create:
		processes[process_count] = (struct fake_process){ .handle = next_handle++ };
		snprintf(processes[process_count].name, 16, "%s", (const char *)b);
		return processes[process_count++].handle;
	case X_SYS_mem_map:
		return ((struct x_mem_map *)a)->space == X_SELF ? (int64_t)(uintptr_t)&file : 0;
	case X_SYS_bind:
		assert_true(a < HANDLES);
		cookies[a] = c;
		return 0;
	case X_SYS_proc_grant: granted(process_of(a), b); return 0;
	case X_SYS_thread_create: return fake_thread_create((void *)a);
	case X_SYS_proc_kill:
		if (a == X_SELF)
			self_kills++;
		else
			die(process_of(a), X_DEATH_KILLED, (int)b);
		return 0;
	case X_SYS_proc_info:
		*(struct x_proc_info *)b = a == X_SELF ? (struct x_proc_info){ 0 } : process_of(a)->info;
		((struct x_proc_info *)b)->ran_ns = waits ? 0 : starved_ns ? starved_ns : now; /* it spins */
		((struct x_proc_info *)b)->runnable = starved_ns != 0;
		return 0;
	case X_SYS_port_reset: port_resets++; return 0;
	case X_SYS_device_ctl: revokes++; return 0;
	case X_SYS_port_info:
		memset((void *)b, 0, sizeof(struct x_port_info));
		((struct x_port_info *)b)->iteration_ns = iteration_ns[a];
		((struct x_port_info *)b)->delivered = served ? now : now / (1000 * MS);
		return 0;
	case X_SYS_log_write: strncat(console, (const char *)a, b); return b;
	case X_SYS_system:
		if (b == X_SYS_LOG_MIRROR)
			break;
		strcpy(halted, b == X_SYS_REBOOT ? "reboot" : "poweroff");
		longjmp(out_of_loop, 1);
	case X_SYS_proc_exit: fail_msg("rs exits: %s", console); break;
	}
	return 0; /* memory, grants, closes: all goes well */
}

/* ------------------------------------------------------------- the fake archive */

static uint32_t entry_count, file_end;

static void add(const char *name, const void *data, size_t bytes)
{
	struct archive_entry *e = (struct archive_entry *)(&file.h + 1) + entry_count++;

	snprintf(e->name, sizeof(e->name), "%s", name);
	e->offset = file_end;
	e->bytes = bytes;
	memcpy(file.bytes + file_end, data, bytes);
	file_end += 4096;
}

#define add_service add_fake_service
static void add_service(const char *name, const char *manifest)
{
	struct { Elf64_Ehdr h; Elf64_Phdr p; } elf = { 0 };
	char entry[48];

	memcpy(elf.h.e_ident, ELFMAG, SELFMAG);
	elf.h.e_ident[EI_CLASS] = ELFCLASS64;
	elf.h.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.h.e_machine = EM_X86_64;
	elf.h.e_version = EV_CURRENT;
	elf.h.e_type = ET_EXEC;
	elf.h.e_phentsize = sizeof(elf.p);
	elf.h.e_phoff = sizeof(elf.h);
	elf.h.e_phnum = 1;
	elf.h.e_entry = 0x400000;
	elf.p = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000,
			      .p_filesz = 16, .p_memsz = 16 };
	snprintf(entry, sizeof(entry), "bin/%s", name);
	add(entry, &elf, sizeof(elf));
	snprintf(entry, sizeof(entry), "manifest/%s", name);
	add(entry, manifest, strlen(manifest));
}

static void run_for(uint64_t ns)
{
	stop_at = now + ns;
	if (!setjmp(out_of_loop))
		server_run(&ops);
}

static void boot_rs(void)
{
	file.h = (struct archive_header){ .magic = ARCHIVE_MAGIC, .bytes = sizeof(file), .count = entry_count };
	file.h.checksum = archive_checksum(&file.h, (struct archive_entry *)(&file.h + 1));
	page.magic = X_BOOT_MAGIC;
	strcpy(page.name, "rs");
	page.archive_bytes = sizeof(file);
	page.handle_count = 3;
	page.handles[0] = (struct x_boot_handle){ "port", 1, 0 };
	page.handles[1] = (struct x_boot_handle){ "archive", 2, 0 };
	page.handles[2] = (struct x_boot_handle){ "resource", 3, 0 };
	boot_init(&page);
	if (!setjmp(out_of_loop))
		server_main();
}

static int boot_all(void **state)
{
	(void)state;
	next_handle = 10;
	now = 1000;
	stop_at = 400 * MS;
	file_end = 8 * 4096;
	devices = 2;
	add_service("devmgr", "kind server\n");
	add_service("blk", "kind driver\nneeds devmgr\nmatch pci:1:2\n");
	add_service("fs", "kind fs\nneeds blk\nuses blk\n");
	add_service("vfs", "kind server\nneeds fs\nuses fs pm rs\n");
	add_service("pm", "kind server\nuses vfs rs\n");
	add_service("absent", "kind driver\nmatch pci:1:2\n");
	add_service("once", "kind server\nrestart never\n");
	add_service("broken", "kind server\nnonsense\n");
	add("manifest/nobin", "kind server\n", 12);
	add_service("late", "kind server\nneeds broken nobin once\nuses nobody\n");
	boot_rs();
	return 0;
}

#define STATE(name) service_find(name)->state

/* ------------------------------------------------------------------- the tests */

static void starts_all_in_order(void **state)
{
	const char *devmgr = strstr(order, "+devmgr"), *blk = strstr(order, "+blk"), *fs = strstr(order, "+fs"),
		   *vfs = strstr(order, "+vfs");

	assert_true(devmgr && devmgr < blk && blk < fs && fs < vfs);
	assert_true(vfs < strstr(order, "+init"));
	assert_int_equal(STATE("vfs"), SERVICE_RUNNING);
	assert_int_equal(STATE("blk.1"), SERVICE_RUNNING);
	assert_int_equal(STATE("late"), SERVICE_RUNNING);
	assert_int_equal(STATE("broken"), SERVICE_FAILED);
	assert_int_equal(STATE("nobin"), SERVICE_FAILED);
	assert_non_null(strstr(console, "manifest, line 2: unknown key"));
	assert_non_null(strstr(console, "uses unknown service `nobody`"));
	assert_non_null(strstr(console, "no binary in the boot archive"));
	assert_non_null(strstr(console, "ready (5."));
}

static void crash_is_restarted_at_once(void **state)
{
	struct service *s = service_find("blk");
	uint32_t resets = port_resets;
	uint64_t incarnation = s->incarnation;

	die(current_of("blk"), X_DEATH_EXCEPTION, 14);
	run_for(20 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
	assert_int_equal(s->incarnation, incarnation + 1);
	assert_int_equal(s->cause_count[CAUSE_EXCEPTION], 1);
	assert_int_equal(port_resets, resets + 1);
	assert_int_equal(revokes, 1);
	assert_int_equal(s->outages.count, 1);
	assert_true(s->outages.sample_ns[0] >= 5 * MS && s->outages.sample_ns[0] < 7 * MS);
}

static void crashes_back_off_and_end(void **state)
{
	struct service *s = service_find("fs");
	uint32_t before = undertaken;
	int crashes = 0;

	while (s->state != SERVICE_FAILED && crashes < 50) {
		die(current_of("fs"), X_DEATH_EXIT, 3);
		crashes++;
		run_for(900 * MS);
	}
	assert_int_equal(crashes, 11);
	assert_non_null(strstr(s->why, "more than 10 crashes in 30 s, last: exit (exit status 3)"));
	run_for(300 * MS); /* nobody is queued at its port here; it is looked at */
	assert_int_equal(undertaken, before);
	char line[] = "start fs", buf[256];
	struct text t = { buf, sizeof(buf), 0 };
	assert_int_equal(command_run(line, &t), 0);
	run_for(50 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

/* The last init's place in the order of events. */
static const char *last_init(void)
{
	const char *at = order, *last = NULL;

	while ((at = strstr(at, "+init")))
		last = at++;
	return last;
}

static void programs_end_with_vfs_and_pm(void **state)
{
	struct service *vfs = service_find("vfs"), *pm = service_find("pm");
	uint64_t incarnation = pm->incarnation;
	const char *init = last_init();

	assert_non_null(init);
	service_kill(vfs, CAUSE_REQUESTED);
	run_for(300 * MS);
	assert_int_equal(vfs->state, SERVICE_RUNNING);
	assert_int_equal(pm->state, SERVICE_RUNNING);
	assert_int_equal(pm->incarnation, incarnation + 1);
	assert_int_equal(pm->last_cause, CAUSE_DEPENDENCY);
	assert_true(last_init() > init);
	init = last_init();
	service_kill(pm, CAUSE_REQUESTED);
	incarnation = vfs->incarnation;
	run_for(300 * MS);
	assert_true(last_init() > init);
	assert_int_equal(vfs->incarnation, incarnation);
	assert_non_null(strstr(console, "pm died: all programs end"));
	init = last_init();
	service_kill(service_find("fs"), CAUSE_REQUESTED); /* no other does that */
	run_for(300 * MS);
	assert_ptr_equal(last_init(), init);
}

static int command(const char *text, char *buf, size_t size)
{
	char line[64];
	struct text t = { buf, size - 1, 0 };
	int err;

	snprintf(line, sizeof(line), "%s", text);
	err = command_run(line, &t);
	buf[t.length] = 0;
	return err;
}

static void requested_kills_restart_each_time(void **state)
{
	struct service *s = service_find("vfs");
	char buf[256];

	for (int i = 0; i < 50; i++) {
		assert_int_equal(command("kill vfs", buf, sizeof(buf)), 0);
		run_for(20 * MS);
		assert_int_equal(s->state, SERVICE_RUNNING);
		run_for(80 * MS);
	}
	assert_int_equal(s->cause_count[CAUSE_REQUESTED], 50);
	assert_int_equal(s->restarts, 50);
	assert_int_equal(s->outages.count, 50);
}

static void injected_faults_do_not_count(void **state)
{
	struct service *s = service_find("pm");
	char buf[256];

	for (int i = 0; i < 20; i++) {
		assert_int_equal(command("inject pm exit", buf, sizeof(buf)), 0);
		run_for(50 * MS);
	}
	assert_int_equal(s->state, SERVICE_RUNNING);
	assert_int_equal(s->cause_count[CAUSE_EXIT], 20);
	assert_int_equal(s->policy.crashes, 0);
}

static void hang_is_killed(void **state)
{
	struct service *s = service_find("pm");
	uint64_t from = now;

	iteration_ns[s->port] = now;
	run_for(140 * MS);
	assert_int_equal(s->cause_count[CAUSE_HANG], 0);
	run_for(60 * MS); /* two periods */
	assert_int_equal(s->cause_count[CAUSE_HANG], 1);
	run_for(50 * MS);
	assert_int_equal(s->outages.sample_ns[(s->outages.count - 1) % OUTAGE_SAMPLES], s->ready_ns - from);
	iteration_ns[s->port] = now; /* if it was not one there is no second one soon: its deadline counts */
	run_for(400 * MS);
	assert_int_equal(s->cause_count[CAUSE_HANG], 1);
	run_for(400 * MS);
	assert_int_equal(s->cause_count[CAUSE_HANG], 2);
	iteration_ns[s->port] = 0;
	run_for(1500 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

/* Whenever it begins, between two looks that come a little late. */
static void hang_is_found_in_two_periods(void **state)
{
	struct service *s = service_find("pm");

	lateness_ns = MS;
	for (int i = 0; i < 51; i++) { /* looks are 51 ms apart: each time it begins at another of these */
		uint64_t hangs = s->cause_count[CAUSE_HANG];

		s->patient_ns = 0;
		iteration_ns[s->port] = now;
		run_for(204 * MS);
		assert_int_equal(s->cause_count[CAUSE_HANG], hangs + 1);
		iteration_ns[s->port] = 0;
		run_for(4000 * MS);
	}
	lateness_ns = 0;
	s->cause_count[CAUSE_HANG] = 2;
	policy_reset(&s->policy);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

/* Long iterations, but another one at each look: busy, not hung. */
static void busy_is_not_hung(void **state)
{
	struct service *s = service_find("pm");

	for (int i = 0; i < 30; i++) {
		iteration_ns[s->port] = now - 90 * MS;
		run_for(100 * MS);
	}
	iteration_ns[s->port] = 0;
	assert_int_equal(s->cause_count[CAUSE_HANG], 2);
}

/* The machine stood still for 5 s: nobody can help it. */
static void lost_time_is_forgiven(void **state)
{
	struct service *s = service_find("pm");

	iteration_ns[s->port] = now;
	run_for(150 * MS);
	now += 5000 * MS;
	run_for(100 * MS);
	iteration_ns[s->port] = 0;
	run_for(300 * MS);
	assert_int_equal(s->cause_count[CAUSE_HANG], 2);
}

static void who_waits_in_an_iteration_is_found_in_two_periods(void **state)
{
	struct service *s = service_find("pm");
	uint64_t hangs = s->cause_count[CAUSE_HANG];

	waits = true;
	run_for(300 * MS); /* at its port: all is well */
	assert_int_equal(s->cause_count[CAUSE_HANG], hangs);
	iteration_ns[s->port] = now;
	run_for(210 * MS);
	assert_int_equal(s->cause_count[CAUSE_HANG], hangs + 1);
	iteration_ns[s->port] = 0;
	waits = false;
	run_for(1500 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

/* A complaint leads to a question; who answers it rightly lives. */
static void complaint_leads_to_a_question(void **state)
{
	struct service *s = service_find("pm"), *peer = service_find("vfs");
	uint64_t restarts = s->restarts;
	uint32_t i = 0;

	while (i < RS_EVENT_PEERS && peer->peer[i] != service_index(s))
		i++;
	assert_true(i < RS_EVENT_PEERS);
	service_on_event(peer, RS_EVENT_PEER(i));
	assert_true(s->probing);
	run_for(20 * MS);
	assert_false(s->probing);
	assert_int_equal(s->complaints, 1);
	assert_int_equal(s->restarts, restarts);
	nonsense = true;
	service_on_event(peer, RS_EVENT_PEER(i));
	run_for(20 * MS);
	nonsense = false;
	run_for(1500 * MS);
	assert_int_equal(s->restarts, restarts + 1);
	assert_int_equal(s->cause_count[CAUSE_GARBAGE], 1);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

/* Its own answers come to it as to everybody. */
static void rs_asks_itself(void **state)
{
	uint32_t before = self_kills;

	run_for(1500 * MS);
	assert_int_equal(self_kills, before);
	nonsense = true;
	service_probe(service_find("rs"));
	run_for(20 * MS);
	nonsense = false;
	assert_int_equal(self_kills, before + 1);
	assert_int_equal(service_find("rs")->kill_cause, CAUSE_GARBAGE);
	run_for(1500 * MS);
}

static void no_answer_to_ping_is_a_hang(void **state)
{
	struct service *s = service_find("late");

	pings_ignored = true;
	run_for(3500 * MS);
	pings_ignored = false;
	assert_int_equal(s->cause_count[CAUSE_HANG], 1);
	run_for(1000 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

/* The machine stands still while a service starts: that is not its time. */
static void lost_time_is_no_start_up_time(void **state)
{
	struct service *s = service_find("late");
	uint64_t timeouts = s->cause_count[CAUSE_TIMEOUT];

	mute[s - services] = true;
	die(current_of("late"), X_DEATH_EXIT, 1);
	run_for(7000 * MS);
	assert_int_equal(s->state, SERVICE_RECOVERING);
	now += 5000 * MS;
	run_for(1000 * MS);
	assert_int_equal(s->state, SERVICE_RECOVERING);
	post(cookies[current_of("late")->event], X_IN_EVENT, RS_EVENT_READY);
	mute[s - services] = false;
	run_for(1500 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
	assert_int_equal(s->cause_count[CAUSE_TIMEOUT], timeouts);
}

static void never_ready_is_given_up(void **state)
{
	struct service *s = service_find("late");

	mute[s - services] = true;
	die(current_of("late"), X_DEATH_EXIT, 1);
	run_for(45000 * MS);
	assert_int_equal(s->state, SERVICE_FAILED);
	assert_string_equal(s->why, "it does not become ready");
	mute[s - services] = false;
}

/* It served before: what it lacks may come back. One that never did is failed at once. */
static void says_that_it_cannot_start(void **state)
{
	struct service *s = service_find("fs");

	die(current_of("fs"), X_DEATH_EXCEPTION, 14);
	mute[s - services] = true;
	run_for(20 * MS);
	post(cookies[current_of("fs")->event], X_IN_EVENT, RS_EVENT_FAILED);
	run_for(100 * MS);
	assert_int_equal(s->state, SERVICE_CRASHED);
	mute[s - services] = false;
	run_for(1100 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
}

static void restart_never(void **state)
{
	die(current_of("once"), X_DEATH_EXIT, 0);
	run_for(100 * MS);
	assert_int_equal(STATE("once"), SERVICE_DEAD);
}

static void stop_and_start(void **state)
{
	char buf[256];

	assert_int_equal(command("stop pm", buf, sizeof(buf)), 0);
	run_for(10 * MS);
	assert_int_equal(STATE("pm"), SERVICE_DEAD);
	assert_int_equal(command("kill pm", buf, sizeof(buf)), -X_ESRCH);
	assert_int_equal(command("start pm", buf, sizeof(buf)), 0);
	run_for(20 * MS);
	assert_int_equal(STATE("pm"), SERVICE_RUNNING);
	assert_int_equal(command("start pm", buf, sizeof(buf)), -X_EBUSY);
	stubborn = true; /* it does not stop when asked: killed after half a second */
	assert_int_equal(command("restart pm", buf, sizeof(buf)), 0);
	run_for(400 * MS);
	assert_int_equal(STATE("pm"), SERVICE_STOPPING);
	run_for(200 * MS);
	assert_int_equal(STATE("pm"), SERVICE_RUNNING);
	starved_ns = now; /* it cannot stop: the machine has no time for it */
	assert_int_equal(command("restart pm", buf, sizeof(buf)), 0);
	run_for(2000 * MS);
	assert_int_equal(STATE("pm"), SERVICE_STOPPING);
	starved_ns = 0;
	run_for(600 * MS);
	assert_int_equal(STATE("pm"), SERVICE_RUNNING);
	stubborn = false;
}

/* A filesystem has time while its disk has: here 100 s, then half a minute without anything but its ticks. */
static void who_writes_out_is_let_do_it(void **state)
{
	struct service *s = service_find("fs");
	uint64_t restarts = s->restarts;
	char buf[256];

	stubborn = served = true;
	assert_int_equal(command("restart fs", buf, sizeof(buf)), 0);
	run_for(100000 * MS);
	assert_int_equal(s->state, SERVICE_STOPPING);
	served = false;
	run_for(25000 * MS);
	assert_int_equal(s->state, SERVICE_STOPPING);
	run_for(10000 * MS);
	assert_int_equal(s->state, SERVICE_RUNNING);
	assert_int_equal(s->restarts, restarts + 1);
	stubborn = false;
}

static void commands(void **state)
{
	static char buf[32768];

	assert_int_equal(command("list\n", buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "blk.1"));
	assert_null(strstr(buf, "blk.2"));
	assert_int_equal(command("status blk", buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "exception 1"));
	assert_int_equal(command("tree", buf, sizeof(buf)), 0);
	/* vfs and pm use each other; what is below one is drawn once. */
	assert_non_null(strstr(buf, "vfs (running)\n  fs (running)\n    blk (running)\n      devmgr (running)\n"
				    "  pm (running)\n    vfs (running) ...\n"));
	assert_int_equal(command("log", buf, sizeof(buf)), 0);
	assert_int_equal(command("log 2", buf, sizeof(buf)), 0);
	assert_int_equal(command("log x", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("status nobody", buf, sizeof(buf)), -X_ENOENT);
	assert_string_equal(buf, "no such service: nobody\n");
	assert_int_equal(command("kill rs cold", buf, sizeof(buf)), -X_EPERM);
	assert_int_equal(command("stop rs", buf, sizeof(buf)), -X_EPERM);
	assert_int_equal(command("start broken", buf, sizeof(buf)), -X_EPERM);
	assert_int_equal(command("inject pm nothing", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("inject pm", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("inject pm exit 3", buf, sizeof(buf)), -X_EINVAL);
	assert_string_equal(buf, "inject: `exit` takes no number\n");
	assert_int_equal(command("inject pm entry", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("inject pm entry 0", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("inject pm entry 1x", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("inject pm entry 3", buf, sizeof(buf)), -X_EPERM); /* it is not restarted warm */
	assert_int_equal(command("inject pm verify", buf, sizeof(buf)), -X_EPERM);
	assert_int_equal(command("inject pm garbage -1", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("inject rs random", buf, sizeof(buf)), -X_EPERM);
	assert_int_equal(command("log -3", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("stats --json", buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "\"total\":{"));
	assert_int_equal(command("stats --yaml", buf, sizeof(buf)), -X_EINVAL);
	assert_string_equal(buf, "stats: `--yaml` is unknown; there is --json\n");
	assert_int_equal(command("kill cold", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("a b c d e f g h", buf, sizeof(buf)), -X_EINVAL);
	assert_int_equal(command("kill nobody pm", buf, sizeof(buf)), -X_ENOENT);
	assert_int_equal(STATE("pm"), SERVICE_RUNNING);
	assert_int_equal(command("kill", buf, sizeof(buf)), -X_EINVAL);
	char tiny[16];
	assert_int_equal(command("list", tiny, sizeof(tiny)), 0);
}

static void switches_off_in_reverse_order(void **state)
{
	const char *vfs, *fs, *blk, *devmgr;

	run_for(2000 * MS);
	order[0] = 0;
	poweroff_start(true);
	run_for(20000 * MS);
	assert_string_equal(halted, "reboot");
	vfs = strstr(order, "-vfs");
	fs = strstr(order, "-fs");
	blk = strstr(order, "-blk");
	devmgr = strstr(order, "-devmgr");
	assert_true(vfs && vfs < fs && fs < blk && blk < devmgr);
	assert_null(strchr(order, '+')); /* nobody is started again */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_all_in_order), cmocka_unit_test(crash_is_restarted_at_once),
		cmocka_unit_test(crashes_back_off_and_end), cmocka_unit_test(requested_kills_restart_each_time),
		cmocka_unit_test(programs_end_with_vfs_and_pm),
		cmocka_unit_test(injected_faults_do_not_count), cmocka_unit_test(hang_is_killed),
		cmocka_unit_test(hang_is_found_in_two_periods), cmocka_unit_test(busy_is_not_hung), cmocka_unit_test(lost_time_is_forgiven),
		cmocka_unit_test(says_that_it_cannot_start), cmocka_unit_test(restart_never), cmocka_unit_test(no_answer_to_ping_is_a_hang),
		cmocka_unit_test(lost_time_is_no_start_up_time), cmocka_unit_test(never_ready_is_given_up), cmocka_unit_test(stop_and_start), cmocka_unit_test(who_writes_out_is_let_do_it),
		cmocka_unit_test(commands),
		cmocka_unit_test(who_waits_in_an_iteration_is_found_in_two_periods),
		cmocka_unit_test(complaint_leads_to_a_question), cmocka_unit_test(rs_asks_itself), cmocka_unit_test(switches_off_in_reverse_order),
	};

	return cmocka_run_group_tests(tests, boot_all, NULL);
}
