/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of Linux processes: slots, pids, lookups, and the pages with ids.
 *
 * The ids pages of all slots are one memory object, of which each process has
 * its own page mapped for reading. pm writes there what p->ids says.
 */
#include "lib/c/slots.h"
#include "servers/pm/sysctl.h"

struct proc procs[PROCS_MAX];
uint32_t procs_end;

static uint32_t last_pid;
static x_handle_t ids_memory = X_NO_HANDLE;
static uint8_t *ids_pages;

void table_init(void)
{
	struct x_mem_create create = { .bytes = (uint64_t)PROCS_MAX * X_PAGE_SIZE };
	struct x_mem_map map = { .space = X_SELF, .len = create.bytes,
				 .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t all = x_mem_create(&create), at = all, readable;

	if (all >= 0) {
		map.memory = (x_handle_t)all;
		at = x_mem_map(&map);
	}
	if (at < 0)
		server_die("no memory for the ids pages: %d", (int)at);
	ids_pages = (uint8_t *)at;
	/* Without the right to write, no process can ever get more than that. */
	readable = x_handle_dup(map.memory, X_R_READ, 0, 0);
	if (readable < 0)
		server_die("ids pages: %d", (int)readable);
	clock_changed();
	ids_memory = (x_handle_t)readable;
	x_handle_close(map.memory);
}

static struct x_system_info clock_info;

void clock_changed(void)
{
	x_system_info(&clock_info);
	for_each_proc(p)
		if (proc_visible(p))
			ids_publish(p);
}

void ids_publish(struct proc *p)
{
	struct pm_ids *page = (struct pm_ids *)(ids_pages + (size_t)proc_slot(p) * X_PAGE_SIZE);

	p->ids.rlimit_nofile = p->rlimit[RLIMIT_NOFILE].soft;
	p->ids.rlimit_stack = p->rlimit[RLIMIT_STACK].soft;
	p->ids.rlimit_fsize = p->rlimit[RLIMIT_FSIZE].soft;
	p->ids.rlimit_as = p->rlimit[RLIMIT_AS].soft;
	p->ids.rlimit_data = p->rlimit[RLIMIT_DATA].soft;
	p->ids.tsc_base = clock_info.tsc_base;
	p->ids.ns_per_tsc_32 = clock_info.ns_per_tsc_32;
	p->ids.realtime_offset_ns = clock_info.realtime_offset_ns;
	memcpy(page, &p->ids, sizeof(*page));
}

int ids_map(const struct proc *p, x_handle_t space)
{
	struct x_mem_map map = {
		.space = space, .memory = ids_memory,
		.offset = (uint64_t)proc_slot(p) * X_PAGE_SIZE,
		.addr = PM_IDS_PAGE, .len = X_PAGE_SIZE, .prot = X_PROT_READ,
		.flags = X_MAP_FIXED | X_MAP_PERSONALITY,
	};
	int64_t at = x_mem_map(&map);

	return at < 0 ? (int)at : 0;
}

void proc_enter(struct proc *p, enum proc_state state)
{
	p->state = state;
	if (state != PROC_FREE && proc_slot(p) >= procs_end)
		procs_end = proc_slot(p) + 1;
}

struct proc *proc_new(void)
{
	struct proc *p = SLOT_FIND(procs, procs_end, state);
	uint32_t generation;

	if (!p)
		return NULL;
	generation = p->generation + 1;
	memset(p, 0, offsetof(struct proc, exe) + 1);
	p->generation = generation;
	p->process = p->vfs = p->program = X_NO_HANDLE;
	p->start_ns = server_now_ns;
	return p;
}

void proc_close_handles(struct proc *p)
{
	if (p->process != X_NO_HANDLE) {
		server_unbind(p->process);
		out_close(p->process);
	}
	if (p->vfs != X_NO_HANDLE)
		out_close(p->vfs);
	out_close(p->program);
	p->process = p->vfs = p->program = X_NO_HANDLE;
}

void proc_free(struct proc *p)
{
	timers_drop(p, true);
	signals_drop(p);
	proc_close_handles(p);
	proc_enter(p, PROC_FREE);
	SLOTS_TRIM(procs, procs_end, state);
}

/* A number in use as pid, group, session or thread id is not given out. */
static bool pid_in_use(uint32_t pid)
{
	for_each_proc(p)
		if (p->state != PROC_FREE &&
		    (p->ids.pid == pid || p->ids.pgrp == pid || p->ids.sid == pid))
			return true;
	return tid_in_use(pid);
}

uint32_t pid_allocate(void)
{
	uint32_t end = (uint32_t)sysctl_value(SYSCTL_PID_MAX);

	for (uint32_t tries = 0; tries < PID_MAX; tries++) {
		last_pid = last_pid + 1 < end ? last_pid + 1 : 2;
		if (!pid_in_use(last_pid))
			return last_pid;
	}
	return 0;
}

uint32_t pid_last(void)
{
	return last_pid;
}

struct proc *proc_by_pid(uint32_t pid)
{
	for_each_proc(p)
		if (proc_visible(p) && p->ids.pid == pid)
			return p;
	return NULL;
}

struct proc *proc_init(void)
{
	struct proc *p = proc_by_pid(1);

	return p && proc_alive(p) ? p : NULL;
}

struct proc *proc_by_koid(uint64_t koid)
{
	for_each_proc(p)
		if (p->state != PROC_FREE && p->state != PROC_ZOMBIE && p->koid == koid && koid)
			return p;
	return NULL;
}

struct proc *proc_by_object(uint64_t object)
{
	uint32_t index = object_index(object);
	struct proc *p = &procs[index % PROCS_MAX];

	if (object_kind(object) != OBJECT_SESSION || index >= PROCS_MAX || !proc_alive(p) ||
	    object != object_id(OBJECT_SESSION, p->generation, index))
		return NULL;
	return p;
}

uint32_t procs_count(void)
{
	uint32_t count = 0;

	for_each_proc(p)
		count += proc_visible(p);
	return count;
}

int proc_learn_koid(struct proc *p)
{
	struct x_proc_info info;
	int64_t err = x_proc_info(p->process, &info);

	if (err < 0)
		return (int)err;
	p->koid = info.koid;
	return 0;
}

int proc_give_sessions(struct proc *p, x_handle_t vfs)
{
	uint64_t id = object_id(OBJECT_SESSION, p->generation, proc_slot(p));
	int64_t session = x_mint(server_port, id, 0, 0, 0), err;

	if (session < 0)
		return (int)session;
	/* Only the right to call: neither can be duplicated or sent. */
	err = x_proc_grant(p->process, (x_handle_t)session, X_R_CALL, X_SLOT_PM);
	out_close((x_handle_t)session);
	if (err >= 0)
		err = x_proc_grant(p->process, vfs, X_R_CALL, X_SLOT_VFS);
	return err < 0 ? (int)err : 0;
}
