/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait sets: many objects watched at once, told of as they become ready. What
 * epoll stands on.
 *
 * An entry watches one object. When that object changes the entry goes to the
 * set's list of those that may be ready; a wait looks at these only. Level:
 * the entry stays on the list while its object is ready. Edge: it is told of
 * once per change (the object's pulse counters). Once: it then sleeps until it
 * is set again. A set is itself waitable, also by another set.
 */
#include "port.h"

#define ENTRIES_MAX 16384u /* of one set */
#define NEST_MAX 4u        /* sets within sets */
#define BATCH 64u          /* told of at once */

struct entry {
	struct watch watch;
	struct waitset *set;
	struct object *object;     /* referenced; gone at the end of its last handle */
	struct list set_link, ready_link;
	uint32_t slot, mask, flags, aux;
	uint64_t data, seen;
};

static void entry_remove(struct entry *e)
{
	list_remove(&e->watch.link);
	list_remove(&e->set_link);
	list_remove(&e->ready_link);
	e->set->count--;
	object_unref(e->object);
	kfree(e);
}

void waitset_forget(struct list *watchers)
{
	struct list *l = watchers->next, *next;

	for (; l != watchers; l = next) {
		struct watch *w = container_of(l, struct watch, link);

		next = l->next;
		if (w->entry)
			entry_remove(w->entry);
	}
}

static void waitset_unhandled(struct object *o)
{
	struct waitset *s = container_of(o, struct waitset, obj);

	waitset_forget(&s->watchers);
	while (!list_empty(&s->entries))
		entry_remove(list_first(&s->entries, struct entry, set_link));
}

static void waitset_destroy(struct object *o)
{
	struct waitset *s = container_of(o, struct waitset, obj);

	KASSERT(list_empty(&s->entries));
	kfree(s);
}

static const struct object_ops waitset_ops = {
	.unhandled = waitset_unhandled, .destroy = waitset_destroy,
};

int64_t sys_waitset_create(void)
{
	struct waitset *s = kzalloc(sizeof(*s));

	if (!s)
		return -X_ENOMEM;
	object_init(&s->obj, X_TYPE_WAITSET, &waitset_ops);
	list_init(&s->entries);
	list_init(&s->ready);
	list_init(&s->watchers);
	return object_hand_out(&s->obj, X_R_WAIT | X_R_WRITE | X_R_DUP | X_R_TRANSFER);
}

/* ----------------------------------------------------------------- readiness */

void waitset_poke(struct entry *e)
{
	if (list_empty(&e->ready_link))
		list_push_back(&e->set->ready, &e->ready_link);
	e->set->pulse++;
	watchers_wake(&e->set->watchers);
}

/* Changes so far of what the entry wants to hear of. */
static uint64_t changes(const struct entry *e)
{
	const struct record *r = container_of(e->object, struct record, obj);
	uint64_t sum = 0;

	if (e->object->type == X_TYPE_WAITSET)
		return container_of(e->object, struct waitset, obj)->pulse;
	for (uint32_t i = 0; i < ARRAY_SIZE(r->pulses); i++)
		if ((e->mask | X_READY_ERR | X_READY_HUP) >> i & 1)
			sum += r->pulses[i];
	return sum;
}

static uint32_t entry_ready(const struct entry *e)
{
	uint32_t ready = e->mask ? ready_of(e->object, e->mask) : 0;

	return ready && (e->flags & X_WAITSET_EDGE) && e->seen == changes(e) ? 0 : ready;
}

/* Nothing is used up; what turns out not to be ready leaves the list. */
uint32_t waitset_ready(struct waitset *s)
{
	while (!list_empty(&s->ready)) {
		struct entry *e = list_first(&s->ready, struct entry, ready_link);

		if (entry_ready(e))
			return X_READY_IN;
		list_remove(&e->ready_link);
	}
	return 0;
}

static uint32_t collect(struct waitset *s, struct x_waitset_event *out, uint32_t max)
{
	struct list told;
	uint32_t n = 0;

	list_init(&told);
	while (n < max && !list_empty(&s->ready)) {
		struct entry *e = list_first(&s->ready, struct entry, ready_link);
		uint32_t ready = entry_ready(e);

		list_remove(&e->ready_link);
		if (!ready)
			continue;
		out[n++] = (struct x_waitset_event){ .data = e->data, .ready = ready, .aux = e->aux };
		e->seen = changes(e);
		if (e->flags & X_WAITSET_ONCE)
			e->mask = 0;
		else if (!(e->flags & X_WAITSET_EDGE))
			list_push_back(&told, &e->ready_link);
	}
	/* Behind those that had no turn this time. */
	while (!list_empty(&told)) {
		struct entry *e = list_first(&told, struct entry, ready_link);

		list_remove(&e->ready_link);
		list_push_back(&s->ready, &e->ready_link);
	}
	return n;
}

static int64_t wait_for(struct waitset *s, struct x_waitset_event *out, uint32_t max, uint64_t deadline)
{
	struct watch w = { .thread = current() };

	for (;;) {
		uint32_t n = collect(s, out, max);
		int err;

		if (n || deadline == 0)
			return n;
		list_push_back(&s->watchers, &w.link);
		err = thread_wait(NULL, deadline, WAIT_INTERRUPTIBLE);
		list_remove(&w.link);
		if (err == -X_ETIMEDOUT)
			deadline = 0; /* look once more */
		else if (err)
			return err;
	}
}

int64_t sys_waitset_wait(uint32_t h, uint64_t events, uint32_t max, uint64_t deadline, uint64_t user_mask)
{
	struct x_waitset_event out[BATCH];
	struct thread *t = current();
	uint64_t mask = t->mask, saved = t->mask;
	struct object *o;
	int64_t n;
	int err;

	if (user_mask && copy_from_user(&mask, user_mask, sizeof(mask)))
		return -X_EFAULT;
	o = handle_get(h, X_TYPE_WAITSET, X_R_WAIT, &err);
	if (!o)
		return err;
	t->mask = mask;
	n = wait_for(container_of(o, struct waitset, obj), out, MIN(max, BATCH), deadline);
	t->mask = saved;
	object_unref(o);
	if (n > 0 && copy_to_user(events, out, n * sizeof(out[0])))
		return -X_EFAULT;
	return n;
}

/* ------------------------------------------------------------------- entries */

/* Could waiting for `o` be waiting for `s`? Too deep counts as yes. */
static bool leads_to(const struct object *o, const struct waitset *s, uint32_t depth)
{
	const struct waitset *inner = container_of(o, struct waitset, obj);

	if (o->type != X_TYPE_WAITSET)
		return false;
	if (inner == s || depth == NEST_MAX)
		return true;
	list_for_each(e, &inner->entries, struct entry, set_link)
		if (leads_to(e->object, s, depth + 1))
			return true;
	return false;
}

static struct entry *find(struct waitset *s, uint32_t slot, const struct object *o)
{
	list_for_each(e, &s->entries, struct entry, set_link)
		if (e->slot == slot && e->object == o)
			return e;
	return NULL;
}

/* what: readiness bits | flags << 16 | aux << 32 */
static void entry_set(struct entry *e, uint64_t what, uint64_t data)
{
	e->mask = what & 0xffff;
	e->flags = what >> 16 & 0xffff;
	e->aux = what >> 32;
	e->data = data;
	e->seen = UINT64_MAX;
	waitset_poke(e);
}

static int64_t add(struct waitset *s, uint32_t slot, struct object *o, uint64_t what, uint64_t data)
{
	struct entry *e;

	if (o->type == X_TYPE_OBJECT && (container_of(o, struct record, obj)->flags & X_MINT_CURSOR))
		return -X_EPERM; /* a file is always ready */
	if (leads_to(o, s, 0))
		return -X_ELOOP;
	e = s->count < ENTRIES_MAX ? kzalloc(sizeof(*e)) : NULL;
	if (!e)
		return s->count < ENTRIES_MAX ? -X_ENOMEM : -X_ENOSPC;
	e->set = s;
	e->object = o;
	object_ref(o);
	e->slot = slot;
	e->watch.entry = e;
	list_init(&e->ready_link);
	list_push_back(watchers_of(o), &e->watch.link);
	list_push_back(&s->entries, &e->set_link);
	s->count++;
	entry_set(e, what, data);
	return 0;
}

static int64_t change(struct waitset *s, uint32_t op, uint32_t slot, struct object *o, uint64_t what,
		      uint64_t data)
{
	struct entry *e = find(s, slot, o);

	if (&s->obj == o)
		return -X_EINVAL;
	if (op == X_WAITSET_ADD)
		return e ? -X_EEXIST : add(s, slot, o, what, data);
	if (!e)
		return -X_ENOENT;
	if (op == X_WAITSET_DELETE)
		entry_remove(e);
	else
		entry_set(e, what, data);
	return 0;
}

int64_t sys_waitset_ctl(uint32_t h, uint32_t op, uint32_t slot, uint64_t what, uint64_t data)
{
	int err;
	struct object *s, *o = handle_get(slot, X_TYPE_NONE, X_R_WAIT, &err);
	int64_t result = err;

	if (!o)
		return result;
	s = handle_get(h, X_TYPE_WAITSET, X_R_WRITE, &err);
	result = err;
	if (s && o->type != X_TYPE_OBJECT && o->type != X_TYPE_WAITSET)
		result = -X_EPERM;
	else if (s)
		result = op > X_WAITSET_DELETE ? -X_EINVAL :
			 change(container_of(s, struct waitset, obj), op, slot, o, what, data);
	if (s)
		object_unref(s);
	object_unref(o);
	return result;
}
