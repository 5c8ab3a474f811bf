/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel objects and the handles that name them.
 *
 * An object begins with struct object. `handles` counts handle-table entries
 * and handles in flight in messages; `refs` counts those and the kernel's own
 * pointers. When handles reaches 0 ops->unhandled runs (closure notices); when
 * refs reaches 0 ops->destroy frees it. Both run under the kernel lock and
 * must not block.
 */
#ifndef OBJECT_H
#define OBJECT_H

#include "kernel.h"

struct object;
struct process;
struct port;

struct object_ops {
	void (*unhandled)(struct object *o); /* may be NULL */
	void (*destroy)(struct object *o);
};

struct item { /* something on a port's queue */
	struct list link;
	uint32_t kind;          /* enum x_in_kind */
	bool delivered;         /* on the port's list of items not yet committed */
	bool behind;            /* queued on port->crowd */
	uint32_t *few;          /* queued, and counted here (process->calls_in_front); or NULL */
	uint64_t queued_ns;
};

struct binding { /* delivers bits at a port: x_bind */
	struct port *port;      /* NULL: unbound. Not a reference: ports unbind as they go */
	uint64_t cookie;
	uint64_t bits;          /* pending, undelivered */
	uint64_t taken;         /* delivered, not yet committed */
	uint64_t born;          /* the port's epoch when it was bound */
	struct item item;       /* queued while bits != 0, or delivered */
	struct list port_link;  /* port->bindings */
};

struct object {
	uint32_t type;          /* enum x_object_type */
	uint32_t refs, handles;
	uint64_t koid;
	const struct object_ops *ops;
	struct binding binding;
};

struct handle {
	struct object *object;
	uint16_t rights, cloexec;
	uint32_t born;          /* in a table: the process's `commits` when it came there */
};

/* In two parts that grow by themselves: file descriptors (slots below
 * X_SLOT_FD_END), and what lies above. */
struct handle_part {
	struct handle *slots;
	uint32_t size;
	uint32_t full;          /* from where the search for a free one begins, none is before */
};
struct handle_table { struct handle_part part[2]; uint32_t used; };

/* Of what is all zero: refs = 1 (the creator's), handles = 0 */
void object_init(struct object *o, uint32_t type, const struct object_ops *ops);
static inline void object_ref(struct object *o)
{
	KASSERT(o->refs > 0);
	o->refs++;
}
void object_destroy(struct object *o); /* refs has reached 0 */
static inline void object_unref(struct object *o)
{
	KASSERT(o->refs > 0);
	if (--o->refs == 0)
		object_destroy(o);
}
extern uint64_t object_counts[16]; /* live, by type; kept by init and destroy */

/* A handle value on the move: takes/holds one handle count and one ref. */
struct handle handle_hold(struct object *o, uint32_t rights);
void handle_drop(struct handle h);

/* Slots. handle_install consumes h on success; on -X_EMFILE the caller still owns it. */
int64_t handle_install(struct process *p, struct handle h, uint32_t min, uint32_t end);
/* Hand a new object to the current process: consumes the creator's reference;
 * the handle, or -X_EMFILE. */
int64_t object_hand_out(struct object *o, uint32_t rights);
int handle_install_at(struct process *p, struct handle h, uint32_t slot); /* replaces */
int handle_remove(struct process *p, uint32_t slot, struct handle *out);  /* caller owns *out */
/* Object behind a slot of the current process with type and all rights needed;
 * returns a reference (object_unref it) or a negative error through *err. */
struct object *handle_get(uint32_t slot, uint32_t type, uint32_t rights, int *err);
int handle_lookup(uint32_t slot, struct handle *out); /* borrowed copy, no counts taken */
/* The same in place, or NULL; good until the table changes. */
static inline struct handle *handle_slot(struct handle_table *t, uint32_t slot)
{
	struct handle_part *p = &t->part[slot >= X_SLOT_FD_END];

	if (slot >= X_SLOT_FD_END)
		slot -= X_SLOT_FD_END;
	return slot < p->size && p->slots[slot].object ? &p->slots[slot] : NULL;
}
/* The object, if it has the type (X_TYPE_NONE: any) and all rights, or NULL with the error; good as long. */
static inline struct object *handle_borrow(struct handle_table *t, uint32_t slot, uint32_t type, uint32_t rights, int *err)
{
	const struct handle *h = handle_slot(t, slot);

	*err = !h ? -X_EBADF : type != X_TYPE_NONE && h->object->type != type ? -X_EWRONGTYPE :
	       (h->rights & rights) != rights ? -X_ERIGHTS : 0;
	return *err ? NULL : h->object;
}
/* Slot by slot, those in use; the body may change the table. */
static inline struct handle *handle_after(struct handle_table *t, uint32_t *slot)
{
	for (uint32_t which = *slot >= X_SLOT_FD_END; which < 2; which++) {
		uint32_t first = which ? X_SLOT_FD_END : 0;

		for (uint32_t i = *slot - first; i < t->part[which].size; i++) {
			*slot = first + i;
			if (t->part[which].slots[i].object)
				return &t->part[which].slots[i];
		}
		*slot = X_SLOT_FD_END;
	}
	return NULL;
}
#define handles_for_each(h, slot, table) \
	for (uint32_t slot = 0, once_ = 1; once_; once_ = 0) \
		for (struct handle *h; (h = handle_after(table, &slot)); slot++)
void handle_table_close_all(struct process *p);
int handle_table_clone_fds(struct process *from, struct process *to);
void handle_table_close_cloexec(struct process *p);
void handle_table_undo(struct process *p); /* warm restart: what came since the last commit */

/* Signal a binding (port.c): or bits in, queue at the port, wake it. */
void binding_post(struct object *o, uint64_t bits);
/* Undo a binding, if there is one; an event gets back what was not delivered. */
void unbind(struct object *o);

#endif
