/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One incarnation: a process made from the archive's image and the manifest's
 * grants. Handles go to successive slots from X_SLOT_NATIVE and are named on
 * the bootstrap page. A driver's next process is made while the present one
 * runs, so that little is left to do when that dies. Nothing of it runs before
 * the commit of the iteration that made it: if rs dies in between, the kernel
 * drops the half-made process with its handle.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/rs/elf.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define STACK_TOP   0x00007f7ffff00000ull
#define STACK_BYTES (128u << 10)
#define IMAGE_LIMIT (STACK_TOP - STACK_BYTES - (1u << 20)) /* leaves a guard gap */

#define RIGHTS_OWN_PORT (X_R_RECEIVE | X_R_DUP | X_R_CALL | X_R_TRANSFER)
#define RIGHTS_PEER     (X_R_CALL | X_R_DUP)
#define RIGHTS_DEVICE   (X_R_READ | X_R_WRITE | X_R_EXEC | X_R_WAIT | X_R_DUP | X_R_TRANSFER)

struct spawning {
	struct service *s;
	struct x_boot_page page;
	const char *wrong; /* the first thing that failed */
};

static x_handle_t personality = X_NO_HANDLE;
static char binary_name[48];

const void *spawn_binary(const struct service *s, uint64_t *bytes)
{
	snprintf(binary_name, sizeof(binary_name), "bin/%s", s->manifest->name);
	return archive_find(&archive, binary_name, bytes);
}

bool spawn_has_binary(const struct service *s, const char **wrong)
{
	struct elf_image e;
	uint64_t bytes;
	const void *image = spawn_binary(s, &bytes);

	*wrong = image ? elf_check(&e, image, bytes, IMAGE_LIMIT) : "no binary in the boot archive";
	return !*wrong;
}

/* A copy of the personality of its own: the archive itself may not be shared
 * as executable memory with Linux processes. */
int spawn_init(void)
{
	struct x_mem_create c = { 0 };
	const void *image = archive_find(&archive, "personality/linux", &c.bytes);
	int64_t h, err;

	if (!image)
		return -X_ENOENT;
	h = x_mem_create(&c);
	if (h < 0)
		return h;
	err = x_mem_copy(h, 0, (void *)image, c.bytes, 1);
	if (err < 0) {
		x_handle_close(h);
		return err;
	}
	personality = h;
	return 0;
}

/* ---------------------------------------------------------------- memory */

static const char *map(x_handle_t process, uint64_t addr, uint64_t bytes)
{
	struct x_mem_map m = {
		.space = process, .memory = X_NO_HANDLE, .addr = addr, .len = bytes,
		.prot = X_PROT_READ | X_PROT_WRITE,
		.flags = X_MAP_PRIVATE | X_MAP_FIXED | X_MAP_NOREPLACE | X_MAP_LAZY,
	};

	return x_mem_map(&m) < 0 ? "out of memory" : NULL;
}

/* Text and constants are mapped where they lie in the archive: nobody can
 * write there, nothing is copied, and an emulator that has translated the code
 * of one incarnation goes on with it for the next. */
static bool lies_ready(const struct elf_segment *g)
{
	uint64_t file_pages = (g->addr + g->file_bytes + X_PAGE_SIZE - 1) & ~(uint64_t)(X_PAGE_SIZE - 1);

	return !(g->prot & X_PROT_WRITE) && g->file_offset % X_PAGE_SIZE == g->addr % X_PAGE_SIZE &&
	       g->map_addr + g->map_bytes == file_pages;
}

static const char *map_segment(x_handle_t process, const char *image, const struct elf_segment *g)
{
	struct x_mem_map m = {
		.space = process, .memory = boot_handle("archive"), .addr = g->map_addr, .len = g->map_bytes,
		.offset = (uint64_t)(image - (const char *)archive.header) + g->file_offset - g->addr % X_PAGE_SIZE,
		.prot = g->prot, .flags = X_MAP_FIXED | X_MAP_NOREPLACE | X_MAP_WIRED,
	};

	return x_mem_map(&m) < 0 ? "cannot map the image" : NULL;
}

/* Filled while writable, then given its protection: write xor execute. */
static const char *copy_segment(x_handle_t process, const char *image, const struct elf_segment *g)
{
	const char *wrong = map(process, g->map_addr, g->map_bytes);

	if (wrong)
		return wrong;
	if (g->file_bytes &&
	    x_space_copy(process, g->addr, (void *)(image + g->file_offset), g->file_bytes, 1) < 0)
		return "cannot copy the image";
	if (!(g->prot & X_PROT_WRITE) && x_mem_protect(process, g->map_addr, g->map_bytes, g->prot) < 0)
		return "cannot protect the image";
	return NULL;
}

/* All memory but the contents of the bootstrap page. */
static const char *load(const struct service *s, x_handle_t process, uint64_t *entry)
{
	struct elf_image e = { 0 };
	uint64_t bytes;
	const char *image = spawn_binary(s, &bytes);
	const char *wrong = image ? elf_check(&e, image, bytes, IMAGE_LIMIT) : "no binary in the boot archive";

	for (uint32_t i = 0; !wrong && i < e.segment_count; i++)
		wrong = lies_ready(&e.segment[i]) ? map_segment(process, image, &e.segment[i])
						  : copy_segment(process, image, &e.segment[i]);
	if (!wrong)
		wrong = map(process, STACK_TOP - STACK_BYTES, STACK_BYTES);
	if (!wrong)
		wrong = map(process, X_BOOT_PAGE, X_PAGE_SIZE);
	*entry = e.entry;
	return wrong;
}

/* A process with all its memory, but no handle and no thread. */
static const char *make_process(const struct service *s, struct spare *out)
{
	int64_t process = x_proc_create(boot_handle("resource"), s->name,
					s->manifest->warm_log_kib ? X_PROC_KEPT : 0, s->manifest->band);
	const char *wrong;

	if (process < 0)
		return "out of memory";
	if (s->manifest->memory_mib)
		x_proc_limit(process, (uint64_t)s->manifest->memory_mib << 20);
	wrong = load(s, process, &out->entry);
	if (wrong)
		x_handle_close(process); /* the end of one that never ran */
	else
		out->process = process;
	return wrong;
}

void spawn_prepare(struct service *s)
{
	if (s->spare.process == X_NO_HANDLE)
		make_process(s, &s->spare); /* or later, when it is needed */
}

void spawn_unprepare(struct service *s)
{
	if (s->spare.process != X_NO_HANDLE)
		out_close(s->spare.process);
	s->spare.process = X_NO_HANDLE;
}

void spawn_distrust(struct service *s)
{
	if (s->spare.process == X_NO_HANDLE)
		return;
	spawn_unprepare(s);
	if (s->state == SERVICE_RUNNING)
		timer_set(&s->deadline, server_now_ns + PREPARE_AFTER_NS);
}

/* --------------------------------------------------------------- handles */

static void give(struct spawning *sp, const char *name, x_handle_t h, uint32_t rights)
{
	uint32_t n = sp->page.handle_count;
	struct x_boot_handle *b = &sp->page.handles[n];

	if (sp->wrong)
		return;
	if (n == sizeof(sp->page.handles) / sizeof(sp->page.handles[0])) {
		sp->wrong = "too many handles";
		return;
	}
	if (x_proc_grant(sp->s->process, h, rights, X_SLOT_NATIVE + n) < 0) {
		sp->wrong = "cannot grant a handle";
		return;
	}
	strlcpy(b->name, name, sizeof(b->name));
	b->handle = X_SLOT_NATIVE + n;
	sp->page.handle_count++;
}

/* Gives away what was made for this incarnation only (h < 0: it could not be made). */
static void give_away(struct spawning *sp, const char *name, int64_t h, const char *wrong)
{
	if (h < 0) {
		sp->wrong = sp->wrong ? sp->wrong : wrong;
		return;
	}
	give(sp, name, h, 0);
	x_handle_close(h);
}

static void give_irq(struct spawning *sp, uint32_t line)
{
	int64_t event = x_event_create(), irq;

	if (event < 0) {
		sp->wrong = "out of memory";
		return;
	}
	irq = x_irq_create(boot_handle("resource"), line, event, 1);
	give_away(sp, "irq", irq, "the interrupt line is not to be had");
	give(sp, "irq_event", event, X_R_READ | X_R_WAIT);
	x_handle_close(event);
}

/* All instances of everything it uses. */
static void give_peers(struct spawning *sp)
{
	for (uint32_t i = 0; i < service_count; i++)
		if (sp->s->uses & 1ull << services[i].base) {
			if (sp->page.handle_count < RS_EVENT_PEERS)
				sp->s->peer[sp->page.handle_count] = i;
			give(sp, services[i].name, services[i].port, RIGHTS_PEER);
		}
}

/* The ports of those that serve a node of /dev, as "node.<name>". */
static void give_nodes(struct spawning *sp)
{
	char name[sizeof(sp->page.handles[0].name)];

	for (uint32_t i = 0; i < service_count; i++) {
		if (!services[i].manifest->node)
			continue;
		snprintf(name, sizeof(name), X_BOOT_NODE "%s", services[i].name);
		give(sp, name, services[i].port, RIGHTS_PEER);
	}
}

static void give_control(struct spawning *sp)
{
	int64_t control = x_event_create(), event = x_event_create();

	sp->s->control = control < 0 ? X_NO_HANDLE : (x_handle_t)control;
	sp->s->rs_event = event < 0 ? X_NO_HANDLE : (x_handle_t)event;
	if (control < 0 || event < 0) {
		sp->wrong = "out of memory";
		return;
	}
	give(sp, "control", control, X_R_READ | X_R_WAIT);
	give(sp, "rs_event", event, X_R_WRITE);
}

/* The same memory for all incarnations, until it is discarded. */
static void give_keep(struct spawning *sp)
{
	struct x_mem_create c = { .bytes = (uint64_t)sp->s->manifest->keep_kib << 10 };

	if (sp->s->keep == X_NO_HANDLE) {
		int64_t h = x_mem_create(&c);

		if (h < 0) {
			sp->wrong = "out of memory";
			return;
		}
		sp->s->keep = h;
	}
	give(sp, "keep", sp->s->keep, X_R_READ | X_R_WRITE);
}

void spawn_forget(struct service *s, const char *why)
{
	if (s->keep == X_NO_HANDLE)
		return;
	event_announce(s->name, "its checkpoints are discarded: %s", why);
	out_close(s->keep);
	s->keep = X_NO_HANDLE;
}

static void give_all(struct spawning *sp)
{
	const struct manifest *m = sp->s->manifest;
	x_handle_t resource = boot_handle("resource");

	give(sp, "port", sp->s->port, RIGHTS_OWN_PORT);
	give_control(sp);
	give_peers(sp);
	if (m->takes_nodes)
		give_nodes(sp);
	if (sp->s->device != X_NO_HANDLE)
		give(sp, "device", sp->s->device, RIGHTS_DEVICE);
	if (m->keep_kib)
		give_keep(sp);
	if (m->ioport_count)
		give_away(sp, "ioports", x_ioports_create(resource, m->ioport_base, m->ioport_count),
			  "the I/O ports are not to be had");
	if (m->irq >= 0)
		give_irq(sp, m->irq);
	if (m->resource == RESOURCE_ALL)
		give(sp, "resource", resource, X_R_MANAGE | X_R_EXEC | X_R_DUP);
	if (m->resource == RESOURCE_PROCESSES)
		give(sp, "resource", resource, X_R_EXEC | X_R_DUP);
	if (m->gives_personality && personality != X_NO_HANDLE)
		give(sp, "personality", personality, X_R_READ | X_R_EXEC | X_R_DUP | X_R_TRANSFER);
}

/* ------------------------------------------------------------ boot page, start */

static const char *write_boot_page(struct spawning *sp)
{
	struct x_boot_page *p = &sp->page;
	const struct manifest *m = sp->s->manifest;

	p->magic = X_BOOT_MAGIC;
	p->incarnation = sp->s->incarnation;
	p->log_bytes = (uint64_t)m->warm_log_kib << 10;
	p->keep_bytes = (uint64_t)m->keep_kib << 10;
	strlcpy(p->name, sp->s->name, sizeof(p->name));
	memcpy(p->cmdline, boot->cmdline, sizeof(p->cmdline));
	_Static_assert(sizeof(p->args) == sizeof(m->args), "arguments fit the page");
	memcpy(p->args, m->args, m->arg_bytes);
	p->arg_bytes = m->arg_bytes;
	if (x_space_copy(sp->s->process, X_BOOT_PAGE, p, sizeof(*p), 1) < 0 ||
	    x_mem_protect(sp->s->process, X_BOOT_PAGE, X_PAGE_SIZE, X_PROT_READ) < 0)
		return "cannot write the bootstrap page";
	return NULL;
}

/* Bound before the first instruction runs: nothing it does goes unseen. */
static const char *run(struct service *s, uint64_t entry)
{
	struct x_thread_create t = { .process = s->process, .entry = entry, .stack = STACK_TOP - 16 };

	s->entry = entry;
	if (server_bind(s->process, service_on_death, s) < 0 ||
	    server_bind(s->rs_event, service_on_event, s) < 0)
		return "cannot watch the process";
	/* Without memory for the thread the service does not become ready in time. */
	out_do(X_SYS_thread_create, (uintptr_t)out_keep(&t, sizeof(t)), 0, 0, 0, 0);
	return NULL;
}

static void close_handle(x_handle_t *h)
{
	if (*h == X_NO_HANDLE)
		return;
	server_unbind(*h);
	out_close(*h);
	*h = X_NO_HANDLE;
}

static void close_incarnation(struct service *s)
{
	close_handle(&s->process);
	close_handle(&s->control);
	close_handle(&s->rs_event);
}

static void new_life(struct service *s)
{
	struct x_proc_info i;

	s->last_ran_ns = x_proc_info(s->process, &i) < 0 ? 0 : i.ran_ns;
	s->ready_ns = s->ping_ns = s->seen_iteration_ns = s->little_ns = 0;
	s->last_ping_ns = s->last_look_ns = s->last_asked_ns = x_clock(X_CLOCK_MONOTONIC);
	s->cannot_start = s->injected = false;
	s->cpu_window_ns = s->cpu_over = 0;
	s->budget_text[0] = '\0';
	s->kill_cause = CAUSE_NONE;
}

void spawn_warm(struct service *s, bool blame)
{
	struct x_thread_create t = {
		.entry = s->entry, .stack = STACK_TOP - 16, .arg = X_WARM_START | (blame ? X_WARM_BLAME : 0),
	};

	new_life(s);
	out_do(X_SYS_proc_reset, s->process, (uintptr_t)out_keep(&t, sizeof(t)), 0, 0, 0);
}

const char *spawn(struct service *s)
{
	static REGION_SCRATCH struct spawning sp; /* static for its size only */
	struct spare made = s->spare;
	const char *wrong = made.process == X_NO_HANDLE ? make_process(s, &made) : NULL;

	if (wrong)
		return wrong;
	memset(&sp, 0, sizeof(sp));
	sp.s = s;
	memset(s->peer, SERVICE_MAX, sizeof(s->peer));
	s->probing = false;
	s->spare.process = X_NO_HANDLE;
	s->process = made.process;
	s->incarnation++;
	give_all(&sp);
	if (!sp.wrong)
		sp.wrong = write_boot_page(&sp);
	s->started_ns = x_clock(X_CLOCK_MONOTONIC);
	new_life(s);
	s->was_ready = s->cold = s->verifying = false;
	s->warm_streak = s->warm_ns = 0;
	if (!sp.wrong)
		sp.wrong = run(s, made.entry);
	if (sp.wrong)
		close_incarnation(s); /* the end of a process that never ran */
	return sp.wrong;
}

void spawn_reap(struct service *s)
{
	if (s->device != X_NO_HANDLE)
		out_do(X_SYS_device_ctl, s->device, X_DEV_REVOKE, 0, 0, 0);
	close_incarnation(s);
	out_do(X_SYS_port_reset, s->port, 0, 0, 0, 0);
}
