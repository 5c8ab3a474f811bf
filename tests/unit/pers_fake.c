/* SPDX-License-Identifier: BSD-2-Clause */
/* See pers_fake.h. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "tests/unit/pers_fake.h"

long syscall(long number, ...); /* <unistd.h> hides it: features are fixed by what was included before */

struct pers_fake fake;
const char pers_vdso[1]; /* an assembler file has it */
static jmp_buf left;

/* The first thread's frame lies where the kernel would put it. */
#define IDS    ((void *)0x7f8fffff0000)
#define START  ((void *)0x7f8002000000)
#define STACKS ((char *)0x7f8004000000)
#define STRIDE 0x20000u
#define SCRATCH ((void *)0x7f8100000000)

extern struct pers_process process;
extern const size_t pers_fake_process_bytes;
void pers_upcall(struct x_upcall *frame);
void pers_leave(struct x_upcall *frame);
void pers_fake_fill(void *ids, void *start);

static void map_fixed(void *at, size_t bytes)
{
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at) {
		perror("mmap");
		exit(2);
	}
}

void pers_fake_start(int argc, char **argv)
{
	(void)argc;
	/* Random addresses may collide with the fixed ones. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
		perror("execv");
		exit(2);
	}
	map_fixed(IDS, 4096);
	map_fixed(START, 0x4000);
	map_fixed(STACKS + STRIDE - 0x10000, 0x10000);
	map_fixed(SCRATCH, 65536);
}

void pers_fake_reset(void)
{
	fake = (struct pers_fake){ .now_ns = 1000000000, .ready = 5 };
	__builtin_memset(&process, 0, pers_fake_process_bytes);
	__builtin_memset(STACKS + STRIDE - 0x10000, 0, 0x10000);
	pers_fake_fill(IDS, START);
}

int pers_fake_upcall(struct x_upcall *frame)
{
	struct x_upcall *at = (struct x_upcall *)(STACKS + STRIDE - sizeof(*at));

	*at = *frame;
	if (setjmp(left) == 0) {
		pers_upcall(at);
		abort();
	}
	*frame = fake.resumed;
	return fake.resumed.reason != 0;
}

int pers_fake_syscall(uint64_t number, const uint64_t a[6], struct x_upcall *frame)
{
	frame->reason = 1;
	frame->regs.rax = number;
	frame->regs.rdi = a[0];
	frame->regs.rsi = a[1];
	frame->regs.rdx = a[2];
	frame->regs.r10 = a[3];
	frame->regs.r8 = a[4];
	frame->regs.r9 = a[5];
	return pers_fake_upcall(frame);
}

int64_t x_resume(struct x_upcall *frame, uint64_t taken)
{
	if (taken && fake.resume_refusals) {
		fake.resume_refusals--;
		return -X_EAGAIN;
	}
	fake.resumed = *frame;
	fake.taken = taken;
	longjmp(left, 1);
}

void pers_leave(struct x_upcall *frame)
{
	if (frame->pending)
		return;
	fake.resumed = *frame;
	fake.taken = 0;
	longjmp(left, 1);
}

int64_t x_proc_exit(int status)
{
	fake.resumed.reason = 0;
	fake.taken = (uint64_t)status;
	longjmp(left, 1);
}

/* The host's kernel survives bad pointers for us. */
int64_t pers_copy(void *dst, const void *src, uint64_t len)
{
	struct iovec local = { dst, len }, remote = { (void *)src, len };

	if (len == 0)
		return 0;
	if ((uint64_t)dst < X_USER_MIN || (uint64_t)src < X_USER_MIN)
		return -X_EFAULT;
	return syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0) == (long)len ? 0 : -X_EFAULT;
}

int64_t pers_touch(const void *addr, uint64_t write)
{
	char byte;

	(void)write;
	return pers_copy(&byte, addr, 1);
}

int64_t pers_strnlen(const char *s, uint64_t max)
{
	uint64_t n = 0;
	char byte;

	for (; n < max; n++) {
		if (pers_copy(&byte, s + n, 1))
			return -X_EFAULT;
		if (!byte)
			break;
	}
	return (int64_t)n;
}

int64_t pers_cmpxchg32(uint32_t *addr, uint32_t expected, uint32_t desired, uint32_t *old)
{
	*old = __sync_val_compare_and_swap(addr, expected, desired);
	return 0;
}

char pers_entry[1], pers_text_start[1], pers_text_end[1], pers_fixups[1], pers_fixups_end[1], pers_leave_end[1];

int64_t x_call(x_handle_t h, struct x_call *c) { return fake.call ? fake.call(h, c) : -X_EBADF; }
int64_t x_handle_close(x_handle_t h) { (void)h; fake.closed++; return 0; }
int64_t x_handle_dup(x_handle_t h, uint32_t r, uint32_t slot, uint32_t f) { (void)h; (void)r; (void)f; return slot; }
int64_t x_handle_cloexec(x_handle_t h, int set) { (void)h; (void)set; return 0; }

int64_t x_handle_info(x_handle_t h, struct x_handle_info *info)
{
	*info = (struct x_handle_info){ 0 };
	return h < 8 ? 0 : -X_EBADF;
}

int64_t x_stream(x_handle_t h, uint32_t op, void *buf, uint64_t len, int64_t offset)
{
	(void)h; (void)op; (void)buf; (void)len; (void)offset;
	return -X_EWAIT; /* no streams here */
}

int64_t x_stream_flow(x_handle_t h, uint32_t op, void *buf, uint64_t len, struct x_flow_address *from)
{
	(void)h; (void)op; (void)buf; (void)len; (void)from;
	return -X_EWAIT; /* nor flows */
}

int64_t x_object_ctl(x_handle_t h, uint32_t op, uint64_t value)
{
	if (h >= 8)
		return -X_EBADF;
	switch (op) {
	case X_OBJ_GET_READY: return (int64_t)fake.ready;
	case X_OBJ_GET_FLAGS: return (int64_t)fake.flags;
	case X_OBJ_SET_FLAGS: fake.flags = value; return 0;
	case X_OBJ_SET_CURSOR: fake.cursor = (int64_t)value; return fake.cursor;
	case X_OBJ_ADD_CURSOR: fake.cursor += (int64_t)value; return fake.cursor;
	default: return fake.cursor;
	}
}

int64_t x_wait(struct x_wait_item *items, uint32_t count, uint64_t deadline, const uint64_t *mask)
{
	return fake.wait ? fake.wait(items, count, deadline, mask) : 0;
}

int64_t x_port_create(void) { return X_SLOT_NATIVE; }
int64_t x_commit_receive(x_handle_t port, struct x_commit *c) { (void)port; (void)c; return 0; }
int64_t x_waitset_create(void) { return X_SLOT_NATIVE; }
int64_t x_waitset_ctl(x_handle_t s, uint32_t op, x_handle_t h, uint64_t what, uint64_t data) { (void)s; (void)op; (void)h; (void)what; (void)data; return 0; }
int64_t x_waitset_wait(x_handle_t s, struct x_waitset_event *e, uint32_t max, uint64_t d, const uint64_t *mask) { (void)s; (void)e; (void)max; (void)d; (void)mask; return 0; }

int64_t x_clock(uint32_t which) { return (int64_t)(fake.now_ns + (which == X_CLOCK_REALTIME ? 1000000000000ull : 0)); }
int64_t x_mem_create(const struct x_mem_create *c) { (void)c; return X_SLOT_NATIVE; }

int64_t x_mem_map(const struct x_mem_map *m)
{
	if (fake.map_count < 8)
		fake.maps[fake.map_count++] = *m;
	return m->flags & X_MAP_FIXED ? (int64_t)m->addr : 0x20000000;
}

int64_t x_mem_unmap(x_handle_t s, uint64_t addr, uint64_t len) { (void)s; (void)addr; (void)len; fake.unmapped++; return 0; }
int64_t x_mem_protect(x_handle_t s, uint64_t addr, uint64_t len, uint32_t prot) { (void)s; (void)addr; (void)len; (void)prot; return 0; }
int64_t x_mem_advise(x_handle_t s, uint64_t addr, uint64_t len, uint32_t set, uint32_t clear) { (void)s; (void)addr; (void)len; (void)set; (void)clear; return 0; }
int64_t x_thread_affinity(x_handle_t p, uint32_t t, uint64_t set) { (void)p; (void)t; (void)set; return 1; }
int64_t x_proc_info(x_handle_t proc, struct x_proc_info *i)
{
	(void)proc;
	*i = (struct x_proc_info){ 0 };
	return 0;
}

int64_t x_mem_query(x_handle_t s, uint64_t addr, struct x_mem_region *r)
{
	(void)s;
	*r = (struct x_mem_region){ .start = 0x20000000, .end = 0x20010000, .prot = X_PROT_READ, .resident_pages = 1,
				    .run_pages = 16, .run_present = 1 };
	return addr < r->end ? 0 : -X_ENOENT;
}
int64_t x_mem_move(uint64_t o, uint64_t ol, uint64_t nl, uint64_t na, uint32_t f) { (void)ol; (void)nl; (void)na; (void)f; return (int64_t)o; }
int64_t x_thread_create(const struct x_thread_create *t) { (void)t; return 2; }
int64_t x_thread_exit(uint32_t *clear) { *clear = 0; return x_proc_exit(0); }
int64_t x_thread_robust(uint64_t list, uint32_t owner) { (void)list; (void)owner; return 0; }
int64_t x_thread_set_fs(uint64_t base) { (void)base; return 0; }
int64_t x_notify_post(x_handle_t p, uint32_t t, uint64_t bits) { (void)p; (void)t; fake.posted |= bits; return 0; }
int64_t x_notify_mask(uint64_t mask, uint64_t *pending) { (void)mask; *pending = fake.pending; return 0; }
int64_t x_notify_take(uint64_t bits) { (void)bits; return 1; }
int64_t x_notify_ignore(uint64_t set, uint64_t ignored, uint64_t caught) { fake.ignore = set; (void)ignored, (void)caught; return 0; }
int64_t x_futex_wait(uint32_t *w, uint32_t e, uint64_t d, uint32_t b) { (void)w; (void)e; (void)d; (void)b; return fake.futex_result; }
int64_t x_futex_wake(uint32_t *w, uint32_t c, uint32_t b, uint32_t *w2, uint32_t r) { (void)w; (void)c; (void)b; (void)w2; (void)r; return fake.wake_result; }
int64_t x_yield(void) { return 0; }
int64_t x_log_write(const char *text, uint64_t len) { snprintf(fake.log, sizeof(fake.log), "%.*s", (int)len, text); return (int64_t)len; }
int64_t x_log_read(uint64_t pos, char *buf, uint64_t len, uint64_t *next) { (void)buf; (void)len; *next = pos; return 0; }
int64_t x_system_info(struct x_system_info *i) { *i = (struct x_system_info){ .cpus = 2, .memory_bytes = 1 << 20 }; return 0; }
