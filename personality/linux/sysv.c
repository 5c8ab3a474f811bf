/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V IPC: pm's work (proto/sysv.h), whose structures are Linux's. What
 * is done here is the mapping of shared memory.
 */
#include "personality/linux/pers.h"
#include "proto/sysv.h"

#define IPC_64 0x100u
#define SHM_ROUND 020000u
#define SHM_REMAP 040000u
#define PAGE_MASK ((uint64_t)X_PAGE_SIZE - 1)

static int64_t ipc_get(uint32_t op, const struct sys *s, uint64_t flags, uint64_t amount)
{
	struct x_call c;
	int64_t error = call_pm(&c, op, SYSV_GET, (uint32_t)s->a[0], (uint32_t)flags, amount);

	return error < 0 ? error : (int64_t)c.msg.a[0];
}

static int64_t ipc_control(uint32_t op, const struct sys *s, uint64_t command, uint64_t buf, uint64_t bytes, uint64_t num)
{
	struct x_call c;
	int64_t error;

	if ((int32_t)s->a[0] < 0 || (int32_t)command < 0)
		return -X_EINVAL;
	call_init(&c, op);
	c.msg.a[0] = SYSV_CONTROL;
	c.msg.a[1] = (uint32_t)s->a[0];
	c.msg.a[2] = (uint32_t)command & ~IPC_64;
	c.msg.a[3] = num;
	c.msg.a[4] = buf;
	if (bytes && user_range(buf, bytes))
		call_window_at(&c, buf, bytes, X_WIN_READ | X_WIN_WRITE);
	error = call_plain(X_SLOT_PM, &c);
	return error < 0 ? error : (int64_t)c.msg.a[0];
}

/* Never repeated after a handler, whatever SA_RESTART says. */
static int64_t ipc_wait(struct x_call *c, uint32_t op)
{
	int64_t error;

	c->msg.op = op;
	error = call_interruptible(X_SLOT_PM, c);
	return error == -RESTART_SYS ? -RESTART_NOHAND : error;
}

/* ---------------------------------------------------------------- shared memory */

int64_t linux_shmget(struct sys *s) { return ipc_get(PM_SHM, s, s->a[2], s->a[1]); }

int64_t linux_shmctl(struct sys *s)
{
	/* larger than any of them; cut where the program's memory ends */
	return ipc_control(PM_SHM, s, s->a[1], s->a[2], sizeof(struct sysv_shmid), 0);
}

static int64_t attach_place(uint64_t addr, uint32_t flags, struct x_mem_map *m)
{
	if (!addr)
		return flags & SHM_REMAP ? -X_EINVAL : 0;
	if ((addr & PAGE_MASK) && !(flags & SHM_ROUND))
		return -X_EINVAL;
	m->addr = addr & ~PAGE_MASK;
	m->flags = flags & SHM_REMAP ? X_MAP_FIXED : X_MAP_FIXED | X_MAP_NOREPLACE;
	return m->addr < X_USER_MIN ? -X_EINVAL : 0;
}

int64_t linux_shmat(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[2];
	struct x_mem_map m = { .space = X_SELF, .prot = X_PROT_READ };
	struct x_call c, done;
	int64_t addr, error = (int32_t)s->a[0] < 0 ? -X_EINVAL : attach_place(s->a[1], flags, &m);

	if (error)
		return error;
	error = call_pm(&c, PM_SHM, SHM_ATTACH, (uint32_t)s->a[0], flags, 0);
	if (error < 0)
		return error;
	if (c.handle_count != 1)
		return -X_EIO;
	if (!(flags & SHM_READ_ONLY))
		m.prot |= X_PROT_WRITE;
	if (flags & SHM_EXECUTE)
		m.prot |= X_PROT_EXEC;
	m.memory = c.handles[0];
	m.len = (c.msg.a[0] + PAGE_MASK) & ~PAGE_MASK;
	addr = m.addr && !user_range(m.addr, m.len) ? -X_EINVAL : x_mem_map(&m);
	if (addr == -X_EEXIST || addr == -X_EFAULT || addr == -X_ERANGE)
		addr = -X_EINVAL;
	x_handle_close(c.handles[0]);
	call_pm(&done, PM_SHM, SHM_ATTACHED, c.msg.a[1], addr < 0 ? 0 : (uint64_t)addr, 0);
	return linux_error(addr);
}

int64_t linux_shmdt(struct sys *s)
{
	struct x_call c;
	int64_t error = s->a[0] & PAGE_MASK ? -X_EINVAL : call_pm(&c, PM_SHM, SHM_DETACH, s->a[0], 0, 0);

	if (error < 0)
		return error;
	return linux_error(x_mem_unmap(X_SELF, s->a[0], (c.msg.a[0] + PAGE_MASK) & ~PAGE_MASK));
}

/* ------------------------------------------------------------------- semaphores */

int64_t linux_semget(struct sys *s) { return ipc_get(PM_SEM, s, s->a[2], (uint32_t)s->a[1]); }

int64_t linux_semctl(struct sys *s)
{
	uint32_t command = (uint32_t)s->a[2] & ~IPC_64;
	bool all = command == SEM_GETALL || command == SEM_SETALL;

	return ipc_control(PM_SEM, s, s->a[2], s->a[3], all ? SEM_PER_SET * 2 : sizeof(struct sysv_semid),
			   (uint32_t)s->a[1]);
}

static int64_t operate(const struct sys *s, uint64_t deadline, bool only_try)
{
	struct x_call c;
	uint32_t count = (uint32_t)s->a[2];
	int64_t error;

	if ((int32_t)s->a[0] < 0 || count == 0)
		return -X_EINVAL;
	if (count > SEM_OPS)
		return -X_E2BIG;
	if (!user_range(s->a[1], count * sizeof(struct sysv_sembuf)))
		return -X_EFAULT;
	call_init(&c, PM_SEM);
	c.msg.a[0] = SEM_OPERATE;
	c.msg.a[1] = (uint32_t)s->a[0];
	c.msg.a[2] = count;
	c.msg.a[3] = only_try;
	c.deadline_ns = deadline;
	call_window_at(&c, s->a[1], count * sizeof(struct sysv_sembuf), X_WIN_READ);
	error = ipc_wait(&c, PM_SEM);
	/* pm, hurried by the deadline, says that it was interrupted */
	if (error == -RESTART_NOHAND && deadline != X_FOREVER && now_ns() >= deadline)
		return -X_EAGAIN;
	return error == -X_ETIMEDOUT ? -X_EAGAIN : error;
}

int64_t linux_semop(struct sys *s) { return operate(s, X_FOREVER, false); }

int64_t linux_semtimedop(struct sys *s)
{
	uint64_t deadline = X_FOREVER;
	int64_t error = s->a[3] ? deadline_from_timespec(s->a[3], &deadline) : 0;

	if (error)
		return error;
	/* What can be done at once is done, however short the time given. */
	error = operate(s, X_FOREVER, true);
	return error == -X_EINPROGRESS ? operate(s, deadline, false) : error;
}

/* --------------------------------------------------------------- message queues */

int64_t linux_msgget(struct sys *s) { return ipc_get(PM_MSG, s, s->a[1], 0); }

int64_t linux_msgctl(struct sys *s)
{
	return ipc_control(PM_MSG, s, s->a[1], s->a[2], sizeof(struct sysv_msqid), 0);
}

static int64_t message(struct sys *s, uint64_t op, uint64_t flags, uint64_t type, uint32_t window)
{
	uint64_t room = s->a[2];
	struct x_call c;

	if ((int64_t)room < 0 || (int32_t)s->a[0] < 0 || (op == MSG_SEND && room > MSG_TEXT_MAX))
		return -X_EINVAL;
	if (op == MSG_RECEIVE && (flags & MSG_COPIED) && ((flags & MSG_NOT_TYPE) || !(flags & SYSV_NOWAIT)))
		return -X_EINVAL;
	call_init(&c, PM_MSG);
	c.msg.a[0] = op;
	c.msg.a[1] = (uint32_t)s->a[0];
	c.msg.a[2] = (uint32_t)flags;
	c.msg.a[3] = type;
	c.msg.a[4] = room;
	if (room > MSG_TEXT_MAX)
		room = MSG_TEXT_MAX;
	if (!user_range(s->a[1], room + 8))
		return -X_EFAULT;
	call_window_at(&c, s->a[1], room + 8, window);
	return ipc_wait(&c, PM_MSG);
}

int64_t linux_msgsnd(struct sys *s)
{
	uint8_t last;

	/* the window is cut at the first bad page: the text would be, too */
	if (s->a[2] <= MSG_TEXT_MAX && copy_in(&last, s->a[1] + 7 + s->a[2], 1))
		return -X_EFAULT;
	return message(s, MSG_SEND, s->a[3], 0, X_WIN_READ);
}

int64_t linux_msgrcv(struct sys *s) { return message(s, MSG_RECEIVE, s->a[4], s->a[3], X_WIN_WRITE); }
