/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C wrappers of the native system calls (numbers and structures in abi.h).
 * Every one returns 0 or a positive result, or a negated error of error.h.
 * Any bad pointer is -X_EFAULT, any bad handle -X_EBADF, a handle of another
 * type -X_EWRONGTYPE, a missing right -X_ERIGHTS; further errors are named.
 */
#ifndef XINIM_SYSCALL_H
#define XINIM_SYSCALL_H

#include <xinim/abi.h>

#ifdef XINIM_FAKE_SYSCALLS /* unit tests that play the kernel */
int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
#else
#ifdef XINIM_WARM /* a server restarted warm can be made to die at its Nth entry to the kernel */
extern uint64_t x_entries_left; /* 0: not asked for; counts down to 1 */
void x_entry(void);
#endif
static inline int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c,
				 uint64_t d, uint64_t e, uint64_t f)
{
	int64_t result;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;

#ifdef XINIM_WARM
	if (__builtin_expect(x_entries_left != 0, 0))
		x_entry();
#endif
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#endif

#define X_CALL0(n)             x_syscall6(X_SYS_##n, 0, 0, 0, 0, 0, 0)
#define X_CALL1(n, a)          x_syscall6(X_SYS_##n, (uint64_t)(a), 0, 0, 0, 0, 0)
#define X_CALL2(n, a, b)       x_syscall6(X_SYS_##n, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define X_CALL3(n, a, b, c)    x_syscall6(X_SYS_##n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define X_CALL4(n, a, b, c, d) x_syscall6(X_SYS_##n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)
#define X_CALL5(n, a, b, c, d, e) \
	x_syscall6(X_SYS_##n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), 0)

/* Does nothing: what entering the kernel costs. */
static inline int64_t x_null(void) { return X_CALL0(null); }

/* ---- handles ---- */
static inline int64_t x_handle_close(x_handle_t h) { return X_CALL1(handle_close, h); }
/* A second handle with `rights` (subset; 0 = the same) at the lowest free slot
 * >= slot, or with X_DUP_EXACT in that slot. Returns the slot; -X_EMFILE. */
static inline int64_t x_handle_dup(x_handle_t h, uint32_t rights, uint32_t slot, uint32_t flags)
{ return X_CALL4(handle_dup, h, rights, slot, flags); }
/* set = 0/1 changes the close-on-exec mark, -1 leaves it; returns the old one. */
static inline int64_t x_handle_cloexec(x_handle_t h, int set) { return X_CALL2(handle_cloexec, h, set); }
static inline int64_t x_handle_info(x_handle_t h, struct x_handle_info *info) { return X_CALL2(handle_info, h, info); }

/* ---- ports and calls ---- */
/* A program's port is for the answers of calls that it starts, nothing else; at most
 * 1024 are under way at once (then the outbox is refused). */
static inline int64_t x_port_create(void) { return X_CALL0(port_create); }
/* X_R_RECEIVE. */
static inline int64_t x_port_info(x_handle_t port, struct x_port_info *i) { return X_CALL2(port_info, port, i); }
/* Cold start (X_R_MANAGE): objects minted so far become stale, open calls fail
 * with X_EDEAD, started calls are forgotten; calls still queued stay. */
static inline int64_t x_port_reset(x_handle_t port) { return X_CALL1(port_reset, port); }
/* A new object record with `id` (not 0, not in use: -X_EEXIST) on the port;
 * returns a handle with CALL|DUP|TRANSFER|WAIT. ready: initial readiness. */
static inline int64_t x_mint(x_handle_t port, uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags)
{ return X_CALL5(mint, port, id, flags, ready, status_flags); }
/* Calls with an operation in [first, last] on object `id` of the port (X_R_RECEIVE) go to the object
 * `to` (X_R_TRANSFER; X_NO_HANDLE: no more) of another port from now on, as if made on that, until
 * either is gone. in->object is that one's, cursor and status flags are those of the first. A call
 * that was not answered when the other port is reset comes back. -X_ENOENT: no such object; -X_EINVAL. */
static inline int64_t x_route(x_handle_t port, uint64_t id, x_handle_t to, uint32_t first, uint32_t last)
{ return X_CALL5(route, port, id, to, first, last); }
/* Call and wait for the answer. Returns answer status (msg.status). */
static inline int64_t x_call(x_handle_t h, struct x_call *c) { return X_CALL2(call, h, c); }
/* End the iteration: apply the outbox all at once, then receive. Returns the
 * number of items in `in`, 0 at the deadline, -X_EINTR (programs) when a
 * notification is pending; -X_EPROTO with out_error set if
 * an entry is malformed (then nothing of the outbox was applied). */
static inline int64_t x_commit_receive(x_handle_t port, struct x_commit *c) { return X_CALL2(commit_receive, port, c); }
/* Returns bytes copied (short at the end of a window); -X_ENOENT: no such open call. */
static inline int64_t x_window_copy(x_handle_t port, const struct x_window_copy *c) { return X_CALL2(window_copy, port, c); }
static inline int64_t x_object_ctl(x_handle_t h, uint32_t op, uint64_t value) { return X_CALL3(object_ctl, h, op, value); }
/* Wait until one item is ready: returns how many are, 0 at the deadline,
 * -X_EINTR when a notification outside `mask` is pending. mask: address of a
 * temporary notification mask, or 0. */
static inline int64_t x_wait(struct x_wait_item *items, uint32_t count, uint64_t deadline_ns, const uint64_t *mask)
{ return X_CALL4(wait, items, count, deadline_ns, mask); }

/* An empty wait set, itself waitable: X_READY_IN while an entry is ready. */
static inline int64_t x_waitset_create(void) { return X_CALL0(waitset_create); }
/* An entry is a handle's number and the object behind it: -X_EEXIST, -X_ENOENT;
 * -X_EPERM: cannot be waited for (a seekable file); -X_ELOOP: sets in a circle or
 * too deep; -X_ENOSPC. It goes when the object's last handle is closed. */
static inline int64_t x_waitset_ctl(x_handle_t set, uint32_t op, x_handle_t h, uint64_t what, uint64_t data)
{ return X_CALL5(waitset_ctl, set, op, h, what, data); }
/* Returns how many events were stored, 0 at the deadline, -X_EINTR. */
static inline int64_t x_waitset_wait(x_handle_t set, struct x_waitset_event *events, uint32_t max, uint64_t deadline_ns,
				     const uint64_t *mask)
{ return X_CALL5(waitset_wait, set, events, max, deadline_ns, mask); }

/* ---- events ---- */
static inline int64_t x_event_create(void) { return X_CALL0(event_create); }
static inline int64_t x_event_signal(x_handle_t e, uint64_t bits) { return X_CALL2(event_signal, e, bits); }
/* Returns and clears the bits in mask. */
static inline int64_t x_event_take(x_handle_t e, uint64_t mask) { return X_CALL2(event_take, e, mask); }
/* Deliver what happens to h as X_IN_EVENT with `cookie` at the port: bits of an
 * event (taken), readiness of an object (X_READY_DEAD included), 1 for the
 * death of a process or for a device that the IOMMU stopped (needs X_R_MANAGE).
 * One binding an object; again = replace; port
 * X_NO_HANDLE = unbind. */
static inline int64_t x_bind(x_handle_t h, x_handle_t port, uint64_t cookie) { return X_CALL3(bind, h, port, cookie); }

/* ---- time ---- */
static inline int64_t x_clock(uint32_t which) { return X_CALL1(clock, which); }

/* ---- memory ---- */
static inline int64_t x_mem_create(const struct x_mem_create *c) { return X_CALL1(mem_create, c); }
static inline int64_t x_mem_map(const struct x_mem_map *m) { return X_CALL1(mem_map, m); }
static inline int64_t x_mem_unmap(x_handle_t space, uint64_t addr, uint64_t len) { return X_CALL3(mem_unmap, space, addr, len); }
static inline int64_t x_mem_protect(x_handle_t space, uint64_t addr, uint64_t len, uint32_t prot) { return X_CALL4(mem_protect, space, addr, len, prot); }
/* Sets and clears X_MAP_LOCKED, WIPE, NOFORK of what is mapped in the range. -X_ENOMEM:
 * not all of it is, or no memory for what is to be locked; -X_EINVAL: WIPE of other
 * than private anonymous memory, or the range. */
static inline int64_t x_mem_advise(x_handle_t space, uint64_t addr, uint64_t len, uint32_t set, uint32_t clear)
{ return X_CALL5(mem_advise, space, addr, len, set, clear); }
static inline int64_t x_mem_query(x_handle_t space, uint64_t addr, struct x_mem_region *r) { return X_CALL3(mem_query, space, addr, r); }
/* Pager: put `len` bytes from src (0: zeroes) into missing pages (rest of the last
 * page zeroed), or fail them for the waiting threads with status < 0. status
 * X_SUPPLY_BACKED: those there already become BACKED too. */
static inline int64_t x_mem_supply(x_handle_t memory, uint64_t offset, const void *src, uint64_t len, int status)
{ return X_CALL5(mem_supply, memory, offset, src, len, status); }
/* Pager only (X_R_MANAGE, for all of these); see enum x_content_op. */
static inline int64_t x_mem_content(x_handle_t memory, uint32_t op, uint64_t offset, uint64_t len)
{ return X_CALL4(mem_content, memory, op, offset, len); }
/* Pager: clean a run of dirty pages. Returns its bytes, 0 if none is dirty from there on. */
static inline int64_t x_mem_clean(x_handle_t memory, struct x_dirty *d) { return X_CALL2(mem_clean, memory, d); }
static inline int64_t x_mem_state(x_handle_t memory, struct x_content_info *i) { return X_CALL2(mem_state, memory, i); }
/* Dirty pages of all objects of the port (X_R_RECEIVE); from `limit` on, writers ask
 * before they dirty another (UINT64_MAX: no limit). *id: of an object that has some,
 * each time the next; 0: none. */
static inline int64_t x_port_dirty(x_handle_t port, uint64_t limit, uint64_t *id) { return X_CALL3(port_dirty, port, limit, id); }
/* The open file `id` of the port reads and writes (flags) the content of `memory`
 * without its server; not if status flags of `refuse` are set. */
static inline int64_t x_stream_set(x_handle_t port, uint64_t id, x_handle_t memory, uint32_t flags, uint32_t refuse)
{ return X_CALL5(stream_set, port, id, memory, flags, refuse); }
/* Read or write at an offset (-1: at the cursor, which moves). Returns bytes: fewer
 * than asked for at the content's end, before what needs a call, and after
 * X_STREAM_MAX. -X_EWAIT: nothing is done, a call is needed. Waits only for missing pages. */
static inline int64_t x_stream(x_handle_t h, uint32_t op, void *buf, uint64_t len, int64_t offset)
{ return X_CALL5(stream, h, op, buf, len, offset); }
/* The same of an object with flows, which has no offsets; waits for extents: -X_EINTR, -X_EAGAIN
 * (see X_STREAM_NOWAIT; or the flow's timeout). A datagram received: its length, which may be more
 * than len, then cut; *from (may be NULL): its sender. */
static inline int64_t x_stream_flow(x_handle_t h, uint32_t op, void *buf, uint64_t len, struct x_flow_address *from)
{
	return x_syscall6(X_SYS_stream, h, op | X_STREAM_FLOW, (uint64_t)buf, len, (uint64_t)-1, (uint64_t)from);
}
/* The object `id` of the port gets a flow, stopped and empty; with status flags of `nowait`
 * set nobody waits. Harmless if done twice. -X_ENOENT; -X_EEXIST: there is one in use;
 * -X_EINVAL: which, or a paged memory object. */
static inline int64_t x_flow_set(x_handle_t port, uint64_t id, uint32_t which, x_handle_t memory, uint32_t nowait)
{ return X_CALL5(flow_set, port, id, which, memory, nowait); }
/* Two objects of the port get a pipe between them, stopped and empty. Again: of other memory. */
static inline int64_t x_flow_pipe(x_handle_t port, const struct x_flow_pipe *pipe)
{ return X_CALL2(flow_pipe, port, pipe); }
/* -X_ENOENT: no such object, or it has no such flow. */
static inline int64_t x_flow_state(x_handle_t port, uint64_t id, uint32_t which, struct x_flow_state *state)
{ return X_CALL4(flow_state, port, id, which, state); }
/* Copy between own memory and a memory object (populates it; a paged one is only
 * read). write: 1 = into. */
static inline int64_t x_mem_copy(x_handle_t memory, uint64_t offset, void *buf, uint64_t len, int write)
{ return X_CALL5(mem_copy, memory, offset, buf, len, write); }
/* Move a mapping, growing or shrinking it (mremap). Returns the new address. */
static inline int64_t x_mem_move(uint64_t old, uint64_t old_len, uint64_t new_len, uint64_t new_addr, uint32_t flags)
{ return X_CALL5(mem_move, old, old_len, new_len, new_addr, flags); }
/* For a process that is to be given it by x_proc_exec, and to which it is charged. */
static inline int64_t x_space_create(x_handle_t proc) { return X_CALL1(space_create, proc); }
/* Copy to (write=1) or from another address space; breaks copy-on-write. */
static inline int64_t x_space_copy(x_handle_t space, uint64_t addr, void *buf, uint64_t len, int write)
{ return X_CALL5(space_copy, space, addr, buf, len, write); }

/* ---- processes ---- */
/* Needs the root resource. */
static inline int64_t x_proc_create(x_handle_t resource, const char *name, uint32_t flags, uint32_t band)
{ return X_CALL4(proc_create, resource, name, flags, band); }
/* A process's handles, for who manages it: the lowest slot in use from `slot` on
 * (-X_ENOENT), or with take = 1 a duplicate of what is in exactly that slot. */
static inline int64_t x_proc_handle(x_handle_t proc, uint32_t slot, int take) { return X_CALL3(proc_handle, proc, slot, take); }
/* Put a duplicate of h with `rights` (0: same) into a slot of the process. */
static inline int64_t x_proc_grant(x_handle_t proc, x_handle_t h, uint32_t rights, uint32_t slot) { return X_CALL4(proc_grant, proc, h, rights, slot); }
/* Needs the root resource. Clones the process whose open call is named:
 * copy-on-write memory, fd slots copied, one thread that will return from the
 * same call with child_msg once started by x_proc_suspend(child, 0). Returns a
 * process handle. */
static inline int64_t x_proc_fork(const struct x_proc_fork *f) { return X_CALL1(proc_fork, f); }
static inline int64_t x_proc_exec(const struct x_proc_exec *e) { return X_CALL1(proc_exec, e); }
static inline int64_t x_proc_kill(x_handle_t proc, int status) { return X_CALL2(proc_kill, proc, status); }
/* Warm restart of a halted process (X_PROC_KEPT; else -X_ESRCH): what it received,
 * minted, bound, mapped and got as handles since the last commit of its port is
 * undone; items go back to the head of the queue. Then t, its only thread, runs. If
 * that is not possible it is dead. x_proc_kill does nothing to one that has halted. */
static inline int64_t x_proc_reset(x_handle_t proc, const struct x_thread_create *t) { return X_CALL2(proc_reset, proc, t); }
static inline int64_t x_proc_suspend(x_handle_t proc, int on) { return X_CALL2(proc_suspend, proc, on); }
static inline int64_t x_proc_info(x_handle_t proc, struct x_proc_info *i) { return X_CALL2(proc_info, proc, i); }
static inline int64_t x_proc_exit(int status) { return X_CALL1(proc_exit, status); }
/* At most so many bytes charged to it (struct x_proc_info; beyond: -X_ENOMEM from what
 * would take more, death of memory from a fault). Copies (x_proc_fork) have it, too. */
static inline int64_t x_proc_limit(x_handle_t proc, uint64_t bytes) { return X_CALL2(proc_limit, proc, bytes); }
/* on, or 0: the threads of a program, and of its copies, run behind those of other programs. */
static inline int64_t x_proc_background(x_handle_t proc, int on) { return X_CALL2(proc_background, proc, on); }
/* The CPUs that a thread may run on, bit by bit (thread 0: the calling one, of
 * X_SELF); set 0 changes nothing. Returns what it was. -X_EINVAL if none of the
 * set is online, -X_ESRCH. */
static inline int64_t x_thread_affinity(x_handle_t proc, uint32_t thread, uint64_t set) { return X_CALL3(thread_affinity, proc, thread, set); }
/* Returns a thread number, unique in its process (the first thread is 1). */
static inline int64_t x_thread_create(const struct x_thread_create *t) { return X_CALL1(thread_create, t); }
/* clear: 0, or a 32-bit word set to 0 and futex-woken as the thread ends. */
static inline int64_t x_thread_exit(uint32_t *clear) { return X_CALL1(thread_exit, clear); }
/* From now on the calling thread's list of held futexes (struct x_robust_list at `list`, 0: none) is
 * released when it ends, whatever ends it. owner 0: it is released now, and none is kept. */
static inline int64_t x_thread_robust(uint64_t list, uint32_t owner) { return X_CALL2(thread_robust, list, owner); }
/* A program's; -X_EPERM for others. */
static inline int64_t x_thread_set_fs(uint64_t base) { return X_CALL1(thread_set_fs, base); }

/* ---- notifications ---- */
/* thread 0: process-directed. bits are or-ed into pending. Returns enum x_notified. */
static inline int64_t x_notify_post(x_handle_t proc, uint32_t thread, uint64_t bits) { return X_CALL3(notify_post, proc, thread, bits); }
/* Set the calling thread's mask; returns pending bits through *pending (may be 0). */
static inline int64_t x_notify_mask(uint64_t mask, uint64_t *pending) { return X_CALL2(notify_mask, mask, pending); }
/* Take over pending bits of the thread, or else of the process: 1 if any was pending. */
static inline int64_t x_notify_take(uint64_t bits) { return X_CALL1(notify_take, bits); }
/* `set` is dropped when it is posted. `ignored` and `caught` are only told (x_proc_info): what of it the program
 * ignores by its own will, and what it has handlers for. */
static inline int64_t x_notify_ignore(uint64_t set, uint64_t ignored, uint64_t caught) { return X_CALL3(notify_ignore, set, ignored, caught); }
/* taken: pending bits that the personality took over. -X_EAGAIN, and nothing
 * changes, if one of them is not pending any more (another thread was first). */
static inline int64_t x_resume(struct x_upcall *frame, uint64_t taken) { return X_CALL2(resume, frame, taken); }

/* ---- futexes: keyed by (memory object or space, offset) ---- */
static inline int64_t x_futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline_ns, uint32_t bitset)
{ return X_CALL4(futex_wait, word, expected, deadline_ns, bitset); }
/* Wake up to `count`, then requeue up to `requeue` others to word2 (may be 0). */
static inline int64_t x_futex_wake(uint32_t *word, uint32_t count, uint32_t bitset, uint32_t *word2, uint32_t requeue)
{ return X_CALL5(futex_wake, word, count, bitset, word2, requeue); }

/* Others of the same band that are runnable go first. Returns how many threads (of any band)
 * waited for a CPU: who polls for something leaves its own to them. */
static inline int64_t x_yield(void) { return X_CALL0(yield); }

/* ---- log and system ---- */
static inline int64_t x_log_write(const char *text, uint64_t len) { return X_CALL2(log_write, text, len); }
/* Read from absolute position `pos`; returns bytes, 0 at the end. *next: where to go on. */
static inline int64_t x_log_read(uint64_t pos, char *buf, uint64_t len, uint64_t *next) { return X_CALL4(log_read, pos, buf, len, next); }
static inline int64_t x_system(x_handle_t resource, uint32_t op, uint64_t arg) { return X_CALL3(system, resource, op, arg); }
static inline int64_t x_system_info(struct x_system_info *i) { return X_CALL1(system_info, i); }

/* ---- devices ---- */
static inline int64_t x_device_create(const struct x_device_create *d) { return X_CALL1(device_create, d); }
/* Map a memory BAR uncached into the caller: returns the address. */
static inline int64_t x_device_map(x_handle_t dev, uint32_t bar, uint64_t offset, uint64_t len) { return X_CALL4(device_map, dev, bar, offset, len); }
/* width 1, 2, 4. Writes to the command register, BARs and MSI capabilities are refused (-X_EPERM). */
static inline int64_t x_device_config(x_handle_t dev, uint32_t offset, uint32_t width, uint32_t value, int write)
{ return X_CALL5(device_config, dev, offset, width, value, write); }
/* Vector `index` (0 for INTx) signals `bits` of the event from now on. */
static inline int64_t x_device_irq(x_handle_t dev, uint32_t index, x_handle_t event, uint64_t bits) { return X_CALL4(device_irq, dev, index, event, bits); }
static inline int64_t x_device_ctl(x_handle_t dev, uint32_t op, uint64_t arg) { return X_CALL3(device_ctl, dev, op, arg); }
static inline int64_t x_dma_map(struct x_dma_map *m) { return X_CALL1(dma_map, m); }
/* The driver of the device (any handle of it) may let it reach a window of an open
 * call of the port. -X_ENOENT: no such open call. */
static inline int64_t x_window_lend(x_handle_t port, uint64_t call, uint32_t window, x_handle_t device)
{ return X_CALL4(window_lend, port, call, window, device); }
/* Use of a lent window: the device may reach it until x_dma_release, whatever
 * becomes of the call. Returns its number. -X_ENOENT: no such open call; -X_ERIGHTS:
 * not lent to the device, or not for this direction; -X_EBUSY: in use already;
 * -X_EINVAL: out of the window; -X_E2BIG: too scattered; -X_ENOSPC. */
static inline int64_t x_dma_window(struct x_dma_window *w) { return X_CALL1(dma_window, w); }
/* The device is done with it. */
static inline int64_t x_dma_release(x_handle_t device, uint32_t number) { return X_CALL2(dma_release, device, number); }
static inline int64_t x_ioports_create(x_handle_t resource, uint32_t base, uint32_t count) { return X_CALL3(ioports_create, resource, base, count); }
/* Port base+offset of the range; width 1, 2, 4; returns the value read. */
static inline int64_t x_ioport(x_handle_t ports, uint32_t offset, uint32_t width, uint32_t value, int write)
{ return X_CALL5(ioport, ports, offset, width, value, write); }
/* All bytes one after the other to one 8-bit port (at most X_IOPORT_WRITE_MAX). */
static inline int64_t x_ioport_write(x_handle_t ports, uint32_t offset, const void *bytes, uint64_t len)
{ return X_CALL4(ioport_write, ports, offset, bytes, len); }
/* A legacy (ISA) interrupt line as an object; signals `bits` of the event, masked until acked. */
static inline int64_t x_irq_create(x_handle_t resource, uint32_t isa_irq, x_handle_t event, uint64_t bits) { return X_CALL4(irq_create, resource, isa_irq, event, bits); }
static inline int64_t x_irq_ack(x_handle_t irq) { return X_CALL1(irq_ack, irq); }
/* A memory object over a physical range that is not RAM the kernel uses (ACPI
 * tables, ECAM). Read-only unless it is not RAM at all. */
static inline int64_t x_memory_physical(x_handle_t resource, uint64_t paddr, uint64_t len) { return X_CALL3(memory_physical, resource, paddr, len); }

#endif
