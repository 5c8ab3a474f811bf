/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects and handle tables.
 */
#include "object.h"
#include "mm.h"
#include "port.h"

uint64_t object_counts[16];
static uint64_t next_koid = 1;

void object_init(struct object *o, uint32_t type, const struct object_ops *ops)
{
	o->type = type;
	o->refs = 1;
	o->koid = next_koid++;
	o->ops = ops;
	list_init(&o->binding.item.link);
	list_init(&o->binding.port_link);
	o->binding.item.kind = X_IN_EVENT;
	object_counts[type]++;
}

void object_destroy(struct object *o)
{
	KASSERT(!this_cpu()->sharing);
	unbind(o);
	object_counts[o->type]--;
	o->ops->destroy(o);
}

struct handle handle_hold(struct object *o, uint32_t rights)
{
	object_ref(o);
	o->handles++;
	if (o->type == X_TYPE_PORT && (rights & X_R_RECEIVE))
		container_of(o, struct port, obj)->reader_handles++;
	return (struct handle){ .object = o, .rights = rights };
}

void handle_drop(struct handle h)
{
	struct object *o = h.object;

	if (!o)
		return;
	KASSERT(o->handles > 0);
	if (--o->handles == 0 && o->ops->unhandled)
		o->ops->unhandled(o);
	if (o->type == X_TYPE_PORT && (h.rights & X_R_RECEIVE))
		port_reader_gone(container_of(o, struct port, obj));
	object_unref(o);
}

/* Where searches for a free slot usually begin. */
static const uint32_t part_low[2] = { 0, X_SLOT_NATIVE - X_SLOT_FD_END };

static int part_grow(struct account *payer, struct handle_part *p, uint32_t need)
{
	uint32_t size = p->size ? p->size : 32;
	struct handle *slots;

	while (size < need)
		size *= 2;
	slots = kzalloc_for(payer, size * sizeof(*slots));
	if (!slots)
		return -X_ENOMEM;
	if (p->slots)
		memcpy(slots, p->slots, p->size * sizeof(*slots));
	kfree(p->slots);
	p->slots = slots;
	p->size = size;
	return 0;
}

/* The slot, there to be filled, or NULL: no memory. */
static struct handle *slot_make(struct process *process, uint32_t slot)
{
	struct handle_part *p = &process->handles.part[slot >= X_SLOT_FD_END];
	uint32_t i = slot >= X_SLOT_FD_END ? slot - X_SLOT_FD_END : slot;

	return i < p->size || !part_grow(process->account, p, i + 1) ? &p->slots[i] : NULL;
}

static void slot_put(struct process *p, struct handle *at, struct handle h)
{
	*at = h;
	at->born = p->commits;
}

/* The lowest free slot from min on. */
static uint32_t slot_free(struct handle_table *t, uint32_t min)
{
	uint32_t which = min >= X_SLOT_FD_END, first = which ? X_SLOT_FD_END : 0;
	struct handle_part *p = &t->part[which];
	uint32_t i = min - first;

	if (i >= part_low[which])
		i = MAX(i, p->full);
	while (i < p->size && p->slots[i].object)
		i++;
	if (min - first == part_low[which])
		p->full = i;
	if (which == 0 && i >= X_SLOT_FD_END)
		return slot_free(t, X_SLOT_FD_END);
	return first + i;
}

int64_t handle_install(struct process *p, struct handle h, uint32_t min, uint32_t end)
{
	struct handle_table *t = &p->handles;
	uint32_t slot = min < X_SLOT_MAX ? slot_free(t, min) : min;
	struct handle *at;

	if (slot >= MIN(end, X_SLOT_MAX))
		return -X_EMFILE;
	at = slot_make(p, slot);
	if (!at)
		return -X_ENOMEM;
	slot_put(p, at, h);
	t->used++;
	return slot;
}

int64_t object_hand_out(struct object *o, uint32_t rights)
{
	struct handle h = handle_hold(o, rights);
	int64_t slot = handle_install(current_process(), h, X_SLOT_NATIVE, X_SLOT_MAX);

	if (slot < 0)
		handle_drop(h);
	object_unref(o);
	return slot;
}

int handle_install_at(struct process *p, struct handle h, uint32_t slot)
{
	struct handle *at = slot < X_SLOT_MAX ? slot_make(p, slot) : NULL;
	struct handle old;

	if (!at)
		return slot < X_SLOT_MAX ? -X_ENOMEM : -X_EBADF;
	old = *at;
	slot_put(p, at, h);
	if (old.object)
		handle_drop(old);
	else
		p->handles.used++;
	return 0;
}

int handle_remove(struct process *p, uint32_t slot, struct handle *out)
{
	struct handle *h = handle_slot(&p->handles, slot);
	struct handle_part *part = &p->handles.part[slot >= X_SLOT_FD_END];
	uint32_t low = part_low[slot >= X_SLOT_FD_END], i;

	if (!h)
		return -X_EBADF;
	*out = *h;
	*h = (struct handle){ 0 };
	p->handles.used--;
	i = (uint32_t)(h - part->slots);
	if (i >= low && i < part->full)
		part->full = i;
	return 0;
}

int handle_lookup(uint32_t slot, struct handle *out)
{
	struct handle *h = handle_slot(&current_process()->handles, slot);

	if (!h)
		return -X_EBADF;
	*out = *h;
	return 0;
}

struct object *handle_get(uint32_t slot, uint32_t type, uint32_t rights, int *err)
{
	struct object *o = handle_borrow(&current_process()->handles, slot, type, rights, err);

	if (o)
		object_ref(o);
	return o;
}

void handle_table_close_all(struct process *p)
{
	struct handle_table *t = &p->handles;
	struct handle dropped;

	handles_for_each(h, slot, t)
		if (!handle_remove(p, slot, &dropped))
			handle_drop(dropped);
	kfree(t->part[0].slots);
	kfree(t->part[1].slots);
	*t = (struct handle_table){ 0 };
}

int handle_table_clone_fds(struct process *from, struct process *to)
{
	handles_for_each(h, slot, &from->handles) {
		struct handle *copy;

		if (slot >= X_SLOT_FD_END)
			break;
		copy = slot_make(to, slot);
		if (!copy)
			return -X_ENOMEM;
		*copy = handle_hold(h->object, h->rights);
		copy->cloexec = h->cloexec;
		to->handles.used++;
	}
	return 0;
}

void handle_table_close_cloexec(struct process *p)
{
	struct handle dropped;

	handles_for_each(h, slot, &p->handles)
		if (h->cloexec && !handle_remove(p, slot, &dropped))
			handle_drop(dropped);
}

/* The ports it reads first: what their items and objects need is kept there. */
void handle_table_undo(struct process *p)
{
	struct handle dropped;

	handles_for_each(h, slot, &p->handles)
		if (h->object->type == X_TYPE_PORT)
			port_undo(container_of(h->object, struct port, obj), p);
	handles_for_each(h, slot, &p->handles)
		if (h->born == p->commits && !handle_remove(p, slot, &dropped))
			handle_drop(dropped);
}
