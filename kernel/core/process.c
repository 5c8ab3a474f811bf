/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes and threads: birth, replacement, death.
 *
 * Death is in the order of RECOVERY.md 10: every thread leaves its CPU and
 * ends; the last one out quiets the devices, closes the handles, drops the
 * memory, and only then is the process dead for those who watch it. What a
 * native process has made ends with it.
 *
 * A process made with X_PROC_KEPT halts instead when its last thread has ended:
 * its maker hears of it, and either resets it in place, with a new thread, or
 * kills it for good. The kernel is the maker of the first process.
 */
#include "device.h"
#include "port.h"

static void process_destroy(struct object *o)
{
	struct process *p = container_of(o, struct process, obj);
	struct account *account = p->account;

	KASSERT(p->thread_count == 0 && p->threads_in_front == 0 && p->calls_in_front == 0);
	list_remove(&p->all_link);
	object_unref(&p->space->obj);
	kfree(p);
	account_close(account);
}

/* The last handle to a process that never ran, or has no thread, is its end. */
static void process_unhandled(struct object *o)
{
	struct process *p = container_of(o, struct process, obj);

	if (p->state == X_PROC_NEW || (p->thread_count == 0 && !p->replacing)) /* halted, too */
		process_kill(p, X_DEATH_KILLED, 0);
}

static const struct object_ops process_ops = {
	.unhandled = process_unhandled, .destroy = process_destroy,
};

int process_create(const char *name, uint32_t flags, uint32_t band, struct process **out)
{
	struct account *account;
	struct process *p;
	int err;

	if (band > X_BAND_PROGRAM)
		return -X_EINVAL;
	account = (flags & X_PROC_LINUX) && memory_denied_to_new() ? NULL : account_create(flags & X_PROC_LINUX);
	if (!account)
		return -X_ENOMEM;
	p = kzalloc_for(account, sizeof(*p));
	err = p ? space_create(!(flags & X_PROC_LINUX), account, &p->space) : -X_ENOMEM;
	if (err) {
		kfree(p);
		account_close(account);
		return err;
	}
	p->account = account;
	object_init(&p->obj, X_TYPE_PROCESS, &process_ops);
	object_ref(&p->obj); /* its own, until process_end() */
	strlcpy(p->name, name, sizeof(p->name));
	p->flags = flags;
	p->band = band;
	p->state = X_PROC_NEW;
	p->next_thread_id = 1;
	p->start_ns = arch_time_ns();
	p->creator = current_process()->obj.koid;
	list_init(&p->threads);
	waitq_init(&p->suspend_wait);
	waitq_init(&p->ended);
	list_push_back(&all_processes, &p->all_link);
	*out = p;
	return 0;
}

/* ------------------------------------------------------------------- threads */

static void thread_first_run(struct thread *t)
{
	void (*first)(struct thread *t) = t->first;

	if (first)
		first(t);
}

#define THREADS_MAX 1024u /* of one process, each has a kernel stack of 16 KiB */

static uint64_t upcall_block(const struct thread *t)
{
	return (t->upcall_stack - sizeof(struct x_upcall)) & ~15ull;
}

int thread_create_with(struct process *p, const struct x_thread_create *c, const struct x_regs *regs,
		       void (*first)(struct thread *t), struct thread **out)
{
	struct thread *t;

	if (p->dying || p->replacing)
		return -X_ESRCH;
	if (p->thread_count >= THREADS_MAX)
		return -X_EAGAIN;
	t = kzalloc_for(p->account, sizeof(*t));
	if (!t)
		return -X_ENOMEM;
	t->process = p;
	t->account = p->account;
	t->band = p->band;
	t->id = p->next_thread_id;
	t->state = THREAD_BLOCKED;
	t->first = first;
	t->cpu = this_cpu()->id;
	list_init(&t->run_link);
	list_init(&t->wait_link);
	list_init(&t->timer_link);
	if (!account_has_kernel(t->account, KSTACK_SIZE) || arch_thread_init(t, thread_first_run)) {
		kfree(t);
		return -X_ENOMEM;
	}
	account_add_kernel(t->account, KSTACK_SIZE);
	*t->regs = *regs;
	t->fs_base = c->fs_base;
	t->upcall_stack = c->upcall_stack;
	t->thread_word = c->thread_word;
	t->mask = c->mask;
	if (p->flags & X_PROC_LINUX)
		arch_thread_upcalls(t, upcall_block(t));
	/* its maker's CPUs; of a program that replaces another: the first thread's */
	list_for_each(it, &p->threads, struct thread, process_link)
		if (!t->affinity || it == current())
			t->affinity = it->affinity;
	p->next_thread_id++;
	p->thread_count++;
	list_push_back(&p->threads, &t->process_link);
	*out = t;
	return 0;
}

#define RFLAGS_USER_BITS 0x240dd5ull /* CF PF AF ZF SF TF DF OF RF AC ID */
#define RFLAGS_IF 0x200ull

/* Nothing that user space gives may reach privileged bits. */
static int sanitise_regs(struct x_regs *r)
{
	if (r->rip >= X_USER_MAX)
		return -X_EINVAL;
	r->rflags = (r->rflags & RFLAGS_USER_BITS) | RFLAGS_IF | 2;
	return 0;
}

int thread_create(struct process *p, const struct x_thread_create *c, const struct x_regs *from,
		  struct thread **out)
{
	struct x_regs regs = { 0 };
	int err;

	if (from) {
		regs = *from;
	} else {
		regs.rip = c->entry;
		regs.rsp = c->stack;
		regs.rdi = c->arg;
	}
	err = sanitise_regs(&regs);
	if (!err && (c->fs_base >= (p->flags & X_PROC_LINUX ? X_USER_MAX : 1) || c->upcall_stack > X_USER_MAX))
		err = -X_EINVAL;
	if (!err)
		err = thread_create_with(p, c, &regs, NULL, out);
	return err;
}

static void process_start(struct process *p)
{
	if (p->state != X_PROC_NEW)
		return;
	p->state = p->suspended ? X_PROC_SUSPENDED : X_PROC_RUNNING;
	list_for_each(t, &p->threads, struct thread, process_link)
		if (t->state == THREAD_BLOCKED) /* an exec may have woken it already, to end */
			sched_make_ready(t);
}

void thread_free(struct thread *t)
{
	arch_thread_destroy(t);
	account_sub_kernel(t->account, KSTACK_SIZE);
	kfree(t);
}

/* A native process takes along what it made: programs cannot live without the
 * process manager that knows of them. Nobody is left to restart rs. */
static struct process *living_creation(const struct process *p)
{
	list_for_each(q, &all_processes, struct process, all_link)
		if (q->creator == p->obj.koid && !q->dying)
			return q;
	return NULL;
}

static void end_creations(struct process *p)
{
	struct process *q;

	if (p->creator == 0)
		panic("%s is dead: cause %u, status %d, at %#lx", p->name, p->death, p->status,
		      p->fault_regs.rip);
	/* From the start each time: a death may take others off the list. */
	while ((q = living_creation(p)))
		process_kill(q, X_DEATH_KILLED, -X_EDEAD);
}

/* Once: what ends it first is the cause. */
static void death_begins(struct process *p, uint32_t death)
{
	if (p->dying)
		return;
	p->dying = true;
	p->death = death;
	p->death_ns = arch_time_ns();
}

/* All threads have ended; perhaps each by itself, without anyone's kill. */
static void process_end(struct process *p)
{
	p->state = X_PROC_DEAD;
	death_begins(p, X_DEATH_EXIT);
	device_process_died(p);
	handle_table_close_all(p);
	space_clear(p->space, false);
	waitq_wake_all(&p->ended, 0);
	binding_post(&p->obj, 1);
	if (!(p->flags & X_PROC_LINUX))
		end_creations(p);
	object_unref(&p->obj);
}

static struct x_thread_create first_thread; /* of the first process */
#define FIRST_DEADLINE_NS 500000000ull
#define FIRST_TICK_NS      10000000ull /* what counts of each tick however late it is */

/* Nobody else is there to do it. Without a commit between two deaths it will not
 * get any further the third time either (RECOVERY.md 23). */
static void restart_first(struct process *p)
{
	static uint32_t deaths, commits;

	deaths = p->commits == commits ? deaths + 1 : 1;
	commits = p->commits;
	klog("%s died: cause %u, status %d, at %#lx; restarted in place\n", p->name, p->death, p->status,
	     p->fault_regs.rip);
	p->commit_ran_ns = p->ran_ns;
	first_thread.arg = X_WARM_START | (p->status == -X_ECANCELED ? 0 : X_WARM_BLAME);
	if (deaths >= 3)
		process_end(p);
	else
		process_reset(p, &first_thread);
}

/* Others are watched by the first process; it is watched by the kernel, at each
 * tick in which it runs: an iteration has so much of its own time. That a tick is late
 * tells that the machine stood still: by the clock it ran meanwhile, but it did not. */
void process_watch(struct process *p, uint64_t late_ns)
{
	uint64_t ran = p->ran_ns - MAX(p->watched_ran_ns, p->commit_ran_ns);

	if (!p->commits || p->creator)
		return;
	if (ran > FIRST_TICK_NS)
		p->commit_ran_ns += MIN(late_ns, ran - FIRST_TICK_NS);
	p->watched_ran_ns = p->ran_ns;
	if (p->ran_ns - p->commit_ran_ns > FIRST_DEADLINE_NS)
		process_kill(p, X_DEATH_KILLED, -X_ETIMEDOUT);
}

uint64_t process_patience(const struct process *p)
{
	return p->commits && p->creator == 0 ? arch_time_ns() + FIRST_DEADLINE_NS : X_FOREVER;
}

static void process_halt(struct process *p)
{
	death_begins(p, X_DEATH_EXIT);
	p->state = X_PROC_HALTED;
	if (p->creator == 0)
		restart_first(p);
	else if (p->obj.handles == 0) /* nobody can reset it */
		process_end(p);
	else
		binding_post(&p->obj, 1);
}

/* Back to the last commit, with a new thread and nothing of the old ones. What cannot
 * go on so is dead, and its maker hears of it. */
int process_reset(struct process *p, const struct x_thread_create *c)
{
	int64_t id;

	if (p->state != X_PROC_HALTED)
		return -X_ESRCH;
	if (!p->commits) {
		process_end(p);
		return -X_ESRCH;
	}
	handle_table_undo(p);
	space_undo(p->space, p->commits);
	if (p->state != X_PROC_HALTED) /* it held the last handle to itself */
		return -X_ESRCH;
	p->state = X_PROC_RUNNING;
	p->dying = p->suspended = false;
	id = process_add_thread(p, c, NULL);
	if (id < 0) {
		p->dying = true;
		process_end(p);
	}
	return id < 0 ? id : 0;
}

int process_start_first(struct process *p, const struct x_thread_create *c)
{
	int64_t id = process_add_thread(p, c, NULL);

	first_thread = *c;
	return id < 0 ? id : 0;
}

void thread_exit_current(void)
{
	struct thread *t = current();
	struct process *p = t->process;

	if (t->robust_list)
		robust_release();
	if ((p->flags & X_PROC_LINUX) && p->thread_count == 1 && !p->replacing)
		death_begins(p, X_DEATH_EXIT); /* no new thread from here on */
	/* A program's memory, which no device of its own writes to: not in one go. */
	if ((p->flags & X_PROC_LINUX) && !(p->flags & X_PROC_KEPT) && p->thread_count == 1 && p->dying)
		space_clear(p->space, true);
	t->state = THREAD_DEAD;
	list_remove(&t->process_link);
	p->user_ns += t->user_ns;
	p->system_ns += t->system_ns;
	if (--p->thread_count == 0) {
		/* Ours is the last stack that uses the space: hold both until
		 * this thread is switched away from. */
		if (p->replacing)
			waitq_wake_all(&p->ended, 0);
		else if (p->flags & X_PROC_KEPT)
			process_halt(p);
		else
			process_end(p);
	}
	t->process = &process_none;
	schedule();
	panic("a dead thread ran");
}

static void threads_kill(struct process *p)
{
	current()->leaving = true; /* the killer most likely waits for the death */
	list_for_each(t, &p->threads, struct thread, process_link) {
		t->killed = true;
		if (t->state == THREAD_BLOCKED && !(t->wait_flags & WAIT_UNKILLABLE))
			thread_wake(t, -X_EINTR);
		else
			sched_stop_thread(t);
	}
	current()->leaving = false;
}

void process_kill(struct process *p, uint32_t death, int status)
{
	if (p->state == X_PROC_HALTED) {
		process_end(p);
		return;
	}
	if (p->dying)
		return;
	death_begins(p, death);
	p->status = status;
	if (p->thread_count == 0) {
		if (!p->replacing)
			process_end(p);
		return;
	}
	process_start(p);
	threads_kill(p);
}

/* ------------------------------------------------------------------ suspend */

void process_suspend(struct process *p, bool on)
{
	if (p->state >= X_PROC_DEAD)
		return;
	if (!on) {
		p->suspended = false;
		if (p->state == X_PROC_SUSPENDED)
			p->state = X_PROC_RUNNING;
		process_start(p);
		waitq_wake_all(&p->suspend_wait, 0);
		return;
	}
	p->suspended = true;
	if (p->state == X_PROC_RUNNING)
		p->state = X_PROC_SUSPENDED;
	list_for_each(t, &p->threads, struct thread, process_link)
		sched_stop_thread(t);
}

/* --------------------------------------------------------------------- exec */

/*
 * Replace the program. The threads end first; whatever fails after that can
 * only be the new thread's creation, whose memory is taken up front.
 */
int process_exec(struct process *p, struct space *space, const struct x_proc_exec *e)
{
	struct space *old;
	struct thread *t;
	int err = 0;

	if (p->dying || p->replacing || p == current_process())
		return -X_ESRCH;
	if (space->account != p->account)
		return -X_EINVAL;
	p->replacing = true;
	threads_kill(p);
	while (p->thread_count && !err)
		err = thread_wait(&p->ended, X_FOREVER, WAIT_UNKILLABLE);
	p->replacing = false;
	if (p->dying) {
		process_end(p);
		return -X_ESRCH;
	}
	old = p->space;
	p->space = space;
	object_ref(&space->obj);
	space_clear(old, true);
	p->peak_pages = MAX(p->peak_pages, old->peak_pages);
	object_unref(&old->obj);
	handle_table_close_cloexec(p);
	p->personality = e->personality;
	memcpy(p->name, e->name, sizeof(p->name));
	p->name[sizeof(p->name) - 1] = 0;
	p->pending &= e->keep_pending;
	p->ignore = e->ignore;
	p->next_thread_id = 1;
	err = thread_create(p, &e->thread, NULL, &t);
	if (err) {
		process_kill(p, X_DEATH_MEMORY, err);
		return err;
	}
	if (p->state == X_PROC_NEW)
		process_start(p);
	else
		sched_make_ready(t);
	return 0;
}

/* A new thread in a process that already runs, or is about to. */
int64_t process_add_thread(struct process *p, const struct x_thread_create *c, const struct x_regs *regs)
{
	struct thread *t;
	int err = thread_create(p, c, regs, &t);

	if (err)
		return err;
	if (p->state == X_PROC_NEW)
		process_start(p);
	else
		sched_make_ready(t);
	return t->id;
}

/* ---------------------------------------------------------------- upcalls */

static bool in_personality(const struct process *p, uint64_t rip)
{
	return rip >= p->personality.base && rip < p->personality.end;
}

#define BLOCK_HEAD offsetof(struct x_upcall, regs)

void thread_upcall(uint32_t reason, uint32_t vector, uint64_t error, uint64_t address)
{
	struct thread *t = current();
	struct x_upcall head; /* all but the registers */
	uint64_t at = upcall_block(t);

	arch_read_bases(t);
	head.reason = reason;
	head.vector = vector;
	head.error_code = error;
	head.address = address;
	head.pending = thread_notifications(t);
	head.mask = head.installed_mask = t->mask;
	head.thread_word = t->thread_word;
	if (copy_to_user(at, &head, BLOCK_HEAD) || copy_to_user(at + BLOCK_HEAD, t->regs, sizeof(*t->regs))) {
		process_kill(t->process, X_DEATH_EXCEPTION, -X_EFAULT);
		return;
	}
	t->regs->rdi = at;
	t->regs->rsp = at - 8; /* as if called: the ABI's alignment */
	t->regs->rcx = t->regs->rip = t->process->personality.entry;
	t->regs->r11 = t->regs->rflags = RFLAGS_IF | 2; /* rcx and r11 so: the quick way out */
}

void thread_set_mask(struct thread *t, uint64_t mask)
{
	struct process *p = t->process;

	t->mask = mask;
	t->pending &= ~(p->ignore & ~mask);
	p->pending &= ~(p->ignore & ~mask);
}

uint64_t thread_take_notifications(struct thread *t, uint64_t bits)
{
	uint64_t mine = t->pending & bits, shared = t->process->pending & bits & ~mine;

	t->pending &= ~mine;
	t->process->pending &= ~shared;
	return mine | shared;
}

int64_t sys_resume(uint64_t user_frame, uint64_t taken)
{
	struct thread *t = current();
	struct process *p = t->process;
	uint64_t mask;
	struct x_regs regs;

	if (copy_from_user(&regs, user_frame + BLOCK_HEAD, sizeof(regs)) ||
	    copy_from_user(&mask, user_frame + offsetof(struct x_upcall, mask), sizeof(mask)))
		return -X_EFAULT;
	if (sanitise_regs(&regs))
		return -X_EINVAL;
	/* Another thread took a process-directed bit first: it is not ours to handle. */
	if (taken & ~(t->pending | p->pending))
		return -X_EAGAIN;
	thread_take_notifications(t, taken);
	thread_set_mask(t, mask);
	*t->regs = regs;
	return (int64_t)regs.rax;
}

/*
 * A notification for a thread in its personality: told by the block's `pending`,
 * at which it looks before it leaves. If it has looked already, it has nothing
 * left to do but to load registers from the block: that is done for it.
 */
static void notify_personality(struct thread *t)
{
	const struct x_personality *pers = &t->process->personality;
	uint64_t bits = thread_notifications(t), rip = t->regs->rip;

	if (rip >= pers->leave && rip < pers->leave_end)
		sys_resume(upcall_block(t), 0);
	else
		copy_to_user(upcall_block(t) + offsetof(struct x_upcall, pending), &bits, sizeof(bits));
}

void thread_return_to_user(struct x_regs *regs)
{
	struct thread *t = current();
	struct process *p = t->process;
	bool told = false; /* once, whatever the upcall leads to */

	for (;;) {
		if (t->killed) {
			thread_exit_current();
		} else if (p->suspended) {
			thread_wait(&p->suspend_wait, X_FOREVER, 0);
		} else if (this_cpu()->need_resched) {
			schedule();
		} else if (!told && t->upcall_stack && thread_notifications(t)) {
			/* Writing to the block may block: look at all again. */
			if (in_personality(p, regs->rip))
				notify_personality(t);
			told = true;
			if (!in_personality(p, regs->rip))
				thread_upcall(X_UP_NOTIFY, 0, 0, 0);
		} else {
			return;
		}
	}
}

/* Wake a thread out of an interruptible wait if it has something to see to. */
static void thread_notified(struct thread *t)
{
	if (!thread_notifications(t))
		return;
	if (t->state == THREAD_BLOCKED && (t->wait_flags & WAIT_INTERRUPTIBLE))
		thread_wake(t, -X_EINTR);
	else
		sched_stop_thread(t);
}

/* What is ignored is dropped, but not while it is masked: it may be waited for. */
static int pend(uint64_t *pending, uint64_t bits, uint64_t dropped)
{
	int was = !(bits & ~dropped) ? X_NOTIFY_DROPPED : *pending & bits ? X_NOTIFY_WAS_PENDING : X_NOTIFY_POSTED;

	*pending |= bits & ~dropped;
	return was;
}

int process_notify(struct process *p, uint32_t thread_id, uint64_t bits)
{
	int was;

	if (p->state >= X_PROC_DEAD)
		return -X_ESRCH;
	if (thread_id == 0) {
		struct thread *chosen = NULL;
		uint64_t masked = list_empty(&p->threads) ? 0 :
				  list_first(&p->threads, struct thread, process_link)->mask;

		was = pend(&p->pending, bits, p->ignore & ~masked);
		/* One thread that does not mask it is enough, and best one that can act now. */
		list_for_each(t, &p->threads, struct thread, process_link) {
			if (!(bits & ~t->mask))
				continue;
			if (!chosen)
				chosen = t;
			if (t->state != THREAD_BLOCKED || (t->wait_flags & WAIT_INTERRUPTIBLE)) {
				chosen = t;
				break;
			}
		}
		if (chosen)
			thread_notified(chosen);
		return was;
	}
	list_for_each(t, &p->threads, struct thread, process_link) {
		if (t->id != thread_id)
			continue;
		was = pend(&t->pending, bits, p->ignore & ~t->mask);
		thread_notified(t);
		return was;
	}
	return -X_ESRCH;
}

/* ----------------------------------------------------------------- exceptions */

static void process_fault(struct process *p, struct x_regs *regs, uint32_t vector, uint64_t error,
			  uint64_t address)
{
	if (p->dying)
		return;
	p->vector = vector;
	p->fault_address = address;
	p->fault_error = error;
	p->fault_regs = *regs;
	memset(p->fault_backtrace, 0, sizeof(p->fault_backtrace)); /* of a death before, in a process that was reset */
	arch_backtrace(regs, p->fault_backtrace, ARRAY_SIZE(p->fault_backtrace));
	klog("%s: exception %u at %#lx, address %#lx, error %#lx\n", p->name, vector, regs->rip, address,
	     error);
	process_kill(p, X_DEATH_EXCEPTION, vector);
}

/* The personality's own fix-ups: pairs of fault address and continuation. */
static bool personality_fixup(struct process *p, struct x_regs *regs)
{
	uint64_t pair[2];

	for (uint64_t i = 0; i < p->personality.fixup_count; i++) {
		if (copy_from_user(pair, p->personality.fixups + i * sizeof(pair), sizeof(pair)))
			return false;
		if (pair[0] == regs->rip && in_personality(p, pair[1])) {
			regs->rip = pair[1];
			return true;
		}
	}
	return false;
}

#define VECTOR_PAGE_FAULT 14u
#define PF_WRITE 2u
#define PF_FETCH 16u

bool trap_exception(struct x_regs *regs, uint32_t vector, uint64_t error, uint64_t address, bool user)
{
	struct thread *t = current();
	struct process *p = t->process;

	if (vector == VECTOR_PAGE_FAULT && address < X_USER_MAX && p->space) {
		uint32_t access = (error & PF_WRITE ? FAULT_WRITE : 0) | (error & PF_FETCH ? FAULT_EXEC : 0);
		int err = space_fault(p->space, address, access);

		if (err == 0 || (err == -X_EINTR && t->killed && user))
			return true;
		if (err == -X_ENOMEM && user) {
			klog("%s: out of memory: ended\n", p->name);
			process_kill(p, X_DEATH_MEMORY, err);
			return true;
		}
	}
	if (!user)
		return false;
	if (!t->upcall_stack || in_personality(p, regs->rip)) {
		if (!t->upcall_stack || !personality_fixup(p, regs))
			process_fault(p, regs, vector, error, address);
		return true;
	}
	thread_upcall(X_UP_FAULT, vector, error, address);
	return true;
}

uint64_t process_cpu_ns(const struct process *p)
{
	uint64_t ns = p->user_ns + p->system_ns, now = arch_time_ns();

	list_for_each(t, &p->threads, struct thread, process_link)
		ns += t->system_ns + (t->state == THREAD_RUNNING ? now - t->judged_ns : 0);
	return ns;
}
