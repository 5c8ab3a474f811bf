/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls: the table, and those about handles, ports, events, the log and the
 * system as a whole.
 */
#include "device.h"
#include "resource.h"
#include "sched.h"
#include "syscall.h"

/* --------------------------------------------------------------------- handles */

int64_t call_null(const struct args *a)
{
	(void)a;
	return 0;
}

int64_t call_handle_close(const struct args *a)
{
	struct handle h;
	int err = handle_remove(current_process(), a->a, &h);

	if (!err)
		handle_drop(h);
	return err;
}

int64_t call_handle_dup(const struct args *a)
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

int64_t call_handle_cloexec(const struct args *a)
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

int64_t call_handle_info(const struct args *a)
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

int64_t call_port_create(const struct args *a)
{
	struct port *p;
	int err;

	(void)a;
	err = port_create(&p);
	if (err)
		return err;
	/* For the answers to what it starts: a program must not pose as a server. */
	if (current_process()->flags & X_PROC_LINUX)
		return object_hand_out(&p->obj, X_R_RECEIVE);
	return object_hand_out(&p->obj, X_R_RECEIVE | X_R_CALL | X_R_MANAGE | X_R_DUP | X_R_TRANSFER | X_R_WAIT);
}

int64_t call_port_reset(const struct args *a)
{
	int err;
	struct object *o = handle_get(a->a, X_TYPE_PORT, X_R_MANAGE, &err);

	if (!o)
		return err;
	port_reset(container_of(o, struct port, obj));
	object_unref(o);
	return 0;
}

int64_t call_event_create(const struct args *a)
{
	struct event *e;
	int err = event_create(&e);

	(void)a;
	if (err)
		return err;
	return object_hand_out(&e->obj, X_R_READ | X_R_WRITE | X_R_WAIT | X_R_DUP | X_R_TRANSFER);
}

int64_t call_event_signal(const struct args *a)
{
	int err;
	struct object *o = handle_borrow(&current_process()->handles, a->a, X_TYPE_EVENT, X_R_WRITE, &err);

	if (o)
		event_signal(o, a->b);
	return err;
}

int64_t call_event_take(const struct args *a)
{
	int err;
	struct object *o = handle_borrow(&current_process()->handles, a->a, X_TYPE_EVENT, X_R_READ, &err);
	struct event *e = container_of(o, struct event, obj);
	uint64_t taken;

	if (!o)
		return err;
	taken = e->bits & a->b;
	e->bits &= ~taken;
	return taken;
}

int64_t call_clock(const struct args *a)
{
	struct thread *t = current();
	int64_t ns;

	switch (a->a) {
	case X_CLOCK_MONOTONIC:
		return arch_time_ns();
	case X_CLOCK_REALTIME:
		return arch_realtime_ns();
	case X_CLOCK_PROCESS:
		kernel_lock();
		ns = process_cpu_ns(t->process);
		kernel_unlock();
		return ns;
	}
	return -X_EINVAL;
}

/* --------------------------------------------------------------- log, system */

int64_t call_log_write(const struct args *a)
{
	char text[256];
	uint64_t len = MIN(a->b, sizeof(text));

	if (copy_from_user(text, a->a, len))
		return -X_EFAULT;
	klog_text(text, len);
	return len;
}

int64_t call_log_read(const struct args *a)
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

int64_t call_system(const struct args *a)
{
	int err = resource_check(a->a, a->b == X_SYS_SET_REALTIME ? X_R_EXEC : X_R_MANAGE);

	if (err)
		return err;
	switch (a->b) {
	case X_SYS_SET_REALTIME:
		arch_set_realtime(a->c);
		return 0;
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

int64_t call_system_info(const struct args *a)
{
	struct x_system_info i = { 0 };

	i.cpus = cpu_count;
	i.cpus_online = cpus_online;
	i.iommu = arch_iommu_on();
	i.memory_bytes = frame_total() * PAGE_SIZE;
	i.free_bytes = frame_free_count() * PAGE_SIZE;
	i.realtime_offset_ns = arch_realtime_offset_ns();
	for (uint32_t c = 0; c < cpu_count; c++) {
		i.idle_ns += cpus[c].idle_ns;
		i.context_switches += cpus[c].switches;
		i.lock_waits += cpus[c].lock_waits;
		i.lock_wait_ns += cpus[c].lock_wait_ns;
		i.wakeups += cpus[c].wakeups;
		i.moved_bytes += cpus[c].moved_bytes;
	}
	list_for_each(p, &all_processes, struct process, all_link) {
		i.processes += p->state != X_PROC_DEAD;
		i.threads += p->thread_count;
	}
	memcpy(i.objects, object_counts, sizeof(i.objects));
	i.tsc_khz = arch_tsc_khz();
	arch_tsc_formula(&i.tsc_base, &i.ns_per_tsc_32);
	i.rsdp = boot_info.rsdp_paddr;
	strlcpy(i.version, XINIM_VERSION, sizeof(i.version));
	return copy_to_user(a->a, &i, sizeof(i));
}

int64_t call_yield(const struct args *a)
{
	uint32_t waiting = sched_waiting();

	(void)a;
	if (waiting) /* on another CPU: to be taken from it if this one idles */
		this_cpu()->need_resched = true;
	return waiting;
}

/* ------------------------------------------------------------------- dispatch */

#define PASS1(name, fn) int64_t call_##name(const struct args *a) { return fn(a->a); }
#define PASS2(name, fn) int64_t call_##name(const struct args *a) { return fn(a->a, a->b); }
#define PASS3(name, fn) int64_t call_##name(const struct args *a) { return fn(a->a, a->b, a->c); }
#define PASS4(name, fn) int64_t call_##name(const struct args *a) { return fn(a->a, a->b, a->c, a->d); }
#define PASS5(name, fn) int64_t call_##name(const struct args *a) { return fn(a->a, a->b, a->c, a->d, a->e); }

PASS2(port_info, sys_port_info)
PASS5(mint, sys_mint)
PASS2(call, sys_call)
PASS2(commit_receive, sys_commit_receive)
PASS2(window_copy, sys_window_copy)
PASS3(object_ctl, sys_object_ctl)
PASS4(wait, sys_wait)
PASS3(bind, sys_bind)
PASS1(proc_fork, sys_proc_fork)
PASS2(resume, sys_resume)
PASS4(futex_wait, sys_futex_wait)
PASS5(futex_wake, sys_futex_wake)
PASS2(thread_robust, sys_thread_robust)
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
PASS5(route, sys_route)
PASS5(flow_set, sys_flow_set)
PASS4(flow_state, sys_flow_state)
PASS2(flow_pipe, sys_flow_pipe)
PASS5(waitset_ctl, sys_waitset_ctl)
PASS5(waitset_wait, sys_waitset_wait)

int64_t call_stream(const struct args *a)
{
	return sys_stream(a->a, a->b, a->c, a->d, a->e, a->r9);
}

int64_t call_waitset_create(const struct args *a)
{
	(void)a;
	return sys_waitset_create();
}

const syscall_fn syscall_table[X_SYSCALL_COUNT] = {
#define ENTRY(name, number) [number] = call_##name,
	X_SYSCALLS(ENTRY)
#undef ENTRY
};

/* What an outbox may hold as X_OUT_DO: effects on others, and unmapping. */
bool syscall_may_defer(uint64_t number)
{
	return number == X_SYS_mem_content || number == X_SYS_stream_set || number == X_SYS_route ||
	       (number < 64 &&
	       (1ull << X_SYS_proc_kill | 1ull << X_SYS_proc_suspend | 1ull << X_SYS_proc_exec |
		1ull << X_SYS_proc_reset | 1ull << X_SYS_proc_grant | 1ull << X_SYS_thread_create |
		1ull << X_SYS_notify_post | 1ull << X_SYS_mem_unmap | 1ull << X_SYS_mem_supply |
		1ull << X_SYS_mem_copy | 1ull << X_SYS_port_reset | 1ull << X_SYS_system |
		1ull << X_SYS_device_ctl | 1ull << X_SYS_event_take) >> number & 1);
}

int64_t syscall_deferred(uint64_t number, const uint64_t *v)
{
	if (!syscall_may_defer(number)) /* the entry may have changed since it was checked */
		return -X_EINVAL;
	return syscall_table[number](&(struct args){ .a = v[0], .b = v[1], .c = v[2], .d = v[3], .e = v[4] });
}
