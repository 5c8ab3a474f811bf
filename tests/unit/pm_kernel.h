/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel, vfs and tty as pm sees them, for pm's unit tests: processes that
 * only have a state, address spaces that remember mappings and what was copied
 * into them, one file per path. Included once, after fake_ipc.h.
 */
#ifndef TESTS_UNIT_PM_KERNEL_H
#define TESTS_UNIT_PM_KERNEL_H

#include "personality/linux/layout.h"
#include "servers/pm/exec.h"
#include "servers/pm/procfs.h"

void pm_call(const struct x_in *in);
void pm_closure(uint64_t object, uint64_t mints);
void pm_cancel(uint64_t call_id);

enum { K_PROCS = 600, K_SPACES = 64, K_MAPS = 64, K_PAGES = 400, K_PROC_BASE = 10000,
       K_SPACE_BASE = 20000, K_MINT_BASE = 30000, K_MEMORY_BASE = 40000, K_FILE_BASE = 50000,
       K_SESSION_BASE = 60000 };

/* ---- processes ---- */
struct k_proc {
	bool used, dead, suspended, started;
	int status, death;
	uint64_t koid, pending, ignore, mask, user_ns;
	struct x_proc_exec exec;
	uint32_t grants[8], grant_rights[8];
	unsigned grant_count;
	event_fn died;
	void *ctx;
};
static struct k_proc k_procs[K_PROCS];
static unsigned k_proc_count, k_next_proc;
static int64_t k_fork_error, k_mint_error, k_grant_error, k_map_error, k_space_error;

static inline struct k_proc *k_proc_of(uint64_t h)
{
	return h >= K_PROC_BASE && h < K_PROC_BASE + K_PROCS && k_procs[h - K_PROC_BASE].used
		? &k_procs[h - K_PROC_BASE] : NULL;
}
static inline int64_t k_new_proc(void)
{
	struct k_proc *k;

	do
		k = &k_procs[k_next_proc++ % K_PROCS];
	while (k->used && (!k->dead || k->died));
	memset(k, 0, sizeof(*k));
	k->used = true;
	k->koid = 1000 + k_proc_count++;
	return K_PROC_BASE + (k - k_procs);
}

int server_bind(x_handle_t h, event_fn fn, void *ctx)
{
	struct k_proc *k = k_proc_of(h);

	if (!k)
		return -X_EBADF;
	k->died = fn;
	k->ctx = ctx;
	return 0;
}
void server_unbind(x_handle_t h)
{
	struct k_proc *k = k_proc_of(h);

	if (k)
		k->died = NULL;
}

/* ---- address spaces ---- */
struct k_space {
	bool used;
	unsigned map_count, page_count;
	struct x_mem_map map[K_MAPS];
	struct { uint64_t addr; uint8_t bytes[4096]; } page[K_PAGES];
};
static struct k_space k_spaces[K_SPACES];
static unsigned k_space_count;

static inline struct k_space *k_space_of(uint64_t h)
{
	return h >= K_SPACE_BASE && h < K_SPACE_BASE + K_SPACES ? &k_spaces[h - K_SPACE_BASE] : NULL;
}
static inline uint8_t *k_page(struct k_space *s, uint64_t addr)
{
	addr &= ~4095ull;
	for (unsigned i = 0; i < s->page_count; i++)
		if (s->page[i].addr == addr)
			return s->page[i].bytes;
	if (s->page_count == K_PAGES)
		abort();
	memset(s->page[s->page_count].bytes, 0, 4096);
	s->page[s->page_count].addr = addr;
	return s->page[s->page_count++].bytes;
}
/* The mapping in force at an address: the last one made over it. */
static inline struct x_mem_map *k_map_at(struct k_space *s, uint64_t addr)
{
	for (unsigned i = s->map_count; i-- > 0;)
		if (addr >= s->map[i].addr && addr - s->map[i].addr < s->map[i].len)
			return &s->map[i];
	return NULL;
}
static inline int64_t k_copy(struct k_space *s, uint64_t addr, uint8_t *buf, uint64_t len, bool write)
{
	for (; len; ) {
		uint64_t n = 4096 - addr % 4096;
		struct x_mem_map *m = k_map_at(s, addr);

		if (n > len)
			n = len;
		/* pm must never wait for a pager, nor write where nobody may */
		if (!m || m->memory != X_NO_HANDLE || (write && !(m->prot & X_PROT_WRITE)))
			return -X_EFAULT;
		if (write)
			memcpy(k_page(s, addr) + addr % 4096, buf, n);
		else
			memcpy(buf, k_page(s, addr) + addr % 4096, n);
		addr += n;
		buf += n;
		len -= n;
	}
	return 0;
}
static inline uint64_t k_word(struct k_space *s, uint64_t addr)
{
	uint64_t w;

	memcpy(&w, k_page(s, addr) + addr % 4096, 8);
	return w;
}
static inline const char *k_text(struct k_space *s, uint64_t addr) { return (char *)k_page(s, addr) + addr % 4096; }

/* ---- memory objects: 0 the personality's archive copy, others made by pm ---- */
static struct { uint8_t *bytes; uint64_t size; } k_memory[8];
static unsigned k_memory_count = 1;
static uint8_t k_personality[3 * 4096];

static inline void k_make_personality(void)
{
	struct pers_header h = { PERS_MAGIC, sizeof(h), PERS_START_VERSION, X_PERS_BASE + 0x100,
				 X_PERS_BASE, X_PERS_BASE + 0x1000, X_PERS_BASE + 0x800, 0,
				 X_PERS_BASE + 0x820, 0, 0, X_PERS_BASE + 0x1000, { 0 } };
	uint64_t *e = (uint64_t *)k_personality;
	uint32_t *p = (uint32_t *)(k_personality + 64);

	memcpy(k_personality, "\177ELF\2\1\1", 7);
	((uint16_t *)e)[8] = 2;
	((uint16_t *)e)[9] = 62;
	((uint32_t *)e)[5] = 1;
	e[3] = X_PERS_BASE + 0x100;
	e[4] = 64;
	((uint16_t *)e)[27] = 56;
	((uint16_t *)e)[28] = 2;
	p[0] = 1, p[1] = 5;
	memcpy(p + 2, (uint64_t[]){ 0x1000, X_PERS_BASE, 0, 0x1000, 0x1000, 0x1000 }, 48);
	p[14] = 1, p[15] = 6;
	memcpy(p + 16, (uint64_t[]){ 0x2000, X_PERS_BASE + 0x1000, 0, 0x80, 0x3000, 0x1000 }, 48);
	memcpy(k_personality + 0x1000, &h, sizeof(h));
	memset(k_personality + 0x2000, 0xdd, 0x80);
	k_memory[0].bytes = k_personality;
	k_memory[0].size = sizeof(k_personality);
}

static int64_t k_mem_map(const struct x_mem_map *m)
{
	struct k_space *s = k_space_of(m->space);

	if (k_map_error)
		return k_map_error;
	if (m->space == X_SELF) /* the ids pages */
		return (int64_t)(uintptr_t)k_memory[m->memory - K_MEMORY_BASE].bytes;
	if (!s)
		return k_proc_of(m->space) ? (int64_t)m->addr : -X_EBADF;
	if (s->map_count == K_MAPS || m->addr % 4096 || m->len == 0)
		return -X_EINVAL;
	s->map[s->map_count++] = *m;
	return (int64_t)m->addr;
}

static int64_t k_notify(struct k_proc *k, uint64_t bits)
{
	bool was = k->pending & bits;

	if (!(bits & ~k->ignore))
		return X_NOTIFY_DROPPED;
	k->pending |= bits;
	return was ? X_NOTIFY_WAS_PENDING : X_NOTIFY_POSTED;
}

static int64_t k_proc_call(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct k_proc *k;
	struct x_proc_exec *e = (void *)(uintptr_t)a;
	struct x_proc_info *info = (void *)(uintptr_t)b;

	if (n == X_SYS_proc_create)
		return k_new_proc();
	if (n == X_SYS_proc_fork)
		return k_fork_error ? k_fork_error : k_new_proc();
	k = k_proc_of(n == X_SYS_proc_exec ? e->process : a);
	if (!k || (k->dead && n != X_SYS_proc_info))
		return -X_ESRCH;
	switch (n) {
	case X_SYS_proc_grant:
		k->grant_rights[k->grant_count % 8] = (uint32_t)c;
		k->grants[k->grant_count++ % 8] = (uint32_t)d;
		return k_grant_error;
	case X_SYS_proc_exec:
		k->exec = *e;
		k->ignore = e->ignore;
		k->started = true;
		break;
	case X_SYS_proc_kill:
		k->dead = true;
		k->death = X_DEATH_KILLED;
		k->status = (int)b;
		break;
	case X_SYS_proc_suspend:
		k->suspended = b;
		k->started |= b == 0;
		break;
	case X_SYS_proc_info:
		*info = (struct x_proc_info){ .koid = k->koid, .death = (uint32_t)k->death, .status = k->status,
					      .cpu_user_ns = k->user_ns, .threads = 1, .mapped_pages = 300,
					      .resident_pages = 100 };
		break;
	case X_SYS_notify_post:
		return k_notify(k, c);
	}
	return 0;
}

static int64_t k_mem_copy(uint64_t h, uint64_t offset, void *buf, uint64_t len, uint64_t write)
{
	uint64_t i = h - K_MEMORY_BASE;

	if (i >= k_memory_count || offset > k_memory[i].size || len > k_memory[i].size - offset)
		return -X_EINVAL;
	if (write)
		memcpy(k_memory[i].bytes + offset, buf, len);
	else
		memcpy(buf, k_memory[i].bytes + offset, len);
	return 0;
}

static int64_t k_mem_query(uint64_t addr, struct x_mem_region *r)
{
	if (addr >= 0x402000)
		return -X_ENOENT;
	*r = (struct x_mem_region){ .start = 0x400000, .end = 0x402000, .prot = X_PROT_READ | X_PROT_EXEC,
				    .flags = X_MAP_PRIVATE, .memory_koid = 77 };
	return 0;
}

static uint64_t k_minted[FAKE_OUT_MAX];
static unsigned k_mint_count;

int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	switch (n) {
	case X_SYS_handle_close: case X_SYS_handle_dup: case X_SYS_mem_protect:
		return n == X_SYS_handle_dup ? (int64_t)a : 0;
	case X_SYS_mint:
		if (k_mint_error)
			return k_mint_error;
		k_minted[k_mint_count % FAKE_OUT_MAX] = b;
		return K_MINT_BASE + k_mint_count++ % FAKE_OUT_MAX;
	case X_SYS_clock:
		return 1000000000ll * 1700000000;
	case X_SYS_mem_create:
		k_memory[k_memory_count].size = (((struct x_mem_create *)a)->bytes + 4095) & ~4095ull;
		k_memory[k_memory_count].bytes = calloc(1, k_memory[k_memory_count].size);
		return K_MEMORY_BASE + k_memory_count++;
	case X_SYS_mem_copy:
		return k_mem_copy(a, b, (void *)c, d, e);
	case X_SYS_mem_map:
		return k_mem_map((struct x_mem_map *)a);
	case X_SYS_mem_query:
		return k_mem_query(b, (struct x_mem_region *)c);
	case X_SYS_space_create:
		if (k_space_error)
			return k_space_error;
		memset(&k_spaces[k_space_count % K_SPACES], 0, sizeof(struct k_space));
		return K_SPACE_BASE + k_space_count++ % K_SPACES;
	case X_SYS_space_copy:
		return k_copy(k_space_of(a), b, (void *)c, d, e);
	case X_SYS_system_info:
		*(struct x_system_info *)a = (struct x_system_info){
			.cpus = 2, .cpus_online = 2, .memory_bytes = 256 << 20, .free_bytes = 100 << 20,
			.idle_ns = server_now_ns, .realtime_offset_ns = 1700000000ull * 1000000000,
			.context_switches = 5, .tsc_khz = 2500000, .version = "test" };
		return 0;
	case X_SYS_object_ctl:
		return 0;
	}
	return k_proc_call(n, a, b, c, d);
}

/* The kernel's reports of deaths, until there are no more. */
static inline void k_deliver_deaths(void)
{
	bool any = true;

	while (any) {
		any = false;
		for (unsigned i = 0; i < K_PROCS; i++) {
			struct k_proc *k = &k_procs[i];
			event_fn fn = k->died;

			if (!k->used || !k->dead || !fn)
				continue;
			any = true;
			k->died = NULL;
			fn(k->ctx, 1);
		}
	}
	exec_serve_waiting();
	fake_fix_answers();
}

/* ---- vfs, files, tty, rs ---- */
struct k_file { const char *path; const uint8_t *data; uint32_t size, mode, uid, gid; };
static struct k_file k_files[16];
static unsigned k_file_count;
static int64_t k_session_status;
static int k_hold;              /* answer this many calls less: stay pending */
static uint64_t k_creds_fs, k_tty_ended, k_rs_how = 99;
static unsigned k_syncs;

static inline void k_file_answer(struct k_file *f, const struct x_out *o, struct x_in *in)
{
	struct file_attr attr = { .mode = f->mode, .size = f->size, .uid = f->uid, .gid = f->gid };

	switch (o->msg.op) {
	case FILE_STAT:
		memcpy((void *)o->win[0].addr, &attr, sizeof(attr));
		break;
	case FILE_READ:
		if (o->msg.a[0] < f->size) {
			uint64_t n = f->size - o->msg.a[0] < o->win[0].len ? f->size - o->msg.a[0] : o->win[0].len;

			memcpy((void *)o->win[0].addr, f->data + o->msg.a[0], n);
			in->msg.status = (int)n;
		}
		break;
	case FILE_MMAP:
		in->handles[0] = 70000 + (uint32_t)(f - k_files);
		in->handle_count = 1;
		break;
	default:
		abort();
	}
}

static inline void k_vfs_exec(const struct x_out *o, struct x_in *in)
{
	in->msg.status = -X_ENOENT;
	for (unsigned i = 0; i < k_file_count; i++) {
		struct k_file *f = &k_files[i];
		struct file_attr attr = { .mode = f->mode, .size = f->size, .uid = f->uid, .gid = f->gid };

		if (strlen(f->path) != o->win[0].len || memcmp(f->path, (void *)o->win[0].addr, o->win[0].len))
			continue;
		if (!(f->mode & 0111)) {
			in->msg.status = -X_EACCES;
			return;
		}
		memcpy((void *)o->win[1].addr, &attr, sizeof(attr));
		in->msg.status = 0;
		in->handles[0] = K_FILE_BASE + i;
		in->handle_count = 1;
	}
}

static inline void k_answer(const struct x_out *o, struct x_in *in)
{
	if (o->target >= K_FILE_BASE && o->target < K_FILE_BASE + 16) {
		k_file_answer(&k_files[o->target - K_FILE_BASE], o, in);
		return;
	}
	switch (o->msg.op) {
	case VFSCTL_SESSION:
		in->msg.status = (int)k_session_status;
		in->msg.a[0] = o->msg.a[0] + 5000;
		in->handles[0] = K_SESSION_BASE;
		in->handle_count = k_session_status == 0;
		break;
	case VFSCTL_EXEC:
		k_vfs_exec(o, in);
		break;
	case VFSCTL_CREDS:
		k_creds_fs = o->msg.a[1];
		break;
	case VFSCTL_CWD:
		memcpy((void *)o->win[0].addr, "/home", 5);
		in->msg.status = 5;
		break;
	case VFSCTL_NAME_OF:
		memcpy((void *)o->win[0].addr, "/usr/sbin/init", 14);
		in->msg.status = 14;
		break;
	case VFSCTL_MAPPED: {
		struct fs_mapped *files = (void *)o->win[1].addr;

		memset(files, 0, o->win[1].len);
		files[0].ino = 77;
		files[0].dev = 3;
		strcpy(files[0].path, "/usr/lib/libc.so.6");
		break;
	}
	case VFSCTL_MOUNTS:
		memcpy((void *)o->win[0].addr, "x / minix rw 0 0\n", 17);
		in->msg.status = 17;
		break;
	case VFS_OPEN:
		in->handles[0] = 61000;
		in->handle_count = 1;
		break;
	case VFS_SYNC:
		k_syncs++;
		break;
	case 0x401: /* DEV_SESSION_END */
		k_tty_ended = o->msg.a[0];
		break;
	case 0x800: /* RS_POWEROFF */
		k_rs_how = o->msg.a[0];
		break;
	default:
		abort();
	}
}

/* Answer what pm has started, and what that starts. */
/* What pm has asked for was done at once; now it hears of that. */
static void k_commit(void) { fake_epoch += 1 << 20; }

static inline void k_run(void)
{
	struct fake_start *s;

	k_commit();
	k_deliver_deaths();
	while (!k_hold && (s = fake_next_start())) {
		struct x_out out = s->out;
		struct x_in in = { .kind = X_IN_REPLY };

		k_answer(&out, &in);
		fake_reply(s, &in);
		k_deliver_deaths();
	}
	k_commit();
}

#endif
