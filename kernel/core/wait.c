/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting of programs: x_wait (poll, select) and futexes.
 */
#include "port.h"

/* -------------------------------------------------------------------- x_wait */

#define WAIT_ITEMS_MAX 1024u
#define WAIT_ON_STACK 16u

struct waited {
	struct watch watch;
	struct object *object; /* referenced; NULL: skipped */
	uint32_t mask;
};

struct list *watchers_of(struct object *o)
{
	if (o->type == X_TYPE_EVENT)
		return &container_of(o, struct event, obj)->watchers;
	if (o->type == X_TYPE_WAITSET)
		return &container_of(o, struct waitset, obj)->watchers;
	return &container_of(o, struct record, obj)->watchers;
}

static bool may_be_waited_for(const struct object *o)
{
	return o->type == X_TYPE_OBJECT || o->type == X_TYPE_EVENT || o->type == X_TYPE_WAITSET;
}

uint32_t ready_of(struct object *o, uint32_t mask)
{
	if (o->type == X_TYPE_EVENT)
		return container_of(o, struct event, obj)->bits & mask;
	if (o->type == X_TYPE_WAITSET)
		return waitset_ready(container_of(o, struct waitset, obj)) & mask;
	return container_of(o, struct record, obj)->ready &
	       (mask | X_READY_ERR | X_READY_HUP | X_READY_DEAD);
}

static void waited_release(struct waited *w, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		list_remove(&w[i].watch.link);
		if (w[i].object)
			object_unref(w[i].object);
	}
}

/* Takes references and registers; items that can't be waited for are an error. */
static int waited_begin(struct waited *w, const struct x_wait_item *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int err;

		list_init(&w[i].watch.link);
		w[i].watch.thread = current();
		w[i].watch.entry = NULL;
		w[i].object = NULL;
		w[i].mask = items[i].mask;
		if (items[i].handle == X_NO_HANDLE)
			continue;
		w[i].object = handle_get(items[i].handle, X_TYPE_NONE, X_R_WAIT, &err);
		if (w[i].object && !may_be_waited_for(w[i].object)) {
			object_unref(w[i].object);
			w[i].object = NULL;
			err = -X_EWRONGTYPE;
		}
		if (!w[i].object) {
			waited_release(w, i);
			return err;
		}
		list_push_back(watchers_of(w[i].object), &w[i].watch.link);
	}
	return 0;
}

static uint32_t waited_poll(struct waited *w, struct x_wait_item *items, uint32_t count)
{
	uint32_t ready = 0;

	for (uint32_t i = 0; i < count; i++) {
		items[i].ready = w[i].object ? ready_of(w[i].object, w[i].mask) : 0;
		ready += items[i].ready != 0;
	}
	return ready;
}

static int64_t wait_items(struct waited *w, struct x_wait_item *items, uint32_t count, uint64_t deadline)
{
	int64_t ready = waited_begin(w, items, count);

	if (ready < 0)
		return ready;
	for (;;) {
		int err;

		ready = waited_poll(w, items, count);
		if (ready || deadline == 0)
			break;
		err = thread_wait(NULL, deadline, WAIT_INTERRUPTIBLE);
		if (err == -X_ETIMEDOUT)
			deadline = 0; /* look once more */
		else if (err) {
			ready = err;
			break;
		}
	}
	waited_release(w, count);
	return ready;
}

/* Most wait for one thing. */
static int64_t wait_for_one(struct x_wait_item *item, uint64_t deadline)
{
	int err;
	struct object *o = handle_borrow(&current_process()->handles, item->handle, X_TYPE_NONE, X_R_WAIT, &err);
	struct watch watch = { .thread = current() };

	if (!o)
		return err;
	if (!may_be_waited_for(o))
		return -X_EWRONGTYPE;
	item->ready = ready_of(o, item->mask);
	if (item->ready || deadline == 0)
		return item->ready != 0;
	object_ref(o);
	list_push_back(watchers_of(o), &watch.link);
	do {
		err = thread_wait(NULL, deadline, WAIT_INTERRUPTIBLE);
		item->ready = ready_of(o, item->mask);
	} while (!err && !item->ready);
	list_remove(&watch.link);
	object_unref(o);
	return err && err != -X_ETIMEDOUT ? err : item->ready != 0;
}

static int64_t sys_wait_for_several(uint64_t user_items, uint32_t count, uint64_t deadline, uint64_t user_mask)
{
	struct waited few[WAIT_ON_STACK], *w = few;
	struct x_wait_item few_items[WAIT_ON_STACK], *items = few_items;
	struct thread *t = current();
	uint64_t mask = 0, saved = t->mask;
	int64_t result = -X_ENOMEM;

	if (count > WAIT_ITEMS_MAX)
		return -X_EINVAL;
	if (user_mask && copy_from_user(&mask, user_mask, sizeof(mask)))
		return -X_EFAULT;
	if (count > WAIT_ON_STACK) {
		w = kmalloc(count * sizeof(*w));
		items = kmalloc(count * sizeof(*items));
		if (!w || !items)
			goto out;
	}
	result = -X_EFAULT;
	if (copy_from_user(items, user_items, count * sizeof(*items)))
		goto out;
	if (user_mask)
		t->mask = mask;
	result = wait_items(w, items, count, deadline);
	if (user_mask)
		t->mask = saved;
	if (result >= 0 && copy_to_user(user_items, items, count * sizeof(*items)))
		result = -X_EFAULT;
out:
	if (w != few)
		kfree(w);
	if (items != few_items)
		kfree(items);
	return result;
}

int64_t sys_wait(uint64_t user_items, uint32_t count, uint64_t deadline, uint64_t user_mask)
{
	struct x_wait_item item;
	int64_t result;

	if (count != 1 || user_mask || !user_range(user_items, sizeof(item)) ||
	    !user_try_copy(&item, (const void *)user_items, sizeof(item)) || item.handle == X_NO_HANDLE)
		return sys_wait_for_several(user_items, count, deadline, user_mask);
	result = wait_for_one(&item, deadline);
	if (result >= 0 && !user_try_copy((void *)user_items, &item, sizeof(item)) &&
	    copy_to_user(user_items, &item, sizeof(item)))
		result = -X_EFAULT;
	return result;
}

/* -------------------------------------------------------------------- futexes */

#define FUTEX_BUCKETS 64u

static struct waitq futex_buckets[FUTEX_BUCKETS];

void futex_init(void)
{
	for (uint32_t i = 0; i < FUTEX_BUCKETS; i++)
		waitq_init(&futex_buckets[i]);
}

static struct waitq *futex_bucket(uint64_t koid, uint64_t offset)
{
	return &futex_buckets[(koid * 31 + (offset >> 2)) % FUTEX_BUCKETS];
}

int64_t sys_futex_wait(uint64_t word, uint32_t expected, uint64_t deadline, uint32_t bitset)
{
	struct thread *t = current();
	uint32_t value;
	int err;

	if ((word & 3) || bitset == 0)
		return -X_EINVAL;
	/* Reading it faults the page in; nothing blocks between this look and
	 * the wait but that. */
	if (copy_from_user(&value, word, sizeof(value)))
		return -X_EFAULT;
	if (value != expected)
		return -X_EAGAIN;
	err = space_identify(current_process()->space, word, &t->futex_koid, &t->futex_offset);
	if (err)
		return err;
	t->futex_bitset = bitset;
	return thread_wait(futex_bucket(t->futex_koid, t->futex_offset), deadline, WAIT_INTERRUPTIBLE);
}

int64_t sys_futex_wake(uint64_t word, uint32_t count, uint32_t bitset, uint64_t word2, uint32_t requeue)
{
	uint64_t koid, offset, koid2 = 0, offset2 = 0;
	struct space *space = current_process()->space;
	struct waitq *q;
	uint32_t woken = 0, moved = 0;
	int err = space_identify(space, word, &koid, &offset);

	if (!err && word2)
		err = space_identify(space, word2, &koid2, &offset2);
	if (err)
		return err;
	q = futex_bucket(koid, offset);
	list_for_each(t, &q->threads, struct thread, wait_link) {
		if (t->futex_koid != koid || t->futex_offset != offset || !(t->futex_bitset & bitset))
			continue;
		if (woken < count) {
			thread_wake(t, 0);
			woken++;
		} else if (word2 && moved < requeue) {
			struct waitq *to = futex_bucket(koid2, offset2);

			t->futex_koid = koid2;
			t->futex_offset = offset2;
			if (to != q) {
				list_remove(&t->wait_link);
				list_push_back(&to->threads, &t->wait_link);
				t->waiting_on = to;
			}
			moved++;
		} else {
			break;
		}
	}
	return woken + moved;
}
