/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native interface as a test of the Linux personality sees it: included
 * before all else, it stands in for include/xinim/syscall.h. The functions are
 * in pers_fake.c; x_call and x_wait go to hooks a test sets.
 */
#ifndef PERS_FAKE_H
#define PERS_FAKE_H

#define XINIM_SYSCALL_H
#include <stddef.h>
#include <xinim/abi.h>

#define X_CLOCK_MONOTONIC 0
#define X_CLOCK_REALTIME  1
#define X_CLOCK_PROCESS   2

int64_t x_call(x_handle_t h, struct x_call *c);
int64_t x_handle_close(x_handle_t h);
int64_t x_handle_dup(x_handle_t h, uint32_t rights, uint32_t slot, uint32_t flags);
int64_t x_handle_cloexec(x_handle_t h, int set);
int64_t x_handle_info(x_handle_t h, struct x_handle_info *info);
int64_t x_object_ctl(x_handle_t h, uint32_t op, uint64_t value);
int64_t x_stream(x_handle_t h, uint32_t op, void *buf, uint64_t len, int64_t offset);
int64_t x_stream_flow(x_handle_t h, uint32_t op, void *buf, uint64_t len, struct x_flow_address *from);
int64_t x_wait(struct x_wait_item *items, uint32_t count, uint64_t deadline_ns, const uint64_t *mask);
int64_t x_port_create(void);
int64_t x_commit_receive(x_handle_t port, struct x_commit *c);
int64_t x_waitset_create(void);
int64_t x_waitset_ctl(x_handle_t set, uint32_t op, x_handle_t h, uint64_t what, uint64_t data);
int64_t x_waitset_wait(x_handle_t set, struct x_waitset_event *events, uint32_t max, uint64_t deadline_ns,
		       const uint64_t *mask);
int64_t x_clock(uint32_t which);
int64_t x_mem_create(const struct x_mem_create *c);
int64_t x_mem_map(const struct x_mem_map *m);
int64_t x_mem_unmap(x_handle_t space, uint64_t addr, uint64_t len);
int64_t x_mem_protect(x_handle_t space, uint64_t addr, uint64_t len, uint32_t prot);
int64_t x_proc_info(x_handle_t proc, struct x_proc_info *i);
int64_t x_mem_query(x_handle_t space, uint64_t addr, struct x_mem_region *r);
int64_t x_mem_move(uint64_t old, uint64_t old_len, uint64_t new_len, uint64_t new_addr, uint32_t flags);
int64_t x_mem_advise(x_handle_t space, uint64_t addr, uint64_t len, uint32_t set, uint32_t clear);
int64_t x_thread_affinity(x_handle_t proc, uint32_t thread, uint64_t set);
int64_t x_proc_exit(int status);
int64_t x_thread_create(const struct x_thread_create *t);
int64_t x_thread_exit(uint32_t *clear);
int64_t x_thread_robust(uint64_t list, uint32_t owner);
int64_t x_thread_set_fs(uint64_t base);
int64_t x_notify_post(x_handle_t proc, uint32_t thread, uint64_t bits);
int64_t x_notify_mask(uint64_t mask, uint64_t *pending);
int64_t x_notify_take(uint64_t bits);
int64_t x_notify_ignore(uint64_t set, uint64_t ignored, uint64_t caught);
int64_t x_resume(struct x_upcall *frame, uint64_t taken);
int64_t x_futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline_ns, uint32_t bitset);
int64_t x_futex_wake(uint32_t *word, uint32_t count, uint32_t bitset, uint32_t *word2, uint32_t requeue);
int64_t x_yield(void);
int64_t x_log_write(const char *text, uint64_t len);
int64_t x_log_read(uint64_t pos, char *buf, uint64_t len, uint64_t *next);
int64_t x_system_info(struct x_system_info *i);

/* What the test sets and looks at. */
struct pers_fake {
	int64_t (*call)(x_handle_t h, struct x_call *c);
	int64_t (*wait)(struct x_wait_item *items, uint32_t count, uint64_t deadline, const uint64_t *mask);
	uint64_t now_ns;
	uint64_t pending;       /* what x_notify_mask tells */
	uint64_t ignore;        /* last x_notify_ignore */
	uint64_t posted;        /* bits of x_notify_post */
	uint64_t ready;         /* x_object_ctl GET_READY */
	int64_t cursor;         /* or an error */
	uint64_t flags;
	struct x_mem_map maps[8];
	uint32_t map_count;
	uint32_t unmapped, closed;
	int64_t wake_result, futex_result;
	struct x_upcall resumed;/* frame of the last x_resume */
	uint64_t taken;
	uint32_t resume_refusals; /* so many times -X_EAGAIN first */
	char log[256];
};
extern struct pers_fake fake;

/* Pages at the fixed addresses of the personality's region; in main() first. */
void pers_fake_start(int argc, char **argv);
/* Fresh state before each test: process, first thread, ids. */
void pers_fake_reset(void);
/* As the kernel's upcall. Returns when the personality resumed (1), or ended (0). */
int pers_fake_syscall(uint64_t number, const uint64_t args[6], struct x_upcall *frame);
int pers_fake_upcall(struct x_upcall *frame);

#endif
