/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring_register(2): buffers, files, an eventfd for completions, the probe.
 *
 * A registered buffer is only remembered: it is checked that I/O stays inside it. A
 * registered file is a handle of the ring's own.
 */
#include "personality/linux/uring.h"

enum register_op {
	REGISTER_BUFFERS, UNREGISTER_BUFFERS, REGISTER_FILES, UNREGISTER_FILES, REGISTER_EVENTFD,
	UNREGISTER_EVENTFD, REGISTER_FILES_UPDATE, REGISTER_EVENTFD_ASYNC, REGISTER_PROBE,
	REGISTER_ENABLE_RINGS = 12, REGISTER_IOWQ_MAX_WORKERS = 19,
};

#define FILE_KEEP 0xfffffffeu /* IORING_REGISTER_FILES_SKIP */
#define BUFFER_BYTES_MAX (1ull << 30)

/* ---------------------------------------------------------------------- buffers */

int64_t uring_fixed_buffer(const struct uring *u, const struct uring_sqe *e)
{
	const struct linux_iovec *v = &u->buffers[e->buf_index];

	return e->buf_index < u->buffer_count && e->addr >= v->base && e->addr + e->len >= e->addr &&
	       e->addr + e->len <= v->base + v->len ? 0 : -X_EFAULT;
}

static int64_t register_buffers(struct uring *u, uint64_t addr, uint32_t count)
{
	struct linux_iovec v;

	if (u->buffer_count)
		return -X_EBUSY;
	if (!count || count > URING_BUFFERS_MAX)
		return -X_EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (copy_in(&v, addr + i * sizeof(v), sizeof(v)))
			return -X_EFAULT;
		if (!v.base && v.len)
			return -X_EFAULT;
		if (v.base && (!v.len || v.len > BUFFER_BYTES_MAX || !user_range(v.base, v.len) || user_probe(v.base, v.len, true)))
			return -X_EFAULT;
		u->buffers[i] = v;
	}
	u->buffer_count = count;
	return 0;
}

static int64_t unregister_buffers(struct uring *u)
{
	if (!u->buffer_count)
		return -X_ENXIO;
	u->buffer_count = 0;
	return 0;
}

/* ------------------------------------------------------------------------ files */

x_handle_t uring_fixed_file(const struct uring *u, uint32_t index)
{
	return index < u->file_count ? u->files[index] : X_NO_HANDLE;
}

/* Puts a duplicate of a descriptor there; -1: nothing. */
static int64_t set_file(struct uring *u, uint32_t index, int32_t fd)
{
	int64_t h = X_NO_HANDLE;

	if (fd != -1) {
		h = check_fd((uint32_t)fd) ? -X_EBADF : x_handle_dup((x_handle_t)fd, 0, X_SLOT_NATIVE, 0);
		if (h < 0)
			return h == -X_EBADF || h == -X_EMFILE ? h : -X_EBADF;
	}
	if (u->files[index] != X_NO_HANDLE)
		x_handle_close(u->files[index]);
	u->files[index] = (x_handle_t)h;
	return 0;
}

static void drop_files(struct uring *u)
{
	for (uint32_t i = 0; i < u->file_count; i++)
		set_file(u, i, -1);
	u->file_count = 0;
}

static int64_t register_files(struct uring *u, uint64_t addr, uint32_t count)
{
	int64_t error = 0;
	int32_t fd;

	if (u->file_count)
		return -X_EBUSY;
	if (!count)
		return -X_EINVAL;
	if (count > URING_FILES_MAX || count > ids()->rlimit_nofile)
		return -X_EMFILE;
	for (uint32_t i = 0; i < count; i++)
		u->files[i] = X_NO_HANDLE;
	u->file_count = count;
	for (uint32_t i = 0; i < count && !error; i++)
		error = copy_in(&fd, addr + i * sizeof(fd), sizeof(fd)) ? -X_EFAULT : set_file(u, i, fd);
	if (error)
		drop_files(u);
	return error;
}

int64_t uring_files_update(struct uring *u, uint64_t fds, uint32_t offset, uint32_t count)
{
	int64_t error = 0;
	uint32_t i;
	int32_t fd;

	if (!count)
		return -X_EINVAL;
	if (!u->file_count)
		return -X_ENXIO;
	if (offset + count < offset)
		return -X_EOVERFLOW;
	if (offset + count > u->file_count)
		return -X_EINVAL;
	for (i = 0; i < count; i++) {
		if (copy_in(&fd, fds + i * sizeof(fd), sizeof(fd)))
			error = -X_EFAULT;
		else if ((uint32_t)fd != FILE_KEEP)
			error = set_file(u, offset + i, fd);
		if (error)
			break;
	}
	return i ? i : error;
}

#define ANY_PLACE 0xffffffffu /* IORING_FILE_INDEX_ALLOC: the result is where */

/* index: place + 1. The descriptor goes; -1: the place is emptied. */
int64_t uring_install(struct uring *u, uint32_t index, int64_t fd)
{
	bool any = index == ANY_PLACE;
	uint32_t place = index - 1;
	int64_t error;

	for (uint32_t i = 0; any && i < u->file_count; i++)
		if (u->files[i] == X_NO_HANDLE) {
			place = i;
			break;
		}
	if (!u->file_count)
		error = -X_ENXIO;
	else if (place >= u->file_count)
		error = any ? -X_ENFILE : -X_EINVAL;
	else if (fd < 0 && u->files[place] == X_NO_HANDLE)
		error = -X_EBADF;
	else
		error = set_file(u, place, (int32_t)fd);
	if (fd >= 0)
		x_handle_close((x_handle_t)fd);
	return error ? error : any ? (int64_t)place : 0;
}

/* ---------------------------------------------------------------------- the rest */

static int64_t register_eventfd(struct uring *u, uint64_t addr, uint32_t count)
{
	int64_t h;
	int32_t fd;

	if (count != 1)
		return -X_EINVAL;
	if (u->eventfd)
		return -X_EBUSY;
	if (copy_in(&fd, addr, sizeof(fd)))
		return -X_EFAULT;
	h = check_fd((uint32_t)fd) ? -X_EBADF : x_handle_dup((x_handle_t)fd, 0, X_SLOT_NATIVE, 0);
	if (h < 0)
		return -X_EBADF;
	uring_lock(u);
	u->eventfd = (x_handle_t)h;
	u->bell = false;
	uring_unlock(u);
	return 0;
}

static int64_t unregister_eventfd(struct uring *u)
{
	if (!u->eventfd)
		return -X_ENXIO;
	uring_lock(u);
	x_handle_close(u->eventfd);
	u->eventfd = 0;
	uring_unlock(u);
	return 0;
}

void uring_unregister_all(struct uring *u)
{
	drop_files(u);
	u->buffer_count = 0;
	if (u->eventfd)
		x_handle_close(u->eventfd);
	u->eventfd = 0;
}

struct probe { uint8_t last_op, count; uint16_t reserved; uint32_t reserved2[3]; };
struct probe_op { uint8_t op, reserved; uint16_t flags; uint32_t reserved2; };
#define OP_SUPPORTED 1u

static int64_t probe(uint64_t addr, uint32_t count)
{
	struct probe p = { .last_op = IORING_OP_COUNT - 1 }, given;

	if (count > 256)
		count = 256;
	if (copy_in(&given, addr, sizeof(given)))
		return -X_EFAULT;
	if (given.last_op || given.count || given.reserved || given.reserved2[0] || given.reserved2[1] || given.reserved2[2])
		return -X_EINVAL;
	p.count = (uint8_t)(count < IORING_OP_COUNT ? count : IORING_OP_COUNT);
	if (copy_out(addr, &p, sizeof(p)))
		return -X_EFAULT;
	for (uint32_t i = 0; i < p.count; i++) {
		struct probe_op o = { .op = (uint8_t)i, .flags = uring_can(i) ? OP_SUPPORTED : 0 };

		if (copy_out(addr + sizeof(p) + i * sizeof(o), &o, sizeof(o)))
			return -X_EFAULT;
	}
	return 0;
}

static int64_t max_workers(uint64_t addr, uint32_t count)
{
	static const uint32_t helpers[2] = { 1, 1 };

	return count != 2 || !addr ? -X_EINVAL : copy_out(addr, helpers, sizeof(helpers));
}

struct files_update { uint32_t offset, reserved; uint64_t fds; };

static int64_t update_files(struct uring *u, uint64_t addr, uint32_t count)
{
	struct files_update f;

	if (copy_in(&f, addr, sizeof(f)))
		return -X_EFAULT;
	return f.reserved ? -X_EINVAL : uring_files_update(u, f.fds, f.offset, count);
}

static int64_t act(struct uring *u, const uint64_t *a)
{
	uint64_t addr = a[2];
	uint32_t count = (uint32_t)a[3];

	switch ((uint32_t)a[1]) {
	case REGISTER_BUFFERS: return addr ? register_buffers(u, addr, count) : -X_EFAULT;
	case UNREGISTER_BUFFERS: return addr || count ? -X_EINVAL : unregister_buffers(u);
	case REGISTER_FILES: return addr ? register_files(u, addr, count) : -X_EFAULT;
	case UNREGISTER_FILES:
		if (addr || count || !u->file_count)
			return addr || count ? -X_EINVAL : -X_ENXIO;
		drop_files(u);
		return 0;
	case REGISTER_EVENTFD: case REGISTER_EVENTFD_ASYNC:
		return register_eventfd(u, addr, count);
	case UNREGISTER_EVENTFD: return addr || count ? -X_EINVAL : unregister_eventfd(u);
	case REGISTER_FILES_UPDATE: return update_files(u, addr, count);
	case REGISTER_PROBE: return addr ? probe(addr, count) : -X_EINVAL;
	case REGISTER_ENABLE_RINGS:
		if (addr || count)
			return -X_EINVAL;
		if (!uring_is_disabled(u))
			return -X_EBADFD;
		uring_enable(u);
		return 0;
	case REGISTER_IOWQ_MAX_WORKERS: return max_workers(addr, count);
	default: return -X_EINVAL;
	}
}

int64_t linux_io_uring_register(struct sys *s) { return uring_control(s->a[0], act, s->a); }
