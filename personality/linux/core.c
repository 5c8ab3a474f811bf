/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Core files: what a process that ends by a signal like SIGSEGV leaves of itself for a debugger, if
 * RLIMIT_CORE lets it: an ELF file, by the name that core_pattern gives it (core(5), elf(5)), with the
 * registers of all threads, first of the one that ended it, and all memory that is its own. Pages that were
 * never touched are holes.
 *
 * The other threads are asked to wait meanwhile, by SIGKILL's notification, that nothing masks. Who is in a call
 * that nothing interrupts need not come: its registers are as it came in with.
 */
#include "lib/c/stdio.h"
#include "lib/elf/elf.h"
#include "personality/linux/pers.h"

#define CORE_SIGNALS (signal_bit(SIGQUIT) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | signal_bit(SIGABRT) | \
		      signal_bit(SIGBUS) | signal_bit(SIGFPE) | signal_bit(SIGSEGV) | signal_bit(SIGXCPU) | \
		      signal_bit(SIGXFSZ) | signal_bit(SIGSYS))
#define RLIMIT_CORE 4u
#define S_IFMT  0170000u
#define S_IFREG 0100000u

struct note_header { uint32_t name_bytes, bytes, type; char name[8]; };
enum { NT_PRSTATUS = 1, NT_FPREGSET = 2, NT_PRPSINFO = 3, NT_AUXV = 6, NT_SIGINFO = 0x53494749 };

struct prstatus { /* struct elf_prstatus */
	int32_t signo, code, error;
	int16_t cursig;
	uint64_t pending, held;
	int32_t pid, ppid, pgrp, sid;
	struct linux_timeval times[4];
	struct user_regs regs;
	int32_t fpvalid;
};
struct prpsinfo { /* struct elf_prpsinfo */
	char state, sname, zombie, nice;
	uint64_t flag;
	uint32_t uid, gid;
	int32_t pid, ppid, pgrp, sid;
	char fname[16], args[80];
};
struct thread_notes {
	struct note_header status_header; struct prstatus status;
	struct note_header fpu_header; uint8_t fpu[FXSAVE_BYTES];
} __attribute__((packed, aligned(4)));
struct notes { /* once, behind those of the first thread: all that follow are of another thread */
	struct thread_notes first;
	struct note_header info_header; struct prpsinfo info;
	struct note_header siginfo_header; struct linux_siginfo siginfo;
	struct note_header auxv_header; uint64_t auxv[2 * PERS_AUXV_MAX];
} __attribute__((packed, aligned(4)));

_Static_assert(sizeof(struct prstatus) == 336 && sizeof(struct prpsinfo) == 136, "core notes");

static struct note_header note(uint32_t type, uint32_t bytes)
{
	return (struct note_header){ 5, bytes, type, "CORE" };
}

static void thread_notes_fill(const struct pers_thread *t, const struct linux_siginfo *info, struct thread_notes *n)
{
	struct user_regs regs;

	memset(n, 0, sizeof(*n));
	n->status_header = note(NT_PRSTATUS, sizeof(n->status));
	n->status = (struct prstatus){
		.signo = info->signo, .code = info->code, .cursig = (int16_t)info->signo, .held = frame_of(t)->mask,
		.pid = (int32_t)t->tid, .ppid = (int32_t)ids()->ppid, .pgrp = (int32_t)ids()->pgrp,
		.sid = (int32_t)ids()->sid, .fpvalid = t->fpu_kept != NULL,
	};
	user_regs_get(t, &regs);
	n->status.regs = regs;
	n->fpu_header = note(NT_FPREGSET, sizeof(n->fpu));
	if (t->fpu_kept)
		memcpy(n->fpu, t->fpu_kept, sizeof(n->fpu));
}

static void notes_fill(const struct pers_thread *t, const struct linux_siginfo *info, struct notes *n)
{
	const struct pers_start *start = start_info();
	uint64_t args = start->arg_end - start->arg_start;

	memset(n, 0, sizeof(*n));
	thread_notes_fill(t, info, &n->first);
	n->info_header = note(NT_PRPSINFO, sizeof(n->info));
	n->info = (struct prpsinfo){
		.sname = 'R', .uid = ids()->uid, .gid = ids()->gid, .pid = (int32_t)ids()->pid,
		.ppid = (int32_t)ids()->ppid, .pgrp = (int32_t)ids()->pgrp, .sid = (int32_t)ids()->sid,
	};
	memcpy(n->info.fname, t->name, sizeof(n->info.fname));
	args = args < sizeof(n->info.args) ? args : sizeof(n->info.args);
	if (args && copy_in(n->info.args, start->arg_start, args) == 0)
		for (uint64_t i = 0; i < args; i++)
			n->info.args[i] = n->info.args[i] || i + 1 == args ? n->info.args[i] : ' ';
	n->info.args[sizeof(n->info.args) - 1] = '\0';
	n->siginfo_header = note(NT_SIGINFO, sizeof(n->siginfo));
	n->siginfo = *info;
	n->auxv_header = note(NT_AUXV, sizeof(n->auxv));
	memcpy(n->auxv, start->auxv, sizeof(n->auxv));
}

/* ------------------------------------------------------------ the other threads */

#define PATIENCE_NS 50000000u

static bool is_other(const struct pers_thread *t, uint32_t slot)
{
	const struct pers_thread *other = thread_in_slot(slot);

	return __atomic_load_n(&process.slot_used[slot], __ATOMIC_ACQUIRE) && other->tid && other != t;
}

void core_wait(struct pers_thread *t)
{
	uint8_t image[FPSTATE_BYTES] __attribute__((aligned(64)));

	fpu_save(image);
	t->fpu_kept = image;
	__atomic_fetch_add(&process.core_waiting, 1, __ATOMIC_RELEASE);
	x_futex_wake(&process.core_waiting, 1, ~0u, NULL, 0);
	for (;;) /* the process ends */
		x_futex_wait(&process.core, 1, X_FOREVER, ~0u);
}

static void others_stop(const struct pers_thread *t)
{
	uint64_t deadline = deadline_after(now_ns(), PATIENCE_NS);
	uint32_t asked = 0, waiting;

	for (uint32_t slot = 0; slot < process.slot_end; slot++)
		if (is_other(t, slot) && x_notify_post(X_SELF, thread_in_slot(slot)->number, signal_bit(SIGKILL)) >= 0)
			asked++;
	while ((waiting = __atomic_load_n(&process.core_waiting, __ATOMIC_ACQUIRE)) < asked)
		if (x_futex_wait(&process.core_waiting, waiting, deadline, ~0u) == -X_ETIMEDOUT)
			break;
}

/* Own memory; what is only read the file has, but by its headers a debugger knows which that is. */
static uint64_t dumped_bytes(const struct x_mem_region *r)
{
	uint32_t magic;

	if (!(r->prot & X_PROT_READ))
		return 0;
	if (!r->memory_koid || (r->prot & X_PROT_WRITE))
		return r->end - r->start;
	return r->offset == 0 && copy_in(&magic, r->start, 4) == 0 && magic == 0x464c457f ? X_PAGE_SIZE : 0;
}

/* Of all that is mapped of the program's; returns how many. */
static uint32_t segments_find(struct elf_phdr *segments, uint32_t max, uint64_t offset, uint64_t limit)
{
	struct x_mem_region r;
	uint32_t count = 0;

	for (uint64_t at = X_USER_MIN; at < X_USER_MAX && count < max; at = r.end) {
		if (x_mem_query(X_SELF, at, &r) < 0 || r.end <= at)
			break;
		if (r.start >= X_PERS_BASE && r.start < X_PERS_END)
			continue;
		segments[count] = (struct elf_phdr){
			.type = PT_LOAD, .align = X_PAGE_SIZE, .offset = offset, .vaddr = r.start, .memsz = r.end - r.start,
			.flags = (r.prot & X_PROT_READ ? PF_R : 0u) | (r.prot & X_PROT_WRITE ? PF_W : 0u) |
				 (r.prot & X_PROT_EXEC ? PF_X : 0u),
		};
		segments[count].filesz = dumped_bytes(&r);
		if (offset >= limit || segments[count].filesz > limit - offset)
			segments[count].filesz = 0;
		offset += segments[count++].filesz;
	}
	return count;
}

static void put(uint64_t fd, const void *what, uint64_t bytes, uint64_t offset, uint64_t limit)
{
	uint64_t room = offset < limit ? limit - offset : 0;

	file_transfer(fd, FILE_WRITE, (uint64_t)what, bytes < room ? bytes : room, (int64_t)offset, 0);
}

static void put_segment(uint64_t fd, const struct elf_phdr *s)
{
	uint64_t at = s->vaddr, end = s->vaddr + s->filesz;

	while (at < end) {
		struct x_mem_region r;
		uint64_t bytes;
		int64_t done;

		if (x_mem_query(X_SELF, at, &r) < 0 || r.start > at || r.run_pages == 0)
			return;
		bytes = r.run_pages * X_PAGE_SIZE;
		bytes = bytes < end - at ? bytes : end - at;
		if (!r.run_present && !(r.flags & X_MAP_PAGED)) {
			at += bytes;
			continue;
		}
		bytes = bytes < X_WINDOW_MAX ? bytes : X_WINDOW_MAX;
		done = file_transfer(fd, FILE_WRITE, at, bytes, (int64_t)(s->offset + (at - s->vaddr)), 0);
		if (done == -X_ENOSPC || done == -X_EFBIG || done == -X_EIO)
			return;
		at += done > 0 ? (uint64_t)done : X_PAGE_SIZE - at % X_PAGE_SIZE;
	}
}

/* /proc/sys/kernel/core_pattern, without the end of its line; "core" if it can't be read. */
static void pattern_read(char *pattern, uint64_t size)
{
	static const char path[] = "/proc/sys/kernel/core_pattern";
	struct x_call c;
	int64_t fd, n = 0;

	call_init(&c, VFS_OPEN);
	call_window(&c, path, sizeof(path) - 1, X_WIN_READ);
	call_receive_fds(&c, true);
	c.recv_end = X_SLOT_FD_END;
	fd = call_new_fd(&c, call_plain(X_SLOT_VFS, &c));
	if (fd >= 0) {
		n = file_transfer((uint64_t)fd, FILE_READ, (uint64_t)pattern, size - 1, 0, 0);
		x_handle_close((x_handle_t)fd);
	}
	if (n <= 0)
		n = (int64_t)strlcpy(pattern, "core", size);
	if (pattern[n - 1] == '\n')
		n--;
	pattern[n] = '\0';
}

/* What % and a letter of core(5) stand for. */
static void pattern_field(char letter, const struct pers_thread *t, int signo, char *out, size_t size)
{
	struct linux_timespec now = to_timespec((uint64_t)x_clock(X_CLOCK_REALTIME));
	unsigned long long number = 0;

	out[0] = '\0';
	switch (letter) {
	case '%': strlcpy(out, "%", size); return;
	case 'e': case 'f': strlcpy(out, letter == 'e' ? t->name : start_info()->comm, size); break;
	case 'E': strlcpy(out, start_info()->exe, size); break;
	case 'p': case 'P': number = ids()->pid; break;
	case 'i': case 'I': number = t->tid; break;
	case 'u': number = ids()->uid; break;
	case 'g': number = ids()->gid; break;
	case 's': number = (uint32_t)signo; break;
	case 't': number = (unsigned long long)now.sec; break;
	default: return;
	}
	for (char *c = out; *c; c++)
		*c = *c == '/' ? '!' : *c;
	if (!out[0])
		snprintf(out, size, "%llu", number);
}

/* The name that the pattern asks for; false: none, or a program to be run, which is not done. */
static bool core_name(const struct pers_thread *t, int signo, char *name, size_t size)
{
	char pattern[128], field[256];
	size_t at = 0;

	pattern_read(pattern, sizeof(pattern));
	for (const char *p = pattern; *p; p++) {
		if (*p != '%') {
			field[0] = *p;
			field[1] = '\0';
		} else if (!*++p) {
			break;
		} else {
			pattern_field(*p, t, signo, field, sizeof(field));
		}
		at += strlcpy(name + at, field, size - at);
		if (at >= size)
			return false;
	}
	return at && pattern[0] != '|';
}

/* A new or old file of the process's own, and a file. */
static int64_t core_open(const struct pers_thread *t, int signo)
{
	struct file_attr attr;
	struct x_call c;
	char name[256];
	int64_t fd;

	if (!core_name(t, signo, name, sizeof(name)))
		return -X_ENOENT;
	call_init(&c, VFS_OPEN);
	call_window(&c, name, strlen(name), X_WIN_READ);
	c.msg.a[0] = F_O_WRONLY | F_O_CREAT | F_O_NOFOLLOW | F_O_NONBLOCK;
	c.msg.a[1] = 0600;
	call_receive_fds(&c, true);
	c.recv_end = X_SLOT_FD_END; /* whatever the limit is: the program needs no more */
	fd = call_new_fd(&c, call_plain(X_SLOT_VFS, &c));
	if (fd < 0)
		return fd;
	if (fd_attributes((uint64_t)fd, &attr) || (attr.mode & S_IFMT) != S_IFREG || attr.uid != ids()->fsuid || attr.nlink != 1)
		return -X_EPERM;
	call_init(&c, FILE_TRUNCATE);
	return call_plain((x_handle_t)fd, &c) < 0 ? -X_EIO : fd;
}

static uint64_t core_limit(void)
{
	struct x_call c;

	call_init(&c, PM_RLIMIT);
	c.msg.a[1] = RLIMIT_CORE;
	return call_plain(X_SLOT_PM, &c) < 0 ? 0 : c.msg.a[0];
}

/* In the room from `at` to `end`: threads that end meanwhile leave some of it empty. */
static void put_others(uint64_t fd, const struct pers_thread *t, const struct linux_siginfo *info, uint64_t at, uint64_t end,
		       uint64_t limit)
{
	struct thread_notes n;

	for (uint32_t slot = 0; slot < process.slot_end && at < end; slot++) {
		if (!is_other(t, slot))
			continue;
		thread_notes_fill(thread_in_slot(slot), info, &n);
		put(fd, &n, sizeof(n), at, limit);
		at += sizeof(n);
	}
}

bool core_dump(struct pers_thread *t, const struct linux_siginfo *info)
{
	struct elf_header header = {
		.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, .type = ET_CORE, .machine = EM_X86_64, .version = 1,
		.phoff = sizeof(header), .ehsize = sizeof(header), .phentsize = sizeof(struct elf_phdr),
	};
	uint8_t image[FPSTATE_BYTES] __attribute__((aligned(64)));
	struct elf_phdr *segments;
	struct notes notes;
	uint64_t limit, at, end;
	uint32_t count, notes_bytes = sizeof(notes);
	int64_t fd;

	if (!(CORE_SIGNALS & signal_bit((uint32_t)info->signo)) || process.dumpable != 1 ||
	    (start_info()->flags & PERS_START_SECURE))
		return false;
	limit = core_limit();
	segments = limit >= X_PAGE_SIZE ? thread_scratch(t) : NULL;
	if (segments && __atomic_exchange_n(&process.core, 1, __ATOMIC_ACQ_REL))
		core_wait(t); /* another thread was first */
	fd = segments ? core_open(t, info->signo) : -X_EIO;
	if (fd < 0)
		return false;
	fpu_save(image);
	t->fpu_kept = image;
	others_stop(t);
	for (uint32_t slot = 0; slot < process.slot_end; slot++)
		notes_bytes += is_other(t, slot) ? (uint32_t)sizeof(struct thread_notes) : 0;
	count = 1 + segments_find(segments + 1, PERS_SCRATCH_BUFFER / sizeof(*segments) - 1, 0, 0);
	at = sizeof(header) + count * sizeof(*segments); /* where the notes are */
	end = (at + notes_bytes + X_PAGE_SIZE - 1) & ~(uint64_t)(X_PAGE_SIZE - 1);
	segments[0] = (struct elf_phdr){ .type = PT_NOTE, .offset = at, .filesz = notes_bytes, .align = 4 };
	count = 1 + segments_find(segments + 1, count - 1, end, limit);
	header.phnum = (uint16_t)count;
	notes_fill(t, info, &notes);
	put((uint64_t)fd, &header, sizeof(header), 0, limit);
	put((uint64_t)fd, segments, count * sizeof(*segments), sizeof(header), limit);
	put((uint64_t)fd, &notes, sizeof(notes), at, limit);
	put_others((uint64_t)fd, t, info, at + sizeof(notes), at + notes_bytes, limit);
	for (uint32_t i = 1; i < count; i++)
		put_segment((uint64_t)fd, &segments[i]);
	at = segments[count - 1].offset + segments[count - 1].filesz;
	if (at > end) {
		struct x_call c;

		call_init(&c, FILE_TRUNCATE); /* to its whole length, should it end in a hole */
		c.msg.a[0] = at;
		call_plain((x_handle_t)fd, &c);
	}
	return true;
}
