/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V IPC (proto/sysv.h): what its three kinds of objects share.
 *
 *   sysv.c       ids, keys, permissions
 *   sysv_shm.c   shared memory: a memory object each, and who has it attached
 *   sysv_sem.c   semaphores, what waits for them, what is undone at exit
 *   sysv_msg.c   message queues
 *
 * An id is the object's slot and, above it, how often the slot was used before.
 */
#ifndef SERVERS_PM_SYSV_H
#define SERVERS_PM_SYSV_H

#include "proto/sysv.h"
#include "servers/pm/procfs.h"

#define SYSV_ID_STRIDE 32768u

struct sysv_object {
	bool used;
	uint16_t seq;
	uint32_t chosen;     /* id asked for by a *_next_id of sysctl, + 1; 0: by slot and age */
	uint32_t key, uid, gid, cuid, cgid, mode;
	uint64_t ctime;
};

/* A table of one kind. Objects begin with struct sysv_object. */
struct sysv_table {
	void *objects;
	uint32_t count, stride;
	uint8_t next;        /* SYSCTL_*_NEXT */
};

static inline struct sysv_object *sysv_at(const struct sysv_table *t, uint32_t slot)
{
	return (struct sysv_object *)((char *)t->objects + (size_t)slot * t->stride);
}
uint32_t sysv_id(const struct sysv_table *t, const struct sysv_object *o);
struct sysv_object *sysv_find(const struct sysv_table *t, uint32_t id); /* or NULL */
struct sysv_object *sysv_by_key(const struct sysv_table *t, uint32_t key);
/* A new one, all but the head zeroed; NULL: the table is full. */
struct sysv_object *sysv_new(const struct sysv_table *t, const struct proc *p, uint32_t key, uint32_t flags);
uint32_t sysv_used(const struct sysv_table *t);
int sysv_highest(const struct sysv_table *t);    /* slot in use, or 0 */
/* want: permission bits, of any class */
bool sysv_may(const struct sysv_object *o, const struct proc *p, uint32_t want);
bool sysv_owner(const struct sysv_object *o, const struct proc *p);
void sysv_perm_get(const struct sysv_object *o, struct sysv_perm *perm);
void sysv_perm_set(struct sysv_object *o, const struct sysv_perm *perm);
uint64_t sysv_seconds(void);                     /* now, since 1970 */
/* The object of STAT commands: by id, or (by_slot) by slot; 0 or an error. */
int sysv_stat_target(const struct sysv_table *t, const struct proc *p, uint32_t id, bool by_slot, bool any,
		     struct sysv_object **found);
/* Window 0 of the call: 0 or -X_EFAULT */
int sysv_put(const struct x_in *in, const void *data, size_t bytes);
int sysv_take(const struct x_in *in, void *data, size_t bytes);

void shm_drop(struct proc *p);
void sem_drop(struct proc *p, bool undo);
bool sem_has_undo(const struct proc *p); /* there is something to undo when it ends */
void msg_drop(const struct proc *p);
bool sem_cancel(uint64_t call_id);
bool msg_cancel(uint64_t call_id);

#endif
