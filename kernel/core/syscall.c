/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Native system calls: arguments checked, handles resolved, work handed on.
 * What each does is said in include/xinim/syscall.h.
 */
#include "device.h"
#include "port.h"
#include "resource.h"

/* The arguments, where they lie in struct x_regs. */
struct args { uint64_t rax, rbx, rcx, c, b, a, rbp, rsp, e, r9, d; } __attribute__((may_alias));
_Static_assert(offsetof(struct args, a) == offsetof(struct x_regs, rdi) &&
	       offsetof(struct args, b) == offsetof(struct x_regs, rsi) &&
	       offsetof(struct args, c) == offsetof(struct x_regs, rdx) &&
	       offsetof(struct args, d) == offsetof(struct x_regs, r10) &&
	       offsetof(struct args, e) == offsetof(struct x_regs, r8), "struct args");

#define NATIVE_RIGHTS_MEMORY (X_R_READ | X_R_WRITE | X_R_EXEC | X_R_DUP | X_R_TRANSFER)

/* --------------------------------------------------------------------- handles */

static int64_t sys_null(const struct args *a)
{
	(void)a;
	return 0;
}

static int64_t sys_handle_close(const struct args *a)
{
	struct handle h;
	int err = handle_remove(current_process(), a->a, &h);

	if (!err)
		handle_drop(h);
	return err;
}

static int64_t sys_handle_dup(const struct args *a)
{
	struct handle h, copy;
	uint32_t rights = a->b, slot = a->c, flags = a->d;
	int64_t result;
	int err = handle_lookup(a->a, &h);

	if (err)
		return err;
	if (!(h.rights & X_R_DUP))
		return -X_ERIGHTS;
	copy = handle_hold(h.object, rights ? h.rights & rights : h.rights);
	copy.cloexec = !!(flags & X_DUP_CLOEXEC);
	if (flags & X_DUP_EXACT) {
		err = handle_install_at(current_process(), copy, slot);
		result = err ? err : (int64_t)slot;
	} else {
		result = handle_install(current_process(), copy, slot,
					slot < X_SLOT_FD_END ? X_SLOT_FD_END : X_SLOT_MAX);
	}
	if (result < 0)
		handle_drop(copy);
	return result;
}

static int64_t sys_handle_cloexec(const struct args *a)
{
	struct handle *h = handle_slot(&current_process()->handles, (uint32_t)a->a);
	int64_t old;

	if (!h)
		return -X_EBADF;
	old = h->cloexec;
	if ((int)a->b >= 0)
		h->cloexec = !!a->b;
	return old;
}

static int64_t sys_handle_info(const struct args *a)
{
	struct x_handle_info info = { 0 };
	struct handle h;
	int err = handle_lookup(a->a, &h);

	if (err)
		return err;
	info.type = h.object->type;
	info.rights = h.rights;
	info.koid = h.object->koid;
	info.cloexec = h.cloexec;
	info.refs = h.object->refs;
	return copy_to_user(a->b, &info, sizeof(info));
}

/* ----------------------------------------------------------- ports and events */

static int64_t sys_port_create(const struct args *a)
{
	struct port *p;
	int err;

	(void)a;
	if (current_process()->flags & X_PROC_LINUX)
		return -X_EPERM; /* a program must not pose as a server */
	err = port_create(&p);
	if (err)
		return err;
	return object_hand_out(&p->obj, X_R_RECEIVE | X_R_CALL | X_R_MANAGE | X_R_DUP | X_R_TRANSFER | X_R_WAIT);
}

static int64_t sys_port_reset(const struct args *a)
{
	int err;
	struct object *o = handle_get(a->a, X_TYPE_PORT, X_R_MANAGE, &err);

	if (!o)
		return err;
	port_reset(container_of(o, struct port, obj));
	object_unref(o);
	return 0;
}

static int64_t sys_event_create(const struct args *a)
{
	struct event *e;
	int err = event_create(&e);

	(void)a;
	if (err)
		return err;
	return object_hand_out(&e->obj, X_R_READ | X_R_WRITE | X_R_WAIT | X_R_DUP | X_R_TRANSFER);
}

static int64_t sys_event_signal(const struct args *a)
{
	int err;
	struct object *o = handle_get(a->a, X_TYPE_EVENT, X_R_WRITE, &err);

	if (!o)
		return err;
	event_signal(o, a->b);
	object_unref(o);
	return 0;
}

static int64_t sys_event_take(const struct args *a)
{
	int err;
	struct object *o = handle_get(a->a, X_TYPE_EVENT, X_R_READ, &err);
	struct event *e;
	uint64_t taken;

	if (!o)
		return err;
	e = container_of(o, struct event, obj);
	taken = e->bits & a->b;
	e->bits &= ~taken;
	object_unref(o);
	return taken;
}

static int64_t sys_clock(const struct args *a)
{
	struct thread *t = current();

	switch (a->a) {
	case X_CLOCK_MONOTONIC:
		return arch_time_ns();
	case X_CLOCK_REALTIME:
		return arch_realtime_ns();
	case X_CLOCK_PROCESS:
		return process_cpu_ns(t->process);
	}
	return -X_EINVAL;
}

/* --------------------------------------------------------------------- memory */

/* The address space named by X_SELF, a process or a space handle; referenced. */
static struct space *space_get(uint32_t h, int *err)
{
	struct space *s = current_process()->space;
	struct object *o;

	*err = 0;
	if (h == X_SELF) {
		object_ref(&s->obj);
		return s;
	}
	o = handle_get(h, X_TYPE_NONE, X_R_MANAGE, err);
	if (!o)
		return NULL;
	if (o->type == X_TYPE_SPACE)
		return container_of(o, struct space, obj);
	if (o->type != X_TYPE_PROCESS) {
		*err = -X_EWRONGTYPE;
		object_unref(o);
		return NULL;
	}
	s = container_of(o, struct process, obj)->space;
	object_ref(&s->obj);
	object_unref(o);
	return s;
}

static struct memory *memory_get(uint32_t h, uint32_t rights, int *err)
{
	struct object *o = handle_get(h, X_TYPE_MEMORY, rights, err);

	return o ? container_of(o, struct memory, obj) : NULL;
}

static int64_t sys_mem_create(const struct args *a)
{
	struct x_mem_create c;
	struct object *port = NULL;
	struct memory *m;
	int err;

	if (copy_from_user(&c, a->a, sizeof(c)))
		return -X_EFAULT;
	if (c.flags & X_MEM_PAGED) {
		port = handle_get(c.port, X_TYPE_PORT, X_R_RECEIVE, &err);
		if (!port)
			return err;
	}
	err = memory_create(&c, port ? container_of(port, struct port, obj) : NULL, &m);
	if (port)
		object_unref(port);
	return err ? err : object_hand_out(&m->obj, NATIVE_RIGHTS_MEMORY | (port ? X_R_MANAGE : 0));
}

static uint32_t rights_for_mapping(const struct x_mem_map *m)
{
	uint32_t rights = 0;

	if (m->prot) /* no page of x86 can be written or run and not read */
		rights |= X_R_READ;
	if ((m->prot & X_PROT_WRITE) && !(m->flags & X_MAP_PRIVATE))
		rights |= X_R_WRITE;
	if (m->prot & X_PROT_EXEC)
		rights |= X_R_EXEC;
	return rights;
}

/* What a mapping may later be raised to: what the handle allows. */
static uint32_t max_prot(uint32_t h, uint32_t flags)
{
	struct handle held;

	if (handle_lookup(h, &held))
		return 0;
	return (held.rights & X_R_READ ? X_PROT_READ : 0) |
	       ((held.rights & X_R_WRITE) || (flags & X_MAP_PRIVATE) ? X_PROT_WRITE : 0) |
	       (held.rights & X_R_EXEC ? X_PROT_EXEC : 0);
}

static int64_t sys_mem_map(const struct args *a)
{
	struct x_mem_map m;
	struct memory *mem = NULL;
	struct space *s;
	int64_t result;
	int err;

	if (copy_from_user(&m, a->a, sizeof(m)))
		return -X_EFAULT;
	if (m.prot & ~(X_PROT_READ | X_PROT_WRITE | X_PROT_EXEC))
		return -X_EINVAL;
	s = space_get(m.space, &err);
	if (!s)
		return err;
	if (m.memory != X_NO_HANDLE) {
		uint32_t most = max_prot(m.memory, m.flags);

		mem = memory_get(m.memory, rights_for_mapping(&m), &err);
		if (!mem) {
			object_unref(&s->obj);
			return err;
		}
		m.prot |= SPACE_MAX_PROT(most);
	}
	result = space_map(s, &m, mem);
	if (mem)
		object_unref(&mem->obj);
	object_unref(&s->obj);
	return result;
}

static int64_t sys_mem_unmap(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_unmap(s, a->b, a->c);
	object_unref(&s->obj);
	return err;
}

static int64_t sys_mem_protect(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_protect(s, a->b, a->c, a->d);
	object_unref(&s->obj);
	return err;
}

static int64_t sys_mem_query(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);
	struct x_mem_region r;

	if (!s)
		return err;
	err = space_query(s, a->b, &r);
	object_unref(&s->obj);
	return err ? err : copy_to_user(a->c, &r, sizeof(r));
}

static int64_t sys_mem_supply(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);

	if (!m)
		return err;
	err = memory_supply(m, a->b, a->c, a->d, (int)a->e);
	object_unref(&m->obj);
	return err;
}

static int64_t sys_mem_copy(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, a->e ? X_R_WRITE : X_R_READ, &err);

	if (!m)
		return err;
	err = memory_copy(m, a->b, a->c, a->d, a->e != 0);
	object_unref(&m->obj);
	return err;
}

static int64_t sys_mem_content(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);
	int64_t result;

	if (!m)
		return err;
	result = content_control(m, a->b, a->c, a->d);
	object_unref(&m->obj);
	return result;
}

static int64_t sys_mem_clean(const struct args *a)
{
	struct x_dirty d;
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);
	int64_t result = -X_EFAULT;

	if (!m)
		return err;
	if (!copy_from_user(&d, a->b, sizeof(d)))
		result = content_clean(m, &d);
	if (result > 0) {
		d.addr = 0;
		d.len = result;
	}
	if (result >= 0 && copy_to_user(a->b, &d, sizeof(d)))
		result = -X_EFAULT;
	object_unref(&m->obj);
	return result;
}

static int64_t sys_mem_state(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);
	struct x_content_info i;

	if (!m)
		return err;
	i = (struct x_content_info){ m->resident, m->dirty, m->read_ns, m->written_ns };
	m->read_ns = m->written_ns = 0;
	object_unref(&m->obj);
	return copy_to_user(a->b, &i, sizeof(i));
}

static int64_t sys_mem_move(const struct args *a)
{
	return space_move(current_process()->space, a->a, a->b, a->c, a->d, a->e);
}

static int64_t sys_space_create(const struct args *a)
{
	struct space *s;
	int err = space_create(false, &s);

	(void)a;
	return err ? err : object_hand_out(&s->obj, X_R_MANAGE | X_R_DUP);
}

static int64_t sys_space_copy(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_copy(s, a->b, a->c, a->d, a->e != 0);
	object_unref(&s->obj);
	return err;
}

/* ------------------------------------------------------------------ processes */

static struct process *process_get(uint32_t h, uint32_t rights, int *err)
{
	struct object *o;

	if (h == X_SELF) {
		object_ref(&current_process()->obj);
		return current_process();
	}
	o = handle_get(h, X_TYPE_PROCESS, rights, err);
	return o ? container_of(o, struct process, obj) : NULL;
}

static int64_t sys_proc_create(const struct args *a)
{
	struct process *p;
	char name[16];
	int err = resource_check(a->a, X_R_EXEC);

	if (err)
		return err;
	for (uint32_t i = 0; i < sizeof(name); i++) {
		if (copy_from_user(name + i, a->b + i, 1))
			return -X_EFAULT;
		if (!name[i])
			break;
		if (name[i] < ' ' || name[i] > '~') /* it ends up in the log */
			name[i] = '?';
	}
	name[sizeof(name) - 1] = 0;
	/* To run before oneself is more than the right to make processes. */
	if (a->d < current_process()->band)
		err = resource_check(a->a, X_R_MANAGE);
	if (!err)
		err = process_create(name, a->c, a->d, &p);
	return err ? err : object_hand_out(&p->obj, X_R_MANAGE | X_R_WAIT | X_R_DUP | X_R_TRANSFER);
}

static int64_t sys_proc_handle(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);
	uint32_t slot = a->b;
	struct handle *h;
	int64_t result = -X_ENOENT;

	if (!p)
		return err;
	h = a->c ? handle_slot(&p->handles, slot) : handle_after(&p->handles, &slot);
	if (h && a->c && !(h->rights & X_R_TRANSFER)) {
		result = -X_ERIGHTS;
	} else if (h && a->c) {
		object_ref(h->object);
		result = object_hand_out(h->object, h->rights);
	} else if (h) {
		result = slot;
	}
	object_unref(&p->obj);
	return result;
}

static int64_t sys_proc_grant(const struct args *a)
{
	struct handle h, copy;
	struct process *p;
	int err = handle_lookup(a->b, &h);

	if (err)
		return err;
	if (!(h.rights & X_R_TRANSFER))
		return -X_ERIGHTS;
	p = process_get(a->a, X_R_MANAGE, &err);
	if (!p)
		return err;
	if (p->dying) {
		object_unref(&p->obj);
		return -X_ESRCH;
	}
	copy = handle_hold(h.object, a->c ? h.rights & a->c : h.rights);
	err = handle_install_at(p, copy, a->d);
	if (err)
		handle_drop(copy);
	object_unref(&p->obj);
	return err;
}

static int64_t sys_proc_exec(const struct args *a)
{
	struct x_proc_exec e;
	struct object *space;
	struct handle consumed;
	struct process *p;
	int err;

	if (copy_from_user(&e, a->a, sizeof(e)))
		return -X_EFAULT;
	p = process_get(e.process, X_R_MANAGE, &err);
	if (!p)
		return err;
	space = handle_get(e.space, X_TYPE_SPACE, X_R_MANAGE, &err);
	if (space) {
		err = process_exec(p, container_of(space, struct space, obj), &e);
		if (!err && !handle_remove(current_process(), e.space, &consumed))
			handle_drop(consumed);
		object_unref(space);
	}
	object_unref(&p->obj);
	return err;
}

static int64_t sys_proc_kill(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	process_kill(p, X_DEATH_KILLED, (int)a->b);
	object_unref(&p->obj);
	return 0;
}

static int64_t sys_proc_reset(const struct args *a)
{
	struct x_thread_create c;
	struct process *p;
	int err;

	if (copy_from_user(&c, a->b, sizeof(c)))
		return -X_EFAULT;
	p = process_get(a->a, X_R_MANAGE, &err);
	if (!p)
		return err;
	err = process_reset(p, &c);
	object_unref(&p->obj);
	return err;
}

static int64_t sys_proc_suspend(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	process_suspend(p, a->b != 0);
	object_unref(&p->obj);
	return 0;
}

static int64_t sys_proc_info(const struct args *a)
{
	struct x_proc_info i = { 0 };
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	i.koid = p->obj.koid;
	i.state = p->state;
	i.death = p->death;
	i.status = p->status;
	i.threads = p->thread_count;
	i.cpu_user_ns = process_cpu_ns(p);
	i.ran_ns = p->ran_ns;
	i.resident_pages = p->space->resident_pages;
	i.handles = p->handles.used;
	i.vector = p->vector;
	i.fault_rip = p->fault_regs.rip;
	i.fault_address = p->fault_address;
	i.fault_error = p->fault_error;
	i.fault_regs = p->fault_regs;
	memcpy(i.backtrace, p->fault_backtrace, sizeof(i.backtrace));
	i.start_ns = p->start_ns;
	list_for_each(t, &p->threads, struct thread, process_link)
		i.runnable += t->state == THREAD_READY || t->state == THREAD_RUNNING;
	list_for_each(r, &p->space->regions, struct region, link)
		i.mapped_pages += (r->end - r->start) / PAGE_SIZE;
	memcpy(i.name, p->name, sizeof(i.name));
	object_unref(&p->obj);
	return copy_to_user(a->b, &i, sizeof(i));
}

static int64_t sys_proc_exit(const struct args *a)
{
	process_kill(current_process(), X_DEATH_EXIT, (int)a->a);
	return 0;
}

static int64_t sys_thread_create(const struct args *a)
{
	struct x_thread_create c;
	struct x_regs regs;
	struct process *p;
	int64_t id;
	int err;

	if (copy_from_user(&c, a->a, sizeof(c)))
		return -X_EFAULT;
	if (c.regs && copy_from_user(&regs, c.regs, sizeof(regs)))
		return -X_EFAULT;
	p = process_get(c.process, X_R_MANAGE, &err);
	if (!p)
		return err;
	id = process_add_thread(p, &c, c.regs ? &regs : NULL);
	object_unref(&p->obj);
	return id;
}

static int64_t sys_thread_affinity(const struct args *a)
{
	struct thread *t = NULL;
	uint64_t online = 0, was;
	struct process *p;
	int err;

	for (uint32_t i = 0; i < cpu_count; i++)
		online |= (uint64_t)cpus[i].online << i;
	if (a->c && !(a->c & online))
		return -X_EINVAL;
	p = process_get(a->a, X_R_MANAGE, &err);
	if (!p)
		return err;
	list_for_each(it, &p->threads, struct thread, process_link)
		if (a->b ? it->id == (uint32_t)a->b : it == current())
			t = it;
	object_unref(&p->obj);
	if (!t)
		return -X_ESRCH;
	was = t->affinity ? t->affinity : online;
	if (a->c)
		sched_set_affinity(t, a->c & online);
	return (int64_t)was;
}

static int64_t sys_thread_exit(const struct args *a)
{
	struct thread *t = current();

	if (t->process->thread_count == 1)
		return sys_proc_exit(&(struct args){ 0 });
	if (a->a && !copy_to_user(a->a, &(uint32_t){ 0 }, sizeof(uint32_t)))
		sys_futex_wake(a->a, 1, ~0u, 0, 0);
	t->killed = true; /* it ends on the way out */
	return 0;
}

static int64_t sys_thread_set_fs(const struct args *a)
{
	if (a->a >= X_USER_MAX)
		return -X_EPERM;
	current()->fs_base = a->a;
	arch_set_fs_base(a->a);
	return 0;
}

/* -------------------------------------------------------------- notifications */

static int64_t sys_notify_post(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	err = process_notify(p, a->b, a->c);
	object_unref(&p->obj);
	return err;
}

static int64_t sys_notify_mask(const struct args *a)
{
	struct thread *t = current();
	uint64_t pending = t->pending | t->process->pending;

	thread_set_mask(t, a->a);
	return a->b ? copy_to_user(a->b, &pending, sizeof(pending)) : 0;
}

static int64_t sys_notify_take(const struct args *a)
{
	return thread_take_notifications(current(), a->a) != 0;
}

static int64_t sys_notify_ignore(const struct args *a)
{
	struct process *p = current_process();

	p->ignore = a->a;
	p->pending &= ~a->a;
	list_for_each(t, &p->threads, struct thread, process_link)
		t->pending &= ~a->a;
	return 0;
}

/* --------------------------------------------------------------- log, system */

static int64_t sys_log_write(const struct args *a)
{
	char text[256];
	uint64_t len = MIN(a->b, sizeof(text));

	if (copy_from_user(text, a->a, len))
		return -X_EFAULT;
	klog_text(text, len);
	return len;
}

static int64_t sys_log_read(const struct args *a)
{
	char text[512];
	uint64_t next = a->a;
	int64_t n = klog_read(a->a, text, MIN(a->c, sizeof(text)), &next);

	if (n > 0 && copy_to_user(a->b, text, n))
		return -X_EFAULT;
	if (a->d && copy_to_user(a->d, &next, sizeof(next)))
		return -X_EFAULT;
	return n;
}

static int64_t sys_system(const struct args *a)
{
	int err = resource_check(a->a, X_R_MANAGE);

	if (err)
		return err;
	switch (a->b) {
	case X_SYS_POWEROFF:
		klog("power off\n");
		arch_poweroff();
		return -X_EIO;
	case X_SYS_REBOOT:
		klog("reboot\n");
		arch_reboot();
	case X_SYS_PCI_COMMAND:
		device_command((a->c >> 16) & 0xffff, a->c & 0xffff);
		return 0;
	case X_SYS_LOG_MIRROR:
		log_mirror(a->c != 0);
		return 0;
	case X_SYS_PANIC:
		panic("asked for by user space");
	}
	return -X_EINVAL;
}

static int64_t sys_system_info(const struct args *a)
{
	struct x_system_info i = { 0 };

	i.cpus = cpu_count;
	i.cpus_online = cpus_online;
	i.iommu = arch_iommu_on();
	i.memory_bytes = frame_total() * PAGE_SIZE;
	i.free_bytes = frame_free_count() * PAGE_SIZE;
	i.realtime_offset_ns = arch_realtime_ns() - arch_time_ns();
	for (uint32_t c = 0; c < cpu_count; c++) {
		i.idle_ns += cpus[c].idle_ns;
		i.context_switches += cpus[c].switches;
	}
	list_for_each(p, &all_processes, struct process, all_link) {
		i.processes += p->state != X_PROC_DEAD;
		i.threads += p->thread_count;
	}
	memcpy(i.objects, object_counts, sizeof(i.objects));
	i.tsc_khz = arch_tsc_khz();
	i.rsdp = boot_info.rsdp_paddr;
	strlcpy(i.version, XINIM_VERSION, sizeof(i.version));
	return copy_to_user(a->a, &i, sizeof(i));
}

static int64_t sys_yield(const struct args *a)
{
	(void)a;
	this_cpu()->need_resched = true;
	return 0;
}

/* ------------------------------------------------------------------- dispatch */

#define PASS1(name, fn) static int64_t call_##name(const struct args *a) { return fn(a->a); }
#define PASS2(name, fn) static int64_t call_##name(const struct args *a) { return fn(a->a, a->b); }
#define PASS3(name, fn) static int64_t call_##name(const struct args *a) { return fn(a->a, a->b, a->c); }
#define PASS4(name, fn) static int64_t call_##name(const struct args *a) { return fn(a->a, a->b, a->c, a->d); }
#define PASS5(name, fn) static int64_t call_##name(const struct args *a) { return fn(a->a, a->b, a->c, a->d, a->e); }

PASS2(port_info, sys_port_info)
PASS5(mint, sys_mint)
PASS2(call, sys_call)
PASS2(commit_receive, sys_commit_receive)
PASS2(window_copy_call, sys_window_copy)
PASS3(object_ctl, sys_object_ctl)
PASS4(wait_call, sys_wait)
PASS3(bind, sys_bind)
PASS1(proc_fork, sys_proc_fork)
PASS2(resume, sys_resume)
PASS4(futex_wait, sys_futex_wait)
PASS5(futex_wake, sys_futex_wake)
PASS1(device_create, sys_device_create)
PASS4(device_map, sys_device_map)
PASS5(device_config, sys_device_config)
PASS4(device_irq, sys_device_irq)
PASS3(device_ctl, sys_device_ctl)
PASS1(dma_map, sys_dma_map)
PASS4(window_lend, sys_window_lend)
PASS1(dma_window, sys_dma_window)
PASS2(dma_release, sys_dma_release)
PASS3(ioports_create, sys_ioports_create)
PASS5(ioport, sys_ioport)
PASS4(ioport_write, sys_ioport_write)
PASS4(irq_create, sys_irq_create)
PASS1(irq_ack, sys_irq_ack)
PASS3(memory_physical, sys_memory_physical)
PASS3(port_dirty, sys_port_dirty)
PASS5(stream_set, sys_stream_set)
PASS5(stream, sys_stream)
PASS5(waitset_ctl, sys_waitset_ctl)
PASS5(waitset_wait, sys_waitset_wait)

static int64_t call_waitset_create(const struct args *a)
{
	(void)a;
	return sys_waitset_create();
}

typedef int64_t (*syscall_fn)(const struct args *a);

static const syscall_fn table[X_SYSCALL_COUNT] = {
	[X_SYS_null] = sys_null,
	[X_SYS_handle_close] = sys_handle_close,
	[X_SYS_handle_dup] = sys_handle_dup,
	[X_SYS_handle_cloexec] = sys_handle_cloexec,
	[X_SYS_handle_info] = sys_handle_info,
	[X_SYS_port_create] = sys_port_create,
	[X_SYS_port_info] = call_port_info,
	[X_SYS_port_reset] = sys_port_reset,
	[X_SYS_mint] = call_mint,
	[X_SYS_call] = call_call,
	[X_SYS_commit_receive] = call_commit_receive,
	[X_SYS_window_copy] = call_window_copy_call,
	[X_SYS_object_ctl] = call_object_ctl,
	[X_SYS_wait] = call_wait_call,
	[X_SYS_event_create] = sys_event_create,
	[X_SYS_event_signal] = sys_event_signal,
	[X_SYS_event_take] = sys_event_take,
	[X_SYS_bind] = call_bind,
	[X_SYS_clock] = sys_clock,
	[X_SYS_mem_create] = sys_mem_create,
	[X_SYS_mem_map] = sys_mem_map,
	[X_SYS_mem_unmap] = sys_mem_unmap,
	[X_SYS_mem_protect] = sys_mem_protect,
	[X_SYS_mem_query] = sys_mem_query,
	[X_SYS_mem_supply] = sys_mem_supply,
	[X_SYS_mem_copy] = sys_mem_copy,
	[X_SYS_mem_move] = sys_mem_move,
	[X_SYS_space_create] = sys_space_create,
	[X_SYS_space_copy] = sys_space_copy,
	[X_SYS_proc_create] = sys_proc_create,
	[X_SYS_proc_grant] = sys_proc_grant,
	[X_SYS_proc_fork] = call_proc_fork,
	[X_SYS_proc_exec] = sys_proc_exec,
	[X_SYS_proc_kill] = sys_proc_kill,
	[X_SYS_proc_suspend] = sys_proc_suspend,
	[X_SYS_proc_info] = sys_proc_info,
	[X_SYS_proc_exit] = sys_proc_exit,
	[X_SYS_thread_create] = sys_thread_create,
	[X_SYS_thread_exit] = sys_thread_exit,
	[X_SYS_thread_set_fs] = sys_thread_set_fs,
	[X_SYS_notify_post] = sys_notify_post,
	[X_SYS_notify_mask] = sys_notify_mask,
	[X_SYS_notify_ignore] = sys_notify_ignore,
	[X_SYS_resume] = call_resume,
	[X_SYS_futex_wait] = call_futex_wait,
	[X_SYS_futex_wake] = call_futex_wake,
	[X_SYS_yield] = sys_yield,
	[X_SYS_log_write] = sys_log_write,
	[X_SYS_log_read] = sys_log_read,
	[X_SYS_system] = sys_system,
	[X_SYS_system_info] = sys_system_info,
	[X_SYS_device_create] = call_device_create,
	[X_SYS_device_map] = call_device_map,
	[X_SYS_device_config] = call_device_config,
	[X_SYS_device_irq] = call_device_irq,
	[X_SYS_device_ctl] = call_device_ctl,
	[X_SYS_dma_map] = call_dma_map,
	[X_SYS_window_lend] = call_window_lend,
	[X_SYS_dma_window] = call_dma_window,
	[X_SYS_dma_release] = call_dma_release,
	[X_SYS_ioports_create] = call_ioports_create,
	[X_SYS_ioport] = call_ioport,
	[X_SYS_ioport_write] = call_ioport_write,
	[X_SYS_irq_create] = call_irq_create,
	[X_SYS_irq_ack] = call_irq_ack,
	[X_SYS_memory_physical] = call_memory_physical,
	[X_SYS_proc_reset] = sys_proc_reset,
	[X_SYS_mem_content] = sys_mem_content,
	[X_SYS_mem_clean] = sys_mem_clean,
	[X_SYS_mem_state] = sys_mem_state,
	[X_SYS_port_dirty] = call_port_dirty,
	[X_SYS_stream_set] = call_stream_set,
	[X_SYS_stream] = call_stream,
	[X_SYS_notify_take] = sys_notify_take,
	[X_SYS_proc_handle] = sys_proc_handle,
	[X_SYS_waitset_create] = call_waitset_create,
	[X_SYS_waitset_ctl] = call_waitset_ctl,
	[X_SYS_waitset_wait] = call_waitset_wait,
	[X_SYS_thread_affinity] = sys_thread_affinity,
};

/* What an outbox may hold as X_OUT_DO: effects on others, and unmapping. */
bool syscall_may_defer(uint64_t number)
{
	return number == X_SYS_mem_content || number == X_SYS_stream_set ||
	       (number < 64 &&
	       (1ull << X_SYS_proc_kill | 1ull << X_SYS_proc_suspend | 1ull << X_SYS_proc_exec |
		1ull << X_SYS_proc_reset | 1ull << X_SYS_proc_grant | 1ull << X_SYS_thread_create |
		1ull << X_SYS_notify_post | 1ull << X_SYS_mem_unmap | 1ull << X_SYS_mem_supply |
		1ull << X_SYS_mem_copy | 1ull << X_SYS_port_reset | 1ull << X_SYS_system |
		1ull << X_SYS_device_ctl | 1ull << X_SYS_event_take) >> number & 1);
}

void syscall_deferred(uint64_t number, const uint64_t *v)
{
	if (syscall_may_defer(number)) /* the entry may have changed since it was checked */
		table[number](&(struct args){ .a = v[0], .b = v[1], .c = v[2], .d = v[3], .e = v[4] });
}

static bool is_native(const struct thread *t, const struct x_regs *regs)
{
	const struct process *p = t->process;

	return !(p->flags & X_PROC_LINUX) ||
	       (regs->rip > p->personality.base && regs->rip <= p->personality.end);
}

void trap_syscall(struct x_regs *regs)
{
	if (!is_native(current(), regs))
		thread_upcall(X_UP_SYSCALL, 0, 0, 0);
	else if (regs->rax < X_SYSCALL_COUNT)
		regs->rax = (uint64_t)table[regs->rax]((const struct args *)regs);
	else
		regs->rax = (uint64_t)-X_ENOSYS;
}
