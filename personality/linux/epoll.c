/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll over the kernel's wait sets, and the descriptors made to be waited for:
 * eventfd and timerfd, which pm serves.
 */
#include "personality/linux/pers.h"

#define EPOLLRDHUP     0x2000u
#define EPOLLEXCLUSIVE 0x10000000u
#define EPOLLWAKEUP    0x20000000u
#define EPOLLONESHOT   0x40000000u
#define EPOLLET        0x80000000u

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL, EPOLL_CTL_MOD };

struct linux_epoll_event { uint32_t events; uint64_t data; } __attribute__((packed));

int64_t install_fd(int64_t handle, bool cloexec)
{
	int64_t fd;

	if (handle < 0)
		return linux_error(handle);
	fd = duplicate((uint64_t)handle, 0, cloexec ? X_DUP_CLOEXEC : 0);
	x_handle_close((x_handle_t)handle);
	return fd;
}

int64_t room_for_descriptor(void)
{
	int64_t fd = install_fd(x_waitset_create(), true);

	return fd < 0 ? fd : x_handle_close((x_handle_t)fd);
}

int64_t linux_epoll_create1(struct sys *s)
{
	if ((uint32_t)s->a[0] & ~F_O_CLOEXEC)
		return -X_EINVAL;
	return install_fd(x_waitset_create(), s->a[0] & F_O_CLOEXEC);
}

int64_t linux_epoll_create(struct sys *s)
{
	if ((int32_t)s->a[0] <= 0)
		return -X_EINVAL;
	return install_fd(x_waitset_create(), false);
}

static uint32_t fd_type(uint64_t fd)
{
	struct x_handle_info info;

	return check_fd(fd) || x_handle_info((x_handle_t)fd, &info) < 0 ? X_TYPE_NONE : info.type;
}

static int64_t entry_change(uint32_t set, uint32_t op, uint32_t fd, const struct linux_epoll_event *e)
{
	uint64_t what = poll_wanted((int16_t)e->events);

	if (op == EPOLL_CTL_MOD && (e->events & EPOLLEXCLUSIVE))
		return -X_EINVAL;
	if ((e->events & EPOLLEXCLUSIVE) && (e->events & EPOLLONESHOT))
		return -X_EINVAL;
	if (e->events & EPOLLET)
		what |= (uint64_t)X_WAITSET_EDGE << 16;
	if (e->events & EPOLLONESHOT)
		what |= (uint64_t)X_WAITSET_ONCE << 16;
	/* Errors are told of whatever was asked for. */
	what |= X_READY_ERR | X_READY_HUP | (uint64_t)e->events << 32;
	return linux_error(x_waitset_ctl(set, op == EPOLL_CTL_ADD ? X_WAITSET_ADD : X_WAITSET_CHANGE, fd,
					 what, e->data));
}

int64_t linux_epoll_ctl(struct sys *s)
{
	uint32_t op = (uint32_t)s->a[1], set = (uint32_t)s->a[0], fd = (uint32_t)s->a[2];
	struct linux_epoll_event e = { 0 };
	int64_t flags;

	if (op != EPOLL_CTL_DEL && copy_in(&e, s->a[3], sizeof(e)))
		return -X_EFAULT;
	if (fd_type(set) == X_TYPE_NONE || fd_type(fd) == X_TYPE_NONE)
		return -X_EBADF;
	if (fd_type(set) != X_TYPE_WAITSET || set == fd)
		return -X_EINVAL;
	switch (op) {
	case EPOLL_CTL_ADD:
		if ((e.events & EPOLLEXCLUSIVE) && fd_type(fd) == X_TYPE_WAITSET)
			return -X_EINVAL;
		flags = x_object_ctl(fd, X_OBJ_GET_FLAGS, 0);
		if (flags >= 0 && (flags & F_O_PATH))
			return -X_EBADF;
		uring_watch(fd);
		return entry_change(set, op, fd, &e);
	case EPOLL_CTL_MOD:
		return entry_change(set, op, fd, &e);
	case EPOLL_CTL_DEL:
		return linux_error(x_waitset_ctl(set, X_WAITSET_DELETE, fd, 0, 0));
	default:
		return -X_EINVAL;
	}
}

#define BATCH 64

static int64_t put_events(uint64_t addr, const struct x_waitset_event *events, int64_t count)
{
	for (int64_t i = 0; i < count; i++) {
		struct linux_epoll_event e = {
			(uint16_t)poll_happened(events[i].ready, (int16_t)events[i].aux), events[i].data,
		};

		if (copy_out(addr + (uint64_t)i * sizeof(e), &e, sizeof(e)))
			return -X_EFAULT;
	}
	return count;
}

/* mask: of signals, or NULL. */
static int64_t epoll_wait_for(struct sys *s, uint64_t deadline, const uint64_t *mask)
{
	struct x_waitset_event events[BATCH];
	int32_t max = (int32_t)s->a[2];
	int64_t n;

	if (max <= 0 || max > INT32_MAX / (int32_t)sizeof(struct linux_epoll_event))
		return -X_EINVAL;
	if (!user_range(s->a[1], (uint64_t)max * sizeof(struct linux_epoll_event)))
		return -X_EFAULT;
	if (fd_type(s->a[0]) != X_TYPE_WAITSET)
		return fd_type(s->a[0]) == X_TYPE_NONE ? -X_EBADF : -X_EINVAL;
	uring_before_wait();
	n = x_waitset_wait((x_handle_t)s->a[0], events, max < BATCH ? (uint32_t)max : BATCH, deadline, mask);
	if (n == -X_EINTR)
		return wait_interrupted(s, mask);
	return n < 0 ? linux_error(n) : put_events(s->a[1], events, n);
}

static uint64_t deadline_from_ms(int32_t ms)
{
	if (ms < 0)
		return X_FOREVER;
	return ms ? deadline_after(now_ns(), (uint64_t)ms * 1000000) : 0;
}

int64_t linux_epoll_wait(struct sys *s)
{
	return epoll_wait_for(s, deadline_from_ms((int32_t)s->a[3]), NULL);
}

int64_t linux_epoll_pwait(struct sys *s)
{
	uint64_t mask;
	int64_t error = s->a[4] ? use_signal_mask(s, s->a[4], s->a[5], &mask) : 0;

	return error ? error : epoll_wait_for(s, deadline_from_ms((int32_t)s->a[3]), s->a[4] ? &mask : NULL);
}

int64_t linux_epoll_pwait2(struct sys *s)
{
	uint64_t mask, deadline;
	int64_t error = deadline_from_timespec(s->a[3], &deadline);

	if (!error && s->a[4])
		error = use_signal_mask(s, s->a[4], s->a[5], &mask);
	return error ? error : epoll_wait_for(s, deadline, s->a[4] ? &mask : NULL);
}

/* ------------------------------------------------------------ eventfd, timerfd */

/* pm makes the object; a0, a1 say what it is. */
static int64_t counter_fd(uint32_t op, uint64_t a0, uint64_t a1, uint32_t flags)
{
	struct x_call c;

	call_init(&c, op);
	c.msg.a[0] = a0;
	c.msg.a[1] = a1;
	c.msg.a[2] = flags & F_O_NONBLOCK;
	call_receive_fds(&c, flags & F_O_CLOEXEC);
	return call_new_fd(&c, call_plain(X_SLOT_PM, &c));
}

#define EFD_SEMAPHORE 1u

int64_t linux_eventfd2(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[1];

	if (flags & ~(EFD_SEMAPHORE | F_O_CLOEXEC | F_O_NONBLOCK))
		return -X_EINVAL;
	return counter_fd(PM_EVENTFD, (uint32_t)s->a[0], flags & EFD_SEMAPHORE, flags);
}

int64_t linux_eventfd(struct sys *s)
{
	return counter_fd(PM_EVENTFD, (uint32_t)s->a[0], 0, 0);
}

int64_t linux_timerfd_create(struct sys *s)
{
	uint32_t clock = (uint32_t)s->a[0], flags = (uint32_t)s->a[1];

	if ((flags & ~(F_O_CLOEXEC | F_O_NONBLOCK)) || !clock_can_wake(clock))
		return -X_EINVAL;
	return counter_fd(PM_TIMERFD, 0, clock, flags);
}

static int64_t timerfd_call(uint64_t fd, uint32_t op, struct x_call *c)
{
	int64_t error;

	if (fd_type(fd) == X_TYPE_NONE)
		return -X_EBADF;
	if (fd_type(fd) != X_TYPE_OBJECT)
		return -X_EINVAL;
	c->msg.op = op;
	error = call_plain((x_handle_t)fd, c);
	/* Of another server, or another kind of object. */
	return error < 0 ? -X_EINVAL : 0;
}

static int64_t put_itimerspec(uint64_t addr, const struct x_call *c)
{
	struct linux_itimerspec old = { to_timespec(c->msg.a[1]), to_timespec(c->msg.a[0]) };

	return copy_out(addr, &old, sizeof(old));
}

int64_t linux_timerfd_gettime(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, 0);
	error = timerfd_call(s->a[0], FILE_TIMER_GET, &c);
	return error ? error : put_itimerspec(s->a[1], &c);
}

#define TFD_TIMER_ABSTIME 1u
#define TFD_TIMER_CANCEL_ON_SET 2u

int64_t linux_timerfd_settime(struct sys *s)
{
	struct linux_itimerspec value;
	uint64_t first, interval;
	struct x_call c;
	int64_t error;

	if (copy_in(&value, s->a[2], sizeof(value)))
		return -X_EFAULT;
	if (((uint32_t)s->a[1] & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) ||
	    !convert_timespec(&value.value, &first) || !convert_timespec(&value.interval, &interval))
		return -X_EINVAL;
	call_init(&c, 0);
	c.msg.a[0] = first;
	c.msg.a[1] = interval;
	c.msg.a[2] = (uint32_t)s->a[1];
	error = timerfd_call(s->a[0], FILE_TIMER_SET, &c);
	return error || !s->a[3] ? error : put_itimerspec(s->a[3], &c);
}
