/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Posting signals to the kernel, and what goes with them (siginfo).
 *
 * A signal is posted by the commit, like every effect on others: should pm die
 * before that, it was never sent. What became of it (the kernel says: was it
 * pending already, is it ignored?) is therefore known from the next iteration
 * on. posts_settle(), which all that looks at such results calls first, writes
 * it down then: a target can ask for siginfo only after that commit.
 *
 * Of signals below SIGNAL_QUEUED only the first is told, until it is taken;
 * the others are queued.
 */
#include "lib/c/slots.h"
#include "lib/region/region.h"
#include "servers/pm/pm.h"

enum { QUEUED_MAX = 4096, POSTS_MAX = X_MAX_OUT };

/* ---- the queue ---- */

static struct queued {
	struct proc *proc;       /* NULL: free */
	uint32_t signal, thread;
	uint64_t order;
	struct signal_info info;
} queue[QUEUED_MAX];
static uint64_t queue_order;
static uint32_t queue_used, queue_end; /* all from queue_end up are free */

#define for_each_queued(q) for (struct queued *q = queue; q < queue + queue_end; q++)

static void queue_add(const struct queued *what)
{
	struct queued *at = SLOT_FIND(queue, queue_end, proc);

	if (!at)
		return;
	SLOT_TAKEN(queue, queue_end, at);
	*at = *what;
	at->order = ++queue_order;
	queue_used++;
}

static void queue_remove(struct queued *q)
{
	q->proc = NULL;
	queue_used--;
	SLOTS_TRIM(queue, queue_end, proc);
}

/* ---- what is posted with the next commit, or was with the last ---- */

static struct post {
	struct queued what;      /* .proc NULL: ended meanwhile */
	int32_t timer;           /* that sent it, or NO_TIMER */
} posts[POSTS_MAX];
static uint32_t post_count;
static uint64_t posts_epoch;     /* of all of them */
/* By the commit; kept until the next one, so that settling can be done again. */
static REGION_SCRATCH int64_t results[POSTS_MAX];

static void settle(const struct post *post, int64_t was)
{
	const struct queued *what = &post->what;

	if (!what->proc)
		return;
	if (what->signal >= SIGNAL_QUEUED && (was == X_NOTIFY_POSTED || was == X_NOTIFY_WAS_PENDING))
		queue_add(what);
	else if (was == X_NOTIFY_POSTED)
		what->proc->info[what->signal] = what->info;
	if (post->timer != NO_TIMER && was != X_NOTIFY_WAS_PENDING)
		timer_was_told(what->proc, post->timer);
}

void posts_settle(void)
{
	if (!post_count || posts_epoch == server_epoch())
		return;
	for (uint32_t i = 0; i < post_count; i++)
		settle(&posts[i], results[i]);
	post_count = 0;
}

static bool same_post(const struct queued *a, const struct proc *p, uint32_t thread, uint32_t signal)
{
	return a->proc == p && a->thread == thread && a->signal == signal;
}

void post(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info, int32_t timer)
{
	posts_settle();
	for (uint32_t i = 0; signal < SIGNAL_QUEUED && i < post_count; i++)
		if (same_post(&posts[i].what, p, thread, signal))
			return; /* it is pending then */
	if (post_count == POSTS_MAX) /* so would be the outbox */
		server_die("more than %u signals at once", POSTS_MAX);
	posts_epoch = server_epoch();
	posts[post_count] = (struct post){ { p, signal, thread, 0, *info }, timer };
	out_do_result(&results[post_count++], X_SYS_notify_post, p->process, thread, signal_bit(signal), 0, 0);
	signalfds_posted(p, signal); /* behind it in the outbox */
}

/* ---- what is asked about both ---- */

bool signals_full(void)
{
	posts_settle();
	return queue_used + post_count >= QUEUED_MAX;
}

void signals_drop(struct proc *p)
{
	posts_settle();
	for (uint32_t i = 0; i < post_count; i++)
		if (posts[i].what.proc == p)
			posts[i].what.proc = NULL;
	for_each_queued(q)
		if (q->proc == p)
			queue_remove(q);
}

static bool is_from(const struct queued *q, const struct proc *p, uint32_t signal, const struct signal_info *info)
{
	return q->proc == p && q->signal == signal && q->info.code == info->code && q->info.pid == info->pid;
}

bool signal_queued(const struct proc *p, uint32_t signal, const struct signal_info *info)
{
	posts_settle();
	for (uint32_t i = 0; signal >= SIGNAL_QUEUED && i < post_count; i++)
		if (is_from(&posts[i].what, p, signal, info))
			return true;
	for_each_queued(q)
		if (is_from(q, p, signal, info))
			return true;
	return false;
}

uint64_t signals_queued(const struct proc *p)
{
	uint64_t count = 0;

	posts_settle();
	for (uint32_t i = 0; i < post_count; i++)
		count += posts[i].what.proc == p && posts[i].what.signal >= SIGNAL_QUEUED;
	for_each_queued(q)
		count += q->proc == p;
	return count;
}

/* ---- taking ---- */

/* The oldest for the thread itself, or else for the process. */
static struct queued *queue_first(const struct proc *p, uint32_t thread, uint32_t signal)
{
	struct queued *first = NULL;

	for_each_queued(q) {
		if (q->proc != p || q->signal != signal || (q->thread && q->thread != thread))
			continue;
		if (!first || (q->thread && !first->thread) ||
		    (!q->thread == !first->thread && q->order < first->order))
			first = q;
	}
	return first;
}

/* Of one that is queued the next is posted when the first has been taken. */
static bool take(struct proc *p, uint32_t thread, uint32_t signal, struct signal_info *info)
{
	struct queued *q = queue_first(p, thread, signal);

	if (!q)
		return false;
	*info = q->info;
	queue_remove(q);
	q = queue_first(p, thread, signal);
	if (q)
		out_do(X_SYS_notify_post, p->process, q->thread, signal_bit(signal), 0, 0);
	return true;
}

void siginfo_call(struct proc *p, const struct x_in *in)
{
	uint64_t signal = in->msg.a[0];
	struct signal_info info;
	struct x_msg msg = { 0 };

	posts_settle();
	if (signal == 0 || signal > SIGNAL_MAX) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	if (signal < SIGNAL_QUEUED) {
		info = p->info[signal];
	} else if (!take(p, (uint32_t)in->msg.a[1], (uint32_t)signal, &info)) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	msg.a[0] = (uint64_t)(int64_t)info.code;
	msg.a[1] = info.pid;
	msg.a[2] = info.uid;
	msg.a[3] = info.value;
	out_answer(in->id, &msg);
}

void sigflush_call(struct proc *p, const struct x_in *in)
{
	posts_settle();
	for_each_queued(q)
		if (q->proc == p && (in->msg.a[0] & signal_bit(q->signal)))
			queue_remove(q);
	out_status(in->id, 0);
}
