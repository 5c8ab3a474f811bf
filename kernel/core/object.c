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
	memset(o, 0, sizeof(*o));
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

static int table_grow(struct handle_table *t, uint32_t need)
{
	uint32_t size = t->size ? t->size : 32;
	struct handle *slots;

	if (need > X_SLOT_MAX)
		return -X_EMFILE;
	while (size < need)
		size *= 2;
	slots = kzalloc(size * sizeof(*slots));
	if (!slots)
		return -X_ENOMEM;
	if (t->slots)
		memcpy(slots, t->slots, t->size * sizeof(*slots));
	kfree(t->slots);
	t->slots = slots;
	t->size = size;
	return 0;
}

int64_t handle_install(struct process *p, struct handle h, uint32_t min, uint32_t end)
{
	struct handle_table *t = &p->handles;
	uint32_t slot = min;

	while (slot < t->size && t->slots[slot].object)
		slot++;
	if (slot >= MIN(end, X_SLOT_MAX))
		return -X_EMFILE;
	if (slot >= t->size) {
		int err = table_grow(t, slot + 1);

		if (err)
			return err;
	}
	t->slots[slot] = h;
	t->slots[slot].born = p->commits;
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
	struct handle_table *t = &p->handles;
	struct handle old;

	if (slot >= X_SLOT_MAX)
		return -X_EBADF;
	if (slot >= t->size) {
		int err = table_grow(t, slot + 1);

		if (err)
			return err;
	}
	old = t->slots[slot];
	t->slots[slot] = h;
	t->slots[slot].born = p->commits;
	if (old.object)
		handle_drop(old);
	else
		t->used++;
	return 0;
}

int handle_remove(struct process *p, uint32_t slot, struct handle *out)
{
	struct handle_table *t = &p->handles;

	if (slot >= t->size || !t->slots[slot].object)
		return -X_EBADF;
	*out = t->slots[slot];
	t->slots[slot] = (struct handle){ 0 };
	t->used--;
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
	struct handle *h = handle_slot(&current_process()->handles, slot);

	*err = 0;
	if (!h)
		*err = -X_EBADF;
	else if (type != X_TYPE_NONE && h->object->type != type)
		*err = -X_EWRONGTYPE;
	else if ((h->rights & rights) != rights)
		*err = -X_ERIGHTS;
	if (*err)
		return NULL;
	object_ref(h->object);
	return h->object;
}

void handle_table_close_all(struct process *p)
{
	struct handle_table *t = &p->handles;

	for (uint32_t i = 0; i < t->size; i++) {
		struct handle h = t->slots[i];

		t->slots[i] = (struct handle){ 0 };
		handle_drop(h);
	}
	kfree(t->slots);
	*t = (struct handle_table){ 0 };
}

int handle_table_clone_fds(struct process *from, struct process *to)
{
	struct handle_table *t = &from->handles;
	uint32_t end = MIN(t->size, X_SLOT_FD_END);
	int err = table_grow(&to->handles, MAX(end, 1u));

	if (err)
		return err;
	for (uint32_t i = 0; i < end; i++) {
		if (!t->slots[i].object)
			continue;
		to->handles.slots[i] = handle_hold(t->slots[i].object, t->slots[i].rights);
		to->handles.slots[i].cloexec = t->slots[i].cloexec;
		to->handles.used++;
	}
	return 0;
}

void handle_table_close_cloexec(struct process *p)
{
	struct handle_table *t = &p->handles;

	for (uint32_t i = 0; i < t->size; i++) {
		struct handle h = t->slots[i];

		if (!h.object || !h.cloexec)
			continue;
		t->slots[i] = (struct handle){ 0 };
		t->used--;
		handle_drop(h);
	}
}

/* The ports it reads first: what their items and objects need is kept there. */
void handle_table_undo(struct process *p)
{
	struct handle_table *t = &p->handles;
	struct handle h;

	for (uint32_t i = 0; i < t->size; i++)
		if (t->slots[i].object && t->slots[i].object->type == X_TYPE_PORT)
			port_undo(container_of(t->slots[i].object, struct port, obj), p);
	for (uint32_t i = 0; i < t->size; i++)
		if (t->slots[i].born == p->commits && !handle_remove(p, i, &h))
			handle_drop(h);
}
