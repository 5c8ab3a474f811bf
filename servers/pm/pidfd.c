/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of processes (pidfd), and what one process may do with another's
 * memory and descriptors. A pidfd is ready once its process has ended.
 */
#include "lib/c/slots.h"
#include "lib/ipc/file.h"
#include "servers/pm/pm.h"
#include "servers/pm/sysv.h"

enum { PIDFDS_MAX = 512 };

static struct pidfd {
	bool used;
	uint32_t generation;
	struct proc *proc;
	uint32_t proc_generation;
} pidfds[PIDFDS_MAX];
static uint32_t pidfds_end; /* all from here up are free */

#define for_each_pidfd(f) for (struct pidfd *f = pidfds; f < pidfds + pidfds_end; f++)

static uint64_t pidfd_object(const struct pidfd *f)
{
	return object_id(OBJECT_PIDFD, f->generation, (uint32_t)(f - pidfds));
}

/* NULL: waited for, gone. */
static struct proc *process_of(const struct pidfd *f)
{
	return f->proc->generation == f->proc_generation && proc_visible(f->proc) ? f->proc : NULL;
}

void pidfd_call(struct proc *p, const struct x_in *in)
{
	uint32_t pid = (uint32_t)in->msg.a[0];
	struct proc *target = proc_by_pid(pid);
	struct pidfd *f = SLOT_FIND(pidfds, pidfds_end, used);
	struct x_out *out;
	int64_t h;

	if (!target) {
		for_each_proc(q)
			if (proc_alive(q) && thread_number(q, pid)) {
				out_status(in->id, -X_EINVAL); /* a thread, and not its process */
				return;
			}
		out_status(in->id, -X_ESRCH);
		return;
	}
	(void)p;
	if (!f) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	f->generation++;
	f->proc = target;
	f->proc_generation = target->generation;
	h = x_mint(server_port, pidfd_object(f), 0, target->state == PROC_ZOMBIE ? X_READY_IN : 0,
		   F_O_RDWR | ((uint32_t)in->msg.a[1] & F_O_NONBLOCK));
	if (h < 0) {
		out_status(in->id, h);
		return;
	}
	f->used = true;
	SLOT_TAKEN(pidfds, pidfds_end, f);
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

static struct pidfd *pidfd_of(uint64_t object)
{
	struct pidfd *f = &pidfds[object_index(object) % PIDFDS_MAX];

	return f->used && pidfd_object(f) == object ? f : NULL;
}

void pidfd_closed(uint64_t object)
{
	struct pidfd *f = pidfd_of(object);

	if (!f)
		return;
	f->used = false;
	SLOTS_TRIM(pidfds, pidfds_end, used);
}

void pidfds_ended(const struct proc *p)
{
	for_each_pidfd(f)
		if (f->used && process_of(f) == p)
			out_ready(pidfd_object(f), X_READY_IN, X_READY_IN, X_READY_IN);
}

/* ---- what may be done with a process ---- */

bool may_look_into(const struct proc *who, const struct proc *p)
{
	const struct pm_ids *w = &who->ids, *i = &p->ids;

	return who == p || w->euid == 0 ||
	       (w->uid == i->uid && w->uid == i->euid && w->uid == i->suid &&
		w->gid == i->gid && w->gid == i->egid && w->gid == i->sgid);
}

static void give_fd(const struct proc *who, const struct proc *p, const struct x_in *in)
{
	struct x_out *out;
	int64_t h = -X_EPERM;

	if (may_look_into(who, p))
		h = in->msg.a[0] < X_SLOT_FD_END && proc_alive(p) ?
		    x_proc_handle(p->process, (uint32_t)in->msg.a[0], 1) : -X_EBADF;
	if (h < 0) {
		out_status(in->id, h == -X_EPERM ? h : -X_EBADF);
		return;
	}
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

void pidfd_file_call(const struct x_in *in)
{
	struct pidfd *f = pidfd_of(in->object);

	if (in->msg.op == FILE_STAT)
		file_stat_anonymous(in->id);
	else
		pidfd_process_call(f ? process_of(f) : NULL, in);
}

void pidfd_process_call(struct proc *p, const struct x_in *in)
{
	struct proc *who = proc_by_koid(in->account);

	if (in->msg.op < PIDFD_PID || in->msg.op > PIDFD_GETFD) {
		out_status(in->id, file_default(in->msg.op));
	} else if (!p || !who) {
		out_status(in->id, -X_ESRCH);
	} else if (in->msg.op == PIDFD_PID) {
		answer_value(in->id, p->ids.pid);
	} else if (in->msg.op == PIDFD_GETFD) {
		give_fd(who, p, in);
	} else {
		struct x_in kill = *in;

		kill.msg.a[4] = in->msg.a[3]; /* as PM_KILL has them */
		kill.msg.a[3] = in->msg.a[2];
		kill.msg.a[2] = in->msg.a[1];
		kill.msg.a[1] = in->msg.a[0];
		kill.msg.a[0] = p->ids.pid;
		kill_call(who, &kill);
	}
}

struct proc *proc_by_any_id(uint32_t id)
{
	struct proc *found = proc_by_pid(id);

	for_each_proc(q)
		if (!found && proc_alive(q) && thread_number(q, id))
			found = q;
	return found;
}

/* Own pages that the process may only read or run can be written to all the same, as debuggers need it for
 * breakpoints: writable for so long. Not what it shares with others. */
static int64_t force_write(const struct proc *p, uint64_t addr, void *data, uint32_t bytes)
{
	uint64_t page = addr & ~(uint64_t)(X_PAGE_SIZE - 1);
	struct x_mem_region r;
	int64_t err;

	if (x_mem_query(p->process, addr, &r) < 0 || r.start > addr || (r.prot & X_PROT_WRITE) || !(r.flags & X_MAP_PRIVATE))
		return -X_EFAULT;
	err = x_mem_protect(p->process, page, X_PAGE_SIZE, r.prot | X_PROT_READ | X_PROT_WRITE);
	if (err < 0)
		return err;
	err = x_space_copy(p->process, addr, data, bytes, 1);
	x_mem_protect(p->process, page, X_PAGE_SIZE, r.prot);
	return err;
}

/* Through a page here: the two spaces need not know of each other. */
int64_t memory_copy(const struct proc *p, const struct x_in *in, uint64_t addr, enum memory_access access)
{
	uint8_t page[1024];
	uint32_t bytes = in->win_count ? in->win[0].len : 0, done = 0;
	bool write = access != MEMORY_READ;

	if (addr >= X_USER_MAX || (addr < X_PERS_END && addr + bytes > X_PERS_BASE))
		return -X_EFAULT;

	while (done < bytes) {
		uint32_t part = bytes - done < sizeof(page) ? bytes - done : (uint32_t)sizeof(page), cut;
		int64_t err = 0;

		/* not over a page's end: the next one may be missing */
		cut = X_PAGE_SIZE - (uint32_t)((addr + done) % X_PAGE_SIZE);
		part = part < cut ? part : cut;
		if (write)
			err = window_read(in->id, 0, done, page, part) == part ? 0 : -X_EFAULT;
		if (!err)
			err = x_space_copy(p->process, addr + done, page, part, write);
		if (err == -X_EFAULT && access == MEMORY_FORCE)
			err = force_write(p, addr + done, page, part);
		if (err >= 0 && !write)
			err = window_write(in->id, 0, done, page, part) == part ? 0 : -X_EFAULT;
		if (err < 0)
			break;
		done += part;
	}
	return done || !bytes ? (int64_t)done : -X_EFAULT;
}

void vm_call(struct proc *caller, const struct x_in *in)
{
	struct proc *p = proc_by_any_id((uint32_t)in->msg.a[0]);

	if (!p || !proc_alive(p))
		out_status(in->id, -X_ESRCH);
	else if (!may_look_into(caller, p))
		out_status(in->id, -X_EPERM);
	else
		out_status(in->id, memory_copy(p, in, in->msg.a[2], in->msg.a[1] ? MEMORY_WRITE : MEMORY_READ));
}

/* ---- kcmp ---- */

enum { SAME_FILE, SAME_VM, SAME_FILES, SAME_FS, SAME_HANDLERS, SAME_IO, SAME_UNDO };

/* Of the object behind a descriptor; 0: there is none. */
static uint64_t file_identity(const struct proc *p, uint64_t fd)
{
	struct x_handle_info info;
	int64_t h = fd < X_SLOT_FD_END && proc_alive(p) ? x_proc_handle(p->process, (uint32_t)fd, 1) : -1;
	int64_t err;

	if (h < 0)
		return 0;
	err = x_handle_info((x_handle_t)h, &info);
	out_close((x_handle_t)h);
	return err < 0 ? 0 : info.koid;
}

/* What a process shares with none but its own threads; what it does not have is the same as
 * another's that has none (kcmp(2): pointers are compared). */
static uint64_t own_identity(const struct proc *p, uint64_t type)
{
	bool none = type == SAME_IO || (type == SAME_UNDO && !sem_has_undo(p));

	return none ? 1 : p->koid;
}

void kcmp_call(struct proc *caller, const struct x_in *in)
{
	struct proc *a = proc_by_any_id((uint32_t)in->msg.a[0]), *b = proc_by_any_id((uint32_t)in->msg.a[1]);
	uint64_t first, second;

	if (!a || !b) {
		out_status(in->id, -X_ESRCH);
		return;
	}
	if (!may_look_into(caller, a) || !may_look_into(caller, b)) {
		out_status(in->id, -X_EPERM);
		return;
	}
	first = own_identity(a, in->msg.a[2]);
	second = own_identity(b, in->msg.a[2]);
	if (in->msg.a[2] == SAME_FILE) {
		first = file_identity(a, in->msg.a[3]);
		second = file_identity(b, in->msg.a[4]);
	}
	if (in->msg.a[2] > SAME_UNDO)
		out_status(in->id, -X_EINVAL);
	else if (!first || !second)
		out_status(in->id, -X_EBADF);
	else
		answer_value(in->id, first == second ? 0 : first < second ? 1 : 2);
}
