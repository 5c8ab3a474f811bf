/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls about memory objects and address spaces. */
#include "syscall.h"

#define NATIVE_RIGHTS_MEMORY (X_R_READ | X_R_WRITE | X_R_EXEC | X_R_DUP | X_R_TRANSFER)

/* The address space named by X_SELF, a process or a space handle; referenced. */
static struct space *space_get(uint32_t h, int *err)
{
	struct space *s = current_process()->space;
	struct object *o;

	*err = 0;
	if (h == X_SELF) {
		object_ref(&s->obj);
		return s;
	}
	o = handle_get(h, X_TYPE_NONE, X_R_MANAGE, err);
	if (!o)
		return NULL;
	if (o->type == X_TYPE_SPACE)
		return container_of(o, struct space, obj);
	if (o->type != X_TYPE_PROCESS) {
		*err = -X_EWRONGTYPE;
		object_unref(o);
		return NULL;
	}
	s = container_of(o, struct process, obj)->space;
	object_ref(&s->obj);
	object_unref(o);
	return s;
}

static struct memory *memory_get(uint32_t h, uint32_t rights, int *err)
{
	struct object *o = handle_get(h, X_TYPE_MEMORY, rights, err);

	return o ? container_of(o, struct memory, obj) : NULL;
}

int64_t call_mem_create(const struct args *a)
{
	struct x_mem_create c;
	struct object *port = NULL;
	struct memory *m;
	int err;

	if (copy_from_user(&c, a->a, sizeof(c)))
		return -X_EFAULT;
	if (c.flags & X_MEM_PAGED) {
		port = handle_get(c.port, X_TYPE_PORT, X_R_RECEIVE | X_R_CALL, &err);
		if (!port)
			return err;
	}
	do
		err = memory_create(&c, port ? container_of(port, struct port, obj) : NULL, &m);
	while (err == -X_ENOMEM && memory_denied() && !space_full(current_process()->space) &&
	       !(err = memory_shortage()));
	if (port)
		object_unref(port);
	return err ? err : object_hand_out(&m->obj, NATIVE_RIGHTS_MEMORY | (port ? X_R_MANAGE : 0));
}

static uint32_t rights_for_mapping(const struct x_mem_map *m)
{
	uint32_t rights = 0;

	if (m->prot) /* no page of x86 can be written or run and not read */
		rights |= X_R_READ;
	if ((m->prot & X_PROT_WRITE) && !(m->flags & X_MAP_PRIVATE))
		rights |= X_R_WRITE;
	if (m->prot & X_PROT_EXEC)
		rights |= X_R_EXEC;
	return rights;
}

/* What a mapping may later be raised to: what the handle allows. */
static uint32_t max_prot(uint32_t h, uint32_t flags)
{
	struct handle held;

	if (handle_lookup(h, &held))
		return 0;
	return (held.rights & X_R_READ ? X_PROT_READ : 0) |
	       ((held.rights & X_R_WRITE) || (flags & X_MAP_PRIVATE) ? X_PROT_WRITE : 0) |
	       (held.rights & X_R_EXEC ? X_PROT_EXEC : 0);
}

int64_t call_mem_map(const struct args *a)
{
	struct x_mem_map m;
	struct memory *mem = NULL;
	struct space *s;
	int64_t result;
	int err;

	if (copy_from_user(&m, a->a, sizeof(m)))
		return -X_EFAULT;
	if (m.prot & ~(X_PROT_READ | X_PROT_WRITE | X_PROT_EXEC))
		return -X_EINVAL;
	s = space_get(m.space, &err);
	if (!s)
		return err;
	if (m.memory != X_NO_HANDLE) {
		uint32_t most = max_prot(m.memory, m.flags);

		mem = memory_get(m.memory, rights_for_mapping(&m), &err);
		if (!mem) {
			object_unref(&s->obj);
			return err;
		}
		m.prot |= SPACE_MAX_PROT(most);
	}
	result = space_map(s, &m, mem);
	if (mem)
		object_unref(&mem->obj);
	object_unref(&s->obj);
	return result;
}

int64_t call_mem_unmap(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_unmap(s, a->b, a->c);
	object_unref(&s->obj);
	return err;
}

int64_t call_mem_protect(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_protect(s, a->b, a->c, a->d);
	object_unref(&s->obj);
	return err;
}

int64_t call_mem_advise(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_advise(s, a->b, a->c, a->d, a->e);
	object_unref(&s->obj);
	return err;
}

int64_t call_mem_query(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);
	struct x_mem_region r;

	if (!s)
		return err;
	err = space_query(s, a->b, &r);
	object_unref(&s->obj);
	return err ? err : copy_to_user(a->c, &r, sizeof(r));
}

int64_t call_mem_supply(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);

	if (!m)
		return err;
	err = memory_supply(m, a->b, a->c, a->d, (int)a->e);
	object_unref(&m->obj);
	return err;
}

int64_t call_mem_copy(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, a->e ? X_R_WRITE : X_R_READ, &err);

	if (!m)
		return err;
	err = memory_copy(m, a->b, a->c, a->d, a->e != 0);
	object_unref(&m->obj);
	return err;
}

int64_t call_mem_content(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);
	int64_t result;

	if (!m)
		return err;
	result = content_control(m, a->b, a->c, a->d);
	object_unref(&m->obj);
	return result;
}

int64_t call_mem_clean(const struct args *a)
{
	struct x_dirty d;
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);
	int64_t result = -X_EFAULT;

	if (!m)
		return err;
	if (!copy_from_user(&d, a->b, sizeof(d)))
		result = content_clean(m, &d);
	if (result > 0) {
		d.addr = 0;
		d.len = result;
	}
	if (result >= 0 && copy_to_user(a->b, &d, sizeof(d)))
		result = -X_EFAULT;
	object_unref(&m->obj);
	return result;
}

int64_t call_mem_state(const struct args *a)
{
	int err;
	struct memory *m = memory_get(a->a, X_R_MANAGE, &err);
	struct x_content_info i;

	if (!m)
		return err;
	i = (struct x_content_info){ m->resident, m->dirty, m->read_ns, m->written_ns };
	m->read_ns = m->written_ns = 0;
	object_unref(&m->obj);
	return copy_to_user(a->b, &i, sizeof(i));
}

int64_t call_mem_move(const struct args *a)
{
	return space_move(current_process()->space, a->a, a->b, a->c, a->d, a->e);
}

int64_t call_space_create(const struct args *a)
{
	struct space *s;
	int err;
	struct object *o = handle_get(a->a, X_TYPE_PROCESS, X_R_MANAGE, &err);

	if (!o)
		return err;
	err = space_create(false, container_of(o, struct process, obj)->account, &s);
	object_unref(o);
	return err ? err : object_hand_out(&s->obj, X_R_MANAGE | X_R_DUP);
}

int64_t call_space_copy(const struct args *a)
{
	int err;
	struct space *s = space_get(a->a, &err);

	if (!s)
		return err;
	err = space_copy(s, a->b, a->c, a->d, a->e != 0);
	object_unref(&s->obj);
	return err;
}
